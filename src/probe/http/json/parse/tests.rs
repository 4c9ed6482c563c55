#![allow(clippy::unwrap_used)]

use std::fmt::Write;

use proptest::prelude::*;

use super::*;

/// Writes what it reads, with keys in order, so that it can be compared with what Go reads.
struct Written;

fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => write!(quoted, "\\{c}").unwrap(),
            ' '..='~' => quoted.push(c),
            c => quoted.extend(c.escape_default()),
        }
    }
    quoted + "\""
}

impl<'b> Build<'b> for Written {
    type Value = String;

    fn null(&self) -> String {
        "null".to_owned()
    }

    fn bool(&self, value: bool) -> String {
        value.to_string()
    }

    fn number(&self, value: f64) -> String {
        format!("{value:e}")
    }

    fn text(&self, text: Cow<'b, str>) -> String {
        quoted(&text)
    }

    fn list(&self, items: Vec<String>, _: usize) -> String {
        format!("[{}]", items.join(","))
    }

    fn map(&self, entries: Vec<(Cow<'b, str>, String)>, _: usize) -> String {
        let map: std::collections::BTreeMap<_, _> = entries.into_iter().collect();
        let entries: Vec<String> = map.iter().map(|(key, value)| format!("{}:{value}", quoted(key))).collect();
        format!("{{{}}}", entries.join(","))
    }
}

fn read(bytes: &[u8]) -> Result<String, Fault> {
    parse(bytes, &Written, usize::MAX)
}

#[test]
fn documents_are_read_as_go_reads_them() {
    // What encoding/json made of each, or None where it refused.
    let table: &[(&[u8], Option<&str>)] = &[
        (b"", None),
        (b" ", None),
        (b"null", Some(r#"null"#)),
        (b" \x09\x0d\x0a true \x0a", Some(r#"true"#)),
        (b"false", Some(r#"false"#)),
        (b"0", Some(r#"0e0"#)),
        (b"-0", Some(r#"-0e0"#)),
        (b"-0.0", Some(r#"-0e0"#)),
        (b"1.5e3", Some(r#"1.5e3"#)),
        (b"1E+2", Some(r#"1e2"#)),
        (b"1e-2", Some(r#"1e-2"#)),
        (b"01", None),
        (b"-", None),
        (b"-a", None),
        (b"1.", None),
        (b".5", None),
        (b"+1", None),
        (b"1e", None),
        (b"1e+", None),
        (b"0x1", None),
        (b"NaN", None),
        (b"Infinity", None),
        (b"1e308", Some(r#"1e308"#)),
        (b"1e309", None),
        (b"-1e999", None),
        (b"1e-999", Some(r#"0e0"#)),
        (b"123456789012345678901234567890", Some(r#"1.2345678901234568e29"#)),
        (b"9007199254740993", Some(r#"9.007199254740992e15"#)),
        (b"18446744073709551616", Some(r#"1.8446744073709552e19"#)),
        (b"0.1", Some(r#"1e-1"#)),
        (b"1 2", None),
        (b"1,", None),
        (b"tru", None),
        (b"truex", None),
        (b"nul", None),
        (b"True", None),
        (b"\"\"", Some(r#""""#)),
        (b"\"a\"", Some(r#""a""#)),
        (b"\"a", None),
        (b"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", Some(r#""\"\\/\u{8}\u{c}\n\r\t""#)),
        (b"\"\\a\"", None),
        (b"\"\\v\"", None),
        (b"\"\\'\"", None),
        (b"\"\\u0041\"", Some(r#""A""#)),
        (b"\"\\u00e4\"", Some(r#""\u{e4}""#)),
        (b"\"\\u00E4\"", Some(r#""\u{e4}""#)),
        (b"\"\\u004\"", None),
        (b"\"\\u004g\"", None),
        (b"\"\\U0041\"", None),
        (b"\"\\u0000\"", Some(r#""\u{0}""#)),
        (b"\"\\x41\"", None),
        (b"\"\x09\"", None),
        (b"\"\x0a\"", None),
        (b"\"\x00\"", None),
        (b"\"\x1f\"", None),
        (b"\"\x7f\"", Some(r#""\u{7f}""#)),
        (b"'a'", None),
        (b"\"Stra\xdfe\"", Some(r#""Stra\u{fffd}e""#)),
        (b"\"\xff\xfe\"", Some(r#""\u{fffd}\u{fffd}""#)),
        (b"\"\xe6\x97\"", Some(r#""\u{fffd}\u{fffd}""#)),
        (b"\"\xe6\x97\xa5\"", Some(r#""\u{65e5}""#)),
        (b"\"\xed\xa0\x80\"", Some(r#""\u{fffd}\u{fffd}\u{fffd}""#)),
        (b"\"\xc0\xaf\"", Some(r#""\u{fffd}\u{fffd}""#)),
        (b"\"\xf0\x9f\x98\"", Some(r#""\u{fffd}\u{fffd}\u{fffd}""#)),
        (b"\"\xf4\x90\x80\x80\"", Some(r#""\u{fffd}\u{fffd}\u{fffd}\u{fffd}""#)),
        (b"\"\xef\xbf\xbd\"", Some(r#""\u{fffd}""#)),
        (b"\"\\ud800\"", Some(r#""\u{fffd}""#)),
        (b"\"\\udc00\"", Some(r#""\u{fffd}""#)),
        (b"\"\\ud83d\\ude00\"", Some(r#""\u{1f600}""#)),
        (b"\"\\ude00\\ud83d\"", Some(r#""\u{fffd}\u{fffd}""#)),
        (b"\"\\ud800\\ud800\"", Some(r#""\u{fffd}\u{fffd}""#)),
        (b"\"\\ud800\\ud83d\\ude00\"", Some(r#""\u{fffd}\u{1f600}""#)),
        (b"\"\\ud800x\"", Some(r#""\u{fffd}x""#)),
        (b"\"\\ud800\\n\"", Some(r#""\u{fffd}\n""#)),
        (b"\"\\ud800\\u0041\"", Some(r#""\u{fffd}A""#)),
        (b"\"\\ud800\\u00\"", None),
        (b"\"\\ud800\\", None),
        (b"\"\\uD83D\\uDE00\"", Some(r#""\u{1f600}""#)),
        (b"\"\\ud83d\xf0\x9f\x98\x80\"", Some(r#""\u{fffd}\u{1f600}""#)),
        (b"[]", Some(r#"[]"#)),
        (b"[ ]", Some(r#"[]"#)),
        (b"[1,2]", Some(r#"[1e0,2e0]"#)),
        (b"[1,]", None),
        (b"[,1]", None),
        (b"[1 2]", None),
        (b"[", None),
        (b"]", None),
        (b"[1", None),
        (b"[1}", None),
        (b"[[],[[]],{}]", Some(r#"[[],[[]],{}]"#)),
        (b"{}", Some(r#"{}"#)),
        (b"{ }", Some(r#"{}"#)),
        (b"{\"a\":1}", Some(r#"{"a":1e0}"#)),
        (b"{\"a\":1,\"a\":2}", Some(r#"{"a":2e0}"#)),
        (b"{\"a\":{\"b\":1},\"a\":{\"c\":2}}", Some(r#"{"a":{"c":2e0}}"#)),
        (b"{\"a\":1,}", None),
        (b"{,}", None),
        (b"{\"a\"}", None),
        (b"{\"a\":}", None),
        (b"{a:1}", None),
        (b"{'a':1}", None),
        (b"{1:2}", None),
        (b"{\"a\" : 1 , \"b\" : [ ] }", Some(r#"{"a":1e0,"b":[]}"#)),
        (b"{\"a\":1", None),
        (b"{\"a\":1]", None),
        (b"{\"\":0}", Some(r#"{"":0e0}"#)),
        (b"{\"\xff\":1,\"\\ufffd\":2}", Some(r#"{"\u{fffd}":2e0}"#)),
        (b"{\"\\ud800\":1}", Some(r#"{"\u{fffd}":1e0}"#)),
        (b"{\"a\\u0000\":1}", Some(r#"{"a\u{0}":1e0}"#)),
        (b"\xef\xbb\xbf{}", None),
        (b"{}\x00", None),
        (b"{}x", None),
        (b"{} {}", None),
        (b"[1]\xff", None),
        (b"\xff[1]", None),
        (b"[\xff]", None),
        (b"\xc2\xa0[1]", None),
        (b"\x0b1", None),
        (b"\x0c1", None),
        (b"// a\x0a1", None),
        (b"/**/1", None),
        (b"{\"a\":1} // b", None),
        (b"<html>", None),
        (b"undefined", None),
        (b"\"a\" \"b\"", None),
        (b"[1]]", None),
        (b"-01", None),
        (b"1.0e0", Some(r#"1e0"#)),
        (b"\"\\u0022\"", Some(r#""\"""#)),
    ];
    for (bytes, wanted) in table {
        let found = read(bytes).ok();
        assert_eq!(found.as_deref(), *wanted, "{}", bytes.escape_ascii());
    }
}

#[test]
fn a_refusal_says_what_is_where() {
    for (bytes, wanted) in [
        (&b""[..], "it is empty"),
        (b"<html>", "it has '<' in line 1, at byte 1 where a value should be"),
        (b"{\n  \"a\": 1,\n}", "it has '}' in line 3, at byte 1 where a key in quotes should be"),
        (b"[1, 2", "it ends in line 1, at byte 6 where a comma or ] should be"),
        (b"{} {}", "it has '{' in line 1, at byte 4 where nothing more should be"),
        (b"\xef\xbb\xbf{}", "it begins with a byte order mark"),
        (b"\"a\nb\"", "it has the byte 0x0a in line 1, at byte 3 where an escape such as \\n should be"),
        (b"[1e999]", "no double holds the number 1e999 in line 1, at byte 2"),
        (b"[01]", "it has '1' in line 1, at byte 3 where a comma or ] should be"),
        (b"\"\\x\"", "it has 'x' in line 1, at byte 3 where one of \"\\/bfnrtu should be"),
        (b"nope", "it has 'o' in line 1, at byte 2 where null should be"),
    ] {
        assert_eq!(read(bytes), Err(Fault::NotJson(wanted.to_owned())), "{}", bytes.escape_ascii());
    }
}

/// Counts, so that nothing is nested in memory.
struct Depth;

impl<'b> Build<'b> for Depth {
    type Value = usize;

    fn null(&self) -> usize {
        0
    }

    fn bool(&self, _: bool) -> usize {
        0
    }

    fn number(&self, _: f64) -> usize {
        0
    }

    fn text(&self, _: Cow<'b, str>) -> usize {
        0
    }

    fn list(&self, items: Vec<usize>, around: usize) -> usize {
        items.into_iter().max().unwrap_or(around + 1)
    }

    fn map(&self, entries: Vec<(Cow<'b, str>, usize)>, around: usize) -> usize {
        entries.into_iter().map(|(_, depth)| depth).max().unwrap_or(around + 1)
    }
}

#[test]
fn the_nesting_ends_where_gos_does() {
    let lists = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    let maps = |depth: usize| "{\"a\":".repeat(depth - 1) + "{" + &"}".repeat(depth);
    for depth in [1, 2, 128, 200, MAX_DEPTH] {
        for document in [lists(depth), maps(depth)] {
            assert_eq!(parse(document.as_bytes(), &Depth, usize::MAX), Ok(depth));
            assert_eq!(nesting(document.as_bytes()), depth);
        }
    }
    for document in [lists(MAX_DEPTH + 1), maps(MAX_DEPTH + 1), "[".repeat(1 << 20)] {
        let too_deep = Fault::NotJson("it is nested more than 10000 levels deep".to_owned());
        assert_eq!(parse(document.as_bytes(), &Depth, usize::MAX), Err(too_deep));
    }
    assert_eq!(nesting(br#"{"[[[": "]]\"[[", "b": [[1]]}"#), 3);
}

#[test]
fn values_that_take_too_much_memory_are_not_built() {
    let many = format!("[{}0]", "{},".repeat(10_000));
    assert_eq!(parse(many.as_bytes(), &Depth, 1 << 20), Err(Fault::TooLarge));
    assert!(parse(many.as_bytes(), &Depth, 4 << 20).is_ok());
    // A long text without escapes is not copied.
    let long = format!("\"{}\"", "a".repeat(1 << 20));
    assert!(parse(long.as_bytes(), &Depth, 1 << 10).is_ok());
}

fn any_document() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(serde_json::Value::from),
        any::<f64>().prop_map(serde_json::Value::from),
        any::<String>().prop_map(serde_json::Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
            proptest::collection::hash_map(any::<String>(), inner, 0..4)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

fn written(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Null => Written.null(),
        serde_json::Value::Bool(value) => Written.bool(*value),
        serde_json::Value::Number(number) => Written.number(number.as_f64().unwrap()),
        serde_json::Value::String(text) => Written.text(Cow::Borrowed(text)),
        serde_json::Value::Array(items) => Written.list(items.iter().map(written).collect(), 0),
        serde_json::Value::Object(map) => {
            Written.map(map.iter().map(|(key, value)| (Cow::Borrowed(key.as_str()), written(value))).collect(), 0)
        }
    }
}

proptest! {
    #[test]
    fn what_another_writer_writes_is_read(document in any_document()) {
        prop_assert_eq!(read(&serde_json::to_vec(&document).unwrap()), Ok(written(&document)));
        prop_assert_eq!(read(&serde_json::to_vec_pretty(&document).unwrap()), Ok(written(&document)));
    }

    #[test]
    fn what_another_reader_reads_is_read_and_what_it_refuses_is_refused(
        bytes in proptest::collection::vec(
            prop_oneof!["[\\[\\]{}\",:]", "[-+.0-9eE]", "true|false|null", "[ \t\r\n]", "a|\\\\[nu\"\\\\/x]", "\"a\""],
            0..12,
        ),
    ) {
        let text = bytes.concat();
        let other = serde_json::from_str::<serde_json::Value>(&text).ok().map(|document| written(&document));
        prop_assert_eq!(read(text.as_bytes()).ok(), other, "{}", text);
    }

    #[test]
    fn any_bytes_are_read_or_refused(
        bytes in proptest::collection::vec(
            prop_oneof![any::<u8>(), Just(b'"'), Just(b'\\'), Just(b'u'), Just(b'd'), Just(b'8'), Just(b'['), Just(b'{')],
            0..40,
        ),
    ) {
        let _ = read(&bytes);
        let quoted = [b"\"", &bytes[..], b"\""].concat();
        let _ = read(&quoted);
    }
}
