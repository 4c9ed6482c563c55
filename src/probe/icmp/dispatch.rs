//! Sockets shared by all targets that want the same packets, and who waits for which reply on them.
//!
//! Each socket has one receiving task. It is owned by the [`Channel`], which [`Sockets`] keeps; it ends with it. A task
//! that ended otherwise is logged, those who waited on it are told, and the next run gets a new socket. A reply belongs
//! to a packet when identifier, sequence number, sender and payload all fit; whatever else arrives disturbs nobody.

use std::collections::HashMap;
use std::collections::hash_map::{Entry, RandomState};
use std::hash::BuildHasher as _;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::libc;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, sleep};
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, error, warn};

use super::packet::{Echo, Payload};
use super::socket::{Arrival, Kind, LARGEST_PACKET, OpenError, Options, Socket, Trouble};
use crate::probe::error_queue::{IcmpError, Reader};

/// Packets read in one go, before other tasks get their turn.
const BATCH: usize = 256;

/// A run reads what has arrived after this many packets were sent: many runs at the same moment, to hosts that answer
/// at once, would else fill the receive buffer before the receiving task gets its turn.
const HELP_EVERY: u64 = 32;

/// How often a send is tried again when the error may be about another packet.
const RETRIES: u32 = 8;

/// Pause of the receiving task while its socket reports nothing but errors.
const PAUSE: Duration = Duration::from_millis(100);

/// The sockets that are open, by what their packets have in common.
pub struct Sockets {
    kinds: &'static [Kind],
    channels: Mutex<HashMap<Options, Arc<Channel>>>,
}

impl Default for Sockets {
    fn default() -> Self {
        Self::of(Kind::ALL)
    }
}

/// An open socket and its receiving task.
pub(super) struct Channel {
    exchange: Arc<Exchange>,
    task: AbortOnDropHandle<()>,
}

/// What the receiving task and the runs share.
struct Exchange {
    socket: AsyncFd<Socket>,
    reader: Mutex<Reader>,
    waiting: Mutex<Waiting>,
    /// Counts packets sent; what the tokens are made of.
    count: AtomicU64,
    /// Makes tokens that nobody can guess.
    secret: RandomState,
}

#[derive(Default)]
struct Waiting {
    by_sequence: HashMap<u16, Waiter>,
    next: u16,
    /// Nobody receives any more.
    closed: bool,
}

/// One packet on its way.
struct Waiter {
    to: IpAddr,
    payload: Payload,
    token: u64,
    sent: Instant,
    /// What the kernel said about the MTU when it refused to send.
    mtu: u32,
    events: UnboundedSender<Event>,
}

/// What became of one packet. There is at most one for each.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Event {
    Reply {
        round_trip: Duration,
        hop_limit: Option<u8>,
    },
    Error(IcmpError),
    /// The receiving task has ended.
    Closed,
}

/// Why a packet was not sent.
#[derive(Debug)]
pub(super) enum SendError {
    /// So many packets are on their way that no sequence number is free.
    Full,
    /// The receiving task has ended.
    Closed,
    /// The packet is larger than the MTU (0: not known).
    TooLarge {
        mtu: u32,
    },
    Io(io::Error),
}

/// The packets of one run to one address. Dropped, it leaves nothing behind.
pub(super) struct Flight {
    channel: Arc<Channel>,
    /// With its zone; the port is 0.
    to: SocketAddr,
    payload: Payload,
    sequences: Vec<u16>,
    events: UnboundedReceiver<Event>,
    sender: UnboundedSender<Event>,
}

impl Sockets {
    /// Of these kinds alone, the first that is permitted.
    pub(super) fn of(kinds: &'static [Kind]) -> Self {
        Self { kinds, channels: Mutex::default() }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        lock(&self.channels).len()
    }

    /// The socket whose packets are like this, opened when it is first asked for. Needs tokio's runtime.
    pub(super) fn channel(&self, options: &Options) -> Result<Arc<Channel>, OpenError> {
        let mut channels = lock(&self.channels);
        if let Some(channel) = channels.get(options) {
            if !channel.task.is_finished() {
                return Ok(Arc::clone(channel));
            }
            error!(?options, "The task that receives ICMP ended; its socket is opened anew.");
        }
        let channel = Arc::new(Channel::new(Socket::open(self.kinds, options)?)?);
        debug!(?options, kind = channel.kind().as_str(), "ICMP socket opened.");
        channels.insert(options.clone(), Arc::clone(&channel));
        Ok(channel)
    }
}

