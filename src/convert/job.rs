//! The jobs of a `prometheus.yml` with what they inherit, and those parts of them that have no place in our config.

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use super::discover;
use super::notes::{Notes, list};
use super::relabel::Rule;
use super::scrape::{RawGlobal, RawJob, RawPrometheus};
use crate::config::foreign::Foreign;
use crate::config::{ConfigErrors, Step, parse_duration};

/// One entry of `scrape_configs`.
pub(super) struct Job {
    pub(super) name: String,
    pub(super) file: Rc<Foreign>,
    index: usize,
    pub(super) raw: RawJob,
    pub(super) interval: Duration,
    pub(super) timeout: Duration,
}

/// Every job of the file, and of its `scrape_config_files`.
///
/// # Errors
/// A file that Prometheus would not read either.
pub(super) fn jobs(path: &Path, notes: &mut Notes) -> Result<Vec<Job>, ConfigErrors> {
    let main = Rc::new(Foreign::read(path)?);
    let RawPrometheus { global, scrape_configs, scrape_config_files } = main.shape()?;
    let global = global.unwrap_or_default();
    let mut jobs = Vec::new();
    add_jobs(&main, scrape_configs, &global, &mut jobs, notes);
    for (index, pattern) in scrape_config_files.unwrap_or_default().iter().enumerate() {
        let files = discover::glob(&discover::located(path, pattern));
        if files.is_empty() {
            let place = main.place(&["scrape_config_files".into(), index.into()]);
            notes.add(place, None, format!("no file matches {pattern}; run this where Prometheus' files are"));
        }
        for file in files {
            let file = Rc::new(Foreign::read(&file)?);
            let raw: RawPrometheus = file.shape()?;
            add_jobs(&file, raw.scrape_configs, &global, &mut jobs, notes);
        }
    }
    Ok(jobs)
}

fn add_jobs(file: &Rc<Foreign>, raw: Option<Vec<RawJob>>, global: &RawGlobal, jobs: &mut Vec<Job>, notes: &mut Notes) {
    for (index, raw) in raw.unwrap_or_default().into_iter().enumerate() {
        let name = raw.job_name.clone().unwrap_or_default();
        match cadence(&raw, global) {
            Ok((interval, timeout)) => {
                jobs.push(Job { name, file: Rc::clone(file), index, raw, interval, timeout });
            }
            Err(message) => {
                let place = file.place(&["scrape_configs".into(), index.into()]);
                notes.add(place, Some(&name), format!("{message}; Prometheus would not take it either"));
            }
        }
    }
}

/// Interval and timeout, as Prometheus fills in what is missing.
fn cadence(raw: &RawJob, global: &RawGlobal) -> Result<(Duration, Duration), String> {
    const INTERVAL: Duration = Duration::from_secs(60);
    const TIMEOUT: Duration = Duration::from_secs(10);
    let duration = |key: &str, text: Option<&String>| match text.filter(|text| !text.is_empty()) {
        None => Ok(None),
        Some(text) => match parse_duration(text) {
            // Zero is the same as nothing there.
            Ok(duration) => Ok(Some(duration).filter(|duration| !duration.is_zero())),
            Err(message) => Err(format!("{key}: {message}")),
        },
    };
    let global_interval = duration("global.scrape_interval", global.scrape_interval.as_ref())?.unwrap_or(INTERVAL);
    let global_timeout = duration("global.scrape_timeout", global.scrape_timeout.as_ref())?;
    let global_timeout = global_timeout.unwrap_or(TIMEOUT.min(global_interval));
    let interval = duration("scrape_interval", raw.scrape_interval.as_ref())?.unwrap_or(global_interval);
    let timeout = duration("scrape_timeout", raw.scrape_timeout.as_ref())?.unwrap_or(global_timeout.min(interval));
    if timeout > interval {
        return Err("its scrape_timeout is longer than its scrape_interval".to_owned());
    }
    Ok((interval, timeout))
}

/// Keys that are either carried over, or of no matter once a scrape has all targets.
const UNDERSTOOD: &[&str] = &[
    "job_name",
    "scrape_interval",
    "scrape_timeout",
    "metrics_path",
    "scheme",
    "params",
    "static_configs",
    "file_sd_configs",
    "relabel_configs",
    // The new job has it, and needs it.
    "honor_labels",
    // Neither exporter has timestamps.
    "honor_timestamps",
    "track_timestamps_staleness",
    // How a page is fetched and read.
    "follow_redirects",
    "enable_http2",
    "enable_compression",
    "scrape_protocols",
    "fallback_scrape_protocol",
    "scrape_classic_histograms",
    "always_scrape_classic_histograms",
    "scrape_native_histograms",
    "convert_classic_histograms_to_nhcb",
    "metric_name_validation_scheme",
    "metric_name_escaping_scheme",
];

