//! Verdict, accounting and reload of one target and of many; the values here serve the tests of `schedule` too.

#![allow(clippy::unwrap_used)]

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use proptest::prelude::*;
use tokio::time::Instant;

use super::*;
use crate::config::maintenance::{Maintenance, When, Window};
use crate::config::{Cadence, Confirm, HostPort, LabelSet, ProbeSpec, TargetName, TcpSettings, TlsSettings};
use crate::observation::{Detail, Failure, HttpDetail, Outcome, TraceId};

pub(crate) fn target(name: &str, interval: Duration, timeout: Duration) -> Arc<Target> {
    target_with(name, interval, timeout, 2, &[])
}

pub(crate) fn target_with(
    name: &str,
    interval: Duration,
    timeout: Duration,
    failures: u32,
    latency_buckets: &[f64],
) -> Arc<Target> {
    let settings = TcpSettings {
        ip: crate::config::IpPreference::default(),
        dns_servers: crate::config::DnsServers::System,
        source_address: None,
        tls: false,
        tls_config: TlsSettings::default(),
        steps: Vec::new(),
        keep_excerpt: false,
    };
    Arc::new(Target {
        name: TargetName::new(name).unwrap(),
        address: "127.0.0.1:9".to_owned(),
        module: "tcp_connect".to_owned(),
        labels: LabelSet::default(),
        cadence: Cadence::new(interval, timeout).unwrap(),
        confirm: Confirm { failures: NonZeroU32::new(failures).unwrap(), retry_interval: Duration::from_secs(2) },
        latency_buckets: latency_buckets.into(),
        probe: ProbeSpec::Tcp {
            settings: Arc::new(settings),
            address: HostPort { host: "127.0.0.1".to_owned(), port: 9 },
        },
        fault: None,
        display_name: None,
        slow_threshold: None,
        slo: None,
        maintenance: Maintenance::default(),
        fan_out: None,
        diagnose: true,
        path: crate::config::PathSettings { enabled: true, every: None },
        fingerprint: [0; 32],
    })
}

pub(crate) fn up() -> Observation {
    Observation {
        started: UNIX_EPOCH,
        elapsed: Duration::ZERO,
        timeout: Duration::from_secs(5),
        outcome: Outcome::Up,
        resolution: None,
        tls: None,
        detail: Detail::None,
        addresses: Box::default(),
    }
}

pub(crate) fn down(reason: Reason) -> Observation {
    Observation { outcome: Outcome::Down(Failure::new(reason, "as the script says")), ..up() }
}

const S: Duration = Duration::from_secs(1);
const REFUSED: Reason = Reason::ConnectRefused;

/// A target with a clock that both run on: seconds since its creation.
struct Bench {
    state: TargetState,
    t0: Instant,
}

impl Bench {
    fn new(failures: u32) -> Self {
        Self::of(target_with("shop", 10 * S, 5 * S, failures, &[]))
    }

    fn of(target: Arc<Target>) -> Self {
        let t0 = Instant::now();
        Self { state: TargetState::new(target, t0), t0 }
    }

    /// In maintenance from second `start` to second `end`.
    fn maintained(failures: u32, start: u32, end: u32) -> Self {
        let moment = |second| jiff::Timestamp::try_from(wall(second)).unwrap();
        let when = When::Once { start: moment(start), end: moment(end) };
        let mut target = Arc::into_inner(target_with("shop", 10 * S, 5 * S, failures, &[])).unwrap();
        target.maintenance = Maintenance::new(vec![Window { name: "".into(), when }]);
        Self::of(Arc::new(target))
    }

    /// A run of no length at `second`.
    fn run(&self, second: u32, observation: Observation) -> Recorded {
        let now = self.t0 + second * S;
        self.state.begin(now);
        self.state.record(Observation { started: wall(second), ..observation }, now)
    }

    fn at(&self, second: u32) -> TargetSnapshot {
        self.state.snapshot(self.t0 + second * S)
    }

    /// Up, down, unknown, in seconds.
    fn clocks(&self, second: u32) -> (u64, u64, u64) {
        let totals = self.at(second).totals;
        (totals.up.as_secs(), totals.down.as_secs(), totals.unknown.as_secs())
    }
}

fn wall(second: u32) -> SystemTime {
    UNIX_EPOCH + second * S
}

