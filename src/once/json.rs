//! The results for machines: everything public that the runs saw. A fact that was not reached is left out.

use std::time::{Duration, SystemTime};

use serde_json::{Map, Value, json};

use super::{Result, State};
use crate::observation::{Certificate, Detail, HttpDetail, Observation, Resolution, TcpDetail, TlsSession};

/// A JSON array, indented, one object a target, in the order of names.
pub(super) fn text(results: &[Result]) -> String {
    let array = Value::Array(results.iter().map(result).collect());
    format!("{array:#}\n")
}

fn result(result: &Result) -> Value {
    let target = &result.target;
    let mut object = Object::default();
    object.put("name", target.name.as_str());
    object.put("target", target.address.as_str());
    object.put("module", target.module.as_str());
    object.put("prober", target.probe.prober());
    let labels: Map<_, _> = target.labels.iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
    object.put("labels", labels);
    let state = match result.state() {
        State::NotRun => "not_run",
        state @ (State::Up | State::Down | State::Unknown) => state.as_str(),
    };
    object.put("state", state);
    if let Some(run) = &result.observation {
        observation(run, &mut object);
    }
    object.into()
}

fn observation(run: &Observation, object: &mut Object) {
    if let Some(failure) = run.outcome.failure() {
        object.put("reason", failure.reason.as_label());
        object.put("sentence", &*failure.sentence);
    }
    object.put_some("started", rfc3339(run.started));
    object.put("duration_seconds", run.elapsed.as_secs_f64());
    object.put("timeout_seconds", run.timeout.as_secs_f64());
    object.put_some("resolution", run.resolution.as_ref().map(resolution));
    object.put_some("tls", run.tls.as_ref().map(tls));
    match &run.detail {
        Detail::None => {}
        Detail::Http(detail) => object.put("http", http(detail)),
        Detail::Tcp(detail) => object.put("tcp", tcp(detail)),
    }
}

fn resolution(resolution: &Resolution) -> Value {
    let mut object = Object::default();
    object.put("duration_seconds", resolution.elapsed.as_secs_f64());
    object.put("addresses", resolution.addresses.iter().map(ToString::to_string).collect::<Vec<_>>());
    object.put_some("chosen", resolution.chosen.map(|address| address.to_string()));
    object.into()
}

fn tls(tls: &TlsSession) -> Value {
    let mut object = Object::default();
    object.put_some("version", tls.version);
    object.put_some("cipher", tls.cipher);
    object.put_some("verify_error", tls.verify_error.as_deref());
    object.put_some("earliest_expiry", tls.chain.earliest_expiry.and_then(unix));
    object.put("certificates", tls.chain.certificates.iter().map(certificate).collect::<Vec<_>>());
    object.into()
}

fn certificate(certificate: &Certificate) -> Value {
    json!({
        "subject": &*certificate.subject,
        "issuer": &*certificate.issuer,
        "dns_names": &*certificate.dns_names,
        "serial": &*certificate.serial,
        "fingerprint_sha256": &*certificate.fingerprint_sha256,
        "not_before": unix(certificate.not_before),
        "not_after": unix(certificate.not_after),
    })
}

fn http(http: &HttpDetail) -> Value {
    let mut phases = Object::default();
    phases.put_some("resolve", seconds(http.phases.resolve));
    phases.put_some("connect", seconds(http.phases.connect));
    phases.put_some("tls", seconds(http.phases.tls));
    phases.put_some("processing", seconds(http.phases.processing));
    phases.put_some("transfer", seconds(http.phases.transfer));
    let mut object = Object::default();
    object.put_some("status", http.status);
    object.put_some("version", http.version);
    object.put("phases_seconds", Value::from(phases));
    object.put_some("content_length", http.content_length.filter(|length| *length >= 0));
    object.put_some("body_length", http.body_length);
    object.put("redirects", http.redirects);
    object.put_some("ssl", http.ssl);
    object.put_some("last_modified", http.last_modified.and_then(unix));
    if !http.redirect_chain.is_empty() {
        object.put("redirect_chain", http.redirect_chain.iter().map(|url| url.to_string()).collect::<Vec<_>>());
    }
    if !http.headers.is_empty() {
        let pairs: Vec<_> = http.headers.iter().map(|(name, value)| json!([&**name, &**value])).collect();
        object.put("headers", pairs);
    }
    object.put_excerpt("body_excerpt", &http.body_excerpt);
    object.into()
}

fn tcp(tcp: &TcpDetail) -> Value {
    let mut object = Object::default();
    object.put_some("connect_seconds", seconds(tcp.connect));
    object.put_some("tls_seconds", seconds(tcp.tls));
    object.put_excerpt("received_excerpt", &tcp.received_excerpt);
    object.into()
}

fn seconds(time: Option<Duration>) -> Option<f64> {
    time.map(|time| time.as_secs_f64())
}

fn unix(seconds: i64) -> Option<String> {
    jiff::Timestamp::from_second(seconds).ok().map(|time| time.to_string())
}

fn rfc3339(time: SystemTime) -> Option<String> {
    jiff::Timestamp::try_from(time).ok().map(|time| format!("{time:.3}"))
}

/// A JSON object in the order in which it is filled.
#[derive(Default)]
struct Object(Map<String, Value>);

impl Object {
    fn put(&mut self, key: &str, value: impl Into<Value>) {
        self.0.insert(key.to_owned(), value.into());
    }

    fn put_some(&mut self, key: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.put(key, value);
        }
    }

    fn put_excerpt(&mut self, key: &str, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.put(key, String::from_utf8_lossy(bytes));
        }
    }
}

impl From<Object> for Value {
    fn from(object: Object) -> Self {
        Self::Object(object.0)
    }
}
