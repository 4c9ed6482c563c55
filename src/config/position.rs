//! Path -> line, from a second parse that keeps positions; also the few facts of a scalar that the YAML crate drops.
//!
//! Made only when there is something to say about a place, so a good config does not pay for it. It is a helper of
//! messages: where the two parsers disagree it gives the nearest line that it knows.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser};

use super::problem::{KeyPath, Step, Which};

/// The first document of a file as an arena: no recursion, whatever the nesting.
pub(super) struct Positions {
    places: Vec<Place>,
    root: Option<usize>,
    anchors: HashMap<usize, usize>,
    /// For mappings of many entries: the first and the last of each key.
    large: HashMap<usize, HashMap<String, (usize, usize)>>,
}

/// Mappings with more entries are indexed.
const LARGE: usize = 64;

struct Place {
    /// Of the value; entries of a mapping keep their key's line beside.
    line: usize,
    kind: Kind,
}

enum Kind {
    Scalar { text: String, binary: bool },
    List(Vec<usize>),
    Map(Vec<Entry>),
    Alias(usize),
}

struct Entry {
    key: String,
    line: usize,
    value: usize,
}

/// A collection that is still open, and the key that waits for its value.
struct Open {
    place: usize,
    key: Option<(String, usize)>,
}

impl Positions {
    pub(super) fn new(text: &str) -> Self {
        let mut map = Self { places: Vec::new(), root: None, anchors: HashMap::new(), large: HashMap::new() };
        let mut open: Vec<Open> = Vec::new();
        let mut parser = Parser::new_from_str(text);
        while let Some(Ok((event, span))) = parser.next_event() {
            let line = span.start.line();
            let (kind, anchor) = match event {
                Event::StreamEnd | Event::DocumentEnd => break,
                Event::Nothing | Event::StreamStart | Event::DocumentStart(_) => continue,
                Event::SequenceEnd | Event::MappingEnd => {
                    open.pop();
                    continue;
                }
                Event::Alias(anchor) => (Kind::Alias(anchor), 0),
                Event::Scalar(text, _, anchor, tag) => {
                    let binary = tag.is_some_and(|tag| tag.is_yaml_core_schema() && tag.suffix == "binary");
                    (Kind::Scalar { text: text.into_owned(), binary }, anchor)
                }
                Event::SequenceStart(anchor, _) => (Kind::List(Vec::new()), anchor),
                Event::MappingStart(anchor, _) => (Kind::Map(Vec::new()), anchor),
            };
            map.add(&mut open, Place { line, kind }, anchor);
        }
        map.index();
        map
    }

    fn index(&mut self) {
        for (place, node) in self.places.iter().enumerate() {
            let Kind::Map(entries) = &node.kind else { continue };
            if entries.len() <= LARGE {
                continue;
            }
            let mut keys: HashMap<String, (usize, usize)> = HashMap::with_capacity(entries.len());
            for (position, entry) in entries.iter().enumerate() {
                keys.entry(entry.key.clone()).or_insert((position, position)).1 = position;
            }
            self.large.insert(place, keys);
        }
    }

    fn add(&mut self, open: &mut Vec<Open>, place: Place, anchor: usize) {
        let (line, index) = (place.line, self.places.len());
        let opens = matches!(place.kind, Kind::List(_) | Kind::Map(_));
        let key_text = match &place.kind {
            Kind::Scalar { text, .. } => text.clone(),
            Kind::List(_) | Kind::Map(_) | Kind::Alias(_) => String::new(),
        };
        self.places.push(place);
        if anchor != 0 {
            self.anchors.insert(anchor, index);
        }
        match open.last_mut() {
            None => self.root = self.root.or(Some(index)),
            Some(parent) => match &mut self.places[parent.place].kind {
                Kind::List(items) => items.push(index),
                Kind::Map(entries) => match parent.key.take() {
                    Some((key, line)) => entries.push(Entry { key, line, value: index }),
                    None => parent.key = Some((key_text, line)),
                },
                Kind::Scalar { .. } | Kind::Alias(_) => {}
            },
        }
        if opens {
            open.push(Open { place: index, key: None });
        }
    }

    /// The line of the deepest part of `path` that the file has.
    pub(super) fn line(&self, path: &KeyPath, which: Which) -> Option<usize> {
        let mut place = self.root?;
        let mut line = self.places[place].line;
        for step in &path.0 {
            match self.child(place, step, which) {
                Some((child, at)) => (place, line) = (child, at),
                None => break,
            }
        }
        Some(line)
    }

    /// The scalar at `path` as the file writes it, and whether it is tagged as binary.
    pub(super) fn scalar(&self, path: &KeyPath) -> Option<(&str, bool)> {
        let mut place = self.root?;
        for step in &path.0 {
            place = self.child(place, step, Which::Last)?.0;
        }
        match &self.places[self.behind_aliases(place)].kind {
            Kind::Scalar { text, binary } => Some((text, *binary)),
            Kind::List(_) | Kind::Map(_) | Kind::Alias(_) => None,
        }
    }

    /// Whether other places of the file may refer to what is at `path`.
    pub(super) fn has_anchor(&self, path: &KeyPath) -> bool {
        let mut place = self.root;
        for step in &path.0 {
            place = place.and_then(|place| self.child(place, step, Which::Last)).map(|(child, _)| child);
        }
        place.is_some_and(|place| self.anchors.values().any(|anchored| *anchored == place))
    }

