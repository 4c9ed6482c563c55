//! Serde mirror of what matters here of a `prometheus.yml`. All other keys are passed over.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The main file, and each of `scrape_config_files`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawPrometheus {
    pub(super) global: Option<RawGlobal>,
    pub(super) scrape_configs: Option<Vec<RawJob>>,
    pub(super) scrape_config_files: Option<Vec<String>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawGlobal {
    pub(super) scrape_interval: Option<String>,
    pub(super) scrape_timeout: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawJob {
    pub(super) job_name: Option<String>,
    pub(super) scrape_interval: Option<String>,
    pub(super) scrape_timeout: Option<String>,
    pub(super) metrics_path: Option<String>,
    pub(super) scheme: Option<String>,
    pub(super) params: Option<BTreeMap<String, Option<Vec<String>>>>,
    pub(super) honor_labels: Option<bool>,
    pub(super) honor_timestamps: Option<bool>,
    pub(super) static_configs: Option<Vec<RawGroup>>,
    pub(super) file_sd_configs: Option<Vec<RawFileDiscovery>>,
    pub(super) relabel_configs: Option<Vec<RawRule>>,
}

/// A group of `static_configs`, and of a file of `file_sd_configs`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawGroup {
    pub(super) targets: Option<Vec<String>>,
    pub(super) labels: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RawFileDiscovery {
    pub(super) files: Option<Vec<String>>,
}

/// A rule of `relabel_configs`. A key without a value is an empty string, not the default.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub(super) struct RawRule {
    pub(super) source_labels: Option<Vec<String>>,
    pub(super) separator: String,
    pub(super) regex: String,
    pub(super) modulus: Option<i64>,
    pub(super) target_label: String,
    pub(super) replacement: String,
    pub(super) action: String,
}

impl Default for RawRule {
    fn default() -> Self {
        Self {
            source_labels: None,
            separator: ";".to_owned(),
            regex: "(.*)".to_owned(),
            modulus: None,
            target_label: String::new(),
            replacement: "$1".to_owned(),
            action: "replace".to_owned(),
        }
    }
}
