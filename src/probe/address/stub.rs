//! A stub resolver: asks name servers one question, and tells apart what may come back.
//!
//! Servers are asked in order. The next one, or the same one again, is asked when the last failed, or stayed silent
//! for a second; all that were asked are listened to. The first server that knows wins. Every try has its own
//! connected UDP socket: the port is new each time, answers of others are filtered by the kernel, and a port on which
//! no name server runs is an error instead of silence. A truncated answer is asked for again by TCP.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use hickory_resolver::proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::Instant;

use super::Found;
use crate::config::IpFamily;
use crate::observation::Lookup;
use crate::probe::tls::is_exhausted;

/// Silence after which the next try begins.
const STAGGER: Duration = Duration::from_secs(1);

/// How long one try is listened to. With [`ROUNDS`] and one server a lookup ends after five seconds, so the timeout of
/// the run usually decides.
const PATIENCE: Duration = Duration::from_secs(3);

/// How often each server is asked before the lookup ends.
const ROUNDS: usize = 3;

/// What fits a packet on any path (DNS Flag Day 2020).
const UDP_PAYLOAD: u16 = 1232;

/// More aliases and name servers are not kept.
const MOST_ALIASES: usize = 8;
const MOST_SERVERS: usize = 8;

/// Asks a list of servers.
#[derive(Debug)]
pub(super) struct Stub {
    servers: Vec<SocketAddr>,
}

/// Why a name gave no address of one family.
#[derive(Debug)]
pub(super) enum LookupError {
    /// The name does not exist, says this server.
    NxDomain(SocketAddr),
    /// The name exists, but has no address of the family.
    NoData(SocketAddr),
    /// This server answered with a code that is a failure of its own.
    Code(SocketAddr, ResponseCode),
    /// This server neither knows nor looks further (a lame delegation, or a server that is no resolver).
    Lame(SocketAddr),
    /// The answer of this server cannot be read.
    Malformed(SocketAddr),
    /// This server cannot be reached, as the network says.
    Unreachable(SocketAddr, io::Error),
    /// No server answered in time.
    Silent,
    /// The exporter ran out of sockets or memory.
    Exhausted(io::Error),
}

impl LookupError {
    /// Which error to report when several names or families failed in different ways: one that leaves open whether the
    /// name exists outweighs "it has no address", which outweighs "it does not exist".
    pub(super) fn weight(&self) -> u8 {
        match self {
            Self::NxDomain(_) => 0,
            Self::NoData(_) => 1,
            Self::Silent => 2,
            Self::Unreachable(..) => 3,
            Self::Lame(_) | Self::Malformed(_) => 4,
            Self::Code(..) => 5,
            Self::Exhausted(_) => 6,
        }
    }

    /// The server that said so.
    pub(super) fn server(&self) -> Option<SocketAddr> {
        match self {
            Self::NxDomain(server)
            | Self::NoData(server)
            | Self::Code(server, _)
            | Self::Lame(server)
            | Self::Malformed(server)
            | Self::Unreachable(server, _) => Some(*server),
            Self::Silent | Self::Exhausted(_) => None,
        }
    }

    /// Whether asking another server is of no use.
    fn is_final(&self) -> bool {
        matches!(self, Self::NxDomain(_) | Self::NoData(_) | Self::Exhausted(_))
    }
}

impl Stub {
    pub(super) fn new(servers: Vec<SocketAddr>) -> Self {
        Self { servers }
    }

    pub(super) fn servers(&self) -> &[SocketAddr] {
        &self.servers
    }

    /// The addresses of `name` of one family; at least one, or the error.
    pub(super) async fn lookup(&self, name: &Name, family: IpFamily) -> Result<Found, LookupError> {
        let record_type = match family {
            IpFamily::V4 => RecordType::A,
            IpFamily::V6 => RecordType::AAAA,
        };
        let (server, message) = self.answer(name, record_type).await?;
        let addresses = records(&message, record_type).filter_map(RData::ip_addr).collect();
        Ok(Found { addresses, lookup: Some(Box::new(beside(server, name, &message))) })
    }