#[test]
fn nothing_is_known_before_the_first_run() {
    let bench = Bench::new(2);
    let snapshot = bench.at(3);
    assert_eq!(snapshot.verdict, Verdict::Unknown);
    assert_eq!((snapshot.since, snapshot.last), (None, None));
    assert_eq!(bench.clocks(3), (0, 0, 3));
}

#[test]
fn a_success_at_once_is_up() {
    let bench = Bench::new(2);
    let recorded = bench.run(1, up());
    assert_eq!((recorded.change, recorded.next), (Some(Change::FirstUp { since: wall(1) }), Next::Tick));
    let snapshot = bench.at(4);
    assert_eq!((snapshot.verdict, snapshot.since), (Verdict::Up, Some(wall(1))));
    assert!(Arc::ptr_eq(snapshot.last.as_ref().unwrap(), snapshot.capsules.last_good.as_ref().unwrap()));
    assert_eq!(bench.clocks(4), (3, 0, 1));
}

#[test]
fn down_is_confirmed_and_dates_from_the_first_failing_run() {
    let bench = Bench::new(3);
    bench.run(0, up());
    assert_eq!(bench.run(10, down(REFUSED)).next, Next::Recheck);
    assert_eq!(bench.run(12, down(REFUSED)).next, Next::Recheck);
    let snapshot = bench.at(13);
    assert_eq!((snapshot.verdict, snapshot.failures_in_a_row, snapshot.totals.outages), (Verdict::Up, 2, 0));
    assert_eq!(bench.clocks(13), (10, 0, 0), "not decided yet, so credited nowhere");

    let recorded = bench.run(14, down(Reason::ConnectTimeout));
    assert_eq!(recorded.change, Some(Change::WentDown { since: wall(10), duration: 4 * S }));
    assert_eq!(recorded.next, Next::Tick);
    let snapshot = bench.at(15);
    assert_eq!((snapshot.verdict, snapshot.since), (Verdict::Down, Some(wall(10))));
    assert_eq!(snapshot.totals.outages, 1);
    assert_eq!(bench.clocks(15), (10, 5, 0));
    assert_eq!(snapshot.failures, [(REFUSED, 2), (Reason::ConnectTimeout, 1)]);
}

#[test]
fn with_one_failure_down_is_at_once() {
    let bench = Bench::new(1);
    let recorded = bench.run(2, down(REFUSED));
    assert_eq!(recorded.change, Some(Change::WentDown { since: wall(2), duration: Duration::ZERO }));
    assert_eq!(recorded.next, Next::Tick);
    assert_eq!(bench.clocks(5), (0, 3, 2));
}

#[test]
fn a_blip_goes_to_up_and_stays_visible_in_the_counters() {
    let bench = Bench::new(2);
    bench.run(0, up());
    bench.run(10, down(REFUSED));
    assert_eq!(bench.run(12, up()).change, None);
    let snapshot = bench.at(15);
    assert_eq!((snapshot.verdict, snapshot.since), (Verdict::Up, Some(wall(0))));
    assert_eq!((snapshot.totals.runs_failed, snapshot.totals.outages, snapshot.totals.blips), (1, 0, 1));
    assert_eq!(snapshot.failures, [(REFUSED, 1)]);
    assert_eq!(bench.clocks(15), (15, 0, 0));
    assert!(snapshot.capsules.latest_failure.is_some());
    assert_eq!(snapshot.capsules.first_failure, None, "there was no outage");
}

#[test]
fn a_series_is_one_blip_or_one_outage_however_many_runs_it_has() {
    let blips = |failures, script: &[Reason2]| {
        let bench = Bench::new(failures);
        for (second, result) in (0..).step_by(10).zip(script) {
            bench.run(second, observation(*result));
        }
        let totals = bench.at(200).totals;
        (totals.outages, totals.blips)
    };
    use Reason2::{Bad, Good, Own};
    assert_eq!(blips(3, &[Good, Bad, Good, Bad, Bad, Good, Bad]), (0, 2), "what goes on is none yet");
    assert_eq!(blips(3, &[Good, Bad, Own, Bad, Own, Good]), (0, 1), "what says nothing does not end a series");
    assert_eq!(blips(3, &[Good, Bad, Bad, Bad, Bad, Good, Good]), (1, 0));
    assert_eq!(blips(2, &[Good, Bad, Bad, Good, Bad, Good]), (1, 1));
    assert_eq!(blips(1, &[Good, Bad, Good, Bad, Good]), (2, 0), "each is an outage");
    assert_eq!(blips(2, &[Bad, Good]), (0, 1), "before anything is known of it");
    assert_eq!(blips(2, &[Good, Own, Good, Own, Own, Good]), (0, 0), "our own trouble");
}

