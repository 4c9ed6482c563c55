//! How single facts are shown on every page: text from outside, times, states, phases.

use std::fmt::{self, Display, Write};
use std::time::SystemTime;

use maud::{Markup, Render, html};
use percent_encoding::utf8_percent_encode;

use super::SEGMENT;
use crate::server::standing::Standing;
use crate::server::text::rfc3339;
use crate::state::{Explained, ParentState};

/// Text from outside, in an element or a quoted attribute. Beyond what maud escapes: characters that are not to be seen, and those that turn the
/// direction of what follows, are shown as what they are, since a name must not look like another.
pub(super) struct Shown<'a>(pub &'a str);

impl Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                '\n' | '\t' => f.write_char(character)?,
                // Unicode has a picture of each.
                '\0'..='\x1f' => f.write_char(char::from_u32(0x2400 + character as u32).unwrap_or('\u{fffd}'))?,
                '\x7f' => f.write_char('\u{2421}')?,
                _ if is_unseen(character) => write!(f, "\u{27e8}U+{:04X}\u{27e9}", character as u32)?,
                _ => f.write_char(character)?,
            }
        }
        Ok(())
    }
}

impl Render for Shown<'_> {
    fn render_to(&self, buffer: &mut String) {
        // Writing to a String cannot fail.
        let _ = write!(buffer, "{self}");
    }
}

/// Controls, marks and overrides of direction, separators, spaces of no width, tags, and what is no character. The joiners of scripts and
/// emoji (U+200C, U+200D) are text.
fn is_unseen(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
                | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
                | '\u{fff9}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}' | '\u{e0000}'..='\u{e0fff}'
        )
}

/// Text from outside that keeps its direction to itself.
pub(super) fn name(text: &str) -> Markup {
    html! { bdi { (Shown(text)) } }
}

/// A time for people, to the second, in UTC; the machine's is in the attribute. Nothing for a time beyond the year 9999.
pub(super) fn time(time: SystemTime) -> Markup {
    let Some(text) = rfc3339(time) else { return html! {} };
    let seconds = text.split('.').next().unwrap_or_default();
    html! { time datetime=(text) { (seconds.replace('T', " ")) " UTC" } }
}

/// The state, by colour, shape and word.
pub(super) fn badge(standing: Standing) -> Markup {
    html! { span class=(format_args!("badge {}", standing.as_label())) { i aria-hidden="true" { (standing.mark()) } (standing.as_label()) } }
}

/// `explained by gateway, down since ...`. Pages of targets are below `targets`.
pub(super) fn explained(explained: &Explained, targets: &str) -> Markup {
    html! {
        "explained by " a href=(target(targets, explained.by.name.as_str())) { (name(explained.by.name.as_str())) }
        @match (explained.parent, explained.since.map(time)) {
            (ParentState::Down, since) => { ", down" @if let Some(since) = since { " since " (since) } }
            (ParentState::Checking, _) => { ", which is being checked" }
            (ParentState::Recovering, since) => {
                ", up again" @if let Some(since) = since { " since " (since) } "; not checked often enough since then"
            }
        }
    }
}

/// The link to the page of a target.
pub(super) fn target(targets: &str, name: &str) -> String {
    format!("{targets}{}", utf8_percent_encode(name, SEGMENT))
}

/// `1 target`, `10,000 targets`.
pub(super) fn count(number: usize, one: &str, many: &str) -> String {
    format!("{} {}", thousands(number), if number == 1 { one } else { many })
}

/// `10,000`.
pub(super) fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::fixture::now;

    #[test]
    fn text_from_outside_is_no_markup_and_hides_nothing() {
        for (text, shown) in [
            ("a & b <c> \"d\" 'e'", "a &amp; b &lt;c&gt; &quot;d&quot; &#39;e&#39;"),
            ("tab\tline\nend", "tab\tline\nend"),
            ("\0\u{1b}[31m\r\u{7f}", "\u{2400}\u{241b}[31m\u{240d}\u{2421}"),
            ("\u{85}\u{9b}", "\u{27e8}U+0085\u{27e9}\u{27e8}U+009B\u{27e9}"),
            ("a\u{202e}b\u{2066}c\u{200f}", "a\u{27e8}U+202E\u{27e9}b\u{27e8}U+2066\u{27e9}c\u{27e8}U+200F\u{27e9}"),
            ("pay\u{200b}pal\u{feff}", "pay\u{27e8}U+200B\u{27e9}pal\u{27e8}U+FEFF\u{27e9}"),
            ("\u{e0041}\u{ffff}", "\u{27e8}U+E0041\u{27e9}\u{27e8}U+FFFF\u{27e9}"),
            ("Übersicht 日本 שלום 👩‍🚒", "Übersicht 日本 שלום 👩‍🚒"),
        ] {
            assert_eq!(Shown(text).to_string(), shown);
            assert_eq!(html! { (Shown(text)) }.into_string(), shown, "maud takes it as it is");
            assert_eq!(html! { a title=(Shown(text)) {} }.into_string(), format!("<a title=\"{shown}\"></a>"));
        }
    }

    #[test]
    fn times_are_utc_to_the_second() {
        let shown = "<time datetime=\"2026-01-02T03:04:05.000Z\">2026-01-02 03:04:05 UTC</time>";
        assert_eq!(time(now()).into_string(), shown);
    }

    #[test]
    fn a_state_is_told_by_colour_mark_and_word() {
        let shown = badge(Standing::Down).into_string();
        assert_eq!(shown, "<span class=\"badge down\"><i aria-hidden=\"true\">\u{2715}</i>down</span>");
        let marks: std::collections::BTreeSet<&str> = Standing::ALL.iter().map(|standing| standing.mark()).collect();
        assert_eq!(marks.len(), Standing::ALL.len(), "no two look alike");
    }

    #[test]
    fn numbers_are_grouped() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (12_345_678, "12,345,678")] {
            assert_eq!(thousands(number), text);
        }
        assert_eq!(
            (count(1, "target", "targets"), count(2000, "target", "targets")),
            ("1 target".into(), "2,000 targets".into())
        );
    }
}
