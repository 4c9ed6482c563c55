//! The UDP socket of a run: connected, so that the kernel tells of ICMP errors, and with a bound on what it takes in
//! without any of it being of use.

use std::future::Future;
use std::io::{self, ErrorKind, IoSliceMut};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};
use tokio::net::UdpSocket;

use super::super::trace::HopTrace;
use super::reason;
use crate::observation::{Failure, Reason};
use crate::probe::tls;

/// Bytes from the peer between two pieces of progress (the handshake, the head, a piece of the body). h3 keeps whole
/// frames of other kinds in memory, whatever their size; so this bounds the memory of a run as well.
const MAX_IDLE_BYTES: u64 = 4 << 20;

/// What is wrong with the socket, and who waits to hear of it.
pub(super) struct Fault {
    hop: Arc<HopTrace>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    found: Option<Faulted>,
    waiting: Option<Waker>,
    bytes: u64,
    /// The head of the answer came.
    answered: bool,
}

#[derive(Debug)]
pub(super) enum Faulted {
    Io(io::Error),
    Flood,
    /// The peer takes no request of ours.
    GoneAway,
    /// The peer pushes, which it was not allowed to.
    Pushed,
}

impl Fault {
    pub(super) fn new(hop: Arc<HopTrace>) -> Self {
        Self { hop, inner: Mutex::default() }
    }

    /// Ready once something is wrong.
    pub(super) fn poll(&self, cx: &mut Context<'_>) -> Poll<Faulted> {
        let mut inner = self.lock();
        match inner.found.take() {
            Some(found) => Poll::Ready(found),
            None => {
                inner.waiting = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// What came so far was of use.
    pub(super) fn progressed(&self) {
        self.lock().bytes = 0;
    }

    /// The head of the answer came.
    pub(super) fn answered(&self) {
        let mut inner = self.lock();
        inner.bytes = 0;
        inner.answered = true;
    }

    /// The peer said this; once it answers, that counts.
    pub(super) fn instead_of_an_answer(&self, what: Faulted) {
        if !self.lock().answered {
            self.raise(what);
        }
    }

    fn received(&self, bytes: usize) {
        self.hop.peer_answered();
        let mut inner = self.lock();
        inner.bytes = inner.bytes.saturating_add(bytes as u64);
        if inner.bytes > MAX_IDLE_BYTES {
            drop(inner);
            self.raise(Faulted::Flood);
        }
    }

    fn raise(&self, what: Faulted) {
        let mut inner = self.lock();
        inner.found.get_or_insert(what);
        if let Some(waker) = inner.waiting.take() {
            waker.wake();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Faulted {
    pub(super) fn explain(&self, peer: SocketAddr, connected: bool) -> Failure {
        match self {
            Self::Flood => Failure::new(
                Reason::ProtocolError,
                format!("{peer} sent more than {} MiB in which there was no answer", MAX_IDLE_BYTES >> 20),
            ),
            Self::Io(error) if connected && error.kind() == ErrorKind::ConnectionRefused => Failure::new(
                Reason::ConnectReset,
                format!("{peer} closed its UDP port in the middle of the exchange (ICMP port unreachable)"),
            ),
            Self::Io(error) if error.kind() == ErrorKind::ConnectionRefused => Failure::new(
                Reason::ConnectRefused,
                format!("cannot connect to {peer} by QUIC: nothing listens on this UDP port (ICMP port unreachable)"),
            ),
            Self::Io(error) => tls::classify_connect(error, peer),
            Self::GoneAway => reason::gone_away(),
            Self::Pushed => Failure::new(
                Reason::ProtocolError,
                "the peer broke the rules of HTTP/3: it pushes, which it was not asked to (H3_ID_ERROR)",
            ),
        }
    }
}

/// A socket that speaks with one peer.
#[derive(Debug)]
pub(super) struct Wire {
    socket: UdpSocket,
    peer: SocketAddr,
    fault: Arc<Fault>,
}

impl std::fmt::Debug for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fault")
    }
}

impl Wire {
    pub(super) async fn connect(peer: SocketAddr, fault: Arc<Fault>) -> io::Result<Self> {
        let any: SocketAddr =
            if peer.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
        let socket = UdpSocket::bind(any).await?;
        socket.connect(peer).await?;
        Ok(Self { socket, peer, fault })
    }
}

impl AsyncUdpSocket for Wire {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Writable { wire: self, waiting: Mutex::new(None) })
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        match self.socket.try_send(transmit.contents) {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Err(error),
            // Lost, as far as QUIC is concerned: EMSGSIZE is of a path whose MTU is small.
            Err(error) => {
                if error.raw_os_error() != Some(nix::libc::EMSGSIZE) {
                    self.fault.raise(Faulted::Io(error));
                }
                Ok(())
            }
        }
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let (Some(buffer), Some(meta)) = (bufs.first_mut(), meta.first_mut()) else { return Poll::Ready(Ok(0)) };
        loop {
            if let Err(error) = ready!(self.socket.poll_recv_ready(cx)) {
                self.fault.raise(Faulted::Io(error));
                return Poll::Pending;
            }
            match self.socket.try_recv(buffer) {
                Ok(length) => {
                    self.fault.received(length);
                    *meta = RecvMeta { addr: self.peer, len: length, stride: length, ecn: None, dst_ip: None };
                    return Poll::Ready(Ok(1));
                }
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Err(error) => self.fault.raise(Faulted::Io(error)),
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }
}

type Waiting = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

/// Waits for room to send.
struct Writable {
    wire: Arc<Wire>,
    waiting: Mutex<Option<Waiting>>,
}

impl std::fmt::Debug for Writable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Writable")
    }
}

impl UdpPoller for Writable {
    fn poll_writable(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let waiting = this.waiting.get_mut().unwrap_or_else(PoisonError::into_inner);
        let wire = &this.wire;
        let future = waiting.get_or_insert_with(|| {
            let wire = Arc::clone(wire);
            Box::pin(async move { wire.socket.writable().await })
        });
        let result = ready!(future.as_mut().poll(cx));
        *waiting = None;
        Poll::Ready(result)
    }
}
