//! One exchange: route, resolve, connect, send, and the head of the response; and where the time went.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::PROXY_AUTHORIZATION;
use http::{HeaderMap, Method, StatusCode};
use tokio::time::Instant;
use url::{Host, Url};

use super::client::Client;
use super::http3::Quic;
use super::proxy::{Proxies, Proxy};
use super::reason;
use super::trace::{Dial, HopTrace, Reached, add};
use crate::config::http::ProxySettings;
use crate::config::zoned::interface;
use crate::config::{DnsServers, IpPreference, TlsSettings, ZonedUrl};
use crate::observation::{Failure, HttpPhases, Reason, Resolution, TlsSession};
use crate::probe::address::{Resolver, admit, destination};
use crate::probe::tls::{Alpn, Recorder};
use crate::probe::{ProberError, Shared};

/// Everything that an exchange needs, built once and shared between runs.
pub(super) struct Transport {
    direct: Direct,
    proxies: Option<Box<Proxies>>,
    resolver: Arc<Resolver>,
    ip: IpPreference,
    /// The address with a zone that URLs have without it.
    zoned: Option<Zoned>,
}

/// What a transport is made from.
pub(super) struct Needs<'a> {
    pub(super) tls: &'a TlsSettings,
    pub(super) alpn: Alpn,
    pub(super) proxy: &'a ProxySettings,
    pub(super) dns_servers: &'a DnsServers,
    pub(super) ip: IpPreference,
    /// Where it is used first: an address of a link is looked for on that link, on later hops too.
    pub(super) home: &'a ZonedUrl,
}

struct Zoned {
    address: Ipv6Addr,
    /// `fe80::1%eth0`.
    host: Box<str>,
    /// Bound to the interface, because a URL has no place for it. `None` over QUIC, whose socket is ours.
    client: Option<Arc<Client>>,
}

/// How a target without a proxy is spoken to.
enum Direct {
    Tcp(Arc<Client>),
    Quic(Box<Quic>),
}

