//! HTTP/3: one exchange over one QUIC connection on one UDP socket of its own, on quinn and h3.
//!
//! quinn and h3 would spawn tasks for sockets, connections and control streams. Here the run itself polls them
//! (`drive.rs`), so that the TLS recorder of the run sees the handshake, nothing outlives the run, and a run that is cut
//! off ends all of it. The socket (`socket.rs`) is connected and ours, for the ICMP errors that quinn ignores and for
//! the bound on what a peer may send. `reason.rs` names what went wrong.

mod body;
mod drive;
mod reason;
mod socket;
mod watch;

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use h3::error::{Code, StreamError};
use http::header::{ACCEPT, CONNECTION, CONTENT_LENGTH, HOST, TE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{Endpoint, EndpointConfig, TransportConfig, VarInt};
use url::Url;

use self::body::Answer;
use self::drive::Drive;
pub(super) use self::reason::Broken;
use self::socket::{Fault, Wire};
use self::watch::Watched;
use super::trace::HopTrace;
use super::transport::Outgoing;
use crate::observation::{Failure, Reason};
use crate::probe::ProberError;
use crate::probe::tls;

/// The largest head of a response; more than any server sends, and little for us.
const MAX_HEAD: u64 = 1 << 20;
const STREAM_WINDOW: u32 = 1 << 20;

/// So many provisional answers (1xx) are passed over; servers send one or two.
const MOST_PROVISIONAL: usize = 100;

type RequestStream = h3::client::RequestStream<h3_quinn::RecvStream, Bytes>;

/// What all runs with the same TLS settings share.
pub(super) struct Quic {
    config: quinn::ClientConfig,
}

impl Quic {
    pub(super) fn new(tls: Arc<rustls::ClientConfig>) -> Result<Self, ProberError> {
        let crypto = QuicClientConfig::try_from(tls).map_err(|_| ProberError::Quic)?;
        let mut config = quinn::ClientConfig::new(Arc::new(crypto));
        let mut transport = TransportConfig::default();
        transport
            // The run has its own deadline. A peer's shorter idle timeout holds all the same.
            .max_idle_timeout(None)
            .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
            .receive_window(VarInt::from_u32(2 * STREAM_WINDOW))
            .send_window(u64::from(STREAM_WINDOW))
            // Servers open streams of control alone: one for settings, two of QPACK, and what they grease with.
            .max_concurrent_bidi_streams(VarInt::from_u32(0))
            .max_concurrent_uni_streams(VarInt::from_u32(8))
            .datagram_receive_buffer_size(None)
            .mtu_discovery_config(None)
            .crypto_buffer_size(64 << 10);
        config.transport_config(Arc::new(transport));
        Ok(Self { config })
    }

    /// Connects, sends, and waits for the head of the response. To be called in the scope of `hop`.
    pub(super) async fn exchange(
        &self,
        hop: &Arc<HopTrace>,
        to: SocketAddr,
        outgoing: Outgoing<'_>,
    ) -> Result<reqwest::Response, Failure> {
        let url = outgoing.wire.clone();
        let request = request(outgoing.method, &outgoing.wire, outgoing.headers, outgoing.body.len())?;
        hop.connect_started();
        let fault = Arc::new(Fault::new(Arc::clone(hop)));
        let socket = Wire::connect(to, Arc::clone(&fault)).await.map_err(|error| tls::classify_connect(&error, to))?;
        let mut drive = Drive::default();
        let runtime = drive.runtime();
        let endpoint = Endpoint::new_with_abstract_socket(EndpointConfig::default(), None, Arc::new(socket), runtime)
            .map_err(|error| tls::classify_connect(&error, to))?;
        let name = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let connecting = endpoint
            .connect_with(self.config.clone(), to, name)
            .map_err(|_| Failure::new(Reason::Internal, "the exporter cannot begin a QUIC connection to this host"))?;
        let connected = drive.along(&fault, connecting).await;
        let connection = match connected {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => {
                hop.connect_ended(false);
                return Err(reason::handshake(&error, hop, to));
            }
            Err(fault) => {
                hop.connect_ended(false);
                return Err(fault.explain(to, false));
            }
        };
        hop.connect_ended(true);
        drive.closes(connection.clone());

        let why = |error: &StreamError| reason::exchange(error, connection.close_reason().as_ref());
        let start = async {
            let mut builder = h3::client::builder();
            builder.max_field_section_size(MAX_HEAD).send_grease(false);
            builder.build::<_, _, Bytes>(Watched::new(connection.clone(), Arc::clone(&fault))).await
        };
        let (mut control, mut requests) = drive
            .along(&fault, start)
            .await
            .map_err(|fault| fault.explain(to, true))?
            .map_err(|error| reason::start(&error, connection.close_reason().as_ref()))?;
        // Reads the control streams, on which a peer says what is wrong.
        drive.add(async move {
            poll_fn(|cx| control.poll_close(cx)).await;
        });
        let body = outgoing.body;
        let exchange = async {
            let stream = requests.send_request(request).await.map_err(|error| why(&error))?;
            let (mut send, mut recv) = stream.split();
            let mut sending = Some(Box::pin(async move {
                // What becomes of it shows in the answer.
                if body.is_empty() || send.send_data(body).await.is_ok() {
                    let _ = send.finish().await;
                }
                send
            }));
            let mut sent = None;
            for _ in 0..=MOST_PROVISIONAL {
                // A peer may answer before it has read the request, or instead of reading it.
                let head = {
                    let mut head = pin!(recv.recv_response());
                    poll_fn(|cx| {
                        if let Some(Poll::Ready(done)) = sending.as_mut().map(|sending| sending.as_mut().poll(cx)) {
                            sending = None;
                            sent = Some(done);
                        }
                        head.as_mut().poll(cx)
                    })
                    .await
                    .map_err(|error| why(&error))?
                };
                if !head.status().is_informational() {
                    return Ok((head, recv, sending, sent));
                }
            }
            let sentence = format!("{to} sent more than {MOST_PROVISIONAL} provisional answers (1xx) and no other");
            Err(Failure::new(Reason::ProtocolError, sentence))
        };
        let (head, recv, sending, sent) =
            drive.along(&fault, exchange).await.map_err(|fault| fault.explain(to, true))??;
        if let Some(sending) = sending {
            drive.add(async move { drop(sending.await) });
        }
        let answer = Answer::new(recv, drive, fault, connection, endpoint, to, Box::new((requests, sent)));
        let (parts, ()) = head.into_parts();
        let mut response = http::Response::builder().status(parts.status).version(http::Version::HTTP_3);
        response = reqwest::ResponseBuilderExt::url(response, url);
        let mut response = response
            .body(reqwest::Body::wrap(answer))
            .map_err(|_| Failure::new(Reason::ProtocolError, "the head of the answer cannot be used"))?;
        *response.headers_mut() = parts.headers;
        Ok(response.into())
    }
}

/// A request as HTTP/3 has it: a name in `:authority` instead of Host, and no headers of the connection (RFC 9114, 4.2).
fn request(method: http::Method, url: &Url, mut headers: HeaderMap, length: usize) -> Result<Request<()>, Failure> {
    let unfit = |_: http::Error| {
        Failure::new(Reason::Internal, "the request cannot be sent: HTTP/3 takes no such URL or headers")
    };
    let natural = match url.port() {
        Some(port) => format!("{}:{port}", url.host_str().unwrap_or_default()),
        None => url.host_str().unwrap_or_default().to_owned(),
    };
    let authority = headers.remove(HOST);
    let authority = authority.as_ref().and_then(|value| value.to_str().ok()).unwrap_or(&natural);
    let path = &url[url::Position::BeforePath..url::Position::AfterQuery];
    let uri = Uri::builder().scheme("https").authority(authority).path_and_query(path).build().map_err(unfit)?;
    for name in [
        CONNECTION,
        TRANSFER_ENCODING,
        UPGRADE,
        HeaderName::from_static("keep-alive"),
        HeaderName::from_static("proxy-connection"),
    ] {
        headers.remove(name);
    }
    if headers.get(TE).is_some_and(|te| te != "trailers") {
        headers.remove(TE);
    }
    headers.entry(ACCEPT).or_insert(HeaderValue::from_static("*/*"));
    let defines_content = matches!(method, http::Method::POST | http::Method::PUT | http::Method::PATCH);
    if length > 0 || defines_content {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    let mut request = Request::builder().method(method).uri(uri).version(http::Version::HTTP_3);
    if let Some(map) = request.headers_mut() {
        *map = headers;
    }
    request.body(()).map_err(unfit)
}

/// How a run ends politely.
const DONE: VarInt = VarInt::from_u32(Code::H3_NO_ERROR.value() as u32);
