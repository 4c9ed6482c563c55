//! The rules of a target on the final response.

use std::io::Write;

use super::super::testing::*;
use crate::config::http::{BodyRule, Compression, FailIf, HeaderRule, HttpVersion, StatusRange};
use crate::config::{CelRule, HttpSettings, Pattern};
use crate::observation::{Observation, Outcome, Reason};

fn body_rule(fail_if: FailIf, pattern: &str) -> BodyRule {
    BodyRule { fail_if, pattern: Pattern::new(pattern).unwrap() }
}

fn header_rule(fail_if: FailIf, pattern: &str, allow_missing: bool) -> HeaderRule {
    let header = http::HeaderName::from_static("x-state");
    HeaderRule { fail_if, header, pattern: Pattern::new(pattern).unwrap(), allow_missing }
}

#[tokio::test]
async fn the_status_must_be_valid() {
    let peer = Peer::start(|_| answer("503 Busy", "", "sorry")).await;
    let observation = probe(settings(), &peer.url()).await;
    assert_eq!(reason(&observation), Some(Reason::HttpStatus));
    assert_eq!(detail(&observation).status, Some(503));
    assert_eq!(detail(&observation).body_length, Some(5), "the body is read all the same");
    assert_eq!(detail(&observation).failed_regex, Some(false));

    let settings = HttpSettings { valid_status_codes: vec![StatusRange { first: 500, last: 599 }], ..settings() };
    assert!(probe(settings, &peer.url()).await.outcome.is_up());
}

#[tokio::test]
async fn header_rules_judge_every_value() {
    use FailIf::{Matches, NotMatches};
    for (headers, fail_if, pattern, allow_missing, up) in [
        ("X-State: good\r\n", Matches, "bad", false, true),
        ("X-State: good\r\nX-State: bad\r\n", Matches, "bad", false, false),
        ("X-State: bad\r\nX-State: good\r\n", NotMatches, "good", false, true),
        ("X-State: bad\r\n", NotMatches, "good", false, false),
        ("", Matches, "bad", false, false),
        ("", Matches, "bad", true, true),
        ("", NotMatches, "good", false, false),
        ("", NotMatches, "good", true, true),
    ] {
        let peer = Peer::start(move |_| answer("200 OK", headers, "")).await;
        let settings = HttpSettings { header_rules: vec![header_rule(fail_if, pattern, allow_missing)], ..settings() };
        let observation = probe(settings, &peer.url()).await;
        assert_eq!(observation.outcome.is_up(), up, "{headers:?} {fail_if:?} {observation:?}");
        if !up {
            assert_eq!(reason(&observation), Some(Reason::HeaderMismatch));
            assert_eq!(detail(&observation).failed_regex, Some(true));
        }
    }
}

