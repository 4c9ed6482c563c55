//! Settings of the DNS prober: the incumbent's `dns` block, resolved.

use std::net::IpAddr;

use hickory_resolver::proto::rr::Name;

use super::{DnsServers, IpPreference, Pattern, TlsSettings};

#[derive(Clone, Debug)]
pub struct DnsSettings {
    pub query_name: Name,
    /// Numbers of RFC 1035 and its successors.
    pub query_type: u16,
    pub query_class: u16,
    pub recursion_desired: bool,
    pub transport: DnsTransport,
    /// Of DNS over TLS and over HTTPS.
    pub tls: TlsSettings,
    /// Bytes of an answer by UDP that are offered by EDNS (RFC 6891); `None` is no EDNS, as with the incumbent.
    pub edns_udp_size: Option<u16>,
    /// Accepted rcodes; never empty.
    pub valid_rcodes: Vec<u16>,
    pub answer: RecordRules,
    pub authority: RecordRules,
    pub additional: RecordRules,
    pub ip: IpPreference,
    pub source_address: Option<IpAddr>,
    /// For the name of the server.
    pub dns_servers: DnsServers,
    /// Keep the records as evidence.
    pub keep_excerpt: bool,
}

/// How the question travels. A target with an https:// URL is asked over HTTPS whatever this says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DnsTransport {
    /// Over TCP when the answer is truncated.
    Udp,
    Tcp,
    /// RFC 7858.
    Tls,
}

impl DnsTransport {
    pub fn default_port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => 53,
            Self::Tls => 853,
        }
    }
}

/// Rules on the records of one section, as text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RecordRules {
    /// Fails when a record matches one.
    pub fail_if_matches: Vec<Pattern>,
    /// Fails when a record does NOT match one of them: the incumbent's meaning, which is the opposite of its name. Files
    /// written for it were made to work with that, so here it is the same.
    pub fail_if_all_match: Vec<Pattern>,
    /// Fails when a record does not match one, or there is no record.
    pub fail_if_not_matches: Vec<Pattern>,
    /// Fails when no record matches any, or there is no record.
    pub fail_if_none_matches: Vec<Pattern>,
}
