//! `modules:`, and the settings made from them: one copy for all targets that want the same.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::address::{self, UrlCredentials};
use super::global::{Defaults, TIMEOUTS, dns_servers_of};
use super::services::Transport;
use super::{Resolver, dns, grpc, http, icmp, tcp, unix, websocket};
use crate::config::dns::DnsTransport;
use crate::config::http::{HttpAuth, names_default_port};
use crate::config::node::Node;
use crate::config::problem::{At, list_of, nearest, shorten};
use crate::config::raw::{self, RawModule};
use crate::config::units::parse_duration;
use crate::config::{DnsServer, DnsServers, HttpSettings, Module, ModuleSettings, ProbeSpec, shape};

/// The module of targets that name none.
pub(super) const DEFAULT_MODULE: &str = "http_2xx";

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
    /// `None`: not given.
    pub(super) dns_servers: Option<DnsServers>,
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
    /// Another module's anchor, or one whose prober there is not; the sentence says which.
    NoProber(String),
    /// It has problems of which no more can be made.
    Broken,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Http,
    Tcp,
    Dns,
    Icmp,
    Grpc,
    Unix,
    Websocket,
}

impl Protocol {
    /// In the order of the incumbent's documentation.
    pub(super) const ALL: [Self; 7] =
        [Self::Http, Self::Tcp, Self::Dns, Self::Icmp, Self::Grpc, Self::Unix, Self::Websocket];

    /// The incumbent's name of the prober, and of its block.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Tcp => "tcp",
            Self::Dns => "dns",
            Self::Icmp => "icmp",
            Self::Grpc => "grpc",
            Self::Unix => "unix",
            Self::Websocket => "websocket",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|protocol| protocol.name() == name)
    }

    /// Reads a block for its wrong keys alone.
    pub(super) fn check_shape(self, block: &Node, at: &At<'_>, r: &mut Resolver<'_>) {
        match self {
            Self::Http => drop(shape::read::<raw::RawHttp>(block, at, &mut r.problems)),
            Self::Tcp => drop(shape::read::<raw::RawTcp>(block, at, &mut r.problems)),
            Self::Dns => drop(shape::read::<raw::RawDns>(block, at, &mut r.problems)),
            Self::Icmp => drop(shape::read::<raw::RawIcmp>(block, at, &mut r.problems)),
            Self::Grpc => drop(shape::read::<raw::RawGrpc>(block, at, &mut r.problems)),
            Self::Unix => drop(shape::read::<raw::RawUnix>(block, at, &mut r.problems)),
            Self::Websocket => drop(shape::read::<raw::RawWebsocket>(block, at, &mut r.problems)),
        }
    }
}

/// Settings, and a hash of all that they were made from, files included.
#[derive(Clone)]
pub(super) struct Made {
    pub(super) settings: ModuleSettings,
    pub(super) hash: [u8; 32],
    /// Why no run can be made with them.
    pub(super) fault: Option<Arc<str>>,
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
        modules.by_name.insert(DEFAULT_MODULE.to_owned(), Entry { timeout: None, dns_servers: None, kind });
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
        return Entry { timeout: None, dns_servers: None, kind: no_prober(at, r) };
    }
    let before = r.problems.count();
    let raw: RawModule = shape::read(node, at, &mut r.problems);
    if !matches!(node, Node::Map(_)) {
        return Entry { timeout: None, dns_servers: None, kind: Kind::Broken };
    }
    let timeout = match raw.timeout {
        // Zero is none, as with the incumbent, and so is less.
        Some(text) if parse_duration(text.0.trim_start_matches('-')) == Ok(Duration::ZERO) => None,
        Some(text) if text.0.strip_prefix('-').is_some_and(|text| parse_duration(text).is_ok()) => {
            r.warn(&at.key("timeout"), &format!("{} is no time at all, and taken as none", shorten(&text.0)));
            None
        }
        text => r.duration(text, &at.key("timeout"), TIMEOUTS),
    };
    let dns_servers = dns_servers_of(raw.dns_servers, &at.key("dns_servers"), r);
    let prober = raw.prober.filter(|text| !text.is_empty());
    let mut kind = match &prober {
        Some(text) if Protocol::from_name(text).is_none() => unknown_prober(text, &at.key("prober"), r),
        Some(_) => Kind::Broken,
        None => no_prober(at, r),
    };
    let prober = prober.as_deref().and_then(Protocol::from_name);
    for known in Protocol::ALL {
        let block = node.get(known.name()).filter(|block| !matches!(block, Node::Null));
        let at = at.key(known.name());
        if prober == Some(known) {
            kind = match (block, known) {
                (Some(block), _) => probe(known, block, &at, modules, r),
                (None, Protocol::Dns) => without_question(&at, modules, r),
                (None, _) => probe(known, &Node::Map(Vec::new()), &at, modules, r),
            };
        } else if let Some(block) = block {
            // Blocks of other probers have no effect, with the incumbent neither; a wrong key in them is still one.
            known.check_shape(block, &at, r);
        }
    }
    if let Kind::Probe { broken, .. } = &mut kind {
        *broken = r.problems.count() > before;
    }
    Entry { timeout, dns_servers, kind }
}

