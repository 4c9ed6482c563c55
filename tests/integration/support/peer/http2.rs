//! A server of HTTP/2 over TLS, and of HTTP/1.1 for those who do not ask for it.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use rustls::ServerConfig;
use tokio_rustls::TlsAcceptor;

use super::Listening;

pub(crate) fn http2(config: &ServerConfig, status: u16, body: &'static str) -> Listening {
    let mut config = config.clone();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    Listening::start(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let answer = service_fn(move |request: Request<hyper::body::Incoming>| async move {
                // hyper would send the body of an answer to HEAD too.
                let sent = if request.method() == Method::HEAD { "" } else { body };
                let answer =
                    Response::builder().status(status).header("x-version", "7").header("content-length", body.len());
                Ok::<_, Infallible>(answer.body(Full::new(Bytes::from_static(sent.as_bytes()))).unwrap())
            });
            let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), answer).await;
        }
    })
}
