//! Snapshots for tests: one of each kind of target, and many of one kind.

#![allow(clippy::unwrap_used)]

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::config::notice::{Audience, Notice};
use crate::config::{
    Cadence, Confirm, DnsServers, HostPort, HttpSettings, IcmpSettings, IpPreference, LabelSet, ProbeSpec, Target,
    TargetName, TcpSettings, TlsSettings, http::ProxySettings,
};
use crate::observation::{
    AddressRun, Attempt, CauseKind, Certificate, Chain, Detail, Diagnosis, DnsDetail, DnsReply, Ending, Failure,
    Finding, GoodPath, GrpcDetail, Hop, HttpDetail, HttpPhases, IcmpDetail, Observation, Outcome, Parting, Path,
    Protocol, Reason, Resolution, RoundTrips, ServingStatus, SharedCause, TcpDetail, TlsSession, Trace,
    WebsocketDetail,
};
use crate::state::{
    Capsules, Changed, Changes, Exemplars, Explained, LatencyHistogram, ParentState, Recent, Snapshot, TargetSnapshot,
    Timeline, Totals, Verdict, What,
};

/// 2026-01-02T03:04:05Z.
pub(crate) fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_323_045)
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

pub(crate) fn labels(pairs: &[(&str, &str)]) -> LabelSet {
    LabelSet::new(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))).unwrap()
}

fn http_settings() -> HttpSettings {
    HttpSettings {
        valid_status_codes: Vec::new(),
        valid_http_versions: Vec::new(),
        method: http::Method::GET,
        headers: http::HeaderMap::new(),
        host: None,
        body: bytes::Bytes::new(),
        body_size_limit: None,
        compression: None,
        decode_charset: true,
        follow_redirects: true,
        fail_if_ssl: false,
        fail_if_not_ssl: false,
        body_rules: Vec::new(),
        header_rules: Vec::new(),
        fail_if_json_matches: None,
        fail_if_json_not_matches: None,
        ip: IpPreference::default(),
        dns_servers: DnsServers::System,
        enable_http2: true,
        enable_http3: false,
        auth: None,
        proxy: ProxySettings::Direct,
        tls: TlsSettings::default(),
        trace_context: None,
        keep_excerpt: true,
    }
}

fn target(name: &str, address: &str, pairs: &[(&str, &str)], buckets: &[f64], probe: ProbeSpec) -> Arc<Target> {
    Arc::new(Target {
        name: TargetName::new(name).unwrap(),
        address: address.to_owned(),
        module: match probe {
            ProbeSpec::Http { .. } => "http_2xx",
            ProbeSpec::Icmp { .. } => "ping",
            ProbeSpec::Tcp { .. }
            | ProbeSpec::Dns { .. }
            | ProbeSpec::Grpc { .. }
            | ProbeSpec::Unix { .. }
            | ProbeSpec::Websocket { .. } => "smtp_starttls",
        }
        .to_owned(),
        labels: labels(pairs),
        cadence: Cadence::new(ms(15_000), ms(5000)).unwrap(),
        confirm: Confirm { failures: NonZeroU32::new(2).unwrap(), retry_interval: ms(2000) },
        latency_buckets: buckets.into(),
        probe,
        fault: None,
        display_name: None,
        slow_threshold: None,
        slo: None,
        maintenance: crate::config::Maintenance::default(),
        fan_out: None,
        diagnose: true,
        path: crate::config::PathSettings { enabled: true, every: None },
        fingerprint: [0; 32],
    })
}

pub(crate) fn http_target(name: &str, pairs: &[(&str, &str)], buckets: &[f64]) -> Arc<Target> {
    let address = "https://shop.example.com/health";
    let probe = ProbeSpec::Http {
        settings: Arc::new(http_settings()),
        url: address.parse::<url::Url>().unwrap().into(),
        names_port: false,
    };
    target(name, address, pairs, buckets, probe)
}

fn tcp_target(name: &str, pairs: &[(&str, &str)]) -> Arc<Target> {
    let settings = TcpSettings {
        ip: IpPreference::default(),
        dns_servers: DnsServers::System,
        source_address: None,
        tls: false,
        tls_config: TlsSettings::default(),
        steps: Vec::new(),
        keep_excerpt: true,
    };
    let address = HostPort { host: "mail.example.com".to_owned(), port: 25 };
    let probe = ProbeSpec::Tcp { settings: Arc::new(settings), address };
    target(name, "mail.example.com:25", pairs, &[], probe)
}

