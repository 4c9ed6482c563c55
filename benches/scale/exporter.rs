//! The exporter under load, and what the kernel says of it.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::client::{self, Fetched};
use crate::peer::Peer;
use crate::process::Process;
use crate::{Scenario, Scheme};

pub(crate) struct Exporter {
    process: Process,
    address: SocketAddr,
    _dir: TempDir,
}

/// Sums over all targets.
pub(crate) struct Counters {
    pub(crate) runs: f64,
    pub(crate) failures: f64,
    pub(crate) skipped: f64,
}

impl Exporter {
    pub(crate) fn start(peer: &Peer, scenario: &Scenario) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (scheme, ca) = match scenario.scheme {
            Scheme::Http => ("http", String::new()),
            Scheme::Https => ("https", format!(", tls_config: {{ca_file: {}}}", peer.ca_file().display())),
        };
        let seconds = scenario.interval.as_secs();
        let mut config = format!(
            "global: {{interval: {seconds}s, timeout: {}s, labels: {{region: bench}}}}
modules: {{http: {{prober: http, http: {{preferred_ip_protocol: ip4{ca}}}}}}}
targets:
",
            seconds.min(5)
        );
        for n in 0..scenario.targets {
            let address = peer.addresses[n % peer.addresses.len()];
            let _ = writeln!(config, "- {{name: target-{n:05}, target: '{scheme}://{address}/t/{n}', module: http}}");
        }
        let path = dir.path().join("config.yaml");
        std::fs::write(&path, config).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_uptime_exporter"));
        command.arg("--config.file").arg(&path).args(["--web.listen-address", "127.0.0.1:0"]);
        let mut process = Process::spawn(command.stdin(Stdio::null()).stderr(Stdio::piped()));
        let mut lines = BufReader::new(process.0.stderr.take().unwrap()).lines().map_while(Result::ok);
        let address = lines
            .find_map(|line| {
                let from = line.find("127.0.0.1:").filter(|_| line.contains("Listening"))?;
                line[from..].split([' ', '"']).next()?.parse().ok()
            })
            .expect("the exporter says where it listens");
        // Its log is read for as long as it lives, so that it never waits for a reader.
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, address, _dir: dir }
    }

    pub(crate) fn wait_until_ready(&self) {
        let deadline = Instant::now() + Duration::from_secs(120);
        while client::get(self.address, "/-/ready", false).map_or(0, |answer| answer.status) != 200 {
            assert!(Instant::now() < deadline, "not ready within two minutes");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    pub(crate) fn scrape(&self, gzip: bool) -> Fetched {
        self.get("/metrics", gzip)
    }

    pub(crate) fn get(&self, path: &str, gzip: bool) -> Fetched {
        let page = client::get(self.address, path, gzip).unwrap();
        assert_eq!(page.status, 200);
        page
    }

    pub(crate) fn counters(&self) -> Counters {
        let text = client::text(&self.scrape(false));
        let sum = |start: &str, part: &str| -> f64 {
            let lines = text.lines().filter(|line| line.starts_with(start) && line.contains(part));
            lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
        };
        let failures = sum("probe_runs_total{", "result=\"failure\"");
        Counters {
            runs: failures + sum("probe_runs_total{", "result=\"success\""),
            failures,
            skipped: sum("uptime_exporter_runs_skipped_total", ""),
        }
    }

    fn proc(&self, file: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.process.0.id())).unwrap()
    }

    /// User and system time of all its threads: utime and stime of proc(5), in ticks of 10 ms as the kernel tells
    /// them to user space everywhere.
    pub(crate) fn cpu(&self) -> Duration {
        let stat = self.proc("stat");
        let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
        let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        Duration::from_millis(ticks * 10)
    }

    /// Megabytes of a million bytes: resident, what of it is not the program file's own pages, and the most there was.
    pub(crate) fn memory(&self) -> [f64; 3] {
        let status = self.proc("status");
        let megabytes = |key: &str| {
            let line = status.lines().find(|line| line.starts_with(key)).unwrap();
            line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() * 1024.0 / 1e6
        };
        ["VmRSS:", "RssAnon:", "VmHWM:"].map(megabytes)
    }
}
