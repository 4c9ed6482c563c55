//! The `target` of a target: a URL, `host:port`, a host or a path, as each prober wants it. `web_url` reads URLs, `names`
//! has other scripts, `services` ports by name.

use super::names;
use super::services::{self, Transport};
use super::web_url::{check_zone, web_url};
use crate::config::masked::{mask_address, mask_broken_address};
use crate::config::problem::shorten;
use crate::config::zoned::split_zone;
use crate::config::{HostPort, Secret, ZonedUrl};

/// User name and password in front of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UrlCredentials {
    pub(super) username: String,
    pub(super) password: Secret,
}

/// A URL for the HTTP prober, and the credentials that were in it. Without a scheme it is http, as with the incumbent.
///
/// # Errors
/// A sentence in which credentials are masked.
pub(super) fn http_url(text: &str) -> Result<(ZonedUrl, Option<UrlCredentials>), String> {
    const EXAMPLE: &str = "https://example.com/";
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Err(format!("is empty; write a URL such as {EXAMPLE}"));
    }
    let with_scheme = match trimmed.split_once("://") {
        Some((scheme, _)) if scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https") => {
            trimmed.to_owned()
        }
        Some((scheme, _)) if is_scheme(scheme) => {
            return Err(format!(
                "the scheme {scheme:?} is not one that the http prober speaks; write http:// or https://"
            ));
        }
        Some(_) | None => {
            let slip = ["http:/", "https:/"].iter().any(|slip| begins(trimmed, slip).is_some());
            if slip || trimmed.starts_with("//") {
                let shown = shorten(&mask_broken_address(trimmed));
                return Err(format!("{shown:?} is not a URL; write it like {EXAMPLE}, with a scheme and two slashes"));
            }
            format!("http://{trimmed}")
        }
    };
    let url = web_url(&with_scheme, EXAMPLE)?;
    let credentials = credentials(&url)?;
    Ok((without_credentials(&url), credentials))
}

fn without_credentials(url: &ZonedUrl) -> ZonedUrl {
    let mut bare = url.url().clone();
    // These fail only for URLs without a host.
    let _ = bare.set_username("");
    let _ = bare.set_password(None);
    ZonedUrl::new(bare, url.zone().map(|(_, zone)| zone))
}

fn is_scheme(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

/// What comes after `start`, in any case.
fn begins<'a>(text: &'a str, start: &str) -> Option<&'a str> {
    text.get(..start.len()).filter(|head| head.eq_ignore_ascii_case(start)).map(|_| &text[start.len()..])
}

/// # Errors
/// When they are not UTF-8 once decoded.
pub(super) fn credentials(url: &url::Url) -> Result<Option<UrlCredentials>, String> {
    if url.username().is_empty() && url.password().is_none() {
        return Ok(None);
    }
    let decode = |text: &str| {
        percent_encoding::percent_decode_str(text)
            .decode_utf8()
            .map(std::borrow::Cow::into_owned)
            .map_err(|_| "the credentials in the URL are not UTF-8".to_owned())
    };
    let username = decode(url.username())?;
    let password = Secret::new(decode(url.password().unwrap_or_default())?);
    Ok(Some(UrlCredentials { username, password }))
}

/// `host:port` for the TCP prober; IPv6 addresses in brackets, ports also by name.
///
/// # Errors
/// A sentence.
pub(super) fn host_port(text: &str, transport: Transport) -> Result<HostPort, String> {
    const FORM: &str = "write host:port, such as db.example.com:5432 or [2001:db8::1]:5432";
    let (trimmed, shown) = without_scheme(text, FORM)?;
    let (host, port) = match trimmed.strip_prefix('[') {
        Some(rest) => rest.split_once("]:").ok_or_else(|| format!("{shown} is not an address; {FORM}"))?,
        None => {
            let (host, port) = trimmed.rsplit_once(':').ok_or_else(|| format!("{shown} has no port; {FORM}"))?;
            if host.contains(':') {
                return Err(format!("{shown} is ambiguous; put the IPv6 address in brackets: [address]:port"));
            }
            (host, port)
        }
    };
    let host = bare_host(host, &shown, FORM)?;
    Ok(HostPort { host, port: self::port(port, transport, &shown)? })
}

