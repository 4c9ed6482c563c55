//! Files replaced as a whole: whoever reads sees the old text or the new one, and two writers wait for each other.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};

/// What is to be edited; nobody else who asks for it gets it until it is dropped.
#[derive(Debug)]
pub(super) struct Locked {
    /// Behind links, which stay as they are.
    path: PathBuf,
    /// `None`: it is not there yet.
    bytes: Option<Vec<u8>>,
    /// Of the folder: the file itself is another after each edit.
    _lock: Flock<File>,
}

#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    #[error("{}: cannot {doing} it", path.display())]
    Io { path: PathBuf, doing: &'static str, source: io::Error },
    #[error("{}: somebody has written it in the meantime; nothing was changed, try again", .0.display())]
    Changed(PathBuf),
}

impl Locked {
    /// Waits while somebody else has it.
    pub(super) fn open(path: &Path) -> Result<Self, WriteError> {
        let failed =
            |doing: &'static str| move |source: io::Error| WriteError::Io { path: path.to_owned(), doing, source };
        let path = match fs::canonicalize(path) {
            Ok(path) => path,
            Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
            Err(error) => return Err(failed("find")(error)),
        };
        let folder = File::open(folder_of(&path)).map_err(failed("open the folder of"))?;
        let lock = Flock::lock(folder, FlockArg::LockExclusive);
        let lock = lock.map_err(|(_, error)| failed("lock the folder of")(error.into()))?;
        let bytes = read(&path).map_err(failed("read"))?;
        Ok(Self { path, bytes, _lock: lock })
    }

    pub(super) fn bytes(&self) -> Option<&[u8]> {
        self.bytes.as_deref()
    }

    /// With the same permissions and owner.
    pub(super) fn replace(self, bytes: &[u8]) -> Result<(), WriteError> {
        let path = &self.path;
        let failed =
            |doing: &'static str| move |source: io::Error| WriteError::Io { path: path.clone(), doing, source };
        let name = self.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // No pattern such as *.yaml has it.
        let new = folder_of(&self.path).join(format!(".{name}.new"));
        let result = self.write(&new, bytes).map_err(failed("write")).and_then(|()| {
            // Editors know nothing of the lock.
            if read(&self.path).map_err(failed("read"))? != self.bytes {
                return Err(WriteError::Changed(self.path.clone()));
            }
            fs::rename(&new, &self.path).map_err(failed("replace"))
        });
        if result.is_err() {
            let _ = fs::remove_file(&new);
        }
        result?;
        // So that the new one is there after a power cut too.
        File::open(folder_of(&self.path)).and_then(|folder| folder.sync_all()).map_err(failed("keep"))
    }

    fn write(&self, new: &Path, bytes: &[u8]) -> io::Result<()> {
        // One that was left behind may be a link to anywhere.
        match fs::remove_file(new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o644).open(new)?;
        if self.bytes.is_some() {
            let old = fs::metadata(&self.path)?;
            let own = file.metadata()?;
            if (old.uid(), old.gid()) != (own.uid(), own.gid()) {
                std::os::unix::fs::fchown(&file, Some(old.uid()), Some(old.gid()))?;
            }
            file.set_permissions(fs::Permissions::from_mode(old.mode() & 0o7777))?;
        }
        file.write_all(bytes)?;
        file.sync_all()
    }
}

fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_file_keeps_its_mode_and_the_links_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("notices.yaml"), folder.path().join("link.yaml"));
        fs::write(&file, "old").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink("notices.yaml", &link).unwrap();
        Locked::open(&link).unwrap().replace(b"new").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o7777, 0o640);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is left behind");
    }

    #[test]
    fn what_an_editor_saved_in_the_meantime_is_not_lost() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("notices.yaml");
        fs::write(&file, "old").unwrap();
        let locked = Locked::open(&file).unwrap();
        fs::write(&file, "theirs").unwrap();
        assert!(matches!(locked.replace(b"ours").unwrap_err(), WriteError::Changed(_)));
        assert_eq!(fs::read_to_string(&file).unwrap(), "theirs");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_second_writer_waits_for_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("notices.yaml");
        let first = Locked::open(&file).unwrap();
        let (sender, receiver) = std::sync::mpsc::channel();
        let second = std::thread::spawn({
            let file = file.clone();
            move || {
                sender.send(()).unwrap();
                Locked::open(&file).unwrap().bytes().map(<[u8]>::to_vec)
            }
        });
        receiver.recv().unwrap();
        first.replace(b"first").unwrap();
        assert_eq!(second.join().unwrap().as_deref(), Some(&b"first"[..]), "it sees what the first wrote");
    }
}
