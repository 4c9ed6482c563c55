//! Options of the http prober, each with what it makes of an answer, crossed with the servers of `http_peers`.

use serde_json::{Value, json};

use crate::support::peer::tcp;

use super::http_peers::{self, Seen};
use super::scenario::{Patience, Scenarios, Verdict};

/// An option, and the verdict about an answer.
type Row = (&'static str, Value, fn(&Seen) -> Verdict);

/// With servers that are odd on the wire.
const ON_THE_WIRE: &[&str] = &[
    "GET",
    "POST with a body",
    "HEAD",
    "valid_status_codes 200, 404, 500",
    "valid_http_versions 1.1",
    "header does not match one of its values",
    "body does not match",
    "body_size_limit 10B",
    "compression gzip",
];

/// It takes any answer that is whole and has this property.
fn whole(seen: &Seen, holds: bool) -> Verdict {
    if seen.odd { Verdict::Open } else { (seen.status != 0 && !seen.cut && holds).into() }
}

/// It takes what is a success and has this property too.
fn good(seen: &Seen, holds: bool) -> Verdict {
    whole(seen, (200..300).contains(&seen.status) && holds)
}

fn usual(seen: &Seen) -> Verdict {
    good(seen, true)
}

/// The body is what comes out of this decoder.
fn decoded(seen: &Seen, coding: &str) -> Verdict {
    // An empty body is no stream of gzip; which decoder says so of what is nonsense is its own affair.
    if seen.coded.as_ref().is_some_and(|(by, _)| *by == coding) { usual(seen) } else { Verdict::Open }
}

fn header(name: &str, regexp: &str) -> Value {
    json!([{"header": name, "regexp": regexp}])
}

fn methods() -> Vec<Row> {
    vec![
        ("GET", json!({}), usual),
        ("GET with a body", json!({"body": "a=b"}), usual),
        ("POST with a body", json!({"method": "POST", "body": "a=b"}), usual),
        ("POST without a body", json!({"method": "POST"}), usual),
        ("PUT with a body", json!({"method": "PUT", "body": "a=b"}), usual),
        ("DELETE", json!({"method": "DELETE"}), usual),
        ("OPTIONS", json!({"method": "OPTIONS"}), usual),
        // These peers send a body all the same.
        ("HEAD", json!({"method": "HEAD"}), |_| Verdict::Open),
        ("basic_auth", json!({"basic_auth": {"username": "me", "password": "secret"}}), usual),
        ("authorization", json!({"authorization": {"credentials": "t0ken"}}), usual),
        ("bearer_token", json!({"bearer_token": "t0ken"}), usual),
        ("headers", json!({"headers": {"Host": "shop.test", "X-A": "b", "User-Agent": "Mine/1"}}), usual),
        ("headers: Accept-Encoding", json!({"headers": {"Accept-Encoding": "gzip"}}), usual),
        ("headers: Range", json!({"headers": {"Range": "bytes=0-1"}}), usual),
    ]
}

fn verdicts() -> Vec<Row> {
    vec![
        ("valid_status_codes 200, 404, 500", json!({"valid_status_codes": [200, 404, 500]}), |seen| {
            whole(seen, [200, 404, 500].contains(&seen.status))
        }),
        ("valid_status_codes 301", json!({"valid_status_codes": [301]}), |seen| whole(seen, seen.status == 301)),
        ("valid_status_codes 401", json!({"valid_status_codes": [401]}), |seen| whole(seen, seen.status == 401)),
        ("valid_http_versions 1.1", json!({"valid_http_versions": ["HTTP/1.1"]}), |seen| {
            good(seen, seen.version == "HTTP/1.1")
        }),
        ("valid_http_versions 1.0", json!({"valid_http_versions": ["HTTP/1.0"]}), |seen| {
            good(seen, seen.version == "HTTP/1.0")
        }),
        ("valid_http_versions 1.1, 2.0", json!({"valid_http_versions": ["HTTP/1.1", "HTTP/2.0"]}), |seen| {
            good(seen, seen.version == "HTTP/1.1")
        }),
        ("valid_http_versions 2.0", json!({"valid_http_versions": ["HTTP/2.0"]}), |seen| good(seen, false)),
        ("fail_if_ssl", json!({"fail_if_ssl": true}), usual),
        ("fail_if_not_ssl", json!({"fail_if_not_ssl": true}), |seen| good(seen, false)),
        ("follow_redirects false", json!({"follow_redirects": false}), usual),
        ("no_follow_redirects", json!({"no_follow_redirects": true}), usual),
        ("enable_http2 false", json!({"enable_http2": false}), usual),
        ("skip_resolve_phase_with_proxy", json!({"skip_resolve_phase_with_proxy": true}), usual),
    ]
}

fn headers() -> Vec<Row> {
    vec![
        ("header matches Content-Type", json!({"fail_if_header_matches": header("Content-Type", "html")}), |seen| {
            good(seen, !seen.headers.is_empty() && seen.has("content-type", "") && !seen.has("content-type", "html"))
        }),
        ("header matches one of its values", json!({"fail_if_header_matches": header("X-Version", "7")}), |seen| {
            good(seen, seen.has("x-version", "") && !seen.has("x-version", "7"))
        }),
        (
            "header matches, or is missing",
            json!({"fail_if_header_matches": [{"header": "x-version", "regexp": "7", "allow_missing": true}]}),
            |seen| good(seen, !seen.has("x-version", "7")),
        ),
        (
            "header does not match Content-Type",
            json!({"fail_if_header_not_matches": header("Content-Type", "^text/")}),
            |seen| good(seen, seen.has("content-type", "text/")),
        ),
        (
            "header does not match one of its values",
            json!({"fail_if_header_not_matches": header("X-Version", "^7$")}),
            |seen| good(seen, seen.has("x-version", "7")),
        ),
        (
            "header does not match, or is missing",
            json!({"fail_if_header_not_matches": [{"header": "X-None", "regexp": "7", "allow_missing": true}]}),
            usual,
        ),
    ]
}

fn bodies() -> Vec<Row> {
    vec![
        ("body matches", json!({"fail_if_body_matches_regexp": ["ok"]}), |seen| good(seen, !seen.says("ok"))),
        ("body matches one of two", json!({"fail_if_body_matches_regexp": ["never", "o[k]"]}), |seen| {
            good(seen, !seen.says("ok"))
        }),
        ("body does not match", json!({"fail_if_body_not_matches_regexp": ["ok"]}), |seen| good(seen, seen.says("ok"))),
        ("body does not match both", json!({"fail_if_body_not_matches_regexp": ["ok", "never"]}), |seen| {
            good(seen, false)
        }),
        ("body in any case", json!({"fail_if_body_not_matches_regexp": ["(?i)OK"]}), |seen| {
            good(seen, seen.says("ok"))
        }),
        ("the whole body", json!({"fail_if_body_not_matches_regexp": ["^ok$"]}), |seen| good(seen, seen.body == b"ok")),
        ("body over lines", json!({"fail_if_body_matches_regexp": ["(?s)a.*z", "\\bnot\\b here"]}), usual),
        (
            "header and body",
            json!({
                "fail_if_header_not_matches": header("Content-Type", "html"), "fail_if_body_not_matches_regexp": ["ok"],
            }),
            |seen| good(seen, seen.has("content-type", "html") && seen.says("ok")),
        ),
        ("body_size_limit 10B", json!({"body_size_limit": "10B"}), |seen| good(seen, seen.body.len() <= 10)),
        ("body_size_limit 100KB", json!({"body_size_limit": "100KB"}), |seen| good(seen, seen.body.len() <= 100 << 10)),
        (
            "body_size_limit and a rule",
            json!({
                "body_size_limit": "100KB", "fail_if_body_not_matches_regexp": ["ok"],
            }),
            |seen| good(seen, seen.body.len() <= 100 << 10 && seen.says("ok")),
        ),
        ("compression gzip", json!({"compression": "gzip"}), |seen| decoded(seen, "gzip")),
        ("compression br", json!({"compression": "br"}), |seen| decoded(seen, "br")),
        ("compression deflate", json!({"compression": "deflate"}), |seen| decoded(seen, "deflate")),
        ("compression identity", json!({"compression": "identity"}), usual),
        (
            "compression gzip and a rule",
            json!({
                "compression": "gzip", "fail_if_body_not_matches_regexp": ["ok ok"],
            }),
            |seen| decoded(seen, "gzip"),
        ),
        ("compression gzip and a limit", json!({"compression": "gzip", "body_size_limit": "10B"}), |_| Verdict::Open),
    ]
}

pub(super) fn add(scenarios: &mut Scenarios) {
    let peers = http_peers::start(scenarios);
    for (option, block, verdict) in [methods(), verdicts(), headers(), bodies()].concat() {
        for peer in peers.iter().filter(|peer| !peer.wire || ON_THE_WIRE.contains(&option)) {
            let verdict = verdict(&(peer.seen)(option));
            scenarios.add(format!("http: {}: {option}", peer.name), "http", &block, &peer.url, verdict);
        }
    }
    let silent = tcp().start();
    for (option, block) in [
        ("GET", json!({})),
        ("POST", json!({"method": "POST", "body": "a=b"})),
        ("body rule", json!({"fail_if_body_not_matches_regexp": ["ok"]})),
        ("header rule", json!({"fail_if_header_not_matches": header("X-None", "7")})),
        ("compression", json!({"compression": "gzip"})),
    ] {
        for scheme in ["http", "https"] {
            let (name, url) = (format!("{scheme}: silent: {option}"), format!("{scheme}://{}/", silent.address));
            scenarios.add_with(name, "http", &block, url, Verdict::Down, Patience::Short);
        }
    }
    scenarios.keep(silent);
}
