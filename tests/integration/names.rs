//! Names in other scripts, in every place that takes a name: DNS, TLS and HTTP have them in ASCII, people as they wrote them.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::exporter::{Exporter, Setup};
use crate::support::peer::grpc::Health;
use crate::support::peer::{dns, http, tcp, websocket};
use crate::support::pki::Authority;

/// Spelling -> its name in ASCII.
const NAMES: &[(&str, &str)] = &[
    ("b\u{fc}cher.test", "xn--bcher-kva.test"),
    ("B\u{dc}CHER.TEST", "xn--bcher-kva.test"),
    ("bu\u{308}cher.test", "xn--bcher-kva.test"),
    ("b\u{fc}cher\u{ff0e}test", "xn--bcher-kva.test"),
    ("stra\u{df}e.test", "xn--strae-oqa.test"),
    ("\u{4f8b}\u{3048}\u{3002}\u{30c6}\u{30b9}\u{30c8}", "xn--r8jz45g.xn--zckzah"),
    ("\u{1f4a9}.test", "xn--ls8h.test"),
    ("xn--bcher-kva.test", "xn--bcher-kva.test"),
    ("_x.b\u{fc}cher.test", "_x.xn--bcher-kva.test"),
];

const PLACES: &[&str] = &[
    "http target",
    "http target, escaped",
    "https target",
    "tcp target",
    "tcp target, TLS",
    "grpc target",
    "websocket target",
    "dns target",
    "query_name",
    "server_name of tcp",
    "server_name of https",
    "Host of http",
    "Host of a WebSocket",
    "no_proxy",
];

fn escaped(name: &str) -> String {
    percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC).to_string().replace("%2E", ".")
}

