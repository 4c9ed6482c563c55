//! The operators' page at `/`: what is wrong first, then all targets, as many as fit on a page.
//!
//! `query` is what the URL asks for, `form` the form that makes such URLs; `outages` is what is down, `list` the rows in their order,
//! `row` one of them, `runs` the pictures in it. Hooks for scripts and tests: `#headline`, `#outages`, `#filter`, `#targets`, and
//! `data-target` on rows.

mod form;
mod list;
mod outages;
mod query;
mod row;
mod runs;
#[cfg(test)]
mod tests;

use std::time::SystemTime;

use maud::{Markup, html};

use self::outages::{Outage, outages};
pub(in crate::server) use self::query::Query;
use self::row::Row;
use super::layout::{Page, live};
use super::show::{Shown, count, thousands, time};
use crate::server::standing::Standing;
use crate::server::text::span;
use crate::state::Snapshot;

/// What the page tells beside the snapshot.
pub(in crate::server) struct View<'a> {
    pub taken: SystemTime,
    /// Whether every target was observed once.
    pub ready: bool,
    /// Where this exporter looks from, where it was told.
    pub region: Option<&'a str>,
    /// Since when it runs.
    pub started: SystemTime,
}

/// The page.
pub(in crate::server) fn page(snapshot: &Snapshot, query: &Query, view: &View<'_>) -> String {
    // Names, words and labels say of which targets the page is; a state only narrows the list.
    let rows: Vec<Row<'_>> =
        snapshot.targets.iter().filter(|target| query.filter.has(&target.target)).map(Row::new).collect();
    let found = outages(&rows);
    let headline = headline(&rows, &found);
    let narrowed = rows.len() < snapshot.targets.len();
    let main = html! {
        h1 #headline aria-live="polite" { (headline) }
        @if narrowed {
            p { "Only what matches is counted: " (thousands(rows.len())) " of " (count(snapshot.targets.len(), "target", "targets")) "." }
        }
        (live())
        @if !view.ready { (not_ready(snapshot)) }
        @if snapshot.targets.is_empty() {
            p.box {
                "The config has no targets. " a href="config" { "The config" }
                " shows what was loaded; targets are listed below " code { "targets:" } " or in the files of " code { "target_files:" } "."
            }
        } @else {
            @if query.page == 0 { (outages::section(&found, view, query)) }
            h2 #targets-title { "Targets" }
            (form::form(query, snapshot))
            (list::list(rows, query, view))
        }
    };
    let title = format!("{headline} - uptime_exporter");
    Page { title: &title, root: "", here: "", foot: foot(view) }.render_live(&main)
}

/// The page for a query that is not understood.
pub(in crate::server) fn refused(problems: &[String], view: &View<'_>) -> String {
    let main = html! {
        h1 { "The list cannot be shown" }
        p { "What the URL asks for is not understood:" }
        ul { @for problem in problems { li { (Shown(problem)) } } }
        p { a href="./" { "Show all targets" } }
    };
    Page { title: "Not understood - uptime_exporter", root: "", here: "", foot: foot(view) }.render(&main)
}

/// `2 outages, 1 shared cause; 198 up, 3 in maintenance`.
fn headline(rows: &[Row<'_>], outages: &[Outage<'_>]) -> String {
    if rows.is_empty() {
        return "No targets".to_owned();
    }
    let of = |wanted| rows.iter().filter(|row| row.standing == wanted).count();
    let (down, slow) = (of(Standing::Down), of(Standing::Slow));
    let mut wrong = vec![match down {
        0 => "No outages".to_owned(),
        _ => count(down, "outage", "outages"),
    }];
    match outages.iter().filter(|outage| matches!(outage, Outage::Shared(..))).count() {
        0 => {}
        shared => wrong.push(count(shared, "shared cause", "shared causes")),
    }
    match of(Standing::Failing) {
        0 => {}
        failing => wrong.push(format!("{} failing, not confirmed", thousands(failing))),
    }
    let slow_of_up = if slow > 0 { format!(" ({} slow)", thousands(slow)) } else { String::new() };
    let mut rest = vec![format!("{} up{slow_of_up}", thousands(of(Standing::Up) + slow))];
    for (standing, words) in [(Standing::Maintenance, "in maintenance"), (Standing::Unknown, "unknown")] {
        if of(standing) > 0 {
            rest.push(format!("{} {words}", thousands(of(standing))));
        }
    }
    format!("{}; {}", wrong.join(", "), rest.join(", "))
}

fn not_ready(snapshot: &Snapshot) -> Markup {
    let observed = snapshot.targets.iter().filter(|target| target.last.is_some()).count();
    html! {
        p.box {
            "Not every target has been observed yet: " (thousands(observed)) " of " (thousands(snapshot.targets.len())) "."
        }
    }
}

fn foot(view: &View<'_>) -> Markup {
    let runs_for = view.taken.duration_since(view.started).ok();
    html! {
        p { "As of " (time(view.taken)) "." }
        p {
            "How long a target is as it is counts from the run that changed it. " q { "At least" }
            " counts from the first run that this exporter knows of; with " code { "--state.file" } " it knows those before a restart too."
            @if let Some(runs_for) = runs_for { " The exporter has been running since " (time(view.started)) " (" (span(runs_for)) ")." }
        }
    }
}
