//! `depends_on`: names, globs and labels -> the parents of every target.
//!
//! A target's own list comes first, then that of its group, then that of `global`. The latter two are defaults: they
//! leave out the targets that they name, and what those depend on by lists of their own, since nothing stands behind
//! itself. Lists are looked up once, whoever shares them.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use super::Resolver;
use crate::config::node::Node;
use crate::config::parents::{self, Parents};
use crate::config::problem::{At, FileId, KeyPath, nearest, shorten};
use crate::config::raw::RawParents;
use crate::config::value::Glob;
use crate::config::{Target, TargetName, shape};

/// One `depends_on`, as written.
#[derive(Debug)]
pub(super) struct List {
    owner: Owner,
    file: FileId,
    path: KeyPath,
    entries: Vec<Entry>,
}

#[derive(Debug, PartialEq)]
pub(super) enum Owner {
    /// The target that has it, unless that has no good name.
    Target(Option<TargetName>),
    /// A group of a target file, or `global`.
    Default,
}

#[derive(Debug)]
struct Entry {
    file: FileId,
    path: KeyPath,
    selector: Selector,
}

#[derive(Debug)]
enum Selector {
    Name(String),
    Glob(String),
    /// All of them must match.
    Labels(Vec<(String, Glob)>),
}

/// Whose word counts for a target.
#[derive(Clone, Debug, Default)]
pub(super) struct Lists {
    pub(super) own: Option<Rc<List>>,
    pub(super) group: Option<Rc<List>>,
}

/// Forgets what these files say of it; true if that is anything.
pub(super) fn forget(lists: &mut [Lists], files: &[FileId]) -> bool {
    let mut forgotten = false;
    for list in lists.iter_mut().flat_map(|lists| [&mut lists.own, &mut lists.group]) {
        if list.as_ref().is_some_and(|list| files.contains(&list.file)) {
            *list = None;
            forgotten = true;
        }
    }
    forgotten
}

/// What is known of a name that no good target has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// It is that of a target with problems, which are reported where it stands.
    Faulty,
    /// It may be one of those that are still to be found.
    MayBeFound,
    No,
}

/// What stands at `depends_on`; `None` when nothing does.
pub(super) fn list(node: Option<&Node>, owner: Owner, at: &At<'_>, r: &mut Resolver<'_>) -> Option<Rc<List>> {
    const FORM: &str = "a list of names, name patterns with *, or {labels: {...}}";
    let items = match node? {
        Node::Null => return None,
        Node::List(items) => items,
        other @ (Node::Bool(_) | Node::Int(_) | Node::Float(..) | Node::Text(_) | Node::Binary(_) | Node::Map(_)) => {
            r.problems.add(at, format!("expected {FORM}, found {}", other.describe()));
            return None;
        }
    };
    let mut entries = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let at = at.index(index);
        let selector = match item {
            Node::Text(text) => name_or_glob(text, &at, r),
            Node::Int(number) => Some(Selector::Name(number.to_string())),
            Node::Float(_, text) => Some(Selector::Name(text.to_string())),
            Node::Bool(value) => Some(Selector::Name(value.to_string())),
            Node::Map(_) => labels(item, &at, r),
            Node::Null | Node::Binary(_) | Node::List(_) => {
                let message =
                    format!("expected a name, a name pattern with *, or {{labels: {{...}}}}, found {}", item.kind());
                r.problems.add(&at, message);
                None
            }
        };
        entries.extend(selector.map(|selector| Entry { file: at.file, path: at.path(), selector }));
    }
    Some(Rc::new(List { owner, file: at.file, path: at.path(), entries }))
}

/// The label of a file_sd group: names and globs with commas between them.
pub(super) fn list_of_label(text: &str, at: &At<'_>, r: &mut Resolver<'_>) -> Rc<List> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    let entries = parts.filter_map(|part| {
        let selector = name_or_glob(part, at, r)?;
        Some(Entry { file: at.file, path: at.path(), selector })
    });
    Rc::new(List { owner: Owner::Default, file: at.file, path: at.path(), entries: entries.collect() })
}

