//! Where the way of a run led to, and which packets follow it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use url::Url;

use super::hop::Packet;
use crate::config::dns::DnsTransport;
use crate::config::{DnsServer, DnsServers, HttpSettings, IpPreference, ProbeSpec};
use crate::observation::{Detail, Observation, Reason};
use crate::probe::address::admit;
use crate::probe::http::proxy_for;
use crate::probe::{Shared, dns};

/// How long the lookup of a host may take that the run itself did not look up.
const LOOKUP: Duration = Duration::from_secs(5);

/// A host, and what to send it.
pub(super) struct Destination<'a> {
    host: String,
    /// Where the run was, if that is known.
    address: Option<IpAddr>,
    servers: &'a DnsServers,
    ip: IpPreference,
    pub(super) source: Option<IpAddr>,
    pub(super) packet: Packet,
    /// It is the proxy's.
    pub(super) proxy: bool,
}

/// Whether a run that ended so could not get to where it wanted.
pub(in crate::probe) fn is_lost(spec: &ProbeSpec, run: &Observation) -> bool {
    use Reason::{ConnectTimeout, ConnectUnreachable, IcmpTimeout, IcmpUnreachable, ProxyError, RequestTimeout};
    let Some(failure) = run.outcome.failure() else { return false };
    let lost = matches!(failure.reason, ConnectTimeout | ConnectUnreachable | IcmpTimeout | IcmpUnreachable);
    // A datagram has no connection: silence is all that there is.
    let silent = failure.reason == RequestTimeout
        && matches!(
            spec,
            ProbeSpec::Dns { settings, server: DnsServer::Host(_) } if settings.transport == DnsTransport::Udp
        );
    // It may be anything about the proxy; whoever traces looks first whether it takes connections.
    let proxy =
        failure.reason == ProxyError && matches!(spec, ProbeSpec::Http { settings, .. } if settings.proxy.is_used());
    lost || silent || proxy
}

impl<'a> Destination<'a> {
    /// `None` for what is not reached over a network.
    pub(super) fn of(spec: &'a ProbeSpec, run: &Observation) -> Option<Self> {
        let address = run.resolution.as_ref().and_then(|resolution| resolution.chosen);
        let direct = |host: &str, servers, ip, source, packet| Self {
            host: host.to_owned(),
            address,
            servers,
            ip,
            source,
            packet,
            proxy: false,
        };
        let port = |url: &Url| url.port_or_known_default();
        Some(match spec {
            ProbeSpec::Http { settings, url, .. } => Self::of_http(settings, url, address, run)?,
            ProbeSpec::Websocket { settings, url } => {
                let packet = Packet::Tcp { port: port(url)? };
                direct(url.host_str()?, &settings.dns_servers, settings.ip, None, packet)
            }
            ProbeSpec::Tcp { settings, address: to } => {
                let packet = Packet::Tcp { port: to.port };
                direct(&to.host, &settings.dns_servers, settings.ip, settings.source_address, packet)
            }
            ProbeSpec::Grpc { settings, address: to } => {
                let packet = Packet::Tcp { port: to.port };
                direct(&to.host, &settings.dns_servers, settings.ip, None, packet)
            }
            ProbeSpec::Dns { settings, server } => {
                let (host, packet) = match server {
                    DnsServer::Url(url) => (url.host_str()?, Packet::Tcp { port: port(url)? }),
                    DnsServer::Host(to) => match settings.transport {
                        DnsTransport::Udp => {
                            (&*to.host, Packet::Udp { port: to.port, payload: dns::question(settings).into() })
                        }
                        DnsTransport::Tcp | DnsTransport::Tls => (&*to.host, Packet::Tcp { port: to.port }),
                    },
                };
                direct(host, &settings.dns_servers, settings.ip, settings.source_address, packet)
            }
            ProbeSpec::Icmp { settings, host } => {
                direct(host, &settings.dns_servers, settings.ip, settings.source_address, Packet::Echo)
            }
            ProbeSpec::Unix { .. } => return None,
        })
    }

    /// After redirects it is the last host that matters, and behind a proxy that one.
    fn of_http(settings: &'a HttpSettings, url: &Url, first: Option<IpAddr>, run: &Observation) -> Option<Self> {
        let last = match &run.detail {
            Detail::Http(detail) => detail.redirect_chain.last().and_then(|url| Url::parse(url).ok()),
            Detail::None
            | Detail::Tcp(_)
            | Detail::Dns(_)
            | Detail::Icmp(_)
            | Detail::Grpc(_)
            | Detail::Unix(_)
            | Detail::Websocket(_) => None,
        };
        let address = if last.is_none() { first } else { None };
        let url = last.as_ref().unwrap_or(url);
        let proxy = proxy_for(&settings.proxy, url);
        let over = proxy.as_ref().unwrap_or(url);
        let port = over.port_or_known_default()?;
        let packet = if settings.enable_http3 && proxy.is_none() {
            Packet::Udp { port, payload: unknown_quic() }
        } else {
            Packet::Tcp { port }
        };
        Some(Self {
            host: over.host_str()?.to_owned(),
            address: if proxy.is_some() { None } else { address },
            servers: &settings.dns_servers,
            ip: settings.ip,
            source: None,
            packet,
            proxy: proxy.is_some(),
        })
    }

    /// The address, looked up where the run did not do it.
    ///
    /// # Errors
    /// Why there is none, one sentence.
    pub(super) async fn address(&self, shared: &Shared) -> Result<IpAddr, String> {
        let host = &self.host;
        if let Some(address) = self.address {
            let address = address.to_canonical();
            admit(host, Some(address)).map_err(|failure| failure.sentence.into_string())?;
            return Ok(address);
        }
        let resolver = shared.resolvers.resolver(self.servers).map_err(|error| error.to_string())?;
        let found = timeout(LOOKUP, resolver.resolve(host, self.ip)).await;
        let found = found.map_err(|_| resolver.silence(host).sentence)?.map_err(|error| error.failure.sentence)?;
        found.chosen.map(|address| address.to_canonical()).ok_or_else(|| format!("no address of {host} was chosen"))
    }
}

/// A long header of QUIC with a version that nobody speaks, to which every server answers with those that it does (RFC
/// 8999, RFC 9000 sections 6.1 and 14.1).
fn unknown_quic() -> Arc<[u8]> {
    const LEAST_DATAGRAM: usize = 1200;
    const ID: u8 = 8;
    let mut packet = vec![0; LEAST_DATAGRAM];
    packet[0] = 0xc0;
    packet[1..5].copy_from_slice(&0x1a2a_3a4a_u32.to_be_bytes());
    packet[5] = ID;
    packet[6..14].copy_from_slice(b"uptimewa");
    packet[14] = ID;
    packet[15..23].copy_from_slice(b"yexporte");
    packet.into()
}
