//! `target_http` and `target_dns`: lists of targets that others keep. What they gave last is made targets of here; one that
//! is wrong is left out with a warning, since nobody edits those lists by hand.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ::http::HeaderValue;
use ::http::header::ACCEPT;
use sha2::{Digest, Sha256};

use super::global::{Defaults, dns_servers_of, labels_of};
use super::module::Modules;
use super::target::Targets;
use super::target_files::{MODULE_LABEL, group};
use super::{Resolver, address, http, names};
use crate::config::discovery::{Discovery, DnsProvider, Group, HttpProvider, Lists, Provider, Records};
use crate::config::http::{StatusRange, names_default_port};
use crate::config::node::Node;
use crate::config::problem::{At, FileId, shorten};
use crate::config::raw::{DurationText, Entries, RawHttp, RawTargetDns, RawTargetHttp};
use crate::config::{mask_address, shape};

const REFRESH_INTERVALS: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(86_400);
/// Prometheus's.
const HTTP_REFRESH: Duration = Duration::from_secs(60);
const DNS_REFRESH: Duration = Duration::from_secs(30);

/// More complaints about one list are counted.
const TOLD: usize = 20;

/// The sources, and the files that stand for their lists in problems.
#[derive(Default)]
pub(super) struct Found {
    pub(super) sources: Vec<Arc<Discovery>>,
    pub(super) files: Vec<FileId>,
}

/// Everything that the targets of all sources are made with.
pub(super) struct Making<'m> {
    pub(super) lists: &'m Lists,
    pub(super) defaults: &'m Defaults,
    pub(super) modules: &'m mut Modules,
    pub(super) targets: &'m mut Targets,
}

/// What all kinds of sources have.
struct Common {
    module: Option<String>,
    labels: Vec<(String, String)>,
}

impl Found {
    /// The entries of `target_http`.
    pub(super) fn http(&mut self, node: Option<&Node>, at: &At<'_>, making: &mut Making<'_>, r: &mut Resolver<'_>) {
        for (index, entry) in entries(node, at, "- url: https://...", r).iter().enumerate() {
            let at = at.index(index);
            r.files.start();
            let faults = r.problems.fault_count();
            let mut raw: RawTargetHttp = shape::read(entry, &at, &mut r.problems);
            let common = common(raw.module.take(), raw.labels.take(), &at, making, r);
            let every = refresh(raw.refresh_interval.take(), HTTP_REFRESH, &at, r);
            let Some((provider, source)) = http_provider(raw, every, &at, r) else { continue };
            self.add(Provider::Http(Box::new(provider)), &source, every, faults, entry, &common, making, r);
        }
    }

    /// The entries of `target_dns`.
    pub(super) fn dns(&mut self, node: Option<&Node>, at: &At<'_>, making: &mut Making<'_>, r: &mut Resolver<'_>) {
        for (index, entry) in entries(node, at, "- names: [...]", r).iter().enumerate() {
            let at = at.index(index);
            r.files.start();
            let faults = r.problems.fault_count();
            let mut raw: RawTargetDns = shape::read(entry, &at, &mut r.problems);
            let common = common(raw.module.take(), raw.labels.take(), &at, making, r);
            let every = refresh(raw.refresh_interval.take(), DNS_REFRESH, &at, r);
            let Some((provider, source)) = dns_provider(raw, making.defaults, &at, r) else { continue };
            self.add(Provider::Dns(provider), &source, every, faults, entry, &common, making, r);
        }
    }

