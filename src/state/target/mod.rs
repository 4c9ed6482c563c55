//! The state of one target, and the rules by which runs make a verdict.
//!
//! A success at once is up. Failures are confirmed: down when `confirm.failures` runs in a row failed. A run whose
//! reason is inconclusive (the exporter's own trouble) counts as a failed run and changes nothing else; its time
//! is unknown.

#[cfg(test)]
mod path_tests;
mod paths;
mod saved;
mod since;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use self::paths::Paths;
use super::changes::Changes;
use super::clock::{Account, Clock};
use super::recent::Recent;
use super::timeline::{Timeline, Turn};
use super::wish::{Bell, Told, Wishes};
use super::{Capsules, Exemplars, LatencyHistogram, TargetSnapshot, Totals, Verdict};
use crate::config::{Notice, Target};
use crate::observation::{Diagnosis, Finding, GoodPath, Observation, Outcome, Path, Reason, SharedCause};

pub use saved::Saved;

/// One target and what is known of it. All times are passed in.
pub struct TargetState {
    target: Arc<Target>,
    inner: Mutex<Inner>,
    /// Rings when a run is wished for.
    bell: Bell,
}

/// How a target is, as far as it matters to others.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    pub verdict: Verdict,
    /// When the verdict became what it is.
    pub since: Option<SystemTime>,
    /// Since when it is up after an outage.
    pub recovered: Option<SystemTime>,
    /// The last run failed, and says something about the target.
    pub failing: bool,
    /// Somebody waits for a run of it.
    pub wished: bool,
    /// When its latest good run began.
    pub good: Option<Instant>,
    /// When the run began for which its parents were asked last: the first failing one, then the one that confirmed. `None`
    /// while it does not fail.
    pub asked: Option<Instant>,
}

/// What the search for shared causes reads of a target.
#[derive(Clone, Debug)]
pub struct View {
    verdict: Verdict,
    /// For down: the first failing run.
    pub since: Option<SystemTime>,
    failures_in_a_row: u32,
    pub last_good: Option<Arc<Observation>>,
    /// The latest failing run; of an earlier outage while the target is up.
    pub failure: Option<Arc<Observation>>,
    maintained: bool,
    pub shared_cause: Option<Arc<SharedCause>>,
}

impl View {
    /// Confirmed, and nobody works on it.
    pub fn is_failing(&self) -> bool {
        self.verdict == Verdict::Down && !self.maintained
    }

    /// Without a doubt.
    pub fn is_good(&self) -> bool {
        self.verdict == Verdict::Up && self.failures_in_a_row == 0
    }
}

/// What a recorded run led to.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    pub observation: Arc<Observation>,
    pub change: Option<Change>,
    pub next: Next,
    /// It is the first failing run after a good one, and conclusive.
    pub begins_series: bool,
    /// What stands behind it is to be looked at: the run begins a series of failures, or confirms one.
    pub asks: bool,
}

/// A change of the verdict.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// From unknown or up. `since`: start of the first failing run; `duration`: from there to the confirmation.
    WentDown { since: SystemTime, duration: Duration },
    /// For the first time. Expected, so no news.
    FirstUp { since: SystemTime },
    /// After an outage. `duration`: from the first failing run to the start of the first good one.
    CameUp { since: SystemTime, duration: Duration },
}

/// When to look again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// At the next tick.
    Tick,
    /// After the retry interval: a failure waits to be confirmed.
    Recheck,
}

/// What the failing series may still count as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Uncounted {
    Nothing,
    /// A blip, if it ends before it is confirmed.
    Blip,
    /// An outage that was confirmed in a maintenance window, if it outlasts that.
    Outage,
}

struct Inner {
    verdict: Verdict,
    since: Option<SystemTime>,
    /// So many seconds `since` was moved, because the wall clock was set back.
    set_back: u32,
    last: Option<Arc<Observation>>,
    failures_in_a_row: u32,
    /// The first run of the current failing series, and when it began.
    series: Option<(Arc<Observation>, Instant)>,
    totals: Totals,
    failures: Vec<(Reason, u64)>,
    /// In a box, since few targets have one.
    latency: Option<Box<LatencyHistogram>>,
    exemplars: Option<Arc<Exemplars>>,
    capsules: Capsules,
    clock: Clock,
    /// Of the failing series that goes on.
    diagnosis: Option<Arc<Diagnosis>>,
    /// What explains the outage, while one lasts.
    shared_cause: Option<Arc<SharedCause>>,
    paths: Paths,
    changes: Changes,
    timeline: Timeline,
    recent: Recent,
    notice: Option<Arc<Notice>>,
    uncounted: Uncounted,
    /// The run that began last is beside the ticks.
    aside: bool,
    wishes: Wishes,
    /// See [`Standing::asked`].
    asked: Option<Instant>,
    /// Its place was taken over; whatever still comes in is dropped.
    retired: bool,
}

