//! `target_files`: files of targets, in our list form or in that of Prometheus's file_sd, YAML or JSON.

use std::path::Path;
use std::rc::Rc;

use super::depends_on::{self, List, Owner};
use super::global::Defaults;
use super::module::Modules;
use super::target::{self, Origin, Targets};
use super::{Resolver, address, shown_path};
use crate::config::expand::expand;
use crate::config::masked::masked_yaml;
use crate::config::node::Node;
use crate::config::problem::{At, Found, KeyPath, Step, shorten};
use crate::config::raw::{DurationText, Entries, RawTarget, RawTargetGroup};
use crate::config::shape;
use crate::config::watch::{Glob, has_wildcard};

#[allow(clippy::too_many_arguments)] // One call, and each is a thing of its own.
pub(super) fn target_files(
    patterns: &[String],
    at: &At<'_>,
    defaults: &Defaults,
    modules: &mut Modules,
    targets: &mut Targets,
    masked: &mut String,
    r: &mut Resolver<'_>,
) {
    let mut seen = Vec::new();
    for (index, pattern) in patterns.iter().enumerate() {
        let at = at.index(index);
        for path in files_of(pattern, &at, r) {
            // A file that two patterns match is one file.
            if seen.contains(&path) {
                continue;
            }
            file(&path, defaults, modules, targets, masked, r);
            seen.push(path);
        }
    }
}

pub(super) fn files_of(pattern: &str, at: &At<'_>, r: &mut Resolver<'_>) -> Vec<std::path::PathBuf> {
    let trimmed = pattern.trim();
    if trimmed.is_empty() {
        r.problems.add(at, "is empty; name a file or a pattern such as targets/*.yaml");
        return Vec::new();
    }
    if !has_wildcard(trimmed) {
        let path = r.files.locate(trimmed);
        return match r.files.content(&path) {
            Ok(_) => vec![path],
            Err(message) => {
                r.problems.add(at, format!("{} {message}", path.display()));
                Vec::new()
            }
        };
    }
    let path = shown_path(r.files.base(), trimmed);
    let (directory, name) = match (path.parent(), path.file_name().and_then(|name| name.to_str())) {
        (Some(directory), Some(name)) => (directory, name),
        _ => {
            r.problems.add(at, format!("{:?} ends in no file name", shorten(trimmed)));
            return Vec::new();
        }
    };
    let own_directory = Path::new(trimmed).parent().and_then(Path::to_str).unwrap_or_default();
    if has_wildcard(own_directory) {
        r.problems
            .add(at, format!("{:?} has a wildcard in a folder; only the last part may have one", shorten(trimmed)));
        return Vec::new();
    }
    let files = match r.files.glob(Glob { directory: directory.to_owned(), pattern: name.to_owned() }) {
        Ok(files) => files,
        Err(message) => {
            r.problems.add(at, format!("the folder {} {message}", directory.display()));
            return Vec::new();
        }
    };
    if files.is_empty() {
        r.remark(at, &format!("no file matches {} now; it is watched", shorten(trimmed)));
    }
    files
}

fn file(
    path: &Path,
    defaults: &Defaults,
    modules: &mut Modules,
    targets: &mut Targets,
    masked: &mut String,
    r: &mut Resolver<'_>,
) {
    let id = r.problems.file(path.to_owned());
    let Some(mut root) = r.tree(path, id) else { return };
    masked.push_str(&format!("---\n# {}\n{}", path.display(), masked_yaml(&root)));
    let at = At::root(id);
    expand(&mut root, r.environment, &at, &mut r.problems);
    let before = targets.len();
    match &root {
        // Tools that write such files write empty ones too.
        Node::Null => {}
        Node::List(entries) => {
            for (index, entry) in entries.iter().enumerate() {
                let at = at.index(index);
                if entry.get("targets").is_some() {
                    group(entry, &at, defaults, modules, targets, r);
                } else {
                    target::target(entry, &at, defaults, modules, targets, r);
                }
            }
        }
        other @ (Node::Bool(_) | Node::Int(_) | Node::Float(..) | Node::Text(_) | Node::Binary(_) | Node::Map(_)) => {
            let message = format!(
                "expected a list: of targets (- name: ...) or of Prometheus file_sd groups (- targets: [...]), found {}",
                other.kind()
            );
            r.problems.add(&at, message);
        }
    }
    if targets.len() == before && r.problems.is_empty() {
        let warning = format!("{}: no targets in this file", path.display());
        r.warnings.push(warning);
    }
}

