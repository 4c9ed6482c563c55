//! The page as a whole: the golden file, and a small parser that every page must satisfy.

#![allow(clippy::unwrap_used)]

mod open_metrics;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use proptest::prelude::*;

use super::fixture::{self, complete, http_target, many};
use super::{FAMILIES, Format, Kind, Page, run};
use crate::state::{Snapshot, TargetSnapshot};

fn text(snapshot: Snapshot) -> String {
    pieces(Page::new(Format::Text, snapshot, &[]))
}

fn pieces(page: Page) -> String {
    let mut text = Vec::new();
    for piece in page {
        text.extend_from_slice(&piece);
    }
    String::from_utf8(text).unwrap()
}

#[derive(Debug, PartialEq)]
struct Sample {
    name: String,
    labels: Vec<(String, String)>,
    value: f64,
}

impl Sample {
    fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

/// Reads a page strictly: every family once, sorted, HELP then TYPE before its samples, no series twice.
fn parse(text: &str) -> Vec<Sample> {
    let mut samples = Vec::new();
    let mut family: Option<(String, String)> = None;
    let mut before = String::new();
    let mut helped: Option<String> = None;
    let mut seen = BTreeSet::new();
    assert!(text.is_empty() || text.ends_with('\n'));
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let name = help.split(' ').next().unwrap();
            assert!(before.as_str() < name, "{name} after {before}");
            before = name.to_owned();
            helped = Some(name.to_owned());
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            assert_eq!(helped.take().as_deref(), Some(name));
            family = Some((name.to_owned(), kind.to_owned()));
        } else {
            let sample = parse_sample(line);
            let (name, kind) = family.as_ref().unwrap();
            let suffixes: &[&str] = if kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
            assert!(suffixes.iter().any(|suffix| sample.name == format!("{name}{suffix}")), "{line} in {name}");
            let mut labels = sample.labels.clone();
            labels.sort();
            assert!(labels.windows(2).all(|pair| pair[0].0 != pair[1].0), "a label twice: {line}");
            assert!(seen.insert((sample.name.clone(), labels)), "a series twice: {line}");
            samples.push(sample);
        }
    }
    assert_eq!(helped, None, "a family without samples");
    samples
}

fn parse_sample(line: &str) -> Sample {
    let (name, labels, value) = labels(line);
    let value = if value == "+Inf" { f64::INFINITY } else { value.parse().unwrap() };
    Sample { name, labels, value }
}

/// Name and labels of a sample, and what follows them.
fn labels(line: &str) -> (String, Vec<(String, String)>, &str) {
    let name_end = line.find(['{', ' ']).unwrap();
    let (name, mut rest) = line.split_at(name_end);
    let mut labels = Vec::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        loop {
            let (label, after) = rest.split_once("=\"").unwrap();
            assert!(super::text::is_label_name(label), "{line}");
            let mut value = String::new();
            let mut characters = after.char_indices();
            let end = loop {
                match characters.next().unwrap() {
                    (_, '\\') => value.push(match characters.next().unwrap().1 {
                        'n' => '\n',
                        '"' => '"',
                        '\\' => '\\',
                        other => panic!("\\{other} in {line}"),
                    }),
                    (at, '"') => break at,
                    (_, character) => value.push(character),
                }
            };
            labels.push((label.to_owned(), value));
            rest = &after[end + 1..];
            if let Some(after) = rest.strip_prefix(',') {
                rest = after;
            } else {
                rest = rest.strip_prefix('}').unwrap();
                break;
            }
        }
    }
    (name.to_owned(), labels, rest.strip_prefix(' ').unwrap())
}

/// Holds `page` against a file of `tests/golden`.
fn golden(file: &str, page: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, page).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    for (number, (ours, theirs)) in page.lines().zip(golden.lines()).enumerate() {
        assert_eq!(ours, theirs, "line {}; UPDATE_GOLDEN=1 rewrites the file", number + 1);
    }
    assert_eq!(page.len(), golden.len(), "UPDATE_GOLDEN=1 rewrites the file");
}

#[test]
fn the_page_is_the_golden_one() {
    let page = text(complete());
    golden("metrics.txt", &page);
    parse(&page);
}

#[test]
fn the_golden_page_has_every_family() {
    let samples = parse(&text(complete()));
    for family in FAMILIES {
        let suffix = if family.kind == Kind::Histogram { "_count" } else { "" };
        assert!(samples.iter().any(|sample| sample.name == format!("{}{suffix}", family.name)), "{}", family.name);
    }
}

