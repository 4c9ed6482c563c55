//! DER -> the text that metrics and evidence show, parsed once per chain: thousands of runs see the same few chains.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use rustls::pki_types::CertificateDer;
use sha2::{Digest, Sha256};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer as _;

use super::name;
use crate::observation::{Certificate, Chain};

/// SHA-256 over the certificates of a chain: equal keys, equal chains.
pub(super) type ChainKey = [u8; 32];

/// Unix seconds, both ends included.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Validity {
    pub(super) not_before: i64,
    pub(super) not_after: i64,
}

/// Every chain that is in use somewhere, by what it was parsed from.
#[derive(Debug, Default)]
pub(super) struct Chains(Mutex<Interned>);

#[derive(Debug, Default)]
struct Interned {
    chains: HashMap<ChainKey, Weak<Chain>>,
    /// Dead entries are swept when the map has grown to this size.
    sweep_at: usize,
}

impl Chains {
    /// The chain as parsed values; equal chains share them for as long as anyone holds them.
    pub(super) fn intern(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
    ) -> (ChainKey, Arc<Chain>) {
        let mut hash = Sha256::new();
        for der in std::iter::once(end_entity).chain(intermediates) {
            // With the length in front, so that two chains with the same bytes cut differently differ.
            hash.update(der.len().to_be_bytes());
            hash.update(der);
        }
        let key: ChainKey = hash.finalize().into();
        if let Some(chain) = self.interned().chains.get(&key).and_then(Weak::upgrade) {
            return (key, chain);
        }

        // Parsed without the lock: two tasks may do it at once, and the last one wins.
        let chain = Arc::new(parse_chain(std::iter::once(end_entity).chain(intermediates)));
        let mut interned = self.interned();
        if interned.chains.len() >= interned.sweep_at {
            interned.chains.retain(|_, chain| chain.strong_count() > 0);
            interned.sweep_at = interned.chains.len() * 2 + 64;
        }
        interned.chains.insert(key, Arc::downgrade(&chain));
        (key, chain)
    }

    fn interned(&self) -> std::sync::MutexGuard<'_, Interned> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The certificates up to the first that cannot be read, so that places in the list keep their meaning.
fn parse_chain<'a>(ders: impl Iterator<Item = &'a CertificateDer<'a>>) -> Chain {
    let certificates: Box<[Certificate]> = ders.map_while(|der| parse(der)).collect();
    let earliest_expiry = certificates.iter().map(|certificate| certificate.not_after).min();
    Chain { certificates, earliest_expiry }
}

fn parse(der: &[u8]) -> Option<Certificate> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    Some(Certificate {
        subject: name::to_text(certificate.subject()),
        issuer: name::to_text(certificate.issuer()),
        dns_names: dns_names(&certificate).into_boxed_str(),
        serial: serial(certificate.raw_serial()),
        fingerprint_sha256: hex(&Sha256::digest(der)),
        not_before: certificate.validity().not_before.timestamp(),
        not_after: certificate.validity().not_after.timestamp(),
    })
}

/// The dates alone.
pub(super) fn validity(der: &[u8]) -> Option<Validity> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let validity = certificate.validity();
    Some(Validity { not_before: validity.not_before.timestamp(), not_after: validity.not_after.timestamp() })
}

fn dns_names(certificate: &X509Certificate<'_>) -> String {
    let mut names = String::new();
    for extension in certificate.extensions() {
        if let ParsedExtension::SubjectAlternativeName(alternatives) = extension.parsed_extension() {
            for alternative in &alternatives.general_names {
                if let GeneralName::DNSName(dns) = alternative {
                    if !names.is_empty() {
                        names.push(',');
                    }
                    names.push_str(dns);
                }
            }
        }
    }
    names
}

/// Hex of the number's bytes as the incumbent prints it: without the zero byte that DER puts before a high bit.
fn serial(raw: &[u8]) -> Box<str> {
    let first = raw.iter().position(|&byte| byte != 0).unwrap_or(raw.len());
    hex(&raw[first..])
}

