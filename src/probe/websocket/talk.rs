//! Handshake and messages of one run, and what they showed.

use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use http::header::HOST;
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::error::{CapacityError, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use url::Url;

use crate::config::WebsocketSettings;
use crate::config::tcp::{Expect, Step};
use crate::observation::{Failure, Reason, WebsocketDetail};
use crate::probe::dial::Transport;
use crate::probe::http::remarks_on;
use crate::probe::tcp::template;
use crate::probe::tls::{Stage, classify_at};
use crate::probe::trace_context::RunTrace;

/// Bytes of the largest message that is taken.
const LARGEST: usize = 4 << 20;
/// Bytes of messages that are kept as evidence.
const EXCERPT: usize = 1024;

pub(super) struct Talk<'a> {
    settings: &'a WebsocketSettings,
    detail: WebsocketDetail,
    excerpt: Vec<u8>,
    doing: Doing,
}

#[derive(Clone, Copy)]
enum Doing {
    Nothing,
    Opening { since: Instant },
    Talking { since: Instant, step: usize, sending: bool },
}

type Socket = WebSocketStream<Box<dyn Transport>>;

impl<'a> Talk<'a> {
    pub(super) fn new(settings: &'a WebsocketSettings) -> Self {
        Self { settings, detail: WebsocketDetail::default(), excerpt: Vec::new(), doing: Doing::Nothing }
    }

    pub(super) async fn run(&mut self, stream: Box<dyn Transport>, url: &Url) -> Result<(), Failure> {
        let since = Instant::now();
        self.doing = Doing::Opening { since };
        let opened = self.open(stream, url).await;
        self.detail.processing = Some(since.elapsed());
        let mut socket = opened?;
        let settings = self.settings;
        if !settings.steps.is_empty() {
            let since = Instant::now();
            for (index, step) in settings.steps.iter().enumerate() {
                self.doing = Doing::Talking { since, step: index + 1, sending: false };
                let result = self.step(&mut socket, since, index + 1, step).await;
                self.detail.transfer = Some(since.elapsed());
                result?;
            }
        }
        // Says goodbye. What cannot be sent at once is not waited for.
        let _ = socket.close(None).now_or_never();
        Ok(())
    }

    async fn open(&mut self, stream: Box<dyn Transport>, url: &Url) -> Result<Socket, Failure> {
        let internal = || Failure::new(Reason::Internal, "the exporter cannot make a request of this URL");
        let mut request = url.as_str().into_client_request().map_err(|_| internal())?;
        let headers = request.headers_mut();
        for name in self.settings.headers.keys() {
            if name != HOST {
                headers.remove(name);
            }
        }
        for (name, value) in &self.settings.headers {
            if name == HOST {
                headers.insert(name.clone(), value.clone());
            } else {
                headers.append(name.clone(), value.clone());
            }
        }
        if let Some(trace) = RunTrace::begin(self.settings.trace_context) {
            trace.add_to(headers);
            self.detail.trace_id = Some(trace.id());
        }
        let config = WebSocketConfig::default().max_message_size(Some(LARGEST)).max_frame_size(Some(LARGEST));
        match tokio_tungstenite::client_async_with_config(request, stream, Some(config)).await {
            Ok((socket, response)) => {
                self.detail.status = Some(response.status().as_u16());
                self.detail.upgraded = Some(true);
                Ok(socket)
            }
            Err(Error::Http(response)) => {
                let status = response.status().as_u16();
                self.detail.status = Some(status);
                self.detail.upgraded = Some(false);
                if let Some(body) = response.body() {
                    self.keep(body);
                }
                let body = response.body().as_deref().unwrap_or_default();
                let remarks = remarks_on(response.status(), response.headers(), body);
                let sentence = format!("the server answered HTTP {status} instead of opening a WebSocket{remarks}");
                Err(Failure::new(Reason::HttpStatus, sentence))
            }
            Err(error) => Err(broken("opening the WebSocket", &error)),
        }
    }

    async fn step(&mut self, socket: &mut Socket, since: Instant, number: usize, step: &Step) -> Result<(), Failure> {
        let mut send = step.send.clone().unwrap_or_default();
        match &step.expect {
            None => {}
            Some(Expect::Line(pattern)) => {
                let message = self.receive(socket, since, number).await?;
                let message = self.expected(message, number, |bytes| pattern.is_match(bytes))?;
                if let Some(groups) = pattern.groups(&message) {
                    send = template::expand(&send, &groups);
                }
            }
            Some(Expect::Bytes(expected)) => {
                let message = self.receive(socket, since, number).await?;
                self.expected(message, number, |bytes| bytes == expected)?;
            }
        }
        if send.is_empty() {
            return Ok(());
        }
        self.doing = Doing::Talking { since, step: number, sending: true };
        let message = match String::from_utf8(send) {
            Ok(text) => Message::text(text),
            Err(bytes) => Message::binary(bytes.into_bytes()),
        };
        socket.send(message).await.map_err(|error| broken(&format!("step {number}: sending a message"), &error))
    }

    /// The next message; `None` when the peer closed before.
    async fn receive(
        &mut self,
        socket: &mut Socket,
        since: Instant,
        number: usize,
    ) -> Result<Option<Vec<u8>>, Failure> {
        self.detail.failed_regex.get_or_insert(false);
        loop {
            let message = match socket.next().await {
                None | Some(Err(Error::ConnectionClosed | Error::AlreadyClosed)) => return Ok(None),
                Some(Err(error)) => return Err(broken(&format!("step {number}: reading a message"), &error)),
                Some(Ok(message)) => message,
            };
            match message {
                Message::Text(_) | Message::Binary(_) => {
                    self.doing = Doing::Talking { since, step: number, sending: false };
                    let bytes = message.into_data();
                    self.keep(&bytes);
                    return Ok(Some(bytes.into()));
                }
                // tungstenite answers pings by itself, with the next read.
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
                Message::Close(_) => return Ok(None),
            }
        }
    }

