//! Routes over hyper: what Prometheus, people and orchestrators ask the exporter.
//!
//! | method and path | answer |
//! |---|---|
//! | `GET /` | what is down, and all targets, as a page; `?q=`, `label=`, `state=` (repeatable), `group=`, `sort=`, `page=` |
//! | `GET /metrics` | every target and the exporter itself; `?target=NAME` (repeatable), `?shard=K&of=N` (K from 0); text or OpenMetrics |
//! | `GET /api/v1/targets` | JSON, one object a target; `?q=`, `label=` and `state=` as above, though up, down and unknown are the verdict |
//! | `GET /api/v1/targets/NAME` | JSON, one target with its evidence |
//! | `GET /targets/NAME` | the same as a page for people: what an alert links to |
//! | `GET /probe` | one run of `module=` against `target=`, as blackbox_exporter; `hostname=`, `debug=true` |
//! | `GET /logs` | the last of those runs: `id=`, or `target=` with `module=` |
//! | `GET /runbooks/NAME` | what to do about a reason or an alert, as Markdown |
//! | `GET /config` | the effective config, secrets masked |
//! | `GET /-/healthy` | 200 while the process serves |
//! | `GET /-/ready` | 200 once every target was observed, else 503 |
//! | `POST /-/reload` | loads the config again: 200, or 500 with every problem |
//!
//! Every GET answers HEAD too. No route reads a request body. A page narrowed by `?target=` has those targets'
//! series alone; the exporter's own families are on the whole page and on shard 0.
//!
//! The rest of the folder: `accept` takes connections and bounds them, `watch` says when one has had its time,
//! `body` streams answers and compresses them, `negotiate` chooses the format of the metrics page, `api` and `html` draw snapshots.

mod accept;
mod api;
mod body;
mod external;
mod html;
mod limits;
mod negotiate;
mod probe;
mod routes;
mod routing;
mod runbooks;
mod select;
mod standing;
mod text;
mod watch;
mod web;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch as tokio_watch};
use tokio_util::sync::CancellationToken;

pub use accept::{Listener, Served};
pub(crate) use api::run_json;
pub use external::{External, ExternalUrlError};
pub use limits::Limits;
pub use probe::{ProbeEndpoint, ProbeOptions};
pub use web::{Web, WebError};

use crate::cause::Dependencies;
use crate::config::Config;
use crate::state::State;
use crate::telemetry::Telemetry;

/// A request to load the config again; the answer is the error text, every problem a line.
pub type ReloadRequest = oneshot::Sender<Result<(), String>>;

/// What the routes need.
#[derive(Clone)]
pub struct Context {
    pub state: State,
    /// What explains the failures that pages show.
    pub dependencies: Dependencies,
    pub telemetry: Arc<Telemetry>,
    pub config: tokio_watch::Receiver<Arc<Config>>,
    pub reload: mpsc::Sender<ReloadRequest>,
    /// True once every target was observed once.
    pub ready: tokio_watch::Receiver<bool>,
    pub probe: Arc<ProbeEndpoint>,
    /// TLS, passwords, headers.
    pub web: Web,
    pub external: External,
}

/// Serves until `stop`, then lets open requests end within a bounded grace.
pub async fn serve(listener: Listener, context: Context, stop: CancellationToken) -> Served {
    serve_within(listener, context, Limits::default(), stop).await
}

/// [`serve`] with limits of the caller's choice.
pub async fn serve_within(listener: Listener, context: Context, limits: Limits, stop: CancellationToken) -> Served {
    accept::run(listener, Arc::new(routes::Site::new(context, limits)), limits, stop).await
}
