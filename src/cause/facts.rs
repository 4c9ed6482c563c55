//! What is known of each target, as numbers: its name, port and labels, and what its last good and its failing run saw.
//!
//! A target that cannot be reached still has the facts of its last good run. Of a failing one only those count that can
//! matter so early: what does not resolve does not fail by its certificate.

use std::collections::HashMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use super::find::{FactId, Trait};
use crate::config::zoned::literal;
use crate::config::{ProbeSpec, Target};
use crate::observation::{CauseKind, Detail, Observation, Reason, Resolution};
use crate::probe::address::registrable_domain;

/// Longer values are cut: they are labels.
const MOST_CHARACTERS: usize = 120;

/// When the table has this many facts for each one in use, it is made anew.
const WASTE: usize = 4;
const ROOM: usize = 10_000;

#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Value {
    Address(IpAddr),
    Network(IpAddr),
    Socket(SocketAddr),
    Port(u16),
    Reason(Reason),
    Text(Arc<str>),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => write!(f, "{address}"),
            Self::Network(address @ IpAddr::V4(_)) => write!(f, "{address}/24"),
            Self::Network(address @ IpAddr::V6(_)) => write!(f, "{address}/48"),
            Self::Socket(address) => write!(f, "{address}"),
            Self::Port(port) => write!(f, "{port}"),
            Self::Reason(reason) => f.write_str(reason.as_label()),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// Every fact that some target has, and what each target has.
#[derive(Default)]
pub struct Facts {
    table: Vec<(CauseKind, Value)>,
    traits: Vec<Trait>,
    ids: HashMap<(CauseKind, Value), FactId>,
    /// By the place of the target.
    known: Vec<Option<Known>>,
}

/// What is known of a target. Kept, because most runs see what the one before saw.
struct Known {
    target: Arc<Target>,
    /// Labels that were chosen when it was read.
    labels: Arc<[String]>,
    /// By its settings.
    fixed: Vec<FactId>,
    good: Option<Seen>,
    bad: Option<Seen>,
    /// What follows from all of them.
    facts: Arc<[FactId]>,
}

/// What one run saw. Not the run itself, which would then be kept for as long as nothing changes.
struct Seen {
    /// What its facts were made of: those of the lookup, and all.
    digests: [u64; 2],
    /// The first so many are those of the lookup.
    looked_up: usize,
    facts: Arc<[FactId]>,
    classes: u64,
}

/// How far a run came before it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    Lookup,
    Connect,
    Tls,
    Answer,
}

impl Facts {
    pub fn traits(&self) -> &[Trait] {
        &self.traits
    }

    pub fn kind(&self, fact: FactId) -> CauseKind {
        self.traits[fact as usize].kind
    }

    /// As a label.
    pub fn value(&self, fact: FactId) -> Box<str> {
        sanitised(&self.table[fact as usize].1.to_string())
    }

    /// Whether the number still stands for it.
    pub fn is(&self, fact: FactId, kind: CauseKind, value: &str) -> bool {
        self.table.get(fact as usize).is_some_and(|(of, text)| *of == kind && *sanitised(&text.to_string()) == *value)
    }

    /// The fact of this kind that reads so.
    pub fn named(&self, kind: CauseKind, value: &str) -> Option<FactId> {
        (0..FactId::try_from(self.table.len()).ok()?).find(|fact| self.is(*fact, kind, value))
    }

    /// Keeps what is known of these targets, and makes room when most of the table is history. Facts have other numbers
    /// after that, so it is done between searches.
    pub fn tidy(&mut self, targets: usize) {
        if self.table.len() > ROOM + targets * WASTE * 10 {
            *self = Self::default();
        }
        self.known.resize_with(targets, || None);
    }

