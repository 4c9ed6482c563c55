//! Errors of sockets and of TLS -> reasons. From types wherever there are any; the text is for people.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};

use rustls::{AlertDescription, CertificateError, InvalidMessage, PeerIncompatible, PeerMisbehaved};

use super::verifier::Refusal;
use super::words;
use crate::observation::{Failure, Reason};

/// What was going on when an error came up. Some errors mean different things at different times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Making the TCP connection.
    Connect,
    /// In the TLS handshake.
    Handshake,
    /// Exchanging data, over TLS or not.
    Exchange,
}

/// The reason in an error chain of rustls, io, or both; `None` when there is neither in it.
///
/// As [`classify_at`] while data is exchanged: an unexpected end is a truncated answer. Where a handshake may be under
/// way, use `classify_at(error, recorder.stage())`.
pub fn classify(error: &(dyn Error + 'static)) -> Option<Failure> {
    classify_at(error, Stage::Exchange)
}

/// The reason in an error chain of rustls, io, or both; `None` when there is neither in it.
///
/// A reset is [`Reason::ConnectReset`] at every stage, in the TLS handshake too: the peer's kernel or a box in between
/// answered so, and the place to look is the same. An orderly end of the stream in the middle of a handshake is
/// [`Reason::TlsHandshake`].
pub fn classify_at(error: &(dyn Error + 'static), stage: Stage) -> Option<Failure> {
    // Guards against a chain that bites its own tail.
    const DEEPEST: usize = 32;
    let mut current = Some(error);
    let mut found = None;
    for _ in 0..DEEPEST {
        let Some(error) = current else { break };
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return Some(classify_tls(tls, stage));
        }
        current = error.source();
        if let Some(io) = error.downcast_ref::<io::Error>() {
            // The deepest one knows best, but an outer one with a clear kind is better than nothing.
            found = classify_io(io, stage).or(found);
            // io::Error::source() skips the error that it wraps.
            if let Some(inner) = io.get_ref() {
                current = Some(inner);
            }
        }
    }
    found
}

/// An error of connecting to `peer`.
pub fn classify_connect(error: &io::Error, peer: SocketAddr) -> Failure {
    let address_missing = error.kind() == ErrorKind::AddrNotAvailable;
    // Where IPv6 is switched off, even ::1 is "not available"; elsewhere this means that no local port is left.
    let no_ipv6 = address_missing && peer.ip() == IpAddr::from(std::net::Ipv6Addr::LOCALHOST);
    let reason = if no_ipv6 { Some(Reason::ConnectUnreachable) } else { io_reason(error, Stage::Connect) };
    // What has no reason of its own came from no network.
    Failure::new(reason.unwrap_or(Reason::Internal), format!("cannot connect to {peer}: {}", io_text(error)))
}

fn classify_io(error: &io::Error, stage: Stage) -> Option<Failure> {
    let sentence = match (error.kind(), stage) {
        (ErrorKind::UnexpectedEof, Stage::Handshake) => {
            "the peer closed the connection during the TLS handshake".to_owned()
        }
        (ErrorKind::UnexpectedEof, _) => "the peer closed the connection in the middle of its answer".to_owned(),
        (ErrorKind::ConnectionReset, Stage::Handshake) => {
            "the peer reset the connection during the TLS handshake".to_owned()
        }
        _ => io_text(error),
    };
    Some(Failure::new(io_reason(error, stage)?, sentence))
}

/// `None` for an error that a library made up and that has no telling kind: guessing [`Reason::Internal`] would take an
/// outage for a fault of the exporter.
fn io_reason(error: &io::Error, stage: Stage) -> Option<Reason> {
    if is_exhausted(error) {
        return Some(Reason::Internal);
    }
    #[allow(clippy::wildcard_enum_match_arm)] // most kinds are about files
    Some(match error.kind() {
        ErrorKind::ConnectionRefused => Reason::ConnectRefused,
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::NetworkDown => {
            Reason::ConnectUnreachable
        }
        ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe
        | ErrorKind::NotConnected
        | ErrorKind::WriteZero => Reason::ConnectReset,
        // The kernel gave up retransmitting.
        ErrorKind::TimedOut => match stage {
            Stage::Connect => Reason::ConnectTimeout,
            Stage::Handshake => Reason::TlsTimeout,
            Stage::Exchange => Reason::ResponseTimeout,
        },
        ErrorKind::UnexpectedEof => match stage {
            Stage::Connect => Reason::ConnectReset,
            Stage::Handshake => Reason::TlsHandshake,
            Stage::Exchange => Reason::ResponseTruncated,
        },
        ErrorKind::InvalidData => match stage {
            Stage::Handshake => Reason::TlsHandshake,
            Stage::Connect | Stage::Exchange => Reason::ProtocolError,
        },
        _ if is_no_route(error) => Reason::ConnectUnreachable,
        // What else the kernel says is about this machine: no permission, a bad source address.
        _ if error.raw_os_error().is_some() => Reason::Internal,
        _ => return None,
    })
}

/// Errors for which `ErrorKind` has no stable name, by their numbers.
mod errno {
    /// Too many open files, in the system and in the process: the same on every Unix.
    pub(super) const ENFILE: i32 = 23;
    pub(super) const EMFILE: i32 = 24;
    pub(super) const ENOBUFS: i32 = if cfg!(target_os = "linux") { 105 } else { 55 };
    /// The kernel does not speak this address family.
    pub(super) const EAFNOSUPPORT: i32 = if cfg!(target_os = "linux") { 97 } else { 47 };
    /// Host is down, from ARP or an ICMP message.
    pub(super) const EHOSTDOWN: i32 = if cfg!(target_os = "linux") { 112 } else { 64 };
    /// ICMP protocol unreachable.
    pub(super) const ENOPROTOOPT: i32 = if cfg!(target_os = "linux") { 92 } else { 42 };
}

/// Whether the exporter ran out of something of its own: files, ports, memory. That says nothing about the target.
pub(crate) fn is_exhausted(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(errno::ENFILE | errno::EMFILE | errno::ENOBUFS))
        || matches!(error.kind(), ErrorKind::OutOfMemory | ErrorKind::AddrNotAvailable | ErrorKind::AddrInUse)
}

