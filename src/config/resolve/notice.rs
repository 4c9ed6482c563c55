//! `notice_files`: files of the operator's words, watched.

use std::sync::Arc;

use jiff::tz::TimeZone;

use super::Resolver;
use super::maintenance::{audience, moment};
use super::target_files::files_of;
use crate::config::node::Node;
use crate::config::notice::Notice;
use crate::config::problem::At;
use crate::config::raw::RawNotice;
use crate::config::{Target, shape};

/// Longest text, in bytes: it is a label of a series, and a paragraph of a message.
const MAX_BYTES: usize = 1_000;

pub(super) fn notices(patterns: &[String], at: &At<'_>, r: &mut Resolver<'_>) -> Vec<Arc<Notice>> {
    let mut notices = Vec::new();
    let mut seen = Vec::new();
    for (index, pattern) in patterns.iter().enumerate() {
        for path in files_of(pattern, &at.index(index), r) {
            if seen.contains(&path) {
                continue;
            }
            let id = r.problems.file(path.clone());
            let Some(root) = r.tree(&path, id) else { continue };
            let at = At::root(id);
            match &root {
                // Nothing to say is the usual case.
                Node::Null => {}
                Node::List(entries) => {
                    for (index, entry) in entries.iter().enumerate() {
                        notices.extend(notice(entry, &at.index(index), r).map(Arc::new));
                    }
                }
                other @ (Node::Bool(_)
                | Node::Int(_)
                | Node::Float(..)
                | Node::Text(_)
                | Node::Binary(_)
                | Node::Map(_)) => {
                    let message =
                        format!("expected a list of notices, each with targets and cause, found {}", other.kind());
                    r.problems.add(&at, message);
                }
            }
            seen.push(path);
        }
    }
    notices
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
