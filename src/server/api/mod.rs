//! The JSON of targets: a list, and one target with its evidence (DESIGN 5).
//!
//! Names of keys are an interface: alert annotations and scripts depend on them. A fact that was not reached is
//! absent from a run.

mod evidence;
mod path;

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use serde::{Serialize, Serializer};

use super::text::rfc3339;
use crate::metrics::Page;
use crate::observation::{Detail, Observation};
use crate::state::{Snapshot, TargetSnapshot, Verdict};

pub(super) use evidence::Evidence;
pub(crate) use evidence::run_json;

pub(super) fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Unknown => "unknown",
        Verdict::Up => "up",
        Verdict::Down => "down",
    }
}

/// One target in the list.
#[derive(Serialize)]
struct Summary<'a> {
    name: &'a str,
    address: &'a str,
    module: &'a str,
    prober: &'static str,
    interval_seconds: f64,
    labels: Map<'a>,
    verdict: &'static str,
    /// Since when the verdict is what it is; for down, the first failing run.
    since: Option<String>,
    /// The last run that said otherwise, and `since`: the change lies between them. Absent where there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    since_between: Option<[String; 2]>,
    /// Why the last run failed.
    reason: Option<&'static str>,
    sentence: Option<&'a str>,
    /// When the last run started.
    last_run: Option<String>,
    latency_seconds: Option<f64>,
    status: Option<u16>,
    failures_in_a_row: u32,
    /// What it stands behind, when that is why it fails.
    explained_by: Option<ExplainedBy<'a>>,
    totals: Totals,
}

#[derive(Serialize)]
struct ExplainedBy<'a> {
    target: &'a str,
    /// `down`, `checking` or `recovering`.
    parent: &'static str,
    /// Since when the parent is down, or up again.
    since: Option<String>,
}

#[derive(Serialize)]
struct Totals {
    runs_succeeded: u64,
    runs_failed: u64,
    outages: u32,
    blips: u32,
    up_seconds: f64,
    down_seconds: f64,
    unknown_seconds: f64,
    maintenance_seconds: f64,
}

/// Pairs as one JSON object.
struct Map<'a>(Vec<(&'a str, &'a str)>);

impl Serialize for Map<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}

impl<'a> Summary<'a> {
    fn new(snapshot: &'a TargetSnapshot) -> Self {
        let target = &snapshot.target;
        let last = snapshot.last.as_deref();
        let failure = last.and_then(|run| run.outcome.failure());
        let totals = &snapshot.totals;
        Self {
            name: target.name.as_str(),
            address: &target.address,
            module: &target.module,
            prober: target.probe.prober(),
            interval_seconds: seconds(target.cadence.interval()),
            labels: Map(target.labels.iter().collect()),
            verdict: verdict(snapshot.verdict),
            since: snapshot.since.and_then(rfc3339),
            since_between: between(snapshot.since_after(), snapshot.since),
            reason: failure.map(|failure| failure.reason.as_label()),
            sentence: failure.map(|failure| &*failure.sentence),
            last_run: last.and_then(|run| rfc3339(run.started)),
            latency_seconds: last.map(|run| seconds(run.elapsed)),
            status: last.and_then(status),
            failures_in_a_row: snapshot.failures_in_a_row,
            explained_by: snapshot.explained.as_ref().map(|explained| ExplainedBy {
                target: explained.by.name.as_str(),
                parent: explained.parent.as_label(),
                since: explained.since.and_then(rfc3339),
            }),
            totals: Totals {
                runs_succeeded: totals.runs_succeeded,
                runs_failed: totals.runs_failed,
                outages: totals.outages,
                blips: totals.blips,
                up_seconds: seconds(totals.up),
                down_seconds: seconds(totals.down),
                unknown_seconds: seconds(totals.unknown),
                maintenance_seconds: seconds(totals.maintenance),
            },
        }
    }
}

pub(super) fn status(run: &Observation) -> Option<u16> {
    match &run.detail {
        Detail::Http(detail) => detail.status,
        Detail::Tcp(_)
        | Detail::Dns(_)
        | Detail::Icmp(_)
        | Detail::Grpc(_)
        | Detail::Unix(_)
        | Detail::Websocket(_)
        | Detail::None => None,
    }
}

fn between(after: Option<SystemTime>, until: Option<SystemTime>) -> Option<[String; 2]> {
    Some([rfc3339(after?)?, rfc3339(until?)?])
}

fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

/// The list, in pieces: `{"taken": ..., "targets": [...]}`, a target a line.
pub(super) fn list(snapshot: Snapshot) -> impl Iterator<Item = Bytes> + Send {
    let mut head = Some(format!("{{\"taken\":{},\"targets\":[", quoted(rfc3339(snapshot.taken))));
    let mut targets = snapshot.targets.into_iter();
    let mut separator = "\n";
    let mut ended = false;
    std::iter::from_fn(move || {
        if ended {
            return None;
        }
        let mut out = head.take().unwrap_or_default().into_bytes();
        while out.len() < Page::PIECE {
            let Some(target) = targets.next() else {
                ended = true;
                out.extend_from_slice(b"\n]}\n");
                break;
            };
            let Ok(text) = serde_json::to_vec(&Summary::new(&target)) else { continue };
            out.extend_from_slice(separator.as_bytes());
            out.extend_from_slice(&text);
            separator = ",\n";
        }
        Some(out.into())
    })
}

fn quoted(time: Option<String>) -> String {
    time.map_or_else(|| "null".to_owned(), |time| format!("\"{time}\""))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::{Value, json};

    use super::*;
    use crate::metrics::fixture::{many, varied};

    fn read(snapshot: Snapshot) -> Value {
        let text: Vec<u8> = list(snapshot).flat_map(|piece| piece.to_vec()).collect();
        serde_json::from_slice(&text).unwrap()
    }

    #[test]
    fn the_list_has_a_target_an_object() {
        let list = read(varied());
        assert_eq!(list["taken"], "2026-01-02T03:04:05.000Z");
        let targets = list["targets"].as_array().unwrap();
        assert_eq!(targets.len(), varied().targets.len());
        let expired = targets.iter().find(|target| target["name"] == "expired").unwrap();
        assert_eq!(
            *expired,
            json!({
                "name": "expired",
                "address": "https://shop.example.com/health",
                "module": "http_2xx",
                "prober": "http",
                "interval_seconds": 15.0,
                "labels": {"region": "eu-west"},
                "verdict": "down",
                "since": "2026-01-02T03:03:04.000Z",
                "reason": "tls_expired",
                "sentence": "the certificate CN=shop.example.com expired on 2026-01-01",
                "last_run": "2026-01-02T03:04:01.750Z",
                "latency_seconds": 0.04,
                "status": null,
                "failures_in_a_row": 4,
                "explained_by": null,
                "totals": {
                    "runs_succeeded": 1000, "runs_failed": 14, "outages": 2, "blips": 1,
                    "up_seconds": 15000.0, "down_seconds": 210.0, "unknown_seconds": 0.25, "maintenance_seconds": 0.0,
                },
            })
        );
        let gone = targets.iter().find(|target| target["name"] == "gone").unwrap();
        let by = json!({"target": "expired", "parent": "down", "since": "2026-01-02T03:03:04.000Z"});
        assert_eq!(gone["explained_by"], by);
    }

    #[test]
    fn a_list_of_none_and_of_many_is_json_too() {
        let none = Snapshot { targets: Vec::new(), ..varied() };
        assert_eq!(read(none)["targets"], json!([]));
        assert_eq!(read(many(1000))["targets"].as_array().unwrap().len(), 1000);
        assert!(list(many(1000)).count() > 2);
    }
}
