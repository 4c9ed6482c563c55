//! Tests of whole configs: the fixtures, and what no fixture can hold.
#![allow(clippy::unwrap_used)]

use std::fs;

use super::*;

const SECRET: &str = "hunter2-of-the-environment";

/// What fixtures may expand.
fn environment(name: &str) -> Option<String> {
    match name {
        "FIXTURE_SECRET" => Some(SECRET.to_owned()),
        "FIXTURE_HOST" => Some("127.0.0.1".to_owned()),
        "FIXTURE_FAILURES" => Some("3".to_owned()),
        "HTTPS_PROXY" => Some("ftp://u:hunter2@127.0.0.1".to_owned()),
        _ => None,
    }
}

fn config(text: &str) -> Result<Config, ConfigErrors> {
    Source::new("config.yaml", text).config_with(&environment)
}

fn fixtures(folder: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(Path::new("tests/fixtures").join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.sort();
    files
}

/// A new rule is a new file. `UPDATE_FIXTURES=1` writes what is said now; read it before it is committed.
#[test]
fn every_invalid_fixture_is_refused_in_the_expected_words() {
    let mut wrong = Vec::new();
    let files = fixtures("invalid");
    assert!(files.len() >= 60, "{}", files.len());
    for file in files {
        let errors = match Source::read(&file).and_then(|source| source.config_with(&environment)) {
            Ok(_) => panic!("{} was accepted", file.display()),
            Err(errors) => format!("{errors}\n"),
        };
        wrong.extend(other_words(&file, &errors));
    }
    assert!(wrong.is_empty(), "other words than expected:\n{}", wrong.join("\n"));
}

/// What is found in `file`, unless the file of words beside it has the same.
fn other_words(file: &Path, found: &str) -> Option<String> {
    assert!(!found.contains("hunter"), "{} shows a secret:\n{found}", file.display());
    let expected = file.with_extension("txt");
    if std::env::var_os("UPDATE_FIXTURES").is_some() {
        fs::write(&expected, found).unwrap();
        return None;
    }
    let same = fs::read_to_string(&expected).unwrap_or_default() == found;
    (!same).then(|| format!("{}:\n{found}", file.display()))
}

/// As blackbox_exporter starts with them, and finds out in each run.
#[test]
fn every_faulty_fixture_loads_and_says_what_cannot_be_probed() {
    let mut wrong = Vec::new();
    let files = fixtures("faulty");
    assert!(files.len() >= 6, "{}", files.len());
    for file in files {
        let config = Source::read(&file).and_then(|source| source.config_with(&environment));
        let config = config.unwrap_or_else(|errors| panic!("{errors}"));
        assert!(!config.faults.is_empty(), "{}", file.display());
        let warnings: String = config.warnings.iter().map(|warning| format!("warning: {warning}\n")).collect();
        let modules: String = config
            .modules
            .iter()
            .filter_map(|(name, module)| match (&module.settings, &module.fault) {
                (ModuleSettings::Unusable(why), _) => Some(format!("{name}: no module: {why}\n")),
                (_, Some(fault)) => Some(format!("{name}: {fault}\n")),
                (_, None) => None,
            })
            .collect();
        let targets: String = config
            .targets
            .iter()
            .filter_map(|target| Some(format!("target {}: {}\n", target.name, target.fault.as_deref()?)))
            .collect();
        wrong.extend(other_words(&file, &format!("{}\n{warnings}\n{modules}{targets}", config.faults)));
    }
    assert!(wrong.is_empty(), "other words than expected:\n{}", wrong.join("\n"));
}

#[test]
fn every_valid_fixture_is_accepted_and_shows_no_secret() {
    for file in fixtures("valid") {
        let config = Source::read(&file).unwrap().config_with(&environment);
        let config = config.unwrap_or_else(|errors| panic!("{errors}"));
        assert!(!config.masked_yaml.contains("hunter"), "{}", config.masked_yaml);
        assert!(!format!("{config:?}").contains("hunter"), "{}", file.display());
    }
}

fn everything() -> Config {
    Source::read(Path::new("tests/fixtures/valid/everything.yaml")).unwrap().config_with(&environment).unwrap()
}

fn target<'c>(config: &'c Config, name: &str) -> &'c Target {
    config.targets.iter().find(|target| target.name.as_str() == name).unwrap_or_else(|| panic!("no target {name}"))
}

fn http_settings(target: &Target) -> &Arc<HttpSettings> {
    let ProbeSpec::Http { settings, .. } = &target.probe else {
        panic!("{} is a {} target", target.name, target.probe.prober())
    };
    settings
}

fn tcp_settings(target: &Target) -> &Arc<TcpSettings> {
    let ProbeSpec::Tcp { settings, .. } = &target.probe else {
        panic!("{} is a {} target", target.name, target.probe.prober())
    };
    settings
}

