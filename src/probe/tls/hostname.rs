//! Names that a certificate is good for, where webpki is stricter than the incumbent: it goes by the rules of the public
//! web, under which `*.lan` covers too much, and knows no names that are none (`crypto/x509`, `VerifyHostname`).

use std::net::IpAddr;

use rustls::pki_types::ServerName;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer as _;

/// Whether a certificate that webpki refused for its name is good for it all the same.
pub(super) fn is_named(certificate: &[u8], wanted: &ServerName<'_>) -> bool {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else { return false };
    let alternatives = certificate.extensions().iter().filter_map(|extension| {
        if let ParsedExtension::SubjectAlternativeName(alternatives) = extension.parsed_extension() {
            Some(&alternatives.general_names)
        } else {
            None
        }
    });
    let address =
        if let ServerName::IpAddress(address) = wanted { Some(IpAddr::from(*address).to_canonical()) } else { None };
    let host = wanted.to_str();
    alternatives.flatten().any(|name| match (name, address) {
        (GeneralName::IPAddress(bytes), Some(address)) => address_of(bytes) == Some(address),
        (GeneralName::DNSName(pattern), None) => matches(pattern, &host),
        _ => false,
    })
}

fn address_of(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        return Some(IpAddr::from(v4));
    }
    <[u8; 16]>::try_from(bytes).ok().map(|v6| IpAddr::from(v6).to_canonical())
}

/// A whole label `*` in front stands for one label, whatever follows. What is no host name matches itself alone.
fn matches(pattern: &str, host: &str) -> bool {
    if !(is_host(host, Part::Host) && is_host(pattern, Part::Pattern)) {
        let empty = |name: &str| name.is_empty() || name == ".";
        return !empty(pattern) && !empty(host) && pattern.eq_ignore_ascii_case(host);
    }
    let host = host.strip_suffix('.').unwrap_or(host);
    let (mut wanted, mut given) = (host.split('.'), pattern.split('.'));
    let mut first = true;
    loop {
        match (given.next(), wanted.next()) {
            (None, None) => return true,
            (Some("*"), Some(_)) if first => {}
            (Some(given), Some(wanted)) if given.eq_ignore_ascii_case(wanted) => {}
            _ => return false,
        }
        first = false;
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Part {
    Host,
    Pattern,
}

/// Letters, digits, underscores, and hyphens but for the first character of a label.
fn is_host(name: &str, part: Part) -> bool {
    let name = if part == Part::Host { name.strip_suffix('.').unwrap_or(name) } else { name };
    if name == "*" {
        return false;
    }
    name.split('.').enumerate().all(|(index, label)| {
        let wildcard = part == Part::Pattern && index == 0 && label == "*";
        let fine = |(place, c): (usize, char)| c.is_ascii_alphanumeric() || c == '_' || (c == '-' && place != 0);
        wildcard || (!label.is_empty() && label.char_indices().all(fine))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Patterns down, hosts across; the right values are those of Go 1.25's `VerifyHostname`, read off its rules.
    #[test]
    fn names_and_patterns_match_as_go_has_it() {
        const HOSTS: [&str; 12] = [
            "nas.lan",
            "NAS.LAN",
            "nas.lan.",
            "a.nas.lan",
            "lan",
            "nas",
            "_srv.lan",
            "-x.lan",
            "xn--bcher-kva.lan",
            "*.lan",
            "nas lan",
            "",
        ];
        #[rustfmt::skip]
        let table: [(&str, &str); 16] = [
            //                     0123456789ab
            ("*.lan",             "yyy---y-yy--"),
            ("*.LAN",             "yyy---y-yy--"),
            ("nas.lan",           "yyy---------"),
            ("NAS.lan",           "yyy---------"),
            ("nas.lan.",          "--y---------"),
            ("*.lan.",            "------------"),
            ("*.nas.lan",         "---y--------"),
            ("*.*.lan",           "------------"),
            ("n*.lan",            "------------"),
            ("nas.*",             "------------"),
            ("*",                 "------------"),
            ("lan",               "----y-------"),
            ("_srv.lan",          "------y-----"),
            ("-x.lan",            "-------y----"),
            ("nas lan",           "----------y-"),
            ("",                  "------------"),
        ];
        for (pattern, expected) in table {
            for (host, expected) in HOSTS.iter().zip(expected.chars()) {
                let mark = if matches(pattern, host) { 'y' } else { '-' };
                assert_eq!(mark, expected, "{pattern:?} for {host:?}");
            }
        }
    }

    #[test]
    fn addresses_are_equal_in_both_spellings() {
        let mapped = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 7];
        let address = Some(IpAddr::from([192, 0, 2, 7]));
        assert_eq!(address_of(&[192, 0, 2, 7]), address);
        assert_eq!(address_of(&mapped), address);
        assert_eq!(address_of(&[192, 0, 2]), None);
    }
}
