//! Peers that never come to an end, over HTTP/1 and HTTP/2: each makes one reason, by itself or by the deadline.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;

use super::super::testing::*;
use crate::config::HttpSettings;
use crate::observation::{Observation, Reason};

/// What a peer sends, whatever it is asked: this once, and that for as long as the client stays.
#[derive(Clone)]
struct Flood {
    name: &'static str,
    once: Vec<u8>,
    again: Vec<u8>,
    ends: Ends,
    reason: Reason,
}

#[derive(Clone, Copy, PartialEq)]
enum Ends {
    /// A limit of ours is met, whatever the deadline.
    ByItself,
    AtTheDeadline,
}

use Ends::{AtTheDeadline, ByItself};

fn flood(name: &'static str, once: impl Into<Vec<u8>>, again: impl Into<Vec<u8>>, ends: Ends, reason: Reason) -> Flood {
    Flood { name, once: once.into(), again: again.into(), ends, reason }
}

impl Flood {
    async fn start(&self, tls: Option<Arc<ServerConfig>>) -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let flood = self.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (flood, tls) = (flood.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => flood.send(stream).await,
                        Some(config) => {
                            if let Ok(stream) = tokio_rustls::TlsAcceptor::from(config).accept(stream).await {
                                flood.send(stream).await;
                            }
                        }
                    }
                });
            }
        });
        address
    }

    async fn send(&self, stream: impl AsyncRead + AsyncWrite) {
        let (mut read, mut write) = tokio::io::split(stream);
        let mut request = [0; 4096];
        // The answer is one to a request, as the HTTP library wants it.
        if read.read(&mut request).await.is_ok_and(|read| read == 0) {
            return;
        }
        let listen = async { while read.read(&mut request).await.is_ok_and(|read| read > 0) {} };
        tokio::select! {
            () = listen => {}
            _ = self.talk(&mut write) => {}
        }
    }

    async fn talk(&self, write: &mut (impl AsyncWrite + Unpin)) -> std::io::Result<()> {
        write.write_all(&self.once).await?;
        if self.again.is_empty() {
            write.flush().await?;
            return std::future::pending().await;
        }
        // Many at a time, so that small ones are a flood too.
        let many = self.again.repeat((16 * 1024 / self.again.len()).max(1));
        loop {
            write.write_all(&many).await?;
        }
    }

    async fn met_by(&self, settings: HttpSettings, url: &str) -> Observation {
        match self.ends {
            ByItself => probe(settings, url).await,
            AtTheDeadline => probe_soon_after_the_handshake(settings, url).await,
        }
    }
}

const OK: &str = "HTTP/1.1 200 OK\r\n";

