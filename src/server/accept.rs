//! Takes connections: bounds them, drives each in a task of its own, ends them in good order.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};

use super::Limits;
use super::routes::Site;
use super::watch::{Activity, Overdue, Watched};

/// Where connections come from.
#[derive(Debug)]
pub enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Self {
        Self::Tcp(listener)
    }
}

impl Listener {
    /// For people.
    pub fn address(&self) -> String {
        match self {
            Self::Tcp(listener) => listener.local_addr().map_or_else(|_| "?".to_owned(), |address| address.to_string()),
            Self::Unix(listener) => {
                let address = listener.local_addr().ok();
                let path = address.as_ref().and_then(|address| address.as_pathname());
                path.map_or_else(|| "unix:?".to_owned(), |path| format!("unix:{}", path.display()))
            }
        }
    }

    /// Of TCP.
    pub fn port(&self) -> Option<u16> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok().map(|address| address.port()),
            Self::Unix(_) => None,
        }
    }

    async fn accept(&self) -> io::Result<Socket> {
        match self {
            Self::Tcp(listener) => listener.accept().await.map(|(socket, _)| Socket::Tcp(socket)),
            Self::Unix(listener) => listener.accept().await.map(|(socket, _)| Socket::Unix(socket)),
        }
    }
}

/// A connection as it was accepted.
enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A connection, with TLS or without.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// How serving went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Served {
    /// Connections accepted.
    pub connections: u64,
    /// Connections that were still open when the grace ended.
    pub cut_off: usize,
}

/// Said to one connection too many, without reading what it wants.
const BUSY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain; charset=utf-8\r\n\
content-length: 50\r\nretry-after: 5\r\nconnection: close\r\n\r\ntoo many connections are open; try again in a bit\n";

/// One open connection, as the accept loop sees it.
struct Open {
    activity: Activity,
    task: AbortHandle,
}

/// Accepts until `stop`. The loop never ends by itself: an error of one connection is that connection's, and
/// when the process is out of files it waits a little.
pub(super) async fn run(listener: Listener, site: Arc<Site>, limits: Limits, stop: CancellationToken) -> Served {
    let builder = Arc::new(builder(&limits));
    let mut tasks = JoinSet::new();
    let mut open: HashMap<Id, Open> = HashMap::new();
    let mut served = Served::default();
    let mut exhausted = false;
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(ended) = tasks.join_next_with_id() => {
                forget(&mut open, &site, ended);
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok(socket) => {
                exhausted = false;
                served.connections += 1;
                if open.len() >= limits.connections && !evict(&mut open) {
                    site.count(http::StatusCode::SERVICE_UNAVAILABLE);
                    refuse(socket);
                    continue;
                }
                let activity = Activity::new();
                let connection =
                    connection(socket, activity.clone(), Arc::clone(&builder), Arc::clone(&site), limits, stop.clone());
                let task = tasks.spawn(connection);
                open.insert(task.id(), Open { activity, task });
            }
            Err(error) if is_the_connections(&error) => debug!(%error, "Connection ended before it was accepted."),
            Err(error) => {
                // Once, not ten times a second. An idle connection's file may be the one that is wanting.
                if !exhausted {
                    exhausted = true;
                    warn!(%error, "Cannot accept connections; trying again.");
                }
                evict(&mut open);
                tokio::select! {
                    () = tokio::time::sleep(Duration::from_millis(100)) => {}
                    () = stop.cancelled() => break,
                }
            }
        }
    }
    drop(listener);
    let drain = async { while tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(limits.grace, drain).await.is_err() {
        served.cut_off = tasks.len();
        tasks.shutdown().await;
    }
    served
}

fn builder(limits: &Limits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        // `watch` does that.
        .header_read_timeout(None)
        .max_buf_size(limits.head_bytes.max(8192))
        .max_headers(limits.headers);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(limits.head_bytes).unwrap_or(u32::MAX))
        .max_concurrent_streams(32)
        .max_send_buf_size(128 * 1024)
        // Bodies are not read, so there is no need to take much of them in.
        .initial_stream_window_size(64 * 1024)
        .initial_connection_window_size(64 * 1024)
        // Against rapid resets (CVE-2023-44487 and CVE-2025-8671).
        .max_pending_accept_reset_streams(20)
        .max_local_error_reset_streams(64);
    builder
}

