//! The icmp prober.

use std::sync::Arc;
use std::time::SystemTime;

use tokio::time::Instant;

use super::{Probe, ProberError, Shared};
use crate::config::IcmpSettings;
use crate::observation::{Detail, Failure, Observation, Outcome, Reason};

pub struct IcmpProber {
    _settings: Arc<IcmpSettings>,
}

impl IcmpProber {
    pub fn new(settings: Arc<IcmpSettings>, host: String, _shared: &Arc<Shared>) -> Result<Self, ProberError> {
        drop(host);
        Ok(Self { _settings: settings })
    }
}

impl Probe for IcmpProber {
    async fn run(&self, deadline: Instant) -> Observation {
        Observation {
            started: SystemTime::now(),
            elapsed: std::time::Duration::ZERO,
            timeout: deadline.saturating_duration_since(Instant::now()),
            outcome: Outcome::Down(Failure::new(Reason::Internal, "the icmp prober is not built yet")),
            resolution: None,
            tls: None,
            detail: Detail::None,
            addresses: Box::default(),
        }
    }
}