    /// The answer that has records of this type, at least one, and whose it is; or the error.
    pub(super) async fn answer(
        &self,
        name: &Name,
        record_type: RecordType,
    ) -> Result<(SocketAddr, Message), LookupError> {
        let mut left = (0..ROUNDS).flat_map(|_| 0..self.servers.len());
        // A server that answered with a failure is not asked again: it would say the same.
        let mut failed = vec![false; self.servers.len()];
        let mut worst = LookupError::Silent;
        let mut tries = FuturesUnordered::new();
        let mut next_try = Instant::now();
        loop {
            if Instant::now() >= next_try {
                match left.find(|&index| !failed[index]) {
                    Some(index) => {
                        let server = self.servers[index];
                        tries.push(async move { (index, ask_patiently(server, name, record_type).await) });
                        next_try = Instant::now() + STAGGER;
                    }
                    None if tries.is_empty() => return Err(worst),
                    None => next_try = Instant::now() + PATIENCE,
                }
            }
            tokio::select! {
                Some((index, result)) = tries.next() => match result {
                    Ok(message) => return Ok((self.servers[index], message)),
                    Err(error) if error.is_final() => return Err(error),
                    Err(LookupError::Silent) => next_try = Instant::now(),
                    Err(error) => {
                        failed[index] = true;
                        if error.weight() >= worst.weight() {
                            worst = error;
                        }
                        if failed.iter().all(|&failed| failed) {
                            return Err(worst);
                        }
                        next_try = Instant::now();
                    }
                },
                () = tokio::time::sleep_until(next_try) => {}
            }
        }
    }
}

async fn ask_patiently(server: SocketAddr, name: &Name, record_type: RecordType) -> Result<Message, LookupError> {
    tokio::time::timeout(PATIENCE, ask(server, name, record_type)).await.unwrap_or(Err(LookupError::Silent))
}

async fn ask(server: SocketAddr, name: &Name, record_type: RecordType) -> Result<Message, LookupError> {
    let question = Question::new(name, record_type, Extended::Yes);
    let mut reply = question.by_udp(server).await?;
    // A server from before EDNS (RFC 6891 section 7).
    if let Reply::Whole(message) = &reply
        && matches!(message.metadata.response_code, ResponseCode::FormErr | ResponseCode::NotImp)
    {
        reply = Question::new(name, record_type, Extended::No).by_udp(server).await?;
    }
    match reply {
        Reply::Whole(message) => judge(server, message, record_type),
        Reply::Truncated(part) => match question.by_tcp(server).await {
            Ok(message) => judge(server, message, record_type),
            // Where TCP is blocked, a part of the addresses is better than a name that seems not to resolve.
            Err(error) => part.and_then(|part| judge(server, part, record_type).ok()).ok_or(error),
        },
    }
}

/// One question, ready for the wire.
struct Question {
    message: Message,
    bytes: Vec<u8>,
}

#[derive(Clone, Copy)]
enum Extended {
    Yes,
    No,
}

enum Reply {
    Whole(Message),
    /// With the TC bit; the part that came, if it can be read.
    Truncated(Option<Message>),
}

impl Question {
    fn new(name: &Name, record_type: RecordType, extended: Extended) -> Self {
        // The id is random.
        let mut message = Message::query();
        message.metadata.recursion_desired = true;
        message.add_query(Query::query(name.clone(), record_type));
        if let Extended::Yes = extended {
            let mut edns = Edns::new();
            edns.set_max_payload(UDP_PAYLOAD).set_version(0);
            message.set_edns(edns);
        }
        // Cannot fail for a name that was parsed; an empty question would be refused by the server.
        let bytes = message.to_vec().unwrap_or_default();
        Self { message, bytes }
    }

    async fn by_udp(&self, server: SocketAddr) -> Result<Reply, LookupError> {
        let local: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let failed = |error: io::Error| socket_error(server, error);
        let socket = UdpSocket::bind((local, 0)).await.map_err(failed)?;
        socket.connect(server).await.map_err(failed)?;
        socket.send(&self.bytes).await.map_err(failed)?;
        // More than was offered, for servers that do not look at the offer.
        let mut buffer = [0; 4096];
        loop {
            let length = socket.recv(&mut buffer).await.map_err(failed)?;
            let reply = &buffer[..length];
            if reply.get(..2) != Some(&self.message.metadata.id.to_be_bytes()) {
                continue; // forged, or of another time
            }
            const TC: u8 = 0b10;
            let truncated = reply.get(2).is_some_and(|flags| flags & TC != 0);
            match Message::from_vec(reply) {
                Ok(message) if !self.is_answered_by(&message) => {}
                Ok(message) if truncated => return Ok(Reply::Truncated(Some(message))),
                Ok(message) => return Ok(Reply::Whole(message)),
                Err(_) if truncated => return Ok(Reply::Truncated(None)),
                Err(_) => return Err(LookupError::Malformed(server)),
            }
        }
    }

