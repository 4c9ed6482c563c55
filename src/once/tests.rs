//! The runs on paused time; table and JSON from fixed results.

#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::time::{Instant, sleep};

use super::table::{Colour, Sheet};
use super::*;
use crate::observation::{Detail, Failure, HttpDetail, Reason};
use crate::state::tests::{down, target, up};

const S: Duration = Duration::from_secs(1);

fn result(name: &str, observation: Option<Observation>) -> Result {
    Result { target: target(name, 10 * S, 5 * S), observation, explained_by: None }
}

fn printed(results: &[Result], width: Option<u16>) -> String {
    table::text(results, Sheet { width, colour: Colour::Off })
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
TARGET            STATE    STATUS  LATENCY  REASON
db                up       -        0.9 ms
wiki-of-the-team  not run  -             -  stopped before it was probed
mail              unknown  -          0 ms  internal: as the script says
api               down     503       1.2 s  http_status: the status is 503 \u{fffd}[2J

4 targets: 1 up, 1 down, 1 unknown, 1 not run.
";
    assert_eq!(printed(&results(), None), expected);
}

#[test]
fn what_is_down_further_up_is_named() {
    let mut results = ["gw", "shop", "shop-2", "wiki"].map(|name| result(name, Some(down(Reason::ConnectRefused))));
    results[2].observation = Some(down(Reason::Vantage));
    let parents = Parents::new([&[][..], &[0], &[1], &[]].map(Arc::from).to_vec());
    explain(&mut results, &parents);
    let expected = "\
TARGET  STATE    STATUS  LATENCY  REASON
shop-2  unknown  -          0 ms  vantage: as the script says
gw      down     -          0 ms  connect_refused: as the script says
shop    down     -          0 ms  connect_refused, explained by gw: as the script says
wiki    down     -          0 ms  connect_refused: as the script says

4 targets: 0 up, 3 down (1 explained), 1 unknown.
";
    assert_eq!(printed(&results, None), expected);
    let value: serde_json::Value = serde_json::from_str(&json::text(&results)).unwrap();
    let by: Vec<_> = value.as_array().unwrap().iter().map(|target| target["explained_by"]["target"].as_str()).collect();
    assert_eq!(by, [None, Some("gw"), None, None]);
    assert!(!all_up(&results), "an explanation repairs nothing");
}

#[test]
fn colours_do_not_shift_the_columns() {
    for width in [None, Some(60), Some(200)] {
        let coloured = table::text(&results(), Sheet { width, colour: Colour::On });
        assert!(coloured.contains("\x1b[31mdown\x1b[0m     503"), "{coloured:?}");
        let mut plain = coloured;
        for code in ["\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[0m"] {
            plain = plain.replace(code, "");
        }
        assert_eq!(plain, printed(&results(), width));
    }
}

/// As wide as its longest line, but for the sentence at its end.
fn width_of(text: &str) -> usize {
    let table = text.split("\n\n").next().unwrap();
    table.lines().map(|line| line.chars().count()).max().unwrap()
}

#[test]
fn a_terminal_is_never_too_narrow_for_it() {
    let mut results = results();
    results.push(result(&"long-name-".repeat(20), Some(down(Reason::ConnectTimeout))));
    let sentence = "cannot connect to [2001:db8::1]:443 nor to 192.0.2.1:443 ".repeat(5);
    let wordy = Outcome::Down(Failure::new(Reason::ConnectTimeout, sentence));
    results.push(result("wordy", Some(Observation { outcome: wordy, ..up() })));
    results.push(result("\u{6771}\u{4eac}", Some(up())));
    for width in [40, 60, 80, 100, 140, 231] {
        let text = printed(&results, Some(width));
        assert!(width_of(&text) <= width.into(), "{} of {width}\n{text}", width_of(&text));
        let mut names: String = text.lines().filter_map(|line| line.split(' ').next()).collect();
        names.retain(|c| c != '\n');
        assert!(names.contains(&"long-name-".repeat(20)), "nothing is cut off: {text}");
        assert!(text.contains("down "), "{text}");
    }
    let expected = "\
TARGET  STATE  STATUS  LATENCY
api     down   503       1.2 s
  http_status: the status is 503 with a
  body of one line
";
    let http = HttpDetail { status: Some(503), ..HttpDetail::default() };
    let failure = Failure::new(Reason::HttpStatus, "the status is 503 with a body of one line");
    let api = Observation {
        elapsed: Duration::from_millis(1234),
        detail: Detail::Http(Box::new(http)),
        outcome: Outcome::Down(failure),
        ..up()
    };
    let below = printed(&[result("api", Some(api))], Some(42));
    assert_eq!(below.split("\n\n").next().unwrap(), expected.trim_end());
    let narrow = printed(&results, Some(3));
    assert!(width_of(&narrow) <= 40, "{narrow}");
}

#[test]
fn a_file_has_a_line_a_row_and_a_long_name_moves_its_own_row_alone() {
    let long = "long-name-".repeat(20);
    let results = [result("shop", Some(up())), result(&long, Some(up()))];
    let text = printed(&results, None);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], format!("{:42}STATE  STATUS  LATENCY  REASON", "TARGET"));
    assert_eq!(lines[1], format!("{long}  up     -          0 ms"));
    assert_eq!(lines[2], format!("{:42}up     -          0 ms", "shop"));
}

#[test]
fn nothing_that_a_peer_says_speaks_to_the_terminal() {
    let said = "\x1b]0;title\x07 \u{9b}2J \u{202e}redrum \r\n up";
    let odd = Outcome::Down(Failure::new(Reason::ExpectMismatch, said));
    let results = [result("mail\u{202e}x", Some(Observation { outcome: odd, ..up() }))];
    let safe = |c: char| c == '\n' || crate::figures::is_printable(c);
    for width in [None, Some(80)] {
        let text = printed(&results, width);
        assert!(text.chars().all(safe), "{text:?}");
    }
    let text = json::text(&results);
    assert!(text.chars().all(safe), "{text:?}");
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value[0]["run"]["sentence"], said, "a script reads it as it was");
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
