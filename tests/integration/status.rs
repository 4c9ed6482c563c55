//! `uptime_exporter status` against a real Prometheus that has kept a known history.

use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::support::has_tool;
use crate::support::process::{Finished, Process};
use crate::support::prometheus::{PACKAGE, Prometheus, open_metrics};

const SCRAPE: u64 = 30;
/// Of the history, in seconds: two days.
const LENGTH: u64 = 2 * 86_400;

/// What is ours and nobody else's business; as labels, names and values everywhere.
const PLANTED: [&str; 8] = [
    "planted-search",
    "planted-shop",
    "planted-internal",
    "planted-host",
    "planted-team",
    "planted_reason",
    "planted-exporter",
    "planted-region",
];

/// A target at one vantage; outages from and to in seconds since the start of the history.
struct Story {
    region: &'static str,
    target: &'static str,
    /// Of labels: whether it is public, and more.
    labels: &'static str,
    display_name: &'static str,
    outages: Vec<(u64, u64)>,
    notice: Option<(u64, &'static str)>,
}

impl Story {
    fn samples(&self, epoch: u64, all: &mut Vec<(&'static str, String)>) {
        let labels = format!(
            "target=\"{}\",region=\"{}\",exporter=\"planted-exporter\",job=\"uptime\",team=\"planted-team\"{}",
            self.target, self.region, self.labels
        );
        for now in (0..=LENGTH).step_by(SCRAPE as usize) {
            let time = epoch + now;
            let mut add = |name: &'static str, extra: &str, value: f64| {
                all.push((name, format!("{name}{{{labels}{extra}}} {value} {time}")));
            };
            let down: u64 = self.outages.iter().map(|(from, to)| now.min(*to).saturating_sub(*from)).sum();
            let going = self.outages.iter().find(|(from, to)| (*from..*to).contains(&now));
            add("probe_up", "", if going.is_some() { 0.0 } else { 1.0 });
            add("probe_up_seconds_total", "", (now - down) as f64);
            add("probe_down_seconds_total", "", down as f64);
            add("probe_unknown_seconds_total", "", 0.0);
            add("probe_maintenance_seconds_total", "", 0.0);
            add("probe_outages_total", "", self.outages.iter().filter(|(from, _)| *from <= now).count() as f64);
            add("probe_duration_seconds", "", 0.25);
            let info = format!(
                ",display_name=\"{}\",url=\"https://planted-host/\",module=\"planted-host\",prober=\"http\",interval=\"5s\"",
                self.display_name
            );
            add("probe_target_info", &info, 1.0);
            if let Some((from, _)) = going {
                add("probe_outage_start_timestamp_seconds", "", (epoch + from) as f64);
                add("probe_failure_info", ",reason=\"planted_reason\"", 1.0);
            }
            if let Some((_, cause)) = self.notice.filter(|(from, _)| now >= *from) {
                add("probe_notice_info", &format!(",cause=\"{cause}\",action=\"We look.\",next_update=\"\""), 1.0);
            }
        }
    }
}

fn history(stories: &[Story], epoch: u64) -> String {
    let mut all = Vec::new();
    stories.iter().for_each(|story| story.samples(epoch, &mut all));
    for (region, name) in [("planted-region-eu", "Europe"), ("planted-region-us", "")] {
        for now in (0..=LENGTH).step_by(SCRAPE as usize) {
            let labels =
                format!("region=\"{region}\",exporter=\"planted-exporter\",job=\"uptime\",region_name=\"{name}\"");
            all.push(("probe_vantage_info", format!("probe_vantage_info{{{labels}}} 1 {}", epoch + now)));
        }
    }
    open_metrics(all)
}

fn stories() -> Vec<Story> {
    const PUBLIC: &str = ",public=\"true\"";
    let at_both = |target, display_name, labels, outages: &[(u64, u64)], notice| {
        ["planted-region-eu", "planted-region-us"].map(|region| Story {
            region,
            target,
            labels,
            display_name,
            outages: outages.to_vec(),
            notice,
        })
    };
    let global = [(50_000, 53_607), (LENGTH - 1_200, LENGTH + 1)];
    let mut all: Vec<Story> = Vec::new();
    all.extend(at_both("planted-search", "Search", PUBLIC, &global, Some((LENGTH - 600, "A disk is full."))));
    all.extend(at_both("planted-shop", "Shop", PUBLIC, &[], None));
    all.extend(at_both("planted-internal", "planted-internal", "", &global, None));
    // From one place alone.
    let europe = all.iter_mut().find(|story| story.target == "planted-shop" && story.region == "planted-region-eu");
    europe.unwrap().outages.push((100_003, 100_723));
    all
}

fn status(url: &str, folder: &Path) -> Finished {
    let mut command = Command::new(env!("CARGO_BIN_EXE_uptime_exporter"));
    command.arg("status").arg(format!("--prometheus={url}"));
    command.arg("--config").arg(folder.join("status.yaml")).arg("--output").arg(folder.join("site"));
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
        command.env_remove(name);
    }
    Process::spawn(&mut command).finish()
}

