//! Who may be probed through `/probe`, where the caller names the target.

use std::net::IpAddr;

use ipnet::IpNet;

use super::value::Glob;

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

/// Which targets a caller may name. Without any rule every one, but for the addresses at which clouds give a machine its
/// credentials.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Allow {
    pub names: Vec<Glob>,
    pub networks: Vec<IpNet>,
}

/// Addresses at which clouds tell a machine its credentials. Nobody watches them, and whoever may choose a target must
/// not read them by accident of the config; an explicit rule still allows them.
const METADATA: [&str; 4] = ["169.254.169.254", "169.254.170.2", "fd00:ec2::254", "100.100.100.200"];

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

    /// Whether `host` may be probed at `address`; without one, a proxy or the kernel will find it, so that only its
    /// name can be judged.
    ///
    /// # Errors
    /// A sentence.
    pub fn check(&self, host: &str, address: Option<IpAddr>) -> Result<(), String> {
        let address = address.map(|address| address.to_canonical());
        if self.is_empty() {
            let metadata = address.is_some_and(|address| METADATA.iter().any(|known| *known == address.to_string()));
            return if metadata {
                Err(format!(
                    "{host} is an address at which a cloud gives its credentials; probe_endpoint.allow must name it"
                ))
            } else {
                Ok(())
            };
        }
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        let by_name = self.names.iter().any(|glob| glob.matches(&host));
        let by_address = address.is_some_and(|address| self.networks.iter().any(|network| network.contains(&address)));
        if by_name || by_address {
            return Ok(());
        }
        let shown = address.map(|address| format!(" ({address})")).filter(|_| host.parse::<IpAddr>().is_err());
        Err(format!("{host}{} is not among the targets that probe_endpoint.allow has", shown.unwrap_or_default()))
    }
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
        let rules = allow(&["*.example.com"], &["10.0.0.0/8", "2001:db8::/32"]);
        for (host, address, allowed) in [
            ("shop.example.com", Some("192.0.2.1"), true),
            ("SHOP.example.com.", None, true),
            ("example.com", Some("192.0.2.1"), false),
            ("db", Some("10.1.2.3"), true),
            ("db", Some("::ffff:10.1.2.3"), true),
            ("db", Some("2001:db8::1"), true),
            ("db", None, false),
            ("169.254.169.254", Some("169.254.169.254"), false),
        ] {
            let address = address.map(|address| address.parse().unwrap());
            assert_eq!(rules.check(host, address).is_ok(), allowed, "{host} {address:?}");
        }
    }

    #[test]
    fn without_rules_everything_but_a_clouds_metadata_is_allowed() {
        let none = Allow::default();
        assert!(none.check("db", Some("127.0.0.1".parse().unwrap())).is_ok());
        assert!(none.check("h", None).is_ok());
        for address in METADATA {
            assert!(none.check("innocent.example", Some(address.parse().unwrap())).is_err(), "{address}");
        }
        assert!(none.check("x", Some("::ffff:169.254.169.254".parse().unwrap())).is_err());
        assert!(allow(&[], &["169.254.169.254/32"]).check("x", Some("169.254.169.254".parse().unwrap())).is_ok());
    }
}
