//! Every reason of the vocabulary that the probers can give, through the running binary: a peer that misbehaves so,
//! and the one reason that it makes. What no prober gives yet is listed, so that nothing is forgotten.

use std::collections::{BTreeMap, BTreeSet};

use rcgen::SerialNumber;
use serde_json::{Value, json};
use uptime_exporter::observation::Reason;

use crate::support::exporter::Setup;
use crate::support::peer::{self, End, dns, http, tcp};
use crate::support::pki::{self, Authority};

/// Reasons that other tests show: those of the other probers, `vantage` and `resolver`.
const ELSEWHERE: &[Reason] = &[
    Reason::DnsRcode,
    Reason::DnsAnswerMismatch,
    Reason::IcmpTimeout,
    Reason::IcmpUnreachable,
    Reason::GrpcStatus,
    Reason::GrpcNotServing,
    Reason::TargetForbidden,
    Reason::Vantage,
    Reason::Resolver,
];

/// Targets, with what each has to say, and the peers that they need.
#[derive(Default)]
struct Cases {
    targets: Vec<Value>,
    expected: BTreeMap<String, Reason>,
    peers: Vec<Box<dyn std::any::Any>>,
}

impl Cases {
    /// Keeps a peer for as long as the test runs.
    fn keep(&mut self, peer: impl std::any::Any) {
        self.peers.push(Box::new(peer));
    }

    fn http(&mut self, reason: Reason, note: &str, url: &str, block: Value) {
        self.target(reason, "http", note, url, block);
    }

    fn tcp(&mut self, reason: Reason, note: &str, address: impl ToString, block: Value) {
        self.target(reason, "tcp", note, &address.to_string(), block);
    }

    fn target(&mut self, reason: Reason, module: &str, note: &str, target: &str, mut block: Value) {
        let name = format!("{module} {} {note}", reason.as_label());
        let mut entry = json!({"name": name, "target": target, "module": module});
        // Ours is a key of the target, not of the module's block.
        if let Some(servers) = block.as_object_mut().and_then(|block| block.remove("dns_servers")) {
            entry["dns_servers"] = servers;
        }
        entry[module] = block;
        self.targets.push(entry);
        assert!(self.expected.insert(name.clone(), reason).is_none(), "{name} twice");
    }
}

fn names_and_connections(cases: &mut Cases) {
    let zone =
        dns().no_data("nodata.test").servfail("servfail.test").refused("refused.test").silent("silent.test").start();
    let zone_v4 = dns().address("v4.test", "127.0.0.1").start();
    let with = |server: &dns::Dns| json!({"dns_servers": [server.address().to_string()]});
    for (reason, name) in [
        (Reason::DnsNxdomain, "nowhere.test"),
        (Reason::DnsServfail, "servfail.test"),
        (Reason::DnsRefused, "refused.test"),
        (Reason::DnsTimeout, "silent.test"),
        (Reason::DnsNoAddress, "nodata.test"),
    ] {
        cases.http(reason, "", &format!("http://{name}/"), with(&zone));
        cases.tcp(reason, "", format!("{name}:80"), with(&zone));
    }
    let mut only_v6 = with(&zone_v4);
    only_v6["preferred_ip_protocol"] = json!("ip6");
    only_v6["ip_protocol_fallback"] = json!(false);
    cases.http(Reason::DnsNoAddress, "of that family", "http://v4.test/", only_v6.clone());
    cases.tcp(Reason::DnsNoAddress, "of that family", "v4.test:80", only_v6);
    cases.keep((zone, zone_v4));

    let refusing = tcp::refusing();
    cases.http(Reason::ConnectRefused, "", &format!("http://{}/", refusing.address), json!({}));
    cases.http(Reason::ConnectRefused, "https", &format!("https://{}/", refusing.address), json!({}));
    cases.tcp(Reason::ConnectRefused, "", refusing.address, json!({}));
    cases.keep(refusing);

    let hole = tcp::black_hole();
    cases.http(Reason::ConnectTimeout, "", &format!("http://{}/", hole.address), json!({}));
    cases.http(Reason::ConnectTimeout, "https", &format!("https://{}/", hole.address), json!({}));
    cases.tcp(Reason::ConnectTimeout, "", hole.address, json!({}));
    cases.keep(hole);

    // The kernel refuses this one itself: nothing is sent.
    cases.http(Reason::ConnectUnreachable, "", "http://255.255.255.255/", json!({}));
    cases.tcp(Reason::ConnectUnreachable, "", "255.255.255.255:80", json!({}));

    let resets = http().no_head(End::Reset).start();
    cases.http(Reason::ConnectReset, "", &resets.url(), json!({}));
    let resets_half = http().half_a_head(End::Reset).start();
    cases.http(Reason::ConnectReset, "in the head", &resets_half.url(), json!({}));
    let resets_tcp = tcp().then(End::Reset).start();
    cases.tcp(Reason::ConnectReset, "", resets_tcp.address, expecting("^220 "));
    cases.keep((resets, resets_half, resets_tcp));

    // An address that is not this host's cannot be the source: the exporter's trouble, not the target's.
    let listens = tcp().start();
    cases.tcp(Reason::Internal, "", listens.address, json!({"source_ip_address": "192.0.2.1"}));
    cases.keep(listens);
}

