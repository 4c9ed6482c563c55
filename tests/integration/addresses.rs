//! Addresses as people write them, for each prober and by each way that a target comes: the config, a file_sd file, and
//! `/probe`. What is an address works by each of them; what is none is refused by each of them in the same words.

use std::collections::BTreeMap;
use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::process::Command;

use nix::sched::{CloneFlags, unshare};
use serde_json::Value;

use crate::support::exporter::{Exporter, Setup};
use crate::support::peer::grpc::Health;
use crate::support::peer::websocket::websocket;
use crate::support::peer::{dns, http};
use crate::support::process::Process;
use crate::support::scrape::Page;
use crate::support::{client, has_tool, poll};

const MODULES: &str = "
  http: {prober: http, http: {preferred_ip_protocol: ip4}}
  tcp: {prober: tcp, tcp: {preferred_ip_protocol: ip4}}
  grpc: {prober: grpc, grpc: {preferred_ip_protocol: ip4}}
  dns: {prober: dns, dns: {preferred_ip_protocol: ip4, query_name: example.com, query_type: A}}
  dns_tcp: {prober: dns, dns: {preferred_ip_protocol: ip4, query_name: example.com, query_type: A, transport_protocol: tcp}}
  websocket: {prober: websocket, websocket: {preferred_ip_protocol: ip4}}
";

/// Where the peers of the test listen, by module. They are all on 127.0.0.1.
type Ports = BTreeMap<&'static str, u16>;

/// Spellings of where a peer is; `{}` is its port.
const GOOD: &[(&str, &[&str])] = &[
    (
        "http",
        &[
            "127.0.0.1:{}",
            "localhost:{}/a?b=c",
            " http://127.0.0.1:{}/ ",
            "HTTP://LOCALHOST:{}/",
            "http://127.0.0.1:{}/a b",
            "http://127.0.0.1:{}/?q=a b",
            "http://127.0.0.1:{}/a|b^c`d{e}\"<f>",
            "http://127.0.0.1:{}/?a|b^c`d{e}\"<f>",
            "http://127.0.0.1:{}/a\\b",
            "http://127.0.0.1:{}/zur\u{fc}ck?\u{fc}#\u{fc} top",
            "http://127.0.0.1:{}/?full=100%",
            "http://me:p|w^ x@127.0.0.1:{}/",
            "http://[::ffff:127.0.0.1]:{}/",
            "http://127.0.0.1.:{}/",
        ],
    ),
    (
        "tcp",
        &[
            "127.0.0.1:{}",
            "localhost:{}",
            "LOCALHOST.:{}",
            " 127.0.0.1:{}\n",
            "[127.0.0.1]:{}",
            "[localhost]:{}",
            "[::ffff:127.0.0.1]:{}",
            "127.0.0.1:0{}",
        ],
    ),
    (
        "grpc",
        &[
            "127.0.0.1:{}",
            "localhost:{}",
            "http://127.0.0.1:{}",
            "https://127.0.0.1:{}",
            "HTTP://127.0.0.1:{}/",
            "127.0.0.1:{}/grpc.health.v1.Health/Check?x#y",
            "http://me:secret@127.0.0.1:{}/x",
            "[::ffff:127.0.0.1]:{}",
        ],
    ),
    ("dns", &["127.0.0.1:{}", "localhost:{}", "[127.0.0.1]:{}", " 127.0.0.1:{}", "[::ffff:127.0.0.1]:{}"]),
    ("dns_tcp", &["127.0.0.1:{}", "localhost.:{}", "[::ffff:127.0.0.1]:{}"]),
    (
        "websocket",
        &[
            "ws://127.0.0.1:{}",
            "WS://localhost:{}/",
            " ws://127.0.0.1:{}/a b|c?q=a b",
            "ws://127.0.0.1:{}/zur\u{fc}ck#x",
        ],
    ),
];

