//! The facts that divide the targets that fail from those that do not: a pure function over numbers.
//!
//! A fact is weighed by how much better "all with the fact fail together" explains what is seen than "each fails by
//! itself, as often as the others do". The fact of the greatest weight is the first cause; what it explains is put
//! aside, and the rest is searched again, so that causes that are independent of each other are all found.
//!
//! Only what happened at the same time counts: targets whose outages can have begun at one moment, and good runs that
//! began after it. A target that has not been looked at since says nothing.

use crate::observation::CauseKind;

/// A fact's place in the table of facts.
pub type FactId = u32;

/// Milliseconds on the wall clock.
pub type Moment = i64;

/// What the search has to know of a fact.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trait {
    pub kind: CauseKind,
    /// For what only failing targets can have (a reason): the bit of the good ones that could have had it.
    pub class: Option<u8>,
}

/// A target that takes part.
#[derive(Clone, Copy, Debug)]
pub struct Member<'a> {
    pub standing: Standing,
    pub facts: &'a [FactId],
    /// Bits of [`Trait::class`].
    pub classes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Standing {
    /// Down since some moment between the last good run and the first bad one.
    Failing { after: Moment, by: Moment },
    /// Up, as of a run that began then.
    Good { at: Moment },
}

/// What a claim takes. The defaults were chosen on the outages of `staged`; docs/decisions/0004-shared-cause.md has the figures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thresholds {
    /// Fewer failing targets share nothing.
    pub min_targets: usize,
    /// Of those with the fact, at least this share fails.
    pub min_share: f64,
    /// Outages that began so far apart began at the same time.
    pub window: Moment,
    /// More causes are not told at once.
    pub max_causes: usize,
    /// How many claims may be chance, over all facts of a kind. No setting.
    pub chance: f64,
}

/// How likely a target fails when what it depends on does. Below 1, because some are served from elsewhere.
const FAILS_TOGETHER: f64 = 0.98;

/// How likely a target fails by itself, as long as nothing else is known, and how many targets that knowledge is worth.
const FAILS_ALONE: f64 = 0.01;
const WORTH: f64 = 10.0;

/// Weights that are nearer than this, ten to one, are tied.
const TIED: f64 = std::f64::consts::LN_10;

#[derive(Clone, Debug, PartialEq)]
pub struct Cause {
    pub fact: FactId,
    /// Facts that explain it as well, the narrowest first. What the fact itself implies is not among them.
    pub tied: Vec<FactId>,
    /// Indices of members, ascending.
    pub failing: Vec<usize>,
    /// Members with the fact that are good since.
    pub good: usize,
    /// Members without it that are.
    pub elsewhere: usize,
    /// In nats.
    pub weight: f64,
}

/// The causes, the one that explains most first. `witnesses` are good ones that have none of the facts.
pub fn find(members: &[Member<'_>], traits: &[Trait], witnesses: usize, thresholds: &Thresholds) -> Vec<Cause> {
    let mut search = Search::new(members, traits, witnesses, thresholds);
    let mut causes: Vec<Cause> = Vec::new();
    while causes.len() < thresholds.max_causes {
        let Some(cause) = search.best() else { break };
        for &index in &cause.failing {
            search.explained[index] = true;
        }
        search.unexplained -= cause.failing.len();
        // An older outage of the same fact is not another cause now.
        if causes.iter().all(|known| known.fact != cause.fact) {
            causes.push(cause);
        }
    }
    causes
}

/// Lists of members by fact, all in one.
struct Index<T> {
    ends: Vec<u32>,
    entries: Vec<T>,
}

impl<T: Copy + Default> Index<T> {
    /// `each` calls its argument with every fact and what belongs to it, and does the same both times.
    fn new(facts: usize, each: impl Fn(&mut dyn FnMut(FactId, T))) -> Self {
        let mut ends = vec![0_u32; facts + 1];
        each(&mut |fact, _| ends[fact as usize + 1] += 1);
        for fact in 1..ends.len() {
            ends[fact] += ends[fact - 1];
        }
        let mut next = ends.clone();
        let mut entries = vec![T::default(); ends[facts] as usize];
        each(&mut |fact, entry| {
            let place = &mut next[fact as usize];
            entries[*place as usize] = entry;
            *place += 1;
        });
        Self { ends, entries }
    }

    fn of(&self, fact: FactId) -> &[T] {
        let fact = fact as usize;
        &self.entries[self.ends[fact] as usize..self.ends[fact + 1] as usize]
    }
}

#[derive(Clone, Copy, Default)]
struct Outage {
    member: u32,
    after: Moment,
    by: Moment,
}

struct Search<'a> {
    traits: &'a [Trait],
    thresholds: &'a Thresholds,
    witnesses: usize,
    /// By the moment after which they began; and by that at which they were seen.
    by_after: Index<Outage>,
    by_seen: Index<Outage>,
    /// When each good one with the fact was last looked at, ascending; and all.
    good: Index<Moment>,
    all_good: Vec<Moment>,
    /// The same by bit of a class.
    classes: Vec<Vec<Moment>>,
    /// Facts that enough failing ones have.
    candidates: Vec<FactId>,
    /// Facts of each kind that could have been claimed.
    of_kind: [usize; CauseKind::ALL.len()],
    explained: Vec<bool>,
    unexplained: usize,
}

