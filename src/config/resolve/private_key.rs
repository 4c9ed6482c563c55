//! What is in a private key that the TLS library refuses, in words that help to make a better one.

use rustls::pki_types::PrivateKeyDer;
use x509_parser::asn1_rs::{Any, FromDer, Integer, OctetString, Oid, Tag};

const USABLE: &str = "RSA of 2048 to 8192 bits, ECDSA (P-256, P-384, P-521) and Ed25519 can be used";

/// Algorithms and curves that keys are made of now and then.
const NAMES: [(&str, &str); 9] = [
    ("1.2.840.113549.1.1.10", "a key for RSA-PSS alone"),
    ("1.2.840.10040.4.1", "a DSA key"),
    ("1.3.101.110", "an X25519 key, which cannot sign"),
    ("1.3.101.111", "an X448 key, which cannot sign"),
    ("1.3.101.113", "an Ed448 key"),
    ("1.3.132.0.10", "an ECDSA key on the curve secp256k1"),
    ("1.3.132.0.33", "an ECDSA key on the curve P-224"),
    ("1.3.36.3.3.2.8.1.1.7", "an ECDSA key on the curve brainpoolP256r1"),
    ("1.3.36.3.3.2.8.1.1.11", "an ECDSA key on the curve brainpoolP384r1"),
];

/// The end of a sentence that begins with what holds the key.
pub(super) fn why_unusable(key: &PrivateKeyDer<'_>) -> String {
    let what = match key {
        PrivateKeyDer::Pkcs1(key) => rsa(key.secret_pkcs1_der()),
        PrivateKeyDer::Sec1(key) => sec1(key.secret_sec1_der()),
        PrivateKeyDer::Pkcs8(key) => pkcs8(key.secret_pkcs8_der()),
        _ => None,
    };
    format!("{}; {USABLE}", what.as_deref().unwrap_or("a key that cannot be read"))
}

/// What is in a sequence.
fn sequence(der: &[u8]) -> Option<&[u8]> {
    let (_, any) = Any::from_der(der).ok()?;
    (any.tag() == Tag::Sequence).then_some(any.data)
}

/// RFC 8017, A.1.2: version, modulus, and more.
fn rsa(der: &[u8]) -> Option<String> {
    let (rest, _) = Integer::from_der(sequence(der)?).ok()?;
    let (_, modulus) = Integer::from_der(rest).ok()?;
    let bits = crate::config::rsa::bits(modulus.as_ref());
    Some(if (2048..=8192).contains(&bits) {
        format!("an RSA key of {bits} bits that is broken")
    } else {
        format!("an RSA key of {bits} bits, which is too {}", if bits < 2048 { "small" } else { "large" })
    })
}

/// RFC 5915: version, the key, then the curve in a tag of its own.
fn sec1(der: &[u8]) -> Option<String> {
    let (rest, _) = Integer::from_der(sequence(der)?).ok()?;
    let (rest, _) = OctetString::from_der(rest).ok()?;
    let (_, parameters) = Any::from_der(rest).ok()?;
    Some(named(parameters.data))
}

/// RFC 5208: version, algorithm, and the key as the algorithm has it.
fn pkcs8(der: &[u8]) -> Option<String> {
    const RSA: &str = "1.2.840.113549.1.1.1";
    const ECDSA: &str = "1.2.840.10045.2.1";
    let (rest, _) = Integer::from_der(sequence(der)?).ok()?;
    let (rest, algorithm) = Any::from_der(rest).ok()?;
    let (parameters, oid) = Oid::from_der(algorithm.data).ok()?;
    match oid.to_id_string().as_str() {
        RSA => rsa(OctetString::from_der(rest).ok()?.1.as_ref()),
        ECDSA => Some(named(parameters)),
        _ => Some(named(algorithm.data)),
    }
}

fn named(der: &[u8]) -> String {
    let Ok((_, oid)) = Oid::from_der(der) else { return "a key of an unknown kind".to_owned() };
    let oid = oid.to_id_string();
    match NAMES.iter().find(|(known, _)| *known == oid) {
        Some((_, name)) => (*name).to_owned(),
        None => format!("a key of the kind {oid}, or one that is broken"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use rustls::pki_types::pem::PemObject as _;

    use super::*;

    proptest::proptest! {
        #[test]
        fn any_bytes_are_described(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..80)) {
            for key in [
                PrivateKeyDer::Pkcs1(bytes.clone().into()),
                PrivateKeyDer::Sec1(bytes.clone().into()),
                PrivateKeyDer::Pkcs8(bytes.into()),
            ] {
                proptest::prop_assert!(why_unusable(&key).ends_with(USABLE));
            }
        }
    }

    #[test]
    fn keys_of_openssl_are_called_by_their_names() {
        for (arguments, part) in [
            (&["genrsa", "1024"][..], "an RSA key of 1024 bits, which is too small"),
            (&["genrsa", "-traditional", "1024"], "an RSA key of 1024 bits, which is too small"),
            (&["ecparam", "-genkey", "-noout", "-name", "secp256k1"], "an ECDSA key on the curve secp256k1"),
            (&["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:secp224r1"], "the curve P-224"),
            (&["genpkey", "-algorithm", "ED448"], "an Ed448 key"),
            (&["genpkey", "-algorithm", "X25519"], "an X25519 key, which cannot sign"),
            (&["genpkey", "-algorithm", "RSA-PSS"], "a key for RSA-PSS alone"),
        ] {
            let made = std::process::Command::new("openssl").args(arguments).output().unwrap();
            let key = PrivateKeyDer::from_pem_slice(&made.stdout).unwrap();
            let sentence = why_unusable(&key);
            assert!(sentence.contains(part), "{arguments:?}: {sentence}");
        }
    }
}