/// A request, dressed for the wire.
pub(super) struct Outgoing<'a> {
    /// Where to connect.
    pub(super) target: &'a Url,
    /// What the request line, SNI and certificate check go by.
    pub(super) wire: Url,
    pub(super) method: Method,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Transport {
    pub(super) fn new(needs: Needs<'_>, shared: &Shared) -> Result<Self, ProberError> {
        let Needs { tls, alpn, proxy, dns_servers, ip, home } = needs;
        let tls = shared.tls.client(tls, alpn)?;
        let mut zoned = home.zone().map(|(address, _)| Zoned { address, host: home.host().into(), client: None });
        if let (Some(zoned), Some((_, zone)), true) = (&mut zoned, home.zone(), alpn != Alpn::Http3) {
            zoned.client = Some(shared.clients.client(&tls, None, Some(&interface(zone)))?);
        }
        let (direct, proxies) = match alpn {
            // HTTP/3 passes HTTP proxies by, as the incumbent's does.
            Alpn::Http3 => (Direct::Quic(Box::new(Quic::new(tls)?)), None),
            Alpn::None | Alpn::Http1 | Alpn::Http2AndHttp1 | Alpn::Http2 => {
                (Direct::Tcp(shared.clients.client(&tls, None, None)?), Proxies::new(proxy, &tls, &shared.clients)?)
            }
        };
        Ok(Self { direct, proxies, resolver: shared.resolvers.resolver(dns_servers)?, ip, zoned })
    }

    /// The proxy that `url` goes through, if any.
    pub(super) fn proxy(&self, url: &Url) -> Option<&Proxy> {
        self.proxies.as_ref()?.select(url)
    }

    /// Sends, and waits for the head of the response.
    pub(super) async fn exchange(
        &self,
        progress: &mut Progress,
        outgoing: Outgoing<'_>,
    ) -> Result<reqwest::Response, Failure> {
        if let Direct::Quic(quic) = &self.direct {
            if outgoing.target.scheme() != "https" {
                let sentence = "a redirect leads to a plain http:// address, which HTTP/3 cannot speak to";
                return Err(Failure::new(Reason::HttpRedirect, sentence));
            }
            let address = self.resolve(progress, outgoing.target).await?;
            let hop = progress.begin_exchange(Dial::Quic, Peer::Address(address));
            let result = hop.scope(quic.exchange(&hop, address, outgoing)).await;
            progress.end_exchange();
            return result;
        }
        let proxy = self.proxy(outgoing.target);
        let (dial, peer) = match proxy {
            Some(proxy) => {
                admit_by_name(outgoing.target)?;
                let resolver = Arc::clone(&self.resolver);
                (Dial::Proxy { resolver, ip: self.ip, tunnel: proxy.tunnel }, Peer::Proxy(proxy.name.clone()))
            }
            None => {
                let address = self.resolve(progress, outgoing.target).await?;
                (Dial::Target(address), Peer::Address(address))
            }
        };
        let client = match (proxy, &self.direct) {
            (Some(proxy), _) => &proxy.client,
            (None, Direct::Tcp(client)) => {
                self.zoned(outgoing.target).and_then(|zoned| zoned.client.as_ref()).unwrap_or(client)
            }
            (None, Direct::Quic(_)) => return Err(Failure::new(Reason::Internal, "HTTP/3 was not spoken")),
        };
        let mut request = reqwest::Request::new(outgoing.method, outgoing.wire);
        *request.headers_mut() = outgoing.headers;
        if proxy.is_some_and(|proxy| proxy.forwards && proxy.has_credentials) {
            request.headers_mut().remove(PROXY_AUTHORIZATION);
        }
        if !outgoing.body.is_empty() {
            *request.body_mut() = Some(outgoing.body.into());
        }
        let hop = progress.begin_exchange(dial, peer);
        let result = hop.scope(client.inner.execute(request)).await;
        progress.end_exchange();
        match result {
            Ok(response) => Ok(response),
            Err(error) => Err(reason::exchange(&error, &hop, &progress.peer_name())),
        }
    }

    /// A status that a forwarding proxy gives for itself: an answer like any other, but not the target's fault.
    pub(super) fn refusal(&self, url: &Url, status: StatusCode) -> Option<Failure> {
        let Proxy { name, .. } = self.proxy(url).filter(|proxy| proxy.forwards)?;
        (status == StatusCode::PROXY_AUTHENTICATION_REQUIRED)
            .then(|| Failure::new(Reason::ProxyError, format!("the proxy {name} wants credentials (status 407)")))
    }

    /// When `url` has the address that has a zone.
    fn zoned(&self, url: &Url) -> Option<&Zoned> {
        self.zoned.as_ref().filter(|zoned| url.host() == Some(Host::Ipv6(zoned.address)))
    }

    async fn resolve(&self, progress: &mut Progress, url: &Url) -> Result<SocketAddr, Failure> {
        // Both hold for every URL that config and redirects let pass: http or https, with a host.
        let host = url.host().unwrap_or(Host::Domain(""));
        let port = url.port_or_known_default().unwrap_or(80);
        let literal = match host {
            Host::Ipv4(address) => Some(IpAddr::V4(address)),
            Host::Ipv6(address) => Some(IpAddr::V6(address)),
            Host::Domain(_) => None,
        };
        let mut ip = self.ip;
        let name = match literal {
            Some(address) => {
                // Where a redirect leads is not the config's choice: the incumbent connects to it, whatever its family.
                ip.fallback |= progress.hops > 0;
                self.zoned(url).map_or_else(|| address.to_string(), |zoned| zoned.host.to_string())
            }
            None => {
                progress.begin_resolve();
                host.to_string()
            }
        };
        match self.resolver.resolve(&name, ip).await {
            Ok(resolution) => {
                let chosen = resolution.chosen;
                progress.resolved(resolution);
                match chosen {
                    Some(ip) => destination(&name, ip, port),
                    None => Err(Failure::new(Reason::DnsNoAddress, format!("{name} has no address to use"))),
                }
            }
            Err(error) => {
                progress.resolved(error.resolution);
                Err(error.failure)
            }
        }
    }
}

/// A proxy looks the name up, so that the name is all there is to judge.
fn admit_by_name(url: &Url) -> Result<(), Failure> {
    match url.host() {
        Some(Host::Ipv4(address)) => admit(&address.to_string(), Some(address.into())),
        Some(Host::Ipv6(address)) => admit(&address.to_string(), Some(address.into())),
        Some(Host::Domain(name)) => admit(name, None),
        None => Ok(()),
    }
}

/// Where a run is, and what it has spent. It outlives the run's future, so that a timeout can say what it hit.
pub(super) struct Progress {
    pub(super) phases: HttpPhases,
    /// Of the first hop.
    pub(super) resolution: Option<Resolution>,
    recorder: Recorder,
    stage: Stage,
    hop: Option<(Arc<HopTrace>, Peer)>,
    hops: u32,
}

