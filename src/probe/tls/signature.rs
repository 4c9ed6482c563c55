//! Signatures: which ones a chain may have, and whether the server holds the key of the certificate that it shows.
//!
//! The library's set begins at RSA keys of 2048 bits; the incumbent's at 1024, so those are added where the library below
//! can check them (PKCS #1 with SHA-256 and SHA-512), and handshakes with PSS by a check of our own.
//!
//! With `insecure_skip_verify` more schemes are offered than can be checked. A signature of a kind that cannot be checked is
//! accepted then and noted: anybody could have shown a certificate of their own, so it proves nothing. One that can be
//! checked and is wrong is a fault of the handshake, whatever the certificate is worth.

use std::sync::LazyLock;

use aws_lc_rs::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use rustls::crypto::{WebPkiSupportedAlgorithms, aws_lc_rs as library};
use rustls::pki_types::{
    AlgorithmIdentifier, CertificateDer, InvalidSignature, SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer,
    alg_id,
};
use rustls::{DigitallySignedStruct, SignatureScheme};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;
use x509_parser::public_key::PublicKey;

use super::small_pss;
use crate::config::rsa;

/// What chains are verified with, and handshakes.
pub(super) static VERIFIED: LazyLock<WebPkiSupportedAlgorithms> = LazyLock::new(|| {
    let inner = library::default_provider().signature_verification_algorithms;
    let all: Vec<_> = inner.all.iter().map(|&algorithm| smaller_keys_too(algorithm)).collect();
    let mapping = inner.mapping.iter().map(|&(scheme, algorithms)| {
        let algorithms: Vec<_> = algorithms.iter().map(|&algorithm| smaller_keys_too(algorithm)).collect();
        (scheme, &*algorithms.leak())
    });
    WebPkiSupportedAlgorithms { all: all.leak(), mapping: mapping.collect::<Vec<_>>().leak() }
});

/// What can be checked beyond, with `insecure_skip_verify` alone.
static UNVERIFIED: [(SignatureScheme, &[&dyn SignatureVerificationAlgorithm]); 2] =
    [(SignatureScheme::RSA_PKCS1_SHA1, &[&RSA_SHA1]), (SignatureScheme::ECDSA_SHA1_Legacy, &[&P256_SHA1, &P521_SHA1])];

/// What is offered beyond, with `insecure_skip_verify` alone: Ed448, keys that are for RSA-PSS only, SHA-1.
const OFFERED_UNVERIFIED: [SignatureScheme; 6] = [
    SignatureScheme::ED448,
    SignatureScheme::Unknown(0x0809),
    SignatureScheme::Unknown(0x080a),
    SignatureScheme::Unknown(0x080b),
    SignatureScheme::RSA_PKCS1_SHA1,
    SignatureScheme::ECDSA_SHA1_Legacy,
];

/// Sizes of RSA keys that are checked, and with PKCS #1 and SHA-384.
const RSA_BITS: std::ops::RangeInclusive<usize> = 1024..=8192;
const RSA_SHA384_LEAST: usize = 2048;
/// Below it the library does not check PSS, and [`small_pss`] does.
const RSA_PSS_LIBRARY_LEAST: usize = 2048;

/// The smaller hashes first, as the incumbent has them: servers mostly go by this order, and with a small key the larger
/// ones do not fit.
pub(super) fn schemes_verified() -> Vec<SignatureScheme> {
    let mut schemes = VERIFIED.supported_schemes();
    #[allow(clippy::wildcard_enum_match_arm)] // SHA-512 and what has a hash of its own
    schemes.sort_by_key(|scheme| match scheme {
        SignatureScheme::ECDSA_NISTP256_SHA256 | SignatureScheme::ED25519 => 0,
        SignatureScheme::RSA_PSS_SHA256 | SignatureScheme::RSA_PKCS1_SHA256 => 0,
        SignatureScheme::ECDSA_NISTP384_SHA384 => 1,
        SignatureScheme::RSA_PSS_SHA384 | SignatureScheme::RSA_PKCS1_SHA384 => 1,
        _ => 2,
    });
    schemes
}

pub(super) fn schemes_unverified() -> Vec<SignatureScheme> {
    let mut schemes = schemes_verified();
    schemes.extend(OFFERED_UNVERIFIED);
    schemes
}

/// Whether the server signed the handshake with the key of its certificate.
#[derive(Debug, PartialEq)]
pub(super) enum Signature {
    Right,
    Wrong,
    /// Not to be told, for the reason in the sentence.
    Unknown(String),
}

