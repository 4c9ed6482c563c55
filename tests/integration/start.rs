//! Which files start: every key of a module is crossed with values of every kind, and each pair is given to Debian's
//! blackbox_exporter and to us. What starts one and not the other stands in a table, with its reason.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

use uptime_exporter::config::Source;

use crate::support::has_tool;

const PROGRAM: &str = "prometheus-blackbox-exporter";

/// A key, and a module around its value, which stands where `@` is. All that Debian's release knows.
const KEYS: &[(&str, &str)] = &[
    ("module", "@"),
    ("prober", "{prober: @}"),
    ("timeout", "{prober: tcp, timeout: @}"),
    ("http", "{prober: http, http: @}"),
    ("tcp", "{prober: tcp, tcp: @}"),
    ("icmp", "{prober: icmp, icmp: @}"),
    ("dns", "{prober: dns, dns: @}"),
    ("grpc", "{prober: grpc, grpc: @}"),
    ("http of tcp", "{prober: tcp, http: @}"),
    ("http.valid_status_codes", "{prober: http, http: {valid_status_codes: @}}"),
    ("http.valid_status_codes[]", "{prober: http, http: {valid_status_codes: [@]}}"),
    ("http.valid_http_versions", "{prober: http, http: {valid_http_versions: @}}"),
    ("http.valid_http_versions[]", "{prober: http, http: {valid_http_versions: [@]}}"),
    ("http.preferred_ip_protocol", "{prober: http, http: {preferred_ip_protocol: @}}"),
    ("http.ip_protocol_fallback", "{prober: http, http: {ip_protocol_fallback: @}}"),
    ("http.follow_redirects", "{prober: http, http: {follow_redirects: @}}"),
    ("http.no_follow_redirects", "{prober: http, http: {no_follow_redirects: @}}"),
    ("http.fail_if_ssl", "{prober: http, http: {fail_if_ssl: @}}"),
    ("http.fail_if_not_ssl", "{prober: http, http: {fail_if_not_ssl: @}}"),
    ("http.method", "{prober: http, http: {method: @}}"),
    ("http.headers", "{prober: http, http: {headers: @}}"),
    ("http.headers.X", "{prober: http, http: {headers: {X: @}}}"),
    ("http.headers.Host", "{prober: http, http: {headers: {Host: @}}}"),
    ("http.headers.Accept-Encoding", "{prober: http, http: {compression: gzip, headers: {Accept-Encoding: @}}}"),
    ("http.fail_if_body_matches_regexp", "{prober: http, http: {fail_if_body_matches_regexp: @}}"),
    ("http.fail_if_body_matches_regexp[]", "{prober: http, http: {fail_if_body_matches_regexp: [@]}}"),
    ("http.fail_if_body_not_matches_regexp[]", "{prober: http, http: {fail_if_body_not_matches_regexp: [@]}}"),
    ("http.fail_if_header_matches", "{prober: http, http: {fail_if_header_matches: @}}"),
    ("http.fail_if_header_matches.header", "{prober: http, http: {fail_if_header_matches: [{header: @, regexp: a}]}}"),
    ("http.fail_if_header_matches.regexp", "{prober: http, http: {fail_if_header_matches: [{header: A, regexp: @}]}}"),
    (
        "http.fail_if_header_not_matches.allow_missing",
        "{prober: http, http: {fail_if_header_not_matches: [{header: A, regexp: a, allow_missing: @}]}}",
    ),
    ("http.body", "{prober: http, http: {body: @}}"),
    ("http.compression", "{prober: http, http: {compression: @}}"),
    ("http.body_size_limit", "{prober: http, http: {body_size_limit: @}}"),
    ("http.basic_auth", "{prober: http, http: {basic_auth: @}}"),
    ("http.basic_auth.username", "{prober: http, http: {basic_auth: {username: @}}}"),
    ("http.basic_auth.password", "{prober: http, http: {basic_auth: {password: @}}}"),
    ("http.basic_auth.password_file", "{prober: http, http: {basic_auth: {password_file: @}}}"),
    ("http.authorization", "{prober: http, http: {authorization: @}}"),
    ("http.authorization.type", "{prober: http, http: {authorization: {type: @}}}"),
    ("http.authorization.credentials", "{prober: http, http: {authorization: {credentials: @}}}"),
    ("http.authorization.credentials_file", "{prober: http, http: {authorization: {credentials_file: @}}}"),
    ("http.bearer_token", "{prober: http, http: {bearer_token: @}}"),
    ("http.bearer_token_file", "{prober: http, http: {bearer_token_file: @}}"),
    ("http.oauth2", "{prober: http, http: {oauth2: @}}"),
    (
        "http.oauth2.client_id",
        "{prober: http, http: {oauth2: {client_id: @, client_secret: s, token_url: 'http://h/'}}}",
    ),
    ("http.oauth2.token_url", "{prober: http, http: {oauth2: {client_id: a, client_secret: s, token_url: @}}}"),
    (
        "http.oauth2.scopes",
        "{prober: http, http: {oauth2: {client_id: a, client_secret: s, token_url: 'http://h/', scopes: @}}}",
    ),
    (
        "http.oauth2.endpoint_params",
        "{prober: http, http: {oauth2: {client_id: a, client_secret: s, token_url: 'http://h/', endpoint_params: @}}}",
    ),
    ("http.proxy_url", "{prober: http, http: {proxy_url: @}}"),
    ("http.enable_http2", "{prober: http, http: {enable_http2: @}}"),
    ("http.skip_resolve_phase_with_proxy", "{prober: http, http: {skip_resolve_phase_with_proxy: @}}"),
    ("http.tls_config", "{prober: http, http: {tls_config: @}}"),
    ("http.tls_config.insecure_skip_verify", "{prober: http, http: {tls_config: {insecure_skip_verify: @}}}"),
    ("http.tls_config.ca_file", "{prober: http, http: {tls_config: {ca_file: @}}}"),
    ("http.tls_config.cert_file", "{prober: http, http: {tls_config: {cert_file: @, key_file: k}}}"),
    ("http.tls_config.key_file", "{prober: http, http: {tls_config: {cert_file: c, key_file: @}}}"),
    ("http.tls_config.server_name", "{prober: http, http: {tls_config: {server_name: @}}}"),
    ("http.tls_config.min_version", "{prober: http, http: {tls_config: {min_version: @}}}"),
    ("tcp.preferred_ip_protocol", "{prober: tcp, tcp: {preferred_ip_protocol: @}}"),
    ("tcp.source_ip_address", "{prober: tcp, tcp: {source_ip_address: @}}"),
    ("tcp.tls", "{prober: tcp, tcp: {tls: @}}"),
    ("tcp.tls_config", "{prober: tcp, tcp: {tls_config: @}}"),
    ("tcp.query_response", "{prober: tcp, tcp: {query_response: @}}"),
    ("tcp.query_response[]", "{prober: tcp, tcp: {query_response: [@]}}"),
    ("tcp.query_response.expect", "{prober: tcp, tcp: {query_response: [{expect: @}]}}"),
    ("tcp.query_response.send", "{prober: tcp, tcp: {query_response: [{send: @}]}}"),
    ("tcp.query_response.starttls", "{prober: tcp, tcp: {query_response: [{starttls: @}]}}"),
    ("icmp.preferred_ip_protocol", "{prober: icmp, icmp: {preferred_ip_protocol: @}}"),
    ("icmp.source_ip_address", "{prober: icmp, icmp: {source_ip_address: @}}"),
    ("icmp.payload_size", "{prober: icmp, icmp: {payload_size: @}}"),
    ("icmp.dont_fragment", "{prober: icmp, icmp: {dont_fragment: @}}"),
    ("icmp.ttl", "{prober: icmp, icmp: {ttl: @}}"),
    ("dns.query_name", "{prober: dns, dns: {query_name: @}}"),
    ("dns.query_type", "{prober: dns, dns: {query_name: a, query_type: @}}"),
    ("dns.query_class", "{prober: dns, dns: {query_name: a, query_class: @}}"),
    ("dns.transport_protocol", "{prober: dns, dns: {query_name: a, transport_protocol: @}}"),
    ("dns.dns_over_tls", "{prober: dns, dns: {query_name: a, transport_protocol: tcp, dns_over_tls: @}}"),
    ("dns.recursion_desired", "{prober: dns, dns: {query_name: a, recursion_desired: @}}"),
    ("dns.valid_rcodes", "{prober: dns, dns: {query_name: a, valid_rcodes: @}}"),
    ("dns.valid_rcodes[]", "{prober: dns, dns: {query_name: a, valid_rcodes: [@]}}"),
    ("dns.validate_answer_rrs", "{prober: dns, dns: {query_name: a, validate_answer_rrs: @}}"),
    (
        "dns.validate_answer_rrs.fail_if_matches_regexp",
        "{prober: dns, dns: {query_name: a, validate_answer_rrs: {fail_if_matches_regexp: [@]}}}",
    ),
    ("grpc.service", "{prober: grpc, grpc: {service: @}}"),
    ("grpc.tls", "{prober: grpc, grpc: {tls: @}}"),
    ("grpc.preferred_ip_protocol", "{prober: grpc, grpc: {preferred_ip_protocol: @}}"),
];

