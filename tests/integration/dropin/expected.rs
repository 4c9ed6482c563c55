//! What Debian's release has no counterpart for, held by expected values: those that blackbox_exporter 0.28 shows by its
//! code and its own tests. HTTP/3 has its peers in the unit tests of the prober.

use serde_json::{Value, json};

use crate::support::client;
use crate::support::exporter::{Exporter, Setup};
use crate::support::peer::dns::dns;
use crate::support::peer::grpc::Health;
use crate::support::peer::http::HttpPeer;
use crate::support::peer::proxy::http_proxy;
use crate::support::peer::{End, http, tcp, unix, websocket};
use crate::support::pki::Authority;
use crate::support::scrape::Page;

use super::scenario::{Scenario, Scenarios, Verdict};

/// A series, as it is written, and its value; `None`: it is absent.
type Expected = Vec<(String, Option<f64>)>;

#[derive(Default)]
struct Table {
    scenarios: Scenarios,
    expected: Vec<Expected>,
}

impl Table {
    fn row(
        &mut self,
        name: &str,
        prober: &str,
        block: &Value,
        target: impl ToString,
        up: bool,
        series: &[(&str, f64)],
    ) {
        self.scenarios.add(format!("{prober}: {name}"), prober, block, target, up.into());
        self.expected.push(series.iter().map(|(text, value)| ((*text).to_owned(), Some(*value))).collect());
    }

    /// Of the last row.
    fn absent(&mut self, series: &[&str]) {
        let absent = series.iter().map(|text| ((*text).to_owned(), None));
        self.expected.last_mut().unwrap().extend(absent);
    }
}

/// `name{label="value",...}` -> the value of the one sample that has these labels, among others.
fn value(page: &Page, series: &str) -> Option<f64> {
    let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
    let mut metric = page.metric(name);
    for pair in labels.trim_end_matches('}').split("\",").filter(|pair| !pair.is_empty()) {
        let (label, value) = pair.split_once("=\"").unwrap();
        metric = metric.label(label, value.trim_end_matches('"'));
    }
    metric.get()
}

/// Rules in CEL: what each says of each document.
fn cel(table: &mut Table) {
    let documents = [
        json!({"ok": true, "n": 3, "list": [1, 2], "text": "hello", "deep": {"a": [{"b": null}]}}),
        json!({"ok": false, "n": 2.5, "list": [], "text": "", "deep": {"a": []}}),
    ];
    let expressions: [(&str, [bool; 2]); 8] = [
        ("body.ok == true", [true, false]),
        ("body.n > 2.7", [true, false]),
        ("size(body.list) == 2", [true, false]),
        ("body.text.startsWith('he')", [true, false]),
        ("has(body.missing)", [false, false]),
        ("'text' in body", [true, true]),
        ("body.list.all(x, x < 3.0)", [true, true]),
        ("size(body.deep.a) > 0 && body.deep.a[0].b == null", [true, false]),
    ];
    for (number, document) in documents.iter().enumerate() {
        let peer = http().body(document.to_string()).start();
        for (expression, holds) in &expressions {
            for (key, up) in [
                ("fail_if_body_json_not_matches_cel", holds[number]),
                ("fail_if_body_json_matches_cel", !holds[number]),
            ] {
                let failed = f64::from(u8::from(!up));
                let series = [("probe_failed_due_to_cel", failed), ("probe_failed_due_to_regex", 0.0)];
                let name = format!("document {number}: {key} {expression}");
                table.row(&name, "http", &json!({key: expression}), peer.url(), up, &series);
            }
        }
        table.scenarios.keep(peer);
    }
    for (what, text) in [("words", "hello"), ("nothing", ""), ("half of it", "{\"ok\": tr")] {
        let peer = http().body(text).start();
        for key in ["fail_if_body_json_not_matches_cel", "fail_if_body_json_matches_cel"] {
            let series = [("probe_failed_due_to_cel", 1.0)];
            table.row(&format!("{what}: {key}"), "http", &json!({key: "body.ok == true"}), peer.url(), false, &series);
        }
        table.scenarios.keep(peer);
    }
    let failing = http().status(500).body("{\"ok\": true}").start();
    let rule = json!({"fail_if_body_json_matches_cel": "body.ok == true"});
    table.row("a rule after a wrong status", "http", &rule, failing.url(), false, &[("probe_failed_due_to_cel", 0.0)]);
    let plain = http().start();
    table.row("no rule", "http", &json!({}), plain.url(), true, &[]);
    table.absent(&["probe_failed_due_to_cel"]);
    table.scenarios.keep((failing, plain));
}

