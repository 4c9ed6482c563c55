//! Whose the time is: up, down, unknown, maintenance, or not decided yet.
//!
//! The time from the start of one run to the start of the next belongs to what the former said. While failures are
//! not confirmed it is pending, and credited nowhere; a confirmation gives it to down, a success to up.
//! What lies in a maintenance window is maintenance, whatever runs say.
//! Invariant: up + down + unknown + maintenance + pending is the time since creation, up to the last moment settled.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::Totals;
use crate::config::Maintenance;

/// Who gets the time since the last run began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Account {
    Up,
    Down,
    Unknown,
    Pending,
}

/// How the wall clock was set since it was looked at last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Setting {
    Untouched,
    /// In whole seconds.
    Back(u32),
    /// A suspended machine looks like this as well.
    Forward(u32),
}

impl Setting {
    /// The clock showed `before`, and now shows `wall` where it should show `expected`.
    ///
    /// Less than a second is nothing: the two clocks are read one after the other, and NTP makes one of them a little slower
    /// or faster. Only what the clock had shown before can be said to be back: between the two readings the process may
    /// have been suspended.
    pub(super) fn of(before: SystemTime, expected: SystemTime, wall: SystemTime) -> Self {
        let seconds = |by: Duration| u32::try_from(by.as_secs()).unwrap_or(u32::MAX);
        match wall.duration_since(expected) {
            Ok(by) if seconds(by) > 0 => Self::Forward(seconds(by)),
            Err(back) if seconds(back.duration()) > 0 && wall < before => Self::Back(seconds(back.duration())),
            Ok(_) | Err(_) => Self::Untouched,
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Clock {
    account: Account,
    /// Everything before is settled.
    mark: Instant,
    /// After this the last run says nothing any more: a run should have begun long ago.
    trusted_until: Instant,
    /// A run is going on. What its time was is known when it ends.
    running: bool,
    pending: Duration,
    maintenance: Maintenance,
    /// One moment on both clocks: windows are wall-clock time, everything else here is not.
    wall: (Instant, SystemTime),
}

impl Clock {
    /// Unknown until the first run begins.
    pub(super) fn new(now: Instant, wall: SystemTime, maintenance: Maintenance) -> Self {
        Self {
            account: Account::Unknown,
            mark: now,
            trusted_until: now,
            running: false,
            pending: Duration::ZERO,
            maintenance,
            wall: (now, wall),
        }
    }

    /// What the wall clock shows at `now`. It may have been set since.
    pub(super) fn adjust(&mut self, now: Instant, wall: SystemTime) -> Setting {
        let (_, before) = self.wall;
        let setting = Setting::of(before, self.wall(now), wall);
        self.wall = (now, wall);
        setting
    }

    /// The wall clock's time of `moment`.
    pub(super) fn wall(&self, moment: Instant) -> SystemTime {
        let (now, wall) = self.wall;
        let then = match moment.checked_duration_since(now) {
            Some(after) => wall.checked_add(after),
            None => wall.checked_sub(now.saturating_duration_since(moment)),
        };
        then.unwrap_or(wall)
    }

    /// Credits the time up to `now`, or to the start of the run in flight if that is earlier.
    ///
    /// A snapshot settles too, rather than add on a copy: a run may begin with a time read a little before the
    /// snapshot's, and a counter that was shown must not fall back by that little.
    pub(super) fn settle(&mut self, now: Instant, totals: &mut Totals) {
        if self.running || now <= self.mark {
            return;
        }
        let trusted_until = now.min(self.trusted_until).max(self.mark);
        self.credit_span(self.account, self.mark, trusted_until, totals);
        self.credit_span(Account::Unknown, trusted_until, now, totals);
        self.mark = now;
    }

    /// A run begins.
    pub(super) fn begin(&mut self, now: Instant, totals: &mut Totals) {
        self.settle(now, totals);
        self.running = true;
    }

    /// The run ended. The time since it began is `account`'s, for as long as the run can be trusted.
    pub(super) fn end(&mut self, account: Account, trusted_for: Duration) {
        self.running = false;
        self.account = account;
        self.trusted_until = far(self.mark, trusted_for);
    }

    /// The pending time finds its owner.
    pub(super) fn resolve(&mut self, owner: Account, totals: &mut Totals) {
        let pending = std::mem::take(&mut self.pending);
        self.credit(owner, pending, totals);
    }

    /// Ends the clock at `now` for a successor. A run in flight is given up: its time, and what was pending, is unknown.
    pub(super) fn close(&mut self, now: Instant, totals: &mut Totals) -> Instant {
        if self.running {
            self.end(Account::Unknown, Duration::ZERO);
        }
        self.settle(now, totals);
        self.resolve(Account::Unknown, totals);
        self.mark
    }

    /// The exporter was not there for `away` before the clock was made.
    pub(super) fn credit_away(&mut self, away: Duration, totals: &mut Totals) {
        let (_, wall) = self.wall;
        let covered = match wall.checked_sub(away) {
            Some(left) if !self.maintenance.is_empty() => self.maintenance.covered(left, wall).min(away),
            _ => Duration::ZERO,
        };
        totals.maintenance = totals.maintenance.saturating_add(covered);
        self.credit(Account::Unknown, away.saturating_sub(covered), totals);
    }

    /// When the run that ended last, or goes on now, began; correct until the next settling.
    pub(super) fn mark(&self) -> Instant {
        self.mark
    }

    fn credit_span(&mut self, account: Account, from: Instant, to: Instant, totals: &mut Totals) {
        let time = to.saturating_duration_since(from);
        let maintenance = if self.maintenance.is_empty() {
            Duration::ZERO
        } else {
            self.maintenance.covered(self.wall(from), self.wall(to)).min(time)
        };
        totals.maintenance = totals.maintenance.saturating_add(maintenance);
        self.credit(account, time.saturating_sub(maintenance), totals);
    }

    fn credit(&mut self, account: Account, time: Duration, totals: &mut Totals) {
        let sum = match account {
            Account::Up => &mut totals.up,
            Account::Down => &mut totals.down,
            Account::Unknown => &mut totals.unknown,
            Account::Pending => &mut self.pending,
        };
        *sum = sum.saturating_add(time);
    }

    #[cfg(test)]
    pub(super) fn pending(&self) -> Duration {
        self.pending
    }
}

/// `from + by`, or as far as the platform's clock goes.
fn far(from: Instant, by: Duration) -> Instant {
    const DECADES: Duration = Duration::from_secs(30 * 365 * 86_400);
    from.checked_add(by.min(DECADES)).unwrap_or(from)
}
