//! The way to a target, hop by hop.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::Finding;

/// What became of the wish to trace the way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Path {
    Traced(Trace),
    Untraced(Untraced),
}

/// Why there is no trace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Untraced {
    pub time: SystemTime,
    pub sentence: Box<str>,
    /// It may be otherwise in a moment, so that it is worth another try.
    pub again: bool,
}

/// The way to one address.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trace {
    /// When it began.
    pub time: SystemTime,
    pub elapsed: Duration,
    pub to: IpAddr,
    /// `None` where there are no ports.
    pub port: Option<u16>,
    pub protocol: Protocol,
    pub ending: Ending,
    /// Where the way ends, one sentence.
    pub sentence: Box<str>,
    /// From the first hop to the last that answered.
    pub hops: Box<[Hop]>,
    /// Where it parts from a good way.
    #[serde(default)]
    pub parting: Option<Parting>,
}

/// Where a way that ends parts from one that did not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parting {
    /// Counted from 1.
    pub hop: usize,
    /// Who answered there when the way was good.
    pub good: IpAddr,
    /// Who does now, if anybody.
    pub now: Option<IpAddr>,
    /// When the way was good.
    pub time: SystemTime,
}

/// A way on which the target answered, for comparison.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GoodPath {
    /// When it was seen last.
    pub time: SystemTime,
    pub to: IpAddr,
    pub port: Option<u16>,
    pub protocol: Protocol,
    /// Who answered at each hop, the latest first: not every packet goes the same way.
    pub hops: Box<[Box<[IpAddr]>]>,
}

/// What the packets were.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    Tcp,
    Udp,
    Icmp,
}

/// One station of the way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hop {
    /// Who answered; `None` for one that stayed silent.
    pub address: Option<IpAddr>,
    pub round_trip: Option<Duration>,
    /// It answered packets of another kind, and not those of the target's own.
    #[serde(default)]
    pub other: bool,
}

/// Declares the vocabulary once: variant, label, finding, meaning.
macro_rules! endings {
    ($($variant:ident $label:literal $finding:expr, $meaning:literal;)*) => {
        /// The closed vocabulary of how a way ends.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub enum Ending {
            $(#[doc = $meaning] #[serde(rename = $label)] $variant,)*
        }

        impl Ending {
            /// Every ending, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Stable label value; dashboards and alerts depend on it.
            pub fn as_label(self) -> &'static str {
                match self { $(Self::$variant => $label,)* }
            }

            /// What it means, one sentence.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }

            /// What it says about a target of which nothing answers.
            pub fn finding(self) -> Option<Finding> {
                match self { $(Self::$variant => $finding,)* }
            }
        }
    };
}

endings! {
    Ends "ends" Some(Finding::PathEnds), "Behind the last hop that answers there is silence.";
    Unreachable "unreachable" Some(Finding::PathUnreachable), "A router, or the exporter's own host, said that it goes no further.";
    Loop "loop" Some(Finding::PathLoop), "A routing loop: routers send the packets round in a circle.";
    Whole "whole" Some(Finding::PathWhole), "The host can be reached, but the service does not answer.";
    Reached "reached" None, "The target answered by the time that the way to it was traced.";
    Silent "silent" None, "No hop answers, so nothing is known of the way.";
}

impl Trace {
    /// The last hop that answered packets of the target's kind, and its number. Hops are counted from 1.
    pub fn last_hop(&self) -> Option<(usize, IpAddr)> {
        let answered = |(index, hop): (usize, &Hop)| Some((index + 1, hop.address.filter(|_| !hop.other)?));
        self.hops.iter().enumerate().rev().find_map(answered)
    }
}

impl GoodPath {
    /// Addresses that are kept of one hop.
    const ADDRESSES: usize = 4;

    pub fn new(time: SystemTime, to: IpAddr, port: Option<u16>, protocol: Protocol, hops: &[Hop]) -> Self {
        let hops = hops.iter().map(|hop| hop.address.into_iter().collect()).collect();
        Self { time, to, port, protocol, hops }
    }

    /// Whether both lead to the same place, by the same kind of packets.
    pub fn leads_where(&self, to: IpAddr, port: Option<u16>, protocol: Protocol) -> bool {
        (self.to, self.port, self.protocol) == (to, port, protocol)
    }

    /// `newer`, with what was seen before at each of its hops. A way of another length is another way.
    #[must_use]
    pub fn renewed(&self, newer: Self) -> Self {
        if self.hops.len() != newer.hops.len() {
            return newer;
        }
        let hops = newer.hops.iter().zip(&self.hops).map(|(now, before)| {
            let older = before.iter().filter(|address| !now.contains(address));
            now.iter().chain(older).copied().take(Self::ADDRESSES).collect()
        });
        Self { hops: hops.collect(), ..newer }
    }

