//! What one scrape showed of one target from one vantage, put together from the series of an answer.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use super::Vantage;
use super::prometheus::Series;
use crate::observation::Reason;

/// The counters that are added up, by their place in [`Scrape::counters`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counter {
    Up,
    Down,
    Unknown,
    Maintenance,
    Succeeded,
    Failed,
    Outages,
}

pub(crate) const COUNTERS: usize = 7;

/// One value for each [`Counter`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Gains([f64; COUNTERS]);

/// What explains an outage, by the exporter's word.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cause {
    /// A target that this one depends on.
    Parent(String),
    /// A fact that failing targets share.
    Shared { kind: String, value: String },
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Scrape {
    pub(crate) time: f64,
    /// `probe_up`.
    pub(crate) verdict: Option<bool>,
    /// `probe_outage_start_timestamp_seconds`.
    pub(crate) start: Option<f64>,
    /// `probe_maintenance`.
    pub(crate) maintenance: bool,
    pub(crate) counters: [Option<f64>; COUNTERS],
    pub(crate) reason: Option<Arc<str>>,
    pub(crate) causes: Vec<Arc<Cause>>,
}

/// The families that a [`Scrape`] is made of, as a regular expression.
pub(crate) const FAMILIES: &str = "probe_up|probe_outage_start_timestamp_seconds|probe_maintenance|\
     probe_(up|down|unknown|maintenance)_seconds_total|probe_runs_total|probe_outages_total|\
     probe_failure_info|probe_explained_info|probe_shared_cause_info";

impl std::ops::Index<Counter> for Gains {
    type Output = f64;

    fn index(&self, counter: Counter) -> &f64 {
        &self.0[counter as usize]
    }
}

impl Gains {
    pub(crate) fn add(&mut self, other: &Self, share: f64) {
        for (sum, gain) in self.0.iter_mut().zip(other.0) {
            *sum += gain * share;
        }
    }

    /// Seconds on all clocks.
    pub(crate) fn clocks(&self) -> f64 {
        self[Counter::Up] + self[Counter::Down] + self[Counter::Unknown] + self[Counter::Maintenance]
    }

    /// What the counters gained, and whether they go on from before. One that fell began anew from zero.
    pub(crate) fn between(before: &Scrape, after: &Scrape) -> (Self, bool) {
        let mut gains = Self::default();
        let mut continuous = before.counters[Counter::Up as usize].is_some();
        for (gain, (before, after)) in gains.0.iter_mut().zip(before.counters.iter().zip(&after.counters)) {
            *gain = match (before, after) {
                (Some(before), Some(after)) if after >= before => after - before,
                (_, None) => 0.0,
                // A family that was not there is one that had nothing to count.
                (None, Some(_)) if !continuous => 0.0,
                (None, Some(after)) => *after,
                (Some(_), Some(after)) => {
                    continuous = false;
                    *after
                }
            };
        }
        (gains, continuous && after.counters[Counter::Up as usize].is_some())
    }

    /// What the counters of a new target or exporter have.
    pub(crate) fn from_zero(first: &Scrape) -> Self {
        Self(first.counters.map(Option::unwrap_or_default))
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parent(name) => write!(f, "depends on {name}"),
            Self::Shared { kind, value } => write!(f, "{} {value}", kind.replace('_', " ")),
        }
    }
}

/// Scrapes in order of time, by target and vantage.
pub(crate) fn assemble(answer: Vec<Series>) -> BTreeMap<(String, Vantage), Vec<Scrape>> {
    let mut all: BTreeMap<(String, Vantage), HashMap<u64, Scrape>> = BTreeMap::new();
    for series in answer {
        let (Some(name), Some(target)) = (series.label("__name__"), series.label("target")) else { continue };
        let Some(field) = Field::of(name, &series) else { continue };
        let scrapes = all.entry((target.to_owned(), Vantage::of(&series))).or_default();
        for sample in &series.samples {
            // The samples of one scrape have one time, to the bit.
            let scrape = scrapes.entry(sample.time.to_bits()).or_default();
            scrape.time = sample.time;
            field.put(scrape, sample.value);
        }
    }
    let in_order = |scrapes: HashMap<u64, Scrape>| {
        let mut scrapes: Vec<Scrape> = scrapes.into_values().collect();
        scrapes.sort_by(|one, other| one.time.total_cmp(&other.time));
        scrapes
    };
    all.into_iter().map(|(key, scrapes)| (key, in_order(scrapes))).collect()
}

/// Where the samples of a series go.
enum Field {
    Verdict,
    Start,
    Maintenance,
    Counter(Counter),
    Reason(Arc<str>),
    Cause(Arc<Cause>),
}

