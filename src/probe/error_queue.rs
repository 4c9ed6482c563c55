//! One `recvmsg` with what the kernel says beside the data: arrival, hop limit, and entries of the error queue.
//!
//! Linux hands ICMP errors about a packet to the socket that sent it, with the address of whoever sent the error, to
//! any process: `IP_RECVERR`, `IPV6_RECVERR`, `MSG_ERRQUEUE` (`ip(7)`, `ipv6(7)`).

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::RawFd;
use std::time::{Duration, SystemTime};

use nix::libc;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg};

use crate::config::IpFamily;

/// Buffers for receiving, and what is in them.
pub(super) struct Reader {
    pub(super) data: Box<[u8]>,
    control: Box<[u8]>,
}

/// What the kernel says about a packet.
#[derive(Default)]
pub(super) struct Received {
    pub(super) length: usize,
    /// The sender; for an entry of the error queue, where the packet was meant to go.
    pub(super) from: Option<IpAddr>,
    pub(super) hop_limit: Option<u8>,
    pub(super) arrived: Option<SystemTime>,
    /// With the address of whoever sent the error.
    pub(super) error: Option<(libc::sock_extended_err, Option<IpAddr>)>,
}

/// An ICMP error message about a packet that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct IcmpError {
    pub(super) family: IpFamily,
    /// Who sent it, if the kernel told.
    pub(super) router: Option<IpAddr>,
    pub(super) kind: u8,
    pub(super) code: u8,
    /// For a packet too large: the MTU; 0 if the router did not say.
    pub(super) mtu: u32,
}

impl Received {
    /// The message of a router, or of a host, that an entry of the error queue holds.
    pub(super) fn icmp_error(&self, family: IpFamily) -> Option<IcmpError> {
        let (error, router) = self.error?;
        let from_network = match family {
            IpFamily::V4 => libc::SO_EE_ORIGIN_ICMP,
            IpFamily::V6 => libc::SO_EE_ORIGIN_ICMP6,
        };
        (error.ee_origin == from_network).then_some(IcmpError {
            family,
            router,
            kind: error.ee_type,
            code: error.ee_code,
            mtu: error.ee_info,
        })
    }
}

impl Reader {
    /// For packets of at most so many bytes.
    pub(super) fn with_room(bytes: usize) -> Self {
        // Four control messages at most, the largest of which is an error with an IPv6 address.
        const CONTROL: usize = 256;
        Self { data: vec![0; bytes].into(), control: vec![0; CONTROL].into() }
    }

    /// Without waiting.
    pub(super) fn read(&mut self, fd: RawFd, flags: MsgFlags) -> io::Result<Received> {
        let mut data = [IoSliceMut::new(&mut self.data)];
        let flags = flags | MsgFlags::MSG_DONTWAIT;
        let message = recvmsg::<SockaddrStorage>(fd, &mut data, Some(&mut self.control), flags)?;
        let mut received = Received {
            length: message.bytes,
            from: message.address.as_ref().and_then(ip_address),
            ..Received::default()
        };
        // A list that was cut short cannot be read. It never is: there is room.
        let Ok(controls) = message.cmsgs() else { return Ok(received) };
        for control in controls {
            // Not an enum of ours, and it may grow.
            #[allow(clippy::wildcard_enum_match_arm)]
            match control {
                ControlMessageOwned::ScmTimestampns(time) => {
                    received.arrived = wall_clock(time.tv_sec(), time.tv_nsec())
                }
                ControlMessageOwned::Ipv4Ttl(limit) | ControlMessageOwned::Ipv6HopLimit(limit) => {
                    received.hop_limit = u8::try_from(limit).ok();
                }
                ControlMessageOwned::Ipv4RecvErr(error, address) => {
                    let address = address.filter(|address| i32::from(address.sin_family) == libc::AF_INET);
                    let address = address.map(|address| Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr)).into());
                    received.error = Some((error, address));
                }
                ControlMessageOwned::Ipv6RecvErr(error, address) => {
                    let address = address.filter(|address| i32::from(address.sin6_family) == libc::AF_INET6);
                    let address = address.map(|address| Ipv6Addr::from(address.sin6_addr.s6_addr).into());
                    received.error = Some((error, address));
                }
                _ => {}
            }
        }
        Ok(received)
    }
}

fn ip_address(address: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
    v4.or_else(|| address.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip())))
}

fn wall_clock(seconds: i64, nanoseconds: i64) -> Option<SystemTime> {
    let since = Duration::new(u64::try_from(seconds).ok()?, u32::try_from(nanoseconds).ok()?);
    SystemTime::UNIX_EPOCH.checked_add(since)
}
