//! `/probe`, as a Prometheus with the classic relabelling uses it, and what a caller must not be able to do with it.

use std::io::Write;
use std::net::TcpStream;

use crate::prometheus::readme_yaml;
use crate::support::client;
use crate::support::exporter::{Exporter, Setup};
use crate::support::peer::http::HttpPeer;
use crate::support::peer::proxy::http_proxy;
use crate::support::peer::{End, dns, http, tcp};
use crate::support::prometheus::{PACKAGE, Prometheus};
use crate::support::scrape::Page;
use crate::support::{has_tool, pki, poll};

const MODULES: &str = "modules:
  http_2xx: {prober: http, timeout: 5s, http: {preferred_ip_protocol: ip4, basic_auth: {username: me, password: hunter2}}}
  tcp_connect: {prober: tcp, tcp: {preferred_ip_protocol: ip4}}
";

fn page(exporter: &Exporter, query: &str) -> Page {
    let response = exporter.get(&format!("/probe?{query}"));
    assert_eq!(response.status, 200, "{query}: {}", response.text());
    Page::parse(&response.text()).unwrap()
}

/// The run was ended because of where the target leads.
fn is_forbidden(exporter: &Exporter, query: &str) {
    let page = page(exporter, query);
    page.metric("probe_success").value(0.0);
    page.metric("probe_failure_info").label("reason", "target_forbidden").value(1.0);
}

/// The target is refused as it is written.
fn is_refused(exporter: &Exporter, query: &str, part: &str) {
    let response = exporter.get(&format!("/probe?{query}"));
    assert_eq!(response.status, 403, "{query}: {}", response.text());
    assert!(response.text().contains(part), "{query}: {}", response.text());
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

    for (query, status, part) in
        [("module=http_2xx", 400, "Target parameter is missing"), ("target=h&module=nobody", 400, "Unknown module")]
    {
        let response = exporter.get(&format!("/probe?{query}"));
        assert_eq!((response.status, response.text().contains(part)), (status, true), "{}", response.text());
    }
    // As the incumbent: what is no address cannot be reached.
    let nonsense = page(&exporter, "target=h&module=tcp_connect");
    nonsense.metric("probe_success").value(0.0);
    nonsense.metric("probe_failure_info").label("reason", "internal").value(1.0);
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
    page(&exporter, &format!("target={}", good.url().replace("http://", "http://me:s3same@")));
    for path in ["/logs", "/logs?id=5"] {
        let logs = exporter.get(path).text();
        assert!(logs.contains("http://me:<secret>@127.0.0.1"), "{path}: {logs}");
        assert!(!logs.contains("s3same") && !logs.contains("hunter2"), "{path}: {logs}");
    }
}

