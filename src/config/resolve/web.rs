//! `--web.config.file`.

use http::{HeaderName, HeaderValue};

use super::tls::{Source as PemSource, identity, roots, source, version};
use super::{Resolver, start};
use crate::config::problem::{At, ConfigErrors, list_of, nearest, shorten};
use crate::config::raw::{Entries, RawRateLimit, RawServerTls, RawWeb, RawWebHttp, SecretText};
use crate::config::tls::TlsVersion;
use crate::config::web::{ClientAuth, RateLimit, ServerTls, WebConfig};
use crate::config::{Secret, Source, shape};

const CLIENT_AUTH: [(&str, ClientAuth); 5] = [
    ("NoClientCert", ClientAuth::None),
    ("RequestClientCert", ClientAuth::Request),
    ("RequireAnyClientCert", ClientAuth::RequireAny),
    ("VerifyClientCertIfGiven", ClientAuth::VerifyIfGiven),
    ("RequireAndVerifyClientCert", ClientAuth::RequireAndVerify),
];

/// The headers that exporter-toolkit lets one set.
const HEADERS: [&str; 7] = [
    "Content-Security-Policy",
    "Strict-Transport-Security",
    "X-Content-Type-Options",
    "X-CSP-Nonce",
    "X-Frame-Options",
    "X-XSS-Protection",
    "Content-Security-Policy-Report-Only",
];

/// What rustls speaks, by the names of Go and IANA.
const CIPHER_SUITES: [&str; 9] = [
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
];
const CURVES: [&str; 4] = ["CurveP256", "CurveP384", "X25519", "X25519MLKEM768"];

pub(in crate::config) fn web(file: &Source) -> Result<WebConfig, ConfigErrors> {
    let environment = |name: &str| std::env::var(name).ok();
    let (mut r, root, at) = start(file, &environment)?;
    let raw: RawWeb = shape::read(&root, &at, &mut r.problems);
    let RawWeb { tls_server_config, http_server_config, basic_auth_users, auth_excluded_paths, rate_limit } = raw;
    let RawWebHttp { http2, headers } = http_server_config.unwrap_or_default();
    let mut config = WebConfig::absent();
    config.tls = tls_server_config.and_then(|raw| server_tls(raw, &at.key("tls_server_config"), &mut r));
    config.http2 = http2.unwrap_or(true);
    config.headers = headers_of(headers, &at.key("http_server_config").key("headers"), &mut r);
    config.users = users(basic_auth_users, &at.key("basic_auth_users"), &mut r);
    if let Some(paths) = auth_excluded_paths {
        config.auth_excluded_paths = excluded(paths, &at.key("auth_excluded_paths"), &mut r);
    }
    config.rate_limit = rate_limit.and_then(|raw| limit(raw, &at.key("rate_limit"), &mut r));
    if !r.problems.is_empty() || r.problems.fault_count() > 0 {
        return Err(r.problems.into_errors());
    }
    Ok(config.watching(r.files.watch().0))
}

fn server_tls(raw: RawServerTls, at: &At<'_>, r: &mut Resolver<'_>) -> Option<ServerTls> {
    let RawServerTls {
        cert,
        cert_file,
        key,
        key_file,
        client_auth_type,
        client_ca,
        client_ca_file,
        client_allowed_sans,
        min_version,
        max_version,
        cipher_suites,
        curve_preferences,
        prefer_server_cipher_suites,
    } = raw;
    let cert = source(cert, cert_file, None, ["cert", "cert_file", "cert_ref"], at, r);
    let key = source(key.map(|key| key.0), key_file, None, ["key", "key_file", "key_ref"], at, r);
    let identity = match (cert, key) {
        (PemSource::Pem(cert), PemSource::Pem(key)) => identity(&cert, &key, at, r),
        (PemSource::None, PemSource::None) => {
            r.problems.add(at, "needs cert_file and key_file, the certificate of this server and its key");
            None
        }
        (PemSource::None, _) => {
            r.problems.add(&at.key("cert_file"), "is required beside a key");
            None
        }
        (_, PemSource::None) => {
            r.problems.add(&at.key("key_file"), "is required beside a certificate");
            None
        }
        (PemSource::Bad, _) | (_, PemSource::Bad) => None,
    };
    let client_ca = source(client_ca, client_ca_file, None, ["client_ca", "client_ca_file", "client_ca_ref"], at, r);
    let client_roots = client_ca.pem().and_then(|pem| roots(&pem, at, r));
    let client_auth = client_auth(client_auth_type, at, r);
    let verifies = matches!(client_auth, ClientAuth::VerifyIfGiven | ClientAuth::RequireAndVerify);
    if client_roots.is_some() && !verifies {
        let message = "has no effect unless client_auth_type is RequireAndVerifyClientCert or VerifyClientCertIfGiven";
        r.problems.add(&at.key("client_ca_file"), message);
    }
    let client_names = client_allowed_sans.unwrap_or_default();
    if !client_names.is_empty() && !verifies {
        let message = "needs client_auth_type RequireAndVerifyClientCert or VerifyClientCertIfGiven";
        r.problems.add(&at.key("client_allowed_sans"), message);
    }
    let min_version = min_version.and_then(|text| version(&text, &at.key("min_version"), r));
    // What is less than rustls speaks is granted with the least that it does.
    let min_version = min_version.map(|min| min.max(TlsVersion::Tls12));
    let max_version = max_version.and_then(|text| version(&text, &at.key("max_version"), r));
    if let Some(max) = max_version.filter(|max| *max < TlsVersion::Tls12) {
        let message = format!("{max} is not spoken here: rustls has no version older than TLS 1.2");
        r.problems.add(&at.key("max_version"), message);
    } else if min_version > max_version && max_version.is_some() {
        r.problems.add(&at.key("max_version"), "is below min_version; no TLS version is left");
    }
    Some(ServerTls {
        identity: identity?,
        client_auth,
        client_roots,
        client_names,
        min_version,
        max_version,
        cipher_suites: known(cipher_suites, &CIPHER_SUITES, "a cipher suite", &at.key("cipher_suites"), r),
        curves: known(curve_preferences, &CURVES, "a curve", &at.key("curve_preferences"), r),
        prefer_server_order: prefer_server_cipher_suites.unwrap_or(true),
    })
}

