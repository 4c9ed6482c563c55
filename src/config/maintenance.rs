//! Maintenance windows: when the time of a target is nobody's fault. Pure calendar; the state does the accounting.
//!
//! A weekly window is local time of a place, so it is as long as the clocks there make it: one that spans the night in
//! which summer time begins is an hour shorter.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

/// One window, once or every week. The start belongs to it, the end does not.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// For people; may be empty.
    pub name: Box<str>,
    pub when: When,
}

#[derive(Clone, Debug, PartialEq)]
pub enum When {
    /// The end is after the start.
    Once {
        start: Timestamp,
        end: Timestamp,
    },
    Weekly(Weekly),
}

/// From `start` to `end` on each of `days`; an end that is not after the start is on the day after.
#[derive(Clone, Debug, PartialEq)]
pub struct Weekly {
    pub zone: TimeZone,
    /// Not empty, none twice.
    pub days: Vec<Weekday>,
    pub start: Time,
    pub end: Time,
}

/// The windows of one target. Cheap to clone; most targets have none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Maintenance(Option<Arc<[Window]>>);

/// A window that is on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Current<'a> {
    pub window: &'a Window,
    pub start: Timestamp,
    pub end: Timestamp,
}

impl Maintenance {
    pub fn new(windows: Vec<Window>) -> Self {
        Self((!windows.is_empty()).then(|| windows.into()))
    }

    pub fn windows(&self) -> &[Window] {
        self.0.as_deref().unwrap_or_default()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The window that is on at `time`; of several, the one that ends last.
    pub fn current(&self, time: SystemTime) -> Option<Current<'_>> {
        let time = Timestamp::try_from(time).ok()?;
        self.windows()
            .iter()
            .filter_map(|window| {
                let (start, end) = window.around(time)?;
                (start <= time).then_some(Current { window, start, end })
            })
            .max_by_key(|current| current.end)
    }

    /// The window that is on at `time`, or else the next one: from when to when.
    pub fn current_or_next(&self, time: SystemTime) -> Option<(Timestamp, Timestamp)> {
        if let Some(Current { start, end, .. }) = self.current(time) {
            return Some((start, end));
        }
        let time = Timestamp::try_from(time).ok()?;
        self.windows().iter().filter_map(|window| window.around(time)).min()
    }

    /// How much of the time from `from` to `to` lies in a window.
    pub fn covered(&self, from: SystemTime, to: SystemTime) -> Duration {
        /// More changes than these between two runs of a target are no maintenance but a mistake; the rest of the time
        /// is taken for none.
        const MOST_CHANGES: usize = 10_000;
        if self.is_empty() {
            return Duration::ZERO;
        }
        let (Ok(mut at), Ok(to)) = (Timestamp::try_from(from), Timestamp::try_from(to)) else {
            return Duration::ZERO;
        };
        let mut covered = Duration::ZERO;
        for _ in 0..MOST_CHANGES {
            if at >= to {
                break;
            }
            let around = self.windows().iter().filter_map(|window| window.around(at));
            // Inside of one: to its end. Outside of all: to the start of the next.
            let (inside, until) =
                around.fold((false, to), |(inside, until), (start, end)| match (inside, start <= at) {
                    (true, true) => (true, until.max(end)),
                    (false, true) => (true, end),
                    (true, false) => (true, until),
                    (false, false) => (false, until.min(start)),
                });
            let until = until.min(to);
            if inside {
                covered += Duration::try_from(until.duration_since(at)).unwrap_or_default();
            }
            at = until;
        }
        covered
    }
}

impl Window {
    /// The occurrence that `time` lies in, or else the next one; `None` when there is no more.
    fn around(&self, time: Timestamp) -> Option<(Timestamp, Timestamp)> {
        match &self.when {
            When::Once { start, end } => (time < *end).then_some((*start, *end)),
            When::Weekly(weekly) => weekly.around(time),
        }
    }
}

impl Weekly {
    fn around(&self, time: Timestamp) -> Option<(Timestamp, Timestamp)> {
        let today = time.to_zoned(self.zone.clone()).date();
        // Yesterday's may still be on. A week on, the same day comes again; one more for a window that the clocks
        // swallowed.
        let first = today.checked_sub(Span::new().days(1)).ok()?;
        (0..=14_i64).find_map(|days| {
            let day = first.checked_add(Span::new().days(days)).ok()?;
            let (start, end) = self.days.contains(&day.weekday()).then(|| self.on(day))??;
            (time < end).then_some((start, end))
        })
    }

