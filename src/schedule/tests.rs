//! The loop on paused time with scripted probes.

#![allow(clippy::unwrap_used)]

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::time::advance;

use super::*;
use crate::config::PathSettings;
use crate::observation::{Ending, GoodPath, Observation, Path, Protocol, Reason, Trace, Untraced};
use crate::probe::GoodTrace;
use crate::state::Verdict;
use crate::state::tests::{down, target, target_with, up};

const S: Duration = Duration::from_secs(1);

pub(super) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A probe that does as `script` says for the n-th run, and notes when each began.
pub(super) struct Scripted<F> {
    script: F,
    starts: Mutex<Vec<Instant>>,
}

pub(super) enum Act {
    /// Take so long, then be up, or down for this reason.
    Take(Duration, Option<Reason>),
    HangTillDeadline,
    /// Break the promise to end by the deadline.
    HangForEver,
    Panic,
}

impl<F: Fn(usize) -> Act + Send + Sync + 'static> Scripted<F> {
    pub(super) fn new(script: F) -> Arc<Self> {
        Arc::new(Self { script, starts: Mutex::default() })
    }

    pub(super) fn starts(&self) -> Vec<Instant> {
        self.starts.lock().unwrap().clone()
    }
}

impl<F: Fn(usize) -> Act + Send + Sync + 'static> Probe for Scripted<F> {
    async fn run(&self, deadline: Instant) -> Observation {
        let n = {
            let mut starts = self.starts.lock().unwrap();
            starts.push(Instant::now());
            starts.len() - 1
        };
        match (self.script)(n) {
            Act::Take(time, reason) => {
                sleep(time).await;
                reason.map_or_else(up, down)
            }
            Act::HangTillDeadline => {
                sleep_until(deadline).await;
                down(Reason::ConnectTimeout)
            }
            Act::HangForEver => std::future::pending().await,
            Act::Panic => panic!("as the script says"),
        }
    }
}

fn scheduler() -> (Scheduler, Arc<Telemetry>) {
    let telemetry = Arc::new(Telemetry::new());
    (Scheduler::new(Arc::clone(&telemetry), CurrentVantage::default()), telemetry)
}

fn state(target: Arc<crate::config::Target>) -> Arc<TargetState> {
    Arc::new(TargetState::new(target, Instant::now()))
}

