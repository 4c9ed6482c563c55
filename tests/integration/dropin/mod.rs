//! Side by side with blackbox_exporter: the same file of modules, the same peers, the same questions. Every family that it
//! shows is shown by ours with the same type, labels and, where it is no time, value; what is otherwise stands in one table
//! with its reason, which the migration page shows.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::exporter::Setup;
use crate::support::peer::dns::dns;
use crate::support::peer::grpc::Health;
use crate::support::peer::{End, http, tcp};
use crate::support::pki::Authority;
use crate::support::process::Process;
use crate::support::scrape::{Page, Sample};
use crate::support::{client, has_tool, poll};

const PROGRAM: &str = "prometheus-blackbox-exporter";

/// A difference on purpose: in which scenarios (a part of their names; empty is all), of which family, and why.
struct Difference {
    scenarios: &'static str,
    family: &'static str,
    reason: &'static str,
}

const DIFFERENCES: &[Difference] = &[
    Difference {
        scenarios: "refused certificate",
        family: "probe_ssl_",
        reason: "the certificate is shown also when it is refused: that is when it matters (#1119)",
    },
    Difference {
        scenarios: "redirect not followed",
        family: "probe_http_uncompressed_body_length",
        reason: "the body of a redirect that is not followed is read and judged; theirs is closed, so body rules always fail",
    },
    Difference {
        scenarios: "grpc",
        family: "probe_ssl_earliest_cert_expiry",
        reason: "absent without TLS, as with 0.28; 0.23 shows a zero",
    },
    Difference {
        scenarios: "tcp refused",
        family: "probe_failed_due_to_regex",
        reason: "absent before it is connected, as with 0.28; 0.23 shows a zero",
    },
    Difference {
        scenarios: "tcp no such name",
        family: "probe_failed_due_to_regex",
        reason: "absent before it is connected, as with 0.28; 0.23 shows a zero",
    },
];

/// Families that are ours, or of releases after the one of Debian.
const OURS: &[&str] = &[
    "probe_failure_info",
    "probe_timeout_seconds",
    "probe_tcp_duration_seconds",
    "probe_tls_cipher_info",
    "probe_tls_version_info",
    "probe_dns_rcode",
    "probe_dns_truncated",
    "probe_dns_query_succeeded",
    "probe_dns_serial",
    "probe_failed_due_to_cel",
    "probe_failed_due_to_bytes",
    "probe_expect_info",
    "probe_http_uncompressed_body_length",
    "probe_ssl_last_chain_info",
    "probe_icmp_packet_loss_ratio",
    "probe_icmp_packets_received",
    "probe_icmp_packets_sent",
    "probe_icmp_rtt_seconds",
    "probe_ssl_last_chain_expiry_timestamp_seconds",
];

/// Labels of theirs that every edition has.
const NEW_LABELS: &[&str] = &["subject", "issuer", "subjectalternative", "serialnumber"];

#[derive(Default)]
struct Scenarios {
    modules: BTreeMap<String, Value>,
    all: Vec<(String, String, String)>,
    peers: Vec<Box<dyn std::any::Any>>,
}

impl Scenarios {
    fn add(&mut self, name: &str, prober: &str, block: Value, target: impl ToString) {
        let module = format!("m{}", self.all.len());
        let mut block = block;
        if prober != "unix" && block.get("preferred_ip_protocol").is_none() {
            block["preferred_ip_protocol"] = json!("ip4");
        }
        let mut entry = json!({"prober": prober, "timeout": "2s"});
        entry[prober] = block;
        self.modules.insert(module.clone(), entry);
        self.all.push((name.to_owned(), module, target.to_string()));
    }

    fn keep(&mut self, peer: impl std::any::Any) {
        self.peers.push(Box::new(peer));
    }
}

