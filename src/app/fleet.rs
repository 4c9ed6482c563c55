//! The loops that run, and how a new config changes them: a diff by name and fingerprint.

use std::sync::Arc;
use std::time::SystemTime;

use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::cause::Dependencies;
use crate::config::{Parents, Target};
use crate::probe::Probe;
use crate::schedule::Scheduler;
use crate::state::{State, TargetState};

use super::keeper::Earlier;

/// One target of a config that is about to be taken over.
pub(super) struct Wanted<P> {
    pub(super) target: Arc<Target>,
    /// `None`: this very target runs already and goes on undisturbed.
    pub(super) prober: Option<Arc<P>>,
}

/// How many targets a config added, changed, removed and left alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    pub(super) added: usize,
    pub(super) changed: usize,
    pub(super) removed: usize,
    pub(super) unchanged: usize,
}

pub(super) struct Fleet {
    pub(super) scheduler: Scheduler,
    state: State,
    pub(super) dependencies: Dependencies,
    /// Sorted by name, as the targets of a config are.
    running: Vec<Running>,
    /// What an earlier process knew of targets that were not there yet.
    earlier: Earlier,
}

struct Running {
    state: Arc<TargetState>,
    task: AbortHandle,
}

impl Fleet {
    pub(super) fn new(scheduler: Scheduler, state: State, dependencies: Dependencies, earlier: Earlier) -> Self {
        Self { scheduler, state, dependencies, running: Vec::new(), earlier }
    }

    /// Nothing that an earlier process knew is of use any more.
    pub(super) fn forget_earlier(&self) {
        self.earlier.forget();
    }

