//! File -> typed values. Parse, don't validate: once a [`Config`] exists, no code checks its values again.
//!
//! `load` reads files and names the YAML crate; `raw` mirrors the file; `resolve` turns raw into typed and
//! gathers every problem; `value` and the protocol files hold the types that others import.

pub mod http;
pub mod tcp;
pub mod tls;
pub mod value;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

pub use http::HttpSettings;
pub use tcp::TcpSettings;
pub use tls::TlsSettings;
pub use value::{Cadence, Confirm, LabelSet, Pattern, Secret, TargetName};

/// A whole configuration, checked.
#[derive(Debug)]
pub struct Config {
    /// Sorted by name, names unique.
    pub targets: Vec<Arc<Target>>,
    /// What `/config` shows: the effective YAML, secrets masked.
    pub masked_yaml: String,
    /// Files that the config named (target files, CA files, secrets), for the watcher.
    pub dependencies: Vec<std::path::PathBuf>,
    /// How often the dependencies are looked at.
    pub refresh_interval: Duration,
}

/// One thing to watch.
#[derive(Debug)]
pub struct Target {
    pub name: TargetName,
    /// As configured, credentials masked: for the info series and for people.
    pub address: String,
    /// Name of the module.
    pub module: String,
    /// Global labels and the target's own.
    pub labels: LabelSet,
    pub cadence: Cadence,
    pub confirm: Confirm,
    /// Upper bounds in seconds, ascending, finite; empty means no `probe_latency_seconds`.
    pub latency_buckets: Arc<[f64]>,
    pub probe: ProbeSpec,
    /// Changes exactly when anything that decides about this target changes, referenced files included.
    pub fingerprint: [u8; 32],
}

/// What to do on each run: one protocol, its settings, and where to.
#[derive(Clone, Debug)]
pub enum ProbeSpec {
    Http { settings: Arc<HttpSettings>, url: url::Url },
    Tcp { settings: Arc<TcpSettings>, address: HostPort },
}

impl ProbeSpec {
    /// The incumbent's name of the prober.
    pub fn prober(&self) -> &'static str {
        match self {
            Self::Http { .. } => "http",
            Self::Tcp { .. } => "tcp",
        }
    }
}

/// `host:port`; the host is a name or an address literal (IPv6 without brackets).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    pub host: String,
    pub port: u16,
}

/// How names are resolved.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub enum DnsServers {
    /// What the operating system says (`/etc/resolv.conf`, `/etc/hosts`).
    #[default]
    System,
    /// These servers alone, asked by UDP, then TCP when truncated. `/etc/hosts` is still read.
    Servers(Vec<SocketAddr>),
}

/// Which address family to use, and whether the other one will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpPreference {
    pub preferred: IpFamily,
    /// Take an address of the other family when the name has none of the preferred one. Never about failed connects.
    pub fallback: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IpFamily {
    V4,
    V6,
}

impl Default for IpPreference {
    /// The incumbent's default.
    fn default() -> Self {
        Self { preferred: IpFamily::V6, fallback: true }
    }
}
