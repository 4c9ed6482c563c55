//! The last runs of a target as pictures: a strip of what came of them, and a line of how long they took.
//!
//! One element for each kind of run, since a page has a hundred of these.

use std::fmt::Write;
use std::time::Duration;

use maud::{Markup, html};

use crate::server::text::took;
use crate::state::{RecentRun, TargetSnapshot};

/// Units of the pictures.
const STEP: usize = 8;
const HEIGHT: usize = 16;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Good,
    Slow,
    Failed,
    /// It says nothing of the target.
    Nothing,
}

impl Kind {
    fn of(run: &RecentRun, slow: Option<Duration>) -> Self {
        match run.reason {
            Some(reason) if reason.is_inconclusive() => Self::Nothing,
            Some(_) => Self::Failed,
            None if slow.is_some_and(|slow| run.elapsed() > slow) => Self::Slow,
            None => Self::Good,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Slow => "slow",
            Self::Failed => "failed",
            Self::Nothing => "inconclusive",
        }
    }

    /// Class and shape at `x`: a bar, a short bar below a dot, a cross, a frame.
    fn draw(self, x: usize) -> (&'static str, String) {
        match self {
            Self::Good => ("g", format!("M{x} 3h5v10h-5z")),
            Self::Slow => ("s", format!("M{x} 8h5v7h-5zm0-6h5v4h-5z")),
            Self::Failed => ("f", format!("M{x} 3l5 10m0-10l-5 10")),
            Self::Nothing => ("i", format!("M{x} 3h5v10h-5z")),
        }
    }
}

/// The last runs, the newest at the right.
pub(super) fn strip(target: &TargetSnapshot) -> Markup {
    let slow = target.target.slow_threshold;
    let mut kinds: Vec<Kind> = target.recent.runs().map(|run| Kind::of(run, slow)).collect();
    kinds.reverse();
    if kinds.is_empty() {
        return html! {};
    }
    let mut shapes: [(&str, String); 4] = Default::default();
    for (index, kind) in kinds.iter().enumerate() {
        let (class, path) = kind.draw(index * STEP + 1);
        let shape = &mut shapes[*kind as usize];
        shape.0 = class;
        shape.1.push_str(&path);
    }
    let width = kinds.len() * STEP;
    html! {
        svg.strip width=(width) height=(HEIGHT) viewBox=(format_args!("0 0 {width} {HEIGHT}")) role="img"
            aria-label=(in_words(&kinds)) {
            @for (class, path) in shapes.iter().filter(|(_, path)| !path.is_empty()) { path class=(class) d=(path) {} }
        }
    }
}

/// `Last 10 runs, oldest first: 7 good, 3 failed`.
fn in_words(kinds: &[Kind]) -> String {
    let mut words = match kinds.len() {
        1 => "Last run:".to_owned(),
        many => format!("Last {many} runs, oldest first:"),
    };
    for (index, same) in kinds.chunk_by(|a, b| a == b).enumerate() {
        // Writing to a String cannot fail.
        let _ = write!(words, "{}{} {}", if index == 0 { " " } else { ", " }, same.len(), same[0].words());
    }
    words
}

/// How long the last runs that succeeded took, the newest at the right, and the threshold where it is near.
pub(super) fn sparkline(target: &TargetSnapshot) -> Markup {
    let mut runs: Vec<(bool, Duration)> =
        target.recent.runs().map(|run| (run.reason.is_none(), run.elapsed())).collect();
    runs.reverse();
    let times = runs.iter().filter(|(good, _)| *good).map(|(_, elapsed)| *elapsed);
    let (Some(least), Some(most)) = (times.clone().min(), times.clone().max()) else { return html! {} };
    if times.count() < 2 {
        return html! {};
    }
    let threshold = target.target.slow_threshold.filter(|slow| *slow <= most.saturating_mul(2));
    let top = threshold.map_or(most, |slow| slow.max(most)).as_secs_f64().max(f64::MIN_POSITIVE);
    let y = |time: Duration| 15.0 - 14.0 * time.as_secs_f64() / top;
    let width = runs.len() * STEP;
    let mut line = String::new();
    let mut pen = 'M';
    for (index, (good, elapsed)) in runs.iter().enumerate() {
        if *good {
            let _ = write!(line, "{pen}{} {:.1}", index * STEP + STEP / 2, y(*elapsed));
            pen = 'L';
        } else {
            pen = 'M';
        }
    }
    html! {
        svg.spark width=(width) height=(HEIGHT) viewBox=(format_args!("0 0 {width} {HEIGHT}")) role="img"
            aria-label=(format_args!("Took {} to {}", took(least), took(most))) {
            @if let Some(threshold) = threshold { path.t d=(format_args!("M0 {:.1}h{width}", y(threshold))) {} }
            path d=(line) {}
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Arc;

    use super::*;
    use crate::metrics::fixture::{good_https, varied};
    use crate::observation::{Observation, Reason};
    use crate::state::Recent;
    use crate::state::tests::down;

    fn target(runs: &[Observation], slow: Option<Duration>) -> TargetSnapshot {
        let mut target = varied().targets.remove(0);
        target.target = {
            let mut known = crate::metrics::fixture::http_target("x", &[], &[]);
            Arc::get_mut(&mut known).unwrap().slow_threshold = slow;
            known
        };
        target.recent = Recent::of(runs);
        target
    }

    fn took_ms(milliseconds: u64) -> Observation {
        Observation { elapsed: Duration::from_millis(milliseconds), ..good_https() }
    }

    #[test]
    fn a_strip_tells_each_kind_of_run_by_shape_and_in_words() {
        let runs = [took_ms(10), took_ms(10), took_ms(900), down(Reason::HttpStatus), down(Reason::Vantage)];
        let strip = strip(&target(&runs, Some(Duration::from_millis(500)))).into_string();
        assert!(strip.contains("Last 5 runs, oldest first: 2 good, 1 slow, 1 failed, 1 inconclusive\""), "{strip}");
        for shape in
            ["class=\"g\" d=\"M1 3h5v10h-5zM9 3", "class=\"s\" d=\"M17", "class=\"f\" d=\"M25", "class=\"i\" d=\"M33"]
        {
            assert!(strip.contains(shape), "{shape}: {strip}");
        }
        assert!(super::strip(&target(&[took_ms(1)], None)).into_string().contains("Last run: 1 good\""));
        assert_eq!(super::strip(&target(&[], None)).into_string(), "");
    }

    #[test]
    fn a_line_goes_through_good_runs_and_breaks_at_others() {
        let runs = [took_ms(50), took_ms(100), down(Reason::HttpStatus), took_ms(100)];
        let line = sparkline(&target(&runs, None)).into_string();
        assert!(line.contains("d=\"M4 8.0L12 1.0M28 1.0\"") && line.contains("Took 50 ms to 100 ms\""), "{line}");
        let near = sparkline(&target(&runs, Some(Duration::from_millis(200)))).into_string();
        assert!(near.contains("<path class=\"t\" d=\"M0 1.0h32\">") && near.contains("L12 8.0"), "{near}");
        let far = sparkline(&target(&runs, Some(Duration::from_millis(201)))).into_string();
        assert!(!far.contains("class=\"t\""), "{far}");
        for few in [&runs[..1], &runs[2..3]] {
            assert_eq!(sparkline(&target(few, None)).into_string(), "");
        }
        let none = sparkline(&target(&[took_ms(0), took_ms(0)], None)).into_string();
        assert!(none.contains("15.0") && !none.contains("NaN"), "{none}");
    }
}
