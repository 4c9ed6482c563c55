//! What a gRPC run showed.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::TraceId;

/// One call of the gRPC health service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GrpcDetail {
    /// TCP handshake; `None` when not tried.
    pub connect: Option<Duration>,
    /// TLS handshake; `None` when not tried.
    pub tls: Option<Duration>,
    /// The call, from the first frame to the status; on failure the time spent. `None` when not begun.
    pub check: Option<Duration>,
    /// Whether the call went over TLS; `None` when it did not begin.
    pub ssl: Option<bool>,
    /// The HTTP status of the answer, as soon as its head came.
    pub http_status: Option<u16>,
    /// The gRPC status code; `None` when the call ended without one.
    pub status: Option<u32>,
    /// What the server said beside the status.
    pub message: Box<str>,
    /// What the health service said; `None` unless the status is OK.
    pub serving: Option<ServingStatus>,
    /// What the server was told to trace the run by; `None` where it was not, or nothing was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<TraceId>,
}

/// `grpc.health.v1.HealthCheckResponse.ServingStatus`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServingStatus {
    Unknown,
    Serving,
    NotServing,
    ServiceUnknown,
}

impl ServingStatus {
    pub const ALL: [Self; 4] = [Self::Unknown, Self::Serving, Self::NotServing, Self::ServiceUnknown];

    /// As the protocol spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "UNKNOWN",
            Self::Serving => "SERVING",
            Self::NotServing => "NOT_SERVING",
            Self::ServiceUnknown => "SERVICE_UNKNOWN",
        }
    }
}
