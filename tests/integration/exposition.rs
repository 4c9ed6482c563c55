//! The page as Prometheus' own tools see it, narrowed, compressed; and the other pages.

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use crate::support::client;
use crate::support::exporter::{Exporter, Setup};
use crate::support::has_tool;
use crate::support::peer::{http, tcp};
use crate::support::pki::Authority;
use crate::support::prometheus::PACKAGE;
use crate::support::scrape::Page;

/// Targets that make every kind of series there is.
struct Varied {
    exporter: Exporter,
    _peers: Box<dyn std::any::Any>,
}

const NAMES: &[&str] = &["broken", "closed", "mail", "odd \"na\\me\" <&>/é", "secure"];

fn varied() -> Varied {
    let authority = Authority::new("Test Root");
    let secure = http()
        .header("Last-Modified", "Tue, 15 Nov 1994 12:45:26 GMT")
        .body(r#"{"ok": true}"#)
        .start_tls(authority.server());
    let broken = http().status(503).start();
    let mail = tcp().greets("220 mail.test ESMTP\r\n").start();
    let refusing = tcp::refusing();
    let config = serde_json::json!({
        "global": {"interval": "1s", "timeout": "1s", "labels": {"region": "eu-west"},
                   "confirm": {"failures": 1, "retry_interval": "1s"}, "latency_buckets": [0.1, 1]},
        "modules": {
            "http": {"prober": "http", "http": {"preferred_ip_protocol": "ip4", "tls_config": {"ca_file": "ca.pem"}}},
            "tcp": {"prober": "tcp", "tcp": {"query_response": [
                {"expect": "^220 ([^ ]+)", "labels": [{"name": "banner", "value": "${1}"}]}]}},
        },
        "targets": [
            {"name": "secure", "target": secure.url(), "module": "http", "http": {
                "fail_if_body_json_not_matches_cel": "body.ok == true"}},
            {"name": "broken", "target": broken.url(), "module": "http", "depends_on": ["closed"]},
            {"name": "closed", "target": refusing.address.to_string(), "module": "tcp"},
            {"name": "mail", "target": mail.address.to_string(), "module": "tcp", "resolve": "all",
             "slo": 0.999, "slow_threshold": "1s"},
            {"name": "odd \"na\\me\" <&>/é", "target": broken.url(), "module": "http",
             "labels": {"note": "two\nlines, \\ and \"quotes\""}},
        ],
        "maintenance": [{"targets": ["mail"], "weekly": {"start": "00:00", "end": "24:00"}}],
        "notice_files": ["notices.yaml"],
    });
    let exporter = Setup::new(&config.to_string())
        .file("ca.pem", authority.pem())
        .file("notices.yaml", "- {targets: [closed], cause: A test., action: It is over soon.}")
        .start();
    exporter.wait_until("every target has its verdict, and a failure its finding", |page| {
        page.metric("probe_up").all().len() == NAMES.len() && !page.metric("probe_diagnosis_info").all().is_empty()
    });
    Varied { exporter, _peers: Box::new((secure, broken, mail, refusing)) }
}

#[test]
fn promtool_finds_nothing_to_say_about_the_page() {
    if !has_tool("promtool", PACKAGE, "promtool check metrics") {
        return;
    }
    let varied = varied();
    let page = varied.exporter.get("/metrics").text();
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    promtool.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.is_empty(), "{said}\n{page}");
}

#[test]
fn every_documented_family_of_http_and_tcp_is_seen_alive() {
    let varied = varied();
    let page = varied.exporter.scrape();
    // The probers' own tests have theirs; the others need two addresses of which one fails, something that changes, targets
    // that are down together, and a target that cannot be reached.
    let elsewhere = |name: &str| {
        [
            "probe_dns_",
            "probe_grpc_",
            "probe_icmp_",
            "probe_websocket_",
            "probe_address_failure_info",
            "probe_last_change_",
            "probe_outage_trace_",
            "probe_shared_cause_",
            "probe_path_info",
        ]
        .iter()
        .any(|prefix| name.starts_with(prefix) && name != "probe_dns_lookup_time_seconds")
    };
    for family in uptime_exporter::metrics::FAMILIES.iter().filter(|family| !elsewhere(family.name)) {
        assert_eq!(page.families().get(family.name).map(String::as_str), Some(family.kind.as_str()), "{}", family.name);
    }
    // And nothing of a target that the table does not have.
    for name in page.families().keys().filter(|name| name.starts_with("probe_")) {
        assert!(uptime_exporter::metrics::FAMILIES.iter().any(|family| family.name == name), "{name}");
    }
    page.metric("probe_expect_info").target("mail").label("banner", "mail.test").value(1.0);
    page.metric("probe_ip_addr_hash").target("mail").value(3_668_918_509.0);
    page.metric("probe_http_last_modified_timestamp_seconds").target("secure").value(784_903_526.0);
    page.metric("probe_target_info").target("secure").label("interval", "1s").label("prober", "http").value(1.0);
    page.metric("probe_up").target(NAMES[3]).label("note", "two\nlines, \\ and \"quotes\"").value(0.0);
    page.metric("uptime_exporter_targets").value(5.0);
    for sample in page.metric("probe_up").all() {
        assert_eq!(sample.labels["region"], "eu-west");
    }
}

