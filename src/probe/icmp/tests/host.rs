//! A client, a router and a server, and what sees the packets between them.

use std::io::IoSliceMut;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd as _, OwnedFd};

use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrStorage, recvmsg, sendto, socket,
};

pub(super) use crate::probe::testing::host::Host;

/// A client, a router and a server in a row:
///
/// ```text
/// client 10.9.0.2 fd00:9::2 -- 10.9.0.1 fd00:9::1 router 10.9.1.1 fd00:9:1::1 -- 10.9.1.2 fd00:9:1::2 server
/// ```
pub(super) struct Row {
    pub(super) client: Host,
    pub(super) router: Host,
    pub(super) server: Host,
}

impl Row {
    pub(super) fn new() -> Option<Self> {
        let (client, router, server) = (Host::new()?, Host::new()?, Host::new()?);
        client.joins(("c0", &["10.9.0.2/24", "fd00:9::2/64"]), &router, ("r0", &["10.9.0.1/24", "fd00:9::1/64"]));
        router.joins(("r1", &["10.9.1.1/24", "fd00:9:1::1/64"]), &server, ("s0", &["10.9.1.2/24", "fd00:9:1::2/64"]));
        client.ip("route add default via 10.9.0.1");
        client.ip("-6 route add default via fd00:9::1");
        server.ip("route add default via 10.9.1.1");
        server.ip("-6 route add default via fd00:9:1::1");
        router.sets("net/ipv4/ip_forward", "1");
        router.sets("net/ipv6/conf/all/forwarding", "1");
        // Routers say little when asked much; these tests ask much.
        router.sets("net/ipv4/icmp_ratelimit", "0");
        router.sets("net/ipv6/icmp/ratelimit", "0");
        Some(Self { client, router, server })
    }
}

/// Sees every ICMP packet of a host, and says what it likes. IPv4 alone.
pub(super) struct Tap(OwnedFd);

/// An ICMP packet as it was on the wire.
pub(super) struct Seen {
    pub(super) from: IpAddr,
    pub(super) ttl: u8,
    pub(super) dont_fragment: bool,
    pub(super) message: Vec<u8>,
}

impl Tap {
    pub(super) fn new() -> Self {
        Self(socket(AddressFamily::Inet, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::Icmp).unwrap())
    }

    /// Waits for the next echo request.
    pub(super) fn request(&self) -> Seen {
        let mut buffer = vec![0; 65_536];
        loop {
            let mut data = [IoSliceMut::new(&mut buffer)];
            let fd = self.0.as_raw_fd();
            let received = recvmsg::<SockaddrStorage>(fd, &mut data, None, MsgFlags::empty()).unwrap();
            let (length, from) = (received.bytes, received.address.unwrap().as_sockaddr_in().unwrap().ip());
            let packet = &buffer[..length];
            let header = usize::from(packet[0] & 0x0f) * 4;
            if packet[header] == 8 {
                return Seen {
                    from: from.into(),
                    ttl: packet[8],
                    dont_fragment: packet[6] & 0x40 != 0,
                    message: packet[header..].to_vec(),
                };
            }
        }
    }

    pub(super) fn say(&self, to: IpAddr, message: &[u8]) {
        let to = SockaddrStorage::from(SocketAddr::new(to, 0));
        sendto(self.0.as_raw_fd(), message, &to, MsgFlags::empty()).unwrap();
    }
}

impl Seen {
    /// The reply to it, changed, its checksum right.
    pub(super) fn reply(&self, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut reply = self.message.clone();
        reply[0] = 0;
        change(&mut reply);
        reply[2..4].fill(0);
        crate::probe::icmp::packet::seal(&mut reply);
        reply
    }
}
