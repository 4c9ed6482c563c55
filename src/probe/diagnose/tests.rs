//! Failures with a cause, and what re-checks make of them. Real sockets on several loopback addresses.

#![allow(clippy::unwrap_used)]

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use hickory_resolver::proto::op::ResponseCode;
use rustls::ServerConfig;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::config::tcp::{Expect, Step};
use crate::config::{HostPort, Pattern, TcpSettings, TlsSettings};
use crate::observation::{HttpDetail, Resolution};
use crate::probe::testing::{Authority, DnsReply, closed_port, dns_server, peer};
use crate::state::tests::down;

/// Enough for whatever a run does here, on a machine that does other things too.
const AMPLE: Duration = Duration::from_secs(30);

fn settings(dns: SocketAddr) -> TcpSettings {
    TcpSettings {
        ip: IpPreference { preferred: IpFamily::V4, fallback: true },
        dns_servers: DnsServers::Servers(vec![dns]),
        source_address: None,
        tls: false,
        tls_config: TlsSettings::default(),
        steps: Vec::new(),
        keep_excerpt: false,
    }
}

fn spec(settings: TcpSettings, port: u16) -> ProbeSpec {
    let address = HostPort { host: "shop.test".to_owned(), port };
    ProbeSpec::Tcp { settings: Arc::new(settings), address }
}

fn web(url: &str) -> ProbeSpec {
    let url = url::Url::parse(url).unwrap();
    ProbeSpec::Http { settings: Arc::new(crate::probe::http::testing::settings()), url: url.into(), names_port: false }
}

/// Reads a request, answers it, and then closes or stays.
async fn http_peer(answer: impl Into<Vec<u8>>, closes: bool) -> SocketAddr {
    let answer = answer.into();
    peer(move |mut socket| {
        let answer = answer.clone();
        async move {
            let _ = socket.read(&mut [0; 4096]).await;
            let _ = tokio::io::AsyncWriteExt::write_all(&mut socket, &answer).await;
            if !closes {
                std::future::pending::<()>().await;
            }
        }
    })
    .await
}

/// A name server that knows these addresses.
async fn zone(addresses: &[IpAddr]) -> SocketAddr {
    let addresses = addresses.to_vec();
    dns_server(move |_, _| DnsReply::Addresses(addresses.clone())).await
}

/// One failing run and its diagnosis.
async fn failing(spec: &ProbeSpec, timeout: Duration, last_good: Option<&Observation>) -> Option<Diagnosis> {
    let shared = Arc::new(Shared::default());
    let run = Prober::new(spec, &shared).unwrap().run(Instant::now() + timeout).await;
    assert!(!run.outcome.is_up(), "{run:?}");
    diagnose(spec, &shared, &run, last_good, Instant::now() + AMPLE).await
}

async fn listen(address: IpAddr) -> (TcpListener, u16) {
    let listener = TcpListener::bind((address, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

const FIRST: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
const SECOND: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 3));

#[tokio::test]
async fn one_of_two_addresses_is_told_from_all() {
    let (_listener, port) = listen(SECOND).await;
    let spec = spec(settings(zone(&[FIRST, SECOND]).await), port);
    let diagnosis = failing(&spec, AMPLE, None).await.unwrap();
    assert_eq!(diagnosis.finding, Finding::SomeAddressesFail, "{diagnosis:?}");
    assert_eq!(&*diagnosis.sentence, "1 of 2 addresses fail: 127.0.0.2 (connect_refused) but not 127.0.0.3");
    assert!(diagnosis.attempts.iter().any(|attempt| attempt.succeeded && &*attempt.what == "address 127.0.0.3"));
}

#[tokio::test]
async fn a_family_that_fails_alone_is_named() {
    let Ok(listener) = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).await else {
        eprintln!("SKIPPED: there is no IPv6 here");
        return;
    };
    let port = listener.local_addr().unwrap().port();
    let spec = spec(settings(zone(&[FIRST, SECOND, Ipv6Addr::LOCALHOST.into()]).await), port);
    let diagnosis = failing(&spec, AMPLE, None).await.unwrap();
    assert_eq!(diagnosis.finding, Finding::OneFamilyOnly, "{diagnosis:?}");
    assert!(diagnosis.sentence.starts_with("IPv4 fails and IPv6 does not"), "{}", diagnosis.sentence);
}

#[tokio::test]
async fn the_other_family_is_looked_up_when_the_probe_did_not() {
    let Ok(listener) = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).await else {
        eprintln!("SKIPPED: there is no IPv6 here");
        return;
    };
    let port = listener.local_addr().unwrap().port();
    let mut settings = settings(zone(&[FIRST, Ipv6Addr::LOCALHOST.into()]).await);
    settings.ip.fallback = false;
    let diagnosis = failing(&spec(settings, port), AMPLE, None).await.unwrap();
    assert_eq!(diagnosis.finding, Finding::OneFamilyOnly, "{diagnosis:?}");
}

