//! What becomes of `since` when the wall clock is set.
//!
//! A clock that is set back was wrong before, or is wrong now; either way an outage that began by the old one would seem to
//! begin in the future, or too late, by as much. So its start moves back along. A clock that is set forward may as well be one
//! of a machine that was suspended, during which the outage went on: then the start stays where it is, unless the clock
//! only makes good for having been set back.

use std::time::{Duration, SystemTime};

use super::Inner;
use crate::state::clock::Setting;

/// What is missing of a correction is the fraction of a second that each reading was off.
const INEXACT: u32 = 2;

impl Inner {
    pub(super) fn follow(&mut self, setting: Setting) {
        match setting {
            Setting::Untouched => {}
            Setting::Back(by) => {
                if self.move_since(|since| since.checked_sub(seconds(by))) {
                    self.set_back = self.set_back.saturating_add(by);
                }
            }
            Setting::Forward(by) => {
                let set_back = self.set_back;
                if set_back > 0 && by.saturating_add(INEXACT) >= set_back {
                    self.move_since(|since| since.checked_add(seconds(set_back)));
                    self.set_back = 0;
                }
            }
        }
    }

    /// Whether there was something to move.
    fn move_since(&mut self, to: impl Fn(SystemTime) -> Option<SystemTime>) -> bool {
        let Some((since, moved)) = self.since.and_then(|since| Some((since, to(since)?))) else { return false };
        if self.timeline.turns().last().is_some_and(|turn| turn.time == since) {
            self.timeline.move_last(moved);
        }
        self.since = Some(moved);
        true
    }
}

fn seconds(by: u32) -> Duration {
    Duration::from_secs(by.into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::UNIX_EPOCH;

    use tokio::time::Instant;

    use super::*;
    use crate::observation::{Observation, Reason};
    use crate::state::tests::{down, target, up};
    use crate::state::{Change, TargetState, Verdict};

    const S: Duration = Duration::from_secs(1);
    const NOON: u64 = 1_800_000_000;

    /// Two clocks: seconds that pass, and how far the wall clock is off.
    struct Bench {
        state: TargetState,
        t0: Instant,
    }

    impl Bench {
        /// Down since second 10, by a clock that is right.
        fn down() -> Self {
            let t0 = Instant::now();
            let bench = Self { state: TargetState::new(target("shop", 10 * S, 5 * S), t0), t0 };
            bench.run(0, 0, up());
            bench.run(10, 0, down(Reason::HttpStatus));
            bench.run(12, 0, down(Reason::HttpStatus));
            bench
        }

        fn run(&self, second: u32, off: i64, observation: Observation) -> Option<Change> {
            let now = self.t0 + second * S;
            self.state.begin(now);
            self.state.record(Observation { started: wall(second, off), ..observation }, now).change
        }

        /// By the clock as it is now.
        fn since(&self, off: i64) -> i64 {
            let snapshot = self.state.snapshot(self.t0 + 12 * S);
            assert_eq!(snapshot.timeline.turns().last().unwrap().time, snapshot.since.unwrap());
            let since = snapshot.since.unwrap().duration_since(UNIX_EPOCH).unwrap().as_secs();
            since.cast_signed() - NOON.cast_signed() - off
        }
    }

    fn wall(second: u32, off: i64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs((NOON + u64::from(second)).checked_add_signed(off).unwrap())
    }

    #[test]
    fn the_start_of_an_outage_moves_back_with_the_clock_and_never_lies_in_the_future() {
        for hours in [1, 24] {
            let bench = Bench::down();
            let off = -3600 * hours;
            bench.run(20, off, down(Reason::HttpStatus));
            assert_eq!(bench.since(off), 10);
            bench.run(30, off, down(Reason::HttpStatus));
            assert_eq!(bench.since(off), 10, "once");
        }
    }

    #[test]
    fn a_clock_that_is_set_back_and_right_again_leaves_the_start_where_it_was() {
        let bench = Bench::down();
        bench.run(20, -3600, down(Reason::HttpStatus));
        bench.run(30, -7200, down(Reason::HttpStatus));
        assert_eq!(bench.since(-7200), 10);
        bench.run(40, 0, down(Reason::HttpStatus));
        assert_eq!(bench.since(0), 10);
        bench.run(50, 7200, down(Reason::HttpStatus));
        assert_eq!(bench.since(0), 10);
    }

    #[test]
    fn a_suspension_moves_no_start() {
        let bench = Bench::down();
        // The wall clock went on while the other one stood.
        bench.run(20, 600, down(Reason::HttpStatus));
        assert_eq!(bench.since(0), 10);
        // And behind a clock that was set back, it is no correction of that.
        let bench = Bench::down();
        bench.run(20, -3600, down(Reason::HttpStatus));
        bench.run(30, -3000, down(Reason::HttpStatus));
        assert_eq!(bench.since(-3600), 10);
    }

    #[test]
    fn small_differences_of_the_clocks_move_nothing() {
        let bench = Bench::down();
        let before = bench.state.snapshot(bench.t0 + 12 * S);
        for (second, milliseconds) in [(20, 900), (30, 500), (40, 1300)] {
            let now = bench.t0 + second * S;
            bench.state.begin(now);
            let started = wall(second, 0) - Duration::from_millis(milliseconds);
            bench.state.record(Observation { started, ..down(Reason::HttpStatus) }, now);
        }
        assert_eq!(bench.state.snapshot(bench.t0 + 40 * S).since, before.since);
    }

    #[test]
    fn what_lasted_is_measured_by_the_other_clock() {
        let bench = Bench::down();
        let change = bench.run(70, -3600, up());
        assert_eq!(change, Some(Change::CameUp { since: wall(70, -3600), duration: 60 * S }));
        assert_eq!(bench.state.snapshot(bench.t0 + 70 * S).verdict, Verdict::Up);
        assert_eq!(bench.since(-3600), 70);
    }

    #[test]
    fn a_restart_behind_a_clock_that_was_set_back_moves_the_start_too() {
        let bench = Bench::down();
        let saved = bench.state.save(bench.t0 + 20 * S);
        let off = -86_400;
        let state = TargetState::restore(target("shop", 10 * S, 5 * S), saved, bench.t0 + 30 * S, wall(30, off));
        let bench = Bench { state, t0: bench.t0 };
        assert!((10..=20).contains(&bench.since(off)), "{}", bench.since(off));
        bench.run(40, off, down(Reason::HttpStatus));
        assert!((10..=20).contains(&bench.since(off)), "{}", bench.since(off));
    }
}
