//! `uptime_exporter notice`: the operator's words, written into a notice file without an editor.
//!
//! `layout` finds where things stand in the file, `edit` makes the new text, and `write` puts it in the place of the old.
//! Before and after, the text is read by the exporter's own reader; when that does not find exactly what was meant, nothing
//! is written.

mod edit;
mod layout;
#[cfg(test)]
mod tests;
mod when;
mod write;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

pub use self::when::{NextUpdate, NextUpdateError};
pub use self::write::WriteError;

use self::edit::{Changes, Unfit};
use self::write::Locked;
use crate::cli::{NoticeAction, NoticeArgs, NoticeFile, NoticeFor};
use crate::config::notice::{Audience, Notice};
use crate::config::value::Glob;
use crate::config::{Config, ConfigErrors, Source, Target};

#[derive(Debug, thiserror::Error)]
pub enum NoticeError {
    /// Of the config, or of the file as it is.
    #[error("{0}")]
    Config(ConfigErrors),
    #[error("nothing was written: with this change, the file would have\n{0}")]
    Result(ConfigErrors),
    #[error("{}: is not there; notice add makes it", .0.display())]
    NoFile(PathBuf),
    #[error("{}: notice_files names no file that is there; give --file", .0.display())]
    NoneNamed(PathBuf),
    #[error("{}: notice_files names several files; give one of them with --file: {}", path.display(), joined(files))]
    SeveralNamed { path: PathBuf, files: Vec<PathBuf> },
    #[error("{}: cannot be edited in place: {why}; edit it by hand", path.display())]
    Unfit { path: PathBuf, why: &'static str },
    #[error("--next-update: {0}")]
    NextUpdate(#[from] NextUpdateError),
    #[error("say whom it is for: --target NAME or --label NAME=VALUE")]
    NoAudience,
    #[error("say what it says: --cause or --action")]
    NoWords,
    #[error("say what to change: --cause, --action or --next-update")]
    NoChange,
    #[error("{}: there is a notice for {audience} already, number {number}; change it with notice update", path.display())]
    Twice { path: PathBuf, audience: String, number: usize },
    #[error("{}: there is no notice for exactly {audience}; {there}", path.display())]
    NotFound { path: PathBuf, audience: String, there: String },
    #[error("{}: there is no notice number {number}; {there}", path.display())]
    NoNumber { path: PathBuf, number: usize, there: String },
    #[error("{}: several notices are for {audience}: numbers {numbers}; say which with --number", path.display())]
    Several { path: PathBuf, audience: String, numbers: String },
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl NoticeError {
    /// Whether what was asked for is wrong, rather than that it could not be done.
    pub fn is_misuse(&self) -> bool {
        !matches!(self, Self::Write(_))
    }
}

/// Does what is asked, and says what was done.
///
/// # Errors
/// It was not done, and the file is as it was.
pub fn run(args: &NoticeArgs) -> Result<String, NoticeError> {
    let now = Timestamp::now();
    let world = World::read(args.action.file())?;
    match &args.action {
        NoticeAction::List(_) => world.list(now),
        NoticeAction::Add { file: _, audience, words, check } => {
            let audience = audience_of(audience);
            if audience == Audience::default() {
                return Err(NoticeError::NoAudience);
            }
            let mut notice =
                Notice { cause: String::new(), action: String::new(), next_update: None, audience: audience.clone() };
            changes_of(words, now)?.apply(&mut notice);
            if notice.cause.is_empty() && notice.action.is_empty() {
                return Err(NoticeError::NoWords);
            }
            let mut file = File::open(world.one_file()?, Missing::IsEmpty)?;
            if let Some(number) = file.number_of(&audience) {
                let (path, audience) = (file.path, shown(&audience));
                return Err(NoticeError::Twice { path, audience, number });
            }
            let text = edit::add(&file.text, file.is_json(), &notice);
            file.notices.insert(0, notice.clone());
            let said = world.told(&file, 0, "added", now);
            file.put(text, *check)?;
            Ok(said.headed(*check))
        }
        NoticeAction::Update { file: _, which, words, check } => {
            let changes = changes_of(words, now)?;
            if changes.is_empty() {
                return Err(NoticeError::NoChange);
            }
            let mut file = world.file_with(which)?;
            let index = file.find(which)?;
            let text = edit::update(&file.text, index, &changes);
            changes.apply(&mut file.notices[index]);
            let said = world.told(&file, index, "changed", now);
            file.put(text, *check)?;
            Ok(said.headed(*check))
        }
        NoticeAction::End { file: _, which, check } => {
            let mut file = world.file_with(which)?;
            let index = file.find(which)?;
            let text = edit::remove(&file.text, index);
            let said = world.told(&file, index, "ended", now);
            file.notices.remove(index);
            file.put(text, *check)?;
            Ok(said.headed(*check))
        }
    }
}

/// What `--file` or `--config` leads to.
struct World {
    /// With `--config`: what else there is.
    config: Option<Config>,
    path: PathBuf,
}

/// A file that is being edited.
struct File {
    path: PathBuf,
    locked: Locked,
    text: String,
    /// Editors of some systems put it in front.
    mark: bool,
    /// What it has; in the end, what it is to have.
    notices: Vec<Notice>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Missing {
    IsEmpty,
    IsAnError,
}

/// What was done, for people.
struct Said(String);

impl World {
    fn read(file: &NoticeFile) -> Result<Self, NoticeError> {
        match (&file.file, &file.config) {
            (Some(path), _) => Ok(Self { config: None, path: path.clone() }),
            (None, config) => {
                let config = config.clone().unwrap_or_else(|| PathBuf::from("config.yaml"));
                let loaded = crate::config::load(&config).map_err(NoticeError::Config)?;
                Ok(Self { config: Some(loaded), path: config })
            }
        }
    }

    fn files(&self) -> Vec<PathBuf> {
        self.config.as_ref().map_or_else(|| vec![self.path.clone()], |config| config.notice_files.clone())
    }

    fn one_file(&self) -> Result<PathBuf, NoticeError> {
        let files = self.files();
        match files.as_slice() {
            [] => Err(NoticeError::NoneNamed(self.path.clone())),
            [file] => Ok(file.clone()),
            _ => Err(NoticeError::SeveralNamed { path: self.path.clone(), files }),
        }
    }

    /// Of several, the only one that has such a notice.
    fn file_with(&self, which: &NoticeFor) -> Result<File, NoticeError> {
        let files = self.files();
        if files.len() > 1 && which.number.is_none() {
            let audience = audience_of(&which.audience);
            let mut having = Vec::new();
            for path in &files {
                let notices = read(path)?;
                having.extend(notices.iter().any(|notice| same(&notice.audience, &audience)).then_some(path));
            }
            if let [only] = having.as_slice() {
                return File::open((*only).clone(), Missing::IsAnError);
            }
        }
        File::open(self.one_file()?, Missing::IsAnError)
    }

    fn list(&self, now: Timestamp) -> Result<String, NoticeError> {
        let mut text = String::new();
        let files = self.files();
        for path in &files {
            let notices = read(path)?;
            if notices.is_empty() {
                let _ = writeln!(text, "{}: no notices", path.display());
            }
            for (index, notice) in notices.iter().enumerate() {
                let _ = writeln!(text, "{}: {}: {}", path.display(), index + 1, shown(&notice.audience));
                text.push_str(&words_of(notice, now));
                text.push_str(&self.reach(path, &notices, index));
            }
        }
        if files.is_empty() {
            return Err(NoticeError::NoneNamed(self.path.clone()));
        }
        Ok(text)
    }

    fn told(&self, file: &File, index: usize, done: &str, now: Timestamp) -> Said {
        let notice = &file.notices[index];
        let mut text = format!("{}: {done}: the notice for {}\n", file.path.display(), shown(&notice.audience));
        text.push_str(&words_of(notice, now));
        if done != "ended" {
            text.push_str(&self.reach(&file.path, &file.notices, index));
        }
        Said(text)
    }

    /// Which targets have it, where the config tells; a target has the first that is for it.
    fn reach(&self, path: &Path, notices: &[Notice], index: usize) -> String {
        const NAMED: usize = 10;
        let Some(config) = &self.config else { return String::new() };
        let notice = &notices[index];
        let is_for = |notice: &Notice, target: &Arc<Target>| notice.audience.has(&target.name, &target.labels);
        let meant: Vec<&Arc<Target>> = config.targets.iter().filter(|target| is_for(notice, target)).collect();
        if meant.is_empty() {
            return "  warning: it is for no target that there is\n".to_owned();
        }
        let mut before: Vec<Notice> = Vec::new();
        for file in config.notice_files.iter().take_while(|file| *file != path) {
            before.extend(read(file).unwrap_or_default());
        }
        before.extend(notices[..index].iter().cloned());
        let (hidden, seen): (Vec<_>, Vec<_>) =
            meant.into_iter().partition(|target| before.iter().any(|notice| is_for(notice, target)));
        let names = |targets: &[&Arc<Target>]| {
            let more = targets.len().saturating_sub(NAMED);
            let names: Vec<&str> = targets.iter().take(NAMED).map(|target| target.name.as_str()).collect();
            names.join(", ") + &if more > 0 { format!(" and {more} more") } else { String::new() }
        };
        let mut text = String::new();
        if !seen.is_empty() {
            let _ = writeln!(text, "  targets: {}", names(&seen));
        }
        if !hidden.is_empty() {
            let _ = writeln!(text, "  warning: another notice stands before it for: {}", names(&hidden));
        }
        text
    }
}

impl File {
    fn open(path: PathBuf, missing: Missing) -> Result<Self, NoticeError> {
        let locked = Locked::open(&path)?;
        let (text, mark, notices) = match locked.bytes() {
            None if missing == Missing::IsAnError => return Err(NoticeError::NoFile(path)),
            None => (String::new(), false, Vec::new()),
            Some(bytes) => {
                let source = Source::read(&path).map_err(NoticeError::Config)?;
                let notices = source.notices().map_err(NoticeError::Config)?;
                (source.text().to_owned(), bytes.starts_with("\u{feff}".as_bytes()), notices)
            }
        };
        Ok(Self { path, locked, text, mark, notices })
    }

    fn is_json(&self) -> bool {
        self.path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"))
    }

    /// Counted from one, as people do.
    fn number_of(&self, audience: &Audience) -> Option<usize> {
        self.notices.iter().position(|notice| same(&notice.audience, audience)).map(|index| index + 1)
    }

    fn find(&self, which: &NoticeFor) -> Result<usize, NoticeError> {
        let path = || self.path.clone();
        if let Some(number) = which.number {
            let index = number.checked_sub(1).filter(|index| *index < self.notices.len());
            return index.ok_or_else(|| NoticeError::NoNumber { path: path(), number, there: self.there() });
        }
        let audience = audience_of(&which.audience);
        if audience == Audience::default() {
            return Err(NoticeError::NoAudience);
        }
        let found: Vec<usize> =
            (0..self.notices.len()).filter(|index| same(&self.notices[*index].audience, &audience)).collect();
        match found.as_slice() {
            [only] => Ok(*only),
            [] => Err(NoticeError::NotFound { path: path(), audience: shown(&audience), there: self.there() }),
            several => {
                let numbers: Vec<String> = several.iter().map(|index| (index + 1).to_string()).collect();
                Err(NoticeError::Several { path: path(), audience: shown(&audience), numbers: numbers.join(", ") })
            }
        }
    }

    fn there(&self) -> String {
        const NAMED: usize = 10;
        if self.notices.is_empty() {
            return "there is none at all".to_owned();
        }
        let mut all: Vec<String> = self
            .notices
            .iter()
            .take(NAMED)
            .enumerate()
            .map(|(index, notice)| format!("{}: {}", index + 1, shown(&notice.audience)))
            .collect();
        if self.notices.len() > NAMED {
            all.push(format!("and {} more", self.notices.len() - NAMED));
        }
        format!("there are: {}", all.join("; "))
    }

    /// Reads the new text as the exporter will, and writes it if that has exactly what is meant.
    fn put(self, text: Result<String, Unfit>, check: bool) -> Result<(), NoticeError> {
        let unfit = |why| NoticeError::Unfit { path: self.path.clone(), why };
        let text = text.map_err(|Unfit(why)| unfit(why))?;
        let found = Source::new(&self.path, text.as_str()).notices().map_err(NoticeError::Result)?;
        if found != self.notices {
            return Err(unfit("it is written in an unusual way, and the change would reach more than the notice"));
        }
        if check {
            return Ok(());
        }
        let text = if self.mark { format!("\u{feff}{text}") } else { text };
        Ok(self.locked.replace(text.as_bytes())?)
    }
}

impl Said {
    fn headed(self, check: bool) -> String {
        if check { format!("Nothing was written (--check).\n{}", self.0) } else { self.0 }
    }
}

fn read(path: &Path) -> Result<Vec<Notice>, NoticeError> {
    Source::read(path).and_then(|source| source.notices()).map_err(NoticeError::Config)
}

fn audience_of(given: &crate::cli::NoticeAudience) -> Audience {
    Audience {
        names: given.targets.iter().map(|name| Glob::new(name)).collect(),
        labels: given.labels.iter().map(|(name, value)| (name.clone(), Glob::new(value))).collect(),
    }
}

fn changes_of(words: &crate::cli::NoticeWords, now: Timestamp) -> Result<Changes, NoticeError> {
    let next_update = words.next_update.map(|next| next.resolve(now)).transpose()?;
    Ok(Changes { cause: words.cause.clone(), action: words.action.clone(), next_update })
}

/// In whatever order they were written.
fn same(one: &Audience, other: &Audience) -> bool {
    let sorted = |audience: &Audience| {
        let mut names: Vec<String> = audience.names.iter().map(|glob| glob.as_str().to_owned()).collect();
        let mut labels: Vec<(String, String)> =
            audience.labels.iter().map(|(name, glob)| (name.clone(), glob.as_str().to_owned())).collect();
        names.sort();
        names.dedup();
        labels.sort();
        (names, labels)
    };
    sorted(one) == sorted(other)
}

fn shown(audience: &Audience) -> String {
    let names = audience.names.iter().map(|glob| format!("target {}", glob.as_str()));
    let labels = audience.labels.iter().map(|(name, glob)| format!("label {name}={}", glob.as_str()));
    names.chain(labels).collect::<Vec<_>>().join(", ")
}

fn words_of(notice: &Notice, now: Timestamp) -> String {
    let mut text = String::new();
    for (what, words) in [("cause", &notice.cause), ("action", &notice.action)] {
        if !words.is_empty() {
            let _ = writeln!(text, "  {what}: {words}");
        }
    }
    if let Some(next) = notice.next_update {
        let minutes = (next.as_second() - now.as_second()).div_euclid(60);
        let distance = match minutes.unsigned_abs() {
            minutes @ 0..120 => format!("{minutes} min"),
            minutes @ 120..2_880 => format!("{} h", minutes / 60),
            minutes => format!("{} d", minutes / 1_440),
        };
        let distance = if minutes < 0 { format!("overdue by {distance}") } else { format!("in {distance}") };
        let _ = writeln!(text, "  next update: {} UTC, {distance}", next.strftime("%Y-%m-%d %H:%M"));
    }
    text
}

fn joined(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}
