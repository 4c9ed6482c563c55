//! Where a redirect leads and what the next request keeps: Go's rules, as the incumbent follows them.
//!
//! Credentials are stricter than Go's: they stay with the host name that the target was configured with, are withheld
//! from every other (subdomains too) and from plain HTTP once TLS was used, and once withheld they stay so.

use std::borrow::Cow;

use http::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_LOCATION, CONTENT_TYPE, COOKIE,
    LOCATION, PROXY_AUTHORIZATION, TRANSFER_ENCODING, WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use percent_encoding::{AsciiSet, CONTROLS, percent_encode};
use url::{Position, Url};

use crate::config::http::names_default_port;

/// Redirects that are followed; the next one is judged itself.
pub(super) const MOST_REDIRECTS: u32 = 10;

/// What the next hop asks.
#[derive(Debug, PartialEq)]
pub(super) struct Next {
    pub(super) url: Url,
    pub(super) method: Method,
    pub(super) keeps_body: bool,
    /// The Location was relative: the configured Host header stays.
    pub(super) relative: bool,
    /// The Location was written with the port of its scheme.
    pub(super) names_port: bool,
}

/// A Location that leads nowhere.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(super) enum BadRedirect {
    #[error("the Location is not a URL: {}", why_no_url(*.0))]
    Location(url::ParseError),
    #[error("the Location has the scheme {0:?}")]
    Scheme(Box<str>),
}

#[allow(clippy::wildcard_enum_match_arm)] // the library may add to them
fn why_no_url(error: url::ParseError) -> &'static str {
    match error {
        url::ParseError::EmptyHost => "it has no host",
        url::ParseError::InvalidPort => "its port is no number from 0 to 65535",
        url::ParseError::IdnaError | url::ParseError::InvalidDomainCharacter => "its host can be no name",
        url::ParseError::InvalidIpv4Address => "its host is no IPv4 address",
        url::ParseError::InvalidIpv6Address => "its host is no IPv6 address",
        url::ParseError::Overflow => "it is too long",
        _ => "it leads nowhere",
    }
}

/// `None`: the response is not a redirect (a 3xx without Location is an answer like any other).
pub(super) fn next(
    status: StatusCode,
    headers: &HeaderMap,
    url: &Url,
    method: &Method,
) -> Option<Result<Next, BadRedirect>> {
    let (method, keeps_body) = match status.as_u16() {
        301..=303 if *method == Method::HEAD => (Method::HEAD, false),
        301..=303 => (Method::GET, false),
        307 | 308 => (method.clone(), true),
        _ => return None,
    };
    let location = headers.get(LOCATION)?.as_bytes();
    if location.is_empty() {
        return None;
    }
    Some(follow(location, url).map(|(url, relative)| {
        let names_port = !relative && names_default_port(&String::from_utf8_lossy(location), &url);
        Next { url, method, keeps_body, relative, names_port }
    }))
}

/// Servers send raw UTF-8 and worse; bytes beyond ASCII are percent-encoded as they are.
const NON_ASCII: &AsciiSet = &CONTROLS.remove(b'\t').remove(b'\n').remove(b'\r');

fn follow(location: &[u8], base: &Url) -> Result<(Url, bool), BadRedirect> {
    let text: Cow<'_, str> = percent_encode(location, NON_ASCII).into();
    let relative = Url::parse(&text) == Err(url::ParseError::RelativeUrlWithoutBase);
    let mut url = base.join(&text).map_err(BadRedirect::Location)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(BadRedirect::Scheme(url.scheme().chars().take(32).collect()));
    }
    url.set_fragment(None);
    // Credentials that a server puts into a Location are not ours to send. Neither call fails on http and https.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    // `//host/path` names a host of its own, though it has no scheme.
    let relative = relative && url.authority() == base.authority();
    Ok((url, relative))
}

/// What a request for `url` is called in the `Referer` of the next one: by the name that the server knows itself by.
/// Credentials and fragment are no part of the URLs that are sent.
pub(super) fn referer(url: &Url, host: Option<&HeaderValue>) -> Option<HeaderValue> {
    let Some(host) = host else { return HeaderValue::from_str(url.as_str()).ok() };
    let mut text = format!("{}://", url.scheme()).into_bytes();
    text.extend_from_slice(host.as_bytes());
    text.extend_from_slice(url[Position::BeforePath..].as_bytes());
    HeaderValue::from_bytes(&text).ok()
}

/// Whether credentials may go from a request for `from` on to `to`, which may be one of the `home` names.
pub(super) fn keeps_credentials(from: &Url, to: &Url, home: &[Option<&str>]) -> bool {
    let downgraded = from.scheme() == "https" && to.scheme() == "http";
    !downgraded && is_home(to, home)
}

pub(super) fn is_home(url: &Url, home: &[Option<&str>]) -> bool {
    url.host_str().is_some_and(|host| home.iter().flatten().any(|name| name.eq_ignore_ascii_case(host)))
}