fn expecting(pattern: &str) -> Value {
    json!({"query_response": [{"expect": pattern}]})
}

fn certificates(cases: &mut Cases) -> Vec<(&'static str, String)> {
    let authority = Authority::new("Test Root");
    let trusting = || json!({"tls_config": {"ca_file": "ca.pem"}});
    let https = |config| http().start_tls(config);

    let expired = authority.server_with(&["127.0.0.1"], |params| params.not_after = rcgen::date_time_ymd(2021, 1, 1));
    let future = authority.server_with(&["127.0.0.1"], |params| params.not_before = rcgen::date_time_ymd(2079, 1, 1));
    let other = authority.server_with(&["other.test"], |_| {});
    let stranger = Authority::new("Stranger").server();
    for (reason, note, config) in [
        (Reason::TlsExpired, "", expired),
        (Reason::TlsNotYetValid, "", future),
        (Reason::TlsNameMismatch, "", other),
        (Reason::TlsUntrusted, "authority", stranger),
        (Reason::TlsUntrusted, "self-signed", pki::self_signed()),
    ] {
        let by_http = https(config.clone());
        cases.http(reason, note, &by_http.url(), trusting());
        let by_tcp = tcp().over_tls(config.clone()).start();
        cases.tcp(reason, note, by_tcp.address, tls(trusting()));
        let by_starttls =
            tcp().greets("220 hi\r\n").answers("STARTTLS", "220 go\r\n").starttls("STARTTLS", config).start();
        let mut block = trusting();
        block["query_response"] =
            json!([{"expect": "^220 ", "send": "STARTTLS\r"}, {"expect": "^220 ", "starttls": true}]);
        cases.tcp(reason, &format!("starttls {note}"), by_starttls.address, block);
        cases.keep((by_http, by_tcp, by_starttls));
    }

    let serial = |number: u64| {
        move |params: &mut rcgen::CertificateParams| {
            params.serial_number = Some(SerialNumber::from(number));
        }
    };
    let revoked = authority.server_with(&["127.0.0.1"], serial(4711));
    let block = json!({"tls_config": {"ca_file": "ca.pem", "crl_file": "crl.pem"}});
    let by_http = https(revoked.clone());
    cases.http(Reason::TlsRevoked, "", &by_http.url(), block.clone());
    let by_tcp = tcp().over_tls(revoked).start();
    cases.tcp(Reason::TlsRevoked, "", by_tcp.address, tls(block));
    cases.keep((by_http, by_tcp));

    let plain = tcp().greets("220 I speak no TLS\r\n").start();
    cases.http(Reason::TlsHandshake, "", &format!("https://{}/", plain.address), json!({}));
    cases.tcp(Reason::TlsHandshake, "", plain.address, tls(json!({})));
    let silent = tcp().start();
    cases.http(Reason::TlsTimeout, "", &format!("https://{}/", silent.address), json!({}));
    cases.tcp(Reason::TlsTimeout, "", silent.address, tls(json!({})));
    cases.keep((plain, silent));

    let secure = https(authority.server());
    let mut forbids = trusting();
    forbids["fail_if_ssl"] = json!(true);
    cases.http(Reason::SslForbidden, "", &secure.url(), forbids);
    let plain = http().start();
    cases.http(Reason::SslRequired, "", &plain.url(), json!({"fail_if_not_ssl": true}));
    let down = http().redirect(&plain.url()).start_tls(authority.server());
    let mut requires = trusting();
    requires["fail_if_not_ssl"] = json!(true);
    cases.http(Reason::SslRequired, "after a redirect", &down.url(), requires);
    cases.keep((secure, plain, down));

    vec![("ca.pem", authority.pem()), ("crl.pem", authority.revoke(4711))]
}

