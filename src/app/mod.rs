//! Wiring: Config -> running App; reload; stop. The only module that sees everything.
//!
//! [`App::run`] is one loop over what can happen: a stop, a reason to load the config again, a task that ended.
//! Reloads are therefore one after the other. The app owns every task; nothing is spawned and forgotten.

mod discoveries;
mod fleet;
mod keeper;
mod listen;
mod loading;
pub mod logging;
pub mod open_files;
pub mod signal;
#[cfg(test)]
mod tests;
mod watch;

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use tokio::sync::{mpsc, watch as channel};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

pub use listen::{BindError, Listener, bind, from_systemd};
pub use loading::LoadError;

use crate::cause::{self, Causes, Dependencies};
use crate::config::{Config, ConfigErrors, Lists, ModuleSettings, Parents, Target};
use crate::discovery::Found;
use crate::metrics::{CausesGauge, ResolverGauge, VantageGauge, VantageInfo};
use crate::probe::{Shared, TargetProber};
use crate::schedule::Scheduler;
use crate::server::{self, External, ProbeEndpoint, ProbeOptions, ReloadRequest, Served, Web};
use crate::state::State;
use crate::state::file::StateFile;
use crate::telemetry::{DiscoveryTelemetry, Telemetry};
use crate::vantage::CurrentVantage;
use discoveries::Discoveries;
use fleet::{Fleet, Wanted};
use keeper::{Earlier, Keeper};
use loading::{Input, Loaded, load};
use watch::Watch;

/// How long a stop may take. The servers give open requests 5 s of their own; the rest is for them to say how it went.
const GRACE: Duration = Duration::from_secs(6);

/// How long the first pages wait for targets that others name.
const FIRST_LISTS: Duration = Duration::from_secs(5);

/// When lists of targets are taken up again after a config that did not load.
const LISTS_AGAIN: Duration = Duration::from_secs(30);

/// A target and what probes it.
pub type Probed = (Arc<Target>, Arc<TargetProber>);

/// A config that was loaded, ready to run.
pub struct App {
    path: PathBuf,
    /// How often the main file is looked at for changes, when that is asked for.
    auto_reload: Option<Duration>,
    loaded: Loaded,
    telemetry: Arc<Telemetry>,
    state: State,
    probe: ProbeOptions,
    web: Web,
    external: External,
    /// With how often it is written.
    state_file: Option<(StateFile, Duration)>,
}

/// The app while it runs.
struct Running {
    path: PathBuf,
    telemetry: Arc<Telemetry>,
    state: State,
    fleet: Fleet,
    discoveries: Discoveries,
    /// When to try again to take up lists that have changed.
    lists_again: Option<Instant>,
    config: channel::Sender<Arc<Config>>,
    /// What the probers of the config share.
    shared: channel::Sender<Arc<Shared>>,
    watch: Watch,
    vantage: CurrentVantage,
    /// The task that asks the anchors now and then; one before it may not have ended yet.
    lookouts: JoinSet<Infallible>,
    keeper: Option<Keeper>,
    /// The task that writes the state file.
    keeping: JoinSet<Infallible>,
    causes: Causes,
    /// The tasks that search for shared causes, and that watch name servers.
    explaining: JoinSet<Infallible>,
    stop: CancellationToken,
}

/// Stopped in the middle of something else.
struct Stopped;

impl App {
    /// Loads the config and builds every prober, and starts nothing.
    ///
    /// # Errors
    /// Every problem of the config.
    pub async fn load(path: impl Into<PathBuf>, auto_reload: Option<Duration>) -> Result<Self, LoadError> {
        let path = path.into();
        let telemetry = Arc::new(Telemetry::new());
        let state = State::default();
        let loaded = load(Input::File(path.clone()), &state, Arc::default(), Lists::new()).await?;
        Ok(Self {
            path,
            auto_reload,
            loaded,
            telemetry,
            state,
            probe: ProbeOptions::default(),
            web: Web::default(),
            external: External::default(),
            state_file: None,
        })
    }

    /// What the flags say about `/probe`.
    #[must_use]
    pub fn with_probe_options(self, probe: ProbeOptions) -> Self {
        Self { probe, ..self }
    }

    /// Who may talk to the server, and where it is reached from outside.
    #[must_use]
    pub fn with_web(self, web: Web, external: External) -> Self {
        Self { web, external, ..self }
    }

