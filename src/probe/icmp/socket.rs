//! One ICMP socket: opening it with its options, sending, and receiving with what the kernel says beside the data.
//!
//! Linux knows two kinds. A *datagram* socket needs no capability but a group that `net.ipv4.ping_group_range` names;
//! the kernel puts an identifier of its own into what is sent, and hands over only the replies to it. A *raw* socket
//! needs CAP_NET_RAW and gets a copy of every ICMP packet, of which a filter in the kernel lets echo replies pass.
//! Errors from routers come the same way on both: through the error queue, with the beginning of the packet that they
//! are about. (`icmp(7)`, `ip(7)`, `ipv6(7)`, `raw(7)`)

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, SystemTime};

use nix::libc;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrStorage, bind, getsockname, getsockopt, sendto,
    setsockopt, socket, sockopt,
};

use super::packet::{Echo, Framing, echo_reply, quoted_request};
use crate::config::IpFamily;
use crate::probe::error_queue::{IcmpError, Reader, Received};

/// What nix has no name for. Its macros hold the calls.
mod option {
    use nix::libc;
    use nix::{getsockopt_impl, setsockopt_impl, sockopt_impl};

    /// Raw sockets: a set bit keeps the type of that number away.
    const ICMP_FILTER: libc::c_int = 1;

    sockopt_impl!(Ipv4MtuDiscover, Both, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::c_int);
    sockopt_impl!(Ipv6MtuDiscover, Both, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::c_int);
    sockopt_impl!(Icmpv4Filter, SetOnly, libc::SOL_RAW, ICMP_FILTER, u32);
    sockopt_impl!(Icmpv6Filter, SetOnly, libc::IPPROTO_ICMPV6, ICMP_FILTER, [u32; 8]);
    sockopt_impl!(Meminfo, GetOnly, libc::SOL_SOCKET, libc::SO_MEMINFO, [u32; 9]);
}

/// Room for replies that wait to be read: some 8,000 packets of the usual size. Without CAP_NET_ADMIN the kernel gives
/// as much of it as `net.core.rmem_max` allows.
const RECEIVE_BUFFER: usize = 8 << 20;

/// The largest packet of IP, headers and all.
pub(super) const LARGEST_PACKET: usize = 65_535;

/// Where `SO_MEMINFO` counts the packets for which there was no room.
const MEMINFO_DROPS: usize = 8;

/// Identifiers of raw sockets, which are ours to choose: each socket of the process has another one.
static NEXT_RAW_ID: AtomicU16 = AtomicU16::new(0);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Datagram,
    Raw,
}

impl Kind {
    /// In the order in which they are tried: the one that needs less comes first.
    pub(super) const ALL: &'static [Self] = &[Self::Datagram, Self::Raw];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Datagram => "datagram",
            Self::Raw => "raw",
        }
    }
}

