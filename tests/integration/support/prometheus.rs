//! A real Prometheus in a directory of its own.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::process::Process;
use super::{client, poll};

pub(crate) const PACKAGE: &str = "prometheus";

/// Samples by family, each a line with its time, as OpenMetrics for [`Prometheus::with_history`].
pub(crate) fn open_metrics(mut samples: Vec<(&'static str, String)>) -> String {
    // A family's samples stand together.
    samples.sort_by_key(|(name, _)| *name);
    let mut text = String::new();
    let mut last = "";
    for (name, line) in &samples {
        if *name != last {
            last = name;
            let (family, kind) = name.strip_suffix("_total").map_or((*name, "gauge"), |family| (family, "counter"));
            writeln!(text, "# TYPE {family} {kind}").unwrap();
        }
        writeln!(text, "{line}").unwrap();
    }
    text + "# EOF\n"
}

pub(crate) struct Prometheus {
    address: SocketAddr,
    _process: Process,
    _dir: TempDir,
}

/// One series of an instant query.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    pub(crate) labels: Value,
    pub(crate) value: f64,
}

impl Series {
    pub(crate) fn label(&self, name: &str) -> &str {
        self.labels[name].as_str().unwrap_or_default()
    }
}

impl Prometheus {
    /// `files` lie beside the config.
    pub(crate) fn start(config: &str, files: &[(&str, &str)]) -> Self {
        let dir = tempfile::Builder::new().prefix("prometheus.").tempdir().unwrap();
        std::fs::write(dir.path().join("prometheus.yml"), config).unwrap();
        for (name, content) in files {
            std::fs::write(dir.path().join(name), content).unwrap();
        }
        Self::start_in(dir)
    }

    /// One that scrapes nothing and has kept these samples (OpenMetrics text with times).
    pub(crate) fn with_history(samples: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("prometheus.").tempdir().unwrap();
        std::fs::write(dir.path().join("prometheus.yml"), "global: {}\n").unwrap();
        std::fs::write(dir.path().join("history.txt"), samples).unwrap();
        let mut backfill = Command::new("promtool");
        backfill.current_dir(dir.path()).args(["tsdb", "create-blocks-from", "openmetrics", "history.txt", "data"]);
        let made = Process::spawn(&mut backfill).finish();
        assert!(made.status.success(), "{made:?}");
        Self::start_in(dir)
    }

    /// With the `prometheus.yml` of a folder, and what lies beside it.
    pub(crate) fn in_folder(dir: TempDir) -> Self {
        Self::start_in(dir)
    }

    fn start_in(dir: TempDir) -> Self {
        let mut command = Command::new("prometheus");
        command.current_dir(dir.path()).args([
            "--config.file=prometheus.yml",
            "--storage.tsdb.path=data",
            "--web.listen-address=127.0.0.1:0",
            "--enable-feature=exemplar-storage",
        ]);
        let process = Process::spawn(&mut command);
        let address = process.wait_for_line("Prometheus listens", |line| {
            let address = line.contains("\"Listening on\"").then(|| line.split_once(" address=")).flatten()?.1;
            address.split(' ').next()?.parse().ok()
        });
        Self { address, _process: process, _dir: dir }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn api(&self, path: &str) -> Result<Value, String> {
        let response = client::get(self.address, path)?;
        if response.status != 200 {
            return Err(format!("{path}: {} {}", response.status, response.text()));
        }
        Ok(response.json()["data"].clone())
    }

    pub(crate) fn query(&self, query: &str) -> Result<Vec<Series>, String> {
        let encoded: String = url::form_urlencoded::byte_serialize(query.as_bytes()).collect();
        let data = self.api(&format!("/api/v1/query?query={encoded}"))?;
        let result = data["result"].as_array().ok_or_else(|| format!("no result: {data}"))?;
        let series = result.iter().map(|series| {
            let value = series["value"][1].as_str().and_then(|value| value.parse().ok());
            Some(Series { labels: series["metric"].clone(), value: value? })
        });
        series.collect::<Option<_>>().ok_or_else(|| format!("not an instant vector: {data}"))
    }

    /// Queries until `met`; what met it.
    pub(crate) fn wait_until(&self, query: &str, mut met: impl FnMut(&[Series]) -> bool) -> Vec<Series> {
        poll(query, || {
            let series = self.query(query)?;
            if met(&series) { Ok(series) } else { Err(format!("the last answer: {series:#?}")) }
        })
    }
}
