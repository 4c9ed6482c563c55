//! Bytes as Go's `regexp` looks at them.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::ops::Range;

/// What patterns are matched on: the text that the bytes are, with U+FFFD for each byte that belongs to no character.
/// Go decodes so while it matches. Here it is done once for all patterns, and only when one of them has to know.
#[derive(Clone, Debug)]
pub struct Subject<'b> {
    bytes: &'b [u8],
    is_ascii: OnceCell<bool>,
    /// `None` is text as it is.
    replaced: OnceCell<Option<String>>,
}

impl<'b> Subject<'b> {
    pub fn new(bytes: &'b [u8]) -> Self {
        Self { bytes, is_ascii: OnceCell::new(), replaced: OnceCell::new() }
    }

    /// Of bytes that are ASCII, or may be something else, as the caller found when they came.
    pub fn known(bytes: &'b [u8], is_ascii: bool) -> Self {
        Self { is_ascii: OnceCell::from(is_ascii), ..Self::new(bytes) }
    }

    pub(in crate::config) fn as_bytes(&self) -> &'b [u8] {
        self.bytes
    }

    pub(in crate::config) fn is_ascii(&self) -> bool {
        *self.is_ascii.get_or_init(|| self.bytes.is_ascii())
    }

    /// The text, where it is another one than the bytes.
    pub(in crate::config) fn replaced(&self) -> Option<&str> {
        let replaced = self.replaced.get_or_init(|| match std::str::from_utf8(self.bytes) {
            Ok(_) => None,
            Err(_) => Some(replaced(self.bytes)),
        });
        replaced.as_deref()
    }

    pub(in crate::config) fn text(&self) -> Cow<'_, str> {
        match self.replaced() {
            Some(text) => Cow::Borrowed(text),
            // Valid, so that nothing is copied.
            None => String::from_utf8_lossy(self.bytes),
        }
    }

    /// The bytes that a part of the text stands for.
    pub(in crate::config) fn bytes(&self, part: Range<usize>) -> &'b [u8] {
        let range = match self.replaced() {
            None => part,
            Some(_) => self.place(part.start)..self.place(part.end),
        };
        self.bytes.get(range).unwrap_or_default()
    }

    /// Where in the bytes this place of the text is.
    fn place(&self, wanted: usize) -> usize {
        let (mut text, mut bytes) = (0, 0);
        for chunk in self.bytes.utf8_chunks() {
            let valid = chunk.valid().len();
            if wanted <= text + valid {
                break;
            }
            text += valid;
            bytes += valid;
            for _ in chunk.invalid() {
                if wanted <= text {
                    return bytes;
                }
                text += char::REPLACEMENT_CHARACTER.len_utf8();
                bytes += 1;
            }
        }
        bytes + (wanted - text)
    }
}

/// Every byte by itself: `String::from_utf8_lossy` makes one character of a sequence that is cut short.
fn replaced(bytes: &[u8]) -> String {
    let broken: usize = bytes.utf8_chunks().map(|chunk| chunk.invalid().len()).sum();
    // The size is known, so that a large body is not copied on the way.
    let mut text = String::with_capacity(bytes.len() + 2 * broken);
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        chunk.invalid().iter().for_each(|_| text.push(char::REPLACEMENT_CHARACTER));
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_byte_that_is_no_character_is_one() {
        for (bytes, text) in [
            (&b"plain"[..], "plain"),
            ("Zur\u{fc}ck".as_bytes(), "Zur\u{fc}ck"),
            (b"Zur\xfcck", "Zur\u{fffd}ck"),
            // Cut short: one for each, where from_utf8_lossy makes one of both.
            (b"\xe6\x97", "\u{fffd}\u{fffd}"),
            // A surrogate, and a slash in two bytes.
            (b"\xed\xa0\x80", "\u{fffd}\u{fffd}\u{fffd}"),
            (b"\xc0\xaf", "\u{fffd}\u{fffd}"),
        ] {
            assert_eq!(Subject::new(bytes).text(), text, "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn a_part_of_the_text_is_the_bytes_it_came_from(
            bytes in proptest::collection::vec(prop_oneof![0x41_u8..0x43, Just(0xc3), Just(0xbc), Just(0xe6), any::<u8>()], 0..12),
        ) {
            let subject = Subject::new(&bytes);
            let mut joined = Vec::new();
            let text = subject.text();
            for (start, c) in text.char_indices() {
                let part = subject.bytes(start..start + c.len_utf8());
                prop_assert!(c == char::REPLACEMENT_CHARACTER || part == c.to_string().as_bytes());
                prop_assert!(!part.is_empty());
                joined.extend_from_slice(part);
            }
            prop_assert_eq!(subject.bytes(0..text.len()), &bytes[..]);
            prop_assert_eq!(joined, bytes);
        }
    }
}
