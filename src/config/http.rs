//! Settings of the HTTP prober: the incumbent's `http` block, resolved.

use std::fmt;

use super::trace_context::TraceContext;
use super::{CelRule, DnsServers, IpPreference, Pattern, Secret, TlsSettings, ZonedUrl};

/// Whether `text`, from which `url` was read, has the port of the URL's scheme in it; the URL has dropped it as the
/// default. A server may be told: the Host header is sent as the URL was written, as by Go's client.
pub fn names_default_port(text: &str, url: &url::Url) -> bool {
    if url.port().is_some() {
        return false;
    }
    let text = text.trim();
    let rest = text.split_once("//").map_or(text, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    match host.rsplit_once(':') {
        Some((_, port)) => port.parse().is_ok_and(|port: u16| Some(port) == url.port_or_known_default()),
        None => false,
    }
}

#[derive(Clone, Debug)]
pub struct HttpSettings {
    /// Accepted final status codes; empty means 200..=299.
    pub valid_status_codes: Vec<StatusRange>,
    /// Accepted versions of the final response; empty means any.
    pub valid_http_versions: Vec<HttpVersion>,
    pub method: http::Method,
    /// Sent on every hop, in this order; `Host` is not among them. Sensitive ones are marked so.
    pub headers: http::HeaderMap,
    /// The `Host` header of the config: virtual host and default SNI of the first hop.
    pub host: Option<String>,
    pub body: bytes::Bytes,
    /// Bytes after decompression; `None` is unlimited (rules that need the body in memory stop at 64 MiB).
    pub body_size_limit: Option<u64>,
    pub compression: Option<Compression>,
    /// Rules see the body as text in the charset that it declares, unless it is UTF-8.
    pub decode_charset: bool,
    pub follow_redirects: bool,
    pub fail_if_ssl: bool,
    pub fail_if_not_ssl: bool,
    pub body_rules: Vec<BodyRule>,
    pub header_rules: Vec<HeaderRule>,
    /// `fail_if_body_json_matches_cel`, `fail_if_body_json_not_matches_cel`.
    pub fail_if_json_matches: Option<CelRule>,
    pub fail_if_json_not_matches: Option<CelRule>,
    pub ip: IpPreference,
    pub dns_servers: DnsServers,
    pub enable_http2: bool,
    /// HTTP/3 alone.
    pub enable_http3: bool,
    pub auth: Option<HttpAuth>,
    pub proxy: ProxySettings,
    pub tls: TlsSettings,
    /// The server is told a trace id.
    pub trace_context: Option<TraceContext>,
    /// Keep the first 1 KiB of the body as evidence.
    pub keep_excerpt: bool,
}

/// An inclusive range of status codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusRange {
    pub first: u16,
    pub last: u16,
}

