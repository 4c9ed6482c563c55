//! `status.yaml`: how the site looks, and in which words. Every problem of it is told at once.

use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use jiff::tz::TimeZone;
use serde::Deserialize;
use url::Url;

use super::ask::Words;
use super::colour::Colour;
use super::language::Language;
use crate::config::foreign::Foreign;
use crate::config::notice::Notice;
use crate::config::{ConfigErrors, LabelSet, Source, Step, TargetName, parse_duration};

/// Larger logos would take the page beyond what one request should have.
const MAX_LOGO_BYTES: u64 = 24 << 10;

#[derive(Debug, Default, Deserialize)]
struct Raw {
    name: Option<String>,
    url: Option<String>,
    introduction: Option<String>,
    language: Option<String>,
    time_zone: Option<String>,
    texts: Option<std::collections::BTreeMap<String, String>>,
    logo: Option<String>,
    links: Option<Vec<RawLink>>,
    colors: Option<RawColors>,
    group_label: Option<String>,
    groups: Option<Vec<RawGroup>>,
    unnamed: Option<String>,
    latency: Option<bool>,
    stale_after: Option<String>,
    shortest_incident: Option<String>,
    notice_files: Option<Vec<String>>,
    archive: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct RawLink {
    name: Option<String>,
    url: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct RawColors {
    light: Option<String>,
    dark: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct RawGroup {
    value: Option<String>,
    name: Option<String>,
}

/// How the site is to be.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) name: String,
    /// Ends with a slash.
    pub(super) url: Url,
    pub(super) introduction: String,
    pub(super) language: Language,
    pub(super) time_zone: TimeZone,
    /// As a data URL.
    pub(super) logo: Option<String>,
    pub(super) links: Vec<(String, String)>,
    /// Of links and of the line at the top, on white and on black.
    pub(super) light: Colour,
    pub(super) dark: Colour,
    group_label: Option<String>,
    /// Value and name, in the order in which they are shown.
    groups: Vec<(String, String)>,
    pub(super) unnamed: Unnamed,
    pub(super) latency: bool,
    pub(super) stale_after: Duration,
    pub(super) shortest_incident: Duration,
    pub(super) notices: Notices,
    pub(super) archive: Option<PathBuf>,
}

/// What becomes of public targets that have no `display_name`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unnamed {
    Hide,
    /// By the exporter's name of them.
    Show,
}

/// Of `notice_files`, read anew each time.
#[derive(Clone, Debug, Default)]
pub(super) struct Notices {
    files: Vec<PathBuf>,
    known: Vec<Notice>,
}

impl Notices {
    /// Reads the files. Of one with problems, what it said before is forgotten and the problems are told.
    pub(super) fn refresh(&mut self) -> Vec<String> {
        let mut problems = Vec::new();
        self.known.clear();
        for file in &self.files {
            match Source::read(file).and_then(|source| source.notices()) {
                Ok(notices) => self.known.extend(notices),
                Err(error) => problems.push(error.to_string()),
            }
        }
        problems
    }

    /// The first that is for the target; else what Prometheus has.
    pub(super) fn of(
        &self,
        name: &str,
        labels: &std::collections::BTreeMap<String, String>,
        measured: &Option<Words>,
    ) -> Option<Words> {
        let labels = labels.iter().filter(|(label, _)| LabelSet::check_name(label).is_ok());
        let labels = LabelSet::new(labels.map(|(name, value)| (name.clone(), value.clone()))).unwrap_or_default();
        let name = TargetName::new(name).ok();
        let first =
            self.known.iter().find(|notice| name.as_ref().is_some_and(|name| notice.audience.has(name, &labels)));
        let words = first.map(|Notice { cause, action, next_update, .. }| Words {
            cause: cause.clone(),
            action: action.clone(),
            next_update: *next_update,
        });
        words.or_else(|| measured.clone())
    }
}

/// Problems, and where they are.
struct Found<'f> {
    file: &'f Foreign,
    problems: Vec<(Vec<Step>, String)>,
}

impl Found<'_> {
    fn add(&mut self, steps: &[Step], message: impl Into<String>) {
        self.problems.push((steps.to_vec(), message.into()));
    }
}

impl Settings {
    /// # Errors
    /// Every problem of the file, and of those that it names.
    pub(super) fn load(path: &Path) -> Result<Self, ConfigErrors> {
        Self::of(&Foreign::read(path)?)
    }

