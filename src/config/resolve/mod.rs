//! Tree -> [`Config`]: every rule of the config, every problem in one report.
//!
//! | file | what it owns |
//! |---|---|
//! | `mod` | the order of work, and what all parts share |
//! | `global` `anchor` | `global:` and the defaults |
//! | `maintenance` | `maintenance:`, and which target takes which window |
//! | `shared_cause` | `global.shared_cause` |
//! | `probe_endpoint` | what `/probe` may do |
//! | `notice` | files of the operator's words |
//! | `depends_on` | which target stands behind which |
//! | `module` | `modules:`, and settings shared by all targets that want the same |
//! | `target` | one target |
//! | `target_files` | files of targets, ours and Prometheus's file_sd |
//! | `discovery` | lists of targets that others keep: `target_http`, `target_dns` |
//! | `private_key` | what a client key is that cannot be used |
//! | `http` `tcp` `dns` `icmp` `grpc` `unix` `websocket` `auth` `tls` `trace_context` | the blocks of the modules |
//! | `web` | the file of `--web.config.file` |
//! | `address` `web_url` `names` `services` | addresses: URLs, names in other scripts, ports by name |
//! | `files` | named files |

mod address;
mod anchor;
mod auth;
mod depends_on;
mod discovery;
mod dns;
mod files;
mod global;
mod grpc;
mod http;
mod icmp;
mod maintenance;
mod module;
mod names;
mod notice;
mod oauth2;
mod path;
mod private_key;
mod probe_endpoint;
mod services;
mod shared_cause;
mod target;
mod target_files;
mod tcp;
mod tls;
mod trace_context;
mod unix;
mod web;
mod web_url;
mod websocket;

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use self::files::Files;
pub(super) use self::module::probe_spec;
pub(crate) use self::names::authority;
pub(super) use self::notice::alone as notices_alone;
use self::tls::PemCache;
pub(super) use self::web::web;
use super::expand::{Environment, expand};
use super::load::{Format, parse};
use super::masked::{masked_modules, masked_yaml};
use super::node::Node;
use super::ours::has_own_key;
use super::problem::{At, ConfigErrors, FileId, KeyPath, Problems, shorten};
use super::raw::{DurationText, RawFile};
use super::units::{parse_duration, show_duration};
use super::zoned::split_zone;
use super::{Config, IpFamily, IpPreference, LabelSet, Lists, Pattern, Source, shape};

/// What every part of the resolution shares.
struct Resolver<'e> {
    problems: Problems,
    warnings: Vec<String>,
    remarks: Vec<String>,
    files: Files,
    environment: Environment<'e>,
    pem: PemCache,
}

/// A file parsed, its variables not expanded yet, and what takes note of its problems.
fn parsed<'e>(
    source: &Source,
    environment: Environment<'e>,
) -> Result<(Resolver<'e>, Node, At<'static>), ConfigErrors> {
    parsed_as(source, Format::Yaml, environment)
}

fn parsed_as<'e>(
    source: &Source,
    format: Format,
    environment: Environment<'e>,
) -> Result<(Resolver<'e>, Node, At<'static>), ConfigErrors> {
    let mut problems = Problems::default();
    let main = problems.file(source.path.clone());
    problems.file_text(main, source.text.clone());
    let base = source.path.parent().map(Path::to_owned).unwrap_or_default();
    let mut r = Resolver {
        problems,
        warnings: Vec::new(),
        remarks: Vec::new(),
        files: Files::new(base),
        environment,
        pem: PemCache::default(),
    };
    match parse(&source.text, format, main, &mut r.problems) {
        Some(root) => Ok((r, root, At::root(main))),
        None => Err(r.problems.into_errors()),
    }
}

/// A file parsed and expanded.
fn start<'e>(source: &Source, environment: Environment<'e>) -> Result<(Resolver<'e>, Node, At<'static>), ConfigErrors> {
    let (mut r, mut root, at) = parsed(source, environment)?;
    expand(&mut root, environment, &at, &mut r.problems);
    if matches!(root, Node::Null) {
        root = Node::Map(Vec::new());
    }
    Ok((r, root, at))
}

