//! The server on real sockets, with clients that behave and clients that do not.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeSet, HashMap};
use std::io::Read;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Context, Limits, ReloadRequest, Served, accept, routes::Site};
use crate::config::Config;
use crate::metrics::fixture::{many, varied};
use crate::state::{Snapshot, State};
use crate::telemetry::Telemetry;

/// Far beyond anything that is waited for; a test that gets here has failed.
const LONG: Duration = Duration::from_secs(30);

struct Running {
    address: SocketAddr,
    stop: CancellationToken,
    served: JoinHandle<Served>,
    telemetry: Arc<Telemetry>,
    reloads: mpsc::Receiver<ReloadRequest>,
    ready: watch::Sender<bool>,
    _config: watch::Sender<Arc<Config>>,
}

async fn start(snapshot: Snapshot, limits: Limits) -> Running {
    let config = Config {
        targets: snapshot.targets.iter().map(|target| Arc::clone(&target.target)).collect(),
        masked_yaml: "global:\n  password: <secret>\n".to_owned(),
        dependencies: Vec::new(),
        refresh_interval: Duration::from_secs(30),
    };
    let (config_sender, config) = watch::channel(Arc::new(config));
    let (ready_sender, ready) = watch::channel(false);
    let (reload, reloads) = mpsc::channel(1);
    let telemetry = Arc::new(Telemetry::new());
    let context = Context { state: State::default(), telemetry: Arc::clone(&telemetry), config, reload, ready };
    let snapshots = move |keep: &dyn Fn(&crate::config::Target) -> bool| Snapshot {
        taken: snapshot.taken,
        targets: snapshot.targets.iter().filter(|target| keep(&target.target)).cloned().collect(),
    };
    let site = Arc::new(Site::with_snapshots(context, limits, Box::new(snapshots)));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let served = tokio::spawn(accept::run(listener, site, limits, stop.clone()));
    Running { address, stop, served, telemetry, reloads, ready: ready_sender, _config: config_sender }
}

impl Running {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// A connection with little room for an answer.
    async fn connect_small(&self) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        socket.connect(self.address).await.unwrap()
    }

    /// One request on a connection of its own.
    async fn ask(&self, request_line: &str, headers: &str) -> Reply {
        let text = format!("{request_line} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}\r\n");
        self.send(text.as_bytes()).await
    }

    async fn get(&self, path: &str) -> Reply {
        self.ask(&format!("GET {path}"), "").await
    }

    /// Sends bytes and reads until the server hangs up.
    async fn send(&self, bytes: &[u8]) -> Reply {
        let mut socket = self.connect().await;
        socket.write_all(bytes).await.unwrap();
        Reply::parse(&read_all(&mut socket).await)
    }

    /// Starts a download of a page and takes nothing of it. Returns once the page is being written.
    async fn stall(&self) -> TcpStream {
        let before = self.in_flight();
        let mut socket = self.connect_small().await;
        socket.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        until(|| self.in_flight() > before).await;
        socket
    }

    fn in_flight(&self) -> i64 {
        self.telemetry.http_requests_in_flight.get()
    }

    async fn end(self) -> Served {
        self.stop.cancel();
        tokio::time::timeout(LONG, self.served).await.unwrap().unwrap()
    }
}

/// Reads until the end, be it in peace or by a reset.
async fn read_all(socket: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = tokio::time::timeout(LONG, socket.read_to_end(&mut bytes)).await.unwrap();
    bytes
}

/// Waits for something that the server does in its own time.
async fn until(condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(LONG, wait).await.unwrap();
}

#[derive(Debug)]
struct Reply {
    status: u16,
    headers: HashMap<String, String>,
    body: Vec<u8>,
    /// Whether the body came to its proper end.
    complete: bool,
}

