//! The config as it grows: targets as they will be written, and what our loader has to say to them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use super::modules::Modules;
use super::names;
use super::notes::{Notes, count, list};
use super::probes::Probe;
use super::write;
use crate::config::foreign::module_path;
use crate::config::{ConfigErrors, Problem, Source, show_duration};

/// One entry of `targets:`.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) target: String,
    pub(super) module: String,
    pub(super) interval: Duration,
    /// `None`: the module's holds.
    pub(super) timeout: Option<Duration>,
    pub(super) labels: Vec<(String, String)>,
    /// The block of a prober, as flow YAML.
    pub(super) over: Option<(&'static str, String)>,
    pub(super) job: String,
    pub(super) place: String,
}

pub(super) struct Draft {
    pub(super) modules: Modules,
    pub(super) entries: Vec<Entry>,
}

impl Draft {
    /// Makes targets of probes; what cannot become one is noted.
    pub(super) fn new(modules: Modules, probes: &[Probe], notes: &mut Notes) -> Self {
        let mut unknown: BTreeMap<String, Vec<&Probe>> = BTreeMap::new();
        let mut known = Vec::new();
        for probe in probes {
            let module = probe.module.as_str();
            match modules.facts(module) {
                Some(_) => known.push(probe.clone()),
                None => unknown.entry(module.to_owned()).or_default().push(probe),
            }
        }
        for (module, probes) in unknown {
            let Some(first) = probes.first() else { continue };
            let targets = count(probes.len(), "target");
            let text = match modules.file() {
                Some(file) => format!(
                    "the module {module} of {targets} is not in {}; define it there and run this again, or leave the job as \
                     it is when it asks another exporter",
                    file.path().display()
                ),
                None => format!("what the module {module} of {targets} does is not known; give --blackbox"),
            };
            notes.add(first.place.clone(), Some(&first.job), text);
        }
        let names = names::names(&known);
        let mut draft = Self { modules, entries: Vec::with_capacity(known.len()) };
        for (probe, name) in known.iter().zip(names) {
            draft.add(probe, name, notes);
        }
        draft
    }

    fn add(&mut self, probe: &Probe, name: String, notes: &mut Notes) {
        let module = probe.module.as_str();
        let facts = self.modules.facts(module).cloned().unwrap_or_default();
        let over = match probe.hostname.as_deref().map(|hostname| facts.with_hostname(hostname)).transpose() {
            Ok(over) => over.flatten(),
            Err(why) => {
                notes.add(probe.place.clone(), Some(&probe.job), format!("{name}: {why}; it is left out"));
                return;
            }
        };
        let mut labels: Vec<(String, String)> = probe.labels.iter().map(|(n, v)| (n.clone(), v.clone())).collect();
        // A name that had to differ from the instance.
        if let Some(instance) = probe.instance.as_deref().map(names::shown)
            && instance != name
        {
            labels.push(("instance".to_owned(), instance));
        }
        labels.sort_by_key(|(name, _)| (name != "job", name != "instance"));
        self.entries.push(Entry {
            target: probe.target.clone(),
            module: module.to_owned(),
            interval: within(probe, notes),
            timeout: timeout(probe.timeout, facts.timeout).map(|timeout| timeout.max(Duration::from_millis(1))),
            labels,
            over,
            job: probe.job.clone(),
            place: probe.place.clone(),
            name,
        });
    }

    /// Whether some target is not named as its instance was.
    pub(super) fn has_instances(&self) -> bool {
        self.entries.iter().any(|entry| entry.labels.iter().any(|(name, _)| name == "instance"))
    }

    /// Has our loader read what would be written, and takes out what it refuses, until it takes the rest.
    ///
    /// # Errors
    /// What it refuses and is of no one's making but ours.
    pub(super) fn settle(&mut self, output: &Path, notes: &mut Notes) -> Result<String, ConfigErrors> {
        loop {
            let body = match self.body() {
                Ok(body) => body,
                Err(module) => {
                    let why = "it has binary data beside text that our config would read as a variable";
                    self.leave_out_module(&module, why, notes);
                    continue;
                }
            };
            let errors = match Source::new(output, body.as_str()).config() {
                Ok(config) => {
                    self.tell_faults(config.faults.problems(), notes);
                    return Ok(body);
                }
                Err(errors) => errors,
            };
            if !self.leave_out(errors.problems(), notes) {
                return Err(errors);
            }
        }
    }

