//! From runs to what is told: facts of targets, and the life of a cause.

#![allow(clippy::unwrap_used)]

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use super::facts::Facts;
use super::told::{Outcome, SETTLE, Tracker};
use crate::config::maintenance::{Maintenance, When, Window};
use crate::config::{HostPort, LabelSet, ProbeSpec, SharedCauseSettings, Target};
use crate::observation::{
    CauseKind, Certificate, Chain, Detail, HttpDetail, Lookup, Observation, Reason, Resolution, SharedCause, TlsSession,
};
use crate::state::TargetState;
use crate::state::tests::{down, target, up};

const S: Duration = Duration::from_secs(1);

fn wall(second: u32) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_000_000) + second * S
}

fn at(address: &str, run: Observation) -> Observation {
    let address: IpAddr = address.parse().unwrap();
    let resolution = Resolution { elapsed: S, addresses: Box::new([address]), chosen: Some(address), lookup: None };
    Observation { resolution: Some(resolution), ..run }
}

/// A fleet with a clock: seconds since its creation.
struct Fleet {
    states: Vec<Arc<TargetState>>,
    tracker: Tracker,
    settings: SharedCauseSettings,
    t0: Instant,
}

impl Fleet {
    fn new(names: &[&str]) -> Self {
        Self::of(names.iter().map(|name| target(name, 10 * S, 5 * S)).collect())
    }

    fn of(targets: Vec<Arc<Target>>) -> Self {
        let t0 = Instant::now();
        let states = targets.into_iter().map(|target| Arc::new(TargetState::new(target, t0))).collect();
        Self { states, tracker: Tracker::default(), settings: SharedCauseSettings::default(), t0 }
    }

    fn state(&self, name: &str) -> &Arc<TargetState> {
        self.states.iter().find(|state| state.target().name.as_str() == name).unwrap()
    }

    fn run(&self, second: u32, name: &str, run: Observation) {
        let (state, now) = (self.state(name), self.t0 + second * S);
        state.begin(now);
        state.record(Observation { started: wall(second), ..run }, now);
    }

    /// Down at once: two runs, a second apart.
    fn fails(&self, second: u32, names: &[&str], address: &str) {
        for name in names {
            self.run(second, name, at(address, down(Reason::ConnectTimeout)));
            self.run(second + 1, name, at(address, down(Reason::ConnectTimeout)));
        }
    }

    fn works(&self, second: u32, names: &[&str], address: &str) {
        for name in names {
            self.run(second, name, at(address, up()));
        }
    }

    fn look(&mut self, second: u32) -> Outcome {
        self.tracker.evaluate(&self.states, &self.settings, 0, self.t0 + second * S)
    }

    /// Kind, value, failing, good, elsewhere.
    fn told(&mut self, second: u32) -> Vec<(CauseKind, String, u32, u32, u32)> {
        let causes = self.look(second).causes;
        causes.iter().map(|c| (c.kind, c.value.to_string(), c.failing, c.good, c.elsewhere)).collect()
    }

    /// What the snapshot of the target says.
    fn cause_of(&self, name: &str) -> Option<String> {
        let snapshot = self.state(name).snapshot(self.t0);
        snapshot.shared_cause.map(|cause| format!("{}={}", cause.kind.as_label(), cause.value))
    }
}

const WEB: [&str; 5] = ["web1", "web2", "web3", "web4", "web5"];
const ELSEWHERE: [&str; 6] = ["e1", "e2", "e3", "e4", "e5", "e6"];

/// Five behind one address, six elsewhere; at second 20 the five fail, and the others are seen to be up after that.
fn outage() -> Fleet {
    let fleet = Fleet::new(&[&ELSEWHERE[..], &WEB[..]].concat());
    fleet.works(10, &WEB, "192.0.2.1");
    for (number, name) in ELSEWHERE.iter().enumerate() {
        fleet.works(10, &[name], &format!("198.51.{number}.1"));
    }
    fleet.fails(20, &WEB, "192.0.2.1");
    for (number, name) in ELSEWHERE.iter().enumerate() {
        fleet.works(22, &[name], &format!("198.51.{number}.1"));
    }
    fleet
}