    fn child(&self, place: usize, step: &Step, which: Which) -> Option<(usize, usize)> {
        const MERGES_FOLLOWED: usize = 16;
        self.child_within(place, step, which, MERGES_FOLLOWED)
    }

    fn child_within(&self, place: usize, step: &Step, which: Which, merges: usize) -> Option<(usize, usize)> {
        let place = self.behind_aliases(place);
        match (&self.places[place].kind, step) {
            (Kind::List(items), Step::Index(index)) => {
                let child = *items.get(*index)?;
                Some((child, self.places[child].line))
            }
            (Kind::Map(entries), Step::Key(key)) => {
                let named = |entry: &&Entry| *entry.key == **key;
                let own = match (self.large.get(&place), which) {
                    (None, Which::First) => entries.iter().find(named),
                    (None, Which::Last) => entries.iter().rev().find(named),
                    (Some(keys), Which::First) => keys.get(&**key).map(|(first, _)| &entries[*first]),
                    (Some(keys), Which::Last) => keys.get(&**key).map(|(_, last)| &entries[*last]),
                };
                if let Some(entry) = own {
                    return Some((entry.value, entry.line));
                }
                let merges = merges.checked_sub(1)?;
                if self.large.get(&place).is_some_and(|keys| !keys.contains_key("<<")) {
                    return None;
                }
                entries
                    .iter()
                    .filter(|entry| entry.key == "<<")
                    .find_map(|entry| self.merged(entry, step, which, merges))
            }
            _ => None,
        }
    }

    fn merged(&self, entry: &Entry, step: &Step, which: Which, merges: usize) -> Option<(usize, usize)> {
        match &self.places[self.behind_aliases(entry.value)].kind {
            Kind::List(items) => items.iter().find_map(|item| self.child_within(*item, step, which, merges)),
            Kind::Map(_) => self.child_within(entry.value, step, which, merges),
            Kind::Scalar { .. } | Kind::Alias(_) => None,
        }
    }

    fn behind_aliases(&self, place: usize) -> usize {
        match self.places[place].kind {
            // An anchor is never itself an alias, so one step is enough.
            Kind::Alias(anchor) => self.anchors.get(&anchor).copied().unwrap_or(place),
            Kind::Scalar { .. } | Kind::List(_) | Kind::Map(_) => place,
        }
    }
}

/// How deep the collections of `text` nest, counted up to `limit`.
///
/// The YAML crate's scanner takes time that grows with the square of the nesting, before it looks at its own limit;
/// this one stops at `limit`.
pub(super) fn nests_deeper_than(text: &str, limit: usize) -> Option<usize> {
    let mut depth = 0_usize;
    let mut parser = Parser::new_from_str(text);
    loop {
        let (event, span) = match parser.next_event() {
            Some(Ok(event)) => event,
            // It looks ahead for a `:` behind all the brackets, and gives up at 255 of them.
            Some(Err(error)) => return error.info().contains("recursion limit").then(|| error.marker().line()),
            None => return None,
        };
        match event {
            Event::SequenceStart(..) | Event::MappingStart(..) => {
                depth += 1;
                if depth > limit {
                    return Some(span.start.line());
                }
            }
            Event::SequenceEnd | Event::MappingEnd => depth = depth.saturating_sub(1),
            Event::StreamEnd => return None,
            Event::Nothing
            | Event::StreamStart
            | Event::DocumentStart(_)
            | Event::DocumentEnd
            | Event::Alias(_)
            | Event::Scalar(..) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn path(steps: &[&str]) -> KeyPath {
        let step = |s: &&str| s.parse().map_or_else(|_| Step::Key((*s).into()), Step::Index);
        KeyPath(steps.iter().map(step).collect())
    }

    const TEXT: &str = "\
base: &base
  method: GET
  headers: {X: 1.10}
list:
  - a
  - <<: *base
    body: x
  - *base
twice: 1
twice: 2
";

    #[test]
    fn lines_of_keys_items_merges_and_aliases() {
        let positions = Positions::new(TEXT);
        let line = |steps: &[&str]| positions.line(&path(steps), Which::Last).unwrap();
        assert_eq!(line(&["base"]), 1);
        assert_eq!(line(&["base", "headers", "X"]), 3);
        assert_eq!(line(&["list", "1", "body"]), 7);
        assert_eq!(line(&["list", "1", "method"]), 2, "a merged key is where the anchor has it");
        assert_eq!(line(&["list", "2"]), 8);
        assert_eq!(line(&["list", "2", "method"]), 2);
        assert_eq!(line(&["list", "1", "missing", "deeper"]), 6, "the deepest known part");
        assert_eq!(line(&["twice"]), 10);
        assert_eq!(positions.line(&path(&["twice"]), Which::First), Some(9));
        assert_eq!(positions.scalar(&path(&["base", "headers", "X"])), Some(("1.10", false)));
    }

    #[test]
    fn nesting_is_counted_up_to_the_limit() {
        assert_eq!(nests_deeper_than("a: [[1], [2]]", 3), None);
        assert_eq!(nests_deeper_than("a:\n - [[1]]", 3), Some(2));
        for unit in ["[", "{", "- ", "? ", "[a: ", "{a: ", "- a:\n"] {
            if unit != "- a:\n" {
                assert_eq!(nests_deeper_than(&unit.repeat(1_000_000), 60), Some(1), "{unit}");
            }
        }
    }
}
