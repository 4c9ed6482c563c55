//! Errors of QUIC and HTTP/3 -> reasons, by type; their codes by name.

use std::net::SocketAddr;

use h3::error::{Code, StreamError};
use quinn::ConnectionError;
use rustls::AlertDescription;

use super::super::trace::HopTrace;
use crate::observation::{Failure, Reason};
use crate::probe::tls::{self, Stage};

/// Why a body broke off, on its way through reqwest.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.sentence)]
pub(in super::super) struct Broken(pub(in super::super) Failure);

/// The handshake failed.
pub(super) fn handshake(error: &ConnectionError, hop: &HopTrace, peer: SocketAddr) -> Failure {
    if let Some(refusal) = hop.recorder.refusal() {
        return refusal;
    }
    match error {
        ConnectionError::VersionMismatch => Failure::new(
            Reason::ProtocolError,
            format!("{peer} speaks QUIC, but no version of it that we do (version 1); see its version negotiation"),
        ),
        ConnectionError::TransportError(error) => match alert(u64::from(error.code)) {
            // Ours: what the peer sent was refused, and the text says why.
            Some(_) if error.reason.contains("NoApplicationProtocol") || error.reason.contains("ALPN") => no_alpn(),
            Some(_) => Failure::new(Reason::TlsHandshake, format!("the TLS handshake failed: {}", error.reason)),
            None if error.reason.starts_with("TLS error") => {
                Failure::new(Reason::TlsHandshake, format!("the TLS handshake failed: {}", error.reason))
            }
            None => Failure::new(Reason::ProtocolError, format!("{peer} broke the rules of QUIC: {error}")),
        },
        ConnectionError::ConnectionClosed(close) => closed(close.error_code, &close.reason, Stage::Handshake),
        ConnectionError::ApplicationClosed(close) => application(close.error_code.into_inner(), &close.reason),
        ConnectionError::Reset => reset(),
        ConnectionError::TimedOut => {
            Failure::new(Reason::ConnectTimeout, format!("{peer} stopped answering during the QUIC handshake"))
        }
        ConnectionError::LocallyClosed | ConnectionError::CidsExhausted => {
            Failure::new(Reason::Internal, format!("the QUIC connection ended on our side: {error}"))
        }
    }
}

/// No whole head of a response came.
pub(super) fn exchange(error: &StreamError, closed: Option<&ConnectionError>) -> Failure {
    match closed {
        Some(ConnectionError::TimedOut) => {
            Failure::new(Reason::RequestTimeout, "the peer's idle timeout ended the connection before an answer began")
        }
        // h3 says so of a stream that was ended in order.
        Some(ConnectionError::LocallyClosed) | None
            if error.to_string().contains("without receiving response headers") =>
        {
            Failure::new(Reason::ResponseTruncated, "the peer ended the stream before the head of an answer")
        }
        Some(ConnectionError::LocallyClosed) | None => stream(error, "the exchange failed"),
        Some(closed) => lost(closed),
    }
}

/// The body is not whole.
pub(super) fn body(error: &StreamError, closed: Option<&ConnectionError>) -> Failure {
    match closed {
        Some(ConnectionError::TimedOut) => Failure::new(
            Reason::ResponseTimeout,
            "the peer's idle timeout ended the connection in the middle of the answer",
        ),
        #[allow(clippy::wildcard_enum_match_arm)] // the library may add more
        Some(ConnectionError::LocallyClosed) | None => match error {
            StreamError::RemoteTerminate { code, .. } => Failure::new(
                Reason::ResponseTruncated,
                format!("the peer reset the stream in the middle of the answer ({})", named(code.value())),
            ),
            _ => stream(error, "the answer broke off"),
        },
        Some(closed) => {
            let failure = lost(closed);
            let truncated = matches!(
                closed,
                ConnectionError::ApplicationClosed(_) | ConnectionError::ConnectionClosed(_) | ConnectionError::Reset
            );
            let reason = if truncated { Reason::ResponseTruncated } else { failure.reason };
            Failure::new(reason, format!("the answer broke off: {}", failure.sentence))
        }
    }
}

/// A connection that was made, and then ended.
fn lost(error: &ConnectionError) -> Failure {
    match error {
        ConnectionError::ConnectionClosed(close) => closed(close.error_code, &close.reason, Stage::Exchange),
        ConnectionError::ApplicationClosed(close) => application(close.error_code.into_inner(), &close.reason),
        ConnectionError::Reset => reset(),
        ConnectionError::TransportError(error) => {
            Failure::new(Reason::ProtocolError, format!("the peer broke the rules of QUIC: {error}"))
        }
        ConnectionError::TimedOut => Failure::new(Reason::ResponseTimeout, "the peer stopped answering"),
        ConnectionError::VersionMismatch | ConnectionError::LocallyClosed | ConnectionError::CidsExhausted => {
            Failure::new(Reason::ProtocolError, format!("the QUIC connection ended: {error}"))
        }
    }
}

