//! Proxies of each kind.

use std::net::SocketAddr;

use url::Url;

use super::super::testing::*;
use crate::config::http::{ProxySettings, StatusRange};
use crate::config::{HttpSettings, Pattern};
use crate::observation::Reason;

fn via(url: &str) -> ProxySettings {
    let url = Box::new(Url::parse(url).unwrap().into());
    ProxySettings::Url { url, no_proxy: None, connect_headers: http::HeaderMap::new() }
}

fn nobody() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 9))
}

#[tokio::test]
async fn a_plain_request_goes_to_the_proxy_whole() {
    let proxy = http_proxy(nobody(), None).await;
    let settings = HttpSettings {
        proxy: via(&format!("http://user:p%40ss@{}", proxy.address)),
        host: Some("virtual.example".into()),
        ..settings()
    };
    let observation = probe(settings, "http://nowhere.example/path?q").await;
    assert!(observation.outcome.is_up(), "{observation:?}");
    assert_eq!(observation.resolution, None, "names are the proxy's");
    assert_eq!(detail(&observation).phases.resolve, None);
    assert!(detail(&observation).phases.connect.is_some());
    let request = &proxy.requests()[0];
    assert!(request.starts_with("GET http://nowhere.example/path?q HTTP/1.1\r\n"), "{request}");
    assert_eq!(header(request, "proxy-authorization"), Some("Basic dXNlcjpwQHNz"));
    assert_eq!(header(request, "host"), Some("virtual.example"));
}

#[tokio::test]
async fn a_default_port_that_the_target_names_is_in_the_host_header() {
    let proxy = http_proxy(nobody(), None).await;
    let settings = HttpSettings { proxy: via(&format!("http://{}", proxy.address)), ..settings() };
    for (names_port, host) in [(true, "nowhere.example:80"), (false, "nowhere.example")] {
        let prober = prober(settings.clone(), "http://nowhere.example:80/").naming_port(names_port);
        assert!(run(&prober, SOON).await.outcome.is_up());
        assert_eq!(header(&proxy.requests().pop().unwrap(), "host"), Some(host));
    }
}

#[tokio::test]
async fn connect_headers_are_for_connect_alone() {
    let proxy = http_proxy(nobody(), None).await;
    let mut connect_headers = http::HeaderMap::new();
    connect_headers.insert("x-connect", http::HeaderValue::from_static("1"));
    let url = Box::new(Url::parse(&format!("http://{}", proxy.address)).unwrap().into());
    let proxy_settings = ProxySettings::Url { url, no_proxy: None, connect_headers };
    let settings = HttpSettings { proxy: proxy_settings, ..settings() };
    assert!(probe(settings, "http://nowhere.example/").await.outcome.is_up());
    assert_eq!(header(&proxy.requests()[0], "x-connect"), None);
}

#[tokio::test]
async fn the_credentials_of_a_proxys_url_win_over_a_header() {
    let proxy = http_proxy(nobody(), Some("HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n")).await;
    let mut own = http::HeaderMap::new();
    own.insert("proxy-authorization", http::HeaderValue::from_static("Token x"));
    for (user, wanted) in [("user:p%40ss@", "Basic dXNlcjpwQHNz"), ("", "Token x")] {
        let url = Box::new(Url::parse(&format!("http://{user}{}", proxy.address)).unwrap().into());
        let proxy_settings = ProxySettings::Url { url, no_proxy: None, connect_headers: own.clone() };
        let settings = HttpSettings { proxy: proxy_settings, headers: own.clone(), ..settings() };
        for target in ["http://nowhere.example/", "https://nowhere.example/"] {
            probe(settings.clone(), target).await;
            let request = proxy.requests().pop().unwrap();
            assert_eq!(header(&request, "proxy-authorization"), Some(wanted), "{request}");
        }
    }
}

#[tokio::test]
async fn socks_is_asked_for_the_name() {
    let peer = Peer::start(|_| ok()).await;
    for scheme in ["socks5", "socks5h"] {
        let proxy = socks_proxy(peer.address).await;
        let settings = HttpSettings { proxy: via(&format!("{scheme}://{}", proxy.address)), ..settings() };
        let observation = probe(settings, "http://nowhere.example:81/").await;
        assert!(observation.outcome.is_up(), "{observation:?}");
        assert_eq!(observation.resolution, None);
        assert_eq!(proxy.requests(), ["nowhere.example:81"]);
    }
}

