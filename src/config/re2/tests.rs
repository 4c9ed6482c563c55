#![allow(clippy::unwrap_used)]

use std::ops::Range;

use proptest::prelude::*;

use super::super::Pattern;
use super::{PatternError, Translation, anchored};

fn matches(pattern: &str, bytes: impl AsRef<[u8]>) -> bool {
    Pattern::new(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}")).is_match(bytes.as_ref())
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
        (r"^(?<v>\d+)$", "12", "x"),
        (r"(\*|example\.com)", "*", "x"),
        (r"^\[::1\]$", "[::1]", "::1"),
        // The faults of issue 8, and their kin.
        (r"Zur.ck", "Zurück", "Zurck"),
        (r"caf.$", "café", "caf"),
        (r"日.語", "日本語", "日語"),
        (r"(?i)übersicht", "ÜBERSICHT", "ubersicht"),
        (r"^[^a]$", "ü", "a"),
        (r"^.{3}$", "日本語", "日"),
        (r"^[ä-ü]+$", "äöü", "aou"),
        (r"\bber", "über", "aber"),
        (r"^\xff$", "ÿ", "y"),
        (r"(?i)^[[:upper:]]+$", "kKſ", "ü"),
        (r"(?i)^kelvin$", "\u{212a}ELVIN", "elvin"),
        (r"^\pL+$", "Größe", "Gr ße"),
        (r"(?U)^a+?$", "aa", "b"),
    ] {
        assert!(matches(pattern, yes), "{pattern} on {yes}");
        assert!(!matches(pattern, no), "{pattern} on {no}");
    }
}

#[test]
fn bytes_that_are_no_text_are_one_character_each() {
    for (pattern, bytes, wanted) in [
        (r"Zur.ck", &b"Zur\xfcck"[..], true),
        (r"Zur[^u]ck", b"Zur\xfcck", true),
        (r"Zur\x{fffd}ck", b"Zur\xfcck", true),
        (r"Zur\xfcck", b"Zur\xfcck", false),
        (r"Zurück", b"Zur\xfcck", false),
        (r"^..$", b"\xe6\x97", true),
        (r"^.$", b"\xe6\x97", false),
        (r"^...$", b"\xed\xa0\x80", true),
        (r"^[\x00-\xff]+$", b"\x89PNG", false),
        (r"PNG", b"\x89PNG\r\n\x1a\n\0", true),
        // No look into the middle of a character.
        (r"\B", "aéa".as_bytes(), false),
        (r"^a(?:.|[^a])a$", "aéa".as_bytes(), true),
    ] {
        assert_eq!(matches(pattern, bytes), wanted, "{pattern} on {bytes:?}");
    }
}

