//! The way to a target: which router is the last that answers.
//!
//! | file | what it owns |
//! |---|---|
//! | `destination` | where a run led to, and which packets follow it |
//! | `hop` | one packet that may go so far, and what comes back |
//! | `walk` | all hops side by side |
//! | `judge` | what the answers say |
//!
//! The packets are of the target's own kind, because filters let some pass and not others: a SYN to the port, a question
//! to a name server, a QUIC packet, an echo request. Each goes out on an ordinary socket with a small hop limit, and the
//! kernel hands over what routers say about it, to any process; only echo requests may take a privilege. When nothing
//! comes back from behind some hop, the host is asked with packets of another kind too: is it the way, or the port?

mod destination;
mod hop;
mod judge;
#[cfg(test)]
mod tests;
mod walk;

use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use self::destination::Destination;
pub(super) use self::destination::is_lost;
use self::hop::{Answer, Packet, Sender, is_local_routing};
use self::judge::{Facts, Host, Verdict};
use self::walk::{FEWER_TRIES, MOST_HOPS, TRIES, walk};
use super::Shared;
use super::icmp::may_send_echo;
use super::tls::io_text;
use crate::config::{IpFamily, ProbeSpec};
use crate::observation::{Ending, GoodPath, Observation, Parting, Path, Trace, Untraced};

/// Ways that are traced at the same time because a target cannot be reached: some 30 sockets each.
const AT_ONCE: usize = 8;
/// And good ways, for comparison.
const GOOD_AT_ONCE: usize = 2;

/// A trace ends by itself after some five seconds, with what it takes to ask the host eight. This is for the rest.
const MOST_TIME: Duration = Duration::from_secs(15);

/// Of a packet that is to reach the target.
const FAR: u8 = 64;

/// How long a packet that may go all the way waits for what is said about it. A router, or this host, says that nobody
/// takes its packets only after it has asked for three seconds.
const FAR_PATIENCE: Duration = Duration::from_millis(3900);

/// Where traceroute sends its datagrams: a host answers that nobody listens.
const TRACEROUTE_PORT: u16 = 33_434;

/// How long a proxy has to take a connection before the way to it is traced.
const PROXY_PATIENCE: Duration = Duration::from_secs(2);

/// What the whole exporter may trace at the same time.
pub struct Traces {
    lost: Semaphore,
    good: Semaphore,
}

impl Default for Traces {
    fn default() -> Self {
        Self { lost: Semaphore::new(AT_ONCE), good: Semaphore::new(GOOD_AT_ONCE) }
    }
}

impl Traces {
    /// Takes every permit, as other targets might.
    #[cfg(test)]
    fn all(&self) -> Option<tokio::sync::SemaphorePermit<'_>> {
        self.lost.try_acquire_many(u32::try_from(AT_ONCE).ok()?).ok()
    }
}

/// Follows the way to where `failed` could not get. `None` when it failed otherwise, or not over a network.
///
/// `good` are ways on which the target answered before.
pub(super) async fn trace_lost(
    spec: &ProbeSpec,
    failed: &Observation,
    good: &[Arc<GoodPath>],
    shared: &Shared,
) -> Option<Path> {
    if !is_lost(spec, failed) {
        return None;
    }
    let destination = Destination::of(spec, failed)?;
    let time = SystemTime::now();
    let untraced = |sentence: String, again| Some(Path::Untraced(Untraced { time, sentence: sentence.into(), again }));
    let Ok(_permit) = shared.traces.lost.try_acquire() else {
        let sentence = format!("not traced: {AT_ONCE} other targets are being traced, the most at a time");
        return untraced(sentence, true);
    };
    let to = match destination.address(shared).await {
        Ok(to) => to,
        Err(why) => return untraced(format!("not traced: {why}"), true),
    };
    if let Some(why) = nowhere(to) {
        return untraced(format!("not traced: {to} is {why}"), false);
    }
    if destination.proxy && takes_connections(to, &destination.packet).await {
        return untraced("not traced: the proxy accepts connections".to_owned(), false);
    }
    let sender = Sender { to, source: destination.source, packet: destination.packet };
    let verdict = match timeout(MOST_TIME, follow(&sender, Ask::HostToo)).await {
        Ok(Ok(verdict)) => verdict,
        Ok(Err(error)) => return untraced(format!("not traced: {}", own_trouble(&error)), true),
        Err(_) => return untraced("not traced: it took too long".to_owned(), true),
    };
    let Verdict { ending, mut sentence, hops } = verdict;
    if destination.proxy {
        sentence = format!("behind a proxy, to which {sentence}");
    }
    let (port, protocol) = (sender.packet.port(), sender.packet.protocol());
    let comparable = good.iter().find(|good| good.leads_where(to, port, protocol));
    let parting = comparable.filter(|_| ending != Ending::Reached).and_then(|good| good.parting(&hops));
    if let Some(parting) = &parting {
        sentence += &describe(parting);
    }
    Some(Path::Traced(Trace {
        time,
        elapsed: time.elapsed().unwrap_or_default(),
        to,
        port,
        protocol,
        ending,
        sentence: sentence.into(),
        hops: hops.into(),
        parting,
    }))
}

/// What became of the trace of a good way.
#[derive(Debug)]
pub enum GoodTrace {
    Found(GoodPath),
    /// Others are being traced.
    NoRoom,
    /// There is no way to follow, or it was not followed to its end.
    Nothing,
}