    /// Where the state outlives the process, and how often it is written.
    #[must_use]
    pub fn with_state_file(self, file: StateFile, interval: Duration) -> Self {
        Self { state_file: Some((file, interval)), ..self }
    }

    /// Asks whoever keeps lists of targets, once, and takes their targets in; also why some gave none. For `--once`.
    ///
    /// # Errors
    /// Every problem of the config, should it have become another meanwhile.
    pub async fn discovered(self) -> Result<(Self, Vec<String>), LoadError> {
        let Loaded { config, shared, .. } = &self.loaded;
        if config.discoveries.is_empty() {
            return Ok((self, Vec::new()));
        }
        let (lists, problems) = discoveries::ask_once(&config.discoveries, shared).await;
        let input = Input::Before(config.source.clone());
        let loaded = load(input, &self.state, Arc::clone(&shared.traces), lists).await?;
        Ok((Self { loaded, ..self }, problems))
    }

    /// How much there is in the config, for people.
    pub fn summary(&self) -> String {
        let config = &self.loaded.config;
        let plural = |n: usize, noun: &str| format!("{n} {noun}{}", if n == 1 { "" } else { "s" });
        let modules = config.modules.values().filter(|module| !matches!(module.settings, ModuleSettings::Unusable(_)));
        let mut text = format!("{}, {}", plural(config.targets.len(), "target"), plural(modules.count(), "module"));
        if !config.discoveries.is_empty() {
            text.push_str(&format!(", {} of more targets", plural(config.discoveries.len(), "source")));
        }
        text
    }

    /// What is wrong with single probes, and what is said of the rest, for `--config.check`.
    pub fn findings(&self) -> (&ConfigErrors, Vec<String>) {
        let Config { faults, warnings, remarks, .. } = &*self.loaded.config;
        let warnings = warnings.iter().map(|warning| format!("warning: {warning}"));
        let remarks = remarks.iter().map(|remark| format!("note: {remark}"));
        (faults, warnings.chain(remarks).collect())
    }

    /// Every target with its prober, in the order of names, and which stand behind which; for `--once`.
    pub fn into_probes(self) -> (Vec<Probed>, Parents) {
        let Loaded { config, targets, .. } = self.loaded;
        // Nothing ran before, so every target has a prober of its own.
        let probes = targets.into_iter().filter_map(|Wanted { target, prober }| Some((target, prober?)));
        (probes.collect(), config.parents.clone())
    }

    /// Every target's state, as the pages show it.
    pub fn state(&self) -> State {
        self.state.clone()
    }