fn icmp_target(name: &str, pairs: &[(&str, &str)]) -> Arc<Target> {
    let settings = IcmpSettings {
        ip: IpPreference::default(),
        dns_servers: DnsServers::System,
        source_address: None,
        dont_fragment: false,
        payload_size: 0,
        hop_limit: Some(64),
        packets: 4,
        packet_interval: ms(200),
        max_loss: None,
    };
    let host = "gateway.example.com";
    let probe = ProbeSpec::Icmp { settings: Arc::new(settings), host: host.to_owned() };
    target(name, host, pairs, &[], probe)
}

fn chain() -> Arc<Chain> {
    let certificate = |subject: &str, issuer: &str, serial: &str, not_after| Certificate {
        subject: subject.into(),
        issuer: issuer.into(),
        dns_names: "shop.example.com,www.shop.example.com".into(),
        serial: serial.into(),
        fingerprint_sha256: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".into(),
        not_before: 1_760_000_000,
        not_after,
    };
    Arc::new(Chain {
        certificates: Box::new([
            certificate("CN=shop.example.com", "CN=Example CA,O=Example", "0a1b", 1_770_000_000),
            certificate("CN=Example CA,O=Example", "CN=Example Root", "02", 1_900_000_000),
        ]),
        earliest_expiry: Some(1_770_000_000),
    })
}

fn resolution(milliseconds: u64, address: &str) -> Resolution {
    let address: IpAddr = address.parse().unwrap();
    Resolution { elapsed: ms(milliseconds), addresses: Box::new([address]), chosen: Some(address), lookup: None }
}

/// A good HTTPS run with everything in it.
pub(crate) fn good_https() -> Observation {
    Observation {
        started: now() - ms(3250),
        elapsed: ms(123),
        timeout: ms(5000),
        outcome: Outcome::Up,
        resolution: Some(resolution(4, "192.0.2.1")),
        tls: Some(TlsSession {
            version: Some("TLS 1.3".into()),
            cipher: Some("TLS_AES_128_GCM_SHA256".into()),
            chain: chain(),
            last_chain_expiry: Some(1_770_000_000),
            verify_error: None,
            skipped_error: None,
        }),
        addresses: Box::default(),
        detail: Detail::Http(Box::new(HttpDetail {
            phases: HttpPhases {
                resolve: Some(ms(4)),
                connect: Some(ms(11)),
                tls: Some(ms(25)),
                processing: Some(ms(80)),
                transfer: Some(Duration::from_micros(2750)),
            },
            status: Some(200),
            version: Some(1.1),
            content_length: Some(5120),
            body_length: Some(5120),
            redirects: 1,
            ssl: Some(true),
            failed_regex: Some(false),
            failed_cel: Some(false),
            last_modified: Some(1_767_000_000),
            headers: Box::new([("content-type".into(), "text/html".into())]),
            body_excerpt: Box::from(*b"<h1>ok</h1>"),
            redirect_chain: Box::new(["https://shop.example.com/health/".into()]),
            proxy: None,
            trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736".parse().unwrap()),
        })),
    }
}

/// The certificate has expired: a chain, but no response.
pub(crate) fn expired() -> Observation {
    let good = good_https();
    let session = good.tls.unwrap();
    Observation {
        outcome: Outcome::Down(Failure::new(
            Reason::TlsExpired,
            "the certificate CN=shop.example.com expired on 2026-01-01",
        )),
        tls: Some(TlsSession {
            last_chain_expiry: None,
            verify_error: Some("certificate expired".into()),
            skipped_error: None,
            cipher: None,
            version: None,
            ..session
        }),
        addresses: Box::default(),
        detail: Detail::Http(Box::new(HttpDetail {
            phases: HttpPhases {
                resolve: Some(ms(4)),
                connect: Some(ms(11)),
                tls: Some(ms(25)),
                ..HttpPhases::default()
            },
            // A server that redirected was asked before.
            trace_id: Some("0af7651916cd43dd8448eb211c80319c".parse().unwrap()),
            ..HttpDetail::default()
        })),
        elapsed: ms(40),
        ..good
    }
}

fn no_such_name() -> Observation {
    Observation {
        started: now() - ms(1000),
        elapsed: ms(30),
        timeout: ms(5000),
        outcome: Outcome::Down(Failure::new(Reason::DnsNxdomain, "the name gone.example.com does not exist")),
        resolution: Some(Resolution { elapsed: ms(30), addresses: Box::default(), chosen: None, lookup: None }),
        tls: None,
        addresses: Box::default(),
        detail: Detail::Http(Box::new(HttpDetail {
            phases: HttpPhases { resolve: Some(ms(30)), ..HttpPhases::default() },
            ..HttpDetail::default()
        })),
    }
}

