//! When targets that fail together are said to share a cause.

use std::time::Duration;

/// `global.shared_cause`. The defaults were chosen on staged outages (docs/decisions/0004-shared-cause.md).
#[derive(Clone, Debug, PartialEq)]
pub struct SharedCauseSettings {
    /// Labels of targets that may be a cause.
    pub labels: Vec<String>,
    /// Fewer failing targets share nothing.
    pub min_targets: usize,
    /// Of the targets with the fact, at least this share fails.
    pub min_share: f64,
    /// Outages that began so far apart began at the same time.
    pub window: Duration,
    /// More are not told at once; with 0 none is.
    pub max_causes: usize,
}

impl Default for SharedCauseSettings {
    fn default() -> Self {
        Self { labels: Vec::new(), min_targets: 3, min_share: 0.8, window: Duration::from_secs(60), max_causes: 10 }
    }
}
