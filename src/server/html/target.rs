//! The page of one target at `/targets/NAME`: what an alert links to. Drawn from the same JSON that the API serves, so
//! that both always show the same facts, whatever the prober.

use std::fmt::Write;
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};

use super::SEGMENT;
use super::path::path;
use super::show::{self, Shown as Escaped};
use crate::config::TraceUrl;
use crate::server::api::{self, Evidence};
use crate::server::text::{span, took};
use crate::state::{Explained, TargetSnapshot, Verdict};

pub(super) const STYLE: &str = "\
:root{color-scheme:light dark;--line:#8885;--soft:#8882;--bad:light-dark(#b00020,#ff8a80);--good:light-dark(#1b6e2c,#81c995);--odd:light-dark(#7a5c00,#ffd54f)}
body{font:16px/1.5 system-ui,sans-serif;margin:1.5rem auto;max-width:62rem;padding:0 1rem}
h1{font-size:1.5rem;margin:.2rem 0}
h2{font-size:1.1rem;margin:2rem 0 .4rem}
h3{font-size:1rem;margin:0 0 .3rem}
p{margin:.4rem 0}
a{color:inherit}
.state{font-weight:700}
.down .state,.bad{color:var(--bad)}
.up .state,.good{color:var(--good)}
.unknown .state{color:var(--odd)}
.box{border:1px solid var(--line);border-left:.3rem solid var(--line);border-radius:.3rem;padding:.6rem .9rem;margin:.8rem 0}
.down .box.now{border-left-color:var(--bad)}
.up .box.now{border-left-color:var(--good)}
.grid{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,26rem),1fr));gap:.8rem}
.grid .box{margin:0;min-width:0}
dl{display:grid;grid-template-columns:max-content minmax(0,1fr);gap:.1rem .8rem;margin:.3rem 0}
dt{opacity:.75}
dd{margin:0;overflow-wrap:anywhere}
ul,ol{margin:.3rem 0;padding-left:1.2rem}
li{overflow-wrap:anywhere}
svg{display:block;width:100%;height:1.1rem;border-radius:.2rem;background:var(--soft);margin:.3rem 0}
.p0{fill:#4477aa}.p1{fill:#66ccee}.p2{fill:#aa3377}.p3{fill:#ccbb44}.p4{fill:#228833}
.legend{list-style:none;padding:0;display:flex;flex-wrap:wrap;gap:.1rem 1rem;font-variant-numeric:tabular-nums}
.legend svg{display:inline-block;width:.8rem;height:.8rem;margin:0 .3rem 0 0;vertical-align:-.05rem}
table{border-collapse:collapse;width:100%;margin:.3rem 0}
th,td{text-align:left;vertical-align:top;padding:.25rem .8rem .25rem 0;border-bottom:1px solid var(--line);overflow-wrap:anywhere}
th{font-weight:600}
td.n{white-space:nowrap;font-variant-numeric:tabular-nums}
pre{white-space:pre-wrap;overflow-wrap:anywhere;background:var(--soft);padding:.5rem;border-radius:.3rem;margin:.3rem 0;max-height:24rem;overflow:auto}
summary{cursor:pointer}
small{opacity:.75}
";

/// Runs that are further apart leave open when a change was.
const VAGUE: Duration = Duration::from_secs(1);

/// The page. `taken` is when the snapshot was.
pub(in crate::server) fn page(target: &TargetSnapshot, taken: SystemTime, traces: Option<&TraceUrl>) -> String {
    // Fails only for maps whose keys are not text, and there are none.
    let json = serde_json::to_value(Evidence::new(target).tracing(traces)).unwrap_or_default();
    let name = target.target.name.as_str();
    let shown = target.target.display_name.as_deref().unwrap_or(name);
    let verdict = api::verdict(target.verdict);
    let mut out = String::with_capacity(16 * 1024);
    // Writing to a String cannot fail, here and below.
    let _ = write!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <link rel=\"icon\" href=\"data:,\">\n<title>{} is {verdict}</title>\n<style>{STYLE}</style>\n</head>\n\
         <body class=\"{verdict}\">\n<p><a href=\"../\">All targets</a></p>\n<main>\n<h1>{} is \
         <span class=\"state\">{verdict}</span></h1>\n",
        Escaped(shown),
        Escaped(shown),
    );
    now(&mut out, target, taken);
    notice(&mut out, target);
    diagnosis(&mut out, &json["diagnosis"]);
    path(&mut out, &json["path"], &json["good_paths"]);
    changes(&mut out, &json["changes"]);
    timeline(&mut out, target);
    out.push_str("<h2 id=\"evidence\">Evidence</h2>\n<div class=\"grid\">\n");
    for (key, title) in [
        ("first_failure", "First failure of the outage"),
        ("latest_failure", "Latest failure"),
        ("last_good", "Last good run"),
        ("recovery", "First good run after the outage"),
    ] {
        if let Value::Object(run) = &json["evidence"][key] {
            capsule(&mut out, title, run);
        }
    }
    out.push_str("</div>\n");
    recent(&mut out, &json["recent"]);
    totals(&mut out, target, &json);
    let _ = write!(
        out,
        "</main>\n<p><small>As of {}. <a href=\"../api/v1/targets/{}\">The same as JSON</a></small></p>\n</body>\n</html>\n",
        time(Some(taken)),
        percent_encoding::utf8_percent_encode(name, SEGMENT),
    );
    out
}

