//! Small answers, and times for people.

use std::time::{Duration, SystemTime};

use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};
use serde::Serialize;

use super::body::Content;

/// What a route gives back; the method, compression and common headers are seen to afterwards.
pub(super) type Answer = Response<Content>;

pub(super) const TEXT: &str = "text/plain; charset=utf-8";
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
    match serde_json::to_vec_pretty(value) {
        Ok(text) => answer(status, JSON, Content::Whole(text.into())),
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

/// A span for people: its two largest units.
pub(super) fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// How long something took, for people: two digits that matter, in the unit that suits.
pub(crate) fn took(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    let milliseconds = seconds * 1000.0;
    if duration.is_zero() {
        "0 ms".to_owned()
    } else if milliseconds < 0.05 {
        "< 0.1 ms".to_owned()
    } else if milliseconds < 9.95 {
        format!("{milliseconds:.1} ms")
    } else if milliseconds < 999.5 {
        format!("{milliseconds:.0} ms")
    } else if seconds < 9.95 {
        format!("{seconds:.1} s")
    } else if seconds < 59.5 {
        format!("{seconds:.0} s")
    } else {
        span(duration.saturating_add(Duration::from_millis(500)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rfc_3339() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_767_323_045_250);
        assert_eq!(rfc3339(time).as_deref(), Some("2026-01-02T03:04:05.250Z"));
        assert_eq!(rfc3339_seconds(1_767_323_045).as_deref(), Some("2026-01-02T03:04:05Z"));
        assert_eq!(rfc3339_seconds(i64::MAX), None);
    }

    #[test]
    fn what_something_took_has_the_digits_that_matter() {
        for (microseconds, text) in [
            (0, "0 ms"),
            (49, "< 0.1 ms"),
            (50, "0.1 ms"),
            (1234, "1.2 ms"),
            (9949, "9.9 ms"),
            (9950, "10 ms"),
            (123_000, "123 ms"),
            (999_499, "999 ms"),
            (999_500, "1.0 s"),
            (2_001_800, "2.0 s"),
            (9_950_000, "10 s"),
            (59_499_000, "59 s"),
            (59_500_000, "1 min 0 s"),
            (3_600_000_000, "1 h 0 min"),
        ] {
            assert_eq!(took(Duration::from_micros(microseconds)), text);
        }
    }

    #[test]
    fn spans_are_short() {
        for (seconds, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (61, "1 min 1 s"),
            (3661, "1 h 1 min"),
            (90_000, "1 d 1 h"),
            (864_000, "10 d 0 h"),
        ] {
            assert_eq!(span(Duration::from_secs(seconds)), text);
        }
    }
}
