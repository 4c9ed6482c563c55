//! When a target's runs are due: ticks on a fixed grid, and the looks between them. Pure arithmetic.

use std::time::Duration;

use tokio::time::Instant;

use crate::config::{Target, TargetName};
use crate::state::Next;

/// With a longer interval than this after the first tick, a target gets an extra look soon after its start.
const FIRST_LOOK_WITHIN: Duration = Duration::from_secs(5);

/// The ticks of one target: `origin + k * interval`.
///
/// The phase is a hash of the name, as a fraction of the interval, from one epoch for the whole process. An index in
/// the list of targets would spread more evenly, but adding one target would move all the others; a hash depends on
/// nothing but the name, so that a reload moves nobody, and with many targets it is even enough.
#[derive(Clone, Copy, Debug)]
struct Grid {
    origin: Instant,
    interval: Duration,
}

impl Grid {
    fn time(self, index: u64) -> Instant {
        let offset = self.interval.as_nanos().saturating_mul(u128::from(index));
        later(self.origin, from_nanos(offset))
    }

    /// The first tick at or after `at`.
    fn index_from(self, at: Instant) -> u64 {
        let offset = at.saturating_duration_since(self.origin).as_nanos();
        u64::try_from(offset.div_ceil(self.interval.as_nanos().max(1))).unwrap_or(u64::MAX)
    }
}

/// What a planned run is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Tick,
    /// The first look after the start, or a re-check of a failure: beside the grid.
    Extra,
}

/// The next run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) at: Instant,
    pub(super) kind: Kind,
}

/// Decides when one target is probed next.
#[derive(Debug)]
pub(super) struct Plan {
    grid: Grid,
    retry: Duration,
    /// The first tick that was neither served nor skipped.
    tick: u64,
}

impl Plan {
    /// The plan from `now` on, and its first run: the first tick, or a look soon after the start when that is far off.
    pub(super) fn start(target: &Target, epoch: Instant, now: Instant) -> (Self, Due) {
        let interval = target.cadence.interval();
        let grid = Grid { origin: later(epoch, fraction_of(&target.name, interval)), interval };
        let tick = grid.index_from(now);
        let plan = Self { grid, retry: target.confirm.retry_interval, tick };
        let first = grid.time(tick);
        let due = if first.saturating_duration_since(now) <= FIRST_LOOK_WITHIN {
            Due { at: first, kind: Kind::Tick }
        } else {
            Due { at: later(now, fraction_of(&target.name, FIRST_LOOK_WITHIN)), kind: Kind::Extra }
        };
        (plan, due)
    }

    /// The run after the one that began at `started` and ended at `ended`; and how many ticks are lost.
    ///
    /// - A tick that passed while the run was going is lost. It is not made up for: a target that was slow would be
    ///   probed in bunches, and so would all of them after the process was late. A run that ended only a little
    ///   after the tick (a timeout as long as the interval does so each time) is followed at once instead.
    /// - A tick soon after a run that began late is lost too, for the same reason: half an interval must lie between.
    /// - A re-check waits the retry interval after the end of the failed run, unless a tick comes first. A tick that
    ///   falls within half a retry interval after the start of a re-check is served by it, and is not counted as lost.
    pub(super) fn after(&mut self, run: Due, started: Instant, ended: Instant, next: Next) -> (Due, u64) {
        let interval = self.grid.interval;
        let late_enough = (interval / 10).min(Duration::from_secs(1));
        let pending = match run.kind {
            Kind::Tick => self.tick.saturating_add(1),
            Kind::Extra => self.tick,
        };
        let missed_until = self.grid.index_from(ended.checked_sub(late_enough).unwrap_or(ended)).max(pending);
        let (tick, skipped) = match run.kind {
            Kind::Tick => {
                let tick = self.grid.index_from(later(started, interval / 2)).max(missed_until);
                (tick, tick - pending)
            }
            Kind::Extra => {
                let apart = (self.retry / 2).min(interval / 2);
                let tick = self.grid.index_from(later(started, apart)).max(missed_until);
                (tick, missed_until - pending)
            }
        };
        self.tick = tick;
        // Never before the end: what a slow target costs is not the exporter's lag.
        let on_grid = Due { at: self.grid.time(tick).max(ended), kind: Kind::Tick };
        let due = match next {
            Next::Tick => on_grid,
            Next::Recheck => {
                let at = later(ended, self.retry);
                if at < on_grid.at { Due { at, kind: Kind::Extra } } else { on_grid }
            }
        };
        (due, skipped)
    }
}

