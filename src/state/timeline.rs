//! The last changes of a verdict.

use std::sync::Arc;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::Verdict;
use crate::observation::Reason;

/// The verdict became this.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Turn {
    /// For down, the start of the first failing run.
    pub time: SystemTime,
    /// The last run before that said otherwise: the change lies between the two. `None` where there was none.
    #[serde(default)]
    pub after: Option<SystemTime>,
    pub verdict: Verdict,
    /// Of the first failing run.
    pub reason: Option<Reason>,
}

/// Oldest first. Cheap to clone, since most targets rarely change.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Timeline(Option<Arc<[Turn]>>);

impl Timeline {
    /// Older ones are forgotten; Prometheus has them.
    pub const MOST: usize = 16;

    pub fn turns(&self) -> &[Turn] {
        self.0.as_deref().unwrap_or_default()
    }

    pub(super) fn push(&mut self, turn: Turn) {
        let turns = self.turns();
        let kept = &turns[turns.len().saturating_sub(Self::MOST - 1)..];
        self.0 = Some(kept.iter().cloned().chain([turn]).collect());
    }

    /// The last turn was at `time` by a clock that was set since.
    pub(super) fn move_last(&mut self, time: SystemTime) {
        if let Some((last, before)) = self.turns().split_last() {
            let after = last.after.filter(|after| *after <= time);
            let moved = Turn { time, after, ..last.clone() };
            self.0 = Some(before.iter().cloned().chain([moved]).collect());
        }
    }
}
