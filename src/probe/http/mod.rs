//! The HTTP prober, over reqwest.

use std::sync::Arc;

use tokio::time::Instant;
use url::Url;

use super::{Probe, ProberError, Shared};
use crate::config::HttpSettings;
use crate::observation::Observation;

pub struct HttpProber {}

impl HttpProber {
    pub fn new(_settings: Arc<HttpSettings>, _url: Url, _shared: &Arc<Shared>) -> Result<Self, ProberError> {
        Ok(Self {})
    }
}

impl Probe for HttpProber {
    async fn run(&self, _deadline: Instant) -> Observation {
        std::future::pending().await
    }
}
