//! A question and its answer over each transport.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HOST};
use http::{Method, Request, Response, Version};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::message::{Question, Reply};
use crate::observation::{DnsDetail, Failure, Reason};
use crate::probe::dial::{Connection, Dialing, bad_source, connect, own_address};
use crate::probe::http::remarks_on;
use crate::probe::tls::{Stage, classify_at, classify_connect, io_text};
use crate::probe::{http1, http2};

/// The media type of RFC 8484.
const DNS_MESSAGE: http::HeaderValue = http::HeaderValue::from_static("application/dns-message");

pub(super) struct Exchange<'a> {
    pub(super) question: &'a Question,
    pub(super) source: Option<IpAddr>,
    pub(super) deadline: Instant,
    pub(super) detail: &'a mut DnsDetail,
    /// When the question was sent.
    pub(super) asked: &'a mut Option<Instant>,
}

impl Exchange<'_> {
    /// Sends the question, and once more when nothing came after a third of the time: one lost datagram is no outage.
    pub(super) async fn udp(&mut self, dialing: &mut Dialing<'_>) -> Result<Reply, Failure> {
        let to = dialing.address().await?;
        let since = Instant::now();
        let unspecified = if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let local = self.source.unwrap_or(unspecified);
        let socket = UdpSocket::bind(own_address(local, to)).await.map_err(|error| bad_source(local, &error))?;
        // Connected, so that the kernel hands over what routers and the host itself say about the port.
        socket.connect(to).await.map_err(|error| classify_connect(&error, to))?;
        self.detail.connect = Some(since.elapsed());
        let asked = *self.asked.insert(Instant::now());
        socket.send(&self.question.bytes).await.map_err(|error| classify_connect(&error, to))?;
        let again = asked + self.deadline.saturating_duration_since(asked) / 3;
        let reply = match timeout_at(again, self.receive(&socket, to)).await {
            Ok(reply) => reply?,
            Err(_) => {
                socket.send(&self.question.bytes).await.map_err(|error| classify_connect(&error, to))?;
                self.receive(&socket, to).await?
            }
        };
        self.detail.truncated = Some(reply.truncated);
        if !reply.truncated {
            self.detail.request = Some(asked.elapsed());
            return Ok(reply);
        }
        let stream = connect(to, self.source).await?;
        let connection = Connection { stream: Box::new(stream), http2: false };
        let reply = self.ask_over(connection).await?;
        self.detail.request = Some(asked.elapsed());
        Ok(reply)
    }

    /// Waits for the answer to this question; what else comes is forged, or of another time.
    async fn receive(&self, socket: &UdpSocket, to: SocketAddr) -> Result<Reply, Failure> {
        let mut buffer = vec![0; usize::from(u16::MAX)];
        loop {
            let length = socket.recv(&mut buffer).await.map_err(|error| classify_connect(&error, to))?;
            let bytes = &buffer[..length];
            match Reply::parse(bytes) {
                Ok(reply) if self.question.is_answered_by(&reply, self.question.id) => return Ok(reply),
                Ok(_) => {}
                // From whom we asked, and by its number.
                Err(what) if bytes.get(..2) == Some(&self.question.id.to_be_bytes()) => return Err(unreadable(&what)),
                Err(_) => {}
            }
        }
    }

    /// TCP, or TLS over it.
    pub(super) async fn stream(&mut self, dialing: &mut Dialing<'_>) -> Result<Reply, Failure> {
        let connection = dialing.connection().await?;
        let asked = *self.asked.insert(Instant::now());
        let reply = self.ask_over(connection).await?;
        self.detail.request = Some(asked.elapsed());
        Ok(reply)
    }

    /// RFC 7766: the same message with two bytes of length in front.
    async fn ask_over(&self, connection: Connection) -> Result<Reply, Failure> {
        let mut stream = connection.stream;
        let failed = |error: &std::io::Error| {
            let failure = classify_at(error, Stage::Exchange);
            failure.unwrap_or_else(|| {
                Failure::new(Reason::ConnectReset, format!("the connection broke ({})", io_text(error)))
            })
        };
        let length = u16::try_from(self.question.bytes.len()).unwrap_or(u16::MAX);
        let message = [&length.to_be_bytes(), self.question.bytes.as_slice()].concat();
        stream.write_all(&message).await.map_err(|error| failed(&error))?;
        stream.flush().await.map_err(|error| failed(&error))?;
        let length = stream.read_u16().await.map_err(|error| failed(&error))?;
        let mut bytes = vec![0; usize::from(length)];
        stream.read_exact(&mut bytes).await.map_err(|error| failed(&error))?;
        self.read(&bytes, self.question.id)
    }

    /// RFC 8484, by POST.
    pub(super) async fn https(&mut self, dialing: &mut Dialing<'_>, url: &Url) -> Result<Reply, Failure> {
        let connection = dialing.connection().await?;
        let asked = *self.asked.insert(Instant::now());
        let request = self.request(url, connection.http2)?;
        let stream = TokioIo::new(connection.stream);
        let bytes = if connection.http2 {
            let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream);
            let (mut sender, connection) = handshake.await.map_err(|error| broken(&error))?;
            tokio::select! {
                biased;
                bytes = async { body(sender.send_request(request).await).await } => bytes?,
                ended = connection => return Err(ended.err().map_or_else(closed, |error| broken(&error))),
            }
        } else {
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(stream).await.map_err(|error| broken(&error))?;
            let exchange = async { body(sender.send_request(request).await).await };
            tokio::pin!(connection, exchange);
            let mut open = true;
            loop {
                tokio::select! {
                    biased;
                    bytes = &mut exchange => break bytes?,
                    // The answer may be complete all the same.
                    ended = &mut connection, if open => match ended {
                        Ok(()) => open = false,
                        Err(error) => return Err(broken(&error)),
                    },
                }
            }
        };
        self.detail.request = Some(asked.elapsed());
        self.read(&bytes, 0)
    }

    fn request(&self, url: &Url, http2: bool) -> Result<Request<Full<Bytes>>, Failure> {
        let internal = || Failure::new(Reason::Internal, "the exporter cannot make a request of this URL");
        // HTTP/1 wants the path alone, and the host in a header.
        let path = &url[url::Position::BeforePath..url::Position::AfterQuery];
        let authority = &url[url::Position::BeforeHost..url::Position::AfterPort];
        let (version, uri) = if http2 { (Version::HTTP_2, url.as_str()) } else { (Version::HTTP_11, path) };
        let mut request = Request::builder()
            .method(Method::POST)
            .version(version)
            .uri(uri)
            .header(CONTENT_TYPE, DNS_MESSAGE)
            .header(ACCEPT, DNS_MESSAGE)
            .body(Full::new(Bytes::from(self.question.with_id(0))))
            .map_err(|_| internal())?;
        if !http2 {
            let host = authority.parse().map_err(|_| internal())?;
            request.headers_mut().insert(HOST, host);
        }
        Ok(request)
    }

    fn read(&self, bytes: &[u8], id: u16) -> Result<Reply, Failure> {
        match Reply::parse(bytes) {
            Ok(reply) if self.question.is_answered_by(&reply, id) => Ok(reply),
            Ok(_) => Err(Failure::new(Reason::ProtocolError, "the answer is to another question")),
            Err(what) => Err(unreadable(&what)),
        }
    }
}

