//! What routers say: a client, a router and a server of the test's own.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use super::host::{Row, Tap};
use super::*;

/// The server's addresses, with the router's that the client sees.
const SERVERS: [(&str, &str); 2] = [("10.9.1.2", "10.9.0.1"), ("fd00:9:1::2", "fd00:9::1")];

#[test]
fn a_reply_over_a_router_has_its_hop_limit() {
    let Some(row) = Row::new() else { return };
    row.client.runs(|| async {
        for kinds in KINDS {
            for (server, _) in SERVERS {
                let run = ping(kinds, settings(), server, AMPLE).await;
                assert!(run.outcome.is_up(), "{run:?}");
                assert_eq!(detail(&run).reply_hop_limit, Some(63), "{kinds:?} {server}");
            }
        }
    });
}

#[test]
fn a_hop_limit_that_runs_out_names_the_router() {
    let Some(row) = Row::new() else { return };
    row.client.runs(|| async {
        for kinds in KINDS {
            for (server, router) in SERVERS {
                let run = ping(kinds, IcmpSettings { hop_limit: Some(1), ..settings() }, server, AMPLE).await;
                assert_eq!(reason(&run), Some(Reason::IcmpUnreachable), "{kinds:?} {run:?}");
                let begin =
                    format!("{router} answered about the echo request to {server}: the hop limit (ttl) ran out");
                assert!(sentence(&run).starts_with(&begin), "{run:?}");
                assert_eq!((detail(&run).packets_sent, detail(&run).packets_received), (1, 0));
                let run = ping(kinds, IcmpSettings { hop_limit: Some(2), ..settings() }, server, AMPLE).await;
                assert!(run.outcome.is_up(), "{run:?}");
            }
        }
    });
}

#[test]
fn an_unreachable_host_is_what_the_router_says_of_it() {
    let Some(row) = Row::new() else { return };
    row.router.ip("route add unreachable 10.9.8.0/24");
    row.router.ip("route add prohibit 10.9.9.0/24");
    row.router.ip("-6 route add unreachable fd00:9:8::/64");
    row.client.runs(|| async {
        for kinds in KINDS {
            for (address, said) in [
                (
                    "10.9.8.1",
                    "10.9.0.1 answered about the echo request to 10.9.8.1: host unreachable (ICMP type 3, code 1)",
                ),
                ("10.9.9.1", "filter (ICMP type 3, code 13)"),
                ("fd00:9:8::1", "fd00:9::1 answered about the echo request to fd00:9:8::1: "),
            ] {
                let run = ping(kinds, settings(), address, AMPLE).await;
                assert_eq!(reason(&run), Some(Reason::IcmpUnreachable), "{kinds:?} {run:?}");
                assert!(sentence(&run).contains(said), "{run:?}");
            }
        }
    });
}

#[test]
fn errors_do_not_disturb_the_others_on_the_socket() {
    let Some(row) = Row::new() else { return };
    // Of this alone a kernel says as much as there is to say: of other errors, a few a second.
    row.router.ip("link set r1 mtu 1300");
    row.server.ip("link set s0 mtu 1300");
    row.client.runs(|| async {
        let is_large = |n: usize| n.is_multiple_of(2);
        for kinds in KINDS {
            for (server, _) in SERVERS {
                let shared = shared(kinds);
                let size = |n| if is_large(n) { 1400 } else { 0 };
                let settings = |n| IcmpSettings { payload_size: size(n), dont_fragment: true, ..settings() };
                let probers: Vec<_> = (0..1000).map(|n| prober(settings(n), server, &shared)).collect();
                let deadline = Instant::now() + AMPLE;
                // The hosts know their neighbours by the end of this one; until then the kernel keeps few packets.
                assert!(probers[1].run(deadline).await.outcome.is_up());
                let runs = join_all(probers.iter().map(|prober| prober.run(deadline))).await;
                assert_eq!(shared.icmp.len(), 1);
                for (n, run) in runs.iter().enumerate() {
                    let expected = is_large(n).then_some(Reason::IcmpUnreachable);
                    assert_eq!(reason(run), expected, "{kinds:?} {server} {n} {run:?}");
                }
            }
        }
    });
}

#[test]
fn a_packet_that_may_not_be_split_is_too_large_for_a_small_link() {
    let Some(row) = Row::new() else { return };
    row.router.ip("link set r1 mtu 1300");
    row.server.ip("link set s0 mtu 1300");
    row.client.runs(|| async {
        let large = |dont_fragment| IcmpSettings { payload_size: 1400, dont_fragment, ..settings() };
        for kinds in KINDS {
            for (server, router) in SERVERS {
                // Twice: what is known of the way since the first time makes no difference.
                for _ in 0..2 {
                    let run = ping(kinds, large(true), server, AMPLE).await;
                    assert_eq!(reason(&run), Some(Reason::IcmpUnreachable), "{kinds:?} {run:?}");
                    let said = format!("{router} answered about the echo request to {server}: a packet of 14");
                    assert!(sentence(&run).starts_with(&said), "{run:?}");
                    assert!(sentence(&run).contains("the MTU is 1300, and dont_fragment is set"), "{run:?}");
                }
                let run = ping(kinds, large(false), server, AMPLE).await;
                assert!(run.outcome.is_up(), "may be split: {kinds:?} {run:?}");
                assert_eq!((detail(&run).packets_sent, detail(&run).packets_received), (1, 1));
            }
        }
    });
}