impl Field {
    fn of(name: &str, series: &Series) -> Option<Self> {
        let text = |label: &str| series.label(label).unwrap_or_default().to_owned();
        Some(match name {
            "probe_up" => Self::Verdict,
            "probe_outage_start_timestamp_seconds" => Self::Start,
            "probe_maintenance" => Self::Maintenance,
            "probe_up_seconds_total" => Self::Counter(Counter::Up),
            "probe_down_seconds_total" => Self::Counter(Counter::Down),
            "probe_unknown_seconds_total" => Self::Counter(Counter::Unknown),
            "probe_maintenance_seconds_total" => Self::Counter(Counter::Maintenance),
            "probe_outages_total" => Self::Counter(Counter::Outages),
            "probe_runs_total" => match series.label("result")? {
                "success" => Self::Counter(Counter::Succeeded),
                "failure" => Self::Counter(Counter::Failed),
                _ => return None,
            },
            "probe_failure_info" => {
                let reason = text("reason");
                if Reason::from_label(&reason).is_some_and(Reason::is_inconclusive) {
                    return None;
                }
                Self::Reason(reason.into())
            }
            "probe_explained_info" => Self::Cause(Arc::new(Cause::Parent(text("by")))),
            "probe_shared_cause_info" => {
                Self::Cause(Arc::new(Cause::Shared { kind: text("kind"), value: text("value") }))
            }
            _ => return None,
        })
    }

    fn put(&self, scrape: &mut Scrape, value: f64) {
        match self {
            Self::Verdict => scrape.verdict = Some(value == 1.0),
            Self::Start => scrape.start = Some(value),
            Self::Maintenance => scrape.maintenance = value == 1.0,
            Self::Counter(counter) => scrape.counters[*counter as usize] = Some(value),
            Self::Reason(reason) => scrape.reason = Some(Arc::clone(reason)),
            Self::Cause(cause) if value == 1.0 && !scrape.causes.contains(cause) => {
                scrape.causes.push(Arc::clone(cause));
            }
            Self::Cause(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::prometheus::Sample;
    use super::*;

    fn series(labels: &[(&str, &str)], values: &[(f64, f64)]) -> Series {
        Series {
            labels: labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            samples: values.iter().map(|(time, value)| Sample { time: *time, value: *value }).collect(),
        }
    }

    #[test]
    fn the_series_of_a_scrape_find_together() {
        let answer = vec![
            series(&[("__name__", "probe_up"), ("target", "a"), ("region", "eu")], &[(15.0, 0.0), (30.0, 1.0)]),
            series(
                &[("__name__", "probe_failure_info"), ("target", "a"), ("region", "eu"), ("reason", "dns_nxdomain")],
                &[(15.0, 1.0)],
            ),
            series(
                &[("__name__", "probe_failure_info"), ("target", "a"), ("region", "eu"), ("reason", "internal")],
                &[(30.0, 1.0)],
            ),
            series(
                &[("__name__", "probe_failure_info"), ("target", "a"), ("region", "eu"), ("reason", "resolver")],
                &[(30.0, 1.0)],
            ),
            series(
                &[("__name__", "probe_runs_total"), ("target", "a"), ("region", "eu"), ("result", "failure")],
                &[(15.0, 3.0)],
            ),
            series(
                &[
                    ("__name__", "probe_explained_info"),
                    ("target", "a"),
                    ("region", "eu"),
                    ("by", "gw"),
                    ("parent", "down"),
                ],
                &[(15.0, 1.0)],
            ),
            series(
                &[
                    ("__name__", "probe_shared_cause_info"),
                    ("target", "a"),
                    ("region", "eu"),
                    ("kind", "canonical_name"),
                    ("value", "cdn.example"),
                ],
                &[(15.0, 1.0)],
            ),
            series(&[("__name__", "probe_up"), ("target", "a"), ("region", "us")], &[(20.0, 1.0)]),
        ];
        let all = assemble(answer);
        assert_eq!(all.len(), 2, "{all:?}");
        let scrapes = all.values().next().unwrap();
        assert_eq!(scrapes.iter().map(|scrape| scrape.time).collect::<Vec<_>>(), [15.0, 30.0]);
        let first = &scrapes[0];
        assert_eq!((first.verdict, first.reason.as_deref()), (Some(false), Some("dns_nxdomain")));
        assert_eq!(first.counters[Counter::Failed as usize], Some(3.0));
        let causes: Vec<String> = first.causes.iter().map(ToString::to_string).collect();
        assert_eq!(causes, ["depends on gw", "canonical name cdn.example"]);
        assert_eq!((scrapes[1].verdict, &scrapes[1].reason), (Some(true), &None));
    }

    #[test]
    fn a_counter_that_falls_began_anew() {
        let scrape = |up: f64, failed: Option<f64>| {
            let mut counters = [None; COUNTERS];
            counters[Counter::Up as usize] = Some(up);
            counters[Counter::Failed as usize] = failed;
            Scrape { counters, ..Scrape::default() }
        };
        let (gains, continuous) = Gains::between(&scrape(5.0, None), &scrape(8.0, Some(2.0)));
        assert_eq!((gains[Counter::Up], gains[Counter::Failed], continuous), (3.0, 2.0, true));
        let (gains, continuous) = Gains::between(&scrape(8.0, Some(2.0)), &scrape(1.0, Some(0.0)));
        assert_eq!((gains[Counter::Up], gains[Counter::Failed], continuous), (1.0, 0.0, false));
        let (gains, continuous) = Gains::between(&Scrape::default(), &scrape(9.0, Some(1.0)));
        assert_eq!((gains[Counter::Up], gains[Counter::Failed], continuous), (0.0, 0.0, false));
    }
}
