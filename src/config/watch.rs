//! The files that a config was made from, and whether any of them changed since: cheap enough to ask every few seconds.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// What the files looked like at one moment. Two stamps are equal when nothing that `stat` shows has changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp([u8; 32]);

/// One file by `stat`; `None` when there is none. Symbolic links are followed, as Kubernetes swaps them.
pub(super) type FileStamp = Option<(i64, i64, u64, u64, u64)>;

pub(super) fn stat(path: &Path) -> FileStamp {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.mtime(), metadata.mtime_nsec(), metadata.len(), metadata.dev(), metadata.ino()))
}

pub(super) fn stamp_of(files: &BTreeMap<PathBuf, FileStamp>) -> Stamp {
    let mut hash = Sha256::new();
    for (path, stamp) in files {
        let path = path.as_os_str().as_encoded_bytes();
        hash.update((path.len() as u64).to_le_bytes());
        hash.update(path);
        match stamp {
            None => hash.update([0]),
            Some((seconds, nanoseconds, size, device, inode)) => {
                hash.update([1]);
                hash.update(seconds.to_le_bytes());
                hash.update(nanoseconds.to_le_bytes());
                for number in [size, device, inode] {
                    hash.update(number.to_le_bytes());
                }
            }
        }
    }
    Stamp(hash.finalize().into())
}

/// A pattern of `target_files`: wildcards in the last part only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Glob {
    pub(super) directory: PathBuf,
    pub(super) pattern: String,
}

impl Glob {
    /// Files in the directory that match, sorted. A directory that is not there has none.
    ///
    /// # Errors
    /// When the directory cannot be read (permissions, a network file system, no descriptors left), which is not to say
    /// that the files have gone, and the targets with them.
    pub(super) fn files(&self) -> io::Result<Vec<PathBuf>> {
        let directory = if self.directory.as_os_str().is_empty() { Path::new(".") } else { &self.directory };
        let entries = match std::fs::read_dir(directory) {
            Ok(entries) => entries.collect::<io::Result<Vec<_>>>()?,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Vec::new(),
            Err(error) => return Err(error),
        };
        let mut files: Vec<PathBuf> = entries
            .into_iter()
            .filter(|entry| entry.file_name().to_str().is_some_and(|name| wildcard(&self.pattern, name)))
            .map(|entry| self.directory.join(entry.file_name()))
            .filter(|path| path.is_file())
            .collect();
        files.sort();
        Ok(files)
    }

    /// Stands for its files while they cannot be told; no path is like it.
    fn unreadable(&self) -> PathBuf {
        self.directory.join(&self.pattern).join("\0")
    }
}

/// Whether a path has wildcards at all.
pub(crate) fn has_wildcard(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

/// `*` any text, `?` one character, `[a-z]` and `[!a-z]` a set. Like a shell's, no wildcard matches a leading dot:
/// editors keep half-written files under such names.
pub(crate) fn wildcard(pattern: &str, name: &str) -> bool {
    if name.starts_with('.') && !pattern.starts_with('.') {
        return false;
    }
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    // Where the last star was, and how much of the name it has eaten.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        if pattern.get(p) == Some(&'*') {
            star = Some((p, n));
            p += 1;
        } else if let Some(next) = one(&pattern, p, name[n]) {
            (p, n) = (next, n + 1);
        } else if let Some((at, eaten)) = star {
            star = Some((at, eaten + 1));
            (p, n) = (at + 1, eaten + 1);
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// Matches one character at `p`; gives the position behind it.
fn one(pattern: &[char], p: usize, c: char) -> Option<usize> {
    match *pattern.get(p)? {
        '?' => Some(p + 1),
        '[' => {
            let Some(length) = pattern[p + 1..].iter().skip(1).position(|c| *c == ']') else {
                return (c == '[').then_some(p + 1);
            };
            let set = &pattern[p + 1..p + 2 + length];
            let (negated, set) = match set.split_first() {
                Some(('!' | '^', rest)) => (true, rest),
                _ => (false, set),
            };
            let mut inside = false;
            let mut i = 0;
            while i < set.len() {
                if i + 2 < set.len() && set[i + 1] == '-' {
                    inside |= (set[i]..=set[i + 2]).contains(&c);
                    i += 3;
                } else {
                    inside |= set[i] == c;
                    i += 1;
                }
            }
            (inside != negated).then_some(p + 3 + length)
        }
        literal => (literal == c).then_some(p + 1),
    }
}

/// Everything beside the main file that the config depends on.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    pub(super) files: Vec<PathBuf>,
    pub(super) globs: Vec<Glob>,
}

impl Watch {
    /// Looks at every file and at every pattern's matches now.
    pub fn stamp(&self) -> Stamp {
        let matches = self.globs.iter().flat_map(|glob| glob.files().unwrap_or_else(|_| vec![glob.unreadable()]));
        let files = self.files.iter().cloned().chain(matches);
        stamp_of(&files.map(|path| (path.clone(), stat(&path))).collect())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn wildcards_are_a_shells() {
        for (pattern, name, matches) in [
            ("*.yaml", "a.yaml", true),
            ("*.yaml", ".a.yaml", false),
            (".*", ".a", true),
            ("*.yaml", "a.yml", false),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("?.json", "a.json", true),
            ("?.json", "ab.json", false),
            ("[a-c]1", "b1", true),
            ("[!a-c]1", "b1", false),
            ("[", "[", true),
            ("**", "", true),
            ("a", "a", true),
        ] {
            assert_eq!(wildcard(pattern, name), matches, "{pattern} on {name}");
        }
    }

    #[test]
    fn a_folder_that_cannot_be_read_is_not_an_empty_one() {
        let folder = tempfile::tempdir().unwrap();
        let glob = |directory: PathBuf| Glob { directory, pattern: "*.yaml".to_owned() };
        // Every name on the way is good, and the kernel goes no further: so for root too, to whom all else is readable.
        let looped = folder.path().join("loop");
        std::os::unix::fs::symlink(&looped, &looped).unwrap();
        assert!(glob(looped.clone()).files().is_err());
        assert_eq!(glob(folder.path().join("nowhere")).files().unwrap(), [""; 0].map(PathBuf::from));
        let watch = Watch { files: Vec::new(), globs: vec![glob(folder.path().join("changing"))] };
        let gone = watch.stamp();
        std::os::unix::fs::symlink(&looped, folder.path().join("changing")).unwrap();
        assert_ne!(watch.stamp(), gone, "so that it is told");
    }

    proptest! {
        #[test]
        fn a_name_matches_itself_and_a_star(name in "[a-z0-9._-]{1,12}", pattern in "\\PC{0,12}") {
            prop_assert!(wildcard(&name, &name));
            prop_assert!(wildcard("*", &name) != name.starts_with('.'));
            let _ = wildcard(&pattern, &name);
        }
    }
}
