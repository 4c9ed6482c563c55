//! The operators' page at `/`: what is wrong first, then all targets.

use std::cmp::Reverse;

use maud::{Markup, html};

use super::layout::Page;
use super::show::{Shown, badge, count, explained, name, target, time};
use crate::observation::SharedCause;
use crate::server::api;
use crate::server::standing::{Since, Standing};
use crate::server::text::{span, took};
use crate::state::{Snapshot, TargetSnapshot, Verdict};

/// More rows make a page that no one reads and that a phone cannot scroll.
const ROWS: usize = 2000;

/// The page: what fails first, the newest at the top, then unknown, then up, each by name.
pub(in crate::server) fn page(snapshot: &Snapshot, ready: bool) -> String {
    let mut rows: Vec<&TargetSnapshot> = snapshot.targets.iter().collect();
    // Stable: names stay in order. A failure that is not confirmed yet is news as well.
    rows.sort_by_cached_key(|target| match (target.failing_since(), target.verdict) {
        (Some(since), _) => (0, Some(Reverse(since))),
        (None, Verdict::Down) => (1, None),
        (None, Verdict::Unknown) => (2, None),
        (None, Verdict::Up) => (3, None),
    });
    let headline = headline(snapshot);
    let main = html! {
        h1 #headline { (headline) }
        @if !ready { p { "Not every target has been observed yet." } }
        (causes(snapshot))
        @if rows.is_empty() {
            p { "The config has no targets." }
        } @else {
            @if rows.len() > ROWS {
                p {
                    "Only the first " (ROWS) " of " (rows.len()) " targets are shown; "
                    a href="api/v1/targets" { "the JSON list" } " has them all."
                }
            }
            table #targets {
                thead {
                    tr {
                        @for title in ["State", "Target", "Reason", "Status", "Latency", "Last run", "Since"] {
                            th scope="col" { (title) }
                        }
                    }
                }
                tbody { @for target in rows.iter().take(ROWS) { (row(target, snapshot)) } }
            }
        }
    };
    let title = format!("{headline} - uptime_exporter");
    Page { title: &title, root: "", here: "", foot: html! { p { "As of " (time(snapshot.taken)) "." } } }.render(&main)
}

/// `2 outages; 198 up, 3 in maintenance`.
fn headline(snapshot: &Snapshot) -> String {
    let of = |wanted| snapshot.targets.iter().filter(|target| Standing::of(target) == wanted).count();
    let rest = Standing::ALL.into_iter().skip(1).map(|standing| (of(standing), standing.as_label()));
    let rest: Vec<String> = rest.filter(|(many, _)| *many > 0).map(|(many, word)| format!("{many} {word}")).collect();
    format!("{}; {}", count(of(Standing::Down), "outage", "outages"), rest.join(", "))
}

/// What several targets are down by, the greatest first.
fn causes(snapshot: &Snapshot) -> Markup {
    let mut causes: Vec<&SharedCause> = Vec::new();
    for cause in snapshot.targets.iter().filter_map(|target| target.shared_cause.as_deref()) {
        if causes.iter().all(|known| (known.kind, &known.value) != (cause.kind, &cause.value)) {
            causes.push(cause);
        }
    }
    causes.sort_by_key(|cause| Reverse(cause.failing));
    html! {
        @if !causes.is_empty() {
            ul {
                @for cause in causes {
                    li { strong { (Shown(&cause.sentence())) } " Since " (time(cause.since)) "." }
                }
            }
        }
    }
}

fn row(snapshot: &TargetSnapshot, whole: &Snapshot) -> Markup {
    let last = snapshot.last.as_deref();
    let ago = |time: std::time::SystemTime| span(whole.taken.duration_since(time).unwrap_or_default());
    let known = snapshot.target.name.as_str();
    let labels: Vec<String> = snapshot.target.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    html! {
        tr data-target=(Shown(known)) {
            td { (badge(Standing::of(snapshot))) }
            td {
                a href=(target("targets/", known)) { (name(known)) }
                br;
                small { (Shown(&snapshot.target.address)) " " (Shown(&labels.join(" "))) }
            }
            td {
                @if let Some(failure) = last.and_then(|run| run.outcome.failure()) {
                    (failure.reason.as_label()) br; small { (Shown(&failure.sentence)) }
                }
                @if let Some(parent) = &snapshot.explained { br; small { (explained(parent, "targets/")) } }
            }
            td.n { @if let Some(status) = last.and_then(api::status) { (status) } }
            td.n { @if let Some(run) = last { (took(run.elapsed)) } }
            td.n { @if let Some(run) = last { (ago(run.started)) " ago" } @else { "never" } }
            td.n {
                @if let Some(since) = Since::of(snapshot, whole.taken) {
                    (time(since.time)) br;
                    small { @if since.at_least { "at least " } (span(since.length)) }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::metrics::fixture::{many, varied};

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
        assert!(shown.find(sentence) < shown.find("<table"));
        for target in &mut snapshot.targets {
            target.shared_cause = None;
        }
        assert!(!page_of(&snapshot).contains("<li><strong>"));
    }

    #[test]
    fn what_explains_a_failure_is_named_and_linked() {
        let shown = page(&varied(), true);
        assert_eq!(shown.matches("explained by").count(), 1);
        let expected = "explained by <a href=\"targets/expired\"><bdi>expired</bdi></a>, down since <time datetime=\"2026-01-02T03:03:04.000Z\">";
        assert!(shown.contains(expected), "{shown}");
    }

    #[test]
    fn nothing_from_outside_is_markup() {
        let page = page(&varied(), true);
        assert!(page.contains("odd &quot;na\\me&quot; &lt;&amp;&gt;/\u{e9}</bdi></a>"));
        assert!(page.contains("href=\"targets/odd%20%22na%5Cme%22%20%3C%26%3E%2F%C3%A9\""));
        assert_eq!(page.matches("<&").count(), 0);
    }

    #[test]
    fn an_exporter_that_is_not_ready_says_so() {
        assert!(page(&varied(), false).contains("Not every target has been observed yet."));
        assert!(page(&Snapshot { targets: Vec::new(), ..varied() }, true).contains("The config has no targets."));
    }
}
