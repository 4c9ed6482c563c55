//! One run: its steps in order, and what was seen up to where it ended.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

use super::wire::{Received, Wire};
use super::{Peer, TcpProber, template};
use crate::config::tcp::{Expect, Step};
use crate::config::{HostPort, IpPreference, Pattern};
use crate::observation::{ExpectInfo, Failure, Reason, Resolution, TcpDetail, TlsSession};
use crate::probe::address::{Resolver, destination};
use crate::probe::dial::{Transport, connect, seconds};
use crate::probe::tls::{self, Recorder, Stage, classify_at};

/// Progress of one run. Lives outside the future that the deadline may cut off.
pub(super) struct Run<'a> {
    prober: &'a TcpProber,
    began: Instant,
    doing: Doing,
    /// What is connected to, once it is known.
    to: Option<SocketAddr>,
    seen: Seen,
    wire: Option<Wire>,
    recorder: Recorder,
    expect_info: Vec<ExpectInfo>,
}

/// What a run shows when it ends, however it ends.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) resolution: Option<Resolution>,
    pub(super) tls: Option<TlsSession>,
    pub(super) detail: TcpDetail,
}

/// What the run is at, and since when where that matters.
#[derive(Clone, Copy)]
enum Doing {
    Resolving,
    Connecting {
        since: Instant,
    },
    Handshaking {
        since: Instant,
    },
    /// Steps are counted from 1, as people do.
    Expecting {
        step: usize,
    },
    Sending {
        step: usize,
    },
}

impl<'a> Run<'a> {
    pub(super) fn new(prober: &'a TcpProber) -> Self {
        Self {
            prober,
            began: Instant::now(),
            doing: Doing::Resolving,
            to: None,
            seen: Seen::default(),
            wire: None,
            recorder: Recorder::default(),
            expect_info: Vec::new(),
        }
    }

    pub(super) fn began(&self) -> Instant {
        self.began
    }

    pub(super) async fn attempt(&mut self) -> Result<(), Failure> {
        let stream = self.connect().await?;
        // A connection that was made has these two, whatever comes next.
        self.seen.detail.failed_regex = Some(false);
        self.seen.detail.failed_bytes = Some(false);
        self.wire = Some(Wire::new(stream, self.prober.settings.keep_excerpt));
        if self.prober.settings.tls {
            self.handshake().await?;
        }
        let prober = self.prober;
        for (index, step) in prober.settings.steps.iter().enumerate() {
            self.step(index + 1, step).await?;
        }
        // Says goodbye by TLS's close_notify and TCP's FIN. What cannot be sent at once is not waited for.
        if let Some(stream) = self.wire.as_mut().and_then(Wire::stream) {
            let _ = stream.shutdown().now_or_never();
        }
        Ok(())
    }

    async fn connect(&mut self) -> Result<Box<dyn Transport>, Failure> {
        let prober = self.prober;
        match &prober.peer {
            Peer::Tcp { address, ip, resolver } => {
                let to = self.resolve(address, *ip, resolver).await?;
                let since = Instant::now();
                self.doing = Doing::Connecting { since };
                self.to = Some(to);
                let result = connect(to, prober.settings.source_address).await;
                self.seen.detail.connect = Some(since.elapsed());
                Ok(Box::new(result?))
            }
            Peer::Unix(path) => {
                let since = Instant::now();
                self.doing = Doing::Connecting { since };
                let result = connect_unix(path).await;
                self.seen.detail.connect = Some(since.elapsed());
                Ok(Box::new(result?))
            }
        }
    }

    async fn resolve(
        &mut self,
        address: &HostPort,
        ip: IpPreference,
        resolver: &Resolver,
    ) -> Result<SocketAddr, Failure> {
        let host = &address.host;
        match resolver.resolve(host, ip).await {
            Ok(resolution) => {
                let chosen = resolution.chosen;
                self.seen.resolution = Some(resolution);
                let chosen = chosen
                    .ok_or_else(|| Failure::new(Reason::DnsNoAddress, format!("no address of {host} was chosen")))?;
                destination(host, chosen, address.port)
            }
            Err(error) => {
                self.seen.resolution = Some(error.resolution);
                Err(error.failure)
            }
        }
    }

    /// Speaks TLS over the connection as it is, which may be TLS already: `starttls` inside `tls` is odd but allowed.
    async fn handshake(&mut self) -> Result<(), Failure> {
        let since = Instant::now();
        self.doing = Doing::Handshaking { since };
        let (Some(tls), Some(wire)) = (&self.prober.tls, &mut self.wire) else {
            return Err(Failure::new(Reason::Internal, "the exporter made no TLS settings for this target"));
        };
        let Some(stream) = wire.take_stream() else {
            return Err(Failure::new(Reason::Internal, "the exporter lost the connection before TLS"));
        };
        self.recorder.reset();
        let connector = TlsConnector::from(tls.config.clone());
        let name = tls.name.clone();
        // The ClientHello is made by connect() itself, so that too must be inside the scope.
        let result = self.recorder.scope(async { connector.connect(name, stream).await }).await;
        self.seen.detail.tls = Some(since.elapsed());
        self.seen.tls = self.recorder.session();
        match result {
            Ok(stream) => {
                wire.put_stream(Box::new(stream));
                Ok(())
            }
            Err(error) => Err(classify_at(&error, Stage::Handshake).unwrap_or_else(|| {
                Failure::new(Reason::TlsHandshake, format!("the TLS handshake failed: {}", tls::io_text(&error)))
            })),
        }
    }

