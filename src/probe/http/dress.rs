//! What a request goes by on the wire, where the config wants another name than the URL's.
//!
//! reqwest takes SNI, the name to verify and `:authority` from the URL, while `trace.rs` decides where to connect. So the
//! URL carries the name that TLS is to see: `tls_config.server_name`, else the configured `Host`, else its own. Where the
//! Host header must then differ from the URL, it is set by hand, and the prober speaks HTTP/1.1 alone (HTTP/2 has no
//! second name to say it with).
//!
//! An address as `server_name` or in `Host` changes neither SNI nor the check: in the URL it would be connected to.
//!
//! Through a proxy the URL is also what the proxy is asked for, so there it stays: the Host header is sent as configured,
//! but SNI and certificate check go by the URL.

use http::HeaderValue;
use url::{Host, Url};

use crate::config::HttpSettings;

#[derive(Debug, PartialEq)]
pub(super) struct Dressed {
    pub(super) url: Url,
    /// `None`: what the client derives from the URL is right.
    pub(super) host: Option<HeaderValue>,
}

/// Which of the config's names apply to a hop.
#[derive(Clone, Copy, Debug)]
pub(super) struct Names {
    /// The configured Host header: on the first hop, and on as long as Locations are relative.
    pub(super) host_header: bool,
    /// `server_name`: on hops to the first hop's host.
    pub(super) server_name: bool,
    pub(super) proxied: bool,
    /// The port of the scheme is told to the server where no Host header is configured.
    pub(super) default_port: bool,
}

pub(super) fn dress(settings: &HttpSettings, url: &Url, names: Names) -> Dressed {
    let host = settings.host.as_deref().filter(|_| names.host_header);
    let server_name = settings.tls.server_name.as_deref().filter(|_| names.server_name && url.scheme() == "https");
    let mut wire = url.clone();
    if !names.proxied && url.scheme() == "https" {
        // The root dot is right in DNS, but no part of a name in SNI or a certificate (RFC 6066, 3).
        if let Some(bare) = url.host_str().and_then(|host| host.strip_suffix('.')) {
            set_host(&mut wire, bare, |_| Ok(()));
        }
    }
    if host.is_none() && server_name.is_none() && !names.default_port {
        return Dressed { url: wire, host: None };
    }
    if !names.proxied {
        if let Some((name, port)) = host.and_then(split) {
            // Without a port in the URL, the client connects to the port that it is told, which is the target's.
            let port = port.and(url.port_or_known_default());
            set_host(&mut wire, name, |wire| wire.set_port(port));
        }
        if let Some(name) = server_name {
            set_host(&mut wire, name, |_| Ok(()));
        }
    }
    let natural = authority(&wire);
    let wanted = match (host, url.port_or_known_default()) {
        (Some(host), _) => host.to_owned(),
        (None, Some(port)) if names.default_port => format!("{}:{port}", url.host_str().unwrap_or_default()),
        (None, _) => authority(url),
    };
    let host = (!wanted.eq_ignore_ascii_case(&natural)).then(|| HeaderValue::from_str(&wanted).ok()).flatten();
    Dressed { url: wire, host }
}

/// Whether some hop to the target's own host cannot be said in HTTP/2.
pub(super) fn needs_http1(settings: &HttpSettings, url: &Url, proxied: bool) -> bool {
    let first = dress(settings, url, Names { host_header: true, server_name: true, proxied, default_port: false });
    // A redirect from http to https brings the server name into play later.
    let other_name = settings.tls.server_name.as_deref().is_some_and(|name| {
        let plain = dress(settings, url, Names { host_header: true, server_name: false, proxied, default_port: false });
        plain.url.host_str().is_none_or(|host| !host.eq_ignore_ascii_case(name))
    });
    first.host.is_some() || other_name
}

/// Only a name can stand in: an address in the URL would be connected to.
fn set_host(url: &mut Url, name: &str, then: impl FnOnce(&mut Url) -> Result<(), ()>) {
    if !matches!(Host::parse(name), Ok(Host::Domain(_))) {
        return;
    }
    // Neither fails on an http or https URL.
    if url.set_host(Some(name)).is_ok() {
        let _ = then(url);
    }
}