fn probe(protocol: Protocol, block: &Node, at: &At<'_>, modules: &mut Modules, r: &mut Resolver<'_>) -> Kind {
    let settings = modules.make(protocol, block, at, r);
    Kind::Probe { protocol, block: block.clone(), settings, broken: false }
}

/// A DNS module that does not say what to ask for. The incumbent misses the name only in a block that is there.
fn without_question(at: &At<'_>, modules: &mut Modules, r: &mut Resolver<'_>) -> Kind {
    let before = r.problems.fault_count();
    r.problems.add_fault(&at.key("query_name"), "is required");
    let block = Node::Map(vec![("query_name".to_owned(), Node::Text(".".to_owned()))]);
    let mut kind = probe(Protocol::Dns, &block, at, modules, r);
    if let Kind::Probe { settings, .. } = &mut kind {
        settings.fault = r.problems.fault_sentence(before).map(Arc::from);
    }
    kind
}

/// Something that others take their keys from. The incumbent starts with it, and refuses to probe with it.
fn no_prober(at: &At<'_>, r: &mut Resolver<'_>) -> Kind {
    let probers = list_of(&Protocol::ALL.map(Protocol::name));
    r.problems.note_unless_anchored(at, format!("has no prober, so it cannot be used; probers are {probers}"));
    Kind::NoProber(format!("it has no prober; probers are {probers}"))
}

