//! Settings of the ICMP prober: the incumbent's `icmp` block, resolved, and several packets a run.

use std::net::IpAddr;
use std::time::Duration;

use super::{DnsServers, IpPreference};

#[derive(Clone, Debug)]
pub struct IcmpSettings {
    pub ip: IpPreference,
    pub dns_servers: DnsServers,
    pub source_address: Option<IpAddr>,
    /// No host and no router may split the packets.
    pub dont_fragment: bool,
    /// Bytes behind the ICMP header; 0 is the incumbent's text of 28.
    pub payload_size: usize,
    /// TTL of IPv4, hop limit of IPv6; `None` is the system's.
    pub hop_limit: Option<u8>,
    /// Echo requests in one run; at least 1.
    pub packets: u32,
    /// Between two of them.
    pub packet_interval: Duration,
    /// The share of packets that may be lost, from 0 to 1. `None`: all but one.
    pub max_loss: Option<f64>,
}

impl IcmpSettings {
    /// From the first packet of a run to its last.
    pub fn sending_time(&self) -> Duration {
        self.packet_interval.saturating_mul(self.packets.saturating_sub(1))
    }
}
