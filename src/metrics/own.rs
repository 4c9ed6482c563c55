//! The exporter's own families: gathered from the registry, and what is computed as they are gathered.

use std::collections::HashMap;
use std::sync::Arc;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Gauge, GaugeVec, IntGauge, Opts, TextEncoder};

use super::format::{Format, open_metrics};
use super::run::unix_seconds;
use crate::config::LabelSet;
use crate::observation::SharedCause;

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
        Gauge::with_opts(Opts::new("probe_vantage_ok", help).const_labels(beside(labels, &[])))
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

/// `probe_vantage_info` with the labels of the config in force; no sample when the region has no name.
pub struct VantageInfo<F> {
    now: F,
    desc: Desc,
}

impl<F: Fn() -> (LabelSet, Option<Box<str>>) + Send + Sync> VantageInfo<F> {
    /// # Errors
    /// None in practice: the name is valid.
    pub fn new(now: F) -> prometheus::Result<Self> {
        Ok(Self { now, desc: desc("probe_vantage_info")? })
    }
}

impl<F: Fn() -> (LabelSet, Option<Box<str>>) + Send + Sync> Collector for VantageInfo<F> {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let (labels, Some(name)) = (self.now)() else { return Vec::new() };
        let help = "Always 1; what customers call the region of this exporter.";
        let opts = Opts::new("probe_vantage_info", help).const_labels(beside(&labels, &["region_name"]));
        let Ok(gauge) = GaugeVec::new(opts, &["region_name"]) else { return Vec::new() };
        gauge.with_label_values(&[&*name]).set(1.0);
        gauge.collect()
    }
}

/// `probe_resolver_ok` of each resolver, with the labels of the config in force.
pub struct ResolverGauge<F> {
    now: F,
    desc: Desc,
}

type Resolvers = (LabelSet, Vec<(String, bool)>);

impl<F: Fn() -> Resolvers + Send + Sync> ResolverGauge<F> {
    /// # Errors
    /// None in practice: the name is valid.
    pub fn new(now: F) -> prometheus::Result<Self> {
        Ok(Self { now, desc: desc("probe_resolver_ok")? })
    }
}

impl<F: Fn() -> Resolvers + Send + Sync> Collector for ResolverGauge<F> {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let (labels, resolvers) = (self.now)();
        let help = "Whether lookups through the name servers work (1), or those of unrelated domains fail together (0), so \
                    that runs which need them are inconclusive.";
        let opts = Opts::new("probe_resolver_ok", help).const_labels(beside(&labels, &["server"]));
        let Ok(gauge) = GaugeVec::new(opts, &["server"]) else { return Vec::new() };
        for (server, ok) in &resolvers {
            gauge.with_label_values(&[server.as_str()]).set(f64::from(u8::from(*ok)));
        }
        if resolvers.is_empty() { Vec::new() } else { gauge.collect() }
    }
}

/// Labels of the config, but for those of the family itself, which win.
fn beside(labels: &LabelSet, own: &[&str]) -> HashMap<String, String> {
    let labels = labels.iter().filter(|(name, _)| !own.contains(name));
    labels.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// The causes that are told, with the labels of the config in force.
pub struct CausesGauge<F> {
    now: F,
    desc: Desc,
}

type Told = (LabelSet, Arc<[Arc<SharedCause>]>);

impl<F: Fn() -> Told + Send + Sync> CausesGauge<F> {
    /// # Errors
    /// None in practice: the name is valid.
    pub fn new(now: F) -> prometheus::Result<Self> {
        Ok(Self { now, desc: desc("uptime_exporter_shared_cause_targets")? })
    }

    /// Targets by state, and when it began.
    fn gauges(labels: &LabelSet, causes: &[Arc<SharedCause>]) -> prometheus::Result<[GaugeVec; 3]> {
        let labels = beside(labels, &["kind", "value", "state", "tied_kind", "tied_value"]);
        let gauge = |name: &str, help: &str, own: &[&str]| {
            GaugeVec::new(Opts::new(name, help).const_labels(labels.clone()), own)
        };
        let targets = gauge(
            "uptime_exporter_shared_cause_targets",
            "Targets that share the fact which explains why some of them fail: those that are down, and those that are up.",
            &["kind", "value", "state"],
        )?;
        let start = gauge(
            "uptime_exporter_shared_cause_start_timestamp_seconds",
            "Unix time of the first failing run that the shared cause explains, in seconds.",
            &["kind", "value"],
        )?;
        let tied = gauge(
            "uptime_exporter_shared_cause_tied_info",
            "Always 1; another fact that would explain the same outage as well.",
            &["kind", "value", "tied_kind", "tied_value"],
        )?;
        for cause in causes {
            let (kind, value) = (cause.kind.as_label(), &*cause.value);
            targets.with_label_values(&[kind, value, "failing"]).set(f64::from(cause.failing));
            targets.with_label_values(&[kind, value, "good"]).set(f64::from(cause.good));
            start.with_label_values(&[kind, value]).set(unix_seconds(cause.since));
            for (tied_kind, tied_value) in &cause.tied {
                tied.with_label_values(&[kind, value, tied_kind.as_label(), tied_value]).set(1.0);
            }
        }
        Ok([targets, start, tied])
    }
}

impl<F: Fn() -> Told + Send + Sync> Collector for CausesGauge<F> {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let (labels, causes) = (self.now)();
        let gauges = Self::gauges(&labels, &causes).into_iter().flatten();
        // A family without samples is none.
        gauges.flat_map(|gauge| gauge.collect()).filter(|family| !family.get_metric().is_empty()).collect()
    }
}

