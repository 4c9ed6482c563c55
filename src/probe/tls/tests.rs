#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use proptest::prelude::*;
use rcgen::{IsCa, SerialNumber};
use rustls::ServerConfig;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::certificate::Chains;
use super::roots::Roots;
use super::verifier::{Policy, RecordingVerifier};
use super::*;
use crate::config::tls::ClientIdentity;
use crate::observation::{Failure, Reason};
use crate::probe::testing::{Authority, Identity, trusting};

/// One handshake in memory, then one byte from the server; what went wrong, if anything, and what was recorded.
async fn handshake(settings: &TlsSettings, server: Arc<ServerConfig>, name: &str) -> (Option<Failure>, Recorder) {
    handshake_with(&TlsConfigs::default(), settings, server, name).await
}

async fn handshake_with(
    configs: &TlsConfigs,
    settings: &TlsSettings,
    server: Arc<ServerConfig>,
    name: &str,
) -> (Option<Failure>, Recorder) {
    let config = configs.client(settings, Alpn::None).unwrap();
    let name = server_name(settings, name).unwrap();
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let recorder = Recorder::default();
    let client = recorder.scope(async {
        let mut stream = TlsConnector::from(config).connect(name, ours).await?;
        stream.read_u8().await.map(drop)
    });
    let server = async {
        // The client's refusal is an error here, and none of the test's.
        if let Ok(mut stream) = TlsAcceptor::from(server).accept(theirs).await {
            let _ = stream.write_all(b"!").await;
            let _ = stream.shutdown().await;
        }
    };
    let (result, ()) = tokio::join!(client, server);
    (result.err().map(|error| classify_at(&error, recorder.stage()).unwrap()), recorder)
}

fn reason(failure: Option<Failure>) -> Option<Reason> {
    failure.map(|failure| failure.reason)
}

#[tokio::test]
async fn a_good_chain_is_accepted_and_recorded() {
    let root = Authority::root("Test Root");
    let middle = root.intermediate("Test Middle", |params| params.not_after = rcgen::date_time_ymd(2040, 1, 1));
    let identity = middle.issue(&["shop.test"]).with(&[&middle]);
    let (failure, recorder) = handshake(&root.trusted(), identity.server(), "shop.test").await;
    assert_eq!(failure, None);
    let session = recorder.session().unwrap();
    assert_eq!(session.version.as_deref(), Some("TLS 1.3"));
    assert!(session.cipher.as_deref().unwrap().starts_with("TLS_AES_"), "{:?}", session.cipher);
    assert_eq!(session.chain.certificates.len(), 2);
    assert_eq!(&*session.chain.certificates[0].subject, "CN=shop.test");
    assert_eq!(&*session.chain.certificates[1].issuer, "CN=Test Root");
    assert_eq!(session.chain.earliest_expiry, Some(2_208_988_800), "the intermediate ends first");
    assert_eq!(session.last_chain_expiry, Some(2_208_988_800));
    assert_eq!(session.verify_error, None);
    assert!(recorder.handshake_started().unwrap() <= recorder.handshake_finished().unwrap());
    assert_eq!(recorder.stage(), Stage::Exchange);
}

#[tokio::test]
async fn tls_1_2_is_recorded_too() {
    let root = Authority::root("Test Root");
    let identity = root.issue(&["shop.test"]);
    let server = identity.server_speaking(&[&rustls::version::TLS12]);
    let (failure, recorder) = handshake(&root.trusted(), Arc::clone(&server), "shop.test").await;
    assert_eq!(failure, None);
    let session = recorder.session().unwrap();
    assert_eq!(session.version.as_deref(), Some("TLS 1.2"));
    assert!(session.cipher.as_deref().unwrap().starts_with("TLS_ECDHE_ECDSA_"), "{:?}", session.cipher);
    assert!(recorder.handshake_finished().is_some());

    let settings = TlsSettings { max_version: Some(TlsVersion::Tls12), ..root.trusted() };
    let (failure, recorder) = handshake(&settings, identity.server(), "shop.test").await;
    assert_eq!(failure, None);
    assert!(recorder.handshake_started().is_some(), "also when TLS 1.3 is not offered");

    let (failure, recorder) = handshake(&Authority::root("Another").trusted(), server, "shop.test").await;
    assert_eq!(reason(failure), Some(Reason::TlsUntrusted));
    let session = recorder.session().unwrap();
    assert_eq!((session.version.as_deref(), session.cipher.as_deref()), (Some("TLS 1.2"), None));
    assert_eq!(recorder.stage(), Stage::Handshake);
}