fn read(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join("site").join(name)).unwrap()
}

fn json(folder: &Path) -> Value {
    serde_json::from_str(&read(folder, "status.json")).unwrap()
}

/// What the site says of the history, whoever has kept it.
fn tells_the_history(folder: &Path, epoch: u64) {
    let time = |seconds: u64| jiff::Timestamp::from_second((epoch + seconds) as i64).unwrap().to_string();
    let site = json(folder);
    let services = site["services"].as_array().unwrap();
    let states: Vec<_> = services
        .iter()
        .map(|service| (service["name"].as_str().unwrap(), service["state"].as_str().unwrap()))
        .collect();
    assert_eq!(states, [("Search", "outage"), ("Shop", "operational")], "{site:#}");
    let day = services[0]["uptime"]["last_24_hours"].as_f64().unwrap();
    assert!((day - (1.0 - 1_200.0 / 86_400.0)).abs() < 2e-3, "{day}");
    let incidents: Vec<_> = site["incidents"]
        .as_array()
        .unwrap()
        .iter()
        .map(|incident| {
            (
                incident["services"][0].as_str().unwrap(),
                incident["state"].as_str().unwrap(),
                &incident["start"],
                &incident["end"],
            )
        })
        .collect();
    let at = |seconds: u64| Value::from(time(seconds));
    assert_eq!(
        incidents,
        [
            ("Search", "outage", &at(LENGTH - 1_200), &Value::Null),
            ("Shop", "affected", &at(100_003), &at(100_723)),
            ("Search", "outage", &at(50_000), &at(53_607)),
        ],
        "exact to the second, though scrapes are {SCRAPE} seconds apart: {site:#}"
    );
    assert_eq!(site["incidents"][0]["cause"], "A disk is full.");
    assert_eq!(site["incidents"][1]["regions"], serde_json::json!(["Europe"]));
    let page = read(folder, "index.html");
    for part in ["There is an outage", "A disk is full.", "Users in Europe", "Services", "250 ms"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let mut folders = vec![folder.join("site")];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            files += 1;
            let text = std::fs::read_to_string(&path).unwrap();
            for name in PLANTED {
                assert!(!text.contains(name), "{name} is in {}", path.display());
            }
        }
    }
    assert_eq!(files, 9);
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::Builder::new().prefix("status.").tempdir().unwrap();
    let config = "name: Example\nurl: https://status.example.com/\nlatency: true\n";
    std::fs::write(folder.path().join("status.yaml"), config).unwrap();
    folder
}

#[test]
fn the_site_tells_what_prometheus_has_kept_and_how_old_it_is() {
    if !has_tool("prometheus", PACKAGE, "a real Prometheus") || !has_tool("promtool", PACKAGE, "its history") {
        return;
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let epoch = now - LENGTH;
    let prometheus = Prometheus::with_history(&history(&stories(), epoch));
    let folder = folder();
    let finished = status(&prometheus.url(), folder.path());
    assert_eq!(finished.code(), 0, "{finished:?}");
    tells_the_history(folder.path(), epoch);
    let before = json(folder.path());

    // Nothing answers: the site has another time, and says that it knows nothing new.
    drop(prometheus);
    let finished = status("http://127.0.0.1:1", folder.path());
    assert_eq!(finished.code(), 1, "{finished:?}");
    assert!(finished.stderr.contains("cannot ask Prometheus; the site says so"), "{finished:?}");
    let after = json(folder.path());
    assert_eq!((&after["current"], &after["state"]), (&Value::Bool(false), &Value::from("unknown")));
    assert_eq!(after["measured_at"], before["measured_at"]);
    assert_eq!(after["incidents"], before["incidents"]);
    let page = read(folder.path(), "index.html");
    assert!(page.contains("How our services are is not known at the moment"), "{page}");
}

#[test]
fn a_config_with_problems_writes_nothing() {
    let folder = folder();
    std::fs::write(folder.path().join("status.yaml"), "name: Example\nurll: x\n").unwrap();
    let finished = status("http://127.0.0.1:1", folder.path());
    assert_eq!(finished.code(), 2, "{finished:?}");
    assert!(finished.stderr.contains("status.yaml:2: urll: "), "{finished:?}");
    assert!(!folder.path().join("site").exists());
}
