//! `tls_config`: files are read and parsed, and a key is held against its certificate.

use std::collections::HashMap;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, ServerName};
use sha2::{Digest, Sha256};

use super::{Resolver, names};
use crate::config::problem::At;
use crate::config::raw::RawTls;
use crate::config::tls::{ClientIdentity, TlsSettings, TlsVersion};

/// Parsed files by their content, so that all settings with one CA share one copy.
#[derive(Default)]
pub(super) struct PemCache {
    roots: HashMap<[u8; 32], Arc<[CertificateDer<'static>]>>,
    identities: HashMap<[u8; 32], Arc<ClientIdentity>>,
    crls: HashMap<[u8; 32], Arc<[CertificateRevocationListDer<'static>]>>,
}

/// PEM with the key that it came by.
pub(super) struct Pem {
    key: &'static str,
    /// The file's name, for messages.
    shown: String,
    bytes: Arc<[u8]>,
}

pub(super) fn tls(raw: Option<RawTls>, at: &At<'_>, r: &mut Resolver<'_>) -> TlsSettings {
    let Some(raw) = raw else { return TlsSettings::default() };
    let RawTls {
        insecure_skip_verify,
        ca,
        ca_file,
        ca_ref,
        cert,
        cert_file,
        cert_ref,
        key,
        key_file,
        key_ref,
        server_name,
        min_version,
        max_version,
        crl_file,
    } = raw;
    let ca = source(ca, ca_file, ca_ref, ["ca", "ca_file", "ca_ref"], at, r);
    let cert = source(cert, cert_file, cert_ref, ["cert", "cert_file", "cert_ref"], at, r);
    let key = source(key.map(|key| key.0), key_file, key_ref, ["key", "key_file", "key_ref"], at, r);
    let roots = ca.pem().and_then(|pem| roots(&pem, at, r));
    let client = match (cert, key) {
        (Source::None, Source::None) => None,
        (Source::None, _) => {
            r.problems.add_fault(&at.key("cert_file"), "is required beside a key; a client certificate needs both");
            None
        }
        (_, Source::None) => {
            r.problems
                .add_fault(&at.key("key_file"), "is required beside a certificate; a client certificate needs both");
            None
        }
        (Source::Pem(cert), Source::Pem(key)) => identity(&cert, &key, at, r),
        (Source::Pem(_) | Source::Bad, Source::Pem(_) | Source::Bad) => None,
    };
    let server_name = server_name.filter(|name| !name.is_empty());
    let server_name = server_name.map(|name| match names::authority(&name) {
        Ok(ascii) => ascii.into_owned(),
        Err(_) => name,
    });
    if let Some(name) = &server_name
        && ServerName::try_from(name.as_str()).is_err()
    {
        r.problems.add_fault(&at.key("server_name"), format!("{name:?} is neither a host name nor an address"));
    }
    let min_version = min_version.and_then(|text| version(&text, &at.key("min_version"), r));
    let max_version = max_version.and_then(|text| version(&text, &at.key("max_version"), r));
    if let (Some(min), Some(max)) = (min_version, max_version)
        && min > max
    {
        r.problems.add_fault(&at.key("max_version"), "is below min_version; no TLS version is left");
    }
    if let Some(max) = max_version.filter(|max| *max < TlsVersion::Tls12) {
        let message = format!(
            "{max} is not spoken by this exporter, so runs of this module fail with the reason \"internal\" whether or not \
             the target still speaks it"
        );
        r.warn(&at.key("max_version"), &message);
    }
    // What is less than rustls speaks is granted with the least that it does.
    let min_version = min_version.map(|min| min.max(TlsVersion::Tls12));
    let crls = crl_file.and_then(|file| {
        let at = at.key("crl_file");
        let bytes = r.files.read(&file, &at, &mut r.problems)?;
        crls(&bytes, &file, &at, r)
    });
    TlsSettings {
        insecure_skip_verify: insecure_skip_verify.unwrap_or(false),
        roots,
        client,
        server_name,
        min_version,
        max_version,
        crls,
    }
}

/// As [`tls`], for a prober that has TLS only where `used` says so. Where it has none, no file is missed.
pub(super) fn tls_where(used: bool, wish: &str, raw: Option<RawTls>, at: &At<'_>, r: &mut Resolver<'_>) -> TlsSettings {
    let before = r.problems.fault_count();
    let settings = tls(raw, at, r);
    if !used {
        for fault in r.problems.split_off_faults(before) {
            r.warn_path(fault.file, &fault.path, &format!("{}; it is not used without {wish}", fault.message()));
        }
    }
    settings
}

pub(super) enum Source {
    None,
    Pem(Pem),
    /// Given, but not to be had; said already.
    Bad,
}

impl Source {
    pub(super) fn pem(self) -> Option<Pem> {
        match self {
            Self::Pem(pem) => Some(pem),
            Self::None | Self::Bad => None,
        }
    }
}

/// The one of `key`, `key_file` and `key_ref` that is given.
pub(super) fn source(
    inline: Option<String>,
    file: Option<String>,
    reference: Option<String>,
    [key, key_file, key_ref]: [&'static str; 3],
    at: &At<'_>,
    r: &mut Resolver<'_>,
) -> Source {
    let inline = inline.filter(|text| !text.trim().is_empty());
    let file = file.filter(|text| !text.is_empty());
    let reference = reference.filter(|text| !text.is_empty());
    if reference.is_some() {
        r.no_secret_store(&at.key(key_ref), key, key_file);
        return Source::Bad;
    }
    match (inline, file) {
        (None, None) => Source::None,
        (Some(_), Some(_)) => {
            r.problems.add(&at.key(key_file), format!("cannot stand beside {key}; keep one of them"));
            Source::Bad
        }
        (Some(text), None) => {
            Source::Pem(Pem { key, shown: "the value".to_owned(), bytes: Arc::from(text.into_bytes()) })
        }
        (None, Some(file)) => match r.files.read(&file, &at.key(key_file), &mut r.problems) {
            Some(bytes) => Source::Pem(Pem { key: key_file, shown: file, bytes }),
            None => Source::Bad,
        },
    }
}

fn certificates(pem: &Pem, at: &At<'_>, r: &mut Resolver<'_>) -> Option<Vec<CertificateDer<'static>>> {
    let parsed: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem.bytes).collect();
    let problem = match parsed {
        Ok(certificates) if certificates.is_empty() => {
            format!("{} holds no certificate; PEM with BEGIN CERTIFICATE is wanted", pem.shown)
        }
        Ok(certificates) => {
            let broken = certificates.iter().position(|der| x509_parser::parse_x509_certificate(der).is_err());
            match broken {
                None => return Some(certificates),
                Some(index) => format!("{}: certificate number {} cannot be parsed", pem.shown, index + 1),
            }
        }
        Err(error) => format!("{} is not PEM: {error}", pem.shown),
    };
    r.problems.add_fault(&at.key(pem.key), problem);
    None
}

pub(super) fn roots(pem: &Pem, at: &At<'_>, r: &mut Resolver<'_>) -> Option<Arc<[CertificateDer<'static>]>> {
    let hash: [u8; 32] = Sha256::digest(&pem.bytes).into();
    if let Some(known) = r.pem.roots.get(&hash) {
        return Some(Arc::clone(known));
    }
    let roots: Arc<[_]> = certificates(pem, at, r)?.into();
    if let Some(index) = roots.iter().position(|der| webpki::anchor_from_trusted_cert(der).is_err()) {
        let message = format!("{}: certificate number {} cannot be a trusted root", pem.shown, index + 1);
        r.problems.add_fault(&at.key(pem.key), message);
        return None;
    }
    r.pem.roots.insert(hash, Arc::clone(&roots));
    Some(roots)
}

pub(super) fn identity(cert: &Pem, key: &Pem, at: &At<'_>, r: &mut Resolver<'_>) -> Option<Arc<ClientIdentity>> {
    let mut hash = Sha256::new();
    hash.update(Sha256::digest(&cert.bytes));
    hash.update(Sha256::digest(&key.bytes));
    let hash: [u8; 32] = hash.finalize().into();
    if let Some(known) = r.pem.identities.get(&hash) {
        return Some(Arc::clone(known));
    }
    let chain = certificates(cert, at, r);
    let encrypted = String::from_utf8_lossy(&key.bytes).contains("ENCRYPTED");
    let signer = match PrivateKeyDer::from_pem_slice(&key.bytes) {
        Ok(private) => {
            let provider = rustls::crypto::aws_lc_rs::default_provider();
            match provider.key_provider.load_private_key(private.clone_key()) {
                Ok(signer) => Ok((private, signer)),
                Err(_) => Err(format!("{} holds {}", key.shown, super::private_key::why_unusable(&private))),
            }
        }
        Err(_) if encrypted => Err(format!("{} holds an encrypted key; store it without a passphrase", key.shown)),
        Err(_) => Err(format!("{} holds no private key; PEM with BEGIN PRIVATE KEY is wanted", key.shown)),
    };
    let (private, signer) = match signer {
        Ok(both) => both,
        Err(message) => {
            r.problems.add_fault(&at.key(key.key), message);
            return None;
        }
    };
    let chain = chain?;
    match rustls::sign::CertifiedKey::new(chain.clone(), signer).keys_match() {
        // Unknown: the key's kind keeps its public half to itself.
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {}
        Err(_) => {
            let message = format!("{}: the key does not belong to the certificate in {}", key.shown, cert.key);
            r.problems.add_fault(&at.key(key.key), message);
            return None;
        }
    }
    let identity = Arc::new(ClientIdentity { chain, key: private });
    r.pem.identities.insert(hash, Arc::clone(&identity));
    Some(identity)
}

fn crls(
    bytes: &[u8],
    file: &str,
    at: &At<'_>,
    r: &mut Resolver<'_>,
) -> Option<Arc<[CertificateRevocationListDer<'static>]>> {
    let hash: [u8; 32] = Sha256::digest(bytes).into();
    if let Some(known) = r.pem.crls.get(&hash) {
        return Some(Arc::clone(known));
    }
    let pem: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(bytes).collect();
    let lists: Vec<CertificateRevocationListDer<'static>> = match pem {
        Ok(lists) if !lists.is_empty() => lists,
        Ok(_) | Err(_) => vec![CertificateRevocationListDer::from(bytes.to_vec())],
    };
    if lists.iter().any(|list| webpki::OwnedCertRevocationList::from_der(list).is_err()) {
        let message = format!("{file} holds no revocation list that can be parsed; PEM with BEGIN X509 CRL, or DER");
        r.problems.add_fault(at, message);
        return None;
    }
    let lists: Arc<[_]> = lists.into();
    r.pem.crls.insert(hash, Arc::clone(&lists));
    Some(lists)
}

pub(super) fn version(text: &str, at: &At<'_>, r: &mut Resolver<'_>) -> Option<TlsVersion> {
    match text {
        "" => None,
        "TLS10" => Some(TlsVersion::Tls10),
        "TLS11" => Some(TlsVersion::Tls11),
        "TLS12" => Some(TlsVersion::Tls12),
        "TLS13" => Some(TlsVersion::Tls13),
        _ => {
            let shown = crate::config::problem::shorten(text);
            r.problems.add(at, format!("{shown:?} is not a TLS version; versions are TLS10, TLS11, TLS12 and TLS13"));
            None
        }
    }
}
