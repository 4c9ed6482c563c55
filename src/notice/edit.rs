//! A notice file's text -> the text with one notice more, less or different. Pure.
//!
//! All else stays as it is, to the byte: other notices, comments, blank lines, ends of lines. Whether the edit came out as
//! it was meant is for the caller to find, by reading the new text as the exporter does.

use std::ops::Range;

use jiff::Timestamp;

use super::layout::{Entry, Layout, List, Style, Value};
use crate::config::notice::{Audience, Notice};
use crate::convert::yaml::{is_plain, quoted};

/// What to change of a notice; `None` stays.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Changes {
    pub(super) cause: Option<String>,
    pub(super) action: Option<String>,
    pub(super) next_update: Option<Option<Timestamp>>,
}

/// The file is written in a way that cannot be edited in place.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unfit(pub(super) &'static str);

impl Changes {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn apply(&self, notice: &mut Notice) {
        if let Some(cause) = &self.cause {
            cause.trim().clone_into(&mut notice.cause);
        }
        if let Some(action) = &self.action {
            action.trim().clone_into(&mut notice.action);
        }
        if let Some(next) = self.next_update {
            notice.next_update = next;
        }
    }

    /// Keys with their new texts; an empty one says nothing, and a file may have it.
    fn texts(&self) -> Vec<(&'static str, String)> {
        let mut texts = Vec::new();
        texts.extend(self.cause.as_ref().map(|text| ("cause", text.trim().to_owned())));
        texts.extend(self.action.as_ref().map(|text| ("action", text.trim().to_owned())));
        texts.extend(self.next_update.map(|next| ("next_update", next.map(|at| at.to_string()).unwrap_or_default())));
        texts
    }
}

/// The notice in front of all others, since a target has the first that is for it.
pub(super) fn add(text: &str, json: bool, notice: &Notice) -> Result<String, Unfit> {
    let newline = newline_of(text);
    match Layout::of(text) {
        Layout::Empty if json => Ok(format!("[{}]{newline}{text}", flow_entry(notice))),
        Layout::Empty => {
            let end = if text.is_empty() || text.ends_with('\n') { "" } else { newline };
            Ok(format!("{text}{end}{}", block_entry(notice, "", newline)))
        }
        Layout::Other => Err(Unfit("it is no list of notices")),
        Layout::Scalar(span) => Ok(instead_of(text, span, json, notice, newline)),
        Layout::List(List { style: Style::Flow, span, entries, .. }) if entries.is_empty() => {
            Ok(instead_of(text, span, json, notice, newline))
        }
        Layout::List(List { style: Style::Flow, span, entries, .. }) => {
            let first = entries.first().map_or(span.end, |entry| entry.span.start);
            let between = &text[span.start + 1..first];
            let between = if between.trim().is_empty() { between } else { " " };
            let between = if between.is_empty() { " " } else { between };
            let mut text = text.to_owned();
            text.insert_str(first, &format!("{},{between}", flow_entry(notice)));
            Ok(text)
        }
        Layout::List(list) => {
            let starts = starts(text, &list)?;
            let first = starts.first().copied().ok_or(Unfit("its first notice was not found"))?;
            let at = above_comments(text, first);
            let mut entry = block_entry(notice, &text[line_start(text, list.span.start)..list.span.start], newline);
            // As the file has it between the others.
            let between = starts.get(1).zip(list.entries.first()).map(|(next, first)| &text[first.span.end..*next]);
            if between.is_some_and(has_blank_line) || at < first {
                entry.push_str(newline);
            }
            let mut text = text.to_owned();
            text.insert_str(at, &entry);
            Ok(text)
        }
    }
}

