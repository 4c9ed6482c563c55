//! The label sets that Prometheus finds for a job, before it relabels them: `static_configs` and `file_sd_configs`.

use std::path::{Component, Path, PathBuf};

use super::job::Job;
use super::notes::{Notes, count, list};
use super::relabel::Labels;
use super::scrape::RawGroup;
use crate::config::foreign::Foreign;
use crate::config::{ConfigErrors, has_wildcard, wildcard};

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Discovered {
    /// Each target's address and labels, and those of its group.
    pub(super) targets: Vec<Labels>,
    /// How many of them stand in files of their own.
    from_files: usize,
    /// Sentences about files that are not there, or that cannot be read.
    problems: Vec<String>,
}

impl Discovered {
    pub(super) fn of(job: &Job) -> Self {
        let mut found = Self::default();
        for group in job.raw.static_configs.iter().flatten() {
            found.add(group, None);
        }
        let in_groups = found.targets.len();
        for pattern in patterns(job) {
            let files = glob(&job.located(pattern));
            if files.is_empty() {
                found.problems.push(format!("no file matches {pattern}; run this where Prometheus' files are"));
            }
            for file in files {
                match groups(&file) {
                    Ok(groups) => {
                        let name = file.display().to_string();
                        groups.iter().for_each(|group| found.add(group, Some(&name)));
                    }
                    Err(errors) => {
                        let sentences = errors.problems().iter().map(|problem| format!("{problem}; it is left out"));
                        found.problems.extend(sentences);
                    }
                }
            }
        }
        found.from_files = found.targets.len() - in_groups;
        found
    }

    fn add(&mut self, group: &RawGroup, file: Option<&str>) {
        for address in group.targets.iter().flatten() {
            let mut labels: Labels =
                group.labels.iter().flatten().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            labels.set("__address__", address.as_str());
            if let Some(file) = file {
                labels.set("__meta_filepath", file);
            }
            self.targets.push(labels);
        }
    }

    /// For jobs of probes: that files are taken as they are now, and what was wrong with them.
    pub(super) fn note(&self, job: &Job, notes: &mut Notes) {
        for problem in &self.problems {
            notes.add(job.place_of("file_sd_configs"), Some(&job.name), problem.as_str());
        }
        if self.from_files > 0 {
            let patterns: Vec<&str> = patterns(job).collect();
            let text = format!(
                "the {} of {} are carried over as they are now, later changes of the files are not; run this again \
                 then, or have the files written for target_files",
                count(self.from_files, "target"),
                list(&patterns)
            );
            notes.add(job.place_of("file_sd_configs"), Some(&job.name), text);
        }
    }
}

fn patterns(job: &Job) -> impl Iterator<Item = &str> {
    job.raw.file_sd_configs.iter().flatten().flat_map(|sd| sd.files.iter().flatten()).map(String::as_str)
}

fn groups(file: &Path) -> Result<Vec<RawGroup>, ConfigErrors> {
    Foreign::read(file)?.shape()
}

/// A name in a file at `of`: relative to its folder, and tidied up as Go does it, for it shows in `__meta_filepath`.
pub(super) fn located(of: &Path, written: &str) -> PathBuf {
    let mut path = PathBuf::new();
    for part in of.parent().unwrap_or(Path::new("")).join(written).components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if matches!(path.components().next_back(), Some(Component::Normal(_))) => {
                path.pop();
            }
            Component::ParentDir | Component::Normal(_) | Component::RootDir | Component::Prefix(_) => path.push(part),
        }
    }
    path
}

/// The files that match, sorted; each part of the path may have wildcards.
pub(super) fn glob(pattern: &Path) -> Vec<PathBuf> {
    let mut paths = vec![PathBuf::new()];
    for part in pattern.components() {
        let Some(wanted) = part.as_os_str().to_str().filter(|text| has_wildcard(text)) else {
            paths.iter_mut().for_each(|path| path.push(part));
            continue;
        };
        let mut matching = Vec::new();
        for folder in paths {
            let read = std::fs::read_dir(if folder.as_os_str().is_empty() { Path::new(".") } else { &folder });
            let names = read.into_iter().flatten().flatten().map(|entry| entry.file_name());
            matching.extend(
                names
                    .filter(|name| name.to_str().is_some_and(|name| wildcard(wanted, name)))
                    .map(|name| folder.join(name)),
            );
        }
        paths = matching;
    }
    paths.retain(|path| path.is_file());
    paths.sort();
    paths
}
