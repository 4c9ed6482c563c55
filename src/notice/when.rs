//! `--next-update`: when there will be news.

use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::config::parse_duration;

/// When customers are to hear more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextUpdate {
    In(Duration),
    At(Timestamp),
    /// Nothing is promised.
    None,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NextUpdateError {
    #[error("{0:?} is no time; write so long from now, like 30m or 1h30m, or a time, like 2026-11-29T17:00Z, or none")]
    Form(String),
    #[error("{0} has passed; it is {1} now")]
    Past(Timestamp, Timestamp),
    #[error("is farther away than any calendar goes")]
    Far,
}

impl FromStr for NextUpdate {
    type Err = NextUpdateError;

    fn from_str(text: &str) -> Result<Self, NextUpdateError> {
        let text = text.trim();
        if text == "none" {
            return Ok(Self::None);
        }
        if let Ok(span) = parse_duration(text) {
            return Ok(Self::In(span));
        }
        // As in the file: without an offset it is UTC.
        let utc = |local: DateTime| local.to_zoned(TimeZone::UTC).map(|zoned| zoned.timestamp()).ok();
        let at = text.parse::<Timestamp>().ok().or_else(|| text.parse::<DateTime>().ok().and_then(utc));
        at.map(Self::At).ok_or_else(|| NextUpdateError::Form(text.to_owned()))
    }
}

impl NextUpdate {
    /// To the minute, as people promise it; not before it was meant.
    ///
    /// # Errors
    /// It has passed, or is no moment.
    pub(super) fn resolve(self, now: Timestamp) -> Result<Option<Timestamp>, NextUpdateError> {
        let at = match self {
            Self::None => return Ok(None),
            Self::At(at) => at,
            Self::In(span) => now.checked_add(span).map_err(|_| NextUpdateError::Far)?,
        };
        if at <= now {
            return Err(NextUpdateError::Past(whole(at), whole(now)));
        }
        let seconds = at.as_second() + i64::from(at.subsec_nanosecond() > 0);
        let minute = seconds.div_euclid(60) * 60 + if seconds.rem_euclid(60) > 0 { 60 } else { 0 };
        Timestamp::from_second(minute).map(Some).map_err(|_| NextUpdateError::Far)
    }
}

fn whole(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_time_from_now_and_a_time_come_to_a_full_minute() {
        let now: Timestamp = "2026-11-29T16:30:12.5Z".parse().unwrap();
        let at = |text: &str| {
            text.parse::<NextUpdate>()
                .map_err(|error| error.to_string())
                .and_then(|next| next.resolve(now).map_err(|error| error.to_string()))
                .map(|at| at.map(|at| at.to_string()).unwrap_or_default())
        };
        for (text, expected) in [
            ("30m", "2026-11-29T17:01:00Z"),
            ("1h30m", "2026-11-29T18:01:00Z"),
            ("1s", "2026-11-29T16:31:00Z"),
            ("2026-11-29T17:00Z", "2026-11-29T17:00:00Z"),
            ("2026-11-29T18:00:00+01:00", "2026-11-29T17:00:00Z"),
            ("2026-11-29 17:00", "2026-11-29T17:00:00Z"),
            ("none", ""),
        ] {
            assert_eq!(at(text).as_deref(), Ok(expected), "{text}");
        }
        for (text, part) in [
            ("soon", "write so long from now, like 30m"),
            ("30", "30m"),
            ("-5m", "30m"),
            ("17:00", "2026-11-29T17:00Z"),
            ("0s", "has passed"),
            ("2026-11-29T16:30:12Z", "2026-11-29T16:30:12Z has passed; it is 2026-11-29T16:30:12Z now"),
            ("500000w", "30m"),
        ] {
            let error = at(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