impl Channel {
    fn new(socket: Socket) -> Result<Self, OpenError> {
        let interest = Interest::READABLE | Interest::WRITABLE | Interest::ERROR;
        let secret = RandomState::new();
        let [first, second, ..] = secret.hash_one(0).to_ne_bytes();
        #[expect(deprecated, reason = "the new one is unsafe; a Socket owns its file descriptor and never changes it")]
        let socket = AsyncFd::with_interest(socket, interest)?;
        let exchange = Arc::new(Exchange {
            socket,
            reader: Mutex::new(Reader::with_room(LARGEST_PACKET)),
            // Not from where the process before this one began.
            waiting: Mutex::new(Waiting { next: u16::from_ne_bytes([first, second]), ..Waiting::default() }),
            count: AtomicU64::new(0),
            secret,
        });
        let task = AbortOnDropHandle::new(tokio::spawn(receive(Receiving(Arc::clone(&exchange)))));
        Ok(Self { exchange, task })
    }

    pub(super) fn kind(&self) -> Kind {
        self.exchange.socket.get_ref().kind
    }

    /// Packets for which there was no room, since the socket was opened.
    pub(super) fn drops(&self) -> u32 {
        self.exchange.socket.get_ref().drops()
    }

    /// Packets on their way.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        lock(&self.exchange.waiting).by_sequence.len()
    }

    /// Ends the receiving task.
    #[cfg(test)]
    pub(super) fn kill(&self) {
        self.task.abort();
    }

    #[cfg(test)]
    pub(super) fn is_finished(&self) -> bool {
        self.task.is_finished()
    }
}

impl Flight {
    pub(super) fn new(channel: Arc<Channel>, to: SocketAddr, payload: Payload) -> Self {
        let (sender, events) = unbounded_channel();
        Self { channel, to, payload, sequences: Vec::new(), events, sender }
    }

    /// Sends one more packet. Waits while the kernel has no room for it; the caller bounds that.
    pub(super) async fn send(&mut self) -> Result<(), SendError> {
        let exchange = Arc::clone(&self.channel.exchange);
        let count = exchange.count.fetch_add(1, Ordering::Relaxed);
        let token = exchange.secret.hash_one(count);
        let sequence = exchange.register(Waiter {
            to: self.to.ip(),
            payload: self.payload.clone(),
            token,
            sent: Instant::now(),
            mtu: 0,
            events: self.sender.clone(),
        })?;
        self.sequences.push(sequence);
        let socket = exchange.socket.get_ref();
        let packet = self.payload.echo_request(socket.family, socket.id(), sequence, token);
        let result = exchange.send(self.to, &packet, sequence).await;
        if count.is_multiple_of(HELP_EVERY) {
            exchange.help();
        }
        result.map_err(|error| {
            if error.raw_os_error() == Some(libc::EMSGSIZE) {
                exchange.drain_now();
                SendError::TooLarge { mtu: exchange.forget(sequence).map_or(0, |waiter| waiter.mtu) }
            } else {
                exchange.forget(sequence);
                SendError::Io(error)
            }
        })
    }

    /// What becomes of the packets that were sent.
    pub(super) async fn next(&mut self) -> Event {
        // There is a sender in this struct, so it does not end.
        self.events.recv().await.unwrap_or(Event::Closed)
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let mut waiting = lock(&self.channel.exchange.waiting);
        for sequence in &self.sequences {
            // Somebody else's by now, if this one's was answered and taken again.
            if let Entry::Occupied(entry) = waiting.by_sequence.entry(*sequence)
                && entry.get().events.same_channel(&self.sender)
            {
                entry.remove();
            }
        }
    }
}

impl Exchange {
    fn register(&self, waiter: Waiter) -> Result<u16, SendError> {
        let mut waiting = lock(&self.waiting);
        if waiting.closed {
            return Err(SendError::Closed);
        }
        // In a circle, so that a number rests for as long as there are others.
        for _ in 0..=u16::MAX {
            let sequence = waiting.next;
            waiting.next = sequence.wrapping_add(1);
            if let Entry::Vacant(entry) = waiting.by_sequence.entry(sequence) {
                entry.insert(waiter);
                return Ok(sequence);
            }
        }
        Err(SendError::Full)
    }

    fn forget(&self, sequence: u16) -> Option<Waiter> {
        lock(&self.waiting).by_sequence.remove(&sequence)
    }

    async fn send(&self, to: SocketAddr, packet: &[u8], sequence: u16) -> io::Result<()> {
        const LEAST: Duration = Duration::from_millis(1);
        const MOST: Duration = Duration::from_millis(100);
        let mut pause = LEAST;
        let mut retries = 0;
        loop {
            let attempt = |socket: &Socket| {
                if let Some(waiter) = lock(&self.waiting).by_sequence.get_mut(&sequence) {
                    waiter.sent = Instant::now();
                }
                socket.send(to, packet)
            };
            // Waits while the send buffer is full.
            let Err(error) = self.socket.async_io(Interest::WRITABLE, attempt).await else { return Ok(()) };
            match error.raw_os_error() {
                Some(libc::EINTR) => {}
                // The queue of the network device is full.
                Some(libc::ENOBUFS | libc::ENOMEM) => {
                    self.help();
                    sleep(pause).await;
                    pause = (pause * 2).min(MOST);
                }
                // It may be what a router said about another packet. What is about this one comes again.
                _ if retries < RETRIES => {
                    retries += 1;
                    self.socket.get_ref().clear_error();
                }
                _ => return Err(error),
            }
        }
    }

