//! `uptime_exporter report` against a real Prometheus that has kept a known history.

use std::fmt::Write as _;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::support::has_tool;
use crate::support::process::{Finished, Process};
use crate::support::prometheus::{PACKAGE, Prometheus};

const SCRAPE: u64 = 15;
/// Of the history, in seconds: two hours.
const LENGTH: u64 = 7_200;

/// What one vantage saw of one target, scraped every 15 seconds, as OpenMetrics families.
struct Story {
    region: &'static str,
    target: &'static str,
    /// From and to, in seconds since the start of the history, and the reason.
    outages: &'static [(f64, f64, &'static str)],
    maintenance: (f64, f64),
}

impl Story {
    /// Seconds of `spans` up to `now`.
    fn spent(spans: &[(f64, f64)], now: f64) -> f64 {
        spans.iter().map(|(from, to)| (now.min(*to) - from).max(0.0)).sum()
    }

    fn samples(&self, epoch: u64) -> Vec<(&'static str, String)> {
        let mut samples = Vec::new();
        let labels = format!("target=\"{}\",region=\"{}\",job=\"uptime\"", self.target, self.region);
        for scrape in 0..=LENGTH / SCRAPE {
            let now = (scrape * SCRAPE) as f64;
            let time = epoch + scrape * SCRAPE;
            let mut add = |name: &'static str, extra: &str, value: f64| {
                samples.push((name, format!("{name}{{{labels}{extra}}} {value} {time}")));
            };
            let (begin, end) = self.maintenance;
            let counted = || self.outages.iter().filter(|(from, to, _)| !(begin <= *from && *to <= end));
            let spans: Vec<(f64, f64)> = counted().map(|(from, to, _)| (*from, *to)).collect();
            let down = Self::spent(&spans, now);
            let maintenance = Self::spent(&[self.maintenance], now);
            let going = self.outages.iter().find(|(from, to, _)| (*from..*to).contains(&now));
            add("probe_up", "", if going.is_some() { 0.0 } else { 1.0 });
            add("probe_down_seconds_total", "", down);
            add("probe_up_seconds_total", "", now - down - maintenance);
            add("probe_maintenance_seconds_total", "", maintenance);
            add("probe_maintenance", "", if (begin..end).contains(&now) { 1.0 } else { 0.0 });
            add("probe_unknown_seconds_total", "", 0.0);
            add("probe_outages_total", "", counted().filter(|(from, ..)| *from <= now).count() as f64);
            add("probe_runs_total", ",result=\"success\"", ((now - down) / 5.0).floor());
            add("probe_runs_total", ",result=\"failure\"", (down / 5.0).floor());
            add("probe_slo_target_ratio", "", 0.99);
            add("probe_target_info", ",display_name=\"The shop\"", 1.0);
            if let Some((from, _, reason)) = going {
                add("probe_outage_start_timestamp_seconds", "", epoch as f64 + from);
                add("probe_failure_info", &format!(",reason=\"{reason}\""), 1.0);
            }
        }
        samples
    }
}

fn history(stories: &[Story], epoch: u64) -> String {
    let mut all: Vec<_> = stories.iter().flat_map(|story| story.samples(epoch)).collect();
    // A family's samples stand together.
    all.sort_by_key(|(name, _)| *name);
    let mut text = String::new();
    let mut last = "";
    for (name, line) in &all {
        if *name != last {
            last = name;
            let (family, kind) = name.strip_suffix("_total").map_or((*name, "gauge"), |family| (family, "counter"));
            writeln!(text, "# TYPE {family} {kind}").unwrap();
        }
        writeln!(text, "{line}").unwrap();
    }
    text + "# EOF\n"
}

fn report(prometheus: &Prometheus, args: &[&str]) -> Finished {
    let mut command = Command::new(env!("CARGO_BIN_EXE_uptime_exporter"));
    command.arg("report").arg(format!("--prometheus={}", prometheus.url())).args(args);
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
        command.env_remove(name);
    }
    Process::spawn(&mut command).finish()
}

const NOTHING: (f64, f64) = (0.0, 0.0);