#[tokio::test]
async fn the_root_ends_the_chain_too_and_the_latest_of_several_paths_counts() {
    let root = Authority::root_with("Test Root", |params| params.not_after = rcgen::date_time_ymd(2030, 1, 1));
    let identity = root.issue(&["shop.test"]);
    let (failure, recorder) = handshake(&root.trusted(), identity.server(), "shop.test").await;
    assert_eq!(failure, None);
    assert_eq!(recorder.session().unwrap().last_chain_expiry, Some(1_893_456_000), "the root's, in 2030");

    let lasting = root.reissued("Test Root", |params| params.not_after = rcgen::date_time_ymd(2045, 1, 1));
    let lapsed = root.reissued("Test Root", |params| params.not_after = rcgen::date_time_ymd(2022, 1, 1));
    let settings = trusting([lapsed, root.der(), lasting]);
    let (failure, recorder) = handshake(&settings, identity.server(), "shop.test").await;
    assert_eq!(failure, None, "one edition that is in date is enough");
    assert_eq!(recorder.session().unwrap().last_chain_expiry, Some(2_366_841_600), "the latest edition's, in 2045");
}

#[tokio::test]
async fn dates_beyond_the_ordinary_are_no_fault_but_those_before_1970_are_a_limit() {
    let root = Authority::root_with("Old Root", |params| {
        params.not_before = rcgen::date_time_ymd(1950, 1, 1);
        params.not_after = rcgen::date_time_ymd(9999, 12, 31);
    });
    let years = |from: i32, to: i32| {
        root.issue_with(&["shop.test"], |params| {
            params.not_before = rcgen::date_time_ymd(from, 1, 1);
            params.not_after = rcgen::date_time_ymd(to, 12, 31);
        })
    };
    for (from, to) in [(1970, 2049), (1970, 2050), (2000, 9999)] {
        let (failure, recorder) = handshake(&root.trusted(), years(from, to).server(), "shop.test").await;
        assert_eq!(failure, None, "{from} to {to}");
        assert!(recorder.session().unwrap().last_chain_expiry > Some(2_500_000_000), "{to}");
    }
    let (failure, recorder) = handshake(&root.trusted(), years(1960, 9999).server(), "shop.test").await;
    let failure = failure.unwrap();
    assert_eq!(failure.reason, Reason::TlsUntrusted);
    assert!(failure.sentence.ends_with("before 1970, which is beyond the limits of this exporter"), "{failure:?}");
    assert_eq!(recorder.session().unwrap().chain.earliest_expiry, Some(253_402_214_400), "it is shown all the same");
    let skipping = TlsSettings { insecure_skip_verify: true, ..root.trusted() };
    let (failure, _) = handshake(&skipping, years(1960, 9999).server(), "shop.test").await;
    assert_eq!(failure, None);
}

#[tokio::test]
async fn an_expired_certificate_is_that_before_all_else() {
    let root = Authority::root("Test Root");
    let expired = root.issue_with(&["shop.test"], |params| params.not_after = rcgen::date_time_ymd(2021, 5, 6));
    for (settings, name) in
        [(root.trusted(), "shop.test"), (root.trusted(), "other.test"), (Authority::root("X").trusted(), "shop.test")]
    {
        let (failure, recorder) = handshake(&settings, expired.server(), name).await;
        let failure = failure.unwrap();
        assert_eq!(failure.reason, Reason::TlsExpired);
        assert_eq!(&*failure.sentence, "the certificate \"CN=shop.test\" expired on 2021-05-06T00:00:00Z");
        let session = recorder.session().unwrap();
        assert_eq!(session.chain.earliest_expiry, Some(1_620_259_200), "shown all the same");
        assert_eq!(session.verify_error, Some(failure.sentence.clone()));
        assert_eq!(session.last_chain_expiry, None);
        assert_eq!(recorder.refusal(), Some(failure));
    }
}

