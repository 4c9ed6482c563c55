//! The config as a user meets it: the example, every key, values from the environment and from files.

use crate::support::exporter::{Exporter, Setup};
use crate::support::peer::http;
use crate::support::pki::Authority;

fn repository(file: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_example_is_good_and_shows_a_success_and_a_failure_without_a_network() {
    let text = repository("config.example.yaml");
    let check = Setup::new(&text).arg("--config.check").run_to_end();
    assert_eq!(check.code(), 0, "{check:?}");
    // It probes the exporter itself, by the default port: here that is another one, which is known once it listens.
    let exporter = Exporter::start("targets: []\n");
    exporter.write("config.yaml", &text.replace(":9815", &format!(":{}", exporter.address.port())));
    let answer = exporter.post("/-/reload");
    assert_eq!(answer.status, 200, "{}", answer.text());
    let page = exporter.wait_until("a target is up and another is down", |page| {
        let verdicts: Vec<f64> = page.metric("probe_up").all().iter().map(|sample| sample.value).collect();
        verdicts.contains(&1.0) && verdicts.contains(&0.0)
    });
    assert!(!page.metric("probe_failure_info").all().is_empty());
}

/// Every key there is, once. What contradicts another stands in a module of its own.
const EVERY_KEY: &str = r#"
global:
  interval: 1m30s
  timeout: 5s
  labels: {region: eu-west}
  confirm: {failures: 2, retry_interval: 500ms}
  dns_servers: ["127.0.0.1:53"]
  latency_buckets: [0.1, 0.5, 1]
  evidence_body: false
  target_files_refresh_interval: 1m
modules:
  http_all:
    prober: http
    timeout: 4s
    http:
      valid_status_codes: [200, 204]
      valid_http_versions: ["HTTP/1.1", "HTTP/2.0"]
      method: POST
      headers: {Host: shop.test, X-One: "1"}
      http_headers: {X-Two: {values: [a], secrets: [b], files: [secret.txt]}}
      body: hello
      body_size_limit: 1MB
      compression: gzip
      follow_redirects: true
      fail_if_ssl: false
      fail_if_not_ssl: true
      fail_if_body_matches_regexp: ["fatal"]
      fail_if_body_not_matches_regexp: ["ok"]
      fail_if_body_json_matches_cel: "body.a == 1"
      fail_if_body_json_not_matches_cel: "body.b == 2"
      fail_if_header_matches: [{header: X-Bad, regexp: "^1$", allow_missing: true}]
      fail_if_header_not_matches: [{header: X-Good, regexp: "^1$", allow_missing: false}]
      preferred_ip_protocol: ip4
      ip_protocol_fallback: false
      skip_resolve_phase_with_proxy: true
      enable_http2: true
      basic_auth: {username: ann, password: secret}
      proxy_url: http://127.0.0.1:3128
      no_proxy: "10.0.0.0/8,.test"
      proxy_connect_header: {X-Proxy: [a]}
      tls_config:
        insecure_skip_verify: false
        ca_file: ca.pem
        crl_file: crl.pem
        server_name: shop.test
        min_version: TLS12
        max_version: TLS13
  http_files:
    prober: http
    http:
      body_file: secret.txt
      basic_auth: {username_file: secret.txt, password_file: secret.txt}
      proxy_from_environment: true
  http_authorization: {prober: http, http: {authorization: {type: Bearer, credentials: secret}}}
  http_authorization_file: {prober: http, http: {authorization: {credentials_file: secret.txt}}}
  http_bearer: {prober: http, http: {bearer_token: secret}}
  http_bearer_file: {prober: http, http: {bearer_token_file: secret.txt}}
  http_oauth2:
    prober: http
    http:
      oauth2:
        client_id: id
        client_secret: secret
        scopes: [a, b]
        token_url: https://127.0.0.1:1/token
        endpoint_params: {audience: shop}
        tls_config: {insecure_skip_verify: true}
        proxy_url: http://127.0.0.1:3128
        no_proxy: localhost
  http_oauth2_file: {prober: http, http: {oauth2: {client_id: id, client_secret_file: secret.txt, token_url: "http://127.0.0.1:1/"}}}
  tcp_all:
    prober: tcp
    tcp:
      preferred_ip_protocol: ip6
      ip_protocol_fallback: true
      source_ip_address: 127.0.0.1
      tls: false
      tls_config: {server_name: mail.test}
      query_response:
        - {expect: "^220 (.*)$", labels: [{name: banner, value: "${1}"}]}
        - {send: "EHLO prober\r"}
        - {expect: "^250[- ]STARTTLS"}
        - {send: "STARTTLS\r"}
        - {expect: "^220"}
        - {starttls: true}
        - {expect_bytes: "250 "}
targets:
  - name: all
    target: https://127.0.0.1:1/health
    module: http_all
    interval: 30s
    timeout: 3s
    labels: {team: web}
    confirm: {failures: 3, retry_interval: 1s}
    dns_servers: ["127.0.0.1:5353"]
    latency_buckets: [0.2]
    evidence_body: true
    http: {method: GET, body: ""}
  - {name: mail, target: "127.0.0.1:1", module: tcp_all, tcp: {preferred_ip_protocol: ip4}}
  - {name: files, target: "http://127.0.0.1:1/", module: http_files}
  - {name: authorization, target: "http://127.0.0.1:1/", module: http_authorization}
  - {name: authorization_file, target: "http://127.0.0.1:1/", module: http_authorization_file}
  - {name: bearer, target: "http://127.0.0.1:1/", module: http_bearer}
  - {name: bearer_file, target: "http://127.0.0.1:1/", module: http_bearer_file}
  - {name: oauth2, target: "http://127.0.0.1:1/", module: http_oauth2}
  - {name: oauth2_file, target: "http://127.0.0.1:1/", module: http_oauth2_file}
target_files: ["targets/*.yaml", "sd/*.json"]
"#;

fn every_key() -> Setup {
    let authority = Authority::new("Test Root");
    Setup::new(EVERY_KEY)
        .file("secret.txt", "from a file\n")
        .file("ca.pem", authority.pem())
        .file("crl.pem", authority.revoke(1))
}

#[test]
fn every_key_is_understood() {
    let finished = every_key().arg("--config.check").run_to_end();
    assert_eq!(finished.code(), 0, "{}{}", finished.stdout, finished.stderr);
}

#[test]
fn unknown_keys_are_refused_at_every_level() {
    for (near, path) in [
        ("global:\n", "global.nonsense"),
        ("modules:\n", "modules.nonsense"),
        ("  http_all:\n", "modules.http_all.nonsense"),
        ("    http:\n      valid_status_codes", "modules.http_all.http.nonsense"),
        ("      tls_config:\n        insecure", "modules.http_all.http.tls_config.nonsense"),
        ("      oauth2:\n", "modules.http_oauth2.http.oauth2.nonsense"),
        ("    tcp:\n", "modules.tcp_all.tcp.nonsense"),
        ("target_files:", "nonsense"),
    ] {
        let at = EVERY_KEY.find(near).unwrap();
        // Before the first key of that level, indented as it is.
        let (at, indent) = match near.find('\n') {
            Some(end) => {
                let line = &EVERY_KEY[at + end + 1..];
                (at + end + 1, line.len() - line.trim_start().len())
            }
            None => (at, 0),
        };
        let mut text = EVERY_KEY.to_owned();
        text.insert_str(at, &format!("{}nonsense: 1\n", " ".repeat(indent)));
        let setup = Setup::new(&text).file("secret.txt", "x").file("ca.pem", Authority::new("A").pem());
        let finished = setup.arg("--config.check").run_to_end();
        assert_eq!(finished.code(), 2, "{path}");
        let said = format!("{}{}", finished.stdout, finished.stderr);
        assert!(said.contains(path), "{path}: {said}");
    }
}

#[test]
fn values_come_from_the_environment() {
    let peer = http().start();
    let text = "global: {interval: 1s, timeout: 1s, labels: {region: \"${REGION:-nowhere}\", price: \"$$5\"}}
modules: {http: {prober: http, http: {preferred_ip_protocol: ip4}}}
targets: [{name: a, target: \"http://${ADDRESS}/\", module: http}]
";
    let exporter = Setup::new(text).env("ADDRESS", &peer.address().to_string()).env("REGION", "eu-west").start();
    let page = exporter.wait_until("the first run is over", |page| page.metric("probe_up").target("a").is(1.0));
    page.metric("probe_up").label("region", "eu-west").label("price", "$5").value(1.0);

    let finished = Setup::new(text).arg("--config.check").run_to_end();
    assert_eq!(finished.code(), 2, "unset without a default is an error");
    assert!(format!("{}{}", finished.stdout, finished.stderr).contains("ADDRESS"));
}

#[test]
fn a_file_of_modules_written_for_the_incumbent_is_taken_as_it_is() {
    // Upstream's own example, in its words, for the probers that are built.
    let text = r#"
modules:
  http_2xx:
    prober: http
    http:
      preferred_ip_protocol: "ip4"
  http_post_2xx:
    prober: http
    http:
      method: POST
  tcp_connect:
    prober: tcp
  pop3s_banner:
    prober: tcp
    tcp:
      query_response:
      - expect: "^+OK"
      tls: true
      tls_config:
        insecure_skip_verify: false
  ssh_banner:
    prober: tcp
    tcp:
      query_response:
      - expect: "^SSH-2.0-"
      - send: "SSH-2.0-blackbox-ssh-check"
  irc_banner:
    prober: tcp
    tcp:
      query_response:
      - send: "NICK prober"
      - send: "USER prober prober prober :prober"
      - expect: "PING :([^ ]+)"
        send: "PONG ${1}"
      - expect: "^:[^ ]+ 001"
"#;
    let peer = http().start();
    let exporter = Exporter::start(&format!(
        "{text}global: {{interval: 1s, timeout: 1s}}\ntargets: [{{name: a, target: \"{}\", module: http_2xx}}]\n",
        peer.url()
    ));
    exporter.wait_until("it probes", |page| page.metric("probe_success").target("a").is(1.0));
}

#[test]
fn hostile_files_are_refused_with_a_sentence() {
    let bomb = {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for n in 1..12 {
            let alias = format!("*a{}", n - 1);
            text.push_str(&format!("a{n}: &a{n} [{}]\n", vec![alias; 9].join(", ")));
        }
        text
    };
    for (what, bytes) in [
        ("an alias bomb", bomb.into_bytes()),
        ("deep nesting", format!("targets: {}", "[".repeat(10_000)).into_bytes()),
        ("not UTF-8", b"targets: [\"\xff\xfe\"]\n".to_vec()),
        ("tabs", b"global:\n\tinterval: 5s\n".to_vec()),
        ("a duplicate key", b"targets: []\ntargets: []\n".to_vec()),
        ("50 MB", vec![b' '; 50 << 20]),
        ("a list", b"- 1\n".to_vec()),
        ("a NUL", b"global: {labels: {a: \"\0\"}}\n".to_vec()),
    ] {
        let finished = Setup::new("").file("config.yaml", &bytes).arg("--config.check").run_to_end();
        assert_eq!(finished.code(), 2, "{what}: {finished:?}");
        let said = finished.stderr.len() + finished.stdout.len();
        assert!((10..4000).contains(&said), "{what}: {said} bytes of explanation");
        assert!(!finished.stderr.contains("panicked"), "{what}: {}", finished.stderr);
    }
}
