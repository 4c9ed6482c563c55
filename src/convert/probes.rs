//! What Prometheus makes of a target that it found: labels, relabelling, and the request that it sends to
//! blackbox_exporter. The same steps in the same order (its `scrape/target.go`).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::discover::Discovered;
use super::durations;
use super::job::{Job, is_probe_path};
use super::modules::DEFAULT;
use super::notes::{Notes, count, list};
use super::relabel::{Labels, Rule, Verdict, relabel};
use crate::config::{LabelSet, mask_address, parse_duration};

/// A request to blackbox_exporter that Prometheus repeats.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Probe {
    /// `job_name` of its scrape config; the label may be another.
    pub(super) job: String,
    /// `FILE:LINE` of the job.
    pub(super) place: String,
    pub(super) target: String,
    pub(super) module: String,
    pub(super) hostname: Option<String>,
    pub(super) interval: Duration,
    /// Of the scrape; blackbox_exporter takes its offset off.
    pub(super) timeout: Duration,
    /// If it is not the exporter's address.
    pub(super) instance: Option<String>,
    /// The public ones but `instance`, under names that our config takes.
    pub(super) labels: BTreeMap<String, String>,
    /// The address that is asked.
    pub(super) exporter: String,
}

/// What became of all jobs.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) probes: Vec<Probe>,
    /// Names of the jobs that probe, in their order.
    pub(super) jobs: Vec<String>,
    /// Those of which nothing stays in Prometheus.
    pub(super) replaced: Vec<String>,
    pub(super) other_jobs: usize,
    /// Targets that relabelling dropped.
    pub(super) dropped: usize,
}

/// Labels of blackbox_exporter's families, in the way of a target's.
const THEIR_LABELS: &[&str] = &[
    "phase",
    "version",
    "cipher",
    "fingerprint_sha256",
    "subject",
    "issuer",
    "subjectalternative",
    "serialnumber",
    "serving_status",
];

/// Executes one job.
pub(super) fn add(job: &Job, found: &mut Found, notes: &mut Notes) {
    let discovered = Discovered::of(job);
    let rules = match job.rules() {
        Ok(rules) => rules,
        Err(why) => {
            if job.asks_for_probes() {
                found.jobs.push(job.name.clone());
                notes.add(job.place_of("relabel_configs"), Some(&job.name), format!("{why}; the job is left out"));
            } else {
                found.other_jobs += 1;
            }
            return;
        }
    };
    let mut outcome = Outcome::default();
    let mut seen = BTreeSet::new();
    for labels in &discovered.targets {
        outcome.add(job, &rules, labels.clone(), &mut seen);
    }
    let nothing_else = outcome.probes.is_empty() && outcome.incomplete.is_empty();
    if nothing_else && (outcome.others > 0 || !job.asks_for_probes()) {
        found.other_jobs += 1;
        return;
    }
    discovered.note(job, notes);
    job.note_the_rest(notes);
    outcome.note(job, notes);
    found.jobs.push(job.name.clone());
    if outcome.others == 0 && job.other_discoveries().is_empty() {
        found.replaced.push(job.name.clone());
    }
    found.dropped += outcome.dropped;
    found.probes.append(&mut outcome.probes);
}

/// What became of the targets of one job.
#[derive(Default)]
struct Outcome {
    probes: Vec<Probe>,
    dropped: usize,
    /// Requests for something else.
    others: usize,
    /// Sentences about targets that Prometheus does not scrape, or that blackbox_exporter refuses.
    incomplete: BTreeSet<String>,
    renamed: BTreeMap<String, String>,
    /// Labels that some families of blackbox_exporter's have too.
    shared: BTreeSet<&'static str>,
    parameters: BTreeSet<String>,
    instance_is_exporter: usize,
}

impl Outcome {
    fn add(&mut self, job: &Job, rules: &[Rule], mut labels: Labels, seen: &mut BTreeSet<Labels>) {
        let shown = mask_address(labels.value("__address__"));
        populate(job, &mut labels);
        if relabel(rules, &mut labels) == Verdict::Dropped || labels.value("__address__").is_empty() {
            self.dropped += 1;
            return;
        }
        labels.retain(|name| !name.starts_with("__meta_"));
        if !seen.insert(labels.clone()) {
            return;
        }
        let target = labels.value("__param_target");
        let is_probe = is_probe_path(labels.value("__metrics_path__"));
        if !is_probe || (target.is_empty() && labels.value("__param_module").is_empty()) {
            self.others += 1;
            return;
        }
        if target.is_empty() {
            self.incomplete.insert(format!("{shown} has no parameter target, so blackbox_exporter refuses it"));
            return;
        }
        if labels.value("__address__").contains('/') {
            self.incomplete.insert(format!("{shown}: its __address__ is none of an exporter, so nobody probes it"));
            return;
        }
        match cadence(&labels) {
            Ok((interval, timeout)) => self.probe(job, &labels, interval, timeout),
            Err(message) => {
                self.incomplete.insert(format!("{shown}: {message}, so Prometheus does not scrape it"));
            }
        }
    }

