//! What a ticket or a chat needs to know, as plain text that Markdown reads well.

use std::fmt::Write as _;
use std::time::SystemTime;

use maud::{Markup, html};
use serde_json::Value;

use super::certificate::End;
use super::fields::{Relation, fields, side_by_side};
use crate::figures::{printable, span, took};
use crate::server::External;
use crate::server::html::show::Shown;
use crate::server::standing::{Since, Standing};
use crate::server::text::rfc3339;
use crate::state::{Explained, ParentState, TargetSnapshot, Verdict};

/// Differences that are told; the page has them all.
const MOST: usize = 6;
/// Of a text from outside.
const LONGEST: usize = 200;

/// The text, and a button that copies it where scripts may run; without, it is there to be marked.
pub(super) fn section(text: &str) -> Markup {
    html! {
        section #summary {
            h2 { "Summary for the ticket" }
            p data-keep { button type="button" hidden data-copy="summary-text" { "Copy summary for the ticket" } }
            pre #summary-text role="region" tabindex="0" aria-label="Summary for the ticket" { (Shown(text)) }
        }
    }
}

pub(super) fn summary(target: &TargetSnapshot, json: &Value, taken: SystemTime, external: &External) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write(&mut out, target, json, taken, external);
    out
}

fn write(
    out: &mut String,
    target: &TargetSnapshot,
    json: &Value,
    taken: SystemTime,
    external: &External,
) -> std::fmt::Result {
    let name = target.target.name.as_str();
    let shown = target.target.display_name.as_deref().unwrap_or(name);
    write!(out, "{} is {}", code(shown), Standing::of(target).as_label())?;
    if let Some(failing) = target.failing_since().filter(|_| target.verdict != Verdict::Down) {
        let length = taken.duration_since(failing).unwrap_or_default();
        write!(out, " since {} ({}), not confirmed yet", utc(failing), span(length))?;
    } else if let Some(since) = Since::of(target, taken) {
        let least = if since.at_least { "at least " } else { "" };
        write!(out, " since {} ({least}{})", utc(since.time), span(since.length))?;
    }
    writeln!(out, ", as of {}.\n", utc(taken))?;
    let mut line = |what: &str, text: &str| writeln!(out, "- {what}: {text}");
    let last = target.last.as_deref();
    if let Some((run, failure)) = last.and_then(|run| Some((run, run.outcome.failure()?))) {
        line("Why", &format!("{}: {}", code(failure.reason.as_label()), code(&failure.sentence)))?;
        if let Some(look_first) = run.look_first() {
            line("Look first", &one_line(&look_first))?;
        }
    } else if let Some(run) = last {
        line("Last run", &format!("succeeded after {}", took(run.elapsed)))?;
    }
    let labels: Vec<String> =
        target.target.labels.iter().map(|(name, value)| code(&format!("{name}={value}"))).collect();
    let address = code(&target.target.address);
    let what =
        format!("{address} by the {} prober, module {}", target.target.probe.prober(), code(&target.target.module));
    line("Where", &if labels.is_empty() { what } else { format!("{what}; seen with {}", labels.join(" ")) })?;
    if let Some(cause) = &target.shared_cause {
        line("Not alone", &code(&cause.sentence()))?;
    }
    if let Some(Explained { by, parent, .. }) = &target.explained {
        let how = match parent {
            ParentState::Down => "is down",
            ParentState::Checking => "is being checked",
            ParentState::Recovering => "is up again",
        };
        line("Explained by", &format!("{}, which {how}", code(by.name.as_str())))?;
    }
    if let Some(diagnosis) = &target.diagnosis {
        line("Re-checks found", &format!("{}: {}", code(diagnosis.finding.as_label()), code(&diagnosis.sentence)))?;
    }
    if let Some(sentence) = json["path"]["sentence"].as_str().filter(|_| target.path_is_current) {
        line("Way", &code(sentence))?;
    }
    for change in target.changes.iter() {
        let (before, after) = (code(&change.before), code(&change.after));
        line("Changed", &format!("{} on {}, from {before} to {after}", change.what.as_label(), utc(change.time)))?;
    }
    if let Some(end) = End::of(target, taken).filter(End::nears) {
        line("Certificate", &end.words())?;
    }
    // Of a target that does not fail, the latest failure is an old one.
    let fails = last.is_some_and(|run| !run.outcome.is_up());
    if let Some(differences) = differences(json).filter(|_| fails) {
        line("Unlike the last good run", &differences)?;
    }
    if let Some(notice) = &target.notice {
        for (what, text) in [("Known cause", &notice.cause), ("Being done", &notice.action)] {
            if !text.is_empty() {
                line(what, &code(text))?;
            }
        }
    }
    line("Evidence", &external.target(name))?;
    if let Some(failure) = last.and_then(|run| run.outcome.failure()) {
        line("Runbook", &external.runbook(failure.reason.as_label()))?;
    }
    Ok(())
}

