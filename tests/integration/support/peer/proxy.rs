//! Proxies. Whatever name they are asked for, they connect to one address: names are theirs to resolve.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::http::{read_head, tunnel};
use super::{End, Listening};

/// A running proxy, and what it was asked for.
pub(crate) struct Proxy {
    listening: Listening,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    pub(crate) fn address(&self) -> SocketAddr {
        self.listening.address
    }

    /// Request lines of an HTTP proxy, `host:port` of a SOCKS one.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// Connects tunnels (CONNECT); with `refusal`, answers that instead.
pub(crate) fn http_proxy(to: SocketAddr, refusal: Option<&'static str>) -> Proxy {
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let log = Arc::clone(&asked);
    let listening = Listening::start(move |mut stream| {
        let log = Arc::clone(&log);
        async move {
            let Some(head) = read_head(&mut stream).await else { return };
            let line = head.lines().next().unwrap_or_default().to_owned();
            log.lock().unwrap().push(line.clone());
            if let Some(status) = refusal {
                let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
                let _ = stream.write_all(answer.as_bytes()).await;
                End::Close.apply(stream).await;
            } else if line.starts_with("CONNECT ") {
                if stream.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").await.is_ok() {
                    tunnel(stream, to).await;
                }
            } else {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nproxied").await;
                End::Close.apply(stream).await;
            }
        }
    });
    Proxy { listening, asked }
}

/// SOCKS5 without authentication (RFC 1928).
pub(crate) fn socks_proxy(to: SocketAddr) -> Proxy {
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let log = Arc::clone(&asked);
    let listening = Listening::start(move |mut stream| {
        let log = Arc::clone(&log);
        async move {
            if let Ok(name) = socks_request(&mut stream).await {
                log.lock().unwrap().push(name);
                let granted = [5, 0, 0, 1, 127, 0, 0, 1, 0, 0];
                if stream.write_all(&granted).await.is_ok() {
                    tunnel(stream, to).await;
                }
            }
        }
    });
    Proxy { listening, asked }
}

async fn socks_request(stream: &mut TcpStream) -> std::io::Result<String> {
    let _version = stream.read_u8().await?;
    let mut methods = vec![0; usize::from(stream.read_u8().await?)];
    stream.read_exact(&mut methods).await?;
    stream.write_all(&[5, 0]).await?;
    let mut head = [0; 4];
    stream.read_exact(&mut head).await?;
    let host = match head[3] {
        1 => std::net::Ipv4Addr::from(stream.read_u32().await?).to_string(),
        4 => std::net::Ipv6Addr::from(stream.read_u128().await?).to_string(),
        _ => {
            let mut name = vec![0; usize::from(stream.read_u8().await?)];
            stream.read_exact(&mut name).await?;
            String::from_utf8_lossy(&name).into_owned()
        }
    };
    Ok(format!("{host}:{}", stream.read_u16().await?))
}
