//! A pattern, read as Go reads it and written so that the `regex` crate cannot take it for anything else: every
//! character by itself, every class as its ranges, every flag on what it is for.

use std::fmt::Write as _;

use super::PatternError;

/// A pattern in the crate's dialect.
#[derive(Debug)]
pub(in crate::config) struct Translation {
    pub(in crate::config) text: String,
    /// Of the groups from the first on. A name may begin with a digit, and be given twice, which the crate does not allow.
    pub(in crate::config) names: Vec<Option<Box<str>>>,
    pub(in crate::config) traits: Traits,
}

/// What decides how a pattern may be run; conservative.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::config) struct Traits {
    /// May take U+FFFD, which stands for a byte that is not UTF-8.
    pub(in crate::config) wild: bool,
    /// Regards case somewhere as none.
    pub(in crate::config) folds: bool,
    /// Regards a letter beyond ASCII as one of it: the long s as s, the sign for kelvin as k.
    pub(in crate::config) folds_into_ascii: bool,
    /// Has `\B`, which is true between any two bytes of a letter.
    pub(in crate::config) inside: bool,
}

impl Translation {
    /// # Errors
    /// What Go refuses.
    pub(in crate::config) fn of(pattern: &str) -> Result<Self, PatternError> {
        let mut parser = Parser {
            rest: pattern,
            out: String::with_capacity(pattern.len() + 16),
            flags: Flags::default(),
            in_class: false,
            groups: Vec::new(),
            most: 1,
            last: None,
            names: Vec::new(),
            traits: Traits::default(),
        };
        parser.pattern()?;
        Ok(Self { text: parser.out, names: parser.names, traits: parser.traits })
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Flags {
    /// `i`
    pub(super) fold: bool,
    /// `m`
    lines: bool,
    /// `s`
    dot_all: bool,
    /// `U`
    lazy: bool,
}

pub(super) struct Parser<'p> {
    pub(super) rest: &'p str,
    pub(super) out: String,
    pub(super) flags: Flags,
    pub(super) in_class: bool,
    /// Those that are open.
    groups: Vec<Open>,
    /// The largest count of nested repetitions in the group that is open.
    most: u32,
    /// What an operator would repeat.
    last: Option<Atom>,
    names: Vec<Option<Box<str>>>,
    pub(super) traits: Traits,
}

struct Open {
    /// Where it begins in the output.
    start: usize,
    flags: Flags,
    most: u32,
}

#[derive(Clone, Copy)]
struct Atom {
    start: usize,
    /// Ends in a repetition operator, to which another one must not be glued.
    repeated: bool,
    /// How many times its innermost part is repeated by counts.
    count: u32,
}

/// Go's bound on counted repetitions, those in each other multiplied.
const MOST_REPEATS: u32 = 1000;

impl<'p> Parser<'p> {
    fn pattern(&mut self) -> Result<(), PatternError> {
        // The operator just before: RE2 has no `a**`.
        let mut repetition: Option<&'p str> = None;
        while let Some(c) = self.rest.chars().next() {
            let here = self.rest;
            let before = repetition.take();
            match c {
                '(' if here.starts_with("(?") => self.perl_group()?,
                '(' => {
                    self.skip(1);
                    self.names.push(None);
                    self.open("(");
                }
                ')' => self.close()?,
                '|' => {
                    self.skip(1);
                    self.out.push('|');
                    self.last = None;
                }
                '^' => self.atom(1, if self.flags.lines { "(?m:^)" } else { r"\A" }),
                '$' => self.atom(1, if self.flags.lines { "(?m:$)" } else { r"\z" }),
                '.' => {
                    self.traits.wild = true;
                    self.atom(1, if self.flags.dot_all { "(?s:.)" } else { r"[^\n]" });
                }
                '[' => {
                    let start = self.out.len();
                    self.class()?;
                    self.push_atom(start);
                }
                '*' | '+' | '?' => {
                    self.skip(1);
                    self.repeat(&here[..1], 1, here, before)?;
                    repetition = Some(here);
                }
                '{' => match counts(here) {
                    Some(counts) => {
                        self.skip(counts.length);
                        let operator = &here[..counts.length];
                        let count = counts.check().ok_or_else(|| PatternError::Count(operator.to_owned()))?;
                        self.repeat(operator, count, here, before)?;
                        repetition = Some(here);
                    }
                    None => {
                        self.skip(1);
                        self.literal('{');
                    }
                },
                '\\' => self.escaped()?,
                _ => {
                    self.skip(c.len_utf8());
                    self.literal(c);
                }
            }
        }
        if self.groups.is_empty() { Ok(()) } else { Err(PatternError::UnclosedGroup) }
    }