#[tokio::test]
async fn dates_of_every_certificate_count() {
    let root = Authority::root("Test Root");
    let future = root.issue_with(&["shop.test"], |params| params.not_before = rcgen::date_time_ymd(2049, 1, 1));
    let (failure, _) = handshake(&root.trusted(), future.server(), "shop.test").await;
    assert_eq!(reason(failure), Some(Reason::TlsNotYetValid));

    let stale = root.intermediate("Stale", |params| params.not_after = rcgen::date_time_ymd(2022, 1, 1));
    let identity = stale.issue(&["shop.test"]).with(&[&stale]);
    let (failure, _) = handshake(&root.trusted(), identity.server(), "shop.test").await;
    let failure = failure.unwrap();
    assert_eq!(failure.reason, Reason::TlsExpired);
    assert!(failure.sentence.contains("issuing certificate \"CN=Stale\" expired on 2022-01-01"), "{failure:?}");

    let lapsed = Authority::root_with("Lapsed", |params| params.not_after = rcgen::date_time_ymd(2022, 1, 1));
    let (failure, _) = handshake(&lapsed.trusted(), lapsed.issue(&["shop.test"]).server(), "shop.test").await;
    let failure = failure.unwrap();
    assert_eq!(failure.reason, Reason::TlsExpired);
    assert!(failure.sentence.contains("trusted root \"CN=Lapsed\" expired"), "{failure:?}");
}

#[tokio::test]
async fn what_leads_to_no_root_is_untrusted() {
    let root = Authority::root("Test Root");
    let middle = root.intermediate("Middle", |_| {});
    for (settings, identity, words) in [
        (Authority::root("Another").trusted(), root.issue(&["shop.test"]), "no trusted root issued"),
        (root.trusted(), middle.issue(&["shop.test"]), "no trusted root issued"),
        (root.trusted(), Identity::self_signed(&["shop.test"]), "self-signed"),
        (Authority::root("Test Root").trusted(), root.issue(&["shop.test"]), "signature"),
        (root.trusted(), root.issue_with(&["shop.test"], |p| p.is_ca = ca()), "authority's"),
        (
            root.trusted(),
            root.issue_with(&["shop.test"], |p| {
                p.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
            }),
            "not meant for servers",
        ),
    ] {
        let (failure, recorder) = handshake(&settings, identity.server(), "shop.test").await;
        let failure = failure.unwrap();
        assert_eq!(failure.reason, Reason::TlsUntrusted, "{failure:?}");
        assert!(failure.sentence.contains(words), "{failure:?}");
        assert!(recorder.session().is_some());
    }
}

fn ca() -> IsCa {
    IsCa::Ca(rcgen::BasicConstraints::Unconstrained)
}

#[tokio::test]
async fn a_self_signed_certificate_among_the_roots_is_accepted_in_time_and_for_its_name() {
    let identity = Identity::self_signed(&["shop.test"]);
    let settings = trusting([identity.chain[0].clone()]);
    let (failure, recorder) = handshake(&settings, identity.server(), "shop.test").await;
    assert_eq!(failure, None);
    assert_eq!(recorder.session().unwrap().last_chain_expiry, Some(2_524_608_000));
    let (failure, _) = handshake(&settings, identity.server(), "other.test").await;
    assert_eq!(reason(failure), Some(Reason::TlsNameMismatch));
}

