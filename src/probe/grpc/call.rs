//! One unary call over an HTTP/2 connection.
//! <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>

use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use http::header::{CONTENT_TYPE, TE, USER_AGENT};
use http::{HeaderMap, Method, Request, Version};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message as _;

use super::status;
use crate::config::GrpcSettings;
use crate::observation::{Failure, GrpcDetail, Reason, ServingStatus};
use crate::probe::dial::Transport;
use crate::probe::http::remarks_on;
use crate::probe::tls::{Stage, classify_at};
use crate::probe::trace_context::RunTrace;
use crate::probe::{http1, http2};

const PATH: &str = "/grpc.health.v1.Health/Check";

/// A health response is a few bytes.
const LARGEST: usize = 64 * 1024;

#[derive(Clone, PartialEq, prost::Message)]
struct HealthCheckRequest {
    #[prost(string, tag = "1")]
    service: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct HealthCheckResponse {
    #[prost(int32, tag = "1")]
    status: i32,
}

pub(super) struct Call<'a> {
    pub(super) settings: &'a GrpcSettings,
    pub(super) authority: &'a str,
    /// What the server is told that it has.
    pub(super) timeout: Duration,
    pub(super) trace: Option<RunTrace>,
}

impl Call<'_> {
    /// Makes the call and judges it.
    pub(super) async fn make(self, stream: Box<dyn Transport>, detail: &mut GrpcDetail) -> Result<(), Failure> {
        let handshake = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
            .max_header_list_size(1 << 20)
            .handshake(TokioIo::new(stream));
        let (mut sender, connection) = handshake.await.map_err(|error| broken(&error))?;
        let exchange = async {
            let response = sender.send_request(self.request()?).await.map_err(|error| broken(&error))?;
            self.judge(response, detail).await
        };
        tokio::select! {
            biased;
            result = exchange => result,
            // Ends only when the peer ends it; the exchange then says why, if it can.
            ended = connection => Err(match ended {
                Err(error) => broken(&error),
                Ok(()) => Failure::new(Reason::ConnectReset, "the server closed the connection before it answered"),
            }),
        }
    }

    fn request(&self) -> Result<Request<Full<Bytes>>, Failure> {
        let message = HealthCheckRequest { service: self.settings.service.clone() };
        let mut body = BytesMut::with_capacity(5 + message.encoded_len());
        // Not compressed, and the length.
        body.put_u8(0);
        body.put_u32(u32::try_from(message.encoded_len()).unwrap_or(u32::MAX));
        message.encode(&mut body).map_err(|_| internal())?;
        let scheme = if self.settings.tls.is_some() { "https" } else { "http" };
        let mut request = Request::builder()
            .method(Method::POST)
            .version(Version::HTTP_2)
            .uri(format!("{scheme}://{}{PATH}", self.authority))
            .body(Full::new(body.freeze()))
            .map_err(|_| internal())?;
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, http::HeaderValue::from_static("application/grpc"));
        headers.insert(TE, http::HeaderValue::from_static("trailers"));
        headers
            .insert(USER_AGENT, http::HeaderValue::from_static(concat!("uptime_exporter/", env!("CARGO_PKG_VERSION"))));
        // At most eight digits, so milliseconds reach a day.
        let milliseconds = self.timeout.as_millis().clamp(1, 99_999_999);
        if let Ok(value) = format!("{milliseconds}m").parse() {
            headers.insert("grpc-timeout", value);
        }
        for (name, value) in &self.settings.metadata {
            headers.append(name.clone(), value.clone());
        }
        if let Some(trace) = &self.trace {
            trace.add_to(headers);
        }
        Ok(request)
    }

    async fn judge(&self, response: http::Response<Incoming>, detail: &mut GrpcDetail) -> Result<(), Failure> {
        let (head, body) = response.into_parts();
        detail.http_status = Some(head.status.as_u16());
        // An error may come without a message, its status in the head.
        if let Some(status) = status_of(&head.headers) {
            return self.verdict(status, &head.headers, None, detail);
        }
        let grpc =
            head.headers.get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"));
        if head.status != http::StatusCode::OK || !grpc {
            let code = status::of_http(head.status);
            detail.status = Some(code);
            let sentence = {
                let remarks = remarks_on(head.status, &head.headers, &[]);
                format!("the server answered HTTP {} without a gRPC status{remarks}", head.status.as_u16())
            };
            let reason = if head.status == http::StatusCode::OK { Reason::ProtocolError } else { Reason::GrpcStatus };
            return Err(Failure::new(reason, sentence));
        }
        let limited = http_body_util::Limited::new(body, LARGEST);
        let collected = limited.collect().await.map_err(|error| {
            classify_at(&*error, Stage::Exchange).or_else(|| http2::amid_an_answer(&*error)).unwrap_or_else(|| {
                Failure::new(
                    Reason::ResponseTruncated,
                    format!("the answer did not come to its end: {}", http1::broken(&*error)),
                )
            })
        })?;
        let trailers = collected.trailers().cloned().unwrap_or_default();
        let bytes = collected.to_bytes();
        match status_of(&trailers) {
            Some(status) => self.verdict(status, &trailers, Some(&bytes), detail),
            None => Err(Failure::new(Reason::ProtocolError, "the answer ended without a gRPC status")),
        }
    }

    fn verdict(
        &self,
        code: u32,
        headers: &HeaderMap,
        body: Option<&[u8]>,
        detail: &mut GrpcDetail,
    ) -> Result<(), Failure> {
        detail.status = Some(code);
        let message = headers.get("grpc-message").map(|value| {
            let text = percent_encoding::percent_decode(value.as_bytes()).decode_utf8_lossy();
            text.chars().filter(|c| !c.is_control()).take(200).collect::<String>()
        });
        detail.message = message.unwrap_or_default().into();
        if code != status::OK {
            let mut sentence = format!("the call ended with {}", status::name(code));
            if !detail.message.is_empty() {
                sentence = format!("{sentence}: {}", detail.message);
            }
            if code == status::UNIMPLEMENTED {
                sentence.push_str("; the server has no health service");
            }
            return Err(Failure::new(Reason::GrpcStatus, sentence));
        }
        let serving = serving(body.unwrap_or_default()).map_err(|what| Failure::new(Reason::ProtocolError, what))?;
        detail.serving = Some(serving);
        match serving {
            ServingStatus::Serving => Ok(()),
            other @ (ServingStatus::Unknown | ServingStatus::NotServing | ServingStatus::ServiceUnknown) => {
                let service = &self.settings.service;
                let what =
                    if service.is_empty() { "the server".to_owned() } else { format!("the service {service:?}") };
                let sentence = format!("{what} says of itself that it is {}", other.as_str());
                Err(Failure::new(Reason::GrpcNotServing, sentence))
            }
        }
    }
}

