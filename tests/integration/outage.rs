//! Nothing is lost between scrapes: an outage that began and ended between two of them is told by the counters and
//! by the evidence.

use std::sync::{Arc, OnceLock};

use crate::support::exporter::Exporter;
use crate::support::peer::http;
use crate::support::peer::http::HttpPeer;

#[test]
fn an_outage_of_three_seconds_between_two_scrapes_is_seen_afterwards() {
    let peer = http().start();
    let exporter = Exporter::start(&format!(
        "global:
  interval: 2s
  timeout: 2s
  confirm: {{failures: 2, retry_interval: 200ms}}
modules:
  http: {{prober: http, http: {{preferred_ip_protocol: ip4}}}}
targets:
  - {{name: shop, target: {}, module: http, labels: {{team: web}}}}
",
        peer.url()
    ));
    peer.wait_for_requests(1);
    let before = exporter.wait_until("the first run is on the page", |page| page.metric("probe_up").all().len() == 1);
    let metric = |page: &crate::support::scrape::Page, name: &str| page.metric(name).target("shop").read();
    before.metric("probe_up").target("shop").label("team", "web").value(1.0);
    for name in ["probe_outages_total", "probe_down_seconds_total"] {
        before.metric(name).target("shop").value(0.0);
    }
    before.metric("probe_runs_total").target("shop").label("result", "failure").value(0.0);
    before.metric("probe_failures_total").absent();

    // Once that is seen it is broken for four runs, of which the second is the re-check, and then fine again.
    let first: Arc<OnceLock<usize>> = Arc::default();
    let broken = Arc::clone(&first);
    peer.becomes_by(move |request| {
        let first = *broken.get_or_init(|| request.number);
        if request.number < first + 4 { http().status(503).body("database is gone") } else { http() }
    });
    // The sixth request begins when the fifth run, the first good one, is over and recorded.
    peer.wait_until("the outage is over", |requests| first.get().is_some_and(|first| requests.len() >= first + 5));
    let after = exporter.scrape();
    assert_eq!((metric(&before, "probe_up"), metric(&after, "probe_up")), (1.0, 1.0), "neither scrape saw it");
    after.metric("probe_outages_total").target("shop").value(1.0);
    after.metric("probe_runs_total").target("shop").label("result", "failure").value(4.0);
    after.metric("probe_failures_total").target("shop").label("reason", "http_status").value(4.0);
    after.metric("probe_failure_info").absent();
    after.metric("probe_outage_start_timestamp_seconds").absent();

    // From the first failing run to the first good one: a run begins after the request of the one before, and before its
    // own. (Requests are counted from 1.)
    let requests = peer.requests();
    let first = first.get().unwrap() - 1;
    let between = |from: usize, to: usize| requests[to].at.duration_since(requests[from].at).as_secs_f64();
    let (least, most) = (between(first, first + 3), between(first - 1, first + 5));
    let down = metric(&after, "probe_down_seconds_total");
    assert!(least < down && down < most, "down for {down} s; the peer was broken for {least} to {most} s");
    let known = ["up", "down", "unknown", "maintenance"]
        .iter()
        .map(|state| metric(&after, &format!("probe_{state}_seconds_total")))
        .sum::<f64>();
    assert!(known > down, "the seconds before and after count too");

    let target = exporter.target("shop");
    let evidence = &target["evidence"];
    assert_eq!(target["verdict"], "up");
    assert_eq!(target["totals"]["outages"], 1);
    for (capsule, success, status) in [
        ("first_failure", false, 503),
        ("latest_failure", false, 503),
        ("recovery", true, 200),
        ("last_good", true, 200),
    ] {
        let run = &evidence[capsule];
        assert_eq!(run["success"], success, "{capsule}: {run}");
        assert_eq!(run["http"]["status"], status, "{capsule}: {run}");
        assert_eq!(run["resolution"]["used"], "127.0.0.1", "{capsule}: {run}");
    }
    let first = &evidence["first_failure"];
    assert_eq!(first["reason"], "http_status");
    assert!(first["sentence"].as_str().unwrap().contains("503"), "{first}");
    assert_eq!(first["http"]["body_excerpt"]["text"], "database is gone");
    let time = |capsule: &str| evidence[capsule]["time"].as_str().unwrap().to_owned();
    assert!(time("first_failure") < time("latest_failure"));
    assert!(time("latest_failure") < time("recovery"));
    assert!(time("recovery") <= time("last_good"));

    // A change of state is news, once each way; a failing run is not.
    let log = exporter.wait_for_log("up again");
    assert_eq!(log.matches("went down").count(), 1, "{log}");
    assert_eq!(log.matches("up again").count(), 1, "{log}");
}

#[test]
fn a_single_failure_is_no_outage() {
    let peer = HttpPeer::start(None, |request| if request.number == 2 { http().status(500) } else { http() });
    let exporter = Exporter::start(&format!(
        "global: {{interval: 2s, timeout: 2s, confirm: {{failures: 3, retry_interval: 100ms}}}}
modules: {{http: {{prober: http, http: {{preferred_ip_protocol: ip4}}}}}}
targets: [{{name: blip, target: {}, module: http}}]
",
        peer.url()
    ));
    peer.wait_for_requests(4);
    let page = exporter.scrape();
    page.metric("probe_up").target("blip").value(1.0);
    page.metric("probe_outages_total").target("blip").value(0.0);
    page.metric("probe_down_seconds_total").target("blip").value(0.0);
    page.metric("probe_runs_total").target("blip").label("result", "failure").value(1.0);
    page.metric("probe_blips_total").target("blip").value(1.0);
    let target = exporter.target("blip");
    assert_eq!(target["evidence"]["latest_failure"]["http"]["status"], 500);
    assert!(target["evidence"]["first_failure"].is_null(), "there was no outage");
}

#[test]
fn re_checks_say_what_would_have_to_be_otherwise() {
    let peer = HttpPeer::start(None, |request| if request.number > 1 { http().status(503) } else { http() });
    let exporter = Exporter::start(&format!(
        "global: {{interval: 1s, timeout: 1s, confirm: {{failures: 1}}}}
modules:
  http: {{prober: http, http: {{preferred_ip_protocol: ip4}}}}
targets:
  - {{name: shop, target: {url}, module: http}}
  - {{name: left-alone, target: {url}, module: http, diagnose: false}}
",
        url = peer.url()
    ));
    let page = exporter.wait_until("there is a finding", |page| page.metric("probe_diagnosis_info").all().len() == 1);
    page.metric("probe_diagnosis_info").target("shop").label("finding", "answers_wrongly").value(1.0);
    exporter.wait_until("the other one fails too", |page| page.metric("probe_up").target("left-alone").is(0.0));
    exporter.scrape().metric("probe_diagnosis_info").target("left-alone").absent();
    let diagnosis = &exporter.target("shop")["diagnosis"];
    assert_eq!(diagnosis["finding"], "answers_wrongly", "{diagnosis}");
    assert!(diagnosis["sentence"].as_str().unwrap().contains("503"), "{diagnosis}");
    assert_eq!(exporter.target("left-alone")["diagnosis"], serde_json::Value::Null);
}
