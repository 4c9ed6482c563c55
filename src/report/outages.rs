//! The outages of one target from one vantage, out of raw samples.
//!
//! While a target is down, each scrape has its outage's exact start as a value. The exact end is the start plus what the
//! exporter's own clock of down seconds gained, kept between the last scrape that saw the outage and the first that did
//! not, since a maintenance window takes time away from that clock.

use std::collections::BTreeMap;

use super::Moment;
use super::prometheus::{Sample, Series, increase};

/// Scrapes further apart than this are no longer neighbours.
const NEIGHBOURHOOD: f64 = 600.0;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Outage {
    pub(super) start: Moment,
    /// `None`: not over yet at the end of the report.
    pub(super) end: Option<Moment>,
    /// When Prometheus first had it.
    pub(super) seen: Moment,
    /// The commonest of its scrapes; `None` when no scrape had one.
    pub(super) reason: Option<String>,
    /// It began and ended in a maintenance window, as far as scrapes show.
    pub(super) in_maintenance: bool,
}

/// The scrapes that saw one outage.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Span {
    start: f64,
    first_seen: f64,
    last_seen: f64,
}

/// Samples around one outage.
pub(super) struct Exact {
    pub(super) down_seconds: Vec<Sample>,
    pub(super) verdict: Vec<Sample>,
    pub(super) maintenance: Vec<Sample>,
}

/// The outages among the samples of `probe_outage_start_timestamp_seconds`.
pub(super) fn spans(starts: &Series) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    for Sample { time, value } in starts.samples.iter().copied() {
        match spans.last_mut() {
            Some(span) if span.start == value => span.last_seen = time,
            _ => spans.push(Span { start: value, first_seen: time, last_seen: time }),
        }
    }
    spans
}

impl Span {
    /// From when to when the exact samples are wanted.
    pub(super) fn surroundings(&self, from: Moment, to: Moment) -> (Moment, Moment) {
        let before = Moment::from_seconds(self.start.min(self.first_seen) - NEIGHBOURHOOD).max(from);
        (before, Moment::from_seconds(self.last_seen + NEIGHBOURHOOD).min(to))
    }

    pub(super) fn outage(&self, exact: &Exact, reasons: &[&Series], to: Moment) -> Outage {
        Outage {
            start: Moment::from_seconds(self.start),
            end: self.end(exact, to),
            seen: Moment::from_seconds(self.first_seen),
            reason: self.reason(reasons),
            in_maintenance: self.is_in_maintenance(&exact.maintenance),
        }
    }

    fn end(&self, exact: &Exact, to: Moment) -> Option<Moment> {
        let after = exact.verdict.iter().find(|sample| sample.time > self.last_seen && sample.value == 1.0);
        // The next outage may have begun before the next scrape; then the verdict was never seen as up, but the clock
        // of this outage ended.
        let Some(after) = after else {
            let gone = to.seconds() - self.last_seen > NEIGHBOURHOOD;
            return gone.then(|| Moment::from_seconds(self.last_seen));
        };
        let clock: Vec<Sample> = exact
            .down_seconds
            .iter()
            .copied()
            .skip_while(|sample| {
                // From the last sample that this outage is not in yet.
                exact.down_seconds.iter().any(|later| later.time > sample.time && later.time < self.first_seen)
            })
            .take_while(|sample| sample.time <= after.time)
            .collect();
        let covers = clock.first().is_some_and(|sample| sample.time < self.first_seen);
        let end = if covers { self.start + increase(&clock) } else { after.time };
        Some(Moment::from_seconds(end.clamp(self.last_seen, after.time)))
    }

    fn is_in_maintenance(&self, maintenance: &[Sample]) -> bool {
        let mut here =
            maintenance.iter().filter(|sample| (self.first_seen..=self.last_seen).contains(&sample.time)).peekable();
        here.peek().is_some() && here.all(|sample| sample.value == 1.0)
    }