#[test]
fn runs_out_of_turn_add_no_blips() {
    let bench = Bench::new(2);
    let aside = |second, observation| {
        let now = bench.t0 + second * S;
        bench.state.begin_aside(now);
        bench.state.record(Observation { started: wall(second), ..observation }, now);
    };
    bench.run(0, up());
    for second in [2, 4, 6] {
        aside(second, down(REFUSED));
        aside(second + 1, up());
    }
    assert_eq!(bench.at(9).totals.blips, 0, "seen by chance");
    bench.run(10, down(REFUSED));
    aside(12, up());
    assert_eq!(bench.at(13).totals.blips, 1, "the tick saw it, a re-check ended it");
    aside(14, down(REFUSED));
    bench.run(20, down(REFUSED));
    assert_eq!((bench.at(20).totals.blips, bench.at(20).totals.outages), (1, 1));

    let bench = Bench::new(3);
    bench.run(0, up());
    bench.state.begin_aside(bench.t0 + 5 * S);
    bench.state.record(Observation { started: wall(5), ..down(REFUSED) }, bench.t0 + 5 * S);
    bench.run(10, down(REFUSED));
    bench.run(20, up());
    assert_eq!(bench.at(20).totals.blips, 1, "the tick would have seen it anyway");
}

#[test]
fn a_blip_in_maintenance_is_none() {
    let bench = Bench::maintained(2, 5, 25);
    for (second, result) in [(0, up()), (10, down(REFUSED)), (12, up()), (24, down(REFUSED)), (26, up())] {
        bench.run(second, result);
    }
    assert_eq!(bench.at(29).totals.blips, 0);
    bench.run(30, down(REFUSED));
    bench.run(32, up());
    assert_eq!(bench.at(33).totals.blips, 1);
}

#[test]
fn a_three_second_outage_between_two_scrapes_is_in_the_counters_afterwards() {
    let bench = Bench::new(2);
    bench.run(0, up());
    let before = bench.at(4).totals;
    bench.run(5, down(REFUSED));
    bench.run(7, down(REFUSED));
    bench.run(8, up());
    let after = bench.at(14).totals;
    assert_eq!(after.outages - before.outages, 1);
    assert_eq!(after.down - before.down, 3 * S);
    assert_eq!(after.up - before.up, 7 * S);
}

#[test]
fn an_outage_ends_with_the_start_of_the_first_good_run() {
    let bench = Bench::new(1);
    bench.run(0, down(REFUSED));
    bench.run(10, down(REFUSED));
    let recorded = bench.run(20, up());
    assert_eq!(recorded.change, Some(Change::CameUp { since: wall(20), duration: 20 * S }));
    assert_eq!(bench.at(20).since, Some(wall(20)));
}

#[test]
fn capsules_tell_the_story_of_the_last_outage() {
    let bench = Bench::new(2);
    let started = |capsule: &Option<Arc<Observation>>| capsule.as_ref().map(|run| run.started);
    bench.run(0, up());
    bench.run(1, down(REFUSED));
    bench.run(2, down(REFUSED));
    bench.run(3, down(REFUSED));
    let capsules = bench.at(3).capsules;
    assert_eq!(started(&capsules.last_good), Some(wall(0)));
    assert_eq!(started(&capsules.first_failure), Some(wall(1)));
    assert_eq!(started(&capsules.latest_failure), Some(wall(3)));
    assert_eq!(capsules.recovery, None);

    bench.run(4, up());
    bench.run(5, up());
    bench.run(6, down(REFUSED));
    let capsules = bench.at(6).capsules;
    assert_eq!(started(&capsules.last_good), Some(wall(5)));
    assert_eq!(started(&capsules.first_failure), Some(wall(1)), "a blip does not replace the outage");
    assert_eq!(started(&capsules.latest_failure), Some(wall(6)));
    assert_eq!(started(&capsules.recovery), Some(wall(4)));

    bench.run(7, down(REFUSED));
    let capsules = bench.at(7).capsules;
    assert_eq!(started(&capsules.first_failure), Some(wall(6)));
    assert_eq!(capsules.recovery, None, "a new outage lasts");
}