#[test]
fn names_in_other_scripts_work_in_every_place() {
    let authority = Authority::new("Names");
    let ascii: BTreeSet<&str> = NAMES.iter().map(|(_, ascii)| *ascii).collect();
    let mut zone = dns().address("example.com", "192.0.2.1");
    for name in &ascii {
        zone = zone.address(name, "127.0.0.1");
    }
    let zone = zone.start();
    // A certificate has no underscore; its star has the name below.
    let certified: Vec<&str> =
        ascii.iter().copied().map(|name| if name.starts_with('_') { "*.xn--bcher-kva.test" } else { name }).collect();
    let identity = authority.server_with(&certified, |_| ());
    let (web, secure) = (http().start(), http().start_tls(identity.clone()));
    let (plain, over_tls) = (tcp().start(), tcp().over_tls(identity).start());
    let (health, socket) = (Health::Serving.start(), websocket());
    let nowhere = tcp::refusing();

    let mut modules = serde_json::Map::new();
    let mut targets = Vec::new();
    for (index, (written, _)) in NAMES.iter().enumerate() {
        for place in PLACES {
            let ca = json!({"ca_file": "ca.pem"});
            let named = json!({"ca_file": "ca.pem", "server_name": written});
            let question = json!({"query_name": "example.com", "query_type": "A"});
            let (prober, block, target) = match *place {
                "http target" => ("http", json!({}), format!("http://{written}:{}/", web.address().port())),
                "http target, escaped" => {
                    ("http", json!({}), format!("http://{}:{}/", escaped(written), web.address().port()))
                }
                "https target" => {
                    ("http", json!({"tls_config": ca}), format!("https://{written}:{}/", secure.address().port()))
                }
                "tcp target" => ("tcp", json!({}), format!("{written}:{}", plain.address.port())),
                "tcp target, TLS" => {
                    ("tcp", json!({"tls": true, "tls_config": ca}), format!("{written}:{}", over_tls.address.port()))
                }
                "grpc target" => ("grpc", json!({}), format!("{written}:{}", health.address.port())),
                "websocket target" => ("websocket", json!({}), format!("ws://{written}:{}/", socket.address.port())),
                "dns target" => ("dns", question, format!("{written}:{}", zone.address().port())),
                "query_name" => ("dns", json!({"query_name": written, "query_type": "A"}), zone.address().to_string()),
                "server_name of tcp" => {
                    ("tcp", json!({"tls": true, "tls_config": named}), over_tls.address.to_string())
                }
                "server_name of https" => ("http", json!({"tls_config": named}), secure.url()),
                "Host of http" => ("http", json!({"headers": {"Host": written}}), web.url()),
                "Host of a WebSocket" => {
                    let headers = json!({"headers": {"Host": {"values": [written]}}});
                    ("websocket", headers, format!("ws://{}/", socket.address))
                }
                "no_proxy" => {
                    let proxy = json!({"proxy_url": format!("http://{}", nowhere.address), "no_proxy": written});
                    ("http", proxy, format!("http://{written}:{}/", web.address().port()))
                }
                other => panic!("{other}"),
            };
            let name = format!("{index} {place}");
            let mut block = block;
            block["preferred_ip_protocol"] = json!("ip4");
            let module = json!({"prober": prober, "dns_servers": [zone.address().to_string()], prober: block});
            modules.insert(name.clone(), module);
            targets.push(json!({"name": name, "module": name, "target": target}));
        }
    }
    let config = json!({"global": {"interval": "60s"}, "modules": modules, "targets": targets}).to_string();
    let exporter = Setup::new(&config).file("ca.pem", authority.pem()).start();
    let page = exporter.wait_until("each ran", |page| page.metric("probe_success").all().len() == targets.len());
    let mut wrong = Vec::new();
    for target in &targets {
        let name = target["name"].as_str().unwrap();
        if !page.metric("probe_success").target(name).is(1.0) {
            let listed: Value = exporter.get("/api/v1/targets").json();
            let run = listed["targets"].as_array().unwrap().iter().find(|listed| listed["name"] == name).cloned();
            wrong.push(format!("{target}: {run:?}"));
        }
        let shown = page.metric("probe_target_info").target(name).all()[0].labels["url"].clone();
        assert_eq!(target["target"], shown.as_str(), "people read what they wrote");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let known: BTreeSet<String> = web
        .requests()
        .iter()
        .chain(secure.requests().iter())
        .filter_map(|request| request.header("host").map(|host| host.split(':').next().unwrap_or_default().to_owned()))
        .collect();
    for name in &ascii {
        assert!(known.contains(*name), "no Host header was {name}: {known:?}");
    }
    assert!(known.iter().all(|host| host.is_ascii()), "{known:?}");

    // By request, with the name of the host as a parameter.
    let before = web.requests().len();
    let asked = Exporter::start("modules: {m: {prober: http, http: {preferred_ip_protocol: ip4}}}");
    let query: String = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("module", "m")
        .append_pair("target", &web.url())
        .append_pair("hostname", "b\u{fc}cher.test:8080")
        .finish();
    asked.scrape_path(&format!("/probe?{query}")).metric("probe_success").value(1.0);
    assert_eq!(web.requests()[before].header("host"), Some("xn--bcher-kva.test:8080"));
}

/// Names that can be none, and what has to be said.
const BAD: &[(&str, &str)] = &[
    ("good.a\u{fffd}b.test", "has the label \"a\u{fffd}b\""),
    (
        "good.\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}.test",
        "at most 63 are allowed",
    ),
    ("good..b\u{fc}cher.test", "has an empty label"),
];

#[test]
fn names_that_can_be_none_are_refused_by_their_label() {
    for (name, part) in BAD {
        let config = json!({
            "modules": {
                "http": {"prober": "http"},
                "tcp": {"prober": "tcp"},
                "grpc": {"prober": "grpc"},
                "icmp": {"prober": "icmp"},
                "websocket": {"prober": "websocket"},
                "dns": {"prober": "dns", "dns": {"query_name": "example.com"}},
                "asks": {"prober": "dns", "dns": {"query_name": name}},
                "through": {"prober": "http", "http": {"proxy_url": format!("http://{name}:3128")}},
            },
            "targets": [
                {"name": "http", "module": "http", "target": format!("http://{name}/")},
                {"name": "tcp", "module": "tcp", "target": format!("{name}:1")},
                {"name": "grpc", "module": "grpc", "target": format!("{name}:1")},
                {"name": "icmp", "module": "icmp", "target": name},
                {"name": "websocket", "module": "websocket", "target": format!("ws://{name}/")},
                {"name": "dns", "module": "dns", "target": name},
            ],
        });
        let finished = Setup::new(&config.to_string()).arg("--config.check").run_to_end();
        assert_eq!(finished.code(), 2, "{finished:?}");
        let said = format!("{}{}", finished.stdout, finished.stderr);
        for place in (0..6)
            .map(|index| format!("targets[{index}].target"))
            .chain(["query_name".to_owned(), "proxy_url".to_owned()])
        {
            let line = said.lines().find(|line| line.contains(&format!("{place}: ")));
            assert!(line.is_some_and(|line| line.contains(part)), "{name}: {place}: {part}: {said}");
        }
    }
}
