//! A real WebSocket server, and others.

#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use http::HeaderMap;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::tungstenite::Message;
use url::Url;

use super::*;
use crate::config::tcp::{Expect, Step};
use crate::config::trace_context::TraceContext;
use crate::config::{DnsServers, IpFamily, IpPreference, Pattern, TlsSettings};
use crate::observation::{Reason, WebsocketDetail};
use crate::probe::testing::{Authority, closed_port, peer};

const AMPLE: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_secs(1);

fn settings(steps: Vec<Step>) -> WebsocketSettings {
    WebsocketSettings {
        headers: HeaderMap::new(),
        steps,
        tls: TlsSettings::default(),
        ip: IpPreference { preferred: IpFamily::V4, fallback: true },
        dns_servers: DnsServers::System,
        trace_context: None,
        keep_excerpt: true,
    }
}

fn send(text: &str) -> Step {
    Step { send: Some(text.into()), ..Step::default() }
}

fn expect(pattern: &str, send: &str) -> Step {
    let expect = Some(Expect::Line(Pattern::new(pattern).unwrap()));
    Step { expect, send: (!send.is_empty()).then(|| send.into()), ..Step::default() }
}

async fn observe(settings: WebsocketSettings, url: &str, timeout: Duration) -> Observation {
    let prober =
        WebsocketProber::new(Arc::new(settings), url.parse::<Url>().unwrap(), &Arc::new(Shared::default())).unwrap();
    prober.run(Instant::now() + timeout).await
}

fn detail(run: &Observation) -> &WebsocketDetail {
    let Detail::Websocket(detail) = &run.detail else { panic!("{:?}", run.detail) };
    detail
}

fn reason(run: &Observation) -> Option<Reason> {
    run.outcome.failure().map(|failure| failure.reason)
}

/// Greets, and says everything back.
async fn echo(stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin) {
    let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else { return };
    let _ = socket.send(Message::text("welcome, guest 7")).await;
    while let Some(Ok(message)) = socket.next().await {
        if message.is_text() && socket.send(message).await.is_err() {
            return;
        }
    }
}

async fn echoing() -> String {
    format!("ws://{}/chat", peer(echo).await)
}

async fn answering(answer: &'static str) -> String {
    let address: SocketAddr = peer(move |mut socket| async move {
        let _ = socket.read(&mut [0; 4096]).await;
        let _ = socket.write_all(answer.as_bytes()).await;
    })
    .await;
    format!("ws://{address}/")
}

/// A server that refuses, and says what the header was.
#[tokio::test]
async fn the_server_is_told_the_trace() {
    let to = peer(|mut socket| async move {
        let mut request = vec![0; 4096];
        let length = socket.read(&mut request).await.unwrap();
        let request = String::from_utf8_lossy(&request[..length]).to_lowercase();
        let header = request.lines().find_map(|line| line.strip_prefix("traceparent: ")).unwrap_or_default();
        let head = format!("HTTP/1.1 418 Seen\r\ncontent-length: {}\r\n\r\n", header.len());
        let _ = socket.write_all(format!("{head}{header}").as_bytes()).await;
    })
    .await;
    let traced = WebsocketSettings { trace_context: Some(TraceContext { sampled: false }), ..settings(Vec::new()) };
    let told = observe(traced.clone(), &format!("ws://{to}/"), AMPLE).await;
    let trace = told.trace_id().unwrap();
    let header = String::from_utf8(detail(&told).received_excerpt.to_vec()).unwrap();
    assert!(header.starts_with(&format!("00-{trace}-")) && header.ends_with("-00"), "{header}");
    let untold = observe(settings(Vec::new()), &format!("ws://{to}/"), AMPLE).await;
    assert_eq!((&*detail(&untold).received_excerpt, untold.trace_id()), (&b""[..], None));
    let refused = observe(traced, &format!("ws://{}/", closed_port().await), AMPLE).await;
    assert_eq!(refused.trace_id(), None, "nobody was told");
}

#[tokio::test]
async fn an_open_websocket_is_up() {
    let run = observe(settings(Vec::new()), &echoing().await, AMPLE).await;
    assert!(run.outcome.is_up(), "{run:?}");
    let detail = detail(&run);
    assert_eq!((detail.status, detail.upgraded, detail.failed_regex), (Some(101), Some(true), None));
    assert!(detail.processing.is_some() && detail.transfer.is_none());
}

#[tokio::test]
async fn a_dialogue_takes_a_message_a_step_and_expands_what_it_captured() {
    let steps = vec![expect("guest ([0-9]+)", "I am ${1}"), expect("^I am 7$", "")];
    let run = observe(settings(steps), &echoing().await, AMPLE).await;
    assert!(run.outcome.is_up(), "{run:?}");
    assert_eq!(detail(&run).failed_regex, Some(false));
    assert!(detail(&run).transfer.is_some());
    assert_eq!(&*detail(&run).received_excerpt, b"welcome, guest 7I am 7");
}

