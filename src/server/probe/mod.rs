//! `/probe`: one run of a module against a target that the caller names, as the incumbent serves it.
//!
//! The same probers, the same observation, another page. What the caller may reach is bounded by the config: which
//! modules, which hosts, addresses and redirect hops, and how many runs at a time.

mod debug;
mod history;
mod request;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::header::RETRY_AFTER;
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use tokio::sync::{Semaphore, watch};

use self::history::History;
use self::request::ProbeRequest;
use super::body::Content;
use super::text::{Answer, TEXT, answer, plain};
use crate::config::probe_endpoint::Modules;
use crate::config::{Config, ProbeSpec};
use crate::metrics;
use crate::observation::{Failure, Reason};
use crate::probe::address::{Admit, Scope};
use crate::probe::{Prober, Shared};
use crate::schedule;
use crate::telemetry::Telemetry;

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

pub(super) struct Endpoint {
    config: watch::Receiver<Arc<Config>>,
    telemetry: Arc<Telemetry>,
    options: ProbeOptions,
    ready: Mutex<Option<Ready>>,
    history: History,
}

/// What probers share, and how many may run, for the config that they were made for.
struct Ready {
    config: Arc<Config>,
    shared: Arc<Shared>,
    permits: Arc<Semaphore>,
}

impl Endpoint {
    pub(super) fn new(config: watch::Receiver<Arc<Config>>, telemetry: Arc<Telemetry>, options: ProbeOptions) -> Self {
        Self { config, telemetry, options, ready: Mutex::default(), history: History::new(options.history) }
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
        let (shared, permits) = self.shared(&config);
        let Ok(_permit) = permits.try_acquire() else {
            let limit = config.probe_endpoint.max_concurrent;
            let sentence =
                format!("{limit} probes are running already (probe_endpoint.max_concurrent); try again in a bit");
            let mut answer = plain(StatusCode::SERVICE_UNAVAILABLE, sentence);
            answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
            return answer;
        };
        let prober = match Prober::new(&request.spec, &shared) {
            Ok(prober) => prober,
            Err(error) => {
                let error = anyhow::Error::new(error);
                return plain(StatusCode::INTERNAL_SERVER_ERROR, format!("module {:?}: {error:#}", request.module));
            }
        };
        // Told apart from a target that fails: what the config forbids is the caller's mistake.
        let forbidden: Arc<Mutex<Option<String>>> = Arc::default();
        let scope = Scope { admit: Some(self.admit(&config, &forbidden)), ..Scope::default() };
        if let Err(sentence) = up_front(&config, &request.spec) {
            return plain(StatusCode::FORBIDDEN, sentence);
        }
        let run = schedule::run(&prober, request.timeout, Duration::ZERO, &self.telemetry);
        let run = Box::pin(scope.around(run)).await;
        if let Some(sentence) = forbidden.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return plain(StatusCode::FORBIDDEN, sentence);
        }
        let page = metrics::probe_page(&run, &request.spec);
        let log = debug::log(&request, &run);
        let masked = config.modules.get(&request.module).map_or("", |module| module.masked_yaml.as_str());
        let text = debug::page(&log, &page, masked);
        self.history.add(&request.module, &request.target, &run, text.clone());
        if request.debug {
            return answer(StatusCode::OK, TEXT, Content::Whole(text.into()));
        }
        answer(StatusCode::OK, metrics::CONTENT_TYPE, Content::Whole(page.into()))
    }

    /// Answers `GET /logs`.
    pub(super) fn logs(&self, head: &Parts) -> Answer {
        self.history.answer(head)
    }

    /// Made anew for each config: what the system trusts may have changed with it.
    fn shared(&self, config: &Arc<Config>) -> (Arc<Shared>, Arc<Semaphore>) {
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Ready { config: of, shared, permits }) = &*ready
            && Arc::ptr_eq(of, config)
        {
            return (Arc::clone(shared), Arc::clone(permits));
        }
        let shared = Arc::new(Shared::default());
        let permits = Arc::new(Semaphore::new(config.probe_endpoint.max_concurrent));
        let now = Ready { config: Arc::clone(config), shared: Arc::clone(&shared), permits: Arc::clone(&permits) };
        *ready = Some(now);
        (shared, permits)
    }

    fn admit(&self, config: &Arc<Config>, forbidden: &Arc<Mutex<Option<String>>>) -> Admit {
        let (config, forbidden) = (Arc::clone(config), Arc::clone(forbidden));
        Arc::new(move |host, address| {
            config.probe_endpoint.allow.check(host, address).map_err(|sentence| {
                *forbidden.lock().unwrap_or_else(PoisonError::into_inner) = Some(sentence.clone());
                Failure::new(Reason::Internal, sentence)
            })
        })
    }
}

/// What can be judged before anything is looked up: paths of sockets.
fn up_front(config: &Config, spec: &ProbeSpec) -> Result<(), String> {
    match spec {
        ProbeSpec::Unix { path, .. } => config.probe_endpoint.allow.check(&path.display().to_string(), None),
        ProbeSpec::Http { .. }
        | ProbeSpec::Tcp { .. }
        | ProbeSpec::Dns { .. }
        | ProbeSpec::Icmp { .. }
        | ProbeSpec::Grpc { .. }
        | ProbeSpec::Websocket { .. } => Ok(()),
    }
}
