//! `modules:`, and the settings made from them: one copy for all targets that want the same.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::address::{self, UrlCredentials};
use super::global::{Defaults, TIMEOUTS};
use super::{Resolver, http, tcp, unbuilt};
use crate::config::http::HttpAuth;
use crate::config::node::Node;
use crate::config::problem::{At, list_of, nearest, shorten};
use crate::config::raw::RawModule;
use crate::config::units::parse_duration;
use crate::config::{DnsServers, HttpSettings, Module, ModuleSettings, ProbeSpec, TcpSettings, shape};

/// The module of targets that name none.
pub(super) const DEFAULT_MODULE: &str = "http_2xx";

const PROBERS: &[&str] = &["http", "tcp", "dns", "icmp", "grpc", "unix", "websocket"];

/// Everything made of `modules:`.
pub(super) struct Modules {
    by_name: BTreeMap<String, Entry>,
    /// Settings by what they are made from.
    made: HashMap<[u8; 32], Made>,
}

#[derive(Clone)]
pub(super) struct Entry {
    /// `None`: not given, or 0.
    pub(super) timeout: Option<Duration>,
    pub(super) kind: Kind,
}

#[derive(Clone)]
pub(super) enum Kind {
    Probe {
        protocol: Protocol,
        /// The block as it stands in the module.
        block: Node,
        /// Made of the block alone; a target varies them.
        settings: Made,
        /// It has problems; what is made of it is not to be judged.
        broken: bool,
    },
    /// A prober that is not built yet.
    NotBuilt(&'static str),
    /// Not even the prober is known.
    Broken,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Http,
    Tcp,
}

impl Protocol {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Tcp => "tcp",
        }
    }
}

/// Settings, and a hash of all that they were made from, files included.
#[derive(Clone)]
pub(super) struct Made {
    pub(super) settings: Settings,
    pub(super) hash: [u8; 32],
    /// A feature that it asks for and that is not built yet.
    pub(super) not_built: Option<Arc<str>>,
}

#[derive(Clone)]
pub(super) enum Settings {
    Http(Arc<HttpSettings>),
    Tcp(Arc<TcpSettings>),
}

/// What a target changes about settings, beside the block itself.
pub(super) struct Variation {
    pub(super) dns_servers: DnsServers,
    pub(super) keep_excerpt: bool,
    pub(super) credentials: Option<UrlCredentials>,
}

pub(super) fn modules(node: Option<&Node>, at: &At<'_>, r: &mut Resolver<'_>) -> Modules {
    let mut modules = Modules { by_name: BTreeMap::new(), made: HashMap::new() };
    match node {
        None | Some(Node::Null) => {}
        Some(Node::Map(entries)) => {
            for (name, node) in entries {
                let at = at.key(name);
                if name.is_empty() {
                    r.problems.add(&at, "a module needs a name");
                }
                let entry = module(node, &at, &mut modules, r);
                modules.by_name.insert(name.clone(), entry);
            }
        }
        Some(other) => {
            r.problems.add(at, format!("expected a mapping from names to modules, found {}", other.kind()));
        }
    }
    if !modules.by_name.contains_key(DEFAULT_MODULE) {
        let made = modules.make(Protocol::Http, &Node::Map(Vec::new()), at, r);
        let kind =
            Kind::Probe { protocol: Protocol::Http, block: Node::Map(Vec::new()), settings: made, broken: false };
        modules.by_name.insert(DEFAULT_MODULE.to_owned(), Entry { timeout: None, kind });
    }
    modules
}

impl Defaults {
    fn variation(&self) -> Variation {
        Variation { dns_servers: self.dns_servers.clone(), keep_excerpt: self.evidence_body, credentials: None }
    }
}

