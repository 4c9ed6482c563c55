//! Redirects, and what goes along with them.

use super::super::testing::*;
use crate::config::http::{HttpAuth, StatusRange};
use crate::config::{HttpSettings, Secret};
use crate::observation::Reason;

fn basic() -> Option<HttpAuth> {
    Some(HttpAuth::Basic { username: "user".into(), password: Secret::new("pass") })
}

const BASIC: Option<&str> = Some("Basic dXNlcjpwYXNz");

#[tokio::test]
async fn ten_redirects_are_followed_and_the_eleventh_is_judged() {
    let peer = Peer::start(|request| {
        let path = request.split(' ').nth(1).unwrap();
        let left: u32 = path.trim_start_matches('/').split('?').next().unwrap().parse().unwrap();
        if left == 0 { ok() } else { redirect(302, &format!("/{}?secret=1", left - 1)) }
    })
    .await;
    let observation = probe(settings(), &format!("{}10", peer.url())).await;
    assert!(observation.outcome.is_up(), "{observation:?}");
    assert_eq!(detail(&observation).redirects, 10);
    let chain = &detail(&observation).redirect_chain;
    assert_eq!((chain.len(), &*chain[9]), (10, format!("{}0", peer.url()).as_str()));

    let observation = probe(settings(), &format!("{}11", peer.url())).await;
    assert_eq!(reason(&observation), Some(Reason::HttpRedirect));
    assert_eq!(detail(&observation).redirects, 11);
    assert_eq!(detail(&observation).status, Some(302));

    let accepting = HttpSettings { valid_status_codes: vec![StatusRange { first: 300, last: 399 }], ..settings() };
    assert!(probe(accepting, &format!("{}11", peer.url())).await.outcome.is_up());
}

#[tokio::test]
async fn redirects_to_nowhere_are_a_reason_of_their_own() {
    for location in ["ftp://example.org/", "http://", "mailto:a@example.org"] {
        let peer = Peer::start(move |_| redirect(302, location)).await;
        let observation = probe(settings(), &peer.url()).await;
        assert_eq!(reason(&observation), Some(Reason::HttpRedirect), "{location} {observation:?}");
        assert_eq!(detail(&observation).redirects, 1);
    }
    let peer = Peer::start(|_| answer("302 Found", "", "")).await;
    let observation = probe(settings(), &peer.url()).await;
    assert_eq!(reason(&observation), Some(Reason::HttpStatus), "no Location: an answer like any other");
    assert_eq!(detail(&observation).redirects, 0);
}

#[tokio::test]
async fn a_redirect_that_is_not_followed_is_judged() {
    let peer = Peer::start(|_| redirect(301, "/next")).await;
    let observation = probe(HttpSettings { follow_redirects: false, ..settings() }, &peer.url()).await;
    assert_eq!(reason(&observation), Some(Reason::HttpStatus));
    assert_eq!(detail(&observation).redirects, 1);
    assert_eq!(peer.requests().len(), 1);
}

#[tokio::test]
async fn post_becomes_get_or_stays_by_status() {
    for (status, line, body) in [(302, "GET /next ", ""), (303, "GET /next ", ""), (307, "POST /next ", "ping")] {
        let peer = Peer::start(move |request| match request.contains(" /next ") {
            true => ok(),
            false => redirect(status, "/next"),
        })
        .await;
        let mut headers = http::HeaderMap::new();
        headers.insert("content-type", http::HeaderValue::from_static("text/plain"));
        let settings = HttpSettings { method: http::Method::POST, body: "ping".into(), headers, ..settings() };
        assert!(probe(settings, &peer.url()).await.outcome.is_up());
        let second = &peer.requests()[1];
        assert!(second.starts_with(line) && second.ends_with(&format!("\r\n\r\n{body}")), "{second}");
        assert_eq!(header(second, "content-type").is_some(), !body.is_empty());
    }
}

#[tokio::test]
async fn cookies_set_on_a_redirect_are_sent_on_the_next_hop() {
    let peer = Peer::start(|request| match header(request, "cookie") {
        Some("own=1; session=42") => ok(),
        _ => answer("302 Found", "Location: /\r\nSet-Cookie: session=42; Path=/; HttpOnly\r\n", ""),
    })
    .await;
    let mut headers = http::HeaderMap::new();
    headers.insert("cookie", http::HeaderValue::from_static("own=1"));
    let prober = prober(HttpSettings { headers, ..settings() }, &peer.url());
    for _ in 0..2 {
        let observation = run(&prober, std::time::Duration::from_secs(20)).await;
        assert!(observation.outcome.is_up(), "{observation:?}");
    }
    let sent: Vec<_> = peer.requests().iter().map(|request| header(request, "cookie").map(str::to_owned)).collect();
    let (own, both) = (Some("own=1".to_owned()), Some("own=1; session=42".to_owned()));
    assert_eq!(sent, [own.clone(), both.clone(), own, both], "no cookie outlives its run");
}

/// Credentials of every kind, and the headers of a request that carry them.
fn with_credentials() -> HttpSettings {
    let mut headers = http::HeaderMap::new();
    let mut secret = http::HeaderValue::from_static("key");
    secret.set_sensitive(true);
    headers.insert("x-api-key", secret);
    headers.insert("cookie", http::HeaderValue::from_static("own=1"));
    headers.insert("x-plain", http::HeaderValue::from_static("plain"));
    HttpSettings { headers, auth: basic(), ..settings() }
}

