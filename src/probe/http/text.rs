//! The text that a body is: in the charset that it declares, unless it is UTF-8 anyway. And what can be said for certain
//! of a body in which a rule found nothing.
//!
//! The charset is looked for where browsers look: a byte order mark, `Content-Type`, then the first bytes of the
//! document (`<meta>`, and the XML declaration). Nothing is guessed from the bytes.

use encoding_rs::{Encoding, ISO_2022_JP, UTF_8, UTF_16BE, UTF_16LE};
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};

use super::body::Whole;
use crate::config::HttpSettings;
use crate::config::http::Compression;

/// How far into a document its charset is looked for: the HTML standard's number.
const PRESCAN: usize = 1024;
/// Longest name of a charset that is worth showing.
const LABEL: usize = 40;

/// What the head of the answer says of the body.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    /// Of `Content-Type`.
    charset: Option<String>,
    /// `Content-Encoding`: the last one, which was put on last.
    coding: Option<String>,
}

impl Told {
    pub(super) fn by(headers: &HeaderMap) -> Self {
        let text = |name| headers.get_all(name).iter().next_back().and_then(|value| value.to_str().ok());
        let coding = text(CONTENT_ENCODING).and_then(|codings| codings.rsplit(',').next());
        Self {
            charset: text(CONTENT_TYPE).and_then(charset_parameter),
            coding: coding.map(|coding| coding.trim().to_ascii_lowercase()),
        }
    }
}

/// A body, ready for the rules.
#[derive(Debug)]
pub(super) struct Text {
    pub(super) bytes: Vec<u8>,
    pub(super) is_ascii: bool,
    reading: Reading,
}

