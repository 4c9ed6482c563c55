//! Who may be probed through `/probe`, where the caller names the target.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Component, Path};

use ipnet::IpNet;

use super::value::Glob;
use super::zoned::without_zone;

/// `probe_endpoint:`, resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct ProbeEndpoint {
    pub modules: Modules,
    pub allow: Allow,
    /// Runs at the same time; one more is answered 503.
    pub max_concurrent: usize,
}

/// Which modules a caller may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Modules {
    None,
    /// Those that the config has; without one that it has not written itself.
    Configured,
    /// The built-in one too.
    All,
}

/// Which targets a caller may name. Without any rule every one, but for the addresses of a cloud's metadata.
///
/// An address rule covers an address, whatever name led to it. A name rule covers whatever the name resolves to, except
/// what is near the exporter (its own machine, its link): whoever has a name that a star covers could else point it
/// there. Such an address needs a rule of its own.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Allow {
    /// Hosts, in lower case, and paths of Unix sockets, which begin with a slash.
    pub names: Vec<Glob>,
    pub networks: Vec<IpNet>,
}

/// Addresses at which clouds tell a machine its credentials. Nobody watches them, and whoever may choose a target must
/// not read them by accident of the config; an explicit rule still allows them.
const METADATA: [&str; 4] = ["169.254.169.254", "169.254.170.2", "fd00:ec2::254", "100.100.100.200"];

/// Their name, for when a proxy looks it up.
const METADATA_NAME: &str = "metadata.google.internal";

impl Default for ProbeEndpoint {
    fn default() -> Self {
        Self { modules: Modules::Configured, allow: Allow::default(), max_concurrent: 100 }
    }
}

impl Allow {
    /// Whether there is a rule at all.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && self.networks.is_empty()
    }

    /// Whether `host` can be allowed at all, as far as that shows before it is looked up.
    ///
    /// # Errors
    /// A sentence.
    pub fn check_host(&self, host: &str) -> Result<(), String> {
        match bare(host).parse::<IpAddr>() {
            Ok(address) => self.check(host, Some(address)),
            // Some address of it may be in one of the networks.
            Err(_) if !self.networks.is_empty() => Ok(()),
            Err(_) => self.check(host, None),
        }
    }

    /// Whether `host` may be probed at `address`; without one, a proxy will find it, so that only its name can be judged.
    ///
    /// # Errors
    /// A sentence.
    pub fn check(&self, host: &str, address: Option<IpAddr>) -> Result<(), String> {
        let host = bare(host).trim_end_matches('.').to_ascii_lowercase();
        let address = address.map(|address| address.to_canonical());
        let shown = || match address {
            Some(address) if host.parse::<IpAddr>().is_err() => format!("{host} ({address})"),
            Some(_) | None => host.clone(),
        };
        if address.is_some_and(|address| self.networks.iter().any(|network| network.contains(&address))) {
            return Ok(());
        }
        if self.is_empty() {
            let metadata = host == METADATA_NAME || address.is_some_and(|address| faces(address).any(is_metadata));
            return if metadata {
                let shown = shown();
                Err(format!(
                    "{shown} is where a cloud gives its credentials; probe_endpoint.allow must name the address"
                ))
            } else {
                Ok(())
            };
        }
        if !self.names.iter().any(|glob| glob.matches(&host)) {
            return Err(format!("{} is not among the targets that probe_endpoint.allow has", shown()));
        }
        let near = address.filter(|address| faces(*address).any(is_near));
        // A name of loopback that no name server is asked about (RFC 6761 section 6.3).
        let localhost = host == "localhost" || host.ends_with(".localhost");
        match near {
            Some(address) if !(localhost && address.is_loopback()) => Err(format!(
                "{} is the exporter's own machine or link, which no name in probe_endpoint.allow covers; the address must \
                 stand there itself",
                shown()
            )),
            Some(_) | None => Ok(()),
        }
    }

    /// Whether the socket at `path` may be probed.
    ///
    /// # Errors
    /// A sentence.
    pub fn check_path(&self, path: &Path) -> Result<(), String> {
        let climbs = path.components().any(|part| part == Component::ParentDir);
        let shown = path.display().to_string();
        if self.is_empty() || !climbs && self.names.iter().any(|glob| glob.matches(&shown)) {
            return Ok(());
        }
        Err(format!("{shown} is not among the targets that probe_endpoint.allow has"))
    }
}

/// Without the brackets of an IPv6 address in a URL, and without a zone: a rule is about the address.
fn bare(host: &str) -> &str {
    without_zone(host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host))
}

