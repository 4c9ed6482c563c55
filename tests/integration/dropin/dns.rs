//! The dns prober: records of many types, return codes, transports and rules about records.

use std::str::FromStr as _;

use hickory_resolver::proto::op::{Message, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, CNAME, MX, NS, PTR, SOA, SRV, TXT};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use regex::Regex;
use serde_json::{Value, json};

use crate::support::peer::dns::{Dns, serve};
use crate::support::peer::{End, tcp};

use super::scenario::{Patience, Scenarios, Verdict, merged};

/// Records of the zone example.test, with the text that rules see.
fn zone() -> Vec<(Record, &'static str)> {
    let name = |text: &str| Name::from_str(text).unwrap();
    let record = |at: &str, data: RData, text: &'static str| (Record::from_rdata(name(at), 60, data), text);
    let soa = SOA::new(name("ns.example.test."), name("admin.example.test."), 2026, 7200, 3600, 1_209_600, 300);
    let text = |texts: &[&str]| RData::TXT(TXT::new(texts.iter().map(|&text| text.to_owned()).collect()));
    vec![
        record("example.test.", RData::A(A::new(192, 0, 2, 1)), "example.test.\t60\tIN\tA\t192.0.2.1"),
        record("example.test.", RData::A(A::new(192, 0, 2, 2)), "example.test.\t60\tIN\tA\t192.0.2.2"),
        record("one.example.test.", RData::A(A::new(198, 51, 100, 7)), "one.example.test.\t60\tIN\tA\t198.51.100.7"),
        record(
            "example.test.",
            RData::AAAA("2001:db8::1".parse().unwrap()),
            "example.test.\t60\tIN\tAAAA\t2001:db8::1",
        ),
        record(
            "example.test.",
            RData::MX(MX::new(10, name("mail.example.test."))),
            "example.test.\t60\tIN\tMX\t10 mail.example.test.",
        ),
        record("example.test.", text(&["v=spf1 -all"]), "example.test.\t60\tIN\tTXT\t\"v=spf1 -all\""),
        record(
            "odd.example.test.",
            text(&["two", "texts; with \"quotes\" and \\"]),
            "odd.example.test.\t60\tIN\tTXT\t\"two\" \"texts; with \\\"quotes\\\" and \\\\\"",
        ),
        record("example.test.", RData::NS(NS(name("ns.example.test."))), "example.test.\t60\tIN\tNS\tns.example.test."),
        record(
            "example.test.",
            RData::SOA(soa),
            "example.test.\t60\tIN\tSOA\tns.example.test. admin.example.test. 2026 7200 3600 1209600 300",
        ),
        record(
            "www.example.test.",
            RData::CNAME(CNAME(name("example.test."))),
            "www.example.test.\t60\tIN\tCNAME\texample.test.",
        ),
        record(
            "_http._tcp.example.test.",
            RData::SRV(SRV::new(1, 2, 80, name("example.test."))),
            "_http._tcp.example.test.\t60\tIN\tSRV\t1 2 80 example.test.",
        ),
        record(
            "1.2.0.192.in-addr.arpa.",
            RData::PTR(PTR(name("example.test."))),
            "1.2.0.192.in-addr.arpa.\t60\tIN\tPTR\texample.test.",
        ),
    ]
}

/// An answer: its code, and for each section the records with these places in the zone.
#[derive(Default)]
struct Reply {
    code: ResponseCode,
    answer: Vec<usize>,
    authority: Vec<usize>,
    additional: Vec<usize>,
}

const SOA_PLACE: usize = 8;

