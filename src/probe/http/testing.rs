//! Peers that misbehave on purpose, and the little that the tests of this folder share. Loopback only.

#![allow(clippy::unwrap_used)]

use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use hickory_resolver::proto::op::ResponseCode;
use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use url::Url;

use super::HttpProber;
use crate::config::http::ProxySettings;
use crate::config::tls::ClientIdentity;
use crate::config::{DnsServers, HttpSettings, IpFamily, IpPreference, TlsSettings};
use crate::observation::{Detail, HttpDetail, Observation, Reason};
use crate::probe::testing::{self as shared, DnsReply};
use crate::probe::{Probe, Shared};

/// The incumbent's defaults, IPv4 first.
pub(in crate::probe) fn settings() -> HttpSettings {
    HttpSettings {
        valid_status_codes: Vec::new(),
        valid_http_versions: Vec::new(),
        method: http::Method::GET,
        headers: http::HeaderMap::new(),
        host: None,
        body: bytes::Bytes::new(),
        body_size_limit: None,
        compression: None,
        decode_charset: true,
        follow_redirects: true,
        fail_if_ssl: false,
        fail_if_not_ssl: false,
        body_rules: Vec::new(),
        header_rules: Vec::new(),
        fail_if_json_matches: None,
        fail_if_json_not_matches: None,
        ip: IpPreference { preferred: IpFamily::V4, fallback: true },
        dns_servers: DnsServers::System,
        enable_http2: true,
        enable_http3: false,
        auth: None,
        proxy: ProxySettings::Direct,
        tls: TlsSettings::default(),
        trace_context: None,
        keep_excerpt: true,
    }
}

/// Long enough never to be met by a peer that answers.
const PATIENCE: Duration = Duration::from_secs(60);
/// For peers that never answer.
pub(super) const SOON: Duration = Duration::from_secs(1);

pub(super) fn prober(settings: HttpSettings, url: &str) -> HttpProber {
    HttpProber::new(Arc::new(settings), Url::parse(url).unwrap(), &Arc::new(Shared::default())).unwrap()
}

pub(super) async fn run(prober: &HttpProber, timeout: Duration) -> Observation {
    prober.run(Instant::now() + timeout).await
}

pub(super) async fn probe(settings: HttpSettings, url: &str) -> Observation {
    run(&prober(settings, url), PATIENCE).await
}

pub(super) async fn probe_soon(settings: HttpSettings, url: &str) -> Observation {
    run(&prober(settings, url), SOON).await
}

/// A run that the deadline ends, of a peer that is reached: a busy machine that did not get that far has more time.
pub(super) async fn probe_soon_after_the_handshake(settings: HttpSettings, url: &str) -> Observation {
    let mut time = SOON;
    loop {
        let observation = run(&prober(settings.clone(), url), time).await;
        let on_the_way = matches!(reason(&observation), Some(Reason::ConnectTimeout | Reason::TlsTimeout));
        if !on_the_way || time >= PATIENCE {
            return observation;
        }
        time *= 2;
    }
}

pub(super) fn detail(observation: &Observation) -> &HttpDetail {
    let Detail::Http(detail) = &observation.detail else { panic!("{:?}", observation.detail) };
    detail
}

pub(super) fn reason(observation: &Observation) -> Option<Reason> {
    observation.outcome.failure().map(|failure| failure.reason)
}

/// What a peer does with a connection once it has read a request.
pub(super) enum Act {
    /// Send this and close.
    Send(Vec<u8>),
    /// Send this and stay silent, until the client leaves.
    Hold(Vec<u8>),
    /// Send this and reset the connection.
    Reset(Vec<u8>),
}

pub(super) fn send(text: &str) -> Act {
    Act::Send(text.as_bytes().to_vec())
}

