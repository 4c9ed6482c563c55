//! What the operating system says about names: `/etc/resolv.conf` and `/etc/hosts`.
//!
//! They are read anew when they change (a VPN, a DHCP lease, an orchestrator), as libc and the incumbent do.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use std::{fs, io};

use hickory_resolver::config::{ResolverConfig, ResolverOpts};
use hickory_resolver::proto::ProtoError;
use hickory_resolver::proto::rr::Name;
use hickory_resolver::system_conf::parse_resolv_conf;
use tracing::warn;

use super::stub::Stub;
use crate::config::DnsServers;
use crate::config::zoned::{socket_address, split_zone};
use crate::probe::tls::is_exhausted;

/// Where the system keeps them.
pub(super) struct Files {
    pub(super) resolv_conf: PathBuf,
    pub(super) hosts: PathBuf,
    /// How they are read.
    pub(super) content: fn(&Path) -> io::Result<Vec<u8>>,
}

/// Time of change and length of each file; `None` when it is not there.
pub(super) type Stamps = [Option<(SystemTime, u64)>; 2];

/// Everything that is needed to look a name up.
pub(super) struct Names {
    pub(super) hosts: Hosts,
    pub(super) stub: Stub,
    search: Vec<Name>,
    ndots: usize,
}

/// A name to ask for.
pub(super) struct Candidate {
    pub(super) name: Name,
    /// Not extended by the search list.
    pub(super) as_it_stands: bool,
}

impl Default for Files {
    fn default() -> Self {
        Self {
            resolv_conf: PathBuf::from("/etc/resolv.conf"),
            hosts: PathBuf::from("/etc/hosts"),
            content: |path| fs::read(path),
        }
    }
}

impl Files {
    pub(super) fn stamps(&self) -> Stamps {
        let stamp = |path: &Path| {
            let metadata = fs::metadata(path).ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        };
        [stamp(&self.resolv_conf), stamp(&self.hosts)]
    }

    /// Servers from the config take the place of resolv.conf whole: no search list, names as they stand.
    ///
    /// # Errors
    /// When the exporter has nothing left to open a file with, which says nothing about what is in it.
    pub(super) fn read(&self, servers: &DnsServers) -> io::Result<Names> {
        let hosts = Hosts::parse(&self.content_of(&self.hosts)?);
        Ok(match servers {
            DnsServers::Servers(servers) => {
                Names { hosts, stub: Stub::new(servers.clone()), search: Vec::new(), ndots: 1 }
            }
            DnsServers::System => {
                let text = self.content_of(&self.resolv_conf)?;
                let (text, zones) = without_zones(&text);
                let (config, options) = parse(text.as_bytes());
                let search = if config.search.is_empty() { config.domain.into_iter().collect() } else { config.search };
                let servers = config.name_servers.iter();
                // resolv.conf has no ports.
                let servers = servers.map(|server| with_zone(server.ip, &zones)).collect();
                Names { hosts, stub: Stub::new(servers), search, ndots: options.ndots }
            }
        })
    }

    /// A file that is not there, or not for us, is empty, as to libc.
    fn content_of(&self, path: &Path) -> io::Result<Vec<u8>> {
        match (self.content)(path) {
            Err(error) if is_exhausted(&error) => Err(error),
            content => Ok(content.unwrap_or_default()),
        }
    }
}

/// A file without servers, and no file at all, mean the server on this host (resolv.conf(5)).
fn parse(text: &[u8]) -> (ResolverConfig, ResolverOpts) {
    let local = format!("\nnameserver {}\n", Ipv4Addr::LOCALHOST);
    let completed = || [text, local.as_bytes()].concat();
    parse_resolv_conf(text)
        .or_else(|_| parse_resolv_conf(completed()))
        .inspect_err(|error| warn!(%error, "Cannot read resolv.conf; asking the name server on this host."))
        .or_else(|_| parse_resolv_conf(&local))
        .unwrap_or_else(|_| (ResolverConfig::default(), ResolverOpts::default()))
}

