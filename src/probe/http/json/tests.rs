#![allow(clippy::unwrap_used)]

use super::super::testing::settings;
use super::*;

const BODIES: &[&str] = &[
    "{}",
    r#"{"status": "up", "n": 2, "x": 2.5, "ok": true, "nil": null, "tags": ["a", "b"], "nums": [1, 2, 3],
        "items": [{"id": 7, "name": "a"}, {"id": 8}], "at": "2024-02-29T12:30:00Z", "sub": {"a": {"b": 1}}}"#,
    r#""foo""#,
    "1",
    r#"[1, "a"]"#,
    "null",
    "true",
];

fn verdict(matches: Option<&str>, not_matches: Option<&str>, body: &[u8]) -> Result<(), Failure> {
    let settings = HttpSettings {
        fail_if_json_matches: matches.map(|source| CelRule::new(source).unwrap()),
        fail_if_json_not_matches: not_matches.map(|source| CelRule::new(source).unwrap()),
        ..settings()
    };
    judge(&settings, body, &Stop::default())
}

/// Why the body does not do for a rule that has to hold.
fn failure(rule: &str, body: impl AsRef<[u8]>) -> (Reason, String) {
    let failure = verdict(None, Some(rule), body.as_ref()).unwrap_err();
    (failure.reason, failure.sentence.into_string())
}

#[test]
fn rules_give_what_they_give_in_blackbox_exporter() {
    let mut rows = 0;
    for row in include_str!("../../../config/cel/facts/answers.txt").lines().filter(|line| !line.starts_with('#')) {
        let (wanted, source) = row.split_once('\t').unwrap();
        rows += 1;
        let rule = match CelRule::new(source) {
            Ok(rule) if wanted != "refused" => rule,
            other => {
                assert!(other.is_err() && wanted == "refused", "{source}: {other:?}");
                continue;
            }
        };
        for (body, wanted) in BODIES.iter().zip(wanted.chars()) {
            let found = match rule.holds(&parse(body.as_bytes(), &Documents, MAX_MEMORY).unwrap(), &Stop::default()) {
                Ok(true) => 't',
                Ok(false) => 'f',
                Err(CelFault::Body(text)) if text.starts_with("gives ") => 'n',
                Err(CelFault::Body(_)) => 'e',
                Err(CelFault::Ours(text)) => panic!("{source} of {body}: {text}"),
            };
            assert_eq!(found, wanted, "{source} of {body}");
        }
    }
    assert!(rows > 150, "{rows}");
}