#[test]
fn a_packet_too_large_for_the_first_link_is_not_sent_at_all() {
    let Some(row) = Row::new() else { return };
    row.client.runs(|| async {
        let large = |dont_fragment| IcmpSettings { payload_size: 2000, dont_fragment, ..settings() };
        for kinds in KINDS {
            for (server, _) in SERVERS {
                let run = ping(kinds, large(true), server, AMPLE).await;
                assert_eq!(reason(&run), Some(Reason::IcmpUnreachable), "{kinds:?} {run:?}");
                let said = format!("the exporter's host did not send the echo request to {server}: a packet of 20");
                assert!(sentence(&run).starts_with(&said), "{run:?}");
                assert!(sentence(&run).ends_with("the MTU is 1500, and dont_fragment is set"), "{run:?}");
                assert!(ping(kinds, large(false), server, AMPLE).await.outcome.is_up());
            }
        }
    });
}

#[test]
fn a_source_address_is_used_or_said_to_be_wrong() {
    let Some(row) = Row::new() else { return };
    row.client.ip("addr add 10.9.0.77/24 dev c0");
    let tap = row.server.does(Tap::new);
    let from = |address: [u8; 4]| IcmpSettings { source_address: Some(address.into()), ..settings() };
    row.client.runs(move || async move {
        for kinds in KINDS {
            let run = ping(kinds, from([10, 9, 0, 77]), "10.9.1.2", AMPLE).await;
            assert!(run.outcome.is_up(), "{run:?}");
            let run = ping(kinds, from([10, 9, 0, 99]), "10.9.1.2", AMPLE).await;
            assert_eq!(reason(&run), Some(Reason::Internal));
            assert!(sentence(&run).starts_with("cannot use source_ip_address 10.9.0.99: "), "{run:?}");
            let run = ping(kinds, from([10, 9, 0, 77]), "fd00:9:1::2", AMPLE).await;
            assert_eq!(reason(&run), Some(Reason::DnsNoAddress), "another family than the source's: {run:?}");
        }
    });
    row.server.does(move || {
        for _ in KINDS {
            assert_eq!(tap.request().from, IpAddr::from([10, 9, 0, 77]));
        }
    });
}

#[test]
fn a_host_without_a_route_says_so() {
    let Some(host) = Host::new() else { return };
    host.ip("route add blackhole 10.9.7.0/24");
    host.ip("route add prohibit 10.9.6.0/24");
    host.runs(|| async {
        for kinds in KINDS {
            for address in ["192.0.2.1", "2001:db8::1", "10.9.7.1", "10.9.6.1"] {
                let run = ping(kinds, settings(), address, AMPLE).await;
                assert_eq!(reason(&run), Some(Reason::IcmpUnreachable), "{kinds:?} {run:?}");
                let said = format!("the exporter's host did not send the echo request to {address}: ");
                assert!(sentence(&run).starts_with(&said), "{run:?}");
                assert_eq!(detail(&run).loss(), Some(1.0));
            }
        }
    });
}

#[test]
fn a_receive_buffer_that_overflowed_is_not_the_targets_fault() {
    let Some(host) = Host::new() else { return };
    // The replies come, all at once, and there is room for none.
    let asked = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&asked);
    responder(&host, move |request| {
        seen.store(true, Ordering::Relaxed);
        Some(vec![request.reply(|reply| *reply.last_mut().unwrap() ^= 1); 60_000])
    });
    let run = host.runs(|| async move {
        let shared = shared(&[Kind::Raw]);
        let prober = prober(settings(), "127.0.0.1", &shared);
        let channel = channel(&prober.settings, IpFamily::V4, &shared);
        let watch = async {
            while !asked.load(Ordering::Relaxed) {
                tokio::task::yield_now().await;
            }
            // Holds the only thread of the runtime, so that nobody reads.
            let patience = Instant::now() + AMPLE;
            while channel.drops() == 0 {
                assert!(Instant::now() < patience, "the replies do not fill the buffer");
                std::thread::yield_now();
            }
        };
        let run = async { prober.run(Instant::now() + Duration::from_secs(2)).await };
        let (run, ()) = tokio::join!(biased; run, watch);
        run
    });
    assert_eq!(reason(&run), Some(Reason::Internal), "{run:?}");
    assert!(sentence(&run).contains("its receive buffer was full"), "{run:?}");
}
