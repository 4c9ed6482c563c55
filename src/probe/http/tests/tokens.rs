//! OAuth 2: client credentials, and signed assertions.

use std::time::Duration;

use url::Url;

use super::super::testing::*;
use crate::config::http::{HttpAuth, JwtAlgorithm, JwtSettings, OAuth2Grant, OAuth2Settings, ProxySettings};
use crate::config::{HttpSettings, Secret, TlsSettings};
use crate::observation::Reason;

pub(super) fn oauth(token_url: &str) -> HttpSettings {
    let oauth = OAuth2Settings {
        client_id: "id&1".into(),
        grant: OAuth2Grant::ClientCredentials { client_secret: Secret::new("s:3") },
        scopes: vec!["read".into(), "write".into()],
        token_url: Url::parse(token_url).unwrap().into(),
        endpoint_params: vec![("audience".into(), "api".into())],
        tls: TlsSettings::default(),
        proxy: ProxySettings::Direct,
    };
    HttpSettings { auth: Some(HttpAuth::OAuth2(Box::new(oauth))), ..settings() }
}

#[tokio::test]
async fn a_token_is_fetched_once_and_renewed_when_refused() {
    let issued = std::sync::atomic::AtomicU32::new(0);
    let server = Peer::start(move |_| {
        let number = issued.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        answer("200 OK", "", format!(r#"{{"access_token":"t{number}","token_type":"bearer","expires_in":3600}}"#))
    })
    .await;
    let accepted = std::sync::Arc::new(std::sync::Mutex::new("Bearer t0".to_owned()));
    let wanted = std::sync::Arc::clone(&accepted);
    let target = Peer::start(move |request| match header(request, "authorization") == Some(&wanted.lock().unwrap()) {
        true => ok(),
        false => answer("401 Unauthorized", "", ""),
    })
    .await;
    let prober = prober(oauth(&server.url()), &target.url());
    let patience = Duration::from_secs(20);
    for _ in 0..3 {
        assert!(run(&prober, patience).await.outcome.is_up());
    }
    assert_eq!(server.requests().len(), 1);
    let request = &server.requests()[0];
    assert!(request.starts_with("POST / "), "{request}");
    assert_eq!(header(request, "authorization"), Some("Basic aWQlMjYxOnMlM0Ez"), "id%261:s%3A3");
    assert!(request.ends_with("grant_type=client_credentials&scope=read+write&audience=api"), "{request}");

    "Bearer t1".clone_into(&mut accepted.lock().unwrap());
    assert!(run(&prober, patience).await.outcome.is_up(), "refused, fetched again, accepted");
    assert_eq!(server.requests().len(), 2);

    "nothing".clone_into(&mut accepted.lock().unwrap());
    let observation = run(&prober, patience).await;
    assert_eq!(reason(&observation), Some(Reason::HttpStatus));
    assert_eq!(server.requests().len(), 3, "once a run");
    let observation = run(&prober, patience).await;
    assert_eq!(reason(&observation), Some(Reason::HttpStatus));
}

#[tokio::test]
async fn a_server_that_wants_the_form_gets_it() {
    let server = Peer::start(|request| match request.contains("client_id=id%261&client_secret=s%3A3") {
        true => answer("200 OK", "", r#"{"access_token":"t","expires_in":1}"#),
        false => answer("401 Unauthorized", "", ""),
    })
    .await;
    let target = Peer::start(|_| ok()).await;
    let prober = prober(oauth(&server.url()), &target.url());
    for _ in 0..2 {
        assert!(run(&prober, Duration::from_secs(20)).await.outcome.is_up());
    }
    assert_eq!(server.requests().len(), 3, "the way is remembered, the token (of one second) is not");
}

#[tokio::test]
async fn failures_of_the_token_server_say_so() {
    let target = Peer::start(|_| ok()).await;
    let refused = format!("http://127.0.0.1:{}/", closed_port().await);
    let mute = format!("http://{}/", silent().await);
    let denies = Peer::start(|_| answer("403 Forbidden", "", "")).await.url();
    let talks = Peer::start(|_| answer("200 OK", "", "<html>")).await.url();
    for (url, wanted) in [
        (refused, Reason::ConnectRefused),
        (mute, Reason::RequestTimeout),
        (denies, Reason::HttpStatus),
        (talks, Reason::ProtocolError),
    ] {
        let observation = probe_soon(oauth(&url), &target.url()).await;
        let failure = observation.outcome.failure().unwrap();
        assert_eq!(failure.reason, wanted);
        assert!(failure.sentence.starts_with("OAuth2 token request: "), "{}", failure.sentence);
        assert_eq!((detail(&observation).phases, observation.resolution.as_ref()), (Default::default(), None));
    }
    assert_eq!(target.requests().len(), 0);
}

#[tokio::test]
async fn a_client_without_a_secret_signs() {
    let server = Peer::start(|_| answer("200 OK", "", r#"{"access_token":"t","expires_in":3600}"#)).await;
    let target = Peer::start(|request| match header(request, "authorization") {
        Some("Bearer t") => ok(),
        _ => answer("401 Unauthorized", "", ""),
    })
    .await;
    let mut settings = oauth(&server.url());
    let Some(HttpAuth::OAuth2(oauth)) = &mut settings.auth else { panic!() };
    oauth.grant = OAuth2Grant::JwtBearer(Box::new(JwtSettings {
        key: Secret::new(rsa_key()),
        key_id: String::new(),
        algorithm: JwtAlgorithm::Rs256,
        issuer: "id&1".into(),
        audience: server.url(),
        claims: Vec::new(),
    }));
    let prober = prober(settings, &target.url());
    assert!(run(&prober, Duration::from_secs(20)).await.outcome.is_up());
    let request = &server.requests()[0];
    assert_eq!(header(request, "authorization"), None);
    let (_, form) = request.split_once("\r\n\r\n").unwrap();
    let form: Vec<_> = url::form_urlencoded::parse(form.as_bytes()).into_owned().collect();
    assert_eq!(form[0], ("grant_type".into(), "urn:ietf:params:oauth:grant-type:jwt-bearer".into()));
    assert_eq!((form[1].0.as_str(), form[1].1.split('.').count()), ("assertion", 3));
    assert_eq!(form[2..], [("audience".into(), "api".into())]);
}
