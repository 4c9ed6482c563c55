//! What a WebSocket run showed.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::TraceId;

/// One WebSocket run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct WebsocketDetail {
    /// TCP handshake; `None` when not tried.
    pub connect: Option<Duration>,
    /// TLS handshake; `None` when not tried.
    pub tls: Option<Duration>,
    /// From the request to the answer to it.
    pub processing: Option<Duration>,
    /// The dialogue; `None` when there is none or it was not reached.
    pub transfer: Option<Duration>,
    /// HTTP status of the answer; `None` without one.
    pub status: Option<u16>,
    /// Whether the server agreed to speak WebSocket; `None` without an answer.
    pub upgraded: Option<bool>,
    /// Whether an `expect` step failed because the peer closed without a matching message. `None`: not reached, or
    /// there is no such step.
    pub failed_regex: Option<bool>,
    /// The first 1 KiB of messages, empty when the target opts out.
    #[serde(with = "super::base64_text")]
    pub received_excerpt: Box<[u8]>,
    /// What the server was told to trace the run by; `None` where it was not, or nothing was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<TraceId>,
}
