//! The page as OpenMetrics: a reader that is as strict as the specification, and the samples of the text beside it.
//! <https://github.com/prometheus/OpenMetrics/blob/v1.0.0/specification/OpenMetrics.md>

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::{Sample, fixture, golden, labels, pieces, with_labels};
use crate::metrics::fixture::{complete, many};
use crate::metrics::{FAMILIES, Format, Kind, Page};
use crate::state::Snapshot;

fn open(snapshot: Snapshot) -> String {
    pieces(Page::new(Format::OpenMetrics1, snapshot, &[]))
}

/// What a family says of itself.
#[derive(Debug, Default)]
struct Head {
    name: String,
    kind: String,
    unit: String,
    helped: bool,
}

/// The suffixes that the samples of a type have, the first being the one that each must have.
fn suffixes(kind: &str) -> &'static [&'static str] {
    match kind {
        "counter" => &["_total", "_created"],
        "gauge" | "unknown" => &[""],
        "histogram" => &["_bucket", "_sum", "_count", "_created"],
        _ => panic!("we have no {kind}"),
    }
}

/// Reads a page strictly.
fn parse(text: &str) -> Vec<Sample> {
    let body = text.strip_suffix("# EOF\n").expect("the end is marked");
    assert!(body.is_empty() || body.ends_with('\n'));
    let mut samples = Vec::new();
    let (mut head, mut families, mut seen) = (Head::default(), BTreeMap::new(), BTreeSet::new());
    for line in body.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let (what, rest) = comment.split_once(' ').unwrap();
            let (name, value) = rest.split_once(' ').unwrap();
            if head.name != name {
                head = Head { name: name.to_owned(), ..Head::default() };
                assert!(families.insert(name.to_owned(), String::new()).is_none(), "{name} twice");
            }
            match what {
                "HELP" => {
                    assert!(!head.helped, "{line}");
                    head.helped = true;
                    let mut rest = value;
                    while let Some(at) = rest.find(['\\', '"']) {
                        assert_eq!(rest.as_bytes()[at], b'\\', "{line}");
                        assert!(matches!(rest.as_bytes()[at + 1], b'\\' | b'"' | b'n'), "{line}");
                        rest = &rest[at + 2..];
                    }
                }
                "TYPE" => {
                    assert_eq!(head.kind, "", "{line}");
                    value.clone_into(&mut head.kind);
                    families.insert(name.to_owned(), head.kind.clone());
                }
                "UNIT" => {
                    assert_eq!(head.unit, "", "{line}");
                    value.clone_into(&mut head.unit);
                    assert!(name.ends_with(&format!("_{value}")), "{line}");
                }
                _ => panic!("{line}"),
            }
            continue;
        }
        let sample = sample(line);
        let suffix = sample.name.strip_prefix(&head.name).unwrap_or_else(|| panic!("{line} in {head:?}"));
        assert!(suffixes(&head.kind).contains(&suffix), "{line} in {head:?}");
        let mut labels = sample.labels.clone();
        labels.sort();
        assert!(labels.windows(2).all(|pair| pair[0].0 != pair[1].0), "a label twice: {line}");
        assert!(seen.insert((sample.name.clone(), labels)), "a series twice: {line}");
        samples.push(sample);
    }
    // No sample of one family may look like one of another.
    let mut names = BTreeSet::new();
    for (name, kind) in &families {
        for suffix in suffixes(kind) {
            assert!(names.insert(format!("{name}{suffix}")), "{name}{suffix} is ambiguous");
        }
    }
    for bucket in samples.iter().filter(|sample| sample.name.ends_with("_bucket")) {
        let le = bucket.label("le").unwrap();
        assert!(le == "+Inf" || le.contains(['.', 'e']), "{bucket:?}");
    }
    samples
}

fn sample(line: &str) -> Sample {
    let (name, labels, rest) = labels(line);
    let (value, exemplar) = rest.split_once(" # ").map_or((rest, None), |(value, exemplar)| (value, Some(exemplar)));
    if let Some(text) = exemplar {
        assert!(name.ends_with("_total") || name.ends_with("_bucket"), "no place for an exemplar: {line}");
        let text = format!("e{text}");
        let (_, own, rest) = super::labels(&text);
        let length: usize = own.iter().map(|(name, value)| name.chars().count() + value.chars().count()).sum();
        assert!(length <= 128, "{line}");
        let numbers: Vec<f64> = rest.split(' ').map(|number| number.parse().unwrap()).collect();
        assert!(numbers.len() == 1 || numbers.len() == 2, "{line}");
        if let Some((_, le)) = labels.iter().find(|(name, _)| name == "le") {
            assert!(numbers[0] <= le.parse().unwrap(), "{line}");
        }
    }
    let value = if value == "+Inf" { f64::INFINITY } else { value.parse().unwrap() };
    Sample { name, labels, value }
}

#[test]
fn the_page_is_the_golden_one() {
    let page = open(complete());
    golden("metrics.openmetrics.txt", &page);
    parse(&page);
}

