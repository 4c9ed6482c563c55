//! The `modules:` of our config: the text of the `blackbox.yml` where it can stand as it is, comments and all.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use super::notes::{Notes, list};
use super::yaml::scalar;
use crate::config::foreign::Foreign;
use crate::config::{ConfigErrors, Step, parse_duration};

/// The module of requests that name none.
pub(super) const DEFAULT: &str = "http_2xx";

/// Names that blackbox_exporter's example config gives to modules, and the least that they need. For who converts
/// without a `blackbox.yml`.
const WELL_KNOWN: &[(&str, &str)] = &[
    ("http_2xx", "{prober: http}"),
    ("http_post_2xx", "{prober: http, http: {method: POST}}"),
    ("tcp_connect", "{prober: tcp}"),
    ("icmp", "{prober: icmp}"),
    ("grpc", "{prober: grpc, grpc: {tls: true, preferred_ip_protocol: ip4}}"),
    ("grpc_plain", "{prober: grpc, grpc: {tls: false, service: service1}}"),
];

/// What a target needs to know of its module.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Facts {
    pub(super) prober: String,
    /// `None`: none, or 0.
    pub(super) timeout: Option<Duration>,
    /// Of the http prober.
    pub(super) headers: Vec<(String, String)>,
    /// Of the tcp prober, as it is written.
    pub(super) tls_config: Vec<(String, String)>,
}

