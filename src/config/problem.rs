//! What is wrong with a config: places in files, problems, and the report that a person reads.
//!
//! A place is a chain of keys from the root of a file ([`At`] while walking, [`KeyPath`] when kept). Lines are looked
//! up once, at the end, and only when there is something to report.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::position::Positions;

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Step {
    Key(Box<str>),
    Index(usize),
}

impl From<&str> for Step {
    fn from(key: &str) -> Self {
        Self::Key(key.into())
    }
}

impl From<usize> for Step {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

/// `targets[3].http.valid_status_codes[0]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct KeyPath(pub(super) Vec<Step>);

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) => {
                    if position > 0 {
                        f.write_str(".")?;
                    }
                    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'<');
                    if !key.is_empty() && key.bytes().all(plain) {
                        f.write_str(key)?;
                    } else {
                        write!(f, "{:?}", shorten(key))?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Cuts text for a message, so that one absurd value does not fill the screen.
pub(super) fn shorten(text: &str) -> String {
    const MAX: usize = 80;
    if text.chars().count() <= MAX {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(MAX).collect();
    short.push('…');
    short
}

/// Which of the files that make up the config.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct FileId(pub(super) usize);

/// A place while walking: a borrowed chain, so that walking a good config allocates nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct At<'a> {
    pub(super) file: FileId,
    parent: Option<&'a At<'a>>,
    step: AtStep<'a>,
}

#[derive(Clone, Copy, Debug)]
enum AtStep<'a> {
    Root,
    Key(&'a str),
    Index(usize),
}

impl<'a> At<'a> {
    pub(super) fn root(file: FileId) -> Self {
        Self { file, parent: None, step: AtStep::Root }
    }

    pub(super) fn key(&'a self, key: &'a str) -> At<'a> {
        Self { file: self.file, parent: Some(self), step: AtStep::Key(key) }
    }

    pub(super) fn index(&'a self, index: usize) -> At<'a> {
        Self { file: self.file, parent: Some(self), step: AtStep::Index(index) }
    }

    pub(super) fn path(&self) -> KeyPath {
        let mut steps = self.parent.map(|parent| parent.path().0).unwrap_or_default();
        match self.step {
            AtStep::Root => {}
            AtStep::Key(key) => steps.push(Step::Key(key.into())),
            AtStep::Index(index) => steps.push(Step::Index(index)),
        }
        KeyPath(steps)
    }
}

/// A problem found, before its line is known.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Found {
    pub(super) file: FileId,
    pub(super) path: KeyPath,
    /// A line that is known without a lookup: that of a syntax error.
    line: Option<usize>,
    message: String,
    /// The earlier place that this one collides with.
    first: Option<(FileId, KeyPath)>,
}

impl Found {
    pub(super) fn message(&self) -> &str {
        &self.message
    }

    /// The same of something that the config does without.
    pub(super) fn left_out(self) -> Self {
        Self { message: format!("{}; it is left out", self.message), ..self }
    }

    fn is_missing(&self) -> bool {
        self.message.starts_with(REQUIRED)
    }
}

/// How the message of a missing key begins.
pub(super) const REQUIRED: &str = "is required";

/// A file that takes part, for the report.
#[derive(Debug)]
struct ReportFile {
    path: PathBuf,
    text: Option<Arc<str>>,
}

/// Gathers problems, the files that they are in, and what must not be printed.
#[derive(Debug, Default)]
pub(super) struct Problems {
    files: Vec<ReportFile>,
    found: Vec<Found>,
    /// What makes one module unusable and concerns nothing else.
    faults: Vec<Found>,
    /// What is no problem at all.
    notes: Vec<Found>,
    /// Values from the environment, and how the file writes them.
    expansions: HashMap<(FileId, KeyPath), Expansion>,
    /// Every variable that was expanded, by its name.
    variables: BTreeMap<String, String>,
}

#[derive(Debug)]
pub(super) struct Expansion {
    pub(super) written: String,
    pub(super) expanded: String,
}

impl Problems {
    pub(super) fn file(&mut self, path: PathBuf) -> FileId {
        self.files.push(ReportFile { path, text: None });
        FileId(self.files.len() - 1)
    }

    pub(super) fn file_text(&mut self, file: FileId, text: Arc<str>) {
        self.files[file.0].text = Some(text);
    }

    pub(super) fn path_of(&self, file: FileId) -> &std::path::Path {
        &self.files[file.0].path
    }

    pub(super) fn add(&mut self, at: &At<'_>, message: impl Into<String>) {
        self.add_path(at.file, at.path(), message);
    }

    /// A problem of one module alone, such as a file that is not there: the config is good without it.
    pub(super) fn add_fault(&mut self, at: &At<'_>, message: impl Into<String>) {
        self.faults.push(Found { file: at.file, path: at.path(), line: None, message: message.into(), first: None });
    }

    pub(super) fn add_path(&mut self, file: FileId, path: KeyPath, message: impl Into<String>) {
        self.found.push(Found { file, path, line: None, message: message.into(), first: None });
    }

