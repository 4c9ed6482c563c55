//! File -> typed values. Parse, don't validate: once a [`Config`] exists, no code checks its values again.
//!
//! ```text
//! bytes -> load -> tree of nodes -> expand -> shape -> raw structs -> resolve -> Config
//! ```
//!
//! | module | what it owns |
//! |---|---|
//! | `load` | files, size, encoding, YAML and JSON to a tree; the only one that names the YAML crate |
//! | `node` | the tree: merges, overrides, a canonical hash |
//! | `expand` | `${VAR}` |
//! | `ours` | which files are ours, and which blackbox_exporter's |
//! | `shape` | tree -> raw structs by serde, all problems of shape |
//! | `raw` | serde mirror of the file |
//! | `resolve` | raw -> typed, all problems of meaning |
//! | `problem` `position` | places, lines, the report |
//! | `foreign` | files of other programs, for `convert` |
//! | `masked` | what `/config` shows |
//! | `watch` | which files a config was made from, and whether they changed |
//! | `cel` | rules in CEL |
//! | `discovery` | who is asked for lists of targets, and what they gave |
//! | `parents` | what `depends_on` came to: which target stands behind which |
//! | `pattern`, `re2` | regular expressions as RE2 has them |
//! | `zoned` | IPv6 addresses with a zone, also in URLs |
//! | `value`, `tls`, and one for each prober | the types that others import |

mod cel;
pub mod discovery;
pub mod dns;
pub mod dns_numbers;
mod expand;
pub(crate) mod foreign;
pub mod grpc;
pub mod http;
pub mod icmp;
mod load;
pub mod maintenance;
mod masked;
mod node;
pub mod notice;
mod ours;
mod parents;
mod pattern;
mod position;
pub mod probe_endpoint;
mod problem;
mod raw;
mod re2;
mod resolve;
pub(crate) mod rsa;
mod shape;
pub mod shared_cause;
pub mod tcp;
#[cfg(test)]
mod tests;
pub mod tls;
pub mod trace_context;
mod units;
pub mod unix;
pub mod value;
mod watch;
pub mod web;
pub mod websocket;
pub mod zoned;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub use self::cel::{CelDocument, CelFault, CelRule, Stop};
pub(crate) use self::cel::{OutOfStack, with_levels};
pub use discovery::{Discovery, Lists};
pub use dns::DnsSettings;
pub use grpc::GrpcSettings;
pub use http::HttpSettings;
pub use icmp::IcmpSettings;
pub use maintenance::Maintenance;
pub(crate) use masked::{mask_address, mask_broken_address};
pub use notice::Notice;
pub use parents::Parents;
pub use pattern::{Groups, Pattern};
pub use probe_endpoint::ProbeEndpoint;
pub(crate) use problem::Step;
pub use problem::{ConfigErrors, Problem};
pub(crate) use re2::anchored;
pub use re2::{PatternError, Subject};
pub(crate) use resolve::authority as host_in_ascii;
pub use shared_cause::SharedCauseSettings;
pub use tcp::TcpSettings;
pub use tls::TlsSettings;
pub use trace_context::TraceUrl;
pub(crate) use units::{parse_duration, parse_integer, show_duration};
pub use unix::UnixSettings;
pub use value::{Cadence, Confirm, LabelSet, Secret, TargetName};
pub use watch::{Stamp, Watch};
pub(crate) use watch::{has_wildcard, wildcard};
pub use websocket::WebsocketSettings;
pub use zoned::ZonedUrl;

/// Reads and checks a config.
///
/// # Errors
/// Every problem that it has.
pub fn load(path: &Path) -> Result<Config, ConfigErrors> {
    Source::read(path)?.config()
}

/// The main file as it was read: kept so that a change of a target file or a secret can be taken up without looking
/// at the main file again, which somebody may be in the middle of editing.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Source {
    path: PathBuf,
    text: Arc<str>,
}

impl std::fmt::Debug for Source {
    /// Without the text, which has secrets in it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Source {
    /// Reads the main file.
    ///
    /// # Errors
    /// It cannot be read, is too large (16 MiB), or is not UTF-8.
    pub fn read(path: &Path) -> Result<Self, ConfigErrors> {
        let text = load::read_bytes(path, load::MAX_FILE_BYTES).and_then(load::utf8);
        match text {
            Ok(text) => Ok(Self::new(path, text)),
            Err(message) => {
                let mut problems = problem::Problems::default();
                let file = problems.file(path.to_owned());
                problems.add_line(file, None, message);
                Err(problems.into_errors())
            }
        }
    }

