//! Settings of the gRPC prober: the incumbent's `grpc` block, resolved.

use super::{DnsServers, IpPreference, TlsSettings};

#[derive(Clone, Debug)]
pub struct GrpcSettings {
    pub ip: IpPreference,
    pub dns_servers: DnsServers,
    pub tls: Option<TlsSettings>,
}
