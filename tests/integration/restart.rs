//! A restart in the middle of an outage forgets nothing of it, with `--state.file`.

use crate::support::exporter::{Exporter, Setup};
use crate::support::peer::http;
use crate::support::peer::http::HttpPeer;
use crate::support::scrape::Page;

struct Site {
    peer: HttpPeer,
    dir: tempfile::TempDir,
}

impl Site {
    /// Answers the first two requests, and fails from then on.
    fn new() -> Self {
        let answer = |request: &http::Request| if request.number > 2 { http().status(503) } else { http() };
        Self { peer: HttpPeer::start(None, answer), dir: tempfile::tempdir().unwrap() }
    }

    fn state_file(&self) -> String {
        self.dir.path().join("state").display().to_string()
    }

    fn start(&self) -> Exporter {
        let config = format!(
            "global: {{interval: 1s, timeout: 1s, confirm: {{failures: 2, retry_interval: 100ms}}}}
modules: {{http: {{prober: http, http: {{preferred_ip_protocol: ip4}}}}}}
targets: [{{name: shop, target: {}, module: http, diagnose: false}}]
",
            self.peer.url()
        );
        Setup::new(&config).arg(&format!("--state.file={}", self.state_file())).start()
    }
}

fn is_down(page: &Page) -> bool {
    page.metric("probe_up").target("shop").is(0.0)
}

#[test]
fn a_restart_keeps_start_clocks_and_evidence_of_an_outage() {
    let site = Site::new();
    let exporter = site.start();
    let before = exporter.wait_until("it is down", is_down);
    let evidence = exporter.target("shop");
    exporter.signal("TERM");
    let ended = exporter.finish();
    assert_eq!(ended.code(), 0);

    let exporter = site.start();
    let after = exporter.wait_until("it was looked at again", |page| {
        is_down(page) && page.metric("probe_success").target("shop").is(0.0)
    });
    let metric = |page: &Page, name: &str| page.metric(name).target("shop").read();
    let start = "probe_outage_start_timestamp_seconds";
    assert_eq!(metric(&after, start).to_bits(), metric(&before, start).to_bits(), "the outage began when it began");
    after.metric("probe_outages_total").target("shop").value(1.0);
    for name in ["probe_up_seconds_total", "probe_down_seconds_total", "probe_unknown_seconds_total"] {
        assert!(metric(&after, name) >= metric(&before, name), "{name} fell: Prometheus takes that for a reset");
    }
    exporter.wait_until("it is written again", |page| {
        page.metric("uptime_exporter_state_file_last_write_timestamp_seconds").read() > 0.0
    });
    exporter.scrape().metric("uptime_exporter_state_file_write_failures_total").value(0.0);
    let now = exporter.target("shop");
    for capsule in ["last_good", "first_failure"] {
        assert_eq!(now["evidence"][capsule], evidence["evidence"][capsule], "{capsule}");
        assert!(now["evidence"][capsule].is_object(), "{capsule}");
    }
    assert_eq!(now["timeline"], evidence["timeline"]);

    site.peer.becomes(http());
    exporter.wait_until("it is up again", |page| page.metric("probe_up").target("shop").is(1.0));
    let log = exporter.wait_for_log("up again");
    assert!(!log.contains("went down"), "it was down before: {log}");
    assert_eq!(log.matches("up again").count(), 1, "{log}");
}

#[test]
fn a_process_that_is_killed_leaves_the_outage_too() {
    let site = Site::new();
    let exporter = site.start();
    let before = exporter.wait_until("it is down, and that is written", |page| {
        let written = std::fs::read_to_string(site.state_file()).unwrap_or_default();
        is_down(page) && written.contains(r#""verdict":"down""#)
    });
    exporter.signal("KILL");
    exporter.finish();

    let exporter = site.start();
    let after = exporter.wait_until("it is down", is_down);
    let start = "probe_outage_start_timestamp_seconds";
    let metric = |page: &Page| page.metric(start).target("shop").read();
    assert_eq!(metric(&after).to_bits(), metric(&before).to_bits());
    // The file is older than what was scraped last, so the counters begin anew, as Prometheus expects of a new process.
    after.metric("probe_outages_total").target("shop").value(0.0);
    assert!(exporter.target("shop")["evidence"]["first_failure"].is_object());
}

#[test]
fn a_damaged_state_file_is_set_aside_with_a_warning() {
    let site = Site::new();
    std::fs::write(site.state_file(), "{\"format\":\"uptime_exporter state\"").unwrap();
    let exporter = site.start();
    exporter.wait_until("it was looked at", |page| page.metric("probe_up").all().len() == 1);
    let log = exporter.wait_for_log("set aside");
    assert!(log.contains("level=warn") && log.contains("state.damaged"), "{log}");
    assert!(site.dir.path().join("state.damaged").exists());
}

#[test]
fn a_state_file_that_cannot_be_written_is_told_at_the_start() {
    let site = Site::new();
    let ended = Setup::new("targets: []\n")
        .arg("--web.listen-address=127.0.0.1:0")
        .arg(&format!("--state.file={}", site.dir.path().join("nowhere/state").display()))
        .run_to_end();
    assert_eq!(ended.code(), 1);
}