/// Spellings of what is no address, and what has to be said.
const BAD: &[(&str, &[(&str, &str)])] = &[
    (
        "http",
        &[
            ("http://127.0.0.1/100%", "has a bad escape \"%\""),
            ("http://127.0.0.1/%zz", "has a bad escape \"%zz\""),
            ("http://a b/", "has a space in its host"),
            ("http://a\\b/", "has a backslash in its host"),
            ("http://127.0.0.1/a\nb", "has a control character"),
            ("http://127.0.0.1:smtp/", "has a port that is no number"),
            ("http://127.0.0.1:99999/", "invalid port number"),
            ("http://127.0.0.1:0/", "has port 0"),
            ("http://[::1", "a bracket is not closed"),
            ("http://fe80::1/", "without brackets"),
            ("::1", "without brackets"),
            ("http://[fe80::1%]/", "has a zone that is no interface"),
            ("http://[127.0.0.1%25lo]/", "has a zone after what is no IPv6 address"),
            ("http:/127.0.0.1/", "two slashes"),
            ("http://", "has no host"),
            ("http:///x", "has no host"),
            ("ftp://127.0.0.1/", "the scheme \"ftp\""),
            ("http://a..b/", "has an empty label"),
        ],
    ),
    (
        "tcp",
        &[
            ("127.0.0.1", "has no port"),
            ("127.0.0.1:", "has the port \"\""),
            ("127.0.0.1:0", "has the port \"0\""),
            ("127.0.0.1:99999", "has the port \"99999\""),
            ("127.0.0.1:no-such-service", "has the port \"no-such-service\""),
            (":25", "has no host"),
            ("::1", "put the IPv6 address in brackets"),
            ("[::1]", "is not an address"),
            ("a b:1", "no host name has"),
            ("a/b:1", "no host name has"),
            ("tcp://127.0.0.1:1", "the scheme \"tcp\""),
            ("[fe80::1%]:1", "has a zone that is no interface"),
            ("127.0.0.1%lo:1", "no host name has"),
        ],
    ),
    (
        "grpc",
        &[
            ("dns:///127.0.0.1:1", "the scheme \"dns\""),
            ("http://", "has no host"),
            ("127.0.0.1:0", "has the port \"0\""),
            ("a b:1", "no host name has"),
        ],
    ),
    (
        "dns",
        &[
            ("127.0.0.1:", "has the port \"\""),
            ("127.0.0.1:smtp", "a service such as domain"),
            ("127.0.0.1/24", "no host name has"),
            ("udp://127.0.0.1", "the scheme \"udp\""),
        ],
    ),
    (
        "websocket",
        &[
            ("127.0.0.1:1", "has no scheme"),
            ("http://127.0.0.1:1/", "the scheme \"http\""),
            ("ws://u:secret@127.0.0.1:1/", "has credentials"),
            ("ws://127.0.0.1/%zz", "has a bad escape \"%zz\""),
        ],
    ),
];

fn quoted(text: &str) -> String {
    // A string of JSON is one of YAML.
    serde_json::to_string(text).unwrap()
}

fn config(targets: &[(&str, String)]) -> String {
    let mut text = format!("global: {{interval: 15s, timeout: 5s}}\nmodules:{MODULES}targets:\n");
    for (index, (module, target)) in targets.iter().enumerate() {
        text.push_str(&format!("  - {{name: t{index}, module: {module}, target: {}}}\n", quoted(target)));
    }
    text
}

fn file_sd(targets: &[(&str, String)]) -> String {
    let groups: Vec<String> = targets
        .iter()
        .enumerate()
        .map(|(index, (module, target))| {
            let labels = format!("{{\"__param_module\": \"{module}\", \"__target_name\": \"t{index}\"}}");
            format!("{{\"targets\": [{}], \"labels\": {labels}}}", quoted(target))
        })
        .collect();
    format!("[{}]", groups.join(",\n"))
}

/// A config that reads its targets from a file of Prometheus's form.
fn by_file(targets: &[(&str, String)]) -> Setup {
    let config = format!("global: {{interval: 15s, timeout: 5s}}\nmodules:{MODULES}target_files: [targets.json]\n");
    Setup::new(&config).file("targets.json", file_sd(targets))
}

fn query(module: &str, target: &str, more: &str) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    format!("/probe?{}{more}", query.append_pair("module", module).append_pair("target", target).finish())
}

/// What `--once` saw: the name of each target -> state and sentence.
fn once(setup: Setup) -> BTreeMap<String, (String, String)> {
    let finished = setup.arg("--once").arg("--format=json").run_to_end();
    let json: Value = serde_json::from_str(&finished.stdout).unwrap_or_else(|error| panic!("{error}: {finished:?}"));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let targets = json.as_array().unwrap().iter();
    targets.map(|target| (text(&target["name"]), (text(&target["state"]), text(&target["run"]["sentence"])))).collect()
}

