//! Phases of runs as bars: each has one colour on every page and in Grafana, and is told in words beside it.

use std::time::Duration;

use maud::{Markup, html};
use serde_json::{Map, Value};

use super::duration;
use crate::figures::took;
use crate::observation::Phase;
use crate::state::RecentRun;

/// Of the picture of one bar, whatever its width on the page.
const WIDTH: f64 = 1000.0;

/// A part of a run; `None`: what no phase accounts for, such as a dialogue.
type Part = (Option<Phase>, Duration);

/// The phases and the rest of a run.
fn parts(phases: impl Iterator<Item = (Phase, Duration)>, elapsed: Duration) -> Vec<Part> {
    // Of an address there is nothing to look up: no time is nothing to show.
    let reached = phases.filter(|(_, time)| !time.is_zero());
    let mut parts: Vec<Part> = reached.map(|(phase, time)| (Some(phase), time)).collect();
    let rest = elapsed.saturating_sub(parts.iter().map(|(_, time)| *time).sum());
    // A twentieth is rounding and our own work.
    if rest > elapsed / 20 {
        parts.push((None, rest));
    }
    parts
}

fn label(phase: Option<Phase>) -> &'static str {
    phase.map_or("rest", Phase::as_label)
}

fn class(phase: Option<Phase>) -> String {
    format!("phase-{}", phase.map_or("other", Phase::as_label))
}

/// To scale, where the whole width is `whole`.
fn bar(parts: &[Part], whole: Duration) -> Markup {
    let scale = WIDTH / whole.as_secs_f64().max(f64::MIN_POSITIVE);
    let mut from = 0.0;
    let place = |(phase, time): &Part| {
        let width = (time.as_secs_f64() * scale).min(WIDTH - from);
        let place = (class(*phase), from, width);
        from += width;
        place
    };
    let places: Vec<_> = parts.iter().map(place).collect();
    html! {
        svg.bar viewBox="0 0 1000 10" preserveAspectRatio="none" aria-hidden="true" {
            @for (class, from, width) in places {
                rect class=(class) x=(format_args!("{from:.1}")) width=(format_args!("{width:.1}")) height="10" {}
            }
        }
    }
}

/// What the colours mean, with a figure for each.
fn legend(parts: &[(Option<Phase>, String)]) -> Markup {
    html! {
        ul.legend {
            @for (phase, figure) in parts {
                li {
                    svg viewBox="0 0 10 10" aria-hidden="true" { rect class=(class(*phase)) width="10" height="10" {} }
                    (label(*phase)) " " (figure)
                }
            }
        }
    }
}

/// One run of the evidence: a bar of its own scale.
pub(super) fn of_run(run: &Map<String, Value>) -> Markup {
    let Some(Value::Object(times)) = run.get("phases_seconds") else { return html! {} };
    let phases = Phase::ALL.into_iter().filter_map(|phase| Some((phase, duration(times.get(phase.as_label())?))));
    let parts = parts(phases, duration(&run["elapsed_seconds"]));
    let whole = parts.iter().map(|(_, time)| *time).sum();
    let figures: Vec<_> = parts.iter().map(|(phase, time)| (*phase, took(*time))).collect();
    html! { (bar(&parts, whole)) (legend(&figures)) }
}

/// The phases of the last runs: the legend, with the middle of each, and a bar for a run on the scale of all.
pub(super) struct LastRuns {
    longest: Duration,
    /// Newest first, as the runs.
    parts: Vec<Vec<Part>>,
}

