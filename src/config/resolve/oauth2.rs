//! `oauth2` of the incumbent's HTTP client: two grants, of which one has a secret and the other a key.

use super::auth::{ProxyKeys, one_of, proxy};
use super::web_url::web_url;
use super::{Resolver, tls};
use crate::config::http::{HttpAuth, JwtAlgorithm, JwtSettings, OAuth2Grant, OAuth2Settings};
use crate::config::masked::mask_broken_address;
use crate::config::problem::{At, shorten};
use crate::config::raw::RawOAuth2;
use crate::config::{Secret, ZonedUrl};

const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

pub(super) fn oauth2(mut raw: RawOAuth2, at: &At<'_>, r: &mut Resolver<'_>) -> Option<HttpAuth> {
    let before = r.problems.count();
    let client_id = raw.client_id.take().unwrap_or_default();
    if client_id.is_empty() {
        r.problems.add(&at.key("client_id"), "is required");
    }
    let token_url = token_url(raw.token_url.take(), at, r);
    let grant = match raw.grant_type.as_deref() {
        None | Some("" | "client_credentials") => client_credentials(&mut raw, at, r),
        Some(JWT_BEARER) => jwt_bearer(&mut raw, &client_id, token_url.as_ref(), at, r),
        Some(other) => {
            // Whatever is not the other one is client_credentials to blackbox_exporter.
            let message =
                format!("{:?} is not known and taken as client_credentials; the other is {JWT_BEARER}", shorten(other));
            r.warn(&at.key("grant_type"), &message);
            client_credentials(&mut raw, at, r)
        }
    };
    let RawOAuth2 { scopes, endpoint_params, tls_config, .. } = raw;
    let tls = tls::tls(tls_config, &at.key("tls_config"), r);
    let proxy = proxy(
        ProxyKeys {
            proxy_url: raw.proxy_url,
            no_proxy: raw.no_proxy,
            proxy_from_environment: raw.proxy_from_environment,
            proxy_connect_header: raw.proxy_connect_header,
        },
        at,
        r,
    );
    if r.problems.count() > before {
        return None;
    }
    Some(HttpAuth::OAuth2(Box::new(OAuth2Settings {
        client_id,
        grant: grant?,
        scopes: scopes.unwrap_or_default(),
        token_url: token_url?,
        endpoint_params: endpoint_params.map(|params| params.0).unwrap_or_default(),
        tls,
        proxy,
    })))
}

/// Keys of the other grant would do nothing; whoever writes them means something.
fn client_credentials(raw: &mut RawOAuth2, at: &At<'_>, r: &mut Resolver<'_>) -> Option<OAuth2Grant> {
    let of_jwt = [
        ("client_certificate_key_id", raw.client_certificate_key_id.is_some()),
        ("client_certificate_key", raw.client_certificate_key.is_some()),
        ("client_certificate_key_file", raw.client_certificate_key_file.is_some()),
        ("client_certificate_key_ref", raw.client_certificate_key_ref.is_some()),
        ("signature_algorithm", raw.signature_algorithm.is_some()),
        ("iss", raw.iss.is_some()),
        ("audience", raw.audience.is_some()),
        ("claims", raw.claims.is_some()),
    ];
    for (key, _) in of_jwt.iter().filter(|(_, given)| *given) {
        r.warn(&at.key(key), &format!("is for the grant_type {JWT_BEARER}; this one is client_credentials"));
    }
    let names = ["client_secret", "client_secret_file", "client_secret_ref"];
    let (value, file) = (raw.client_secret.take(), raw.client_secret_file.take());
    let client_secret = one_of(value, file, raw.client_secret_ref.take(), names, at, r)?;
    Some(OAuth2Grant::ClientCredentials { client_secret: client_secret.unwrap_or_else(|| Secret::new("")) })
}

fn jwt_bearer(
    raw: &mut RawOAuth2,
    client_id: &str,
    token_url: Option<&ZonedUrl>,
    at: &At<'_>,
    r: &mut Resolver<'_>,
) -> Option<OAuth2Grant> {
    let of_secret = [
        ("client_secret", raw.client_secret.is_some()),
        ("client_secret_file", raw.client_secret_file.is_some()),
        ("client_secret_ref", raw.client_secret_ref.is_some()),
    ];
    for (key, _) in of_secret.iter().filter(|(_, given)| *given) {
        r.warn(&at.key(key), &format!("is for the grant_type client_credentials; {JWT_BEARER} signs with a key"));
    }
    let names = ["client_certificate_key", "client_certificate_key_file", "client_certificate_key_ref"];
    let (value, file) = (raw.client_certificate_key.take(), raw.client_certificate_key_file.take());
    let key = one_of(value, file, raw.client_certificate_key_ref.take(), names, at, r)?;
    if key.is_none() {
        r.problems.add_fault(
            &at.key("client_certificate_key"),
            "is required; give client_certificate_key or client_certificate_key_file, an RSA key in PEM",
        );
    }
    let algorithm = match raw.signature_algorithm.as_deref() {
        None | Some("") => Some(JwtAlgorithm::Rs256),
        Some(name) => JwtAlgorithm::ALL.into_iter().find(|algorithm| algorithm.as_str() == name),
    };
    if algorithm.is_none() {
        let found = shorten(raw.signature_algorithm.as_deref().unwrap_or_default());
        r.problems.add(&at.key("signature_algorithm"), format!("{found:?} is not one of RS256, RS384, RS512"));
    }
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    Some(OAuth2Grant::JwtBearer(Box::new(JwtSettings {
        key: key?,
        key_id: raw.client_certificate_key_id.take().unwrap_or_default(),
        algorithm: algorithm?,
        issuer: given(raw.iss.take()).unwrap_or_else(|| client_id.to_owned()),
        audience: given(raw.audience.take()).unwrap_or_else(|| token_url.map(ToString::to_string).unwrap_or_default()),
        claims: raw.claims.take().map(|claims| claims.0).unwrap_or_default(),
    })))
}

fn token_url(text: Option<String>, at: &At<'_>, r: &mut Resolver<'_>) -> Option<ZonedUrl> {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        r.problems.add(&at.key("token_url"), "is required");
        return None;
    };
    let problem = match web_url(&text, "https://login.example.com/token") {
        Ok(url) if matches!(url.scheme(), "http" | "https") => return Some(url),
        Ok(_) => format!("{:?} is not an http or https URL", shorten(&mask_broken_address(&text))),
        Err(sentence) => sentence,
    };
    r.problems.add_fault(&at.key("token_url"), problem);
    None
}