/// What is written, and how it is shown in a sentence. `form` is what to write instead.
fn without_scheme<'a>(text: &'a str, form: &str) -> Result<(&'a str, String), String> {
    let trimmed = text.trim();
    let shown = format!("{:?}", shorten(&mask_broken_address(trimmed)));
    if trimmed.is_empty() {
        return Err(format!("is empty; {form}"));
    }
    match trimmed.split_once("://") {
        Some((scheme, _)) => Err(format!("{shown} has the scheme {scheme:?}, which this prober does not know; {form}")),
        None => Ok((trimmed, shown)),
    }
}

fn port(text: &str, transport: Transport, shown: &str) -> Result<u16, String> {
    let of_service = || services::port(text, transport);
    let found = if text.starts_with(|c: char| c.is_ascii_alphabetic()) { of_service() } else { text.parse().ok() };
    found.filter(|port| *port != 0).ok_or_else(|| {
        let what = match transport {
            Transport::Tcp => "smtp",
            Transport::Udp => "domain",
        };
        format!(
            "{shown} has the port {text:?}; a port is a number from 1 to 65535, or the name of a service such as {what}"
        )
    })
}

/// `host` or `host:port`; IPv6 addresses in brackets when there is a port.
///
/// # Errors
/// A sentence.
pub(super) fn host_port_or(text: &str, port: u16, transport: Transport) -> Result<HostPort, String> {
    let trimmed = text.trim();
    let has_port = match trimmed.strip_prefix('[') {
        Some(rest) => !rest.ends_with(']'),
        None => trimmed.matches(':').count() == 1,
    };
    if has_port {
        return host_port(trimmed, transport);
    }
    Ok(HostPort { host: host(trimmed)?, port })
}

/// Where a gRPC server is: `host:port`, or as a URL, of which the incumbent takes host and port and nothing else.
///
/// # Errors
/// A sentence.
pub(super) fn grpc_address(text: &str, default_port: u16) -> Result<HostPort, String> {
    let trimmed = text.trim();
    let rest = begins(trimmed, "http://").or_else(|| begins(trimmed, "https://"));
    let authority = rest.unwrap_or(trimmed);
    let authority = match authority.split_once("://") {
        // Told as it is.
        Some(_) => authority,
        None => authority.split(['/', '?', '#']).next().unwrap_or_default(),
    };
    let host = authority.rsplit('@').next().unwrap_or_default();
    if host.is_empty() && !trimmed.is_empty() {
        let shown = shorten(&mask_broken_address(trimmed));
        return Err(format!("{shown:?} has no host; write host:port, such as api.example.com:50051"));
    }
    let host = host.strip_suffix(':').filter(|host| !host.is_empty() && !host.ends_with(':')).unwrap_or(host);
    host_port_or(host, default_port, Transport::Tcp)
}

/// A name or an address literal alone; IPv6 with or without brackets.
///
/// # Errors
/// A sentence.
pub(super) fn host(text: &str) -> Result<String, String> {
    const FORM: &str = "write a host name or an address, such as db.example.com or 2001:db8::1";
    let (trimmed, shown) = without_scheme(text, FORM)?;
    let bare = trimmed.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(trimmed);
    bare_host(bare, &shown, FORM)
}

/// A name in ASCII, or an address, with the zone that it has.
fn bare_host(host: &str, shown: &str, form: &str) -> Result<String, String> {
    if host.is_empty() {
        return Err(format!("{shown} has no host; {form}"));
    }
    if let Some((_, zone)) = split_zone(host) {
        check_zone(zone).map_err(|what| format!("{shown} {what}"))?;
        return Ok(host.to_owned());
    }
    if host.parse::<std::net::IpAddr>().is_ok() {
        return Ok(host.to_owned());
    }
    if host.contains(|c: char| c.is_whitespace() || c.is_control() || ":/@?#[]%\\".contains(c)) {
        return Err(format!("{shown} has a character that no host name has; {form}"));
    }
    names::host(host).map(std::borrow::Cow::into_owned).map_err(|what| format!("{shown} {what}"))
}

/// A URL for DNS over HTTPS; `None` when it is none.
///
/// # Errors
/// A sentence in which credentials are masked.
pub(super) fn https_url(text: &str) -> Option<Result<ZonedUrl, String>> {
    let trimmed = text.trim();
    begins(trimmed, "https://")?;
    Some(http_url(trimmed).map(|(url, _)| url))
}

/// The path of a Unix socket.
///
/// # Errors
/// A sentence.
pub(super) fn socket_path(text: &str) -> Result<std::path::PathBuf, String> {
    if text.is_empty() {
        return Err("is empty; write the path of the socket, such as /run/app.sock".to_owned());
    }
    Ok(text.into())
}

