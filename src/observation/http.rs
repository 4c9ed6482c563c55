//! What an HTTP run showed.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::TraceId;

/// One HTTP run over all its hops. The status and what follows belong to the final response.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HttpDetail {
    pub phases: HttpPhases,
    /// The HTTP status code; `None` without a response, as are the fields below.
    pub status: Option<u16>,
    /// 1.0, 1.1, 2.0 or 3.0.
    pub version: Option<f64>,
    /// Bytes, as the Content-Length header says; -1 when it does not.
    pub content_length: Option<i64>,
    /// Bytes read, after decompression if `compression` is set.
    pub body_length: Option<u64>,
    /// Redirect responses seen, the one at the limit included.
    pub redirects: u32,
    /// Whether the final response came over TLS.
    pub ssl: Option<bool>,
    /// Whether a header or body regex rule failed; `None` when the target has none or none was reached.
    pub failed_regex: Option<bool>,
    /// Whether a CEL rule failed; `None` when the target has none.
    pub failed_cel: Option<bool>,
    /// Unix seconds, from Last-Modified.
    pub last_modified: Option<i64>,
    /// A chosen few of the response headers; no cookies, no credentials.
    pub headers: Box<[(Box<str>, Box<str>)]>,
    /// The first 1 KiB of the body, empty when the target opts out.
    #[serde(with = "super::base64_text")]
    pub body_excerpt: Box<[u8]>,
    /// The URL of every hop after the first, without credentials and query.
    pub redirect_chain: Box<[Box<str>]>,
    /// The proxy of the final hop, as `host:port`; `None` without one.
    pub proxy: Option<Box<str>>,
    /// What the server was told to trace the run by; `None` where it was not, or nothing was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<TraceId>,
}

/// Exact times of the phases, summed over the hops. `None`: not reached on any hop.
///
/// A phase that was entered but not completed holds the time spent in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HttpPhases {
    /// Name lookups.
    pub resolve: Option<Duration>,
    /// TCP connects.
    pub connect: Option<Duration>,
    /// TLS handshakes.
    pub tls: Option<Duration>,
    /// Connection ready to first response byte; sending the request included.
    pub processing: Option<Duration>,
    /// First response byte to the end of the body, of the final hop.
    pub transfer: Option<Duration>,
}
