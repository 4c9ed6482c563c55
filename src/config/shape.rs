//! Tree -> raw structs by serde, with every problem of shape in one go: unknown keys, wrong types, each at its path.
//!
//! A deserializer of our own, since serde stops at the first error: unknown keys are noted and skipped (a struct names
//! its fields), and a value of the wrong type is noted, set aside, and the rest read again without it. Scalars follow
//! the incumbent's reader: a string may be written as a number or boolean, a boolean as `yes` or `off`.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt;

use serde::de::{self, DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::node::Node;
use super::problem::{At, KeyPath, Problems, list_of, nearest};
use super::units::parse_integer;

/// Reads `node` as a `T`; problems are noted, and what they concern is left out.
pub(super) fn read<T: DeserializeOwned + Default>(node: &Node, at: &At<'_>, problems: &mut Problems) -> T {
    read_with(node, at, UnknownKeys::Refused, problems)
}

/// Reads `node` as a `T` that knows only some of its keys: those of a file that belongs to another program.
pub(super) fn read_some<T: DeserializeOwned + Default>(node: &Node, at: &At<'_>, problems: &mut Problems) -> T {
    read_with(node, at, UnknownKeys::Skipped, problems)
}

fn read_with<T: DeserializeOwned + Default>(
    node: &Node,
    at: &At<'_>,
    unknown_keys: UnknownKeys,
    problems: &mut Problems,
) -> T {
    const MAX_ROUNDS: usize = 200;
    let notes = Notes { unknown_keys, found: RefCell::default(), set_aside: RefCell::default() };
    let mut rounds = 0;
    let value = loop {
        rounds += 1;
        match T::deserialize(Shape { node, at: *at, notes: &notes, secret: false, is_item: false }) {
            Ok(value) => break value,
            Err(error) => {
                let path = error.path.unwrap_or_else(|| at.path());
                let root = path == at.path();
                // Each round sets at least one more place aside, so this ends.
                let known = !notes.set_aside.borrow_mut().insert(path.clone());
                notes.found.borrow_mut().push((path, error.message));
                if root || known || rounds == MAX_ROUNDS {
                    break T::default();
                }
            }
        }
    };
    for (path, message) in notes.found.take() {
        problems.add_path(at.file, path, message);
    }
    value
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum UnknownKeys {
    Refused,
    Skipped,
}

struct Notes {
    unknown_keys: UnknownKeys,
    found: RefCell<Vec<(KeyPath, String)>>,
    set_aside: RefCell<HashSet<KeyPath>>,
}

impl Notes {
    fn is_set_aside(&self, at: &At<'_>) -> bool {
        let set_aside = self.set_aside.borrow();
        !set_aside.is_empty() && set_aside.contains(&at.path())
    }
}

/// A value of the wrong type. The path is filled in where it is known.
#[derive(Debug)]
struct ShapeError {
    path: Option<KeyPath>,
    message: String,
}

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ShapeError {}

impl de::Error for ShapeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self { path: None, message: message.to_string() }
    }
}

/// Whether a text may be a number that is not written as one would print it; others are texts because of their quotes.
fn is_odd_integer(text: &str) -> bool {
    text.parse::<i64>().is_err() || text.starts_with(['0', '+']) || text.starts_with("-0")
}

/// Beyond 2^63 the incumbent takes no number.
const MOST_WHOLE: f64 = 9_223_372_036_854_775_808.0;

struct Shape<'n, 'a> {
    node: &'n Node,
    at: At<'a>,
    notes: &'a Notes,
    /// The value may be a secret, so messages do not show it.
    secret: bool,
    is_item: bool,
}

impl Shape<'_, '_> {
    fn mismatch(&self, expected: &str) -> ShapeError {
        let found = if self.secret { self.node.kind().to_owned() } else { self.node.describe() };
        ShapeError { path: Some(self.at.path()), message: format!("expected {expected}, found {found}") }
    }

    fn placed<T>(at: &At<'_>, result: Result<T, ShapeError>) -> Result<T, ShapeError> {
        result.map_err(|mut error| {
            error.path.get_or_insert_with(|| at.path());
            error
        })
    }

