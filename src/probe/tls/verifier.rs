//! Judges a server's certificates, and records them in any case.
//!
//! The order of the checks is the order in which an operator wants to hear of faults, where several are there at once:
//! first the leaf's dates (an expired self-signed certificate is first of all expired), then the way to a trusted root,
//! revocation included, then the name. As the incumbent, and unlike plain webpki, a root's own dates count, and a
//! server certificate that is itself among the configured roots is accepted.
//!
//! With `insecure_skip_verify` the same is asked and nothing refused: what would have been said is evidence.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, OtherError, SignatureScheme};
use webpki::{
    CertRevocationList, EndEntityCert, KeyUsage, OwnedCertRevocationList, RevocationCheckDepth, RevocationOptions,
    RevocationOptionsBuilder, UnknownStatusPolicy, VerifiedPath,
};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use super::TlsSetupError;
use super::certificate::{ChainKey, Chains, Validity, validity};
use super::hostname::is_named;
use super::name::to_text;
use super::recorder::Recorder;
use super::roots::Roots;
use super::signature::{self, Signature};
use super::words;
use crate::observation::{Certificate, Chain, Failure, Reason};

/// Paths beyond this number add nothing to the verdict; cross-signed webs of authorities have a handful.
const MAX_PATHS: usize = 16;

/// Verdicts kept; at 120 bytes each, 1 MB. Far more than one exporter has targets with different certificates.
const MAX_VERDICTS: usize = 8192;

/// How long the opinion of a chain that is accepted anyway is kept, in seconds: an operator who reads it can wait.
const OPINION_KEPT: i64 = 3600;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Policy {
    /// Accepts what leads to a root and has the right name.
    Verify,
    /// `insecure_skip_verify`: accepts everything.
    Skip,
}

pub(super) struct RecordingVerifier {
    chains: Arc<Chains>,
    policy: Policy,
    roots: Arc<Roots>,
    crls: Vec<CertRevocationList<'static>>,
    /// Chains that were accepted, with the times in which each of their paths holds. Building paths is the dear part
    /// of a verification (a signature check for each certificate), and its result depends on nothing but the chain,
    /// the roots, the lists of revoked certificates, and the clock. The name and the handshake's own signature are
    /// checked anew on every run.
    verdicts: Mutex<HashMap<ChainKey, Arc<[Validity]>>>,
    /// With [`Policy::Skip`], chains that lead to no root, and when that was found: looking for a path on every run would
    /// cost more than the handshake.
    pathless: Mutex<HashMap<ChainKey, (i64, Failure)>>,
}

impl fmt::Debug for RecordingVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordingVerifier").finish_non_exhaustive()
    }
}

/// Carries a [`Failure`] through rustls to [`super::classify()`].
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.sentence)]
pub(super) struct Refusal(pub(super) Failure);

