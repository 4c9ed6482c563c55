//! Traces from end to end: what the probed server is told is what evidence, page, log, metrics and a real Prometheus have.

use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::support::exporter::Exporter;
use crate::support::peer::http::{HttpPeer, Request, http};
use crate::support::prometheus::{PACKAGE, Prometheus};
use crate::support::{client, has_tool, poll};

/// The trace ids that requests were sent with.
fn ids(requests: &[Request]) -> BTreeSet<String> {
    let ids = requests.iter().map(|request| {
        let header = request.header("traceparent").unwrap_or_else(|| panic!("{:?} has no traceparent", request.path()));
        let parts: Vec<&str> = header.split('-').collect();
        assert_eq!((parts.len(), parts[0], parts[3]), (4, "00", "01"), "{header}");
        parts[1].to_owned()
    });
    ids.collect()
}

fn told(peer: &HttpPeer) -> BTreeSet<String> {
    ids(&peer.requests())
}

fn traced(shop: &HttpPeer) -> Exporter {
    Exporter::start(&format!(
        "global:
  interval: 1s
  timeout: 1s
  confirm: {{failures: 2, retry_interval: 200ms}}
  latency_buckets: [0.5, 2]
  trace_url: 'https://tempo.example/{{trace_id}}?a=1&b=2'
modules:
  http: {{prober: http, http: {{preferred_ip_protocol: ip4, trace_context: true}}}}
  plain: {{prober: http, http: {{preferred_ip_protocol: ip4}}}}
targets: [{{name: shop, target: '{}', module: http}}]
",
        shop.url()
    ))
}

#[test]
fn an_outage_is_found_by_the_trace_of_its_first_failing_run() {
    let shop = http().start();
    let exporter = traced(&shop);
    exporter.wait_until("it is up", |page| !page.metric("probe_up").all().is_empty());
    assert!(exporter.scrape().metric("probe_outage_trace_info").all().is_empty());
    shop.becomes(http().status(503));
    let page = exporter.wait_until("it is down", |page| page.metric("probe_outage_trace_info").all().len() == 1);
    let labels = page.metric("probe_outage_trace_info").target("shop").all()[0].labels.clone();
    let id = labels["trace_id"].clone();
    assert!(told(&shop).contains(&id), "{id} was never told");
    assert_eq!(labels["trace_url"], format!("https://tempo.example/{id}?a=1&b=2"));

    let evidence = exporter.target("shop")["evidence"].clone();
    assert_eq!(evidence["first_failure"]["trace_id"], id.as_str());
    assert_eq!(evidence["first_failure"]["trace_url"], labels["trace_url"].as_str());
    assert!(told(&shop).contains(evidence["last_good"]["trace_id"].as_str().unwrap()));
    let shown = exporter.get("/targets/shop").text();
    assert!(shown.contains(&format!("<a href=\"https://tempo.example/{id}?a=1&amp;b=2\">{id}</a>")), "{shown}");
    let log = exporter.wait_for_log("Target went down.");
    let line = log.lines().find(|line| line.contains("Target went down.")).unwrap();
    assert!(told(&shop).iter().any(|id| line.contains(&format!("trace_id={id}"))), "{line}");

    // It stays the same, so that it is one series, while later runs have traces of their own.
    let seen = told(&shop).len();
    shop.wait_until("three more runs", |requests| requests.len() >= seen + 3);
    let later = exporter.scrape().metric("probe_outage_trace_info").target("shop").all()[0].labels.clone();
    assert_eq!(later["trace_id"], id);
    let requests = shop.requests();
    assert_eq!(ids(&requests).len(), requests.len(), "each run has one of its own");
    shop.becomes(http());
    exporter.wait_until("it is up again", |page| page.metric("probe_outage_trace_info").all().is_empty());
}

#[test]
fn a_request_for_open_metrics_gets_exemplars_and_text_none() {
    let shop = http().start();
    let exporter = traced(&shop);
    exporter.wait_until("it is up", |page| !page.metric("probe_up").all().is_empty());
    let accept = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5";
    let open = client::request(exporter.address, "GET", "/metrics", &[("Accept", accept)]).unwrap();
    assert_eq!(open.header("content-type"), Some("application/openmetrics-text; version=1.0.0; charset=utf-8"));
    let text = open.text();
    let line = text.lines().find(|line| line.starts_with("probe_latency_seconds_bucket{") && line.contains(" # {"));
    let line = line.unwrap_or_else(|| panic!("{text}"));
    assert!(told(&shop).iter().any(|id| line.contains(&format!(" # {{trace_id=\"{id}\"}} "))), "{line}");
    assert!(text.ends_with("\n# EOF\n"), "{text}");
    assert!(!exporter.get("/metrics").text().contains(" # {"));
    // `/probe` is text, as with blackbox_exporter, and a module without the key tells no trace.
    let probe = format!("/probe?target={}&module=plain", shop.address());
    let probe = client::request(exporter.address, "GET", &probe, &[("Accept", accept)]).unwrap();
    assert!(!probe.text().contains("trace_id"), "{}", probe.text());
    assert_eq!(probe.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert!(shop.requests().iter().any(|request| request.header("traceparent").is_none()));
}

#[test]
fn a_prometheus_keeps_the_traces_that_the_server_was_told() {
    if !has_tool("prometheus", PACKAGE, "a real Prometheus with exemplar storage") {
        return;
    }
    let shop = http().start();
    let exporter = traced(&shop);
    exporter.wait_until("it is up", |page| !page.metric("probe_up").all().is_empty());
    let config = format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs: [{{job_name: uptime, static_configs: [{{targets: ['{}']}}]}}]
",
        exporter.address
    );
    let prometheus = Prometheus::start(&config, &[]);
    let exemplars = |query: &str| {
        poll(query, || {
            let encoded: String = url::form_urlencoded::byte_serialize(query.as_bytes()).collect();
            let end = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + 60;
            let data =
                prometheus.api(&format!("/api/v1/query_exemplars?query={encoded}&start={}&end={end}", end - 3600))?;
            let series = data.as_array().filter(|series| !series.is_empty()).ok_or_else(|| data.to_string())?;
            Ok(series.clone())
        })
    };
    let told_of = |series: &[serde_json::Value]| {
        let mut count = 0;
        for exemplar in series.iter().flat_map(|series| series["exemplars"].as_array().unwrap()) {
            let id = exemplar["labels"]["trace_id"].as_str().unwrap();
            assert!(told(&shop).contains(id), "{id} was never told");
            count += 1;
        }
        assert!(count > 0, "{series:?}");
    };
    let latency = exemplars("probe_latency_seconds_bucket{target=\"shop\"}");
    told_of(&latency);
    assert_eq!(latency[0]["seriesLabels"]["target"], "shop");

    shop.becomes(http().status(503));
    let failures = exemplars("probe_failures_total{target=\"shop\"}");
    told_of(&failures);
    assert_eq!(failures[0]["seriesLabels"]["reason"], "http_status");
    let info = prometheus.wait_until("probe_outage_trace_info{target=\"shop\"}", |series| series.len() == 1);
    assert!(told(&shop).contains(info[0].label("trace_id")), "{info:?}");
    // The name is that of the text, the metadata that of the format.
    let metadata = prometheus.api("/api/v1/metadata?metric=probe_failures").unwrap();
    assert_eq!(metadata["probe_failures"][0]["type"], "counter");
    let up = prometheus.query("up").unwrap();
    assert_eq!((up.len(), up[0].value), (1, 1.0));
}