/// Values of every type of YAML, in every way to write them, and words that mean something to one key or another.
const VALUES: &[&str] = &[
    // Nothing, and texts that are close to it.
    "",
    "~",
    "null",
    "Null",
    "''",
    "' '",
    "\"\\n\"",
    "\"\\t\"",
    "\"\\0\"",
    "-",
    "'~'",
    "'null'",
    "!!null ''",
    "!!str",
    "!!str ~",
    // Booleans of YAML 1.1 and 1.2.
    "true",
    "false",
    "True",
    "TRUE",
    "yes",
    "no",
    "Yes",
    "NO",
    "on",
    "Off",
    "y",
    "N",
    "'true'",
    "'yes'",
    "!!bool 'true'",
    "tRUE",
    // Whole numbers.
    "0",
    "1",
    "-1",
    "+1",
    "5",
    "64",
    "200",
    "299",
    "999",
    "1000",
    "65507",
    "70000",
    "2147483648",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775809",
    "18446744073709551616",
    "007",
    "0o17",
    "017",
    "0x1f",
    "0X1F",
    "0b101",
    "1_000",
    "'5'",
    "!!int '5'",
    "!!str 5",
    "00",
    // Other numbers.
    "1.5",
    ".5",
    "5.",
    "1.0",
    "-0.5",
    "1e3",
    "1E3",
    "1e400",
    "200.0",
    ".inf",
    "-.inf",
    ".nan",
    "!!float 5",
    "'1.5'",
    "1.10",
    "0.1e1",
    // Durations and sizes.
    "5s",
    "'5s'",
    "1m30s",
    "1.5s",
    "-5s",
    "+5s",
    "5",
    "5S",
    "1d",
    "1h1m1s1ms1us1ns",
    "0s",
    "5 s",
    "10MB",
    "10mb",
    "10Mb",
    "10KiB",
    "10kib",
    "10M",
    "1.5MB",
    "-1MB",
    "10B",
    "1EB",
    "100EB",
    "10 MB",
    "1MB1KB",
    "0B",
    "+1MB",
    "1e3B",
    // Collections.
    "[]",
    "{}",
    "[a]",
    "[1]",
    "[~]",
    "[[]]",
    "{a: b}",
    "{a: ~}",
    "{a: [b]}",
    "[a, 1, true]",
    "[{}]",
    "{1: 2}",
    "{~: a}",
    "{true: a}",
    "[200, '200']",
    "['200']",
    "[1.5]",
    "[200.0]",
    // Bytes, times, tags.
    "!!binary aGk=",
    "!!binary '//8='",
    "!!binary '@'",
    "2001-12-14",
    "2001-12-14t21:59:43.10-05:00",
    "!!timestamp '2001-12-14'",
    "12:30:45",
    "!!seq []",
    "!!map {}",
    "!!set {a}",
    "!own a",
    "=",
    "<<",
    // Words of enumerations, in their case and another.
    "ip4",
    "ip6",
    "IP4",
    "ipv4",
    "ipv6",
    "http",
    "HTTP",
    "tcp",
    "icmp",
    "dns",
    "grpc",
    "GET",
    "get",
    "CONNECT",
    "'GE T'",
    "TLS10",
    "TLS11",
    "TLS12",
    "TLS13",
    "tls12",
    "'TLS 1.2'",
    "udp",
    "UDP",
    "TCP",
    "gzip",
    "GZIP",
    "br",
    "deflate",
    "identity",
    "NOERROR",
    "NXDOMAIN",
    "noerror",
    "'3'",
    "A",
    "a",
    "AAAA",
    "ANY",
    "MX",
    "TYPE65",
    "HTTPS",
    "IN",
    "CH",
    "in",
    "NONE",
    "HTTP/1.1",
    "HTTP/2",
    "HTTP/2.0",
    "HTTP/3.0",
    "2xx",
    // Addresses, names, URLs, expressions.
    "127.0.0.1",
    "'::1'",
    "'127.0.0.1:1'",
    "example.com",
    "bücher.example",
    "'a b'",
    "'*'",
    "'('",
    "'[a'",
    "'a{2,1}'",
    "'(?P<a>b)'",
    "'\\d+'",
    "'(?x)a'",
    "'${NAME}'",
    "'$$'",
    "'a$'",
    "http://h:1/",
    "'http://u:p@h:1/?a=b'",
    "socks5://h:1",
    "ftp://h",
    "h:1",
    "'http://'",
    "'http://[::1'",
    "'http://h:port'",
    "'%zz'",
    "'/x'",
    "Bearer",
    "basic",
    "'Basic '",
    "'gzip;q=0'",
    "'*;q=0.1'",
    "nowhere/file",
    "é",
    "\"\\xff\"",
    "\"a\\nb\"",
    "'a:b'",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Only {
    /// Only we start with it.
    We,
    /// Only they do.
    They,
}

/// Keys (`*` is any text), values, who starts alone, and why.
const DIFFERENCES: &[(&str, &[&str], Only, &str)] = &[
    ("*", &["!!null ''"], Only::They, "a text with the tag of nothing is an error to our YAML library"),
    ("*", &["!!binary '//8='"], Only::They, "texts are UTF-8 here; body, send and expect_bytes take any bytes"),
    ("*", &["{~: a}"], Only::They, "a key that is nothing is passed over there; keys are texts here"),
    ("*", &["-.inf", "-9223372036854775809"], Only::They, "no whole number at all"),
    ("http.valid_http_versions[]", &["HTTP/3.0"], Only::They, "0.28 refuses it without enable_http3, and so do we"),
    ("http.fail_if_header_matches", &["[~]"], Only::They, "a rule without a header; 0.23 does not look"),
    ("http.body_size_limit", &["10 MB", "10Mb", "10kib", "10mb"], Only::We, "units in any case, and behind a space"),
    (
        "http.headers.Accept-Encoding",
        &["\"\\0\"", "\"\\n\"", "\"a\\nb\""],
        Only::We,
        "what no header can carry fails the module",
    ),
    ("http.tls_config.cert_file", &["!!str"], Only::We, "a tag before a comma"),
    ("http.tls_config.min_version", &["''"], Only::We, "empty is not given"),
    ("http.valid_status_codes", &["['200']", "[200, '200']"], Only::We, "statuses may stand in quotes"),
    (
        "http.valid_status_codes[]",
        &["!!str 5", "'3'", "'5'", "2xx"],
        Only::We,
        "statuses may stand in quotes, and be classes",
    ),
    (
        "http.valid_status_codes[]",
        &["''", "' '", "\"\\n\"", "\"\\t\"", "9223372036854775808", "18446744073709551616"],
        Only::We,
        "a status that no response has, with a warning",
    ),
    ("timeout", &["0", "1d"], Only::We, "days are a unit, and 0 needs none"),
    (
        "http.proxy_url",
        &[
            "\"\\0\"",
            "\"\\n\"",
            "\"\\t\"",
            "\"a\\nb\"",
            "'%zz'",
            "'127.0.0.1:1'",
            "'::1'",
            "'http://[::1'",
            "'http://h:port'",
            "12:30:45",
            "2001-12-14t21:59:43.10-05:00",
        ],
        Only::We,
        "a proxy that cannot be read fails the module",
    ),
];

fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, tail)) => text.len() >= head.len() + tail.len() && text.starts_with(head) && text.ends_with(tail),
    }
}

