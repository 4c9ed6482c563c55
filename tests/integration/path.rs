//! The way to a target that cannot be reached, from the config to the page. Takes root on Linux; else skipped aloud.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::process::Process;
use crate::support::scrape::Page;

const EXPORTER: &str = env!("CARGO_BIN_EXE_uptime_exporter");

/// In a network of its own there is no way to anywhere.
const CONFIG: &str = "\
global: {interval: 1s, timeout: 1s, confirm: {failures: 2, retry_interval: 100ms}}
modules: {tcp: {prober: tcp, tcp: {preferred_ip_protocol: ip4}}}
targets:
  - {name: lost, target: '192.0.2.1:443', module: tcp}
  - {name: left-alone, target: '192.0.2.2:443', module: tcp, path: {enabled: false}}
";

struct Site(TempDir);

impl Site {
    /// `None`, said aloud, where it is not permitted.
    fn new() -> Option<Self> {
        let mut command = Command::new("unshare");
        let status = command.args(["-n", "ip", "link", "set", "lo", "up"]).stderr(Stdio::null()).status();
        if !status.is_ok_and(|status| status.success()) {
            eprintln!("SKIPPED: a network of its own takes root, iproute2 and util-linux");
            return None;
        }
        let dir = tempfile::Builder::new().prefix("uptime_exporter.").tempdir().unwrap();
        std::fs::write(dir.path().join("config.yaml"), CONFIG).unwrap();
        Some(Self(dir))
    }

    fn socket(&self) -> PathBuf {
        self.0.path().join("exporter.sock")
    }

    fn start(&self) -> Process {
        let script = format!(
            "ip link set lo up && exec {EXPORTER} --config.file=config.yaml --state.file=state \
             --web.listen-address=unix:exporter.sock"
        );
        Process::spawn(Command::new("unshare").current_dir(self.0.path()).args(["-n", "sh", "-c", &script]))
    }

    fn read(&self, path: &str) -> Option<String> {
        let mut stream = UnixStream::connect(self.socket()).ok()?;
        write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer.split_once("\r\n\r\n")?.1.to_owned())
    }

    /// Asks until `find` makes something of the answer.
    fn wait_for<T>(&self, path: &str, what: &str, find: impl Fn(&str) -> Option<T>) -> T {
        let patience = Instant::now() + Duration::from_secs(60);
        loop {
            let answer = self.read(path).unwrap_or_default();
            if let Some(found) = find(&answer) {
                return found;
            }
            assert!(Instant::now() < patience, "{what} did not come: {answer}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn way(&self) -> Value {
        self.wait_for("/api/v1/targets/lost", "the way", |answer| {
            let target: Value = serde_json::from_str(answer).ok()?;
            (target["path"].is_object() && target["verdict"] == "down").then(|| target.clone())
        })
    }
}

#[test]
fn a_way_is_traced_once_an_outage_and_shown_everywhere() {
    let Some(site) = Site::new() else { return };
    let exporter = site.start();
    let target = site.way();
    let path = &target["path"];
    let sentence = "the exporter's own host sends nothing to 192.0.2.1: network is unreachable";
    assert!(path["sentence"].as_str().unwrap().starts_with(sentence), "{path}");
    assert_eq!((&path["path_end"], &path["current"]), (&"unreachable".into(), &true.into()), "{path}");
    let finding = &target["diagnosis"]["finding"];
    assert_eq!(finding, "path_unreachable", "{target}");
    let page = site.read("/targets/lost").unwrap();
    assert!(page.contains("The way to it") && page.contains("sends nothing to 192.0.2.1"), "{page}");
    let metrics = site.wait_for("/metrics", "what was found out about the other", |answer| {
        let page = Page::parse(answer).ok()?;
        let known = page.metric("probe_diagnosis_info").target("left-alone").get().is_some();
        known.then_some(page)
    });
    let info = metrics.metric("probe_path_info");
    info.target("lost").label("path_end", "unreachable").label("last_hop", "").label("hops", "0").value(1.0);
    metrics.metric("probe_path_info").target("left-alone").absent();
    metrics.metric("probe_diagnosis_info").target("left-alone").label("finding", "nothing_answers").value(1.0);

    exporter.signal("TERM");
    assert_eq!(exporter.finish().code(), 0);
    let exporter = site.start();
    let runs = |answer: &str| {
        let page = Page::parse(answer).ok()?;
        let runs = page.metric("probe_runs_total").target("lost").label("result", "failure");
        runs.get()
    };
    let before = site.wait_for("/metrics", "the page", runs);
    site.wait_for("/metrics", "more runs", |answer| runs(answer).filter(|now| *now >= before + 2.0));
    assert_eq!(site.way()["path"], *path, "it was not traced anew");
    drop(exporter);
}
