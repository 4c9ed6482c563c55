//! Outages that are staged: fleets as people have them, something that fails, and noise. The defaults of
//! [`Thresholds`] were chosen on these; the test holds the score that they reach.
//!
//! `cargo test --lib staged -- --nocapture` prints every outage that was not told right.

use std::collections::HashMap;

use super::*;
use crate::cause::facts::{Stage, stage_of};

/// xorshift64*: the same outages every time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() >> 33).unwrap_or(0) % bound.max(1)
    }

    fn happens(&mut self, share: f64) -> bool {
        count(self.below(1_000_000)) < share * 1e6
    }

    fn moment(&mut self, below: Moment) -> Moment {
        Moment::try_from(self.below(usize::try_from(below).unwrap_or(1))).unwrap_or(0)
    }
}

/// Targets that share what targets share.
struct Fleet {
    facts: Vec<Vec<(CauseKind, String)>>,
}

impl Fleet {
    /// Some have a server of their own, most share one; a few CDNs stand before many; certificates, issuers, ports and
    /// the resolver are what everybody has.
    fn new(random: &mut Random, size: usize) -> Self {
        let servers = (size / 4).max(2);
        let zones = (size / 3).max(2);
        let facts = (0..size).map(|_| {
            let mut facts = Vec::new();
            let zone = if random.happens(0.4) { random.below(3) } else { random.below(zones) };
            let (own, domain) =
                (format!("t{}.zone{zone}.example", random.below(1_000_000)), format!("zone{zone}.example"));
            facts.push((CauseKind::CanonicalName, own));
            facts.push((CauseKind::Domain, domain));
            facts.push((CauseKind::NameServer, format!("ns{}.dns.example", zone % 7)));
            facts.push((CauseKind::Resolver, format!("192.0.2.5{}:53", u8::from(random.happens(0.3)))));
            facts.push((CauseKind::Label, format!("team={}", random.below(5))));
            let address = if random.happens(0.25) {
                let cdn = random.below(3);
                facts.push((CauseKind::CanonicalName, format!("edge{}.cdn{cdn}.example", random.below(2))));
                facts.push((CauseKind::Domain, format!("cdn{cdn}.example")));
                (200 + cdn, random.below(12))
            } else if random.happens(0.8) {
                let server = random.below(servers);
                (server / 6, server % 6)
            } else {
                (100 + random.below(90), random.below(200))
            };
            facts.push((CauseKind::Address, format!("10.0.{}.{}", address.0, address.1)));
            facts.push((CauseKind::Network, format!("10.0.{}.0/24", address.0)));
            let port = ["443", "443", "443", "443", "80", "25", "8080"][random.below(7)];
            facts.push((CauseKind::Port, port.to_owned()));
            if random.happens(0.05) {
                facts.push((CauseKind::Proxy, "proxy.example:3128".to_owned()));
            }
            if port != "80" {
                let wildcard = random.happens(0.5);
                let serial = random.below(1_000_000);
                let certificate = if wildcard { format!("*.zone{zone}") } else { format!("own {serial}") };
                // All of a wildcard's holders have its issuer.
                let by = if wildcard { zone % 5 } else { random.below(5) };
                let issuer = ["Let's Encrypt", "Let's Encrypt", "Let's Encrypt", "DigiCert", "Own CA"][by];
                facts.push((CauseKind::Certificate, certificate));
                facts.push((CauseKind::Issuer, issuer.to_owned()));
            }
            if random.happens(0.05) {
                facts.push((CauseKind::Host, "login.example".to_owned()));
            }
            facts
        });
        Self { facts: facts.collect() }
    }

    /// A fact of the kind that as many targets have as one asks for, if there is one.
    fn fact(&self, random: &mut Random, kind: CauseKind, from: usize, to: usize) -> Option<(CauseKind, String)> {
        let mut holders: HashMap<&(CauseKind, String), usize> = HashMap::new();
        for fact in self.facts.iter().flatten().filter(|fact| fact.0 == kind) {
            *holders.entry(fact).or_default() += 1;
        }
        let mut fit: Vec<_> = holders.into_iter().filter(|(_, held)| (from..=to).contains(held)).collect();
        fit.sort();
        (!fit.is_empty()).then(|| fit[random.below(fit.len())].0.clone())
    }
}

const MINUTE: Moment = 60_000;
/// When it happens, and when we look.
const OUTAGE: Moment = 600 * MINUTE;

struct Staged {
    name: String,
    /// What failed; nothing for noise alone.
    truth: Vec<(CauseKind, String)>,
    standings: Vec<(Standing, Option<Stage>)>,
    fleet: Fleet,
}