    /// A text that stands for the file at `path`; other files are named relative to its folder.
    pub fn new(path: impl Into<PathBuf>, text: impl Into<Arc<str>>) -> Self {
        Self { path: path.into(), text: text.into() }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// Checks the text, with the other files as they are now.
    ///
    /// # Errors
    /// Every problem that it has.
    pub fn config(&self) -> Result<Config, ConfigErrors> {
        self.config_with_lists(&Lists::new())
    }

    /// The same, with targets that are kept elsewhere.
    ///
    /// # Errors
    /// Every problem that the files have; those of the lists are warnings.
    pub fn config_with_lists(&self, lists: &Lists) -> Result<Config, ConfigErrors> {
        resolve::resolve(self, lists, &|name| std::env::var(name).ok())
    }

    /// The notices of a text that is one of `notice_files`.
    ///
    /// # Errors
    /// Every problem that it has.
    pub fn notices(&self) -> Result<Vec<Notice>, ConfigErrors> {
        resolve::notices_alone(self)
    }

    #[cfg(test)]
    fn config_with(&self, environment: expand::Environment<'_>) -> Result<Config, ConfigErrors> {
        resolve::resolve(self, &Lists::new(), environment)
    }
}

/// A whole configuration, checked.
#[derive(Debug, Default)]
pub struct Config {
    /// Sorted by name, names unique.
    pub targets: Vec<Arc<Target>>,
    /// Which of them stand behind which.
    pub parents: Parents,
    /// What `/probe` may name; also the built-in `http_2xx`.
    pub modules: BTreeMap<String, Module>,
    pub probe_endpoint: ProbeEndpoint,
    /// The labels of every series, this exporter's vantage among them.
    pub labels: LabelSet,
    /// The operator's words, in the order of the files. A target has the first one that is for it.
    pub notices: Vec<Arc<Notice>>,
    /// The files that they are in, in that order.
    pub notice_files: Vec<PathBuf>,
    /// Who is asked for more targets.
    pub discoveries: Vec<Arc<Discovery>>,
    /// What tells "it is us" from "it is them".
    pub anchors: Vec<Anchor>,
    /// When targets that fail together are said to share a cause.
    pub shared_cause: SharedCauseSettings,
    /// Where traces are to be seen.
    pub trace_url: Option<Arc<TraceUrl>>,
    /// What customers call the region of this exporter.
    pub region_name: Option<Box<str>>,
    /// What `/config` shows: the effective YAML, secrets masked; then each target file as a document of its own.
    pub masked_yaml: String,
    /// Files that the config named (target files, CA files, secrets), for the watcher. Not the main file.
    pub dependencies: Vec<PathBuf>,
    /// The dependencies again, and the patterns whose matches may change.
    pub watch: Watch,
    /// What the dependencies looked like before they were read.
    pub loaded: Stamp,
    /// How often the dependencies are looked at.
    pub refresh_interval: Duration,
    /// What is wrong with single modules and targets, whose runs fail; the rest of the config is good.
    pub faults: ConfigErrors,
    /// What is no error but worth a line in the log.
    pub warnings: Vec<String>,
    /// What is as it should be, but good to know.
    pub remarks: Vec<String>,
    /// The main file as read.
    pub source: Source,
}

impl Config {
    /// Looks at all dependencies now, new matches of patterns included. When it differs from [`Config::loaded`], or
    /// from what it was the last time, something changed: make the config anew from [`Config::source`].
    /// Costs one `stat` a file.
    pub fn dependencies_stamp(&self) -> Stamp {
        self.watch.stamp()
    }
}

/// How to probe, without a target.
#[derive(Clone, Debug)]
pub struct Module {
    /// Why every run fails: what is wrong with the module's part of the config.
    pub fault: Option<Arc<str>>,
    /// Upper bound of a run; `None` is none.
    pub timeout: Option<Duration>,
    pub settings: ModuleSettings,
    /// Not in the config, but there all the same.
    pub built_in: bool,
    /// As configured, secrets masked.
    pub masked_yaml: String,
}

#[derive(Clone, Debug)]
pub enum ModuleSettings {
    Http(Arc<HttpSettings>),
    Tcp(Arc<TcpSettings>),
    Dns(Arc<DnsSettings>),
    Icmp(Arc<IcmpSettings>),
    Grpc(Arc<GrpcSettings>),
    Unix(Arc<UnixSettings>),
    Websocket(Arc<WebsocketSettings>),
    /// There is no prober to it; the sentence says why.
    Unusable(String),
}

impl Module {
    /// What to do on a run against `target`.
    ///
    /// # Errors
    /// A sentence (credentials masked): `target` is no address for this prober, or the module has none.
    pub fn probe_spec(&self, target: &str) -> Result<ProbeSpec, String> {
        resolve::probe_spec(&self.settings, target)
    }
}

/// A place that can be reached whenever the exporter itself can reach anything.
#[derive(Clone, Debug)]
pub struct Anchor {
    /// As configured, credentials masked.
    pub address: String,
    pub probe: ProbeSpec,
}

impl Anchor {
    /// How long one may take to answer.
    pub const TIMEOUT: Duration = Duration::from_secs(2);
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
    /// Why every run fails: what is wrong with the config of its probe.
    pub fault: Option<Arc<str>>,
    /// What customers may read in place of the name.
    pub display_name: Option<Box<str>>,
    /// A successful run that takes longer is slow; for alerts, not for the verdict.
    pub slow_threshold: Option<Duration>,
    /// The share of time that it is to be up, between 0 and 1.
    pub slo: Option<f64>,
    pub maintenance: Maintenance,
    /// Several addresses of the name, each probed on every run.
    pub fan_out: Option<FanOut>,
    /// Whether a failure is followed by re-checks that vary one thing each; they are extra requests.
    pub diagnose: bool,
    pub path: PathSettings,
    /// Changes exactly when anything that decides about this target changes, referenced files included.
    pub fingerprint: [u8; 32],
}

/// When the way to a target is traced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathSettings {
    /// When it cannot be reached.
    pub enabled: bool,
    /// How often while it can, for comparison. `None`: never.
    pub every: Option<Duration>,
}