#[tokio::test]
async fn a_wrong_message_fails_the_regex_at_once_and_silence_is_a_timeout() {
    // It stays connected, and a run that waited would end with another reason.
    let run = observe(settings(vec![expect("never", "")]), &echoing().await, AMPLE).await;
    assert_eq!(reason(&run), Some(Reason::ExpectMismatch), "{run:?}");
    assert_eq!(detail(&run).failed_regex, Some(true));
    let wrong_bytes = Step { expect: Some(Expect::Bytes(b"never".to_vec())), ..expect("", "") };
    let run = observe(settings(vec![wrong_bytes]), &echoing().await, AMPLE).await;
    assert_eq!((reason(&run), detail(&run).failed_regex), (Some(Reason::ExpectMismatch), Some(true)), "{run:?}");
    let silent = peer(|socket| async move {
        let _socket = tokio_tungstenite::accept_async(socket).await;
        std::future::pending::<()>().await;
    })
    .await;
    let run = observe(settings(vec![expect("x", "")]), &format!("ws://{silent}/"), SHORT).await;
    assert_eq!(reason(&run), Some(Reason::RequestTimeout), "{run:?}");
}

#[tokio::test]
async fn a_server_that_closes_without_a_match_failed_the_regex() {
    let closes = peer(|socket| async move {
        let Ok(mut socket) = tokio_tungstenite::accept_async(socket).await else { return };
        let _ = socket.send(Message::text("go away")).await;
        let _ = socket.close(None).await;
        while let Some(Ok(_)) = socket.next().await {}
    })
    .await;
    let run = observe(settings(vec![expect("welcome", "")]), &format!("ws://{closes}/"), AMPLE).await;
    assert_eq!(reason(&run), Some(Reason::ExpectMismatch), "{run:?}");
    assert_eq!(detail(&run).failed_regex, Some(true));
}

#[tokio::test]
async fn a_refused_upgrade_shows_its_status() {
    let url = answering("HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno").await;
    let run = observe(settings(Vec::new()), &url, AMPLE).await;
    assert_eq!(reason(&run), Some(Reason::HttpStatus), "{run:?}");
    assert_eq!((detail(&run).status, detail(&run).upgraded), (Some(403), Some(false)));
}

#[tokio::test]
async fn a_refused_upgrade_says_who_refused_it() {
    let url =
        answering("HTTP/1.1 403 Forbidden\r\ncf-ray: 8a\r\ncf-mitigated: challenge\r\ncontent-length: 0\r\n\r\n").await;
    let run = observe(settings(Vec::new()), &url, AMPLE).await;
    let wanted = "the server answered HTTP 403 instead of opening a WebSocket; Cloudflare answers, not the origin";
    assert_eq!(run.outcome.failure().map(|failure| &*failure.sentence), Some(wanted));
}

#[tokio::test]
async fn what_is_no_websocket_is_told_from_what_is_not_there() {
    for answer in [
        "SSH-2.0-OpenSSH\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
    ] {
        let run = observe(settings(Vec::new()), &answering(answer).await, AMPLE).await;
        assert_eq!(reason(&run), Some(Reason::ProtocolError), "{run:?}");
    }
    let refused = observe(settings(Vec::new()), &format!("ws://{}/", closed_port().await), AMPLE).await;
    assert_eq!(reason(&refused), Some(Reason::ConnectRefused));
    let hangs = peer(|socket| async move {
        let _socket = socket;
        std::future::pending::<()>().await;
    })
    .await;
    let hangs = observe(settings(vec![send("x")]), &format!("ws://{hangs}/"), SHORT).await;
    assert_eq!(reason(&hangs), Some(Reason::RequestTimeout));
    assert!(detail(&hangs).processing.is_some());
}

#[tokio::test]
async fn headers_are_sent_and_wss_is_verified() {
    let seen = peer(|mut socket| async move {
        let mut request = vec![0; 4096];
        let length = socket.read(&mut request).await.unwrap();
        let request = String::from_utf8_lossy(&request[..length]).to_lowercase();
        let good = request.contains("authorization: basic x") && request.contains("host: shop.test");
        let status = if good { "418 seen" } else { "400 not seen" };
        let _ = socket.write_all(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").as_bytes()).await;
    })
    .await;
    let mut with_headers = settings(Vec::new());
    with_headers.headers.insert("authorization", "Basic x".parse().unwrap());
    with_headers.headers.insert("host", "shop.test".parse().unwrap());
    let run = observe(with_headers, &format!("ws://{seen}/"), AMPLE).await;
    assert_eq!(detail(&run).status, Some(418), "{run:?}");

    let authority = Authority::root("ws root");
    let acceptor = TlsAcceptor::from(authority.issue(&["shop.test"]).server());
    let to = peer(move |socket| {
        let acceptor = acceptor.clone();
        async move {
            if let Ok(stream) = acceptor.accept(socket).await {
                echo(stream).await;
            }
        }
    })
    .await;
    for (name, expected) in [("shop.test", None), ("other.test", Some(Reason::TlsNameMismatch))] {
        let tls = TlsSettings { server_name: Some(name.to_owned()), ..authority.trusted() };
        let run = observe(WebsocketSettings { tls, ..settings(Vec::new()) }, &format!("wss://{to}/"), AMPLE).await;
        assert_eq!(reason(&run), expected, "{run:?}");
        assert!(run.tls.is_some() && detail(&run).tls.is_some());
    }
}
