//! A new config: by signal, by request, by a change of a file. What did not change goes on; what is bad changes
//! nothing.

use std::fmt::Write;

use crate::support::exporter::{Exporter, Setup};
use crate::support::peer::http;
use crate::support::scrape::Page;

/// Targets by name and URL.
fn config(targets: &[(&str, &str)]) -> String {
    let mut text = "global: {interval: 1s, timeout: 1s, target_files_refresh_interval: 1s}
modules: {http: {prober: http, http: {preferred_ip_protocol: ip4}}}
targets:
"
    .to_owned();
    for (name, url) in targets {
        let _ = writeln!(text, "  - {{name: {name}, target: \"{url}\", module: http}}");
    }
    if targets.is_empty() {
        text.push_str("  []\n");
    }
    text
}

fn runs(page: &Page, target: &str) -> f64 {
    page.metric("probe_runs_total").target(target).label("result", "success").get().unwrap_or(0.0)
}

fn observed(exporter: &Exporter, targets: &[&str]) -> Page {
    exporter.wait_until("every target is observed", |page| targets.iter().all(|name| runs(page, name) >= 1.0))
}

#[test]
fn sighup_keeps_what_stays_and_removes_what_goes() {
    let peer = http().start();
    let url = |path: &str| format!("{}/{path}", peer.url());
    let exporter =
        Exporter::start(&config(&[("changes", &url("old")), ("goes", &url("goes")), ("stays", &url("stays"))]));
    let before = observed(&exporter, &["changes", "goes", "stays"]);
    let up_seconds = before.metric("probe_up_seconds_total").target("stays").read();

    exporter
        .write("config.yaml", &config(&[("changes", &url("new")), ("comes", &url("comes")), ("stays", &url("stays"))]));
    exporter.signal("HUP");
    let first = exporter.wait_until("the new target is there", |page| {
        !page.metric("probe_target_info").target("comes").all().is_empty()
    });
    // Whole, in one go: on the first page with what came, what went is gone.
    assert!(!first.label_values("target").contains("goes"), "{}", first.text());
    assert!(runs(&first, "stays") >= runs(&before, "stays"), "counters of unchanged targets go on");
    assert!(runs(&first, "changes") >= runs(&before, "changes"), "a counter does not fall by a change of settings");
    assert!(first.metric("probe_up_seconds_total").target("stays").read() >= up_seconds);
    first.metric("probe_up").target("stays").value(1.0);
    first.metric("uptime_exporter_config_last_reload_successful").value(1.0);

    let after = observed(&exporter, &["comes"]);
    assert!(runs(&after, "stays") >= runs(&before, "stays"));
    exporter.wait_until("the changed target is probed anew", |_| peer.requests().iter().any(|r| r.path() == "/new"));
    exporter.wait_until("the unchanged one too", |page| runs(page, "stays") > runs(&before, "stays") + 1.0);
    assert_eq!(exporter.get("/api/v1/targets/goes").status, 404);
}

#[test]
fn a_request_reloads_and_a_bad_file_changes_nothing_and_is_answered_with_its_problems() {
    let peer = http().start();
    let exporter = Exporter::start(&config(&[("a", &peer.url())]));
    let before = observed(&exporter, &["a"]);
    before.metric("uptime_exporter_config_last_reload_successful").value(1.0);
    let timestamp = before.metric("uptime_exporter_config_last_reload_success_timestamp_seconds").read();
    assert!(timestamp > 1e9);
    assert_eq!(exporter.get("/-/reload").status, 405, "reading may not change anything");

    exporter.write("config.yaml", "targets:\n  - {name: a, target: x, module: nowhere}\nglobal: {intervall: 5s}\n");
    let answer = exporter.post("/-/reload");
    assert_eq!(answer.status, 500);
    let problems = answer.text();
    assert!(problems.contains("intervall") && problems.contains("nowhere"), "every problem at once: {problems}");
    let page = exporter.scrape();
    for name in ["uptime_exporter", "blackbox_exporter"] {
        page.metric(&format!("{name}_config_last_reload_successful")).value(0.0);
        page.metric(&format!("{name}_config_last_reload_success_timestamp_seconds")).value(timestamp);
    }
    let so_far = runs(&page, "a");
    exporter.wait_until("the old config goes on", |page| runs(page, "a") > so_far);
    assert!(exporter.get("/config").text().contains(&peer.url()), "what runs is what is shown");
    exporter.wait_for_log("intervall");

    exporter.write("config.yaml", &config(&[("b", &peer.url())]));
    assert_eq!(exporter.post("/-/reload").status, 200);
    let page = exporter.scrape();
    page.metric("uptime_exporter_config_last_reload_successful").value(1.0);
    assert!(page.metric("uptime_exporter_config_last_reload_success_timestamp_seconds").read() >= timestamp);
    assert!(!page.label_values("target").contains("a"));
    assert!(page.label_values("target").contains("b"), "there at once, before its first run");
}

#[test]
fn target_files_are_watched_in_both_forms() {
    let peer = http().start();
    let text = config(&[("main", &peer.url())]) + "target_files: [\"targets/*.yaml\", \"sd/*.json\"]\n";
    let ours = |name: &str| format!("- {{name: {name}, target: \"{}\", module: http}}\n", peer.url());
    let exporter = Setup::new(&text).file("targets/one.yaml", ours("one")).start();
    observed(&exporter, &["main", "one"]);

    exporter.write("targets/one.yaml", &format!("{}{}", ours("one"), ours("two")));
    let page = observed(&exporter, &["main", "one", "two"]);
    let so_far = runs(&page, "main");

    // As Prometheus writes it: the module as a label or by the default, the address as the name.
    let group = serde_json::json!([{"targets": [peer.url()], "labels": {"team": "web", "__param_module": "http"}}]);
    exporter.write("sd/web.json", &group.to_string());
    let page =
        exporter.wait_until("the file_sd target is there", |page| page.metric("probe_up").label("team", "web").is(1.0));
    assert!(runs(&page, "main") >= so_far);

    std::fs::remove_file(exporter.path("targets/one.yaml")).unwrap();
    let page = exporter
        .wait_until("targets of a file that is gone vanish", |page| !page.label_values("target").contains("two"));
    assert!(!page.label_values("target").contains("one"));
    assert!(runs(&page, "main") >= so_far);
}

