//! A strict reader of the text format (version 0.0.4), and questions to ask a page.
//!
//! Stricter than Prometheus, which forgives much: every family has HELP and TYPE, once and first, stands in one
//! piece, and no series is there twice.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) value: f64,
}

pub(crate) struct Page {
    text: String,
    samples: Vec<Sample>,
    /// Name -> type.
    families: BTreeMap<String, String>,
}

impl Page {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut page = Self { text: text.to_owned(), samples: Vec::new(), families: BTreeMap::new() };
        if !text.is_empty() && !text.ends_with('\n') {
            return Err("the last line has no end".to_owned());
        }
        let mut helped = BTreeSet::new();
        let mut current = String::new();
        let mut seen = BTreeSet::new();
        for (index, line) in text.lines().enumerate() {
            let fail = |what: &str| Err(format!("line {}: {what}: {line}", index + 1));
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').unwrap_or((rest, ""));
                if help.trim().is_empty() {
                    return fail("HELP says nothing");
                }
                if !helped.insert(name.to_owned()) {
                    return fail("HELP a second time");
                }
                current = name.to_owned();
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let Some((name, kind)) = rest.split_once(' ') else { return fail("TYPE without a type") };
                if name != current {
                    return fail("TYPE does not follow the HELP of its family");
                }
                if !["counter", "gauge", "histogram", "summary", "untyped"].contains(&kind) {
                    return fail("no such type");
                }
                if page.families.insert(name.to_owned(), kind.to_owned()).is_some() {
                    return fail("TYPE a second time");
                }
            } else if line.is_empty() || line.starts_with('#') {
                return fail("neither HELP nor TYPE nor a sample");
            } else {
                let sample = match sample(line) {
                    Ok(sample) => sample,
                    Err(problem) => return fail(&problem),
                };
                let Some(kind) = page.families.get(&current) else { return fail("a sample before TYPE") };
                let suffix = sample.name.strip_prefix(&current);
                let belongs = match kind.as_str() {
                    "histogram" => matches!(suffix, Some("_bucket" | "_sum" | "_count")),
                    "summary" => matches!(suffix, Some("" | "_sum" | "_count")),
                    _ => suffix == Some(""),
                };
                if !belongs {
                    return fail(&format!("a sample among those of {current} ({kind})"));
                }
                if kind == "counter" && (sample.value < 0.0 || sample.value.is_nan()) {
                    return fail("no value for a counter");
                }
                let series = (sample.name.clone(), sample.labels.clone());
                if !seen.insert(series) {
                    return fail("the same series a second time");
                }
                page.samples.push(sample);
            }
        }
        if let Some(name) = helped.iter().find(|name| !page.families.contains_key(*name)) {
            return Err(format!("{name} has a HELP and no TYPE"));
        }
        Ok(page)
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Names of families with their types.
    pub(crate) fn families(&self) -> &BTreeMap<String, String> {
        &self.families
    }

    pub(crate) fn metric(&self, name: &str) -> Metric<'_> {
        Metric { page: self, name: name.to_owned(), labels: Vec::new() }
    }

    /// Every value of a label.
    pub(crate) fn label_values(&self, label: &str) -> BTreeSet<&str> {
        self.samples.iter().filter_map(|sample| sample.labels.get(label)).map(String::as_str).collect()
    }
}

/// The samples of one name that have certain labels.
#[derive(Clone)]
pub(crate) struct Metric<'a> {
    page: &'a Page,
    name: String,
    labels: Vec<(String, String)>,
}

impl<'a> Metric<'a> {
    pub(crate) fn label(mut self, name: &str, value: &str) -> Self {
        self.labels.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn target(self, name: &str) -> Self {
        self.label("target", name)
    }

    pub(crate) fn all(&self) -> Vec<&'a Sample> {
        let wanted = |sample: &&Sample| {
            sample.name == self.name && self.labels.iter().all(|(name, value)| sample.labels.get(name) == Some(value))
        };
        self.page.samples.iter().filter(wanted).collect()
    }

    /// The value of the one sample there is, if any.
    pub(crate) fn get(&self) -> Option<f64> {
        match &self.all()[..] {
            [] => None,
            [sample] => Some(sample.value),
            several => panic!("{} has {} samples:\n{}", self.describe(), several.len(), self.lines()),
        }
    }

    pub(crate) fn read(&self) -> f64 {
        self.get().unwrap_or_else(|| panic!("{} is absent:\n{}", self.describe(), self.lines()))
    }

    /// There is one such sample, and it has this value.
    #[track_caller]
    pub(crate) fn value(&self, expected: f64) {
        let found = self.read();
        assert!(found == expected, "{} is {found}, not {expected}", self.describe());
    }