    #[allow(clippy::too_many_arguments)] // Two callers, and each is a thing of its own.
    fn add(
        &mut self,
        provider: Provider,
        source: &str,
        refresh_interval: Duration,
        faults: usize,
        entry: &Node,
        common: &Common,
        making: &mut Making<'_>,
        r: &mut Resolver<'_>,
    ) {
        let mut unique = source.to_owned();
        let mut count = 1;
        while self.sources.iter().any(|known| *known.source == *unique) {
            count += 1;
            unique = format!("{source} #{count}");
        }
        let mut hash = Sha256::new();
        hash.update(provider.kind());
        entry.digest(&mut hash);
        hash.update(r.files.touched());
        if let Some(list) = making.lists.get(unique.as_str()) {
            let file = r.problems.file(PathBuf::from(&unique));
            self.files.push(file);
            take(list, file, common, making, r);
        }
        self.sources.push(Arc::new(Discovery {
            provider,
            source: unique.into(),
            refresh_interval,
            fault: r.problems.fault_sentence(faults).map(Into::into),
            fingerprint: hash.finalize().into(),
        }));
    }
}

fn entries<'n>(node: Option<&'n Node>, at: &At<'_>, form: &str, r: &mut Resolver<'_>) -> &'n [Node] {
    match node {
        None | Some(Node::Null) => &[],
        Some(Node::List(entries)) => entries,
        Some(
            other @ (Node::Bool(_) | Node::Int(_) | Node::Float(..) | Node::Text(_) | Node::Binary(_) | Node::Map(_)),
        ) => {
            r.problems
                .add(at, format!("expected a list, each entry beginning with \"{form}\", found {}", other.kind()));
            &[]
        }
    }
}

fn refresh(raw: Option<DurationText>, default: Duration, at: &At<'_>, r: &mut Resolver<'_>) -> Duration {
    r.duration(raw, &at.key("refresh_interval"), REFRESH_INTERVALS).unwrap_or(default)
}

fn common(
    module: Option<String>,
    labels: Option<Entries<String>>,
    at: &At<'_>,
    making: &mut Making<'_>,
    r: &mut Resolver<'_>,
) -> Common {
    let module = module.filter(|module| !module.is_empty());
    if let Some(name) = &module
        && making.modules.entry(name).is_none()
    {
        r.problems.add(&at.key("module"), format!("{:?} is not a module; define it under modules", shorten(name)));
    }
    Common { module, labels: labels_of(labels, &at.key("labels"), r) }
}

fn http_provider(
    raw: RawTargetHttp,
    every: Duration,
    at: &At<'_>,
    r: &mut Resolver<'_>,
) -> Option<(HttpProvider, String)> {
    let text = r.required(raw.url, &at.key("url"))?;
    let (url, _) = match address::http_url(&text) {
        // Without a scheme it would be http, and a slip in a URL that has credentials beside it is dear.
        Ok(_) if !text.contains("://") => {
            r.problems.add(&at.key("url"), format!("{:?} has no scheme; write http:// or https://", shorten(&text)));
            return None;
        }
        Ok(found) => found,
        Err(message) => {
            r.problems.add(&at.key("url"), message);
            return None;
        }
    };
    let client = RawHttp {
        http_headers: raw.http_headers,
        follow_redirects: raw.follow_redirects,
        enable_http2: raw.enable_http2,
        basic_auth: raw.basic_auth,
        authorization: raw.authorization,
        oauth2: raw.oauth2,
        bearer_token: raw.bearer_token,
        bearer_token_file: raw.bearer_token_file,
        proxy_url: raw.proxy_url,
        no_proxy: raw.no_proxy,
        proxy_from_environment: raw.proxy_from_environment,
        proxy_connect_header: raw.proxy_connect_header,
        tls_config: raw.tls_config,
        ..RawHttp::default()
    };
    let mut settings = http::http(client, at, r);
    settings.valid_status_codes = vec![StatusRange { first: 200, last: 200 }];
    settings.keep_excerpt = false;
    settings.headers.entry(ACCEPT).or_insert(HeaderValue::from_static("application/json"));
    settings.headers.insert("x-prometheus-refresh-interval-seconds", HeaderValue::from(every.as_secs()));
    let names_port = names_default_port(&text, url.url());
    Some((HttpProvider { settings: Arc::new(settings), url, names_port }, mask_address(&text)))
}

