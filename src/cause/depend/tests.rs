//! Explanations of states that are driven by hand.

#![allow(clippy::unwrap_used)]

use std::time::{Duration, UNIX_EPOCH};

use proptest::prelude::*;

use super::*;
use crate::config::maintenance::{Maintenance, When, Window};
use crate::observation::{Observation, Reason};
use crate::state::tests::{down, target, up};

const S: Duration = Duration::from_secs(1);
const REFUSED: Reason = Reason::ConnectRefused;

fn wall(second: u32) -> SystemTime {
    UNIX_EPOCH + second * S
}

/// Targets on one clock, named by letters, each down after two failures in a row.
struct Bench {
    dependencies: Dependencies,
    targets: Arc<[Arc<TargetState>]>,
    t0: Instant,
}

impl Bench {
    /// `child: parent parent`; all names in order.
    fn new(names: &[&str], rows: &[(&str, &str)]) -> Self {
        let t0 = Instant::now();
        let targets = names.iter().map(|name| Arc::new(TargetState::new(target(name, 10 * S, 5 * S), t0))).collect();
        let bench = Self { dependencies: Dependencies::default(), targets, t0 };
        bench.declare(rows);
        bench
    }

    fn declare(&self, rows: &[(&str, &str)]) {
        let place = |name: &str| self.targets.iter().position(|state| state.target().name.as_str() == name).unwrap();
        let mut parents: Vec<Arc<[usize]>> = self.targets.iter().map(|_| Arc::from([])).collect();
        for (child, row) in rows {
            let mut row: Vec<usize> = row.split(' ').map(place).collect();
            row.sort_unstable();
            parents[place(child)] = row.into();
        }
        self.dependencies.replace(Parents::new(parents), Arc::clone(&self.targets));
    }

    fn state(&self, name: &str) -> &TargetState {
        self.targets.iter().find(|state| state.target().name.as_str() == name).unwrap()
    }

    /// A run of no length, as the schedule makes one.
    fn run(&self, name: &str, second: u32, observation: Observation) {
        let (state, now) = (self.state(name), self.t0 + second * S);
        state.begin(now);
        let recorded = state.record(Observation { started: wall(second), ..observation }, now);
        if recorded.asks {
            self.dependencies.ask(&state.target().name, now, now);
        }
    }

    fn goes_down(&self, name: &str, second: u32) {
        self.run(name, second, down(REFUSED));
        self.run(name, second + 1, down(REFUSED));
    }

    fn snapshot(&self, second: u32, keep: &str) -> Snapshot {
        let now = self.t0 + second * S;
        let kept = self.targets.iter().filter(|state| keep.is_empty() || state.target().name.as_str() == keep);
        let mut snapshot = Snapshot { taken: wall(second), targets: kept.map(|state| state.snapshot(now)).collect() };
        self.dependencies.explain(&mut snapshot, now);
        snapshot
    }

    /// `child by parent (state)`, for each that is explained.
    fn told(&self, second: u32) -> Vec<String> {
        let explained = |target: &TargetSnapshot| {
            let Explained { by, parent, since } = target.explained.clone()?;
            let since = since.map(|since| format!(" {}", since.duration_since(UNIX_EPOCH).unwrap().as_secs()));
            let since = since.unwrap_or_default();
            Some(format!("{} by {} ({}{since})", target.target.name, by.name, parent.as_label()))
        };
        self.snapshot(second, "").targets.iter().filter_map(explained).collect()
    }
}

const NONE: [&str; 0] = [];

#[test]
fn a_parent_that_is_down_explains_its_child_whichever_was_confirmed_first() {
    for order in [["child", "gw"], ["gw", "child"]] {
        let bench = Bench::new(&["child", "gw", "other"], &[("child", "gw")]);
        for name in ["child", "gw", "other"] {
            bench.run(name, 0, up());
        }
        assert_eq!(bench.told(5), NONE);
        bench.goes_down(order[0], 10);
        bench.goes_down(order[1], 20);
        bench.goes_down("other", 30);
        let since = if order[0] == "gw" { 10 } else { 20 };
        assert_eq!(bench.told(40), [format!("child by gw (down {since})")]);
        let one = bench.snapshot(40, "child");
        assert!(one.targets[0].explained.is_some(), "on a page of the child alone, too");
    }
}

#[test]
fn until_the_parent_was_looked_at_the_child_waits_and_no_longer() {
    let bench = Bench::new(&["child", "gw"], &[("child", "gw")]);
    bench.run("child", 0, up());
    bench.run("gw", 1, up());
    bench.run("child", 10, down(REFUSED));
    assert!(bench.state("gw").wished().is_some());
    assert_eq!(bench.told(10), ["child by gw (checking)"]);
    bench.run("gw", 11, up());
    assert_eq!(bench.told(11), NONE, "it is fine");
    assert_eq!(bench.state("gw").wished(), None);
    bench.run("child", 12, down(REFUSED));
    assert_eq!(bench.told(12), ["child by gw (checking)"], "asked again by the run that confirmed");
    bench.run("gw", 13, down(REFUSED));
    assert_eq!(bench.told(13), ["child by gw (checking)"], "it fails");
    bench.run("gw", 15, down(REFUSED));
    assert_eq!(bench.told(15), ["child by gw (down 13)"]);
    assert_eq!(bench.told(5000), ["child by gw (down 13)"]);

    let bench = Bench::new(&["child", "gw"], &[("child", "gw")]);
    bench.goes_down("child", 10);
    assert_eq!(bench.told(11), ["child by gw (checking)"]);
    assert_eq!(bench.told(60), NONE, "a loop that is stuck hides nothing for long");
}