fn status_of(headers: &HeaderMap) -> Option<u32> {
    headers.get("grpc-status")?.to_str().ok()?.parse().ok()
}

/// The message of a body that has one.
pub(super) fn serving(body: &[u8]) -> Result<ServingStatus, String> {
    let (Some(flag), Some(length)) = (body.first(), body.get(1..5)) else {
        return Err(format!("the answer has no message: {} bytes", body.len()));
    };
    if *flag != 0 {
        return Err("the answer is compressed, which was not asked for".to_owned());
    }
    let length = length.iter().fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte));
    let rest = &body[5..];
    if rest.len() != length {
        return Err(format!("the answer says that it has {length} bytes, and has {}", rest.len()));
    }
    let message = HealthCheckResponse::decode(rest)
        .map_err(|_| "its message is not that of a health service (grpc.health.v1)".to_owned())?;
    Ok(match message.status {
        1 => ServingStatus::Serving,
        2 => ServingStatus::NotServing,
        3 => ServingStatus::ServiceUnknown,
        _ => ServingStatus::Unknown,
    })
}

fn broken(error: &hyper::Error) -> Failure {
    classify_at(error, Stage::Exchange)
        .or_else(|| http2::instead_of_an_answer(error))
        .unwrap_or_else(|| Failure::new(Reason::ProtocolError, "the server does not speak HTTP/2"))
}

fn internal() -> Failure {
    Failure::new(Reason::Internal, "the exporter cannot make a call to this address")
}
