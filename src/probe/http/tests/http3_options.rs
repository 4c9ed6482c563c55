//! The options of the http prober over HTTP/3, each with what passes and what fails.

use bytes::Bytes;
use http::{Method, Request, Response};

use super::super::testing::*;
use super::http3::{Server, Then, http3};
use super::tokens::oauth;
use crate::config::http::{
    BodyRule, Compression, FailIf, HeaderRule, HttpAuth, HttpVersion, ProxySettings, StatusRange,
};
use crate::config::{HttpSettings, Pattern, Secret};
use crate::observation::Reason;
use crate::probe::address::{Pin, Scope};

fn gzip(text: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// A small site: each path says 200 only to who asks as it wants.
fn site(request: &Request<()>, body: &[u8]) -> Response<Bytes> {
    let header = |name: &str| request.headers().get(name).map(|value| value.to_str().unwrap());
    let answer = |status: u16| Response::builder().status(status);
    let fits = |good: bool| answer(if good { 200 } else { 403 }).body(Bytes::from_static(b"fine")).unwrap();
    match request.uri().path() {
        "/gzip" => answer(200).header("content-encoding", "gzip").body(gzip(b"fine").into()).unwrap(),
        "/json" => answer(200).header("x-state", "good").body(Bytes::from_static(b"{\"state\": \"ok\"}")).unwrap(),
        "/login" => answer(302)
            .header("location", "/inside")
            .header("set-cookie", "session=1; Path=/")
            .body(Bytes::new())
            .unwrap(),
        "/inside" => fits(header("cookie") == Some("session=1")),
        "/again" => answer(307).header("location", "/post").body(Bytes::new()).unwrap(),
        "/post" => fits(request.method() == Method::POST && body == b"ping" && header("content-length") == Some("4")),
        "/basic" => fits(header("authorization") == Some("Basic bWU6cEBzcw==")),
        "/bearer" => fits(header("authorization") == Some("Bearer t1")),
        "/headers" => fits(header("x-own") == Some("1") && header("user-agent") == Some("probe/1")),
        "/host" => fits(request.uri().authority().unwrap() == "shop.test:443" && header("host").is_none()),
        _ => answer(404).body(Bytes::new()).unwrap(),
    }
}

#[tokio::test]
async fn every_option_holds_over_http3() {
    let authority = Authority::new();
    let server = Server::start(&authority.server(&["127.0.0.1", "shop.test"]), Then::By(site));
    let tokens =
        Peer::start(|_| answer("200 OK", "", r#"{"access_token":"t1","token_type":"bearer","expires_in":3600}"#)).await;
    let plain = || http3(&authority);
    let matching = |text: &str| BodyRule { fail_if: FailIf::NotMatches, pattern: Pattern::new(text).unwrap() };
    let cel = |text: &str| Some(crate::config::CelRule::new(text).unwrap());
    let state = |text: &str| HeaderRule {
        header: http::HeaderName::from_static("x-state"),
        fail_if: FailIf::NotMatches,
        pattern: Pattern::new(text).unwrap(),
        allow_missing: false,
    };
    let posting = || HttpSettings { method: Method::POST, body: "ping".into(), ..plain() };
    let with_auth = |auth| HttpSettings { auth: Some(auth), ..plain() };
    let bearer = |token: &str| with_auth(HttpAuth::Header { scheme: "Bearer".into(), credentials: Secret::new(token) });
    let mut headers = http::HeaderMap::new();
    headers.insert("x-own", http::HeaderValue::from_static("1"));
    headers.insert("user-agent", http::HeaderValue::from_static("probe/1"));
    let proxy = ProxySettings::Url {
        url: Box::new(url::Url::parse(&format!("http://127.0.0.1:{}/", closed_port().await)).unwrap().into()),
        no_proxy: None,
        connect_headers: http::HeaderMap::new(),
    };
    let found = vec![StatusRange { first: 302, last: 302 }];
    let table: Vec<(&str, HttpSettings, &str, Option<Reason>)> = vec![
        (
            "compression",
            HttpSettings { compression: Some(Compression::Gzip), body_rules: vec![matching("^fine$")], ..plain() },
            "gzip",
            None,
        ),
        (
            "no compression",
            HttpSettings { body_rules: vec![matching("^fine$")], ..plain() },
            "gzip",
            Some(Reason::BodyMismatch),
        ),
        (
            "the wrong compression",
            HttpSettings { compression: Some(Compression::Gzip), ..plain() },
            "json",
            Some(Reason::ProtocolError),
        ),
        ("a body rule", HttpSettings { body_rules: vec![matching("ok")], ..plain() }, "json", None),
        (
            "a body rule that fails",
            HttpSettings { body_rules: vec![matching("nope")], ..plain() },
            "json",
            Some(Reason::BodyMismatch),
        ),
        ("a header rule", HttpSettings { header_rules: vec![state("good")], ..plain() }, "json", None),
        (
            "a header rule that fails",
            HttpSettings { header_rules: vec![state("bad")], ..plain() },
            "json",
            Some(Reason::HeaderMismatch),
        ),
        ("a JSON rule", HttpSettings { fail_if_json_not_matches: cel("body.state == 'ok'"), ..plain() }, "json", None),
        (
            "a JSON rule that fails",
            HttpSettings { fail_if_json_matches: cel("body.state == 'ok'"), ..plain() },
            "json",
            Some(Reason::BodyMismatch),
        ),
        ("a limit", HttpSettings { body_size_limit: Some(3), ..plain() }, "json", Some(Reason::BodyTooLarge)),
        ("cookies", plain(), "login", None),
        (
            "redirects that are not followed",
            HttpSettings { follow_redirects: false, ..plain() },
            "login",
            Some(Reason::HttpStatus),
        ),
        (
            "and are valid",
            HttpSettings { follow_redirects: false, valid_status_codes: found, ..plain() },
            "login",
            None,
        ),
        ("a body", posting(), "post", None),
        ("a body over a redirect", posting(), "again", None),
        ("no body", plain(), "post", Some(Reason::HttpStatus)),
        (
            "basic auth",
            with_auth(HttpAuth::Basic { username: "me".into(), password: Secret::new("p@ss") }),
            "basic",
            None,
        ),
        ("no auth", plain(), "basic", Some(Reason::HttpStatus)),
        ("a bearer token", bearer("t1"), "bearer", None),
        ("another bearer token", bearer("t2"), "bearer", Some(Reason::HttpStatus)),
        ("OAuth 2", HttpSettings { auth: oauth(&tokens.url()).auth, ..plain() }, "bearer", None),
        ("headers", HttpSettings { headers, ..plain() }, "headers", None),
        ("a Host header", HttpSettings { host: Some("shop.test:443".into()), ..plain() }, "host", None),
        ("a proxy, which is passed by", HttpSettings { proxy, ..plain() }, "json", None),
        ("the version", HttpSettings { valid_http_versions: vec![HttpVersion::Http3], ..plain() }, "json", None),
        ("TLS that is forbidden", HttpSettings { fail_if_ssl: true, ..plain() }, "json", Some(Reason::SslForbidden)),
        ("TLS that is required", HttpSettings { fail_if_not_ssl: true, ..plain() }, "json", None),
    ];
    let mut wrong = Vec::new();
    for (name, settings, path, wanted) in table {
        let observation = probe(settings, &format!("https://{}/{path}", server.address)).await;
        if reason(&observation) != wanted || detail(&observation).version != Some(3.0) {
            wrong.push(format!("{name}: {:?}", observation.outcome));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// As probing at each of several addresses does it.
#[tokio::test]
async fn an_address_that_is_chosen_for_a_name_is_the_one_that_is_asked() {
    let authority = Authority::new();
    let server = Server::start(&authority.server(&["nowhere.example"]), Then::By(site));
    let settings = HttpSettings { dns_servers: dns().await, ..http3(&authority) };
    let url = format!("https://nowhere.example:{}/json", server.address.port());
    assert_eq!(reason(&probe(settings.clone(), &url).await), Some(Reason::DnsNxdomain));
    let pin = Pin { host: "nowhere.example".into(), address: [127, 0, 0, 1].into() };
    let observation = Scope { pin: Some(pin), ..Scope::default() }.around(probe(settings, &url)).await;
    assert!(observation.outcome.is_up(), "{observation:?}");
}
