//! `/probe`: one run of a module against a target that the caller names, as the incumbent serves it.
//!
//! The same probers, the same observation, another page. What the caller may reach is bounded by the config: which
//! modules, which hosts, addresses and redirect hops, and how many runs at a time. `request` reads what is asked for,
//! `log` tells what a run did, `history` keeps the last runs for `/logs`.

mod history;
mod log;
mod request;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::header::RETRY_AFTER;
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use tokio::sync::watch;
use tracing::debug;

use self::history::History;
use self::log::Record;
use self::request::ProbeRequest;
use super::body::Content;
use super::text::{Answer, TEXT, answer, plain};
use crate::config::probe_endpoint::Modules;
use crate::config::{Config, DnsServer, ModuleSettings, ProbeSpec};
use crate::metrics;
use crate::observation::{Failure, Observation, Reason};
use crate::probe::address::Scope;
use crate::probe::{Prober, Shared};
use crate::schedule;
use crate::telemetry::Telemetry;

/// Seconds after which a caller that was one too many may try again.
const RETRY: HeaderValue = HeaderValue::from_static("5");

/// What the flags say about `/probe`.
#[derive(Clone, Copy, Debug)]
pub struct ProbeOptions {
    /// Taken off the time that Prometheus gives, so that the answer is there in time.
    pub timeout_offset: Duration,
    /// Runs that `/logs` keeps.
    pub history: usize,
}

impl Default for ProbeOptions {
    /// The incumbent's.
    fn default() -> Self {
        Self { timeout_offset: Duration::from_millis(500), history: 100 }
    }
}

/// `/probe` and `/logs`, one for all addresses on which the exporter listens.
pub struct ProbeEndpoint {
    config: watch::Receiver<Arc<Config>>,
    /// What probers share; follows the config.
    shared: watch::Receiver<Arc<Shared>>,
    telemetry: Arc<Telemetry>,
    options: ProbeOptions,
    /// Runs under way. A reload changes their limit and not their number.
    running: AtomicUsize,
    seen: Mutex<Seen>,
    history: History,
}

/// Modules of which a prober was made with `shared`.
#[derive(Default)]
struct Seen {
    shared: Option<Arc<Shared>>,
    modules: Vec<String>,
}

impl ProbeEndpoint {
    /// `shared` must be renewed before `config` is, so that no module is probed with what an older config shared.
    pub fn new(
        config: watch::Receiver<Arc<Config>>,
        shared: watch::Receiver<Arc<Shared>>,
        telemetry: Arc<Telemetry>,
        options: ProbeOptions,
    ) -> Self {
        let (running, history) = (AtomicUsize::new(0), History::new(options.history));
        Self { config, shared, telemetry, options, running, seen: Mutex::default(), history }
    }

    /// Answers `GET /probe`. Dropped halfway, when the caller has gone, the run ends.
    pub(super) async fn probe(&self, head: &Parts) -> Answer {
        let config = Arc::clone(&self.config.borrow());
        if config.probe_endpoint.modules == Modules::None {
            return plain(StatusCode::NOT_FOUND, "/probe is off (probe_endpoint.enabled)");
        }
        let request = match ProbeRequest::of(head, &config, self.options.timeout_offset) {
            Ok(request) => request,
            Err(error) => {
                if error.unknown_module {
                    self.telemetry.unknown_modules.inc();
                }
                return plain(error.status, error.sentence);
            }
        };
        let run = match (&request.fault, &request.spec) {
            (Some(fault), _) => not_begun(&request, format!("the module {:?}: {fault}", request.module)),
            (None, Ok(spec)) => {
                if let Err(sentence) = up_front(&config, &request, spec) {
                    return plain(StatusCode::FORBIDDEN, sentence);
                }
                let limit = config.probe_endpoint.max_concurrent;
                let Some(_running) = Running::new(&self.running, limit) else { return one_too_many(limit) };
                self.run(&config, &request, spec).await
            }
            // As the incumbent: a target that makes no sense is one that cannot be reached.
            (None, Err(sentence)) => not_begun(&request, format!("the target {sentence}")),
        };
        debug!(
            module = request.module,
            target = request.shown,
            success = run.outcome.is_up(),
            elapsed = run.elapsed.as_secs_f64(),
            reason = run.outcome.failure().map(|failure| failure.reason.as_label()),
            sentence = run.outcome.failure().map(|failure| &*failure.sentence),
            "Probed by request."
        );
        let debug = request.debug;
        let record = Arc::new(Record { masked_yaml: masked_yaml(&config, &request.module), request, run });
        self.history.add(&record);
        if debug {
            return answer(StatusCode::OK, TEXT, Content::Whole(record.page().into()));
        }
        answer(StatusCode::OK, metrics::CONTENT_TYPE, Content::Whole(record.metrics().into()))
    }

