//! Redirects: where they lead, how many, with which status; and what of the request goes along.

use serde_json::{Value, json};

use crate::support::peer::http::{Answer, HttpPeer, Request};
use crate::support::peer::{End, http, tcp};
use crate::support::pki::Authority;

use super::scenario::{Scenarios, Verdict};

fn options() -> Vec<(&'static str, Value)> {
    vec![
        ("GET", json!({})),
        ("POST", json!({"method": "POST", "body": "a=b"})),
        ("PUT", json!({"method": "PUT", "body": "a=b"})),
        ("HEAD", json!({"method": "HEAD"})),
        ("not followed", json!({"follow_redirects": false})),
        (
            "not followed, and valid",
            json!({"follow_redirects": false, "valid_status_codes": [301, 302, 303, 307, 308]}),
        ),
        (
            "not followed, and a body rule",
            json!({
                "follow_redirects": false, "valid_status_codes": [301, 302, 303, 307, 308],
                "fail_if_body_not_matches_regexp": ["elsewhere"],
            }),
        ),
        ("body rule", json!({"fail_if_body_not_matches_regexp": ["^ok$"]})),
        (
            "header rule",
            json!({"fail_if_header_matches": [{"header": "Location", "regexp": ".", "allow_missing": true}]}),
        ),
        ("password", json!({"basic_auth": {"username": "me", "password": "secret"}})),
        ("token", json!({"bearer_token": "t0ken"})),
        ("Host", json!({"headers": {"Host": "shop.test"}})),
        ("valid 302", json!({"valid_status_codes": [302]})),
        ("fail_if_not_ssl", json!({"fail_if_not_ssl": true, "tls_config": {"ca_file": "ca.pem"}})),
        ("fail_if_ssl", json!({"fail_if_ssl": true, "tls_config": {"ca_file": "ca.pem"}})),
    ]
}

fn moved(status: u16, location: &str) -> Answer {
    http().status(status).header("Location", location).body("it is elsewhere")
}

/// `/N` leads to `/N-1`, and `/0` is there.
fn countdown(request: &Request) -> Answer {
    match request.path().trim_start_matches('/').parse::<u32>() {
        Ok(0) | Err(_) => http(),
        Ok(n) => moved(302, &format!("/{}", n - 1)),
    }
}

fn is(request: &Request, method: &str) -> bool {
    request.head.starts_with(&format!("{method} "))
}

/// Ends at `/end` for a request that is as it should be, and at 400 for another.
fn wants(status: u16, fits: fn(&Request) -> bool) -> HttpPeer {
    HttpPeer::start(None, move |request| match request.path() {
        "/end" if fits(request) => http(),
        "/end" => http().status(400).body("no"),
        _ => moved(status, "/end").header("Set-Cookie", "seen=1; Path=/"),
    })
}

pub(super) fn add(scenarios: &mut Scenarios, authority: &Authority) {
    let mut targets: Vec<(String, String)> = Vec::new();
    let end = http().start();
    let secure = http().start_tls(authority.server());
    let refusing = tcp::refusing();
    let closes = tcp().then(End::Close).start();
    let there = end.url();
    let places = [
        ("another port", format!("{there}/")),
        ("another port, without a path", there.clone()),
        ("another port, with a fragment", format!("{there}/#top")),
        ("another port, without a scheme", there.replace("http:", "")),
        ("https", secure.url()),
        ("refused", format!("http://{}/", refusing.address)),
        ("closed at once", format!("http://{}/", closes.address)),
        ("nowhere", String::new()),
        ("a scheme of its own", "app://open/".to_owned()),
        ("what is no URL", "http://[::1".to_owned()),
        ("another name of the host", there.replace("127.0.0.1", "localhost")),
    ];
    for (name, location) in &places {
        let peer = moved(302, location).start();
        targets.push((format!("to {name}"), peer.url()));
        scenarios.keep(peer);
    }
    let counting = HttpPeer::start(None, countdown);
    for hops in [1, 2, 3, 9, 10, 11, 12] {
        targets.push((format!("{hops} hops"), format!("{}/{hops}", counting.url())));
    }
    let around = moved(302, "/").start();
    targets.push(("in a circle".to_owned(), around.url()));
    let missing = http().status(302).body("it is elsewhere").start();
    targets.push(("without a Location".to_owned(), missing.url()));
    let to_error = HttpPeer::start(None, |request| match request.path() {
        "/end" => http().status(500).body("ok"),
        _ => moved(302, "/end"),
    });
    targets.push(("to a 500".to_owned(), to_error.url()));
    for status in [300, 301, 302, 303, 304, 305, 307, 308] {
        let peer = HttpPeer::start(None, move |request| match request.path() {
            "/end" => http(),
            _ => moved(status, "end"),
        });
        targets.push((format!("{status}, to a path"), peer.url()));
        scenarios.keep(peer);
    }
    for (name, status, fits) in [
        ("302 that wants GET", 302, (|request| is(request, "GET")) as fn(&Request) -> bool),
        ("303 that wants GET", 303, |request| is(request, "GET")),
        ("307 that wants POST", 307, |request| is(request, "POST")),
        ("308 that wants POST", 308, |request| is(request, "POST")),
        ("302 that wants its cookie", 302, |request| request.header("cookie") == Some("seen=1")),
        ("302 that wants the password", 302, |request| request.header("authorization") == Some("Basic bWU6c2VjcmV0")),
        ("302 that wants the token", 302, |request| request.header("authorization") == Some("Bearer t0ken")),
        ("302 that wants the Host", 302, |request| request.header("host") == Some("shop.test")),
    ] {
        let peer = wants(status, fits);
        targets.push((name.to_owned(), peer.url()));
        scenarios.keep(peer);
    }
    let down = moved(301, &there).start_tls(authority.server());
    let trusted = json!({"tls_config": {"ca_file": "ca.pem"}});
    scenarios.add("redirect: from https to http: GET".to_owned(), "http", &trusted, down.url(), Verdict::Up);
    for (option, block) in options() {
        for (name, url) in &targets {
            scenarios.add(format!("redirect: {name}: {option}"), "http", &block, url, verdict(name, option));
        }
    }
    scenarios.keep((end, secure, refusing, closes, counting, around, missing, to_error, down));
}

/// Of what is plain; the rest is the question.
fn verdict(name: &str, option: &str) -> Verdict {
    match (name, option) {
        ("to another port" | "1 hops" | "10 hops" | "302, to a path" | "302 that wants its cookie", "GET") => {
            Verdict::Up
        }
        (
            "to refused" | "to a 500" | "in a circle" | "11 hops" | "to closed at once" | "to a scheme of its own",
            "GET",
        ) => Verdict::Down,
        ("302 that wants GET" | "303 that wants GET" | "307 that wants POST" | "308 that wants POST", "POST") => {
            Verdict::Up
        }
        ("302, to a path", "not followed") => Verdict::Down,
        ("302, to a path", "not followed, and valid") => Verdict::Up,
        _ => Verdict::Open,
    }
}
