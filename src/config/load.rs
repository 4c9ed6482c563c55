//! File -> text -> tree. The one place that names the YAML crate.
//!
//! Everything hostile about the text itself ends here: size, encoding, nesting, aliases that explode, duplicate keys.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io::Read;
use std::path::Path;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::node::Node;
use super::position::{Positions, nests_deeper_than};
use super::problem::{FileId, KeyPath, Problems, Step, shorten};

/// Larger files are refused before they are read.
pub(super) const MAX_FILE_BYTES: u64 = 16 << 20;

/// Collections in collections; a real config has about ten.
const MAX_DEPTH: usize = 60;

/// What `path` holds, at most `limit` bytes.
///
/// # Errors
/// A sentence that does not name the file.
pub(super) fn read_bytes(path: &Path, limit: u64) -> Result<Vec<u8>, String> {
    let file = std::fs::File::open(path).map_err(|error| format!("cannot be opened: {}", io_sentence(&error)))?;
    let metadata = file.metadata().map_err(|error| format!("cannot be read: {}", io_sentence(&error)))?;
    if metadata.is_dir() {
        return Err("is a directory; a file is wanted".to_owned());
    }
    let too_large = |size: String| format!("is {size} large; at most {} are read", mebibytes(limit));
    if metadata.len() > limit {
        return Err(too_large(mebibytes(metadata.len())));
    }
    // A pipe says that it is empty, so the limit holds while reading too.
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0));
    file.take(limit + 1).read_to_end(&mut bytes).map_err(|error| format!("cannot be read: {}", io_sentence(&error)))?;
    if bytes.len() as u64 > limit {
        return Err(too_large(format!("more than {}", mebibytes(limit))));
    }
    Ok(bytes)
}

fn mebibytes(bytes: u64) -> String {
    let whole = bytes >> 20;
    if whole == 0 { format!("{bytes} bytes") } else { format!("{whole} MiB") }
}

/// The operating system's words without its number.
pub(super) fn io_sentence(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

/// # Errors
/// A sentence that says where the text stops being UTF-8.
pub(super) fn utf8(bytes: Vec<u8>) -> Result<String, String> {
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
        format!("is not UTF-8: byte {at} (on line {line}) begins no character; save the file as UTF-8")
    })?;
    Ok(match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_owned(),
        None => text,
    })
}

/// How a file's text is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Yaml,
    Json,
}

/// Text -> tree: aliases and `<<` resolved. `None` when it is no such text; the problem is noted.
pub(super) fn parse(text: &str, format: Format, file: FileId, problems: &mut Problems) -> Option<Node> {
    if format == Format::Yaml
        && let Some(line) = nests_deeper_than(text, MAX_DEPTH)
    {
        problems.add_line(file, Some(line), format!("nests deeper than {MAX_DEPTH} levels"));
        return None;
    }
    let state = Build::new(text);
    let parsed = match format {
        Format::Yaml => parse_yaml(text, &state),
        Format::Json => parse_json(text, &state),
    };
    for path in state.duplicates.take() {
        let first = (file, path.clone());
        problems.add_clash(file, path, "this key is given twice; keep one", first);
    }
    for (path, tag) in state.tags.take() {
        let message = format!(
            "the tag !{} has no meaning here; what follows it is taken as it is",
            shorten(tag.trim_start_matches('!'))
        );
        problems.add_note(file, path, message);
    }
    let mut node = match parsed {
        Ok(node) => node,
        Err(SyntaxError { line, message }) => {
            let tab = line.and_then(|line| text.lines().nth(line - 1)).is_some_and(has_leading_tab);
            let message =
                if tab { "a tab where only spaces may indent; replace the tabs by spaces".to_owned() } else { message };
            problems.add_line(file, line, message);
            return None;
        }
    };
    restore_scalars(text, &mut node, &state, file, problems);
    super::node::merge_keys(&mut node, &super::problem::At::root(file), problems);
    Some(node)
}

fn has_leading_tab(line: &str) -> bool {
    line[..line.len() - line.trim_start().len()].contains('\t')
}

struct SyntaxError {
    line: Option<usize>,
    message: String,
}

fn parse_yaml(text: &str, state: &Build) -> Result<Node, SyntaxError> {
    let mut documents = serde_yaml::Deserializer::from_str(text);
    let Some(document) = documents.next() else { return Ok(Node::Null) };
    let node = NodeSeed(state).deserialize(document).map_err(|error| {
        let line = error.location().map(|place| place.line());
        let message = error.to_string();
        let message = if state.budget.get() < 0 || message.contains("repetition limit exceeded") {
            "aliases (*name) expand to far more than the file itself; write out what is meant".to_owned()
        } else if message.contains("recursion limit exceeded") {
            // Nesting that is written out was measured before.
            "an alias (*name) stands inside what it names, or aliases nest too deep".to_owned()
        } else {
            format!("not valid YAML: {}", yaml_sentence(&message))
        };
        SyntaxError { line, message }
    })?;
    match documents.next() {
        None => Ok(node),
        Some(_) => {
            let line = text.lines().skip(1).position(|line| line.starts_with("---")).map(|index| index + 2);
            Err(SyntaxError { line, message: "a second YAML document (---) begins here; one is read".to_owned() })
        }
    }
}

