//! Name resolution and address choice, shared by all probers.
//!
//! Names are resolved on every run, never cached: a name that stops resolving is an outage. `system` reads what the
//! operating system says about names, `stub` asks the servers. The stub is ours, over hickory's wire format and its
//! reading of resolv.conf, because hickory's resolver makes one run depend on others: runs that ask for the same name
//! at the same time share one lookup, servers are picked by past statistics, and a busy connection fails the query.
//! It also leaves its UDP sockets unconnected, so that a name server which is not running looks like a silent one.

mod domain;
mod scope;
mod stub;
mod system;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hickory_resolver::proto::rr::{Name, RData, RecordType};
use tokio::time::Instant;

pub(crate) use self::domain::registrable_domain;
pub(crate) use self::scope::admit;
pub use self::scope::{Admit, Pin, Scope};
use self::stub::LookupError;
use self::system::{Files, Names};
use crate::config::dns_numbers::{self, RCODES};
use crate::config::zoned::{literal, socket_address};
use crate::config::{DnsServers, IpFamily, IpPreference};
use crate::observation::{Failure, Lookup, Reason, Resolution};

/// How long an answer of the preferred family waits for the other family's, which is asked at the same time and only
/// completes the evidence. The usual server answers both within a millisecond; one that drops AAAA queries must not
/// slow an IPv4 target down.
const COMPLETENESS: Duration = Duration::from_millis(25);

/// How long the preferred family may stay silent while the other one has an address. Two tries have gone unanswered
/// by then. RFC 8305 waits 50 ms, but a probe must not change its address family because a packet was slow.
const PREFERENCE: Duration = Duration::from_secs(2);

/// How often the system's files are looked at for changes.
const FRESHNESS: Duration = Duration::from_secs(5);

/// Resolvers by their servers, built once.
#[derive(Default)]
pub struct Resolvers {
    built: Mutex<HashMap<DnsServers, Arc<Resolver>>>,
}

/// Nothing can go wrong so far: a missing or odd system configuration has its defaults.
#[derive(Debug, thiserror::Error)]
pub enum ResolverSetupError {}

/// Asks one set of servers.
pub struct Resolver {
    servers: DnsServers,
    files: Files,
    current: Mutex<Current>,
}

/// The system's files as they were when last looked at.
struct Current {
    /// `None` when they could not be read yet.
    names: Option<Arc<Names>>,
    stamps: system::Stamps,
    looked: Instant,
}

/// A lookup that gave no address to use.
#[derive(Debug)]
pub struct ResolveError {
    pub failure: Failure,
    /// What was seen all the same: the time spent, and addresses of the unwanted family.
    pub resolution: Resolution,
}

impl Resolvers {
    pub fn resolver(&self, servers: &DnsServers) -> Result<Arc<Resolver>, ResolverSetupError> {
        let mut built = self.built.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(resolver) = built.get(servers) {
            return Ok(Arc::clone(resolver));
        }
        let resolver = Arc::new(Resolver::new(servers.clone(), Files::default()));
        built.insert(servers.clone(), Arc::clone(&resolver));
        Ok(resolver)
    }
}

impl Resolver {
    fn new(servers: DnsServers, files: Files) -> Self {
        let stamps = files.stamps();
        let names = files.read(&servers).ok().map(Arc::new);
        let current = Mutex::new(Current { names, stamps, looked: Instant::now() });
        Self { servers, files, current }
    }

