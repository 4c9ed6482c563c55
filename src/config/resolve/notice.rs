//! `notice_files`: files of the operator's words, watched.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::tz::TimeZone;

use super::maintenance::{audience, moment};
use super::target_files::files_of;
use super::{Resolver, parsed_as};
use crate::config::load::Format;
use crate::config::node::Node;
use crate::config::notice::Notice;
use crate::config::problem::{At, ConfigErrors};
use crate::config::raw::RawNotice;
use crate::config::{Source, Target, shape};

/// Longest text, in bytes: it is a label of a series, and a paragraph of a message.
const MAX_BYTES: usize = 1_000;

/// What the files say, and which files those are.
pub(super) fn notices(patterns: &[String], at: &At<'_>, r: &mut Resolver<'_>) -> (Vec<Arc<Notice>>, Vec<PathBuf>) {
    let mut notices = Vec::new();
    let mut seen = Vec::new();
    for (index, pattern) in patterns.iter().enumerate() {
        for path in files_of(pattern, &at.index(index), r) {
            if seen.contains(&path) {
                continue;
            }
            let id = r.problems.file(path.clone());
            let Some(root) = r.tree(&path, id) else { continue };
            notices.extend(entries(&root, &At::root(id), r).into_iter().map(Arc::new));
            seen.push(path);
        }
    }
    (notices, seen)
}

/// One file by itself, read as [`notices`] does.
pub(in crate::config) fn alone(source: &Source) -> Result<Vec<Notice>, ConfigErrors> {
    let json = source.path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
    let (mut r, root, at) = parsed_as(source, if json { Format::Json } else { Format::Yaml }, &|_| None)?;
    let notices = entries(&root, &at, &mut r);
    if r.problems.is_empty() { Ok(notices) } else { Err(r.problems.into_errors()) }
}

fn entries(root: &Node, at: &At<'_>, r: &mut Resolver<'_>) -> Vec<Notice> {
    match root {
        // Nothing to say is the usual case.
        Node::Null => Vec::new(),
        Node::List(entries) => {
            let entries = entries.iter().enumerate();
            entries.filter_map(|(index, entry)| notice(entry, &at.index(index), r)).collect()
        }
        other @ (Node::Bool(_) | Node::Int(_) | Node::Float(..) | Node::Text(_) | Node::Binary(_) | Node::Map(_)) => {
            let message = format!("expected a list of notices, each with targets and cause, found {}", other.kind());
            r.problems.add(at, message);
            Vec::new()
        }
    }
}

/// Words that nobody gets are most likely a slip.
pub(super) fn warn_unused(notices: &[Arc<Notice>], targets: &[Arc<Target>], at: &At<'_>, r: &mut Resolver<'_>) {
    for notice in notices {
        if !targets.iter().any(|target| notice.audience.has(&target.name, &target.labels)) {
            let cause = crate::config::problem::shorten(&notice.cause);
            r.warn(at, &format!("the notice {cause:?} is for no target that there is"));
        }
    }
}

fn notice(node: &Node, at: &At<'_>, r: &mut Resolver<'_>) -> Option<Notice> {
    let raw: RawNotice = shape::read(node, at, &mut r.problems);
    if !matches!(node, Node::Map(_)) {
        return None;
    }
    let RawNotice { targets, labels, cause, action, next_update } = raw;
    let audience = audience(targets, labels, at, r);
    let cause = words(cause, &at.key("cause"), r);
    let action = words(action, &at.key("action"), r);
    if cause.is_empty() && action.is_empty() {
        r.problems.add(at, "says nothing; give it cause or action");
    }
    let next_update = next_update.filter(|text| !text.is_empty());
    let next_update = next_update.and_then(|text| moment(Some(text), &TimeZone::UTC, &at.key("next_update"), r));
    Some(Notice { cause, action, next_update, audience })
}

fn words(raw: Option<String>, at: &At<'_>, r: &mut Resolver<'_>) -> String {
    let text = raw.unwrap_or_default().trim().to_owned();
    if text.len() > MAX_BYTES {
        r.problems.add(at, format!("is {} bytes long; at most {MAX_BYTES} are allowed", text.len()));
    }
    text
}