/// The parser's sentence without the position that we print in front, and without the path that it may begin with.
fn yaml_sentence(message: &str) -> String {
    let mut sentence = message.to_owned();
    if let Some(start) = sentence.find(" at line ") {
        let rest = &sentence[start + 1..];
        let end = rest.find(',').map_or(sentence.len(), |comma| start + 1 + comma);
        sentence.replace_range(start..end, "");
    }
    // "..., while parsing a block mapping at line 3 column 1": the line is of use, the column is not.
    if let Some(start) = sentence.find(" at line ") {
        let line: String = sentence[start + 9..].chars().take_while(char::is_ascii_digit).collect();
        sentence.truncate(start);
        sentence = format!("{sentence} that begins on line {line}");
    }
    sentence
}

fn parse_json(text: &str, state: &Build) -> Result<Node, SyntaxError> {
    let mut json = serde_json::Deserializer::from_str(text);
    NodeSeed(state).deserialize(&mut json).and_then(|node| json.end().map(|()| node)).map_err(|error| {
        let message = error.to_string();
        let message = message.split(" at line ").next().unwrap_or_default();
        SyntaxError { line: Some(error.line().max(1)), message: format!("not valid JSON: {message}") }
    })
}

/// What the YAML crate drops is put back: the text of numbers, and binary data.
fn restore_scalars(text: &str, node: &mut Node, state: &Build, file: FileId, problems: &mut Problems) {
    let has_binary = text.contains("!!binary") || text.contains("tag:yaml.org,2002:binary");
    if has_binary || state.has_floats.get() || has_odd_integers(text) {
        let positions = Positions::new(text);
        Restore { positions, has_binary, file, problems, path: KeyPath::default() }.walk(node);
    }
}

/// Whether there may be integers in it that are not written as one would print them.
fn has_odd_integers(text: &str) -> bool {
    text.as_bytes().windows(3).any(|three| match three {
        [b'0', b'x' | b'o' | b'b', digit] => digit.is_ascii_hexdigit(),
        [before, b'+', digit] => digit.is_ascii_digit() && !before.is_ascii_alphanumeric(),
        [b'-', b'0', _] => true,
        _ => false,
    })
}

struct Restore<'p> {
    positions: Positions,
    has_binary: bool,
    file: FileId,
    problems: &'p mut Problems,
    path: KeyPath,
}

impl Restore<'_> {
    fn walk(&mut self, node: &mut Node) {
        match node {
            Node::Float(_, text) => {
                if let Some((literal, _)) = self.positions.scalar(&self.path) {
                    *text = literal.into();
                }
            }
            Node::Int(value) => {
                // 0x1f is a fine password; where a number is wanted it is read anew. Claims have no type but this one.
                if let Some((literal, _)) = self.positions.scalar(&self.path)
                    && literal != value.to_string()
                    && !self.path.0.contains(&Step::from("claims"))
                {
                    *node = Node::Text(literal.to_owned());
                }
            }
            Node::Text(_) if self.has_binary => {
                if let Some((literal, true)) = self.positions.scalar(&self.path) {
                    use base64::Engine as _;
                    let packed: String = literal.split_whitespace().collect();
                    match base64::engine::general_purpose::STANDARD.decode(packed) {
                        Ok(bytes) => {
                            *node = String::from_utf8(bytes).map_or_else(|e| Node::Binary(e.into_bytes()), Node::Text)
                        }
                        Err(_) => {
                            let message = "is tagged !!binary but is not base64";
                            self.problems.add_path(self.file, self.path.clone(), message);
                        }
                    }
                }
            }
            Node::List(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    self.below(Step::Index(index), item);
                }
            }
            Node::Map(entries) => {
                for (key, child) in entries {
                    self.below(Step::Key(key.as_str().into()), child);
                }
            }
            Node::Null | Node::Bool(_) | Node::Text(_) | Node::Binary(_) => {}
        }
    }

    fn below(&mut self, step: Step, node: &mut Node) {
        self.path.0.push(step);
        self.walk(node);
        self.path.0.pop();
    }
}

/// What is noted while the tree is built.
struct Build {
    /// Nodes and text still allowed; aliases spend it many times over.
    budget: Cell<i64>,
    path: RefCell<Vec<Step>>,
    duplicates: RefCell<Vec<KeyPath>>,
    /// Local tags, which mean nothing, and where.
    tags: RefCell<Vec<(KeyPath, String)>>,
    has_floats: Cell<bool>,
}

