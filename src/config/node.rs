//! The file as a tree, before anything is known of its meaning: aliases are followed, nothing else is decided.
//!
//! Ours rather than the YAML crate's: it keeps the text of floats (`1.10` is a fine header value), knows `!!binary`,
//! keeps the order of keys, and leaves the YAML crate to `load`.

use std::collections::{HashMap, HashSet};

use sha2::{Digest, Sha256};

use super::problem::{At, Problems};

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Null,
    Bool(bool),
    Int(i128),
    /// The text as the file has it, for places that want a string.
    Float(f64, Box<str>),
    Text(String),
    /// `!!binary` that is no UTF-8.
    Binary(Vec<u8>),
    List(Vec<Node>),
    /// In the order of the file, keys unique.
    Map(Vec<(String, Node)>),
}

impl Node {
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        match self {
            Self::Map(entries) => entries.iter().find(|(name, _)| name == key).map(|(_, node)| node),
            Self::Null
            | Self::Bool(_)
            | Self::Int(_)
            | Self::Float(..)
            | Self::Text(_)
            | Self::Binary(_)
            | Self::List(_) => None,
        }
    }

    /// What it is, in the words of a message. Shows short values, so not for places that may hold a secret.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Bool(value) => format!("the boolean {value}"),
            Self::Int(value) => format!("the number {value}"),
            Self::Float(_, text) => format!("the number {text}"),
            Self::Text(text) => format!("the string {:?}", super::problem::shorten(text)),
            Self::Null | Self::Binary(_) | Self::List(_) | Self::Map(_) => self.kind().to_owned(),
        }
    }

    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "a boolean",
            Self::Int(_) | Self::Float(..) => "a number",
            Self::Text(_) => "a string",
            Self::Binary(_) => "binary data",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }

    /// Feeds a form of the tree that does not depend on the order of keys.
    pub(super) fn digest(&self, hash: &mut Sha256) {
        fn sized(hash: &mut Sha256, tag: u8, bytes: &[u8]) {
            hash.update([tag]);
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        }
        match self {
            Self::Null => hash.update([0]),
            Self::Bool(value) => hash.update([1, u8::from(*value)]),
            Self::Int(value) => sized(hash, 2, &value.to_le_bytes()),
            Self::Float(_, text) => sized(hash, 3, text.as_bytes()),
            Self::Text(text) => sized(hash, 4, text.as_bytes()),
            Self::Binary(bytes) => sized(hash, 5, bytes),
            Self::List(items) => {
                sized(hash, 6, &(items.len() as u64).to_le_bytes());
                items.iter().for_each(|item| item.digest(hash));
            }
            Self::Map(entries) => {
                sized(hash, 7, &(entries.len() as u64).to_le_bytes());
                let mut sorted: Vec<_> = entries.iter().collect();
                sorted.sort_by(|a, b| a.0.cmp(&b.0));
                for (key, node) in sorted {
                    sized(hash, 8, key.as_bytes());
                    node.digest(hash);
                }
            }
        }
    }

    /// `self` with the keys of `over` on top: its values win, and its nulls take a key away.
    pub(super) fn overridden(&self, over: &Node) -> Node {
        let mut entries = match self {
            Self::Map(entries) => entries.clone(),
            Self::Null
            | Self::Bool(_)
            | Self::Int(_)
            | Self::Float(..)
            | Self::Text(_)
            | Self::Binary(_)
            | Self::List(_) => Vec::new(),
        };
        if let Self::Map(over) = over {
            let places: HashMap<String, usize> =
                entries.iter().enumerate().map(|(place, (key, _))| (key.clone(), place)).collect();
            for (key, node) in over {
                match places.get(key) {
                    Some(place) => entries[*place].1 = node.clone(),
                    None => entries.push((key.clone(), node.clone())),
                }
            }
        }
        Self::Map(entries)
    }
}

/// Applies `<<` everywhere: the keys of a merged mapping count where the mapping itself has none of that name.
pub(super) fn merge_keys(node: &mut Node, at: &At<'_>, problems: &mut Problems) {
    match node {
        Node::List(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                merge_keys(item, &at.index(index), problems);
            }
        }
        Node::Map(entries) => {
            for (key, child) in entries.iter_mut() {
                let key = key.clone();
                merge_keys(child, &at.key(&key), problems);
            }
            let Some(position) = entries.iter().position(|(key, _)| key == "<<") else { return };
            let (_, merged) = entries.remove(position);
            let sources = match merged {
                Node::List(items) => items,
                one @ (Node::Map(_)
                | Node::Null
                | Node::Bool(_)
                | Node::Int(_)
                | Node::Float(..)
                | Node::Text(_)
                | Node::Binary(_)) => vec![one],
            };
            let mut own: HashSet<String> = entries.iter().map(|(key, _)| key.clone()).collect();
            for source in sources {
                let Node::Map(source) = source else {
                    let message =
                        format!("expected an alias of a mapping or a list of such to merge, found {}", source.kind());
                    problems.add(&at.key("<<"), message);
                    continue;
                };
                for (key, child) in source {
                    if own.insert(key.clone()) {
                        entries.push((key, child));
                    }
                }
            }
        }
        Node::Null | Node::Bool(_) | Node::Int(_) | Node::Float(..) | Node::Text(_) | Node::Binary(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::problem::FileId;
    use super::*;

    fn text(value: &str) -> Node {
        Node::Text(value.to_owned())
    }

    fn map(entries: &[(&str, Node)]) -> Node {
        Node::Map(entries.iter().map(|(key, node)| ((*key).to_owned(), node.clone())).collect())
    }

    #[test]
    fn own_keys_win_over_merged_ones_and_the_first_merged_wins() {
        let (a, b) = (map(&[("x", text("a")), ("y", text("a"))]), map(&[("y", text("b")), ("z", text("b"))]));
        let mut node = map(&[("<<", Node::List(vec![a, b])), ("x", text("own"))]);
        let mut problems = Problems::default();
        merge_keys(&mut node, &At::root(FileId(0)), &mut problems);
        assert_eq!(node, map(&[("x", text("own")), ("y", text("a")), ("z", text("b"))]));
        assert!(problems.is_empty());
    }

    #[test]
    fn the_digest_ignores_the_order_of_keys_alone() {
        let digest = |node: &Node| {
            let mut hash = Sha256::new();
            node.digest(&mut hash);
            hash.finalize()
        };
        let (one, two) = (text("1"), text("2"));
        let ab = map(&[("a", one.clone()), ("b", two.clone())]);
        assert_eq!(digest(&ab), digest(&map(&[("b", two.clone()), ("a", one.clone())])));
        assert_ne!(digest(&ab), digest(&map(&[("a", two.clone()), ("b", one.clone())])));
        assert_ne!(digest(&Node::List(vec![one.clone(), two.clone()])), digest(&Node::List(vec![two, one])));
        assert_ne!(digest(&text("1")), digest(&Node::Int(1)));
    }
}
