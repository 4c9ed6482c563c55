//! `depends_on`: a target that fails while something that it stands behind is down has its explanation.
//!
//! Clocks tick as they tick, so a child may be confirmed down before its parent is. Therefore its parents are run at once
//! when its failures begin and again when they are confirmed, and its failure counts as explained ("checking") until a run
//! of the parent that began later than that has been good. A parent that is confirmed down explains it whatever came
//! first. When the parent is up again, the child has as many runs to follow as confirm a failure ("recovering").
//!
//! An unconfirmed parent explains nothing to a child that failed while the parent was seen to be good: one that fails now
//! and then must not hide an outage of the child's own.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use tokio::time::Instant;

use crate::config::{Parents, TargetName};
use crate::state::{
    Explained, ParentState, Recent, RecentRun, Snapshot, Standing, TargetSnapshot, TargetState, Verdict,
};

/// Who stands behind whom in the config in force. Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub struct Dependencies(Arc<RwLock<Arc<Family>>>);

#[derive(Default)]
struct Family {
    parents: Parents,
    /// As `parents` counts them: by name.
    targets: Arc<[Arc<TargetState>]>,
}

impl Dependencies {
    /// The targets of a new config; both are sorted by name.
    pub fn replace(&self, parents: Parents, targets: Arc<[Arc<TargetState>]>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(Family { parents, targets });
    }

    fn family(&self) -> Arc<Family> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Has the parents of `child` run at once, unless they did since `since`: when its failing run began.
    pub fn ask(&self, child: &TargetName, since: Instant, now: Instant) {
        let family = self.family();
        if family.parents.is_empty() {
            return;
        }
        let Some(place) = family.place(child) else { return };
        for parent in family.parents.of(place) {
            if let Some(parent) = family.targets.get(*parent) {
                parent.wish(since, now);
            }
        }
    }

    /// Writes to each target of `snapshot` that fails what explains that. Costs nothing for those that are up.
    pub fn explain(&self, snapshot: &mut Snapshot, now: Instant) {
        let family = self.family();
        if family.parents.is_empty() {
            return;
        }
        let mut walk = Walk::new(&family.parents, |place| match family.targets.get(place) {
            Some(target) => Offer::of(&target.standing(now), place),
            None => Offer::default(),
        });
        for target in &mut snapshot.targets {
            if target.verdict != Verdict::Down && target.failures_in_a_row == 0 {
                continue;
            }
            let Some(place) = family.place(&target.target.name).filter(|place| !family.parents.of(*place).is_empty())
            else {
                continue;
            };
            let asked = family.targets[place].standing(now).asked;
            let above = walk.above(place);
            let found = above.explanation(asked, target);
            target.explained = found.and_then(|(place, parent, since)| {
                let by = Arc::clone(family.targets.get(place)?.target());
                Some(Explained { by, parent, since })
            });
        }
    }
}

impl Family {
    fn place(&self, name: &TargetName) -> Option<usize> {
        self.targets.binary_search_by(|state| state.target().name.cmp(name)).ok()
    }
}

/// For single runs of all targets: which target explains each. `down` has the targets that are down, and since when.
pub fn explain_runs(parents: &Parents, down: &[Option<SystemTime>]) -> Vec<Option<usize>> {
    let offer = |place: usize| Offer {
        down: down.get(place).copied().flatten().map(|since| (since, place)),
        ..Offer::default()
    };
    let mut walk = Walk::new(parents, offer);
    let explained =
        down.iter().enumerate().map(|(place, down)| down.and_then(|_| walk.above(place).down).map(|(_, by)| by));
    explained.collect()
}

/// What a target, or the best of several, has to offer as an explanation of those behind it, each with its place.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Offer {
    /// Since when: the first failure is the cause.
    down: Option<(SystemTime, usize)>,
    /// Not confirmed. When its latest good run began: the longer ago, the less is known against it.
    checking: Option<(Option<Instant>, usize)>,
    /// Since when it is up again: the last to recover.
    recovering: Option<(SystemTime, usize)>,
}

impl Offer {
    fn of(standing: &Standing, place: usize) -> Self {
        let down = standing.verdict == Verdict::Down;
        Self {
            down: standing.since.filter(|_| down).map(|since| (since, place)),
            checking: (!down && (standing.failing || standing.wished)).then_some((standing.good, place)),
            recovering: standing.recovered.map(|since| (since, place)),
        }
    }

    /// The better of both in each way.
    fn or(self, other: Self) -> Self {
        fn first<T: Ord>(a: Option<T>, b: Option<T>) -> Option<T> {
            [a, b].into_iter().flatten().min()
        }
        let recovering = [self.recovering, other.recovering];
        Self {
            down: first(self.down, other.down),
            checking: first(self.checking, other.checking),
            recovering: recovering.into_iter().flatten().max_by_key(|(since, place)| (*since, Reverse(*place))),
        }
    }

    /// What explains `child`, if anything does: by whom, how that is, and since when.
    fn explanation(
        &self,
        asked: Option<Instant>,
        child: &TargetSnapshot,
    ) -> Option<(usize, ParentState, Option<SystemTime>)> {
        if let Some((since, place)) = self.down {
            return Some((place, ParentState::Down, Some(since)));
        }
        if let (Some((good, place)), Some(asked)) = (self.checking, asked)
            && good.is_none_or(|good| good < asked)
        {
            return Some((place, ParentState::Checking, None));
        }
        let (since, place) = self.recovering?;
        let went_down = child.since.filter(|_| child.verdict == Verdict::Down)?;
        (went_down < since && !has_failed_since(child, since)).then_some((place, ParentState::Recovering, Some(since)))
    }
}

/// Whether the target had its chance: as many failing runs as confirm an outage.
fn has_failed_since(child: &TargetSnapshot, since: SystemTime) -> bool {
    let wanted = usize::try_from(child.target.confirm.failures.get()).unwrap_or(usize::MAX).min(Recent::MOST);
    let counts =
        |run: &&RecentRun| run.started() >= since && run.reason.is_some_and(|reason| !reason.is_inconclusive());
    child.recent.runs().filter(counts).count() >= wanted
}

/// Looks upwards, at each target once.
struct Walk<'a, F> {
    parents: &'a Parents,
    offer: F,
    seen: HashMap<usize, Offer>,
}

impl<'a, F: FnMut(usize) -> Offer> Walk<'a, F> {
    fn new(parents: &'a Parents, offer: F) -> Self {
        Self { parents, offer, seen: HashMap::new() }
    }

    /// The best that stands behind the target at `place`. Of two that are down, one behind the other, it is the one further
    /// up. As deep as [`Parents::MOST_IN_A_ROW`].
    fn above(&mut self, place: usize) -> Offer {
        if let Some(known) = self.seen.get(&place) {
            return *known;
        }
        let parents = self.parents;
        let mut best = Offer::default();
        for parent in parents.of(place) {
            let further = self.above(*parent);
            let own = (self.offer)(*parent);
            let down = further.down.or(own.down);
            best = best.or(Offer { down, ..further.or(own) });
        }
        self.seen.insert(place, best);
        best
    }
}

#[cfg(test)]
mod tests;
