#![allow(clippy::unwrap_used)]

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::proto::op::ResponseCode;
use rcgen::SerialNumber;
use rustls::ServerConfig;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::config::IpFamily;
use crate::config::tcp::{Expect, Step};
use crate::config::{DnsServers, Pattern, TlsSettings};
use crate::observation::{Reason, TcpDetail};
use crate::probe::testing::{Authority, DnsReply, Identity, closed_port, dns_server, peer, trusting};

/// For runs that should end by themselves.
const AMPLE: Duration = Duration::from_secs(30);
/// For runs that must be cut off, but have to come to the stage where they hang before that.
const SHORT: Duration = Duration::from_secs(1);

fn settings() -> TcpSettings {
    TcpSettings {
        ip: IpPreference { preferred: IpFamily::V4, fallback: true },
        dns_servers: DnsServers::Servers(Vec::new()),
        source_address: None,
        tls: false,
        tls_config: TlsSettings::default(),
        steps: Vec::new(),
        keep_excerpt: true,
    }
}

fn dialogue(steps: impl IntoIterator<Item = Step>) -> TcpSettings {
    TcpSettings { steps: steps.into_iter().collect(), ..settings() }
}

fn over_tls(tls_config: TlsSettings) -> TcpSettings {
    let tls_config = TlsSettings { server_name: Some("shop.test".to_owned()), ..tls_config };
    TcpSettings { tls: true, tls_config, ..settings() }
}

fn expect(pattern: &str) -> Step {
    Step { expect: Some(Expect::Line(Pattern::new(pattern).unwrap())), ..Step::default() }
}

fn expect_bytes(bytes: &[u8]) -> Step {
    Step { expect: Some(Expect::Bytes(bytes.to_vec())), ..Step::default() }
}

fn send(text: &str) -> Step {
    Step { send: Some(text.into()), ..Step::default() }
}

fn starttls() -> Step {
    Step { starttls: true, ..Step::default() }
}

impl Step {
    fn then_send(self, text: &str) -> Self {
        Self { send: Some(text.into()), ..self }
    }

    fn label(mut self, name: &str, value: &str) -> Self {
        self.labels.push((name.to_owned(), value.to_owned()));
        self
    }
}

async fn run(settings: TcpSettings, to: SocketAddr, timeout: Duration) -> Observation {
    run_by_name(settings, &to.ip().to_string(), to.port(), timeout).await
}

async fn run_by_name(settings: TcpSettings, host: &str, port: u16, timeout: Duration) -> Observation {
    let shared = Arc::new(Shared::default());
    let address = HostPort { host: host.to_owned(), port };
    let prober = TcpProber::new(Arc::new(settings), address, &shared).unwrap();
    let observation = prober.run(Instant::now() + timeout).await;
    // No secret that a step sends may be in what people read.
    assert!(!format!("{:?}", observation.outcome).contains("hunter2"), "{observation:?}");
    observation
}

fn reason(observation: &Observation) -> Option<Reason> {
    observation.outcome.failure().map(|failure| failure.reason)
}

fn sentence(observation: &Observation) -> &str {
    observation.outcome.failure().map_or("", |failure| &failure.sentence)
}

fn detail(observation: &Observation) -> &TcpDetail {
    let Detail::Tcp(detail) = &observation.detail else { panic!("{:?}", observation.detail) };
    detail
}

/// Says `text` and then listens until the prober hangs up.
async fn saying(text: &'static [u8]) -> SocketAddr {
    peer(move |mut socket| async move {
        socket.write_all(text).await.unwrap();
        let _ = socket.read_to_end(&mut Vec::new()).await;
    })
    .await
}

/// Says `text` and closes.
async fn hanging_up_after(text: &'static [u8]) -> SocketAddr {
    peer(move |mut socket| async move { socket.write_all(text).await.unwrap() }).await
}

