//! HTTP servers as they are met, each with what a client can know of its answer.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder};

use crate::support::peer::http::{Answer, HttpPeer, Request};
use crate::support::peer::{End, http, tcp};
use crate::support::pki;

use super::scenario::Scenarios;

/// What there is to be seen of an answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// 0: no answer that is HTTP.
    pub(super) status: u16,
    pub(super) version: &'static str,
    /// Names in lower case.
    pub(super) headers: Vec<(&'static str, &'static str)>,
    pub(super) body: Vec<u8>,
    /// With this coding undone the body is this one.
    pub(super) coded: Option<(&'static str, Vec<u8>)>,
    /// It ends in the middle of the body.
    pub(super) cut: bool,
    /// Servers and clients disagree about such: only compared.
    pub(super) odd: bool,
}

impl Seen {
    fn new(status: u16, body: impl AsRef<[u8]>) -> Self {
        Self { status, version: "HTTP/1.1", body: body.as_ref().to_vec(), ..Self::default() }
    }

    fn nothing() -> Self {
        Self::default()
    }

    fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }

    pub(super) fn has(&self, name: &str, part: &str) -> bool {
        self.headers.iter().any(|(found, value)| *found == name && value.contains(part))
    }

    pub(super) fn says(&self, part: &str) -> bool {
        self.body.windows(part.len()).any(|window| window == part.as_bytes())
    }
}

pub(super) struct Peer {
    pub(super) name: &'static str,
    /// Odd on the wire, and else like others: a few options say all there is to say.
    pub(super) wire: bool,
    pub(super) url: String,
    /// By the name of the option with which it is asked.
    pub(super) seen: Box<dyn Fn(&str) -> Seen>,
}

