//! Small values of the config, each with the rule that it holds.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

/// Identity of a target: unique, never empty, no control characters, at most 200 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TargetName(String);

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetNameError {
    #[error("is empty; give the target a name")]
    Empty,
    #[error("is {0} bytes long; at most {max} are allowed", max = TargetName::MAX_BYTES)]
    TooLong(usize),
    #[error("{0:?} has a control character")]
    Control(String),
}

impl TargetName {
    pub const MAX_BYTES: usize = 200;

    pub fn new(name: impl Into<String>) -> Result<Self, TargetNameError> {
        let name = name.into();
        if name.trim().is_empty() {
            return Err(TargetNameError::Empty);
        }
        if name.len() > Self::MAX_BYTES {
            return Err(TargetNameError::TooLong(name.len()));
        }
        if name.chars().any(char::is_control) {
            return Err(TargetNameError::Control(name));
        }
        Ok(Self(name))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TargetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How often to probe, and how long one run may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cadence {
    interval: Duration,
    timeout: Duration,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CadenceError {
    #[error("interval is zero; it must be positive")]
    ZeroInterval,
    #[error("timeout is zero; it must be positive")]
    ZeroTimeout,
    #[error("timeout {timeout:?} is longer than the interval {interval:?}; runs of one target must not overlap")]
    TimeoutExceedsInterval { interval: Duration, timeout: Duration },
}

impl Cadence {
    pub fn new(interval: Duration, timeout: Duration) -> Result<Self, CadenceError> {
        if interval.is_zero() {
            return Err(CadenceError::ZeroInterval);
        }
        if timeout.is_zero() {
            return Err(CadenceError::ZeroTimeout);
        }
        if timeout > interval {
            return Err(CadenceError::TimeoutExceedsInterval { interval, timeout });
        }
        Ok(Self { interval, timeout })
    }

    pub fn interval(&self) -> Duration {
        self.interval
    }

    pub fn timeout(&self) -> Duration {
        self.timeout
    }
}

/// How a verdict is confirmed: down after `failures` runs in a row failed, re-checked every `retry_interval`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Confirm {
    pub failures: NonZeroU32,
    pub retry_interval: Duration,
}

/// A text with `*` for any run of characters, and nothing else special.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob(Box<str>);

impl Glob {
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the whole of `text` matches.
    pub fn matches(&self, text: &str) -> bool {
        let mut parts = self.0.split('*');
        let first = parts.next().unwrap_or_default();
        let Some(last) = parts.next_back() else { return text == first };
        let Some(mut rest) = text.strip_prefix(first) else { return false };
        for part in parts {
            let Some(at) = rest.find(part) else { return false };
            rest = &rest[at + part.len()..];
        }
        rest.ends_with(last)
    }
}

/// Labels of a target, sorted by name; no name twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelSet {
    labels: Vec<(Box<str>, Box<str>)>,
    /// Whether one of them is among [`SERIES_LABELS`].
    clashes: bool,
}

/// On every series of a target, so no label of the target may have the name.
const IDENTITY_LABEL: &str = "target";

/// Labels that some of our families have of their own. A target may have a label of such a name too: it is on all of
/// the target's series but those of these families.
pub const SERIES_LABELS: &[&str] = &[
    "reason",
    "result",
    "phase",
    "le",
    "stat",
    "version",
    "cipher",
    "fingerprint_sha256",
    "subject",
    "issuer",
    "subjectalternative",
    "serialnumber",
    "url",
    "module",
    "prober",
    "interval",
    "display_name",
    "evidence_url",
    "finding",
    "what",
    "address",
    "cause",
    "action",
    "next_update",
    "serving_status",
    "kind",
    "value",
    "by",
    "parent",
    "path_end",
    "last_hop",
    "hops",
    "trace_id",
    "trace_url",
];

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    #[error("{0:?} is not a label name; Prometheus wants [a-zA-Z_][a-zA-Z0-9_]*")]
    Name(String),
    #[error("{0:?} begins with two underscores, which Prometheus keeps for itself")]
    Internal(String),
    #[error("{0:?} is the label that has the target's name, on every series; choose another name")]
    Identity(String),
}

impl LabelSet {
    /// Checks every name; later values of the same name win.
    pub fn new(labels: impl IntoIterator<Item = (String, String)>) -> Result<Self, Vec<LabelError>> {
        let mut map = std::collections::BTreeMap::new();
        let mut errors = Vec::new();
        for (name, value) in labels {
            match Self::check_name(&name) {
                Ok(()) => {
                    map.insert(name.into_boxed_str(), value.into_boxed_str());
                }
                Err(error) => errors.push(error),
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let clashes = map.keys().any(|name| SERIES_LABELS.contains(&&**name));
        Ok(Self { labels: map.into_iter().collect(), clashes })
    }

    /// Whether `name` may be a label of a target.
    pub fn check_name(name: &str) -> Result<(), LabelError> {
        let mut bytes = name.bytes();
        let head = bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
        if !head || !bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return Err(LabelError::Name(name.to_owned()));
        }
        if name.starts_with("__") {
            return Err(LabelError::Internal(name.to_owned()));
        }
        if name == IDENTITY_LABEL {
            return Err(LabelError::Identity(name.to_owned()));
        }
        Ok(())
    }

    /// Whether some family has a label of its own by the name of one of these.
    pub fn clashes(&self) -> bool {
        self.clashes
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.labels.iter().map(|(name, value)| (&**name, &**value))
    }

    pub fn value(&self, name: &str) -> Option<&str> {
        self.iter().find(|(n, _)| *n == name).map(|(_, value)| value)
    }
}

/// A value that is never printed.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Secret(Box<str>);

impl Secret {
    /// What stands in for it.
    pub const MASK: &'static str = "<secret>";

    pub fn new(value: impl Into<Box<str>>) -> Self {
        Self(value.into())
    }

    /// The value itself, for the wire only.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::MASK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glob_is_stars_and_text() {
        for (glob, text, matches) in [
            ("shop", "shop", true),
            ("shop", "shops", false),
            ("*", "", true),
            ("*", "anything", true),
            ("mail-*", "mail-1", true),
            ("mail-*", "email-1", false),
            ("*.example.com", "a.example.com", true),
            ("a*a", "a", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("**", "x", true),
            ("", "", true),
            ("", "x", false),
        ] {
            assert_eq!(Glob::new(glob).matches(text), matches, "{glob} on {text}");
        }
    }

    #[test]
    fn cadence_refuses_what_cannot_run() {
        let s = Duration::from_secs;
        assert!(Cadence::new(s(15), s(15)).is_ok());
        assert_eq!(Cadence::new(s(0), s(5)), Err(CadenceError::ZeroInterval));
        assert_eq!(Cadence::new(s(5), s(0)), Err(CadenceError::ZeroTimeout));
        assert_eq!(
            Cadence::new(s(5), s(6)),
            Err(CadenceError::TimeoutExceedsInterval { interval: s(5), timeout: s(6) })
        );
    }

    #[test]
    fn label_names_follow_prometheus_and_keep_off_the_target() {
        for good in ["team", "_x", "a1", "instance", "module", "reason"] {
            assert_eq!(LabelSet::check_name(good), Ok(()), "{good}");
        }
        for bad in ["", "1a", "a-b", "ü", "a b", "__x", "target"] {
            assert!(LabelSet::check_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_secret_never_shows() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "<secret>");
    }
}
