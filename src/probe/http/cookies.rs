//! The cookies of one run: what a redirect sets is sent on the next hop, and forgotten with the run.

use cookie_store::{CookieStore, RawCookie};
use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderValue};
use url::Url;

/// Empty, and without a store, until a `Set-Cookie` is seen.
#[derive(Default)]
pub(super) struct Jar(Option<Box<CookieStore>>);

impl Jar {
    /// Keeps what a response to `url` sets.
    pub(super) fn store(&mut self, headers: &HeaderMap, url: &Url) {
        let cookies = headers
            .get_all(SET_COOKIE)
            .iter()
            .filter_map(|value| RawCookie::parse(std::str::from_utf8(value.as_bytes()).ok()?.to_owned()).ok())
            .filter(|cookie| domain_is_plausible(cookie, url));
        for cookie in cookies {
            // One that the rules refuse (another domain, expired) is dropped, as a browser does.
            let _ = self.0.get_or_insert_default().insert_raw(&cookie, url);
        }
    }

    /// Adds what `url` is due to the `Cookie` header of a request, behind configured ones.
    pub(super) fn add_to(&self, headers: &mut HeaderMap, url: &Url) {
        let Some(store) = &self.0 else { return };
        let mut line = headers.get(COOKIE).map(|value| value.as_bytes().to_vec()).unwrap_or_default();
        for (name, value) in store.get_request_values(url) {
            if !line.is_empty() {
                line.extend_from_slice(b"; ");
            }
            line.extend_from_slice(name.as_bytes());
            line.push(b'=');
            line.extend_from_slice(value.as_bytes());
        }
        if line.is_empty() {
            return;
        }
        if let Ok(mut value) = HeaderValue::from_bytes(&line) {
            value.set_sensitive(true);
            headers.insert(COOKIE, value);
        }
    }
}

/// A cookie for a whole top-level domain is refused. The public suffix list would refuse more (`co.uk`), but a list
/// compiled in goes stale, and a jar that lives for one run reaches no further than the redirects of that run.
fn domain_is_plausible(cookie: &RawCookie<'_>, url: &Url) -> bool {
    match cookie.domain() {
        Some(domain) => domain.trim_matches('.').contains('.') || Some(domain) == url.host_str(),
        None => true,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn sent(set: &[&str], from: &str, to: &str, configured: Option<&str>) -> Option<String> {
        let mut headers = HeaderMap::new();
        for line in set {
            headers.append(SET_COOKIE, HeaderValue::from_str(line).unwrap());
        }
        let mut jar = Jar::default();
        jar.store(&headers, &Url::parse(from).unwrap());
        let mut request = HeaderMap::new();
        if let Some(configured) = configured {
            request.insert(COOKIE, HeaderValue::from_str(configured).unwrap());
        }
        jar.add_to(&mut request, &Url::parse(to).unwrap());
        request.get(COOKIE).map(|value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn cookies_go_where_they_belong() {
        let home = "http://shop.example.com/";
        assert_eq!(sent(&["a=1; Path=/"], home, home, None).as_deref(), Some("a=1"));
        assert_eq!(sent(&["a=1; Path=/"], home, home, Some("b=2")).as_deref(), Some("b=2; a=1"));
        assert_eq!(sent(&["a=1"], home, "http://other.example.com/", None), None);
        assert_eq!(sent(&["a=1; Domain=example.com"], home, "http://www.example.com/", None).as_deref(), Some("a=1"));
        assert_eq!(sent(&["a=1; Domain=com"], home, home, None), None);
        assert_eq!(sent(&["a=1; Domain=evil.org"], home, "http://evil.org/", None), None);
        assert_eq!(sent(&["a=1; Secure"], "https://x.org/", "http://x.org/", None), None);
        assert_eq!(sent(&["a=1; Path=/admin"], home, home, None), None);
        assert_eq!(sent(&["a=1; Max-Age=0"], home, home, None), None);
        assert_eq!(sent(&["", "=", ";;;"], home, home, None), None);
    }

    /// A date that is over takes a cookie back, in whatever layout and with whatever day of the week; what is no date
    /// leaves it for the run.
    #[test]
    fn expiry_dates_are_read_in_all_their_layouts() {
        let home = "http://shop.example.com/";
        for (expires, kept) in [
            ("Thu, 01 Jan 1970 00:00:00 GMT", false),
            ("Thu, 01-Jan-1970 00:00:01 GMT", false),
            ("Thu, 01-Jan-70 00:00:01 GMT", false),
            ("Thursday, 01-Jan-70 00:00:00 GMT", false),
            ("Thu Jan  1 00:00:00 1970", false),
            ("Mon, 01 Jan 1970 00:00:00 GMT", false),
            ("Wed, 31 Dec 1969 23:59:59 GMT", false),
            ("Mon, 01 Jan 0001 00:00:00 GMT", false),
            ("Fri, 31 Dec 9999 23:59:59 GMT", true),
            ("Mon, 31-Dec-9999 23:59:59 GMT", true),
            ("yesterday", true),
            ("0", true),
            ("", true),
        ] {
            let cookie = format!("a=1; Path=/; Expires={expires}");
            assert_eq!(sent(&["a=0; Path=/", &cookie], home, home, None).is_some(), kept, "{expires}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_set_cookie_is_survived(line in "[ -~]{0,60}") {
            sent(&[&line], "http://a.example.com/", "http://a.example.com/x", Some("b=2"));
        }
    }
}
