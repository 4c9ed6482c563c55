//! When each part of a hop happened: marks set from inside reqwest, and the phases that follow from them.
//!
//! reqwest reports no times. The connector layer (`client.rs`) finds the [`HopTrace`] of the running hop in a
//! task-local and marks the start and the end of connecting; the TLS recorder marks the start of the handshake.
//! All of this runs in the prober's own task, because pooling is off (hyper-util then awaits the connector in place).

use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::config::IpPreference;
use crate::observation::{Failure, HttpPhases};
use crate::probe::address::Resolver;
use crate::probe::tls::Recorder;

tokio::task_local! {
    static HOP: Arc<HopTrace>;
}

/// What the client should connect to, whatever the URL says.
#[derive(Clone)]
pub(super) enum Dial {
    /// The target, already resolved.
    Target(SocketAddr),
    /// The target by QUIC, whose handshake is that of TLS.
    Quic,
    /// A proxy, whose name is resolved when the client asks for it.
    Proxy { resolver: Arc<Resolver>, ip: IpPreference, tunnel: Tunnel },
}

/// What must have happened before the target itself is spoken to through a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tunnel {
    /// The proxy forwards plain HTTP: there is no tunnel, and a connection is one to the proxy.
    None,
    /// CONNECT or SOCKS over TCP: the first TLS handshake is the target's.
    Tcp,
    /// CONNECT over TLS: the second TLS handshake is the target's.
    Tls,
}

/// One hop, from dialling to the head of the response.
pub(super) struct HopTrace {
    pub(super) dial: Dial,
    pub(super) recorder: Recorder,
    marks: Mutex<Marks>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Marks {
    pub(super) connect_started: Option<Instant>,
    pub(super) connect_ended: Option<Instant>,
    pub(super) connected: bool,
    /// By QUIC: a datagram came.
    answered: bool,
    /// Start of the first TLS handshake.
    first_handshake: Option<Instant>,
    /// Start of the latest one when it is not the first.
    second_handshake: Option<Instant>,
    /// Why the proxy's name gave no address.
    pub(super) proxy_lookup: Option<Failure>,
}

/// How far a hop came before it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reached {
    /// Not through the proxy yet.
    Proxy,
    /// TCP.
    Connecting,
    /// The target's TLS handshake.
    Handshake,
    /// Connected: the request was sent or was about to be.
    Request,
}

impl HopTrace {
    pub(super) fn new(dial: Dial, recorder: Recorder) -> Arc<Self> {
        Arc::new(Self { dial, recorder, marks: Mutex::default() })
    }

    /// The hop that the current task is running, if any.
    pub(super) fn current() -> Option<Arc<Self>> {
        HOP.try_with(Arc::clone).ok()
    }

    /// Runs `future` as the exchange of this hop.
    pub(super) async fn scope<F: Future>(self: &Arc<Self>, future: F) -> F::Output {
        HOP.scope(Arc::clone(self), self.recorder.scope(future)).await
    }

    pub(super) fn connect_started(&self) {
        self.update(|marks| marks.connect_started = Some(Instant::now()));
    }

    /// Called after each step of the connector, so that two handshakes on one connection are told apart.
    pub(super) fn connect_progressed(&self) {
        let Some(started) = self.recorder.handshake_started() else { return };
        self.update(|marks| match marks.first_handshake {
            None => marks.first_handshake = Some(started),
            Some(first) if first != started => marks.second_handshake = Some(started),
            Some(_) => {}
        });
    }

    pub(super) fn connect_ended(&self, connected: bool) {
        self.connect_progressed();
        self.update(|marks| {
            marks.connect_ended = Some(Instant::now());
            marks.connected = connected;
        });
    }

    pub(super) fn peer_answered(&self) {
        self.update(|marks| marks.answered = true);
    }

    pub(super) fn proxy_lookup_failed(&self, failure: Failure) {
        self.update(|marks| marks.proxy_lookup = Some(failure));
    }

    pub(super) fn marks(&self) -> Marks {
        // A timeout drops the connector between two steps, so the last handshake may not be noted yet.
        self.connect_progressed();
        self.lock().clone()
    }

    pub(super) fn is_proxied(&self) -> bool {
        matches!(self.dial, Dial::Proxy { .. })
    }

    pub(super) fn reached(&self) -> Reached {
        let marks = self.marks();
        if marks.connected {
            return Reached::Request;
        }
        match (self.handshake(&marks), &self.dial) {
            (None, Dial::Quic) if marks.answered => Reached::Handshake,
            (Some(_), _) => Reached::Handshake,
            (None, Dial::Target(_) | Dial::Quic) => Reached::Connecting,
            (None, Dial::Proxy { .. }) => Reached::Proxy,
        }
    }

    /// Whether a TLS handshake with the target began.
    pub(super) fn shook_hands(&self) -> bool {
        let marks = self.marks();
        match self.dial {
            Dial::Quic => marks.answered,
            Dial::Target(_) | Dial::Proxy { .. } => self.handshake(&marks).is_some(),
        }
    }

    /// Start of the handshake with the target; that with a proxy does not count.
    fn handshake(&self, marks: &Marks) -> Option<Instant> {
        match self.dial {
            Dial::Target(_) | Dial::Proxy { tunnel: Tunnel::Tcp, .. } => marks.first_handshake,
            // The phase `connect` is the whole of QUIC's handshake.
            Dial::Quic | Dial::Proxy { tunnel: Tunnel::None, .. } => None,
            Dial::Proxy { tunnel: Tunnel::Tls, .. } => marks.second_handshake,
        }
    }

    /// Adds what this hop spent up to `now` (the head of the response, an error, or the deadline).
    pub(super) fn add_phases(&self, phases: &mut HttpPhases, now: Instant) {
        let marks = self.marks();
        let Some(started) = marks.connect_started else { return };
        let ended = marks.connect_ended.unwrap_or(now);
        match self.handshake(&marks) {
            Some(handshake) => {
                add(&mut phases.connect, handshake.saturating_duration_since(started));
                add(&mut phases.tls, ended.saturating_duration_since(handshake));
            }
            None => add(&mut phases.connect, ended.saturating_duration_since(started)),
        }
        if marks.connected {
            add(&mut phases.processing, now.saturating_duration_since(ended));
        }
    }

    fn update(&self, change: impl FnOnce(&mut Marks)) {
        change(&mut self.lock());
    }

    /// Never held across an await; a panic elsewhere leaves the marks as true as they were.
    fn lock(&self) -> std::sync::MutexGuard<'_, Marks> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Adds to a phase; a phase that was entered is no longer `None`.
pub(super) fn add(phase: &mut Option<Duration>, spent: Duration) {
    *phase = Some(phase.unwrap_or_default() + spent);
}