fn credentials(request: &str) -> [Option<&str>; 3] {
    ["authorization", "x-api-key", "cookie"].map(|name| header(request, name))
}

#[tokio::test]
async fn credentials_stay_on_the_same_host_name() {
    let dns_servers = dns().await;
    let second = Peer::start(|_| ok()).await;
    let next = format!("http://shop.test:{}/x", second.port());
    let first = Peer::start(move |_| redirect(302, &next)).await;
    let settings = HttpSettings { dns_servers, ..with_credentials() };
    let observation = probe(settings, &format!("http://shop.test:{}/", first.port())).await;
    assert!(observation.outcome.is_up(), "{observation:?}");
    for peer in [&first, &second] {
        assert_eq!(credentials(&peer.requests()[0]), [BASIC, Some("key"), Some("own=1")]);
    }
}

#[tokio::test]
async fn credentials_are_withheld_from_other_hosts_and_stay_withheld() {
    let dns_servers = dns().await;
    let home = Peer::start(move |request| match request.starts_with("GET /back") {
        true => ok(),
        false => redirect(302, header(request, "x-to").unwrap()),
    })
    .await;
    let back = format!("http://shop.test:{}/back", home.port());
    let other = Peer::start(move |_| redirect(302, &back)).await;
    for name in ["other.test", "www.shop.test", "127.0.0.1"] {
        let mut settings = HttpSettings { dns_servers: dns_servers.clone(), ..with_credentials() };
        let to = format!("http://{name}:{}/", other.port());
        settings.headers.insert("x-to", http::HeaderValue::from_str(&to).unwrap());
        let observation = probe(settings, &format!("http://shop.test:{}/", home.port())).await;
        assert!(observation.outcome.is_up(), "{observation:?}");
        let seen = other.requests();
        assert_eq!(credentials(seen.last().unwrap()), [None; 3], "{name}");
        assert_eq!(header(seen.last().unwrap(), "x-plain"), Some("plain"));
        assert_eq!(credentials(home.requests().last().unwrap()), [None; 3], "{name}, and back");
    }
}

#[tokio::test]
async fn every_hop_is_resolved_by_our_rules() {
    let dns_servers = dns().await;
    let second = Peer::start(|_| ok()).await;
    let next = format!("http://second.test:{}/", second.port());
    let first = Peer::start(move |_| redirect(302, &next)).await;
    // The test's server has no AAAA record, so a hop that ignored the preference would be found.
    let settings = HttpSettings { dns_servers: dns_servers.clone(), ..settings() };
    let observation = probe(settings.clone(), &format!("http://first.test:{}/", first.port())).await;
    assert!(observation.outcome.is_up(), "{observation:?}");
    assert_eq!(header(&second.requests()[0], "host"), Some(format!("second.test:{}", second.port()).as_str()));
    let lost = Peer::start(|_| redirect(302, "http://nowhere.example/")).await;
    let observation = probe(settings, &lost.url()).await;
    assert_eq!(reason(&observation), Some(Reason::DnsNxdomain));
    let sentence = &observation.outcome.failure().unwrap().sentence;
    assert!(sentence.ends_with(", at http://nowhere.example/ after 1 redirect"), "{sentence}");
    let first_hop = observation.resolution.unwrap();
    assert_eq!(first_hop.chosen, Some(std::net::Ipv4Addr::LOCALHOST.into()), "the first hop's resolution is kept");
}

#[tokio::test]
async fn a_configured_host_is_sent_while_the_target_is_dialled() {
    let peer = Peer::start(|request| match request.starts_with("GET /next") {
        true => ok(),
        false => redirect(302, "/next"),
    })
    .await;
    for host in ["shop.example.com", "Shop.Example.com", "shop.example.com:1", "192.0.2.7", "[2001:db8::1]:8080"] {
        let observation = probe(HttpSettings { host: Some(host.into()), ..settings() }, &peer.url()).await;
        assert!(observation.outcome.is_up(), "{observation:?}");
        for request in peer.requests().iter().rev().take(2) {
            assert!(header(request, "host").is_some_and(|sent| sent.eq_ignore_ascii_case(host)), "{host} {request}");
        }
        assert_eq!(observation.resolution.unwrap().chosen, Some(std::net::Ipv4Addr::LOCALHOST.into()));
    }
}

#[tokio::test]
async fn an_absolute_redirect_ends_the_configured_host() {
    let second = Peer::start(|_| ok()).await;
    let next = second.url();
    let first = Peer::start(move |_| redirect(302, &next)).await;
    let observation = probe(HttpSettings { host: Some("shop.example.com".into()), ..settings() }, &first.url()).await;
    assert!(observation.outcome.is_up(), "{observation:?}");
    assert_eq!(header(&second.requests()[0], "host"), Some(second.address.to_string().as_str()));
}

#[tokio::test]
async fn credentials_in_the_url_are_sent_and_never_shown() {
    let peer = Peer::start(|_| ok()).await;
    let observation = probe(settings(), &format!("http://user:p%61ss@{}/", peer.address)).await;
    assert!(observation.outcome.is_up(), "{observation:?}");
    let request = &peer.requests()[0];
    assert_eq!(header(request, "authorization"), BASIC);
    assert_eq!(header(request, "host"), Some(peer.address.to_string().as_str()));
    assert_eq!(header(request, "connection"), Some("close"));
}