/// The address, and the IPv4 address that a NAT64 (RFC 6052) makes of it.
fn faces(address: IpAddr) -> impl Iterator<Item = IpAddr> {
    let translated = match address {
        IpAddr::V4(_) => None,
        IpAddr::V6(v6) => {
            let [0x64, 0xff9b, 0, 0, 0, 0, high, low] = v6.segments() else {
                return [Some(address), None].into_iter().flatten();
            };
            Some(IpAddr::V4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low))))
        }
    };
    [Some(address), translated].into_iter().flatten()
}

fn is_metadata(address: IpAddr) -> bool {
    METADATA.iter().any(|known| known.parse() == Ok(address))
}

/// Whether the address is the exporter's own machine, its link or its cloud.
fn is_near(address: IpAddr) -> bool {
    let local = match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    local || address.is_loopback() || address.is_unspecified() || is_metadata(address)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn allow(names: &[&str], networks: &[&str]) -> Allow {
        Allow {
            names: names.iter().map(|name| Glob::new(name)).collect(),
            networks: networks.iter().map(|network| network.parse().unwrap()).collect(),
        }
    }

    #[test]
    fn a_name_or_an_address_must_match() {
        let rules = allow(&["*.example.com", "localhost"], &["10.0.0.0/8", "2001:db8::/32", "127.0.0.9/32"]);
        for (host, address, allowed) in [
            ("shop.example.com", Some("192.0.2.1"), true),
            ("SHOP.example.com.", None, true),
            ("example.com", Some("192.0.2.1"), false),
            ("db", Some("10.1.2.3"), true),
            ("db", Some("::ffff:10.1.2.3"), true),
            ("db", Some("2001:db8::1"), true),
            ("[2001:db8::1]", Some("2001:db8::1"), true),
            ("db", None, false),
            ("169.254.169.254", Some("169.254.169.254"), false),
            ("localhost", Some("127.0.0.1"), true),
            ("db.localhost", Some("127.0.0.1"), false),
        ] {
            let address = address.map(|address| address.parse().unwrap());
            assert_eq!(rules.check(host, address).is_ok(), allowed, "{host} {address:?}");
        }
    }

    #[test]
    fn a_name_does_not_lead_to_the_exporters_own_machine() {
        let rules = allow(&["*"], &["127.0.0.9/32"]);
        for (address, allowed) in [
            ("192.0.2.1", true),
            ("127.0.0.9", true),
            ("127.0.0.1", false),
            ("::1", false),
            ("0.0.0.0", false),
            ("::", false),
            ("169.254.1.1", false),
            ("fe80::1", false),
            ("100.100.100.200", false),
            ("::ffff:127.0.0.1", false),
            ("64:ff9b::7f00:1", false),
            ("64:ff9b::c000:201", true),
        ] {
            assert_eq!(rules.check("evil.example", Some(address.parse().unwrap())).is_ok(), allowed, "{address}");
            assert_eq!(rules.check_host(address).is_ok(), allowed, "{address} as the target");
        }
        assert!(rules.check("localhost", Some("169.254.169.254".parse().unwrap())).is_err());
    }

    #[test]
    fn what_cannot_be_allowed_is_refused_before_it_is_looked_up() {
        let names = allow(&["shop.example.com"], &[]);
        assert!(names.check_host("shop.example.com").is_ok());
        assert!(names.check_host("other.example.com").is_err());
        assert!(names.check_host("192.0.2.1").is_err());
        let networks = allow(&[], &["10.0.0.0/8"]);
        assert!(networks.check_host("any.example.com").is_ok(), "its address decides");
        assert!(networks.check_host("192.0.2.1").is_err());
    }

    #[test]
    fn without_rules_everything_but_a_clouds_metadata_is_allowed() {
        let none = Allow::default();
        assert!(none.check("db", Some("127.0.0.1".parse().unwrap())).is_ok());
        assert!(none.check("h", None).is_ok() && none.check_host("h").is_ok());
        assert!(none.check_host("Metadata.Google.Internal.").is_err());
        for address in METADATA.into_iter().chain(["::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe"]) {
            assert!(none.check("innocent.example", Some(address.parse().unwrap())).is_err(), "{address}");
        }
        assert!(allow(&[], &["169.254.169.254/32"]).check("x", Some("169.254.169.254".parse().unwrap())).is_ok());
    }

    #[test]
    fn paths_of_sockets_are_matched_as_they_are() {
        let rules = allow(&["/run/app/*.sock"], &[]);
        for (path, allowed) in [
            ("/run/app/a.sock", true),
            ("/run/APP/a.sock", false),
            ("/run/app/../../etc/a.sock", false),
            ("/run/b.sock", false),
        ] {
            assert_eq!(rules.check_path(Path::new(path)).is_ok(), allowed, "{path}");
        }
        assert!(Allow::default().check_path(Path::new("/run/b.sock")).is_ok());
        assert!(rules.check_host("/run/app/a.sock").is_ok(), "no host looks so");
    }
}
