//! The way to a target, on its page.

use std::fmt::Write;

use serde_json::Value;

use super::show::Shown as Escaped;
use super::target::{list, milliseconds, stamp, text};

pub(super) fn path(out: &mut String, way: &Value, good: &Value) {
    if let Value::Object(way) = way {
        let title = if way["current"] == true { "The way to it" } else { "The way to it, in an outage before" };
        let _ = write!(
            out,
            "<h2 id=\"path\">{title}</h2>\n<p>{} <strong>{}</strong> <small>{}</small></p>\n",
            stamp(&way["time"]),
            Escaped(text(&way["sentence"])),
            Escaped(text(&way["path_end"])),
        );
        hops(out, way.get("hops").unwrap_or(&Value::Null));
    }
    for way in list(good) {
        let _ = write!(out, "<details><summary>The way when it was good, {}</summary>\n<ol>", stamp(&way["time"]));
        for hop in list(&way["hops"]) {
            let addresses: Vec<&str> = list(&hop["addresses"]).iter().map(text).collect();
            let shown = if addresses.is_empty() { "silent".to_owned() } else { addresses.join(" or ") };
            let _ = write!(out, "<li>{}</li>", Escaped(&shown));
        }
        out.push_str("</ol>\n</details>\n");
    }
}

fn hops(out: &mut String, hops: &Value) {
    if list(hops).is_empty() {
        return;
    }
    out.push_str("<table>\n<thead><tr><th>Hop<th>Address<th>Round trip</tr></thead>\n<tbody>\n");
    for hop in list(hops) {
        let (address, note) = match hop["address"].as_str() {
            None => ("silent", ""),
            Some(address) if hop["other_packets"] == true => (address, " <small>answers other packets alone</small>"),
            Some(address) => (address, ""),
        };
        let _ = writeln!(
            out,
            "<tr><td class=\"n\">{}</td><td>{}{note}</td><td class=\"n\">{}</td></tr>",
            hop["hop"],
            Escaped(address),
            milliseconds(&hop["round_trip_seconds"]),
        );
    }
    out.push_str("</tbody>\n</table>\n");
}
