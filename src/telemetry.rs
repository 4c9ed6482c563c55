//! The exporter's own metrics, registered once in a registry of our own (not the default one).
//!
//! Other modules hold an `Arc<Telemetry>` and count; `server` gathers. Per-target series are not here:
//! `metrics` renders those from a snapshot, so that a removed target leaves nothing behind.

use std::time::Duration;

use prometheus::{
    Counter, CounterVec, Gauge, GaugeVec, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    Opts, Registry,
};

/// Handles to the exporter's own metrics.
pub struct Telemetry {
    pub registry: Registry,
    /// Seconds between the tick of a run and its start.
    pub schedule_lag: Histogram,
    /// Ticks that passed while the run before was still going, or while the exporter was late.
    pub runs_skipped: IntCounter,
    pub runs_in_flight: IntGauge,
    /// Runs or loops that panicked. Always a bug.
    pub panics: IntCounter,
    reload_successful: [Gauge; 2],
    reload_success_timestamp: [Gauge; 2],
    /// Requests answered, by status code.
    pub http_requests: CounterVec,
    pub http_requests_in_flight: IntGauge,
    /// Requests for `/probe` that named no module of the config.
    pub unknown_modules: IntCounter,
    /// CPU-independent: seconds spent rendering pages.
    pub render_seconds: Counter,
}

impl Telemetry {
    /// # Panics
    /// Only if two metrics below had the same name, which the unit test rules out.
    pub fn new() -> Self {
        Self::try_new().expect("names below are valid and unique")
    }

    fn try_new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let schedule_lag = Histogram::with_opts(
            HistogramOpts::new(
                "uptime_exporter_schedule_lag_seconds",
                "Seconds between the tick of a run and its start.",
            )
            .buckets(vec![0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0]),
        )?;
        let runs_skipped = IntCounter::new(
            "uptime_exporter_runs_skipped_total",
            "Ticks skipped because the run before was still going or the exporter was late.",
        )?;
        let runs_in_flight = IntGauge::new("uptime_exporter_runs_in_flight", "Runs going on now.")?;
        let panics = IntCounter::new(
            "uptime_exporter_panics_total",
            "Runs, loops and connections that panicked; always a bug.",
        )?;
        let successful = "Whether the last load of the config succeeded (1) or not (0).";
        let timestamp = "Unix time of the last successful load of the config, in seconds.";
        let reload_successful = [
            Gauge::new("uptime_exporter_config_last_reload_successful", successful)?,
            Gauge::new("blackbox_exporter_config_last_reload_successful", successful)?,
        ];
        let reload_success_timestamp = [
            Gauge::new("uptime_exporter_config_last_reload_success_timestamp_seconds", timestamp)?,
            Gauge::new("blackbox_exporter_config_last_reload_success_timestamp_seconds", timestamp)?,
        ];
        let http_requests = CounterVec::new(
            Opts::new("uptime_exporter_http_requests_total", "Requests answered, by status code."),
            &["code"],
        )?;
        let unknown_modules = IntCounter::new(
            "blackbox_module_unknown_total",
            "Requests for /probe that named a module which the config does not have.",
        )?;
        let http_requests_in_flight =
            IntGauge::new("uptime_exporter_http_requests_in_flight", "Requests being answered now.")?;
        let render_seconds =
            Counter::new("uptime_exporter_page_render_seconds_total", "Seconds spent rendering metric pages.")?;
        let build_info =
            GaugeVec::new(Opts::new("uptime_exporter_build_info", "Always 1; the version as a label."), &["version"])?;
        build_info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1.0);
        // Go's names of systems, as dashboards know them. The other labels of the incumbent's speak of a Go program.
        let goarch = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            "x86" => "386",
            other => other,
        };
        let incumbents_build_info = GaugeVec::new(
            Opts::new(
                "blackbox_exporter_build_info",
                "Always 1; for dashboards that find blackbox_exporters by it. The version is that of uptime_exporter.",
            ),
            &["goarch", "goos", "version"],
        )?;
        incumbents_build_info.with_label_values(&[goarch, std::env::consts::OS, env!("CARGO_PKG_VERSION")]).set(1.0);

        registry.register(Box::new(schedule_lag.clone()))?;
        registry.register(Box::new(runs_skipped.clone()))?;
        registry.register(Box::new(runs_in_flight.clone()))?;
        registry.register(Box::new(panics.clone()))?;
        for gauge in reload_successful.iter().chain(&reload_success_timestamp) {
            registry.register(Box::new(gauge.clone()))?;
        }
        registry.register(Box::new(http_requests.clone()))?;
        registry.register(Box::new(http_requests_in_flight.clone()))?;
        registry.register(Box::new(unknown_modules.clone()))?;
        registry.register(Box::new(render_seconds.clone()))?;
        registry.register(Box::new(build_info))?;
        registry.register(Box::new(incumbents_build_info))?;
        #[cfg(target_os = "linux")]
        registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;

        Ok(Self {
            registry,
            schedule_lag,
            runs_skipped,
            runs_in_flight,
            panics,
            reload_successful,
            reload_success_timestamp,
            http_requests,
            http_requests_in_flight,
            unknown_modules,
            render_seconds,
        })
    }

    /// Notes the result of a load or reload. `now` is in Unix seconds.
    pub fn config_loaded(&self, result: Result<f64, ()>) {
        for gauge in &self.reload_successful {
            gauge.set(if result.is_ok() { 1.0 } else { 0.0 });
        }
        if let Ok(now) = result {
            for gauge in &self.reload_success_timestamp {
                gauge.set(now);
            }
        }
    }
}

