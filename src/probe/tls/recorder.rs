//! What the handshakes of one run showed, gathered where rustls lets us look: the verifier, the cipher suites and the
//! session store. They find the [`Recorder`] of the run in a task-local, so that one rustls config serves all runs.
//! Outside any scope nothing is recorded, and nothing fails.

use std::borrow::Cow;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::NamedGroup;
use rustls::client::{ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::pki_types::ServerName;
use tokio::time::Instant;

use super::classify::Stage;
use super::provider::TLS12;
use crate::observation::{Chain, Failure, TlsSession};

tokio::task_local! {
    static CURRENT: Recorder;
}

/// Collects what the handshakes of one run showed. Cheap to clone; all clones are one.
#[derive(Clone, Debug, Default)]
pub struct Recorder(Arc<Mutex<Seen>>);

/// The latest handshake. Its beginning clears what an earlier one left.
#[derive(Debug, Default)]
pub(super) struct Seen {
    started: Option<Instant>,
    finished: Option<Instant>,
    version: Option<&'static str>,
    cipher: Option<&'static str>,
    chain: Option<Arc<Chain>>,
    last_chain_expiry: Option<i64>,
    refusal: Option<Failure>,
    doubts: Option<String>,
}

impl Recorder {
    /// Runs `future` with this recorder as the task's own; rustls configs of [`super::TlsConfigs`] find it there.
    ///
    /// Tasks spawned inside do not inherit it: the handshake must be driven by `future` itself.
    pub async fn scope<F: Future>(&self, future: F) -> F::Output {
        CURRENT.scope(self.clone(), future).await
    }

    /// When the latest handshake began (the ClientHello was made); marks the end of TCP's part.
    pub fn handshake_started(&self) -> Option<Instant> {
        self.seen(|seen| seen.started)
    }

    /// When the latest handshake was complete on our side: the server's Finished was checked. In TLS 1.3 our own
    /// Finished is on its way then, and a server that dislikes our client certificate may yet say so by an alert.
    pub fn handshake_finished(&self) -> Option<Instant> {
        self.seen(|seen| seen.finished)
    }

    /// For [`super::classify_at`]: whether a handshake is under way, or what else an error would interrupt.
    pub fn stage(&self) -> Stage {
        self.seen(|seen| match (seen.started, seen.finished) {
            (None, _) => Stage::Connect,
            (Some(_), None) => Stage::Handshake,
            (Some(_), Some(_)) => Stage::Exchange,
        })
    }

    /// Forgets all, before the next hop.
    pub fn reset(&self) {
        self.seen(|seen| *seen = Seen::default());
    }

    /// The latest handshake, when the peer got as far as showing certificates.
    pub fn session(&self) -> Option<TlsSession> {
        self.seen(|seen| {
            Some(TlsSession {
                version: seen.version.map(Cow::Borrowed),
                cipher: seen.cipher.map(Cow::Borrowed),
                chain: Arc::clone(seen.chain.as_ref()?),
                last_chain_expiry: seen.last_chain_expiry,
                verify_error: seen.refusal.as_ref().map(|failure| failure.sentence.clone()),
                skipped_error: seen.doubts.clone().map(Box::new),
            })
        })
    }

    /// Why the verifier refused the latest chain.
    pub fn refusal(&self) -> Option<Failure> {
        self.seen(|seen| seen.refusal.clone())
    }

    /// Notes something in the recorder of the current task, if it has one.
    pub(super) fn note(write: impl FnOnce(&mut Seen)) {
        // An error means that no recorder is set, which is how a config is used outside a probe.
        let _ = CURRENT.try_with(|recorder| recorder.seen(write));
    }

    fn seen<R>(&self, with: impl FnOnce(&mut Seen) -> R) -> R {
        with(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Seen {
    pub(super) fn handshake_started(&mut self) {
        *self = Self { started: Some(Instant::now()), ..Self::default() };
    }

    pub(super) fn handshake_finished(&mut self) {
        self.finished = Some(Instant::now());
    }

    pub(super) fn suite_chosen(&mut self, version: &'static str, cipher: &'static str) {
        self.version = Some(version);
        self.cipher = Some(cipher);
    }

    pub(super) fn chain_shown(&mut self, chain: Arc<Chain>) {
        if self.version.is_none() {
            // TLS 1.3 encrypts certificates, so its suite would have been chosen by now; only 1.2 shows them in clear.
            self.version = Some(TLS12);
        }
        self.chain = Some(chain);
        self.last_chain_expiry = None;
        self.refusal = None;
        self.doubts = None;
    }

    pub(super) fn chain_verified(&mut self, last_chain_expiry: i64) {
        self.last_chain_expiry = Some(last_chain_expiry);
    }

    /// What would have been refused, had `insecure_skip_verify` not been set.
    pub(super) fn chain_doubted(&mut self, sentence: String) {
        self.doubts = Some(match self.doubts.take() {
            Some(before) => format!("{before}; {sentence}"),
            None => sentence,
        });
    }

    pub(super) fn chain_refused(&mut self, refusal: Failure) {
        self.refusal = Some(refusal);
    }
}

/// Stores no session, so every handshake is a full one, and marks where handshakes begin and end.
///
/// rustls asks for a stored session (TLS 1.2 and 1.3) and for the group of the key share (1.3) while it makes the
/// ClientHello, and offers the group that worked once a TLS 1.3 handshake is complete.
#[derive(Debug)]
pub(super) struct NoSessions;

impl ClientSessionStore for NoSessions {
    fn set_kx_hint(&self, _: ServerName<'static>, _: NamedGroup) {
        Recorder::note(Seen::handshake_finished);
    }

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        Recorder::note(Seen::handshake_started);
        None
    }

    fn set_tls12_session(&self, _: ServerName<'static>, _: Tls12ClientSessionValue) {}

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        Recorder::note(Seen::handshake_started);
        None
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {}

    fn insert_tls13_ticket(&self, _: ServerName<'static>, _: Tls13ClientSessionValue) {}

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        None
    }
}
