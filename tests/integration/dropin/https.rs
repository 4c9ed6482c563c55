//! Certificates and versions of TLS, by every prober that has them, crossed with what a `tls_config` can say.

use std::sync::Arc;

use rcgen::date_time_ymd;
use rustls::ServerConfig;
use rustls::version::{TLS12, TLS13};
use serde_json::{Value, json};

use crate::support::peer::grpc::Health;
use crate::support::peer::{End, http, http2, tcp};
use crate::support::pki::{self, Authority};

use super::scenario::{Scenarios, Verdict, merged};

/// What a client can find in a handshake.
#[derive(Clone, Copy)]
struct Shown {
    /// By the authority that `ca.pem` is.
    issued: bool,
    /// Valid today.
    in_time: bool,
    /// The address, or another name.
    name: &'static str,
    versions: &'static [u8],
}

const FINE: Shown = Shown { issued: true, in_time: true, name: "127.0.0.1", versions: &[12, 13] };

fn servers(authority: &Authority) -> Vec<(&'static str, Arc<ServerConfig>, Shown)> {
    let until_2021 = authority.server_with(&["127.0.0.1"], |params| params.not_after = date_time_ymd(2021, 1, 1));
    let from_2079 = authority.server_with(&["127.0.0.1"], |params| params.not_before = date_time_ymd(2079, 1, 1));
    vec![
        ("good", authority.server(), FINE),
        ("expired", until_2021, Shown { in_time: false, ..FINE }),
        ("not yet valid", from_2079, Shown { in_time: false, ..FINE }),
        ("of another name", authority.server_with(&["shop.test"], |_| {}), Shown { name: "shop.test", ..FINE }),
        ("of names below", authority.server_with(&["*.shop.test"], |_| {}), Shown { name: "www.shop.test", ..FINE }),
        ("self-signed", pki::self_signed(), Shown { issued: false, ..FINE }),
        ("of a stranger", Authority::new("Stranger").server(), Shown { issued: false, ..FINE }),
        ("TLS 1.2", authority.server_speaking(&[&TLS12]), Shown { versions: &[12], ..FINE }),
        ("TLS 1.3", authority.server_speaking(&[&TLS13]), Shown { versions: &[13], ..FINE }),
    ]
}

/// What a client asks for.
struct Asked {
    name: &'static str,
    tls: Value,
    /// `None`: it verifies nothing.
    trusts: Option<&'static str>,
    /// `ca.pem`, and not the system's.
    ca: bool,
    versions: &'static [u8],
}

fn asked() -> Vec<Asked> {
    let any: &[u8] = &[12, 13];
    let row = |name, tls, trusts, ca, versions| Asked { name, tls, trusts, ca, versions };
    vec![
        row("the system's authorities", json!({}), Some("127.0.0.1"), false, any),
        row("ca_file", json!({"ca_file": "ca.pem"}), Some("127.0.0.1"), true, any),
        row("server_name", json!({"ca_file": "ca.pem", "server_name": "shop.test"}), Some("shop.test"), true, any),
        row(
            "server_name below",
            json!({"ca_file": "ca.pem", "server_name": "www.shop.test"}),
            Some("www.shop.test"),
            true,
            any,
        ),
        row("insecure_skip_verify", json!({"insecure_skip_verify": true}), None, false, any),
        row(
            "insecure_skip_verify with ca_file",
            json!({"insecure_skip_verify": true, "ca_file": "ca.pem"}),
            None,
            true,
            any,
        ),
        row("min_version TLS13", json!({"ca_file": "ca.pem", "min_version": "TLS13"}), Some("127.0.0.1"), true, &[13]),
        row("max_version TLS12", json!({"ca_file": "ca.pem", "max_version": "TLS12"}), Some("127.0.0.1"), true, &[12]),
    ]
}

fn holds(shown: Shown, asked: &Asked) -> bool {
    let version = shown.versions.iter().any(|version| asked.versions.contains(version));
    let trusted = asked.trusts.is_none_or(|name| asked.ca && shown.issued && shown.in_time && shown.name == name);
    version && trusted
}

