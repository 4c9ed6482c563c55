//! Errors of QUIC and HTTP/3 -> reasons, by type; their codes by name.

use std::net::SocketAddr;

use h3::error::{Code, LocalError, StreamError};
use quinn::{ConnectionError, TransportErrorCode};
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
            Some(_) => Failure::new(
                Reason::TlsHandshake,
                format!("the TLS handshake failed: what {peer} sent was refused ({})", transport(error.code)),
            ),
            None if error.reason.starts_with("TLS error") => Failure::new(
                Reason::TlsHandshake,
                format!("the TLS handshake failed: what {peer} sent is not TLS as it should be"),
            ),
            None => broke_quic(error.code),
        },
        ConnectionError::ConnectionClosed(close) => closed(close.error_code, &close.reason, Stage::Handshake),
        ConnectionError::ApplicationClosed(close) => application(close.error_code.into_inner(), &close.reason),
        ConnectionError::Reset => reset(),
        ConnectionError::TimedOut => {
            Failure::new(Reason::ConnectTimeout, format!("{peer} stopped answering during the QUIC handshake"))
        }
        ConnectionError::LocallyClosed | ConnectionError::CidsExhausted => {
            Failure::new(Reason::Internal, "the QUIC connection ended on our side")
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
        ConnectionError::TransportError(error) => broke_quic(error.code),
        ConnectionError::TimedOut => Failure::new(Reason::ResponseTimeout, "the peer stopped answering"),
        ConnectionError::VersionMismatch | ConnectionError::LocallyClosed | ConnectionError::CidsExhausted => {
            Failure::new(Reason::ProtocolError, "the QUIC connection cannot go on")
        }
    }
}

fn stream(error: &StreamError, what: &str) -> Failure {
    #[allow(clippy::wildcard_enum_match_arm)] // the library may add more
    match error {
        StreamError::StreamError { code, .. } => broke(Some(*code), what),
        StreamError::RemoteTerminate { code, .. } => Failure::new(
            Reason::ProtocolError,
            format!("the peer reset the stream instead of answering ({})", named(code.value())),
        ),
        StreamError::HeaderTooBig { actual_size, max_size, .. } => Failure::new(
            Reason::ProtocolError,
            format!("the head of the answer has {actual_size} bytes; our limit is {max_size}"),
        ),
        StreamError::RemoteClosing { .. } => gone_away(),
        StreamError::ConnectionError { 0: error, .. } => broke(broken_rule(error), what),
        _ => broke(None, what),
    }
}

/// A GOAWAY that does not spare our request.
pub(super) fn gone_away() -> Failure {
    let sentence = "the peer takes no more requests on this connection (GOAWAY); it may be restarting";
    Failure::new(Reason::ProtocolError, sentence)
}

/// The connection ended as HTTP/3 began on it.
pub(super) fn start(error: &h3::error::ConnectionError, closed: Option<&ConnectionError>) -> Failure {
    match closed {
        Some(ConnectionError::LocallyClosed) | None => broke(broken_rule(error), "HTTP/3 cannot begin"),
        Some(closed) => lost(closed),
    }
}

/// We closed: the code names the rule of HTTP/3 that was broken.
fn broke(code: Option<Code>, what: &str) -> Failure {
    let code = code.map_or_else(String::new, |code| format!(" ({})", named(code.value())));
    Failure::new(Reason::ProtocolError, format!("{what}: the peer broke the rules of HTTP/3{code}"))
}

#[allow(clippy::wildcard_enum_match_arm)] // the library may add more
fn broken_rule(error: &h3::error::ConnectionError) -> Option<Code> {
    match error {
        h3::error::ConnectionError::Local { error: LocalError::Application { code, .. }, .. } => Some(*code),
        _ => None,
    }
}

fn broke_quic(code: TransportErrorCode) -> Failure {
    Failure::new(Reason::ProtocolError, format!("the peer broke the rules of QUIC ({})", transport(code)))
}

/// The peer closed, with a code of QUIC (RFC 9000, 20.1).
fn closed(name: TransportErrorCode, words: &[u8], stage: Stage) -> Failure {
    let code = u64::from(name);
    if let Some(alert) = alert(code) {
        if alert == AlertDescription::NoApplicationProtocol {
            return no_alpn();
        }
        return tls::classify_at(&rustls::Error::AlertReceived(alert), stage)
            .unwrap_or_else(|| Failure::new(Reason::TlsHandshake, "the peer broke TLS off"));
    }
    let reason = match (code, stage) {
        (2, _) => Reason::ConnectRefused,
        // Nothing is wrong, says the peer, and yet there is no answer.
        (0, Stage::Exchange) => Reason::ResponseTruncated,
        (0, Stage::Connect | Stage::Handshake) => Reason::ConnectReset,
        _ => Reason::ProtocolError,
    };
    Failure::new(reason, format!("the peer closed the QUIC connection ({}){}", transport(name), said(words)))
}