/// Takes out what only the configured host may see: the well-known headers, and those marked as secret.
pub(super) fn strip_credentials(headers: &mut HeaderMap) {
    let mut names: Vec<HeaderName> =
        headers.iter().filter(|(_, value)| value.is_sensitive()).map(|(name, _)| name.clone()).collect();
    names.extend([
        AUTHORIZATION,
        PROXY_AUTHORIZATION,
        WWW_AUTHENTICATE,
        COOKIE,
        HeaderName::from_static("cookie2"),
        HeaderName::from_static("proxy-authenticate"),
    ]);
    for name in names {
        headers.remove(name);
    }
}

/// Takes out what describes a body that is no longer sent.
pub(super) fn strip_content(headers: &mut HeaderMap) {
    for name in [CONTENT_TYPE, CONTENT_LENGTH, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LOCATION, TRANSFER_ENCODING]
    {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn hop(status: u16, location: &str, method: Method) -> Option<Result<Next, BadRedirect>> {
        let mut headers = HeaderMap::new();
        headers.insert(LOCATION, HeaderValue::from_bytes(location.as_bytes()).unwrap());
        next(StatusCode::from_u16(status).unwrap(), &headers, &Url::parse("http://a.org/x/y?q#f").unwrap(), &method)
    }

    #[test]
    fn methods_change_as_in_go() {
        for (status, from, to, body) in [
            (301, Method::POST, Method::GET, false),
            (302, Method::PUT, Method::GET, false),
            (303, Method::HEAD, Method::HEAD, false),
            (307, Method::POST, Method::POST, true),
            (308, Method::DELETE, Method::DELETE, true),
        ] {
            let next = hop(status, "/z", from).unwrap().unwrap();
            assert_eq!((next.method, next.keeps_body), (to, body), "{status}");
        }
        for status in [200, 300, 304, 305, 306, 404] {
            assert_eq!(hop(status, "/z", Method::GET), None, "{status}");
        }
        assert_eq!(hop(302, "", Method::GET), None);
    }

    #[test]
    fn locations_resolve_against_the_current_url() {
        for (location, url, relative) in [
            ("http://a.org:80/z", "http://a.org/z", false),
            ("/z", "http://a.org/z", true),
            ("z?k=v#frag", "http://a.org/x/z?k=v", true),
            ("//b.org/z", "http://b.org/z", false),
            ("https://b.org", "https://b.org/", false),
            ("http://u:p@a.org/", "http://a.org/", false),
            ("/caf\u{e9}", "http://a.org/caf%C3%A9", true),
        ] {
            let next = hop(302, location, Method::GET).unwrap().unwrap();
            assert_eq!((next.url.as_str(), next.relative), (url, relative), "{location}");
            assert_eq!(next.names_port, location.contains(":80"), "{location}");
        }
    }

    #[test]
    fn locations_that_lead_nowhere_are_refused() {
        assert_eq!(hop(302, "ftp://b.org/", Method::GET), Some(Err(BadRedirect::Scheme("ftp".into()))));
        assert_eq!(hop(302, "javascript:1", Method::GET), Some(Err(BadRedirect::Scheme("javascript".into()))));
        for bad in ["http://", "http://[::", "http://a:99999/", "https://exa mple/"] {
            assert!(matches!(hop(302, bad, Method::GET), Some(Err(BadRedirect::Location(_)))), "{bad}");
        }
    }

    #[test]
    fn credentials_stay_at_home() {
        let home = [Some("shop.org"), Some("10.0.0.1")];
        for (from, to, kept) in [
            ("http://shop.org/", "http://shop.org/b", true),
            ("http://shop.org/", "https://SHOP.org/", true),
            ("http://10.0.0.1/", "https://shop.org:8443/", true),
            ("https://shop.org/", "http://shop.org/", false),
            ("http://shop.org/", "http://www.shop.org/", false),
            ("http://shop.org/", "http://evil.org/", false),
        ] {
            let (from, to) = (Url::parse(from).unwrap(), Url::parse(to).unwrap());
            assert_eq!(keeps_credentials(&from, &to, &home), kept, "{from} {to}");
        }
    }

    #[test]
    fn what_is_secret_is_stripped() {
        let mut headers = HeaderMap::new();
        let mut secret = HeaderValue::from_static("k");
        secret.set_sensitive(true);
        headers.insert("x-api-key", secret);
        headers.insert("x-plain", HeaderValue::from_static("p"));
        headers.insert(AUTHORIZATION, HeaderValue::from_static("a"));
        headers.insert(COOKIE, HeaderValue::from_static("c"));
        strip_credentials(&mut headers);
        assert_eq!(headers.keys().collect::<Vec<_>>(), ["x-plain"]);
    }

    proptest::proptest! {
        #[test]
        fn any_location_is_survived(location in proptest::collection::vec(proptest::num::u8::ANY, 0..60)) {
            let _ = follow(&location, &Url::parse("https://a.org/x").unwrap());
        }
    }
}