    /// Looks `host` up (an address literal is taken as it is, with or without a zone) and chooses by `ip`.
    ///
    /// Has no timeout of its own beyond the run's: the caller drops the future and reports [`Self::silence`]. An error
    /// in which every server stayed silent is [`Reason::DnsTimeout`] too.
    ///
    /// With fallback both families are asked at once, else only the preferred one. The first address of the preferred
    /// family is chosen, or with fallback the first of the other one. The preferred family's answer is used when it
    /// comes; it is given up for the other family's only when it is negative, a failure, or two seconds late.
    pub async fn resolve(&self, host: &str, ip: IpPreference) -> Result<Resolution, ResolveError> {
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if let Some(address) = scope::pinned(bare) {
            let any = IpPreference { preferred: ip.preferred, fallback: true };
            return admitted(host, choose(host, Found::local(&[address]), Duration::ZERO, any));
        }
        if let Some(literal) = literal(bare) {
            // ::ffff:192.0.2.1 is an IPv4 address in other clothes, here as in Go.
            return admitted(host, choose(host, Found::local(&[literal.to_canonical()]), Duration::ZERO, ip));
        }
        let started = Instant::now();
        let found = match self.names() {
            Some(names) => lookup(&names, host, ip).await,
            None => Err((unread(host), None)),
        };
        let elapsed = started.elapsed();
        match found {
            Ok(found) => admitted(host, choose(host, found, elapsed, ip)),
            Err((failure, server)) => {
                let lookup = server.map(|server| Box::new(Lookup { server: Some(server), ..Lookup::default() }));
                let resolution = Resolution { elapsed, addresses: Box::default(), chosen: None, lookup };
                Err(ResolveError { failure, resolution })
            }
        }
    }

    /// Every record of a type that `host` has, by the search list; none when it does not exist, or has none of the type.
    ///
    /// # Errors
    /// No server says either.
    pub async fn records(&self, host: &str, record_type: RecordType) -> Result<Vec<RData>, Failure> {
        let names = self.names().ok_or_else(|| unread(host))?;
        let candidates = names.candidates(host).map_err(|_| no_name(host))?;
        let mut unknown = None;
        for candidate in &candidates {
            match names.stub.answer(&candidate.name, record_type).await {
                Ok((_, message)) => return Ok(stub::records(&message, record_type).cloned().collect()),
                Err(LookupError::NxDomain(_) | LookupError::NoData(_)) => {}
                Err(error) => unknown = Some(error),
            }
        }
        // A server that failed may have known one.
        match unknown {
            None => Ok(Vec::new()),
            Some(error) => Err(explain(&names, host, IpPreference::default(), &error)),
        }
    }

    /// The servers that it asks, in their order.
    pub fn servers(&self) -> Vec<SocketAddr> {
        self.names().map_or_else(Vec::new, |names| names.stub.servers().to_vec())
    }

    /// The failure of a run whose time ran out while `host` was looked up.
    pub fn silence(&self, host: &str) -> Failure {
        self.names().map_or_else(|| unread(host), |names| silence(&names, host))
    }

    fn names(&self) -> Option<Arc<Names>> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.names.is_none() || current.looked.elapsed() >= FRESHNESS {
            current.looked = Instant::now();
            let stamps = self.files.stamps();
            // While they cannot be read, what they said before stands, and they are looked at again.
            if (current.names.is_none() || stamps != current.stamps)
                && let Ok(names) = self.files.read(&self.servers)
            {
                current.stamps = stamps;
                current.names = Some(Arc::new(names));
            }
        }
        current.names.clone()
    }
}

fn unread(host: &str) -> Failure {
    let sentence =
        format!("the exporter cannot ask for {host}: it has no descriptors left to read the system's files on names");
    Failure::new(Reason::Internal, sentence)
}

/// Where to connect: the address that was chosen for `host`, with the zone that `host` has.
///
/// # Errors
/// [`Reason::ConnectUnreachable`]: the machine does not have the interface.
pub(crate) fn destination(host: &str, address: IpAddr, port: u16) -> Result<SocketAddr, Failure> {
    socket_address(host, address, port)
        .map_err(|sentence| Failure::new(Reason::ConnectUnreachable, format!("{host} cannot be reached: {sentence}")))
}

