//! The crypto provider: aws-lc-rs, with cipher suites that tell the [`Recorder`] which one was chosen, and with what older
//! peers need: the CBC suites of TLS 1.2 and the curve P-521 (`docs/decisions/0003-old-tls.md`).
//!
//! rustls shows version and suite on the connection only after the handshake, and reqwest hides the connection. The
//! suites themselves, however, are called when keys are made, also in a handshake that fails later.

use std::sync::{Arc, LazyLock};

use rustls::crypto::cipher::{
    AeadKey, InboundOpaqueMessage, InboundPlainMessage, Iv, KeyBlockShape, MessageDecrypter, MessageEncrypter,
    Tls12AeadAlgorithm, Tls13AeadAlgorithm, UnsupportedOperationError,
};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::{
    CipherSuite, CipherSuiteCommon, ConnectionTrafficSecrets, Error, SignatureScheme, SupportedCipherSuite,
    Tls12CipherSuite, Tls13CipherSuite, quic,
};

use super::cbc;
use super::group::SECP521R1;
use super::recorder::Recorder;

pub(super) const TLS12: &str = "TLS 1.2";
pub(super) const TLS13: &str = "TLS 1.3";

/// One provider for the whole process.
static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
    let inner = aws_lc_rs::default_provider();
    Arc::new(CryptoProvider {
        // The old ones last: a server that goes by our order takes one only when it has nothing better.
        cipher_suites: inner.cipher_suites.iter().copied().chain(cbc_suites(&inner)).map(recording).collect(),
        // The first group's key share goes out with every ClientHello. X25519 is the cheapest and understood nearly
        // everywhere. The post-quantum hybrid comes last: its share is 1.2 kB and costs CPU on each run, a probe has
        // no secret to keep for decades, and a server that insists on it still gets it after a HelloRetryRequest.
        // P-521 is for those that have nothing else. It also tells a TLS 1.2 server that it may show a key on that curve.
        kx_groups: vec![
            aws_lc_rs::kx_group::X25519,
            aws_lc_rs::kx_group::SECP256R1,
            aws_lc_rs::kx_group::SECP384R1,
            aws_lc_rs::kx_group::X25519MLKEM768,
            SECP521R1,
        ],
        ..inner
    })
});

pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::clone(&PROVIDER)
}

/// The IANA name, as the incumbent prints it.
pub(super) fn iana_name(suite: CipherSuite) -> &'static str {
    #[allow(clippy::wildcard_enum_match_arm)] // all others are spelled as IANA does
    match suite {
        // rustls names these after its constants (TLS13_...), IANA does not.
        CipherSuite::TLS13_AES_128_GCM_SHA256 => "TLS_AES_128_GCM_SHA256",
        CipherSuite::TLS13_AES_256_GCM_SHA384 => "TLS_AES_256_GCM_SHA384",
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => "TLS_CHACHA20_POLY1305_SHA256",
        other => other.as_str().unwrap_or("unknown"),
    }
}

/// Built from suites of the library with the same kind of key. Called once, by [`PROVIDER`].
fn cbc_suites(library: &CryptoProvider) -> impl Iterator<Item = SupportedCipherSuite> {
    cbc::SUITES.iter().filter_map(|&(suite, like, algorithm)| {
        let like = library.cipher_suites.iter().find(|known| known.suite() == like)?;
        let SupportedCipherSuite::Tls12(like) = like else { return None };
        let common = CipherSuiteCommon { suite, ..copy(&like.common) };
        Some(SupportedCipherSuite::Tls12(Box::leak(Box::new(Tls12CipherSuite {
            common,
            prf_provider: like.prf_provider,
            kx: like.kx,
            sign: like.sign,
            aead_alg: algorithm,
        }))))
    })
}

/// Leaks a copy of the suite: rustls wants them `'static`. Called once a suite, by [`PROVIDER`].
fn recording(suite: SupportedCipherSuite) -> SupportedCipherSuite {
    match suite {
        SupportedCipherSuite::Tls13(inner) => SupportedCipherSuite::Tls13(Box::leak(Box::new(Tls13CipherSuite {
            common: copy(&inner.common),
            hkdf_provider: inner.hkdf_provider,
            aead_alg: Box::leak(Box::new(Recording13 { inner: inner.aead_alg, name: iana_name(inner.common.suite) })),
            quic: inner.quic.map(|quic| -> &'static dyn quic::Algorithm {
                Box::leak(Box::new(RecordingQuic { inner: quic, name: iana_name(inner.common.suite) }))
            }),
        }))),
        SupportedCipherSuite::Tls12(inner) => SupportedCipherSuite::Tls12(Box::leak(Box::new(Tls12CipherSuite {
            common: copy(&inner.common),
            prf_provider: inner.prf_provider,
            kx: inner.kx,
            sign: with_ed448(inner.sign),
            aead_alg: Box::leak(Box::new(Recording12 { inner: inner.aead_alg, name: iana_name(inner.common.suite) })),
        }))),
    }
}

