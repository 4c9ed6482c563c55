//! TLS, client certificates and passwords by `--web.config.file`, seen by a real Prometheus; certificates that rotate;
//! sockets of systemd and of the file system; a path below which everything is.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::process::Command;

use crate::support::exporter::Setup;
use crate::support::pki::Authority;
use crate::support::process::Process;
use crate::support::prometheus::{PACKAGE, Prometheus};
use crate::support::{PATIENCE, client, has_tool, poll};

const CONFIG: &str = "targets: []\n";

fn web(users: bool) -> String {
    let mut web = String::from(
        "tls_server_config: {cert_file: server.pem, key_file: server.key, client_auth_type: RequireAndVerifyClientCert, client_ca_file: ca.pem}\n",
    );
    web.push_str("http_server_config: {headers: {X-Frame-Options: deny}}\n");
    if users {
        let hash = bcrypt_hash("secret");
        writeln!(web, "basic_auth_users: {{scraper: \"{hash}\"}}").unwrap();
    }
    web
}

fn bcrypt_hash(password: &str) -> String {
    // At the least cost: it is the check that is tried, not patience.
    bcrypt::hash(password, 4).unwrap()
}

#[test]
fn a_prometheus_scrapes_with_a_client_certificate_and_a_password_and_certificates_rotate() {
    if !has_tool("prometheus", PACKAGE, "a real Prometheus") {
        return;
    }
    let authority = Authority::new("web root");
    let server = authority.issue(&["exporter.test"]);
    let client = authority.issue(&["scraper.test"]);
    let exporter = Setup::new(CONFIG)
        .file("web.yml", web(true))
        .file("ca.pem", authority.pem())
        .file("server.pem", &server.chain)
        .file("server.key", &server.key)
        .arg("--web.config.file=web.yml")
        .start();
    let scrape = |files: &str| {
        format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: uptime
    scheme: https
    tls_config: {{ca_file: ca.pem, server_name: exporter.test{files}}}
    basic_auth: {{username: scraper, password: secret}}
    static_configs: [{{targets: [\"{}\"]}}]
",
            exporter.address
        )
    };
    let ca = authority.pem();
    let certificates = ", cert_file: client.pem, key_file: client.key";
    let files = [("ca.pem", ca.as_str()), ("client.pem", client.chain.as_str()), ("client.key", client.key.as_str())];
    let good = Prometheus::start(&scrape(certificates), &files);
    good.wait_until("up == 1", |series| series.len() == 1);
    assert!(good.query("uptime_exporter_build_info").unwrap().len() == 1);
    let without = Prometheus::start(&scrape(""), &files);
    without.wait_until("up == 0", |series| series.len() == 1);

    // Another certificate takes the place of the first, for connections from now on.
    let rotated = authority.issue(&["elsewhere.test"]);
    exporter.write("server.pem", &rotated.chain);
    exporter.write("server.key", &rotated.key);
    let late = Prometheus::start(&scrape(certificates), &files);
    late.wait_until("up == 0", |series| series.len() == 1);
    exporter.wait_for_log("The web config was loaded again.");
    // One that is broken changes nothing.
    exporter.write("server.key", "no key");
    poll("it is complained about", || {
        let _ = TcpStream::connect(exporter.address);
        let log = exporter.log();
        if log.contains("cannot be used; the one before stays in force") { Ok(()) } else { Err(log) }
    });
}

#[test]
fn a_bad_web_config_is_refused_at_the_start_with_every_problem() {
    let finished = Setup::new(CONFIG)
        .file(
            "web.yml",
            "tls_server_config: {cert_file: none.pem, client_auth_type: Sometimes}\nbasic_auth_users: {me: plain}\nauth_excluded_paths: [metrics]\n\
             http_servr_config: {}\n",
        )
        .arg("--web.config.file=web.yml")
        .run_to_end();
    assert_eq!(finished.code(), 2, "{finished:?}");
    for part in [
        "none.pem",
        "client_auth_type",
        "basic_auth_users.me: is no bcrypt hash",
        "auth_excluded_paths[0]: \"metrics\" is no path; it begins with /, as in /-/healthy",
        "http_servr_config: unknown key",
    ] {
        assert!(finished.stderr.contains(part), "{part}\n{}", finished.stderr);
    }
}

#[test]
fn passwords_are_asked_for_and_everything_is_below_the_prefix() {
    let hash = bcrypt_hash("secret");
    let exporter = Setup::new(CONFIG)
        .file(
            "web.yml",
            format!(
                "basic_auth_users: {{me: \"{hash}\"}}\nhttp_server_config: {{headers: {{X-Frame-Options: deny}}}}\n"
            ),
        )
        .arg("--web.config.file=web.yml")
        .arg("--web.external-url=https://status.example.com/uptime")
        .start();
    let refused = exporter.get("/uptime/metrics");
    assert_eq!((refused.status, refused.header("www-authenticate")), (401, Some("Basic")));
    assert_eq!(refused.header("x-frame-options"), Some("deny"));
    assert_eq!(exporter.get("/uptime/-/healthy").status, 200, "kubelets have no password");
    poll("it is ready, to those without a password too", || match exporter.get("/uptime/-/ready").status {
        200 => Ok(()),
        status => Err(status.to_string()),
    });
    for path in ["/uptime/-/reload", "/uptime/-/healthy/", "/uptime/x/-/healthy", "/-/healthy"] {
        assert_eq!(exporter.get(path).status, 401, "{path}");
    }
    let ask = |path: &str| {
        let mut socket = TcpStream::connect(exporter.address).unwrap();
        // me:secret
        let head = format!("GET {path} HTTP/1.0\r\nAuthorization: Basic bWU6c2VjcmV0\r\n\r\n");
        socket.write_all(head.as_bytes()).unwrap();
        let mut text = String::new();
        socket.read_to_string(&mut text).unwrap();
        text
    };
    assert!(ask("/uptime/-/healthy").starts_with("HTTP/1.0 200"), "{}", ask("/uptime/-/healthy"));
    assert!(ask("/-/healthy").starts_with("HTTP/1.0 404"));
    let root = ask("/");
    assert!(root.starts_with("HTTP/1.0 302") && root.contains("location: /uptime/"), "{root}");
    assert!(ask("/uptime/runbooks/http_status").contains("# http_status"));
    assert!(ask("/uptime/runbooks").contains("location: runbooks/"), "relative, so that any prefix will do");
    assert!(ask("/uptime/runbook").contains("/runbooks/NAME"));
}

#[test]
fn it_serves_on_a_unix_socket_and_on_one_that_systemd_hands_over() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("web.sock");
    let exporter = Setup::new(CONFIG).arg(&format!("--web.listen-address=unix:{}", path.display())).start();
    let mut socket = UnixStream::connect(&path).unwrap();
    socket.write_all(b"GET /-/healthy HTTP/1.0\r\n\r\n").unwrap();
    let mut text = String::new();
    socket.read_to_string(&mut text).unwrap();
    assert!(text.starts_with("HTTP/1.0 200"), "{text}");
    drop(exporter);

    // As systemd does: the socket is there before the exporter is, which is told of it by descriptor 3, LISTEN_FDS and
    // LISTEN_PID (sd_listen_fds(3)), and says how it fares in datagrams (sd_notify(3)).
    std::fs::write(dir.path().join("config.yaml"), CONFIG).unwrap();
    let manager = UnixDatagram::bind(dir.path().join("notify.sock")).unwrap();
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let says = |words: &str| {
        let mut datagram = [0; 4096];
        let length = manager.recv(&mut datagram).unwrap_or_else(|error| panic!("{words} is never said: {error}"));
        let said = String::from_utf8_lossy(&datagram[..length]).into_owned();
        assert!(said.starts_with(words), "{said:?}, not {words}");
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut command = Command::new("sh");
    // The shell becomes the exporter, so its number is the exporter's.
    command.args(["-c", "LISTEN_PID=$$ exec \"$0\" --config.file=config.yaml --web.systemd-socket 3<&0 </dev/null"]);
    command.arg(env!("CARGO_BIN_EXE_uptime_exporter")).current_dir(dir.path());
    command.env("LISTEN_FDS", "1").env("NOTIFY_SOCKET", dir.path().join("notify.sock"));
    let process = Process::spawn_with(&mut command, OwnedFd::from(listener));
    says("READY=1");
    assert_eq!(client::get(address, "/-/healthy").unwrap().status, 200);
    process.signal("HUP");
    says("RELOADING=1\nMONOTONIC_USEC=");
    says("READY=1");
    process.signal("TERM");
    says("STOPPING=1");
    assert_eq!(process.finish().code(), 0);
}

#[test]
fn which_paths_need_no_password_is_a_setting() {
    let hash = bcrypt_hash("secret");
    for (excluded, open, closed) in [
        ("[]", None, ["/-/healthy", "/-/ready", "/metrics"]),
        ("[/metrics]", Some("/metrics"), ["/-/healthy", "/-/ready", "/"]),
    ] {
        let exporter = Setup::new(CONFIG)
            .file("web.yml", format!("basic_auth_users: {{me: \"{hash}\"}}\nauth_excluded_paths: {excluded}\n"))
            .arg("--web.config.file=web.yml")
            .start();
        for path in closed {
            assert_eq!(exporter.get(path).status, 401, "{excluded}: {path}");
        }
        if let Some(path) = open {
            assert_eq!(exporter.get(path).status, 200, "{excluded}: {path}");
        }
    }
}
