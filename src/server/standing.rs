//! How a target stands, as people ask: one word for verdict, unconfirmed failures, maintenance and slowness together.

use std::time::{Duration, SystemTime};

use crate::state::{TargetSnapshot, Verdict};

/// In the order of urgency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    /// Confirmed, and nobody works on it.
    Down,
    /// Fails, and is not confirmed yet.
    Failing,
    /// Nothing is confirmed yet, or the last run said nothing about the target.
    Unknown,
    /// Up, and takes longer than its `slow_threshold`.
    Slow,
    /// In a maintenance window, whatever else.
    Maintenance,
    Up,
}

impl Standing {
    pub(super) const ALL: [Self; 6] =
        [Self::Down, Self::Failing, Self::Unknown, Self::Slow, Self::Maintenance, Self::Up];

    pub(super) fn of(target: &TargetSnapshot) -> Self {
        let last = target.last.as_deref().and_then(|run| run.outcome.failure());
        match target.verdict {
            _ if target.maintenance == Some(true) => Self::Maintenance,
            Verdict::Down => Self::Down,
            _ if target.failing_since().is_some() => Self::Failing,
            Verdict::Unknown => Self::Unknown,
            Verdict::Up if last.is_some_and(|failure| failure.reason.is_inconclusive()) => Self::Unknown,
            Verdict::Up if is_slow(target) => Self::Slow,
            Verdict::Up => Self::Up,
        }
    }

    /// The word, in URLs and classes too.
    pub(super) fn as_label(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Failing => "failing",
            Self::Unknown => "unknown",
            Self::Slow => "slow",
            Self::Maintenance => "maintenance",
            Self::Up => "up",
        }
    }

    /// For those who do not see colours.
    pub(super) fn mark(self) -> &'static str {
        match self {
            Self::Down => "\u{2715}",
            Self::Failing => "!",
            Self::Unknown => "?",
            Self::Slow => "~",
            Self::Maintenance => "\u{2016}",
            Self::Up => "\u{2713}",
        }
    }

    pub(super) fn from_label(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|standing| standing.as_label() == label)
    }
}

/// Whether half of the last runs took longer than the target's own threshold, as the alert TargetSlow has it.
fn is_slow(target: &TargetSnapshot) -> bool {
    let Some(threshold) = target.target.slow_threshold else { return false };
    let mut times: Vec<Duration> = target.recent.runs().map(|run| run.elapsed()).collect();
    if times.is_empty() {
        times.extend(target.last.as_deref().map(|run| run.elapsed));
    }
    times.sort_unstable();
    let middle = times.len() / 2;
    match times.get(middle) {
        None => false,
        Some(upper) if times.len() % 2 == 1 => *upper > threshold,
        Some(upper) => (*upper + times[middle - 1]) / 2 > threshold,
    }
}

/// Since when a target is as it is, and what that is counted from.
pub(super) struct Since {
    pub(super) time: SystemTime,
    pub(super) length: Duration,
    /// It was so from the first run that is known, and may have been before: `at least`.
    pub(super) at_least: bool,
}

impl Since {
    /// `None` where nothing is confirmed.
    pub(super) fn of(target: &TargetSnapshot, taken: SystemTime) -> Option<Self> {
        let time = target.since?;
        // A verdict that is the first one that is known, and that no run said otherwise before.
        let turns = target.timeline.turns();
        let at_least = turns.len() == 1 && turns.iter().all(|turn| turn.after.is_none());
        Some(Self { time, length: taken.duration_since(time).unwrap_or_default(), at_least })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::metrics::fixture::varied;

    fn named(name: &str) -> TargetSnapshot {
        varied().targets.into_iter().find(|target| target.target.name.as_str() == name).unwrap()
    }

    #[test]
    fn each_target_stands_in_one_way() {
        for (name, standing) in [
            ("expired", Standing::Down),
            ("new", Standing::Unknown),
            ("shop", Standing::Up),
            ("mail", Standing::Maintenance),
        ] {
            assert_eq!(Standing::of(&named(name)), standing, "{name}");
        }
        for standing in Standing::ALL {
            assert_eq!(Standing::from_label(standing.as_label()), Some(standing));
        }
        assert_eq!(Standing::from_label("Down"), None);
    }

    #[test]
    fn a_failure_that_is_not_confirmed_fails_and_one_in_maintenance_is_maintenance() {
        let mut target = TargetSnapshot { verdict: Verdict::Up, failures_in_a_row: 1, ..named("gone") };
        assert_eq!(Standing::of(&target), Standing::Failing);
        target.verdict = Verdict::Unknown;
        assert_eq!(Standing::of(&target), Standing::Failing);
        target.verdict = Verdict::Down;
        target.maintenance = Some(true);
        assert_eq!(Standing::of(&target), Standing::Maintenance);
        target.maintenance = Some(false);
        assert_eq!(Standing::of(&target), Standing::Down);
    }

    #[test]
    fn a_run_that_says_nothing_of_the_target_leaves_it_unknown() {
        use crate::observation::Reason;
        let mut target = named("shop");
        target.last = Some(std::sync::Arc::new(crate::state::tests::down(Reason::Vantage)));
        assert_eq!(Standing::of(&target), Standing::Unknown);
    }

    #[test]
    fn slow_is_what_takes_longer_than_the_targets_own_threshold() {
        let mut target = named("mail");
        target.maintenance = None;
        assert_eq!(Standing::of(&target), Standing::Up);
        let mut run = target.last.as_deref().unwrap().clone();
        run.elapsed = Duration::from_millis(2501);
        target.last = Some(std::sync::Arc::new(run));
        assert_eq!(Standing::of(&target), Standing::Slow);
        let mut without = named("shop");
        without.last = target.last;
        assert_eq!(Standing::of(&without), Standing::Up, "without a threshold nothing is slow");
    }
}