#[test]
fn every_key_has_its_effect() {
    let config = everything();
    let names: Vec<_> = config.targets.iter().map(|target| target.name.as_str()).collect();
    assert_eq!(
        names,
        ["from-a-file", "https://a.example.com/", "https://u:<secret>@b.example.com/", "mail", "nine", "plain", "shop"]
    );
    assert_eq!(config.refresh_interval, Duration::from_secs(60));

    let shop = target(&config, "shop");
    assert_eq!(shop.address, "https://me:<secret>@127.0.0.1/health");
    assert_eq!(shop.module, "strict");
    let labels: Vec<_> = shop.labels.iter().collect();
    assert_eq!(labels, [("port", "443"), ("region", "override"), ("team", "shop"), ("version_", "1.10")]);
    assert_eq!(
        (shop.cadence.interval(), shop.cadence.timeout()),
        (Duration::from_secs(5), Duration::from_millis(1500))
    );
    assert_eq!((shop.confirm.failures.get(), shop.confirm.retry_interval), (1, Duration::from_secs(1)));
    assert_eq!(&*shop.latency_buckets, [0.1, 0.5, 1.0, 2.5]);

    let http = http_settings(shop);
    assert_eq!(http.method, "PUT");
    assert_eq!(&http.body[..], b"{\"ping\": true}\n");
    assert_eq!(http.host.as_deref(), Some("shop.example.com"));
    assert!(!http.headers.contains_key("host"));
    for (name, value) in [("x-version", "1.10"), ("x-count", "5"), ("x-on", "true"), ("user-agent", "probe")] {
        assert_eq!(http.headers[name], value);
    }
    assert!(http.headers["authorization"].is_sensitive());
    let many: Vec<_> = http.headers.get_all("x-many").iter().map(|value| value.to_str().unwrap()).collect();
    assert_eq!(many, ["a", "b", "hunter2", "hunter2"]);
    assert!(http.valid_status_codes.iter().any(|range| range.contains(304)));
    assert_eq!(http.valid_http_versions, [http::HttpVersion::Http11, http::HttpVersion::Http2]);
    assert_eq!(http.body_size_limit, Some(3 << 19));
    assert!(!http.follow_redirects && !http.enable_http2 && !http.fail_if_not_ssl && !http.keep_excerpt);
    assert_eq!(http.ip, IpPreference { preferred: IpFamily::V4, fallback: false });
    assert!(matches!(&http.auth, Some(http::HttpAuth::Basic { username, password })
        if username == "me" && password.expose() == "hunter2"));
    assert!(matches!(&http.proxy, http::ProxySettings::Url { url, no_proxy: Some(_), connect_headers }
        if url.scheme() == "socks5" && connect_headers.len() == 1));
    assert_eq!(http.tls.min_version, Some(tls::TlsVersion::Tls12));
    let ProbeSpec::Http { url, .. } = &shop.probe else { panic!("shop is http") };
    assert_eq!(url.as_str(), "https://127.0.0.1/health");
    assert!(
        matches!(&config.modules["strict"].settings, ModuleSettings::Http(module) if module.body[..] == b"hello\xff\xff"[..]
        || module.body.starts_with(b"hello"))
    );

    let mail = target(&config, "mail");
    assert!(mail.latency_buckets.is_empty());
    let tcp = tcp_settings(mail);
    assert_eq!(tcp.dns_servers, DnsServers::System);
    assert!(tcp.keep_excerpt && tcp.tls_config.insecure_skip_verify);
    assert_eq!(tcp.steps.len(), 4);
    assert_eq!(tcp.steps[0].labels[0], ("smtp_host".to_owned(), "${host}".to_owned()));
    assert_eq!(tcp.steps[1].send.as_deref(), Some(&b"EHLO ${1}\r"[..]));
    assert!(tcp.steps[2].starttls);
    assert!(matches!(&tcp.steps[3].expect, Some(tcp::Expect::Bytes(bytes)) if bytes == &[0xff, 0]));

    let plain = target(&config, "plain");
    assert_eq!(plain.module, "http_2xx");
    assert_eq!((plain.cadence.interval(), plain.cadence.timeout()), (Duration::from_secs(30), Duration::from_secs(10)));
    assert_eq!(plain.confirm.failures.get(), 3);
    let servers = DnsServers::Servers(
        ["192.0.2.53:53", "[2001:db8::1]:5353", "192.0.2.54:5353"].map(|server| server.parse().unwrap()).to_vec(),
    );
    assert_eq!(http_settings(plain).dns_servers, servers);
    let agent = &http_settings(plain).headers["user-agent"];
    assert_eq!(agent, concat!("uptime_exporter/", env!("CARGO_PKG_VERSION")));

    let discovered = target(&config, "https://a.example.com/");
    assert_eq!(discovered.labels.value("team"), Some("sd"));
    assert_eq!(discovered.labels.value("__meta_x"), None);
    assert_eq!(discovered.cadence.interval(), Duration::from_secs(60));
    assert_eq!(discovered.cadence.timeout(), Duration::from_secs(3));
    assert_eq!(target(&config, "from-a-file").labels.value("host"), Some("127.0.0.1"));

    for warned in ["no_follow_redirects", "empty.yaml"] {
        assert!(config.warnings.iter().any(|warning| warning.contains(warned)), "{warned}: {:?}", config.warnings);
    }
    // Nothing is wrong with a pattern whose files are still to come.
    let remarks = &config.remarks;
    assert!(remarks.len() == 1 && remarks[0].contains("no file matches everything/none-*.yaml now"), "{remarks:?}");
}

#[test]
fn an_unedited_blackbox_file_gives_its_modules() {
    let config = load(Path::new("tests/fixtures/valid/blackbox.yaml")).unwrap();
    assert!(config.targets.is_empty());
    for (name, target) in [
        ("http_2xx", "127.0.0.1:1"),
        ("http_oauth2", "127.0.0.1:1"),
        ("tcp_connect", "127.0.0.1:1"),
        ("smtp_starttls", "127.0.0.1:1"),
        ("pop3s_banner", "127.0.0.1:1"),
        ("icmp", "127.0.0.1"),
        ("dns_udp", "127.0.0.1"),
        ("grpc", "127.0.0.1:1"),
        ("unix_socket", "/run/app.sock"),
        ("websocket", "ws://127.0.0.1/"),
    ] {
        let spec = config.modules[name].probe_spec(target);
        assert!(spec.is_ok(), "{name}: {spec:?}");
    }
    assert!(config.modules["http3"].probe_spec("127.0.0.1:1").is_ok());
    assert_eq!(config.modules["http_2xx"].timeout, Some(Duration::from_secs(5)));
    assert_eq!(config.modules["tcp_connect"].timeout, None);
}

