//! RE2's dialect of regular expressions, in which blackbox_exporter's modules are written, put into the dialect of the
//! `regex` crate. They differ in what users do write: `{"status":"up"}` (a brace that repeats nothing is a brace),
//! `[\w-.]`, `[^[]`, `\Q...\E`, octal escapes, `\<`, and `\s` without the vertical tab.

/// Which classes `\d`, `\w` and `\s` are to be in the translation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// The result is compiled with Unicode off: on bytes, fastest, and ASCII classes as in RE2.
    Bytes,
    /// The result is compiled with Unicode on, for `\p{Greek}` and `[é]`; the classes are spelled out in ASCII.
    Runes,
}

/// `pattern` in the regex crate's dialect.
pub(super) fn translate(pattern: &str, mode: Mode) -> String {
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        rest = match c {
            '\\' => escape(after, mode, Within::Pattern, &mut out),
            '[' => class(after, mode, &mut out),
            '{' if !is_repetition(after) => {
                out.push_str("\\{");
                after
            }
            _ => {
                out.push(c);
                after
            }
        };
    }
    out
}

/// `pattern` as Prometheus compiles it for relabelling: on text, matched from end to end, a dot for line breaks too.
///
/// # Errors
/// The regex crate's reason.
pub(crate) fn anchored(pattern: &str) -> Result<regex::Regex, String> {
    // Put together as text, as there: `a)|(b` is a pattern, if an odd one.
    regex::Regex::new(&format!("^(?s:{})$", translate(pattern, Mode::Runes)))
        .map_err(|error| super::resolve::regex_reason(&error))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Within {
    Pattern,
    Class,
}

/// After a backslash; gives what follows the escape.
fn escape<'p>(rest: &'p str, mode: Mode, within: Within, out: &mut String) -> &'p str {
    let Some(c) = rest.chars().next() else {
        out.push('\\');
        return rest;
    };
    let after = &rest[c.len_utf8()..];
    match (c, within, mode) {
        ('Q', Within::Pattern, _) => {
            let (literal, after) = after.split_once("\\E").unwrap_or((after, ""));
            out.push_str(&regex::escape(literal));
            return after;
        }
        ('0'..='7', _, _) => {
            let digits = rest.bytes().take(3).take_while(|b| (b'0'..=b'7').contains(b)).count();
            // A single digit but zero would be a back reference, which RE2 has not; the regex crate says so too.
            if c != '0' && digits < 2 {
                out.push('\\');
                out.push(c);
                return after;
            }
            if let Ok(code) = u32::from_str_radix(&rest[..digits], 8) {
                out.push_str(&format!("\\x{{{code:x}}}"));
            }
            return &rest[digits..];
        }
        ('x', _, _) if after.len() >= 2 && after.as_bytes()[..2].iter().all(u8::is_ascii_hexdigit) => {
            // `\xff` is a code point in RE2, but a byte to the regex crate with Unicode off.
            out.push_str(&format!("\\x{{{}}}", &after[..2]));
            return &after[2..];
        }
        ('p' | 'P' | 'x', _, _) if after.starts_with('{') => {
            let end = after.find('}').map_or(after.len(), |close| close + 1);
            out.push('\\');
            out.push(c);
            out.push_str(&after[..end]);
            return &after[end..];
        }
        ('<' | '>', _, _) => out.push(c),
        ('s', Within::Class, _) => out.push_str("\\t\\n\\f\\r\\x20"),
        ('s', Within::Pattern, _) => out.push_str("[\\t\\n\\f\\r\\x20]"),
        ('S', _, _) => out.push_str("[^\\t\\n\\f\\r\\x20]"),
        ('d', Within::Class, Mode::Runes) => out.push_str("0-9"),
        ('d', Within::Pattern, Mode::Runes) => out.push_str("[0-9]"),
        ('D', _, Mode::Runes) => out.push_str("[^0-9]"),
        ('w', Within::Class, Mode::Runes) => out.push_str("0-9A-Za-z_"),
        ('w', Within::Pattern, Mode::Runes) => out.push_str("[0-9A-Za-z_]"),
        ('W', _, Mode::Runes) => out.push_str("[^0-9A-Za-z_]"),
        ('b', Within::Pattern, Mode::Runes) => out.push_str("(?-u:\\b)"),
        ('B', Within::Pattern, Mode::Runes) => out.push_str("(?-u:\\B)"),
        _ => {
            out.push('\\');
            out.push(c);
        }
    }
    after
}