    /// Where a way that ends parts from this one. Ways that part and meet again have not parted.
    pub fn parting(&self, hops: &[Hop]) -> Option<Parting> {
        let own = |index: usize| hops.get(index).filter(|hop| !hop.other).and_then(|hop| hop.address);
        let common = |index: &usize| own(*index).is_some_and(|address| self.hops[*index].contains(&address));
        let next = (0..self.hops.len()).rev().find(common).map_or(0, |index| index + 1);
        // A hop that was silent when all was well is no sign of anything.
        let (index, good) = (next..self.hops.len()).find_map(|index| Some((index, *self.hops[index].first()?)))?;
        Some(Parting { hop: index + 1, good, now: own(index), time: self.time })
    }
}

impl Protocol {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Icmp => "icmp",
        }
    }
}

/// `1st`, `2nd`, `3rd`, `4th`.
pub fn ordinal(number: usize) -> String {
    let suffix = match (number % 100, number % 10) {
        (11..=13, _) => "th",
        (_, 1) => "st",
        (_, 2) => "nd",
        (_, 3) => "rd",
        (_, _) => "th",
    };
    format!("{number}{suffix}")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::UNIX_EPOCH;

    use super::*;

    fn addresses(text: &str) -> Vec<Option<IpAddr>> {
        text.split_whitespace().map(|word| word.parse().ok()).collect()
    }

    /// Silent hops are stars.
    fn hops(text: &str) -> Vec<Hop> {
        addresses(text).into_iter().map(|address| Hop { address, ..Hop::default() }).collect()
    }

    fn good(text: &str) -> GoodPath {
        let hops = addresses(text).into_iter().map(|address| address.into_iter().collect()).collect();
        let to = "203.0.113.9".parse().unwrap();
        GoodPath { time: UNIX_EPOCH, to, port: Some(443), protocol: Protocol::Tcp, hops }
    }

    #[test]
    fn ways_part_behind_the_last_hop_that_they_share() {
        for (before, now, parting) in [
            ("10.0.0.1 10.0.1.1 10.0.2.1", "10.0.0.1", Some((2, "10.0.1.1", None))),
            ("10.0.0.1 10.0.1.1 10.0.2.1", "10.0.0.1 10.9.1.1", Some((2, "10.0.1.1", Some("10.9.1.1")))),
            ("10.0.0.1 * 10.0.2.1", "10.0.0.1", Some((3, "10.0.2.1", None))),
            ("10.0.0.1 * 10.0.2.1", "10.0.0.1 10.9.1.1", Some((3, "10.0.2.1", None))),
            ("10.0.0.1 10.0.1.1 10.0.2.1 10.0.3.1", "10.0.0.1 10.9.1.1 10.0.2.1", Some((4, "10.0.3.1", None))),
            ("10.0.0.1 10.0.1.1", "", Some((1, "10.0.0.1", None))),
            ("10.0.0.1 10.0.1.1", "10.9.0.1 10.9.1.1", Some((1, "10.0.0.1", Some("10.9.0.1")))),
            ("10.0.0.1 10.0.1.1", "10.0.0.1 10.0.1.1", None),
            ("10.0.0.1 10.0.1.1", "10.0.0.1 10.0.1.1 10.0.2.1", None),
            ("", "10.0.0.1", None),
            ("* *", "10.0.0.1", None),
        ] {
            let found = good(before).parting(&hops(now));
            let shown = found.map(|found| (found.hop, found.good.to_string(), found.now.map(|now| now.to_string())));
            let expected = parting.map(|(hop, good, now)| (hop, good.to_owned(), now.map(str::to_owned)));
            assert_eq!(shown, expected, "{before} / {now}");
        }
    }

    #[test]
    fn what_answers_only_other_packets_is_not_on_the_way() {
        let mut now = hops("10.0.0.1 10.0.1.1");
        now[1].other = true;
        let parting = good("10.0.0.1 10.0.1.1").parting(&now).unwrap();
        assert_eq!((parting.hop, parting.now), (2, None));
    }

    #[test]
    fn every_way_that_was_good_is_remembered_for_a_while() {
        let mut known = good("10.0.0.1 10.0.1.1");
        for router in ["10.0.1.2", "10.0.1.1", "10.0.1.3", "10.0.1.4", "10.0.1.5"] {
            known = known.renewed(good(&format!("10.0.0.1 {router}")));
        }
        let expected = ["10.0.1.5", "10.0.1.4", "10.0.1.3", "10.0.1.1"].map(|text| text.parse::<IpAddr>().unwrap());
        assert_eq!((known.hops[0].len(), &*known.hops[1]), (1, &expected[..]));
        assert_eq!(known.parting(&hops("10.0.0.1 10.0.1.3")), None);
        let other = known.renewed(good("10.0.0.1"));
        assert_eq!(other, good("10.0.0.1"), "another length is another way");
    }

    #[test]
    fn hops_are_counted_as_people_do() {
        for (number, text) in
            [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (12, "12th"), (13, "13th"), (21, "21st")]
        {
            assert_eq!(ordinal(number), text);
        }
    }
}
