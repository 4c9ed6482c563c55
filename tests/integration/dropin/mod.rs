//! Side by side with blackbox_exporter: the same file of modules, the same peers, the same questions. Every family that it
//! shows is shown by ours with the same type, labels and, where it is no time, value; and ours shows nothing else but what
//! is known to be ours. What differs all the same stands in `tests/fixtures/side_by_side/differences.yaml`, a row each with
//! its reason, of which the migration page shows the table.
//!
//! The scenarios are made by crossing options with peers, a file for each prober. What Debian's release has no counterpart
//! for is held by expected values, in `expected`.

mod addresses;
mod compare;
mod differences;
mod dns;
mod expected;
mod grpc;
mod http;
mod http_peers;
mod https;
mod redirects;
mod scenario;
mod tcp;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::exporter::Setup;
use crate::support::pki::Authority;
use crate::support::process::Process;
use crate::support::scrape::Page;
use crate::support::{client, has_tool, poll};

use compare::{Found, compare};
use differences::Differences;
use scenario::{Scenario, Scenarios, Verdict};

const PROGRAM: &str = "prometheus-blackbox-exporter";
/// So many scenarios are asked at the same time.
const AT_ONCE: usize = 8;

fn scenarios(authority: &Authority) -> Scenarios {
    let mut scenarios = Scenarios::default();
    http::add(&mut scenarios);
    redirects::add(&mut scenarios, authority);
    https::add(&mut scenarios, authority);
    tcp::add(&mut scenarios, authority);
    dns::add(&mut scenarios);
    grpc::add(&mut scenarios, authority);
    addresses::add(&mut scenarios);
    scenarios
}

/// Starts the other one on the same modules.
fn start_other(dir: &Path) -> (Process, SocketAddr) {
    let mut command = Command::new(PROGRAM);
    command.current_dir(dir).args([
        "--config.file=blackbox.yml",
        "--web.listen-address=127.0.0.1:0",
        "--log.level=info",
    ]);
    let process = Process::spawn(&mut command);
    let address = process.wait_for_line("it listens", |line| {
        let at = line.find("127.0.0.1:").filter(|_| line.contains("istening"))?;
        let end = line[at..].find(|c: char| !c.is_ascii_digit() && c != '.' && c != ':').unwrap_or(line.len() - at);
        line[at..at + end].parse().ok().filter(|address: &SocketAddr| address.port() != 0)
    });
    poll("it answers", || client::get(address, "/-/healthy").map(|_| ()));
    (process, address)
}

fn ask(address: SocketAddr, scenario: &Scenario) -> Result<Page, String> {
    let query: String = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("module", &scenario.module)
        .append_pair("target", &scenario.target)
        .finish();
    let response = client::get(address, &format!("/probe?{query}"))?;
    if response.status != 200 {
        return Err(format!("{} {}", response.status, response.text()));
    }
    Page::parse(&response.text())
}

/// What differs in a scenario, or why that cannot be told.
fn run(other: SocketAddr, ours: SocketAddr, scenario: &Scenario) -> Result<Vec<Found>, String> {
    let theirs = ask(other, scenario).map_err(|error| format!("blackbox_exporter: {error}"))?;
    let mine = ask(ours, scenario).map_err(|error| format!("uptime_exporter: {error}"))?;
    // So that no scenario is about something else than its name says.
    let success = |page: &Page| page.metric("probe_success").is(1.0);
    let meant = match scenario.verdict {
        Verdict::Up => Some(true),
        Verdict::Down => Some(false),
        Verdict::Open => None,
    };
    if let Some(meant) = meant.filter(|meant| success(&theirs) != *meant && success(&mine) != *meant) {
        return Err(format!("neither says {meant}, which is what the scenario is about"));
    }
    Ok(compare(&theirs, &mine))
}

/// Every scenario, a few at a time, in the order in which they stand.
fn run_all(other: SocketAddr, ours: SocketAddr, all: &[Scenario]) -> Vec<Result<Vec<Found>, String>> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some((index, scenario)) = Some(next.fetch_add(1, Ordering::Relaxed))
                    .and_then(|index| all.get(index).map(|scenario| (index, scenario)))
                {
                    let result = run(other, ours, scenario);
                    results.lock().unwrap().insert(index, result);
                }
            });
        }
    });
    results.into_inner().unwrap().into_values().collect()
}

#[test]
fn beside_blackbox_exporter_the_answers_are_the_same() {
    if !has_tool(PROGRAM, PROGRAM, "a comparison side by side") {
        return;
    }
    let authority = Authority::new("Side By Side");
    let scenarios = scenarios(&authority);
    assert!(scenarios.all.len() >= 400, "{}", scenarios.all.len());
    // JSON is YAML too; neither file is edited for the one or the other.
    let modules = scenarios.modules();
    let ours = Setup::new(&modules).file("ca.pem", authority.pem()).start();
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("blackbox.yml"), &modules).unwrap();
    std::fs::write(dir.path().join("ca.pem"), authority.pem()).unwrap();
    let (_process, other) = start_other(dir.path());

    let results = run_all(other, ours.address, &scenarios.all);
    let mut known = Differences::load();
    let mut wrong = Vec::new();
    let mut alike = 0;
    for (scenario, result) in scenarios.all.iter().zip(results) {
        match result {
            Ok(found) => {
                alike += usize::from(found.is_empty());
                let unknown = known.note(&scenario.name, &found);
                wrong.extend(unknown.into_iter().map(|found| format!("{}: {found}", scenario.name)));
            }
            Err(error) => wrong.push(format!("{}: {error}", scenario.name)),
        }
    }
    let count = scenarios.all.len();
    println!("{count} scenarios, {alike} alike, {} different\n{}", count - alike, known.summary());
    assert!(wrong.is_empty(), "{} differences in {count} scenarios:\n{}", wrong.len(), wrong.join("\n"));
    let unused = known.unused();
    assert!(unused.is_empty(), "no scenario differs so any more; take the rows out:\n{}", unused.join("\n"));
}
