//! JSON as Go's `encoding/json` reads it, which is what blackbox_exporter does with a body.
//!
//! Go is strict about the grammar, and lenient in strings: each byte that belongs to no character, and each half of a
//! surrogate pair that has no other half, is U+FFFD. Of equal keys the last one counts. Numbers are doubles, and one that
//! none can hold is an error. The nesting goes to 10000; nothing here recurses.

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;

/// As deep as Go goes.
pub(in crate::probe::http) const MAX_DEPTH: usize = 10_000;

/// What is made of a document.
pub(in crate::probe::http) trait Build<'b> {
    type Value;

    fn null(&self) -> Self::Value;
    fn bool(&self, value: bool) -> Self::Value;
    fn number(&self, value: f64) -> Self::Value;
    fn text(&self, text: Cow<'b, str>) -> Self::Value;
    /// `depth` is the number of lists and maps around it.
    fn list(&self, items: Vec<Self::Value>, depth: usize) -> Self::Value;
    /// In the order of the document, with keys that may be there twice.
    fn map(&self, entries: Vec<(Cow<'b, str>, Self::Value)>, depth: usize) -> Self::Value;
}

/// Why there is no document, for the end of a sentence.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::probe::http) enum Fault {
    NotJson(String),
    /// It would take more memory than it may.
    TooLarge,
}

/// # Errors
/// The bytes are not JSON, or their values would take more than about `memory` bytes.
pub(in crate::probe::http) fn parse<'b, B: Build<'b>>(
    bytes: &'b [u8],
    build: &B,
    memory: usize,
) -> Result<B::Value, Fault> {
    Parser { bytes, at: 0, build, memory }.document()
}

/// How many lists and maps are around the innermost value, at most. Of bytes that are no JSON it says something too.
pub(in crate::probe::http) fn nesting(bytes: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut in_text, mut escaped) = (false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'[' | b'{' if !in_text => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

struct Parser<'b, 'p, B> {
    bytes: &'b [u8],
    at: usize,
    build: &'p B,
    /// What is left of it.
    memory: usize,
}

/// A list or a map that is not closed yet.
enum Open<'b, V> {
    List(Vec<V>),
    Map(Vec<(Cow<'b, str>, V)>, Cow<'b, str>),
}

/// About what a value takes in a tree, with the allocator's share.
const VALUE_BYTES: usize = 64;
/// The same for an entry of a map, and for the smallest map.
const ENTRY_BYTES: usize = 192;

impl<'b, B: Build<'b>> Parser<'b, '_, B> {
    fn document(mut self) -> Result<B::Value, Fault> {
        let mut open: Vec<Open<'b, B::Value>> = Vec::new();
        loop {
            // A value begins here.
            self.take(VALUE_BYTES)?;
            let mut value = match self.next() {
                Some(b'[') => {
                    self.deeper(open.len())?;
                    if self.next_is(b']') {
                        self.build.list(Vec::new(), open.len())
                    } else {
                        open.push(Open::List(Vec::new()));
                        continue;
                    }
                }
                Some(b'{') => {
                    self.deeper(open.len())?;
                    self.take(ENTRY_BYTES)?;
                    if self.next_is(b'}') {
                        self.build.map(Vec::new(), open.len())
                    } else {
                        let key = self.key()?;
                        open.push(Open::Map(Vec::new(), key));
                        continue;
                    }
                }
                Some(b'"') => {
                    let text = self.text()?;
                    self.build.text(text)
                }
                Some(b'-' | b'0'..=b'9') => {
                    let number = self.number()?;
                    self.build.number(number)
                }
                Some(b't') => self.word("true", |build| build.bool(true))?,
                Some(b'f') => self.word("false", |build| build.bool(false))?,
                Some(b'n') => self.word("null", |build| build.null())?,
                found => return Err(self.unexpected(found, "a value")),
            };
            // It ends here, and with it perhaps some of those around it.
            loop {
                let Some(around) = open.pop() else {
                    return match self.next() {
                        None => Ok(value),
                        found => Err(self.unexpected(found, "nothing more")),
                    };
                };
                match around {
                    Open::List(mut items) => {
                        items.push(value);
                        match self.next() {
                            Some(b',') => {
                                self.at += 1;
                                open.push(Open::List(items));
                                break;
                            }
                            Some(b']') => self.at += 1,
                            found => return Err(self.unexpected(found, "a comma or ]")),
                        }
                        value = self.build.list(items, open.len());
                    }
                    Open::Map(mut entries, key) => {
                        self.take(ENTRY_BYTES)?;
                        entries.push((key, value));
                        match self.next() {
                            Some(b',') => {
                                self.at += 1;
                                let key = self.key()?;
                                open.push(Open::Map(entries, key));
                                break;
                            }
                            Some(b'}') => self.at += 1,
                            found => return Err(self.unexpected(found, "a comma or }")),
                        }
                        value = self.build.map(entries, open.len());
                    }
                }
            }
        }
    }

    /// The next byte that is not white space; `None` at the end. It is not consumed.
    fn next(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.bytes.get(self.at) {
            self.at += 1;
        }
        self.bytes.get(self.at).copied()
    }

    /// Consumes the byte that opens something, and the one after it if it closes it again.
    fn next_is(&mut self, wanted: u8) -> bool {
        self.at += 1;
        let is = self.next() == Some(wanted);
        self.at += usize::from(is);
        is
    }

    fn key(&mut self) -> Result<Cow<'b, str>, Fault> {
        match self.next() {
            Some(b'"') => {}
            found => return Err(self.unexpected(found, "a key in quotes")),
        }
        let key = self.text()?;
        match self.next() {
            Some(b':') => {
                self.at += 1;
                Ok(key)
            }
            found => Err(self.unexpected(found, "a colon")),
        }
    }

    fn word(&mut self, word: &str, value: impl FnOnce(&B) -> B::Value) -> Result<B::Value, Fault> {
        for wanted in word.bytes() {
            match self.bytes.get(self.at) {
                Some(found) if *found == wanted => self.at += 1,
                found => return Err(self.unexpected(found.copied(), word)),
            }
        }
        Ok(value(self.build))
    }

    fn number(&mut self) -> Result<f64, Fault> {
        let start = self.at;
        self.at += usize::from(self.bytes[self.at] == b'-');
        match self.bytes.get(self.at) {
            // No other digit may follow, which is seen when nothing that may follow a value does.
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.bytes.get(self.at) {
            self.at += 1;
            self.at += usize::from(matches!(self.bytes.get(self.at), Some(b'+' | b'-')));
            self.digits()?;
        }
        let written = std::str::from_utf8(&self.bytes[start..self.at]).unwrap_or_default();
        match written.parse() {
            Ok(number) if f64::is_finite(number) => Ok(number),
            _ => {
                let shown: String = written.chars().take(40).collect();
                Err(Fault::NotJson(format!("no double holds the number {shown}{}", self.place(start))))
            }
        }
    }

    fn digits(&mut self) -> Result<(), Fault> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.bytes.get(self.at) {
            self.at += 1;
        }
        match start == self.at {
            true => Err(self.unexpected(self.bytes.get(self.at).copied(), "a digit")),
            false => Ok(()),
        }
    }

    fn text(&mut self) -> Result<Cow<'b, str>, Fault> {
        self.at += 1;
        let start = self.at;
        let mut text = String::new();
        // Of what has not been copied.
        let mut copied = start;
        loop {
            match self.bytes.get(self.at) {
                Some(b'"') => {
                    let rest = &self.bytes[copied..self.at];
                    self.at += 1;
                    if copied == start
                        && let Ok(whole) = std::str::from_utf8(rest)
                    {
                        return Ok(Cow::Borrowed(whole));
                    }
                    self.take(self.at - start)?;
                    push_lossy(&mut text, rest);
                    return Ok(Cow::Owned(text));
                }
                Some(b'\\') => {
                    push_lossy(&mut text, &self.bytes[copied..self.at]);
                    text.push(self.escape()?);
                    copied = self.at;
                }
                Some(byte) if *byte < b' ' => {
                    return Err(self.unexpected(Some(*byte), "an escape such as \\n"));
                }
                Some(_) => self.at += 1,
                None => return Err(self.unexpected(None, "the end of a text")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Fault> {
        self.at += 1;
        let found = self.bytes.get(self.at).copied();
        let c = match found {
            Some(c @ (b'"' | b'\\' | b'/')) => char::from(c),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                let unit = match self.unit() {
                    Some(unit) => unit,
                    None => return Err(self.unexpected(found, "four hexadecimal digits")),
                };
                self.at += 5;
                return Ok(self.character(unit));
            }
            found => return Err(self.unexpected(found, "one of \"\\/bfnrtu")),
        };
        self.at += 1;
        Ok(c)
    }

    /// The four digits after the `u` at this place.
    fn unit(&self) -> Option<u16> {
        let digits = self.bytes.get(self.at + 1..self.at + 5)?;
        digits.iter().try_fold(0, |unit, digit| {
            let digit = char::from(*digit).to_digit(16)?;
            Some(unit << 4 | digit as u16)
        })
    }

    /// A half of a pair takes the other one with it if that follows.
    fn character(&mut self, unit: u16) -> char {
        if let Some(c) = char::from_u32(u32::from(unit)) {
            return c;
        }
        if self.bytes.get(self.at..self.at + 2) == Some(b"\\u") {
            self.at += 1;
            if let Some(second) = self.unit()
                && let Some(Ok(c)) = char::decode_utf16([unit, second]).next()
            {
                self.at += 5;
                return c;
            }
            self.at -= 1;
        }
        char::REPLACEMENT_CHARACTER
    }

    fn deeper(&self, around: usize) -> Result<(), Fault> {
        match around < MAX_DEPTH {
            true => Ok(()),
            false => Err(Fault::NotJson(format!("it is nested more than {MAX_DEPTH} levels deep"))),
        }
    }

    fn take(&mut self, bytes: usize) -> Result<(), Fault> {
        self.memory = self.memory.checked_sub(bytes).ok_or(Fault::TooLarge)?;
        Ok(())
    }

    /// At the byte in question.
    fn unexpected(&self, found: Option<u8>, wanted: &str) -> Fault {
        let place = self.place(self.at);
        Fault::NotJson(match found {
            Some(_) if self.at == 0 && self.bytes.starts_with("\u{feff}".as_bytes()) => {
                "it begins with a byte order mark".to_owned()
            }
            Some(byte) => format!("it has {}{place} where {wanted} should be", Shown(byte)),
            None if self.bytes.is_empty() => "it is empty".to_owned(),
            None => format!("it ends{place} where {wanted} should be"),
        })
    }

    fn place(&self, at: usize) -> String {
        let before = &self.bytes[..at.min(self.bytes.len())];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
        format!(" in line {line}, at byte {column}")
    }
}

/// A byte of a body, for people.
struct Shown(u8);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            byte @ b'!'..=b'~' => write!(f, "{:?}", char::from(byte)),
            byte => write!(f, "the byte 0x{byte:02x}"),
        }
    }
}

fn push_lossy(text: &mut String, bytes: &[u8]) {
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        // One for each byte, as in Go; `from_utf8_lossy` makes one of a sequence that is cut short.
        chunk.invalid().iter().for_each(|_| text.push(char::REPLACEMENT_CHARACTER));
    }
}
