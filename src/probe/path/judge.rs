//! What the answers of the hops say about the way, in one word and one sentence.

use std::net::IpAddr;

use super::hop::{Answer, Packet, Reply};
use super::walk::{MOST_HOPS, Step, TRIES};
use crate::observation::{Ending, Hop, ordinal};
use crate::probe::error_queue::IcmpError;

/// All that was found out.
pub(super) struct Facts {
    pub(super) to: IpAddr,
    /// Where this host's packets come from.
    pub(super) own: IpAddr,
    pub(super) packet: Packet,
    /// From the first hop on.
    pub(super) steps: Vec<Step>,
    pub(super) host: Host,
}

/// Whether the host answers packets of another kind.
pub(super) enum Host {
    /// It does not, or nobody asked.
    Silent,
    /// It does. These are the hops behind the last that answered packets of the target's own kind.
    Answers { packet: Packet, beyond: Vec<Step> },
}

pub(super) struct Verdict {
    pub(super) ending: Ending,
    pub(super) sentence: String,
    pub(super) hops: Vec<Hop>,
}

impl Facts {
    pub(super) fn judge(self) -> Verdict {
        let mut hops: Vec<Hop> = self.steps.iter().map(|step| self.hop(step)).collect();
        let verdict = |ending, sentence: String, hops| Verdict { ending, sentence, hops };
        if let Some(Some((answer, _))) = self.steps.last()
            && answer.is_end()
        {
            let (ending, sentence) = self.end(answer, &mut hops);
            return verdict(ending, sentence, hops);
        }
        if let Some(circle) = circle(&hops) {
            hops.truncate(circle.from - 1 + 2 * circle.routers.len());
            let routers: Vec<String> = circle.routers.iter().map(ToString::to_string).collect();
            let sentence =
                format!("routing loop on the way to {} from hop {}: {}", self.to, circle.from, routers.join(", "),);
            return verdict(Ending::Loop, sentence, hops);
        }
        let answering = hops.iter().rposition(|hop| hop.address.is_some()).map_or(0, |index| index + 1);
        hops.truncate(answering);
        let last = last(&hops);
        match (&self.host, last) {
            (Host::Answers { packet, beyond }, _) => {
                let sentence = self.whole(last, packet, beyond, &mut hops);
                verdict(Ending::Whole, sentence, hops)
            }
            (Host::Silent, None) => verdict(Ending::Silent, format!("no hop on the way to {} answers", self.to), hops),
            (Host::Silent, Some((number, router))) if number == usize::from(MOST_HOPS) => {
                let sentence =
                    format!("the way to {} is longer than {number} hops, of which {router} is the last", self.to);
                verdict(Ending::Ends, sentence, hops)
            }
            (Host::Silent, Some((number, router))) => {
                let sentence = format!("the way ends after {router}, the {} hop", ordinal(number));
                verdict(Ending::Ends, sentence, hops)
            }
        }
    }

    fn hop(&self, step: &Step) -> Hop {
        // Of a later packet the kernel sends copies, and the answer may be to any.
        let exact = TRIES.first().copied().unwrap_or_default();
        match step {
            None => Hop::default(),
            Some((answer, time)) => Hop {
                address: answer.from(self.to).filter(|address| *address != self.own || *address == self.to),
                round_trip: Some(*time).filter(|time| *time < exact),
                other: false,
            },
        }
    }

    /// Somebody said how it ends.
    fn end(&self, answer: &Answer, hops: &mut Vec<Hop>) -> (Ending, String) {
        let to = self.to;
        let length = ordinal(hops.len());
        if self.own == to && matches!(answer, Answer::Reached(_)) {
            return (Ending::Whole, format!("{to} is an address of the exporter's own machine"));
        }
        match answer {
            Answer::Reached(Reply::Served) => {
                (Ending::Reached, format!("the way is whole, and by now {to}, the {length} hop, answers"))
            }
            Answer::Reached(Reply::Closed) => {
                let port = self.port();
                (
                    Ending::Whole,
                    format!("the way is whole: {to}, the {length} hop, says that nothing listens on {port}"),
                )
            }
            Answer::Refused(error) => self.refused(error, hops),
            Answer::NotSent(what) => {
                hops.clear();
                (Ending::Unreachable, format!("the exporter's own host sends nothing to {to}: {what}"))
            }
            Answer::Passed(_) => (Ending::Silent, String::new()),
        }
    }

