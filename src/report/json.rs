//! The report for programs. Seconds and shares as numbers, times as RFC 3339.

use serde_json::{Value, json};

use super::causes::Episode;
use super::incidents::InMaintenance;
use super::markdown::DEFAULT_SLO;
use super::scrapes::{Cause, Counter};
use super::totals::share;
use super::watch::Edge;
use super::{Incident, Moment, Report, TargetReport, Vantage};

pub(super) fn print(report: &Report) -> String {
    let report = json!({
        "from": report.from.to_string(),
        "to": report.to.to_string(),
        "targets": report.targets.iter().map(target).collect::<Vec<_>>(),
        "causes": report.causes.iter().map(episode).collect::<Vec<_>>(),
    });
    format!("{report:#}\n")
}

fn target(target: &TargetReport) -> Value {
    let TargetReport { totals, sums, .. } = target;
    let slo = target.slo.unwrap_or(DEFAULT_SLO);
    let runs = sums[Counter::Succeeded] + sums[Counter::Failed];
    json!({
        "target": target.name,
        "display_name": target.display_name,
        "vantages": target.vantages.iter().map(vantage).collect::<Vec<_>>(),
        "known_since": target.known_since.map(|moment| moment.to_string()),
        "uptime_ratio": totals.uptime(),
        "uptime_anywhere_ratio": totals.uptime_anywhere(),
        "downtime_seconds": rounded(totals.down),
        "downtime_everywhere_seconds": rounded(totals.down_everywhere),
        "known_seconds": rounded(totals.known),
        "in_maintenance_seconds": rounded(totals.maintenance),
        "not_known_seconds": rounded(target.unknown),
        "slo_target_ratio": slo,
        "slo_judged_seconds": rounded(totals.judged),
        "slo_missed_seconds": rounded(totals.missed),
        "error_budget_used_ratio": totals.budget_used(slo),
        "vantage_seconds": {
            "up": rounded(sums[Counter::Up]),
            "down": rounded(sums[Counter::Down]),
            "unknown": rounded(sums[Counter::Unknown]),
            "maintenance": rounded(sums[Counter::Maintenance]),
        },
        "vantage_uptime_ratio": share(sums[Counter::Up], sums[Counter::Up] + sums[Counter::Down]),
        "reachability_ratio": share(sums[Counter::Succeeded], runs),
        "runs_succeeded": sums[Counter::Succeeded].round(),
        "runs_failed": sums[Counter::Failed].round(),
        "mttr_seconds": target.mttr().map(rounded),
        "outages_count": target.outages(),
        "outages": target.incidents.iter().map(incident).collect::<Vec<_>>(),
        "outages_between_scrapes": target.between_scrapes(),
    })
}

fn incident(incident: &Incident) -> Value {
    json!({
        "start": time(incident.start.at),
        "start_between": between(incident.start),
        "end": incident.end.map(|end| time(end.at)),
        "end_between": incident.end.map(between),
        "duration_seconds": incident.duration().map(rounded),
        "duration_between_seconds": incident.duration_bounds().map(|(least, most)| [rounded(least), rounded(most)]),
        "downtime_seconds": rounded(incident.down),
        "time_to_detect_seconds": rounded(incident.time_to_detect),
        "reason": incident.reason,
        "scope": incident.scope.as_str(),
        "places": incident.places,
        "in_maintenance": incident.maintenance == InMaintenance::Whole,
        "began_in_maintenance": matches!(incident.maintenance, InMaintenance::Whole | InMaintenance::Began),
        "between_scrapes": incident.between_scrapes,
        "count": incident.counted,
        "causes": incident.causes.iter().map(|known| cause(known)).collect::<Vec<_>>(),
        "vantages": incident.vantages.iter().map(vantage).collect::<Vec<_>>(),
    })
}

fn episode(episode: &Episode) -> Value {
    let mut value = cause(&episode.cause);
    value["start"] = time(episode.start).into();
    value["end"] = episode.end.map(time).into();
    value["targets"] = json!(episode.targets);
    value["regions"] = json!(episode.places);
    value
}

fn cause(cause: &Cause) -> Value {
    match cause {
        Cause::Parent(name) => json!({"kind": "depends_on", "value": name}),
        Cause::Shared { kind, value } => json!({"kind": kind, "value": value}),
    }
}

fn vantage(vantage: &Vantage) -> Value {
    vantage.labels.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect()
}

fn between(edge: Edge) -> [String; 2] {
    [time(edge.earliest), time(edge.latest)]
}

fn time(seconds: f64) -> String {
    Moment::from_seconds(seconds).to_string()
}

/// To the millisecond: what lies below comes of the arithmetic.
fn rounded(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}
