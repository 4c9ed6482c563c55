//! What is down, first on the page: a shared cause with all that it explains, a gateway with what stands behind it, else a target.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::SystemTime;

use maud::{Markup, html};

use super::row::{Row, cut, shown_name};
use super::{View, query::Query};
use crate::config::Notice;
use crate::observation::{Reason, SharedCause};
use crate::server::html::show::{Shown, badge, count, explained, name, target as page_of, thousands, time};
use crate::server::standing::{Since, Standing};
use crate::server::text::span;
use crate::state::TargetSnapshot;

/// More than these are in the list below.
const MOST: usize = 20;
/// Names that one outage lists.
const MOST_NAMES: usize = 12;

/// Why targets are down together, or a target by itself.
pub(super) enum Outage<'a> {
    Shared(&'a SharedCause, Vec<Row<'a>>),
    /// And the targets that it explains.
    One(Row<'a>, Vec<Row<'a>>),
}

impl Outage<'_> {
    fn since(&self) -> Option<SystemTime> {
        match self {
            Self::Shared(cause, _) => Some(cause.since),
            Self::One(row, _) => row.target.since,
        }
    }
}

/// The outages among the rows: shared causes first, the greatest at the top; then the others, the newest at the top.
pub(super) fn outages<'a>(rows: &[Row<'a>]) -> Vec<Outage<'a>> {
    let down: Vec<Row<'a>> = rows.iter().copied().filter(|row| row.standing == Standing::Down).collect();
    let by_name: BTreeMap<&str, usize> = down.iter().enumerate().map(|(index, row)| (row.name(), index)).collect();
    let mut behind: Vec<Vec<Row<'a>>> = vec![Vec::new(); down.len()];
    let mut shared: BTreeMap<_, (&SharedCause, Vec<Row<'a>>)> = BTreeMap::new();
    let mut alone = Vec::new();
    for (index, row) in down.iter().enumerate() {
        let by = row.target.explained.as_ref().and_then(|explained| by_name.get(explained.by.name.as_str()));
        if let Some(by) = by.filter(|by| **by != index) {
            behind[*by].push(*row);
        } else if let Some(cause) = row.target.shared_cause.as_deref() {
            shared.entry((cause.kind, &*cause.value)).or_insert((cause, Vec::new())).1.push(*row);
        } else {
            alone.push(index);
        }
    }
    // A gateway may itself be one of those that share a cause; what stands behind it goes with it.
    let mut outages: Vec<Outage<'a>> = Vec::new();
    for (cause, mut members) in shared.into_values() {
        let further: Vec<Row<'a>> =
            members.iter().flat_map(|row| std::mem::take(&mut behind[by_name[row.name()]])).collect();
        members.extend(further);
        outages.push(Outage::Shared(cause, members));
    }
    for index in alone {
        outages.push(Outage::One(down[index], std::mem::take(&mut behind[index])));
    }
    // Two that explain each other have no place above.
    outages.extend(behind.into_iter().flatten().map(|row| Outage::One(row, Vec::new())));
    outages.sort_by_key(|outage| match outage {
        Outage::Shared(cause, _) => (Reverse(cause.failing), None),
        Outage::One(..) => (Reverse(0), outage.since().map(Reverse)),
    });
    outages
}

pub(super) fn section(outages: &[Outage<'_>], view: &View<'_>, query: &Query) -> Markup {
    html! {
        section #outages aria-labelledby="outages-title" {
            @if !outages.is_empty() {
                h2 #outages-title { "Outages" }
                // One exporter sees from one place; Prometheus knows what the others see.
                @if let Some(region) = view.region {
                    p.muted { "As seen from " (name(region)) "; other regions may see something else." }
                }
                @for outage in outages.iter().take(MOST) { (article(outage, view)) }
                @if outages.len() > MOST {
                    p {
                        (thousands(outages.len() - MOST)) " more are in "
                        a href=(only_down(query)) { "the list of what is down" } "."
                    }
                }
            } @else {
                h2.hidden #outages-title { "Outages" }
            }
        }
    }
}

fn only_down(query: &Query) -> String {
    let mut query = query.at_page(0);
    query.filter.states = vec![Standing::Down];
    query.link()
}

fn article(outage: &Outage<'_>, view: &View<'_>) -> Markup {
    match outage {
        Outage::Shared(cause, rows) => shared(cause, rows, view),
        Outage::One(row, behind) => one(row, behind, view),
    }
}

