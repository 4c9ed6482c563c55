//! Peers that speak no protocol, or too little of one.

use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use rustls::ServerConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::{End, Listening, Stream};
use crate::support::runtime;

/// What a connection sees, in order: a greeting, then for each line that it sends an answer, then the end.
#[derive(Clone, Debug)]
pub(crate) struct Dialogue {
    greeting: Vec<u8>,
    answers: Vec<(String, Vec<u8>)>,
    end: End,
    /// From the start, or after this line.
    tls: Option<(Option<String>, Arc<ServerConfig>)>,
}

/// Accepts and stays silent, unless told more.
pub(crate) fn tcp() -> Dialogue {
    Dialogue { greeting: Vec::new(), answers: Vec::new(), end: End::Stay, tls: None }
}

impl Dialogue {
    pub(crate) fn greets(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.greeting = bytes.as_ref().to_vec();
        self
    }

    /// Answers the next line, which has to begin with `line`.
    pub(crate) fn answers(mut self, line: &str, bytes: impl AsRef<[u8]>) -> Self {
        self.answers.push((line.to_owned(), bytes.as_ref().to_vec()));
        self
    }

    /// What it does in the end.
    pub(crate) fn then(mut self, end: End) -> Self {
        self.end = end;
        self
    }

    pub(crate) fn over_tls(mut self, config: Arc<ServerConfig>) -> Self {
        self.tls = Some((None, config));
        self
    }

    /// Goes over to TLS once the answer to `line` is sent.
    pub(crate) fn starttls(mut self, line: &str, config: Arc<ServerConfig>) -> Self {
        self.tls = Some((Some(line.to_owned()), config));
        self
    }

    pub(crate) fn start(self) -> Listening {
        Listening::start(move |stream| self.clone().serve(stream))
    }

    async fn serve(self, mut stream: TcpStream) {
        match self.tls.clone() {
            None => {
                let _ = self.speak(stream, true, None).await;
            }
            Some((None, config)) => {
                if let Ok(stream) = TlsAcceptor::from(config).accept(stream).await {
                    let _ = self.speak(stream, true, None).await;
                }
            }
            Some((Some(line), config)) => {
                let Some(rest) = self.until(&mut stream, &line).await else { return };
                if let Ok(stream) = TlsAcceptor::from(config).accept(stream).await {
                    let _ = self.speak(stream, false, Some(rest)).await;
                }
            }
        }
    }

    /// Speaks in the clear up to the line after which TLS begins; how many answers were used.
    async fn until(&self, stream: &mut TcpStream, last: &str) -> Option<usize> {
        stream.write_all(&self.greeting).await.ok()?;
        for (index, (line, answer)) in self.answers.iter().enumerate() {
            if !read_line(stream).await?.starts_with(line.as_str()) {
                return None;
            }
            stream.write_all(answer).await.ok()?;
            if line == last {
                return Some(index + 1);
            }
        }
        None
    }

    async fn speak(self, mut stream: impl Stream, greet: bool, skip: Option<usize>) -> Option<()> {
        if greet {
            stream.write_all(&self.greeting).await.ok()?;
            stream.flush().await.ok()?;
        }
        for (line, answer) in self.answers.iter().skip(skip.unwrap_or(0)) {
            if !read_line(&mut stream).await?.starts_with(line.as_str()) {
                return None;
            }
            stream.write_all(answer).await.ok()?;
            stream.flush().await.ok()?;
        }
        self.end.apply(stream).await;
        Some(())
    }
}

async fn read_line(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> Option<String> {
    let mut line = Vec::new();
    loop {
        match stream.read_u8().await.ok()? {
            b'\n' => return String::from_utf8(line).ok(),
            byte => line.push(byte),
        }
    }
}

/// A port on which nothing listens unless it is told to. It stays bound, so that nobody else gets it meanwhile.
pub(crate) struct Port {
    pub(crate) address: SocketAddr,
    _held: TcpSocket,
}

pub(crate) fn port() -> Port {
    let held = shared_socket((Ipv4Addr::LOCALHOST, 0).into());
    Port { address: held.local_addr().unwrap(), _held: held }
}

/// A port that refuses.
pub(crate) fn refusing() -> Port {
    port()
}

impl Port {
    /// Takes connections into its queue, until it is dropped.
    pub(crate) fn listen(&self) -> TcpListener {
        let _guard = runtime().enter();
        shared_socket(self.address).listen(1024).unwrap()
    }
}

/// Two of these may have the same port at the same time.
fn shared_socket(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseport(true).unwrap();
    socket.bind(address).unwrap();
    socket
}

/// Its queue is full, so further connection attempts get no answer.
pub(crate) struct BlackHole {
    pub(crate) address: SocketAddr,
    _listener: TcpListener,
    _queue: Vec<Pin<Box<dyn Future<Output = std::io::Result<TcpStream>> + Send>>>,
}

pub(crate) fn black_hole() -> BlackHole {
    let _guard = runtime().enter();
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queue: Vec<Pin<Box<dyn Future<Output = _> + Send>>> = Vec::new();
    runtime().block_on(async {
        // Linux lets one more in than was asked for. On loopback an attempt is queued or dropped within the system
        // call that the first poll makes, so there is nothing to wait for.
        for _ in 0..4 {
            let mut attempt = Box::pin(TcpStream::connect(address));
            let polled = std::future::poll_fn(|cx| Poll::Ready(attempt.as_mut().poll(cx))).await;
            match polled {
                Poll::Pending => queue.push(attempt),
                Poll::Ready(stream) => queue.push(Box::pin(std::future::ready(stream))),
            }
        }
    });
    BlackHole { address, _listener: listener, _queue: queue }
}