#[test]
fn the_table_names_the_labels_that_the_page_has() {
    let of: BTreeMap<&str, &[&str]> = FAMILIES.iter().map(|family| (family.name, family.labels)).collect();
    for sample in parse(&text(complete())) {
        let Some(labels) = of.get(sample.name.as_str()).filter(|labels| **labels != ["*"]) else { continue };
        let own: Vec<&str> = sample
            .labels
            .iter()
            .map(|(name, _)| name.as_str())
            .filter(|name| !["target", "region", "team", "note"].contains(name))
            .collect();
        assert_eq!(own, *labels, "{}", sample.name);
    }
}

#[test]
fn a_target_that_never_ran_has_its_counters_and_nothing_made_up() {
    let samples = parse(&text(complete()));
    let names: BTreeSet<&str> =
        samples.iter().filter(|s| s.label("target") == Some("new")).map(|s| s.name.as_str()).collect();
    assert_eq!(
        names.into_iter().collect::<Vec<_>>(),
        [
            "probe_blips_total",
            "probe_down_seconds_total",
            "probe_interval_seconds",
            "probe_maintenance_seconds_total",
            "probe_outages_total",
            "probe_runs_total",
            "probe_target_info",
            "probe_unknown_seconds_total",
            "probe_up_seconds_total",
        ]
    );
}

#[test]
fn an_expired_certificate_shows_its_expiry_and_no_verified_chain() {
    let samples = parse(&text(complete()));
    let has = |name: &str| samples.iter().any(|s| s.name == name && s.label("target") == Some("expired"));
    assert!(has("probe_ssl_earliest_cert_expiry"));
    assert!(has("probe_ssl_last_chain_info"));
    assert!(!has("probe_ssl_last_chain_expiry_timestamp_seconds"));
    for name in ["content_length", "redirects", "ssl", "status_code", "version"] {
        let name = format!("probe_http_{name}");
        let sample = samples.iter().find(|s| s.name == name && s.label("target") == Some("expired"));
        assert_eq!(sample.map(|s| s.value), Some(0.0), "{name}: rules on a value go on where no response came");
    }
}

#[test]
fn a_collected_label_never_clashes_with_the_targets_own() {
    let samples = parse(&text(complete()));
    let info: Vec<&Sample> = samples.iter().filter(|s| s.name == "probe_expect_info").collect();
    assert_eq!(info.len(), 2, "equal steps are one series");
    assert_eq!(info[0].label("team"), Some("post"));
    assert_eq!(info[0].label("expect_team"), Some("from the peer"));
}

#[test]
fn the_exporters_own_families_are_in_their_place() {
    let telemetry = crate::telemetry::Telemetry::new();
    telemetry.http_requests.with_label_values(&["200"]).inc();
    let own = telemetry.registry.gather();
    let page = pieces(Page::new(Format::Text, complete(), &own));
    let samples = parse(&page);
    for family in &own {
        let name = family.name();
        assert!(!FAMILIES.iter().any(|ours| ours.name == name), "{name}");
        assert!(samples.iter().any(|sample| sample.name.starts_with(name)), "{name}");
    }
    assert!(page.starts_with("# HELP blackbox_exporter_build_info "));
}

#[test]
fn a_page_without_targets_is_empty() {
    assert_eq!(text(Snapshot { taken: fixture::now(), targets: Vec::new() }), "");
}

#[test]
fn a_large_page_comes_in_pieces_and_is_the_same_page() {
    let mut longest = 0;
    let mut whole = Vec::new();
    let mut count = 0;
    for piece in Page::new(Format::Text, many(500), &[]) {
        longest = longest.max(piece.len());
        whole.extend_from_slice(&piece);
        count += 1;
    }
    assert!(longest < Page::PIECE + 4096, "{longest}");
    assert!(count >= whole.len() / (Page::PIECE + 4096), "{count}");
    let samples = parse(std::str::from_utf8(&whole).unwrap());
    let mut by_target: BTreeMap<&str, u32> = BTreeMap::new();
    for sample in &samples {
        *by_target.entry(sample.label("target").unwrap()).or_default() += 1;
    }
    assert_eq!(by_target.len(), 500);
    assert_eq!(by_target.values().collect::<BTreeSet<_>>().len(), 1, "each target has as many samples");
}

fn with_labels(name: &str, labels: &[(&str, &str)]) -> TargetSnapshot {
    let mut target = complete().targets.remove(0);
    target.target = http_target(name, labels, &[]);
    target.last = Some(Arc::new(fixture::good_https()));
    target
}

