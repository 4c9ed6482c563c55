//! Config -> probers, whole or not at all.

use std::path::PathBuf;
use std::sync::Arc;

use super::fleet::Wanted;
use super::watch::{Stamp, stamp};
use crate::config::Config;
use crate::probe::{Prober, Shared};
use crate::state::TargetState;

/// Where the config comes from.
pub struct Source {
    /// The main file.
    pub path: PathBuf,
    /// Loads it. The error is for people: every problem, one a line. Tests hand in a script.
    pub load: Box<dyn Fn() -> Result<Config, String> + Send + Sync>,
}

pub(super) struct Loader {
    source: Source,
}

/// A config with what has to be built for it.
pub(super) struct Loaded {
    pub(super) config: Arc<Config>,
    pub(super) targets: Vec<Wanted<Prober>>,
    pub(super) path: PathBuf,
    /// What the main file was before it was read, so that a change while reading is seen by the next look.
    pub(super) main_stamp: Stamp,
    pub(super) dependency_stamp: Stamp,
}

impl Loader {
    pub(super) fn new(source: Source) -> Self {
        Self { source }
    }

    /// Loads the config and builds a prober for each target that is not among `current` as it is. Blocks.
    pub(super) fn load(&self, current: &[Arc<TargetState>]) -> Result<Loaded, String> {
        let main_stamp = stamp(std::slice::from_ref(&self.source.path));
        let mut config = (self.source.load)()?;
        let dependency_stamp = stamp(&config.dependencies);
        // One for each load: what the system trusts and how it resolves may have changed. Targets that stay as they
        // are keep theirs.
        let shared = Arc::new(Shared::default());
        let mut targets = Vec::with_capacity(config.targets.len());
        let mut problems = Vec::new();
        for target in &mut config.targets {
            let same = current
                .binary_search_by(|state| state.target().name.cmp(&target.name))
                .ok()
                .map(|index| current[index].target())
                .filter(|running| running.fingerprint == target.fingerprint);
            if let Some(running) = same {
                // The copy that runs, so that there is one.
                *target = Arc::clone(running);
                targets.push(Wanted { target: Arc::clone(target), prober: None });
                continue;
            }
            match Prober::new(&target.probe, &shared) {
                Ok(prober) => {
                    targets.push(Wanted { target: Arc::clone(target), prober: Some(Arc::new(prober)) });
                }
                Err(error) => {
                    let causes = anyhow::Error::new(error);
                    problems.push(format!("target {:?}: {causes:#}", target.name.as_str()));
                }
            }
        }
        if !problems.is_empty() {
            return Err(problems.join("\n"));
        }
        let path = self.source.path.clone();
        Ok(Loaded { config: Arc::new(config), targets, path, main_stamp, dependency_stamp })
    }
}
