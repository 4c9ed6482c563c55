//! Files that belong to another program (a `prometheus.yml`, a `blackbox.yml` that is to be carried over): read as
//! strictly as ours, but by schemas that know only some of their keys.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::expand::is_left_alone;
use super::load::{Format, MAX_FILE_BYTES, parse, read_bytes, render, utf8};
use super::node::Node;
use super::position::Positions;
use super::problem::{At, ConfigErrors, FileId, KeyPath, Problems, Step, Which};
use super::shape;

/// One such file.
pub(crate) struct Foreign {
    path: PathBuf,
    text: Arc<str>,
    root: Node,
    positions: OnceCell<Positions>,
}

impl Foreign {
    /// YAML, or JSON by its extension.
    ///
    /// # Errors
    /// It cannot be read, or is no such text.
    pub(crate) fn read(path: &Path) -> Result<Self, ConfigErrors> {
        match read_bytes(path, MAX_FILE_BYTES).and_then(utf8) {
            Ok(text) => Self::new(path, &text),
            Err(message) => {
                let mut problems = Problems::default();
                let file = problems.file(path.to_owned());
                problems.add_line(file, None, message);
                Err(problems.into_errors())
            }
        }
    }

    /// # Errors
    /// It is no YAML or JSON.
    pub(crate) fn new(path: &Path, text: &str) -> Result<Self, ConfigErrors> {
        let text: Arc<str> = text.into();
        let json = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
        let (mut problems, file) = Self::problems_of(path, &text);
        let root = parse(&text, if json { Format::Json } else { Format::Yaml }, file, &mut problems);
        match root {
            Some(root) if problems.is_empty() => {
                Ok(Self { path: path.to_owned(), text, root, positions: OnceCell::new() })
            }
            Some(_) | None => Err(problems.into_errors()),
        }
    }

