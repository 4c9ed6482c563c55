//! What runs tell a server for its traces: the header `traceparent` of W3C Trace Context.
//! <https://www.w3.org/TR/trace-context/>

use std::fmt::Write;

use aws_lc_rs::rand;
use http::{HeaderMap, HeaderValue};

use crate::config::trace_context::{HEADER, TraceContext};
use crate::observation::TraceId;

/// The trace of one run.
#[derive(Clone, Copy, Debug)]
pub(super) struct RunTrace {
    id: TraceId,
    sampled: bool,
}

impl RunTrace {
    /// A new trace where the settings want one. A system without random numbers has none, and no TLS either.
    pub(super) fn begin(settings: Option<TraceContext>) -> Option<Self> {
        let sampled = settings?.sampled;
        Some(Self { id: TraceId::new(random()?)?, sampled })
    }

    pub(super) fn id(&self) -> TraceId {
        self.id
    }

    /// Adds the header for one request: the id of the trace, and a new one for the request as the parent of what the server
    /// does.
    pub(super) fn add_to(&self, headers: &mut HeaderMap) {
        if let Some(value) = random::<8>().and_then(|parent| self.header(parent)) {
            headers.insert(HEADER, value);
        }
    }

    fn header(&self, parent: [u8; 8]) -> Option<HeaderValue> {
        let mut text = format!("00-{}-", self.id);
        for byte in parent {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        text.push_str(if self.sampled { "-01" } else { "-00" });
        HeaderValue::from_str(&text).ok()
    }
}

/// Random bytes, not all of them zero.
fn random<const LENGTH: usize>() -> Option<[u8; LENGTH]> {
    let mut bytes = [0; LENGTH];
    rand::fill(&mut bytes).ok()?;
    if bytes == [0; LENGTH] {
        *bytes.last_mut()? = 1;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn each_run_has_a_trace_and_each_request_a_parent_of_its_own() {
        let parts = |trace: &RunTrace| {
            let mut headers = HeaderMap::new();
            trace.add_to(&mut headers);
            let text = headers["traceparent"].to_str().unwrap().to_owned();
            text.split('-').map(str::to_owned).collect::<Vec<_>>()
        };
        let trace = RunTrace::begin(Some(TraceContext { sampled: true })).unwrap();
        let (one, two) = (parts(&trace), parts(&trace));
        assert_eq!((one.len(), one[0].as_str(), one[3].as_str()), (4, "00", "01"));
        assert_eq!((&one[1], one[1].len()), (&trace.id().to_string(), 32));
        assert_eq!((one[2].len(), one[2].as_str() != "0000000000000000"), (16, true));
        assert_eq!(one[1], two[1]);
        assert_ne!(one[2], two[2]);
        let other = RunTrace::begin(Some(TraceContext { sampled: false })).unwrap();
        assert_ne!(other.id(), trace.id());
        assert_eq!(parts(&other)[3], "00");
        assert!(RunTrace::begin(None).is_none());
    }
}
