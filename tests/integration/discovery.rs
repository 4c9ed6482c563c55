//! Targets that others keep lists of: behind a URL, and in the DNS. What stays is not disturbed, a list that fails changes
//! nothing, and what is wrong with one target concerns that one.

use serde_json::json;

use crate::support::exporter::{Exporter, Setup};
use crate::support::peer::dns::{self, dns};
use crate::support::peer::http;
use crate::support::peer::http::HttpPeer;
use crate::support::scrape::Page;

const GLOBAL: &str = "global: {interval: 1s, timeout: 1s, confirm: {failures: 1}}
modules:
  web: {prober: http, http: {preferred_ip_protocol: ip4}}
  port: {prober: tcp, tcp: {preferred_ip_protocol: ip4}}
";

fn list(groups: &serde_json::Value) -> http::Answer {
    http().header("Content-Type", "application/json").body(groups.to_string())
}

/// Asks a list every second.
fn config(inventory: &HttpPeer, more: &str) -> String {
    format!("{GLOBAL}target_http: [{{url: \"{}/list\", refresh_interval: 1s{more}}}]\n", inventory.url())
}

fn targets(page: &Page) -> Vec<String> {
    page.label_values("target").into_iter().map(ToString::to_string).collect()
}

fn wait_for(exporter: &Exporter, wanted: &[&str]) -> Page {
    exporter.wait_until(&format!("the targets are {wanted:?}"), |page| targets(page) == wanted)
}

fn of_source(page: &Page, name: &str) -> f64 {
    page.metric(&format!("uptime_exporter_discovery_{name}")).read()
}

#[test]
fn a_list_behind_a_url_is_followed_and_its_labels_are_the_targets() {
    let site = http().start();
    let (site_url, port) = (site.url(), site.address().to_string());
    let first = json!([
        {"targets": [site_url], "labels": {"team": "web", "__param_module": "web", "__meta_x": "y"}},
        {"targets": [port], "labels": {"__param_module": "port", "__target_name": "the-port"}},
    ]);
    let inventory = list(&first).start();
    let exporter =
        Exporter::start(&config(&inventory, ", labels: {team: none, source: inventory}, bearer_token: hunter2"));
    let page = exporter.wait_until("both are up", |page| page.metric("probe_up").all().len() == 2);
    let info = page.metric("probe_target_info").target(&site_url);
    assert_eq!(info.label("team", "web").label("source", "inventory").label("module", "web").all().len(), 1);
    let info = page.metric("probe_target_info").target("the-port").label("team", "none");
    assert_eq!(info.label("module", "port").all().len(), 1, "{}", page.text());
    assert!(!page.text().contains("__"), "{}", page.text());

    let asked = inventory.requests().remove(0);
    assert_eq!(asked.header("accept"), Some("application/json"));
    assert_eq!(asked.header("authorization"), Some("Bearer hunter2"));
    assert_eq!(asked.header("x-prometheus-refresh-interval-seconds"), Some("1"));
    assert!(asked.header("user-agent").is_some_and(|agent| agent.starts_with("uptime_exporter/")), "{asked:?}");
    assert!(!exporter.get("/config").text().contains("hunter2"));

    let runs = |page: &Page| page.metric("probe_runs_total").target(&site_url).label("result", "success").read();
    let before = runs(&page);
    inventory.becomes(list(&json!([
        {"targets": [site_url], "labels": {"team": "web", "__param_module": "web"}},
        {"targets": [format!("{site_url}/new")], "labels": {"__param_module": "web"}},
    ])));
    let page = wait_for(&exporter, &[&site_url, &format!("{site_url}/new")]);
    assert!(runs(&page) >= before, "what stays goes on");
    assert_eq!(of_source(&page, "targets").to_bits(), 2_f64.to_bits());
}

#[test]
fn a_source_that_fails_changes_nothing_and_says_so() {
    let site = http().start();
    let good = json!([{"targets": [site.url()], "labels": {"__param_module": "web"}}]);
    let inventory = list(&good).start();
    let exporter = Exporter::start(&config(&inventory, ""));
    wait_for(&exporter, &[&site.url()]);
    for (answer, why) in [
        (http().status(500), "the status is 500, expected 200"),
        (http().header("Content-Type", "application/json").body("{}"), "the answer is not a list of"),
        (http().header("Content-Type", "text/html").body("[]"), "expected application/json"),
    ] {
        let before = of_source(&exporter.scrape(), "failures_total");
        inventory.becomes(answer);
        let page = exporter.wait_until("it fails", |page| of_source(page, "failures_total") > before + 1.0);
        assert_eq!(targets(&page), [site.url()], "{why}");
        let log = exporter.wait_for_log(why);
        assert!(log.contains("its targets stay as they are"), "{log}");
    }
    let old = of_source(&exporter.scrape(), "last_success_timestamp_seconds");
    inventory.becomes(list(&json!([])));
    // Nothing is a list too.
    let page = wait_for(&exporter, &[]);
    assert!(of_source(&page, "last_success_timestamp_seconds") > old);
    assert_eq!(of_source(&page, "shrinks_total").to_bits(), 1_f64.to_bits());
    exporter.wait_for_log("has lost more than half of them");
    assert_eq!(exporter.get("/-/ready").status, 200);
}