fn stream(error: &StreamError, what: &str) -> Failure {
    #[allow(clippy::wildcard_enum_match_arm)] // the library may add more
    match error {
        StreamError::StreamError { code, reason, .. } => {
            Failure::new(Reason::ProtocolError, format!("{what}: {} ({})", reason, named(code.value())))
        }
        StreamError::RemoteTerminate { code, .. } => Failure::new(
            Reason::ConnectReset,
            format!("the peer reset the stream instead of answering ({})", named(code.value())),
        ),
        StreamError::HeaderTooBig { actual_size, max_size, .. } => Failure::new(
            Reason::ProtocolError,
            format!("the head of the answer has {actual_size} bytes; our limit is {max_size}"),
        ),
        // This variant cannot be named outside of its crate.
        other if other.to_string() == "Remote is closing the connection" => {
            Failure::new(Reason::ConnectReset, "the peer says that it takes no more requests (GOAWAY)")
        }
        other => broke(other, what),
    }
}

/// The connection ended as HTTP/3 began on it.
pub(super) fn start(error: &h3::error::ConnectionError, closed: Option<&ConnectionError>) -> Failure {
    match closed {
        Some(ConnectionError::LocallyClosed) | None => broke(error, "HTTP/3 cannot begin"),
        Some(closed) => lost(closed),
    }
}

/// We closed: the text names the rule of HTTP/3 that was broken.
fn broke(error: &dyn std::error::Error, what: &str) -> Failure {
    Failure::new(Reason::ProtocolError, format!("{what}: the peer broke the rules of HTTP/3: {error}"))
}

/// The peer closed, with a code of QUIC (RFC 9000, 20.1).
fn closed(name: quinn::TransportErrorCode, words: &[u8], stage: Stage) -> Failure {
    let code = u64::from(name);
    if let Some(alert) = alert(code) {
        if alert == AlertDescription::NoApplicationProtocol {
            return no_alpn();
        }
        let error = rustls::Error::AlertReceived(alert);
        return tls::classify_at(&error, stage)
            .unwrap_or_else(|| Failure::new(Reason::TlsHandshake, format!("the peer broke TLS off: {error}")));
    }
    let reason = if code == 2 { Reason::ConnectRefused } else { Reason::ConnectReset };
    Failure::new(reason, format!("the peer closed the QUIC connection: {name}{}", said(words)))
}

/// The peer closed, with a code of HTTP/3.
fn application(code: u64, words: &[u8]) -> Failure {
    let sentence = format!("the peer closed the connection ({}){}", named(code), said(words));
    // Nothing is wrong, says the peer, and yet there is no answer.
    let fine = code == Code::H3_NO_ERROR.value() || code == 0;
    Failure::new(if fine { Reason::ResponseTruncated } else { Reason::ConnectReset }, sentence)
}

fn reset() -> Failure {
    Failure::new(Reason::ConnectReset, "the peer does not know the connection any more (stateless reset)")
}

fn no_alpn() -> Failure {
    Failure::new(
        Reason::TlsHandshake,
        "the peer speaks none of our protocols: it answers by QUIC, but not for HTTP/3 (ALPN h3)",
    )
}

/// TLS alerts are codes from 0x100 on (RFC 9001, 4.8).
fn alert(code: u64) -> Option<AlertDescription> {
    let alert = u8::try_from(code.checked_sub(0x100)?).ok()?;
    Some(AlertDescription::from(alert))
}

/// The peer's own words, cut: they are text for people.
fn said(words: &[u8]) -> String {
    const MOST: usize = 100;
    if words.is_empty() {
        return String::new();
    }
    let text: String = String::from_utf8_lossy(words).chars().filter(|c| !c.is_control()).take(MOST).collect();
    format!(", saying {text:?}")
}

/// RFC 9114 section 8.1 and RFC 9204 section 8.3.
fn named(code: u64) -> String {
    const NAMES: [(Code, &str); 17] = [
        (Code::H3_NO_ERROR, "H3_NO_ERROR"),
        (Code::H3_GENERAL_PROTOCOL_ERROR, "H3_GENERAL_PROTOCOL_ERROR"),
        (Code::H3_INTERNAL_ERROR, "H3_INTERNAL_ERROR"),
        (Code::H3_STREAM_CREATION_ERROR, "H3_STREAM_CREATION_ERROR"),
        (Code::H3_CLOSED_CRITICAL_STREAM, "H3_CLOSED_CRITICAL_STREAM"),
        (Code::H3_FRAME_UNEXPECTED, "H3_FRAME_UNEXPECTED"),
        (Code::H3_FRAME_ERROR, "H3_FRAME_ERROR"),
        (Code::H3_EXCESSIVE_LOAD, "H3_EXCESSIVE_LOAD"),
        (Code::H3_ID_ERROR, "H3_ID_ERROR"),
        (Code::H3_SETTINGS_ERROR, "H3_SETTINGS_ERROR"),
        (Code::H3_MISSING_SETTINGS, "H3_MISSING_SETTINGS"),
        (Code::H3_REQUEST_REJECTED, "H3_REQUEST_REJECTED"),
        (Code::H3_REQUEST_CANCELLED, "H3_REQUEST_CANCELLED"),
        (Code::H3_REQUEST_INCOMPLETE, "H3_REQUEST_INCOMPLETE"),
        (Code::H3_MESSAGE_ERROR, "H3_MESSAGE_ERROR"),
        (Code::H3_CONNECT_ERROR, "H3_CONNECT_ERROR"),
        (Code::H3_VERSION_FALLBACK, "H3_VERSION_FALLBACK"),
    ];
    match NAMES.iter().find(|(known, _)| known.value() == code) {
        Some((_, name)) => (*name).to_owned(),
        None => format!("code {code:#x}"),
    }
}
