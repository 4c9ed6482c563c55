//! TLS for all probers: rustls configs built once per settings, a verifier that records the chain also when it
//! rejects it, and the mapping of TLS errors to reasons.

use std::error::Error;
use std::future::Future;
use std::sync::Arc;

use tokio::time::Instant;

use crate::config::TlsSettings;
use crate::observation::{Failure, Reason, TlsSession};

/// rustls client configs by their settings; equal settings share one.
#[derive(Default)]
pub struct TlsConfigs {}

/// What is offered by ALPN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Alpn {
    None,
    Http1,
    Http2AndHttp1,
}

#[derive(Debug, thiserror::Error)]
pub enum TlsSetupError {
    #[error(transparent)]
    Rustls(#[from] rustls::Error),
}

impl TlsConfigs {
    /// A config whose verifier, ciphers and session store report to the [`Recorder`] of the current task.
    pub fn client(&self, _settings: &TlsSettings, _alpn: Alpn) -> Result<Arc<rustls::ClientConfig>, TlsSetupError> {
        Err(rustls::Error::General("not built".into()).into())
    }
}

/// Collects what the handshakes of one run showed. Cheap to clone; all clones are one.
#[derive(Clone, Debug, Default)]
pub struct Recorder {}

impl Recorder {
    /// Runs `future` with this recorder as the task's own; rustls configs of [`TlsConfigs`] find it there.
    pub async fn scope<F: Future>(&self, future: F) -> F::Output {
        future.await
    }

    /// When the latest handshake began (the ClientHello was made); marks the end of TCP's part.
    pub fn handshake_started(&self) -> Option<Instant> {
        None
    }

    /// When the latest handshake had its keys (the peer finished its part).
    pub fn handshake_finished(&self) -> Option<Instant> {
        None
    }

    /// Forgets all, before the next hop.
    pub fn reset(&self) {}

    /// The latest handshake, when the peer got as far as showing certificates.
    pub fn session(&self) -> Option<TlsSession> {
        None
    }

    /// Why the verifier refused the latest chain.
    pub fn refusal(&self) -> Option<Failure> {
        None
    }
}

/// The reason in an error chain of rustls, io, or both; `None` when there is neither in it.
pub fn classify(_error: &(dyn Error + 'static)) -> Option<Failure> {
    Some(Failure::new(Reason::Internal, "not built"))
}
