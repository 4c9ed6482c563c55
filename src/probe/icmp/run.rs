//! One run: resolve, send, wait for each reply until the deadline, judge.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use nix::libc;
use tokio::time::{Instant, timeout_at};

use super::dispatch::{Event, Flight, SendError};
use super::explain::{Packet, too_large};
use super::socket::{OpenError, Options};
use super::{IcmpProber, packet, privilege};
use crate::config::IpFamily;
use crate::observation::{Failure, IcmpDetail, Reason, Resolution, RoundTrips};
use crate::probe::address::destination;
use crate::probe::dial::own_address;
use crate::probe::tls::io_text;

/// How many packets of a run are sent again because a link on the way was too small for them. The MTU may shrink
/// several times on one way.
const AGAIN: u32 = 5;

/// Progress of one run.
pub(super) struct Run<'a> {
    prober: &'a IcmpProber,
    began: Instant,
    deadline: Instant,
    seen: Seen,
    round_trips: Vec<Duration>,
    /// What a router, or this host, said last about a packet.
    trouble: Option<String>,
}

/// What a run shows when it ends, however it ends.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) resolution: Option<Resolution>,
    pub(super) detail: IcmpDetail,
}

impl<'a> Run<'a> {
    pub(super) fn new(prober: &'a IcmpProber, deadline: Instant) -> Self {
        Self { prober, began: Instant::now(), deadline, seen: Seen::default(), round_trips: Vec::new(), trouble: None }
    }

    pub(super) fn began(&self) -> Instant {
        self.began
    }

    /// Ends by the deadline, by itself: what has come until then decides.
    pub(super) async fn attempt(&mut self) -> Result<(), Failure> {
        let peer = self.resolve().await?;
        let to = peer.ip();
        let resolved = Instant::now();
        let options = self.options(peer);
        let channel = self.prober.shared.icmp.channel(&options).map_err(|error| no_socket(&error, options.family))?;
        self.seen.detail.socket = Some(channel.kind().as_str().into());
        let drops = channel.drops();
        let mut flight = Flight::new(channel.clone(), peer, self.prober.payload.clone());
        self.seen.detail.setup = Some(resolved.elapsed());
        self.exchange(&mut flight, to).await?;
        self.judge(to, channel.drops().wrapping_sub(drops))
    }

    /// The address with its zone; there is no port.
    async fn resolve(&mut self) -> Result<SocketAddr, Failure> {
        let IcmpProber { host, ip, resolver, .. } = self.prober;
        match timeout_at(self.deadline, resolver.resolve(host, *ip)).await {
            Ok(Ok(resolution)) => {
                let chosen = resolution.chosen;
                self.seen.resolution = Some(resolution);
                // An IPv4 address in IPv6's clothes is pinged over IPv4, which is what the kernel would do.
                let address = chosen
                    .map(|address| address.to_canonical())
                    .ok_or_else(|| Failure::new(Reason::DnsNoAddress, format!("no address of {host} was chosen")))?;
                destination(host, address, 0).map_err(|failure| Failure::new(Reason::IcmpUnreachable, failure.sentence))
            }
            Ok(Err(error)) => {
                self.seen.resolution = Some(error.resolution);
                Err(error.failure)
            }
            Err(_) => {
                let elapsed = self.began.elapsed();
                self.seen.resolution =
                    Some(Resolution { elapsed, addresses: Box::default(), chosen: None, lookup: None });
                let silence = resolver.silence(host);
                Err(Failure::new(silence.reason, format!("{} {}", silence.sentence, self.within())))
            }
        }
    }

    fn options(&self, to: SocketAddr) -> Options {
        let settings = &self.prober.settings;
        let scope = match settings.source_address.map(|source| own_address(source, to)) {
            Some(SocketAddr::V6(own)) => own.scope_id(),
            Some(SocketAddr::V4(_)) | None => 0,
        };
        Options {
            family: IpFamily::of(to.ip()),
            source: settings.source_address,
            scope,
            hop_limit: settings.hop_limit,
            dont_fragment: settings.dont_fragment,
        }
    }

    /// Sends the packets at their times and takes what comes back, until all are settled or the time is up.
    async fn exchange(&mut self, flight: &mut Flight, to: IpAddr) -> Result<(), Failure> {
        let settings = &self.prober.settings;
        let first = Instant::now();
        let (mut tried, mut settled, mut again) = (0, 0, 0);
        loop {
            let next = first + settings.packet_interval.saturating_mul(tried);
            if tried < settings.packets && Instant::now() >= next.min(self.deadline) {
                if next >= self.deadline {
                    break;
                }
                tried += 1;
                match timeout_at(self.deadline, flight.send()).await {
                    Ok(Ok(())) => self.seen.detail.packets_sent += 1,
                    Ok(Err(error)) => {
                        // A packet that was refused is a packet that was lost.
                        self.trouble = Some(self.not_sent(&error, to)?);
                        self.seen.detail.packets_sent += 1;
                        settled += 1;
                    }
                    Err(_) => break,
                }
                continue;
            }
            if settled == settings.packets {
                break;
            }
            let wake = if tried < settings.packets { next.min(self.deadline) } else { self.deadline };
            match timeout_at(wake, flight.next()).await {
                Ok(Event::Reply { round_trip, hop_limit }) => {
                    self.seen.detail.packets_received += 1;
                    self.seen.detail.reply_hop_limit = hop_limit.or(self.seen.detail.reply_hop_limit);
                    self.round_trips.push(round_trip);
                    settled += 1;
                }
                // Only the sender fragments IPv6: it learns of the MTU by the first packet, which is lost, and splits the
                // next one. What does not matter to the target does not count.
                Ok(Event::Error(error)) if error.is_too_large() && !settings.dont_fragment && again < AGAIN => {
                    again += 1;
                    match timeout_at(self.deadline, flight.send()).await {
                        Ok(Ok(())) => {}
                        Ok(Err(error)) => {
                            self.trouble = Some(self.not_sent(&error, to)?);
                            settled += 1;
                        }
                        Err(_) => break,
                    }
                }
                Ok(Event::Error(error)) => {
                    self.trouble = Some(error.sentence(self.packet(to)));
                    settled += 1;
                }
                Ok(Event::Closed) => return Err(task_ended()),
                Err(_) if wake >= self.deadline => break,
                Err(_) => {}
            }
        }
        Ok(())
    }

