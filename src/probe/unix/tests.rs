//! Real Unix sockets in a folder of the test.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixListener;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::config::tcp::{Expect, Step};
use crate::config::{Pattern, TlsSettings};
use crate::observation::{Detail, Reason};
use crate::probe::testing::Authority;

const AMPLE: Duration = Duration::from_secs(30);

fn settings(steps: Vec<Step>) -> UnixSettings {
    UnixSettings { tls: false, tls_config: TlsSettings::default(), steps, keep_excerpt: true }
}

async fn run(settings: &UnixSettings, path: PathBuf, timeout: Duration) -> Observation {
    let prober = UnixProber::new(settings, path, &Arc::new(Shared::default())).unwrap();
    prober.run(Instant::now() + timeout).await
}

fn reason(run: &Observation) -> Option<Reason> {
    run.outcome.failure().map(|failure| failure.reason)
}

fn steps() -> Vec<Step> {
    let pattern = Pattern::new("^pong (.*)$").unwrap();
    vec![
        Step { send: Some(b"ping".to_vec()), ..Step::default() },
        Step {
            expect: Some(Expect::Line(pattern)),
            labels: vec![("version".to_owned(), "${1}".to_owned())],
            ..Step::default()
        },
    ]
}

#[tokio::test]
async fn a_dialogue_over_a_socket_is_up() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("app.sock");
    let listener = UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        let mut socket = BufReader::new(socket);
        let mut line = String::new();
        socket.read_line(&mut line).await.unwrap();
        assert_eq!(line, "ping\n");
        socket.get_mut().write_all(b"pong 1.2\n").await.unwrap();
        let _ = socket.read_line(&mut line).await;
    });
    let run = run(&settings(steps()), path, AMPLE).await;
    assert!(run.outcome.is_up(), "{run:?}");
    assert_eq!(run.resolution, None, "there is no name");
    let Detail::Unix(detail) = run.detail else { panic!("{:?}", run.detail) };
    assert_eq!(detail.expect_info[0][0], ("version".into(), "1.2".into()));
    assert!(detail.connect.is_some());
}

#[tokio::test]
async fn no_socket_and_a_socket_without_a_listener_refuse() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("app.sock");
    let missing = run(&settings(Vec::new()), path.clone(), AMPLE).await;
    assert_eq!(reason(&missing), Some(Reason::ConnectRefused));
    let sentence = &missing.outcome.failure().unwrap().sentence;
    assert!(sentence.contains("app.sock") && sentence.contains("no such file"), "{sentence}");
    drop(UnixListener::bind(&path).unwrap());
    assert_eq!(reason(&run(&settings(Vec::new()), path, AMPLE).await), Some(Reason::ConnectRefused));
}

#[tokio::test]
async fn a_silent_peer_is_a_request_timeout() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("app.sock");
    let _listener = UnixListener::bind(&path).unwrap();
    let run = run(&settings(steps()), path, Duration::from_secs(1)).await;
    assert_eq!(reason(&run), Some(Reason::RequestTimeout), "{run:?}");
}

#[tokio::test]
async fn tls_over_a_socket_verifies_the_name_that_is_given() {
    let authority = Authority::root("unix root");
    let acceptor = TlsAcceptor::from(authority.issue(&["app.test"]).server());
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("app.sock");
    let listener = UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let _ = acceptor.accept(socket).await;
        }
    });
    for (name, expected) in [("app.test", None), ("other.test", Some(Reason::TlsNameMismatch))] {
        let tls_config = TlsSettings { server_name: Some(name.to_owned()), ..authority.trusted() };
        let run = run(&UnixSettings { tls: true, tls_config, ..settings(Vec::new()) }, path.clone(), AMPLE).await;
        assert_eq!(reason(&run), expected, "{run:?}");
        assert!(run.tls.is_some(), "the certificate is shown either way");
    }
}
