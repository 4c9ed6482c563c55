//! Credentials and proxies of the incumbent's HTTP client: which of them exclude each other, and where secrets are read.

use super::http::MAX_HEADERS;
use super::web_url::web_url;
use super::{Resolver, address, names, oauth2};
use crate::config::http::{HttpAuth, ProxySettings};
use crate::config::masked::mask_broken_address;
use crate::config::problem::{At, shorten};
use crate::config::raw::{Entries, RawAuthorization, RawBasicAuth, RawOAuth2, SecretText};
use crate::config::{Secret, ZonedUrl};

/// The keys that give credentials; at most one may be there.
pub(super) struct AuthKeys {
    pub(super) basic_auth: Option<RawBasicAuth>,
    pub(super) authorization: Option<RawAuthorization>,
    pub(super) oauth2: Option<RawOAuth2>,
    pub(super) bearer_token: Option<SecretText>,
    pub(super) bearer_token_file: Option<String>,
}

/// The keys that give a proxy.
pub(super) struct ProxyKeys {
    pub(super) proxy_url: Option<String>,
    pub(super) no_proxy: Option<String>,
    pub(super) proxy_from_environment: Option<bool>,
    pub(super) proxy_connect_header: Option<Entries<Vec<SecretText>>>,
}

/// What was asked for, if it is in order.
pub(super) fn auth(keys: AuthKeys, at: &At<'_>, r: &mut Resolver<'_>) -> Option<HttpAuth> {
    let AuthKeys { basic_auth, authorization, oauth2, bearer_token, bearer_token_file } = keys;
    let bearer_token = bearer_token.filter(|token| !token.0.is_empty());
    let bearer_token_file = bearer_token_file.filter(|file| !file.is_empty());
    let given = [
        ("basic_auth", basic_auth.is_some()),
        ("authorization", authorization.is_some()),
        ("oauth2", oauth2.is_some()),
        ("bearer_token", bearer_token.is_some()),
        ("bearer_token_file", bearer_token_file.is_some()),
    ];
    let alone = r.at_most_one(at, &given);
    let basic = basic_auth.and_then(|raw| basic(raw, &at.key("basic_auth"), r));
    let header = authorization.and_then(|raw| header(raw, &at.key("authorization"), r));
    let oauth2 = oauth2.and_then(|raw| oauth2::oauth2(raw, &at.key("oauth2"), r));
    let bearer = |credentials| HttpAuth::Header { scheme: "Bearer".to_owned(), credentials };
    let token = bearer_token.map(|token| bearer(Secret::new(token.0)));
    let token_file = bearer_token_file.and_then(|file| secret_file(&file, &at.key("bearer_token_file"), r)).map(bearer);
    if alone { basic.or(header).or(oauth2).or(token).or(token_file) } else { None }
}

fn basic(raw: RawBasicAuth, at: &At<'_>, r: &mut Resolver<'_>) -> Option<HttpAuth> {
    let RawBasicAuth { username, username_file, username_ref, password, password_file, password_ref } = raw;
    let username = one_of(
        username.map(SecretText),
        username_file,
        username_ref,
        ["username", "username_file", "username_ref"],
        at,
        r,
    )?;
    let password = one_of(password, password_file, password_ref, ["password", "password_file", "password_ref"], at, r)?;
    let username = username.map(|name| name.expose().to_owned()).unwrap_or_default();
    if username.contains(':') {
        let message = "has a colon, behind which a server takes the rest as the password (RFC 7617)";
        r.warn(&at.key("username"), message);
    }
    Some(HttpAuth::Basic { username, password: password.unwrap_or_else(|| Secret::new("")) })
}

fn header(raw: RawAuthorization, at: &At<'_>, r: &mut Resolver<'_>) -> Option<HttpAuth> {
    let RawAuthorization { scheme, credentials, credentials_file, credentials_ref } = raw;
    let scheme = scheme.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    let scheme = scheme.unwrap_or_else(|| "Bearer".to_owned());
    let mut good = true;
    if scheme.eq_ignore_ascii_case("basic") {
        r.problems.add(&at.key("type"), "is \"basic\"; write basic_auth with username and password instead");
        good = false;
    } else if scheme.contains(char::is_control) {
        let message = format!("{:?} has a control character, which no header can carry", shorten(&scheme));
        r.problems.add_fault(&at.key("type"), message);
        good = false;
    } else if scheme.contains(char::is_whitespace) {
        r.warn(&at.key("type"), &format!("{:?} is not one word such as Bearer", shorten(&scheme)));
    }
    let names = ["credentials", "credentials_file", "credentials_ref"];
    let credentials = one_of(credentials, credentials_file, credentials_ref, names, at, r)?;
    let credentials = credentials.unwrap_or_else(|| {
        r.warn(
            &at.key("credentials"),
            "is missing, so the header has no more than its type; give it, or credentials_file",
        );
        Secret::new("")
    });
    if http::HeaderValue::from_bytes(credentials.expose().as_bytes()).is_err() {
        r.problems.add_fault(at, "the credentials have a control character, which no header can carry");
        good = false;
    }
    good.then_some(HttpAuth::Header { scheme, credentials })
}