#[tokio::test]
async fn names_and_addresses_must_be_in_the_certificate() {
    let root = Authority::root("Test Root");
    let identity = root.issue(&["shop.test", "*.wild.test", "192.0.2.7"]);
    for good in ["shop.test", "SHOP.test.", "a.wild.test", "192.0.2.7"] {
        let (failure, _) = handshake(&root.trusted(), identity.server(), good).await;
        assert_eq!(failure, None, "{good}");
    }
    for bad in ["other.test", "wild.test", "a.b.wild.test", "192.0.2.8", "2001:db8::1"] {
        let (failure, _) = handshake(&root.trusted(), identity.server(), bad).await;
        let failure = failure.unwrap();
        assert_eq!(failure.reason, Reason::TlsNameMismatch, "{bad}");
        let expected = format!("the certificate is for shop.test, *.wild.test, 192.0.2.7, not for {bad}");
        assert_eq!(&*failure.sentence, expected);
    }
    let local = root.issue(&["*.lan", "_srv.lan"]);
    for good in ["nas.lan", "NAS.LAN.", "_srv.lan"] {
        let (failure, _) = handshake(&root.trusted(), local.server(), good).await;
        assert_eq!(failure, None, "{good}: one label below the wildcard is enough");
    }
    for bad in ["lan", "a.nas.lan"] {
        let (failure, _) = handshake(&root.trusted(), local.server(), bad).await;
        assert_eq!(reason(failure), Some(Reason::TlsNameMismatch), "{bad}");
    }
    let (failure, _) = handshake(&root.trusted(), root.issue(&[]).server(), "shop.test").await;
    let failure = failure.unwrap();
    assert_eq!(failure.reason, Reason::TlsNameMismatch);
    assert!(failure.sentence.contains("no alternative names"), "{failure:?}");

    let settings = TlsSettings { server_name: Some("shop.test".to_owned()), ..root.trusted() };
    let (failure, _) = handshake(&settings, identity.server(), "10.0.0.1").await;
    assert_eq!(failure, None, "server_name overrides");
}

#[tokio::test]
async fn a_revoked_certificate_is_refused_by_the_list() {
    let root = Authority::root("Test Root");
    let revoked = root.issue_with(&["shop.test"], |params| params.serial_number = Some(SerialNumber::from(4711_u64)));
    let fine = root.issue_with(&["shop.test"], |params| params.serial_number = Some(SerialNumber::from(4712_u64)));
    let settings = TlsSettings { crls: Some(vec![root.revoke(&[4711])].into()), ..root.trusted() };
    let (failure, _) = handshake(&settings, revoked.server(), "shop.test").await;
    assert_eq!(reason(failure), Some(Reason::TlsRevoked));
    let (failure, _) = handshake(&settings, fine.server(), "shop.test").await;
    assert_eq!(failure, None, "a stale list does not refuse what is not on it");
    let other = Authority::root("Another");
    let settings = TlsSettings { crls: Some(vec![root.revoke(&[4711])].into()), ..trusting([root.der(), other.der()]) };
    let (failure, _) = handshake(&settings, other.issue(&["shop.test"]).server(), "shop.test").await;
    assert_eq!(failure, None, "a list of one authority says nothing of another");
}

#[tokio::test]
async fn skipping_verification_still_records_the_chain() {
    let settings = TlsSettings { insecure_skip_verify: true, ..TlsSettings::default() };
    let identity = Identity::self_signed(&["elsewhere.test"]);
    let (failure, recorder) = handshake(&settings, identity.server(), "shop.test").await;
    assert_eq!(failure, None);
    let session = recorder.session().unwrap();
    assert_eq!(session.chain.certificates.len(), 1);
    assert_eq!((session.last_chain_expiry, session.verify_error), (None, None));
    let doubts = session.skipped_error.unwrap();
    assert!(doubts.contains("self-signed") || doubts.contains("trust store is empty"), "{doubts}");
}

#[tokio::test]
async fn what_is_skipped_has_no_verified_chain_however_good_it_is() {
    let root = Authority::root("Test Root");
    let settings = TlsSettings { insecure_skip_verify: true, ..root.trusted() };
    let (failure, recorder) = handshake(&settings, root.issue(&["shop.test"]).server(), "shop.test").await;
    assert_eq!(failure, None);
    let session = recorder.session().unwrap();
    assert_eq!((session.last_chain_expiry, session.skipped_error), (None, None));
}

