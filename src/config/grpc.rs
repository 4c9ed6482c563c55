//! Settings of the gRPC prober: the incumbent's `grpc` block, resolved.

use super::trace_context::TraceContext;
use super::{DnsServers, IpPreference, TlsSettings};

#[derive(Clone, Debug)]
pub struct GrpcSettings {
    /// The service that is asked about; empty is the server as a whole.
    pub service: String,
    /// Headers of the call. Sensitive ones are marked so.
    pub metadata: http::HeaderMap,
    pub tls: Option<TlsSettings>,
    pub ip: IpPreference,
    pub dns_servers: DnsServers,
    /// The server is told a trace id.
    pub trace_context: Option<TraceContext>,
}
