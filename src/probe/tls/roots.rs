//! The certificates that chains must lead to: the operating system's, or those of a `ca_file`.

use std::collections::HashSet;

use rustls::pki_types::{CertificateDer, TrustAnchor};
use sha2::{Digest, Sha256};
use tracing::warn;
use webpki::anchor_from_trusted_cert;

use super::TlsSetupError;
use super::certificate::{Validity, validity};

/// Trusted roots, parsed once.
#[derive(Debug, Default)]
pub(super) struct Roots {
    /// As webpki wants them. `facts` has the same order.
    anchors: Vec<TrustAnchor<'static>>,
    facts: Vec<RootFacts>,
    /// SHA-256 of each root's DER, to recognise a server certificate that is itself trusted.
    fingerprints: HashSet<[u8; 32]>,
}

/// What a [`TrustAnchor`] leaves out.
#[derive(Debug)]
struct RootFacts {
    /// `None` when the dates cannot be read; such a root is taken as always valid.
    validity: Option<Validity>,
}

impl Roots {
    /// The operating system's store. An empty or partly unreadable one is no error: every chain is untrusted then,
    /// and the failure says so.
    pub(super) fn native() -> Self {
        let loaded = rustls_native_certs::load_native_certs();
        for error in &loaded.errors {
            warn!(%error, "Cannot read a part of the system's trust store.");
        }
        let mut roots = Self::default();
        for certificate in &loaded.certs {
            if let Err(error) = roots.add(certificate) {
                warn!(%error, "Cannot use a certificate of the system's trust store.");
            }
        }
        if roots.is_empty() {
            warn!("The system's trust store is empty; certificates of targets without a ca_file will be untrusted.");
        }
        roots
    }

    /// The roots of a `ca_file`, each of which must be usable.
    pub(super) fn configured(certificates: &[CertificateDer<'static>]) -> Result<Self, TlsSetupError> {
        let mut roots = Self::default();
        for (index, certificate) in certificates.iter().enumerate() {
            roots.add(certificate).map_err(|error| TlsSetupError::Root { index, error })?;
        }
        Ok(roots)
    }

    fn add(&mut self, certificate: &CertificateDer<'_>) -> Result<(), webpki::Error> {
        let anchor = anchor_from_trusted_cert(certificate)?.to_owned();
        if self.fingerprints.insert(Sha256::digest(certificate).into()) {
            self.anchors.push(anchor);
            self.facts.push(RootFacts { validity: validity(certificate) });
        }
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.anchors.is_empty()
    }

    pub(super) fn anchors(&self) -> &[TrustAnchor<'static>] {
        &self.anchors
    }

    /// The dates of the root that `anchor` was made from. Several roots may share subject and key (reissued ones), so
    /// what counts is which element of [`Self::anchors`] it is.
    pub(super) fn validity(&self, anchor: &TrustAnchor<'_>) -> Option<Validity> {
        let index = self.anchors.iter().position(|known| std::ptr::eq(known, anchor))?;
        self.facts[index].validity
    }

    /// Whether this very certificate is one of the roots.
    pub(super) fn contains(&self, certificate: &CertificateDer<'_>) -> bool {
        self.fingerprints.contains(&<[u8; 32]>::from(Sha256::digest(certificate)))
    }
}
