//! Peers that break the rules of QUIC and HTTP/3, or never come to an end: each makes one reason, by itself or by the
//! deadline.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use quinn::crypto::rustls::QuicServerConfig;
use rustls::ServerConfig;
use tokio::net::UdpSocket;

use super::super::testing::*;
use super::hostile::peak;
use super::http3::http3;
use crate::config::{HttpSettings, TlsSettings};
use crate::observation::{Observation, Reason};

/// What a server sends, by the bytes.
#[derive(Clone)]
struct Script {
    name: &'static str,
    /// On its control stream, behind the type of the stream.
    control: Vec<u8>,
    control_again: Vec<u8>,
    control_ends: bool,
    /// On a stream of this type of its own, again and again.
    other: Option<(u64, Vec<u8>)>,
    /// On the stream of the request.
    answer: Vec<u8>,
    again: Vec<u8>,
    answer_ends: bool,
    ends: Ends,
    reason: Reason,
}

#[derive(Clone, Copy)]
enum Ends {
    /// A limit or a rule is met, whatever the deadline.
    ByItself,
    AtTheDeadline,
}

use Ends::{AtTheDeadline, ByItself};

fn varint(value: u64) -> Vec<u8> {
    match value {
        0..=0x3f => vec![u8::try_from(value).unwrap()],
        0x40..=0x3fff => (u16::try_from(value).unwrap() | 0x4000).to_be_bytes().to_vec(),
        0x4000..=0x3fff_ffff => (u32::try_from(value).unwrap() | 0x8000_0000).to_be_bytes().to_vec(),
        _ => (value | 0xc000_0000_0000_0000).to_be_bytes().to_vec(),
    }
}

fn frame(kind: u64, payload: &[u8]) -> Vec<u8> {
    [varint(kind), varint(payload.len() as u64), payload.to_vec()].concat()
}

const DATA: u64 = 0;
const HEADERS: u64 = 1;
const SETTINGS: u64 = 4;
const PUSH_PROMISE: u64 = 5;
const GOAWAY: u64 = 7;
/// Of the kind that is reserved for being ignored (RFC 9114, 7.2.8).
const GREASE: u64 = 0x21;

/// `:status: 200` in QPACK's static table.
fn ok() -> Vec<u8> {
    frame(HEADERS, &[0, 0, 0xd9])
}

fn hints() -> Vec<u8> {
    frame(HEADERS, &[0, 0, 0xd8])
}

/// A server in order that answers with this.
fn answers(name: &'static str, answer: Vec<u8>, again: Vec<u8>, ends: Ends, reason: Reason) -> Script {
    let control = frame(SETTINGS, &[]);
    Script {
        name,
        control,
        control_again: Vec::new(),
        control_ends: false,
        other: None,
        answer,
        again,
        answer_ends: false,
        ends,
        reason,
    }
}

/// A server that says this instead of answering.
fn controls(name: &'static str, control: Vec<u8>, again: Vec<u8>, ends: Ends, reason: Reason) -> Script {
    Script { control, control_again: again, ..answers(name, Vec::new(), Vec::new(), ends, reason) }
}

