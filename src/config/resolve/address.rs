//! The `target` of a target: a URL, or `host:port`.

use crate::config::masked::{mask_address, mask_broken_address};
use crate::config::{HostPort, Secret};

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
pub(super) fn http_url(text: &str) -> Result<(url::Url, Option<UrlCredentials>), String> {
    let shown = || format!("{:?}", crate::config::problem::shorten(&mask_broken_address(text)));
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Err("is empty; write a URL such as https://example.com/".to_owned());
    }
    if trimmed.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(format!("{} has a space or control character in it; write %20 for a space", shown()));
    }
    let with_scheme = match trimmed.split_once("://") {
        Some((scheme, _)) if scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https") => {
            trimmed.to_owned()
        }
        Some((scheme, _)) if !scheme.is_empty() && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+') => {
            return Err(format!(
                "the scheme {scheme:?} is not one that the http prober speaks; write http:// or https://"
            ));
        }
        Some(_) | None => format!("http://{trimmed}"),
    };
    let mut url = url::Url::parse(&with_scheme)
        .map_err(|error| format!("{} is not a URL: {error}; write it like https://example.com/", shown()))?;
    // "http:///path" parses with "path" as the host.
    if url.host_str().is_none_or(str::is_empty) || with_scheme.contains(":///") {
        return Err(format!("{} has no host; write it like https://example.com/", shown()));
    }
    if url.port() == Some(0) {
        return Err(format!("{} has port 0; a port is 1 to 65535", shown()));
    }
    let credentials = credentials(&url)?;
    // These fail only for URLs without a host.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    Ok((url, credentials))
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

/// `host:port` for the TCP prober; IPv6 addresses in brackets.
///
/// # Errors
/// A sentence.
pub(super) fn host_port(text: &str) -> Result<HostPort, String> {
    const FORM: &str = "write host:port, such as db.example.com:5432 or [2001:db8::1]:5432";
    let trimmed = text.trim();
    let shown = format!("{:?}", crate::config::problem::shorten(&mask_broken_address(trimmed)));
    if trimmed.is_empty() {
        return Err(format!("is empty; {FORM}"));
    }
    if let Some((scheme, _)) = trimmed.split_once("://") {
        return Err(format!("{shown} has the scheme {scheme:?}, which the tcp prober does not know; {FORM}"));
    }
    let (host, port) = match trimmed.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once("]:").ok_or_else(|| format!("{shown} is not an address; {FORM}"))?;
            if host.parse::<std::net::Ipv6Addr>().is_err() {
                return Err(format!("{shown} has no IPv6 address in its brackets; {FORM}"));
            }
            (host, port)
        }
        None => {
            let (host, port) = trimmed.rsplit_once(':').ok_or_else(|| format!("{shown} has no port; {FORM}"))?;
            if host.contains(':') {
                return Err(format!("{shown} is ambiguous; put the IPv6 address in brackets: [address]:port"));
            }
            (host, port)
        }
    };
    if host.is_empty() {
        return Err(format!("{shown} has no host; {FORM}"));
    }
    if host.contains(|c: char| c.is_whitespace() || c.is_control() || "/@?#[]%\\".contains(c)) {
        return Err(format!("{shown} has a character that no host name has; {FORM}"));
    }
    match port.parse::<u16>() {
        Ok(port) if port > 0 => Ok(HostPort { host: host.to_owned(), port }),
        Ok(_) | Err(_) => Err(format!("{shown} has the port {port:?}; a port is a number from 1 to 65535")),
    }
}

/// `host` or `host:port`; IPv6 addresses in brackets when there is a port.
///
/// # Errors
/// A sentence.
pub(super) fn host_port_or(text: &str, port: u16) -> Result<HostPort, String> {
    let trimmed = text.trim();
    let has_port = match trimmed.strip_prefix('[') {
        Some(rest) => !rest.ends_with(']'),
        None => trimmed.matches(':').count() == 1,
    };
    if has_port {
        return host_port(trimmed);
    }
    Ok(HostPort { host: host(trimmed)?, port })
}

