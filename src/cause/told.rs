//! The causes that are told: from the first sight of one to the end of its last outage.
//!
//! A cause is told when it has been the best explanation for a little while, since the targets that it hits are seen
//! one after the other. Once told it stays while half of those with the fact are down; targets that go down later join
//! it. A wider fact that explains all of it, and more, takes its place.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use super::facts::Facts;
use super::find::{Cause, FactId, Member, Moment, Standing, Thresholds, find};
use crate::config::{SharedCauseSettings, Target};
use crate::observation::{Observation, SharedCause};
use crate::state::{TargetState, View};

/// For so long a fact has to be the best explanation.
pub const SETTLE: Duration = Duration::from_secs(5);

/// One claim in a hundred searches may be chance.
const CHANCE: f64 = 0.01;

/// The search, with what it remembers.
#[derive(Default)]
pub struct Tracker {
    facts: Facts,
    told: Vec<Told>,
    /// Seen, but not for long enough.
    seen: Vec<(FactId, Instant)>,
    /// The labels of the config, as the facts know them.
    labels: Arc<[String]>,
    /// Whether what an earlier process told was taken up.
    began: bool,
    /// Targets of the last search that looked at facts. While all is calm none does, once they are known.
    swept: usize,
}

/// What a search led to.
#[derive(Debug, Default, PartialEq)]
pub struct Outcome {
    /// Every cause that is told, the greatest first.
    pub causes: Vec<Arc<SharedCause>>,
    /// Whether to look again without news: something is down, and there is more to see soon.
    pub restless: bool,
}

struct Told {
    fact: FactId,
    /// Of good ones that could have had it, where only failing ones can.
    class: Option<u8>,
    cause: Arc<SharedCause>,
}

/// A target that takes part in the search.
struct Entry<'a> {
    state: &'a TargetState,
    standing: Standing,
    facts: Arc<[FactId]>,
    classes: u64,
    /// The cause that explains it, of those told.
    explained: Option<usize>,
}

impl Entry<'_> {
    fn is_failing(&self) -> bool {
        matches!(self.standing, Standing::Failing { .. })
    }

    /// Whether it has the fact, or could have had it.
    fn has(&self, fact: FactId, class: Option<u8>) -> bool {
        match (self.standing, class) {
            (Standing::Good { .. }, Some(class)) => self.classes >> class & 1 == 1,
            (Standing::Good { .. } | Standing::Failing { .. }, _) => self.facts.binary_search(&fact).is_ok(),
        }
    }

    fn name(&self) -> &str {
        self.state.target().name.as_str()
    }
}

impl Tracker {
    /// Searches, and writes to each target what explains it. `witnesses` are good ones that are no targets.
    pub fn evaluate(
        &mut self,
        states: &[Arc<TargetState>],
        settings: &SharedCauseSettings,
        witnesses: usize,
        now: Instant,
    ) -> Outcome {
        let thresholds = Thresholds::of(settings);
        if *self.labels != *settings.labels {
            self.labels = settings.labels.iter().cloned().collect();
        }
        let views: Vec<View> = states.iter().map(|state| state.view(now)).collect();
        let down = views.iter().filter(|view| view.is_failing()).count();
        let calm = self.told.is_empty() && down < thresholds.min_targets;
        if calm && self.swept >= states.len() && views.iter().all(|view| view.shared_cause.is_none()) {
            self.seen.clear();
            return Outcome::default();
        }
        self.swept = states.len();
        self.facts.tidy(states.len());
        let places = states.iter().zip(&views).enumerate();
        let mut entries: Vec<Entry<'_>> =
            places.filter_map(|(place, (state, view))| self.entry(place, state, view)).collect();
        self.take_up(&views);
        self.update(&mut entries, thresholds.max_causes);
        self.search(&mut entries, witnesses, &thresholds, now);
        // The greatest first; those that are equal in the order in which they were told.
        let mut causes: Vec<_> = self.told.iter().map(|told| Arc::clone(&told.cause)).collect();
        causes.sort_by_key(|cause| std::cmp::Reverse(cause.failing));
        let mut explanations: Vec<Option<&Arc<SharedCause>>> = Vec::with_capacity(states.len());
        let mut explained = entries.iter().filter(|entry| entry.explained.is_some()).peekable();
        for state in states {
            let entry = explained.next_if(|entry| std::ptr::eq(entry.state, &**state));
            let told = entry.and_then(|entry| self.told.get(entry.explained?));
            explanations.push(told.map(|told| &told.cause));
        }
        for ((state, view), explanation) in states.iter().zip(&views).zip(explanations) {
            let same = match (&view.shared_cause, explanation) {
                (None, None) => true,
                (Some(before), Some(now)) => Arc::ptr_eq(before, now),
                (Some(_), None) | (None, Some(_)) => false,
            };
            if !same {
                state.explain(explanation.cloned());
            }
        }
        let failing = entries.iter().filter(|entry| entry.is_failing() && entry.explained.is_none()).count();
        let restless = !self.told.is_empty() || failing >= thresholds.min_targets;
        Outcome { causes, restless }
    }

