//! `maintenance:`: windows, and which targets they are for.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::{DateTime, Time, Weekday};
use jiff::tz::TimeZone;

use super::Resolver;
use crate::config::maintenance::{Maintenance, Weekly, When, Window};
use crate::config::notice::Audience;
use crate::config::problem::{At, shorten};
use crate::config::raw::{Entries, RawOnce, RawWeekly, RawWindow};
use crate::config::value::Glob;
use crate::config::{LabelSet, Target, TargetName};

/// A window with whom it is for.
pub(super) struct NamedWindow {
    window: Window,
    audience: Audience,
}

/// The windows of one target.
pub(super) fn maintenance_of(windows: &[NamedWindow], name: &TargetName, labels: &LabelSet) -> Maintenance {
    let mine = windows.iter().filter(|window| window.audience.has(name, labels)).map(|window| window.window.clone());
    Maintenance::new(mine.collect())
}

pub(super) fn windows(raw: Option<Vec<RawWindow>>, at: &At<'_>, r: &mut Resolver<'_>) -> Vec<NamedWindow> {
    let raw = raw.unwrap_or_default().into_iter().enumerate();
    raw.filter_map(|(index, raw)| window(raw, &at.index(index), r)).collect()
}

/// A window that is for nobody is most likely a slip.
pub(super) fn warn_unused(windows: &[NamedWindow], targets: &[Arc<Target>], at: &At<'_>, r: &mut Resolver<'_>) {
    for (index, window) in windows.iter().enumerate() {
        if !targets.iter().any(|target| window.audience.has(&target.name, &target.labels)) {
            r.warn(&at.index(index), "is for no target that there is");
        }
    }
}

fn window(raw: RawWindow, at: &At<'_>, r: &mut Resolver<'_>) -> Option<NamedWindow> {
    let RawWindow { name, targets, labels, time_zone, once, weekly } = raw;
    let zone = zone(time_zone, &at.key("time_zone"), r);
    let audience = audience(targets, labels, at, r);
    r.at_most_one(at, &[("once", once.is_some()), ("weekly", weekly.is_some())]);
    let when = match (once, weekly) {
        (Some(raw), _) => once_of(raw, zone?, &at.key("once"), r),
        (None, Some(raw)) => weekly_of(raw, zone?, &at.key("weekly"), r),
        (None, None) => {
            r.problems.add(at, "needs once or weekly, to say when it is");
            None
        }
    };
    Some(NamedWindow { window: Window { name: name.unwrap_or_default().into(), when: when? }, audience })
}

/// Whom something is for; somebody must be named.
pub(super) fn audience(
    targets: Option<Vec<String>>,
    labels: Option<Entries<String>>,
    at: &At<'_>,
    r: &mut Resolver<'_>,
) -> Audience {
    let names: Vec<Glob> = targets.unwrap_or_default().iter().map(|text| Glob::new(text)).collect();
    let labels = labels.map(|labels| labels.0).unwrap_or_default();
    let labels: Vec<(String, Glob)> = labels.into_iter().map(|(name, value)| (name, Glob::new(&value))).collect();
    if names.is_empty() && labels.is_empty() {
        r.problems.add(at, "needs targets or labels, to say whom it is for; targets: [\"*\"] is everyone");
    }
    Audience { names, labels }
}

fn zone(raw: Option<String>, at: &At<'_>, r: &mut Resolver<'_>) -> Option<TimeZone> {
    let Some(name) = raw.filter(|name| !name.is_empty()) else { return Some(TimeZone::UTC) };
    let zone = TimeZone::get(&name).ok();
    if zone.is_none() {
        let name = shorten(&name);
        r.problems.add(at, format!("{name:?} is not a time zone; write it like Europe/Berlin or UTC"));
    }
    zone
}

fn once_of(raw: RawOnce, zone: TimeZone, at: &At<'_>, r: &mut Resolver<'_>) -> Option<When> {
    let start = moment(raw.start, &zone, &at.key("start"), r);
    let end = moment(raw.end, &zone, &at.key("end"), r);
    let (start, end) = (start?, end?);
    if start >= end {
        r.problems.add(&at.key("end"), "is not after the start");
        return None;
    }
    Some(When::Once { start, end })
}

/// With an offset it is a moment by itself; without one it is local time.
pub(super) fn moment(raw: Option<String>, zone: &TimeZone, at: &At<'_>, r: &mut Resolver<'_>) -> Option<Timestamp> {
    let text = r.required(raw, at)?;
    let local = || text.parse::<DateTime>().ok().and_then(|local| zone.to_ambiguous_timestamp(local).compatible().ok());
    let moment = text.parse::<Timestamp>().ok().or_else(local);
    if moment.is_none() {
        let text = shorten(&text);
        r.problems.add(at, format!("{text:?} is not a time; write it like 2026-12-01T22:00, or with an offset"));
    }
    moment
}

fn weekly_of(raw: RawWeekly, zone: TimeZone, at: &At<'_>, r: &mut Resolver<'_>) -> Option<When> {
    let RawWeekly { days, start, end } = raw;
    let days = days_of(days, &at.key("days"), r);
    let start = time(start, &at.key("start"), r);
    let end = time(end, &at.key("end"), r);
    Some(When::Weekly(Weekly { zone, days: days?, start: start?, end: end? }))
}

/// Without any, every day.
fn days_of(raw: Option<Vec<String>>, at: &At<'_>, r: &mut Resolver<'_>) -> Option<Vec<Weekday>> {
    const DAYS: [(&str, Weekday); 7] = [
        ("monday", Weekday::Monday),
        ("tuesday", Weekday::Tuesday),
        ("wednesday", Weekday::Wednesday),
        ("thursday", Weekday::Thursday),
        ("friday", Weekday::Friday),
        ("saturday", Weekday::Saturday),
        ("sunday", Weekday::Sunday),
    ];
    let Some(texts) = raw.filter(|days| !days.is_empty()) else { return Some(DAYS.map(|(_, day)| day).to_vec()) };
    let mut days = Vec::new();
    let before = r.problems.count();
    for (index, text) in texts.iter().enumerate() {
        let lower = text.to_ascii_lowercase();
        match DAYS.iter().find(|(name, _)| lower == *name || (lower.len() == 3 && name.starts_with(&lower))) {
            Some((_, day)) if days.contains(day) => {}
            Some((_, day)) => days.push(*day),
            None => {
                let text = shorten(text);
                r.problems.add(&at.index(index), format!("{text:?} is not a day; write it like mon or monday"));
            }
        }
    }
    (r.problems.count() == before).then_some(days)
}

fn time(raw: Option<String>, at: &At<'_>, r: &mut Resolver<'_>) -> Option<Time> {
    let text = r.required(raw, at)?;
    // The end of a day is the start of the next.
    let time = if text == "24:00" { Some(Time::midnight()) } else { text.parse().ok() };
    if time.is_none() {
        let text = shorten(&text);
        r.problems.add(at, format!("{text:?} is not a time of the day; write it like 22:00"));
    }
    time
}