fn unknown_prober(text: &str, at: &At<'_>, r: &mut Resolver<'_>) -> Kind {
    let names = Protocol::ALL.map(Protocol::name);
    let hint = nearest(text, names).map(|near| format!("; did you mean {near}?")).unwrap_or_default();
    let message = format!("{:?} is not a prober; probers are {}{hint}", shorten(text), list_of(&names));
    r.problems.add_fault(at, message.as_str());
    Kind::NoProber(message)
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
        let (before, faults_before) = (r.problems.count(), r.problems.fault_count());
        let settings = match protocol {
            Protocol::Http => {
                ModuleSettings::Http(Arc::new(http::http(shape::read(block, at, &mut r.problems), at, r)))
            }
            Protocol::Tcp => ModuleSettings::Tcp(Arc::new(tcp::tcp(shape::read(block, at, &mut r.problems), at, r))),
            Protocol::Dns => ModuleSettings::Dns(Arc::new(dns::dns(shape::read(block, at, &mut r.problems), at, r))),
            Protocol::Icmp => {
                ModuleSettings::Icmp(Arc::new(icmp::icmp(shape::read(block, at, &mut r.problems), at, r)))
            }
            Protocol::Grpc => {
                ModuleSettings::Grpc(Arc::new(grpc::grpc(shape::read(block, at, &mut r.problems), at, r)))
            }
            Protocol::Unix => {
                ModuleSettings::Unix(Arc::new(unix::unix(shape::read(block, at, &mut r.problems), at, r)))
            }
            Protocol::Websocket => {
                let raw = shape::read(block, at, &mut r.problems);
                ModuleSettings::Websocket(Arc::new(websocket::websocket(raw, at, r)))
            }
        };
        let mut hash = Sha256::new();
        hash.update(key);
        hash.update(r.files.touched());
        let fault = r.problems.fault_sentence(faults_before);
        hash.update(fault.as_deref().unwrap_or_default());
        let made = Made { settings, hash: hash.finalize().into(), fault: fault.map(Arc::from) };
        // With problems it is made again, so that each place reports its own.
        if r.problems.count() == before && made.fault.is_none() {
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
        let settings = varied(&made.settings, variation);
        let made = Made { settings, hash: key, fault: made.fault };
        self.made.insert(key, made.clone());
        made
    }

    /// The modules as they are without a target: with the defaults.
    pub(super) fn finish(mut self, defaults: &Defaults, masked: &BTreeMap<String, String>) -> BTreeMap<String, Module> {
        let entries = std::mem::take(&mut self.by_name);
        entries
            .into_iter()
            .map(|(name, mut entry)| {
                if let Kind::Probe { settings, .. } = &mut entry.kind {
                    let mut variation = defaults.variation();
                    variation.dns_servers = entry.dns_servers.take().unwrap_or(variation.dns_servers);
                    *settings = self.vary(settings.clone(), &variation);
                }
                let (settings, fault) = match entry.kind {
                    Kind::Probe { settings: Made { settings, fault, .. }, .. } => (settings, fault),
                    Kind::NoProber(why) => (ModuleSettings::Unusable(why), None),
                    Kind::Broken => (ModuleSettings::Unusable("it is broken".to_owned()), None),
                };
                let masked_yaml = masked.get(&name).cloned();
                let built_in = masked_yaml.is_none();
                let masked_yaml = masked_yaml.unwrap_or_default();
                (name, Module { timeout: entry.timeout, settings, fault, built_in, masked_yaml })
            })
            .collect()
    }
}

/// A copy of `settings` with what a target changes about them.
fn varied(settings: &ModuleSettings, variation: &Variation) -> ModuleSettings {
    let Variation { dns_servers, keep_excerpt, credentials } = variation;
    match settings.clone() {
        ModuleSettings::Http(mut shared) => {
            let settings = Arc::make_mut(&mut shared);
            settings.dns_servers = dns_servers.clone();
            settings.keep_excerpt = *keep_excerpt;
            if let Some(credentials) = credentials {
                settings.auth = Some(basic_auth(credentials.clone()));
            }
            ModuleSettings::Http(shared)
        }
        ModuleSettings::Tcp(mut shared) => {
            let settings = Arc::make_mut(&mut shared);
            settings.dns_servers = dns_servers.clone();
            settings.keep_excerpt = *keep_excerpt;
            ModuleSettings::Tcp(shared)
        }
        ModuleSettings::Dns(mut shared) => {
            let settings = Arc::make_mut(&mut shared);
            settings.dns_servers = dns_servers.clone();
            settings.keep_excerpt = *keep_excerpt;
            ModuleSettings::Dns(shared)
        }
        ModuleSettings::Icmp(mut shared) => {
            Arc::make_mut(&mut shared).dns_servers = dns_servers.clone();
            ModuleSettings::Icmp(shared)
        }
        ModuleSettings::Grpc(mut shared) => {
            Arc::make_mut(&mut shared).dns_servers = dns_servers.clone();
            ModuleSettings::Grpc(shared)
        }
        ModuleSettings::Unix(mut shared) => {
            Arc::make_mut(&mut shared).keep_excerpt = *keep_excerpt;
            ModuleSettings::Unix(shared)
        }
        ModuleSettings::Websocket(mut shared) => {
            let settings = Arc::make_mut(&mut shared);
            settings.dns_servers = dns_servers.clone();
            settings.keep_excerpt = *keep_excerpt;
            ModuleSettings::Websocket(shared)
        }
        ModuleSettings::Unusable(why) => ModuleSettings::Unusable(why),
    }
}