fn scripts() -> Vec<Script> {
    let settings = frame(SETTINGS, &[]);
    let endless = |kind: u64| [varint(kind), varint(1 << 40)].concat();
    let with = |frame: Vec<u8>| [settings.clone(), frame].concat();
    // Literals with a name of one letter, 3 MiB of them.
    let mut large = vec![0, 0, 0xd9];
    large.extend([0x21, b'x', 0x03, b'a', b'b', b'c'].repeat(512 * 1024));
    let protocol = Reason::ProtocolError;
    vec![
        answers("a large head", frame(HEADERS, &large), vec![], ByItself, protocol),
        answers("a head without an end", endless(HEADERS), vec![b'x'; 64], ByItself, protocol),
        answers("hints", vec![], hints(), ByItself, protocol),
        answers("unknown frames", vec![], frame(GREASE, &[0; 64]), ByItself, protocol),
        answers("empty unknown frames", vec![], frame(GREASE, &[]), ByItself, protocol),
        answers("an unknown frame without an end", endless(GREASE), vec![b'x'; 64], ByItself, protocol),
        answers("DATA before a head", frame(DATA, b"x"), vec![], ByItself, protocol),
        answers("SETTINGS in an answer", frame(SETTINGS, &[]), vec![], ByItself, protocol),
        answers("a push", frame(PUSH_PROMISE, &[0, 0, 0, 0xd1]), vec![], ByItself, protocol),
        answers("QPACK's dynamic table", frame(HEADERS, &[2, 0, 0x80]), vec![], ByItself, protocol),
        answers(
            "QPACK's static table beyond its end",
            frame(HEADERS, &[0, 0, 0xff, 0xff, 0x7f]),
            vec![],
            ByItself,
            protocol,
        ),
        answers("QPACK that is cut", frame(HEADERS, &[0, 0, 0x27]), vec![], ByItself, protocol),
        answers("a head without a status", frame(HEADERS, &[0, 0]), vec![], ByItself, protocol),
        answers("a body", ok(), frame(DATA, &[b'x'; 512]), AtTheDeadline, Reason::ResponseTimeout),
        answers(
            "a body in one frame",
            [ok(), endless(DATA)].concat(),
            vec![b'x'; 64],
            AtTheDeadline,
            Reason::ResponseTimeout,
        ),
        answers("empty DATA", ok(), frame(DATA, &[]), ByItself, protocol),
        answers("unknown frames amid the body", ok(), frame(GREASE, &[0; 64]), ByItself, protocol),
        answers("trailers without an end", [ok(), endless(HEADERS)].concat(), vec![b'x'; 64], ByItself, protocol),
        answers("nothing", vec![], vec![], AtTheDeadline, Reason::RequestTimeout),
        controls("no SETTINGS", frame(GOAWAY, &[0]), vec![], ByItself, protocol),
        controls("SETTINGS twice", with(settings.clone()), vec![], ByItself, protocol),
        controls("SETTINGS of HTTP/2", frame(SETTINGS, &[2, 0]), vec![], ByItself, protocol),
        controls("SETTINGS that are cut", frame(SETTINGS, &[0x40]), vec![], ByItself, protocol),
        controls("SETTINGS without an end", endless(SETTINGS), vec![0x21; 64], ByItself, protocol),
        controls("GOAWAY", with(frame(GOAWAY, &[0])), vec![], ByItself, protocol),
        controls("GOAWAY that spares us", with(frame(GOAWAY, &[4])), vec![], AtTheDeadline, Reason::RequestTimeout),
        controls("GOAWAY that goes up", with(frame(GOAWAY, &[0])), frame(GOAWAY, &[4]), ByItself, protocol),
        controls("DATA on the control stream", with(frame(DATA, b"x")), vec![], ByItself, protocol),
        controls("unknown frames of control", settings.clone(), frame(GREASE, &[0; 64]), ByItself, protocol),
        Script {
            control_ends: true,
            ..controls("a control stream that ends", settings.clone(), vec![], ByItself, protocol)
        },
        Script {
            other: Some((0, vec![])),
            ..controls("two control streams", settings.clone(), vec![], ByItself, protocol)
        },
        Script { other: Some((1, vec![0])), ..controls("a push stream", settings.clone(), vec![], ByItself, protocol) },
        // Nobody reads these, so the window bounds them.
        Script {
            other: Some((2, vec![0x3f; 64])),
            ..controls("QPACK's encoder", settings.clone(), vec![], AtTheDeadline, Reason::RequestTimeout)
        },
        Script {
            other: Some((3, vec![0x3f; 64])),
            ..controls("QPACK's decoder", settings.clone(), vec![], AtTheDeadline, Reason::RequestTimeout)
        },
        Script {
            other: Some((GREASE, vec![0; 64])),
            ..controls("an unknown stream", settings.clone(), vec![], AtTheDeadline, Reason::RequestTimeout)
        },
    ]
}

fn quic(tls: &ServerConfig) -> quinn::ServerConfig {
    let mut tls = tls.clone();
    tls.alpn_protocols = vec![b"h3".to_vec()];
    quinn::ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls).unwrap()))
}

