//! What the tests of this folder share.

use crate::config::HttpSettings;

/// The incumbent's defaults, IPv4 first.
pub(super) fn settings() -> HttpSettings {
    HttpSettings {
        valid_status_codes: Vec::new(),
        valid_http_versions: Vec::new(),
        method: http::Method::GET,
        headers: http::HeaderMap::new(),
        host: None,
        body: bytes::Bytes::new(),
        body_size_limit: None,
        compression: None,
        follow_redirects: true,
        fail_if_ssl: false,
        fail_if_not_ssl: false,
        body_rules: Vec::new(),
        header_rules: Vec::new(),
        fail_if_json_matches: None,
        fail_if_json_not_matches: None,
        ip: crate::config::IpPreference { preferred: crate::config::IpFamily::V4, fallback: true },
        dns_servers: crate::config::DnsServers::System,
        enable_http2: true,
        auth: None,
        proxy: crate::config::http::ProxySettings::Direct,
        tls: crate::config::TlsSettings::default(),
        keep_excerpt: true,
    }
}
