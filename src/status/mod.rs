//! `uptime_exporter status`: a site of a few files that tells customers how the services are.
//!
//! ```text
//! ask -> model -> archive -> page, feeds, badges -> write
//! ```
//!
//! | module | what it owns |
//! |---|---|
//! | `config` `colour` `language` | `status.yaml`: how the site looks, and in which words |
//! | `ask` | what Prometheus knows of the public targets |
//! | `model` | what that means: services, incidents, maintenance; `status.json` |
//! | `archive` | what was said before, in a file that only grows |
//! | `page` `feeds` `badges` | the files |
//! | `write` | puts them in place |
//!
//! Nothing of a target leaves `model` but its `display_name`, its group and the operator's words.

mod archive;
mod ask;
mod badges;
mod colour;
mod config;
mod feeds;
mod language;
mod model;
mod page;
#[cfg(test)]
mod tests;
mod write;

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

pub use self::write::SiteError;

use self::archive::Archive;
use self::ask::{Facts, Reader};
use self::config::Settings;
use self::model::Site;
use crate::cli::StatusArgs;
use crate::config::ConfigErrors;
use crate::report::QueryError;
use crate::report::prometheus::Prometheus;

#[derive(Debug, thiserror::Error)]
pub enum StatusError {
    #[error("{0}")]
    Config(ConfigErrors),
    #[error("cannot ask Prometheus")]
    Prometheus(#[source] QueryError),
    #[error("cannot ask Prometheus; the site says so")]
    Query(#[source] QueryError),
    #[error("{}: cannot be read or written", path.display())]
    Archive { path: PathBuf, source: std::io::Error },
    #[error("cannot write the site")]
    Write(#[from] SiteError),
    #[error("stopped before the site was written")]
    Stopped,
}

impl StatusError {
    /// Whether what was asked for is wrong, rather than that it could not be done.
    pub fn is_misuse(&self) -> bool {
        matches!(self, Self::Config(_) | Self::Prometheus(_))
    }
}

/// Writes the site, once or again and again until `stop`.
///
/// # Errors
/// The config has problems; or, when it is to be written once, it could not be, or says that it knows nothing new.
pub async fn run(args: &StatusArgs, stop: &CancellationToken) -> Result<String, StatusError> {
    let mut settings = Settings::load(&args.config).map_err(StatusError::Config)?;
    if args.check {
        return Ok(format!("{}: ok\n", args.config.display()));
    }
    let (url, output) =
        (args.prometheus.as_deref().unwrap_or_default(), args.output.as_deref().unwrap_or(Path::new(".")));
    let prometheus = Prometheus::new(url, &args.headers).map_err(StatusError::Prometheus)?;
    let mut reader = Reader::new(prometheus, settings.latency);
    let mut warned: Vec<String> = Vec::new();
    loop {
        let done = tokio::select! {
            done = once(args, output, &mut settings, &mut reader, &mut warned) => done,
            () = stop.cancelled(), if args.every.is_some() => return Ok(String::new()),
            () = stop.cancelled() => return Err(StatusError::Stopped),
        };
        let Some(every) = args.every else {
            return done.map(|written| format!("{}: {written} files written\n", output.display()));
        };
        match done {
            Ok(written) => info!(files = written, "Wrote the status site."),
            Err(problem) => error!(error = format!("{:#}", anyhow::Error::new(problem)), "Wrote no news."),
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(String::new()),
            () = tokio::time::sleep(every) => {}
        }
        match Settings::load(&args.config) {
            Ok(new) => settings = new,
            Err(errors) => warn!(error = %errors, "Kept the config as it was."),
        }
    }
}

/// How many files are new.
async fn once(
    args: &StatusArgs,
    output: &Path,
    settings: &mut Settings,
    reader: &mut Reader,
    warned: &mut Vec<String>,
) -> Result<usize, StatusError> {
    reader.latency = settings.latency;
    let mut warnings = settings.notices.refresh();
    let now = now();
    let every = args.every.as_ref().map(Duration::as_secs);
    let before = write::before(output);
    let facts = reader.read(now).await;
    let (mut site, failed) = match facts {
        Ok(facts) => {
            let (site, more) = model::build(&facts, settings, now);
            warnings.extend(more);
            (site, None)
        }
        Err(error) => {
            let known = before.as_ref().map(|site| site.aged(settings, now));
            (known.unwrap_or_else(|| model::build(&Facts::default(), settings, now).0), Some(error))
        }
    };
    // Once, while it is so.
    for warning in warnings.iter().filter(|warning| !warned.contains(warning)) {
        warn!("{warning}");
    }
    *warned = warnings;
    if failed.is_none() {
        keep(output, settings, &mut site)?;
    }
    let written = write::write(output, &write::files(&site, settings, every), before.as_ref())?;
    match failed {
        None => Ok(written),
        Some(error) => Err(StatusError::Query(error)),
    }
}

/// Puts the past into the site, and the present into the archive.
fn keep(output: &Path, settings: &Settings, site: &mut Site) -> Result<(), StatusError> {
    let path = settings.archive.clone().unwrap_or_else(|| output.join("archive.jsonl"));
    let failed = |source: std::io::Error| StatusError::Archive { path: path.clone(), source };
    std::fs::create_dir_all(output).map_err(failed)?;
    let (mut archive, unread) = Archive::read(&path).map_err(failed)?;
    if unread > 0 {
        warn!(file = %path.display(), lines = unread, "Passed over lines of the archive that cannot be read.");
    }
    let records = archive.merge(site, settings.shortest_incident.as_secs_f64());
    model::join(&mut site.incidents);
    model::sort(&mut site.incidents);
    archive::append(&path, &records).map_err(failed)
}

fn now() -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of any real date are below 2^53")]
    let milliseconds = Timestamp::now().as_millisecond() as f64;
    milliseconds / 1000.0
}
