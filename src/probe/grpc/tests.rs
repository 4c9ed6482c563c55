//! A real HTTP/2 server that speaks the health protocol, or does not.

#![allow(clippy::unwrap_used)]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::config::trace_context::TraceContext;
use crate::config::{DnsServers, IpFamily, IpPreference, TlsSettings};
use crate::observation::ServingStatus;
use crate::probe::testing::{Authority, closed_port, peer};

const AMPLE: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_secs(1);

/// How the server answers a check.
#[derive(Clone, Copy)]
enum Answer {
    Serving(u8),
    /// A status in the head, without a message.
    Status(&'static str, &'static str),
    /// A message, and a status in the trailers.
    Trailers(&'static str),
    Http(u16),
    NoStatus,
    Body(&'static [u8]),
    Silence,
}

async fn respond(
    request: Request<Incoming>,
    answer: Answer,
) -> Response<http_body_util::combinators::BoxBody<Bytes, Infallible>> {
    assert_eq!(request.uri().path(), "/grpc.health.v1.Health/Check");
    assert_eq!(request.headers()["te"], "trailers");
    assert!(request.headers()["grpc-timeout"].to_str().unwrap().ends_with('m'));
    let sent = request.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(usize::from(sent[4]) + 5, sent.len());
    let mut response = Response::builder().header("content-type", "application/grpc");
    let mut body = Vec::new();
    let mut trailers = HeaderMap::new();
    let mut ok = || trailers.insert("grpc-status", "0".parse().unwrap());
    match answer {
        Answer::Serving(status) => {
            body = vec![0, 0, 0, 0, 2, 0x08, status];
            ok();
        }
        Answer::Status(code, message) => {
            response = response.header("grpc-status", code).header("grpc-message", message);
        }
        Answer::Trailers(code) => {
            trailers.insert("grpc-status", code.parse().unwrap());
        }
        Answer::Http(status) => {
            response = Response::builder().status(status);
        }
        Answer::NoStatus => {}
        Answer::Body(bytes) => {
            body = bytes.to_vec();
            ok();
        }
        Answer::Silence => std::future::pending().await,
    }
    let frames = [Ok::<_, Infallible>(Frame::data(Bytes::from(body))), Ok(Frame::trailers(trailers))];
    response.body(BodyExt::boxed(StreamBody::new(futures_util::stream::iter(frames)))).unwrap()
}

async fn serve(stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static, answer: Answer) {
    let service = service_fn(move |request| async move { Ok::<_, Infallible>(respond(request, answer).await) });
    let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn server(answer: Answer) -> SocketAddr {
    peer(move |socket| serve(socket, answer)).await
}

fn settings() -> GrpcSettings {
    GrpcSettings {
        service: "shop".to_owned(),
        metadata: HeaderMap::new(),
        tls: None,
        ip: IpPreference { preferred: IpFamily::V4, fallback: true },
        dns_servers: DnsServers::System,
        trace_context: None,
    }
}

async fn run(settings: GrpcSettings, to: SocketAddr, timeout: Duration) -> Observation {
    let address = HostPort { host: to.ip().to_string(), port: to.port() };
    let prober = GrpcProber::new(Arc::new(settings), &address, &Arc::new(Shared::default())).unwrap();
    prober.run(Instant::now() + timeout).await
}

fn detail(run: &Observation) -> &GrpcDetail {
    let Detail::Grpc(detail) = &run.detail else { panic!("{:?}", run.detail) };
    detail
}

fn reason(run: &Observation) -> Option<Reason> {
    run.outcome.failure().map(|failure| failure.reason)
}

fn sentence(run: &Observation) -> &str {
    run.outcome.failure().map_or("", |failure| &failure.sentence)
}

/// A server that says in its message what the header was.
#[tokio::test]
async fn the_server_is_told_the_trace() {
    let service = service_fn(|request: Request<Incoming>| async move {
        let header = request.headers().get("traceparent").map(|value| value.to_str().unwrap().to_owned());
        let response = Response::builder().header("content-type", "application/grpc").header("grpc-status", "13");
        let response = response.header("grpc-message", header.unwrap_or_default());
        Ok::<_, Infallible>(response.body(http_body_util::Empty::<Bytes>::new()).unwrap())
    });
    let to = peer(move |socket| async move {
        let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        let _ = builder.serve_connection(TokioIo::new(socket), service).await;
    })
    .await;
    let traced = GrpcSettings { trace_context: Some(TraceContext { sampled: true }), ..settings() };
    let told = run(traced.clone(), to, AMPLE).await;
    let trace = told.trace_id().unwrap();
    let message = detail(&told).message.to_string();
    assert!(message.starts_with(&format!("00-{trace}-")) && message.ends_with("-01"), "{message}");
    let untold = run(settings(), to, AMPLE).await;
    assert_eq!((&*detail(&untold).message, untold.trace_id()), ("", None));
    assert_eq!(run(traced, closed_port().await, AMPLE).await.trace_id(), None, "nobody was told");
}

#[tokio::test]
async fn a_service_that_serves_is_up() {
    let run = run(settings(), server(Answer::Serving(1)).await, AMPLE).await;
    assert!(run.outcome.is_up(), "{run:?}");
    let detail = detail(&run);
    assert_eq!((detail.status, detail.serving, detail.ssl), (Some(0), Some(ServingStatus::Serving), Some(false)));
    assert!(detail.check.is_some() && detail.connect.is_some() && detail.tls.is_none());
}

#[tokio::test]
async fn a_service_that_does_not_serve_says_so() {
    for (status, serving, name) in [
        (0, ServingStatus::Unknown, "UNKNOWN"),
        (2, ServingStatus::NotServing, "NOT_SERVING"),
        (3, ServingStatus::ServiceUnknown, "SERVICE_UNKNOWN"),
        (77, ServingStatus::Unknown, "UNKNOWN"),
    ] {
        let run = run(settings(), server(Answer::Serving(status)).await, AMPLE).await;
        assert_eq!(reason(&run), Some(Reason::GrpcNotServing));
        assert_eq!(detail(&run).serving, Some(serving));
        assert_eq!(sentence(&run), format!("the service \"shop\" says of itself that it is {name}"));
    }
}

#[tokio::test]
async fn a_status_other_than_ok_is_named_wherever_it_stands() {
    let missing = run(settings(), server(Answer::Status("5", "no%20such%20service")).await, AMPLE).await;
    assert_eq!((reason(&missing), detail(&missing).status), (Some(Reason::GrpcStatus), Some(5)));
    assert_eq!(sentence(&missing), "the call ended with NOT_FOUND: no such service");
    let none = run(settings(), server(Answer::Status("12", "")).await, AMPLE).await;
    assert_eq!(sentence(&none), "the call ended with UNIMPLEMENTED; the server has no health service");
    let trailers = run(settings(), server(Answer::Trailers("14")).await, AMPLE).await;
    assert_eq!((reason(&trailers), detail(&trailers).status), (Some(Reason::GrpcStatus), Some(14)));
    let proxy = run(settings(), server(Answer::Http(503)).await, AMPLE).await;
    assert_eq!((reason(&proxy), detail(&proxy).status), (Some(Reason::GrpcStatus), Some(14)));
    assert_eq!(sentence(&proxy), "the server answered HTTP 503 without a gRPC status");
}

#[tokio::test]
async fn what_is_no_grpc_is_a_protocol_error() {
    for answer in [
        Answer::Http(200),
        Answer::NoStatus,
        Answer::Body(b""),
        Answer::Body(b"\x01\0\0\0\0"),
        Answer::Body(b"\0\0\0\0\x09\x08\x01"),
        Answer::Body(b"\0\0\0\0\x02\xff\xff"),
    ] {
        let run = run(settings(), server(answer).await, AMPLE).await;
        assert_eq!(reason(&run), Some(Reason::ProtocolError), "{run:?}");
    }
    let http1 = peer(|mut socket| async move {
        let _ = socket.read(&mut [0; 1024]).await;
        let _ = socket.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await;
    })
    .await;
    let run = run(settings(), http1, AMPLE).await;
    assert_eq!(reason(&run), Some(Reason::ProtocolError), "{run:?}");
}

#[tokio::test]
async fn the_deadline_is_kept_and_says_where_time_ran_out() {
    let silent = run(settings(), server(Answer::Silence).await, SHORT).await;
    assert_eq!(reason(&silent), Some(Reason::RequestTimeout), "{silent:?}");
    assert!(detail(&silent).check.is_some());
    let refused = run(settings(), closed_port().await, AMPLE).await;
    assert_eq!(reason(&refused), Some(Reason::ConnectRefused));
    assert_eq!((detail(&refused).check, detail(&refused).ssl), (None, None));
    let hangs = peer(|socket| async move {
        let _socket = socket;
        std::future::pending::<()>().await;
    })
    .await;
    let over_tls = GrpcSettings { tls: Some(TlsSettings::default()), ..settings() };
    assert_eq!(reason(&run(over_tls, hangs, SHORT).await), Some(Reason::TlsTimeout));
}

#[tokio::test]
async fn over_tls_the_certificate_is_shown_also_when_it_is_refused() {
    let authority = Authority::root("grpc root");
    let mut config = Arc::unwrap_or_clone(authority.issue(&["shop.test"]).server());
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let to = peer(move |socket| {
        let acceptor = acceptor.clone();
        async move {
            if let Ok(stream) = acceptor.accept(socket).await {
                serve(stream, Answer::Serving(1)).await;
            }
        }
    })
    .await;
    let named = |name: &str| TlsSettings { server_name: Some(name.to_owned()), ..authority.trusted() };
    let good = run(GrpcSettings { tls: Some(named("shop.test")), ..settings() }, to, AMPLE).await;
    assert!(good.outcome.is_up(), "{good:?}");
    assert_eq!(detail(&good).ssl, Some(true));
    assert!(good.tls.is_some());
    let wrong = run(GrpcSettings { tls: Some(named("other.test")), ..settings() }, to, AMPLE).await;
    assert_eq!(reason(&wrong), Some(Reason::TlsNameMismatch));
    assert!(wrong.tls.is_some());
}

proptest! {
    #[test]
    fn any_bytes_are_a_message_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
        let _ = call::serving(&bytes);
    }
}
