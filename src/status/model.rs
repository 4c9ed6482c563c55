//! What the site says: facts -> services, incidents, maintenance. Pure. Written as `status.json`, whose schema this is.
//!
//! All figures of a service are read off one list of segments, so no two of them can contradict each other. Nothing of a
//! target goes in but its `display_name`, the value of its group label, and the operator's words.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use serde::{Deserialize, Serialize};

use super::ask::{DAYS, Facts, Target, Words};
use super::config::{Settings, Unnamed};
use crate::report::spans::overlap;
use crate::report::timeline::{Scope, Stretch, align, evaluate};

pub(super) const SCHEMA: u32 = 1;
/// Outages of one service with less time between them are one incident.
const JOINED: f64 = 300.0;
const DAY: f64 = 86_400.0;

/// The worse, the higher: a service is as bad as its worst target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum State {
    Operational,
    #[default]
    Unknown,
    Maintenance,
    /// Down from some places.
    Affected,
    /// Down from everywhere.
    Outage,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Site {
    pub(super) schema: u32,
    pub(super) name: String,
    pub(super) url: String,
    /// When this was written.
    pub(super) written_at: Timestamp,
    /// When the newest measurement was made.
    pub(super) measured_at: Option<Timestamp>,
    /// Whether the measurements are new enough to say how things are now.
    pub(super) current: bool,
    /// The worst of the services; `unknown` when the measurements are old.
    pub(super) state: State,
    pub(super) services: Vec<Service>,
    /// Those that go on, then those that are over; the newest first.
    pub(super) incidents: Vec<Incident>,
    /// The operator's words where nothing is down.
    pub(super) announcements: Vec<Announcement>,
    pub(super) maintenance: Vec<Maintenance>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Service {
    /// Stable, made of the name; the name of its badge.
    pub(super) id: String,
    pub(super) name: String,
    pub(super) group: Option<String>,
    pub(super) state: State,
    /// When it came to be in this state, if it is a bad one.
    pub(super) since: Option<Timestamp>,
    pub(super) uptime: Uptime,
    pub(super) latency_seconds: Option<f64>,
    /// The oldest first; the last is today.
    pub(super) days: Vec<Day>,
}

/// Shares of the time in which it was up for most users, maintenance aside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Uptime {
    pub(super) last_24_hours: Option<f64>,
    pub(super) last_7_days: Option<f64>,
    pub(super) last_30_days: Option<f64>,
    pub(super) last_90_days: Option<f64>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Day {
    /// In the site's time zone.
    pub(super) date: String,
    /// The worst that there was; `unknown` if nothing was measured.
    pub(super) state: State,
    /// Seconds that it was down for most users.
    pub(super) downtime_seconds: u64,
    /// Seconds that it was down for some.
    pub(super) affected_seconds: u64,
    pub(super) maintenance_seconds: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Incident {
    pub(super) id: String,
    /// By name.
    pub(super) services: Vec<String>,
    /// What customers call the places, if only some of them were affected.
    pub(super) regions: Vec<String>,
    /// The worst that it had.
    pub(super) state: State,
    pub(super) start: Timestamp,
    /// `null`: it goes on.
    pub(super) end: Option<Timestamp>,
    /// The operator's words, the latest ones.
    pub(super) cause: String,
    pub(super) action: String,
    pub(super) next_update: Option<Timestamp>,
    /// What was said when, the latest first.
    pub(super) updates: Vec<Update>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Update {
    pub(super) at: Timestamp,
    pub(super) cause: String,
    pub(super) action: String,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Announcement {
    pub(super) services: Vec<String>,
    pub(super) cause: String,
    pub(super) action: String,
    pub(super) next_update: Option<Timestamp>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Maintenance {
    pub(super) services: Vec<String>,
    pub(super) under_way: bool,
    pub(super) start: Option<Timestamp>,
    pub(super) end: Option<Timestamp>,
}

/// A time in which nothing changed for a service. Unix seconds.
#[derive(Clone, Debug, PartialEq)]
struct Segment {
    from: f64,
    to: f64,
    state: State,
    /// Up or down for most users, if that can be said: what objectives count.
    judged: Option<bool>,
    places: BTreeSet<String>,
}

/// What the facts come to, and warnings for whoever runs this.
pub(super) fn build(facts: &Facts, settings: &Settings, now: f64) -> (Site, Vec<String>) {
    let mut warnings = Vec::new();
    let mut members: BTreeMap<&str, Vec<(&str, &Target)>> = BTreeMap::new();
    for (name, target) in &facts.targets {
        match (&target.display_name, settings.unnamed) {
            (Some(shown), _) => members.entry(shown.as_str()).or_default().push((name.as_str(), target)),
            (None, Unnamed::Show) => members.entry(name.as_str()).or_default().push((name.as_str(), target)),
            (None, Unnamed::Hide) => warnings.push(format!(
                "the target {name:?} is public and has no display_name, so it is not on the site; \
                 give it one, or set unnamed: show"
            )),
        }
    }
    let measured = facts.measured.filter(|measured| *measured <= now + 60.0);
    let current = measured.is_some_and(|measured| now - measured <= settings.stale_after.as_secs_f64());
    let mut ids = Ids::default();
    let mut site = Site {
        schema: SCHEMA,
        name: settings.name.clone(),
        url: settings.url.to_string(),
        written_at: timestamp(now),
        measured_at: measured.map(timestamp),
        current,
        ..Site::default()
    };
    let mut said: BTreeMap<Words, Vec<String>> = BTreeMap::new();
    let mut windows: BTreeMap<(bool, Option<Timestamp>, Option<Timestamp>), Vec<String>> = BTreeMap::new();
    for (name, targets) in &members {
        let segments = combine(targets.iter().map(|(_, target)| segments(target, now)).collect());
        let scoped = targets.iter().map(|(_, target)| scoped(target)).collect::<Option<Vec<State>>>();
        let last = segments.last().filter(|last| last.to >= now - 1.0);
        let state = match scoped {
            Some(states) => states.into_iter().max().unwrap_or_default(),
            None => last.map_or(State::Unknown, |last| last.state),
        };
        let id = ids.of(name);
        let incidents = incidents(&id, name, &segments, facts, settings, now);
        let notice =
            targets.iter().find_map(|(name, target)| settings.notices.of(name, &target.labels, &target.notice));
        let goes_on = incidents.iter().any(|incident| incident.end.is_none());
        for mut incident in incidents {
            if let (None, Some(words)) = (incident.end, &notice) {
                incident.say(words);
            }
            site.incidents.push(incident);
        }
        if let (false, Some(words)) = (goes_on, notice) {
            said.entry(words).or_default().push((*name).to_owned());
        }
        let mut mine: Vec<(bool, Option<f64>, Option<f64>)> = Vec::new();
        for (_, target) in targets {
            let window = target.window;
            if target.maintenance_now {
                mine.push((true, window.map(|window| window.0), window.map(|window| window.1)));
            } else if let Some((start, end)) = window.filter(|window| window.0 > now) {
                mine.push((false, Some(start), Some(end)));
            }
        }
        mine.dedup();
        for (on, start, end) in mine {
            let services = windows.entry((on, start.map(timestamp), end.map(timestamp))).or_default();
            if !services.iter().any(|service| service.as_str() == *name) {
                services.push((*name).to_owned());
            }
        }
        let within = |seconds: f64| uptime(&segments, (now - seconds, now));
        site.services.push(Service {
            id,
            name: (*name).to_owned(),
            group: targets.iter().find_map(|(_, target)| settings.group_of(&target.labels)),
            state,
            since: (state >= State::Maintenance).then(|| since(&segments, state)).flatten().map(timestamp),
            uptime: Uptime {
                last_24_hours: within(DAY),
                last_7_days: within(7.0 * DAY),
                last_30_days: within(30.0 * DAY),
                last_90_days: within(f64::from(DAYS) * DAY),
            },
            latency_seconds: targets.iter().filter_map(|(_, target)| target.latency).reduce(f64::max),
            days: days(&segments, &settings.time_zone, now),
        });
    }
    let order = |service: &Service| service.group.as_ref().map(|group| settings.place_of_group(group));
    site.services
        .sort_by(|one, other| (order(one), &one.group, &one.name).cmp(&(order(other), &other.group, &other.name)));
    site.state = if current {
        site.services.iter().map(|service| service.state).max().unwrap_or_default()
    } else {
        State::Unknown
    };
    sort(&mut site.incidents);
    site.announcements = said
        .into_iter()
        .map(|(Words { cause, action, next_update }, services)| Announcement { services, cause, action, next_update })
        .collect();
    site.maintenance = windows
        .into_iter()
        .map(|((under_way, start, end), services)| Maintenance { services, under_way, start, end })
        .collect();
    site.maintenance.sort_by_key(|window| (!window.under_way, window.start));
    (site, warnings)
}

impl Site {
    /// The same once more, at a time at which nothing new is known.
    pub(super) fn aged(&self, settings: &Settings, now: f64) -> Self {
        Self {
            name: settings.name.clone(),
            url: settings.url.to_string(),
            written_at: timestamp(now),
            current: false,
            state: State::Unknown,
            ..self.clone()
        }
    }

    pub(super) fn ongoing(&self) -> impl Iterator<Item = &Incident> {
        self.incidents.iter().filter(|incident| incident.end.is_none())
    }
}

impl Incident {
    fn say(&mut self, words: &Words) {
        self.cause.clone_from(&words.cause);
        self.action.clone_from(&words.action);
        self.next_update = words.next_update;
    }

    pub(super) fn seconds(&self, now: Timestamp) -> f64 {
        seconds(self.end.unwrap_or(now)) - seconds(self.start)
    }
}

/// Those that go on, then the others, the newest first.
pub(super) fn sort(incidents: &mut [Incident]) {
    incidents.sort_by(|one, other| {
        (one.end.is_some(), other.start, &one.id).cmp(&(other.end.is_some(), one.start, &other.id))
    });
}

/// Services of which the operator says the same are one incident. The archive has them one by one, since the words may differ
/// again.
pub(super) fn join(incidents: &mut Vec<Incident>) {
    let mut joined: Vec<Incident> = Vec::new();
    for incident in incidents.drain(..) {
        let spoken = !incident.cause.is_empty() || !incident.action.is_empty();
        let same = |other: &&mut Incident| {
            spoken && other.end.is_none() && (&other.cause, &other.action) == (&incident.cause, &incident.action)
        };
        match joined.iter_mut().find(same) {
            Some(other) if incident.end.is_none() => {
                if incident.start < other.start {
                    (other.start, other.id) = (incident.start, incident.id);
                }
                other.state = other.state.max(incident.state);
                other.services.extend(incident.services);
                other.regions.extend(incident.regions);
                other.regions.sort();
                other.regions.dedup();
            }
            Some(_) | None => joined.push(incident),
        }
    }
    *incidents = joined;
}

/// By the rules' word, where they have one.
fn scoped(target: &Target) -> Option<State> {
    if target.maintenance_now {
        return Some(State::Maintenance);
    }
    Some(match target.scope.as_deref()? {
        "global" => State::Outage,
        "multi-region" | "single-region" | "intermittent" => State::Affected,
        "none" => State::Operational,
        _ => State::Unknown,
    })
}

fn segments(target: &Target, now: f64) -> Vec<Segment> {
    let mut watches = target.watches.clone();
    watches.sort_by(|one, other| one.vantage.cmp(&other.vantage));
    align(&mut watches);
    let timeline = evaluate(&watches, now);
    let segment = |stretch: &Stretch| Segment {
        from: stretch.from,
        to: stretch.to,
        state: match stretch.scope() {
            _ if stretch.maintenance => State::Maintenance,
            Some(Scope::Global) => State::Outage,
            Some(Scope::MultiRegion | Scope::SingleRegion) => State::Affected,
            Some(Scope::Unknown) => State::Unknown,
            None if stretch.is_known() => State::Operational,
            None => State::Unknown,
        },
        judged: stretch.verdict(),
        places: stretch.down.iter().filter_map(|place| timeline.places.get(*place)).cloned().collect(),
    };
    timeline.stretches.iter().map(segment).collect()
}

/// As bad as the worst at each moment.
fn combine(all: Vec<Vec<Segment>>) -> Vec<Segment> {
    if let [_] = all.as_slice() {
        return all.into_iter().next().unwrap_or_default();
    }
    let mut edges: Vec<f64> = all.iter().flatten().flat_map(|segment| [segment.from, segment.to]).collect();
    edges.sort_by(f64::total_cmp);
    edges.dedup();
    let mut positions = vec![0; all.len()];
    let mut combined: Vec<Segment> = Vec::new();
    for pair in edges.windows(2) {
        let (from, to) = (pair[0], pair[1]);
        let mut now: Option<Segment> = None;
        for (segments, position) in all.iter().zip(&mut positions) {
            while segments.get(*position).is_some_and(|segment| segment.to <= from) {
                *position += 1;
            }
            let Some(segment) = segments.get(*position).filter(|segment| segment.from <= from) else { continue };
            match &mut now {
                None => now = Some(Segment { from, to, ..segment.clone() }),
                Some(worst) => {
                    worst.state = worst.state.max(segment.state);
                    worst.judged = match (worst.judged, segment.judged) {
                        (Some(one), Some(other)) => Some(one && other),
                        (one, other) => one.or(other),
                    };
                    worst.places.extend(segment.places.iter().cloned());
                }
            }
        }
        combined.extend(now);
    }
    combined
}

/// When the state came that holds at the end.
fn since(segments: &[Segment], state: State) -> Option<f64> {
    let mut since = None;
    let bad = |segment: &Segment| {
        if state >= State::Affected { segment.state >= State::Affected } else { segment.state == state }
    };
    for segment in segments.iter().rev() {
        if !bad(segment) || since.is_some_and(|since| segment.to < since - JOINED) {
            break;
        }
        since = Some(segment.from);
    }
    since
}

fn incidents(
    id: &str,
    name: &str,
    segments: &[Segment],
    facts: &Facts,
    settings: &Settings,
    now: f64,
) -> Vec<Incident> {
    let mut runs: Vec<Vec<&Segment>> = Vec::new();
    for segment in segments.iter().filter(|segment| segment.state >= State::Affected) {
        match runs.last_mut() {
            Some(run) if run.last().is_some_and(|last| segment.from - last.to < JOINED) => run.push(segment),
            _ => runs.push(vec![segment]),
        }
    }
    let mut all = Vec::new();
    for run in runs {
        let (Some(first), Some(last)) = (run.first(), run.last()) else { continue };
        let goes_on = last.to >= now - 1.0;
        let shortest = settings.shortest_incident.as_secs_f64();
        if (!goes_on && last.to - first.from < shortest) || last.to < now - f64::from(DAYS) * DAY {
            continue;
        }
        let state = run.iter().map(|segment| segment.state).max().unwrap_or_default();
        let places: BTreeSet<&String> = run.iter().flat_map(|segment| &segment.places).collect();
        let mut regions: Vec<String> = places.iter().filter_map(|place| facts.regions.get(*place)).cloned().collect();
        regions.sort();
        regions.dedup();
        all.push(Incident {
            id: format!("{id}-{:.0}", first.from.floor()),
            services: vec![name.to_owned()],
            regions: if state == State::Outage { Vec::new() } else { regions },
            state,
            start: timestamp(first.from),
            end: (!goes_on).then(|| timestamp(last.to)),
            ..Incident::default()
        });
    }
    all
}

fn uptime(segments: &[Segment], window: (f64, f64)) -> Option<f64> {
    let (mut judged, mut missed) = (0.0, 0.0);
    for segment in segments {
        let seconds = overlap((segment.from, segment.to), window);
        if let Some(up) = segment.judged {
            judged += seconds;
            missed += if up { 0.0 } else { seconds };
        }
    }
    (judged > 0.0).then(|| 1.0 - missed / judged)
}

fn days(segments: &[Segment], zone: &TimeZone, now: f64) -> Vec<Day> {
    let today = timestamp(now).to_zoned(zone.clone()).date();
    let start_of = |date: jiff::civil::Date| date.to_zoned(zone.clone()).map(|at| seconds(at.timestamp())).ok();
    let mut days = Vec::new();
    for back in (0..DAYS).rev() {
        let Ok(date) = today.checked_sub(i64::from(back).days()) else { continue };
        let (Some(from), Some(to)) = (start_of(date), date.tomorrow().ok().and_then(start_of)) else { continue };
        let mut day = Day { date: date.to_string(), ..Day::default() };
        let (mut down, mut affected, mut maintenance, mut known) = (0.0, 0.0, 0.0, 0.0);
        for segment in segments {
            let seconds = overlap((segment.from, segment.to), (from, to.min(now)));
            if seconds <= 0.0 {
                continue;
            }
            match segment.state {
                State::Maintenance => maintenance += seconds,
                State::Operational => known += seconds,
                State::Unknown => {}
                State::Affected | State::Outage => {
                    day.state = day.state.max(segment.state);
                    if segment.judged == Some(false) { down += seconds } else { affected += seconds }
                }
            }
        }
        if day.state < State::Affected {
            day.state = if maintenance > 0.0 {
                State::Maintenance
            } else if known > 0.0 {
                State::Operational
            } else {
                State::Unknown
            };
        }
        (day.downtime_seconds, day.affected_seconds) = (whole(down), whole(affected));
        day.maintenance_seconds = whole(maintenance);
        days.push(day);
    }
    days
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not below zero")]
fn whole(seconds: f64) -> u64 {
    seconds.max(0.0).round() as u64
}

/// Names for addresses: small letters, digits and hyphens, none twice.
#[derive(Default)]
struct Ids(BTreeSet<String>);

impl Ids {
    fn of(&mut self, name: &str) -> String {
        let mut id = String::new();
        for c in name.chars().flat_map(char::to_lowercase) {
            match c {
                'a'..='z' | '0'..='9' => id.push(c),
                'ä' => id.push_str("ae"),
                'ö' => id.push_str("oe"),
                'ü' => id.push_str("ue"),
                'ß' => id.push_str("ss"),
                _ if id.ends_with('-') || id.is_empty() => {}
                _ => id.push('-'),
            }
        }
        let id = id.trim_end_matches('-');
        let id = if id.is_empty() { "service" } else { id };
        let mut unique = id.to_owned();
        let mut number = 2;
        while !self.0.insert(unique.clone()) {
            unique = format!("{id}-{number}");
            number += 1;
        }
        unique
    }
}

/// To the second.
pub(super) fn timestamp(seconds: f64) -> Timestamp {
    #[expect(clippy::cast_possible_truncation, reason = "saturates, and is clamped")]
    let whole = (seconds.floor() as i64).clamp(Timestamp::MIN.as_second(), Timestamp::MAX.as_second());
    Timestamp::from_second(whole).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[expect(clippy::cast_precision_loss, reason = "seconds of any real date are below 2^53")]
pub(super) fn seconds(at: Timestamp) -> f64 {
    at.as_second() as f64
}
