//! One target with the evidence of its runs: the four capsules.

use std::borrow::Cow;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Serialize, Serializer};

use super::path::{GoodWay, Way};
use super::{Map, Summary, seconds};
use crate::config::{TraceUrl, dns_numbers};
use crate::observation::{
    self, AddressRun, Certificate, Detail, Diagnosis, GrpcDetail, HttpDetail, IcmpDetail, Observation, Phase, Reason,
    RoundTrips, ServingStatus, SharedCause, TcpDetail, TlsSession, TraceId,
};
use crate::server::text::{rfc3339, rfc3339_seconds};
use crate::state::{Changed, RecentRun, TargetSnapshot, Turn};

/// One target, with what is kept of its runs.
#[derive(Serialize)]
pub(in crate::server) struct Evidence<'a> {
    #[serde(flatten)]
    summary: Summary<'a>,
    /// Failed runs by reason.
    failures: Failures<'a>,
    evidence: Capsules<'a>,
    /// What re-checks found out about the failure that goes on.
    diagnosis: Option<Found<'a>>,
    /// The fact that explains the outage, and that others share; absent without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    shared_cause: Option<Shared<'a>>,
    /// The way to where it could not be reached.
    path: Option<Way<'a>>,
    /// Ways on which it answered, the latest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    good_paths: Vec<GoodWay>,
    /// What was otherwise before.
    changes: Vec<Change<'a>>,
    /// The last changes of the verdict, oldest first.
    timeline: Vec<Turned>,
    /// The last runs in short, newest first.
    recent: Vec<Short<'a>>,
    /// The operator's words.
    notice: Option<Words<'a>>,
    /// Whether a maintenance window is on; absent for a target without windows.
    #[serde(skip_serializing_if = "Option::is_none")]
    maintenance: Option<bool>,
}

/// One run in short.
#[derive(Serialize)]
struct Short<'a> {
    time: Option<String>,
    elapsed_seconds: f64,
    success: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sentence: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    /// Each to a thousandth of it.
    #[serde(skip_serializing_if = "Phases::is_empty")]
    phases_seconds: Phases,
}

#[derive(Serialize)]
struct Turned {
    time: Option<String>,
    /// The last run that said otherwise, and `time`.
    #[serde(skip_serializing_if = "Option::is_none")]
    between: Option<[String; 2]>,
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

#[derive(Serialize)]
struct Words<'a> {
    cause: &'a str,
    action: &'a str,
    next_update: Option<String>,
}

#[derive(Serialize)]
struct Found<'a> {
    time: Option<String>,
    finding: &'static str,
    sentence: &'a str,
    attempts: Vec<Attempt<'a>>,
}

#[derive(Serialize)]
struct Attempt<'a> {
    what: &'a str,
    success: bool,
    result: &'a str,
}

#[derive(Serialize)]
struct Change<'a> {
    what: &'static str,
    time: Option<String>,
    before: &'a str,
    after: &'a str,
}

#[derive(Serialize)]
struct Shared<'a> {
    kind: &'static str,
    value: &'a str,
    since: Option<String>,
    sentence: String,
    failing: u32,
    good: u32,
    elsewhere_good: u32,
    tied: Vec<Tied<'a>>,
    /// The first ten that are down by it.
    targets: Vec<&'a str>,
}

#[derive(Serialize)]
struct Tied<'a> {
    kind: &'static str,
    value: &'a str,
}

impl<'a> Shared<'a> {
    fn new(cause: &'a SharedCause) -> Self {
        Self {
            kind: cause.kind.as_label(),
            value: &cause.value,
            since: rfc3339(cause.since),
            sentence: cause.sentence(),
            failing: cause.failing,
            good: cause.good,
            elsewhere_good: cause.elsewhere,
            tied: cause.tied.iter().map(|(kind, value)| Tied { kind: kind.as_label(), value }).collect(),
            targets: cause.targets.iter().map(|name| &**name).collect(),
        }
    }
}

impl<'a> Found<'a> {
    fn new(diagnosis: &'a Diagnosis) -> Self {
        let attempt = |attempt: &'a observation::Attempt| Attempt {
            what: &attempt.what,
            success: attempt.succeeded,
            result: &attempt.result,
        };
        Self {
            time: rfc3339(diagnosis.time),
            finding: diagnosis.finding.as_label(),
            sentence: &diagnosis.sentence,
            attempts: diagnosis.attempts.iter().map(attempt).collect(),
        }
    }
}

