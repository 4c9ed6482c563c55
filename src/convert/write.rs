//! The text of our config.

use std::collections::BTreeMap;
use std::time::Duration;

use super::draft::{Draft, Entry};
use super::modules::Modules;
use super::notes::{Note, list, one_line};
use super::yaml::scalar;
use crate::config::show_duration;

/// `global:`, with what most targets have.
pub(super) fn global(entries: &[Entry], modules: &Modules) -> String {
    let Common { interval, timeout } = Common::of(entries, modules);
    let mut text = String::from("global:\n");
    if let Some(interval) = interval {
        text.push_str(&format!("  interval: {}\n", duration(interval)));
    }
    if let Some(timeout) = timeout {
        text.push_str(&format!("  timeout: {}\n", duration(timeout)));
    }
    if interval.is_none() && timeout.is_none() { String::new() } else { format!("{text}\n") }
}

/// What need not stand at each target.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Common {
    interval: Option<Duration>,
    /// Of targets whose module has none.
    timeout: Option<Duration>,
}

impl Common {
    fn of(entries: &[Entry], modules: &Modules) -> Self {
        let interval = most_frequent(entries.iter().map(|entry| entry.interval));
        let without = entries.iter().filter(|entry| has_no_timeout(entry, modules));
        let timeouts = without.filter_map(|entry| entry.timeout).filter(|timeout| Some(*timeout) <= interval);
        Self { interval, timeout: most_frequent(timeouts) }
    }
}

/// Whether `global.timeout` holds for a target that has none of its own.
fn has_no_timeout(entry: &Entry, modules: &Modules) -> bool {
    modules.facts(&entry.module).is_some_and(|module| module.timeout.is_none())
}

/// The shortest of those that are there most often.
fn most_frequent(durations: impl Iterator<Item = Duration>) -> Option<Duration> {
    let mut counts: BTreeMap<Duration, usize> = BTreeMap::new();
    for duration in durations {
        *counts.entry(duration).or_default() += 1;
    }
    counts.into_iter().rev().max_by_key(|(_, count)| *count).map(|(duration, _)| duration)
}

/// `4.5s` rather than `4s500ms`.
fn duration(duration: Duration) -> String {
    let exact = duration.subsec_nanos().is_multiple_of(1_000_000);
    if exact && duration.subsec_millis() > 0 && (1..60).contains(&duration.as_secs()) {
        format!("{}s", duration.as_secs_f64())
    } else {
        show_duration(duration)
    }
}

/// `targets:`, in the order of the jobs.
pub(super) fn targets(draft: &Draft) -> String {
    let common = Common::of(&draft.entries, &draft.modules);
    let mut text = String::from("\ntargets:\n");
    if draft.entries.is_empty() {
        return "\ntargets: []\n".to_owned();
    }
    let mut job = None;
    for entry in &draft.entries {
        if job != Some(&entry.job) {
            text.push_str(&format!("{}  # job {}\n", if job.is_some() { "\n" } else { "" }, one_line(&entry.job)));
            job = Some(&entry.job);
        }
        target(entry, common, has_no_timeout(entry, &draft.modules), &mut text);
    }
    text
}

fn target(entry: &Entry, common: Common, no_module_timeout: bool, text: &mut String) {
    text.push_str(&format!("  - name: {}\n", scalar(&entry.name)));
    let mut key = |key: &str, value: &str| text.push_str(&format!("    {key}: {value}\n"));
    key("target", &scalar(&entry.target));
    key("module", &scalar(&entry.module));
    if Some(entry.interval) != common.interval {
        key("interval", &duration(entry.interval));
    }
    if let Some(timeout) = entry.timeout
        && !(no_module_timeout && entry.timeout == common.timeout)
    {
        key("timeout", &duration(timeout));
    }
    if !entry.labels.is_empty() {
        let labels: Vec<String> =
            entry.labels.iter().map(|(name, value)| format!("{name}: {}", scalar(value))).collect();
        key("labels", &format!("{{{}}}", labels.join(", ")));
    }
    if let Some((block, over)) = &entry.over {
        key(block, over);
    }
}

/// What the README recommends; a test compares.
const SCRAPE_JOB: &str = "\
scrape_configs:
  - job_name: uptime
    honor_labels: true
    static_configs:
      - targets: [\"localhost:9815\"]
    relabel_configs:
      - source_labels: [__address__]
        target_label: exporter
    metric_relabel_configs:
";

/// For targets that are named as their instance was called.
const ALL_INSTANCES: &str = "      - source_labels: [target]
        regex: (.+)
        target_label: instance
";

/// Where some have the label of their own, which `honor_labels` keeps; the others have the exporter's address there.
const MISSING_INSTANCES: &str = "      - source_labels: [instance, target]
        regex: localhost:9815;(.+)
        target_label: instance
";

/// The comment in front of the config.
pub(super) fn header(draft: &Draft, from: &str, jobs: &[String], notes: &[Note]) -> String {
    let mut text = format!("Made from {from} by uptime_exporter convert.\n");
    if !notes.is_empty() {
        text.push_str("\nNot carried over:\n");
        for note in notes {
            text.push_str(&format!("- {note}\n"));
        }
    }
    let jobs: Vec<String> = jobs.iter().map(|job| one_line(job)).collect();
    let replaced =
        if jobs.is_empty() { "is for these targets".to_owned() } else { format!("takes the place of {}", list(&jobs)) };
    text.push_str(&format!("\nThis scrape job of Prometheus {replaced}:\n\n"));
    text.push_str(SCRAPE_JOB);
    text.push_str(if draft.has_instances() { MISSING_INSTANCES } else { ALL_INSTANCES });
    let lines = text.lines().map(|line| if line.is_empty() { "#\n".to_owned() } else { format!("# {line}\n") });
    lines.chain(std::iter::once("\n".to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scrape_job_is_the_one_that_the_readme_recommends() {
        let readme = include_str!("../../README.md");
        assert!(readme.contains(&format!("{SCRAPE_JOB}{ALL_INSTANCES}```")));
    }

    #[test]
    fn what_most_have_is_global() {
        let s = Duration::from_secs;
        assert_eq!(most_frequent([s(5), s(1), s(5)].into_iter()), Some(s(5)));
        assert_eq!(most_frequent([s(5), s(1)].into_iter()), Some(s(1)));
        assert_eq!(most_frequent([].into_iter()), None);
    }

    #[test]
    fn durations_are_short() {
        for (millis, text) in [(4_500, "4.5s"), (5_000, "5s"), (900, "900ms"), (60_000, "1m"), (59_999, "59.999s")] {
            assert_eq!(duration(Duration::from_millis(millis)), text);
        }
    }
}
