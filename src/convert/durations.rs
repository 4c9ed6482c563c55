//! Durations as Prometheus writes them into labels.

use std::time::Duration;

/// `1m30s`; weeks and years only where nothing is left over.
pub(super) fn prometheus(duration: Duration) -> String {
    const UNITS: &[(&str, u128, bool)] = &[
        ("y", 365 * 86_400_000, true),
        ("w", 7 * 86_400_000, true),
        ("d", 86_400_000, false),
        ("h", 3_600_000, false),
        ("m", 60_000, false),
        ("s", 1_000, false),
        ("ms", 1, false),
    ];
    let mut left = duration.as_millis();
    if left == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (unit, size, exact) in UNITS {
        if left >= *size && (!exact || left.is_multiple_of(*size)) {
            text.push_str(&format!("{}{unit}", left / size));
            left %= size;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_prometheus_writes_them() {
        for (millis, text) in [
            (0, "0s"),
            (500, "500ms"),
            (15_000, "15s"),
            (90_000, "1m30s"),
            (3_600_000, "1h"),
            (7 * 86_400_000, "1w"),
            (8 * 86_400_000, "8d"),
            (365 * 86_400_000, "1y"),
            (86_400_001, "1d1ms"),
        ] {
            assert_eq!(prometheus(Duration::from_millis(millis)), text);
        }
    }
}
