//! Old, new, slow, greedy and broken clients, and the end of serving.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{LONG, Reply, read_all, start, until};
use crate::metrics::fixture::{many, varied};
use crate::server::{Limits, Served};

#[tokio::test]
async fn http_1_0_is_answered_and_closed() {
    let server = start(many(100), Limits::default()).await;
    let reply = server.send(b"GET /-/healthy HTTP/1.0\r\n\r\n").await;
    assert_eq!((reply.status, reply.text()), (200, "Healthy\n"));
    let page = server.send(b"GET /metrics?target=target-00000 HTTP/1.0\r\n\r\n").await;
    assert_eq!(page.headers.get("transfer-encoding"), None, "HTTP/1.0 knows no chunks");
    assert!(page.text().contains("probe_up_seconds_total{target=\"target-00000\""));
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let server = start(varied(), Limits::default()).await;
    let mut socket = server.connect().await;
    let requests = b"GET /-/healthy HTTP/1.1\r\nhost: x\r\n\r\nGET /nothing HTTP/1.1\r\nhost: x\r\n\r\n\
                     GET /-/ready HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    socket.write_all(requests).await.unwrap();
    let text = String::from_utf8(read_all(&mut socket).await).unwrap();
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("HTTP/1.1 ")).collect();
    assert_eq!(lines, ["HTTP/1.1 200 OK", "HTTP/1.1 404 Not Found", "HTTP/1.1 503 Service Unavailable"]);
}

#[tokio::test]
async fn a_request_body_is_not_waited_for() {
    let server = start(varied(), Limits::default()).await;
    let mut socket = server.connect().await;
    let request = b"GET /-/healthy HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000000\r\n\r\nsome of it";
    socket.write_all(request).await.unwrap();
    assert_eq!(Reply::parse(&read_all(&mut socket).await).status, 200);
}

#[tokio::test]
async fn oversized_heads_are_refused() {
    let server = start(varied(), Limits::default()).await;
    let long = format!("x-long: {}\r\n", "a".repeat(16 * 1024));
    assert_eq!(server.ask("GET /", &long).await.status, 431);
    let many: String = (0..100).map(|index| format!("x-{index}: a\r\n")).collect();
    assert_eq!(server.ask("GET /", &many).await.status, 431);
    assert_eq!(server.get("/-/healthy").await.status, 200);
}

#[tokio::test]
async fn garbage_is_answered_400_and_hurts_no_one() {
    let server = start(varied(), Limits::default()).await;
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS client here\r\n\r\n"[..],
        b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nbad header\r\n\r\n",
        b"GET / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
    ] {
        assert_eq!(server.send(garbage).await.status, 400, "{:?}", String::from_utf8_lossy(garbage));
    }
    // Half of HTTP/2's greeting, then nonsense.
    let mut socket = server.connect().await;
    socket.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nnonsense nonsense nonsense").await.unwrap();
    read_all(&mut socket).await;
    assert_eq!(server.get("/-/healthy").await.status, 200);
    assert_eq!(server.telemetry.panics.get(), 0);
}

#[tokio::test]
async fn a_client_that_drips_its_head_is_dropped() {
    let limits = Limits { head: Duration::from_millis(100), ..Limits::default() };
    let server = start(varied(), limits).await;
    let mut silent = server.connect().await;
    assert!(read_all(&mut silent).await.is_empty());

    let (mut read, mut write) = server.connect().await.into_split();
    let drip = tokio::spawn(async move {
        let mut wait = tokio::time::interval(Duration::from_millis(10));
        write.write_all(b"GET / HTTP/1.1\r\nx: ").await?;
        loop {
            wait.tick().await;
            write.write_all(b"a").await?;
        }
        #[allow(unreachable_code)]
        Ok::<(), std::io::Error>(())
    });
    let mut bytes = Vec::new();
    let _ = tokio::time::timeout(LONG, read.read_to_end(&mut bytes)).await.unwrap();
    assert!(bytes.is_empty());
    assert!(tokio::time::timeout(LONG, drip).await.unwrap().unwrap().is_err());
}

#[tokio::test]
async fn an_idle_connection_outlives_the_limit_for_heads_and_ends_at_its_own() {
    let limits = Limits { head: Duration::from_millis(250), idle: Duration::from_secs(4), ..Limits::default() };
    let server = start(varied(), limits).await;
    let mut socket = server.connect().await;
    let request = b"GET /-/healthy HTTP/1.1\r\nhost: x\r\n\r\n";
    let mut buffer = [0; 1024];
    socket.write_all(request).await.unwrap();
    assert_ne!(socket.read(&mut buffer).await.unwrap(), 0);
    tokio::time::sleep(Duration::from_millis(500)).await; // Longer than a head may take: the subject of the test.
    socket.write_all(request).await.unwrap();
    assert_ne!(socket.read(&mut buffer).await.unwrap(), 0, "still open");
    assert!(read_all(&mut socket).await.is_empty(), "closed at last");
}

