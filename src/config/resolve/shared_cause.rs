//! `global.shared_cause`: what it takes to say that targets fail by one cause.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::Resolver;
use crate::config::problem::At;
use crate::config::raw::RawSharedCause;
use crate::config::{LabelSet, SharedCauseSettings};

const MIN_TARGETS: RangeInclusive<i64> = 3..=1000;
const MAX_CAUSES: RangeInclusive<i64> = 0..=100;
const WINDOWS: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(86_400);
const MOST_LABELS: usize = 16;

pub(super) fn shared_cause(raw: Option<RawSharedCause>, at: &At<'_>, r: &mut Resolver<'_>) -> SharedCauseSettings {
    let mut settings = SharedCauseSettings::default();
    let RawSharedCause { labels, min_targets, min_share, window, max_causes } = raw.unwrap_or_default();
    settings.labels = labels_of(labels.unwrap_or_default(), &at.key("labels"), r);
    let number = |value, range: RangeInclusive<i64>, key: &str, why: &str, r: &mut Resolver<'_>| {
        let value: i64 = value?;
        if let (true, Ok(number)) = (range.contains(&value), usize::try_from(value)) {
            return Some(number);
        }
        let (from, to) = (range.start(), range.end());
        r.problems.add(&at.key(key), format!("{value} is out of bounds; it must be from {from} ({why}) to {to}"));
        None
    };
    let why = "two fail together by chance";
    if let Some(targets) = number(min_targets, MIN_TARGETS, "min_targets", why, r) {
        settings.min_targets = targets;
    }
    if let Some(causes) = number(max_causes, MAX_CAUSES, "max_causes", "none is told", r) {
        settings.max_causes = causes;
    }
    match min_share {
        None => {}
        Some(share) if (0.5..=1.0).contains(&share) => settings.min_share = share,
        Some(share) => {
            let message = format!("{share} is not a share from 0.5 to 1; what most targets survive is not their cause");
            r.problems.add(&at.key("min_share"), message);
        }
    }
    if let Some(window) = r.duration(window, &at.key("window"), WINDOWS) {
        settings.window = window;
    }
    settings
}

/// Labels that no target has are fine: targets come and go.
fn labels_of(raw: Vec<String>, at: &At<'_>, r: &mut Resolver<'_>) -> Vec<String> {
    if raw.len() > MOST_LABELS {
        r.problems.add(at, format!("has {} labels; at most {MOST_LABELS} are allowed", raw.len()));
    }
    let mut labels = Vec::new();
    for (index, name) in raw.into_iter().enumerate() {
        let at = at.index(index);
        if let Err(error) = LabelSet::check_name(&name) {
            r.problems.add(&at, error.to_string());
        } else if labels.contains(&name) {
            r.problems.add(&at, format!("{name:?} is there twice"));
        } else {
            labels.push(name);
        }
    }
    labels
}