    pub(super) fn add_line(&mut self, file: FileId, line: Option<usize>, message: impl Into<String>) {
        self.found.push(Found { file, path: KeyPath::default(), line, message: message.into(), first: None });
    }

    /// A collision: reported at `path`, naming the line of `first` too.
    pub(super) fn add_clash(
        &mut self,
        file: FileId,
        path: KeyPath,
        message: impl Into<String>,
        first: (FileId, KeyPath),
    ) {
        self.found.push(Found { file, path, line: None, message: message.into(), first: Some(first) });
    }

    pub(super) fn expanded(&mut self, at: &At<'_>, expansion: Expansion, variables: Vec<(String, String)>) {
        self.expansions.insert((at.file, at.path()), expansion);
        self.variables.extend(variables);
    }

    /// Remarks on each string of the modules that is not what the file has: blackbox_exporter takes it as it stands there.
    pub(super) fn note_expansions(&mut self) {
        for ((file, path), Expansion { written, .. }) in &self.expansions {
            if path.0.first() == Some(&Step::from("modules")) {
                let message = if written.contains("${") {
                    "has a variable, which is expanded here and not by blackbox_exporter; write $$ for a dollar sign"
                } else {
                    "has $$, which is one dollar sign here and two to blackbox_exporter; write $$ for each of them"
                };
                let (file, path) = (*file, path.clone());
                self.notes.push(Found { file, path, line: None, message: message.to_owned(), first: None });
            }
        }
    }

    pub(super) fn has_variables(&self) -> bool {
        !self.variables.is_empty()
    }

    pub(super) fn add_note(&mut self, file: FileId, path: KeyPath, message: impl Into<String>) {
        self.notes.push(Found { file, path, line: None, message: message.into(), first: None });
    }

    /// Makes a remark of what was found.
    pub(super) fn note(&mut self, found: Found) {
        self.notes.push(found);
    }

    pub(super) fn count(&self) -> usize {
        self.found.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Takes back what was found since `count`, for a caller that keeps only some of it.
    pub(super) fn split_off(&mut self, count: usize) -> Vec<Found> {
        self.found.split_off(count)
    }

    pub(super) fn put_back(&mut self, found: impl IntoIterator<Item = Found>) {
        self.found.extend(found);
    }

    /// A remark on a key whose value others may only refer to; it is not made where the value has an anchor.
    pub(super) fn note_unless_anchored(&mut self, at: &At<'_>, message: String) {
        let path = at.path();
        let anchored = self.files[at.file.0].text.as_deref().is_some_and(|text| Positions::new(text).has_anchor(&path));
        if !anchored {
            self.notes.push(Found { file: at.file, path, line: None, message, first: None });
        }
    }

    /// A remark on something that is there already, naming the line of `first` too.
    pub(super) fn note_clash(
        &mut self,
        file: FileId,
        path: KeyPath,
        message: impl Into<String>,
        first: (FileId, KeyPath),
    ) {
        self.notes.push(Found { file, path, line: None, message: message.into(), first: Some(first) });
    }

    /// What is worth a line in the log, as the report has it.
    pub(super) fn notes(&mut self) -> Vec<String> {
        let notes = std::mem::take(&mut self.notes);
        self.report(notes).problems.iter().map(ToString::to_string).collect()
    }

    pub(super) fn fault_count(&self) -> usize {
        self.faults.len()
    }

    /// Takes back the faults since `count`, for a caller that keeps only some of them.
    pub(super) fn split_off_faults(&mut self, count: usize) -> Vec<Found> {
        self.faults.split_off(count)
    }

    pub(super) fn put_back_faults(&mut self, faults: impl IntoIterator<Item = Found>) {
        self.faults.extend(faults);
    }

    /// The faults since `count` in one sentence, each with its key.
    pub(super) fn fault_sentence(&self, count: usize) -> Option<String> {
        let sentences: Vec<String> =
            self.faults[count..].iter().map(|fault| format!("{}: {}", fault.path, self.redact(fault))).collect();
        (!sentences.is_empty()).then(|| sentences.join("; "))
    }

    /// The report: problems and faults, lines looked up, values of the environment taken out, sorted.
    pub(super) fn into_errors(mut self) -> ConfigErrors {
        let mut found = std::mem::take(&mut self.found);
        found.append(&mut self.faults);
        self.report(found)
    }

    /// The faults alone, for a config that is good otherwise.
    pub(super) fn faults(&mut self) -> ConfigErrors {
        let faults = std::mem::take(&mut self.faults);
        self.report(faults)
    }

    fn report(&self, mut found: Vec<Found>) -> ConfigErrors {
        let mut maps: HashMap<FileId, Option<Positions>> = HashMap::new();
        let mut rows = Vec::with_capacity(found.len());
        // A value of the wrong type is left out by the reader, and then missed; the first says it all.
        let places: std::collections::HashSet<_> =
            found.iter().filter(|p| !p.is_missing()).map(|p| (p.file, p.path.clone())).collect();
        found.retain(|p| !p.is_missing() || !places.contains(&(p.file, p.path.clone())));
        for problem in found {
            // The second of two equal keys is the one at fault; a lookup finds the last.
            let line = problem.line.or_else(|| self.line(&mut maps, problem.file, &problem.path, Which::Last));
            let mut message = self.redact(&problem);
            if let Some((file, path)) = &problem.first {
                let place = match self.line(&mut maps, *file, path, Which::First) {
                    Some(line) if *file == problem.file => format!("line {line}"),
                    Some(line) => format!("{}:{line}", self.files[file.0].path.display()),
                    None => path.to_string(),
                };
                message = format!("{message}; the first is on {place}");
            }
            rows.push((problem.file, line, problem.path, message));
        }
        rows.sort_by(|a, b| (a.0, a.1, &a.2, &a.3).cmp(&(b.0, b.1, &b.2, &b.3)));
        rows.dedup();
        let problems = rows
            .into_iter()
            .map(|(file, line, path, message)| Problem {
                file: self.files[file.0].path.clone(),
                line,
                path: path.to_string(),
                message,
            })
            .collect();
        ConfigErrors { problems }
    }

    fn line(
        &self,
        maps: &mut HashMap<FileId, Option<Positions>>,
        file: FileId,
        path: &KeyPath,
        which: Which,
    ) -> Option<usize> {
        let positions =
            maps.entry(file).or_insert_with(|| self.files[file.0].text.as_deref().map(Positions::new)).as_ref()?;
        positions.line(path, which)
    }

    /// A value that came from the environment may be a secret: the message shows it as the file writes it.
    fn redact(&self, problem: &Found) -> String {
        const LONG_ENOUGH_TO_TELL: usize = 4;
        let mut message = problem.message.clone();
        if let Some(expansion) = self.expansions.get(&(problem.file, problem.path.clone()))
            && !expansion.expanded.is_empty()
        {
            message = message.replace(&expansion.expanded, &expansion.written);
            let escaped = expansion.expanded.escape_debug().to_string();
            message = message.replace(&escaped, &expansion.written);
        }
        for (name, value) in &self.variables {
            if value.len() >= LONG_ENOUGH_TO_TELL {
                message = message.replace(value.as_str(), &format!("${{{name}}}"));
            }
        }
        message
    }
}

/// Which of several equal keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    First,
    Last,
}