/// What is so now, since when, why, and what to look at first.
fn now(out: &mut String, target: &TargetSnapshot, taken: SystemTime) {
    out.push_str("<div class=\"box now\">\n");
    let failure = target.last.as_deref().and_then(|run| Some((run.outcome.failure()?, run.look_first()?)));
    if let Some(since) = target.since {
        let verb = if target.verdict == Verdict::Down { "Down" } else { "Up" };
        let length = span(taken.duration_since(since).unwrap_or_default());
        let _ = write!(out, "<p>{verb} since {} ({length}).", time(Some(since)));
        // A second more or less is no news.
        let vague = target.since_after().filter(|after| since.duration_since(*after).is_ok_and(|gap| gap >= VAGUE));
        if let Some(after) = vague {
            let what = if target.verdict == Verdict::Down { "It began" } else { "The outage ended" };
            let _ = write!(out, " {what} between {} and {}.", time(Some(after)), time(Some(since)));
        }
        out.push_str("</p>\n");
    } else {
        out.push_str("<p>Nothing is confirmed yet.</p>\n");
    }
    if let Some((failure, look_first)) = failure {
        let reason = failure.reason;
        let _ = write!(
            out,
            "<p><strong>{}</strong> <small>{}</small></p>\n<p>{} <strong>Look first:</strong> {} \
             <a href=\"../runbooks/{}\">Runbook</a></p>\n",
            Escaped(&failure.sentence),
            reason.as_label(),
            reason.meaning(),
            Escaped(&look_first),
            reason.as_label(),
        );
    }
    if let Some(cause) = &target.shared_cause {
        let since = time(Some(cause.since));
        let _ = writeln!(out, "<p><strong>Not alone:</strong> {} Since {since}.</p>", Escaped(&cause.sentence()));
    }
    if let Some(explained) = &target.explained {
        let mut sentence = explanation(explained, "");
        sentence.replace_range(..1, "E");
        let _ = writeln!(out, "<p><strong>{sentence}.</strong></p>");
    }
    if let Some(current) = target.target.maintenance.current(taken) {
        let name = if current.window.name.is_empty() { "Maintenance" } else { &*current.window.name };
        let _ = writeln!(
            out,
            "<p><strong>In maintenance:</strong> {}, from {} to {}.</p>",
            Escaped(name),
            time(Some(current.start.into())),
            time(Some(current.end.into())),
        );
    }
    let labels: Vec<String> = target.target.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let _ = write!(
        out,
        "<p><small>{} by the {} prober, module {}. {}</small></p>\n</div>\n",
        Escaped(&target.target.address),
        target.target.probe.prober(),
        Escaped(&target.target.module),
        Escaped(&labels.join(" ")),
    );
}