fn good_smtp() -> Observation {
    Observation {
        started: now() - ms(9000),
        elapsed: ms(52),
        timeout: ms(5000),
        outcome: Outcome::Up,
        resolution: Some(resolution(0, "::1")),
        tls: Some(TlsSession {
            version: Some("TLS 1.2".into()),
            cipher: Some("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256".into()),
            chain: chain(),
            last_chain_expiry: Some(1_770_000_000),
            verify_error: None,
            skipped_error: None,
        }),
        addresses: Box::default(),
        detail: Detail::Tcp(Box::new(TcpDetail {
            connect: Some(ms(10)),
            tls: Some(ms(20)),
            failed_regex: Some(false),
            failed_bytes: Some(false),
            expect_info: Box::new([
                Box::new([("banner".into(), "ESMTP \"Postfix\"".into()), ("team".into(), "from the peer".into())]),
                Box::new([("banner".into(), "ESMTP \"Postfix\"".into()), ("team".into(), "from the peer".into())]),
                Box::new([("step".into(), "ehlo".into())]),
            ]),
            received_excerpt: Box::from(*b"220 mail ESMTP\xff\r\n"),
        })),
    }
}

/// Three of four packets came back.
fn good_ping() -> Observation {
    Observation {
        addresses: Box::default(),
        started: now() - ms(4000),
        elapsed: ms(622),
        timeout: ms(5000),
        outcome: Outcome::Up,
        resolution: Some(resolution(2, "192.0.2.9")),
        tls: None,
        detail: Detail::Icmp(Box::new(IcmpDetail {
            setup: Some(Duration::from_micros(500)),
            packets_sent: 4,
            packets_received: 3,
            rtt: Some(ms(15)),
            round_trips: Some(RoundTrips { min: ms(10), avg: ms(15), max: ms(20), mdev: ms(4) }),
            reply_hop_limit: Some(57),
            socket: Some("datagram".into()),
        })),
    }
}

fn totals(succeeded: u64, failed: u64) -> Totals {
    Totals {
        runs_succeeded: succeeded,
        runs_failed: failed,
        outages: u32::try_from(failed.div_ceil(10)).unwrap(),
        blips: u32::try_from(failed / 10).unwrap(),
        up: ms(succeeded * 15_000),
        down: ms(failed * 15_000),
        unknown: ms(250),
        maintenance: Duration::ZERO,
    }
}

fn fresh(target: Arc<Target>) -> TargetSnapshot {
    TargetSnapshot {
        target,
        verdict: Verdict::Unknown,
        since: None,
        last: None,
        failures_in_a_row: 0,
        totals: Totals::default(),
        failures: Vec::new(),
        latency: None,
        exemplars: None,
        capsules: Capsules::default(),
        diagnosis: None,
        shared_cause: None,
        path: None,
        path_is_current: false,
        good_paths: Vec::new(),
        changes: Changes::default(),
        timeline: Timeline::default(),
        recent: Recent::default(),
        notice: None,
        maintenance: None,
        window: None,
        explained: None,
    }
}

fn up(target: Arc<Target>, run: Observation) -> TargetSnapshot {
    let run = Arc::new(run);
    TargetSnapshot {
        verdict: Verdict::Up,
        since: Some(now() - ms(86_400_000)),
        totals: totals(5760, 0),
        capsules: Capsules { last_good: Some(Arc::clone(&run)), ..Capsules::default() },
        last: Some(run),
        ..fresh(target)
    }
}

/// Of a network, most of which is down.
pub(crate) fn shared_cause() -> SharedCause {
    SharedCause {
        kind: CauseKind::Network,
        value: "192.0.2.0/24".into(),
        since: now() - ms(61_000),
        failing: 12,
        good: 1,
        elsewhere: 48,
        tied: Box::new([(CauseKind::Label, "rack=7".into())]),
        targets: Box::new(["expired".into(), "gone".into()]),
    }
}

/// At two addresses, of which one fails.
fn at_two_addresses() -> Observation {
    let refused = Failure::new(Reason::ConnectRefused, "cannot connect to 192.0.2.2:443: connection refused");
    let at = |last: u8, outcome| AddressRun { address: Some([192, 0, 2, last].into()), elapsed: ms(120), outcome };
    Observation { addresses: Box::new([at(1, Outcome::Up), at(2, Outcome::Down(refused))]), ..good_https() }
}