enum Stage {
    /// Between two stages: nothing is awaited.
    Idle,
    Resolving(Instant),
    Exchanging,
    /// Since the head of the response.
    Reading(Instant),
    Judging,
}

#[derive(Clone)]
enum Peer {
    Address(SocketAddr),
    Proxy(Box<str>),
}

impl Progress {
    pub(super) fn new() -> Self {
        Self {
            phases: HttpPhases::default(),
            resolution: None,
            recorder: Recorder::default(),
            stage: Stage::Idle,
            hop: None,
            hops: 0,
        }
    }

    fn begin_resolve(&mut self) {
        self.stage = Stage::Resolving(Instant::now());
    }

    fn resolved(&mut self, resolution: Resolution) {
        add(&mut self.phases.resolve, resolution.elapsed);
        self.stage = Stage::Idle;
        if self.hops == 0 {
            self.resolution = Some(resolution);
        }
    }

    fn begin_exchange(&mut self, dial: Dial, peer: Peer) -> Arc<HopTrace> {
        self.recorder.reset();
        let hop = HopTrace::new(dial, self.recorder.clone());
        self.hop = Some((Arc::clone(&hop), peer));
        self.hops += 1;
        self.stage = Stage::Exchanging;
        hop
    }

    fn end_exchange(&mut self) {
        let now = Instant::now();
        if let Some((hop, _)) = &self.hop {
            hop.add_phases(&mut self.phases, now);
        }
        self.stage = Stage::Idle;
    }

    pub(super) fn begin_reading(&mut self) {
        self.stage = Stage::Reading(Instant::now());
    }

    pub(super) fn end_reading(&mut self) {
        if let Stage::Reading(since) = self.stage {
            self.phases.transfer = Some(since.elapsed());
        }
        self.stage = Stage::Judging;
    }

    fn peer_name(&self) -> String {
        match &self.hop {
            Some((_, Peer::Address(address))) => address.to_string(),
            Some((_, Peer::Proxy(name))) => name.to_string(),
            None => "the peer".to_owned(),
        }
    }

    /// The proxy of the last hop.
    pub(super) fn proxy(&self) -> Option<Box<str>> {
        match &self.hop {
            Some((_, Peer::Proxy(name))) => Some(name.clone()),
            Some((_, Peer::Address(_))) | None => None,
        }
    }

    /// Whether a request was sent, or could have been: a peer was connected to.
    pub(super) fn asked(&self) -> bool {
        self.hops > 1 || self.hop.as_ref().is_some_and(|(hop, _)| hop.reached() == Reached::Request)
    }

    /// The handshake with the target on the last hop, verified or not.
    pub(super) fn tls(&self) -> Option<TlsSession> {
        let (hop, _) = self.hop.as_ref()?;
        if hop.shook_hands() { self.recorder.session() } else { None }
    }

    /// Closes the stage in which time ran out, and says which it was.
    pub(super) fn expire(&mut self, timeout: Duration) -> Failure {
        let now = Instant::now();
        let within = format!("within {timeout:?}");
        match std::mem::replace(&mut self.stage, Stage::Idle) {
            Stage::Resolving(since) => {
                let elapsed = now.saturating_duration_since(since);
                self.resolved(Resolution { elapsed, addresses: Box::default(), chosen: None, lookup: None });
                Failure::new(Reason::DnsTimeout, format!("no answer from the name server {within}"))
            }
            Stage::Exchanging => {
                self.end_exchange();
                let peer = self.peer_name();
                match self.hop.as_ref().map_or(Reached::Connecting, |(hop, _)| hop.reached()) {
                    Reached::Proxy => {
                        Failure::new(Reason::ProxyError, format!("the proxy {peer} did not connect {within}"))
                    }
                    Reached::Connecting => {
                        Failure::new(Reason::ConnectTimeout, format!("{peer} did not accept the connection {within}"))
                    }
                    Reached::Handshake => {
                        Failure::new(Reason::TlsTimeout, format!("{peer} did not finish the TLS handshake {within}"))
                    }
                    Reached::Request => {
                        Failure::new(Reason::RequestTimeout, format!("{peer} did not begin to answer {within}"))
                    }
                }
            }
            Stage::Reading(since) => {
                self.phases.transfer = Some(now.saturating_duration_since(since));
                Failure::new(Reason::ResponseTimeout, format!("the answer did not end {within}"))
            }
            Stage::Judging => {
                Failure::new(Reason::Internal, format!("the rules on the body did not come to an end {within}"))
            }
            Stage::Idle => Failure::new(Reason::Internal, format!("the run was not given its turn {within}")),
        }
    }
}