    /// Answers `GET /logs`.
    pub(super) fn logs(&self, head: &Parts) -> Answer {
        self.history.answer(head)
    }

    async fn run(&self, config: &Arc<Config>, request: &ProbeRequest, spec: &ProbeSpec) -> Observation {
        let prober = match self.prober(&request.module, spec).await {
            Ok(prober) => prober,
            Err(sentence) => return not_begun(request, format!("the module {:?}: {sentence}", request.module)),
        };
        let rules = Arc::clone(config);
        let scope = Scope {
            admit: Some(Arc::new(move |host, address| {
                let forbidden = |sentence| Failure::new(Reason::TargetForbidden, sentence);
                rules.probe_endpoint.allow.check(host, address).map_err(forbidden)
            })),
            ..Scope::default()
        };
        let run = schedule::run(&prober, request.timeout, Duration::ZERO, &self.telemetry);
        Box::pin(scope.around(run)).await
    }

    /// Makes a prober, which costs some microseconds once what it needs is there. The first of a module may have to
    /// read the system's trust store, so it is not made on a thread that runs have to share.
    async fn prober(&self, module: &str, spec: &ProbeSpec) -> Result<Prober, String> {
        let shared = Arc::clone(&self.shared.borrow());
        let explained = |error| format!("{:#}", anyhow::Error::new(error));
        if self.seen(&shared).modules.iter().any(|seen| seen == module) {
            return Prober::new(spec, &shared).map_err(explained);
        }
        let (spec, with) = (spec.clone(), Arc::clone(&shared));
        let prober = tokio::task::spawn_blocking(move || Prober::new(&spec, &with))
            .await
            .map_err(|error| format!("making a prober failed: {error}; this is a bug of the exporter"))?
            .map_err(explained)?;
        let mut seen = self.seen(&shared);
        if !seen.modules.iter().any(|seen| seen == module) {
            seen.modules.push(module.to_owned());
        }
        Ok(prober)
    }

    fn seen(&self, shared: &Arc<Shared>) -> MutexGuard<'_, Seen> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if !seen.shared.as_ref().is_some_and(|seen| Arc::ptr_eq(seen, shared)) {
            *seen = Seen { shared: Some(Arc::clone(shared)), modules: Vec::new() };
        }
        seen
    }
}

/// One of the runs under way.
struct Running<'a>(&'a AtomicUsize);

impl<'a> Running<'a> {
    /// `None` when there are `limit` already.
    fn new(running: &'a AtomicUsize, limit: usize) -> Option<Self> {
        let more = |count: usize| (count < limit).then_some(count + 1);
        running.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok().map(|_| Self(running))
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn one_too_many(limit: usize) -> Answer {
    let sentence = format!("{limit} probes are running already (probe_endpoint.max_concurrent); try again in a bit");
    let mut answer = plain(StatusCode::SERVICE_UNAVAILABLE, sentence);
    answer.headers_mut().insert(RETRY_AFTER, RETRY);
    answer
}

/// What can be judged before anything is looked up.
fn up_front(config: &Config, request: &ProbeRequest, spec: &ProbeSpec) -> Result<(), String> {
    let allow = &config.probe_endpoint.allow;
    match spec {
        ProbeSpec::Unix { path, .. } => allow.check_path(path),
        ProbeSpec::Http { url, .. }
        | ProbeSpec::Websocket { url, .. }
        | ProbeSpec::Dns { server: DnsServer::Url(url), .. } => allow.check_host(url.host()),
        ProbeSpec::Tcp { address, .. }
        | ProbeSpec::Grpc { address, .. }
        | ProbeSpec::Dns { server: DnsServer::Host(address), .. } => allow.check_host(&address.host),
        ProbeSpec::Icmp { host, .. } => allow.check_host(host),
    }?;
    match (&request.settings, &request.hostname) {
        // Some proxies go by the Host header rather than by the URL (against RFC 9112 section 3.2.2).
        (ModuleSettings::Http(http), Some(hostname)) if http.proxy.is_used() => {
            allow.check_host(host_of(http.host.as_deref().unwrap_or(hostname)))
        }
        _ => Ok(()),
    }
}

/// The host of a Host header, without its port.
fn host_of(header: &str) -> &str {
    match header.rsplit_once(':') {
        Some((host, port))
            if port.bytes().all(|byte| byte.is_ascii_digit()) && (!host.contains(':') || host.ends_with(']')) =>
        {
            host
        }
        Some(_) | None => header,
    }
}

fn not_begun(request: &ProbeRequest, sentence: String) -> Observation {
    Observation::not_begun(request.timeout, sentence)
}

fn masked_yaml(config: &Config, module: &str) -> String {
    config.modules.get(module).map(|module| module.masked_yaml.clone()).unwrap_or_default()
}