fn notice(out: &mut String, target: &TargetSnapshot) {
    let Some(notice) = &target.notice else { return };
    out.push_str("<div class=\"box\">\n<h3>Notice</h3>\n");
    for text in [&notice.cause, &notice.action] {
        if !text.is_empty() {
            let _ = writeln!(out, "<p>{}</p>", Escaped(text));
        }
    }
    if let Some(next) = notice.next_update {
        let _ = writeln!(out, "<p>Next update: {}</p>", time(Some(next.into())));
    }
    out.push_str("</div>\n");
}

fn diagnosis(out: &mut String, found: &Value) {
    let Value::Object(found) = found else { return };
    let _ = write!(
        out,
        "<h2>What re-checks found</h2>\n<p><strong>{}</strong> <small>{}</small></p>\n<ul>\n",
        Escaped(text(&found["sentence"])),
        Escaped(text(&found["finding"])),
    );
    for attempt in list(&found["attempts"]) {
        let (class, mark) = if attempt["success"] == true { ("good", "fine") } else { ("bad", "fails") };
        let _ = writeln!(
            out,
            "<li>{}: <span class=\"{class}\">{mark}</span> <small>{}</small></li>",
            Escaped(text(&attempt["what"])),
            Escaped(text(&attempt["result"])),
        );
    }
    out.push_str("</ul>\n");
}

fn changes(out: &mut String, changes: &Value) {
    if list(changes).is_empty() {
        return;
    }
    out.push_str(
        "<h2>What was otherwise before</h2>\n<table>\n<thead><tr><th>What<th>Changed<th>From<th>To</tr></thead>\n<tbody>\n",
    );
    for change in list(changes) {
        let _ = writeln!(
            out,
            "<tr><td>{}</td><td class=\"n\">{}</td><td>{}</td><td>{}</td></tr>",
            Escaped(text(&change["what"])),
            stamp(&change["time"]),
            Escaped(text(&change["before"])),
            Escaped(text(&change["after"])),
        );
    }
    out.push_str("</tbody>\n</table>\n");
}

fn timeline(out: &mut String, target: &TargetSnapshot) {
    let turns = target.timeline.turns();
    if turns.is_empty() {
        return;
    }
    out.push_str("<h2>Timeline</h2>\n<ol reversed>\n");
    for (index, turn) in turns.iter().enumerate().rev() {
        let verdict = api::verdict(turn.verdict);
        let _ = write!(
            out,
            "<li><span class=\"{}\"><span class=\"state\">{verdict}</span></span> from {}",
            verdict,
            time(Some(turn.time))
        );
        if let Some(after) = turn.after.filter(|after| turn.time.duration_since(*after).is_ok_and(|gap| gap >= VAGUE)) {
            let _ = write!(out, " (at the earliest {})", time(Some(after)));
        }
        if let Some(next) = turns.get(index + 1) {
            let _ = write!(out, ", for {}", span(next.time.duration_since(turn.time).unwrap_or_default()));
        }
        if let Some(reason) = turn.reason {
            let _ = write!(out, " <small>{}</small>", reason.as_label());
        }
        out.push_str("</li>\n");
    }
    out.push_str("</ol>\n");
}

