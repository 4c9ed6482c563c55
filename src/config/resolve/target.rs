//! One target: its cadence, its labels, what its module says and what it overrides.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::depends_on::{self, Known, List, Lists, Owner};
use super::global::{
    Defaults, INTERVALS, TIMEOUTS, buckets_of, confirm_of, dns_servers_of, labels_of, longer_than_interval, slo_of,
};
use super::maintenance::maintenance_of;
use super::module::{self, DEFAULT_MODULE, Entry, Kind, Made, Modules, Protocol, Variation};
use super::path::path_of;
use super::{Resolver, address, discovery, icmp};
use crate::config::node::Node;
use crate::config::problem::{At, FileId, Found, KeyPath, Step, nearest, shorten};
use crate::config::raw::RawTarget;
use crate::config::{
    Cadence, Confirm, FanOut, LabelSet, ModuleSettings, Parents, ProbeSpec, Select, Target, TargetName, UpWhen, shape,
};

/// The targets so far, and where each name was first seen.
#[derive(Default)]
pub(super) struct Targets {
    targets: Vec<(Arc<Target>, Lists)>,
    names: HashMap<TargetName, Seen>,
    /// `depends_on` of targets that have problems.
    others: Vec<Rc<List>>,
}

struct Seen {
    place: (FileId, KeyPath),
    /// Among the targets; `None` when it has problems.
    index: Option<usize>,
}

/// Where a target's name comes from, and so what it means when there is one of that name already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// Ours: names are unique.
    Named,
    /// A file_sd group: the same once more is one target, as it is to Prometheus.
    Group,
    /// The same, with an address for a name: another one of that name is left out.
    Address,
}

impl Targets {
    /// All of them by name, and which stand behind which. `found` are the files that stand for lists of others.
    pub(super) fn finish(
        self,
        global: Option<&Rc<List>>,
        found: &discovery::Found,
        r: &mut Resolver<'_>,
    ) -> (Vec<Arc<Target>>, Parents) {
        let Self { mut targets, names, others } = self;
        targets.sort_by(|(a, _), (b, _)| a.name.cmp(&b.name));
        let (targets, mut lists): (Vec<_>, Vec<_>) = targets.into_iter().unzip();
        let known: &dyn Fn(&str) -> Known = &|name| match TargetName::new(name) {
            Ok(name) if names.contains_key(&name) => Known::Faulty,
            Ok(_) | Err(_) if !found.sources.is_empty() => Known::MayBeFound,
            Ok(_) | Err(_) => Known::No,
        };
        let before = r.problems.count();
        let parents = depends_on::parents(&targets, &lists, global, &others, known, r);
        if r.problems.count() == before || !depends_on::forget(&mut lists, &found.files) {
            return (targets, parents);
        }
        // Lists that nobody edits here may be at fault; without them, what is left is the config's own.
        let with_them = r.problems.split_off(before);
        let parents = depends_on::parents(&targets, &lists, global, &others, known, r);
        let own = r.problems.split_off(before);
        for problem in with_them.into_iter().filter(|problem| !own.contains(problem)) {
            r.problems.note(problem.left_out());
        }
        r.problems.put_back(own);
        (targets, parents)
    }

    /// The targets from the one at `first` on are a group that stands behind these.
    pub(super) fn group_from(&mut self, first: usize, list: &Rc<List>) {
        for (_, lists) in &mut self.targets[first..] {
            lists.group = Some(Rc::clone(list));
        }
    }

