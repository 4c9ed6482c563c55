//! Which proxy a URL goes through: the incumbent's proxy keys with Go's `no_proxy` rules.
//!
//! Names are always left to the proxy, so `socks5` is spoken as `socks5h`.

use std::net::IpAddr;
use std::sync::Arc;

use url::{Host, Url};

use super::client::{Client, Clients, ProxyKey};
use super::trace::Tunnel;
use crate::config::ZonedUrl;
use crate::config::http::ProxySettings;
use crate::config::zoned::interface;
use crate::probe::ProberError;

/// The proxies of one prober, with their clients.
pub(super) struct Proxies {
    http: Option<Proxy>,
    https: Option<Proxy>,
    bypass: Option<Bypass>,
}

pub(super) struct Proxy {
    pub(super) client: Arc<Client>,
    /// `host:port`, for people.
    pub(super) name: Box<str>,
    pub(super) tunnel: Tunnel,
    /// It speaks HTTP for itself on this connection: a 407 is its own.
    pub(super) forwards: bool,
    /// Its URL has credentials, which win over a `Proxy-Authorization` of one's own, as in Go.
    pub(super) has_credentials: bool,
}

impl Proxies {
    /// `None` when every connection is direct.
    pub(super) fn new(
        settings: &ProxySettings,
        tls: &Arc<rustls::ClientConfig>,
        clients: &Clients,
    ) -> Result<Option<Box<Self>>, ProberError> {
        let proxy = |url: &ZonedUrl, scheme: &str, connect_headers: &http::HeaderMap| -> Result<Proxy, ProberError> {
            let interface = url.zone().map(|(_, zone)| interface(zone));
            let url = normalised(url.url());
            let socks = url.scheme().starts_with("socks");
            let tunnel = match (scheme, url.scheme()) {
                ("https", "https") => Tunnel::Tls,
                ("https", _) => Tunnel::Tcp,
                _ => Tunnel::None,
            };
            // The headers are for CONNECT alone; reqwest would add them to a forwarded request too.
            let mut connect_headers =
                if scheme == "https" && !socks { connect_headers.clone() } else { http::HeaderMap::new() };
            let has_credentials = !url.username().is_empty() || url.password().is_some();
            if has_credentials {
                connect_headers.remove(http::header::PROXY_AUTHORIZATION);
            }
            let name = authority(&url);
            let client = clients.client(tls, Some(&ProxyKey { url, connect_headers }), interface.as_deref())?;
            Ok(Proxy { client, name, tunnel, forwards: scheme == "http" && !socks, has_credentials })
        };
        let proxies = match settings {
            ProxySettings::Direct => return Ok(None),
            ProxySettings::Url { url, no_proxy, connect_headers } => Self {
                http: Some(proxy(url, "http", connect_headers)?),
                https: Some(proxy(url, "https", connect_headers)?),
                // Go asks its bypass rules (loopback included) only where there is such a list.
                bypass: no_proxy.as_deref().map(Bypass::parse),
            },
            ProxySettings::Environment { http, https, no_proxy, connect_headers } => Self {
                http: http.as_deref().map(|url| proxy(url, "http", connect_headers)).transpose()?,
                https: https.as_deref().map(|url| proxy(url, "https", connect_headers)).transpose()?,
                bypass: Some(Bypass::parse(no_proxy.as_deref().unwrap_or_default())),
            },
        };
        Ok(Some(Box::new(proxies)))
    }

    /// The proxy for `url`; `None` is a direct connection.
    pub(super) fn select(&self, url: &Url) -> Option<&Proxy> {
        let proxy = match url.scheme() {
            "https" => self.https.as_ref()?,
            _ => self.http.as_ref()?,
        };
        match &self.bypass {
            Some(bypass) if bypass.covers(url) => None,
            _ => Some(proxy),
        }
    }
}

