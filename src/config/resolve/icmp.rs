//! The `icmp` block.

use super::Resolver;
use crate::config::problem::At;
use crate::config::raw::RawIcmp;
use crate::config::{DnsServers, IcmpSettings};

pub(super) fn icmp(raw: RawIcmp, at: &At<'_>, r: &mut Resolver<'_>) -> IcmpSettings {
    const LARGEST_PAYLOAD: i64 = 65_507;
    let RawIcmp {
        preferred_ip_protocol,
        ip_protocol_fallback,
        source_ip_address,
        _dont_fragment: _,
        payload_size,
        ttl,
    } = raw;
    let ip = r.ip(preferred_ip_protocol, ip_protocol_fallback, at);
    r.source_address(source_ip_address, at);
    if let Some(size) = payload_size
        && !(0..=LARGEST_PAYLOAD).contains(&size)
    {
        r.problems.add(&at.key("payload_size"), format!("{size} is not from 0 to {LARGEST_PAYLOAD} bytes"));
    }
    if let Some(ttl) = ttl
        && !(0..=255).contains(&ttl)
    {
        r.problems.add(&at.key("ttl"), format!("{ttl} is not from 0 to 255"));
    }
    IcmpSettings { ip, dns_servers: DnsServers::System }
}