/// Labels of a group that mean something; all others with two leading underscores are dropped, as Prometheus drops
/// them after relabelling.
pub(super) const MODULE_LABEL: &str = "__param_module";
const NAME_LABEL: &str = "__target_name";
const DEPENDS_ON_LABEL: &str = "__depends_on";
const INTERVAL_LABEL: &str = "__scrape_interval__";
const TIMEOUT_LABEL: &str = "__scrape_timeout__";

/// A file_sd group: each target is named by its address.
pub(super) fn group(
    node: &Node,
    at: &At<'_>,
    defaults: &Defaults,
    modules: &mut Modules,
    targets: &mut Targets,
    r: &mut Resolver<'_>,
) {
    let RawTargetGroup { targets: addresses, labels, _depends_on: _ } = shape::read(node, at, &mut r.problems);
    let addresses = addresses.unwrap_or_default();
    let labels = labels.map(|labels| labels.0).unwrap_or_default();
    let special = |name: &str| labels.iter().find(|(label, _)| label == name).map(|(_, value)| value.clone());
    let first = targets.len();
    let named = special(NAME_LABEL);
    if named.is_some() && addresses.len() > 1 {
        let message = format!("names one target, but this group has {}; give each its own group", addresses.len());
        r.problems.add(&at.key("labels").key(NAME_LABEL), message);
        return;
    }
    let public: Vec<_> = labels.iter().filter(|(name, _)| !name.starts_with("__")).cloned().collect();
    for (index, address) in addresses.into_iter().enumerate() {
        let name = named.clone().unwrap_or_else(|| address::shown(&address));
        let raw = RawTarget {
            name: Some(name),
            target: Some(address),
            module: special(MODULE_LABEL),
            interval: special(INTERVAL_LABEL).map(DurationText),
            timeout: special(TIMEOUT_LABEL).map(DurationText),
            labels: Some(Entries(public.clone())),
            ..RawTarget::default()
        };
        let before = r.problems.count();
        let at_targets = at.key("targets");
        let place = at_targets.index(index);
        let origin = if named.is_some() { Origin::Group } else { Origin::Address };
        target::resolve(raw, &Node::Null, origin, &place, defaults, modules, targets, r);
        // Problems are told where the group has the key, not where our own form would have it.
        let found = r.problems.split_off(before);
        r.problems.put_back(found.into_iter().map(|found| in_group(found, &at.path(), index)));
    }
    if let Some(list) = stands_behind(node, special(DEPENDS_ON_LABEL), at, r) {
        targets.group_from(first, &list);
    }
}

/// By a key of ours, or by a label where Prometheus reads the file too, which refuses keys that it does not know.
fn stands_behind(node: &Node, label: Option<String>, at: &At<'_>, r: &mut Resolver<'_>) -> Option<Rc<List>> {
    let key = node.get("depends_on").filter(|node| !matches!(node, Node::Null));
    let at_labels = at.key("labels");
    let at_label = at_labels.key(DEPENDS_ON_LABEL);
    match (key, label) {
        (Some(_), Some(_)) => {
            r.problems.add(&at_label, "cannot stand beside the group's depends_on; keep one of them");
            None
        }
        (None, Some(text)) => Some(depends_on::list_of_label(&text, &at_label, r)),
        (key, None) => depends_on::list(key, Owner::Default, &at.key("depends_on"), r),
    }
}

/// Moves a problem of a target to the key of its group.
fn in_group(mut found: Found, group: &KeyPath, index: usize) -> Found {
    // group, `targets`, index, then the key of our own form.
    let mut rest = found.path.0.split_off((group.0.len() + 2).min(found.path.0.len()));
    let mut path = group.0.clone();
    let label = |name: &str| [Step::Key("labels".into()), Step::Key(name.into())];
    match rest.first() {
        Some(Step::Key(key)) if &**key == "module" => path.extend(label(MODULE_LABEL)),
        Some(Step::Key(key)) if &**key == "interval" => path.extend(label(INTERVAL_LABEL)),
        Some(Step::Key(key)) if &**key == "timeout" => path.extend(label(TIMEOUT_LABEL)),
        Some(Step::Key(key)) if &**key == "labels" => path.append(&mut rest),
        Some(_) | None => path.extend([Step::Key("targets".into()), Step::Index(index)]),
    }
    found.path = KeyPath(path);
    found
}
