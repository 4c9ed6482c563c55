//! The `http` block.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::auth::{AuthKeys, ProxyKeys};
use super::{Resolver, auth, names, tls, trace_context};
use crate::config::http::{BodyRule, Compression, FailIf, HeaderRule, HttpSettings, HttpVersion, StatusRange};
use crate::config::masked::names_a_secret;
use crate::config::problem::{At, list_of, nearest, shorten};
use crate::config::raw::{BytesText, Entries, RawHeaderMatch, RawHeaderValues, RawHttp, StatusText};
use crate::config::trace_context::HEADER;
use crate::config::{CelRule, DnsServers, units};

/// Headers that the incumbent's `http_headers` may not set.
const RESERVED_HEADERS: &[&str] = &[
    "authorization",
    "host",
    "content-encoding",
    "content-length",
    "content-type",
    "user-agent",
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "www-authenticate",
    "accept-encoding",
    "x-prometheus-remote-write-version",
    "x-prometheus-remote-read-version",
    "x-prometheus-scrape-timeout-seconds",
    "x-amz-date",
    "x-amz-security-token",
    "x-amz-content-sha256",
];

const TWICE: &str = "this header is given twice, as case makes no difference; the last one counts";

/// Servers take about a hundred; the map of the `http` crate panics at 32768.
pub(super) const MAX_HEADERS: usize = 256;

/// Headers that belong to the connection: the incumbent drops them without a word, we with one.
const FRAMING_HEADERS: &[&str] = &["content-length", "transfer-encoding", "trailer", "connection", "upgrade"];