fn hex(bytes: &[u8]) -> Box<str> {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text.into_boxed_str()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;
    use rcgen::{CertificateParams, DnType, KeyPair, SanType, SerialNumber};

    use super::*;

    fn sample() -> CertificateDer<'static> {
        let mut params = CertificateParams::new(vec!["a.example".to_owned(), "*.b.example".to_owned()]).unwrap();
        params.subject_alt_names.push(SanType::IpAddress([192, 0, 2, 1].into()));
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CountryName, "SE");
        params.distinguished_name.push(DnType::CommonName, "a.example");
        params.distinguished_name.push(DnType::OrganizationName, "Example, Inc.");
        params.distinguished_name.push(DnType::CustomDnType(vec![1, 2, 840, 113549, 1, 9, 1]), "a@b.c");
        params.serial_number = Some(SerialNumber::from_slice(&[0x80, 0x01, 0x0f]));
        params.not_before = rcgen::date_time_ymd(2020, 1, 2);
        params.not_after = rcgen::date_time_ymd(2030, 1, 2);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
    }

    #[test]
    fn text_is_what_the_incumbent_prints() {
        let der = sample();
        let certificate = parse(&der).unwrap();
        assert_eq!(&*certificate.subject, r"CN=a.example,O=Example\, Inc.,C=SE,1.2.840.113549.1.9.1=#0c056140622e63");
        assert_eq!(certificate.subject, certificate.issuer);
        assert_eq!(&*certificate.dns_names, "a.example,*.b.example", "addresses are left out");
        assert_eq!(&*certificate.serial, "80010f", "without DER's leading zero");
        assert_eq!(certificate.fingerprint_sha256.len(), 64);
        assert_eq!(certificate.not_before, 1_577_923_200);
        assert_eq!(certificate.not_after, 1_893_542_400);
        assert_eq!(validity(&der), Some(Validity { not_before: 1_577_923_200, not_after: 1_893_542_400 }));
    }

    /// `UTCTime` holds 1950 to 2049, `GeneralizedTime` the rest, up to the year 9999 that stands for no end.
    #[test]
    fn dates_before_1970_and_far_ahead_are_read() {
        for (year, unix) in [
            (1900, -2_208_988_800),
            (1949, -662_688_000),
            (1950, -631_152_000),
            (1969, -31_536_000),
            (1970, 0),
            (2049, 2_493_072_000),
            (2050, 2_524_608_000),
            (9999, 253_370_764_800),
        ] {
            let mut params = CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
            params.not_before = rcgen::date_time_ymd(year, 1, 1);
            params.not_after = rcgen::date_time_ymd(year, 1, 1);
            let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
            let parsed = parse(certificate.der()).unwrap();
            assert_eq!((parsed.not_before, parsed.not_after), (unix, unix), "{year}");
        }
    }

    #[test]
    fn a_serial_keeps_the_zero_nibble_and_drops_zero_bytes() {
        assert_eq!(&*serial(&[0x0a, 0x00]), "0a00");
        assert_eq!(&*serial(&[0x00, 0xff]), "ff");
        assert_eq!(&*serial(&[0x00]), "");
    }

    #[test]
    fn equal_chains_are_one_while_someone_holds_them() {
        let chains = Chains::default();
        let (leaf, other) = (sample(), sample());
        let (key, first) = chains.intern(&leaf, std::slice::from_ref(&other));
        let (again, second) = chains.intern(&leaf.clone(), std::slice::from_ref(&other));
        assert_eq!(key, again);
        assert!(Arc::ptr_eq(&first, &second));
        let (swapped, third) = chains.intern(&other, &[leaf]);
        assert_ne!(key, swapped);
        assert!(!Arc::ptr_eq(&first, &third));
        assert_eq!(first.certificates.len(), 2);
    }

    #[test]
    fn chains_that_nobody_holds_are_swept() {
        let chains = Chains::default();
        let leaf = sample();
        for extra in 0..1000_u32 {
            chains.intern(&leaf, &[CertificateDer::from(extra.to_be_bytes().to_vec())]);
        }
        assert!(chains.interned().chains.len() < 200);
    }

    #[test]
    fn what_cannot_be_read_ends_the_list() {
        let chains = Chains::default();
        let garbage = CertificateDer::from(vec![0x30, 0x03, 1, 2, 3]);
        let (_, chain) = chains.intern(&garbage, &[sample()]);
        assert!(chain.certificates.is_empty());
        assert_eq!(chain.earliest_expiry, None);
        let (_, chain) = chains.intern(&sample(), &[garbage]);
        assert_eq!(chain.certificates.len(), 1);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn no_damaged_certificate_panics(place in 0_usize..2000, value: u8, cut in 0_usize..2000) {
            let mut der = sample().to_vec();
            let length = der.len();
            der[place % length] = value;
            let _ = parse(&der);
            let _ = parse(&der[..cut % length]);
        }
    }
}
