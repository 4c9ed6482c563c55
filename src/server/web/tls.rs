//! rustls settings of the server, from the web config.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, ServerConfig, SignatureScheme,
};

use crate::config::tls::TlsVersion;
use crate::config::web::{ClientAuth, ServerTls};

pub(super) fn server_config(settings: &ServerTls, http2: bool) -> Result<ServerConfig, Error> {
    let provider = Arc::new(provider(settings)?);
    let min = settings.min_version.unwrap_or(TlsVersion::Tls12);
    let max = settings.max_version.unwrap_or(TlsVersion::Tls13);
    let versions: Vec<_> = [(TlsVersion::Tls13, &rustls::version::TLS13), (TlsVersion::Tls12, &rustls::version::TLS12)]
        .into_iter()
        .filter(|(version, _)| (min..=max).contains(version))
        .map(|(_, version)| version)
        .collect();
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(&versions)?;
    let identity = &settings.identity;
    let (chain, key) = (identity.chain.clone(), identity.key.clone_key());
    let mut config = match client_verifier(settings, &provider)? {
        None => builder.with_no_client_auth().with_single_cert(chain, key)?,
        Some(verifier) => builder.with_client_cert_verifier(verifier).with_single_cert(chain, key)?,
    };
    config.ignore_client_order = settings.prefer_server_order;
    config.alpn_protocols = if http2 { vec![b"h2".to_vec(), b"http/1.1".to_vec()] } else { vec![b"http/1.1".to_vec()] };
    Ok(config)
}

/// The library's, cut down and ordered as the file wants.
fn provider(settings: &ServerTls) -> Result<CryptoProvider, Error> {
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    if !settings.cipher_suites.is_empty() {
        let all = std::mem::take(&mut provider.cipher_suites);
        // rustls names those of TLS 1.3 with a version in front.
        let name = |suite: &rustls::SupportedCipherSuite| format!("{:?}", suite.suite()).replace("TLS13_", "TLS_");
        for wanted in &settings.cipher_suites {
            provider.cipher_suites.extend(all.iter().filter(|suite| name(suite) == *wanted));
        }
        // Go's list is about TLS 1.2 alone; 1.3 has its own, and cannot be without.
        if !provider.cipher_suites.iter().any(|suite| suite.tls13().is_some()) {
            provider.cipher_suites.extend(all.iter().filter(|suite| suite.tls13().is_some()));
        }
    }
    if !settings.curves.is_empty() {
        let all = std::mem::take(&mut provider.kx_groups);
        for wanted in &settings.curves {
            let name = match wanted.as_str() {
                "CurveP256" => rustls::NamedGroup::secp256r1,
                "CurveP384" => rustls::NamedGroup::secp384r1,
                "X25519MLKEM768" => rustls::NamedGroup::X25519MLKEM768,
                _ => rustls::NamedGroup::X25519,
            };
            provider.kx_groups.extend(all.iter().filter(|group| group.name() == name));
        }
        if provider.kx_groups.is_empty() {
            return Err(Error::General("none of curve_preferences can be used".to_owned()));
        }
    }
    Ok(provider)
}

fn client_verifier(
    settings: &ServerTls,
    provider: &Arc<CryptoProvider>,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, Error> {
    let mandatory = match settings.client_auth {
        ClientAuth::None => return Ok(None),
        ClientAuth::Request => {
            return Ok(Some(Arc::new(AnyCertificate { mandatory: false, provider: Arc::clone(provider) })));
        }
        ClientAuth::RequireAny => {
            return Ok(Some(Arc::new(AnyCertificate { mandatory: true, provider: Arc::clone(provider) })));
        }
        ClientAuth::VerifyIfGiven => false,
        ClientAuth::RequireAndVerify => true,
    };
    let mut roots = RootCertStore::empty();
    match &settings.client_roots {
        Some(configured) => {
            for certificate in configured.iter() {
                roots.add(certificate.clone())?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    let builder = if mandatory { builder } else { builder.allow_unauthenticated() };
    let verifier = builder.build().map_err(|error| Error::General(error.to_string()))?;
    if settings.client_names.is_empty() {
        return Ok(Some(verifier));
    }
    Ok(Some(Arc::new(NamedCertificate { inner: verifier, names: settings.client_names.clone() })))
}

/// Takes any certificate whose key the client holds.
#[derive(Debug)]
struct AnyCertificate {
    mandatory: bool,
    provider: Arc<CryptoProvider>,
}

/// Takes verified certificates that have one of some names.
#[derive(Debug)]
struct NamedCertificate {
    inner: Arc<dyn ClientCertVerifier>,
    names: Vec<String>,
}

impl ClientCertVerifier for AnyCertificate {
    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl ClientCertVerifier for NamedCertificate {
    fn client_auth_mandatory(&self) -> bool {
        self.inner.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.inner.verify_client_cert(end_entity, intermediates, now)?;
        let refused = || Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure);
        let (_, certificate) = x509_parser::parse_x509_certificate(end_entity).map_err(|_| refused())?;
        let names = certificate.subject_alternative_name().ok().flatten();
        let names = names.map(|extension| &extension.value.general_names[..]).unwrap_or_default();
        let has = |wanted: &String| {
            use x509_parser::extensions::GeneralName;
            names.iter().any(|name| match name {
                GeneralName::DNSName(text) | GeneralName::RFC822Name(text) | GeneralName::URI(text) => text == wanted,
                GeneralName::IPAddress(bytes) => {
                    let v4 = <[u8; 4]>::try_from(*bytes).map(std::net::IpAddr::from);
                    let address = v4.or_else(|_| <[u8; 16]>::try_from(*bytes).map(std::net::IpAddr::from));
                    address.is_ok_and(|address| address.to_string() == *wanted)
                }
                GeneralName::OtherName(..)
                | GeneralName::X400Address(_)
                | GeneralName::DirectoryName(_)
                | GeneralName::EDIPartyName(_)
                | GeneralName::RegisteredID(_)
                | GeneralName::Invalid(..) => false,
            })
        };
        if self.names.iter().any(has) { Ok(verified) } else { Err(refused()) }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