#[test]
fn a_report_tells_the_history_to_the_second() {
    if !has_tool("prometheus", PACKAGE, "a real Prometheus") || !has_tool("promtool", PACKAGE, "its history") {
        return;
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    // On a full quarter of an hour yesterday, so that times read well.
    let epoch = (now - 86_400) / 900 * 900;
    let stories = [
        Story {
            region: "eu",
            target: "shop",
            // The second one falls between two scrapes.
            outages: &[
                (1003.0, 1127.5, "http_status"),
                (2701.0, 2708.0, "http_status"),
                (5000.0, 5090.0, "tls_expired"),
                // In maintenance.
                (6100.0, 6200.0, "connect_refused"),
            ],
            maintenance: (6000.0, 6600.0),
        },
        Story { region: "us", target: "shop", outages: &[(1010.0, 1100.0, "http_status")], maintenance: NOTHING },
        Story { region: "eu", target: "steady", outages: &[], maintenance: NOTHING },
    ];
    let prometheus = Prometheus::with_history(&history(&stories, epoch));
    let (from, to) = (format!("--from={epoch}"), format!("--to={}", epoch + LENGTH));

    let finished = report(&prometheus, &[&from, &to, "--format=json"]);
    assert_eq!(finished.code(), 0, "{finished:?}");
    let json: Value = serde_json::from_str(&finished.stdout).unwrap();
    let shop = &json["targets"][0];
    assert_eq!((&shop["target"], &shop["display_name"]), (&"shop".into(), &"The shop".into()), "{json:#}");
    assert_eq!(shop["down_seconds"], 124.5 + 7.0 + 90.0 + 90.0);
    assert_eq!(shop["maintenance_seconds"], 600.0);
    assert_eq!(shop["outages_between_scrapes"], 1);
    assert_eq!(shop["slo_target_ratio"], 0.99);
    let known = 2.0 * LENGTH as f64 - 600.0;
    let near = |value: &Value, expected: f64| assert!((value.as_f64().unwrap() - expected).abs() < 1e-9, "{value}");
    near(&shop["uptime_ratio"], 1.0 - 311.5 / known);
    near(&shop["error_budget_used_ratio"], 311.5 / (0.01 * known));
    let outages = shop["outages"].as_array().unwrap();
    assert_eq!(outages.len(), 3, "{shop:#}");
    assert_eq!(shop["outages_count"], 3, "the two, and the one between scrapes");
    let in_maintenance: Vec<_> = outages.iter().map(|outage| outage["in_maintenance"].as_bool().unwrap()).collect();
    assert_eq!(in_maintenance, [false, false, true]);
    let time = |seconds: u64| jiff::Timestamp::from_second((epoch + seconds) as i64).unwrap().to_string();
    assert_eq!(outages[0]["start"], time(1003));
    assert_eq!(outages[0]["duration_seconds"], 124.5);
    assert_eq!((&outages[0]["scope"], &outages[0]["reason"]), (&"global".into(), &"http_status".into()));
    assert_eq!(outages[0]["time_to_detect_seconds"], 2.0, "the first scrape after it was at 1005");
    assert_eq!((&outages[1]["start"], &outages[1]["end"]), (&time(5000).into(), &time(5090).into()));
    assert_eq!((&outages[1]["scope"], &outages[1]["reason"]), (&"single-region".into(), &"tls_expired".into()));
    near(&shop["mttr_seconds"], f64::midpoint(124.5, 90.0));
    let steady = &json["targets"][1];
    assert_eq!((&steady["uptime_ratio"], &steady["uptime_anywhere_ratio"]), (&1.0.into(), &1.0.into()));
    assert_eq!(steady["outages"], Value::Array(Vec::new()));

    let finished = report(&prometheus, &[&from, &to, "--target=shop"]);
    let text = &finished.stdout;
    for part in [
        "## shop (The shop)",
        "Watched from eu, us.",
        "in maintenance 10 min 0 s",
        "1 more outage was so short as to fall between two scrapes",
        &format!("| {} | {} | 2 min 5 s | global | eu, us | http_status | 2 s |", time(1003), time(1127)),
        "| 1 min 30 s | single-region | eu | tls_expired |",
        "| single-region, in maintenance | eu | connect_refused |",
        "- `tls_expired`: ",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert!(!text.contains("steady"), "{text}");

    // In the middle of the outage it goes on.
    let to = format!("--to={}", epoch + 5_040);
    let finished = report(&prometheus, &[&from, &to, "--target=shop"]);
    assert!(finished.stdout.contains("| goes on | - | single-region |"), "{}", finished.stdout);
}

#[test]
fn what_cannot_be_told_is_said_in_a_sentence() {
    if !has_tool("prometheus", PACKAGE, "a real Prometheus") {
        return;
    }
    let prometheus = Prometheus::start("global: {}\n", &[]);
    let finished = report(&prometheus, &["--target=shop"]);
    assert_eq!(finished.code(), 1);
    assert!(
        finished.stderr.contains("Prometheus has no probe_up of a target named \"shop\" in that time"),
        "{finished:?}"
    );
    let finished = report(&prometheus, &["--from=now", "--to=-1h"]);
    assert!(finished.stderr.contains("is not before --to"), "{finished:?}");

    let mut nobody = Command::new(env!("CARGO_BIN_EXE_uptime_exporter"));
    nobody.args(["report", "--prometheus=http://me:hunter2@127.0.0.1:9/"]);
    let finished = Process::spawn(&mut nobody).finish();
    assert_eq!(finished.code(), 1);
    assert!(finished.stderr.contains("no answer from http://127.0.0.1:9/api/v1/"), "{finished:?}");
    assert!(!finished.stderr.contains("hunter2"), "{finished:?}");
    let mut wrong = Command::new(env!("CARGO_BIN_EXE_uptime_exporter"));
    wrong.args(["report", "--prometheus=http://127.0.0.1:9/", "--from=yesterday"]);
    let finished = Process::spawn(&mut wrong).finish();
    assert_eq!(finished.code(), 2);
    assert!(finished.stderr.contains("write it like 2026-11-24"), "{finished:?}");
}
