//! Badges for other pages: a label and a state, as SVG.

use maud::html;

use super::model::State;
use super::page::badge_colour;

/// What is written first in a badge, so that it is known for ours.
pub(super) const MARK: &str = "<svg xmlns=\"http://www.w3.org/2000/svg\" data-by=\"uptime_exporter\"";

pub(super) fn badge(label: &str, state: State, words: &str) -> String {
    let (left, right) = (width(label), width(words));
    let whole = left + right;
    let (middle, rest) = (left / 2, left + right / 2);
    let both = format!("{label}: {words}");
    // Attributes in one place, text by the escaping of the templates.
    let inner = html! {
        title { (both) }
        rect width=(whole) height="20" rx="3" fill="#3b434d" {}
        rect x=(left) width=(right) height="20" rx="3" fill=(badge_colour(state)) {}
        rect x=(left) width="4" height="20" fill=(badge_colour(state)) {}
        g fill="#fff" text-anchor="middle" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" {
            text x=(middle) y="14" { (label) }
            text x=(rest) y="14" { (words) }
        }
    };
    let label = html! { svg aria-label=(both) {} }.into_string();
    let label = label.strip_prefix("<svg ").and_then(|rest| rest.strip_suffix("></svg>")).unwrap_or_default();
    format!("{MARK} width=\"{whole}\" height=\"20\" role=\"img\" {label}>{}</svg>\n", inner.into_string())
}

/// Near enough: the font is not ours.
fn width(text: &str) -> usize {
    text.chars().count() * 7 + 14
}