    /// The facts of the target at this place, ascending, and the classes of failures that it could have had. With the run
    /// that it fails by, if it does.
    pub fn of(
        &mut self,
        place: usize,
        target: &Arc<Target>,
        labels: &Arc<[String]>,
        good: Option<&Arc<Observation>>,
        bad: Option<&Arc<Observation>>,
    ) -> (Arc<[FactId]>, u64) {
        if self.known.len() <= place {
            self.known.resize_with(place + 1, || None);
        }
        let before = self.known[place].take();
        let before = before.filter(|known| Arc::ptr_eq(&known.target, target) && known.labels == *labels);
        let (target, labels) = (Arc::clone(target), Arc::clone(labels));
        let (fixed, good_before, bad_before, facts) = match before {
            Some(Known { fixed, good, bad, facts, .. }) => (fixed, good, bad, Some(facts)),
            None => (self.fixed(&target, &labels), None, None, None),
        };
        let digest = |seen: &Option<Seen>| seen.as_ref().map(|seen| seen.digests);
        let then = (digest(&good_before), digest(&bad_before));
        let good = good.map(|run| self.seen(good_before, None, &target, run));
        let stage = bad.map(|run| stage(run));
        let bad = bad.map(|run| self.seen(bad_before, good.as_ref(), &target, run));
        // The stage follows from what the digest is made of.
        let facts = facts.filter(|_| then == (digest(&good), digest(&bad)));
        let facts = facts.unwrap_or_else(|| self.combine(&fixed, good.as_ref(), bad.as_ref().zip(stage)));
        let classes = good.as_ref().map_or(0, |seen| seen.classes);
        self.known[place] = Some(Known { target, labels, fixed, good, bad, facts: Arc::clone(&facts) });
        (facts, classes)
    }

    fn combine(&self, fixed: &[FactId], good: Option<&Seen>, bad: Option<(&Seen, Stage)>) -> Arc<[FactId]> {
        let before = good.map(|seen| &*seen.facts).unwrap_or_default();
        let Some((now, stage)) = bad else { return sorted(fixed.iter().chain(before).copied().collect()) };
        // Of one kind the failing run's facts, where it came so far.
        let kind = |fact: &FactId| self.traits[*fact as usize].kind;
        let seen = now.facts.iter().fold(0_u32, |seen, fact| seen | 1 << kind(fact) as u32);
        let before = before.iter().filter(|fact| seen & (1 << kind(fact) as u32) == 0);
        let facts = fixed.iter().chain(now.facts.iter()).chain(before).filter(|fact| stage_of(kind(fact)) <= stage);
        sorted(facts.copied().collect())
    }

    /// What `run` saw: what the one before saw, as a rule. `other` is another run of the target.
    fn seen(&mut self, before: Option<Seen>, other: Option<&Seen>, target: &Target, run: &Observation) -> Seen {
        let digests = digests(run);
        if let Some(before) = before.filter(|before| before.digests == digests) {
            return before;
        }
        let mut facts = Vec::new();
        // A name that fails was looked up as before, as a rule.
        let same = other.filter(|other| other.digests[0] == digests[0]);
        if let Some(other) = same {
            facts.extend_from_slice(&other.facts[..other.looked_up]);
        } else if let Some(resolution) = &run.resolution {
            self.resolved(resolution, &mut facts);
        }
        let looked_up = facts.len();
        let mut add = |kind, value| facts.push(self.fact(kind, value));
        if let Some(leaf) = run.tls.as_ref().and_then(|tls| tls.chain.certificates.first()) {
            // The serial comes first: what is too long is cut at its end.
            let certificate = format!("serial {} of {}", leaf.serial, leaf.subject);
            add(CauseKind::Certificate, Value::Text(certificate.into()));
            add(CauseKind::Issuer, Value::Text((&*leaf.issuer).into()));
        }
        if let Detail::Http(detail) = &run.detail {
            if let Some(proxy) = &detail.proxy {
                add(CauseKind::Proxy, Value::Text((&**proxy).into()));
            }
            let last = detail.redirect_chain.last().and_then(|url| url::Url::parse(url).ok());
            if let Some(host) = last.as_ref().and_then(url::Url::host_str)
                && Some(host) != target.probe.peer().0
            {
                add(CauseKind::Host, Value::Text(host.into()));
            }
        }
        if let Some(failure) = run.outcome.failure() {
            add(CauseKind::Reason, Value::Reason(failure.reason));
        }
        Seen { digests, looked_up, facts: facts.into(), classes: classes(target, run) }
    }