#[test]
fn the_exporters_own_trouble_changes_no_verdict() {
    let bench = Bench::new(2);
    bench.run(0, up());
    assert_eq!(bench.run(10, down(Reason::Internal)).next, Next::Tick);
    bench.run(20, down(Reason::Internal));
    bench.run(30, down(Reason::Internal));
    let snapshot = bench.at(35);
    assert_eq!((snapshot.verdict, snapshot.failures_in_a_row), (Verdict::Up, 0));
    assert_eq!(snapshot.totals.runs_failed, 3);
    assert_eq!(snapshot.failures, [(Reason::Internal, 3)]);
    assert_eq!(snapshot.capsules.latest_failure, None);
    assert_eq!(bench.clocks(35), (10, 0, 25));
}

#[test]
fn the_exporters_own_trouble_neither_breaks_nor_prolongs_a_series() {
    let bench = Bench::new(2);
    bench.run(0, down(REFUSED));
    bench.run(2, down(Reason::Internal));
    assert_eq!(bench.run(5, down(REFUSED)).change, Some(Change::WentDown { since: wall(0), duration: 5 * S }));
    assert_eq!(bench.clocks(6), (0, 3, 3));
}

#[test]
fn a_gap_without_runs_is_unknown_beyond_what_a_run_vouches_for() {
    let bench = Bench::new(2);
    bench.run(0, up());
    // interval 10 + timeout 5 + retry 2
    assert_eq!(bench.clocks(17), (17, 0, 0));
    assert_eq!(bench.clocks(18), (17, 0, 1));
    bench.run(100, up());
    assert_eq!(bench.clocks(105), (22, 0, 83));
}

#[test]
fn time_stands_still_while_a_run_is_going_on() {
    let bench = Bench::new(2);
    bench.run(0, up());
    bench.state.begin(bench.t0 + 10 * S);
    assert_eq!(bench.clocks(14), (10, 0, 0));
    bench.state.record(down(REFUSED), bench.t0 + 15 * S);
    assert_eq!(bench.clocks(15), (10, 0, 0));
    bench.run(17, down(REFUSED));
    assert_eq!(bench.clocks(17), (10, 7, 0));
}

#[test]
fn latency_of_good_runs_falls_into_buckets_by_upper_bound() {
    let t0 = Instant::now();
    let state = TargetState::new(target_with("shop", 10 * S, 5 * S, 2, &[0.1, 0.5]), t0);
    for ms in [50, 100, 101, 500, 2000] {
        state.begin(t0);
        state.record(Observation { elapsed: Duration::from_millis(ms), ..up() }, t0);
    }
    state.begin(t0);
    state.record(Observation { elapsed: S, ..down(REFUSED) }, t0);
    let latency = state.snapshot(t0).latency.unwrap();
    assert_eq!(*latency.counts, [2, 2, 1]);
    assert!((latency.sum - 2.751).abs() < 1e-9);
}

#[test]
fn other_settings_keep_totals_and_capsules_and_drop_what_was_pending() {
    let bench = Bench::new(3);
    bench.run(0, up());
    bench.run(10, down(REFUSED));
    bench.run(12, down(REFUSED));
    let next = bench.state.succeed(target_with("shop", 20 * S, 5 * S, 3, &[1.0]), bench.t0 + 14 * S);
    let snapshot = next.snapshot(bench.t0 + 16 * S);
    assert_eq!((snapshot.verdict, snapshot.failures_in_a_row), (Verdict::Up, 0));
    assert_eq!((snapshot.totals.runs_succeeded, snapshot.totals.runs_failed), (1, 2));
    assert_eq!((snapshot.totals.up, snapshot.totals.unknown), (10 * S, 6 * S));
    assert!(snapshot.capsules.last_good.is_some() && snapshot.last.is_some());
    assert_eq!(snapshot.latency.unwrap().counts.len(), 2);

    // The loop of the old settings may still be about to record.
    assert_eq!(bench.run(15, down(REFUSED)).change, None);
    assert_eq!(bench.at(20).totals.runs_failed, 2);
}

