//! What probing costs: CPU per probe, memory, how steady the pace is, and the price of a page.
//!
//! `cargo bench --bench scale` runs every scenario, `cargo bench --bench scale -- http-1000 page` some of them;
//! `--seconds N` sets the window (35), `--scrape N` the seconds between scrapes (15; 0 for none). The targets are
//! served by a process of their own (this binary again), so that their CPU time is accounted apart. Everything is on
//! loopback, and ends by itself. docs/benchmarks.md has figures and what they mean.

// A bench may panic, and measures the wall clock.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod client;
mod exporter;
mod peer;
mod process;

use std::time::{Duration, Instant};

use exporter::Exporter;
use peer::Peer;

/// One load.
struct Scenario {
    name: &'static str,
    scheme: Scheme,
    targets: usize,
    interval: Duration,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    Http,
    Https,
}

enum Kind {
    /// Probe for a while, scraped now and then.
    Probing,
    /// Fetch the page again and again.
    Page,
}

const SCENARIOS: &[Scenario] = &[
    scenario("http-1000", Scheme::Http, 1000, 15),
    scenario("http-5000", Scheme::Http, 5000, 15),
    scenario("https-1000", Scheme::Https, 1000, 15),
    scenario("http-3000-a-second", Scheme::Http, 3000, 1),
    Scenario { kind: Kind::Page, ..scenario("page", Scheme::Http, 10_000, 30) },
];

const fn scenario(name: &'static str, scheme: Scheme, targets: usize, seconds: u64) -> Scenario {
    Scenario { name, scheme, targets, interval: Duration::from_secs(seconds), kind: Kind::Probing }
}

struct Options {
    window: Duration,
    scrape: Option<Duration>,
    chosen: Vec<String>,
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [serve, scheme, directory] = &args[..]
        && serve == "--serve"
    {
        peer::serve(if scheme == "https" { Scheme::Https } else { Scheme::Http }, directory.as_ref());
        return;
    }
    // Cargo says `--bench` to benches that are to run, and nothing when it only tests that they build.
    if !args.iter().any(|arg| arg == "--bench") {
        println!("a benchmark; run it by: cargo bench --bench scale");
        return;
    }
    let options = options(&args);
    println!("{}\n", machine());
    let wanted = |scenario: &&Scenario| {
        options.chosen.is_empty() || options.chosen.iter().any(|name| name.as_str() == scenario.name)
    };
    let (mut probing, mut pages) = (Vec::new(), Vec::new());
    for scenario in SCENARIOS.iter().filter(wanted) {
        eprintln!("{}: {} targets, every {:?}", scenario.name, scenario.targets, scenario.interval);
        match scenario.kind {
            Kind::Probing => probing.push(probe(scenario, &options)),
            Kind::Page => pages.extend(page(scenario)),
        }
    }
    if !probing.is_empty() {
        println!(
            "| scenario | probes/s | CPU ms per probe | RSS | anonymous | peak | gap error p50 / p99 / max | skipped | failed | lost |\n\
             |---|---|---|---|---|---|---|---|---|---|"
        );
        probing.iter().for_each(|row| println!("{row}"));
        println!();
    }
    if !pages.is_empty() {
        println!("| page | bytes | first byte | whole page, best and median of 9 |\n|---|---|---|---|");
        pages.iter().for_each(|row| println!("{row}"));
    }
}

fn options(args: &[String]) -> Options {
    let mut options =
        Options { window: Duration::from_secs(35), scrape: Some(Duration::from_secs(15)), chosen: Vec::new() };
    let mut args = args.iter().filter(|arg| *arg != "--bench");
    while let Some(arg) = args.next() {
        let mut seconds = || args.next().and_then(|value| value.parse().ok()).expect("a number of seconds");
        match arg.as_str() {
            "--seconds" => options.window = Duration::from_secs(seconds()),
            "--scrape" => options.scrape = Some(Duration::from_secs(seconds())).filter(|every| !every.is_zero()),
            name => {
                let names: Vec<_> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
                assert!(names.contains(&name), "{name:?} is none of {names:?}");
                options.chosen.push(name.to_owned());
            }
        }
    }
    options
}

fn machine() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map(|(_, name)| name);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{}, {cores} cores, Linux {}", model.unwrap_or("unknown CPU"), kernel.trim())
}

fn start(scenario: &Scenario) -> (Peer, Exporter) {
    let peer = Peer::start(scenario.scheme);
    let exporter = Exporter::start(&peer, scenario);
    exporter.wait_until_ready();
    (peer, exporter)
}

fn probe(scenario: &Scenario, options: &Options) -> String {
    let (mut peer, exporter) = start(scenario);
    // A whole tick more, so that what starting costs is over.
    std::thread::sleep(scenario.interval.min(Duration::from_secs(5)));
    let before = exporter.counters();
    peer.forget();
    let cpu = exporter.cpu();
    let began = Instant::now();
    let mut scraped = 0;
    while began.elapsed() < options.window {
        let next = options.scrape.map_or(options.window, |every| every * (scraped + 1)).min(options.window);
        std::thread::sleep(next.saturating_sub(began.elapsed()));
        if next < options.window {
            exporter.scrape(true);
        }
        scraped += 1;
    }
    let cpu = exporter.cpu() - cpu;
    let elapsed = began.elapsed();
    let arrivals = peer.report(scenario.interval);
    let after = exporter.counters();
    let runs = after.runs - before.runs;
    let [rss, anonymous, peak] = exporter.memory();
    format!(
        "| {} | {:.0} | {:.3} | {:.1} MB | {:.1} MB | {:.1} MB | {:.2} / {:.2} / {:.1} ms | {} | {} | {} |",
        scenario.name,
        runs / elapsed.as_secs_f64(),
        cpu.as_secs_f64() * 1000.0 / runs,
        rss,
        anonymous,
        peak,
        arrivals.p50,
        arrivals.p99,
        arrivals.max,
        after.skipped - before.skipped,
        after.failures - before.failures,
        arrivals.lost,
    )
}

fn page(scenario: &Scenario) -> Vec<String> {
    let (_peer, exporter) = start(scenario);
    [("/metrics, plain", "/metrics", false), ("/metrics, gzip", "/metrics", true), ("/, plain", "/", false)]
        .into_iter()
        .map(|(name, path, gzip)| {
            let mut pages: Vec<_> = (0..9).map(|_| exporter.get(path, gzip)).collect();
            pages.sort_by_key(|page| page.whole);
            let first = pages.iter().map(|page| page.first_byte).min().unwrap_or_default();
            let ms = |time: Duration| time.as_secs_f64() * 1000.0;
            format!(
                "| {} targets, {name} | {} | {:.1} ms | {:.1} ms, {:.1} ms |",
                scenario.targets,
                pages[0].bytes,
                ms(first),
                ms(pages[0].whole),
                ms(pages[pages.len() / 2].whole),
            )
        })
        .collect()
}
