//! Peers with TLS as devices and old machines speak it, played by OpenSSL: what others wrote, not our own code twice.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::support::exporter::{Exporter, Setup};
use crate::support::has_tool;
use crate::support::scrape::Page;

const MODULES: &str = "modules:
  skip: {prober: http, timeout: 20s, http: {preferred_ip_protocol: ip4, tls_config: {insecure_skip_verify: true}}}
  skip_tcp: {prober: tcp, timeout: 20s, tcp: {preferred_ip_protocol: ip4, tls: true, tls_config: {insecure_skip_verify: true}}}
  at_most_11: {prober: http, timeout: 20s, http: {preferred_ip_protocol: ip4, tls_config: {max_version: TLS11}}}
  at_most_10: {prober: tcp, timeout: 20s, tcp: {preferred_ip_protocol: ip4, tls: true, tls_config: {min_version: TLS10, max_version: TLS10}}}
";

/// `openssl s_server`, killed when dropped.
struct Server {
    child: Child,
    port: u16,
}

impl Server {
    /// With the certificate `name` of `keys`.
    fn start(keys: &Keys, name: &str, args: &[&str]) -> Self {
        let mut command = Command::new("openssl");
        command.current_dir(keys.0.path()).args(["s_server", "-accept", "127.0.0.1:0", "-www"]);
        command.args(["-cert", &format!("{name}.pem"), "-key", &format!("{name}.key")]).args(args);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let port = lines.find_map(|line| line.strip_prefix("ACCEPT 127.0.0.1:")?.trim().parse().ok());
        // It may go on to write, so somebody has to read; the thread ends with the child.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, port: port.unwrap_or_else(|| panic!("openssl s_server {name} {args:?} does not listen")) }
    }

