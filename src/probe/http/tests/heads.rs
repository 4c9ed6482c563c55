//! Heads that old servers and devices send, and where our limits are.

use std::fmt::Write as _;

use super::super::testing::*;
use crate::config::HttpSettings;
use crate::config::Pattern;
use crate::config::http::{FailIf, HeaderRule};
use crate::observation::{Observation, Reason};

async fn answered(text: impl Into<Vec<u8>>) -> Observation {
    let text = text.into();
    let peer = Peer::start(move |_| Act::Send(text.clone())).await;
    probe(settings(), &peer.url()).await
}

#[tokio::test]
async fn odd_but_harmless_heads_are_read() {
    for head in [
        "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        "\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.0 200 OK\r\n\r\nto the end",
        "HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX-Folded: one\r\n two\r\n\tthree\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX-Empty:\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    ] {
        let observation = answered(head).await;
        assert!(observation.outcome.is_up(), "{head:?} {observation:?}");
    }
    let observation = answered(b"HTTP/1.1 200 \xfcber\r\nServer: Ger\xe4t\r\nContent-Length: 0\r\n\r\n".to_vec()).await;
    assert!(observation.outcome.is_up(), "{observation:?}");
}

#[tokio::test]
async fn a_folded_header_is_one_value() {
    let folded = "HTTP/1.1 200 OK\r\nX-Long: one\r\n  two\r\nContent-Length: 0\r\n\r\n";
    let peer = Peer::start(move |_| send(folded)).await;
    let rule = HeaderRule {
        header: http::HeaderName::from_static("x-long"),
        pattern: Pattern::new("^one +two$").unwrap(),
        fail_if: FailIf::NotMatches,
        allow_missing: false,
    };
    let observation = probe(HttpSettings { header_rules: vec![rule], ..settings() }, &peer.url()).await;
    assert!(observation.outcome.is_up(), "{observation:?}");
}

fn with_headers(count: usize) -> String {
    let mut head = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n".to_owned();
    for index in 1..count {
        write!(head, "X-{index}: y\r\n").unwrap();
    }
    head + "\r\n"
}

#[tokio::test]
async fn many_and_large_headers_are_read_and_what_is_too_much_is_our_limit() {
    for count in [100, 101, 2000] {
        let observation = answered(with_headers(count)).await;
        assert!(observation.outcome.is_up(), "{count} {observation:?}");
    }
    let large = |size| format!("HTTP/1.1 200 OK\r\nX: {}\r\nContent-Length: 0\r\n\r\n", "y".repeat(size));
    assert!(answered(large(390_000)).await.outcome.is_up());
    for text in [with_headers(2001), large(900_000)] {
        let observation = answered(text).await;
        assert_eq!(reason(&observation), Some(Reason::ProtocolError), "{observation:?}");
        let sentence = &observation.outcome.failure().unwrap().sentence;
        assert!(sentence.contains("2000 header lines"), "{sentence}");
        assert!(sentence.contains("limit of this exporter, not a fault of the peer"), "{sentence}");
    }
    let observation = answered("HTTP/1.2 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let sentence = &observation.outcome.failure().unwrap().sentence;
    assert!(sentence.contains("neither HTTP/1.0 nor HTTP/1.1, all that this exporter reads"), "{sentence}");
}

#[tokio::test]
async fn heads_without_an_end_end_with_one_reason() {
    let lines = "X: y\r\n".repeat(200_000);
    let folds = format!("X: y\r\n{}", " z\r\n".repeat(300_000));
    let spaces = format!("X{}", " ".repeat(1 << 20));
    for endless in [lines, folds, spaces] {
        let text = format!("HTTP/1.1 200 OK\r\n{endless}");
        let peer = Peer::start(move |_| Act::Hold(text.clone().into_bytes())).await;
        let observation = probe(settings(), &peer.url()).await;
        assert_eq!(reason(&observation), Some(Reason::ProtocolError), "{observation:?}");
    }
}
