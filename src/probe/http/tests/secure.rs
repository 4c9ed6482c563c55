//! TLS and HTTP/2.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use url::Url;

use super::super::testing::*;
use crate::config::http::{HttpVersion, ProxySettings};
use crate::config::{HttpSettings, TlsSettings};
use crate::observation::Reason;

fn trusting(authority: &Authority) -> HttpSettings {
    HttpSettings { tls: authority.trusted(), ..settings() }
}

#[tokio::test]
async fn a_secure_answer_has_all_phases_and_its_certificate() {
    let authority = Authority::new();
    let peer = Peer::tls(authority.server(&["shop.test"]), |_| ok()).await;
    let settings = HttpSettings { dns_servers: dns().await, ..trusting(&authority) };
    let observation = probe(settings.clone(), &format!("https://shop.test:{}/", peer.port())).await;
    assert!(observation.outcome.is_up(), "{observation:?}");
    let detail = detail(&observation);
    let phases = detail.phases;
    let all = [phases.resolve, phases.connect, phases.tls, phases.processing, phases.transfer];
    assert!(all.iter().all(Option::is_some), "{phases:?}");
    assert!(all.into_iter().flatten().sum::<std::time::Duration>() <= observation.elapsed);
    assert_eq!(detail.ssl, Some(true));
    let session = observation.tls.as_ref().unwrap();
    assert_eq!(&*session.chain.certificates[0].dns_names, "shop.test");
    assert_eq!(session.version.as_deref(), Some("TLS 1.3"));
    assert!(session.cipher.is_some() && session.last_chain_expiry.is_some());

    let forbidding = HttpSettings { fail_if_ssl: true, ..settings };
    let observation = probe(forbidding, &format!("https://shop.test:{}/", peer.port())).await;
    assert_eq!(reason(&observation), Some(Reason::SslForbidden));
}

#[tokio::test]
async fn a_refused_certificate_is_shown_with_its_reason() {
    let authority = Authority::new();
    let stranger = Authority::new();
    for (server, wanted) in [
        (authority.server_valid(&["shop.test"], 2000, 2001), Reason::TlsExpired),
        (authority.server_valid(&["shop.test"], 2080, 2090), Reason::TlsNotYetValid),
        (authority.server(&["other.test"]), Reason::TlsNameMismatch),
        (stranger.server(&["shop.test"]), Reason::TlsUntrusted),
    ] {
        let peer = Peer::tls(server, |_| ok()).await;
        let with = HttpSettings { dns_servers: dns().await, ..trusting(&authority) };
        let observation = probe(with, &format!("https://shop.test:{}/", peer.port())).await;
        assert_eq!(reason(&observation), Some(wanted), "{observation:?}");
        let session = observation.tls.as_ref().unwrap();
        assert_eq!(session.chain.certificates.len(), 1);
        assert!(session.verify_error.is_some());
        assert!(detail(&observation).phases.tls.is_some());
        assert_eq!(detail(&observation).phases.processing, None);

        let careless = TlsSettings { insecure_skip_verify: true, ..authority.trusted() };
        let with = HttpSettings { dns_servers: dns().await, tls: careless, ..settings() };
        let observation = probe(with, &format!("https://shop.test:{}/", peer.port())).await;
        assert!(observation.outcome.is_up(), "{observation:?}");
    }
}

