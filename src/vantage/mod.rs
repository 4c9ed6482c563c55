//! Whether it is us: while no anchor answers, the exporter itself is cut off, and its runs say nothing of the targets.
//!
//! Anchors are asked when a target's run fails in a way that our own network could explain, and now and then besides,
//! for the gauge. One check serves all who wait for it, so that a thousand targets that fail at once cost one.
//! `lookups` says the same of the name servers.

mod lookups;

use std::convert::Infallible;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use self::lookups::is_of_servers;
pub use self::lookups::{Answer, LookUp, Lookups};
use crate::config::{Anchor, Target};
use crate::observation::{Failure, Observation, Outcome, Reason};
use crate::probe::{Probe, Prober, ProberError, Shared};

/// How often anchors are asked when nobody wants to know.
const IDLE: Duration = Duration::from_secs(15);
/// And while none answers.
const WORRIED: Duration = Duration::from_secs(2);

/// The anchors, and what they said last.
pub struct Vantage<P = Prober> {
    anchors: Vec<(String, P)>,
    last: Mutex<Option<Check>>,
    /// The last answer again, for those who must not wait.
    seen: AtomicU8,
}

/// The vantage of the config in force. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct CurrentVantage(Arc<Current>);

struct Current {
    vantage: RwLock<Arc<Vantage>>,
    lookups: RwLock<Arc<Lookups>>,
}

impl Default for CurrentVantage {
    /// Without anchors, and without names.
    fn default() -> Self {
        let vantage = RwLock::new(Arc::new(Vantage::with(Vec::new())));
        Self(Arc::new(Current { vantage, lookups: RwLock::default() }))
    }
}

