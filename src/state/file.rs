//! The state file: one line that says what follows, then a line of JSON for each target.
//!
//! It is written whole, next to its place, and then put there in one step, so that there is always one that is whole.
//! The checksum tells a file that something else has damaged.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::Saved;

/// What the first line says the file is.
const FORMAT: &str = "uptime_exporter state";
/// Grows with a change that older releases would misread. Fields may be added without.
const VERSION: u32 = 1;

/// The first line.
#[derive(Serialize, Deserialize)]
struct Head {
    format: String,
    version: u32,
    /// Unix seconds.
    written: u64,
    /// The process stopped in order after this.
    stopped: bool,
    targets: usize,
    /// Lower-case hex, of all that follows the first line.
    sha256: String,
}

/// Where state outlives the process. One process writes it at a time.
pub struct StateFile {
    path: PathBuf,
    /// Set by the last write of all; one that comes late must not take its place.
    closed: Mutex<bool>,
}

/// What a state file held.
#[derive(Debug, PartialEq)]
pub enum Found {
    /// There is no file yet.
    Nothing,
    /// Targets in the order of their names.
    State { targets: Vec<Saved>, written: SystemTime, stopped: bool },
    /// It could not be read for what it is, and now lies elsewhere.
    Damaged { why: String, moved_to: PathBuf },
}

/// Why a state file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the state file {path:?}: cannot {action}: {error}")]
pub struct StateFileError {
    path: PathBuf,
    action: &'static str,
    #[source]
    error: io::Error,
}

impl StateFile {
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), closed: Mutex::new(false) }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads what there is. A damaged file is set aside: it is somebody's evidence still.
    ///
    /// # Errors
    /// When the file is there and cannot be read, or nothing can be written in its place.
    pub fn read(&self) -> Result<Found, StateFileError> {
        let text = match fs::read(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.try_writing()?;
                return Ok(Found::Nothing);
            }
            Err(error) => return Err(self.error("read it", error)),
        };
        self.try_writing()?;
        match parse(&text) {
            Ok((head, targets)) => {
                let written = UNIX_EPOCH.checked_add(std::time::Duration::from_secs(head.written));
                Ok(Found::State { targets, written: written.unwrap_or(UNIX_EPOCH), stopped: head.stopped })
            }
            Err(why) => {
                let moved_to = self.aside();
                fs::rename(&self.path, &moved_to).map_err(|error| self.error("set the damaged one aside", error))?;
                Ok(Found::Damaged { why, moved_to })
            }
        }
    }

    /// Writes these targets. `stopped`: nothing will be written, counted or served after this.
    ///
    /// # Errors
    /// When the file could not be written; the one before is still there.
    pub fn write(&self, targets: &[Saved], now: SystemTime, stopped: bool) -> Result<(), StateFileError> {
        let text = render(targets, now, stopped).map_err(|error| self.error("write it", error))?;
        let mut closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        if *closed {
            return Ok(());
        }
        *closed = stopped;
        self.replace(&text).map_err(|error| self.error("write it", error))
    }

    fn replace(&self, text: &[u8]) -> io::Result<()> {
        let new = self.beside("new");
        let put = || {
            let mut file = create(&new)?;
            file.write_all(text)?;
            file.sync_all()?;
            fs::rename(&new, &self.path)
        };
        put().inspect_err(|_| {
            // A part of it would keep a full disk full. Where it cannot be taken away, the next write takes its place.
            let _ = fs::remove_file(&new);
        })?;
        // So that the new name is there after a power cut too.
        File::open(parent(&self.path))?.sync_all()
    }

    /// It is better to hear at the start that nothing will be kept than after an outage.
    fn try_writing(&self) -> Result<(), StateFileError> {
        let new = self.beside("new");
        create(&new).and_then(|_| fs::remove_file(&new)).map_err(|error| self.error("write beside it", error))
    }

    /// A name that is free, as far as one can tell.
    fn aside(&self) -> PathBuf {
        let plain = self.beside("damaged");
        let numbered = (2..100).map(|number| self.beside(&format!("damaged.{number}")));
        std::iter::once(plain.clone()).chain(numbered).find(|path| !path.exists()).unwrap_or(plain)
    }

    fn beside(&self, ending: &str) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(".");
        name.push(ending);
        name.into()
    }

    fn error(&self, action: &'static str, error: io::Error) -> StateFileError {
        StateFileError { path: self.path.clone(), action, error }
    }
}

/// Evidence is for those who may read the pages, not for every user of the machine.
fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn render(targets: &[Saved], now: SystemTime, stopped: bool) -> io::Result<Vec<u8>> {
    let mut lines = Vec::new();
    for target in targets {
        serde_json::to_writer(&mut lines, target)?;
        lines.push(b'\n');
    }
    let head = Head {
        format: FORMAT.to_owned(),
        version: VERSION,
        written: now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
        stopped,
        targets: targets.len(),
        sha256: checksum(&lines),
    };
    let mut text = serde_json::to_vec(&head)?;
    text.push(b'\n');
    text.append(&mut lines);
    Ok(text)
}

