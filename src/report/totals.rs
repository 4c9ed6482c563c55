//! What the clocks and counters of all vantages add up to.

use std::collections::BTreeMap;

use super::prometheus::Series;

/// Sums over the vantages, in seconds and runs, and the shares that follow.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Totals {
    pub(super) up: f64,
    pub(super) down: f64,
    pub(super) unknown: f64,
    pub(super) maintenance: f64,
    pub(super) runs_succeeded: f64,
    pub(super) runs_failed: f64,
    /// Share of the moments looked at in which at least one vantage had it up.
    up_anywhere: Option<f64>,
}

pub(super) struct Clocks<'a> {
    pub(super) up: &'a [Series],
    pub(super) down: &'a [Series],
    pub(super) unknown: &'a [Series],
    pub(super) maintenance: &'a [Series],
    pub(super) runs: &'a [Series],
    pub(super) verdicts: &'a [Series],
    /// `probe_maintenance`.
    pub(super) windows: &'a [Series],
}

impl Totals {
    pub(super) fn of(clocks: Clocks<'_>) -> Self {
        let sum = |series: &[Series]| series.iter().map(Series::increase).sum::<f64>();
        let runs = |result: &str| {
            let those = clocks.runs.iter().filter(|series| series.label("result") == Some(result));
            those.map(Series::increase).sum::<f64>()
        };
        Self {
            up: sum(clocks.up),
            down: sum(clocks.down),
            unknown: sum(clocks.unknown),
            maintenance: sum(clocks.maintenance),
            runs_succeeded: runs("success"),
            runs_failed: runs("failure"),
            up_anywhere: up_anywhere(clocks.verdicts, clocks.windows),
        }
    }

    /// Share of the known time that it was up, over all vantages. Maintenance and unknown time are apart.
    pub(super) fn uptime(&self) -> Option<f64> {
        share(self.up, self.up + self.down)
    }

    /// Share of moments in which it was up from anywhere: what a regional outage does not touch.
    pub(super) fn uptime_anywhere(&self) -> Option<f64> {
        self.up_anywhere
    }

    /// Share of runs that succeeded.
    pub(super) fn reachability(&self) -> Option<f64> {
        share(self.runs_succeeded, self.runs_succeeded + self.runs_failed)
    }

    /// How much of the time that `slo` allows was used; 1 is all of it.
    pub(super) fn budget_used(&self, slo: f64) -> Option<f64> {
        share(self.down, (1.0 - slo) * (self.up + self.down))
    }
}

fn share(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| part / whole)
}

fn up_anywhere(verdicts: &[Series], windows: &[Series]) -> Option<f64> {
    let mut moments: BTreeMap<u64, bool> = BTreeMap::new();
    for sample in verdicts.iter().flat_map(|series| &series.samples) {
        // Steps are the same for all series, so their times are equal to the bit.
        *moments.entry(sample.time.to_bits()).or_default() |= sample.value == 1.0;
    }
    for sample in windows.iter().flat_map(|series| &series.samples).filter(|sample| sample.value == 1.0) {
        moments.remove(&sample.time.to_bits());
    }
    #[expect(clippy::cast_precision_loss, reason = "a few thousand moments")]
    let (up, all) = (moments.values().filter(|up| **up).count() as f64, moments.len() as f64);
    share(up, all)
}

#[cfg(test)]
mod tests {
    use super::super::prometheus::Sample;
    use super::*;

    fn series(label: &str, values: &[f64]) -> Series {
        let samples = values.iter().zip(0..).map(|(value, n)| Sample { time: f64::from(n) * 15.0, value: *value });
        Series { labels: [("result".to_owned(), label.to_owned())].into(), samples: samples.collect() }
    }

    #[test]
    fn shares_are_of_what_is_known() {
        let totals = Totals::of(Clocks {
            up: &[series("", &[100.0, 190.0]), series("", &[0.0, 100.0])],
            down: &[series("", &[0.0, 10.0]), series("", &[5.0, 5.0])],
            unknown: &[series("", &[0.0, 7.0])],
            maintenance: &[series("", &[0.0, 60.0])],
            runs: &[series("success", &[0.0, 19.0]), series("failure", &[0.0, 1.0])],
            verdicts: &[series("", &[1.0, 0.0, 0.0, 1.0]), series("", &[1.0, 1.0, 0.0, 1.0]), series("", &[0.0; 5])],
            windows: &[series("", &[0.0, 0.0, 0.0, 0.0, 1.0])],
        });
        assert_eq!((totals.up, totals.down, totals.unknown, totals.maintenance), (190.0, 10.0, 7.0, 60.0));
        assert_eq!(totals.uptime(), Some(0.95));
        assert_eq!(totals.reachability(), Some(0.95));
        assert_eq!(totals.uptime_anywhere(), Some(0.75));
        assert_eq!(totals.budget_used(0.9).map(|used| (used * 1e6).round()), Some(500_000.0));
    }

    #[test]
    fn nothing_known_is_no_share() {
        let totals = Totals::default();
        assert_eq!((totals.uptime(), totals.reachability(), totals.budget_used(0.999)), (None, None, None));
    }
}