impl RecordingVerifier {
    pub(super) fn new(
        chains: Arc<Chains>,
        policy: Policy,
        roots: Arc<Roots>,
        crls: &[CertificateRevocationListDer<'static>],
    ) -> Result<Self, TlsSetupError> {
        let crls = crls
            .iter()
            .enumerate()
            .map(|(index, der)| match OwnedCertRevocationList::from_der(der) {
                Ok(list) => Ok(list.into()),
                Err(error) => Err(TlsSetupError::Crl { index, error }),
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { chains, policy, roots, crls, verdicts: Mutex::default(), pathless: Mutex::default() })
    }

    /// Checks dates, path and name, in this order.
    fn judge(&self, shown: &Shown<'_>, server_name: &ServerName<'_>) -> Result<(), Failure> {
        let now = unix_seconds(shown.now);
        if let Some(leaf) = shown.chain.certificates.first() {
            check_dates("certificate", leaf, now)?;
        }
        let leaf = EndEntityCert::try_from(shown.end_entity).map_err(|error| unreadable(shown.chain, &error))?;
        let paths = self.paths(shown, &leaf, now)?;
        // What is skipped has no verified chain, whatever its worth: the metric then says so, as the incumbent's does.
        if self.policy == Policy::Verify
            && let Some(latest) = paths.iter().filter(|path| path.holds_at(now)).map(|path| path.not_after).max()
        {
            Recorder::note(|seen| seen.chain_verified(latest));
        }
        match leaf.verify_is_valid_for_subject_name(server_name) {
            Err(error) if !is_named(shown.end_entity, server_name) => Err(wrong_name(shown.chain, server_name, &error)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn paths(&self, shown: &Shown<'_>, leaf: &EndEntityCert<'_>, now: i64) -> Result<Arc<[Validity]>, Failure> {
        let known = lock(&self.verdicts).get(&shown.key).map(Arc::clone);
        if let Some(paths) = known.filter(|paths| paths.iter().any(|path| path.holds_at(now))) {
            return Ok(paths);
        }
        if self.policy == Policy::Skip
            && let Some((found, failure)) = lock(&self.pathless).get(&shown.key)
            && (*found..found.saturating_add(OPINION_KEPT)).contains(&now)
        {
            return Err(failure.clone());
        }
        let paths: Arc<[Validity]> = if self.roots.contains(shown.end_entity) {
            // Trusted by name, as Go does: the usual self-signed server certificate given as ca_file. webpki would
            // refuse it, for most of those say that they are an authority. Its dates were checked above.
            validity(shown.end_entity).into_iter().collect()
        } else {
            match self.build_paths(&self.roots, shown, leaf, now) {
                Ok(paths) => paths.into(),
                Err(failure) => {
                    if self.policy == Policy::Skip {
                        keep(&self.pathless, shown.key, (now, failure.clone()));
                    }
                    return Err(failure);
                }
            }
        };
        keep(&self.verdicts, shown.key, Arc::clone(&paths));
        Ok(paths)
    }

    /// Every path from the leaf to a root that holds now; at least one, or the failure.
    fn build_paths(
        &self,
        roots: &Roots,
        shown: &Shown<'_>,
        leaf: &EndEntityCert<'_>,
        now: i64,
    ) -> Result<Vec<Validity>, Failure> {
        let found = RefCell::new(Vec::new());
        let root_out_of_date = Cell::new(None);
        // webpki stops at the first path that this accepts; by refusing each we see them all.
        let collect = |path: &VerifiedPath<'_>| -> Result<(), webpki::Error> {
            let root = roots.validity(path.anchor());
            if let Some(root) = root.filter(|root| !root.holds_at(now)) {
                root_out_of_date.set(Some(root));
                return Err(webpki::Error::UnknownIssuer);
            }
            let ders = path.intermediate_certificates().map(|certificate| certificate.der());
            let validities = ders.map(|der| validity(&der)).chain([root, validity(shown.end_entity)]);
            let mut paths = found.borrow_mut();
            paths.push(validities.flatten().fold(Validity::ALWAYS, Validity::and));
            if paths.len() >= MAX_PATHS { Ok(()) } else { Err(webpki::Error::UnknownIssuer) }
        };

        let crls: Vec<&CertRevocationList<'_>> = self.crls.iter().collect();
        let result = leaf.verify_for_usage(
            signature::VERIFIED.all,
            roots.anchors(),
            shown.intermediates,
            shown.now,
            KeyUsage::server_auth(),
            revocation(&crls),
            Some(&collect),
        );
        let found = found.into_inner();
        match result {
            _ if !found.is_empty() => Ok(found),
            Ok(_) => Ok(vec![Validity::ALWAYS]),
            Err(error) => Err(match root_out_of_date.get() {
                Some(root) if error == webpki::Error::UnknownIssuer => out_of_date_root(shown.chain, root, now),
                _ => untrusted(shown, roots, now, &error),
            }),
        }
    }

    /// The handshake's own signature, by the key of the certificate.
    fn check_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        match (signature::check(message, certificate, signed), self.policy) {
            (Signature::Right, _) => Ok(HandshakeSignatureValid::assertion()),
            (Signature::Unknown(sentence), Policy::Skip) => {
                Recorder::note(|seen| seen.chain_doubted(sentence));
                Ok(HandshakeSignatureValid::assertion())
            }
            (Signature::Unknown(sentence), Policy::Verify) => {
                let failure = Failure::new(Reason::TlsUntrusted, sentence);
                Recorder::note(|seen| seen.chain_refused(failure.clone()));
                Err(refused(failure))
            }
            (Signature::Wrong, _) => {
                let sentence = "the server did not sign the handshake with the key of its certificate";
                Err(refused(Failure::new(Reason::TlsHandshake, sentence)))
            }
        }
    }
}

fn refused(failure: Failure) -> rustls::Error {
    CertificateError::Other(OtherError(Arc::new(Refusal(failure)))).into()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn keep<T>(verdicts: &Mutex<HashMap<ChainKey, T>>, key: ChainKey, verdict: T) {
    let mut verdicts = lock(verdicts);
    if verdicts.len() >= MAX_VERDICTS {
        verdicts.clear();
    }
    verdicts.insert(key, verdict);
}

/// What the server showed, and when.
struct Shown<'a> {
    end_entity: &'a CertificateDer<'a>,
    intermediates: &'a [CertificateDer<'a>],
    chain: &'a Chain,
    key: ChainKey,
    now: UnixTime,
}

impl ServerCertVerifier for RecordingVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let (key, chain) = self.chains.intern(end_entity, intermediates);
        Recorder::note(|seen| seen.chain_shown(Arc::clone(&chain)));
        let shown = Shown { end_entity, intermediates, chain: &chain, key, now };
        match (self.judge(&shown, server_name), self.policy) {
            (Ok(()), _) => Ok(ServerCertVerified::assertion()),
            (Err(failure), Policy::Skip) => {
                Recorder::note(|seen| seen.chain_doubted(failure.sentence.into()));
                Ok(ServerCertVerified::assertion())
            }
            (Err(failure), Policy::Verify) => {
                Recorder::note(|seen| seen.chain_refused(failure.clone()));
                Err(refused(failure))
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.check_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.check_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        match self.policy {
            Policy::Verify => signature::schemes_verified(),
            Policy::Skip => signature::schemes_unverified(),
        }
    }
}

impl Validity {
    const ALWAYS: Self = Self { not_before: i64::MIN, not_after: i64::MAX };

    fn holds_at(&self, now: i64) -> bool {
        (self.not_before..=self.not_after).contains(&now)
    }

    fn and(self, other: Self) -> Self {
        Self { not_before: self.not_before.max(other.not_before), not_after: self.not_after.min(other.not_after) }
    }
}

/// Revocation lists cover some authorities, so a certificate of another one passes; and a list past its next update
/// still revokes, for its age says nothing about the target.
fn revocation<'a>(crls: &'a [&'a CertRevocationList<'a>]) -> Option<RevocationOptions<'a>> {
    let options = RevocationOptionsBuilder::new(crls).ok()?;
    Some(options.with_depth(RevocationCheckDepth::Chain).with_status_policy(UnknownStatusPolicy::Allow).build())
}

