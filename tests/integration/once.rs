//! `--once` and `--config.check`: what people and CI jobs see, and the exit codes that they go by.

use crate::support::exporter::Setup;
use crate::support::peer::{self, http};

fn config(targets: &[(&str, String)]) -> String {
    let mut text = "global: {interval: 15s, timeout: 5s}
modules:
  http: {prober: http, http: {preferred_ip_protocol: ip4}}
  tcp: {prober: tcp, tcp: {preferred_ip_protocol: ip4}}
targets:
"
    .to_owned();
    for (name, url) in targets {
        let module = if url.starts_with("http") { "http" } else { "tcp" };
        text.push_str(&format!("  - {{name: {name}, target: \"{url}\", module: {module}, labels: {{team: web}}}}\n"));
    }
    text
}

#[test]
fn all_up_exits_0() {
    let peer = http().start();
    let setup = Setup::new(&config(&[("shop", peer.url()), ("port", peer.address().to_string())]));
    let finished = setup.arg("--once").run_to_end();
    assert_eq!(finished.code(), 0, "{finished:?}");
    let lines: Vec<Vec<&str>> = finished.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["TARGET", "STATE", "STATUS", "LATENCY", "REASON"]);
    let row = |name: &str| lines.iter().find(|line| line.first() == Some(&name)).unwrap();
    assert_eq!(row("shop")[1..3], ["up", "200"]);
    assert_eq!(row("port")[1..3], ["up", "-"]);
    assert!(finished.stdout.ends_with("2 targets: 2 up, 0 down.\n"), "{}", finished.stdout);
    assert_eq!(peer.requests().len(), 1, "once is once");
}

#[test]
fn anything_down_exits_1_and_says_why() {
    let peer = http().start();
    let broken = http().status(503).start();
    let refusing = peer::tcp::refusing();
    let targets = config(&[("shop", peer.url()), ("broken", broken.url()), ("closed", refusing.address.to_string())]);
    let table = Setup::new(&targets).arg("--once").run_to_end();
    assert_eq!(table.code(), 1);
    assert!(table.stdout.contains("http_status") && table.stdout.contains("503"), "{}", table.stdout);
    assert!(table.stdout.contains("connect_refused"), "{}", table.stdout);
    assert!(table.stdout.ends_with("3 targets: 1 up, 2 down.\n"), "{}", table.stdout);

    let finished = Setup::new(&targets).arg("--once").arg("--format=json").run_to_end();
    assert_eq!(finished.code(), 1);
    let json: serde_json::Value = serde_json::from_str(&finished.stdout).unwrap();
    let object = |name: &str| json.as_array().unwrap().iter().find(|object| object["name"] == name).unwrap();
    assert_eq!(object("shop")["state"], "up");
    assert_eq!(object("shop")["labels"]["team"], "web");
    assert_eq!(object("broken")["state"], "down");
    assert!(finished.stdout.contains("http_status") && finished.stdout.contains("connect_refused"), "{json:#}");
}

#[test]
fn a_bad_config_exits_2_with_every_problem_and_its_line() {
    let text = "global:
  interval: 5s
  timeout: 10s
modules:
  http:
    prober: http
    http:
      valid_status_codes: [2000]
      fail_if_body_matches_regexp: [\"(\"]
      colour: red
targets:
  - {name: a, target: \"http://x/\", module: http}
  - {name: a, target: \"http://y/\", module: nowhere}
";
    for mode in ["--config.check", "--once"] {
        let finished = Setup::new(text).arg(mode).run_to_end();
        assert_eq!(finished.code(), 2, "{finished:?}");
        let said = format!("{}{}", finished.stdout, finished.stderr);
        for part in ["valid_status_codes", "fail_if_body_matches_regexp", "colour", "nowhere", "timeout"] {
            assert!(said.contains(part), "{mode}: {part}: {said}");
        }
        let problem = said.lines().find(|line| line.contains("colour")).unwrap();
        assert!(problem.contains("10"), "the line is in it: {problem}");
        assert!(problem.contains("modules.http.http.colour"), "the path is in it: {problem}");
    }
    let missing = Setup::new(text).arg("--config.file=nowhere.yaml");
    // Given twice, a flag is refused; that too is usage.
    assert_eq!(missing.run_to_end().code(), 2);
    assert_eq!(Setup::new(text).arg("--nonsense").run_to_end().code(), 2);
}

#[test]
fn a_good_config_is_checked_without_probing() {
    let peer = http().start();
    let finished = Setup::new(&config(&[("shop", peer.url())])).arg("--config.check").run_to_end();
    assert_eq!(finished.code(), 0, "{finished:?}");
    let said = format!("{}{}", finished.stdout, finished.stderr);
    assert!(said.contains("1 target"), "{said}");
    assert!(peer.requests().is_empty());
}