    fn judge(&self, to: IpAddr, drops: u32) -> Result<(), Failure> {
        let settings = &self.prober.settings;
        let IcmpDetail { packets_sent: sent, packets_received: received, .. } = self.seen.detail;
        let Some(loss) = self.seen.detail.loss() else {
            let sentence = format!("the exporter could not send an echo request to {to} {}", self.within());
            return Err(Failure::new(Reason::Internal, sentence));
        };
        if received > 0 && settings.max_loss.is_none_or(|most| loss <= most) {
            return Ok(());
        }
        let silence = match (received, sent) {
            (0, 1) => format!("no echo reply from {to} {}", self.within()),
            (0, _) => format!("no echo reply from {to} to any of {sent} packets {}", self.within()),
            (_, _) => {
                let most = settings.max_loss.unwrap_or_default();
                format!(
                    "{received} of {sent} packets to {to} were answered {}, a loss of {loss:.2} where max_loss is {most}",
                    self.within()
                )
            }
        };
        if let Some(trouble) = &self.trouble {
            let sentence = if received == 0 { trouble.clone() } else { format!("{silence}; {trouble}") };
            return Err(Failure::new(Reason::IcmpUnreachable, sentence));
        }
        if drops > 0 {
            let sentence = format!(
                "{silence}, but the exporter itself lost {drops} packets meanwhile, because its receive buffer was full \
                 (sysctl net.core.rmem_max)"
            );
            return Err(Failure::new(Reason::Internal, sentence));
        }
        Err(Failure::new(Reason::IcmpTimeout, silence))
    }

    /// What kept a packet from being sent, or the failure when that says nothing about the target.
    fn not_sent(&self, error: &SendError, to: IpAddr) -> Result<String, Failure> {
        let internal = |sentence: String| Err(Failure::new(Reason::Internal, sentence));
        match error {
            SendError::TooLarge { mtu } => {
                let what = too_large(self.packet(to), *mtu);
                Ok(format!("the exporter's host did not send the echo request to {to}: {what}"))
            }
            SendError::Full => internal("too many echo requests are on their way at the same time".to_owned()),
            SendError::Closed => Err(task_ended()),
            SendError::Io(error) => {
                let sentence = format!("the exporter's host did not send the echo request to {to}: {}", io_text(error));
                if is_routing(error) { Ok(sentence) } else { internal(sentence) }
            }
        }
    }

    fn packet(&self, to: IpAddr) -> Packet {
        let header = if to.is_ipv4() { 20 } else { 40 };
        Packet {
            to,
            size: header + packet::HEADER + self.prober.payload.size(),
            dont_fragment: self.prober.settings.dont_fragment,
        }
    }

    fn within(&self) -> String {
        let timeout = self.deadline.saturating_duration_since(self.began);
        // To the millisecond, for the deadline is a little nearer by the time that we look at it.
        let rounded = (timeout.as_secs_f64() * 1000.0).round() / 1000.0;
        format!("within {rounded}s")
    }

    pub(super) fn finish(mut self) -> Seen {
        let round_trips = RoundTrips::of(&self.round_trips);
        self.seen.detail.rtt = round_trips.map(|times| times.avg);
        self.seen.detail.round_trips = round_trips.filter(|_| self.prober.settings.packets > 1);
        self.seen
    }
}

fn task_ended() -> Failure {
    Failure::new(Reason::Internal, "the exporter's task that receives ICMP ended; this is a bug of the exporter")
}

fn no_socket(error: &OpenError, family: IpFamily) -> Failure {
    match error {
        OpenError::NotPermitted => Failure::new(Reason::Internal, privilege::sentence()),
        OpenError::Source(source, error) => {
            Failure::new(Reason::Internal, format!("cannot use source_ip_address {source}: {}", io_text(error)))
        }
        OpenError::Io(error) if is_routing(error) => {
            let family = match family {
                IpFamily::V4 => "IPv4",
                IpFamily::V6 => "IPv6",
            };
            Failure::new(Reason::IcmpUnreachable, format!("the exporter's host has no {family}: {}", io_text(error)))
        }
        OpenError::Io(error) => {
            Failure::new(Reason::Internal, format!("cannot open an ICMP socket: {}", io_text(error)))
        }
    }
}

/// What the host's own routing says about an address: no route, no such family, or a route that refuses (`ip-route(8)`
/// prohibit and blackhole).
fn is_routing(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::ENETUNREACH
                | libc::EHOSTUNREACH
                | libc::ENETDOWN
                | libc::EHOSTDOWN
                | libc::EACCES
                | libc::EINVAL
                | libc::EADDRNOTAVAIL
                | libc::EAFNOSUPPORT
        )
    )
}