/// The incumbent's `probe_ip_addr_hash`: 32-bit FNV-1a over the bytes of the address.
pub fn ip_addr_hash(address: IpAddr) -> u32 {
    fn fnv(bytes: &[u8]) -> u32 {
        bytes.iter().fold(0x811c_9dc5, |hash, &byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
    }
    match address {
        IpAddr::V4(v4) => fnv(&v4.octets()),
        IpAddr::V6(v6) => fnv(&v6.octets()),
    }
}

/// Lets the run's [`Scope`] judge the address that was chosen.
fn admitted(host: &str, chosen: Result<Resolution, ResolveError>) -> Result<Resolution, ResolveError> {
    let resolution = chosen?;
    match resolution.chosen.map_or(Ok(()), |address| admit(host, Some(address))) {
        Ok(()) => Ok(resolution),
        Err(failure) => Err(ResolveError { failure, resolution: Resolution { chosen: None, ..resolution } }),
    }
}

/// Chooses among addresses, of which there is at least one.
fn choose(host: &str, found: Found, elapsed: Duration, ip: IpPreference) -> Result<Resolution, ResolveError> {
    let Found { addresses, lookup } = found;
    let addresses: Box<[IpAddr]> = addresses.into();
    let preferred = addresses.iter().copied().find(|&address| IpFamily::of(address) == ip.preferred);
    let chosen = preferred.or_else(|| addresses.first().copied().filter(|_| ip.fallback));
    let resolution = Resolution { elapsed, addresses, chosen, lookup };
    if chosen.is_some() {
        return Ok(resolution);
    }
    let wanted = family_name(ip.preferred);
    let sentence = match resolution.addresses.first() {
        Some(other) => format!("{host} has no {wanted} address, only such as {other}, and fallback is off"),
        None => format!("{host} has no {wanted} address"),
    };
    Err(ResolveError { failure: Failure::new(Reason::DnsNoAddress, sentence), resolution })
}

/// What a lookup found.
#[derive(Debug)]
struct Found {
    addresses: Vec<IpAddr>,
    /// `None` when no server was asked.
    lookup: Option<Box<Lookup>>,
}

impl Found {
    fn local(addresses: &[IpAddr]) -> Self {
        Self { addresses: addresses.to_vec(), lookup: None }
    }
}

/// Every address that `host` has, as far as `ip` needs them; at least one, or the failure.
/// With a failure the server that decided it, if one did.
async fn lookup(names: &Names, host: &str, ip: IpPreference) -> Result<Found, (Failure, Option<SocketAddr>)> {
    if let Some(addresses) = names.hosts.get(host) {
        return Ok(Found::local(addresses));
    }
    if is_localhost(host) {
        return Ok(Found::local(&[Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]));
    }
    let candidates = names.candidates(host).map_err(|_| (no_name(host), None))?;

    // The rules of glibc: the first name that has an address wins. Else, when the name as it stands was asked first,
    // its answer is what counts; the search list is then only an attempt to be helpful.
    let as_it_stands_first = candidates.first().is_some_and(|first| first.as_it_stands);
    let mut worst: Option<LookupError> = None;
    for candidate in &candidates {
        match lookup_name(names, &candidate.name, ip).await {
            Ok(found) => return Ok(found),
            Err(error @ LookupError::Exhausted(_)) => return Err((explain(names, host, ip, &error), None)),
            Err(error) => {
                worst = Some(match worst {
                    None => error,
                    Some(worst) if as_it_stands_first || worst.weight() >= error.weight() => worst,
                    Some(_) => error,
                });
            }
        }
    }
    Err(match worst {
        Some(error) => (explain(names, host, ip, &error), error.server()),
        None => (Failure::new(Reason::DnsNxdomain, format!("{host:?} can be no DNS name")), None),
    })
}

fn no_name(host: &str) -> Failure {
    Failure::new(Reason::DnsNxdomain, format!("{host:?} can be no DNS name: {}", why_no_name(host)))
}

fn why_no_name(host: &str) -> &'static str {
    const LONGEST: usize = 253;
    const LONGEST_LABEL: usize = 63;
    let bare = host.strip_suffix('.').unwrap_or(host);
    if bare.split('.').any(str::is_empty) {
        "there is nothing between two dots, or before the first"
    } else if bare.split('.').any(|label| label.len() > LONGEST_LABEL) {
        "a label of it is longer than 63 bytes"
    } else if bare.len() > LONGEST {
        "it is longer than 253 bytes"
    } else {
        "it has characters that no name has"
    }
}

