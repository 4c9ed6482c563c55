//! The server on real sockets: `routes` asks for everything, `clients` are those that do not behave.

#![allow(clippy::unwrap_used)]

mod clients;
mod routes;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Context, Limits, ProbeEndpoint, ProbeOptions, ReloadRequest, Served, accept, routes::Site};
use crate::config::Config;
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
        ..Config::default()
    };
    let (config_sender, config) = watch::channel(Arc::new(config));
    let (ready_sender, ready) = watch::channel(false);
    let (reload, reloads) = mpsc::channel(1);
    let telemetry = Arc::new(Telemetry::new());
    let (_, shared) = watch::channel(Arc::default());
    let probe = ProbeEndpoint::new(config.clone(), shared, Arc::clone(&telemetry), ProbeOptions::default());
    let context = Context {
        state: State::default(),
        dependencies: crate::cause::Dependencies::default(),
        telemetry: Arc::clone(&telemetry),
        config,
        reload,
        ready,
        probe: Arc::new(probe),
        web: super::Web::default(),
        external: super::External::default(),
    };
    let snapshots = move |keep: &dyn Fn(&crate::config::Target) -> bool| Snapshot {
        taken: snapshot.taken,
        targets: snapshot.targets.iter().filter(|target| keep(&target.target)).cloned().collect(),
    };
    let site = Arc::new(Site::with_snapshots(context, limits, Box::new(snapshots)));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let served = tokio::spawn(accept::run(listener.into(), site, limits, stop.clone()));
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
