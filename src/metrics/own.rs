//! The exporter's own families: gathered from the registry, and what is computed as they are gathered.

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Gauge, IntGauge, Opts, TextEncoder};

use crate::config::LabelSet;

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

/// `probe_vantage_ok` with the labels of the config in force; no sample when the function has nothing.
pub struct VantageGauge<F> {
    now: F,
}

impl<F: Fn() -> Option<(LabelSet, bool)> + Send + Sync> VantageGauge<F> {
    pub fn new(now: F) -> Self {
        Self { now }
    }

    fn gauge(labels: &LabelSet) -> prometheus::Result<Gauge> {
        let help = "Whether an anchor answers (1), or none does (0): cut off, so that runs are inconclusive.";
        let labels = labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Gauge::with_opts(Opts::new("probe_vantage_ok", help).const_labels(labels))
    }
}

impl<F: Fn() -> Option<(LabelSet, bool)> + Send + Sync> Collector for VantageGauge<F> {
    fn desc(&self) -> Vec<&Desc> {
        // Its labels change with the config, so it has no description that stays true.
        Vec::new()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let Some((labels, ok)) = (self.now)() else { return Vec::new() };
        Self::gauge(&labels).map_or_else(
            |_| Vec::new(),
            |gauge| {
                gauge.set(f64::from(u8::from(ok)));
                gauge.collect()
            },
        )
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
    fn the_vantage_has_the_labels_of_its_config() {
        let registry = prometheus::Registry::new();
        let labels = LabelSet::new([("region".to_owned(), "eu".to_owned())]).unwrap();
        let ok = std::sync::Arc::new(std::sync::Mutex::new(None));
        let seen = std::sync::Arc::clone(&ok);
        let gauge = VantageGauge::new(move || Some((labels.clone(), (*seen.lock().unwrap())?)));
        registry.register(Box::new(gauge)).unwrap();
        assert!(registry.gather().is_empty());
        *ok.lock().unwrap() = Some(false);
        assert!(text(&registry.gather()[0]).ends_with("probe_vantage_ok{region=\"eu\"} 0\n"));
    }

    #[test]
    fn a_family_without_samples_is_left_out() {
        assert_eq!(text(&MetricFamily::default()), "");
    }
}