/// Settings of a block, as far as they could be made.
pub(super) fn http(raw: RawHttp, at: &At<'_>, r: &mut Resolver<'_>) -> HttpSettings {
    let RawHttp {
        valid_status_codes,
        valid_http_versions,
        accept_any_response,
        method,
        headers,
        http_headers,
        body,
        body_file,
        body_size_limit,
        compression,
        decode_charset,
        follow_redirects,
        no_follow_redirects,
        fail_if_ssl,
        fail_if_not_ssl,
        fail_if_body_matches_regexp,
        fail_if_body_not_matches_regexp,
        fail_if_body_json_matches_cel,
        fail_if_body_json_not_matches_cel,
        fail_if_header_matches,
        fail_if_header_not_matches,
        preferred_ip_protocol,
        ip_protocol_fallback,
        _skip_resolve_phase_with_proxy: _,
        enable_http2,
        enable_http3,
        basic_auth,
        authorization,
        bearer_token,
        bearer_token_file,
        oauth2,
        proxy_url,
        no_proxy,
        proxy_from_environment,
        proxy_connect_header,
        tls_config,
        trace_context,
    } = raw;

    let keys = AuthKeys { basic_auth, authorization, oauth2, bearer_token, bearer_token_file };
    let auth = auth::auth(keys, at, r);
    let proxy = ProxyKeys { proxy_url, no_proxy, proxy_from_environment, proxy_connect_header };
    let proxy = auth::proxy(proxy, at, r);
    if enable_http3 == Some(true) && enable_http2 != Some(false) {
        r.problems.add(&at.key("enable_http3"), "needs enable_http2: false, as in blackbox_exporter");
    }

    let compression = compression.and_then(|text| self::compression(&text, &at.key("compression"), r));
    let mut host = None;
    let mut map = self::headers(headers, &mut host, compression, &at.key("headers"), r);
    let traced = map.contains_key(HEADER);
    add_header_values(http_headers, RESERVED_HEADERS, &mut map, &at.key("http_headers"), r);
    let key = if traced { "headers" } else { "http_headers" };
    let trace_context = trace_context::trace_context(trace_context, &map, key, at, r);
    if !map.contains_key(http::header::USER_AGENT) {
        let ours = HeaderValue::from_static(concat!("uptime_exporter/", env!("CARGO_PKG_VERSION")));
        map.insert(http::header::USER_AGENT, ours);
    }

    let (fail_if_ssl, fail_if_not_ssl) = (fail_if_ssl.unwrap_or(false), fail_if_not_ssl.unwrap_or(false));
    if fail_if_ssl && fail_if_not_ssl {
        r.warn(&at.key("fail_if_not_ssl"), "together with fail_if_ssl nothing can pass; keep one of them");
    }
    let follow_redirects = match (follow_redirects, no_follow_redirects) {
        // The old key wins over the new one, as with the incumbent.
        (_, Some(not)) => {
            r.warn(
                &at.key("no_follow_redirects"),
                "still works; its name is follow_redirects now, and means the opposite",
            );
            !not
        }
        (follow, None) => follow.unwrap_or(true),
    };

    let mut body_rules = Vec::new();
    for (key, fail_if, patterns) in [
        ("fail_if_body_matches_regexp", FailIf::Matches, fail_if_body_matches_regexp),
        ("fail_if_body_not_matches_regexp", FailIf::NotMatches, fail_if_body_not_matches_regexp),
    ] {
        let patterns = r.patterns(patterns, &at.key(key));
        body_rules.extend(patterns.into_iter().map(|pattern| BodyRule { fail_if, pattern }));
    }
    let mut header_rules = Vec::new();
    for (key, fail_if, rules) in [
        ("fail_if_header_matches", FailIf::Matches, fail_if_header_matches),
        ("fail_if_header_not_matches", FailIf::NotMatches, fail_if_header_not_matches),
    ] {
        let at = at.key(key);
        for (index, rule) in rules.unwrap_or_default().into_iter().enumerate() {
            header_rules.extend(header_rule(rule, fail_if, &at.index(index), r));
        }
    }

    let any = StatusRange { first: 100, last: 999 };
    let valid_status_codes = match accept_any_response {
        Some(true) => vec![any],
        Some(false) | None => status_codes(valid_status_codes, &at.key("valid_status_codes"), r),
    };
    let valid_http_versions =
        versions(valid_http_versions, enable_http3 == Some(true), &at.key("valid_http_versions"), r);
    HttpSettings {
        valid_status_codes,
        valid_http_versions,
        method: self::method(method, &at.key("method"), r),
        headers: map,
        host,
        body: self::body(body, body_file, at, r),
        body_size_limit: body_size_limit.and_then(|text| size(&text, &at.key("body_size_limit"), r)),
        compression,
        decode_charset: decode_charset.unwrap_or(true),
        follow_redirects,
        fail_if_ssl,
        fail_if_not_ssl,
        body_rules,
        header_rules,
        fail_if_json_matches: json_rule(fail_if_body_json_matches_cel, &at.key("fail_if_body_json_matches_cel"), r),
        fail_if_json_not_matches: json_rule(
            fail_if_body_json_not_matches_cel,
            &at.key("fail_if_body_json_not_matches_cel"),
            r,
        ),
        ip: r.ip(preferred_ip_protocol, ip_protocol_fallback, at),
        dns_servers: DnsServers::System,
        enable_http2: enable_http2.unwrap_or(true),
        enable_http3: enable_http3.unwrap_or(false),
        auth,
        proxy,
        tls: tls::tls(tls_config, &at.key("tls_config"), r),
        trace_context,
        keep_excerpt: true,
    }
}

/// HTTP/3 is spoken alone or not at all, so that other versions beside it can never be met.
fn versions_at_odds(valid: &[HttpVersion], http3: bool) -> Option<&'static str> {
    let has3 = valid.contains(&HttpVersion::Http3);
    let has_other = valid.iter().any(|version| *version != HttpVersion::Http3);
    match (http3, has3, has_other) {
        (true, _, true) => Some("with enable_http3: true the only version is HTTP/3.0"),
        (false, true, _) => Some("HTTP/3 is not spoken without enable_http3: true"),
        (true, _, false) | (false, false, _) => None,
    }
}