#[tokio::test]
async fn a_peer_that_does_not_shake_hands_is_told_apart() {
    let observation = probe_soon(settings(), &format!("https://{}/", silent().await)).await;
    assert_eq!(reason(&observation), Some(Reason::TlsTimeout), "{observation:?}");
    assert!(detail(&observation).phases.connect.is_some() && detail(&observation).phases.tls.is_some());
    assert_eq!(observation.tls, None);

    // Plain HTTP on a TLS port: the peer never finds the end of a request in a ClientHello.
    let plain = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = plain.local_addr().unwrap();
    tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        while let Ok((mut stream, _)) = plain.accept().await {
            let mut hello = [0; 4096];
            let _ = stream.read(&mut hello).await;
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let observation = probe(settings(), &format!("https://{address}/")).await;
    assert_eq!(reason(&observation), Some(Reason::TlsHandshake), "{observation:?}");
    let observation = probe(settings(), &format!("https://127.0.0.1:{}/", closed_port().await)).await;
    assert_eq!(reason(&observation), Some(Reason::ConnectRefused));
    assert_eq!(detail(&observation).phases.tls, None);
    let hole = black_hole().await;
    let observation = probe_soon(settings(), &format!("https://{}/", hole.address)).await;
    assert_eq!(reason(&observation), Some(Reason::ConnectTimeout));
    assert_eq!(detail(&observation).phases.tls, None);
}

#[tokio::test]
async fn a_configured_host_is_the_name_that_tls_sees() {
    let authority = Authority::new();
    let peer = Peer::tls(authority.server(&["shop.example.com"]), |_| ok()).await;
    for host in ["shop.example.com", "shop.example.com:9"] {
        let settings = HttpSettings { host: Some(host.into()), ..trusting(&authority) };
        let observation = probe(settings, &format!("https://{}/", peer.address)).await;
        assert!(observation.outcome.is_up(), "{observation:?}");
        assert_eq!(header(peer.requests().last().unwrap(), "host"), Some(host));
    }
    let observation = probe(trusting(&authority), &format!("https://{}/", peer.address)).await;
    assert_eq!(reason(&observation), Some(Reason::TlsNameMismatch));
}

#[tokio::test]
async fn server_name_is_checked_while_the_host_stays() {
    let authority = Authority::new();
    let peer = Peer::tls(authority.server(&["inner.example.com"]), |_| ok()).await;
    let tls = TlsSettings { server_name: Some("inner.example.com".into()), ..authority.trusted() };
    let with = |host: Option<&str>| HttpSettings { tls: tls.clone(), host: host.map(str::to_owned), ..settings() };
    let observation = probe(with(None), &format!("https://{}/", peer.address)).await;
    assert!(observation.outcome.is_up(), "{observation:?}");
    assert_eq!(header(&peer.requests()[0], "host"), Some(peer.address.to_string().as_str()));
    let observation = probe(with(Some("shop.example.com")), &format!("https://{}/", peer.address)).await;
    assert!(observation.outcome.is_up(), "{observation:?}");
    assert_eq!(header(&peer.requests()[1], "host"), Some("shop.example.com"));
}

#[tokio::test]
async fn a_redirect_to_tls_is_followed_and_phases_add_up() {
    let authority = Authority::new();
    let secure = Peer::tls(authority.server(&["shop.test"]), |_| ok()).await;
    let next = format!("https://shop.test:{}/", secure.port());
    let plain = Peer::start(move |_| redirect(301, &next)).await;
    let settings = HttpSettings {
        dns_servers: dns().await,
        auth: Some(crate::config::http::HttpAuth::Header {
            scheme: "Bearer".into(),
            credentials: crate::config::Secret::new("t"),
        }),
        fail_if_not_ssl: true,
        ..trusting(&authority)
    };
    let observation = probe(settings.clone(), &format!("http://shop.test:{}/", plain.port())).await;
    assert!(observation.outcome.is_up(), "{observation:?}");
    assert_eq!(header(&secure.requests()[0], "authorization"), Some("Bearer t"), "kept on the way up");
    assert!(observation.tls.is_some());

    let back = plain.url().replace("127.0.0.1", "shop.test") + "end";
    let down = Peer::tls(authority.server(&["shop.test"]), move |_| redirect(302, &back)).await;
    let end = Peer::start(|_| ok()).await;
    drop(end);
    let settings = HttpSettings { follow_redirects: true, ..settings };
    let observation = probe(settings, &format!("https://shop.test:{}/", down.port())).await;
    let seen = plain.requests();
    assert_eq!(header(seen.last().unwrap(), "authorization"), None, "withheld on the way down: {observation:?}");
}

/// A server that speaks what ALPN agrees on, and answers with the request's version and authority.
async fn negotiating(authority: &Authority, names: &[&str], protocols: &[&str]) -> SocketAddr {
    let mut config = (*authority.server(names)).clone();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let service = hyper::service::service_fn(|request: hyper::Request<hyper::body::Incoming>| async move {
                    let host = request.headers().get("host").map(|value| value.to_str().unwrap().to_owned());
                    let text = format!("{:?} {:?} {host:?}", request.version(), request.uri().authority());
                    Ok::<_, Infallible>(hyper::Response::new(http_body_util::Full::new(bytes::Bytes::from(text))))
                });
                let builder = hyper_util::server::conn::auto::Builder::new(hyper_util::rt::TokioExecutor::new());
                let _ = builder.serve_connection(hyper_util::rt::TokioIo::new(stream), service).await;
            });
        }
    });
    address
}

