//! The page of one target at `/targets/NAME`: what an alert links to. What is so now, the outages, the last runs, the evidence. Facts
//! of runs are drawn from the same JSON that the API serves, so that both always show the same, whatever the prober.

mod certificate;
mod evidence;
mod fields;
mod path;
mod phases;
mod summary;
mod timeline;

use std::time::{Duration, SystemTime};

use maud::{Markup, html};
use percent_encoding::utf8_percent_encode;
use serde_json::Value;

use self::certificate::certificate;
use self::evidence::evidence;
use self::path::path;
use self::phases::LastRuns;
use self::timeline::timeline;
use super::SEGMENT;
use super::layout::{Page, live};
use super::show::{self, Shown, badge, time};
use crate::config::TraceUrl;
use crate::figures::{span, took};
use crate::observation::Reason;
use crate::server::External;
use crate::server::api::Evidence;
use crate::server::standing::{Since, Standing};
use crate::state::{Changed, TargetSnapshot, Totals, Verdict};

/// Runs that are further apart leave open when a change was.
const VAGUE: Duration = Duration::from_secs(1);

/// The page. `taken` is when the snapshot was.
pub(in crate::server) fn page(
    target: &TargetSnapshot,
    taken: SystemTime,
    traces: Option<&TraceUrl>,
    external: &External,
) -> String {
    // Fails only for maps whose keys are not text, and there are none.
    let json = serde_json::to_value(Evidence::new(target).tracing(traces)).unwrap_or_default();
    let name = target.target.name.as_str();
    let shown = target.target.display_name.as_deref().unwrap_or(name);
    let standing = Standing::of(target);
    let main = html! {
        h1 { (show::name(shown)) " " (badge(standing)) }
        (live())
        (now(target, taken))
        (notice(target))
        (diagnosis(&json["diagnosis"]))
        (timeline(target, taken))
        (runs(target))
        (evidence(&json["evidence"]))
        (path(&json["path"], &json["good_paths"]))
        (changes(target))
        (summary::section(&summary::summary(target, &json, taken, external)))
        (totals(target, taken))
    };
    let foot = html! {
        p {
            "As of " (time(taken)) ". "
            a href=(format!("../api/v1/targets/{}", utf8_percent_encode(name, SEGMENT))) { "The same as JSON" }
        }
    };
    let title = format!("{shown} is {}", standing.as_label());
    Page { title: &title, root: "../", here: "targets/", foot }.render_live(&main)
}

/// What is so now, since when, why, and what to look at first.
fn now(target: &TargetSnapshot, taken: SystemTime) -> Markup {
    let down = target.verdict == Verdict::Down;
    let since = Since::of(target, taken);
    // A second more or less is no news.
    let vague = since.as_ref().zip(target.since_after());
    let vague = vague.filter(|(since, after)| since.time.duration_since(*after).is_ok_and(|gap| gap >= VAGUE));
    let last = target.last.as_deref();
    let failure = last.and_then(|run| Some((run.outcome.failure()?, run.look_first()?)));
    let failing = target.failing_since().filter(|_| !down);
    let maintenance = target.target.maintenance.current(taken);
    html! {
        section class=(format_args!("box {}", Standing::of(target).as_label())) id="now" {
            @if let Some(failing) = failing {
                p {
                    strong { "Failing since " (time(failing)) } " (" (span(taken.duration_since(failing).unwrap_or_default()))
                    "), which is not confirmed yet."
                }
            }
            @if let Some(since) = &since {
                p {
                    strong { @if down { "Down" } @else { "Up" } " since " (time(since.time)) }
                    " (" @if since.at_least { "at least " } (span(since.length)) @if since.at_least { ": so it was in the first run that this exporter knows of" } ")."
                    @if let Some((since, after)) = vague {
                        " " @if down { "It began" } @else { "The outage ended" } " between " (time(after)) " and " (time(since.time)) "."
                    }
                }
            } @else {
                p { "Nothing is confirmed yet." }
            }
            @if let Some((failure, look_first)) = failure {
                p { strong { (Shown(&failure.sentence)) } " " small { (failure.reason.as_label()) } }
                p {
                    (failure.reason.meaning()) " " strong { "Look first:" } " " (Shown(&look_first)) " "
                    a href=(runbook(failure.reason, target)) { "Runbook" } " "
                    a href="#summary" { "Summary for the ticket" }
                }
            }
            @if let Some(cause) = &target.shared_cause {
                p { strong { "Not alone:" } " " (Shown(&cause.sentence())) " Since " (time(cause.since)) "." }
            }
            @if let Some(explained) = &target.explained {
                p { strong { "Not by itself:" } " " (show::explained(explained, "")) "." }
            }
            @if let Some(current) = maintenance {
                @let called = if current.window.name.is_empty() { "Maintenance" } else { &*current.window.name };
                p {
                    strong { "In maintenance:" } " " (Shown(called)) ", from " (time(current.start.into())) " to "
                    (time(current.end.into())) "."
                }
            }
            @if let Some(run) = last {
                p {
                    "Last run " (time(run.started)) ", took " (took(run.elapsed))
                    @if let Some(threshold) = target.target.slow_threshold { "; slow from " (took(threshold)) } "."
                }
            }
            (certificate(target, taken))
            p {
                small {
                    (Shown(&target.target.address)) " by the " (target.target.probe.prober()) " prober, module "
                    (Shown(&target.target.module)) "."
                    @for (name, value) in target.target.labels.iter() { " " code { (Shown(name)) "=" (Shown(value)) } }
                }
            }
        }
    }
}

/// With a way back.
fn runbook(reason: Reason, target: &TargetSnapshot) -> String {
    let name = target.target.name.as_str();
    format!("../runbooks/{}?target={}", reason.as_label(), utf8_percent_encode(name, SEGMENT))
}