/// A value given by value or by file. `None` when what is given is wrong, `Some(None)` when nothing is given.
pub(super) fn one_of(
    value: Option<SecretText>,
    file: Option<String>,
    reference: Option<String>,
    [key, key_file, key_ref]: [&'static str; 3],
    at: &At<'_>,
    r: &mut Resolver<'_>,
) -> Option<Option<Secret>> {
    let value = value.filter(|value| !value.0.is_empty());
    let file = file.filter(|file| !file.is_empty());
    if reference.is_some_and(|reference| !reference.is_empty()) {
        r.no_secret_store(&at.key(key_ref), key, key_file);
        return None;
    }
    if !r.at_most_one(at, &[(key, value.is_some()), (key_file, file.is_some())]) {
        return None;
    }
    match (value, file) {
        (Some(value), _) => Some(Some(Secret::new(value.0))),
        (None, Some(file)) => secret_file(&file, &at.key(key_file), r).map(Some),
        (None, None) => Some(None),
    }
}

/// The content of a file, trimmed as the incumbent does.
pub(super) fn secret_file(file: &str, at: &At<'_>, r: &mut Resolver<'_>) -> Option<Secret> {
    let bytes = r.files.read(file, at, &mut r.problems)?;
    let Ok(text) = std::str::from_utf8(&bytes).map(str::trim) else {
        r.problems.add_fault(at, format!("{file} is not UTF-8"));
        return None;
    };
    if text.is_empty() {
        r.warn(at, &format!("{file} is empty, and so is what is sent"));
    }
    Some(Secret::new(text))
}

pub(super) fn proxy(keys: ProxyKeys, at: &At<'_>, r: &mut Resolver<'_>) -> ProxySettings {
    let ProxyKeys { proxy_url, no_proxy, proxy_from_environment, proxy_connect_header } = keys;
    let proxy_url = proxy_url.filter(|text| !text.is_empty());
    let no_proxy = no_proxy.filter(|text| !text.is_empty()).map(|list| names::list(&list));
    let from_environment = proxy_from_environment.unwrap_or(false);
    let connect_headers = connect_headers(proxy_connect_header, &at.key("proxy_connect_header"), r);
    if from_environment {
        for (key, given) in [("proxy_url", proxy_url.is_some()), ("no_proxy", no_proxy.is_some())] {
            if given {
                r.problems.add(&at.key(key), "cannot stand beside proxy_from_environment: true; keep one of them");
            }
        }
        return environment_proxy(connect_headers, &at.key("proxy_from_environment"), r);
    }
    if let Some(text) = proxy_url {
        let Some(url) = proxy_address(&text, &at.key("proxy_url"), r) else { return ProxySettings::Direct };
        return ProxySettings::Url { url: Box::new(url), no_proxy, connect_headers };
    }
    if no_proxy.is_some() {
        r.problems.add(&at.key("no_proxy"), "needs proxy_url; without a proxy it means nothing");
    }
    if !connect_headers.is_empty() {
        let message = "needs proxy_url or proxy_from_environment; without a proxy it means nothing";
        r.problems.add(&at.key("proxy_connect_header"), message);
    }
    ProxySettings::Direct
}

/// How the URL of a proxy could be written.
const PROXY: &str = "http://proxy.example.com:3128";

fn proxy_address(text: &str, at: &At<'_>, r: &mut Resolver<'_>) -> Option<ZonedUrl> {
    let shown = || format!("{:?}", shorten(&mask_broken_address(text)));
    let problem = match web_url(text, PROXY) {
        Ok(url) if !matches!(url.scheme(), "http" | "https" | "socks5" | "socks5h") => {
            let schemes = "schemes are http, https, socks5 and socks5h";
            format!("{} has a scheme that no proxy has; {schemes}", shown())
        }
        Ok(url) => match address::credentials(&url) {
            Ok(_) => return Some(url),
            Err(message) => message,
        },
        Err(sentence) => sentence,
    };
    r.problems.add_fault(at, problem);
    None
}

/// The variables as Go reads them: upper case first, and a value without a scheme is http.
fn environment_proxy(connect_headers: http::HeaderMap, at: &At<'_>, r: &mut Resolver<'_>) -> ProxySettings {
    let environment = r.environment;
    let variable = |names: [&str; 2]| names.iter().find_map(|name| environment(name)).filter(|value| !value.is_empty());
    let mut address = |names: [&'static str; 2]| {
        let text = variable(names)?;
        let text = if text.contains("://") { text } else { format!("http://{text}") };
        r.files.note(text.as_bytes());
        match web_url(&text, PROXY) {
            Ok(url) if matches!(url.scheme(), "http" | "https" | "socks5" | "socks5h") => Some(Box::new(url)),
            Ok(_) | Err(_) => {
                r.problems.add_fault(at, format!("the environment variable {} holds no proxy's URL", names[0]));
                None
            }
        }
    };
    let http = address(["HTTP_PROXY", "http_proxy"]);
    let https = address(["HTTPS_PROXY", "https_proxy"]);
    let no_proxy = variable(["NO_PROXY", "no_proxy"]);
    r.files.note(no_proxy.as_deref().unwrap_or_default().as_bytes());
    let no_proxy = no_proxy.map(|list| names::list(&list));
    ProxySettings::Environment { http, https, no_proxy, connect_headers }
}

fn connect_headers(raw: Option<Entries<Vec<SecretText>>>, at: &At<'_>, r: &mut Resolver<'_>) -> http::HeaderMap {
    let mut headers = http::HeaderMap::new();
    let raw = raw.map(|raw| raw.0).unwrap_or_default();
    let count: usize = raw.iter().map(|(_, values)| values.len()).sum();
    if count > MAX_HEADERS {
        r.problems.add_fault(at, format!("has {count} headers; at most {MAX_HEADERS} are sent"));
        return headers;
    }
    for (name, values) in raw {
        let at = at.key(&name);
        for (index, value) in values.iter().enumerate() {
            if let Some((name, mut value)) = super::http::header_pair(&name, &value.0, &at, Some(index), r) {
                value.set_sensitive(true);
                headers.append(name, value);
            }
        }
    }
    headers
}