#[tokio::test]
async fn http2_is_spoken_where_it_is_offered_and_wanted() {
    let authority = Authority::new();
    let both = negotiating(&authority, &["127.0.0.1", "shop.example.com"], &["h2", "http/1.1"]).await;
    let one = negotiating(&authority, &["127.0.0.1"], &["http/1.1"]).await;
    for (address, enable_http2, version) in [(both, true, 2.0), (both, false, 1.1), (one, true, 1.1)] {
        let settings = HttpSettings { enable_http2, ..trusting(&authority) };
        let observation = probe(settings, &format!("https://{address}/")).await;
        assert!(observation.outcome.is_up(), "{observation:?}");
        assert_eq!(detail(&observation).version, Some(version));
    }
    let settings = HttpSettings {
        host: Some("shop.example.com".into()),
        valid_http_versions: vec![HttpVersion::Http2],
        ..trusting(&authority)
    };
    let observation = probe(settings, &format!("https://{both}/")).await;
    assert!(observation.outcome.is_up(), "{observation:?}");
    let body = String::from_utf8_lossy(&detail(&observation).body_excerpt).into_owned();
    assert_eq!(body, "HTTP/2.0 Some(shop.example.com) None", "the Host is the authority");
}

#[tokio::test]
async fn a_tunnel_carries_tls_to_the_target() {
    let authority = Authority::new();
    let peer = Peer::tls(authority.server(&["nowhere.example"]), |_| ok()).await;
    let tunnel = http_proxy(peer.address, None).await;
    let socks = socks_proxy(peer.address).await;
    let mut connect_headers = http::HeaderMap::new();
    connect_headers.insert("x-connect", http::HeaderValue::from_static("1"));
    for (scheme, proxy) in [("http", &tunnel), ("socks5", &socks)] {
        let url = Box::new(Url::parse(&format!("{scheme}://{}", proxy.address)).unwrap().into());
        let proxy_settings = ProxySettings::Url { url, no_proxy: None, connect_headers: connect_headers.clone() };
        let settings = HttpSettings { proxy: proxy_settings, ..trusting(&authority) };
        let observation = probe(settings, "https://nowhere.example/").await;
        assert!(observation.outcome.is_up(), "{observation:?}");
        assert_eq!(observation.resolution, None);
        assert!(observation.tls.is_some());
        assert!(detail(&observation).phases.connect.is_some() && detail(&observation).phases.tls.is_some());
    }
    let request = &tunnel.requests()[0];
    assert!(request.starts_with("CONNECT nowhere.example:443 HTTP/1.1\r\n"), "{request}");
    assert_eq!(header(request, "x-connect"), Some("1"));
    assert_eq!(socks.requests(), ["nowhere.example:443"]);
}

#[tokio::test]
async fn a_proxy_over_tls_is_not_taken_for_the_target() {
    let authority = Authority::new();
    let secure_proxy = |server: Arc<rustls::ServerConfig>, to: SocketAddr| async move {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let inner = http_proxy(to, None).await;
        let acceptor = tokio_rustls::TlsAcceptor::from(server);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let mut plain = tokio::net::TcpStream::connect(inner.address).await.unwrap();
                tokio::spawn(async move {
                    let _ = tokio::io::copy_bidirectional(&mut stream, &mut plain).await;
                });
            }
        });
        address
    };
    let peer = Peer::tls(authority.server(&["nowhere.example"]), |_| ok()).await;
    let stranger = Peer::tls(authority.server(&["other.example"]), |_| ok()).await;
    let good = authority.server(&["127.0.0.1"]);
    let bad = authority.server_valid(&["127.0.0.1"], 2000, 2001);
    for (server, to, wanted, shows) in [
        (&good, peer.address, None, true),
        (&good, stranger.address, Some(Reason::TlsNameMismatch), true),
        (&bad, peer.address, Some(Reason::ProxyError), false),
    ] {
        let proxy = secure_proxy(Arc::clone(server), to).await;
        let url = Box::new(Url::parse(&format!("https://{proxy}")).unwrap().into());
        let proxy = ProxySettings::Url { url, no_proxy: None, connect_headers: http::HeaderMap::new() };
        let settings = HttpSettings { proxy, ..trusting(&authority) };
        let observation = probe(settings, "https://nowhere.example/").await;
        assert_eq!(reason(&observation), wanted, "{observation:?}");
        assert_eq!(observation.tls.is_some(), shows, "the proxy's certificate is not the target's");
    }
}

