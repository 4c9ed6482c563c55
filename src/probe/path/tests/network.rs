//! Ways through routers of the test's own.

use std::net::IpAddr;
use std::sync::Arc;

use futures_util::future::join_all;

use super::chain::{Chain, FAMILIES, Family};
use crate::config::{DnsServers, HostPort, IcmpSettings, IpFamily, IpPreference, ProbeSpec, TcpSettings, TlsSettings};
use crate::observation::{Ending, Failure, Observation, Outcome, Path, Protocol, Reason, Resolution, Trace};
use crate::probe::Shared;
use crate::probe::path::hop::{Packet, Sender};
use crate::probe::path::{Ask, GoodTrace, Traces, follow, trace_good, trace_lost};
use crate::state::tests::down;

const PORT: u16 = 443;

fn tcp(host: &str) -> ProbeSpec {
    let settings = TcpSettings {
        ip: IpPreference { preferred: IpFamily::V4, fallback: true },
        dns_servers: DnsServers::System,
        source_address: None,
        tls: false,
        tls_config: TlsSettings::default(),
        steps: Vec::new(),
        keep_excerpt: false,
    };
    ProbeSpec::Tcp { settings: Arc::new(settings), address: HostPort { host: host.to_owned(), port: PORT } }
}

fn ping(host: &str) -> ProbeSpec {
    let settings = IcmpSettings {
        ip: IpPreference { preferred: IpFamily::V4, fallback: true },
        dns_servers: DnsServers::System,
        source_address: None,
        dont_fragment: false,
        payload_size: 0,
        hop_limit: None,
        packets: 1,
        packet_interval: std::time::Duration::from_millis(10),
        max_loss: None,
    };
    ProbeSpec::Icmp { settings: Arc::new(settings), host: host.to_owned() }
}

/// A run that ended so at this address.
fn lost(reason: Reason, address: &str) -> Observation {
    let address: IpAddr = address.parse().unwrap();
    let resolution = Resolution {
        elapsed: std::time::Duration::ZERO,
        addresses: Box::new([address]),
        chosen: Some(address),
        lookup: None,
    };
    Observation { resolution: Some(resolution), ..down(reason) }
}

async fn traced(spec: &ProbeSpec, reason: Reason, address: &str) -> Trace {
    match trace_lost(spec, &lost(reason, address), &[], &Shared::default()).await {
        Some(Path::Traced(trace)) => trace,
        other => panic!("{other:?}"),
    }
}

/// Of both families and both kinds of packets, all at once.
fn traces(chain: &Chain) -> Vec<(Family, Trace)> {
    traces_of(chain, &FAMILIES)
}

fn traces_of(chain: &Chain, families: &[Family]) -> Vec<(Family, Trace)> {
    let targets: Vec<_> = families.iter().map(|&family| (family, chain.target(family))).collect();
    chain.client.runs(move || async move {
        let mut going = Vec::new();
        for (family, target) in &targets {
            for (spec, reason) in [(tcp(target), Reason::ConnectTimeout), (ping(target), Reason::IcmpTimeout)] {
                going.push(async move { (*family, traced(&spec, reason, target).await) });
            }
        }
        join_all(going).await
    })
}

/// The addresses of the hops; `None` for a silent one.
fn hops(trace: &Trace) -> Vec<Option<String>> {
    trace.hops.iter().map(|hop| hop.address.map(|address| address.to_string())).collect()
}

fn routers(family: Family, count: usize) -> Vec<Option<String>> {
    (0..count).map(|link| Some(family.far(link))).collect()
}

#[test]
fn a_black_hole_is_behind_the_last_hop_that_answers() {
    let Some(chain) = Chain::new(4) else { return };
    // Of such a route a router says nothing, not even that the hop limit ran out.
    chain.route(4, "blackhole");
    for (family, trace) in traces(&chain) {
        assert_eq!(trace.ending, Ending::Ends, "{trace:?}");
        assert_eq!(*trace.sentence, format!("the way ends after {}, the 3rd hop", family.far(2)));
        assert_eq!(hops(&trace), routers(family, 3), "{trace:?}");
        assert_eq!(trace.last_hop(), Some((3, family.far(2).parse().unwrap())));
        assert!(trace.hops.iter().all(|hop| hop.round_trip.is_none_or(|time| time <= trace.elapsed)), "{trace:?}");
    }
}