impl LastRuns {
    pub(super) fn new<'a>(runs: impl Iterator<Item = &'a RecentRun>) -> Self {
        let runs: Vec<_> = runs.map(|run| (run.elapsed(), parts(run.phases(), run.elapsed()))).collect();
        let lengths = runs.iter().map(|(elapsed, parts)| (*elapsed).max(parts.iter().map(|(_, time)| *time).sum()));
        Self { longest: lengths.max().unwrap_or_default(), parts: runs.into_iter().map(|(_, parts)| parts).collect() }
    }

    pub(super) fn legend(&self) -> Markup {
        let seen = Phase::ALL.into_iter().map(Some).chain([None]);
        let figures: Vec<_> = seen
            .filter_map(|phase| {
                let all = self.parts.iter().flatten().filter(|(other, _)| *other == phase);
                let mut times: Vec<Duration> = all.map(|(_, time)| *time).collect();
                times.sort_unstable();
                let middle = times.get(times.len() / 2)?;
                Some((phase, took(*middle)))
            })
            .collect();
        html! {
            div #phases {
                @if !figures.is_empty() {
                    p.muted { "Phases, with the median of these runs. A full bar is " (took(self.longest)) "." }
                    (legend(&figures))
                }
            }
        }
    }

    /// Of the run with this index: the bar, and what took most of it, for those who do not see it.
    pub(super) fn bar(&self, index: usize) -> Markup {
        let Some(parts) = self.parts.get(index).filter(|parts| !parts.is_empty()) else { return html! {} };
        let all: Duration = parts.iter().map(|(_, time)| *time).sum();
        let most = parts.iter().max_by_key(|(_, time)| *time).filter(|(_, time)| *time * 2 > all);
        html! {
            (bar(parts, self.longest))
            @if let Some((phase, time)) = most { small { "mostly " (label(*phase)) ", " (took(*time)) } }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;
    use crate::server::html::layout::STYLE;

    #[test]
    fn phases_are_drawn_to_scale_and_told() {
        let run = json!({"elapsed_seconds": 0.004, "phases_seconds": {"connect": 0.001, "tls": 0.003}});
        let out = of_run(run.as_object().unwrap()).into_string();
        assert!(out.contains("<rect class=\"phase-connect\" x=\"0.0\" width=\"250.0\" height=\"10\"></rect>"), "{out}");
        assert!(out.contains("<rect class=\"phase-tls\" x=\"250.0\" width=\"750.0\" height=\"10\"></rect>"), "{out}");
        assert!(out.contains("</svg>tls 3.0 ms</li>"), "{out}");
        assert!(!out.contains("rest"), "{out}");
        let talk = json!({"elapsed_seconds": 1.0, "phases_seconds": {"connect": 0.1}});
        let out = of_run(talk.as_object().unwrap()).into_string();
        assert!(out.contains("<rect class=\"phase-other\" x=\"100.0\" width=\"900.0\""), "{out}");
        assert!(out.contains("</svg>rest 900 ms</li>"), "{out}");
    }

    #[test]
    fn no_bar_leaves_its_picture() {
        let odd = json!({"elapsed_seconds": 0.0, "phases_seconds": {"connect": 0.0}});
        let out = of_run(odd.as_object().unwrap()).into_string();
        assert!(!out.contains("NaN") && !out.contains("inf"), "{out}");
        let long = bar(&[(Some(Phase::Connect), Duration::from_secs(9))], Duration::from_secs(3)).into_string();
        assert!(long.contains("width=\"1000.0\""), "{long}");
    }

    /// `--phase-NAME:#rrggbb` of the style sheet.
    fn colours() -> Vec<(String, String)> {
        let of = |phase: Phase| {
            let start = format!("--phase-{}:", phase.as_label());
            let at = STYLE.find(&start).unwrap_or_else(|| panic!("{start}")) + start.len();
            (phase.as_label().to_owned(), STYLE[at..at + 7].to_owned())
        };
        Phase::ALL.into_iter().map(of).collect()
    }

    #[test]
    fn every_phase_has_one_colour_and_grafana_has_the_same() {
        let colours = colours();
        for (index, (name, colour)) in colours.iter().enumerate() {
            assert!(colours[..index].iter().all(|(_, other)| other != colour), "{name} looks like another");
            assert!(STYLE.contains(&format!(".phase-{name}{{fill:var(--phase-{name})}}")), "{name}");
            assert_eq!(STYLE.matches(&format!("--phase-{name}:")).count(), 1, "{name} has one colour");
        }
        let file = include_str!("../../../../grafana/generator/colour.py");
        let table = file.split_once("PHASES = {").unwrap().1.split_once('}').unwrap().0;
        let grafana: Vec<(String, String)> = table
            .lines()
            .filter_map(|line| line.trim().trim_end_matches(',').split_once(": "))
            .map(|(name, colour)| (name.trim_matches('"').to_owned(), colour.trim_matches('"').to_owned()))
            .collect();
        assert_eq!(grafana, colours);
    }
}
