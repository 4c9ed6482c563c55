//! The tcp prober: dialogues crossed with peers that greet, answer and hang up, in the clear and over TLS.

use std::net::SocketAddr;

use regex::Regex;
use serde_json::{Value, json};

use crate::support::peer::tcp::Dialogue;
use crate::support::peer::{End, tcp};
use crate::support::pki::Authority;

use super::scenario::{Patience, Scenarios, Verdict, merged};

/// What a peer says at first, and then to EHLO or NICK; after that it hangs up, as it does when it hears something else.
type Peer = (&'static str, &'static str, Option<(&'static str, &'static str)>);

const PEERS: &[Peer] = &[
    ("mail", "220 mail.test ESMTP ready\r\n", Some(("EHLO", "250-mail.test\r\n250-STARTTLS\r\n250 OK\r\n"))),
    ("mail of several lines", "220-mail.test\r\n220-welcome\r\n220 ready\r\n", Some(("EHLO", "250 OK\r\n"))),
    ("mail that is full", "554 no room\r\n", None),
    ("SSH", "SSH-2.0-OpenSSH_9.9\r\n", None),
    ("POP", "+OK ready\n", None),
    ("chat", ":irc.test NOTICE * :hello\r\nPING :123\r\n", Some(("PONG", ":irc.test 001 me :Welcome\r\n"))),
    ("half a line", "220 mail.test", None),
    ("nothing", "", None),
    ("binary", "\u{1}\u{2}\u{3}220 \u{0}\n", None),
    ("a long line", LONG, None),
    ("empty lines", "\r\n\r\n220 after two\r\n", None),
    ("echo of a question", "", Some(("EHLO", "250 OK\r\n"))),
];

/// A line of some 400 bytes.
const LONG: &str = concat!(
    "220 ",
    "0123456789 123456789 123456789 123456789 123456789 123456789 123456789 123456789 123456789 123456789 ",
    "0123456789 123456789 123456789 123456789 123456789 123456789 123456789 123456789 123456789 123456789 ",
    "0123456789 123456789 123456789 123456789 123456789 123456789 123456789 123456789 123456789 123456789 ",
    "0123456789 123456789 123456789 123456789 123456789 123456789 123456789 123456789 123456789 123456789 ",
    "the end\r\n"
);

fn dialogues() -> Vec<(&'static str, Value)> {
    vec![
        ("connect", json!([])),
        ("expect 220", json!([{"expect": "^220"}])),
        ("expect the last line", json!([{"expect": "^220 "}])),
        ("expect its end", json!([{"expect": "ready$"}])),
        ("expect in any case", json!([{"expect": "(?i)esmtp"}])),
        ("expect SSH", json!([{"expect": "^SSH-2.0-"}])),
        ("expect OK", json!([{"expect": "^\\+OK"}])),
        ("expect anything", json!([{"expect": "."}])),
        ("expect never", json!([{"expect": "^never$"}])),
        ("ask", json!([{"send": "EHLO prober\r"}])),
        ("ask, and expect", json!([{"send": "EHLO prober\r"}, {"expect": "^250 OK"}])),
        ("ask by name", json!([{"expect": "^220[ -]([^ ]+)"}, {"send": "EHLO ${1}\r"}, {"expect": "^250"}])),
        ("ask in one step", json!([{"expect": "^220 ", "send": "EHLO prober\r"}, {"expect": "^250 OK"}])),
        ("ask what it does not know", json!([{"expect": "^220 "}, {"send": "HELP\r"}, {"expect": "^214"}])),
        ("chat", json!([{"expect": "PING :([^ ]+)", "send": "PONG ${1}\r"}, {"expect": "^:[^ ]+ 001"}])),
        ("expect twice", json!([{"expect": "^220"}, {"expect": "^220 "}])),
    ]
}

fn start(peer: &Peer) -> Dialogue {
    let (_, greeting, answer) = peer;
    let dialogue = tcp().greets(greeting).then(End::Close);
    answer.iter().fold(dialogue, |dialogue, (line, answer)| dialogue.answers(line, answer))
}

/// Plays it: each step takes lines until one fits. What the peer has said is there, then what it answers, then its end.
/// Also, whether the peer hangs up, or waits for a question that never comes.
fn verdict(peer: &Peer, dialogue: &Value) -> (Verdict, bool) {
    let (_, greeting, answer) = peer;
    let mut lines: Vec<&str> = greeting.split_terminator('\n').collect();
    let mut answer = *answer;
    for step in dialogue.as_array().unwrap() {
        if let Some(pattern) = step["expect"].as_str() {
            let pattern = Regex::new(pattern).unwrap();
            match lines.iter().position(|line| pattern.is_match(line.trim_end_matches('\r'))) {
                Some(at) => lines.drain(..=at),
                None => return (Verdict::Down, answer.is_none()),
            };
        }
        if let Some(text) = step["send"].as_str() {
            // It hangs up when it hears something else.
            if let Some((_, said)) = answer.take().filter(|(line, _)| text.starts_with(line)) {
                lines.extend(said.split_terminator('\n'));
            }
        }
    }
    (Verdict::Up, true)
}

