//! Small cases that can be checked by hand, and what holds for any.

use proptest::prelude::*;

use super::*;

const NOW: Moment = 1_000_000;
const S: Moment = 1000;

/// Facts by name, in the order of ids.
const ADDRESS: FactId = 0;
const NETWORK: FactId = 1;
const NAME: FactId = 2;
const PORT: FactId = 3;
const OTHER_ADDRESS: FactId = 4;
const TLS_UNTRUSTED: FactId = 5;
const TRAITS: [Trait; 6] = [
    Trait { kind: CauseKind::Address, class: None },
    Trait { kind: CauseKind::Network, class: None },
    Trait { kind: CauseKind::CanonicalName, class: None },
    Trait { kind: CauseKind::Port, class: None },
    Trait { kind: CauseKind::Address, class: None },
    Trait { kind: CauseKind::Reason, class: Some(1) },
];

#[derive(Debug, Default)]
struct Fleet(Vec<(Standing, Vec<FactId>, u64)>);

impl Fleet {
    /// Began in the last 15 seconds.
    fn failing(self, count: usize, facts: &[FactId]) -> Self {
        self.with(count, Standing::Failing { after: NOW - 20 * S, by: NOW - 5 * S }, facts, 0)
    }

    fn good(self, count: usize, facts: &[FactId]) -> Self {
        self.with(count, Standing::Good { at: NOW }, facts, 0)
    }

    fn with(mut self, count: usize, standing: Standing, facts: &[FactId], classes: u64) -> Self {
        self.0.extend((0..count).map(|_| (standing, facts.to_vec(), classes)));
        self
    }

    fn causes(&self, thresholds: &Thresholds) -> Vec<Cause> {
        let members: Vec<Member<'_>> = self.members();
        find(&members, &TRAITS, 0, thresholds)
    }

    fn members(&self) -> Vec<Member<'_>> {
        self.0
            .iter()
            .map(|(standing, facts, classes)| Member { standing: *standing, facts, classes: *classes })
            .collect()
    }

    /// Fact, tied ones, failing, good, elsewhere.
    fn told(&self) -> Vec<(FactId, Vec<FactId>, usize, usize, usize)> {
        let causes = self.causes(&Thresholds::default()).into_iter();
        causes.map(|cause| (cause.fact, cause.tied, cause.failing.len(), cause.good, cause.elsewhere)).collect()
    }
}

#[test]
fn the_narrowest_fact_that_all_share_is_told_without_what_it_implies() {
    let one_address = Fleet::default().failing(12, &[ADDRESS, NETWORK, PORT]).good(48, &[PORT]);
    assert_eq!(one_address.told(), [(ADDRESS, vec![], 12, 0, 48)]);
    let two_addresses = Fleet::default()
        .failing(6, &[ADDRESS, NETWORK, PORT])
        .failing(6, &[OTHER_ADDRESS, NETWORK, PORT])
        .good(48, &[PORT]);
    assert_eq!(two_addresses.told(), [(NETWORK, vec![], 12, 0, 48)]);
}

#[test]
fn a_fact_that_good_ones_share_explains_nothing() {
    let only_broad = Fleet::default().failing(12, &[PORT]).good(48, &[PORT]);
    assert_eq!(only_broad.told(), []);
    let but_one = Fleet::default().failing(12, &[ADDRESS]).good(1, &[ADDRESS]).good(48, &[]);
    assert_eq!(but_one.told(), [(ADDRESS, vec![], 12, 1, 48)]);
    let a_third = Fleet::default().failing(12, &[ADDRESS]).good(6, &[ADDRESS]).good(48, &[]);
    assert_eq!(a_third.told(), []);
}

#[test]
fn ties_are_told() {
    let both = Fleet::default().failing(5, &[ADDRESS, NAME]).good(20, &[PORT]);
    assert_eq!(both.told(), [(ADDRESS, vec![NAME], 5, 0, 20)]);
    let one_less = Fleet::default().failing(4, &[ADDRESS, NAME]).failing(1, &[NAME]).good(20, &[PORT]);
    assert_eq!(one_less.told(), [(NAME, vec![], 5, 0, 20)]);
}

#[test]
fn two_are_no_outage_in_common() {
    assert_eq!(Fleet::default().failing(2, &[ADDRESS]).good(100, &[]).told(), []);
    assert_eq!(Fleet::default().failing(3, &[ADDRESS]).good(100, &[]).told().len(), 1);
}

#[test]
fn where_nobody_else_is_known_to_be_up_nothing_is_claimed_but_beside_a_witness() {
    let all = Fleet::default().failing(5, &[ADDRESS, PORT]);
    assert_eq!(all.told(), []);
    let members = all.members();
    let causes = find(&members, &TRAITS, 1, &Thresholds::default());
    assert_eq!((causes[0].fact, &causes[0].tied[..]), (ADDRESS, &[PORT][..]));
}

