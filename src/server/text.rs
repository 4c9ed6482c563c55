//! Small answers, and moments as text.

use std::time::SystemTime;

use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};
use serde::Serialize;

use super::body::Content;
use crate::figures::json_for_terminals;
pub(super) use crate::figures::{span, took};

/// What a route gives back; the method, compression and common headers are seen to afterwards.
pub(super) type Answer = Response<Content>;

pub(super) const TEXT: &str = "text/plain; charset=utf-8";
pub(super) const HTML: &str = "text/html; charset=utf-8";
pub(super) const MARKDOWN: &str = "text/markdown; charset=utf-8";
pub(super) const JSON: &str = "application/json";

pub(super) fn answer(status: StatusCode, content_type: &'static str, content: Content) -> Answer {
    let mut answer = Response::new(content);
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    // Everything here is the state of a moment.
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// A sentence for people and logs.
pub(super) fn plain(status: StatusCode, text: impl Into<String>) -> Answer {
    let mut text = text.into();
    text.push('\n');
    answer(status, TEXT, Content::Whole(text.into()))
}

pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Answer {
    match serde_json::to_string_pretty(value) {
        Ok(text) => answer(status, JSON, Content::Whole(json_for_terminals(text).into())),
        Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, format!("cannot write the answer as JSON: {error}")),
    }
}

/// The sentence, in the form that the path's callers read.
pub(super) fn refusal(path: &str, status: StatusCode, sentence: &str) -> Answer {
    if path.starts_with("/api/") {
        json(status, &serde_json::json!({ "error": sentence }))
    } else {
        plain(status, sentence)
    }
}

/// RFC 3339 in UTC with milliseconds; `None` beyond the year 9999.
pub(super) fn rfc3339(time: SystemTime) -> Option<String> {
    jiff::Timestamp::try_from(time).ok().map(|time| format!("{time:.3}"))
}

/// RFC 3339 of Unix seconds.
pub(super) fn rfc3339_seconds(time: i64) -> Option<String> {
    jiff::Timestamp::from_second(time).ok().map(|time| time.to_string())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times_are_rfc_3339() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_767_323_045_250);
        assert_eq!(rfc3339(time).as_deref(), Some("2026-01-02T03:04:05.250Z"));
        assert_eq!(rfc3339_seconds(1_767_323_045).as_deref(), Some("2026-01-02T03:04:05Z"));
        assert_eq!(rfc3339_seconds(i64::MAX), None);
    }
}
