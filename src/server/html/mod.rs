//! The pages for people. No scripts; everything from outside is escaped. Here the list at `/`: failing ones first.

mod path;
mod target;

use std::cmp::Reverse;
use std::fmt::Write;
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};

pub(super) use target::page as target_page;

use super::api;
use super::text::{rfc3339, span};
use crate::observation::SharedCause;
use crate::state::{Explained, ParentState, Snapshot, TargetSnapshot, Verdict};

/// More rows make a page that no one reads and that a phone cannot scroll.
const ROWS: usize = 2000;

/// In a path segment, RFC 3986 section 3.3: all but unreserved characters are encoded.
pub(super) const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

const STYLE: &str = "\
:root{color-scheme:light dark}
body{font:16px/1.45 system-ui,sans-serif;margin:1.5rem auto;max-width:80rem;padding:0 1rem}
h1{font-size:1.3rem;margin:0}
p{margin:.4rem 0}
table{border-collapse:collapse;width:100%;margin-top:1rem}
th,td{text-align:left;vertical-align:top;padding:.35rem .7rem .35rem 0;border-bottom:1px solid #8885}
td{overflow-wrap:anywhere}
td.n{white-space:nowrap;font-variant-numeric:tabular-nums}
.state{font-weight:600;white-space:nowrap}
.down .state{color:light-dark(#b00020,#ff8a80)}
.unknown .state{color:light-dark(#7a5c00,#ffd54f)}
.up .state{color:light-dark(#1b6e2c,#81c995)}
small{opacity:.75}
@media (max-width:45rem){
thead{display:none}
tr{display:block;padding:.5rem 0;border-bottom:1px solid #8885}
td{display:block;border:0;padding:.05rem 0}
td[data-label]:not(:empty)::before{content:attr(data-label) ': ';opacity:.75}
}
";

/// Nothing but the styles of our pages: no scripts, no frames, no forms, nothing from elsewhere.
pub(super) fn content_security_policy() -> HeaderValue {
    static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
        let hash = |style: &str| STANDARD.encode(Sha256::digest(style));
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{}' 'sha256-{}'; img-src data:; base-uri 'none'; \
             form-action 'none'; frame-ancestors 'none'",
            hash(STYLE),
            hash(target::STYLE)
        );
        HeaderValue::try_from(policy).expect("base64 and ASCII are valid in a header")
    });
    POLICY.clone()
}

/// The page: what fails first, the newest at the top, then unknown, then up, each by name.
pub(super) fn page(snapshot: &Snapshot, ready: bool) -> String {
    let mut rows: Vec<&TargetSnapshot> = snapshot.targets.iter().collect();
    // Stable: names stay in order. A failure that is not confirmed yet is news as well.
    rows.sort_by_cached_key(|target| match (target.failing_since(), target.verdict) {
        (Some(since), _) => (0, Some(Reverse(since))),
        (None, Verdict::Down) => (1, None),
        (None, Verdict::Unknown) => (2, None),
        (None, Verdict::Up) => (3, None),
    });
    let count = |verdict| rows.iter().filter(|target| target.verdict == verdict).count();
    let (down, unknown, up) = (count(Verdict::Down), count(Verdict::Unknown), count(Verdict::Up));

    let mut out = String::with_capacity(4096 + rows.len().min(ROWS) * 400);
    // Writing to a String cannot fail, here and below.
    let _ = write!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <link rel=\"icon\" href=\"data:,\">\n<title>{down} down, {unknown} unknown, {up} up</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<h1>uptime_exporter</h1>\n\
         <p><strong>{down} down, {unknown} unknown, {up} up</strong> as of {}.{}</p>\n\
         <p><a href=\"metrics\">Metrics</a> · <a href=\"api/v1/targets\">JSON</a> · <a href=\"logs\">Runs by request</a> · <a href=\"config\">Config</a></p>\n",
        time(Some(snapshot.taken)),
        if ready { "" } else { " Not every target has been observed yet." },
    );
    causes(&mut out, snapshot);
    if rows.is_empty() {
        out.push_str("<p>The config has no targets.</p>\n");
    } else {
        if rows.len() > ROWS {
            let _ = writeln!(
                out,
                "<p>Only the first {ROWS} of {} targets are shown; <a href=\"api/v1/targets\">the JSON list</a> has \
                 them all.</p>",
                rows.len()
            );
        }
        out.push_str(
            "<table>\n<thead><tr><th>State<th>Target<th>Reason<th>Status<th>Latency<th>Last run<th>Since</tr></thead>\n\
             <tbody>\n",
        );
        for target in rows.iter().take(ROWS) {
            row(&mut out, target, snapshot);
        }
        out.push_str("</tbody>\n</table>\n");
    }
    out.push_str("</body>\n</html>\n");
    out
}

/// What several targets are down by, the greatest first.
fn causes(out: &mut String, snapshot: &Snapshot) {
    let mut causes: Vec<&SharedCause> = Vec::new();
    for cause in snapshot.targets.iter().filter_map(|target| target.shared_cause.as_deref()) {
        if causes.iter().all(|known| (known.kind, &known.value) != (cause.kind, &cause.value)) {
            causes.push(cause);
        }
    }
    causes.sort_by_key(|cause| Reverse(cause.failing));
    if causes.is_empty() {
        return;
    }
    out.push_str("<ul>\n");
    for cause in causes {
        let _ = writeln!(
            out,
            "<li><strong>{}</strong> Since {}.</li>",
            Escaped(&cause.sentence()),
            time(Some(cause.since))
        );
    }
    out.push_str("</ul>\n");
}

fn row(out: &mut String, snapshot: &TargetSnapshot, whole: &Snapshot) {
    let target = &snapshot.target;
    let verdict = api::verdict(snapshot.verdict);
    let last = snapshot.last.as_deref();
    let ago = |time: std::time::SystemTime| whole.taken.duration_since(time).unwrap_or_default();
    let name = target.name.as_str();
    let labels: Vec<String> = target.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let _ = write!(
        out,
        "<tr class=\"{verdict}\"><td class=\"state\">{verdict}</td>\
         <td><a href=\"targets/{}\">{}</a><br><small>{} {}</small></td>",
        utf8_percent_encode(name, SEGMENT),
        Escaped(name),
        Escaped(&target.address),
        Escaped(&labels.join(" ")),
    );
    out.push_str("<td>");
    if let Some(failure) = last.and_then(|run| run.outcome.failure()) {
        let _ = write!(out, "{}<br><small>{}</small>", failure.reason.as_label(), Escaped(&failure.sentence));
    }
    if let Some(explained) = &snapshot.explained {
        let _ = write!(out, "<br><small>{}</small>", explanation(explained, "targets/"));
    }
    out.push_str("</td><td class=\"n\" data-label=\"Status\">");
    if let Some(status) = last.and_then(api::status) {
        let _ = write!(out, "{status}");
    }
    out.push_str("</td><td class=\"n\" data-label=\"Latency\">");
    if let Some(run) = last {
        let _ = write!(out, "{:.1} ms", run.elapsed.as_secs_f64() * 1000.0);
    }
    out.push_str("</td><td class=\"n\" data-label=\"Last run\">");
    match last {
        Some(run) => {
            let _ = write!(out, "{} ago", span(ago(run.started)));
        }
        None => out.push_str("never"),
    }
    out.push_str("</td><td class=\"n\" data-label=\"Since\">");
    if let Some(since) = snapshot.since {
        let _ = write!(out, "{}<br><small>{}</small>", time(Some(since)), span(ago(since)));
    }
    out.push_str("</td></tr>\n");
}

/// `explained by gateway, down since ...`. Pages of targets are below `targets`.
fn explanation(explained: &Explained, targets: &str) -> String {
    let name = explained.by.name.as_str();
    let how = match explained.parent {
        ParentState::Down => format!("down since {}", time(explained.since)),
        ParentState::Checking => "which is being checked".to_owned(),
        ParentState::Recovering => {
            format!("up again since {}; not checked often enough since then", time(explained.since))
        }
    };
    let encoded = utf8_percent_encode(name, SEGMENT);
    format!("explained by <a href=\"{targets}{encoded}\">{}</a>, {how}", Escaped(name))
}

fn time(time: Option<std::time::SystemTime>) -> String {
    time.and_then(rfc3339).map_or_else(String::new, |text| {
        // Milliseconds are for machines.
        let shown = text.split('.').next().unwrap_or_default().replace('T', " ");
        format!("<time datetime=\"{text}\">{shown} UTC</time>")
    })
}

/// Text as HTML, in an element or a quoted attribute. Control characters, which HTML forbids, become a mark.
struct Escaped<'a>(&'a str);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                '\n' | '\t' => f.write_char(character)?,
                _ if character.is_control() => f.write_char('\u{fffd}')?,
                _ => f.write_char(character)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::metrics::fixture::{many, varied};

    #[test]
    fn the_worst_come_first() {
        let page = page(&varied(), true);
        let at = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text}"));
        assert!(at("targets/expired\"") < at("targets/gone\""));
        assert!(at("targets/gone\"") < at("targets/new\""));
        assert!(at("targets/new\"") < at("targets/mail\""));
        let up = varied().targets.len() - 3;
        assert!(page.contains(&format!("<strong>2 down, 1 unknown, {up} up</strong>")));
        assert!(page.contains("tls_expired<br><small>the certificate CN=shop.example.com expired"));
        assert!(page.contains("never"));
        assert!(page.contains("123.0 ms"));
    }

    #[test]
    fn the_newest_failure_is_at_the_top_confirmed_or_not() {
        let mut snapshot = many(4);
        let (taken, failed) = (snapshot.taken, varied());
        let failed = failed.targets.iter().find(|target| target.target.name.as_str() == "gone").unwrap();
        for (index, minutes) in [(1, 60), (3, 5)] {
            let target = &mut snapshot.targets[index];
            target.verdict = Verdict::Down;
            target.since = Some(taken - std::time::Duration::from_secs(minutes * 60));
        }
        let target = &mut snapshot.targets[2];
        let mut run = failed.last.as_deref().unwrap().clone();
        run.started = taken - std::time::Duration::from_secs(10);
        target.last = Some(std::sync::Arc::new(run));
        target.failures_in_a_row = 1;
        let page = page(&snapshot, true);
        let name = |index: usize| format!("targets/{}\"", snapshot.targets[index].target.name.as_str());
        let places: Vec<usize> = [2, 3, 1, 0].iter().map(|index| page.find(&name(*index)).unwrap()).collect();
        assert!(places.is_sorted(), "{places:?}");
    }

    #[test]
    fn a_cause_that_is_shared_comes_before_the_list_and_once() {
        let mut snapshot = varied();
        let page_of = |snapshot: &Snapshot| page(snapshot, true);
        let sentence = "<li><strong>12 of the 13 targets on 192.0.2.0/24 fail, 48 elsewhere do not. It could as well be \
                        what else they share: label rack=7.</strong> Since <time datetime=";
        let shown = page_of(&snapshot);
        assert_eq!(shown.matches(sentence).count(), 1, "{shown}");
        assert!(shown.find(sentence) < shown.find("<table>"));
        for target in &mut snapshot.targets {
            target.shared_cause = None;
        }
        assert!(!page_of(&snapshot).contains("<li>"));
    }

    #[test]
    fn what_explains_a_failure_is_named_and_linked() {
        let mut snapshot = varied();
        let expected = "explained by <a href=\"targets/expired\">expired</a>, down since <time datetime=\"2026-01-02T03:03:04.000Z\">";
        let shown = page(&snapshot, true);
        assert_eq!(shown.matches("explained by").count(), 1);
        assert!(shown.contains(expected));
        let by = &mut snapshot.targets.iter_mut().find_map(|target| target.explained.as_mut()).unwrap();
        for (parent, words) in [
            (ParentState::Checking, ", which is being checked<"),
            (ParentState::Recovering, ", up again since <time datetime=\"2026-01-02T03:03:04.000Z\">"),
        ] {
            by.parent = parent;
            assert!(explanation(by, "").contains(words.trim_end_matches('<')), "{}", explanation(by, ""));
        }
        by.by = crate::metrics::fixture::http_target("<&>", &[], &[]);
        assert!(explanation(by, "").starts_with("explained by <a href=\"%3C%26%3E\">&lt;&amp;&gt;</a>"));
    }

    #[test]
    fn nothing_from_outside_is_markup() {
        let page = page(&varied(), true);
        assert!(page.contains("odd &quot;na\\me&quot; &lt;&amp;&gt;/\u{e9}</a>"));
        assert!(page.contains("href=\"targets/odd%20%22na%5Cme%22%20%3C%26%3E%2F%C3%A9\""));
        assert_eq!(page.matches("<&").count(), 0);
        assert_eq!(Escaped("a\u{0}\u{1b}<script>'").to_string(), "a\u{fffd}\u{fffd}&lt;script&gt;&#39;");
    }

    #[test]
    fn a_long_list_is_cut_and_says_so() {
        let page = page(&many(ROWS + 5), true);
        assert_eq!(page.matches("<tr class").count(), ROWS);
        assert!(page.contains("Only the first 2000 of 2005 targets are shown"));
        assert!(page.contains("2005 up</strong>"));
    }

    #[test]
    fn an_exporter_that_is_not_ready_says_so() {
        assert!(page(&varied(), false).contains("Not every target has been observed yet."));
        assert!(page(&Snapshot { targets: Vec::new(), ..varied() }, true).contains("The config has no targets."));
    }

    #[test]
    fn the_policy_allows_the_style_and_no_scripts() {
        let policy = content_security_policy();
        let policy = policy.to_str().unwrap_or_default();
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
        assert!(!policy.contains("unsafe") && !policy.contains("script-src"));
    }
}
