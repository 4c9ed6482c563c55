//! Resolve, connect, TLS: how every prober over a stream begins, but for the dialogues of tcp and unix, which may begin
//! TLS later. Holds a run's progress outside of the future that the deadline may cut off, so that the run can say how
//! far it came.

use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

use super::address::{Resolver, destination};
use super::tls::{self, Alpn, Recorder, Stage, classify_at, classify_connect, server_name};
use super::{ProberError, Shared};
use crate::config::{DnsServers, IpFamily, IpPreference, TlsSettings};
use crate::observation::{Failure, Reason, Resolution, TlsSession};

/// TCP, a Unix socket, TLS over either.
pub(super) trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

/// Where to connect to, and how.
pub(super) struct Dialer {
    host: Box<str>,
    port: u16,
    ip: IpPreference,
    source: Option<IpAddr>,
    resolver: Arc<Resolver>,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
}

/// What a prober asks for.
pub(super) struct Destination<'a> {
    pub(super) host: &'a str,
    pub(super) port: u16,
    pub(super) ip: IpPreference,
    pub(super) source: Option<IpAddr>,
    pub(super) dns_servers: &'a DnsServers,
    pub(super) tls: Option<(&'a TlsSettings, Alpn)>,
}

impl Dialer {
    /// # Errors
    /// TLS settings that cannot be used.
    pub(super) fn new(to: Destination<'_>, shared: &Shared) -> Result<Self, ProberError> {
        let Destination { host, port, ip, source, dns_servers, tls } = to;
        let host = host.trim_matches(['[', ']']);
        let tls = match tls {
            None => None,
            Some((settings, alpn)) => Some((shared.tls.client(settings, alpn)?, server_name(settings, host)?)),
        };
        let ip = source.map_or(ip, only_family_of);
        Ok(Self { host: host.into(), port, ip, source, resolver: shared.resolvers.resolver(dns_servers)?, tls })
    }
}

/// A socket cannot mix families, so a source address decides.
pub(super) fn only_family_of(source: IpAddr) -> IpPreference {
    IpPreference { preferred: IpFamily::of(source), fallback: false }
}

/// One attempt, and what it showed so far.
pub(super) struct Dialing<'a> {
    dialer: &'a Dialer,
    began: Instant,
    recorder: Recorder,
    doing: Doing,
    pub(super) resolution: Option<Resolution>,
    /// TCP handshake; `None` when not tried.
    pub(super) connect: Option<Duration>,
    /// TLS handshake; `None` when not tried.
    pub(super) tls: Option<Duration>,
}

#[derive(Clone, Copy)]
enum Doing {
    Resolving,
    Connecting { to: SocketAddr, since: Instant },
    Handshaking { since: Instant },
    Done,
}

/// A connection that is made.
pub(super) struct Connection {
    pub(super) stream: Box<dyn Transport>,
    /// Whether both sides agreed on HTTP/2.
    pub(super) http2: bool,
}

impl<'a> Dialing<'a> {
    pub(super) fn new(dialer: &'a Dialer) -> Self {
        Self {
            dialer,
            began: Instant::now(),
            recorder: Recorder::default(),
            doing: Doing::Resolving,
            resolution: None,
            connect: None,
            tls: None,
        }
    }

    pub(super) fn began(&self) -> Instant {
        self.began
    }

    /// The TLS session, as far as it came.
    pub(super) fn session(&self) -> Option<TlsSession> {
        self.recorder.session()
    }

    /// The address alone, for what is no stream.
    pub(super) async fn address(&mut self) -> Result<SocketAddr, Failure> {
        let Dialer { host, port, ip, resolver, .. } = self.dialer;
        match resolver.resolve(host, *ip).await {
            Ok(resolution) => {
                let chosen = resolution.chosen;
                self.resolution = Some(resolution);
                let address = chosen
                    .ok_or_else(|| Failure::new(Reason::DnsNoAddress, format!("no address of {host} was chosen")))?;
                destination(host, address, *port)
            }
            Err(error) => {
                self.resolution = Some(error.resolution);
                Err(error.failure)
            }
        }
    }

    pub(super) async fn connection(&mut self) -> Result<Connection, Failure> {
        let to = self.address().await?;
        self.connect_to(to).await
    }

