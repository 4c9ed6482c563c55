//! The TCP prober: resolve, connect, TLS, and a dialogue of expect and send. The unix prober is the same over another
//! kind of socket.
//!
//! `run` holds one run's progress, so that a run cut off by its deadline can say how far it came; `wire` is the
//! connection with what was read ahead; `template` expands `$1`. Behaviour follows the incumbent's tcp prober; where
//! that had faults (two `labels` steps, `tls` with `starttls`, `expect_bytes` over several segments or after an
//! `expect`, long lines), the tests hold that this one has not.

mod run;
pub(super) mod template;
#[cfg(test)]
mod tests;
mod wire;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::time::{Instant, timeout_at};

use self::run::Run;
use super::address::Resolver;
use super::dial::only_family_of;
use super::tls::{Alpn, server_name};
use super::{Probe, ProberError, Shared};
use crate::config::{HostPort, IpPreference, TcpSettings};
use crate::observation::{Detail, Observation, Outcome};

/// Everything that runs against one target need.
pub struct TcpProber {
    settings: Arc<TcpSettings>,
    peer: Peer,
    /// When TLS is spoken from the start or after a `starttls` step.
    tls: Option<Tls>,
}

/// Whom it talks to.
enum Peer {
    Tcp {
        address: HostPort,
        /// The configured preference, or the family of the source address.
        ip: IpPreference,
        resolver: Arc<Resolver>,
    },
    Unix(PathBuf),
}

struct Tls {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl TcpProber {
    pub fn new(settings: Arc<TcpSettings>, address: HostPort, shared: &Arc<Shared>) -> Result<Self, ProberError> {
        let resolver = shared.resolvers.resolver(&settings.dns_servers)?;
        let ip = settings.source_address.map_or(settings.ip, only_family_of);
        let tls = Self::tls(&settings, &address.host, shared)?;
        Ok(Self { settings, peer: Peer::Tcp { address, ip, resolver }, tls })
    }

    /// The same over a Unix socket. Settings of addresses have no effect.
    pub(super) fn unix(
        settings: Arc<TcpSettings>,
        path: PathBuf,
        name: &str,
        shared: &Arc<Shared>,
    ) -> Result<Self, ProberError> {
        let tls = Self::tls(&settings, name, shared)?;
        Ok(Self { settings, peer: Peer::Unix(path), tls })
    }

    fn tls(settings: &TcpSettings, host: &str, shared: &Shared) -> Result<Option<Tls>, ProberError> {
        if !settings.tls && !settings.steps.iter().any(|step| step.starttls) {
            return Ok(None);
        }
        let config = shared.tls.client(&settings.tls_config, Alpn::None)?;
        Ok(Some(Tls { config, name: server_name(&settings.tls_config, host)? }))
    }
}

impl Probe for TcpProber {
    async fn run(&self, deadline: Instant) -> Observation {
        let started = SystemTime::now();
        let mut run = Run::new(self);
        let timeout = deadline.saturating_duration_since(run.began());
        let outcome = match timeout_at(deadline, run.attempt()).await {
            Ok(Ok(())) => Outcome::Up,
            Ok(Err(failure)) => Outcome::Down(failure),
            Err(_) => Outcome::Down(run.out_of_time(timeout)),
        };
        let elapsed = run.began().elapsed();
        let seen = run.finish();
        Observation {
            started,
            elapsed,
            timeout,
            outcome,
            resolution: seen.resolution,
            tls: seen.tls,
            detail: match self.peer {
                Peer::Tcp { .. } => Detail::Tcp(Box::new(seen.detail)),
                Peer::Unix(_) => Detail::Unix(Box::new(seen.detail)),
            },
            addresses: Box::default(),
        }
    }
}
