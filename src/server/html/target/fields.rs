//! The facts of a run as a flat list, whatever the prober showed, and two such lists side by side.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::figures::took;

/// One fact of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) text: String,
}

/// One fact of two runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) name: String,
    pub(super) good: Option<String>,
    pub(super) bad: Option<String>,
}

/// How two runs stand to each other in one fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    Same,
    Differs,
    OnlyGood,
    OnlyBad,
}

impl Pair {
    pub(super) fn relation(&self) -> Relation {
        match (&self.good, &self.bad) {
            (Some(good), Some(bad)) if good == bad => Relation::Same,
            (Some(_), Some(_)) => Relation::Differs,
            (Some(_), None) => Relation::OnlyGood,
            (None, _) => Relation::OnlyBad,
        }
    }
}

/// What is shown of a run elsewhere: its head, its phases, its trace.
const ELSEWHERE: [&str; 10] = [
    "time",
    "elapsed_seconds",
    "timeout_seconds",
    "success",
    "reason",
    "sentence",
    "trace_id",
    "trace_url",
    "look_first",
    "phases_seconds",
];

/// In the order of the JSON.
pub(super) fn fields(run: &Map<String, Value>) -> Vec<Field> {
    let mut out = Vec::new();
    for (key, value) in run.iter().filter(|(key, _)| !ELSEWHERE.contains(&key.as_str())) {
        match (key.as_str(), value) {
            ("resolution", Value::Object(facts)) => resolution(facts, &mut out),
            ("addresses", Value::Array(runs)) => runs.iter().for_each(|run| at_address(run, &mut out)),
            ("tls", Value::Object(facts)) => inner("TLS", facts, &mut out),
            // What the prober showed needs no name before each fact.
            (_, Value::Object(facts)) => inner("", facts, &mut out),
            _ => walk(&words(key), key, value, &mut out),
        }
    }
    out
}

fn resolution(facts: &Map<String, Value>, out: &mut Vec<Field>) {
    for (key, name) in [
        ("used", "address used"),
        ("addresses", "addresses"),
        ("server", "name server that answered"),
        ("aliases", "aliases"),
        ("name_servers", "name servers"),
    ] {
        if let Some(value) = facts.get(key) {
            walk(name, key, value, out);
        }
    }
}

fn at_address(run: &Value, out: &mut Vec<Field>) {
    let name = format!("at {}", run["address"].as_str().unwrap_or("no address"));
    let text = match run["sentence"].as_str() {
        None => "succeeded".to_owned(),
        Some(sentence) => format!("{}: {sentence}", run["reason"].as_str().unwrap_or_default()),
    };
    push(name, text, out);
}

fn inner(before: &str, facts: &Map<String, Value>, out: &mut Vec<Field>) {
    for (key, value) in facts {
        let name = match key.as_str() {
            "chain" => "certificate".to_owned(),
            "body_excerpt" => "body".to_owned(),
            "received_excerpt" => "received".to_owned(),
            key => words(key),
        };
        let name = if before.is_empty() || key == "chain" { name } else { format!("{before} {name}") };
        walk(&name, key, value, out);
    }
}

fn walk(name: &str, key: &str, value: &Value, out: &mut Vec<Field>) {
    match value {
        Value::Null => {}
        Value::Bool(yes) => push(name.to_owned(), if *yes { "yes" } else { "no" }.to_owned(), out),
        Value::String(text) => push(name.to_owned(), text.clone(), out),
        Value::Number(number) => number_as(name, key, number.as_f64().unwrap_or(f64::NAN), number.to_string(), out),
        Value::Object(map) => match (map.get("text"), map.get("name"), map.get("value")) {
            // Its bytes are in the JSON.
            (Some(Value::String(text)), _, _) if key.ends_with("_excerpt") => push(name.to_owned(), text.clone(), out),
            // There may be several of a name.
            (_, Some(Value::String(header)), Some(Value::String(value))) if key == "headers" => {
                // When a run was is known, and it would always differ.
                if header.eq_ignore_ascii_case("date") {
                    return;
                }
                push(format!("header {}", header.to_ascii_lowercase()), value.clone(), out);
            }
            _ => {
                for (key, value) in map {
                    walk(&format!("{name} {}", words(key)), key, value, out);
                }
            }
        },
        Value::Array(items) if items.iter().all(|item| !item.is_object() && !item.is_array()) => {
            let items: Vec<String> =
                items.iter().map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned)).collect();
            push(name.to_owned(), items.join("\n"), out);
        }
        Value::Array(items) => {
            for (number, item) in (1..).zip(items) {
                let numbered = if number == 1 { name.to_owned() } else { format!("{name} {number}") };
                walk(&numbered, key, item, out);
            }
        }
    }
}

