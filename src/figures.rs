//! Figures and words for people, the same on every page, in the report and in the terminal. Machines get base units.

use std::fmt::Write as _;
use std::time::Duration;

/// How long something took: `1.2 ms`, `123 ms`, `2.0 s`, `1 min 4 s`. Two digits that matter, in the unit that suits.
pub fn took(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    let milliseconds = seconds * 1000.0;
    // Each bound is where rounding would give what the next line writes.
    if duration.is_zero() {
        "0 ms".to_owned()
    } else if milliseconds < 0.05 {
        "< 0.1 ms".to_owned()
    } else if milliseconds < 9.95 {
        format!("{milliseconds:.1} ms")
    } else if milliseconds < 999.5 {
        format!("{milliseconds:.0} ms")
    } else if seconds < 9.95 {
        format!("{seconds:.1} s")
    } else if seconds < 59.5 {
        format!("{seconds:.0} s")
    } else {
        span(duration.saturating_add(Duration::from_millis(500)))
    }
}

/// A length of time, by its two largest units: `42 s`, `3 min 5 s`, `2 h 0 min`, `1 d 3 h`.
pub fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

/// Text from outside on a terminal, which obeys control characters; those that turn the direction of text round, break a line
/// or take no room are not for its reader either. In their place stands U+FFFD.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if is_printable(c) { c } else { char::REPLACEMENT_CHARACTER }).collect()
}

/// Whether a character is safe to show as it is, within a line.
pub fn is_printable(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// JSON that a terminal may show: what is not printable is escaped. Outside of strings JSON has but spaces and line breaks of it.
pub fn json_for_terminals(json: String) -> String {
    if json.chars().all(|c| c == '\n' || is_printable(c)) {
        return json;
    }
    let mut text = String::with_capacity(json.len() + 64);
    for c in json.chars() {
        if c == '\n' || is_printable(c) {
            text.push(c);
        } else {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                // Writing to a String cannot fail.
                let _ = write!(text, "\\u{unit:04x}");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_something_took_has_the_digits_that_matter() {
        for (microseconds, text) in [
            (0, "0 ms"),
            (49, "< 0.1 ms"),
            (50, "0.1 ms"),
            (1234, "1.2 ms"),
            (9949, "9.9 ms"),
            (9950, "10 ms"),
            (123_000, "123 ms"),
            (999_499, "999 ms"),
            (999_500, "1.0 s"),
            (2_001_800, "2.0 s"),
            (9_950_000, "10 s"),
            (59_499_000, "59 s"),
            (59_500_000, "1 min 0 s"),
            (63_800_000, "1 min 4 s"),
            (3_600_000_000, "1 h 0 min"),
        ] {
            assert_eq!(took(Duration::from_micros(microseconds)), text);
        }
    }

    #[test]
    fn spans_are_short() {
        for (seconds, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (61, "1 min 1 s"),
            (3661, "1 h 1 min"),
            (90_000, "1 d 1 h"),
            (864_000, "10 d 0 h"),
        ] {
            assert_eq!(span(Duration::from_secs(seconds)), text);
        }
    }

    /// Back to seconds.
    fn read(text: &str) -> f64 {
        let words: Vec<&str> = text.split(' ').collect();
        words
            .chunks(2)
            .map(|pair| {
                let unit = match pair[1] {
                    "ms" => 0.001,
                    "s" => 1.0,
                    "min" => 60.0,
                    "h" => 3_600.0,
                    _ => 86_400.0,
                };
                pair[0].parse::<f64>().unwrap_or(f64::NAN) * unit
            })
            .sum()
    }

    proptest! {
        #[test]
        fn a_time_is_told_to_a_twentieth(microseconds in 1_000_u64..100_000_000_000) {
            let (told, is) = (read(&took(Duration::from_micros(microseconds))), microseconds as f64 / 1e6);
            prop_assert!((told - is).abs() <= is / 20.0 + 1e-9, "{told} for {is}");
        }

        #[test]
        fn a_longer_one_is_never_told_as_shorter(a in any::<u32>(), b in any::<u32>()) {
            // Below that it has no number.
            let told = |microseconds: u32| read(&took(Duration::from_micros(u64::from(microseconds) + 50)));
            prop_assert!(told(a.min(b)) <= told(a.max(b)) + 1e-9);
        }

        #[test]
        fn nothing_that_a_terminal_obeys_is_left(text in any::<String>()) {
            prop_assert!(printable(&text).chars().all(is_printable));
            prop_assert_eq!(printable(&text).chars().count(), text.chars().count());
        }
    }

    proptest! {
        #[test]
        fn json_for_terminals_means_the_same(text in any::<String>()) {
            let json = serde_json::to_string_pretty(&[&text]).unwrap_or_default();
            let safe = json_for_terminals(json);
            prop_assert!(safe.chars().all(|c| c == '\n' || is_printable(c)));
            prop_assert_eq!(serde_json::from_str::<Vec<String>>(&safe).unwrap_or_default(), [text]);
        }
    }

    #[test]
    fn what_turns_text_round_is_not_shown() {
        assert_eq!(
            printable("a\u{202e}b\u{9b}2J\u{2066}\u{1b}\u{2060}é"),
            "a\u{fffd}b\u{fffd}2J\u{fffd}\u{fffd}\u{fffd}é"
        );
    }
}
