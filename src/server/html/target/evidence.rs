//! The runs that are kept: a good and a bad one side by side with what differs, and the others by themselves.

use maud::{Markup, Render, html};
use serde_json::{Map, Value};

use super::fields::{Pair, Relation, apart, fields, side_by_side};
use super::phases;
use super::{duration, stamp, text};
use crate::figures::took;
use crate::server::html::show::Shown;

/// Longer texts, and those of several lines, are set as they are.
const LONG: usize = 120;

/// The last good and the latest failing run, and whether the other two say more.
pub(super) fn evidence(capsules: &Value) -> Markup {
    let run = |key: &str| capsules[key].as_object();
    let (good, bad) = (run("last_good"), run("latest_failure"));
    let others = [("first_failure", "First failure of the outage"), ("recovery", "First good run after the outage")];
    let others = others.map(|(key, title)| (title, run(key)));
    let shown = |run: &Map<String, Value>| [good, bad].into_iter().flatten().any(|shown| shown == run);
    let others: Vec<_> =
        others.into_iter().filter_map(|(title, run)| Some((title, run.filter(|run| !shown(run))?))).collect();
    html! {
        section #evidence {
            h2 { "Evidence" }
            @match (good, bad) {
                (None, None) => p { "No run has said anything about the target yet." },
                (Some(good), Some(bad)) => (both(good, bad)),
                (Some(run), None) => (one("Last good run", run)),
                (None, Some(run)) => (one("Latest failure", run)),
            }
            @for (title, run) in others { details { summary { (title) ", " (stamp(&run["time"])) } (one(title, run)) } }
        }
    }
}

fn one(title: &str, run: &Map<String, Value>) -> Markup {
    html! {
        div.run {
            (head(title, run))
            dl.facts { @for field in fields(run) { dt { (Shown(&field.name)) } dd { (value(&field.text)) } } }
        }
    }
}

/// When, how it ended, what took how long.
fn head(title: &str, run: &Map<String, Value>) -> Markup {
    let good = run.get("success") == Some(&Value::Bool(true));
    html! {
        h3 { (title) }
        p {
            (stamp(run.get("time").unwrap_or(&Value::Null))) ", "
            @if good { span.up { "\u{2713} succeeded" } } @else { span.down { "\u{2715} failed" } }
            " after " (took(duration(&run["elapsed_seconds"]))) "."
        }
        @if let Some(sentence) = run.get("sentence") {
            p { (Shown(text(sentence))) " " small { (Shown(text(run.get("reason").unwrap_or(&Value::Null)))) } }
        }
        (phases::of_run(run))
        @if let Some(id) = run.get("trace_id").and_then(Value::as_str) {
            p {
                "Trace "
                // Its URL is http or https, since the config takes no other.
                @match run.get("trace_url").and_then(Value::as_str) {
                    Some(url) => a href=(Shown(url)) { (Shown(id)) },
                    None => (Shown(id)),
                }
            }
        }
    }
}

fn both(good: &Map<String, Value>, bad: &Map<String, Value>) -> Markup {
    let pairs = side_by_side(fields(good), fields(bad));
    let (same, different): (Vec<&Pair>, Vec<&Pair>) = pairs.iter().partition(|pair| pair.relation() == Relation::Same);
    html! {
        div.two {
            div.run { (head("Last good run", good)) }
            div.run { (head("Latest failure", bad)) }
        }
        @if different.is_empty() {
            p { "Beside that, the two runs saw the same." }
        } @else {
            table.stack.pairs {
                caption { "What differs between them" }
                thead { tr { th scope="col" { "Fact" } th scope="col" { "Last good run" } th scope="col" { "Latest failure" } } }
                tbody { @for pair in different { (row(pair)) } }
            }
        }
        @if !same.is_empty() {
            details {
                summary { "What is the same in both (" (same.len()) ")" }
                dl.facts {
                    @for pair in same { dt { (Shown(&pair.name)) } dd { (value(pair.good.as_deref().unwrap_or_default())) } }
                }
            }
        }
    }
}

fn row(pair: &Pair) -> Markup {
    let (good, bad) = (pair.good.as_deref(), pair.bad.as_deref());
    let relation = match pair.relation() {
        Relation::Same => "same",
        Relation::Differs => "differs",
        Relation::OnlyGood => "only in the good run",
        Relation::OnlyBad => "only in the failure",
    };
    html! {
        tr {
            th scope="row" { (Shown(&pair.name)) br; small { (relation) } }
            td data-label="Last good run" { (marked(good, bad)) }
            td data-label="Latest failure" { (marked(bad, good)) }
        }
    }
}

/// A fact of one run, with a mark on what the other does not have.
fn marked(this: Option<&str>, other: Option<&str>) -> Markup {
    match (this, other) {
        (None, _) => html! { span.muted { "-" } },
        (Some(this), None) => set(this, &html! { mark { (Shown(this)) } }),
        (Some(this), Some(other)) => {
            let (start, middle, end) = apart(this, other);
            set(this, &html! { (Shown(start)) @if !middle.is_empty() { mark { (Shown(middle)) } } (Shown(end)) })
        }
    }
}

fn value(text: &str) -> Markup {
    set(text, &Shown(text).render())
}

fn set(text: &str, markup: &Markup) -> Markup {
    if text.len() > LONG || text.contains('\n') {
        html! { pre { (markup) } }
    } else {
        markup.clone()
    }
}