/// The text without the zones of name servers on a link (`nameserver fe80::1%br-lan`), which the parser drops or refuses,
/// and the zones.
fn without_zones(text: &[u8]) -> (String, HashMap<IpAddr, Box<str>>) {
    let text = String::from_utf8_lossy(text);
    let mut zones = HashMap::new();
    let mut rest = String::with_capacity(text.len());
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let server = words.next().filter(|word| *word == "nameserver").and_then(|_| words.next()).unwrap_or_default();
        match split_zone(server) {
            None => rest.push_str(line),
            Some((address, _)) => {
                zones.insert(address.into(), server.into());
                rest.push_str(&format!("nameserver {address}"));
            }
        }
        rest.push('\n');
    }
    (rest, zones)
}

/// Without the interface, the address stays as it is: the query then says that it cannot be reached.
fn with_zone(address: IpAddr, zones: &HashMap<IpAddr, Box<str>>) -> SocketAddr {
    let host = zones.get(&address).map_or("", |host| host);
    socket_address(host, address, 53).unwrap_or_else(|_| SocketAddr::new(address, 53))
}

impl Names {
    /// The names to ask for in turn, by the rules of resolv.conf(5): the search list comes after the name as it
    /// stands when that has at least `ndots` dots, and before it otherwise. A trailing dot switches it off.
    pub(super) fn candidates(&self, host: &str) -> Result<Vec<Candidate>, ProtoError> {
        let mut name = Name::from_str_relaxed(host)?;
        let absolute = name.is_fqdn();
        name.set_fqdn(true);
        let as_it_stands = Candidate { name: name.clone(), as_it_stands: true };
        if absolute {
            return Ok(vec![as_it_stands]);
        }
        // A name that becomes too long is not asked for.
        let extended = self.search.iter().filter_map(|domain| {
            let mut relative = name.clone();
            relative.set_fqdn(false);
            Some(Candidate { name: relative.append_domain(domain).ok()?, as_it_stands: false })
        });
        let dots = host.bytes().filter(|&byte| byte == b'.').count();
        Ok(if dots >= self.ndots {
            std::iter::once(as_it_stands).chain(extended).collect()
        } else {
            extended.chain(std::iter::once(as_it_stands)).collect()
        })
    }
}

/// `/etc/hosts`: addresses by lower-case name, in the order of the file.
#[derive(Debug, Default)]
pub(super) struct Hosts(HashMap<Box<str>, Vec<IpAddr>>);

