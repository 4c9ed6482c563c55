//! What a request carries that the config does not say, or says itself.

use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::super::testing::*;
use crate::config::http::HttpAuth;
use crate::config::{HttpSettings, Secret};

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    headers
}

#[tokio::test]
async fn a_method_that_defines_content_says_that_there_is_none() {
    let peer = Peer::start(|_| ok()).await;
    for (method, length) in [
        ("POST", Some("0")),
        ("PUT", Some("0")),
        ("PATCH", Some("0")),
        ("GET", None),
        ("HEAD", None),
        ("DELETE", None),
        ("OPTIONS", None),
    ] {
        let settings = HttpSettings { method: Method::from_bytes(method.as_bytes()).unwrap(), ..settings() };
        probe(settings, &peer.url()).await;
        assert_eq!(header(peer.requests().last().unwrap(), "content-length"), length, "{method}");
    }
}

#[tokio::test]
async fn a_redirect_that_keeps_the_method_keeps_saying_so() {
    for (status, second) in [(307, Some("0")), (308, Some("0")), (302, None)] {
        let peer = Peer::start(move |request| {
            if request.starts_with("POST /b") || request.starts_with("GET /b") { ok() } else { redirect(status, "/b") }
        })
        .await;
        let settings = HttpSettings { method: Method::POST, ..settings() };
        assert!(probe(settings, &peer.url()).await.outcome.is_up());
        let requests = peer.requests();
        let lengths: Vec<_> = requests.iter().map(|request| header(request, "content-length")).collect();
        assert_eq!(lengths, [Some("0"), second], "{status}");
    }
}

#[tokio::test]
async fn headers_that_frame_the_body_are_not_the_configs_to_set() {
    let peer = Peer::start(|_| ok()).await;
    let wrong = headers(&[("content-length", "99"), ("transfer-encoding", "chunked"), ("trailer", "x-a")]);
    for (method, body, length) in
        [(Method::GET, "", None), (Method::POST, "", Some("0")), (Method::POST, "ping", Some("4"))]
    {
        let settings = HttpSettings { method, body: body.into(), headers: wrong.clone(), ..settings() };
        assert!(probe(settings, &peer.url()).await.outcome.is_up());
        let request = peer.requests().pop().unwrap();
        let framing = ["content-length", "transfer-encoding", "trailer"].map(|name| header(&request, name));
        assert_eq!(framing, [length, None, None], "{request}");
    }
}

#[tokio::test]
async fn an_authorization_of_ones_own_wins_over_every_other() {
    let peer = Peer::start(|_| ok()).await;
    let own = headers(&[("authorization", "Token x")]);
    let basic = || Some(HttpAuth::Basic { username: "u".into(), password: Secret::new("p") });
    let bearer = || Some(HttpAuth::Header { scheme: "Bearer".into(), credentials: Secret::new("b") });
    let plain = peer.url();
    let with_user = format!("http://a:b@{}/", peer.address);
    for (headers, auth, url, wanted) in [
        (own.clone(), basic(), &plain, "Token x"),
        (own.clone(), bearer(), &plain, "Token x"),
        (own.clone(), None, &with_user, "Token x"),
        (HeaderMap::new(), basic(), &plain, "Basic dTpw"),
        // Go's client puts the URL's credentials in first.
        (HeaderMap::new(), basic(), &with_user, "Basic YTpi"),
        (HeaderMap::new(), bearer(), &with_user, "Basic YTpi"),
        (headers(&[("authorization", "")]), basic(), &plain, "Basic dTpw"),
    ] {
        let observation = probe(HttpSettings { headers, auth, ..settings() }, url).await;
        assert!(observation.outcome.is_up(), "{observation:?}");
        let request = peer.requests().pop().unwrap();
        assert_eq!(header(&request, "authorization"), Some(wanted), "{url}");
    }
}

#[tokio::test]
async fn a_redirect_says_where_it_came_from() {
    let peer = Peer::start(|request| match header(request, "referer") {
        _ if request.starts_with("GET /a?") => redirect(302, "/b#top"),
        _ if request.starts_with("GET /b ") => redirect(307, "/c"),
        Some(_) => ok(),
        None => answer("403 Forbidden", "", ""),
    })
    .await;
    let url = format!("http://u:p@{}/a?q=1#part", peer.address);
    let at = format!("http://{}", peer.address);
    assert!(probe(settings(), &url).await.outcome.is_up());
    let referers = |peer: &Peer| -> Vec<Option<String>> {
        peer.requests().iter().map(|request| header(request, "referer").map(str::to_owned)).collect()
    };
    assert_eq!(referers(&peer), [None, Some(format!("{at}/a?q=1")), Some(format!("{at}/b"))]);

    let own = HttpSettings { headers: headers(&[("referer", "https://here.example/")]), ..settings() };
    assert!(probe(own, &url).await.outcome.is_up());
    assert!(referers(&peer)[3..].iter().all(|referer| referer.as_deref() == Some("https://here.example/")));

    let named = HttpSettings { host: Some("shop.example".into()), ..settings() };
    assert!(probe(named, &url).await.outcome.is_up());
    assert_eq!(referers(&peer)[7].as_deref(), Some("http://shop.example/a?q=1"), "the server's own name");
}

#[tokio::test]
async fn a_secure_page_is_not_told_to_a_plain_one() {
    let plain = Peer::start(|_| ok()).await;
    let to = plain.url();
    let authority = Authority::new();
    let secure = Peer::tls(authority.server(&["127.0.0.1"]), move |_| redirect(302, &to)).await;
    let settings = HttpSettings { tls: authority.trusted(), ..settings() };
    assert!(probe(settings, &format!("https://{}/", secure.address)).await.outcome.is_up());
    assert_eq!(header(&plain.requests()[0], "referer"), None);
}

#[tokio::test]
async fn nothing_of_ones_own_is_replaced() {
    let peer = Peer::start(|_| ok()).await;
    let own = [
        ("user-agent", "probe/9"),
        ("accept", "text/plain"),
        ("accept-encoding", "br"),
        ("connection", "keep-alive"),
        ("cookie", "a=b"),
        ("content-type", "text/x"),
    ];
    let settings = HttpSettings { method: Method::POST, headers: headers(&own), body: "x".into(), ..settings() };
    assert!(probe(settings, &peer.url()).await.outcome.is_up());
    let request = peer.requests().pop().unwrap();
    for (name, value) in own {
        assert_eq!(header(&request, name), Some(value), "{request}");
    }
}