impl Default for Telemetry {
    fn default() -> Self {
        Self::new()
    }
}

/// Of the state file; only of an exporter that has one.
#[derive(Clone)]
pub struct StateFileTelemetry {
    /// Unix seconds.
    pub last_write: Gauge,
    pub write_failures: IntCounter,
}

impl StateFileTelemetry {
    /// # Errors
    /// When the registry has them already.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let last_write = Gauge::new(
            "uptime_exporter_state_file_last_write_timestamp_seconds",
            "Unix time of the last write of the state file, in seconds; only with --state.file.",
        )?;
        let write_failures = IntCounter::new(
            "uptime_exporter_state_file_write_failures_total",
            "Writes of the state file that failed; only with --state.file.",
        )?;
        registry.register(Box::new(last_write.clone()))?;
        registry.register(Box::new(write_failures.clone()))?;
        Ok(Self { last_write, write_failures })
    }
}

/// Of the sources of targets, each by kind and name; nothing of an exporter that has none.
#[derive(Clone)]
pub struct DiscoveryTelemetry {
    pub targets: IntGaugeVec,
    /// Seconds.
    pub refresh_interval: GaugeVec,
    /// Unix seconds.
    pub last_success: GaugeVec,
    pub failures: IntCounterVec,
    /// Lists that lost more than half of their targets at once.
    pub shrinks: IntCounterVec,
}

impl DiscoveryTelemetry {
    /// # Errors
    /// When the registry has them already.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        const LABELS: [&str; 2] = ["kind", "source"];
        let targets = "Targets in the last good list of a source (target_http, target_dns).";
        let refresh_interval = "Seconds between two questions to a source of targets, as configured.";
        let last_success = "Unix time of the last good list of a source of targets, in seconds.";
        let failures = "Times a source of targets gave no good list; the one before stays.";
        let shrinks = "Lists of a source of targets that lost more than half of the targets at once.";
        let opts = |name: &str, help: &str| Opts::new(format!("uptime_exporter_discovery_{name}"), help);
        let all = Self {
            targets: IntGaugeVec::new(opts("targets", targets), &LABELS)?,
            refresh_interval: GaugeVec::new(opts("refresh_interval_seconds", refresh_interval), &LABELS)?,
            last_success: GaugeVec::new(opts("last_success_timestamp_seconds", last_success), &LABELS)?,
            failures: IntCounterVec::new(opts("failures_total", failures), &LABELS)?,
            shrinks: IntCounterVec::new(opts("shrinks_total", shrinks), &LABELS)?,
        };
        registry.register(Box::new(all.targets.clone()))?;
        registry.register(Box::new(all.refresh_interval.clone()))?;
        registry.register(Box::new(all.last_success.clone()))?;
        registry.register(Box::new(all.failures.clone()))?;
        registry.register(Box::new(all.shrinks.clone()))?;
        Ok(all)
    }

    /// Counts what there is to count of a source from the start, so that one that never answers is seen.
    pub fn show(&self, labels: &[&str; 2], refresh_interval: Duration) {
        self.refresh_interval.with_label_values(labels).set(refresh_interval.as_secs_f64());
        self.targets.with_label_values(labels);
        self.last_success.with_label_values(labels);
        self.failures.with_label_values(labels);
        self.shrinks.with_label_values(labels);
    }

    /// Takes the series of a source away. What was never shown is no error.
    pub fn forget(&self, labels: &[&str; 2]) {
        let _ = self.targets.remove_label_values(labels);
        let _ = self.refresh_interval.remove_label_values(labels);
        let _ = self.last_success.remove_label_values(labels);
        let _ = self.failures.remove_label_values(labels);
        let _ = self.shrinks.remove_label_values(labels);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_without_a_clash() {
        assert!(Telemetry::try_new().is_ok());
    }

    /// All that blackbox_exporter 0.28 has of its own on `/metrics`, but for what speaks of a Go program.
    #[test]
    fn the_incumbents_own_families_are_there() {
        let families = Telemetry::new().registry.gather();
        for name in [
            "blackbox_exporter_build_info",
            "blackbox_exporter_config_last_reload_success_timestamp_seconds",
            "blackbox_exporter_config_last_reload_successful",
            "blackbox_module_unknown_total",
            #[cfg(target_os = "linux")]
            "process_cpu_seconds_total",
            #[cfg(target_os = "linux")]
            "process_open_fds",
            #[cfg(target_os = "linux")]
            "process_resident_memory_bytes",
            #[cfg(target_os = "linux")]
            "process_start_time_seconds",
        ] {
            assert!(families.iter().any(|family| family.name() == name), "{name}");
        }
    }
}
