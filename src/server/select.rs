//! Which targets somebody asks for, by words, labels and state: the query string of `/` and of `/api/v1/targets`.

use crate::config::Target;
use crate::server::standing::Standing;
use crate::state::{TargetSnapshot, Verdict};

/// More than anybody asks for; each costs time for each target.
const MOST_LABELS: usize = 32;
const LONGEST_TEXT: usize = 512;

/// Keeps what all of its parts keep; empty, it keeps everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Filter {
    /// As it was typed.
    pub(super) text: String,
    /// Name and value. Of one name any value will do, of several names each must.
    pub(super) labels: Vec<(String, String)>,
    /// Any of them.
    pub(super) states: Vec<Standing>,
}

impl Filter {
    pub(super) const PARAMETERS: [&str; 3] = ["q", "label", "state"];

    /// Takes a parameter up; false when it is not one of a filter. What is empty asks for nothing, as a form sends it.
    ///
    /// # Errors
    /// A sentence: what was found, and what would be right.
    pub(super) fn take(&mut self, name: &str, value: &str) -> Result<bool, String> {
        let known = Self::PARAMETERS.contains(&name);
        match name {
            _ if !known || value.trim().is_empty() => {}
            "q" if self.text.len() + value.len() > LONGEST_TEXT => {
                return Err(format!("q is longer than {LONGEST_TEXT} bytes"));
            }
            "label" if self.labels.len() >= MOST_LABELS => {
                return Err(format!("label is given more than {MOST_LABELS} times"));
            }
            "q" => {
                if !self.text.is_empty() {
                    self.text.push(' ');
                }
                self.text.push_str(value.trim());
            }
            "label" => self.labels.push(label(value)?),
            _ => {
                let state = Standing::from_label(value).ok_or_else(|| {
                    let known: Vec<&str> = Standing::ALL.iter().map(|standing| standing.as_label()).collect();
                    format!("state={value:?} is none of {}", known.join(", "))
                })?;
                if !self.states.contains(&state) {
                    self.states.push(state);
                }
            }
        }
        Ok(known)
    }

    /// By words and labels.
    pub(super) fn has(&self, target: &Target) -> bool {
        let labels_fit = self.labels.iter().all(|(name, _)| {
            let mut wanted = self.labels.iter().filter(|(other, _)| other == name);
            wanted.any(|(_, value)| target.labels.value(name).unwrap_or_default() == value)
        });
        labels_fit && self.has_words(target)
    }

    /// By state, as the page tells it.
    pub(super) fn has_standing(&self, standing: Standing) -> bool {
        self.states.is_empty() || self.states.contains(&standing)
    }

    /// By state, where `up`, `down` and `unknown` are the verdict.
    pub(super) fn has_verdict(&self, target: &TargetSnapshot) -> bool {
        self.states.is_empty()
            || self.states.iter().any(|state| match state {
                Standing::Up => target.verdict == Verdict::Up,
                Standing::Down => target.verdict == Verdict::Down,
                Standing::Unknown => target.verdict == Verdict::Unknown,
                Standing::Failing | Standing::Slow | Standing::Maintenance => Standing::of(target) == *state,
            })
    }

    /// Each word is in the name, the address, the module or a label; letters of either case.
    fn has_words(&self, target: &Target) -> bool {
        if self.text.is_empty() {
            return true;
        }
        let labels = target.labels.iter().flat_map(|(name, value)| [name, ":", value, " "]);
        let texts = [target.name.as_str(), target.display_name.as_deref().unwrap_or_default(), &target.address];
        let texts = texts.into_iter().chain([target.module.as_str()]).flat_map(|text| [text, "\n"]);
        let whole: String = texts.chain(labels).collect();
        let whole = whole.to_lowercase();
        self.text.split_whitespace().all(|word| whole.contains(&word.to_lowercase()))
    }
}

/// `team:web`; also `team=web`, as other places write it.
fn label(text: &str) -> Result<(String, String), String> {
    let split = text.find([':', '=']).map(|at| (text[..at].trim(), text[at + 1..].trim()));
    match split {
        Some((name, value)) if is_name(name) => Ok((name.to_owned(), value.to_owned())),
        _ => Err(format!("label={text:?} is not NAME:VALUE, such as team:web")),
    }
}

/// Whether a label can have this name.
pub(super) fn is_name(name: &str) -> bool {
    let head = name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    head && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::metrics::fixture::varied;

    fn filter(parameters: &[(&str, &str)]) -> Filter {
        let mut filter = Filter::default();
        for (name, value) in parameters {
            assert!(filter.take(name, value).unwrap(), "{name}");
        }
        filter
    }

    #[test]
    fn words_and_labels_narrow_and_values_of_one_label_widen() {
        for (parameters, names) in [
            (&[][..], &["expired", "gone", "mail", "new", "odd \"na\\me\" <&>/\u{e9}", "shop"][..]),
            (&[("q", "")], &["expired", "gone", "mail", "new", "odd \"na\\me\" <&>/\u{e9}", "shop"]),
            (&[("q", "E-MAIL")], &["mail"]),
            (&[("q", "team:web"), ("q", "shop")], &["shop"]),
            (&[("q", "\u{c9} quotes")], &["odd \"na\\me\" <&>/\u{e9}"]),
            (&[("q", "nothing like it")], &[]),
            (&[("label", "team:web")], &["shop"]),
            (&[("label", "team=web"), ("label", "team: post")], &["mail", "shop"]),
            (&[("label", "team:web"), ("label", "region:eu-west")], &["shop"]),
            (&[("label", "team:web"), ("label", "region:us")], &[]),
            (&[("label", "region:")], &["odd \"na\\me\" <&>/\u{e9}"]),
        ] {
            let filter = filter(parameters);
            let snapshot = varied();
            let kept = snapshot.targets.iter().filter(|target| filter.has(&target.target));
            assert_eq!(kept.map(|target| target.target.name.as_str()).collect::<Vec<_>>(), names, "{parameters:?}");
        }
    }

    #[test]
    fn a_state_is_what_the_page_says_or_the_verdict() {
        let snapshot = varied();
        let mail = snapshot.targets.iter().find(|target| target.target.name.as_str() == "mail").unwrap();
        let up = filter(&[("state", "up")]);
        assert!(!up.has_standing(Standing::of(mail)) && up.has_verdict(mail));
        let either = filter(&[("state", "maintenance"), ("state", "down"), ("state", "down"), ("state", "")]);
        assert_eq!(either.states.len(), 2);
        assert!(either.has_standing(Standing::of(mail)) && either.has_verdict(mail));
    }

    #[test]
    fn what_cannot_be_asked_for_is_named() {
        let mut filter = Filter::default();
        for (name, value, sentence) in [
            ("state", "broken", "state=\"broken\" is none of down, failing, unknown, slow, maintenance, up"),
            ("label", "team", "label=\"team\" is not NAME:VALUE, such as team:web"),
            ("label", ":web", "label=\":web\" is not NAME:VALUE, such as team:web"),
            ("label", "a b:\u{202e}", "label=\"a b:\\u{202e}\" is not NAME:VALUE, such as team:web"),
        ] {
            assert_eq!(filter.take(name, value).unwrap_err(), sentence);
        }
        assert!(!filter.take("page", "1").unwrap());
        assert_eq!(filter, Filter::default());
    }
}