    #[track_caller]
    pub(crate) fn absent(&self) {
        assert!(self.all().is_empty(), "{} is there:\n{}", self.describe(), self.lines());
    }

    pub(crate) fn is(&self, expected: f64) -> bool {
        self.get() == Some(expected)
    }

    fn describe(&self) -> String {
        let mut text = self.name.clone();
        for (name, value) in &self.labels {
            let _ = write!(text, " {name}={value:?}");
        }
        text
    }

    /// What there is of that name.
    fn lines(&self) -> String {
        let lines = self.page.text.lines().filter(|line| line.starts_with(&self.name));
        lines.collect::<Vec<_>>().join("\n")
    }
}

fn sample(line: &str) -> Result<Sample, String> {
    let name_end = line.find(['{', ' ']).ok_or("no value")?;
    let name = &line[..name_end];
    let valid_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == ':')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':')
    };
    if !valid_name(name) {
        return Err(format!("{name:?} is no name"));
    }
    let mut labels = BTreeMap::new();
    let mut rest = &line[name_end..];
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        while !rest.starts_with('}') {
            let (label, after) = rest.split_once("=\"").ok_or("a label without a value")?;
            if !valid_name(label) || label.contains(':') {
                return Err(format!("{label:?} is no label"));
            }
            let (value, after) = quoted(after)?;
            if labels.insert(label.to_owned(), value).is_some() {
                return Err(format!("{label} twice"));
            }
            rest = match after.strip_prefix(',') {
                Some(after) if !after.starts_with('}') => after,
                Some(_) => return Err("a comma before the brace".to_owned()),
                None if after.starts_with('}') => after,
                None => return Err("no comma between labels".to_owned()),
            };
        }
        rest = &rest[1..];
    }
    let value = rest.strip_prefix(' ').ok_or("no blank before the value")?;
    let value = match value {
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        "NaN" => f64::NAN,
        // Rust reads "inf" and "infinity" too; the format does not.
        value if value.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '.') => {
            value.parse().map_err(|error| format!("{value:?}: {error}"))?
        }
        value => return Err(format!("{value:?} is no value, or is followed by a timestamp")),
    };
    Ok(Sample { name: name.to_owned(), labels, value })
}

/// The value up to the closing quote, and what follows.
fn quoted(text: &str) -> Result<(String, &str), String> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((index, c)) = chars.next() {
        match c {
            '"' => return Ok((value, &text[index + 1..])),
            '\\' => match chars.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, c @ ('\\' | '"'))) => value.push(c),
                other => return Err(format!("no such escape: {other:?}")),
            },
            c => value.push(c),
        }
    }
    Err("a label's value has no end".to_owned())
}

#[test]
fn pages_are_read_strictly() {
    let good = "# HELP a_total Help.\n# TYPE a_total counter\na_total{x=\"1\\\"\\\\\\n\",y=\"2\"} 3\na_total 0.5\n";
    let page = Page::parse(good).unwrap();
    page.metric("a_total").label("x", "1\"\\\n").value(3.0);
    page.metric("a_total").label("x", "other").absent();
    assert_eq!(page.metric("a_total").all().len(), 2);
    let histogram = "# HELP h H.\n# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_sum 1e-3\nh_count 1\n";
    Page::parse(histogram).unwrap().metric("h_bucket").label("le", "+Inf").value(1.0);
    for bad in [
        "# HELP a A.\n# TYPE a gauge\na 1",
        "# TYPE a gauge\na 1\n",
        "# HELP a A.\na 1\n",
        "# HELP a A.\n# TYPE a gauge\nb 1\n",
        "# HELP a A.\n# TYPE a gauge\na 1\na 1\n",
        "# HELP a A.\n# TYPE a gauge\na{x=\"1} 1\n",
        "# HELP a A.\n# TYPE a gauge\na{x=\"1\",} 1\n",
        "# HELP a A.\n# TYPE a gauge\na{x=\"\\t\"} 1\n",
        "# HELP a A.\n# TYPE a gauge\na 1 1700000000\n",
        "# HELP a A.\n# TYPE a gauge\na inf\n",
        "# HELP a A.\n# TYPE a gauge\n\na 1\n",
        "# HELP a A.\n# TYPE a counter\na -1\n",
        "# HELP a A.\n# TYPE a gauge\na 1\n# HELP b B.\n# TYPE b gauge\nb 1\n# HELP a A.\n# TYPE a gauge\na{x=\"2\"} 1\n",
        "# HELP a \n# TYPE a gauge\na 1\n",
        "# HELP a A.\n# TYPE a metre\na 1\n",
    ] {
        assert!(Page::parse(bad).is_err(), "{bad}");
    }
}