impl TargetState {
    /// A target of which nothing is known.
    pub fn new(target: Arc<Target>, now: Instant) -> Self {
        // A wall clock, because windows are wall-clock time; each run brings a newer one.
        let inner = Inner {
            verdict: Verdict::Unknown,
            since: None,
            set_back: 0,
            last: None,
            failures_in_a_row: 0,
            series: None,
            totals: Totals::default(),
            failures: Vec::new(),
            latency: empty_histogram(&target),
            exemplars: None,
            capsules: Capsules::default(),
            clock: Clock::new(now, SystemTime::now(), target.maintenance.clone()),
            diagnosis: None,
            shared_cause: None,
            paths: Paths::default(),
            changes: Changes::default(),
            timeline: Timeline::default(),
            recent: Recent::default(),
            notice: None,
            uncounted: Uncounted::Nothing,
            aside: false,
            wishes: Wishes::default(),
            asked: None,
            retired: false,
        };
        Self { target, inner: Mutex::new(inner), bell: Bell::default() }
    }

    /// The same target by name, with other settings: it keeps verdict, totals, capsules and the last observation.
    ///
    /// An unconfirmed series of failures is forgotten, and the time from here to the first run is unknown, because
    /// what was seen was seen with other settings. `self` is retired: it takes no more runs, so that nothing
    /// that the successor does not have is ever shown.
    pub fn succeed(&self, target: Arc<Target>, now: Instant) -> Self {
        let mut old = self.lock();
        let old = &mut *old;
        let mark = old.clock.close(now, &mut old.totals);
        old.retired = true;
        let confirmed = old.verdict == Verdict::Down;
        let latency = if self.target.latency_buckets == target.latency_buckets {
            old.latency.clone()
        } else {
            empty_histogram(&target)
        };
        let inner = Inner {
            verdict: old.verdict,
            since: old.since,
            set_back: old.set_back,
            last: old.last.clone(),
            failures_in_a_row: if confirmed { old.failures_in_a_row } else { 0 },
            series: if confirmed { old.series.clone() } else { None },
            totals: old.totals,
            failures: old.failures.clone(),
            latency,
            // Of buckets that there are no more.
            exemplars: old.exemplars.clone().filter(|_| self.target.latency_buckets == target.latency_buckets),
            capsules: old.capsules.clone(),
            clock: Clock::new(mark, old.clock.wall(mark), target.maintenance.clone()),
            diagnosis: old.diagnosis.clone().filter(|_| confirmed),
            shared_cause: old.shared_cause.clone().filter(|_| confirmed),
            paths: old.paths.handed_on(confirmed),
            changes: old.changes.clone(),
            timeline: old.timeline.clone(),
            recent: old.recent.clone(),
            notice: old.notice.clone(),
            uncounted: if confirmed { old.uncounted } else { Uncounted::Nothing },
            aside: false,
            wishes: old.wishes.handed_on(),
            asked: old.asked.filter(|_| confirmed),
            retired: false,
        };
        let bell = Bell::default();
        if inner.wishes.is_any() {
            bell.ring();
        }
        Self { target, inner: Mutex::new(inner), bell }
    }

    pub fn target(&self) -> &Arc<Target> {
        &self.target
    }

    /// A run begins at a tick.
    pub fn begin(&self, now: Instant) {
        self.begin_run(now, false);
    }

    /// A run begins beside the ticks: the first look, a re-check, or one that was wished for.
    pub fn begin_aside(&self, now: Instant) {
        self.begin_run(now, true);
    }

    fn begin_run(&self, now: Instant, aside: bool) {
        let mut inner = self.lock();
        let inner = &mut *inner;
        if !inner.retired {
            inner.clock.begin(now, &mut inner.totals);
            inner.wishes.begin(now);
            inner.aside = aside;
        }
    }