/// A whole response.
pub(super) fn answer(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Act {
    let body = body.as_ref();
    let mut bytes = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n", body.len()).into_bytes();
    bytes.extend_from_slice(body);
    Act::Send(bytes)
}

pub(super) fn ok() -> Act {
    answer("200 OK", "", "fine")
}

pub(super) fn redirect(status: u16, location: &str) -> Act {
    answer(&format!("{status} Moved"), &format!("Location: {location}\r\n"), "")
}

/// A server that does with each request what `handler` says, and remembers them.
#[derive(Clone)]
pub(super) struct Peer {
    pub(super) address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Peer {
    pub(super) async fn start(handler: impl Fn(&str) -> Act + Send + Sync + 'static) -> Self {
        Self::listen(handler, None).await
    }

    pub(super) async fn tls(config: Arc<ServerConfig>, handler: impl Fn(&str) -> Act + Send + Sync + 'static) -> Self {
        Self::listen(handler, Some(config)).await
    }

    async fn listen(handler: impl Fn(&str) -> Act + Send + Sync + 'static, tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let peer = Self { address: listener.local_addr().unwrap(), requests: Arc::default() };
        let requests = Arc::clone(&peer.requests);
        let handler = Arc::new(handler);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (handler, requests, tls) = (Arc::clone(&handler), Arc::clone(&requests), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, &*handler, &requests, |stream| stream.set_zero_linger()).await,
                        Some(config) => {
                            if let Ok(stream) = tokio_rustls::TlsAcceptor::from(config).accept(stream).await {
                                serve(stream, &*handler, &requests, |stream| stream.get_ref().0.set_zero_linger())
                                    .await;
                            }
                        }
                    }
                });
            }
        });
        peer
    }

    pub(super) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Heads and bodies, in order.
    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    handler: &(impl Fn(&str) -> Act + Send + Sync),
    requests: &Mutex<Vec<String>>,
    reset: impl Fn(&S) -> std::io::Result<()>,
) {
    let Some(request) = read_request(&mut stream).await else { return };
    requests.lock().unwrap().push(request.clone());
    match handler(&request) {
        Act::Send(bytes) => {
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
            drain(&mut stream).await;
        }
        Act::Hold(bytes) => {
            let _ = stream.write_all(&bytes).await;
            let _ = stream.flush().await;
            drain(&mut stream).await;
        }
        Act::Reset(bytes) => {
            let _ = stream.write_all(&bytes).await;
            let _ = stream.flush().await;
            reset(&stream).unwrap();
        }
    }
}

async fn drain(stream: &mut (impl AsyncRead + Unpin)) {
    let mut buffer = [0; 1024];
    while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
}

/// The head, and as much body as its Content-Length says.
async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = header(head, "content-length").map_or(0, |value| value.parse().unwrap());
            if body.len() >= length {
                return Some(text);
            }
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

/// The value of a header of a recorded request.
pub(super) fn header<'a>(request: &'a str, name: &str) -> Option<&'a str> {
    request.lines().skip(1).find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then_some(value.trim())
    })
}

/// A port on which nothing listens.
pub(super) async fn closed_port() -> u16 {
    shared::closed_port().await.port()
}

/// Accepts, and never says a word.
pub(super) async fn silent() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    address
}

/// Closes every connection at once, having read nothing or (so that no reset follows) a little.
pub(super) async fn hanging_up() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.shutdown().await;
            tokio::spawn(async move { drain(&mut stream).await });
        }
    });
    address
}

/// Its queue is full, so further connection attempts get no answer.
pub(super) struct BlackHole {
    pub(super) address: SocketAddr,
    _listener: TcpListener,
    _queue: Vec<Pin<Box<dyn Future<Output = std::io::Result<TcpStream>> + Send>>>,
}

pub(super) async fn black_hole() -> BlackHole {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queue: Vec<Pin<Box<dyn Future<Output = _> + Send>>> = Vec::new();
    // Linux lets one more in than was asked for. On loopback an attempt is queued, or dropped, within the system call
    // that the first poll makes, so there is nothing to wait for.
    for _ in 0..4 {
        let mut attempt = Box::pin(TcpStream::connect(address));
        let attempted = std::future::poll_fn(|cx| Poll::Ready(attempt.as_mut().poll(cx))).await;
        match attempted {
            Poll::Pending => queue.push(attempt),
            Poll::Ready(stream) => queue.push(Box::pin(std::future::ready(stream))),
        }
    }
    BlackHole { address, _listener: listener, _queue: queue }
}

/// A DNS server: `*.test` is 127.0.0.1, `silent.test` gets no answer, `servfail.test` fails, and nothing else exists.
pub(super) async fn dns() -> DnsServers {
    let address = shared::dns_server(|name, _| match name {
        "silent.test." => DnsReply::Silence,
        "servfail.test." => DnsReply::Code(ResponseCode::ServFail),
        known if known.ends_with(".test.") => DnsReply::Addresses(vec![Ipv4Addr::LOCALHOST.into()]),
        _ => DnsReply::Code(ResponseCode::NXDomain),
    });
    DnsServers::Servers(vec![address.await])
}