pub(super) fn add(scenarios: &mut Scenarios, authority: &Authority) {
    for (what, config, shown) in servers(authority) {
        let web = http().body("ok over TLS").start_tls(config.clone());
        let new_web = http2(&config, 200, "ok over HTTP/2");
        let mail = tcp().greets("220 mail ready\r\n").then(End::Close).over_tls(config.clone()).start();
        let dialogue = tcp().greets("220 hi\r\n").answers("STARTTLS", "220 go\r\n").then(End::Close);
        let starttls = dialogue.starttls("STARTTLS", config.clone()).start();
        let health = Health::Serving.start_tls(&config);
        for asked in asked() {
            let tls = json!({"tls_config": asked.tls});
            let up: Verdict = holds(shown, &asked).into();
            let name = |prober: &str| format!("{prober}: certificate {what}: {}", asked.name);
            scenarios.add(name("https"), "http", &tls, web.url(), up);
            let url = format!("https://{}/", new_web.address);
            scenarios.add(name("https (HTTP/2)"), "http", &tls, &url, up);
            let greeting = json!({"tls": true, "query_response": [{"expect": "^220"}]});
            scenarios.add(name("tcp tls"), "tcp", &merged(&tls, &greeting), mail.address, up);
            let steps = json!({"query_response":
                [{"expect": "^220"}, {"send": "STARTTLS\r"}, {"expect": "^220"}, {"starttls": true}]});
            // Without a server_name theirs verifies no name here at all, so each says which it means.
            let mut block = merged(&tls, &steps);
            if asked.tls.get("server_name").is_none() {
                block["tls_config"]["server_name"] = json!("127.0.0.1");
            }
            scenarios.add(name("tcp starttls"), "tcp", &block, starttls.address, up);
            let block = merged(&tls, &json!({"tls": true}));
            scenarios.add(name("grpc tls"), "grpc", &block, health.address, up);
        }
        scenarios.keep((web, new_web, mail, starttls, health));
    }
    what_http_asks_of_tls(scenarios, authority);
}

/// Options of the http prober that are about the connection, with servers of both versions.
fn what_http_asks_of_tls(scenarios: &mut Scenarios, authority: &Authority) {
    let config = authority.server();
    let one = http().header("X-Version", "7").body("ok").start_tls(config.clone());
    let two = http2(&config, 200, "ok");
    let missing = http2(&config, 404, "no");
    let name = authority.server_with(&["shop.test"], |_| {});
    let named = http().start_tls(name);
    let targets = [
        ("HTTP/1.1", one.url()),
        ("HTTP/2", format!("https://{}/", two.address)),
        ("HTTP/2 404", format!("https://{}/", missing.address)),
        ("another name", named.url()),
    ];
    for (option, keys) in [
        ("fail_if_ssl", json!({"fail_if_ssl": true})),
        ("fail_if_not_ssl", json!({"fail_if_not_ssl": true})),
        ("enable_http2 false", json!({"enable_http2": false})),
        ("valid_http_versions 2.0", json!({"valid_http_versions": ["HTTP/2.0"]})),
        ("valid_http_versions 1.1", json!({"valid_http_versions": ["HTTP/1.1"]})),
        ("valid_status_codes 404", json!({"valid_status_codes": [404]})),
        ("body rule", json!({"fail_if_body_not_matches_regexp": ["ok"]})),
        ("header rule", json!({"fail_if_header_not_matches": [{"header": "X-Version", "regexp": "7"}]})),
        ("POST", json!({"method": "POST", "body": "a=b"})),
        ("HEAD", json!({"method": "HEAD"})),
        ("body_size_limit", json!({"body_size_limit": "1B"})),
        ("Host", json!({"headers": {"Host": "shop.test"}})),
        (
            "Host and server_name",
            json!({"headers": {"Host": "shop.test"}, "tls_config": {"ca_file": "ca.pem", "server_name": "127.0.0.1"}}),
        ),
        ("no compression", json!({"compression": "identity"})),
    ] {
        for (peer, url) in &targets {
            let block = merged(&json!({"tls_config": {"ca_file": "ca.pem"}}), &keys);
            scenarios.add(format!("https: {peer}: {option}"), "http", &block, url, Verdict::Open);
        }
    }
    scenarios.keep((one, two, missing, named));
}
