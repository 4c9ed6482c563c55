//! The dns prober.

use std::sync::Arc;
use std::time::SystemTime;

use tokio::time::Instant;

use super::{Probe, ProberError, Shared};
use crate::config::{DnsServer, DnsSettings};
use crate::observation::{Detail, Failure, Observation, Outcome, Reason};

pub struct DnsProber {
    _settings: Arc<DnsSettings>,
}

impl DnsProber {
    pub fn new(settings: Arc<DnsSettings>, server: DnsServer, _shared: &Arc<Shared>) -> Result<Self, ProberError> {
        drop(server);
        Ok(Self { _settings: settings })
    }
}

impl Probe for DnsProber {
    async fn run(&self, deadline: Instant) -> Observation {
        Observation {
            started: SystemTime::now(),
            elapsed: std::time::Duration::ZERO,
            timeout: deadline.saturating_duration_since(Instant::now()),
            outcome: Outcome::Down(Failure::new(Reason::Internal, "the dns prober is not built yet")),
            resolution: None,
            tls: None,
            detail: Detail::None,
            addresses: Box::default(),
        }
    }
}
