//! What a trace changes about a target, and what is kept of it.

#![allow(clippy::unwrap_used)]

use std::net::IpAddr;
use std::time::UNIX_EPOCH;

use super::*;
use crate::observation::{Attempt, Ending, Hop, Protocol, Trace, Untraced};
use crate::state::tests::{down, target_with, up};

const S: Duration = Duration::from_secs(1);
const LOST: Reason = Reason::ConnectTimeout;

struct Bench {
    state: TargetState,
    t0: Instant,
}

impl Bench {
    fn new() -> Self {
        let t0 = Instant::now();
        Self { state: TargetState::new(target_with("shop", 10 * S, 5 * S, 2, &[]), t0), t0 }
    }

    fn run(&self, second: u32, observation: Observation) {
        let now = self.t0 + second * S;
        self.state.begin(now);
        self.state.record(Observation { started: UNIX_EPOCH + second * S, ..observation }, now);
    }

    fn at(&self, second: u32) -> TargetSnapshot {
        self.state.snapshot(self.t0 + second * S)
    }

    fn finding(&self) -> Option<Finding> {
        self.at(60).diagnosis.map(|diagnosis| diagnosis.finding)
    }

    fn restart(self) -> Self {
        let saved = serde_json::to_string(&self.state.save(self.t0 + 60 * S)).unwrap();
        let saved: Saved = serde_json::from_str(&saved).unwrap();
        let target = Arc::clone(self.state.target());
        let state = TargetState::restore(target, saved, self.t0 + 70 * S, UNIX_EPOCH + 70 * S);
        Self { state, t0: self.t0 }
    }
}

fn trace(ending: Ending) -> Path {
    Path::Traced(Trace {
        time: UNIX_EPOCH + 5 * S,
        elapsed: S,
        to: [192, 0, 2, 1].into(),
        port: Some(443),
        protocol: Protocol::Tcp,
        ending,
        sentence: "as the script says".into(),
        hops: Box::new([Hop { address: Some([198, 51, 100, 1].into()), round_trip: None, other: false }]),
        parting: None,
    })
}

fn untraced(again: bool) -> Path {
    Path::Untraced(Untraced { time: UNIX_EPOCH, sentence: "not traced".into(), again })
}

fn diagnosis(finding: Finding) -> Diagnosis {
    let attempts = Box::new([Attempt { what: "address".into(), succeeded: false, result: "no".into() }]);
    Diagnosis { time: UNIX_EPOCH, finding, sentence: "nothing answers".into(), attempts }
}

#[test]
fn where_nothing_answers_the_way_is_the_finding_whichever_comes_first() {
    for trace_first in [true, false] {
        let bench = Bench::new();
        bench.run(0, down(LOST));
        if trace_first {
            bench.state.traced(trace(Ending::Ends));
            assert_eq!(bench.finding(), Some(Finding::PathEnds));
            bench.state.diagnosed(diagnosis(Finding::NothingAnswers));
        } else {
            bench.state.diagnosed(diagnosis(Finding::NothingAnswers));
            bench.state.traced(trace(Ending::Ends));
        }
        let found = bench.at(1).diagnosis.unwrap();
        assert_eq!((found.finding, &*found.sentence), (Finding::PathEnds, "as the script says"));
        assert_eq!(found.attempts.len(), 1, "what re-checks found stays");
    }
}

#[test]
fn what_tells_more_than_the_way_stays_the_finding() {
    for finding in Finding::ALL.iter().copied().filter(|finding| *finding != Finding::NothingAnswers) {
        let bench = Bench::new();
        bench.run(0, down(LOST));
        bench.state.diagnosed(diagnosis(finding));
        bench.state.traced(trace(Ending::Ends));
        assert_eq!(bench.finding(), Some(finding));
        assert!(bench.at(1).path_is_current);
    }
}

