//! What could not be carried over: where it stands, what it is, and what to do instead.

use std::fmt;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// `FILE:LINE`
    place: String,
    job: Option<String>,
    /// What, and after a semicolon what to do. No secrets.
    text: String,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.job {
            Some(job) => write!(f, "{}: job {job}: {}", self.place, self.text),
            None => write!(f, "{}: {}", self.place, self.text),
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Notes(Vec<Note>);

impl Notes {
    pub(super) fn add(&mut self, place: String, job: Option<&str>, text: impl Into<String>) {
        let note = Note { place, job: job.map(one_line), text: one_line(&text.into()) };
        if !self.0.contains(&note) {
            self.0.push(note);
        }
    }

    pub(super) fn finish(self) -> Vec<Note> {
        self.0
    }

    /// Forgets what is about other jobs.
    pub(super) fn retain_jobs(&mut self, jobs: &[String]) {
        self.0.retain(|note| note.job.as_ref().is_none_or(|job| jobs.iter().any(|kept| one_line(kept) == *job)));
    }

    pub(super) fn all(&self) -> &[Note] {
        &self.0
    }
}

/// Notes are comments of the config too.
pub(super) fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { ' ' } else { c }).collect()
}

/// `1 target`, `2 targets`
pub(super) fn count(number: usize, thing: &str) -> String {
    if number == 1 { format!("1 {thing}") } else { format!("{number} {thing}s") }
}

/// `a, b and c`; the rest of a long list is counted.
pub(super) fn list<S: AsRef<str>>(words: &[S]) -> String {
    const SHOWN: usize = 12;
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    match words.as_slice() {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [head @ .., last] if words.len() <= SHOWN => format!("{} and {last}", head.join(", ")),
        many => format!("{} and {} more", many[..SHOWN].join(", "), many.len() - SHOWN),
    }
}