#[tokio::test]
async fn body_and_cel_rules_both_see_the_body() {
    let peer = Peer::start(|_| answer("200 OK", "", r#"{"state": "ok"}"#)).await;
    let with = |fail_if, pattern: &str, cel: &str| HttpSettings {
        body_rules: vec![body_rule(fail_if, pattern)],
        fail_if_json_not_matches: Some(CelRule::new(cel).unwrap()),
        ..settings()
    };
    let observation = probe(with(FailIf::NotMatches, "state", "body.state == 'ok'"), &peer.url()).await;
    assert!(observation.outcome.is_up(), "{observation:?}");
    assert_eq!(detail(&observation).failed_cel, Some(false));
    assert_eq!(&*detail(&observation).body_excerpt, br#"{"state": "ok"}"#);

    let observation = probe(with(FailIf::Matches, "state", "body.state == 'ok'"), &peer.url()).await;
    assert_eq!(reason(&observation), Some(Reason::BodyMismatch));
    assert_eq!((detail(&observation).failed_regex, detail(&observation).failed_cel), (Some(true), Some(false)));

    let observation = probe(with(FailIf::NotMatches, "state", "body.state == 'bad'"), &peer.url()).await;
    assert_eq!(reason(&observation), Some(Reason::BodyMismatch));
    assert_eq!((detail(&observation).failed_regex, detail(&observation).failed_cel), (Some(false), Some(true)));
}

#[tokio::test]
async fn a_large_body_is_judged_like_a_small_one() {
    let large = "x".repeat(600 * 1024) + "needle";
    let peer = Peer::start(move |_| answer("200 OK", "", &large)).await;
    for (fail_if, up) in [(FailIf::NotMatches, true), (FailIf::Matches, false)] {
        let settings = HttpSettings { body_rules: vec![body_rule(fail_if, "needle$")], ..settings() };
        assert_eq!(probe(settings, &peer.url()).await.outcome.is_up(), up);
    }
}

fn down_with(observation: &Observation) -> &str {
    match &observation.outcome {
        Outcome::Up => panic!("{observation:?}"),
        Outcome::Down(failure) => &failure.sentence,
    }
}

#[tokio::test]
async fn rules_on_the_body_and_on_headers_match_characters() {
    let german = |_: &str| answer("200 OK", "X-State: zur\u{fc}ck\r\n", "Zur\u{fc}ck zum Kaffee: ÜBERSICHT");
    let peer = Peer::start(german).await;
    for pattern in ["Zur.ck", "Zur[^u]ck", "(?i)übersicht$", r"^\pL{6} "] {
        let settings = HttpSettings {
            body_rules: vec![body_rule(FailIf::NotMatches, pattern)],
            header_rules: vec![header_rule(FailIf::NotMatches, "^zur.ck$", false)],
            ..settings()
        };
        let observation = probe(settings, &peer.url()).await;
        assert!(observation.outcome.is_up(), "{pattern} {observation:?}");
    }
}

#[tokio::test]
async fn a_body_is_matched_in_the_charset_that_it_declares() {
    let latin1 = |_: &str| answer("200 OK", "Content-Type: text/html; charset=ISO-8859-1\r\n", b"Stra\xdfe");
    let utf16: Vec<u8> = "\u{feff}{\"state\": \"größer\"}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let peer = Peer::start(latin1).await;
    let matching = |pattern| HttpSettings { body_rules: vec![body_rule(FailIf::NotMatches, pattern)], ..settings() };
    assert!(probe(matching("^Straße$"), &peer.url()).await.outcome.is_up());
    let observation = probe(matching("^Strasse$"), &peer.url()).await;
    let sentence = down_with(&observation);
    assert!(sentence.ends_with("; the body was read as windows-1252, which it says it is"), "{sentence}");
    let off = |pattern| HttpSettings { decode_charset: false, ..matching(pattern) };
    assert!(
        probe(off("^Stra.e$"), &peer.url()).await.outcome.is_up(),
        "a byte that is no character is one all the same"
    );
    assert_eq!(reason(&probe(off("^Straße$"), &peer.url()).await), Some(Reason::BodyMismatch));

    let peer = Peer::start(move |_| answer("200 OK", "", &utf16)).await;
    let json = HttpSettings {
        fail_if_json_not_matches: Some(CelRule::new("body.state == 'größer'").unwrap()),
        ..matching(r#""gr\S+er""#)
    };
    let observation = probe(json, &peer.url()).await;
    assert!(observation.outcome.is_up(), "{observation:?}");
    assert!(detail(&observation).body_excerpt.starts_with(b"\xff\xfe{\0"), "evidence is what came");
}

#[tokio::test]
async fn a_body_that_is_packed_unasked_is_called_so() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(br#"{"state": "ok"}"#).unwrap();
    let packed = encoder.finish().unwrap();
    let peer = Peer::start(move |_| answer("200 OK", "Content-Encoding: gzip\r\n", &packed)).await;
    let regex = HttpSettings { body_rules: vec![body_rule(FailIf::NotMatches, "ok")], ..settings() };
    let observation = probe(regex, &peer.url()).await;
    assert_eq!(down_with(&observation), r#"the body does not match "ok"; the body is gzip; set compression: gzip"#);
    let cel =
        || HttpSettings { fail_if_json_not_matches: Some(CelRule::new("body.state == 'ok'").unwrap()), ..settings() };
    let observation = probe(cel(), &peer.url()).await;
    assert!(down_with(&observation).ends_with("; the body is gzip; set compression: gzip"), "{observation:?}");
    let unpacked = HttpSettings { compression: Some(Compression::Gzip), ..cel() };
    assert!(probe(unpacked, &peer.url()).await.outcome.is_up());

    let peer = Peer::start(|_| answer("200 OK", "", "")).await;
    let regex = HttpSettings { body_rules: vec![body_rule(FailIf::NotMatches, "ok")], ..settings() };
    let observation = probe(regex, &peer.url()).await;
    assert!(down_with(&observation).ends_with("; the body is empty"), "{observation:?}");
}

#[tokio::test]
async fn body_rules_work_on_a_redirect_that_is_not_followed() {
    let peer = Peer::start(|_| answer("302 Found", "Location: /x\r\n", "moved")).await;
    let settings = HttpSettings {
        follow_redirects: false,
        valid_status_codes: vec![StatusRange { first: 302, last: 302 }],
        body_rules: vec![body_rule(FailIf::NotMatches, "moved")],
        ..settings()
    };
    let observation = probe(settings, &peer.url()).await;
    assert!(observation.outcome.is_up(), "{observation:?}");
    assert_eq!(detail(&observation).redirects, 1);
}

#[tokio::test]
async fn the_first_failing_rule_gives_the_reason() {
    let peer = Peer::start(|_| answer("200 OK", "X-State: bad\r\n", "text")).await;
    let all = || HttpSettings {
        header_rules: vec![header_rule(FailIf::Matches, "bad", false)],
        body_rules: vec![body_rule(FailIf::Matches, "text")],
        fail_if_json_matches: Some(CelRule::new("true").unwrap()),
        valid_http_versions: vec![HttpVersion::Http2],
        fail_if_not_ssl: true,
        ..settings()
    };
    let mut settings = all();
    assert_eq!(reason(&probe(settings.clone(), &peer.url()).await), Some(Reason::HeaderMismatch));
    settings.header_rules.clear();
    assert_eq!(reason(&probe(settings.clone(), &peer.url()).await), Some(Reason::BodyMismatch));
    settings.body_rules.clear();
    assert_eq!(reason(&probe(settings.clone(), &peer.url()).await), Some(Reason::BodyMismatch));
    settings.fail_if_json_matches = None;
    assert_eq!(reason(&probe(settings.clone(), &peer.url()).await), Some(Reason::HttpVersion));
    settings.valid_http_versions.clear();
    assert_eq!(reason(&probe(settings.clone(), &peer.url()).await), Some(Reason::SslRequired));
    settings.fail_if_not_ssl = false;
    assert!(probe(settings, &peer.url()).await.outcome.is_up());
}

#[tokio::test]
async fn versions_are_told_apart() {
    let peer = Peer::start(|_| send("HTTP/1.0 200 OK\r\n\r\nbody until close")).await;
    for (version, up) in [(HttpVersion::Http10, true), (HttpVersion::Http11, false)] {
        let settings = HttpSettings { valid_http_versions: vec![version], ..settings() };
        let observation = probe(settings, &peer.url()).await;
        assert_eq!(observation.outcome.is_up(), up, "{observation:?}");
        assert_eq!(detail(&observation).version, Some(1.0));
        assert_eq!(detail(&observation).content_length, Some(-1));
        assert_eq!(detail(&observation).body_length, Some(16));
    }
}

#[tokio::test]
async fn a_body_over_its_limit_is_too_large() {
    let peer = Peer::start(|_| answer("200 OK", "", "x".repeat(1001))).await;
    for (limit, up) in [(1001, true), (1000, false)] {
        let settings = HttpSettings { body_size_limit: Some(limit), ..settings() };
        let observation = probe(settings, &peer.url()).await;
        assert_eq!(reason(&observation), (!up).then_some(Reason::BodyTooLarge));
        assert_eq!(detail(&observation).body_length, Some(limit));
    }
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn a_gzip_bomb_stops_at_the_limit() {
    let bomb = gzip(&vec![0; 32 << 20]);
    let peer = Peer::start(move |_| answer("200 OK", "Content-Encoding: gzip\r\n", &bomb)).await;
    let settings = HttpSettings {
        compression: Some(Compression::Gzip),
        body_size_limit: Some(10_000),
        body_rules: vec![body_rule(FailIf::Matches, "x")],
        ..settings()
    };
    let observation = probe(settings, &peer.url()).await;
    assert_eq!(reason(&observation), Some(Reason::BodyTooLarge));
    assert_eq!(detail(&observation).body_length, Some(10_000));
}

#[tokio::test]
async fn compressed_bodies_are_judged_decoded() {
    let packed = gzip(b"hello, gzip");
    let half = packed[..packed.len() - 6].to_vec();
    let peer = Peer::start(move |request| match request.starts_with("GET /half") {
        true => answer("200 OK", "", &half),
        false => answer("200 OK", "", &packed),
    })
    .await;
    let with = |compression| HttpSettings {
        compression: Some(compression),
        body_rules: vec![body_rule(FailIf::NotMatches, "^hello, gzip$")],
        ..settings()
    };
    let observation = probe(with(Compression::Gzip), &peer.url()).await;
    assert!(observation.outcome.is_up(), "{observation:?}");
    assert_eq!(detail(&observation).body_length, Some(11));
    assert_eq!(reason(&probe(with(Compression::Identity), &peer.url()).await), Some(Reason::BodyMismatch));
    assert_eq!(reason(&probe(with(Compression::Brotli), &peer.url()).await), Some(Reason::ProtocolError));
    let half = probe(with(Compression::Gzip), &format!("{}half", peer.url())).await;
    assert_eq!(reason(&half), Some(Reason::ResponseTruncated));
}

#[tokio::test]
async fn the_excerpt_is_one_kilobyte_and_can_be_left_out() {
    let peer = Peer::start(|_| answer("200 OK", "", "y".repeat(5000))).await;
    assert_eq!(detail(&probe(settings(), &peer.url()).await).body_excerpt.len(), 1024);
    for body_rules in [vec![], vec![body_rule(FailIf::NotMatches, "y")]] {
        let settings = HttpSettings { keep_excerpt: false, body_rules, ..settings() };
        let observation = probe(settings, &peer.url()).await;
        assert!(detail(&observation).body_excerpt.is_empty());
        assert_eq!(detail(&observation).body_length, Some(5000));
    }
}

#[tokio::test]
async fn an_answer_to_head_has_no_body() {
    let peer = Peer::start(|_| send("HTTP/1.1 200 OK\r\nContent-Length: 77\r\n\r\n")).await;
    let settings = HttpSettings { method: http::Method::HEAD, compression: Some(Compression::Gzip), ..settings() };
    let observation = probe(settings, &peer.url()).await;
    assert!(observation.outcome.is_up(), "{observation:?}");
    assert_eq!(detail(&observation).content_length, Some(77));
    assert_eq!(detail(&observation).body_length, Some(0));
}

#[tokio::test]
async fn a_rule_that_takes_too_long_ends_with_the_run() {
    let peer = Peer::start(|_| answer("200 OK", "", format!("[{}1]", "1,".repeat(10_000)))).await;
    // 10^12 steps: if the rule did not end, nor would this test, whose runtime waits for it.
    let rule = CelRule::new("body.all(a, body.all(b, body.all(c, c != 2)))").unwrap();
    let settings = HttpSettings { fail_if_json_not_matches: Some(rule), ..settings() };
    let observation = probe_soon(settings, &peer.url()).await;
    assert!(!observation.outcome.is_up(), "{observation:?}");
    assert_ne!(reason(&observation), Some(Reason::BodyMismatch));
}