fn module(template: &str, value: &str) -> String {
    template.replacen('@', value, 1)
}

/// Which of the values do not start the other one. It names every value of a wrong type, by its line, and else the first
/// problem alone.
fn refused_by_other(file: &Path, template: &str, values: &[usize], refused: &mut BTreeSet<usize>) {
    if values.is_empty() {
        return;
    }
    let modules: String =
        values.iter().map(|value| format!("  v{value}: {}\n", module(template, VALUES[*value]))).collect();
    std::fs::write(file, format!("modules:\n{modules}")).unwrap();
    let output =
        Command::new(PROGRAM).arg("--config.check").arg(format!("--config.file={}", file.display())).output().unwrap();
    if output.status.success() {
        return;
    }
    let log = String::from_utf8_lossy(&output.stderr);
    let lines: BTreeSet<usize> = match log.split_once("unmarshal errors:") {
        None => BTreeSet::new(),
        Some((_, errors)) => errors
            .split("line ")
            .filter_map(|part| part.split_once(':')?.0.parse::<usize>().ok()?.checked_sub(2))
            .filter(|index| *index < values.len())
            .collect(),
    };
    if let [one] = values {
        assert!(log.contains("rror"), "{log}");
        refused.insert(*one);
    } else if lines.is_empty() {
        let (left, right) = values.split_at(values.len() / 2);
        refused_by_other(file, template, left, refused);
        refused_by_other(file, template, right, refused);
    } else {
        refused.extend(lines.iter().map(|index| values[*index]));
        let rest: Vec<usize> =
            values.iter().enumerate().filter(|(index, _)| !lines.contains(index)).map(|(_, value)| *value).collect();
        refused_by_other(file, template, &rest, refused);
    }
}