#[test]
fn a_way_of_which_nothing_is_known_changes_no_finding() {
    for path in [trace(Ending::Silent), trace(Ending::Reached), untraced(false), untraced(true)] {
        let bench = Bench::new();
        bench.run(0, down(LOST));
        bench.state.diagnosed(diagnosis(Finding::NothingAnswers));
        bench.state.traced(path);
        assert_eq!(bench.finding(), Some(Finding::NothingAnswers));
    }
}

#[test]
fn a_series_lacks_a_way_until_one_was_traced() {
    let bench = Bench::new();
    assert!(!bench.state.lacks_path(), "nothing fails");
    bench.run(0, down(LOST));
    assert!(bench.state.lacks_path());
    bench.state.traced(untraced(true));
    assert!(bench.state.lacks_path(), "it may be otherwise in a moment");
    bench.state.traced(trace(Ending::Ends));
    assert!(!bench.state.lacks_path());
    bench.run(10, up());
    let after = bench.at(11);
    assert!(after.path.is_some() && !after.path_is_current, "it is kept as one of before");
    bench.state.traced(trace(Ending::Loop));
    assert!(!bench.at(12).path_is_current, "too late");
    bench.run(20, down(LOST));
    assert!(bench.state.lacks_path(), "another series");
    bench.state.traced(untraced(false));
    assert!(!bench.state.lacks_path(), "there is no way at all");
}

#[test]
fn a_restart_keeps_the_way_of_an_outage_and_traces_it_no_more() {
    let bench = Bench::new();
    bench.run(0, up());
    bench.state.traced_good(GoodPath::new(UNIX_EPOCH, [192, 0, 2, 1].into(), None, Protocol::Icmp, &[]));
    bench.run(10, down(LOST));
    bench.run(12, down(LOST));
    bench.state.traced(trace(Ending::Ends));
    let before = bench.at(20);
    let bench = bench.restart();
    let after = bench.at(70);
    assert_eq!((&after.path, after.path_is_current), (&before.path, true));
    assert_eq!((&after.good_paths, after.diagnosis), (&before.good_paths, before.diagnosis));
    assert!(!bench.state.lacks_path());
}

#[test]
fn a_restart_forgets_no_way_but_whose_series_it_was() {
    let bench = Bench::new();
    bench.run(0, up());
    bench.run(10, down(LOST));
    bench.state.traced(trace(Ending::Ends));
    let bench = bench.restart();
    assert!(!bench.at(70).path_is_current, "the series was not confirmed, and is forgotten");
    bench.run(80, down(LOST));
    assert!(bench.state.lacks_path());
}

#[test]
fn state_of_a_release_before_has_no_ways() {
    let bench = Bench::new();
    bench.run(0, up());
    let mut saved = serde_json::to_value(bench.state.save(bench.t0 + S)).unwrap();
    for key in ["path", "path_is_current", "good_paths"] {
        saved.as_object_mut().unwrap().remove(key).unwrap();
    }
    let saved: Saved = serde_json::from_value(saved).unwrap();
    let target = Arc::clone(bench.state.target());
    let state = TargetState::restore(target, saved, bench.t0 + 2 * S, UNIX_EPOCH + 2 * S);
    let after = state.snapshot(bench.t0 + 2 * S);
    assert_eq!((after.path, after.path_is_current, after.good_paths), (None, false, Vec::new()));
}

#[test]
fn few_good_ways_are_kept_and_the_latest_first() {
    let bench = Bench::new();
    let good = |last: u8| {
        let to = IpAddr::from([192, 0, 2, last]);
        GoodPath::new(UNIX_EPOCH + u32::from(last) * S, to, Some(443), Protocol::Tcp, &[])
    };
    for last in [1, 2, 3, 4, 5, 6, 4] {
        bench.state.traced_good(good(last));
    }
    let kept: Vec<IpAddr> = bench.state.good_paths().iter().map(|path| path.to).collect();
    assert_eq!(kept, [4, 6, 5, 3].map(|last| IpAddr::from([192, 0, 2, last])));
}
