//! What the families read off a target's kept state.

use std::time::Duration;

use super::run::unix_seconds;
use super::text::{Lines, Number};
use crate::observation::Path;
use crate::state::{TargetSnapshot, Verdict};

pub(super) fn up(target: &TargetSnapshot) -> Option<f64> {
    match target.verdict {
        Verdict::Unknown => None,
        Verdict::Up => Some(1.0),
        Verdict::Down => Some(0.0),
    }
}

pub(super) fn interval(target: &TargetSnapshot) -> Option<f64> {
    Some(target.target.cadence.interval().as_secs_f64())
}

pub(super) fn outage_start(target: &TargetSnapshot) -> Option<f64> {
    match target.verdict {
        Verdict::Unknown | Verdict::Up => None,
        Verdict::Down => target.since.map(unix_seconds),
    }
}

#[expect(clippy::cast_precision_loss, reason = "a counter of runs stays below 2^53")]
fn count(value: u64) -> f64 {
    value as f64
}

pub(super) fn runs_succeeded(target: &TargetSnapshot) -> Option<f64> {
    Some(count(target.totals.runs_succeeded))
}

pub(super) fn runs_failed(target: &TargetSnapshot) -> Option<f64> {
    Some(count(target.totals.runs_failed))
}

pub(super) fn outages(target: &TargetSnapshot) -> Option<f64> {
    Some(f64::from(target.totals.outages))
}

pub(super) fn blips(target: &TargetSnapshot) -> Option<f64> {
    Some(f64::from(target.totals.blips))
}

pub(super) fn up_seconds(target: &TargetSnapshot) -> Option<f64> {
    Some(clock(target.totals.up))
}

pub(super) fn down_seconds(target: &TargetSnapshot) -> Option<f64> {
    Some(clock(target.totals.down))
}

pub(super) fn unknown_seconds(target: &TargetSnapshot) -> Option<f64> {
    Some(clock(target.totals.unknown))
}

pub(super) fn maintenance_seconds(target: &TargetSnapshot) -> Option<f64> {
    Some(clock(target.totals.maintenance))
}

pub(super) fn maintenance(target: &TargetSnapshot) -> Option<f64> {
    target.maintenance.map(|on| f64::from(u8::from(on)))
}

pub(super) fn maintenance_start(target: &TargetSnapshot) -> Option<f64> {
    target.window.map(|(start, _)| unix_seconds(start))
}

pub(super) fn maintenance_end(target: &TargetSnapshot) -> Option<f64> {
    target.window.map(|(_, end)| unix_seconds(end))
}

pub(super) fn diagnosis_info(target: &TargetSnapshot, lines: &mut Lines<'_>) {
    if let Some(diagnosis) = &target.diagnosis {
        lines.sample(&[("finding", diagnosis.finding.as_label())], 1.0);
    }
}

pub(super) fn shared_cause_info(target: &TargetSnapshot, lines: &mut Lines<'_>) {
    if let Some(cause) = &target.shared_cause {
        lines.sample(&[("kind", cause.kind.as_label()), ("value", &cause.value)], 1.0);
    }
}

/// Of the first failing run: that of the latest would be a new series with each run.
pub(super) fn outage_trace_info(target: &TargetSnapshot, lines: &mut Lines<'_>) {
    let first = target.capsules.first_failure.as_ref().filter(|_| target.verdict == Verdict::Down);
    if let Some(trace) = first.and_then(|run| run.trace_id()) {
        lines.sample(&[("trace_id", &trace.to_string()), ("trace_url", &lines.trace_url(trace))], 1.0);
    }
}

pub(super) fn explained_info(target: &TargetSnapshot, lines: &mut Lines<'_>) {
    if let Some(explained) = &target.explained {
        lines.sample(&[("by", explained.by.name.as_str()), ("parent", explained.parent.as_label())], 1.0);
    }
}

pub(super) fn path_info(target: &TargetSnapshot, lines: &mut Lines<'_>) {
    let Some(Path::Traced(trace)) = target.path.as_deref().filter(|_| target.path_is_current) else { return };
    let (hops, last_hop) = match trace.last_hop() {
        None => (0, String::new()),
        Some((number, address)) => (number, address.to_string()),
    };
    let labels = [("path_end", trace.ending.as_label()), ("last_hop", &last_hop), ("hops", &hops.to_string())];
    lines.sample(&labels, 1.0);
}