    /// Reads some of what has arrived, unless somebody does already.
    fn help(&self) {
        if let Ok(mut reader) = self.reader.try_lock() {
            self.drain(&mut reader);
        }
    }

    fn drain_now(&self) -> Drained {
        self.drain(&mut lock(&self.reader))
    }

    fn drain(&self, reader: &mut Reader) -> Drained {
        let socket = self.socket.get_ref();
        let mut failed = None;
        let mut failures = 0;
        let mut empty = false;
        for _ in 0..BATCH {
            match socket.receive(reader) {
                Ok(Some(arrival)) => self.deliver(&arrival),
                Ok(None) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    empty = true;
                    break;
                }
                // What a router said, in short; the error queue has the whole of it.
                Err(error) => {
                    failures += 1;
                    failed = Some(error);
                }
            }
        }
        let mut quiet = false;
        for _ in 0..BATCH {
            match socket.receive_error(reader) {
                Ok(Trouble::Message { to, echo, message }) => self.deliver_error(to, echo, message),
                Ok(Trouble::TooLarge { to, mtu }) => self.note_mtu(to, mtu),
                Ok(Trouble::Other) => {}
                Err(error) => {
                    quiet = error.kind() == ErrorKind::WouldBlock;
                    if quiet {
                        break;
                    }
                }
            }
        }
        match failed {
            Some(error) if failures == BATCH => Drained::Failing(error),
            Some(_) | None if empty && quiet => Drained::Empty,
            Some(_) | None => Drained::More,
        }
    }

    fn deliver(&self, arrival: &Arrival<'_>) {
        let now = Instant::now();
        let Echo { sequence, payload, .. } = arrival.echo;
        let mut waiting = lock(&self.waiting);
        let Entry::Occupied(entry) = waiting.by_sequence.entry(sequence) else { return };
        let waiter = entry.get();
        if waiter.to != arrival.from || !waiter.payload.is(waiter.token, payload) {
            return;
        }
        let waiter = entry.remove();
        drop(waiting);
        let seen = now.saturating_duration_since(waiter.sent);
        // A clock that was set in the meantime makes nonsense of the kernel's time.
        let round_trip = seen.checked_sub(arrival.waited).unwrap_or(seen);
        let _ = waiter.events.send(Event::Reply { round_trip, hop_limit: arrival.hop_limit });
    }

    fn deliver_error(&self, to: IpAddr, quoted: Echo<'_>, message: IcmpError) {
        if !message.is_final() {
            return;
        }
        let mut waiting = lock(&self.waiting);
        let Entry::Occupied(entry) = waiting.by_sequence.entry(quoted.sequence) else { return };
        let waiter = entry.get();
        if waiter.to != to || !waiter.payload.begins(waiter.token, quoted.payload) {
            return;
        }
        let waiter = entry.remove();
        drop(waiting);
        let _ = waiter.events.send(Event::Error(message));
    }

    fn note_mtu(&self, to: IpAddr, mtu: u32) {
        lock(&self.waiting).by_sequence.values_mut().filter(|waiter| waiter.to == to).for_each(|waiter| {
            waiter.mtu = mtu;
        });
    }
}

/// How far a look at a socket came.
enum Drained {
    /// There is nothing more.
    Empty,
    /// There may be more.
    More,
    /// Nothing but errors.
    Failing(io::Error),
}

/// Hands replies and errors to those who wait for them, for as long as the socket is there.
async fn receive(receiving: Receiving) {
    let exchange = &*receiving.0;
    let mut complained = false;
    loop {
        let mut ready = match exchange.socket.ready(Interest::READABLE | Interest::ERROR).await {
            Ok(ready) => ready,
            // The runtime is being shut down.
            Err(error) => {
                debug!(%error, "The ICMP socket cannot be watched any more.");
                return;
            }
        };
        match exchange.drain_now() {
            Drained::Empty => ready.clear_ready(),
            Drained::More => tokio::task::yield_now().await,
            Drained::Failing(error) => {
                if !complained {
                    warn!(%error, "The ICMP socket reports nothing but errors.");
                    complained = true;
                }
                sleep(PAUSE).await;
            }
        }
    }
}

/// Tells everybody who waits that nothing will come, however the task ends: also when it never began.
struct Receiving(Arc<Exchange>);

impl Drop for Receiving {
    fn drop(&mut self) {
        let mut waiting = lock(&self.0.waiting);
        waiting.closed = true;
        for (_, waiter) in waiting.by_sequence.drain() {
            let _ = waiter.events.send(Event::Closed);
        }
    }
}

/// What a panic left behind is complete: each change is one call.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
