//! IPv6 addresses with a zone, `fe80::1%eth0`: which interface's link the address is on (RFC 4007).
//!
//! An `IpAddr` has no place for a zone, and the `url` crate refuses one, as browsers do. So a host keeps its zone as text,
//! and a [`ZonedUrl`] keeps it beside the URL.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::ops::Deref;

use nix::net::if_::{if_indextoname, if_nametoindex};
use url::Url;

/// The address and the zone of `fe80::1%eth0`; `None` for anything else.
pub fn split_zone(host: &str) -> Option<(Ipv6Addr, &str)> {
    let (address, zone) = host.split_once('%')?;
    Some((address.parse().ok()?, zone))
}

/// The address that `host` is: a literal with or without a zone, not in brackets.
pub fn literal(host: &str) -> Option<IpAddr> {
    match split_zone(host) {
        Some((address, _)) => Some(address.into()),
        None => host.parse().ok(),
    }
}

/// `host` without its zone: what Host headers and certificates have.
pub fn without_zone(host: &str) -> &str {
    match split_zone(host) {
        Some(_) => host.split('%').next().unwrap_or(host),
        None => host,
    }
}

/// `address` of `host`, with the zone that `host` has.
///
/// # Errors
/// A sentence: the machine has no such interface, at present.
pub fn socket_address(host: &str, address: IpAddr, port: u16) -> Result<SocketAddr, String> {
    match (address, split_zone(host)) {
        (IpAddr::V6(address), Some((_, zone))) => Ok(SocketAddrV6::new(address, port, 0, scope_id(zone)?).into()),
        (address, _) => Ok(SocketAddr::new(address, port)),
    }
}

/// The number of an interface, which a zone may be itself.
///
/// # Errors
/// A sentence: the machine has no such interface, at present.
pub fn scope_id(zone: &str) -> Result<u32, String> {
    match zone.parse() {
        Ok(number) => Ok(number),
        Err(_) => if_nametoindex(zone).map_err(|_| format!("this machine has no interface {zone:?}")),
    }
}

/// The name of an interface, of which a zone may be the number. What is not there keeps its number, and is not found.
pub fn interface(zone: &str) -> String {
    let name = zone.parse().ok().and_then(|number| if_indextoname(number).ok());
    name.map_or_else(|| zone.to_owned(), |name| name.to_string_lossy().into_owned())
}

/// A URL whose host may be an IPv6 address with a zone. The zone decides where to connect, and is not sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZonedUrl {
    url: Url,
    /// `fe80::1%eth0`, where the URL has `[fe80::1]`.
    zoned: Option<Box<str>>,
}

impl ZonedUrl {
    /// `zone` is for a URL whose host is an IPv6 address; for another one it means nothing.
    pub(super) fn new(url: Url, zone: Option<&str>) -> Self {
        let zoned = match (url.host(), zone) {
            (Some(url::Host::Ipv6(address)), Some(zone)) => Some(format!("{address}%{zone}").into()),
            // Schemes that the URL standard does not know have their hosts as text.
            (Some(url::Host::Domain(host)), Some(zone)) => {
                let address = host.trim_matches(['[', ']']).parse::<Ipv6Addr>();
                address.ok().map(|address| format!("{address}%{zone}").into())
            }
            (Some(url::Host::Ipv4(_)) | None, _) | (_, None) => None,
        };
        Self { url, zoned }
    }

    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Where to connect: a name, or an address with the zone that it has.
    pub fn host(&self) -> &str {
        self.zoned.as_deref().or_else(|| self.url.host_str()).unwrap_or_default()
    }

    /// The address and its zone, when it has one.
    pub fn zone(&self) -> Option<(Ipv6Addr, &str)> {
        split_zone(self.zoned.as_deref()?)
    }
}

impl From<Url> for ZonedUrl {
    fn from(url: Url) -> Self {
        Self { url, zoned: None }
    }
}

impl Deref for ZonedUrl {
    type Target = Url;

    fn deref(&self) -> &Url {
        &self.url
    }
}

/// With the zone as RFC 6874 writes it.
impl fmt::Display for ZonedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.zone() {
            None => write!(f, "{}", self.url),
            Some((_, zone)) => {
                write!(f, "{}", &self.url[..url::Position::AfterHost].trim_end_matches(']'))?;
                write!(f, "%25{zone}]{}", &self.url[url::Position::AfterHost..])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_zone_belongs_to_an_ipv6_address_alone() {
        let address: Ipv6Addr = "fe80::1".parse().unwrap();
        assert_eq!(split_zone("fe80::1%eth0"), Some((address, "eth0")));
        for host in ["fe80::1", "10.0.0.1%eth0", "name%eth0", "%eth0", ""] {
            assert_eq!(split_zone(host), None, "{host}");
            assert_eq!(without_zone(host), host);
        }
        assert_eq!(without_zone("fe80::1%eth0"), "fe80::1");
        assert_eq!(literal("fe80::1%eth0"), Some(address.into()));
        assert_eq!(literal("name"), None);
    }

    #[test]
    fn an_interface_is_found_by_name_and_by_number() {
        let index = scope_id("lo").unwrap();
        assert_eq!(interface(&index.to_string()), "lo");
        assert_eq!(interface("lo"), "lo");
        assert_eq!(scope_id("77"), Ok(77));
        assert_eq!(scope_id("no-such-0"), Err("this machine has no interface \"no-such-0\"".to_owned()));
        let address = "fe80::1".parse().unwrap();
        let zoned = socket_address("fe80::1%77", address, 80).unwrap();
        assert_eq!(zoned.to_string(), "[fe80::1%77]:80");
        assert_eq!(socket_address("name", address, 80).unwrap().to_string(), "[fe80::1]:80");
        assert_eq!(socket_address("fe80::1%77", [127, 0, 0, 1].into(), 80).unwrap().to_string(), "127.0.0.1:80");
    }

    #[test]
    fn a_url_shows_its_zone_and_does_not_send_it() {
        let url = ZonedUrl::new("http://[fe80::1]:8080/x?y".parse().unwrap(), Some("eth0"));
        assert_eq!(url.to_string(), "http://[fe80::1%25eth0]:8080/x?y");
        assert_eq!((url.host(), url.as_str()), ("fe80::1%eth0", "http://[fe80::1]:8080/x?y"));
        assert_eq!(url.zone(), Some(("fe80::1".parse().unwrap(), "eth0")));
        let proxy = ZonedUrl::new("socks5://[fe80::1]:1080".parse().unwrap(), Some("2"));
        assert_eq!(proxy.host(), "fe80::1%2");
        let plain = ZonedUrl::from(Url::parse("http://[::1]/").unwrap());
        assert_eq!((plain.host(), plain.zone(), plain.to_string().as_str()), ("[::1]", None, "http://[::1]/"));
    }
}
