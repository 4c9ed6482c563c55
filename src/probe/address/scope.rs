//! What whoever starts a run decides about its addresses, beyond the target's settings.
//!
//! A task-local, because names are also resolved deep inside of HTTP clients, on every hop of a redirect.

use std::net::IpAddr;
use std::sync::Arc;

use crate::observation::Failure;

tokio::task_local! {
    static SCOPE: Scope;
}

/// Holds for all lookups of the future that it is put around.
#[derive(Clone, Default)]
pub struct Scope {
    /// One host whose address is known already.
    pub pin: Option<Pin>,
    /// Judges each address, literals included, before it is used.
    pub admit: Option<Admit>,
}

/// `host` has `address`, whatever its name servers say. Other hosts are looked up as ever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    pub host: Box<str>,
    pub address: IpAddr,
}

/// Of a host and one of its addresses, or none where a proxy looks it up: fine, or why it may not be used.
pub type Admit = Arc<dyn Fn(&str, Option<IpAddr>) -> Result<(), Failure> + Send + Sync>;

impl Scope {
    /// Runs `future` with this scope.
    pub async fn around<F: Future>(self, future: F) -> F::Output {
        SCOPE.scope(self, future).await
    }
}

/// The address that `host` is pinned to in the present run.
pub(super) fn pinned(host: &str) -> Option<IpAddr> {
    let pinned =
        |scope: &Scope| scope.pin.as_ref().filter(|pin| pin.host.eq_ignore_ascii_case(host)).map(|pin| pin.address);
    SCOPE.try_with(pinned).ok().flatten()
}

/// Whether the present run may use this address of `host`.
///
/// # Errors
/// The failure of a run that may not.
pub(crate) fn admit(host: &str, address: Option<IpAddr>) -> Result<(), Failure> {
    SCOPE.try_with(|scope| scope.admit.as_ref().map_or(Ok(()), |admit| admit(host, address))).unwrap_or(Ok(()))
}