/// With `insecure_skip_verify`, keys of Ed448 are taken unchecked, and rustls asks the suite first.
fn with_ed448(sign: &'static [SignatureScheme]) -> &'static [SignatureScheme] {
    if !sign.contains(&SignatureScheme::ED25519) {
        return sign;
    }
    let mut sign = sign.to_vec();
    sign.push(SignatureScheme::ED448);
    sign.leak()
}

fn copy(common: &CipherSuiteCommon) -> CipherSuiteCommon {
    CipherSuiteCommon {
        suite: common.suite,
        hash_provider: common.hash_provider,
        confidentiality_limit: common.confidentiality_limit,
    }
}

struct Recording13 {
    inner: &'static dyn Tls13AeadAlgorithm,
    name: &'static str,
}

impl Tls13AeadAlgorithm for Recording13 {
    fn encrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageEncrypter> {
        Recorder::note(|seen| seen.suite_chosen(TLS13, self.name));
        self.inner.encrypter(key, iv)
    }

    fn decrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageDecrypter> {
        Recorder::note(|seen| seen.suite_chosen(TLS13, self.name));
        self.inner.decrypter(key, iv)
    }

    fn key_len(&self) -> usize {
        self.inner.key_len()
    }

    fn extract_keys(&self, key: AeadKey, iv: Iv) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        self.inner.extract_keys(key, iv)
    }

    fn fips(&self) -> bool {
        self.inner.fips()
    }
}

/// QUIC makes its keys here. Its first ones are of one fixed suite; those of the chosen suite come after.
struct RecordingQuic {
    inner: &'static dyn quic::Algorithm,
    name: &'static str,
}

impl quic::Algorithm for RecordingQuic {
    fn packet_key(&self, key: AeadKey, iv: Iv) -> Box<dyn quic::PacketKey> {
        Recorder::note(|seen| seen.suite_chosen(TLS13, self.name));
        self.inner.packet_key(key, iv)
    }

    fn header_protection_key(&self, key: AeadKey) -> Box<dyn quic::HeaderProtectionKey> {
        self.inner.header_protection_key(key)
    }

    fn aead_key_len(&self) -> usize {
        self.inner.aead_key_len()
    }

    fn fips(&self) -> bool {
        self.inner.fips()
    }
}

struct Recording12 {
    inner: &'static dyn Tls12AeadAlgorithm,
    name: &'static str,
}

impl Tls12AeadAlgorithm for Recording12 {
    fn encrypter(&self, key: AeadKey, iv: &[u8], extra: &[u8]) -> Box<dyn MessageEncrypter> {
        Recorder::note(|seen| seen.suite_chosen(TLS12, self.name));
        self.inner.encrypter(key, iv, extra)
    }

    fn decrypter(&self, key: AeadKey, iv: &[u8]) -> Box<dyn MessageDecrypter> {
        Recorder::note(|seen| seen.suite_chosen(TLS12, self.name));
        Box::new(FirstRecord { inner: self.inner.decrypter(key, iv), seen: false })
    }

    fn key_block_shape(&self) -> KeyBlockShape {
        self.inner.key_block_shape()
    }

    fn extract_keys(
        &self,
        key: AeadKey,
        iv: &[u8],
        explicit: &[u8],
    ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        self.inner.extract_keys(key, iv, explicit)
    }

    fn fips(&self) -> bool {
        self.inner.fips()
    }
}

/// Marks the end of a TLS 1.2 handshake: the first record that the server encrypts is its Finished (RFC 5246, 7.4.9).
struct FirstRecord {
    inner: Box<dyn MessageDecrypter>,
    seen: bool,
}

impl MessageDecrypter for FirstRecord {
    fn decrypt<'a>(&mut self, record: InboundOpaqueMessage<'a>, seq: u64) -> Result<InboundPlainMessage<'a>, Error> {
        let plain = self.inner.decrypt(record, seq)?;
        if !self.seen {
            self.seen = true;
            Recorder::note(|seen| seen.handshake_finished());
        }
        Ok(plain)
    }
}