/// What the registry tells collectors apart by. Labels change with the config, so there are none.
fn desc(name: &str) -> prometheus::Result<Desc> {
    Desc::new(name.to_owned(), "Computed as it is gathered.".to_owned(), Vec::new(), HashMap::new())
}

/// One family in a format; nothing when it has no samples.
pub(super) fn written(family: &MetricFamily, format: Format) -> Vec<u8> {
    if format.is_text() { text(family).into() } else { open_metrics(family) }
}

fn text(family: &MetricFamily) -> String {
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
        let ok = Arc::new(std::sync::Mutex::new(None));
        let seen = Arc::clone(&ok);
        let gauge = VantageGauge::new(move || Some((labels.clone(), (*seen.lock().unwrap())?)));
        registry.register(Box::new(gauge)).unwrap();
        assert!(registry.gather().is_empty());
        *ok.lock().unwrap() = Some(false);
        assert!(text(&registry.gather()[0]).ends_with("probe_vantage_ok{region=\"eu\"} 0\n"));
    }

    #[test]
    fn the_regions_name_is_a_label_of_one_series() {
        let labels = LabelSet::new([("region".to_owned(), "eu".to_owned())]).unwrap();
        let named = |name: Option<&str>| {
            let (labels, name) = (labels.clone(), name.map(Into::into));
            VantageInfo::new(move || (labels.clone(), name.clone())).unwrap().collect()
        };
        let text = text(&named(Some("Europe"))[0]);
        assert!(text.ends_with("probe_vantage_info{region=\"eu\",region_name=\"Europe\"} 1\n"), "{text}");
        assert!(named(None).is_empty());
    }

    #[test]
    fn each_resolver_has_its_gauge() {
        let registry = prometheus::Registry::new();
        let labels = LabelSet::new([("region".to_owned(), "eu".to_owned())]).unwrap();
        let resolvers = vec![("192.0.2.53:53".to_owned(), true), ("192.0.2.54:53,192.0.2.55:53".to_owned(), false)];
        let gauge = ResolverGauge::new(move || (labels.clone(), resolvers.clone())).unwrap();
        registry.register(Box::new(gauge)).unwrap();
        let text = text(&registry.gather()[0]);
        assert!(text.contains("probe_resolver_ok{region=\"eu\",server=\"192.0.2.53:53\"} 1\n"), "{text}");
        assert!(text.contains("probe_resolver_ok{region=\"eu\",server=\"192.0.2.54:53,192.0.2.55:53\"} 0\n"), "{text}");
        let none = ResolverGauge::new(|| (LabelSet::default(), Vec::new())).unwrap();
        assert!(none.collect().is_empty());
    }

    #[test]
    fn causes_come_and_go_with_their_numbers() {
        let registry = prometheus::Registry::new();
        let labels = [("region", "eu"), ("state", "hidden by the gauge's own")];
        let labels = LabelSet::new(labels.map(|(name, value)| (name.to_owned(), value.to_owned()))).unwrap();
        let causes = Arc::new(std::sync::Mutex::new(Vec::new()));
        let seen = Arc::clone(&causes);
        let gauge = CausesGauge::new(move || (labels.clone(), seen.lock().unwrap().clone().into())).unwrap();
        registry.register(Box::new(gauge)).unwrap();
        assert!(registry.gather().is_empty());
        causes.lock().unwrap().push(Arc::new(crate::metrics::fixture::shared_cause()));
        let text: String = registry.gather().iter().map(text).collect();
        for line in [
            "uptime_exporter_shared_cause_targets{kind=\"network\",region=\"eu\",state=\"failing\",value=\"192.0.2.0/24\"} 12",
            "uptime_exporter_shared_cause_targets{kind=\"network\",region=\"eu\",state=\"good\",value=\"192.0.2.0/24\"} 1",
            "uptime_exporter_shared_cause_start_timestamp_seconds{kind=\"network\",region=\"eu\",value=\"192.0.2.0/24\"} 1767322984",
            "uptime_exporter_shared_cause_tied_info{kind=\"network\",region=\"eu\",tied_kind=\"label\",tied_value=\"rack=7\",value=\"192.0.2.0/24\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        causes.lock().unwrap().clear();
        assert!(registry.gather().is_empty());
    }

    #[test]
    fn a_family_without_samples_is_left_out() {
        assert_eq!(text(&MetricFamily::default()), "");
    }
}
