//! Have files changed? By looking now and then: notifications of the kernel do not cross network file systems, and
//! miss the swap of a symlink by which Kubernetes changes a mounted ConfigMap.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::loading::Loaded;

/// Stands for the content of some files.
pub(super) type Stamp = [u8; 32];

/// The files of the config that runs, and when to look at them.
pub(super) struct Watch {
    /// Only with `--config.enable-auto-reload`.
    main: Option<Look>,
    /// Files that the config names.
    dependencies: Look,
}

struct Look {
    paths: Vec<PathBuf>,
    seen: Stamp,
    every: Duration,
    next: Instant,
}

impl Watch {
    pub(super) fn new(loaded: &Loaded, auto_reload: Option<Duration>) -> Self {
        let main = auto_reload.map(|every| Look::new(vec![loaded.path.clone()], loaded.main_stamp, every));
        Self { main, dependencies: Self::dependencies(loaded) }
    }

    /// After a load: from now on these are the files, and this is what they were.
    pub(super) fn renew(&mut self, loaded: &Loaded) {
        if let Some(main) = &mut self.main {
            main.seen = loaded.main_stamp;
        }
        self.dependencies = Self::dependencies(loaded);
    }

    fn dependencies(loaded: &Loaded) -> Look {
        let config = &loaded.config;
        // An interval of zero would look without a pause.
        let every = config.refresh_interval.max(Duration::from_secs(1));
        Look::new(config.dependencies.clone(), loaded.dependency_stamp, every)
    }

    pub(super) fn next_look(&self) -> Instant {
        let main = self.main.as_ref().map(|look| look.next);
        main.map_or(self.dependencies.next, |main| main.min(self.dependencies.next))
    }

    /// Looks at what is due. True when it is not what it was at the last look or load; once for each change, so that
    /// a config that cannot be loaded is not tried again and again.
    pub(super) async fn look(&mut self) -> bool {
        let mut changed = false;
        for look in self.main.iter_mut().chain([&mut self.dependencies]) {
            changed |= look.has_changed().await;
        }
        changed
    }
}

impl Look {
    fn new(paths: Vec<PathBuf>, seen: Stamp, every: Duration) -> Self {
        Self { paths, seen, every, next: later(every) }
    }

    async fn has_changed(&mut self) -> bool {
        if Instant::now() < self.next {
            return false;
        }
        self.next = later(self.every);
        if self.paths.is_empty() {
            return false;
        }
        let paths = self.paths.clone();
        // Off the runtime's threads: a network file system may hang. An error here is a panic there; look again later.
        let Ok(now) = tokio::task::spawn_blocking(move || stamp(&paths)).await else { return false };
        std::mem::replace(&mut self.seen, now) != now
    }
}

fn later(by: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(by).unwrap_or(now + Duration::from_secs(86_400))
}

/// Changes when the content of a file does, when one comes or goes, and when a directory lists other names. Blocks.
pub(super) fn stamp(paths: &[PathBuf]) -> Stamp {
    let mut hash = Sha256::new();
    for path in paths {
        hash.update(path.as_os_str().as_encoded_bytes());
        hash.update([0]);
        hash.update(content(path));
    }
    hash.finalize().into()
}

fn content(path: &Path) -> Stamp {
    if let Ok(bytes) = std::fs::read(path) {
        return Sha256::digest(bytes).into();
    }
    let Ok(entries) = std::fs::read_dir(path) else { return [0; 32] };
    let mut names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
    names.sort();
    let mut hash = Sha256::new();
    for name in names {
        hash.update(name.as_encoded_bytes());
        hash.update([0]);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;

    use super::*;

    #[test]
    fn a_stamp_changes_with_content_and_presence_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.yaml");
        let paths = [file.clone(), dir.path().to_owned()];
        let absent = stamp(&paths);
        fs::write(&file, "one").unwrap();
        let one = stamp(&paths);
        fs::write(&file, "two").unwrap();
        let two = stamp(&paths);
        fs::write(dir.path().join("b.yaml"), "").unwrap();
        let neighbour = stamp(&paths);
        assert!(absent != one && one != two && two != neighbour);
        fs::remove_file(dir.path().join("b.yaml")).unwrap();
        fs::write(&file, "one").unwrap();
        assert_eq!(stamp(&paths), one);
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_is_seen_once_and_not_before_it_is_time_to_look() {
        let dir = tempfile::tempdir().unwrap();
        let paths = vec![dir.path().join("a.yaml")];
        fs::write(&paths[0], "one").unwrap();
        let every = Duration::from_secs(30);
        let mut look = Look::new(paths.clone(), stamp(&paths), every);
        tokio::time::sleep(every).await;
        assert!(!look.has_changed().await, "nothing happened");
        fs::write(&paths[0], "two").unwrap();
        assert!(!look.has_changed().await, "not yet");
        tokio::time::sleep(every).await;
        assert!(look.has_changed().await);
        tokio::time::sleep(every).await;
        assert!(!look.has_changed().await, "once for each change");
    }
}
