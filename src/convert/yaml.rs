//! Scalars as YAML text, such that our loader reads the same text again.

use crate::config::foreign::without_variables;

/// In flow and in block style alike.
pub(super) fn scalar(text: &str) -> String {
    let text = without_variables(text);
    if is_plain(&text) { text } else { quoted(&text) }
}

/// Only what no reader of YAML could take for anything else.
pub(crate) fn is_plain(text: &str) -> bool {
    const WORDS: &[&str] = &["null", "true", "false", "yes", "no", "on", "off", "y", "n"];
    let first = text.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'/' || b == b'_');
    let inside = |b: u8| b.is_ascii_alphanumeric() || b"/_.:@%+?=&~-".contains(&b);
    first && text.bytes().all(inside) && !text.ends_with(':') && !WORDS.contains(&text.to_ascii_lowercase().as_str())
}

pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            // Breaks and marks that readers treat in ways of their own.
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}') => {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;
    use crate::config::foreign::Foreign;

    #[test]
    fn plain_text_stays_plain() {
        for plain in ["https://shop.example.com/a?b=c&d=%20", "http_2xx", "db.example.com:5432", "/run/x.sock"] {
            assert_eq!(scalar(plain), plain);
        }
        for (text, yaml) in [
            ("", r#""""#),
            ("true", r#""true""#),
            ("1.10", r#""1.10""#),
            ("a: b", r#""a: b""#),
            ("a:", r#""a:""#),
            ("[::1]:80", r#""[::1]:80""#),
            ("x ${y}", r#""x $${y}""#),
            ("a\u{85}\"\\", r#""a\u0085\"\\""#),
        ] {
            assert_eq!(scalar(text), yaml);
        }
    }

    #[derive(Debug, Default, serde::Deserialize)]
    #[serde(default)]
    struct One {
        a: Vec<String>,
        b: String,
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_read_again(text in r"\PC{0,12}|[a-z:#,&*!|>'{}\[\]@`?~ \n\t\r.0-9-]{0,8}|[\x00-\xff]{0,6}") {
            prop_assume!(!text.contains('$'));
            let yaml = format!("a: [{0}, {0}]\nb: {0}\n", scalar(&text));
            let one: One = Foreign::new(Path::new("x.yaml"), &yaml).unwrap().shape().unwrap();
            prop_assert_eq!(&one.a, &vec![text.clone(), text.clone()]);
            prop_assert_eq!(one.b, text);
        }
    }
}