impl Staged {
    /// Each of `truth` fails at [`OUTAGE`], a little spread; `noise` is the share that fails by itself, of which some
    /// began just then too. A share `spared` of those with the fact does not fail.
    fn new(random: &mut Random, fleet: Fleet, truth: Vec<(CauseKind, String)>, noise: f64, spared: f64) -> Self {
        let interval = [15_000, 15_000, 60_000, 300_000][random.below(4)];
        let now = OUTAGE + interval + 10_000;
        let mut standings = Vec::new();
        for facts in &fleet.facts {
            let tick = random.moment(interval);
            let hit = truth.iter().find(|fact| facts.contains(fact)).filter(|_| !random.happens(spared));
            standings.push(if let Some((kind, _)) = hit {
                let by = OUTAGE + tick;
                // What breaks a name breaks it at the lookup, and so on.
                let resolves = !matches!(kind, CauseKind::NameServer | CauseKind::Resolver);
                let stage = if resolves && stage_of(*kind) == Stage::Lookup { Stage::Connect } else { stage_of(*kind) };
                (Standing::Failing { after: by - interval, by }, Some(stage))
            } else if random.happens(noise) {
                // Half of what fails by itself has failed for long.
                let by = if random.happens(0.5) {
                    OUTAGE - random.moment(500 * MINUTE)
                } else {
                    now - random.moment(interval)
                };
                let stage = [Stage::Connect, Stage::Connect, Stage::Tls, Stage::Answer][random.below(4)];
                (Standing::Failing { after: by - interval, by }, Some(stage))
            } else {
                (Standing::Good { at: now - tick }, None)
            });
        }
        let name = format!("{} targets, {truth:?}, noise {noise}, spared {spared}", fleet.facts.len());
        Self { name, truth, standings, fleet }
    }

    fn hit(&self, fact: &(CauseKind, String)) -> usize {
        let failing = self.fleet.facts.iter().zip(&self.standings).filter(|(facts, (standing, _))| {
            facts.contains(fact)
                && matches!(standing, Standing::Failing { after, by } if *by >= OUTAGE && *after <= OUTAGE)
        });
        failing.count()
    }

    /// Each claim with those that are tied to it.
    fn claims(&self, thresholds: &Thresholds) -> Vec<Vec<(CauseKind, String)>> {
        let mut table: Vec<(CauseKind, String)> = Vec::new();
        let mut ids: HashMap<(CauseKind, String), FactId> = HashMap::new();
        let mut lists = Vec::new();
        for (facts, (_, stage)) in self.fleet.facts.iter().zip(&self.standings) {
            let seen = facts.iter().filter(|(kind, _)| stage.is_none_or(|stage| stage_of(*kind) <= stage));
            let mut list: Vec<FactId> = seen
                .map(|fact| {
                    *ids.entry(fact.clone()).or_insert_with(|| {
                        table.push(fact.clone());
                        FactId::try_from(table.len() - 1).unwrap_or(FactId::MAX)
                    })
                })
                .collect();
            list.sort_unstable();
            list.dedup();
            lists.push(list);
        }
        let members: Vec<Member<'_>> = lists
            .iter()
            .zip(&self.standings)
            .map(|(facts, (standing, _))| Member { standing: *standing, facts, classes: 0 })
            .collect();
        let traits: Vec<Trait> = table.iter().map(|(kind, _)| Trait { kind: *kind, class: None }).collect();
        let claims = find(&members, &traits, 0, thresholds).into_iter().map(|cause| {
            let facts = std::iter::once(cause.fact).chain(cause.tied);
            facts.map(|fact| table[fact as usize].clone()).collect()
        });
        claims.collect()
    }
}

#[derive(Default)]
struct Score {
    right: usize,
    /// Right, as one of several that nothing tells apart.
    tied: usize,
    wrong: usize,
    missed: usize,
    /// What was not simply right.
    told: Vec<String>,
}

impl Score {
    fn add(&mut self, staged: &Staged, thresholds: &Thresholds) {
        let mut claims = staged.claims(thresholds);
        for fact in &staged.truth {
            let claim = claims.iter().position(|claim| claim.contains(fact)).map(|index| claims.remove(index));
            match claim {
                Some(claim) if claim[0] == *fact => self.right += 1,
                Some(claim) => {
                    self.tied += 1;
                    self.told.push(format!("tied: {}\n  told {claim:?}", staged.name));
                }
                None => {
                    self.missed += 1;
                    self.told.push(format!("missed {fact:?}, {} down: {}", staged.hit(fact), staged.name));
                }
            }
        }
        self.wrong += claims.len();
        self.told.extend(claims.iter().map(|claim| format!("wrong: {}\n  told {claim:?}", staged.name)));
    }

    fn counts(&self) -> [usize; 4] {
        [self.right, self.tied, self.wrong, self.missed]
    }
}

const NOISE: [f64; 5] = [0.0, 0.01, 0.02, 0.03, 0.05];
const SIZES: [usize; 6] = [12, 40, 120, 400, 1000, 3000];

