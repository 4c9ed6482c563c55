//! The runs on paused time; table and JSON from fixed results.

#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::time::{Instant, sleep};

use super::*;
use crate::observation::{Failure, HttpDetail, Reason};
use crate::state::tests::{down, target, up};

const S: Duration = Duration::from_secs(1);

fn result(name: &str, observation: Option<Observation>) -> Result {
    Result { target: target(name, 10 * S, 5 * S), observation, explained_by: None }
}

fn results() -> Vec<Result> {
    let http = HttpDetail { status: Some(503), ..HttpDetail::default() };
    let status = Observation {
        detail: Detail::Http(Box::new(http)),
        addresses: Box::default(),
        elapsed: Duration::from_millis(1234),
        outcome: Outcome::Down(Failure::new(Reason::HttpStatus, "the status is 503 \x1b[2J")),
        ..up()
    };
    vec![
        result("api", Some(status)),
        result("db", Some(Observation { elapsed: Duration::from_micros(900), ..up() })),
        result("mail", Some(down(Reason::Internal))),
        result("wiki-of-the-team", None),
    ]
}

#[test]
fn the_table_is_aligned_and_ends_with_what_is_down() {
    let expected = "\
TARGET            STATE    REASON       STATUS    LATENCY  DETAIL
db                up       -            -          0.9 ms
wiki-of-the-team  not run  -            -               -  stopped before it was probed
mail              unknown  internal     -          0.0 ms  as the script says
api               down     http_status  503     1234.0 ms  the status is 503 \u{fffd}[2J

4 targets: 1 up, 1 down, 1 unknown, 1 not run.
";
    assert_eq!(table(&results(), Colour::Off), expected);
}

#[test]
fn what_is_down_further_up_is_named() {
    let mut results = ["gw", "shop", "shop-2", "wiki"].map(|name| result(name, Some(down(Reason::ConnectRefused))));
    results[2].observation = Some(down(Reason::Vantage));
    let parents = Parents::new([&[][..], &[0], &[1], &[]].map(Arc::from).to_vec());
    explain(&mut results, &parents);
    let expected = "\
TARGET  STATE    REASON           STATUS  LATENCY  DETAIL
shop-2  unknown  vantage          -        0.0 ms  as the script says
gw      down     connect_refused  -        0.0 ms  as the script says
shop    down     connect_refused  -        0.0 ms  explained by gw: as the script says
wiki    down     connect_refused  -        0.0 ms  as the script says

4 targets: 0 up, 3 down (1 explained), 1 unknown.
";
    assert_eq!(table(&results, Colour::Off), expected);
    let value: serde_json::Value = serde_json::from_str(&json::text(&results)).unwrap();
    let by: Vec<_> = value.as_array().unwrap().iter().map(|target| target["explained_by"]["target"].as_str()).collect();
    assert_eq!(by, [None, Some("gw"), None, None]);
    assert!(!all_up(&results), "an explanation repairs nothing");
}

#[test]
fn colours_do_not_shift_the_columns() {
    let coloured = table(&results(), Colour::On);
    assert!(coloured.contains("\x1b[31mdown\x1b[0m     http_status"), "{coloured:?}");
    let mut plain = coloured;
    for code in ["\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[0m"] {
        plain = plain.replace(code, "");
    }
    assert_eq!(plain, table(&results(), Colour::Off));
}

#[test]
fn json_has_an_object_for_every_target_in_order() {
    let value: serde_json::Value = serde_json::from_str(&json::text(&results())).unwrap();
    let states: Vec<_> = value.as_array().unwrap().iter().map(|t| t["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["down", "up", "unknown", "not_run"]);
    assert_eq!(value[0]["run"]["reason"], "http_status");
    assert_eq!(value[0]["run"]["http"]["status"], 503);
    assert_eq!(value[0]["run"]["elapsed_seconds"], 1.234);
    assert_eq!(value[1]["run"].get("reason"), None, "missing is better than made up");
    assert_eq!(value[3]["run"], serde_json::Value::Null);
}

#[test]
fn only_all_up_is_a_success() {
    assert!(all_up(&[result("a", Some(up()))]));
    assert!(all_up(&[]));
    for other in [None, Some(down(Reason::Internal)), Some(down(Reason::ConnectRefused))] {
        assert!(!all_up(&[result("a", Some(up())), result("b", other)]));
    }
}

#[derive(Default)]
struct Counting {
    going: AtomicUsize,
    most: AtomicUsize,
}

impl Probe for Counting {
    async fn run(&self, _deadline: Instant) -> Observation {
        let going = self.going.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(going, Ordering::SeqCst);
        sleep(S).await;
        self.going.fetch_sub(1, Ordering::SeqCst);
        up()
    }
}

fn probes(count: usize, probe: &Arc<Counting>) -> Vec<(Arc<Target>, Arc<Counting>)> {
    (0..count).map(|n| (target(&format!("t{n:04}"), 10 * S, 5 * S), Arc::clone(probe))).collect()
}

#[tokio::test(start_paused = true)]
async fn every_target_is_probed_and_never_too_many_at_once() {
    let probe = Arc::new(Counting::default());
    let results = run(probes(1000, &probe), &Parents::default(), Progress::Silent, &CancellationToken::new()).await;
    assert!(all_up(&results));
    assert!(results.is_sorted_by_key(|result| result.target.name.clone()));
    assert_eq!(probe.most.load(Ordering::SeqCst), AT_A_TIME);
}

#[tokio::test(start_paused = true)]
async fn a_stop_keeps_what_there_is() {
    let probe = Arc::new(Counting::default());
    let (stop, none) = (CancellationToken::new(), Parents::default());
    let (results, ()) = tokio::join!(run(probes(1000, &probe), &none, Progress::Silent, &stop), async {
        sleep(S + S / 2).await;
        stop.cancel();
    });
    let probed = results.iter().filter(|result| result.state() == State::Up).count();
    assert_eq!((results.len(), probed), (1000, AT_A_TIME));
}