fn dns_provider(
    raw: RawTargetDns,
    defaults: &Defaults,
    at: &At<'_>,
    r: &mut Resolver<'_>,
) -> Option<(DnsProvider, String)> {
    let before = r.problems.count();
    let mut asked = Vec::new();
    let at_names = at.key("names");
    for (index, text) in raw.names.iter().flatten().enumerate() {
        // Names of services have underscores, and all are taken as they stand.
        match names::pattern(text.trim()) {
            name if name.is_empty() || name.contains(char::is_whitespace) => {
                r.problems.add(&at_names.index(index), format!("{:?} is not a name", shorten(text)));
            }
            name => asked.push(name.into_owned()),
        }
    }
    if raw.names.is_none_or(|names| names.is_empty()) {
        r.problems.add(&at_names, "is required: names such as _http._tcp.example.com");
    }
    let port = raw.port.map(|port| u16::try_from(port).ok().filter(|port| *port > 0).ok_or(port));
    let port = port.transpose().unwrap_or_else(|port| {
        r.problems.add(&at.key("port"), format!("{port} is not a port, which are 1 to 65535"));
        None
    });
    let mut needs_port = |kind: &str| {
        if raw.port.is_none() {
            r.problems.add(&at.key("port"), format!("is required for records of type {kind}, which have none"));
        }
        port.unwrap_or_default()
    };
    let kind = raw.kind.as_deref().map_or_else(|| "SRV".to_owned(), |kind| kind.trim().to_ascii_uppercase());
    let records = match kind.as_str() {
        "SRV" => {
            if raw.port.is_some() {
                r.problems.add(&at.key("port"), "cannot stand beside type SRV, whose records have ports");
            }
            Records::Srv
        }
        "A" => Records::A { port: needs_port("A") },
        "AAAA" => Records::Aaaa { port: needs_port("AAAA") },
        other => {
            r.problems.add(&at.key("type"), format!("{:?} is none of SRV, A and AAAA", shorten(other)));
            return None;
        }
    };
    let servers = dns_servers_of(raw.dns_servers, &at.key("dns_servers"), r);
    let servers = servers.unwrap_or_else(|| defaults.dns_servers.clone());
    let source = format!("{kind} {}", asked.join(" "));
    (r.problems.count() == before).then_some((DnsProvider { names: asked, records, servers }, source))
}

/// Makes targets of a list. What is wrong with one of them concerns that one.
fn take(list: &[Group], file: FileId, common: &Common, making: &mut Making<'_>, r: &mut Resolver<'_>) {
    let root = At::root(file);
    let (mut told, mut untold) = (0, 0);
    for (index, entry) in list.iter().enumerate() {
        let before = r.problems.count();
        let node = group_node(entry, common);
        group(&node, &root.index(index), making.defaults, making.modules, making.targets, r);
        for found in r.problems.split_off(before) {
            if told < TOLD {
                told += 1;
                r.problems.note(found.left_out());
            } else {
                untold += 1;
            }
        }
    }
    if untold > 0 {
        let path = root.path();
        r.problems.add_note(file, path, format!("{untold} more targets of this list are left out"));
    }
}

/// The group as a file has it. A group's own labels win.
fn group_node(group: &Group, common: &Common) -> Node {
    let text = |text: &str| Node::Text(text.to_owned());
    let mut labels: Vec<(String, Node)> =
        common.labels.iter().map(|(name, value)| (name.clone(), text(value))).collect();
    if let Some(module) = &common.module {
        labels.push((MODULE_LABEL.to_owned(), text(module)));
    }
    labels.retain(|(name, _)| group.labels.iter().all(|(own, _)| own != name));
    labels.extend(group.labels.iter().map(|(name, value)| (name.clone(), text(value))));
    Node::Map(vec![
        ("targets".to_owned(), Node::List(group.targets.iter().map(|target| text(target)).collect())),
        ("labels".to_owned(), Node::Map(labels)),
    ])
}