/// The peer closed, with a code of HTTP/3.
fn application(code: u64, words: &[u8]) -> Failure {
    let sentence = format!("the peer closed the connection ({}){}", named(code), said(words));
    // Nothing is wrong, says the peer, and yet there is no answer.
    let fine = code == Code::H3_NO_ERROR.value() || code == 0;
    Failure::new(if fine { Reason::ResponseTruncated } else { Reason::ProtocolError }, sentence)
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

/// RFC 9000 section 20.1, and the alert of a code that is one of TLS.
fn transport(code: TransportErrorCode) -> String {
    const NAMES: [&str; 17] = [
        "NO_ERROR",
        "INTERNAL_ERROR",
        "CONNECTION_REFUSED",
        "FLOW_CONTROL_ERROR",
        "STREAM_LIMIT_ERROR",
        "STREAM_STATE_ERROR",
        "FINAL_SIZE_ERROR",
        "FRAME_ENCODING_ERROR",
        "TRANSPORT_PARAMETER_ERROR",
        "CONNECTION_ID_LIMIT_ERROR",
        "PROTOCOL_VIOLATION",
        "INVALID_TOKEN",
        "APPLICATION_ERROR",
        "CRYPTO_BUFFER_EXCEEDED",
        "KEY_UPDATE_ERROR",
        "AEAD_LIMIT_REACHED",
        "NO_VIABLE_PATH",
    ];
    let number = u64::from(code);
    match (usize::try_from(number).ok().and_then(|index| NAMES.get(index)), alert(number)) {
        (Some(name), _) => (*name).to_owned(),
        (None, Some(alert)) => match alert.as_str() {
            Some(name) => format!("alert {name}"),
            None => format!("alert {}", u8::from(alert)),
        },
        (None, None) => format!("code {number:#x}"),
    }
}

/// RFC 9114 section 8.1, RFC 9204 section 8.3 and RFC 9297 section 5.2.
fn named(code: u64) -> String {
    const NAMES: [(u64, &str); 21] = [
        (0x33, "H3_DATAGRAM_ERROR"),
        (0x100, "H3_NO_ERROR"),
        (0x101, "H3_GENERAL_PROTOCOL_ERROR"),
        (0x102, "H3_INTERNAL_ERROR"),
        (0x103, "H3_STREAM_CREATION_ERROR"),
        (0x104, "H3_CLOSED_CRITICAL_STREAM"),
        (0x105, "H3_FRAME_UNEXPECTED"),
        (0x106, "H3_FRAME_ERROR"),
        (0x107, "H3_EXCESSIVE_LOAD"),
        (0x108, "H3_ID_ERROR"),
        (0x109, "H3_SETTINGS_ERROR"),
        (0x10a, "H3_MISSING_SETTINGS"),
        (0x10b, "H3_REQUEST_REJECTED"),
        (0x10c, "H3_REQUEST_CANCELLED"),
        (0x10d, "H3_REQUEST_INCOMPLETE"),
        (0x10e, "H3_MESSAGE_ERROR"),
        (0x10f, "H3_CONNECT_ERROR"),
        (0x110, "H3_VERSION_FALLBACK"),
        (0x200, "QPACK_DECOMPRESSION_FAILED"),
        (0x201, "QPACK_ENCODER_STREAM_ERROR"),
        (0x202, "QPACK_DECODER_STREAM_ERROR"),
    ];
    match NAMES.iter().find(|(known, _)| *known == code) {
        Some((_, name)) => (*name).to_owned(),
        None => format!("code {code:#x}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_their_names() {
        assert_eq!(named(Code::H3_EXCESSIVE_LOAD.value()), "H3_EXCESSIVE_LOAD");
        assert_eq!(named(Code::H3_VERSION_FALLBACK.value()), "H3_VERSION_FALLBACK");
        assert_eq!(named(0x21), "code 0x21");
        assert_eq!(transport(TransportErrorCode::PROTOCOL_VIOLATION), "PROTOCOL_VIOLATION");
        assert_eq!(transport(TransportErrorCode::NO_VIABLE_PATH), "NO_VIABLE_PATH");
        assert_eq!(transport(TransportErrorCode::crypto(40)), "alert HandshakeFailure");
    }

    #[test]
    fn who_closes_in_order_gives_no_answer_and_who_closes_by_a_code_breaks_the_protocol() {
        let quic = |code, stage| closed(code, b"bye", stage);
        let internal = quic(TransportErrorCode::INTERNAL_ERROR, Stage::Exchange);
        let wanted = "the peer closed the QUIC connection (INTERNAL_ERROR), saying \"bye\"";
        assert_eq!(internal, Failure::new(Reason::ProtocolError, wanted));
        for (code, stage, reason) in [
            (TransportErrorCode::CONNECTION_REFUSED, Stage::Handshake, Reason::ConnectRefused),
            (TransportErrorCode::NO_ERROR, Stage::Handshake, Reason::ConnectReset),
            (TransportErrorCode::NO_ERROR, Stage::Exchange, Reason::ResponseTruncated),
            (TransportErrorCode::FLOW_CONTROL_ERROR, Stage::Handshake, Reason::ProtocolError),
        ] {
            assert_eq!(quic(code, stage).reason, reason, "{code:?}");
        }
        assert_eq!(application(0x100, b"").reason, Reason::ResponseTruncated);
        assert_eq!(application(0x107, b"").reason, Reason::ProtocolError);
    }
}