/// Keys of the http block that came after 0.23.
fn later_http(table: &mut Table, authority: &Authority) {
    let wants = HttpPeer::start(None, |request| {
        let has = |name: &str, value: &str| request.header(name) == Some(value);
        if has("x-a", "one") && has("x-secret", "hunter2") && has("x-file", "from a file") {
            http()
        } else {
            http().status(400)
        }
    });
    let headers = json!({"http_headers": {
        "X-A": {"values": ["one"]}, "X-Secret": {"secrets": ["hunter2"]}, "X-File": {"files": ["word.txt"]},
    }});
    table.row("http_headers", "http", &headers, wants.url(), true, &[("probe_http_status_code", 200.0)]);
    table.row("without http_headers", "http", &json!({}), wants.url(), false, &[("probe_http_status_code", 400.0)]);
    let posted =
        HttpPeer::start(
            None,
            |request| {
                if request.header("content-length") == Some("12") { http() } else { http().status(411) }
            },
        );
    let file = json!({"method": "POST", "body_file": "word.txt"});
    table.row("body_file", "http", &file, posted.url(), true, &[("probe_http_status_code", 200.0)]);

    let direct = http().start();
    let proxy = http_proxy(direct.address(), None);
    let by = format!("http://{}", proxy.address());
    let body = "probe_http_uncompressed_body_length";
    for (name, keys, length) in [
        ("a proxy", json!({"proxy_url": by}), 7.0),
        ("no_proxy of the address", json!({"proxy_url": by, "no_proxy": "127.0.0.1"}), 2.0),
        ("no_proxy of its network", json!({"proxy_url": by, "no_proxy": "10.0.0.0/8,127.0.0.0/8"}), 2.0),
        // Beside any no_proxy Go leaves loopback out.
        ("no_proxy of another", json!({"proxy_url": by, "no_proxy": "10.0.0.0/8,.test"}), 2.0),
        ("proxy_connect_header", json!({"proxy_url": by, "proxy_connect_header": {"X-A": ["b"]}}), 7.0),
    ] {
        table.row(name, "http", &keys, direct.url(), true, &[("probe_http_status_code", 200.0), (body, length)]);
    }
    table.scenarios.keep((wants, posted, direct, proxy));

    // Nobody is there by UDP.
    let refusing = tcp::refusing();
    let three = json!({"enable_http2": false, "enable_http3": true});
    let nothing = [("probe_http_status_code", 0.0), ("probe_http_version", 0.0), ("probe_http_ssl", 0.0)];
    table.row("HTTP/3, and nobody", "http", &three, format!("https://{}/", refusing.address), false, &nothing);
    table.absent(&["probe_ssl_earliest_cert_expiry", "probe_tls_version_info"]);
    table.scenarios.keep(refusing);

    let secure = http().start_tls(authority.server());
    let trusted = json!({"tls_config": {"ca_file": "ca.pem"}});
    let shown = [
        ("probe_http_ssl", 1.0),
        ("probe_ssl_earliest_cert_expiry", 3_471_292_800.0),
        ("probe_ssl_last_chain_expiry_timestamp_seconds", 3_471_292_800.0),
        (
            "probe_ssl_last_chain_info{subject=\"CN=127.0.0.1\",issuer=\"CN=Later\",subjectalternative=\"localhost\"}",
            1.0,
        ),
        ("probe_tls_version_info{version=\"TLS 1.3\"}", 1.0),
        ("probe_tls_cipher_info{cipher=\"TLS_AES_256_GCM_SHA384\"}", 1.0),
    ];
    table.row("what is shown of a certificate", "http", &trusted, secure.url(), true, &shown);
    table.scenarios.keep(secure);
}