    async fn step(&mut self, number: usize, step: &Step) -> Result<(), Failure> {
        self.doing = Doing::Expecting { step: number };
        let mut send = step.send.clone().unwrap_or_default();
        match &step.expect {
            Some(Expect::Line(pattern)) => {
                let line = self.expect_line(number, pattern).await?;
                // The regex matched this line a moment ago.
                if let Some(groups) = pattern.groups(&line) {
                    send = template::expand(&send, &groups);
                    let expanded = step.labels.iter().map(|(name, value)| {
                        let value = template::expand(value.as_bytes(), &groups);
                        (name.as_str().into(), String::from_utf8_lossy(&value).into())
                    });
                    self.note_labels(expanded.collect());
                }
            }
            Some(Expect::Bytes(expected)) => {
                self.expect_bytes(number, expected).await?;
                let literal = step.labels.iter().map(|(name, value)| (name.as_str().into(), value.as_str().into()));
                self.note_labels(literal.collect());
            }
            None => {}
        }
        if !send.is_empty() {
            self.doing = Doing::Sending { step: number };
            // As the incumbent: every text that is sent is a line.
            send.push(b'\n');
            self.send(number, &send).await?;
        }
        if step.starttls {
            let ahead = self.wire.as_ref().map_or(0, Wire::buffered);
            if ahead > 0 {
                // Whoever sits in the middle may have put them there, to be taken for a part of the protected answer
                // (CVE-2011-0411 and its kin).
                let sentence =
                    format!("step {number}: the peer sent {ahead} bytes in clear ahead of the TLS handshake");
                return Err(Failure::new(Reason::ProtocolError, sentence));
            }
            self.handshake().await?;
        }
        Ok(())
    }

    fn note_labels(&mut self, labels: ExpectInfo) {
        if !labels.is_empty() {
            self.expect_info.push(labels);
        }
    }

    /// Reads lines up to one that matches.
    async fn expect_line(&mut self, number: usize, pattern: &Pattern) -> Result<Vec<u8>, Failure> {
        let wire = open(&mut self.wire)?;
        wire.begin_step();
        loop {
            match wire.line().await {
                Ok(Received::Whole) => {
                    if pattern.is_match(wire.last_line()) {
                        return Ok(wire.last_line().to_vec());
                    }
                }
                Ok(Received::End) => {
                    let sentence = format!(
                        "step {number}: the peer closed the connection and no line matched {:?}{}",
                        pattern.as_str(),
                        wire.said()
                    );
                    self.seen.detail.failed_regex = Some(true);
                    return Err(Failure::new(Reason::ExpectMismatch, sentence));
                }
                Ok(Received::TooMuch) => {
                    let sentence = format!("step {number}: the peer sent a line longer than {} bytes", Wire::MAX_LINE);
                    return Err(Failure::new(Reason::ExpectMismatch, sentence));
                }
                Err(error) if wire.lines() > 0 && !is_ours(&error) => {
                    let pattern = pattern.as_str();
                    let sentence =
                        format!("step {number}: no line matched {pattern:?} before the peer broke off{}", wire.said());
                    return Err(Failure::new(Reason::ExpectMismatch, sentence));
                }
                Err(error) => {
                    let mut failure = broken(number, "reading from the peer", &error);
                    if let Some(remark) = wire.began_with_tls() {
                        failure.sentence = format!("{}{remark}", failure.sentence).into();
                    }
                    return Err(failure);
                }
            }
        }
    }

    async fn expect_bytes(&mut self, number: usize, expected: &[u8]) -> Result<(), Failure> {
        let wire = open(&mut self.wire)?;
        wire.begin_step();
        let sentence = match wire.bytes(expected).await {
            Ok(true) => return Ok(()),
            Ok(false) if wire.has_ended() => {
                format!("step {number}: the peer closed the connection before the expected {} bytes", expected.len())
            }
            Ok(false) => format!("step {number}: the peer sent other bytes than the expected {}", expected.len()),
            Err(error) => return Err(broken(number, "reading from the peer", &error)),
        };
        self.seen.detail.failed_bytes = Some(true);
        Err(Failure::new(Reason::ExpectMismatch, sentence))
    }

    async fn send(&mut self, number: usize, bytes: &[u8]) -> Result<(), Failure> {
        let wire = open(&mut self.wire)?;
        let Some(stream) = wire.stream() else {
            return Err(Failure::new(Reason::Internal, "the exporter lost the connection"));
        };
        let sent = async {
            stream.write_all(bytes).await?;
            stream.flush().await
        };
        sent.await.map_err(|error| broken(number, "sending to the peer", &error))
    }