    fn problems_of(path: &Path, text: &Arc<str>) -> (Problems, FileId) {
        let mut problems = Problems::default();
        let file = problems.file(path.to_owned());
        problems.file_text(file, Arc::clone(text));
        (problems, file)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// What a schema knows of it; an empty file is the default.
    ///
    /// # Errors
    /// Every value that is not of its type.
    pub(crate) fn shape<T: DeserializeOwned + Default>(&self) -> Result<T, ConfigErrors> {
        if matches!(self.root, Node::Null) {
            return Ok(T::default());
        }
        let (mut problems, file) = Self::problems_of(&self.path, &self.text);
        let value = shape::read_some(&self.root, &At::root(file), &mut problems);
        if problems.is_empty() { Ok(value) } else { Err(problems.into_errors()) }
    }

    /// All of it: unknown keys are problems too.
    ///
    /// # Errors
    /// Every key that is not known, and every value that is not of its type.
    pub(crate) fn strict_shape<T: DeserializeOwned + Default>(&self) -> Result<T, ConfigErrors> {
        if matches!(self.root, Node::Null) {
            return Ok(T::default());
        }
        let (mut problems, file) = Self::problems_of(&self.path, &self.text);
        let value = shape::read(&self.root, &At::root(file), &mut problems);
        if problems.is_empty() { Ok(value) } else { Err(problems.into_errors()) }
    }

    /// The report of what is wrong with what it says.
    pub(crate) fn errors(&self, found: Vec<(Vec<Step>, String)>) -> ConfigErrors {
        let (mut problems, file) = Self::problems_of(&self.path, &self.text);
        for (steps, message) in found {
            problems.add_path(file, KeyPath(steps), message);
        }
        problems.into_errors()
    }

    /// The same, without the values that are not of their type.
    pub(crate) fn rough_shape<T: DeserializeOwned + Default>(&self) -> T {
        let (mut problems, file) = Self::problems_of(&self.path, &self.text);
        shape::read_some(&self.root, &At::root(file), &mut problems)
    }

    fn node(&self, steps: &[Step]) -> Option<&Node> {
        steps.iter().try_fold(&self.root, |node, step| match (node, step) {
            (Node::Map(_), Step::Key(key)) => node.get(key),
            (Node::List(items), Step::Index(index)) => items.get(*index),
            _ => None,
        })
    }

    /// The keys of the mapping at `steps`, in their order.
    pub(crate) fn keys(&self, steps: &[Step]) -> Vec<&str> {
        match self.node(steps) {
            Some(Node::Map(entries)) => entries.iter().map(|(key, _)| key.as_str()).collect(),
            Some(_) | None => Vec::new(),
        }
    }

    /// `FILE:LINE` of what is at `steps`, or of the last part of it that is there.
    pub(crate) fn place(&self, steps: &[Step]) -> String {
        let file = self.path.display();
        match self.line(steps) {
            Some(line) => format!("{file}:{line}"),
            None => file.to_string(),
        }
    }

    pub(crate) fn line(&self, steps: &[Step]) -> Option<usize> {
        self.positions.get_or_init(|| Positions::new(&self.text)).line(&KeyPath(steps.to_vec()), Which::Last)
    }

    /// Whether our loader takes the strings at `steps` as they are: it expands variables, other programs do not.
    pub(crate) fn has_no_variables(&self, steps: &[Step]) -> bool {
        self.node(steps).is_none_or(is_left_alone)
    }

    /// Whether both have the same at `steps`.
    pub(crate) fn agrees_with(&self, other: &Self, steps: &[Step]) -> bool {
        self.node(steps) == other.node(steps)
    }

    /// What is at `steps` written anew, in block style, such that our loader reads the same. `None` for binary data,
    /// which has no such form.
    pub(crate) fn rendered(&self, steps: &[Step]) -> Option<String> {
        let mut node = self.node(steps)?.clone();
        escape(&mut node).then(|| render(&node))
    }
}

/// Text of which our loader makes this text again.
pub(crate) fn without_variables(text: &str) -> String {
    if is_left_alone(&Node::Text(text.to_owned())) { text.to_owned() } else { text.replace('$', "$$") }
}

/// False when there is binary data in it.
fn escape(node: &mut Node) -> bool {
    match node {
        Node::Text(text) => {
            *text = without_variables(text);
            true
        }
        Node::List(items) => items.iter_mut().all(escape),
        Node::Map(entries) => entries.iter_mut().all(|(_, child)| escape(child)),
        Node::Float(_, text) => {
            // As it was written: 1.10 is a fine header value.
            *node = Node::Text(text.to_string());
            true
        }
        Node::Null | Node::Bool(_) | Node::Int(_) => true,
        Node::Binary(_) => false,
    }
}

/// How the path of a problem of our config begins when it is about the module `name`.
pub(crate) fn module_path(name: &str) -> String {
    KeyPath(vec!["modules".into(), name.into()]).to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[derive(Debug, Default, serde::Deserialize, PartialEq)]
    #[serde(default)]
    struct Part {
        known: Option<String>,
    }

    #[test]
    fn unknown_keys_are_passed_over_and_wrong_values_are_not() {
        let file = Foreign::new(Path::new("f.yml"), "other: {a: 1}\nknown: x\n").unwrap();
        assert_eq!(file.shape::<Part>().unwrap(), Part { known: Some("x".to_owned()) });
        assert_eq!(file.keys(&[]), ["other", "known"]);
        assert_eq!(file.place(&["known".into()]), "f.yml:2");
        let file = Foreign::new(Path::new("f.yml"), "other: 1\nknown: [x]\n").unwrap();
        let error = file.shape::<Part>().unwrap_err().to_string();
        assert_eq!(error, "f.yml:2: known: expected a string, found a list\n1 problem");
        assert!(Foreign::new(Path::new("f.yml"), "a: [").is_err());
        assert_eq!(Foreign::new(Path::new("f.yml"), "# empty\n").unwrap().shape::<Part>().unwrap(), Part::default());
    }

    #[test]
    fn what_would_be_a_variable_is_escaped() {
        for (text, escaped) in [
            ("^200$", "^200$"),
            ("${1}", "${1}"),
            ("a${b}", "a$${b}"),
            ("$$", "$$$$"),
            ("$$${x", "$$$$$${x"),
            ("plain", "plain"),
        ] {
            assert_eq!(without_variables(text), escaped);
        }
        let file = Foreign::new(Path::new("f.yml"), "m: {body: '${x}', header: 1.10, list: [1, true]}\n").unwrap();
        assert!(!file.has_no_variables(&["m".into()]));
        let rendered = file.rendered(&["m".into()]).unwrap();
        assert_eq!(rendered, "body: $${x}\nheader: '1.10'\nlist:\n- 1\n- true\n");
    }
}