    pub(super) fn of(file: &Foreign) -> Result<Self, ConfigErrors> {
        let raw: Raw = file.strict_shape()?;
        let base = file.path().parent().map(Path::to_owned).unwrap_or_default();
        let mut found = Found { file, problems: Vec::new() };
        let name = raw.name.unwrap_or_default().trim().to_owned();
        if name.is_empty() {
            found.add(&["name".into()], "is required: the title of the site");
        }
        let url = url(raw.url, &mut found);
        let language =
            language(raw.language.as_deref().unwrap_or("en"), raw.texts.unwrap_or_default(), &base, &mut found);
        let time_zone = raw.time_zone.unwrap_or_else(|| "UTC".to_owned());
        let zone = TimeZone::get(&time_zone).ok();
        if zone.is_none() {
            found.add(
                &["time_zone".into()],
                format!("{time_zone:?} is not a time zone; write it like Europe/Berlin or UTC"),
            );
        }
        let links = raw.links.unwrap_or_default().into_iter().enumerate();
        let links = links.filter_map(|(index, raw)| link(raw, index, &mut found)).collect();
        let colors = raw.colors.unwrap_or_default();
        let light = colour(colors.light, "light", "#0b5cad", Colour::WHITE, &mut found);
        let dark = colour(colors.dark, "dark", "#7cb7ff", Colour::DARK, &mut found);
        let mut groups = Vec::new();
        for (index, RawGroup { value, name }) in raw.groups.unwrap_or_default().into_iter().enumerate() {
            match value.filter(|value| !value.is_empty()) {
                Some(value) => groups.push((value.clone(), name.unwrap_or(value))),
                None => {
                    found.add(&["groups".into(), index.into(), "value".into()], "is required: a value of the label")
                }
            }
        }
        if !groups.is_empty() && raw.group_label.is_none() {
            found.add(&["groups".into()], "needs group_label, the label that has these values");
        }
        let unnamed = match raw.unnamed.as_deref() {
            None | Some("hide") => Unnamed::Hide,
            Some("show") => Unnamed::Show,
            Some(other) => {
                found.add(&["unnamed".into()], format!("{other:?} is neither hide nor show"));
                Unnamed::Hide
            }
        };
        let stale_after = duration(raw.stale_after, "stale_after", 300, &mut found);
        let shortest_incident = duration(raw.shortest_incident, "shortest_incident", 60, &mut found);
        let logo = raw.logo.and_then(|name| logo(&base.join(name), &mut found));
        let files: Vec<PathBuf> = raw.notice_files.unwrap_or_default().iter().map(|name| base.join(name)).collect();
        for (index, path) in files.iter().enumerate() {
            if let Err(error) = Source::read(path).and_then(|source| source.notices()) {
                found.add(&["notice_files".into(), index.into()], first(&error));
            }
        }
        let (Some(url), Some(language), Some(time_zone), Some(light), Some(dark), true) =
            (url, language, zone, light, dark, found.problems.is_empty())
        else {
            return Err(found.file.errors(found.problems));
        };
        Ok(Self {
            name,
            url,
            introduction: raw.introduction.unwrap_or_default().trim().to_owned(),
            language,
            time_zone,
            logo,
            links,
            light,
            dark,
            group_label: raw.group_label.filter(|label| !label.is_empty()),
            groups,
            unnamed,
            latency: raw.latency.unwrap_or(false),
            stale_after,
            shortest_incident,
            notices: Notices { files, known: Vec::new() },
            archive: raw.archive.map(|name| base.join(name)),
        })
    }

    /// The name of the group that a target with these labels is in.
    pub(super) fn group_of(&self, labels: &std::collections::BTreeMap<String, String>) -> Option<String> {
        let value = labels.get(self.group_label.as_ref()?).filter(|value| !value.is_empty())?;
        let named = self.groups.iter().find(|(known, _)| known == value);
        Some(named.map_or_else(|| value.clone(), |(_, name)| name.clone()))
    }

    /// Those that the file does not name come last.
    pub(super) fn place_of_group(&self, name: &str) -> usize {
        self.groups.iter().position(|(_, known)| known == name).unwrap_or(self.groups.len())
    }
}