/// What is wanted of a request, and the options that do it.
type Wanted = (&'static str, fn(&Request) -> bool, &'static [&'static str]);

/// 200 for requests that are as wanted, 400 for others.
const WANTED: &[Wanted] = &[
    ("wants a password", |request| request.header("authorization") == Some("Basic bWU6c2VjcmV0"), &["basic_auth"]),
    (
        "wants a token",
        |request| request.header("authorization") == Some("Bearer t0ken"),
        &["authorization", "bearer_token"],
    ),
    ("wants a header", |request| request.header("x-a") == Some("b"), &["headers"]),
    ("wants a name", |request| request.header("host") == Some("shop.test"), &["headers"]),
    ("wants a program", |request| request.header("user-agent") == Some("Mine/1"), &["headers"]),
    ("wants POST", |request| request.head.starts_with("POST / HTTP/1.1"), &["POST with a body", "POST without a body"]),
    ("wants PUT", |request| request.head.starts_with("PUT / HTTP/1.1"), &["PUT with a body"]),
    ("wants HEAD", |request| request.head.starts_with("HEAD / HTTP/1.1"), &["HEAD"]),
    ("wants OPTIONS", |request| request.head.starts_with("OPTIONS / HTTP/1.1"), &["OPTIONS"]),
    (
        "wants three bytes",
        |request| request.header("content-length") == Some("3"),
        &["POST with a body", "PUT with a body", "GET with a body"],
    ),
    ("wants a coding", |request| request.header("accept-encoding") == Some("gzip"), &["headers: Accept-Encoding"]),
];

pub(super) fn start(scenarios: &mut Scenarios) -> Vec<Peer> {
    let mut peers = Vec::new();
    for (name, answer, seen) in answers() {
        let server = answer.start();
        peers.push(Peer { name, wire: false, url: server.url(), seen: Box::new(move |_| seen.clone()) });
        scenarios.keep(server);
    }
    for (name, bytes, seen) in raw() {
        let server = http().raw(bytes).start();
        peers.push(Peer { name, wire: true, url: server.url(), seen: Box::new(move |_| seen.clone()) });
        scenarios.keep(server);
    }
    for &(name, fits, options) in WANTED {
        let server =
            HttpPeer::start(None, move |request| if fits(request) { http() } else { http().status(400).body("no") });
        let seen = |option: &str| if options.contains(&option) { Seen::new(200, "ok") } else { Seen::new(400, "no") };
        peers.push(Peer { name, wire: false, url: server.url(), seen: Box::new(seen) });
        scenarios.keep(server);
    }
    no_http(scenarios, &mut peers);
    peers
}

fn coded(encode: impl Fn(&[u8]) -> Vec<u8>, coding: &'static str) -> (Answer, Seen) {
    let text = b"ok ok ok ok ok ok".to_vec();
    let bytes = encode(&text);
    let answer = http().header("Content-Encoding", coding).body(&bytes);
    (answer, Seen { coded: Some((coding, text)), ..Seen::new(200, bytes).header("content-encoding", coding) })
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn deflate(text: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// RFC 7932 with one block that is not compressed: enough for a decoder.
fn brotli(text: &[u8]) -> Vec<u8> {
    // Window of 22 bits, not the last block, four nibbles of length, not compressed; then the empty last block.
    let length = u32::try_from(text.len() - 1).unwrap();
    let head = 0x0b_u32 | length << 7 | 1 << 23;
    [&head.to_le_bytes()[..3], text, &[3]].concat()
}

fn answers() -> Vec<(&'static str, Answer, Seen)> {
    let big = "0123456789abcde\n".repeat(1 << 14);
    let html = "<html><title>Zur\u{fc}ck</title>ok</html>";
    let (gzipped, gzip_seen) = coded(gzip, "gzip");
    let (brotlied, brotli_seen) = coded(brotli, "br");
    let (deflated, deflate_seen) = coded(deflate, "deflate");
    let many = (0..60).fold(http(), |answer, n| answer.header(&format!("X-Many-{n}"), "7"));
    let cut = |body: &str| Seen { cut: true, ..Seen::new(200, body) };
    vec![
        ("200", http(), Seen::new(200, "ok")),
        ("chunked", http().chunked().body("ok in pieces"), Seen::new(200, "ok in pieces")),
        (
            "HTML",
            http().header("Content-Type", "text/html; charset=utf-8").body(html),
            Seen::new(200, html).header("content-type", "text/html; charset=utf-8"),
        ),
        (
            "JSON",
            http().header("Content-Type", "application/json").body(r#"{"ok": true}"#),
            Seen::new(200, r#"{"ok": true}"#).header("content-type", "application/json"),
        ),
        (
            "Last-Modified",
            http().header("Last-Modified", "Tue, 15 Nov 1994 12:45:26 GMT"),
            Seen::new(200, "ok").header("last-modified", "Tue, 15 Nov 1994 12:45:26 GMT"),
        ),
        (
            "two headers of a name",
            http().header("X-Version", "6").header("X-Version", "7"),
            Seen::new(200, "ok").header("x-version", "6").header("x-version", "7"),
        ),
        ("60 headers", many.header("X-Version", "7"), Seen::new(200, "ok").header("x-version", "7")),
        ("empty body", http().body(""), Seen::new(200, "")),
        ("256 KiB", http().body(&big), Seen::new(200, &big)),
        ("256 KiB chunked", http().chunked().body(&big), Seen::new(200, &big)),
        ("Latin-1", http().body(b"Zur\xfcck ok"), Seen::new(200, b"Zur\xfcck ok")),
        ("binary", http().body([0, 1, 2, 255, 254, 10, 13, 0]), Seen::new(200, [0, 1, 2, 255, 254, 10, 13, 0])),
        ("gzip", gzipped, gzip_seen),
        ("br", brotlied, brotli_seen),
        ("deflate", deflated, deflate_seen),
        ("201", http().status(201), Seen::new(201, "ok")),
        ("206", http().status(206), Seen::new(206, "ok")),
        ("299", http().status(299), Seen::new(299, "ok")),
        ("301 to nowhere", http().status(301), Seen { odd: true, ..Seen::new(301, "ok") }),
        ("400", http().status(400), Seen::new(400, "ok")),
        ("401", http().status(401).header("WWW-Authenticate", "Basic realm=\"x\""), Seen::new(401, "ok")),
        ("404", http().status(404).body("not here"), Seen::new(404, "not here")),
        ("429", http().status(429).header("Retry-After", "5"), Seen::new(429, "ok")),
        ("500", http().status(500).body("ok"), Seen::new(500, "ok")),
        ("503", http().status(503).body(""), Seen::new(503, "")),
        ("a body that is cut", http().body("ok and no more").half_a_body(End::Close), cut("ok and ")),
        ("chunks that are cut", http().chunked().body("ok and no more").half_a_body(End::Close), cut("ok and ")),
        ("an end before the head", http().no_head(End::Close), Seen::nothing()),
        ("half a head", http().half_a_head(End::Close), Seen::nothing()),
        ("a reset before the head", http().no_head(End::Reset), Seen::nothing()),
    ]
}

fn raw() -> Vec<(&'static str, &'static str, Seen)> {
    let good = || Seen::new(200, "ok");
    let odd = || Seen { odd: true, ..Seen::new(200, "ok") };
    let old = || Seen { version: "HTTP/1.0", ..Seen::new(200, "ok") };
    vec![
        ("HTTP/1.0", "HTTP/1.0 200 OK\r\n\r\nok", old()),
        ("HTTP/1.0 with a length", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", old()),
        ("no length", "HTTP/1.1 200 OK\r\n\r\nok", good()),
        ("204", "HTTP/1.1 204 No Content\r\n\r\n", Seen::new(204, "")),
        ("304", "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n", Seen { odd: true, ..Seen::new(304, "") }),
        ("no reason", "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", good()),
        ("a blank for a reason", "HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok", good()),
        ("a long reason", "HTTP/1.1 200 All is well: it's \"fine\"\r\nContent-Length: 2\r\n\r\nok", good()),
        ("lines that end in LF", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok", good()),
        (
            "no blank after the colon",
            "HTTP/1.1 200 OK\r\nContent-Length:2\r\nX-Version:7\r\n\r\nok",
            good().header("x-version", "7"),
        ),
        (
            "names in capitals",
            "HTTP/1.1 200 OK\r\nCONTENT-LENGTH: 2\r\nX-VERSION: 7\r\n\r\nok",
            good().header("x-version", "7"),
        ),
        (
            "a header without a value",
            "HTTP/1.1 200 OK\r\nX-Version:\r\nContent-Length: 2\r\n\r\nok",
            good().header("x-version", ""),
        ),
        ("a header of UTF-8", "HTTP/1.1 200 OK\r\nX-Place: Z\u{fc}rich\r\nContent-Length: 2\r\n\r\nok", good()),
        ("a folded header", "HTTP/1.1 200 OK\r\nX-Version: 6\r\n 7\r\nContent-Length: 2\r\n\r\nok", odd()),
        ("a blank before the colon", "HTTP/1.1 200 OK\r\nX-Version : 7\r\nContent-Length: 2\r\n\r\nok", odd()),
        ("the same length twice", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok", odd()),
        ("two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok", odd()),
        ("a length below zero", "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok", odd()),
        ("a length that is no number", "HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nok", odd()),
        (
            "a length and chunks",
            "HTTP/1.1 200 OK\r\nContent-Length: 99\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            odd(),
        ),
        ("chunks of HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", odd()),
        (
            "chunks with extensions",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nok\r\n0;c\r\n\r\n",
            good(),
        ),
        (
            "chunks with trailers",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n2\r\nok\r\n0\r\nX-T: 1\r\n\r\n",
            good(),
        ),
        (
            "bad chunks",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nok\r\n0\r\n\r\n",
            Seen { cut: true, ..Seen::new(200, "") },
        ),
        ("more than its length", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok and more", good()),
        ("100 first", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", good()),
        ("102 first", "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", good()),
        (
            "103 twice first",
            "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
            good(),
        ),
        ("a status of two digits", "HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nok", Seen::nothing()),
        ("a status that is no number", "HTTP/1.1 abc OK\r\nContent-Length: 2\r\n\r\nok", Seen::nothing()),
        ("HTTP/1.2", "HTTP/1.2 200 OK\r\nContent-Length: 2\r\n\r\nok", odd()),
        ("HTTP/2.0 in words", "HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok", odd()),
        ("HTTP/0.9", "ok", Seen::nothing()),
        ("a cookie", "HTTP/1.1 200 OK\r\nSet-Cookie: a=b; Path=/\r\nContent-Length: 2\r\n\r\nok", good()),
        (
            "Last-Modified that is no date",
            "HTTP/1.1 200 OK\r\nLast-Modified: yesterday\r\nContent-Length: 2\r\n\r\nok",
            good(),
        ),
        (
            "Last-Modified of RFC 850",
            "HTTP/1.1 200 OK\r\nLast-Modified: Tuesday, 15-Nov-94 12:45:26 GMT\r\nContent-Length: 2\r\n\r\nok",
            good(),
        ),
        (
            "Last-Modified of asctime",
            "HTTP/1.1 200 OK\r\nLast-Modified: Tue Nov 15 12:45:26 1994\r\nContent-Length: 2\r\n\r\nok",
            good(),
        ),
        (
            "Last-Modified before 1970",
            "HTTP/1.1 200 OK\r\nLast-Modified: Mon, 15 Nov 1954 12:45:26 GMT\r\nContent-Length: 2\r\n\r\nok",
            good(),
        ),
        (
            "Last-Modified on a wrong day",
            "HTTP/1.1 200 OK\r\nLast-Modified: Fri, 15 Nov 1994 12:45:26 GMT\r\nContent-Length: 2\r\n\r\nok",
            good(),
        ),
        (
            "Last-Modified in odd letters",
            "HTTP/1.1 200 OK\r\nLast-Modified: tUE,   15  nOV 1994 2:45:26.75   GMT\r\nContent-Length: 2\r\n\r\nok",
            good(),
        ),
        (
            "Last-Modified on a day of one digit",
            "HTTP/1.1 200 OK\r\nLast-Modified: Sat, 5 Nov 1994 12:45:26 GMT\r\nContent-Length: 2\r\n\r\nok",
            good(),
        ),
        (
            "Last-Modified in another zone",
            "HTTP/1.1 200 OK\r\nLast-Modified: Tuesday, 15-Nov-94 12:45:26 GMT-4\r\nContent-Length: 2\r\n\r\nok",
            good(),
        ),
    ]
}

/// What listens and is no HTTP server, and what does not.
fn no_http(scenarios: &mut Scenarios, peers: &mut Vec<Peer>) {
    let mut add = |name: &'static str, address: std::net::SocketAddr| {
        let url = format!("http://{address}/");
        peers.push(Peer { name, wire: true, url, seen: Box::new(|_| Seen::nothing()) });
    };
    let refusing = tcp::refusing();
    add("refused", refusing.address);
    let closes = tcp().then(End::Close).start();
    add("closed at once", closes.address);
    let ssh = tcp().greets("SSH-2.0-OpenSSH_9.9\r\n").then(End::Close).start();
    add("SSH", ssh.address);
    let secure = tcp().over_tls(pki::self_signed()).then(End::Close).start();
    add("TLS", secure.address);
    scenarios.keep((refusing, closes, ssh, secure));
}
