//! Durations and sizes as text, in the forms that Prometheus and the incumbent read.

use std::time::Duration;

/// Prometheus durations (`1m30s`, `500ms`, `1d`) and Go's (`1.5s`, `100us`, `.5h`), in any mixture.
/// `0` alone needs no unit. A day has 24 hours, a year 365 days.
///
/// # Errors
/// A sentence without the text itself in front.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    const UNITS: &[(&str, u128)] = &[
        ("ns", 1),
        ("us", 1_000),
        ("µs", 1_000),
        ("μs", 1_000),
        ("ms", 1_000_000),
        ("s", 1_000_000_000),
        ("m", 60 * 1_000_000_000),
        ("h", 3_600 * 1_000_000_000),
        ("d", 86_400 * 1_000_000_000),
        ("w", 7 * 86_400 * 1_000_000_000),
        ("y", 365 * 86_400 * 1_000_000_000),
    ];
    const FORM: &str = "write it like 15s, 1m30s or 500ms";
    let shown = super::problem::shorten(text);
    let text = text.trim();
    if text.is_empty() {
        return Err(format!("is empty; {FORM}"));
    }
    if text.starts_with('-') {
        return Err(format!("{shown:?} is negative; {FORM}"));
    }
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    let not_one = || format!("{shown:?} is not a duration; {FORM}");
    let mut total: u128 = 0;
    while !rest.is_empty() {
        let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        let whole = digits(rest);
        let (whole, mut after) = rest.split_at(whole);
        let mut fraction = "";
        if let Some(point) = after.strip_prefix('.') {
            (fraction, after) = point.split_at(digits(point));
        }
        if whole.is_empty() && fraction.is_empty() {
            return Err(not_one());
        }
        let unit_length = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, next) = after.split_at(unit_length);
        if unit.is_empty() {
            return Err(format!("{shown:?} has no unit; {FORM}"));
        }
        let Some((_, nanoseconds)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            return Err(format!("{shown:?} has the unknown unit {unit:?}; units are ms, s, m, h, d, w and y"));
        };
        let too_long = || format!("{shown:?} is too long");
        let number = |digits: &str| {
            if digits.is_empty() { Some(0_u128) } else { digits.parse::<u128>().ok().filter(|n| *n < 1 << 64) }
        };
        total = number(whole)
            .and_then(|whole| whole.checked_mul(*nanoseconds))
            .and_then(|part| total.checked_add(part))
            .ok_or_else(too_long)?;
        // Beyond the 18th digit nothing is left of a year.
        let fraction = &fraction[..fraction.len().min(18)];
        let scale = 10_u128.pow(u32::try_from(fraction.len()).unwrap_or(0));
        total = number(fraction)
            .map(|f| f * nanoseconds / scale)
            .and_then(|f| total.checked_add(f))
            .ok_or_else(too_long)?;
        rest = next;
    }
    u64::try_from(total).map(Duration::from_nanos).map_err(|_| format!("{shown:?} is too long"))
}

/// A whole number as Go and its YAML read it: `30`, `0x1e`, `0b11110`, `036`, `1_000`, `+30`.
pub(crate) fn parse_integer(text: &str) -> Option<i128> {
    let (negative, digits) = match text.as_bytes() {
        [b'-', ..] => (true, &text[1..]),
        [b'+', ..] => (false, &text[1..]),
        _ => (false, text),
    };
    let bare = digits.replace('_', "").to_ascii_lowercase();
    let (digits, radix) = match bare.as_bytes() {
        [b'0', b'x', ..] => (&bare[2..], 16),
        [b'0', b'o', ..] => (&bare[2..], 8),
        [b'0', b'b', ..] => (&bare[2..], 2),
        [b'0', _, ..] => (&bare[1..], 8),
        _ => (&bare[..], 10),
    };
    if !digits.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let number = i128::from_str_radix(digits, radix).ok()?;
    Some(if negative { -number } else { number })
}

/// As one would write it: `1m30s`, `500ms`.
pub(crate) fn show_duration(duration: Duration) -> String {
    let mut left = duration.as_nanos();
    if left == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (unit, size) in [
        ("d", 86_400_000_000_000_u128),
        ("h", 3_600_000_000_000),
        ("m", 60_000_000_000),
        ("s", 1_000_000_000),
        ("ms", 1_000_000),
        ("us", 1_000),
        ("ns", 1),
    ] {
        let count = left / size;
        left %= size;
        if count > 0 {
            text.push_str(&format!("{count}{unit}"));
        }
    }
    text
}

const SIZE_UNITS: &[(&str, u32)] = &[
    ("B", 0),
    ("KB", 10),
    ("KiB", 10),
    ("MB", 20),
    ("MiB", 20),
    ("GB", 30),
    ("GiB", 30),
    ("TB", 40),
    ("TiB", 40),
    ("PB", 50),
    ("PiB", 50),
    ("EB", 60),
    ("EiB", 60),
];
const FORM: &str = "write it like 512KiB or 10MB (1MB is 1MiB, 1048576 bytes)";