fn unix_seconds(time: UnixTime) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}

fn check_dates(what: &str, certificate: &Certificate, now: i64) -> Result<(), Failure> {
    let subject = &certificate.subject;
    if now > certificate.not_after {
        let sentence = format!("the {what} {} expired on {}", quoted(subject), date(certificate.not_after));
        return Err(Failure::new(Reason::TlsExpired, sentence));
    }
    if now < certificate.not_before {
        let sentence = format!("the {what} {} is not valid before {}", quoted(subject), date(certificate.not_before));
        return Err(Failure::new(Reason::TlsNotYetValid, sentence));
    }
    Ok(())
}

fn out_of_date_root(chain: &Chain, root: Validity, now: i64) -> Failure {
    let issuer = chain.certificates.last().map_or("", |last| &last.issuer);
    if now > root.not_after {
        let sentence = format!("the trusted root {} expired on {}", quoted(issuer), date(root.not_after));
        Failure::new(Reason::TlsExpired, sentence)
    } else {
        let sentence = format!("the trusted root {} is not valid before {}", quoted(issuer), date(root.not_before));
        Failure::new(Reason::TlsNotYetValid, sentence)
    }
}

/// webpki reads no more than what it could trust.
fn unreadable(chain: &Chain, error: &webpki::Error) -> Failure {
    let subject = chain.certificates.first().map_or("", |leaf| &leaf.subject);
    #[allow(clippy::wildcard_enum_match_arm)]
    let sentence = match error {
        webpki::Error::UnsupportedCertVersion => format!(
            "the certificate {} is not of X.509 version 3, so it has no alternative names and cannot be trusted",
            quoted(subject)
        ),
        webpki::Error::UnsupportedCriticalExtension => format!(
            "the certificate {} has an extension that is critical and not known here, so it cannot be trusted",
            quoted(subject)
        ),
        other => format!("the server's certificate cannot be read: {}", words::of_chain(other)),
    };
    Failure::new(Reason::TlsUntrusted, sentence)
}

/// The first certificate of the chain whose RSA key is too small or too large, in words.
fn size_refused(shown: &Shown<'_>) -> Option<String> {
    std::iter::once(shown.end_entity).chain(shown.intermediates).find_map(|der| {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let words = signature::size_refused(signature::rsa_bits(&certificate)?)?;
        Some(format!("the certificate {} has {words}", quoted(&to_text(certificate.subject()))))
    })
}