fn tls(mut block: Value) -> Value {
    block["tls"] = json!(true);
    block
}

fn answers(cases: &mut Cases) {
    let body = "x".repeat(400);
    for (reason, note, answer) in [
        (Reason::RequestTimeout, "", http().no_head(End::Stay)),
        (Reason::RequestTimeout, "in the head", http().half_a_head(End::Stay)),
        (Reason::ResponseTimeout, "", http().body(&body).half_a_body(End::Stay)),
        (Reason::ResponseTimeout, "chunked", http().body(&body).chunked().half_a_body(End::Stay)),
        (Reason::ResponseTruncated, "", http().body(&body).half_a_body(End::Close)),
        (Reason::ResponseTruncated, "chunked", http().body(&body).chunked().half_a_body(End::Close)),
        (Reason::ResponseTruncated, "in the head", http().half_a_head(End::Close)),
        (Reason::ResponseTruncated, "before the head", http().no_head(End::Close)),
        (Reason::ProtocolError, "", http().raw("SSH-2.0-OpenSSH_9.2\r\n\r\n")),
        (Reason::ProtocolError, "bad chunk", http().raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")),
        (Reason::HttpStatus, "503", http().status(503)),
        (Reason::HttpStatus, "404", http().status(404)),
        (Reason::HttpRedirect, "no end", http().redirect("/again")),
        (Reason::HttpRedirect, "bad address", http().redirect("http://:bad:/")),
    ] {
        let peer = answer.start();
        cases.http(reason, note, &peer.url(), json!({}));
        cases.keep(peer);
    }

    let peer = http().header("X-Cache", "HIT").body(r#"{"status": "bad"}"#).start();
    let url = peer.url();
    for (reason, note, block) in [
        (Reason::HttpStatus, "not the valid one", json!({"valid_status_codes": [204]})),
        (Reason::HttpVersion, "", json!({"valid_http_versions": ["HTTP/2.0"]})),
        (Reason::HeaderMismatch, "", json!({"fail_if_header_matches": [{"header": "X-Cache", "regexp": "HIT"}]})),
        (
            Reason::HeaderMismatch,
            "missing",
            json!({"fail_if_header_not_matches": [{"header": "X-None", "regexp": ".*"}]}),
        ),
        (Reason::BodyMismatch, "matches", json!({"fail_if_body_matches_regexp": ["bad"]})),
        (Reason::BodyMismatch, "does not match", json!({"fail_if_body_not_matches_regexp": ["good"]})),
        (Reason::BodyMismatch, "cel", json!({"fail_if_body_json_not_matches_cel": "body.status == 'good'"})),
        (Reason::BodyTooLarge, "", json!({"body_size_limit": "10B"})),
    ] {
        cases.http(reason, note, &url, block);
    }
    cases.keep(peer);

    let refusing = tcp::refusing();
    let denies = peer::proxy::http_proxy(refusing.address, Some("407 Proxy Authentication Required"));
    let via = |scheme: &str, address: std::net::SocketAddr| json!({"proxy_url": format!("{scheme}://{address}")});
    cases.http(Reason::ProxyError, "denied", "https://elsewhere.test/", via("http", denies.address()));
    cases.http(Reason::ProxyError, "refused", "http://elsewhere.test/", via("http", refusing.address));
    cases.http(Reason::ProxyError, "socks", "http://elsewhere.test/", via("socks5", refusing.address));
    cases.keep((refusing, denies));

    let greets = tcp().greets("554 go away\r\n").then(End::Close).start();
    cases.tcp(Reason::ExpectMismatch, "", greets.address, expecting("^220 "));
    cases.tcp(Reason::ExpectMismatch, "bytes", greets.address, json!({"query_response": [{"expect_bytes": "220"}]}));
    let stays = tcp().greets("554 go away\r\n").then(End::Stay).start();
    cases.tcp(Reason::ExpectMismatch, "open", stays.address, expecting("^220 "));
    cases.keep((greets, stays));
}

#[test]
fn each_failure_has_its_one_reason_and_is_confirmed() {
    let mut cases = Cases::default();
    names_and_connections(&mut cases);
    let files = certificates(&mut cases);
    answers(&mut cases);

    let given: BTreeSet<Reason> = cases.expected.values().copied().collect();
    let rest: BTreeSet<Reason> = Reason::ALL.iter().copied().filter(|reason| !given.contains(reason)).collect();
    assert_eq!(rest, ELSEWHERE.iter().copied().collect(), "reasons that no target here shows");

    let mut targets = cases.targets.clone();
    let good = http().start();
    targets.push(json!({"name": "good", "target": good.url(), "module": "http"}));
    let config = json!({
        "global": {"interval": "6s", "timeout": "3s", "confirm": {"failures": 2, "retry_interval": "200ms"}},
        "modules": {
            "http": {"prober": "http", "http": {"preferred_ip_protocol": "ip4"}},
            "tcp": {"prober": "tcp", "tcp": {"preferred_ip_protocol": "ip4"}},
        },
        "targets": targets,
    });
    let mut setup = Setup::new(&serde_json::to_string_pretty(&config).unwrap());
    for (name, content) in &files {
        setup = setup.file(name, content);
    }
    let exporter = setup.start();

    let page = crate::support::poll("every target shows its reason and is down", || {
        let page = exporter.scrape();
        let mut wrong = String::new();
        for (name, reason) in &cases.expected {
            let seen: Vec<&str> = reasons(&page, name);
            // What is the exporter's own trouble is never the target's.
            let verdict = if *reason == Reason::Internal { None } else { Some(0.0) };
            if seen != [reason.as_label()] || page.metric("probe_up").target(name).get() != verdict {
                let up = page.metric("probe_up").target(name).get();
                wrong.push_str(&format!("{name:?}: {seen:?}, probe_up {up:?}\n"));
            }
        }
        if wrong.is_empty() { Ok(page) } else { Err(wrong) }
    });
    for (name, reason) in &cases.expected {
        page.metric("probe_success").target(name).value(0.0);
        let failures = page.metric("probe_runs_total").target(name).label("result", "failure").read();
        assert!(failures >= 1.0, "{name}: {failures}");
        let by_reason = page.metric("probe_failures_total").target(name).label("reason", reason.as_label());
        assert!(by_reason.read() >= 1.0, "{name}");
        if *reason == Reason::Internal {
            page.metric("probe_outages_total").target(name).value(0.0);
            page.metric("probe_outage_start_timestamp_seconds").target(name).absent();
        } else {
            page.metric("probe_outages_total").target(name).value(1.0);
            assert!(page.metric("probe_outage_start_timestamp_seconds").target(name).read() > 1e9);
        }
    }
    page.metric("probe_up").target("good").value(1.0);
    page.metric("probe_success").target("good").value(1.0);
    page.metric("probe_failure_info").target("good").absent();
    page.metric("probe_failures_total").target("good").absent();
    page.metric("uptime_exporter_panics_total").value(0.0);

    a_certificate_is_shown_also_when_it_is_refused(&page);
    what_was_not_reached_has_no_sample(&page);
}

fn reasons<'a>(page: &'a crate::support::scrape::Page, target: &str) -> Vec<&'a str> {
    let samples = page.metric("probe_failure_info").target(target).all();
    samples.iter().filter(|sample| sample.value == 1.0).map(|sample| sample.labels["reason"].as_str()).collect()
}