#[test]
fn targets_that_want_the_same_share_it() {
    let config = config(
        "global: {dns_servers: [192.0.2.1]}
modules: {m: {prober: http, http: {method: POST}}, t: {prober: tcp}}
targets:
  - {name: a, target: 127.0.0.1, module: m}
  - {name: b, target: 127.0.0.2, module: m, labels: {x: y}, interval: 1m}
  - {name: c, target: 127.0.0.3, module: m, http: {body: x}}
  - {name: d, target: 127.0.0.4, module: m, http: {body: x}}
  - {name: e, target: 127.0.0.5, module: m, evidence_body: false}
  - {name: f, target: '127.0.0.1:1', module: t}
  - {name: g, target: '127.0.0.1:2', module: t}
",
    )
    .unwrap();
    let settings = |name| http_settings(target(&config, name));
    assert!(Arc::ptr_eq(settings("a"), settings("b")));
    assert!(Arc::ptr_eq(settings("c"), settings("d")));
    assert!(!Arc::ptr_eq(settings("a"), settings("c")));
    assert!(!Arc::ptr_eq(settings("a"), settings("e")));
    assert!(Arc::ptr_eq(tcp_settings(target(&config, "f")), tcp_settings(target(&config, "g"))));
    let ModuleSettings::Http(module) = &config.modules["m"].settings else { panic!("m is http") };
    assert!(Arc::ptr_eq(settings("a"), module));
}

#[test]
fn a_trace_is_told_where_that_is_wanted() {
    let config = config(
        "global: {trace_url: 'https://tempo.example/{trace_id}'}
modules:
  on: {prober: http, http: {trace_context: true}}
  unsampled: {prober: http, http: {trace_context: {sampled: false}}}
  disabled: {prober: http, http: {trace_context: {enabled: false, sampled: true}}}
  plain: {prober: http}
targets:
  - {name: a, target: 'http://a/', module: on}
  - {name: b, target: 'http://a/', module: on, http: {trace_context: {sampled: false}}}
  - {name: c, target: 'http://a/', module: on, http: {trace_context: off}}
  - {name: d, target: 'http://a/', module: unsampled}
  - {name: e, target: 'http://a/', module: unsampled, http: {trace_context: yes}}
  - {name: f, target: 'http://a/', module: disabled}
  - {name: g, target: 'http://a/', module: plain, http: {trace_context: {}}}
  - {name: h, target: 'http://a/', module: plain}
",
    )
    .unwrap();
    let sampled: Vec<_> =
        config.targets.iter().map(|target| http_settings(target).trace_context.map(|trace| trace.sampled)).collect();
    // What a target writes takes the place of a switch, and `yes` that of a mapping.
    assert_eq!(sampled, [Some(true), Some(false), None, Some(false), Some(true), None, Some(true), None]);
    assert_eq!(config.trace_url.unwrap().to_string(), "https://tempo.example/{trace_id}");
}

#[test]
fn a_fingerprint_changes_exactly_with_what_decides() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.yaml");
    fs::write(folder.path().join("body.txt"), "one").unwrap();
    let base = "global: {timeout: 4s}
modules: {m: {prober: http, http: {body_file: body.txt, method: POST}}, other: {prober: http}}
targets: [{name: a, target: 'http://127.0.0.1/', module: m, labels: {x: y}}]
";
    let fingerprint = |text: &str| {
        let config = Source::new(path.clone(), text).config_with(&environment).unwrap();
        target(&config, "a").fingerprint
    };
    let before = fingerprint(base);
    for same in [
        format!("# a comment\n{base}"),
        base.replace("body_file: body.txt, method: POST", "method: POST, body_file: body.txt"),
        base.replace("other: {prober: http}", "other: {prober: tcp}"),
        base.replace("timeout: 4s", "timeout: 4s, interval: 15s"),
        base.replace("targets: [", "targets: [{name: b, target: 127.0.0.9}, "),
    ] {
        assert_eq!(fingerprint(&same), before, "{same}");
    }
    for other in [
        base.replace("timeout: 4s", "timeout: 3s"),
        base.replace("timeout: 4s", "labels: {z: z}"),
        base.replace("method: POST", "method: PUT"),
        base.replace("127.0.0.1/", "127.0.0.1/x"),
        base.replace("x: y", "x: z"),
        base.replace("module: m,", "module: m, interval: 5s,"),
        base.replace("module: m,", "module: m, confirm: {failures: 3},"),
        base.replace("module: m,", "module: m, latency_buckets: [1],"),
        base.replace("module: m,", "module: m, evidence_body: false,"),
        base.replace("module: m,", "module: m, http: {compression: gzip},"),
        base.replace("timeout: 4s", "timeout: 4s, dns_servers: [192.0.2.1]"),
        base.replace("http://127", "http://u:p@127"),
    ] {
        assert_ne!(fingerprint(&other), before, "{other}");
    }
    assert_ne!(
        fingerprint(&base.replace("http://127", "http://u:p@127")),
        fingerprint(&base.replace("http://127", "http://u:q@127"))
    );
    fs::write(folder.path().join("body.txt"), "two").unwrap();
    assert_ne!(fingerprint(base), before);
}