    pub(super) fn skip(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }

    fn atom(&mut self, bytes: usize, text: &str) {
        self.skip(bytes);
        let start = self.out.len();
        self.out.push_str(text);
        self.push_atom(start);
    }

    fn push_atom(&mut self, start: usize) {
        self.last = Some(Atom { start, repeated: false, count: 1 });
    }

    fn literal(&mut self, c: char) {
        let start = self.out.len();
        // Digits, spaces and the like have no case.
        let folds = self.flags.fold && (c.is_alphabetic() || !c.is_ascii());
        self.traits.folds |= folds;
        self.traits.folds_into_ascii |= folds && matches!(c, '\u{17f}' | '\u{212a}');
        self.traits.wild |= c == char::REPLACEMENT_CHARACTER;
        if folds {
            self.out.push_str("(?i:");
        }
        self.out.push_str(&regex::escape(c.encode_utf8(&mut [0; 4])));
        if folds {
            self.out.push(')');
        }
        self.push_atom(start);
    }

    fn open(&mut self, text: &str) {
        self.groups.push(Open { start: self.out.len(), flags: self.flags, most: self.most });
        self.most = 1;
        self.out.push_str(text);
        self.last = None;
    }

    fn close(&mut self) -> Result<(), PatternError> {
        self.skip(1);
        let Open { start, flags, most } = self.groups.pop().ok_or(PatternError::UnopenedGroup)?;
        self.out.push(')');
        self.flags = flags;
        self.last = Some(Atom { start, repeated: false, count: self.most });
        self.most = most.max(self.most);
        Ok(())
    }

    /// `here` is the pattern from the operator on, `before` that from the operator in front of it.
    fn repeat(&mut self, operator: &str, count: u32, here: &str, before: Option<&str>) -> Result<(), PatternError> {
        let mut lazy = self.flags.lazy;
        if self.rest.starts_with('?') {
            self.skip(1);
            lazy = !lazy;
        }
        let written = |from: &str| from[..from.len() - self.rest.len()].to_owned();
        if let Some(before) = before {
            return Err(PatternError::RepeatedTwice(written(before)));
        }
        let last = self.last.ok_or(PatternError::NothingToRepeat)?;
        let count = match count {
            0 => 1,
            _ => last.count.saturating_mul(count),
        };
        if operator.starts_with('{') && count > MOST_REPEATS {
            return Err(PatternError::Count(written(here)));
        }
        if last.repeated {
            self.out.insert_str(last.start, "(?:");
            self.out.push(')');
        }
        self.out.push_str(operator);
        if lazy {
            self.out.push('?');
        }
        self.most = self.most.max(count);
        self.last = Some(Atom { start: last.start, repeated: true, count });
        Ok(())
    }

    /// At `(?`.
    fn perl_group(&mut self) -> Result<(), PatternError> {
        let here = self.rest;
        if let Some(after) = here.strip_prefix("(?P<").or_else(|| here.strip_prefix("(?<")) {
            return self.named_group(here, after);
        }
        let mut flags = self.flags;
        let mut on = true;
        let mut seen = false;
        for (at, c) in here.char_indices().skip(2) {
            let flag = match c {
                'i' => &mut flags.fold,
                'm' => &mut flags.lines,
                's' => &mut flags.dot_all,
                'U' => &mut flags.lazy,
                '-' if on => {
                    (on, seen) = (false, false);
                    continue;
                }
                ':' | ')' if on || seen => {
                    self.skip(at + 1);
                    if c == ':' {
                        // What closes the group brings back the flags of now.
                        self.open("(?:");
                    }
                    self.flags = flags;
                    return Ok(());
                }
                _ => return Err(PatternError::Group(here[..at + c.len_utf8()].to_owned())),
            };
            *flag = on;
            seen = true;
        }
        Err(PatternError::Group(here.to_owned()))
    }

    fn named_group(&mut self, here: &str, after: &'p str) -> Result<(), PatternError> {
        let look_behind = here.starts_with("(?<=") || here.starts_with("(?<!");
        if look_behind {
            return Err(PatternError::Group(here[..4].to_owned()));
        }
        let (name, after) = after.split_once('>').ok_or_else(|| PatternError::Name(after.to_owned()))?;
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return Err(PatternError::Name(format!("{name:?}")));
        }
        let taken = self.names.iter().flatten().any(|known| &**known == name);
        self.names.push(Some(name.into()));
        self.rest = after;
        let digit_first = name.starts_with(|c: char| c.is_ascii_digit());
        self.open(&if digit_first || taken { "(".to_owned() } else { format!("(?P<{name}>") });
        Ok(())
    }

