//! The page of `/probe`: one run, without a target's labels, and with the zeros that the incumbent shows for what was
//! not reached. Dashboards written for it divide by them and add them up, so they are a part of being its replacement;
//! the page of `/metrics` leaves such samples out instead.

use super::family::{FAMILIES, Family, Shape, Source};
use super::text::Lines;
use crate::config::ProbeSpec;
use crate::observation::{Observation, Reason};

/// The zero time of Go, which the incumbent gives as the expiry of no verified chain.
const GO_ZERO_TIME: f64 = -62_135_596_800.0;

/// `UNAVAILABLE` and `DEADLINE_EXCEEDED`: what Go's client makes of a call that had no answer.
const GRPC_UNAVAILABLE: f64 = 14.0;
const GRPC_DEADLINE_EXCEEDED: f64 = 4.0;

/// Families of a run that only mean something on the page of all targets.
const NOT_HERE: [&str; 1] = ["probe_last_run_timestamp_seconds"];

/// One run of `spec` as Prometheus text.
pub fn probe_page(run: &Observation, spec: &ProbeSpec) -> String {
    let mut out = Vec::with_capacity(8 * 1024);
    for family in FAMILIES.iter().filter(|family| !NOT_HERE.contains(&family.name)) {
        let Source::Run(shape) = &family.source else { continue };
        let mut headed = false;
        let no_labels = |_: &str| false;
        let mut lines = Lines::new(&mut out, family, &mut headed, b"", &no_labels);
        let zero = |label| incumbent_zero(family, label, run, spec);
        match shape {
            Shape::One(read) => {
                if let Some(value) = read(run).or_else(|| zero("")) {
                    lines.sample(&[], value);
                }
            }
            Shape::Each(all) => {
                for (label, read) in *all {
                    if let Some(value) = read(run).or_else(|| zero(label)) {
                        lines.sample(&[(family.labels[0], label)], value);
                    }
                }
            }
            Shape::Lines(write) => write(run, &mut lines),
        }
    }
    String::from_utf8(out).unwrap_or_default()
}

/// What the incumbent shows where the run has no fact.
fn incumbent_zero(family: &Family, label: &str, run: &Observation, spec: &ProbeSpec) -> Option<f64> {
    let resolves = spec.resolves();
    // Just before the request is sent: an address was found, or a proxy will do that.
    let sent = run.resolution.as_ref().map_or(!resolves, |resolution| resolution.chosen.is_some());
    let zero = |shown: bool| shown.then_some(0.0);
    match family.name {
        "probe_dns_lookup_time_seconds" | "probe_ip_protocol" | "probe_ip_addr_hash" => return zero(resolves),
        // Of a handshake that was accepted without looking for a chain.
        "probe_ssl_last_chain_expiry_timestamp_seconds" => {
            let accepted = run.tls.as_ref().is_some_and(|tls| tls.verify_error.is_none() && tls.version.is_some());
            return accepted.then_some(GO_ZERO_TIME);
        }
        _ => {}
    }
    match spec {
        ProbeSpec::Http { settings, .. } => match (family.name, label) {
            ("probe_http_duration_seconds", "resolve") => zero(resolves),
            ("probe_http_duration_seconds", _) => zero(sent),
            (
                "probe_http_content_length"
                | "probe_http_redirects"
                | "probe_http_ssl"
                | "probe_http_status_code"
                | "probe_http_uncompressed_body_length"
                | "probe_http_version"
                | "probe_failed_due_to_regex",
                _,
            ) => Some(0.0),
            ("probe_failed_due_to_cel", _) => {
                zero(settings.fail_if_json_matches.is_some() || settings.fail_if_json_not_matches.is_some())
            }
            _ => None,
        },
        // Before 0.25 of the incumbent also when nothing was connected.
        ProbeSpec::Tcp { .. } => zero(family.name == "probe_failed_due_to_regex"),
        ProbeSpec::Unix { .. } => None,
        ProbeSpec::Dns { .. } => match family.name {
            "probe_dns_duration_seconds" => zero(matches!(label, "resolve" | "connect" | "request")),
            "probe_dns_answer_rrs"
            | "probe_dns_authority_rrs"
            | "probe_dns_additional_rrs"
            | "probe_dns_query_succeeded" => Some(0.0),
            _ => None,
        },
        ProbeSpec::Icmp { .. } => zero(family.name == "probe_icmp_duration_seconds"),
        ProbeSpec::Grpc { settings, .. } => match (family.name, label) {
            ("probe_grpc_duration_seconds", "resolve") => Some(0.0),
            ("probe_grpc_duration_seconds", "check") => zero(sent),
            ("probe_grpc_ssl", _) => Some(f64::from(u8::from(settings.tls.is_some()))),
            ("probe_grpc_status_code", _) => Some(no_grpc_status(run)),
            ("probe_grpc_healthcheck_response", _) => zero(sent),
            _ => None,
        },
        ProbeSpec::Websocket { .. } => match (family.name, label) {
            ("probe_websocket_duration_seconds", "resolve" | "connect" | "processing")
            | (
                "probe_websocket_status_code"
                | "probe_websocket_connection_upgraded"
                | "probe_websocket_failed_due_to_regex",
                _,
            ) => Some(0.0),
            _ => None,
        },
    }
}

fn no_grpc_status(run: &Observation) -> f64 {
    match run.outcome.failure().map(|failure| failure.reason) {
        Some(Reason::RequestTimeout | Reason::ConnectTimeout | Reason::TlsTimeout) => GRPC_DEADLINE_EXCEEDED,
        Some(_) => GRPC_UNAVAILABLE,
        None => 0.0,
    }
}
