//! Prometheus' relabelling, rule by rule as Prometheus executes it (its `model/relabel`).
//!
//! A label with an empty value does not exist. Where an action looks at each label, it does so in the order of their
//! names; Prometheus leaves that order open.

use std::collections::BTreeMap;

use md5::{Digest as _, Md5};
use regex::{Captures, Regex};

use super::scrape::RawRule;
use crate::config::anchored;

/// Labels by name; no value is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Labels(BTreeMap<String, String>);

impl Labels {
    /// The value, empty when there is no such label.
    pub(super) fn value(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// An empty value takes the label away.
    pub(super) fn set(&mut self, name: &str, value: impl Into<String>) {
        let value = value.into();
        if value.is_empty() {
            self.0.remove(name);
        } else {
            self.0.insert(name.to_owned(), value);
        }
    }

    pub(super) fn set_default(&mut self, name: &str, value: impl Into<String>) {
        if !self.0.contains_key(name) {
            self.set(name, value);
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    pub(super) fn retain(&mut self, mut keep: impl FnMut(&str) -> bool) {
        self.0.retain(|name, _| keep(name));
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Labels {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(labels: I) -> Self {
        let pairs = labels.into_iter().map(|(name, value)| (name.into(), value.into()));
        Self(pairs.filter(|(_, value): &(String, String)| !value.is_empty()).collect())
    }
}

/// One rule, checked.
#[derive(Debug)]
pub(super) struct Rule {
    source_labels: Vec<String>,
    separator: String,
    action: Action,
}

#[derive(Debug)]
enum Action {
    Replace { regex: Regex, target: String, replacement: String },
    Keep(Regex),
    Drop(Regex),
    KeepEqual(String),
    DropEqual(String),
    HashMod { target: String, modulus: u64 },
    LabelMap { regex: Regex, replacement: String },
    LabelDrop(Regex),
    LabelKeep(Regex),
    Lowercase(String),
    Uppercase(String),
}

/// Whether a target is still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Kept,
    Dropped,
}

impl Rule {
    /// # Errors
    /// A sentence: an action that is not known, a regular expression that cannot be compiled, a key that is missing.
    pub(super) fn new(raw: &RawRule) -> Result<Self, String> {
        let regex = || anchored(&raw.regex).map_err(|reason| format!("its regex cannot be compiled: {reason}"));
        let target = || match raw.target_label.as_str() {
            "" => Err("it has no target_label".to_owned()),
            target => Ok(target.to_owned()),
        };
        let action = match raw.action.to_ascii_lowercase().as_str() {
            "replace" => Action::Replace { regex: regex()?, target: target()?, replacement: raw.replacement.clone() },
            "keep" => Action::Keep(regex()?),
            "drop" => Action::Drop(regex()?),
            "keepequal" => Action::KeepEqual(target()?),
            "dropequal" => Action::DropEqual(target()?),
            "hashmod" => match u64::try_from(raw.modulus.unwrap_or(0)) {
                Ok(modulus) if modulus > 0 => Action::HashMod { target: target()?, modulus },
                Ok(_) | Err(_) => return Err("its modulus is not a positive number".to_owned()),
            },
            "labelmap" => Action::LabelMap { regex: regex()?, replacement: raw.replacement.clone() },
            "labeldrop" => Action::LabelDrop(regex()?),
            "labelkeep" => Action::LabelKeep(regex()?),
            "lowercase" => Action::Lowercase(target()?),
            "uppercase" => Action::Uppercase(target()?),
            _ => return Err(format!("its action {:?} is not known", raw.action)),
        };
        Ok(Self {
            source_labels: raw.source_labels.clone().unwrap_or_default(),
            separator: raw.separator.clone(),
            action,
        })
    }

    fn apply(&self, labels: &mut Labels) -> Verdict {
        let values: Vec<&str> = self.source_labels.iter().map(|name| labels.value(name)).collect();
        let value = values.join(&self.separator);
        let kept_if = |kept: bool| if kept { Verdict::Kept } else { Verdict::Dropped };
        match &self.action {
            Action::Keep(regex) => return kept_if(regex.is_match(&value)),
            Action::Drop(regex) => return kept_if(!regex.is_match(&value)),
            Action::KeepEqual(target) => return kept_if(labels.value(target) == value),
            Action::DropEqual(target) => return kept_if(labels.value(target) != value),
            Action::Replace { regex, target, replacement } => {
                if let Some(groups) = regex.captures(&value) {
                    let name = if target.contains('$') { expand(target, &groups) } else { target.clone() };
                    if !target.contains('$') || is_label_name(&name) {
                        labels.set(&name, expand(replacement, &groups));
                    }
                }
            }
            Action::HashMod { target, modulus } => {
                let hash: [u8; 16] = Md5::digest(value.as_bytes()).into();
                // The last eight bytes of the sixteen, big end first.
                let hash = hash[8..].iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
                labels.set(target, (hash % modulus).to_string());
            }
            Action::LabelMap { regex, replacement } => {
                for (name, value) in labels.clone().iter() {
                    if regex.is_match(name) {
                        let name = regex.replace_all(name, |groups: &Captures<'_>| expand(replacement, groups));
                        labels.set(&name, value);
                    }
                }
            }
            Action::LabelDrop(regex) => labels.retain(|name| !regex.is_match(name)),
            Action::LabelKeep(regex) => labels.retain(|name| regex.is_match(name)),
            Action::Lowercase(target) => labels.set(target, mapped(&value, char::to_lowercase)),
            Action::Uppercase(target) => labels.set(target, mapped(&value, char::to_uppercase)),
        }
        Verdict::Kept
    }
}

/// Executes the rules in their order, until one drops the target.
pub(super) fn relabel(rules: &[Rule], labels: &mut Labels) -> Verdict {
    let dropped = rules.iter().any(|rule| rule.apply(labels) == Verdict::Dropped);
    if dropped { Verdict::Dropped } else { Verdict::Kept }
}

fn is_label_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Letter by letter, as Go does it; a letter that would become several stays.
fn mapped<I: Iterator<Item = char>>(text: &str, map: impl Fn(char) -> I) -> String {
    let one = |c: char| {
        let mut letters = map(c);
        letters.next().filter(|_| letters.next().is_none()).unwrap_or(c)
    };
    text.chars().map(one).collect()
}

/// Go's templates: `$1`, `${1}`, `$name`, `$$`. A name is as long as it can be (`$1x` is a group named `1x`), one that is
/// no group is nothing, and a dollar sign before anything else is one.
fn expand(template: &str, groups: &Captures<'_>) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        rest = after;
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
            continue;
        }
        match group_name(rest) {
            Some((name, after)) => {
                out.push_str(group(name, groups));
                rest = after;
            }
            None => out.push('$'),
        }
    }
    out.push_str(rest);
    out
}

/// The name behind a dollar sign, and what follows it.
fn group_name(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_prefix('{').unwrap_or(text);
    let end = inner.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(inner.len());
    let (name, after) = inner.split_at(end);
    let after = if text.starts_with('{') { after.strip_prefix('}')? } else { after };
    (!name.is_empty()).then_some((name, after))
}

fn group<'g>(name: &str, groups: &Captures<'g>) -> &'g str {
    let is_number = name.bytes().all(|b| b.is_ascii_digit()) && (name == "0" || !name.starts_with('0'));
    let found =
        if is_number { name.parse().ok().and_then(|number: usize| groups.get(number)) } else { groups.name(name) };
    found.map_or("", |group| group.as_str())
}

#[cfg(test)]
mod tests;