#[test]
fn an_outage_goes_on_through_a_change_of_settings() {
    let bench = Bench::new(1);
    bench.run(0, down(REFUSED));
    let next = bench.state.succeed(target_with("shop", 10 * S, 5 * S, 1, &[]), bench.t0 + 5 * S);
    next.begin(bench.t0 + 6 * S);
    let recorded = next.record(Observation { started: wall(6), ..down(REFUSED) }, bench.t0 + 6 * S);
    assert_eq!(recorded.change, None);
    assert_eq!(next.snapshot(bench.t0 + 6 * S).since, Some(wall(0)));
    assert_eq!(next.snapshot(bench.t0 + 6 * S).totals.outages, 1);
    next.begin(bench.t0 + 9 * S);
    let recorded = next.record(Observation { started: wall(9), ..up() }, bench.t0 + 9 * S);
    assert_eq!(recorded.change, Some(Change::CameUp { since: wall(9), duration: 9 * S }));
}

#[test]
fn a_histogram_survives_a_change_unless_its_buckets_changed() {
    let t0 = Instant::now();
    let state = TargetState::new(target_with("shop", 10 * S, 5 * S, 2, &[0.5]), t0);
    state.begin(t0);
    state.record(up(), t0);
    let same = state.succeed(target_with("shop", 20 * S, 5 * S, 2, &[0.5]), t0);
    assert_eq!(*same.snapshot(t0).latency.unwrap().counts, [1, 0]);
    let other = same.succeed(target_with("shop", 20 * S, 5 * S, 2, &[0.7]), t0);
    assert_eq!(*other.snapshot(t0).latency.unwrap().counts, [0, 0]);
    assert_eq!(other.snapshot(t0).totals.runs_succeeded, 1);
}

#[test]
fn a_snapshot_is_sorted_filtered_and_holds_one_configs_targets() {
    let t0 = Instant::now();
    let state = State::default();
    let new = |name| Arc::new(TargetState::new(target(name, 10 * S, 5 * S), t0));
    state.replace(vec![new("b"), new("c"), new("a")]);
    let names =
        |snapshot: Snapshot| snapshot.targets.iter().map(|t| t.target.name.as_str().to_owned()).collect::<Vec<_>>();
    assert_eq!(names(state.snapshot(|_| true)), ["a", "b", "c"]);
    assert_eq!(names(state.snapshot(|target| target.name.as_str() != "b")), ["a", "c"]);
    state.clone().replace(vec![new("c")]);
    assert_eq!(names(state.snapshot(|_| true)), ["c"]);
    assert!(!state.all_observed());
    state.targets()[0].record(up(), t0);
    assert!(state.all_observed());
}

#[test]
fn a_targets_state_is_small() {
    // With its loop (see `schedule`) an idle target is to cost about a kilobyte.
    assert!(size_of::<TargetState>() <= 512, "{}", size_of::<TargetState>());
}

#[derive(Clone, Debug)]
enum Event {
    /// A run of so many milliseconds.
    Run(u64, Reason2),
    /// A scrape in the middle of a run, after so many milliseconds of it.
    RunWithScrape(u64, Reason2),
    /// A run that is cut off by a change of settings.
    Reload {
        in_flight: bool,
    },
    Scrape,
}

#[derive(Clone, Copy, Debug)]
enum Reason2 {
    Good,
    Bad,
    Own,
}

fn observation(result: Reason2) -> Observation {
    match result {
        Reason2::Good => up(),
        Reason2::Bad => down(REFUSED),
        Reason2::Own => down(Reason::Internal),
    }
}

fn events() -> impl Strategy<Value = Vec<(u64, Event)>> {
    let result = || prop_oneof![Just(Reason2::Good), Just(Reason2::Bad), Just(Reason2::Bad), Just(Reason2::Own)];
    let event = prop_oneof![
        6 => (0..7_000_u64, result()).prop_map(|(ms, r)| Event::Run(ms, r)),
        2 => (0..7_000_u64, result()).prop_map(|(ms, r)| Event::RunWithScrape(ms, r)),
        1 => any::<bool>().prop_map(|in_flight| Event::Reload { in_flight }),
        3 => Just(Event::Scrape),
    ];
    // Waits of mostly less than a gap (17 s), sometimes of a stalled process.
    let wait = prop_oneof![9 => 0..12_000_u64, 1 => 12_000..100_000_u64];
    prop::collection::vec((wait, event), 0..60)
}