#[test]
fn a_filter_on_the_port_alone_is_told_from_a_way_that_ends() {
    let Some(chain) = Chain::new(3) else { return };
    // On the server itself.
    for option in ["-4", "-6"] {
        chain.server.ip(&format!("{option} rule add pref 2 lookup local"));
        chain.server.ip(&format!("{option} rule add pref 1 ipproto tcp dport {PORT} blackhole"));
        chain.server.ip(&format!("{option} rule del pref 0"));
    }
    let traces = traces(&chain);
    for (family, trace) in &traces {
        if trace.protocol == Protocol::Icmp {
            assert_eq!(trace.ending, Ending::Reached, "{trace:?}");
            continue;
        }
        assert_eq!(trace.ending, Ending::Whole, "{trace:?}");
        let target = chain.target(*family);
        assert_eq!(*trace.sentence, format!("the way to {target} is whole, 4 hops; port {PORT} does not answer"));
        assert_eq!(hops(trace), routers(*family, 4), "{trace:?}");
        assert_eq!(trace.last_hop(), Some((3, family.far(2).parse().unwrap())), "{trace:?}");
    }
}

#[test]
fn a_filter_on_the_way_is_found_where_others_pass() {
    let Some(chain) = Chain::new(3) else { return };
    chain.rule(2, &format!("ipproto tcp dport {PORT} blackhole"));
    for (family, trace) in traces(&chain).into_iter().filter(|(_, trace)| trace.protocol == Protocol::Tcp) {
        assert_eq!(trace.ending, Ending::Whole, "{trace:?}");
        let (target, before, there) = (chain.target(family), family.far(0), family.far(1));
        let sentence = format!(
            "the way to {target} is whole, 4 hops; port {PORT} does not answer; packets to it end after {before}, the 1st \
             hop, while pings pass {there}, the 2nd: look for a filter there"
        );
        assert_eq!(*trace.sentence, sentence);
        assert_eq!(hops(&trace), routers(family, 4), "{trace:?}");
        let other: Vec<bool> = trace.hops.iter().map(|hop| hop.other).collect();
        assert_eq!(other, [false, true, true, true]);
    }
}

#[test]
fn without_the_right_to_ping_the_host_is_asked_by_udp() {
    let Some(chain) = Chain::new(2) else { return };
    chain.rule(1, "ipproto icmp blackhole");
    chain.rule(1, "ipproto ipv6-icmp blackhole");
    for (family, trace) in traces(&chain).into_iter().filter(|(_, trace)| trace.protocol == Protocol::Icmp) {
        // Neither pings nor errors of what is behind pass the first router; what it says itself does.
        assert_ne!(trace.ending, Ending::Reached, "{family:?} {trace:?}");
    }
}

#[test]
fn routers_that_send_packets_back_and_forth_are_named() {
    let Some(chain) = Chain::new(3) else { return };
    chain.back(3);
    for (family, trace) in traces(&chain) {
        assert_eq!(trace.ending, Ending::Loop, "{trace:?}");
        let target = chain.target(family);
        assert!(trace.sentence.starts_with(&format!("routing loop on the way to {target} from hop ")), "{trace:?}");
        // A router has several addresses, and may answer by another one to what comes back.
        let third = family.far(2);
        assert!(trace.sentence.contains(&third) && trace.hops.len() <= 6, "{trace:?}");
    }
}

