//! Settings of the DNS prober: the incumbent's `dns` block, resolved.

use super::{DnsServers, IpPreference, TlsSettings};

#[derive(Clone, Debug)]
pub struct DnsSettings {
    /// For the name of the server.
    pub dns_servers: DnsServers,
    pub ip: IpPreference,
    pub tls: TlsSettings,
    /// Keep the records as evidence.
    pub keep_excerpt: bool,
}