/// A name or an address literal alone; IPv6 with or without brackets.
///
/// # Errors
/// A sentence.
pub(super) fn host(text: &str) -> Result<String, String> {
    const FORM: &str = "write a host name or an address, such as db.example.com or 2001:db8::1";
    let trimmed = text.trim();
    let shown = format!("{:?}", crate::config::problem::shorten(&mask_broken_address(trimmed)));
    if trimmed.is_empty() {
        return Err(format!("is empty; {FORM}"));
    }
    if let Some((scheme, _)) = trimmed.split_once("://") {
        return Err(format!("{shown} has the scheme {scheme:?}, which this prober does not know; {FORM}"));
    }
    let bare = trimmed.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(trimmed);
    if bare.parse::<std::net::IpAddr>().is_ok() {
        return Ok(bare.to_owned());
    }
    if bare.contains(|c: char| c.is_whitespace() || c.is_control() || ":/@?#[]%\\".contains(c)) {
        return Err(format!("{shown} has a character that no host name has; {FORM}"));
    }
    Ok(bare.to_owned())
}

/// A URL for DNS over HTTPS; `None` when it is none.
///
/// # Errors
/// A sentence in which credentials are masked.
pub(super) fn https_url(text: &str) -> Option<Result<url::Url, String>> {
    let trimmed = text.trim();
    trimmed.get(..8).filter(|scheme| scheme.eq_ignore_ascii_case("https://"))?;
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
pub(super) fn websocket_url(text: &str) -> Result<url::Url, String> {
    let shown = || format!("{:?}", crate::config::problem::shorten(&mask_broken_address(text)));
    let url = url::Url::parse(text.trim())
        .map_err(|error| format!("{} is not a URL: {error}; write it like wss://example.com/", shown()))?;
    if !matches!(url.scheme(), "ws" | "wss") {
        return Err(format!("{} has the scheme {:?}; write ws:// or wss://", shown(), url.scheme()));
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
            ("HTTPS://Example.com", "https://example.com/"),
            ("http://[::1]:1/", "http://[::1]:1/"),
            ("127.0.0.1", "http://127.0.0.1/"),
            ("h/redirect?to=https://x/", "http://h/redirect?to=https://x/"),
        ] {
            assert_eq!(http_url(text).unwrap().0.as_str(), url, "{text}");
        }
        for bad in
            ["", "ws://h/", "http://", "http:///x", "https://h:99999/", "http://a b/", "http://[::1/", "http://h:0/"]
        {
            assert!(http_url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn credentials_leave_the_url() {
        let (url, credentials) = http_url("https://me:p%40ss@h/x").unwrap();
        assert_eq!(url.as_str(), "https://h/x");
        let credentials = credentials.unwrap();
        assert_eq!((credentials.username.as_str(), credentials.password.expose()), ("me", "p@ss"));
        assert!(!http_url("https://me:hunter/2@h:x/").unwrap_err().contains("hunter"));
    }

    #[test]
    fn host_and_port_are_both_needed() {
        let address = |host: &str, port| Ok(HostPort { host: host.to_owned(), port });
        assert_eq!(host_port("db:5432"), address("db", 5432));
        assert_eq!(host_port("[::1]:25"), address("::1", 25));
        assert_eq!(host_port("10.0.0.1:1"), address("10.0.0.1", 1));
        for bad in
            ["", "db", "db:", ":1", "db:0", "db:65536", "::1:25", "[::1]", "[x]:1", "tcp://db:1", "a b:1", "a/b:1"]
        {
            assert!(host_port(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_an_address_or_refused(text in "\\PC{0,30}|[a-z:/@\\[\\]%.0-9?#]{0,24}") {
            let _ = http_url(&text);
            let _ = host_port(&text);
            let _ = shown(&text);
        }
    }
}
