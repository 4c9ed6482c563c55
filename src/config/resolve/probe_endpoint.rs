//! `probe_endpoint:`.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{Resolver, names};
use crate::config::probe_endpoint::{Allow, Modules, ProbeEndpoint};
use crate::config::problem::{At, shorten};
use crate::config::raw::RawProbeEndpoint;
use crate::config::value::Glob;

const MOST_AT_ONCE: i64 = 100_000;

pub(super) fn probe_endpoint(raw: Option<RawProbeEndpoint>, at: &At<'_>, r: &mut Resolver<'_>) -> ProbeEndpoint {
    let mut endpoint = ProbeEndpoint::default();
    let RawProbeEndpoint { enabled, allow, max_concurrent } = raw.unwrap_or_default();
    endpoint.modules = match enabled {
        None => Modules::Configured,
        Some(true) => Modules::All,
        Some(false) => Modules::None,
    };
    for (index, text) in allow.unwrap_or_default().iter().enumerate() {
        rule(text, &mut endpoint.allow, &at.key("allow").index(index), r);
    }
    if let Some(count) = max_concurrent {
        match usize::try_from(count).ok().filter(|_| (1..=MOST_AT_ONCE).contains(&count)) {
            Some(count) => endpoint.max_concurrent = count,
            None => r.problems.add(&at.key("max_concurrent"), format!("{count} is not from 1 to {MOST_AT_ONCE}")),
        }
    }
    endpoint
}

/// An address, a network, a name with stars, or a path with stars.
fn rule(text: &str, allow: &mut Allow, at: &At<'_>, r: &mut Resolver<'_>) {
    let text = text.trim();
    if let Ok(address) = text.parse::<IpAddr>() {
        // Addresses are judged in this form.
        allow.networks.push(address.to_canonical().into());
    } else if let Ok(network) = text.parse::<IpNet>() {
        allow.networks.push(network);
    } else if text.is_empty() || text.contains("://") || text.contains(char::is_whitespace) {
        let shown = shorten(text);
        r.problems.add(
            at,
            format!("{shown:?} is no host, address or network; write it like *.example.com, 192.0.2.1 or 10.0.0.0/8"),
        );
    } else if text.starts_with('/') {
        // A path, where case matters.
        allow.names.push(Glob::new(text));
    } else if text.contains('/') {
        r.problems.add(at, format!("{:?} is not a network such as 10.0.0.0/8", shorten(text)));
    } else if text.contains(':') {
        let shown = shorten(text);
        r.problems.add(at, format!("{shown:?} is not an address; a rule is about a host and has no port"));
    } else if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        r.problems.add(at, format!("{:?} is not an address such as 192.0.2.1", shorten(text)));
    } else {
        // What is probed is compared by its name in ASCII.
        let text = names::pattern(text.trim_end_matches('.')).to_ascii_lowercase();
        allow.names.push(Glob::new(&text));
    }
}
