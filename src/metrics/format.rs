//! The formats of a metrics page, and what tells them apart.
//!
//! The samples are the same in all of them. OpenMetrics names a counter without its `_total`, says the unit, writes the
//! bounds of buckets as floats, takes exemplars, and ends with `# EOF`. Families called `_info` stay gauges, as Go's
//! client has them, so that a metric has one name and one type whatever the format. There are no `_created` series: they
//! would double the counters, and what Prometheus needs of them it finds out by itself.

use prometheus::proto::{LabelPair, Metric, MetricFamily, MetricType};

use super::text::{Number, push_escaped, push_label};

/// How a page is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The text format, version 0.0.4.
    Text,
    /// OpenMetrics by the name of its draft, which Prometheus asked for before 2.28. The text is that of 1.0.0.
    OpenMetrics0,
    /// OpenMetrics 1.0.0.
    OpenMetrics1,
}

impl Format {
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => super::CONTENT_TYPE,
            Self::OpenMetrics0 => "application/openmetrics-text; version=0.0.1; charset=utf-8",
            Self::OpenMetrics1 => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    pub(super) fn is_text(self) -> bool {
        self == Self::Text
    }

    /// What follows the last family.
    pub(super) fn end(self) -> &'static str {
        if self.is_text() { "" } else { "# EOF\n" }
    }

    /// Writes what stands before the samples of a family; `help` as the text format has it.
    pub(super) fn push_head(self, out: &mut Vec<u8>, name: &str, kind: &str, help: &str) {
        if self.is_text() {
            for part in ["# HELP ", name, " ", help, "\n# TYPE ", name, " ", kind, "\n"] {
                out.extend_from_slice(part.as_bytes());
            }
            return;
        }
        let counter = kind == "counter";
        let (name, kind) = match (name.strip_suffix("_total"), counter) {
            (Some(name), true) => (name, kind),
            // The format has no counter by such a name.
            (None, true) => (name, "unknown"),
            (_, false) => (name, kind),
        };
        for part in ["# HELP ", name, " "] {
            out.extend_from_slice(part.as_bytes());
        }
        push_escaped(out, help);
        for part in ["\n# TYPE ", name, " ", kind, "\n"] {
            out.extend_from_slice(part.as_bytes());
        }
        if let Some(unit) = unit(name) {
            for part in ["# UNIT ", name, " ", unit, "\n"] {
                out.extend_from_slice(part.as_bytes());
            }
        }
    }

    /// The bound of a bucket, as the value of the label `le`.
    pub(super) fn bound(self, number: &mut Number, bound: f64) -> &str {
        if self.is_text() { number.format(bound) } else { number.format_float(bound) }
    }
}

/// The base unit that the name of a family ends in.
fn unit(name: &str) -> Option<&'static str> {
    ["seconds", "bytes", "ratio"]
        .into_iter()
        .find(|unit| name.strip_suffix(unit).is_some_and(|before| before.len() > 1 && before.ends_with('_')))
}

/// One family of the registry as OpenMetrics; nothing when it has no samples.
pub(super) fn open_metrics(family: &MetricFamily) -> Vec<u8> {
    let mut out = Vec::new();
    let metrics = family.get_metric();
    if metrics.is_empty() {
        return out;
    }
    let kind = match family.get_field_type() {
        MetricType::COUNTER => "counter",
        MetricType::GAUGE => "gauge",
        MetricType::SUMMARY => "summary",
        MetricType::UNTYPED => "unknown",
        MetricType::HISTOGRAM => "histogram",
    };
    Format::OpenMetrics1.push_head(&mut out, family.name(), kind, family.help());
    let mut number = Number::new();
    for metric in metrics {
        match family.get_field_type() {
            MetricType::COUNTER => push_sample(&mut out, family, "", metric, None, metric.get_counter().get_value()),
            MetricType::GAUGE => push_sample(&mut out, family, "", metric, None, metric.get_gauge().get_value()),
            // The registry makes none.
            MetricType::UNTYPED => {}
            MetricType::SUMMARY => {
                let summary = metric.get_summary();
                for quantile in summary.get_quantile() {
                    let at = number.format_float(quantile.quantile());
                    push_sample(&mut out, family, "", metric, Some(("quantile", at)), quantile.value());
                }
                push_sample(&mut out, family, "_sum", metric, None, summary.sample_sum());
                push_sample(&mut out, family, "_count", metric, None, count(summary.sample_count()));
            }
            MetricType::HISTOGRAM => {
                let histogram = metric.get_histogram();
                for bucket in histogram.get_bucket().iter().filter(|bucket| bucket.upper_bound().is_finite()) {
                    let le = number.format_float(bucket.upper_bound());
                    push_sample(
                        &mut out,
                        family,
                        "_bucket",
                        metric,
                        Some(("le", le)),
                        count(bucket.cumulative_count()),
                    );
                }
                let all = count(histogram.get_sample_count());
                push_sample(&mut out, family, "_bucket", metric, Some(("le", "+Inf")), all);
                push_sample(&mut out, family, "_sum", metric, None, histogram.get_sample_sum());
                push_sample(&mut out, family, "_count", metric, None, all);
            }
        }
    }
    out
}

