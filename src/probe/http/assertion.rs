//! The signed assertion by which a client without a secret gets a token: RFC 7523, a JWT (RFC 7519) signed with RSA.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RsaKeyPair};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Map, Value};

use crate::config::http::{JwtAlgorithm, JwtSettings};

/// How long an assertion holds, as in the incumbent's library.
const LIFETIME: Duration = Duration::from_secs(3600);

/// Why there can be no assertions.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("client_certificate_key is not a private key in PEM")]
    Pem,
    #[error("client_certificate_key is not an RSA key of at least 2048 bits")]
    Rsa,
}

/// Signs with the client's key.
pub(super) struct Signer {
    key: RsaKeyPair,
    algorithm: JwtAlgorithm,
}

impl Signer {
    pub(super) fn new(settings: &JwtSettings) -> Result<Self, KeyError> {
        let key = PrivateKeyDer::from_pem_slice(settings.key.expose().as_bytes()).map_err(|_| KeyError::Pem)?;
        let key = match &key {
            PrivateKeyDer::Pkcs1(key) => RsaKeyPair::from_der(key.secret_pkcs1_der()),
            PrivateKeyDer::Pkcs8(key) => RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()),
            PrivateKeyDer::Sec1(_) | _ => return Err(KeyError::Rsa),
        };
        Ok(Self { key: key.map_err(|_| KeyError::Rsa)?, algorithm: settings.algorithm })
    }

    /// The compact form (RFC 7515, 3.1). `None` when the library cannot sign, which it can with a key that it took.
    pub(super) fn assertion(
        &self,
        settings: &JwtSettings,
        client_id: &str,
        scopes: &[String],
        now: SystemTime,
    ) -> Option<String> {
        let mut header = Map::new();
        header.insert("alg".into(), settings.algorithm.as_str().into());
        header.insert("typ".into(), "JWT".into());
        if !settings.key_id.is_empty() {
            header.insert("kid".into(), settings.key_id.clone().into());
        }
        let random = SystemRandom::new();
        let mut id = [0; 16];
        aws_lc_rs::rand::SecureRandom::fill(&random, &mut id).ok()?;
        let seconds = |time: SystemTime| Value::from(time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs());
        let mut claims = Map::new();
        claims.insert("iss".into(), settings.issuer.clone().into());
        claims.insert("sub".into(), client_id.into());
        claims.insert("aud".into(), settings.audience.clone().into());
        claims.insert("jti".into(), BASE64_URL_SAFE_NO_PAD.encode(id).into());
        if !scopes.is_empty() {
            claims.insert("scope".into(), scopes.join(" ").into());
        }
        claims.insert("iat".into(), seconds(now));
        claims.insert("exp".into(), seconds(now.checked_add(LIFETIME)?));
        claims.extend(settings.claims.iter().cloned());

        let part = |map: Map<String, Value>| BASE64_URL_SAFE_NO_PAD.encode(Value::Object(map).to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let scheme = match self.algorithm {
            JwtAlgorithm::Rs256 => &RSA_PKCS1_SHA256,
            JwtAlgorithm::Rs384 => &RSA_PKCS1_SHA384,
            JwtAlgorithm::Rs512 => &RSA_PKCS1_SHA512,
        };
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key.sign(scheme, &random, signed.as_bytes(), &mut signature).ok()?;
        Some(format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use aws_lc_rs::signature::{
        KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
        UnparsedPublicKey,
    };

    use super::super::testing::rsa_key;
    use super::*;
    use crate::config::Secret;

    fn settings(algorithm: JwtAlgorithm) -> JwtSettings {
        JwtSettings {
            key: Secret::new(rsa_key()),
            key_id: "key-1".into(),
            algorithm,
            issuer: "me".into(),
            audience: "https://tokens.test/".into(),
            claims: vec![("tenant".into(), serde_json::json!({"id": 7})), ("sub".into(), "somebody".into())],
        }
    }

    #[test]
    fn an_assertion_has_its_claims_and_the_signature_verifies() {
        for (algorithm, scheme) in [
            (JwtAlgorithm::Rs256, &RSA_PKCS1_2048_8192_SHA256),
            (JwtAlgorithm::Rs384, &RSA_PKCS1_2048_8192_SHA384),
            (JwtAlgorithm::Rs512, &RSA_PKCS1_2048_8192_SHA512),
        ] {
            let settings = settings(algorithm);
            let signer = Signer::new(&settings).unwrap();
            let now = UNIX_EPOCH + Duration::from_secs(1_000_000);
            let assertion = signer.assertion(&settings, "client", &["read".into(), "write".into()], now).unwrap();
            let (signed, signature) = assertion.rsplit_once('.').unwrap();
            let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
            let public = UnparsedPublicKey::new(scheme, signer.key.public_key().as_ref());
            public.verify(signed.as_bytes(), &signature).unwrap();
            let (header, claims) = signed.split_once('.').unwrap();
            let read = |part: &str| -> Value {
                serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
            };
            let expected = serde_json::json!({"alg": algorithm.as_str(), "typ": "JWT", "kid": "key-1"});
            assert_eq!(read(header), expected);
            let mut claims = read(claims);
            let id = claims.as_object_mut().unwrap().remove("jti").unwrap();
            assert_eq!(id.as_str().unwrap().len(), 22);
            let expected = serde_json::json!({
                "iss": "me", "sub": "somebody", "aud": "https://tokens.test/", "scope": "read write",
                "iat": 1_000_000, "exp": 1_003_600, "tenant": {"id": 7},
            });
            assert_eq!(claims, expected);
        }
    }

    #[test]
    fn what_is_no_rsa_key_is_told() {
        let with = |key: &str| {
            let settings = JwtSettings { key: Secret::new(key), ..settings(JwtAlgorithm::Rs256) };
            Signer::new(&settings).map(drop).unwrap_err().to_string()
        };
        assert!(with("secret").contains("not a private key in PEM"));
        let elliptic = rcgen::KeyPair::generate().unwrap().serialize_pem();
        assert!(with(&elliptic).contains("not an RSA key"));
    }
}
