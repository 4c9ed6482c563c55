//! `path:` of `global` and of a target, each key by itself.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::Resolver;
use crate::config::problem::At;
use crate::config::raw::RawPath;
use crate::config::units::parse_duration;
use crate::config::{PathSettings, show_duration};

/// Good ways hardly change, and each trace is some 20 packets.
const EVERY: RangeInclusive<Duration> = Duration::from_secs(60)..=Duration::from_secs(7 * 86_400);

/// A trace is extra packets, as the re-checks are; without those it must be asked for.
pub(super) fn path_of(
    raw: Option<RawPath>,
    defaults: PathSettings,
    diagnose: bool,
    at: &At<'_>,
    r: &mut Resolver<'_>,
) -> PathSettings {
    let RawPath { enabled, every } = raw.unwrap_or_default();
    let at = at.key("every");
    let every = match &every {
        None => defaults.every,
        Some(text) if parse_duration(&text.0) == Ok(Duration::ZERO) => None,
        Some(text) if parse_duration(&text.0).is_ok_and(|every| !EVERY.contains(&every)) => {
            let (least, most) = (show_duration(*EVERY.start()), show_duration(*EVERY.end()));
            let text = text.0.trim();
            r.problems.add(&at, format!("{text} is out of bounds; it must be from {least} to {most}, or 0s for never"));
            None
        }
        Some(_) => r.duration(every, &at, EVERY),
    };
    PathSettings { enabled: enabled.unwrap_or(defaults.enabled && diagnose), every }
}