/// One problem, ready to print.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub file: PathBuf,
    /// From 1; `None` when the file could not be read as text.
    pub line: Option<usize>,
    /// The keys that lead to it; empty when the file as a whole is meant.
    pub path: String,
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if !self.path.is_empty() {
            write!(f, ": {}", self.path)?;
        }
        write!(f, ": {}", self.message)
    }
}

/// Every problem of a config, by file and line. Printed as one problem a line and a count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigErrors {
    problems: Vec<Problem>,
}

impl ConfigErrors {
    /// More than these are counted, not printed.
    pub const MAX_PRINTED: usize = 500;

    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    pub fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    pub(crate) fn add(&mut self, problem: Problem) {
        self.problems.push(problem);
    }
}

impl std::error::Error for ConfigErrors {}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in self.problems.iter().take(Self::MAX_PRINTED) {
            writeln!(f, "{problem}")?;
        }
        let more = self.problems.len().saturating_sub(Self::MAX_PRINTED);
        if more > 0 {
            writeln!(f, "... and {more} more")?;
        }
        match self.problems.len() {
            1 => f.write_str("1 problem"),
            many => write!(f, "{many} problems"),
        }
    }
}

/// The candidate that was probably meant, if one is close.
pub(super) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > 100 {
        return None;
    }
    let limit = match word.chars().count() {
        0..=2 => 0,
        3..=5 => 1,
        6..=9 => 2,
        _ => 3,
    };
    candidates
        .into_iter()
        .filter(|candidate| candidate.len().abs_diff(word.len()) <= 3 * limit)
        .map(|candidate| (distance(&word.to_ascii_lowercase(), &candidate.to_ascii_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Edits from one to the other; two letters in the wrong order are one edit.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let above = &rows[i - 1];
            let changed = above[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = changed.min(above[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

/// `a, b and c`
pub(super) fn list_of<S: AsRef<str>>(words: &[S]) -> String {
    match words {
        [] => "none".to_owned(),
        [one] => one.as_ref().to_owned(),
        [head @ .., last] => {
            let head: Vec<&str> = head.iter().map(AsRef::as_ref).collect();
            format!("{} and {}", head.join(", "), last.as_ref())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reads_as_one_would_write_it() {
        let root = At::root(FileId(0));
        let (targets, keys) = (root.key("targets"), ["http", "headers", "X-A.b"]);
        let third = targets.index(3);
        let (a, b) = (third.key(keys[0]), keys[1]);
        let c = a.key(b);
        assert_eq!(c.key(keys[2]).path().to_string(), r#"targets[3].http.headers."X-A.b""#);
    }

    #[test]
    fn nearest_guesses_typing_errors_only() {
        assert_eq!(nearest("intervall", ["interval", "timeout"]), Some("interval"));
        assert_eq!(nearest("metod", ["method", "body"]), Some("method"));
        assert_eq!(nearest("zebra", ["method", "body"]), None);
        assert_eq!(nearest("", ["method"]), None);
    }
}
