//! A regular expression of the config.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use super::re2::{Alphabet, PatternError, Subject, Traits, Translation};

/// A regular expression with RE2's syntax and meaning: unanchored, on characters, `\d`, `\w`, `\s` and `\b` in ASCII.
#[derive(Clone)]
pub struct Pattern(Arc<Compiled>);

struct Compiled {
    written: Box<str>,
    engine: Engine,
    /// Of the groups from the first on; empty when none has one.
    names: Box<[Option<Box<str>>]>,
}

/// All of them find the same; they differ in what they have to know of the bytes, and in speed.
enum Engine {
    /// For the few patterns that have to be kept out of the middle of a letter.
    Text(regex::Regex),
    /// A match in bytes is one in their text, whatever surrounds it: what it takes are whole characters, since no byte that
    /// begins one can be within another.
    Bytes {
        unicode: regex::bytes::Regex,
        /// The other way round it holds as well, unless the pattern can take U+FFFD.
        wild: bool,
        /// Smaller and faster, where there is a difference: most pages are ASCII.
        ascii: Option<OnAscii>,
    },
}

/// Compiled when it is first wanted; `None` when it is not to be had.
struct OnAscii(Translation, OnceLock<Option<regex::bytes::Regex>>);

impl OnAscii {
    fn regex(&self) -> Option<&regex::bytes::Regex> {
        self.1.get_or_init(|| self.0.compile_for_bytes(Alphabet::Ascii).ok()).as_ref()
    }
}

impl Pattern {
    /// # Errors
    /// What Go refuses, and what is too large.
    pub fn new(pattern: &str) -> Result<Self, PatternError> {
        let mut translation = Translation::of(pattern)?;
        let named = translation.names.iter().any(Option::is_some);
        let names = std::mem::take(&mut translation.names);
        let Traits { wild, folds, folds_into_ascii, inside } = translation.traits;
        let engine = if inside {
            Engine::Text(translation.compile()?)
        } else {
            let unicode = translation.compile_for_bytes(Alphabet::Unicode)?;
            // Such letters are bytes like others to a matcher that knows ASCII alone. In classes it refuses them.
            let differs = (wild || folds) && !folds_into_ascii;
            let ascii = differs.then(|| OnAscii(translation, OnceLock::new()));
            Engine::Bytes { unicode, wild, ascii }
        };
        let names = if named { names.into() } else { Box::default() };
        Ok(Self(Arc::new(Compiled { written: pattern.into(), engine, names })))
    }

    pub fn is_match(&self, haystack: &[u8]) -> bool {
        self.is_match_in(&Subject::new(haystack))
    }

    /// For several patterns on the same bytes.
    pub fn is_match_in(&self, subject: &Subject<'_>) -> bool {
        match &self.0.engine {
            Engine::Text(regex) => regex.is_match(&subject.text()),
            Engine::Bytes { unicode, wild, ascii } => {
                if let Some(ascii) = ascii
                    && subject.is_ascii()
                    && let Some(regex) = ascii.regex()
                {
                    return regex.is_match(subject.as_bytes());
                }
                unicode.is_match(subject.as_bytes())
                    || *wild && subject.replaced().is_some_and(|text| unicode.is_match(text.as_bytes()))
            }
        }
    }

    /// The first match, and what its groups took.
    pub fn groups<'p>(&'p self, haystack: &'p [u8]) -> Option<Groups<'p>> {
        let subject = Subject::new(haystack);
        let text = subject.text();
        let parts = match &self.0.engine {
            Engine::Text(regex) => {
                let captures = regex.captures(&text)?;
                captures.iter().map(|group| group.map(|group| group.range())).collect()
            }
            Engine::Bytes { unicode, .. } => {
                let captures = unicode.captures(text.as_bytes())?;
                captures.iter().map(|group| group.map(|group| group.range())).collect()
            }
        };
        drop(text);
        Some(Groups { pattern: self, subject, parts })
    }

    /// Whether a line that begins so can match, however it goes on. True where it is not known. Costs what compiling the
    /// pattern costs.
    pub fn can_match_after(&self, beginning: &[u8]) -> bool {
        /// Bytes of a character less one.
        const MOST_OPEN: usize = 3;
        let open = (1..=MOST_OPEN.min(beginning.len())).find(|&count| {
            let end = &beginning[beginning.len() - count..];
            std::str::from_utf8(end).is_err_and(|error| error.valid_up_to() == 0 && error.error_len().is_none())
        });
        let whole = &beginning[..beginning.len() - open.unwrap_or(0)];
        let subject = Subject::new(whole);
        Translation::of(self.as_str()).map_or(true, |translation| translation.can_match_after(&subject.text()))
    }

    /// As configured.
    pub fn as_str(&self) -> &str {
        &self.0.written
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pattern({:?})", self.as_str())
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

/// What the groups of a pattern took; number 0 is the whole match.
#[derive(Debug)]
pub struct Groups<'p> {
    pattern: &'p Pattern,
    subject: Subject<'p>,
    parts: Vec<Option<Range<usize>>>,
}

impl<'p> Groups<'p> {
    /// The bytes as they were, also where they were no text. `None` when there is no such group, or it took no part.
    pub fn number(&self, number: usize) -> Option<&'p [u8]> {
        let part = self.parts.get(number)?.clone()?;
        Some(self.subject.bytes(part))
    }

    /// Of several groups with this name, the first that took part.
    pub fn name(&self, name: &str) -> Option<&'p [u8]> {
        let mut named = self.pattern.0.names.iter().enumerate().filter(|(_, known)| known.as_deref() == Some(name));
        named.find_map(|(place, _)| self.number(place + 1))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_is_known_when_a_line_can_no_longer_match() {
        for (pattern, beginning, can) in [
            ("^220 ", &b""[..], true),
            ("^220 ", b"2", true),
            ("^220 ", b"220 hello", true),
            ("^220 ", b"554 go away", false),
            ("^(220|250) ", b"25", true),
            ("^(220|250) ", b"221", false),
            // Somewhere later.
            ("220 ", b"554 go away", true),
            ("^SSH-2.0-", b"\x00\x05\xff", false),
            // Bytes that are no text are taken by a dot, as in Go; what may become a letter is left open.
            ("^.SSH", b"\xffS", true),
            ("^\u{e9}t", b"\xc3", true),
            ("^\u{e9}t", b"\xc3\xa9t", true),
            ("^$", b"x", false),
            ("ready$", b"ready or not", true),
        ] {
            assert_eq!(Pattern::new(pattern).unwrap().can_match_after(beginning), can, "{pattern} after {beginning:?}");
        }
    }

    proptest! {
        #[test]
        fn what_matches_could_match_after_each_of_its_beginnings(
            pattern in prop::sample::select(vec!["^a+b", "^(a|b)c$", "b$", "^.a", "^[^a]b", r"^\ba\b", "(?i)^AB"]),
            line in prop::collection::vec(prop::sample::select(vec![b'a', b'b', b'c', b'A', 0xff, 0xc3, 0xa9]), 0..6),
        ) {
            let pattern = Pattern::new(pattern).unwrap();
            if pattern.is_match(&line) {
                for end in 0..=line.len() {
                    prop_assert!(pattern.can_match_after(&line[..end]), "{:?} after {:?}", pattern, &line[..end]);
                }
            }
        }
    }
}