proptest! {
    #[test]
    fn counters_never_fall_and_all_time_is_accounted_for(events in events(), failures in 1..4_u32) {
        let t0 = Instant::now();
        let mut now = t0;
        let mut state = TargetState::new(target_with("shop", 10 * S, 5 * S, failures, &[]), t0);
        let mut before = state.snapshot(now).totals;
        // `until`: up to where the time is settled (the start of a run in flight, or now).
        let mut check = |state: &TargetState, now: Instant, until: Instant| -> Result<(), TestCaseError> {
            let totals = state.snapshot(now).totals;
            prop_assert!(totals.up >= before.up && totals.down >= before.down && totals.unknown >= before.unknown);
            prop_assert!(totals.runs_succeeded >= before.runs_succeeded && totals.runs_failed >= before.runs_failed);
            prop_assert!(totals.outages >= before.outages && totals.blips >= before.blips);
            prop_assert_eq!(totals.up + totals.down + totals.unknown + state.pending(), until - t0);
            before = totals;
            Ok(())
        };
        for (wait, event) in events {
            now += Duration::from_millis(wait);
            let start = now;
            match event {
                Event::Run(ms, result) => {
                    state.begin(now);
                    now += Duration::from_millis(ms);
                    state.record(observation(result), now);
                    check(&state, now, now)?;
                }
                Event::RunWithScrape(ms, result) => {
                    state.begin(now);
                    now += Duration::from_millis(ms);
                    check(&state, now, start)?;
                    state.record(observation(result), now);
                }
                Event::Reload { in_flight } => {
                    if in_flight {
                        state.begin(now);
                        now += S;
                    }
                    state = state.succeed(target_with("shop", 10 * S, 5 * S, failures, &[]), now);
                    check(&state, now, now)?;
                }
                Event::Scrape => check(&state, now, now)?,
            }
        }
        check(&state, now, now)?;
    }
}

#[test]
fn the_time_in_a_window_is_maintenance_to_the_second_whatever_runs_say() {
    let bench = Bench::maintained(1, 13, 47);
    for second in [0, 10] {
        bench.run(second, up());
    }
    assert_eq!(bench.at(12).maintenance, Some(false));
    let (start, end) = bench.at(12).window.unwrap();
    assert!(start < end, "the next one is known before it begins");
    for second in [20, 30, 40] {
        bench.run(second, down(REFUSED));
        assert_eq!(bench.at(second).maintenance, Some(true));
    }
    assert_eq!(bench.at(40).verdict, Verdict::Down, "probing goes on");
    bench.run(50, up());
    let totals = bench.at(60).totals;
    assert_eq!(totals.maintenance, 34 * S);
    assert_eq!((totals.up, totals.down, totals.unknown), (13 * S + 10 * S, 3 * S, Duration::ZERO));
    assert_eq!(totals.outages, 0, "it began and ended while it was worked on, but for three seconds");
}

#[test]
fn an_outage_that_outlasts_its_window_is_counted_when_it_does() {
    let bench = Bench::maintained(2, 5, 25);
    bench.run(0, up());
    for second in [10, 12, 20] {
        bench.run(second, down(REFUSED));
    }
    assert_eq!((bench.at(20).verdict, bench.at(20).totals.outages), (Verdict::Down, 0));
    bench.run(30, down(REFUSED));
    bench.run(40, down(REFUSED));
    let snapshot = bench.at(40);
    assert_eq!(snapshot.totals.outages, 1);
    assert_eq!(snapshot.since, Some(wall(10)), "for people, it began when it began");
    assert_eq!((snapshot.totals.down, snapshot.totals.maintenance), (15 * S, 20 * S));
}

#[test]
fn a_target_without_windows_says_nothing_of_maintenance() {
    let bench = Bench::new(1);
    bench.run(0, up());
    assert_eq!((bench.at(1).maintenance, bench.at(1).totals.maintenance), (None, Duration::ZERO));
}

