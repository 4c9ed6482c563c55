//! The JSON of targets: a list, and one target with its evidence (DESIGN 5).
//!
//! Names of keys are an interface: alert annotations and scripts depend on them. A fact that was not reached is
//! absent from a run.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Serialize, Serializer};

use super::text::{rfc3339, rfc3339_seconds};
use crate::metrics::Page;
use crate::observation::{Certificate, Detail, HttpDetail, Observation, TcpDetail, TlsSession};
use crate::state::{Snapshot, TargetSnapshot, Verdict};

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
    /// Why the last run failed.
    reason: Option<&'static str>,
    sentence: Option<&'a str>,
    /// When the last run started.
    last_run: Option<String>,
    latency_seconds: Option<f64>,
    status: Option<u16>,
    failures_in_a_row: u32,
    totals: Totals,
}

#[derive(Serialize)]
struct Totals {
    runs_succeeded: u64,
    runs_failed: u64,
    outages: u64,
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
            reason: failure.map(|failure| failure.reason.as_label()),
            sentence: failure.map(|failure| &*failure.sentence),
            last_run: last.and_then(|run| rfc3339(run.started)),
            latency_seconds: last.map(|run| seconds(run.elapsed)),
            status: last.and_then(status),
            failures_in_a_row: snapshot.failures_in_a_row,
            totals: Totals {
                runs_succeeded: totals.runs_succeeded,
                runs_failed: totals.runs_failed,
                outages: totals.outages,
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
        Detail::Tcp(_) | Detail::None => None,
    }
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

/// One target, with what is kept of its runs.
#[derive(Serialize)]
pub(super) struct Evidence<'a> {
    #[serde(flatten)]
    summary: Summary<'a>,
    /// Failed runs by reason.
    failures: Failures<'a>,
    evidence: Capsules<'a>,
}

struct Failures<'a>(&'a TargetSnapshot);

impl Serialize for Failures<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.failures.iter().map(|(reason, count)| (reason.as_label(), count)))
    }
}

#[derive(Serialize)]
struct Capsules<'a> {
    last_good: Option<Run<'a>>,
    /// First failing run of the current or last outage.
    first_failure: Option<Run<'a>>,
    latest_failure: Option<Run<'a>>,
    /// First good run after the last outage.
    recovery: Option<Run<'a>>,
}

impl<'a> Evidence<'a> {
    pub(super) fn new(target: &'a TargetSnapshot) -> Self {
        let capsules = &target.capsules;
        Self {
            summary: Summary::new(target),
            failures: Failures(target),
            evidence: Capsules {
                last_good: capsules.last_good.as_deref().map(Run::new),
                first_failure: capsules.first_failure.as_deref().map(Run::new),
                latest_failure: capsules.latest_failure.as_deref().map(Run::new),
                recovery: capsules.recovery.as_deref().map(Run::new),
            },
        }
    }
}

/// One run by itself, as `--once` prints it: the same keys as among the evidence.
pub(crate) fn run_json(run: &Observation) -> serde_json::Value {
    // Fails only for maps whose keys are not text, and there are none.
    serde_json::to_value(Run::new(run)).unwrap_or_default()
}

/// One run.
#[derive(Serialize)]
struct Run<'a> {
    time: Option<String>,
    elapsed_seconds: f64,
    timeout_seconds: f64,
    success: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sentence: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resolution: Option<Resolution>,
    #[serde(skip_serializing_if = "Phases::is_empty")]
    phases_seconds: Phases,
    #[serde(skip_serializing_if = "Option::is_none")]
    http: Option<Http<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tcp: Option<Tcp<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<Tls<'a>>,
}

#[derive(Serialize)]
struct Resolution {
    elapsed_seconds: f64,
    addresses: Vec<String>,
    used: Option<String>,
}

