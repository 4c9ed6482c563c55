//! How long a target was what.

use super::spans::overlap;
use super::timeline::Timeline;

/// Seconds of the target's own time, in the time of the report.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Totals {
    /// Somebody had a word on it, outside maintenance.
    pub(super) known: f64,
    /// At least one place was down, outside maintenance.
    pub(super) down: f64,
    /// Every vantage that had a word saw it down.
    pub(super) down_everywhere: f64,
    pub(super) maintenance: f64,
    /// What the objective judges, and what of that it counts as down.
    pub(super) judged: f64,
    pub(super) missed: f64,
}

impl Totals {
    pub(super) fn of(timeline: &Timeline, window: (f64, f64)) -> Self {
        let mut totals = Self::default();
        for stretch in &timeline.stretches {
            let seconds = overlap((stretch.from, stretch.to), window);
            let add = |sum: &mut f64, holds: bool| *sum += if holds { seconds } else { 0.0 };
            let counts = !stretch.maintenance;
            add(&mut totals.maintenance, stretch.maintenance);
            add(&mut totals.known, counts && stretch.is_known());
            add(&mut totals.down, counts && stretch.is_down());
            add(&mut totals.down_everywhere, counts && stretch.is_down_everywhere());
            add(&mut totals.judged, stretch.verdict().is_some());
            add(&mut totals.missed, stretch.verdict() == Some(false));
        }
        totals
    }

    /// Share of the known time that no place was down.
    pub(super) fn uptime(&self) -> Option<f64> {
        share(self.known - self.down, self.known)
    }

    /// Share of the known time that it was up from somewhere: what a regional outage does not touch.
    pub(super) fn uptime_anywhere(&self) -> Option<f64> {
        share(self.known - self.down_everywhere, self.known)
    }

    /// How much of the time that `slo` allows was used; 1 is all of it.
    pub(super) fn budget_used(&self, slo: f64) -> Option<f64> {
        share(self.missed, (1.0 - slo) * self.judged)
    }
}

pub(super) fn share(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| part / whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_of_what_is_known() {
        let totals =
            Totals { known: 200.0, down: 10.0, down_everywhere: 5.0, judged: 100.0, missed: 5.0, ..Totals::default() };
        assert_eq!((totals.uptime(), totals.uptime_anywhere()), (Some(0.95), Some(0.975)));
        assert_eq!(totals.budget_used(0.75), Some(0.2));
        assert_eq!(totals.budget_used(1.0), None, "nothing is allowed, so there is no share of it");
    }

    #[test]
    fn nothing_known_is_no_share() {
        let totals = Totals::default();
        assert_eq!((totals.uptime(), totals.uptime_anywhere(), totals.budget_used(0.999)), (None, None, None));
    }
}
