//! The file of `--web.config.file`, in exporter-toolkit's format: TLS, client certificates, users, headers of the server.
//! <https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md>

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use rustls::pki_types::CertificateDer;

use super::tls::{ClientIdentity, TlsVersion};
use super::watch::{Stamp, Watch};
use super::{ConfigErrors, Secret, Source, resolve};

/// The file, checked; everything that it names is read.
#[derive(Debug, Default)]
pub struct WebConfig {
    pub tls: Option<ServerTls>,
    /// Whether HTTP/2 is offered. Without TLS it is spoken with those who begin with it.
    pub http2: bool,
    /// On every answer.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Name and bcrypt hash. Empty: no password is asked for.
    pub users: Vec<(String, Secret)>,
    /// Paths below the route prefix for which no password is asked for.
    pub auth_excluded_paths: Vec<String>,
    pub rate_limit: Option<RateLimit>,
    watch: Watch,
    loaded: Stamp,
}

#[derive(Clone, Debug)]
pub struct ServerTls {
    /// Chain and key.
    pub identity: Arc<ClientIdentity>,
    pub client_auth: ClientAuth,
    /// Whom client certificates must come from; the operating system's roots when there is none.
    pub client_roots: Option<Arc<[CertificateDer<'static>]>>,
    /// Names of which a client's certificate must have one; empty is any.
    pub client_names: Vec<String>,
    pub min_version: Option<TlsVersion>,
    pub max_version: Option<TlsVersion>,
    /// IANA names, in order of preference; empty is what rustls prefers.
    pub cipher_suites: Vec<String>,
    /// Go's names; empty is what rustls prefers.
    pub curves: Vec<String>,
    /// Ours before the client's order.
    pub prefer_server_order: bool,
}

/// Go's `tls.ClientAuthType`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientAuth {
    #[default]
    None,
    /// Asked for, and taken whatever it is.
    Request,
    /// Wanted, and taken whatever it is.
    RequireAny,
    VerifyIfGiven,
    RequireAndVerify,
}

/// One request each `interval`, and `burst` more at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    pub interval: Duration,
    pub burst: u32,
}

impl WebConfig {
    /// What holds without a file.
    pub fn absent() -> Self {
        let auth_excluded_paths = ["/-/healthy", "/-/ready"].map(str::to_owned).into();
        Self { http2: true, auth_excluded_paths, ..Self::default() }
    }

    /// # Errors
    /// Every problem of the file.
    pub fn load(path: &Path) -> Result<Self, ConfigErrors> {
        let source = Source::read(path)?;
        let mut config = resolve::web(&source)?;
        config.watch.files.push(PathBuf::from(path));
        config.loaded = config.watch.stamp();
        Ok(config)
    }

    /// Whether the file, or one that it names, is not what it was when it was read.
    pub fn has_changed(&self) -> bool {
        self.watch.stamp() != self.loaded
    }

    pub(super) fn watching(self, watch: Watch) -> Self {
        Self { watch, ..self }
    }
}