    /// The occurrence that begins on `day`. `None` at the end of the calendar, or when the clocks leave nothing of it.
    fn on(&self, day: Date) -> Option<(Timestamp, Timestamp)> {
        let last = if self.end > self.start { day } else { day.checked_add(Span::new().days(1)).ok()? };
        let instant = |date: Date, time: Time| {
            // A time that does not exist (clocks forward) is moved on, one that is there twice is the first of them.
            self.zone.to_ambiguous_timestamp(DateTime::from_parts(date, time)).compatible().ok()
        };
        let (start, end) = (instant(day, self.start)?, instant(last, self.end)?);
        (start < end).then_some((start, end))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> SystemTime {
        text.parse::<Timestamp>().unwrap().into()
    }

    fn once(start: &str, end: &str) -> Window {
        Window { name: "".into(), when: When::Once { start: start.parse().unwrap(), end: end.parse().unwrap() } }
    }

    fn weekly(zone: &str, days: &[Weekday], start: &str, end: &str) -> Window {
        let zone = TimeZone::get(zone).unwrap();
        let weekly = Weekly { zone, days: days.to_vec(), start: start.parse().unwrap(), end: end.parse().unwrap() };
        Window { name: "".into(), when: When::Weekly(weekly) }
    }

    fn minutes(maintenance: &Maintenance, from: &str, to: &str) -> u64 {
        maintenance.covered(at(from), at(to)).as_secs() / 60
    }

    #[test]
    fn a_window_begins_with_its_start_and_is_over_at_its_end() {
        let windows = Maintenance::new(vec![once("2026-12-01T22:00:00Z", "2026-12-01T23:00:00Z")]);
        let on = |time: &str| windows.current(at(time)).is_some();
        assert!(!on("2026-12-01T21:59:59.999Z") && on("2026-12-01T22:00:00Z"));
        assert!(on("2026-12-01T22:59:59.999Z") && !on("2026-12-01T23:00:00Z"));
        assert_eq!(minutes(&windows, "2026-12-01T22:30:00Z", "2026-12-01T23:30:00Z"), 30);
        assert_eq!(minutes(&windows, "2026-12-01T00:00:00Z", "2026-12-02T00:00:00Z"), 60);
        assert_eq!(minutes(&windows, "2026-12-01T23:00:00Z", "2026-12-02T00:00:00Z"), 0);
        assert_eq!(minutes(&Maintenance::default(), "2026-12-01T00:00:00Z", "2026-12-02T00:00:00Z"), 0);
    }

    #[test]
    fn a_weekly_window_may_pass_midnight() {
        let windows = Maintenance::new(vec![weekly("Europe/Berlin", &[Weekday::Sunday], "23:00", "01:00")]);
        // 2026-11-22 was a Sunday; Berlin is an hour ahead in winter.
        let current = windows.current(at("2026-11-22T23:30:00Z")).unwrap();
        assert_eq!(current.start.to_string(), "2026-11-22T22:00:00Z");
        assert_eq!(current.end.to_string(), "2026-11-23T00:00:00Z");
        assert!(windows.current(at("2026-11-23T00:00:00Z")).is_none());
        assert_eq!(minutes(&windows, "2026-11-01T00:00:00Z", "2026-11-29T00:00:00Z"), 4 * 120);
    }

    #[test]
    fn windows_that_overlap_count_once() {
        let windows = Maintenance::new(vec![
            once("2026-12-01T10:00:00Z", "2026-12-01T12:00:00Z"),
            once("2026-12-01T11:00:00Z", "2026-12-01T13:00:00Z"),
            once("2026-12-01T11:30:00Z", "2026-12-01T11:40:00Z"),
            once("2026-12-01T15:00:00Z", "2026-12-01T16:00:00Z"),
        ]);
        assert_eq!(minutes(&windows, "2026-12-01T00:00:00Z", "2026-12-02T00:00:00Z"), 240);
        assert_eq!(windows.current(at("2026-12-01T11:35:00Z")).unwrap().end.to_string(), "2026-12-01T13:00:00Z");
    }

    #[test]
    fn a_day_on_which_the_clocks_change_is_as_long_as_it_is() {
        // In Berlin, 02:00 to 03:00 did not exist on 2026-03-29, and was there twice on 2026-10-25.
        let night = Maintenance::new(vec![weekly("Europe/Berlin", &[Weekday::Sunday], "01:00", "04:00")]);
        assert_eq!(minutes(&night, "2026-03-28T20:00:00Z", "2026-03-29T20:00:00Z"), 120);
        assert_eq!(minutes(&night, "2026-10-24T20:00:00Z", "2026-10-25T20:00:00Z"), 240);
        assert_eq!(minutes(&night, "2026-06-06T20:00:00Z", "2026-06-07T20:00:00Z"), 180);
        let swallowed = Maintenance::new(vec![weekly("Europe/Berlin", &[Weekday::Sunday], "02:00", "03:00")]);
        assert_eq!(minutes(&swallowed, "2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z"), 4 * 60);
    }

    #[test]
    fn a_whole_day_is_from_midnight_to_midnight() {
        let all_week = [
            Weekday::Monday,
            Weekday::Tuesday,
            Weekday::Wednesday,
            Weekday::Thursday,
            Weekday::Friday,
            Weekday::Saturday,
            Weekday::Sunday,
        ];
        let always = Maintenance::new(vec![weekly("UTC", &all_week, "00:00", "00:00")]);
        assert_eq!(minutes(&always, "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"), 30 * 24 * 60);
    }

    proptest! {
        #[test]
        fn parts_add_up_and_agree_with_current(from in 0_i64..40_000_000, a in 0_i64..3_000_000, b in 0_i64..3_000_000) {
            let windows = Maintenance::new(vec![
                weekly("America/New_York", &[Weekday::Monday, Weekday::Saturday], "22:15", "03:45"),
                weekly("Asia/Kathmandu", &[Weekday::Tuesday], "00:00", "12:00"),
                once("2026-02-01T00:00:00Z", "2026-02-11T00:00:00Z"),
            ]);
            let time = |offset: i64| SystemTime::from(Timestamp::from_second(1_767_225_600 + offset).unwrap());
            let (from, middle, to) = (time(from), time(from + a), time(from + a + b));
            let whole = windows.covered(from, to);
            prop_assert_eq!(whole, windows.covered(from, middle) + windows.covered(middle, to));
            let second = Duration::from_secs(1);
            let now = windows.current(from).is_some();
            prop_assert_eq!(windows.covered(from, from + second) == second, now);
        }
    }
}
