//! What is known of each target: last observations, verdict, totals, clocks. Knows nothing of sockets or metrics.
//!
//! `schedule` writes through [`TargetState`]; everyone else reads a [`Snapshot`], a plain copy.
//! `clock` decides whose the time between two runs is; `target` decides the verdict; `changes` remembers what was
//! otherwise before; `recent` has the last runs in short; `wish` is for runs out of turn; `file` is where all this outlives
//! the process.
//!
//! Why plain `std` locks: they are held for a copy and never across an await, so an async lock would only cost.
//! One lock a target, so that a loop that records never waits for a page that copies 10,000 others.

mod changes;
mod clock;
mod exemplars;
pub mod file;
mod recent;
mod target;
#[cfg(test)]
pub(crate) mod tests;
mod timeline;
mod wish;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::config::{Notice, Target};
use crate::observation::{Diagnosis, GoodPath, Observation, Path, Reason, SharedCause};

pub use changes::{Changed, Changes, What};
pub use exemplars::{Exemplar, Exemplars};
pub use recent::{Recent, RecentRun};
pub use target::{Change, Next, Recorded, Saved, Standing, TargetState, View};
pub use timeline::{Timeline, Turn};

/// The confirmed state of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing confirmed yet.
    Unknown,
    Up,
    Down,
}

/// Counters of one target. They only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Totals {
    pub runs_succeeded: u64,
    pub runs_failed: u64,
    /// Confirmed outages begun, but for those that began and ended in maintenance.
    pub outages: u32,
    /// Failing series that ended before an outage was confirmed, outside of maintenance. Runs out of turn do not add to them.
    #[serde(default)]
    pub blips: u32,
    pub up: Duration,
    pub down: Duration,
    pub unknown: Duration,
    pub maintenance: Duration,
}

/// A classic histogram: one count a bucket (not cumulative), the last for +Inf.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LatencyHistogram {
    pub counts: Box<[u64]>,
    /// Seconds.
    pub sum: f64,
}

/// The evidence that is kept: four runs (DESIGN 5).
///
/// Runs whose reason is inconclusive are not among them: they say nothing about the target, and must not
/// push out a run that does.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Capsules {
    pub last_good: Option<Arc<Observation>>,
    /// First failing run of the current or last outage. A blip that was never confirmed does not replace it.
    pub first_failure: Option<Arc<Observation>>,
    /// Of an unconfirmed blip too.
    pub latest_failure: Option<Arc<Observation>>,
    /// First good run after the last outage; `None` while one lasts.
    pub recovery: Option<Arc<Observation>>,
}

/// A copy of one target's state at one moment.
#[derive(Clone, Debug)]
pub struct TargetSnapshot {
    pub target: Arc<Target>,
    pub verdict: Verdict,
    /// When the verdict became what it is (for down: the first failing run); `None` while unknown.
    pub since: Option<SystemTime>,
    /// The last run that ended.
    pub last: Option<Arc<Observation>>,
    /// Failing runs in a row up to now.
    pub failures_in_a_row: u32,
    pub totals: Totals,
    /// By reason, only those seen, sorted by reason.
    pub failures: Vec<(Reason, u64)>,
    /// When the target asks for one.
    pub latency: Option<LatencyHistogram>,
    /// Of the two above; `None` for a target whose runs have no traces.
    pub exemplars: Option<Arc<Exemplars>>,
    pub capsules: Capsules,
    /// What re-checks found out about the failing series that goes on.
    pub diagnosis: Option<Arc<Diagnosis>>,
    /// What explains that it is down: a fact that targets which fail share.
    pub shared_cause: Option<Arc<SharedCause>>,
    /// The way to where the target could not be reached, in the failing series that goes on or in one before.
    pub path: Option<Arc<Path>>,
    /// Whether it is that of the one that goes on.
    pub path_is_current: bool,
    /// Ways on which the target answered, the latest first; at most four.
    pub good_paths: Vec<Arc<GoodPath>>,
    /// What was otherwise before, and when it changed last.
    pub changes: Changes,
    /// The last changes of the verdict, oldest first; at most [`Timeline::MOST`].
    pub timeline: Timeline,
    /// The last runs, each in short.
    pub recent: Recent,
    /// The operator's words.
    pub notice: Option<Arc<Notice>>,
    /// Whether a maintenance window is on; `None` for a target that has none.
    pub maintenance: Option<bool>,
    /// From when to when: the window that is on, or the next one.
    pub window: Option<(SystemTime, SystemTime)>,
    /// What it stands behind, when that is why it fails. Written by `cause`.
    pub explained: Option<Explained>,
}