    /// The run that began last has ended.
    pub fn record(&self, observation: Observation, now: Instant) -> Recorded {
        let observation = Arc::new(observation);
        let mut inner = self.lock();
        if inner.retired {
            return Recorded { observation, change: None, next: Next::Tick, begins_series: false, asks: false };
        }
        let before = inner.failures_in_a_row;
        let (change, next) = inner.record(&self.target, &observation, now);
        let told = match &observation.outcome {
            Outcome::Up => Told::Good,
            Outcome::Down(failure) if failure.reason.is_inconclusive() => Told::Nothing,
            Outcome::Down(_) => Told::Bad,
        };
        inner.wishes.end(now, told);
        let begins_series = before == 0 && inner.failures_in_a_row == 1;
        let asks = begins_series || matches!(change, Some(Change::WentDown { .. }));
        if asks {
            inner.asked = inner.wishes.began();
        } else if told == Told::Good {
            inner.asked = None;
        }
        Recorded { observation, change, next, begins_series, asks }
    }

    /// Wishes for a run that begins at `since` or later, out of turn.
    pub fn wish(&self, since: Instant, now: Instant) {
        let mut inner = self.lock();
        let (timeout, retry) = (self.target.cadence.timeout(), self.target.confirm.retry_interval);
        if !inner.retired && inner.wishes.wish(since, now, timeout, retry) {
            drop(inner);
            self.bell.ring();
        }
    }

    /// When the run that is wished for may begin.
    pub(crate) fn wished(&self) -> Option<Instant> {
        self.lock().wishes.due(self.target.confirm.retry_interval)
    }

    /// Ready when a wish was made since this was last ready. For the loop of the target alone.
    pub(crate) fn poll_wish_made(&self, context: &Context<'_>) -> Poll<()> {
        self.bell.poll_heard(context)
    }

    pub fn standing(&self, now: Instant) -> Standing {
        let inner = self.lock();
        let recovered = match inner.timeline.turns() {
            [.., before, last] if (before.verdict, last.verdict) == (Verdict::Down, Verdict::Up) => Some(last.time),
            _ => None,
        };
        Standing {
            verdict: inner.verdict,
            since: inner.since,
            recovered: recovered.filter(|_| inner.verdict == Verdict::Up),
            failing: inner.is_failing(),
            wished: inner.wishes.is_open(now),
            good: inner.wishes.good(),
            asked: inner.asked,
        }
    }

    /// What re-checks found out about the failing series that goes on; too late for one that is over.
    pub fn diagnosed(&self, diagnosis: Diagnosis) {
        let mut inner = self.lock();
        if inner.failures_in_a_row > 0 && !inner.retired {
            inner.diagnosis = Some(Arc::new(diagnosis));
            inner.refine();
        }
    }

    /// What explains that the target is down, or that nothing does. Too late for an outage that is over.
    pub fn explain(&self, cause: Option<Arc<SharedCause>>) {
        let mut inner = self.lock();
        if !inner.retired {
            inner.shared_cause = cause.filter(|_| inner.verdict == Verdict::Down);
        }
    }

    /// As much as the search for shared causes has to know.
    pub fn view(&self, now: Instant) -> View {
        let inner = self.lock();
        View {
            verdict: inner.verdict,
            since: inner.since,
            failures_in_a_row: inner.failures_in_a_row,
            last_good: inner.capsules.last_good.clone(),
            failure: inner.capsules.latest_failure.clone(),
            maintained: inner.in_maintenance(&self.target, now).unwrap_or(false),
            shared_cause: inner.shared_cause.clone(),
        }
    }

    /// Whether a failing series goes on whose way was not traced.
    pub fn lacks_path(&self) -> bool {
        let inner = self.lock();
        inner.failures_in_a_row > 0 && inner.paths.lacks_current() && !inner.retired
    }

    /// The way of the failing series that goes on; too late for one that is over.
    pub fn traced(&self, path: Path) {
        let mut inner = self.lock();
        if inner.failures_in_a_row > 0 && !inner.retired {
            inner.paths.set_current(path);
            inner.refine();
        }
    }

    /// Ways on which the target answered, the latest first.
    pub fn good_paths(&self) -> Vec<Arc<GoodPath>> {
        self.lock().paths.good().to_vec()
    }

    /// One more way on which the target answered.
    pub fn traced_good(&self, path: GoodPath) {
        self.lock().paths.add_good(path);
    }

    /// Attaches the operator's words, or takes them away.
    pub fn announce(&self, notice: Option<Arc<Notice>>) {
        self.lock().notice = notice;
    }

    /// The last run that succeeded.
    pub fn last_good(&self) -> Option<Arc<Observation>> {
        self.lock().capsules.last_good.clone()
    }