/// Looks at nothing of the certificate but its key.
pub(super) fn check(message: &[u8], certificate: &CertificateDer<'_>, signed: &DigitallySignedStruct) -> Signature {
    let Ok((_, parsed)) = X509Certificate::from_der(certificate) else {
        return Signature::Unknown("the key of the server's certificate cannot be read".to_owned());
    };
    let scheme = signed.scheme;
    if let (Some(bits), Ok(PublicKey::RSA(key))) = (rsa_bits(&parsed), parsed.public_key().parsed()) {
        if let Some(limit) = beyond(bits, scheme) {
            return Signature::Unknown(limit);
        }
        if bits < RSA_PSS_LIBRARY_LEAST
            && is_rsa_encryption(&parsed)
            && let Some(right) = small_pss::verify(key.modulus, key.exponent, scheme, message, signed.signature())
        {
            return if right { Signature::Right } else { Signature::Wrong };
        }
    }
    let spki = SubjectPublicKeyInfoDer::from(parsed.public_key().raw);
    let Ok(key) = webpki::RawPublicKeyEntity::try_from(&spki) else {
        return Signature::Unknown("the key of the server's certificate cannot be read".to_owned());
    };
    let known = VERIFIED.mapping.iter().chain(&UNVERIFIED).filter(|(known, _)| *known == scheme);
    for algorithm in known.flat_map(|(_, algorithms)| algorithms.iter()) {
        match key.verify_signature(*algorithm, message, signed.signature()) {
            Ok(()) => return Signature::Right,
            Err(webpki::Error::InvalidSignatureForPublicKey) => return Signature::Wrong,
            // An algorithm for another kind of key.
            Err(_) => {}
        }
    }
    let kind = parsed.public_key().algorithm.algorithm.to_id_string();
    Signature::Unknown(format!(
        "signatures by the server's kind of key (OID {kind}, {scheme:?}) cannot be checked here"
    ))
}

/// Not a key that is for RSA-PSS alone.
fn is_rsa_encryption(certificate: &X509Certificate<'_>) -> bool {
    certificate.public_key().algorithm.algorithm == x509_parser::oid_registry::OID_PKCS1_RSAENCRYPTION
}

/// The size of the key, if it is an RSA key.
pub(super) fn rsa_bits(certificate: &X509Certificate<'_>) -> Option<usize> {
    match certificate.public_key().parsed() {
        Ok(PublicKey::RSA(key)) => Some(rsa::bits(key.modulus)).filter(|bits| *bits > 0),
        _ => None,
    }
}

/// Why a key of this size cannot be used in chains, in words.
pub(super) fn size_refused(bits: usize) -> Option<String> {
    if RSA_BITS.contains(&bits) {
        return None;
    }
    let (least, most) = (RSA_BITS.start(), RSA_BITS.end());
    Some(format!("an RSA key of {bits} bits; those of {least} to {most} bits are trusted"))
}

fn beyond(bits: usize, scheme: SignatureScheme) -> Option<String> {
    let (least, with) = if scheme == SignatureScheme::RSA_PKCS1_SHA384 {
        (RSA_SHA384_LEAST, " with SHA-384")
    } else {
        (*RSA_BITS.start(), "")
    };
    let most = RSA_BITS.end();
    (!(least..=*most).contains(&bits)).then(|| {
        format!(
            "the server's RSA key has {bits} bits; signatures by keys of {least} to {most} bits can be checked here{with}"
        )
    })
}

/// RSA with SHA-256 and SHA-512 from 1024 bits; the rest as it is.
fn smaller_keys_too(
    algorithm: &'static dyn SignatureVerificationAlgorithm,
) -> &'static dyn SignatureVerificationAlgorithm {
    let replaced: [&'static dyn SignatureVerificationAlgorithm; 2] = [&RSA_SHA256, &RSA_SHA512];
    let same = |new: &&'static dyn SignatureVerificationAlgorithm| {
        new.public_key_alg_id() == algorithm.public_key_alg_id()
            && new.signature_alg_id() == algorithm.signature_alg_id()
    };
    replaced.into_iter().find(same).unwrap_or(algorithm)
}

static RSA_SHA256: Algorithm = Algorithm {
    key: alg_id::RSA_ENCRYPTION,
    signature: alg_id::RSA_PKCS1_SHA256,
    check: &signature::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
};
static RSA_SHA512: Algorithm = Algorithm {
    key: alg_id::RSA_ENCRYPTION,
    signature: alg_id::RSA_PKCS1_SHA512,
    check: &signature::RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY,
};
// These three are for handshakes alone, where the signature's own identifier is not asked for.
static RSA_SHA1: Algorithm = Algorithm {
    key: alg_id::RSA_ENCRYPTION,
    signature: alg_id::RSA_ENCRYPTION,
    check: &signature::RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY,
};
static P256_SHA1: Algorithm =
    Algorithm { key: alg_id::ECDSA_P256, signature: alg_id::ECDSA_P256, check: &signature::ECDSA_P256_SHA1_ASN1 };
static P521_SHA1: Algorithm =
    Algorithm { key: alg_id::ECDSA_P521, signature: alg_id::ECDSA_P521, check: &signature::ECDSA_P521_SHA1_ASN1 };

#[derive(Debug)]
struct Algorithm {
    key: AlgorithmIdentifier,
    signature: AlgorithmIdentifier,
    check: &'static dyn VerificationAlgorithm,
}

impl SignatureVerificationAlgorithm for Algorithm {
    fn verify_signature(&self, public_key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        UnparsedPublicKey::new(self.check, public_key).verify(message, signature).map_err(|_| InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.key
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.signature
    }
}