fn client_auth(raw: Option<String>, at: &At<'_>, r: &mut Resolver<'_>) -> ClientAuth {
    let Some(text) = raw.filter(|text| !text.is_empty()) else { return ClientAuth::None };
    if let Some((_, auth)) = CLIENT_AUTH.iter().find(|(name, _)| *name == text) {
        return *auth;
    }
    let names = CLIENT_AUTH.map(|(name, _)| name);
    let message = format!("{:?} is none of {}", shorten(&text), list_of(&names));
    r.problems.add(&at.key("client_auth_type"), message);
    ClientAuth::None
}

/// Names of a list that is known; others are such as the library leaves out because they are weak.
fn known(raw: Option<Vec<String>>, all: &[&str], what: &str, at: &At<'_>, r: &mut Resolver<'_>) -> Vec<String> {
    let texts = raw.unwrap_or_default();
    for (index, text) in texts.iter().enumerate() {
        if !all.contains(&text.as_str()) {
            let hint = nearest(text, all.iter().copied()).map(|near| format!("did you mean {near}? "));
            let (hint, text) = (hint.unwrap_or_default(), shorten(text));
            r.problems.add(
                &at.index(index),
                format!("{text:?} is not {what} that is spoken here; {hint}known are {}", list_of(all)),
            );
        }
    }
    texts
}

fn headers_of(raw: Option<Entries<String>>, at: &At<'_>, r: &mut Resolver<'_>) -> Vec<(HeaderName, HeaderValue)> {
    let mut headers = Vec::new();
    for (name, value) in raw.map(|raw| raw.0).unwrap_or_default() {
        let at = at.key(&name);
        if !HEADERS.iter().any(|known| known.eq_ignore_ascii_case(&name)) {
            r.problems.add(&at, format!("cannot be set here; these can: {}", list_of(&HEADERS)));
            continue;
        }
        match (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(&value)) {
            (Ok(name), Ok(value)) => headers.push((name, value)),
            _ => r.problems.add(&at, format!("{:?} is no value of a header", shorten(&value))),
        }
    }
    headers
}

fn users(raw: Option<Entries<SecretText>>, at: &At<'_>, r: &mut Resolver<'_>) -> Vec<(String, Secret)> {
    let mut users: Vec<(String, Secret)> = Vec::new();
    for (name, SecretText(hash)) in raw.map(|raw| raw.0).unwrap_or_default() {
        let at = at.key(&name);
        if name.is_empty() || name.contains(':') {
            r.problems.add(&at, "is no user name: it is empty or has a colon");
        } else if hash.parse::<bcrypt::HashParts>().is_err() {
            r.problems.add(&at, "is no bcrypt hash; make one by: htpasswd -nBC 10 \"\" | tr -d ':\\n'");
        } else {
            users.push((name, Secret::new(hash)));
        }
    }
    users
}

fn excluded(paths: Vec<String>, at: &At<'_>, r: &mut Resolver<'_>) -> Vec<String> {
    for (index, path) in paths.iter().enumerate() {
        if !path.starts_with('/') {
            r.problems
                .add(&at.index(index), format!("{:?} is no path; it begins with /, as in /-/healthy", shorten(path)));
        }
    }
    paths
}

fn limit(raw: RawRateLimit, at: &At<'_>, r: &mut Resolver<'_>) -> Option<RateLimit> {
    use std::time::Duration;
    let RawRateLimit { interval, burst } = raw;
    let most = Duration::from_secs(86_400);
    let interval = r.duration(interval, &at.key("interval"), Duration::ZERO..=most).unwrap_or_default();
    let burst = u32::try_from(burst.unwrap_or(0)).ok();
    if burst.is_none() {
        r.problems.add(&at.key("burst"), "is not a number of requests");
    }
    (!interval.is_zero()).then_some(RateLimit { interval, burst: burst? })
}