impl StatusRange {
    pub fn contains(self, status: u16) -> bool {
        (self.first..=self.last).contains(&status)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpVersion {
    Http10,
    Http11,
    Http2,
    Http3,
}

/// The decoder that is forced on the response, whatever its Content-Encoding says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    Gzip,
    Brotli,
    /// Raw deflate as the incumbent; the zlib wrapper is understood too.
    Deflate,
    Identity,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailIf {
    Matches,
    NotMatches,
}

#[derive(Clone, Debug, PartialEq)]
pub struct BodyRule {
    pub fail_if: FailIf,
    pub pattern: Pattern,
}

#[derive(Clone, Debug, PartialEq)]
pub struct HeaderRule {
    pub fail_if: FailIf,
    pub header: http::HeaderName,
    pub pattern: Pattern,
    /// A missing header is no failure.
    pub allow_missing: bool,
}

/// Credentials for the target, kept on hops to its host and withheld from others.
#[derive(Clone, Debug)]
pub enum HttpAuth {
    Basic {
        username: String,
        password: Secret,
    },
    /// `Authorization: SCHEME CREDENTIALS`.
    Header {
        scheme: String,
        credentials: Secret,
    },
    OAuth2(Box<OAuth2Settings>),
}

/// Where a bearer token comes from.
#[derive(Clone)]
pub struct OAuth2Settings {
    pub client_id: String,
    pub grant: OAuth2Grant,
    pub scopes: Vec<String>,
    pub token_url: ZonedUrl,
    pub endpoint_params: Vec<(String, String)>,
    pub tls: TlsSettings,
    pub proxy: ProxySettings,
}

/// What the client has to show for a token.
#[derive(Clone)]
pub enum OAuth2Grant {
    /// Client credentials, RFC 6749 section 4.4.
    ClientCredentials { client_secret: Secret },
    /// An assertion that the client signs, RFC 7523 section 2.1.
    JwtBearer(Box<JwtSettings>),
}

/// The assertion, as the incumbent's library (prometheus/common) makes it.
#[derive(Clone)]
pub struct JwtSettings {
    /// An RSA key in PEM.
    pub key: Secret,
    /// `kid` of the header, when not empty.
    pub key_id: String,
    pub algorithm: JwtAlgorithm,
    /// `iss`; the client's id unless it is given.
    pub issuer: String,
    /// `aud`; the URL of the token endpoint unless it is given.
    pub audience: String,
    /// Further claims; they stand over the others.
    pub claims: Vec<(String, serde_json::Value)>,
}

/// RSASSA-PKCS1-v1_5, RFC 7518 section 3.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JwtAlgorithm {
    Rs256,
    Rs384,
    Rs512,
}

impl JwtAlgorithm {
    pub const ALL: [Self; 3] = [Self::Rs256, Self::Rs384, Self::Rs512];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
        }
    }
}

impl fmt::Debug for OAuth2Settings {
    /// Parameters may be secrets too, so only their names show.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.endpoint_params.iter().map(|(name, _)| name).collect();
        f.debug_struct("OAuth2Settings")
            .field("client_id", &self.client_id)
            .field("token_url", &super::masked::mask_url(self.token_url.as_str()))
            .field("scopes", &self.scopes)
            .field("endpoint_params", &names)
            .field("proxy", &self.proxy)
            .finish_non_exhaustive()
    }
}

#[derive(Clone, Default)]
pub enum ProxySettings {
    #[default]
    Direct,
    Url {
        /// http, https, socks5 or socks5h; names are always left to the proxy.
        url: Box<ZonedUrl>,
        /// The incumbent's `no_proxy` list: hosts, domains, addresses, CIDRs, ports.
        no_proxy: Option<String>,
        /// Headers of the CONNECT request.
        connect_headers: http::HeaderMap,
    },
    /// HTTP_PROXY, HTTPS_PROXY and NO_PROXY as they stood at load.
    Environment {
        http: Option<Box<ZonedUrl>>,
        https: Option<Box<ZonedUrl>>,
        no_proxy: Option<String>,
        connect_headers: http::HeaderMap,
    },
}

impl ProxySettings {
    /// Whether some targets may be reached through a proxy.
    pub fn is_used(&self) -> bool {
        match self {
            Self::Direct => false,
            Self::Url { .. } => true,
            Self::Environment { http, https, .. } => http.is_some() || https.is_some(),
        }
    }
}

impl fmt::Debug for ProxySettings {
    /// Proxy URLs carry passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |url: &ZonedUrl| super::masked::mask_url(&url.to_string());
        match self {
            Self::Direct => f.write_str("Direct"),
            Self::Url { url, no_proxy, connect_headers } => f
                .debug_struct("Url")
                .field("url", &shown(url))
                .field("no_proxy", no_proxy)
                .field("connect_headers", connect_headers)
                .finish(),
            Self::Environment { http, https, no_proxy, connect_headers } => f
                .debug_struct("Environment")
                .field("http", &http.as_deref().map(shown))
                .field("https", &https.as_deref().map(shown))
                .field("no_proxy", no_proxy)
                .field("connect_headers", connect_headers)
                .finish(),
        }
    }
}