/// Keys about who may ask the exporter, and on which way.
const ACCESS: &[&str] = &[
    "basic_auth",
    "authorization",
    "oauth2",
    "bearer_token",
    "bearer_token_file",
    "tls_config",
    "http_headers",
    "proxy_url",
    "no_proxy",
    "proxy_from_environment",
    "proxy_connect_header",
];

impl Job {
    pub(super) fn path(&self) -> &Path {
        self.file.path()
    }

    pub(super) fn located(&self, written: &str) -> PathBuf {
        discover::located(self.path(), written)
    }

    fn steps(&self, key: Option<&str>) -> Vec<Step> {
        let mut steps = vec![Step::from("scrape_configs"), Step::from(self.index)];
        steps.extend(key.map(Step::from));
        steps
    }

    /// `FILE:LINE` of the job.
    pub(super) fn place(&self) -> String {
        self.file.place(&self.steps(None))
    }

    pub(super) fn place_of(&self, key: &str) -> String {
        self.file.place(&self.steps(Some(key)))
    }

    /// # Errors
    /// Which rule cannot be executed, and why.
    pub(super) fn rules(&self) -> Result<Vec<Rule>, String> {
        let rules = self.raw.relabel_configs.iter().flatten().enumerate();
        rules.map(|(index, raw)| Rule::new(raw).map_err(|why| format!("relabel_configs[{index}]: {why}"))).collect()
    }

    /// What can be told without targets: whether its requests go to a path that ends with `/probe`.
    pub(super) fn asks_for_probes(&self) -> bool {
        let sets_path = |rule: &super::scrape::RawRule| rule.target_label == "__metrics_path__";
        self.raw.metrics_path.as_deref().is_some_and(is_probe_path)
            || self.raw.relabel_configs.iter().flatten().any(|rule| sets_path(rule) && is_probe_path(&rule.replacement))
    }

    /// Keys of discoveries that ask somebody.
    pub(super) fn other_discoveries(&self) -> Vec<&str> {
        let keys = self.file.keys(&self.steps(None)).into_iter();
        keys.filter(|key| key.ends_with("_sd_configs") && *key != "file_sd_configs").collect()
    }

    /// Notes what a job of probes has beside targets and relabelling.
    pub(super) fn note_the_rest(&self, notes: &mut Notes) {
        let mut note = |key: &str, text: String| notes.add(self.place_of(key), Some(&self.name), text);
        for key in self.other_discoveries() {
            let instead = match key {
                "http_sd_configs" => "ask the same list by target_http",
                "dns_sd_configs" => "ask the same names by target_dns",
                _ => "write them to files for target_files",
            };
            note(
                key,
                format!(
                    "the targets of {key} are known to Prometheus alone; keep the job for them, with the address of \
                     uptime_exporter, which answers /probe too, or {instead}"
                ),
            );
        }
        let keys = self.file.keys(&self.steps(None));
        if keys.contains(&"metric_relabel_configs") {
            note(
                "metric_relabel_configs",
                "metric_relabel_configs are not carried over; copy those that you need to the new scrape job, where \
                 they see the series of all targets (source_labels: [job] tells them apart)"
                    .to_owned(),
            );
        }
        let access: Vec<&str> = keys.iter().copied().filter(|key| ACCESS.contains(key)).collect();
        if let Some(first) = access.first() {
            let text = format!(
                "{} say how Prometheus gets to blackbox_exporter; if they are to hold for uptime_exporter, put them into \
                 the new scrape job, and set --web.config.file",
                list(&access)
            );
            note(first, text);
        }
        let rest: Vec<&str> = keys
            .into_iter()
            .filter(|key| {
                !UNDERSTOOD.contains(key)
                    && !ACCESS.contains(key)
                    && !key.ends_with("_sd_configs")
                    && *key != "metric_relabel_configs"
            })
            .collect();
        if let Some(first) = rest.first() {
            let text = format!(
                "{} not carried over; one scrape has all targets now, so set anew for the new scrape job what you need",
                if rest.len() == 1 { format!("{first} is") } else { format!("{} are", list(&rest)) }
            );
            note(first, text);
        }
    }
}

/// Whether blackbox_exporter probes at this path; before it may be a `--web.route-prefix`.
pub(super) fn is_probe_path(path: &str) -> bool {
    path.trim_end_matches('/').ends_with("/probe") || path == "probe"
}
