#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)]

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::RecordType;

use super::*;
use crate::probe::testing::{DnsReply, closed_port, dns_server};

const V4: IpPreference = IpPreference { preferred: IpFamily::V4, fallback: true };
const V6: IpPreference = IpPreference { preferred: IpFamily::V6, fallback: true };
const ONLY_V4: IpPreference = IpPreference { preferred: IpFamily::V4, fallback: false };
const ONLY_V6: IpPreference = IpPreference { preferred: IpFamily::V6, fallback: false };

fn addresses(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// A resolver that knows nothing but these servers.
fn asking(servers: &[SocketAddr]) -> Resolver {
    let files = Files { resolv_conf: "/nonexistent".into(), hosts: "/nonexistent".into(), ..Files::default() };
    Resolver::new(DnsServers::Servers(servers.to_vec()), files)
}

async fn answering(reply: DnsReply) -> Resolver {
    asking(&[dns_server(move |_, _| reply.clone()).await])
}

async fn failure(resolver: &Resolver, ip: IpPreference) -> Failure {
    let error = resolver.resolve("shop.test", ip).await.unwrap_err();
    assert_eq!(error.resolution.chosen, None);
    assert!(error.failure.sentence.contains("shop.test"), "{:?}", error.failure);
    error.failure
}

#[tokio::test]
async fn the_preferred_family_is_chosen_and_all_addresses_are_evidence() {
    let all = addresses(&["192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2"]);
    let resolver = answering(DnsReply::Addresses(all.clone())).await;
    let v4 = resolver.resolve("shop.test", V4).await.unwrap();
    assert_eq!(v4.chosen, Some(all[0]));
    assert_eq!(*v4.addresses, all[..]);
    assert!(v4.elapsed > Duration::ZERO);
    let v6 = resolver.resolve("shop.test", V6).await.unwrap();
    assert_eq!(v6.chosen, Some(all[2]));
    assert_eq!(v6.addresses.len(), 4);
    let only = resolver.resolve("shop.test", ONLY_V6).await.unwrap();
    assert_eq!(*only.addresses, all[2..], "the other family is not asked for");
}

#[tokio::test]
async fn fallback_takes_the_first_address_of_the_other_family() {
    let resolver = answering(DnsReply::Addresses(addresses(&["192.0.2.1", "192.0.2.2"]))).await;
    let found = resolver.resolve("shop.test", V6).await.unwrap();
    assert_eq!(found.chosen, Some("192.0.2.1".parse().unwrap()));
    let resolver = answering(DnsReply::Addresses(addresses(&["2001:db8::1"]))).await;
    assert_eq!(resolver.resolve("shop.test", V4).await.unwrap().chosen, Some("2001:db8::1".parse().unwrap()));
}

#[tokio::test]
async fn without_an_address_of_the_wanted_family_the_reason_is_no_address() {
    let resolver = answering(DnsReply::Addresses(addresses(&["192.0.2.1"]))).await;
    let failed = failure(&resolver, ONLY_V6).await;
    assert_eq!(failed.reason, Reason::DnsNoAddress);
    assert!(failed.sentence.contains("no IPv6 address"), "{failed:?}");
    let resolver = answering(DnsReply::Addresses(Vec::new())).await;
    assert_eq!(failure(&resolver, V4).await.reason, Reason::DnsNoAddress);
    assert_eq!(failure(&resolver, ONLY_V4).await.reason, Reason::DnsNoAddress);
}

#[tokio::test]
async fn what_the_server_answers_decides_the_reason() {
    for (reply, reason, words) in [
        (DnsReply::Code(ResponseCode::NXDomain), Reason::DnsNxdomain, "does not exist"),
        (DnsReply::Code(ResponseCode::ServFail), Reason::DnsServfail, "SERVFAIL"),
        (DnsReply::Code(ResponseCode::Refused), Reason::DnsRefused, "refused to look shop.test up (REFUSED)"),
        (DnsReply::Code(ResponseCode::NotAuth), Reason::DnsRefused, "NOTAUTH"),
        (DnsReply::Code(ResponseCode::NotZone), Reason::DnsServfail, "NOTZONE"),
        (DnsReply::Code(ResponseCode::YXDomain), Reason::DnsServfail, "YXDOMAIN"),
        (DnsReply::Code(ResponseCode::FormErr), Reason::DnsServfail, "FORMERR"),
        (DnsReply::Code(ResponseCode::NotImp), Reason::DnsServfail, "NOTIMP"),
        (DnsReply::Garbage, Reason::DnsServfail, "cannot be read"),
        (DnsReply::Referral, Reason::DnsServfail, "refers to other servers"),
    ] {
        let server = dns_server(move |_, _| reply.clone()).await;
        for ip in [V4, V6, ONLY_V4] {
            let failed = failure(&asking(&[server]), ip).await;
            assert_eq!(failed.reason, reason, "{failed:?}");
            assert!(failed.sentence.contains(words), "{failed:?}");
            assert!(failed.sentence.contains(&server.to_string()), "{failed:?}");
        }
    }
}

#[tokio::test]
async fn a_silent_server_leaves_it_to_the_deadline_of_the_run() {
    let server = dns_server(|_, _| DnsReply::Silence).await;
    let resolver = asking(&[server]);
    let result = tokio::time::timeout(Duration::from_millis(50), resolver.resolve("shop.test", V4)).await;
    assert!(result.is_err());
    let failed = resolver.silence("shop.test");
    assert_eq!(failed.reason, Reason::DnsTimeout);
    assert_eq!(&*failed.sentence, format!("no answer about shop.test from name server {server}"));
}

#[tokio::test]
async fn a_name_server_that_is_not_running_is_told_from_a_silent_one() {
    let failed = failure(&asking(&[closed_port().await]), V4).await;
    assert_eq!(failed.reason, Reason::DnsServfail);
    assert!(failed.sentence.contains("cannot be reached: connection refused"), "{failed:?}");
}

#[tokio::test]
async fn the_next_server_is_asked_when_one_fails_or_is_silent() {
    let good = dns_server(|_, _| DnsReply::Addresses(addresses(&["192.0.2.1"]))).await;
    let servfail = dns_server(|_, _| DnsReply::Code(ResponseCode::ServFail)).await;
    let silent = dns_server(|_, _| DnsReply::Silence).await;
    for servers in [[servfail, good], [closed_port().await, good], [silent, good]] {
        let found = asking(&servers).resolve("shop.test", ONLY_V4).await.unwrap();
        assert_eq!(found.chosen, Some("192.0.2.1".parse().unwrap()));
    }
    let failed = failure(&asking(&[closed_port().await, servfail]), V4).await;
    assert!(failed.sentence.contains("SERVFAIL"), "the answer says more than the refusal: {failed:?}");
}

#[tokio::test]
async fn nxdomain_of_the_first_server_is_believed() {
    let good = dns_server(|_, _| DnsReply::Addresses(addresses(&["192.0.2.1"]))).await;
    let nxdomain = dns_server(|_, _| DnsReply::Code(ResponseCode::NXDomain)).await;
    assert_eq!(failure(&asking(&[nxdomain, good]), V4).await.reason, Reason::DnsNxdomain);
}

#[tokio::test]
async fn a_truncated_answer_is_asked_for_again_by_tcp() {
    let many: Vec<IpAddr> = (0..200_u8).map(|last| IpAddr::from([192, 0, 2, last])).collect();
    let resolver = answering(DnsReply::Truncated(many.clone())).await;
    let found = resolver.resolve("shop.test", ONLY_V4).await.unwrap();
    assert_eq!(*found.addresses, many[..]);
}

#[tokio::test]
async fn a_lost_query_is_asked_again() {
    let asked = AtomicUsize::new(0);
    let server = dns_server(move |_, _| match asked.fetch_add(1, Ordering::SeqCst) {
        0 => DnsReply::Silence,
        _ => DnsReply::Addresses(addresses(&["192.0.2.1"])),
    });
    let found = asking(&[server.await]).resolve("shop.test", ONLY_V4).await.unwrap();
    assert_eq!(found.chosen, Some("192.0.2.1".parse().unwrap()));
}

#[tokio::test]
async fn a_server_that_is_silent_about_aaaa_harms_neither_preference() {
    let half = |_: &str, record_type| match record_type {
        RecordType::A => DnsReply::Addresses(addresses(&["192.0.2.1"])),
        _ => DnsReply::Silence,
    };
    let resolver = asking(&[dns_server(half).await]);
    for ip in [V4, V6] {
        let found = resolver.resolve("shop.test", ip).await.unwrap();
        assert_eq!(found.chosen, Some("192.0.2.1".parse().unwrap()));
    }
}

#[tokio::test]
async fn a_family_that_fails_does_not_hide_the_other() {
    for code in [ResponseCode::ServFail, ResponseCode::NXDomain] {
        let half = move |_: &str, record_type| match record_type {
            RecordType::A => DnsReply::Addresses(addresses(&["192.0.2.1"])),
            _ => DnsReply::Code(code),
        };
        let found = asking(&[dns_server(half).await]).resolve("shop.test", V6).await.unwrap();
        assert_eq!(found.chosen, Some("192.0.2.1".parse().unwrap()));
        let half = move |_: &str, record_type| match record_type {
            RecordType::A => DnsReply::Addresses(Vec::new()),
            _ => DnsReply::Code(ResponseCode::ServFail),
        };
        assert_eq!(failure(&asking(&[dns_server(half).await]), V4).await.reason, Reason::DnsServfail);
    }
}

#[tokio::test]
async fn literals_and_localhost_are_not_looked_up() {
    let resolver = asking(&[closed_port().await]);
    for literal in ["192.0.2.1", "2001:db8::1", "[2001:db8::1]"] {
        let found = resolver.resolve(literal, V6).await.unwrap();
        assert_eq!(found.elapsed, Duration::ZERO);
        assert_eq!(found.addresses.len(), 1);
    }
    let error = resolver.resolve("192.0.2.1", ONLY_V6).await.unwrap_err();
    assert_eq!(error.failure.reason, Reason::DnsNoAddress);
    assert_eq!(error.resolution.addresses.len(), 1, "the unwanted one is evidence");
    let mapped = resolver.resolve("[::ffff:192.0.2.1]", V6).await.unwrap();
    assert_eq!(mapped.chosen, Some("192.0.2.1".parse().unwrap()), "an IPv4 address, however it is written");
    assert!(resolver.resolve("::ffff:192.0.2.1", ONLY_V6).await.is_err());
    for name in ["localhost", "LOCALHOST.", "api.localhost"] {
        assert_eq!(resolver.resolve(name, V4).await.unwrap().chosen, Some("127.0.0.1".parse().unwrap()));
        assert_eq!(resolver.resolve(name, ONLY_V6).await.unwrap().chosen, Some("::1".parse().unwrap()));
    }
}

#[tokio::test]
async fn names_that_cannot_be_do_not_exist() {
    let resolver = asking(&[closed_port().await]);
    for name in ["a..b", &"x".repeat(64), "\u{0}"] {
        let error = resolver.resolve(name, V4).await.unwrap_err();
        assert!(matches!(error.failure.reason, Reason::DnsNxdomain | Reason::DnsServfail), "{error:?}");
    }
}

#[tokio::test]
async fn the_hosts_file_comes_first_and_is_read_again_when_it_changes() {
    let folder = tempfile::tempdir().unwrap();
    let hosts = folder.path().join("hosts");
    std::fs::write(&hosts, "192.0.2.9 shop.test\n").unwrap();
    let files = Files { resolv_conf: "/nonexistent".into(), hosts: hosts.clone(), ..Files::default() };
    let resolver = Resolver::new(DnsServers::Servers(vec![closed_port().await]), files);
    let first = resolver.resolve("shop.test", V4).await.unwrap();
    assert_eq!(first.chosen, Some("192.0.2.9".parse().unwrap()));
    std::fs::write(&hosts, "192.0.2.10 shop.test other.test\n").unwrap();
    tokio::time::pause();
    tokio::time::advance(FRESHNESS).await;
    let second = resolver.resolve("shop.test", V4).await.unwrap();
    assert_eq!(second.chosen, Some("192.0.2.10".parse().unwrap()));
}

#[tokio::test]
async fn an_exporter_that_is_out_of_files_keeps_the_names_that_it_knows() {
    thread_local!(static EXHAUSTED: std::cell::Cell<bool> = const { std::cell::Cell::new(false) });
    const EMFILE: i32 = 24;
    let folder = tempfile::tempdir().unwrap();
    let hosts = folder.path().join("hosts");
    std::fs::write(&hosts, "192.0.2.9 shop.test\n").unwrap();
    let files = || Files {
        resolv_conf: "/nonexistent".into(),
        hosts: hosts.clone(),
        content: |path| {
            if EXHAUSTED.get() { Err(std::io::Error::from_raw_os_error(EMFILE)) } else { std::fs::read(path) }
        },
    };
    let servers = DnsServers::Servers(vec![closed_port().await]);
    let chosen = async |resolver: &Resolver| {
        let answer = resolver.resolve("shop.test", V4).await;
        answer.map(|found| found.chosen.unwrap().to_string()).map_err(|error| error.failure.reason)
    };
    let resolver = Resolver::new(servers.clone(), files());
    tokio::time::pause();

    EXHAUSTED.set(true);
    std::fs::write(&hosts, "192.0.2.10 shop.test other.test\n").unwrap();
    tokio::time::advance(FRESHNESS).await;
    assert_eq!(chosen(&resolver).await, Ok("192.0.2.9".to_owned()));
    let new = Resolver::new(servers, files());
    assert_eq!(chosen(&new).await, Err(Reason::Internal));
    assert_eq!(new.silence("shop.test").reason, Reason::Internal);

    EXHAUSTED.set(false);
    tokio::time::advance(FRESHNESS).await;
    assert_eq!(chosen(&resolver).await, Ok("192.0.2.10".to_owned()));
    assert_eq!(chosen(&new).await, Ok("192.0.2.10".to_owned()));
}

#[tokio::test]
async fn the_name_as_it_stands_outweighs_the_search_list() {
    // resolv.conf has no ports, so the list is put in by hand.
    let folder = tempfile::tempdir().unwrap();
    let resolv_conf = folder.path().join("resolv.conf");
    std::fs::write(&resolv_conf, "nameserver 127.0.0.1\nsearch broken.test\n").unwrap();
    let files = Files { resolv_conf, hosts: "/nonexistent".into(), ..Files::default() };
    let server = dns_server(|name, _| match name {
        "db.broken.test." | "db.x.broken.test." => DnsReply::Code(ResponseCode::ServFail),
        "found.broken.test." => DnsReply::Addresses(addresses(&["192.0.2.1"])),
        _ => DnsReply::Code(ResponseCode::NXDomain),
    });
    let mut names = files.read(&DnsServers::System).unwrap();
    names.stub = stub::Stub::new(vec![server.await]);
    let reason = async |host: &str| {
        lookup(&names, host, V4).await.map(|found| found.addresses).map_err(|(failure, _)| failure.reason)
    };
    assert_eq!(reason("db.x").await, Err(Reason::DnsNxdomain), "asked as it stands first");
    assert_eq!(reason("db").await, Err(Reason::DnsServfail), "it might exist in the search list's domain");
    assert_eq!(reason("found").await, Ok(addresses(&["192.0.2.1"])));
}

#[test]
fn address_hashes_are_the_incumbents() {
    for (address, hash) in [("127.0.0.1", 3_668_918_509), ("::1", 1_751_717_746), ("192.0.2.1", 1_969_986_452)] {
        assert_eq!(ip_addr_hash(address.parse().unwrap()), hash, "{address}");
    }
}

#[test]
fn equal_servers_share_a_resolver() {
    let resolvers = Resolvers::default();
    let servers = DnsServers::Servers(vec!["192.0.2.53:53".parse().unwrap()]);
    let first = resolvers.resolver(&servers).unwrap();
    assert!(Arc::ptr_eq(&first, &resolvers.resolver(&servers).unwrap()));
    assert!(!Arc::ptr_eq(&first, &resolvers.resolver(&DnsServers::System).unwrap()));
}

#[tokio::test]
async fn aliases_name_servers_and_the_server_that_answered_are_evidence() {
    let server = dns_server(|_, _| {
        DnsReply::Aliases(
            vec!["Shop.CDN.test.", "edge7.cdn.test."],
            addresses(&["192.0.2.1"]),
            vec![("cdn.test.", "NS2.dns.test."), ("cdn.test.", "ns1.dns.test."), ("other.test.", "ns9.dns.test.")],
        )
    })
    .await;
    let lookup = asking(&[server]).resolve("shop.test", V4).await.unwrap().lookup.unwrap();
    assert_eq!(lookup.server, Some(server));
    assert_eq!(lookup.aliases.iter().map(|name| &**name).collect::<Vec<_>>(), ["shop.cdn.test", "edge7.cdn.test"]);
    assert_eq!(lookup.name_servers.iter().map(|name| &**name).collect::<Vec<_>>(), ["ns1.dns.test", "ns2.dns.test"]);
}

#[tokio::test]
async fn aliases_in_a_circle_come_to_an_end() {
    let circle = vec!["b.test.", "shop.test.", "b.test."];
    let resolver = answering(DnsReply::Aliases(circle, addresses(&["192.0.2.1"]), Vec::new())).await;
    let lookup = resolver.resolve("shop.test", V4).await.unwrap().lookup.unwrap();
    assert_eq!(lookup.aliases.iter().map(|name| &**name).collect::<Vec<_>>(), ["b.test"]);
}

#[tokio::test]
async fn a_failure_names_the_server_that_decided_it() {
    let servers = [
        dns_server(|_, _| DnsReply::Code(ResponseCode::NXDomain)).await,
        dns_server(|_, _| DnsReply::Code(ResponseCode::ServFail)).await,
    ];
    for server in servers {
        let error = asking(&[server]).resolve("shop.test", V4).await.unwrap_err();
        assert_eq!(error.resolution.lookup.unwrap().server, Some(server));
    }
    let literal = asking(&[]).resolve("192.0.2.1", V4).await.unwrap();
    assert_eq!(literal.lookup, None, "nobody was asked");
}