/// Codes that no response has are taken, and are never met, as with the incumbent.
fn status_codes(raw: Option<Vec<StatusText>>, at: &At<'_>, r: &mut Resolver<'_>) -> Vec<StatusRange> {
    let mut ranges = Vec::new();
    for (index, StatusText(text)) in raw.unwrap_or_default().iter().enumerate() {
        let trimmed = text.trim();
        let class = match trimmed.as_bytes() {
            [digit @ b'1'..=b'5', b'x' | b'X', b'x' | b'X'] => Some(u16::from(digit - b'0') * 100),
            _ => None,
        };
        // Nothing in a list is zero to the incumbent.
        let number = if trimmed.is_empty() { Some(0) } else { units::parse_integer(trimmed) };
        match (class, number) {
            (Some(first), _) => ranges.push(StatusRange { first, last: first + 99 }),
            (None, Some(code)) => {
                if !(100..=999).contains(&code) {
                    r.warn(
                        &at.index(index),
                        &format!("{code} is a status that no response has; they are from 100 to 999"),
                    );
                }
                let code = u16::try_from(code).unwrap_or(0);
                ranges.push(StatusRange { first: code, last: code });
            }
            (None, None) => r.problems.add(
                &at.index(index),
                format!("{:?} is neither a status from 100 to 999 nor a class such as 2xx", shorten(text)),
            ),
        }
    }
    ranges
}

fn versions(raw: Option<Vec<String>>, http3: bool, at: &At<'_>, r: &mut Resolver<'_>) -> Vec<HttpVersion> {
    let mut versions = Vec::new();
    let texts = raw.unwrap_or_default();
    for (index, text) in texts.iter().enumerate() {
        let version = match text.trim().strip_prefix("HTTP/").unwrap_or(text.trim()) {
            "1.0" | "1" => HttpVersion::Http10,
            "1.1" => HttpVersion::Http11,
            "2" | "2.0" => HttpVersion::Http2,
            "3" | "3.0" => HttpVersion::Http3,
            _ => {
                let known = "versions are HTTP/1.0, HTTP/1.1, HTTP/2 (or HTTP/2.0) and HTTP/3 (or HTTP/3.0)";
                r.warn(&at.index(index), &format!("{:?} is not an HTTP version; {known}", shorten(text)));
                continue;
            }
        };
        if !versions.contains(&version) {
            versions.push(version);
        }
    }
    if versions.is_empty() && !texts.is_empty() {
        r.problems.add_fault(at, "has no HTTP version in it, so that no answer has one of them");
    }
    if let Some(message) = versions_at_odds(&versions, http3) {
        // The spellings by which the incumbent knows them; others are versions that it never meets.
        let refused: &[&str] = if http3 { &["HTTP/2.0", "HTTP/1.1"] } else { &["HTTP/3.0"] };
        if texts.iter().any(|text| refused.contains(&text.as_str())) {
            r.problems.add(at, message);
        } else {
            r.problems.add_fault(at, message);
        }
    }
    versions
}

fn method(raw: Option<String>, at: &At<'_>, r: &mut Resolver<'_>) -> http::Method {
    let Some(text) = raw.filter(|text| !text.is_empty()) else { return http::Method::GET };
    match http::Method::from_bytes(text.as_bytes()) {
        Ok(http::Method::CONNECT) => {
            r.problems
                .add_fault(at, "CONNECT asks for a tunnel, not for an answer; to probe through a proxy set proxy_url");
        }
        Ok(method) => return method,
        Err(_) => r.problems.add_fault(at, format!("{:?} is not an HTTP method such as GET or POST", shorten(&text))),
    }
    http::Method::GET
}

fn compression(text: &str, at: &At<'_>, r: &mut Resolver<'_>) -> Option<Compression> {
    match text {
        "" => None,
        "gzip" => Some(Compression::Gzip),
        "br" => Some(Compression::Brotli),
        "deflate" => Some(Compression::Deflate),
        "identity" => Some(Compression::Identity),
        _ => {
            let known = ["gzip", "br", "deflate", "identity"];
            let hint = nearest(text, known).map(|near| format!("; did you mean {near}?")).unwrap_or_default();
            r.problems.add_fault(at, format!("{:?} is not one of {}{hint}", shorten(text), list_of(&known)));
            None
        }
    }
}

fn coding(compression: Compression) -> &'static str {
    match compression {
        Compression::Gzip => "gzip",
        Compression::Brotli => "br",
        Compression::Deflate => "deflate",
        Compression::Identity => "identity",
    }
}

