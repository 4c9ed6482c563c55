//! One echo request with a hop limit, on a socket of its own: a packet of a trace.

use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::packet::Payload;
use super::socket::{Kind, OpenError, Options, Socket, Trouble};
use crate::config::IpFamily;
use crate::probe::error_queue::{IcmpError, Reader};

/// The text and a token.
const PAYLOAD: usize = 36;
/// For the reply, its header and options, and what a router quotes.
const ROOM: usize = 2048;
/// Errors in a row after which a socket is not listened to any more.
const PATIENCE: u32 = 16;

/// What became of the request.
pub(in crate::probe) enum EchoAnswer {
    Reply,
    Error(IcmpError),
}

/// Whether this process may send echo requests.
pub(in crate::probe) fn may_send_echo(family: IpFamily) -> bool {
    !Socket::is_refused(family)
}

/// Sends one request and waits for what becomes of it. The caller bounds that.
pub(in crate::probe) async fn echo(to: IpAddr, source: Option<IpAddr>, hop_limit: u8) -> io::Result<EchoAnswer> {
    let family = IpFamily::of(to);
    let options = Options { family, source, hop_limit: Some(hop_limit), dont_fragment: false, scope: 0 };
    let socket = Socket::open(Kind::ALL, &options).map_err(|error| match error {
        OpenError::NotPermitted => ErrorKind::PermissionDenied.into(),
        OpenError::Source(_, error) | OpenError::Io(error) => error,
    })?;
    let token = RandomState::new().hash_one(hop_limit);
    let [first, second, ..] = token.to_ne_bytes();
    let sequence = u16::from_ne_bytes([first, second]);
    let payload = Payload::new(PAYLOAD);
    socket.send(SocketAddr::new(to, 0), &payload.echo_request(family, socket.id(), sequence, token))?;
    #[expect(deprecated, reason = "the new one is unsafe; a Socket owns its file descriptor and never changes it")]
    let socket = AsyncFd::with_interest(socket, Interest::READABLE | Interest::ERROR)?;
    let mut reader = Reader::with_room(ROOM);
    let mut failures = 0;
    loop {
        let mut ready = socket.ready(Interest::READABLE | Interest::ERROR).await?;
        loop {
            match socket.get_ref().receive_error(&mut reader) {
                Ok(Trouble::Message { to: about, echo, message }) => {
                    let ours = about == to && echo.sequence == sequence && payload.begins(token, echo.payload);
                    if ours && message.is_final() {
                        return Ok(EchoAnswer::Error(message));
                    }
                }
                Ok(Trouble::TooLarge { .. } | Trouble::Other) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        match socket.get_ref().receive(&mut reader) {
            Ok(Some(arrival)) => {
                let ours = arrival.from == to && arrival.echo.sequence == sequence;
                if ours && payload.is(token, arrival.echo.payload) {
                    return Ok(EchoAnswer::Reply);
                }
            }
            Ok(None) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => ready.clear_ready(),
            // What a router said, in short; the error queue has the whole of it.
            Err(error) if failures == PATIENCE => return Err(error),
            Err(_) => failures += 1,
        }
    }
}
