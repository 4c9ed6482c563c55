//! Which address is taken: names and literals of both families, by every prober; and pings.

use std::net::{Ipv4Addr, Ipv6Addr};

use serde_json::{Value, json};

use crate::support::peer::grpc::Health;
use crate::support::peer::{dns, http};

use super::scenario::{Patience, Scenarios, Verdict, merged};

/// What of addresses a module can say.
fn choices() -> Vec<(&'static str, Value)> {
    let mut choices = Vec::new();
    for preferred in ["ip4", "ip6", ""] {
        for (fallback, name) in
            [(Some(true), "with a fallback"), (Some(false), "without a fallback"), (None, "as it is")]
        {
            let mut block = json!({"preferred_ip_protocol": preferred});
            if let Some(fallback) = fallback {
                block["ip_protocol_fallback"] = json!(fallback);
            }
            let preferred = if preferred.is_empty() { "no preference" } else { preferred };
            choices.push((format!("{preferred} {name}").leak() as &str, block));
        }
    }
    choices
}

pub(super) fn add(scenarios: &mut Scenarios) {
    // They listen on 127.0.0.1 alone, so by IPv6 they are refused: only one connection is attempted, whichever.
    let web = http().start();
    let health = Health::Serving.start();
    let names = dns().address("example.com", "192.0.2.1").start();
    let ports = [
        ("http", web.address().port()),
        ("tcp", web.address().port()),
        ("grpc", health.address.port()),
        ("dns", names.address().port()),
    ];
    for (choice, block) in choices() {
        for (prober, port) in ports {
            let block = if prober == "dns" {
                merged(&block, &json!({"query_name": "example.com", "query_type": "A"}))
            } else {
                block.clone()
            };
            for host in ["127.0.0.1", "[::1]", "localhost", "[::ffff:127.0.0.1]"] {
                let target = if prober == "http" { format!("http://{host}:{port}/") } else { format!("{host}:{port}") };
                let verdict = match (host, choice) {
                    ("127.0.0.1", choice) if choice.starts_with("ip4") => Verdict::Up,
                    ("[::1]", choice) if choice.starts_with("ip6") => Verdict::Down,
                    _ => Verdict::Open,
                };
                scenarios.add(format!("{prober}: {host}: {choice}"), prober, &block, target, verdict);
            }
        }
    }
    nowhere(scenarios);
    spellings(scenarios, &ports);
    pings(scenarios);
    scenarios.keep((web, health, names));
}

/// Names that nobody has (RFC 6761).
fn nowhere(scenarios: &mut Scenarios) {
    for (prober, target) in [
        ("http", "http://no-such-name.invalid/"),
        ("tcp", "no-such-name.invalid:1"),
        ("icmp", "no-such-name.invalid"),
        ("grpc", "no-such-name.invalid:1"),
        ("dns", "no-such-name.invalid"),
    ] {
        let block = if prober == "dns" { json!({"query_name": "example.com"}) } else { json!({}) };
        let name = format!("{prober}: no such name");
        scenarios.add_with(name, prober, &block, target, Verdict::Down, Patience::Short);
    }
}

