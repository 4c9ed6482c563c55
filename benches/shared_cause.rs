//! What the search for shared causes costs at 10,000 targets of which 5,000 fail at once, and what a run that records
//! meanwhile waits.
//!
//! `cargo bench --bench shared_cause`. docs/benchmarks.md has figures.

// A bench may panic, and measures the wall clock.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use uptime_exporter::cause::told::Tracker;
use uptime_exporter::config::{SharedCauseSettings, Source};
use uptime_exporter::observation::{
    Certificate, Chain, Detail, Failure, Lookup, Observation, Outcome, Reason, Resolution, TlsSession,
};
use uptime_exporter::state::TargetState;

const TARGETS: u32 = 10_000;
const FAILING: u32 = 5_000;
const ROUNDS: u32 = 15;

/// Six servers to a network, some twenty targets to a server, behind one of ten CDNs or their own names; a resolver, a
/// port and an issuer that all have.
fn run(number: u32, started: SystemTime, outcome: Outcome) -> Observation {
    let server = number / 20;
    let address = IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + ((server / 6) << 8) + server % 6));
    let cdn = number % 10;
    let lookup = Lookup {
        server: Some(([192, 0, 2, 53], 53).into()),
        aliases: Box::new([format!("t{number}.cdn{cdn}.example").into(), format!("edge.cdn{cdn}.example").into()]),
        name_servers: Box::new([format!("ns{}.dns.example", number % 50).into()]),
    };
    let certificate = Certificate {
        subject: format!("CN=shop{number}.example.com").into(),
        issuer: "CN=R11,O=Let's Encrypt".into(),
        dns_names: "".into(),
        serial: format!("{number:032x}").into(),
        fingerprint_sha256: "".into(),
        not_before: 0,
        not_after: 0,
    };
    let chain = Chain { certificates: Box::new([certificate]), earliest_expiry: None };
    // What times out has shown no certificate.
    let shown = outcome.is_up().then_some(TlsSession {
        version: None,
        cipher: None,
        chain: Arc::new(chain),
        last_chain_expiry: None,
        verify_error: None,
        skipped_error: None,
    });
    Observation {
        started,
        elapsed: Duration::from_millis(20),
        timeout: Duration::from_secs(5),
        outcome,
        resolution: Some(Resolution {
            elapsed: Duration::from_millis(1),
            addresses: Box::new([address]),
            chosen: Some(address),
            lookup: Some(Box::new(lookup)),
        }),
        tls: shown,
        detail: Detail::None,
        addresses: Box::default(),
    }
}

struct Fleet {
    states: Vec<Arc<TargetState>>,
    began: SystemTime,
    now: tokio::time::Instant,
}

impl Fleet {
    fn new() -> Self {
        let mut text = String::from("modules: {web: {prober: http}}\ntargets:\n");
        for number in 0..TARGETS {
            text += &format!(
                "- {{name: t{number}, target: \"https://shop{number}.example{}.com/\", module: web, labels: {{rack: \"{}\"}}}}\n",
                number % 3000,
                number % 200
            );
        }
        let config = Source::new("bench.yaml", text).config().unwrap();
        let now = tokio::time::Instant::now();
        let states = config.targets.iter().map(|target| Arc::new(TargetState::new(Arc::clone(target), now))).collect();
        let fleet = Self { states, began: SystemTime::now() - Duration::from_secs(3600), now };
        fleet.record(0..TARGETS, 0, |_| Outcome::Up);
        fleet
    }

    fn record(&self, numbers: std::ops::Range<u32>, second: u64, outcome: impl Fn(u32) -> Outcome) {
        for number in numbers {
            let state = &self.states[number as usize];
            let started = self.began + Duration::from_secs(second) + Duration::from_millis(u64::from(number % 15_000));
            state.begin(self.now);
            state.record(run(number, started, outcome(number)), self.now);
        }
    }

    fn fail(&self, second: u64, fails: impl Fn(u32) -> bool) {
        let failure = || Outcome::Down(Failure::new(Reason::ConnectTimeout, "no answer"));
        for again in 0..2 {
            self.record(0..TARGETS, second + again * 20, |number| if fails(number) { failure() } else { Outcome::Up });
        }
    }
}

fn settings() -> SharedCauseSettings {
    SharedCauseSettings { labels: vec!["rack".to_owned()], ..SharedCauseSettings::default() }
}

/// The search that first sees the outage: fastest, median and slowest of many, in milliseconds; and how many are told
/// when it has settled.
fn measure(name: &str, fails: impl Fn(u32) -> bool) {
    let mut times = Vec::new();
    let mut told = 0;
    for _ in 0..ROUNDS {
        let fleet = Fleet::new();
        let mut tracker = Tracker::default();
        tracker.evaluate(&fleet.states, &settings(), 0, fleet.now);
        fleet.fail(60, &fails);
        let begun = std::time::Instant::now();
        tracker.evaluate(&fleet.states, &settings(), 0, fleet.now);
        times.push(begun.elapsed().as_secs_f64() * 1e3);
        let outcome = tracker.evaluate(&fleet.states, &settings(), 0, fleet.now + Duration::from_secs(6));
        told = outcome.causes.len();
    }
    times.sort_by(f64::total_cmp);
    println!(
        "{name:<44} {:>6.1} {:>6.1} {:>6.1} ms  {told} told",
        times[0],
        times[times.len() / 2],
        times[times.len() - 1]
    );
}

/// The longest that a run has to wait for its target while the search goes on, again and again.
fn waits() {
    let fleet = Fleet::new();
    fleet.fail(60, |number| number < FAILING);
    let stop = AtomicBool::new(false);
    let (longest, searches) = std::thread::scope(|scope| {
        let search = scope.spawn(|| {
            let mut tracker = Tracker::default();
            let mut searches = 0;
            while !stop.load(Ordering::Relaxed) {
                tracker.evaluate(&fleet.states, &settings(), 0, fleet.now);
                searches += 1;
            }
            searches
        });
        let mut waits = Vec::new();
        for number in (0..TARGETS).cycle().take(200_000) {
            let begun = std::time::Instant::now();
            fleet.states[number as usize].begin(fleet.now);
            waits.push(begun.elapsed());
        }
        stop.store(true, Ordering::Relaxed);
        waits.sort();
        (
            [waits[waits.len() / 2], waits[waits.len() - waits.len() / 1000], waits[waits.len() - 1]],
            search.join().unwrap(),
        )
    });
    println!(
        "a run begins during {searches} searches: median {:?}, 99.9 % {:?}, longest {:?}",
        longest[0], longest[1], longest[2]
    );
}

fn main() {
    println!("{TARGETS} targets; fastest, median and slowest of {ROUNDS}");
    measure("all are up", |_| false);
    measure("5,000 fail, by one network each", |number| number / 120 % 2 == 0);
    measure("5,000 fail, by five CDNs", |number| number % 10 < 5);
    measure("5,000 fail, of no common cause", |number| number.wrapping_mul(2_654_435_761) >> 31 == 0);
    measure("100 fail, by five servers", |number| number < 100);
    waits();
}