    /// `None` for a target that says nothing now.
    fn entry<'a>(&mut self, place: usize, state: &'a Arc<TargetState>, view: &View) -> Option<Entry<'a>> {
        let target: &Arc<Target> = state.target();
        let labels = Arc::clone(&self.labels);
        let entry = |standing, facts, classes| Some(Entry { state, standing, facts, classes, explained: None });
        if view.is_failing() {
            let (bad, good) = (view.failure.as_ref()?, view.last_good.as_ref());
            let by = moment(view.since?);
            let interval = Moment::try_from(target.cadence.interval().as_millis()).unwrap_or(Moment::MAX);
            // Without a good run right before it is taken for as long as a round takes.
            let seen_good = good.map(|run| moment(run.started)).filter(|after| *after <= by);
            let after =
                seen_good.unwrap_or(by.saturating_sub(interval)).max(by.saturating_sub(interval.saturating_mul(2)));
            let (facts, _) = self.facts.of(place, target, &labels, good, Some(bad));
            return entry(Standing::Failing { after, by }, facts, 0);
        }
        if view.is_good() {
            let good: &Arc<Observation> = view.last_good.as_ref()?;
            let (facts, classes) = self.facts.of(place, target, &labels, Some(good), None);
            return entry(Standing::Good { at: moment(good.started) }, facts, classes);
        }
        None
    }

    /// What an earlier process told stays told.
    fn take_up(&mut self, views: &[View]) {
        if std::mem::replace(&mut self.began, true) {
            for told in &mut self.told {
                // The table of facts may be another one.
                let same = self.facts.is(told.fact, told.cause.kind, &told.cause.value);
                if !same && let Some(fact) = self.facts.named(told.cause.kind, &told.cause.value) {
                    (told.fact, told.class) = (fact, self.facts.traits()[fact as usize].class);
                }
            }
            return;
        }
        for cause in views.iter().filter_map(|view| view.shared_cause.as_ref()) {
            let known = self.told.iter().any(|told| told.cause.kind == cause.kind && told.cause.value == cause.value);
            if !known && let Some(fact) = self.facts.named(cause.kind, &cause.value) {
                let class = self.facts.traits()[fact as usize].class;
                self.told.push(Told { fact, class, cause: Arc::clone(cause) });
            }
        }
    }

    /// Causes that are over end; targets join those that go on.
    fn update(&mut self, entries: &mut [Entry<'_>], most: usize) {
        let mut told = std::mem::take(&mut self.told);
        told.retain_mut(|told| {
            let since = moment(told.cause.since);
            let (mut failing, mut good) = (0_usize, 0_usize);
            for entry in entries.iter().filter(|entry| entry.has(told.fact, told.class)) {
                match entry.standing {
                    // What was down long before is not of it.
                    Standing::Failing { by, .. } if by >= since => failing += 1,
                    Standing::Good { at } if at >= since => good += 1,
                    Standing::Failing { .. } | Standing::Good { .. } => {}
                }
            }
            failing >= 2 && failing >= good
        });
        told.truncate(most);
        for (index, told) in told.iter_mut().enumerate() {
            let since = moment(told.cause.since);
            let open = |entry: &&mut Entry<'_>| entry.explained.is_none() && entry.has(told.fact, told.class);
            for entry in entries.iter_mut().filter(open) {
                if matches!(entry.standing, Standing::Failing { by, .. } if by >= since) {
                    entry.explained = Some(index);
                }
            }
            told.renew(index, entries);
        }
        self.told = told;
    }

    fn search(&mut self, entries: &mut [Entry<'_>], witnesses: usize, thresholds: &Thresholds, now: Instant) {
        let unexplained = entries.iter().filter(|entry| entry.is_failing() && entry.explained.is_none()).count();
        if unexplained == 0 {
            self.seen.clear();
            return;
        }
        let mut found: Vec<(Cause, Vec<usize>)> = Vec::new();
        // A wider fact, which explains all of what some are told for, and more.
        if !self.told.is_empty() {
            let (causes, indices) = self.find(entries, |_| true, witnesses, thresholds);
            for cause in causes {
                let members: Vec<usize> = cause.failing.iter().map(|&member| indices[member]).collect();
                if self.told.iter().any(|told| told.fact == cause.fact) {
                    continue;
                }
                if !self.superseded(entries, &members).is_empty() {
                    found.push((cause, members));
                }
            }
        }
        // And what nothing explains yet.
        let spoken_for: Vec<usize> = found.iter().flat_map(|(_, members)| members.iter().copied()).collect();
        if unexplained >= thresholds.min_targets {
            let mut open: Vec<bool> = entries.iter().map(|entry| entry.explained.is_none()).collect();
            for index in spoken_for {
                open[index] = false;
            }
            let (causes, indices) = self.find(entries, |index| open[index], witnesses, thresholds);
            found.extend(causes.into_iter().map(|cause| {
                let members = cause.failing.iter().map(|&member| indices[member]).collect();
                (cause, members)
            }));
        }
        self.seen.retain(|(fact, _)| found.iter().any(|(cause, _)| cause.fact == *fact));
        for (cause, members) in found {
            let first = match self.seen.iter().find(|(fact, _)| *fact == cause.fact) {
                Some((_, first)) => *first,
                None => {
                    self.seen.push((cause.fact, now));
                    now
                }
            };
            if now.saturating_duration_since(first) >= SETTLE {
                self.tell(entries, &cause, &members, thresholds);
            }
        }
    }

    /// Searches among the failing entries that `keep` keeps, and all good ones.
    fn find(
        &self,
        entries: &[Entry<'_>],
        keep: impl Fn(usize) -> bool,
        witnesses: usize,
        thresholds: &Thresholds,
    ) -> (Vec<Cause>, Vec<usize>) {
        let (mut members, mut indices) = (Vec::with_capacity(entries.len()), Vec::with_capacity(entries.len()));
        for (index, entry) in entries.iter().enumerate() {
            if !entry.is_failing() || keep(index) {
                let Entry { standing, facts, classes, .. } = entry;
                members.push(Member { standing: *standing, facts, classes: *classes });
                indices.push(index);
            }
        }
        (find(&members, self.facts.traits(), witnesses, thresholds), indices)
    }

    /// The told causes of which these members are all, and more.
    fn superseded(&self, entries: &[Entry<'_>], members: &[usize]) -> Vec<usize> {
        let of = |told: usize| entries.iter().filter(|entry| entry.explained == Some(told)).count();
        let within = |told: usize| members.iter().filter(|&&index| entries[index].explained == Some(told)).count();
        (0..self.told.len())
            .filter(|&told| {
                let (whole, part) = (of(told), within(told));
                whole > 0 && part == whole && members.len() > whole
            })
            .collect()
    }

    fn tell(&mut self, entries: &mut [Entry<'_>], cause: &Cause, members: &[usize], thresholds: &Thresholds) {
        let over = self.superseded(entries, members);
        let since = members.iter().filter_map(|&index| match entries[index].standing {
            Standing::Failing { by, .. } => Some(by),
            Standing::Good { .. } => None,
        });
        let since = since.min().unwrap_or_default();
        if let Some(&place) = over.first() {
            // What it takes the place of ends without a trace.
            for entry in entries.iter_mut() {
                match entry.explained {
                    Some(told) if over.contains(&told) => entry.explained = None,
                    Some(told) => entry.explained = Some(told - over.iter().filter(|&&gone| gone < told).count()),
                    None => {}
                }
            }
            debug_assert!(place < self.told.len(), "it is one of those told");
            let mut index = 0;
            self.told.retain(|_| {
                index += 1;
                !over.contains(&(index - 1))
            });
        }
        if self.told.len() >= thresholds.max_causes {
            return;
        }
        let index = self.told.len();
        for &member in members {
            entries[member].explained.get_or_insert(index);
        }
        let tied = cause.tied.iter().take(SharedCause::MOST_TIED);
        let first = SharedCause {
            kind: self.facts.kind(cause.fact),
            value: self.facts.value(cause.fact),
            since: time(since),
            failing: 0,
            good: 0,
            elsewhere: 0,
            tied: tied.map(|&fact| (self.facts.kind(fact), self.facts.value(fact))).collect(),
            targets: Box::default(),
        };
        let class = self.facts.traits()[cause.fact as usize].class;
        let mut told = Told { fact: cause.fact, class, cause: Arc::new(first) };
        told.renew(index, entries);
        tracing::info!(
            kind = told.cause.kind.as_label(),
            value = &*told.cause.value,
            failing = told.cause.failing,
            good = told.cause.good,
            elsewhere = told.cause.elsewhere,
            "Targets that fail share a cause."
        );
        self.told.push(told);
        self.seen.retain(|(fact, _)| *fact != cause.fact);
    }
}

impl Told {
    /// Counts anew. The value stays the same one while nothing changes, so that nobody has to compare.
    fn renew(&mut self, index: usize, entries: &[Entry<'_>]) {
        let since = moment(self.cause.since);
        let mut members: Vec<Box<str>> = Vec::new();
        let (mut good, mut elsewhere) = (0, 0);
        for entry in entries {
            match entry.standing {
                Standing::Failing { .. } if entry.explained == Some(index) => members.push(entry.name().into()),
                Standing::Good { at } if at >= since && entry.has(self.fact, self.class) => good += 1,
                Standing::Good { at } if at >= since => elsewhere += 1,
                Standing::Failing { .. } | Standing::Good { .. } => {}
            }
        }
        members.sort_unstable();
        let failing = u32::try_from(members.len()).unwrap_or(u32::MAX);
        let targets: Box<[Box<str>]> = members.iter().take(SharedCause::MOST_TARGETS).cloned().collect();
        let now = SharedCause { failing, good, elsewhere, targets, ..(*self.cause).clone() };
        if now != *self.cause {
            self.cause = Arc::new(now);
        }
    }
}

impl Thresholds {
    pub fn of(settings: &SharedCauseSettings) -> Self {
        Self {
            min_targets: settings.min_targets,
            min_share: settings.min_share,
            window: Moment::try_from(settings.window.as_millis()).unwrap_or(Moment::MAX / 2),
            max_causes: settings.max_causes,
            chance: CHANCE,
        }
    }
}

impl Default for Thresholds {
    fn default() -> Self {
        Self::of(&SharedCauseSettings::default())
    }
}

fn moment(time: SystemTime) -> Moment {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    Moment::try_from(since.as_millis()).unwrap_or(Moment::MAX)
}

fn time(moment: Moment) -> SystemTime {
    UNIX_EPOCH.checked_add(Duration::from_millis(u64::try_from(moment).unwrap_or(0))).unwrap_or(UNIX_EPOCH)
}