    fn resolved(&mut self, resolution: &Resolution, facts: &mut Vec<FactId>) {
        let Resolution { chosen, lookup, .. } = resolution;
        let mut add = |kind, value| facts.push(self.fact(kind, value));
        if let Some(address) = chosen {
            add(CauseKind::Address, Value::Address(*address));
            add(CauseKind::Network, Value::Network(network(*address)));
        }
        if let Some(lookup) = lookup {
            if let Some(server) = lookup.server {
                add(CauseKind::Resolver, Value::Socket(server));
            }
            for name in &lookup.aliases {
                add(CauseKind::CanonicalName, Value::Text((&**name).into()));
                if let Some(domain) = registrable_domain(name) {
                    add(CauseKind::Domain, Value::Text(domain.into()));
                }
            }
            for server in &lookup.name_servers {
                add(CauseKind::NameServer, Value::Text((&**server).into()));
            }
        }
    }

    fn fixed(&mut self, target: &Target, labels: &[String]) -> Vec<FactId> {
        let mut facts = Vec::new();
        let (host, port) = target.probe.peer();
        // An address is a fact by itself.
        if let Some(host) = host.filter(|host| literal(host.trim_matches(['[', ']'])).is_none()) {
            let host = host.trim_end_matches('.').to_lowercase();
            if let Some(domain) = registrable_domain(&host) {
                facts.push(self.fact(CauseKind::Domain, Value::Text(domain.into())));
            }
            facts.push(self.fact(CauseKind::CanonicalName, Value::Text(host.into())));
        }
        if let Some(port) = port {
            facts.push(self.fact(CauseKind::Port, Value::Port(port)));
        }
        if let (ProbeSpec::Dns { .. }, Some(host)) = (&target.probe, host) {
            facts.push(self.fact(CauseKind::NameServer, Value::Text(host.into())));
        }
        for name in labels {
            if let Some(value) = target.labels.value(name) {
                facts.push(self.fact(CauseKind::Label, Value::Text(format!("{name}={value}").into())));
            }
        }
        facts
    }

    fn fact(&mut self, kind: CauseKind, value: Value) -> FactId {
        let Self { table, traits, ids, .. } = self;
        *ids.entry((kind, value)).or_insert_with_key(|(kind, value)| {
            table.push((*kind, value.clone()));
            let class = if let Value::Reason(reason) = value { Some(class(*reason)) } else { None };
            traits.push(Trait { kind: *kind, class });
            FactId::try_from(table.len() - 1).unwrap_or(FactId::MAX)
        })
    }
}

fn sorted(mut facts: Vec<FactId>) -> Arc<[FactId]> {
    facts.sort_unstable();
    facts.dedup();
    facts.into()
}

/// Of everything that facts are made of: what the lookup said, and all. Runs with the same ones saw the same.
fn digests(run: &Observation) -> [u64; 2] {
    let mut hasher = DefaultHasher::new();
    if let Some(Resolution { chosen, lookup, .. }) = &run.resolution {
        chosen.hash(&mut hasher);
        if let Some(lookup) = lookup {
            (&lookup.server, &lookup.aliases, &lookup.name_servers).hash(&mut hasher);
        }
    }
    let of_lookup = hasher.finish();
    run.tls.is_some().hash(&mut hasher);
    if let Some(leaf) = run.tls.as_ref().and_then(|tls| tls.chain.certificates.first()) {
        (&leaf.serial, &leaf.subject, &leaf.issuer).hash(&mut hasher);
    }
    if let Detail::Http(detail) = &run.detail {
        (&detail.proxy, detail.redirect_chain.last()).hash(&mut hasher);
    }
    run.outcome.failure().map(|failure| failure.reason).hash(&mut hasher);
    [of_lookup, hasher.finish()]
}

/// The /24 of an IPv4 address, the /48 of an IPv6 one.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            [a, b, c, 0].into()
        }
        IpAddr::V6(v6) => {
            let [a, b, c, ..] = v6.segments();
            Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0).into()
        }
    }
}

/// As a label: short, and without what would break a line.
fn sanitised(text: &str) -> Box<str> {
    let clean = |character: char| if character.is_control() { '\u{fffd}' } else { character };
    text.chars().map(clean).take(MOST_CHARACTERS).collect::<String>().into()
}