    fn url(&self) -> String {
        format!("https://127.0.0.1:{}/", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A directory with NAME.pem and NAME.key.
struct Keys(TempDir);

impl Keys {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn openssl(&self, args: &[&str]) {
        let output = Command::new("openssl").current_dir(self.0.path()).args(args).output().unwrap();
        assert!(output.status.success(), "openssl {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// A self-signed certificate for localhost with a key as `kind` has it.
    fn make(&self, name: &str, kind: &[&str], request: &[&str]) {
        let key = format!("{name}.key");
        self.openssl(&[&["genpkey", "-out", &key], kind].concat());
        let out = format!("{name}.pem");
        let subject = format!("/CN={name}");
        let fixed = ["req", "-x509", "-key", &key, "-out", &out, "-days", "30", "-subj", &subject];
        self.openssl(&[&fixed[..], &["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"], request].concat());
    }

    /// One of X.509 version 1: without extensions.
    fn make_v1(&self, name: &str) {
        let (key, csr, out) = (format!("{name}.key"), format!("{name}.csr"), format!("{name}.pem"));
        self.openssl(&[&["genpkey", "-out", &key], RSA_2048].concat());
        self.openssl(&["req", "-new", "-key", &key, "-out", &csr, "-subj", "/CN=v1"]);
        self.openssl(&["x509", "-req", "-in", &csr, "-signkey", &key, "-out", &out, "-days", "30"]);
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.0.path().join(Path::new(name))).unwrap()
    }
}

const RSA_2048: &[&str] = &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"];
const RSA_1024: &[&str] = &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"];
const RSA_512: &[&str] = &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:512"];
const RSA_PSS: &[&str] = &["-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048"];
const P256: &[&str] = &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];
const P521: &[&str] = &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"];
const ED25519: &[&str] = &["-algorithm", "ED25519"];
const ED448: &[&str] = &["-algorithm", "ED448"];

const ANY_SUITE: [&str; 2] = ["-cipher", "ALL:@SECLEVEL=0"];
const TLS12: &[&str] = &["-tls1_2"];
const TLS13: &[&str] = &["-tls1_3"];

/// The page of one run, and its log.
fn probe(exporter: &Exporter, module: &str, target: &str) -> (Page, String) {
    let path = format!("/probe?module={module}&target={target}");
    let page = exporter.get(&path);
    let log = exporter.get(&format!("{path}&debug=true")).text();
    (Page::parse(&page.text()).unwrap(), log)
}

fn is_up((page, log): &(Page, String), what: &str) {
    assert!(page.metric("probe_success").is(1.0), "{what}:\n{log}");
}

fn is_down((page, log): &(Page, String), reason: &str, words: &str) {
    assert!(page.metric("probe_success").is(0.0), "{log}");
    assert!(page.metric("probe_failure_info").label("reason", reason).is(1.0), "{reason}:\n{log}");
    assert!(log.contains(words), "{words:?}:\n{log}");
}

fn has_openssl(test: &str) -> bool {
    has_tool("openssl", "openssl", test)
}

#[test]
fn every_cbc_suite_that_rustls_can_carry_is_spoken_to_openssl() {
    if !has_openssl("CBC suites") {
        return;
    }
    let keys = Keys::new();
    keys.make("rsa", RSA_2048, &[]);
    keys.make("ecdsa", P256, &[]);
    let exporter = Exporter::start(MODULES);
    for (key, openssl, iana) in [
        ("rsa", "ECDHE-RSA-AES256-SHA", "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA"),
        ("rsa", "ECDHE-RSA-AES128-SHA", "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA"),
        ("rsa", "ECDHE-RSA-AES128-SHA256", "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256"),
        ("ecdsa", "ECDHE-ECDSA-AES256-SHA", "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA"),
        ("ecdsa", "ECDHE-ECDSA-AES128-SHA", "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA"),
        ("ecdsa", "ECDHE-ECDSA-AES128-SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256"),
    ] {
        let server = Server::start(&keys, key, &["-tls1_2", "-cipher", openssl]);
        let run = probe(&exporter, "skip", &server.url());
        is_up(&run, openssl);
        run.0.metric("probe_http_status_code").value(200.0);
        run.0.metric("probe_tls_cipher_info").label("cipher", iana).value(1.0);
        run.0.metric("probe_tls_version_info").label("version", "TLS 1.2").value(1.0);
        is_up(&probe(&exporter, "skip_tcp", &format!("127.0.0.1:{}", server.port)), openssl);
    }
    let server =
        Server::start(&keys, "rsa", &["-tls1_2", "-cipher", "ECDHE-RSA-AES256-SHA:ECDHE-RSA-AES128-GCM-SHA256"]);
    let run = probe(&exporter, "skip", &server.url());
    run.0.metric("probe_tls_cipher_info").label("cipher", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256").value(1.0);
}

#[test]
fn a_peer_that_has_no_curve_but_p_521_is_up() {
    if !has_openssl("P-521") {
        return;
    }
    let keys = Keys::new();
    keys.make("rsa", RSA_2048, &[]);
    keys.make("p521", P521, &[]);
    let exporter = Exporter::start(MODULES);
    for key in ["rsa", "p521"] {
        for version in [TLS12, TLS13] {
            let server = Server::start(&keys, key, &[&["-groups", "P-521"], version].concat());
            is_up(&probe(&exporter, "skip", &server.url()), key);
        }
    }
    let cbc = ["-tls1_2", "-groups", "P-521", "-cipher", "ECDHE-RSA-AES256-SHA"];
    is_up(&probe(&exporter, "skip", &Server::start(&keys, "rsa", &cbc).url()), "both at once");
}

#[test]
fn with_insecure_skip_verify_no_certificate_ends_the_handshake_and_the_log_says_what_is_wrong() {
    if !has_openssl("odd certificates") {
        return;
    }
    let keys = Keys::new();
    keys.make("rsa1024", RSA_1024, &[]);
    keys.make("rsa512", RSA_512, &[]);
    keys.make("p521", P521, &[]);
    keys.make("ed25519", ED25519, &[]);
    keys.make("ed448", ED448, &[]);
    keys.make("pss", RSA_PSS, &[]);
    keys.make("critical", RSA_2048, &["-addext", "1.2.3.4.5=critical,DER:0500"]);
    keys.make("sha1", RSA_2048, &["-sha1"]);
    keys.make("md5", RSA_2048, &["-md5"]);
    keys.make_v1("v1");
    let exporter = Exporter::start(MODULES);
    for (key, versions, words) in [
        ("rsa1024", &[TLS12, TLS13][..], ""),
        // Too small for the padding of TLS 1.3.
        ("rsa512", &[TLS12], "has 512 bits"),
        ("p521", &[TLS12, TLS13], ""),
        ("ed25519", &[TLS12, TLS13], ""),
        ("ed448", &[TLS12, TLS13], "1.3.101.113"),
        // In TLS 1.2 rustls knows no signature of such a key.
        ("pss", &[TLS13], "1.2.840.113549.1.1.10"),
        ("critical", &[TLS12, TLS13], "has an extension that is critical"),
        ("sha1", &[TLS12, TLS13], ""),
        ("md5", &[TLS12, TLS13], ""),
        ("v1", &[TLS12, TLS13], "not of X.509 version 3"),
    ] {
        for version in versions {
            let server = Server::start(&keys, key, &[&ANY_SUITE[..], version].concat());
            let run = probe(&exporter, "skip", &server.url());
            is_up(&run, key);
            let (page, log) = run;
            assert!(log.contains("Certificate accepted unverified") && log.contains(words), "{key}:\n{log}");
            assert!(page.metric("probe_ssl_earliest_cert_expiry").get().is_some(), "{key}:\n{}", page.text());
        }
    }
}

#[test]
fn an_rsa_key_of_1024_bits_that_is_trusted_is_up_or_its_size_is_named() {
    if !has_openssl("RSA-1024") {
        return;
    }
    let keys = Keys::new();
    keys.make("small", RSA_1024, &[]);
    keys.make("tiny", RSA_512, &[]);
    let modules = "modules:
  small: {prober: http, timeout: 20s, http: {preferred_ip_protocol: ip4, tls_config: {ca_file: small.pem}}}
  tiny: {prober: http, timeout: 20s, http: {preferred_ip_protocol: ip4, tls_config: {ca_file: tiny.pem}}}
";
    let setup = Setup::new(modules).file("small.pem", keys.text("small.pem")).file("tiny.pem", keys.text("tiny.pem"));
    let exporter = setup.start();
    let start = |key: &str, version: &[&str]| Server::start(&keys, key, &[&ANY_SUITE[..], version].concat());
    for version in [TLS12, TLS13] {
        is_up(&probe(&exporter, "small", &start("small", version).url()), "as the incumbent has it");
    }
    let run = probe(&exporter, "tiny", &start("tiny", TLS12).url());
    is_down(&run, "tls_untrusted", "RSA key has 512 bits");
}

#[test]
fn what_is_beyond_us_says_whose_limit_it_is() {
    if !has_openssl("TLS 1.1 and static RSA") {
        return;
    }
    let keys = Keys::new();
    keys.make("rsa", RSA_2048, &[]);
    let exporter = Exporter::start(MODULES);
    for version in ["-tls1", "-tls1_1"] {
        let server = Server::start(&keys, "rsa", &[&ANY_SUITE[..], &[version]].concat());
        let run = probe(&exporter, "skip", &server.url());
        is_down(&run, "tls_handshake", "older ones are beyond the limits of this exporter");
        for (module, target, version) in
            [("at_most_11", server.url(), "TLS 1.1"), ("at_most_10", format!("127.0.0.1:{}", server.port), "TLS 1.0")]
        {
            let words = format!("at most {version}, and this exporter speaks TLS 1.2 and 1.3 alone: its limit");
            is_down(&probe(&exporter, module, &target), "internal", &words);
        }
    }
    keys.make("pss", RSA_PSS, &[]);
    let server = Server::start(&keys, "pss", &[&ANY_SUITE[..], TLS12].concat());
    is_down(&probe(&exporter, "skip", &server.url()), "tls_handshake", "this exporter takes in TLS 1.3 alone");
    let server = Server::start(&keys, "rsa", &["-tls1_2", "-cipher", "AES128-SHA:@SECLEVEL=0"]);
    is_down(&probe(&exporter, "skip", &server.url()), "tls_handshake", "suites without ECDHE are beyond the limits");
    assert!(exporter.log().contains("TLS 1.1 is not spoken by this exporter"), "{}", exporter.log());
}