#[test]
fn an_empty_page_is_its_end() {
    assert_eq!(open(Snapshot { taken: fixture::now(), targets: Vec::new() }), "# EOF\n");
}

#[test]
fn counters_and_buckets_have_the_trace_of_a_run_to_look_at() {
    let page = open(complete());
    let exemplars: Vec<&str> = page.lines().filter(|line| !line.starts_with('#') && line.contains(" # {")).collect();
    let expected = [
        "probe_failures_total{target=\"expired\",region=\"eu-west\",reason=\"tls_expired\"} 4 # {trace_id=\"0af7651916cd43dd8448eb211c80319c\"} 1 1767323041.75",
        "probe_latency_seconds_bucket{target=\"shop\",region=\"eu-west\",team=\"web\",le=\"0.5\"} 5700 # {trace_id=\"4bf92f3577b34da6a3ce929d0e0e4736\"} 0.123 1767323041.75",
        "probe_latency_seconds_bucket{target=\"shop\",region=\"eu-west\",team=\"web\",le=\"+Inf\"} 5760 # {trace_id=\"4bf92f3577b34da6a3ce929d0e0e4736\"} 0.123 1767323041.75",
    ];
    assert_eq!(exemplars, expected);
    let text = pieces(Page::new(Format::Text, complete(), &[]));
    assert!(!text.contains(" # {"), "text has no place for them");
}

#[test]
fn the_trace_of_an_outage_is_a_link_where_traces_are_to_be_seen() {
    let config = "global: {trace_url: 'https://tempo.example/{trace_id}'}";
    let traces = crate::config::Source::new("t.yaml", config).config().unwrap().trace_url;
    let page = pieces(Page::new(Format::Text, complete(), &[]).tracing(traces));
    let id = "0af7651916cd43dd8448eb211c80319c";
    let labels = format!("trace_id=\"{id}\",trace_url=\"https://tempo.example/{id}\"");
    let series: Vec<&str> = page.lines().filter(|line| line.starts_with("probe_outage_trace_info{")).collect();
    assert_eq!(series, [format!("probe_outage_trace_info{{target=\"expired\",region=\"eu-west\",{labels}}} 1")]);
}

/// Whoever switches formats keeps every series, but for the bounds of buckets that are whole numbers.
#[test]
fn the_samples_are_those_of_the_text() {
    let telemetry = crate::telemetry::Telemetry::new();
    telemetry.http_requests.with_label_values(&["200"]).inc();
    telemetry.schedule_lag.observe(0.7);
    let own: Vec<_> =
        telemetry.registry.gather().into_iter().filter(|family| !family.name().starts_with("process_")).collect();
    let text = super::parse(&pieces(Page::new(Format::Text, complete(), &own)));
    let open = parse(&pieces(Page::new(Format::OpenMetrics1, complete(), &own)));
    let known = |mut sample: Sample| {
        for (_, value) in sample.labels.iter_mut().filter(|(name, _)| name == "le") {
            *value = value.parse::<f64>().unwrap().to_string();
        }
        sample
    };
    let sorted = |samples: Vec<Sample>| {
        let mut samples: Vec<Sample> = samples.into_iter().map(known).collect();
        samples.sort_by(|a, b| (&a.name, &a.labels).cmp(&(&b.name, &b.labels)));
        samples
    };
    let (text, open) = (sorted(text), sorted(open));
    assert_eq!(text.len(), open.len());
    for (text, open) in text.into_iter().zip(open) {
        assert_eq!(text, open);
    }
}

#[test]
fn every_family_has_the_name_and_type_that_prometheus_knows() {
    let page = open(complete());
    for family in FAMILIES {
        let name = match family.kind {
            Kind::Counter => family.name.strip_suffix("_total").unwrap(),
            Kind::Gauge | Kind::Histogram => family.name,
        };
        assert!(page.contains(&format!("# TYPE {name} {}\n", family.kind.as_str())), "{name}");
        let unit = format!("# UNIT {name} seconds\n");
        assert_eq!(page.contains(&unit), name.ends_with("_seconds"), "{name}");
    }
}

#[test]
fn a_page_in_pieces_ends_once() {
    let page = open(many(500));
    assert_eq!(page.matches("# EOF").count(), 1);
    parse(&page);
}

proptest! {
    #[test]
    fn any_name_and_label_value_comes_back_as_it_was(
        name in "[^\\p{Cc}]{0,20}[a-z][^\\p{Cc}]{0,20}",
        value in "(?s).{0,40}",
        other in "[\\\\\"\n,={} #]{0,12}",
    ) {
        let target = with_labels(&name, &[("region", &value), ("team", &other)]);
        let samples = parse(&open(Snapshot { taken: fixture::now(), targets: vec![target] }));
        prop_assert!(samples.len() > 25);
        for sample in samples {
            prop_assert_eq!(sample.label("target"), Some(name.as_str()));
            prop_assert_eq!(sample.label("region"), Some(value.as_str()));
            prop_assert_eq!(sample.label("team"), Some(other.as_str()));
        }
    }
}