impl TargetSnapshot {
    /// The last run that said otherwise than the verdict: the change lies between it and `since`. `None` where there was none.
    pub fn since_after(&self) -> Option<SystemTime> {
        let last = self.timeline.turns().last()?;
        last.after.filter(|_| last.verdict == self.verdict && Some(last.time) == self.since)
    }

    /// Since when runs fail, confirmed or not. `None` while they do not.
    pub fn failing_since(&self) -> Option<SystemTime> {
        if self.verdict == Verdict::Down {
            return self.since;
        }
        let count = usize::try_from(self.failures_in_a_row).ok().filter(|count| *count > 0)?;
        let failing = self.recent.runs().filter(|run| run.reason.is_some_and(|reason| !reason.is_inconclusive()));
        failing.take(count).last().map(|run| run.started()).or_else(|| Some(self.last.as_ref()?.started))
    }
}

/// Why a target that fails need not be told of by itself: a parent of it, or a parent of a parent, is the matter.
#[derive(Clone, Debug)]
pub struct Explained {
    pub by: Arc<Target>,
    pub parent: ParentState,
    /// Since when `by` is down; for a parent that recovers, since when it is up. `None` while it is checked.
    pub since: Option<SystemTime>,
}

/// How the parent is that explains a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParentState {
    /// It fails and is not confirmed yet, or its run that was wished for has not ended.
    Checking,
    Down,
    /// It is up again, and its child was not looked at often enough since.
    Recovering,
}

impl ParentState {
    pub fn as_label(self) -> &'static str {
        match self {
            Self::Checking => "checking",
            Self::Down => "down",
            Self::Recovering => "recovering",
        }
    }
}

/// A copy of every target's state, sorted by name.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub taken: SystemTime,
    pub targets: Vec<TargetSnapshot>,
}

/// Every target's state. Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub struct State {
    /// Swapped whole by a reload, so that a page shows the targets of one config and never a mix.
    targets: Arc<RwLock<Arc<[Arc<TargetState>]>>>,
}

impl State {
    /// Copies the targets that `keep` keeps.
    pub fn snapshot(&self, keep: impl Fn(&Target) -> bool) -> Snapshot {
        self.snapshot_at(Instant::now(), SystemTime::now(), keep)
    }

    /// As [`State::snapshot`], at a given time.
    pub fn snapshot_at(&self, now: Instant, taken: SystemTime, keep: impl Fn(&Target) -> bool) -> Snapshot {
        let targets = self.targets();
        let targets = targets.iter().filter(|state| keep(state.target())).map(|state| state.snapshot(now)).collect();
        Snapshot { taken, targets }
    }

    /// The targets of the current config, sorted by name.
    pub fn targets(&self) -> Arc<[Arc<TargetState>]> {
        // A lock is poisoned by a panic between lock and unlock; there is nothing here that could be half done.
        Arc::clone(&self.targets.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Shows these targets from now on, and no others.
    pub fn replace(&self, mut targets: Vec<Arc<TargetState>>) {
        targets.sort_by(|a, b| a.target().name.cmp(&b.target().name));
        *self.targets.write().unwrap_or_else(PoisonError::into_inner) = targets.into();
    }

    /// Attaches to each target the first notice that is for it, and takes all others away.
    pub fn announce(&self, notices: &[Arc<Notice>]) {
        for state in self.targets().iter() {
            let target = state.target();
            let notice = notices.iter().find(|notice| notice.audience.has(&target.name, &target.labels));
            state.announce(notice.cloned());
        }
    }

    /// Whether every target has a run behind it.
    pub fn all_observed(&self) -> bool {
        self.targets().iter().all(|state| state.is_observed())
    }
}