/// A URL for the WebSocket prober.
///
/// # Errors
/// A sentence in which credentials are masked.
pub(super) fn websocket_url(text: &str) -> Result<ZonedUrl, String> {
    const EXAMPLE: &str = "wss://example.com/";
    let trimmed = text.trim();
    let shown = || format!("{:?}", shorten(&mask_broken_address(trimmed)));
    if trimmed.is_empty() {
        return Err(format!("is empty; write a URL such as {EXAMPLE}"));
    }
    match trimmed.split_once("://") {
        Some((scheme, _)) if scheme.eq_ignore_ascii_case("ws") || scheme.eq_ignore_ascii_case("wss") => {}
        Some((scheme, _)) if is_scheme(scheme) => {
            return Err(format!("{} has the scheme {scheme:?}; write ws:// or wss://", shown()));
        }
        Some(_) | None => return Err(format!("{} has no scheme; write it like {EXAMPLE}", shown())),
    }
    let url = web_url(trimmed, EXAMPLE)?;
    if !url.username().is_empty() || url.password().is_some() {
        // RFC 6455 has none in its URLs, and the incumbent's client refuses them.
        return Err(format!(
            "{} has credentials, which a WebSocket's URL cannot have; write http_config.basic_auth",
            shown()
        ));
    }
    Ok(url)
}