    /// As [`Dialing::connection`], to an address that is known already.
    pub(super) async fn connect_to(&mut self, to: SocketAddr) -> Result<Connection, Failure> {
        let since = Instant::now();
        self.doing = Doing::Connecting { to, since };
        let stream = connect(to, self.dialer.source).await;
        self.connect = Some(since.elapsed());
        let stream = stream?;
        let Some((config, name)) = &self.dialer.tls else {
            self.doing = Doing::Done;
            return Ok(Connection { stream: Box::new(stream), http2: false });
        };
        let since = Instant::now();
        self.doing = Doing::Handshaking { since };
        let connector = TlsConnector::from(Arc::clone(config));
        let name = name.clone();
        // The ClientHello is made by connect() itself, so that too must be inside the scope.
        let result = self.recorder.scope(async { connector.connect(name, stream).await }).await;
        self.tls = Some(since.elapsed());
        self.doing = Doing::Done;
        match result {
            Ok(stream) => {
                let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                Ok(Connection { stream: Box::new(stream), http2 })
            }
            Err(error) => Err(classify_at(&error, Stage::Handshake).unwrap_or_else(|| {
                Failure::new(Reason::TlsHandshake, format!("the TLS handshake failed: {}", tls::io_text(&error)))
            })),
        }
    }

    /// The failure of an attempt that its deadline cut off; notes the phase that was not completed. `None` when the
    /// connection was made, and what came after it took too long.
    pub(super) fn out_of_time(&mut self, timeout: Duration) -> Option<Failure> {
        let within = format!("within {}", seconds(timeout));
        match self.doing {
            Doing::Done => None,
            Doing::Resolving if self.resolution.is_some() => None,
            Doing::Resolving => {
                let elapsed = self.began.elapsed();
                self.resolution = Some(Resolution { elapsed, addresses: Box::default(), chosen: None, lookup: None });
                let silence = self.dialer.resolver.silence(&self.dialer.host);
                Some(Failure::new(silence.reason, format!("{} {within}", silence.sentence)))
            }
            Doing::Connecting { to, since } => {
                self.connect = Some(since.elapsed());
                let sentence = format!("no answer from {to} to the connection attempt {within}");
                Some(Failure::new(Reason::ConnectTimeout, sentence))
            }
            Doing::Handshaking { since } => {
                self.tls = Some(since.elapsed());
                Some(Failure::new(Reason::TlsTimeout, format!("connected, but TLS was not set up {within}")))
            }
        }
    }
}

/// Connects, from `source` if there is one.
pub(super) async fn connect(to: SocketAddr, source: Option<IpAddr>) -> Result<TcpStream, Failure> {
    let failed = |error: io::Error| classify_connect(&error, to);
    let socket = if to.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }.map_err(failed)?;
    if let Some(source) = source {
        socket.bind(own_address(source, to)).map_err(|error| bad_source(source, &error))?;
    }
    let stream = socket.connect(to).await.map_err(failed)?;
    // Small messages each way; a connection that dies right here will say so when it is used.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

/// `source` as an address to bind to. One of a link needs to be told which, and that is the one that `to` is on.
pub(super) fn own_address(source: IpAddr, to: SocketAddr) -> SocketAddr {
    match (source, to) {
        (IpAddr::V6(source), SocketAddr::V6(to)) if source.is_unicast_link_local() => {
            SocketAddrV6::new(source, 0, 0, to.scope_id()).into()
        }
        (source, _) => SocketAddr::new(source, 0),
    }
}

/// The machine does not have the configured source address.
pub(super) fn bad_source(source: IpAddr, error: &io::Error) -> Failure {
    Failure::new(Reason::Internal, format!("cannot use source_ip_address {source}: {}", tls::io_text(error)))
}

/// `5s`, `0.25s`: to the millisecond, for the deadline is a little nearer by the time that we look at it.
pub(super) fn seconds(duration: Duration) -> String {
    let rounded = (duration.as_secs_f64() * 1000.0).round() / 1000.0;
    format!("{rounded}s")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_they_were_configured() {
        assert_eq!(seconds(Duration::from_micros(4_999_900)), "5s");
        assert_eq!(seconds(Duration::from_millis(250)), "0.25s");
    }
}
