//! The gRPC prober: one call of the standard health service, `grpc.health.v1.Health/Check`.
//! <https://github.com/grpc/grpc/blob/master/doc/health-checking.md>
//!
//! Over hyper's HTTP/2 client on a connection of ours, so that the chosen address is the one that is dialled. The
//! incumbent's ignores its deadline and dials the host name, whatever address it shows.

mod call;
mod status;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::SystemTime;

use tokio::time::{Instant, timeout_at};

use self::call::Call;
use super::dial::{Destination, Dialer, Dialing, seconds};
use super::tls::Alpn;
use super::trace_context::RunTrace;
use super::{Probe, ProberError, Shared};
use crate::config::zoned::without_zone;
use crate::config::{GrpcSettings, HostPort};
use crate::observation::{Detail, Failure, GrpcDetail, Observation, Outcome, Reason};

/// Asks one server.
pub struct GrpcProber {
    settings: Arc<GrpcSettings>,
    dialer: Dialer,
    /// `host:port`, the authority of the call, which has no zone.
    authority: String,
}

impl GrpcProber {
    /// # Errors
    /// TLS settings that cannot be used.
    pub fn new(settings: Arc<GrpcSettings>, address: &HostPort, shared: &Arc<Shared>) -> Result<Self, ProberError> {
        let authority = HostPort { host: without_zone(&address.host).to_owned(), port: address.port };
        let destination = Destination {
            host: &address.host,
            port: address.port,
            ip: settings.ip,
            source: None,
            dns_servers: &settings.dns_servers,
            tls: settings.tls.as_ref().map(|tls| (tls, Alpn::Http2)),
        };
        Ok(Self { dialer: Dialer::new(destination, shared)?, authority: authority.to_string(), settings })
    }
}

impl Probe for GrpcProber {
    async fn run(&self, deadline: Instant) -> Observation {
        let started = SystemTime::now();
        let mut dialing = Dialing::new(&self.dialer);
        let timeout = deadline.saturating_duration_since(dialing.began());
        let mut detail = GrpcDetail::default();
        let mut call = None;
        let trace = RunTrace::begin(self.settings.trace_context);
        let attempt = async {
            let connection = dialing.connection().await?;
            detail.ssl = Some(self.settings.tls.is_some());
            let began = call.insert(Instant::now());
            let left = deadline.saturating_duration_since(*began);
            detail.trace_id = trace.map(|trace| trace.id());
            let call = Call { settings: &self.settings, authority: &self.authority, timeout: left, trace };
            call.make(connection.stream, &mut detail).await
        };
        let outcome = timeout_at(deadline, attempt).await;
        let outcome = match outcome {
            Ok(Ok(())) => Outcome::Up,
            Ok(Err(failure)) => Outcome::Down(failure),
            Err(_) => Outcome::Down(dialing.out_of_time(timeout).unwrap_or_else(|| {
                let sentence = format!("the health service did not answer within {}", seconds(timeout));
                Failure::new(Reason::RequestTimeout, sentence)
            })),
        };
        detail.check = call.map(|began: Instant| began.elapsed());
        detail.connect = dialing.connect;
        detail.tls = dialing.tls;
        Observation {
            started,
            elapsed: dialing.began().elapsed(),
            timeout,
            outcome,
            tls: dialing.session(),
            resolution: dialing.resolution,
            detail: Detail::Grpc(Box::new(detail)),
            addresses: Box::default(),
        }
    }
}
