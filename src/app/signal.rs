//! Signals of the operating system.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// SIGTERM and SIGINT, heard from the time of the call on.
pub struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    pub fn listen() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// The first signal cancels `stop`. Returns at the second: whoever sends two wants no grace.
    pub async fn forward(mut self, stop: CancellationToken) {
        let name = self.next().await;
        info!(signal = name, "Stopping.");
        stop.cancel();
        let name = self.next().await;
        warn!(signal = name, "Stopping at once.");
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            Some(()) = self.terminate.recv() => "SIGTERM",
            Some(()) = self.interrupt.recv() => "SIGINT",
            else => std::future::pending().await,
        }
    }
}

/// SIGHUP, heard from the time of the call on.
pub(super) fn reload_signal() -> io::Result<Signal> {
    signal(SignalKind::hangup())
}
