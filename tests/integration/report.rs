//! `uptime_exporter report` against a real Prometheus that has kept a known history.

use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::support::has_tool;
use crate::support::process::{Finished, Process};
use crate::support::prometheus::{PACKAGE, Prometheus, open_metrics};

const SCRAPE: u64 = 15;
/// Of the history, in seconds: two hours.
const LENGTH: u64 = 7_200;

/// What one vantage saw of one target, scraped every 15 seconds, as OpenMetrics families.
#[derive(Clone)]
struct Story {
    region: &'static str,
    target: &'static str,
    /// When the exporter first had the target, in seconds since the start of the history.
    begin: f64,
    /// From and to, in seconds since the start of the history, and the reason.
    outages: &'static [(f64, f64, &'static str)],
    maintenance: (f64, f64),
    /// From and to, the family, and its labels.
    causes: &'static [(f64, f64, &'static str, &'static str)],
    /// Seconds between two runs.
    interval: f64,
}

impl Story {
    fn new(region: &'static str, target: &'static str, outages: &'static [(f64, f64, &'static str)]) -> Self {
        Self { region, target, begin: 0.0, outages, maintenance: NOTHING, causes: &[], interval: 5.0 }
    }

    /// Seconds of `spans` up to `now`.
    fn spent(spans: &[(f64, f64)], now: f64) -> f64 {
        spans.iter().map(|(from, to)| (now.min(*to) - from).max(0.0)).sum()
    }

    fn samples(&self, epoch: u64) -> Vec<(&'static str, String)> {
        let mut samples = Vec::new();
        let labels = format!("target=\"{}\",region=\"{}\",job=\"uptime\"", self.target, self.region);
        for scrape in 0..=LENGTH / SCRAPE {
            let now = (scrape * SCRAPE) as f64;
            if now < self.begin {
                continue;
            }
            let time = epoch + scrape * SCRAPE;
            let mut add = |name: &'static str, extra: &str, value: f64| {
                samples.push((name, format!("{name}{{{labels}{extra}}} {value} {time}")));
            };
            let (begin, end) = self.maintenance;
            let counted = || self.outages.iter().filter(|(from, to, _)| !(begin <= *from && *to <= end));
            // What lies in the window is its.
            let aside = |at: f64| if (begin..end).contains(&at) { end } else { at };
            let spans: Vec<(f64, f64)> = counted().map(|(from, to, _)| (aside(*from), *to)).collect();
            let down = Self::spent(&spans, now);
            let maintenance = Self::spent(&[self.maintenance], now);
            let up = now - self.begin - down - maintenance;
            let going = self.outages.iter().find(|(from, to, _)| (*from..*to).contains(&now));
            add("probe_up", "", if going.is_some() { 0.0 } else { 1.0 });
            add("probe_down_seconds_total", "", down);
            add("probe_up_seconds_total", "", up);
            add("probe_maintenance_seconds_total", "", maintenance);
            add("probe_maintenance", "", if (begin..end).contains(&now) { 1.0 } else { 0.0 });
            add("probe_unknown_seconds_total", "", 0.0);
            add("probe_outages_total", "", counted().filter(|(from, ..)| aside(*from) <= now).count() as f64);
            add("probe_runs_total", ",result=\"success\"", (up / 5.0).floor());
            add("probe_runs_total", ",result=\"failure\"", (down / 5.0).floor());
            add("probe_slo_target_ratio", "", 0.99);
            add("probe_interval_seconds", "", self.interval);
            add("probe_target_info", ",display_name=\"The shop\"", 1.0);
            if let Some((from, _, reason)) = going {
                add("probe_outage_start_timestamp_seconds", "", epoch as f64 + from);
                add("probe_failure_info", &format!(",reason=\"{reason}\""), 1.0);
            }
            for (from, to, family, extra) in self.causes {
                if (*from..*to).contains(&now) {
                    add(family, &format!(",{extra}"), 1.0);
                }
            }
        }
        samples
    }
}

fn history(stories: &[Story], epoch: u64) -> String {
    open_metrics(stories.iter().flat_map(|story| story.samples(epoch)).collect())
}

fn report(prometheus: &Prometheus, args: &[&str]) -> Finished {
    let mut command = Command::new(env!("CARGO_BIN_EXE_uptime_exporter"));
    command.arg("report").arg(format!("--prometheus={}", prometheus.url())).args(args);
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
        command.env_remove(name);
    }
    Process::spawn(&mut command).finish()
}