/// A size as the incumbent reads it: `10MB`, `512KiB`, `1.5GB`; all units are powers of 1024.
///
/// # Errors
/// A sentence without the text itself in front.
pub(super) fn parse_size(text: &str) -> Result<u64, String> {
    let shown = super::problem::shorten(text);
    let text = text.trim();
    if text == "0" {
        return Ok(0);
    }
    let mut rest = match text.as_bytes() {
        // Less than nothing is no limit to the incumbent, and so is nothing.
        [b'-', rest, ..] if rest.is_ascii_digit() || *rest == b'.' => return parse_size(&text[1..]).map(|_| 0),
        [b'+', ..] => &text[1..],
        _ => text,
    };
    let mut total: u64 = 0;
    loop {
        let unit = rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(rest.len());
        let next = rest[unit..].find(|c: char| c.is_ascii_digit() || c == '.').map_or(rest.len(), |next| unit + next);
        let part = size_part(&rest[..unit], rest[unit..next].trim(), &shown)?;
        total = total.checked_add(part).ok_or_else(|| format!("{shown:?} is too large"))?;
        rest = &rest[next..];
        if rest.is_empty() {
            return Ok(total);
        }
    }
}

fn size_part(number: &str, unit: &str, shown: &str) -> Result<u64, String> {
    let value: f64 = number.parse().map_err(|_| format!("{shown:?} is not a size; {FORM}"))?;
    if unit.is_empty() {
        return Err(format!("{shown:?} has no unit; {FORM}"));
    }
    let Some((_, shift)) = SIZE_UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)) else {
        return Err(format!("{shown:?} has the unknown unit {unit:?}; {FORM}"));
    };
    let bytes = match number.parse::<u64>() {
        Ok(whole) => whole.checked_mul(1 << shift),
        #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        Err(_) => {
            let bytes = value * (1_u64 << shift) as f64;
            (bytes < i64::MAX as f64).then_some(bytes as u64)
        }
    };
    bytes.filter(|bytes| i64::try_from(*bytes).is_ok()).ok_or_else(|| format!("{shown:?} is too large"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_of_prometheus_and_of_go() {
        for (text, millis) in [
            ("0", 0),
            ("0s", 0),
            ("5s", 5_000),
            ("1m30s", 90_000),
            ("500ms", 500),
            ("1d", 86_400_000),
            ("1w", 604_800_000),
            ("1y", 31_536_000_000),
            ("1.5s", 1_500),
            (".5s", 500),
            ("5.s", 5_000),
            ("0.5s", 500),
            ("1h2m3.5s", 3_723_500),
            ("2000us", 2),
            ("+5s", 5_000),
            (" 5s ", 5_000),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for bad in ["", "5", "s", "-5s", "5 s", "1.2.3s", "5x", "s5", ".s", "1m 30s", "999999999999y", "5S", "1e3s"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_are_powers_of_two_whatever_the_unit_says() {
        for (text, bytes) in [
            ("0", 0),
            ("1B", 1),
            ("1KB", 1024),
            ("1KiB", 1024),
            ("10MB", 10 << 20),
            ("1.5GiB", 3 << 29),
            ("2 MB", 2 << 20),
            ("+1MB", 1 << 20),
            ("1MB1KB", (1 << 20) + 1024),
            ("-1MB", 0),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for bad in ["", "10", "MB", "-", "-MB", "--1MB", "1MB1", "1XB", "1..5MB", "99999999EB", "1e3B", "NaNB", "infB"]
        {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn whole_numbers_are_gos() {
        for (text, number) in [
            ("30", 30),
            ("0x1E", 30),
            ("0b11110", 30),
            ("036", 30),
            ("0o36", 30),
            ("3_0", 30),
            ("00", 0),
            ("+5", 5),
            ("-0x5", -5),
        ] {
            assert_eq!(parse_integer(text), Some(number), "{text}");
        }
        for bad in ["", "-", "+-1", "1.5", "30s", "0x", "09", " 1", "é"] {
            assert_eq!(parse_integer(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_duration_shown_reads_back(nanoseconds in 0_u64..) {
            let duration = Duration::from_nanos(nanoseconds);
            prop_assert_eq!(parse_duration(&show_duration(duration)), Ok(duration));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[0-9.smhdwyunµ +-]{0,12}|\\PC{0,20}") {
            let _ = parse_duration(&text);
            let _ = parse_size(&text);
        }

        #[test]
        fn parts_add_up(hours in 0_u64..1000, minutes in 0_u64..1000, millis in 0_u64..100_000) {
            let text = format!("{hours}h{minutes}m{millis}ms");
            let expected = Duration::from_millis(hours * 3_600_000 + minutes * 60_000 + millis);
            prop_assert_eq!(parse_duration(&text), Ok(expected));
        }
    }
}