/// One run: what is common to all probers first, then whatever the prober showed.
fn capsule(out: &mut String, title: &str, run: &Map<String, Value>) {
    let (class, word) = if run["success"] == true { ("good", "succeeded") } else { ("bad", "failed") };
    let _ = write!(
        out,
        "<section class=\"box\">\n<h3>{title}</h3>\n<p>{} <span class=\"{class}\">{word}</span> after {}</p>\n",
        stamp(run.get("time").unwrap_or(&Value::Null)),
        milliseconds(run.get("elapsed_seconds").unwrap_or(&Value::Null)),
    );
    if let Some(sentence) = run.get("sentence") {
        let reason = run.get("reason").unwrap_or(&Value::Null);
        let _ = writeln!(out, "<p>{} <small>{}</small></p>", Escaped(text(sentence)), Escaped(text(reason)));
    }
    if let Some(Value::Object(phases)) = run.get("phases_seconds") {
        phase_bar(out, phases);
    }
    if let Some(Value::Object(resolution)) = run.get("resolution") {
        let addresses: Vec<&str> = list(&resolution["addresses"]).iter().map(text).collect();
        out.push_str("<dl>");
        if let Some(used) = resolution.get("used").and_then(Value::as_str) {
            let _ = write!(out, "<dt>address used</dt><dd>{}</dd>", Escaped(used));
        }
        if addresses.len() > 1 || resolution.get("used").is_none_or(Value::is_null) {
            let _ = write!(out, "<dt>addresses</dt><dd>{}</dd>", Escaped(&addresses.join(", ")));
        }
        out.push_str("</dl>\n");
    }
    if let Some(addresses) = run.get("addresses") {
        details(out, "Each address", addresses);
    }
    trace(out, run);
    const COMMON: [&str; 14] = [
        "time",
        "elapsed_seconds",
        "timeout_seconds",
        "success",
        "reason",
        "sentence",
        "trace_id",
        "trace_url",
        "look_first",
        "resolution",
        "phases_seconds",
        "addresses",
        "tls",
        "recent",
    ];
    for (_, value) in run.iter().filter(|(key, _)| !COMMON.contains(&key.as_str())) {
        shown(out, value);
    }
    if let Some(tls) = run.get("tls") {
        details(out, "TLS and certificates", tls);
    }
    out.push_str("</section>\n");
}

/// The trace, as a link where there is one. Its URL is http or https, since the config takes no other.
fn trace(out: &mut String, run: &Map<String, Value>) {
    let Some(id) = run.get("trace_id").and_then(Value::as_str) else { return };
    let _ = match run.get("trace_url").and_then(Value::as_str) {
        Some(url) => writeln!(out, "<p>Trace <a href=\"{}\">{}</a></p>", Escaped(url), Escaped(id)),
        None => writeln!(out, "<p>Trace {}</p>", Escaped(id)),
    };
}

/// What a prober showed: plain facts at once, the longer ones to be opened.
fn shown(out: &mut String, value: &Value) {
    let Value::Object(facts) = value else { return };
    let (plain, long): (Vec<_>, Vec<_>) = facts
        .iter()
        .filter(|(_, value)| !is_empty(value))
        .partition(|(_, value)| !value.is_object() && !value.is_array());
    out.push_str("<dl>");
    for (key, value) in plain {
        let _ = write!(out, "<dt>{}</dt><dd>{}</dd>", Escaped(&words(key)), Escaped(&plain_text(value)));
    }
    out.push_str("</dl>\n");
    for (key, value) in long {
        let title = words(key);
        if let Some(excerpt) = value.get("text").filter(|_| key.ends_with("excerpt")) {
            let _ = writeln!(
                out,
                "<details><summary>{}</summary><pre>{}</pre></details>",
                Escaped(&title),
                Escaped(text(excerpt))
            );
        } else {
            details(out, &title, value);
        }
    }
}

fn details(out: &mut String, title: &str, value: &Value) {
    let _ = writeln!(out, "<details><summary>{}</summary>", Escaped(title));
    nested(out, value);
    out.push_str("</details>\n");
}

fn nested(out: &mut String, value: &Value) {
    match value {
        Value::Object(map) => {
            // A header and its value is one line.
            if let (2, Some(name), Some(value)) = (map.len(), map.get("name"), map.get("value")) {
                let _ = write!(out, "{}: {}", Escaped(text(name)), Escaped(&plain_text(value)));
                return;
            }
            out.push_str("<dl>");
            for (key, value) in map.iter().filter(|(_, value)| !is_empty(value)) {
                let _ = write!(out, "<dt>{}</dt><dd>", Escaped(&words(key)));
                nested(out, value);
                out.push_str("</dd>");
            }
            out.push_str("</dl>\n");
        }
        Value::Array(items) => {
            out.push_str("<ul>");
            for item in items {
                out.push_str("<li>");
                nested(out, item);
                out.push_str("</li>");
            }
            out.push_str("</ul>\n");
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            let _ = write!(out, "{}", Escaped(&plain_text(value)));
        }
    }
}