    /// Whether a run has ended.
    pub fn is_observed(&self) -> bool {
        self.lock().last.is_some()
    }

    pub fn snapshot(&self, now: Instant) -> TargetSnapshot {
        let mut inner = self.lock();
        let inner = &mut *inner;
        if !inner.retired {
            inner.clock.settle(now, &mut inner.totals);
        }
        TargetSnapshot {
            target: Arc::clone(&self.target),
            verdict: inner.verdict,
            since: inner.since,
            last: inner.last.clone(),
            failures_in_a_row: inner.failures_in_a_row,
            totals: inner.totals,
            failures: inner.failures.clone(),
            latency: inner.latency.as_deref().cloned(),
            exemplars: inner.exemplars.clone(),
            capsules: inner.capsules.clone(),
            diagnosis: inner.diagnosis.clone(),
            shared_cause: inner.shared_cause.clone(),
            path: inner.paths.latest().cloned(),
            path_is_current: inner.paths.is_current(),
            good_paths: inner.paths.good().to_vec(),
            changes: inner.changes.clone(),
            timeline: inner.timeline.clone(),
            recent: inner.recent.clone(),
            notice: inner.notice.clone(),
            maintenance: inner.in_maintenance(&self.target, now),
            window: inner.window(&self.target, now),
            explained: None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing below panics while it holds the lock; if it did, stale numbers beat a dead target.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn pending(&self) -> Duration {
        self.lock().clock.pending()
    }
}

impl Inner {
    /// `None` for a target that has no windows.
    fn in_maintenance(&self, target: &Target, now: Instant) -> Option<bool> {
        let windows = &target.maintenance;
        (!windows.is_empty()).then(|| windows.current(self.clock.wall(now)).is_some())
    }

    fn window(&self, target: &Target, now: Instant) -> Option<(SystemTime, SystemTime)> {
        let (start, end) = target.maintenance.current_or_next(self.clock.wall(now))?;
        Some((start.into(), end.into()))
    }

    /// The last run failed, and says something about the target.
    fn is_failing(&self) -> bool {
        let failure = self.last.as_deref().and_then(|run| run.outcome.failure());
        self.failures_in_a_row > 0 && failure.is_some_and(|failure| !failure.reason.is_inconclusive())
    }

    fn record(&mut self, target: &Target, run: &Arc<Observation>, now: Instant) -> (Option<Change>, Next) {
        // How long the target may go without a new run before its time is called unknown.
        let trusted_for = target
            .cadence
            .interval()
            .saturating_add(target.cadence.timeout())
            .saturating_add(target.confirm.retry_interval);
        let mark = self.clock.mark();
        let setting = self.clock.adjust(mark, run.started);
        self.follow(setting);
        self.changes.note(run, self.last.as_deref(), self.capsules.last_good.as_deref());
        self.recent.push(run);
        self.last = Some(Arc::clone(run));
        let (account, change, next) = match &run.outcome {
            Outcome::Up => self.record_success(target, run),
            Outcome::Down(failure) => {
                self.totals.runs_failed += 1;
                self.count_reason(failure.reason);
                if let Some(trace) = run.trace_id() {
                    Arc::make_mut(self.exemplars.get_or_insert_default()).note_failure(failure.reason, trace, run);
                }
                if failure.reason.is_inconclusive() {
                    // No re-check either: an exporter in trouble is not helped by more runs.
                    (Account::Unknown, None, Next::Tick)
                } else {
                    self.record_failure(target, run, now)
                }
            }
        };
        self.clock.end(account, trusted_for);
        (change, next)
    }

    fn record_success(&mut self, target: &Target, run: &Arc<Observation>) -> (Account, Option<Change>, Next) {
        self.totals.runs_succeeded += 1;
        if let Some(histogram) = &mut self.latency {
            let seconds = run.elapsed.as_secs_f64();
            let bucket = target.latency_buckets.partition_point(|bound| *bound < seconds);
            histogram.counts[bucket] += 1;
            histogram.sum += seconds;
            if let Some(trace) = run.trace_id() {
                Arc::make_mut(self.exemplars.get_or_insert_default()).note_latency(bucket, trace, run);
            }
        }
        // Pending failures were a blip: the target was up, and the runs stay counted as failed.
        self.clock.resolve(Account::Up, &mut self.totals);
        if self.uncounted == Uncounted::Blip {
            self.totals.blips = self.totals.blips.saturating_add(1);
        }
        self.uncounted = Uncounted::Nothing;
        self.failures_in_a_row = 0;
        self.diagnosis = None;
        self.shared_cause = None;
        self.paths.end_series();
        self.capsules.last_good = Some(Arc::clone(run));
        let series = self.series.take();
        let change = match self.verdict {
            Verdict::Up => None,
            Verdict::Unknown => Some(Change::FirstUp { since: run.started }),
            Verdict::Down => {
                self.capsules.recovery = Some(Arc::clone(run));
                let began = series.map_or(self.clock.mark(), |(_, began)| began);
                let duration = self.clock.mark().saturating_duration_since(began);
                Some(Change::CameUp { since: run.started, duration })
            }
        };
        if change.is_some() {
            self.verdict = Verdict::Up;
            self.since = Some(run.started);
            self.set_back = 0;
            let failed =
                self.capsules.latest_failure.as_ref().filter(|_| matches!(change, Some(Change::CameUp { .. })));
            let after = failed.map(|run| run.started).filter(|after| *after <= run.started);
            self.timeline.push(Turn { time: run.started, after, verdict: Verdict::Up, reason: None });
        }
        (Account::Up, change, Next::Tick)
    }

    fn record_failure(
        &mut self,
        target: &Target,
        run: &Arc<Observation>,
        now: Instant,
    ) -> (Account, Option<Change>, Next) {
        self.failures_in_a_row = self.failures_in_a_row.saturating_add(1);
        self.capsules.latest_failure = Some(Arc::clone(run));
        let mark = self.clock.mark();
        let maintenance = target.maintenance.current(run.started).is_some();
        let (first, began) = self.series.get_or_insert_with(|| (Arc::clone(run), mark));
        if self.verdict == Verdict::Down {
            if self.uncounted == Uncounted::Outage && !maintenance {
                self.count_outage();
            }
            return (Account::Down, None, Next::Tick);
        }
        if self.failures_in_a_row < target.confirm.failures.get() {
            // What only runs out of turn saw is none: there would be the more blips, the more of those there are.
            if !self.aside && !maintenance {
                self.uncounted = Uncounted::Blip;
            }
            return (Account::Pending, None, Next::Recheck);
        }
        let since = first.started;
        let duration = now.saturating_duration_since(*began);
        self.capsules.first_failure = Some(Arc::clone(first));
        self.capsules.recovery = None;
        self.verdict = Verdict::Down;
        self.since = Some(since);
        self.set_back = 0;
        let reason = first.outcome.failure().map(|failure| failure.reason);
        let after = self.capsules.last_good.as_ref().map(|run| run.started).filter(|after| *after <= since);
        self.timeline.push(Turn { time: since, after, verdict: Verdict::Down, reason });
        // What goes down while it is worked on is no outage, unless it stays down.
        if maintenance {
            self.uncounted = Uncounted::Outage;
        } else {
            self.count_outage();
        }
        self.clock.resolve(Account::Down, &mut self.totals);
        (Account::Down, Some(Change::WentDown { since, duration }), Next::Tick)
    }

    /// Where nothing answers, the way says more.
    fn refine(&mut self) {
        let Some(trace) = self.paths.current() else { return };
        let Some(finding) = trace.ending.finding() else { return };
        let attempts = match self.diagnosis.as_deref() {
            None => Box::default(),
            Some(diagnosis) if diagnosis.finding == Finding::NothingAnswers => diagnosis.attempts.clone(),
            Some(_) => return,
        };
        let time = self.diagnosis.as_deref().map_or(trace.time, |diagnosis| diagnosis.time);
        self.diagnosis = Some(Arc::new(Diagnosis { time, finding, sentence: trace.sentence.clone(), attempts }));
    }

    fn count_outage(&mut self) {
        self.uncounted = Uncounted::Nothing;
        self.totals.outages = self.totals.outages.saturating_add(1);
    }

    fn count_reason(&mut self, reason: Reason) {
        match self.failures.binary_search_by_key(&reason, |(seen, _)| *seen) {
            Ok(index) => self.failures[index].1 += 1,
            Err(index) => {
                self.failures.reserve_exact(1);
                self.failures.insert(index, (reason, 1));
            }
        }
    }
}

fn empty_histogram(target: &Target) -> Option<Box<LatencyHistogram>> {
    let buckets = target.latency_buckets.len();
    (buckets > 0).then(|| Box::new(LatencyHistogram { counts: vec![0; buckets + 1].into(), sum: 0.0 }))
}
