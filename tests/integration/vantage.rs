//! "It is us": while no anchor answers, a failing run is inconclusive.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::exporter::Exporter;
use crate::support::peer::dns::{Zone, dns};
use crate::support::peer::http::HttpPeer;
use crate::support::peer::{http, tcp};
use crate::support::scrape::Page;

#[test]
fn while_no_anchor_answers_a_target_does_not_go_down() {
    // An anchor that can be taken away and put back; it never accepts, which a connection does not need.
    let port = tcp::port();
    let address = port.address;
    let anchor = port.listen();
    let mut peer = Some(HttpPeer::start(None, |_| http()));
    let url = peer.as_ref().unwrap().url();
    let exporter = Exporter::start(&format!(
        "global:
  interval: 1s
  timeout: 1s
  confirm: {{failures: 1}}
  labels: {{region: eu}}
  anchors: [\"{address}\"]
modules:
  http: {{prober: http, http: {{preferred_ip_protocol: ip4}}}}
targets:
  - {{name: shop, target: {url}, module: http}}
"
    ));
    let page = exporter.wait_until("the target is up and the anchor was asked", |page| {
        page.metric("probe_up").all().len() == 1 && page.metric("probe_vantage_ok").all().len() == 1
    });
    page.metric("probe_vantage_ok").label("region", "eu").value(1.0);

    // Both go at once, the anchor first: to us it looks like a cable that was pulled.
    drop(anchor);
    drop(peer.take());
    let page = exporter.wait_until("a run was inconclusive", |page| {
        page.metric("probe_failure_info").target("shop").label("reason", "vantage").all().len() == 1
    });
    page.metric("probe_up").target("shop").value(1.0);
    page.metric("probe_success").target("shop").value(0.0);
    page.metric("probe_vantage_ok").label("region", "eu").value(0.0);
    page.metric("probe_outages_total").target("shop").value(0.0);
    let evidence = exporter.target("shop");
    assert_eq!(evidence["evidence"]["first_failure"], serde_json::Value::Null, "it is no evidence against the target");

    // The anchor is back, the target is not: now it is them.
    let _anchor = port.listen();
    let page = exporter.wait_until("the target is down", |page| page.metric("probe_up").target("shop").read() == 0.0);
    page.metric("probe_failure_info").target("shop").label("reason", "connect_refused").value(1.0);
    page.metric("probe_vantage_ok").label("region", "eu").value(1.0);
    page.metric("probe_outages_total").target("shop").value(1.0);
    let unknown = page.metric("probe_unknown_seconds_total").target("shop").read();
    assert!(unknown > 0.0, "the time without a view is unknown");
}

#[test]
fn in_a_maintenance_window_the_seconds_are_maintenance() {
    let peer = HttpPeer::start(None, |_| http().status(503));
    let exporter = Exporter::start(&format!(
        "global: {{interval: 1s, timeout: 1s, confirm: {{failures: 1}}}}
modules:
  http: {{prober: http, http: {{preferred_ip_protocol: ip4}}}}
targets:
  - {{name: shop, target: \"{url}\", module: http, labels: {{team: web}}}}
  - {{name: other, target: \"{url}\", module: http}}
maintenance:
  - labels: {{team: web}}
    weekly: {{start: \"00:00\", end: \"24:00\"}}
",
        url = peer.url()
    ));
    let page = exporter.wait_until("seconds have been counted", |page| {
        let metric = page.metric("probe_maintenance_seconds_total");
        metric.all().len() == 2 && metric.target("shop").read() > 0.0
    });
    page.metric("probe_maintenance").target("shop").value(1.0);
    assert_eq!(page.metric("probe_maintenance").all().len(), 1, "a target without windows says nothing");
    page.metric("probe_down_seconds_total").target("shop").value(0.0);
    page.metric("probe_maintenance_seconds_total").target("other").value(0.0);
    let page =
        exporter.wait_until("both are down", |page| page.metric("probe_outages_total").target("other").read() == 1.0);
    page.metric("probe_up").target("shop").value(0.0);
    page.metric("probe_outages_total").target("shop").value(0.0);
}

#[test]
fn while_unrelated_domains_do_not_resolve_no_target_goes_down() {
    let names = ["shop.example.com", "www.example.org", "mail.example.net"];
    let whole = || names.iter().fold(dns(), |zone, name| zone.address(name, "127.0.0.1"));
    let refused = names.iter().fold(dns(), |zone, name| zone.servfail(name));
    let one_broken = whole().servfail(names[0]);
    let place = Arc::new(AtomicUsize::new(0));
    let server = Zone::start_one_of(vec![whole(), refused, one_broken], Arc::clone(&place));
    let peer = tcp::port();
    let port = peer.address.port();
    let _listener = peer.listen();
    let mut config = format!(
        "global:
  interval: 1s
  timeout: 1s
  confirm: {{failures: 1}}
  diagnose: false
  labels: {{region: eu}}
  dns_servers: [\"{}\"]
modules: {{connect: {{prober: tcp, tcp: {{preferred_ip_protocol: ip4}}}}}}
targets:
",
        server.address()
    );
    for name in names {
        config += &format!("- {{name: {name}, target: \"{name}:{port}\", module: connect}}\n");
    }
    let exporter = Exporter::start(&config);
    let up = |page: &Page| names.iter().filter(|name| page.metric("probe_up").target(name).is(1.0)).count();
    let reasons = |page: &Page, reason: &str| page.metric("probe_failure_info").label("reason", reason).all().len();
    let server = server.address().to_string();
    let resolver = |page: &Page| page.metric("probe_resolver_ok").label("region", "eu").label("server", &server).read();
    let page = exporter.wait_until("all are up", |page| up(page) == 3);
    assert!(resolver(&page) > 0.0);

    place.store(1, Ordering::Relaxed);
    let page = exporter.wait_until("all runs are inconclusive", |page| reasons(page, "resolver") == 3);
    assert_eq!((up(&page), resolver(&page)), (3, 0.0));
    for name in names {
        page.metric("probe_outages_total").target(name).value(0.0);
    }

    place.store(2, Ordering::Relaxed);
    let page = exporter.wait_until("the broken zone is down by itself", |page| up(page) == 2);
    page.metric("probe_failure_info").target(names[0]).label("reason", "dns_servfail").value(1.0);
    let page = exporter.wait_until("the resolver works", |page| resolver(page) > 0.0);
    page.metric("probe_outages_total").target(names[0]).value(1.0);
    page.metric("probe_outages_total").target(names[1]).value(0.0);
    assert!(page.metric("probe_unknown_seconds_total").target(names[1]).read() > 0.0);
}