fn refused_by_us(folder: &Path, template: &str) -> BTreeSet<usize> {
    let refused = |value: &&str| {
        let text = format!("modules:\n  v: {}\n", module(template, value));
        Source::new(folder.join("blackbox.yml"), text).config().is_err()
    };
    VALUES.iter().enumerate().filter(|(_, value)| refused(value)).map(|(index, _)| index).collect()
}

/// By such keys a file is told to be ours, and has its variables expanded.
#[test]
fn keys_of_ours_are_none_of_theirs() {
    if !has_tool(PROGRAM, PROGRAM, "keys_of_ours_are_none_of_theirs") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("blackbox.yml");
    for text in [
        "modules: {}\nglobal: {}",
        "modules: {}\ntargets: []",
        "modules: {}\ntarget_files: []",
        "modules: {}\nmaintenance: []",
        "modules: {}\nnotice_files: []",
        "modules: {}\nprobe_endpoint: {}",
        "modules: {}\nx-anchors: {}",
        "modules: {m: {prober: http, dns_servers: [192.0.2.1]}}",
        "modules: {m: {prober: http, http: {decode_charset: false}}}",
        "modules: {m: {prober: dns, dns: {query_name: a, edns_udp_size: 1232}}}",
        "modules: {m: {prober: icmp, icmp: {packets: 2}}}",
        "modules: {m: {prober: icmp, icmp: {packets: 2, packet_interval: 1s}}}",
        "modules: {m: {prober: icmp, icmp: {max_loss: 0.5}}}",
        "modules: {m: {prober: tcp, tcp: {tls_config: {crl_file: a}}}}",
    ] {
        std::fs::write(&file, text).unwrap();
        let output = Command::new(PROGRAM)
            .arg("--config.check")
            .arg(format!("--config.file={}", file.display()))
            .output()
            .unwrap();
        assert!(!output.status.success(), "{text}");
        assert!(Source::new(&file, text).config().is_ok(), "{text}");
    }
}