fn over_http1() -> Vec<Flood> {
    let chunked = format!("{OK}Transfer-Encoding: chunked\r\n\r\n");
    vec![
        flood("100", "", "HTTP/1.1 100 Continue\r\n\r\n", AtTheDeadline, Reason::RequestTimeout),
        flood("103", "", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", AtTheDeadline, Reason::RequestTimeout),
        flood("a reason phrase", "HTTP/1.1 200 ", "OK ", ByItself, Reason::ProtocolError),
        flood("header lines", OK, "X: y\r\n", ByItself, Reason::ProtocolError),
        flood("one header", format!("{OK}X: "), "yyyy", ByItself, Reason::ProtocolError),
        flood("one header's name", OK, "x", ByItself, Reason::ProtocolError),
        flood("empty lines", "", "\r\n", ByItself, Reason::ProtocolError),
        flood("a body", format!("{OK}\r\n"), "abcd", AtTheDeadline, Reason::ResponseTimeout),
        flood("chunks", &*chunked, "1\r\nx\r\n", AtTheDeadline, Reason::ResponseTimeout),
        flood("a chunk's size", &*chunked, "0", AtTheDeadline, Reason::ResponseTimeout),
        flood("a chunk's extension", format!("{chunked}1;"), "a=b;", ByItself, Reason::ProtocolError),
        flood("extensions of chunks", &*chunked, "1;a=b\r\nx\r\n", ByItself, Reason::ProtocolError),
        flood("trailers", format!("{chunked}0\r\n"), "X: y\r\n", ByItself, Reason::ProtocolError),
        flood("one trailer", format!("{chunked}0\r\nX: "), "yyyy", ByItself, Reason::ProtocolError),
    ]
}

#[tokio::test]
async fn http1_without_an_end_has_one_reason() {
    let mut wrong = Vec::new();
    for flood in over_http1() {
        let url = format!("http://{}/", flood.start(None).await);
        let observation = flood.met_by(settings(), &url).await;
        if reason(&observation) != Some(flood.reason) {
            wrong.push(format!("{}: {:?} {:?}", flood.name, observation.outcome, observation.elapsed));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    frame.extend_from_slice(&[kind, flags]);
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// Our SETTINGS and the acknowledgement of theirs, then these.
fn begun(frames: &[&[u8]]) -> Vec<u8> {
    let mut all = frame(SETTINGS, 0, 0, &[]);
    all.extend_from_slice(&frame(SETTINGS, 1, 0, &[]));
    frames.iter().for_each(|frame| all.extend_from_slice(frame));
    all
}

/// A header of a name of one letter, not indexed (RFC 7541, 6.2.2).
fn literal(name: u8, value: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x00, 1, name];
    // A length of seven bits and more (5.1).
    match value.len().checked_sub(127) {
        None => bytes.push(u8::try_from(value.len()).unwrap()),
        Some(mut rest) => {
            bytes.push(127);
            while rest >= 128 {
                bytes.push(u8::try_from(rest % 128).unwrap() | 128);
                rest /= 128;
            }
            bytes.push(u8::try_from(rest).unwrap());
        }
    }
    bytes.extend_from_slice(value);
    bytes
}

/// `:status: 200` in the static table.
const STATUS_200: u8 = 0x88;

fn over_http2() -> Vec<Flood> {
    let ok = frame(HEADERS, END_HEADERS, 1, &[STATUS_200]);
    let hints = frame(HEADERS, END_HEADERS, 1, &[0x08, 3, b'1', b'0', b'3']);
    let long = literal(b'x', &[b'y'; 8000]);
    // One entry of the dynamic table, and a page of references to it: 16 KiB that mean 48 MiB.
    let mut bomb = vec![STATUS_200];
    let mut entry = literal(b'x', &[b'y'; 3900]);
    entry[0] = 0x40;
    bomb.extend_from_slice(&entry);
    bomb.extend(std::iter::repeat_n(0xbe, 12_000));
    let bomb = frame(HEADERS, END_HEADERS, 1, &bomb);
    vec![
        flood("1xx", begun(&[]), hints, AtTheDeadline, Reason::RequestTimeout),
        flood("an HPACK bomb", begun(&[&bomb]), "", ByItself, Reason::ProtocolError),
        flood(
            "CONTINUATION",
            begun(&[&frame(HEADERS, 0, 1, &[STATUS_200])]),
            frame(CONTINUATION, 0, 1, &long),
            ByItself,
            Reason::ProtocolError,
        ),
        flood(
            "empty CONTINUATION",
            begun(&[&frame(HEADERS, 0, 1, &[STATUS_200])]),
            frame(CONTINUATION, 0, 1, &[]),
            ByItself,
            Reason::ProtocolError,
        ),
        flood("heads without an end", begun(&[]), frame(HEADERS, 0, 1, &long), ByItself, Reason::ProtocolError),
        flood("SETTINGS", begun(&[]), frame(SETTINGS, 0, 0, &[]), AtTheDeadline, Reason::RequestTimeout),
        flood("PING", begun(&[]), frame(PING, 0, 0, &[0; 8]), AtTheDeadline, Reason::RequestTimeout),
        flood("PRIORITY", begun(&[]), frame(PRIORITY, 0, 1, &[0, 0, 0, 3, 1]), AtTheDeadline, Reason::RequestTimeout),
        flood("unknown frames", begun(&[]), frame(0xee, 0, 0, &[0; 64]), AtTheDeadline, Reason::RequestTimeout),
        flood(
            "WINDOW_UPDATE",
            begun(&[]),
            frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]),
            AtTheDeadline,
            Reason::RequestTimeout,
        ),
        flood(
            "windows beyond the limit",
            begun(&[]),
            frame(WINDOW_UPDATE, 0, 0, &[0x7f, 255, 255, 255]),
            ByItself,
            Reason::ProtocolError,
        ),
        flood("RST_STREAM", begun(&[]), frame(RST_STREAM, 0, 1, &[0, 0, 0, 8]), ByItself, Reason::ProtocolError),
        flood(
            "RST_STREAM of others",
            begun(&[]),
            frame(RST_STREAM, 0, 3, &[0, 0, 0, 8]),
            ByItself,
            Reason::ProtocolError,
        ),
        flood(
            "PUSH_PROMISE",
            begun(&[]),
            frame(PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 2, 0x82]),
            ByItself,
            Reason::ProtocolError,
        ),
        flood("GOAWAY", begun(&[]), frame(GOAWAY, 0, 0, &[0; 8]), ByItself, Reason::ProtocolError),
        flood("DATA without a head", begun(&[]), frame(DATA, 0, 1, b"x"), ByItself, Reason::ProtocolError),
        flood("empty DATA", begun(&[&ok]), frame(DATA, 0, 1, &[]), ByItself, Reason::ProtocolError),
        flood("PING amid the body", begun(&[&ok]), frame(PING, 0, 0, &[0; 8]), AtTheDeadline, Reason::ResponseTimeout),
        flood("trailers", begun(&[&ok]), frame(HEADERS, 0, 1, &long), ByItself, Reason::ProtocolError),
        flood("silence", "", "", AtTheDeadline, Reason::RequestTimeout),
    ]
}

fn http2_tls(authority: &Authority) -> Arc<ServerConfig> {
    let mut config = ServerConfig::clone(&authority.server(&["127.0.0.1"]));
    config.alpn_protocols = vec![b"h2".to_vec()];
    Arc::new(config)
}