/// In what the latest failure differs, the first few.
fn differences(json: &Value) -> Option<String> {
    let run = |key: &str| json["evidence"][key].as_object();
    let pairs = side_by_side(fields(run("last_good")?), fields(run("latest_failure")?));
    let told: Vec<String> = pairs
        .iter()
        .filter(|pair| pair.relation() != Relation::Same && pair.name != "body")
        .map(|pair| {
            let text = |side: &Option<String>| side.as_deref().map_or_else(|| "nothing".to_owned(), code);
            format!("{} {} rather than {}", code(&pair.name), text(&pair.bad), text(&pair.good))
        })
        .collect();
    let more = told.len().saturating_sub(MOST);
    let first = told[..told.len().min(MOST)].join(", ");
    match (told.is_empty(), more) {
        (true, _) => None,
        (false, 0) => Some(first),
        (false, more) => Some(format!("{first}, and {more} more")),
    }
}

/// Text from outside, in which Markdown sees nothing but text: no link, no mention, no markup.
fn code(text: &str) -> String {
    let line = one_line(text).replace('`', "'");
    if line.is_empty() { "nothing".to_owned() } else { format!("`{line}`") }
}

/// Printable, in a line, and not too long.
fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = printable(&words.join(" "));
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}

fn utc(time: SystemTime) -> String {
    let text = rfc3339(time).unwrap_or_default();
    format!("{} UTC", text.split('.').next().unwrap_or_default().replace('T', " "))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::metrics::fixture::varied;
    use crate::server::api;

    fn of(name: &str, change: impl FnOnce(&mut TargetSnapshot)) -> String {
        let snapshot = varied();
        let mut target = snapshot.targets.iter().find(|target| target.target.name.as_str() == name).unwrap().clone();
        change(&mut target);
        let json = serde_json::to_value(api::Evidence::new(&target)).unwrap();
        let external = External::new(Some("https://uptime.example.com/eu/"), None, 1, false).unwrap();
        summary(&target, &json, snapshot.taken, &external)
    }

    #[test]
    fn it_says_what_since_when_why_and_where() {
        let text = of("expired", |_| ());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[..2],
            ["`expired` is down since 2026-01-02 03:03:04 UTC (1 min 1 s), as of 2026-01-02 03:04:05 UTC.", ""]
        );
        for part in [
            "- Why: `tls_expired`: `the certificate CN=shop.example.com expired on 2026-01-01`",
            "- Look first: The renewal job, and whether the service was reloaded after it.",
            "- Where: `https://shop.example.com/health` by the http prober, module `http_2xx`; seen with `region=eu-west`",
            "- Not alone: `12 of the 13 targets on 192.0.2.0/24 fail, 48 elsewhere do not.",
            "- Re-checks found: `some_addresses_fail`: ",
            "- Way: `the way ends after 198.51.100.3, the 3rd hop`",
            "- Changed: certificate on 2026-01-02 03:02:05 UTC, from `0a` to `0b`",
            "- Unlike the last good run: ",
            "- Known cause: `A network device of our provider is faulty.`",
            "- Evidence: https://uptime.example.com/eu/targets/expired",
            "- Runbook: https://uptime.example.com/eu/runbooks/tls_expired",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        assert!(of("shop", |_| ()).contains("- Last run: succeeded after 123 ms\n"), "{}", of("shop", |_| ()));
        assert!(of("gone", |_| ()).contains("- Explained by: `expired`, which is down\n"));
        assert!(of("new", |_| ()).starts_with("`new` is unknown, as of "));
        let failing = of("expired", |target| target.verdict = Verdict::Up);
        assert!(
            failing.starts_with("`expired` is failing since 2026-01-02 03:04:01 UTC (3 s), not confirmed yet, as of "),
            "{failing}"
        );
    }

    #[test]
    fn nothing_from_outside_is_markdown_or_a_line_of_its_own() {
        let hostile = "`code`\n- Evidence: https://evil.example\n![x](y) @all <b> \u{202e} \u{1b}[2J";
        let text = of("expired", |target| {
            let mut run = (**target.last.as_ref().unwrap()).clone();
            run.outcome = crate::observation::Outcome::Down(crate::observation::Failure::new(
                crate::observation::Reason::BodyMismatch,
                format!("{hostile}{}", "x".repeat(5000)),
            ));
            target.last = Some(std::sync::Arc::new(run));
        });
        assert_eq!(text.lines().filter(|line| line.starts_with("- Evidence:")).count(), 1, "{text}");
        assert!(text.lines().all(|line| line.matches('`').count() % 2 == 0 && line.len() < 2500), "{text}");
        assert!(text.chars().all(|c| c == '\n' || crate::figures::is_printable(c)), "{text:?}");
    }
}
