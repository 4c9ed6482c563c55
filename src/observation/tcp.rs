//! What a dialogue over a stream showed: TCP, and Unix sockets.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// One TCP run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TcpDetail {
    /// TCP handshake; `None` when not tried.
    pub connect: Option<Duration>,
    /// TLS handshake.
    pub tls: Option<Duration>,
    /// Whether an `expect` step failed because the peer closed without a matching line. `None`: never connected.
    pub failed_regex: Option<bool>,
    /// Whether an `expect_bytes` step failed. `None`: never connected.
    pub failed_bytes: Option<bool>,
    /// Labels of each `labels` step that matched, for `probe_expect_info`.
    pub expect_info: Box<[ExpectInfo]>,
    /// The first 1 KiB that the peer sent, empty when the target opts out.
    #[serde(with = "super::base64_text")]
    pub received_excerpt: Box<[u8]>,
}

/// Label names and values that one step of a dialogue collected.
pub type ExpectInfo = Box<[(Box<str>, Box<str>)]>;
