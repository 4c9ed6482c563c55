//! `depends_on`, on real sockets: a gateway and what stands behind it.

use crate::support::exporter::{Exporter, Setup};
use crate::support::peer::http;
use crate::support::peer::http::HttpPeer;
use crate::support::scrape::Page;

/// A gateway that is looked at every `interval`, and two shops behind it, one of them by way of the other.
fn config(gateway: &HttpPeer, shop: &HttpPeer, interval: &str) -> String {
    format!(
        "global: {{interval: 1s, timeout: 1s, confirm: {{failures: 2, retry_interval: 200ms}}, diagnose: false}}
modules: {{http: {{prober: http, http: {{preferred_ip_protocol: ip4}}}}}}
targets:
  - {{name: gateway, target: {}, module: http, interval: {interval}, labels: {{role: gateway}}}}
  - {{name: shop, target: {shop}, module: http, depends_on: [{{labels: {{role: gateway}}}}]}}
  - {{name: shop-api, target: {shop}, module: http, depends_on: [shop]}}
  - {{name: elsewhere, target: {shop}, module: http}}
",
        gateway.url(),
        shop = shop.url(),
    )
}

fn is(page: &Page, target: &str, up: f64) -> bool {
    page.metric("probe_up").target(target).is(up)
}

fn explained(page: &Page) -> Vec<(String, String, String)> {
    let label = |sample: &crate::support::scrape::Sample, name: &str| sample.labels[name].clone();
    let all = page.metric("probe_explained_info").all();
    all.into_iter().map(|sample| (label(sample, "target"), label(sample, "by"), label(sample, "parent"))).collect()
}

#[test]
fn a_child_is_never_shown_down_without_its_parent_whose_own_turn_is_in_an_hour() {
    let (gateway, shop) = (http().start(), http().start());
    let exporter = Exporter::start(&config(&gateway, &shop, "1h"));
    exporter
        .wait_until("all are up", |page| ["gateway", "shop", "shop-api", "elsewhere"].iter().all(|t| is(page, t, 1.0)));
    assert_eq!(explained(&exporter.scrape()), []);
    gateway.becomes(http().status(503));
    shop.becomes(http().status(503));
    let mut unexplained = Vec::new();
    let page = exporter.wait_until("all are down", |page| {
        let explained = explained(page);
        for child in ["shop", "shop-api"] {
            if is(page, child, 0.0) && !explained.iter().any(|(target, _, _)| target == child) {
                unexplained.push(page.text().to_owned());
            }
        }
        ["gateway", "shop", "shop-api", "elsewhere"].iter().all(|target| is(page, target, 0.0))
    });
    assert_eq!(unexplained, [""; 0]);
    let by_gateway = |target: &str| (target.to_owned(), "gateway".to_owned(), "down".to_owned());
    assert_eq!(explained(&page), [by_gateway("shop"), by_gateway("shop-api")]);
    page.metric("probe_success").target("shop").value(0.0);
    page.metric("probe_outages_total").target("shop").value(1.0);

    let json = exporter.target("shop-api");
    assert_eq!(json["explained_by"]["target"], "gateway", "{json}");
    assert_eq!(json["explained_by"]["parent"], "down", "{json}");
    assert_eq!(json["explained_by"]["since"], exporter.target("gateway")["since"], "{json}");
    assert_eq!(exporter.target("elsewhere")["explained_by"], serde_json::Value::Null);
    assert!(exporter.get("/api/v1/targets").text().contains("\"explained_by\":{\"target\":\"gateway\""));
    let index = exporter.get("/").text();
    assert_eq!(
        index.matches("explained by <a href=\"targets/gateway\"><bdi>gateway</bdi></a>, down since").count(),
        2,
        "{index}"
    );
    let one = exporter.get("/targets/shop").text();
    assert!(
        one.contains(
            "<strong>Not by itself:</strong> explained by <a href=\"gateway\"><bdi>gateway</bdi></a>, down since"
        ),
        "{one}"
    );
    let narrow = exporter.scrape_path("/metrics?target=shop");
    narrow.metric("probe_explained_info").target("shop").label("by", "gateway").value(1.0);
}

#[test]
fn a_child_that_stays_down_is_on_its_own_when_its_parent_is_up_again() {
    let (gateway, shop) = (http().status(503).start(), http().status(503).start());
    let exporter = Exporter::start(&config(&gateway, &shop, "1s"));
    exporter.wait_until("it is explained", |page| explained(page).iter().any(|(target, ..)| target == "shop"));
    exporter.wait_until("the gateway is down", |page| is(page, "gateway", 0.0));
    gateway.becomes(http());
    let page = exporter.wait_until("it is not explained", |page| {
        is(page, "gateway", 1.0) && !explained(page).iter().any(|(target, ..)| target == "shop")
    });
    page.metric("probe_up").target("shop").value(0.0);
    let of_api = explained(&page);
    assert_eq!(
        of_api,
        [("shop-api".to_owned(), "shop".to_owned(), "down".to_owned())],
        "the shop explains others still"
    );
}

#[test]
fn an_explanation_outlives_a_restart_and_a_reload() {
    let (gateway, shop) = (http().status(503).start(), http().status(503).start());
    let (dir, text) = (tempfile::tempdir().unwrap(), config(&gateway, &shop, "1s"));
    let start = || Setup::new(&text).arg(&format!("--state.file={}", dir.path().join("state").display())).start();
    let is_told = |page: &Page| explained(page).iter().any(|row| (&*row.0, &*row.2) == ("shop", "down"));
    let exporter = start();
    exporter.wait_until("it is explained", |page| is(page, "shop", 0.0) && is_told(page));
    exporter.signal("TERM");
    assert_eq!(exporter.finish().code(), 0);
    let exporter = start();
    let page = exporter.wait_until("the page has targets", |page| !page.metric("probe_up").all().is_empty());
    assert!(is(&page, "shop", 0.0) && is_told(&page), "{}", page.text());

    exporter.write("config.yaml", &text.replace("[{labels: {role: gateway}}]", "[nobody]"));
    let answer = exporter.post("/-/reload");
    assert_eq!(answer.status, 500);
    assert!(answer.text().contains("targets[1].depends_on[0]: \"nobody\" is not a target"), "{}", answer.text());
    assert!(is_told(&exporter.scrape()), "what was before is in force");
    exporter.write("config.yaml", &text.replace("[{labels: {role: gateway}}]", "[]"));
    assert_eq!(exporter.post("/-/reload").status, 200);
    assert!(!is_told(&exporter.scrape()));
}

#[test]
fn single_runs_say_what_explains_them() {
    let (gateway, shop) = (http().status(503).start(), http().status(503).start());
    let text = config(&gateway, &shop, "1s");
    let table = Setup::new(&text).arg("--once").run_to_end();
    assert_eq!(table.code(), 1, "an explanation repairs nothing");
    assert_eq!(table.stdout.matches("explained by gateway: ").count(), 2, "{}", table.stdout);
    assert!(table.stdout.ends_with("4 targets: 0 up, 4 down (2 explained).\n"), "{}", table.stdout);
    let json = Setup::new(&text).arg("--once").arg("--format=json").run_to_end();
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    let by: Vec<_> = json.as_array().unwrap().iter().map(|target| &target["explained_by"]["target"]).collect();
    assert_eq!(
        by,
        ["", "", "gateway", "gateway"]
            .map(|by| if by.is_empty() { serde_json::Value::Null } else { by.into() })
            .iter()
            .collect::<Vec<_>>()
    );
}
