//! The files of the site: each replaced as a whole, and only if it says something else than before.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::badges::{MARK, badge};
use super::config::Settings;
use super::feeds;
use super::model::{Site, State};
use super::page::Pages;

#[derive(Debug, thiserror::Error)]
#[error("{}: cannot {doing} it", path.display())]
pub struct SiteError {
    path: PathBuf,
    doing: &'static str,
    source: io::Error,
}

/// Every file with its text.
pub(super) fn files(site: &Site, settings: &Settings, every: Option<u64>) -> Vec<(PathBuf, String)> {
    let pages = Pages { site, settings, every };
    let language = &settings.language;
    let words = |state: State| language.text(&format!("state_{}", state.key()));
    let json = serde_json::to_string_pretty(site).unwrap_or_default() + "\n";
    let mut files = vec![
        (PathBuf::from("status.json"), json),
        (PathBuf::from("index.html"), pages.index()),
        (PathBuf::from("history.html"), pages.history()),
        (PathBuf::from("feed.xml"), feeds::atom(site, settings)),
        (PathBuf::from("maintenance.ics"), feeds::calendar(site, settings)),
        (PathBuf::from("badge.svg"), badge(language.text("badge"), site.state, words(site.state))),
    ];
    for service in &site.services {
        // What is not known to be current is not said to be.
        let state = if site.current { service.state } else { State::Unknown };
        let path = Path::new("badges").join(format!("{}.svg", service.id));
        files.push((path, badge(&service.name, state, words(state))));
    }
    files
}

/// Writes them; badges of services that are no more are taken away.
pub(super) fn write(output: &Path, files: &[(PathBuf, String)], before: Option<&Site>) -> Result<usize, SiteError> {
    let failed = |path: &Path, doing: &'static str| {
        let path = path.to_owned();
        move |source: io::Error| SiteError { path, doing, source }
    };
    let mut written = 0;
    fs::create_dir_all(output.join("badges")).map_err(failed(output, "make"))?;
    for (name, text) in files {
        let path = output.join(name);
        if fs::read(&path).is_ok_and(|known| known == text.as_bytes()) {
            continue;
        }
        replace(&path, text.as_bytes()).map_err(failed(&path, "write"))?;
        written += 1;
    }
    for service in before.map(|site| site.services.as_slice()).unwrap_or_default() {
        let name = Path::new("badges").join(format!("{}.svg", service.id));
        let is_plain = !service.id.is_empty() && service.id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if files.iter().any(|(known, _)| *known == name) || !is_plain {
            continue;
        }
        let path = output.join(name);
        if fs::read(&path).is_ok_and(|text| text.starts_with(MARK.as_bytes())) {
            fs::remove_file(&path).map_err(failed(&path, "take away"))?;
        }
    }
    Ok(written)
}

fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let new = path.with_file_name(format!(".{name}.new"));
    let mut file = fs::File::create(&new)?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(&new, path)
}

/// What the site said last, for when nothing can be asked.
pub(super) fn before(output: &Path) -> Option<Site> {
    let text = fs::read(output.join("status.json")).ok()?;
    serde_json::from_slice::<Site>(&text).ok().filter(|site| site.schema == super::model::SCHEMA)
}