pub(super) fn update(text: &str, index: usize, changes: &Changes) -> Result<String, Unfit> {
    let newline = newline_of(text);
    let entry = entry(text, index)?;
    let mut edits: Vec<(Range<usize>, String)> = Vec::new();
    let mut missing = String::new();
    for (key, value) in changes.texts() {
        let written = if entry.style == Style::Flow { quoted(&value) } else { sentence(&value) };
        match entry.keys.iter().rev().find(|(known, _)| known == key) {
            Some((_, Value { span, .. })) if !span.is_empty() => edits.push((span.clone(), written)),
            Some((_, Value { key_end, .. })) => {
                let colon = text[*key_end..].find(':').map(|colon| key_end + colon + 1);
                let colon = colon.ok_or(Unfit("a key of it has no colon"))?;
                edits.push((colon..colon, format!(" {written}")));
            }
            None if entry.style == Style::Flow => missing.push_str(&format!(", {}: {written}", quoted(key))),
            None => missing.push_str(&format!("{newline}{}{key}: {written}", " ".repeat(entry.indent))),
        }
    }
    if !missing.is_empty() {
        let at = match entry.style {
            Style::Flow => entry.keys.last().map(|(_, value)| value.span.end).ok_or(Unfit("it has no keys"))?,
            Style::Block | Style::Alias => line_end(text, entry.span.end),
        };
        edits.push((at..at, missing));
    }
    edits.sort_by_key(|(range, _)| (range.start, range.end));
    let mut text = text.to_owned();
    for (range, with) in edits.into_iter().rev() {
        text.replace_range(range, &with);
    }
    Ok(text)
}

/// Comments around it stay: whose they are cannot be told.
pub(super) fn remove(text: &str, index: usize) -> Result<String, Unfit> {
    let Layout::List(list) = Layout::of(text) else { return Err(Unfit("it is no list of notices")) };
    let entries = &list.entries;
    let entry = entries.get(index).ok_or(Unfit("it has fewer notices"))?;
    let range = if list.style == Style::Flow {
        match (index.checked_sub(1).and_then(|before| entries.get(before)), entries.get(index + 1)) {
            (_, Some(next)) => entry.span.start..next.span.start,
            (Some(before), None) => before.span.end..entry.span.end,
            (None, None) => entry.span.clone(),
        }
    } else {
        let start = *starts(text, &list)?.get(index).ok_or(Unfit("it has fewer notices"))?;
        let end = after_line(text, entry.span.end);
        // One blank line of the two that would meet.
        let blank_before = start == 0 || has_blank_end(&text[..start]);
        let next = after_line(text, end);
        let blank_after = end < text.len() && text[end..next].trim().is_empty();
        start..if blank_before && blank_after { next } else { end }
    };
    let mut text = text.to_owned();
    text.replace_range(range, "");
    Ok(text)
}

fn entry(text: &str, index: usize) -> Result<Entry, Unfit> {
    let Layout::List(mut list) = Layout::of(text) else { return Err(Unfit("it is no list of notices")) };
    if index >= list.entries.len() {
        return Err(Unfit("it has fewer notices"));
    }
    let entry = list.entries.swap_remove(index);
    if entry.style == Style::Alias || entry.keys.is_empty() {
        return Err(Unfit("the notice is a reference (*name) to another place"));
    }
    Ok(entry)
}

/// In the place of what says nothing, such as `[]`.
fn instead_of(text: &str, span: Range<usize>, json: bool, notice: &Notice, newline: &str) -> String {
    let alone = line_start(text, span.start) == span.start;
    let entry = if json || !alone {
        format!("[{}]", flow_entry(notice))
    } else {
        block_entry(notice, "", newline).trim_end().to_owned()
    };
    let mut text = text.to_owned();
    text.replace_range(span, &entry);
    text
}

/// The beginnings of the lines with the `-` of each notice.
fn starts(text: &str, list: &List) -> Result<Vec<usize>, Unfit> {
    let dash = |line: &str| {
        let rest = line.get(list.indent..).and_then(|rest| rest.strip_prefix('-'));
        rest.is_some_and(|rest| rest.trim_end_matches(['\r', '\n']).is_empty() || rest.starts_with([' ', '\t']))
            && line[..list.indent].trim().is_empty()
    };
    let mut floor = 0;
    let mut starts = Vec::new();
    for entry in &list.entries {
        let mut at = line_start(text, entry.span.start);
        while !dash(&text[at..after_line(text, at)]) {
            if at <= floor {
                return Err(Unfit("the - of a notice was not found"));
            }
            at = line_start(text, at - 1);
        }
        starts.push(at);
        floor = entry.span.end;
    }
    Ok(starts)
}