#[test]
fn what_is_wrong_with_one_target_of_a_list_concerns_that_one() {
    let site = http().start();
    let url = |path: &str| format!("{}/{path}", site.url());
    let inventory = list(&json!([
        {"targets": [url("good"), "http://", url("good")], "labels": {"__param_module": "web"}},
        {"targets": [url("a")], "labels": {"__param_module": "no-such-module"}},
        {"targets": [url("b")], "labels": {"__param_module": "web", "not a name": "x"}},
        {"targets": [url("c")], "labels": {"__param_module": "web", "__scrape_interval__": "never"}},
        {"targets": [url("d")], "labels": {"__param_module": "web", "__depends_on": "nobody"}},
        {"targets": [url("e")], "labels": {"__param_module": "web", "__depends_on": url("f")}},
        {"targets": [url("f")], "labels": {"__param_module": "web", "__depends_on": url("e")}},
        {"targets": [url("mine")], "labels": {"__param_module": "web", "team": "theirs"}},
    ]))
    .start();
    let mine = format!("targets: [{{name: \"{0}\", target: \"{0}\", module: web}}]\n", url("mine"));
    let exporter = Exporter::start(&(config(&inventory, "") + &mine));
    let page = wait_for(&exporter, &[&url("d"), &url("e"), &url("f"), &url("good"), &url("mine")]);
    page.metric("uptime_exporter_config_last_reload_successful").value(1.0);
    let log = exporter.log();
    for told in ["no-such-module", "not a name", "never", "is not a target", "is a cycle", "the first one alone runs"] {
        assert!(log.contains(told), "{told}: {log}");
    }
    assert!(log.contains("it is left out"), "{log}");
}

#[test]
fn services_and_addresses_of_the_dns_are_targets() {
    let site = http().start();
    let port = site.address().port();
    let zones = vec![
        dns().service("_web._tcp.example.com", "one.example.com", port).address("all.example.com", "127.0.0.1"),
        dns()
            .service("_web._tcp.example.com", "two.example.com", port)
            .service("_web._tcp.example.com", "one.example.com", port)
            .address("all.example.com", "127.0.0.2"),
        dns().servfail("_web._tcp.example.com").address("all.example.com", "127.0.0.2"),
        // Neither the name nor the service is there any more.
        dns().no_data("all.example.com"),
    ];
    let zone = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let server: dns::Dns = dns::Zone::start_one_of(zones, std::sync::Arc::clone(&zone));
    let becomes = |place| zone.store(place, std::sync::atomic::Ordering::Relaxed);
    let exporter = Exporter::start(&format!(
        "{GLOBAL}target_dns:
  - {{names: [_web._tcp.example.com], refresh_interval: 1s, dns_servers: [\"{0}\"], module: web}}
  - {{names: [all.example.com], type: A, port: {port}, refresh_interval: 1s, dns_servers: [\"{0}\"], module: port}}
",
        server.address()
    ));
    let (one, two) = (format!("one.example.com:{port}"), format!("two.example.com:{port}"));
    let address = |host: &str| format!("{host}:{port}");
    wait_for(&exporter, &[&address("127.0.0.1"), &one]);
    becomes(1);
    let page = wait_for(&exporter, &[&address("127.0.0.2"), &one, &two]);
    page.metric("probe_target_info").target(&two).label("module", "web").value(1.0);
    becomes(2);
    let log = exporter.wait_for_log("The source of targets has failed");
    assert!(log.contains("SERVFAIL"), "{log}");
    wait_for(&exporter, &[&address("127.0.0.2"), &one, &two]);
    becomes(3);
    wait_for(&exporter, &[]);
}

#[test]
fn a_restart_forgets_nothing_of_targets_that_are_still_to_be_found() {
    let site = http().status(503).start();
    let good = json!([{"targets": [site.url()], "labels": {"__param_module": "web", "__target_name": "shop"}}]);
    let inventory = list(&good).start();
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let start = || Setup::new(&config(&inventory, "")).arg(&format!("--state.file={}", state.display())).start();
    let exporter = start();
    let is_down = |page: &Page| page.metric("probe_up").target("shop").is(0.0);
    let page = exporter.wait_until("it is down", is_down);
    let began = |page: &Page| page.metric("probe_outage_start_timestamp_seconds").target("shop").read();
    let before = began(&page);
    exporter.signal("TERM");
    assert_eq!(exporter.finish().code(), 0);

    // This one stops before it has heard of the target.
    inventory.becomes(http().status(500));
    let exporter = start();
    exporter.wait_for_log("its targets stay as they are");
    exporter.wait_until("the state is written", |page| {
        page.metric("uptime_exporter_state_file_last_write_timestamp_seconds").read() > 0.0
    });
    exporter.signal("TERM");
    assert_eq!(exporter.finish().code(), 0);

    let exporter = start();
    exporter.wait_for_log("its targets stay as they are");
    inventory.becomes(list(&good));
    let page = exporter.wait_until("it is down", is_down);
    assert_eq!(began(&page).to_bits(), before.to_bits(), "the outage began when it began");
}

#[test]
fn once_asks_for_the_lists_first() {
    let site = http().start();
    let good = json!([{"targets": [site.url()], "labels": {"__param_module": "web", "__target_name": "shop"}}]);
    let inventory = list(&good).start();
    let ended = Setup::new(&config(&inventory, "")).arg("--once").run_to_end();
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    assert!(ended.stdout.contains("shop"), "{}", ended.stdout);
    inventory.becomes(http().status(404));
    let ended = Setup::new(&config(&inventory, "")).arg("--once").run_to_end();
    assert!(ended.stderr.contains("/list: the status is 404, expected 200"), "{}", ended.stderr);
    let ended = Setup::new(&config(&inventory, "")).arg("--config.check").run_to_end();
    assert_eq!(ended.code(), 0);
    assert!(ended.stdout.contains("1 source of more targets"), "{}", ended.stdout);
}
