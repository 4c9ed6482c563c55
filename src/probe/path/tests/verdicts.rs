//! Answers of hops, and what is said of the way.

use std::net::IpAddr;
use std::time::Duration;

use crate::config::IpFamily;
use crate::observation::{Ending, Hop};
use crate::probe::error_queue::IcmpError;
use crate::probe::path::hop::{Answer, Packet, Reply};
use crate::probe::path::judge::{Facts, Host, Verdict};
use crate::probe::path::walk::Step;

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// `10.0.0.1` is a router that let the packet die, `*` silence, `served` and `closed` the target, `10.0.0.1!code` a
/// router that says destination unreachable, `!` this host.
fn steps(text: &str) -> Vec<Step> {
    let step = |word: &str| -> Step {
        let answer = match word {
            "*" => return None,
            "?" => Answer::Passed(None),
            "served" => Answer::Reached(Reply::Served),
            "closed" => Answer::Reached(Reply::Closed),
            "!" => Answer::NotSent("Network is unreachable".to_owned()),
            _ => match word.split_once('!') {
                None => Answer::Passed(Some(address(word))),
                Some((router, code)) => Answer::Refused(IcmpError {
                    family: IpFamily::V4,
                    router: Some(address(router)),
                    kind: 3,
                    code: code.parse().unwrap(),
                    mtu: 0,
                }),
            },
        };
        Some((answer, Duration::from_millis(7)))
    };
    text.split_whitespace().map(step).collect()
}

fn facts(packet: Packet, text: &str, host: Host) -> Facts {
    Facts { to: address("203.0.113.9"), own: address("192.0.2.10"), packet, steps: steps(text), host }
}

fn hops(hops: &[Hop]) -> String {
    let hop = |hop: &Hop| {
        let address = hop.address.map_or_else(|| "*".to_owned(), |address| address.to_string());
        if hop.other { format!("({address})") } else { address }
    };
    hops.iter().map(hop).collect::<Vec<_>>().join(" ")
}

const TCP: Packet = Packet::Tcp { port: 443 };

/// With this many silent hops to the end.
fn silence(text: &str) -> String {
    let silent = 30 - text.split_whitespace().count();
    format!("{text} {}", "* ".repeat(silent))
}

#[test]
fn the_end_of_a_way_is_said_in_one_word_and_one_sentence() {
    let circling = "10.0.0.1 ".to_owned() + &"10.0.1.1 10.0.2.1 ".repeat(14);
    let limping = "10.0.0.1 ".to_owned() + &"10.0.1.1 * ".repeat(14);
    let long: String = (1..=30).map(|hop| format!("10.0.{hop}.1 ")).collect();
    for (text, ending, sentence, left) in [
        (
            &*silence("10.0.0.1 10.0.1.1 * 198.51.100.1"),
            Ending::Ends,
            "the way ends after 198.51.100.1, the 4th hop",
            "10.0.0.1 10.0.1.1 * 198.51.100.1",
        ),
        (&*silence("* * 10.0.2.1"), Ending::Ends, "the way ends after 10.0.2.1, the 3rd hop", "* * 10.0.2.1"),
        (&*silence(""), Ending::Silent, "no hop on the way to 203.0.113.9 answers", ""),
        (&*silence("? ?"), Ending::Silent, "no hop on the way to 203.0.113.9 answers", ""),
        (
            "10.0.0.1 10.0.1.1 10.0.1.1!1",
            Ending::Unreachable,
            "the way ends at 10.0.1.1, the 2nd hop, which says: host unreachable",
            "10.0.0.1 10.0.1.1",
        ),
        (
            "10.0.0.1 10.0.1.1!13",
            Ending::Unreachable,
            "the way ends at 10.0.1.1, the 2nd hop, which says: communication is prohibited by a filter",
            "10.0.0.1 10.0.1.1",
        ),
        (
            "10.0.0.1 * * 10.0.1.1!1",
            Ending::Unreachable,
            "the way ends at 10.0.1.1, at most the 4th hop, which says: host unreachable",
            "10.0.0.1 * * 10.0.1.1",
        ),
        (
            "10.0.0.1 203.0.113.9!10",
            Ending::Whole,
            "the way is whole: 203.0.113.9 itself, the 2nd hop, says: communication with the host is prohibited",
            "10.0.0.1 203.0.113.9",
        ),
        (
            "* * 192.0.2.10!1",
            Ending::Unreachable,
            "the way ends at the exporter's own host, which says: host unreachable; the next hop to \
             203.0.113.9 does not answer",
            "",
        ),
        ("!", Ending::Unreachable, "the exporter's own host sends nothing to 203.0.113.9: Network is unreachable", ""),
        (
            "10.0.0.1 * served",
            Ending::Reached,
            "the way is whole, and by now 203.0.113.9, the 3rd hop, answers",
            "10.0.0.1 * 203.0.113.9",
        ),
        (
            "10.0.0.1 closed",
            Ending::Whole,
            "the way is whole: 203.0.113.9, the 2nd hop, says that nothing listens on port 443",
            "10.0.0.1 203.0.113.9",
        ),
        (
            &circling,
            Ending::Loop,
            "routing loop on the way to 203.0.113.9 from hop 2: 10.0.1.1, 10.0.2.1",
            "10.0.0.1 10.0.1.1 10.0.2.1 10.0.1.1 10.0.2.1",
        ),
        (&limping, Ending::Loop, "routing loop on the way to 203.0.113.9 from hop 2: 10.0.1.1", "10.0.0.1 10.0.1.1 *"),
        (
            &long,
            Ending::Ends,
            "the way to 203.0.113.9 is longer than 30 hops, of which 10.0.30.1 is the last",
            long.trim(),
        ),
        (
            // A router that answers for its neighbour too, and a way that is not the same for every packet.
            &*silence("10.0.0.1 10.0.0.1 10.0.0.1 10.0.1.1 10.0.0.1 10.0.2.1"),
            Ending::Ends,
            "the way ends after 10.0.2.1, the 6th hop",
            "10.0.0.1 10.0.0.1 10.0.0.1 10.0.1.1 10.0.0.1 10.0.2.1",
        ),
    ] {
        let Verdict { ending: found, sentence: said, hops: kept } = facts(TCP, text, Host::Silent).judge();
        assert_eq!((found, said.as_str(), hops(&kept).as_str()), (ending, sentence, left), "{text}");
    }
}

