//! `uptime_exporter convert`, held against what a real Prometheus makes of the very same files.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::exporter::Exporter;
use crate::support::peer::http;
use crate::support::process::{Finished, Process};
use crate::support::prometheus::{PACKAGE, Prometheus};
use crate::support::{has_tool, poll};

const PROMETHEUS: &str = r#"
global:
  scrape_interval: 30s
  external_labels: {cluster: eu}
scrape_configs:
  - job_name: prometheus
    static_configs: [{targets: ["127.0.0.1:9"]}]
  - job_name: snmp
    metrics_path: /snmp
    params: {module: [if_mib]}
    static_configs: [{targets: [192.0.2.1]}]
    relabel_configs:
      - {source_labels: [__address__], target_label: __param_target}
      - {target_label: __address__, replacement: "127.0.0.1:9"}
  - job_name: web
    metrics_path: /probe
    params: {module: [http_2xx]}
    static_configs:
      - targets: ["https://shop.example.com/health?a=b&c=d", "https://www.example.com/"]
        labels: {team: web}
      - targets: ["https://intern.example.com/"]
        labels: {__param_hostname: intern.example.org, __param_module: smtp, __metrics_path__: /probe}
    file_sd_configs:
      - files: ["targets/*.json", targets/more.yml]
    relabel_configs: &blackbox
      - {source_labels: [__address__], target_label: __param_target}
      - {source_labels: [__param_target], target_label: instance}
      - {source_labels: [__meta_filepath], regex: '.*/([a-z]+)\.(json|yml)', target_label: source}
      - {target_label: __address__, replacement: "127.0.0.1:9"}
  - job_name: by-label
    metrics_path: /probe
    scrape_interval: 1m30s
    scrape_timeout: 20s
    static_configs:
      - targets: ["db.example.com:5432", "mail.example.com:25"]
        labels: {__module: tcp_connect, env: prod}
      - targets: ["gone.example.com:1"]
        labels: {__module: tcp_connect, env: test}
      - targets: [Router.example.com]
        labels: {__module: icmp, job: routers}
      - targets: ["https://www.example.com/"]
        labels: {__module: http_post, __tmp_x: y}
    relabel_configs:
      - {source_labels: [env], regex: test, action: drop}
      - {source_labels: [__module], target_label: __param_module}
      - {source_labels: [__address__], action: lowercase, target_label: __param_target}
      - {source_labels: [__param_target], regex: '([^:/]+|https.*)(:\d+)?', target_label: instance}
      - {regex: '__(tmp_.*)', action: labelmap, replacement: 'kept_$1'}
      - {source_labels: [__scrape_interval__], target_label: every}
      - {target_label: __address__, replacement: "127.0.0.1:9"}
  - job_name: sharded
    metrics_path: /probe
    scrape_interval: 2s
    static_configs: [{targets: [a, b, c, d, e, f, g, h]}]
    relabel_configs:
      - {source_labels: [__address__], modulus: 3, target_label: __tmp_hash, action: hashmod}
      - {source_labels: [__tmp_hash], regex: 1, action: keep}
      - {source_labels: [__address__], target_label: __param_target, replacement: 'http://${1}.example.com/'}
      - {source_labels: [__param_target], target_label: instance}
      - {target_label: __address__, replacement: "127.0.0.1:9"}
"#;

const BLACKBOX: &str = r#"# Modules of the team.
modules:
  http_2xx: # the usual one
    prober: http
    timeout: 5s
    http:
      headers: {X-Probe: "1.10"}
      preferred_ip_protocol: ip4
  http_post: {prober: http, timeout: 30s, http: {method: POST, basic_auth: {username: me, password: hunter2}}}
  tcp_connect: {prober: tcp}
  icmp: {prober: icmp}
  smtp:
    prober: tcp
    tcp:
      query_response:
        - expect: "^220 (.*)$"
        - send: "HELO ${1}"
"#;

const FILES: &[(&str, &str)] = &[
    (
        "targets/pages.json",
        r#"[{"targets": ["https://a.example.com/", "https://b.example.com/"],
             "labels": {"team": "a", "__scrape_interval__": "10s", "__scrape_timeout__": "5s"}}]"#,
    ),
    ("targets/more.yml", "- targets: ['https://c.example.com/']\n  labels: {path: 'a \"b\", #c'}\n- targets: []\n"),
];

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::Builder::new().prefix("convert.").tempdir().unwrap();
    files.iter().for_each(|(name, text)| write(dir.path(), name, text));
    dir
}