    /// Makes these the targets, in one go: nothing here waits or fails.
    ///
    /// `wanted` is sorted by name, and `None` stands only for a prober of a target that runs. `parents` counts them as they
    /// stand there.
    pub(super) fn apply<P: Probe>(&mut self, wanted: Vec<Wanted<P>>, parents: Parents, now: Instant) -> Changes {
        let mut changes = Changes::default();
        let mut old = std::mem::take(&mut self.running).into_iter().peekable();
        let mut starting = Vec::new();
        let mut states = Vec::with_capacity(wanted.len());
        for Wanted { target, prober } in wanted {
            while let Some(gone) = old.next_if(|old| old.state.target().name < target.name) {
                gone.task.abort();
                changes.removed += 1;
            }
            let before = old.next_if(|old| old.state.target().name == target.name);
            let state = match (before, prober) {
                (Some(same), None) => {
                    changes.unchanged += 1;
                    states.push(Arc::clone(&same.state));
                    self.running.push(same);
                    continue;
                }
                (Some(changed), Some(prober)) => {
                    changes.changed += 1;
                    // First the abort, so that the old loop begins nothing; what it is just about to record, the
                    // retired state drops.
                    changed.task.abort();
                    let state = Arc::new(changed.state.succeed(target, now));
                    starting.push((prober, Arc::clone(&state)));
                    state
                }
                (None, Some(prober)) => {
                    changes.added += 1;
                    let state = match self.earlier.take(target.name.as_str()) {
                        None => TargetState::new(target, now),
                        Some(saved) => TargetState::restore(target, saved, now, SystemTime::now()),
                    };
                    let state = Arc::new(state);
                    starting.push((prober, Arc::clone(&state)));
                    state
                }
                (None, None) => {
                    debug_assert!(false, "{} has neither a loop nor a prober", target.name);
                    continue;
                }
            };
            states.push(state);
        }
        for gone in old {
            gone.task.abort();
            changes.removed += 1;
        }
        self.state.replace(states);
        // Before anything new runs, so that a first failure finds its parents.
        self.dependencies.replace(parents, self.state.targets());
        for (prober, state) in starting {
            let task = self.scheduler.spawn(prober, Arc::clone(&state));
            self.running.push(Running { state, task });
        }
        self.running.sort_by(|a, b| a.state.target().name.cmp(&b.state.target().name));
        changes
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Duration;

    use tokio::time::sleep;

    use super::*;
    use crate::observation::Observation;
    use crate::state::Snapshot;
    use crate::state::tests::{target, up};
    use crate::telemetry::Telemetry;
    use crate::vantage::CurrentVantage;

    const S: Duration = Duration::from_secs(1);

    struct AlwaysUp;

    impl Probe for AlwaysUp {
        async fn run(&self, _deadline: Instant) -> Observation {
            sleep(Duration::from_millis(10)).await;
            up()
        }
    }

    struct Bench {
        fleet: Fleet,
        state: State,
    }

    impl Bench {
        fn new() -> Self {
            let state = State::default();
            let scheduler = Scheduler::new(Arc::new(Telemetry::new()), CurrentVantage::default());
            Self { fleet: Fleet::new(scheduler, state.clone(), Dependencies::default(), Earlier::default()), state }
        }

        /// Names with the mark of what is new: `+`.
        fn apply(&mut self, names: &[&str]) -> Changes {
            let wanted = names
                .iter()
                .map(|name| {
                    let prober = name.starts_with('+').then(|| Arc::new(AlwaysUp));
                    Wanted { target: target(name.trim_start_matches('+'), 10 * S, 5 * S), prober }
                })
                .collect();
            self.fleet.apply(wanted, Parents::default(), Instant::now())
        }

        fn snapshot(&self) -> Snapshot {
            self.state.snapshot(|_| true)
        }

        fn runs(&self) -> Vec<(String, u64)> {
            let snapshot = self.snapshot();
            snapshot.targets.iter().map(|t| (t.target.name.to_string(), t.totals.runs_succeeded)).collect()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn unchanged_targets_go_on_and_removed_ones_vanish_at_once() {
        let mut bench = Bench::new();
        bench.apply(&["+a", "+b", "+c", "+e"]);
        sleep(100 * S).await;
        let before = bench.snapshot();
        assert!(before.targets.iter().all(|t| t.totals.runs_succeeded >= 9));

        let changes = bench.apply(&["a", "+b", "+d", "e"]);
        assert_eq!(changes, Changes { added: 1, changed: 1, removed: 1, unchanged: 2 });
        let after = bench.snapshot();
        let names: Vec<_> = after.targets.iter().map(|t| t.target.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "d", "e"]);
        let runs = |snapshot: &Snapshot, n: usize| snapshot.targets[n].totals.runs_succeeded;
        assert_eq!(runs(&after, 0), runs(&before, 0), "unchanged");
        assert_eq!(runs(&after, 1), runs(&before, 1), "changed ones keep their totals");
        assert_eq!(runs(&after, 2), 0, "new");

        sleep(100 * S).await;
        let runs = bench.runs();
        assert!(runs.iter().all(|(name, runs)| *runs >= if name == "d" { 9 } else { 19 }), "{runs:?}");
        bench.fleet.scheduler.reap().await;
        bench.fleet.scheduler.reap().await;
        assert_eq!(bench.fleet.scheduler.len(), 4, "one loop each");
    }

    #[tokio::test(start_paused = true)]
    async fn counters_do_not_fall_when_a_target_is_changed_in_the_middle_of_a_run() {
        let mut bench = Bench::new();
        bench.apply(&["+a"]);
        let mut last = bench.snapshot().targets[0].totals;
        for _ in 0..200 {
            sleep(Duration::from_millis(733)).await;
            bench.apply(&["+a"]);
            let totals = bench.snapshot().targets[0].totals;
            assert!(totals.runs_succeeded >= last.runs_succeeded);
            assert!(totals.up >= last.up && totals.unknown >= last.unknown);
            last = totals;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_targets_at_all_is_a_fleet_too() {
        let mut bench = Bench::new();
        bench.apply(&["+a", "+b"]);
        assert_eq!(bench.apply(&[]).removed, 2);
        assert!(bench.snapshot().targets.is_empty());
        assert_eq!(bench.apply(&["+a"]).added, 1);
        assert_eq!(bench.runs(), [("a".to_owned(), 0)], "a name that comes back starts from zero");
    }
}