    /// RFC 7766: the same message with two bytes of length in front.
    async fn by_tcp(&self, server: SocketAddr) -> Result<Message, LookupError> {
        let failed = |error: io::Error| socket_error(server, error);
        let mut socket = TcpStream::connect(server).await.map_err(failed)?;
        let length = u16::try_from(self.bytes.len()).unwrap_or(u16::MAX);
        socket.write_all(&[&length.to_be_bytes(), self.bytes.as_slice()].concat()).await.map_err(failed)?;
        let length = socket.read_u16().await.map_err(failed)?;
        let mut reply = vec![0; usize::from(length)];
        socket.read_exact(&mut reply).await.map_err(failed)?;
        match Message::from_vec(&reply) {
            Ok(message) if message.metadata.id == self.message.metadata.id && self.is_answered_by(&message) => {
                Ok(message)
            }
            Ok(_) | Err(_) => Err(LookupError::Malformed(server)),
        }
    }

    /// Whether it is a response to this very question. Failures may come without the question.
    fn is_answered_by(&self, message: &Message) -> bool {
        let response = message.metadata.message_type == MessageType::Response;
        let failure = message.metadata.response_code != ResponseCode::NoError;
        response
            && message.metadata.op_code == OpCode::Query
            && (message.queries == self.message.queries || (failure && message.queries.is_empty()))
    }
}

fn socket_error(server: SocketAddr, error: io::Error) -> LookupError {
    if is_exhausted(&error) { LookupError::Exhausted(error) } else { LookupError::Unreachable(server, error) }
}

/// The records of a type in the answer section, all of them, as the incumbent takes them: a resolver puts the whole chain of
/// aliases there, and only what belongs to the question.
pub(super) fn records(message: &Message, record_type: RecordType) -> impl Iterator<Item = &RData> {
    message.answers.iter().filter(move |record| record.record_type() == record_type).map(|record| &record.data)
}

fn judge(server: SocketAddr, message: Message, record_type: RecordType) -> Result<Message, LookupError> {
    let head = &message.metadata;
    #[allow(clippy::wildcard_enum_match_arm)] // every code but two is a failure
    match head.response_code {
        ResponseCode::NoError if records(&message, record_type).next().is_some() => Ok(message),
        ResponseCode::NoError if message.answers.is_empty() && !head.authoritative && !head.recursion_available => {
            Err(LookupError::Lame(server))
        }
        ResponseCode::NoError => Err(LookupError::NoData(server)),
        ResponseCode::NXDomain => Err(LookupError::NxDomain(server)),
        code => Err(LookupError::Code(server, code)),
    }
}

/// What the answer says besides the addresses: the aliases on the way to them, and whose name servers know the last.
fn beside(server: SocketAddr, name: &Name, message: &Message) -> Lookup {
    let text = |name: &Name| -> Box<str> { name.to_ascii().trim_end_matches('.').to_lowercase().into() };
    let mut aliases: Vec<&Name> = Vec::new();
    let mut last = name;
    // Records come in any order. A loop of aliases ends here, too.
    while aliases.len() < MOST_ALIASES
        && let Some(next) = message.answers.iter().find_map(|record| {
            if let RData::CNAME(alias) = &record.data { (record.name == *last).then_some(&alias.0) } else { None }
        })
        && next != name
    {
        aliases.push(next);
        last = next;
    }
    let servers = message.authorities.iter().filter_map(|record| {
        if let RData::NS(server) = &record.data { record.name.zone_of(last).then(|| text(&server.0)) } else { None }
    });
    let mut name_servers: Vec<Box<str>> = servers.take(MOST_SERVERS).collect();
    name_servers.sort_unstable();
    Lookup { server: Some(server), aliases: aliases.into_iter().map(text).collect(), name_servers: name_servers.into() }
}
