//! What ICMP takes, and what the exporter says when it has none of it. Takes root on Linux; else skipped aloud.

use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::process::Process;

const CONFIG: &str = "\
global: {interval: 15s, timeout: 5s}
modules:
  ping: {prober: icmp, icmp: {preferred_ip_protocol: ip4, packets: 3, packet_interval: 10ms}}
targets:
  - {name: v4, target: 127.0.0.1, module: ping}
  - {name: v6, target: '::1', module: ping}
";

const EXPORTER: &str = env!("CARGO_BIN_EXE_uptime_exporter");

/// In front of a command that is to run as a user without capabilities.
const NOBODY: &str = "setpriv --reuid=65534 --regid=65534 --clear-groups";

/// The exporter in a network of its own, where the sysctl is what the kernel makes it: nobody may.
struct Network(TempDir);

impl Network {
    /// `None`, said aloud, where it is not permitted.
    fn new() -> Option<Self> {
        // Also whether others may run the program where it stands.
        let script = format!("ip link set lo up && {NOBODY} {EXPORTER} --help");
        let mut command = Command::new("unshare");
        let status = command.args(["-n", "sh", "-c", &script]).stdout(Stdio::null()).stderr(Stdio::null()).status();
        if !status.is_ok_and(|status| status.success()) {
            eprintln!("SKIPPED: a network of its own takes root, iproute2 and util-linux");
            return None;
        }
        let dir = tempfile::Builder::new().prefix("uptime_exporter.").tempdir().unwrap();
        std::fs::write(dir.path().join("config.yaml"), CONFIG).unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        Some(Self(dir))
    }

    /// `script` ends with the words that go in front of the exporter.
    fn spawn(&self, script: &str, argument: &str) -> Process {
        self.spawn_with(script, "config.yaml", argument)
    }

    fn spawn_with(&self, script: &str, config: &str, argument: &str) -> Process {
        let script = format!("ip link set lo up && {script} {EXPORTER} --config.file={config} {argument}");
        Process::spawn(Command::new("unshare").current_dir(self.0.path()).args(["-n", "sh", "-c", &script]))
    }

    /// What `--once` saw of each target.
    fn once(&self, script: &str) -> Vec<Value> {
        let finished = self.spawn(script, "--once --format=json").finish();
        serde_json::from_str(&finished.stdout).unwrap_or_else(|error| panic!("{error}: {finished:?}"))
    }
}

#[test]
fn a_start_without_privileges_says_what_is_missing_and_the_targets_are_not_blamed() {
    let Some(network) = Network::new() else { return };
    let script = format!("exec {NOBODY}");
    let process = network.spawn(&script, "--web.listen-address=127.0.0.1:0");
    let line = process.wait_for_line("what is missing", |line| line.contains("pinged").then(|| line.to_owned()));
    for part in ["level=warn", "2 targets", "net.ipv4.ping_group_range", "group 65534", "CAP_NET_RAW"] {
        assert!(line.contains(part), "{part}: {line}");
    }
    let by_request = CONFIG.split("targets:").next().unwrap();
    std::fs::write(network.0.path().join("by_request.yaml"), by_request).unwrap();
    let process = network.spawn_with(&script, "by_request.yaml", "--web.listen-address=127.0.0.1:0");
    process.wait_for_line("the same of /probe", |line| line.contains("/probe cannot ping: the exporter").then_some(()));
    drop(process);
    for target in network.once(&script) {
        assert_eq!(target["state"], "unknown", "{target:#}");
        assert_eq!(target["run"]["reason"], "internal");
        assert!(target["run"]["sentence"].as_str().unwrap().contains("CAP_NET_RAW"), "{target:#}");
    }
}

#[test]
fn the_group_of_the_sysctl_or_the_capability_is_enough() {
    let Some(network) = Network::new() else { return };
    let sysctl = "echo 65534 65534 > /proc/sys/net/ipv4/ping_group_range &&";
    for (script, socket) in [(format!("{sysctl} exec {NOBODY}"), "datagram"), ("exec".to_owned(), "raw")] {
        for target in network.once(&script) {
            assert_eq!(target["state"], "up", "{target:#}");
            let ping = &target["run"]["icmp"];
            assert_eq!(ping["socket"], socket, "{target:#}");
            assert_eq!((ping["packets_received"].as_u64(), ping["packet_loss_ratio"].as_f64()), (Some(3), Some(0.0)));
            assert!(ping["rtt_seconds"]["max"].is_number());
        }
    }
}