#[tokio::test]
async fn what_goes_wrong_with_the_proxy_is_a_proxy_error() {
    let closed = format!("127.0.0.1:{}", closed_port().await);
    let denied =
        http_proxy(nobody(), Some("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")).await;
    let broken = http_proxy(nobody(), Some("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")).await;
    let hangs_up = hanging_up().await;
    for (proxy, target) in [
        (format!("http://{closed}"), "http://nowhere.example/"),
        (format!("http://{closed}"), "https://nowhere.example/"),
        (format!("socks5://{closed}"), "http://nowhere.example/"),
        (format!("http://{}", denied.address), "http://nowhere.example/"),
        (format!("http://{}", denied.address), "https://nowhere.example/"),
        (format!("http://{}", broken.address), "https://nowhere.example/"),
        (format!("http://{hangs_up}"), "https://nowhere.example/"),
        (format!("socks5://{hangs_up}"), "http://nowhere.example/"),
    ] {
        let observation = probe(HttpSettings { proxy: via(&proxy), ..settings() }, target).await;
        assert_eq!(reason(&observation), Some(Reason::ProxyError), "{proxy} {target} {observation:?}");
        assert_eq!(observation.resolution, None);
    }
    let refused = HttpSettings { proxy: via(&format!("http://{}", denied.address)), ..settings() };
    let observation = probe(refused.clone(), "http://nowhere.example/").await;
    assert_eq!(detail(&observation).status, Some(407), "a forwarded request has the proxy's answer for its status");
    let accepting = HttpSettings { valid_status_codes: vec![StatusRange { first: 407, last: 407 }], ..refused };
    assert!(probe(accepting.clone(), "http://nowhere.example/").await.outcome.is_up());
    let observation = probe(accepting, "https://nowhere.example/").await;
    assert_eq!((reason(&observation), detail(&observation).status), (Some(Reason::ProxyError), None), "no tunnel");
    let gateway =
        probe(HttpSettings { proxy: via(&format!("http://{}", broken.address)), ..settings() }, "http://a.example/");
    assert_eq!(reason(&gateway.await), Some(Reason::HttpStatus), "a forwarded answer is the target's");
}

#[tokio::test]
async fn a_silent_proxy_is_a_proxy_error_until_the_tunnel_is_up() {
    let proxy = via(&format!("http://{}", silent().await));
    for (target, wanted) in
        [("https://nowhere.example/", Reason::ProxyError), ("http://nowhere.example/", Reason::RequestTimeout)]
    {
        let observation = probe_soon(HttpSettings { proxy: proxy.clone(), ..settings() }, target).await;
        assert_eq!(reason(&observation), Some(wanted), "{observation:?}");
    }
    let socks = via(&format!("socks5://{}", silent().await));
    let observation = probe_soon(HttpSettings { proxy: socks, ..settings() }, "http://nowhere.example/").await;
    assert_eq!(reason(&observation), Some(Reason::ProxyError));
}

#[tokio::test]
async fn a_proxy_s_name_is_resolved_here_and_its_failure_is_the_proxy_s() {
    let dns_servers = dns().await;
    let proxy = http_proxy(nobody(), None).await;
    let with = |name: &str| HttpSettings {
        proxy: via(&format!("http://{name}:{}", proxy.port())),
        dns_servers: dns_servers.clone(),
        ..settings()
    };
    let observation = probe(with("proxy.test"), "http://nowhere.example/").await;
    assert!(observation.outcome.is_up(), "{observation:?}");
    assert_eq!((observation.resolution.as_ref(), detail(&observation).phases.resolve), (None, None));
    let observation = probe(with("nowhere.example"), "http://shop.test/").await;
    assert_eq!(reason(&observation), Some(Reason::ProxyError));
}

#[tokio::test]
async fn no_proxy_connects_directly() {
    let peer = Peer::start(|_| ok()).await;
    let url: Box<crate::config::ZonedUrl> =
        Box::new(Url::parse(&format!("http://127.0.0.1:{}", closed_port().await)).unwrap().into());
    let connect_headers = http::HeaderMap::new();
    let listed = ProxySettings::Url { url: url.clone(), no_proxy: Some("192.0.2.1".into()), connect_headers };
    // Loopback is never proxied where there is a list, nor by the environment.
    let environment = ProxySettings::Environment {
        http: Some(url),
        https: None,
        no_proxy: None,
        connect_headers: http::HeaderMap::new(),
    };
    for proxy in [listed, environment] {
        let observation = probe(HttpSettings { proxy, ..settings() }, &peer.url()).await;
        assert!(observation.outcome.is_up(), "{observation:?}");
        assert!(observation.resolution.is_some());
    }
}

#[tokio::test]
async fn sentences_hold_no_secret() {
    let proxy = via(&format!("http://user:hunter2@127.0.0.1:{}", closed_port().await));
    let observation =
        probe(HttpSettings { proxy, ..settings() }, "https://me:hunter3@nowhere.example/?token=hunter4").await;
    let leak = Pattern::new("hunter|token").unwrap();
    assert!(!leak.is_match(format!("{observation:?}").as_bytes()), "{observation:?}");
}