#[test]
fn a_page_can_be_narrowed_and_shards_make_up_the_whole() {
    let varied = varied();
    let names = |page: &Page| page.label_values("target").into_iter().map(str::to_owned).collect::<Vec<_>>();
    let one = varied.exporter.scrape_path("/metrics?target=mail");
    assert_eq!(names(&one), ["mail"]);
    let two = varied.exporter.scrape_path("/metrics?target=mail&target=odd%20%22na%5Cme%22%20%3C%26%3E%2F%C3%A9");
    assert_eq!(names(&two), ["mail", NAMES[3]]);
    assert_eq!(varied.exporter.get("/metrics?target=nobody").status, 404);
    let mut all = Vec::new();
    for shard in 0..3 {
        all.extend(names(&varied.exporter.scrape_path(&format!("/metrics?shard={shard}&of=3"))));
    }
    all.sort();
    assert_eq!(all, NAMES);
    for bad in ["shard=3&of=3", "shard=0", "of=3", "shard=x&of=3", "shard=0&of=0"] {
        assert_eq!(varied.exporter.get(&format!("/metrics?{bad}")).status, 400, "{bad}");
    }
}

#[test]
fn a_page_is_compressed_for_those_who_ask() {
    let varied = varied();
    let response = client::request(varied.exporter.address, "GET", "/metrics", &[("Accept-Encoding", "gzip")]).unwrap();
    assert_eq!(response.header("content-encoding"), Some("gzip"));
    let mut text = String::new();
    flate2::read::GzDecoder::new(&response.body[..]).read_to_string(&mut text).unwrap();
    Page::parse(&text).unwrap().metric("probe_up").target("secure").value(1.0);
}

#[test]
fn the_other_pages_answer() {
    let varied = varied();
    let exporter = &varied.exporter;
    let index = exporter.get("/");
    assert_eq!(index.status, 200);
    assert!(index.header("content-type").unwrap().starts_with("text/html"));
    let html = index.text();
    for part in ["secure", "http_status", "connect_refused", "odd &quot;na\\me&quot; &lt;&amp;&gt;/é"] {
        assert!(html.contains(part) || html.contains(&part.replace("&quot;", "&#34;")), "{part}: {html}");
    }
    assert!(!html.contains("<&>"), "names are escaped");
    assert_eq!(exporter.get("/-/healthy").status, 200);
    crate::support::poll("ready once every target was observed", || match exporter.get("/-/ready") {
        ready if ready.status == 200 => Ok(()),
        other => Err(other.text()),
    });
    let config = exporter.get("/config");
    assert_eq!(config.status, 200);
    assert!(config.text().contains("region"));
    assert_eq!(exporter.get("/nowhere").status, 404);
    assert_eq!(exporter.post("/metrics").status, 405);

    let list = exporter.get("/api/v1/targets").json();
    let names: Vec<&str> = list["targets"].as_array().unwrap().iter().map(|t| t["name"].as_str().unwrap()).collect();
    assert_eq!(names, NAMES);
    let down = exporter.get("/api/v1/targets?state=down").json();
    assert_eq!(down["targets"].as_array().unwrap().len(), 3);
    let secure = exporter.target("secure");
    let chain = &secure["evidence"]["last_good"]["tls"]["chain"];
    assert_eq!(chain[0]["subject"], "CN=127.0.0.1");
    assert_eq!(exporter.get("/api/v1/targets/nobody").status, 404);
}

#[test]
fn documents_and_rules_speak_of_metrics_that_exist() {
    let varied = varied();
    let page = varied.exporter.scrape();
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |file: &std::path::Path| std::fs::read_to_string(file).unwrap();
    // Its table is generated; it has families that this page shows no sample of, such as those of anchors.
    let readme = read(&root.join("README.md"));
    let mut files: Vec<_> = ["README.md", "CHANGELOG.md", "docs/benchmarks.md"].map(|file| root.join(file)).into();
    for folder in ["alerting/prometheus", "docs/runbooks"] {
        let entries = std::fs::read_dir(root.join(folder)).unwrap().map(|entry| entry.unwrap().path());
        files.extend(entries.filter(|path| path.extension().is_some_and(|end| end == "yml" || end == "md")));
    }
    assert!(files.len() > 40, "{files:?}");
    for file in files {
        let text = read(&file);
        // A name with colons is of a recording rule, which promtool checks.
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':');
        let words = words.map(|word| word.trim_matches(':')).filter(|word| !word.contains(':'));
        let names = words.filter(|word| word.starts_with("probe_") || word.starts_with("uptime_exporter_"));
        // A key of the config.
        for name in names.filter(|name| !name.ends_with('_') && *name != "probe_endpoint") {
            let family =
                ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name);
            let known = |name: &str| page.families().contains_key(name) || readme.contains(&format!("| `{name}` |"));
            assert!(known(family) || known(name), "{}: {name}", file.display());
        }
    }
}