fn over_http(s: &mut Scenarios, authority: &Authority) {
    let body = r#"{"ok": true, "text": "hello"}"#;
    let good =
        http().header("Last-Modified", "Tue, 15 Nov 1994 12:45:26 GMT").header("X-Version", "7").body(body).start();
    let url = good.url();
    let mut case = |name: &str, block: Value| s.add(name, "http", block, &url);
    case("http success", json!({}));
    case("http post", json!({"method": "POST", "body": "a=b"}));
    case("http valid status", json!({"valid_status_codes": [200, 404]}));
    case("http invalid status", json!({"valid_status_codes": [404]}));
    case("http valid version", json!({"valid_http_versions": ["HTTP/1.1"]}));
    case("http invalid version", json!({"valid_http_versions": ["HTTP/2.0"]}));
    case("http body matches", json!({"fail_if_body_matches_regexp": ["hello"]}));
    case("http body does not match", json!({"fail_if_body_not_matches_regexp": ["goodbye"]}));
    case("http body is as wanted", json!({"fail_if_body_not_matches_regexp": ["hello"]}));
    case("http header matches", json!({"fail_if_header_matches": [{"header": "X-Version", "regexp": "7"}]}));
    case("http header missing", json!({"fail_if_header_not_matches": [{"header": "X-None", "regexp": "7"}]}));
    case(
        "http header may be missing",
        json!({"fail_if_header_not_matches": [{"header": "X-None", "regexp": "7", "allow_missing": true}]}),
    );
    case("http ssl wanted", json!({"fail_if_not_ssl": true}));
    case("http ssl not wanted, and not there", json!({"fail_if_ssl": true}));
    case("http body too large", json!({"body_size_limit": "10B"}));
    case("http basic auth", json!({"basic_auth": {"username": "me", "password": "secret"}}));
    case("http headers", json!({"headers": {"Host": "shop.test", "X-A": "b"}}));
    s.keep(good);
    for status in [204, 301, 404, 500] {
        let peer = http().status(status).body("").start();
        s.add(&format!("http status {status}"), "http", json!({}), peer.url());
        s.keep(peer);
    }
    let end = http().start();
    let hop = http().status(302).header("Location", &end.url()).start();
    s.add("http redirect", "http", json!({}), hop.url());
    s.add("http redirect not followed", "http", json!({"follow_redirects": false}), hop.url());
    s.keep((end, hop));
    let chunked = http().chunked().body("in pieces").start();
    s.add("http chunked", "http", json!({}), chunked.url());
    s.keep(chunked);
    let refusing = tcp::refusing();
    s.add("http refused", "http", json!({}), format!("http://{}/", refusing.address));
    s.add("tcp refused", "tcp", json!({}), refusing.address);
    s.add("grpc refused", "grpc", json!({}), refusing.address);
    s.add("dns refused", "dns", json!({"query_name": "example.com", "transport_protocol": "tcp"}), refusing.address);
    s.keep(refusing);
    let silent = tcp().start();
    s.add("http silent", "http", json!({}), format!("http://{}/", silent.address));
    s.add("http tls silent", "http", json!({}), format!("https://{}/", silent.address));
    s.add("tcp tls silent", "tcp", json!({"tls": true, "tls_config": {"server_name": "shop.test"}}), silent.address);
    s.keep(silent);
    let closes = tcp().then(End::Close).start();
    s.add("http closed at once", "http", json!({}), format!("http://{}/", closes.address));
    s.keep(closes);

    let secure = http().body("over TLS").start_tls(authority.server());
    let trusted = json!({"ca_file": "ca.pem"});
    s.add("https success", "http", json!({"tls_config": trusted}), secure.url());
    s.add("https not wanted", "http", json!({"tls_config": trusted, "fail_if_ssl": true}), secure.url());
    s.add("https without verification", "http", json!({"tls_config": {"insecure_skip_verify": true}}), secure.url());
    s.add("https refused certificate: untrusted", "http", json!({}), secure.url());
    let misnamed = json!({"ca_file": "ca.pem", "server_name": "other.test"});
    s.add("https refused certificate: name", "http", json!({"tls_config": misnamed}), secure.url());
    let address = secure.url().replace("https://", "");
    let address = address.trim_end_matches('/');
    s.add("tcp tls success", "tcp", json!({"tls": true, "tls_config": trusted}), address);
    s.add("tcp tls refused certificate", "tcp", json!({"tls": true}), address);
    s.keep(secure);
    s.add("http no such name", "http", json!({}), "http://no-such-name.invalid/");
    s.add("http ip6 literal, nothing there", "http", json!({"preferred_ip_protocol": "ip6"}), "http://[::1]:9/");
}

fn over_tcp(s: &mut Scenarios) {
    let mail = tcp().greets("220 mail.test ESMTP ready\r\n").answers("EHLO", "250-mail.test\r\n250 OK\r\n").start();
    let to = mail.address;
    s.add("tcp success", "tcp", json!({}), to);
    let dialogue =
        json!({"query_response": [{"expect": "^220 ([^ ]+) ESMTP"}, {"send": "EHLO ${1}"}, {"expect": "^250 OK"}]});
    s.add("tcp dialogue", "tcp", dialogue, to);
    s.add("tcp silent dialogue", "tcp", json!({"query_response": [{"expect": "^never"}]}), to);
    s.keep(mail);
    let bye = tcp().greets("go away\r\n").then(End::Close).start();
    s.add("tcp expect fails", "tcp", json!({"query_response": [{"expect": "^220"}]}), bye.address);
    s.add("grpc to something else", "grpc", json!({}), bye.address);
    s.keep(bye);
    s.add("tcp no such name", "tcp", json!({}), "no-such-name.invalid:1");
}