/// The phases that were reached, by name, in their order.
struct Phases(Vec<(&'static str, f64)>);

impl Phases {
    fn new(phases: &[(&'static str, Option<Duration>)]) -> Self {
        Self(phases.iter().filter_map(|(name, time)| Some((*name, seconds((*time)?)))).collect())
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Phases {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}

#[derive(Serialize)]
struct Http<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_length: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body_length: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_modified: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ssl: Option<bool>,
    redirects: u32,
    redirect_chain: Vec<&'a str>,
    /// A list: a header may be there more than once.
    headers: Vec<Header<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body_excerpt: Option<Excerpt>,
}

#[derive(Serialize)]
struct Header<'a> {
    name: &'a str,
    value: &'a str,
}

#[derive(Serialize)]
struct Tcp<'a> {
    expect_info: Vec<Map<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    received_excerpt: Option<Excerpt>,
}

/// Bytes for people; also exactly, when they are not UTF-8.
#[derive(Serialize)]
struct Excerpt {
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
}

impl Excerpt {
    fn new(bytes: &[u8]) -> Option<Self> {
        if bytes.is_empty() {
            return None;
        }
        let text = String::from_utf8_lossy(bytes).into_owned();
        let base64 = std::str::from_utf8(bytes).is_err().then(|| STANDARD.encode(bytes));
        Some(Self { text, base64 })
    }
}

#[derive(Serialize)]
struct Tls<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cipher: Option<&'static str>,
    /// When the last of the verified chains ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    verified_chain_expiry: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verify_error: Option<&'a str>,
    /// As the peer sent it, its own certificate first.
    chain: Vec<Link<'a>>,
}

#[derive(Serialize)]
struct Link<'a> {
    subject: &'a str,
    issuer: &'a str,
    dns_names: Vec<&'a str>,
    serial: &'a str,
    fingerprint_sha256: &'a str,
    not_before: Option<String>,
    not_after: Option<String>,
}

impl<'a> Run<'a> {
    fn new(run: &'a Observation) -> Self {
        let failure = run.outcome.failure();
        let (phases, http, tcp) = match &run.detail {
            Detail::None => (Phases(Vec::new()), None, None),
            Detail::Http(detail) => {
                let phases = &detail.phases;
                let phases = Phases::new(&[
                    ("resolve", phases.resolve),
                    ("connect", phases.connect),
                    ("tls", phases.tls),
                    ("processing", phases.processing),
                    ("transfer", phases.transfer),
                ]);
                (phases, Some(Http::new(detail)), None)
            }
            Detail::Tcp(detail) => {
                (Phases::new(&[("connect", detail.connect), ("tls", detail.tls)]), None, Some(Tcp::new(detail)))
            }
        };
        Self {
            time: rfc3339(run.started),
            elapsed_seconds: seconds(run.elapsed),
            timeout_seconds: seconds(run.timeout),
            success: run.outcome.is_up(),
            reason: failure.map(|failure| failure.reason.as_label()),
            sentence: failure.map(|failure| &*failure.sentence),
            resolution: run.resolution.as_ref().map(|resolution| Resolution {
                elapsed_seconds: seconds(resolution.elapsed),
                addresses: resolution.addresses.iter().map(ToString::to_string).collect(),
                used: resolution.chosen.map(|address| address.to_string()),
            }),
            phases_seconds: phases,
            http,
            tcp,
            tls: run.tls.as_ref().map(Tls::new),
        }
    }
}

impl<'a> Http<'a> {
    fn new(detail: &'a HttpDetail) -> Self {
        Self {
            status: detail.status,
            version: detail.version,
            content_length: detail.content_length,
            body_length: detail.body_length,
            last_modified: detail.last_modified.and_then(rfc3339_seconds),
            ssl: detail.ssl,
            redirects: detail.redirects,
            redirect_chain: detail.redirect_chain.iter().map(|url| &**url).collect(),
            headers: detail.headers.iter().map(|(name, value)| Header { name, value }).collect(),
            body_excerpt: Excerpt::new(&detail.body_excerpt),
        }
    }
}

impl<'a> Tcp<'a> {
    fn new(detail: &'a TcpDetail) -> Self {
        Self {
            expect_info: detail
                .expect_info
                .iter()
                .map(|info| Map(info.iter().map(|(name, value)| (&**name, &**value)).collect()))
                .collect(),
            received_excerpt: Excerpt::new(&detail.received_excerpt),
        }
    }
}

impl<'a> Tls<'a> {
    fn new(session: &'a TlsSession) -> Self {
        Self {
            version: session.version,
            cipher: session.cipher,
            verified_chain_expiry: session.last_chain_expiry.and_then(rfc3339_seconds),
            verify_error: session.verify_error.as_deref(),
            chain: session.chain.certificates.iter().map(Link::new).collect(),
        }
    }
}

impl<'a> Link<'a> {
    fn new(certificate: &'a Certificate) -> Self {
        Self {
            subject: &certificate.subject,
            issuer: &certificate.issuer,
            dns_names: certificate.dns_names.split(',').filter(|name| !name.is_empty()).collect(),
            serial: &certificate.serial,
            fingerprint_sha256: &certificate.fingerprint_sha256,
            not_before: rfc3339_seconds(certificate.not_before),
            not_after: rfc3339_seconds(certificate.not_after),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::{Value, json};

    use super::*;
    use crate::metrics::fixture::{many, varied};

    fn evidence(name: &str) -> Value {
        let snapshot = varied();
        let target = snapshot.targets.iter().find(|target| target.target.name.as_str() == name).unwrap();
        serde_json::to_value(Evidence::new(target)).unwrap()
    }

    fn read(snapshot: Snapshot) -> Value {
        let text: Vec<u8> = list(snapshot).flat_map(|piece| piece.to_vec()).collect();
        serde_json::from_slice(&text).unwrap()
    }

    #[test]
    fn the_list_has_a_target_an_object() {
        let list = read(varied());
        assert_eq!(list["taken"], "2026-01-02T03:04:05.000Z");
        let targets = list["targets"].as_array().unwrap();
        assert_eq!(targets.len(), 6);
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
                "totals": {
                    "runs_succeeded": 1000, "runs_failed": 14, "outages": 2,
                    "up_seconds": 15000.0, "down_seconds": 210.0, "unknown_seconds": 0.25, "maintenance_seconds": 0.0,
                },
            })
        );
    }

    #[test]
    fn a_list_of_none_and_of_many_is_json_too() {
        let none = Snapshot { targets: Vec::new(), ..varied() };
        assert_eq!(read(none)["targets"], json!([]));
        assert_eq!(read(many(1000))["targets"].as_array().unwrap().len(), 1000);
        assert!(list(many(1000)).count() > 2);
    }

    #[test]
    fn a_failed_run_says_why_and_shows_the_refused_chain() {
        let expired = evidence("expired");
        assert_eq!(expired["failures"], json!({"connect_timeout": 10, "tls_expired": 4}));
        assert_eq!(expired["evidence"]["recovery"], Value::Null);
        let run = &expired["evidence"]["first_failure"];
        assert_eq!(run["success"], json!(false));
        assert_eq!(run["reason"], "tls_expired");
        assert_eq!(run["tls"]["verify_error"], "certificate expired");
        assert_eq!(run["tls"]["chain"][0]["not_after"], "2026-02-02T02:40:00Z");
        assert_eq!(run["tls"]["chain"][0]["dns_names"], json!(["shop.example.com", "www.shop.example.com"]));
        assert_eq!(run["phases_seconds"], json!({"resolve": 0.004, "connect": 0.011, "tls": 0.025}));
        assert_eq!(run["http"].get("status"), None, "a fact that was not reached is absent");
        let good = &expired["evidence"]["last_good"];
        assert_eq!(good["http"]["body_excerpt"], json!({"text": "<h1>ok</h1>"}));
        assert_eq!(good["http"]["headers"], json!([{"name": "content-type", "value": "text/html"}]));
        assert_eq!(good["resolution"]["used"], "192.0.2.1");
    }

    #[test]
    fn bytes_that_are_not_text_are_there_exactly() {
        let run = evidence("mail")["evidence"]["last_good"].clone();
        assert_eq!(run["tcp"]["received_excerpt"]["text"], "220 mail ESMTP\u{fffd}\r\n");
        let exact = run["tcp"]["received_excerpt"]["base64"].as_str().unwrap();
        assert_eq!(STANDARD.decode(exact).unwrap(), b"220 mail ESMTP\xff\r\n");
        assert_eq!(run["tcp"]["expect_info"][2], json!({"step": "ehlo"}));
    }
}
