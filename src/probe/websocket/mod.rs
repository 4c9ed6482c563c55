//! The websocket prober.

use std::sync::Arc;
use std::time::SystemTime;

use tokio::time::Instant;

use super::{Probe, ProberError, Shared};
use crate::config::WebsocketSettings;
use crate::observation::{Detail, Failure, Observation, Outcome, Reason};

pub struct WebsocketProber {
    _settings: Arc<WebsocketSettings>,
}

impl WebsocketProber {
    pub fn new(settings: Arc<WebsocketSettings>, url: url::Url, _shared: &Arc<Shared>) -> Result<Self, ProberError> {
        drop(url);
        Ok(Self { _settings: settings })
    }
}

impl Probe for WebsocketProber {
    async fn run(&self, deadline: Instant) -> Observation {
        Observation {
            started: SystemTime::now(),
            elapsed: std::time::Duration::ZERO,
            timeout: deadline.saturating_duration_since(Instant::now()),
            outcome: Outcome::Down(Failure::new(Reason::Internal, "the websocket prober is not built yet")),
            resolution: None,
            tls: None,
            detail: Detail::None,
            addresses: Box::default(),
        }
    }
}