#[test]
fn who_says_that_it_goes_no_further_is_named_with_the_words() {
    let Some(chain) = Chain::new(3) else { return };
    chain.route(2, "unreachable");
    for (family, trace) in traces(&chain) {
        assert_eq!(trace.ending, Ending::Unreachable, "{trace:?}");
        let words = match family {
            Family::V4 => "host unreachable",
            Family::V6 => "no route to the destination",
        };
        let router = family.far(1);
        assert!(trace.sentence.starts_with(&format!("the way ends at {router}, ")), "{trace:?}");
        assert!(trace.sentence.ends_with(&format!(" hop, which says: {words}")), "{trace:?}");
        // It says so only now and then, and so perhaps to a packet that could have gone further.
        assert_eq!(hops(&trace).last(), Some(&Some(router)), "{trace:?}");
    }
}

// Families by themselves: of neighbours that are missing a host sends 50 errors at once, and no more.
#[test]
fn a_host_that_its_last_router_cannot_find_is_unreachable() {
    let Some(chain) = Chain::new(2) else { return };
    for family in ["-4", "-6"] {
        chain.server.ip(&format!("{family} addr flush dev left"));
    }
    // Who has found its neighbours does not look for them while the clock of the last router runs.
    chain.client.runs(|| async {
        for family in FAMILIES {
            let packet = Packet::Udp { port: 9, payload: [0; 8].into() };
            let sender = Sender { to: family.far(1).parse().unwrap(), source: None, packet };
            assert_eq!(follow(&sender, Ask::Hops).await.unwrap().ending, Ending::Whole);
        }
    });
    let traces: Vec<_> = FAMILIES.iter().flat_map(|family| traces_of(&chain, &[*family])).collect();
    let unreachable = |trace: &Trace| trace.ending == Ending::Unreachable;
    // A router sends few errors, and what it does not send is silence behind it.
    assert!(traces.iter().any(|(_, trace)| unreachable(trace)), "{traces:?}");
    for (family, trace) in &traces {
        let router = family.far(1);
        assert_eq!(hops(trace), routers(*family, 2), "{trace:?}");
        if unreachable(trace) {
            assert!(
                trace.sentence.starts_with(&format!("the way ends at {router}, the 2nd hop, which says: ")),
                "{trace:?}"
            );
            assert!(trace.sentence.ends_with(" unreachable"), "{trace:?}");
        } else {
            assert_eq!(*trace.sentence, format!("the way ends after {router}, the 2nd hop"));
        }
    }
}

#[test]
fn a_hop_that_is_silent_by_itself_is_not_the_end() {
    let Some(chain) = Chain::new(4) else { return };
    chain.silence(2);
    chain.route(4, "blackhole");
    for (family, trace) in traces(&chain) {
        assert_eq!(*trace.sentence, format!("the way ends after {}, the 3rd hop", family.far(2)));
        let mut expected = routers(family, 3);
        expected[1] = None;
        assert_eq!(hops(&trace), expected, "{trace:?}");
    }
}

#[test]
fn a_port_that_answers_by_now_is_reached() {
    let Some(chain) = Chain::new(2) else { return };
    let _listener = chain.server.does(|| std::net::TcpListener::bind(("::", PORT)).unwrap());
    for (family, trace) in traces(&chain) {
        assert_eq!(trace.ending, Ending::Reached, "{trace:?}");
        let sentence = format!("the way is whole, and by now {}, the 3rd hop, answers", chain.target(family));
        assert_eq!(*trace.sentence, sentence);
        assert_eq!(hops(&trace), routers(family, 3), "{trace:?}");
    }
}

#[test]
fn a_closed_port_shows_that_the_way_is_whole() {
    let Some(chain) = Chain::new(1) else { return };
    for (family, trace) in traces(&chain).into_iter().filter(|(_, trace)| trace.protocol == Protocol::Tcp) {
        let target = chain.target(family);
        let sentence = format!("the way is whole: {target}, the 2nd hop, says that nothing listens on port {PORT}");
        assert_eq!((trace.ending, &*trace.sentence), (Ending::Whole, &*sentence));
    }
}

