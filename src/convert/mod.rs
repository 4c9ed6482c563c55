//! `uptime_exporter convert`: blackbox_exporter's jobs of a `prometheus.yml`, and a `blackbox.yml`, as a config of ours.
//!
//! ```text
//! prometheus.yml -> job -> discover -> relabel -> probes -> names -> draft -> write
//! blackbox.yml   -> modules ---------------------------------------^
//! ```
//!
//! Prometheus' own steps are executed, target by target, so what comes out is what it asks of blackbox_exporter now,
//! however the relabelling gets there. Our loader reads the result before anybody else does, and what it refuses is left
//! out and told. Whatever is not carried over becomes one of the `notes`.

mod discover;
mod draft;
mod durations;
mod job;
mod modules;
mod names;
mod notes;
mod probes;
mod relabel;
mod scrape;
#[cfg(test)]
mod tests;
mod write;
pub(crate) mod yaml;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use self::draft::Draft;
use self::modules::Modules;
use self::notes::{Notes, count, list};
use self::probes::Found;
use crate::cli::ConvertArgs;
use crate::config::ConfigErrors;

pub use self::notes::Note;

/// What came out.
#[derive(Debug)]
pub struct Conversion {
    /// The config, with a comment in front.
    pub config: String,
    /// What it does not have.
    pub notes: Vec<Note>,
    /// A sentence for people: how much of what.
    pub summary: String,
}

#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    #[error("{0}")]
    Input(ConfigErrors),
    #[error("{}: no job probes by blackbox_exporter (a path that ends with /probe, and the parameter target)", .0.display())]
    NoProbes(PathBuf),
    #[error("--exporter {wanted}: no job asks it; asked are {asked}")]
    NoSuchExporter { wanted: String, asked: String },
    #[error("what was made is no config of ours, which is a fault of this program; please report it:\n{0}")]
    Refused(ConfigErrors),
}

/// Reads the files and makes a config of them; nothing is written.
///
/// # Errors
/// They cannot be read, or have nothing that could be carried over.
pub fn convert(args: &ConvertArgs) -> Result<Conversion, ConvertError> {
    let mut notes = Notes::default();
    let mut found = Found::default();
    for job in job::jobs(&args.prometheus, &mut notes).map_err(ConvertError::Input)? {
        probes::add(&job, &mut found, &mut notes);
    }
    if found.jobs.is_empty() {
        return Err(ConvertError::NoProbes(args.prometheus.clone()));
    }
    select_exporter(args, &mut found, &mut notes)?;
    let modules = match &args.blackbox {
        Some(path) => Modules::read(path, &mut notes).map_err(ConvertError::Input)?,
        None => {
            let names: Vec<&str> = found.probes.iter().map(|probe| probe.module.as_str()).collect();
            let modules = Modules::well_known(&names);
            let names: Vec<&str> = modules.names().collect();
            if !names.is_empty() {
                let text = format!(
                    "modules are guessed by their names: {}; give --blackbox, or put yours there",
                    list(&names)
                );
                notes.add(args.prometheus.display().to_string(), None, text);
            }
            modules
        }
    };
    let mut draft = Draft::new(modules, &found.probes, &mut notes);
    let output = args.output.as_deref().unwrap_or(Path::new("config.yaml"));
    let body = draft.settle(output, &mut notes).map_err(ConvertError::Refused)?;
    let files: Vec<String> = [Some(&args.prometheus), args.blackbox.as_ref()]
        .into_iter()
        .flatten()
        .map(|path| path.display().to_string())
        .collect();
    let header = write::header(&draft, &list(&files), &found.replaced, notes.all());
    Ok(Conversion { config: header + &body, summary: summary(&draft, &found), notes: notes.finish() })
}

/// Different exporters see from different places, so a config of ours is for one of them.
fn select_exporter(args: &ConvertArgs, found: &mut Found, notes: &mut Notes) -> Result<(), ConvertError> {
    let mut exporters: BTreeMap<String, usize> = BTreeMap::new();
    for probe in &found.probes {
        *exporters.entry(probe.exporter.clone()).or_default() += 1;
    }
    let asked = |exporters: &BTreeMap<String, usize>| {
        let each: Vec<String> =
            exporters.iter().map(|(exporter, number)| format!("{exporter} ({})", count(*number, "target"))).collect();
        list(&each)
    };
    if let Some(wanted) = &args.exporter {
        found.probes.retain(|probe| probe.exporter == *wanted);
        if found.probes.is_empty() {
            return Err(ConvertError::NoSuchExporter { wanted: wanted.clone(), asked: asked(&exporters) });
        }
        let jobs: Vec<String> = found.probes.iter().map(|probe| probe.job.clone()).collect();
        found.jobs.retain(|job| jobs.contains(job));
        found.replaced.retain(|job| jobs.contains(job));
        notes.retain_jobs(&found.jobs);
    } else if exporters.len() > 1 {
        let text = format!(
            "several exporters are asked, and this config has the targets of all: {}; where they see from different \
             places, make a config for each with --exporter",
            asked(&exporters)
        );
        notes.add(args.prometheus.display().to_string(), None, text);
    }
    Ok(())
}

fn summary(draft: &Draft, found: &Found) -> String {
    let modules = draft.modules.names().count();
    let mut text = format!(
        "{} of {}, {}.",
        count(draft.entries.len(), "target"),
        count(found.jobs.len(), "job"),
        count(modules, "module")
    );
    if found.dropped > 0 {
        text.push_str(&format!(" {} dropped by relabelling, as in Prometheus.", count(found.dropped, "target")));
    }
    match found.other_jobs {
        0 => {}
        1 => text.push_str(" 1 job is not about probes; it stays in Prometheus."),
        many => text.push_str(&format!(" {many} jobs are not about probes; they stay in Prometheus.")),
    }
    text
}

#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    #[error("{} is there already, with other content; it is left as it is, so move it away or name another --output", .0.display())]
    Exists(PathBuf),
    #[error("cannot write {}", .path.display())]
    Io { path: PathBuf, source: std::io::Error },
}

/// Writes the config to a new file. One that is there is never changed.
///
/// # Errors
/// There is another file, or it cannot be written.
pub fn save(config: &str, path: &Path, args: &ConvertArgs) -> Result<(), WriteError> {
    let fault = |source| WriteError::Io { path: path.to_owned(), source };
    // Modules may have secrets in them, so who could not read these cannot read the copy.
    let mode =
        args.blackbox.as_ref().and_then(|path| std::fs::metadata(path).ok()).map(|file| file.permissions().mode());
    let mode = mode.map_or(0o666, |mode| mode & 0o666 | 0o600);
    match std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path) {
        Ok(mut file) => file.write_all(config.as_bytes()).map_err(fault),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => match std::fs::read(path) {
            Ok(there) if there == config.as_bytes() => Ok(()),
            Ok(_) | Err(_) => Err(WriteError::Exists(path.to_owned())),
        },
        Err(error) => Err(fault(error)),
    }
}
