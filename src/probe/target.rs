//! What runs against one target: its prober, and re-checks that find out more about a failure.

use std::sync::Arc;

use tokio::time::Instant;

use super::{GoodTrace, Probe, Prober, ProberError, Shared, diagnose, fan_out, path};
use crate::config::Target;
use crate::observation::{Diagnosis, GoodPath, Observation, Path};

/// A target's prober, and what it takes to make others like it.
pub struct TargetProber {
    /// Or why every run fails.
    prober: Result<Prober, Arc<str>>,
    target: Arc<Target>,
    shared: Arc<Shared>,
}

impl TargetProber {
    /// # Errors
    /// Settings of which no prober can be built.
    pub fn new(target: Arc<Target>, shared: &Arc<Shared>) -> Result<Self, ProberError> {
        let prober = match &target.fault {
            None => Ok(Prober::new(&target.probe, shared)?),
            Some(why) => Err(Arc::clone(why)),
        };
        Ok(Self { prober, target, shared: Arc::clone(shared) })
    }

    /// A target whose runs all fail, and `why`.
    pub fn faulty(target: Arc<Target>, why: &str, shared: &Arc<Shared>) -> Self {
        Self { prober: Err(why.into()), target, shared: Arc::clone(shared) }
    }
}

impl Probe for TargetProber {
    async fn run(&self, deadline: Instant) -> Observation {
        let prober = match &self.prober {
            Ok(prober) => prober,
            Err(why) => {
                let timeout = deadline.saturating_duration_since(Instant::now());
                return Observation::not_begun(timeout, &**why);
            }
        };
        match &self.target.fan_out {
            None => prober.run(deadline).await,
            Some(wanted) => fan_out::run(prober, &self.target.probe, *wanted, &self.shared, deadline).await,
        }
    }

    async fn diagnose(
        &self,
        failed: &Observation,
        last_good: Option<&Observation>,
        deadline: Instant,
    ) -> Option<Diagnosis> {
        if !self.target.diagnose || self.prober.is_err() {
            return None;
        }
        diagnose::diagnose(&self.target.probe, &self.shared, failed, last_good, deadline).await
    }

    fn is_lost(&self, run: &Observation) -> bool {
        self.target.path.enabled && path::is_lost(&self.target.probe, run)
    }

    async fn trace(&self, failed: &Observation, good: &[Arc<GoodPath>]) -> Option<Path> {
        path::trace_lost(&self.target.probe, failed, good, &self.shared).await
    }

    async fn trace_good(&self, run: &Observation) -> GoodTrace {
        path::trace_good(&self.target.probe, run, &self.shared).await
    }
}
