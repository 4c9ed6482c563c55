//! Pings of 127.0.0.1 and ::1 on a host of the test's own, by datagram sockets and by raw ones.

#![allow(clippy::unwrap_used)]

mod host;
mod network;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use self::host::{Host, Tap};
use super::dispatch::Channel;
use super::socket::{Kind, Options};
use super::*;
use crate::config::{DnsServers, IpFamily, IpPreference};
use crate::observation::{IcmpDetail, Reason};

/// For runs that should end by themselves.
const AMPLE: Duration = Duration::from_secs(30);
/// For runs that must be cut off.
const SHORT: Duration = Duration::from_secs(1);

const KINDS: [&[Kind]; 2] = [&[Kind::Datagram], &[Kind::Raw]];
const LOOPBACKS: [&str; 2] = ["127.0.0.1", "::1"];

fn settings() -> IcmpSettings {
    IcmpSettings {
        ip: IpPreference { preferred: IpFamily::V4, fallback: true },
        dns_servers: DnsServers::Servers(Vec::new()),
        source_address: None,
        dont_fragment: false,
        payload_size: 0,
        hop_limit: Some(64),
        packets: 1,
        packet_interval: Duration::from_millis(10),
        max_loss: None,
    }
}

fn several(packets: u32, max_loss: Option<f64>) -> IcmpSettings {
    IcmpSettings { packets, max_loss, ..settings() }
}

fn shared(kinds: &'static [Kind]) -> Arc<Shared> {
    Arc::new(Shared { icmp: Sockets::of(kinds), ..Shared::default() })
}

fn prober(settings: IcmpSettings, host: &str, shared: &Arc<Shared>) -> IcmpProber {
    IcmpProber::new(Arc::new(settings), host.to_owned(), shared).unwrap()
}

async fn ping(kinds: &'static [Kind], settings: IcmpSettings, host: &str, timeout: Duration) -> Observation {
    prober(settings, host, &shared(kinds)).run(Instant::now() + timeout).await
}

fn reason(observation: &Observation) -> Option<Reason> {
    observation.outcome.failure().map(|failure| failure.reason)
}

fn sentence(observation: &Observation) -> &str {
    observation.outcome.failure().map_or("", |failure| &failure.sentence)
}

fn detail(observation: &Observation) -> &IcmpDetail {
    let Detail::Icmp(detail) = &observation.detail else { panic!("{:?}", observation.detail) };
    detail
}

fn channel(settings: &IcmpSettings, family: IpFamily, shared: &Arc<Shared>) -> Arc<Channel> {
    let options = Options {
        family,
        source: settings.source_address,
        scope: 0,
        hop_limit: settings.hop_limit,
        dont_fragment: settings.dont_fragment,
    };
    shared.icmp.channel(&options).unwrap()
}

/// Answers echo requests to this host with `answers`, in place of the kernel, until it gives no more.
fn responder(host: &Host, mut answers: impl FnMut(&host::Seen) -> Option<Vec<Vec<u8>>> + Send + 'static) {
    host.sets("net/ipv4/icmp_echo_ignore_all", "1");
    host.does(move || {
        let tap = Tap::new();
        std::thread::spawn(move || {
            loop {
                let request = tap.request();
                let Some(messages) = answers(&request) else { break };
                for message in messages {
                    tap.say(request.from, &message);
                }
            }
        });
    });
}

/// The incumbent's text is in the way of a token; this has room for one.
const TOKEN_SIZE: usize = 36;

#[test]
fn a_host_that_answers_is_up_over_both_families_and_both_kinds_of_socket() {
    let Some(host) = Host::new() else { return };
    host.runs(|| async {
        for kinds in KINDS {
            for address in LOOPBACKS {
                for payload_size in [0, 1, 28, TOKEN_SIZE, 1400, 65_507] {
                    let run = ping(kinds, IcmpSettings { payload_size, ..settings() }, address, AMPLE).await;
                    assert!(run.outcome.is_up(), "{kinds:?} {address} {payload_size}: {run:?}");
                    let detail = detail(&run);
                    assert_eq!((detail.packets_sent, detail.packets_received), (1, 1));
                    assert_eq!(detail.reply_hop_limit, Some(64), "{kinds:?} {address}");
                    assert_eq!(detail.socket.as_deref(), Some(kinds[0].as_str()));
                    assert!(detail.setup.is_some() && detail.rtt.is_some_and(|rtt| rtt <= run.elapsed));
                    assert_eq!(detail.round_trips, None, "of one packet there are no statistics");
                    let resolution = run.resolution.as_ref().unwrap();
                    assert_eq!(resolution.chosen, Some(address.parse().unwrap()));
                }
            }
        }
    });
}

