//! The whole way, on files; what Prometheus makes of such is held by `tests/integration/convert.rs`.
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::config::{Config, Source};

/// Rules that every such job has.
const BLACKBOX_RULES: &str = "
    metrics_path: /probe
    relabel_configs:
      - {source_labels: [__address__], target_label: __param_target}
      - {source_labels: [__param_target], target_label: instance}
      - {target_label: __address__, replacement: 127.0.0.1:9115}
";

struct Case(TempDir);

impl Case {
    fn new(prometheus: &str) -> Self {
        let case = Self(tempfile::tempdir().unwrap());
        case.file("prometheus.yml", &prometheus.replace("BLACKBOX", BLACKBOX_RULES.trim()))
    }

    /// One job, `web`, with these keys.
    fn job(keys: &str) -> Self {
        Self::new(&format!("scrape_configs:\n  - job_name: web\n    BLACKBOX\n{keys}"))
    }

    fn file(self, name: &str, text: &str) -> Self {
        let path = self.0.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    fn args(&self) -> ConvertArgs {
        let there = |name: &str| Some(self.0.path().join(name)).filter(|path| path.exists());
        ConvertArgs {
            prometheus: self.0.path().join("prometheus.yml"),
            blackbox: there("blackbox.yml"),
            exporter: None,
            output: Some(self.0.path().join("config.yaml")),
        }
    }

    fn convert_with(&self, args: &ConvertArgs) -> (String, Vec<String>, Config) {
        let Conversion { config, notes, .. } = convert(args).unwrap();
        let loaded = Source::new(self.0.path().join("config.yaml"), config.as_str()).config();
        let folder = format!("{}/", self.0.path().display());
        let notes = notes.iter().map(|note| note.to_string().replace(&folder, "")).collect();
        (config, notes, loaded.unwrap())
    }

    /// The config, what is noted, and the config as our loader reads it.
    fn convert(&self) -> (String, Vec<String>, Config) {
        self.convert_with(&self.args())
    }
}

const TARGET: &str = "    static_configs: [{targets: [https://a.example.com/]}]\n";
const MODULES: &str = "modules: {http_2xx: {prober: http}, tcp_connect: {prober: tcp}, icmp: {prober: icmp}}\n";

fn names(config: &Config) -> Vec<&str> {
    config.targets.iter().map(|target| target.name.as_str()).collect()
}

#[test]
fn what_stays_behind_is_listed_with_its_line_and_no_secret() {
    let case = Case::job(&format!(
        "{TARGET}    consul_sd_configs: [{{server: localhost:8500, token: hunter2}}]
    metric_relabel_configs: [{{regex: x, action: labeldrop}}]
    basic_auth: {{username: me, password: hunter2}}
    tls_config: {{insecure_skip_verify: true}}
    sample_limit: 100
    honor_labels: true
    scheme: https
    params: {{debug: ['true'], module: [http_2xx]}}
"
    ))
    .file("blackbox.yml", MODULES);
    let (config, notes, _) = case.convert();
    let places: Vec<&str> = notes.iter().map(|note| note.split("; ").next().unwrap()).collect();
    assert_eq!(
        places,
        [
            "prometheus.yml:9: job web: the targets of consul_sd_configs are known to Prometheus alone",
            "prometheus.yml:10: job web: metric_relabel_configs are not carried over",
            "prometheus.yml:11: job web: basic_auth and tls_config say how Prometheus gets to blackbox_exporter",
            "prometheus.yml:13: job web: sample_limit is not carried over",
            "prometheus.yml:16: job web: parameters that no prober has are left out: debug",
        ]
    );
    assert!(config.contains("# This scrape job of Prometheus is for these targets:"), "the job has to stay: {config}");
    assert!(!config.contains("hunter2"), "{config}");
    for note in notes {
        assert!(config.contains(&note["prometheus.yml".len()..]), "{note}\n{config}");
    }
}

#[test]
fn files_that_cannot_be_read_are_told() {
    let keys = format!("{TARGET}    file_sd_configs: [{{files: [sd/*.json, none.yml]}}]\n");
    let case = Case::job(&keys)
        .file("blackbox.yml", MODULES)
        .file("sd/a.json", r#"[{"targets": ["https://b.example.com/"]}]"#)
        .file("sd/b.json", "[{")
        .file("sd/c.json", "");
    let (_, notes, config) = case.convert();
    assert_eq!(names(&config), ["https://a.example.com/", "https://b.example.com/"]);
    assert!(notes[0].starts_with("prometheus.yml:9: job web: sd/b.json:1: not valid JSON"), "{notes:#?}");
    assert!(notes.iter().any(|note| note.contains("no file matches none.yml")), "{notes:#?}");
    assert!(notes.iter().any(|note| note.contains("the 1 target of sd/*.json and none.yml")), "{notes:#?}");
}

#[test]
fn jobs_of_further_files_are_found_with_their_files_beside_them() {
    let job = format!("scrape_configs:\n  - job_name: web\n    {}\n", BLACKBOX_RULES.trim());
    let case = Case::new("scrape_config_files: ['jobs/*/*.jobs.yml', none/*.yml]\n")
        .file("blackbox.yml", MODULES)
        .file("jobs/web/a.jobs.yml", &format!("{job}    file_sd_configs: [{{files: [../web/./sd.yml]}}]\n"))
        .file("jobs/web/sd.yml", "[{targets: [https://a.example.com/]}]")
        .file("jobs/web/.hidden.jobs.yml", "[");
    let (_, notes, config) = case.convert();
    assert_eq!(names(&config), ["https://a.example.com/"]);
    assert!(notes[0].starts_with("prometheus.yml:1: no file matches none/*.yml"), "{notes:#?}");
    assert!(notes[1].starts_with("jobs/web/a.jobs.yml:8: job web: the 1 target of ../web/./sd.yml"), "{notes:#?}");
}

#[test]
fn modules_stay_as_they_are_written_or_are_written_anew() {
    let odd = "%YAML 1.1
---
# Ours.
modules:
  http_2xx:  # the usual
    prober: http
    http: {headers: {X: 1.10}}
...
";
    let (config, notes, _) = Case::job(TARGET).file("blackbox.yml", odd).convert();
    assert!(config.contains("# Ours.\nmodules:\n  http_2xx:  # the usual\n    prober: http\n"), "{config}");
    assert_eq!(notes, [""; 0]);

    for blackbox in [
        "{modules: {http_2xx: {prober: http, http: {body: 'a: 1.10', headers: {X: 1.10}}}}}",
        "modules: {http_2xx: {prober: http, http: {body: 'a: 1.10', headers: {X: 1.10}}}}",
        "  modules:\n    http_2xx: {prober: http, http: {body: 'a: 1.10', headers: {X: 1.10}}}",
    ] {
        let (text, notes, config) = Case::job(TARGET).file("blackbox.yml", blackbox).convert();
        assert!(notes.is_empty(), "{notes:#?}");
        let module = &config.modules["http_2xx"];
        assert!(!module.built_in && module.masked_yaml.contains("1.10"), "{text}\n{}", module.masked_yaml);
    }

    // What our loader would take for a variable.
    let blackbox = "modules:\n  http_2xx:\n    prober: http\n    http: {body: 'a ${HOME} $$ ${1}'}\n  # x\n";
    let (text, notes, config) = Case::job(TARGET).file("blackbox.yml", blackbox).convert();
    assert!(notes.is_empty(), "{notes:#?}");
    assert!(text.contains("body: a $${HOME} $$$$ $${1}"), "{text}");
    let crate::config::ModuleSettings::Http(http) = &config.modules["http_2xx"].settings else { panic!() };
    assert_eq!(http.body, b"a ${HOME} $$ ${1}"[..]);
}

#[test]
fn a_module_that_we_refuse_takes_its_targets_with_it() {
    let blackbox = "modules:
  # ours
  ours:
    prober: http
    http: {fail_if_ssl: perhaps, folow: 1}
  # the usual
  http_2xx: {prober: http}
";
    let keys = "    static_configs:
      - {targets: [a.example.com, b.example.com], labels: {__param_module: ours}}
      - {targets: [d.example.com, 'https://x y/'], labels: {}}
      - {targets: [e.example.com], labels: {__param_module: nobody}}
";
    let (text, notes, config) = Case::job(keys).file("blackbox.yml", blackbox).convert();
    assert_eq!(names(&config), ["d.example.com"]);
    assert_eq!(notes.len(), 3, "{notes:#?}");
    assert!(notes[0].contains("the module nobody of 1 target is not in "), "{notes:#?}");
    assert!(
        notes[1].starts_with("blackbox.yml:3: module ours: http.fail_if_ssl: expected true or false"),
        "{notes:#?}"
    );
    assert!(notes[1].contains(" and http.folow: unknown key; "), "{notes:#?}");
    assert!(notes[1].ends_with("; it is left out, and 2 targets with it"), "{notes:#?}");
    assert!(notes.iter().any(|note| note.contains("https://x y/: target: ")), "{notes:#?}");
    let commented = "  # ours\n  #   ours:\n  #     prober: http\n  #     http: {fail_if_ssl: perhaps, folow: 1}\n  # the usual\n  http_2xx:";
    assert!(text.contains(commented), "{text}");
}

#[test]
fn a_module_that_would_start_and_fail_is_carried_over_and_told() {
    let blackbox = "modules:
  base: &base {timeout: 3s}
  http_2xx:
    <<: *base
    prober: http
    http: {basic_auth: {username: a, password_file: nowhere/password}}
";
    let (text, notes, config) = Case::job(TARGET).file("blackbox.yml", blackbox).convert();
    assert!(text.contains("password_file: nowhere/password"), "{text}");
    assert_eq!(config.targets.len(), 1);
    assert_eq!(notes.len(), 1, "{notes:#?}");
    assert!(notes[0].contains("module http_2xx: http.basic_auth.password_file: "), "{notes:#?}");
    assert!(notes[0].ends_with("; it is carried over, and fails until that is put right"), "{notes:#?}");
}

#[test]
fn without_a_blackbox_yml_well_known_modules_are_guessed() {
    let keys = "    static_configs:
      - {targets: [a.example.com]}
      - {targets: [b.example.com], labels: {__param_module: icmp}}
      - {targets: [c.example.com, d.example.com], labels: {__param_module: ours}}
";
    let (_, notes, config) = Case::job(keys).convert();
    assert_eq!(names(&config), ["a.example.com", "b.example.com"]);
    assert_eq!(
        notes[0].split_once(": ").unwrap().1,
        "modules are guessed by their names: http_2xx and icmp; give --blackbox, or put yours there"
    );
    assert_eq!(
        notes[1],
        "prometheus.yml:2: job web: what the module ours of 2 targets does is not known; give --blackbox"
    );
}

#[test]
fn a_hostname_is_put_over_what_the_module_has() {
    let blackbox = "modules:
  http_2xx: {prober: http, http: {headers: {X: 'a, b'}}}
  named: {prober: http, http: {headers: {host: n.example.com}}}
  tls: {prober: tcp, tcp: {tls: true, tls_config: {insecure_skip_verify: true, min_version: TLS12}}}
  sni: {prober: tcp, tcp: {tls: true, tls_config: {server_name: s.example.com}}}
";
    let keys = "    static_configs:
      - {targets: [a.example.com], labels: {__param_hostname: n.example.com}}
      - {targets: [b.example.com], labels: {__param_hostname: n.example.com, __param_module: named}}
      - {targets: [c.example.com], labels: {__param_hostname: other.example.com, __param_module: named}}
      - {targets: ['d.example.com:443'], labels: {__param_hostname: n.example.com, __param_module: tls}}
      - {targets: ['e.example.com:443'], labels: {__param_hostname: n.example.com, __param_module: sni}}
";
    let (text, notes, config) = Case::job(keys).file("blackbox.yml", blackbox).convert();
    assert_eq!(config.targets.len(), 4);
    assert_eq!(notes.len(), 1);
    assert!(notes[0].contains("c.example.com: its module has another Host header"), "{notes:#?}");
    assert!(text.contains("    http: {headers: {Host: n.example.com, X: \"a, b\"}}\n"), "{text}");
    let tls = "    tcp: {tls_config: {server_name: n.example.com, insecure_skip_verify: true, min_version: TLS12}}\n";
    assert!(text.contains(tls), "{text}");
    assert_eq!(text.matches("    tcp: {tls").count(), 1, "{text}");
}

#[test]
fn labels_keep_their_names_but_for_target() {
    let keys = "    static_configs:
      - {targets: [a.example.com], labels: {module: x, exported_module: y, team: web, reason: z}}
      - {targets: [b.example.com], labels: {target: x, exported_target: y}}
      - {targets: [c.example.com], labels: {phase: x, version: '2'}}
";
    let case = Case::job(keys).file("blackbox.yml", MODULES);
    let (_, notes, config) = case.convert();
    let labels = |index: usize| -> Vec<(&str, &str)> { config.targets[index].labels.iter().collect() };
    assert_eq!(
        labels(0),
        [("exported_module", "y"), ("job", "web"), ("module", "x"), ("reason", "z"), ("team", "web")]
    );
    assert_eq!(labels(1), [("exported_target", "y"), ("exported_target_", "x"), ("job", "web")]);
    assert_eq!(labels(2), [("job", "web"), ("phase", "x"), ("version", "2")]);
    assert_eq!(notes.len(), 2, "{notes:#?}");
    assert!(notes.iter().any(|note| note.contains("the label target is named exported_target_, ")), "{notes:#?}");
    assert!(notes.iter().any(|note| note.contains("series with a label phase and version of their own")), "{notes:#?}");
}

#[test]
fn credentials_of_a_target_are_in_the_target_alone() {
    let keys = "    static_configs: [{targets: ['https://me:hunter2@a.example.com/', 'https://me:hunter2@[/']}]\n";
    let (text, notes, config) = Case::job(keys).file("blackbox.yml", MODULES).convert();
    assert_eq!(names(&config), ["https://me:<secret>@a.example.com/"]);
    assert_eq!(text.matches("hunter2").count(), 1, "{text}");
    assert!(notes.iter().all(|note| !note.contains("hunter2")), "{notes:#?}");
}

#[test]
fn several_exporters_are_told_and_can_be_told_apart() {
    let job = |name: &str, address: &str| {
        format!("  - job_name: {name}\n    BLACKBOX\n{TARGET}")
            .replace("BLACKBOX", BLACKBOX_RULES.trim())
            .replace("127.0.0.1:9115", address)
    };
    let case = Case::new(&format!("scrape_configs:\n{}{}", job("eu", "eu:9115"), job("us", "us")))
        .file("blackbox.yml", MODULES);
    let (_, notes, config) = case.convert();
    assert_eq!(names(&config), ["https://a.example.com/ (eu)", "https://a.example.com/ (us)"]);
    assert_eq!(notes.len(), 1);
    assert!(notes[0].contains("the targets of all: eu:9115 (1 target) and us:80 (1 target); "), "{notes:#?}");
    let args = ConvertArgs { exporter: Some("us:80".to_owned()), ..case.args() };
    let (text, notes, config) = case.convert_with(&args);
    assert_eq!(names(&config), ["https://a.example.com/"]);
    assert!(notes.is_empty() && text.contains("takes the place of us:"), "{notes:#?}\n{text}");
}

#[test]
fn what_prometheus_does_not_scrape_is_no_target() {
    let keys = "    static_configs:
      - {targets: [a.example.com], labels: {__scrape_interval__: 1x}}
      - {targets: [b.example.com], labels: {__scrape_timeout__: 2h}}
      - {targets: [c.example.com, c.example.com]}
";
    let (_, notes, config) = Case::job(keys).file("blackbox.yml", MODULES).convert();
    assert_eq!(names(&config), ["c.example.com"], "the same twice is once");
    assert_eq!(notes.len(), 2);
    assert!(notes[0].contains("a.example.com: __scrape_interval__: "), "{notes:#?}");
    assert!(notes[1].contains("its scrape timeout is longer than its interval"), "{notes:#?}");

    let (_, notes, config) = Case::new(&format!(
        "scrape_configs:
  - job_name: broken
    metrics_path: /probe
    relabel_configs: [{{action: replace, regex: '('}}]
  - job_name: timeout
    scrape_timeout: 2m
  - job_name: no-instance
    metrics_path: /probe
    params: {{target: [https://b.example.com/]}}
    static_configs: [{{targets: ['localhost:9115']}}]
  - job_name: web
    BLACKBOX
{TARGET}"
    ))
    .file("blackbox.yml", MODULES)
    .convert();
    assert_eq!(names(&config), ["https://a.example.com/", "https://b.example.com/"]);
    assert!(notes[0].contains("job timeout: its scrape_timeout is longer"), "{notes:#?}");
    assert!(notes[1].contains("job broken: relabel_configs[0]: its regex cannot be compiled"), "{notes:#?}");
    assert!(notes[2].contains("the label instance of 1 target was the address of blackbox_exporter"), "{notes:#?}");
}

#[test]
fn a_file_that_is_there_is_left_alone_and_a_new_one_is_as_private_as_the_modules() {
    use std::os::unix::fs::PermissionsExt as _;

    let case = Case::job(TARGET).file("blackbox.yml", MODULES);
    let args = case.args();
    std::fs::set_permissions(args.blackbox.as_ref().unwrap(), std::fs::Permissions::from_mode(0o600)).unwrap();
    let path: PathBuf = case.0.path().join("config.yaml");
    save("a", &path, &args).unwrap();
    save("a", &path, &args).unwrap();
    assert!(matches!(save("b", &path, &args), Err(WriteError::Exists(_))));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "a");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever stands in the files, what comes out is a config of ours or a sentence.
    #[test]
    fn what_comes_out_loads(
        addresses in proptest::collection::vec(r"[a-z]{1,3}(\.example\.com)?(:[0-9]{1,6})?|https?://[a-z$\{\}@:/?#\[\] ]{0,8}|\PC{0,6}", 1..4),
        labels in proptest::collection::btree_map(r"[a-z_é]{1,4}|module|target|phase|__param_hostname|instance|job", r"[a-z$\{\}:,#'\n]{0,6}|\PC{0,4}", 0..4),
        module in "http_2xx|tcp_connect|icmp|\\PC{0,3}",
        modules in r"modules: \{http_2xx: \{prober: http, http: \{body: '[a-z$\{\}]{0,6}'\}\}\}\n|\PC{0,20}",
    ) {
        let yaml = |text: &str| yaml::scalar(text);
        let addresses: Vec<String> = addresses.iter().map(|address| yaml(address)).collect();
        let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{}: {}", yaml(name), yaml(value))).collect();
        let keys = format!(
            "    params: {{module: [{}]}}\n    static_configs: [{{targets: [{}], labels: {{{}}}}}]\n",
            yaml(&module), addresses.join(", "), labels.join(", ")
        );
        let case = Case::job(&keys).file("blackbox.yml", &modules);
        match convert(&case.args()) {
            Ok(conversion) => {
                let loaded = Source::new(case.0.path().join("config.yaml"), conversion.config.as_str()).config();
                prop_assert!(loaded.is_ok(), "{}\n{}", loaded.unwrap_err(), conversion.config);
            }
            Err(ConvertError::Refused(errors)) => prop_assert!(false, "{}", errors),
            Err(ConvertError::Input(_) | ConvertError::NoProbes(_) | ConvertError::NoSuchExporter { .. }) => {}
        }
    }
}
