//! Outages of several vantages that overlap are one incident, with a scope.

use std::collections::{BTreeMap, BTreeSet};

use super::prometheus::Series;
use super::{Moment, Outage, Vantage};

/// Outages of two vantages that are no further apart than this are the same trouble.
const SAME: f64 = 60.0;

/// Something that went wrong, wherever it was seen.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Incident {
    pub(super) start: Moment,
    /// `None`: it goes on.
    pub(super) end: Option<Moment>,
    /// From the start to the first scrape that had it, in seconds.
    pub(super) time_to_detect: f64,
    pub(super) reason: Option<String>,
    pub(super) scope: Scope,
    /// Who saw it.
    pub(super) vantages: Vec<Vantage>,
    /// Everybody who saw it saw it in a maintenance window, so it counts as no outage.
    pub(super) in_maintenance: bool,
}

/// How many of those who watched at that time saw it at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    Global,
    MultiRegion,
    SingleRegion,
}

impl Scope {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::MultiRegion => "multi-region",
            Self::SingleRegion => "single-region",
        }
    }
}

/// Joins what overlaps. `verdicts` are the samples of `probe_up`, to know who watched.
pub(super) fn join(outages: BTreeMap<Vantage, Vec<Outage>>, verdicts: &[Series]) -> Vec<Incident> {
    let mut all: Vec<(Vantage, Outage)> = outages
        .into_iter()
        .flat_map(|(vantage, outages)| outages.into_iter().map(move |outage| (vantage.clone(), outage)))
        .collect();
    all.sort_by_key(|(_, outage)| outage.start);
    let mut groups: Vec<Vec<(Vantage, Outage)>> = Vec::new();
    for (vantage, outage) in all {
        let near = groups.last().is_some_and(|group| {
            let until = group.iter().map(|(_, outage)| end_of(outage)).fold(f64::MIN, f64::max);
            // Two outages of one vantage are two, however close.
            let again =
                group.iter().any(|(known, before)| *known == vantage && end_of(before) <= outage.start.seconds());
            outage.start.seconds() <= until + SAME && !again
        });
        match groups.last_mut() {
            Some(group) if near => group.push((vantage, outage)),
            _ => groups.push(vec![(vantage, outage)]),
        }
    }
    groups.into_iter().filter_map(|group| incident(group, verdicts)).collect()
}

fn end_of(outage: &Outage) -> f64 {
    outage.end.map_or(f64::MAX, Moment::seconds)
}

fn incident(group: Vec<(Vantage, Outage)>, verdicts: &[Series]) -> Option<Incident> {
    let start = group.iter().map(|(_, outage)| outage.start).min()?;
    let seen = group.iter().map(|(_, outage)| outage.seen).min()?;
    let end =
        group.iter().map(|(_, outage)| outage.end).collect::<Option<Vec<_>>>().and_then(|ends| ends.into_iter().max());
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, outage) in &group {
        if let Some(reason) = &outage.reason {
            *reasons.entry(reason).or_default() += 1;
        }
    }
    let reason = reasons.into_iter().max_by_key(|(_, count)| *count).map(|(reason, _)| reason.to_owned());
    let vantages: BTreeSet<Vantage> = group.iter().map(|(vantage, _)| vantage.clone()).collect();
    Some(Incident {
        start,
        end,
        time_to_detect: (seen.seconds() - start.seconds()).max(0.0),
        reason,
        scope: scope(&group, verdicts, start.seconds(), end.map_or(f64::MAX, Moment::seconds)),
        vantages: vantages.into_iter().collect(),
        in_maintenance: group.iter().all(|(_, outage)| outage.in_maintenance),
    })
}

fn scope(group: &[(Vantage, Outage)], verdicts: &[Series], start: f64, end: f64) -> Scope {
    // At the start of each of them: how many were going on?
    let at_once = group
        .iter()
        .map(|(_, at)| {
            let at = at.start.seconds();
            let going = group.iter().filter(|(_, other)| other.start.seconds() <= at && at < end_of(other));
            going.map(|(vantage, _)| vantage).collect::<BTreeSet<_>>().len()
        })
        .max()
        .unwrap_or(0);
    let watching: BTreeSet<Vantage> = verdicts
        .iter()
        .filter(|series| {
            // A step of the samples may be longer than the outage, so somebody who was there shortly before was there.
            series.samples.iter().any(|sample| sample.time >= start - 900.0 && sample.time <= end + 900.0)
        })
        .map(Vantage::of)
        .collect();
    let watching = watching.len().max(group.iter().map(|(vantage, _)| vantage).collect::<BTreeSet<_>>().len());
    if at_once >= watching {
        Scope::Global
    } else if at_once > 1 {
        Scope::MultiRegion
    } else {
        Scope::SingleRegion
    }
}