#[test]
fn both_rules_are_asked() {
    let body = br#"{"status": "ok"}"#;
    assert_eq!(verdict(None, None, b"no rules, no JSON"), Ok(()));
    assert_eq!(verdict(Some("body.status == 'bad'"), Some("body.status == 'ok'"), body), Ok(()));
    let is_true = verdict(Some("body.status == 'ok'"), None, body).unwrap_err();
    assert_eq!(&*is_true.sentence, r#"the CEL expression "body.status == 'ok'" is true, which it must not be"#);
    let not_true = verdict(Some("body.status == 'bad'"), Some("body.status == 'up'"), body).unwrap_err();
    assert_eq!(&*not_true.sentence, r#"the CEL expression "body.status == 'up'" is not true"#);
}

#[test]
fn the_sentence_says_what_the_body_lacks() {
    for (rule, body, wanted) in [
        ("body.x == 1", "{}", r#"fails: there is no "x""#),
        ("body.x", r#"{"x": 1}"#, "gives double, not true or false"),
        (
            "body.x + 1 == 2",
            r#"{"x": 1}"#,
            "fails: there is no double + int; the numbers of a body are doubles, so write 1.0 for 1 in the rule, or int(...)",
        ),
        ("body.x > 1", r#"{"x": "a"}"#, "fails: there is no string > int"),
        ("body.x.startsWith('a')", r#"{"x": 1}"#, "fails: there is no double.startsWith(string)"),
        ("body.x.matches('a')", r#"{"x": 1}"#, "fails: there is no matches(double, string)"),
        ("body.x.matches(body.y)", r#"{"x": "a", "y": "("}"#, "fails: matches(): unclosed group"),
        ("body.x.all(i, true)", r#"{"x": 1}"#, "fails: double has no elements"),
        ("body.x[3] == 1", r#"{"x": [1]}"#, "fails: the list has no element 3"),
        (
            "timestamp(body.x) > timestamp(0)",
            r#"{"x": "noon"}"#,
            "fails: timestamp(): premature end of input; it takes RFC 3339, as 2024-02-29T12:30:00Z",
        ),
    ] {
        let (reason, sentence) = failure(rule, body);
        assert_eq!((reason, sentence), (Reason::BodyMismatch, format!("the CEL expression {rule:?} {wanted}")));
    }
}

#[test]
fn what_is_no_fault_of_the_body_is_internal() {
    let (reason, sentence) = failure("{body.x: 1}[1] == 1", r#"{"x": 1.5}"#);
    assert_eq!(reason, Reason::Internal);
    assert!(sentence.ends_with("this program takes only strings, ints, uints and bools as keys"), "{sentence}");
}

#[test]
fn patterns_of_rules_match_characters_as_go_has_them() {
    for (rule, wanted) in [
        ("body.matches('^Zur.ck$')", true),
        ("body.matches('\\\\w{6}')", false),
        ("body.matches('(?i)ZURÜCK')", true),
        ("matches(body, '[[:alpha:]]+')", true),
        ("body.matches('Zur' + '.ck')", true),
    ] {
        assert_eq!(verdict(None, Some(rule), "\"Zurück\"".as_bytes()).is_ok(), wanted, "{rule}");
    }
}

#[test]
fn json_as_servers_send_it_passes() {
    let deep = |depth: usize| format!("{{\"ok\": true, \"x\": {}{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1));
    for (body, rule) in [
        (&b"{\"ok\": true, \"street\": \"Stra\xdfe\"}"[..], "body.ok && body.street == 'Stra\u{fffd}e'"),
        (b"{\"ok\": true, \"x\": \"\\ud800\"}", "body.ok && size(body.x) == 1"),
        (b"{\"ok\": true, \"x\": \"\\ude00\\ud83d\"}", "body.ok && body.x == '\u{fffd}\u{fffd}'"),
        (b"{\"ok\": false, \"ok\": true}", "body.ok"),
        (b"{\"ok\": true, \"n\": 12345678901234567890123}", "body.ok && body.n > 1e22"),
        (b"{\"n\": -0}", "string(body.n) == '-0'"),
        (b"\"down\"", "!has(body.foo)"),
        (b"4", "!has(body.foo)"),
        (b"null", "!has(body.foo)"),
        (b"\"up\"", "body == 'up'"),
        (b"[1]", "body[0] == 1"),
        (deep(200).as_bytes(), "body.ok"),
        (deep(10_000).as_bytes(), "body.ok && body.x == body.x && [body.x] == [body].map(b, b.x)"),
        (deep(10_000).as_bytes(), "body.all(k, body[k] == body[k]) && !(body.x in ['a'])"),
    ] {
        let verdict = verdict(None, Some(rule), body);
        assert_eq!(verdict, Ok(()), "{rule}");
    }
}

#[test]
fn what_go_refuses_is_no_json() {
    let deeper = "[".repeat(10_001) + &"]".repeat(10_001);
    for (body, wanted) in [
        (&b""[..], "the body is not JSON: it is empty"),
        (b"<html>", "the body is not JSON: it has '<' in line 1, at byte 1 where a value should be"),
        (b"\xef\xbb\xbftrue", "the body is not JSON: it begins with a byte order mark"),
        (b"true false", "the body is not JSON: it has 'f' in line 1, at byte 6 where nothing more should be"),
        (b"[1e999]", "the body is not JSON: no double holds the number 1e999 in line 1, at byte 2"),
        (b"[\xff]", "the body is not JSON: it has the byte 0xff in line 1, at byte 2 where a value should be"),
        (deeper.as_bytes(), "the body is not JSON: it is nested more than 10000 levels deep"),
    ] {
        assert_eq!(failure("true", body), (Reason::BodyMismatch, wanted.to_owned()));
    }
    // An error that would print 10000 levels.
    let deep = "[".repeat(10_000) + &"]".repeat(10_000);
    let (reason, sentence) = failure("body + 1 == body || {body: 1} == body", &deep);
    assert!(reason == Reason::Internal && sentence.len() < 500, "{reason:?} {sentence}");
}

#[test]
fn a_body_of_nothing_but_brackets_is_too_large() {
    let body = format!("[{}{{}}]", "{},".repeat(4 << 20));
    let (reason, sentence) = failure("true", body);
    assert_eq!(reason, Reason::BodyTooLarge);
    assert_eq!(sentence, "the values of the body take more than 512 MiB, too much for a CEL rule");
}
