//! What stands for one character of several.

use super::PatternError;
use super::translate::Parser;

/// A class without a member.
pub(super) const NOTHING: &str = r"[^\x{0}-\x{10ffff}]";

/// The names between `[:` and `:]`.
const POSIX: &[&str] = &[
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper", "word",
    "xdigit",
];

impl Parser<'_> {
    /// At `[`.
    pub(super) fn class(&mut self) -> Result<(), PatternError> {
        self.skip(1);
        self.in_class = true;
        self.traits.folds |= self.flags.fold;
        if self.flags.fold {
            self.out.push_str("(?i:");
        }
        let start = self.out.len();
        let negated = self.rest.starts_with('^');
        self.skip(usize::from(negated));
        self.traits.wild |= negated;
        self.out.push_str(if negated { "[^" } else { "[" });
        let members = self.out.len();
        let mut first = true;
        loop {
            match self.rest.chars().next() {
                None => return Err(PatternError::UnclosedClass),
                Some(']') if !first => break,
                Some('[') if self.rest.starts_with("[:") && self.posix()? => {}
                Some('\\') if self.escaped_class()? => {}
                Some(_) => self.range()?,
            }
            first = false;
        }
        self.skip(1);
        self.in_class = false;
        if self.out.len() == members {
            // Nothing but surrogates.
            self.out.truncate(start);
            self.out.push_str(if negated { r"[\x{0}-\x{10ffff}]" } else { NOTHING });
        } else {
            self.out.push(']');
        }
        if self.flags.fold {
            self.out.push(')');
        }
        Ok(())
    }

    /// At a character of a class, or at a range of them.
    fn range(&mut self) -> Result<(), PatternError> {
        let low = self.class_character()?;
        let mut high = low;
        // `[a-]` has a dash in it.
        if self.rest.len() >= 2 && self.rest.starts_with('-') && !self.rest.starts_with("-]") {
            self.skip(1);
            high = self.class_character()?;
        }
        if high < low {
            return Err(PatternError::ReversedRange);
        }
        // No text has surrogates, and the crate has no word for them.
        let low = if (0xd800..0xe000).contains(&low) { 0xe000 } else { low };
        let high = if (0xd800..0xe000).contains(&high) { 0xd7ff } else { high };
        self.traits.wild |= (low..=high).contains(&u32::from(char::REPLACEMENT_CHARACTER));
        if low <= high {
            self.push_code(low);
            if low < high {
                self.out.push('-');
                self.push_code(high);
            }
        }
        Ok(())
    }

    fn class_character(&mut self) -> Result<u32, PatternError> {
        let c = self.rest.chars().next().ok_or(PatternError::UnclosedClass)?;
        if c == '\\' {
            return self.escaped_character();
        }
        self.skip(c.len_utf8());
        Ok(u32::from(c))
    }

    /// At `[:`. Says no when that is no more than two characters.
    fn posix(&mut self) -> Result<bool, PatternError> {
        let here = self.rest;
        let Some(end) = here[2..].find(":]") else { return Ok(false) };
        let name = &here[..end + 4];
        let inner = &here[2..end + 2];
        if !POSIX.contains(&inner.strip_prefix('^').unwrap_or(inner)) {
            return Err(PatternError::Class(name.to_owned()));
        }
        // The crate has the same fourteen, and they are ASCII there too.
        self.out.push_str(name);
        self.traits.wild |= inner.starts_with('^');
        self.skip(name.len());
        Ok(true)
    }

    /// At a backslash: `\d`, `\pL`, `\p{Greek}`. Says no when it is something else.
    pub(super) fn escaped_class(&mut self) -> Result<bool, PatternError> {
        let class = match self.rest.as_bytes().get(1) {
            Some(b'd') => "[0-9]",
            Some(b'D') => "[^0-9]",
            Some(b'w') => "[0-9A-Za-z_]",
            Some(b'W') => "[^0-9A-Za-z_]",
            Some(b's') => r"[\t\n\f\r\x20]",
            Some(b'S') => r"[^\t\n\f\r\x20]",
            Some(b'p' | b'P') => return self.property().map(|()| true),
            Some(_) | None => return Ok(false),
        };
        self.skip(2);
        self.traits.wild |= class.starts_with("[^");
        self.push_folded(class);
        Ok(true)
    }

    fn property(&mut self) -> Result<(), PatternError> {
        let here = self.rest;
        let mut negated = here.starts_with("\\P");
        let name = &here[2..];
        let length = match name.chars().next() {
            Some('{') => name.find('}').map_or(name.len(), |end| end + 1),
            Some(c) => c.len_utf8(),
            None => 0,
        };
        let written = &here[..2 + length];
        let name = &name[..length];
        let name = match name.strip_prefix('{') {
            Some(name) => name.strip_suffix('}').ok_or_else(|| PatternError::Class(written.to_owned()))?,
            None => name,
        };
        let (name, inverted) = name.strip_prefix('^').map_or((name, false), |name| (name, true));
        negated ^= inverted;
        // The crate would take `sc=Greek` too.
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_- ".contains(&b)) {
            return Err(PatternError::Class(written.to_owned()));
        }
        self.skip(written.len());
        // It is a symbol (So).
        self.traits.wild = true;
        self.push_folded(&format!("\\{}{{{name}}}", if negated { 'P' } else { 'p' }));
        Ok(())
    }

    /// Inside `[...]` the flag stands around the whole.
    fn push_folded(&mut self, class: &str) {
        self.traits.folds |= self.flags.fold;
        if self.flags.fold && !self.in_class {
            self.out.push_str("(?i:");
            self.out.push_str(class);
            self.out.push(')');
        } else {
            self.out.push_str(class);
        }
    }
}
