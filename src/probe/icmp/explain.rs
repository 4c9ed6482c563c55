//! ICMP error messages in words. Codes: RFC 792, RFC 1122 section 3.2.2.1, RFC 1812 section 5.2.7.1, RFC 4443.

use std::net::IpAddr;

use crate::config::IpFamily;
use crate::probe::error_queue::IcmpError;

/// The packet that an error is about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packet {
    pub(super) to: IpAddr,
    /// Bytes, IP header and all.
    pub(super) size: usize,
    pub(super) dont_fragment: bool,
}

impl IcmpError {
    /// Whether the packet did not get there. A redirect and a source quench only say something about the way.
    pub(in crate::probe) fn is_final(&self) -> bool {
        const REDIRECT: u8 = 5;
        const SOURCE_QUENCH: u8 = 4;
        match self.family {
            IpFamily::V4 => !matches!(self.kind, REDIRECT | SOURCE_QUENCH),
            // Below 128 are the errors.
            IpFamily::V6 => self.kind < 128,
        }
    }

    /// Whether the packet was larger than the MTU of a link on its way.
    pub(super) fn is_too_large(&self) -> bool {
        matches!((self.family, self.kind, self.code), (IpFamily::V4, 3, 4) | (IpFamily::V6, 2, _))
    }

    /// One sentence: who says what about the packet.
    pub(super) fn sentence(&self, packet: Packet) -> String {
        let Self { kind, code, .. } = self;
        let who = match self.router {
            Some(router) if router == packet.to => format!("{router} itself"),
            Some(router) => router.to_string(),
            None => "a router".to_owned(),
        };
        let what = self.what(packet);
        format!("{who} answered about the echo request to {}: {what} (ICMP type {kind}, code {code})", packet.to)
    }

    fn what(&self, packet: Packet) -> String {
        if self.is_too_large() { too_large(packet, self.mtu) } else { self.words().to_owned() }
    }

    /// What it says, whatever packet it is about.
    pub(in crate::probe) fn words(&self) -> &'static str {
        match (self.family, self.kind, self.code) {
            (IpFamily::V4, 3, code) => v4_unreachable(code),
            (IpFamily::V6, 1, code) => v6_unreachable(code),
            (IpFamily::V6, 2, _) => "the packet is too large",
            (IpFamily::V4, 11, 1) | (IpFamily::V6, 3, 1) => "fragments were missing for too long",
            (IpFamily::V4, 11, _) | (IpFamily::V6, 3, _) => "the hop limit (ttl) ran out on the way",
            (IpFamily::V4, 12, _) | (IpFamily::V6, 4, _) => "the packet's header has a problem",
            (IpFamily::V4 | IpFamily::V6, _, _) => "the packet was not delivered",
        }
    }

    /// Whether the packet was at a router when its hop limit ran out.
    pub(in crate::probe) fn is_hop_limit(&self) -> bool {
        matches!((self.family, self.kind, self.code), (IpFamily::V4, 11, 0) | (IpFamily::V6, 3, 0))
    }

    /// Whether a host said that nothing listens on the port.
    pub(in crate::probe) fn is_closed_port(&self) -> bool {
        matches!((self.family, self.kind, self.code), (IpFamily::V4, 3, 3) | (IpFamily::V6, 1, 4))
    }
}

/// `mtu` is 0 where it is not known.
pub(super) fn too_large(packet: Packet, mtu: u32) -> String {
    let Packet { size, dont_fragment, .. } = packet;
    let limit = if mtu == 0 { String::new() } else { format!(", the MTU is {mtu}") };
    let bit = if dont_fragment { ", and dont_fragment is set" } else { "" };
    format!("a packet of {size} bytes is too large{limit}{bit}")
}

fn v4_unreachable(code: u8) -> &'static str {
    match code {
        0 => "network unreachable",
        1 => "host unreachable",
        2 => "protocol unreachable",
        3 => "port unreachable",
        4 => "the packet is too large",
        5 => "source route failed",
        6 => "network unknown",
        7 => "host unknown",
        8 => "source host isolated",
        9 => "communication with the network is prohibited",
        10 => "communication with the host is prohibited",
        11 => "network unreachable for this type of service",
        12 => "host unreachable for this type of service",
        13 => "communication is prohibited by a filter",
        14 => "host precedence violation",
        15 => "precedence cutoff",
        _ => "destination unreachable",
    }
}

fn v6_unreachable(code: u8) -> &'static str {
    match code {
        0 => "no route to the destination",
        1 => "communication is prohibited by a filter",
        2 => "the destination is beyond the scope of the source address",
        3 => "address unreachable",
        4 => "port unreachable",
        5 => "the source address failed a policy",
        6 => "the route to the destination rejects traffic",
        _ => "destination unreachable",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn error(family: IpFamily, kind: u8, code: u8, mtu: u32) -> IcmpError {
        IcmpError { family, router: Some("192.0.2.1".parse().unwrap()), kind, code, mtu }
    }

    #[test]
    fn errors_name_the_router_what_it_says_and_the_code() {
        let packet = Packet { to: "198.51.100.7".parse().unwrap(), size: 1528, dont_fragment: true };
        for (error, sentence) in [
            (
                error(IpFamily::V4, 3, 1, 0),
                "192.0.2.1 answered about the echo request to 198.51.100.7: host unreachable (ICMP type 3, code 1)",
            ),
            (
                error(IpFamily::V4, 3, 4, 1400),
                "192.0.2.1 answered about the echo request to 198.51.100.7: a packet of 1528 bytes is too large, \
                 the MTU is 1400, and dont_fragment is set (ICMP type 3, code 4)",
            ),
            (
                error(IpFamily::V4, 11, 0, 0),
                "192.0.2.1 answered about the echo request to 198.51.100.7: the hop limit (ttl) ran out on the way \
                 (ICMP type 11, code 0)",
            ),
            (
                error(IpFamily::V6, 1, 3, 0),
                "192.0.2.1 answered about the echo request to 198.51.100.7: address unreachable (ICMP type 1, code 3)",
            ),
        ] {
            assert_eq!(error.sentence(packet), sentence);
        }
        let itself = IcmpError { router: Some(packet.to), ..error(IpFamily::V4, 3, 2, 0) };
        assert!(itself.sentence(packet).starts_with("198.51.100.7 itself answered"));
        let unknown = IcmpError { router: None, ..error(IpFamily::V4, 3, 77, 0) };
        assert!(unknown.sentence(packet).starts_with("a router answered"));
    }

    #[test]
    fn advice_is_no_failure() {
        assert!(!error(IpFamily::V4, 5, 1, 0).is_final());
        assert!(!error(IpFamily::V4, 4, 0, 0).is_final());
        assert!(!error(IpFamily::V6, 137, 0, 0).is_final());
        for kind in [3, 11, 12] {
            assert!(error(IpFamily::V4, kind, 0, 0).is_final());
        }
        for kind in 1..=4 {
            assert!(error(IpFamily::V6, kind, 0, 0).is_final());
        }
    }
}