fn is_no_route(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(errno::EAFNOSUPPORT | errno::EHOSTDOWN | errno::ENOPROTOOPT))
}

/// The system's words without Rust's "(os error N)", in lower case as the rest of a sentence.
pub(crate) fn io_text(error: &io::Error) -> String {
    if error.raw_os_error().is_none() {
        // What a library made up: its kind is a word of the standard's, its text is the library's.
        return error.kind().to_string();
    }
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut chars = text.chars();
    match chars.next() {
        // Not a word in capitals, such as TLS.
        Some(first) if !chars.as_str().starts_with(char::is_uppercase) => first.to_lowercase().chain(chars).collect(),
        _ => text.to_owned(),
    }
}

fn classify_tls(error: &rustls::Error, stage: Stage) -> Failure {
    use rustls::Error as Tls;
    if let Tls::Other(other) = error
        && let Some(Refusal(failure)) = other.0.downcast_ref::<Refusal>()
    {
        return failure.clone();
    }
    #[allow(clippy::wildcard_enum_match_arm)] // rustls has more than twenty, all of them a handshake that failed
    match error {
        Tls::InvalidCertificate(certificate) => classify_certificate(certificate),
        Tls::AlertReceived(alert) => classify_alert(*alert),
        Tls::FailedToGetCurrentTime | Tls::FailedToGetRandomBytes => {
            Failure::new(Reason::Internal, "TLS cannot run: this host gives no time or no random numbers")
        }
        Tls::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13) => Failure::new(
            Reason::TlsHandshake,
            "the peer chose a TLS version older than 1.2; this exporter speaks 1.2 and 1.3 alone, which is its limit",
        ),
        // rustls says so of every scheme that it has no name for, which is offered with insecure_skip_verify alone.
        Tls::PeerMisbehaved(PeerMisbehaved::SignedKxWithWrongAlgorithm) => Failure::new(
            Reason::TlsHandshake,
            "the peer signed the handshake by a scheme that does not go with the cipher suite, or that this exporter takes in TLS \
             1.3 alone, such as that of a key for RSA-PSS only",
        ),
        Tls::InvalidMessage(InvalidMessage::HandshakePayloadTooLarge | InvalidMessage::CertificatePayloadTooLarge) => {
            Failure::new(
                Reason::TlsHandshake,
                "the peer's certificates take more than 64 KiB, which is the limit of this exporter",
            )
        }
        Tls::InvalidMessage(_) | Tls::PeerSentOversizedRecord if stage == Stage::Handshake => {
            Failure::new(Reason::TlsHandshake, "the peer does not speak TLS on this port".to_owned())
        }
        _ if stage == Stage::Exchange => {
            Failure::new(Reason::ProtocolError, format!("the TLS connection broke: {}", words::of(error)))
        }
        _ => Failure::new(Reason::TlsHandshake, format!("the TLS handshake failed: {}", words::of(error))),
    }
}