#[tokio::test]
async fn a_client_that_stops_reading_is_dropped() {
    let limits = Limits { stall: Duration::from_millis(100), ..Limits::default() };
    let server = start(many(4000), limits).await;
    let mut socket = server.stall().await;
    until(|| server.in_flight() == 0).await;
    assert!(!Reply::parse(&read_all(&mut socket).await).complete);
    assert_eq!(server.get("/-/healthy").await.status, 200);
}

#[tokio::test]
async fn an_answer_that_takes_too_long_as_a_whole_is_broken_off() {
    let server = start(many(100), Limits { answer: Duration::ZERO, ..Limits::default() }).await;
    let mut socket = server.connect().await;
    socket.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let bytes = read_all(&mut socket).await;
    assert!(bytes.is_empty() || !Reply::parse(&bytes).complete);
}

#[tokio::test]
async fn pages_are_bounded_in_number() {
    let server = start(many(4000), Limits { pages: 1, ..Limits::default() }).await;
    let stalled = server.stall().await;
    for path in ["/metrics", "/", "/api/v1/targets"] {
        let reply = server.get(path).await;
        assert_eq!((reply.status, reply.headers["retry-after"].as_str()), (503, "5"), "{path}");
    }
    assert_eq!(server.get("/-/healthy").await.status, 200, "a full house is healthy");
    drop(stalled);
    until(|| server.in_flight() == 0).await;
    assert_eq!(server.get("/metrics?target=target-00000").await.status, 200);
}

#[tokio::test]
async fn one_connection_too_many_makes_the_longest_idle_one_go() {
    let server = start(varied(), Limits { connections: 2, ..Limits::default() }).await;
    let mut first = server.connect().await;
    let mut second = server.connect().await;
    let mut buffer = [0; 1024];
    for socket in [&mut first, &mut second] {
        socket.write_all(b"GET /-/healthy HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        assert_ne!(socket.read(&mut buffer).await.unwrap(), 0);
    }
    assert_eq!(server.get("/-/healthy").await.status, 200);
    assert!(read_all(&mut first).await.is_empty(), "the first had been idle the longest");
    second.write_all(b"GET /-/healthy HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert_ne!(second.read(&mut buffer).await.unwrap(), 0);
}

#[tokio::test]
async fn when_every_connection_is_busy_the_next_one_is_told_so() {
    let server = start(many(4000), Limits { connections: 2, ..Limits::default() }).await;
    let _one = server.stall().await;
    let _two = server.stall().await;
    let mut third = server.connect().await;
    let reply = Reply::parse(&read_all(&mut third).await);
    assert_eq!((reply.status, reply.complete), (503, true));
}

#[tokio::test]
async fn many_scrapes_at_once_all_get_the_whole_page() {
    let server = Arc::new(start(many(200), Limits::default()).await);
    let expected = server.get("/metrics?shard=1&of=2").await.body;
    let scrapes: Vec<_> = (0..30)
        .map(|_| {
            let server = Arc::clone(&server);
            tokio::spawn(async move { server.get("/metrics?shard=1&of=2").await })
        })
        .collect();
    for scrape in scrapes {
        let reply = scrape.await.unwrap();
        assert_eq!(reply.status, 200);
        assert!(reply.complete && reply.body == expected);
    }
}

#[tokio::test]
async fn http_2_is_spoken_to_those_who_begin_with_it() {
    let server = start(many(50), Limits::default()).await;
    // Another test may have been first; any provider will do.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().http2_prior_knowledge().build().unwrap();
    let requests = (0..20).map(|_| client.get(format!("http://{}/metrics?shard=1&of=2", server.address)).send());
    for reply in futures_util::future::join_all(requests).await {
        let reply = reply.unwrap();
        assert_eq!((reply.version(), reply.status().as_u16()), (http::Version::HTTP_2, 200));
        assert!(reply.text().await.unwrap().contains("probe_up_seconds_total{"));
    }
    assert_eq!(server.end().await, Served { connections: 1, cut_off: 0 });
}

#[tokio::test]
async fn a_stop_ends_idle_connections_and_lets_requests_finish() {
    let server = start(many(4000), Limits::default()).await;
    let mut idle = server.connect().await;
    let mut buffer = [0; 1024];
    idle.write_all(b"GET /-/healthy HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert_ne!(idle.read(&mut buffer).await.unwrap(), 0);
    let mut silent = server.connect().await;
    let mut busy = server.stall().await;
    server.stop.cancel();
    assert!(read_all(&mut idle).await.is_empty());
    assert!(read_all(&mut silent).await.is_empty());
    let page = Reply::parse(&read_all(&mut busy).await);
    assert!(page.complete, "the page under way came to its end");
    assert_eq!(server.end().await, Served { connections: 3, cut_off: 0 });
}

#[tokio::test]
async fn a_stop_does_not_wait_for_ever() {
    let server = start(many(4000), Limits { grace: Duration::from_millis(50), ..Limits::default() }).await;
    let address = server.address;
    let _stalled = server.stall().await;
    assert_eq!(server.end().await, Served { connections: 1, cut_off: 1 });
    assert!(TcpStream::connect(address).await.is_err(), "no longer listening");
}