fn number_as(name: &str, key: &str, number: f64, text: String, out: &mut Vec<Field>) {
    let duration = Duration::try_from_secs_f64(number).ok();
    // Below a map such as rtt_seconds the unit is in the name already.
    let in_seconds = key.ends_with("_seconds") || name.contains(" seconds ");
    let (name, text) = match duration.filter(|_| in_seconds) {
        Some(duration) => (name.replace(" seconds", ""), took(duration)),
        None if key.ends_with("_ratio") => {
            (name.replace(" ratio", ""), format!("{} %", (number * 1000.0).round() / 10.0))
        }
        None => (name.to_owned(), text),
    };
    push(name, text, out);
}

/// A fact that is there more than once is one, with a line for each. Nothing is no fact.
fn push(name: String, text: String, out: &mut Vec<Field>) {
    if text.is_empty() {
        return;
    }
    match out.iter_mut().find(|field| field.name == name) {
        Some(field) => {
            field.text.push('\n');
            field.text.push_str(&text);
        }
        None => out.push(Field { name, text }),
    }
}

/// A key as words.
pub(super) fn words(key: &str) -> String {
    key.replace('_', " ")
}

/// Side by side, in the order of both: what only one has stands where that one has it.
pub(super) fn side_by_side(good: Vec<Field>, bad: Vec<Field>) -> Vec<Pair> {
    let mut pairs: Vec<Pair> =
        good.into_iter().map(|field| Pair { name: field.name, good: Some(field.text), bad: None }).collect();
    let mut next = 0;
    for field in bad {
        match pairs.iter().position(|pair| pair.name == field.name) {
            Some(place) => {
                pairs[place].bad = Some(field.text);
                next = place + 1;
            }
            None => {
                pairs.insert(next, Pair { name: field.name, good: None, bad: Some(field.text) });
                next += 1;
            }
        }
    }
    pairs
}

