//! The header `traceparent`: one trace a run, one parent a request, over every version of HTTP.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;

use super::super::testing::*;
use super::http3::{Server, Then, http3};
use crate::config::HttpSettings;
use crate::config::http::HttpVersion;
use crate::config::trace_context::TraceContext;
use crate::observation::{Observation, Reason};

fn traced(settings: HttpSettings) -> HttpSettings {
    HttpSettings { trace_context: Some(TraceContext { sampled: true }), ..settings }
}

/// Trace id, parent id and flags of a header as the standard has it.
fn parts(header: &str) -> (String, String, String) {
    let parts: Vec<&str> = header.split('-').collect();
    let hex = |text: &str, length| text.len() == length && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    assert!(parts.len() == 4 && parts[0] == "00", "{header}");
    assert!(hex(parts[1], 32) && hex(parts[2], 16) && hex(parts[3], 2), "{header}");
    assert!(parts[1].contains(|c| c != '0') && parts[2].contains(|c| c != '0'), "{header}");
    (parts[1].to_owned(), parts[2].to_owned(), parts[3].to_owned())
}

fn trace_of(run: &Observation) -> String {
    run.trace_id().unwrap().to_string()
}

#[tokio::test]
async fn every_request_of_a_run_is_of_one_trace_and_no_two_runs_are() {
    let elsewhere = Peer::start(|_| ok()).await;
    let away = elsewhere.url();
    let peer = Peer::start(
        move |request| if request.starts_with("GET /b") { redirect(302, &away) } else { redirect(301, "/b") },
    )
    .await;
    let mut traces = Vec::new();
    for sampled in [true, false] {
        let settings = HttpSettings { trace_context: Some(TraceContext { sampled }), ..settings() };
        let run = probe(settings, &peer.url()).await;
        assert!(run.outcome.is_up(), "{run:?}");
        let mut requests = peer.requests();
        requests.drain(..requests.len() - 2);
        requests.extend(elsewhere.requests().pop());
        let seen: Vec<_> = requests.iter().map(|request| parts(header(request, "traceparent").unwrap())).collect();
        assert_eq!(seen.len(), 3);
        for (trace, _, flags) in &seen {
            assert_eq!((trace, flags.as_str()), (&trace_of(&run), if sampled { "01" } else { "00" }));
        }
        let parents: std::collections::BTreeSet<_> = seen.iter().map(|(_, parent, _)| parent).collect();
        assert_eq!(parents.len(), 3, "each request is a parent of its own: {seen:?}");
        traces.push(trace_of(&run));
    }
    assert_ne!(traces[0], traces[1]);
}

#[tokio::test]
async fn nothing_is_told_unasked() {
    let peer = Peer::start(|_| ok()).await;
    let run = probe(settings(), &peer.url()).await;
    assert_eq!(header(&peer.requests()[0], "traceparent"), None);
    assert_eq!(run.trace_id(), None);
}

#[tokio::test]
async fn a_trace_is_known_when_a_request_was_sent_and_only_then() {
    let url = format!("http://127.0.0.1:{}/", closed_port().await);
    let refused = probe(traced(settings()), &url).await;
    assert_eq!((reason(&refused), refused.trace_id()), (Some(Reason::ConnectRefused), None));
    let moved = Peer::start(move |_| redirect(302, &url)).await;
    let moved = probe(traced(settings()), &moved.url()).await;
    assert_eq!(reason(&moved), Some(Reason::ConnectRefused));
    assert!(moved.trace_id().is_some(), "the first server was told");
    let failing = Peer::start(|_| answer("500 Oh", "", "no")).await;
    let failed = probe(traced(settings()), &failing.url()).await;
    let (trace, ..) = parts(header(&failing.requests()[0], "traceparent").unwrap());
    assert_eq!((reason(&failed), trace), (Some(Reason::HttpStatus), trace_of(&failed)));
    let reset = Peer::start(|_| Act::Reset(Vec::new())).await;
    assert!(probe(traced(settings()), &reset.url()).await.trace_id().is_some());
}

/// Answers with the header.
async fn echo(request: Request<Incoming>) -> Result<Response<Full<bytes::Bytes>>, Infallible> {
    let header = request.headers().get("traceparent").map(|value| value.as_bytes().to_vec());
    Ok(Response::new(Full::new(header.unwrap_or_default().into())))
}

async fn over_http2(authority: &Authority) -> SocketAddr {
    let mut config = (*authority.server(&["127.0.0.1"])).clone();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let stream = hyper_util::rt::TokioIo::new(acceptor.accept(stream).await.unwrap());
        let builder = hyper::server::conn::http2::Builder::new(hyper_util::rt::TokioExecutor::new());
        let _ = builder.serve_connection(stream, hyper::service::service_fn(echo)).await;
    });
    address
}

#[tokio::test]
async fn http2_and_http3_carry_it_too() {
    let authority = Authority::new();
    let http2 =
        HttpSettings { tls: authority.trusted(), valid_http_versions: vec![HttpVersion::Http2], ..traced(settings()) };
    let run = probe(http2, &format!("https://{}/", over_http2(&authority).await)).await;
    assert!(run.outcome.is_up(), "{run:?}");
    let (trace, ..) = parts(std::str::from_utf8(&detail(&run).body_excerpt).unwrap());
    assert_eq!(trace, trace_of(&run));

    let tls = authority.server(&["shop.test"]);
    let answer = Then::By(|request, _| {
        let header = request.headers().get("traceparent").map(|value| value.as_bytes().to_vec());
        Response::new(header.unwrap_or_default().into())
    });
    let server = Server::start(&tls, answer);
    let settings = HttpSettings { dns_servers: dns().await, ..traced(http3(&authority)) };
    let run = probe(settings, &format!("https://shop.test:{}/", server.address.port())).await;
    assert!(run.outcome.is_up(), "{run:?}");
    let (trace, ..) = parts(std::str::from_utf8(&detail(&run).body_excerpt).unwrap());
    assert_eq!(trace, trace_of(&run));
}
