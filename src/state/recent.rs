//! The last runs of a target, each in a line: what happened just now, when Prometheus scrapes less often than we look.
//!
//! Half a kilobyte a target; the evidence of whole runs is in the capsules.

use std::net::IpAddr;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::observation::{Detail, Observation, Reason};

/// One run in short.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecentRun {
    /// Unix milliseconds.
    started: u64,
    /// Microseconds; more than 71 minutes are 71 minutes.
    elapsed: u32,
    status: Option<NonZeroU16>,
    /// `None` for a run that succeeded.
    pub reason: Option<Reason>,
    /// Empty for a run that succeeded. Shared with the run before while nothing changes.
    sentence: Option<Arc<str>>,
    /// The address that was used.
    pub address: Option<IpAddr>,
}

impl RecentRun {
    fn new(run: &Observation, before: Option<&Self>) -> Self {
        let failure = run.outcome.failure();
        let since = run.started.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let sentence = failure.map(|failure| {
            let same = before.and_then(|before| before.sentence.as_ref()).filter(|text| ***text == *failure.sentence);
            same.map_or_else(|| Arc::from(&*failure.sentence), Arc::clone)
        });
        Self {
            started: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
            elapsed: u32::try_from(run.elapsed.as_micros()).unwrap_or(u32::MAX),
            status: status(run).and_then(NonZeroU16::new),
            reason: failure.map(|failure| failure.reason),
            sentence,
            address: run.resolution.as_ref().and_then(|resolution| resolution.chosen),
        }
    }

    /// Wall clock at the start, to the millisecond.
    pub fn started(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(self.started)).unwrap_or(SystemTime::UNIX_EPOCH)
    }

    /// To the microsecond.
    pub fn elapsed(&self) -> Duration {
        Duration::from_micros(self.elapsed.into())
    }

    /// The HTTP status.
    pub fn status(&self) -> Option<u16> {
        self.status.map(NonZeroU16::get)
    }

    /// Why it failed, for people.
    pub fn sentence(&self) -> Option<&str> {
        self.sentence.as_deref()
    }
}

fn status(run: &Observation) -> Option<u16> {
    match &run.detail {
        Detail::Http(detail) => detail.status,
        Detail::Websocket(detail) => detail.status,
        Detail::Tcp(_) | Detail::Dns(_) | Detail::Icmp(_) | Detail::Grpc(_) | Detail::Unix(_) | Detail::None => None,
    }
}

/// Oldest first. A clone costs nothing until the next run, so that a page of all targets may have one of each.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Recent(Option<Arc<Vec<RecentRun>>>);

impl Recent {
    /// Older ones are forgotten.
    pub const MOST: usize = 10;

    /// Newest first.
    pub fn runs(&self) -> impl Iterator<Item = &RecentRun> {
        self.0.iter().flat_map(|runs| runs.iter().rev())
    }

    #[cfg(test)]
    pub(crate) fn of(runs: &[Observation]) -> Self {
        let mut recent = Self::default();
        runs.iter().for_each(|run| recent.push(run));
        recent
    }

    pub(super) fn push(&mut self, run: &Observation) {
        let runs = Arc::make_mut(self.0.get_or_insert_default());
        let new = RecentRun::new(run, runs.last());
        if runs.len() >= Self::MOST {
            runs.remove(0);
        } else {
            runs.reserve_exact(1);
        }
        runs.push(new);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::metrics::fixture::good_https;
    use crate::state::tests::down;

    #[test]
    fn the_last_ten_are_kept_and_the_newest_comes_first() {
        let mut recent = Recent::default();
        assert_eq!(recent.runs().count(), 0);
        for milliseconds in 0..25 {
            recent.push(&Observation { elapsed: Duration::from_millis(milliseconds), ..good_https() });
        }
        let elapsed: Vec<u128> = recent.runs().map(|run| run.elapsed().as_millis()).collect();
        assert_eq!(elapsed, [24, 23, 22, 21, 20, 19, 18, 17, 16, 15]);
    }

    #[test]
    fn a_run_is_kept_in_short() {
        let mut recent = Recent::default();
        let run = good_https();
        recent.push(&run);
        let kept = recent.runs().next().unwrap();
        assert_eq!((kept.started(), kept.elapsed(), kept.status()), (run.started, run.elapsed, Some(200)));
        assert_eq!((kept.reason, kept.sentence()), (None, None));
        assert_eq!(kept.address, run.resolution.unwrap().chosen);
    }

    #[test]
    fn it_costs_half_a_kilobyte_and_one_sentence_while_nothing_changes() {
        assert!(size_of::<RecentRun>() * Recent::MOST <= 512, "{}", size_of::<RecentRun>());
        let mut recent = Recent::default();
        for _ in 0..3 {
            recent.push(&down(Reason::HttpStatus));
        }
        let sentences: Vec<_> = recent.runs().map(|run| run.sentence().unwrap().as_ptr()).collect();
        assert!(sentences.windows(2).all(|pair| pair[0] == pair[1]));
        let before = recent.clone();
        recent.push(&good_https());
        assert_eq!((before.runs().count(), recent.runs().count()), (3, 4), "a copy stays as it was");
    }
}