#[tokio::test]
async fn a_client_certificate_is_sent_and_its_lack_is_a_handshake_failure() {
    let authority = Authority::new();
    let peer = Peer::tls(authority.server_for_clients(&["127.0.0.1"]), |_| ok()).await;
    let url = format!("https://{}/", peer.address);
    let tls = TlsSettings { client: Some(authority.client()), ..authority.trusted() };
    let observation = probe(HttpSettings { tls, ..settings() }, &url).await;
    assert!(observation.outcome.is_up(), "{observation:?}");
    let observation = probe(trusting(&authority), &url).await;
    assert_eq!(reason(&observation), Some(Reason::TlsHandshake), "{observation:?}");
    assert!(observation.tls.is_some(), "the server's certificate was fine");
}

/// Agrees on HTTP/2, waits for the request, sends these frames and closes.
async fn http2_frames(authority: &Authority, frames: &'static [u8]) -> SocketAddr {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut config = (*authority.server(&["127.0.0.1"])).clone();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut received = Vec::new();
            // Frame type 1 on stream 1: the request's HEADERS.
            while !received.windows(6).any(|window| window[0] == 1 && window[2..] == [0, 0, 0, 1]) {
                if stream.read_buf(&mut received).await.unwrap_or(0) == 0 {
                    break;
                }
            }
            let _ = stream.write_all(b"\0\0\0\x04\0\0\0\0\0").await;
            let _ = stream.write_all(frames).await;
            let _ = stream.shutdown().await;
            while stream.read_buf(&mut received).await.is_ok_and(|read| read > 0) {}
        }
    });
    address
}

#[tokio::test]
async fn http2_failures_have_reasons_too() {
    const RESET: &[u8] = b"\0\0\x04\x03\0\0\0\0\x01\0\0\0\x02";
    const HEAD_AND_RESET: &[u8] = b"\0\0\x01\x01\x04\0\0\0\x01\x88\0\0\x04\x03\0\0\0\0\x01\0\0\0\x02";
    const HEAD_AND_HALF: &[u8] = b"\0\0\x01\x01\x04\0\0\0\x01\x88\0\0\x04\0\0\0\0\0\x01half";
    // DATA on a stream that was never opened.
    const NONSENSE: &[u8] = b"\0\0\x04\0\0\0\0\0\x63half";
    let authority = Authority::new();
    for (frames, wanted) in [
        (RESET, Reason::ProtocolError),
        (HEAD_AND_RESET, Reason::ResponseTruncated),
        (HEAD_AND_HALF, Reason::ResponseTruncated),
        (NONSENSE, Reason::ProtocolError),
        (b"", Reason::ResponseTruncated),
    ] {
        let address = http2_frames(&authority, frames).await;
        let observation = probe(trusting(&authority), &format!("https://{address}/")).await;
        assert_eq!(reason(&observation), Some(wanted), "{frames:?} {observation:?}");
    }
}

#[tokio::test]
async fn http2_errors_are_told_by_their_names() {
    const REFUSED: &[u8] = b"\0\0\x04\x03\0\0\0\0\x01\0\0\0\x07";
    const GOAWAY: &[u8] = b"\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\0";
    const CALM: &[u8] = b"\0\0\x10\x07\0\0\0\0\0\0\0\0\0\0\0\0\x0btoo_many";
    let authority = Authority::new();
    for (frames, wanted) in [
        (REFUSED, "the peer reset the request (RST_STREAM REFUSED_STREAM)"),
        (GOAWAY, "(GOAWAY NO_ERROR); it may be restarting"),
        (CALM, "(GOAWAY ENHANCE_YOUR_CALM, saying \"too_many\")"),
    ] {
        let address = http2_frames(&authority, frames).await;
        let observation = probe(trusting(&authority), &format!("https://{address}/")).await;
        assert_eq!(reason(&observation), Some(Reason::ProtocolError), "{observation:?}");
        let sentence = &observation.outcome.failure().unwrap().sentence;
        assert!(sentence.contains(wanted), "{sentence}");
    }
}