#[tokio::test]
async fn a_closed_port_is_no_black_hole() {
    let port = closed_port().await.port();
    let diagnosis = failing(&spec(settings(zone(&[FIRST, SECOND]).await), port), AMPLE, None).await.unwrap();
    assert_eq!(diagnosis.finding, Finding::PortClosed, "{diagnosis:?}");
    assert_eq!(diagnosis.attempts.len(), 2, "the other address, and the port");
}

#[tokio::test]
async fn an_open_port_without_an_answer_is_told() {
    // Accepts, and says nothing.
    let address = peer(|mut socket| async move {
        let _ = socket.read(&mut [0; 16]).await;
        std::future::pending::<()>().await;
    })
    .await;
    let step = Step { expect: Some(Expect::Line(Pattern::new("hello").unwrap())), ..Step::default() };
    let settings = TcpSettings { steps: vec![step], ..settings(zone(&[address.ip()]).await) };
    let diagnosis = failing(&spec(settings, address.port()), Duration::from_secs(1), None).await.unwrap();
    assert_eq!(diagnosis.finding, Finding::PortOpenNoAnswer, "{diagnosis:?}");
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_no_silence() {
    for (said, closes, after) in [
        (
            &b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nhalf"[..],
            false,
            "HTTP 200 and 4 bytes of the body: the answer",
        ),
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nhalf",
            true,
            "HTTP 200 and 4 bytes of the body: the peer closed",
        ),
    ] {
        let address = http_peer(said, closes).await;
        let spec = web(&format!("http://{address}/"));
        let diagnosis = failing(&spec, Duration::from_secs(1), None).await.unwrap();
        assert_eq!(diagnosis.finding, Finding::BreaksOff, "{diagnosis:?}");
        let wanted = format!("127.0.0.1 answers, but breaks off after {after}");
        assert!(diagnosis.sentence.starts_with(&wanted), "{}", diagnosis.sentence);
    }
    // A banner, and then the half of a line.
    let address = peer(|mut socket| async move {
        let _ = tokio::io::AsyncWriteExt::write_all(&mut socket, b"hello\nhel").await;
        std::future::pending::<()>().await;
    })
    .await;
    let step = Step { expect: Some(Expect::Line(Pattern::new("hello").unwrap())), ..Step::default() };
    let steps = vec![step.clone(), step];
    let settings = TcpSettings { steps, keep_excerpt: true, ..settings(zone(&[address.ip()]).await) };
    let diagnosis = failing(&spec(settings, address.port()), Duration::from_secs(1), None).await.unwrap();
    assert_eq!(diagnosis.finding, Finding::BreaksOff, "{diagnosis:?}");
    assert!(diagnosis.sentence.contains("breaks off after 9 bytes: step 2: "), "{}", diagnosis.sentence);
}

#[tokio::test]
async fn behind_a_redirect_it_is_the_host_that_failed_which_is_named() {
    const ANSWER: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";
    let closed = closed_port().await;
    let silent = http_peer("", false).await;
    let busy = http_peer(ANSWER, true).await;
    let half = http_peer("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx", true).await;
    for (to, finding, words) in [
        (closed, Finding::PortClosed, "was tried at 127.0.0.1: cannot connect to"),
        (silent, Finding::PortOpenNoAnswer, "takes connections at 127.0.0.1, and yet: "),
        (busy, Finding::AnswersWrongly, "answers, but: the status is 503"),
        (half, Finding::BreaksOff, "answers, but breaks off after HTTP 200 and 1 byte of the body: the peer closed"),
    ] {
        let location = format!("HTTP/1.1 302 Found\r\nlocation: http://{to}/x\r\ncontent-length: 0\r\n\r\n");
        let first = http_peer(location, true).await;
        let diagnosis = failing(&web(&format!("http://{first}/")), Duration::from_secs(1), None).await.unwrap();
        assert_eq!(diagnosis.finding, finding, "{diagnosis:?}");
        let wanted = format!("{to}, where a redirect leads, {words}");
        assert!(diagnosis.sentence.starts_with(&wanted), "{}", diagnosis.sentence);
    }
}

#[test]
fn the_way_from_http_to_https_leads_to_the_same_host_as_long_as_it_answers() {
    for (to, reason, elsewhere) in [
        ("https://shop.example/", Reason::HttpStatus, false),
        ("https://SHOP.example/x", Reason::TlsHandshake, false),
        ("https://shop.example/", Reason::ConnectRefused, true),
        ("https://shop.example:8443/", Reason::HttpStatus, true),
        ("http://shop.example/login", Reason::ConnectRefused, false),
        ("https://www.shop.example/", Reason::HttpStatus, true),
    ] {
        let chain = ["http://shop.example/", to].map(Box::from);
        let detail = Detail::Http(Box::new(HttpDetail { redirect_chain: chain.into(), ..HttpDetail::default() }));
        let run = Observation { detail, ..down(reason) };
        let found = Elsewhere::of(&run, &Failure::new(reason, ""), "shop.example", Some(80));
        assert_eq!(found.is_some(), elsewhere, "{to} {reason:?}");
    }
}