pub(super) struct Modules {
    /// `None`: only well-known ones, by their names.
    file: Option<Foreign>,
    facts: BTreeMap<String, Facts>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawBlackbox {
    modules: Option<BTreeMap<String, RawModule>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawModule {
    prober: String,
    timeout: String,
    http: RawHttp,
    tcp: RawTcp,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawHttp {
    headers: BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawTcp {
    tls_config: BTreeMap<String, String>,
}

impl Modules {
    /// # Errors
    /// It cannot be read, or is no `blackbox.yml`.
    pub(super) fn read(path: &Path, notes: &mut Notes) -> Result<Self, ConfigErrors> {
        let file = Foreign::read(path)?;
        // Wrong values are told by our loader, module by module.
        let raw: RawBlackbox = file.rough_shape();
        let facts_of = |name: &str| {
            let module = raw.modules.as_ref().and_then(|modules| modules.get(name));
            module.map(Facts::of).unwrap_or_default()
        };
        let facts = file.keys(&["modules".into()]).into_iter().map(|name| (name.to_owned(), facts_of(name))).collect();
        let others: Vec<&str> = file.keys(&[]).into_iter().filter(|key| *key != "modules").collect();
        if let Some(first) = others.first() {
            let text = format!("{} stand beside modules and are left out", list(&others));
            notes.add(file.place(&[Step::from(*first)]), None, text);
        }
        Ok(Self { file: Some(file), facts })
    }

    /// Those of `names` that are well known.
    pub(super) fn well_known(names: &[&str]) -> Self {
        let known = WELL_KNOWN.iter().filter(|(name, _)| names.contains(name));
        let facts = |text: &str| Facts {
            prober: text.trim_start_matches("{prober: ").split([',', '}']).next().unwrap_or_default().to_owned(),
            ..Facts::default()
        };
        Self { file: None, facts: known.map(|(name, text)| ((*name).to_owned(), facts(text))).collect() }
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.facts.keys().map(String::as_str)
    }

    pub(super) fn facts(&self, name: &str) -> Option<&Facts> {
        self.facts.get(name)
    }

    pub(super) fn file(&self) -> Option<&Foreign> {
        self.file.as_ref()
    }

    /// Leaves a module out.
    pub(super) fn remove(&mut self, name: &str) {
        self.facts.remove(name);
    }

    pub(super) fn place(&self, name: &str) -> String {
        match &self.file {
            Some(file) => file.place(&path_of(name)),
            None => "modules".to_owned(),
        }
    }

    /// The section of our config.
    ///
    /// # Errors
    /// The name of a module that can only stand as it is, and cannot.
    pub(super) fn text(&self) -> Result<String, String> {
        let Some(file) = &self.file else {
            let mut text = String::new();
            if !self.facts.is_empty() {
                text.push_str("# The least that blackbox_exporter's example has under these names; put your own here.\nmodules:\n");
            }
            for (name, module) in WELL_KNOWN.iter().filter(|(name, _)| self.facts.contains_key(*name)) {
                text.push_str(&format!("  {name}: {module}\n"));
            }
            return Ok(text);
        };
        match self.verbatim(file) {
            Some(text) => Ok(text),
            None => self.rendered(file),
        }
    }

    /// The file's own text, modules that are left out as comments. `None` where that would not be read as the same.
    fn verbatim(&self, file: &Foreign) -> Option<String> {
        let names = file.keys(&["modules".into()]);
        let mut starts: Vec<(usize, bool)> = Vec::new();
        for name in &names {
            starts.push((file.line(&path_of(name))?, self.facts.contains_key(*name)));
        }
        starts.sort_unstable();
        let mut text = String::new();
        for (index, line) in file.text().lines().enumerate() {
            if line.starts_with('%') || line == "..." || line.trim_end() == "---" {
                continue;
            }
            let within = starts.iter().rev().find(|(start, _)| *start <= index + 1);
            // Comments before the next module are most likely about that one.
            let comment = line.trim().is_empty() || line.trim_start().starts_with('#');
            if within.is_some_and(|(_, kept)| !kept) && !comment {
                text.push_str("  # ");
            }
            text.push_str(line);
            text.push('\n');
        }
        let probe = Foreign::new(Path::new("modules.yaml"), &format!("{text}x-after: 1\n")).ok()?;
        let kept: Vec<&str> = names.iter().copied().filter(|name| self.facts.contains_key(*name)).collect();
        let same = probe.keys(&[]) == ["modules", "x-after"]
            && probe.keys(&["modules".into()]) == kept
            && kept.iter().all(|name| {
                let steps = path_of(name);
                file.has_no_variables(&steps) && probe.agrees_with(file, &steps)
            });
        same.then_some(text)
    }

    fn rendered(&self, file: &Foreign) -> Result<String, String> {
        let mut text = String::from("modules:\n");
        for name in file.keys(&["modules".into()]).into_iter().filter(|name| self.facts.contains_key(*name)) {
            let module = file.rendered(&path_of(name)).ok_or_else(|| name.to_owned())?;
            text.push_str(&format!("  {}:\n", scalar(name)));
            for line in module.lines() {
                text.push_str(&if line.is_empty() { "\n".to_owned() } else { format!("    {line}\n") });
            }
        }
        Ok(text)
    }
}

fn path_of(name: &str) -> [Step; 2] {
    ["modules".into(), name.into()]
}

impl Facts {
    fn of(raw: &RawModule) -> Self {
        let pairs = |map: &BTreeMap<String, String>| map.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
        Self {
            prober: raw.prober.clone(),
            timeout: parse_duration(&raw.timeout).ok().filter(|timeout| !timeout.is_zero()),
            headers: pairs(&raw.http.headers),
            tls_config: pairs(&raw.tcp.tls_config),
        }
    }

    /// What a target has to override of its module, as a flow mapping, so that it is probed under `hostname`.
    ///
    /// # Errors
    /// Why that is not possible.
    pub(super) fn with_hostname(&self, hostname: &str) -> Result<Option<(&'static str, String)>, String> {
        match self.prober.as_str() {
            "http" => match self.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("host")) {
                Some((_, host)) if host == hostname => Ok(None),
                Some(_) => Err("its module has another Host header, so blackbox_exporter refuses it".to_owned()),
                None => {
                    let own = self.headers.iter().map(|(name, value)| format!(", {}: {}", scalar(name), scalar(value)));
                    let headers = format!("Host: {}{}", scalar(hostname), own.collect::<String>());
                    Ok(Some(("http", format!("{{headers: {{{headers}}}}}"))))
                }
            },
            "tcp" if self.tls_config.iter().any(|(key, value)| key == "server_name" && !value.is_empty()) => Ok(None),
            "tcp" => {
                let value = |key: &str, value: &str| {
                    if key == "insecure_skip_verify" { value.to_owned() } else { scalar(value) }
                };
                let own = self.tls_config.iter().filter(|(key, _)| key != "server_name");
                let own = own.map(|(key, text)| format!(", {}: {}", scalar(key), value(key, text)));
                let tls_config = format!("server_name: {}{}", scalar(hostname), own.collect::<String>());
                Ok(Some(("tcp", format!("{{tls_config: {{{tls_config}}}}}"))))
            }
            // The others of blackbox_exporter's probers do not look at it.
            _ => Ok(None),
        }
    }
}
