//! What is kept of a response for people and metrics, without what is secret.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use http::header::{CONTENT_LENGTH, LAST_MODIFIED, LOCATION};
use http::{HeaderMap, Method, StatusCode, Version};
use jiff::{Timestamp, Unit};
use url::Url;

use super::date;
use crate::observation::{Edge, HttpDetail};

/// Response headers kept as evidence: what says who answered, from which cache, and what to do next. None of them
/// carries credentials; a Location is kept without user, password and query. Sorted.
const KEPT: &[&str] = &[
    "age",
    "akamai-grn",
    "alt-svc",
    "cache-control",
    "cdn-requestid",
    "cf-cache-status",
    "cf-mitigated",
    "cf-ray",
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "etag",
    "fastly-restarts",
    "last-modified",
    "location",
    "retry-after",
    "server",
    "server-timing",
    "strict-transport-security",
    "via",
    "www-authenticate",
    "x-akamai-request-id",
    "x-akamai-transformed",
    "x-amz-cf-id",
    "x-amz-cf-pop",
    "x-azure-externalerror",
    "x-azure-ref",
    "x-cache",
    "x-cdn",
    "x-iinfo",
    "x-nf-request-id",
    "x-request-id",
    "x-served-by",
    "x-sucuri-block",
    "x-sucuri-id",
    "x-vercel-error",
    "x-vercel-id",
    "x-vercel-mitigated",
];

const MOST_BYTES: usize = 256;
/// As much as is kept of a page.
const MOST_OF_BODY: usize = 1024;

pub(super) fn headers(headers: &HeaderMap) -> Box<[(Box<str>, Box<str>)]> {
    let mut kept = Vec::new();
    for (name, value) in headers {
        if KEPT.binary_search(&name.as_str()).is_err() {
            continue;
        }
        let text = match *name == LOCATION {
            true => Cow::Owned(location(value.as_bytes())),
            false => String::from_utf8_lossy(value.as_bytes()),
        };
        kept.push((name.as_str().into(), cut(&text)));
    }
    kept.into()
}

fn location(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value);
    match Url::parse(&text) {
        Ok(url) => public(&url),
        Err(_) => text.split(['?', '#']).next().unwrap_or_default().to_owned(),
    }
}

fn cut(text: &str) -> Box<str> {
    let mut end = text.len().min(MOST_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].into()
}

/// What an answer says of itself, for the end of a sentence: whose it is, and until when it will be so.
pub(super) fn remarks(detail: &HttpDetail) -> String {
    let mut remarks = Edge::of(detail).map_or_else(String::new, |edge| edge.remark(detail));
    if let Some(until) = retry_after(detail, SystemTime::now()) {
        remarks += &format!("; it asks not to be tried before {until}");
    }
    remarks
}

/// The same of an answer that is to be no page but something else: a WebSocket, gRPC, DNS.
pub(in crate::probe) fn remarks_on(status: StatusCode, map: &HeaderMap, body: &[u8]) -> String {
    let body_excerpt = body[..body.len().min(MOST_OF_BODY)].into();
    let detail =
        HttpDetail { status: Some(status.as_u16()), headers: headers(map), body_excerpt, ..HttpDetail::default() };
    remarks(&detail)
}

/// Until when the peer asks not to be tried, of a status with which it may. `now` is when the answer came.
fn retry_after(detail: &HttpDetail, now: SystemTime) -> Option<Timestamp> {
    if !matches!(detail.status, Some(429 | 503)) {
        return None;
    }
    let (_, value) = detail.headers.iter().find(|(name, _)| &**name == "retry-after")?;
    let value = value.trim();
    let until = match value.parse::<u32>() {
        Ok(seconds) => Timestamp::try_from(now.checked_add(Duration::from_secs(seconds.into()))?).ok()?,
        Err(_) => Timestamp::from_second(date::parse(value.as_bytes())?).ok()?,
    };
    // Zero seconds and times that are over say nothing.
    let until = until.round(Unit::Second).ok()?;
    (until > Timestamp::try_from(now).ok()?).then_some(until)
}

/// A URL that may be shown: without user, password, query and fragment.
pub(super) fn public(url: &Url) -> String {
    let mut url = url.clone();
    // These fail only for URLs that have no host, and so no credentials.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    url.into()
}

