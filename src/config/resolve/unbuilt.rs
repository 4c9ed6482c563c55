//! Blocks of probers that are not built yet: read as strictly as the others, so that a file which is good now stays
//! good when they come.

use super::auth::{AuthKeys, ProxyKeys};
use super::{Resolver, auth, http, tcp, tls};
use crate::config::problem::{At, list_of, nearest, shorten};
use crate::config::raw::{RawDns, RawGrpc, RawHttpClient, RawIcmp, RawRecordRules, RawUnix, RawWebsocket};

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

pub(super) fn dns(raw: RawDns, at: &At<'_>, r: &mut Resolver<'_>) {
    let RawDns {
        preferred_ip_protocol,
        _ip_protocol_fallback: _,
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
    r.ip(preferred_ip_protocol, None, at);
    r.source_address(source_ip_address, at);
    r.required(query_name, &at.key("query_name"));
    let transport = transport_protocol.filter(|text| !text.is_empty());
    if let Some(text) = &transport {
        one_of(text, &["udp", "tcp"], "a transport", &at.key("transport_protocol"), r);
    }
    if dns_over_tls == Some(true) && transport.as_deref() != Some("tcp") {
        r.problems.add(&at.key("dns_over_tls"), "needs transport_protocol: tcp");
    }
    tls::tls(tls_config, &at.key("tls_config"), r);
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

pub(super) fn icmp(raw: RawIcmp, at: &At<'_>, r: &mut Resolver<'_>) {
    const LARGEST_PAYLOAD: i64 = 65_507;
    let RawIcmp {
        preferred_ip_protocol,
        _ip_protocol_fallback: _,
        source_ip_address,
        _dont_fragment: _,
        payload_size,
        ttl,
    } = raw;
    r.ip(preferred_ip_protocol, None, at);
    r.source_address(source_ip_address, at);
    if let Some(size) = payload_size
        && !(0..=LARGEST_PAYLOAD).contains(&size)
    {
        r.problems.add(&at.key("payload_size"), format!("{size} is not from 0 to {LARGEST_PAYLOAD} bytes"));
    }
    if let Some(ttl) = ttl
        && !(0..=255).contains(&ttl)
    {
        r.problems.add(&at.key("ttl"), format!("{ttl} is not from 0 to 255"));
    }
}

pub(super) fn grpc(raw: RawGrpc, at: &At<'_>, r: &mut Resolver<'_>) {
    let RawGrpc { preferred_ip_protocol, _ip_protocol_fallback: _, _service: _, _tls: _, tls_config, _metadata: _ } =
        raw;
    r.ip(preferred_ip_protocol, None, at);
    tls::tls(tls_config, &at.key("tls_config"), r);
}

pub(super) fn unix(raw: RawUnix, at: &At<'_>, r: &mut Resolver<'_>) {
    let RawUnix { _tls: tls, tls_config, query_response } = raw;
    tls::tls(tls_config, &at.key("tls_config"), r);
    tcp::steps(query_response, tls.unwrap_or(false), &at.key("query_response"), r);
}

pub(super) fn websocket(raw: RawWebsocket, at: &At<'_>, r: &mut Resolver<'_>) {
    let RawWebsocket { preferred_ip_protocol, _ip_protocol_fallback: _, http_config, headers, query_response } = raw;
    r.ip(preferred_ip_protocol, None, at);
    http::check_header_values(headers, &at.key("headers"), r);
    tcp::steps(query_response, false, &at.key("query_response"), r);
    let RawHttpClient {
        basic_auth,
        authorization,
        oauth2,
        bearer_token,
        bearer_token_file,
        _follow_redirects: _,
        _enable_http2: _,
        tls_config,
        proxy_url,
        no_proxy,
        proxy_from_environment,
        proxy_connect_header,
        http_headers,
    } = http_config.unwrap_or_default();
    let at = at.key("http_config");
    let keys = AuthKeys { basic_auth, authorization, oauth2, bearer_token, bearer_token_file };
    auth::auth(keys, &at, r);
    auth::proxy(ProxyKeys { proxy_url, no_proxy, proxy_from_environment, proxy_connect_header }, &at, r);
    tls::tls(tls_config, &at.key("tls_config"), r);
    http::check_header_values(http_headers, &at.key("http_headers"), r);
}