fn told_outage() -> Fleet {
    let mut fleet = outage();
    fleet.look(23);
    assert_eq!(fleet.look(23 + 5).causes.len(), 1);
    fleet
}

const ADDRESS: CauseKind = CauseKind::Address;

#[test]
fn a_cause_is_told_when_it_has_settled_and_on_those_that_it_explains() {
    let mut fleet = outage();
    assert_eq!(fleet.look(23), Outcome { causes: Vec::new(), restless: true });
    assert_eq!(fleet.cause_of("web1"), None);
    let settled = 23 + u32::try_from(SETTLE.as_secs()).unwrap();
    // All targets of the test have the same port, which therefore divides nothing.
    assert_eq!(fleet.told(settled), [(ADDRESS, "192.0.2.1".to_owned(), 5, 0, 6)]);
    for name in WEB {
        assert_eq!(fleet.cause_of(name).as_deref(), Some("address=192.0.2.1"));
    }
    assert_eq!(fleet.cause_of("e1"), None);
    let cause = fleet.look(settled + 1).causes.remove(0);
    assert_eq!(cause.since, wall(20));
    assert_eq!(cause.targets.iter().map(|name| &**name).collect::<Vec<_>>(), WEB);
}

#[test]
fn before_the_others_were_looked_at_nothing_is_claimed() {
    let mut fleet = Fleet::new(&[&ELSEWHERE[..], &WEB[..]].concat());
    fleet.works(10, &ELSEWHERE, "198.51.100.1");
    fleet.fails(20, &WEB, "192.0.2.1");
    assert_eq!(fleet.told(23), []);
    assert_eq!(fleet.told(60), []);
    fleet.works(61, &ELSEWHERE, "198.51.100.1");
    fleet.look(62);
    assert_eq!(fleet.told(70).len(), 1);
}

#[test]
fn targets_join_and_leave_and_the_last_few_stand_alone() {
    let mut fleet = told_outage();
    // One more moves there and goes down.
    fleet.fails(40, &["e1"], "192.0.2.1");
    assert_eq!(fleet.told(42), [(ADDRESS, "192.0.2.1".to_owned(), 6, 0, 5)]);
    assert_eq!(fleet.cause_of("e1").as_deref(), Some("address=192.0.2.1"));
    // Half of them is enough to go on.
    fleet.works(50, &WEB[..3], "192.0.2.1");
    assert_eq!(fleet.told(51), [(ADDRESS, "192.0.2.1".to_owned(), 3, 3, 5)]);
    assert_eq!((fleet.cause_of("web1"), fleet.cause_of("web5").is_some()), (None, true));
    fleet.works(60, &WEB[3..4], "192.0.2.1");
    assert_eq!(fleet.told(61), []);
    assert_eq!(fleet.cause_of("web5"), None, "it is down for itself now");
    fleet.works(70, &["web5", "e1"], "192.0.2.1");
    assert_eq!(fleet.look(71), Outcome::default());
}

#[test]
fn a_straggler_elsewhere_is_not_explained() {
    let mut fleet = told_outage();
    fleet.fails(40, &["e2"], "198.51.1.1");
    assert_eq!(fleet.told(50), [(ADDRESS, "192.0.2.1".to_owned(), 5, 0, 5)]);
    assert_eq!(fleet.cause_of("e2"), None);
}

#[test]
fn a_wider_fact_that_explains_more_takes_the_place() {
    let names = [&ELSEWHERE[..], &WEB[..], &["next1", "next2", "next3"]].concat();
    let mut fleet = Fleet::new(&names);
    fleet.works(10, &["next1", "next2", "next3"], "192.0.2.2");
    fleet.fails(20, &WEB, "192.0.2.1");
    fleet.works(22, &ELSEWHERE, "198.51.100.1");
    fleet.look(23);
    assert_eq!(fleet.told(28), [(ADDRESS, "192.0.2.1".to_owned(), 5, 0, 6)], "the others were not looked at since");
    fleet.fails(30, &["next1", "next2", "next3"], "192.0.2.2");
    fleet.works(32, &ELSEWHERE, "198.51.100.1");
    fleet.look(33);
    assert_eq!(fleet.told(38), [(CauseKind::Network, "192.0.2.0/24".to_owned(), 8, 0, 6)]);
    for name in ["web1", "next3"] {
        assert_eq!(fleet.cause_of(name).as_deref(), Some("network=192.0.2.0/24"));
    }
    assert_eq!(fleet.look(39).causes[0].since, wall(20));
}

