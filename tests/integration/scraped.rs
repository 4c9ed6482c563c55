//! What Prometheus has of us in place of blackbox_exporter: an unedited blackbox.yml with modules of every prober and the
//! classic scrape job, and then the same targets on schedule. Each family is there, with the type and the labels that
//! dashboards and rules know.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use crate::support::exporter::Setup;
use crate::support::peer::grpc::Health;
use crate::support::peer::{dns, http, tcp, unix, websocket};
use crate::support::pki::Authority;
use crate::support::process::Process;
use crate::support::prometheus::{PACKAGE, Prometheus};
use crate::support::{has_tool, poll};

use super::prometheus::readme_yaml;

const BLACKBOX: &str = include_str!("../fixtures/blackbox.yml");

const ANY: &[&str] = &["probe_duration_seconds", "probe_success", "probe_timeout_seconds"];
const ADDRESS: &[&str] = &["probe_dns_lookup_time_seconds", "probe_ip_addr_hash", "probe_ip_protocol"];
const TLS: &[&str] = &[
    "probe_ssl_earliest_cert_expiry",
    "probe_ssl_last_chain_expiry_timestamp_seconds",
    "probe_ssl_last_chain_info{fingerprint_sha256,issuer,serialnumber,subject,subjectalternative}",
    "probe_tls_version_info{version}",
];
const HTTP: &[&str] = &[
    "probe_failed_due_to_regex",
    "probe_http_content_length",
    "probe_http_duration_seconds{phase}",
    "probe_http_last_modified_timestamp_seconds",
    "probe_http_redirects",
    "probe_http_ssl",
    "probe_http_status_code",
    "probe_http_uncompressed_body_length",
    "probe_http_version",
];
const TCP: &[&str] = &["probe_failed_due_to_bytes", "probe_failed_due_to_regex"];
const DNS: &[&str] = &[
    "probe_dns_additional_rrs",
    "probe_dns_answer_rrs",
    "probe_dns_authority_rrs",
    "probe_dns_duration_seconds{phase}",
    "probe_dns_query_succeeded",
];
const ICMP: &[&str] = &["probe_icmp_duration_seconds{phase}", "probe_icmp_reply_hop_limit"];
const GRPC: &[&str] = &[
    "probe_grpc_duration_seconds{phase}",
    "probe_grpc_healthcheck_response{serving_status}",
    "probe_grpc_ssl",
    "probe_grpc_status_code",
];
const WEBSOCKET: &[&str] = &[
    "probe_websocket_connection_upgraded",
    "probe_websocket_duration_seconds{phase}",
    "probe_websocket_failed_due_to_regex",
    "probe_websocket_status_code",
];

/// Of each module what blackbox_exporter shows after a run that succeeded: families with the labels that they add, all of
/// them gauges. From its code; for the probers of Debian's release, `dropin` holds us against the program itself.
const SHOWN: &[(&str, &[&[&str]])] = &[
    ("http_2xx", &[ANY, ADDRESS, HTTP]),
    ("https_internal", &[ANY, ADDRESS, HTTP, TLS, &["probe_tls_cipher_info{cipher}"]]),
    ("tcp_connect", &[ANY, ADDRESS, TCP]),
    ("ssh_banner", &[ANY, ADDRESS, TCP, &["probe_expect_info{ssh_version}"]]),
    ("tls_connect", &[ANY, ADDRESS, TCP, TLS]),
    ("dns_a", &[ANY, ADDRESS, DNS]),
    ("icmp", &[ANY, ADDRESS, ICMP]),
    ("grpc_plain", &[ANY, ADDRESS, GRPC]),
    (
        "grpc_tls",
        &[
            ANY,
            ADDRESS,
            GRPC,
            &[
                "probe_ssl_earliest_cert_expiry",
                "probe_ssl_last_chain_info{fingerprint_sha256,issuer,serialnumber,subject,subjectalternative}",
                "probe_tls_version_info{version}",
            ],
        ],
    ),
    ("unix_ping", &[ANY, TCP]),
    ("websocket_echo", &[ANY, ADDRESS, WEBSOCKET]),
];

/// A target for each module.
struct Peers {
    targets: BTreeMap<&'static str, String>,
    _peers: Vec<Box<dyn std::any::Any>>,
}

impl Peers {
    fn start(authority: &Authority) -> Self {
        let answer = || http().header("Last-Modified", "Tue, 15 Nov 1994 12:45:26 GMT").body("ok");
        let (plain, secure) = (answer().start(), answer().start_tls(authority.server()));
        let ssh = tcp().greets("SSH-2.0-OpenSSH_9.9\r\n").start();
        let names = dns().address("example.com", "192.0.2.1").start();
        let (health, health_tls) = (Health::Serving.start(), Health::Serving.start_tls(&authority.server()));
        let (socket, echo) = (unix("+PONG\n"), websocket());
        let targets = BTreeMap::from([
            ("http_2xx", plain.url()),
            ("https_internal", secure.url()),
            ("tcp_connect", plain.address().to_string()),
            ("ssh_banner", ssh.address.to_string()),
            ("tls_connect", secure.address().to_string()),
            ("dns_a", names.address().to_string()),
            ("icmp", "127.0.0.1".to_owned()),
            ("grpc_plain", health.address.to_string()),
            ("grpc_tls", health_tls.address.to_string()),
            ("unix_ping", socket.path().display().to_string()),
            ("websocket_echo", format!("ws://{}/", echo.address)),
        ]);
        let peers: Vec<Box<dyn std::any::Any>> =
            vec![Box::new((plain, secure, ssh, names)), Box::new((health, health_tls)), Box::new((socket, echo))];
        Self { targets, _peers: peers }
    }

