//! One packet that may go so many hops and no more, on a socket of its own, and what comes back.

use std::future::pending;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::sync::Arc;

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, SockaddrStorage, bind, connect, getpeername, getsockname, getsockopt,
    recv, send, setsockopt, socket, sockopt,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::config::IpFamily;
use crate::observation::Protocol;
use crate::probe::error_queue::{IcmpError, Reader};
use crate::probe::icmp::{EchoAnswer, echo};
use crate::probe::tls::io_text;

/// For a datagram, and for what a router quotes of ours.
const ROOM: usize = 2048;
/// Errors in a row after which a socket is not listened to any more.
const PATIENCE: u32 = 16;

/// What is sent along the way.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Packet {
    /// A SYN.
    Tcp {
        port: u16,
    },
    /// Something that the service answers.
    Udp {
        port: u16,
        payload: Arc<[u8]>,
    },
    Echo,
}

/// Where a packet goes.
#[derive(Clone, Debug)]
pub(super) struct Sender {
    pub(super) to: IpAddr,
    pub(super) source: Option<IpAddr>,
    pub(super) packet: Packet,
}

/// What came back.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Answer {
    /// A router at which the hop limit ran out, if the kernel told which.
    Passed(Option<IpAddr>),
    /// The target itself.
    Reached(Reply),
    /// Somebody said that it goes no further.
    Refused(IcmpError),
    /// This host did not send it; what it says.
    NotSent(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// As a service does.
    Served,
    /// Nothing listens on the port.
    Closed,
}

impl Packet {
    pub(super) fn protocol(&self) -> Protocol {
        match self {
            Self::Tcp { .. } => Protocol::Tcp,
            Self::Udp { .. } => Protocol::Udp,
            Self::Echo => Protocol::Icmp,
        }
    }

    pub(super) fn port(&self) -> Option<u16> {
        match self {
            Self::Tcp { port } | Self::Udp { port, .. } => Some(*port),
            Self::Echo => None,
        }
    }
}

impl Answer {
    /// Whether a packet with a larger hop limit would get no further.
    pub(super) fn is_end(&self) -> bool {
        match self {
            Self::Passed(_) => false,
            Self::Reached(_) | Self::Refused(_) | Self::NotSent(_) => true,
        }
    }

    /// Who sent it.
    pub(super) fn from(&self, to: IpAddr) -> Option<IpAddr> {
        match self {
            Self::Passed(router) => *router,
            Self::Reached(_) => Some(to),
            Self::Refused(error) => error.router,
            Self::NotSent(_) => None,
        }
    }
}

impl Sender {
    fn family(&self) -> IpFamily {
        IpFamily::of(self.to)
    }

    /// Sends one packet and waits for what becomes of it. The caller bounds that; dropped, it leaves nothing behind.
    ///
    /// # Errors
    /// The exporter's own trouble, which says nothing of the way.
    pub(super) async fn send(&self, hop_limit: u8) -> io::Result<Answer> {
        let sent = match &self.packet {
            Packet::Tcp { port } => self.tcp(*port, hop_limit).await,
            Packet::Udp { port, payload } => self.udp(*port, payload, hop_limit).await,
            Packet::Echo => match echo(self.to, self.source, hop_limit).await {
                Ok(EchoAnswer::Reply) => Ok(Answer::Reached(Reply::Served)),
                Ok(EchoAnswer::Error(error)) => Ok(self.said(error)),
                Err(error) => Err(error),
            },
        };
        match sent {
            Err(error) if is_local_routing(&error) => Ok(Answer::NotSent(io_text(&error))),
            other => other,
        }
    }

    /// The address that this host's packets to the target come from.
    ///
    /// # Errors
    /// There is no way there, or the exporter is in trouble; [`is_local_routing`] tells.
    pub(super) fn own_address(&self) -> io::Result<IpAddr> {
        const DISCARD: u16 = 9;
        let fd = self.open(SockType::Datagram)?;
        connect(fd.as_raw_fd(), &SockaddrStorage::from(SocketAddr::new(self.to, DISCARD)))?;
        let own: SockaddrStorage = getsockname(fd.as_raw_fd())?;
        let v4 = own.as_sockaddr_in().map(|own| IpAddr::V4(own.ip()));
        let own = v4.or_else(|| own.as_sockaddr_in6().map(|own| IpAddr::V6(own.ip())));
        own.ok_or_else(|| ErrorKind::AddrNotAvailable.into())
    }

