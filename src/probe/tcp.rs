//! The TCP prober: connect, TLS, and a dialogue of expect and send.

use std::sync::Arc;

use tokio::time::Instant;

use super::{Probe, ProberError, Shared};
use crate::config::{HostPort, TcpSettings};
use crate::observation::Observation;

pub struct TcpProber {}

impl TcpProber {
    pub fn new(_settings: Arc<TcpSettings>, _address: HostPort, _shared: &Arc<Shared>) -> Result<Self, ProberError> {
        Ok(Self {})
    }
}

impl Probe for TcpProber {
    async fn run(&self, _deadline: Instant) -> Observation {
        std::future::pending().await
    }
}
