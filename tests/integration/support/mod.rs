//! What the end-to-end tests share: the running binary, a strict reader of its pages, peers that misbehave,
//! certificates, a real Prometheus. Nothing here sleeps to be in time: it polls with a deadline, or waits on a channel.

pub(crate) mod client;
pub(crate) mod exporter;
pub(crate) mod peer;
pub(crate) mod pki;
pub(crate) mod process;
pub(crate) mod prometheus;
pub(crate) mod scrape;

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};

/// How long anything may take before a test gives up: generous, since machines are busy. No test waits it out
/// unless it fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Peers of all tests live here; the tests themselves are plain functions.
pub(crate) fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap())
}

/// Asks again and again until there is an answer. An error says what is wrong as yet, and is shown at the end.
pub(crate) fn poll<T>(what: &str, mut ask: impl FnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match ask() {
            Ok(answer) => return answer,
            Err(problem) => assert!(Instant::now() < deadline, "gave up waiting: {what}\n{problem}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Whether a tool of the system is there. Without it a test is skipped aloud, but not where `CI` is set.
pub(crate) fn has_tool(tool: &str, package: &str, test: &str) -> bool {
    let found = std::process::Command::new(tool).arg("--version").output().is_ok();
    if !found {
        assert!(std::env::var_os("CI").is_none(), "{tool} is missing; install the Debian package {package}");
        eprintln!("SKIPPED: {test}: {tool} is missing (Debian package {package}; ./test installs it)");
    }
    found
}
