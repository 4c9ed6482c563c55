//! A server that speaks the gRPC health protocol: HTTP/2, a frame, trailers.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::header::{HeaderMap, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;

use super::Listening;

/// What the health service says.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Health {
    Serving,
    NotServing,
    /// A gRPC status other than OK, such as 12: it has no health service.
    Status(u16),
}

impl Health {
    /// `grpc.health.v1.HealthCheckResponse` behind the five bytes of a frame; nothing for an error.
    fn frame(self) -> Bytes {
        match self {
            Self::Serving => Bytes::from_static(&[0, 0, 0, 0, 2, 8, 1]),
            Self::NotServing => Bytes::from_static(&[0, 0, 0, 0, 2, 8, 2]),
            Self::Status(_) => Bytes::new(),
        }
    }

    fn status(self) -> HeaderValue {
        match self {
            Self::Serving | Self::NotServing => HeaderValue::from_static("0"),
            Self::Status(code) => HeaderValue::from(code),
        }
    }

    pub(crate) fn start(self) -> Listening {
        Listening::start(move |stream| self.serve(stream))
    }

    pub(crate) fn start_tls(self, config: &ServerConfig) -> Listening {
        let mut config = config.clone();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Listening::start(move |stream| {
            let acceptor = acceptor.clone();
            async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    self.serve(stream).await;
                }
            }
        })
    }

    async fn serve(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let answer = service_fn(move |_: Request<hyper::body::Incoming>| async move {
            let trailers =
                HeaderMap::from_iter([(hyper::header::HeaderName::from_static("grpc-status"), self.status())]);
            let body = Full::new(self.frame()).with_trailers(async move { Some(Ok(trailers)) });
            Ok::<_, Infallible>(Response::builder().header("content-type", "application/grpc").body(body).unwrap())
        });
        let http2 = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        let _ = http2.serve_connection(TokioIo::new(stream), answer).await;
    }
}