/// The phases of a run as one bar, to scale, with a legend that says it in words.
fn phase_bar(out: &mut String, phases: &Map<String, Value>) {
    const COLOURS: usize = 5;
    let times: Vec<(&str, f64)> =
        phases.iter().filter_map(|(name, time)| Some((name.as_str(), time.as_f64()?))).collect();
    let sum: f64 = times.iter().map(|(_, time)| time).sum();
    if times.is_empty() {
        return;
    }
    if sum > 0.0 {
        out.push_str("<svg viewBox=\"0 0 1000 10\" preserveAspectRatio=\"none\" aria-hidden=\"true\">");
        let mut x = 0.0;
        for (index, (_, time)) in times.iter().enumerate() {
            let width = time / sum * 1000.0;
            let class = index % COLOURS;
            let _ = write!(out, "<rect class=\"p{class}\" x=\"{x:.1}\" width=\"{width:.1}\" height=\"10\"/>");
            x += width;
        }
        out.push_str("</svg>\n");
    }
    out.push_str("<ul class=\"legend\">");
    for (index, (name, time)) in times.iter().enumerate() {
        let class = index % COLOURS;
        let _ = write!(
            out,
            "<li><svg viewBox=\"0 0 10 10\" aria-hidden=\"true\"><rect class=\"p{class}\" width=\"10\" height=\"10\"/>\
             </svg>{} {}</li>",
            Escaped(name),
            took(Duration::try_from_secs_f64(*time).unwrap_or_default())
        );
    }
    out.push_str("</ul>\n");
}

/// The last runs, newest first, where they are kept.
fn recent(out: &mut String, runs: &Value) {
    if list(runs).is_empty() {
        return;
    }
    out.push_str(
        "<h2>Last runs</h2>\n<table>\n<thead><tr><th>Time<th>Result<th>Took<th>Reason</tr></thead>\n<tbody>\n",
    );
    for run in list(runs) {
        let (class, word) = if run["success"] == true { ("good", "up") } else { ("bad", "failed") };
        let _ = writeln!(
            out,
            "<tr><td class=\"n\">{}</td><td class=\"{class}\">{word}</td><td class=\"n\">{}</td><td>{} \
             <small>{}</small></td></tr>",
            stamp(&run["time"]),
            milliseconds(&run["elapsed_seconds"]),
            Escaped(text(&run["reason"])),
            Escaped(text(&run["sentence"])),
        );
    }
    out.push_str("</tbody>\n</table>\n");
}

fn totals(out: &mut String, target: &TargetSnapshot, json: &Value) {
    let totals = &target.totals;
    let _ = write!(
        out,
        "<h2>Since the exporter knows it</h2>\n<dl><dt>runs</dt><dd>{} succeeded, {} failed</dd>\
         <dt>outages</dt><dd>{}</dd><dt>blips</dt><dd>{}</dd><dt>up</dt><dd>{}</dd><dt>down</dt><dd>{}</dd><dt>unknown</dt><dd>{}</dd>\
         <dt>in maintenance</dt><dd>{}</dd>",
        totals.runs_succeeded,
        totals.runs_failed,
        totals.outages,
        totals.blips,
        span(totals.up),
        span(totals.down),
        span(totals.unknown),
        span(totals.maintenance),
    );
    if let Value::Object(failures) = &json["failures"]
        && !failures.is_empty()
    {
        let failures: Vec<String> =
            failures.iter().map(|(reason, count)| format!("{reason} {}", plain_text(count))).collect();
        let _ = write!(out, "<dt>failures</dt><dd>{}</dd>", Escaped(&failures.join(", ")));
    }
    out.push_str("</dl>\n");
}

pub(super) fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn plain_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Null => String::new(),
        Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// A key as words.
fn words(key: &str) -> String {
    key.replace('_', " ")
}

