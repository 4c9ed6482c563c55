//! HTTP/3, against a server of quinn and h3.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Buf, Bytes};
use http::{Method, Request, Response};
use quinn::VarInt;
use quinn::crypto::rustls::QuicServerConfig;
use rustls::ServerConfig;
use tokio::net::UdpSocket;

use super::super::testing::*;
use crate::config::HttpSettings;
use crate::config::http::HttpVersion;
use crate::observation::Reason;

/// What the server does with a request.
#[derive(Clone, Copy)]
pub(super) enum Then {
    Answer(&'static str),
    Redirect(&'static str),
    /// Early hints, then the answer.
    Hints,
    /// The head and half of the body, then nothing.
    Stall,
    Silence,
    ResetStream(u64),
    Close(u64),
    /// Half of the body, then the end of the connection.
    CloseAmid(u64),
    /// Answers as this says.
    By(fn(&Request<()>, &[u8]) -> Response<Bytes>),
    /// Ends the stream.
    End,
    /// Waits for its own idle timeout.
    Idle,
}

type Requests = Vec<(Request<()>, Vec<u8>)>;

#[derive(Clone)]
pub(super) struct Server {
    pub(super) address: SocketAddr,
    requests: Arc<Mutex<Requests>>,
}

impl Server {
    pub(super) fn start(tls: &ServerConfig, then: Then) -> Self {
        Self::speaking(tls, b"h3", then)
    }

    fn speaking(tls: &ServerConfig, alpn: &[u8], then: Then) -> Self {
        let mut tls = tls.clone();
        tls.alpn_protocols = vec![alpn.to_vec()];
        let mut config = quinn::ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls).unwrap()));
        if matches!(then, Then::Idle) {
            let mut transport = quinn::TransportConfig::default();
            transport.max_idle_timeout(Some(VarInt::from_u32(100).into()));
            config.transport_config(Arc::new(transport));
        }
        let endpoint = quinn::Endpoint::server(config, (Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let server = Self { address: endpoint.local_addr().unwrap(), requests: Arc::default() };
        let requests = Arc::clone(&server.requests);
        tokio::spawn(async move {
            while let Some(incoming) = endpoint.accept().await {
                let requests = Arc::clone(&requests);
                // An address that is not validated yet is sent a Retry packet first.
                if matches!(then, Then::Answer("retry")) && !incoming.remote_address_validated() {
                    incoming.retry().unwrap();
                    continue;
                }
                tokio::spawn(async move {
                    if let Ok(connection) = incoming.await {
                        serve(connection, then, &requests).await;
                    }
                });
            }
        });
        server
    }

    fn url(&self) -> String {
        format!("https://{}/", self.address)
    }
}

async fn serve(quic: quinn::Connection, then: Then, requests: &Mutex<Requests>) {
    let Ok(mut connection) = h3::server::builder().build::<_, Bytes>(h3_quinn::Connection::new(quic.clone())).await
    else {
        return;
    };
    while let Ok(Some(resolver)) = connection.accept().await {
        let Ok((request, mut stream)) = resolver.resolve_request().await else { return };
        let mut body = Vec::new();
        while let Ok(Some(mut data)) = stream.recv_data().await {
            body.extend_from_slice(&data.copy_to_bytes(data.remaining()));
        }
        if let Then::By(answer) = then {
            let (head, sent) = answer(&request, &body).into_parts();
            stream.send_response(Response::from_parts(head, ())).await.unwrap();
            let _ = stream.send_data(sent).await;
            let _ = stream.finish().await;
        }
        requests.lock().unwrap().push((request, body));
        let ok = || Response::builder().status(200);
        match then {
            Then::By(_) => {}
            Then::Answer(text) => {
                stream.send_response(ok().header("content-length", text.len()).body(()).unwrap()).await.unwrap();
                let _ = stream.send_data(Bytes::from_static(text.as_bytes())).await;
                let _ = stream.finish().await;
            }
            Then::Redirect(to) => {
                let head = Response::builder().status(302).header("location", to).body(()).unwrap();
                stream.send_response(head).await.unwrap();
                let _ = stream.finish().await;
            }
            Then::Hints => {
                for _ in 0..3 {
                    let hint = Response::builder().status(103).header("link", "</a.css>").body(()).unwrap();
                    stream.send_response(hint).await.unwrap();
                }
                stream.send_response(ok().body(()).unwrap()).await.unwrap();
                let _ = stream.finish().await;
            }
            Then::Stall => {
                stream.send_response(ok().body(()).unwrap()).await.unwrap();
                stream.send_data(Bytes::from_static(b"half")).await.unwrap();
                quic.closed().await;
            }
            Then::Silence | Then::Idle => {
                quic.closed().await;
            }
            Then::ResetStream(code) => stream.stop_stream(h3::error::Code::from(code)),
            Then::Close(code) => quic.close(VarInt::from_u64(code).unwrap(), b"so long"),
            Then::CloseAmid(code) => {
                let before = quic.stats().udp_tx.datagrams;
                stream.send_response(ok().body(()).unwrap()).await.unwrap();
                stream.send_data(Bytes::from_static(b"half")).await.unwrap();
                // Closing takes back what has not left yet.
                while quic.stats().udp_tx.datagrams == before {
                    tokio::task::yield_now().await;
                }
                quic.close(VarInt::from_u64(code).unwrap(), b"so long");
            }
            Then::End => {
                let _ = stream.finish().await;
            }
        }
    }
}

pub(super) fn http3(authority: &Authority) -> HttpSettings {
    HttpSettings { enable_http3: true, enable_http2: false, tls: authority.trusted(), ..settings() }
}

fn sentence(observation: &crate::observation::Observation) -> &str {
    observation.outcome.failure().map_or("", |failure| &failure.sentence)
}

#[tokio::test]
async fn an_answer_has_its_version_phases_and_certificate() {
    let authority = Authority::new();
    let server = Server::start(&authority.server(&["shop.test"]), Then::Answer("fine"));
    let settings =
        HttpSettings { dns_servers: dns().await, valid_http_versions: vec![HttpVersion::Http3], ..http3(&authority) };
    // A target of plain http is asked by https.
    let observation = probe(settings, &format!("http://shop.test:{}/a?b", server.address.port())).await;
    assert!(observation.outcome.is_up(), "{observation:?}");
    let detail = detail(&observation);
    let phases = detail.phases;
    assert!([phases.resolve, phases.connect, phases.processing, phases.transfer].iter().all(Option::is_some));
    assert_eq!(phases.tls, None, "the handshake of TLS is part of QUIC's");
    assert_eq!((detail.status, detail.version, detail.ssl), (Some(200), Some(3.0), Some(true)));
    assert_eq!(detail.body_length, Some(4));
    let session = observation.tls.as_ref().unwrap();
    assert_eq!(session.version.as_deref(), Some("TLS 1.3"));
    assert!(session.cipher.as_deref().unwrap().starts_with("TLS_"));
    assert_eq!(&*session.chain.certificates[0].dns_names, "shop.test");
    let requests = server.requests.lock().unwrap();
    assert_eq!(requests[0].0.uri().path_and_query().unwrap(), "/a?b");
    assert!(requests[0].0.headers().get("connection").is_none());
}

#[tokio::test]
async fn a_refused_certificate_is_shown_with_its_reason() {
    let authority = Authority::new();
    let stranger = Authority::new();
    for (server, wanted) in [
        (authority.server_valid(&["127.0.0.1"], 2000, 2001), Reason::TlsExpired),
        (authority.server(&["other.test"]), Reason::TlsNameMismatch),
        (stranger.server(&["127.0.0.1"]), Reason::TlsUntrusted),
    ] {
        let server = Server::start(&server, Then::Answer("fine"));
        let observation = probe(http3(&authority), &server.url()).await;
        assert_eq!(reason(&observation), Some(wanted), "{observation:?}");
        let session = observation.tls.as_ref().unwrap();
        assert_eq!(session.chain.certificates.len(), 1);
        assert!(session.verify_error.is_some());
        assert!(detail(&observation).phases.connect.is_some());
        assert_eq!(detail(&observation).phases.processing, None);
    }
}

#[tokio::test]
async fn a_closed_udp_port_refuses_and_a_silent_one_times_out() {
    let authority = Authority::new();
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", socket.local_addr().unwrap());
    let observation = probe_soon(http3(&authority), &url).await;
    assert_eq!(reason(&observation), Some(Reason::ConnectTimeout), "{observation:?}");
    drop(socket);
    let observation = probe(http3(&authority), &url).await;
    assert_eq!(reason(&observation), Some(Reason::ConnectRefused), "{observation:?}");
}

#[tokio::test]
async fn what_a_peer_does_instead_of_answering_has_its_reason() {
    let authority = Authority::new();
    let tls = authority.server(&["127.0.0.1"]);
    for (then, wanted, words) in [
        (Then::ResetStream(0x10c), Reason::ProtocolError, "H3_REQUEST_CANCELLED"),
        (Then::Close(0x102), Reason::ProtocolError, "H3_INTERNAL_ERROR"),
        (Then::CloseAmid(0x102), Reason::ResponseTruncated, "so long"),
        (Then::Idle, Reason::RequestTimeout, "idle timeout"),
        (Then::End, Reason::ResponseTruncated, "before the head"),
    ] {
        let server = Server::start(&tls, then);
        let observation = probe(http3(&authority), &server.url()).await;
        assert_eq!(reason(&observation), Some(wanted), "{observation:?}");
        assert!(sentence(&observation).contains(words), "{}", sentence(&observation));
    }
    for (then, wanted) in [(Then::Silence, Reason::RequestTimeout), (Then::Stall, Reason::ResponseTimeout)] {
        let server = Server::start(&tls, then);
        let observation = probe_soon_after_the_handshake(http3(&authority), &server.url()).await;
        assert_eq!(reason(&observation), Some(wanted), "{observation:?}");
    }
}

#[tokio::test]
async fn a_peer_of_another_protocol_or_version_is_named() {
    let authority = Authority::new();
    let server = Server::speaking(&authority.server(&["127.0.0.1"]), b"doq", Then::Silence);
    let observation = probe(http3(&authority), &server.url()).await;
    assert_eq!(reason(&observation), Some(Reason::TlsHandshake), "{observation:?}");
    assert!(sentence(&observation).contains("ALPN h3"), "{}", sentence(&observation));

    // Version negotiation (RFC 9000, 17.2.1): version 0, the connection IDs swapped, and a version that nobody speaks.
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", socket.local_addr().unwrap());
    tokio::spawn(async move {
        let mut packet = [0; 2000];
        while let Ok((_, from)) = socket.recv_from(&mut packet).await {
            let to = usize::from(packet[5]);
            let own = usize::from(packet[6 + to]);
            let mut reply = vec![0x80, 0, 0, 0, 0, packet[6 + to]];
            reply.extend_from_slice(&packet[7 + to..7 + to + own]);
            reply.extend_from_slice(&packet[5..6 + to]);
            reply.extend_from_slice(&[0x0a, 0x1a, 0x2a, 0x3a]);
            socket.send_to(&reply, from).await.unwrap();
        }
    });
    let observation = probe(http3(&authority), &url).await;
    assert_eq!(reason(&observation), Some(Reason::ProtocolError), "{observation:?}");
    assert!(sentence(&observation).contains("version"), "{}", sentence(&observation));
}

#[tokio::test]
async fn bodies_go_both_ways_and_large_ones_whole() {
    let authority = Authority::new();
    let tls = authority.server(&["127.0.0.1", "shop.test"]);
    let server = Server::start(&tls, Then::Answer("fine"));
    let body = Bytes::from(vec![b'x'; 3 << 20]);
    let posting = HttpSettings {
        method: Method::POST,
        body: body.clone(),
        host: Some("shop.test".to_owned()),
        ..http3(&authority)
    };
    let observation = probe(posting, &server.url()).await;
    assert!(observation.outcome.is_up(), "{observation:?}");
    {
        let requests = server.requests.lock().unwrap();
        assert_eq!(requests[0].1.len(), body.len());
        assert_eq!(requests[0].0.uri().host(), Some("shop.test"));
        assert_eq!(requests[0].0.headers()["content-length"], "3145728");
    }
    let large: &'static str = "y".repeat(8 << 20).leak();
    let server = Server::start(&tls, Then::Answer(large));
    let observation = probe(http3(&authority), &server.url()).await;
    assert_eq!(detail(&observation).body_length, Some(8 << 20), "{observation:?}");
    let limited = HttpSettings { body_size_limit: Some(1000), ..http3(&authority) };
    let observation = probe(limited, &server.url()).await;
    assert_eq!(reason(&observation), Some(Reason::BodyTooLarge));
}

#[tokio::test]
async fn retries_hints_and_redirects_are_followed() {
    let authority = Authority::new();
    let tls = authority.server(&["127.0.0.1"]);
    for then in [Then::Answer("retry"), Then::Hints] {
        let server = Server::start(&tls, then);
        let observation = probe(http3(&authority), &server.url()).await;
        assert!(observation.outcome.is_up(), "{observation:?}");
        assert_eq!(detail(&observation).status, Some(200));
    }
    let last = Server::start(&tls, Then::Answer("fine"));
    let first = Server::start(&tls, Then::Redirect(last.url().leak()));
    let observation = probe(http3(&authority), &first.url()).await;
    assert!(observation.outcome.is_up(), "{observation:?}");
    assert_eq!(detail(&observation).redirects, 1);
    let plain = Server::start(&tls, Then::Redirect("http://127.0.0.1/"));
    let observation = probe(http3(&authority), &plain.url()).await;
    assert_eq!(reason(&observation), Some(Reason::HttpRedirect), "{observation:?}");
}

#[tokio::test]
async fn garbage_and_floods_end_with_one_reason() {
    let authority = Authority::new();
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", socket.local_addr().unwrap());
    tokio::spawn(async move {
        let mut packet = [0; 2000];
        let Ok((_, from)) = socket.recv_from(&mut packet).await else { return };
        let garbage = [0xff; 1200];
        while socket.send_to(&garbage, from).await.is_ok() {}
    });
    let observation = run(&prober(http3(&authority), &url), Duration::from_secs(20)).await;
    assert_eq!(reason(&observation), Some(Reason::ProtocolError), "{observation:?}");
    assert!(sentence(&observation).contains("4 MiB"), "{}", sentence(&observation));
}