async fn body(response: Result<Response<Incoming>, hyper::Error>) -> Result<Bytes, Failure> {
    let response = response.map_err(|error| broken(&error))?;
    let status = response.status();
    if status != http::StatusCode::OK {
        let remarks = remarks_on(status, response.headers(), &[]);
        let sentence = format!("the server answered HTTP {}{remarks}", status.as_u16());
        return Err(Failure::new(Reason::HttpStatus, sentence));
    }
    if response.headers().get(CONTENT_TYPE) != Some(&DNS_MESSAGE) {
        return Err(Failure::new(Reason::ProtocolError, "the answer is not of the type application/dns-message"));
    }
    let limited = Limited::new(response.into_body(), usize::from(u16::MAX));
    let collected = limited.collect().await.map_err(|error| {
        classify_at(&*error, Stage::Exchange).or_else(|| http2::amid_an_answer(&*error)).unwrap_or_else(|| {
            Failure::new(
                Reason::ResponseTruncated,
                format!("the answer did not come to its end: {}", http1::broken(&*error)),
            )
        })
    })?;
    Ok(collected.to_bytes())
}

fn unreadable(what: &str) -> Failure {
    Failure::new(Reason::ProtocolError, format!("the answer is no DNS message: {what}"))
}

fn closed() -> Failure {
    Failure::new(Reason::ConnectReset, "the server closed the connection before it answered")
}

fn broken(error: &hyper::Error) -> Failure {
    classify_at(error, Stage::Exchange).or_else(|| http2::instead_of_an_answer(error)).unwrap_or_else(|| {
        if error.is_parse() {
            return Failure::new(Reason::ProtocolError, http1::unreadable(error));
        }
        let sentence = format!("the server does not speak HTTP as it should: {}", http1::broken(error));
        Failure::new(Reason::ProtocolError, sentence)
    })
}
