//! Where a probe connects to: what may be varied about it.

use std::net::IpAddr;

use super::address::{Pin, Scope};
use crate::config::zoned::literal;
use crate::config::{DnsServer, DnsServers, IpPreference, ProbeSpec};

/// Where a probe connects to, how names are resolved for it, and which family it prefers.
pub(super) struct Place<'a> {
    pub(super) host: &'a str,
    /// `None` where there are no ports.
    pub(super) port: Option<u16>,
    pub(super) servers: &'a DnsServers,
    pub(super) ip: IpPreference,
}

impl Place<'_> {
    /// The host without brackets, with the zone that it has.
    pub(super) fn bare(&self) -> &str {
        self.host.trim_matches(['[', ']'])
    }

    /// The host, when it is an address.
    pub(super) fn literal(&self) -> Option<IpAddr> {
        literal(self.bare())
    }

    /// A scope in which the host has this address.
    pub(super) fn at(&self, address: IpAddr) -> Scope {
        Scope { pin: Some(Pin { host: self.bare().into(), address }), ..Scope::default() }
    }
}

/// `None` for what has no address to vary: Unix sockets, and what a proxy resolves.
pub(super) fn place(spec: &ProbeSpec) -> Option<Place<'_>> {
    if !spec.resolves() {
        return None;
    }
    Some(match spec {
        ProbeSpec::Http { settings, url, names_port: _ } => {
            let (host, port) = (url.host(), url.port_or_known_default());
            Place { host, port, servers: &settings.dns_servers, ip: settings.ip }
        }
        ProbeSpec::Websocket { settings, url } => {
            let (host, port) = (url.host(), url.port_or_known_default());
            Place { host, port, servers: &settings.dns_servers, ip: settings.ip }
        }
        ProbeSpec::Tcp { settings, address } => {
            Place { host: &address.host, port: Some(address.port), servers: &settings.dns_servers, ip: settings.ip }
        }
        ProbeSpec::Grpc { settings, address } => {
            Place { host: &address.host, port: Some(address.port), servers: &settings.dns_servers, ip: settings.ip }
        }
        ProbeSpec::Dns { settings, server: DnsServer::Host(address) } => {
            Place { host: &address.host, port: None, servers: &settings.dns_servers, ip: settings.ip }
        }
        ProbeSpec::Dns { settings, server: DnsServer::Url(url) } => {
            let (host, port) = (url.host(), url.port_or_known_default());
            Place { host, port, servers: &settings.dns_servers, ip: settings.ip }
        }
        ProbeSpec::Icmp { settings, host } => {
            Place { host, port: None, servers: &settings.dns_servers, ip: settings.ip }
        }
        ProbeSpec::Unix { .. } => return None,
    })
}