#[test]
fn whoever_may_open_no_socket_hears_what_is_missing() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let run = runtime.block_on(ping(&[], settings(), "127.0.0.1", AMPLE));
    assert_eq!(reason(&run), Some(Reason::Internal));
    assert!(sentence(&run).contains("ping_group_range") && sentence(&run).contains("CAP_NET_RAW"), "{run:?}");
    assert_eq!(detail(&run).packets_sent, 0);
}

#[test]
fn raw_sockets_are_the_fallback() {
    let Some(host) = Host::new() else { return };
    host.sets("net/ipv4/ping_group_range", "1 0");
    host.runs(|| async {
        for address in LOOPBACKS {
            let run = ping(Kind::ALL, settings(), address, AMPLE).await;
            assert!(run.outcome.is_up(), "{run:?}");
            assert_eq!(detail(&run).socket.as_deref(), Some("raw"));
        }
        assert_eq!(missing_privilege(), None);
    });
}

#[test]
fn thousands_of_pings_share_one_socket_and_each_gets_its_reply() {
    let Some(host) = Host::new() else { return };
    host.runs(|| async {
        for kinds in KINDS {
            for address in LOOPBACKS {
                let shared = shared(kinds);
                // A name, so that it is not the address that tells them apart.
                let probers: Vec<_> = (0..2000).map(|_| prober(settings(), address, &shared)).collect();
                let deadline = Instant::now() + AMPLE;
                let runs = join_all(probers.iter().map(|prober| prober.run(deadline))).await;
                let failed: Vec<_> = runs.iter().filter(|run| !run.outcome.is_up()).collect();
                assert!(failed.is_empty(), "{kinds:?} {address}: {} failed, {:?}", failed.len(), failed[0]);
                assert_eq!(shared.icmp.len(), 1);
                let family = if address.contains(':') { IpFamily::V6 } else { IpFamily::V4 };
                assert_eq!(channel(&settings(), family, &shared).waiting(), 0);
            }
        }
    });
}

#[test]
fn a_burst_from_many_threads_is_answered_too() {
    let Some(host) = Host::new() else { return };
    host.does(|| {
        // Threads have the network of the one that starts them.
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
        for kinds in KINDS {
            runtime.block_on(async {
                let shared = shared(kinds);
                let mut runs = tokio::task::JoinSet::new();
                for _ in 0..2000 {
                    let prober = prober(settings(), "127.0.0.1", &shared);
                    runs.spawn(async move { prober.run(Instant::now() + AMPLE).await });
                }
                for run in runs.join_all().await {
                    assert!(run.outcome.is_up(), "{kinds:?} {run:?}");
                }
                assert_eq!(shared.icmp.len(), 1);
            });
        }
    });
}

#[test]
fn ttl_and_dont_fragment_are_on_the_wire() {
    let Some(host) = Host::new() else { return };
    // The system's default, to be told from the incumbent's 64.
    host.sets("net/ipv4/ip_default_ttl", "99");
    host.runs(|| async {
        for kinds in KINDS {
            for (hop_limit, dont_fragment, on_the_wire) in [(Some(64), false, 64), (Some(7), true, 7), (None, true, 99)]
            {
                let tap = Tap::new();
                let settings = IcmpSettings { hop_limit, dont_fragment, ..settings() };
                assert!(ping(kinds, settings, "127.0.0.1", AMPLE).await.outcome.is_up());
                let seen = tap.request();
                assert_eq!((seen.ttl, seen.dont_fragment), (on_the_wire, dont_fragment), "{kinds:?}");
                assert_eq!(&seen.message[8..], b"Prometheus Blackbox Exporter");
            }
        }
    });
}

