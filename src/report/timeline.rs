//! One target's time, judged moment by moment by the rules of scope: what alerting/prometheus records, without its delays.
//!
//! Everything that a report says of a target, its incidents with scope and regions, downtime, and what objectives count,
//! is read off one list of stretches, so that no two of its figures can contradict each other.

use std::collections::BTreeMap;

use super::spans::Spans;
use super::watch::Watch;

/// A place that fell silent is expected to report for so long.
const EXPECTED: f64 = 3_600.0;

#[derive(Debug)]
pub(crate) struct Timeline {
    /// In order, each beginning where the one before ended.
    pub(crate) stretches: Vec<Stretch>,
    /// Names of the places.
    pub(crate) places: Vec<String>,
}

/// A time in which nothing changed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Stretch {
    pub(crate) from: f64,
    pub(crate) to: f64,
    /// Places that are down, by number.
    pub(crate) down: Vec<usize>,
    /// Vantages of those places that see it down, by number.
    pub(crate) seen_by: Vec<usize>,
    pub(crate) places: usize,
    expected: usize,
    votes: usize,
    votes_down: usize,
    pub(crate) maintenance: bool,
}

/// How widely the target is down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scope {
    /// Too few places report to say.
    Unknown,
    SingleRegion,
    MultiRegion,
    Global,
}

impl Scope {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::SingleRegion => "single-region",
            Self::MultiRegion => "multi-region",
            Self::Global => "global",
        }
    }
}

impl Stretch {
    pub(crate) fn is_down(&self) -> bool {
        !self.down.is_empty()
    }

    pub(crate) fn is_known(&self) -> bool {
        self.votes > 0
    }

    /// Every vantage that has a word sees it down.
    pub(crate) fn is_down_everywhere(&self) -> bool {
        self.votes > 0 && self.votes_down == self.votes
    }

    pub(crate) fn scope(&self) -> Option<Scope> {
        Some(match self.down.len() {
            0 => return None,
            _ if self.too_few() => Scope::Unknown,
            down if 4 * down > 3 * self.places && 4 * self.votes_down > 3 * self.votes => Scope::Global,
            1 => Scope::SingleRegion,
            _ => Scope::MultiRegion,
        })
    }

    /// `target:up:bool`: what objectives count. `None` while too few report, and in maintenance.
    pub(crate) fn verdict(&self) -> Option<bool> {
        let down = self.down.len();
        (!self.maintenance && self.places > 0 && !self.too_few())
            .then_some(2 * down < self.places || (down < 2 && self.places > 1))
    }

    fn too_few(&self) -> bool {
        2 * self.places <= self.expected
    }
}

/// What may change at a moment.
#[derive(Clone, Copy)]
enum Change {
    Known(usize),
    Down(usize),
    Maintenance,
    Expected(usize),
}

