//! The filter: a plain form, so that what is asked for stands in the URL.

use std::collections::BTreeSet;

use maud::{Markup, html};

use super::query::{Query, Sort};
use crate::server::html::show::Shown;
use crate::server::standing::Standing;
use crate::state::Snapshot;

/// Labels that are offered; more make a list that nobody reads.
const MOST_OFFERED: usize = 60;

pub(super) fn form(query: &Query, snapshot: &Snapshot) -> Markup {
    let (names, pairs) = labels(snapshot);
    let sort = |sort: Sort, reversed| {
        let sign = if reversed { "-" } else { "" };
        html! {
            option value=(format_args!("{sign}{}", sort.as_label())) selected[(sort, reversed) == (query.sort, query.reversed)] {
                (sort.words()) @if reversed { ", reversed" }
            }
        }
    };
    html! {
        form #filter role="search" aria-label="Filter targets" method="get" action="./" data-keep {
            label { "Text " input type="search" name="q" value=(Shown(&query.filter.text)) autocomplete="off" size="16"; }
            @for (name, value) in &query.filter.labels {
                label { "Label " input name="label" value=(Shown(&format!("{name}:{value}"))) list="labels" size="14"; }
            }
            label {
                @if query.filter.labels.is_empty() { "Label " } @else { "and " }
                input name="label" list="labels" placeholder="name:value" autocomplete="off" size="14";
            }
            datalist #labels { @for pair in &pairs { option value=(Shown(pair)) {} } }
            fieldset {
                legend { "State" }
                @for standing in Standing::ALL {
                    label {
                        input type="checkbox" name="state" value=(standing.as_label())
                            checked[query.filter.states.contains(&standing)];
                        " " (standing.as_label())
                    }
                }
            }
            label {
                "Group by "
                select name="group" {
                    option value="" { "nothing" }
                    @if let Some(unknown) = query.group.as_ref().filter(|group| !names.contains(group.as_str())) {
                        option selected { (Shown(unknown)) }
                    }
                    @for name in names { option selected[query.group.as_deref() == Some(name)] { (Shown(name)) } }
                }
            }
            label {
                "Sort by "
                select name="sort" {
                    @for known in Sort::ALL { (sort(known, false)) }
                    @if query.reversed { (sort(query.sort, true)) }
                }
            }
            button { "Show" }
            @if *query != Query::default() { a href="./" { "Show all" } }
        }
    }
}

/// Names of labels, and the first pairs; those first that many values make no worse to choose from.
fn labels(snapshot: &Snapshot) -> (BTreeSet<&str>, Vec<String>) {
    let all: BTreeSet<(&str, &str)> = snapshot.targets.iter().flat_map(|target| target.target.labels.iter()).collect();
    let names = all.iter().map(|(name, _)| *name).collect();
    let pairs = all.iter().take(MOST_OFFERED).map(|(name, value)| format!("{name}:{value}")).collect();
    (names, pairs)
}