#[test]
fn what_starts_blackbox_exporter_starts_us() {
    if !has_tool(PROGRAM, PROGRAM, "what_starts_blackbox_exporter_starts_us") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let keys = Mutex::new(KEYS.iter());
    let found = Mutex::new(BTreeSet::new());
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let (keys, found, folder) = (&keys, &found, folder.path());
            scope.spawn(move || {
                let file = folder.join(format!("{worker}.yml"));
                loop {
                    let Some((key, template)) = keys.lock().unwrap().next() else { return };
                    let mut theirs = BTreeSet::new();
                    refused_by_other(&file, template, &(0..VALUES.len()).collect::<Vec<_>>(), &mut theirs);
                    let ours = refused_by_us(folder, template);
                    let mut found = found.lock().unwrap();
                    found.extend(theirs.difference(&ours).map(|value| (*key, VALUES[*value], Only::We)));
                    found.extend(ours.difference(&theirs).map(|value| (*key, VALUES[*value], Only::They)));
                }
            });
        }
    });
    let found = found.into_inner().unwrap();
    let has = |row: &(&str, &[&str], Only, &str), (key, value, only): &(&str, &str, Only)| {
        row.2 == *only && matches(row.0, key) && row.1.contains(value)
    };
    let new: Vec<String> = found
        .iter()
        .filter(|difference| !DIFFERENCES.iter().any(|row| has(row, difference)))
        .map(|(key, value, only)| format!("{only:?} start with {key}: {value}"))
        .collect();
    let unused: Vec<_> =
        DIFFERENCES.iter().filter(|row| !found.iter().any(|difference| has(row, difference))).collect();
    assert!(new.is_empty() && unused.is_empty(), "new:\n{}\nwithout a case: {unused:#?}", new.join("\n"));
}