#[test]
fn datagrams_find_their_way_and_the_service_at_its_end() {
    let Some(chain) = Chain::new(2) else { return };
    let socket = chain.server.does(|| std::net::UdpSocket::bind(("::", 53)).unwrap());
    let echo = std::thread::spawn(move || {
        let mut buffer = [0; 64];
        // Until the test says that it is over.
        loop {
            let (length, from) = socket.recv_from(&mut buffer).unwrap();
            if &buffer[..length] == b"over" {
                return;
            }
            let _ = socket.send_to(&buffer[..length], from);
        }
    });
    let targets = FAMILIES.map(|family| (family, chain.target(family)));
    let found = chain.client.runs(move || async move {
        let mut found = Vec::new();
        for (family, target) in targets {
            for port in [53, 54] {
                let packet = Packet::Udp { port, payload: (*b"question").into() };
                let sender = Sender { to: target.parse().unwrap(), source: None, packet };
                found.push((family, port, follow(&sender, Ask::HostToo).await.unwrap()));
            }
            let over = std::net::UdpSocket::bind(("::", 0)).unwrap();
            if family == Family::V6 {
                over.send_to(b"over", (target.as_str(), 53)).unwrap();
            }
        }
        found
    });
    echo.join().unwrap();
    for (family, port, verdict) in found {
        let expected = if port == 53 { Ending::Reached } else { Ending::Whole };
        assert_eq!(verdict.ending, expected, "{family:?} {}", verdict.sentence);
        let addresses: Vec<_> = verdict.hops.iter().map(|hop| hop.address.map(|hop| hop.to_string())).collect();
        assert_eq!(addresses, routers(family, 3));
    }
}

#[test]
fn a_host_without_a_route_is_where_the_way_ends() {
    let Some(chain) = Chain::new(1) else { return };
    for option in ["-4", "-6"] {
        chain.client.ip(&format!("{option} route del default"));
    }
    for (_, trace) in traces(&chain) {
        assert_eq!(trace.ending, Ending::Unreachable, "{trace:?}");
        assert!(trace.sentence.starts_with("the exporter's own host sends nothing to "), "{trace:?}");
        assert_eq!(trace.hops.len(), 0);
    }
}

#[test]
fn a_gateway_that_is_gone_is_no_hop() {
    let Some(chain) = Chain::new(1) else { return };
    for option in ["-4", "-6"] {
        chain.routers[0].ip(&format!("{option} addr flush dev left"));
    }
    for (_, trace) in FAMILIES.iter().flat_map(|family| traces_of(&chain, &[*family])) {
        assert_eq!(trace.ending, Ending::Unreachable, "{trace:?}");
        assert!(trace.sentence.starts_with("the way ends at the exporter's own host, which says: "), "{trace:?}");
        assert_eq!(trace.hops.len(), 0, "{trace:?}");
    }
}

#[tokio::test]
async fn where_no_way_leads_to_is_said() {
    for (address, what) in [
        ("127.0.0.1", "the exporter's own machine"),
        ("::1", "the exporter's own machine"),
        ("0.0.0.0", "the exporter's own machine"),
        ("::ffff:127.0.0.1", "the exporter's own machine"),
        ("224.0.0.1", "no address of one host"),
        ("ff02::1", "no address of one host"),
        ("255.255.255.255", "no address of one host"),
        ("169.254.1.1", "the exporter's own link"),
        ("fe80::1", "the exporter's own link"),
    ] {
        let path = trace_lost(&tcp(address), &lost(Reason::ConnectTimeout, address), &[], &Shared::default()).await;
        let Some(Path::Untraced(untraced)) = path else { panic!("{address}: {path:?}") };
        assert!(untraced.sentence.contains(what), "{untraced:?}");
        assert!(!untraced.again);
    }
}

