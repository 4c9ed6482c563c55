//! What is wrong with one module is no matter of the others: the exporter starts, and that module's runs say what it is.

use crate::support::exporter::{Exporter, Setup};
use crate::support::peer::http;
use crate::support::scrape::Page;

const MODULES: &str = "global: {interval: 1s, timeout: 1s, target_files_refresh_interval: 1s}
modules:
  base: &base {timeout: 5s}
  good: {<<: *base, prober: http, http: {preferred_ip_protocol: ip4}}
  secret: {<<: *base, prober: http, http: {preferred_ip_protocol: ip4, basic_auth: {username: ann, password_file: secrets/password}}}
  upper: {prober: HTTP}
";

fn probed(exporter: &Exporter, module: &str, target: &str) -> Page {
    exporter.scrape_path(&format!("/probe?module={module}&target={target}"))
}

#[test]
fn a_missing_file_fails_the_runs_of_its_module_until_it_is_there() {
    let peer = http().start();
    let url = peer.url();
    let config = format!(
        "{MODULES}targets:\n  - {{name: good, target: \"{url}\", module: good}}\n  - {{name: secret, target: \"{url}/secret\", module: secret}}\n"
    );
    let check = Setup::new(&config).arg("--config.check").run_to_end();
    assert_eq!(check.code(), 2, "{check:?}");
    assert!(check.stderr.contains("config.yaml:5: modules.secret.http.basic_auth.password_file: secrets/password cannot be opened: no such file or directory"), "{check:?}");

    let exporter = Exporter::start(&config);
    let page = exporter.wait_until("both were probed", |page| {
        page.metric("probe_up").target("good").get() == Some(1.0)
            && page.metric("probe_success").target("secret").get() == Some(0.0)
    });
    page.metric("probe_failure_info").target("secret").label("reason", "internal").value(1.0);
    page.metric("uptime_exporter_config_last_reload_successful").value(1.0);
    let words =
        "modules.secret.http.basic_auth.password_file: secrets/password cannot be opened: no such file or directory";
    assert!(exporter.target("secret").to_string().contains(words), "{}", exporter.target("secret"));
    assert!(exporter.log().contains(words), "{}", exporter.log());
    assert!(peer.requests().iter().all(|request| request.path() != "/secret"), "nothing is sent without the password");

    let target = format!("{url}/probe");
    let page = probed(&exporter, "secret", &target);
    page.metric("probe_success").value(0.0);
    page.metric("probe_http_status_code").value(0.0);
    page.metric("probe_failure_info").label("reason", "internal").value(1.0);
    let log = exporter.get(&format!("/probe?module=secret&target={target}&debug=true")).text();
    assert!(log.contains(words), "{log}");
    probed(&exporter, "good", &target).metric("probe_success").value(1.0);

    exporter.write("secrets/password", "opensesame\n");
    exporter.wait_until("it is seen that the file is there", |page| {
        page.metric("probe_up").target("secret").get() == Some(1.0)
    });
    let request = peer.requests().into_iter().find(|request| request.path() == "/secret").unwrap();
    assert_eq!(request.header("authorization"), Some("Basic YW5uOm9wZW5zZXNhbWU="));
    probed(&exporter, "secret", &target).metric("probe_success").value(1.0);

    std::fs::remove_file(exporter.path("secrets/password")).unwrap();
    let answer = exporter.post("/-/reload");
    assert_eq!(answer.status, 200, "{}", answer.text());
    exporter
        .wait_until("the target fails again", |page| page.metric("probe_success").target("secret").get() == Some(0.0));
    exporter.scrape().metric("probe_up").target("good").value(1.0);
}

#[test]
fn what_is_no_module_is_refused_when_it_is_asked_for() {
    let exporter = Exporter::start(MODULES);
    for (module, words) in [
        ("base", "Module \"base\" cannot be used: it has no prober; probers are http, "),
        ("upper", "Module \"upper\" cannot be used: \"HTTP\" is not a prober; "),
    ] {
        let answer = exporter.get(&format!("/probe?module={module}&target=127.0.0.1:1"));
        assert_eq!(answer.status, 400, "{module}");
        assert!(answer.text().contains(words), "{}", answer.text());
    }
    let check = Setup::new(
        &MODULES.replace("  upper: {prober: HTTP}\n", "").replace("password_file: secrets/password", "password: x"),
    )
    .arg("--config.check")
    .run_to_end();
    assert_eq!(check.code(), 0, "{check:?}");
    assert!(check.stdout.contains("0 targets, 3 modules"), "the anchor is none of them: {}", check.stdout);
}
