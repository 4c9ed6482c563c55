//! What outages had in common: the parents and facts that the exporter held responsible, and for what.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Incident;
use super::scrapes::Cause;
use super::watch::{SILENCE, Watch};

/// A cause that is found within so many seconds of when an outage was first seen was there from its start.
const FOUND: f64 = 90.0;

/// One time that a cause held.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Episode {
    pub(super) cause: Arc<Cause>,
    pub(super) start: f64,
    /// `None`: it goes on at the end of the report.
    pub(super) end: Option<f64>,
    pub(super) targets: BTreeSet<String>,
    pub(super) places: BTreeSet<String>,
}

/// When a cause explained a target somewhere.
#[derive(Clone, Debug)]
pub(super) struct Explained {
    cause: Arc<Cause>,
    from: f64,
    to: f64,
    target: String,
    place: String,
}

/// What causes explain of a target's incidents.
pub(super) fn explained(target: &str, incidents: &[Incident], watches: &[Watch], until: f64) -> Vec<Explained> {
    let mut all = Vec::new();
    for watch in watches {
        for (cause, spans) in &watch.causes {
            for (from, to) in spans.iter() {
                for incident in incidents.iter().filter(|incident| incident.causes.contains(cause)) {
                    let (start, end) = (incident.start.at, incident.end.map_or(until, |end| end.at));
                    if from >= end || to <= start {
                        continue;
                    }
                    let soon = from <= start + incident.time_to_detect + FOUND;
                    all.push(Explained {
                        cause: Arc::clone(cause),
                        from: if soon { start } else { from },
                        to: to.min(end),
                        target: target.to_owned(),
                        place: watch.vantage.shown.clone(),
                    });
                }
            }
        }
    }
    all
}

/// Joins what one cause explained at one time. `until` is the end of the report.
pub(super) fn episodes(explained: Vec<Explained>, until: f64) -> Vec<Episode> {
    let mut by_cause: BTreeMap<Arc<Cause>, Vec<Explained>> = BTreeMap::new();
    for one in explained {
        by_cause.entry(Arc::clone(&one.cause)).or_default().push(one);
    }
    let mut episodes: Vec<Episode> = Vec::new();
    for (cause, mut all) in by_cause {
        all.sort_by(|one, other| one.from.total_cmp(&other.from));
        let mut reach = f64::MIN;
        for one in all {
            if one.from > reach + SILENCE {
                reach = one.to;
                let (targets, places) = (BTreeSet::new(), BTreeSet::new());
                episodes.push(Episode { cause: Arc::clone(&cause), start: one.from, end: None, targets, places });
            }
            reach = reach.max(one.to);
            if let Some(episode) = episodes.last_mut() {
                episode.end = Some(reach);
                episode.targets.insert(one.target);
                episode.places.extend(Some(one.place).filter(|place| !place.is_empty()));
            }
        }
    }
    for episode in &mut episodes {
        episode.end = episode.end.filter(|end| *end < until);
    }
    episodes.sort_by(|one, other| one.start.total_cmp(&other.start));
    episodes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(value: &str, from: f64, to: f64, target: &str, place: &str) -> Explained {
        let cause = Arc::new(Cause::Shared { kind: "network".to_owned(), value: value.to_owned() });
        Explained { cause, from, to, target: target.to_owned(), place: place.to_owned() }
    }

    #[test]
    fn what_one_cause_explains_at_a_time_is_one_episode() {
        let all = vec![
            one("192.0.2.0/24", 100.0, 200.0, "a", "eu"),
            one("192.0.2.0/24", 110.0, 260.0, "b", "us"),
            one("198.51.100.0/24", 50.0, 1000.0, "c", "eu"),
            one("192.0.2.0/24", 900.0, 950.0, "a", "eu"),
        ];
        let episodes = episodes(all, 1000.0);
        let told: Vec<_> =
            episodes.iter().map(|e| (e.cause.to_string(), e.start, e.end, e.targets.len(), e.places.len())).collect();
        assert_eq!(
            told,
            [
                ("network 198.51.100.0/24".to_owned(), 50.0, None, 1, 1),
                ("network 192.0.2.0/24".to_owned(), 100.0, Some(260.0), 2, 2),
                ("network 192.0.2.0/24".to_owned(), 900.0, Some(950.0), 1, 1),
            ]
        );
    }
}
