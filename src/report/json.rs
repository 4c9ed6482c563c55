//! The report for programs. Seconds and shares as numbers, times as RFC 3339.

use serde_json::{Value, json};

use super::markdown::DEFAULT_SLO;
use super::{Incident, Report, TargetReport, Vantage};

pub(super) fn print(report: &Report) -> String {
    let targets: Vec<Value> = report.targets.iter().map(target).collect();
    let report = json!({"from": report.from.to_string(), "to": report.to.to_string(), "targets": targets});
    format!("{report:#}\n")
}

fn target(target: &TargetReport) -> Value {
    let totals = &target.totals;
    let slo = target.slo.unwrap_or(DEFAULT_SLO);
    json!({
        "target": target.name,
        "display_name": target.display_name,
        "vantages": target.vantages.iter().map(vantage).collect::<Vec<_>>(),
        "uptime_ratio": totals.uptime(),
        "uptime_anywhere_ratio": totals.uptime_anywhere(),
        "reachability_ratio": totals.reachability(),
        "up_seconds": totals.up,
        "down_seconds": totals.down,
        "unknown_seconds": totals.unknown,
        "maintenance_seconds": totals.maintenance,
        "runs_succeeded": totals.runs_succeeded,
        "runs_failed": totals.runs_failed,
        "slo_target_ratio": slo,
        "error_budget_used_ratio": totals.budget_used(slo),
        "mttr_seconds": target.mttr(),
        "outages_count": target.outages(),
        "outages": target.incidents.iter().map(incident).collect::<Vec<_>>(),
        "outages_between_scrapes": target.between_scrapes,
    })
}

fn incident(incident: &Incident) -> Value {
    let duration = incident.end.map(|end| end.seconds() - incident.start.seconds());
    json!({
        "start": incident.start.to_string(),
        "end": incident.end.map(|end| end.to_string()),
        "duration_seconds": duration,
        "time_to_detect_seconds": incident.time_to_detect,
        "reason": incident.reason,
        "scope": incident.scope.as_str(),
        "in_maintenance": incident.in_maintenance,
        "vantages": incident.vantages.iter().map(vantage).collect::<Vec<_>>(),
    })
}

fn vantage(vantage: &Vantage) -> Value {
    vantage.labels.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect()
}