#[tokio::test]
async fn what_is_skipped_is_judged_as_if_it_were_not() {
    let root = Authority::root("Test Root");
    let expired = root.issue_with(&["shop.test"], |params| params.not_after = rcgen::date_time_ymd(2021, 5, 6));
    let settings = TlsSettings { insecure_skip_verify: true, ..root.trusted() };
    let configs = TlsConfigs::default();
    for (identity, name, words) in [
        (&root.issue(&["shop.test"]), "shop.test", None),
        (&root.issue(&["shop.test"]), "other.test", Some("not for other.test")),
        (&expired, "shop.test", Some("expired on 2021-05-06")),
        (&Authority::root("Another").issue(&["shop.test"]), "shop.test", Some("no trusted root issued")),
        (&root.issue_with(&["shop.test"], |p| p.is_ca = ca()), "shop.test", Some("authority's")),
    ] {
        for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
            // Twice: the second time from memory.
            for _ in 0..2 {
                let server = identity.server_speaking(&[version]);
                let (failure, recorder) = handshake_with(&configs, &settings, server, name).await;
                assert_eq!((failure, recorder.refusal()), (None, None));
                let session = recorder.session().unwrap();
                let doubts = session.skipped_error.as_ref().map(|error| error.as_str());
                assert_eq!(doubts.is_some(), words.is_some(), "{doubts:?}");
                assert!(words.is_none_or(|words| doubts.unwrap().contains(words)), "{doubts:?}");
                assert_eq!(session.verify_error, None);
            }
        }
    }
}

#[tokio::test]
async fn a_server_without_the_key_of_its_certificate_is_a_fault_of_the_handshake_even_with_skip() {
    let root = Authority::root("Test Root");
    let (shown, held) = (root.issue(&["shop.test"]), root.issue(&["shop.test"]));
    let stolen = Identity { chain: shown.chain, key: held.key };
    for settings in [root.trusted(), TlsSettings { insecure_skip_verify: true, ..root.trusted() }] {
        for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
            let (failure, _) = handshake(&settings, stolen.server_with_any_key(version), "shop.test").await;
            let failure = failure.unwrap();
            assert_eq!(failure.reason, Reason::TlsHandshake);
            assert!(failure.sentence.contains("did not sign"), "{failure:?}");
        }
    }
}

#[tokio::test]
async fn settings_below_tls_1_2_fail_before_the_first_byte_and_name_our_limit() {
    let root = Authority::root("Test Root");
    for (max, words) in [(TlsVersion::Tls10, "at most TLS 1.0"), (TlsVersion::Tls11, "at most TLS 1.1")] {
        let settings = TlsSettings { max_version: Some(max), ..root.trusted() };
        let config = TlsConfigs::default().client(&settings, Alpn::Http1).unwrap();
        let (ours, mut theirs) = tokio::io::duplex(1 << 16);
        let recorder = Recorder::default();
        let name = ServerName::try_from("shop.test").unwrap();
        let error = recorder.scope(async { TlsConnector::from(config).connect(name, ours).await.map(drop) }).await;
        let failure = classify_at(&error.unwrap_err(), recorder.stage()).unwrap();
        assert_eq!(failure.reason, Reason::Internal);
        assert!(failure.sentence.contains(words), "{failure:?}");
        let mut sent = Vec::new();
        theirs.read_to_end(&mut sent).await.unwrap();
        assert_eq!(sent, b"");
    }
}

#[tokio::test]
async fn every_handshake_is_a_full_one_and_the_second_verdict_is_the_first() {
    let configs = TlsConfigs::default();
    let root = Authority::root("Test Root");
    let identity = root.issue(&["shop.test"]);
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let server = identity.server_speaking(&[version]);
        let mut chains = Vec::new();
        for _ in 0..3 {
            let server = Arc::clone(&server);
            let (failure, recorder) = handshake_with(&configs, &root.trusted(), server, "shop.test").await;
            assert_eq!(failure, None);
            let session = recorder.session().expect("a resumed session shows no certificates");
            assert_eq!(session.last_chain_expiry, Some(2_524_608_000));
            chains.push(session.chain);
        }
        assert!(Arc::ptr_eq(&chains[0], &chains[2]), "parsed once");
        let (failure, _) = handshake_with(&configs, &root.trusted(), server, "other.test").await;
        assert_eq!(reason(failure), Some(Reason::TlsNameMismatch), "the name is checked anew");
    }
}

