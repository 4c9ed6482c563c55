//! Settings of the ICMP prober: the incumbent's `icmp` block, resolved.

use super::{DnsServers, IpPreference};

#[derive(Clone, Debug)]
pub struct IcmpSettings {
    pub ip: IpPreference,
    pub dns_servers: DnsServers,
}
