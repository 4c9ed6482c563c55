//! Every way in which a plain peer can fail, with the reason and the phases that it gives.

use std::net::Ipv4Addr;

use super::super::testing::*;
use crate::config::HttpSettings;
use crate::observation::{HttpPhases, Observation, Reason};

/// Which phases have a value: resolve, connect, tls, processing, transfer.
fn reached(observation: &Observation) -> [bool; 5] {
    let HttpPhases { resolve, connect, tls, processing, transfer } = detail(observation).phases;
    [resolve, connect, tls, processing, transfer].map(|phase| phase.is_some())
}

fn assert_phases_fit(observation: &Observation) {
    let HttpPhases { resolve, connect, tls, processing, transfer } = detail(observation).phases;
    let sum: std::time::Duration = [resolve, connect, tls, processing, transfer].into_iter().flatten().sum();
    assert!(sum <= observation.elapsed, "{sum:?} of {:?}", observation.elapsed);
}

const NAME: [bool; 5] = [true, false, false, false, false];
const CONNECT: [bool; 5] = [true, true, false, false, false];
const PROCESSING: [bool; 5] = [true, true, false, true, false];
const TRANSFER: [bool; 5] = [true, true, false, true, true];

#[tokio::test]
async fn a_good_answer_is_up_with_its_evidence() {
    let peer = Peer::start(|_| {
        answer("200 OK", "Server: test\r\nSet-Cookie: a=1\r\nLast-Modified: Tue, 15 Nov 1994 12:45:26 GMT\r\n", "fine")
    })
    .await;
    let observation = probe(settings(), &peer.url()).await;
    assert!(observation.outcome.is_up(), "{observation:?}");
    assert_eq!(reached(&observation), TRANSFER);
    assert_phases_fit(&observation);
    let resolution = observation.resolution.as_ref().unwrap();
    assert_eq!(resolution.chosen, Some(Ipv4Addr::LOCALHOST.into()));
    assert_eq!(observation.tls, None);
    let detail = detail(&observation);
    assert_eq!(detail.status, Some(200));
    assert_eq!(detail.version, Some(1.1));
    assert_eq!(detail.content_length, Some(4));
    assert_eq!(detail.body_length, Some(4));
    assert_eq!(detail.redirects, 0);
    assert_eq!(detail.ssl, Some(false));
    assert_eq!(detail.failed_regex, Some(false));
    assert_eq!(detail.failed_cel, None);
    assert_eq!(detail.last_modified, Some(784_903_526));
    assert_eq!(&*detail.body_excerpt, b"fine");
    assert!(detail.headers.contains(&("server".into(), "test".into())));
    assert!(!detail.headers.iter().any(|(name, _)| &**name == "set-cookie"));
}

#[tokio::test]
async fn the_request_is_what_the_config_says() {
    let peer = Peer::start(|_| ok()).await;
    let mut headers = http::HeaderMap::new();
    headers.insert("user-agent", http::HeaderValue::from_static("probe/1"));
    headers.append("x-a", http::HeaderValue::from_static("1"));
    headers.append("x-a", http::HeaderValue::from_static("2"));
    let settings = HttpSettings { method: http::Method::POST, headers, body: "ping".into(), ..settings() };
    let observation = probe(settings, &format!("{}path?query#fragment", peer.url())).await;
    assert!(observation.outcome.is_up(), "{observation:?}");
    let request = &peer.requests()[0];
    assert!(request.starts_with("POST /path?query HTTP/1.1\r\n"), "{request}");
    assert!(request.ends_with("\r\n\r\nping"), "{request}");
    assert_eq!(header(request, "user-agent"), Some("probe/1"));
    assert_eq!(header(request, "host"), Some(peer.address.to_string().as_str()));
    assert_eq!(header(request, "accept-encoding"), None);
    assert_eq!(header(request, "referer"), None);
    assert!(request.contains("X-A: 1\r\nX-A: 2\r\n"), "{request}");
}

#[tokio::test]
async fn a_closed_port_is_refused() {
    let observation = probe(settings(), &format!("http://127.0.0.1:{}/", closed_port().await)).await;
    assert_eq!(reason(&observation), Some(Reason::ConnectRefused));
    assert_eq!(reached(&observation), CONNECT);
    assert_phases_fit(&observation);
    assert_eq!(detail(&observation).status, None);
    assert_eq!(detail(&observation).failed_regex, None);
}

#[tokio::test]
async fn an_address_without_route_is_unreachable() {
    // The zero network cannot be routed; the kernel says so at once.
    let observation = probe_soon(settings(), "http://255.255.255.255/").await;
    assert_eq!(reason(&observation), Some(Reason::ConnectUnreachable), "{observation:?}");
}