#[derive(Debug, PartialEq)]
enum Reading {
    AsItCame,
    Decoded(&'static Encoding),
    /// `decode_charset` is off.
    NotDecoded(&'static Encoding),
    /// The charset has a name that is none.
    Unknown(String),
    Packed(Packing),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Packing {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

impl Text {
    pub(super) fn of(settings: &HttpSettings, told: &Told, body: Whole) -> Self {
        let Whole { bytes, is_ascii } = body;
        let as_it_came = |bytes, reading| Self { bytes, is_ascii, reading };
        if let Some(packing) = packing(settings, told, &bytes) {
            return as_it_came(bytes, Reading::Packed(packing));
        }
        let (encoding, mark) = match declared(told, &bytes) {
            Declared::Known(encoding, mark) => (encoding, mark),
            Declared::Nothing => return as_it_came(bytes, Reading::AsItCame),
            Declared::Unknown(label) => return as_it_came(bytes, Reading::Unknown(label)),
        };
        if !is_needed(encoding, mark, is_ascii, &bytes) {
            return as_it_came(bytes, Reading::AsItCame);
        }
        if !settings.decode_charset {
            return as_it_came(bytes, Reading::NotDecoded(encoding));
        }
        let (text, _) = encoding.decode_without_bom_handling(bytes.get(mark..).unwrap_or_default());
        let bytes = text.into_owned().into_bytes();
        Self { is_ascii: bytes.is_ascii(), bytes, reading: Reading::Decoded(encoding) }
    }

    fn is_utf8(&self) -> bool {
        self.is_ascii || std::str::from_utf8(&self.bytes).is_ok()
    }

    /// For the end of a sentence that says that a rule found nothing; empty when there is nothing to say.
    pub(super) fn remark(&self) -> String {
        match &self.reading {
            Reading::AsItCame if self.bytes.is_empty() => "; the body is empty".to_owned(),
            Reading::AsItCame | Reading::Unknown(_) if self.is_utf8() => String::new(),
            Reading::AsItCame => "; the body is not UTF-8, and names no other charset".to_owned(),
            Reading::Unknown(label) => format!("; the body is not UTF-8, and its charset {label:?} is not known"),
            Reading::Decoded(encoding) => format!("; the body was read as {}, which it says it is", encoding.name()),
            Reading::NotDecoded(encoding) => {
                format!("; the body is {}, and decode_charset is false", encoding.name())
            }
            Reading::Packed(packing) => {
                let what = match packing {
                    Packing::Gzip => "gzip; set compression: gzip",
                    Packing::Deflate => "deflate; set compression: deflate",
                    Packing::Brotli => "br; set compression: br",
                    Packing::Zstd => "zstd, which no compression unpacks; ask for another one by Accept-Encoding",
                };
                format!("; the body is {what}")
            }
        }
    }
}

/// What the body is packed with although nobody set `compression`: by its first bytes, or by what the server says of
/// bytes that are no text.
fn packing(settings: &HttpSettings, told: &Told, body: &[u8]) -> Option<Packing> {
    match settings.compression {
        None | Some(Compression::Identity) => {}
        Some(Compression::Gzip | Compression::Brotli | Compression::Deflate) => return None,
    }
    if body.starts_with(b"\x1f\x8b\x08") {
        return Some(Packing::Gzip);
    }
    if body.starts_with(b"\x28\xb5\x2f\xfd") {
        return Some(Packing::Zstd);
    }
    let packing = match told.coding.as_deref()? {
        "br" => Packing::Brotli,
        "deflate" => Packing::Deflate,
        _ => return None,
    };
    std::str::from_utf8(body).is_err().then_some(packing)
}

enum Declared {
    /// And the length of the byte order mark.
    Known(&'static Encoding, usize),
    Unknown(String),
    Nothing,
}

fn declared(told: &Told, body: &[u8]) -> Declared {
    if let Some((encoding, mark)) = Encoding::for_bom(body) {
        return Declared::Known(encoding, mark);
    }
    if let Some(label) = &told.charset {
        let declared = named(label);
        let wide = matches!(declared, Declared::Known(encoding, _) if encoding == UTF_16LE);
        let is_big = wide && label.trim().eq_ignore_ascii_case("utf-16") && body.first() == Some(&0);
        return if is_big { Declared::Known(UTF_16BE, 0) } else { declared };
    }
    // An XML declaration in UTF-16 (XML 1.0, appendix F).
    if body.starts_with(b"<\0?\0") {
        return Declared::Known(UTF_16LE, 0);
    }
    if body.starts_with(b"\0<\0?") {
        return Declared::Known(UTF_16BE, 0);
    }
    let Some(label) = inside(&body[..body.len().min(PRESCAN)]) else { return Declared::Nothing };
    match named(&label) {
        // Bytes in which the word could be read are not UTF-16: the HTML standard takes them for UTF-8.
        Declared::Known(encoding, _) if encoding == UTF_16LE || encoding == UTF_16BE => Declared::Known(UTF_8, 0),
        declared @ (Declared::Known(..) | Declared::Unknown(_) | Declared::Nothing) => declared,
    }
}

fn named(label: &str) -> Declared {
    match Encoding::for_label_no_replacement(label.as_bytes()) {
        Some(encoding) => Declared::Known(encoding, 0),
        None => Declared::Unknown(label.chars().take(LABEL).collect()),
    }
}

/// Whether the bytes are another text than they would be as UTF-8.
fn is_needed(encoding: &'static Encoding, mark: usize, is_ascii: bool, body: &[u8]) -> bool {
    let is_utf8 = || is_ascii || std::str::from_utf8(body).is_ok();
    if encoding == UTF_8 {
        false
    } else if encoding == UTF_16LE || encoding == UTF_16BE {
        // ASCII in UTF-16 is UTF-8 with zeros in it. Without them, the name is wrong rather than the bytes.
        mark > 0 || body.contains(&0) || !is_utf8()
    } else if encoding == ISO_2022_JP {
        // This one is ASCII with escapes.
        body.contains(&0x1b) || !is_utf8()
    } else {
        !is_utf8()
    }
}

/// The `charset` of a Content-Type.
fn charset_parameter(content_type: &str) -> Option<String> {
    content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let value = value.trim().trim_matches(['"', '\'']).trim();
        (name.trim().eq_ignore_ascii_case("charset") && !value.is_empty()).then(|| value.to_owned())
    })
}

/// The charset that a document names itself: `<meta charset=..>`, `<meta http-equiv=.. content="..; charset=..">`,
/// `<?xml encoding=".."?>`.
fn inside(head: &[u8]) -> Option<String> {
    // Other bytes than ASCII are of no interest, and what replaces them ends no name.
    let head: String = head.iter().map(|&byte| if byte.is_ascii() { char::from(byte) } else { '?' }).collect();
    let head = head.to_ascii_lowercase();
    let document = head.trim_start();
    if let Some(declaration) = document.strip_prefix("<?xml").and_then(|rest| rest.split_once("?>")) {
        return after_word(declaration.0, "encoding");
    }
    let mut rest = document;
    loop {
        let tag = rest.find('<')?;
        rest = &rest[tag..];
        if rest.starts_with("<!--") {
            rest = &rest[4..];
            rest = &rest[rest.find("-->")? + 3..];
            continue;
        }
        rest = &rest[1..];
        let Some(attributes) = rest.strip_prefix("meta") else { continue };
        if !attributes.starts_with(|c: char| c.is_ascii_whitespace() || c == '/') {
            continue;
        }
        let attributes = attributes.split_once('>').map_or(attributes, |(attributes, _)| attributes);
        if let Some(label) = after_word(attributes, "charset") {
            return Some(label);
        }
    }
}

/// The value after `word=`, quoted or not.
fn after_word(text: &str, word: &str) -> Option<String> {
    text.match_indices(word).find_map(|(at, _)| {
        // `data-charset` is another word.
        if text[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '-') {
            return None;
        }
        let value = text[at + word.len()..].trim_start().strip_prefix('=')?.trim_start();
        let value = match value.chars().next()? {
            quote @ ('"' | '\'') => value[1..].split(quote).next()?,
            _ => value.split(|c: char| c.is_ascii_whitespace() || ";/>\"'".contains(c)).next()?,
        };
        let value = value.trim();
        (!value.is_empty()).then(|| value.to_owned())
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use encoding_rs::{EUC_KR, GBK, SHIFT_JIS, WINDOWS_1252};
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::super::testing::settings;
    use super::*;

    fn told(content_type: &str, coding: &str) -> Told {
        let mut headers = HeaderMap::new();
        for (name, value) in [(CONTENT_TYPE, content_type), (CONTENT_ENCODING, coding)] {
            if !value.is_empty() {
                headers.insert(name, HeaderValue::from_str(value).unwrap());
            }
        }
        Told::by(&headers)
    }

    fn whole(body: &[u8]) -> Whole {
        Whole { bytes: body.to_vec(), is_ascii: body.is_ascii() }
    }

    fn read(content_type: &str, body: &[u8]) -> (Vec<u8>, Reading) {
        let text = Text::of(&settings(), &told(content_type, ""), whole(body));
        assert_eq!(text.is_ascii, text.bytes.is_ascii());
        (text.bytes, text.reading)
    }

    fn utf16(text: &str, to_bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(to_bytes).collect()
    }

    #[test]
    fn a_body_is_read_in_the_charset_that_it_declares() {
        let little = |text| utf16(text, u16::to_le_bytes);
        let big = |text| utf16(text, u16::to_be_bytes);
        for (content_type, body, encoding, text) in [
            ("text/html; charset=ISO-8859-1", b"Stra\xdfe".to_vec(), WINDOWS_1252, "Straße"),
            ("text/html;level=1; Charset=\"latin1\"", b"Stra\xdfe \x80".to_vec(), WINDOWS_1252, "Straße €"),
            ("text/plain; charset=gb2312", b"\xc4\xe3\xba\xc3".to_vec(), GBK, "你好"),
            ("text/plain; charset=Shift_JIS", b"\x93\xfa\x96\x7b".to_vec(), SHIFT_JIS, "日本"),
            ("text/plain; charset=euc-kr", b"\xc7\xd1\xb1\xdb".to_vec(), EUC_KR, "한글"),
            ("text/plain; charset=iso-2022-jp", b"\x1b$BF|K\\\x1b(B".to_vec(), ISO_2022_JP, "日本"),
            ("", b"<html><!-- <meta charset=gbk> --><META charset='iso-8859-1'>\xe9".to_vec(), WINDOWS_1252, ""),
            (
                "text/html",
                b"<meta http-equiv=Content-Type content=\"text/html; charset=gbk\">\xc4\xe3".to_vec(),
                GBK,
                "",
            ),
            (
                "text/html",
                b"<meta name=x><metal charset=x><meta data-charset=x charset = gbk />\xc4\xe3".to_vec(),
                GBK,
                "",
            ),
            ("text/xml", b" <?xml version='1.0' encoding='Shift_JIS'?><a>\x93\xfa</a>".to_vec(), SHIFT_JIS, ""),
            ("", [b"\xff\xfe".to_vec(), little("ok ü")].concat(), UTF_16LE, "ok ü"),
            ("text/html; charset=gbk", [b"\xfe\xff".to_vec(), big("ok ü")].concat(), UTF_16BE, "ok ü"),
            ("text/plain; charset=utf-16le", little("ok"), UTF_16LE, "ok"),
            ("text/plain; charset=utf-16", big("ok"), UTF_16BE, "ok"),
            ("text/xml", big("<?xml version='1.0'?>"), UTF_16BE, "<?xml version='1.0'?>"),
            ("application/json; charset=utf-16", little("{\"a\": 1}"), UTF_16LE, "{\"a\": 1}"),
        ] {
            let (bytes, reading) = read(content_type, &body);
            assert_eq!(reading, Reading::Decoded(encoding), "{content_type} {body:?}");
            let bytes = String::from_utf8(bytes).unwrap();
            if text.is_empty() {
                assert!(!bytes.contains('\u{fffd}') && !bytes.is_ascii(), "{bytes}");
            } else {
                assert_eq!(bytes, text);
            }
        }
    }

    #[test]
    fn what_is_utf8_anyway_or_says_nothing_stays_as_it_came() {
        let with_mark = "\u{feff}Straße";
        for (content_type, body, reading) in [
            ("text/html; charset=iso-8859-1", "Straße".as_bytes(), Reading::AsItCame),
            ("text/html; charset=utf-16", b"plain", Reading::AsItCame),
            ("text/html; charset=utf-8", b"Stra\xdfe", Reading::AsItCame),
            ("text/html; charset=gbk", with_mark.as_bytes(), Reading::AsItCame),
            ("text/html", b"<meta charset=utf-16>\xdf", Reading::AsItCame),
            ("text/html; charset=iso-2022-jp", b"plain", Reading::AsItCame),
            ("text/html", b"Stra\xdfe", Reading::AsItCame),
            ("image/png", b"\x89PNG\r\n\x1a\n", Reading::AsItCame),
            ("text/html; charset=klingon", b"Stra\xdfe", Reading::Unknown("klingon".to_owned())),
            ("text/html; charset=klingon", b"plain", Reading::Unknown("klingon".to_owned())),
            ("text/html", b"<meta charset=hz-gb-2312>\xdf", Reading::Unknown("hz-gb-2312".to_owned())),
            ("", b"", Reading::AsItCame),
        ] {
            let (bytes, found) = read(content_type, body);
            assert_eq!((&bytes[..], found), (body, reading), "{content_type}");
        }
        // Beyond the first bytes nobody looks.
        let far = [" ".repeat(PRESCAN).as_bytes(), b"<meta charset=gbk>\xc4\xe3"].concat();
        assert_eq!(read("text/html", &far).1, Reading::AsItCame);
    }

    #[test]
    fn a_body_packed_unasked_is_named() {
        let named = |coding: &str, body: &[u8]| {
            Text::of(&settings(), &told("text/html; charset=latin1", coding), whole(body)).remark()
        };
        assert_eq!(named("", b"\x1f\x8b\x08\0\0"), "; the body is gzip; set compression: gzip");
        assert_eq!(named("br", b"\x0b\x02\x80\xff"), "; the body is br; set compression: br");
        assert_eq!(named("gzip, deflate", b"\x78\x9c\xcb"), "; the body is deflate; set compression: deflate");
        let zstd = "; the body is zstd, which no compression unpacks; ask for another one by Accept-Encoding";
        assert_eq!(named("zstd", b"\x28\xb5\x2f\xfd\0"), zstd);
        // The server says so, and it is not.
        assert_eq!(named("br", b"plain"), "");
        assert_eq!(named("gzip", b""), "; the body is empty");
        let unpacked = HttpSettings { compression: Some(Compression::Brotli), ..settings() };
        let text = Text::of(&unpacked, &told("", "br"), whole(b"\xff"));
        assert_eq!(text.reading, Reading::AsItCame);
    }

    #[test]
    fn what_could_not_be_text_is_said() {
        let remark = |content_type, body: &[u8]| Text::of(&settings(), &told(content_type, ""), whole(body)).remark();
        assert_eq!(remark("image/png", b"\x89PNG"), "; the body is not UTF-8, and names no other charset");
        let unknown = "; the body is not UTF-8, and its charset \"klingon\" is not known";
        assert_eq!(remark("text/html; charset=klingon", b"Stra\xdfe"), unknown);
        for plain in [&b"plain"[..], "Straße".as_bytes()] {
            assert_eq!(remark("text/html; charset=klingon", plain), "");
        }
    }

    #[test]
    fn decoding_can_be_turned_off() {
        let settings = HttpSettings { decode_charset: false, ..settings() };
        let text = Text::of(&settings, &told("text/html; charset=gbk", ""), whole(b"\xc4\xe3"));
        assert_eq!(text.bytes, b"\xc4\xe3");
        assert_eq!(text.remark(), "; the body is GBK, and decode_charset is false");
    }

    proptest! {
        #[test]
        fn any_head_and_bytes_are_survived(
            content_type in "[ -~]{0,30}|text/html; ?charset=[ -~]{0,12}",
            head in r#"(<\?xml ?|<meta ?|<!--|charset ?=|encoding=|["'/> a-z=é;-]){0,12}"#,
            bytes in proptest::collection::vec(any::<u8>(), 0..20),
        ) {
            let body = [head.as_bytes(), &bytes].concat();
            let (read, reading) = read(&content_type, &body);
            if !matches!(reading, Reading::Decoded(_)) {
                prop_assert_eq!(read, body);
            }
        }
    }
}