/// As Go's `Response.ContentLength`: -1 when unknown, 0 where a body is not allowed.
pub(super) fn content_length(method: &Method, status: StatusCode, headers: &HeaderMap) -> i64 {
    let header = || headers.get(CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok();
    if *method != Method::HEAD && (status.is_informational() || matches!(status.as_u16(), 204 | 304)) {
        return 0;
    }
    if headers.contains_key(http::header::TRANSFER_ENCODING) {
        return -1;
    }
    header().filter(|length| *length >= 0).unwrap_or(-1)
}

pub(super) fn version(version: Version) -> Option<f64> {
    match version {
        Version::HTTP_09 => Some(0.9),
        Version::HTTP_10 => Some(1.0),
        Version::HTTP_11 => Some(1.1),
        Version::HTTP_2 => Some(2.0),
        Version::HTTP_3 => Some(3.0),
        _ => None,
    }
}

/// Unix seconds, of the first such header.
pub(super) fn last_modified(headers: &HeaderMap) -> Option<i64> {
    date::parse(headers.get(LAST_MODIFIED)?.as_bytes())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use http::HeaderValue;

    use super::*;

    fn map(entries: &[(&'static str, &[u8])]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in entries {
            headers.append(*name, HeaderValue::from_bytes(value).unwrap());
        }
        headers
    }

    #[test]
    fn evidence_holds_no_cookie_and_no_query() {
        let kept = headers(&map(&[
            ("set-cookie", b"session=1"),
            ("authorization", b"x"),
            ("location", b"https://u:p@a.org/x?token=1#f"),
            ("server", b"ngin\xff"),
            ("via", "\u{e9}".repeat(200).as_bytes()),
        ]));
        assert_eq!(&*kept[0].1, "https://a.org/x");
        assert_eq!(&*kept[1].1, "ngin\u{fffd}");
        assert_eq!(kept[2].1.len(), 256);
        assert_eq!(kept.len(), 3);
        assert!(KEPT.is_sorted());
        assert_eq!(location(b"/relative?token=1"), "/relative");
    }

    #[test]
    fn content_length_is_go_s() {
        let ok = StatusCode::OK;
        assert_eq!(content_length(&Method::GET, ok, &map(&[("content-length", b"12")])), 12);
        assert_eq!(content_length(&Method::HEAD, ok, &map(&[("content-length", b"12")])), 12);
        assert_eq!(content_length(&Method::GET, ok, &map(&[])), -1);
        assert_eq!(content_length(&Method::GET, ok, &map(&[("content-length", b"x")])), -1);
        assert_eq!(content_length(&Method::GET, ok, &map(&[("transfer-encoding", b"chunked")])), -1);
        assert_eq!(content_length(&Method::GET, StatusCode::NO_CONTENT, &map(&[])), 0);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_and_of_the_future() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_903_500);
        let until = |status, value: &str| {
            let headers = Box::new([("retry-after".into(), value.into())]);
            let detail = HttpDetail { status: Some(status), headers, ..HttpDetail::default() };
            retry_after(&detail, now).map(|until| until.to_string())
        };
        let wanted = Some("1994-11-15T12:47:00Z".to_owned());
        assert_eq!(until(503, "120"), wanted);
        assert_eq!(until(429, " 120 "), wanted);
        assert_eq!(until(503, "Tue, 15 Nov 1994 12:47:00 GMT"), wanted);
        assert_eq!(until(503, "Tuesday, 15-Nov-94 12:47:00 GMT"), wanted);
        for nothing in ["0", "-5", "Tue, 15 Nov 1994 12:40:00 GMT", "soon", "", "99999999999"] {
            assert_eq!(until(503, nothing), None, "{nothing}");
        }
        assert_eq!(until(500, "120"), None);
    }

    #[test]
    fn last_modified_is_unix_seconds() {
        let headers = map(&[("last-modified", b"Tue, 15 Nov 1994 12:45:26 GMT")]);
        assert_eq!(last_modified(&headers), Some(784_903_526));
        let several = [("last-modified", &b"Mon, 15 Nov 1954 12:45:26 GMT"[..]), ("last-modified", b"x")];
        assert_eq!(last_modified(&map(&several)), Some(-477_400_474));
        assert_eq!(last_modified(&map(&[("last-modified", b"yesterday")])), None);
    }
}