fn name_or_glob(text: &str, at: &At<'_>, r: &mut Resolver<'_>) -> Option<Selector> {
    if text.trim().is_empty() {
        r.problems.add(at, "is empty; name a target");
        return None;
    }
    Some(if text.contains('*') { Selector::Glob(text.to_owned()) } else { Selector::Name(text.to_owned()) })
}

fn labels(node: &Node, at: &At<'_>, r: &mut Resolver<'_>) -> Option<Selector> {
    let before = r.problems.count();
    let RawParents { labels } = shape::read(node, at, &mut r.problems);
    let labels: Vec<_> = labels.map(|labels| labels.0).unwrap_or_default();
    if labels.is_empty() && r.problems.count() == before {
        r.problems.add(at, "needs labels, such as {labels: {role: gateway}}");
    }
    let labels = labels.into_iter().map(|(name, value)| (name, Glob::new(&value))).collect::<Vec<_>>();
    (!labels.is_empty()).then_some(Selector::Labels(labels))
}

/// Looks everything up. `targets` are sorted by name, and `lists` has an entry for each. `known` tells of names that none of
/// them has; `others` are lists that no good target has, for their problems' sake.
pub(super) fn parents(
    targets: &[Arc<Target>],
    lists: &[Lists],
    global: Option<&Rc<List>>,
    others: &[Rc<List>],
    known: &dyn Fn(&str) -> Known,
    r: &mut Resolver<'_>,
) -> Parents {
    let mut look_up = LookUp { targets, known, found: HashMap::new(), globs: HashMap::new(), r };
    let own: Vec<Arc<[usize]>> = lists
        .iter()
        .map(|lists| lists.own.as_ref().map_or_else(|| Arc::new([]) as _, |list| look_up.list(list)))
        .collect();
    for list in others {
        look_up.list(list);
    }
    // What a default names, and what stands behind that.
    let mut above: HashMap<*const List, Rc<HashSet<usize>>> = HashMap::new();
    let all = lists.iter().enumerate().map(|(place, lists)| {
        if lists.own.is_some() {
            return Arc::clone(&own[place]);
        }
        let defaults = [lists.group.as_ref(), global];
        for list in defaults.into_iter().flatten() {
            let found = look_up.list(list);
            let above = above.entry(Rc::as_ptr(list)).or_insert_with(|| Rc::new(parents::reachable(&found, &own)));
            if !above.contains(&place) {
                return found;
            }
        }
        Arc::new([]) as _
    });
    let all: Vec<Arc<[usize]>> = all.collect();
    if let Some(list) = global {
        look_up.list(list);
    }
    // At the entry by which the first of them names the second.
    let mut tell = |row: &[usize], message: String| {
        let [child, parent, ..] = *row else { return };
        let lists = &lists[child];
        let all = [lists.own.as_ref(), lists.group.as_ref(), global];
        let mut entries = all.into_iter().flatten().flat_map(|list| &list.entries);
        if let Some(entry) = entries.find(|entry| entry.selector.has(&targets[parent])) {
            r.problems.add_path(entry.file, entry.path.clone(), message);
        }
    };
    let name = |place: usize| targets[place].name.as_str();
    for cycle in parents::cycles(&all) {
        tell(&cycle, format!("is a cycle: {}", chain(&cycle, name)));
    }
    if let Some(long) = parents::too_long(&all) {
        let message = format!(
            "{} targets stand behind one another; at most {} may: {}",
            long.len(),
            Parents::MOST_IN_A_ROW,
            chain(&long, name)
        );
        tell(&long, message);
    }
    Parents::new(all)
}

struct LookUp<'a, 'r, 'e> {
    targets: &'a [Arc<Target>],
    known: &'a dyn Fn(&str) -> Known,
    found: HashMap<*const List, Arc<[usize]>>,
    globs: HashMap<String, Rc<[usize]>>,
    r: &'r mut Resolver<'e>,
}