fn over_dns(s: &mut Scenarios) {
    let server = dns()
        .address("example.com", "192.0.2.1")
        .servfail("broken.test")
        .no_data("empty.test")
        .silent("quiet.test")
        .start();
    let to = server.address();
    let ask = |name: &str| json!({"query_name": name, "query_type": "A"});
    s.add("dns success", "dns", ask("example.com"), to);
    let mut over_tcp = ask("example.com");
    over_tcp["transport_protocol"] = json!("tcp");
    s.add("dns over tcp", "dns", over_tcp, to);
    s.add("dns no such name", "dns", ask("nowhere.test"), to);
    s.add("dns servfail", "dns", ask("broken.test"), to);
    s.add("dns no data", "dns", ask("empty.test"), to);
    s.add("dns silent", "dns", ask("quiet.test"), to);
    let mut wanted = ask("nowhere.test");
    wanted["valid_rcodes"] = json!(["NXDOMAIN"]);
    s.add("dns rcode as wanted", "dns", wanted, to);
    for (name, rule, pattern) in [
        ("dns record matches", "fail_if_matches_regexp", "192\\.0\\.2\\.1"),
        ("dns record is as wanted", "fail_if_not_matches_regexp", "^example.com.\t[0-9]+\tIN\tA\t192\\.0\\.2\\.1$"),
        ("dns record is not as wanted", "fail_if_not_matches_regexp", "192.0.2.9"),
        ("dns all match, and it passes", "fail_if_all_match_regexp", "192.0.2.1"),
        ("dns not all match, and it fails", "fail_if_all_match_regexp", "192.0.2.9"),
        ("dns none matches", "fail_if_none_matches_regexp", "192.0.2.9"),
    ] {
        let mut block = ask("example.com");
        block["validate_answer_rrs"] = json!({rule: [pattern]});
        s.add(name, "dns", block, to);
    }
    s.keep(server);
}

fn over_grpc(s: &mut Scenarios, authority: &Authority) {
    let good = Health::Serving.start();
    s.add("grpc success", "grpc", json!({}), good.address);
    s.add("grpc success of a service", "grpc", json!({"service": "shop"}), good.address);
    s.add("grpc tls to one without", "grpc", json!({"tls": true}), good.address);
    let ill = Health::NotServing.start();
    s.add("grpc not serving", "grpc", json!({}), ill.address);
    let other = Health::Status(12).start();
    s.add("grpc no health service", "grpc", json!({}), other.address);
    let unknown = Health::Status(5).start();
    s.add("grpc no such service", "grpc", json!({"service": "none"}), unknown.address);
    let secure = Health::Serving.start_tls(&authority.server());
    let trusted = json!({"ca_file": "ca.pem"});
    s.add("grpc over tls", "grpc", json!({"tls": true, "tls_config": trusted}), secure.address);
    s.add("grpc refused certificate", "grpc", json!({"tls": true}), secure.address);
    s.keep((good, ill, other, unknown, secure));
    s.add("grpc no such name", "grpc", json!({}), "no-such-name.invalid:1");
}

/// Starts the other one on the same modules.
fn start_other(dir: &std::path::Path) -> (Process, SocketAddr) {
    let mut command = Command::new(PROGRAM);
    command.current_dir(dir).args([
        "--config.file=blackbox.yml",
        "--web.listen-address=127.0.0.1:0",
        "--log.level=info",
    ]);
    let process = Process::spawn(&mut command);
    let address = process.wait_for_line("it listens", |line| {
        let at = line.find("127.0.0.1:").filter(|_| line.contains("istening"))?;
        let end = line[at..].find(|c: char| !c.is_ascii_digit() && c != '.' && c != ':').unwrap_or(line.len() - at);
        line[at..at + end].parse().ok().filter(|address: &SocketAddr| address.port() != 0)
    });
    (process, address)
}

fn ask(address: SocketAddr, module: &str, target: &str) -> Result<Page, String> {
    let query: String = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("module", module)
        .append_pair("target", target)
        .finish();
    let response = client::get(address, &format!("/probe?{query}"))?;
    if response.status != 200 {
        return Err(format!("{} {}", response.status, response.text()));
    }
    Page::parse(&response.text())
}