#[test]
fn two_causes_at_once_are_both_told_and_end_by_themselves() {
    let db = ["db1", "db2", "db3"];
    let mut fleet = Fleet::new(&[&ELSEWHERE[..], &WEB[..], &db[..]].concat());
    fleet.fails(20, &WEB, "192.0.2.1");
    fleet.fails(21, &db, "203.0.113.1");
    fleet.works(25, &ELSEWHERE, "198.51.100.1");
    fleet.look(26);
    let both = [(ADDRESS, "192.0.2.1".to_owned(), 5, 0, 6), (ADDRESS, "203.0.113.1".to_owned(), 3, 0, 6)];
    assert_eq!(fleet.told(31), both);
    fleet.works(40, &WEB, "192.0.2.1");
    assert_eq!(fleet.told(41), [(ADDRESS, "203.0.113.1".to_owned(), 3, 0, 11)]);
    assert_eq!(fleet.cause_of("db2").as_deref(), Some("address=203.0.113.1"));
}

#[test]
fn with_max_causes_at_zero_nothing_is_told() {
    let mut fleet = outage();
    fleet.settings.max_causes = 0;
    fleet.look(23);
    assert_eq!(fleet.told(40), []);
}

#[test]
fn what_is_worked_on_takes_no_part() {
    let mut fleet = Fleet::of(
        [&ELSEWHERE[..], &WEB[..]]
            .concat()
            .into_iter()
            .map(|name| {
                let mut target = Arc::into_inner(target(name, 10 * S, 5 * S)).unwrap();
                if name.starts_with("web") {
                    let moment = |second| jiff::Timestamp::try_from(wall(second)).unwrap();
                    let when = When::Once { start: moment(0), end: moment(100) };
                    target.maintenance = Maintenance::new(vec![Window { name: "".into(), when }]);
                }
                Arc::new(target)
            })
            .collect(),
    );
    fleet.fails(20, &WEB, "192.0.2.1");
    fleet.works(22, &ELSEWHERE, "198.51.100.1");
    fleet.look(23);
    assert_eq!(fleet.told(40), []);
}

#[test]
fn a_restart_and_a_reload_forget_no_cause() {
    let mut fleet = told_outage();
    let saved: Vec<_> = fleet.states.iter().map(|state| state.save(fleet.t0 + 30 * S)).collect();
    let text = serde_json::to_string(&saved).unwrap();
    let saved: Vec<crate::state::Saved> = serde_json::from_str(&text).unwrap();
    let now = fleet.t0 + 40 * S;
    let targets: Vec<Arc<Target>> = fleet.states.iter().map(|state| Arc::clone(state.target())).collect();
    let restored = targets.iter().zip(saved);
    let states: Vec<_> = restored
        .map(|(target, saved)| Arc::new(TargetState::restore(Arc::clone(target), saved, now, wall(40))))
        .collect();
    let mut after = Fleet { states, tracker: Tracker::default(), settings: fleet.settings.clone(), t0: fleet.t0 };
    assert_eq!(after.cause_of("web1").as_deref(), Some("address=192.0.2.1"), "before the first search too");
    assert_eq!(after.told(41), [(ADDRESS, "192.0.2.1".to_owned(), 5, 0, 6)]);
    assert_eq!(after.look(42).causes[0].since, wall(20));

    // A reload that changes every target.
    fleet.states = fleet.states.iter().map(|state| Arc::new(state.succeed(Arc::clone(state.target()), now))).collect();
    assert_eq!(fleet.cause_of("web1").as_deref(), Some("address=192.0.2.1"));
    assert_eq!(fleet.told(41), [(ADDRESS, "192.0.2.1".to_owned(), 5, 0, 6)]);
    // And one that takes most of them away.
    fleet.states.retain(|state| !WEB[1..].contains(&state.target().name.as_str()));
    assert_eq!(fleet.told(42), []);
}

