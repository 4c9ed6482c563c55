//! The ICMP prober: resolve, send one echo request or several, wait for the replies.
//!
//! | file | what it owns |
//! |---|---|
//! | `packet` | echo messages as bytes, the payload and its token |
//! | `socket` | one socket: its options, sending, receiving, the error queue |
//! | `dispatch` | sockets shared by thousands of targets; which reply is whose |
//! | `explain` | ICMP errors in words |
//! | `hop` | one echo request with a hop limit, for a trace |
//! | `privilege` | what the process needs, and what to say when it lacks it |
//! | `run` | one run, its progress and its verdict |
//!
//! `surge-ping` and its like were looked at: their sockets cannot be shared by source address, hop limit and
//! don't-fragment, give no hop limit of datagram replies, and drop what routers say.

mod dispatch;
mod explain;
mod hop;
mod packet;
mod privilege;
mod run;
mod socket;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::SystemTime;

use tokio::time::Instant;

pub use self::dispatch::Sockets;
pub(in crate::probe) use self::hop::{EchoAnswer, echo, may_send_echo};
use self::packet::Payload;
pub use self::privilege::missing_privilege;
use self::run::Run;
use super::address::Resolver;
use super::dial::only_family_of;
use super::{Probe, ProberError, Shared};
use crate::config::{IcmpSettings, IpPreference};
use crate::observation::{Detail, Observation, Outcome};

/// Everything that runs against one target need.
pub struct IcmpProber {
    settings: Arc<IcmpSettings>,
    host: String,
    /// The configured preference, or the family of the source address: a socket cannot mix them.
    ip: IpPreference,
    payload: Payload,
    resolver: Arc<Resolver>,
    /// For its sockets, which are opened by the first run that needs them.
    shared: Arc<Shared>,
}

impl IcmpProber {
    pub fn new(settings: Arc<IcmpSettings>, host: String, shared: &Arc<Shared>) -> Result<Self, ProberError> {
        let resolver = shared.resolvers.resolver(&settings.dns_servers)?;
        let ip = settings.source_address.map_or(settings.ip, only_family_of);
        let payload = Payload::new(settings.payload_size);
        Ok(Self { settings, host, ip, payload, resolver, shared: Arc::clone(shared) })
    }
}

impl Probe for IcmpProber {
    async fn run(&self, deadline: Instant) -> Observation {
        let started = SystemTime::now();
        let mut run = Run::new(self, deadline);
        let timeout = deadline.saturating_duration_since(run.began());
        let outcome = match run.attempt().await {
            Ok(()) => Outcome::Up,
            Err(failure) => Outcome::Down(failure),
        };
        let elapsed = run.began().elapsed();
        let seen = run.finish();
        Observation {
            addresses: Box::default(),
            started,
            elapsed,
            timeout,
            outcome,
            resolution: seen.resolution,
            tls: None,
            detail: Detail::Icmp(Box::new(seen.detail)),
        }
    }
}