impl Reply {
    fn parse(bytes: &[u8]) -> Self {
        let split = bytes.windows(4).position(|window| window == b"\r\n\r\n");
        let split = split.unwrap_or_else(|| panic!("no head in {:?}", String::from_utf8_lossy(bytes)));
        let head = String::from_utf8(bytes[..split].to_vec()).unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers: HashMap<String, String> =
            lines.map(|line| line.split_once(": ").unwrap()).map(|(n, v)| (n.to_lowercase(), v.to_owned())).collect();
        let rest = &bytes[split + 4..];
        let (body, complete) = if headers.get("transfer-encoding").is_some_and(|value| value == "chunked") {
            unchunk(rest)
        } else {
            (rest.to_vec(), headers.get("content-length").is_none_or(|length| length.parse() == Ok(rest.len())))
        };
        Self { status, headers, body, complete }
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    fn json(&self) -> serde_json::Value {
        assert_eq!(self.headers["content-type"], "application/json");
        serde_json::from_slice(&self.body).unwrap()
    }
}

fn unchunk(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    loop {
        let Some(end) = rest.windows(2).position(|window| window == b"\r\n") else { return (body, false) };
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
        rest = &rest[end + 2..];
        if size == 0 {
            return (body, true);
        }
        if rest.len() < size + 2 {
            return (body, false);
        }
        body.extend_from_slice(&rest[..size]);
        rest = &rest[size + 2..];
    }
}

#[tokio::test]
async fn every_route_answers_as_the_head_of_the_module_says() {
    let server = start(varied(), Limits::default()).await;
    for (path, status, content_type) in [
        ("/", 200, "text/html; charset=utf-8"),
        ("/metrics", 200, "text/plain; version=0.0.4; charset=utf-8"),
        ("/api/v1/targets", 200, "application/json"),
        ("/api/v1/targets/shop", 200, "application/json"),
        ("/config", 200, "text/yaml; charset=utf-8"),
        ("/-/healthy", 200, "text/plain; charset=utf-8"),
        ("/-/ready", 503, "text/plain; charset=utf-8"),
    ] {
        let get = server.get(path).await;
        assert_eq!((get.status, get.headers["content-type"].as_str()), (status, content_type), "{path}");
        assert_eq!(get.headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(get.headers["cache-control"], "no-store", "{path}");
        assert!(get.complete && !get.body.is_empty(), "{path}");

        let head = server.ask(&format!("HEAD {path}"), "").await;
        assert_eq!((head.status, head.headers["content-type"].as_str()), (status, content_type), "{path}");
        assert!(head.body.is_empty(), "{path}");
        assert_ne!(head.headers.get("content-length").map(String::as_str), Some("0"), "{path}");

        let post = server.ask(&format!("POST {path}"), "content-length: 0\r\n").await;
        assert_eq!((post.status, post.headers["allow"].as_str()), (405, "GET, HEAD"), "{path}");
    }
    assert_eq!(server.get("/-/healthy").await.text(), "Healthy\n");
    assert_eq!(server.get("/config").await.text(), "global:\n  password: <secret>\n");
    let get = server.get("/-/reload").await;
    assert_eq!((get.status, get.headers["allow"].as_str()), (405, "POST"));
    let missing = server.get("/nothing?x=1").await;
    assert_eq!(missing.status, 404);
    assert!(missing.text().contains("/metrics"), "a hint at what there is");
    assert_eq!(server.get("/api/v2").await.json()["error"].as_str().unwrap(), missing.text().trim_end());
    assert_eq!(server.end().await.cut_off, 0);
}

#[tokio::test]
async fn the_metrics_page_has_every_target_and_the_exporter() {
    let server = start(varied(), Limits::default()).await;
    let page = server.get("/metrics").await;
    for line in [
        "probe_success{target=\"shop\",region=\"eu-west\",team=\"web\"} 1",
        "probe_up{target=\"gone\",region=\"eu-west\"} 0",
        "uptime_exporter_targets 6",
        "uptime_exporter_http_requests_in_flight 1",
    ] {
        assert!(page.text().lines().any(|l| l == line), "{line}");
    }
    server.get("/nothing").await;
    let page = server.get("/metrics").await;
    assert!(page.text().contains("uptime_exporter_http_requests_total{code=\"200\"} 1\n"));
    assert!(page.text().contains("uptime_exporter_http_requests_total{code=\"404\"} 1\n"));
    assert!(server.telemetry.render_seconds.get() > 0.0);
    until(|| server.in_flight() == 0).await;
}

#[tokio::test]
async fn a_narrowed_page_has_its_targets_alone() {
    let server = start(varied(), Limits::default()).await;
    let page = server.get("/metrics?target=shop&target=odd%20%22na%5Cme%22%20%3C%26%3E%2F%C3%A9").await;
    assert!(page.text().lines().filter(|line| !line.starts_with('#')).all(|line| {
        line.contains("{target=\"shop\",") || line.contains("{target=\"odd \\\"na\\\\me\\\" <&>/\u{e9}\",")
    }));
    assert!(page.text().contains("probe_up{target=\"odd"));
    let missing = server.get("/metrics?target=none").await;
    assert_eq!((missing.status, missing.text()), (404, "no target is named none\n"));
    assert_eq!(server.get("/metrics?target=shop&target=none").await.status, 200);
    let bad = server.get("/metrics?shard=2&of=2").await;
    assert_eq!((bad.status, bad.text()), (400, "shard=2 is not one of 2 parts; they are counted from 0 to 1\n"));
}

#[tokio::test]
async fn the_shards_together_are_the_whole_page() {
    let server = start(many(60), Limits::default()).await;
    let series = |reply: &Reply| -> BTreeSet<String> {
        let names = reply.text().lines().filter(|line| !line.starts_with('#'));
        names.filter_map(|line| line.rsplit_once(' ')).map(|(series, _)| series.to_owned()).collect()
    };
    server.get("/metrics").await; // So that the request counter is there.
    let whole = series(&server.get("/metrics").await);
    let mut union = BTreeSet::new();
    for index in 0..4 {
        let part = series(&server.get(&format!("/metrics?shard={index}&of=4")).await);
        assert!(part.is_disjoint(&union), "no series is in two shards");
        assert_eq!(part.iter().any(|name| name.starts_with("uptime_exporter_")), index == 0);
        union.extend(part);
    }
    assert_eq!(union, whole);
}

#[tokio::test]
async fn gzip_is_sent_to_those_who_ask_and_holds_the_same_page() {
    let server = start(many(300), Limits::default()).await;
    let path = "GET /metrics?shard=1&of=2";
    let plain = server.ask(path, "accept-encoding: gzip;q=0\r\n").await;
    assert_eq!(plain.headers.get("content-encoding"), None);
    let zipped = server.ask(path, "accept-encoding: br, gzip;q=0.5\r\n").await;
    assert_eq!(zipped.headers["content-encoding"], "gzip");
    assert_eq!(zipped.headers["vary"], "accept-encoding");
    assert!(zipped.complete && zipped.body.len() * 5 < plain.body.len(), "{}", zipped.body.len());
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(zipped.body.as_slice()).read_to_end(&mut text).unwrap();
    assert_eq!(text, plain.body);
    let head = server.ask("HEAD /metrics", "accept-encoding: gzip\r\n").await;
    assert_eq!((head.headers["content-encoding"].as_str(), head.body.len()), ("gzip", 0));
}

#[tokio::test]
async fn the_api_lists_targets_and_shows_one() {
    let server = start(varied(), Limits::default()).await;
    let names = |reply: Reply| -> Vec<String> {
        let targets = reply.json()["targets"].as_array().unwrap().clone();
        targets.iter().map(|target| target["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(server.get("/api/v1/targets").await).len(), 6);
    assert_eq!(names(server.get("/api/v1/targets?state=down").await), ["expired", "gone"]);
    assert_eq!(names(server.get("/api/v1/targets?state=unknown").await), ["new"]);
    let bad = server.get("/api/v1/targets?state=broken").await;
    assert_eq!(
        (bad.status, bad.json()["error"].as_str().unwrap()),
        (400, "state=\"broken\" is none of up, down, unknown")
    );
    let odd = server.get("/api/v1/targets/odd%20%22na%5Cme%22%20%3C%26%3E%2F%C3%A9").await.json();
    assert_eq!(odd["evidence"]["last_good"]["http"]["status"], 200);
    let missing = server.get("/api/v1/targets/none").await;
    assert_eq!(missing.status, 404);
    assert_eq!(missing.json()["error"], "no target is named \"none\"; /api/v1/targets lists them");
    assert_eq!(server.get("/api/v1/targets/%ff").await.status, 400);
}

#[tokio::test]
async fn readiness_follows_the_latch() {
    let server = start(varied(), Limits::default()).await;
    assert_eq!(server.get("/-/ready").await.status, 503);
    server.ready.send(true).unwrap();
    assert_eq!(server.get("/-/ready").await.status, 200);
}

#[tokio::test]
async fn a_reload_answers_with_what_came_of_it() {
    let mut server = start(varied(), Limits { reload: Duration::from_millis(50), ..Limits::default() }).await;
    let post = "POST /-/reload";
    let evil = server.ask(post, "origin: http://evil.example\r\ncontent-length: 0\r\n").await;
    assert_eq!(evil.status, 403);
    assert!(server.reloads.try_recv().is_err(), "nothing was asked for");

    for (result, status, text) in [
        (Ok(()), 200, "The config was loaded.\n"),
        (
            Err("targets[0].module: no such module\nglobal: bad".to_owned()),
            500,
            "targets[0].module: no such module\nglobal: bad\n",
        ),
    ] {
        let (reply, ()) = tokio::join!(server_ask(server.address), async {
            let request = server.reloads.recv().await.unwrap();
            request.send(result).unwrap();
        });
        assert_eq!((reply.status, reply.text()), (status, text));
    }
    // The limit is short, and no one answers.
    assert!(server.ask(post, "content-length: 0\r\n").await.text().starts_with("The reload is still going on"));
    server.reloads.close();
    while server.reloads.try_recv().is_ok() {}
    let stopping = server.ask(post, "content-length: 0\r\n").await;
    assert_eq!((stopping.status, stopping.text()), (500, "The exporter is stopping; the config was not loaded.\n"));
}

async fn server_ask(address: SocketAddr) -> Reply {
    let mut socket = TcpStream::connect(address).await.unwrap();
    let request = b"POST /-/reload HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    socket.write_all(request).await.unwrap();
    Reply::parse(&read_all(&mut socket).await)
}

#[tokio::test]
async fn the_page_for_people_allows_no_scripts() {
    let server = start(varied(), Limits::default()).await;
    let page = server.get("/").await;
    assert!(page.headers["content-security-policy"].contains("default-src 'none'"));
    assert!(!page.text().contains("<script"));
}

#[tokio::test]
async fn http_1_0_is_answered_and_closed() {
    let server = start(many(100), Limits::default()).await;
    let reply = server.send(b"GET /-/healthy HTTP/1.0\r\n\r\n").await;
    assert_eq!((reply.status, reply.text()), (200, "Healthy\n"));
    let page = server.send(b"GET /metrics?target=target-00000 HTTP/1.0\r\n\r\n").await;
    assert_eq!(page.headers.get("transfer-encoding"), None, "HTTP/1.0 knows no chunks");
    assert!(page.text().contains("probe_up_seconds_total{target=\"target-00000\""));
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let server = start(varied(), Limits::default()).await;
    let mut socket = server.connect().await;
    let requests = b"GET /-/healthy HTTP/1.1\r\nhost: x\r\n\r\nGET /nothing HTTP/1.1\r\nhost: x\r\n\r\n\
                     GET /-/ready HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    socket.write_all(requests).await.unwrap();
    let text = String::from_utf8(read_all(&mut socket).await).unwrap();
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("HTTP/1.1 ")).collect();
    assert_eq!(lines, ["HTTP/1.1 200 OK", "HTTP/1.1 404 Not Found", "HTTP/1.1 503 Service Unavailable"]);
}

#[tokio::test]
async fn a_request_body_is_not_waited_for() {
    let server = start(varied(), Limits::default()).await;
    let mut socket = server.connect().await;
    let request = b"GET /-/healthy HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000000\r\n\r\nsome of it";
    socket.write_all(request).await.unwrap();
    assert_eq!(Reply::parse(&read_all(&mut socket).await).status, 200);
}

#[tokio::test]
async fn oversized_heads_are_refused() {
    let server = start(varied(), Limits::default()).await;
    let long = format!("x-long: {}\r\n", "a".repeat(16 * 1024));
    assert_eq!(server.ask("GET /", &long).await.status, 431);
    let many: String = (0..100).map(|index| format!("x-{index}: a\r\n")).collect();
    assert_eq!(server.ask("GET /", &many).await.status, 431);
    assert_eq!(server.get("/-/healthy").await.status, 200);
}

#[tokio::test]
async fn garbage_is_answered_400_and_hurts_no_one() {
    let server = start(varied(), Limits::default()).await;
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS client here\r\n\r\n"[..],
        b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nbad header\r\n\r\n",
        b"GET / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
    ] {
        assert_eq!(server.send(garbage).await.status, 400, "{:?}", String::from_utf8_lossy(garbage));
    }
    // Half of HTTP/2's greeting, then nonsense.
    let mut socket = server.connect().await;
    socket.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nnonsense nonsense nonsense").await.unwrap();
    read_all(&mut socket).await;
    assert_eq!(server.get("/-/healthy").await.status, 200);
    assert_eq!(server.telemetry.panics.get(), 0);
}

#[tokio::test]
async fn a_client_that_drips_its_head_is_dropped() {
    let limits = Limits { head: Duration::from_millis(100), ..Limits::default() };
    let server = start(varied(), limits).await;
    let mut silent = server.connect().await;
    assert!(read_all(&mut silent).await.is_empty());

    let (mut read, mut write) = server.connect().await.into_split();
    let drip = tokio::spawn(async move {
        let mut wait = tokio::time::interval(Duration::from_millis(10));
        write.write_all(b"GET / HTTP/1.1\r\nx: ").await?;
        loop {
            wait.tick().await;
            write.write_all(b"a").await?;
        }
        #[allow(unreachable_code)]
        Ok::<(), std::io::Error>(())
    });
    let mut bytes = Vec::new();
    let _ = tokio::time::timeout(LONG, read.read_to_end(&mut bytes)).await.unwrap();
    assert!(bytes.is_empty());
    assert!(tokio::time::timeout(LONG, drip).await.unwrap().unwrap().is_err());
}

#[tokio::test]
async fn an_idle_connection_outlives_the_limit_for_heads_and_ends_at_its_own() {
    let limits = Limits { head: Duration::from_millis(40), idle: Duration::from_millis(400), ..Limits::default() };
    let server = start(varied(), limits).await;
    let mut socket = server.connect().await;
    let request = b"GET /-/healthy HTTP/1.1\r\nhost: x\r\n\r\n";
    let mut buffer = [0; 1024];
    socket.write_all(request).await.unwrap();
    assert_ne!(socket.read(&mut buffer).await.unwrap(), 0);
    tokio::time::sleep(Duration::from_millis(100)).await; // Longer than a head may take: the subject of the test.
    socket.write_all(request).await.unwrap();
    assert_ne!(socket.read(&mut buffer).await.unwrap(), 0, "still open");
    assert!(read_all(&mut socket).await.is_empty(), "closed at last");
}

#[tokio::test]
async fn a_client_that_stops_reading_is_dropped() {
    let limits = Limits { stall: Duration::from_millis(100), ..Limits::default() };
    let server = start(many(4000), limits).await;
    let mut socket = server.stall().await;
    until(|| server.in_flight() == 0).await;
    assert!(!Reply::parse(&read_all(&mut socket).await).complete);
    assert_eq!(server.get("/-/healthy").await.status, 200);
}

#[tokio::test]
async fn an_answer_that_takes_too_long_as_a_whole_is_broken_off() {
    let server = start(many(100), Limits { answer: Duration::ZERO, ..Limits::default() }).await;
    let mut socket = server.connect().await;
    socket.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let bytes = read_all(&mut socket).await;
    assert!(bytes.is_empty() || !Reply::parse(&bytes).complete);
}

#[tokio::test]
async fn pages_are_bounded_in_number() {
    let server = start(many(4000), Limits { pages: 1, ..Limits::default() }).await;
    let stalled = server.stall().await;
    for path in ["/metrics", "/", "/api/v1/targets"] {
        let reply = server.get(path).await;
        assert_eq!((reply.status, reply.headers["retry-after"].as_str()), (503, "5"), "{path}");
    }
    assert_eq!(server.get("/-/healthy").await.status, 200, "a full house is healthy");
    drop(stalled);
    until(|| server.in_flight() == 0).await;
    assert_eq!(server.get("/metrics?target=target-00000").await.status, 200);
}

#[tokio::test]
async fn one_connection_too_many_makes_the_longest_idle_one_go() {
    let server = start(varied(), Limits { connections: 2, ..Limits::default() }).await;
    let mut first = server.connect().await;
    let mut second = server.connect().await;
    let mut buffer = [0; 1024];
    for socket in [&mut first, &mut second] {
        socket.write_all(b"GET /-/healthy HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        assert_ne!(socket.read(&mut buffer).await.unwrap(), 0);
    }
    assert_eq!(server.get("/-/healthy").await.status, 200);
    assert!(read_all(&mut first).await.is_empty(), "the first had been idle the longest");
    second.write_all(b"GET /-/healthy HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert_ne!(second.read(&mut buffer).await.unwrap(), 0);
}

#[tokio::test]
async fn when_every_connection_is_busy_the_next_one_is_told_so() {
    let server = start(many(4000), Limits { connections: 2, ..Limits::default() }).await;
    let _one = server.stall().await;
    let _two = server.stall().await;
    let mut third = server.connect().await;
    let reply = Reply::parse(&read_all(&mut third).await);
    assert_eq!((reply.status, reply.complete), (503, true));
}

#[tokio::test]
async fn many_scrapes_at_once_all_get_the_whole_page() {
    let server = Arc::new(start(many(200), Limits::default()).await);
    let expected = server.get("/metrics?shard=1&of=2").await.body;
    let scrapes: Vec<_> = (0..30)
        .map(|_| {
            let server = Arc::clone(&server);
            tokio::spawn(async move { server.get("/metrics?shard=1&of=2").await })
        })
        .collect();
    for scrape in scrapes {
        let reply = scrape.await.unwrap();
        assert_eq!(reply.status, 200);
        assert!(reply.complete && reply.body == expected);
    }
}

#[tokio::test]
async fn http_2_is_spoken_to_those_who_begin_with_it() {
    let server = start(many(50), Limits::default()).await;
    // Another test may have been first; any provider will do.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().http2_prior_knowledge().build().unwrap();
    let requests = (0..20).map(|_| client.get(format!("http://{}/metrics?shard=1&of=2", server.address)).send());
    for reply in futures_util::future::join_all(requests).await {
        let reply = reply.unwrap();
        assert_eq!((reply.version(), reply.status().as_u16()), (http::Version::HTTP_2, 200));
        assert!(reply.text().await.unwrap().contains("probe_up_seconds_total{"));
    }
    assert_eq!(server.end().await, Served { connections: 1, cut_off: 0 });
}

#[tokio::test]
async fn a_stop_ends_idle_connections_and_lets_requests_finish() {
    let server = start(many(4000), Limits::default()).await;
    let mut idle = server.connect().await;
    let mut buffer = [0; 1024];
    idle.write_all(b"GET /-/healthy HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert_ne!(idle.read(&mut buffer).await.unwrap(), 0);
    let mut silent = server.connect().await;
    let mut busy = server.stall().await;
    server.stop.cancel();
    assert!(read_all(&mut idle).await.is_empty());
    assert!(read_all(&mut silent).await.is_empty());
    let page = Reply::parse(&read_all(&mut busy).await);
    assert!(page.complete, "the page under way came to its end");
    assert_eq!(server.end().await, Served { connections: 3, cut_off: 0 });
}

#[tokio::test]
async fn a_stop_does_not_wait_for_ever() {
    let server = start(many(4000), Limits { grace: Duration::from_millis(50), ..Limits::default() }).await;
    let address = server.address;
    let _stalled = server.stall().await;
    assert_eq!(server.end().await, Served { connections: 1, cut_off: 1 });
    assert!(TcpStream::connect(address).await.is_err(), "no longer listening");
}
