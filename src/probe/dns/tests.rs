//! Real servers on every transport, and the text of records.

#![allow(clippy::unwrap_used)]

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::Name;
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UdpSocket;
use tokio_rustls::TlsAcceptor;

use super::message::{Record, Reply};
use super::*;
use crate::config::dns::RecordRules;
use crate::config::{DnsServers, HostPort, IpFamily, IpPreference, Pattern, TlsSettings};
use crate::probe::testing::{self, Authority, closed_port, dns_server, peer};

const AMPLE: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_secs(1);
const A: u16 = 1;
const SOA: u16 = 6;

fn settings(query_type: u16) -> DnsSettings {
    let mut query_name = Name::from_ascii("example.com").unwrap();
    query_name.set_fqdn(true);
    DnsSettings {
        query_name,
        query_type,
        query_class: 1,
        recursion_desired: true,
        transport: DnsTransport::Udp,
        tls: TlsSettings::default(),
        edns_udp_size: None,
        valid_rcodes: vec![0],
        answer: RecordRules::default(),
        authority: RecordRules::default(),
        additional: RecordRules::default(),
        ip: IpPreference { preferred: IpFamily::V4, fallback: true },
        source_address: None,
        dns_servers: DnsServers::System,
        keep_excerpt: true,
    }
}

async fn run(settings: DnsSettings, to: SocketAddr, timeout: Duration) -> Observation {
    let server = DnsServer::Host(HostPort { host: to.ip().to_string(), port: to.port() });
    ask(settings, server, timeout).await
}

async fn ask(settings: DnsSettings, server: DnsServer, timeout: Duration) -> Observation {
    let prober = DnsProber::new(Arc::new(settings), &server, &Arc::new(Shared::default())).unwrap();
    prober.run(Instant::now() + timeout).await
}

fn detail(run: &Observation) -> &DnsDetail {
    let Detail::Dns(detail) = &run.detail else { panic!("{:?}", run.detail) };
    detail
}

fn reason(run: &Observation) -> Option<Reason> {
    run.outcome.failure().map(|failure| failure.reason)
}

fn sentence(run: &Observation) -> &str {
    run.outcome.failure().map_or("", |failure| &failure.sentence)
}

const ADDRESS: [IpAddr; 1] = [IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1))];

#[tokio::test]
async fn an_answer_by_udp_and_by_tcp_is_up_and_its_records_are_judged() {
    let server = dns_server(|_, _| testing::DnsReply::Addresses(ADDRESS.to_vec())).await;
    for transport in [DnsTransport::Udp, DnsTransport::Tcp] {
        let good = run(DnsSettings { transport, ..settings(A) }, server, AMPLE).await;
        assert!(good.outcome.is_up(), "{good:?}");
        let reply = detail(&good).reply.as_ref().unwrap();
        assert_eq!((reply.rcode, reply.answers, reply.serial), (0, 1, None));
        assert_eq!(&*reply.records[0], "example.com.\t60\tIN\tA\t192.0.2.1");
        assert!(detail(&good).request.is_some() && detail(&good).connect.is_some());
        let pattern = |text: &str| vec![Pattern::new(text).unwrap()];
        let answer = RecordRules { fail_if_not_matches: pattern("\tA\t192\\.0\\.2\\.9$"), ..RecordRules::default() };
        let bad = run(DnsSettings { transport, answer, ..settings(A) }, server, AMPLE).await;
        assert_eq!(reason(&bad), Some(Reason::DnsAnswerMismatch));
        assert!(sentence(&bad).starts_with("in the answer section \"example.com."), "{}", sentence(&bad));
    }
}

#[tokio::test]
async fn a_truncated_answer_is_asked_for_again_over_tcp() {
    let server = dns_server(|_, _| testing::DnsReply::Truncated(ADDRESS.to_vec())).await;
    let run = run(settings(A), server, AMPLE).await;
    assert!(run.outcome.is_up(), "{run:?}");
    assert_eq!((detail(&run).truncated, detail(&run).reply.as_ref().unwrap().answers), (Some(true), 1));
}

#[tokio::test]
async fn an_rcode_that_is_not_valid_is_named() {
    let server = dns_server(|_, _| testing::DnsReply::Code(ResponseCode::NXDomain)).await;
    let missing = run(settings(A), server, AMPLE).await;
    assert_eq!((reason(&missing), sentence(&missing)), (Some(Reason::DnsRcode), "the server answered NXDOMAIN"));
    assert_eq!(detail(&missing).reply.as_ref().unwrap().rcode, 3);
    let wanted = run(DnsSettings { valid_rcodes: vec![3], ..settings(A) }, server, AMPLE).await;
    assert!(wanted.outcome.is_up());
}

