//! The grpc prober: what the health service says, for which service, in the clear and over TLS.

use serde_json::json;

use crate::support::peer::grpc::Health;
use crate::support::peer::{End, http, tcp};
use crate::support::pki::Authority;

use super::scenario::{Patience, Scenarios, Verdict, merged};

pub(super) fn add(scenarios: &mut Scenarios, authority: &Authority) {
    let config = authority.server();
    let mut answers = vec![("serving".to_owned(), Health::Serving), ("not serving".to_owned(), Health::NotServing)];
    answers.extend((1..=16).map(|code| (format!("status {code}"), Health::Status(code))));
    let trusted = json!({"tls": true, "tls_config": {"ca_file": "ca.pem"}});
    for (what, health) in &answers {
        let (plain, secure) = (health.start(), health.start_tls(&config));
        for (option, block) in [
            ("itself", json!({})),
            ("a service", json!({"service": "shop"})),
            ("a service with an odd name", json!({"service": "shop.v1/Über \"x\""})),
        ] {
            let verdict = matches!(health, Health::Serving).into();
            scenarios.add(format!("grpc: {what}: {option}"), "grpc", &block, plain.address, verdict);
            let block = merged(&block, &trusted);
            scenarios.add(format!("grpc tls: {what}: {option}"), "grpc", &block, secure.address, verdict);
        }
        let across =
            [("plain to TLS", json!({}), secure.address), ("TLS to plain", json!({"tls": true}), plain.address)];
        if matches!(health, Health::Serving) {
            for (name, block, address) in across {
                scenarios.add_with(format!("grpc: {name}"), "grpc", &block, address, Verdict::Down, Patience::Short);
            }
        }
        scenarios.keep((plain, secure));
    }
    let refusing = tcp::refusing();
    let closes = tcp().then(End::Close).start();
    let ssh = tcp().greets("SSH-2.0-OpenSSH_9.9\r\n").then(End::Close).start();
    let web = http().start();
    for (name, address) in [
        ("refused", refusing.address),
        ("closed at once", closes.address),
        ("SSH", ssh.address),
        ("HTTP/1.1", web.address()),
    ] {
        for (option, block) in [("itself", json!({})), ("tls", json!({"tls": true}))] {
            // It would wait for the end of a request, and the client for the server's hello.
            if (name, option) == ("HTTP/1.1", "tls") {
                continue;
            }
            let name = format!("grpc: {name}: {option}");
            scenarios.add_with(name, "grpc", &block, address, Verdict::Down, Patience::Short);
        }
    }
    scenarios.keep((refusing, closes, ssh, web));
}
