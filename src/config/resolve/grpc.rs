//! The `grpc` block.

use super::{Resolver, tls};
use crate::config::problem::At;
use crate::config::raw::RawGrpc;
use crate::config::{DnsServers, GrpcSettings};

pub(super) fn grpc(raw: RawGrpc, at: &At<'_>, r: &mut Resolver<'_>) -> GrpcSettings {
    let RawGrpc { preferred_ip_protocol, ip_protocol_fallback, _service: _, tls: with_tls, tls_config, _metadata: _ } =
        raw;
    let ip = r.ip(preferred_ip_protocol, ip_protocol_fallback, at);
    let tls = tls::tls(tls_config, &at.key("tls_config"), r);
    GrpcSettings { ip, dns_servers: DnsServers::System, tls: with_tls.unwrap_or(false).then_some(tls) }
}
