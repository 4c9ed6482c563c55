//! Name resolution and address choice, shared by all probers.
//!
//! Names are resolved on every run, never cached, by a resolver that tells NXDOMAIN from SERVFAIL from silence.

use std::sync::Arc;
use std::time::Duration;

use crate::config::{DnsServers, IpPreference};
use crate::observation::{Failure, Reason, Resolution};

/// Resolvers by their servers, built once.
#[derive(Default)]
pub struct Resolvers {}

#[derive(Debug, thiserror::Error)]
pub enum ResolverSetupError {}

/// Asks one set of servers.
pub struct Resolver {}

/// A lookup that gave no address to use.
#[derive(Debug)]
pub struct ResolveError {
    pub failure: Failure,
    /// What was seen all the same: the time spent, and addresses of the unwanted family.
    pub resolution: Resolution,
}

impl Resolvers {
    pub fn resolver(&self, _servers: &DnsServers) -> Result<Arc<Resolver>, ResolverSetupError> {
        Ok(Arc::new(Resolver {}))
    }
}

impl Resolver {
    /// Looks `host` up (an address literal is taken as it is) and chooses by `ip`.
    ///
    /// Has no timeout of its own beyond the run's: the caller drops the future and reports
    /// [`Reason::DnsTimeout`]. An error in which every server stayed silent is that reason too.
    pub async fn resolve(&self, _host: &str, _ip: IpPreference) -> Result<Resolution, ResolveError> {
        Err(ResolveError {
            failure: Failure::new(Reason::Internal, "not built"),
            resolution: Resolution { elapsed: Duration::ZERO, addresses: Box::default(), chosen: None },
        })
    }
}
