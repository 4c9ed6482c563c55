//! Keeps the state in a file, so that a restart in the middle of an outage forgets nothing of it.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use prometheus::Registry;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};

use crate::state::file::{Found, StateFile, StateFileError};
use crate::state::{Saved, State};
use crate::telemetry::StateFileTelemetry;

/// When many targets turn at once, they are written at once: what turns within so many times the duration of the last write
/// waits for the next one.
const GATHER: u32 = 10;
/// As little and as much that is at the least and at the most.
const LEAST_GATHERED: Duration = Duration::from_millis(50);
const MOST_GATHERED: Duration = Duration::from_secs(1);

/// The state file of a running app.
#[derive(Clone)]
pub(super) struct Keeper {
    file: Arc<StateFile>,
    interval: Duration,
    telemetry: StateFileTelemetry,
    /// Why the last write failed, if it did.
    trouble: Arc<Mutex<Option<String>>>,
    /// Of targets that others may still name; not to be lost meanwhile.
    earlier: Earlier,
}

/// States of an earlier process, by the name of the target, until the target is there or known to be gone. Cheap to clone; all
/// clones are one.
#[derive(Clone, Default)]
pub(super) struct Earlier(Arc<Mutex<HashMap<Box<str>, Saved>>>);

impl Earlier {
    pub(super) fn take(&self, name: &str) -> Option<Saved> {
        self.all().remove(name)
    }

    pub(super) fn forget(&self) {
        self.all().clear();
    }

    fn rest(&self) -> Vec<Saved> {
        self.all().values().cloned().collect()
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Box<str>, Saved>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Keeper {
    pub(super) fn new(file: StateFile, interval: Duration, registry: &Registry) -> prometheus::Result<Self> {
        let telemetry = StateFileTelemetry::register(registry)?;
        Ok(Self { file: Arc::new(file), interval, telemetry, trouble: Arc::default(), earlier: Earlier::default() })
    }

    /// What an earlier process left.
    pub(super) async fn earlier(&self) -> Result<Earlier, StateFileError> {
        let file = Arc::clone(&self.file);
        let path = file.path().display().to_string();
        let found = match tokio::task::spawn_blocking(move || file.read()).await {
            Ok(found) => found?,
            Err(panicked) => {
                warn!(path, error = %panicked, "Reading the state file failed. This is a bug.");
                Found::Nothing
            }
        };
        let known = match found {
            Found::Nothing => {
                info!(path, "There is no state file yet.");
                HashMap::new()
            }
            Found::Damaged { why, moved_to } => {
                let moved_to = moved_to.display().to_string();
                warn!(path, why, moved_to, "The state file is damaged and was set aside; nothing is known of before.");
                HashMap::new()
            }
            Found::State { targets, written, stopped } => {
                let away = SystemTime::now().duration_since(written).unwrap_or_default().as_secs();
                info!(path, targets = targets.len(), stopped, away, "State of before.");
                let keep = |saved: Saved| if stopped { saved } else { saved.without_counters() };
                targets.into_iter().map(|saved| (saved.name.clone(), keep(saved))).collect()
            }
        };
        *self.earlier.all() = known;
        Ok(self.earlier.clone())
    }

    /// Writes now and then, and as soon as a verdict has changed: a process that is killed now has to remember it.
    pub(super) async fn keep(self, state: State, turned: Arc<Notify>) -> Infallible {
        loop {
            // At once too: from here on the file of the process before does not say any more that it stopped in order.
            let began = Instant::now();
            self.write(&state, false).await;
            let gather = gathered(began.elapsed());
            sleep(gather).await;
            let _ = timeout(self.interval.saturating_sub(gather), turned.notified()).await;
        }
    }

    /// Writes once more, when nothing is counted or served any more.
    pub(super) async fn stop(&self, state: &State) {
        self.write(state, true).await;
    }

    fn trouble(&self) -> MutexGuard<'_, Option<String>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn write(&self, state: &State, stopped: bool) {
        let (file, targets, earlier) = (Arc::clone(&self.file), state.targets(), self.earlier.rest());
        let write = move || {
            let now = Instant::now();
            let targets: Vec<Saved> = targets.iter().map(|target| target.save(now)).chain(earlier).collect();
            file.write(&targets, SystemTime::now(), stopped).map_err(|error| format!("{:#}", anyhow::Error::new(error)))
        };
        let result = tokio::task::spawn_blocking(write).await;
        match result.unwrap_or_else(|panicked| Err(panicked.to_string())) {
            Ok(()) => {
                let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                self.telemetry.last_write.set(now.as_secs_f64());
                if self.trouble().take().is_some() {
                    info!("The state is written again.");
                }
            }
            Err(error) => {
                self.telemetry.write_failures.inc();
                // Once, for it is tried again and again; the counter tells the rest.
                if self.trouble().replace(error.clone()).as_ref() != Some(&error) {
                    warn!(error, "The state was not written; a restart now would forget what is new.");
                }
            }
        }
    }
}

/// How long after a write that took `took` the next one begins at the earliest.
fn gathered(took: Duration) -> Duration {
    took.saturating_mul(GATHER).clamp(LEAST_GATHERED, MOST_GATHERED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_files_are_written_soon_again_and_large_ones_within_a_second() {
        for (took, expected) in [(0, 50), (5, 50), (20, 200), (100, 1000), (700, 1000)] {
            assert_eq!(gathered(Duration::from_millis(took)), Duration::from_millis(expected), "{took} ms");
        }
        assert_eq!(gathered(Duration::MAX), MOST_GATHERED);
    }
}