fn is_time(family: &str) -> bool {
    family.contains("duration_seconds") || family.contains("lookup_time_seconds")
}

/// What is otherwise, a line each.
fn compare(theirs: &Page, ours: &Page) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let samples =
        |page: &Page, family: &str| -> Vec<Sample> { page.metric(family).all().into_iter().cloned().collect() };
    for (family, kind) in theirs.families() {
        if ours.families().get(family) != Some(kind) {
            found.push((family.clone(), format!("they: {kind}; we: {:?}", ours.families().get(family))));
            continue;
        }
        let strip = |sample: &Sample| -> BTreeMap<String, String> {
            let kept = sample.labels.iter().filter(|(name, _)| !NEW_LABELS.contains(&name.as_str()));
            kept.map(|(name, value)| (name.clone(), value.clone())).collect()
        };
        let (they, we) = (samples(theirs, family), samples(ours, family));
        for sample in &they {
            let labels = strip(sample);
            match we.iter().find(|ours| strip(ours) == labels) {
                None => found.push((family.clone(), format!("only they have {labels:?}"))),
                Some(same) if !is_time(family) && same.value != sample.value => {
                    found.push((family.clone(), format!("they: {}; we: {} {labels:?}", sample.value, same.value)));
                }
                Some(_) => {}
            }
        }
    }
    let extra: BTreeSet<&String> =
        ours.families().keys().filter(|family| !theirs.families().contains_key(*family)).collect();
    for family in extra {
        if !OURS.contains(&family.as_str()) {
            found.push((family.clone(), "only we have it".to_owned()));
        }
    }
    found
}

#[test]
fn beside_blackbox_exporter_the_answers_are_the_same() {
    if !has_tool(PROGRAM, PROGRAM, "a comparison side by side") {
        return;
    }
    let authority = Authority::new("Side By Side");
    let mut scenarios = Scenarios::default();
    over_http(&mut scenarios, &authority);
    over_tcp(&mut scenarios);
    over_dns(&mut scenarios);
    over_grpc(&mut scenarios, &authority);
    scenarios.add("icmp success", "icmp", json!({}), "127.0.0.1");
    scenarios.add("icmp no such name", "icmp", json!({}), "no-such-name.invalid");
    assert!(scenarios.all.len() >= 40, "{}", scenarios.all.len());
    // JSON is YAML too; neither file is edited for the one or the other.
    let modules = json!({"modules": scenarios.modules}).to_string();
    let ours = Setup::new(&modules).file("ca.pem", authority.pem()).start();
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("blackbox.yml"), &modules).unwrap();
    std::fs::write(dir.path().join("ca.pem"), authority.pem()).unwrap();
    let (_process, other) = start_other(dir.path());

    let mut wrong = Vec::new();
    let mut used: BTreeSet<usize> = BTreeSet::new();
    for (name, module, target) in &scenarios.all {
        let theirs = poll(name, || ask(other, module, target));
        // So that no scenario is about something else than its name says.
        for (word, success) in [("success", 1.0), ("as wanted", 1.0), ("refused", 0.0), ("no such name", 0.0)] {
            if name.contains(word) && !name.contains("not as wanted") {
                assert!(theirs.metric("probe_success").is(success), "{name}:\n{}", theirs.text());
            }
        }
        let mine = ask(ours.address, module, target).unwrap_or_else(|error| panic!("{name}: {error}"));
        for (family, what) in compare(&theirs, &mine) {
            let known =
                DIFFERENCES.iter().position(|known| name.contains(known.scenarios) && family.starts_with(known.family));
            match known {
                Some(index) => {
                    used.insert(index);
                }
                None => wrong.push(format!("{name}: {family}: {what}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), scenarios.all.len(), wrong.join("\n"));
    for (index, difference) in DIFFERENCES.iter().enumerate() {
        assert!(used.contains(&index), "no scenario differs in {} ({})", difference.family, difference.reason);
    }
}

#[test]
fn the_migration_page_has_every_difference() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/migrating-from-blackbox_exporter.md");
    let page = std::fs::read_to_string(path).unwrap();
    for Difference { scenarios, family, reason } in DIFFERENCES {
        let family = family.strip_suffix('_').map_or((*family).to_owned(), |family| format!("{family}_*"));
        let row = format!("| {scenarios} | `{family}` | {reason} |");
        assert!(page.contains(&row), "{row}");
    }
}
