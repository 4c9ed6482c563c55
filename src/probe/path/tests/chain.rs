//! A client, routers in a row, and a server, each a host of its own.

use crate::probe::testing::host::Host;

/// ```text
/// client 10.9.0.1 -- 10.9.0.2 router 10.9.1.1 -- 10.9.1.2 router 10.9.2.1 -- ... -- 10.9.N.2 server
/// ```
///
/// IPv6 is the same with fd00:9:aN::1 and fd00:9:aN::2.
pub(super) struct Chain {
    pub(super) client: Host,
    pub(super) routers: Vec<Host>,
    pub(super) server: Host,
}

/// Each family.
pub(super) const FAMILIES: [Family; 2] = [Family::V4, Family::V6];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    /// The near end of the link behind so many routers.
    pub(super) fn near(self, link: usize) -> String {
        self.end(link, 1)
    }

    /// And the far end.
    pub(super) fn far(self, link: usize) -> String {
        self.end(link, 2)
    }

    fn end(self, link: usize, end: u8) -> String {
        match self {
            Self::V4 => format!("10.9.{link}.{end}"),
            Self::V6 => format!("fd00:9:a{link}::{end}"),
        }
    }

    /// A network of a link.
    fn network(self, link: usize) -> String {
        match self {
            Self::V4 => format!("10.9.{link}.0/24"),
            Self::V6 => format!("fd00:9:a{link}::/64"),
        }
    }

    /// The option of `ip`.
    fn option(self) -> &'static str {
        match self {
            Self::V4 => "-4",
            Self::V6 => "-6",
        }
    }
}

impl Chain {
    /// `None`, said aloud, where it is not permitted.
    pub(super) fn new(routers: usize) -> Option<Self> {
        let client = Host::new()?;
        let server = Host::new()?;
        let routers = (0..routers).map(|_| Host::new()).collect::<Option<Vec<_>>>()?;
        let chain = Self { client, routers, server };
        let hosts: Vec<&Host> = chain.hosts();
        for host in &hosts {
            // Else the addresses of links are of no use for the first second.
            host.sets("net/ipv6/conf/default/accept_dad", "0");
            host.sets("net/ipv6/conf/all/accept_dad", "0");
        }
        let last = hosts.len() - 1;
        for (link, pair) in hosts.windows(2).enumerate() {
            let ends = |end: fn(Family, usize) -> String| {
                [format!("{}/24", end(Family::V4, link)), format!("{}/64", end(Family::V6, link))]
            };
            let (near, far) = (ends(Family::near), ends(Family::far));
            pair[0].joins(("right", &[&near[0], &near[1]]), pair[1], ("left", &[&far[0], &far[1]]));
        }
        for family in FAMILIES {
            let option = family.option();
            for (place, host) in hosts.iter().enumerate() {
                if place < last {
                    host.ip(&format!("{option} route add default via {}", family.far(place)));
                    for link in 0..place.saturating_sub(1) {
                        let (network, via) = (family.network(link), family.near(place - 1));
                        host.ip(&format!("{option} route add {network} via {via}"));
                    }
                } else {
                    host.ip(&format!("{option} route add default via {}", family.near(place - 1)));
                }
            }
        }
        for router in &chain.routers {
            router.sets("net/ipv4/ip_forward", "1");
            router.sets("net/ipv6/conf/all/forwarding", "1");
            // Routers say little when asked much.
            router.sets("net/ipv4/icmp_ratelimit", "0");
            router.sets("net/ipv6/icmp/ratelimit", "0");
        }
        chain.server.sets("net/ipv4/icmp_ratelimit", "0");
        chain.server.sets("net/ipv6/icmp/ratelimit", "0");
        Some(chain)
    }

    fn hosts(&self) -> Vec<&Host> {
        std::iter::once(&self.client).chain(&self.routers).chain(std::iter::once(&self.server)).collect()
    }

    /// The server's address.
    pub(super) fn target(&self, family: Family) -> String {
        family.far(self.routers.len())
    }

    /// What the router at this hop, counted from 1, does with packets that fit this rule of `ip rule`: in both families.
    pub(super) fn rule(&self, hop: usize, rule: &str) {
        for family in FAMILIES {
            self.routers[hop - 1].ip(&format!("{} rule add {rule}", family.option()));
        }
    }

    /// It answers nobody, and forwards as ever.
    pub(super) fn silence(&self, hop: usize) {
        self.rule(hop, "iif lo blackhole");
    }

    /// A route of the router at this hop to the server: in both families.
    pub(super) fn route(&self, hop: usize, kind: &str) {
        for family in FAMILIES {
            let (option, target) = (family.option(), self.target(family));
            self.routers[hop - 1].ip(&format!("{option} route add {kind} {target}"));
        }
    }

    /// And from there to the router before it.
    pub(super) fn back(&self, hop: usize) {
        for family in FAMILIES {
            let (option, target, via) = (family.option(), self.target(family), family.near(hop - 1));
            self.routers[hop - 1].ip(&format!("{option} route add {target} via {via}"));
        }
    }
}
