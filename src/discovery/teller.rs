//! Where sources leave what they find: the lists, for the config; what became of each source, for the log and the metrics.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::Notify;
use tracing::{info, warn};

use crate::config::discovery::Group;
use crate::config::{Discovery, Lists};
use crate::telemetry::DiscoveryTelemetry;

/// What all sources have found. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Found(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    changed: Notify,
    telemetry: DiscoveryTelemetry,
}

#[derive(Default)]
struct State {
    lists: Lists,
    /// Sources that have answered or failed once.
    heard: HashSet<Box<str>>,
    /// Of each source, which of its tasks counts; one that was aborted may say one thing more.
    current: HashMap<Box<str>, u64>,
}

impl Found {
    pub fn new(telemetry: DiscoveryTelemetry) -> Self {
        Self(Arc::new(Inner { state: Mutex::default(), changed: Notify::new(), telemetry }))
    }

    /// The lists as they are now.
    pub fn lists(&self) -> Lists {
        self.state().lists.clone()
    }

    /// Waits until a list is another one.
    pub async fn changed(&self) {
        self.0.changed.notified().await;
    }

    /// Whether each of these has answered or failed once.
    pub fn has_heard(&self, sources: &[Arc<Discovery>]) -> bool {
        let state = self.state();
        sources.iter().all(|source| state.heard.contains(&source.source))
    }

    /// For the task of one source.
    pub fn teller(&self, source: &Arc<Discovery>) -> Teller {
        let mut state = self.state();
        let current = state.current.entry(source.source.clone()).or_default();
        *current += 1;
        let generation = *current;
        self.0.telemetry.show(&labels(source), source.refresh_interval);
        Teller { found: self.clone(), source: Arc::clone(source), generation, trouble: Mutex::default() }
    }

    /// A source is not asked any more.
    pub fn forget(&self, source: &Discovery) {
        let mut state = self.state();
        state.lists.remove(&source.source);
        state.heard.remove(&source.source);
        *state.current.entry(source.source.clone()).or_default() += 1;
        self.0.telemetry.forget(&labels(source));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn labels(source: &Discovery) -> [&str; 2] {
    [source.provider.kind(), &source.source]
}

/// Takes what one source finds.
pub struct Teller {
    found: Found,
    source: Arc<Discovery>,
    generation: u64,
    /// Why there was no list the last time.
    trouble: Mutex<Option<String>>,
}

impl Teller {
    /// The whole list, as it is now.
    pub fn list(&self, groups: Vec<Group>) {
        let count = count(&groups);
        let telemetry = &self.found.0.telemetry;
        let (kind, source) = (self.source.provider.kind(), &*self.source.source);
        let mut state = self.found.state();
        if !self.counts(&state) {
            return;
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        telemetry.targets.with_label_values(&labels(&self.source)).set(i64::try_from(count).unwrap_or(i64::MAX));
        telemetry.last_success.with_label_values(&labels(&self.source)).set(now.as_secs_f64());
        if self.trouble().take().is_some() {
            info!(kind, source, targets = count, "The source of targets answers again.");
        }
        state.heard.insert(self.source.source.clone());
        let before = state.lists.get(&self.source.source);
        if before.is_some_and(|before| **before == *groups) {
            return;
        }
        let had = before.map(|before| self::count(before));
        state.lists.insert(self.source.source.clone(), groups.into());
        drop(state);
        match had {
            None => info!(kind, source, targets = count, "The source of targets has given its first list."),
            Some(had) if count * 2 < had => {
                telemetry.shrinks.with_label_values(&labels(&self.source)).inc();
                warn!(kind, source, had, targets = count, "The list of targets has lost more than half of them.");
            }
            Some(had) => info!(kind, source, had, targets = count, "The list of targets has changed."),
        }
        self.found.0.changed.notify_one();
    }

    /// There is no list. The one before stays.
    pub fn failed(&self, why: &str) {
        let mut state = self.found.state();
        if !self.counts(&state) {
            return;
        }
        self.found.0.telemetry.failures.with_label_values(&labels(&self.source)).inc();
        let (kind, source) = (self.source.provider.kind(), &*self.source.source);
        // Once, for it is tried again and again; the counter tells the rest.
        if self.trouble().replace(why.to_owned()).as_deref() != Some(why) {
            warn!(kind, source, error = why, "The source of targets has failed; its targets stay as they are.");
        }
        state.heard.insert(self.source.source.clone());
    }

    fn counts(&self, state: &State) -> bool {
        state.current.get(&self.source.source) == Some(&self.generation)
    }

    fn trouble(&self) -> MutexGuard<'_, Option<String>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn count(groups: &[Group]) -> usize {
    groups.iter().map(|group| group.targets.len()).sum()
}