impl CurrentVantage {
    pub fn get(&self) -> Arc<Vantage> {
        Arc::clone(&self.0.vantage.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn lookups(&self) -> Arc<Lookups> {
        Arc::clone(&self.0.lookups.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// What was known of resolvers that stay is known of them still.
    pub fn replace_lookups(&self, lookups: Lookups) {
        let mut current = self.0.lookups.write().unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(lookups.after(&current));
    }

    /// The observation, or the failure of a run while we were cut off or our name servers failed. `began` is the start
    /// of the run.
    pub async fn excuse(&self, target: &Target, observation: Observation, began: Instant) -> Observation {
        let (vantage, lookups) = (self.get(), self.lookups());
        let of_servers = observation.outcome.failure().is_some_and(|failure| is_of_servers(failure.reason));
        // Anchors that are reached without a name say more than names: with them, all is gone.
        if !of_servers || vantage.is_cut_off_beyond_names(began).await {
            return vantage.excuse(observation, began).await;
        }
        let observation = lookups.excuse(target, observation, began).await;
        vantage.excuse(observation, began).await
    }

    /// What a run that counts says of its target's name.
    pub fn note(&self, target: &Target, observation: &Observation) {
        self.lookups().note(target, observation);
    }

    /// Asks name servers that fail until they do not, for ever. For a task of its own.
    pub async fn watch_lookups(self) -> Infallible {
        loop {
            self.lookups().worry().await;
        }
    }

    /// Whether the vantage changed: one with the same anchors stays, and what it has seen with it.
    pub fn replace(&self, vantage: Arc<Vantage>) -> bool {
        let mut current = self.0.vantage.write().unwrap_or_else(PoisonError::into_inner);
        let names = |vantage: &Vantage| vantage.anchors.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        if names(&current) == names(&vantage) {
            return false;
        }
        *current = vantage;
        true
    }
}

#[derive(Clone, Copy)]
struct Check {
    began: Instant,
    cut_off: bool,
    /// No anchor was found by its name; that says nothing of the rest of the network.
    by_name: bool,
}

const UNSEEN: u8 = 0;
const REACHES: u8 = 1;
const CUT_OFF: u8 = 2;

impl Vantage {
    /// # Errors
    /// No prober can be made of an anchor.
    pub fn new(anchors: &[Anchor], shared: &Arc<Shared>) -> Result<Self, ProberError> {
        let probers = anchors.iter().map(|anchor| Ok((anchor.address.clone(), Prober::new(&anchor.probe, shared)?)));
        Ok(Self::with(probers.collect::<Result<_, ProberError>>()?))
    }
}

impl<P: Probe> Vantage<P> {
    fn with(anchors: Vec<(String, P)>) -> Self {
        Self { anchors, last: Mutex::new(None), seen: AtomicU8::new(UNSEEN) }
    }

    /// Whether anything can be reached, as last seen. `None` without anchors, and before they were first asked.
    pub fn reaches(&self) -> Option<bool> {
        match self.seen.load(Ordering::Relaxed) {
            REACHES => Some(true),
            CUT_OFF => Some(false),
            _ => None,
        }
    }

    /// Whether no anchor answers, by a check that began at `since` or later.
    pub async fn is_cut_off(&self, since: Instant) -> bool {
        self.check(since).await.is_some_and(|check| check.cut_off)
    }

    /// Whether no anchor answers, and not for want of a name alone.
    async fn is_cut_off_beyond_names(&self, since: Instant) -> bool {
        self.check(since).await.is_some_and(|check| check.cut_off && !check.by_name)
    }

    /// `None` without anchors.
    async fn check(&self, since: Instant) -> Option<Check> {
        if self.anchors.is_empty() {
            return None;
        }
        // Held across the check on purpose: whoever waits for it is served by its result.
        let mut last = self.last.lock().await;
        if let Some(check) = *last
            && check.began >= since
        {
            return Some(check);
        }
        let began = Instant::now();
        let (cut_off, by_name) = self.ask().await;
        *last = Some(Check { began, cut_off, by_name });
        self.note(cut_off);
        *last
    }

    /// Asks now and then, for ever. For a task of its own.
    pub async fn watch(&self) -> Infallible {
        if self.anchors.is_empty() {
            return std::future::pending().await;
        }
        loop {
            let pause = if self.is_cut_off(Instant::now()).await { WORRIED } else { IDLE };
            sleep(pause).await;
        }
    }

    /// The observation, or the failure of a run while we were cut off. `began` is the start of the run.
    pub async fn excuse(&self, mut observation: Observation, began: Instant) -> Observation {
        let Outcome::Down(failure) = &observation.outcome else { return observation };
        if failure.reason.may_be_ours() && self.is_cut_off(began).await {
            let names: Vec<&str> = self.anchors.iter().map(|(name, _)| name.as_str()).collect();
            let names = names.join(", ");
            let sentence = format!("the exporter reaches none of its anchors ({names}) either: {}", failure.sentence);
            observation.outcome = Outcome::Down(Failure::new(Reason::Vantage, sentence));
        }
        observation
    }

    /// Whether none answers, and whether all of them for want of a name. All are asked at once; the first answer is
    /// enough.
    async fn ask(&self) -> (bool, bool) {
        let deadline = Instant::now() + Anchor::TIMEOUT;
        let mut runs: FuturesUnordered<_> = self.anchors.iter().map(|(_, anchor)| anchor.run(deadline)).collect();
        let mut by_name = true;
        while let Some(run) = runs.next().await {
            // What an anchor says is no matter, as long as something does. A run that we ourselves could not make is
            // no witness against the network.
            match run.outcome.failure() {
                None => return (false, false),
                Some(failure) if !failure.reason.may_be_ours() => return (false, false),
                Some(failure) => by_name &= failure.reason.is_name_resolution(),
            }
        }
        (true, by_name)
    }

    fn note(&self, cut_off: bool) {
        let now = if cut_off { CUT_OFF } else { REACHES };
        let before = self.seen.swap(now, Ordering::Relaxed);
        let anchors = self.anchors.len();
        match (before, cut_off) {
            (CUT_OFF, false) => info!(anchors, "Anchors answer again; runs count again."),
            (UNSEEN | REACHES, true) => {
                warn!(anchors, "No anchor answers: cut off. Runs are inconclusive until one does.")
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize};

    use super::*;
    use crate::state::tests::{down, up};

    /// An anchor that answers when it is told to, and counts.
    #[derive(Default)]
    struct Scripted {
        answers: AtomicBool,
        refuses: AtomicBool,
        nameless: AtomicBool,
        asked: AtomicUsize,
    }

    impl Probe for Arc<Scripted> {
        async fn run(&self, _deadline: Instant) -> Observation {
            self.asked.fetch_add(1, Ordering::Relaxed);
            sleep(Duration::from_millis(100)).await;
            if self.answers.load(Ordering::Relaxed) {
                up()
            } else if self.refuses.load(Ordering::Relaxed) {
                down(Reason::HttpStatus)
            } else if self.nameless.load(Ordering::Relaxed) {
                down(Reason::DnsTimeout)
            } else {
                down(Reason::ConnectTimeout)
            }
        }
    }

    fn vantage(count: usize) -> (Vantage<Arc<Scripted>>, Vec<Arc<Scripted>>) {
        let anchors: Vec<_> = (0..count).map(|_| Arc::new(Scripted::default())).collect();
        let named = anchors.iter().enumerate().map(|(n, anchor)| (format!("anchor-{n}"), Arc::clone(anchor)));
        (Vantage::with(named.collect()), anchors)
    }

    fn reason(run: &Observation) -> Option<Reason> {
        run.outcome.failure().map(|failure| failure.reason)
    }

    #[tokio::test(start_paused = true)]
    async fn one_anchor_that_answers_is_enough() {
        let (vantage, anchors) = vantage(3);
        assert_eq!(vantage.reaches(), None);
        assert!(vantage.is_cut_off(Instant::now()).await);
        assert_eq!(vantage.reaches(), Some(false));
        anchors[2].answers.store(true, Ordering::Relaxed);
        assert!(!vantage.is_cut_off(Instant::now()).await);
        assert_eq!(vantage.reaches(), Some(true));
        anchors[2].answers.store(false, Ordering::Relaxed);
        anchors[1].refuses.store(true, Ordering::Relaxed);
        assert!(!vantage.is_cut_off(Instant::now()).await, "a bad answer is an answer");
    }

    #[tokio::test(start_paused = true)]
    async fn a_thousand_failures_at_once_cost_one_check() {
        let (vantage, anchors) = vantage(2);
        let began = Instant::now();
        let runs = (0..1000).map(|_| vantage.excuse(down(Reason::ConnectTimeout), began));
        let runs = futures_util::future::join_all(runs).await;
        assert!(runs.iter().all(|run| reason(run) == Some(Reason::Vantage)));
        assert_eq!(anchors[0].asked.load(Ordering::Relaxed), 1);
        assert_eq!(anchors[1].asked.load(Ordering::Relaxed), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_only_the_target_can_have_said_is_not_excused() {
        let (vantage, anchors) = vantage(1);
        let began = Instant::now();
        for reason_seen in Reason::ALL.iter().copied().filter(|reason| !reason.may_be_ours()) {
            let run = vantage.excuse(down(reason_seen), began).await;
            assert_eq!(reason(&run), Some(reason_seen));
        }
        assert!(vantage.excuse(up(), began).await.outcome.is_up());
        assert_eq!(anchors[0].asked.load(Ordering::Relaxed), 0);
        assert!(Reason::ConnectTimeout.may_be_ours() && !Reason::HttpStatus.may_be_ours());
    }

    #[tokio::test(start_paused = true)]
    async fn anchors_that_only_lack_their_names_say_nothing_of_the_network() {
        let (vantage, anchors) = vantage(2);
        anchors[0].nameless.store(true, Ordering::Relaxed);
        assert!(vantage.is_cut_off_beyond_names(Instant::now()).await, "one fails at its address");
        anchors[1].nameless.store(true, Ordering::Relaxed);
        assert!(!vantage.is_cut_off_beyond_names(Instant::now()).await);
        assert!(vantage.is_cut_off(Instant::now()).await, "but still, none answers");
        anchors[1].answers.store(true, Ordering::Relaxed);
        assert!(!vantage.is_cut_off_beyond_names(Instant::now()).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_check_older_than_the_run_does_not_count() {
        let (vantage, anchors) = vantage(1);
        assert!(vantage.is_cut_off(Instant::now()).await);
        anchors[0].answers.store(true, Ordering::Relaxed);
        assert!(!vantage.is_cut_off(Instant::now()).await);
        assert_eq!(anchors[0].asked.load(Ordering::Relaxed), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn without_anchors_it_is_always_them() {
        let (vantage, _) = vantage(0);
        assert!(!vantage.is_cut_off(Instant::now()).await);
        assert_eq!(vantage.reaches(), None);
        let run = vantage.excuse(down(Reason::ConnectTimeout), Instant::now()).await;
        assert_eq!(reason(&run), Some(Reason::ConnectTimeout));
    }
}