/// Whether a server that honours `accept` may answer with `coding`.
fn accepts(accept: &str, coding: &str) -> bool {
    let mut best: Option<(f32, bool)> = None;
    for part in accept.split(',') {
        let (name, quality) = match part.rsplit_once(';') {
            Some((name, quality)) => {
                let quality = quality.trim();
                (name.trim(), quality.strip_prefix("q=").unwrap_or(quality).parse::<f32>().unwrap_or(0.0))
            }
            None => (part.trim(), 1.0),
        };
        if (name == coding || name == "*") && best.is_none_or(|(other, _)| quality > other) {
            best = Some((quality, quality > 0.0));
        }
    }
    best.is_some_and(|(_, accepted)| accepted)
}

fn headers(
    raw: Option<Entries<String>>,
    host: &mut Option<String>,
    compression: Option<Compression>,
    at: &At<'_>,
    r: &mut Resolver<'_>,
) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let raw = raw.map(|raw| raw.0).unwrap_or_default();
    if raw.len() > MAX_HEADERS {
        r.problems.add_fault(at, format!("has {} headers; at most {MAX_HEADERS} are sent", raw.len()));
        return headers;
    }
    for (name, value) in raw {
        let at = at.key(&name);
        let Some((name, mut value)) = header_pair(&name, &value, &at, None, r) else { continue };
        if name == http::header::HOST {
            match names::host_header(&String::from_utf8_lossy(value.as_bytes())) {
                Err(sentence) => r.problems.add_fault(&at, sentence),
                Ok(name) => {
                    if host.replace(name).is_some() {
                        r.warn(&at, TWICE);
                    }
                }
            }
            continue;
        }
        if FRAMING_HEADERS.contains(&name.as_str()) {
            r.warn(&at, "is left out: the client sets it itself");
            continue;
        }
        if let (true, Some(compression)) = (name == http::header::ACCEPT_ENCODING, compression) {
            let accept = String::from_utf8_lossy(value.as_bytes()).into_owned();
            let coding = coding(compression);
            if !accept.is_empty() && !accepts(&accept, coding) {
                let message =
                    format!("{:?} does not accept {coding}, which compression: {coding} expects", shorten(&accept));
                r.problems.add(&at, message);
            }
        }
        if names_a_secret(name.as_str()) {
            value.set_sensitive(true);
        }
        if headers.insert(name, value).is_some() {
            r.warn(&at, TWICE);
        }
    }
    headers
}

/// A header's name and value; `index` is that of the value when it stands in a list.
pub(super) fn header_pair(
    name: &str,
    value: &str,
    at: &At<'_>,
    index: Option<usize>,
    r: &mut Resolver<'_>,
) -> Option<(HeaderName, HeaderValue)> {
    let value = match HeaderValue::from_bytes(value.as_bytes()) {
        Ok(value) => Some(value),
        Err(_) => {
            let message = "has a control character, such as a line break, which no header can carry";
            match index {
                Some(index) => r.problems.add_fault(&at.index(index), message),
                None => r.problems.add_fault(at, message),
            }
            None
        }
    };
    let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else {
        r.problems.add_fault(at, "is not a header name; letters, digits and dashes make one");
        return None;
    };
    Some((name, value?))
}