#[test]
fn a_change_of_any_dependency_shows_and_the_remembered_text_is_used() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let main =
        "targets: [{name: a, target: 127.0.0.1, http: {bearer_token_file: token}}]\ntarget_files: ['t/*.yaml']\n";
    fs::write(at("config.yaml"), main).unwrap();
    fs::write(at("token"), "one\n").unwrap();
    fs::create_dir(at("t")).unwrap();
    fs::write(at("t/a.yaml"), "- {name: b, target: 127.0.0.1}\n").unwrap();

    let config = load(&at("config.yaml")).unwrap();
    assert_eq!(config.targets.len(), 2);
    assert_eq!(config.dependencies_stamp(), config.loaded, "nothing changed since");
    assert!(!config.dependencies.contains(&at("config.yaml")));
    assert_eq!(config.dependencies, [at("t/a.yaml"), at("token")]);

    // An unfinished edit of the main file is neither noticed here nor taken up.
    fs::write(at("config.yaml"), "targets: [").unwrap();
    assert_eq!(config.dependencies_stamp(), config.loaded);

    let mut stamps = vec![config.loaded];
    let mut changed = |what: &str| {
        let now = config.dependencies_stamp();
        assert!(!stamps.contains(&now), "{what}");
        stamps.push(now);
    };
    fs::write(at("token"), "another\n").unwrap();
    changed("a secret was rewritten");
    fs::write(at("t/new.yaml"), "- {name: c, target: 127.0.0.1}\n").unwrap();
    changed("a new file matches");
    fs::write(at("t/.new.yaml.swp"), "x").unwrap();
    fs::write(at("t/new.txt"), "x").unwrap();
    assert_eq!(config.dependencies_stamp(), *stamps.last().unwrap(), "what does not match is no change");
    stamps.clear();
    stamps.push(config.dependencies_stamp());
    fs::remove_file(at("t/a.yaml")).unwrap();
    assert_ne!(config.dependencies_stamp(), stamps[0], "a file went away");

    let again = config.source.config().unwrap();
    let names: Vec<_> = again.targets.iter().map(|target| target.name.as_str()).collect();
    assert_eq!(names, ["a", "c"]);
    assert!(matches!(&http_settings(target(&again, "a")).auth, Some(http::HttpAuth::Header { credentials, .. })
        if credentials.expose() == "another"));
}

fn error_of(path: &Path) -> String {
    load(path).unwrap_err().to_string().replace(&path.display().to_string(), "FILE")
}

#[test]
fn files_that_cannot_be_read_say_why() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    assert_eq!(error_of(&at("missing")), "FILE: cannot be opened: no such file or directory\n1 problem");
    assert_eq!(error_of(folder.path()), "FILE: is a directory; a file is wanted\n1 problem");

    fs::write(at("latin1"), b"targets:\n  - name: caf\xe9\n").unwrap();
    assert_eq!(
        error_of(&at("latin1")),
        "FILE: is not UTF-8: byte 22 (on line 2) begins no character; save the file as UTF-8\n1 problem"
    );

    let large = fs::File::create(at("large")).unwrap();
    large.set_len(50 << 20).unwrap();
    assert_eq!(error_of(&at("large")), "FILE: is 50 MiB large; at most 16 MiB are read\n1 problem");

    fs::write(at("nul"), "targets: \0").unwrap();
    assert!(error_of(&at("nul")).contains("not valid YAML"));

    use std::os::unix::fs::PermissionsExt;
    fs::write(at("locked"), "targets: []").unwrap();
    fs::set_permissions(at("locked"), fs::Permissions::from_mode(0o000)).unwrap();
    // root reads everything.
    if fs::File::open(at("locked")).is_err() {
        assert_eq!(error_of(&at("locked")), "FILE: cannot be opened: permission denied\n1 problem");
    }
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_do_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.yaml");
    fs::write(&path, "\u{feff}targets:\r\n  - name: a\r\n    target: 127.0.0.1\r\n").unwrap();
    assert_eq!(load(&path).unwrap().targets[0].name.as_str(), "a");
}

#[test]
fn hostile_text_ends_with_an_error() {
    let mebi = 1 << 20;
    for (what, text) in [
        ("brackets", "[".repeat(8 * mebi)),
        ("braces", "{a: ".repeat(2 * mebi)),
        ("dashes", "- ".repeat(4 * mebi)),
        ("questions", "? ".repeat(mebi)),
        ("a large text aliased often", format!("a: &a '{}'\nb: [{}]", "x".repeat(mebi), "*a, ".repeat(mebi / 4))),
        ("one endless line", format!("targets: {}", "x".repeat(mebi))),
        ("many keys", (0..30_000).map(|i| format!("k{i}: 1.5\n")).collect()),
        ("many values of the wrong type", {
            let mut text = String::from("targets: [{name: a, target: 127.0.0.1}]\nglobal:\n  labels:\n");
            (0..30_000).for_each(|i| text.push_str(&format!("    l{i}: []\n")));
            text
        }),
        ("many headers", {
            let mut text = String::from("modules:\n  m:\n    prober: http\n    http:\n      headers:\n");
            (0..40_000).for_each(|i| text.push_str(&format!("        X-{i}: a\n")));
            text
        }),
        ("many documents", "---\n".repeat(mebi)),
        ("merges of merges", {
            let mut text = String::from("a0: &a0 {k: v}\n");
            for i in 1..200 {
                text.push_str(&format!("a{i}: &a{i} {{<<: [{}]}}\n", vec![format!("*a{}", i - 1); 20].join(", ")));
            }
            text
        }),
    ] {
        assert!(config(&text).map_or(true, |config| !config.faults.is_empty()), "{what}");
    }
}