/// In front of the comment that is right above, if it is not the head of the file.
fn above_comments(text: &str, at: usize) -> usize {
    let mut top = at;
    while top > 0 {
        let above = line_start(text, top - 1);
        let line = text[above..top].trim();
        if line.starts_with('#') {
            top = above;
        } else if line.is_empty() {
            return top;
        } else {
            return at;
        }
    }
    at
}

fn block_entry(notice: &Notice, indent: &str, newline: &str) -> String {
    let Notice { cause, action, next_update, audience: Audience { names, labels } } = notice;
    let mut lines = Vec::new();
    if !names.is_empty() {
        let names: Vec<String> = names.iter().map(|name| word(name.as_str())).collect();
        lines.push(format!("targets: [{}]", names.join(", ")));
    }
    if !labels.is_empty() {
        let labels: Vec<String> =
            labels.iter().map(|(name, glob)| format!("{}: {}", word(name), word(glob.as_str()))).collect();
        lines.push(format!("labels: {{{}}}", labels.join(", ")));
    }
    if !cause.is_empty() {
        lines.push(format!("cause: {}", sentence(cause)));
    }
    if !action.is_empty() {
        lines.push(format!("action: {}", sentence(action)));
    }
    if let Some(next) = next_update {
        lines.push(format!("next_update: {next}"));
    }
    let lines = lines.iter().enumerate().map(|(index, line)| {
        let mark = if index == 0 { "- " } else { "  " };
        format!("{indent}{mark}{line}{newline}")
    });
    lines.collect()
}

/// JSON, which is YAML too.
fn flow_entry(notice: &Notice) -> String {
    let Notice { cause, action, next_update, audience: Audience { names, labels } } = notice;
    let mut keys = Vec::new();
    if !names.is_empty() {
        let names: Vec<String> = names.iter().map(|name| quoted(name.as_str())).collect();
        keys.push(format!("\"targets\": [{}]", names.join(", ")));
    }
    if !labels.is_empty() {
        let labels: Vec<String> =
            labels.iter().map(|(name, glob)| format!("{}: {}", quoted(name), quoted(glob.as_str()))).collect();
        keys.push(format!("\"labels\": {{{}}}", labels.join(", ")));
    }
    let texts = [("cause", cause.clone()), ("action", action.clone())];
    let next = next_update.map(|next| ("next_update", next.to_string()));
    for (key, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()).chain(next) {
        keys.push(format!("\"{key}\": {}", quoted(&text)));
    }
    format!("{{{}}}", keys.join(", "))
}

fn word(text: &str) -> String {
    if is_plain(text) { text.to_owned() } else { quoted(text) }
}

/// A value on a line of its own; without quotes if no reader could take it for anything else.
fn sentence(text: &str) -> String {
    let starts = text.chars().next().is_some_and(char::is_alphabetic);
    let words = text.contains(' ') && !text.contains(": ") && !text.contains(" #") && !text.ends_with([':', ' ']);
    let common = |c: char| c.is_alphanumeric() || " ,.;:!?()/_%+&='\"-–—€#".contains(c);
    let time = text.parse::<Timestamp>().is_ok();
    if time || is_plain(text) || (starts && words && text.chars().all(common)) { text.to_owned() } else { quoted(text) }
}

fn newline_of(text: &str) -> &'static str {
    if text.contains("\r\n") { "\r\n" } else { "\n" }
}

fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |newline| newline + 1)
}

/// Where the line of `at` ends, in front of what ends it.
fn line_end(text: &str, at: usize) -> usize {
    let end = text[at..].find('\n').map_or(text.len(), |newline| at + newline);
    if text[..end].ends_with('\r') { end - 1 } else { end }
}

/// Where the line after that of `at` begins.
fn after_line(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |newline| at + newline + 1)
}

fn has_blank_line(text: &str) -> bool {
    text.split('\n').skip(1).any(|line| line.trim().is_empty() && !line.is_empty())
        || text.contains("\n\n")
        || text.contains("\n\r\n")
}

fn has_blank_end(text: &str) -> bool {
    text.trim_end_matches('\n').len() + 1 < text.len() || text.ends_with("\n\r\n")
}