/// The whole file, resolved, with the targets of `lists`.
pub(super) fn resolve(source: &Source, lists: &Lists, environment: Environment<'_>) -> Result<Config, ConfigErrors> {
    let (mut r, mut root, at) = parsed(source, environment)?;
    if matches!(&root, Node::Null) || matches!(&root, Node::Map(entries) if entries.is_empty()) {
        let least = "targets: [{name: example, target: \"https://example.com/\"}]";
        r.problems.add(&at, format!("has no config in it; the least that works is {least}"));
        return Err(r.problems.into_errors());
    }
    if !matches!(root, Node::Map(_)) {
        let message =
            format!("expected a mapping with global, modules, targets and target_files, found {}", root.kind());
        r.problems.add(&at, message);
        return Err(r.problems.into_errors());
    }
    let mut masked = masked_yaml(&root);
    let masked_modules = masked_modules(&root);
    if has_own_key(&root) {
        expand(&mut root, environment, &at, &mut r.problems);
        r.problems.note_expansions();
    } else if has_variables(&root, environment) {
        let message = "has names of environment variables that are set, and none is expanded, since the file has no key that \
                       blackbox_exporter does not have; with global: {} in it they are";
        r.problems.add_note(at.file, at.path(), message);
    }

    // A place for anchors, as other tools have it: keys of the file that begin with x- mean nothing.
    if let Node::Map(entries) = &mut root {
        entries.retain(|(key, _)| !key.starts_with("x-"));
    }
    let raw: RawFile = shape::read(&root, &at, &mut r.problems);
    let mut defaults = global::global(raw.global, &at.key("global"), &mut r);
    defaults.maintenance = maintenance::windows(raw.maintenance, &at.key("maintenance"), &mut r);
    let mut modules = module::modules(root.get("modules"), &at.key("modules"), &mut r);
    let mut targets = target::Targets::default();
    match root.get("targets") {
        None | Some(Node::Null) => {}
        Some(Node::List(entries)) => {
            let at = at.key("targets");
            for (index, entry) in entries.iter().enumerate() {
                target::target(entry, &at.index(index), &defaults, &mut modules, &mut targets, &mut r);
            }
        }
        Some(other) => {
            let message =
                format!("expected a list of targets, each beginning with \"- name:\", found {}", other.kind());
            r.problems.add(&at.key("targets"), message);
        }
    }
    let patterns = raw.target_files.unwrap_or_default();
    let at_files = at.key("target_files");
    target_files::target_files(&patterns, &at_files, &defaults, &mut modules, &mut targets, &mut masked, &mut r);

    let mut found = discovery::Found::default();
    let mut making = discovery::Making { lists, defaults: &defaults, modules: &mut modules, targets: &mut targets };
    found.http(root.get("target_http"), &at.key("target_http"), &mut making, &mut r);
    found.dns(root.get("target_dns"), &at.key("target_dns"), &mut making, &mut r);

    let probe_endpoint = probe_endpoint::probe_endpoint(raw.probe_endpoint, &at.key("probe_endpoint"), &mut r);
    let at_notices = at.key("notice_files");
    let (notices, notice_files) = notice::notices(&raw.notice_files.unwrap_or_default(), &at_notices, &mut r);

    let at_global = at.key("global");
    let node = root.get("global").and_then(|global| global.get("depends_on"));
    let global = depends_on::list(node, depends_on::Owner::Default, &at_global.key("depends_on"), &mut r);
    let (targets, parents) = targets.finish(global.as_ref(), &found, &mut r);

    if !r.problems.is_empty() {
        return Err(r.problems.into_errors());
    }
    notice::warn_unused(&notices, &targets, &at_notices, &mut r);
    maintenance::warn_unused(&defaults.maintenance, &targets, &at.key("maintenance"), &mut r);
    if targets.is_empty() && found.sources.is_empty() {
        r.warnings.push(format!("{}: no targets are configured; nothing is probed", source.path.display()));
    }
    let (watch, loaded) = r.files.watch();
    let faults = r.problems.faults();
    r.warnings.extend(r.problems.notes());
    Ok(Config {
        faults,
        targets,
        parents,
        modules: modules.finish(&defaults, &masked_modules),
        masked_yaml: masked,
        dependencies: r.files.dependencies(),
        watch,
        loaded,
        labels: LabelSet::new(defaults.labels.iter().cloned()).unwrap_or_default(),
        probe_endpoint,
        notices,
        notice_files,
        discoveries: found.sources,
        anchors: defaults.anchors,
        shared_cause: defaults.shared_cause,
        trace_url: defaults.trace_url.map(Arc::new),
        region_name: defaults.region_name,
        refresh_interval: defaults.refresh_interval,
        warnings: r.warnings,
        remarks: r.remarks,
        source: source.clone(),
    })
}

/// Whether expansion would put something from the environment into it.
fn has_variables(root: &Node, environment: Environment<'_>) -> bool {
    let mut problems = Problems::default();
    let at = At::root(problems.file(PathBuf::new()));
    expand(&mut root.clone(), environment, &at, &mut problems);
    problems.has_variables()
}