#[test]
fn thousands_of_problems_are_counted_and_not_all_printed() {
    let text: String = "targets:\n"
        .chars()
        .chain((0..3_000).flat_map(|i| format!("- {{name: t{i}}}\n").chars().collect::<Vec<_>>()))
        .collect();
    let errors = config(&text).unwrap_err();
    assert_eq!(errors.problems().len(), 3_000);
    let report = errors.to_string();
    assert!(report.ends_with("... and 2500 more\n3000 problems"), "{report}");
}

#[test]
fn certificates_and_keys_are_read_and_held_against_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for name in ["one", "two"] {
        let made = rcgen::generate_simple_self_signed(vec![format!("{name}.example.com")]).unwrap();
        fs::write(at(&format!("{name}.pem")), made.cert.pem()).unwrap();
        fs::write(at(&format!("{name}.key")), made.signing_key.serialize_pem()).unwrap();
    }
    let tls = |tls: &str| {
        let text = format!(
            "modules: {{m: {{prober: http, http: {{tls_config: {tls}}}}}, n: {{prober: tcp, tcp: {{tls_config: {tls}}}}}}}"
        );
        Source::new(at("config.yaml"), text).config_with(&environment)
    };
    let config = tls("{ca_file: one.pem, cert_file: two.pem, key_file: two.key}").unwrap();
    let (ModuleSettings::Http(http), ModuleSettings::Tcp(tcp)) =
        (&config.modules["m"].settings, &config.modules["n"].settings)
    else {
        panic!("one of each")
    };
    assert_eq!(http.tls.roots.as_ref().unwrap().len(), 1);
    assert!(Arc::ptr_eq(http.tls.roots.as_ref().unwrap(), tcp.tls_config.roots.as_ref().unwrap()));
    assert!(Arc::ptr_eq(http.tls.client.as_ref().unwrap(), tcp.tls_config.client.as_ref().unwrap()));

    let error = tls("{cert_file: one.pem, key_file: two.key}").unwrap().faults.to_string();
    assert!(error.contains("two.key: the key does not belong to the certificate in cert_file"), "{error}");
    let error = tls("{cert_file: one.key, key_file: one.pem}").unwrap().faults.to_string();
    assert!(
        error.contains("one.key holds no certificate") && error.contains("one.pem holds no private key"),
        "{error}"
    );
}

#[test]
fn variables_stay_as_they_are_in_a_file_of_blackbox_exporter() {
    let modules = "modules:
  m:
    prober: http
    http:
      basic_auth: {username: me, password: 'pa$$w'}
      headers: {X: '${UNSET_VARIABLE}', Y: 'a$b'}
";
    let config = config(modules).unwrap();
    let ModuleSettings::Http(http) = &config.modules["m"].settings else { panic!("m is http") };
    assert_eq!(http.headers["x"], "${UNSET_VARIABLE}");
    assert!(matches!(&http.auth, Some(http::HttpAuth::Basic { password, .. }) if password.expose() == "pa$$w"));
    let told = |config: &Config| {
        config.warnings.iter().filter(|warning| warning.contains('$') || warning.contains("environment")).count()
    };
    assert_eq!(told(&config), 0, "{:?}", config.warnings);

    let set = |name: &str| (name == "UNSET_VARIABLE").then(|| "hunter2".to_owned());
    let load = |text: &str| Source::new("config.yaml", text).config_with(&set);
    let untouched = load(modules).unwrap();
    let told: Vec<_> = untouched.warnings.iter().filter(|warning| warning.contains("environment")).collect();
    assert!(
        matches!(told[..], [one] if one.contains("with global: {} in it they are") && !one.contains("hunter2")),
        "{told:?}"
    );
    let ModuleSettings::Http(http) = &untouched.modules["m"].settings else { panic!("m is http") };
    assert_eq!(http.headers["x"], "${UNSET_VARIABLE}");

    let ours = load(&format!("{modules}global: {{labels: {{a: '$$'}}}}\n")).unwrap();
    let ModuleSettings::Http(http) = &ours.modules["m"].settings else { panic!("m is http") };
    assert_eq!(http.headers["x"], "hunter2");
    assert!(matches!(&http.auth, Some(http::HttpAuth::Basic { password, .. }) if password.expose() == "pa$w"));
    let told: Vec<_> = ours.warnings.iter().filter(|warning| warning.contains('$')).collect();
    let [password, header] = told[..] else { panic!("{told:?}") };
    assert!(password.starts_with("config.yaml:5: modules.m.http.basic_auth.password: has $$, "), "{password}");
    assert!(header.starts_with("config.yaml:6: modules.m.http.headers.X: has a variable, "), "{header}");
}

#[test]
fn numbers_are_texts_as_they_are_written_where_texts_are_wanted() {
    let config = config(
        "modules:
  m: {prober: http, http: {headers: {A: 0x1f, B: +5, C: 007, D: 1_000, E: '0x1f', F: 0o17, G: 5}, valid_status_codes: [0xC8, 0310, 2_01, ~]}}
  p: {prober: icmp, icmp: {payload_size: 0x1f, ttl: 0o17}}
",
    )
    .unwrap();
    let ModuleSettings::Http(http) = &config.modules["m"].settings else { panic!("m is http") };
    for (name, value) in
        [("a", "0x1f"), ("b", "+5"), ("c", "007"), ("d", "1_000"), ("e", "0x1f"), ("f", "0o17"), ("g", "5")]
    {
        assert_eq!(http.headers[name], value);
    }
    let codes: Vec<u16> = http.valid_status_codes.iter().map(|range| range.first).collect();
    assert_eq!(codes, [200, 200, 201, 0]);
    let ModuleSettings::Icmp(icmp) = &config.modules["p"].settings else { panic!("p is icmp") };
    assert_eq!((icmp.payload_size, icmp.hop_limit), (31, Some(15)));
}

