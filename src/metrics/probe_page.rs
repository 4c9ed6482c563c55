//! The page of `/probe`: one run, without a target's labels, and with the zeros that the incumbent shows for what was
//! not reached. Dashboards written for it divide by them and add them up, so they are a part of being its replacement;
//! the page of `/metrics` leaves such samples out instead.
//!
//! What the run shows comes from [`FAMILIES`], the same as everywhere; [`ZEROS`] is all that is added.

use super::family::{FAMILIES, Shape, Source};
use super::text::Lines;
use crate::config::ModuleSettings;
use crate::observation::{Detail, Observation};

use Probers::{Dns, Grpc, Http, Icmp, Streams, Websocket};
use When::{Accepted, Always, Called, HasCel, Resolved, Sent};

/// A sample that the incumbent has where the run has no fact.
struct Zero {
    probers: Probers,
    family: &'static str,
    /// Values of the family's label; none for a family without one.
    labels: &'static [&'static str],
    when: When,
    value: f64,
}

/// Whose page it is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Probers {
    Http,
    /// tcp and unix.
    Streams,
    Dns,
    Icmp,
    Grpc,
    Websocket,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    Always,
    /// A CEL rule is configured.
    HasCel,
    /// The name was looked up, whether or not it has an address.
    Resolved,
    /// The request was about to be sent: there is an address, or a proxy that will find one.
    Sent,
    /// The call was made, or failed: there is an address.
    Called,
    /// A TLS handshake was accepted.
    Accepted,
}