    /// The failure of a run that its deadline cut off; notes the phase that was not completed.
    pub(super) fn out_of_time(&mut self, timeout: Duration) -> Failure {
        let within = format!("within {}", seconds(timeout));
        match self.doing {
            Doing::Resolving => match &self.prober.peer {
                Peer::Tcp { address, resolver, .. } => {
                    let elapsed = self.began.elapsed();
                    self.seen.resolution =
                        Some(Resolution { elapsed, addresses: Box::default(), chosen: None, lookup: None });
                    let silence = resolver.silence(&address.host);
                    Failure::new(silence.reason, format!("{} {within}", silence.sentence))
                }
                Peer::Unix(_) => Failure::new(Reason::Internal, "the exporter had no time to begin"),
            },
            Doing::Connecting { since } => {
                self.seen.detail.connect = Some(since.elapsed());
                let to = match (&self.prober.peer, self.to) {
                    (Peer::Unix(path), _) => path.display().to_string(),
                    (Peer::Tcp { .. }, Some(to)) => to.to_string(),
                    (Peer::Tcp { address, .. }, None) => address.to_string(),
                };
                Failure::new(Reason::ConnectTimeout, format!("no answer from {to} to the connection attempt {within}"))
            }
            Doing::Handshaking { since } => {
                self.seen.detail.tls = Some(since.elapsed());
                self.seen.tls = self.recorder.session();
                Failure::new(Reason::TlsTimeout, format!("connected, but TLS was not set up {within}"))
            }
            Doing::Sending { step } => Failure::new(
                Reason::RequestTimeout,
                format!("step {step}: the peer did not take what was sent {within}"),
            ),
            Doing::Expecting { step } => match &self.wire {
                Some(wire) if wire.has_received() => self.unexpected(step, wire, &within),
                Some(_) | None => {
                    Failure::new(Reason::RequestTimeout, format!("step {step}: nothing came from the peer {within}"))
                }
            },
        }
    }

    /// The peer said something, and went on to be waited for: as in the incumbent, a later line may be the one.
    fn unexpected(&self, step: usize, wire: &Wire, within: &str) -> Failure {
        let said = wire.said();
        let expect = step.checked_sub(1).and_then(|index| self.prober.settings.steps.get(index)?.expect.as_ref());
        match expect {
            Some(Expect::Line(pattern)) if wire.lines() > 0 => {
                let sentence = format!("step {step}: no line matched {:?} {within}{said}", pattern.as_str());
                Failure::new(Reason::ExpectMismatch, sentence)
            }
            Some(Expect::Line(pattern)) if !pattern.can_match_after(wire.unfinished()) => {
                let sentence =
                    format!("step {step}: the peer began a line that cannot match {:?}{said}", pattern.as_str());
                Failure::new(Reason::ExpectMismatch, sentence)
            }
            Some(Expect::Line(_)) => {
                let sentence = format!("step {step}: the peer began a line, and did not end it {within}{said}");
                Failure::new(Reason::ResponseTimeout, sentence)
            }
            Some(Expect::Bytes(_)) | None => {
                let sentence = format!("step {step}: the peer sent a part of the expected bytes {within}{said}");
                Failure::new(Reason::ResponseTimeout, sentence)
            }
        }
    }

    pub(super) fn finish(mut self) -> Seen {
        self.seen.detail.expect_info = self.expect_info.into();
        if let Some(wire) = self.wire {
            self.seen.detail.received_excerpt = wire.into_excerpt();
        }
        self.seen
    }
}

fn open(wire: &mut Option<Wire>) -> Result<&mut Wire, Failure> {
    wire.as_mut().ok_or_else(|| Failure::new(Reason::Internal, "the exporter lost the connection"))
}

async fn connect_unix(path: &Path) -> Result<UnixStream, Failure> {
    UnixStream::connect(path).await.map_err(|error| {
        #[allow(clippy::wildcard_enum_match_arm)] // of forty kinds, these mean something here
        let reason = match error.kind() {
            // No file is a service that does not run, as a file that nobody listens at is.
            ErrorKind::NotFound | ErrorKind::ConnectionRefused => Reason::ConnectRefused,
            // Its queue of connections is full.
            ErrorKind::WouldBlock | ErrorKind::TimedOut => Reason::ConnectTimeout,
            // No permission, say: the exporter's trouble.
            _ => Reason::Internal,
        };
        Failure::new(reason, format!("cannot connect to {}: {}", path.display(), tls::io_text(&error)))
    })
}

/// Whether the error says nothing about the peer.
fn is_ours(error: &io::Error) -> bool {
    classify_at(error, Stage::Exchange).is_some_and(|failure| failure.reason == Reason::Internal)
}

/// A read or a write that failed. A peer that is gone is a reset, whichever way we noticed.
fn broken(step: usize, what: &str, error: &io::Error) -> Failure {
    let failure =
        classify_at(error, Stage::Exchange).unwrap_or_else(|| Failure::new(Reason::ConnectReset, tls::io_text(error)));
    let reason = if error.kind() == ErrorKind::UnexpectedEof { Reason::ConnectReset } else { failure.reason };
    Failure::new(reason, format!("step {step}: {what} failed: {}", failure.sentence))
}
