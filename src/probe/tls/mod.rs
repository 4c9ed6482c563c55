//! TLS for all probers: rustls configs built once per settings, a verifier that records the chain also when it
//! rejects it, and the mapping of TLS and socket errors to reasons.
//!
//! `verifier` judges certificates against `roots`, with `hostname` and `signature`; `recorder` keeps what a handshake showed; `provider` and the session
//! store in `recorder` are where rustls tells it; `certificate` and `name` turn DER into text, once per chain;
//! `classify` turns errors into reasons. What to connect to and which name to ask for is the prober's.

mod cbc;
mod certificate;
mod classify;
mod group;
mod hostname;
mod name;
mod provider;
mod recorder;
mod roots;
mod signature;
mod small_pss;
#[cfg(test)]
mod tests;
mod verifier;
mod words;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rustls::ClientConfig;
use rustls::client::{Resumption, Tls12Resumption};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName};

pub use self::classify::{Stage, classify, classify_at, classify_connect};
pub(crate) use self::classify::{io_text, is_exhausted};
pub use self::recorder::Recorder;

use self::certificate::Chains;
use self::recorder::NoSessions;
use self::roots::Roots;
use self::verifier::{Policy, RecordingVerifier};
use crate::config::TlsSettings;
use crate::config::tls::TlsVersion;
use crate::config::zoned::without_zone;

/// rustls client configs by their settings; equal settings share one.
#[derive(Default)]
pub struct TlsConfigs {
    built: Mutex<Vec<Built>>,
    /// The operating system's trust store, read when the first target needs it.
    native: OnceLock<Arc<Roots>>,
    /// Roots of `ca_file`s, so that ALPN variants of one setting share them.
    configured: Mutex<Vec<(CaFile, Arc<Roots>)>>,
    chains: Arc<Chains>,
}

type CaFile = Arc<[CertificateDer<'static>]>;

struct Built {
    settings: TlsSettings,
    alpn: Alpn,
    config: Arc<ClientConfig>,
}

/// What is offered by ALPN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Alpn {
    None,
    Http1,
    Http2AndHttp1,
    /// HTTP/2 alone.
    Http2,
    /// HTTP/3, over QUIC and so over TLS 1.3 alone.
    Http3,
}

#[derive(Debug, thiserror::Error)]
pub enum TlsSetupError {
    #[error(transparent)]
    Rustls(#[from] rustls::Error),
    #[error("trusted certificate {index} of the CA file cannot be used: {}", words::of_chain(.error))]
    Root { index: usize, error: webpki::Error },
    #[error("revocation list {index} cannot be read: {}", words::of_chain(.error))]
    Crl { index: usize, error: webpki::Error },
    #[error("min_version is above max_version, so no TLS version is left")]
    NoVersion,
    #[error("HTTP/3 is spoken over TLS 1.3 alone, which max_version excludes")]
    OnlyTls13,
    #[error("{0:?} can be no server name in TLS; set tls_config.server_name")]
    ServerName(String),
}

impl TlsConfigs {
    /// Configs beyond this number are dropped once no prober holds them (reloads leave such behind).
    const KEPT_UNUSED: usize = 64;

    /// A config whose verifier, ciphers and session store report to the [`Recorder`] of the current task.
    ///
    /// Every handshake with it is a full one: no session is stored, no early data sent.
    pub fn client(&self, settings: &TlsSettings, alpn: Alpn) -> Result<Arc<ClientConfig>, TlsSetupError> {
        let mut built = self.built.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = built.iter().find(|b| b.alpn == alpn && same_config(&b.settings, settings)) {
            return Ok(Arc::clone(&found.config));
        }
        let config = Arc::new(self.build(settings, alpn)?);
        if built.len() >= Self::KEPT_UNUSED {
            built.retain(|b| Arc::strong_count(&b.config) > 1);
        }
        built.push(Built { settings: settings.clone(), alpn, config: Arc::clone(&config) });
        Ok(config)
    }

