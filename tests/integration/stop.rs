//! The end: SIGTERM and SIGINT stop in an orderly way, whatever is going on.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::TcpStream;

use crate::support::exporter::{Exporter, Setup};
use crate::support::peer::http::HttpPeer;
use crate::support::peer::{End, http};

/// Probes that hang for longer than any test waits. Starts are spread over the interval, so one of so many is soon.
fn hanging() -> (HttpPeer, Exporter) {
    let peer = http().no_head(End::Stay).start();
    let mut config = "global: {interval: 1h, timeout: 1h}
modules: {http: {prober: http, http: {preferred_ip_protocol: ip4}}}
targets:
"
    .to_owned();
    for n in 0..4000 {
        let _ = writeln!(config, "  - {{name: hangs-{n}, target: \"{}/{n}\", module: http}}", peer.url());
    }
    let exporter = Exporter::start(&config);
    peer.wait_for_requests(1);
    (peer, exporter)
}

#[test]
fn a_hanging_probe_and_open_connections_do_not_hold_up_a_stop() {
    for signal in ["TERM", "INT"] {
        let (_peer, exporter) = hanging();
        let mut idle = TcpStream::connect(exporter.address).unwrap();
        idle.write_all(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        idle.read_exact(&mut [0]).unwrap();
        let mut half = TcpStream::connect(exporter.address).unwrap();
        half.write_all(b"GET /metr").unwrap();
        exporter.signal(signal);
        let finished = exporter.finish();
        assert_eq!(finished.code(), 0, "{}", finished.stderr);
        assert!(finished.stderr.contains("Stopped"), "{}", finished.stderr);
    }
}

#[test]
fn a_stop_cuts_no_answer_short() {
    let (_peer, exporter) = hanging();
    // More than fits between two sockets, so that it is still being written when the signal comes.
    let mut stream = TcpStream::connect(exporter.address).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut head = [0; 15];
    stream.read_exact(&mut head).unwrap();
    assert_eq!(&head, b"HTTP/1.1 200 OK");
    exporter.signal("TERM");
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    assert!(rest.ends_with(b"\r\n0\r\n\r\n"), "{} bytes came, and no end", rest.len());
    assert_eq!(exporter.finish().code(), 0);
}

#[test]
fn an_address_in_use_is_said_and_exits_1() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let finished = Setup::new("targets: []\n").arg(&format!("--web.listen-address={address}")).run_to_end();
    assert_eq!(finished.code(), 1, "{}", finished.stderr);
    assert!(finished.stderr.contains(&format!("failed to bind {address}")), "{}", finished.stderr);
}