#[test]
fn tags_of_ones_own_are_passed_over_with_a_warning() {
    let config = config("modules:\n  m: !mine {prober: http, http: {headers: {A: !secret b}}}\n").unwrap();
    let ModuleSettings::Http(http) = &config.modules["m"].settings else { panic!("m is http") };
    assert_eq!(http.headers["a"], "b");
    for told in [
        "config.yaml:2: modules.m: the tag !mine has no meaning here; ",
        "config.yaml:2: modules.m.http.headers.A: the tag !secret has no meaning here; ",
    ] {
        assert!(config.warnings.iter().any(|warning| warning.starts_with(told)), "{:?}", config.warnings);
    }
}

#[test]
fn an_address_that_file_sd_has_twice_is_one_target() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let write = |name: &str, text: &str| fs::write(at(name), text).unwrap();
    let load = |text: &str| Source::new(at("config.yaml"), text).config_with(&environment);
    let main = "modules: {a: {prober: http}, b: {prober: http}}\ntarget_files: ['*.json']\n";
    // Twice in a group, in two groups of a file, in two files; then by labels that Prometheus drops.
    let group = |targets: &str, labels: &str| format!("{{\"targets\": [{targets}], \"labels\": {{{labels}}}}}");
    let (one, team) = ("\"http://h/\"", "\"team\": \"web\"");
    for (what, first, second) in [
        ("within a group", group(&format!("{one}, {one}"), team), group("", "")),
        ("across groups", format!("{}, {}", group(one, team), group(one, team)), group("", "")),
        ("across files", group(one, team), group(one, team)),
        ("but for labels that are dropped", group(one, team), group(one, "\"team\": \"web\", \"__meta_x\": \"y\"")),
        ("by the same name", group(one, "\"__target_name\": \"n\""), group(one, "\"__target_name\": \"n\"")),
    ] {
        write("1.json", &format!("[{first}]"));
        write("2.json", &format!("[{second}]"));
        let config = load(main).unwrap_or_else(|errors| panic!("{what}: {errors}"));
        assert_eq!(config.targets.len(), 1, "{what}");
        let told = config.warnings.iter().any(|warning| warning.contains("http://h/"));
        assert!(!told, "{what}: {:?}", config.warnings);
    }
    for (what, labels) in [
        ("other labels", "\"team\": \"db\""),
        ("fewer labels", ""),
        ("another module", "\"team\": \"web\", \"__param_module\": \"b\""),
        ("another interval", "\"team\": \"web\", \"__scrape_interval__\": \"1m\""),
    ] {
        write("1.json", &format!("[{}]", group(one, team)));
        write("2.json", &format!("[\n\n{}]", group(one, labels)));
        let config = load(main).unwrap_or_else(|errors| panic!("{what}: {errors}"));
        assert_eq!(config.targets.len(), 1, "{what}");
        assert_eq!(config.targets[0].labels.value("team"), Some("web"), "{what}: the first one runs");
        let told = |warning: &String| {
            warning
                .starts_with(&format!("{}:3: [0].targets[0]: \"http://h/\" is there already", at("2.json").display()))
                && warning.ends_with(&format!("; the first is on {}:1", at("1.json").display()))
        };
        assert!(config.warnings.iter().any(told), "{what}: {:?}", config.warnings);
    }
    // A name of one's own is an identity.
    write("1.json", &format!("[{}]", group(one, "\"__target_name\": \"n\"")));
    write("2.json", &format!("[{}]", group("\"http://other/\"", "\"__target_name\": \"n\"")));
    assert!(load(main).unwrap_err().to_string().contains("\"n\" is the name of another target too"));
    // What the main file has wins.
    write("1.json", &format!("[{}]", group(one, team)));
    write("2.json", "[]");
    let named = format!("{main}targets: [{{name: 'http://h/', target: 'http://h/', labels: {{team: own}}}}]\n");
    let config = load(&named).unwrap();
    assert_eq!((config.targets.len(), config.targets[0].labels.value("team")), (1, Some("own")));
    // One that has a problem is told by it, and by nothing else.
    write("1.json", &format!("[{}]", group("\"ftp://h/\", \"ftp://h/\"", "")));
    let errors = load(main).unwrap_err();
    assert!(errors.problems().iter().all(|problem| problem.message.contains("scheme")), "{errors}");
}