pub(super) fn milliseconds(value: &Value) -> String {
    let time = value.as_f64().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    time.map_or_else(String::new, took)
}

fn time(time: Option<SystemTime>) -> String {
    time.map_or_else(String::new, |time| show::time(time).into_string())
}

fn explanation(explained: &Explained, targets: &str) -> String {
    show::explained(explained, targets).into_string()
}

/// An RFC 3339 time of the JSON.
pub(super) fn stamp(value: &Value) -> String {
    let time_of = |text: &str| text.parse::<jiff::Timestamp>().ok().map(SystemTime::from);
    time(value.as_str().and_then(time_of))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::metrics::fixture;

    fn page_of(name: &str) -> String {
        let snapshot = fixture::varied();
        let target = snapshot.targets.iter().find(|target| target.target.name.as_str() == name).unwrap();
        page(target, snapshot.taken, None)
    }

    #[test]
    fn an_outage_tells_what_since_when_and_why() {
        let page = page_of("expired");
        for part in [
            "<title>expired is down</title>",
            "Down since <time datetime=",
            "tls_expired",
            "<strong>Look first:</strong>",
            "href=\"../runbooks/tls_expired\"",
            "A network device of our provider is faulty.",
            "some_addresses_fail",
            "<strong>Not alone:</strong> 12 of the 13 targets on 192.0.2.0/24 fail, 48 elsewhere do not.",
            "<h2 id=\"path\">The way to it</h2>",
            "<strong>the way ends after 198.51.100.3, the 3rd hop</strong> <small>ends</small>",
            "<tr><td class=\"n\">2</td><td>silent</td><td class=\"n\"></td></tr>",
            "The way when it was good",
            "First failure of the outage",
            "TLS and certificates",
            "What was otherwise before",
        ] {
            assert!(page.contains(part), "{part}\n{page}");
        }
    }

    #[test]
    fn a_trace_is_a_link_where_it_is_to_be_seen() {
        let snapshot = fixture::varied();
        let target = snapshot.targets.iter().find(|target| target.target.name.as_str() == "expired").unwrap();
        let id = "0af7651916cd43dd8448eb211c80319c";
        assert!(page(target, snapshot.taken, None).contains(&format!("<p>Trace {id}</p>")));
        let config = "global: {trace_url: \"https://tempo.example/{trace_id}?a=1&b='<\"}";
        let config = crate::config::Source::new("t.yaml", config).config().unwrap();
        let page = page(target, snapshot.taken, config.trace_url.as_deref());
        let link = format!("<a href=\"https://tempo.example/{id}?a=1&amp;b=%27%3C\">{id}</a>");
        assert_eq!(page.matches(&link).count(), 2, "of both failing runs: {page}");
        assert!(page.contains("/4bf92f3577b34da6a3ce929d0e0e4736?"), "{page}");
    }

    #[test]
    fn every_target_has_a_page_on_which_nothing_from_outside_is_markup() {
        let snapshot = fixture::varied();
        for target in &snapshot.targets {
            let page = page(target, snapshot.taken, None);
            assert!(page.ends_with("</html>\n"));
            assert!(!page.contains("<script") && !page.contains(" style=") && !page.contains("<&>"), "{page}");
            for tag in ["section", "dl", "ul", "ol", "table", "details", "div", "svg", "main"] {
                let opened = page.matches(&format!("<{tag}")).count();
                assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag}\n{page}");
            }
        }
    }

    #[test]
    fn phases_are_drawn_to_scale() {
        let mut out = String::new();
        let phases = serde_json::json!({"connect": 0.001, "tls": 0.003});
        phase_bar(&mut out, phases.as_object().unwrap());
        assert!(out.contains("<rect class=\"p0\" x=\"0.0\" width=\"250.0\" height=\"10\"/>"), "{out}");
        assert!(out.contains("<rect class=\"p1\" x=\"250.0\" width=\"750.0\" height=\"10\"/>"), "{out}");
        assert!(out.contains("</svg>tls 3.0 ms</li>"), "{out}");
    }
}