#[tokio::test]
async fn a_name_that_a_redirect_leads_to_is_the_one_that_does_not_resolve() {
    let first = http_peer("HTTP/1.1 302 Found\r\nlocation: http://gone.test/\r\ncontent-length: 0\r\n\r\n", true).await;
    let unknown = || DnsReply::Code(ResponseCode::ServFail);
    let broken = dns_server(move |_, _| unknown()).await;
    let good = zone(&[FIRST]).await;
    let mut spec = web(&format!("http://{first}/"));
    let ProbeSpec::Http { settings, .. } = &mut spec else { unreachable!() };
    Arc::make_mut(settings).dns_servers = DnsServers::Servers(vec![broken]);
    let shared = Arc::new(Shared::default());
    let run = Prober::new(&spec, &shared).unwrap().run(Instant::now() + AMPLE).await;
    assert_eq!(run.outcome.failure().unwrap().reason, Reason::DnsServfail, "{run:?}");
    assert_eq!(diagnose(&spec, &shared, &run, None, Instant::now() + AMPLE).await, None, "nothing to vary");
    let ProbeSpec::Http { settings, .. } = &mut spec else { unreachable!() };
    Arc::make_mut(settings).dns_servers = DnsServers::Servers(vec![broken, good]);
    let diagnosis = diagnose(&spec, &shared, &run, None, Instant::now() + AMPLE).await.unwrap();
    assert_eq!(diagnosis.finding, Finding::NameResolutionOnly, "{diagnosis:?}");
    let wanted = format!("gone.test:80, where a redirect leads, is known to name server {good}, but: ");
    assert!(diagnosis.sentence.starts_with(&wanted), "{}", diagnosis.sentence);
}

#[tokio::test]
async fn a_peer_that_answers_wrongly_is_told() {
    let address = peer(|mut socket| async move {
        let _ = tokio::io::AsyncWriteExt::write_all(&mut socket, b"go away\n").await;
    })
    .await;
    let step = Step { expect: Some(Expect::Line(Pattern::new("hello").unwrap())), ..Step::default() };
    let settings = TcpSettings { steps: vec![step], ..settings(zone(&[address.ip()]).await) };
    let diagnosis = failing(&spec(settings, address.port()), AMPLE, None).await.unwrap();
    assert_eq!(diagnosis.finding, Finding::AnswersWrongly, "{diagnosis:?}");
}

#[tokio::test]
async fn a_certificate_that_alone_is_at_fault_is_told() {
    let identity = Authority::root("nobody knows it").issue(&["shop.test"]);
    let config: Arc<ServerConfig> = identity.server();
    let address = peer(move |socket| {
        let acceptor = TlsAcceptor::from(Arc::clone(&config));
        async move {
            if let Ok(mut stream) = acceptor.accept(socket).await {
                let _ = stream.read(&mut [0; 16]).await;
            }
        }
    })
    .await;
    let settings = TcpSettings { tls: true, ..settings(zone(&[address.ip()]).await) };
    let diagnosis = failing(&spec(settings, address.port()), AMPLE, None).await.unwrap();
    assert_eq!(diagnosis.finding, Finding::CertificateOnly, "{diagnosis:?}");
    assert_eq!(&*diagnosis.attempts[0].what, "without certificate verification");
}

#[tokio::test]
async fn a_name_that_is_gone_while_the_service_still_answers_is_told() {
    let (_listener, port) = listen(FIRST).await;
    let dns = dns_server(|_, _| DnsReply::Code(ResponseCode::NXDomain)).await;
    let spec = spec(settings(dns), port);
    let resolution =
        Resolution { elapsed: Duration::ZERO, addresses: Box::new([FIRST]), chosen: Some(FIRST), lookup: None };
    let good = Observation { resolution: Some(resolution), ..crate::state::tests::up() };
    let diagnosis = failing(&spec, AMPLE, Some(&good)).await.unwrap();
    assert_eq!(diagnosis.finding, Finding::NameResolutionOnly, "{diagnosis:?}");
    assert_eq!(&*diagnosis.sentence, "shop.test does not resolve, but the service still answers at 127.0.0.2");
    assert_eq!(failing(&spec, AMPLE, None).await, None, "nothing to vary");
}

#[tokio::test]
async fn a_name_server_that_fails_alone_is_told() {
    let (_listener, port) = listen(FIRST).await;
    let broken = dns_server(|_, _| DnsReply::Code(ResponseCode::ServFail)).await;
    let good = zone(&[FIRST]).await;
    let mut settings = settings(broken);
    settings.dns_servers = DnsServers::Servers(vec![broken, good]);
    let spec = spec(settings, port);
    let shared = Arc::new(Shared::default());
    // The resolver itself goes on to the second server, so the failing run is one as it would be without it.
    let failure = Failure::new(Reason::DnsServfail, "as the script says");
    let run = Observation { outcome: crate::observation::Outcome::Down(failure), ..crate::state::tests::up() };
    let diagnosis = diagnose(&spec, &shared, &run, None, Instant::now() + AMPLE).await.unwrap();
    assert_eq!(diagnosis.finding, Finding::NameResolutionOnly, "{diagnosis:?}");
    assert_eq!(diagnosis.attempts.iter().map(|attempt| attempt.succeeded).collect::<Vec<_>>(), [false, true]);
}