#[test]
fn a_remembered_verdict_ends_with_the_certificate() {
    let root = Authority::root("Test Root");
    let identity = root.issue_with(&["shop.test"], |params| params.not_after = rcgen::date_time_ymd(2030, 1, 1));
    let roots = Arc::new(Roots::configured(&[root.der()]).unwrap());
    let verifier = RecordingVerifier::new(Arc::new(Chains::default()), Policy::Verify, roots, &[]).unwrap();
    let name = ServerName::try_from("shop.test").unwrap();
    let at = |seconds| {
        let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
        let result = verifier.verify_server_cert(&identity.chain[0], &[], &name, &[], now);
        result.err().map(|error| classify(&error).unwrap().reason)
    };
    assert_eq!(at(1_700_000_000), None);
    assert_eq!(at(1_893_456_000), None, "the last second counts");
    assert_eq!(at(1_893_456_001), Some(Reason::TlsExpired));
    assert_eq!(at(1_000_000_000), Some(Reason::TlsNotYetValid));
}

#[tokio::test]
async fn equal_settings_share_a_config() {
    let configs = TlsConfigs::default();
    let root = Authority::root("Test Root");
    let plain = configs.client(&root.trusted(), Alpn::Http1).unwrap();
    assert!(Arc::ptr_eq(&plain, &configs.client(&root.trusted(), Alpn::Http1).unwrap()));
    let named = TlsSettings { server_name: Some("x.test".to_owned()), ..root.trusted() };
    assert!(Arc::ptr_eq(&plain, &configs.client(&named, Alpn::Http1).unwrap()), "the name is no part of it");
    assert!(!Arc::ptr_eq(&plain, &configs.client(&root.trusted(), Alpn::Http2AndHttp1).unwrap()));
    let insecure = TlsSettings { insecure_skip_verify: true, ..root.trusted() };
    assert!(!Arc::ptr_eq(&plain, &configs.client(&insecure, Alpn::Http1).unwrap()));
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused() {
    let configs = TlsConfigs::default();
    let refused = |settings: &TlsSettings| configs.client(settings, Alpn::None).unwrap_err();
    let none = TlsSettings {
        min_version: Some(TlsVersion::Tls13),
        max_version: Some(TlsVersion::Tls12),
        ..TlsSettings::default()
    };
    assert!(matches!(refused(&none), TlsSetupError::NoVersion));
    let garbage = trusting([CertificateDer::from(vec![1, 2, 3])]);
    assert!(matches!(refused(&garbage), TlsSetupError::Root { index: 0, .. }));
    let crl = TlsSettings { crls: Some(vec![vec![1, 2, 3].into()].into()), ..TlsSettings::default() };
    assert!(matches!(refused(&crl), TlsSetupError::Crl { index: 0, .. }));
    assert!(matches!(server_name(&none, "not a name"), Err(TlsSetupError::ServerName(_))));
}

#[tokio::test]
async fn a_client_certificate_is_shown_and_its_refusal_is_the_handshakes() {
    let root = Authority::root("Test Root");
    let identity = root.issue(&["shop.test"]);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut trusted = rustls::RootCertStore::empty();
    trusted.add(root.der()).unwrap();
    let clients =
        rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(trusted), Arc::clone(&provider)).build();
    let server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(clients.unwrap())
        .with_single_cert(identity.chain.clone(), identity.key.clone_key());
    let server = Arc::new(server.unwrap());

    let (failure, _) = handshake(&root.trusted(), Arc::clone(&server), "shop.test").await;
    let failure = failure.unwrap();
    assert_eq!(failure.reason, Reason::TlsHandshake);
    assert!(failure.sentence.contains("wants a client certificate"), "{failure:?}");

    for (issuer, expected) in [(&root, None), (&Authority::root("Another"), Some(Reason::TlsHandshake))] {
        let ours = issuer.issue(&["client.test"]);
        let client = Some(Arc::new(ClientIdentity { chain: ours.chain, key: ours.key }));
        let settings = TlsSettings { client, ..root.trusted() };
        let (failure, _) = handshake(&settings, Arc::clone(&server), "shop.test").await;
        assert_eq!(reason(failure), expected);
    }
}

