//! HTTP/3 held against a server that others wrote.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::super::testing::*;
use crate::config::HttpSettings;
use crate::observation::Reason;
use crate::probe::testing as shared;

/// Ends with the test.
struct Caddy(Child);

impl Drop for Caddy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A port that nobody has by TCP or UDP at the moment.
fn free_for_both() -> u16 {
    loop {
        let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = udp.local_addr().unwrap().port();
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Returns once it serves; `None`, with its log shown, when it ended instead.
async fn start_caddy(folder: &Path, port: u16, certificate: &Path, key: &Path) -> Option<Caddy> {
    let config = folder.join("Caddyfile");
    let text = format!(
        "{{\n admin off\n auto_https off\n default_sni 127.0.0.1\n}}\n\
         https://127.0.0.1:{port} {{\n bind 127.0.0.1\n tls {} {}\n respond \"fine\"\n}}\n",
        certificate.display(),
        key.display(),
    );
    std::fs::write(&config, text).unwrap();
    let mut child = Command::new("caddy")
        .args(["run", "--adapter", "caddyfile", "--config"])
        .arg(&config)
        .env("HOME", folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let log = child.stderr.take().unwrap();
    let caddy = Caddy(child);
    let (ready, wait) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let mut ready = Some(ready);
        let mut seen = Vec::new();
        for line in BufReader::new(log).lines().map_while(Result::ok) {
            if line.contains("serving initial configuration")
                && let Some(ready) = ready.take()
            {
                let _ = ready.send(());
            }
            seen.push(line);
        }
        if ready.is_some() {
            eprintln!("caddy did not start:\n{}", seen.join("\n"));
        }
    });
    wait.await.is_ok().then_some(caddy)
}

#[tokio::test]
async fn a_server_that_others_wrote_is_probed() {
    if Command::new("caddy").arg("version").output().is_err() {
        eprintln!("SKIPPED: caddy is not installed, so HTTP/3 is not held against it");
        return;
    }
    let authority = shared::Authority::root("Caddy Root");
    let identity = authority.issue(&["127.0.0.1"]);
    let folder = tempfile::tempdir().unwrap();
    let pem = |name: &str, label: &str, der: &[u8]| {
        let text = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, der);
        let path = folder.path().join(name);
        std::fs::write(&path, format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")).unwrap();
        path
    };
    let certificate = pem("cert.pem", "CERTIFICATE", &identity.chain[0]);
    let key = pem("key.pem", "PRIVATE KEY", identity.key.secret_der());
    // Its port is chosen before it listens, so somebody may be faster: then it ends, and another one is tried.
    let mut started = None;
    for _ in 0..5 {
        let port = free_for_both();
        if let Some(caddy) = start_caddy(folder.path(), port, &certificate, &key).await {
            started = Some((caddy, port));
            break;
        }
    }
    let (caddy, port) = started.expect("caddy starts on one of five ports");
    let settings = HttpSettings { enable_http3: true, enable_http2: false, tls: authority.trusted(), ..settings() };
    let url = format!("https://127.0.0.1:{port}/");
    let observation = probe(settings.clone(), &url).await;
    assert!(observation.outcome.is_up(), "{observation:?}");
    assert_eq!((detail(&observation).version, detail(&observation).body_length), (Some(3.0), Some(4)));
    let strange = HttpSettings { tls: shared::Authority::root("Other").trusted(), ..settings };
    assert_eq!(reason(&probe(strange, &url).await), Some(Reason::TlsUntrusted));
    drop(caddy);
}