    /// Takes a target in, unless the same is there.
    fn add(&mut self, target: Target, own: Option<Rc<List>>, origin: Origin, at: &At<'_>, r: &mut Resolver<'_>) {
        let place = (at.file, at.key("name").path());
        let Some(seen) = self.names.get_mut(&target.name) else { return };
        if seen.place == place {
            seen.index = Some(self.targets.len());
            self.targets.push((Arc::new(target), Lists { own, group: None }));
            return;
        }
        // One that has problems itself is told by them.
        let Some(index) = seen.index else { return };
        if self.targets[index].0.fingerprint == target.fingerprint {
            return;
        }
        let (first, name) = (seen.place.clone(), shorten(target.name.as_str()));
        if origin == Origin::Address {
            let message = format!(
                "{name:?} is there already with other labels or another module, interval or timeout; the first one alone runs. \
                 To have both, give one a name of its own by the label __target_name"
            );
            r.problems.note_clash(at.file, at.path(), message, first);
        } else {
            r.problems.add_clash(at.file, at.path(), not_unique(&name), first);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.targets.len()
    }
}

/// An entry of `targets:` or of a target file in our form.
pub(super) fn target(
    node: &Node,
    at: &At<'_>,
    defaults: &Defaults,
    modules: &mut Modules,
    targets: &mut Targets,
    r: &mut Resolver<'_>,
) {
    let raw: RawTarget = shape::read(node, at, &mut r.problems);
    if !matches!(node, Node::Map(_)) {
        return;
    }
    resolve(raw, node, Origin::Named, at, defaults, modules, targets, r);
}

/// A target whose keys are read; `node` holds the blocks that it overrides.
#[allow(clippy::too_many_arguments)] // Two callers, and each is a thing of its own.
pub(super) fn resolve(
    raw: RawTarget,
    node: &Node,
    origin: Origin,
    at: &At<'_>,
    defaults: &Defaults,
    modules: &mut Modules,
    targets: &mut Targets,
    r: &mut Resolver<'_>,
) {
    let RawTarget {
        name,
        target,
        module,
        interval,
        timeout,
        labels,
        confirm,
        dns_servers,
        latency_buckets,
        evidence_body,
        display_name,
        slow_threshold,
        slo,
        diagnose,
        path,
        resolve,
        ip_protocol,
        up_when,
        max_addresses,
        _depends_on: _,
        _http: _,
        _tcp: _,
        _dns: _,
        _icmp: _,
        _grpc: _,
        _unix: _,
        _websocket: _,
    } = raw;
    let before = r.problems.count();
    let name = identity(name, origin, at, targets, r);
    let own = depends_on::list(node.get("depends_on"), Owner::Target(name.clone()), &at.key("depends_on"), r);
    // For its problems, should the target have others; taken back when it has none.
    targets.others.extend(own.clone());
    let labels = labels_of(labels, &at.key("labels"), r);
    let labels = LabelSet::new(defaults.labels.iter().cloned().chain(labels)).unwrap_or_default();

    let dns_servers = dns_servers_of(dns_servers, &at.key("dns_servers"), r);
    let latency_buckets = buckets_of(latency_buckets, &at.key("latency_buckets"), r);
    let interval = r.duration(interval, &at.key("interval"), INTERVALS).unwrap_or(defaults.interval);
    let timeout = r.duration(timeout, &at.key("timeout"), TIMEOUTS);
    let confirm = confirm_of(confirm, defaults.confirm, interval, &at.key("confirm"), r);

    let slow_threshold = r.duration(slow_threshold, &at.key("slow_threshold"), TIMEOUTS).or(defaults.slow_threshold);
    let slo = slo_of(slo, &at.key("slo"), r).or(defaults.slo);
    let diagnose = diagnose.unwrap_or(defaults.diagnose);
    let path = path_of(path, defaults.path, diagnose, &at.key("path"), r);
    let display_name = display_name_of(display_name, &at.key("display_name"), r);
    let fan_out = fan_out(resolve, ip_protocol, up_when, max_addresses, at, r);
    let address = r.required(target, &at.key("target"));
    let module_name = module.filter(|name| !name.is_empty()).unwrap_or_else(|| DEFAULT_MODULE.to_owned());
    let Some(entry) = modules.entry(&module_name).cloned() else {
        let names = modules.names();
        let hint = match nearest(&module_name, names.iter().copied()) {
            Some(near) => format!("did you mean {near}?"),
            None => "define it under modules".to_owned(),
        };
        r.problems.add(&at.key("module"), format!("{:?} is not a module; {hint}", shorten(&module_name)));
        return;
    };
    let cadence = cadence(interval, timeout, entry.timeout, defaults, at, r);
    let Some((made, broken)) = settings(&entry, &module_name, node, at, modules, r) else { return };
    let variation = Variation {
        dns_servers: dns_servers.or(entry.dns_servers).unwrap_or_else(|| defaults.dns_servers.clone()),
        keep_excerpt: evidence_body.unwrap_or(defaults.evidence_body),
        credentials: None,
    };
    let Some(address) = address else { return };
    let probe = spec(&made, variation, &address, at, modules, r);
    if let Some((ProbeSpec::Http { settings, url, .. }, _)) = &probe
        && settings.enable_http3
        && address.contains("://")
        && module::over_http3(&address).is_some()
    {
        let message = format!("is asked as {}, for its module has enable_http3, and HTTP/3 is https alone", url.url());
        r.warn(&at.key("target"), &message);
    }
    if let (Some((ProbeSpec::Icmp { settings, .. }, _)), Some(cadence)) = (&probe, &cadence)
        && let Some(message) = icmp::too_slow(settings, cadence.timeout())
    {
        r.problems.add(&at.key("timeout"), message);
    }
    let (Some(name), Some((probe, Made { hash, fault, .. })), Some(cadence)) = (name, probe, cadence) else { return };
    // The module's own problems are reported where it stands.
    if broken || r.problems.count() > before {
        return;
    }
    if fan_out.is_some() && !probe.resolves() {
        let message = "its address is not one that the exporter looks up, so there are not several to probe";
        r.problems.add(&at.key("target"), message);
        return;
    }
    let shown = address::shown(&address);
    let latency_buckets = latency_buckets.unwrap_or_else(|| Arc::clone(&defaults.latency_buckets));
    let maintenance = maintenance_of(&defaults.maintenance, &name, &labels);
    let mut target = Target {
        name,
        address: shown,
        module: module_name,
        labels,
        cadence,
        confirm,
        latency_buckets,
        probe,
        fault,
        display_name,
        slow_threshold,
        slo,
        maintenance,
        fan_out,
        diagnose,
        path,
        fingerprint: [0; 32],
    };
    target.fingerprint = fingerprint(&target, &hash);
    if own.is_some() {
        targets.others.pop();
    }
    targets.add(target, own, origin, at, r);
}

/// `resolve: all` or `ip_protocol: both`, and what they take.
fn fan_out(
    resolve: Option<String>,
    ip_protocol: Option<String>,
    up_when: Option<String>,
    max_addresses: Option<i64>,
    at: &At<'_>,
    r: &mut Resolver<'_>,
) -> Option<FanOut> {
    const ADDRESSES: i64 = 16;
    const MOST_ADDRESSES: i64 = 256;
    let all = match resolve.as_deref() {
        None | Some("one") => false,
        Some("all") => true,
        Some(other) => {
            r.problems.add(&at.key("resolve"), format!("{:?} is neither one nor all", shorten(other)));
            false
        }
    };
    let both = match ip_protocol.as_deref() {
        None => false,
        Some("both") => true,
        Some(other) => {
            let message = format!(
                "{:?} is not both; to choose one family, override preferred_ip_protocol of the module",
                shorten(other)
            );
            r.problems.add(&at.key("ip_protocol"), message);
            false
        }
    };
    if all && both {
        r.problems.add(&at.key("ip_protocol"), "cannot stand beside resolve: all, which has all of both families");
    }
    if !all && !both {
        for (key, given) in [("up_when", up_when.is_some()), ("max_addresses", max_addresses.is_some())] {
            if given {
                r.problems.add(&at.key(key), "needs resolve: all or ip_protocol: both");
            }
        }
        return None;
    }
    let up_when = match up_when.as_deref() {
        None | Some("all") => UpWhen::All,
        Some("any") => UpWhen::Any,
        Some(text) => match text.parse::<f64>() {
            Ok(share) if share > 0.0 && share <= 1.0 => UpWhen::Share(share),
            Ok(_) | Err(_) => {
                let message = format!("{:?} is neither all nor any nor a share such as 0.5", shorten(text));
                r.problems.add(&at.key("up_when"), message);
                UpWhen::All
            }
        },
    };
    let max = max_addresses.unwrap_or(ADDRESSES);
    if !(1..=MOST_ADDRESSES).contains(&max) {
        r.problems.add(&at.key("max_addresses"), format!("{max} is not from 1 to {MOST_ADDRESSES}"));
    }
    let select = if all { Select::All } else { Select::BothFamilies };
    Some(FanOut { select, up_when, max: usize::try_from(max).unwrap_or(1) })
}

/// One line of text for people.
pub(super) fn display_name_of(raw: Option<String>, at: &At<'_>, r: &mut Resolver<'_>) -> Option<Box<str>> {
    let text = raw.filter(|text| !text.trim().is_empty())?;
    if text.len() > TargetName::MAX_BYTES {
        r.problems.add(at, format!("is {} bytes long; at most {} are allowed", text.len(), TargetName::MAX_BYTES));
    } else if text.chars().any(char::is_control) {
        r.problems.add(at, "has a control character; it is one line of text");
    }
    Some(text.trim().into())
}

fn not_unique(name: &str) -> String {
    format!("{name:?} is the name of another target too; names are unique")
}

fn identity(
    name: Option<String>,
    origin: Origin,
    at: &At<'_>,
    targets: &mut Targets,
    r: &mut Resolver<'_>,
) -> Option<TargetName> {
    let at_name = at.key("name");
    let Some(name) = name else {
        r.problems.add(&at_name, "is required; it is the target's identity and its label \"target\"");
        return None;
    };
    match TargetName::new(name) {
        Ok(name) => {
            let place = (at_name.file, at_name.path());
            match targets.names.get(&name) {
                Some(first) if origin == Origin::Named => {
                    let message = not_unique(&shorten(name.as_str()));
                    r.problems.add_clash(place.0, place.1, message, first.place.clone());
                    return None;
                }
                // Judged when it is known what it is.
                Some(_) => {}
                None => {
                    targets.names.insert(name.clone(), Seen { place, index: None });
                }
            }
            Some(name)
        }
        Err(error) => {
            r.problems.add(&at_name, error.to_string());
            None
        }
    }
}

/// A timeout that the target itself gives must fit; one that comes from elsewhere is cut to the interval.
fn cadence(
    interval: Duration,
    own: Option<Duration>,
    module: Option<Duration>,
    defaults: &Defaults,
    at: &At<'_>,
    r: &mut Resolver<'_>,
) -> Option<Cadence> {
    let timeout = match own {
        Some(timeout) if timeout > interval => {
            r.problems.add(&at.key("timeout"), longer_than_interval(timeout, interval));
            return None;
        }
        Some(timeout) => timeout,
        None => module.unwrap_or(defaults.timeout).min(interval),
    };
    Cadence::new(interval, timeout).ok()
}

/// The module's settings with the target's blocks over them, and whether the module has problems of its own.
fn settings(
    entry: &Entry,
    module: &str,
    node: &Node,
    at: &At<'_>,
    modules: &mut Modules,
    r: &mut Resolver<'_>,
) -> Option<(Made, bool)> {
    let (protocol, block, made, broken) = match &entry.kind {
        Kind::Broken => return None,
        Kind::NoProber(why) => {
            r.problems.add(&at.key("module"), format!("{module:?} cannot be used: {why}"));
            return None;
        }
        Kind::Probe { protocol, block, settings, broken } => (*protocol, block, settings, *broken),
    };
    let (mut made, module_fault) = (made.clone(), &made.fault);
    for other in Protocol::ALL {
        let name = other.name();
        let Some(over) = node.get(name).filter(|over| !matches!(over, Node::Null)) else { continue };
        let at = at.key(name);
        if !matches!(over, Node::Map(_)) {
            r.problems
                .add(&at, format!("expected a mapping with keys of the module's {name} block, found {}", over.kind()));
            continue;
        }
        if other != protocol {
            let prober = protocol.name();
            r.problems
                .add(&at, format!("cannot override module {module:?}, whose prober is {prober}; write {prober}:"));
            // Its keys are read all the same, so that the next attempt has no more surprises.
            other.check_shape(over, &at, r);
            continue;
        }
        let (before, faults_before) = (r.problems.count(), r.problems.fault_count());
        made = modules.make(protocol, &block.overridden(over), &at, r);
        if broken {
            let found = r.problems.split_off(before);
            r.problems.put_back(found.into_iter().filter(|found| concerns(found, &at, over)));
        }
        let faults = r.problems.split_off_faults(faults_before);
        let own: Vec<Found> = faults.into_iter().filter(|fault| concerns(fault, &at, over)).collect();
        if own.is_empty() && made.fault.is_some() {
            // All of it stands in the module, and is told with its place there.
            made.fault.clone_from(module_fault);
        }
        r.problems.put_back_faults(own);
    }
    Some((made, broken))
}

/// Whether a problem of a merged block is about a key that the target gives.
fn concerns(found: &Found, at: &At<'_>, over: &Node) -> bool {
    match found.path.0.get(at.path().0.len()) {
        Some(Step::Key(key)) => over.get(key).is_some(),
        Some(Step::Index(_)) | None => true,
    }
}

fn spec(
    made: &Made,
    mut variation: Variation,
    address: &str,
    at: &At<'_>,
    modules: &mut Modules,
    r: &mut Resolver<'_>,
) -> Option<(ProbeSpec, Made)> {
    if let ModuleSettings::Http(_) = &made.settings {
        // The prober takes them from the settings, and they are a part of what those are made from.
        variation.credentials = address::http_url(address).ok().and_then(|(_, credentials)| credentials);
    }
    let made = modules.vary(made.clone(), &variation);
    match module::spec_of(&made.settings, address) {
        Ok(spec) => Some((spec, made)),
        Err(message) => {
            r.problems.add(&at.key("target"), message);
            None
        }
    }
}

fn fingerprint(target: &Target, settings: &[u8; 32]) -> [u8; 32] {
    fn sized(hash: &mut Sha256, bytes: &[u8]) {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    }
    let Target {
        name,
        address,
        module,
        labels,
        cadence,
        confirm,
        latency_buckets,
        probe,
        // A part of what the settings were made from.
        fault: _,
        display_name,
        slow_threshold,
        slo,
        maintenance,
        fan_out,
        diagnose,
        path,
        fingerprint: _,
    } = target;
    let mut hash = Sha256::new();
    hash.update(settings);
    for text in [name.as_str(), address, module] {
        sized(&mut hash, text.as_bytes());
    }
    sized(&mut hash, probe.destination().as_bytes());
    for (name, value) in labels.iter() {
        sized(&mut hash, name.as_bytes());
        sized(&mut hash, value.as_bytes());
    }
    let Confirm { failures, retry_interval } = confirm;
    for duration in [cadence.interval(), cadence.timeout(), *retry_interval] {
        hash.update(duration.as_nanos().to_le_bytes());
    }
    hash.update(failures.get().to_le_bytes());
    for bound in latency_buckets.iter() {
        hash.update(bound.to_le_bytes());
    }
    sized(
        &mut hash,
        format!("{display_name:?} {slow_threshold:?} {slo:?} {maintenance:?} {fan_out:?} {diagnose} {path:?}")
            .as_bytes(),
    );
    hash.finalize().into()
}
