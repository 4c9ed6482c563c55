//! The unix prober: the dialogue of the TCP prober over a Unix stream socket.

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;

use tokio::time::Instant;

use super::tcp::TcpProber;
use super::{Probe, ProberError, Shared};
use crate::config::{DnsServers, IpPreference, TcpSettings, UnixSettings};
use crate::observation::Observation;

/// Probes one socket.
pub struct UnixProber(TcpProber);

impl UnixProber {
    /// # Errors
    /// TLS settings that cannot be used.
    pub fn new(settings: &UnixSettings, path: PathBuf, shared: &Arc<Shared>) -> Result<Self, ProberError> {
        let UnixSettings { tls, tls_config, steps, keep_excerpt } = settings;
        let settings = TcpSettings {
            ip: IpPreference::default(),
            dns_servers: DnsServers::System,
            source_address: None,
            tls: *tls,
            tls_config: tls_config.clone(),
            steps: steps.clone(),
            keep_excerpt: *keep_excerpt,
        };
        // A socket has no host name. The config asks for one where it matters.
        TcpProber::unix(Arc::new(settings), path, "localhost", shared).map(Self)
    }
}

impl Probe for UnixProber {
    async fn run(&self, deadline: Instant) -> Observation {
        self.0.run(deadline).await
    }
}
