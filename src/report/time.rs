//! Moments as people write them: RFC 3339, a date, Unix seconds, or so long ago.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::config::parse_duration;
use crate::figures;

/// A point in time, to the millisecond, as Prometheus has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(Timestamp);

/// A moment, or how long before now it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    At(Moment),
    Ago(Duration),
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no moment; write it like 2026-11-24, 2026-11-24T10:00:00Z, 1795478096, now or -7d")]
pub struct MomentError(String);

impl Moment {
    pub fn now() -> Self {
        Self(Timestamp::now())
    }

    /// # Panics
    /// Never; seconds that no calendar has become the nearest that one has.
    pub fn from_seconds(seconds: f64) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "saturates, and is clamped")]
        let milliseconds = (seconds * 1000.0).round() as i64;
        let (least, most) = (Timestamp::MIN.as_millisecond(), Timestamp::MAX.as_millisecond());
        Self(Timestamp::from_millisecond(milliseconds.clamp(least, most)).unwrap_or(Timestamp::UNIX_EPOCH))
    }

    /// Unix seconds.
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of any real date are below 2^53")]
    pub fn seconds(self) -> f64 {
        self.0.as_millisecond() as f64 / 1000.0
    }

    /// Whole seconds until `later`, rounded up.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not below zero")]
    pub fn seconds_to(self, later: Self) -> u64 {
        (later.seconds() - self.seconds()).max(0.0).ceil() as u64
    }

    pub fn plus(self, seconds: f64) -> Self {
        Self::from_seconds(self.seconds() + seconds)
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0}", self.0)
    }
}

impl When {
    pub fn resolve(self, now: Moment) -> Moment {
        match self {
            Self::At(moment) => moment,
            Self::Ago(ago) => now.plus(-ago.as_secs_f64()),
        }
    }
}

impl FromStr for When {
    type Err = MomentError;

    fn from_str(text: &str) -> Result<Self, MomentError> {
        let bad = || MomentError(text.to_owned());
        let utc = |local: DateTime| local.to_zoned(TimeZone::UTC).map(|zoned| zoned.timestamp()).ok();
        if text == "now" {
            return Ok(Self::Ago(Duration::ZERO));
        }
        if let Some(ago) = text.strip_prefix('-') {
            return parse_duration(ago).map(Self::Ago).map_err(|_| bad());
        }
        if let Ok(seconds) = text.parse::<f64>()
            && seconds.is_finite()
        {
            return Ok(Self::At(Moment::from_seconds(seconds)));
        }
        let moment = text
            .parse::<Timestamp>()
            .ok()
            // A date alone is its midnight.
            .or_else(|| text.parse::<DateTime>().ok().and_then(utc));
        moment.map(|moment| Self::At(Moment(moment))).ok_or_else(bad)
    }
}

/// A length of time for people; below zero there is none.
pub(crate) fn span(seconds: f64) -> String {
    figures::span(Duration::try_from_secs_f64(seconds.max(0.0).round()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn moments_are_read_in_every_usual_form() {
        let at = |text: &str| match text.parse::<When>().unwrap() {
            When::At(moment) => moment.to_string(),
            When::Ago(ago) => format!("-{ago:?}"),
        };
        assert_eq!(at("2026-11-24"), "2026-11-24T00:00:00Z");
        assert_eq!(at("2026-11-24T10:00"), "2026-11-24T10:00:00Z");
        assert_eq!(at("2026-11-24T10:00:00+02:00"), "2026-11-24T08:00:00Z");
        assert_eq!(at("1795478096"), "2026-11-23T23:54:56Z");
        assert_eq!(at("-7d"), "-604800s");
        assert_eq!(at("now"), "-0ns");
        for bad in ["", "yesterday", "-", "-7", "2026-13-01", "NaN", "inf"] {
            assert!(bad.parse::<When>().is_err(), "{bad}");
        }
        assert_eq!(Moment::from_seconds(f64::MAX).seconds_to(Moment::from_seconds(0.0)), 0);
    }

    #[test]
    fn spans_are_short() {
        for (seconds, text) in
            [(0.4, "0 s"), (59.0, "59 s"), (185.0, "3 min 5 s"), (7_200.0, "2 h 0 min"), (97_200.0, "1 d 3 h")]
        {
            assert_eq!(span(seconds), text);
        }
    }
}