/// The URL of the proxy through which `url` is fetched; `None` is a direct connection.
pub(in crate::probe) fn proxy_for(settings: &ProxySettings, url: &Url) -> Option<Url> {
    let (http, https, bypass) = match settings {
        ProxySettings::Direct => return None,
        ProxySettings::Url { url, no_proxy, .. } => (Some(url), Some(url), no_proxy.as_deref()),
        ProxySettings::Environment { http, https, no_proxy, .. } => {
            (http.as_ref(), https.as_ref(), Some(no_proxy.as_deref().unwrap_or_default()))
        }
    };
    let proxy = if url.scheme() == "https" { https } else { http }?;
    (!bypass.is_some_and(|bypass| Bypass::parse(bypass).covers(url))).then(|| normalised(proxy))
}

/// `socks5` and `socks` become `socks5h`, and get their port, which the client would take for 80.
fn normalised(url: &Url) -> Url {
    let mut url = url.clone();
    if matches!(url.scheme(), "socks5" | "socks") {
        // Both schemes are "not special" to the URL standard, so the change is always allowed.
        let _ = url.set_scheme("socks5h");
    }
    if url.scheme().starts_with("socks") && url.port().is_none() {
        let _ = url.set_port(Some(1080));
    }
    url
}

fn authority(url: &Url) -> Box<str> {
    let host = url.host_str().unwrap_or_default();
    match url.port_or_known_default() {
        Some(port) => format!("{host}:{port}").into(),
        None => host.into(),
    }
}

/// Go's `NO_PROXY` rules (golang.org/x/net/http/httpproxy): `localhost` and loopback addresses are never proxied.
struct Bypass {
    rules: Vec<Rule>,
}

enum Rule {
    Everything,
    Network {
        address: IpAddr,
        prefix: u32,
    },
    Address {
        address: IpAddr,
        port: Option<Box<str>>,
    },
    /// `suffix` begins with a dot.
    Domain {
        suffix: Box<str>,
        apex: bool,
        port: Option<Box<str>>,
    },
}

impl Bypass {
    /// Malformed entries are skipped, as Go does.
    fn parse(list: &str) -> Self {
        let mut rules = Vec::new();
        for entry in list.split(',') {
            let entry = entry.trim().to_ascii_lowercase();
            if entry == "*" {
                return Self { rules: vec![Rule::Everything] };
            }
            rules.extend(Rule::parse(&entry));
        }
        Self { rules }
    }

    fn covers(&self, url: &Url) -> bool {
        let Some(host) = url.host() else { return false };
        let port = url.port_or_known_default().unwrap_or_default().to_string();
        let (name, address) = match host {
            Host::Domain(name) => (name.to_ascii_lowercase(), None),
            Host::Ipv4(address) => (address.to_string(), Some(IpAddr::V4(address))),
            Host::Ipv6(address) => (address.to_string(), Some(IpAddr::V6(address))),
        };
        if name == "localhost" || address.is_some_and(|address| address.to_canonical().is_loopback()) {
            return true;
        }
        self.rules.iter().any(|rule| rule.covers(&name, address, &port))
    }
}

impl Rule {
    fn parse(entry: &str) -> Option<Self> {
        if let Some((network, prefix)) = entry.split_once('/') {
            let address: IpAddr = network.parse().ok()?;
            let prefix: u32 = prefix.parse().ok()?;
            let most = if address.is_ipv4() { 32 } else { 128 };
            return (prefix <= most).then_some(Self::Network { address, prefix });
        }
        let (host, port) = split_port(entry);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = host.parse() {
            return Some(Self::Address { address, port });
        }
        let host = host.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(host);
        if host.is_empty() || host == "." {
            return None;
        }
        Some(match host.strip_prefix('.') {
            Some(_) => Self::Domain { suffix: host.into(), apex: false, port },
            None => Self::Domain { suffix: format!(".{host}").into(), apex: true, port },
        })
    }

