//! The table of families: every name, type, help and label of a target's series, declared once.

use crate::metrics::{kept, run, text::Lines};
use crate::observation::Observation;
use crate::state::TargetSnapshot;

/// One metric family of a target.
pub struct Family {
    pub name: &'static str,
    pub kind: Kind,
    /// One sentence, no backslash, no line break (so it needs no escaping).
    pub help: &'static str,
    /// The family's own labels, after `target` and the target's labels.
    pub labels: &'static [&'static str],
    /// For the documentation: when there is a sample.
    pub when: &'static str,
    pub(super) source: Source,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// Where a family's samples come from.
///
/// The two kinds are apart so that one observation alone can be rendered too, without a target's state.
pub(super) enum Source {
    /// The last run. No run, no sample.
    Run(Shape<Observation>),
    /// What is kept of the target over its runs.
    Kept(Shape<TargetSnapshot>),
}

/// Reads one number off; `None` is no sample.
pub(super) type Value<T> = fn(&T) -> Option<f64>;

/// How a family's samples are read off.
pub(super) enum Shape<T: 'static> {
    /// One sample, or none when the function has no value.
    One(Value<T>),
    /// One sample for each value of the family's single label.
    Each(&'static [(&'static str, Value<T>)]),
    /// Whatever the function writes: label values that are not known beforehand.
    Lines(fn(&T, &mut Lines<'_>)),
}

use Kind::{Counter, Gauge, Histogram};
use Shape::{Each, One};
use Source::{Kept, Run};

const ANY_RUN: &str = "after the first run";
const RESOLVED: &str = "last run found an address";
const RESPONSE: &str = "last run got an HTTP response";
const HTTP_RUN: &str = "the target is an HTTP one; 0 without a response";
const CHAIN: &str = "last run saw a certificate, verified or not";
const PINGED: &str = "last run sent an echo request";
const ALWAYS: &str = "always";

/// Every family of a target, sorted by name: the order of the page.
pub static FAMILIES: &[Family] = &[
    Family {
        name: "probe_address_duration_seconds",
        kind: Gauge,
        help: "Seconds that the last run took at each of several addresses.",
        labels: &["address"],
        when: "the target is probed at several addresses",
        source: Run(Shape::Lines(run::address_duration)),
    },
    Family {
        name: "probe_address_failure_info",
        kind: Gauge,
        help: "Always 1; why the last run failed at each of several addresses where it did.",
        labels: &["address", "reason"],
        when: "last run failed at one of several addresses",
        source: Run(Shape::Lines(run::address_failure_info)),
    },
    Family {
        name: "probe_address_success",
        kind: Gauge,
        help: "Whether the last run succeeded (1) or failed (0) at each of several addresses; an empty address is that of a family that the name lacks.",
        labels: &["address"],
        when: "the target is probed at several addresses",
        source: Run(Shape::Lines(run::address_success)),
    },
    Family {
        name: "probe_addresses",
        kind: Gauge,
        help: "Addresses that the last run was made at.",
        labels: &[],
        when: "the target is probed at several addresses",
        source: Run(One(run::addresses)),
    },
    Family {
        name: "probe_addresses_success_ratio",
        kind: Gauge,
        help: "Share of the addresses at which the last run succeeded.",
        labels: &[],
        when: "the target is probed at several addresses",
        source: Run(One(run::addresses_success_ratio)),
    },
    Family {
        name: "probe_blips_total",
        kind: Counter,
        help: "Times that the target failed at its tick and was good again before an outage was confirmed.",
        labels: &[],
        when: ALWAYS,
        source: Kept(One(kept::blips)),
    },
    Family {
        name: "probe_diagnosis_info",
        kind: Gauge,
        help: "Always 1; what re-checks that vary one thing at a time found out about the failure that goes on.",
        labels: &["finding"],
        when: "the target fails, and there is a finding",
        source: Kept(Shape::Lines(kept::diagnosis_info)),
    },
    Family {
        name: "probe_dns_additional_rrs",
        kind: Gauge,
        help: "Records in the additional section of the answer of the last DNS run.",
        labels: &[],
        when: "the server of the last DNS run answered",
        source: Run(One(run::dns_additionals)),
    },
    Family {
        name: "probe_dns_answer_rrs",
        kind: Gauge,
        help: "Records in the answer section of the answer of the last DNS run.",
        labels: &[],
        when: "the server of the last DNS run answered",
        source: Run(One(run::dns_answers)),
    },
    Family {
        name: "probe_dns_authority_rrs",
        kind: Gauge,
        help: "Records in the authority section of the answer of the last DNS run.",
        labels: &[],
        when: "the server of the last DNS run answered",
        source: Run(One(run::dns_authorities)),
    },
    Family {
        name: "probe_dns_duration_seconds",
        kind: Gauge,
        help: "Seconds that each phase of the last DNS run took.",
        labels: &["phase"],
        when: "last run reached the phase",
        source: Run(Each(&[
            ("resolve", run::dns_resolve),
            ("connect", run::dns_connect),
            ("request", run::dns_request),
        ])),
    },
    Family {
        name: "probe_dns_lookup_time_seconds",
        kind: Gauge,
        help: "Seconds that the name lookup of the last run took, failed or not; 0 for an address literal.",
        labels: &[],
        when: "last run looked a name up",
        source: Run(One(run::dns_lookup)),
    },
    Family {
        name: "probe_dns_query_succeeded",
        kind: Gauge,
        help: "Whether the server of the last DNS run answered (1) or not (0), whatever it said.",
        labels: &[],
        when: "after the first DNS run",
        source: Run(One(run::dns_query_succeeded)),
    },
    Family {
        name: "probe_dns_rcode",
        kind: Gauge,
        help: "Number of the rcode with which the server of the last DNS run answered; 0 is NOERROR.",
        labels: &[],
        when: "the server of the last DNS run answered",
        source: Run(One(run::dns_rcode)),
    },
    Family {
        name: "probe_dns_serial",
        kind: Gauge,
        help: "Serial of the SOA record in the answer of the last DNS run; 0 without one.",
        labels: &[],
        when: "SOA was asked for and answered",
        source: Run(One(run::dns_serial)),
    },
    Family {
        name: "probe_dns_truncated",
        kind: Gauge,
        help: "Whether the answer of the last DNS run came truncated by UDP (1) or not (0).",
        labels: &[],
        when: "the server answered by UDP",
        source: Run(One(run::dns_truncated)),
    },
    Family {
        name: "probe_down_seconds_total",
        kind: Counter,
        help: "Seconds that the target was down, from the first failing run of each confirmed outage.",
        labels: &[],
        when: ALWAYS,
        source: Kept(One(kept::down_seconds)),
    },
    Family {
        name: "probe_duration_seconds",
        kind: Gauge,
        help: "Seconds that the last run took, failed or not.",
        labels: &[],
        when: ANY_RUN,
        source: Run(One(run::duration)),
    },
    Family {
        name: "probe_expect_info",
        kind: Gauge,
        help: "Always 1; the labels that a step of the dialogue collected in the last run.",
        labels: &["*"],
        when: "a `labels` step of a TCP dialogue matched",
        source: Run(Shape::Lines(run::expect_info)),
    },
    Family {
        name: "probe_explained_info",
        kind: Gauge,
        help: "Always 1; the target fails, and so does a target that it depends on, whose name is by. It is down, checking (not confirmed yet) or recovering (up again, and the target was not looked at since).",
        labels: &["by", "parent"],
        when: "the target fails, and what it stands behind explains that",
        source: Kept(Shape::Lines(kept::explained_info)),
    },
    Family {
        name: "probe_failed_due_to_bytes",
        kind: Gauge,
        help: "Whether an expect_bytes step of the last run failed (1) or not (0).",
        labels: &[],
        when: "last TCP run connected",
        source: Run(One(run::failed_bytes)),
    },
    Family {
        name: "probe_failed_due_to_cel",
        kind: Gauge,
        help: "Whether a CEL rule of the last run failed (1) or not (0).",
        labels: &[],
        when: "the target has a CEL rule",
        source: Run(One(run::failed_cel)),
    },
    Family {
        name: "probe_failed_due_to_regex",
        kind: Gauge,
        help: "Whether a regex rule of the last run failed (1) or not (0).",
        labels: &[],
        when: "a regex rule was reached (HTTP), or last run connected (TCP)",
        source: Run(One(run::failed_regex)),
    },
    Family {
        name: "probe_failure_info",
        kind: Gauge,
        help: "Always 1; why the last run failed. Gone when it did not.",
        labels: &["reason"],
        when: "last run failed",
        source: Run(Shape::Lines(run::failure_info)),
    },
    Family {
        name: "probe_failures_total",
        kind: Counter,
        help: "Failed runs by reason.",
        labels: &["reason"],
        when: "once the reason was seen",
        source: Kept(Shape::Lines(kept::failures)),
    },
    Family {
        name: "probe_grpc_connection_duration_seconds",
        kind: Gauge,
        help: "Seconds that the handshakes of the last gRPC run took; they are a part of the phase check.",
        labels: &["phase"],
        when: "last run reached the phase",
        source: Run(Each(&[("connect", run::grpc_connect), ("tls", run::grpc_tls)])),
    },
    Family {
        name: "probe_grpc_duration_seconds",
        kind: Gauge,
        help: "Seconds that each phase of the last gRPC run took; check is all that comes after the lookup.",
        labels: &["phase"],
        when: "last run reached the phase",
        source: Run(Each(&[("resolve", run::grpc_resolve), ("check", run::grpc_check)])),
    },
    Family {
        name: "probe_grpc_healthcheck_response",
        kind: Gauge,
        help: "What the gRPC health service said: 1 for that status, 0 for the others.",
        labels: &["serving_status"],
        when: "last gRPC run had an address to call",
        source: Run(Each(&[
            ("UNKNOWN", run::grpc_unknown),
            ("SERVING", run::grpc_serving),
            ("NOT_SERVING", run::grpc_not_serving),
            ("SERVICE_UNKNOWN", run::grpc_service_unknown),
        ])),
    },
    Family {
        name: "probe_grpc_ssl",
        kind: Gauge,
        help: "Whether the gRPC call of the last run went over TLS (1) or not (0).",
        labels: &[],
        when: "last gRPC run connected",
        source: Run(One(run::grpc_ssl)),
    },
    Family {
        name: "probe_grpc_status_code",
        kind: Gauge,
        help: "gRPC status code with which the call of the last run ended; 0 is OK.",
        labels: &[],
        when: "last gRPC run had an address to call",
        source: Run(One(run::grpc_status_code)),
    },
    Family {
        name: "probe_http_content_length",
        kind: Gauge,
        help: "Bytes that the Content-Length header of the final response gives; -1 without one.",
        labels: &[],
        when: HTTP_RUN,
        source: Run(One(run::http_content_length)),
    },
    Family {
        name: "probe_http_duration_seconds",
        kind: Gauge,
        help: "Seconds that each phase of the last HTTP run took, summed over redirects.",
        labels: &["phase"],
        when: "last run reached the phase",
        source: Run(Each(&[
            ("resolve", run::http_resolve),
            ("connect", run::http_connect),
            ("tls", run::http_tls),
            ("processing", run::http_processing),
            ("transfer", run::http_transfer),
        ])),
    },
    Family {
        name: "probe_http_last_modified_timestamp_seconds",
        kind: Gauge,
        help: "Unix time of the final response's Last-Modified header, in seconds.",
        labels: &[],
        when: "the response has a valid Last-Modified",
        source: Run(One(run::http_last_modified)),
    },
    Family {
        name: "probe_http_redirects",
        kind: Gauge,
        help: "Redirect responses that the last run saw.",
        labels: &[],
        when: HTTP_RUN,
        source: Run(One(run::http_redirects)),
    },
    Family {
        name: "probe_http_ssl",
        kind: Gauge,
        help: "Whether the final response came over TLS (1) or not (0).",
        labels: &[],
        when: HTTP_RUN,
        source: Run(One(run::http_ssl)),
    },
    Family {
        name: "probe_http_status_code",
        kind: Gauge,
        help: "HTTP status of the final response.",
        labels: &[],
        when: HTTP_RUN,
        source: Run(One(run::http_status)),
    },
    Family {
        name: "probe_http_uncompressed_body_length",
        kind: Gauge,
        help: "Bytes of the body that the last run read, after decompression if the module sets one.",
        labels: &[],
        when: RESPONSE,
        source: Run(One(run::http_body_length)),
    },
    Family {
        name: "probe_http_version",
        kind: Gauge,
        help: "HTTP version of the final response: 1, 1.1, 2 or 3.",
        labels: &[],
        when: HTTP_RUN,
        source: Run(One(run::http_version)),
    },
    Family {
        name: "probe_icmp_duration_seconds",
        kind: Gauge,
        help: "Seconds that each phase of the last ICMP run took; rtt is the mean where several packets were answered.",
        labels: &["phase"],
        when: "last run reached the phase (rtt: was answered)",
        source: Run(Each(&[("resolve", run::icmp_resolve), ("setup", run::icmp_setup), ("rtt", run::icmp_rtt)])),
    },
    Family {
        name: "probe_icmp_packet_loss_ratio",
        kind: Gauge,
        help: "Share of the echo requests of the last run that were not answered, from 0 to 1.",
        labels: &[],
        when: PINGED,
        source: Run(One(run::icmp_packet_loss)),
    },
    Family {
        name: "probe_icmp_packets_received",
        kind: Gauge,
        help: "Echo replies that the last run got.",
        labels: &[],
        when: PINGED,
        source: Run(One(run::icmp_packets_received)),
    },
    Family {
        name: "probe_icmp_packets_sent",
        kind: Gauge,
        help: "Echo requests that the last run sent.",
        labels: &[],
        when: PINGED,
        source: Run(One(run::icmp_packets_sent)),
    },
    Family {
        name: "probe_icmp_reply_hop_limit",
        kind: Gauge,
        help: "Hop limit (IPv4: TTL) that the latest echo reply had left.",
        labels: &[],
        when: "last run got an echo reply",
        source: Run(One(run::icmp_reply_hop_limit)),
    },
    Family {
        name: "probe_icmp_rtt_seconds",
        kind: Gauge,
        help: "Seconds of the round trips of the last run: least, mean, most and standard deviation.",
        labels: &["stat"],
        when: "the target has `packets` above 1 and last run got an echo reply",
        source: Run(Each(&[
            ("min", run::icmp_rtt_min),
            ("avg", run::icmp_rtt_avg),
            ("max", run::icmp_rtt_max),
            ("mdev", run::icmp_rtt_mdev),
        ])),
    },
    Family {
        name: "probe_interval_seconds",
        kind: Gauge,
        help: "Seconds between the starts of two runs, as configured.",
        labels: &[],
        when: ALWAYS,
        source: Kept(One(kept::interval)),
    },
    Family {
        name: "probe_ip_addr_hash",
        kind: Gauge,
        help: "FNV-1a hash (32 bits) of the address that the last run used; it changes when the address does.",
        labels: &[],
        when: RESOLVED,
        source: Run(One(run::ip_addr_hash)),
    },
    Family {
        name: "probe_ip_protocol",
        kind: Gauge,
        help: "Family of the address that the last run used: 4 or 6.",
        labels: &[],
        when: RESOLVED,
        source: Run(One(run::ip_protocol)),
    },
    Family {
        name: "probe_last_change_timestamp_seconds",
        kind: Gauge,
        help: "Unix time at which the address, the certificate, the end of the redirects or the Server header was first seen as it is, in seconds.",
        labels: &["what"],
        when: "it was otherwise before",
        source: Kept(Shape::Lines(kept::last_changes)),
    },
    Family {
        name: "probe_last_run_timestamp_seconds",
        kind: Gauge,
        help: "Unix time at which the last run started, in seconds.",
        labels: &[],
        when: ANY_RUN,
        source: Run(One(run::started)),
    },
    Family {
        name: "probe_latency_seconds",
        kind: Histogram,
        help: "Seconds that runs took.",
        labels: &["le"],
        when: "the target has latency buckets",
        source: Kept(Shape::Lines(kept::latency)),
    },
    Family {
        name: "probe_maintenance",
        kind: Gauge,
        help: "Whether a maintenance window is on for the target (1) or not (0).",
        labels: &[],
        when: "the target has a maintenance window",
        source: Kept(One(kept::maintenance)),
    },
    Family {
        name: "probe_maintenance_end_timestamp_seconds",
        kind: Gauge,
        help: "Unix time at which the maintenance window that is on, or else the next one, ends, in seconds.",
        labels: &[],
        when: "the target has a maintenance window that is on or to come",
        source: Kept(One(kept::maintenance_end)),
    },
    Family {
        name: "probe_maintenance_seconds_total",
        kind: Counter,
        help: "Seconds that the target was in maintenance; they count as neither up nor down.",
        labels: &[],
        when: ALWAYS,
        source: Kept(One(kept::maintenance_seconds)),
    },
    Family {
        name: "probe_maintenance_start_timestamp_seconds",
        kind: Gauge,
        help: "Unix time at which the maintenance window that is on, or else the next one, starts, in seconds.",
        labels: &[],
        when: "the target has a maintenance window that is on or to come",
        source: Kept(One(kept::maintenance_start)),
    },
    Family {
        name: "probe_notice_info",
        kind: Gauge,
        help: "Always 1; the operator's words about the target: cause, what is being done, and when there will be news.",
        labels: &["cause", "action", "next_update"],
        when: "a notice is attached",
        source: Kept(Shape::Lines(kept::notice_info)),
    },
    Family {
        name: "probe_outage_start_timestamp_seconds",
        kind: Gauge,
        help: "Unix time of the first failing run of the present outage, in seconds.",
        labels: &[],
        when: "only while down",
        source: Kept(One(kept::outage_start)),
    },
    Family {
        name: "probe_outage_trace_info",
        kind: Gauge,
        help: "Always 1; the trace of the first failing run of the present outage, and where it is to be seen.",
        labels: &["trace_id", "trace_url"],
        when: "only while down, when that run had a trace",
        source: Kept(Shape::Lines(kept::outage_trace_info)),
    },
    Family {
        name: "probe_outages_total",
        kind: Counter,
        help: "Confirmed outages that began.",
        labels: &[],
        when: ALWAYS,
        source: Kept(One(kept::outages)),
    },
    Family {
        name: "probe_path_info",
        kind: Gauge,
        help: "Always 1; how the way to a target that cannot be reached ends, the last hop that answers, and how many hops away that is.",
        labels: &["path_end", "last_hop", "hops"],
        when: "the target fails, and the way to it was traced",
        source: Kept(Shape::Lines(kept::path_info)),
    },
    Family {
        name: "probe_runs_total",
        kind: Counter,
        help: "Runs that ended, by result.",
        labels: &["result"],
        when: ALWAYS,
        source: Kept(Each(&[("success", kept::runs_succeeded), ("failure", kept::runs_failed)])),
    },
    Family {
        name: "probe_shared_cause_info",
        kind: Gauge,
        help: "Always 1; the fact that explains why the target is down together with others.",
        labels: &["kind", "value"],
        when: "down, with a cause that is shared",
        source: Kept(Shape::Lines(kept::shared_cause_info)),
    },
    Family {
        name: "probe_slo_target_ratio",
        kind: Gauge,
        help: "The share of time that the target is to be up, as configured.",
        labels: &[],
        when: "the target has an slo",
        source: Kept(One(kept::slo)),
    },
    Family {
        name: "probe_slow_threshold_seconds",
        kind: Gauge,
        help: "Seconds above which a run of the target is slow, as configured.",
        labels: &[],
        when: "the target has a slow_threshold",
        source: Kept(One(kept::slow_threshold)),
    },
    Family {
        name: "probe_ssl_earliest_cert_expiry",
        kind: Gauge,
        help: "Unix time of the earliest end of validity among the certificates that the peer sent, in seconds.",
        labels: &[],
        when: CHAIN,
        source: Run(One(run::ssl_earliest_expiry)),
    },
    Family {
        name: "probe_ssl_last_chain_expiry_timestamp_seconds",
        kind: Gauge,
        help: "Unix time at which the last of the verified chains ends, in seconds.",
        labels: &[],
        when: "last run verified a chain",
        source: Run(One(run::ssl_last_chain_expiry)),
    },
    Family {
        name: "probe_ssl_last_chain_info",
        kind: Gauge,
        help: "Always 1; what the peer's own certificate says.",
        labels: &["fingerprint_sha256", "subject", "issuer", "subjectalternative", "serialnumber"],
        when: CHAIN,
        source: Run(Shape::Lines(run::ssl_chain_info)),
    },
    Family {
        name: "probe_success",
        kind: Gauge,
        help: "Whether the last run succeeded (1) or not (0). Raw; probe_up is the confirmed state.",
        labels: &[],
        when: ANY_RUN,
        source: Run(One(run::success)),
    },
    Family {
        name: "probe_target_info",
        kind: Gauge,
        help: "Always 1; what is probed, and how.",
        labels: &["url", "module", "prober", "interval", "evidence_url", "display_name"],
        when: ALWAYS,
        source: Kept(Shape::Lines(kept::target_info)),
    },
    Family {
        name: "probe_tcp_duration_seconds",
        kind: Gauge,
        help: "Seconds that each phase of the last TCP run took.",
        labels: &["phase"],
        when: "last run reached the phase",
        source: Run(Each(&[("connect", run::tcp_connect), ("tls", run::tcp_tls)])),
    },
    Family {
        name: "probe_timeout_seconds",
        kind: Gauge,
        help: "Seconds that the last run was given.",
        labels: &[],
        when: ANY_RUN,
        source: Run(One(run::timeout)),
    },
    Family {
        name: "probe_tls_cipher_info",
        kind: Gauge,
        help: "Always 1; the cipher suite of the last HTTP run, by its IANA name.",
        labels: &["cipher"],
        when: "last HTTP run agreed on a cipher suite",
        source: Run(Shape::Lines(run::tls_cipher_info)),
    },
    Family {
        name: "probe_tls_version_info",
        kind: Gauge,
        help: "Always 1; the TLS version of the last run.",
        labels: &["version"],
        when: "last run agreed on a TLS version",
        source: Run(Shape::Lines(run::tls_version_info)),
    },
    Family {
        name: "probe_unknown_seconds_total",
        kind: Counter,
        help: "Seconds in which nothing was known of the target: not confirmed yet, or the exporter was in trouble, cut off or without name servers.",
        labels: &[],
        when: ALWAYS,
        source: Kept(One(kept::unknown_seconds)),
    },
    Family {
        name: "probe_up",
        kind: Gauge,
        help: "Whether the target is confirmed up (1) or confirmed down (0).",
        labels: &[],
        when: "once confirmed",
        source: Kept(One(kept::up)),
    },
    Family {
        name: "probe_up_seconds_total",
        kind: Counter,
        help: "Seconds that the target was up.",
        labels: &[],
        when: ALWAYS,
        source: Kept(One(kept::up_seconds)),
    },
    Family {
        name: "probe_websocket_connection_duration_seconds",
        kind: Gauge,
        help: "Seconds that the handshakes of the last WebSocket run took; that of TLS is a part of the phase processing.",
        labels: &["phase"],
        when: "last run reached the phase",
        source: Run(Each(&[("connect", run::websocket_connect), ("tls", run::websocket_tls)])),
    },
    Family {
        name: "probe_websocket_connection_upgraded",
        kind: Gauge,
        help: "Whether the server of the last run agreed to speak WebSocket (1) or not (0).",
        labels: &[],
        when: "after the first WebSocket run; 0 without an answer",
        source: Run(One(run::websocket_upgraded)),
    },
    Family {
        name: "probe_websocket_duration_seconds",
        kind: Gauge,
        help: "Seconds that each phase of the last WebSocket run took; processing is TLS and the upgrade.",
        labels: &["phase"],
        when: "last run reached the phase",
        source: Run(Each(&[
            ("resolve", run::websocket_resolve),
            ("connect", run::websocket_connect),
            ("processing", run::websocket_processing),
            ("transfer", run::websocket_transfer),
        ])),
    },
    Family {
        name: "probe_websocket_failed_due_to_regex",
        kind: Gauge,
        help: "Whether an expect step of the last WebSocket run failed (1) or not (0).",
        labels: &[],
        when: "last run reached an expect step",
        source: Run(One(run::websocket_failed_regex)),
    },
    Family {
        name: "probe_websocket_status_code",
        kind: Gauge,
        help: "HTTP status with which the server of the last run answered; 101 is a WebSocket.",
        labels: &[],
        when: "after the first WebSocket run; 0 without an answer",
        source: Run(One(run::websocket_status_code)),
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_by_name_and_no_name_is_there_twice() {
        assert!(FAMILIES.windows(2).all(|pair| pair[0].name < pair[1].name));
    }

    #[test]
    fn names_follow_the_naming_rules_of_prometheus() {
        for family in FAMILIES {
            let name = family.name;
            assert!(name.starts_with("probe_"), "{name}");
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'), "{name}");
            assert_eq!(family.kind == Counter, name.ends_with("_total"), "{name}");
            assert_eq!(name.ends_with("_info"), family.help.starts_with("Always 1;"), "{name}");
        }
    }

    #[test]
    fn help_needs_no_escaping_and_is_one_sentence_or_two() {
        for family in FAMILIES {
            assert!(!family.help.contains(['\\', '\n', '|']), "{}", family.name);
            assert!(family.help.ends_with('.'), "{}", family.name);
        }
    }

    #[test]
    fn the_config_knows_the_labels_of_the_families() {
        let labels: std::collections::BTreeSet<&str> =
            FAMILIES.iter().flat_map(|family| family.labels).copied().filter(|label| *label != "*").collect();
        assert_eq!(labels, crate::config::value::SERIES_LABELS.iter().copied().collect());
    }
}