/// No path to a root, for the reason that webpki found the most telling.
fn untrusted(shown: &Shown<'_>, roots: &Roots, now: i64, error: &webpki::Error) -> Failure {
    let chain = shown.chain;
    let subject = chain.certificates.first().map_or("", |leaf| &leaf.subject);
    let issuer = chain.certificates.last().map_or("", |last| &last.issuer);
    let count = chain.certificates.len();
    #[allow(clippy::wildcard_enum_match_arm)] // webpki has some fifty, and these are the ones that read better
    match error {
        webpki::Error::CertExpired { .. } | webpki::Error::CertNotValidYet { .. } => {
            let issuers = chain.certificates.iter().skip(1);
            let dated = issuers.filter_map(|issuer| check_dates("issuing certificate", issuer, now).err()).next();
            dated.unwrap_or_else(|| {
                let reason = match error {
                    webpki::Error::CertNotValidYet { .. } => Reason::TlsNotYetValid,
                    _ => Reason::TlsExpired,
                };
                Failure::new(reason, format!("a certificate that issued {} is out of date", quoted(subject)))
            })
        }
        // What is before 1970 cannot be told from a broken date there.
        webpki::Error::BadDerTime if chain.certificates.iter().any(|one| one.not_before < 0) => Failure::new(
            Reason::TlsUntrusted,
            format!(
                "the certificate {} or one that issued it is valid from before 1970, which is beyond the limits of this \
                 exporter",
                quoted(subject)
            ),
        ),
        webpki::Error::CertRevoked => Failure::new(
            Reason::TlsRevoked,
            format!("the certificate {} or one that issued it is on a revocation list", quoted(subject)),
        ),
        webpki::Error::UnknownIssuer if roots.is_empty() => Failure::new(
            Reason::TlsUntrusted,
            format!("the trust store is empty, so the certificate {} cannot be trusted", quoted(subject)),
        ),
        webpki::Error::UnknownIssuer | webpki::Error::CaUsedAsEndEntity if is_self_signed(chain) => Failure::new(
            Reason::TlsUntrusted,
            format!("the certificate {} is self-signed and not among the trusted roots", quoted(subject)),
        ),
        webpki::Error::UnknownIssuer => Failure::new(
            Reason::TlsUntrusted,
            format!(
                "no trusted root issued the certificate {}; the {count} certificates sent lead to {}",
                quoted(subject),
                quoted(issuer)
            ),
        ),
        webpki::Error::CaUsedAsEndEntity => Failure::new(
            Reason::TlsUntrusted,
            format!("the certificate {} is an authority's, not a server's", quoted(subject)),
        ),
        webpki::Error::RequiredEkuNotFoundContext(_) => Failure::new(
            Reason::TlsUntrusted,
            format!("the certificate {} or its issuer is not meant for servers (extended key usage)", quoted(subject)),
        ),
        webpki::Error::InvalidSignatureForPublicKey => Failure::new(
            Reason::TlsUntrusted,
            size_refused(shown)
                .unwrap_or_else(|| format!("a signature in the chain of the certificate {} is wrong", quoted(subject))),
        ),
        webpki::Error::UnsupportedSignatureAlgorithmContext(_)
        | webpki::Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => Failure::new(
            Reason::TlsUntrusted,
            format!(
                "the certificate {} or one that issued it is signed by an algorithm that is not trusted, such as SHA-1",
                quoted(subject)
            ),
        ),
        other => Failure::new(
            Reason::TlsUntrusted,
            format!("the certificate {} cannot be trusted: {}", quoted(subject), words::of_chain(other)),
        ),
    }
}

fn is_self_signed(chain: &Chain) -> bool {
    chain.certificates.first().is_some_and(|leaf| leaf.subject == leaf.issuer)
}

fn wrong_name(chain: &Chain, wanted: &ServerName<'_>, error: &webpki::Error) -> Failure {
    const NAMED: usize = 10;
    let subject = chain.certificates.first().map_or("", |leaf| &leaf.subject);
    let wanted = wanted.to_str();
    #[allow(clippy::wildcard_enum_match_arm)]
    let sentence = match error {
        webpki::Error::CertNotValidForName(context) if context.presented.is_empty() => {
            format!("the certificate {} has no alternative names, so it is not valid for {wanted}", quoted(subject))
        }
        webpki::Error::CertNotValidForName(context) => {
            // webpki writes them as DnsName("a.example") and IpAddress(192.0.2.1).
            let bare = |name: &str| -> String {
                let inner = name.split_once('(').map_or(name, |(_, inner)| inner);
                inner.trim_end_matches(')').trim_matches('"').to_owned()
            };
            let names: Vec<String> = context.presented.iter().take(NAMED).map(|name| bare(name)).collect();
            let more = if context.presented.len() > NAMED { " and others" } else { "" };
            format!("the certificate is for {}{more}, not for {wanted}", names.join(", "))
        }
        _ => format!("the names of the certificate {} cannot be read", quoted(subject)),
    };
    Failure::new(Reason::TlsNameMismatch, sentence)
}

/// A subject in quotes, cut where it would drown the sentence.
fn quoted(subject: &str) -> String {
    const LONGEST: usize = 200;
    match subject.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{:?}...", &subject[..end]),
        None => format!("{subject:?}"),
    }
}

/// RFC 3339, or the plain number of seconds where that calendar ends.
fn date(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |timestamp| timestamp.to_string())
}
