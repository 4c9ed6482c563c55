//! What targets that are down together have in common.

use crate::support::exporter::{Exporter, Setup};
use crate::support::peer::http;
use crate::support::peer::http::HttpPeer;
use crate::support::scrape::Page;

/// Three sites of a rack that fail from their third request on, and three of another rack that do not.
struct Racks {
    bad: Vec<HttpPeer>,
    good: Vec<HttpPeer>,
    dir: tempfile::TempDir,
}

impl Racks {
    fn new() -> Self {
        let failing = |request: &http::Request| if request.number > 2 { http().status(503) } else { http() };
        Self {
            bad: (0..3).map(|_| HttpPeer::start(None, failing)).collect(),
            good: (0..3).map(|_| HttpPeer::start(None, |_| http())).collect(),
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn start(&self) -> Exporter {
        let mut config = String::from(
            "global:
  interval: 1s
  timeout: 1s
  confirm: {failures: 2, retry_interval: 100ms}
  diagnose: false
  labels: {region: eu}
  shared_cause: {labels: [rack]}
modules: {http: {prober: http, http: {preferred_ip_protocol: ip4}}}
targets:
",
        );
        for (rack, peers) in [(7, &self.bad), (8, &self.good)] {
            for (number, peer) in peers.iter().enumerate() {
                let url = peer.url();
                config += &format!(
                    "- {{name: r{rack}n{number}, target: {url}, module: http, labels: {{rack: \"{rack}\"}}}}\n"
                );
            }
        }
        let state = self.dir.path().join("state");
        Setup::new(&config).arg(&format!("--state.file={}", state.display())).start()
    }
}

fn targets(page: &Page, state: &str) -> Vec<f64> {
    let metric = page.metric("uptime_exporter_shared_cause_targets");
    let metric = metric.label("kind", "label").label("value", "rack=7").label("region", "eu").label("state", state);
    metric.all().iter().map(|sample| sample.value).collect()
}

#[test]
fn three_targets_of_a_rack_share_their_cause_also_after_a_restart() {
    let racks = Racks::new();
    let exporter = racks.start();
    let page = exporter.wait_until("the cause is told", |page| targets(page, "failing") == [3.0]);
    assert_eq!(targets(&page, "good"), [0.0]);
    for number in 0..3 {
        let explained = page.metric("probe_shared_cause_info").target(&format!("r7n{number}"));
        explained.label("kind", "label").label("value", "rack=7").value(1.0);
        assert_eq!(page.metric("probe_shared_cause_info").target(&format!("r8n{number}")).all().len(), 0);
    }
    let start = |page: &Page| page.metric("uptime_exporter_shared_cause_start_timestamp_seconds").read();
    let since = start(&page);
    let sentence = "3 of the 3 targets with rack=7 fail, 3 elsewhere do not.";
    let evidence = exporter.target("r7n0");
    assert_eq!(evidence["shared_cause"]["sentence"], sentence);
    assert_eq!(evidence["shared_cause"]["targets"], serde_json::json!(["r7n0", "r7n1", "r7n2"]));
    assert!(exporter.get("/").text().contains(sentence));
    assert!(exporter.get("/targets/r7n1").text().contains(sentence));
    assert_eq!(exporter.target("r8n0").get("shared_cause"), None);

    exporter.signal("TERM");
    assert_eq!(exporter.finish().code(), 0);
    let exporter = racks.start();
    let page = exporter.wait_until("the cause is told again", |page| targets(page, "failing") == [3.0]);
    assert_eq!(start(&page).to_bits(), since.to_bits(), "it began when it began");
}
