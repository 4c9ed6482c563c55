//! The text format, version 0.0.4: escaping, numbers, lines.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::family::Family;
use super::format::Format;
use super::run::unix_seconds;
use crate::config::TraceUrl;
use crate::observation::TraceId;
use crate::state::Exemplar;

/// In a path segment, RFC 3986 section 3.3: all but unreserved characters are encoded.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Writes a label value with the escapes of the format: backslash, double quote, line feed.
pub(super) fn push_escaped(out: &mut Vec<u8>, value: &str) {
    let mut rest = value.as_bytes();
    while let Some(at) = rest.iter().position(|byte| matches!(byte, b'\\' | b'"' | b'\n')) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(match rest[at] {
            b'\n' => b"\\n",
            b'"' => b"\\\"",
            _ => b"\\\\",
        });
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

/// Writes `name="value"`, preceded by a comma unless it is the first of a set.
pub(super) fn push_label(out: &mut Vec<u8>, first: bool, name: &str, value: &str) {
    if !first {
        out.push(b',');
    }
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"=\"");
    push_escaped(out, value);
    out.push(b'"');
}

pub(super) fn is_label_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Room for one formatted number.
pub(super) struct Number {
    integer: itoa::Buffer,
    float: zmij::Buffer,
    text: String,
}

impl Number {
    pub(super) fn new() -> Self {
        Self { integer: itoa::Buffer::new(), float: zmij::Buffer::new(), text: String::new() }
    }

    /// The shortest text that reads back as the same number; whole numbers without point and exponent.
    #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "compared after the cast")]
    pub(super) fn format(&mut self, value: f64) -> &str {
        // Beyond 2^53 not every integer is a float, so the digits would claim more than is known.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        let whole = value as i64;
        if whole as f64 == value && value.abs() <= EXACT {
            self.integer.format(whole)
        } else if value.is_finite() {
            self.float.format_finite(value)
        } else if value.is_nan() {
            "NaN"
        } else if value > 0.0 {
            "+Inf"
        } else {
            "-Inf"
        }
    }

    /// As Go's `%g`, with `.0` where nothing else says that it is a float: how OpenMetrics wants the values of `le` and
    /// `quantile`, which are labels, so that each number must have one form.
    pub(super) fn format_float(&mut self, value: f64) -> &str {
        use std::fmt::Write;

        self.text.clear();
        // Writing to a String cannot fail.
        if value.is_finite() && value != 0.0 && !(1e-4..1e6).contains(&value.abs()) {
            let _ = write!(self.text, "{value:e}");
            if let Some((digits, exponent)) = self.text.split_once('e') {
                let exponent: i32 = exponent.parse().unwrap_or_default();
                let sign = if exponent < 0 { '-' } else { '+' };
                self.text = format!("{digits}e{sign}{:02}", exponent.abs());
            }
        } else {
            let plain = self.format(value).to_owned();
            self.text = plain;
            if value.is_finite() && !self.text.contains('.') {
                self.text.push_str(".0");
            }
        }
        &self.text
    }
}

/// Writes what stands before the samples of a family.
pub(super) fn push_head(out: &mut Vec<u8>, family: &Family, format: Format) {
    format.push_head(out, family.name, family.kind.as_str(), family.help);
}

/// Writes the samples of one family for one target (or none: then there are only the labels given).
pub(super) struct Lines<'a> {
    out: &'a mut Vec<u8>,
    family: &'a Family,
    /// Whether the family's HELP and TYPE lines were written.
    headed: &'a mut bool,
    /// The target's labels, escaped, without braces.
    labels: &'a [u8],
    names: &'a dyn Fn(&str) -> bool,
    evidence: &'a str,
    traces: Option<&'a TraceUrl>,
    format: Format,
}

impl<'a> Lines<'a> {
    /// `has_label` says whether a name is among `labels`.
    pub(super) fn new(
        out: &'a mut Vec<u8>,
        family: &'a Family,
        headed: &'a mut bool,
        labels: &'a [u8],
        has_label: &'a dyn Fn(&str) -> bool,
    ) -> Self {
        Self { out, family, headed, labels, names: has_label, evidence: "", traces: None, format: Format::Text }
    }

    /// In this format; else it is text.
    pub(super) fn speaking(self, format: Format) -> Self {
        Self { format, ..self }
    }

    /// With the URL of pages of targets, up to the name.
    pub(super) fn linking(self, evidence: &'a str) -> Self {
        Self { evidence, ..self }
    }

    /// With where traces are to be seen.
    pub(super) fn tracing(self, traces: Option<&'a TraceUrl>) -> Self {
        Self { traces, ..self }
    }

