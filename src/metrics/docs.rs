//! The README's tables, written from the tables of the code.

use std::fmt::Write;
use std::sync::Arc;

use super::FAMILIES;
use crate::observation::{CauseKind, Ending, Finding, Reason, SharedCause};
use crate::telemetry::{DiscoveryTelemetry, StateFileTelemetry, Telemetry};

/// Every metric, as Markdown: the targets' families, then the exporter's own.
pub fn markdown_table() -> String {
    let mut text = String::from(
        "Every series of a target has the label `target` and the target's own labels; the column lists what a \
         family adds. A label of the target's by a name in that column is not on the series of that family (on \
         `probe_expect_info`, the collected one is called `expect_NAME`).\n\n| metric | type | labels | sample | meaning |\n|---|---|---|---|---|\n",
    );
    for family in FAMILIES {
        let labels: Vec<String> = family
            .labels
            .iter()
            .map(|label| if *label == "*" { "as configured".to_owned() } else { format!("`{label}`") })
            .collect();
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} | {} |",
            family.name,
            family.kind.as_str(),
            labels.join(", "),
            family.when,
            family.help
        );
    }
    text.push_str(
        "\nThe exporter's own (besides `process_*`):\n\n| metric | type | labels | meaning |\n|---|---|---|---|\n",
    );
    for (name, kind, labels, help) in own() {
        let _ = writeln!(text, "| `{name}` | {kind} | {labels} | {help} |");
    }
    text
}

/// The exporter's own families, read off a registry as it is in a running exporter.
fn own() -> Vec<(String, String, String, String)> {
    let telemetry = Telemetry::new();
    telemetry.http_requests.with_label_values(&["200"]).inc();
    if let Ok(count) = super::TargetCount::new(|| 0) {
        let _ = telemetry.registry.register(Box::new(count));
    }
    if let Ok(discovery) = DiscoveryTelemetry::register(&telemetry.registry) {
        discovery.show(&["http", "https://inventory.example.com/targets"], std::time::Duration::ZERO);
    }
    let vantage = super::VantageGauge::new(|| Some((crate::config::LabelSet::default(), true)));
    let _ = telemetry.registry.register(Box::new(vantage));
    let region = super::VantageInfo::new(|| (crate::config::LabelSet::default(), Some(Box::default())));
    let _ = region.and_then(|region| telemetry.registry.register(Box::new(region)));
    let resolver = super::ResolverGauge::new(|| (crate::config::LabelSet::default(), vec![(String::new(), true)]));
    let _ = resolver.and_then(|resolver| telemetry.registry.register(Box::new(resolver)));
    let cause = SharedCause {
        kind: CauseKind::Network,
        value: Box::default(),
        since: std::time::UNIX_EPOCH,
        failing: 1,
        good: 0,
        elsewhere: 0,
        tied: Box::new([(CauseKind::Label, Box::default())]),
        targets: Box::default(),
    };
    let causes: Arc<[Arc<SharedCause>]> = Arc::new([Arc::new(cause)]);
    let causes = super::CausesGauge::new(move || (crate::config::LabelSet::default(), Arc::clone(&causes)));
    let _ = causes.and_then(|causes| telemetry.registry.register(Box::new(causes)));
    let _ = StateFileTelemetry::register(&telemetry.registry);
    let families = telemetry.registry.gather();
    families
        .iter()
        .filter(|family| !family.name().starts_with("process_"))
        .map(|family| {
            let labels: Vec<String> = family.get_metric().first().map_or_else(Vec::new, |metric| {
                metric.get_label().iter().map(|label| format!("`{}`", label.name())).collect()
            });
            let kind = format!("{:?}", family.get_field_type()).to_lowercase();
            (family.name().to_owned(), kind, labels.join(", "), family.help().to_owned())
        })
        .collect()
}

/// Every reason of a failure, as Markdown.
pub fn reasons_table() -> String {
    let mut text = String::from("| reason | what it means | what to look at first |\n|---|---|---|\n");
    for reason in Reason::ALL {
        let _ = writeln!(text, "| `{}` | {} | {} |", reason.as_label(), reason.meaning(), reason.look_first());
    }
    text
}

/// Every kind of fact that can be a shared cause, as Markdown.
pub fn causes_table() -> String {
    let mut text = String::from("| kind | what it is |\n|---|---|\n");
    for kind in CauseKind::ALL {
        let _ = writeln!(text, "| `{}` | {} |", kind.as_label(), kind.meaning());
    }
    text
}

/// Every finding, as Markdown.
pub fn findings_table() -> String {
    let mut text = String::from("| finding | what it means |\n|---|---|\n");
    for finding in Finding::ALL {
        let _ = writeln!(text, "| `{}` | {} |", finding.as_label(), finding.meaning());
    }
    text
}

/// How ways end, as Markdown.
pub fn path_table() -> String {
    let mut text = String::from("| `path_end` | what it means |\n|---|---|\n");
    for ending in Ending::ALL {
        let _ = writeln!(text, "| `{}` | {} |", ending.as_label(), ending.meaning());
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Holds the part of `text` between the markers of `section` against `table`, or puts it there.
    fn replace(text: &str, section: &str, table: &str) -> String {
        let begin = format!("<!-- {section}:begin -->");
        let end = format!("<!-- {section}:end -->");
        let from = text.find(&begin).unwrap_or_else(|| panic!("README.md lacks {begin}")) + begin.len();
        let to = from + text[from..].find(&end).unwrap_or_else(|| panic!("README.md lacks {end}"));
        format!("{}\n{}{}", &text[..from], table, &text[to..])
    }

    #[test]
    fn the_readme_has_the_tables_of_the_code() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
        if !path.exists() {
            return;
        }
        let old = std::fs::read_to_string(&path).unwrap();
        let tables = [
            ("metrics", markdown_table()),
            ("reasons", reasons_table()),
            ("causes", causes_table()),
            ("findings", findings_table()),
            ("path", path_table()),
        ];
        let new = tables.iter().fold(old.clone(), |text, (section, table)| replace(&text, section, table));
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&path, &new).unwrap();
        } else {
            assert!(old == new, "README.md is behind the code; UPDATE_GOLDEN=1 rewrites its tables");
        }
    }

    #[test]
    fn every_row_has_as_many_cells_as_its_head() {
        for table in [markdown_table(), reasons_table(), causes_table(), findings_table(), path_table()] {
            let mut cells = 0;
            for line in table.lines() {
                if line.starts_with('|') {
                    let here = line.matches('|').count();
                    if cells != 0 {
                        assert_eq!(here, cells, "{line}");
                    }
                    cells = here;
                } else {
                    cells = 0;
                }
            }
        }
    }
}