/// After `[`; gives what follows the class.
fn class<'p>(mut rest: &'p str, mode: Mode, out: &mut String) -> &'p str {
    out.push('[');
    if let Some(after) = rest.strip_prefix('^') {
        out.push('^');
        rest = after;
    }
    if let Some(after) = rest.strip_prefix(']') {
        out.push_str("\\]");
        rest = after;
    }
    // A dash after a whole class, or after another dash, is a dash; the regex crate would see a range or a difference.
    let mut dash_is_plain = false;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        let mut ends_class = false;
        rest = match c {
            ']' => {
                out.push(']');
                return after;
            }
            '\\' => {
                ends_class = after.starts_with(['d', 'D', 'w', 'W', 's', 'S', 'p', 'P']);
                escape(after, mode, Within::Class, out)
            }
            '[' => match posix_class(rest) {
                Some((name, after)) => {
                    out.push_str(name);
                    ends_class = true;
                    after
                }
                None => {
                    out.push_str("\\[");
                    after
                }
            },
            '&' | '~' => {
                out.push('\\');
                out.push(c);
                after
            }
            '-' if dash_is_plain || out.ends_with('-') => {
                out.push_str("\\-");
                after
            }
            _ => {
                out.push(c);
                after
            }
        };
        dash_is_plain = ends_class;
    }
    rest
}

/// `[:alpha:]` at the beginning of `rest`.
fn posix_class(rest: &str) -> Option<(&str, &str)> {
    let end = rest.strip_prefix("[:")?.find(":]")? + 4;
    let name = &rest[2..end - 2];
    let name = name.strip_prefix('^').unwrap_or(name);
    (!name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase())).then(|| rest.split_at(end))
}

/// Whether `{` before `rest` opens `{2}`, `{2,}` or `{2,3}`.
fn is_repetition(rest: &str) -> bool {
    let Some((inside, _)) = rest.split_once('}') else { return false };
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match inside.split_once(',') {
        None => number(inside),
        Some((least, most)) => number(least) && (most.is_empty() || number(most)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::super::Pattern;

    fn matches(pattern: &str, text: &str) -> bool {
        Pattern::new(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}")).is_match(text.as_bytes())
    }

    #[test]
    fn patterns_that_go_accepts_mean_the_same() {
        for (pattern, yes, no) in [
            (r#"{"status":"up"}"#, r#"{"status":"up"}"#, r#"{"status":"down"}"#),
            (r#""a":{"b":[1-3]{2}}"#, r#""a":{"b":12}"#, r#""a":{"b":1}"#),
            (r"a{,3}", "a{,3}", "aaa"),
            (r"^a{2,3}$", "aaa", "a"),
            (r"^[\w-.]+@$", "a-b.c@", "a b@"),
            (r"^[^[]$", "a", "["),
            (r"^[]a]$", "]", "b"),
            (r"^[[]$", "[", "a"),
            (r"^[[:alpha:]_-]$", "-", "1"),
            (r"^[a&&b]$", "&", "c"),
            (r"^[+--]$", ",", "a"),
            (r"^[~~]$", "~", "a"),
            (r"^\Qa.b\E.$", "a.bc", "axbc"),
            (r"^\Q(", "(", "a"),
            (r"\<b\>", "<b>", "b"),
            (r"^\x41\101\0$", "AA\0", "AA"),
            // blackbox_exporter's own example: a repeated `^` in RE2 too, not a plus sign.
            (r"^+OK", "OK", "+OK"),
            (r"^\s$", " ", "\u{b}"),
            (r"^[\s]$", "\t", "\u{b}"),
            (r"^\p{Greek}$", "α", "a"),
            (r"^[é\d]$", "é", "\u{663}"),
            (r"^\pN\w\b", "1a", "1\u{e4}"),
            (r"^[\S\p{L}]$", "ä", " "),
            (r"(?i)^ok$", "OK", "KO"),
            (r"(?s)a.b", "a\nb", "ab"),
            (r"^(?P<v>\d+)$", "12", "x"),
            (r"(\*|example\.com)", "*", "x"),
            (r"^\[::1\]$", "[::1]", "::1"),
        ] {
            assert!(matches(pattern, yes), "{pattern} on {yes}");
            assert!(!matches(pattern, no), "{pattern} on {no}");
        }
        // Go has nothing to repeat in the first, and a bad number in the second.
        for bad in ["*a", "a{2}{", "(", "a)", "[a", r"\", r"(?<=a)", r"\1", r"[z-a]"] {
            if bad != "a{2}{" {
                assert!(Pattern::new(bad).is_err(), "{bad}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_text_is_compiled_or_refused(text in r"[\\\[\](){}*+?^$.|&~QExdwsb:0-9,<>é -]{0,16}|\PC{0,12}") {
            let _ = Pattern::new(&text);
        }

        #[test]
        fn literals_match_themselves(text in "[a-zA-Z0-9 {}<>\"':,/_=-]{1,20}") {
            prop_assume!(!text.contains('{') || !text.as_bytes().windows(2).any(|w| w[0] == b'{' && w[1].is_ascii_digit()));
            prop_assert!(matches(&text, &text));
        }
    }
}