fn reply(name: &str, kind: RecordType) -> Reply {
    let zone = zone();
    let all: Vec<usize> = (0..zone.len()).filter(|&at| zone[at].0.name.to_ascii() == name).collect();
    let of_kind: Vec<usize> = all.iter().copied().filter(|&at| zone[at].0.record_type() == kind).collect();
    let code = |code| Reply { code, authority: vec![SOA_PLACE], ..Reply::default() };
    match name {
        "refused.example.test." => code(ResponseCode::Refused),
        "servfail.example.test." => code(ResponseCode::ServFail),
        "formerr.example.test." => code(ResponseCode::FormErr),
        "notimp.example.test." => code(ResponseCode::NotImp),
        // All three sections.
        "full.example.test." => {
            Reply { answer: vec![0, 1], authority: vec![7], additional: vec![2, 3], ..Reply::default() }
        }
        "delegated.example.test." => Reply { authority: vec![7], ..Reply::default() },
        _ if all.is_empty() => code(ResponseCode::NXDomain),
        _ if kind == RecordType::ANY => Reply { answer: all, ..Reply::default() },
        _ if of_kind.is_empty() && all.iter().any(|&at| zone[at].0.record_type() == RecordType::CNAME) => {
            Reply { answer: vec![all[0], 0, 1], ..Reply::default() }
        }
        _ if of_kind.is_empty() => Reply { authority: vec![SOA_PLACE], ..Reply::default() },
        _ => Reply { answer: of_kind, ..Reply::default() },
    }
}

fn server() -> Dns {
    serve(|query, by_tcp| {
        let query = Message::from_vec(query).ok()?;
        let question = query.queries.first()?.clone();
        let name = question.name().to_ascii().to_lowercase();
        let mut message = query.into_response();
        message.edns = None;
        message.metadata.recursion_available = true;
        if name == "silent.example.test." {
            return None;
        }
        if name == "long.example.test." && !by_tcp {
            message.metadata.truncation = true;
            return message.to_vec().ok();
        }
        let name = if name == "long.example.test." { "example.test.".to_owned() } else { name };
        let reply = reply(&name, question.query_type());
        message.metadata.response_code = reply.code;
        let zone = zone();
        let records = |places: &[usize]| places.iter().map(|&at| zone[at].0.clone()).collect::<Vec<_>>();
        message.add_answers(records(&reply.answer));
        message.add_authorities(records(&reply.authority));
        message.add_additionals(records(&reply.additional));
        message.to_vec().ok()
    })
}

const QUESTIONS: &[(&str, &str)] = &[
    ("example.test", "A"),
    ("example.test.", "A"),
    ("EXAMPLE.test", "A"),
    ("one.example.test", "A"),
    ("one.example.test", "AAAA"),
    ("example.test", "AAAA"),
    ("example.test", "MX"),
    ("example.test", "TXT"),
    ("odd.example.test", "TXT"),
    ("example.test", "NS"),
    ("example.test", "SOA"),
    ("example.test", "ANY"),
    ("www.example.test", "CNAME"),
    ("www.example.test", "A"),
    ("_http._tcp.example.test", "SRV"),
    ("1.2.0.192.in-addr.arpa", "PTR"),
    ("nowhere.example.test", "A"),
    ("refused.example.test", "A"),
    ("servfail.example.test", "A"),
    ("formerr.example.test", "A"),
    ("notimp.example.test", "A"),
    ("full.example.test", "A"),
    ("delegated.example.test", "A"),
];

/// A name, keys of the module, and where the rule is about records: section, rule and pattern.
type Row = (&'static str, Value, Option<(&'static str, &'static str, &'static str)>);

fn options() -> Vec<Row> {
    let rule = |name, section: &'static str, rule: &'static str, pattern: &'static str| {
        (name, json!({format!("validate_{section}_rrs"): {rule: [pattern]}}), Some((section, rule, pattern)))
    };
    vec![
        ("as it is", json!({}), None),
        ("valid NXDOMAIN", json!({"valid_rcodes": ["NXDOMAIN"]}), None),
        ("valid NOERROR, NXDOMAIN, REFUSED", json!({"valid_rcodes": ["NOERROR", "NXDOMAIN", "REFUSED"]}), None),
        ("without recursion", json!({"recursion_desired": false}), None),
        rule("answer matches", "answer", "fail_if_matches_regexp", "192\\.0\\.2\\.1"),
        rule("answer does not match", "answer", "fail_if_not_matches_regexp", "\tIN\tA\t"),
        rule("answer all match", "answer", "fail_if_all_match_regexp", "192\\.0\\.2\\."),
        rule(
            "answer none matches",
            "answer",
            "fail_if_none_matches_regexp",
            "\t(A\t192\\.0\\.2\\.2|TXT\t.*|MX\t10 .*)$",
        ),
        rule("answer by its text", "answer", "fail_if_not_matches_regexp", "^[^\t]+\\.\t60\tIN\t[A-Z]+\t[^\t]+$"),
        rule("authority matches", "authority", "fail_if_matches_regexp", "\tNS\t"),
        rule("authority does not match", "authority", "fail_if_not_matches_regexp", "SOA"),
        rule("authority none matches", "authority", "fail_if_none_matches_regexp", "example"),
        rule("additional matches", "additional", "fail_if_matches_regexp", "2001:db8::1"),
        rule("additional none matches", "additional", "fail_if_none_matches_regexp", "2001:db8::1"),
    ]
}