impl LookUp<'_, '_, '_> {
    /// What a list names.
    fn list(&mut self, list: &Rc<List>) -> Arc<[usize]> {
        if let Some(found) = self.found.get(&Rc::as_ptr(list)) {
            return Arc::clone(found);
        }
        let mut places = Vec::new();
        for entry in &list.entries {
            self.entry(entry, &list.owner, &mut places);
        }
        places.sort_unstable();
        places.dedup();
        if places.len() > Parents::MOST {
            let message = format!("names {} targets; at most {} may stand behind one", places.len(), Parents::MOST);
            self.r.problems.add_path(list.file, list.path.clone(), message);
            places.clear();
        }
        let found: Arc<[usize]> = places.into();
        self.found.insert(Rc::as_ptr(list), Arc::clone(&found));
        found
    }

    fn entry(&mut self, entry: &Entry, owner: &Owner, places: &mut Vec<usize>) {
        let own_name = match owner {
            Owner::Target(name) => name.as_ref().map(TargetName::as_str),
            Owner::Default => None,
        };
        let itself = |place: &usize| Some(self.targets[*place].name.as_str()) == own_name;
        let (file, path) = (entry.file, || entry.path.clone());
        match &entry.selector {
            Selector::Name(name) if Some(name.as_str()) == own_name => {
                self.r.problems.add_path(file, path(), "is the target itself; a target cannot depend on itself");
            }
            Selector::Name(name) => match self.targets.binary_search_by(|target| target.name.as_str().cmp(name)) {
                Ok(place) => places.push(place),
                Err(_) => {
                    let known = (self.known)(name);
                    if known == Known::Faulty {
                        return;
                    }
                    let hint = match nearest(name, self.targets.iter().map(|target| target.name.as_str())) {
                        Some(near) => format!("; did you mean {near}?"),
                        None => String::new(),
                    };
                    let message = format!("{:?} is not a target{hint}", shorten(name));
                    match known {
                        Known::MayBeFound => self.r.warn_path(file, &path(), &format!("{message} so far")),
                        Known::Faulty | Known::No => self.r.problems.add_path(file, path(), message),
                    }
                }
            },
            Selector::Glob(text) => {
                let found = match self.globs.get(text) {
                    Some(found) => Rc::clone(found),
                    None => {
                        let found: Rc<[usize]> = places_of(self.targets, &entry.selector).into();
                        self.globs.insert(text.clone(), Rc::clone(&found));
                        found
                    }
                };
                if found.is_empty() {
                    self.r.warn_path(file, &path(), &format!("no target matches {:?}", shorten(text)));
                } else if found.iter().any(itself) {
                    let message =
                        format!("{:?} matches the target itself; a target cannot depend on itself", shorten(text));
                    self.r.problems.add_path(file, path(), message);
                }
                places.extend(found.iter().copied().filter(|place| !itself(place)));
            }
            Selector::Labels(_) => {
                let found = places_of(self.targets, &entry.selector);
                if found.is_empty() {
                    self.r.warn_path(file, &path(), "no target has these labels");
                } else if found.iter().any(itself) {
                    let message = "the target itself has these labels; a target cannot depend on itself";
                    self.r.problems.add_path(file, path(), message);
                }
                places.extend(found.into_iter().filter(|place| !itself(place)));
            }
        }
    }
}

impl Selector {
    fn has(&self, target: &Target) -> bool {
        match self {
            Self::Name(name) => target.name.as_str() == name,
            Self::Glob(text) => Glob::new(text).matches(target.name.as_str()),
            Self::Labels(labels) => {
                labels.iter().all(|(name, glob)| target.labels.value(name).is_some_and(|value| glob.matches(value)))
            }
        }
    }
}

fn places_of(targets: &[Arc<Target>], selector: &Selector) -> Vec<usize> {
    targets.iter().enumerate().filter(|(_, target)| selector.has(target)).map(|(place, _)| place).collect()
}

/// `a -> b -> a`, the middle of a long one left out.
fn chain<'a>(places: &[usize], name: impl Fn(usize) -> &'a str) -> String {
    const SHOWN: usize = 12;
    let mut shown: Vec<String> = places.iter().map(|place| shorten(name(*place))).collect();
    if shown.len() > SHOWN {
        let left_out = shown.len() - (SHOWN - 1);
        shown.splice(SHOWN / 2..SHOWN / 2 + left_out, [format!("... {left_out} more ...")]);
    }
    shown.join(" -> ")
}

#[cfg(test)]
mod tests;