    fn refused(&self, error: &IcmpError, hops: &mut Vec<Hop>) -> (Ending, String) {
        let Self { to, own, .. } = self;
        let words = error.words();
        let Some(router) = error.router else {
            return (Ending::Unreachable, format!("a router, the {} hop, says: {words}", ordinal(hops.len())));
        };
        if router == *own {
            hops.clear();
            let sentence = format!(
                "the way ends at the exporter's own host, which says: {words}; the next hop to {to} does not answer"
            );
            return (Ending::Unreachable, sentence);
        }
        // A router that let packets with fewer hops die is the same with more of them. Silent hops before it may have been
        // that very router, which says it only now and then.
        let known = hops.iter().position(|hop| hop.address == Some(router)).map_or(hops.len(), |index| index + 1);
        hops.truncate(known);
        let silent = known > 1 && hops[known - 2].address.is_none();
        let number = format!("{}the {}", if silent { "at most " } else { "" }, ordinal(known));
        if router == *to {
            return (Ending::Whole, format!("the way is whole: {to} itself, {number} hop, says: {words}"));
        }
        (Ending::Unreachable, format!("the way ends at {router}, {number} hop, which says: {words}"))
    }

    /// The host answers others, and so the way is whole: is it the host that is silent, or somebody before it?
    fn whole(&self, last: Option<(usize, IpAddr)>, other: &Packet, beyond: &[Step], hops: &mut Vec<Hop>) -> String {
        let to = self.to;
        let reached = beyond.iter().position(|step| matches!(step, Some((answer, _)) if answer.is_end()));
        let length = reached.map(|index| hops.len() + index + 1);
        let length =
            length.map_or_else(String::new, |length| format!(", {length} hop{}", if length == 1 { "" } else { "s" }));
        let silent = match self.packet {
            Packet::Tcp { .. } | Packet::Udp { .. } => self.port(),
            Packet::Echo => "the echo request".to_owned(),
        };
        let verb = if self.packet == Packet::Echo { "is not answered" } else { "does not answer" };
        let mut sentence = format!("the way to {to} is whole{length}; {silent} {verb}");
        let before = hops.len();
        for step in beyond.iter().take(reached.map_or(beyond.len(), |index| index + 1)) {
            hops.push(Hop { other: true, ..self.hop(step) });
        }
        let further = hops[before..].iter().position(|hop| hop.address.is_some_and(|address| address != to));
        if let Some(index) = further
            && let Some(router) = hops[before + index].address
        {
            let others = match other {
                Packet::Echo => "pings",
                Packet::Udp { .. } | Packet::Tcp { .. } => "others",
            };
            let until = match last {
                Some((number, router)) => format!("end after {router}, the {} hop", ordinal(number)),
                None => "get no answer from any hop".to_owned(),
            };
            sentence += &format!(
                "; packets to it {until}, while {others} pass {router}, the {}: look for a filter there",
                ordinal(before + index + 1)
            );
        }
        sentence
    }

    fn port(&self) -> String {
        match &self.packet {
            Packet::Tcp { port } => format!("port {port}"),
            Packet::Udp { port, .. } => format!("UDP port {port}"),
            Packet::Echo => "the host".to_owned(),
        }
    }
}

/// The last that answered, counted from 1.
fn last(hops: &[Hop]) -> Option<(usize, IpAddr)> {
    hops.iter().enumerate().rev().find_map(|(index, hop)| Some((index + 1, hop.address?)))
}

/// Routers that packets come by again and again.
struct Circle {
    /// The first hop in it, counted from 1.
    from: usize,
    routers: Vec<IpAddr>,
}

/// How often a router must be come by. Twice may be two ways of different length.
const ROUNDS: usize = 3;

fn circle(hops: &[Hop]) -> Option<Circle> {
    // A router that answers for its neighbour too is at two hops in a row.
    let comes =
        |index: usize| hops[index].address.filter(|_| index == 0 || hops[index - 1].address != hops[index].address);
    let rounds = |router: IpAddr| (0..hops.len()).filter(|&index| comes(index) == Some(router)).count();
    let start = (0..hops.len()).find(|&index| comes(index).is_some_and(|router| rounds(router) >= ROUNDS))?;
    let mut routers = Vec::new();
    for router in hops[start..].iter().filter_map(|hop| hop.address) {
        if routers.contains(&router) {
            break;
        }
        routers.push(router);
    }
    Some(Circle { from: start + 1, routers })
}
