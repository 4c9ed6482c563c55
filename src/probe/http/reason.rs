//! Errors of the libraries -> reasons, by type and stage rather than by text where the library allows it.
//!
//! Choices where several reasons would do: a peer that closes before or within the head of its answer is
//! `response_truncated`, one that resets before the head is `connect_reset`, and one that does either within the body is
//! `response_truncated`. An error code of HTTP/2 is `protocol_error` before the head. A body that is not in the encoding that `compression`
//! forces is `protocol_error`.

use std::error::Error;
use std::io;

use super::body::{BodyError, Meter};
use super::decode::DecodeError;
use super::http3::Broken;
use super::trace::{Dial, HopTrace, Reached};
use crate::observation::{Failure, Reason};
use crate::probe::cause::chain;
use crate::probe::{http1, http2, tls};

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
                None => refused_by_proxy(error),
            };
            Failure::new(Reason::ProxyError, format!("the proxy {peer} cannot be used: {detail}"))
        }
        // No socket was involved: a URL that the client refuses.
        Reached::Connecting => Failure::new(
            Reason::Internal,
            "the request cannot be sent: this exporter's client takes no such URL or headers",
        ),
        Reached::Handshake => {
            hop.recorder.refusal().or_else(|| tls::classify_at(error, tls::Stage::Handshake)).unwrap_or_else(|| {
                Failure::new(Reason::TlsHandshake, format!("the TLS handshake failed: {}", http1::broken(error)))
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
    if let Some(failure) = http2::instead_of_an_answer(error) {
        return failure;
    }
    let hyper = chain(error).find_map(|cause| cause.downcast_ref::<hyper::Error>());
    if let Some(hyper) = hyper.filter(|error| error.is_parse()) {
        return Failure::new(Reason::ProtocolError, http1::unreadable(hyper));
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
    Failure::new(Reason::ProtocolError, format!("the exchange failed: {}", http1::broken(error)))
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
        .filter(|io| matches!(io.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData))
        .filter(|_| !chain(error).any(|cause| cause.is::<rustls::Error>()));
    if let Some(io) = malformed {
        return Failure::new(Reason::ProtocolError, format!("the body is malformed: {}", http1::bad_chunk(io)));
    }
    let (reason, why) = match http2::amid_an_answer(error) {
        Some(failure) => (failure.reason, failure.sentence.into_string()),
        None => (Reason::ResponseTruncated, http1::broken(error)),
    };
    Failure::new(reason, format!("the answer broke off after {length} bytes of body: {why}"))
}

fn io_errors<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a io::Error> {
    chain(error).filter_map(|cause| cause.downcast_ref())
}

/// Why a proxy made no connection. The library tells that in its text alone.
fn refused_by_proxy(error: &reqwest::Error) -> String {
    /// In part of RFC 1928.
    const KNOWN: [(&str, &str); 16] = [
        ("proxy authorization required", "it wants credentials (status 407)"),
        ("proxy response headers too long", "its answer is longer than this exporter takes"),
        ("tunnel error: unsuccessful", "it refused to connect (its status is not 200)"),
        ("tunnel error: unexpected end of file", "it closed the connection instead of answering"),
        ("general server failure", "it answered that it failed (SOCKS)"),
        ("connection not allowed", "it answered that its rules do not allow this connection (SOCKS)"),
        ("network unreachable", "it answered that the network cannot be reached (SOCKS)"),
        ("host unreachable", "it answered that the host cannot be reached (SOCKS)"),
        ("SOCKS error: connection refused", "it answered that the host refused the connection (SOCKS)"),
        ("ttl expired", "it answered that the way to the host did not end (SOCKS, TTL expired)"),
        ("command not supported", "it answered that it makes no such connections (SOCKS)"),
        ("address type not supported", "it answered that it takes no such addresses (SOCKS)"),
        ("user/pass authentication", "it takes no user name and password (SOCKS)"),
        ("credentials not accepted", "it refused the credentials (SOCKS)"),
        ("could not resolve", "the name of the target has no address to ask it for (SOCKS)"),
        ("failed parsing server response", "what it answered is not SOCKS"),
    ];
    let texts: Vec<String> =
        chain(error).filter(|cause| !cause.is::<reqwest::Error>()).map(ToString::to_string).collect();
    let known = KNOWN.iter().find(|(part, _)| texts.iter().any(|text| text.contains(part)));
    match known {
        Some((_, words)) => (*words).to_owned(),
        None => http1::broken(error),
    }
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