    /// Probes and serves until `stop`, then stops within a bounded grace.
    ///
    /// # Errors
    /// When a part that has to run ended by itself, the operating system refuses signals, or the state file cannot be
    /// used at all.
    pub async fn run(self, listeners: Vec<Listener>, stop: CancellationToken) -> anyhow::Result<()> {
        let Self { path, auto_reload, loaded, telemetry, state, probe, web, external, state_file } = self;
        let (keeper, earlier) = match state_file {
            None => (None, Earlier::default()),
            Some((file, interval)) => {
                let keeper = Keeper::new(file, interval, &telemetry.registry).context("cannot register a metric")?;
                let earlier = keeper.earlier().await?;
                (Some(keeper), earlier)
            }
        };
        let mut hangup = signal::reload_signal().context("cannot listen to SIGHUP")?;
        let (reload, mut reload_requests) = mpsc::channel::<ReloadRequest>(16);
        let (ready, ready_seen) = channel::channel(false);
        let (config, config_seen) = channel::channel(Arc::clone(&loaded.config));

        let (shared, shared_seen) = channel::channel(Arc::clone(&loaded.shared));

        let dependencies = Dependencies::default();
        let context = server::Context {
            state: state.clone(),
            dependencies: dependencies.clone(),
            telemetry: Arc::clone(&telemetry),
            probe: Arc::new(ProbeEndpoint::new(config_seen.clone(), shared_seen, Arc::clone(&telemetry), probe)),
            config: config_seen,
            reload,
            ready: ready_seen,
            web,
            external,
        };
        let vantage = CurrentVantage::default();
        let (vantages, configs) = (vantage.clone(), config.subscribe());
        let gauge = VantageGauge::new(move || Some((configs.borrow().labels.clone(), vantages.get().reaches()?)));
        telemetry.registry.register(Box::new(gauge)).context("cannot register a metric")?;
        let configs = config.subscribe();
        let info = VantageInfo::new(move || {
            let config = configs.borrow();
            (config.labels.clone(), config.region_name.clone())
        });
        info.and_then(|info| telemetry.registry.register(Box::new(info))).context("cannot register a metric")?;
        let (lookups, configs) = (vantage.clone(), config.subscribe());
        let gauge = ResolverGauge::new(move || (configs.borrow().labels.clone(), lookups.lookups().resolvers()));
        gauge.and_then(|gauge| telemetry.registry.register(Box::new(gauge))).context("cannot register a metric")?;
        let causes = Causes::default();
        let (told, configs) = (causes.clone(), config.subscribe());
        let gauge = CausesGauge::new(move || (configs.borrow().labels.clone(), told.get()));
        gauge.and_then(|gauge| telemetry.registry.register(Box::new(gauge))).context("cannot register a metric")?;
        let scheduler = Scheduler::with_dependencies(Arc::clone(&telemetry), vantage.clone(), dependencies.clone());
        let fleet = Fleet::new(scheduler, state.clone(), dependencies, earlier);
        let found = DiscoveryTelemetry::register(&telemetry.registry).context("cannot register a metric")?;
        let found = Found::new(found);
        let discoveries = Discoveries::new(found.clone());
        let watch = Watch::new(&path, &loaded.config, auto_reload);
        let (lookouts, keeping, explaining) = (JoinSet::new(), JoinSet::new(), JoinSet::new());
        let mut app = Running {
            path,
            telemetry,
            state,
            fleet,
            discoveries,
            lists_again: None,
            config,
            shared,
            watch,
            vantage,
            lookouts,
            keeper,
            keeping,
            causes,
            explaining,
            stop,
        };
        app.take_over(loaded, "start");
        app.take_first_lists(&found).await;
        // Not before: a page without targets would end all series of theirs for whoever scrapes it.
        let mut servers = JoinSet::new();
        for listener in listeners {
            let address = listener.address();
            info!(%address, "Listening.");
            servers.spawn(server::serve(listener, context.clone(), app.stop.clone()));
        }
        drop(context);
        app.keep();
        app.explain();
        tell_systemd(&[sd_notify::NotifyState::Ready]);

        // Readiness is a latch: it says that the start is over, not that nothing is new.
        let mut readiness = interval(Duration::from_millis(100));
        readiness.set_missed_tick_behavior(MissedTickBehavior::Delay);

        let ended = loop {
            // Timers live outside of this loop; the watch holds its times itself.
            let over = tokio::select! {
                biased;
                () = app.stop.cancelled() => Err(Stopped),
                Some(ended) = servers.join_next() => break Err(unexpected(ended, &app.telemetry)),
                Some(answer) = reload_requests.recv() => app.reload_for(answer).await,
                Some(()) = hangup.recv() => app.reload(Input::File(app.path.clone()), "SIGHUP").await.map(drop),
                () = sleep_until(app.watch.next_look()) => app.look().await,
                () = found.changed() => app.reload_for_lists().await,
                () = sleep_until(app.lists_again.unwrap_or_else(Instant::now)), if app.lists_again.is_some() => {
                    app.reload_for_lists().await
                }
                _ = readiness.tick(), if !*ready.borrow() => {
                    if app.state.all_observed() && app.has_heard() {
                        ready.send_replace(true);
                        info!("Every target was observed once.");
                    }
                    Ok(())
                }
                () = app.fleet.scheduler.reap() => Ok(()),
                Some(Err(ended)) = app.discoveries.join_next() => app.discovery_ended(&ended),
                Some(Err(ended)) = app.lookouts.join_next() => app.lookout_ended(&ended),
                Some(Err(ended)) = app.keeping.join_next() => app.keeping_ended(&ended),
                Some(Err(ended)) = app.explaining.join_next() => app.explaining_ended(&ended),
            };
            if let Err(Stopped) = over {
                break Ok(());
            }
        };
        tell_systemd(&[sd_notify::NotifyState::Stopping]);
        app.stop.cancel();
        app.wind_down(servers).await;
        ended
    }
}

impl Running {
    /// Loads for `POST /-/reload`.
    async fn reload_for(&mut self, answer: ReloadRequest) -> Result<(), Stopped> {
        let result = self.reload(Input::File(self.path.clone()), "request").await?;
        // Whoever asked may have gone.
        let _ = answer.send(result.map_err(|error| error.to_string()));
        Ok(())
    }