fn json(prometheus: &Prometheus, args: &[&str]) -> Value {
    let args: Vec<&str> = args.iter().copied().chain(["--format=json"]).collect();
    let finished = report(prometheus, &args);
    assert_eq!(finished.code(), 0, "{finished:?}");
    serde_json::from_str(&finished.stdout).unwrap()
}

fn time(seconds: u64) -> String {
    jiff::Timestamp::from_second(seconds as i64).unwrap().to_string()
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
    let eu = Story {
        maintenance: (6000.0, 6600.0),
        ..Story::new(
            "eu",
            "shop",
            &[
                (1003.0, 1127.5, "http_status"),
                // Between two scrapes.
                (2701.0, 2708.0, "http_status"),
                (5000.0, 5090.0, "tls_expired"),
                // In maintenance.
                (6100.0, 6200.0, "connect_refused"),
            ],
        )
    };
    let us = Story::new("us", "shop", &[(1010.0, 1100.0, "http_status")]);
    let steady = Story::new("eu", "steady", &[]);
    let prometheus = Prometheus::with_history(&history(&[eu, us, steady], epoch));
    let (from, to) = (format!("--from={epoch}"), format!("--to={}", epoch + LENGTH));

    let json = json(&prometheus, &[&from, &to]);
    let shop = &json["targets"][0];
    assert_eq!((&shop["target"], &shop["display_name"]), (&"shop".into(), &"The shop".into()), "{json:#}");
    // Any place; nobody up; as objectives have it, of two places both; and the clocks of both vantages, summed.
    assert_eq!(shop["downtime_seconds"], 124.5 + 7.0 + 90.0);
    assert_eq!(shop["downtime_everywhere_seconds"], 90.0);
    assert_eq!(shop["slo_missed_seconds"], 90.0);
    assert_eq!(shop["vantage_seconds"]["down"], 124.5 + 7.0 + 90.0 + 90.0);
    assert_eq!(
        (&shop["in_maintenance_seconds"], &shop["vantage_seconds"]["maintenance"]),
        (&600.0.into(), &600.0.into())
    );
    assert_eq!(shop["outages_between_scrapes"], 1);
    assert_eq!(shop["slo_target_ratio"], 0.99);
    let known = LENGTH as f64 - 600.0;
    assert_eq!((&shop["known_seconds"], &shop["known_since"]), (&known.into(), &Value::Null));
    let near = |value: &Value, expected: f64| assert!((value.as_f64().unwrap() - expected).abs() < 1e-9, "{value}");
    near(&shop["uptime_ratio"], 1.0 - 221.5 / known);
    near(&shop["vantage_uptime_ratio"], 1.0 - 311.5 / (known + LENGTH as f64));
    near(&shop["error_budget_used_ratio"], 90.0 / (0.01 * known));
    let outages = shop["outages"].as_array().unwrap();
    assert_eq!(outages.len(), 4, "{shop:#}");
    assert_eq!(shop["outages_count"], 3, "the one in maintenance is none");
    let flags = |name: &str| -> Vec<bool> { outages.iter().map(|outage| outage[name].as_bool().unwrap()).collect() };
    assert_eq!(flags("in_maintenance"), [false, false, false, true]);
    assert_eq!(flags("between_scrapes"), [false, true, false, false]);
    let time = |seconds: u64| time(epoch + seconds);
    assert_eq!(outages[0]["start"], time(1003));
    assert_eq!(outages[0]["start_between"], serde_json::json!([time(998), time(1003)]), "the run before was good");
    assert_eq!((&outages[0]["duration_seconds"], &outages[0]["downtime_seconds"]), (&124.5.into(), &124.5.into()));
    assert_eq!(outages[0]["duration_between_seconds"], serde_json::json!([119.5, 129.5]));
    assert_eq!((&outages[0]["scope"], &outages[0]["reason"]), (&"global".into(), &"http_status".into()));
    assert_eq!(outages[0]["time_to_detect_seconds"], 2.0, "the first scrape after it was at 1005");
    assert_eq!((&outages[1]["duration_seconds"], &outages[1]["scope"]), (&7.0.into(), &"single-region".into()));
    assert_eq!((&outages[2]["start"], &outages[2]["end"]), (&time(5000).into(), &time(5090).into()));
    assert_eq!((&outages[2]["scope"], &outages[2]["reason"]), (&"single-region".into(), &"tls_expired".into()));
    assert_eq!(shop["mttr_seconds"], 73.833);
    let steady = &json["targets"][1];
    assert_eq!((&steady["uptime_ratio"], &steady["uptime_anywhere_ratio"]), (&1.0.into(), &1.0.into()));
    assert_eq!(steady["outages"], Value::Array(Vec::new()));

    let finished = report(&prometheus, &[&from, &to, "--target=shop"]);
    let text = &finished.stdout;
    for part in [
        "| shop | 96.643 % | 3 min 42 s | 1 min 30 s | 3 | 1 min 14 s | 97.752 % | 1.4 times what 99 % allows |",
        "## shop (The shop)",
        "Watched from eu, us.",
        "Up 1 h 46 min, down 3 min 42 s, in maintenance 10 min 0 s, not known 0 s.",
        "Summed over its 2 vantages: up 3 h 44 min, down 5 min 12 s, in maintenance 10 min 0 s, unknown 0 s;",
        &format!("| {} | {} | 2 min 5 s | global | eu, us | http_status | 2 s |", time(1003), time(1127)),
        "| 7 s ± 5 s | single-region, between two scrapes | eu | - |",
        "| 1 min 30 s ± 5 s | single-region | eu | tls_expired |",
        "| single-region, in maintenance | eu | connect_refused |",
        "What fell between two scrapes is known by the counters",
        "- `tls_expired`: ",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert!(!text.contains("steady") && !text.contains("## Causes"), "{text}");

    // In the middle of the outage it goes on, whatever came later.
    let to = format!("--to={}", epoch + 5_040);
    let finished = report(&prometheus, &[&from, &to, "--target=shop"]);
    assert!(finished.stdout.contains("| goes on | - | single-region |"), "{}", finished.stdout);
}

#[test]
fn a_time_is_told_alike_in_whatever_range_and_in_parts() {
    if !has_tool("prometheus", PACKAGE, "a real Prometheus") || !has_tool("promtool", PACKAGE, "its history") {
        return;
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let epoch = now - 80_000;
    // Sixteen minutes at the end of the history, after which the target is gone.
    let young = Story {
        begin: LENGTH as f64 - 960.0,
        maintenance: (6_900.0, 6_960.0),
        interval: 15.0,
        ..Story::new(
            "eu",
            "young",
            // One of 20 seconds, and one that outlasts its maintenance.
            &[(6_400.0, 6_420.0, "http_status"), (6_500.0, 6_733.25, "http_status"), (6_940.0, 7_100.0, "tls_expired")],
        )
    };
    let prometheus = Prometheus::with_history(&history(&[young], epoch));
    let down = 20.0 + 233.25 + 140.0;
    let mut told = Vec::new();
    for from in ["-60d", "-7d", "-1d", &(epoch + 5_000).to_string()] {
        let json = json(&prometheus, &[&format!("--from={from}")]);
        let young = json["targets"][0].clone();
        assert_eq!(young["downtime_seconds"], down, "{from}: {young:#}");
        assert_eq!(young["vantage_seconds"]["down"], down, "{from}");
        assert_eq!(young["known_since"], time(epoch + 6_240), "{from}");
        told.push(young);
    }
    let without = |young: &Value| {
        let mut young = young.clone();
        young.as_object_mut().unwrap().remove("not_known_seconds");
        young
    };
    assert!(told.windows(2).all(|pair| without(&pair[0]) == without(&pair[1])), "{told:#?}");
    let outages = told[0]["outages"].as_array().unwrap();
    let began: Vec<bool> = outages.iter().map(|outage| outage["began_in_maintenance"].as_bool().unwrap()).collect();
    assert_eq!(began, [false, false, true]);
    assert_eq!(outages[2]["in_maintenance"], false);

    // An outage that two reports share.
    let part = |from: u64, to: u64| {
        let (from, to) = (format!("--from={}", epoch + from), format!("--to={}", epoch + to));
        json(&prometheus, &[&from, &to])["targets"][0].clone()
    };
    let (one, other) = (part(6_240, 6_607), part(6_607, LENGTH));
    let sum = |name: &str| one[name].as_f64().unwrap() + other[name].as_f64().unwrap();
    assert_eq!((&one["downtime_seconds"], sum("downtime_seconds")), (&127.0.into(), down));
    assert_eq!(
        (one["outages"][1]["end"].clone(), &other["outages"][0]["start"]),
        (Value::Null, &time(epoch + 6_500).into())
    );

    let text = report(&prometheus, &["--from=-7d"]).stdout;
    for part in [
        &format!("Known since {}.", time(epoch + 6_240)),
        "| 20 s ± 15 s | global | eu | http_status |",
        &format!("| between {} and ", time(epoch + 6_385)),
        "| global, began in maintenance | eu | tls_expired |",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn outages_are_grouped_by_what_explains_them() {
    if !has_tool("prometheus", PACKAGE, "a real Prometheus") || !has_tool("promtool", PACKAGE, "its history") {
        return;
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let epoch = now - 80_000;
    const NETWORK: &str = "kind=\"network\",value=\"192.0.2.0/24\"";
    let mut stories = vec![
        // Behind the gateway, found down one after the other; the parent was not confirmed at first.
        Story {
            causes: &[
                (3_015.0, 3_030.0, "probe_explained_info", "by=\"gateway\",parent=\"checking\""),
                (3_030.0, 3_210.0, "probe_explained_info", "by=\"gateway\",parent=\"down\""),
            ],
            ..Story::new("eu", "child", &[(3_002.0, 3_205.0, "connect_timeout")])
        },
        Story::new("eu", "gateway", &[(3_000.0, 3_200.0, "connect_timeout")]),
        // Alone, while the network fails.
        Story::new("eu", "other", &[(1_000.0, 1_060.0, "http_status")]),
    ];
    for region in ["eu", "us"] {
        stories.push(Story {
            causes: &[(1_030.0, 1_300.0, "probe_shared_cause_info", NETWORK)],
            ..Story::new(region, "a", &[(1_000.0, 1_290.0, "connect_timeout"), (5_000.0, 5_060.0, "http_status")])
        });
        stories.push(Story {
            causes: &[(1_030.0, 1_300.0, "probe_shared_cause_info", NETWORK)],
            // It stays down after the network is back.
            ..Story::new(region, "b", &[(1_004.0, 1_900.0, "connect_timeout")])
        });
    }
    let prometheus = Prometheus::with_history(&history(&stories, epoch));
    let (from, to) = (format!("--from={epoch}"), format!("--to={}", epoch + LENGTH));
    let json = json(&prometheus, &[&from, &to]);
    let time = |seconds: u64| time(epoch + seconds);
    assert_eq!(
        json["causes"],
        serde_json::json!([
            {"kind": "network", "value": "192.0.2.0/24", "start": time(1_000), "end": json["causes"][0]["end"], "targets": ["a", "b"],
             "regions": ["eu", "us"]},
            {"kind": "depends_on", "value": "gateway", "start": time(3_002), "end": time(3_205), "targets": ["child"],
             "regions": ["eu"]},
        ]),
        "{json:#}"
    );
    // Until the first scrape that did not have it.
    let end: jiff::Timestamp = json["causes"][0]["end"].as_str().unwrap().parse().unwrap();
    let after = end.as_second() as u64 - epoch;
    assert!((1_290..=1_305).contains(&after), "{after}");
    let of = |target: &str| -> Vec<usize> {
        let targets = json["targets"].as_array().unwrap();
        let target = targets.iter().find(|known| known["target"] == target).unwrap();
        target["outages"].as_array().unwrap().iter().map(|outage| outage["causes"].as_array().unwrap().len()).collect()
    };
    assert_eq!(
        (of("a"), of("b"), of("child"), of("gateway"), of("other")),
        (vec![1, 0], vec![1], vec![1], vec![0], vec![0])
    );

    let text = report(&prometheus, &[&from, &to]).stdout;
    for part in [
        "## Causes",
        &format!("| network 192.0.2.0/24 | {} |", time(1_000)),
        "| 2: a, b | eu, us |",
        &format!("| depends on gateway | {} | {} | 3 min 23 s | 1: child | eu |", time(3_002), time(3_205)),
        "| detected after | cause |",
        "| connect_timeout | 5 s | network 192.0.2.0/24 |",
        "| http_status | 10 s | - |",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
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