#[test]
fn a_host_that_answers_others_is_told_from_a_way_that_ends() {
    let udp = Packet::Udp { port: 53, payload: [].into() };
    let traceroute = Packet::Udp { port: 33_434, payload: [].into() };
    for (packet, own, other, beyond, sentence, left) in [
        (
            TCP,
            "10.0.0.1 10.0.1.1",
            Packet::Echo,
            "served",
            "the way to 203.0.113.9 is whole, 3 hops; port 443 does not answer",
            "10.0.0.1 10.0.1.1 (203.0.113.9)",
        ),
        (
            TCP,
            "10.0.0.1",
            Packet::Echo,
            "* 10.0.2.1 served",
            "the way to 203.0.113.9 is whole, 4 hops; port 443 does not answer; packets to it end after 10.0.0.1, the 1st \
             hop, while pings pass 10.0.2.1, the 3rd: look for a filter there",
            "10.0.0.1 (*) (10.0.2.1) (203.0.113.9)",
        ),
        (
            udp,
            "",
            Packet::Echo,
            "10.0.0.1 served",
            "the way to 203.0.113.9 is whole, 2 hops; UDP port 53 does not answer; packets to it get no answer from any \
             hop, while pings pass 10.0.0.1, the 1st: look for a filter there",
            "(10.0.0.1) (203.0.113.9)",
        ),
        (
            Packet::Echo,
            "10.0.0.1",
            traceroute,
            "closed",
            "the way to 203.0.113.9 is whole, 2 hops; the echo request is not answered",
            "10.0.0.1 (203.0.113.9)",
        ),
        (
            TCP,
            "10.0.0.1",
            Packet::Echo,
            "* *",
            "the way to 203.0.113.9 is whole; port 443 does not answer",
            "10.0.0.1 (*) (*)",
        ),
    ] {
        let host = Host::Answers { packet: other, beyond: steps(beyond) };
        let verdict = facts(packet, &silence(own), host).judge();
        assert_eq!((verdict.ending, &*verdict.sentence), (Ending::Whole, sentence));
        assert_eq!(hops(&verdict.hops), left, "{sentence}");
    }
}

#[test]
fn the_exporters_own_machine_is_no_way_at_all() {
    let own = address("203.0.113.9");
    let verdict = Facts { own, ..facts(TCP, "closed", Host::Silent) }.judge();
    assert_eq!(
        (verdict.ending, &*verdict.sentence),
        (Ending::Whole, "203.0.113.9 is an address of the exporter's own machine")
    );
}

#[test]
fn a_round_trip_that_may_be_of_another_packet_is_not_told() {
    let mut facts = facts(TCP, &silence("10.0.0.1 10.0.1.1"), Host::Silent);
    facts.steps[1].as_mut().unwrap().1 = Duration::from_millis(1300);
    let times: Vec<_> = facts.judge().hops.iter().map(|hop| hop.round_trip).collect();
    assert_eq!(times, [Some(Duration::from_millis(7)), None]);
}