#[test]
fn replies_that_do_not_fit_are_ignored_and_the_one_that_does_counts() {
    let Some(host) = Host::new() else { return };
    responder(&host, |request| {
        Some(vec![
            request.reply(|reply| *reply.last_mut().unwrap() ^= 1),
            request.reply(|reply| reply.push(0)),
            request.reply(|reply| reply.truncate(20)),
            request.reply(|reply| reply[4] ^= 1),
            request.reply(|reply| reply[7] ^= 1),
            request.reply(|reply| reply[1] = 1),
            request.reply(|reply| reply[0] = 13),
            request.reply(|_| {}),
            request.reply(|_| {}),
        ])
    });
    host.runs(|| async {
        for kinds in KINDS {
            for payload_size in [0, TOKEN_SIZE] {
                let settings = IcmpSettings { payload_size, ..several(3, Some(0.0)) };
                let run = ping(kinds, settings, "127.0.0.1", AMPLE).await;
                assert!(run.outcome.is_up(), "{run:?}");
                assert_eq!(detail(&run).packets_received, 3, "a reply counts once");
            }
        }
    });
}

#[test]
fn nothing_but_replies_that_do_not_fit_is_silence() {
    let Some(host) = Host::new() else { return };
    responder(&host, |request| {
        let other_payload = |reply: &mut Vec<u8>| *reply.last_mut().unwrap() ^= 1;
        let other_sequence = |reply: &mut Vec<u8>| reply[6] ^= 1;
        Some(vec![request.reply(other_payload), request.reply(other_sequence)])
    });
    host.runs(|| async {
        for kinds in KINDS {
            let run = ping(kinds, settings(), "127.0.0.1", SHORT).await;
            assert_eq!(reason(&run), Some(Reason::IcmpTimeout), "{run:?}");
            assert_eq!(sentence(&run), "no echo reply from 127.0.0.1 within 1s");
            assert_eq!((detail(&run).packets_sent, detail(&run).packets_received), (1, 0));
            assert_eq!((detail(&run).rtt, detail(&run).reply_hop_limit), (None, None));
        }
    });
}

#[test]
fn the_token_tells_one_packet_of_a_number_from_the_next() {
    let Some(host) = Host::new() else { return };
    // Answers with the payload of the packet before.
    let mut before: Option<Vec<u8>> = None;
    responder(&host, move |request| {
        let payload = before.replace(request.message[8..].to_vec());
        Some(payload.map(|payload| request.reply(|reply| reply[8..].copy_from_slice(&payload))).into_iter().collect())
    });
    host.runs(|| async {
        let with_token = IcmpSettings { payload_size: TOKEN_SIZE, ..several(3, None) };
        let run = ping(&[Kind::Raw], with_token, "127.0.0.1", SHORT).await;
        assert_eq!(reason(&run), Some(Reason::IcmpTimeout), "{run:?}");
        assert_eq!(sentence(&run), "no echo reply from 127.0.0.1 to any of 3 packets within 1s");
    });
}

#[test]
fn several_packets_show_loss_and_round_trips() {
    let Some(host) = Host::new() else { return };
    let mut count = 0;
    // Every second one.
    responder(&host, move |request| {
        count += 1;
        Some(if count % 2 == 0 { Vec::new() } else { vec![request.reply(|_| {})] })
    });
    host.runs(|| async {
        let run = ping(&[Kind::Datagram], several(4, None), "127.0.0.1", SHORT).await;
        assert!(run.outcome.is_up(), "one reply is enough: {run:?}");
        let seen = detail(&run);
        assert_eq!((seen.packets_sent, seen.packets_received, seen.loss()), (4, 2, Some(0.5)));
        let times = seen.round_trips.unwrap();
        assert!(times.min <= times.avg && times.avg <= times.max && seen.rtt == Some(times.avg), "{times:?}");

        let run = ping(&[Kind::Datagram], several(4, Some(0.5)), "127.0.0.1", SHORT).await;
        assert!(run.outcome.is_up(), "{run:?}");
        let run = ping(&[Kind::Datagram], several(4, Some(0.25)), "127.0.0.1", SHORT).await;
        assert_eq!(reason(&run), Some(Reason::IcmpTimeout));
        let said = "2 of 4 packets to 127.0.0.1 were answered within 1s, a loss of 0.50 where max_loss is 0.25";
        assert_eq!(sentence(&run), said);
    });
}

#[test]
fn packets_without_time_are_not_sent() {
    let Some(host) = Host::new() else { return };
    host.runs(|| async {
        let slow = IcmpSettings { packet_interval: AMPLE, ..several(3, Some(0.0)) };
        let run = ping(Kind::ALL, slow, "127.0.0.1", SHORT).await;
        assert!(run.outcome.is_up(), "{run:?}");
        assert_eq!((detail(&run).packets_sent, detail(&run).packets_received), (1, 1));

        let run = ping(Kind::ALL, settings(), "127.0.0.1", Duration::ZERO).await;
        assert_eq!(reason(&run), Some(Reason::Internal), "{run:?}");
    });
}