/// How a target is probed at several addresses of its name, and what that makes of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FanOut {
    pub select: Select,
    pub up_when: UpWhen,
    /// More addresses than these are left out.
    pub max: usize,
}

/// Which addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Select {
    /// All that the name has; of the preferred family alone when there is no fallback.
    All,
    /// One of each family. A family without an address is a failure.
    BothFamilies,
}

/// How many of them must be up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum UpWhen {
    All,
    Any,
    /// At least this share, above 0 and at most 1.
    Share(f64),
}

/// What to do on each run: one protocol, its settings, and where to.
#[derive(Clone, Debug)]
pub enum ProbeSpec {
    Http {
        settings: Arc<HttpSettings>,
        url: ZonedUrl,
        /// It was written with the port of its scheme (`http://host:80`), which is no part of `url` then.
        names_port: bool,
    },
    Tcp {
        settings: Arc<TcpSettings>,
        address: HostPort,
    },
    Dns {
        settings: Arc<DnsSettings>,
        server: DnsServer,
    },
    Icmp {
        settings: Arc<IcmpSettings>,
        host: String,
    },
    Grpc {
        settings: Arc<GrpcSettings>,
        address: HostPort,
    },
    Unix {
        settings: Arc<UnixSettings>,
        path: PathBuf,
    },
    Websocket {
        settings: Arc<WebsocketSettings>,
        url: ZonedUrl,
    },
}

/// The server that a DNS probe asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DnsServer {
    /// Over UDP, TCP or TLS.
    Host(HostPort),
    /// Over HTTPS (RFC 8484).
    Url(ZonedUrl),
}

impl ProbeSpec {
    /// The incumbent's name of the prober.
    pub fn prober(&self) -> &'static str {
        match self {
            Self::Http { .. } => "http",
            Self::Tcp { .. } => "tcp",
            Self::Dns { .. } => "dns",
            Self::Icmp { .. } => "icmp",
            Self::Grpc { .. } => "grpc",
            Self::Unix { .. } => "unix",
            Self::Websocket { .. } => "websocket",
        }
    }

    /// Whether the exporter itself looks the target's name up.
    pub fn resolves(&self) -> bool {
        match self {
            Self::Http { settings, .. } => !settings.proxy.is_used(),
            Self::Unix { .. } => false,
            Self::Tcp { .. } | Self::Dns { .. } | Self::Icmp { .. } | Self::Grpc { .. } | Self::Websocket { .. } => {
                true
            }
        }
    }

    /// The host and the port of the target itself, where it has them; an address of IPv6 in a URL has its brackets.
    pub fn peer(&self) -> (Option<&str>, Option<u16>) {
        match self {
            Self::Http { url, .. } | Self::Websocket { url, .. } | Self::Dns { server: DnsServer::Url(url), .. } => {
                (url.host_str(), url.port_or_known_default())
            }
            Self::Tcp { address, .. }
            | Self::Grpc { address, .. }
            | Self::Dns { server: DnsServer::Host(address), .. } => (Some(&address.host), Some(address.port)),
            Self::Icmp { host, .. } => (Some(host), None),
            Self::Unix { .. } => (None, None),
        }
    }

    /// Where to, without credentials.
    pub fn destination(&self) -> String {
        match self {
            Self::Http { url, .. } | Self::Websocket { url, .. } | Self::Dns { server: DnsServer::Url(url), .. } => {
                url.to_string()
            }
            Self::Tcp { address, .. }
            | Self::Grpc { address, .. }
            | Self::Dns { server: DnsServer::Host(address), .. } => address.to_string(),
            Self::Icmp { host, .. } => host.clone(),
            Self::Unix { path, .. } => path.display().to_string(),
        }
    }
}

/// `host:port`; the host is a name or an address literal (IPv6 without brackets, with the zone that it has).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    pub host: String,
    pub port: u16,
}

impl std::fmt::Display for HostPort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
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

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IpFamily {
    V4,
    V6,
}

impl IpFamily {
    pub fn of(address: std::net::IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }
}

impl Default for IpPreference {
    /// The incumbent's default.
    fn default() -> Self {
        Self { preferred: IpFamily::V6, fallback: true }
    }
}
