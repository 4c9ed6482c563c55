//! The `websocket` block.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::header::{AUTHORIZATION, HOST};
use http::{HeaderMap, HeaderValue};

use super::auth::AuthKeys;
use super::{Resolver, auth, http as http_block, names, tcp, tls, trace_context};
use crate::config::http::HttpAuth;
use crate::config::problem::At;
use crate::config::raw::{Entries, RawHeaderValues, RawHttpClient, RawWebsocket};
use crate::config::{DnsServers, WebsocketSettings};

/// Headers that open the connection.
const HANDSHAKE_HEADERS: &[&str] = &[
    "connection",
    "upgrade",
    "sec-websocket-key",
    "sec-websocket-version",
    "sec-websocket-extensions",
    "content-length",
    "transfer-encoding",
];

pub(super) fn websocket(raw: RawWebsocket, at: &At<'_>, r: &mut Resolver<'_>) -> WebsocketSettings {
    let RawWebsocket {
        preferred_ip_protocol,
        ip_protocol_fallback,
        http_config,
        headers,
        query_response,
        trace_context,
    } = raw;
    let ip = r.ip(preferred_ip_protocol, ip_protocol_fallback, at);
    let mut map = HeaderMap::new();
    let headers = headers.map(|headers| without_handshake(headers, &at.key("headers"), r));
    http_block::add_header_values(headers, &[], &mut map, &at.key("headers"), r);
    host(&mut map, &at.key("headers"), r);
    let at_steps = at.key("query_response");
    let mut steps = tcp::steps(query_response, false, &at_steps, r);
    for (index, step) in steps.iter_mut().enumerate() {
        if step.starttls {
            step.starttls = false;
            r.warn(&at_steps.index(index).key("starttls"), "has no meaning here; write wss:// in the target");
        }
        if !step.labels.is_empty() {
            r.warn(&at_steps.index(index).key("labels"), "has no effect for a WebSocket, as with blackbox_exporter");
        }
    }
    let tls = client(http_config.unwrap_or_default(), &mut map, &at.key("http_config"), r);
    let trace_context = trace_context::trace_context(trace_context, &map, "headers", at, r);
    WebsocketSettings {
        trace_context,
        headers: map,
        steps,
        tls,
        ip,
        dns_servers: DnsServers::System,
        keep_excerpt: true,
    }
}

fn without_handshake(headers: Entries<RawHeaderValues>, at: &At<'_>, r: &mut Resolver<'_>) -> Entries<RawHeaderValues> {
    let (of_handshake, others): (Vec<_>, Vec<_>) =
        headers.0.into_iter().partition(|(name, _)| HANDSHAKE_HEADERS.contains(&name.to_ascii_lowercase().as_str()));
    for (name, _) in of_handshake {
        r.problems.add_fault(&at.key(&name), "cannot be set; it is a part of how the connection is opened");
    }
    Entries(others)
}

/// As for HTTP. An empty one is none.
fn host(headers: &mut HeaderMap, at: &At<'_>, r: &mut Resolver<'_>) {
    let Some(value) = headers.get(HOST) else { return };
    if value.is_empty() {
        headers.remove(HOST);
        return;
    }
    let host = names::host_header(&String::from_utf8_lossy(value.as_bytes()));
    match host.map(HeaderValue::try_from) {
        Ok(Ok(value)) => drop(headers.insert(HOST, value)),
        Ok(Err(_)) => r.problems.add_fault(&at.key("Host"), "is no header"),
        Err(sentence) => r.problems.add_fault(&at.key("Host"), sentence),
    }
}

/// Credentials and TLS take effect; the rest of the block has none, with the incumbent neither.
fn client(
    raw: RawHttpClient,
    headers: &mut HeaderMap,
    at: &At<'_>,
    r: &mut Resolver<'_>,
) -> crate::config::TlsSettings {
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
    } = raw;
    for (key, given) in [
        ("oauth2", oauth2.is_some()),
        ("proxy_url", proxy_url.as_ref().is_some_and(|url| !url.is_empty())),
        ("no_proxy", no_proxy.as_ref().is_some_and(|list| !list.is_empty())),
        ("proxy_from_environment", proxy_from_environment == Some(true)),
        ("proxy_connect_header", proxy_connect_header.is_some()),
        ("http_headers", http_headers.is_some()),
    ] {
        if given {
            r.warn(&at.key(key), "has no effect for a WebSocket, as with blackbox_exporter");
        }
    }
    let keys = AuthKeys { basic_auth, authorization, oauth2: None, bearer_token, bearer_token_file };
    let value = match auth::auth(keys, at, r) {
        None | Some(HttpAuth::OAuth2(_)) => None,
        Some(HttpAuth::Basic { username, password }) => {
            Some(format!("Basic {}", BASE64_STANDARD.encode(format!("{username}:{}", password.expose()))))
        }
        Some(HttpAuth::Header { credentials, .. }) if credentials.expose().is_empty() => None,
        Some(HttpAuth::Header { scheme, credentials }) => Some(format!("{scheme} {}", credentials.expose())),
    };
    // A header of one's own wins, as for HTTP.
    let own = headers.get(AUTHORIZATION).is_some_and(|value| !value.is_empty());
    if let Some(value) = value.filter(|_| !own) {
        match HeaderValue::from_str(&value) {
            Ok(mut value) => {
                value.set_sensitive(true);
                headers.insert(AUTHORIZATION, value);
            }
            Err(_) => r.problems.add_fault(at, "has credentials with a character that no header can carry"),
        }
    }
    tls::tls(tls_config, &at.key("tls_config"), r)
}