impl Resolver<'_> {
    fn warn(&mut self, at: &At<'_>, message: &str) {
        self.warn_path(at.file, &at.path(), message);
    }

    /// Like [`Self::warn`], of what is as it should be.
    fn remark(&mut self, at: &At<'_>, message: &str) {
        let file = self.problems.path_of(at.file).display().to_string();
        self.remarks.push(format!("{file}: {}: {message}", at.path()));
    }

    fn warn_path(&mut self, file: FileId, path: &KeyPath, message: &str) {
        let file = self.problems.path_of(file).display().to_string();
        let warning = format!("{file}: {path}: {message}");
        const COMPARED: usize = 1_000;
        if self.warnings.len() > COMPARED || !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    /// A file that takes part, read and parsed; its text is kept for line numbers.
    fn tree(&mut self, path: &Path, file: FileId) -> Option<Node> {
        let text = self.files.content(path).and_then(|bytes| super::load::utf8(bytes.to_vec()));
        let text = match text {
            Ok(text) => text,
            Err(message) => {
                self.problems.add_line(file, None, message);
                return None;
            }
        };
        self.problems.file_text(file, text.as_str().into());
        let json = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
        parse(&text, if json { Format::Json } else { Format::Yaml }, file, &mut self.problems)
    }

    /// A value that must be there and not empty.
    fn required(&mut self, value: Option<String>, at: &At<'_>) -> Option<String> {
        let value = value.filter(|text| !text.is_empty());
        if value.is_none() {
            self.problems.add(at, "is required");
        }
        value
    }

    /// False, and a problem for each beyond the first, when more than one key of `given` is there.
    fn at_most_one(&mut self, at: &At<'_>, given: &[(&str, bool)]) -> bool {
        let mut first = None;
        let mut alone = true;
        for (key, _) in given.iter().filter(|(_, given)| *given) {
            match first {
                None => first = Some(*key),
                Some(first) => {
                    alone = false;
                    self.problems.add(&at.key(key), format!("cannot stand beside {first}; keep one of them"));
                }
            }
        }
        alone
    }

    /// `*_ref` keys name a secret in a store that blackbox_exporter has not either.
    fn no_secret_store(&mut self, at: &At<'_>, key: &str, key_file: &str) {
        self.problems.add_fault(at, format!("there is no secret store here; use {key} or {key_file}"));
    }

    fn duration(
        &mut self,
        raw: Option<DurationText>,
        at: &At<'_>,
        bounds: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        let DurationText(text) = raw?;
        match parse_duration(&text) {
            Ok(duration) if bounds.contains(&duration) => return Some(duration),
            Ok(_) => {
                let (least, most) = (show_duration(*bounds.start()), show_duration(*bounds.end()));
                let text = shorten(text.trim());
                self.problems.add(at, format!("{text} is out of bounds; it must be from {least} to {most}"));
            }
            Err(message) => self.problems.add(at, message),
        }
        None
    }

    fn pattern(&mut self, text: &str, at: &At<'_>) -> Option<Pattern> {
        match Pattern::new(text) {
            Ok(pattern) => Some(pattern),
            Err(error) => {
                self.problems.add(at, format!("{:?} is not a regular expression: {error}", shorten(text)));
                None
            }
        }
    }

    /// Patterns that blackbox_exporter compiles in each run alone.
    fn late_patterns(&mut self, texts: Option<Vec<String>>, at: &At<'_>) -> Vec<Pattern> {
        let mut patterns = Vec::new();
        for (index, text) in texts.unwrap_or_default().iter().enumerate() {
            match Pattern::new(text) {
                Ok(pattern) => patterns.push(pattern),
                Err(error) => {
                    let message = format!("{:?} is not a regular expression: {error}", shorten(text));
                    self.problems.add_fault(&at.index(index), message);
                }
            }
        }
        patterns
    }

    fn patterns(&mut self, texts: Option<Vec<String>>, at: &At<'_>) -> Vec<Pattern> {
        let texts = texts.unwrap_or_default();
        texts.iter().enumerate().filter_map(|(index, text)| self.pattern(text, &at.index(index))).collect()
    }

    fn ip(&mut self, preferred: Option<String>, fallback: Option<bool>, at: &At<'_>) -> IpPreference {
        let default = IpPreference::default();
        let preferred = match preferred.as_deref() {
            None | Some("") => default.preferred,
            Some("ip4") => IpFamily::V4,
            Some("ip6") => IpFamily::V6,
            Some(other) => {
                let (family, name) = match other.trim().to_ascii_lowercase().as_str() {
                    "ip6" | "ipv6" | "v6" | "6" => (IpFamily::V6, "ip6"),
                    // Whatever is not ip6 is ip4 to blackbox_exporter.
                    _ => (IpFamily::V4, "ip4"),
                };
                let message = format!("{:?} is neither ip4 nor ip6; it is taken as {name}", shorten(other));
                self.warn(&at.key("preferred_ip_protocol"), &message);
                family
            }
        };
        IpPreference { preferred, fallback: fallback.unwrap_or(default.fallback) }
    }

    fn source_address(&mut self, raw: Option<String>, at: &At<'_>) -> Option<IpAddr> {
        let text = raw.filter(|text| !text.is_empty())?;
        match text.trim().parse() {
            Ok(address) => Some(address),
            Err(_) => {
                // The zone of a link is the target's, whose address has one too.
                let zone = if split_zone(text.trim()).is_some() {
                    "; leave the zone out, it is that of the target"
                } else {
                    ""
                };
                let message = format!("{:?} is not an IP address{zone}", shorten(&text));
                self.problems.add_fault(&at.key("source_ip_address"), message);
                None
            }
        }
    }
}

/// The name under which a file is shown: as the main file's folder and the configured name make it.
fn shown_path(base: &Path, name: &str) -> PathBuf {
    base.join(name)
}