    /// Looks whether files have changed.
    async fn look(&mut self) -> Result<(), Stopped> {
        let stop = self.stop.clone();
        if let Some(input) = stop.run_until_cancelled(self.watch.look()).await.ok_or(Stopped)? {
            let _ = self.reload(input, "changed files").await?;
        }
        Ok(())
    }

    /// Takes up lists of targets that have changed.
    async fn reload_for_lists(&mut self) -> Result<(), Stopped> {
        let source = self.config.borrow().source.clone();
        let failed = self.reload(Input::Before(source), "lists of targets").await?.is_err();
        // A file that could not be read now may be readable soon, and the list will not change again for that.
        self.lists_again = failed.then(|| Instant::now() + LISTS_AGAIN);
        Ok(())
    }

    /// Takes up the lists that are given soon, so that the first pages have the targets that others name.
    async fn take_first_lists(&mut self, found: &Found) {
        let until = Instant::now() + FIRST_LISTS;
        loop {
            // All that have answered by now, then those that answer next.
            let next = if self.has_heard() { Instant::now() } else { Instant::now() + Duration::from_millis(50) };
            match timeout_at(next, found.changed()).await {
                Ok(()) if self.reload_for_lists().await.is_err() => return,
                Ok(()) => {}
                Err(_) if self.has_heard() || Instant::now() >= until || self.stop.is_cancelled() => return,
                Err(_) => {}
            }
        }
    }

    /// Whether every source of targets has answered or failed once.
    fn has_heard(&self) -> bool {
        self.discoveries.found().has_heard(&self.config.borrow().discoveries)
    }

    /// Loads the config and takes it over. A config with problems changes nothing.
    async fn reload(&mut self, input: Input, trigger: &'static str) -> Result<Result<(), LoadError>, Stopped> {
        tell_reloading();
        let traces = Arc::clone(&self.shared.borrow().traces);
        let lists = self.discoveries.found().lists();
        let loaded = self.stop.run_until_cancelled(load(input, &self.state, traces, lists)).await.ok_or(Stopped)?;
        let result = match loaded {
            Ok(loaded) => {
                self.watch.renew(&loaded.config);
                self.take_over(loaded, trigger);
                Ok(())
            }
            Err(error) => {
                self.telemetry.config_loaded(Err(()));
                for problem in error.problems() {
                    error!(trigger, problem, "The config has a problem.");
                }
                error!(trigger, "The config was not loaded; the one before stays in force.");
                Err(error)
            }
        };
        // Ready either way: with the new one or the one before.
        tell_systemd(&[sd_notify::NotifyState::Ready]);
        Ok(result)
    }

    /// From here on nothing fails and nothing waits, so nothing is half applied.
    fn take_over(&mut self, loaded: Loaded, trigger: &'static str) {
        for fault in loaded.config.faults.problems().iter().take(ConfigErrors::MAX_PRINTED) {
            warn!(problem = %fault, "What uses this part of the config cannot be probed; its runs fail.");
        }
        for warning in &loaded.config.warnings {
            warn!(warning, "The config is good, but may not be what is meant.");
        }
        for remark in &loaded.config.remarks {
            info!(remark, "Note on the config.");
        }
        open_files::check(loaded.targets.len());
        self.vantage.replace_lookups(loaded.lookups);
        if self.vantage.replace(loaded.vantage) {
            self.lookouts.abort_all();
            let vantage = self.vantage.get();
            self.lookouts.spawn(async move { vantage.watch().await });
        }
        let changes = self.fleet.apply(loaded.targets, loaded.config.parents.clone(), Instant::now());
        if loaded.lists_complete {
            // Whoever is not here by now is gone.
            self.fleet.forget_earlier();
        }
        self.discoveries.apply(&loaded.config.discoveries, &loaded.shared);
        self.state.announce(&loaded.config.notices);
        // First, so that no new config is ever seen without it.
        self.shared.send_replace(loaded.shared);
        self.config.send_replace(loaded.config);
        // Targets may have gone, and facts with them.
        self.fleet.scheduler.stirred().notify_one();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.telemetry.config_loaded(Ok(now.as_secs_f64()));
        let fleet::Changes { added, changed, removed, unchanged } = changes;
        info!(trigger, added, changed, removed, unchanged, "Config loaded.");
    }