/// What the peer says by an alert concerns us: our offer, or our client certificate. A server may send it after a
/// TLS 1.3 handshake that was complete on our side.
fn classify_alert(alert: AlertDescription) -> Failure {
    #[allow(clippy::wildcard_enum_match_arm)] // of the others, the alert's own name says all
    let (reason, what) = match alert {
        AlertDescription::CertificateRevoked => (Reason::TlsRevoked, "the peer says that a certificate is revoked"),
        AlertDescription::CertificateRequired => (Reason::TlsHandshake, "the peer wants a client certificate"),
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnknownCA
        | AlertDescription::AccessDenied => (Reason::TlsHandshake, "the peer refused our client certificate"),
        AlertDescription::ProtocolVersion => (
            Reason::TlsHandshake,
            "the peer speaks none of our TLS versions: 1.2 and 1.3 as far as the module allows; older ones are beyond the limits of \
             this exporter",
        ),
        AlertDescription::HandshakeFailure => (
            Reason::TlsHandshake,
            "the peer accepts nothing of what was offered: no cipher suite, curve or signature in common, or no client \
             certificate; suites without ECDHE are beyond the limits of this exporter",
        ),
        AlertDescription::UnrecognisedName => (Reason::TlsHandshake, "the peer does not know the server name"),
        AlertDescription::NoApplicationProtocol => (Reason::TlsHandshake, "the peer speaks none of our protocols"),
        _ => (Reason::TlsHandshake, "the peer broke TLS off"),
    };
    match alert.as_str() {
        Some(name) => Failure::new(reason, format!("{what} (alert {name})")),
        None => Failure::new(reason, format!("{what} (alert {})", u8::from(alert))),
    }
}

/// Our verifier gives its own failure; the rest comes from checking the handshake's signature.
fn classify_certificate(error: &CertificateError) -> Failure {
    use CertificateError as Bad;
    #[allow(clippy::wildcard_enum_match_arm)] // a certificate that is bad in any other way is not to be trusted
    let reason = match error {
        Bad::Other(other) => match other.0.downcast_ref::<Refusal>() {
            Some(Refusal(failure)) => return failure.clone(),
            None => Reason::TlsUntrusted,
        },
        Bad::Expired | Bad::ExpiredContext { .. } => Reason::TlsExpired,
        Bad::NotValidYet | Bad::NotValidYetContext { .. } => Reason::TlsNotYetValid,
        Bad::NotValidForName | Bad::NotValidForNameContext { .. } => Reason::TlsNameMismatch,
        Bad::Revoked => Reason::TlsRevoked,
        _ => Reason::TlsUntrusted,
    };
    Failure::new(reason, format!("the server's certificate was refused: {}", words::of_certificate(error)))
}

#[cfg(test)]
mod tests {
    use std::fmt;
    use std::sync::Arc;

    use super::*;

    /// As reqwest and hyper wrap what they meet.
    #[derive(Debug)]
    struct Wrapper(Box<dyn Error + Send + Sync>);

