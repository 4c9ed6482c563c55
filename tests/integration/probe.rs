//! `/probe`, as a Prometheus with the classic relabelling uses it, and what a caller must not be able to do with it.

use crate::support::exporter::{Exporter, Setup};
use crate::support::has_tool;
use crate::support::peer::http;
use crate::support::peer::http::HttpPeer;
use crate::support::peer::tcp;
use crate::support::prometheus::{PACKAGE, Prometheus};
use crate::support::scrape::Page;

const MODULES: &str = "modules:
  http_2xx: {prober: http, timeout: 5s, http: {preferred_ip_protocol: ip4, basic_auth: {username: me, password: hunter2}}}
  tcp_connect: {prober: tcp, tcp: {preferred_ip_protocol: ip4}}
";

fn page(exporter: &Exporter, query: &str) -> Page {
    let response = exporter.get(&format!("/probe?{query}"));
    assert_eq!(response.status, 200, "{query}: {}", response.text());
    Page::parse(&response.text()).unwrap()
}

#[test]
fn a_run_is_shown_with_the_incumbents_families_and_zeros() {
    let good = http().start();
    let refusing = tcp::refusing();
    let exporter = Exporter::start(MODULES);
    let up = page(&exporter, &format!("target={}", good.url()));
    up.metric("probe_success").value(1.0);
    up.metric("probe_http_status_code").value(200.0);
    up.metric("probe_http_duration_seconds").label("phase", "tls").value(0.0);
    up.metric("probe_timeout_seconds").value(5.0);
    assert!(up.label_values("target").is_empty(), "no labels of a target:\n{}", up.text());
    up.metric("probe_last_run_timestamp_seconds").absent();

    let down = page(&exporter, &format!("target=http://{}/", refusing.address));
    down.metric("probe_success").value(0.0);
    for name in [
        "probe_http_status_code",
        "probe_http_content_length",
        "probe_http_version",
        "probe_http_ssl",
        "probe_http_redirects",
        "probe_http_uncompressed_body_length",
        "probe_failed_due_to_regex",
    ] {
        down.metric(name).value(0.0);
    }
    down.metric("probe_failure_info").label("reason", "connect_refused").value(1.0);
    assert!(down.families().values().all(|kind| kind == "gauge"), "{:?}", down.families());

    for (query, status, part) in [
        ("module=http_2xx", 400, "Target parameter is missing"),
        ("target=h&module=nobody", 400, "Unknown module"),
        ("target=h&module=tcp_connect", 400, "no port"),
    ] {
        let response = exporter.get(&format!("/probe?{query}"));
        assert_eq!((response.status, response.text().contains(part)), (status, true), "{}", response.text());
    }
    exporter.scrape().metric("blackbox_module_unknown_total").value(1.0);
    // The exporter's own page has nothing of these runs.
    exporter.scrape().metric("probe_success").absent();

    let debug = exporter.get(&format!("/probe?target={}&debug=true", good.url())).text();
    for part in [
        "Logs for the probe:",
        "Metrics that would have been returned:\n# HELP",
        "Module configuration:",
        "prober: http",
    ] {
        assert!(debug.contains(part), "{part}\n{debug}");
    }
    assert!(debug.contains("<secret>") && !debug.contains("hunter2"), "{debug}");
    let logs = exporter.get(&format!("/logs?target=http://{}/&module=http_2xx", refusing.address)).text();
    assert!(logs.contains("reason=connect_refused"), "{logs}");
    assert_eq!(exporter.get("/logs?id=1").status, 200);
    assert_eq!(exporter.get("/logs?id=99").status, 404);
    assert_eq!(exporter.get("/logs?module=http_2xx").status, 400);
}

#[test]
fn a_prometheus_with_the_classic_relabelling_needs_no_other_change() {
    if !has_tool("prometheus", PACKAGE, "a real Prometheus") {
        return;
    }
    let good = http().start();
    let bad = http().status(503).start();
    let exporter = Exporter::start(MODULES);
    let config = format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: blackbox
    metrics_path: /probe
    params: {{module: [http_2xx]}}
    static_configs: [{{targets: [\"{}\", \"{}\"]}}]
    relabel_configs:
      - {{source_labels: [__address__], target_label: __param_target}}
      - {{source_labels: [__param_target], target_label: instance}}
      - {{target_label: __address__, replacement: \"{}\"}}
",
        good.url(),
        bad.url(),
        exporter.address
    );
    let prometheus = Prometheus::start(&config, &[]);
    prometheus.wait_until("up{job=\"blackbox\"} == 1", |series| series.len() == 2);
    let success = prometheus.wait_until("probe_success", |series| series.len() == 2);
    for series in &success {
        let expected = if series.label("instance") == good.url() { 1.0 } else { 0.0 };
        assert_eq!(series.value, expected, "{series:?}");
    }
    let timeout = prometheus.query("probe_timeout_seconds").unwrap();
    assert_eq!(timeout[0].value, 0.5, "the scrape's second less the offset");
}

#[test]
fn what_is_not_allowed_is_not_reached_by_name_address_or_redirect() {
    let secret = http().body("credentials").start();
    let secret_url = secret.url();
    let redirects = HttpPeer::start(None, move |_| http().status(302).header("Location", &secret_url));
    let allowed_port = redirects.url();
    // Both peers are on 127.0.0.1, so the rule is by the name that the caller writes; a redirect then leads to an address.
    let name = allowed_port.replace("127.0.0.1", "localhost");
    let exporter = Exporter::start(&format!("{MODULES}probe_endpoint: {{allow: [localhost]}}\n"));
    let by_address = exporter.get(&format!("/probe?target={allowed_port}"));
    assert_eq!(by_address.status, 403, "{}", by_address.text());
    let redirected = exporter.get(&format!("/probe?target={name}"));
    assert_eq!(redirected.status, 403, "{}", redirected.text());
    assert!(redirected.text().contains("127.0.0.1 is not among the targets"), "{}", redirected.text());
    assert_eq!(secret.requests().len(), 0, "it was never asked");
    assert_eq!(redirects.requests().len(), 1, "only by its name");
    let metadata = Exporter::start(MODULES).get("/probe?target=http://169.254.169.254/latest/meta-data/");
    assert_eq!(metadata.status, 403, "{}", metadata.text());

    let off = Exporter::start(&format!("{MODULES}probe_endpoint: {{enabled: false}}\n"));
    assert_eq!(off.get("/probe?target=h&module=http_2xx").status, 404);
}

#[test]
fn one_run_too_many_is_refused_and_a_caller_that_goes_ends_its_run() {
    let silent = tcp().then(crate::support::peer::End::Stay).start();
    let exporter = Setup::new(&format!("{MODULES}probe_endpoint: {{max_concurrent: 1}}\n")).start();
    let path = format!("/probe?target=http://{}/&module=http_2xx", silent.address);
    let mut caller = std::net::TcpStream::connect(exporter.address).unwrap();
    std::io::Write::write_all(&mut caller, format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).unwrap();
    exporter.wait_until("it runs", |page| page.metric("uptime_exporter_runs_in_flight").is(1.0));
    let second = exporter.get(&path);
    assert_eq!(second.status, 503, "{}", second.text());
    assert!(second.header("retry-after").is_some());
    drop(caller);
    exporter.wait_until("it has ended", |page| page.metric("uptime_exporter_runs_in_flight").is(0.0));
}