/// Judges the time up to `until`.
pub(crate) fn evaluate(watches: &[Watch], until: f64) -> Timeline {
    let mut numbers: BTreeMap<&str, usize> = BTreeMap::new();
    for watch in watches {
        numbers.entry(watch.vantage.place()).or_default();
    }
    for (number, value) in numbers.values_mut().enumerate() {
        *value = number;
    }
    let place_of: Vec<usize> = watches.iter().map(|watch| numbers[watch.vantage.place()]).collect();

    let mut changes: Vec<(f64, i32, Change)> = Vec::new();
    let mut between = |from: f64, to: f64, change: Change| {
        let to = to.min(until);
        if from < to {
            changes.extend([(from, 1, change), (to, -1, change)]);
        }
    };
    let mut expected = vec![Spans::default(); numbers.len()];
    for (number, watch) in watches.iter().enumerate() {
        let expected = &mut expected[place_of[number]];
        for (from, to) in watch.known.iter() {
            between(from, to, Change::Known(number));
            expected.add(from, to + EXPECTED);
        }
        for outage in &watch.outages {
            between(outage.start.at, outage.until(until), Change::Down(number));
            expected.add(outage.start.at, outage.until(until) + EXPECTED);
        }
        for (from, to) in watch.maintenance.iter() {
            between(from, to, Change::Maintenance);
        }
    }
    for (place, spans) in expected.iter().enumerate() {
        for (from, to) in spans.iter() {
            between(from, to, Change::Expected(place));
        }
    }
    changes.sort_by(|one, other| one.0.total_cmp(&other.0));

    let mut known = vec![0; watches.len()];
    let mut down = vec![0; watches.len()];
    let mut expected = vec![0; numbers.len()];
    let mut maintenance = 0;
    let mut stretches: Vec<Stretch> = Vec::new();
    for (position, (moment, by, change)) in changes.iter().enumerate() {
        match change {
            Change::Known(vantage) => known[*vantage] += by,
            Change::Down(vantage) => down[*vantage] += by,
            Change::Maintenance => maintenance += by,
            Change::Expected(place) => expected[*place] += by,
        }
        let Some((next, ..)) = changes.get(position + 1).filter(|(next, ..)| next > moment) else { continue };
        let mut votes = vec![(0, 0); numbers.len()];
        for (vantage, place) in place_of.iter().enumerate() {
            votes[*place].0 += usize::from(known[vantage] > 0 || down[vantage] > 0);
            votes[*place].1 += usize::from(down[vantage] > 0);
        }
        let places_down: Vec<usize> =
            (0..votes.len()).filter(|place| votes[*place].1 > 0 && 2 * votes[*place].1 >= votes[*place].0).collect();
        stretches.push(Stretch {
            from: *moment,
            to: *next,
            seen_by: (0..watches.len())
                .filter(|vantage| down[*vantage] > 0 && places_down.contains(&place_of[*vantage]))
                .collect(),
            down: places_down,
            places: votes.iter().filter(|(all, _)| *all > 0).count(),
            expected: expected.iter().filter(|count| **count > 0).count(),
            votes: votes.iter().map(|(all, _)| all).sum(),
            votes_down: votes.iter().map(|(_, down)| down).sum(),
            maintenance: maintenance > 0,
        });
    }
    Timeline { stretches, places: numbers.into_keys().map(str::to_owned).collect() }
}

/// Outages that no scrape saw are moved, within what is known of their place, to where others saw the target down: it is
/// likelier that several vantages saw one outage than that each saw one of its own.
pub(crate) fn align(watches: &mut [Watch]) {
    /// From when to when each of them may have been.
    type Range = (f64, f64);
    let mut hidden: Vec<(Range, usize, usize)> = Vec::new();
    for (number, watch) in watches.iter().enumerate() {
        for (index, outage) in watch.outages.iter().enumerate() {
            hidden.extend(outage.within.map(|range| (range, number, index)));
        }
    }
    hidden.sort_by(|one, other| one.0.0.total_cmp(&other.0.0));
    let mut group: Vec<(Range, usize, usize)> = Vec::new();
    let mut common: Range = (f64::MIN, f64::MAX);
    for (range, number, index) in hidden {
        let (from, to) = (range.0.max(common.0), range.1.min(common.1));
        let joins = from < to && group.iter().all(|(_, other, _)| *other != number);
        if !joins {
            settle(watches, &group, common);
            group.clear();
        }
        common = if joins { (from, to) } else { range };
        group.push((range, number, index));
    }
    settle(watches, &group, common);
}

fn settle(watches: &mut [Watch], group: &[((f64, f64), usize, usize)], common: (f64, f64)) {
    if group.is_empty() {
        return;
    }
    let beside = watches.iter().enumerate().filter(|(number, _)| group.iter().all(|(_, member, _)| member != number));
    let seen = beside
        .flat_map(|(_, watch)| watch.outages.iter().filter(|outage| outage.within.is_none()))
        .map(|outage| (outage.start.at.max(common.0), outage.until(f64::MAX).min(common.1)))
        .find(|(from, to)| from < to);
    if seen.is_none() && group.len() < 2 {
        return;
    }
    let (from, to) = seen.unwrap_or(common);
    let middle = f64::midpoint(from, to);
    for (range, number, index) in group {
        let outage = &mut watches[*number].outages[*index];
        let Some(end) = &mut outage.end else { continue };
        let length = end.at - outage.start.at;
        outage.start.at = (middle - length / 2.0).min(range.1 - length).max(range.0);
        end.at = outage.start.at + length;
    }
}