fn down(target: Arc<Target>, run: Observation) -> TargetSnapshot {
    let reason = run.outcome.failure().unwrap().reason;
    let mut exemplars = Exemplars::default();
    if let Some(trace) = run.trace_id() {
        exemplars.note_failure(reason, trace, &run);
    }
    let run = Arc::new(run);
    TargetSnapshot {
        verdict: Verdict::Down,
        since: Some(now() - ms(61_000)),
        failures_in_a_row: 4,
        totals: totals(1000, 14),
        exemplars: Some(Arc::new(exemplars)),
        failures: vec![(Reason::ConnectTimeout, 10), (reason, 4)],
        notice: Some(Arc::new(Notice {
            cause: "A network device of our provider is faulty.".to_owned(),
            action: "We are moving \"everything\" to another site.".to_owned(),
            next_update: Some(jiff::Timestamp::from_second(1_767_229_200).unwrap()),
            audience: Audience::default(),
        })),
        capsules: Capsules {
            last_good: Some(Arc::new(good_https())),
            first_failure: Some(Arc::clone(&run)),
            latest_failure: Some(Arc::clone(&run)),
            recovery: None,
        },
        diagnosis: Some(Arc::new(Diagnosis {
            time: now() - ms(60_000),
            finding: Finding::SomeAddressesFail,
            sentence: "1 of 2 addresses fail: 192.0.2.1 (connect_timeout) but not 192.0.2.2".into(),
            attempts: Box::new([Attempt {
                what: "address 192.0.2.2".into(),
                succeeded: true,
                result: "fine in 120 ms".into(),
            }]),
        })),
        shared_cause: Some(Arc::new(shared_cause())),
        path: Some(Arc::new(Path::Traced(way()))),
        path_is_current: true,
        good_paths: vec![Arc::new(good_way())],
        changes: Changes::new(vec![Changed {
            what: What::Certificate,
            time: now() - ms(120_000),
            before: "0a".into(),
            after: "0b".into(),
        }]),
        last: Some(run),
        ..fresh(target)
    }
}

/// A way that ends after its second hop, and went on before.
fn way() -> Trace {
    let hop = |last: u8, after| Hop {
        address: Some([198, 51, 100, last].into()),
        round_trip: Some(Duration::from_micros(after)),
        other: false,
    };
    let parting = Parting { hop: 4, good: [198, 51, 100, 4].into(), now: None, time: now() - ms(3_600_000) };
    Trace {
        time: now() - ms(59_000),
        elapsed: ms(4200),
        to: [192, 0, 2, 1].into(),
        port: Some(443),
        protocol: Protocol::Tcp,
        ending: Ending::Ends,
        sentence: "the way ends after 198.51.100.3, the 3rd hop".into(),
        hops: Box::new([hop(1, 400), Hop::default(), hop(3, 2500)]),
        parting: Some(parting),
    }
}

fn good_way() -> GoodPath {
    let at = |last: u8| Box::from([[198, 51, 100, last].into()]);
    GoodPath {
        time: now() - ms(3_600_000),
        to: [192, 0, 2, 1].into(),
        port: Some(443),
        protocol: Protocol::Tcp,
        hops: Box::new([at(1), Box::default(), at(3), at(4), Box::from([[192, 0, 2, 1].into()])]),
    }
}

/// One of each: up over TLS with a histogram, down by its certificate, down without a name, TCP with collected
/// labels, pinged, never run, and names and labels that need escapes.
pub(crate) fn varied() -> Snapshot {
    let region = ("region", "eu-west");
    let mut shop = up(http_target("shop", &[region, ("team", "web")], &[0.1, 0.5, 1.0]), good_https());
    shop.latency = Some(LatencyHistogram { counts: Box::new([5000, 700, 50, 10]), sum: 612.345 });
    let (good, mut exemplars) = (good_https(), Exemplars::default());
    for bucket in [1, 3] {
        exemplars.note_latency(bucket, good.trace_id().unwrap(), &good);
    }
    shop.exemplars = Some(Arc::new(exemplars));
    let mut targets = vec![
        shop,
        down(http_target("expired", &[region], &[]), expired()),
        down(http_target("gone", &[region], &[]), no_such_name()),
        promised(up(tcp_target("mail", &[region, ("team", "post")]), good_smtp())),
        fresh(http_target("new", &[region], &[])),
        up(
            http_target("odd \"na\\me\" <&>/\u{e9}", &[("note", "two\nlines, \\ and \"quotes\"")], &[]),
            at_two_addresses(),
        ),
    ];
    let by = http_target("expired", &[region], &[]);
    targets[2].explained = Some(Explained { by, parent: ParentState::Down, since: targets[1].since });
    targets.sort_by(|a, b| a.target.name.cmp(&b.target.name));
    Snapshot { taken: now(), targets }
}