fn run(folder: &Path, args: &[&str]) -> Finished {
    let mut command = Command::new(env!("CARGO_BIN_EXE_uptime_exporter"));
    command.current_dir(folder).args(args);
    Process::spawn(&mut command).finish()
}

/// What decides about one probe: target, module, interval, timeout and every label.
type Probes = BTreeMap<(String, String), BTreeMap<String, String>>;

/// Once there are so many: Prometheus finds them job by job.
fn probes_of_prometheus(prometheus: &Prometheus, count: usize) -> Probes {
    let data = poll("every target is there", || {
        let data = prometheus.api("/api/v1/targets?state=active")?;
        let is_probe = |target: &&Value| target["scrapeUrl"].as_str().is_some_and(|url| url.contains("/probe?"));
        let found = data["activeTargets"].as_array().map_or(0, |targets| targets.iter().filter(is_probe).count());
        if found >= count { Ok(data) } else { Err(data.to_string()) }
    });
    let mut probes = Probes::new();
    for target in data["activeTargets"].as_array().unwrap() {
        let url = url::Url::parse(target["scrapeUrl"].as_str().unwrap()).unwrap();
        if url.path() != "/probe" {
            continue;
        }
        let parameter = |name: &str| url.query_pairs().find(|(n, _)| n == name).map(|(_, value)| value.into_owned());
        let mut facts = strings(&target["labels"]);
        facts.insert("interval".to_owned(), seconds(target["scrapeInterval"].as_str().unwrap()));
        facts.insert("scrape timeout".to_owned(), seconds(target["scrapeTimeout"].as_str().unwrap()));
        facts.insert("hostname".to_owned(), parameter("hostname").unwrap_or_default());
        let module = parameter("module").unwrap_or("http_2xx".to_owned());
        assert!(probes.insert((parameter("target").unwrap(), module), facts).is_none());
    }
    probes
}

fn strings(object: &Value) -> BTreeMap<String, String> {
    object.as_object().unwrap().iter().map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect()
}

fn seconds(text: &str) -> String {
    let text = text.replace("1m30s", "90s");
    let number = |unit: &str| text.strip_suffix(unit).and_then(|number| number.parse::<f64>().ok());
    (number("ms").map(|ms| ms / 1e3).or_else(|| number("s")).or_else(|| number("m").map(|m| m * 60.0)))
        .unwrap_or_else(|| panic!("{text}"))
        .to_string()
}

#[test]
fn the_config_probes_what_prometheus_asked_for() {
    if !has_tool("prometheus", PACKAGE, "a real Prometheus") {
        return;
    }
    let mut files = vec![("prometheus.yml", PROMETHEUS), ("blackbox.yml", BLACKBOX)];
    files.extend(FILES);
    let dir = folder(&files);
    let finished =
        run(dir.path(), &["convert", "--prometheus=prometheus.yml", "--blackbox=blackbox.yml", "--output=config.yaml"]);
    assert_eq!(finished.code(), 1, "{finished:?}");
    let notes: Vec<&str> = finished.stderr.lines().collect();
    assert_eq!(notes.len(), 3, "{}", finished.stderr);
    assert!(
        notes[1].contains("job web: the 3 targets of targets/*.json and targets/more.yml are carried over as they are")
    );
    assert_eq!(
        notes[2],
        "12 targets of 3 jobs, 5 modules. 7 targets dropped by relabelling, as in Prometheus. 2 jobs are not about \
         probes; they stay in Prometheus."
    );

    let config = std::fs::read_to_string(dir.path().join("config.yaml")).unwrap();
    assert!(config.contains(BLACKBOX), "the modules stand there as they were, comments and all:\n{config}");
    assert!(
        config.contains("# This scrape job of Prometheus takes the place of web, by-label and sharded:"),
        "{config}"
    );
    let checked = run(dir.path(), &["--config.check", "--config.file=config.yaml"]);
    assert_eq!(checked.code(), 0, "{checked:?}");
    assert!(checked.stdout.contains("12 targets"), "{checked:?}");

    // What our loader makes of it: the timeout of each is that of blackbox_exporter.
    let mut ours = Probes::new();
    for target in uptime_exporter::config::load(&dir.path().join("config.yaml")).unwrap().targets {
        let mut facts: BTreeMap<String, String> =
            target.labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        // The scrape job makes it so.
        facts.entry("instance".to_owned()).or_insert_with(|| target.name.to_string());
        facts.insert("interval".to_owned(), target.cadence.interval().as_secs_f64().to_string());
        facts.insert("timeout".to_owned(), target.cadence.timeout().as_secs_f64().to_string());
        ours.insert((target.address.clone(), target.module.clone()), facts);
    }

    let prometheus = Prometheus::in_folder(dir);
    let mut theirs = probes_of_prometheus(&prometheus, ours.len());
    for ((target, module), facts) in &mut theirs {
        let scrape: f64 = facts.remove("scrape timeout").unwrap().parse().unwrap();
        let of_module = match module.as_str() {
            "http_2xx" => 5.0,
            "http_post" => 30.0,
            _ => f64::INFINITY,
        };
        facts.insert("timeout".to_owned(), (scrape - 0.5_f64).min(of_module).to_string());
        let hostname = facts.remove("hostname").unwrap();
        assert_eq!(hostname, if target.contains("intern") { "intern.example.org" } else { "" });
    }
    assert_eq!(theirs.len(), 12);
    assert_eq!(ours, theirs);
    assert!(config.contains("http: {headers: {Host: intern.example.org, X-Probe: \"1.10\"}}"), "{config}");
}

