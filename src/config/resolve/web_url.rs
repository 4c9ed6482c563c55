//! URLs as people write them: what a server can be asked for is asked for, with what has to be escaped escaped.
//!
//! The `url` crate reads URLs as browsers do. Before it gets one, what it would take for something else than Go does is
//! put right (a backslash is no slash), and what it cannot hold is taken out (the zone of an IPv6 address).

use std::borrow::Cow;
use std::net::Ipv6Addr;

use percent_encoding::percent_decode_str;
use url::Url;

use super::names;
use crate::config::ZonedUrl;
use crate::config::masked::mask_broken_address;
use crate::config::problem::shorten;

/// The longest name that Linux gives an interface.
const LONGEST_ZONE: usize = 15;

/// A URL that has a scheme already.
///
/// # Errors
/// A sentence in which credentials are masked. `example` is how it could be written.
pub(super) fn web_url(text: &str, example: &str) -> Result<ZonedUrl, String> {
    let trimmed = text.trim();
    let shown = format!("{:?}", shorten(&mask_broken_address(trimmed)));
    let refused = |what: &str| format!("{shown} {what}; write it like {example}");
    if trimmed.contains(|c: char| c.is_ascii_control()) {
        return Err(format!("{shown} has a control character in it; only an escape such as %0A can stand for one"));
    }
    let Some((scheme, rest)) = trimmed.split_once("://") else {
        return match Url::parse(trimmed) {
            Ok(_) => Err(refused("has no host")),
            Err(error) => Err(refused(&format!("is not a URL: {error}"))),
        };
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    let (credentials, host_and_port) = match authority.rsplit_once('@') {
        Some((credentials, host)) => (Some(credentials), host),
        None => (None, authority),
    };
    // What looks like a host or a port may be a piece of a password with a slash in it.
    let quotable = !rest.contains('@');
    let path_end = rest.find(['?', '#']).unwrap_or(rest.len());
    let (path, query) = rest.split_at(path_end);
    for part in [credentials.unwrap_or_default(), path] {
        if let Some(bad) = bad_escape(part) {
            let quoted = if part == path && quotable { format!(" {bad:?}") } else { String::new() };
            return Err(format!("{shown} has a bad escape{quoted}; write %25 for a percent sign"));
        }
    }
    let (host, port, zone) = split_host(host_and_port).map_err(refused)?;
    let host = host_in_ascii(&host)
        .map_err(|what| if quotable { refused(&what) } else { refused("has a host that can be no name") })?;
    // "http:///path" parses with "path" as the host.
    if host.is_empty() {
        return Err(refused("has no host"));
    }
    let credentials = credentials.map(|credentials| format!("{credentials}@")).unwrap_or_default();
    let prepared = format!("{scheme}://{credentials}{host}{port}{}{query}", escaped(path));
    let url = Url::parse(&prepared).map_err(|error| refused(&format!("is not a URL: {error}")))?;
    if url.host_str().is_none_or(str::is_empty) {
        return Err(refused("has no host"));
    }
    if url.port() == Some(0) {
        return Err(format!("{shown} has port 0; a port is 1 to 65535"));
    }
    Ok(ZonedUrl::new(url, zone.as_deref()))
}

/// Host, `:port` or nothing, and the zone that was in the host.
fn split_host(text: &str) -> Result<(Cow<'_, str>, &str, Option<String>), &'static str> {
    if text.contains(char::is_whitespace) {
        return Err("has a space in its host");
    }
    if text.contains('\\') {
        return Err("has a backslash in its host");
    }
    if !text.starts_with('[') {
        if text.matches(':').count() > 1 && text.parse::<Ipv6Addr>().is_ok() {
            return Err("has an IPv6 address without brackets");
        }
        let colon = text.find(':').unwrap_or(text.len());
        let (host, port) = text.split_at(colon);
        return Ok((host.into(), checked_port(port)?, None));
    }
    let Some(bracket) = text.find(']') else { return Err("is not a URL: a bracket is not closed") };
    let (address, port) = (&text[1..bracket], checked_port(&text[bracket + 1..])?);
    match address.split_once('%') {
        None => Ok((text[..=bracket].into(), port, None)),
        Some((address, zone)) => {
            // RFC 6874 has %25 for the percent sign; people write it as for every other program.
            let zone = zone.strip_prefix("25").filter(|rest| !rest.is_empty()).unwrap_or(zone);
            let zone = percent_decode_str(zone).decode_utf8_lossy().into_owned();
            check_zone(&zone)?;
            if address.parse::<Ipv6Addr>().is_err() {
                return Err("has a zone after what is no IPv6 address");
            }
            Ok((format!("[{address}]").into(), port, Some(zone)))
        }
    }
}

/// # Errors
/// What is wrong with a zone: the name or the number of an interface.
pub(super) fn check_zone(zone: &str) -> Result<(), &'static str> {
    if zone.is_empty() || zone.contains(|c: char| c.is_whitespace() || c.is_control() || "/%[]".contains(c)) {
        return Err("has a zone that is no interface, such as the eth0 of fe80::1%eth0");
    }
    if zone.len() > LONGEST_ZONE {
        return Err("has a zone of more than 15 bytes, which no interface's name has");
    }
    Ok(())
}

fn checked_port(port: &str) -> Result<&str, &'static str> {
    let digits = match port.strip_prefix(':') {
        Some(digits) => digits,
        None if port.is_empty() => return Ok(port),
        None => return Err("is not a URL: after a bracket comes a port or a path"),
    };
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        // An empty one is that of the scheme.
        if digits.is_empty() || digits.parse::<u16>().is_ok() {
            return Ok(if digits.is_empty() { "" } else { port });
        }
        return Err("is not a URL: invalid port number");
    }
    Err("has a port that is no number, which a URL must have")
}