pub(super) fn add(scenarios: &mut Scenarios, authority: &Authority) {
    let config = authority.server();
    let tls = json!({"tls": true, "tls_config": {"ca_file": "ca.pem"}});
    for peer in PEERS {
        let (plain, secure) = (start(peer).start(), start(peer).over_tls(config.clone()).start());
        for (name, dialogue) in dialogues() {
            let (verdict, ends) = verdict(peer, &dialogue);
            // Both would wait until their time is over: once is enough.
            let patience = if ends { Patience::Long } else { Patience::Short };
            if !ends && name != "expect never" {
                continue;
            }
            let block = if name == "connect" { json!({}) } else { json!({"query_response": dialogue}) };
            let mut add = |how: &str, block: &Value, address: SocketAddr| {
                scenarios.add_with(format!("{how}: {}: {name}", peer.0), "tcp", block, address, verdict, patience);
            };
            add("tcp", &block, plain.address);
            add("tcp tls", &merged(&block, &tls), secure.address);
        }
        scenarios.keep((plain, secure));
    }
    starttls(scenarios, authority);
    not_there(scenarios, &tls);
}

/// Mail that goes over to TLS in the middle, and mail that does not.
fn starttls(scenarios: &mut Scenarios, authority: &Authority) {
    let config = authority.server();
    let able = tcp()
        .greets("220 mail ready\r\n")
        .answers("EHLO", "250-STARTTLS\r\n250 OK\r\n")
        .answers("STARTTLS", "220 go\r\n")
        .answers("EHLO", "250 OK\r\n")
        .then(End::Close)
        .starttls("STARTTLS", config)
        .start();
    let unable = tcp()
        .greets("220 mail ready\r\n")
        .answers("EHLO", "250 OK\r\n")
        .answers("STARTTLS", "502 no\r\n")
        .then(End::Close)
        .start();
    let begin = [
        json!({"expect": "^220"}),
        json!({"send": "EHLO prober\r"}),
        json!({"expect": "^250 OK"}),
        json!({"send": "STARTTLS\r"}),
        json!({"expect": "^[25]"}),
        json!({"starttls": true}),
    ];
    let again = [json!({"send": "EHLO prober\r"}), json!({"expect": "^250 OK"})];
    let trusted = json!({"tls_config": {"ca_file": "ca.pem", "server_name": "127.0.0.1"}});
    let skips = json!({"tls_config": {"insecure_skip_verify": true}});
    for (name, tls) in [("trusted", trusted), ("skipped", skips)] {
        for (what, steps) in
            [("the handshake", begin.to_vec()), ("speech within", [begin.to_vec(), again.to_vec()].concat())]
        {
            for (peer, address, verdict) in
                [("able", able.address, Verdict::Up), ("unable", unable.address, Verdict::Down)]
            {
                let block = merged(&json!({"query_response": steps}), &tls);
                scenarios.add(format!("tcp starttls: {peer}: {what}, {name}"), "tcp", &block, address, verdict);
            }
        }
    }
    scenarios.keep((able, unable));
}

fn not_there(scenarios: &mut Scenarios, tls: &Value) {
    let refusing = tcp::refusing();
    let silent = tcp().start();
    let resets = tcp().then(End::Reset).start();
    let expect = json!({"query_response": [{"expect": "^220"}]});
    for (name, block) in [
        ("connect", json!({})),
        ("expect", expect.clone()),
        ("tls", tls.clone()),
        ("tls, expect", merged(&expect, tls)),
    ] {
        scenarios.add(format!("tcp: refused: {name}"), "tcp", &block, refusing.address, Verdict::Down);
        let verdict = Verdict::from(name == "connect");
        scenarios.add_with(format!("tcp: silent: {name}"), "tcp", &block, silent.address, verdict, Patience::Short);
        if name == "expect" {
            scenarios.add(format!("tcp: reset: {name}"), "tcp", &block, resets.address, Verdict::Down);
        }
    }
    let from_here = json!({"source_ip_address": "127.0.0.1"});
    scenarios.add("tcp: silent: from an address".to_owned(), "tcp", &from_here, silent.address, Verdict::Up);
    let from_elsewhere = json!({"source_ip_address": "192.0.2.1"});
    scenarios.add(
        "tcp: silent: from an address of another".to_owned(),
        "tcp",
        &from_elsewhere,
        silent.address,
        Verdict::Down,
    );
    scenarios.keep((refusing, silent, resets));
}