/// What all packets of a socket have in common, and so what decides which targets share one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Options {
    pub(super) family: IpFamily,
    pub(super) source: Option<IpAddr>,
    /// Of a source address that is of a link: the number of the interface.
    pub(super) scope: u32,
    /// `None`: the system's.
    pub(super) hop_limit: Option<u8>,
    pub(super) dont_fragment: bool,
}

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub(super) enum OpenError {
    /// No kind is permitted.
    #[error("ICMP sockets are not permitted")]
    NotPermitted,
    #[error("cannot use source_ip_address {0}")]
    Source(IpAddr, #[source] io::Error),
    #[error("cannot open an ICMP socket")]
    Io(#[from] io::Error),
}

#[derive(Debug)]
pub(super) struct Socket {
    fd: OwnedFd,
    pub(super) kind: Kind,
    pub(super) family: IpFamily,
    /// The identifier in every packet.
    id: u16,
}

/// An echo reply to a packet of this socket.
pub(super) struct Arrival<'b> {
    pub(super) from: IpAddr,
    pub(super) echo: Echo<'b>,
    pub(super) hop_limit: Option<u8>,
    /// How long it lay in the kernel until it was read.
    pub(super) waited: Duration,
}

/// What the error queue held.
pub(super) enum Trouble<'b> {
    /// A router, or the host itself, about a packet of this socket.
    Message { to: IpAddr, echo: Echo<'b>, message: IcmpError },
    /// The kernel refused to send so large a packet to this address.
    TooLarge { to: IpAddr, mtu: u32 },
    /// About something else.
    Other,
}

impl Socket {
    /// Opens the first kind that is permitted.
    pub(super) fn open(kinds: &[Kind], options: &Options) -> Result<Self, OpenError> {
        for &kind in kinds {
            match create(kind, options.family) {
                Ok(fd) => return Self::prepare(fd, kind, options),
                Err(error) if is_refusal(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(OpenError::NotPermitted)
    }

    /// Whether every kind of this family is refused for want of a privilege.
    pub(super) fn is_refused(family: IpFamily) -> bool {
        Kind::ALL.iter().all(|&kind| create(kind, family).is_err_and(|error| is_refusal(&error)))
    }

    fn prepare(fd: OwnedFd, kind: Kind, options: &Options) -> Result<Self, OpenError> {
        let Options { family, source, scope, hop_limit, dont_fragment } = options;
        set_packet_options(&fd, *family, *hop_limit, *dont_fragment)?;
        set_receive_options(&fd, *family);
        if kind == Kind::Raw {
            set_filter(&fd, *family)?;
        }
        let unspecified = match family {
            IpFamily::V4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            IpFamily::V6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        let own = match source.unwrap_or(unspecified) {
            IpAddr::V4(own) => SocketAddr::new(own.into(), 0),
            IpAddr::V6(own) => SocketAddrV6::new(own, 0, 0, *scope).into(),
        };
        if kind == Kind::Datagram || source.is_some() {
            bind(fd.as_raw_fd(), &SockaddrStorage::from(own)).map_err(|error| match source {
                Some(source) => OpenError::Source(*source, error.into()),
                None => OpenError::Io(error.into()),
            })?;
        }
        let id = match kind {
            Kind::Datagram => own_port(&fd)?,
            Kind::Raw => raw_id(),
        };
        Ok(Self { fd, kind, family: *family, id })
    }

    pub(super) fn id(&self) -> u16 {
        self.id
    }

    /// Sends without waiting. An error may also be one that came from a router since, about another packet: the kernel
    /// reports each once, to whoever calls next.
    pub(super) fn send(&self, to: SocketAddr, packet: &[u8]) -> io::Result<()> {
        let to = SockaddrStorage::from(to);
        let sent = sendto(self.fd.as_raw_fd(), packet, &to, MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL)?;
        if sent == packet.len() { Ok(()) } else { Err(ErrorKind::WriteZero.into()) }
    }

    /// Takes the error away that the next call would report.
    pub(super) fn clear_error(&self) {
        let _ = getsockopt(&self.fd, sockopt::SocketError);
    }

    /// Packets for which there was no room in the receive buffer, since the socket was opened.
    pub(super) fn drops(&self) -> u32 {
        getsockopt(&self.fd, option::Meminfo).map_or(0, |meminfo| meminfo[MEMINFO_DROPS])
    }

    /// One packet, without waiting; `None` when it is no echo reply to this socket.
    pub(super) fn receive<'b>(&self, reader: &'b mut Reader) -> io::Result<Option<Arrival<'b>>> {
        let Received { length, from, hop_limit, arrived, .. } = reader.read(self.fd.as_raw_fd(), MsgFlags::empty())?;
        let framing = match (self.kind, self.family) {
            (Kind::Raw, IpFamily::V4) => Framing::Ipv4Header,
            (Kind::Raw, IpFamily::V6) | (Kind::Datagram, IpFamily::V4 | IpFamily::V6) => Framing::Bare,
        };
        let Some(from) = from else { return Ok(None) };
        let echo = echo_reply(self.family, framing, &reader.data[..length]).filter(|echo| echo.id == self.id);
        Ok(echo.map(|echo| {
            // Steps of the clock are not the network's.
            let waited = arrived.and_then(|arrived| SystemTime::now().duration_since(arrived).ok()).unwrap_or_default();
            Arrival { from, echo, hop_limit, waited }
        }))
    }

    /// One entry of the error queue, without waiting.
    pub(super) fn receive_error<'b>(&self, reader: &'b mut Reader) -> io::Result<Trouble<'b>> {
        let received = reader.read(self.fd.as_raw_fd(), MsgFlags::MSG_ERRQUEUE)?;
        let (Some(to), Some((error, _))) = (received.from, received.error) else { return Ok(Trouble::Other) };
        if error.ee_origin == libc::SO_EE_ORIGIN_LOCAL && i64::from(error.ee_errno) == i64::from(libc::EMSGSIZE) {
            return Ok(Trouble::TooLarge { to, mtu: error.ee_info });
        }
        let echo = quoted_request(self.family, &reader.data[..received.length]).filter(|echo| echo.id == self.id);
        let (Some(echo), Some(message)) = (echo, received.icmp_error(self.family)) else { return Ok(Trouble::Other) };
        Ok(Trouble::Message { to, echo, message })
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

fn create(kind: Kind, family: IpFamily) -> io::Result<OwnedFd> {
    let kind = match kind {
        Kind::Datagram => SockType::Datagram,
        Kind::Raw => SockType::Raw,
    };
    let (domain, protocol) = match family {
        IpFamily::V4 => (AddressFamily::Inet, SockProtocol::Icmp),
        IpFamily::V6 => (AddressFamily::Inet6, SockProtocol::IcmpV6),
    };
    Ok(socket(domain, kind, SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC, protocol)?)
}

/// EACCES is `net.ipv4.ping_group_range`, EPERM a capability, and the others a kernel or sandbox without that kind.
fn is_refusal(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EACCES | libc::EPERM | libc::EPROTONOSUPPORT | libc::ESOCKTNOSUPPORT | libc::EPROTOTYPE)
    )
}

/// What the packets look like. A target that asks for it must get it.
fn set_packet_options(
    fd: &OwnedFd,
    family: IpFamily,
    hop_limit: Option<u8>,
    dont_fragment: bool,
) -> Result<(), OpenError> {
    let set = || match family {
        IpFamily::V4 => {
            if let Some(limit) = hop_limit {
                setsockopt(fd, sockopt::Ipv4Ttl, &i32::from(limit))?;
            }
            // PROBE rather than DO: it sets the bit too, but asks the way on every run, instead of trusting for ten
            // minutes what a router said. DONT, since the default sets the bit on whatever fits the known MTU.
            let discover = if dont_fragment { libc::IP_PMTUDISC_PROBE } else { libc::IP_PMTUDISC_DONT };
            setsockopt(fd, option::Ipv4MtuDiscover, &discover)
        }
        IpFamily::V6 => {
            if let Some(limit) = hop_limit {
                setsockopt(fd, sockopt::Ipv6Ttl, &i32::from(limit))?;
            }
            if dont_fragment {
                // No router fragments in IPv6; these two keep this host from it.
                setsockopt(fd, option::Ipv6MtuDiscover, &libc::IPV6_PMTUDISC_PROBE)?;
                setsockopt(fd, sockopt::Ipv6DontFrag, &true)?;
            }
            Ok(())
        }
    };
    set().map_err(|error: nix::errno::Errno| OpenError::Io(error.into()))
}

/// What the kernel tells beside the data. Where it cannot, a run knows less and works all the same.
fn set_receive_options(fd: &OwnedFd, family: IpFamily) {
    if setsockopt(fd, sockopt::RcvBufForce, &RECEIVE_BUFFER).is_err() {
        let _ = setsockopt(fd, sockopt::RcvBuf, &RECEIVE_BUFFER);
    }
    let _ = setsockopt(fd, sockopt::ReceiveTimestampns, &true);
    match family {
        IpFamily::V4 => {
            let _ = setsockopt(fd, sockopt::Ipv4RecvTtl, &true);
            let _ = setsockopt(fd, sockopt::Ipv4RecvErr, &true);
        }
        IpFamily::V6 => {
            let _ = setsockopt(fd, sockopt::Ipv6RecvHopLimit, &true);
            let _ = setsockopt(fd, sockopt::Ipv6RecvErr, &true);
        }
    }
}

/// Echo replies alone.
fn set_filter(fd: &OwnedFd, family: IpFamily) -> Result<(), OpenError> {
    const V4_ECHO_REPLY: u32 = 0;
    const V6_ECHO_REPLY: usize = 129;
    let set = match family {
        IpFamily::V4 => setsockopt(fd, option::Icmpv4Filter, &!(1 << V4_ECHO_REPLY)),
        IpFamily::V6 => {
            let mut filter = [u32::MAX; 8];
            filter[V6_ECHO_REPLY / 32] &= !(1 << (V6_ECHO_REPLY % 32));
            setsockopt(fd, option::Icmpv6Filter, &filter)
        }
    };
    set.map_err(|error| OpenError::Io(error.into()))
}

/// A datagram socket's identifier is its port.
fn own_port(fd: &OwnedFd) -> Result<u16, OpenError> {
    let own: SockaddrStorage = getsockname(fd.as_raw_fd()).map_err(io::Error::from)?;
    let v4 = own.as_sockaddr_in().map(|own| own.port());
    Ok(v4.or_else(|| own.as_sockaddr_in6().map(|own| own.port())).unwrap_or_default())
}

fn raw_id() -> u16 {
    // Another start than other processes have, as far as a number of 16 bits can tell them apart.
    let [high, low, ..] = std::process::id().to_le_bytes();
    NEXT_RAW_ID.fetch_add(1, Ordering::Relaxed).wrapping_add(u16::from_le_bytes([high, low]))
}