    impl fmt::Display for Wrapper {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("wrapped")
        }
    }

    impl Error for Wrapper {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&*self.0)
        }
    }

    fn reason_at(error: impl Error + Send + Sync + 'static, stage: Stage) -> Option<Reason> {
        let wrapped = Wrapper(Box::new(Wrapper(Box::new(error))));
        classify_at(&wrapped, stage).map(|failure| failure.reason)
    }

    #[test]
    fn io_errors_have_their_reasons_at_every_stage() {
        use Stage::{Connect, Exchange, Handshake};
        let errno = |number| io::Error::from_raw_os_error(number);
        for (number, reason) in [
            (111, Reason::ConnectRefused),
            (113, Reason::ConnectUnreachable),
            (101, Reason::ConnectUnreachable),
            (97, Reason::ConnectUnreachable),
            (104, Reason::ConnectReset),
            (103, Reason::ConnectReset),
            (32, Reason::ConnectReset),
            (107, Reason::ConnectReset),
            (24, Reason::Internal),
            (23, Reason::Internal),
            (105, Reason::Internal),
            (12, Reason::Internal),
            (99, Reason::Internal),
            (13, Reason::Internal),
        ] {
            for stage in [Connect, Handshake, Exchange] {
                assert_eq!(reason_at(errno(number), stage), Some(reason), "{number} at {stage:?}");
            }
        }
        for (stage, reason) in
            [(Connect, Reason::ConnectTimeout), (Handshake, Reason::TlsTimeout), (Exchange, Reason::ResponseTimeout)]
        {
            assert_eq!(reason_at(errno(110), stage), Some(reason));
        }
        let eof = || io::Error::from(ErrorKind::UnexpectedEof);
        assert_eq!(reason_at(eof(), Handshake), Some(Reason::TlsHandshake));
        assert_eq!(reason_at(eof(), Exchange), Some(Reason::ResponseTruncated));
    }

    #[test]
    fn a_tls_error_inside_an_io_error_wins() {
        let refusal = Refusal(Failure::new(Reason::TlsExpired, "expired in May"));
        let tls = rustls::Error::from(CertificateError::Other(rustls::OtherError(Arc::new(refusal))));
        let io = io::Error::new(ErrorKind::InvalidData, tls);
        let failure = classify_at(&Wrapper(Box::new(io)), Stage::Handshake);
        assert_eq!(failure, Some(Failure::new(Reason::TlsExpired, "expired in May")));
    }

    #[test]
    fn an_alert_about_certificates_is_about_ours() {
        let alert = |alert| reason_at(rustls::Error::AlertReceived(alert), Stage::Exchange);
        assert_eq!(alert(AlertDescription::CertificateExpired), Some(Reason::TlsHandshake));
        assert_eq!(alert(AlertDescription::UnknownCA), Some(Reason::TlsHandshake));
        assert_eq!(alert(AlertDescription::CertificateRevoked), Some(Reason::TlsRevoked));
        assert_eq!(alert(AlertDescription::Unknown(200)), Some(Reason::TlsHandshake));
    }

    #[test]
    fn where_tls_ends_at_our_limit_the_sentence_says_so() {
        let said = |error: rustls::Error| classify_at(&Wrapper(Box::new(error)), Stage::Handshake);
        for (error, words) in [
            (PeerIncompatible::ServerDoesNotSupportTls12Or13.into(), "which is its limit"),
            (InvalidMessage::HandshakePayloadTooLarge.into(), "64 KiB, which is the limit of this exporter"),
            (PeerMisbehaved::SignedKxWithWrongAlgorithm.into(), "this exporter takes in TLS 1.3 alone"),
            (rustls::Error::AlertReceived(AlertDescription::ProtocolVersion), "the limits of this exporter"),
            (rustls::Error::AlertReceived(AlertDescription::HandshakeFailure), "limits of this exporter"),
        ] {
            let failure = said(error);
            let fits = |failure: &Failure| failure.reason == Reason::TlsHandshake && failure.sentence.contains(words);
            assert!(failure.as_ref().is_some_and(fits), "{words}: {failure:?}");
        }
    }

    #[test]
    fn a_broken_record_is_the_handshakes_fault_only_in_the_handshake() {
        assert_eq!(reason_at(rustls::Error::DecryptError, Stage::Exchange), Some(Reason::ProtocolError));
        assert_eq!(reason_at(rustls::Error::DecryptError, Stage::Handshake), Some(Reason::TlsHandshake));
    }

    #[test]
    fn other_errors_are_not_ours() {
        assert_eq!(reason_at(fmt::Error, Stage::Exchange), None);
        assert_eq!(reason_at(io::Error::other("made up"), Stage::Exchange), None);
        let wrapped = io::Error::other(io::Error::from_raw_os_error(111));
        assert_eq!(reason_at(wrapped, Stage::Exchange), Some(Reason::ConnectRefused));
    }

    #[test]
    fn without_ipv6_the_loopback_is_unreachable_and_ports_that_ran_out_are_our_fault() {
        let missing = io::Error::from(ErrorKind::AddrNotAvailable);
        let at = |peer: &str| classify_connect(&missing, peer.parse().expect("an address")).reason;
        assert_eq!(at("[::1]:80"), Reason::ConnectUnreachable);
        assert_eq!(at("127.0.0.1:80"), Reason::Internal);
    }

    #[test]
    fn system_errors_read_as_part_of_a_sentence() {
        assert_eq!(io_text(&io::Error::from_raw_os_error(111)), "connection refused");
        assert_eq!(io_text(&io::Error::other("a library's words")), "other error");
    }
}