fn url(raw: Option<String>, found: &mut Found<'_>) -> Option<Url> {
    let text = raw.unwrap_or_default();
    if text.is_empty() {
        found.add(&["url".into()], "is required: the address of the site, for feeds and links");
        return None;
    }
    let url = Url::parse(&text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let Some(mut url) = url else {
        found.add(&["url".into()], format!("{text:?} is not an http or https URL"));
        return None;
    };
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    Some(url)
}

fn link(raw: RawLink, index: usize, found: &mut Found<'_>) -> Option<(String, String)> {
    let steps = |key: &str| [Step::from("links"), index.into(), key.into()];
    let name = raw.name.unwrap_or_default();
    let url = raw.url.unwrap_or_default();
    if name.trim().is_empty() {
        found.add(&steps("name"), "is required");
    }
    let good = Url::parse(&url).is_ok_and(|url| matches!(url.scheme(), "http" | "https" | "mailto" | "tel"));
    if !good {
        found.add(&steps("url"), format!("{url:?} is not a URL of http, https, mailto or tel"));
    }
    Some((name, url)).filter(|(name, _)| good && !name.trim().is_empty())
}

fn colour(
    raw: Option<String>,
    key: &'static str,
    default: &str,
    ground: Colour,
    found: &mut Found<'_>,
) -> Option<Colour> {
    let steps = [Step::from("colors"), key.into()];
    let text = raw.unwrap_or_else(|| default.to_owned());
    let Some(colour) = Colour::parse(&text) else {
        found.add(&steps, format!("{text:?} is not a color; write it like #0b5cad"));
        return None;
    };
    if colour.contrast(ground) < Colour::READABLE {
        let better = colour.readable_on(ground);
        found.add(
            &steps,
            format!(
                "{text} on the {key} ground {ground} has a contrast of {:.1} to 1, and text needs 4.5 to 1; {better} has it",
                colour.contrast(ground)
            ),
        );
        return None;
    }
    Some(colour)
}

fn duration(raw: Option<String>, key: &'static str, default: u64, found: &mut Found<'_>) -> Duration {
    let default = Duration::from_secs(default);
    match raw.map(|text| parse_duration(&text)) {
        None => default,
        Some(Ok(duration)) => duration,
        Some(Err(message)) => {
            found.add(&[key.into()], message);
            default
        }
    }
}

fn logo(path: &Path, found: &mut Found<'_>) -> Option<String> {
    let steps = [Step::from("logo")];
    let kind = match path.extension().and_then(|extension| extension.to_str()).map(str::to_ascii_lowercase).as_deref() {
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("webp") => "image/webp",
        _ => {
            found.add(&steps, format!("{} is neither .svg nor .png nor .webp", path.display()));
            return None;
        }
    };
    match std::fs::read(path) {
        Ok(bytes) if bytes.len() as u64 > MAX_LOGO_BYTES => {
            found.add(
                &steps,
                format!(
                    "{} has {} bytes; it is part of the page, so at most {MAX_LOGO_BYTES} are taken",
                    path.display(),
                    bytes.len()
                ),
            );
            None
        }
        Ok(bytes) => Some(format!("data:{kind};base64,{}", base64::engine::general_purpose::STANDARD.encode(bytes))),
        Err(error) => {
            found.add(&steps, format!("{} cannot be read: {error}", path.display()));
            None
        }
    }
}

fn language(
    name: &str,
    texts: std::collections::BTreeMap<String, String>,
    base: &Path,
    found: &mut Found<'_>,
) -> Option<Language> {
    let steps = [Step::from("language")];
    let language = match Language::shipped(name) {
        Some(language) => language,
        None if name.ends_with(".yaml") || name.ends_with(".yml") || name.ends_with(".json") => {
            let file = match Foreign::read(&base.join(name)) {
                Ok(file) => file,
                Err(errors) => {
                    found.add(&steps, first(&errors));
                    return None;
                }
            };
            match Language::of_file(&file) {
                Ok(language) => language,
                Err(problems) => {
                    for problem in problems {
                        found.add(&steps, problem);
                    }
                    return None;
                }
            }
        }
        None => {
            found.add(&steps, format!("{name:?} is neither en nor de nor a .yaml file of texts"));
            return None;
        }
    };
    match language.with(texts) {
        Ok(language) => Some(language),
        Err(problems) => {
            for (key, message) in problems {
                found.add(&["texts".into(), key.as_str().into()], message);
            }
            None
        }
    }
}

fn first(errors: &ConfigErrors) -> String {
    errors.problems().first().map(ToString::to_string).unwrap_or_default()
}