/// Serves one connection until it ends, has had its time, or `stop` and its requests are done.
async fn connection(
    socket: Socket,
    activity: Activity,
    builder: Arc<auto::Builder<TokioExecutor>>,
    site: Arc<Site>,
    limits: Limits,
    stop: CancellationToken,
) {
    let socket: Box<dyn Stream> = match socket {
        Socket::Tcp(socket) => {
            // A page is written in large pieces; waiting to fill a segment only delays its end.
            let _ = socket.set_nodelay(true);
            Box::new(Watched::new(socket, activity.clone()))
        }
        Socket::Unix(socket) => Box::new(Watched::new(socket, activity.clone())),
    };
    let socket = match site.web().acceptor().await {
        None => socket,
        Some(acceptor) => {
            // As long as a head may take; a stop does not wait for a handshake.
            let handshake = tokio::time::timeout(limits.head, acceptor.accept(socket));
            match stop.run_until_cancelled(handshake).await {
                Some(Ok(Ok(stream))) => Box::new(stream) as Box<dyn Stream>,
                Some(Ok(Err(error))) => {
                    debug!(%error, "TLS handshake failed.");
                    return;
                }
                Some(Err(_)) | None => return,
            }
        }
    };
    let socket = TokioIo::new(socket);
    let requests = activity.clone();
    let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
        let in_flight = requests.request(request.version());
        let site = Arc::clone(&site);
        async move { Ok::<_, Infallible>(site.answer(request, in_flight).await) }
    });
    let mut http = std::pin::pin!(builder.serve_connection(socket, service));
    let mut tick = tokio::time::interval(limits.tick());
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut closing = false;
    loop {
        tokio::select! {
            result = http.as_mut() => {
                if let Err(error) = result {
                    debug!(%error, "Connection ended with an error.");
                }
                return;
            }
            () = stop.cancelled(), if !closing => {
                closing = true;
                http.as_mut().graceful_shutdown();
            }
            _ = tick.tick() => match activity.overdue(&limits, Instant::now()) {
                None => {}
                Some(Overdue::Idle) if !closing => {
                    closing = true;
                    http.as_mut().graceful_shutdown();
                }
                Some(why) => {
                    debug!(?why, "Connection had its time.");
                    return;
                }
            },
        }
    }
}

fn forget(open: &mut HashMap<Id, Open>, site: &Site, ended: Result<(Id, ()), JoinError>) {
    match ended {
        Ok((id, ())) => {
            open.remove(&id);
        }
        Err(error) => {
            open.remove(&error.id());
            if error.is_panic() {
                site.panicked();
                error!(%error, "Serving a connection panicked.");
            }
        }
    }
}

/// Ends the connection that has been idle the longest. Whether there was one.
fn evict(open: &mut HashMap<Id, Open>) -> bool {
    let oldest =
        open.iter().filter_map(|(id, open)| Some((open.activity.idle_since()?, *id))).min_by_key(|(at, _)| *at);
    let Some(evicted) = oldest.and_then(|(_, id)| open.remove(&id)) else { return false };
    evicted.task.abort();
    true
}

/// Says so and hangs up, without waiting for anything.
fn refuse(socket: Socket) {
    // To a client that wants TLS, or is on this machine, an end says as much.
    let Socket::Tcp(socket) = socket else { return };
    // A fresh socket's buffer takes so little at once; where it does not, the client sees the end all the same.
    if let Ok(mut socket) = socket.into_std() {
        let _ = socket.write(BUSY);
        let _ = socket.shutdown(std::net::Shutdown::Write);
    }
}

/// Errors of `accept` that belong to the connection that was about to be accepted.
fn is_the_connections(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_refusal_is_as_long_as_it_says() {
        let text = String::from_utf8_lossy(BUSY);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_default();
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{}", body.len());
    }
}
