//! Traces: what is told to the servers that are probed, and where a trace is to be seen.

use std::fmt;

use http::HeaderName;

use crate::observation::TraceId;

/// The header by which a server takes part in a trace.
pub const HEADER: HeaderName = HeaderName::from_static("traceparent");

/// Each run sends a trace id of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// Whether the server is asked to record the trace.
    pub sampled: bool,
}

/// Where a trace is to be seen: a URL with a place for its id, or several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceUrl {
    /// What stands before, between and after the places.
    parts: Box<[Box<str>]>,
}

impl TraceUrl {
    /// What stands in the config for the id.
    pub const PLACE: &'static str = "{trace_id}";

    /// `url` is a whole URL, with `place` where the id goes.
    pub(super) fn new(url: &str, place: &str) -> Self {
        Self { parts: url.split(place).map(Into::into).collect() }
    }

    pub fn of(&self, id: TraceId) -> String {
        self.parts.join(&id.to_string())
    }
}

impl fmt::Display for TraceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.parts.join(Self::PLACE))
    }
}