#[test]
fn a_prometheus_with_the_classic_relabelling_needs_no_other_change() {
    if !has_tool("prometheus", PACKAGE, "a real Prometheus") {
        return;
    }
    let good = http().start();
    let bad = http().status(503).start();
    let exporter = Exporter::start(MODULES);
    // The README's own words, but for the addresses and the pace.
    let scrape = readme_yaml("prometheus-probe");
    assert!(scrape.contains("localhost:9815") && scrape.contains("\"https://shop.example.com/\""), "{scrape}");
    let scrape = scrape
        .replace("localhost:9815", &exporter.address.to_string())
        .replace("\"https://shop.example.com/\"", &format!("\"{}\", \"{}\"", good.url(), bad.url()));
    let config = format!("global: {{scrape_interval: 1s, scrape_timeout: 1s}}\n{scrape}");
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
fn the_time_and_the_name_are_the_callers() {
    let silent = tcp().then(End::Stay).start();
    let good = http().start();
    let exporter = Exporter::start(MODULES);
    let path = format!("/probe?target={}", silent.address);
    let response =
        client::request(exporter.address, "GET", &path, &[("X-Prometheus-Scrape-Timeout-Seconds", "2.5")]).unwrap();
    let late = Page::parse(&response.text()).unwrap();
    late.metric("probe_success").value(0.0);
    late.metric("probe_timeout_seconds").value(2.0);
    late.metric("probe_failure_info").label("reason", "request_timeout").value(1.0);
    let header = [("X-Prometheus-Scrape-Timeout-Seconds", "soon")];
    assert_eq!(client::request(exporter.address, "GET", &path, &header).unwrap().status, 500);

    page(&exporter, &format!("target={}&hostname=shop.test", good.url())).metric("probe_success").value(1.0);
    assert_eq!(good.requests()[0].header("host"), Some("shop.test"));
}

#[test]
fn certificates_are_shown_when_they_are_refused_and_without_verification_too() {
    let secure = http().start_tls(pki::self_signed());
    let exporter = Exporter::start(&format!(
        "{MODULES}  unverified: {{prober: http, http: {{preferred_ip_protocol: ip4, tls_config: {{insecure_skip_verify: true}}}}}}\n"
    ));
    let refused = page(&exporter, &format!("target={}", secure.url()));
    refused.metric("probe_success").value(0.0);
    refused.metric("probe_failure_info").label("reason", "tls_untrusted").value(1.0);
    refused.metric("probe_http_ssl").value(0.0);
    refused.metric("probe_ssl_last_chain_expiry_timestamp_seconds").absent();
    let expiry = refused.metric("probe_ssl_earliest_cert_expiry").read();
    let unverified = page(&exporter, &format!("target={}&module=unverified", secure.url()));
    unverified.metric("probe_success").value(1.0);
    unverified.metric("probe_ssl_earliest_cert_expiry").value(expiry);
    unverified.metric("probe_ssl_last_chain_expiry_timestamp_seconds").value(-62_135_596_800.0);
}

#[test]
fn a_reload_changes_what_may_be_probed() {
    let good = http().start();
    let exporter = Exporter::start(MODULES);
    assert_eq!(exporter.get(&format!("/probe?target={}&module=late", good.url())).status, 400);
    let late = "  late: {prober: http, http: {preferred_ip_protocol: ip4}}\n";
    exporter.write("config.yaml", &format!("{MODULES}{late}probe_endpoint: {{allow: [localhost]}}\n"));
    assert_eq!(exporter.post("/-/reload").status, 200);
    is_refused(&exporter, &format!("target={}&module=late", good.url()), "is not among the targets");
    let by_name = good.url().replace("127.0.0.1", "localhost");
    page(&exporter, &format!("target={by_name}&module=late")).metric("probe_success").value(1.0);
}

#[test]
fn what_is_not_allowed_is_not_reached_by_name_address_or_redirect() {
    let secret = http().body("credentials").start();
    let secret_url = secret.url();
    let redirects = HttpPeer::start(None, move |_| http().redirect(&secret_url));
    // Both peers are on 127.0.0.1, so the rule is by the name that the caller writes; a redirect then leads to an address.
    let name = redirects.url().replace("127.0.0.1", "localhost");
    let exporter = Exporter::start(&format!("{MODULES}probe_endpoint: {{allow: [localhost]}}\n"));
    is_refused(&exporter, &format!("target={}", redirects.url()), "127.0.0.1 is not among the targets");
    is_refused(&exporter, "target=http://other.test/", "other.test is not among the targets");
    is_refused(&exporter, &format!("target={}&module=tcp_connect", secret.address()), "127.0.0.1");
    is_forbidden(&exporter, &format!("target={name}"));
    let logs = exporter.get(&format!("/logs?target={name}")).text();
    assert!(logs.contains("127.0.0.1 is not among the targets"), "{logs}");
    assert!(logs.contains("after 1 redirect"), "{logs}");
    assert_eq!(secret.requests().len(), 0, "it was never asked");
    assert_eq!(redirects.requests().len(), 1, "only by its name");

    let off = Exporter::start(&format!("{MODULES}probe_endpoint: {{enabled: false}}\n"));
    assert_eq!(off.get("/probe?target=h&module=http_2xx").status, 404);
}

#[test]
fn a_name_does_not_lead_to_a_forbidden_address() {
    let peer = http().start();
    let port = peer.address().port();
    let zone = dns()
        .address("good.test", "127.0.0.1")
        .address("evil.test", "127.0.0.2")
        .address("meta.test", "169.254.169.254")
        .start();
    let with = |allow: &str| {
        let servers = zone.address();
        Exporter::start(&format!("global: {{dns_servers: [\"{servers}\"]}}\n{MODULES}probe_endpoint: {{{allow}}}\n"))
    };

    let networks = with("allow: [127.0.0.1]");
    page(&networks, &format!("target=http://good.test:{port}/")).metric("probe_success").value(1.0);
    is_forbidden(&networks, &format!("target=http://evil.test:{port}/"));
    is_forbidden(&networks, &format!("target=evil.test:{port}&module=tcp_connect"));
    let evil = format!("http://evil.test:{port}/");
    peer.becomes(http().redirect(&evil));
    is_forbidden(&networks, &format!("target=http://good.test:{port}/"));
    assert_eq!(peer.requests().len(), 2, "the last redirect was not followed");

    // A star must not lead to the exporter's own machine.
    let star = with("allow: ['*.test']");
    is_forbidden(&star, &format!("target=http://good.test:{port}/"));
    is_forbidden(&star, "target=http://meta.test/");

    let none = with("");
    peer.becomes(http());
    page(&none, &format!("target=http://good.test:{port}/")).metric("probe_success").value(1.0);
    is_forbidden(&none, "target=http://meta.test/");
    is_refused(&none, "target=http://169.254.169.254/latest/meta-data/", "where a cloud gives its credentials");
    is_refused(&none, "target=http://[::ffff:169.254.169.254]/", "where a cloud gives its credentials");
    is_refused(&none, "target=169.254.169.254:80&module=tcp_connect", "where a cloud gives its credentials");
}

#[test]
fn a_proxy_is_no_way_around_the_rules() {
    let zone = dns().address("proxy.test", "127.0.0.1").start();
    // Whatever it is asked for, it answers; a redirect for one path.
    let proxy = HttpPeer::start(None, |request| {
        if request.path().ends_with("/away") { http().redirect("http://evil.test/") } else { http() }
    });
    let tunnel = http_proxy(proxy.address(), None);
    let config = |allow: &str| {
        format!(
            "global: {{dns_servers: [\"{}\"]}}
modules:
  proxied: {{prober: http, http: {{proxy_url: 'http://proxy.test:{}', preferred_ip_protocol: ip4}}}}
  tunnelled: {{prober: http, http: {{proxy_url: 'http://{}', preferred_ip_protocol: ip4}}}}
probe_endpoint: {{allow: {allow}}}
",
            zone.address(),
            proxy.address().port(),
            tunnel.address()
        )
    };
    let exporter = Exporter::start(&config("[good.test]"));
    // The proxy itself is the config's choice and needs no rule.
    page(&exporter, "target=http://good.test/&module=proxied").metric("probe_success").value(1.0);
    is_refused(&exporter, "target=http://evil.test/&module=proxied", "evil.test is not among the targets");
    is_refused(&exporter, "target=https://evil.test/&module=tunnelled", "evil.test is not among the targets");
    is_refused(&exporter, "target=http://127.0.0.1/&module=proxied", "127.0.0.1 is not among the targets");
    is_refused(&exporter, "target=http://good.test/&module=proxied&hostname=evil.test", "evil.test is not among");
    is_forbidden(&exporter, "target=http://good.test/away&module=proxied");
    let asked: Vec<String> = proxy.requests().iter().map(|request| request.path().to_owned()).collect();
    assert_eq!(asked, ["http://good.test/", "http://good.test/away"]);

    // A name that only its address could allow, which the proxy alone will know.
    let networks = Exporter::start(&config("[10.0.0.0/8]"));
    is_forbidden(&networks, "target=http://good.test/&module=proxied");
    is_forbidden(&networks, "target=https://good.test/&module=tunnelled");
    let none = Exporter::start(&config("[]"));
    is_refused(&none, "target=http://metadata.google.internal/&module=proxied", "where a cloud gives its credentials");
    assert_eq!(proxy.requests().len(), 2);
    assert!(tunnel.asked().is_empty(), "{:?}", tunnel.asked());
}

#[test]
fn one_run_too_many_is_refused_and_a_caller_that_goes_ends_its_run() {
    let silent = tcp().then(End::Stay).start();
    let exporter = Setup::new(&format!("{MODULES}probe_endpoint: {{max_concurrent: 1}}\n")).start();
    let path = format!("/probe?target=http://{}/&module=http_2xx", silent.address);
    let mut caller = TcpStream::connect(exporter.address).unwrap();
    caller.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).unwrap();
    exporter.wait_until("it runs", |page| page.metric("uptime_exporter_runs_in_flight").is(1.0));
    let second = exporter.get(&path);
    assert_eq!(second.status, 503, "{}", second.text());
    assert!(second.text().contains("probe_endpoint.max_concurrent"), "{}", second.text());
    assert_eq!(second.header("retry-after"), Some("5"));
    drop(caller);
    exporter.wait_until("it has ended", |page| page.metric("uptime_exporter_runs_in_flight").is(0.0));
    let good = http().start();
    page(&exporter, &format!("target={}", good.url())).metric("probe_success").value(1.0);
    assert!(!exporter.get("/logs").text().contains(&silent.address.to_string()), "a run that was dropped is no run");
}