/// A fact, weighed.
#[derive(Clone, Copy)]
struct Weighed {
    fact: FactId,
    weight: f64,
    onset: Onset,
    good: usize,
    elsewhere: usize,
    passes: bool,
}

/// The moment at which most outages can have begun.
#[derive(Clone, Copy)]
struct Onset {
    at: Moment,
    /// The first of them that was seen.
    seen: Moment,
    failing: usize,
}

impl<'a> Search<'a> {
    fn new(members: &[Member<'_>], traits: &'a [Trait], witnesses: usize, thresholds: &'a Thresholds) -> Self {
        let mut outages: Vec<Outage> = Vec::new();
        let mut fine: Vec<(Moment, usize)> = Vec::new();
        for (index, member) in members.iter().enumerate() {
            match member.standing {
                Standing::Failing { after, by } => {
                    let slack = thresholds.window / 2;
                    let member = u32::try_from(index).unwrap_or(u32::MAX);
                    outages.push(Outage {
                        member,
                        after: after.min(by).saturating_sub(slack),
                        by: by.saturating_add(slack),
                    });
                }
                Standing::Good { at } => fine.push((at, index)),
            }
        }
        let unexplained = outages.len();
        outages.sort_unstable_by_key(|outage| outage.after);
        let by_after = Index::new(traits.len(), |put| distribute(members, &outages, put));
        outages.sort_unstable_by_key(|outage| outage.by);
        let by_seen = Index::new(traits.len(), |put| distribute(members, &outages, put));
        fine.sort_unstable();
        let good = Index::new(traits.len(), |put| {
            for &(at, index) in &fine {
                for &fact in members[index].facts {
                    put(fact, at);
                }
            }
        });
        let mut classes = vec![Vec::new(); 64];
        for &(at, index) in &fine {
            let mut bits = members[index].classes;
            while bits != 0 {
                classes[bits.trailing_zeros() as usize].push(at);
                bits &= bits - 1;
            }
        }
        let mut of_kind = [0; CauseKind::ALL.len()];
        let mut candidates = Vec::new();
        for fact in 0..u32::try_from(traits.len()).unwrap_or(u32::MAX) {
            let failing = by_after.of(fact).len();
            let kind = traits[fact as usize].kind as usize;
            of_kind[kind] += usize::from(failing + good.of(fact).len() >= thresholds.min_targets);
            if failing >= thresholds.min_targets {
                candidates.push(fact);
            }
        }
        Self {
            traits,
            thresholds,
            witnesses,
            by_after,
            by_seen,
            good,
            all_good: fine.into_iter().map(|(at, _)| at).collect(),
            classes,
            candidates,
            of_kind,
            explained: vec![false; members.len()],
            unexplained,
        }
    }

    /// The cause of the greatest weight, of what is not explained yet.
    fn best(&self) -> Option<Cause> {
        if self.unexplained < self.thresholds.min_targets {
            return None;
        }
        let weighed: Vec<Weighed> =
            self.candidates.iter().filter_map(|&fact| self.weigh(fact)).filter(|weighed| weighed.passes).collect();
        let heaviest = weighed.iter().map(|weighed| weighed.weight).max_by(f64::total_cmp)?;
        let mut near: Vec<Weighed> = weighed.into_iter().filter(|weighed| heaviest - weighed.weight < TIED).collect();
        // The narrowest: that which fewest have. Kinds are in order too. A reason says how they fail, not by what.
        near.sort_by_key(|w| {
            let kind = self.traits[w.fact as usize].kind;
            (kind == CauseKind::Reason, w.onset.failing + w.good, kind, w.fact)
        });
        let first = *near.first()?;
        let failing = self.failing(&first);
        let kind = self.traits[first.fact as usize].kind;
        let tied = near[1..].iter().filter(|other| {
            let (other_kind, members) = (self.traits[other.fact as usize].kind, self.failing(other));
            // What the narrower fact implies is no other explanation; what explains other targets is another cause.
            !(implies(kind, other_kind) && is_within(&failing, &members)) && overlap(&failing, &members)
        });
        Some(Cause {
            tied: tied.map(|weighed| weighed.fact).collect(),
            fact: first.fact,
            good: first.good,
            elsewhere: first.elsewhere,
            weight: first.weight,
            failing,
        })
    }

    fn weigh(&self, fact: FactId) -> Option<Weighed> {
        let onset = self.onset(fact)?;
        if onset.failing < self.thresholds.min_targets {
            return None;
        }
        let Trait { kind, class } = self.traits[fact as usize];
        let since = |moments: &[Moment]| moments.len() - moments.partition_point(|at| *at < onset.seen);
        let good = match class {
            None => since(self.good.of(fact)),
            Some(class) => since(&self.classes[usize::from(class).min(63)]),
        };
        let elsewhere = since(&self.all_good) - good;
        let (failing_else, good_else) = (count(self.unexplained - onset.failing), count(elsewhere + self.witnesses));
        let alone = (failing_else + FAILS_ALONE * WORTH) / (failing_else + good_else + WORTH);
        let (failing, fine) = (count(onset.failing), count(good));
        let weight = failing * (FAILS_TOGETHER / alone).ln() + fine * ((1.0 - FAILS_TOGETHER) / (1.0 - alone)).ln();
        let tried = count(self.of_kind[kind as usize].max(1));
        let passes = good_else > 0.0
            && failing / (failing + fine) >= self.thresholds.min_share
            && weight >= (tried / self.thresholds.chance).ln();
        Some(Weighed { fact, weight, onset, good, elsewhere, passes })
    }

    /// Merges the starts and the ends of the spans in which the outages can have begun.
    fn onset(&self, fact: FactId) -> Option<Onset> {
        let open = |outage: &&Outage| !self.explained[outage.member as usize];
        let mut ends = self.by_seen.of(fact).iter().filter(open).peekable();
        let (mut now, mut most) = (0_usize, None::<(usize, Moment)>);
        for start in self.by_after.of(fact).iter().filter(open) {
            while ends.next_if(|end| end.by < start.after).is_some() {
                now -= 1;
            }
            now += 1;
            // Of several moments the latest: what goes on is news.
            if most.is_none_or(|(before, _)| now >= before) {
                most = Some((now, start.after));
            }
        }
        let (failing, at) = most?;
        let slack = self.thresholds.window / 2;
        let seen = self.by_seen.of(fact).iter().filter(open).find(|outage| outage.after <= at && at <= outage.by)?.by;
        Some(Onset { at, seen: seen.saturating_sub(slack), failing })
    }

    fn failing(&self, weighed: &Weighed) -> Vec<usize> {
        let at = weighed.onset.at;
        let outages = self.by_after.of(weighed.fact).iter();
        let mut members: Vec<usize> = outages
            .filter(|outage| !self.explained[outage.member as usize] && outage.after <= at && at <= outage.by)
            .map(|outage| outage.member as usize)
            .collect();
        members.sort_unstable();
        members
    }
}

fn distribute(members: &[Member<'_>], outages: &[Outage], put: &mut dyn FnMut(FactId, Outage)) {
    for outage in outages {
        for &fact in members[outage.member as usize].facts {
            put(fact, *outage);
        }
    }
}

/// Whether whoever has a fact of one kind has one of the other kind with it.
fn implies(narrow: CauseKind, wide: CauseKind) -> bool {
    matches!(
        (narrow, wide),
        (CauseKind::Address, CauseKind::Network)
            | (CauseKind::CanonicalName, CauseKind::Domain)
            | (CauseKind::Certificate, CauseKind::Issuer)
            // What fails together fails alike.
            | (_, CauseKind::Reason)
    )
}

/// Both are sorted.
fn is_within(few: &[usize], many: &[usize]) -> bool {
    few.iter().all(|member| many.binary_search(member).is_ok())
}

/// Whether they are mostly the same; both are sorted.
fn overlap(one: &[usize], other: &[usize]) -> bool {
    let shared = one.iter().filter(|member| other.binary_search(member).is_ok()).count();
    shared * 2 > one.len().max(other.len())
}

#[expect(clippy::cast_precision_loss, reason = "numbers of targets")]
fn count(targets: usize) -> f64 {
    targets as f64
}

#[cfg(test)]
mod staged;
#[cfg(test)]
mod tests;