fn gaps(starts: &[Instant]) -> Vec<Duration> {
    starts.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

/// Whole milliseconds, rounded: the timer's grain.
fn grain(time: Duration) -> u128 {
    (time.as_micros() + 500) / 1000
}

#[tokio::test(start_paused = true)]
async fn a_thousand_ticks_do_not_drift_however_long_the_runs_take() {
    let (mut scheduler, telemetry) = scheduler();
    let probe = Scripted::new(|n| Act::Take(ms((n as u64 * 7919) % 4000), None));
    let state = state(target("shop", 10 * S, 5 * S));
    scheduler.spawn(Arc::clone(&probe), Arc::clone(&state));
    sleep(10_000 * S).await;
    let starts = probe.starts();
    // A look beside the grid may come first.
    let ticks = &starts[starts.len() - 1000..];
    for (n, start) in ticks.iter().enumerate() {
        let n = u32::try_from(n).unwrap();
        let off = start.duration_since(ticks[0]).abs_diff(n * 10 * S);
        assert!(off <= ms(2), "tick {n} is off by {off:?}");
    }
    assert_eq!(telemetry.runs_skipped.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_new_loop_keeps_to_the_grid_of_the_old_one() {
    let (mut scheduler, _) = scheduler();
    let phase = |starts: Vec<Instant>, epoch: Instant| grain(*starts.last().unwrap() - epoch) % 10_000;
    let mut phases = Vec::new();
    for pause in [0, 3, 7] {
        sleep(pause * S).await;
        let probe = Scripted::new(|_| Act::Take(ms(5), None));
        let handle = scheduler.spawn(Arc::clone(&probe), state(target("shop", 10 * S, 5 * S)));
        sleep(60 * S).await;
        handle.abort();
        phases.push(phase(probe.starts(), scheduler.common.epoch));
    }
    assert!(phases.iter().all(|phase| phase.abs_diff(phases[0]) <= 1), "{phases:?}");
}

#[tokio::test(start_paused = true)]
async fn a_run_over_its_next_tick_skips_it_and_counts_it() {
    let (mut scheduler, telemetry) = scheduler();
    // Ends by the backstop, 11 s after its start and 1 s after the next tick.
    let probe = Scripted::new(|n| if n == 3 { Act::HangForEver } else { Act::Take(ms(10), None) });
    scheduler.spawn(Arc::clone(&probe), state(target("shop", 5 * S, 5 * S)));
    sleep(60 * S).await;
    let gaps: Vec<_> = gaps(&probe.starts()).into_iter().map(grain).collect();
    assert_eq!(gaps[3], 10_000, "one tick is left out: {gaps:?}");
    assert!(gaps.iter().enumerate().all(|(n, gap)| n == 3 || gap.abs_diff(5_000) <= 1), "{gaps:?}");
    assert_eq!(telemetry.runs_skipped.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_as_long_as_the_interval_does_not_halve_the_cadence() {
    let (mut scheduler, _) = scheduler();
    let probe = Scripted::new(|_| Act::HangTillDeadline);
    scheduler.spawn(Arc::clone(&probe), state(target("shop", 5 * S, 5 * S)));
    sleep(500 * S).await;
    assert!(probe.starts().len() >= 95, "{}", probe.starts().len());
}

#[tokio::test(start_paused = true)]
async fn a_process_that_was_late_does_not_bunch() {
    let (mut scheduler, telemetry) = scheduler();
    let probe = Scripted::new(|_| Act::Take(ms(10), None));
    scheduler.spawn(Arc::clone(&probe), state(target("shop", 10 * S, 5 * S)));
    sleep(35 * S).await;
    let before = probe.starts().len();
    // The clock jumps without the loop getting a turn, as when the process is stopped.
    advance(100 * S).await;
    sleep(ms(20)).await;
    assert_eq!(probe.starts().len(), before + 1, "one run, not ten");
    sleep(30 * S).await;
    for gap in gaps(&probe.starts()[before..]) {
        assert!(gap >= 5 * S, "{gap:?}");
    }
    assert!(telemetry.runs_skipped.get() >= 9);
}

#[tokio::test(start_paused = true)]
async fn targets_that_hang_delay_nobody() {
    let (mut scheduler, telemetry) = scheduler();
    for n in 0..1000 {
        let hung = Scripted::new(|_| Act::HangTillDeadline);
        scheduler.spawn(hung, state(target(&format!("hung-{n}"), 10 * S, 10 * S)));
    }
    let probe = Scripted::new(|_| Act::Take(ms(10), None));
    let healthy = state(target("shop", 10 * S, 5 * S));
    scheduler.spawn(Arc::clone(&probe), Arc::clone(&healthy));
    sleep(100 * S).await;
    assert!(telemetry.runs_in_flight.get() > 900);
    let gaps = gaps(&probe.starts());
    assert!(gaps.len() >= 8 && gaps.iter().skip(1).all(|gap| grain(*gap).abs_diff(10_000) <= 2), "{gaps:?}");
    assert_eq!(healthy.snapshot(Instant::now()).totals.runs_failed, 0);
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_checked_again_after_the_retry_interval_until_confirmed() {
    let (mut scheduler, _) = scheduler();
    let probe = Scripted::new(|n| Act::Take(ms(0), (n >= 1).then_some(Reason::ConnectRefused)));
    let state = state(target_with("shop", 100 * S, 5 * S, 3, &[]));
    scheduler.spawn(Arc::clone(&probe), Arc::clone(&state));
    sleep(400 * S).await;
    let gaps: Vec<_> = gaps(&probe.starts()).into_iter().map(grain).collect();
    assert_eq!(gaps[1], 2_000, "first re-check: {gaps:?}");
    assert_eq!(gaps[2], 2_000, "second: {gaps:?}");
    assert_eq!(gaps[3], 96_000, "confirmed, so back on the grid: {gaps:?}");
    let snapshot = state.snapshot(Instant::now());
    assert_eq!((snapshot.verdict, snapshot.totals.outages), (Verdict::Down, 1));
}

#[tokio::test(start_paused = true)]
async fn a_success_at_the_recheck_ends_the_matter() {
    let (mut scheduler, _) = scheduler();
    let probe = Scripted::new(|n| Act::Take(ms(0), (n == 1).then_some(Reason::ConnectRefused)));
    let state = state(target("shop", 100 * S, 5 * S));
    scheduler.spawn(Arc::clone(&probe), Arc::clone(&state));
    sleep(400 * S).await;
    let gaps: Vec<_> = gaps(&probe.starts()).into_iter().map(grain).collect();
    assert_eq!((gaps[1], gaps[2]), (2_000, 98_000));
    let snapshot = state.snapshot(Instant::now());
    assert_eq!((snapshot.verdict, snapshot.totals.outages, snapshot.totals.runs_failed), (Verdict::Up, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn the_backstop_ends_a_probe_that_does_not_end_itself() {
    let (mut scheduler, telemetry) = scheduler();
    let probe = Scripted::new(|_| Act::HangForEver);
    let state = state(target("shop", 10 * S, 5 * S));
    scheduler.spawn(probe, Arc::clone(&state));
    sleep(100 * S).await;
    let snapshot = state.snapshot(Instant::now());
    let last = snapshot.last.unwrap();
    assert_eq!(last.outcome.failure().unwrap().reason, Reason::Internal);
    assert_eq!(last.elapsed.as_secs(), 6);
    assert_eq!(snapshot.verdict, Verdict::Unknown);
    assert!(snapshot.totals.runs_failed >= 8);
    assert_eq!(telemetry.panics.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_counted_and_the_loop_goes_on() {
    let (mut scheduler, telemetry) = scheduler();
    let probe = Scripted::new(|n| if n == 1 { Act::Panic } else { Act::Take(ms(1), None) });
    let state = state(target("shop", 10 * S, 5 * S));
    scheduler.spawn(probe, Arc::clone(&state));
    sleep(100 * S).await;
    let snapshot = state.snapshot(Instant::now());
    assert_eq!(snapshot.failures, [(Reason::Internal, 1)]);
    assert!(snapshot.totals.runs_succeeded >= 8);
    assert_eq!((telemetry.panics.get(), telemetry.runs_in_flight.get()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_run_records_nothing() {
    let (mut scheduler, telemetry) = scheduler();
    let probe = Scripted::new(|_| Act::Take(5 * S, None));
    let state = state(target("shop", 10 * S, 5 * S));
    let handle = scheduler.spawn(Arc::clone(&probe), Arc::clone(&state));
    while probe.starts().is_empty() {
        sleep(ms(100)).await;
    }
    assert_eq!(telemetry.runs_in_flight.get(), 1);
    handle.abort();
    scheduler.reap().await;
    assert!(scheduler.is_empty());
    assert_eq!(telemetry.runs_in_flight.get(), 0);
    sleep(60 * S).await;
    let snapshot = state.snapshot(Instant::now());
    assert_eq!(snapshot.last, None);
    assert_eq!(snapshot.totals.runs_succeeded + snapshot.totals.runs_failed, 0);
    assert_eq!(probe.starts().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn stopping_ends_every_loop() {
    let (mut scheduler, telemetry) = scheduler();
    for n in 0..100 {
        scheduler.spawn(Scripted::new(|_| Act::HangForEver), state(target(&format!("t{n}"), 10 * S, 5 * S)));
    }
    sleep(11 * S).await;
    assert!(telemetry.runs_in_flight.get() > 0);
    scheduler.stop().await;
    assert!(scheduler.is_empty());
    assert_eq!(telemetry.runs_in_flight.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn first_runs_come_soon_and_spread_out() {
    let (mut scheduler, _) = scheduler();
    let runs = Arc::new(AtomicU32::new(0));
    for n in 0..1000 {
        let runs = Arc::clone(&runs);
        let probe = Scripted::new(move |n| {
            runs.fetch_add(u32::from(n == 0), Ordering::Relaxed);
            Act::Take(ms(1), None)
        });
        scheduler.spawn(probe, state(target(&format!("t{n}"), 60 * S, 5 * S)));
    }
    sleep(ms(2_500)).await;
    let half = runs.load(Ordering::Relaxed);
    assert!((350..=650).contains(&half), "{half}");
    sleep(ms(2_600)).await;
    assert_eq!(runs.load(Ordering::Relaxed), 1000);
}

#[tokio::test]
async fn an_idle_loop_is_small() {
    let telemetry = Arc::new(Telemetry::new());
    let (turned, stirred, dependencies) = (Arc::default(), Arc::default(), Dependencies::default());
    let vantage = CurrentVantage::default();
    let common = Arc::new(Common { epoch: Instant::now(), telemetry, vantage, turned, stirred, dependencies });
    let idle = supervise(Scripted::new(|_| Act::Panic), state(target("shop", S, S)), common);
    assert!(size_of_val(&idle) <= 704, "{}", size_of_val(&idle));
}

/// A probe that is up or lost as `up` says, run by run, and whose ways are as `path` says; notes what began when.
struct Traced {
    up: fn(usize) -> bool,
    path: fn(usize) -> Path,
    takes: Duration,
    runs: Mutex<Vec<Instant>>,
    traces: Mutex<Vec<Instant>>,
    good: Mutex<Vec<Instant>>,
}

impl Traced {
    fn new(up: fn(usize) -> bool, path: fn(usize) -> Path, takes: Duration) -> Arc<Self> {
        let (runs, traces, good) = (Mutex::default(), Mutex::default(), Mutex::default());
        Arc::new(Self { up, path, takes, runs, traces, good })
    }
}

fn note(list: &Mutex<Vec<Instant>>) -> usize {
    let mut list = list.lock().unwrap();
    list.push(Instant::now());
    list.len() - 1
}

impl Probe for Traced {
    async fn run(&self, _deadline: Instant) -> Observation {
        let n = note(&self.runs);
        if (self.up)(n) { up() } else { down(Reason::ConnectTimeout) }
    }

    fn is_lost(&self, run: &Observation) -> bool {
        !run.outcome.is_up()
    }

    async fn trace(&self, _failed: &Observation, _good: &[Arc<GoodPath>]) -> Option<Path> {
        let n = note(&self.traces);
        sleep(self.takes).await;
        Some((self.path)(n))
    }

    async fn trace_good(&self, _run: &Observation) -> GoodTrace {
        let n = note(&self.good);
        sleep(self.takes).await;
        let path = || GoodPath::new(std::time::SystemTime::now(), [192, 0, 2, 1].into(), None, Protocol::Icmp, &[]);
        match n {
            0 => GoodTrace::NoRoom,
            2 => GoodTrace::Nothing,
            _ => GoodTrace::Found(path()),
        }
    }
}

fn ends(_: usize) -> Path {
    Path::Traced(Trace {
        time: std::time::SystemTime::now(),
        elapsed: S,
        to: [192, 0, 2, 1].into(),
        port: None,
        protocol: Protocol::Icmp,
        ending: Ending::Ends,
        sentence: "as the script says".into(),
        hops: Box::default(),
        parting: None,
    })
}

#[tokio::test(start_paused = true)]
async fn a_way_is_traced_once_an_outage_and_delays_no_run() {
    let (mut scheduler, _) = scheduler();
    let probe = Traced::new(|n| n < 10, ends, 25 * S);
    let state = state(target("shop", 10 * S, 5 * S));
    scheduler.spawn(Arc::clone(&probe), Arc::clone(&state));
    sleep(1000 * S).await;
    assert_eq!(probe.traces.lock().unwrap().len(), 1);
    let snapshot = state.snapshot(Instant::now());
    assert!(matches!(snapshot.path.as_deref(), Some(Path::Traced(_))) && snapshot.path_is_current);
    assert_eq!(snapshot.diagnosis.unwrap().finding.as_label(), "path_ends");
    let runs = probe.runs.lock().unwrap();
    let ticks = gaps(&runs[11..]);
    // The first failure and its re-check come before.
    assert!(ticks.iter().skip(1).all(|gap| grain(*gap).abs_diff(10_000) <= 2), "{ticks:?}");
}

#[tokio::test(start_paused = true)]
async fn a_way_for_which_there_was_no_room_is_traced_later() {
    let (mut scheduler, _) = scheduler();
    let busy = |n| {
        let untraced = Untraced { time: std::time::SystemTime::now(), sentence: "not traced".into(), again: true };
        if n < 3 { Path::Untraced(untraced) } else { ends(n) }
    };
    let probe = Traced::new(|_| false, busy, ms(1));
    let state = state(target("shop", 10 * S, 5 * S));
    scheduler.spawn(Arc::clone(&probe), Arc::clone(&state));
    sleep(1000 * S).await;
    let traces = probe.traces.lock().unwrap();
    assert_eq!(traces.len(), 4);
    assert!(gaps(&traces).iter().all(|gap| *gap >= 30 * S), "{:?}", gaps(&traces));
}

#[tokio::test(start_paused = true)]
async fn a_target_that_flaps_is_not_traced_all_the_time() {
    let (mut scheduler, _) = scheduler();
    let probe = Traced::new(|n| n % 2 == 0, ends, ms(1));
    scheduler.spawn(Arc::clone(&probe), state(target("shop", S, S)));
    sleep(600 * S).await;
    let traces = probe.traces.lock().unwrap();
    assert!((10..=21).contains(&traces.len()), "{}", traces.len());
    assert!(gaps(&traces).iter().all(|gap| *gap >= 30 * S), "{:?}", gaps(&traces));
}

#[tokio::test(start_paused = true)]
async fn a_trace_ends_with_the_failure_that_it_is_about() {
    let (mut scheduler, _) = scheduler();
    let probe = Traced::new(|n| n != 3, ends, 60 * S);
    let state = state(target("shop", 10 * S, 5 * S));
    scheduler.spawn(Arc::clone(&probe), Arc::clone(&state));
    sleep(300 * S).await;
    assert_eq!(probe.traces.lock().unwrap().len(), 1);
    assert_eq!(state.snapshot(Instant::now()).path, None);
}

#[tokio::test(start_paused = true)]
async fn good_ways_are_traced_now_and_then_while_all_is_well() {
    let with_path = |enabled, every| {
        let mut target = Arc::into_inner(target("shop", 10 * S, 5 * S)).unwrap();
        target.path = PathSettings { enabled, every };
        Arc::new(target)
    };
    for (enabled, every, up, expected) in [
        (true, None, (|_| true) as fn(usize) -> bool, 0..=0),
        (true, Some(600 * S), |_| true, 10..=11),
        (true, Some(600 * S), |_| false, 0..=0),
        (false, Some(600 * S), |_| true, 0..=0),
    ] {
        let (mut scheduler, _) = scheduler();
        let probe = Traced::new(up, ends, S);
        let state = state(with_path(enabled, every));
        scheduler.spawn(Arc::clone(&probe), Arc::clone(&state));
        sleep(6000 * S).await;
        let good = probe.good.lock().unwrap();
        assert!(expected.contains(&good.len()), "{every:?} {}", good.len());
        if let [first, second, third, fourth, ..] = good[..] {
            assert!(second - first >= 30 * S && second - first < 60 * S, "there was no room for the first");
            assert!(third - second >= 600 * S && third - second < 620 * S);
            assert!(fourth - third >= 600 * S, "what leads nowhere is not tried more often");
            assert_eq!(state.good_paths().len(), 1);
        }
    }
}