fn notice(target: &TargetSnapshot) -> Markup {
    html! {
        @if let Some(notice) = &target.notice {
            section #notice.box {
                h2 { "Notice" }
                @for text in [&notice.cause, &notice.action] { @if !text.is_empty() { p { (Shown(text)) } } }
                @if let Some(next) = notice.next_update { p { "Next update: " (time(next.into())) } }
            }
        }
    }
}

fn diagnosis(found: &Value) -> Markup {
    html! {
        @if found.is_object() {
            section #diagnosis {
                h2 { "What re-checks found" }
                p { strong { (Shown(text(&found["sentence"]))) } " " small { (Shown(text(&found["finding"]))) } }
                ul {
                    @for attempt in list(&found["attempts"]) {
                        li {
                            (Shown(text(&attempt["what"]))) ": "
                            @if attempt["success"] == true { span.up { "\u{2713} fine" } } @else { span.down { "\u{2715} fails" } }
                            " " small { (Shown(text(&attempt["result"]))) }
                        }
                    }
                }
            }
        }
    }
}

/// The last runs, newest first, with their phases.
fn runs(target: &TargetSnapshot) -> Markup {
    if target.recent.runs().next().is_none() {
        return html! {};
    }
    let phases = LastRuns::new(target.recent.runs());
    let slow = |took: Duration| target.target.slow_threshold.is_some_and(|threshold| took > threshold);
    html! {
        section #runs {
            h2 { "Last runs" }
            (phases.legend())
            table.stack.runs {
                thead { tr { @for title in ["Time", "Result", "Took", "Phases", "Why"] { th scope="col" { (title) } } } }
                tbody {
                    @for (index, run) in target.recent.runs().enumerate() {
                        tr {
                            td data-label="Time" { (time(run.started())) }
                            td.n data-label="Result" {
                                @match run.reason {
                                    None => span.up { "\u{2713} up" },
                                    Some(reason) if reason.is_inconclusive() => span.unknown { "? unknown" },
                                    Some(_) => span.down { "\u{2715} failed" },
                                }
                                @if let Some(status) = run.status() { " " (status) }
                            }
                            td.n data-label="Took" {
                                @if slow(run.elapsed()) { span.slow { "~ " (took(run.elapsed())) } } @else { (took(run.elapsed())) }
                            }
                            td.phases { (phases.bar(index)) }
                            td {
                                @if let Some(reason) = run.reason {
                                    (reason.as_label()) " " small { (Shown(run.sentence().unwrap_or_default())) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn changes(target: &TargetSnapshot) -> Markup {
    let changes: Vec<&Changed> = target.changes.iter().collect();
    html! {
        @if !changes.is_empty() {
            section #changes {
                h2 { "What changed" }
                table.stack {
                    thead { tr { @for title in ["What", "When", "Before", "After"] { th scope="col" { (title) } } } }
                    tbody {
                        @for change in changes {
                            tr {
                                th scope="row" { (change.what.as_label()) }
                                td data-label="When" { (time(change.time)) (before_the_outage(target, change)) }
                                td data-label="Before" { (Shown(&change.before)) }
                                td data-label="After" { (Shown(&change.after)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// What changed shortly before an outage, or in it, may be why.
fn before_the_outage(target: &TargetSnapshot, change: &Changed) -> Markup {
    let Some(since) = target.since.filter(|_| target.verdict == Verdict::Down) else { return html! {} };
    html! {
        br;
        small {
            @match since.duration_since(change.time) {
                Ok(gap) => { (span(gap)) " before the outage" },
                Err(late) => { (span(late.duration())) " into the outage" },
            }
        }
    }
}

/// The counters, and from when they count: they begin anew after a process that was killed, the verdict does not.
fn totals(target: &TargetSnapshot, taken: SystemTime) -> Markup {
    let Totals { runs_succeeded, runs_failed, outages, blips, up, down, unknown, maintenance } = target.totals;
    let counted = up.saturating_add(down).saturating_add(unknown).saturating_add(maintenance);
    let began = taken.checked_sub(counted);
    let times = [("up", up), ("down", down), ("unknown", unknown), ("in maintenance", maintenance)];
    html! {
        section #totals {
            h2 { "Counted in the last " (span(counted)) }
            p.muted {
                @if let Some(began) = began { "Since " (time(began)) ". " }
                @if began.zip(target.since).is_some_and(|(began, since)| began.duration_since(since).is_ok_and(|gap| gap > VAGUE)) {
                    "The state above is older: it outlived a process that was killed, and counters begin anew then."
                }
            }
            dl.facts {
                dt { "runs" } dd { (runs_succeeded) " succeeded, " (runs_failed) " failed" }
                dt { "outages" } dd { (outages) }
                dt { "blips" } dd { (blips) }
                @for (what, time) in times { dt { (what) } dd { (span(time)) } }
                @if !target.failures.is_empty() {
                    dt { "failures" }
                    dd {
                        @for (index, (reason, count)) in target.failures.iter().enumerate() {
                            @if index > 0 { ", " } (reason.as_label()) " " (count)
                        }
                    }
                }
            }
        }
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Of seconds in the JSON.
fn duration(value: &Value) -> Duration {
    value.as_f64().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).unwrap_or_default()
}

/// An RFC 3339 time of the JSON.
fn stamp(value: &Value) -> Markup {
    let moment = value.as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok());
    html! { @if let Some(moment) = moment { (time(moment.into())) } }
}

/// Of Unix seconds.
fn stamp_of(seconds: i64) -> Markup {
    html! { @if let Ok(moment) = jiff::Timestamp::from_second(seconds) { (time(moment.into())) } }
}

#[cfg(test)]
mod tests;
