//! The way to a target: where it ends now, beside how it went when the target answered.

use maud::{Markup, html};
use serde_json::Value;

use super::{duration, list, stamp, text};
use crate::figures::took;
use crate::server::html::show::Shown;

pub(super) fn path(way: &Value, good: &Value) -> Markup {
    let (way, good) = (way.as_object(), list(good));
    html! {
        @if way.is_some() || !good.is_empty() {
            section #path {
                @if let Some(way) = way {
                    h2 { @if way["current"] == true { "The way to it" } @else { "The way to it, in an outage before" } }
                    p {
                        (stamp(&way["time"])) " " strong { (Shown(text(&way["sentence"]))) } " "
                        small { (Shown(text(&way["path_end"]))) }
                    }
                    (hops(way.get("hops").unwrap_or(&Value::Null), good.first().unwrap_or(&Value::Null)))
                } @else {
                    h2 { "The way to it" }
                }
                @for way in good {
                    details {
                        summary { "The way when it was good, " (stamp(&way["time"])) }
                        ol { @for hop in list(&way["hops"]) { li { (Shown(&answered(hop))) } } }
                    }
                }
            }
        }
    }
}

/// Who answered at a hop of a good way.
fn answered(hop: &Value) -> String {
    let addresses: Vec<&str> = list(&hop["addresses"]).iter().map(text).collect();
    if addresses.is_empty() { "silent".to_owned() } else { addresses.join(" or ") }
}

/// Hop by hop, with a mark where the way parts from the good one.
fn hops(now: &Value, good: &Value) -> Markup {
    let (now, good) = (list(now), list(&good["hops"]));
    if now.is_empty() {
        return html! {};
    }
    html! {
        table.stack {
            thead {
                tr {
                    th scope="col" { "Hop" }
                    th scope="col" { "Now" }
                    th scope="col" { "Round trip" }
                    @if !good.is_empty() { th scope="col" { "When it was good" } }
                }
            }
            tbody { @for index in 0..now.len().max(good.len()) { (row(index, now.get(index), good)) } }
        }
    }
}

fn row(index: usize, now: Option<&Value>, good: &[Value]) -> Markup {
    let address = now.and_then(|hop| hop["address"].as_str());
    let before = good.get(index);
    // A hop that was silent then, or is now, says nothing of the way.
    let parts = before.is_some_and(|hop| {
        let known = list(&hop["addresses"]);
        match address {
            Some(address) => !known.is_empty() && known.iter().all(|other| other.as_str() != Some(address)),
            None => now.is_none() && !known.is_empty(),
        }
    });
    html! {
        tr {
            th scope="row" data-label="Hop" { (index + 1) }
            td data-label="Now" {
                @match (now, address) {
                    (None, _) => { @if parts { mark { "no answer from here on" } } @else { "-" } }
                    (_, None) => "silent",
                    (_, Some(address)) => { @if parts { mark { (Shown(address)) } " " small { "differs" } } @else { (Shown(address)) } }
                }
                @if now.is_some_and(|hop| hop["other_packets"] == true) { " " small { "answers other packets alone" } }
            }
            td.n data-label="Round trip" {
                @if let Some(time) = now.map(|hop| &hop["round_trip_seconds"]).filter(|time| time.is_number()) { (took(duration(time))) }
            }
            @if !good.is_empty() { td data-label="When it was good" { @if let Some(hop) = before { (Shown(&answered(hop))) } } }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_hop_where_it_parts_is_marked() {
        let now = json!({
            "current": true, "time": "2026-01-02T03:04:05.000Z", "sentence": "the way ends", "path_end": "ends",
            "hops": [
                {"hop": 1, "address": "192.0.2.1", "round_trip_seconds": 0.0004},
                {"hop": 2, "address": null},
                {"hop": 3, "address": "198.51.100.3", "round_trip_seconds": 0.0025, "other_packets": true},
            ],
        });
        let good = json!([{"time": "2026-01-02T02:04:05.000Z", "hops": [
            {"hop": 1, "addresses": ["192.0.2.1"]},
            {"hop": 2, "addresses": ["192.0.2.2"]},
            {"hop": 3, "addresses": ["192.0.2.3", "192.0.2.4"]},
            {"hop": 4, "addresses": ["192.0.2.5"]},
            {"hop": 5, "addresses": []},
        ]}]);
        let page = path(&now, &good).into_string();
        for part in [
            "<strong>the way ends</strong> <small>ends</small>",
            "<td data-label=\"Now\">192.0.2.1</td><td class=\"n\" data-label=\"Round trip\">0.4 ms</td>",
            "<td data-label=\"Now\">silent</td>",
            "<mark>198.51.100.3</mark> <small>differs</small> <small>answers other packets alone</small>",
            "<td data-label=\"When it was good\">192.0.2.3 or 192.0.2.4</td>",
            "<mark>no answer from here on</mark>",
        ] {
            assert!(page.contains(part), "{part}\n{page}");
        }
        assert_eq!(page.matches("<mark>").count(), 2, "{page}");
        assert_eq!(path(&Value::Null, &Value::Null).into_string(), "");
    }
}