#[tokio::test]
async fn a_peer_without_tls_and_one_that_hangs_up_are_handshake_failures() {
    let config = TlsConfigs::default().client(&TlsSettings::default(), Alpn::None).unwrap();
    for (answer, words) in [(&b"220 mail.test ESMTP\r\n"[..], "does not speak TLS"), (b"", "closed the connection")] {
        let (ours, mut theirs) = tokio::io::duplex(1 << 16);
        theirs.write_all(answer).await.unwrap();
        theirs.shutdown().await.unwrap();
        let recorder = Recorder::default();
        let name = ServerName::try_from("shop.test").unwrap();
        let connector = TlsConnector::from(Arc::clone(&config));
        let error = recorder.scope(async { connector.connect(name, ours).await.map(drop).unwrap_err() }).await;
        let failure = classify_at(&error, recorder.stage()).unwrap();
        assert_eq!(failure.reason, Reason::TlsHandshake);
        assert!(failure.sentence.contains(words), "{failure:?}");
        assert_eq!(recorder.session(), None);
    }
}

#[tokio::test]
async fn nothing_is_recorded_outside_a_scope_and_reset_forgets() {
    let root = Authority::root("Test Root");
    let identity = root.issue(&["shop.test"]);
    let config = TlsConfigs::default().client(&root.trusted(), Alpn::None).unwrap();
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let name = ServerName::try_from("shop.test").unwrap();
    let acceptor = TlsAcceptor::from(identity.server());
    let connector = TlsConnector::from(config);
    let (client, server) = tokio::join!(connector.connect(name, ours), acceptor.accept(theirs));
    assert!(client.is_ok() && server.is_ok());

    let (_, recorder) = handshake(&root.trusted(), identity.server(), "shop.test").await;
    recorder.reset();
    assert_eq!((recorder.session(), recorder.handshake_started(), recorder.stage()), (None, None, Stage::Connect));
}

#[test]
fn an_empty_trust_store_says_so() {
    let roots = Arc::new(Roots::default());
    let verifier = RecordingVerifier::new(Arc::new(Chains::default()), Policy::Verify, roots, &[]).unwrap();
    let identity = Authority::root("Test Root").issue(&["shop.test"]);
    let name = ServerName::try_from("shop.test").unwrap();
    let error = verifier.verify_server_cert(&identity.chain[0], &[], &name, &[], UnixTime::now()).unwrap_err();
    let failure = classify(&error).unwrap();
    assert_eq!(failure.reason, Reason::TlsUntrusted);
    assert!(failure.sentence.contains("trust store is empty"), "{failure:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_certificates_panic_the_verifier(place in 0_usize..2000, value: u8, noise in proptest::collection::vec(any::<u8>(), 0..200)) {
        let root = Authority::root("Test Root");
        let middle = root.intermediate("Middle", |_| {});
        let mut leaf = middle.issue(&["shop.test"]).chain[0].to_vec();
        let mut issuer = middle.der().to_vec();
        let length = leaf.len();
        leaf[place % length] = value;
        let length = issuer.len();
        issuer[place % length] ^= value;
        let roots = Arc::new(Roots::configured(&[root.der()]).unwrap());
        let verifier = RecordingVerifier::new(Arc::new(Chains::default()), Policy::Verify, roots, &[]).unwrap();
        let name = ServerName::try_from("shop.test").unwrap();
        let (leaf, issuer, noise) = (leaf.into(), issuer.into(), CertificateDer::from(noise));
        for (first, rest) in
            [(&leaf, vec![middle.der()]), (&leaf, vec![issuer]), (&noise, vec![]), (&middle.der(), vec![noise.clone()])]
        {
            let _ = verifier.verify_server_cert(first, &rest, &name, &[], UnixTime::now());
        }
    }
}