    async fn tcp(&self, port: u16, hop_limit: u8) -> io::Result<Answer> {
        let fd = self.open(SockType::Stream)?;
        self.limit(&fd, hop_limit)?;
        match connect(fd.as_raw_fd(), &SockaddrStorage::from(SocketAddr::new(self.to, port))) {
            Ok(()) | Err(Errno::EINPROGRESS) => {}
            Err(error) => return Err(error.into()),
        }
        let interest = Interest::READABLE | Interest::WRITABLE | Interest::ERROR;
        let fd = watched(fd, interest)?;
        let mut reader = Reader::with_room(ROOM);
        loop {
            let mut ready = fd.ready(interest).await?;
            if let Some(error) = queued(fd.get_ref(), &mut reader, self.family())? {
                return Ok(self.said(error));
            }
            match getsockopt(fd.get_ref(), sockopt::SocketError)? {
                0 if getpeername::<SockaddrStorage>(fd.get_ref().as_raw_fd()).is_ok() => {
                    return Ok(Answer::Reached(Reply::Served));
                }
                0 => ready.clear_ready(),
                libc::ECONNREFUSED => return Ok(Answer::Reached(Reply::Closed)),
                // The kernel has given up; the caller will too.
                libc::ETIMEDOUT => return pending().await,
                code => return Err(io::Error::from_raw_os_error(code)),
            }
        }
    }

    async fn udp(&self, port: u16, payload: &[u8], hop_limit: u8) -> io::Result<Answer> {
        let fd = self.open(SockType::Datagram)?;
        self.limit(&fd, hop_limit)?;
        connect(fd.as_raw_fd(), &SockaddrStorage::from(SocketAddr::new(self.to, port)))?;
        send(fd.as_raw_fd(), payload, MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL)?;
        let interest = Interest::READABLE | Interest::ERROR;
        let fd = watched(fd, interest)?;
        let mut reader = Reader::with_room(ROOM);
        let mut failures = 0;
        loop {
            let mut ready = fd.ready(interest).await?;
            if let Some(error) = queued(fd.get_ref(), &mut reader, self.family())? {
                return Ok(self.said(error));
            }
            match recv(fd.get_ref().as_raw_fd(), &mut [0; ROOM], MsgFlags::MSG_DONTWAIT) {
                Ok(_) => return Ok(Answer::Reached(Reply::Served)),
                Err(Errno::EAGAIN) => ready.clear_ready(),
                // What the error queue has the whole of.
                Err(error) if failures == PATIENCE => return Err(error.into()),
                Err(_) => failures += 1,
            }
        }
    }

    fn open(&self, kind: SockType) -> io::Result<OwnedFd> {
        let domain = match self.family() {
            IpFamily::V4 => AddressFamily::Inet,
            IpFamily::V6 => AddressFamily::Inet6,
        };
        let fd = socket(domain, kind, SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC, None)?;
        let unspecified = match self.family() {
            IpFamily::V4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            IpFamily::V6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        let source = self.source.unwrap_or(unspecified);
        bind(fd.as_raw_fd(), &SockaddrStorage::from(SocketAddr::new(source, 0)))?;
        Ok(fd)
    }

    /// How far the packets go, and that the kernel tells who says what about them.
    fn limit(&self, fd: &OwnedFd, hop_limit: u8) -> io::Result<()> {
        match self.family() {
            IpFamily::V4 => {
                setsockopt(fd, sockopt::Ipv4Ttl, &i32::from(hop_limit))?;
                setsockopt(fd, sockopt::Ipv4RecvErr, &true)?;
            }
            IpFamily::V6 => {
                setsockopt(fd, sockopt::Ipv6Ttl, &i32::from(hop_limit))?;
                setsockopt(fd, sockopt::Ipv6RecvErr, &true)?;
            }
        }
        Ok(())
    }

    fn said(&self, error: IcmpError) -> Answer {
        if error.is_hop_limit() {
            Answer::Passed(error.router)
        } else if error.is_closed_port() && error.router == Some(self.to) {
            Answer::Reached(Reply::Closed)
        } else {
            Answer::Refused(error)
        }
    }
}

fn watched(fd: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    #[expect(deprecated, reason = "the new one is unsafe; the descriptor is owned and never changes")]
    AsyncFd::with_interest(fd, interest)
}

/// The first message of the error queue about a packet that did not get there.
fn queued(fd: &OwnedFd, reader: &mut Reader, family: IpFamily) -> io::Result<Option<IcmpError>> {
    loop {
        match reader.read(fd.as_raw_fd(), MsgFlags::MSG_ERRQUEUE) {
            Ok(received) => {
                if let Some(error) = received.icmp_error(family).filter(IcmpError::is_final) {
                    return Ok(Some(error));
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error),
        }
    }
}

/// What the host's own routing or firewall says about an address.
pub(super) fn is_local_routing(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::ENETUNREACH
                | libc::EHOSTUNREACH
                | libc::ENETDOWN
                | libc::EHOSTDOWN
                | libc::EACCES
                | libc::EPERM
                | libc::EINVAL
                | libc::EAFNOSUPPORT
        )
    )
}