/// One sentence on what is wrong, or all of it.
fn parse(text: &[u8]) -> Result<(Head, Vec<Saved>), String> {
    let end = text.iter().position(|byte| *byte == b'\n').ok_or("it has no whole first line")?;
    let (head, lines) = (&text[..end], &text[end + 1..]);
    let head: Head =
        serde_json::from_slice(head).map_err(|error| format!("its first line is not that of a state file: {error}"))?;
    if head.format != FORMAT {
        return Err(format!("it says that it is {:?}, expected {FORMAT:?}", head.format));
    }
    if head.version != VERSION {
        return Err(format!("it is of version {}, this release reads {VERSION}", head.version));
    }
    if checksum(lines) != head.sha256 {
        return Err("its checksum does not fit what it holds".to_owned());
    }
    let targets: Result<Vec<Saved>, String> = lines
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .enumerate()
        .map(|(index, line)| serde_json::from_slice(line).map_err(|error| format!("line {}: {error}", index + 2)))
        .collect();
    let targets = targets?;
    if targets.len() != head.targets {
        return Err(format!("it has {} targets, its first line says {}", targets.len(), head.targets));
    }
    Ok((head, targets))
}

fn checksum(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::os::unix::fs::PermissionsExt as _;

    use proptest::prelude::*;
    use tokio::time::Instant;

    use super::*;
    use crate::metrics::fixture;
    use crate::state::TargetState;

    /// Every kind of detail that there is.
    fn saved() -> Vec<Saved> {
        let now = Instant::now();
        let target = |snapshot: crate::state::TargetSnapshot| {
            let state = TargetState::new(snapshot.target, now);
            let capsules = snapshot.capsules;
            for run in [capsules.last_good, capsules.first_failure, snapshot.last].into_iter().flatten() {
                state.begin(now);
                state.record((*run).clone(), now);
            }
            state.save(now)
        };
        fixture::complete().targets.into_iter().map(target).collect()
    }

    fn at(second: u64) -> SystemTime {
        UNIX_EPOCH + std::time::Duration::from_secs(second)
    }

    #[test]
    fn what_was_written_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let file = StateFile::new(dir.path().join("state"));
        assert_eq!(file.read().unwrap(), Found::Nothing);
        let targets = saved();
        assert!(targets.len() > 5);
        file.write(&targets, at(7), false).unwrap();
        assert_eq!(file.read().unwrap(), Found::State { targets, written: at(7), stopped: false });
        let mode = fs::metadata(file.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "evidence is not for everybody");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn nothing_is_written_after_the_last_write() {
        let dir = tempfile::tempdir().unwrap();
        let file = StateFile::new(dir.path().join("state"));
        file.write(&[], at(7), true).unwrap();
        file.write(&[], at(9), false).unwrap();
        assert_eq!(file.read().unwrap(), Found::State { targets: vec![], written: at(7), stopped: true });
    }

    #[test]
    fn a_damaged_file_is_set_aside_and_says_why() {
        let whole = render(&saved(), at(7), true).unwrap();
        let text = String::from_utf8(whole.clone()).unwrap();
        let flipped = text.replacen("\"verdict\":\"", "\"verdict\": \"", 1);
        let newer = text.replacen("\"version\":1", "\"version\":2", 1);
        let cases: [(&[u8], &str); 7] = [
            (b"", "no whole first line"),
            (b"\n", "first line is not that of a state file"),
            (b"# Prometheus\nup 1\n", "first line is not that of a state file"),
            (&whole[..whole.len() / 2], "checksum"),
            (flipped.as_bytes(), "checksum"),
            (newer.as_bytes(), "version 2, this release reads 1"),
            (&[0xff; 64], "no whole first line"),
        ];
        for (text, why) in cases {
            let dir = tempfile::tempdir().unwrap();
            let file = StateFile::new(dir.path().join("state"));
            for name in ["state.damaged", "state.damaged.2"] {
                fs::write(file.path(), text).unwrap();
                let Found::Damaged { why: said, moved_to } = file.read().unwrap() else {
                    panic!("{:?} was taken", String::from_utf8_lossy(text));
                };
                assert!(said.contains(why), "{said:?} for {why:?}");
                assert_eq!(moved_to, dir.path().join(name));
                assert_eq!(fs::read(&moved_to).unwrap(), text, "nothing of it is lost");
            }
            assert_eq!(file.read().unwrap(), Found::Nothing);
        }
    }

    #[test]
    fn a_folder_that_is_not_there_is_told_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let file = StateFile::new(dir.path().join("nowhere/state"));
        let error = file.read().unwrap_err().to_string();
        assert!(error.contains("nowhere/state") && error.contains("cannot write beside it"), "{error}");
        assert!(file.write(&[], at(1), false).is_err());
    }

    #[test]
    fn a_write_that_fails_leaves_nothing_beside_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = StateFile::new(dir.path().join("state"));
        // What cannot be replaced by a file: everything but the last step is done.
        fs::create_dir_all(file.path().join("folder")).unwrap();
        assert!(file.write(&saved(), at(7), false).is_err());
        let left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["state"]);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&text);
        }

        #[test]
        fn one_wrong_byte_is_noticed(at_byte in any::<prop::sample::Index>(), by in 1..=255_u8) {
            let mut text = render(&saved()[..2], at(7), true).unwrap();
            let head = text.iter().position(|byte| *byte == b'\n').unwrap();
            let index = head + 1 + at_byte.index(text.len() - head - 1);
            text[index] ^= by;
            prop_assert!(parse(&text).is_err());
        }
    }
}