/// The scrape config that stands in the comment, without the comment's sign.
fn scrape_job(config: &str) -> String {
    let from = config.find("# scrape_configs:").unwrap();
    let lines = config[from..].lines().take_while(|line| line.starts_with("# "));
    lines.map(|line| format!("{}\n", &line[2..])).collect()
}

#[test]
fn rules_that_go_by_job_and_instance_find_their_series() {
    if !has_tool("prometheus", PACKAGE, "a real Prometheus") {
        return;
    }
    let peer = http().start();
    let address = peer.address().to_string();
    let prometheus = format!(
        "global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: pages
    metrics_path: /probe
    params: {{module: [http_2xx]}}
    static_configs: [{{targets: ['{address}', '{}'], labels: {{team: web, phase: beta}}}}]
    relabel_configs: &blackbox
      - {{source_labels: [__address__], target_label: __param_target}}
      - {{source_labels: [__param_module], target_label: module}}
      - {{source_labels: [__param_target], target_label: instance}}
      - {{target_label: __address__, replacement: '127.0.0.1:9115'}}
  - job_name: ports
    metrics_path: /probe
    params: {{module: [tcp_connect]}}
    static_configs: [{{targets: ['{address}']}}]
    relabel_configs: *blackbox
",
        peer.url()
    );
    let blackbox = "modules:
  http_2xx: {prober: http, http: {preferred_ip_protocol: ip4}}
  tcp_connect: {prober: tcp}
";
    let dir = folder(&[("prometheus.yml", &prometheus), ("blackbox.yml", blackbox)]);
    let finished = run(dir.path(), &["convert", "--prometheus=prometheus.yml", "--blackbox=blackbox.yml"]);
    assert_eq!(finished.code(), 1, "{finished:?}");
    assert!(finished.stderr.contains("series with a label phase of their own keep it"), "{finished:?}");
    assert_eq!(finished.stderr.lines().count(), 3, "nothing else: {finished:?}");
    let exporter = Exporter::start(&finished.stdout);
    let scrape = scrape_job(&finished.stdout);
    let at = exporter.address.to_string();
    assert_eq!(scrape.matches("localhost:9815").count(), 2, "{scrape}");
    let config = format!("global: {{scrape_interval: 1s}}\n{}", scrape.replace("localhost:9815", &at));
    let prometheus = Prometheus::start(&config, &[]);
    let series = prometheus.wait_until("probe_success == 1", |series| series.len() == 3);
    let mut seen: Vec<_> =
        series.iter().map(|one| (one.label("job"), one.label("instance"), one.label("target"))).collect();
    seen.sort_unstable();
    let (page, port, url) = (format!("{address} (http_2xx)"), format!("{address} (tcp_connect)"), peer.url());
    assert_eq!(
        seen,
        [("pages", &*address, &*page), ("pages", &*url, &*url), ("ports", &*address, &*port)],
        "two have the instance, so they have another name"
    );
    for (query, count) in [
        ("probe_success{module=\"http_2xx\", phase=\"beta\"} == 1", 2),
        ("probe_success{module=\"tcp_connect\"} == 1", 1),
        ("probe_http_status_code{module=\"http_2xx\", exported_module=\"\"} == 200", 2),
        ("probe_http_duration_seconds{module=\"http_2xx\", phase=\"connect\"}", 2),
        ("probe_target_info{module=\"http_2xx\", phase=\"beta\"}", 2),
        ("probe_success * on (instance, module) group_left (team) probe_target_info{team=\"web\"}", 2),
    ] {
        assert_eq!(prometheus.query(query).unwrap().len(), count, "{query}");
    }
    // By another job, at another time.
    let own = prometheus.wait_until("uptime_exporter_build_info", |series| series.len() == 1);
    assert_eq!((own[0].label("job"), own[0].label("instance")), ("uptime", &*at));
}

