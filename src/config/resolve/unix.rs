//! The `unix` block.

use super::{Resolver, tcp, tls};
use crate::config::UnixSettings;
use crate::config::problem::At;
use crate::config::raw::RawUnix;

pub(super) fn unix(raw: RawUnix, at: &At<'_>, r: &mut Resolver<'_>) -> UnixSettings {
    let RawUnix { tls, tls_config, query_response } = raw;
    let tls = tls.unwrap_or(false);
    let steps = tcp::steps(query_response, tls, &at.key("query_response"), r);
    let speaks_tls = tls || steps.iter().any(|step| step.starttls);
    let tls_config = tls::tls_where(speaks_tls, "tls: true", tls_config, &at.key("tls_config"), r);
    if speaks_tls && tls_config.server_name.is_none() && !tls_config.insecure_skip_verify {
        let message = "needs server_name: a socket has no host name that the certificate could be held against";
        r.problems.add_fault(&at.key("tls_config"), message);
    }
    UnixSettings { tls, tls_config, steps, keep_excerpt: true }
}
