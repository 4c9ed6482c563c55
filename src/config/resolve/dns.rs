//! The `dns` block.

use hickory_resolver::proto::rr::Name;

use super::{Resolver, names, tls};
use crate::config::dns::{DnsTransport, RecordRules};
use crate::config::dns_numbers::{CLASSES, RCODES, TYPES};
use crate::config::problem::{At, list_of, nearest, shorten};
use crate::config::raw::{RawDns, RawRecordRules};
use crate::config::{DnsServers, DnsSettings};

const ANY: u16 = 255;
const IN: u16 = 1;

pub(super) fn dns(raw: RawDns, at: &At<'_>, r: &mut Resolver<'_>) -> DnsSettings {
    let RawDns {
        preferred_ip_protocol,
        ip_protocol_fallback,
        source_ip_address,
        transport_protocol,
        dns_over_tls,
        tls_config,
        query_name,
        query_type,
        query_class,
        recursion_desired,
        valid_rcodes,
        validate_answer_rrs,
        validate_authority_rrs,
        validate_additional_rrs,
        edns_udp_size,
    } = raw;
    let over_tls = dns_over_tls.unwrap_or(false);
    let valid_rcodes: Vec<u16> = valid_rcodes
        .unwrap_or_default()
        .iter()
        .enumerate()
        .filter_map(|(index, text)| match number(text, RCODES, "an rcode") {
            Ok(number) => Some(number),
            Err(message) => {
                // Found in each run by blackbox_exporter, and not before.
                r.problems.add_fault(&at.key("valid_rcodes").index(index), message);
                None
            }
        })
        .collect();
    DnsSettings {
        ip: r.ip(preferred_ip_protocol, ip_protocol_fallback, at),
        source_address: r.source_address(source_ip_address, at),
        query_name: name(query_name, &at.key("query_name"), r),
        transport: transport(transport_protocol, over_tls, at, r),
        tls: tls::tls_where(over_tls, "dns_over_tls: true", tls_config, &at.key("tls_config"), r),
        query_type: number_or(ANY, query_type, TYPES, "a record type", &at.key("query_type"), r),
        query_class: number_or(IN, query_class, CLASSES, "a class", &at.key("query_class"), r),
        recursion_desired: recursion_desired.unwrap_or(true),
        valid_rcodes: if valid_rcodes.is_empty() { vec![0] } else { valid_rcodes },
        answer: rules(validate_answer_rrs, &at.key("validate_answer_rrs"), r),
        authority: rules(validate_authority_rrs, &at.key("validate_authority_rrs"), r),
        additional: rules(validate_additional_rrs, &at.key("validate_additional_rrs"), r),
        edns_udp_size: edns_udp_size.and_then(|size| udp_size(size, &at.key("edns_udp_size"), r)),
        dns_servers: DnsServers::System,
        keep_excerpt: true,
    }
}

fn name(raw: Option<String>, at: &At<'_>, r: &mut Resolver<'_>) -> Name {
    let Some(text) = r.required(raw, at) else { return Name::root() };
    match names::dns(&text) {
        Ok(name) => name,
        Err(what) => {
            r.problems.add_fault(at, format!("{:?} {what}", shorten(&text)));
            Name::root()
        }
    }
}

fn transport(raw: Option<String>, over_tls: bool, at: &At<'_>, r: &mut Resolver<'_>) -> DnsTransport {
    let text = raw.filter(|text| !text.is_empty());
    let transport = match text.as_deref() {
        None | Some("udp") => DnsTransport::Udp,
        Some("tcp") => DnsTransport::Tcp,
        Some(other) => {
            let message = format!("{:?} is not a transport; known are udp and tcp", shorten(other));
            r.problems.add_fault(&at.key("transport_protocol"), message);
            DnsTransport::Udp
        }
    };
    if !over_tls {
        return transport;
    }
    if transport != DnsTransport::Tcp {
        r.problems.add_fault(&at.key("dns_over_tls"), "needs transport_protocol: tcp");
    }
    DnsTransport::Tls
}

fn udp_size(size: i64, at: &At<'_>, r: &mut Resolver<'_>) -> Option<u16> {
    const LEAST: u16 = 512;
    let good = u16::try_from(size).ok().filter(|size| *size >= LEAST);
    if good.is_none() {
        r.problems.add(at, format!("{size} is not from {LEAST} to {} bytes; 1232 fits every path", u16::MAX));
    }
    good
}

fn rules(raw: Option<RawRecordRules>, at: &At<'_>, r: &mut Resolver<'_>) -> RecordRules {
    let RawRecordRules {
        fail_if_matches_regexp,
        fail_if_all_match_regexp,
        fail_if_not_matches_regexp,
        fail_if_none_matches_regexp,
    } = raw.unwrap_or_default();
    if fail_if_all_match_regexp.as_ref().is_some_and(|list| !list.is_empty()) {
        let message = "fails when a record does NOT match, as with blackbox_exporter; fail_if_not_matches_regexp says so by its name";
        r.warn(&at.key("fail_if_all_match_regexp"), message);
    }
    RecordRules {
        fail_if_matches: r.late_patterns(fail_if_matches_regexp, &at.key("fail_if_matches_regexp")),
        fail_if_all_match: r.late_patterns(fail_if_all_match_regexp, &at.key("fail_if_all_match_regexp")),
        fail_if_not_matches: r.late_patterns(fail_if_not_matches_regexp, &at.key("fail_if_not_matches_regexp")),
        fail_if_none_matches: r.late_patterns(fail_if_none_matches_regexp, &at.key("fail_if_none_matches_regexp")),
    }
}

/// The number that a name stands for; `default` when there is no name.
fn number_or(
    default: u16,
    raw: Option<String>,
    known: &[(&str, u16)],
    what: &str,
    at: &At<'_>,
    r: &mut Resolver<'_>,
) -> u16 {
    let Some(text) = raw.filter(|text| !text.is_empty()) else { return default };
    number(&text, known, what).unwrap_or_else(|message| {
        r.problems.add(at, message);
        default
    })
}

/// The number that a name stands for.
fn number(text: &str, known: &[(&str, u16)], what: &str) -> Result<u16, String> {
    if let Some((_, number)) = known.iter().find(|(name, _)| *name == text) {
        return Ok(*number);
    }
    let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
    let shown = shorten(text);
    let hint = match nearest(text, names.iter().copied()) {
        Some(near) => format!("did you mean {near}?"),
        None if names.len() <= 6 => format!("known are {}", list_of(&names)),
        None => format!("known are such as {}", list_of(&names[..4])),
    };
    Err(format!("{shown:?} is not {what}; {hint}"))
}