impl Script {
    fn start(&self, tls: &ServerConfig) -> SocketAddr {
        let endpoint = quinn::Endpoint::server(quic(tls), (Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let address = endpoint.local_addr().unwrap();
        let script = self.clone();
        tokio::spawn(async move {
            while let Some(incoming) = endpoint.accept().await {
                let script = script.clone();
                tokio::spawn(async move {
                    if let Ok(connection) = incoming.await {
                        let control = script.control(&connection);
                        let other = script.other(&connection);
                        let answer = script.answer(&connection);
                        let _ = tokio::join!(control, other, answer);
                        connection.closed().await;
                    }
                });
            }
        });
        address
    }

    async fn control(&self, connection: &quinn::Connection) -> Option<()> {
        let mut stream = connection.open_uni().await.ok()?;
        stream.write_all(&[0]).await.ok()?;
        send(&mut stream, &self.control, &self.control_again).await?;
        if self.control_ends {
            stream.finish().ok()?;
        }
        connection.closed().await;
        Some(())
    }

    async fn other(&self, connection: &quinn::Connection) -> Option<()> {
        let (kind, again) = self.other.as_ref()?;
        let mut stream = connection.open_uni().await.ok()?;
        send(&mut stream, &varint(*kind), again).await?;
        connection.closed().await;
        Some(())
    }

    async fn answer(&self, connection: &quinn::Connection) -> Option<()> {
        let (mut stream, mut request) = connection.accept_bi().await.ok()?;
        request.read_to_end(1 << 20).await.ok()?;
        send(&mut stream, &self.answer, &self.again).await?;
        if self.answer_ends {
            stream.finish().ok()?;
        }
        connection.closed().await;
        Some(())
    }
}

async fn send(stream: &mut quinn::SendStream, once: &[u8], again: &[u8]) -> Option<()> {
    stream.write_all(once).await.ok()?;
    if again.is_empty() {
        return Some(());
    }
    let many = again.repeat((16 * 1024 / again.len()).max(1));
    loop {
        stream.write_all(&many).await.ok()?;
    }
}

async fn met_by(ends: Ends, settings: HttpSettings, address: SocketAddr) -> Observation {
    let url = format!("https://{address}/");
    match ends {
        ByItself => probe(settings, &url).await,
        AtTheDeadline => probe_soon_after_the_handshake(settings, &url).await,
    }
}

#[tokio::test]
async fn what_breaks_the_rules_of_http3_or_has_no_end_has_one_reason() {
    let authority = Authority::new();
    let tls = authority.server(&["127.0.0.1"]);
    let mut wrong = Vec::new();
    for script in scripts() {
        let observation = met_by(script.ends, http3(&authority), script.start(&tls)).await;
        if reason(&observation) != Some(script.reason) {
            wrong.push(format!("{}: {:?} {:?}", script.name, observation.outcome, observation.elapsed));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// An empty DATA frame is no end (RFC 9114, 4.1); what comes after it is a part of the body.
#[tokio::test]
async fn empty_frames_are_no_end() {
    let authority = Authority::new();
    let tls = authority.server(&["127.0.0.1"]);
    let empty = || frame(DATA, &[]);
    let trailers = || frame(HEADERS, &[0, 0, 0x21, b'x', 0x01, b'y']);
    for (answer, length) in [
        ([ok(), empty(), frame(DATA, b"fine")].concat(), 4),
        (
            [ok(), frame(DATA, b"fi"), empty(), empty(), frame(GREASE, &[]), empty(), frame(DATA, b"ne"), empty()]
                .concat(),
            4,
        ),
        ([ok(), frame(DATA, b"fine"), empty(), trailers()].concat(), 4),
        ([ok(), empty()].concat(), 0),
        (ok(), 0),
    ] {
        let script = Script { answer_ends: true, ..answers("empty", answer, vec![], ByItself, Reason::Internal) };
        let observation = met_by(script.ends, http3(&authority), script.start(&tls)).await;
        assert!(observation.outcome.is_up(), "{:?}", observation.outcome);
        assert_eq!(detail(&observation).body_length, Some(length));
    }
}

/// What the client sends comes back, which opens no connection and ends none.
#[tokio::test]
async fn a_mirror_is_no_server() {
    let authority = Authority::new();
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut packet = [0; 2000];
        while let Ok((length, from)) = socket.recv_from(&mut packet).await {
            for _ in 0..100 {
                if socket.send_to(&packet[..length], from).await.is_err() {
                    return;
                }
            }
        }
    });
    let observation = met_by(AtTheDeadline, http3(&authority), address).await;
    assert!(matches!(reason(&observation), Some(Reason::ConnectTimeout | Reason::TlsTimeout)), "{observation:?}");
}

#[tokio::test]
async fn many_certificates_are_read_up_to_the_limit() {
    let authority = Authority::new();
    for (more, wanted) in [(100, Reason::RequestTimeout), (400, Reason::TlsHandshake)] {
        let script = controls("certificates", frame(SETTINGS, &[]), vec![], AtTheDeadline, wanted);
        let address = script.start(&authority.server_with_more(&["127.0.0.1"], more));
        let observation = met_by(script.ends, http3(&authority), address).await;
        assert_eq!(reason(&observation), Some(wanted), "{more}: {:?}", observation.outcome);
    }
}

#[tokio::test]
async fn a_client_certificate_is_shown_when_it_is_wanted() {
    let authority = Authority::new();
    let script =
        answers("an answer", [ok(), frame(DATA, b"fine")].concat(), vec![], AtTheDeadline, Reason::ResponseTimeout);
    let tls = authority.server_for_clients(&["127.0.0.1"]);
    let with = TlsSettings { client: Some(authority.client()), ..authority.trusted() };
    let observation = met_by(script.ends, HttpSettings { tls: with, ..http3(&authority) }, script.start(&tls)).await;
    assert_eq!(detail(&observation).status, Some(200), "{:?}", observation.outcome);
    let observation = met_by(ByItself, http3(&authority), script.start(&tls)).await;
    assert_eq!(reason(&observation), Some(Reason::TlsHandshake), "{:?}", observation.outcome);
    let sentence = &observation.outcome.failure().unwrap().sentence;
    assert!(sentence.contains("certificate"), "{sentence}");
}

/// Connection IDs of which none is told to be another server's.
struct Numbered(u64);

impl quinn::ConnectionIdGenerator for Numbered {
    fn generate_cid(&mut self) -> quinn::ConnectionId {
        self.0 += 1;
        quinn::ConnectionId::new(&self.0.to_be_bytes())
    }

    fn cid_len(&self) -> usize {
        8
    }

    fn cid_lifetime(&self) -> Option<std::time::Duration> {
        None
    }
}

/// A server that has forgotten its connections, as after a crash, says so with the token that it gave.
#[tokio::test]
async fn a_server_that_forgot_the_connection_resets_it() {
    let authority = Authority::new();
    let tls = authority.server(&["127.0.0.1"]);
    let socket = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = socket.local_addr().unwrap();
    let tls = quic(&tls);
    let endpoint = {
        let socket = Arc::new(socket);
        move || {
            let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &[7; 64]);
            let mut config = quinn::EndpointConfig::new(Arc::new(key));
            config.cid_generator(|| Box::new(Numbered(0)));
            let socket = socket.try_clone().unwrap();
            quinn::Endpoint::new(config, Some(tls.clone()), socket, Arc::new(quinn::TokioRuntime)).unwrap()
        }
    };
    let (forgotten, forget) = tokio::sync::oneshot::channel();
    let first = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let begin = endpoint.clone();
    first.spawn(async move {
        let endpoint = begin();
        let connection = endpoint.accept().await.unwrap().await.unwrap();
        let stream = connection.accept_bi().await.unwrap();
        // Dropped, they would say goodbye.
        std::mem::forget((endpoint, connection, stream));
        let _ = forgotten.send(());
    });
    let second = async {
        forget.await.unwrap();
        tokio::task::spawn_blocking(move || drop(first)).await.unwrap();
        let second = endpoint();
        while let Some(incoming) = second.accept().await {
            incoming.refuse();
        }
    };
    let url = format!("https://{address}/");
    // A body, so that there is something left to send.
    let settings = HttpSettings { method: http::Method::POST, body: vec![b'x'; 4 << 20].into(), ..http3(&authority) };
    let observation = tokio::select! {
        observation = probe(settings, &url) => observation,
        () = second => panic!("the server ended"),
    };
    assert_eq!(reason(&observation), Some(Reason::ConnectReset), "{observation:?}");
    assert!(observation.outcome.failure().unwrap().sentence.contains("stateless reset"), "{observation:?}");
}

/// As `hostile::memory_of_a_run_against_each`.
#[tokio::test]
#[ignore = "a measurement, not a test"]
async fn memory_of_a_run_against_each() {
    let authority = Authority::new();
    let tls = authority.server(&["127.0.0.1"]);
    for script in scripts() {
        let address = script.start(&tls);
        let before = peak::start();
        let observation = met_by(script.ends, http3(&authority), address).await;
        println!("HTTP/3 {}: {} KiB more, {:?}", script.name, peak::since(before), observation.elapsed);
    }
}
