//! Have files changed? By looking now and then: notifications of the kernel do not cross network file systems, and
//! miss the swap of a symlink by which Kubernetes changes a mounted ConfigMap.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::loading::Input;
use crate::config::{Config, Source, Stamp};

/// The files of the config that runs, and when to look at them.
pub(super) struct Watch {
    config: Arc<Config>,
    path: PathBuf,
    /// Only with `--config.enable-auto-reload`.
    main: Option<Look<Content>>,
    dependencies: Look<Stamp>,
}

/// What was seen, and when to look again.
struct Look<T> {
    seen: T,
    every: Duration,
    next: Instant,
}

/// Hash of a text; `None` when it cannot be read.
type Content = Option<[u8; 32]>;

impl Watch {
    pub(super) fn new(path: &Path, config: &Arc<Config>, auto_reload: Option<Duration>) -> Self {
        let main = auto_reload.map(|every| Look::new(content(config.source.text()), every));
        let dependencies = Look::new(config.loaded, config.refresh_interval);
        Self { config: Arc::clone(config), path: path.to_owned(), main, dependencies }
    }

    /// Another config runs: these are its files, and what they were before it read them.
    pub(super) fn renew(&mut self, config: &Arc<Config>) {
        *self = Self::new(&self.path, config, self.main.as_ref().map(|look| look.every));
    }

    pub(super) fn next_look(&self) -> Instant {
        let main = self.main.as_ref().map(|look| look.next);
        main.map_or(self.dependencies.next, |main| main.min(self.dependencies.next))
    }

    /// Looks at what is due, and says what to load if it is not what it was. Once for each change, so that a config
    /// with problems is not tried again and again.
    pub(super) async fn look(&mut self) -> Option<Input> {
        let mut input = None;
        if self.dependencies.is_due() {
            let config = Arc::clone(&self.config);
            if self.dependencies.differs(move || config.dependencies_stamp()).await {
                input = Some(Input::Before(self.config.source.clone()));
            }
        }
        if let Some(main) = &mut self.main
            && main.is_due()
        {
            let path = self.path.clone();
            if main.differs(move || Source::read(&path).ok().and_then(|source| content(source.text()))).await {
                input = Some(Input::File(self.path.clone()));
            }
        }
        input
    }
}

impl<T: Copy + PartialEq + Send + 'static> Look<T> {
    fn new(seen: T, every: Duration) -> Self {
        // An interval of zero would look without a pause.
        let every = every.clamp(Duration::from_millis(100), Duration::from_secs(86_400));
        Self { seen, every, next: Instant::now() + every }
    }

    fn is_due(&mut self) -> bool {
        let now = Instant::now();
        let due = now >= self.next;
        if due {
            self.next = now + self.every;
        }
        due
    }

    /// Off the runtime's threads: a network file system may hang. A panic there counts as no change.
    async fn differs(&mut self, look: impl FnOnce() -> T + Send + 'static) -> bool {
        let Ok(now) = tokio::task::spawn_blocking(look).await else { return false };
        std::mem::replace(&mut self.seen, now) != now
    }
}

fn content(text: &str) -> Content {
    Some(Sha256::digest(text).into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;

    use tokio::time::sleep;

    use super::*;
    use crate::config;

    const S: Duration = Duration::from_secs(1);

    struct Bench {
        dir: tempfile::TempDir,
        watch: Watch,
    }

    impl Bench {
        fn new(auto_reload: Option<Duration>) -> Self {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("config.yaml");
            fs::write(&path, "target_files: ['*.targets']\n").unwrap();
            let config = Arc::new(config::load(&path).unwrap());
            let watch = Watch::new(&path, &config, auto_reload);
            Self { dir, watch }
        }

        fn write(&self, name: &str, text: &str) {
            fs::write(self.dir.path().join(name), text).unwrap();
        }

        /// Looks when it is time to; a look may find nothing to be due for the other kind of file.
        async fn looks(&mut self, time: Duration) -> Vec<&'static str> {
            let until = Instant::now() + time;
            let mut found = Vec::new();
            while self.watch.next_look() <= until {
                sleep(self.watch.next_look() - Instant::now()).await;
                match self.watch.look().await {
                    None => {}
                    Some(Input::File(_)) => found.push("file"),
                    Some(Input::Before(_)) => found.push("before"),
                }
            }
            found
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_of_a_target_file_is_seen_once_and_leaves_the_main_file_alone() {
        let mut bench = Bench::new(None);
        assert_eq!(bench.looks(60 * S).await, [""; 0]);
        bench.write("a.targets", "[]");
        bench.write("config.yaml", "in the middle of");
        assert_eq!(bench.watch.look().await.map(|_| ()), None, "it is not time yet");
        assert_eq!(bench.looks(60 * S).await, ["before"]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_main_file_is_watched_on_request() {
        let mut bench = Bench::new(Some(30 * S));
        assert_eq!(bench.looks(90 * S).await, [""; 0]);
        bench.write("config.yaml", "{}");
        assert_eq!(bench.looks(90 * S).await, ["file"], "once for each change");
        fs::remove_file(bench.dir.path().join("config.yaml")).unwrap();
        assert_eq!(bench.looks(90 * S).await, ["file"], "its going is a change too");
    }
}
