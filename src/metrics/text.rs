//! The text format, version 0.0.4: escaping, numbers, lines.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::family::Family;

/// In a path segment, RFC 3986 section 3.3: all but unreserved characters are encoded.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Writes a label value with the escapes of the format: backslash, double quote, line feed.
pub(super) fn push_escaped(out: &mut Vec<u8>, value: &str) {
    let mut rest = value.as_bytes();
    while let Some(at) = rest.iter().position(|byte| matches!(byte, b'\\' | b'"' | b'\n')) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(match rest[at] {
            b'\n' => b"\\n",
            b'"' => b"\\\"",
            _ => b"\\\\",
        });
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

/// Writes `name="value"`, preceded by a comma unless it is the first of a set.
pub(super) fn push_label(out: &mut Vec<u8>, first: bool, name: &str, value: &str) {
    if !first {
        out.push(b',');
    }
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"=\"");
    push_escaped(out, value);
    out.push(b'"');
}

pub(super) fn is_label_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Room for one formatted number.
pub(super) struct Number {
    integer: itoa::Buffer,
    float: zmij::Buffer,
}

impl Number {
    pub(super) fn new() -> Self {
        Self { integer: itoa::Buffer::new(), float: zmij::Buffer::new() }
    }

    /// The shortest text that reads back as the same number; whole numbers without point and exponent.
    #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "compared after the cast")]
    pub(super) fn format(&mut self, value: f64) -> &str {
        // Beyond 2^53 not every integer is a float, so the digits would claim more than is known.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        let whole = value as i64;
        if whole as f64 == value && value.abs() <= EXACT {
            self.integer.format(whole)
        } else if value.is_finite() {
            self.float.format_finite(value)
        } else if value.is_nan() {
            "NaN"
        } else if value > 0.0 {
            "+Inf"
        } else {
            "-Inf"
        }
    }
}

/// Writes the HELP and TYPE lines of a family.
pub(super) fn push_head(out: &mut Vec<u8>, family: &Family) {
    for part in ["# HELP ", family.name, " ", family.help, "\n# TYPE ", family.name, " ", family.kind.as_str(), "\n"] {
        out.extend_from_slice(part.as_bytes());
    }
}

/// Writes the samples of one family for one target (or none: then there are only the labels given).
pub(super) struct Lines<'a> {
    out: &'a mut Vec<u8>,
    family: &'a Family,
    /// Whether the family's HELP and TYPE lines were written.
    headed: &'a mut bool,
    /// The target's labels, escaped, without braces.
    labels: &'a [u8],
    names: &'a dyn Fn(&str) -> bool,
    evidence: &'a str,
}

impl<'a> Lines<'a> {
    /// `has_label` says whether a name is among `labels`.
    pub(super) fn new(
        out: &'a mut Vec<u8>,
        family: &'a Family,
        headed: &'a mut bool,
        labels: &'a [u8],
        has_label: &'a dyn Fn(&str) -> bool,
    ) -> Self {
        Self { out, family, headed, labels, names: has_label, evidence: "" }
    }

    /// With the URL of pages of targets, up to the name.
    pub(super) fn linking(self, evidence: &'a str) -> Self {
        Self { evidence, ..self }
    }

    /// The URL of the page of a target.
    pub(super) fn evidence_url(&self, name: &str) -> String {
        if self.evidence.is_empty() {
            return String::new();
        }
        format!("{}{}", self.evidence, utf8_percent_encode(name, SEGMENT))
    }

    /// Whether the target has a label of this name.
    pub(super) fn has_label(&self, name: &str) -> bool {
        (self.names)(name)
    }

    /// Writes one sample with the family's own labels.
    pub(super) fn sample(&mut self, own: &[(&str, &str)], value: f64) {
        self.suffixed("", own, value);
    }

    /// Writes one sample whose name is the family's with `suffix`.
    pub(super) fn suffixed(&mut self, suffix: &str, own: &[(&str, &str)], value: f64) {
        if !*self.headed {
            *self.headed = true;
            push_head(self.out, self.family);
        }
        let out = &mut *self.out;
        out.extend_from_slice(self.family.name.as_bytes());
        out.extend_from_slice(suffix.as_bytes());
        if !self.labels.is_empty() || !own.is_empty() {
            out.push(b'{');
            out.extend_from_slice(self.labels);
            for (index, (name, value)) in own.iter().enumerate() {
                push_label(out, index == 0 && self.labels.is_empty(), name, value);
            }
            out.push(b'}');
        }
        out.push(b' ');
        out.extend_from_slice(Number::new().format(value).as_bytes());
        out.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_short_and_whole_ones_have_no_point() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (1.0, "1"),
            (-1.0, "-1"),
            (1.1, "1.1"),
            (0.25, "0.25"),
            (200.0, "200"),
            (1_751_717_746.0, "1751717746"),
            (9_007_199_254_740_992.0, "9007199254740992"),
            (1_700_000_000.123, "1700000000.123"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(Number::new().format(value), text);
        }
    }

    #[test]
    fn label_values_are_escaped() {
        let mut out = Vec::new();
        push_escaped(&mut out, "a\\b\"c\nd \u{e9}\t");
        assert_eq!(String::from_utf8(out).unwrap(), "a\\\\b\\\"c\\nd \u{e9}\t");
    }

    proptest! {
        #[test]
        fn every_number_reads_back_as_itself(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            prop_assert_eq!(Number::new().format(value).parse::<f64>().unwrap(), value);
        }
    }
}