#[test]
fn the_last_runs_of_a_target_are_at_its_url() {
    // One of thirteen, so that it is among the last ten again and again, however seldom it is looked.
    let peer = HttpPeer::start(None, |request| if request.number % 13 == 0 { http().status(503) } else { http() });
    let exporter = Exporter::start(&format!(
        "global: {{interval: 200ms, timeout: 200ms, confirm: {{failures: 1, retry_interval: 200ms}}}}
modules: {{http: {{prober: http, http: {{preferred_ip_protocol: ip4}}}}}}
targets: [{{name: shop, target: {}, module: http}}]
",
        peer.url()
    ));
    // It listens before it has its targets.
    peer.wait_for_requests(10);
    let (recent, failed) = poll("a failure is among them", || {
        let recent = exporter.target("shop")["recent"].as_array().unwrap().clone();
        let failed = recent.iter().find(|run| run["status"] == 503).cloned();
        failed.filter(|_| recent.len() == 10).map(|failed| (recent.clone(), failed)).ok_or(format!("{recent:?}"))
    });
    assert_eq!((&failed["reason"], &failed["address"]), (&"http_status".into(), &"127.0.0.1".into()));
    assert_eq!(failed["success"], false);
    let good = recent.iter().find(|run| run["status"] == 200).unwrap();
    assert_eq!((&good["success"], &good["reason"]), (&true.into(), &serde_json::Value::Null));
    assert!(recent.windows(2).all(|two| two[0]["time"].as_str() > two[1]["time"].as_str()), "newest first: {recent:?}");
}
