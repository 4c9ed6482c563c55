//! What each route answers.

use std::collections::BTreeSet;
use std::io::Read;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::{Reply, read_all, start, until};
use crate::metrics::fixture::{many, varied};
use crate::server::Limits;

#[tokio::test]
async fn every_route_answers_as_the_head_of_the_module_says() {
    let server = start(varied(), Limits::default()).await;
    for (path, status, content_type) in [
        ("/", 200, "text/html; charset=utf-8"),
        ("/metrics", 200, "text/plain; version=0.0.4; charset=utf-8"),
        ("/api/v1/targets", 200, "application/json"),
        ("/api/v1/targets/shop", 200, "application/json"),
        ("/config", 200, "text/yaml; charset=utf-8"),
        ("/-/healthy", 200, "text/plain; charset=utf-8"),
        ("/-/ready", 503, "text/plain; charset=utf-8"),
    ] {
        let get = server.get(path).await;
        assert_eq!((get.status, get.headers["content-type"].as_str()), (status, content_type), "{path}");
        assert_eq!(get.headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(get.headers["cache-control"], "no-store", "{path}");
        assert!(get.complete && !get.body.is_empty(), "{path}");

        let head = server.ask(&format!("HEAD {path}"), "").await;
        assert_eq!((head.status, head.headers["content-type"].as_str()), (status, content_type), "{path}");
        assert!(head.body.is_empty(), "{path}");
        assert_ne!(head.headers.get("content-length").map(String::as_str), Some("0"), "{path}");

        let post = server.ask(&format!("POST {path}"), "content-length: 0\r\n").await;
        assert_eq!((post.status, post.headers["allow"].as_str()), (405, "GET, HEAD"), "{path}");
    }
    assert_eq!(server.get("/-/healthy").await.text(), "Healthy\n");
    assert_eq!(server.get("/config").await.text(), "global:\n  password: <secret>\n");
    let get = server.get("/-/reload").await;
    assert_eq!((get.status, get.headers["allow"].as_str()), (405, "POST"));
    let missing = server.get("/nothing?x=1").await;
    assert_eq!(missing.status, 404);
    assert!(missing.text().contains("/metrics"), "a hint at what there is");
    for route in crate::server::routing::ROUTES {
        assert!(missing.text().contains(&route.shown()), "{}: {}", route.shown(), missing.text());
    }
    assert_eq!(server.get("/api/v2").await.json()["error"].as_str().unwrap(), missing.text().trim_end());
    assert_eq!(server.end().await.cut_off, 0);
}

#[tokio::test]
async fn the_metrics_page_has_every_target_and_the_exporter() {
    let server = start(varied(), Limits::default()).await;
    let page = server.get("/metrics").await;
    for line in [
        "probe_success{target=\"shop\",region=\"eu-west\",team=\"web\"} 1",
        "probe_up{target=\"gone\",region=\"eu-west\"} 0",
        &format!("uptime_exporter_targets {}", varied().targets.len()),
        "uptime_exporter_http_requests_in_flight 1",
    ] {
        assert!(page.text().lines().any(|l| l == line), "{line}");
    }
    server.get("/nothing").await;
    let page = server.get("/metrics").await;
    assert!(page.text().contains("uptime_exporter_http_requests_total{code=\"200\"} 1\n"));
    assert!(page.text().contains("uptime_exporter_http_requests_total{code=\"404\"} 1\n"));
    assert!(server.telemetry.render_seconds.get() > 0.0);
    until(|| server.in_flight() == 0).await;
}

#[tokio::test]
async fn a_narrowed_page_has_its_targets_alone() {
    let server = start(varied(), Limits::default()).await;
    let page = server.get("/metrics?target=shop&target=odd%20%22na%5Cme%22%20%3C%26%3E%2F%C3%A9").await;
    assert!(page.text().lines().filter(|line| !line.starts_with('#')).all(|line| {
        line.contains("{target=\"shop\",") || line.contains("{target=\"odd \\\"na\\\\me\\\" <&>/\u{e9}\",")
    }));
    assert!(page.text().contains("probe_up{target=\"odd"));
    let missing = server.get("/metrics?target=none").await;
    assert_eq!((missing.status, missing.text()), (404, "no target is named none\n"));
    assert_eq!(server.get("/metrics?target=shop&target=none").await.status, 200);
    let bad = server.get("/metrics?shard=2&of=2").await;
    assert_eq!((bad.status, bad.text()), (400, "shard=2 is not one of 2 parts; they are counted from 0 to 1\n"));
}

#[tokio::test]
async fn the_shards_together_are_the_whole_page() {
    let server = start(many(60), Limits::default()).await;
    let series = |reply: &Reply| -> BTreeSet<String> {
        let names = reply.text().lines().filter(|line| !line.starts_with('#'));
        names.filter_map(|line| line.rsplit_once(' ')).map(|(series, _)| series.to_owned()).collect()
    };
    server.get("/metrics").await; // So that the request counter is there.
    let whole = series(&server.get("/metrics").await);
    let mut union = BTreeSet::new();
    for index in 0..4 {
        let part = series(&server.get(&format!("/metrics?shard={index}&of=4")).await);
        assert!(part.is_disjoint(&union), "no series is in two shards");
        assert_eq!(part.iter().any(|name| name.starts_with("uptime_exporter_")), index == 0);
        union.extend(part);
    }
    assert_eq!(union, whole);
}

#[tokio::test]
async fn gzip_is_sent_to_those_who_ask_and_holds_the_same_page() {
    let server = start(many(300), Limits::default()).await;
    let path = "GET /metrics?shard=1&of=2";
    let plain = server.ask(path, "accept-encoding: gzip;q=0\r\n").await;
    assert_eq!(plain.headers.get("content-encoding"), None);
    let zipped = server.ask(path, "accept-encoding: br, gzip;q=0.5\r\n").await;
    assert_eq!(zipped.headers["content-encoding"], "gzip");
    assert_eq!(zipped.headers["vary"], "accept, accept-encoding");
    assert!(zipped.complete && zipped.body.len() * 5 < plain.body.len(), "{}", zipped.body.len());
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(zipped.body.as_slice()).read_to_end(&mut text).unwrap();
    assert_eq!(text, plain.body);
    let head = server.ask("HEAD /metrics", "accept-encoding: gzip\r\n").await;
    assert_eq!((head.headers["content-encoding"].as_str(), head.body.len()), ("gzip", 0));
}

#[tokio::test]
async fn open_metrics_is_sent_to_those_who_ask_compressed_or_not() {
    let server = start(many(3), Limits::default()).await;
    let text = server.ask("GET /metrics", "accept: */*\r\n").await;
    assert_eq!(text.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    assert!(!text.text().contains("# EOF") && text.text().contains("# TYPE probe_runs_total counter\n"));
    for (accept, version) in [("1.0.0", "1.0.0"), ("0.0.1", "0.0.1")] {
        let accept =
            format!("accept: application/openmetrics-text;version={accept},text/plain;version=0.0.4;q=0.5\r\n");
        let open = server.ask("GET /metrics?shard=0&of=1", &accept).await;
        let expected = format!("application/openmetrics-text; version={version}; charset=utf-8");
        assert_eq!(open.headers["content-type"], expected);
        assert!(open.text().ends_with("\n# EOF\n"), "{}", open.text());
        for head in ["# TYPE probe_runs counter\n", "# TYPE uptime_exporter_http_requests counter\n"] {
            assert!(open.text().contains(head), "{head}");
        }
        let one = format!("{accept}accept-encoding: gzip\r\n");
        let zipped = server.ask("GET /metrics?target=nobody&shard=1&of=2", &one).await;
        let mut text = String::new();
        flate2::read::GzDecoder::new(zipped.body.as_slice()).read_to_string(&mut text).unwrap();
        assert_eq!(text, "# EOF\n", "a page without series");
    }
}

#[tokio::test]
async fn the_api_lists_targets_and_shows_one() {
    let server = start(varied(), Limits::default()).await;
    let names = |reply: Reply| -> Vec<String> {
        let targets = reply.json()["targets"].as_array().unwrap().clone();
        targets.iter().map(|target| target["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(server.get("/api/v1/targets").await).len(), varied().targets.len());
    assert_eq!(names(server.get("/api/v1/targets?state=down").await), ["expired", "gone"]);
    assert_eq!(names(server.get("/api/v1/targets?state=unknown").await), ["new"]);
    assert_eq!(names(server.get("/api/v1/targets?state=down&state=unknown").await), ["expired", "gone", "new"]);
    assert_eq!(names(server.get("/api/v1/targets?state=maintenance").await), ["mail"]);
    assert_eq!(names(server.get("/api/v1/targets?label=team:web&label=team:post&state=up").await), ["mail", "shop"]);
    assert_eq!(names(server.get("/api/v1/targets?q=e-mail").await), ["mail"]);
    let bad = server.get("/api/v1/targets?state=broken").await;
    assert_eq!(
        (bad.status, bad.json()["error"].as_str().unwrap()),
        (400, "state=\"broken\" is none of down, failing, unknown, slow, maintenance, up")
    );
    let odd = server.get("/api/v1/targets/odd%20%22na%5Cme%22%20%3C%26%3E%2F%C3%A9").await.json();
    assert_eq!(odd["evidence"]["last_good"]["http"]["status"], 200);
    let missing = server.get("/api/v1/targets/none").await;
    assert_eq!(missing.status, 404);
    assert_eq!(missing.json()["error"], "no target is named \"none\"; /api/v1/targets lists them");
    assert_eq!(server.get("/api/v1/targets/%ff").await.status, 400);
}

#[tokio::test]
async fn readiness_follows_the_latch() {
    let server = start(varied(), Limits::default()).await;
    assert_eq!(server.get("/-/ready").await.status, 503);
    server.ready.send(true).unwrap();
    assert_eq!(server.get("/-/ready").await.status, 200);
}

#[tokio::test]
async fn a_reload_answers_with_what_came_of_it() {
    let mut server = start(varied(), Limits::default()).await;
    let post = "POST /-/reload";
    let evil = server.ask(post, "origin: http://evil.example\r\ncontent-length: 0\r\n").await;
    assert_eq!(evil.status, 403);
    assert!(server.reloads.try_recv().is_err(), "nothing was asked for");

    for (result, status, text) in [
        (Ok(()), 200, "The config was loaded.\n"),
        (
            Err("targets[0].module: no such module\nglobal: bad".to_owned()),
            500,
            "targets[0].module: no such module\nglobal: bad\n",
        ),
    ] {
        let (reply, ()) = tokio::join!(server_ask(server.address), async {
            let request = server.reloads.recv().await.unwrap();
            request.send(result).unwrap();
        });
        assert_eq!((reply.status, reply.text()), (status, text));
    }
    server.reloads.close();
    while server.reloads.try_recv().is_ok() {}
    let stopping = server.ask(post, "content-length: 0\r\n").await;
    assert_eq!((stopping.status, stopping.text()), (500, "The exporter is stopping; the config was not loaded.\n"));
}

#[tokio::test]
async fn a_reload_that_takes_long_is_not_waited_for() {
    let server = start(varied(), Limits { reload: Duration::from_millis(20), ..Limits::default() }).await;
    let reply = server.ask("POST /-/reload", "content-length: 0\r\n").await;
    assert_eq!(reply.status, 500);
    assert!(reply.text().starts_with("The reload is still going on"));
}

async fn server_ask(address: SocketAddr) -> Reply {
    let mut socket = TcpStream::connect(address).await.unwrap();
    let request = b"POST /-/reload HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    socket.write_all(request).await.unwrap();
    Reply::parse(&read_all(&mut socket).await)
}

#[tokio::test]
async fn the_page_for_people_allows_nothing_from_elsewhere() {
    let server = start(varied(), Limits::default()).await;
    let page = server.get("/").await;
    let policy = &page.headers["content-security-policy"];
    assert!(policy.starts_with("default-src 'none'; ") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(page.text().matches("<script").count(), 1);
    assert_eq!(page.headers["referrer-policy"], "no-referrer");
}

#[tokio::test]
async fn what_the_list_is_asked_for_stands_in_the_url_and_is_never_ignored() {
    let server = start(varied(), Limits::default()).await;
    let page = server.get("/?q=e-mail&group=team&sort=-name&page=1").await;
    assert_eq!(page.status, 200);
    assert_eq!(page.text().matches("data-target=").count(), 1);
    let bad = server.get("/?sort=age&label=%3Cb%3E&stat=down").await;
    assert_eq!((bad.status, bad.headers["content-type"].as_str()), (400, "text/html; charset=utf-8"));
    for part in [
        "sort=&quot;age&quot; is none of",
        "label=&quot;&lt;b&gt;&quot; is not NAME:VALUE",
        "&quot;stat&quot; is no parameter",
    ] {
        assert!(bad.text().contains(part), "{part}: {}", bad.text());
    }
    assert_eq!(bad.headers["content-security-policy"], page.headers["content-security-policy"]);
}

/// What Firefox sends.
const BROWSER: &str = "accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n";

#[tokio::test]
async fn browsers_get_runbooks_as_html_and_curl_as_markdown() {
    let server = start(varied(), Limits::default()).await;
    for (path, accept, content_type, part) in [
        ("/runbooks/tls_expired", BROWSER, "text/html; charset=utf-8", "<h1>tls_expired</h1>"),
        ("/runbooks/tls_expired", "accept: */*\r\n", "text/plain; charset=utf-8", "# tls_expired\n"),
        ("/runbooks/tls_expired", "", "text/plain; charset=utf-8", "# tls_expired\n"),
        ("/runbooks/tls_expired", "accept: text/markdown\r\n", "text/markdown; charset=utf-8", "# tls_expired\n"),
        ("/runbooks/tls_expired.md", BROWSER, "text/markdown; charset=utf-8", "# tls_expired\n"),
        ("/runbooks/", BROWSER, "text/html; charset=utf-8", "<a href=\"tls_expired\">tls_expired</a>"),
        ("/runbooks/", "", "text/plain; charset=utf-8", "[tls_expired](tls_expired.md)"),
        ("/runbooks/tls_expired?target=shop", BROWSER, "text/html; charset=utf-8", "<a href=\"../targets/shop\">"),
    ] {
        let reply = server.ask(&format!("GET {path}"), accept).await;
        assert_eq!((reply.status, reply.headers["content-type"].as_str()), (200, content_type), "{path} {accept}");
        assert_eq!(reply.headers["vary"], "accept, accept-encoding", "{path}");
        assert!(reply.text().contains(part), "{path} {accept}: {}", reply.text());
        let guarded = reply.headers.contains_key("content-security-policy");
        assert_eq!(guarded, content_type.starts_with("text/html"), "{path} {accept}");
    }
    let unknown = server.ask("GET /runbooks/tls_expired?target=nobody", BROWSER).await;
    assert!(!unknown.text().contains("nobody"), "a link to no page");
}

#[tokio::test]
async fn a_wrong_path_is_answered_in_the_form_that_is_read() {
    let server = start(varied(), Limits::default()).await;
    for (request, status) in [
        ("GET /nothing", 404),
        ("GET /targets/nobody", 404),
        ("GET /targets/%ff", 400),
        ("GET /runbooks/nothing", 404),
        ("GET /runbooks/../metrics", 404),
        ("POST /targets/shop", 405),
        ("DELETE /runbooks/tls_expired", 405),
        ("GET /-/reload", 405),
    ] {
        let page = server.ask(request, BROWSER).await;
        assert_eq!(
            (page.status, page.headers["content-type"].as_str()),
            (status, "text/html; charset=utf-8"),
            "{request}"
        );
        assert!(page.headers["content-security-policy"].starts_with("default-src 'none'"), "{request}");
        assert!(page.text().contains("runbooks/NAME</code></a>"), "{request}: {}", page.text());
        assert_eq!(page.headers["vary"], "accept", "{request}");
        let text = server.ask(request, "accept: */*\r\n").await;
        assert_eq!((text.status, text.headers["content-type"].as_str()), (status, "text/plain; charset=utf-8"));
        assert_eq!(text.headers.get("allow"), page.headers.get("allow"), "{request}");
        assert_eq!(status == 405, page.headers.contains_key("allow"), "{request}");
    }
    let api = server.ask("GET /api/v1/targets/nobody", BROWSER).await;
    assert_eq!(api.json()["error"], "no target is named \"nobody\"; /api/v1/targets lists them");
}

#[tokio::test]
async fn a_slash_or_a_name_that_was_left_out_is_made_good() {
    let server = start(varied(), Limits::default()).await;
    for (path, to) in [("/runbooks", "runbooks/"), ("/targets", "./"), ("/targets/", "../")] {
        let reply = server.get(path).await;
        assert_eq!((reply.status, reply.headers["location"].as_str()), (302, to), "{path}");
    }
}