#[tokio::test]
async fn a_black_hole_times_out_connecting() {
    let hole = black_hole().await;
    let observation = probe_soon(settings(), &format!("http://{}/", hole.address)).await;
    assert_eq!(reason(&observation), Some(Reason::ConnectTimeout));
    assert_eq!(reached(&observation), CONNECT);
    assert_phases_fit(&observation);
    assert!(observation.elapsed >= SOON);
    assert_eq!(observation.timeout, SOON);
}

#[tokio::test]
async fn silence_after_the_request_is_a_request_timeout() {
    let observation = probe_soon(settings(), &format!("http://{}/", silent().await)).await;
    assert_eq!(reason(&observation), Some(Reason::RequestTimeout));
    assert_eq!(reached(&observation), PROCESSING);
    assert_phases_fit(&observation);
    let half_a_head = Peer::start(|_| Act::Hold(b"HTTP/1.1 200 OK\r\nServer: x".to_vec())).await;
    assert_eq!(reason(&probe_soon(settings(), &half_a_head.url()).await), Some(Reason::RequestTimeout));
}

#[tokio::test]
async fn silence_in_the_body_is_a_response_timeout() {
    let peer = Peer::start(|_| Act::Hold(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf".to_vec())).await;
    let observation = probe_soon(settings(), &peer.url()).await;
    assert_eq!(reason(&observation), Some(Reason::ResponseTimeout));
    assert_eq!(reached(&observation), TRANSFER);
    assert_phases_fit(&observation);
    assert_eq!(detail(&observation).status, Some(200));
    assert_eq!(detail(&observation).body_length, Some(4));
    assert_eq!(&*detail(&observation).body_excerpt, b"half");
}

#[tokio::test]
async fn a_wrong_status_wins_over_a_body_that_hangs() {
    let peer = Peer::start(|_| Act::Hold(b"HTTP/1.1 500 Oops\r\nContent-Length: 100\r\n\r\nhalf".to_vec())).await;
    let observation = probe_soon(settings(), &peer.url()).await;
    assert_eq!(reason(&observation), Some(Reason::HttpStatus));
}

#[tokio::test]
async fn a_reset_before_the_head_is_a_reset() {
    for before in ["", "HTTP/1.1 200 OK\r\nServ"] {
        let peer = Peer::start(move |_| Act::Reset(before.as_bytes().to_vec())).await;
        let observation = probe(settings(), &peer.url()).await;
        assert_eq!(reason(&observation), Some(Reason::ConnectReset), "{observation:?}");
        assert_eq!(reached(&observation), PROCESSING);
    }
}

#[tokio::test]
async fn a_close_before_the_end_of_the_head_is_truncated() {
    let observation = probe(settings(), &format!("http://{}/", hanging_up().await)).await;
    assert_eq!(reason(&observation), Some(Reason::ResponseTruncated), "{observation:?}");
    for head in ["", "HTTP/1.1 200", "HTTP/1.1 200 OK\r\nServer: x\r\n"] {
        let peer = Peer::start(move |_| send(head)).await;
        let observation = probe(settings(), &peer.url()).await;
        assert_eq!(reason(&observation), Some(Reason::ResponseTruncated), "{head:?} {observation:?}");
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_truncated() {
    let by_length = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf";
    let by_chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n";
    let in_a_chunk = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nhalf";
    for head in [by_length, by_chunks, in_a_chunk] {
        let peer = Peer::start(move |_| send(head)).await;
        let observation = probe(settings(), &peer.url()).await;
        assert_eq!(reason(&observation), Some(Reason::ResponseTruncated), "{head:?} {observation:?}");
        assert_eq!(detail(&observation).body_length, Some(4), "{head:?}");
        assert_eq!(reached(&observation), TRANSFER);
    }
    let peer = Peer::start(move |_| Act::Reset(by_length.as_bytes().to_vec())).await;
    let observation = probe(settings(), &peer.url()).await;
    // The reset may overtake the head, which then never came.
    let wanted = if detail(&observation).status.is_some() { Reason::ResponseTruncated } else { Reason::ConnectReset };
    assert_eq!(reason(&observation), Some(wanted));
}

#[tokio::test]
async fn an_error_says_whose_it_is_and_until_when() {
    let peer = Peer::start(|_| {
        send("HTTP/1.1 503 Busy\r\nx-amz-cf-id: a\r\nserver: CloudFront\r\nretry-after: Fri, 01 Jan 2100 00:00:00 GMT\r\ncontent-length: 0\r\n\r\n")
    })
    .await;
    let observation = probe(settings(), &peer.url()).await;
    let wanted = "the status is 503, expected 2xx; CloudFront answers, not the origin; it asks not to be tried before \
                  2100-01-01T00:00:00Z";
    assert_eq!(observation.outcome.failure().map(|failure| &*failure.sentence), Some(wanted));
}

#[tokio::test]
async fn what_is_not_http_is_a_protocol_error() {
    for (text, words) in [
        ("SSH-2.0-OpenSSH_9.9\r\n\r\n", "neither HTTP/1.0 nor HTTP/1.1"),
        ("HTTP/9.9 200 OK\r\n\r\n", "neither HTTP/1.0 nor HTTP/1.1"),
        ("HTTP/1.1 2x0 OK\r\n\r\n", "its status is no number of three digits"),
        ("HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "a line of its head is no header"),
        ("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "its Content-Length is no number"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "its chunks are not as HTTP/1.1 has them"),
        ("\0\0\0\0\0\0\0\0", "neither HTTP/1.0 nor HTTP/1.1"),
    ] {
        let peer = Peer::start(move |_| send(text)).await;
        let observation = probe(settings(), &peer.url()).await;
        assert_eq!(reason(&observation), Some(Reason::ProtocolError), "{text:?} {observation:?}");
        let sentence = &observation.outcome.failure().unwrap().sentence;
        assert!(sentence.contains(words), "{text:?}: {sentence}");
    }
    let endless = "X: y\r\n".repeat(2001);
    let peer = Peer::start(move |_| send(&format!("HTTP/1.1 200 OK\r\n{endless}\r\n"))).await;
    assert_eq!(reason(&probe(settings(), &peer.url()).await), Some(Reason::ProtocolError));
}

#[tokio::test]
async fn names_fail_with_what_the_server_says() {
    let dns_servers = dns().await;
    let with_dns = || HttpSettings { dns_servers: dns_servers.clone(), ..settings() };
    for (name, wanted) in [("nowhere.example", Reason::DnsNxdomain), ("servfail.test", Reason::DnsServfail)] {
        let observation = probe(with_dns(), &format!("http://{name}/")).await;
        assert_eq!(reason(&observation), Some(wanted), "{observation:?}");
        assert_eq!(reached(&observation), NAME);
        assert_eq!(observation.resolution.as_ref().unwrap().chosen, None);
    }
    let observation = probe_soon(with_dns(), "http://silent.test/").await;
    assert_eq!(reason(&observation), Some(Reason::DnsTimeout));
    assert_eq!(reached(&observation), NAME);
    assert_phases_fit(&observation);

    let ip = crate::config::IpPreference { preferred: crate::config::IpFamily::V6, fallback: false };
    let observation = probe(HttpSettings { ip, ..with_dns() }, "http://shop.test/").await;
    assert_eq!(reason(&observation), Some(Reason::DnsNoAddress));
}

#[tokio::test]
async fn a_deadline_in_the_past_is_no_fault_of_the_target() {
    use crate::probe::Probe;
    let prober = prober(settings(), &format!("http://{}/", silent().await));
    let observation = prober.run(tokio::time::Instant::now()).await;
    assert_eq!(reason(&observation), Some(Reason::Internal));
}

#[tokio::test]
async fn clients_are_shared_by_equal_settings_and_dropped_with_the_last_prober() {
    use std::sync::Arc;
    let shared = Arc::new(crate::probe::Shared::default());
    let settings = Arc::new(settings());
    let url = || url::Url::parse("http://127.0.0.1/").unwrap();
    let first = super::super::HttpProber::new(Arc::clone(&settings), url(), &shared).unwrap();
    let second = super::super::HttpProber::new(settings, url(), &shared).unwrap();
    assert_eq!(shared.clients.count(), 1);
    drop((first, second));
    assert_eq!(shared.clients.count(), 0);
}

#[test]
fn an_idle_prober_and_its_run_are_small() {
    let prober = prober(settings(), "http://127.0.0.1/");
    let run = run(&prober, SOON);
    assert!(size_of_val(&prober) <= 256, "{}", size_of_val(&prober));
    assert!(size_of_val(&run) <= 512, "{}", size_of_val(&run));
}

#[tokio::test]
async fn an_address_of_the_unwanted_family_is_refused_as_a_target_and_followed_as_a_redirect() {
    use crate::config::{IpFamily, IpPreference};
    let only = |preferred| HttpSettings { ip: IpPreference { preferred, fallback: false }, ..settings() };
    let elsewhere = format!("http://[::1]:{}/", closed_port().await);
    let peer = Peer::start(move |_| redirect(302, &elsewhere)).await;
    for host in ["127.0.0.1", "[::ffff:127.0.0.1]"] {
        let observation = probe(only(IpFamily::V6), &format!("http://{host}:{}/", peer.port())).await;
        assert_eq!(reason(&observation), Some(Reason::DnsNoAddress), "{host}: {observation:?}");
    }
    assert!(peer.requests().is_empty());
    let observation = probe(only(IpFamily::V4), &peer.url()).await;
    let tried = [Some(Reason::ConnectRefused), Some(Reason::ConnectUnreachable)];
    assert!(tried.contains(&reason(&observation)), "{observation:?}");
}
