//! The `websocket` block.

use super::auth::{AuthKeys, ProxyKeys};
use super::{Resolver, auth, http, tcp, tls};
use crate::config::problem::At;
use crate::config::raw::{RawHttpClient, RawWebsocket};
use crate::config::{DnsServers, WebsocketSettings};

pub(super) fn websocket(raw: RawWebsocket, at: &At<'_>, r: &mut Resolver<'_>) -> WebsocketSettings {
    let RawWebsocket { preferred_ip_protocol, ip_protocol_fallback, http_config, headers, query_response } = raw;
    let ip = r.ip(preferred_ip_protocol, ip_protocol_fallback, at);
    http::check_header_values(headers, &at.key("headers"), r);
    let steps = tcp::steps(query_response, false, &at.key("query_response"), r);
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
    let tls = tls::tls(tls_config, &at.key("tls_config"), r);
    http::check_header_values(http_headers, &at.key("http_headers"), r);
    WebsocketSettings { ip, dns_servers: DnsServers::System, tls, steps, keep_excerpt: true }
}
