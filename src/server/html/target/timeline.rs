//! The last outages as a picture, and in words.

use std::time::SystemTime;

use maud::{Markup, html};

use super::VAGUE;
use crate::figures::span;
use crate::server::api;
use crate::server::html::show::{count, time};
use crate::state::{TargetSnapshot, Turn, Verdict};

/// Of the picture, whatever its width on the page.
const WIDTH: f64 = 1000.0;
/// An outage is never drawn so short that it is not seen.
const LEAST: f64 = 6.0;

/// A time in which the verdict was the same, in the units of the picture.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Stretch {
    verdict: Verdict,
    from: f64,
    width: f64,
}

pub(super) fn timeline(target: &TargetSnapshot, taken: SystemTime) -> Markup {
    let turns = target.timeline.turns();
    html! {
        @if !turns.is_empty() {
            section #timeline {
                h2 { "Timeline" }
                (picture(turns, taken))
                ol reversed { @for index in (0..turns.len()).rev() { (turn(turns, index)) } }
            }
        }
    }
}

/// From shortly before the first outage that is remembered until now.
fn begin(turns: &[Turn], taken: SystemTime) -> Option<SystemTime> {
    let first = turns.iter().find(|turn| turn.verdict == Verdict::Down)?.time;
    let margin = taken.duration_since(first).ok()? / 20;
    let begin = first.checked_sub(margin)?;
    Some(begin.max(turns.first()?.time))
}

fn stretches(turns: &[Turn], begin: SystemTime, taken: SystemTime) -> Vec<Stretch> {
    let whole = taken.duration_since(begin).unwrap_or_default().as_secs_f64();
    if whole <= 0.0 {
        return Vec::new();
    }
    let place =
        |time: SystemTime| time.duration_since(begin).unwrap_or_default().as_secs_f64().min(whole) / whole * WIDTH;
    let stretch = |(index, turn): (usize, &Turn)| {
        let (from, to) = (place(turn.time), turns.get(index + 1).map_or(WIDTH, |next| place(next.time)));
        let least = if turn.verdict == Verdict::Down { LEAST } else { 0.0 };
        let width = (to - from).max(least);
        Stretch { verdict: turn.verdict, from: from.min(WIDTH - width), width }
    };
    let mut stretches: Vec<Stretch> = turns.iter().enumerate().map(stretch).filter(|one| one.width > 0.0).collect();
    // Outages over the rest: of a short one, the picture must not show the good time after it alone.
    stretches.sort_by_key(|one| one.verdict == Verdict::Down);
    stretches
}

/// By colour and by height: down is tall, up is low, unknown a line.
fn picture(turns: &[Turn], taken: SystemTime) -> Markup {
    let Some(begin) = begin(turns, taken) else { return html! {} };
    let outages = turns.iter().filter(|turn| turn.verdict == Verdict::Down).count();
    let label = format!(
        "{} in {}, drawn to scale",
        count(outages, "outage", "outages"),
        span(taken.duration_since(begin).unwrap_or_default())
    );
    html! {
        svg.timeline viewBox="0 0 1000 20" preserveAspectRatio="none" role="img" aria-label=(label) {
            @for Stretch { verdict, from, width } in stretches(turns, begin, taken) {
                @let (top, height) = match verdict {
                    Verdict::Down => (0, 20),
                    Verdict::Up => (13, 7),
                    Verdict::Unknown => (18, 2),
                };
                rect class=(format_args!("is-{}", api::verdict(verdict))) x=(format_args!("{from:.1}")) width=(format_args!("{width:.1}"))
                    y=(top) height=(height) {}
            }
        }
        p.axis.muted { span { (time(begin)) } span { "tall: down, low: up, a line: unknown" } span { "now" } }
    }
}

fn turn(turns: &[Turn], index: usize) -> Markup {
    let Turn { time: from, after, verdict, reason } = &turns[index];
    let word = api::verdict(*verdict);
    // A second more or less is no news.
    let vague = after.filter(|after| from.duration_since(*after).is_ok_and(|gap| gap >= VAGUE));
    html! {
        li {
            strong class=(word) { (word) } " from " (time(*from))
            @if let Some(after) = vague { " (at the earliest " (time(after)) ")" }
            @if let Some(next) = turns.get(index + 1) { ", for " (span(next.time.duration_since(*from).unwrap_or_default())) }
            @if let Some(reason) = reason { " " small { (reason.as_label()) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const START: SystemTime = SystemTime::UNIX_EPOCH;

    fn turns(list: &[(u64, Verdict)]) -> Vec<Turn> {
        let turn = |(second, verdict): &(u64, Verdict)| Turn {
            time: START + Duration::from_secs(*second),
            after: None,
            verdict: *verdict,
            reason: None,
        };
        list.iter().map(turn).collect()
    }

    #[test]
    fn outages_are_drawn_to_scale_and_never_too_short_to_be_seen() {
        let (up, down) = (Verdict::Up, Verdict::Down);
        let turns = turns(&[(0, up), (1000, down), (1500, up), (1_999, down)]);
        let taken = START + Duration::from_secs(2000);
        let begin = begin(&turns, taken);
        assert_eq!(begin, Some(START + Duration::from_secs(950)), "long good times before say nothing");
        let drawn = stretches(&turns, START + Duration::from_secs(1000), taken);
        assert_eq!(
            drawn,
            [
                Stretch { verdict: up, from: 500.0, width: 499.0 },
                Stretch { verdict: down, from: 0.0, width: 500.0 },
                Stretch { verdict: down, from: 994.0, width: 6.0 },
            ]
        );
    }

    #[test]
    fn without_an_outage_there_is_no_picture() {
        let taken = START + Duration::from_secs(10);
        assert_eq!(picture(&turns(&[(0, Verdict::Up)]), taken).into_string(), "");
        // A clock that was set back.
        assert_eq!(picture(&turns(&[(20, Verdict::Down)]), taken).into_string(), "");
        assert_eq!(stretches(&turns(&[(10, Verdict::Down)]), taken, taken), []);
    }

    proptest! {
        #[test]
        fn nothing_is_drawn_outside_of_the_picture(times in proptest::collection::vec(0..100_000_u64, 1..16), end in 0..200_000_u64) {
            let list: Vec<_> = times.iter().enumerate().map(|(index, second)| {
                (*second, [Verdict::Down, Verdict::Up, Verdict::Unknown][index % 3])
            }).collect();
            let (turns, taken) = (turns(&list), START + Duration::from_secs(end));
            if let Some(begin) = begin(&turns, taken) {
                for one in stretches(&turns, begin, taken) {
                    prop_assert!(one.from >= 0.0 && one.width > 0.0 && one.from + one.width <= WIDTH + 0.001, "{:?}", one);
                }
            }
        }
    }
}
