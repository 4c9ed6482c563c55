//! The differences that are meant, as data: `tests/fixtures/side_by_side/differences.yaml`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::compare::Found;

/// Who is right.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "lowercase")]
enum Kind {
    /// blackbox_exporter 0.28 does as we do; 0.23 did not yet.
    Later,
    /// We mean it.
    Meant,
    /// What we cannot.
    Limit,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Later, Self::Meant, Self::Limit];

    fn title(self) -> &'static str {
        match self {
            Self::Later => "As blackbox_exporter 0.28 has it",
            Self::Meant => "On purpose",
            Self::Limit => "Limits of ours",
        }
    }
}

/// In patterns, `*` is any text.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Difference {
    kind: Kind,
    /// Patterns of names of scenarios.
    scenarios: Vec<String>,
    /// Patterns of families, each with what differs: `they: 0; we: 1`, `only we`.
    families: Vec<(String, String)>,
    why: String,
    /// Names of the scenarios in which it was seen.
    #[serde(skip)]
    seen: BTreeSet<String>,
}

impl Difference {
    fn covers(&self, scenario: &str, found: &Found) -> bool {
        self.scenarios.iter().any(|pattern| fits(pattern, scenario))
            && self.families.iter().any(|(family, what)| fits(family, &found.family) && fits(what, &found.what))
    }
}

/// Whether `text` is `pattern`, in which each `*` stands for any text.
fn fits(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(head) else { return false };
    loop {
        if fits(rest, text) {
            return true;
        }
        let mut chars = text.chars();
        if chars.next().is_none() {
            return false;
        }
        text = chars.as_str();
    }
}

pub(super) struct Differences(Vec<Difference>);

impl Differences {
    pub(super) fn load() -> Self {
        let path = root().join("tests/fixtures/side_by_side/differences.yaml");
        Self(serde_yaml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap())
    }

    /// Notes what is known; returns what is not.
    pub(super) fn note(&mut self, scenario: &str, found: &[Found]) -> Vec<Found> {
        let mut unknown = Vec::new();
        for found in found {
            match self.0.iter_mut().find(|known| known.covers(scenario, found)) {
                Some(known) => {
                    known.seen.insert(scenario.to_owned());
                }
                None => unknown.push(found.clone()),
            }
        }
        unknown
    }

    /// Rows that no scenario shows.
    pub(super) fn unused(&self) -> Vec<String> {
        self.0.iter().filter(|known| known.seen.is_empty()).map(|known| format!("{known:?}")).collect()
    }

    /// How many scenarios differ for each reason.
    pub(super) fn summary(&self) -> String {
        let lines = self.0.iter().map(|known| format!("{:5} {:?}: {}", known.seen.len(), known.kind, known.why));
        lines.collect::<Vec<_>>().join("\n")
    }

    /// For the migration page.
    fn table(&self) -> String {
        let cell = |text: &str| text.replace('|', "\\|");
        let mut text = String::new();
        for kind in Kind::ALL {
            let rows: Vec<_> = self.0.iter().filter(|known| known.kind == kind).collect();
            if rows.is_empty() {
                continue;
            }
            text.push_str(&format!("\n**{}**\n\n| scenario | family | why |\n|---|---|---|\n", kind.title()));
            for known in rows {
                let scenarios: Vec<String> = known.scenarios.iter().map(|name| format!("`{}`", cell(name))).collect();
                let families: Vec<String> = known
                    .families
                    .iter()
                    .map(
                        |(family, what)| {
                            if what == "*" { format!("`{family}`") } else { format!("`{family}` ({what})") }
                        },
                    )
                    .map(|family| cell(&family))
                    .collect();
                text.push_str(&format!(
                    "| {} | {} | {} |\n",
                    scenarios.join(", "),
                    families.join(", "),
                    cell(&known.why)
                ));
            }
        }
        text
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

#[test]
fn the_migration_page_has_every_difference() {
    let path = root().join("docs/migrating-from-blackbox_exporter.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (begin, end) = ("<!-- side-by-side:begin -->\n", "<!-- side-by-side:end -->");
    let from = page.find(begin).expect("the page has the place for the table") + begin.len();
    let to = from + page[from..].find(end).unwrap();
    let new = format!("{}{}\n{}", &page[..from], Differences::load().table(), &page[to..]);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, new).unwrap();
    } else {
        assert!(page == new, "{} is behind the data; UPDATE_GOLDEN=1 rewrites its table", path.display());
    }
}

#[test]
fn a_star_is_any_text() {
    for (pattern, text, is) in [
        ("", "", true),
        ("*", "", true),
        ("*", "abc", true),
        ("a*", "abc", true),
        ("*c", "abc", true),
        ("a*c", "abc", true),
        ("a*b*c", "a-b-b-c", true),
        ("a*b", "abc", false),
        ("ab", "abc", false),
        ("*é*", "caféteria", true),
    ] {
        assert_eq!(fits(pattern, text), is, "{pattern} {text}");
    }
}
