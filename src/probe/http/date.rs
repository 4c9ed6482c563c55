//! Dates in headers, as Go's `http.ParseTime` reads them, so that a `Last-Modified` which the incumbent shows is shown.
//!
//! Three layouts: RFC 1123 with GMT, RFC 850, and that of C's asctime. The day of the week is a name and nothing more,
//! names are read in any case, further spaces are skipped, an hour may have one digit, and seconds may have a fraction.

const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Unix seconds, rounded down.
pub(super) fn parse(text: &[u8]) -> Option<i64> {
    rfc_1123(text).or_else(|| rfc_850(text)).or_else(|| asctime(text))
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`
fn rfc_1123(text: &[u8]) -> Option<i64> {
    let mut rest = Rest(text);
    rest.short_day()?;
    rest.literal(b",")?;
    rest.spaces()?;
    let day = rest.two_digits()?;
    rest.spaces()?;
    let month = rest.month()?;
    rest.spaces()?;
    let year = rest.four_digits()?;
    rest.spaces()?;
    let second = rest.clock()?;
    rest.spaces()?;
    rest.literal(b"GMT")?;
    rest.end()?;
    unix(year, month, day, second)
}

/// `Sunday, 06-Nov-94 08:49:37 GMT`. Other zones are let pass, and taken for GMT, `GMT+1` too.
fn rfc_850(text: &[u8]) -> Option<i64> {
    let mut rest = Rest(text);
    rest.long_day()?;
    rest.literal(b",")?;
    rest.spaces()?;
    let day = rest.two_digits()?;
    rest.literal(b"-")?;
    let month = rest.month()?;
    rest.literal(b"-")?;
    let year = rest.short_year()?;
    rest.spaces()?;
    let second = rest.clock()?;
    rest.spaces()?;
    rest.zone()?;
    rest.end()?;
    unix(year, month, day, second)
}

/// `Sun Nov  6 08:49:37 1994`
fn asctime(text: &[u8]) -> Option<i64> {
    let mut rest = Rest(text);
    rest.short_day()?;
    rest.spaces()?;
    let month = rest.month()?;
    rest.spaces()?;
    let day = rest.one_or_two_digits()?;
    rest.spaces()?;
    let second = rest.clock()?;
    rest.spaces()?;
    let year = rest.four_digits()?;
    rest.end()?;
    unix(year, month, day, second)
}

fn unix(year: i64, month: i64, day: i64, second: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let longest = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    (1..=longest).contains(&day).then(|| days_since_1970(year, month, day) * 86_400 + second)
}

/// Of the Gregorian calendar, which holds for years before it too. Years are counted from March, so that the leap day
/// is the last one.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let days_before_month = (153 * month + 2) / 5;
    365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + days_before_month + day - 719_469
}

/// What is not read yet.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn literal(&mut self, text: &[u8]) -> Option<()> {
        self.0 = self.0.strip_prefix(text)?;
        Some(())
    }

    /// One space or more.
    fn spaces(&mut self) -> Option<()> {
        self.literal(b" ")?;
        while self.literal(b" ").is_some() {}
        Some(())
    }

    fn end(&self) -> Option<()> {
        self.0.is_empty().then_some(())
    }

    /// In any case.
    fn name(&mut self, name: &str) -> Option<()> {
        let (head, rest) = self.0.split_at_checked(name.len())?;
        head.eq_ignore_ascii_case(name.as_bytes()).then(|| self.0 = rest)
    }

    fn short_day(&mut self) -> Option<()> {
        DAYS.iter().find_map(|day| self.name(&day[..3]))
    }

    fn long_day(&mut self) -> Option<()> {
        DAYS.iter().find_map(|day| self.name(day))
    }

    /// From 1.
    fn month(&mut self) -> Option<i64> {
        (1..).zip(MONTHS).find_map(|(number, month)| self.name(month).map(|()| number))
    }

    fn digit(&mut self) -> Option<i64> {
        let (first, rest) = self.0.split_first()?;
        let digit = first.is_ascii_digit().then(|| i64::from(first - b'0'))?;
        self.0 = rest;
        Some(digit)
    }

    fn two_digits(&mut self) -> Option<i64> {
        Some(self.digit()? * 10 + self.digit()?)
    }

    fn one_or_two_digits(&mut self) -> Option<i64> {
        let first = self.digit()?;
        Some(self.digit().map_or(first, |second| first * 10 + second))
    }

    fn four_digits(&mut self) -> Option<i64> {
        Some(self.two_digits()? * 100 + self.two_digits()?)
    }

    /// Two digits, or a sign and one, which is as Go has it.
    fn short_year(&mut self) -> Option<i64> {
        let year = match self.0.first()? {
            b'-' => self.literal(b"-").and_then(|()| self.digit()).map(|digit| -digit)?,
            b'+' => self.literal(b"+").and_then(|()| self.digit())?,
            _ => self.two_digits()?,
        };
        Some(if year >= 69 { 1900 + year } else { 2000 + year })
    }

    /// Seconds of the day.
    fn clock(&mut self) -> Option<i64> {
        let hour = self.one_or_two_digits()?;
        self.literal(b":")?;
        let minute = self.two_digits()?;
        self.literal(b":")?;
        let second = self.two_digits()?;
        if let [b'.' | b',', digit, ..] = self.0
            && digit.is_ascii_digit()
        {
            self.0 = &self.0[1..];
            while self.digit().is_some() {}
        }
        (hour < 24 && minute < 60 && second < 60).then_some((hour * 60 + minute) * 60 + second)
    }

    /// `UTC`, `GMT`, `GMT+1`, `+03`, and what else looks like the name of a zone.
    fn zone(&mut self) -> Option<()> {
        for name in ["UTC", "ChST", "MeST"] {
            if self.literal(name.as_bytes()).is_some() {
                return Some(());
            }
        }
        if self.literal(b"GMT").is_some() {
            self.offset();
            return Some(());
        }
        if self.offset().is_some() {
            return Some(());
        }
        let length = self.0.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
        let (name, rest) = self.0.split_at(length);
        let known = match length {
            3 => true,
            4 => name[3] == b'T' || name == b"WITA",
            5 => name[4] == b'T',
            _ => false,
        };
        known.then(|| self.0 = rest)
    }

    /// `+1`, `-04`: hours from 0 to 23. Nothing is read otherwise.
    fn offset(&mut self) -> Option<()> {
        let digits = self.0.strip_prefix(b"+").or_else(|| self.0.strip_prefix(b"-"))?;
        let length = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let hours: u64 = std::str::from_utf8(&digits[..length]).ok()?.parse().ok()?;
        (hours <= 23).then(|| self.0 = &digits[length..])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn dates_are_read_as_go_reads_them() {
        for (text, unix) in [
            // The three layouts.
            ("Tue, 15 Nov 1994 12:45:26 GMT", 784_903_526),
            ("Tuesday, 15-Nov-94 12:45:26 GMT", 784_903_526),
            ("Tue Nov 15 12:45:26 1994", 784_903_526),
            ("Sun Nov  6 08:49:37 1994", 784_111_777),
            ("Sun Nov 6 08:49:37 1994", 784_111_777),
            ("Sun Nov 06 08:49:37 1994", 784_111_777),
            // Another day of the week.
            ("Mon, 15 Nov 1994 12:45:26 GMT", 784_903_526),
            ("Monday, 15-Nov-94 12:45:26 GMT", 784_903_526),
            ("Mon Nov 15 12:45:26 1994", 784_903_526),
            // Names in any case.
            ("tue, 15 nov 1994 12:45:26 GMT", 784_903_526),
            ("TUESDAY, 15-NOV-94 12:45:26 GMT", 784_903_526),
            ("tUE nOV 15 12:45:26 1994", 784_903_526),
            // Spaces.
            ("Tue,   15  Nov 1994   12:45:26  GMT", 784_903_526),
            ("Tue   Nov   15   12:45:26   1994", 784_903_526),
            // One digit of an hour, a fraction of a second.
            ("Tue, 15 Nov 1994 2:45:26 GMT", 784_867_526),
            ("Tue, 15 Nov 1994 12:45:26.999999999999 GMT", 784_903_526),
            ("Tue, 15 Nov 1994 12:45:26,5 GMT", 784_903_526),
            // Zones.
            ("Tuesday, 15-Nov-94 12:45:26 UTC", 784_903_526),
            ("Tuesday, 15-Nov-94 12:45:26 GMT+1", 784_903_526),
            ("Tuesday, 15-Nov-94 12:45:26 GMT-04", 784_903_526),
            ("Tuesday, 15-Nov-94 12:45:26 PST", 784_903_526),
            ("Tuesday, 15-Nov-94 12:45:26 CEST", 784_903_526),
            ("Tuesday, 15-Nov-94 12:45:26 +03", 784_903_526),
            ("Tuesday, 15-Nov-94 12:45:26 WITA", 784_903_526),
            ("Tuesday, 15-Nov-94 12:45:26 ChST", 784_903_526),
            // Before 1970, leap years, the ends of what four digits hold.
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("Wed, 31 Dec 1969 23:59:59 GMT", -1),
            ("Wednesday, 31-Dec-69 23:59:59 GMT", -1),
            ("Tuesday, 31-Dec-68 23:59:59 GMT", 3_124_223_999),
            ("Tue, 29 Feb 2000 00:00:00 GMT", 951_782_400),
            ("Mon, 01 Jan 0001 00:00:00 GMT", -62_135_596_800),
            ("Sat, 01 Jan 0000 00:00:00 GMT", -62_167_219_200),
            ("Sat, 29 Feb 0000 00:00:00 GMT", -62_162_121_600),
            ("Fri, 31 Dec 9999 23:59:59 GMT", 253_402_300_799),
            ("Monday, 15-Nov--6 12:45:26 GMT", 784_903_526),
        ] {
            assert_eq!(parse(text.as_bytes()), Some(unix), "{text}");
        }
    }

    #[test]
    fn what_go_does_not_read_is_no_date() {
        for text in [
            "",
            "0",
            "-1",
            "yesterday",
            "784903526",
            "1994-11-15T12:45:26Z",
            "Tue, 15 Nov 1994",
            "Tue, 15 Nov 1994 12:45:26",
            "Tue, 15 Nov 1994 12:45:26 UTC",
            "Tue, 15 Nov 1994 12:45:26 gmt",
            "Tue, 15 Nov 1994 12:45:26 GMT+1",
            "Tue, 15 Nov 1994 12:45:26 +0000",
            "Tue, 15 Nov 1994 12:45:26 GMT ",
            "Tue, 15 Nov 1994 12:45 GMT",
            "Tue, 5 Nov 1994 12:45:26 GMT",
            "Tue,15 Nov 1994 12:45:26 GMT",
            "Tue, 15 November 1994 12:45:26 GMT",
            "Tue, 15 Nov 94 12:45:26 GMT",
            "Tue, 15 Nov 1994 24:00:00 GMT",
            "Tue, 15 Nov 1994 12:60:00 GMT",
            "Tue, 15 Nov 1994 12:45:60 GMT",
            "Tue, 15 Nov 1994 12:5:26 GMT",
            "Tue, 15 Nov 1994 12:45:6 GMT",
            "Tue, 15 Nov 1994 12:45:26. GMT",
            "Tue, 00 Nov 1994 12:45:26 GMT",
            "Tue, 31 Nov 1994 12:45:26 GMT",
            "Tue, 29 Feb 1900 12:45:26 GMT",
            "Xyz, 15 Nov 1994 12:45:26 GMT",
            "Tuesday, 15 Nov 1994 12:45:26 GMT",
            "Tue, 15-Nov-94 12:45:26 GMT",
            "Tuesday, 15-Nov-1994 12:45:26 GMT",
            "Tuesday, 15-Nov-94 12:45:26 pst",
            "Tuesday, 15-Nov-94 12:45:26 GMT+24",
            "Tuesday, 15-Nov-94 12:45:26 +24",
            "Tuesday, 15-Nov-94 12:45:26 CESX",
            "Tuesday, 15-Nov-94 12:45:26 ABCDEF",
            "Tue Nov 15 12:45:26 94",
            "Tue Nov 15 12:45:26 1994 GMT",
            "Tue, 15 Nov 1994 12:45:26 GMT, Wed, 16 Nov 1994 12:45:26 GMT",
            "D\u{e9}c, 15 Nov 1994 12:45:26 GMT",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60), text in "[A-Za-z0-9 :,+.-]{0,40}") {
            let _ = (parse(&bytes), parse(text.as_bytes()));
        }

        /// Against another hand's calendar, where that reads the date.
        #[test]
        fn every_date_since_1970_is_the_same_by_httpdate(second in 0_i64..253_402_300_800) {
            let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(second.unsigned_abs());
            prop_assert_eq!(parse(httpdate::fmt_http_date(time).as_bytes()), Some(second));
        }
    }
}
