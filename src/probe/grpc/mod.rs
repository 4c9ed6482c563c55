//! The grpc prober.

use std::sync::Arc;
use std::time::SystemTime;

use tokio::time::Instant;

use super::{Probe, ProberError, Shared};
use crate::config::{GrpcSettings, HostPort};
use crate::observation::{Detail, Failure, Observation, Outcome, Reason};

pub struct GrpcProber {
    _settings: Arc<GrpcSettings>,
}

impl GrpcProber {
    pub fn new(settings: Arc<GrpcSettings>, address: HostPort, _shared: &Arc<Shared>) -> Result<Self, ProberError> {
        drop(address);
        Ok(Self { _settings: settings })
    }
}

impl Probe for GrpcProber {
    async fn run(&self, deadline: Instant) -> Observation {
        Observation {
            started: SystemTime::now(),
            elapsed: std::time::Duration::ZERO,
            timeout: deadline.saturating_duration_since(Instant::now()),
            outcome: Outcome::Down(Failure::new(Reason::Internal, "the grpc prober is not built yet")),
            resolution: None,
            tls: None,
            detail: Detail::None,
            addresses: Box::default(),
        }
    }
}
