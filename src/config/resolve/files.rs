//! Files that the config names: read once a load, remembered for the watcher and for fingerprints.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::config::load::{MAX_FILE_BYTES, io_sentence, read_bytes};
use crate::config::problem::{At, Problems};
use crate::config::watch::{FileStamp, Glob, Stamp, Watch, stamp_of, stat};

/// Reads files and keeps count of them.
pub(super) struct Files {
    /// The folder of the main file; relative names start there.
    base: PathBuf,
    seen: BTreeMap<PathBuf, Seen>,
    globs: Vec<Glob>,
    /// Content of files read since [`Files::start`], for the fingerprint of what is being resolved.
    touched: Sha256,
}

struct Seen {
    /// From before the file was read, so that a change in between is noticed.
    stamp: FileStamp,
    content: Option<Result<Arc<[u8]>, String>>,
}

impl Files {
    pub(super) fn new(base: PathBuf) -> Self {
        Self { base, seen: BTreeMap::new(), globs: Vec::new(), touched: Sha256::new() }
    }

    /// Relative names are in the folder of the main file; the incumbent takes the working folder, so that is second.
    pub(super) fn locate(&self, written: &str) -> PathBuf {
        let path = self.base.join(written);
        if !path.exists() && Path::new(written).exists() { PathBuf::from(written) } else { path }
    }

    pub(super) fn base(&self) -> &Path {
        &self.base
    }

    /// The content of a file that the key at `at` of a module names.
    pub(super) fn read(&mut self, written: &str, at: &At<'_>, problems: &mut Problems) -> Option<Arc<[u8]>> {
        if written.trim().is_empty() {
            problems.add_fault(at, "is empty; name a file");
            return None;
        }
        let path = self.locate(written);
        match self.content(&path) {
            Ok(content) => {
                self.touched.update(Sha256::digest(&content));
                Some(content)
            }
            Err(message) => {
                // The other folder where it may appear.
                self.look(Path::new(written));
                problems.add_fault(at, format!("{} {message}", path.display()));
                None
            }
        }
    }

    /// The content of `path`, from the first time it was asked for.
    pub(super) fn content(&mut self, path: &Path) -> Result<Arc<[u8]>, String> {
        let seen = self.look(path);
        seen.content.get_or_insert_with(|| read_bytes(path, MAX_FILE_BYTES).map(Arc::from)).clone()
    }

    fn look(&mut self, path: &Path) -> &mut Seen {
        self.seen.entry(path.to_owned()).or_insert_with(|| Seen { stamp: stat(path), content: None })
    }

    /// Files that match now; the pattern is watched. Or a sentence on why nobody knows.
    pub(super) fn glob(&mut self, glob: Glob) -> Result<Vec<PathBuf>, String> {
        let files = glob.files().map_err(|error| format!("cannot be read: {}", io_sentence(&error)));
        for file in files.iter().flatten() {
            self.look(file);
        }
        if !self.globs.contains(&glob) {
            self.globs.push(glob);
        }
        files
    }

    /// Begins a new account of content.
    pub(super) fn start(&mut self) {
        self.touched = Sha256::new();
    }

    /// Counts something else that decides, such as a variable of the environment, as content.
    pub(super) fn note(&mut self, content: &[u8]) {
        self.touched.update(Sha256::digest(content));
    }

    /// A hash of all content read since [`Files::start`].
    pub(super) fn touched(&self) -> [u8; 32] {
        self.touched.clone().finalize().into()
    }

    pub(super) fn dependencies(&self) -> Vec<PathBuf> {
        self.seen.keys().cloned().collect()
    }

    pub(super) fn watch(&self) -> (Watch, Stamp) {
        let stamps = self.seen.iter().map(|(path, seen)| (path.clone(), seen.stamp)).collect();
        (Watch { files: self.dependencies(), globs: self.globs.clone() }, stamp_of(&stamps))
    }
}
