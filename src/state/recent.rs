//! The last runs of a target, in short: for people who ask what happened just now.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use crate::observation::{Observation, Reason};

/// One run in short.
#[derive(Clone, Debug, PartialEq)]
pub struct RecentRun {
    pub time: SystemTime,
    pub elapsed: Duration,
    /// `None`: it succeeded.
    pub failure: Option<(Reason, Box<str>)>,
}

/// Oldest first. A few hundred bytes a target.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RecentRuns(VecDeque<RecentRun>);

impl RecentRuns {
    pub const MOST: usize = 8;

    /// Newest first.
    pub fn newest(&self) -> impl Iterator<Item = &RecentRun> {
        self.0.iter().rev()
    }

    pub(super) fn push(&mut self, run: &Observation) {
        if self.0.len() == Self::MOST {
            self.0.pop_front();
        } else if self.0.is_empty() {
            self.0.reserve_exact(Self::MOST);
        }
        let failure = run.outcome.failure().map(|failure| (failure.reason, failure.sentence.clone()));
        self.0.push_back(RecentRun { time: run.started, elapsed: run.elapsed, failure });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::tests::{down, up};

    #[test]
    fn the_last_few_are_kept_newest_first() {
        let mut runs = RecentRuns::default();
        for _ in 0..20 {
            runs.push(&up());
        }
        runs.push(&down(Reason::HttpStatus));
        assert_eq!(runs.newest().count(), RecentRuns::MOST);
        let failed: Vec<bool> = runs.newest().map(|run| run.failure.is_some()).collect();
        assert!(failed[0] && !failed[1], "{failed:?}");
    }
}
