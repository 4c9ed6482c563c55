//! Looks at what a peer sends beside its answer: h3 lets a request wait that a GOAWAY gave up, and a stream that pushes
//! what nobody asked for.

use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use h3::error::Code;
use h3::quic::{self, ConnectionErrorIncoming, StreamErrorIncoming, StreamId};

use super::socket::{Fault, Faulted};

/// A connection of which the unidirectional streams are looked at.
pub(super) struct Watched {
    inner: h3_quinn::Connection,
    fault: Arc<Fault>,
}

impl Watched {
    pub(super) fn new(connection: quinn::Connection, fault: Arc<Fault>) -> Self {
        Self { inner: h3_quinn::Connection::new(connection), fault }
    }
}

impl<B: Buf> quic::OpenStreams<B> for Watched {
    type BidiStream = h3_quinn::BidiStream<B>;
    type SendStream = h3_quinn::SendStream<B>;

    fn poll_open_bidi(&mut self, cx: &mut Context<'_>) -> Poll<Result<Self::BidiStream, StreamErrorIncoming>> {
        quic::OpenStreams::<B>::poll_open_bidi(&mut self.inner, cx)
    }

    fn poll_open_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<Self::SendStream, StreamErrorIncoming>> {
        quic::OpenStreams::<B>::poll_open_send(&mut self.inner, cx)
    }

    fn close(&mut self, code: Code, reason: &[u8]) {
        quic::OpenStreams::<B>::close(&mut self.inner, code, reason);
    }
}

impl<B: Buf> quic::Connection<B> for Watched {
    type RecvStream = WatchedStream;
    type OpenStreams = h3_quinn::OpenStreams;

    fn poll_accept_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<WatchedStream, ConnectionErrorIncoming>> {
        let fault = &self.fault;
        quic::Connection::<B>::poll_accept_recv(&mut self.inner, cx).map_ok(|inner| WatchedStream {
            inner,
            eye: Eye::default(),
            fault: Arc::clone(fault),
        })
    }

    fn poll_accept_bidi(&mut self, cx: &mut Context<'_>) -> Poll<Result<Self::BidiStream, ConnectionErrorIncoming>> {
        quic::Connection::<B>::poll_accept_bidi(&mut self.inner, cx)
    }

    fn opener(&self) -> Self::OpenStreams {
        quic::Connection::<B>::opener(&self.inner)
    }
}

pub(super) struct WatchedStream {
    inner: h3_quinn::RecvStream,
    eye: Eye,
    fault: Arc<Fault>,
}

impl quic::RecvStream for WatchedStream {
    type Buf = Bytes;

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, StreamErrorIncoming>> {
        let polled = self.inner.poll_data(cx);
        if let Poll::Ready(Ok(Some(bytes))) = &polled {
            match self.eye.see(bytes) {
                Some(Seen::GoAway) => self.fault.instead_of_an_answer(Faulted::GoneAway),
                Some(Seen::Push) => self.fault.instead_of_an_answer(Faulted::Pushed),
                None => {}
            }
        }
        polled
    }

    fn stop_sending(&mut self, error_code: u64) {
        self.inner.stop_sending(error_code);
    }

    fn recv_id(&self) -> StreamId {
        self.inner.recv_id()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    /// That spares no request of ours, of which the first and only one has the number 0.
    GoAway,
    Push,
}

/// Reads a unidirectional stream as far as it matters (RFC 9114, 6.2 and 7.1).
#[derive(Debug, Default)]
struct Eye {
    at: At,
    number: Number,
}

#[derive(Clone, Copy, Debug, Default)]
enum At {
    /// The type of the stream.
    #[default]
    Stream,
    Kind,
    Length {
        kind: u64,
    },
    /// The number that a GOAWAY consists of.
    Id,
    Payload {
        left: u64,
    },
    /// Of no interest from here on.
    Elsewhere,
}

impl Eye {
    fn see(&mut self, mut bytes: &[u8]) -> Option<Seen> {
        const CONTROL: u64 = 0;
        const PUSH: u64 = 1;
        const GOAWAY: u64 = 7;
        loop {
            match self.at {
                At::Elsewhere => return None,
                At::Payload { left } => {
                    let here = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                    bytes = &bytes[here..];
                    let left = left - here as u64;
                    self.at = if left == 0 { At::Kind } else { At::Payload { left } };
                    if left > 0 {
                        return None;
                    }
                }
                At::Stream | At::Kind | At::Length { .. } | At::Id => {
                    let number = self.number.read(&mut bytes)?;
                    self.at = match self.at {
                        At::Stream if number == CONTROL => At::Kind,
                        At::Stream if number == PUSH => {
                            self.at = At::Elsewhere;
                            return Some(Seen::Push);
                        }
                        At::Kind => At::Length { kind: number },
                        At::Length { kind: GOAWAY } => At::Id,
                        At::Length { .. } => At::Payload { left: number },
                        At::Id if number == 0 => {
                            self.at = At::Elsewhere;
                            return Some(Seen::GoAway);
                        }
                        At::Id => At::Kind,
                        At::Stream | At::Payload { .. } | At::Elsewhere => At::Elsewhere,
                    };
                }
            }
        }
    }
}

/// A number of variable length (RFC 9000, 16), which may come in pieces.
#[derive(Debug, Default)]
struct Number {
    value: u64,
    /// Bytes still to come; 0 before the first.
    left: u8,
}

impl Number {
    fn read(&mut self, bytes: &mut &[u8]) -> Option<u64> {
        loop {
            let (&byte, rest) = bytes.split_first()?;
            *bytes = rest;
            if self.left == 0 {
                self.left = 1 << (byte >> 6);
                self.value = u64::from(byte & 0x3f);
            } else {
                self.value = self.value << 8 | u64::from(byte);
            }
            self.left -= 1;
            if self.left == 0 {
                return Some(self.value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_goaway_counts_that_spares_no_request() {
        const SETTINGS: &[u8] = &[0, 4, 2, 0x21, 1];
        for (stream, seen) in [
            (&[0, 7, 1, 0][..], Some(Seen::GoAway)),
            (&[0, 7, 2, 0x40, 0], Some(Seen::GoAway)),
            (&[0, 0x40, 7, 0x40, 1, 0], Some(Seen::GoAway)),
            (&[0, 7, 1, 4, 7, 1, 0], Some(Seen::GoAway)),
            (&[0, 7, 1, 4], None),
            (&[0, 0x21, 3, 7, 1, 0], None),
            (&[1, 0], Some(Seen::Push)),
            (&[2, 7, 1, 0], None),
            (&[0], None),
            (&[], None),
            (SETTINGS, None),
        ] {
            assert_eq!(Eye::default().see(stream), seen, "{stream:?}");
            let mut eye = Eye::default();
            let in_pieces = stream.iter().find_map(|byte| eye.see(&[*byte]));
            assert_eq!(in_pieces, seen, "{stream:?} in pieces");
        }
    }

    proptest! {
        #[test]
        fn any_stream_is_read_alike_in_pieces(bytes in prop::collection::vec(any::<u8>(), 0..64), piece in 1_usize..9) {
            let mut eye = Eye::default();
            let in_pieces = bytes.chunks(piece).find_map(|piece| eye.see(piece));
            prop_assert_eq!(Eye::default().see(&bytes), in_pieces);
        }
    }
}