/// Splits a text into what it has in common with another at its start, what differs, and what is common at its end. If little is common,
/// all of it differs: marks in the middle of words help nobody.
pub(super) fn apart<'a>(text: &'a str, other: &str) -> (&'a str, &'a str, &'a str) {
    let start: usize = text.chars().zip(other.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum();
    let (rest, other) = (&text[start..], &other[start..]);
    let end: usize =
        rest.chars().rev().zip(other.chars().rev()).take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum();
    let common = start + end;
    if common * 2 < text.len().max(start + other.len()) {
        return ("", text, "");
    }
    (&text[..start], &rest[..rest.len() - end], &rest[rest.len() - end..])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn of(run: &Value) -> Vec<(String, String)> {
        fields(run.as_object().unwrap()).into_iter().map(|field| (field.name, field.text)).collect()
    }

    #[test]
    fn facts_are_told_in_words_whatever_the_prober() {
        let run = json!({
            "time": "2026-01-02T03:04:05.000Z", "elapsed_seconds": 0.1, "success": true, "phases_seconds": {"connect": 0.1},
            "resolution": {"elapsed_seconds": 0.004, "addresses": ["192.0.2.1", "192.0.2.2"], "used": "192.0.2.1"},
            "addresses": [{"address": "192.0.2.2", "reason": "connect_refused", "sentence": "no", "elapsed_seconds": 1.0}],
            "http": {
                "status": 503, "version": 1.1, "ssl": false, "redirects": 0, "redirect_chain": [], "proxy": null,
                "headers": [{"name": "Server", "value": "a"}, {"name": "Date", "value": "now"}, {"name": "via", "value": "b"}, {"name": "via", "value": "c"}],
                "body_excerpt": {"text": "<h1>", "base64": "/w=="},
            },
            "icmp": {"packet_loss_ratio": 0.25, "rtt_seconds": {"min": 0.01, "max": 2.5}},
            "tcp": {"expect_info": [{"banner": "x"}, {"step": "ehlo"}]},
            "tls": {"version": "TLS 1.3", "chain": [{"subject": "CN=a", "dns_names": ["a", "b"]}, {"subject": "CN=ca"}]},
        });
        let expected = [
            ("address used", "192.0.2.1"),
            ("addresses", "192.0.2.1\n192.0.2.2"),
            ("at 192.0.2.2", "connect_refused: no"),
            ("status", "503"),
            ("version", "1.1"),
            ("ssl", "no"),
            ("redirects", "0"),
            ("header server", "a"),
            ("header via", "b\nc"),
            ("body", "<h1>"),
            ("packet loss", "25 %"),
            ("rtt min", "10 ms"),
            ("rtt max", "2.5 s"),
            ("expect info banner", "x"),
            ("expect info 2 step", "ehlo"),
            ("TLS version", "TLS 1.3"),
            ("certificate subject", "CN=a"),
            ("certificate dns names", "a\nb"),
            ("certificate 2 subject", "CN=ca"),
        ];
        assert_eq!(of(&run), expected.map(|(name, text)| (name.to_owned(), text.to_owned())));
    }

    #[test]
    fn two_runs_stand_side_by_side_in_the_order_of_both() {
        let list = |names: &[(&str, &str)]| -> Vec<Field> {
            names.iter().map(|(name, text)| Field { name: (*name).to_owned(), text: (*text).to_owned() }).collect()
        };
        let pairs = side_by_side(
            list(&[("status", "200"), ("server", "a"), ("body", "ok")]),
            list(&[("proxy", "p"), ("status", "503"), ("retry", "9"), ("body", "ok")]),
        );
        let shown: Vec<_> = pairs.iter().map(|pair| (pair.name.as_str(), pair.relation())).collect();
        let expected = [
            ("proxy", Relation::OnlyBad),
            ("status", Relation::Differs),
            ("retry", Relation::OnlyBad),
            ("server", Relation::OnlyGood),
            ("body", Relation::Same),
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn what_differs_is_marked_where_it_differs() {
        for (text, other, expected) in [
            ("nginx/1.24.0", "nginx/1.26.0", ("nginx/1.2", "4", ".0")),
            ("nginx/1.24.0 (Debian)", "nginx/1.24.0", ("nginx/1.24.0", " (Debian)", "")),
            ("503", "200", ("", "503", "")),
            ("same", "same", ("same", "", "")),
            ("aa", "aaa", ("aa", "", "")),
            ("aaa", "aa", ("aa", "a", "")),
            ("\u{e9}t\u{e9}", "\u{e8}t\u{e9}", ("", "\u{e9}", "t\u{e9}")),
            ("", "x", ("", "", "")),
        ] {
            assert_eq!(apart(text, other), expected, "{text} {other}");
        }
    }

    proptest! {
        #[test]
        fn nothing_is_lost_between_the_marks(text in "[ab\u{e9}]{0,9}", other in "[ab\u{e9}]{0,9}") {
            let (start, middle, end) = apart(&text, &other);
            prop_assert_eq!(format!("{start}{middle}{end}"), &*text);
            prop_assert!(text != other || middle.is_empty());
        }

        #[test]
        fn any_two_lists_keep_all_of_their_facts(good in proptest::collection::vec(0..6_u8, 0..6), bad in proptest::collection::vec(0..6_u8, 0..6)) {
            let list = |numbers: &[u8]| {
                let mut out = Vec::new();
                numbers.iter().for_each(|number| push(number.to_string(), number.to_string(), &mut out));
                out
            };
            let (good, bad) = (list(&good), list(&bad));
            let pairs = side_by_side(good.clone(), bad.clone());
            prop_assert_eq!(pairs.iter().filter(|pair| pair.good.is_some()).count(), good.len());
            prop_assert_eq!(pairs.iter().filter(|pair| pair.bad.is_some()).count(), bad.len());
        }
    }
}