    fn reason(&self, reasons: &[&Series]) -> Option<String> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for series in reasons {
            let Some(reason) = series.label("reason") else { continue };
            let here =
                series.samples.iter().filter(|sample| (self.start..=self.last_seen).contains(&sample.time)).count();
            if here > 0 {
                *counts.entry(reason).or_default() += here;
            }
        }
        counts.into_iter().max_by_key(|(_, count)| *count).map(|(reason, _)| reason.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(points: &[(f64, f64)]) -> Vec<Sample> {
        points.iter().map(|(time, value)| Sample { time: *time, value: *value }).collect()
    }

    fn series(labels: &[(&str, &str)], points: &[(f64, f64)]) -> Series {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Series { labels, samples: samples(points) }
    }

    fn at(seconds: f64) -> Moment {
        Moment::from_seconds(seconds)
    }

    #[test]
    fn the_end_is_exact_although_scrapes_are_15_seconds_apart() {
        let starts = series(&[], &[(1015.0, 1003.2), (1030.0, 1003.2)]);
        let spans = spans(&starts);
        assert_eq!(spans.len(), 1);
        let exact = Exact {
            down_seconds: samples(&[(985.0, 7.0), (1000.0, 7.0), (1015.0, 18.8), (1030.0, 33.8), (1045.0, 41.3)]),
            verdict: samples(&[(1000.0, 1.0), (1015.0, 0.0), (1030.0, 0.0), (1045.0, 1.0)]),
            maintenance: samples(&[(1000.0, 1.0), (1015.0, 1.0), (1030.0, 0.0)]),
        };
        let reasons = [
            &series(&[("reason", "http_status")], &[(1015.0, 1.0), (1030.0, 1.0)]),
            &series(&[("reason", "connect_refused")], &[(900.0, 1.0), (915.0, 1.0), (930.0, 1.0)]),
        ];
        let outage = spans[0].outage(&exact, &reasons, at(2000.0));
        assert_eq!(outage.start, at(1003.2));
        assert_eq!(outage.end, Some(at(1003.2 + 34.3)));
        assert_eq!(outage.seen, at(1015.0));
        assert_eq!(outage.reason.as_deref(), Some("http_status"));
        assert!(!outage.in_maintenance, "it outlasted the window");
        let exact = Exact { maintenance: samples(&[(1015.0, 1.0), (1030.0, 1.0), (1045.0, 0.0)]), ..exact };
        assert!(spans[0].outage(&exact, &reasons, at(2000.0)).in_maintenance);
    }

    #[test]
    fn two_outages_are_two_though_no_scrape_saw_it_up_between() {
        let starts = series(&[], &[(1015.0, 1003.0), (1030.0, 1021.0), (1045.0, 1021.0)]);
        let starts: Vec<f64> = spans(&starts).iter().map(|span| span.start).collect();
        assert_eq!(starts, [1003.0, 1021.0]);
    }

    #[test]
    fn an_outage_that_goes_on_has_no_end() {
        let span = &spans(&series(&[], &[(1015.0, 1003.0), (1030.0, 1003.0)]))[0];
        let exact = Exact {
            down_seconds: samples(&[(1015.0, 12.0), (1030.0, 27.0)]),
            verdict: samples(&[(1030.0, 0.0)]),
            maintenance: vec![],
        };
        assert_eq!(span.outage(&exact, &[], at(1040.0)).end, None);
        let removed = span.outage(&exact, &[], at(9000.0));
        assert_eq!(removed.end, Some(at(1030.0)), "the target was removed while it was down");
        assert_eq!(removed.reason, None);
    }

    #[test]
    fn without_a_sample_from_before_the_scrape_that_saw_it_up_is_the_end() {
        let span = &spans(&series(&[], &[(1015.0, 1003.0)]))[0];
        let exact = Exact {
            down_seconds: samples(&[(1015.0, 12.0), (1030.0, 14.0)]),
            verdict: samples(&[(1030.0, 1.0)]),
            maintenance: vec![],
        };
        assert_eq!(span.outage(&exact, &[], at(2000.0)).end, Some(at(1030.0)));
    }
}