#[test]
fn exit_codes_and_files_are_as_promised() {
    let prometheus = "scrape_configs:
  - job_name: web
    metrics_path: /probe
    static_configs: [{targets: ['https://shop.example.com/']}]
    relabel_configs:
      - {source_labels: [__address__], target_label: __param_target}
      - {source_labels: [__param_target], target_label: instance}
      - {target_label: __address__, replacement: localhost:9115}
";
    let blackbox = "modules: {http_2xx: {prober: http, http: {basic_auth: {username: me, password: hunter2}}}}\n";
    let files = [
        ("prometheus.yml", prometheus),
        ("blackbox.yml", blackbox),
        ("node.yml", "scrape_configs: [{job_name: node, static_configs: [{targets: ['localhost:9100']}]}]\n"),
        ("bad.yml", "scrape_configs: [{job_name: [x]}]\n"),
    ];
    let dir = folder(&files);
    let convert = |args: &[&str]| run(dir.path(), &[&["convert"], args].concat());

    let all = ["--prometheus=prometheus.yml", "--blackbox=blackbox.yml", "--output=config.yaml"];
    for attempt in ["it is new", "it is there and the same"] {
        let finished = convert(&all);
        assert_eq!(
            (finished.code(), &*finished.stderr),
            (0, "1 target of 1 job, 1 module.\n"),
            "{attempt}: {finished:?}"
        );
        assert_eq!(finished.stdout, "");
    }
    std::fs::write(dir.path().join("config.yaml"), "targets: []\n").unwrap();
    let finished = convert(&all);
    assert_eq!(finished.code(), 1);
    assert!(finished.stderr.starts_with("config.yaml is there already, with other content"), "{finished:?}");
    assert_eq!(std::fs::read_to_string(dir.path().join("config.yaml")).unwrap(), "targets: []\n");
    let finished = convert(&["--prometheus=prometheus.yml", "--blackbox=blackbox.yml", "--output=none/config.yaml"]);
    assert_eq!(finished.code(), 1, "{finished:?}");
    assert_eq!(finished.stderr, "cannot write none/config.yaml: No such file or directory (os error 2)\n");

    for (args, message) in [
        (&["--prometheus=node.yml"][..], "node.yml: no job probes by blackbox_exporter"),
        (&["--prometheus=none.yml"], "none.yml: cannot be opened: no such file or directory"),
        (&["--prometheus=bad.yml"], "bad.yml:1: scrape_configs[0].job_name: expected a string, found a list"),
        (&["--prometheus=prometheus.yml", "--blackbox=none.yml"], "none.yml: cannot be opened"),
        (
            &["--prometheus=prometheus.yml", "--exporter=other:9115"],
            "--exporter other:9115: no job asks it; asked are localhost:9115 (1 target)",
        ),
        (&["--blackbox=blackbox.yml"], "error: the following required arguments were not provided"),
    ] {
        let finished = convert(args);
        assert_eq!(finished.code(), 2, "{finished:?}");
        assert!(finished.stderr.starts_with(message), "{finished:?}");
        assert_eq!(finished.stdout, "", "{finished:?}");
    }
}
