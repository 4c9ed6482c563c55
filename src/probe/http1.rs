//! What is wrong with an answer of HTTP/1, in words of ours. The library tells some of it in its text alone.

use std::error::Error;
use std::io;

use super::cause::chain;
use super::tls::{self, io_text};

/// Header lines of an answer. The parser makes room for all of them, so this is not the memory's limit.
pub(super) const MOST_HEADERS: usize = 2000;

/// Why the head of an answer was not read. What is our limit is said to be.
pub(super) fn unreadable(error: &hyper::Error) -> String {
    if error.is_parse_too_large() {
        let most = format!("more than {MOST_HEADERS} header lines, or more than 400 KiB of them");
        return format!(
            "the head of the answer has {most}; that is the limit of this exporter, not a fault of the peer"
        );
    }
    let text = error.to_string();
    // This is also what any other protocol looks like.
    if text.contains("HTTP version") {
        return "the answer begins with neither HTTP/1.0 nor HTTP/1.1, all that this exporter reads here".to_owned();
    }
    let what = if error.is_parse_status() {
        "its status is no number of three digits"
    } else if text.contains("content-length") {
        "its Content-Length is no number, or there are several that differ"
    } else if text.contains("transfer-encoding") {
        "its Transfer-Encoding is none that may stand there"
    } else if text.contains("header") {
        "a line of its head is no header"
    } else {
        "its head cannot be read"
    };
    format!("the answer is not HTTP: {what}")
}

/// Why a body that came in chunks cannot be read.
pub(super) fn bad_chunk(error: &io::Error) -> &'static str {
    let text = error.to_string();
    if text.contains("over limit") || text.contains("trailers count") {
        "what stands beside its chunks is longer than this exporter takes"
    } else if text.contains("overflow") {
        "a chunk of it is said to be longer than any number"
    } else {
        "its chunks are not as HTTP/1.1 has them"
    }
}

/// Whether the library says that it found the connection closed.
fn is_closed(error: &(dyn Error + 'static)) -> bool {
    chain(error)
        .filter_map(|cause| cause.downcast_ref::<hyper::Error>())
        .any(|error| error.is_incomplete_message() || error.is_closed() || error.is_canceled())
}

/// How a connection broke, as far as the causes tell.
pub(super) fn broken(error: &(dyn Error + 'static)) -> String {
    if chain(error).any(|cause| cause.is::<rustls::Error>())
        && let Some(failure) = tls::classify(error)
    {
        return failure.sentence.into();
    }
    let io = chain(error).filter_map(|cause| cause.downcast_ref::<io::Error>()).last();
    match io {
        Some(io) if io.kind() != io::ErrorKind::UnexpectedEof && io.kind() != io::ErrorKind::Other => {
            format!("the connection broke ({})", io_text(io))
        }
        Some(io) if io.kind() == io::ErrorKind::UnexpectedEof => "the peer closed the connection".to_owned(),
        Some(_) | None if is_closed(error) => "the peer closed the connection".to_owned(),
        Some(_) | None => "the connection broke".to_owned(),
    }
}
