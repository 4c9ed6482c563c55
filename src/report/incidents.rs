//! Times in which a target was down, from the first place that was to the last that was not.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Vantage;
use super::scrapes::Cause;
use super::spans::overlap;
use super::timeline::{Scope, Stretch, Timeline};
use super::watch::{Edge, Outage, Watch};

/// Something that went wrong, wherever it was seen.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Incident {
    pub(super) start: Edge,
    /// `None`: it goes on at the end of the report.
    pub(super) end: Option<Edge>,
    /// From the start to the first scrape that had it, in seconds.
    pub(super) time_to_detect: f64,
    pub(super) reason: Option<Arc<str>>,
    /// The widest that it had.
    pub(super) scope: Scope,
    /// Places that were down in it.
    pub(super) places: Vec<String>,
    /// Who saw it there.
    pub(super) vantages: Vec<Vantage>,
    pub(super) maintenance: InMaintenance,
    /// Seconds of it outside maintenance; in the time of the report, and in all.
    pub(super) down: f64,
    pub(super) whole: f64,
    /// Outages that the counters know in it; more than one when scrapes do not tell them apart.
    pub(super) counted: u32,
    /// No scrape saw it: its length is known, its place is not.
    pub(super) between_scrapes: bool,
    /// And that to so many seconds.
    tolerance: f64,
    pub(super) causes: BTreeSet<Arc<Cause>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InMaintenance {
    No,
    /// From its start to its end; it counts as no outage.
    Whole,
    /// It began in a window and outlasted that.
    Began,
    /// A window began while it went on.
    Partly,
}

impl Incident {
    pub(super) fn counts(&self) -> bool {
        self.maintenance != InMaintenance::Whole
    }

    pub(super) fn duration(&self) -> Option<f64> {
        Some(self.end?.at - self.start.at)
    }

    /// The shortest and the longest that it may have been.
    pub(super) fn duration_bounds(&self) -> Option<(f64, f64)> {
        let (end, duration) = (self.end?, self.duration()?);
        if self.between_scrapes {
            return Some(((duration - self.tolerance).max(0.0), duration + self.tolerance));
        }
        Some(((end.earliest - self.start.latest).max(0.0), end.latest - self.start.earliest))
    }
}

/// Those of the time `window`, in order.
pub(super) fn find(timeline: &Timeline, watches: &[Watch], window: (f64, f64)) -> Vec<Incident> {
    let mut found = Vec::new();
    for stretches in timeline.stretches.chunk_by(|one, next| one.is_down() && next.is_down() && one.to == next.from) {
        let (from, to) = (stretches[0].from, stretches[stretches.len() - 1].to);
        if stretches[0].is_down() && overlap((from, to), window) > 0.0 {
            found.extend(incident(stretches, timeline, watches, window));
        }
    }
    found
}

fn incident(stretches: &[Stretch], timeline: &Timeline, watches: &[Watch], window: (f64, f64)) -> Option<Incident> {
    let (from, to) = (stretches.first()?.from, stretches.last()?.to);
    let places: BTreeSet<usize> = stretches.iter().flat_map(|stretch| stretch.down.iter().copied()).collect();
    let seen_by: BTreeSet<usize> = stretches.iter().flat_map(|stretch| stretch.seen_by.iter().copied()).collect();
    let members: Vec<&Outage> = seen_by
        .iter()
        .flat_map(|number| &watches[*number].outages)
        .filter(|outage| outage.overlaps(from, to))
        .collect();
    let least = |edge: fn(&Edge) -> f64| members.iter().map(|outage| edge(&outage.start)).fold(f64::MAX, f64::min);
    let start =
        Edge { at: from, earliest: least(|edge| edge.earliest).min(from), latest: least(|edge| edge.latest).max(from) };
    let most = |edge: fn(&Edge) -> f64| {
        members.iter().filter_map(|outage| outage.end.as_ref()).map(edge).fold(f64::MIN, f64::max)
    };
    // As it was at the end of the report: what came later is not for it to tell.
    let end = (to < window.1).then(|| Edge {
        at: to,
        earliest: most(|edge| edge.earliest).min(to),
        latest: most(|edge| edge.latest).max(to),
    });

    let mut reasons: BTreeMap<&Arc<str>, usize> = BTreeMap::new();
    for reason in members.iter().filter_map(|outage| outage.reason.as_ref()) {
        *reasons.entry(reason).or_default() += 1;
    }
    let in_maintenance = stretches.iter().filter(|stretch| stretch.maintenance).count();
    let seconds = |within: (f64, f64)| -> f64 {
        let outside = stretches.iter().filter(|stretch| !stretch.maintenance);
        outside.map(|stretch| overlap((stretch.from, stretch.to), within)).sum()
    };
    // The widest so far, as the rules have it; one that wandered from place to place was in several.
    let widest = stretches.iter().filter_map(Stretch::scope).max()?;
    let causes = seen_by.iter().flat_map(|number| &watches[*number].causes);
    Some(Incident {
        start,
        end,
        time_to_detect: (members.iter().map(|outage| outage.seen).fold(f64::MAX, f64::min) - from).max(0.0),
        reason: reasons.into_iter().max_by_key(|(_, count)| *count).map(|(reason, _)| Arc::clone(reason)),
        scope: if widest == Scope::SingleRegion && places.len() > 1 { Scope::MultiRegion } else { widest },
        places: places.into_iter().map(|place| timeline.places[place].clone()).collect(),
        maintenance: match in_maintenance {
            0 => InMaintenance::No,
            all if all == stretches.len() => InMaintenance::Whole,
            _ if stretches[0].maintenance => InMaintenance::Began,
            _ => InMaintenance::Partly,
        },
        down: seconds(window),
        whole: seconds((from, to)),
        counted: counted(&seen_by, watches, from, to),
        between_scrapes: members.iter().all(|outage| outage.within.is_some()),
        tolerance: members.iter().map(|outage| outage.tolerance).fold(0.0, f64::max),
        causes: causes.filter(|(_, spans)| spans.overlaps(from, to)).map(|(cause, _)| Arc::clone(cause)).collect(),
        vantages: seen_by.into_iter().map(|number| watches[number].vantage.clone()).collect(),
    })
}

/// As many as the vantage counted that tells them apart worst.
fn counted(seen_by: &BTreeSet<usize>, watches: &[Watch], from: f64, to: f64) -> u32 {
    let more = |number: &usize| -> u32 {
        let those = watches[*number].outages.iter();
        those.filter(|outage| outage.overlaps(from, to)).map(|outage| outage.counted.saturating_sub(1)).sum()
    };
    // Of a single vantage, one that begins as another ends is another: there was a good run in between.
    let pairs = match seen_by.first() {
        Some(only) if seen_by.len() == 1 => {
            let those = watches[*only].outages.iter().filter(|outage| outage.overlaps(from, to)).count();
            u32::try_from(those.saturating_sub(1)).unwrap_or_default()
        }
        _ => 0,
    };
    1 + pairs + seen_by.iter().map(more).max().unwrap_or(0)
}
