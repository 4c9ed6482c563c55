//! The operator's words about an outage: cause, what is being done, when there will be news.

use jiff::Timestamp;

use super::value::Glob;
use super::{LabelSet, TargetName};

/// Words for whom they are for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// What is known of the cause; may be empty.
    pub cause: String,
    /// What is being done; may be empty.
    pub action: String,
    pub next_update: Option<Timestamp>,
    pub audience: Audience,
}

/// Targets by name and label: one of the names matches, if there are any, and all of the labels do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audience {
    pub names: Vec<Glob>,
    pub labels: Vec<(String, Glob)>,
}

impl Audience {
    pub fn has(&self, name: &TargetName, labels: &LabelSet) -> bool {
        (self.names.is_empty() || self.names.iter().any(|glob| glob.matches(name.as_str())))
            && self.labels.iter().all(|(name, glob)| glob.matches(labels.value(name).unwrap_or_default()))
    }
}