#[cfg(test)]
mod tests {
    use super::super::prometheus::Sample;
    use super::*;

    fn vantage(region: &str) -> Vantage {
        Vantage { shown: region.to_owned(), labels: vec![("region".to_owned(), region.to_owned())] }
    }

    fn outage(start: f64, end: Option<f64>, reason: &str) -> Outage {
        Outage {
            start: Moment::from_seconds(start),
            end: end.map(Moment::from_seconds),
            seen: Moment::from_seconds(start + 5.0),
            reason: Some(reason.to_owned()),
            in_maintenance: false,
        }
    }

    fn watching(regions: &[&str]) -> Vec<Series> {
        let labels = |region: &str| [("region".to_owned(), region.to_owned())].into_iter().collect();
        let samples: Vec<_> = (0..10).map(|n| Sample { time: 900.0 + 60.0 * f64::from(n), value: 1.0 }).collect();
        regions.iter().map(|region| Series { labels: labels(region), samples: samples.clone() }).collect()
    }

    fn joined(outages: &[(&str, Outage)], regions: &[&str]) -> Vec<(f64, Option<f64>, &'static str, usize)> {
        let mut map: BTreeMap<Vantage, Vec<Outage>> = BTreeMap::new();
        for (region, outage) in outages {
            map.entry(vantage(region)).or_default().push(outage.clone());
        }
        join(map, &watching(regions))
            .into_iter()
            .map(|incident| {
                let end = incident.end.map(Moment::seconds);
                (incident.start.seconds(), end, incident.scope.as_str(), incident.vantages.len())
            })
            .collect()
    }

    const REGIONS: &[&str] = &["eu", "us", "asia"];

    #[test]
    fn what_overlaps_is_one_incident_and_its_scope_is_how_many_saw_it_at_once() {
        let eu = ("eu", outage(1000.0, Some(1100.0), "http_status"));
        let us = ("us", outage(1010.0, Some(1130.0), "http_status"));
        let asia = ("asia", outage(1020.0, Some(1090.0), "connect_timeout"));
        assert_eq!(joined(std::slice::from_ref(&eu), REGIONS), [(1000.0, Some(1100.0), "single-region", 1)]);
        assert_eq!(joined(&[eu.clone(), us.clone()], REGIONS), [(1000.0, Some(1130.0), "multi-region", 2)]);
        assert_eq!(joined(&[eu.clone(), us, asia], REGIONS), [(1000.0, Some(1130.0), "global", 3)]);
        assert_eq!(joined(&[eu], &["eu"]), [(1000.0, Some(1100.0), "global", 1)], "the only witness");
    }

    #[test]
    fn one_after_the_other_is_never_global() {
        let wandering = [
            ("eu", outage(1000.0, Some(1050.0), "http_status")),
            ("us", outage(1060.0, Some(1100.0), "http_status")),
            ("asia", outage(1120.0, Some(1160.0), "http_status")),
        ];
        assert_eq!(joined(&wandering, REGIONS), [(1000.0, Some(1160.0), "single-region", 3)]);
    }

    #[test]
    fn two_outages_of_one_vantage_are_two_incidents() {
        let twice = [("eu", outage(1000.0, Some(1010.0), "a")), ("eu", outage(1030.0, Some(1040.0), "a"))];
        assert_eq!(joined(&twice, REGIONS).len(), 2);
    }

    #[test]
    fn what_goes_on_anywhere_goes_on() {
        let going = [("eu", outage(1000.0, Some(1100.0), "a")), ("us", outage(1010.0, None, "a"))];
        assert_eq!(joined(&going, REGIONS), [(1000.0, None, "multi-region", 2)]);
    }
}