    fn probe(&mut self, job: &Job, labels: &Labels, interval: Duration, timeout: Duration) {
        let given = |name: &str| Some(labels.value(name)).filter(|value| !value.is_empty()).map(str::to_owned);
        let exporter = with_port(labels.value("__address__"), labels.value("__scheme__"));
        for (name, _) in labels.iter() {
            if let Some(parameter) = name.strip_prefix("__param_")
                && !["target", "module", "hostname"].contains(&parameter)
            {
                self.parameters.insert(parameter.to_owned());
            }
        }
        let instance = given("instance").filter(|instance| *instance != exporter);
        self.instance_is_exporter += usize::from(instance.is_none());
        let mut public = BTreeMap::new();
        for (name, value) in labels.iter().filter(|(name, _)| !name.starts_with("__") && *name != "instance") {
            let mut carried = name.to_owned();
            if LabelSet::check_name(name).is_err() {
                carried = other_name(name);
                while !labels.value(&carried).is_empty() {
                    carried.push('_');
                }
                self.renamed.insert(name.to_owned(), carried.clone());
            }
            self.shared.extend(THEIR_LABELS.iter().find(|theirs| **theirs == name));
            public.insert(carried, value.to_owned());
        }
        self.probes.push(Probe {
            job: job.name.clone(),
            place: job.place(),
            target: labels.value("__param_target").to_owned(),
            module: given("__param_module").unwrap_or_else(|| DEFAULT.to_owned()),
            hostname: given("__param_hostname"),
            interval,
            timeout,
            instance,
            labels: public,
            exporter,
        });
    }

    fn note(&self, job: &Job, notes: &mut Notes) {
        let mut note = |place: String, text: String| notes.add(place, Some(&job.name), text);
        for sentence in &self.incomplete {
            note(job.place(), format!("{sentence}; it is left out"));
        }
        for (old, new) in &self.renamed {
            let text = format!(
                "the label {old} is named {new}, since target has the target's name on each series, and other names have to be \
                 plain; change rules that go by it"
            );
            note(job.place_of("relabel_configs"), text);
        }
        if !self.shared.is_empty() {
            let names: Vec<&&str> = self.shared.iter().collect();
            let text = format!(
                "series with a label {0} of their own keep it, and do not have the target's; Prometheus had theirs as \
                 exported_{0}, so change rules that go by that",
                list(&names)
            );
            note(job.place_of("relabel_configs"), text);
        }
        if !self.parameters.is_empty() {
            let names: Vec<&String> = self.parameters.iter().collect();
            let text = format!("parameters that no prober has are left out: {}", list(&names));
            note(job.place_of("params"), text);
        }
        if self.others > 0 {
            let text = format!("{} of it are no probes; they stay in Prometheus", count(self.others, "target"));
            note(job.place(), text);
        }
        if self.instance_is_exporter > 0 {
            let text = format!(
                "the label instance of {} was the address of blackbox_exporter; it is the target now, so change rules \
                 that go by it",
                count(self.instance_is_exporter, "target")
            );
            note(job.place_of("relabel_configs"), text);
        }
    }
}

/// The labels that Prometheus adds before relabelling.
fn populate(job: &Job, labels: &mut Labels) {
    labels.set_default("job", job.name.as_str());
    labels.set_default("__scrape_interval__", durations::prometheus(job.interval));
    labels.set_default("__scrape_timeout__", durations::prometheus(job.timeout));
    let given =
        |text: &Option<String>, default: &str| text.clone().filter(|t| !t.is_empty()).unwrap_or(default.to_owned());
    labels.set_default("__metrics_path__", given(&job.raw.metrics_path, "/metrics"));
    labels.set_default("__scheme__", given(&job.raw.scheme, "http"));
    for (name, values) in job.raw.params.iter().flatten() {
        if let Some(first) = values.iter().flatten().next() {
            labels.set(&format!("__param_{name}"), first.as_str());
        }
    }
}

fn cadence(labels: &Labels) -> Result<(Duration, Duration), String> {
    let duration = |name: &str| match parse_duration(labels.value(name)) {
        Ok(duration) if duration.is_zero() => Err(format!("{name} is zero")),
        Ok(duration) => Ok(duration),
        Err(message) => Err(format!("{name}: {message}")),
    };
    let (interval, timeout) = (duration("__scrape_interval__")?, duration("__scrape_timeout__")?);
    if timeout > interval {
        return Err("its scrape timeout is longer than its interval".to_owned());
    }
    Ok((interval, timeout))
}

/// `__address__` with the port of its scheme, as it becomes the `instance` where there is no other.
fn with_port(address: &str, scheme: &str) -> String {
    let has_port = match address.strip_prefix('[') {
        Some(rest) => rest.contains("]:"),
        None => address.contains(':'),
    };
    match (has_port, scheme) {
        (true, _) => address.to_owned(),
        (false, "https") => format!("{address}:443"),
        (false, _) => format!("{address}:80"),
    }
}

/// Prometheus' own way out when a label is taken.
fn other_name(name: &str) -> String {
    let plain: String = name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect();
    if LabelSet::check_name(&plain).is_ok() { plain } else { format!("exported_{plain}") }
}