/// One name, one or both families; at least one address, or the error that says most.
async fn lookup_name(names: &Names, name: &Name, ip: IpPreference) -> Result<Found, LookupError> {
    if !ip.fallback {
        return names.stub.lookup(name, ip.preferred).await;
    }
    let started = Instant::now();
    let mut preferred = pin!(names.stub.lookup(name, ip.preferred));
    let mut other = pin!(names.stub.lookup(name, other_family(ip.preferred)));
    let (mut first, mut second) = (None, None);
    loop {
        tokio::select! {
            biased;
            result = &mut preferred, if first.is_none() => first = Some(result),
            result = &mut other, if second.is_none() => second = Some(result),
            () = tokio::time::sleep_until(started + PREFERENCE), if matches!(second, Some(Ok(_))) => break,
        }
        match (&first, &second) {
            (Some(Ok(_)), None) => {
                second = tokio::time::timeout(COMPLETENESS, &mut other).await.ok();
                break;
            }
            (Some(_), Some(_)) => break,
            (Some(Err(_)) | None, None) | (None, Some(_)) => {}
        }
    }
    match (first, second) {
        (Some(Ok(mut found)), second) => {
            found.addresses.extend(second.and_then(Result::ok).map(|second| second.addresses).unwrap_or_default());
            Ok(found)
        }
        (_, Some(Ok(found))) => Ok(found),
        // A name that has nothing of one family and does not exist in the other one exists.
        (Some(Err(first)), Some(Err(second))) => Err(if second.weight() > first.weight() { second } else { first }),
        (Some(Err(error)), None) | (None, Some(Err(error))) => Err(error),
        (None, None) => Err(LookupError::Silent),
    }
}

/// RFC 6761 section 6.3: never asked of a server.
fn is_localhost(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    let last = host.rsplit('.').next().unwrap_or(host);
    last.eq_ignore_ascii_case("localhost")
}

fn other_family(family: IpFamily) -> IpFamily {
    match family {
        IpFamily::V4 => IpFamily::V6,
        IpFamily::V6 => IpFamily::V4,
    }
}

fn family_name(family: IpFamily) -> &'static str {
    match family {
        IpFamily::V4 => "IPv4",
        IpFamily::V6 => "IPv6",
    }
}

fn silence(names: &Names, host: &str) -> Failure {
    let servers: Vec<String> = names.stub.servers().iter().map(ToString::to_string).collect();
    if servers.is_empty() {
        return Failure::new(Reason::DnsTimeout, format!("there is no name server to ask about {host}"));
    }
    let which = if servers.len() == 1 { "name server" } else { "name servers" };
    Failure::new(Reason::DnsTimeout, format!("no answer about {host} from {which} {}", servers.join(", ")))
}

/// An error of one name -> the failure of the lookup.
fn explain(names: &Names, host: &str, ip: IpPreference, error: &LookupError) -> Failure {
    match error {
        LookupError::Silent => silence(names, host),
        LookupError::NxDomain(server) => {
            Failure::new(Reason::DnsNxdomain, format!("{host} does not exist (NXDOMAIN from name server {server})"))
        }
        LookupError::NoData(server) => {
            let what = if ip.fallback { "" } else { family_name(ip.preferred) };
            let space = if what.is_empty() { "" } else { " " };
            let sentence = format!("{host} exists but has no {what}{space}address (says name server {server})");
            Failure::new(Reason::DnsNoAddress, sentence)
        }
        LookupError::Code(server, code) => {
            let code = u16::from(*code);
            let name = dns_numbers::name(RCODES, "RCODE", code);
            let (reason, what) = match name.as_str() {
                // It does not do it for us, or not for this zone: whoever runs it decided so.
                "REFUSED" | "NOTAUTH" => (Reason::DnsRefused, format!("refused to look {host} up ({name})")),
                "SERVFAIL" => (Reason::DnsServfail, format!("failed to look {host} up ({name})")),
                _ => (Reason::DnsServfail, format!("answered {name} for {host}")),
            };
            Failure::new(reason, format!("name server {server} {what}"))
        }
        LookupError::Lame(server) => Failure::new(
            Reason::DnsServfail,
            format!("name server {server} does not resolve {host} but refers to other servers"),
        ),
        LookupError::Malformed(server) => Failure::new(
            Reason::DnsServfail,
            format!("name server {server} gave an answer about {host} that cannot be read"),
        ),
        LookupError::Unreachable(server, error) => Failure::new(
            Reason::DnsServfail,
            format!("name server {server}, asked about {host}, cannot be reached: {}", super::tls::io_text(error)),
        ),
        LookupError::Exhausted(error) => Failure::new(
            Reason::Internal,
            format!("the exporter cannot ask for {host}: {}", super::tls::io_text(error)),
        ),
    }
}