    /// Starts to write the state file, if there is one.
    fn keep(&mut self) {
        if let Some(keeper) = self.keeper.clone() {
            self.keeping.spawn(keeper.keep(self.state.clone(), self.fleet.scheduler.turned()));
        }
    }

    fn keeping_ended(&mut self, ended: &tokio::task::JoinError) -> Result<(), Stopped> {
        self.telemetry.panics.inc();
        error!(error = %ended, "The state file was not written, and is begun anew. This is a bug.");
        self.keep();
        Ok(())
    }

    /// Starts to search for what failing targets share, and to watch name servers that fail.
    fn explain(&mut self) {
        // Whichever of the two ended, both begin anew.
        self.explaining.abort_all();
        self.explaining.spawn(self.vantage.clone().watch_lookups());
        let (causes, state, config) = (self.causes.clone(), self.state.clone(), self.config.subscribe());
        let (vantage, stirred) = (self.vantage.clone(), self.fleet.scheduler.stirred());
        self.explaining.spawn(cause::watch(causes, state, config, vantage, stirred));
    }

    fn explaining_ended(&mut self, ended: &tokio::task::JoinError) -> Result<(), Stopped> {
        if ended.is_cancelled() {
            return Ok(());
        }
        self.telemetry.panics.inc();
        error!(error = %ended, "The search for shared causes ended, and is begun anew. This is a bug.");
        self.explain();
        Ok(())
    }

    /// Aborted for another one, as a rule.
    fn discovery_ended(&mut self, ended: &tokio::task::JoinError) -> Result<(), Stopped> {
        if !ended.is_cancelled() {
            self.telemetry.panics.inc();
            error!(error = %ended, "A source of targets was not asked any more, and is begun anew. This is a bug.");
            self.discoveries.apply(&self.config.borrow().discoveries, &self.shared.borrow());
        }
        Ok(())
    }

    /// Aborted for another one, as a rule.
    fn lookout_ended(&self, ended: &tokio::task::JoinError) -> Result<(), Stopped> {
        if !ended.is_cancelled() {
            self.telemetry.panics.inc();
            error!(error = %ended, "The anchors are not asked any more, but for runs that fail. This is a bug.");
        }
        Ok(())
    }

    /// No new runs, those in flight dropped, open requests answered, within the grace.
    async fn wind_down(&mut self, mut servers: JoinSet<Served>) {
        let began = Instant::now();
        let grace = began + GRACE;
        let runs_cancelled = self.telemetry.runs_in_flight.get();
        let loops = timeout_at(grace, self.fleet.scheduler.stop()).await;
        let mut cut_off = 0;
        let drain = async {
            while let Some(served) = servers.join_next().await {
                cut_off += served.map_or(0, |served| served.cut_off);
            }
        };
        let drained = timeout_at(grace, drain).await;
        if let Some(keeper) = &self.keeper
            && timeout_at(grace, keeper.stop(&self.state)).await.is_err()
        {
            warn!("The state was not written within the grace; a restart forgets what is new.");
        }
        let seconds = began.elapsed().as_secs_f64();
        if loops.is_ok() && drained.is_ok() && cut_off == 0 {
            info!(seconds, runs_cancelled, "Stopped.");
        } else {
            let (loops, servers) = (self.fleet.scheduler.len(), servers.len());
            warn!(
                seconds,
                runs_cancelled, cut_off, loops, servers, "Stopped, but not everything ended within the grace."
            );
        }
    }
}

/// With the time, which systemd wants of a service of `Type=notify-reload`.
fn tell_reloading() {
    match sd_notify::NotifyState::monotonic_usec_now() {
        Ok(now) => tell_systemd(&[sd_notify::NotifyState::Reloading, now]),
        Err(_) => tell_systemd(&[sd_notify::NotifyState::Reloading]),
    }
}

/// Without systemd there is nobody to tell, and that is fine.
fn tell_systemd(states: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        warn!(%error, "Cannot tell systemd about the state of the service.");
    }
}

fn unexpected(ended: Result<Served, tokio::task::JoinError>, telemetry: &Telemetry) -> anyhow::Error {
    match ended {
        Ok(_) => anyhow::anyhow!("a server ended by itself"),
        Err(error) => {
            telemetry.panics.inc();
            anyhow::Error::new(error).context("a server failed")
        }
    }
}
