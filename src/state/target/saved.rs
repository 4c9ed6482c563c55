//! What outlives the process: the state of a target as a value that can be written down, and its way back.
//!
//! A verdict comes back as it was, unless the exporter was away for long: what was then need not be what is now.
//! The time away is unknown. A failing series that was not confirmed is forgotten, as on a reload. The last run does not
//! come back: the page shows no latency of a run that this process has not made.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::paths::Paths;
use super::{Inner, TargetState, Uncounted};
use crate::config::Target;
use crate::observation::{Diagnosis, GoodPath, Path, Reason, SharedCause};
use crate::state::changes::Changes;
use crate::state::clock::{Clock, Setting};
use crate::state::recent::Recent;
use crate::state::timeline::{Timeline, Turn};
use crate::state::{Capsules, LatencyHistogram, Totals, Verdict};

/// After so long a time away the verdict is unknown until the first run.
const MOST_AWAY: Duration = Duration::from_secs(3600);

/// The state of one target, without its settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Saved {
    /// Of the target.
    pub name: Box<str>,
    verdict: Verdict,
    since: Option<SystemTime>,
    failures_in_a_row: u32,
    /// Whether the counters may go on where they were; see [`Saved::without_counters`].
    counters: Option<Counters>,
    /// Up to here the totals account for the time.
    settled: SystemTime,
    capsules: Capsules,
    diagnosis: Option<Arc<Diagnosis>>,
    #[serde(default)]
    shared_cause: Option<Arc<SharedCause>>,
    path: Option<Arc<Path>>,
    #[serde(default)]
    path_is_current: bool,
    #[serde(default)]
    good_paths: Vec<Arc<GoodPath>>,
    changes: Changes,
    timeline: Timeline,
    recent: Recent,
    outage_uncounted: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Counters {
    totals: Totals,
    failures: Vec<(Reason, u64)>,
    latency: Option<SavedHistogram>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct SavedHistogram {
    /// Upper bounds of the buckets, in seconds, without +Inf.
    bounds: Arc<[f64]>,
    histogram: LatencyHistogram,
}

impl Saved {
    /// Counters that were written down before the last scrape would be lower than what Prometheus has seen; it would
    /// take that for a reset, and the whole count for new. So they start from zero unless the process stopped in order.
    #[must_use]
    pub fn without_counters(self) -> Self {
        Self { counters: None, ..self }
    }
}

impl TargetState {
    /// For writing down. The time of a run in flight, and what was pending, is unknown.
    pub fn save(&self, now: Instant) -> Saved {
        let inner = self.lock();
        let (mut clock, mut totals) = (inner.clock.clone(), inner.totals);
        let mark = clock.close(now, &mut totals);
        let confirmed = inner.verdict == Verdict::Down;
        let bounds = &self.target.latency_buckets;
        Saved {
            name: self.target.name.as_str().into(),
            verdict: inner.verdict,
            since: inner.since,
            failures_in_a_row: if confirmed { inner.failures_in_a_row } else { 0 },
            counters: Some(Counters {
                totals,
                failures: inner.failures.clone(),
                latency: inner
                    .latency
                    .as_deref()
                    .cloned()
                    .map(|histogram| SavedHistogram { bounds: Arc::clone(bounds), histogram }),
            }),
            settled: clock.wall(mark),
            capsules: inner.capsules.clone(),
            diagnosis: inner.diagnosis.clone().filter(|_| confirmed),
            shared_cause: inner.shared_cause.clone().filter(|_| confirmed),
            path: inner.paths.latest().cloned(),
            path_is_current: inner.paths.is_current() && confirmed,
            good_paths: inner.paths.good().to_vec(),
            changes: inner.changes.clone(),
            timeline: inner.timeline.clone(),
            recent: inner.recent.clone(),
            outage_uncounted: inner.uncounted == Uncounted::Outage,
        }
    }

    /// A target that an earlier process knew, at `now`, which is `wall` on the clock on the wall.
    pub fn restore(target: Arc<Target>, saved: Saved, now: Instant, wall: SystemTime) -> Self {
        // A clock that was set back gives no time away at all.
        let away = wall.duration_since(saved.settled).unwrap_or_default();
        let state = Self::new(target, now);
        let mut inner = state.lock();
        inner.clock = Clock::new(now, wall, state.target.maintenance.clone());
        if let Some(counters) = saved.counters {
            inner.totals = counters.totals;
            inner.failures = counters.failures;
            inner.failures.sort_by_key(|(reason, _)| *reason);
            let buckets = &state.target.latency_buckets;
            let fits = |saved: &SavedHistogram| {
                saved.bounds == *buckets && saved.histogram.counts.len() == buckets.len().saturating_add(1)
            };
            if let Some(saved) = counters.latency.filter(fits) {
                inner.latency = Some(Box::new(saved.histogram));
            }
        }
        inner.credit_away(away);
        inner.capsules = saved.capsules;
        inner.paths = Paths::new(saved.path, saved.path_is_current && away <= MOST_AWAY, saved.good_paths);
        inner.changes = saved.changes;
        inner.timeline = saved.timeline;
        inner.recent = saved.recent;
        if away <= MOST_AWAY {
            inner.verdict = saved.verdict;
            inner.since = saved.since;
            inner.failures_in_a_row = saved.failures_in_a_row;
            inner.diagnosis = saved.diagnosis;
            inner.shared_cause = saved.shared_cause.filter(|_| saved.verdict == Verdict::Down);
            if saved.outage_uncounted {
                inner.uncounted = Uncounted::Outage;
            }
        } else if saved.verdict != Verdict::Unknown {
            inner.timeline.push(Turn { time: saved.settled, after: None, verdict: Verdict::Unknown, reason: None });
        }
        if inner.verdict == Verdict::Down {
            let lasted = inner.since.and_then(|since| wall.duration_since(since).ok()).unwrap_or_default();
            let began = now.checked_sub(lasted).unwrap_or(now);
            inner.series = inner.capsules.first_failure.clone().map(|first| (first, began));
        }
        // What is saved is of a moment that this clock has not come to yet.
        if let setting @ Setting::Back(_) = Setting::of(saved.settled, saved.settled, wall) {
            inner.follow(setting);
        }
        drop(inner);
        state
    }
}

impl Inner {
    fn credit_away(&mut self, away: Duration) {
        self.clock.credit_away(away, &mut self.totals);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::config::maintenance::{Maintenance, When, Window};
    use crate::observation::Observation;
    use crate::state::tests::{down, target_with, up};
    use crate::state::{Change, TargetSnapshot};

    const S: Duration = Duration::from_secs(1);

    fn wall(second: u32) -> SystemTime {
        UNIX_EPOCH + second * S
    }

    /// A target that goes through one process and then another; seconds on one clock.
    struct Bench {
        state: TargetState,
        t0: Instant,
    }

    impl Bench {
        fn new() -> Self {
            Self::of(target_with("shop", 10 * S, 5 * S, 2, &[0.5, 1.0]))
        }

        fn of(target: Arc<Target>) -> Self {
            let t0 = Instant::now();
            Self { state: TargetState::new(target, t0), t0 }
        }

        fn run(&self, second: u32, observation: Observation) -> Option<Change> {
            let now = self.t0 + second * S;
            self.state.begin(now);
            self.state.record(Observation { started: wall(second), ..observation }, now).change
        }

        fn at(&self, second: u32) -> TargetSnapshot {
            self.state.snapshot(self.t0 + second * S)
        }

        /// Stopped in order at `stop`, started again at `start`. All of it goes through the text.
        fn restart(self, stop: u32, start: u32) -> Self {
            let saved = self.state.save(self.t0 + stop * S);
            self.begin_anew(&saved, start)
        }

        fn begin_anew(&self, saved: &Saved, start: u32) -> Self {
            let text = serde_json::to_string(saved).unwrap();
            let saved: Saved = serde_json::from_str(&text).unwrap();
            let target = Arc::clone(self.state.target());
            let state = TargetState::restore(target, saved, self.t0 + start * S, wall(start));
            Self { state, t0: self.t0 }
        }
    }

    #[test]
    fn an_outage_goes_on_with_its_start_its_evidence_and_its_clocks() {
        let bench = Bench::new();
        bench.run(0, up());
        bench.run(10, down(Reason::HttpStatus));
        bench.run(12, down(Reason::HttpStatus));
        let before = bench.at(20);
        let bench = bench.restart(20, 50);
        let after = bench.at(50);
        assert_eq!((after.verdict, after.since), (Verdict::Down, Some(wall(10))));
        assert_eq!(after.capsules, before.capsules);
        assert_eq!(after.timeline, before.timeline);
        assert_eq!(after.recent, before.recent);
        assert_eq!(after.failures, [(Reason::HttpStatus, 2)]);
        assert_eq!(after.last, None, "what this process shows as its last run, it has made");
        let expected = Totals { unknown: before.totals.unknown + 30 * S, ..before.totals };
        assert_eq!(after.totals, expected, "the time away is unknown");

        assert_eq!(bench.run(55, down(Reason::HttpStatus)), None, "no second outage");
        assert_eq!(bench.run(60, up()), Some(Change::CameUp { since: wall(60), duration: 50 * S }));
        assert_eq!(bench.at(60).totals.outages, 1);
        assert_eq!(bench.at(60).capsules.first_failure, before.capsules.first_failure);
    }

    #[test]
    fn a_series_that_was_not_confirmed_is_forgotten_and_its_time_unknown() {
        let bench = Bench::new();
        bench.run(0, up());
        bench.run(10, down(Reason::HttpStatus));
        let bench = bench.restart(14, 14);
        let after = bench.at(14);
        assert_eq!((after.verdict, after.failures_in_a_row), (Verdict::Up, 0));
        assert_eq!((after.totals.up, after.totals.unknown), (10 * S, 4 * S));
        assert_eq!(bench.run(15, down(Reason::HttpStatus)), None, "one failing run does not confirm an older one");
    }

    #[test]
    fn after_a_long_time_away_the_verdict_is_unknown_and_the_rest_is_kept() {
        let bench = Bench::new();
        bench.run(0, down(Reason::HttpStatus));
        bench.run(2, down(Reason::HttpStatus));
        let away = u32::try_from(MOST_AWAY.as_secs()).unwrap() + 10;
        let bench = bench.restart(10, away + 1);
        let after = bench.at(away + 1);
        assert_eq!((after.verdict, after.since, after.failures_in_a_row), (Verdict::Unknown, None, 0));
        assert_eq!(after.timeline.turns().last().unwrap().verdict, Verdict::Unknown);
        assert!(after.capsules.first_failure.is_some());
        assert_eq!(after.totals.outages, 1);
        assert_eq!(bench.run(away + 2, up()), Some(Change::FirstUp { since: wall(away + 2) }));
    }

    #[test]
    fn counters_of_a_process_that_was_killed_start_from_zero() {
        let bench = Bench::new();
        bench.run(0, down(Reason::HttpStatus));
        bench.run(2, down(Reason::HttpStatus));
        let saved = bench.state.save(bench.t0 + 10 * S).without_counters();
        let after = bench.begin_anew(&saved, 15).at(15);
        assert_eq!((after.verdict, after.since), (Verdict::Down, Some(wall(0))));
        assert_eq!(after.totals, Totals { unknown: 5 * S, ..Totals::default() });
        assert_eq!(after.failures, []);
        assert!(after.latency.is_some_and(|latency| latency.counts.iter().all(|count| *count == 0)));
    }

    #[test]
    fn a_histogram_comes_back_only_into_the_buckets_that_it_was_counted_in() {
        let bench = Bench::new();
        bench.run(0, Observation { elapsed: S / 10, ..up() });
        let saved = bench.state.save(bench.t0 + 5 * S);
        assert_eq!(*bench.begin_anew(&saved, 6).at(6).latency.unwrap().counts, [1, 0, 0]);
        let other = target_with("shop", 10 * S, 5 * S, 2, &[0.5, 2.0]);
        let state = TargetState::restore(other, saved, bench.t0 + 6 * S, wall(6));
        assert_eq!(*state.snapshot(bench.t0 + 6 * S).latency.unwrap().counts, [0, 0, 0]);
    }

    #[test]
    fn time_away_in_a_window_is_maintenance() {
        let moment = |second| jiff::Timestamp::try_from(wall(second)).unwrap();
        let when = When::Once { start: moment(20), end: moment(30) };
        let mut target = Arc::into_inner(target_with("shop", 10 * S, 5 * S, 2, &[])).unwrap();
        target.maintenance = Maintenance::new(vec![Window { name: "".into(), when }]);
        let bench = Bench::of(Arc::new(target));
        bench.run(0, up());
        let after = bench.restart(10, 50).at(50);
        assert_eq!((after.totals.maintenance, after.totals.unknown), (10 * S, 30 * S));
    }

    #[test]
    fn a_clock_that_was_set_back_takes_nothing_away() {
        let bench = Bench::new();
        bench.run(10, down(Reason::HttpStatus));
        bench.run(12, down(Reason::HttpStatus));
        let saved = bench.state.save(bench.t0 + 20 * S);
        let target = Arc::clone(bench.state.target());
        let state = TargetState::restore(target, saved, bench.t0 + 30 * S, wall(5));
        let after = state.snapshot(bench.t0 + 30 * S);
        assert_eq!((after.verdict, after.totals), (Verdict::Down, bench.at(20).totals));
    }
}
