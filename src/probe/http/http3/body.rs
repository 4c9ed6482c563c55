//! The body of an answer, and with it the connection that it comes by.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use h3::error::StreamError;
use http_body::{Body, Frame};

use super::RequestStream;
use super::drive::Drive;
use super::reason::{self, Broken};
use super::socket::Fault;

/// reqwest wants bodies that are `Sync`; the lock is never contended, because polling is exclusive.
pub(super) struct Answer(Mutex<Open>);

struct Open {
    stream: RequestStream,
    ended: bool,
    drive: Drive,
    fault: Arc<Fault>,
    connection: quinn::Connection,
    peer: SocketAddr,
    // Dropped before its end, a handle says that the exchange is over.
    _endpoint: quinn::Endpoint,
    _held: Box<dyn Send>,
}

impl Answer {
    pub(super) fn new(
        stream: RequestStream,
        drive: Drive,
        fault: Arc<Fault>,
        connection: quinn::Connection,
        endpoint: quinn::Endpoint,
        peer: SocketAddr,
        held: Box<dyn Send>,
    ) -> Self {
        fault.answered();
        Self(Mutex::new(Open {
            stream,
            ended: false,
            drive,
            fault,
            connection,
            peer,
            _endpoint: endpoint,
            _held: held,
        }))
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let open = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        if open.ended {
            return Poll::Ready(None);
        }
        open.drive.poll(cx);
        let polled = poll_data(&mut open.stream, cx);
        let result = match polled {
            Poll::Ready(Ok(Some(data))) => {
                open.fault.progressed();
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
            Poll::Ready(Ok(None)) => None,
            Poll::Ready(Err(error)) => {
                let failure = reason::body(&error, open.connection.close_reason().as_ref());
                Some(Err(Broken(failure)))
            }
            Poll::Pending => {
                // Room that the reader made is to be told to the peer.
                open.drive.poll(cx);
                match open.fault.poll(cx) {
                    Poll::Ready(fault) => Some(Err(Broken(fault.explain(open.peer, true)))),
                    Poll::Pending => return Poll::Pending,
                }
            }
        };
        open.ended = true;
        Poll::Ready(result)
    }
}

/// The next piece of the body. h3 takes an empty DATA frame for the end; what follows tells.
fn poll_data(stream: &mut RequestStream, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, StreamError>> {
    /// Beyond these, an empty frame is what the end cannot be followed by.
    const MOST_EMPTY: usize = 16;

    for _ in 0..MOST_EMPTY {
        if let Some(mut data) = ready!(stream.poll_recv_data(cx)?) {
            return Poll::Ready(Ok(Some(data.copy_to_bytes(data.remaining()))));
        }
    }
    stream.poll_recv_trailers(cx).map_ok(|_| None)
}