/// Steps that match bytes, and labels that are taken out of lines; over TCP and a Unix socket.
fn dialogues(table: &mut Table) {
    let mail = tcp().greets("220 mail.test ESMTP 4.9\r\n").then(End::Close).start();
    let binary = tcp().greets([0, 1, 2, 255, 254]).then(End::Close).start();
    let bytes = |text: &str| json!({"query_response": [{"expect_bytes": text}]});
    let (regex, failed) = ("probe_failed_due_to_regex", "probe_failed_due_to_bytes");
    for (name, block, address, up, values) in [
        ("bytes", bytes("220 "), mail.address, true, [0.0, 0.0]),
        ("bytes of the whole line", bytes("220 mail.test ESMTP 4.9\r\n"), mail.address, true, [0.0, 0.0]),
        ("bytes that are not there", bytes("554 "), mail.address, false, [0.0, 1.0]),
        ("bytes that are nothing", bytes("\u{0}\u{1}\u{2}"), binary.address, true, [0.0, 0.0]),
        (
            "bytes after them",
            json!({"query_response": [{"expect_bytes": "220 "}, {"expect": "ESMTP"}]}),
            mail.address,
            true,
            [0.0, 0.0],
        ),
        (
            "a line, which is not there",
            json!({"query_response": [{"expect": "^554"}]}),
            mail.address,
            false,
            [1.0, 0.0],
        ),
    ] {
        table.row(name, "tcp", &block, address, up, &[(regex, values[0]), (failed, values[1])]);
        table.absent(&["probe_expect_info"]);
    }
    let labels = json!({"query_response": [{"expect": "^220 ([^ ]+) ESMTP ([0-9.]+)", "labels": [
        {"name": "host", "value": "${1}"}, {"name": "version", "value": "v${2}"}, {"name": "fixed", "value": "x"},
    ]}]});
    let info = "probe_expect_info{host=\"mail.test\",version=\"v4.9\",fixed=\"x\"}";
    table.row("labels", "tcp", &labels, mail.address, true, &[(info, 1.0)]);
    table.row("labels of a line that is not there", "tcp", &labels, binary.address, false, &[(regex, 1.0)]);
    table.absent(&["probe_expect_info"]);
    let refusing = tcp::refusing();
    table.row("refused", "tcp", &json!({}), refusing.address, false, &[("probe_ip_protocol", 4.0)]);
    table.absent(&[regex, failed]);
    table.scenarios.keep((mail, binary, refusing));

    let socket = unix("+PONG 7.2\n");
    let path = socket.path().display().to_string();
    let ask = |expect: &str| json!({"query_response": [{"send": "PING"}, {"expect": expect}]});
    for (name, block) in [
        ("connect", json!({})),
        ("ask", ask("^\\+PONG")),
        (
            "ask twice",
            json!({"query_response": [{"send": "PING"}, {"expect": "^\\+PONG"}, {"send": "PING"}, {"expect": "7.2$"}]}),
        ),
        ("ask for bytes", json!({"query_response": [{"send": "PING"}, {"expect_bytes": "+PONG"}]})),
    ] {
        table.row(name, "unix", &block, &path, true, &[(regex, 0.0), (failed, 0.0)]);
        table.absent(&["probe_ip_protocol", "probe_dns_lookup_time_seconds"]);
    }
    table.row(
        "ask for other bytes",
        "unix",
        &json!({"query_response": [{"send": "PING"}, {"expect_bytes": "-ERR "}]}),
        &path,
        false,
        &[(regex, 0.0), (failed, 1.0)],
    );
    let labels = json!({"query_response": [{"send": "PING"}, {"expect": "PONG (.*)$", "labels": [{"name": "version", "value": "${1}"}]}]});
    table.row("labels", "unix", &labels, &path, true, &[("probe_expect_info{version=\"7.2\"}", 1.0)]);
    table.row("no socket", "unix", &json!({}), format!("{path}.none"), false, &[]);
    table.absent(&[regex, failed]);
    table.scenarios.keep(socket);
}

fn web_sockets(table: &mut Table) {
    let echo = websocket();
    let url = format!("ws://{}/", echo.address);
    let (status, upgraded) = ("probe_websocket_status_code", "probe_websocket_connection_upgraded");
    let regex = "probe_websocket_failed_due_to_regex";
    let good = [(status, 101.0), (upgraded, 1.0), (regex, 0.0)];
    let ask = |expect: &str| json!({"query_response": [{"send": "hello"}, {"expect": expect}]});
    table.row("connect", "websocket", &json!({}), &url, true, &good);
    table.row("ask", "websocket", &ask("^hello$"), &url, true, &good);
    table.row("headers", "websocket", &json!({"headers": {"X-A": {"values": ["b"]}}}), &url, true, &good);
    table.row(
        "a wrong answer",
        "websocket",
        &ask("^bye$"),
        &url,
        false,
        &[(status, 101.0), (upgraded, 1.0), (regex, 1.0)],
    );
    let web = http().start();
    let plain = web.url().replace("http:", "ws:");
    table.row("to a web server", "websocket", &json!({}), plain, false, &[(status, 200.0), (upgraded, 0.0)]);
    let missing = http().status(404).start();
    let plain = missing.url().replace("http:", "ws:");
    table.row("to a page that is missing", "websocket", &json!({}), plain, false, &[(status, 404.0), (upgraded, 0.0)]);
    let refusing = tcp::refusing();
    let nobody = format!("ws://{}/", refusing.address);
    table.row("refused", "websocket", &json!({}), nobody, false, &[(status, 0.0), (upgraded, 0.0)]);
    table.scenarios.keep((echo, web, missing, refusing));
}