impl Build {
    fn new(text: &str) -> Self {
        const ALIASES_MAY_ADD: i64 = 500_000;
        // Without aliases, no file has more nodes than bytes.
        let budget = ALIASES_MAY_ADD.saturating_add(i64::try_from(text.len()).unwrap_or(i64::MAX).saturating_mul(2));
        Self {
            budget: Cell::new(budget),
            path: RefCell::default(),
            duplicates: RefCell::default(),
            tags: RefCell::default(),
            has_floats: Cell::new(false),
        }
    }

    fn spend<E: de::Error>(&self, cost: usize) -> Result<(), E> {
        let left = self.budget.get().saturating_sub(i64::try_from(cost).unwrap_or(i64::MAX));
        self.budget.set(left);
        if left < 0 { Err(E::custom("too much")) } else { Ok(()) }
    }

    fn here(&self) -> KeyPath {
        KeyPath(self.path.borrow().clone())
    }

    fn enter(&self, step: Step) {
        self.path.borrow_mut().push(step);
    }

    fn leave(&self) {
        self.path.borrow_mut().pop();
    }

    fn text<E: de::Error>(&self, text: &str) -> Result<Node, E> {
        // Paid for before it is copied: a large text may be aliased a thousand times.
        self.spend(1 + text.len())?;
        Ok(Node::Text(text.to_owned()))
    }
}

struct NodeSeed<'s>(&'s Build);

impl<'de> DeserializeSeed<'de> for NodeSeed<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for NodeSeed<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Node, E> {
        self.0.spend(1)?;
        Ok(Node::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Node, E> {
        self.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Node, E> {
        self.0.spend(1)?;
        Ok(Node::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Node, E> {
        self.visit_i128(value.into())
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Node, E> {
        self.visit_i128(value.into())
    }

    fn visit_i128<E: de::Error>(self, value: i128) -> Result<Node, E> {
        self.0.spend(1)?;
        Ok(Node::Int(value))
    }

    fn visit_u128<E: de::Error>(self, value: u128) -> Result<Node, E> {
        match i128::try_from(value) {
            Ok(value) => self.visit_i128(value),
            Err(_) => self.0.text(&value.to_string()),
        }
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Node, E> {
        self.0.spend(1)?;
        self.0.has_floats.set(true);
        Ok(Node::Float(value, value.to_string().into()))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Node, E> {
        self.0.text(value)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        self.0.spend(1)?;
        let mut list = Vec::new();
        loop {
            self.0.enter(Step::Index(list.len()));
            let item = items.next_element_seed(NodeSeed(self.0))?;
            self.0.leave();
            match item {
                Some(item) => list.push(item),
                None => return Ok(Node::List(list)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        self.0.spend(1)?;
        let mut map: Vec<(String, Node)> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        while let Some(key) = entries.next_key_seed(KeySeed)? {
            self.0.spend(1 + key.len())?;
            self.0.enter(Step::Key(key.as_str().into()));
            let node = entries.next_value_seed(NodeSeed(self.0))?;
            if seen.insert(key.clone()) {
                map.push((key, node));
            } else {
                self.0.duplicates.borrow_mut().push(self.0.here());
            }
            self.0.leave();
        }
        Ok(Node::Map(map))
    }

    /// A local tag such as `!secret`.
    fn visit_enum<A: de::EnumAccess<'de>>(self, data: A) -> Result<Node, A::Error> {
        use de::VariantAccess as _;
        let (tag, value) = data.variant_seed(KeySeed)?;
        self.0.tags.borrow_mut().push((self.0.here(), tag));
        value.newtype_variant_seed(NodeSeed(self.0))
    }
}

/// Keys are taken as the file writes them: `1:` and `"1":` are the same key.
struct KeySeed;

impl<'de> DeserializeSeed<'de> for KeySeed {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeySeed {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a plain key")
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<String, E> {
        Ok(value.to_owned())
    }
}

/// Tree -> YAML, for `/config`.
pub(super) fn render(node: &Node) -> String {
    serde_yaml::to_string(&Rendered(node)).unwrap_or_default()
}

struct Rendered<'a>(&'a Node);

impl serde::Serialize for Rendered<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Node::Null => serializer.serialize_unit(),
            Node::Bool(value) => serializer.serialize_bool(*value),
            Node::Int(value) => match i64::try_from(*value) {
                Ok(value) => serializer.serialize_i64(value),
                Err(_) => serializer.serialize_str(&value.to_string()),
            },
            Node::Float(value, _) => serializer.serialize_f64(*value),
            Node::Text(text) => serializer.serialize_str(text),
            Node::Binary(bytes) => serializer.serialize_str(&format!("<{} bytes>", bytes.len())),
            Node::List(items) => serializer.collect_seq(items.iter().map(Rendered)),
            Node::Map(entries) => serializer.collect_map(entries.iter().map(|(key, node)| (key, Rendered(node)))),
        }
    }
}
