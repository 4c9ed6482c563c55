//! Errors of rustls and webpki in words of ours: their text is for those who write programs.

use rustls::{CertificateError, Error, PeerIncompatible, PeerMisbehaved};

/// Why TLS failed, for the end of a sentence.
#[allow(clippy::wildcard_enum_match_arm)] // of more than twenty, some say something to an operator
pub(super) fn of(error: &Error) -> &'static str {
    match error {
        Error::InappropriateMessage { .. } | Error::InappropriateHandshakeMessage { .. } => {
            "the peer sent a message out of turn"
        }
        Error::InvalidMessage(_) => "a message of the peer cannot be read",
        Error::PeerSentOversizedRecord => "the peer sent a record that is longer than TLS allows",
        Error::NoCertificatesPresented => "the peer showed no certificate",
        Error::DecryptError => "what the peer sent cannot be decrypted; it was damaged on its way, or by the peer",
        Error::NoApplicationProtocol => "the peer speaks none of our protocols",
        Error::InvalidCertificate(error) => of_certificate(error),
        Error::InvalidCertRevocationList(_) => "a revocation list cannot be used",
        Error::PeerIncompatible(what) => incompatible(what),
        Error::PeerMisbehaved(what) => misbehaved(what),
        _ => "the exchange of keys did not come to its end",
    }
}

#[allow(clippy::wildcard_enum_match_arm)] // most mean that the peer is older than what we ask for
fn incompatible(what: &PeerIncompatible) -> &'static str {
    match what {
        PeerIncompatible::NoCipherSuitesInCommon => "there is no cipher suite in common",
        PeerIncompatible::NoKxGroupsInCommon
        | PeerIncompatible::NamedGroupsExtensionRequired
        | PeerIncompatible::KeyShareExtensionRequired
        | PeerIncompatible::NoEcPointFormatsInCommon
        | PeerIncompatible::UncompressedEcPointsRequired
        | PeerIncompatible::EcPointsExtensionRequired => "there is no curve in common",
        PeerIncompatible::NoSignatureSchemesInCommon | PeerIncompatible::SignatureAlgorithmsExtensionRequired => {
            "there is no signature scheme in common"
        }
        PeerIncompatible::NoCertificateRequestSignatureSchemesInCommon => {
            "the peer takes no signature that the key of the client certificate can make"
        }
        PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
        | PeerIncompatible::Tls12NotOffered
        | PeerIncompatible::Tls12NotOfferedOrEnabled => "the peer chose a TLS version that the module does not allow",
        PeerIncompatible::Tls13RequiredForQuic => "the peer does not speak TLS 1.3, which QUIC needs",
        PeerIncompatible::ExtendedMasterSecretExtensionRequired => {
            "the peer has no extended master secret (RFC 7627), without which this exporter speaks no TLS 1.2"
        }
        _ => "the peer lacks something that this exporter needs",
    }
}

#[allow(clippy::wildcard_enum_match_arm)] // of fifty, one thing is to be said
fn misbehaved(what: &PeerMisbehaved) -> &'static str {
    match what {
        PeerMisbehaved::SelectedUnofferedApplicationProtocol
        | PeerMisbehaved::SelectedUnofferedCertCompression
        | PeerMisbehaved::SelectedUnofferedCipherSuite
        | PeerMisbehaved::SelectedUnofferedCompression
        | PeerMisbehaved::SelectedUnofferedKxGroup
        | PeerMisbehaved::SelectedUnofferedPsk => "the peer chose what was not offered to it",
        _ => "the peer broke the rules of TLS",
    }
}

/// Why a certificate, or what was signed by its key, was refused.
#[allow(clippy::wildcard_enum_match_arm)] // our verifier says the rest itself
pub(super) fn of_certificate(error: &CertificateError) -> &'static str {
    match error {
        CertificateError::BadEncoding => "it cannot be read",
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "it has expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => "it is not valid yet",
        CertificateError::Revoked => "it was revoked",
        CertificateError::UnhandledCriticalExtension => "it has an extension that is critical and not known here",
        CertificateError::UnknownIssuer => "no trusted root issued it",
        CertificateError::BadSignature => "the handshake is not signed by its key",
        CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "the handshake is signed by an algorithm that this exporter does not take"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => "it is for another name",
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => "it is not meant for this",
        _ => "it breaks a rule for certificates",
    }
}

/// What is wrong with a certificate of a chain, a root, or a revocation list.
#[allow(clippy::wildcard_enum_match_arm)] // the rest is about how it is written
pub(super) fn of_chain(error: &webpki::Error) -> &'static str {
    match error {
        webpki::Error::NameConstraintViolation => "an authority above it may not issue for this name",
        webpki::Error::PathLenConstraintViolated => "its chain is longer than an authority in it allows",
        webpki::Error::EndEntityUsedAsCa => "it was issued by a certificate that is no authority's",
        webpki::Error::MaximumNameConstraintComparisonsExceeded
        | webpki::Error::MaximumPathBuildCallsExceeded
        | webpki::Error::MaximumPathDepthExceeded
        | webpki::Error::MaximumSignatureChecksExceeded => {
            "checking its chain takes more steps than this exporter makes"
        }
        webpki::Error::UnknownRevocationStatus => "no revocation list says whether it was revoked",
        webpki::Error::CrlExpired { .. } => "the revocation list has expired",
        webpki::Error::InvalidCrlSignatureForPublicKey | webpki::Error::IssuerNotCrlSigner => {
            "its issuer did not sign the revocation list"
        }
        webpki::Error::SignatureAlgorithmMismatch => "two places in it name different signature algorithms",
        webpki::Error::InvalidCertValidity => "it ends before it begins",
        webpki::Error::UnsupportedCertVersion => "it is not of X.509 version 3",
        webpki::Error::UnsupportedCriticalExtension => "it has an extension that is critical and not known here",
        webpki::Error::UnsupportedCrlVersion
        | webpki::Error::UnsupportedDeltaCrl
        | webpki::Error::UnsupportedIndirectCrl
        | webpki::Error::UnsupportedCrlIssuingDistributionPoint
        | webpki::Error::UnsupportedRevocationReason
        | webpki::Error::UnsupportedRevocationReasonsPartitioning => "it is of a kind that this exporter does not read",
        _ => "it is not written as X.509 has it",
    }
}

#[cfg(test)]
mod tests {
    use rustls::InvalidMessage;

    use super::*;

    #[test]
    fn no_word_is_the_librarys() {
        for error in [
            Error::DecryptError,
            Error::InvalidMessage(InvalidMessage::MissingData("x")),
            PeerIncompatible::NoKxGroupsInCommon.into(),
            PeerMisbehaved::TooMuchEarlyDataReceived.into(),
            CertificateError::BadSignature.into(),
            Error::General("x".to_owned()),
        ] {
            let (ours, theirs) = (of(&error), error.to_string());
            assert!(!theirs.contains(ours) && !ours.contains(&theirs), "{ours:?} {theirs:?}");
        }
    }
}