const fn zero(probers: Probers, family: &'static str, labels: &'static [&'static str], when: When) -> Zero {
    Zero { probers, family, labels, when, value: 0.0 }
}

const NONE: &[&str] = &[];
/// The zero time of Go, which the incumbent gives as the expiry of no verified chain.
const GO_ZERO_TIME: f64 = -62_135_596_800.0;
const CHAIN_EXPIRY: &str = "probe_ssl_last_chain_expiry_timestamp_seconds";

/// By prober, in the order of the page.
const ZEROS: &[Zero] = &[
    zero(Http, "probe_failed_due_to_cel", NONE, HasCel),
    zero(Http, "probe_failed_due_to_regex", NONE, Always),
    zero(Http, "probe_http_content_length", NONE, Always),
    zero(Http, "probe_http_duration_seconds", &["resolve"], Resolved),
    zero(Http, "probe_http_duration_seconds", &["connect", "tls", "processing", "transfer"], Sent),
    zero(Http, "probe_http_redirects", NONE, Always),
    zero(Http, "probe_http_ssl", NONE, Always),
    zero(Http, "probe_http_status_code", NONE, Always),
    zero(Http, "probe_http_uncompressed_body_length", NONE, Always),
    zero(Http, "probe_http_version", NONE, Always),
    zero(Http, "probe_ip_addr_hash", NONE, Resolved),
    zero(Http, "probe_ip_protocol", NONE, Resolved),
    Zero { value: GO_ZERO_TIME, ..zero(Http, CHAIN_EXPIRY, NONE, Accepted) },
    zero(Streams, "probe_ip_addr_hash", NONE, Resolved),
    zero(Streams, "probe_ip_protocol", NONE, Resolved),
    Zero { value: GO_ZERO_TIME, ..zero(Streams, CHAIN_EXPIRY, NONE, Accepted) },
    zero(Dns, "probe_dns_additional_rrs", NONE, Always),
    zero(Dns, "probe_dns_answer_rrs", NONE, Always),
    zero(Dns, "probe_dns_authority_rrs", NONE, Always),
    zero(Dns, "probe_dns_duration_seconds", &["resolve", "connect", "request"], Always),
    zero(Dns, "probe_dns_query_succeeded", NONE, Always),
    zero(Dns, "probe_ip_addr_hash", NONE, Resolved),
    zero(Dns, "probe_ip_protocol", NONE, Resolved),
    zero(Icmp, "probe_icmp_duration_seconds", &["resolve", "setup", "rtt"], Always),
    zero(Icmp, "probe_ip_addr_hash", NONE, Resolved),
    zero(Icmp, "probe_ip_protocol", NONE, Resolved),
    zero(Grpc, "probe_grpc_duration_seconds", &["resolve"], Always),
    zero(Grpc, "probe_grpc_duration_seconds", &["check"], Called),
    zero(Grpc, "probe_grpc_healthcheck_response", &["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"], Called),
    zero(Grpc, "probe_grpc_ssl", NONE, Always),
    zero(Grpc, "probe_grpc_status_code", NONE, Always),
    zero(Grpc, "probe_ip_addr_hash", NONE, Resolved),
    zero(Grpc, "probe_ip_protocol", NONE, Resolved),
    zero(Websocket, "probe_ip_addr_hash", NONE, Resolved),
    zero(Websocket, "probe_ip_protocol", NONE, Resolved),
    zero(Websocket, "probe_websocket_connection_upgraded", NONE, Always),
    zero(Websocket, "probe_websocket_duration_seconds", &["resolve", "connect", "processing"], Always),
    zero(Websocket, "probe_websocket_failed_due_to_regex", NONE, Always),
    zero(Websocket, "probe_websocket_status_code", NONE, Always),
];

/// Families of a run that only mean something on the page of all targets.
const NOT_HERE: &[&str] = &["probe_last_run_timestamp_seconds"];

/// One run of a module as Prometheus text.
pub fn probe_page(run: &Observation, module: &ModuleSettings) -> String {
    let zeros: Vec<&Zero> =
        ZEROS.iter().filter(|zero| Some(zero.probers) == probers(module) && zero.when.is_so(run, module)).collect();
    let zero = |family: &str, label: Option<&str>| {
        let found = zeros.iter().find(|zero| {
            zero.family == family && label.map_or(zero.labels.is_empty(), |label| zero.labels.contains(&label))
        })?;
        Some(found.value)
    };
    let mut out = Vec::with_capacity(8 * 1024);
    for family in FAMILIES.iter().filter(|family| !NOT_HERE.contains(&family.name)) {
        let Source::Run(shape) = &family.source else { continue };
        let mut headed = false;
        let no_labels = |_: &str| false;
        let mut lines = Lines::new(&mut out, family, &mut headed, b"", &no_labels);
        match shape {
            Shape::One(read) => {
                if let Some(value) = read(run).or_else(|| zero(family.name, None)) {
                    lines.sample(&[], value);
                }
            }
            Shape::Each(all) => {
                for (label, read) in *all {
                    if let Some(value) = read(run).or_else(|| zero(family.name, Some(label))) {
                        lines.sample(&[(family.labels[0], label)], value);
                    }
                }
            }
            Shape::Lines(write) => write(run, &mut lines),
        }
    }
    String::from_utf8(out).unwrap_or_default()
}

fn probers(module: &ModuleSettings) -> Option<Probers> {
    Some(match module {
        ModuleSettings::Http(_) => Http,
        ModuleSettings::Tcp(_) | ModuleSettings::Unix(_) => Streams,
        ModuleSettings::Dns(_) => Dns,
        ModuleSettings::Icmp(_) => Icmp,
        ModuleSettings::Grpc(_) => Grpc,
        ModuleSettings::Websocket(_) => Websocket,
        ModuleSettings::Unusable(_) => return None,
    })
}

impl When {
    fn is_so(self, run: &Observation, module: &ModuleSettings) -> bool {
        let has_address = run.resolution.as_ref().map(|resolution| resolution.chosen.is_some());
        match self {
            Always => true,
            HasCel => {
                let ModuleSettings::Http(http) = module else { return false };
                http.fail_if_json_matches.is_some() || http.fail_if_json_not_matches.is_some()
            }
            Resolved => run.resolution.is_some(),
            // A proxy that looks the name up is the only reason not to have looked it up by then.
            Sent => matches!(run.detail, Detail::Http(_)) && has_address.unwrap_or(true),
            Called => has_address == Some(true),
            Accepted => run.tls.as_ref().is_some_and(|tls| tls.verify_error.is_none() && tls.version.is_some()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Duration;

    use super::*;
    use crate::config::{self, Config};
    use crate::metrics::fixture::{expired, good_https};
    use crate::observation::{Failure, HttpDetail, Outcome, Reason, Resolution};
    use crate::state::tests::down;

    fn config() -> Config {
        let text = "modules:
  web: {prober: http}
  cel: {prober: http, http: {fail_if_body_json_matches_cel: body.x == 1}}
  proxied: {prober: http, http: {proxy_url: 'http://proxy:3128'}}
  tcp: {prober: tcp}
  rpc: {prober: grpc, grpc: {tls: true}}
  socket: {prober: websocket}
  name: {prober: dns, dns: {query_name: example.com}}
  ping: {prober: icmp}
";
        config::Source::new("t.yaml", text).config().unwrap()
    }

    /// The page without comments, its own metric of reasons, and times.
    fn page(module: &str, run: &Observation) -> Vec<String> {
        let page = probe_page(run, &config().modules[module].settings);
        let mut before = String::new();
        for head in page.lines().filter_map(|line| line.strip_prefix("# HELP ")) {
            assert!(before.as_str() < head, "sorted: {head}");
            before = head.to_owned();
        }
        assert!(page.lines().all(|line| !line.contains("target=")), "{page}");
        let own = ["probe_success", "probe_timeout_seconds", "probe_duration_seconds", "probe_failure_info"];
        let samples = page.lines().filter(|line| !line.starts_with('#'));
        samples.filter(|line| !own.iter().any(|own| line.starts_with(own))).map(str::to_owned).collect()
    }

    fn nowhere() -> Option<Resolution> {
        Some(Resolution { elapsed: Duration::ZERO, addresses: Box::default(), chosen: None, lookup: None })
    }

    fn found() -> Option<Resolution> {
        let address = [127, 0, 0, 1].into();
        Some(Resolution {
            elapsed: Duration::ZERO,
            addresses: Box::new([address]),
            chosen: Some(address),
            lookup: None,
        })
    }

    const HTTP_ZEROS: [&str; 7] = [
        "probe_failed_due_to_regex 0",
        "probe_http_content_length 0",
        "probe_http_redirects 0",
        "probe_http_ssl 0",
        "probe_http_status_code 0",
        "probe_http_uncompressed_body_length 0",
        "probe_http_version 0",
    ];

    #[test]
    fn every_zero_is_of_a_family_that_a_run_can_have() {
        for zero in ZEROS {
            let family = FAMILIES.iter().find(|family| family.name == zero.family);
            let family = family.unwrap_or_else(|| panic!("{}", zero.family));
            match &family.source {
                Source::Run(Shape::One(_)) => assert!(zero.labels.is_empty(), "{}", zero.family),
                Source::Run(Shape::Each(all)) => {
                    for label in zero.labels {
                        assert!(all.iter().any(|(value, _)| value == label), "{} {label}", zero.family);
                    }
                }
                Source::Run(Shape::Lines(_)) | Source::Kept(_) => panic!("{}", zero.family),
            }
        }
    }

    // What blackbox_exporter shows was read off a running one.
    #[test]
    fn an_http_run_without_an_address_has_the_incumbents_samples() {
        let run =
            Observation { resolution: nowhere(), detail: Detail::Http(Box::default()), ..down(Reason::DnsNxdomain) };
        let mut expected: Vec<String> = HTTP_ZEROS.iter().map(ToString::to_string).collect();
        expected.push("probe_http_duration_seconds{phase=\"resolve\"} 0".to_owned());
        expected
            .extend(["dns_lookup_time_seconds", "ip_protocol", "ip_addr_hash"].map(|name| format!("probe_{name} 0")));
        expected.sort();
        let mut found = page("web", &run);
        found.sort();
        assert_eq!(found, expected);
        assert!(page("cel", &run).contains(&"probe_failed_due_to_cel 0".to_owned()));
    }

    #[test]
    fn an_http_run_that_was_refused_has_every_phase() {
        let mut detail = HttpDetail::default();
        detail.phases.resolve = Some(Duration::ZERO);
        let run =
            Observation { resolution: found(), detail: Detail::Http(Box::new(detail)), ..down(Reason::ConnectRefused) };
        let lines = page("web", &run);
        for phase in ["resolve", "connect", "tls", "processing", "transfer"] {
            let line = format!("probe_http_duration_seconds{{phase=\"{phase}\"}} 0");
            assert!(lines.contains(&line), "{line}: {lines:?}");
        }
        assert!(lines.contains(&"probe_ip_addr_hash 3668918509".to_owned()), "{lines:?}");
        assert!(!lines.iter().any(|line| line.contains("_ssl_") || line.contains("_tls_")), "{lines:?}");
    }

    #[test]
    fn a_name_that_a_proxy_looks_up_has_no_address_here() {
        let run = Observation { detail: Detail::Http(Box::default()), ..down(Reason::ProxyError) };
        let lines = page("proxied", &run);
        assert!(!lines.iter().any(|line| line.contains("probe_ip_") || line.contains("resolve")), "{lines:?}");
        assert!(lines.contains(&"probe_http_duration_seconds{phase=\"connect\"} 0".to_owned()), "{lines:?}");
    }

    #[test]
    fn a_run_that_could_not_begin_has_what_is_there_always() {
        let mut lines = page("web", &down(Reason::Internal));
        lines.sort();
        assert_eq!(lines, HTTP_ZEROS);
        assert_eq!(page("tcp", &down(Reason::Internal)), [""; 0]);
    }

    #[test]
    fn refused_certificates_are_shown_and_an_unverified_chain_ends_at_the_zero_time_of_go() {
        let lines = page("web", &expired());
        assert!(lines.iter().any(|line| line.starts_with("probe_ssl_earliest_cert_expiry ")), "{lines:?}");
        assert!(!lines.iter().any(|line| line.starts_with(CHAIN_EXPIRY)), "{lines:?}");
        assert!(lines.contains(&"probe_http_ssl 0".to_owned()), "no response came: {lines:?}");
        let mut unverified = good_https();
        if let Some(tls) = &mut unverified.tls {
            tls.last_chain_expiry = None;
        }
        let line = format!("{CHAIN_EXPIRY} -62135596800");
        assert!(page("web", &unverified).contains(&line));
        // The incumbent has no such family there.
        unverified.detail = Detail::Grpc(Box::default());
        assert!(!page("rpc", &unverified).contains(&line));
    }

    #[test]
    fn a_stream_has_nothing_but_its_address_before_it_is_connected() {
        let run =
            Observation { resolution: nowhere(), detail: Detail::Tcp(Box::default()), ..down(Reason::DnsNxdomain) };
        assert_eq!(
            page("tcp", &run),
            ["probe_dns_lookup_time_seconds 0", "probe_ip_addr_hash 0", "probe_ip_protocol 0"]
        );
    }

    #[test]
    fn a_call_without_an_answer_has_the_status_of_gos_client() {
        let run = |resolution, reason| Observation { resolution, detail: Detail::Grpc(Box::default()), ..down(reason) };
        for (resolution, reason, status) in [
            (nowhere(), Reason::DnsNxdomain, 0),
            (found(), Reason::ConnectRefused, 14),
            (found(), Reason::ConnectTimeout, 4),
        ] {
            let called = resolution.as_ref().unwrap().chosen.is_some();
            let lines = page("rpc", &run(resolution, reason));
            assert!(lines.contains(&format!("probe_grpc_status_code {status}")), "{lines:?}");
            assert!(lines.contains(&"probe_grpc_ssl 0".to_owned()), "{lines:?}");
            assert_eq!(
                lines.iter().filter(|line| line.contains("healthcheck_response")).count(),
                if called { 4 } else { 0 }
            );
            assert_eq!(lines.iter().any(|line| line.contains("phase=\"check\"")), called);
        }
    }

    #[test]
    fn a_websocket_that_was_not_opened_has_its_zeros() {
        let run = Observation {
            resolution: nowhere(),
            detail: Detail::Websocket(Box::default()),
            ..down(Reason::DnsTimeout)
        };
        let lines = page("socket", &run);
        for line in ["probe_websocket_connection_upgraded 0", "probe_websocket_status_code 0"] {
            assert!(lines.contains(&line.to_owned()), "{lines:?}");
        }
        assert!(!lines.iter().any(|line| line.contains("transfer")), "{lines:?}");
    }

    #[test]
    fn a_question_without_an_answer_has_its_zeros() {
        let run = Observation { resolution: found(), detail: Detail::Dns(Box::default()), ..down(Reason::DnsTimeout) };
        let lines = page("name", &run);
        for line in ["probe_dns_answer_rrs 0", "probe_dns_query_succeeded 0", "probe_ip_protocol 4"] {
            assert!(lines.contains(&line.to_owned()), "{line}: {lines:?}");
        }
        for phase in ["resolve", "connect", "request"] {
            assert!(lines.contains(&format!("probe_dns_duration_seconds{{phase=\"{phase}\"}} 0")), "{lines:?}");
        }
        for absent in ["probe_dns_serial", "probe_dns_rcode", "probe_dns_truncated"] {
            assert!(!lines.iter().any(|line| line.starts_with(absent)), "{lines:?}");
        }
    }

    #[test]
    fn a_ping_without_an_address_has_its_zeros() {
        let run =
            Observation { resolution: nowhere(), detail: Detail::Icmp(Box::default()), ..down(Reason::DnsNxdomain) };
        let lines = page("ping", &run);
        for phase in ["resolve", "setup", "rtt"] {
            assert!(lines.contains(&format!("probe_icmp_duration_seconds{{phase=\"{phase}\"}} 0")), "{lines:?}");
        }
        assert!(!lines.iter().any(|line| line.starts_with("probe_icmp_reply_hop_limit")), "{lines:?}");
    }

    #[test]
    fn the_reason_comes_on_top() {
        let failure = Failure::new(Reason::TargetForbidden, "no");
        let run = Observation { outcome: Outcome::Down(failure), ..down(Reason::Internal) };
        let page = probe_page(&run, &config().modules["web"].settings);
        assert!(page.contains("probe_failure_info{reason=\"target_forbidden\"} 1\n"), "{page}");
        assert!(page.contains("probe_success 0\n"), "{page}");
    }
}
