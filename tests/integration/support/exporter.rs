//! The real binary in a directory of its own, on a port of its own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::client::{self, Response};
use super::poll;
use super::process::{Finished, Process};
use super::scrape::Page;

/// An exporter that is about to be started.
pub(crate) struct Setup {
    dir: TempDir,
    args: Vec<String>,
    env: Vec<(String, String)>,
}

impl Setup {
    /// With this text as `config.yaml`.
    pub(crate) fn new(config: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("uptime_exporter.").tempdir().unwrap();
        let setup = Self { dir, args: Vec::new(), env: Vec::new() };
        setup.file("config.yaml", config)
    }

    /// A further file in the directory of the config.
    pub(crate) fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        write(&self.dir.path().join(name), content.as_ref());
        self
    }

    pub(crate) fn arg(mut self, arg: &str) -> Self {
        self.args.push(arg.to_owned());
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_uptime_exporter"));
        command.current_dir(self.dir.path()).arg("--config.file=config.yaml").args(&self.args);
        // What a developer's shell has set is no part of a test.
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"] {
            command.env_remove(name).env_remove(name.to_lowercase());
        }
        command.env("NO_COLOR", "1").envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    /// For `--once` and `--config.check`.
    pub(crate) fn run_to_end(self) -> Finished {
        Process::spawn(&mut self.command()).finish()
    }

    /// Starts it, and returns once it listens.
    pub(crate) fn start(self) -> Exporter {
        let mut command = self.command();
        command.args(["--web.listen-address", "127.0.0.1:0"]);
        let process = Process::spawn(&mut command);
        let address = process.wait_for_line("the address on which it listens", listening);
        Exporter { process, address, dir: self.dir }
    }
}

/// `... address=127.0.0.1:43210 ...`, or the same in JSON.
fn listening(line: &str) -> Option<SocketAddr> {
    let from = line.find("127.0.0.1:").filter(|_| line.contains("address") && line.contains("Listening"))?;
    let end = line[from..].find(|c: char| !c.is_ascii_digit() && c != '.' && c != ':').unwrap_or(line.len() - from);
    line[from..from + end].parse().ok()
}

fn write(path: &Path, content: &[u8]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    // Never half a file: the exporter may be looking.
    let new = path.with_extension("new");
    std::fs::write(&new, content).unwrap();
    std::fs::rename(&new, path).unwrap();
}

/// A running exporter; killed when dropped.
pub(crate) struct Exporter {
    process: Process,
    pub(crate) address: SocketAddr,
    dir: TempDir,
}

impl Exporter {
    pub(crate) fn start(config: &str) -> Self {
        Setup::new(config).start()
    }

    pub(crate) fn get(&self, path: &str) -> Response {
        client::get(self.address, path).unwrap()
    }

    pub(crate) fn post(&self, path: &str) -> Response {
        client::request(self.address, "POST", path, &[]).unwrap()
    }

    /// The whole page, read strictly.
    pub(crate) fn scrape(&self) -> Page {
        self.scrape_path("/metrics")
    }

    pub(crate) fn scrape_path(&self, path: &str) -> Page {
        let response = self.get(path);
        assert_eq!(response.status, 200, "{}", response.text());
        let kind = response.header("content-type").unwrap_or_default();
        assert!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");
        Page::parse(&response.text()).unwrap_or_else(|problem| panic!("{path}: {problem}"))
    }

    /// Scrapes until `met`; the page that met it.
    pub(crate) fn wait_until(&self, what: &str, mut met: impl FnMut(&Page) -> bool) -> Page {
        poll(what, || {
            let page = self.scrape();
            if met(&page) { Ok(page) } else { Err(format!("the last page:\n{}", page.text())) }
        })
    }

    pub(crate) fn target(&self, name: &str) -> Value {
        let response = self.get(&format!("/api/v1/targets/{name}"));
        assert_eq!(response.status, 200, "{}", response.text());
        response.json()
    }

    /// Replaces a file of its directory, in one go.
    pub(crate) fn write(&self, name: &str, content: &str) {
        write(&self.dir.path().join(name), content.as_bytes());
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn log(&self) -> String {
        self.process.log()
    }

    /// Waits until its log has `words`, and returns all of it. What was done is seen from outside before it is read here
    /// that it was logged.
    pub(crate) fn wait_for_log(&self, words: &str) -> String {
        poll("the log says so", || {
            let log = self.log();
            if log.contains(words) { Ok(log) } else { Err(format!("{words:?} is not in\n{log}")) }
        })
    }

    pub(crate) fn signal(&self, name: &str) {
        self.process.signal(name);
    }

    /// Waits for the end.
    pub(crate) fn finish(self) -> Finished {
        self.process.finish()
    }
}

#[test]
fn the_address_is_found_in_either_format() {
    let expected = Some("127.0.0.1:4321".parse().unwrap());
    assert_eq!(listening("ts=1 level=info msg=\"Listening.\" address=127.0.0.1:4321"), expected);
    assert_eq!(listening(r#"{"msg":"Listening.","address":"127.0.0.1:4321"}"#), expected);
    assert_eq!(listening("level=info msg=Listening. address=127.0.0.1:4321"), expected);
    assert_eq!(listening("level=info target=127.0.0.1:4321"), None);
}