fn later_dns_and_grpc(table: &mut Table, authority: &Authority) {
    let names = dns().address("example.com", "192.0.2.1").servfail("broken.test").no_data("empty.test").start();
    let refusing = tcp::refusing();
    let ask = |name: &str| json!({"query_name": name, "query_type": "A"});
    for (name, up, answers) in
        [("example.com", true, 1.0), ("broken.test", false, 0.0), ("empty.test", true, 0.0), ("none.test", false, 0.0)]
    {
        let series = [("probe_dns_query_succeeded", 1.0), ("probe_dns_answer_rrs", answers)];
        table.row(name, "dns", &ask(name), names.address(), up, &series);
        table.absent(&["probe_dns_serial"]);
    }
    let mut by_tcp = ask("example.com");
    by_tcp["transport_protocol"] = json!("tcp");
    table.row("nobody", "dns", &by_tcp, refusing.address, false, &[("probe_dns_query_succeeded", 0.0)]);
    table.scenarios.keep((names, refusing));

    let response = |status: &str| format!("probe_grpc_healthcheck_response{{serving_status=\"{status}\"}}");
    let (serving, not_serving) = (response("SERVING"), response("NOT_SERVING"));
    let secure = Health::Serving.start_tls(&authority.server());
    let trusted = json!({"tls": true, "tls_config": {"ca_file": "ca.pem"}, "metadata": {"x-a": ["b"]}});
    let info = "probe_ssl_last_chain_info{subject=\"CN=127.0.0.1\",issuer=\"CN=Later\"}";
    table.row(
        "over TLS, with metadata",
        "grpc",
        &trusted,
        secure.address,
        true,
        &[
            (info, 1.0),
            ("probe_tls_version_info{version=\"TLS 1.3\"}", 1.0),
            ("probe_grpc_ssl", 1.0),
            (&serving, 1.0),
            (&not_serving, 0.0),
        ],
    );
    let ill = Health::NotServing.start();
    table.row(
        "not serving",
        "grpc",
        &json!({}),
        ill.address,
        false,
        &[(&serving, 0.0), (&not_serving, 1.0), ("probe_grpc_ssl", 0.0)],
    );
    table.absent(&["probe_ssl_earliest_cert_expiry", "probe_ssl_last_chain_info"]);
    table.scenarios.keep((secure, ill));
}

fn page(exporter: &Exporter, scenario: &Scenario) -> Page {
    let query: String = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("module", &scenario.module)
        .append_pair("target", &scenario.target)
        .finish();
    let response = client::get(exporter.address, &format!("/probe?{query}")).unwrap();
    assert_eq!(response.status, 200, "{}: {}", scenario.name, response.text());
    Page::parse(&response.text()).unwrap()
}

#[test]
fn what_debians_release_lacks_has_the_values_of_0_28() {
    let authority = Authority::new("Later");
    let mut table = Table::default();
    cel(&mut table);
    later_http(&mut table, &authority);
    dialogues(&mut table);
    web_sockets(&mut table);
    later_dns_and_grpc(&mut table, &authority);
    assert!(table.expected.len() > 70, "{}", table.expected.len());
    let setup = Setup::new(&table.scenarios.modules()).file("ca.pem", authority.pem());
    let exporter = setup.file("word.txt", "from a file\n").start();
    let mut wrong = Vec::new();
    for (scenario, expected) in table.scenarios.all.iter().zip(&table.expected) {
        let page = page(&exporter, scenario);
        let success = ("probe_success".to_owned(), Some(f64::from(u8::from(scenario.verdict == Verdict::Up))));
        for (series, expected) in [&[success], &expected[..]].concat() {
            let found = value(&page, &series);
            if found != expected {
                let reasons: Vec<_> = page.label_values("reason").into_iter().collect();
                wrong.push(format!("{}: {series} is {found:?}, not {expected:?} {reasons:?}", scenario.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {} rows:\n{}", wrong.len(), table.expected.len(), wrong.join("\n"));
}