fn text_facts(facts: &Facts, ids: &[u32]) -> Vec<String> {
    let text = |id: &u32| format!("{}={}", facts.kind(*id).as_label(), facts.value(*id));
    let mut all: Vec<String> = ids.iter().map(text).collect();
    all.sort();
    all
}

fn shop() -> Arc<Target> {
    let mut target = Arc::into_inner(target("shop", 10 * S, 5 * S)).unwrap();
    let ProbeSpec::Tcp { address, .. } = &mut target.probe else { unreachable!("it is a TCP target") };
    *address = HostPort { host: "Shop.Example.co.uk.".to_owned(), port: 443 };
    target.labels =
        LabelSet::new([("rack".to_owned(), "7\n".to_owned()), ("team".to_owned(), "web".to_owned())]).unwrap();
    Arc::new(target)
}

fn whole_run() -> Observation {
    let lookup = Lookup {
        server: Some(SocketAddr::from(([192, 0, 2, 53], 53))),
        aliases: Box::new(["a.edge.cdn.example.net".into()]),
        name_servers: Box::new(["ns1.dns.example".into()]),
    };
    let certificate = Certificate {
        subject: "CN=shop".into(),
        issuer: "CN=CA".into(),
        dns_names: "".into(),
        serial: "0a".into(),
        fingerprint_sha256: "".into(),
        not_before: 0,
        not_after: 0,
    };
    let mut run = at("2001:db8:1:2::3", up());
    run.resolution.as_mut().unwrap().lookup = Some(Box::new(lookup));
    run.tls = Some(TlsSession {
        version: None,
        cipher: None,
        chain: Arc::new(Chain { certificates: Box::new([certificate]), earliest_expiry: None }),
        last_chain_expiry: None,
        verify_error: None,
        skipped_error: None,
    });
    run.detail = Detail::Http(Box::new(HttpDetail {
        redirect_chain: Box::new(["https://a.example.org/".into(), "https://login.example.org/x".into()]),
        proxy: Some("proxy.example:3128".into()),
        ..HttpDetail::default()
    }));
    run
}

const ALL: [&str; 15] = [
    "address=2001:db8:1:2::3",
    "canonical_name=a.edge.cdn.example.net",
    "canonical_name=shop.example.co.uk",
    "certificate=serial 0a of CN=shop",
    "domain=example.co.uk",
    "domain=example.net",
    "host=login.example.org",
    "issuer=CN=CA",
    "label=rack=7\u{fffd}",
    "name_server=ns1.dns.example",
    "network=2001:db8:1::/48",
    "port=443",
    "proxy=proxy.example:3128",
    "resolver=192.0.2.53:53",
    "reason=connect_timeout",
];

#[test]
fn a_good_run_gives_every_fact() {
    let (mut facts, labels) = (Facts::default(), Arc::from(["rack".to_owned()]));
    let (ids, classes) = facts.of(0, &shop(), &labels, Some(&Arc::new(whole_run())), None);
    assert_eq!(text_facts(&facts, &ids), ALL[..14]);
    assert_ne!(classes, 0);
    assert!(ids.is_sorted());
}