    fn build(&self, settings: &TlsSettings, alpn: Alpn) -> Result<ClientConfig, TlsSetupError> {
        if let Some(max) = settings.max_version.filter(|max| *max < TlsVersion::Tls12 && alpn != Alpn::Http3) {
            return Ok(unspoken(max)?);
        }
        let mut versions = versions(settings)?;
        if alpn == Alpn::Http3 {
            versions.retain(|version| **version == rustls::version::TLS13);
            if versions.is_empty() {
                return Err(TlsSetupError::OnlyTls13);
            }
        }
        let provider = provider::provider();
        let policy = if settings.insecure_skip_verify { Policy::Skip } else { Policy::Verify };
        let roots = self.roots(settings)?;
        let crls = settings.crls.as_deref().unwrap_or_default();
        let verifier = RecordingVerifier::new(Arc::clone(&self.chains), policy, roots, crls)?;

        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&versions)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match &settings.client {
            Some(client) => builder.with_client_auth_cert(client.chain.clone(), client.key.clone_key())?,
            None => builder.with_no_client_auth(),
        };
        config.resumption = Resumption::store(Arc::new(NoSessions)).tls12_resumption(Tls12Resumption::Disabled);
        config.alpn_protocols = match alpn {
            Alpn::None => Vec::new(),
            Alpn::Http1 => vec![b"http/1.1".to_vec()],
            Alpn::Http2AndHttp1 => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            Alpn::Http2 => vec![b"h2".to_vec()],
            Alpn::Http3 => vec![b"h3".to_vec()],
        };
        Ok(config)
    }

    fn roots(&self, settings: &TlsSettings) -> Result<Arc<Roots>, TlsSetupError> {
        let Some(certificates) = &settings.roots else {
            return Ok(Arc::clone(self.native.get_or_init(|| Arc::new(Roots::native()))));
        };
        let mut configured = self.configured.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, roots)) = configured.iter().find(|(known, _)| known == certificates) {
            return Ok(Arc::clone(roots));
        }
        let roots = Arc::new(Roots::configured(certificates)?);
        configured.retain(|(_, roots)| Arc::strong_count(roots) > 1);
        configured.push((Arc::clone(certificates), Arc::clone(&roots)));
        Ok(roots)
    }
}

/// Whether two settings need the same rustls config. The server name is no part of it: it is given with each handshake.
fn same_config(a: &TlsSettings, b: &TlsSettings) -> bool {
    let TlsSettings { insecure_skip_verify, roots, client, server_name: _, min_version, max_version, crls } = a;
    *insecure_skip_verify == b.insecure_skip_verify
        && *min_version == b.min_version
        && *max_version == b.max_version
        && *roots == b.roots
        && *client == b.client
        && *crls == b.crls
}

fn versions(settings: &TlsSettings) -> Result<Vec<&'static rustls::SupportedProtocolVersion>, TlsSetupError> {
    let min = settings.min_version.unwrap_or(TlsVersion::Tls12);
    let max = settings.max_version.unwrap_or(TlsVersion::Tls13);
    let mut versions = Vec::with_capacity(2);
    for (version, rustls_version) in
        [(TlsVersion::Tls13, &rustls::version::TLS13), (TlsVersion::Tls12, &rustls::version::TLS12)]
    {
        if (min..=max).contains(&version) {
            versions.push(rustls_version);
        }
    }
    if versions.is_empty() { Err(TlsSetupError::NoVersion) } else { Ok(versions) }
}

/// A config with which every handshake fails before the first byte, and says why.
fn unspoken(max: TlsVersion) -> Result<ClientConfig, rustls::Error> {
    let provider =
        CryptoProvider { kx_groups: vec![group::unspoken(max)], ..CryptoProvider::clone(&provider::provider()) };
    let builder = ClientConfig::builder_with_provider(Arc::new(provider));
    let builder = builder.with_protocol_versions(&[&rustls::version::TLS13])?;
    let mut config = builder.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth();
    config.resumption = Resumption::store(Arc::new(NoSessions));
    Ok(config)
}

/// The name to ask for and to verify: `tls_config.server_name` when set, else the target's host.
pub fn server_name(settings: &TlsSettings, host: &str) -> Result<ServerName<'static>, TlsSetupError> {
    // A certificate has addresses without zones.
    let name = settings.server_name.as_deref().unwrap_or_else(|| without_zone(host));
    // The root dot is right in DNS, but no part of a name in a certificate (RFC 6066 section 3).
    let bare = name.strip_suffix('.').unwrap_or(name);
    ServerName::try_from(bare.to_owned()).map_err(|_| TlsSetupError::ServerName(name.to_owned()))
}
