//! Peers that misbehave by design, on 127.0.0.1 and a port of their own. They end when dropped.

pub(crate) mod dns;
pub(crate) mod grpc;
pub(crate) mod http;
pub(crate) mod http2;
pub(crate) mod proxy;
pub(crate) mod tcp;
pub(crate) mod unix;
pub(crate) mod websocket;

pub(crate) use dns::dns;
pub(crate) use http::http;
pub(crate) use http2::http2;
pub(crate) use tcp::tcp;
pub(crate) use unix::unix;
pub(crate) use websocket::websocket;

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

use super::runtime;

/// What a peer does with a connection when it has had enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// An orderly end: FIN, then read until the client goes.
    Close,
    /// RST.
    Reset,
    /// Nothing, until the client goes.
    Stay,
}

/// Plain or inside TLS.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {
    fn tcp(&self) -> &TcpStream;
}

impl Stream for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

impl Stream for tokio_rustls::server::TlsStream<TcpStream> {
    fn tcp(&self) -> &TcpStream {
        self.get_ref().0
    }
}

impl End {
    async fn apply(self, mut stream: impl Stream) {
        match self {
            Self::Close => {
                let _ = tokio::io::AsyncWriteExt::shutdown(&mut stream).await;
                drain(&mut stream).await;
            }
            Self::Stay => drain(&mut stream).await,
            Self::Reset => {
                let _ = stream.tcp().set_zero_linger();
            }
        }
    }
}

async fn drain(stream: &mut (impl AsyncRead + Unpin)) {
    let mut buffer = [0; 4096];
    while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
}

/// Listens and gives every connection to `serve`.
pub(crate) struct Listening {
    pub(crate) address: SocketAddr,
    task: AbortHandle,
}

impl Listening {
    fn start<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = runtime().block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).unwrap();
        Self::on(listener, serve)
    }

    fn on<F>(listener: TcpListener, serve: impl Fn(TcpStream) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let address = listener.local_addr().unwrap();
        let task = runtime().spawn(async move {
            // Dropped with this task, and the connections with it.
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    Ok((stream, _)) = listener.accept() => {
                        connections.spawn(serve(stream));
                    }
                    Some(_) = connections.join_next() => {}
                }
            }
        });
        Self { address, task: task.abort_handle() }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.task.abort();
    }
}
