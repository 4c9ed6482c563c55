//! HTTP servers: what they answer is a value, and may change with each request or while they run.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::{End, Listening, Stream};
use crate::support::PATIENCE;

/// An answer, or what there is of it.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    status: u16,
    headers: String,
    body: Vec<u8>,
    chunked: bool,
    /// Sent as it is, in place of all of the above.
    raw: Option<Vec<u8>>,
    stop: Stop,
    end: End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    Never,
    BeforeHead,
    InHead,
    InBody,
}

/// 200 and `ok`, unless told otherwise.
pub(crate) fn http() -> Answer {
    Answer {
        status: 200,
        headers: String::new(),
        body: b"ok".to_vec(),
        chunked: false,
        raw: None,
        stop: Stop::Never,
        end: End::Close,
    }
}

impl Answer {
    pub(crate) fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push_str(&format!("{name}: {value}\r\n"));
        self
    }

    pub(crate) fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = body.as_ref().to_vec();
        self
    }

    pub(crate) fn chunked(mut self) -> Self {
        self.chunked = true;
        self
    }

    /// These bytes, whatever they are.
    pub(crate) fn raw(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.raw = Some(bytes.as_ref().to_vec());
        self
    }

    pub(crate) fn redirect(self, location: &str) -> Self {
        self.status(302).header("Location", location)
    }

    /// Reads the request, sends nothing, and then this.
    pub(crate) fn no_head(mut self, end: End) -> Self {
        (self.stop, self.end) = (Stop::BeforeHead, end);
        self
    }

    /// Sends half of the head, and then this.
    pub(crate) fn half_a_head(mut self, end: End) -> Self {
        (self.stop, self.end) = (Stop::InHead, end);
        self
    }

    /// Sends the head and half of the body, and then this.
    pub(crate) fn half_a_body(mut self, end: End) -> Self {
        (self.stop, self.end) = (Stop::InBody, end);
        self
    }

    fn bytes(&self) -> Vec<u8> {
        if let Some(raw) = &self.raw {
            return raw.clone();
        }
        let Self { status, headers, .. } = self;
        let mut bytes = format!("HTTP/1.1 {status} Status\r\n{headers}Connection: close\r\n").into_bytes();
        if self.stop == Stop::InHead {
            return bytes;
        }
        let half = if self.stop == Stop::InBody { self.body.len() / 2 } else { self.body.len() };
        let body = &self.body[..half];
        if self.chunked {
            bytes.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
            bytes.extend_from_slice(format!("{:x}\r\n", body.len()).as_bytes());
            bytes.extend_from_slice(body);
            bytes.extend_from_slice(if self.stop == Stop::InBody { b"\r\n" } else { b"\r\n0\r\n\r\n" });
        } else {
            bytes.extend_from_slice(format!("Content-Length: {}\r\n\r\n", self.body.len()).as_bytes());
            bytes.extend_from_slice(body);
        }
        bytes
    }

    async fn send(&self, mut stream: impl Stream) {
        if self.stop != Stop::BeforeHead {
            let _ = stream.write_all(&self.bytes()).await;
            let _ = stream.flush().await;
        }
        self.end.apply(stream).await;
    }

    /// Gives this answer to everyone.
    pub(crate) fn start(self) -> HttpPeer {
        HttpPeer::start(None, move |_| self.clone())
    }

    pub(crate) fn start_tls(self, config: Arc<ServerConfig>) -> HttpPeer {
        HttpPeer::start(Some(config), move |_| self.clone())
    }
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// Counted from 1, over all connections.
    pub(crate) number: usize,
    pub(crate) head: String,
    pub(crate) at: Instant,
}

impl Request {
    pub(crate) fn path(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }
}

type Handler = Box<dyn Fn(&Request) -> Answer + Send + Sync>;

#[derive(Default)]
struct Shared {
    requests: Mutex<Vec<Request>>,
    arrived: Condvar,
    handler: Mutex<Option<Arc<Handler>>>,
}

/// A running server.
pub(crate) struct HttpPeer {
    listening: Listening,
    shared: Arc<Shared>,
    secure: bool,
}

impl HttpPeer {
    pub(crate) fn start(
        tls: Option<Arc<ServerConfig>>,
        handler: impl Fn(&Request) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let shared = Arc::new(Shared::default());
        *shared.handler.lock().unwrap() = Some(Arc::new(Box::new(handler)));
        let serving = Arc::clone(&shared);
        let secure = tls.is_some();
        let listening = Listening::start(move |stream| {
            let (shared, tls) = (Arc::clone(&serving), tls.clone());
            async move {
                match tls {
                    None => serve(stream, &shared).await,
                    Some(config) => {
                        if let Ok(stream) = TlsAcceptor::from(config).accept(stream).await {
                            serve(stream, &shared).await;
                        }
                    }
                }
            }
        });
        Self { listening, shared, secure }
    }

    /// From now on the answer is this one.
    pub(crate) fn becomes(&self, answer: Answer) {
        self.becomes_by(move |_| answer.clone());
    }

    pub(crate) fn becomes_by(&self, handler: impl Fn(&Request) -> Answer + Send + Sync + 'static) {
        *self.shared.handler.lock().unwrap() = Some(Arc::new(Box::new(handler)));
    }

    pub(crate) fn url(&self) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        format!("{scheme}://{}", self.listening.address)
    }

    pub(crate) fn address(&self) -> std::net::SocketAddr {
        self.listening.address
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// Waits until so many requests have come.
    pub(crate) fn wait_for_requests(&self, count: usize) {
        self.wait_until(&format!("{count} requests have come"), |requests| requests.len() >= count);
    }

    /// Looks at each request that comes, until `met`.
    pub(crate) fn wait_until(&self, what: &str, met: impl Fn(&[Request]) -> bool) {
        let requests = self.shared.requests.lock().unwrap();
        let (requests, timeout) =
            self.shared.arrived.wait_timeout_while(requests, PATIENCE, |requests| !met(requests)).unwrap();
        assert!(!timeout.timed_out(), "gave up waiting: {what}; {} requests came", requests.len());
    }
}

async fn serve(mut stream: impl Stream, shared: &Shared) {
    let Some(head) = read_head(&mut stream).await else { return };
    let request = {
        let mut requests = shared.requests.lock().unwrap();
        let request = Request { number: requests.len() + 1, head, at: Instant::now() };
        requests.push(request.clone());
        request
    };
    let handler = shared.handler.lock().unwrap().clone();
    let answer = handler.as_ref().map(|handler| handler(&request));
    shared.arrived.notify_all();
    if let Some(answer) = answer {
        answer.send(stream).await;
    }
}

pub(super) async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut bytes = Vec::new();
    while !bytes.windows(4).any(|window| window == b"\r\n\r\n") {
        if bytes.len() > 1 << 20 || stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    String::from_utf8(bytes[..end].to_vec()).ok()
}

/// Copies both ways until both are done.
pub(super) async fn tunnel(mut client: TcpStream, to: std::net::SocketAddr) {
    if let Ok(mut server) = TcpStream::connect(to).await {
        let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
    }
}
