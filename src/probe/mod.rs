//! One run of one protocol against one target: the [`Probe`] seam, the [`Prober`] enum, and the one match over protocols.
//!
//! Probers return an [`Observation`] and know nothing of Prometheus. A target that is down is data, not an error.
//! What is dear (trust stores, TLS configs, resolvers, clients, regexes) is built with the prober, never in a run.

pub mod address;
mod cause;
mod diagnose;
mod dial;
pub mod dns;
mod error_queue;
mod fan_out;
pub mod grpc;
pub mod http;
mod http1;
mod http2;
pub mod icmp;
mod path;
mod place;
mod target;
pub mod tcp;
#[cfg(test)]
pub(crate) mod testing;
pub mod tls;
mod trace_context;
pub mod unix;
pub mod websocket;

pub use self::path::{GoodTrace, Traces};
pub use self::target::TargetProber;

use std::future::Future;
use std::sync::Arc;

use tokio::time::Instant;

use crate::config::zoned::literal;
use crate::config::{DnsServers, IpPreference, ProbeSpec};
use crate::observation::{Diagnosis, GoodPath, Observation, Path};

/// The scheduler's view of a prober; tests implement it with a script.
pub trait Probe: Send + Sync + 'static {
    /// Runs once. Ends by `deadline`, and then says in which phase the time ran out.
    fn run(&self, deadline: Instant) -> impl Future<Output = Observation> + Send;

    /// Finds out more about a run that failed, by others that vary one thing each. Ends by `deadline`.
    fn diagnose(
        &self,
        _failed: &Observation,
        _last_good: Option<&Observation>,
        _deadline: Instant,
    ) -> impl Future<Output = Option<Diagnosis>> + Send {
        std::future::ready(None)
    }

    /// Whether the run could not get to where it wanted, so that its way is worth tracing.
    fn is_lost(&self, _run: &Observation) -> bool {
        false
    }

    /// Follows the way of a run that is lost. `good` are ways on which the target answered before. Ends by itself.
    fn trace(&self, _failed: &Observation, _good: &[Arc<GoodPath>]) -> impl Future<Output = Option<Path>> + Send {
        std::future::ready(None)
    }

    /// Follows the way of a run that succeeded. Ends by itself.
    fn trace_good(&self, _run: &Observation) -> impl Future<Output = GoodTrace> + Send {
        std::future::ready(GoodTrace::Nothing)
    }
}

/// A prober of any protocol, ready to run.
pub enum Prober {
    Http(http::HttpProber),
    Tcp(tcp::TcpProber),
    Dns(dns::DnsProber),
    Icmp(icmp::IcmpProber),
    Grpc(grpc::GrpcProber),
    Unix(unix::UnixProber),
    Websocket(websocket::WebsocketProber),
}

/// What probers share: TLS configs by their settings, resolvers by their servers, HTTP clients by both, ICMP sockets,
/// and how many ways may be traced at a time.
#[derive(Default)]
pub struct Shared {
    pub tls: tls::TlsConfigs,
    pub resolvers: address::Resolvers,
    pub clients: http::Clients,
    pub icmp: icmp::Sockets,
    pub traces: Arc<Traces>,
}

/// The name that a run looks up itself, through which servers, and for which family; none where there is an address, or
/// a proxy that looks it up.
pub fn looked_up(spec: &ProbeSpec) -> Option<(&str, &DnsServers, IpPreference)> {
    let place::Place { host, servers, ip, .. } = place::place(spec)?;
    let bare = host.trim_matches(['[', ']']);
    literal(bare).is_none().then_some((bare, servers, ip))
}

#[derive(Debug, thiserror::Error)]
pub enum ProberError {
    #[error("cannot build the TLS settings")]
    Tls(#[from] tls::TlsSetupError),
    #[error("cannot build the HTTP client")]
    Client(#[source] reqwest::Error),
    #[error("cannot build the QUIC client")]
    Quic,
    #[error("cannot sign for OAuth 2")]
    Assertion(#[from] http::KeyError),
    #[error("cannot build the resolver")]
    Resolver(#[from] address::ResolverSetupError),
}

impl Prober {
    pub fn new(spec: &ProbeSpec, shared: &Arc<Shared>) -> Result<Self, ProberError> {
        Ok(match spec {
            ProbeSpec::Http { settings, url, names_port } => {
                let prober = http::HttpProber::new(Arc::clone(settings), url.clone(), shared)?;
                Self::Http(prober.naming_port(*names_port))
            }
            ProbeSpec::Tcp { settings, address } => {
                Self::Tcp(tcp::TcpProber::new(Arc::clone(settings), address.clone(), shared)?)
            }
            ProbeSpec::Dns { settings, server } => {
                Self::Dns(dns::DnsProber::new(Arc::clone(settings), server, shared)?)
            }
            ProbeSpec::Icmp { settings, host } => {
                Self::Icmp(icmp::IcmpProber::new(Arc::clone(settings), host.clone(), shared)?)
            }
            ProbeSpec::Grpc { settings, address } => {
                Self::Grpc(grpc::GrpcProber::new(Arc::clone(settings), address, shared)?)
            }
            ProbeSpec::Unix { settings, path } => Self::Unix(unix::UnixProber::new(settings, path.clone(), shared)?),
            ProbeSpec::Websocket { settings, url } => {
                Self::Websocket(websocket::WebsocketProber::new(Arc::clone(settings), url.clone(), shared)?)
            }
        })
    }
}

impl Probe for Prober {
    async fn run(&self, deadline: Instant) -> Observation {
        match self {
            Self::Http(prober) => prober.run(deadline).await,
            Self::Tcp(prober) => prober.run(deadline).await,
            Self::Dns(prober) => prober.run(deadline).await,
            Self::Icmp(prober) => prober.run(deadline).await,
            Self::Grpc(prober) => prober.run(deadline).await,
            Self::Unix(prober) => prober.run(deadline).await,
            Self::Websocket(prober) => prober.run(deadline).await,
        }
    }
}
