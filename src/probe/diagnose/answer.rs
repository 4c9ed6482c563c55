//! Whether a run that failed for want of an answer had a part of one.

use crate::observation::{Detail, Failure, Observation, Reason};

/// What came before it broke off, such as `HTTP 200 and 12 bytes of the body`; `None` when nothing did.
pub(super) fn beginning(run: &Observation, failure: &Failure) -> Option<String> {
    if !failure.reason.is_unanswered() {
        return None;
    }
    let seen = match &run.detail {
        Detail::Http(detail) => detail.status.map(|status| match detail.body_length {
            Some(1) => format!("HTTP {status} and 1 byte of the body"),
            Some(length) => format!("HTTP {status} and {length} bytes of the body"),
            None => format!("HTTP {status}"),
        }),
        Detail::Tcp(detail) | Detail::Unix(detail) => bytes(&detail.received_excerpt),
        // Whoever switched the protocol answered.
        Detail::Websocket(detail) => detail.status.map(|status| format!("HTTP {status}")),
        Detail::Grpc(detail) => detail.http_status.map(|status| format!("HTTP {status}")),
        Detail::Dns(_) | Detail::Icmp(_) | Detail::None => None,
    };
    // Bytes may have come that were not to be kept.
    seen.or_else(|| (failure.reason == Reason::ResponseTimeout).then(|| "the beginning of its answer".to_owned()))
}

/// The sentence that goes with it. What the failure says of how much came is said already.
pub(super) fn breaks_off(who: &str, after: &str, failure: &Failure) -> String {
    let why = failure.sentence.split_once(" bytes of body: ").map_or(&*failure.sentence, |(_, why)| why);
    format!("{who} answers, but breaks off after {after}: {why}")
}

/// As many as are kept.
fn bytes(excerpt: &[u8]) -> Option<String> {
    const KEPT: usize = 1024;
    match excerpt.len() {
        0 => None,
        1 => Some("1 byte".to_owned()),
        KEPT.. => Some("1 KiB or more".to_owned()),
        count => Some(format!("{count} bytes")),
    }
}