/// Upstream #1119.
fn a_certificate_is_shown_also_when_it_is_refused(page: &crate::support::scrape::Page) {
    for prober in ["http", "tcp"] {
        let expired = format!("{prober} tls_expired ");
        page.metric("probe_ssl_earliest_cert_expiry").target(&expired).value(1_609_459_200.0);
        page.metric("probe_ssl_last_chain_expiry_timestamp_seconds").target(&expired).absent();
    }
}

fn what_was_not_reached_has_no_sample(page: &crate::support::scrape::Page) {
    let refused = "http connect_refused ";
    for family in ["status_code", "ssl", "version", "redirects", "content_length"] {
        page.metric(&format!("probe_http_{family}")).target(refused).value(0.0);
    }
    page.metric("probe_ssl_earliest_cert_expiry").target(refused).absent();
    page.metric("probe_http_duration_seconds").target(refused).label("phase", "processing").absent();
    assert!(page.metric("probe_http_duration_seconds").target(refused).label("phase", "connect").read() >= 0.0);
    page.metric("probe_ip_protocol").target(refused).value(4.0);
    page.metric("probe_ip_protocol").target("http dns_nxdomain ").absent();
    page.metric("probe_http_status_code").target("http http_status 503").value(503.0);
}

#[test]
fn proxies_and_names_work_end_to_end() {
    let authority = Authority::new("Test Root");
    let secure = http().start_tls(authority.server_with(&["shop.test"], |_| {}));
    let port = secure.address().port();
    let tunnel = peer::proxy::http_proxy(secure.address(), None);
    let socks = peer::proxy::socks_proxy(secure.address());
    let zone = dns().address("shop.test", "127.0.0.1").start();
    let config = json!({
        "global": {"interval": "2s", "timeout": "2s", "dns_servers": [zone.address().to_string()]},
        "modules": {"http": {"prober": "http", "http": {
            "preferred_ip_protocol": "ip4", "tls_config": {"ca_file": "ca.pem"},
        }}},
        "targets": [
            {"name": "direct", "module": "http", "target": format!("https://shop.test:{port}/")},
            {"name": "tunnel", "module": "http", "target": format!("https://shop.test:{port}/"),
             "http": {"proxy_url": format!("http://{}", tunnel.address())}},
            {"name": "socks", "module": "http", "target": format!("https://shop.test:{port}/"),
             "http": {"proxy_url": format!("socks5://{}", socks.address())}},
        ],
    });
    let exporter = Setup::new(&config.to_string()).file("ca.pem", authority.pem()).start();
    let page = exporter.wait_until("all three are up", |page| {
        ["direct", "tunnel", "socks"].iter().all(|name| page.metric("probe_up").target(name).is(1.0))
    });
    page.metric("probe_ip_protocol").target("direct").value(4.0);
    for by_proxy in ["tunnel", "socks"] {
        page.metric("probe_ip_protocol").target(by_proxy).absent();
        page.metric("probe_http_duration_seconds").target(by_proxy).label("phase", "resolve").absent();
    }
    assert!(tunnel.asked()[0].starts_with(&format!("CONNECT shop.test:{port} ")), "{:?}", tunnel.asked());
    assert_eq!(socks.asked()[0], format!("shop.test:{port}"), "the proxy resolves the name");
}