#[test]
fn a_run_that_is_dropped_leaves_nothing_behind() {
    let Some(host) = Host::new() else { return };
    host.sets("net/ipv4/icmp_echo_ignore_all", "1");
    host.runs(|| async {
        let shared = shared(Kind::ALL);
        let prober = prober(several(3, None), "127.0.0.1", &shared);
        let channel = channel(&prober.settings, IpFamily::V4, &shared);
        {
            let run = prober.run(Instant::now() + AMPLE);
            let mut run = std::pin::pin!(run);
            while channel.waiting() < 3 {
                tokio::select! {
                    biased;
                    _ = &mut run => panic!("nobody answers"),
                    () = tokio::task::yield_now() => {}
                }
            }
        }
        assert_eq!(channel.waiting(), 0);
    });
}

#[test]
fn a_receiving_task_that_ended_is_noticed_and_replaced() {
    let Some(host) = Host::new() else { return };
    host.sets("net/ipv4/icmp_echo_ignore_all", "1");
    host.runs(|| async {
        let shared = shared(Kind::ALL);
        let prober = prober(settings(), "127.0.0.1", &shared);
        let first = channel(&prober.settings, IpFamily::V4, &shared);
        let run = prober.run(Instant::now() + AMPLE);
        let kill = async {
            while first.waiting() == 0 {
                tokio::task::yield_now().await;
            }
            first.kill();
        };
        let (run, ()) = tokio::join!(run, kill);
        assert_eq!(reason(&run), Some(Reason::Internal), "{run:?}");
        assert!(first.is_finished());
        let second = channel(&prober.settings, IpFamily::V4, &shared);
        assert!(!Arc::ptr_eq(&first, &second) && !second.is_finished());
    });
}

#[test]
fn a_task_ends_with_its_sockets() {
    let Some(host) = Host::new() else { return };
    host.runs(|| async {
        let shared = shared(Kind::ALL);
        assert!(prober(settings(), "127.0.0.1", &shared).run(Instant::now() + AMPLE).await.outcome.is_up());
        let metrics = tokio::runtime::Handle::current().metrics();
        assert_eq!(metrics.num_alive_tasks(), 1);
        drop(shared);
        while metrics.num_alive_tasks() > 0 {
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn what_makes_other_packets_has_another_socket() {
    let Some(host) = Host::new() else { return };
    host.runs(|| async {
        let shared = shared(Kind::ALL);
        let ping = async |settings: IcmpSettings, address: &str| {
            let run = prober(settings, address, &shared).run(Instant::now() + AMPLE).await;
            assert!(run.outcome.is_up(), "{run:?}");
            shared.icmp.len()
        };
        assert_eq!(ping(settings(), "127.0.0.1").await, 1);
        assert_eq!(ping(several(2, None), "127.0.0.2").await, 1);
        assert_eq!(ping(IcmpSettings { payload_size: 99, ..settings() }, "127.0.0.1").await, 1);
        assert_eq!(ping(settings(), "::1").await, 2);
        assert_eq!(ping(IcmpSettings { hop_limit: Some(3), ..settings() }, "127.0.0.1").await, 3);
        assert_eq!(ping(IcmpSettings { dont_fragment: true, ..settings() }, "127.0.0.1").await, 4);
        let source_address = Some([127, 0, 0, 9].into());
        assert_eq!(ping(IcmpSettings { source_address, ..settings() }, "127.0.0.1").await, 5);
    });
}

#[tokio::test]
async fn a_name_that_is_not_answered_in_time_is_said_so() {
    let server = crate::probe::testing::dns_server(|_, _| crate::probe::testing::DnsReply::Silence).await;
    let settings = IcmpSettings { dns_servers: DnsServers::Servers(vec![server]), ..settings() };
    let run = ping(Kind::ALL, settings, "silent.test", SHORT).await;
    assert_eq!(reason(&run), Some(Reason::DnsTimeout));
    assert!(sentence(&run).contains("silent.test") && sentence(&run).ends_with("within 1s"), "{run:?}");
    assert!(run.resolution.is_some_and(|resolution| resolution.elapsed > Duration::ZERO));
}