/// Credentials of the URL win over the module's, as in Go's client.
fn basic_auth(UrlCredentials { username, password }: UrlCredentials) -> HttpAuth {
    HttpAuth::Basic { username, password }
}

/// There is no HTTP/3 without TLS, so an http target is an https one there. As with the incumbent, the text is changed and
/// not the URL: a port that it names stays (`http://host:80` is `https://host:80`).
pub(super) fn over_http3(target: &str) -> Option<String> {
    let target = target.trim();
    match target.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => Some(format!("https://{rest}")),
        Some(_) => None,
        None => Some(format!("https://{target}")),
    }
}

fn http_spec(settings: Arc<HttpSettings>, target: &str) -> Result<ProbeSpec, String> {
    // What is wrong with a target is told of the target as it is written.
    let (mut url, _) = address::http_url(target)?;
    let mut names_port = names_default_port(target, url.url());
    if settings.enable_http3
        && let Some(secure) = over_http3(target)
    {
        (url, _) = address::http_url(&secure)?;
        names_port = names_default_port(&secure, url.url());
    }
    Ok(ProbeSpec::Http { settings, url, names_port })
}

/// What to do for `target`, by a module's settings.
///
/// # Errors
/// A sentence: the target is no address for this prober, or the module cannot be used.
pub(in crate::config) fn probe_spec(settings: &ModuleSettings, target: &str) -> Result<ProbeSpec, String> {
    if let ModuleSettings::Http(settings) = settings {
        let mut settings = Arc::clone(settings);
        if let Ok((_, Some(credentials))) = address::http_url(target) {
            Arc::make_mut(&mut settings).auth = Some(basic_auth(credentials));
        }
        return http_spec(settings, target);
    }
    spec_of(settings, target)
}

/// As [`probe_spec`], with settings that have the credentials of the URL already.
pub(super) fn spec_of(settings: &ModuleSettings, target: &str) -> Result<ProbeSpec, String> {
    match settings {
        ModuleSettings::Http(settings) => http_spec(Arc::clone(settings), target),
        ModuleSettings::Tcp(settings) => {
            Ok(ProbeSpec::Tcp { settings: Arc::clone(settings), address: address::host_port(target, Transport::Tcp)? })
        }
        ModuleSettings::Dns(settings) => {
            let server = match address::https_url(target) {
                Some(url) => DnsServer::Url(url?),
                None => {
                    let transport = match settings.transport {
                        DnsTransport::Udp => Transport::Udp,
                        DnsTransport::Tcp | DnsTransport::Tls => Transport::Tcp,
                    };
                    DnsServer::Host(address::host_port_or(target, settings.transport.default_port(), transport)?)
                }
            };
            Ok(ProbeSpec::Dns { settings: Arc::clone(settings), server })
        }
        ModuleSettings::Icmp(settings) => {
            Ok(ProbeSpec::Icmp { settings: Arc::clone(settings), host: address::host(target)? })
        }
        ModuleSettings::Grpc(settings) => {
            let default_port = if settings.tls.is_some() { 443 } else { 80 };
            Ok(ProbeSpec::Grpc {
                settings: Arc::clone(settings),
                address: address::grpc_address(target, default_port)?,
            })
        }
        ModuleSettings::Unix(settings) => {
            Ok(ProbeSpec::Unix { settings: Arc::clone(settings), path: address::socket_path(target)? })
        }
        ModuleSettings::Websocket(settings) => {
            Ok(ProbeSpec::Websocket { settings: Arc::clone(settings), url: address::websocket_url(target)? })
        }
        ModuleSettings::Unusable(why) => Err(why.clone()),
    }
}