#[test]
fn what_is_an_address_works_whichever_way_it_comes() {
    let (web, health, names, socket) =
        (http().start(), Health::Serving.start(), dns().address("example.com", "192.0.2.1").start(), websocket());
    let ports: Ports = [
        ("http", web.address().port()),
        ("tcp", web.address().port()),
        ("grpc", health.address.port()),
        ("dns", names.address().port()),
        ("dns_tcp", names.address().port()),
        ("websocket", socket.address.port()),
    ]
    .into();
    let targets: Vec<(&str, String)> = GOOD
        .iter()
        .flat_map(|(module, spellings)| {
            let port = ports[module].to_string();
            spellings.iter().map(move |spelling| (*module, spelling.replacen("{}", &port, 1)))
        })
        .collect();
    let asking = Exporter::start(&format!("modules:{MODULES}"));
    let mut wrong = Vec::new();
    for (way, seen) in [("config", once(Setup::new(&config(&targets)))), ("file_sd", once(by_file(&targets)))] {
        assert_eq!(seen.len(), targets.len(), "{way}");
        for (index, (module, target)) in targets.iter().enumerate() {
            let (state, sentence) = &seen[&format!("t{index}")];
            if state != "up" {
                wrong.push(format!("{module} {target:?} by {way}: {state}: {sentence}"));
            }
        }
    }
    for (module, target) in &targets {
        if !asking.scrape_path(&query(module, target, "")).metric("probe_success").is(1.0) {
            wrong.push(format!(
                "{module} {target:?} by /probe: {}",
                asking.get(&query(module, target, "&debug=true")).text()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let asked: Vec<String> = web.requests().iter().map(|request| request.path().to_owned()).collect();
    for path in [
        "/a%20b",
        "/?q=a%20b",
        "/a%7Cb%5Ec%60d%7Be%7D%22%3Cf%3E",
        "/?a|b^c`d{e}%22%3Cf%3E",
        "/a%5Cb",
        "/zur%C3%BCck?%C3%BC",
        "/?full=100%",
    ] {
        assert_eq!(asked.iter().filter(|asked| *asked == path).count(), 3, "{path}: {asked:#?}");
    }
}

#[test]
fn what_is_no_address_is_refused_in_the_same_words_whichever_way_it_comes() {
    let table: Vec<(&str, String, &str)> = BAD
        .iter()
        .flat_map(|(module, bad)| bad.iter().map(|(target, part)| (*module, (*target).to_owned(), *part)))
        .collect();
    let targets: Vec<(&str, String)> = table.iter().map(|(module, target, _)| (*module, target.clone())).collect();
    let said = |setup: Setup| {
        let finished = setup.arg("--config.check").run_to_end();
        assert_eq!(finished.code(), 2, "{finished:?}");
        format!("{}{}", finished.stdout, finished.stderr)
    };
    let (by_config, by_file) = (said(Setup::new(&config(&targets))), said(by_file(&targets)));
    let asking = Exporter::start(&format!("modules:{MODULES}"));
    for (index, (module, target, part)) in table.iter().enumerate() {
        let line = |text: &str, place: &str| {
            let line =
                text.lines().find_map(|line| line.split_once(&format!(" {place}: ")).map(|(_, rest)| rest.to_owned()));
            line.unwrap_or_else(|| panic!("{module} {target:?}: nothing about {place} in\n{text}"))
        };
        let sentence = line(&by_config, &format!("targets[{index}].target"));
        assert!(sentence.contains(part), "{module} {target:?}: {sentence}");
        assert!(!sentence.contains("secret@"), "{sentence}");
        assert_eq!(line(&by_file, &format!("[{index}].targets[0]")), sentence, "{module} {target:?}");
        let page = asking.scrape_path(&query(module, target, ""));
        page.metric("probe_success").value(0.0);
        let debug = asking.get(&query(module, target, "&debug=true")).text();
        let shown = format!("sentence={:?}", format!("the target {sentence}"));
        assert!(debug.contains(&shown), "{module} {target:?}: {shown} is not in\n{debug}");
    }
}

/// Runs `test` in a network of its own, where the loopback has fe80::1. `false`, said aloud, where it is not permitted.
fn on_a_link(test: impl FnOnce() + Send) -> bool {
    let run = || {
        if unshare(CloneFlags::CLONE_NEWNET).is_err() {
            return false;
        }
        for command in ["link set lo up", "addr add fe80::1/64 dev lo nodad"] {
            let done = Command::new("ip").args(command.split(' ')).status();
            if !done.is_ok_and(|status| status.success()) {
                return false;
            }
        }
        test();
        true
    };
    // Peers and programs that are started from the thread are in its network.
    let ran = std::thread::scope(|scope| scope.spawn(run).join());
    let ran = ran.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    if !ran {
        eprintln!("SKIPPED: a network of its own takes root and iproute2");
    }
    ran
}

/// Answers every HTTP request over TCP, and every DNS query over UDP, on all addresses. Lives as long as the network.
fn answer_all() -> (u16, u16) {
    use std::io::{Read as _, Write as _};
    let tcp = TcpListener::bind("[::]:0").unwrap();
    let udp = UdpSocket::bind("[::]:0").unwrap();
    let ports = (tcp.local_addr().unwrap().port(), udp.local_addr().unwrap().port());
    std::thread::spawn(move || {
        for stream in tcp.incoming() {
            let Ok(mut stream) = stream else { continue };
            std::thread::spawn(move || {
                let mut head = Vec::new();
                let mut buffer = [0; 1024];
                while !head.windows(4).any(|end| end == b"\r\n\r\n") {
                    match stream.read(&mut buffer) {
                        Ok(length) if length > 0 => head.extend_from_slice(&buffer[..length]),
                        _ => return,
                    }
                }
                // A Host header has no zone (RFC 6874 section 4).
                let status = if head.contains(&b'%') { "400 Zone" } else { "200 OK" };
                let body = String::from_utf8_lossy(&head).into_owned();
                let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
                let _ = stream.write_all(format!("{head}{body}").as_bytes());
            });
        }
    });
    std::thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok((length, from)) = udp.recv_from(&mut buffer) {
            // The query with the bit of an answer is an answer without records.
            buffer[2] |= 0x80;
            let _ = udp.send_to(&buffer[..length], from);
        }
    });
    ports
}

const LINK_MODULES: &str = "modules:
  http: {prober: http, http: {fail_if_body_not_matches_regexp: ['Host: \\[fe80::1\\]:\\d+']}}
  proxied: {prober: http, http: {preferred_ip_protocol: ip4, proxy_url: 'http://[fe80::1%25lo]:{tcp}'}}
  tcp: {prober: tcp}
  tcp_from: {prober: tcp, tcp: {source_ip_address: 'fe80::1'}}
  dns: {prober: dns, dns: {query_name: example.com, query_type: A}}
  dns_from: {prober: dns, dns: {query_name: example.com, query_type: A, source_ip_address: 'fe80::1'}}
  dns_tcp: {prober: dns, dns: {query_name: example.com, query_type: A, transport_protocol: tcp}}
  icmp: {prober: icmp}
  icmp_from: {prober: icmp, icmp: {source_ip_address: 'fe80::1'}}
  grpc: {prober: grpc}
  websocket: {prober: websocket}
  http3: {prober: http, http: {enable_http3: true, enable_http2: false}}
  named: {prober: tcp, dns_servers: ['[fe80::1%lo]:{udp}'], tcp: {}}
";

/// Modules that blackbox_exporter 0.23 does not know.
const OURS: &[&str] = &["websocket", "http3", "named"];

/// What an HTTP/1 server makes of gRPC: which of them is first is a matter of luck.
const NO_GRPC: &str = "protocol_error connect_reset response_truncated";

/// Module, target, and the reason, one of these, of a run that is to fail: at a server of another protocol, or before.
const ON_LINK: &[(&str, &str, Option<&str>)] = &[
    ("http", "http://[fe80::1%25lo]:{tcp}/", None),
    ("http", "http://[fe80::1%lo]:{tcp}/", None),
    ("http", "[fe80::1%1]:{tcp}", None),
    ("proxied", "http://example.com/", None),
    ("tcp", "[fe80::1%lo]:{tcp}", None),
    ("tcp", "[FE80::1%1]:{tcp}", None),
    ("tcp_from", "[fe80::1%lo]:{tcp}", None),
    ("dns", "[fe80::1%lo]:{udp}", None),
    ("dns_from", "[fe80::1%lo]:{udp}", None),
    ("icmp", "fe80::1%lo", None),
    ("icmp", "[fe80::1%1]", None),
    ("icmp_from", "fe80::1%lo", None),
    ("grpc", "[fe80::1%lo]:{tcp}", Some(NO_GRPC)),
    ("grpc", "http://[fe80::1%lo]:{tcp}/x", Some(NO_GRPC)),
    ("websocket", "ws://[fe80::1%25lo]:{tcp}/", Some("http_status")),
    // The datagrams arrive: at a closed port, and at a name server that refers to others.
    ("http3", "https://[fe80::1%25lo]:9/", Some("connect_refused")),
    ("named", "host.example.com:{tcp}", Some("dns_servfail")),
    ("http3", "https://[fe80::1%25no-such-0]:9/", Some("connect_unreachable")),
    ("http", "http://[fe80::1%25no-such-0]:{tcp}/", Some("connect_unreachable")),
    ("tcp", "[fe80::1%no-such-0]:{tcp}", Some("connect_unreachable")),
    ("icmp", "fe80::1%no-such-0", Some("icmp_unreachable")),
    ("dns", "[fe80::1%no-such-0]:{udp}", Some("connect_unreachable")),
];

#[test]
fn addresses_of_a_link_are_reached_by_their_zone() {
    on_a_link(|| {
        let (tcp, udp) = answer_all();
        let with_ports = |text: &str| text.replace("{tcp}", &tcp.to_string()).replace("{udp}", &udp.to_string());
        let _ = std::fs::write("/proc/sys/net/ipv4/ping_group_range", "0 2147483647");
        let modules = with_ports(LINK_MODULES);
        let mut config = format!("global: {{interval: 15s, timeout: 5s}}\n{modules}targets:\n");
        for (index, (module, target, _)) in ON_LINK.iter().enumerate() {
            config.push_str(&format!(
                "  - {{name: t{index}, module: {module}, target: {}}}\n",
                quoted(&with_ports(target))
            ));
        }
        let exporter = Exporter::start(&config);
        let page = exporter.wait_until("each ran", |page| page.metric("probe_success").all().len() == ON_LINK.len());
        for (index, (module, target, reason)) in ON_LINK.iter().enumerate() {
            let name = format!("t{index}");
            let evidence = exporter.target(&name);
            match reason {
                None => assert!(page.metric("probe_success").target(&name).is(1.0), "{module} {target}: {evidence:#}"),
                Some(reasons) => {
                    let found = page.metric("probe_failure_info").target(&name).all();
                    let reason = found.first().map(|sample| sample.labels["reason"].as_str()).unwrap_or_default();
                    assert!(
                        reasons.split(' ').any(|known| known == reason),
                        "{module} {target}, {reason}: {evidence:#}"
                    );
                }
            }
            // By request, the same.
            let asked = exporter.scrape_path(&query(module, &with_ports(target), ""));
            asked.metric("probe_success").value(f64::from(u8::from(reason.is_none())));
        }
        // What people and Prometheus read is what was written.
        let address = page.metric("probe_target_info").target("t0").all()[0].labels["url"].clone();
        assert_eq!(address, with_ports("http://[fe80::1%25lo]:{tcp}/"));
        beside_blackbox_exporter(&exporter, &modules, with_ports);
    });
}

/// What reaches the address there does here too.
fn beside_blackbox_exporter(exporter: &Exporter, modules: &str, with_ports: impl Fn(&str) -> String) {
    const PROGRAM: &str = "prometheus-blackbox-exporter";
    if !has_tool(PROGRAM, PROGRAM, "a comparison side by side") {
        return;
    }
    let is_ours = |line: &&str| OURS.iter().any(|module| line.trim_start().starts_with(&format!("{module}:")));
    let theirs: String = modules.lines().filter(|line| !is_ours(line)).map(|line| format!("{line}\n")).collect();
    let file = exporter.path("blackbox.yml");
    std::fs::write(&file, theirs).unwrap();
    let mut command = Command::new(PROGRAM);
    command.args(["--web.listen-address=127.0.0.1:9115", "--config.file"]).arg::<&Path>(&file);
    let _process = Process::spawn(&mut command);
    let address = "127.0.0.1:9115".parse().unwrap();
    poll("it answers", || client::get(address, "/-/healthy").map(|_| ()));
    let mut reached = 0;
    for (module, target, reason) in ON_LINK.iter().filter(|(module, ..)| !OURS.contains(module)) {
        let target = with_ports(target);
        let page = Page::parse(&client::get(address, &query(module, &target, "")).unwrap().text()).unwrap();
        if page.metric("probe_success").is(1.0) {
            reached += 1;
            assert_eq!(*reason, None, "{module} {target} is up with blackbox_exporter");
        }
    }
    assert!(reached >= 4, "{reached} were up with blackbox_exporter");
}