#[test]
fn a_parent_that_fails_now_and_then_hides_nothing() {
    let bench = Bench::new(&["child", "gw"], &[("child", "gw")]);
    bench.goes_down("child", 10);
    bench.run("gw", 12, up());
    for second in (20..100).step_by(10) {
        bench.run("gw", second, down(REFUSED));
        assert_eq!(bench.told(second), NONE, "it was good since the child failed");
        bench.run("gw", second + 2, up());
    }
    bench.goes_down("gw", 100);
    assert_eq!(bench.told(101), ["child by gw (down 100)"], "that is another matter");
}

#[test]
fn runs_that_say_nothing_explain_nothing() {
    let bench = Bench::new(&["child", "gw"], &[("child", "gw")]);
    bench.run("gw", 0, up());
    bench.goes_down("child", 10);
    bench.run("gw", 12, down(Reason::Vantage));
    assert_eq!(bench.told(12), NONE);
    bench.run("gw", 20, down(REFUSED));
    bench.run("gw", 22, down(Reason::Vantage));
    assert_eq!(bench.told(22), NONE, "nor after one that does");
    bench.run("child", 30, down(Reason::Vantage));
    bench.goes_down("gw", 40);
    assert_eq!(bench.told(50), ["child by gw (down 20)"], "both verdicts stand");
}

#[test]
fn the_one_furthest_up_is_the_cause() {
    let bench = Bench::new(&["a", "b", "c", "d"], &[("a", "b"), ("b", "c"), ("c", "d")]);
    bench.goes_down("a", 10);
    bench.goes_down("c", 20);
    bench.run("b", 22, up());
    assert_eq!(bench.told(22), ["a by c (down 20)", "c by d (checking)"], "over one that seems fine");
    bench.run("d", 23, up());
    bench.goes_down("b", 30);
    assert_eq!(bench.told(33), ["a by c (down 20)", "b by c (down 20)"]);
    bench.goes_down("d", 40);
    assert_eq!(bench.told(43), ["a by d (down 40)", "b by d (down 40)", "c by d (down 40)"]);
}

#[test]
fn of_several_parents_the_first_that_went_down_is_told_and_always_one() {
    let bench = Bench::new(&["a", "x", "y", "z"], &[("a", "x y z")]);
    bench.goes_down("a", 10);
    bench.goes_down("y", 20);
    bench.goes_down("x", 30);
    assert_eq!(bench.told(40), ["a by y (down 20)"]);
    bench.run("y", 50, up());
    assert_eq!(bench.told(50), ["a by x (down 30)"]);
}

#[test]
fn when_the_parent_is_up_again_the_child_has_as_many_runs_as_confirm_a_failure() {
    let bench = Bench::new(&["child", "gw", "late"], &[("child", "gw"), ("late", "gw")]);
    bench.goes_down("gw", 10);
    bench.goes_down("child", 12);
    bench.run("gw", 100, up());
    assert_eq!(bench.told(100), ["child by gw (recovering 100)"]);
    bench.run("child", 101, down(REFUSED));
    bench.run("child", 102, down(Reason::Vantage));
    assert_eq!(bench.told(110), ["child by gw (recovering 100)"]);
    bench.run("child", 111, down(REFUSED));
    assert_eq!(bench.told(111), NONE, "down by itself");
    bench.goes_down("late", 120);
    bench.run("gw", 122, up());
    assert_eq!(bench.told(122), NONE, "what goes down afterwards has another cause");

    let bench = Bench::new(&["child", "gw"], &[("child", "gw")]);
    bench.goes_down("gw", 10);
    bench.goes_down("child", 12);
    bench.run("gw", 100, up());
    bench.run("child", 101, up());
    assert_eq!(bench.told(101), NONE, "up");
}

#[test]
fn a_parent_in_maintenance_explains_too() {
    let moment = |second| jiff::Timestamp::try_from(wall(second)).unwrap();
    let mut gw = Arc::into_inner(target("gw", 10 * S, 5 * S)).unwrap();
    let when = When::Once { start: moment(0), end: moment(1000) };
    gw.maintenance = Maintenance::new(vec![Window { name: "".into(), when }]);
    let t0 = Instant::now();
    let targets = [target("child", 10 * S, 5 * S), Arc::new(gw)].map(|target| Arc::new(TargetState::new(target, t0)));
    let bench = Bench { dependencies: Dependencies::default(), targets: Arc::new(targets), t0 };
    bench.declare(&[("child", "gw")]);
    bench.goes_down("gw", 10);
    bench.goes_down("child", 12);
    assert_eq!(bench.told(20), ["child by gw (down 10)"]);
}