    /// The scalar as text.
    fn text(&self) -> Option<String> {
        match self.node {
            Node::Text(text) => Some(text.clone()),
            Node::Bool(value) => Some(value.to_string()),
            Node::Int(value) => Some(value.to_string()),
            Node::Float(_, text) => Some(text.as_ref().to_owned()),
            // `key:` with nothing behind it is an empty string to the incumbent.
            Node::Null => Some(String::new()),
            Node::Binary(_) | Node::List(_) | Node::Map(_) => None,
        }
    }
}

impl Shape<'_, '_> {
    /// YAML 1.1, as the incumbent's parser has it where a boolean is wanted.
    fn boolean(&self) -> Option<bool> {
        match self.node {
            Node::Bool(value) => Some(*value),
            Node::Text(text) => match text.as_str() {
                "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Some(true),
                "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Some(false),
                _ => None,
            },
            Node::Null | Node::Int(_) | Node::Float(..) | Node::Binary(_) | Node::List(_) | Node::Map(_) => None,
        }
    }
}

impl<'de> Deserializer<'de> for Shape<'_, '_> {
    type Error = ShapeError;

    /// For values of any shape, such as claims: what stands there is what it is.
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ShapeError> {
        match self.node {
            Node::Null => visitor.visit_unit(),
            Node::Bool(value) => visitor.visit_bool(*value),
            Node::Int(_) => self.deserialize_i64(visitor),
            Node::Float(value, _) => visitor.visit_f64(*value),
            Node::Text(text) => visitor.visit_str(text),
            Node::Binary(_) => Err(self.mismatch("text")),
            Node::List(_) => self.deserialize_seq(visitor),
            Node::Map(_) => self.deserialize_map(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ShapeError> {
        match self.node {
            Node::Null => visitor.visit_none(),
            Node::Bool(_)
            | Node::Int(_)
            | Node::Float(..)
            | Node::Text(_)
            | Node::Binary(_)
            | Node::List(_)
            | Node::Map(_) => visitor.visit_some(self),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ShapeError> {
        match self.boolean() {
            Some(value) => visitor.visit_bool(value),
            None => Err(self.mismatch("true or false")),
        }
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ShapeError> {
        match self.node {
            Node::Int(value) => match i64::try_from(*value) {
                Ok(value) => visitor.visit_i64(value),
                Err(_) => Err(self.mismatch("a smaller whole number")),
            },
            // Forms that the parser leaves as text, such as 007.
            Node::Text(text) if is_odd_integer(text) => {
                let number = parse_integer(text).and_then(|number| i64::try_from(number).ok());
                number.map_or_else(|| Err(self.mismatch("a whole number")), |number| visitor.visit_i64(number))
            }
            Node::Null
            | Node::Bool(_)
            | Node::Float(..)
            | Node::Text(_)
            | Node::Binary(_)
            | Node::List(_)
            | Node::Map(_) => Err(self.mismatch("a whole number")),
        }
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ShapeError> {
        match self.node {
            #[allow(clippy::cast_precision_loss)] // A bucket bound of 2^53 seconds is refused anyway.
            Node::Int(value) => visitor.visit_f64(*value as f64),
            Node::Float(value, _) => visitor.visit_f64(*value),
            Node::Text(text) if is_odd_integer(text) => {
                #[allow(clippy::cast_precision_loss)] // As above.
                parse_integer(text)
                    .map_or_else(|| Err(self.mismatch("a number")), |number| visitor.visit_f64(number as f64))
            }
            Node::Null | Node::Bool(_) | Node::Text(_) | Node::Binary(_) | Node::List(_) | Node::Map(_) => {
                Err(self.mismatch("a number"))
            }
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ShapeError> {
        match self.text() {
            Some(text) => visitor.visit_string(text),
            None => Err(self.mismatch("a string")),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ShapeError> {
        self.deserialize_string(visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ShapeError> {
        match (self.node, self.text()) {
            (Node::Binary(bytes), _) => visitor.visit_byte_buf(bytes.clone()),
            (_, Some(text)) => visitor.visit_byte_buf(text.into_bytes()),
            (_, None) => Err(self.mismatch("a string")),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ShapeError> {
        match self.node {
            Node::List(items) => {
                let items = Items { items: items.iter().enumerate(), at: self.at, notes: self.notes };
                Self::placed(&self.at, visitor.visit_seq(items))
            }
            Node::Null
            | Node::Bool(_)
            | Node::Int(_)
            | Node::Float(..)
            | Node::Text(_)
            | Node::Binary(_)
            | Node::Map(_) => Err(self.mismatch("a list")),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ShapeError> {
        match self.node {
            Node::Map(entries) => {
                let entries =
                    Entries { entries: entries.iter(), value: None, at: self.at, notes: self.notes, keys: None };
                Self::placed(&self.at, visitor.visit_map(entries))
            }
            Node::Null
            | Node::Bool(_)
            | Node::Int(_)
            | Node::Float(..)
            | Node::Text(_)
            | Node::Binary(_)
            | Node::List(_) => Err(self.mismatch("a mapping")),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        keys: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ShapeError> {
        match self.node {
            Node::Map(entries) => {
                let entries =
                    Entries { entries: entries.iter(), value: None, at: self.at, notes: self.notes, keys: Some(keys) };
                Self::placed(&self.at, visitor.visit_map(entries))
            }
            // An item of a list, as the incumbent has it.
            Node::Null if self.is_item => {
                let entries =
                    Entries { entries: [].iter(), value: None, at: self.at, notes: self.notes, keys: Some(keys) };
                visitor.visit_map(entries)
            }
            Node::Null
            | Node::Bool(_)
            | Node::Int(_)
            | Node::Float(..)
            | Node::Text(_)
            | Node::Binary(_)
            | Node::List(_) => Err(self.mismatch(&format!("a mapping with {}", some_of(keys)))),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ShapeError> {
        if name == "DurationText" {
            if matches!(self.node, Node::List(_) | Node::Map(_) | Node::Binary(_) | Node::Bool(_)) {
                return Err(self.mismatch("a duration such as 15s"));
            }
        } else if name == "SecretText" {
            self.secret = true;
        } else if name == "SwitchOr" {
            return match (self.node, self.boolean()) {
                (_, Some(on)) => {
                    let settings = Node::Map(vec![("enabled".to_owned(), Node::Bool(on))]);
                    visitor.visit_newtype_struct(Shape { node: &settings, ..self })
                }
                (Node::Map(_), None) => visitor.visit_newtype_struct(self),
                (_, None) => Err(self.mismatch("true, false or a mapping")),
            };
        } else if matches!(name, "WholePart" | "StatusText")
            && let Node::Float(value, _) = self.node
            && value.is_finite()
            && value.abs() < MOST_WHOLE
        {
            #[allow(clippy::cast_possible_truncation)] // Asked for just now.
            let whole = Node::Int(*value as i128);
            return visitor.visit_newtype_struct(Shape { node: &whole, ..self });
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ShapeError> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i128 u8 u16 u32 u64 u128 f32 char bytes unit unit_struct tuple tuple_struct enum identifier
    }
}

/// The keys that belong there, as many as one wants to read.
fn some_of(keys: &[&str]) -> String {
    if keys.len() <= 6 { list_of(keys) } else { format!("keys such as {}", list_of(&keys[..3])) }
}

struct Items<'n, 'a> {
    items: std::iter::Enumerate<std::slice::Iter<'n, Node>>,
    at: At<'a>,
    notes: &'a Notes,
}

impl<'de> SeqAccess<'de> for Items<'_, '_> {
    type Error = ShapeError;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, ShapeError> {
        for (index, node) in self.items.by_ref() {
            let at = self.at.index(index);
            if self.notes.is_set_aside(&at) {
                continue;
            }
            let shape = Shape { node, at, notes: self.notes, secret: false, is_item: true };
            return Shape::placed(&at, seed.deserialize(shape)).map(Some);
        }
        Ok(None)
    }
}

struct Entries<'n, 'a> {
    entries: std::slice::Iter<'n, (String, Node)>,
    value: Option<(&'n str, &'n Node)>,
    at: At<'a>,
    notes: &'a Notes,
    /// A struct's fields; `None` for a mapping with free keys.
    keys: Option<&'static [&'static str]>,
}

impl<'de> MapAccess<'de> for Entries<'_, '_> {
    type Error = ShapeError;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, ShapeError> {
        for (key, node) in self.entries.by_ref() {
            let at = self.at.key(key);
            if self.notes.is_set_aside(&at) {
                continue;
            }
            if let Some(keys) = self.keys
                && !keys.contains(&key.as_str())
            {
                if self.notes.unknown_keys == UnknownKeys::Skipped {
                    continue;
                }
                self.notes.set_aside.borrow_mut().insert(at.path());
                self.notes.found.borrow_mut().push((at.path(), unknown_key(key, keys)));
                continue;
            }
            self.value = Some((key, node));
            return seed.deserialize(KeyText(key)).map(Some);
        }
        Ok(None)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, ShapeError> {
        let Some((key, node)) = self.value.take() else {
            return Err(de::Error::custom("a value without a key"));
        };
        let at = self.at.key(key);
        let secret = super::masked::names_a_secret(key) || self.keys.is_none();
        Shape::placed(&at, seed.deserialize(Shape { node, at, notes: self.notes, secret, is_item: false }))
    }
}

struct KeyText<'k>(&'k str);

impl<'de> Deserializer<'de> for KeyText<'_> {
    type Error = ShapeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ShapeError> {
        visitor.visit_str(self.0)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

fn unknown_key(key: &str, keys: &[&str]) -> String {
    match nearest(key, keys.iter().copied()) {
        Some(near) => format!("unknown key; did you mean {near}?"),
        None => format!("unknown key; known here: {}", list_of(keys)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use serde::Deserialize;

    use super::super::load::{Format, parse};
    use super::*;

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(default)]
    struct Outer {
        name: Option<String>,
        flag: Option<bool>,
        count: Option<i64>,
        list: Option<Vec<String>>,
        inner: Option<Vec<Inner>>,
    }

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(default)]
    struct Inner {
        a: Option<i64>,
    }

    fn outer(yaml: &str) -> (Outer, String) {
        let mut problems = Problems::default();
        let file = problems.file("t.yaml".into());
        problems.file_text(file, Arc::from(yaml));
        let node = parse(yaml, Format::Yaml, file, &mut problems).unwrap();
        let outer = read(&node, &At::root(file), &mut problems);
        (outer, problems.into_errors().to_string())
    }

    #[test]
    fn every_problem_is_found_and_the_rest_is_read() {
        let (outer, report) = outer(
            "name: [x]\nflag: maybe\ncount: 1.5\nlist: [a, {}, 1.10]\nnmae: y\ninner:\n- a: 1\n- b: 2\n- a: z\n- []\n",
        );
        assert_eq!(
            report,
            "\
t.yaml:1: name: expected a string, found a list
t.yaml:2: flag: expected true or false, found the string \"maybe\"
t.yaml:3: count: expected a whole number, found the number 1.5
t.yaml:4: list[1]: expected a string, found a mapping
t.yaml:5: nmae: unknown key; did you mean name?
t.yaml:8: inner[1].b: unknown key; known here: a
t.yaml:9: inner[2].a: expected a whole number, found the string \"z\"
t.yaml:10: inner[3]: expected a mapping with a, found a list
8 problems"
        );
        assert_eq!(outer.list, Some(vec!["a".to_owned(), "1.10".to_owned()]));
        assert_eq!(outer.inner, Some(vec![Inner { a: Some(1) }, Inner::default(), Inner::default()]));
    }

    #[test]
    fn scalars_are_as_lenient_as_the_incumbents() {
        let (outer, report) = outer("name: 0x1f\nflag: yes\nlist: [true, 1.50, 12, ]\ncount: ~\n");
        assert_eq!(report, "0 problems");
        assert_eq!(outer.flag, Some(true));
        assert_eq!(outer.count, None);
        assert_eq!(outer.list, Some(vec!["true".to_owned(), "1.50".to_owned(), "12".to_owned()]));
    }
}