/// With what an operator may say of a target, beyond how to probe it.
fn promised(mut snapshot: TargetSnapshot) -> TargetSnapshot {
    let mut target = Arc::into_inner(snapshot.target).unwrap();
    target.display_name = Some("E-mail".into());
    target.slow_threshold = Some(ms(2500));
    target.slo = Some(0.999);
    snapshot.target = Arc::new(target);
    snapshot.maintenance = Some(true);
    snapshot.window = Some((now() - ms(3_600_000), now() + ms(1_800_000)));
    snapshot.totals.maintenance = ms(3_600_000);
    snapshot
}

/// [`varied`], and a target of each other prober.
pub(crate) fn complete() -> Snapshot {
    let mut snapshot = varied();
    let region = ("region", "eu-west");
    let run = |detail| Observation { tls: None, resolution: None, detail, ..good_https() };
    let grpc = GrpcDetail {
        connect: Some(ms(1)),
        tls: Some(ms(2)),
        check: Some(ms(3)),
        ssl: Some(true),
        http_status: Some(200),
        status: Some(0),
        message: "".into(),
        serving: Some(ServingStatus::Serving),
        trace_id: None,
    };
    let websocket = WebsocketDetail {
        connect: Some(ms(1)),
        tls: Some(ms(2)),
        processing: Some(ms(3)),
        transfer: Some(ms(4)),
        status: Some(101),
        upgraded: Some(true),
        failed_regex: Some(false),
        received_excerpt: Box::default(),
        trace_id: None,
    };
    let dns = DnsDetail {
        connect: Some(ms(1)),
        request: Some(ms(2)),
        reply: Some(DnsReply { answers: 1, serial: Some(2_026_112_401), ..DnsReply::default() }),
        truncated: Some(false),
    };
    snapshot.targets.extend([
        up(icmp_target("ping", &[region]), good_ping()),
        up(http_target("over-dns", &[region], &[]), run(Detail::Dns(Box::new(dns)))),
        up(http_target("over-grpc", &[region], &[]), run(Detail::Grpc(Box::new(grpc)))),
        up(http_target("over-websocket", &[region], &[]), run(Detail::Websocket(Box::new(websocket)))),
    ]);
    snapshot.targets.sort_by(|a, b| a.target.name.cmp(&b.target.name));
    snapshot
}

/// `count` targets that are up over TLS, each with an observation of its own and no two numbers alike, as in a
/// running exporter.
pub(crate) fn many(count: usize) -> Snapshot {
    let mut seed = 1_u64;
    // Knuth's MMIX generator: the same snapshot on each call.
    let mut random = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    let targets = (0..count)
        .map(|index| {
            let name = format!("target-{index:05}");
            let mut run = good_https();
            run.started = now() - ms(random(15_000));
            let Detail::Http(detail) = &mut run.detail else { unreachable!() };
            let phases = &mut detail.phases;
            for phase in [
                &mut phases.resolve,
                &mut phases.connect,
                &mut phases.tls,
                &mut phases.processing,
                &mut phases.transfer,
            ] {
                *phase = Some(Duration::from_nanos(random(50_000_000)));
                run.elapsed += phase.unwrap();
            }
            detail.body_length = Some(random(100_000));
            let resolution = run.resolution.as_mut().unwrap();
            resolution.elapsed = phases.resolve.unwrap();
            resolution.chosen = Some(IpAddr::from((0xc000_0200_u32 + random(1 << 24) as u32).to_be_bytes()));
            let expiry = 1_770_000_000 + random(10_000_000) as i64;
            let session = run.tls.as_mut().unwrap();
            let mut chain = Chain::clone(&session.chain);
            chain.earliest_expiry = Some(expiry);
            chain.certificates[0].subject = format!("CN={name}.example.com").into();
            chain.certificates[0].dns_names = format!("{name}.example.com").into();
            chain.certificates[0].fingerprint_sha256 =
                (0..8).map(|_| format!("{:08x}", random(1 << 31))).collect::<String>().into();
            session.chain = Arc::new(chain);
            session.last_chain_expiry = Some(expiry);
            let mut target = up(http_target(&name, &[("region", "eu-west"), ("team", "web")], &[]), run);
            target.totals = totals(1000 + random(100_000), random(10));
            target
        })
        .collect();
    Snapshot { taken: now(), targets }
}
