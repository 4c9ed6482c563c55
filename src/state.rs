//! What is known of each target: last observations, verdict, totals, clocks. Knows nothing of sockets or metrics.
//!
//! `schedule` writes through [`TargetState`]; everyone else reads a [`Snapshot`], a plain copy.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::config::Target;
use crate::observation::{Observation, Reason};

/// The confirmed state of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing confirmed yet.
    Unknown,
    Up,
    Down,
}

/// Counters of one target. They only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Totals {
    pub runs_succeeded: u64,
    pub runs_failed: u64,
    /// Confirmed outages begun.
    pub outages: u64,
    pub up: Duration,
    pub down: Duration,
    pub unknown: Duration,
    pub maintenance: Duration,
}

/// A classic histogram: one count a bucket (not cumulative), the last for +Inf.
#[derive(Clone, Debug, PartialEq)]
pub struct LatencyHistogram {
    pub counts: Box<[u64]>,
    /// Seconds.
    pub sum: f64,
}

/// The evidence that is kept: four runs (DESIGN 5).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Capsules {
    pub last_good: Option<Arc<Observation>>,
    /// First failing run of the current or last outage.
    pub first_failure: Option<Arc<Observation>>,
    pub latest_failure: Option<Arc<Observation>>,
    /// First good run after the last outage.
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
    pub capsules: Capsules,
}

/// A copy of every target's state, sorted by name.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub taken: SystemTime,
    pub targets: Vec<TargetSnapshot>,
}

/// Every target's state. Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub struct State {}

impl State {
    /// Copies the targets that `keep` keeps.
    pub fn snapshot(&self, _keep: impl Fn(&Target) -> bool) -> Snapshot {
        Snapshot { taken: SystemTime::now(), targets: Vec::new() }
    }
}
