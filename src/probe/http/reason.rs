//! Errors of the libraries -> reasons, by type and stage rather than by text where the library allows it.
//!
//! Choices where several reasons would do: a peer that closes before or within the head of its answer is
//! `response_truncated`, one that resets before the head is `connect_reset`, and one that does either within the body is
//! `response_truncated`. A reset HTTP/2 stream is `connect_reset`. A body that is not in the encoding that `compression`
//! forces is `protocol_error`.

use std::error::Error;
use std::io;

use super::body::{BodyError, Meter};
use super::client::MOST_HEADERS;
use super::decode::DecodeError;
use super::http3::Broken;
use super::trace::{Dial, HopTrace, Reached};
use crate::observation::{Failure, Reason};
use crate::probe::cause::chain;
use crate::probe::{http2, tls};

/// Why no response came.
pub(super) fn exchange(error: &reqwest::Error, hop: &HopTrace, peer: &str) -> Failure {
    let io = io_errors(error).last();
    let reached = hop.reached();
    if let (Reached::Connecting, Dial::Target(address), Some(io)) = (reached, &hop.dial, io) {
        return tls::classify_connect(io, *address);
    }
    if let Some(failure) = io.and_then(own_trouble) {
        return failure;
    }
    match reached {
        Reached::Proxy => {
            let detail = match hop.marks().proxy_lookup {
                Some(lookup) => lookup.sentence.into_string(),
                None => explain(error),
            };
            Failure::new(Reason::ProxyError, format!("the proxy {peer} cannot be used: {detail}"))
        }
        // No socket was involved: a URL that the client refuses.
        Reached::Connecting => {
            Failure::new(Reason::Internal, format!("the request cannot be sent: {}", explain(error)))
        }
        Reached::Handshake => {
            hop.recorder.refusal().or_else(|| tls::classify_at(error, tls::Stage::Handshake)).unwrap_or_else(|| {
                Failure::new(Reason::TlsHandshake, format!("the TLS handshake failed: {}", explain(error)))
            })
        }
        Reached::Request => request(error),
    }
}

/// Trouble of this process or host, which says nothing about the target or its proxy.
fn own_trouble(error: &io::Error) -> Option<Failure> {
    /// Linux: ENOMEM, ENFILE, EMFILE, EADDRNOTAVAIL (no free local port), ENOBUFS.
    const CODES: [i32; 5] = [12, 23, 24, 99, 105];
    let code = error.raw_os_error().filter(|code| CODES.contains(code))?;
    let text = io::Error::from_raw_os_error(code);
    Some(Failure::new(Reason::Internal, format!("this exporter cannot open a connection: {text}")))
}

/// Connected, but no whole head of a response came.
fn request(error: &reqwest::Error) -> Failure {
    // A server that wants a client certificate says so only now (TLS 1.3).
    if chain(error).any(|cause| cause.is::<rustls::Error>())
        && let Some(failure) = tls::classify(error)
    {
        return failure;
    }
    let hyper = chain(error).find_map(|cause| cause.downcast_ref::<hyper::Error>());
    if let Some(hyper) = hyper.filter(|error| error.is_parse()) {
        return Failure::new(Reason::ProtocolError, unreadable(hyper));
    }
    match io_errors(error).last().map(io::Error::kind) {
        Some(io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted) => {
            return Failure::new(Reason::ConnectReset, "the peer reset the connection instead of answering");
        }
        Some(io::ErrorKind::TimedOut) => {
            return Failure::new(Reason::RequestTimeout, "the connection timed out before an answer began");
        }
        Some(io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe) => return closed_early(),
        _ => {}
    }
    if hyper.is_some_and(|error| error.is_incomplete_message() || error.is_canceled() || error.is_closed()) {
        return closed_early();
    }
    if let Some(failure) = http2::failure(error) {
        return failure;
    }
    Failure::new(Reason::ProtocolError, format!("the exchange failed: {}", explain(error)))
}

