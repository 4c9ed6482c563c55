//! The `grpc` block.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::{Resolver, tls, trace_context};
use crate::config::problem::{At, shorten};
use crate::config::raw::{Entries, RawGrpc, SecretText};
use crate::config::{DnsServers, GrpcSettings};

pub(super) fn grpc(raw: RawGrpc, at: &At<'_>, r: &mut Resolver<'_>) -> GrpcSettings {
    let RawGrpc {
        preferred_ip_protocol,
        ip_protocol_fallback,
        service,
        tls: with_tls,
        tls_config,
        metadata,
        trace_context,
    } = raw;
    let with_tls = with_tls.unwrap_or(false);
    let tls = tls::tls_where(with_tls, "tls: true", tls_config, &at.key("tls_config"), r);
    let metadata = metadata_of(metadata, &at.key("metadata"), r);
    GrpcSettings {
        service: service.unwrap_or_default(),
        trace_context: trace_context::trace_context(trace_context, &metadata, "metadata", at, r),
        metadata,
        tls: with_tls.then_some(tls),
        ip: r.ip(preferred_ip_protocol, ip_protocol_fallback, at),
        dns_servers: DnsServers::System,
    }
}

/// Headers of the call. Those that end in `-bin` are bytes, which travel as base64 (the gRPC protocol over HTTP/2).
fn metadata_of(raw: Option<Entries<Vec<SecretText>>>, at: &At<'_>, r: &mut Resolver<'_>) -> HeaderMap {
    const MOST: usize = 256;
    let raw = raw.map(|raw| raw.0).unwrap_or_default();
    let count: usize = raw.iter().map(|(_, values)| values.len()).sum();
    let mut headers = HeaderMap::new();
    if count > MOST {
        r.problems.add_fault(at, format!("has {count} values; at most {MOST} are sent"));
        return headers;
    }
    for (name, values) in raw {
        let at = at.key(&name);
        let lower = name.to_ascii_lowercase();
        let Ok(header) = HeaderName::from_bytes(lower.as_bytes()) else {
            r.problems.add_fault(&at, format!("{:?} is not a name that metadata can have", shorten(&name)));
            continue;
        };
        // The protocol's own headers.
        let connection = ["connection", "content-length", "content-type", "host", "te", "transfer-encoding", "upgrade"];
        if lower.starts_with("grpc-") || connection.contains(&lower.as_str()) {
            r.warn(&at, "is left out: the protocol itself uses it");
            continue;
        }
        for (index, SecretText(value)) in values.into_iter().enumerate() {
            let value = if lower.ends_with("-bin") { BASE64_STANDARD_NO_PAD.encode(value) } else { value };
            match HeaderValue::from_str(&value) {
                Ok(mut value) => {
                    value.set_sensitive(true);
                    headers.append(header.clone(), value);
                }
                // The value may be secret.
                Err(_) => r
                    .problems
                    .add_fault(&at.index(index), "has a character that metadata cannot carry; end the name in -bin"),
            }
        }
    }
    headers
}