#[test]
fn what_happens_while_we_are_cut_off_is_unknown_and_changes_no_verdict() {
    let pairs = [Reason::Vantage, Reason::Resolver].map(|reason| [(reason, up()), (reason, down(REFUSED))]);
    for (reason, before) in pairs.into_iter().flatten() {
        let bench = Bench::new(1);
        bench.run(0, before);
        let verdict = bench.at(1).verdict;
        for second in [10, 20] {
            assert_eq!(bench.run(second, down(reason)).change, None);
        }
        let snapshot = bench.at(30);
        assert_eq!((snapshot.verdict, snapshot.totals.unknown), (verdict, 20 * S));
        assert_eq!(snapshot.last.unwrap().outcome.failure().unwrap().reason, reason);
    }
}

#[test]
fn a_change_lies_between_two_runs() {
    let bench = Bench::new(2);
    bench.run(0, up());
    bench.run(15, up());
    assert_eq!(bench.at(15).since_after(), None, "it was not otherwise before");
    bench.run(30, down(REFUSED));
    assert_eq!((bench.at(30).since_after(), bench.at(30).failing_since()), (None, Some(wall(30))));
    bench.run(32, down(REFUSED));
    let gone = bench.at(32);
    assert_eq!((gone.since, gone.since_after()), (Some(wall(30)), Some(wall(15))));
    bench.run(45, down(REFUSED));
    assert_eq!(bench.at(45).failing_since(), Some(wall(30)));
    bench.run(60, up());
    let back = bench.at(60);
    assert_eq!((back.since, back.since_after(), back.failing_since()), (Some(wall(60)), Some(wall(45)), None));
    // A blip later is not of that change.
    bench.run(75, down(REFUSED));
    bench.run(77, up());
    assert_eq!(bench.at(77).since_after(), Some(wall(45)));
}

#[test]
fn without_a_good_run_before_an_outage_has_no_earliest_start() {
    let bench = Bench::new(1);
    bench.run(5, down(REFUSED));
    assert_eq!((bench.at(5).since, bench.at(5).since_after()), (Some(wall(5)), None));
}

/// A run with a trace of its own.
fn traced(run: Observation, id: u8) -> Observation {
    let trace_id = TraceId::new([id; 16]);
    Observation { detail: Detail::Http(Box::new(HttpDetail { trace_id, ..HttpDetail::default() })), ..run }
}

#[test]
fn the_last_run_of_each_reason_and_bucket_is_one_to_look_at() {
    let now = Instant::now();
    let target = crate::metrics::fixture::http_target("shop", &[], &[0.1, 1.0]);
    let state = TargetState::new(target, now);
    let record = |run: Observation| {
        state.begin(now);
        state.record(run, now);
        state.snapshot(now)
    };
    let of = |snapshot: &TargetSnapshot| snapshot.exemplars.clone().unwrap_or_default();
    assert_eq!(record(up()).exemplars, None, "a run without a trace is none");
    let slow = |id| Observation { elapsed: Duration::from_millis(500), ..traced(up(), id) };
    record(slow(1));
    record(slow(2));
    let kept = record(Observation { elapsed: Duration::from_secs(2), ..traced(up(), 3) });
    let traces: Vec<_> = (0..4).map(|bucket| of(&kept).latency(bucket).map(|seen| (seen.trace, seen.value))).collect();
    let id = |id| TraceId::new([id; 16]).unwrap();
    assert_eq!(traces, [None, Some((id(2), 0.5)), Some((id(3), 2.0)), None]);
    record(traced(down(Reason::HttpStatus), 4));
    record(down(Reason::HttpStatus));
    record(traced(down(Reason::Vantage), 5));
    let after = record(traced(down(Reason::HttpStatus), 6));
    let trace = |reason| of(&after).failure(reason).map(|seen| (seen.trace, seen.value));
    assert_eq!(trace(Reason::HttpStatus), Some((id(6), 1.0)));
    assert_eq!(trace(Reason::Vantage), Some((id(5), 1.0)), "counted, so it has one");
    assert_eq!(trace(Reason::ConnectRefused), None);
    assert_eq!(of(&kept).failure(Reason::HttpStatus), None, "a snapshot stays as it was");
}