    fn body(&self) -> Result<String, String> {
        Ok(format!("{}{}{}", write::global(&self.entries, &self.modules), self.modules.text()?, write::targets(self)))
    }

    /// False when nothing could be taken out.
    fn leave_out(&mut self, problems: &[Problem], notes: &mut Notes) -> bool {
        let names: Vec<String> = self.modules.names().map(str::to_owned).collect();
        let mut progress = false;
        for name in names {
            let path = module_path(&name);
            let about = |problem: &&Problem| {
                problem.path.strip_prefix(&path).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
            };
            let found: Vec<String> = problems.iter().filter(about).map(|problem| sentence(problem, &path)).collect();
            if !found.is_empty() {
                self.leave_out_module(&name, &list(&found), notes);
                progress = true;
            }
        }
        if progress {
            // The targets have been counted anew.
            return true;
        }
        let mut refused: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
        for problem in problems {
            let Some((index, rest)) = problem.path.strip_prefix("targets[").and_then(|rest| rest.split_once(']'))
            else {
                continue;
            };
            let Ok(index) = index.parse() else { continue };
            let key = rest.trim_start_matches('.');
            refused
                .entry(index)
                .or_default()
                .insert(format!("{key}: {}", problem.message).trim_start_matches(": ").into());
        }
        for (index, why) in refused.into_iter().rev() {
            if index < self.entries.len() {
                let entry = self.entries.remove(index);
                let why: Vec<String> = why.into_iter().collect();
                let text = format!("{}: {}; it is left out", entry.name, list(&why));
                notes.add(entry.place, Some(&entry.job), text);
                progress = true;
            }
        }
        progress
    }

    /// What is wrong with modules that are good enough to start with.
    fn tell_faults(&self, faults: &[Problem], notes: &mut Notes) {
        for name in self.modules.names() {
            let path = module_path(name);
            for fault in faults {
                if fault.path.strip_prefix(&path).is_some_and(|rest| rest.starts_with('.')) {
                    let why = sentence(fault, &path);
                    let text = format!("module {name}: {why}; it is carried over, and fails until that is put right");
                    notes.add(self.modules.place(name), None, text);
                }
            }
        }
    }

    fn leave_out_module(&mut self, name: &str, why: &str, notes: &mut Notes) {
        let before = self.entries.len();
        self.entries.retain(|entry| entry.module != name);
        let targets = match before - self.entries.len() {
            0 => String::new(),
            some => format!(", and {} with it", count(some, "target")),
        };
        notes.add(self.modules.place(name), None, format!("module {name}: {why}; it is left out{targets}"));
        self.modules.remove(name);
    }
}

/// A problem of a module without the path that leads to it.
fn sentence(problem: &Problem, module: &str) -> String {
    let key = problem.path.strip_prefix(module).unwrap_or_default().trim_start_matches('.');
    if key.is_empty() { problem.message.clone() } else { format!("{key}: {}", problem.message) }
}

/// The interval, if our schedule has it.
fn within(probe: &Probe, notes: &mut Notes) -> Duration {
    const LEAST: Duration = Duration::from_millis(100);
    const MOST: Duration = Duration::from_secs(7 * 86_400);
    let interval = probe.interval.clamp(LEAST, MOST);
    if interval != probe.interval {
        let (old, new) = (show_duration(probe.interval), show_duration(interval));
        notes.add(probe.place.clone(), Some(&probe.job), format!("an interval of {old} is {new} here"));
    }
    interval
}

/// What blackbox_exporter makes of the scrape's timeout and its module's; `None`: the module's.
fn timeout(scrape: Duration, module: Option<Duration>) -> Option<Duration> {
    const OFFSET: Duration = Duration::from_millis(500);
    match (scrape.saturating_sub(OFFSET), module) {
        // It would have no time at all.
        (Duration::ZERO, None) => Some(scrape),
        (Duration::ZERO, Some(_)) => None,
        (left, Some(module)) if module <= left => None,
        (left, _) => Some(left),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_timeout_is_that_of_blackbox_exporter() {
        let ms = Duration::from_millis;
        for (scrape, module, own) in [
            (10_000, None, Some(9_500)),
            (10_000, Some(5_000), None),
            (10_000, Some(9_500), None),
            (10_000, Some(15_000), Some(9_500)),
            (500, Some(5_000), None),
            (400, None, Some(400)),
        ] {
            assert_eq!(timeout(ms(scrape), module.map(ms)), own.map(ms), "{scrape} {module:?}");
        }
    }
}
