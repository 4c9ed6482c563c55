//! Names in other scripts, as DNS and TLS have them: `bücher.test` is `xn--bcher-kva.test` (IDNA by UTS 46, as browsers
//! do it). A name that is ASCII stays as it is written.

use std::borrow::Cow;

use hickory_resolver::proto::rr::Name;
use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

use crate::config::problem::shorten;

/// What UTS 46 takes for a dot.
const DOTS: [char; 4] = ['.', '\u{3002}', '\u{ff0e}', '\u{ff61}'];
const LONGEST_LABEL: usize = 63;
/// Of a name as text, without the root's dot.
const LONGEST_NAME: usize = 253;

/// The name of a host in ASCII.
///
/// # Errors
/// A sentence that names the label at fault.
pub(super) fn host(text: &str) -> Result<Cow<'_, str>, String> {
    let ascii = ascii(text, AsciiDenyList::URL)?;
    let bare = ascii.strip_suffix('.').unwrap_or(&ascii);
    for (index, label) in bare.split('.').enumerate() {
        length(label.len(), text.split(DOTS).nth(index).unwrap_or(label), label)?;
    }
    if bare.len() > LONGEST_NAME {
        return Err(too_long(bare.len()));
    }
    match Name::from_str_relaxed(ascii.as_ref()) {
        Ok(_) => Ok(ascii),
        Err(error) => Err(format!("can be no name of a host: {error}")),
    }
}

fn ascii(text: &str, deny: AsciiDenyList) -> Result<Cow<'_, str>, String> {
    if text.is_ascii() {
        return Ok(Cow::Borrowed(text));
    }
    let mut whole = String::with_capacity(text.len() + 8);
    for (index, label) in text.split(DOTS).enumerate() {
        if index > 0 {
            whole.push('.');
        }
        if label.is_ascii() {
            whole.push_str(label);
            continue;
        }
        match Uts46::new().to_ascii(label.as_bytes(), deny, Hyphens::Allow, DnsLength::Ignore) {
            Ok(ascii) => whole.push_str(&ascii),
            Err(_) => {
                return Err(format!("has the label {:?}, which can be in no name (IDNA refuses it)", shorten(label)));
            }
        }
    }
    Ok(Cow::Owned(whole))
}

fn length(length: usize, written: &str, ascii: &str) -> Result<(), String> {
    if length == 0 {
        return Err("has an empty label; names have one dot between labels, and none at the start".to_owned());
    }
    if length <= LONGEST_LABEL {
        return Ok(());
    }
    let shown = shorten(written);
    let as_ascii = if written == ascii { String::new() } else { format!(" as {:?}", shorten(ascii)) };
    Err(format!("has the label {shown:?}, which is {length} bytes long{as_ascii}; at most {LONGEST_LABEL} are allowed"))
}

fn too_long(length: usize) -> String {
    format!("is a name of {length} bytes; at most {LONGEST_NAME} are allowed")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    /// Spelling -> its name in ASCII.
    pub(crate) const NAMES: &[(&str, &str)] = &[
        ("b\u{fc}cher.test", "xn--bcher-kva.test"),
        ("B\u{dc}CHER.Test", "xn--bcher-kva.Test"),
        ("bu\u{308}cher.test", "xn--bcher-kva.test"),
        ("stra\u{df}e.test", "xn--strae-oqa.test"),
        ("\u{4f8b}\u{3048}\u{3002}\u{30c6}\u{30b9}\u{30c8}", "xn--r8jz45g.xn--zckzah"),
        ("b\u{fc}cher\u{ff0e}test", "xn--bcher-kva.test"),
        ("b\u{fc}cher\u{ff61}test.", "xn--bcher-kva.test."),
        ("\u{ff57}\u{ff57}\u{ff57}.test", "www.test"),
        ("\u{1f4a9}.test", "xn--ls8h.test"),
        ("xn--bcher-kva.test", "xn--bcher-kva.test"),
        ("my_host.b\u{fc}cher.test", "my_host.xn--bcher-kva.test"),
        ("\u{5e9}\u{5dc}\u{5d5}\u{5dd}.test", "xn--9dbne9b.test"),
        ("MiXed.test.", "MiXed.test."),
    ];

    #[test]
    fn names_in_other_scripts_are_sent_in_ascii() {
        for (written, sent) in NAMES {
            assert_eq!(host(written).unwrap(), *sent, "{written}");
        }
    }

    #[test]
    fn names_that_cannot_be_are_refused_by_label() {
        let long = "x".repeat(64);
        let encoded = "\u{fc}".repeat(60);
        for (bad, part) in [
            ("good.\u{2f800}\u{fffd}.test", "can be in no name"),
            ("good.a\u{2060}\u{200d}b.test", "has the label"),
            ("a..test", "empty label"),
            (".test", "empty label"),
            ("b\u{fc}cher\u{3002}\u{3002}test", "empty label"),
            (&format!("good.{long}.test"), "64 bytes long"),
            (&format!("good.{encoded}.test"), " as \"xn--"),
        ] {
            let sentence = host(bad).unwrap_err();
            assert!(sentence.contains(part) && !sentence.contains("good"), "{bad}: {sentence}");
        }
        assert!(host(&"abcdefgh.".repeat(32)).unwrap_err().contains("287 bytes"));
        assert!(host("-.test").unwrap_err().contains("can be no name of a host"));
    }

    proptest! {
        #[test]
        fn any_text_is_a_name_or_refused(text in "\\PC{0,40}|[a-z\\\\0-9.*_\u{fc}\u{3002}-]{0,80}") {
            if let Ok(name) = host(&text) {
                prop_assert!(name.is_ascii());
            }
        }
    }
}