#[tokio::test]
async fn only_runs_that_could_not_get_there_are_traced() {
    use Reason::{ConnectTimeout, ConnectUnreachable, IcmpTimeout, IcmpUnreachable};
    let address = "127.0.0.1";
    for reason in Reason::ALL.iter().copied() {
        let traced = trace_lost(&tcp(address), &lost(reason, address), &[], &Shared::default()).await.is_some();
        let expected = matches!(reason, ConnectTimeout | ConnectUnreachable | IcmpTimeout | IcmpUnreachable);
        assert_eq!(traced, expected, "{reason:?}");
    }
    let up = Observation { outcome: Outcome::Up, ..lost(ConnectTimeout, address) };
    assert_eq!(trace_lost(&tcp(address), &up, &[], &Shared::default()).await, None);
}

#[tokio::test]
async fn what_does_not_fit_the_budget_is_left_out_and_said_to_be() {
    let shared = Shared { traces: Arc::new(Traces::default()), ..Shared::default() };
    let run = lost(Reason::ConnectTimeout, "127.0.0.1");
    let taken = shared.traces.all().unwrap();
    let Some(Path::Untraced(untraced)) = trace_lost(&tcp("127.0.0.1"), &run, &[], &shared).await else { panic!() };
    assert!(untraced.again && untraced.sentence.contains("8 other targets"), "{untraced:?}");
    drop(taken);
    let Some(Path::Untraced(untraced)) = trace_lost(&tcp("127.0.0.1"), &run, &[], &shared).await else { panic!() };
    assert!(untraced.sentence.contains("own machine"), "{untraced:?}");
}

#[tokio::test]
async fn an_address_that_may_not_be_probed_is_not_traced() {
    use crate::probe::address::{Admit, Scope};
    let admit: Admit = Arc::new(|host, address| {
        Err(Failure::new(Reason::TargetForbidden, format!("{host} {address:?} is forbidden")))
    });
    let (spec, run) = (tcp("192.0.2.1"), lost(Reason::ConnectTimeout, "192.0.2.1"));
    let shared = Shared::default();
    let path = Scope { admit: Some(admit), ..Scope::default() }.around(trace_lost(&spec, &run, &[], &shared)).await;
    let Some(Path::Untraced(untraced)) = path else { panic!("{path:?}") };
    assert!(untraced.sentence.contains("is forbidden"), "{untraced:?}");
}

#[test]
fn a_way_that_ends_is_compared_with_one_that_did_not() {
    let Some(chain) = Chain::new(3) else { return };
    let _listener = chain.server.does(|| std::net::TcpListener::bind(("::", PORT)).unwrap());
    let targets = FAMILIES.map(|family| (family, chain.target(family)));
    let wanted = targets.clone();
    let good = chain.client.runs(move || async move {
        let good = wanted.iter().map(|(_, target)| async move {
            let run = Observation { outcome: Outcome::Up, ..lost(Reason::ConnectTimeout, target) };
            let GoodTrace::Found(path) = trace_good(&tcp(target), &run, &Shared::default()).await else { panic!() };
            Arc::new(path)
        });
        join_all(good).await
    });
    for ((family, _), good) in targets.iter().zip(&good) {
        let seen: Vec<_> = good.hops.iter().map(|hop| hop.first().map(ToString::to_string)).collect();
        assert_eq!(seen, routers(*family, 4));
    }
    chain.route(3, "blackhole");
    let traces = chain.client.runs(move || async move {
        let traces = targets.iter().map(|(family, target)| {
            let good = &good;
            async move {
                let run = lost(Reason::ConnectTimeout, target);
                (*family, trace_lost(&tcp(target), &run, good, &Shared::default()).await)
            }
        });
        join_all(traces).await
    });
    for (family, path) in traces {
        let Some(Path::Traced(trace)) = path else { panic!("{path:?}") };
        let parting = trace.parting.as_ref().unwrap();
        let third = family.far(2);
        assert_eq!((parting.hop, parting.good.to_string(), parting.now), (3, third.clone(), None), "{trace:?}");
        let (begin, end) = (family.far(1), format!(" hop 3 was {third}"));
        assert!(trace.sentence.starts_with(&format!("the way ends after {begin}, the 2nd hop; at ")), "{trace:?}");
        assert!(trace.sentence.ends_with(&end), "{trace:?}");
    }
}