#[test]
fn another_config_has_other_explanations_at_once() {
    let bench = Bench::new(&["child", "gw"], &[("child", "gw")]);
    bench.goes_down("gw", 10);
    bench.goes_down("child", 12);
    bench.declare(&[]);
    assert_eq!(bench.told(20), NONE);
    bench.declare(&[("child", "gw")]);
    assert_eq!(bench.told(20), ["child by gw (down 10)"]);
}

#[test]
fn what_two_processes_saw_makes_one_explanation() {
    let mut bench = Bench::new(&["child", "gw"], &[("child", "gw")]);
    bench.goes_down("gw", 10);
    bench.goes_down("child", 12);
    let again = bench.targets.iter().map(|state| {
        let saved = state.save(bench.t0 + 20 * S);
        Arc::new(TargetState::restore(Arc::clone(state.target()), saved, bench.t0 + 25 * S, wall(25)))
    });
    bench.targets = again.collect();
    bench.declare(&[("child", "gw")]);
    assert_eq!(bench.told(25), ["child by gw (down 10)"]);
    bench.run("gw", 30, up());
    assert_eq!(bench.told(30), ["child by gw (recovering 30)"]);
}

#[test]
fn ten_thousand_children_of_one_parent_are_explained() {
    let names: Vec<String> = (0..10_000).map(|n| format!("t{n:05}")).collect();
    let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
    names.push("up-link");
    let bench = Bench::new(&names, &[]);
    let gw = names.len() - 1;
    let parents = (0..names.len()).map(|place| if place == gw { Arc::from([]) } else { Arc::from([gw]) });
    bench.dependencies.replace(Parents::new(parents.collect()), Arc::clone(&bench.targets));
    for name in names.iter().step_by(2) {
        bench.state(name).begin(bench.t0);
        bench.state(name).record(down(REFUSED), bench.t0);
    }
    bench.goes_down("up-link", 1);
    let explained = bench.snapshot(5, "").targets.iter().filter(|target| target.explained.is_some()).count();
    assert_eq!(explained, 5_000);
}

#[test]
fn single_runs_are_explained_by_what_is_down_further_up() {
    // 0 behind 1 behind 2; 3 behind 2.
    let parents = Parents::new(vec![Arc::new([1]), Arc::new([2]), Arc::new([]), Arc::new([2])]);
    let at = |places: &[usize]| (0..4).map(|place| places.contains(&place).then_some(UNIX_EPOCH)).collect::<Vec<_>>();
    assert_eq!(explain_runs(&parents, &at(&[0, 1])), [Some(1), None, None, None]);
    assert_eq!(explain_runs(&parents, &at(&[0, 2])), [Some(2), None, None, None]);
    assert_eq!(explain_runs(&parents, &at(&[0, 1, 2, 3])), [Some(2), Some(2), None, Some(2)]);
    assert_eq!(explain_runs(&Parents::default(), &at(&[0])), [None, None, None, None]);
}

#[derive(Clone, Copy, Debug)]
enum Act {
    Child(Option<Reason>),
    Parent(Option<Reason>),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let outcome = || prop::sample::select(vec![None, Some(REFUSED), Some(REFUSED), Some(Reason::Vantage)]);
    prop::collection::vec(prop_oneof![outcome().prop_map(Act::Child), outcome().prop_map(Act::Parent)], 1..60)
}

proptest! {
    /// Whatever happens, and in whatever order: an explanation is no more than what was seen of the parent.
    #[test]
    fn no_outcomes_make_a_target_that_fails_alone_disappear(acts in acts()) {
        let bench = Bench::new(&["child", "gw"], &[("child", "gw")]);
        for (act, second) in acts.into_iter().zip(1..) {
            match act {
                Act::Child(reason) => bench.run("child", second, reason.map_or_else(up, down)),
                Act::Parent(reason) => bench.run("gw", second, reason.map_or_else(up, down)),
            }
            let now = bench.t0 + second * S;
            let (child, gw) = (bench.snapshot(second, "child").targets.remove(0), bench.state("gw").standing(now));
            let asked = bench.state("child").standing(now).asked;
            prop_assert_eq!(asked.is_some(), child.verdict == Verdict::Down || child.failures_in_a_row > 0);
            match child.explained.map(|explained| explained.parent) {
                Some(ParentState::Down) => prop_assert_eq!(gw.verdict, Verdict::Down),
                Some(ParentState::Checking) => {
                    prop_assert!(gw.failing || gw.wished);
                    prop_assert!(gw.good < asked, "it was good since");
                }
                Some(ParentState::Recovering) => prop_assert!(gw.recovered > child.since && child.since.is_some()),
                None => {
                    prop_assert!(gw.verdict != Verdict::Down || asked.is_none());
                    prop_assert!(!gw.failing || asked.is_none() || gw.good >= asked);
                }
            }
        }
        // In the end the parent is good, and stays it: so the child is on its own soon.
        for second in 1001..1004 {
            bench.run("gw", second, up());
            bench.run("child", second, down(REFUSED));
            bench.run("gw", second, up());
        }
        prop_assert_eq!(bench.told(1003), NONE);
    }
}