impl<'a> Short<'a> {
    fn new(run: &'a RecentRun) -> Self {
        Self {
            time: rfc3339(run.started()),
            elapsed_seconds: seconds(run.elapsed()),
            success: run.reason.is_none(),
            reason: run.reason.map(Reason::as_label),
            sentence: run.sentence(),
            status: run.status(),
            address: run.address.map(|address| address.to_string()),
            phases_seconds: Phases::new(run.phases()),
        }
    }
}

impl Turned {
    fn new(turn: &Turn) -> Self {
        let Turn { time, after, verdict, reason } = turn;
        Self {
            time: rfc3339(*time),
            between: super::between(*after, Some(*time)),
            verdict: super::verdict(*verdict),
            reason: reason.map(Reason::as_label),
        }
    }
}

impl<'a> Change<'a> {
    fn new(change: &'a Changed) -> Self {
        let Changed { what, time, before, after } = change;
        Self { what: what.as_label(), time: rfc3339(*time), before, after }
    }
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
    pub(in crate::server) fn new(target: &'a TargetSnapshot) -> Self {
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
            diagnosis: target.diagnosis.as_deref().map(Found::new),
            shared_cause: target.shared_cause.as_deref().map(Shared::new),
            path: Way::of(target),
            good_paths: target.good_paths.iter().map(|path| GoodWay::new(path)).collect(),
            changes: target.changes.iter().map(Change::new).collect(),
            timeline: target.timeline.turns().iter().map(Turned::new).collect(),
            recent: target.recent.runs().map(Short::new).collect(),
            notice: target.notice.as_deref().map(|notice| Words {
                cause: &notice.cause,
                action: &notice.action,
                next_update: notice.next_update.map(|time| time.to_string()),
            }),
            maintenance: target.maintenance,
        }
    }
}

impl Evidence<'_> {
    /// With links to where traces are to be seen.
    pub(in crate::server) fn tracing(mut self, traces: Option<&TraceUrl>) -> Self {
        let Capsules { last_good, first_failure, latest_failure, recovery } = &mut self.evidence;
        for run in [last_good, first_failure, latest_failure, recovery].into_iter().flatten() {
            run.trace_url = traces.zip(run.trace_id).map(|(traces, id)| traces.of(id));
        }
        self
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
    /// What the server was told to trace the run by, and where that trace is to be seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<TraceId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_url: Option<String>,
    /// What to look at first.
    #[serde(skip_serializing_if = "Option::is_none")]
    look_first: Option<Cow<'static, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resolution: Option<Resolution<'a>>,
    #[serde(skip_serializing_if = "Phases::is_empty")]
    phases_seconds: Phases,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    addresses: Vec<AtAddress<'a>>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    detail: Option<Shown<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<Tls<'a>>,
}

/// The run at one of several addresses.
#[derive(Serialize)]
struct AtAddress<'a> {
    address: Option<String>,
    elapsed_seconds: f64,
    success: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sentence: Option<&'a str>,
}

impl<'a> AtAddress<'a> {
    fn new(run: &'a AddressRun) -> Self {
        let failure = run.outcome.failure();
        Self {
            address: run.address.map(|address| address.to_string()),
            elapsed_seconds: seconds(run.elapsed),
            success: run.outcome.is_up(),
            reason: failure.map(|failure| failure.reason.as_label()),
            sentence: failure.map(|failure| &*failure.sentence),
        }
    }
}