fn stage(run: &Observation) -> Stage {
    let Some(failure) = run.outcome.failure() else { return Stage::Answer };
    let stage = match class(failure.reason) {
        LOOKED_UP => Stage::Lookup,
        CONNECTED | ICMP | PROXIED => Stage::Connect,
        SHOOK_HANDS => Stage::Tls,
        _ => Stage::Answer,
    };
    // After a redirect a run is further than its reason says.
    let redirected = matches!(&run.detail, Detail::Http(detail) if !detail.redirect_chain.is_empty());
    match (redirected, &run.tls) {
        (true, _) => Stage::Answer,
        (false, Some(_)) => stage.max(Stage::Tls),
        (false, None) => stage,
    }
}

/// The first stage at which a fact of the kind can matter.
pub(super) fn stage_of(kind: CauseKind) -> Stage {
    match kind {
        CauseKind::CanonicalName
        | CauseKind::Domain
        | CauseKind::NameServer
        | CauseKind::Resolver
        | CauseKind::Label
        | CauseKind::Reason => Stage::Lookup,
        CauseKind::Address | CauseKind::Network | CauseKind::Port | CauseKind::Proxy => Stage::Connect,
        CauseKind::Certificate | CauseKind::Issuer => Stage::Tls,
        CauseKind::Host => Stage::Answer,
    }
}

/// Who could fail so: a bit for each set of reasons that the same good targets could have had.
const LOOKED_UP: u8 = 0;
const CONNECTED: u8 = 1;
const SHOOK_HANDS: u8 = 2;
const ANSWERED: u8 = 3;
const HTTP: u8 = 4;
const DNS: u8 = 5;
const ICMP: u8 = 6;
const GRPC: u8 = 7;
const DIALOGUE: u8 = 8;
const PROXIED: u8 = 9;

fn class(reason: Reason) -> u8 {
    match reason {
        Reason::DnsNxdomain | Reason::DnsServfail | Reason::DnsRefused | Reason::DnsTimeout | Reason::DnsNoAddress => {
            LOOKED_UP
        }
        Reason::ConnectRefused | Reason::ConnectTimeout | Reason::ConnectUnreachable | Reason::ConnectReset => {
            CONNECTED
        }
        Reason::TlsHandshake
        | Reason::TlsTimeout
        | Reason::TlsExpired
        | Reason::TlsNotYetValid
        | Reason::TlsUntrusted
        | Reason::TlsNameMismatch
        | Reason::TlsRevoked => SHOOK_HANDS,
        Reason::RequestTimeout | Reason::ResponseTimeout | Reason::ResponseTruncated | Reason::ProtocolError => {
            ANSWERED
        }
        Reason::HttpStatus
        | Reason::HttpRedirect
        | Reason::HttpVersion
        | Reason::HeaderMismatch
        | Reason::BodyMismatch
        | Reason::BodyTooLarge
        | Reason::SslRequired
        | Reason::SslForbidden => HTTP,
        Reason::DnsRcode | Reason::DnsAnswerMismatch => DNS,
        Reason::ExpectMismatch => DIALOGUE,
        Reason::IcmpTimeout | Reason::IcmpUnreachable => ICMP,
        Reason::GrpcStatus | Reason::GrpcNotServing => GRPC,
        Reason::ProxyError => PROXIED,
        Reason::TargetForbidden | Reason::Vantage | Reason::Resolver | Reason::Internal => ANSWERED,
    }
}

fn classes(target: &Target, run: &Observation) -> u64 {
    let (connects, own) = match &target.probe {
        ProbeSpec::Http { .. } => (true, HTTP),
        ProbeSpec::Tcp { .. } | ProbeSpec::Unix { .. } | ProbeSpec::Websocket { .. } => (true, DIALOGUE),
        ProbeSpec::Dns { .. } => (true, DNS),
        ProbeSpec::Icmp { .. } => (false, ICMP),
        ProbeSpec::Grpc { .. } => (true, GRPC),
    };
    let proxied = matches!(&run.detail, Detail::Http(detail) if detail.proxy.is_some());
    let looked_up = run.resolution.as_ref().is_some_and(|resolution| resolution.lookup.is_some());
    let bit = |on: bool, class: u8| u64::from(on) << class;
    bit(true, own)
        | bit(connects, CONNECTED)
        | bit(connects, ANSWERED)
        | bit(looked_up, LOOKED_UP)
        | bit(run.tls.is_some(), SHOOK_HANDS)
        | bit(proxied, PROXIED)
}
