//! The `dns` block.

use super::{Resolver, tls};
use crate::config::problem::{At, list_of, nearest, shorten};
use crate::config::raw::{RawDns, RawRecordRules};
use crate::config::{DnsServers, DnsSettings};

const CLASSES: &[&str] = &["IN", "CS", "CH", "HS", "NONE", "ANY"];

const RCODES: &[&str] = &[
    "NOERROR",
    "FORMERR",
    "SERVFAIL",
    "NXDOMAIN",
    "NOTIMP",
    "REFUSED",
    "YXDOMAIN",
    "YXRRSET",
    "NXRRSET",
    "NOTAUTH",
    "NOTZONE",
    "DSOTYPENI",
    "BADSIG",
    "BADVERS",
    "BADKEY",
    "BADTIME",
    "BADMODE",
    "BADNAME",
    "BADALG",
    "BADTRUNC",
    "BADCOOKIE",
];

const TYPES: &[&str] = &[
    "A",
    "AAAA",
    "AFSDB",
    "AMTRELAY",
    "ANY",
    "APL",
    "ATMA",
    "AVC",
    "AXFR",
    "CAA",
    "CDNSKEY",
    "CDS",
    "CERT",
    "CNAME",
    "CSYNC",
    "DHCID",
    "DLV",
    "DNAME",
    "DNSKEY",
    "DS",
    "EID",
    "EUI48",
    "EUI64",
    "GID",
    "GPOS",
    "HINFO",
    "HIP",
    "HTTPS",
    "IPSECKEY",
    "ISDN",
    "IXFR",
    "KEY",
    "KX",
    "L32",
    "L64",
    "LOC",
    "LP",
    "MAILA",
    "MAILB",
    "MB",
    "MD",
    "MF",
    "MG",
    "MINFO",
    "MR",
    "MX",
    "NAPTR",
    "NID",
    "NIMLOC",
    "NINFO",
    "NS",
    "NSAP-PTR",
    "NSEC",
    "NSEC3",
    "NSEC3PARAM",
    "NULL",
    "NXT",
    "OPENPGPKEY",
    "OPT",
    "PTR",
    "PX",
    "RKEY",
    "RP",
    "RRSIG",
    "RT",
    "SIG",
    "SMIMEA",
    "SOA",
    "SPF",
    "SRV",
    "SSHFP",
    "SVCB",
    "TA",
    "TALINK",
    "TKEY",
    "TLSA",
    "TSIG",
    "TXT",
    "UID",
    "UINFO",
    "UNSPEC",
    "URI",
    "X25",
    "ZONEMD",
];

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
        _recursion_desired: _,
        valid_rcodes,
        validate_answer_rrs,
        validate_authority_rrs,
        validate_additional_rrs,
    } = raw;
    let ip = r.ip(preferred_ip_protocol, ip_protocol_fallback, at);
    r.source_address(source_ip_address, at);
    r.required(query_name, &at.key("query_name"));
    let transport = transport_protocol.filter(|text| !text.is_empty());
    if let Some(text) = &transport {
        one_of(text, &["udp", "tcp"], "a transport", &at.key("transport_protocol"), r);
    }
    if dns_over_tls == Some(true) && transport.as_deref() != Some("tcp") {
        r.problems.add(&at.key("dns_over_tls"), "needs transport_protocol: tcp");
    }
    let tls = tls::tls(tls_config, &at.key("tls_config"), r);
    if let Some(text) = query_type.filter(|text| !text.is_empty()) {
        one_of(&text, TYPES, "a record type", &at.key("query_type"), r);
    }
    if let Some(text) = query_class.filter(|text| !text.is_empty()) {
        one_of(&text, CLASSES, "a class", &at.key("query_class"), r);
    }
    for (index, text) in valid_rcodes.unwrap_or_default().iter().enumerate() {
        one_of(text, RCODES, "an rcode", &at.key("valid_rcodes").index(index), r);
    }
    for (key, rules) in [
        ("validate_answer_rrs", validate_answer_rrs),
        ("validate_authority_rrs", validate_authority_rrs),
        ("validate_additional_rrs", validate_additional_rrs),
    ] {
        let RawRecordRules {
            fail_if_matches_regexp,
            fail_if_all_match_regexp,
            fail_if_not_matches_regexp,
            fail_if_none_matches_regexp,
        } = rules.unwrap_or_default();
        let at = at.key(key);
        r.patterns(fail_if_matches_regexp, &at.key("fail_if_matches_regexp"));
        r.patterns(fail_if_all_match_regexp, &at.key("fail_if_all_match_regexp"));
        r.patterns(fail_if_not_matches_regexp, &at.key("fail_if_not_matches_regexp"));
        r.patterns(fail_if_none_matches_regexp, &at.key("fail_if_none_matches_regexp"));
    }
    DnsSettings { dns_servers: DnsServers::System, ip, tls, keep_excerpt: true }
}

fn one_of(text: &str, known: &[&str], what: &str, at: &At<'_>, r: &mut Resolver<'_>) {
    if known.contains(&text) {
        return;
    }
    let shown = shorten(text);
    let hint = match nearest(text, known.iter().copied()) {
        Some(near) => format!("did you mean {near}?"),
        None if known.len() <= 6 => format!("known are {}", list_of(known)),
        None => format!("known are such as {}", list_of(&known[..4])),
    };
    r.problems.add(at, format!("{shown:?} is not {what}; {hint}"));
}