/// For the info series and for people.
pub(super) fn shown(text: &str) -> String {
    mask_address(text.trim())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn urls_come_with_and_without_a_scheme() {
        for (text, url) in [
            ("example.com", "http://example.com/"),
            ("example.com:8080/x", "http://example.com:8080/x"),
            ("localhost:8080", "http://localhost:8080/"),
            ("http:8080", "http://http:8080/"),
            ("HTTPS://Example.com", "https://example.com/"),
            ("http://[::1]:1/", "http://[::1]:1/"),
            ("[fe80::1%eth0]:1/", "http://[fe80::1%25eth0]:1/"),
            ("127.0.0.1", "http://127.0.0.1/"),
            ("h/redirect?to=https://x/", "http://h/redirect?to=https://x/"),
            ("h/a b", "http://h/a%20b"),
        ] {
            assert_eq!(http_url(text).unwrap().0.to_string(), url, "{text}");
        }
        for bad in [
            "",
            "ws://h/",
            "http://",
            "http:///x",
            "http:/h/",
            "https:/h/",
            "//h/",
            "https://h:99999/",
            "http://a b/",
            "http://[::1/",
            "http://h:0/",
            "::1",
        ] {
            assert!(http_url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn websockets_have_schemes_of_their_own() {
        for (text, url) in [
            ("ws://h", "ws://h/"),
            ("WSS://h/a b", "wss://h/a%20b"),
            ("ws://[fe80::1%25eth0]:81/x", "ws://[fe80::1%25eth0]:81/x"),
            ("ws://b\u{fc}cher.test/", "ws://xn--bcher-kva.test/"),
        ] {
            assert_eq!(websocket_url(text).unwrap().to_string(), url, "{text}");
        }
        for (bad, part) in [
            ("", "is empty"),
            ("h:80", "no scheme"),
            ("http://h/", "the scheme \"http\""),
            ("ws://u:hunter2@h/", "has credentials"),
            ("ws://h/%zz", "bad escape"),
            ("ws:///x", "has no host"),
        ] {
            let sentence = websocket_url(bad).unwrap_err();
            assert!(sentence.contains(part) && !sentence.contains("hunter2"), "{bad}: {sentence}");
        }
    }

    #[test]
    fn credentials_leave_the_url() {
        let (url, credentials) = http_url("https://me:p%40ss@h/x").unwrap();
        assert_eq!(url.to_string(), "https://h/x");
        let credentials = credentials.unwrap();
        assert_eq!((credentials.username.as_str(), credentials.password.expose()), ("me", "p@ss"));
        assert!(!http_url("https://me:hunter/2@h:x/").unwrap_err().contains("hunter"));
    }

    fn address(host: &str, port: u16) -> Result<HostPort, String> {
        Ok(HostPort { host: host.to_owned(), port })
    }

    #[test]
    fn host_and_port_are_both_needed() {
        for (text, host, port) in [
            ("db:5432", "db", 5432),
            (" db:5432 ", "db", 5432),
            ("[::1]:25", "::1", 25),
            ("10.0.0.1:1", "10.0.0.1", 1),
            ("[10.0.0.1]:1", "10.0.0.1", 1),
            ("[db]:25", "db", 25),
            ("db.:25", "db.", 25),
            ("mail:smtp", "mail", 25),
            ("mail:SMTP", "mail", 25),
            ("[fe80::1%eth0]:22", "fe80::1%eth0", 22),
            ("[fe80::1%2]:ssh", "fe80::1%2", 22),
            ("b\u{fc}cher.test:443", "xn--bcher-kva.test", 443),
            ("my_host:1", "my_host", 1),
        ] {
            assert_eq!(host_port(text, Transport::Tcp), address(host, port), "{text}");
        }
        for (bad, part) in [
            ("", "is empty"),
            ("db", "has no port"),
            ("db:", "the port \"\""),
            (":1", "has no host"),
            ("db:0", "the port \"0\""),
            ("db:65536", "the port \"65536\""),
            ("db:-1", "the port \"-1\""),
            ("db:no-such-service", "the name of a service"),
            ("::1:25", "in brackets"),
            ("fe80::1%eth0:25", "in brackets"),
            ("[::1]", "is not an address"),
            ("[]:1", "has no host"),
            ("[a:b]:1", "no host name has"),
            ("[10.0.0.1%eth0]:1", "no host name has"),
            ("[fe80::1%]:1", "no interface"),
            ("tcp://db:1", "the scheme \"tcp\""),
            ("a b:1", "no host name has"),
            ("a/b:1", "no host name has"),
            ("a..b:1", "empty label"),
        ] {
            let sentence = host_port(bad, Transport::Tcp).unwrap_err();
            assert!(sentence.contains(part), "{bad}: {sentence}");
        }
    }

    #[test]
    fn a_name_server_needs_no_port() {
        for (text, host, port) in [
            ("192.0.2.53", "192.0.2.53", 53),
            ("::1", "::1", 53),
            ("[::1]", "::1", 53),
            ("fe80::1%eth0", "fe80::1%eth0", 53),
            ("[fe80::1%eth0]:5353", "fe80::1%eth0", 5353),
            ("ns.test:domain", "ns.test", 53),
            ("ns.b\u{fc}cher.test", "ns.xn--bcher-kva.test", 53),
        ] {
            assert_eq!(host_port_or(text, 53, Transport::Udp), address(host, port), "{text}");
        }
        for bad in ["", "ns:", "ns:0", "[::1", "[::1]x", "ns/x", "1.1.1.1/24"] {
            assert!(host_port_or(bad, 53, Transport::Udp).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_grpc_server_may_come_as_a_url() {
        for (text, host, port) in [
            ("h:50051", "h", 50051),
            ("h", "h", 443),
            ("h:", "h", 443),
            ("http://h:50051", "h", 50051),
            ("HTTPS://h:50051/x?y#z", "h", 50051),
            ("h:50051/grpc.health.v1.Health", "h", 50051),
            ("http://u:p@h:1/", "h", 1),
            ("http://[::1]:1", "::1", 1),
            ("[::1]", "::1", 443),
            ("http://[fe80::1%eth0]:1/", "fe80::1%eth0", 1),
            ("http://b\u{fc}cher.test", "xn--bcher-kva.test", 443),
        ] {
            assert_eq!(grpc_address(text, 443), address(host, port), "{text}");
        }
        for bad in ["", "http://", "http:///x", "dns:///h:1", "unix:///run/x", "h:0", "a b:1", ":50051"] {
            assert!(grpc_address(bad, 443).is_err(), "{bad}");
        }
    }

    #[test]
    fn who_is_pinged_has_no_port() {
        for (text, found) in [
            ("h", "h"),
            ("h.", "h."),
            (" 10.0.0.1 ", "10.0.0.1"),
            ("[::1]", "::1"),
            ("fe80::1%eth0", "fe80::1%eth0"),
            ("[fe80::1%eth0]", "fe80::1%eth0"),
            ("b\u{fc}cher.test", "xn--bcher-kva.test"),
        ] {
            assert_eq!(host(text).as_deref(), Ok(found), "{text}");
        }
        for bad in ["", "h:1", "[::1]:1", "http://h", "10.0.0.0/8", "a b", "h%eth0", "[", "[]", "fe80::1%"] {
            assert!(host(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_an_address_or_refused(text in "\\PC{0,30}|[a-z:/@\\[\\]%.0-9?#]{0,24}") {
            let _ = http_url(&text);
            let _ = (host_port(&text, Transport::Tcp), host_port_or(&text, 53, Transport::Udp), host(&text));
            let _ = (grpc_address(&text, 80), websocket_url(&text), https_url(&text));
            let _ = shown(&text);
        }
    }
}
