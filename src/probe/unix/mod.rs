//! The unix prober.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::time::Instant;

use super::{Probe, ProberError, Shared};
use crate::config::UnixSettings;
use crate::observation::{Detail, Failure, Observation, Outcome, Reason};

pub struct UnixProber {
    _settings: Arc<UnixSettings>,
}

impl UnixProber {
    pub fn new(settings: Arc<UnixSettings>, path: PathBuf, _shared: &Arc<Shared>) -> Result<Self, ProberError> {
        drop(path);
        Ok(Self { _settings: settings })
    }
}

impl Probe for UnixProber {
    async fn run(&self, deadline: Instant) -> Observation {
        Observation {
            started: SystemTime::now(),
            elapsed: std::time::Duration::ZERO,
            timeout: deadline.saturating_duration_since(Instant::now()),
            outcome: Outcome::Down(Failure::new(Reason::Internal, "the unix prober is not built yet")),
            resolution: None,
            tls: None,
            detail: Detail::None,
            addresses: Box::default(),
        }
    }
}