impl Hosts {
    /// Lines that cannot be read are passed over, as libc does.
    pub(super) fn parse(text: &[u8]) -> Self {
        let text = String::from_utf8_lossy(text);
        let mut hosts: HashMap<Box<str>, Vec<IpAddr>> = HashMap::new();
        for line in text.lines() {
            let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
            let Some(Ok(address)) = words.next().map(str::parse::<IpAddr>) else { continue };
            for name in words {
                let addresses = hosts.entry(key(name)).or_default();
                if !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
        }
        Self(hosts)
    }

    pub(super) fn get(&self, host: &str) -> Option<&[IpAddr]> {
        self.0.get(&key(host)).map(Vec::as_slice)
    }
}

fn key(name: &str) -> Box<str> {
    name.strip_suffix('.').unwrap_or(name).to_lowercase().into_boxed_str()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn names(resolv_conf: &str) -> Names {
        let folder = tempfile::tempdir().unwrap();
        let files = Files {
            resolv_conf: folder.path().join("resolv.conf"),
            hosts: folder.path().join("hosts"),
            ..Files::default()
        };
        fs::write(&files.resolv_conf, resolv_conf).unwrap();
        files.read(&DnsServers::System).unwrap()
    }

    fn candidates(resolv_conf: &str, host: &str) -> Vec<String> {
        names(resolv_conf).candidates(host).unwrap().into_iter().map(|c| c.name.to_ascii()).collect()
    }

    #[test]
    fn the_search_list_follows_resolv_conf() {
        let plain = "nameserver 192.0.2.53\nsearch a.test b.test\n";
        assert_eq!(candidates(plain, "db"), ["db.a.test.", "db.b.test.", "db."]);
        assert_eq!(candidates(plain, "db.x"), ["db.x.", "db.x.a.test.", "db.x.b.test."]);
        assert_eq!(candidates(plain, "db."), ["db."]);
        let cluster = "nameserver 192.0.2.53\nsearch svc.test\noptions ndots:5\n";
        assert_eq!(candidates(cluster, "shop.example.org"), ["shop.example.org.svc.test.", "shop.example.org."]);
        assert_eq!(candidates("nameserver 192.0.2.53\ndomain c.test\n", "db"), ["db.c.test.", "db."]);
    }

    #[test]
    fn underscores_and_other_scripts_are_names_too() {
        let plain = "nameserver 192.0.2.53\n";
        assert_eq!(candidates(plain, "my_host.test"), ["my_host.test."]);
        assert_eq!(candidates(plain, "b\u{fc}cher.test"), ["xn--bcher-kva.test."]);
    }

    #[test]
    fn names_that_cannot_be_are_refused() {
        let names = names("nameserver 192.0.2.53\nsearch a.test\n");
        for bad in ["", "a..b", &"x".repeat(64), &"x.".repeat(200)] {
            let refused = names.candidates(bad).map_or(true, |found| bad.is_empty() && !found.is_empty());
            assert!(refused, "{bad:?}");
        }
    }

    #[test]
    fn without_a_server_the_local_one_is_asked() {
        for text in ["", "search a.test\n", "# nothing\n", "nameserver nonsense\n", "\u{0}\u{1}"] {
            let names = names(text);
            assert_eq!(names.stub.servers(), ["127.0.0.1:53".parse().unwrap()], "{text:?}");
        }
        assert_eq!(candidates("search a.test\n", "db"), ["db.a.test.", "db."], "what else the file says holds");
        let missing = Files { resolv_conf: "/nonexistent".into(), hosts: "/nonexistent".into(), ..Files::default() };
        assert_eq!(missing.read(&DnsServers::System).unwrap().stub.servers().len(), 1);
        assert_eq!(missing.stamps(), [None, None]);
    }

    #[test]
    fn a_name_server_on_a_link_keeps_its_zone() {
        let names = names("nameserver fe80::1%lo\nnameserver fe80::2%7\nnameserver fe80::3%no-such-0 # gone\n");
        let lo = crate::config::zoned::scope_id("lo").unwrap();
        let servers: Vec<String> = names.stub.servers().iter().map(ToString::to_string).collect();
        assert_eq!(servers, [format!("[fe80::1%{lo}]:53"), "[fe80::2%7]:53".to_owned(), "[fe80::3]:53".to_owned()]);
    }

    #[test]
    fn configured_servers_take_the_place_of_resolv_conf() {
        let server = "192.0.2.1:5353".parse().unwrap();
        let names = Files::default().read(&DnsServers::Servers(vec![server])).unwrap();
        assert_eq!(names.stub.servers(), [server]);
        assert_eq!(names.candidates("db").unwrap().len(), 1);
    }

    #[test]
    fn the_hosts_file_is_read_as_libc_does() {
        let hosts = Hosts::parse(b"127.0.0.1 localhost\n::1\tlocalhost # comment\n\nnonsense x\n192.0.2.1 Shop.Test shop\n192.0.2.2 shop\n\xff\xfe\n");
        let addresses = |host: &str| hosts.get(host).map(|a| a.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(addresses("localhost"), Some(vec!["127.0.0.1".to_owned(), "::1".to_owned()]));
        assert_eq!(addresses("SHOP.test."), Some(vec!["192.0.2.1".to_owned()]));
        assert_eq!(addresses("shop"), Some(vec!["192.0.2.1".to_owned(), "192.0.2.2".to_owned()]));
        assert_eq!(addresses("x"), None);
    }
}
