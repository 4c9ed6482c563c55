//! Ports by name, as in `mail.example.com:smtp`: what `/etc/services` has, and without it the usual ones.

use std::collections::HashMap;
use std::sync::OnceLock;

/// What a port is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Transport {
    Tcp,
    Udp,
}

/// Of TCP, for machines without the file, as containers are: Go's list, and services that people watch. By UDP, probes
/// ask name servers alone.
const USUAL: &[(&str, u16)] = &[
    ("amqp", 5672),
    ("amqps", 5671),
    ("domain", 53),
    ("domain-s", 853),
    ("ftp", 21),
    ("ftps", 990),
    ("gopher", 70),
    ("http", 80),
    ("http-alt", 8080),
    ("https", 443),
    ("imap", 143),
    ("imap2", 143),
    ("imap3", 220),
    ("imaps", 993),
    ("ipp", 631),
    ("kerberos", 88),
    ("ldap", 389),
    ("ldaps", 636),
    ("microsoft-ds", 445),
    ("ms-sql-s", 1433),
    ("mysql", 3306),
    ("nfs", 2049),
    ("nntp", 119),
    ("pop3", 110),
    ("pop3s", 995),
    ("postgresql", 5432),
    ("redis", 6379),
    ("rsync", 873),
    ("rtsp", 554),
    ("sieve", 4190),
    ("sip", 5060),
    ("sip-tls", 5061),
    ("smtp", 25),
    ("ssh", 22),
    ("submission", 587),
    ("submissions", 465),
    ("svn", 3690),
    ("telnet", 23),
    ("whois", 43),
    ("www", 80),
    ("xmpp-client", 5222),
    ("xmpp-server", 5269),
];

struct Services(HashMap<(Transport, String), u16>);

/// The port of a service, in any case. The file is read once, as Go does.
pub(super) fn port(name: &str, transport: Transport) -> Option<u16> {
    static SERVICES: OnceLock<Services> = OnceLock::new();
    let read = || Services::parse(&std::fs::read("/etc/services").unwrap_or_default());
    SERVICES.get_or_init(read).port(name, transport)
}

impl Services {
    /// `smtp 25/tcp mail # comment`. Lines that cannot be read are passed over; the first of several wins.
    fn parse(text: &[u8]) -> Self {
        let mut ports = HashMap::new();
        for line in String::from_utf8_lossy(text).lines() {
            let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
            let (Some(name), Some(port)) = (words.next(), words.next()) else { continue };
            let Some((port, transport)) = port.split_once('/') else { continue };
            let transport = match transport {
                "tcp" => Transport::Tcp,
                "udp" => Transport::Udp,
                _ => continue,
            };
            let Some(port) = port.parse::<u16>().ok().filter(|port| *port != 0) else { continue };
            for name in std::iter::once(name).chain(words) {
                ports.entry((transport, name.to_ascii_lowercase())).or_insert(port);
            }
        }
        Self(ports)
    }

    fn port(&self, name: &str, transport: Transport) -> Option<u16> {
        let name = name.to_ascii_lowercase();
        let usual = || {
            let known = |(usual, _): &&(&str, u16)| *usual == name && (transport == Transport::Tcp || name == "domain");
            USUAL.iter().find(known).map(|(_, port)| *port)
        };
        self.0.get(&(transport, name.clone())).copied().or_else(usual)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_found_by_name_and_alias_in_any_case() {
        let services = Services::parse(
            b"# comment\nsmtp 25/tcp mail # Mail\nsmtp 2525/tcp\nWeird\t7000/tcp\nntp 123/udp\nnothing\nbad x/tcp\nzero 0/tcp\nsctp 9/sctp\n\xff\xfe 1/tcp\n",
        );
        for (name, transport, port) in [
            ("smtp", Transport::Tcp, Some(25)),
            ("SMTP", Transport::Tcp, Some(25)),
            ("mail", Transport::Tcp, Some(25)),
            ("weird", Transport::Tcp, Some(7000)),
            ("weird", Transport::Udp, None),
            ("ntp", Transport::Udp, Some(123)),
            ("ntp", Transport::Tcp, None),
            ("bad", Transport::Tcp, None),
            ("zero", Transport::Tcp, None),
            ("sctp", Transport::Tcp, None),
            ("", Transport::Tcp, None),
        ] {
            assert_eq!(services.port(name, transport), port, "{name}");
        }
    }

    #[test]
    fn the_usual_ones_need_no_file() {
        let none = Services::parse(b"");
        for (name, port) in [("smtp", 25), ("https", 443), ("postgresql", 5432), ("Domain", 53)] {
            assert_eq!(none.port(name, Transport::Tcp), Some(port), "{name}");
        }
        assert_eq!((none.port("domain", Transport::Udp), none.port("smtp", Transport::Udp)), (Some(53), None));
        assert!(USUAL.is_sorted_by(|a, b| a.0 < b.0), "each once, in order");
    }
}
