//! Settings of the WebSocket prober: the incumbent's `websocket` block, resolved.

use super::tcp::Step;
use super::trace_context::TraceContext;
use super::{DnsServers, IpPreference, TlsSettings};

#[derive(Clone, Debug)]
pub struct WebsocketSettings {
    /// Of the request, credentials among them. Sensitive ones are marked so.
    pub headers: http::HeaderMap,
    /// The dialogue, a message a step: `expect` and `send` alone.
    pub steps: Vec<Step>,
    pub tls: TlsSettings,
    pub ip: IpPreference,
    pub dns_servers: DnsServers,
    /// The server is told a trace id.
    pub trace_context: Option<TraceContext>,
    /// Keep the first 1 KiB received as evidence.
    pub keep_excerpt: bool,
}