#[expect(clippy::cast_precision_loss, reason = "a count of observations stays below 2^53")]
fn count(value: u64) -> f64 {
    value as f64
}

fn push_sample(
    out: &mut Vec<u8>,
    family: &MetricFamily,
    suffix: &str,
    metric: &Metric,
    own: Option<(&str, &str)>,
    value: f64,
) {
    out.extend_from_slice(family.name().as_bytes());
    out.extend_from_slice(suffix.as_bytes());
    let labels = metric.get_label().iter().map(|label: &LabelPair| (label.name(), label.value()));
    let mut first = true;
    for (name, value) in labels.chain(own) {
        if first {
            out.push(b'{');
        }
        push_label(out, first, name, value);
        first = false;
    }
    if !first {
        out.push(b'}');
    }
    out.push(b' ');
    out.extend_from_slice(Number::new().format(value).as_bytes());
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn head(name: &str, kind: &str, help: &str) -> String {
        let mut out = Vec::new();
        Format::OpenMetrics1.push_head(&mut out, name, kind, help);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_head_has_the_name_without_total_and_the_unit() {
        for (name, kind, expected) in [
            ("probe_runs_total", "counter", "# HELP probe_runs x\n# TYPE probe_runs counter\n"),
            ("a_seconds_total", "counter", "# HELP a_seconds x\n# TYPE a_seconds counter\n# UNIT a_seconds seconds\n"),
            ("a_total", "gauge", "# HELP a_total x\n# TYPE a_total gauge\n"),
            ("a_runs", "counter", "# HELP a_runs x\n# TYPE a_runs unknown\n"),
            ("a_bytes", "gauge", "# HELP a_bytes x\n# TYPE a_bytes gauge\n# UNIT a_bytes bytes\n"),
            ("bytes", "gauge", "# HELP bytes x\n# TYPE bytes gauge\n"),
            ("milliseconds", "gauge", "# HELP milliseconds x\n# TYPE milliseconds gauge\n"),
            ("a_info", "gauge", "# HELP a_info x\n# TYPE a_info gauge\n"),
        ] {
            assert_eq!(head(name, kind, "x"), expected, "{name}");
        }
        assert!(head("a", "gauge", "say \"a\\b\"").starts_with("# HELP a say \\\"a\\\\b\\\"\n"));
    }

    #[test]
    fn families_of_every_type_are_written() {
        use prometheus::core::Collector;
        use prometheus::proto::{Quantile, Summary};
        use prometheus::{Histogram, HistogramOpts, IntCounterVec, Opts};

        let text = |family: &MetricFamily| String::from_utf8(open_metrics(family)).unwrap();
        let counter = IntCounterVec::new(Opts::new("requests_total", "Requests."), &["code"]).unwrap();
        assert_eq!(text(&counter.collect()[0]), "", "no samples, no family");
        counter.with_label_values(&["2\"00"]).inc_by(3);
        assert_eq!(
            text(&counter.collect()[0]),
            "# HELP requests Requests.\n# TYPE requests counter\nrequests_total{code=\"2\\\"00\"} 3\n"
        );
        let opts = HistogramOpts::new("lag_seconds", "Lag.").buckets(vec![0.001, 1.0, f64::INFINITY]);
        let histogram = Histogram::with_opts(opts).unwrap();
        histogram.observe(0.5);
        histogram.observe(7.0);
        assert_eq!(
            text(&histogram.collect()[0]),
            "# HELP lag_seconds Lag.\n# TYPE lag_seconds histogram\n# UNIT lag_seconds seconds\n\
             lag_seconds_bucket{le=\"0.001\"} 0\nlag_seconds_bucket{le=\"1.0\"} 1\nlag_seconds_bucket{le=\"+Inf\"} 2\n\
             lag_seconds_sum 7.5\nlag_seconds_count 2\n"
        );
        let (mut quantile, mut summary) = (Quantile::default(), Summary::default());
        quantile.set_quantile(1.0);
        quantile.set_value(0.25);
        summary.set_quantile(vec![quantile]);
        summary.set_sample_count(2);
        summary.set_sample_sum(0.5);
        let mut metric = Metric::default();
        metric.set_summary(summary);
        let mut family = MetricFamily::default();
        family.set_name("size".to_owned());
        family.set_help("Size.".to_owned());
        family.set_field_type(MetricType::SUMMARY);
        family.set_metric(vec![metric]);
        assert_eq!(
            text(&family),
            "# HELP size Size.\n# TYPE size summary\nsize{quantile=\"1.0\"} 0.25\nsize_sum 0.5\nsize_count 2\n"
        );
    }
}