#[tokio::test]
async fn silence_a_closed_port_and_garbage_are_told_apart() {
    let silent = dns_server(|_, _| testing::DnsReply::Silence).await;
    let run_silent = run(settings(A), silent, SHORT).await;
    assert_eq!(reason(&run_silent), Some(Reason::RequestTimeout), "{run_silent:?}");
    assert!(detail(&run_silent).request.is_some());
    let closed = run(settings(A), closed_port().await, AMPLE).await;
    assert_eq!(reason(&closed), Some(Reason::ConnectRefused), "{closed:?}");
    let garbage = dns_server(|_, _| testing::DnsReply::Garbage).await;
    let garbage = run(settings(A), garbage, AMPLE).await;
    assert_eq!(reason(&garbage), Some(Reason::ProtocolError), "{garbage:?}");
    let chatter = peer(|mut socket| async move {
        let _ = socket.read(&mut [0; 512]).await;
        let _ = socket.write_all(b"\x00\x04nope").await;
    })
    .await;
    let tcp = run(DnsSettings { transport: DnsTransport::Tcp, ..settings(A) }, chatter, AMPLE).await;
    assert_eq!(reason(&tcp), Some(Reason::ProtocolError), "{tcp:?}");
}

#[tokio::test]
async fn one_lost_datagram_and_answers_to_other_questions_are_passed_over() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 512];
        // The first is lost.
        let _ = socket.recv_from(&mut buffer).await;
        let (length, asker) = socket.recv_from(&mut buffer).await.unwrap();
        let mut reply = buffer[..length].to_vec();
        reply[2] |= 0x80;
        let mut other = reply.clone();
        other[0] ^= 0xff;
        socket.send_to(&other, asker).await.unwrap();
        socket.send_to(b"x", asker).await.unwrap();
        socket.send_to(&reply, asker).await.unwrap();
    });
    let run = run(settings(A), address, Duration::from_secs(6)).await;
    assert!(run.outcome.is_up(), "{run:?}");
    assert_eq!(detail(&run).reply.as_ref().unwrap().answers, 0);
}

/// Answers each question with nothing but NOERROR.
fn echo(query: &[u8]) -> Vec<u8> {
    let mut reply = query.to_vec();
    reply[2] |= 0x80;
    reply
}

fn named(authority: &Authority) -> TlsSettings {
    TlsSettings { server_name: Some("dns.test".to_owned()), ..authority.trusted() }
}

#[tokio::test]
async fn over_tls_the_certificate_is_verified() {
    let authority = Authority::root("dns root");
    let acceptor = TlsAcceptor::from(authority.issue(&["dns.test"]).server());
    let to = peer(move |socket| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(socket).await else { return };
            let length = stream.read_u16().await.unwrap();
            let mut query = vec![0; length.into()];
            stream.read_exact(&mut query).await.unwrap();
            stream.write_u16(length).await.unwrap();
            let _ = stream.write_all(&echo(&query)).await;
        }
    })
    .await;
    let over_tls = |tls| DnsSettings { transport: DnsTransport::Tls, tls, ..settings(A) };
    let good = run(over_tls(named(&authority)), to, AMPLE).await;
    assert!(good.outcome.is_up() && good.tls.is_some(), "{good:?}");
    let other = TlsSettings { server_name: Some("other.test".to_owned()), ..authority.trusted() };
    let wrong = run(over_tls(other), to, AMPLE).await;
    assert_eq!(reason(&wrong), Some(Reason::TlsNameMismatch));
    assert!(wrong.tls.is_some());
}

#[tokio::test]
async fn over_https_both_versions_of_http_will_do() {
    let authority = Authority::root("doh root");
    for alpn in [&b"h2"[..], b"http/1.1"] {
        for (status, expected) in [(200, None), (503, Some(Reason::HttpStatus))] {
            let mut config = Arc::unwrap_or_clone(authority.issue(&["dns.test"]).server());
            config.alpn_protocols = vec![alpn.to_vec()];
            let acceptor = TlsAcceptor::from(Arc::new(config));
            let to = peer(move |socket| {
                let acceptor = acceptor.clone();
                async move {
                    let Ok(stream) = acceptor.accept(socket).await else { return };
                    let service = service_fn(move |request: http::Request<hyper::body::Incoming>| async move {
                        assert_eq!(request.headers()["content-type"], "application/dns-message");
                        assert_eq!(request.uri().path(), "/dns-query");
                        let query = request.into_body().collect().await.unwrap().to_bytes();
                        let response = http::Response::builder()
                            .status(status)
                            .header("content-type", "application/dns-message")
                            .body(Full::new(Bytes::from(echo(&query))))
                            .unwrap();
                        Ok::<_, Infallible>(response)
                    });
                    let _ = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                }
            })
            .await;
            let url = format!("https://{to}/dns-query").parse::<url::Url>().unwrap().into();
            let run = ask(DnsSettings { tls: named(&authority), ..settings(A) }, DnsServer::Url(url), AMPLE).await;
            assert_eq!(reason(&run), expected, "{run:?}");
            assert!(run.tls.is_some());
        }
    }
}

/// A message with one answer of this type and data.
fn message(record_type: u16, data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 1, 0x80, 0, 0, 1, 0, 1, 0, 0, 0, 0];
    bytes.extend(b"\x07example\x03com\0");
    bytes.extend([record_type.to_be_bytes(), 1_u16.to_be_bytes()].concat());
    // The owner is that of the question.
    bytes.extend([0xc0, 12]);
    bytes.extend([record_type.to_be_bytes(), 1_u16.to_be_bytes()].concat());
    bytes.extend(300_u32.to_be_bytes());
    bytes.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
    bytes.extend(data);
    bytes
}

