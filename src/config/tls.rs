//! The incumbent's `tls_config`, resolved: files are read, keys are checked against their certificates.

use std::sync::Arc;

use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};

/// What a TLS client needs to know. Equal settings share one rustls config.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TlsSettings {
    /// Accept any certificate. The chain is still recorded.
    pub insecure_skip_verify: bool,
    /// Trusted roots instead of the operating system's; never empty.
    pub roots: Option<Arc<[CertificateDer<'static>]>>,
    pub client: Option<Arc<ClientIdentity>>,
    /// Overrides SNI and the name that the certificate must carry.
    pub server_name: Option<String>,
    /// TLS 1.2 is the floor of rustls; older minimums in the file mean 1.2.
    pub min_version: Option<TlsVersion>,
    /// Below 1.2, runs fail with a sentence that says whose limit it is.
    pub max_version: Option<TlsVersion>,
    /// Revocation lists to hold the chain against (our addition: `crl_file`).
    pub crls: Option<Arc<[CertificateRevocationListDer<'static>]>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TlsVersion {
    Tls10,
    Tls11,
    Tls12,
    Tls13,
}

impl std::fmt::Display for TlsVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Tls10 => "TLS 1.0",
            Self::Tls11 => "TLS 1.1",
            Self::Tls12 => "TLS 1.2",
            Self::Tls13 => "TLS 1.3",
        })
    }
}

/// A client certificate with its key; they belong together (checked at load).
#[derive(PartialEq)]
pub struct ClientIdentity {
    pub chain: Vec<CertificateDer<'static>>,
    pub key: PrivateKeyDer<'static>,
}

impl std::fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientIdentity").field("chain", &self.chain.len()).finish_non_exhaustive()
    }
}