/// The name in a Host header, without its port.
pub(super) fn name_of(host: &str) -> &str {
    split(host).map_or(host, |(name, _)| name)
}

fn split(host: &str) -> Option<(&str, Option<u16>)> {
    match host.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') => Some((name, Some(port.parse().ok()?))),
        Some(_) => None,
        None => Some((host, None)),
    }
}

/// As the client writes the Host header.
fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::testing::settings;
    use super::*;
    use crate::config::TlsSettings;

    #[test]
    fn the_wire_carries_the_configured_names() {
        // (target, Host, server_name, proxied, URL on the wire, Host header by hand)
        let table = [
            ("https://10.0.0.1:8443/x", None, None, false, "https://10.0.0.1:8443/x", None),
            ("https://10.0.0.1:8443/x", Some("shop.org"), None, false, "https://shop.org/x", None),
            ("https://10.0.0.1:8443/x", Some("shop.org:8443"), None, false, "https://shop.org:8443/x", None),
            ("https://10.0.0.1:8443/x", Some("shop.org:1"), None, false, "https://shop.org:8443/x", Some("shop.org:1")),
            ("http://10.0.0.1/", Some("192.0.2.1"), None, false, "http://10.0.0.1/", Some("192.0.2.1")),
            ("http://10.0.0.1/", Some("[::1]:80"), None, false, "http://10.0.0.1/", Some("[::1]:80")),
            ("http://10.0.0.1/", Some("not a name"), None, false, "http://10.0.0.1/", Some("not a name")),
            ("https://a.org/", None, Some("b.org"), false, "https://b.org/", Some("a.org")),
            ("https://a.org:1/", None, Some("b.org"), false, "https://b.org:1/", Some("a.org:1")),
            ("https://a.org/", None, Some("a.org"), false, "https://a.org/", None),
            ("http://a.org/", None, Some("b.org"), false, "http://a.org/", None),
            ("https://10.0.0.1/", Some("a.org"), Some("b.org"), false, "https://b.org/", Some("a.org")),
            ("https://a.org./", None, None, false, "https://a.org/", None),
            ("http://a.org./", None, None, false, "http://a.org./", None),
            ("https://a.org/", Some("b.org"), Some("c.org"), true, "https://a.org/", Some("b.org")),
        ];
        for (url, host, server_name, proxied, wire, header) in table {
            let settings = HttpSettings {
                host: host.map(str::to_owned),
                tls: TlsSettings { server_name: server_name.map(str::to_owned), ..TlsSettings::default() },
                ..settings()
            };
            let names = Names { host_header: true, server_name: true, proxied, default_port: false };
            let dressed = dress(&settings, &Url::parse(url).unwrap(), names);
            let found = (dressed.url.as_str(), dressed.host.as_ref().map(|value| value.to_str().unwrap()));
            assert_eq!(found, (wire, header), "{url} {host:?} {server_name:?}");
        }
    }
    #[test]
    fn a_port_that_is_written_is_told() {
        for (url, host, header) in [
            ("http://a.org:80/", None, Some("a.org:80")),
            ("https://a.org:443/", None, Some("a.org:443")),
            ("http://[::1]:80/", None, Some("[::1]:80")),
            ("http://a.org:80/", Some("b.org"), Some("b.org")),
            ("http://a.org:8080/", None, None),
        ] {
            let settings = HttpSettings { host: host.map(str::to_owned), ..settings() };
            let parsed = Url::parse(url).unwrap();
            let default_port = crate::config::http::names_default_port(url, &parsed);
            let names = Names { host_header: true, server_name: true, proxied: true, default_port };
            let dressed = dress(&settings, &parsed, names);
            assert_eq!(dressed.host.as_ref().map(|value| value.to_str().unwrap()), header, "{url}");
        }
    }
}