#[test]
fn a_failing_target_has_the_facts_that_can_matter_so_early() {
    let labels = Arc::from(["rack".to_owned()]);
    let good = Arc::new(whole_run());
    let facts_of = |bad: Observation| {
        let mut facts = Facts::default();
        let (ids, _) = facts.of(0, &shop(), &labels, Some(&good), Some(&Arc::new(bad)));
        text_facts(&facts, &ids)
    };
    let without = |kinds: &[&str], reason: &str| {
        let kept = ALL[..14].iter().filter(|fact| !kinds.iter().any(|kind| fact.starts_with(kind)));
        let mut kept: Vec<String> = kept.map(|fact| (*fact).to_owned()).collect();
        kept.push(format!("reason={reason}"));
        kept.sort();
        kept
    };
    let (late, connect) = (["host=", "issuer=", "certificate="], ["address=", "network=", "port=", "proxy="]);
    assert_eq!(facts_of(down(Reason::ConnectTimeout)), without(&late, "connect_timeout"));
    assert_eq!(facts_of(down(Reason::DnsServfail)), without(&[&late[..], &connect[..]].concat(), "dns_servfail"));
    assert_eq!(facts_of(down(Reason::TlsTimeout)), without(&["host="], "tls_timeout"));
    assert_eq!(facts_of(down(Reason::HttpStatus)), without(&[], "http_status"));
    // Where it went this time counts, not where it went before.
    let moved = facts_of(at("192.0.2.7", down(Reason::ConnectTimeout)));
    assert!(moved.contains(&"address=192.0.2.7".to_owned()) && moved.contains(&"network=192.0.2.0/24".to_owned()));
    assert!(!moved.contains(&ALL[0].to_owned()));
    assert!(moved.contains(&ALL[1].to_owned()), "but it did not see any alias");
}

#[test]
fn facts_follow_what_a_target_sees_from_run_to_run() {
    let (mut facts, labels, shop) = (Facts::default(), Arc::default(), shop());
    let mut look = |good: Option<Observation>, bad: Option<Observation>| {
        let (good, bad) = (good.map(Arc::new), bad.map(Arc::new));
        let (ids, _) = facts.of(0, &shop, &labels, good.as_ref(), bad.as_ref());
        text_facts(&facts, &ids)
    };
    let address = |of: &[String]| of.iter().find(|fact| fact.starts_with("address=")).cloned();
    let first = look(Some(whole_run()), None);
    assert_eq!(look(Some(whole_run()), None), first);
    // The same lookup, but no handshake any more.
    let failing = Observation { tls: None, ..Observation { outcome: down(Reason::TlsTimeout).outcome, ..whole_run() } };
    let failed = look(Some(whole_run()), Some(failing));
    assert!(failed.contains(&ALL[3].to_owned()) && failed.contains(&"reason=tls_timeout".to_owned()), "{failed:?}");
    let moved = look(Some(whole_run()), Some(at("192.0.2.7", down(Reason::ConnectTimeout))));
    assert_eq!(address(&moved).as_deref(), Some("address=192.0.2.7"));
    let back = look(Some(at("192.0.2.8", up())), None);
    assert_eq!(address(&back).as_deref(), Some("address=192.0.2.8"));
    assert_eq!(look(Some(whole_run()), None), first);
}

#[test]
fn facts_of_what_was_never_good_are_those_of_its_failure() {
    let mut facts = Facts::default();
    let bad = Arc::new(at("192.0.2.7", down(Reason::ConnectRefused)));
    let (ids, _) = facts.of(0, &shop(), &Arc::default(), None, Some(&bad));
    assert_eq!(
        text_facts(&facts, &ids),
        [
            "address=192.0.2.7",
            "canonical_name=shop.example.co.uk",
            "domain=example.co.uk",
            "network=192.0.2.0/24",
            "port=443",
            "reason=connect_refused"
        ]
    );
}

#[test]
fn values_are_short_and_one_line() {
    let mut target = Arc::into_inner(shop()).unwrap();
    target.labels = LabelSet::new([("rack".to_owned(), format!("a\n{}", "\u{e9}".repeat(500)))]).unwrap();
    let mut facts = Facts::default();
    let (ids, _) = facts.of(0, &Arc::new(target), &Arc::from(["rack".to_owned()]), Some(&Arc::new(up())), None);
    let label = ids.iter().find(|id| facts.kind(**id) == CauseKind::Label).unwrap();
    let value = facts.value(*label);
    assert!(value.starts_with("rack=a\u{fffd}\u{e9}") && value.chars().count() == 120, "{value}");
    assert_eq!(facts.named(CauseKind::Label, &value), Some(*label));
}

#[test]
fn the_defaults_of_config_and_search_are_the_same() {
    let settings = SharedCauseSettings::default();
    assert_eq!(super::find::Thresholds::of(&settings), super::find::Thresholds::default());
    assert!(SharedCause::MOST_TARGETS > settings.min_targets);
}