    /// One message is asked for, and it is the one or it is not: unlike the lines of TCP, later ones are not looked at.
    fn expected(
        &mut self,
        message: Option<Vec<u8>>,
        number: usize,
        wanted: impl Fn(&[u8]) -> bool,
    ) -> Result<Vec<u8>, Failure> {
        let what = match message {
            Some(message) if wanted(&message) => return Ok(message),
            Some(_) => "the message is not the expected one",
            None => "the peer closed the WebSocket instead of sending the expected message",
        };
        self.detail.failed_regex = Some(true);
        Err(Failure::new(Reason::ExpectMismatch, format!("step {number}: {what}")))
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.settings.keep_excerpt {
            let room = EXCERPT - self.excerpt.len().min(EXCERPT);
            self.excerpt.extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
    }

    /// Why a run failed that its deadline cut off after it was connected; notes the phase that was not completed.
    pub(super) fn out_of_time(&mut self) -> (Reason, String) {
        match self.doing {
            Doing::Nothing => (Reason::RequestTimeout, "connected, but nothing was asked".to_owned()),
            Doing::Opening { since } => {
                self.detail.processing = Some(since.elapsed());
                (Reason::RequestTimeout, "the server did not answer the request to open a WebSocket".to_owned())
            }
            Doing::Talking { since, step, sending } => {
                self.detail.transfer = Some(since.elapsed());
                if sending {
                    (Reason::RequestTimeout, format!("step {step}: the peer did not take what was sent"))
                } else {
                    (Reason::RequestTimeout, format!("step {step}: no message came"))
                }
            }
        }
    }

    pub(super) fn finish(mut self) -> WebsocketDetail {
        self.detail.received_excerpt = self.excerpt.into();
        self.detail
    }
}

fn broken(what: &str, error: &Error) -> Failure {
    if matches!(error, Error::AttackAttempt | Error::Capacity(CapacityError::TooManyHeaders)) {
        let most = "more than 124 header lines, 64 KiB or 512 packets";
        let sentence = format!("{what} failed: the head of the answer has {most}, the limit of this exporter");
        return Failure::new(Reason::ProtocolError, sentence);
    }
    let failure = classify_at(error, Stage::Exchange);
    let reason = failure.as_ref().map_or(Reason::ProtocolError, |failure| failure.reason);
    // An end in the middle of a frame or of the handshake.
    let reason = if reason == Reason::ResponseTruncated { Reason::ConnectReset } else { reason };
    let text = failure.map_or_else(|| words(error).into(), |failure| failure.sentence);
    Failure::new(reason, format!("{what} failed: {text}"))
}

/// What the peer did, in words of ours.
#[allow(clippy::wildcard_enum_match_arm)] // the rest is not of the peer's making
fn words(error: &Error) -> &'static str {
    match error {
        Error::ConnectionClosed | Error::AlreadyClosed => "the peer closed the WebSocket",
        Error::Capacity(_) => "the message is larger than 4 MiB, the limit of this exporter",
        Error::Utf8(_) => "a text message is not UTF-8",
        Error::Protocol(what) => broken_rule(what),
        Error::HttpFormat(_) => "the answer is not HTTP",
        _ => "the connection cannot be used",
    }
}

#[allow(clippy::wildcard_enum_match_arm)] // the rest is what servers look for in clients
fn broken_rule(what: &ProtocolError) -> &'static str {
    match what {
        ProtocolError::WrongHttpVersion => "the answer is not HTTP/1.1",
        ProtocolError::MissingConnectionUpgradeHeader => "the answer has no \"Connection: Upgrade\"",
        ProtocolError::MissingUpgradeWebSocketHeader => "the answer has no \"Upgrade: websocket\"",
        ProtocolError::SecWebSocketAcceptKeyMismatch => "the Sec-WebSocket-Accept of the answer is missing or wrong",
        ProtocolError::SecWebSocketSubProtocolError(_) => {
            "the answer has a Sec-WebSocket-Protocol that was not asked for"
        }
        ProtocolError::HandshakeIncomplete => "the peer closed the connection before its answer was whole",
        ProtocolError::HttparseError(_) | ProtocolError::InvalidHeader(_) => "the head of the answer is not HTTP",
        ProtocolError::ReceivedAfterClosing => "the peer sent more after it had closed the WebSocket",
        ProtocolError::NonZeroReservedBits => {
            "a frame has bits set that are reserved (compression was not agreed upon)"
        }
        ProtocolError::MaskedFrameFromServer => "a frame is masked, which those of servers must not be",
        ProtocolError::FragmentedControlFrame | ProtocolError::ControlFrameTooBig => {
            "a control frame is longer than 125 bytes, or in pieces"
        }
        ProtocolError::UnknownControlFrameType(_)
        | ProtocolError::UnknownDataFrameType(_)
        | ProtocolError::InvalidOpcode(_) => "a frame has an opcode that does not exist",
        ProtocolError::UnexpectedContinueFrame | ProtocolError::ExpectedFragment(_) => {
            "the pieces of a message are out of order"
        }
        ProtocolError::ResetWithoutClosingHandshake => "the peer closed the connection without closing the WebSocket",
        ProtocolError::InvalidCloseSequence => "the frame that closes the WebSocket is malformed",
        _ => "the peer broke a rule of WebSocket",
    }
}