/// A fraction of `whole` that depends on the name alone.
fn fraction_of(name: &TargetName, whole: Duration) -> Duration {
    let nanos = u64::try_from(whole.as_nanos()).unwrap_or(u64::MAX);
    let scaled = (u128::from(hash(name.as_str())) * u128::from(nanos)) >> 64;
    Duration::from_nanos(u64::try_from(scaled).unwrap_or(u64::MAX))
}

/// FNV-1a, then the finisher of SplitMix64: FNV alone hardly moves the high bits for `web-1`, `web-2`, ...
/// Written out because it must stay the same from one release to the next.
fn hash(name: &str) -> u64 {
    let mut h = 0xcbf2_9ce4_8422_2325_u64;
    for byte in name.bytes() {
        h = (h ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    h = (h ^ (h >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    h = (h ^ (h >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    h ^ (h >> 31)
}

fn from_nanos(nanos: u128) -> Duration {
    const SECOND: u128 = 1_000_000_000;
    let seconds = u64::try_from(nanos / SECOND).unwrap_or(u64::MAX);
    let rest = u32::try_from(nanos % SECOND).expect("a remainder of 10^9 fits");
    Duration::new(seconds, rest)
}

/// `from + by`, or decades away where the platform's clock ends.
fn later(from: Instant, by: Duration) -> Instant {
    const DECADES: Duration = Duration::from_secs(30 * 365 * 86_400);
    from.checked_add(by.min(DECADES)).unwrap_or(from)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::state::tests::target;

    const S: Duration = Duration::from_secs(1);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_thousand_names_spread_evenly_over_the_interval() {
        let mut tenths = [0_u32; 10];
        for n in 0..1000 {
            let name = TargetName::new(format!("web-{n:04}")).unwrap();
            let phase = fraction_of(&name, 15 * S);
            assert!(phase < 15 * S);
            tenths[usize::try_from(phase.as_millis() / 1500).unwrap()] += 1;
        }
        assert!(tenths.iter().all(|n| (70..=130).contains(n)), "{tenths:?}");
    }

    #[test]
    fn the_phase_of_a_name_never_changes() {
        // From one release to the next, too: a change here moves every target of every user.
        assert_eq!(hash("shop"), 0x6c07_6a58_1555_c566);
    }

    #[test]
    fn the_grid_does_not_depend_on_when_the_loop_started() {
        let epoch = Instant::now();
        let target = target("shop", 15 * S, 5 * S);
        let (_, first) = Plan::start(&target, epoch, epoch);
        let mut seen = Vec::new();
        for after in [0, 7, 15, 100, 1000] {
            let now = epoch + after * S;
            let (mut plan, due) = Plan::start(&target, epoch, now);
            let due = match due.kind {
                Kind::Tick => due,
                Kind::Extra => plan.after(due, due.at, due.at, Next::Tick).0,
            };
            assert!(due.at >= now && due.at <= now + 20 * S);
            seen.push((due.at - epoch).as_nanos() % (15 * S).as_nanos());
        }
        assert!(seen.iter().all(|phase| *phase == seen[0]), "{seen:?}");
        assert!(first.at < epoch + 15 * S);
    }

    #[test]
    fn a_long_interval_gets_a_first_look_within_seconds() {
        let epoch = Instant::now();
        for n in 0..100 {
            let target = target(&format!("t{n}"), 3600 * S, 5 * S);
            let (_, due) = Plan::start(&target, epoch, epoch);
            assert!(due.at <= epoch + FIRST_LOOK_WITHIN);
        }
    }

    /// A plan with ticks at 0, 10, 20, ... seconds after `origin`, the first one served.
    fn plan(origin: Instant) -> Plan {
        Plan { grid: Grid { origin, interval: 10 * S }, retry: 2 * S, tick: 0 }
    }

    #[test]
    fn ticks_passed_during_a_run_are_skipped_and_counted() {
        let t0 = Instant::now();
        let cases: &[(Duration, Duration, Duration, u64)] = &[
            // started, ended -> next run, ticks lost
            (ms(0), S, 10 * S, 0),
            (ms(0), ms(9_999), 10 * S, 0),
            (ms(0), ms(10_500), ms(10_500), 0),
            (ms(0), 12 * S, 20 * S, 1),
            (ms(0), 35 * S, 40 * S, 3),
            (4 * S, 5 * S, 10 * S, 0),
            (6 * S, 7 * S, 20 * S, 1),
            (ms(9_900), ms(10_100), 20 * S, 1),
            (35 * S, 36 * S, 40 * S, 3),
            (36 * S, 37 * S, 50 * S, 4),
        ];
        for (started, ended, next, lost) in cases {
            let run = Due { at: t0, kind: Kind::Tick };
            let (due, skipped) = plan(t0).after(run, t0 + *started, t0 + *ended, Next::Tick);
            let what = format!("{started:?}..{ended:?}");
            assert_eq!(due, Due { at: t0 + *next, kind: Kind::Tick }, "{what}");
            assert_eq!(skipped, *lost, "{what}");
        }
    }

    #[test]
    fn a_recheck_waits_the_retry_interval_unless_a_tick_comes_first() {
        let t0 = Instant::now();
        let run = Due { at: t0, kind: Kind::Tick };
        let (due, _) = plan(t0).after(run, t0, t0 + S, Next::Recheck);
        assert_eq!(due, Due { at: t0 + 3 * S, kind: Kind::Extra });
        let (due, _) = plan(t0).after(run, t0, t0 + ms(8_500), Next::Recheck);
        assert_eq!(due, Due { at: t0 + 10 * S, kind: Kind::Tick });
    }

    #[test]
    fn a_recheck_stands_in_for_a_tick_close_behind_it() {
        let t0 = Instant::now();
        let mut plan = plan(t0);
        plan.tick = 1;
        let at = t0 + ms(9_500);
        let (due, skipped) = plan.after(Due { at, kind: Kind::Extra }, at, at, Next::Tick);
        assert_eq!((due.at, skipped), (t0 + 20 * S, 0));
        plan.tick = 1;
        let at = t0 + ms(8_500);
        let (due, skipped) = plan.after(Due { at, kind: Kind::Extra }, at, at, Next::Tick);
        assert_eq!((due.at, skipped), (t0 + 10 * S, 0));
        // Slow re-checks lose ticks as any run does.
        plan.tick = 1;
        let (due, skipped) = plan.after(Due { at, kind: Kind::Extra }, at, t0 + 12 * S, Next::Tick);
        assert_eq!((due.at, skipped), (t0 + 20 * S, 1));
    }

    #[test]
    fn absurd_intervals_do_not_overflow() {
        let now = Instant::now();
        for interval in [Duration::from_nanos(1), Duration::MAX] {
            let target = target("t", interval, Duration::from_nanos(1));
            let (mut plan, due) = Plan::start(&target, now, now + S);
            let (_, _) = plan.after(due, now + S, now + 2 * S, Next::Recheck);
        }
    }

    proptest::proptest! {
        #[test]
        fn runs_never_bunch_and_no_tick_is_lost_uncounted(
            steps in proptest::collection::vec((0..30_000_u64, 0..16_000_u64), 1..50)
        ) {
            let t0 = Instant::now();
            let mut plan = plan(t0);
            let mut due = Due { at: t0, kind: Kind::Tick };
            let mut before: Option<Instant> = None;
            let (mut runs, mut lost) = (0, 0);
            for (lag, length) in steps {
                // Mostly on time.
                let started = due.at + ms(lag.saturating_sub(25_000));
                if let Some(before) = before {
                    proptest::prop_assert!(started - before >= 5 * S);
                }
                before = Some(started);
                let ended = started + ms(length);
                let (next, skipped) = plan.after(due, started, ended, Next::Tick);
                runs += 1;
                lost += skipped;
                proptest::prop_assert!(next.at >= ended);
                proptest::prop_assert!(next.at - ended <= 15 * S);
                proptest::prop_assert_eq!(plan.tick, runs + lost);
                due = next;
            }
        }
    }
}