/// By upstream's code, in which `fail_if_all_match_regexp` fails when not all match.
fn holds(lines: &[&str], rule: &str, pattern: &str) -> bool {
    let pattern = Regex::new(pattern).unwrap();
    let count = lines.iter().filter(|line| pattern.is_match(line)).count();
    match rule {
        "fail_if_matches_regexp" => count == 0,
        "fail_if_not_matches_regexp" => !lines.is_empty() && count == lines.len(),
        "fail_if_all_match_regexp" => count == lines.len(),
        "fail_if_none_matches_regexp" => count > 0,
        _ => unreachable!("{rule}"),
    }
}

fn verdict(name: &str, kind: &str, block: &Value, rule: Option<(&str, &str, &str)>) -> Verdict {
    let zone = zone();
    let name = format!("{}.", name.trim_end_matches('.').to_lowercase());
    let reply = reply(&name, kind.parse().unwrap());
    let codes =
        [(ResponseCode::NoError, "NOERROR"), (ResponseCode::NXDomain, "NXDOMAIN"), (ResponseCode::Refused, "REFUSED")];
    let code = codes.iter().find(|(code, _)| *code == reply.code).map_or("another", |(_, name)| name);
    let valid = block["valid_rcodes"].as_array().cloned().unwrap_or(vec![json!("NOERROR")]);
    if !valid.contains(&json!(code)) {
        return Verdict::Down;
    }
    let Some((section, rule, pattern)) = rule else { return Verdict::Up };
    let places = match section {
        "answer" => &reply.answer,
        "authority" => &reply.authority,
        _ => &reply.additional,
    };
    let lines: Vec<&str> = places.iter().map(|&at| zone[at].1).collect();
    holds(&lines, rule, pattern).into()
}

pub(super) fn add(scenarios: &mut Scenarios) {
    let server = server();
    let address = server.address();
    let ask = |name: &str, kind: &str| json!({"query_name": name, "query_type": kind});
    for transport in ["udp", "tcp"] {
        let by = json!({"transport_protocol": transport});
        for (name, kind) in QUESTIONS {
            for (option, block, rule) in options() {
                let verdict = verdict(name, kind, &block, rule);
                let block = merged(&merged(&ask(name, kind), &by), &block);
                scenarios.add(format!("dns {transport}: {name} {kind}: {option}"), "dns", &block, address, verdict);
            }
        }
        for kind in ["A", "MX"] {
            let block = merged(&ask("long.example.test", kind), &by);
            scenarios.add(format!("dns {transport}: cut short {kind}"), "dns", &block, address, Verdict::Open);
        }
        let block = merged(&ask("silent.example.test", "A"), &by);
        let name = format!("dns {transport}: silent");
        scenarios.add_with(name, "dns", &block, address, Verdict::Down, Patience::Short);
        let block = merged(&merged(&ask("example.test", "A"), &by), &json!({"query_class": "CH"}));
        scenarios.add(format!("dns {transport}: of another class"), "dns", &block, address, Verdict::Open);
    }
    let refusing = tcp::refusing();
    let closes = tcp().then(End::Close).start();
    let block = merged(&ask("example.test", "A"), &json!({"transport_protocol": "tcp"}));
    scenarios.add("dns tcp: refused".to_owned(), "dns", &block, refusing.address, Verdict::Down);
    scenarios.add("dns tcp: closed at once".to_owned(), "dns", &block, closes.address, Verdict::Down);
    let from = merged(&ask("example.test", "A"), &json!({"source_ip_address": "127.0.0.1"}));
    scenarios.add("dns udp: from an address".to_owned(), "dns", &from, address, Verdict::Up);
    scenarios.keep((server, refusing, closes));
}
