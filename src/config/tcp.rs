//! Settings of the TCP prober: the incumbent's `tcp` block, resolved.

use std::net::IpAddr;

use super::{DnsServers, IpPreference, Pattern, TlsSettings};

#[derive(Clone, Debug)]
pub struct TcpSettings {
    pub ip: IpPreference,
    pub dns_servers: DnsServers,
    pub source_address: Option<IpAddr>,
    /// TLS from the first byte.
    pub tls: bool,
    /// For `tls` and for `starttls` steps.
    pub tls_config: TlsSettings,
    /// The dialogue, in order.
    pub steps: Vec<Step>,
    /// Keep the first 1 KiB received as evidence.
    pub keep_excerpt: bool,
}

/// One step: wait for `expect`, then collect `labels`, then `send`, then `starttls`.
#[derive(Clone, Debug, Default)]
pub struct Step {
    pub expect: Option<Expect>,
    /// Bytes to send; a newline is appended as the incumbent does. Expands `${1}` from a regex `expect`.
    pub send: Option<Vec<u8>>,
    /// Upgrade the connection to TLS.
    pub starttls: bool,
    /// Names and templates of `probe_expect_info`; templates expand `${1}`.
    pub labels: Vec<(String, String)>,
}

#[derive(Clone, Debug)]
pub enum Expect {
    /// A line (CR LF stripped) that matches.
    Line(Pattern),
    /// Exactly these bytes next.
    Bytes(Vec<u8>),
}