/// The common relabelling `__param_module -> module`, and what else people call their labels.
#[test]
fn a_label_of_the_target_is_on_every_series_but_those_that_have_one_of_that_name() {
    use crate::config::value::SERIES_LABELS;

    let own: BTreeMap<&str, &[&str]> = FAMILIES.iter().map(|family| (family.name, family.labels)).collect();
    for labels in SERIES_LABELS.iter().map(|name| vec![*name]).chain([SERIES_LABELS.to_vec()]) {
        let of_target: Vec<(&str, &str)> = labels.iter().map(|name| (*name, "of the target")).collect();
        let mut snapshot = complete();
        for target in &mut snapshot.targets {
            Arc::get_mut(&mut target.target).unwrap().labels = fixture::labels(&of_target);
        }
        let plain = parse(&text(complete()));
        let samples = parse(&text(snapshot));
        assert_eq!(samples.len(), plain.len());
        for sample in samples {
            let family = own.get(sample.name.as_str()).copied().unwrap_or_else(|| {
                let name = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| sample.name.strip_suffix(suffix));
                own[name.unwrap()]
            });
            for label in &labels {
                let value = sample.label(label);
                if family.contains(label) && !sample.name.ends_with("_sum") && !sample.name.ends_with("_count") {
                    assert_ne!(value, Some("of the target"), "{label} of {}", sample.name);
                } else if family.contains(label) {
                    assert_eq!(value, None, "{label} of {}", sample.name);
                } else if family != ["*"] {
                    assert_eq!(value, Some("of the target"), "{label} of {}", sample.name);
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn any_name_and_label_value_comes_back_as_it_was(
        name in "[^\\p{Cc}]{0,20}[a-z][^\\p{Cc}]{0,20}",
        value in "(?s).{0,40}",
        other in "[\\\\\"\n,={} ]{0,12}",
    ) {
        let target = with_labels(&name, &[("region", &value), ("team", &other)]);
        let samples = parse(&text(Snapshot { taken: fixture::now(), targets: vec![target] }));
        prop_assert!(samples.len() > 25);
        for sample in samples {
            prop_assert_eq!(sample.label("target"), Some(name.as_str()));
            prop_assert_eq!(sample.label("region"), Some(value.as_str()));
            prop_assert_eq!(sample.label("team"), Some(other.as_str()));
        }
    }
}

#[test]
fn a_failed_run_has_the_values_that_rules_of_the_incumbent_go_by() {
    use crate::observation::{Detail, Observation, Reason, Resolution};
    use crate::state::tests::down;
    let address = [127, 0, 0, 1].into();
    let resolution = Resolution {
        elapsed: std::time::Duration::ZERO,
        addresses: Box::new([address]),
        chosen: Some(address),
        lookup: None,
    };
    let refused = |detail| Observation { resolution: Some(resolution.clone()), detail, ..down(Reason::ConnectRefused) };
    let grpc = refused(Detail::Grpc(Box::default()));
    assert_eq!((run::grpc_status_code(&grpc), run::grpc_serving(&grpc)), (Some(14.0), Some(0.0)));
    let unresolved = Observation { resolution: None, ..grpc };
    assert_eq!((run::grpc_status_code(&unresolved), run::grpc_serving(&unresolved)), (None, None), "0 would be OK");
    let websocket = refused(Detail::Websocket(Box::default()));
    assert_eq!((run::websocket_status_code(&websocket), run::websocket_upgraded(&websocket)), (Some(0.0), Some(0.0)));
    let dns = refused(Detail::Dns(Box::default()));
    assert_eq!(run::dns_query_succeeded(&dns), Some(0.0));
}

/// `sum by (instance) (probe_grpc_duration_seconds)` is the run, as with the incumbent, and its phases are the
/// incumbent's.
#[test]
fn families_of_the_incumbent_have_its_phases_and_no_others() {
    let theirs: &[(&str, &[&str])] = &[
        ("probe_dns_duration_seconds", &["resolve", "connect", "request"]),
        ("probe_grpc_duration_seconds", &["resolve", "check"]),
        ("probe_grpc_healthcheck_response", &["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"]),
        ("probe_http_duration_seconds", &["resolve", "connect", "tls", "processing", "transfer"]),
        ("probe_icmp_duration_seconds", &["resolve", "setup", "rtt"]),
        ("probe_websocket_duration_seconds", &["resolve", "connect", "processing", "transfer"]),
    ];
    for (name, phases) in theirs {
        let family = FAMILIES.iter().find(|family| family.name == *name).unwrap();
        let ours: Vec<&str> = super::page::reads(family).into_iter().filter_map(|(value, _)| value).collect();
        assert_eq!(ours, *phases, "{name}");
    }
    let samples = parse(&text(complete()));
    let sum = |name: &str, phases: &[&str]| -> f64 {
        let of = |s: &&Sample| s.name == name && phases.contains(&s.label("phase").unwrap());
        samples.iter().filter(of).map(|sample| sample.value).sum()
    };
    assert_eq!(sum("probe_grpc_duration_seconds", &["check"]), 0.006, "connect, tls and the call");
    assert_eq!(sum("probe_grpc_connection_duration_seconds", &["connect", "tls"]), 0.003);
    assert_eq!(sum("probe_websocket_duration_seconds", &["processing"]), 0.005, "tls and the upgrade");
}
