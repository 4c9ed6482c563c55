//! Settings of the WebSocket prober: the incumbent's `websocket` block, resolved.

use super::tcp::Step;
use super::{DnsServers, IpPreference, TlsSettings};

#[derive(Clone, Debug)]
pub struct WebsocketSettings {
    pub ip: IpPreference,
    pub dns_servers: DnsServers,
    pub tls: TlsSettings,
    pub steps: Vec<Step>,
    /// Keep the first 1 KiB received as evidence.
    pub keep_excerpt: bool,
}
