//! A metrics page, written in pieces.
//!
//! A page of 10,000 targets is about 30 MB of text. It is never held whole: each piece is rendered when it is
//! asked for, from a cursor over (section, target), so that memory stays bounded and no piece keeps a runtime
//! thread for longer than a fraction of a millisecond.
//!
//! Families are the outer loop, as the format wants, and targets the inner one. Chasing each target's pointers
//! once a family would miss the cache a million times a page, so numbers are first read off target by target
//! into columns, one a series.

use std::sync::Arc;

use bytes::Bytes;
use prometheus::proto::MetricFamily;

use super::family::{FAMILIES, Family, Shape, Source, Value};
use super::format::Format;
use super::own;
use super::text::{Lines, Number, push_head, push_label};
use crate::config::TraceUrl;
use crate::observation::Observation;
use crate::state::{Snapshot, TargetSnapshot};

/// A page over one snapshot. An iterator of its pieces, each of roughly [`Page::PIECE`] bytes.
pub struct Page {
    format: Format,
    targets: Vec<TargetSnapshot>,
    /// The label text of every target, one after the other, and where each ends.
    labels: Vec<u8>,
    label_ends: Vec<usize>,
    /// Which targets have a label by the name of one of some family's; empty when none has.
    clashing: Vec<bool>,
    columns: Vec<Column>,
    /// What is still to be written, in reverse.
    sections: Vec<Section>,
    /// The target at which the present section goes on.
    row: usize,
    /// The URL of pages of targets, up to the name; empty when there is none.
    evidence: String,
    traces: Option<Arc<TraceUrl>>,
    /// Whether the present section's HELP and TYPE lines were written.
    headed: bool,
}

/// The values of one series over all targets.
struct Column {
    read: Read,
    /// The family's own label, as it ends the line: `,phase="tls"} `.
    tail: Vec<u8>,
    /// One a target; empty when no target has a value.
    values: Vec<Cell>,
}

/// How one series' value is read off a target.
#[derive(Clone, Copy)]
pub(super) enum Read {
    Run(Value<Observation>),
    Kept(Value<TargetSnapshot>),
}

impl Read {
    pub(super) fn value(self, target: &TargetSnapshot) -> Option<f64> {
        match self {
            Self::Run(read) => target.last.as_deref().and_then(read),
            Self::Kept(read) => read(target),
        }
    }
}

/// The series of a family that are plain numbers, each with the value of the family's label if it has one.
pub(super) fn reads(family: &Family) -> Vec<(Option<&'static str>, Read)> {
    match &family.source {
        Source::Run(Shape::One(read)) => vec![(None, Read::Run(*read))],
        Source::Kept(Shape::One(read)) => vec![(None, Read::Kept(*read))],
        Source::Run(Shape::Each(all)) => all.iter().map(|(value, read)| (Some(*value), Read::Run(*read))).collect(),
        Source::Kept(Shape::Each(all)) => all.iter().map(|(value, read)| (Some(*value), Read::Kept(*read))).collect(),
        Source::Run(Shape::Lines(_)) | Source::Kept(Shape::Lines(_)) => Vec::new(),
    }
}

