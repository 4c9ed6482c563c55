//! Targets and what they stand behind, on paused time: who is run when, and whether a failure is ever told without its
//! explanation.

#![allow(clippy::unwrap_used)]

use std::time::{Duration, SystemTime};

use super::tests::{Act, Scripted, ms};
use super::*;
use crate::config::{Parents, Target};
use crate::observation::{Observation, Reason};
use crate::state::tests::{target, target_with};
use crate::state::{ParentState, Snapshot, Verdict};

const S: Duration = Duration::from_secs(1);
const REFUSED: Option<Reason> = Some(Reason::ConnectRefused);

/// A scheduler, and targets that stand behind the last of them.
struct Bench {
    scheduler: Scheduler,
    dependencies: Dependencies,
    targets: Arc<[Arc<TargetState>]>,
}

impl Bench {
    /// The children by name, then the parent, whose name is the last.
    fn new(children: Vec<Arc<Target>>, parent: Arc<Target>) -> Self {
        let gw = children.len();
        let parents = (0..=gw).map(|place| if place == gw { Arc::from([]) } else { Arc::from([gw]) });
        let parents = Parents::new(parents.collect());
        let now = Instant::now();
        let targets: Arc<[_]> =
            children.into_iter().chain([parent]).map(|target| Arc::new(TargetState::new(target, now))).collect();
        assert!(targets.is_sorted_by_key(|state| state.target().name.clone()));
        let dependencies = Dependencies::default();
        dependencies.replace(parents, Arc::clone(&targets));
        let telemetry = Arc::new(Telemetry::new());
        let scheduler = Scheduler::with_dependencies(telemetry, CurrentVantage::default(), dependencies.clone());
        Self { scheduler, dependencies, targets }
    }

    fn spawn<F: Fn(usize) -> Act + Send + Sync + 'static>(&mut self, place: usize, script: F) -> Arc<Scripted<F>> {
        let probe = Scripted::new(script);
        let timed = Timed { probe: Arc::clone(&probe), epoch: Instant::now() };
        self.scheduler.spawn(Arc::new(timed), Arc::clone(&self.targets[place]));
        probe
    }

    fn snapshot(&self) -> Snapshot {
        let now = Instant::now();
        let targets = self.targets.iter().map(|state| state.snapshot(now)).collect();
        let mut snapshot = Snapshot { taken: SystemTime::now(), targets };
        self.dependencies.explain(&mut snapshot, now);
        snapshot
    }
}

/// On a wall clock that goes with the paused one. All of a bench start in the same moment.
struct Timed<F> {
    probe: Arc<Scripted<F>>,
    epoch: Instant,
}

impl<F: Fn(usize) -> Act + Send + Sync + 'static> Probe for Timed<F> {
    async fn run(&self, deadline: Instant) -> Observation {
        let started = SystemTime::UNIX_EPOCH + (Instant::now() - self.epoch);
        Observation { started, ..self.probe.run(deadline).await }
    }
}

/// Runs that end after `time`, and fail when they begin between `from` and `to`, counted from `epoch`.
fn fails(epoch: Instant, from: Duration, to: Duration, time: Duration) -> impl Fn(usize) -> Act {
    move |_| {
        let now = Instant::now() - epoch;
        Act::Take(time, REFUSED.filter(|_| (from..to).contains(&now)))
    }
}

#[tokio::test(start_paused = true)]
async fn the_parent_is_run_at_once_and_its_grid_stays_where_it_is() {
    let mut bench = Bench::new(vec![target("child", 10 * S, 5 * S)], target("gw", 300 * S, 5 * S));
    let epoch = Instant::now();
    let child = bench.spawn(0, fails(epoch, 400 * S, 2000 * S, ms(1)));
    let gw = bench.spawn(1, fails(epoch, 400 * S, 2000 * S, ms(1)));
    sleep(399 * S).await;
    let before = gw.starts().len();
    sleep(20 * S).await;
    let first = child.starts().into_iter().find(|start| *start - epoch >= 400 * S).unwrap();
    let extra = gw.starts()[before];
    assert!((extra - first) <= ms(3), "{:?}", extra - first);
    let snapshot = bench.snapshot();
    assert!(snapshot.targets.iter().all(|target| target.verdict == Verdict::Down));
    sleep(1500 * S).await;
    let phases: Vec<u128> = gw.starts().iter().map(|start| (*start - epoch).as_millis() % 300_000).collect();
    let ticks = &phases[phases.len() - 4..];
    assert!(ticks.iter().all(|phase| phase.abs_diff(ticks[0]) <= 2), "{phases:?}");
    assert!(phases[1..before].iter().all(|phase| phase.abs_diff(ticks[0]) <= 2), "{phases:?}");
}

#[tokio::test(start_paused = true)]
async fn a_thousand_children_that_fail_at_once_run_the_parent_once() {
    let children = (0..1000).map(|n| target(&format!("child-{n:04}"), 10 * S, 10 * S)).collect();
    let mut bench = Bench::new(children, target("gw", 300 * S, 5 * S));
    let epoch = Instant::now();
    let moment = epoch + 100 * S;
    for place in 0..1000 {
        // All that go on then end together.
        bench.spawn(place, move |_| {
            let left = moment.saturating_duration_since(Instant::now());
            if left.is_zero() {
                Act::Take(ms(1), None)
            } else {
                Act::Take(left.min(9 * S), REFUSED.filter(|_| left <= 9 * S))
            }
        });
    }
    let gw = bench.spawn(1000, |_| Act::Take(ms(20), None));
    sleep(ms(99_990)).await;
    let before = gw.starts().len();
    sleep(ms(2_000)).await;
    let runs = gw.starts();
    assert_eq!(runs.len(), before + 1);
    assert!(runs[before] - moment <= ms(3));
    assert_eq!(bench.targets[1000].wished(), None);
}

