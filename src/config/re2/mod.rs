//! RE2's regular expressions, in which blackbox_exporter's modules are written, by way of the `regex` crate.
//!
//! | module | what it owns |
//! |---|---|
//! | `translate` | Go's parser (`regexp/syntax`, flags `Perl`): the same grammar, the same refusals, written in the crate's dialect |
//! | `class` | `[...]`, `\p{..}`, `\d` and what else stands for one character of several |
//! | `subject` | bytes as Go looks at them: Unicode, and U+FFFD for each byte that is none |
//!
//! A pattern is matched on characters. Bytes that are not UTF-8 are not an obstacle: each is one U+FFFD, so that `.` and
//! `[^a]` match it.

mod class;
mod subject;
#[cfg(test)]
mod tests;
mod translate;

use regex_automata::Input;
use regex_automata::hybrid::dfa::DFA;

pub use subject::Subject;
pub(super) use translate::{Traits, Translation};

/// Why a pattern is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    #[error("unclosed group")]
    UnclosedGroup,
    #[error("unopened group")]
    UnopenedGroup,
    #[error("unclosed character class")]
    UnclosedClass,
    #[error("invalid character class range, the start must be <= the end")]
    ReversedRange,
    #[error("repetition operator missing expression")]
    NothingToRepeat,
    #[error("{0} repeats a repetition")]
    RepeatedTwice(String),
    #[error("{0} is not a repetition; it goes from the smaller number to the larger, up to 1000 in all")]
    Count(String),
    #[error("it ends in a backslash")]
    TrailingBackslash,
    #[error("{0} is not an escape sequence")]
    Escape(String),
    #[error("{0} is not a class of characters")]
    Class(String),
    #[error("{0} opens no group; look-around and back references do not exist in RE2")]
    Group(String),
    #[error("{0} is not a name for a group; letters, digits and _ make one")]
    Name(String),
    /// The crate's own reason: a property that Unicode does not have, or a pattern that is too large.
    #[error("{0}")]
    Crate(String),
}

/// Most bytes of a compiled pattern. Go allows 128 MiB; this is `\pL{1000}` and then some.
const COMPILED_BYTES: usize = 64 << 20;

impl Translation {
    /// For text.
    ///
    /// # Errors
    /// A property that Unicode does not have; more than [`COMPILED_BYTES`].
    pub(super) fn compile(&self) -> Result<regex::Regex, PatternError> {
        regex::RegexBuilder::new(&self.text).size_limit(COMPILED_BYTES).build().map_err(PatternError::of)
    }

    /// For bytes, the parts of which that it matches are characters all the same.
    ///
    /// # Errors
    /// As [`Self::compile`]; with [`Alphabet::Ascii`] also what is beyond it.
    pub(super) fn compile_for_bytes(&self, alphabet: Alphabet) -> Result<regex::bytes::Regex, PatternError> {
        let unicode = alphabet == Alphabet::Unicode;
        let mut builder = regex::bytes::RegexBuilder::new(&self.text);
        builder.unicode(unicode).size_limit(COMPILED_BYTES).build().map_err(PatternError::of)
    }

    /// Whether a text that begins so can match, however it goes on. True where it is not known.
    pub(super) fn can_match_after(&self, beginning: &str) -> bool {
        let config = DFA::config().skip_cache_capacity_check(true);
        let Ok(dfa) = DFA::builder().configure(config).build(&self.text) else { return true };
        let mut cache = dfa.create_cache();
        let Ok(mut state) = dfa.start_state_forward(&mut cache, &Input::new(beginning)) else { return true };
        for &byte in beginning.as_bytes() {
            match dfa.next_state(&mut cache, state, byte) {
                Ok(next) if next.is_dead() => return false,
                // A state says that there was a match one byte late.
                Ok(next) if next.is_match() || next.is_quit() => return true,
                Ok(next) => state = next,
                Err(_) => return true,
            }
        }
        true
    }
}

/// Of what is to be searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alphabet {
    Ascii,
    Unicode,
}

impl PatternError {
    #[allow(clippy::needless_pass_by_value)] // for map_err
    fn of(error: regex::Error) -> Self {
        let text = error.to_string();
        // A picture over several lines; the last one is the reason.
        let last = text.lines().last().unwrap_or_default();
        Self::Crate(last.strip_prefix("error: ").unwrap_or(last).to_owned())
    }
}

/// `pattern` as Prometheus compiles it for relabelling: matched from end to end, a dot for line breaks too.
///
/// # Errors
/// The reason.
pub(crate) fn anchored(pattern: &str) -> Result<regex::Regex, String> {
    // Put together as text, as there: `a)|(b` is a pattern, if an odd one.
    let translation = Translation::of(&format!("^(?s:{pattern})$"));
    translation.and_then(|translation| translation.compile()).map_err(|error| error.to_string())
}