enum Section {
    /// Families that were rendered whole.
    Text(Vec<u8>),
    /// A family whose values are in these columns.
    Columns(&'static Family, std::ops::Range<usize>),
    /// A family whose lines are written straight from the snapshot.
    Lines(&'static Family),
}

/// A value that may be absent, in eight bytes.
#[derive(Clone, Copy)]
struct Cell(f64);

impl Cell {
    /// A NaN that no arithmetic yields.
    const ABSENT: u64 = 0x7ff8_dead_0bad_0bad;

    fn new(value: Option<f64>) -> Self {
        Self(value.unwrap_or(f64::from_bits(Self::ABSENT)))
    }

    fn value(self) -> Option<f64> {
        (self.0.to_bits() != Self::ABSENT).then_some(self.0)
    }
}

impl Page {
    /// A piece ends with the first line that reaches this many bytes.
    pub const PIECE: usize = 64 * 1024;

    /// A page of the targets of `snapshot`, with the exporter's `own` families among them by name.
    ///
    /// Reads all numbers off at once (about a microsecond a target); the text follows piece by piece.
    pub fn new(format: Format, snapshot: Snapshot, own: &[MetricFamily]) -> Self {
        let mut page = Self {
            format,
            targets: snapshot.targets,
            labels: Vec::new(),
            label_ends: Vec::new(),
            clashing: Vec::new(),
            columns: Vec::new(),
            sections: Vec::new(),
            row: 0,
            evidence: String::new(),
            traces: None,
            headed: false,
        };
        page.lay_out(own);
        page.fill();
        page
    }

    /// Names the page of each target, which is below this URL.
    #[must_use]
    pub fn linking(self, targets: &str) -> Self {
        Self { evidence: targets.to_owned(), ..self }
    }

    /// Says where the trace of an outage is to be seen.
    #[must_use]
    pub fn tracing(self, traces: Option<Arc<TraceUrl>>) -> Self {
        Self { traces, ..self }
    }

    /// Puts sections in order of name, and makes the columns.
    fn lay_out(&mut self, own: &[MetricFamily]) {
        let mut sections: Vec<(String, Section)> = own
            .iter()
            .map(|family| (family.name().to_owned(), Section::Text(own::written(family, self.format))))
            .collect();
        for family in FAMILIES {
            let first = self.columns.len();
            self.columns.extend(
                reads(family)
                    .into_iter()
                    .map(|(value, read)| Column::new(read, value.map(|value| (family.labels[0], value)))),
            );
            let columns = first..self.columns.len();
            let section = if columns.is_empty() { Section::Lines(family) } else { Section::Columns(family, columns) };
            sections.push((family.name.to_owned(), section));
        }
        sections.sort_by(|(a, _), (b, _)| b.cmp(a));
        let end = Section::Text(self.format.end().into());
        self.sections = std::iter::once(end).chain(sections.into_iter().map(|(_, section)| section)).collect();
    }

    /// Reads labels and numbers off, target by target.
    fn fill(&mut self) {
        let count = self.targets.len();
        self.label_ends.reserve(count);
        for (row, target) in self.targets.iter().enumerate() {
            push_labels(&mut self.labels, target, &[]);
            if target.target.labels.clashes() {
                self.clashing.resize(count, false);
                self.clashing[row] = true;
            }
            self.label_ends.push(self.labels.len());
            for column in &mut self.columns {
                column.set(row, count, column.read.value(target));
            }
        }
    }

    /// Writes on from the cursor until `out` is long enough or nothing is left.
    fn write(&mut self, out: &mut Vec<u8>) {
        while let Some(section) = self.sections.pop() {
            let done = match &section {
                Section::Text(text) => {
                    out.extend_from_slice(text);
                    true
                }
                Section::Columns(family, columns) => self.write_columns(out, family, columns.clone()),
                Section::Lines(family) => self.write_lines(out, family),
            };
            if done {
                self.row = 0;
                self.headed = false;
            } else {
                self.sections.push(section);
            }
            if out.len() >= Self::PIECE {
                return;
            }
        }
    }

    /// Whether the family is finished.
    fn write_columns(&mut self, out: &mut Vec<u8>, family: &Family, columns: std::ops::Range<usize>) -> bool {
        let mut without = Vec::new();
        let columns = &self.columns[columns];
        if columns.iter().all(|column| column.values.is_empty()) {
            return true;
        }
        let name = family.name.as_bytes();
        let mut number = Number::new();
        let mut begin = self.label_start(self.row);
        for row in self.row..self.targets.len() {
            if out.len() >= Self::PIECE {
                self.row = row;
                return false;
            }
            let end = self.label_ends[row];
            let labels = if self.clashes(row, family) {
                without.clear();
                push_labels(&mut without, &self.targets[row], family.labels);
                &without
            } else {
                &self.labels[begin..end]
            };
            for column in columns {
                let Some(value) = column.values.get(row).and_then(|cell| cell.value()) else { continue };
                if !self.headed {
                    self.headed = true;
                    push_head(out, family, self.format);
                }
                out.extend_from_slice(name);
                out.push(b'{');
                out.extend_from_slice(labels);
                out.extend_from_slice(&column.tail);
                out.extend_from_slice(number.format(value).as_bytes());
                out.push(b'\n');
            }
            begin = end;
        }
        true
    }

    /// Whether the family is finished.
    fn write_lines(&mut self, out: &mut Vec<u8>, family: &Family) -> bool {
        let mut without = Vec::new();
        for row in self.row..self.targets.len() {
            if out.len() >= Self::PIECE {
                self.row = row;
                return false;
            }
            let target = &self.targets[row];
            let labels = if self.clashes(row, family) {
                without.clear();
                push_labels(&mut without, target, family.labels);
                &without
            } else {
                &self.labels[self.label_start(row)..self.label_ends[row]]
            };
            let has_label = |name: &str| name == "target" || target.target.labels.value(name).is_some();
            let lines = Lines::new(out, family, &mut self.headed, labels, &has_label);
            let mut lines = lines.speaking(self.format).linking(&self.evidence).tracing(self.traces.as_deref());
            match &family.source {
                Source::Run(Shape::Lines(write)) => {
                    if let Some(run) = &target.last {
                        write(run, &mut lines);
                    }
                }
                Source::Kept(Shape::Lines(write)) => write(target, &mut lines),
                Source::Run(Shape::One(_) | Shape::Each(_)) | Source::Kept(Shape::One(_) | Shape::Each(_)) => {}
            }
        }
        true
    }

    /// Whether the family has a label by the name of one of the target's.
    fn clashes(&self, row: usize, family: &Family) -> bool {
        let has = |name: &&str| self.targets[row].target.labels.value(name).is_some();
        self.clashing.get(row) == Some(&true) && family.labels.iter().any(has)
    }

    fn label_start(&self, row: usize) -> usize {
        row.checked_sub(1).map_or(0, |before| self.label_ends[before])
    }
}

/// The labels of a target but those in `but`: a name twice in one series would make Prometheus refuse the whole page.
fn push_labels(out: &mut Vec<u8>, target: &TargetSnapshot, but: &[&str]) {
    push_label(out, true, "target", target.target.name.as_str());
    for (name, value) in target.target.labels.iter().filter(|(name, _)| !but.contains(name)) {
        push_label(out, false, name, value);
    }
}

impl Column {
    fn new(read: Read, label: Option<(&str, &str)>) -> Self {
        let mut tail = Vec::new();
        if let Some((name, value)) = label {
            push_label(&mut tail, false, name, value);
        }
        tail.extend_from_slice(b"} ");
        Self { read, tail, values: Vec::new() }
    }

    fn set(&mut self, row: usize, count: usize, value: Option<f64>) {
        if self.values.is_empty() {
            if value.is_none() {
                return;
            }
            self.values.resize(count, Cell::new(None));
        }
        self.values[row] = Cell::new(value);
    }
}

impl Iterator for Page {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        if self.sections.is_empty() {
            return None;
        }
        let mut out = Vec::with_capacity(Self::PIECE + 1024);
        self.write(&mut out);
        (!out.is_empty()).then(|| out.into())
    }
}