#[tokio::test(start_paused = true)]
async fn children_that_fail_one_after_the_other_cost_no_more_than_rechecks() {
    let children = (0..1000).map(|n| target(&format!("child-{n:04}"), 10 * S, 5 * S)).collect();
    let mut bench = Bench::new(children, target("gw", 300 * S, 5 * S));
    let epoch = Instant::now();
    for place in 0..1000 {
        bench.spawn(place, fails(epoch, 100 * S, 1000 * S, ms(5)));
    }
    let gw = bench.spawn(1000, |_| Act::Take(ms(20), None));
    sleep(200 * S).await;
    let runs: Vec<_> = gw.starts().into_iter().filter(|start| *start - epoch >= 100 * S).collect();
    // Ten seconds of first failures, and two until the last is confirmed.
    assert!((5..=9).contains(&runs.len()), "{}", runs.len());
    assert!(runs.windows(2).all(|pair| pair[1] - pair[0] >= 2 * S));
    let snapshot = bench.snapshot();
    assert!(snapshot.targets[..1000].iter().all(|child| child.verdict == Verdict::Down && child.explained.is_none()));
}

/// Every order in which two clocks and two confirmations can come, with quick and slow failures on both sides.
#[tokio::test(start_paused = true)]
async fn an_outage_of_the_parent_never_shows_the_child_down_without_an_explanation() {
    let mut seen = std::collections::BTreeSet::new();
    let mut orders = [0; 2];
    for n in 0..40_u32 {
        let (intervals, times) = ([[5, 60], [60, 5], [15, 15]], [[1, 1], [1, 4_900], [4_900, 1], [3_000, 4_000]]);
        let [of_child, of_gw] = intervals[n as usize % 3];
        let [child_takes, gw_takes] = times[n as usize % 4];
        let failures = 2 + n % 2;
        let child = target_with(&format!("a{n}"), of_child * S, 5 * S, 2, &[]);
        let gw = target_with(&format!("gw{n}"), of_gw * S, 5 * S, failures, &[]);
        let mut bench = Bench::new(vec![child], gw);
        let epoch = Instant::now();
        // The way is gone at one moment, and back at another.
        let (from, to) = (200 * S + n * ms(1_370), 500 * S + n * ms(2_190));
        bench.spawn(0, fails(epoch, from, to, ms(child_takes)));
        bench.spawn(1, fails(epoch, from, to, ms(gw_takes)));
        let mut first = None;
        for _ in 0..8_000 {
            sleep(ms(100)).await;
            let snapshot = bench.snapshot();
            let [child, gw] = &snapshot.targets[..] else { panic!() };
            if first.is_none() && [child, gw].iter().any(|target| target.verdict == Verdict::Down) {
                first = Some(child.verdict == Verdict::Down);
            }
            assert!(gw.explained.is_none());
            if child.verdict == Verdict::Down {
                let what = format!("case {n}, {:?} after {from:?}", Instant::now() - epoch);
                let explained = child.explained.as_ref().unwrap_or_else(|| panic!("{what}"));
                assert_eq!(explained.parent == ParentState::Down, gw.verdict == Verdict::Down, "{what}");
                seen.insert(explained.parent.as_label());
            } else if Instant::now() - epoch > to + 200 * S {
                assert!(child.explained.is_none());
            }
        }
        orders[usize::from(first.unwrap())] += 1;
        bench.scheduler.stop().await;
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["checking", "down", "recovering"]);
    assert!(orders.iter().all(|count| *count >= 5), "{orders:?}: both come first now and then");
}

#[tokio::test(start_paused = true)]
async fn a_child_that_stays_down_is_on_its_own_soon_after_its_parent_is_up() {
    let mut bench = Bench::new(vec![target("a", 10 * S, 5 * S)], target("gw", 10 * S, 5 * S));
    let epoch = Instant::now();
    bench.spawn(0, fails(epoch, 100 * S, 1000 * S, ms(1)));
    bench.spawn(1, fails(epoch, 100 * S, 300 * S, ms(1)));
    sleep(250 * S).await;
    assert!(bench.snapshot().targets[0].explained.is_some());
    sleep(85 * S).await;
    let child = bench.snapshot().targets.remove(0);
    assert_eq!(child.verdict, Verdict::Down);
    assert!(child.explained.is_none(), "the parent is up for 25 s at the least, and the child was run twice");
    let totals = child.totals;
    assert!(totals.outages == 1 && totals.down > 200 * S, "its clocks tell the truth");
}

#[tokio::test(start_paused = true)]
async fn a_wish_survives_new_settings_of_the_parent() {
    let bench = Bench::new(vec![target("a", 10 * S, 5 * S)], target("gw", 300 * S, 5 * S));
    let now = Instant::now();
    bench.targets[1].wish(now, now);
    let successor = Arc::new(bench.targets[1].succeed(target("gw", 400 * S, 5 * S), now));
    bench.targets[1].wish(now, now);
    let (mut scheduler, probe) = (bench.scheduler, Scripted::new(|_| Act::Take(ms(1), None)));
    scheduler.spawn(Arc::clone(&probe), Arc::clone(&successor));
    sleep(ms(5)).await;
    assert_eq!(probe.starts().len(), 1);
    assert_eq!(successor.wished(), None);
}