fn module(node: &Node, at: &At<'_>, modules: &mut Modules, r: &mut Resolver<'_>) -> Entry {
    if matches!(node, Node::Null) {
        r.problems.add(&at.key("prober"), format!("is required; probers are {}", list_of(PROBERS)));
        return Entry { timeout: None, kind: Kind::Broken };
    }
    let before = r.problems.count();
    let raw: RawModule = shape::read(node, at, &mut r.problems);
    if !matches!(node, Node::Map(_)) {
        return Entry { timeout: None, kind: Kind::Broken };
    }
    let timeout = match raw.timeout {
        // Zero is none, as with the incumbent.
        Some(text) if parse_duration(&text.0) == Ok(Duration::ZERO) => None,
        text => r.duration(text, &at.key("timeout"), TIMEOUTS),
    };
    let prober = match raw.prober.filter(|text| !text.is_empty()) {
        Some(text) => match PROBERS.iter().find(|known| **known == text) {
            Some(prober) => Some(*prober),
            None => {
                let hint = nearest(&text, PROBERS.iter().copied());
                let hint = hint.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
                let message = format!("{:?} is not a prober; probers are {}{hint}", shorten(&text), list_of(PROBERS));
                r.problems.add(&at.key("prober"), message);
                None
            }
        },
        None => {
            r.problems.add(&at.key("prober"), format!("is required; probers are {}", list_of(PROBERS)));
            None
        }
    };
    let mut kind = prober.map_or(Kind::Broken, Kind::NotBuilt);
    for known in PROBERS {
        let block = node.get(known).filter(|block| !matches!(block, Node::Null));
        let at = at.key(known);
        if prober == Some(known) {
            let empty = Node::Map(Vec::new());
            let block = block.unwrap_or(&empty);
            match *known {
                "http" => kind = probe(Protocol::Http, block, &at, modules, r),
                "tcp" => kind = probe(Protocol::Tcp, block, &at, modules, r),
                other => check_unbuilt(other, block, &at, r),
            }
        } else if let Some(block) = block {
            // Blocks of other probers have no effect, with the incumbent neither; a wrong key in them is still one.
            check_shape(known, block, &at, r);
        }
    }
    if let Kind::Probe { broken, .. } = &mut kind {
        *broken = r.problems.count() > before;
    }
    Entry { timeout, kind }
}

fn probe(protocol: Protocol, block: &Node, at: &At<'_>, modules: &mut Modules, r: &mut Resolver<'_>) -> Kind {
    let settings = modules.make(protocol, block, at, r);
    Kind::Probe { protocol, block: block.clone(), settings, broken: false }
}

fn check_unbuilt(prober: &str, block: &Node, at: &At<'_>, r: &mut Resolver<'_>) {
    match prober {
        "dns" => unbuilt::dns(shape::read(block, at, &mut r.problems), at, r),
        "icmp" => unbuilt::icmp(shape::read(block, at, &mut r.problems), at, r),
        "grpc" => unbuilt::grpc(shape::read(block, at, &mut r.problems), at, r),
        "unix" => unbuilt::unix(shape::read(block, at, &mut r.problems), at, r),
        "websocket" => unbuilt::websocket(shape::read(block, at, &mut r.problems), at, r),
        _ => {}
    }
}

fn check_shape(prober: &str, block: &Node, at: &At<'_>, r: &mut Resolver<'_>) {
    use crate::config::raw::{RawDns, RawGrpc, RawHttp, RawIcmp, RawTcp, RawUnix, RawWebsocket};
    match prober {
        "http" => drop(shape::read::<RawHttp>(block, at, &mut r.problems)),
        "tcp" => drop(shape::read::<RawTcp>(block, at, &mut r.problems)),
        "dns" => drop(shape::read::<RawDns>(block, at, &mut r.problems)),
        "icmp" => drop(shape::read::<RawIcmp>(block, at, &mut r.problems)),
        "grpc" => drop(shape::read::<RawGrpc>(block, at, &mut r.problems)),
        "unix" => drop(shape::read::<RawUnix>(block, at, &mut r.problems)),
        "websocket" => drop(shape::read::<RawWebsocket>(block, at, &mut r.problems)),
        _ => {}
    }
}

impl Modules {
    pub(super) fn entry(&self, name: &str) -> Option<&Entry> {
        self.by_name.get(name)
    }

    pub(super) fn names(&self) -> Vec<&str> {
        self.by_name.keys().map(String::as_str).collect()
    }

    /// Settings from a block; problems are noted. Equal blocks are made once.
    pub(super) fn make(&mut self, protocol: Protocol, block: &Node, at: &At<'_>, r: &mut Resolver<'_>) -> Made {
        let mut key = Sha256::new();
        key.update(protocol.name());
        block.digest(&mut key);
        let key: [u8; 32] = key.finalize().into();
        if let Some(made) = self.made.get(&key) {
            return made.clone();
        }
        r.files.start();
        let before = r.problems.count();
        let (settings, not_built) = match protocol {
            Protocol::Http => {
                let (settings, not_built) = http::http(shape::read(block, at, &mut r.problems), at, r);
                (Settings::Http(Arc::new(settings)), not_built)
            }
            Protocol::Tcp => (Settings::Tcp(Arc::new(tcp::tcp(shape::read(block, at, &mut r.problems), at, r))), None),
        };
        let mut hash = Sha256::new();
        hash.update(key);
        hash.update(r.files.touched());
        let made = Made { settings, hash: hash.finalize().into(), not_built: not_built.map(Arc::from) };
        // With problems it is made again, so that each place reports its own.
        if r.problems.count() == before {
            self.made.insert(key, made.clone());
        }
        made
    }

