//! What runs against one target: its prober, and re-checks that find out more about a failure.

use std::sync::Arc;

use tokio::time::Instant;

use super::{Probe, Prober, ProberError, Shared, diagnose, fan_out};
use crate::config::Target;
use crate::observation::{Diagnosis, Observation};

/// A target's prober, and what it takes to make others like it.
pub struct TargetProber {
    prober: Prober,
    target: Arc<Target>,
    shared: Arc<Shared>,
}

impl TargetProber {
    /// # Errors
    /// Settings of which no prober can be built.
    pub fn new(target: Arc<Target>, shared: &Arc<Shared>) -> Result<Self, ProberError> {
        Ok(Self { prober: Prober::new(&target.probe, shared)?, target, shared: Arc::clone(shared) })
    }
}

impl Probe for TargetProber {
    async fn run(&self, deadline: Instant) -> Observation {
        match &self.target.fan_out {
            None => self.prober.run(deadline).await,
            Some(wanted) => fan_out::run(&self.prober, &self.target.probe, *wanted, &self.shared, deadline).await,
        }
    }

    async fn diagnose(
        &self,
        failed: &Observation,
        last_good: Option<&Observation>,
        deadline: Instant,
    ) -> Option<Diagnosis> {
        if !self.target.diagnose {
            return None;
        }
        diagnose::diagnose(&self.target.probe, &self.shared, failed, last_good, deadline).await
    }
}
