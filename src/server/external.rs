//! Where the exporter is reached from outside, and below which path it serves: `--web.external-url` and
//! `--web.route-prefix`, as Prometheus has them.

use std::sync::Arc;

use percent_encoding::utf8_percent_encode;
use url::Url;

use super::html::SEGMENT;

/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct External {
    /// Ends in a slash.
    base: Arc<str>,
    /// Of every route; empty or `/some/path`, without a slash at its end.
    prefix: Arc<str>,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("--web.external-url {0:?} is not an http or https URL such as https://example.com/uptime/")]
pub struct ExternalUrlError(String);

impl External {
    /// `url` defaults to this machine's name and `port`, `prefix` to the path of the URL.
    ///
    /// # Errors
    /// `url` is no URL.
    pub fn new(url: Option<&str>, prefix: Option<&str>, port: u16, tls: bool) -> Result<Self, ExternalUrlError> {
        let scheme = if tls { "https" } else { "http" };
        let base = match url.filter(|url| !url.is_empty()) {
            None => Url::parse(&format!("{scheme}://{}:{port}/", hostname())).ok(),
            Some(url) => Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host()),
        };
        let mut base = base.ok_or_else(|| ExternalUrlError(url.unwrap_or_default().to_owned()))?;
        base.set_query(None);
        base.set_fragment(None);
        let path = base.path().trim_end_matches('/').to_owned();
        base.set_path(&format!("{path}/"));
        let prefix = prefix.map_or(path, |prefix| {
            let bare = prefix.trim_matches('/');
            if bare.is_empty() { String::new() } else { format!("/{bare}") }
        });
        Ok(Self { base: base.as_str().into(), prefix: prefix.into() })
    }

    /// The URL of pages of targets, up to the name.
    pub fn targets(&self) -> String {
        format!("{}targets/", self.base)
    }

    /// The page of one target.
    pub fn target(&self, name: &str) -> String {
        format!("{}{}", self.targets(), utf8_percent_encode(name, SEGMENT))
    }

    /// What to do about a reason.
    pub(super) fn runbook(&self, called: &str) -> String {
        format!("{}runbooks/{called}", self.base)
    }

    /// The path below the prefix; `None` for what is not below it.
    pub(super) fn strip<'p>(&self, path: &'p str) -> Option<&'p str> {
        path.strip_prefix(&*self.prefix).filter(|rest| rest.starts_with('/'))
    }

    /// Where somebody is sent who asks for the root, or for the prefix without its slash.
    pub(super) fn root(&self, path: &str) -> Option<String> {
        let lost = !self.prefix.is_empty() && (path == "/" || path == &*self.prefix);
        lost.then(|| format!("{}/", self.prefix))
    }
}

impl Default for External {
    fn default() -> Self {
        Self { base: "http://localhost/".into(), prefix: "".into() }
    }
}

fn hostname() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "localhost".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_prefix_is_the_path_of_the_url_unless_it_is_given() {
        let external = External::new(Some("https://example.com/uptime"), None, 1, false).unwrap();
        assert_eq!(external.target("a b/c"), "https://example.com/uptime/targets/a%20b%2Fc");
        assert_eq!(external.strip("/uptime/metrics"), Some("/metrics"));
        assert_eq!(external.strip("/uptime/"), Some("/"));
        assert_eq!((external.strip("/metrics"), external.strip("/uptimes/x")), (None, None));
        assert_eq!(external.root("/").as_deref(), Some("/uptime/"));
        assert_eq!(external.root("/uptime").as_deref(), Some("/uptime/"));
        assert_eq!(external.root("/uptime/"), None);
        let behind = External::new(Some("https://example.com/uptime/"), Some("/"), 1, false).unwrap();
        assert_eq!((behind.strip("/metrics"), behind.root("/")), (Some("/metrics"), None));
        for bad in ["example.com", "ftp://h/", "/x"] {
            assert!(External::new(Some(bad), None, 1, false).is_err(), "{bad}");
        }
        let here = External::new(None, None, 9815, true).unwrap();
        assert!(here.targets().starts_with("https://") && here.targets().ends_with(":9815/targets/"), "{here:?}");
    }
}