#[test]
fn keys_of_every_encoding_are_taken_and_a_bad_one_is_called_by_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let openssl = |args: &str| {
        let made = std::process::Command::new("openssl")
            .current_dir(folder.path())
            .args(args.split(' '))
            .output()
            .unwrap_or_else(|error| panic!("openssl {args}: {error}"));
        assert!(made.status.success(), "openssl {args}: {}", String::from_utf8_lossy(&made.stderr));
    };
    let certificate = |name: &str| {
        openssl(&format!("req -x509 -key {name}.key -subj /CN=test -days 1 -out {name}.pem"));
    };
    let faults = |name: &str| {
        let text = format!(
            "modules: {{m: {{prober: http, http: {{tls_config: {{cert_file: {name}.pem, key_file: {name}.key}}}}}}}}"
        );
        let config = Source::new(folder.path().join("config.yaml"), text).config_with(&environment).unwrap();
        config.faults.problems().iter().map(|problem| problem.message.clone()).collect::<Vec<_>>().join("; ")
    };
    for (name, make) in [
        ("pkcs1", "genrsa -traditional -out pkcs1.key 2048"),
        ("pkcs8", "genrsa -out pkcs8.key 2048"),
        ("sec1", "ecparam -name prime256v1 -genkey -noout -out sec1.key"),
        ("parameters", "ecparam -name secp384r1 -genkey -out parameters.key"),
        ("p521", "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-521 -out p521.key"),
        ("ed25519", "genpkey -algorithm ED25519 -out ed25519.key"),
    ] {
        openssl(make);
        certificate(name);
        assert_eq!(faults(name), "", "{name}");
    }
    for (name, make, words) in [
        (
            "small",
            "genrsa -out small.key 1024",
            "small.key holds an RSA key of 1024 bits, which is too small; RSA of 2048 to",
        ),
        (
            "curve",
            "ecparam -name secp256k1 -genkey -noout -out curve.key",
            "curve.key holds an ECDSA key on the curve secp256k1; ",
        ),
        ("ed448", "genpkey -algorithm ED448 -out ed448.key", "ed448.key holds an Ed448 key; "),
    ] {
        openssl(make);
        certificate(name);
        assert!(faults(name).starts_with(words), "{name}: {}", faults(name));
    }
    openssl("pkey -in pkcs8.key -aes256 -passout pass:a -out encrypted.key");
    openssl("pkey -in pkcs8.key -traditional -aes256 -passout pass:a -out encrypted1.key");
    openssl("pkey -in pkcs8.key -pubout -out public.key");
    for (name, words) in [
        ("encrypted", "encrypted.key holds an encrypted key; store it without a passphrase"),
        ("encrypted1", "encrypted1.key holds an encrypted key; store it without a passphrase"),
        ("public", "public.key holds no private key; PEM with BEGIN PRIVATE KEY is wanted"),
    ] {
        fs::copy(folder.path().join("pkcs8.pem"), folder.path().join(format!("{name}.pem"))).unwrap();
        assert_eq!(faults(name), words);
    }
    fs::copy(folder.path().join("sec1.key"), folder.path().join("other.key")).unwrap();
    fs::copy(folder.path().join("pkcs8.pem"), folder.path().join("other.pem")).unwrap();
    assert_eq!(faults("other"), "other.key: the key does not belong to the certificate in cert_file");
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_text_is_a_config_or_a_report(text in "\\PC{0,200}") {
            if let Err(errors) = config(&text) {
                prop_assert!(!errors.problems().is_empty());
            }
        }

        #[test]
        fn pieces_of_yaml_are_a_config_or_a_report(
            pieces in proptest::collection::vec(
                prop_oneof![
                    Just("targets"), Just("modules"), Just("global"), Just("labels"), Just("http"), Just("name"), Just(":"),
                    Just(": "), Just("\n"), Just("\n  "), Just("\n    "), Just("- "), Just("a"), Just("&x "), Just("*x"),
                    Just("<<"), Just("["), Just("]"), Just("{"), Just("}"), Just(", "), Just("'"), Just("\""), Just("!!binary "),
                    Just("!t "), Just("1.10"), Just("5s"), Just("${A}"), Just("#"), Just("|"), Just(">"), Just("\t"),
                    Just("---"), Just("? "), Just("~"), Just("é")
                ],
                0..60,
            )
        ) {
            if let Err(errors) = config(&pieces.concat()) {
                prop_assert!(!errors.to_string().is_empty());
            }
        }
    }
}

#[test]
fn the_example_loads_and_names_every_key() {
    let path = Path::new("config.example.yaml");
    let config = Source::read(path).unwrap().config_with(&|_| None).unwrap_or_else(|errors| panic!("{errors}"));
    let names: Vec<_> = config.targets.iter().map(|target| target.name.as_str()).collect();
    assert_eq!(names, ["closed-port", "exporter", "exporter-port"]);
    let text = config.source.text();
    for key in raw::keys() {
        let written = text.contains(&format!("{key}:")) || text.contains(&format!("# {key}"));
        assert!(written, "config.example.yaml does not mention {key}");
    }
}

#[test]
fn the_defaults_are_those_that_the_example_quotes() {
    let config = config("targets: [{name: a, target: 127.0.0.1}]").unwrap();
    let plain = target(&config, "a");
    assert_eq!((plain.cadence.interval(), plain.cadence.timeout()), (Duration::from_secs(15), Duration::from_secs(5)));
    assert_eq!((plain.confirm.failures.get(), plain.confirm.retry_interval), (2, Duration::from_secs(2)));
    assert!(plain.latency_buckets.is_empty() && http_settings(plain).keep_excerpt);
    assert_eq!(http_settings(plain).dns_servers, DnsServers::System);
    assert_eq!(config.refresh_interval, Duration::from_secs(5));
    let example = load(Path::new("config.example.yaml")).unwrap();
    let closed = target(&example, "closed-port");
    assert_eq!(closed.confirm, plain.confirm);
    assert_eq!(example.refresh_interval, config.refresh_interval);
}

#[test]
fn five_thousand_targets_share_one_copy_of_their_settings() {
    let mut text =
        String::from("modules: {m: {prober: http, http: {fail_if_body_not_matches_regexp: [ok]}}}\ntargets:\n");
    for i in 0..5_000 {
        text.push_str(&format!(
            "  - {{name: t{i}, target: 'http://127.0.0.1:8080/{i}', module: m, labels: {{shard: s{}}}}}\n",
            i % 7
        ));
    }
    let config = config(&text).unwrap();
    assert_eq!(config.targets.len(), 5_000);
    let first = http_settings(&config.targets[0]);
    assert!(config.targets.iter().all(|target| Arc::ptr_eq(http_settings(target), first)));
}