/// A certificate authority made for one test.
pub(super) struct Authority(shared::Authority);

impl Authority {
    pub(super) fn new() -> Self {
        Self(shared::Authority::root("Test Root"))
    }

    /// Settings that trust it.
    pub(super) fn trusted(&self) -> TlsSettings {
        self.0.trusted()
    }

    pub(super) fn server(&self, names: &[&str]) -> Arc<ServerConfig> {
        self.0.issue(names).server()
    }

    /// Valid from the first of January of one year to that of another.
    pub(super) fn server_valid(&self, names: &[&str], from: i32, to: i32) -> Arc<ServerConfig> {
        let identity = self.0.issue_with(names, |params| {
            params.not_before = rcgen::date_time_ymd(from, 1, 1);
            params.not_after = rcgen::date_time_ymd(to, 1, 1);
        });
        identity.server()
    }

    /// Sends further certificates, which nobody needs.
    pub(super) fn server_with_more(&self, names: &[&str], more: usize) -> Arc<ServerConfig> {
        let mut identity = self.0.issue(names);
        identity.chain.extend(vec![identity.chain[0].clone(); more]);
        identity.server()
    }

    /// Wants a client certificate of this authority.
    pub(super) fn server_for_clients(&self, names: &[&str]) -> Arc<ServerConfig> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.0.der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let identity = self.0.issue(names);
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier.build().unwrap())
            .with_single_cert(identity.chain, identity.key);
        Arc::new(config.unwrap())
    }

    pub(super) fn client(&self) -> Arc<ClientIdentity> {
        let shared::Identity { chain, key } = self.0.issue(&["client"]);
        Arc::new(ClientIdentity { chain, key })
    }
}

/// An HTTP proxy: answers plain requests itself, and connects every tunnel to `to`, whatever it is asked for.
pub(super) async fn http_proxy(to: SocketAddr, refuse: Option<&'static str>) -> Peer {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let peer = Peer { address: listener.local_addr().unwrap(), requests: Arc::default() };
    let requests = Arc::clone(&peer.requests);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let requests = Arc::clone(&requests);
            tokio::spawn(async move {
                let Some(request) = read_request(&mut stream).await else { return };
                requests.lock().unwrap().push(request.clone());
                if let Some(refusal) = refuse {
                    let _ = stream.write_all(refusal.as_bytes()).await;
                    return;
                }
                let reply: &[u8] = match request.starts_with("CONNECT ") {
                    true => b"HTTP/1.1 200 Connection established\r\n\r\n",
                    false => b"HTTP/1.1 200 OK\r\nVia: proxy\r\nContent-Length: 4\r\n\r\nfine",
                };
                stream.write_all(reply).await.unwrap();
                if request.starts_with("CONNECT ") {
                    let mut target = TcpStream::connect(to).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut stream, &mut target).await;
                }
            });
        }
    });
    peer
}

/// A SOCKS5 proxy without authentication (RFC 1928): connects to `to`, and records what it was asked for.
pub(super) async fn socks_proxy(to: SocketAddr) -> Peer {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let peer = Peer { address: listener.local_addr().unwrap(), requests: Arc::default() };
    let requests = Arc::clone(&peer.requests);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let requests = Arc::clone(&requests);
            tokio::spawn(async move {
                let mut head = [0; 2];
                stream.read_exact(&mut head).await.unwrap();
                let mut methods = vec![0; usize::from(head[1])];
                stream.read_exact(&mut methods).await.unwrap();
                stream.write_all(&[5, 0]).await.unwrap();
                let mut head = [0; 5];
                stream.read_exact(&mut head).await.unwrap();
                assert_eq!(head[3], 3, "a domain name");
                let mut rest = vec![0; usize::from(head[4]) + 2];
                stream.read_exact(&mut rest).await.unwrap();
                let (name, port) = rest.split_at(rest.len() - 2);
                let port = u16::from_be_bytes([port[0], port[1]]);
                requests.lock().unwrap().push(format!("{}:{port}", String::from_utf8_lossy(name)));
                stream.write_all(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 0]).await.unwrap();
                let mut target = TcpStream::connect(to).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut target).await;
            });
        }
    });
    peer
}

/// A key of a client, in PEM.
pub(super) fn rsa_key() -> String {
    use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
    let pair = aws_lc_rs::rsa::KeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
    let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
    let text = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, der.as_ref());
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"))
}
