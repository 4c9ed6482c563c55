//! What a page costs, for `docs/decisions/0001-page-rendering.md`. Not a test of anything; run by hand:
//! `cargo test --release --lib metrics::cost -- --ignored --nocapture`.

// It measures, so it wants the real clock.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use std::io::Write;
use std::time::{Duration, Instant};

use prometheus::core::{Collector, Desc};
use prometheus::proto::{Gauge, LabelPair, Metric, MetricFamily, MetricType};
use prometheus::{Registry, TextEncoder};

use super::fixture::many;
use super::{FAMILIES, Format, Page};
use crate::state::Snapshot;

const TARGETS: usize = 10_000;

#[test]
#[ignore = "a measurement"]
fn cost_of_a_page_of_10000_targets() {
    let mut best = [Duration::MAX; 3];
    let mut bytes = 0;
    let mut lines = 0;
    let mut longest = Duration::ZERO;
    for _ in 0..7 {
        let snapshot = many(TARGETS);
        let start = Instant::now();
        let page = Page::new(Format::Text, snapshot, &[]);
        let read_off = start.elapsed();
        best[0] = best[0].min(read_off);
        let mut last = Instant::now();
        bytes = 0;
        lines = 0;
        for piece in page {
            longest = longest.max(last.elapsed());
            bytes += piece.len();
            lines += piece.iter().filter(|byte| **byte == b'\n').count();
            last = Instant::now();
        }
        // The state keeps the observations alive; freeing them is no part of a scrape.
        let snapshot = many(TARGETS);
        let kept = snapshot.clone();
        let start = Instant::now();
        let total: usize = Page::new(Format::Text, snapshot, &[]).map(|piece| piece.len()).sum();
        best[1] = best[1].min(start.elapsed());
        assert_eq!(total, bytes);
        drop(kept);
        let mut zip = flate2::write::GzEncoder::new(Counted(0), flate2::Compression::new(1));
        let page = Page::new(Format::Text, many(TARGETS), &[]);
        let start = Instant::now();
        for piece in page {
            zip.write_all(&piece).unwrap();
        }
        let zipped = zip.finish().unwrap().0;
        if start.elapsed() < best[2] {
            best[2] = start.elapsed();
            println!("gzip: {zipped} bytes");
        }
    }
    println!(
        "ours: {lines} lines, {bytes} bytes; read off {:?}, whole page {:?}, with gzip {:?}; longest piece {longest:?}",
        best[0], best[1], best[2]
    );
}

#[test]
#[ignore = "a measurement"]
fn cost_of_the_same_page_as_open_metrics() {
    let kept = many(TARGETS);
    for _ in 0..7 {
        for format in [Format::Text, Format::OpenMetrics1] {
            let snapshot = kept.clone();
            let start = Instant::now();
            let bytes: usize = Page::new(format, snapshot, &[]).map(|piece| piece.len()).sum();
            println!("{format:?}: {bytes} bytes, whole page {:?}", start.elapsed());
        }
    }
}

#[test]
#[ignore = "a measurement"]
fn cost_of_the_same_page_by_the_prometheus_crate() {
    let mut best = Duration::MAX;
    for _ in 0..3 {
        let registry = Registry::new();
        registry
            .register(Box::new(Families(
                many(TARGETS),
                Desc::new("x".into(), "x".into(), vec![], Default::default()).unwrap(),
            )))
            .unwrap();
        let start = Instant::now();
        let families = registry.gather();
        let gathered = start.elapsed();
        let text = TextEncoder::new().encode_to_string(&families).unwrap();
        if start.elapsed() < best {
            best = start.elapsed();
            println!("crate: gathered {gathered:?}, whole page {best:?}, {} bytes", text.len());
        }
    }
}

struct Counted(usize);

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The families with numbers, built the way a collector of the crate builds them.
struct Families(Snapshot, Desc);

impl Collector for Families {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.1]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut families = Vec::new();
        for family in FAMILIES {
            let values: Vec<(Option<&str>, super::page::Read)> = super::page::reads(family);
            if values.is_empty() {
                continue;
            }
            let mut metrics = Vec::new();
            for target in &self.0.targets {
                for (own, read) in &values {
                    let Some(value) = read.value(target) else { continue };
                    let pair = |name: &str, value: &str| {
                        let mut pair = LabelPair::default();
                        pair.set_name(name.to_owned());
                        pair.set_value(value.to_owned());
                        pair
                    };
                    let mut labels = vec![pair("target", target.target.name.as_str())];
                    labels.extend(target.target.labels.iter().map(|(name, value)| pair(name, value)));
                    labels.extend(own.map(|value| pair(family.labels[0], value)));
                    let mut gauge = Gauge::default();
                    gauge.set_value(value);
                    let mut metric = Metric::default();
                    metric.set_label(labels);
                    metric.set_gauge(gauge);
                    metrics.push(metric);
                }
            }
            let mut out = MetricFamily::default();
            out.set_name(family.name.to_owned());
            out.set_help(family.help.to_owned());
            out.set_field_type(MetricType::GAUGE);
            out.set_metric(metrics);
            families.push(out);
        }
        families
    }
}
