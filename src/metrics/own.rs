//! The exporter's own families: gathered from the registry, and what is computed as they are gathered.

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntGauge, TextEncoder};

/// `uptime_exporter_targets`, counted whenever it is gathered.
pub struct TargetCount<F> {
    gauge: IntGauge,
    count: F,
}

impl<F: Fn() -> usize + Send + Sync> TargetCount<F> {
    /// # Errors
    /// None in practice: the name is valid.
    pub fn new(count: F) -> prometheus::Result<Self> {
        let gauge = IntGauge::new("uptime_exporter_targets", "Targets configured now.")?;
        Ok(Self { gauge, count })
    }
}

impl<F: Fn() -> usize + Send + Sync> Collector for TargetCount<F> {
    fn desc(&self) -> Vec<&Desc> {
        self.gauge.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.gauge.set(i64::try_from((self.count)()).unwrap_or(i64::MAX));
        self.gauge.collect()
    }
}

/// One family as text; nothing when it has no samples.
pub(super) fn text(family: &MetricFamily) -> String {
    let mut text = String::new();
    match TextEncoder::new().encode_utf8(std::slice::from_ref(family), &mut text) {
        Ok(()) => text,
        // Only a family without samples is an error, and that one has nothing to say.
        Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn targets_are_counted_when_gathered() {
        let registry = prometheus::Registry::new();
        registry.register(Box::new(TargetCount::new(|| 7).unwrap())).unwrap();
        assert!(text(&registry.gather()[0]).ends_with("uptime_exporter_targets 7\n"));
    }

    #[test]
    fn a_family_without_samples_is_left_out() {
        assert_eq!(text(&MetricFamily::default()), "");
    }
}
