//! The last runs of a target, each in a line: what happened just now, when Prometheus scrapes less often than we look.
//!
//! 640 bytes a target; the evidence of whole runs is in the capsules.

use std::net::IpAddr;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::observation::{Detail, Observation, Phase, Reason};

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
    #[serde(default, skip_serializing_if = "Phases::is_empty")]
    phases: Phases,
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
            phases: Phases::new(run.phases()),
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

    /// The phases that were reached, in their order, each to a thousandth of it.
    pub fn phases(&self) -> impl Iterator<Item = (Phase, Duration)> {
        self.phases.iter()
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

/// Times of phases in twelve bytes: which there are, and of each an exponent of two in five bits before eleven of microseconds.
/// In the state file they are a list: the set of phases, then the times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(into = "Vec<u16>", from = "Vec<u16>")]
struct Phases {
    /// A bit for each phase, in their order.
    present: u16,
    times: [u16; Phase::MOST],
}

const MANTISSA: u32 = 11;

impl Phases {
    fn new(phases: impl Iterator<Item = (Phase, Duration)>) -> Self {
        let mut packed = Self::default();
        for ((phase, time), place) in phases.zip(&mut packed.times) {
            packed.present |= bit(phase);
            *place = pack(time);
        }
        packed
    }

    fn is_empty(&self) -> bool {
        self.present == 0
    }

    fn iter(&self) -> impl Iterator<Item = (Phase, Duration)> {
        let present = self.present;
        Phase::ALL.into_iter().filter(move |phase| present & bit(*phase) != 0).zip(self.times.map(unpack))
    }
}

fn bit(phase: Phase) -> u16 {
    1 << phase as u16
}

fn pack(time: Duration) -> u16 {
    let microseconds = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    let exponent = (u64::BITS - microseconds.leading_zeros()).saturating_sub(MANTISSA).min(31);
    let mantissa = (microseconds >> exponent).min((1 << MANTISSA) - 1);
    u16::try_from((u64::from(exponent) << MANTISSA) | mantissa).unwrap_or(u16::MAX)
}

fn unpack(packed: u16) -> Duration {
    let (exponent, mantissa) = (packed >> MANTISSA, packed & ((1 << MANTISSA) - 1));
    Duration::from_micros(u64::from(mantissa) << exponent)
}

impl From<Phases> for Vec<u16> {
    fn from(phases: Phases) -> Self {
        let count = phases.present.count_ones() as usize;
        std::iter::once(phases.present).chain(phases.times.into_iter().take(count)).collect()
    }
}

impl From<Vec<u16>> for Phases {
    /// A list that is none of ours, or of a later release, has no phases.
    fn from(list: Vec<u16>) -> Self {
        let known = (1 << Phase::ALL.len()) - 1;
        match list.split_first() {
            Some((present, times))
                if present & !known == 0
                    && times.len() <= Phase::MOST
                    && times.len() == present.count_ones() as usize =>
            {
                let mut packed = Self { present: *present, ..Self::default() };
                packed.times[..times.len()].copy_from_slice(times);
                packed
            }
            _ => Self::default(),
        }
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

    use proptest::prelude::*;

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
    fn phases_are_kept_to_a_thousandth() {
        let run = good_https();
        let mut recent = Recent::default();
        recent.push(&run);
        let kept: Vec<_> = recent.runs().next().unwrap().phases().collect();
        assert_eq!(kept.len(), 5);
        for ((phase, time), (kept, told)) in run.phases().zip(kept) {
            assert_eq!(phase, kept);
            assert!(time.abs_diff(told) <= time / 1000, "{time:?} {told:?}");
        }
    }

    #[test]
    fn a_state_file_from_before_phases_is_read_and_a_later_one_too() {
        let mut recent = Recent::default();
        recent.push(&good_https());
        let json = serde_json::to_value(&recent).unwrap();
        assert_eq!(serde_json::from_value::<Recent>(json.clone()).unwrap(), recent);
        for odd in [None, Some("[]"), Some("[31]"), Some("[2048,7]"), Some("[511,1,2,3,4,5,6,7,8,9]")] {
            let mut json = json.clone();
            let run = json[0].as_object_mut().unwrap();
            run.remove("phases");
            if let Some(odd) = odd {
                run.insert("phases".to_owned(), serde_json::from_str(odd).unwrap());
            }
            let read: Recent = serde_json::from_value(json).unwrap();
            let run = read.runs().next().unwrap();
            assert_eq!((run.status(), run.phases().count()), (Some(200), 0), "{odd:?}");
        }
    }

    proptest! {
        #[test]
        fn no_time_is_told_wrong_by_more_than_a_thousandth(microseconds in 0..1_u64 << 42) {
            let time = Duration::from_micros(microseconds);
            prop_assert!(time.abs_diff(unpack(pack(time))) <= time / 1000, "{:?}", unpack(pack(time)));
        }

        #[test]
        fn any_time_and_any_list_has_a_meaning(time in any::<Duration>(), list in prop::collection::vec(any::<u16>(), 0..8)) {
            let _ = unpack(pack(time));
            let phases = Phases::from(list);
            prop_assert!(phases.iter().count() <= Phase::MOST);
            prop_assert_eq!(Phases::from(Vec::from(phases)), phases);
        }
    }

    #[test]
    fn it_costs_640_bytes_and_one_sentence_while_nothing_changes() {
        assert!(size_of::<RecentRun>() * Recent::MOST <= 640, "{}", size_of::<RecentRun>());
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