fn shared(cause: &SharedCause, rows: &[Row<'_>], view: &View<'_>) -> Markup {
    let mut notices: Vec<&Notice> = Vec::new();
    let mut reasons: BTreeMap<Reason, usize> = BTreeMap::new();
    for row in rows {
        if let Some(notice) = row.target.notice.as_deref().filter(|notice| !notices.contains(notice)) {
            notices.push(notice);
        }
        if let Some(failure) = row.target.last.as_deref().and_then(|run| run.outcome.failure()) {
            *reasons.entry(failure.reason).or_default() += 1;
        }
    }
    html! {
        article.box.is-down data-key=(Shown(&format!("{}={}", cause.kind.as_label(), cause.value))) {
            h3 { (badge(Standing::Down)) " " (count(rows.len(), "target", "targets")) " with a shared cause" }
            p { strong { (Shown(&cause.sentence())) } }
            p { "Since " (time(cause.since)) " (" (span(view.taken.duration_since(cause.since).unwrap_or_default())) ")." }
            p {
                strong { "Look first: " } "What the targets share, before any of them alone. "
                a href="runbooks/shared-outage" { "Runbook" }
            }
            @if !reasons.is_empty() {
                p {
                    "Reasons: "
                    @for (index, (reason, many)) in reasons.iter().enumerate() {
                        @if index > 0 { ", " }
                        a href=(format_args!("runbooks/{}", reason.as_label())) { (reason.as_label()) } " " (thousands(*many))
                    }
                }
            }
            p { "Targets: " (names(rows)) }
            @for notice in notices.into_iter().take(3) { (said(notice, view.taken)) }
        }
    }
}

fn one(row: &Row<'_>, behind: &[Row<'_>], view: &View<'_>) -> Markup {
    let target = row.target;
    let last = target.last.as_deref();
    html! {
        article.box.is-down data-key=(Shown(row.name())) {
            h3 { (badge(Standing::Down)) " " a href=(page_of("targets/", row.name())) { (shown_name(target)) } }
            @if let Some(since) = Since::of(target, view.taken) { (since_when(target, &since)) }
            @if let Some(failure) = last.and_then(|run| run.outcome.failure()) {
                p { strong { (Shown(&cut(&failure.sentence))) } " " code { (failure.reason.as_label()) } }
                p {
                    @if let Some(look_first) = last.and_then(|run| run.look_first()) {
                        strong { "Look first: " } (Shown(&look_first)) " "
                    }
                    a href=(format_args!("runbooks/{}", failure.reason.as_label())) { "Runbook" }
                }
            }
            @if let Some(diagnosis) = target.diagnosis.as_deref() {
                p { "Re-checks found: " (Shown(&cut(&diagnosis.sentence))) }
            }
            @if let Some(parent) = &target.explained { p { "This is " (explained(parent, "targets/")) "." } }
            @if !behind.is_empty() {
                p { (count(behind.len(), "target behind it is", "targets behind it are")) " down too: " (names(behind)) }
            }
            @if let Some(notice) = target.notice.as_deref() { (said(notice, view.taken)) }
        }
    }
}

/// Runs a second or less apart leave nothing open.
fn since_when(target: &TargetSnapshot, since: &Since) -> Markup {
    let after =
        target.since_after().filter(|after| since.time.duration_since(*after).is_ok_and(|gap| gap.as_secs() >= 1));
    html! {
        p {
            @match after {
                Some(after) => { "Since between " (time(after)) " and " (time(since.time)) }
                None if since.at_least => { "Since " (time(since.time)) " or before, when the exporter first saw it" }
                None => { "Since " (time(since.time)) }
            }
            " (" (span(since.length)) ")."
        }
    }
}

fn said(notice: &Notice, taken: SystemTime) -> Markup {
    html! {
        p.notice {
            strong { "Notice: " }
            @for text in [&notice.cause, &notice.action] {
                @if !text.is_empty() { (Shown(text)) " " }
            }
            @if let Some(next) = notice.next_update.map(SystemTime::from) {
                span { @if next < taken { "The next update was due at " } @else { "Next update: " } (time(next)) }
            }
        }
    }
}

fn names(rows: &[Row<'_>]) -> Markup {
    html! {
        @for (index, row) in rows.iter().take(MOST_NAMES).enumerate() {
            @if index > 0 { ", " }
            a href=(page_of("targets/", row.name())) { (shown_name(row.target)) }
        }
        @if rows.len() > MOST_NAMES { " and " (thousands(rows.len() - MOST_NAMES)) " more" }
    }
}