#[test]
fn the_config_file_is_watched_when_that_is_asked_for() {
    let peer = http().start();
    let exporter = Setup::new(&config(&[("a", &peer.url())]))
        .arg("--config.enable-auto-reload")
        .arg("--config.auto-reload-interval=1")
        .start();
    observed(&exporter, &["a"]);
    exporter.write("config.yaml", &config(&[("b", &peer.url())]));
    let page = observed(&exporter, &["b"]);
    assert!(!page.label_values("target").contains("a"));
}

#[test]
fn a_config_without_targets_is_taken_too() {
    let peer = http().start();
    let exporter = Exporter::start(&config(&[("a", &peer.url())]));
    observed(&exporter, &["a"]);
    exporter.write("config.yaml", &config(&[]));
    let answer = exporter.post("/-/reload");
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(exporter.scrape().label_values("target").is_empty());
}

#[test]
fn secrets_are_shown_nowhere() {
    // Each differs from all other text that could appear.
    const SECRETS: &[&str] = &[
        "hunter-password",
        "hunter-bearer",
        "hunter-env",
        "hunter-file",
        "hunter-url",
        "hunter-header",
        "hunter-proxy",
        "hunter-connect",
    ];
    let peer = http().start();
    let failing = http().status(500).start();
    let address = peer.address();
    let refused = crate::support::peer::tcp::refusing();
    let text = format!(
        r#"
global: {{interval: 1s, timeout: 1s, confirm: {{failures: 1, retry_interval: 1s}}}}
modules:
  http: {{prober: http, http: {{preferred_ip_protocol: ip4}}}}
targets:
  - {{name: basic, target: "{ok}", module: http, http: {{basic_auth: {{username: ann, password: hunter-password}}}}}}
  - {{name: bearer, target: "{bad}", module: http, http: {{authorization: {{credentials: hunter-bearer}}}}}}
  - {{name: env, target: "{bad}", module: http, http: {{basic_auth: {{username: ann, password: "${{SECRET}}"}}}}}}
  - {{name: file, target: "{ok}", module: http, http: {{basic_auth: {{username: ann, password_file: password.txt}}}}}}
  - {{name: url, target: "http://ann:hunter-url@{address}/", module: http}}
  - name: header
    target: "{bad}"
    module: http
    http: {{http_headers: {{X-Token: {{secrets: [hunter-header]}}}}}}
  - name: proxy
    target: "https://elsewhere.test/"
    module: http
    http:
      proxy_url: "http://ann:hunter-proxy@{refused}"
      proxy_connect_header: {{X-Token: [hunter-connect]}}
"#,
        ok = peer.url(),
        bad = failing.url(),
        refused = refused.address,
    );
    let setup =
        || Setup::new(&text).file("password.txt", "hunter-file\n").env("SECRET", "hunter-env").arg("--log.level=debug");
    let exporter = setup().start();
    let names = ["basic", "bearer", "env", "file", "url", "header", "proxy"];
    exporter.wait_until("every target was probed", |page| {
        names.iter().all(|name| !page.metric("probe_success").target(name).all().is_empty())
    });
    assert_eq!(exporter.post("/-/reload").status, 200);
    exporter.write("config.yaml", &(text.clone() + "nonsense: ${SECRET}\n"));
    let refusal = exporter.post("/-/reload");
    assert_eq!(refusal.status, 500);

    let mut shown = vec![("the answer to a reload", refusal.text())];
    for path in ["/config", "/metrics", "/", "/api/v1/targets"] {
        shown.push(("a page", exporter.get(path).text()));
    }
    for name in names {
        shown.push(("the evidence", exporter.get(&format!("/api/v1/targets/{name}")).text()));
    }
    shown.push(("the log", exporter.log()));
    for format in ["table", "json"] {
        let once = setup().arg("--once").arg("--format").arg(format).run_to_end();
        shown.extend([("--once", once.stdout), ("the log of --once", once.stderr)]);
    }
    let check = setup().arg("--config.check").run_to_end();
    shown.extend([("--config.check", check.stdout), ("the log of --config.check", check.stderr)]);
    for (what, text) in &shown {
        for secret in SECRETS {
            assert!(!text.contains(secret), "{what} shows {secret}:\n{text}");
        }
        // In the form in which they cross the wire.
        assert!(!text.contains("aHVudGVy") && !text.contains("YW5uOmh1bnRlc"), "{what}:\n{text}");
    }
    let config = &shown[1].1;
    assert!(config.contains("<secret>") && config.contains("ann"), "{config}");

    // They are used all the same.
    let sent: Vec<_> = peer.requests().iter().filter_map(|r| r.header("authorization").map(str::to_owned)).collect();
    for credentials in ["ann:hunter-password", "ann:hunter-file", "ann:hunter-url"] {
        use base64::Engine as _;
        let encoded = base64::engine::general_purpose::STANDARD.encode(credentials);
        assert!(sent.contains(&format!("Basic {encoded}")), "{credentials}: {sent:?}");
    }
    let failing = failing.requests();
    assert!(failing.iter().any(|request| request.header("authorization") == Some("Bearer hunter-bearer")));
    assert!(failing.iter().any(|request| request.header("x-token") == Some("hunter-header")));
}