    /// Where a trace is to be seen, or nothing.
    pub(super) fn trace_url(&self, id: TraceId) -> String {
        self.traces.map_or_else(String::new, |traces| traces.of(id))
    }

    /// The URL of the page of a target.
    pub(super) fn evidence_url(&self, name: &str) -> String {
        if self.evidence.is_empty() {
            return String::new();
        }
        format!("{}{}", self.evidence, utf8_percent_encode(name, SEGMENT))
    }

    /// Whether the target has a label of this name.
    pub(super) fn has_label(&self, name: &str) -> bool {
        (self.names)(name)
    }

    /// The bound of a bucket, as a label has it.
    pub(super) fn bound<'n>(&self, number: &'n mut Number, bound: f64) -> &'n str {
        self.format.bound(number, bound)
    }

    /// Writes one sample with the family's own labels.
    pub(super) fn sample(&mut self, own: &[(&str, &str)], value: f64) {
        self.suffixed("", own, value);
    }

    /// Writes one sample whose name is the family's with `suffix`.
    pub(super) fn suffixed(&mut self, suffix: &str, own: &[(&str, &str)], value: f64) {
        self.exemplified(suffix, own, value, None);
    }

    /// The same with a run to look at, where the format has a place for it.
    pub(super) fn exemplified(&mut self, suffix: &str, own: &[(&str, &str)], value: f64, exemplar: Option<&Exemplar>) {
        if !*self.headed {
            *self.headed = true;
            push_head(self.out, self.family, self.format);
        }
        let out = &mut *self.out;
        out.extend_from_slice(self.family.name.as_bytes());
        out.extend_from_slice(suffix.as_bytes());
        if !self.labels.is_empty() || !own.is_empty() {
            out.push(b'{');
            out.extend_from_slice(self.labels);
            for (index, (name, value)) in own.iter().enumerate() {
                push_label(out, index == 0 && self.labels.is_empty(), name, value);
            }
            out.push(b'}');
        }
        out.push(b' ');
        let mut number = Number::new();
        out.extend_from_slice(number.format(value).as_bytes());
        if let (false, Some(exemplar)) = (self.format.is_text(), exemplar) {
            // One label of 40 characters; the format allows 128 in all.
            out.extend_from_slice(b" # {");
            push_label(out, true, "trace_id", &exemplar.trace.to_string());
            out.extend_from_slice(b"} ");
            out.extend_from_slice(number.format(exemplar.value).as_bytes());
            out.push(b' ');
            out.extend_from_slice(number.format(unix_seconds(exemplar.time)).as_bytes());
        }
        out.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_short_and_whole_ones_have_no_point() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (1.0, "1"),
            (-1.0, "-1"),
            (1.1, "1.1"),
            (0.25, "0.25"),
            (200.0, "200"),
            (1_751_717_746.0, "1751717746"),
            (9_007_199_254_740_992.0, "9007199254740992"),
            (1_700_000_000.123, "1700000000.123"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(Number::new().format(value), text);
        }
    }

    /// The canonical numbers of OpenMetrics 1.0, and their neighbours.
    #[test]
    fn bounds_are_floats_as_go_writes_them() {
        for (value, text) in [
            (0.0, "0.0"),
            (0.001, "0.001"),
            (0.1, "0.1"),
            (1.0, "1.0"),
            (-1.0, "-1.0"),
            (2.5, "2.5"),
            (10.0, "10.0"),
            (100_000.0, "100000.0"),
            (999_999.0, "999999.0"),
            (1_000_000.0, "1e+06"),
            (1_234_567.0, "1.234567e+06"),
            (1e10, "1e+10"),
            (1e100, "1e+100"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (0.000_012_5, "1.25e-05"),
            (1e-10, "1e-10"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(Number::new().format_float(value), text);
        }
    }

    #[test]
    fn label_values_are_escaped() {
        let mut out = Vec::new();
        push_escaped(&mut out, "a\\b\"c\nd \u{e9}\t");
        assert_eq!(String::from_utf8(out).unwrap(), "a\\\\b\\\"c\\nd \u{e9}\t");
    }

    proptest! {
        #[test]
        fn every_number_reads_back_as_itself(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            prop_assert_eq!(Number::new().format(value).parse::<f64>().unwrap(), value);
            let mut number = Number::new();
            let float = number.format_float(value);
            prop_assert_eq!(float.parse::<f64>().unwrap(), value);
            prop_assert!(float.contains(['.', 'e']), "{}", float);
        }
    }
}