/// Why the head of an answer was not read. What is our limit is said to be.
fn unreadable(error: &hyper::Error) -> String {
    if error.is_parse_too_large() {
        let most = format!("more than {MOST_HEADERS} header lines, or more than 400 KiB of them");
        return format!(
            "the head of the answer has {most}; that is the limit of this exporter, not a fault of the peer"
        );
    }
    let text = error.to_string();
    // The library has no type for this one. It is also what any other protocol looks like.
    if text.contains("HTTP version") {
        return "the answer begins with neither HTTP/1.0 nor HTTP/1.1, all that this exporter reads here".to_owned();
    }
    format!("the answer is not HTTP: {text}")
}

fn closed_early() -> Failure {
    Failure::new(Reason::ResponseTruncated, "the peer closed the connection before its answer was whole")
}

/// Why a body is not whole.
pub(super) fn body(error: &BodyError, meter: &Meter) -> Failure {
    match error {
        BodyError::TooLarge => {
            Failure::new(Reason::BodyTooLarge, format!("the body is larger than {} bytes", meter.limit()))
        }
        BodyError::Decode(error @ DecodeError::Corrupt(_)) => {
            Failure::new(Reason::ProtocolError, format!("the body cannot be decoded: {error}"))
        }
        BodyError::Decode(error @ DecodeError::Truncated(_)) => {
            Failure::new(Reason::ResponseTruncated, format!("the body cannot be decoded: {error}"))
        }
        BodyError::Transport(error) => transport(error, meter.length),
    }
}

fn transport(error: &reqwest::Error, length: u64) -> Failure {
    if let Some(Broken(failure)) = chain(error).find_map(|cause| cause.downcast_ref()) {
        return failure.clone();
    }
    let malformed = io_errors(error)
        .last()
        .is_some_and(|io| matches!(io.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData))
        && !chain(error).any(|cause| cause.is::<rustls::Error>());
    if malformed {
        return Failure::new(Reason::ProtocolError, format!("the body is malformed: {}", explain(error)));
    }
    let (reason, why) = match http2::failure(error) {
        // We broke off, as over HTTP/1 at a chunk that is none.
        Some(Failure { reason: Reason::ProtocolError, sentence }) => (Reason::ProtocolError, sentence.into_string()),
        Some(failure) => (Reason::ResponseTruncated, failure.sentence.into_string()),
        None => (Reason::ResponseTruncated, explain(error)),
    };
    Failure::new(reason, format!("the answer broke off after {length} bytes of body: {why}"))
}

fn io_errors<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a io::Error> {
    chain(error).filter_map(|cause| cause.downcast_ref())
}

/// The causes in one line. reqwest's own text is left out: it holds the URL, and so maybe a secret.
fn explain(error: &reqwest::Error) -> String {
    let mut texts: Vec<String> = Vec::new();
    for cause in chain(error).filter(|cause| !cause.is::<reqwest::Error>()) {
        let text = cause.to_string();
        // "client error (Connect)" tells a reader nothing that the next line does not.
        if text.starts_with("client error") || texts.last().is_some_and(|last| last.contains(&text)) {
            continue;
        }
        texts.push(text);
    }
    if texts.is_empty() { "the client refused it".to_owned() } else { texts.join(": ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exhaustion_is_our_own_trouble() {
        for code in [12, 23, 24, 99, 105] {
            let failure = own_trouble(&io::Error::from_raw_os_error(code));
            assert_eq!(failure.map(|failure| failure.reason), Some(Reason::Internal), "{code}");
        }
        assert_eq!(own_trouble(&io::ErrorKind::ConnectionRefused.into()), None);
        assert_eq!(own_trouble(&io::Error::from_raw_os_error(111)), None);
    }

    #[test]
    fn the_chain_looks_into_io_errors() {
        let refused = io::Error::from_raw_os_error(111);
        let wrapped = io::Error::other(io::Error::other(refused));
        assert_eq!(io_errors(&wrapped).last().and_then(io::Error::raw_os_error), Some(111));
        let tls = io::Error::other(rustls::Error::DecryptError);
        assert!(chain(&tls).any(|cause| cause.is::<rustls::Error>()));
    }
}