    /// At a backslash, outside of a class.
    fn escaped(&mut self) -> Result<(), PatternError> {
        let after = &self.rest[1..];
        match after.chars().next() {
            Some('A') => self.atom(2, r"\A"),
            Some('z') => self.atom(2, r"\z"),
            Some('b') => self.atom(2, r"(?-u:\b)"),
            Some('B') => {
                self.traits.inside = true;
                self.atom(2, r"(?-u:\B)");
            }
            Some('Q') => {
                let (literal, after) = after[1..].split_once("\\E").unwrap_or((&after[1..], ""));
                self.rest = after;
                literal.chars().for_each(|c| self.literal(c));
            }
            _ => {
                let start = self.out.len();
                if self.escaped_class()? {
                    self.push_atom(start);
                    return Ok(());
                }
                let code = self.escaped_character()?;
                match char::from_u32(code) {
                    Some(c) => self.literal(c),
                    // Half of a surrogate pair, which no text has.
                    None => self.atom(0, super::class::NOTHING),
                }
            }
        }
        Ok(())
    }

    /// At a backslash that stands for one character; gives its number, which may be that of a surrogate.
    pub(super) fn escaped_character(&mut self) -> Result<u32, PatternError> {
        let here = self.rest;
        let after = &here[1..];
        let Some(c) = after.chars().next() else { return Err(PatternError::TrailingBackslash) };
        let (code, length) = match c {
            '0'..='7' => {
                let digits = after.bytes().take(3).take_while(|b| (b'0'..=b'7').contains(b)).count();
                // One digit that is not zero would be a back reference.
                let code = if c != '0' && digits < 2 { None } else { u32::from_str_radix(&after[..digits], 8).ok() };
                (code, digits)
            }
            'x' => hexadecimal(&after[1..]).map_or((None, 1), |(code, length)| (Some(code), length + 1)),
            'a' => (Some(7), 1),
            'f' => (Some(12), 1),
            'n' => (Some(10), 1),
            'r' => (Some(13), 1),
            't' => (Some(9), 1),
            'v' => (Some(11), 1),
            _ if c.is_ascii() && !c.is_ascii_alphanumeric() => (Some(u32::from(c)), 1),
            _ => (None, c.len_utf8()),
        };
        let code = code.ok_or_else(|| PatternError::Escape(here[..=length].to_owned()))?;
        self.skip(1 + length);
        Ok(code)
    }

    pub(super) fn push_code(&mut self, code: u32) {
        // Writing to a String cannot fail.
        let _ = write!(self.out, "\\x{{{code:x}}}");
    }
}

/// After `\x`: `41` or `{41}`; the number and how many bytes it took.
fn hexadecimal(text: &str) -> Option<(u32, usize)> {
    let (digits, length) = match text.strip_prefix('{') {
        Some(inner) => {
            let end = inner.find('}')?;
            (&inner[..end], end + 2)
        }
        None => (text.get(..2)?, 2),
    };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let significant = digits.trim_start_matches('0');
    let code = if significant.is_empty() { 0 } else { u32::from_str_radix(significant, 16).ok()? };
    (code <= u32::from(char::MAX)).then_some((code, length))
}

/// `{2}`, `{2,}`, `{2,3}`.
struct Counts {
    least: u32,
    most: Option<u32>,
    /// In the pattern, in bytes.
    length: usize,
}

impl Counts {
    /// How many times it repeats, for the bound; `None` when these counts cannot be.
    fn check(&self) -> Option<u32> {
        let most = self.most.unwrap_or(self.least);
        if self.least > MOST_REPEATS || most > MOST_REPEATS || most < self.least {
            return None;
        }
        // `x{0,}` is `x*`; `x{0}` is nothing.
        Some(if self.most.is_none() { most.max(1) } else { most })
    }
}

/// The counts that `text` begins with. What only looks like some, such as `{,3}` or `{"a":1}`, is text.
fn counts(text: &str) -> Option<Counts> {
    let (inside, _) = text.strip_prefix('{')?.split_once('}')?;
    let number = |text: &str| {
        let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let padded = text.len() > 1 && text.starts_with('0');
        // What is too large for a number is too large for a count.
        (plain && !padded).then(|| text.parse().unwrap_or(u32::MAX))
    };
    let length = inside.len() + 2;
    match inside.split_once(',') {
        None => number(inside).map(|exact| Counts { least: exact, most: Some(exact), length }),
        Some((least, "")) => number(least).map(|least| Counts { least, most: None, length }),
        Some((least, most)) => Some(Counts { least: number(least)?, most: Some(number(most)?), length }),
    }
}