/// One cause of each kind, in fleets of each size: from three targets to a thousand.
fn of_one_cause(random: &mut Random) -> Vec<Staged> {
    let kinds = CauseKind::ALL.iter().filter(|kind| **kind != CauseKind::Reason);
    let mut all = Vec::new();
    for (round, &kind) in kinds.enumerate() {
        for size in SIZES {
            let fleet = Fleet::new(random, size);
            // Not more than two thirds: with nobody left there is nothing to tell it by.
            let Some(fact) = fleet.fact(random, kind, 3, (size * 2 / 3).min(1000)) else { continue };
            let (noise, spared) =
                (NOISE[(round + all.len()) % NOISE.len()], if random.happens(0.3) { 0.08 } else { 0.0 });
            let staged = Staged::new(random, fleet, vec![fact], noise, spared);
            if staged.hit(&staged.truth[0]) >= 3 {
                all.push(staged);
            }
        }
    }
    all
}

/// Two at once, of different kinds.
fn of_two_causes(random: &mut Random) -> Vec<Staged> {
    let mut all = Vec::new();
    let kinds = [CauseKind::Address, CauseKind::Network, CauseKind::Certificate, CauseKind::Host, CauseKind::Domain];
    for (round, first) in kinds.into_iter().enumerate() {
        for size in [120, 1000] {
            let fleet = Fleet::new(random, size);
            let second = kinds[(round + 2) % kinds.len()];
            let facts = [fleet.fact(random, first, 4, size / 5), fleet.fact(random, second, 4, size / 5)];
            let [Some(one), Some(other)] = facts else { continue };
            all.push(Staged::new(random, fleet, vec![one, other], NOISE[round], 0.0));
        }
    }
    all
}

/// Nothing in common, from a quiet day to a third of the fleet.
fn of_none(random: &mut Random) -> Vec<Staged> {
    let shares = [0.01, 0.02, 0.03, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35];
    let fleets = SIZES.iter().flat_map(|size| shares.iter().map(move |share| (*size, *share)));
    fleets
        .map(|(size, share)| {
            let fleet = Fleet::new(random, size);
            Staged::new(random, fleet, Vec::new(), share, 0.0)
        })
        .collect()
}

fn score(outages: &[Staged], thresholds: &Thresholds) -> Score {
    let mut score = Score::default();
    for staged in outages {
        score.add(staged, thresholds);
    }
    score
}

fn stage(seed: u64) -> [Vec<Staged>; 3] {
    let mut random = Random(seed);
    [of_one_cause(&mut random), of_two_causes(&mut random), of_none(&mut random)]
}

#[test]
fn staged_outages_are_told_by_their_cause() {
    let outages = stage(0x5eed);
    let counts = outages.each_ref().map(Vec::len);
    assert_eq!(counts, [65, 10, 60]);
    let [one, two, none] = outages.each_ref().map(|outages| score(outages, &Thresholds::default()));
    for told in [&one, &two, &none].into_iter().flat_map(|score| &score.told) {
        println!("{told}");
    }
    // Right, tied, wrong, missed.
    assert_eq!(one.counts(), [62, 2, 0, 1], "one cause");
    assert_eq!(two.counts(), [19, 1, 0, 0], "two causes");
    assert_eq!(none.counts(), [0, 0, 0, 0], "no common cause");
}

/// For docs/decisions/0004-shared-cause.md: how the score moves with each threshold.
#[test]
#[ignore = "takes a while; prints a table"]
fn thresholds_are_chosen_on_staged_outages() {
    let outages: Vec<Staged> = (1..=20_u64).flat_map(|seed| stage(seed * 7919)).flatten().collect();
    let default = Thresholds::default();
    println!("{} outages\n| setting | right | tied | wrong | missed |\n|---|---|---|---|---|", outages.len());
    let row = |name: String, thresholds: &Thresholds| {
        let [right, tied, wrong, missed] = score(&outages, thresholds).counts();
        println!("| {name} | {right} | {tied} | {wrong} | {missed} |");
    };
    row("defaults".to_owned(), &default);
    for min_share in [0.3, 0.5, 0.6, 0.7, 0.9, 0.95, 1.0] {
        row(format!("min_share {min_share}"), &Thresholds { min_share, ..default });
    }
    for min_targets in [4, 5, 8] {
        row(format!("min_targets {min_targets}"), &Thresholds { min_targets, ..default });
    }
    for seconds in [0, 10, 300, 3600, 36_000] {
        row(format!("window {seconds} s"), &Thresholds { window: seconds * 1000, ..default });
    }
    for chance in [0.5, 0.1, 0.001, 1e-4, 1e-6] {
        row(format!("chance {chance}"), &Thresholds { chance, ..default });
    }
}