/// Follows the way to where `run` got an answer.
pub(super) async fn trace_good(spec: &ProbeSpec, run: &Observation, shared: &Shared) -> GoodTrace {
    let Some(destination) = Destination::of(spec, run) else { return GoodTrace::Nothing };
    let Ok(_permit) = shared.traces.good.try_acquire() else { return GoodTrace::NoRoom };
    good_path(destination, shared).await.map_or(GoodTrace::Nothing, GoodTrace::Found)
}

async fn good_path(destination: Destination<'_>, shared: &Shared) -> Option<GoodPath> {
    let time = SystemTime::now();
    let to = destination.address(shared).await.ok().filter(|to| nowhere(*to).is_none())?;
    let sender = Sender { to, source: destination.source, packet: destination.packet };
    let Verdict { ending, hops, .. } = timeout(MOST_TIME, follow(&sender, Ask::Hops)).await.ok()?.ok()?;
    let (port, protocol) = (sender.packet.port(), sender.packet.protocol());
    (ending == Ending::Reached).then(|| GoodPath::new(time, to, port, protocol, &hops))
}

/// What a comparison adds to the sentence.
fn describe(parting: &Parting) -> String {
    let Parting { hop, good, now, time } = parting;
    let time = jiff::Timestamp::try_from(*time).map_or_else(|_| "before".to_owned(), |time| format!("at {time:.0}"));
    let now = now.map_or_else(String::new, |now| format!(", now it is {now}"));
    format!("; {time} hop {hop} was {good}{now}")
}

/// Whom to ask.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ask {
    /// The hops by packets of the target's kind.
    Hops,
    /// When they end in silence, the host by others too.
    HostToo,
}

async fn follow(sender: &Sender, ask: Ask) -> io::Result<Verdict> {
    let Sender { to, packet, .. } = sender;
    let done = |own, steps, host| {
        let facts = Facts { to: *to, own, packet: packet.clone(), steps, host };
        Ok(facts.judge())
    };
    let own = match sender.own_address() {
        Ok(own) => own,
        Err(error) if is_local_routing(&error) => {
            let answer = Answer::NotSent(io_text(&error));
            return done(*to, vec![Some((answer, Duration::ZERO))], Host::Silent);
        }
        Err(error) => return Err(error),
    };
    let other = Sender { packet: other_packet(sender), ..sender.clone() };
    // The far one goes first: of many packets that wait for the same neighbour in vain, some errors are never sent.
    let (refused, steps, answers) = tokio::join!(
        biased;
        refused(sender),
        walk(sender, 1..=MOST_HOPS, TRIES),
        async { ask == Ask::HostToo && answers(&other).await },
    );
    let mut steps = steps?;
    let silent = !matches!(steps.last(), Some(Some((answer, _))) if answer.is_end());
    let answering = steps.iter().rposition(Option::is_some).map_or(0, |index| index + 1);
    if silent && let Some(answer) = refused {
        steps.truncate(answering);
        steps.push(Some((answer, FAR_PATIENCE)));
        return done(own, steps, Host::Silent);
    }
    if !(silent && answers) {
        return done(own, steps, Host::Silent);
    }
    let next = u8::try_from(answering).unwrap_or(MOST_HOPS).saturating_add(1).min(MOST_HOPS);
    let beyond = walk(&other, next..=MOST_HOPS, FEWER_TRIES).await?;
    done(own, steps, Host::Answers { packet: other.packet, beyond })
}

/// Packets of another kind, to which a host answers whatever listens on it.
fn other_packet(sender: &Sender) -> Packet {
    let family = IpFamily::of(sender.to);
    match sender.packet {
        Packet::Tcp { .. } | Packet::Udp { .. } if may_send_echo(family) => Packet::Echo,
        Packet::Tcp { .. } | Packet::Udp { .. } | Packet::Echo => {
            Packet::Udp { port: TRACEROUTE_PORT, payload: [0; 32].into() }
        }
    }
}

/// What is said of a packet that may go all the way, if anything but the target's answer.
async fn refused(sender: &Sender) -> Option<Answer> {
    let answer = timeout(FAR_PATIENCE, sender.send(FAR)).await.ok()?.ok()?;
    matches!(answer, Answer::Refused(_) | Answer::NotSent(_)).then_some(answer)
}

/// Whether the target itself says anything.
async fn answers(sender: &Sender) -> bool {
    for patience in TRIES {
        match timeout(*patience, sender.send(FAR)).await {
            Ok(Ok(answer)) => return answer.from(sender.to) == Some(sender.to),
            // This is but a second opinion.
            Ok(Err(_)) => return false,
            Err(_) => {}
        }
    }
    false
}

async fn takes_connections(to: IpAddr, packet: &Packet) -> bool {
    let Some(port) = packet.port() else { return false };
    match timeout(PROXY_PATIENCE, TcpStream::connect((to, port))).await {
        Ok(Ok(_)) => true,
        Ok(Err(error)) => error.kind() == ErrorKind::ConnectionRefused,
        Err(_) => false,
    }
}

/// What an address is that no way leads to.
fn nowhere(to: IpAddr) -> Option<&'static str> {
    let broadcast = matches!(to, IpAddr::V4(v4) if v4.is_broadcast());
    let on_link = match to {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    if to.is_loopback() || to.is_unspecified() {
        Some("the exporter's own machine, to which there is no way")
    } else if to.is_multicast() || broadcast {
        Some("no address of one host")
    } else if on_link {
        Some("on the exporter's own link, behind no router")
    } else {
        None
    }
}

fn own_trouble(error: &io::Error) -> String {
    format!("the exporter cannot send its packets: {}", io_text(error))
}