    fn covers(&self, name: &str, address: Option<IpAddr>, port: &str) -> bool {
        let port_fits = |wanted: &Option<Box<str>>| wanted.as_deref().is_none_or(|wanted| wanted == port);
        match self {
            Self::Everything => true,
            Self::Network { address: network, prefix } => {
                address.is_some_and(|address| in_network(address, *network, *prefix))
            }
            Self::Address { address: wanted, port } => {
                address.is_some_and(|address| address.to_canonical() == wanted.to_canonical()) && port_fits(port)
            }
            Self::Domain { suffix, apex, port } => {
                address.is_none() && (name.ends_with(&**suffix) || (*apex && name == &suffix[1..])) && port_fits(port)
            }
        }
    }
}

/// The port after the last colon; an IPv6 address without brackets has none.
fn split_port(entry: &str) -> (&str, Option<Box<str>>) {
    match entry.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
            (host, (!port.is_empty()).then(|| port.into()))
        }
        _ => (entry, None),
    }
}

fn in_network(address: IpAddr, network: IpAddr, prefix: u32) -> bool {
    match (address.to_canonical(), network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            let shift = 32 - prefix;
            shift == 32 || address.to_bits() >> shift == network.to_bits() >> shift
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => {
            let shift = 128 - prefix;
            shift == 128 || address.to_bits() >> shift == network.to_bits() >> shift
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn no_proxy_follows_go() {
        // (list, url, goes direct)
        let table = [
            ("", "http://example.com/", false),
            ("", "http://localhost:80/", true),
            ("", "http://127.0.0.9/", true),
            ("", "http://[::1]:8080/", true),
            ("*", "https://example.com/", true),
            (" a.com , *", "https://example.com/", true),
            ("example.com", "http://example.com/", true),
            ("example.com", "http://www.example.com/", true),
            ("example.com", "http://notexample.com/", false),
            ("EXAMPLE.com", "http://Example.COM/", true),
            (".example.com", "http://example.com/", false),
            (".example.com", "http://www.example.com/", true),
            ("*.example.com", "http://example.com/", false),
            ("*.example.com", "http://a.b.example.com/", true),
            ("example.com:8080", "http://example.com:8080/", true),
            ("example.com:8080", "http://example.com/", false),
            ("example.com:443", "https://example.com/", true),
            ("192.0.2.1", "http://192.0.2.1/", true),
            ("192.0.2.1", "http://192.0.2.10/", false),
            ("192.0.2.1:81", "http://192.0.2.1/", false),
            ("192.0.2.1:81", "http://192.0.2.1:81/", true),
            ("192.0.2.0/24", "http://192.0.2.77/", true),
            ("192.0.2.0/24", "http://192.0.3.1/", false),
            ("0.0.0.0/0", "http://203.0.113.1/", true),
            ("0.0.0.0/0", "http://example.com/", false),
            ("2001:db8::/32", "http://[2001:db8::5]/", true),
            ("2001:db8::1", "http://[2001:db8::1]/", true),
            ("[2001:db8::1]:8080", "http://[2001:db8::1]:8080/", true),
            ("[2001:db8::1]:8080", "http://[2001:db8::1]/", false),
            ("::/0", "http://[2001:db8::1]/", true),
            ("::/0", "http://192.0.2.1/", false),
            (",,:8080,/,*.,.,192.0.2.0/99,300.1.1.1/8", "http://example.com/", false),
        ];
        for (list, url, direct) in table {
            assert_eq!(Bypass::parse(list).covers(&Url::parse(url).unwrap()), direct, "{list:?} {url}");
        }
    }

    #[test]
    fn socks_leaves_names_to_the_proxy() {
        assert_eq!(normalised(&Url::parse("socks5://proxy").unwrap()).as_str(), "socks5h://proxy:1080");
        assert_eq!(normalised(&Url::parse("socks5h://proxy:9").unwrap()).as_str(), "socks5h://proxy:9");
        assert_eq!(normalised(&Url::parse("http://proxy:3128").unwrap()).as_str(), "http://proxy:3128/");
    }

    proptest::proptest! {
        #[test]
        fn no_proxy_takes_any_text(list in ".{0,40}") {
            let _ = Bypass::parse(&list).covers(&Url::parse("http://example.com/").unwrap());
        }
    }
}