/// Headers with values that may be secret or come from files.
pub(super) fn add_header_values(
    raw: Option<Entries<RawHeaderValues>>,
    reserved: &[&str],
    headers: &mut HeaderMap,
    at: &At<'_>,
    r: &mut Resolver<'_>,
) {
    let mut seen = Vec::new();
    let raw = raw.map(|raw| raw.0).unwrap_or_default();
    let length = |list: Option<usize>| list.unwrap_or(0);
    let count: usize = raw
        .iter()
        .map(|(_, RawHeaderValues { values, secrets, files })| {
            length(values.as_ref().map(Vec::len))
                + length(secrets.as_ref().map(Vec::len))
                + length(files.as_ref().map(Vec::len))
        })
        .sum();
    if raw.len().max(count) > MAX_HEADERS {
        r.problems.add_fault(at, format!("has {} headers; at most {MAX_HEADERS} are sent", raw.len().max(count)));
        return;
    }
    for (name, RawHeaderValues { values, secrets, files }) in raw {
        let at = at.key(&name);
        let lower = name.to_ascii_lowercase();
        if reserved.contains(&lower.as_str()) {
            r.problems.add(&at, "cannot be set here; write it under headers, or use the key made for it");
            continue;
        }
        if seen.contains(&lower) {
            r.warn(&at, TWICE);
            if let Ok(name) = HeaderName::from_bytes(name.as_bytes()) {
                headers.remove(name);
            }
        }
        seen.push(lower);
        for (index, value) in values.unwrap_or_default().into_iter().enumerate() {
            append(&name, &value, names_a_secret(&name), &at.key("values"), index, headers, r);
        }
        for (index, secret) in secrets.unwrap_or_default().into_iter().enumerate() {
            append(&name, &secret.0, true, &at.key("secrets"), index, headers, r);
        }
        for (index, file) in files.unwrap_or_default().iter().enumerate() {
            let at = at.key("files");
            if let Some(secret) = auth::secret_file(file, &at.index(index), r) {
                append(&name, secret.expose(), true, &at, index, headers, r);
            }
        }
    }
}

fn append(
    name: &str,
    value: &str,
    sensitive: bool,
    at: &At<'_>,
    index: usize,
    headers: &mut HeaderMap,
    r: &mut Resolver<'_>,
) {
    if let Some((name, mut value)) = header_pair(name, value, at, Some(index), r) {
        value.set_sensitive(sensitive);
        headers.append(name, value);
    }
}

fn header_rule(raw: RawHeaderMatch, fail_if: FailIf, at: &At<'_>, r: &mut Resolver<'_>) -> Option<HeaderRule> {
    let RawHeaderMatch { header, regexp, allow_missing } = raw;
    let header = r.required(header, &at.key("header")).and_then(|name| {
        let parsed = HeaderName::from_bytes(name.as_bytes());
        if parsed.is_err() {
            r.problems.add_fault(&at.key("header"), format!("{:?} is not a header name", shorten(&name)));
        }
        parsed.ok()
    });
    let pattern = r.required(regexp, &at.key("regexp")).and_then(|text| r.pattern(&text, &at.key("regexp")));
    Some(HeaderRule { fail_if, header: header?, pattern: pattern?, allow_missing: allow_missing.unwrap_or(false) })
}

fn body(body: Option<BytesText>, body_file: Option<String>, at: &At<'_>, r: &mut Resolver<'_>) -> Bytes {
    let body = body.filter(|body| !body.0.is_empty());
    let body_file = body_file.filter(|file| !file.is_empty());
    r.at_most_one(at, &[("body", body.is_some()), ("body_file", body_file.is_some())]);
    match (body, body_file) {
        (Some(body), _) => Bytes::from(body.0),
        (None, Some(file)) => match r.files.read(&file, &at.key("body_file"), &mut r.problems) {
            Some(content) => Bytes::from_owner(content),
            None => Bytes::new(),
        },
        (None, None) => Bytes::new(),
    }
}

fn size(text: &str, at: &At<'_>, r: &mut Resolver<'_>) -> Option<u64> {
    match units::parse_size(text) {
        Ok(0) => None,
        Ok(bytes) => Some(bytes),
        Err(message) => {
            r.problems.add(at, message);
            None
        }
    }
}

fn json_rule(raw: Option<String>, at: &At<'_>, r: &mut Resolver<'_>) -> Option<CelRule> {
    match CelRule::new(&raw?) {
        Ok(rule) => Some(rule),
        Err(message) => {
            r.problems.add(at, message);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accept_encoding_is_read_with_its_weights() {
        for (accept, coding, accepted) in [
            ("gzip", "gzip", true),
            ("br, gzip;q=0.5", "gzip", true),
            ("br", "gzip", false),
            ("*", "gzip", true),
            ("gzip;q=0", "gzip", false),
            ("gzip;q=0, *;q=0.1", "gzip", true),
            ("identity;q=1.0, *;q=0", "identity", true),
            ("gzip;q=x", "gzip", false),
        ] {
            assert_eq!(accepts(accept, coding), accepted, "{accept} {coding}");
        }
    }
}