#[test]
fn what_go_refuses_is_refused_and_named() {
    for (pattern, reason) in [
        ("*a", "repetition operator missing expression"),
        ("a|*", "repetition operator missing expression"),
        ("a**", "** repeats a repetition"),
        ("a{2}{3}", "{2}{3} repeats a repetition"),
        ("(", "unclosed group"),
        ("a)", "unopened group"),
        ("[a", "unclosed character class"),
        ("[z-a]", "invalid character class range, the start must be <= the end"),
        (r"\", "it ends in a backslash"),
        (r"(?<=a)", "(?<= opens no group; look-around and back references do not exist in RE2"),
        (r"(?=a)", "(?= opens no group; look-around and back references do not exist in RE2"),
        (r"(?x)a", "(?x opens no group; look-around and back references do not exist in RE2"),
        (r"\1", r"\1 is not an escape sequence"),
        (r"\8", r"\8 is not an escape sequence"),
        (r"\C", r"\C is not an escape sequence"),
        (r"\u00e9", r"\u is not an escape sequence"),
        (r"[a-\d]", r"\d is not an escape sequence"),
        (r"[\b]", r"\b is not an escape sequence"),
        (r"\x{110000}", r"\x is not an escape sequence"),
        ("[[:foo:]]", "[:foo:] is not a class of characters"),
        (r"\p{sc=Greek}", r"\p{sc=Greek} is not a class of characters"),
        (r"\p{Nope}", "Unicode property not found"),
        ("a{1001}", "{1001} is not a repetition; it goes from the smaller number to the larger, up to 1000 in all"),
        ("(a{100}){11}", "{11} is not a repetition; it goes from the smaller number to the larger, up to 1000 in all"),
        ("(?P<a-b>a)", r#""a-b" is not a name for a group; letters, digits and _ make one"#),
    ] {
        assert_eq!(Pattern::new(pattern).unwrap_err().to_string(), reason, "{pattern}");
    }
}

#[test]
fn a_large_class_may_be_repeated_as_often_as_in_go() {
    assert!(matches(r"^\pL{1000}$", "é".repeat(1000)));
    let deep = format!("{}a{}", "(?:".repeat(10_000), ")".repeat(10_000));
    assert!(matches!(Pattern::new(&deep), Err(PatternError::Crate(_))));
}

#[test]
fn relabelling_is_from_end_to_end() {
    let regex = anchored(r"(?i)(.*):\d+").unwrap();
    assert_eq!(regex.captures("Host:9115").and_then(|groups| groups.get(1)).map(|group| group.as_str()), Some("Host"));
    assert!(!regex.is_match("host:9115/x"));
    assert!(anchored("a)|(b").unwrap().is_match("a"));
    assert!(anchored("(").is_err());
}

#[derive(serde::Deserialize)]
struct Row {
    pattern: String,
    #[serde(default)]
    refused: bool,
    #[serde(default)]
    bytes: Vec<String>,
    #[serde(default)]
    found: Vec<Option<Vec<isize>>>,
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// Go's own answers, from `tests/fixtures/re2/table.go`.
#[test]
fn a_table_of_gos_answers_holds() {
    let table = include_str!("../../../tests/fixtures/re2/table.jsonl");
    let mut wrong = Vec::new();
    let mut checked = 0;
    for line in table.lines() {
        let row: Row = serde_json::from_str(line).unwrap();
        let pattern = match (Pattern::new(&row.pattern), row.refused) {
            (Ok(pattern), false) => pattern,
            (Err(_), true) => continue,
            (Ok(_), true) => {
                wrong.push(format!("{:?} is taken", row.pattern));
                continue;
            }
            (Err(error), false) => {
                wrong.push(format!("{:?} is refused: {error}", row.pattern));
                continue;
            }
        };
        for (bytes, expected) in row.bytes.iter().zip(&row.found) {
            let bytes = unhex(bytes);
            let groups = pattern.groups(&bytes);
            let base = bytes.as_ptr() as usize;
            let found = groups.map(|groups| {
                let count = expected.as_ref().map_or(0, Vec::len) / 2;
                let place = |part: Option<&[u8]>| match part {
                    Some(part) => {
                        let start = part.as_ptr() as usize - base;
                        [start, start + part.len()].map(usize::cast_signed)
                    }
                    None => [-1, -1],
                };
                (0..count).flat_map(|number| place(groups.number(number))).collect::<Vec<_>>()
            });
            checked += 1;
            if found != *expected || pattern.is_match(&bytes) != expected.is_some() {
                wrong.push(format!("{:?} on {bytes:?}: {found:?}, in Go {expected:?}", row.pattern));
            }
        }
    }
    assert!(checked > 10_000, "only {checked} answers");
    assert!(wrong.is_empty(), "{} of {checked} differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// A matcher of its own, by backtracking, as slow and as plain as can be.
#[derive(Clone, Debug)]
enum Node {
    Char(char),
    Any,
    Set { negated: bool, ranges: Vec<Range<u32>> },
    Word,
    Edge,
    Begin,
    End,
    Fold(Box<Node>),
    Star(Box<Node>),
    Both(Box<Node>, Box<Node>),
    Either(Box<Node>, Box<Node>),
}

/// Letters that are one when case is none, written down by hand.
const ORBITS: &[&[char]] = &[
    &['k', 'K', '\u{212a}'],
    &['s', 'S', '\u{17f}'],
    &['a', 'A'],
    &['ü', 'Ü'],
    &['σ', 'ς', 'Σ'],
    &['ß', '\u{1e9e}'],
    &['\u{e5}', '\u{c5}', '\u{212b}'],
    &['µ', 'μ', 'Μ'],
];
const LETTERS: &[char] = &[
    'k', 'K', '\u{212a}', 's', 'S', '\u{17f}', 'a', 'A', 'ü', 'Ü', 'σ', 'ς', 'Σ', 'ß', '\u{1e9e}', '\u{e5}', '\u{c5}',
    '\u{212b}', 'µ', 'μ', 'Μ', '日', '1', '_', ' ', '\n', '\u{fffd}', '\u{663}',
];

fn orbit(c: char) -> Vec<char> {
    ORBITS.iter().find(|orbit| orbit.contains(&c)).map_or(vec![c], |orbit| orbit.to_vec())
}

fn is_word(c: Option<&char>) -> bool {
    c.is_some_and(|&c| c.is_ascii_alphanumeric() || c == '_')
}

impl Node {
    fn write(&self) -> String {
        match self {
            Self::Char(c) => c.to_string(),
            Self::Any => ".".to_owned(),
            Self::Set { negated, ranges } => {
                let one = |range: &Range<u32>| format!("\\x{{{:x}}}-\\x{{{:x}}}", range.start, range.end - 1);
                let members: String = ranges.iter().map(one).collect();
                format!("[{}{members}]", if *negated { "^" } else { "" })
            }
            Self::Word => r"\w".to_owned(),
            Self::Edge => r"\b".to_owned(),
            Self::Begin => "^".to_owned(),
            Self::End => "$".to_owned(),
            Self::Fold(node) => format!("(?i:{})", node.write()),
            Self::Star(node) => format!("(?:{})*", node.write()),
            Self::Both(first, second) => format!("(?:{})(?:{})", first.write(), second.write()),
            Self::Either(first, second) => format!("(?:{}|{})", first.write(), second.write()),
        }
    }

    fn takes(&self, c: char, fold: bool) -> bool {
        let candidates = if fold { orbit(c) } else { vec![c] };
        match self {
            Self::Char(wanted) => candidates.contains(wanted),
            Self::Any => c != '\n',
            Self::Set { negated, ranges } => {
                let within = |c: char| ranges.iter().any(|range| range.contains(&u32::from(c)));
                candidates.into_iter().any(within) != *negated
            }
            Self::Word => candidates.iter().any(|c| is_word(Some(c))),
            Self::Edge
            | Self::Begin
            | Self::End
            | Self::Fold(_)
            | Self::Star(_)
            | Self::Both(..)
            | Self::Either(..) => false,
        }
    }

    /// Whether it matches from `at` on, and what follows too.
    fn run(&self, text: &[char], at: usize, fold: bool, then: &mut dyn FnMut(usize) -> bool) -> bool {
        match self {
            Self::Char(_) | Self::Any | Self::Set { .. } | Self::Word => {
                text.get(at).is_some_and(|&c| self.takes(c, fold)) && then(at + 1)
            }
            Self::Edge => is_word(at.checked_sub(1).and_then(|at| text.get(at))) != is_word(text.get(at)) && then(at),
            Self::Begin => at == 0 && then(at),
            Self::End => at == text.len() && then(at),
            Self::Fold(node) => node.run(text, at, true, then),
            Self::Star(node) => {
                then(at) || node.run(text, at, fold, &mut |next| next > at && self.run(text, next, fold, then))
            }
            Self::Both(first, second) => first.run(text, at, fold, &mut |next| second.run(text, next, fold, then)),
            Self::Either(first, second) => first.run(text, at, fold, then) || second.run(text, at, fold, then),
        }
    }

    fn is_match(&self, text: &[char]) -> bool {
        (0..=text.len()).any(|at| self.run(text, at, false, &mut |_| true))
    }
}

fn nodes() -> impl Strategy<Value = Node> {
    let letter = || prop::sample::select(LETTERS);
    let range = (letter(), 0_u32..40).prop_map(|(c, more)| u32::from(c)..u32::from(c) + 1 + more);
    let set =
        (any::<bool>(), prop::collection::vec(range, 1..3)).prop_map(|(negated, ranges)| Node::Set { negated, ranges });
    let leaf = prop_oneof![
        4 => letter().prop_map(Node::Char),
        2 => Just(Node::Any),
        3 => set,
        1 => Just(Node::Word),
        1 => Just(Node::Edge),
        1 => Just(Node::Begin),
        1 => Just(Node::End),
    ];
    leaf.prop_recursive(4, 12, 2, |inner| {
        let boxed = inner.clone().prop_map(Box::new);
        prop_oneof![
            2 => boxed.clone().prop_map(Node::Fold),
            1 => boxed.clone().prop_map(Node::Star),
            4 => (boxed.clone(), boxed.clone()).prop_map(|(first, second)| Node::Both(first, second)),
            2 => (boxed.clone(), boxed).prop_map(|(first, second)| Node::Either(first, second)),
        ]
    })
}

/// Bytes that are text, nearly text, or none; and the characters that Go sees in them.
fn subjects() -> impl Strategy<Value = (Vec<u8>, Vec<char>)> {
    let good = prop::sample::select(LETTERS).prop_map(|c| (c.to_string().into_bytes(), vec![c]));
    // None of these begins or continues a character beside another.
    let bad = prop::sample::select(&[0xff_u8, 0xfe, 0xc0, 0xf8][..]).prop_map(|byte| (vec![byte], vec!['\u{fffd}']));
    prop::collection::vec(prop_oneof![4 => good, 1 => bad], 0..7).prop_map(|pieces| {
        let bytes = pieces.iter().flat_map(|(bytes, _)| bytes.clone()).collect();
        (bytes, pieces.into_iter().flat_map(|(_, chars)| chars).collect())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn verdicts_are_those_of_a_matcher_by_backtracking(node in nodes(), (bytes, chars) in subjects()) {
        // Ranges may touch letters whose other cases are not written down above.
        let pattern = node.write();
        let known = |c: &char| LETTERS.contains(c);
        prop_assume!(chars.iter().all(known));
        prop_assert_eq!(matches(&pattern, &bytes), node.is_match(&chars), "{} on {:?}", pattern, bytes);
    }

    #[test]
    fn ascii_is_matched_as_other_text_is(node in nodes(), text in "[kKsSaA1_ \\n]{0,8}") {
        let pattern = Pattern::new(&node.write()).unwrap();
        let chars: Vec<char> = text.chars().collect();
        prop_assert_eq!(pattern.is_match(text.as_bytes()), node.is_match(&chars), "{:?} on {:?}", pattern, text);
    }

    #[test]
    fn any_text_is_compiled_or_refused(text in r"[\\\[\](){}*+?^$.|&~QExdwsbpiU:0-9,<>é -]{0,16}|\PC{0,12}") {
        if let Ok(translation) = Translation::of(&text) {
            match translation.compile() {
                Ok(_) => {}
                // What has been read is never a syntax error to the crate, but for names that Unicode does not have.
                Err(error) => prop_assert!(
                    text.contains("\\p") || text.contains("\\P"), "{text}: {error} in {}", translation.text
                ),
            }
        }
    }

    #[test]
    fn literals_match_themselves(text in "[a-zA-Z0-9 {}<>\"':,/_=-]{1,20}") {
        prop_assume!(!text.contains('{') || !text.as_bytes().windows(2).any(|w| w[0] == b'{' && w[1].is_ascii_digit()));
        prop_assert!(matches(&text, &text));
    }
}
