//! The rows in their order, a page of them at a time.

use std::collections::BTreeMap;
use std::time::SystemTime;

use maud::{Markup, html};

use super::View;
use super::query::{Query, Sort};
use super::row::Row;
use crate::server::html::show::{Shown, count, thousands};
use crate::server::standing::Standing;

/// A page of these is read by people and is below 200 kB.
pub(super) const ROWS: usize = 100;

pub(super) fn list(mut rows: Vec<Row<'_>>, query: &Query, view: &View<'_>) -> Markup {
    rows.retain(|row| query.filter.has_standing(row.standing));
    sort(&mut rows, query);
    let pages = rows.len().div_ceil(ROWS).max(1);
    let page = query.page.min(pages - 1);
    let first = page * ROWS;
    let shown = &rows[first..rows.len().min(first + ROWS)];
    let grouped = query.group.as_deref().map(|label| (label, groups(&rows, label)));
    html! {
        @if query.page >= pages { p.box { "There is no page " (thousands(query.page.saturating_add(1))) "; this is the last." } }
        @if let Some((label, groups)) = &grouped {
            @if groups.keys().all(Option::is_none) { p.box { "None of these targets has a label " code { (Shown(label)) } "." } }
        }
        @if rows.is_empty() {
            p #none { "No target matches. " a href="./" { "Show all" } }
        } @else {
            table #targets role="table" aria-labelledby="targets-title" {
                caption { (caption(rows.len(), first, shown.len())) }
                thead role="rowgroup" {
                    tr role="row" { @for title in Row::COLUMNS { th role="columnheader" scope="col" { (title) } } }
                }
                @if let Some((label, groups)) = &grouped {
                    @for part in shown.chunk_by(|a, b| value(a, label) == value(b, label)) {
                        @let value = value(&part[0], label);
                        tbody role="rowgroup" data-key=(Shown(value.unwrap_or_default())) {
                            tr.group role="row" {
                                th role="rowheader" scope="rowgroup" colspan=(Row::COLUMNS.len()) {
                                    @match value {
                                        Some(value) => { (Shown(label)) ": " bdi { (Shown(value)) } }
                                        None => { "without " (Shown(label)) }
                                    }
                                    small { " " (in_words(&groups[&value])) }
                                }
                            }
                            @for row in part { (row.render(view.taken)) }
                        }
                    }
                } @else {
                    tbody role="rowgroup" { @for row in shown { (row.render(view.taken)) } }
                }
            }
            (pager(query, page, pages))
        }
    }
}

fn caption(all: usize, first: usize, shown: usize) -> String {
    if shown == all {
        count(all, "target", "targets")
    } else {
        format!("{} to {} of {}", thousands(first + 1), thousands(first + shown), count(all, "target", "targets"))
    }
}

fn pager(query: &Query, page: usize, pages: usize) -> Markup {
    let link = |to: usize, words: &str, rel: Option<&str>| html! { li { a href=(query.at_page(to).link()) rel=[rel] { (words) } } };
    html! {
        @if pages > 1 {
            nav #pages aria-label="Pages of the list" {
                ul {
                    @if page > 0 { (link(0, "First", None)) (link(page - 1, "Previous", Some("prev"))) }
                    li aria-current="page" { "Page " (thousands(page + 1)) " of " (thousands(pages)) }
                    @if page + 1 < pages { (link(page + 1, "Next", Some("next"))) (link(pages - 1, "Last", None)) }
                }
            }
        }
    }
}

fn value<'a>(row: &Row<'a>, label: &str) -> Option<&'a str> {
    row.target.target.labels.value(label)
}

type Counts = [usize; Standing::ALL.len()];

/// How the targets of each group stand.
fn groups<'a>(rows: &[Row<'a>], label: &str) -> BTreeMap<Option<&'a str>, Counts> {
    let mut groups: BTreeMap<Option<&str>, Counts> = BTreeMap::new();
    for row in rows {
        groups.entry(value(row, label)).or_default()[row.standing as usize] += 1;
    }
    groups
}

/// `2 down, 10 up`.
fn in_words(counts: &Counts) -> String {
    let parts = Standing::ALL.iter().zip(counts).filter(|(_, many)| **many > 0);
    parts.map(|(standing, many)| format!("{} {}", thousands(*many), standing.as_label())).collect::<Vec<_>>().join(", ")
}

/// By group, then as asked; what has no such value comes last, and of equals the names decide. The rows come sorted by name.
fn sort(rows: &mut Vec<Row<'_>>, query: &Query) {
    let sign = if query.reversed { -1 } else { 1 };
    let mut keyed: Vec<_> = std::mem::take(rows)
        .into_iter()
        .enumerate()
        .map(|(index, row)| {
            let group = query.group.as_deref().map(|label| value(&row, label));
            let key = key(&row, query.sort, index).map(|key| key.saturating_mul(sign));
            ((group.map(|value| (value.is_none(), value)), key.is_none(), key, index), row)
        })
        .collect();
    keyed.sort_unstable_by_key(|(key, _)| *key);
    rows.extend(keyed.into_iter().map(|(_, row)| row));
}

fn key(row: &Row<'_>, sort: Sort, index: usize) -> Option<i128> {
    let millis = |time: SystemTime| {
        let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        i128::try_from(since.as_millis()).unwrap_or(i128::MAX)
    };
    let target = row.target;
    match sort {
        Sort::Name => i128::try_from(index).ok(),
        Sort::Latency => target.last.as_deref().map(|run| -i128::try_from(run.elapsed.as_nanos()).unwrap_or(i128::MAX)),
        Sort::Certificate => row.certificate_end().map(i128::from),
        Sort::Run => target.last.as_deref().map(|run| millis(run.started)),
        Sort::Since => target.since.map(|since| -millis(since)),
        Sort::State => {
            // A failure that is not confirmed yet is news as well.
            let rank: i128 = match row.standing {
                Standing::Down | Standing::Failing => 0,
                Standing::Unknown => 1,
                Standing::Slow => 2,
                Standing::Maintenance => 3,
                Standing::Up => 4,
            };
            let since = target.failing_since().filter(|_| rank == 0).map_or(0, millis);
            Some((rank << 80) - since)
        }
    }
}