    /// The same settings for other name servers, another wish for evidence, other credentials.
    pub(super) fn vary(&mut self, made: Made, variation: &Variation) -> Made {
        let Variation { dns_servers, keep_excerpt, credentials } = variation;
        if *dns_servers == DnsServers::System && *keep_excerpt && credentials.is_none() {
            return made;
        }
        let mut key = Sha256::new();
        key.update(made.hash);
        key.update([u8::from(*keep_excerpt)]);
        if let DnsServers::Servers(servers) = dns_servers {
            servers.iter().for_each(|server| key.update(format!("{server},")));
        }
        if let Some(UrlCredentials { username, password }) = credentials {
            key.update(Sha256::digest(username));
            key.update(Sha256::digest(password.expose()));
        }
        let key: [u8; 32] = key.finalize().into();
        if let Some(known) = self.made.get(&key) {
            return known.clone();
        }
        let settings = match &made.settings {
            Settings::Http(settings) => {
                let mut settings = HttpSettings::clone(settings);
                settings.dns_servers = dns_servers.clone();
                settings.keep_excerpt = *keep_excerpt;
                if let Some(credentials) = credentials {
                    settings.auth = Some(basic_auth(credentials.clone()));
                }
                Settings::Http(Arc::new(settings))
            }
            Settings::Tcp(settings) => {
                let mut settings = TcpSettings::clone(settings);
                settings.dns_servers = dns_servers.clone();
                settings.keep_excerpt = *keep_excerpt;
                Settings::Tcp(Arc::new(settings))
            }
        };
        let made = Made { settings, hash: key, not_built: made.not_built };
        self.made.insert(key, made.clone());
        made
    }

    /// The modules as they are without a target: with the defaults.
    pub(super) fn finish(mut self, defaults: &Defaults) -> BTreeMap<String, Module> {
        let entries = std::mem::take(&mut self.by_name);
        entries
            .into_iter()
            .map(|(name, mut entry)| {
                if let Kind::Probe { settings, .. } = &mut entry.kind {
                    *settings = self.vary(settings.clone(), &defaults.variation());
                }
                let settings = match entry.kind {
                    Kind::Probe { settings: Made { not_built: Some(feature), .. }, .. } => {
                        ModuleSettings::NotBuilt(format!("it asks for {feature}"))
                    }
                    Kind::Probe { settings: Made { settings: Settings::Http(settings), .. }, .. } => {
                        ModuleSettings::Http(settings)
                    }
                    Kind::Probe { settings: Made { settings: Settings::Tcp(settings), .. }, .. } => {
                        ModuleSettings::Tcp(settings)
                    }
                    Kind::NotBuilt(prober) => ModuleSettings::NotBuilt(not_built_prober(prober)),
                    Kind::Broken => ModuleSettings::NotBuilt("it is broken".to_owned()),
                };
                (name, Module { timeout: entry.timeout, settings })
            })
            .collect()
    }
}

pub(super) fn not_built_prober(prober: &str) -> String {
    format!("prober {prober:?} is not built yet; http and tcp are")
}

/// Credentials of the URL win over the module's, as in Go's client.
fn basic_auth(UrlCredentials { username, password }: UrlCredentials) -> HttpAuth {
    HttpAuth::Basic { username, password }
}

/// What to do for `target`, by a module's settings.
///
/// # Errors
/// A sentence: the target is no address for this prober, or the prober is not built yet.
pub(in crate::config) fn probe_spec(settings: &ModuleSettings, target: &str) -> Result<ProbeSpec, String> {
    match settings {
        ModuleSettings::Http(settings) => {
            let (url, credentials) = address::http_url(target)?;
            let settings = match credentials {
                None => Arc::clone(settings),
                Some(credentials) => {
                    let mut settings = HttpSettings::clone(settings);
                    settings.auth = Some(basic_auth(credentials));
                    Arc::new(settings)
                }
            };
            Ok(ProbeSpec::Http { settings, url })
        }
        ModuleSettings::Tcp(settings) => {
            Ok(ProbeSpec::Tcp { settings: Arc::clone(settings), address: address::host_port(target)? })
        }
        ModuleSettings::NotBuilt(why) => Err(why.clone()),
    }
}
