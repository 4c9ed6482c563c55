//! The limit of open files: one probe is one socket.

use tracing::{debug, warn};

/// For listeners, scrapes, log, config files and name lookups.
const RESERVE: u64 = 100;

/// Raises the soft limit to the hard one. Go programs do so by themselves; 1024 is a common soft limit.
pub fn raise_limit() {
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(limit) => debug!(limit, "Limit of open files."),
        Err(error) => warn!(%error, "Cannot raise the limit of open files."),
    }
}

/// Warns when so many targets cannot all be probed at the same moment, as when all of them hang.
pub(super) fn check(targets: usize) {
    let Ok((limit, _)) = rlimit::Resource::NOFILE.get() else { return };
    if limit < (targets as u64).saturating_add(RESERVE) {
        warn!(limit, targets, "More targets than files may be open: raise the limit (ulimit -n, LimitNOFILE).");
    }
}