async fn tls_peer(config: Arc<ServerConfig>) -> SocketAddr {
    peer(move |socket| {
        let acceptor = TlsAcceptor::from(Arc::clone(&config));
        async move {
            // The prober may refuse our certificate.
            if let Ok(mut stream) = acceptor.accept(socket).await {
                let _ = stream.write_all(b"secure hello\r\n").await;
                let _ = stream.read_to_end(&mut Vec::new()).await;
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_port_that_accepts_is_up() {
    let observation = run(settings(), saying(b"").await, AMPLE).await;
    assert!(observation.outcome.is_up());
    let resolution = observation.resolution.as_ref().unwrap();
    assert_eq!((resolution.elapsed, resolution.chosen), (Duration::ZERO, Some([127, 0, 0, 1].into())));
    let detail = detail(&observation);
    assert!(detail.connect.is_some());
    assert_eq!((detail.tls, detail.failed_regex, detail.failed_bytes), (None, Some(false), Some(false)));
    assert_eq!(observation.tls, None);
}

#[tokio::test]
async fn a_closed_port_refuses() {
    let observation = run(settings(), closed_port().await, AMPLE).await;
    assert_eq!(reason(&observation), Some(Reason::ConnectRefused));
    assert!(sentence(&observation).contains("connection refused"), "{observation:?}");
    let detail = detail(&observation);
    assert!(detail.connect.is_some());
    assert_eq!((detail.failed_regex, detail.failed_bytes), (None, None));
}

#[tokio::test]
async fn a_black_hole_is_a_connect_timeout() {
    // A listener that never accepts drops what its queue cannot hold, as a firewall would.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queued = Vec::new();
    while let Ok(stream) = tokio::time::timeout(SHORT, TcpStream::connect(address)).await {
        queued.push(stream.unwrap());
    }
    let observation = run(settings(), address, SHORT).await;
    assert_eq!(reason(&observation), Some(Reason::ConnectTimeout));
    assert!(sentence(&observation).ends_with("within 1s"), "{observation:?}");
    assert!(detail(&observation).connect.unwrap() > Duration::ZERO, "the time spent is kept");
}

#[tokio::test]
async fn no_route_is_unreachable() {
    // The kernel itself refuses TCP to a group of hosts, so nothing is sent.
    let observation = run(settings(), "224.0.0.1:9".parse().unwrap(), AMPLE).await;
    assert_eq!(reason(&observation), Some(Reason::ConnectUnreachable), "{observation:?}");
}

#[tokio::test]
async fn name_resolution_has_its_own_reasons() {
    for (reply, expected) in [
        (DnsReply::Code(ResponseCode::NXDomain), Reason::DnsNxdomain),
        (DnsReply::Code(ResponseCode::ServFail), Reason::DnsServfail),
        (DnsReply::Addresses(Vec::new()), Reason::DnsNoAddress),
        (DnsReply::Silence, Reason::DnsTimeout),
    ] {
        let server = dns_server(move |_, _| reply.clone()).await;
        let settings = TcpSettings { dns_servers: DnsServers::Servers(vec![server]), ..settings() };
        let timeout = if expected == Reason::DnsTimeout { SHORT } else { AMPLE };
        let observation = run_by_name(settings, "shop.test", 80, timeout).await;
        assert_eq!(reason(&observation), Some(expected));
        assert!(sentence(&observation).contains("shop.test"), "{observation:?}");
        assert!(sentence(&observation).contains(&server.to_string()), "{observation:?}");
        let resolution = observation.resolution.as_ref().unwrap();
        assert!(resolution.elapsed > Duration::ZERO);
        assert_eq!((resolution.chosen, detail(&observation).connect), (None, None));
    }
}

#[tokio::test]
async fn a_name_is_resolved_and_used() {
    let address = saying(b"hello\n").await;
    let found: Vec<IpAddr> = vec![address.ip()];
    let server = dns_server(move |_, _| DnsReply::Addresses(found.clone())).await;
    let settings = TcpSettings { dns_servers: DnsServers::Servers(vec![server]), ..dialogue([expect("^hello$")]) };
    let observation = run_by_name(settings, "shop.test", address.port(), AMPLE).await;
    assert!(observation.outcome.is_up(), "{observation:?}");
    assert_eq!(observation.resolution.unwrap().chosen, Some(address.ip()));
}

#[tokio::test]
async fn the_source_address_is_used_and_decides_the_family() {
    let seen = tokio::sync::mpsc::channel(1);
    let sender = seen.0;
    let address = peer(move |socket| {
        let sender = sender.clone();
        async move { sender.send(socket.peer_addr().unwrap().ip()).await.unwrap() }
    })
    .await;
    let source: IpAddr = "127.0.0.2".parse().unwrap();
    let with_source = TcpSettings {
        source_address: Some(source),
        ip: IpPreference { preferred: IpFamily::V6, fallback: true },
        ..settings()
    };
    let observation = run_by_name(with_source.clone(), "localhost", address.port(), AMPLE).await;
    assert!(observation.outcome.is_up(), "{observation:?}");
    let mut receiver = seen.1;
    assert_eq!(receiver.recv().await, Some(source));

    let foreign = TcpSettings { source_address: Some("192.0.2.1".parse().unwrap()), ..settings() };
    let observation = run(foreign, address, AMPLE).await;
    assert_eq!(reason(&observation), Some(Reason::Internal), "says nothing about the target");
    assert!(sentence(&observation).contains("source_ip_address 192.0.2.1"), "{observation:?}");
}

#[tokio::test]
async fn a_dialogue_expects_sends_and_collects_labels() {
    let address = peer(|socket| async move {
        let mut stream = BufReader::new(socket);
        stream.write_all(b"noise\r\n220 mail.test ESMTP Postfix\r\n").await.unwrap();
        let mut line = String::new();
        stream.read_line(&mut line).await.unwrap();
        assert_eq!(line, "HELO mail.test $1\n");
        stream.write_all(b"250-a\n250 queued as 42").await.unwrap();
    })
    .await;
    let steps = [
        expect(r"^220 (\S+) ESMTP (?P<mta>\w+)$").then_send("HELO $1 $$1").label("mta", "${mta}").label("fixed", "x$"),
        expect(r"queued as (\d+)$").label("id", "<$1>"),
    ];
    let observation = run(dialogue(steps), address, AMPLE).await;
    assert!(observation.outcome.is_up(), "{observation:?}");
    let detail = detail(&observation);
    let info: Vec<Vec<(&str, &str)>> =
        detail.expect_info.iter().map(|step| step.iter().map(|(name, value)| (&**name, &**value)).collect()).collect();
    assert_eq!(info, [vec![("mta", "Postfix"), ("fixed", "x$")], vec![("id", "<42>")]]);
    assert!(detail.received_excerpt.starts_with(b"noise\r\n220 "));
}

#[tokio::test]
async fn the_excerpt_is_left_out_on_request() {
    let settings = TcpSettings { keep_excerpt: false, ..dialogue([expect("secret")]) };
    let observation = run(settings, hanging_up_after(b"the password is x\n").await, AMPLE).await;
    assert_eq!(reason(&observation), Some(Reason::ExpectMismatch));
    assert!(detail(&observation).received_excerpt.is_empty());
    assert!(!sentence(&observation).contains("password"), "{observation:?}");
}

#[tokio::test]
async fn a_peer_that_closes_without_a_match_fails_the_regex() {
    let steps = || dialogue([expect("^220 ")]);
    for text in [&b"554 go away\r\n"[..], b"", b"no end of line"] {
        let observation = run(steps(), hanging_up_after(text).await, AMPLE).await;
        assert_eq!(reason(&observation), Some(Reason::ExpectMismatch), "{observation:?}");
        assert_eq!(detail(&observation).failed_regex, Some(true));
        assert_eq!(&*detail(&observation).received_excerpt, text);
    }
    let observation = run(steps(), hanging_up_after(b"554 go away\r\n").await, AMPLE).await;
    assert!(sentence(&observation).ends_with("no line matched \"^220 \"; it said \"554 go away\""), "{observation:?}");
}

#[tokio::test]
async fn a_peer_that_answers_in_tls_is_said_to() {
    let dialogue = dialogue([send("EHLO x"), expect("^250 ")]);
    // A fatal alert: unexpected message.
    let address = peer(|mut socket| async move {
        let _ = socket.read(&mut [0; 64]).await;
        socket.write_all(b"\x15\x03\x03\0\x02\x02\x0a").await.unwrap();
    })
    .await;
    let observation = run(dialogue, address, AMPLE).await;
    // Which of both it is depends on whether the peer had read everything.
    assert!(matches!(reason(&observation), Some(Reason::ExpectMismatch | Reason::ConnectReset)), "{observation:?}");
    assert!(sentence(&observation).ends_with("; it answered in TLS: set tls: true"), "{observation:?}");
}

#[tokio::test]
async fn lines_are_matched_as_characters_and_sent_back_as_bytes() {
    let step = expect(r"^(?i)GRÜ\S+ (.) (?P<rest>[^<]+)<").then_send("${rest}").label("first", "$1");
    let (sender, mut heard) = tokio::sync::mpsc::channel(1);
    let address = peer(move |socket| {
        let sender = sender.clone();
        async move {
            let mut stream = BufReader::new(socket);
            stream.write_all("grüße é caf".as_bytes()).await.unwrap();
            stream.write_all(b"\xe9 \xe6\x97<\n").await.unwrap();
            let mut line = Vec::new();
            stream.read_until(b'\n', &mut line).await.unwrap();
            sender.send(line).await.unwrap();
        }
    })
    .await;
    let observation = run(dialogue([step]), address, AMPLE).await;
    assert!(observation.outcome.is_up(), "{observation:?}");
    assert_eq!(heard.recv().await.unwrap(), b"caf\xe9 \xe6\x97\n");
    assert_eq!(&*detail(&observation).expect_info[0][0].1, "é");
}

#[tokio::test]
async fn a_silent_peer_and_one_that_says_other_things_time_out_differently() {
    let observation = run(dialogue([expect("^220 ")]), saying(b"").await, SHORT).await;
    assert_eq!(reason(&observation), Some(Reason::RequestTimeout));
    assert_eq!(detail(&observation).failed_regex, Some(false), "as the incumbent: only when the peer closed");
    let observation = run(dialogue([expect("^220 ")]), saying(b"wait\r\n").await, SHORT).await;
    assert_eq!(reason(&observation), Some(Reason::ExpectMismatch));
    assert_eq!(sentence(&observation), "step 1: no line matched \"^220 \" within 1s; it said \"wait\"");
    assert_eq!(detail(&observation).failed_regex, Some(false), "as the incumbent: only when the peer closed");
    // What came for an earlier step does not count for a later one.
    let steps = [expect("^220 ").then_send("PASS hunter2"), expect("^250 ")];
    let observation = run(dialogue(steps), saying(b"220 hello\n").await, SHORT).await;
    assert_eq!(reason(&observation), Some(Reason::RequestTimeout));
    assert!(sentence(&observation).starts_with("step 2: "), "{observation:?}");
}

#[tokio::test]
async fn a_line_without_an_end_is_a_mismatch_once_it_can_no_longer_match() {
    for (said, wanted) in [
        (&b"554 go away"[..], Reason::ExpectMismatch),
        (b"\x4a\x00\x00\x00\x0a8.0.36\x00", Reason::ExpectMismatch),
        (b"554-no\r\n22", Reason::ExpectMismatch),
        (b"22", Reason::ResponseTimeout),
        (b"220 hel", Reason::ResponseTimeout),
    ] {
        let observation = run(dialogue([expect("^220 ")]), saying(said).await, SHORT).await;
        assert_eq!(reason(&observation), Some(wanted), "{said:?}: {observation:?}");
    }
}

#[tokio::test]
async fn a_later_line_still_counts_and_what_is_shown_is_of_the_step_that_fails() {
    let observation = run(dialogue([expect("^220 ")]), saying(b"554 wait\r\n220 ready\r\n").await, AMPLE).await;
    assert!(observation.outcome.is_up(), "{observation:?}");
    let steps = [expect("^220 "), expect("^250 ")];
    let observation = run(dialogue(steps), saying(b"220 hello\r\n550 no\r\n").await, SHORT).await;
    assert_eq!(sentence(&observation), "step 2: no line matched \"^250 \" within 1s; it said \"550 no\"");
}

#[tokio::test]
async fn a_mismatch_that_a_reset_follows_is_a_mismatch() {
    // Closed with what we sent unread, which the kernel makes a reset of.
    let address = peer(|mut socket| async move {
        let _ = socket.write_all(b"220 hello\r\n554 go away\r\n").await;
        socket.readable().await.unwrap();
    })
    .await;
    let steps = [expect("^220 ").then_send("EHLO x"), expect("^250 ")];
    let observation = run(dialogue(steps), address, AMPLE).await;
    assert_eq!(reason(&observation), Some(Reason::ExpectMismatch), "{observation:?}");
    assert!(sentence(&observation).ends_with("; it said \"554 go away\""), "{observation:?}");
}

#[tokio::test]
async fn a_peer_that_takes_nothing_is_a_request_timeout() {
    let stuck = peer(|socket| async move {
        let _socket = socket;
        std::future::pending::<()>().await;
    })
    .await;
    let flood = "x".repeat(64 << 20);
    let observation = run(dialogue([send(&flood)]), stuck, SHORT).await;
    assert_eq!(reason(&observation), Some(Reason::RequestTimeout));
    assert!(sentence(&observation).contains("did not take"), "{}", sentence(&observation));
}

#[tokio::test]
async fn a_reset_in_the_dialogue_is_a_reset() {
    // Closing with unread data makes the kernel reset.
    let rude = peer(|mut socket| async move {
        let mut one = [0];
        socket.read_exact(&mut one).await.unwrap();
    })
    .await;
    let steps = [send("hunter2"), expect("^250 ")];
    let observation = run(dialogue(steps), rude, AMPLE).await;
    assert_eq!(reason(&observation), Some(Reason::ConnectReset));
    assert_eq!(detail(&observation).failed_regex, Some(false));
}

#[tokio::test]
async fn expected_bytes_may_come_in_pieces_and_behind_lines() {
    let slow = peer(|mut socket| async move {
        socket.set_nodelay(true).unwrap();
        socket.write_all(b"first\nAB").await.unwrap();
        for byte in [b"C", b"D"] {
            // Waits until the prober asks, so that the pieces are segments.
            tokio::task::yield_now().await;
            socket.write_all(byte).await.unwrap();
        }
        let _ = socket.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let steps = [expect("^first$"), expect_bytes(b"ABC").label("proto", "$1"), expect_bytes(b"D")];
    let observation = run(dialogue(steps), slow, AMPLE).await;
    assert!(observation.outcome.is_up(), "{observation:?}");
    assert_eq!(&*detail(&observation).expect_info[0][0].1, "$1", "only a regex has groups");
}

#[tokio::test]
async fn other_bytes_are_a_mismatch_at_once() {
    let observation = run(dialogue([expect_bytes(b"RFB 003")]), saying(b"SSH").await, AMPLE).await;
    assert_eq!(reason(&observation), Some(Reason::ExpectMismatch));
    assert_eq!((detail(&observation).failed_bytes, detail(&observation).failed_regex), (Some(true), Some(false)));
    let observation = run(dialogue([expect_bytes(b"RFB 003")]), hanging_up_after(b"RFB").await, AMPLE).await;
    assert_eq!(reason(&observation), Some(Reason::ExpectMismatch));
    assert!(sentence(&observation).contains("closed the connection"), "{observation:?}");
    let observation = run(dialogue([expect_bytes(b"RFB 003")]), saying(b"RFB").await, SHORT).await;
    assert_eq!(reason(&observation), Some(Reason::ResponseTimeout));
    assert_eq!(detail(&observation).failed_bytes, Some(false));
}

#[tokio::test]
async fn long_lines_are_read_and_endless_ones_are_not() {
    async fn flood(mut socket: TcpStream, length: usize) {
        let line = vec![b'x'; length];
        // The prober may hang up in the middle.
        let _ = socket.write_all(&line).await;
        let _ = socket.write_all(b" end\nnext\n").await;
        let _ = socket.read_to_end(&mut Vec::new()).await;
    }
    let address = peer(|socket| flood(socket, 200_000)).await;
    let observation = run(dialogue([expect("x end$"), expect("^next$")]), address, AMPLE).await;
    assert!(observation.outcome.is_up(), "{observation:?}");
    let address = peer(|socket| flood(socket, 2 << 20)).await;
    let observation = run(dialogue([expect("x end$")]), address, AMPLE).await;
    assert_eq!(reason(&observation), Some(Reason::ExpectMismatch));
    assert!(sentence(&observation).contains("longer than 1048576 bytes"), "{observation:?}");
}

#[tokio::test]
async fn tls_from_the_start_shows_the_session() {
    let root = Authority::root("Test Root");
    let address = tls_peer(root.issue(&["shop.test"]).server()).await;
    let settings = TcpSettings { steps: vec![expect("^secure hello$")], ..over_tls(root.trusted()) };
    let observation = run(settings, address, AMPLE).await;
    assert!(observation.outcome.is_up(), "{observation:?}");
    let session = observation.tls.as_ref().unwrap();
    assert_eq!(session.version.as_deref(), Some("TLS 1.3"));
    assert!(session.cipher.is_some() && session.last_chain_expiry.is_some());
    assert!(detail(&observation).tls.is_some());
}

#[tokio::test]
async fn the_targets_host_is_the_name_when_none_is_configured() {
    let root = Authority::root("Test Root");
    let address = tls_peer(root.issue(&["127.0.0.1"]).server()).await;
    let settings = TcpSettings { tls: true, tls_config: root.trusted(), ..settings() };
    assert!(run(settings.clone(), address, AMPLE).await.outcome.is_up());
    let observation = run_by_name(settings, "localhost", address.port(), AMPLE).await;
    assert_eq!(reason(&observation), Some(Reason::TlsNameMismatch));
}

#[tokio::test]
async fn certificates_fail_for_their_own_reasons_and_are_shown() {
    let root = Authority::root("Test Root");
    let expired = root.issue_with(&["shop.test"], |params| params.not_after = rcgen::date_time_ymd(2021, 1, 1));
    let future = root.issue_with(&["shop.test"], |params| params.not_before = rcgen::date_time_ymd(2049, 1, 1));
    let revoked = root.issue_with(&["shop.test"], |params| params.serial_number = Some(SerialNumber::from(7_u64)));
    let crls = Some(vec![root.revoke(&[7])].into());
    for (identity, expected) in [
        (expired, Reason::TlsExpired),
        (future, Reason::TlsNotYetValid),
        (root.issue(&["other.test"]), Reason::TlsNameMismatch),
        (Identity::self_signed(&["shop.test"]), Reason::TlsUntrusted),
        (revoked, Reason::TlsRevoked),
    ] {
        let tls_config = TlsSettings { crls: Option::clone(&crls), ..root.trusted() };
        let observation = run(over_tls(tls_config), tls_peer(identity.server()).await, AMPLE).await;
        assert_eq!(reason(&observation), Some(expected));
        let session = observation.tls.as_ref().unwrap();
        assert_eq!(session.chain.certificates.len(), 1);
        assert_eq!(session.verify_error.as_deref(), Some(sentence(&observation)));
        assert!(detail(&observation).tls.is_some());
    }
}

#[tokio::test]
async fn a_self_signed_certificate_as_ca_file_is_up() {
    let identity = Identity::self_signed(&["shop.test"]);
    let settings = over_tls(trusting([identity.chain[0].clone()]));
    assert!(run(settings, tls_peer(identity.server()).await, AMPLE).await.outcome.is_up());
}

#[tokio::test]
async fn peers_that_spoil_the_handshake_are_told_apart() {
    let observation = run(over_tls(TlsSettings::default()), saying(b"220 mail.test ESMTP\r\n").await, AMPLE).await;
    assert_eq!(reason(&observation), Some(Reason::TlsHandshake), "plain text");
    assert!(sentence(&observation).contains("does not speak TLS"), "{observation:?}");

    let closing = peer(|mut socket| async move {
        let _ = socket.read(&mut [0; 4096]).await;
    });
    let observation = run(over_tls(TlsSettings::default()), closing.await, AMPLE).await;
    assert_eq!(reason(&observation), Some(Reason::TlsHandshake), "an end in the middle: {observation:?}");

    let resetting = peer(|mut socket| async move {
        let _ = socket.read(&mut [0; 1]).await;
    });
    let observation = run(over_tls(TlsSettings::default()), resetting.await, AMPLE).await;
    assert_eq!(reason(&observation), Some(Reason::ConnectReset), "a reset is one everywhere: {observation:?}");

    let observation = run(over_tls(TlsSettings::default()), saying(b"").await, SHORT).await;
    assert_eq!(reason(&observation), Some(Reason::TlsTimeout));
    assert!(detail(&observation).tls.unwrap() > Duration::ZERO);

    let old = Authority::root("Test Root");
    let server = old.issue(&["shop.test"]).server_speaking(&[&rustls::version::TLS12]);
    let settings = over_tls(TlsSettings { min_version: Some(crate::config::tls::TlsVersion::Tls13), ..old.trusted() });
    let observation = run(settings, tls_peer(server).await, AMPLE).await;
    assert_eq!(reason(&observation), Some(Reason::TlsHandshake));
    assert!(sentence(&observation).contains("none of our TLS versions"), "{observation:?}");
}

/// As a mail server: greets, answers STARTTLS with `go`, and speaks TLS from there.
async fn starttls_peer(config: Arc<ServerConfig>, go: &'static [u8]) -> SocketAddr {
    peer(move |socket| {
        let acceptor = TlsAcceptor::from(Arc::clone(&config));
        async move {
            let mut stream = BufReader::new(socket);
            stream.write_all(b"220 mail.test\r\n").await.unwrap();
            let mut line = String::new();
            stream.read_line(&mut line).await.unwrap();
            assert_eq!(line, "STARTTLS\n");
            stream.write_all(go).await.unwrap();
            speak_within(acceptor, stream.into_inner()).await;
        }
    })
    .await
}

async fn speak_within<S: tokio::io::AsyncRead + AsyncWrite + Unpin>(acceptor: TlsAcceptor, stream: S) {
    if let Ok(mut stream) = acceptor.accept(stream).await {
        let _ = stream.write_all(b"250 within\r\n").await;
        let _ = stream.read_to_end(&mut Vec::new()).await;
    }
}

fn mail_steps() -> Vec<Step> {
    vec![expect("^220 ").then_send("STARTTLS"), expect("^220 go"), starttls(), expect("^250 within$")]
}

#[tokio::test]
async fn starttls_goes_on_within_tls() {
    let root = Authority::root("Test Root");
    let address = starttls_peer(root.issue(&["shop.test"]).server(), b"220 go ahead\r\n").await;
    let tls_config = over_tls(root.trusted()).tls_config;
    let settings = TcpSettings { tls_config, ..dialogue(mail_steps()) };
    let observation = run(settings, address, AMPLE).await;
    assert!(observation.outcome.is_up(), "{observation:?}");
    assert_eq!(observation.tls.as_ref().unwrap().version.as_deref(), Some("TLS 1.3"));
    assert_eq!(&*detail(&observation).received_excerpt, b"220 mail.test\r\n220 go ahead\r\n250 within\r\n");
}

#[tokio::test]
async fn clear_text_ahead_of_starttls_is_refused() {
    let root = Authority::root("Test Root");
    let address = starttls_peer(root.issue(&["shop.test"]).server(), b"220 go ahead\r\n250 within\r\n").await;
    let tls_config = over_tls(root.trusted()).tls_config;
    let settings = TcpSettings { tls_config, ..dialogue(mail_steps()) };
    let observation = run(settings, address, AMPLE).await;
    assert_eq!(reason(&observation), Some(Reason::ProtocolError));
    assert_eq!(observation.tls, None);
}

#[tokio::test]
async fn a_silent_peer_after_starttls_is_a_tls_timeout() {
    let root = Authority::root("Test Root");
    let settings =
        TcpSettings { tls_config: over_tls(root.trusted()).tls_config, ..dialogue([expect("^220 go"), starttls()]) };
    let observation = run(settings, saying(b"220 go\n").await, SHORT).await;
    assert_eq!(reason(&observation), Some(Reason::TlsTimeout));
    assert_eq!(&*detail(&observation).received_excerpt, b"220 go\n");
}

#[tokio::test]
async fn starttls_inside_tls_is_tls_twice() {
    let root = Authority::root("Test Root");
    let config = root.issue(&["shop.test"]).server();
    let address = peer(move |socket| {
        let acceptor = TlsAcceptor::from(Arc::clone(&config));
        async move {
            let mut outer = acceptor.accept(socket).await.unwrap();
            outer.write_all(b"220 go\r\n").await.unwrap();
            outer.flush().await.unwrap();
            speak_within(acceptor, outer).await;
        }
    })
    .await;
    let steps = vec![expect("^220 go"), starttls(), expect("^250 within$")];
    let settings = TcpSettings { steps, ..over_tls(root.trusted()) };
    let observation = run(settings, address, AMPLE).await;
    assert!(observation.outcome.is_up(), "{observation:?}");
}

#[tokio::test]
async fn a_tls_end_without_goodbye_is_the_end_of_the_dialogue() {
    let root = Authority::root("Test Root");
    let config = root.issue(&["shop.test"]).server();
    let address = peer(move |socket| {
        let acceptor = TlsAcceptor::from(Arc::clone(&config));
        async move {
            let mut stream = acceptor.accept(socket).await.unwrap();
            stream.write_all(b"bye\n").await.unwrap();
            stream.flush().await.unwrap();
            // Closes TCP below TLS.
            stream.get_mut().0.shutdown().await.unwrap();
            let _ = stream.read_to_end(&mut Vec::new()).await;
        }
    })
    .await;
    let settings = TcpSettings { steps: vec![expect("^hello")], ..over_tls(root.trusted()) };
    let observation = run(settings, address, AMPLE).await;
    assert_eq!(reason(&observation), Some(Reason::ExpectMismatch));
    assert_eq!(detail(&observation).failed_regex, Some(true));
}

#[tokio::test]
async fn a_name_that_tls_cannot_carry_is_refused_when_the_prober_is_built() {
    let shared = Arc::new(Shared::default());
    let address = HostPort { host: "not a name".to_owned(), port: 443 };
    let with_tls = TcpSettings { tls: true, ..settings() };
    assert!(matches!(TcpProber::new(Arc::new(with_tls), address.clone(), &shared), Err(ProberError::Tls(_))));
    assert!(TcpProber::new(Arc::new(settings()), address, &shared).is_ok(), "without TLS there is no name to carry");
}