/// Targets as people write them.
fn spellings(scenarios: &mut Scenarios, ports: &[(&str, u16)]) {
    let port = ports[0].1;
    for (name, target, verdict) in [
        ("without a scheme", format!("127.0.0.1:{port}"), Verdict::Up),
        ("without a scheme, with a path", format!("127.0.0.1:{port}/a?b=c"), Verdict::Up),
        ("with a fragment", format!("http://127.0.0.1:{port}/#top"), Verdict::Up),
        ("with a question", format!("http://127.0.0.1:{port}?a=b&c=d"), Verdict::Up),
        ("with escapes", format!("http://127.0.0.1:{port}/%7Ea%2Fb"), Verdict::Up),
        ("with other scripts", format!("http://127.0.0.1:{port}/zurück"), Verdict::Up),
        ("with a user", format!("http://me:secret@127.0.0.1:{port}/"), Verdict::Up),
        ("with another scheme", format!("ftp://127.0.0.1:{port}/"), Verdict::Down),
        ("with a port that is none", "http://127.0.0.1:99999/".to_owned(), Verdict::Down),
        ("with a port of words", "http://127.0.0.1:http/".to_owned(), Verdict::Down),
        ("without a host", "http://".to_owned(), Verdict::Down),
        ("with a scheme in capitals", format!("HTTP://127.0.0.1:{port}/"), Verdict::Up),
        ("with a space", format!("http://127.0.0.1:{port}/a b"), Verdict::Up),
        ("with a space in the query", format!("http://127.0.0.1:{port}/?q=a b"), Verdict::Up),
        ("with characters to be escaped", format!("http://127.0.0.1:{port}/a|b^c`d{{e}}\"<f>"), Verdict::Up),
        (
            "with characters to be escaped in the query",
            format!("http://127.0.0.1:{port}/?a|b^c`d{{e}}<f>"),
            Verdict::Up,
        ),
        ("with a backslash", format!("http://127.0.0.1:{port}/a\\b"), Verdict::Up),
        ("with a percent sign in the query", format!("http://127.0.0.1:{port}/?full=100%"), Verdict::Up),
        ("with an empty port", "http://127.0.0.1:/".to_owned(), Verdict::Open),
        ("with a bad escape", format!("http://127.0.0.1:{port}/100%"), Verdict::Down),
        ("with a control character", format!("http://127.0.0.1:{port}/a\nb"), Verdict::Down),
        ("with a space in the host", format!("http://127.0.0.1 :{port}/"), Verdict::Down),
        ("with spaces around it", format!(" http://127.0.0.1:{port}/ "), Verdict::Up),
        ("of IPv6 without brackets", "http://::1/".to_owned(), Verdict::Down),
    ] {
        scenarios.add(format!("http: target {name}"), "http", &json!({}), target, verdict);
    }
    for (name, target, verdict) in [
        ("without a port", "127.0.0.1".to_owned(), Verdict::Down),
        ("with a port that is none", "127.0.0.1:99999".to_owned(), Verdict::Down),
        ("with an empty port", "127.0.0.1:".to_owned(), Verdict::Down),
        ("of IPv6 without brackets", "::1".to_owned(), Verdict::Down),
        ("with a scheme", format!("tcp://127.0.0.1:{port}"), Verdict::Down),
        ("with brackets around IPv4", format!("[127.0.0.1]:{port}"), Verdict::Up),
        ("with brackets around a name", format!("[localhost]:{port}"), Verdict::Up),
        ("with a port 0", "127.0.0.1:0".to_owned(), Verdict::Down),
        ("with a port by name", "127.0.0.1:tcpmux".to_owned(), Verdict::Down),
        ("with a port by name in capitals", "127.0.0.1:TCPMUX".to_owned(), Verdict::Down),
        ("with a port by a name that is none", "127.0.0.1:no-such-service".to_owned(), Verdict::Down),
        ("with spaces around it", format!(" 127.0.0.1:{port} "), Verdict::Up),
    ] {
        scenarios.add(format!("tcp: target {name}"), "tcp", &json!({}), target, verdict);
    }
    let health = ports[2].1;
    for (name, target, verdict) in [
        ("as a URL", format!("http://127.0.0.1:{health}"), Verdict::Up),
        ("as a URL of TLS", format!("https://127.0.0.1:{health}"), Verdict::Up),
        ("with a path", format!("127.0.0.1:{health}/grpc.health.v1.Health/Check"), Verdict::Up),
        ("as a URL with a path", format!("http://127.0.0.1:{health}/x?y#z"), Verdict::Up),
        ("as a URL with a user", format!("http://me:secret@127.0.0.1:{health}"), Verdict::Up),
        ("with another scheme", format!("dns:///127.0.0.1:{health}"), Verdict::Down),
    ] {
        scenarios.add(format!("grpc: target {name}"), "grpc", &json!({}), target, verdict);
    }
    let block = json!({"query_name": "example.com", "query_type": "A"});
    for (name, target, verdict) in [
        ("with brackets around IPv4", format!("[127.0.0.1]:{}", ports[3].1), Verdict::Up),
        ("with a port by name", "127.0.0.1:discard".to_owned(), Verdict::Down),
        ("with a port by a name that is none", "127.0.0.1:no-such-service".to_owned(), Verdict::Down),
        ("with an empty port", "127.0.0.1:".to_owned(), Verdict::Down),
        ("with a scheme", "udp://127.0.0.1".to_owned(), Verdict::Down),
    ] {
        scenarios.add(format!("dns: target {name}"), "dns", &block, target, verdict);
    }
}

fn pings(scenarios: &mut Scenarios) {
    // Who may not ping says so of every target.
    let target = |host: &str| host.trim_matches(['[', ']']).to_owned();
    for (choice, block) in choices() {
        for host in ["127.0.0.1", "[::1]", "localhost"] {
            scenarios.add_with(
                format!("icmp: {host}: {choice}"),
                "icmp",
                &block,
                target(host),
                Verdict::Open,
                Patience::Short,
            );
        }
    }
    for (family, host) in [("ip4", Ipv4Addr::LOCALHOST.to_string()), ("ip6", Ipv6Addr::LOCALHOST.to_string())] {
        for (option, block) in [
            ("1 byte", json!({"payload_size": 1})),
            ("56 bytes", json!({"payload_size": 56})),
            ("1400 bytes", json!({"payload_size": 1400})),
            ("8000 bytes", json!({"payload_size": 8000})),
            ("60000 bytes", json!({"payload_size": 60000})),
            ("ttl 1", json!({"ttl": 1})),
            ("ttl 255", json!({"ttl": 255})),
        ] {
            let block = merged(&block, &json!({"preferred_ip_protocol": family}));
            scenarios.add_with(
                format!("icmp: {host}: {option}"),
                "icmp",
                &block,
                &host,
                Verdict::Open,
                Patience::Short,
            );
        }
    }
    let whole = json!({"dont_fragment": true});
    scenarios.add_with(
        "icmp: 127.0.0.1: in one piece".to_owned(),
        "icmp",
        &whole,
        "127.0.0.1",
        Verdict::Open,
        Patience::Short,
    );
    let from = json!({"source_ip_address": "127.0.0.1"});
    scenarios.add_with(
        "icmp: 127.0.0.1: from an address".to_owned(),
        "icmp",
        &from,
        "127.0.0.1",
        Verdict::Open,
        Patience::Short,
    );
}