#[test]
fn an_assertion_has_claims_of_any_shape_and_defaults_of_the_client() {
    let text = "modules:
  j:
    prober: http
    http:
      oauth2:
        grant_type: urn:ietf:params:oauth:grant-type:jwt-bearer
        client_id: me
        token_url: https://login.example.com/token
        client_certificate_key: hunter2
        claims: {tenant: 7, roles: [read, 1.5, null], deep: {on: true}}
targets: [{name: a, target: 'http://127.0.0.1/', module: j}]
";
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.yaml");
    fs::write(&path, text).unwrap();
    let config = load(&path).unwrap();
    let ProbeSpec::Http { settings, .. } = &config.targets[0].probe else { panic!() };
    let Some(http::HttpAuth::OAuth2(oauth)) = &settings.auth else { panic!() };
    let http::OAuth2Grant::JwtBearer(jwt) = &oauth.grant else { panic!() };
    assert_eq!((jwt.issuer.as_str(), jwt.audience.as_str()), ("me", "https://login.example.com/token"));
    assert_eq!((jwt.algorithm, jwt.key.expose()), (http::JwtAlgorithm::Rs256, "hunter2"));
    let claims: serde_json::Map<_, _> = jwt.claims.iter().cloned().collect();
    assert_eq!(
        serde_json::Value::Object(claims),
        serde_json::json!({"tenant": 7, "roles": ["read", 1.5, null], "deep": {"on": true}})
    );
    assert!(!format!("{config:?}").contains("hunter2"));
}

/// HTTP/3 is https alone, and a port that is written stays what it is, as with the incumbent.
#[test]
fn a_target_over_http3_is_an_https_one_with_the_port_that_it_names() {
    for (module, target, url, names_port, warned) in [
        ("h3", "http://a.example", "https://a.example/", false, true),
        ("h3", "http://a.example:80/x", "https://a.example:80/x", false, true),
        ("h3", "HTTP://a.example:443/", "https://a.example/", true, true),
        ("h3", "http://a.example:8080", "https://a.example:8080/", false, true),
        ("h3", "a.example:80", "https://a.example:80/", false, false),
        ("h3", "a.example", "https://a.example/", false, false),
        ("h3", "https://a.example:443/", "https://a.example/", true, false),
        ("h3", "https://a.example:80/", "https://a.example:80/", false, false),
        ("h3", "http://me:secret@[::1]:80/", "https://[::1]:80/", false, true),
        ("any", "http://a.example:80/", "http://a.example/", true, false),
        ("any", "http://me:80@a.example/", "http://a.example/", false, false),
        ("any", "http://a.example/x:80", "http://a.example/x:80", false, false),
        ("any", "a.example:80", "http://a.example/", true, false),
        ("any", "https://a.example:443?q", "https://a.example/?q", true, false),
        ("any", "https://a.example:80/", "https://a.example:80/", false, false),
        ("any", "http://[::80]/", "http://[::80]/", false, false),
    ] {
        let text = format!(
            "modules: {{h3: {{prober: http, http: {{enable_http3: true, enable_http2: false}}}}, any: {{prober: http}}}}\n\
             targets: [{{name: a, target: '{target}', module: {module}}}]\n"
        );
        let config = Source::new("t.yaml", text).config().unwrap();
        let ProbeSpec::Http { url: found, names_port: found_port, .. } = &config.targets[0].probe else { panic!() };
        assert_eq!((found.url().as_str(), *found_port), (url, names_port), "{module} {target}");
        let sentence = format!("targets[0].target: is asked as {url}, for its module has enable_http3");
        assert_eq!(config.warnings.iter().any(|warning| warning.contains(&sentence)), warned, "{:?}", config.warnings);
        assert!(!config.warnings.iter().any(|warning| warning.contains("secret")), "{:?}", config.warnings);
        let ProbeSpec::Http { url: by_request, names_port: port, .. } =
            config.modules[module].probe_spec(target).unwrap()
        else {
            panic!()
        };
        assert_eq!((by_request.url().as_str(), port), (url, names_port), "by request: {module} {target}");
    }
}

#[test]
fn a_way_is_traced_unless_re_checks_are_off_and_each_key_overrides_alone() {
    let hour = Some(Duration::from_secs(3600));
    for (global, target, enabled, every) in [
        ("", "", true, None),
        ("path: {every: 1h}", "", true, hour),
        ("path: {every: 1h}", "path: {enabled: false}", false, hour),
        ("path: {every: 1h}", "path: {every: 0s}", true, None),
        ("path: {enabled: false}", "path: {every: 1h}", false, hour),
        ("path: {enabled: false}", "path: {enabled: true}", true, None),
        ("", "diagnose: false", false, None),
        ("", "diagnose: false, path: {enabled: true}", true, None),
        ("diagnose: false", "", false, None),
        ("diagnose: false, path: {enabled: true}", "", false, None),
        ("diagnose: false", "diagnose: true", false, None),
        ("diagnose: false", "path: {enabled: true}", true, None),
    ] {
        let comma = if target.is_empty() { "" } else { ", " };
        let text = format!("global: {{{global}}}\ntargets: [{{name: a, target: 127.0.0.1{comma}{target}}}]\n");
        let config = config(&text).unwrap_or_else(|errors| panic!("{text}{errors}"));
        assert_eq!(config.targets[0].path, PathSettings { enabled, every }, "{text}");
    }
}