#[tokio::test]
async fn http2_without_an_end_has_one_reason() {
    let authority = Authority::new();
    let config = http2_tls(&authority);
    let mut wrong = Vec::new();
    for flood in over_http2() {
        let url = format!("https://{}/", flood.start(Some(Arc::clone(&config))).await);
        let settings = HttpSettings { tls: authority.trusted(), ..settings() };
        let observation = flood.met_by(settings, &url).await;
        if reason(&observation) != Some(flood.reason) {
            wrong.push(format!("{}: {:?} {:?}", flood.name, observation.outcome, observation.elapsed));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Whether it runs over the window is a matter of who is faster. Where it does not, it is an answer without an end.
#[tokio::test]
async fn http2_data_without_an_end_runs_over_the_window_or_into_the_deadline() {
    let authority = Authority::new();
    let data = frame(DATA, 0, 1, &[b'x'; 4096]);
    let head = frame(HEADERS, END_HEADERS, 1, &[STATUS_200]);
    let flood = flood("DATA", begun(&[&head]), data, AtTheDeadline, Reason::ResponseTimeout);
    let url = format!("https://{}/", flood.start(Some(http2_tls(&authority))).await);
    let settings = HttpSettings { tls: authority.trusted(), ..settings() };
    let observation = flood.met_by(settings, &url).await;
    let found = reason(&observation);
    assert!(matches!(found, Some(Reason::ProtocolError | Reason::ResponseTimeout)), "{:?}", observation.outcome);
}

/// A peer that takes in nothing of a body that it is sent.
#[tokio::test]
async fn a_window_that_stays_shut_ends_at_the_deadline() {
    let authority = Authority::new();
    let shut = frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]);
    let stall = flood("stall", shut, "", AtTheDeadline, Reason::RequestTimeout);
    let url = format!("https://{}/", stall.start(Some(http2_tls(&authority))).await);
    let settings = HttpSettings {
        tls: authority.trusted(),
        method: http::Method::POST,
        body: vec![b'x'; 1 << 20].into(),
        ..settings()
    };
    let observation = stall.met_by(settings, &url).await;
    assert_eq!(reason(&observation), Some(stall.reason), "{observation:?}");
}

/// Small on the wire and large once decoded. The rule wants the body in memory, which has a limit of its own.
#[tokio::test]
async fn a_compression_bomb_without_an_end_stops_at_the_limit() {
    use std::io::Write as _;

    use crate::config::Pattern;
    use crate::config::http::{BodyRule, Compression, FailIf};

    let zeros = vec![0; 8 << 20];
    let gzip = {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&zeros).unwrap();
        encoder.finish().unwrap()
    };
    // Without an end: blocks that are never the last one.
    let deflate = {
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&zeros).unwrap();
        encoder.flush().unwrap();
        encoder.get_ref().clone()
    };
    let rule = BodyRule { pattern: Pattern::new("x").unwrap(), fail_if: FailIf::Matches };
    for (compression, body) in [(Compression::Gzip, gzip), (Compression::Deflate, deflate)] {
        let bomb = flood("a bomb", format!("{OK}\r\n"), body, ByItself, Reason::BodyTooLarge);
        let url = format!("http://{}/", bomb.start(None).await);
        let plain = HttpSettings { compression: Some(compression), ..settings() };
        for settings in [
            HttpSettings { body_size_limit: Some(10 << 20), ..plain.clone() },
            HttpSettings { body_rules: vec![rule.clone()], ..plain },
        ] {
            let observation = bomb.met_by(settings, &url).await;
            assert_eq!(reason(&observation), Some(bomb.reason), "{compression:?}: {:?}", observation.outcome);
        }
    }
}

/// What a run against each of them adds to the process, its peer included. By hand:
/// `cargo test --lib memory_of_a_run -- --ignored --nocapture --test-threads=1`.
#[tokio::test]
#[ignore = "a measurement, not a test"]
async fn memory_of_a_run_against_each() {
    let authority = Authority::new();
    let secure = http2_tls(&authority);
    let floods = over_http1().into_iter().map(|flood| (flood, None));
    let floods = floods.chain(over_http2().into_iter().map(|flood| (flood, Some(Arc::clone(&secure)))));
    for (flood, tls) in floods {
        let (version, scheme) = if tls.is_some() { (2, "https") } else { (1, "http") };
        let url = format!("{scheme}://{}/", flood.start(tls).await);
        let settings = HttpSettings { tls: authority.trusted(), ..settings() };
        let before = peak::start();
        let observation = flood.met_by(settings, &url).await;
        println!("HTTP/{version} {}: {} KiB more, {:?}", flood.name, peak::since(before), observation.elapsed);
    }
}

/// The most memory that the process had resident, in KiB.
pub(super) mod peak {
    fn line(name: &str) -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Forgets the peak so far; what is resident now.
    pub(in super::super) fn start() -> u64 {
        std::fs::write("/proc/self/clear_refs", "5").unwrap();
        line("VmRSS")
    }

    pub(in super::super) fn since(before: u64) -> u64 {
        line("VmHWM").saturating_sub(before)
    }
}