    /// A job for each module, as blackbox_exporter's README has it.
    fn scrape_config(&self, exporter: &str) -> String {
        let mut config =
            "global: {scrape_interval: 3s, scrape_timeout: 3s, evaluation_interval: 1s}\nscrape_configs:\n".to_owned();
        for (module, target) in &self.targets {
            config.push_str(&format!(
                "  - job_name: {module}
    metrics_path: /probe
    params:
      module: [{module}]
    static_configs:
      - targets:
          - {target}
    relabel_configs:
      - source_labels: [__address__]
        target_label: __param_target
      - source_labels: [__param_target]
        target_label: instance
      - target_label: __address__
        replacement: {exporter}
"
            ));
        }
        config
    }
}

/// `family{label,label}` of a target in Prometheus; `common` are the labels that all of its series have.
fn shown(prometheus: &Prometheus, instance: &str, job: &str, common: &[&str]) -> BTreeSet<String> {
    let query = format!("{{__name__=~\"probe_.+\", job=\"{job}\", instance=\"{instance}\"}}");
    let series = prometheus.query(&query).unwrap();
    let name = |series: &crate::support::prometheus::Series| {
        let labels = series.labels.as_object().unwrap().keys().map(String::as_str);
        let added: Vec<&str> = labels.filter(|name| *name != "__name__" && !common.contains(name)).collect();
        let family = series.label("__name__");
        if added.is_empty() { family.to_owned() } else { format!("{family}{{{}}}", added.join(",")) }
    };
    series.iter().map(name).collect()
}

fn expected(families: &[&[&str]]) -> BTreeSet<String> {
    families.iter().flat_map(|families| families.iter()).map(|family| (*family).to_owned()).collect()
}

/// What Prometheus noted as the type of each family of a job.
fn types(prometheus: &Prometheus, job: &str) -> BTreeMap<String, String> {
    let target: String = url::form_urlencoded::byte_serialize(format!("{{job=\"{job}\"}}").as_bytes()).collect();
    let data = prometheus.api(&format!("/api/v1/targets/metadata?match_target={target}")).unwrap();
    let text = |entry: &serde_json::Value, name: &str| entry[name].as_str().unwrap_or_default().to_owned();
    data.as_array().unwrap().iter().map(|entry| (text(entry, "metric"), text(entry, "type"))).collect()
}

fn assert_types(types: &BTreeMap<String, String>, families: &BTreeSet<String>, module: &str) {
    for family in families {
        let name = family.split('{').next().unwrap();
        assert_eq!(types.get(name).map(String::as_str), Some("gauge"), "{module}: {name}");
    }
}

#[test]
fn prometheus_has_each_family_of_every_prober_by_request_and_on_schedule() {
    if !has_tool("prometheus", PACKAGE, "a real Prometheus") {
        return;
    }
    let authority = Authority::new("Scraped");
    let peers = Peers::start(&authority);
    assert_eq!(peers.targets.len(), SHOWN.len());

    // By request: the file as it is, and nothing else.
    let exporter = Setup::new(BLACKBOX).file("ca.pem", authority.pem()).start();
    let address = exporter.address.to_string();
    let scrape_config = peers.scrape_config(&address);
    let prometheus = Prometheus::start(&scrape_config, &[]);
    prometheus.wait_until("probe_success == 1", |series| series.len() == SHOWN.len());
    for (module, families) in SHOWN {
        let families = expected(families);
        let found = shown(&prometheus, &peers.targets[module], module, &["instance", "job"]);
        let missing: Vec<_> = families.difference(&found).collect();
        assert!(missing.is_empty(), "{module} lacks {missing:?}; it has {found:?}");
        assert_types(&types(&prometheus, module), &families, module);
    }
    drop((prometheus, exporter));

    // On schedule: what `convert` makes of the same two files, scraped as the README says.
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("prometheus.yml"), &scrape_config).unwrap();
    std::fs::write(dir.path().join("blackbox.yml"), BLACKBOX).unwrap();
    std::fs::write(dir.path().join("ca.pem"), authority.pem()).unwrap();
    let mut convert = Command::new(env!("CARGO_BIN_EXE_uptime_exporter"));
    convert.current_dir(dir.path());
    convert.args(["convert", "--prometheus=prometheus.yml", "--blackbox=blackbox.yml", "--output=config.yaml"]);
    let converted = Process::spawn(&mut convert).finish();
    assert_eq!(converted.code(), 0, "{converted:?}");
    let config = std::fs::read_to_string(dir.path().join("config.yaml")).unwrap();

    let exporter = Setup::new(&config).file("ca.pem", authority.pem()).start();
    let job = readme_yaml("prometheus").replace("localhost:9815", &exporter.address.to_string());
    let global = "global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}\n";
    let prometheus = Prometheus::start(&format!("{global}{job}"), &[]);
    prometheus.wait_until("probe_success == 1", |series| series.len() == SHOWN.len());
    let types = poll("the types are known", || {
        let types = types(&prometheus, "uptime");
        if types.is_empty() { Err("none".to_owned()) } else { Ok(types) }
    });
    for (module, families) in SHOWN {
        let families = expected(families);
        let common = ["instance", "job", "target", "exporter", "module"];
        let found = shown(&prometheus, &peers.targets[module], module, &common);
        let missing: Vec<_> = families.difference(&found).collect();
        assert!(missing.is_empty(), "{module} on schedule lacks {missing:?}; it has {found:?}");
        assert!(found.contains("probe_up"), "{module}: and what only we have");
        assert_types(&types, &families, module);
    }
}
