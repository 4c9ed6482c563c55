//! Config -> probers. What concerns the config as a whole refuses it; what concerns one probe makes its runs fail.

use std::path::PathBuf;
use std::sync::Arc;

use super::fleet::Wanted;
use crate::config::probe_endpoint::Modules;
use crate::config::{Config, ConfigErrors, Lists, ModuleSettings, ProbeSpec, Problem, Source};
use crate::probe::{Shared, TargetProber, Traces, icmp};
use crate::state::{State, TargetState};
use crate::vantage::{Lookups, Vantage};

/// What to load.
#[derive(Clone)]
pub(super) enum Input {
    /// The main file as it is now.
    File(PathBuf),
    /// The main file as it was read before, with the other files as they are now: somebody may be in the middle of
    /// editing the main file when a target file changes.
    Before(Source),
}

/// A config with what has to be built for it.
pub(super) struct Loaded {
    pub(super) config: Arc<Config>,
    pub(super) targets: Vec<Wanted<TargetProber>>,
    pub(super) vantage: Arc<Vantage>,
    pub(super) lookups: Lookups,
    /// What the probers above share; for those of `/probe` too.
    pub(super) shared: Arc<Shared>,
    /// There was a list of every source of targets.
    pub(super) lists_complete: bool,
}

/// Why a config was not loaded. Printed as every problem on a line of its own.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error(transparent)]
    Config(ConfigErrors),
    /// Settings that are in order each by itself, but of which no prober can be built.
    #[error("{0}")]
    Anchors(String),
    #[error("loading the config failed: {0}; this is a bug of the exporter")]
    Panicked(#[source] tokio::task::JoinError),
}

impl LoadError {
    /// Each problem by itself, for the log.
    pub(super) fn problems(&self) -> Vec<String> {
        match self {
            Self::Config(errors) => {
                errors.problems().iter().take(ConfigErrors::MAX_PRINTED).map(ToString::to_string).collect()
            }
            Self::Anchors(_) | Self::Panicked(_) => vec![self.to_string()],
        }
    }
}

/// Loads off the runtime's threads: files and trust stores may take long, and runs must not wait for them.
///
/// `traces` is one for the whole life of the exporter, `lists` are what others say of targets.
pub(super) async fn load(input: Input, state: &State, traces: Arc<Traces>, lists: Lists) -> Result<Loaded, LoadError> {
    let current = state.targets();
    let load = move || load_now(&input, &current, traces, &lists);
    tokio::task::spawn_blocking(load).await.map_err(LoadError::Panicked)?
}

/// Builds a prober for each target that is not among `current` as it is.
fn load_now(
    input: &Input,
    current: &[Arc<TargetState>],
    traces: Arc<Traces>,
    lists: &Lists,
) -> Result<Loaded, LoadError> {
    let loaded = match input {
        Input::File(path) => Source::read(path).and_then(|source| source.config_with_lists(lists)),
        Input::Before(source) => source.config_with_lists(lists),
    };
    let mut config = loaded.map_err(LoadError::Config)?;
    // One for each load: what the system trusts and how it resolves may have changed. Targets that stay as they are
    // keep theirs.
    let shared = Arc::new(Shared { traces, ..Shared::default() });
    let mut targets = Vec::with_capacity(config.targets.len());
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
        match TargetProber::new(Arc::clone(target), &shared) {
            Ok(prober) => targets.push(Wanted { target: Arc::clone(target), prober: Some(Arc::new(prober)) }),
            Err(error) => {
                let why = format!("{:#}", anyhow::Error::new(error));
                config.faults.add(Problem {
                    file: config.source.path().to_owned(),
                    line: None,
                    path: format!("target {:?}", target.name.as_str()),
                    message: why.clone(),
                });
                let prober = TargetProber::faulty(Arc::clone(target), &why, &shared);
                targets.push(Wanted { target: Arc::clone(target), prober: Some(Arc::new(prober)) });
            }
        }
    }
    config.warnings.extend(missing_privilege(&config));
    let anchors = |error: &anyhow::Error| LoadError::Anchors(format!("anchors: {error:#}"));
    let vantage = Vantage::new(&config.anchors, &shared).map_err(|error| anchors(&error.into()))?;
    let lookups = Lookups::new(&config.targets, &config.anchors, &shared).map_err(|error| anchors(&error.into()))?;
    let lists_complete = config.discoveries.iter().all(|source| lists.contains_key(&source.source));
    Ok(Loaded { config: Arc::new(config), targets, vantage: Arc::new(vantage), lookups, shared, lists_complete })
}

/// ICMP takes privileges, and it is better to hear of them at the start than from the runs. No error: the other targets
/// can do without.
fn missing_privilege(config: &Config) -> Option<String> {
    let targets = config.targets.iter().filter(|target| matches!(target.probe, ProbeSpec::Icmp { .. })).count();
    let by_request = config.probe_endpoint.modules != Modules::None
        && config.modules.values().any(|module| matches!(module.settings, ModuleSettings::Icmp(_)));
    let which = match targets {
        0 if by_request => "/probe cannot ping".to_owned(),
        0 => return None,
        1 => "1 target cannot be pinged".to_owned(),
        _ => format!("{targets} targets cannot be pinged"),
    };
    Some(format!("{which}: {}", icmp::missing_privilege()?))
}