fn text(record_type: u16, data: &[u8]) -> String {
    let reply = Reply::parse(&message(record_type, data)).unwrap();
    reply.sections[0].iter().map(Record::text).collect()
}

#[test]
fn records_read_as_the_incumbents_library_prints_them() {
    let mut soa = b"\x02ns\xc0\x0c\x05admin\xc0\x0c".to_vec();
    for number in [2_026_112_401_u32, 7200, 3600, 1_209_600, 300] {
        soa.extend(number.to_be_bytes());
    }
    let mut rrsig = vec![0, 1, 13, 2, 0, 0, 1, 44];
    rrsig.extend([1_800_000_000_u32.to_be_bytes(), 1_790_000_000_u32.to_be_bytes()].concat());
    rrsig.extend([0x30, 0x39]);
    rrsig.extend(b"\x07example\x03com\0\xde\xad\xbe\xef");
    for (record_type, data, expected) in [
        (1, &[192, 0, 2, 1][..], "A\t192.0.2.1"),
        (28, &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], "AAAA\t2001:db8::1"),
        (2, b"\x02ns\xc0\x0c", "NS\tns.example.com."),
        (5, b"\x03a.b\x01c\0", "CNAME\ta\\.b.c."),
        (12, b"\0", "PTR\t."),
        (SOA, &soa, "SOA\tns.example.com. admin.example.com. 2026112401 7200 3600 1209600 300"),
        (15, b"\0\x0a\x04mail\xc0\x0c", "MX\t10 mail.example.com."),
        (16, b"\x05a \"b\\\x03\xff c", "TXT\t\"a \\\"b\\\\\" \"\\255 c\""),
        (33, b"\0\x01\0\x02\x01\xbb\x01s\xc0\x0c", "SRV\t1 2 443 s.example.com."),
        (35, b"\0\x01\0\x02\x01u\x07E2U+sip\x00\0", "NAPTR\t1 2 \"u\" \"E2U+sip\" \"\" ."),
        (43, &[0x30, 0x39, 13, 2, 0xab, 0xcd], "DS\t12345 13 2 ABCD"),
        (44, &[4, 2, 0xab, 0xcd], "SSHFP\t4 2 ABCD"),
        (46, &rrsig, "RRSIG\tA 13 2 300 20270115080000 20260921141320 12345 example.com. 3q2+7w=="),
        (47, b"\x01b\xc0\x0c\0\x06\x40\x01\0\0\0\x03", "NSEC\tb.example.com. A MX RRSIG NSEC"),
        (48, &[1, 1, 3, 13, 0xde, 0xad], "DNSKEY\t257 3 13 3q0="),
        (50, b"\x01\0\0\x0a\x02\xab\xcd\x05hello\0\x01\x40", "NSEC3\t1 0 10 ABCD D1IMOR3F A"),
        (51, b"\x01\0\0\0\0", "NSEC3PARAM\t1 0 0 -"),
        (52, &[3, 1, 1, 0xab, 0xcd], "TLSA\t3 1 1 abcd"),
        (65, b"\0\x01\0\0\x01\0\x06\x02h2\x02h3\0\x03\0\x02\x01\xbb", "HTTPS\t1 . alpn=\"h2,h3\" port=\"443\""),
        (257, b"\0\x05issueletsencrypt.org", "CAA\t0 issue \"letsencrypt.org\""),
        (65280, &[0x0a, 0, 0, 1], "TYPE65280\t\\# 4 0a000001"),
        // Data that is not what its type says.
        (1, &[192, 0], "A\t\\# 2 c000"),
    ] {
        assert_eq!(text(record_type, data), format!("example.com.\t300\tIN\t{expected}"));
    }
}

#[test]
fn the_serial_is_read_and_names_may_point_back_but_not_in_circles() {
    let reply =
        Reply::parse(&message(SOA, b"\xc0\x0c\xc0\x0c\x78\xc5\xb9\xd1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0")).unwrap();
    assert_eq!(reply.sections[0][0].serial(), Some(0x78c5_b9d1));
    let circle = message(2, b"\xc0\x29");
    let reply = Reply::parse(&circle).unwrap();
    assert!(reply.sections[0][0].text().contains("\\# 2"), "{}", reply.sections[0][0].text());
}

proptest! {
    #[test]
    fn any_bytes_are_a_message_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
        let _ = Reply::parse(&bytes);
    }

    #[test]
    fn any_data_of_any_type_has_a_text(
        record_type in prop_oneof![0_u16..70, Just(99), 108_u16..110, 250_u16..262, any::<u16>()],
        data in proptest::collection::vec(any::<u8>(), 0..60),
    ) {
        if let Ok(reply) = Reply::parse(&message(record_type, &data)) {
            for record in &reply.sections[0] {
                let text = record.text();
                prop_assert!(text.starts_with("example.com.\t300\tIN\t"), "{text}");
                let _ = record.serial();
            }
        }
    }
}
