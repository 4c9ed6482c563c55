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

/// A pattern of names, in which a star stands for anything, in ASCII; what cannot be stays as it is.
pub(super) fn pattern(text: &str) -> Cow<'_, str> {
    ascii(text, AsciiDenyList::EMPTY).unwrap_or(Cow::Borrowed(text))
}

/// A list such as `no_proxy` has, of hosts, domains and `host:port`, in ASCII; what cannot be stays as it is.
pub(super) fn list(text: &str) -> String {
    let entry = |entry: &str| authority(entry).map_or_else(|_| entry.to_owned(), Cow::into_owned);
    text.split(',').map(|text| entry(text.trim())).collect::<Vec<_>>().join(",")
}

/// A host or `host:port`, as a Host header and a TLS name have it, in ASCII.
///
/// # Errors
/// A sentence that names the label at fault.
pub(crate) fn authority(text: &str) -> Result<Cow<'_, str>, String> {
    match text.rsplit_once(':') {
        Some((host, port)) if !text.is_ascii() && port.bytes().all(|byte| byte.is_ascii_digit()) => {
            Ok(format!("{}:{port}", ascii(host, AsciiDenyList::EMPTY)?).into())
        }
        Some(_) | None => ascii(text, AsciiDenyList::EMPTY),
    }
}

/// The value of a Host header: a host or `host:port`, in ASCII.
///
/// # Errors
/// A sentence on what is none.
pub(super) fn host_header(text: &str) -> Result<String, String> {
    let text = text.trim();
    let ascii = authority(text).map_err(|what| format!("{:?} {what}", shorten(text)))?;
    if ascii.is_empty() || ascii.contains(|c: char| c.is_whitespace() || "/@?#".contains(c)) {
        return Err(format!("{:?} is not a host or host:port", shorten(text)));
    }
    Ok(ascii.into_owned())
}

/// A name to ask a DNS server for: any bytes but for the length of labels, with `\.` and `\ddd` as in zone files.
///
/// # Errors
/// A sentence that names the label at fault.
pub(super) fn dns(text: &str) -> Result<Name, String> {
    if text == "." {
        return Ok(Name::root());
    }
    let mut labels: Vec<Vec<u8>> = Vec::new();
    let written = split_escaped(text)?;
    for (written, bytes) in &written {
        match std::str::from_utf8(bytes) {
            Ok(label) if !label.is_ascii() => {
                let ascii = ascii(label, AsciiDenyList::EMPTY)?;
                for part in ascii.split('.') {
                    length(part.len(), written, part)?;
                    labels.push(part.as_bytes().to_vec());
                }
            }
            Ok(_) | Err(_) => {
                length(bytes.len(), written, written)?;
                labels.push(bytes.clone());
            }
        }
    }
    let mut name =
        Name::from_labels(labels.iter().map(Vec::as_slice)).map_err(|error| format!("can be no DNS name: {error}"))?;
    name.set_fqdn(true);
    Ok(name)
}

/// Each label as it is written and as bytes, without the root's.
fn split_escaped(text: &str) -> Result<Vec<(String, Vec<u8>)>, String> {
    let dots: &[char] = if text.is_ascii() { &DOTS[..1] } else { &DOTS };
    let mut labels = vec![(String::new(), Vec::new())];
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if dots.contains(&c) {
            labels.push((String::new(), Vec::new()));
            continue;
        }
        let Some((written, bytes)) = labels.last_mut() else { break };
        written.push(c);
        if c != '\\' {
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        let rest = chars.as_str();
        let number = rest.get(..3).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()));
        if let Some(digits) = number {
            let byte = digits.parse::<u8>().map_err(|_| {
                format!("has the escape \\{digits}, which is no byte; \\000 to \\255 are, as in a zone file")
            })?;
            written.push_str(digits);
            bytes.push(byte);
            chars = rest[3..].chars();
        } else if let Some(next) = chars.next() {
            written.push(next);
            bytes.extend_from_slice(next.encode_utf8(&mut [0; 4]).as_bytes());
        } else {
            return Err("ends in a backslash, which escapes nothing".to_owned());
        }
    }
    if labels.len() > 1 && labels.last().is_some_and(|(written, _)| written.is_empty()) {
        labels.pop();
    }
    Ok(labels)
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
    const NAMES: &[(&str, &str)] = &[
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
            let absolute = format!("{}.", sent.strip_suffix('.').unwrap_or(sent));
            assert_eq!(dns(written).unwrap().to_ascii(), absolute, "{written}");
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
            for sentence in [host(bad).unwrap_err(), dns(bad).unwrap_err()] {
                assert!(sentence.contains(part) && !sentence.contains("good"), "{bad}: {sentence}");
            }
        }
        assert!(host(&"abcdefgh.".repeat(32)).unwrap_err().contains("287 bytes"));
        assert!(dns(&"abcdefgh.".repeat(32)).is_err());
        assert!(host("-.test").unwrap_err().contains("can be no name of a host"));
    }

    #[test]
    fn dns_names_have_more_characters_than_hosts() {
        for (written, sent) in [
            ("*.b\u{fc}cher.test", "*.xn--bcher-kva.test."),
            ("_dmarc.b\u{fc}cher.test", "_dmarc.xn--bcher-kva.test."),
            ("_443._tcp.example.com", "_443._tcp.example.com."),
            ("dis_allowed_.test", "dis_allowed_.test."),
            (".", "."),
            ("test.", "test."),
        ] {
            assert_eq!(dns(written).unwrap().to_ascii(), sent, "{written}");
        }
        let labels = |text: &str| dns(text).unwrap().iter().map(<[u8]>::to_vec).collect::<Vec<_>>();
        assert_eq!(labels("a\\.b.test"), [b"a.b".to_vec(), b"test".to_vec()]);
        assert_eq!(labels("a\\032b.-x.test"), [b"a b".to_vec(), b"-x".to_vec(), b"test".to_vec()]);
        assert!(dns("a\\").unwrap_err().contains("backslash"));
        assert!(dns("a\\999").unwrap_err().contains("\\999"));
    }

    #[test]
    fn ports_and_stars_stay_beside_a_name() {
        for (written, sent) in [
            ("b\u{fc}cher.test", "xn--bcher-kva.test"),
            ("b\u{fc}cher.test:8080", "xn--bcher-kva.test:8080"),
            ("b\u{fc}cher:8080", "xn--bcher-kva:8080"),
            ("[::1]:80", "[::1]:80"),
            ("Host.Test", "Host.Test"),
        ] {
            assert_eq!(authority(written).unwrap(), sent, "{written}");
        }
        assert!(authority("good.\u{fffd}:80").unwrap_err().contains("has the label"));
        assert_eq!(pattern("*.b\u{fc}cher.test"), "*.xn--bcher-kva.test");
        assert_eq!(
            list("10.0.0.0/8, .b\u{fc}cher.test,b\u{fc}cher:80,*"),
            "10.0.0.0/8,.xn--bcher-kva.test,xn--bcher-kva:80,*"
        );
    }

    proptest! {
        #[test]
        fn any_text_is_a_name_or_refused(text in "\\PC{0,40}|[a-z\\\\0-9.*_\u{fc}\u{3002}-]{0,80}") {
            if let Ok(name) = host(&text) {
                prop_assert!(name.is_ascii());
            }
            let _ = (dns(&text), pattern(&text), authority(&text), list(&text));
        }
    }
}
