//! Key exchange on P-521, which rustls leaves out: a few appliances and hardened servers have no other curve.

use std::sync::Arc;

use aws_lc_rs::agreement::{self, ECDH_P521, EphemeralPrivateKey, PublicKey, UnparsedPublicKey};
use aws_lc_rs::rand::SystemRandom;
use rustls::crypto::{ActiveKeyExchange, GetRandomFailed, SharedSecret, SupportedKxGroup};
use rustls::ffdhe_groups::FfdheGroup;
use rustls::{Error, NamedGroup, OtherError, PeerMisbehaved};

use super::verifier::Refusal;
use crate::config::tls::TlsVersion;
use crate::observation::{Failure, Reason};

pub(super) static SECP521R1: &dyn SupportedKxGroup = &P521;

#[derive(Debug)]
struct P521;

impl SupportedKxGroup for P521 {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let private = EphemeralPrivateKey::generate(&ECDH_P521, &SystemRandom::new()).map_err(|_| GetRandomFailed)?;
        let public = private.compute_public_key().map_err(|_| GetRandomFailed)?;
        Ok(Box::new(Exchange { private, public }))
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::secp521r1
    }
}

/// A group with which no exchange begins, for settings that allow no version that rustls speaks: the error comes up where
/// all probers meet errors of TLS.
pub(super) fn unspoken(max: TlsVersion) -> &'static dyn SupportedKxGroup {
    match max {
        TlsVersion::Tls10 => &Unspoken(TlsVersion::Tls10),
        TlsVersion::Tls11 | TlsVersion::Tls12 | TlsVersion::Tls13 => &Unspoken(TlsVersion::Tls11),
    }
}

#[derive(Debug)]
struct Unspoken(TlsVersion);

impl SupportedKxGroup for Unspoken {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let sentence = format!(
            "the module allows at most {}, and this exporter speaks TLS 1.2 and 1.3 alone: its limit, which says nothing of the \
             target",
            self.0
        );
        let refusal = Refusal(Failure::new(Reason::Internal, sentence));
        Err(Error::Other(OtherError(Arc::new(refusal))))
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

struct Exchange {
    private: EphemeralPrivateKey,
    public: PublicKey,
}

impl ActiveKeyExchange for Exchange {
    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
        // The library also takes compressed points, which TLS does not (RFC 8446, 4.2.8.2).
        if peer.first() != Some(&4) {
            return Err(PeerMisbehaved::InvalidKeyShare.into());
        }
        let peer = UnparsedPublicKey::new(&ECDH_P521, peer);
        let refused = Error::from(PeerMisbehaved::InvalidKeyShare);
        agreement::agree_ephemeral(self.private, peer, refused, |secret| Ok(SharedSecret::from(secret)))
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn pub_key(&self) -> &[u8] {
        self.public.as_ref()
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::secp521r1
    }
}
