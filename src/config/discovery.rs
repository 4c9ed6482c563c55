//! Lists of targets that others keep: where they are asked for, and how they are handed over.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::{DnsServers, HttpSettings, ZonedUrl};

/// Where a list of targets comes from.
#[derive(Debug)]
pub struct Discovery {
    pub provider: Provider,
    /// What tells it from the others, for people and for the label `source`: the URL, credentials masked, or the names.
    pub source: Box<str>,
    pub refresh_interval: Duration,
    /// Why it cannot be asked: what is wrong with its part of the config.
    pub fault: Option<Arc<str>>,
    /// Changes exactly when anything that decides what is asked changes, referenced files included.
    pub fingerprint: [u8; 32],
}

/// Who keeps the list.
#[derive(Debug)]
pub enum Provider {
    /// Prometheus's HTTP service discovery.
    Http(Box<HttpProvider>),
    /// Records of the DNS.
    Dns(DnsProvider),
}

#[derive(Debug)]
pub struct HttpProvider {
    pub settings: Arc<HttpSettings>,
    pub url: ZonedUrl,
    /// It was written with the port of its scheme.
    pub names_port: bool,
}

#[derive(Clone, Debug)]
pub struct DnsProvider {
    pub names: Vec<String>,
    pub records: Records,
    pub servers: DnsServers,
}

/// Which records, and what makes an address of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Records {
    /// Host and port.
    Srv,
    A {
        port: u16,
    },
    Aaaa {
        port: u16,
    },
}

impl Provider {
    /// For the label `kind`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Http(_) => "http",
            Self::Dns(_) => "dns",
        }
    }
}

/// Targets with their labels, as Prometheus's file_sd and HTTP service discovery have them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    pub targets: Vec<String>,
    /// In the order of names.
    pub labels: Vec<(String, String)>,
}

/// What each source gave last, by [`Discovery::source`].
pub type Lists = HashMap<Box<str>, Arc<[Group]>>;