/// What the protocol showed, under the name of the prober.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Shown<'a> {
    Http(Http<'a>),
    Tcp(Tcp<'a>),
    Icmp(Icmp),
    Unix(Tcp<'a>),
    Dns(Dns<'a>),
    Grpc(Grpc<'a>),
    Websocket(Websocket),
}

#[derive(Serialize)]
struct Dns<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    rcode: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    truncated: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    serial: Option<u32>,
    records: Vec<&'a str>,
}

#[derive(Serialize)]
struct Grpc<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u32>,
    #[serde(skip_serializing_if = "str::is_empty")]
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    serving_status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ssl: Option<bool>,
}

#[derive(Serialize)]
struct Websocket {
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upgraded: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    received_excerpt: Option<Excerpt>,
}

#[derive(Serialize)]
struct Resolution<'a> {
    elapsed_seconds: f64,
    addresses: Vec<String>,
    used: Option<String>,
    /// The name server that answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<String>,
    /// The names that the name is an alias of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    aliases: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    name_servers: Vec<&'a str>,
}

/// The phases that were reached, by name, in their order.
struct Phases(Vec<(&'static str, f64)>);

impl Phases {
    fn new(phases: impl Iterator<Item = (Phase, Duration)>) -> Self {
        Self(phases.map(|(phase, time)| (phase.as_label(), seconds(time))).collect())
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
    #[serde(skip_serializing_if = "Option::is_none")]
    proxy: Option<&'a str>,
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

#[derive(Serialize)]
struct Icmp {
    packets_sent: u32,
    packets_received: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    packet_loss_ratio: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rtt_seconds: Option<RttSeconds>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_hop_limit: Option<u8>,
    /// `datagram` or `raw`.
    #[serde(skip_serializing_if = "Option::is_none")]
    socket: Option<Cow<'static, str>>,
}

#[derive(Serialize)]
struct RttSeconds {
    min: f64,
    avg: f64,
    max: f64,
    mdev: f64,
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
    version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cipher: Option<&'a str>,
    /// When the last of the verified chains ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    verified_chain_expiry: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verify_error: Option<&'a str>,
    /// What was wrong with the chain, and accepted by `insecure_skip_verify`.
    #[serde(skip_serializing_if = "Option::is_none")]
    skipped_error: Option<&'a str>,
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
        let detail = match &run.detail {
            Detail::None => None,
            Detail::Http(detail) => Some(Shown::Http(Http::new(detail))),
            Detail::Tcp(detail) => Some(Shown::Tcp(Tcp::new(detail))),
            Detail::Unix(detail) => Some(Shown::Unix(Tcp::new(detail))),
            Detail::Grpc(detail) => {
                let GrpcDetail { status, message, serving, ssl, .. } = &**detail;
                let serving_status = serving.map(ServingStatus::as_str);
                Some(Shown::Grpc(Grpc { status: *status, message, serving_status, ssl: *ssl }))
            }
            Detail::Websocket(detail) => {
                let received_excerpt = Excerpt::new(&detail.received_excerpt);
                Some(Shown::Websocket(Websocket { status: detail.status, upgraded: detail.upgraded, received_excerpt }))
            }
            Detail::Dns(detail) => {
                let reply = detail.reply.as_ref();
                Some(Shown::Dns(Dns {
                    rcode: reply.map(|reply| dns_numbers::name(dns_numbers::RCODES, "RCODE", reply.rcode)),
                    truncated: detail.truncated,
                    serial: reply.and_then(|reply| reply.serial),
                    records: reply.map_or_else(Vec::new, |reply| reply.records.iter().map(|text| &**text).collect()),
                }))
            }
            Detail::Icmp(detail) => Some(Shown::Icmp(Icmp::new(detail))),
        };
        Self {
            time: rfc3339(run.started),
            elapsed_seconds: seconds(run.elapsed),
            timeout_seconds: seconds(run.timeout),
            success: run.outcome.is_up(),
            reason: failure.map(|failure| failure.reason.as_label()),
            sentence: failure.map(|failure| &*failure.sentence),
            trace_id: run.trace_id(),
            trace_url: None,
            look_first: run.look_first(),
            resolution: run.resolution.as_ref().map(|resolution| Resolution {
                elapsed_seconds: seconds(resolution.elapsed),
                addresses: resolution.addresses.iter().map(ToString::to_string).collect(),
                used: resolution.chosen.map(|address| address.to_string()),
                server: resolution.lookup.as_ref().and_then(|lookup| Some(lookup.server?.to_string())),
                aliases: resolution
                    .lookup
                    .iter()
                    .flat_map(|lookup| lookup.aliases.iter().map(|name| &**name))
                    .collect(),
                name_servers: resolution
                    .lookup
                    .iter()
                    .flat_map(|lookup| lookup.name_servers.iter().map(|n| &**n))
                    .collect(),
            }),
            phases_seconds: Phases::new(run.phases()),
            addresses: run.addresses.iter().map(AtAddress::new).collect(),
            detail,
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
            proxy: detail.proxy.as_deref(),
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

impl Icmp {
    fn new(detail: &IcmpDetail) -> Self {
        Self {
            packets_sent: detail.packets_sent,
            packets_received: detail.packets_received,
            packet_loss_ratio: detail.loss(),
            rtt_seconds: detail.round_trips.map(|RoundTrips { min, avg, max, mdev }| RttSeconds {
                min: seconds(min),
                avg: seconds(avg),
                max: seconds(max),
                mdev: seconds(mdev),
            }),
            reply_hop_limit: detail.reply_hop_limit,
            socket: detail.socket.clone(),
        }
    }
}

impl<'a> Tls<'a> {
    fn new(session: &'a TlsSession) -> Self {
        Self {
            version: session.version.as_deref(),
            cipher: session.cipher.as_deref(),
            verified_chain_expiry: session.last_chain_expiry.and_then(rfc3339_seconds),
            verify_error: session.verify_error.as_deref(),
            skipped_error: session.skipped_error.as_ref().map(|error| error.as_str()),
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
    use crate::metrics::fixture::complete;

    fn evidence(name: &str) -> Value {
        let snapshot = complete();
        let target = snapshot.targets.iter().find(|target| target.target.name.as_str() == name).unwrap();
        serde_json::to_value(Evidence::new(target)).unwrap()
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
    fn the_way_is_told_hop_by_hop() {
        let expired = evidence("expired");
        let path = &expired["path"];
        assert_eq!(path["path_end"], "ends");
        assert_eq!(path["sentence"], "the way ends after 198.51.100.3, the 3rd hop");
        assert_eq!(
            (&path["address"], &path["port"], &path["protocol"]),
            (&json!("192.0.2.1"), &json!(443), &json!("tcp"))
        );
        assert_eq!(path["hops"][0], json!({"hop": 1, "address": "198.51.100.1", "round_trip_seconds": 0.0004}));
        assert_eq!(path["hops"][1], json!({"hop": 2, "address": null}));
        assert_eq!(path["last_hop"], json!({"hop": 3, "address": "198.51.100.3"}));
        let parts = json!({"hop": 4, "good": "198.51.100.4", "now": null, "good_time": "2026-01-02T02:04:05.000Z"});
        assert_eq!(path["parts_from_good_path"], parts);
        assert_eq!(expired["good_paths"][0]["hops"][3], json!({"hop": 4, "addresses": ["198.51.100.4"]}));
        assert_eq!((&evidence("shop")["path"], evidence("shop").get("good_paths")), (&Value::Null, None));
    }

    #[test]
    fn a_run_has_the_trace_that_the_server_was_told_of() {
        let snapshot = complete();
        let target = snapshot.targets.iter().find(|target| target.target.name.as_str() == "expired").unwrap();
        let config = "global: {trace_url: 'https://tempo.example/{trace_id}'}";
        let config = crate::config::Source::new("t.yaml", config).config().unwrap();
        let shown = serde_json::to_value(Evidence::new(target).tracing(config.trace_url.as_deref())).unwrap();
        let run = &shown["evidence"]["first_failure"];
        assert_eq!(run["trace_id"], "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(run["trace_url"], "https://tempo.example/0af7651916cd43dd8448eb211c80319c");
        let run = evidence("expired")["evidence"]["first_failure"].clone();
        assert_eq!((run["trace_id"].is_string(), run.get("trace_url")), (true, None));
        assert_eq!(evidence("ping")["evidence"]["last_good"].get("trace_id"), None);
    }

    #[test]
    fn a_ping_shows_its_packets_and_what_a_router_said() {
        let run = evidence("ping")["evidence"]["last_good"].clone();
        assert_eq!(run["phases_seconds"], json!({"resolve": 0.002, "setup": 0.0005, "rtt": 0.015}));
        let ping = &run["icmp"];
        assert_eq!((&ping["packets_sent"], &ping["packets_received"]), (&json!(4), &json!(3)));
        assert_eq!(ping["packet_loss_ratio"], json!(0.25));
        assert_eq!(ping["rtt_seconds"], json!({"min": 0.01, "avg": 0.015, "max": 0.02, "mdev": 0.004}));
        assert_eq!((&ping["reply_hop_limit"], &ping["socket"]), (&json!(57), &json!("datagram")));
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