/// The host with other scripts in ASCII. Escapes stand for UTF-8.
fn host_in_ascii(host: &str) -> Result<Cow<'_, str>, String> {
    if host.starts_with('[') {
        return Ok(Cow::Borrowed(host));
    }
    if bad_escape(host).is_some() {
        return Err("has a percent sign in its host".to_owned());
    }
    let decoded = percent_decode_str(host).decode_utf8().map_err(|_| "has a host that is not UTF-8".to_owned())?;
    if decoded.is_empty() || decoded.parse::<std::net::IpAddr>().is_ok() {
        return Ok(Cow::Owned(decoded.into_owned()));
    }
    if decoded.contains(|c: char| c.is_ascii_control() || c.is_whitespace() || "%#/:<>?@[\\]^|".contains(c)) {
        return Err("has a character that no host name has".to_owned());
    }
    Ok(Cow::Owned(names::host(&decoded)?.into_owned()))
}

/// What the crate leaves as it is and Go escapes. The other characters that need it, both do.
fn escaped(path: &str) -> Cow<'_, str> {
    if !path.contains(['\\', '|', '^']) {
        return Cow::Borrowed(path);
    }
    Cow::Owned(path.replace('\\', "%5C").replace('|', "%7C").replace('^', "%5E"))
}

/// The first percent sign that two hexadecimal digits do not follow, with what follows.
fn bad_escape(text: &str) -> Option<String> {
    text.match_indices('%').map(|(at, _)| &text[at..]).find_map(|rest| {
        let good = rest.as_bytes().get(1..3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        (!good).then(|| rest.chars().take(3).collect())
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn read(text: &str) -> Result<String, String> {
        web_url(text, "http://example.com/").map(|url| url.to_string())
    }

    #[test]
    fn what_has_to_be_escaped_is() {
        for (text, url) in [
            ("http://h/a b", "http://h/a%20b"),
            ("http://h/?q=a b", "http://h/?q=a%20b"),
            ("http://h/a|b^c`d{e}f", "http://h/a%7Cb%5Ec%60d%7Be%7Df"),
            ("http://h/\"<>\"", "http://h/%22%3C%3E%22"),
            ("http://h/?\"<>\"", "http://h/?%22%3C%3E%22"),
            ("http://h/a\\b", "http://h/a%5Cb"),
            ("http://h/zur\u{fc}ck?\u{fc}", "http://h/zur%C3%BCck?%C3%BC"),
            ("http://h/a%20b%2Fc", "http://h/a%20b%2Fc"),
            ("http://h/?full=100%", "http://h/?full=100%"),
            ("http://h/?full=%zz", "http://h/?full=%zz"),
            ("http://h/a;b,c=d!$&'()*+@[x]", "http://h/a;b,c=d!$&'()*+@[x]"),
            ("  http://h/ \n", "http://h/"),
            ("HTTP://H/A", "http://h/A"),
            ("http://h:/", "http://h/"),
            ("http://h:080/", "http://h/"),
            ("http://h:0443", "http://h:443/"),
            ("http://me:p w|^@h/", "http://me:p%20w%7C%5E@h/"),
            ("http://me@corp.test:pw@h/", "http://me%40corp.test:pw@h/"),
            ("http://h?q", "http://h/?q"),
            ("http://h#top here", "http://h/#top%20here"),
            ("http://[::1]:8080/", "http://[::1]:8080/"),
            ("http://[::1]", "http://[::1]/"),
            ("http://b\u{fc}cher.test/", "http://xn--bcher-kva.test/"),
            ("http://b%C3%BCcher.test/", "http://xn--bcher-kva.test/"),
            ("http://ex%61mple.test/", "http://example.test/"),
            ("http://xn--bcher-kva.test/", "http://xn--bcher-kva.test/"),
            ("http://my_host/", "http://my_host/"),
            ("socks5://b\u{fc}cher.test:1080", "socks5://xn--bcher-kva.test:1080"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(url), "{text}");
        }
    }

    #[test]
    fn zones_come_in_both_spellings() {
        for (text, host) in [
            ("http://[fe80::1%25eth0]/", "fe80::1%eth0"),
            ("http://[fe80::1%eth0]:8080/x", "fe80::1%eth0"),
            ("http://[FE80::1%25eth0.100]/", "fe80::1%eth0.100"),
            ("http://[fe80::1%2]/", "fe80::1%2"),
            ("http://[fe80::1%252]/", "fe80::1%2"),
            ("http://[fe80::1%25]/", "fe80::1%25"),
            ("http://[fe80::1%25br%2Dlan]/", "fe80::1%br-lan"),
            ("socks5://[fe80::1%25eth0]:1080", "fe80::1%eth0"),
        ] {
            assert_eq!(web_url(text, "").unwrap().host(), host, "{text}");
        }
    }

    #[test]
    fn what_is_refused_says_why() {
        for (text, part) in [
            ("http://h/100%", "bad escape \"%\"; write %25"),
            ("http://h/%zz", "bad escape \"%zz\""),
            ("http://h/%\u{fc}\u{fc}", "bad escape"),
            ("http://me:%zz@h/", "bad escape;"),
            ("http://h%/", "percent sign in its host"),
            ("http://h%2Fx/", "no host name has"),
            ("http://a b/", "space in its host"),
            ("http://a\\b/", "backslash in its host"),
            ("http://h/a\nb", "control character"),
            ("http://h:smtp/", "a port that is no number"),
            ("http://h:+80/", "a port that is no number"),
            ("http://h:99999/", "invalid port number"),
            ("http://h:0/", "port 0"),
            ("http://fe80::1/", "without brackets"),
            ("http://[::1", "not closed"),
            ("http://[::1]x/", "after a bracket"),
            ("http://[localhost]/", "is not a URL"),
            ("http://[10.0.0.1%25eth0]/", "no IPv6 address"),
            ("http://[fe80::1%]/", "no interface"),
            ("http://[fe80::1%25a b]/", "space in its host"),
            ("http://[fe80::1%25sixteen-bytes-ab]/", "15 bytes"),
            ("http:///x", "has no host"),
            ("http://:80/", "has no host"),
            ("http://", "has no host"),
            ("example.com", "is not a URL"),
            ("http://a..b/", "empty label"),
            ("http://good.\u{2f800}\u{fffd}.test/", "has the label"),
        ] {
            let sentence = read(text).unwrap_err();
            assert!(sentence.contains(part), "{text}: {sentence}");
        }
        for text in ["https://me:hunter/2@h:x/", "https://me:hunter%/2@h/", "https://me:hunter\u{fffd}/2@h/"] {
            let sentence = read(text).unwrap_err();
            assert!(!sentence.contains("hunter"), "{sentence}");
        }
    }
}
