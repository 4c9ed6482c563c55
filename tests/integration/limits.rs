//! Clients that are slow, hostile or many, and targets that hang: none of them hurts the probing of others.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::TcpStream;

use crate::support::exporter::Exporter;
use crate::support::peer::{self, End, http};
use crate::support::scrape::Page;

fn runs(page: &Page) -> f64 {
    page.metric("probe_runs_total").label("result", "success").all().iter().map(|sample| sample.value).sum()
}

#[test]
fn slow_and_hostile_clients_do_not_hurt_probing() {
    let peer = http().start();
    let mut config = "global: {interval: 2s, timeout: 2s}
modules: {http: {prober: http, http: {preferred_ip_protocol: ip4}}}
targets:
"
    .to_owned();
    for n in 0..50 {
        let _ = writeln!(config, "  - {{name: t{n}, target: \"{}/{n}\", module: http}}", peer.url());
    }
    let exporter = Exporter::start(&config);
    let before = exporter.wait_until("every target was probed", |page| page.metric("probe_up").all().len() == 50);

    let connect = || TcpStream::connect(exporter.address).unwrap();
    let mut clients = Vec::new();
    for n in 0..200 {
        let mut client = connect();
        // A request that never ends, byte by byte; a page that nobody reads; nonsense; nothing.
        let bytes: &[u8] = match n % 4 {
            0 => b"GET /metrics HT",
            1 => b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n",
            2 => b"\x16\x03\x01\x00\xff\0\0\0\0",
            _ => b"",
        };
        client.write_all(bytes).unwrap();
        clients.push(client);
    }
    let mut headers = connect();
    let _ = headers.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n");
    let _ = headers.write_all("X-Long: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n".repeat(5000).as_bytes());
    let mut answer = [0; 12];
    // The answer may be lost to the reset that follows; a 200 it is not.
    let read = headers.read(&mut answer).unwrap_or(0);
    assert!(!answer[..read].starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));

    let goal = runs(&before) + 150.0;
    let after = exporter.wait_until("probing goes on, and pages are answered", |page| runs(page) >= goal);
    after.metric("probe_runs_total").label("result", "failure").target("t0").value(0.0);
    assert!(after.metric("probe_up").all().iter().all(|sample| sample.value == 1.0));
    after.metric("uptime_exporter_panics_total").value(0.0);
    for client in &mut clients {
        // The patient ones at least were not all thrown out.
        let _ = client.write_all(b"x");
    }
}

#[test]
fn targets_that_hang_delay_nobody() {
    let good = http().start();
    let hole = peer::tcp::black_hole();
    let silent = http().no_head(End::Stay).start();
    let mut config = "global: {interval: 3s, timeout: 3s, confirm: {failures: 1, retry_interval: 1s}}
modules: {http: {prober: http, http: {preferred_ip_protocol: ip4}}}
targets:
"
    .to_owned();
    for n in 0..150 {
        let _ = writeln!(config, "  - {{name: hole{n}, target: \"http://{}/{n}\", module: http}}", hole.address);
        let _ = writeln!(config, "  - {{name: silent{n}, target: \"{}/{n}\", module: http}}", silent.url());
    }
    let _ = writeln!(config, "  - {{name: good, target: \"{}\", module: http}}", good.url());
    let exporter = Exporter::start(&config);
    let page = exporter.wait_until("all who hang are down", |page| {
        page.metric("probe_up").all().iter().filter(|sample| sample.value == 0.0).count() == 300
    });
    let so_far = runs(&page);
    let page = exporter.wait_until("the good one goes on", |page| runs(page) >= so_far + 2.0);
    page.metric("probe_up").target("good").value(1.0);
    page.metric("probe_runs_total").target("good").label("result", "failure").value(0.0);
}