pub(super) fn last_changes(target: &TargetSnapshot, lines: &mut Lines<'_>) {
    for change in target.changes.iter() {
        lines.sample(&[("what", change.what.as_label())], unix_seconds(change.time));
    }
}

pub(super) fn notice_info(target: &TargetSnapshot, lines: &mut Lines<'_>) {
    if let Some(notice) = &target.notice {
        let next_update = notice.next_update.map(|time| time.to_string()).unwrap_or_default();
        lines.sample(&[("cause", &notice.cause), ("action", &notice.action), ("next_update", &next_update)], 1.0);
    }
}

pub(super) fn slow_threshold(target: &TargetSnapshot) -> Option<f64> {
    target.target.slow_threshold.map(|threshold| threshold.as_secs_f64())
}

pub(super) fn slo(target: &TargetSnapshot) -> Option<f64> {
    target.target.slo
}

/// Seconds to the millisecond, rounded down so that a clock never seems to run ahead or back.
#[expect(clippy::cast_precision_loss, reason = "milliseconds of uptime stay below 2^53")]
fn clock(total: Duration) -> f64 {
    total.as_millis() as f64 / 1000.0
}

pub(super) fn failures(target: &TargetSnapshot, lines: &mut Lines<'_>) {
    for (reason, seen) in &target.failures {
        let exemplar = target.exemplars.as_ref().and_then(|exemplars| exemplars.failure(*reason));
        lines.exemplified("", &[("reason", reason.as_label())], count(*seen), exemplar);
    }
}

/// Cumulative buckets, then sum and count, as the text format wants them.
pub(super) fn latency(target: &TargetSnapshot, lines: &mut Lines<'_>) {
    let Some(histogram) = &target.latency else { return };
    let (mut cumulative, mut number) = (0, Number::new());
    let exemplar = |bucket| target.exemplars.as_ref().and_then(|exemplars| exemplars.latency(bucket));
    for (bucket, (bound, seen)) in target.target.latency_buckets.iter().zip(&histogram.counts).enumerate() {
        cumulative += seen;
        let le = lines.bound(&mut number, *bound);
        lines.exemplified("_bucket", &[("le", le)], count(cumulative), exemplar(bucket));
    }
    let all = histogram.counts.iter().sum();
    let last = exemplar(target.target.latency_buckets.len());
    lines.exemplified("_bucket", &[("le", "+Inf")], count(all), last);
    lines.suffixed("_sum", &[], histogram.sum);
    lines.suffixed("_count", &[], count(all));
}

pub(super) fn target_info(target: &TargetSnapshot, lines: &mut Lines<'_>) {
    let target = &target.target;
    let evidence_url = lines.evidence_url(target.name.as_str());
    lines.sample(
        &[
            ("url", &target.address),
            ("module", &target.module),
            ("prober", target.probe.prober()),
            ("interval", &prometheus_duration(target.cadence.interval())),
            ("evidence_url", &evidence_url),
            ("display_name", target.display_name.as_deref().unwrap_or(target.name.as_str())),
        ],
        1.0,
    );
}

/// A duration as Prometheus writes it, such as `15s` or `1m30s`. Less than a millisecond is dropped.
pub(crate) fn prometheus_duration(duration: Duration) -> String {
    let mut rest = duration.as_millis();
    if rest == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (unit, milliseconds) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)] {
        let whole = rest / milliseconds;
        if whole > 0 {
            text.push_str(&whole.to_string());
            text.push_str(unit);
            rest -= whole * milliseconds;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_prometheus_writes_them() {
        for (milliseconds, text) in [
            (0, "0s"),
            (500, "500ms"),
            (1500, "1s500ms"),
            (15_000, "15s"),
            (90_000, "1m30s"),
            (86_400_000, "1d"),
            (90_061_001, "1d1h1m1s1ms"),
        ] {
            assert_eq!(prometheus_duration(Duration::from_millis(milliseconds)), text);
        }
    }
}