#[test]
fn causes_that_are_independent_are_all_told_the_greatest_first() {
    let two = Fleet::default().failing(30, &[NAME, PORT]).failing(4, &[ADDRESS, NETWORK, PORT]).good(100, &[PORT]);
    assert_eq!(two.told(), [(NAME, vec![], 30, 0, 100), (ADDRESS, vec![], 4, 0, 100)]);
    let one = two.causes(&Thresholds { max_causes: 1, ..Thresholds::default() });
    assert_eq!(one.len(), 1);
    assert_eq!(two.causes(&Thresholds { max_causes: 0, ..Thresholds::default() }), []);
}

#[test]
fn what_failed_long_before_is_neither_failing_nor_good() {
    let long = Standing::Failing { after: NOW - 90_000 * S, by: NOW - 80_000 * S };
    let fleet = Fleet::default().failing(5, &[ADDRESS]).with(3, long, &[ADDRESS], 0).good(20, &[]);
    assert_eq!(fleet.told(), [(ADDRESS, vec![], 5, 0, 20)]);
    let scattered = (1..=6).fold(Fleet::default().good(30, &[]), |fleet, hours: Moment| {
        let by = NOW - hours * 3600 * S;
        fleet.with(1, Standing::Failing { after: by - 15 * S, by }, &[ADDRESS], 0)
    });
    assert_eq!(scattered.told(), []);
}

#[test]
fn slow_schedules_see_the_same_outage_late() {
    let hourly = (0..6).fold(Fleet::default().good(30, &[]), |fleet, tenth: Moment| {
        let by = NOW - tenth * 600 * S;
        fleet.with(1, Standing::Failing { after: by - 3600 * S, by }, &[ADDRESS], 0)
    });
    assert_eq!(hourly.told(), [(ADDRESS, vec![], 6, 0, 30)]);
}

#[test]
fn a_target_that_was_not_looked_at_since_says_nothing() {
    let before = Standing::Good { at: NOW - 300 * S };
    let stale = Fleet::default().failing(5, &[ADDRESS]).with(9, before, &[ADDRESS], 0).good(20, &[]);
    assert_eq!(stale.told(), [(ADDRESS, vec![], 5, 0, 20)]);
    assert_eq!(Fleet::default().failing(5, &[ADDRESS]).with(50, before, &[], 0).told(), []);
}

#[test]
fn a_reason_is_a_cause_where_most_fail_that_could_fail_so() {
    let good = Standing::Good { at: NOW };
    let fleet = |could: usize, could_not: usize| {
        let facts = [TLS_UNTRUSTED, PORT];
        Fleet::default().failing(20, &facts).with(could, good, &[PORT], 2).with(could_not, good, &[PORT], 1)
    };
    assert_eq!(fleet(1, 40).told(), [(TLS_UNTRUSTED, vec![], 20, 1, 40)]);
    assert_eq!(fleet(20, 40).told(), []);
}

fn arbitrary() -> impl Strategy<Value = Fleet> {
    let standing = prop_oneof![
        (0..600_000_i64, 0..60_000_i64).prop_map(|(by, span)| Standing::Failing { after: by - span, by }),
        (0..600_000_i64).prop_map(|at| Standing::Good { at }),
        Just(Standing::Failing { after: Moment::MIN, by: Moment::MAX }),
        Just(Standing::Failing { after: Moment::MAX, by: Moment::MIN }),
    ];
    let facts = prop::collection::btree_set(0..6_u32, 0..6).prop_map(|facts| facts.into_iter().collect::<Vec<_>>());
    prop::collection::vec((standing, facts, any::<u64>()), 0..60).prop_map(Fleet)
}

proptest! {
    #[test]
    fn each_target_is_explained_once_by_a_fact_that_it_has(fleet in arbitrary(), witnesses in 0..3_usize) {
        let members = fleet.members();
        let causes = find(&members, &TRAITS, witnesses, &Thresholds::default());
        let mut seen = std::collections::BTreeSet::new();
        for cause in &causes {
            prop_assert!(cause.failing.len() >= 3 && cause.failing.is_sorted());
            prop_assert!(count(cause.good) <= count(cause.failing.len()) * 0.25 + 1e-9);
            prop_assert!(!cause.tied.contains(&cause.fact));
            for &index in &cause.failing {
                prop_assert!(seen.insert(index));
                let failing = matches!(members[index].standing, Standing::Failing { .. });
                prop_assert!(failing);
                prop_assert!(members[index].facts.contains(&cause.fact));
            }
        }
    }

    #[test]
    fn the_order_of_targets_is_no_matter(fleet in arbitrary()) {
        let told = fleet.told();
        let reversed = Fleet(fleet.0.into_iter().rev().collect());
        prop_assert_eq!(told, reversed.told());
    }
}
