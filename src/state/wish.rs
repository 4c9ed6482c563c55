//! The wish to have a target run now, since something that stands behind it fails. Pure bookkeeping.
//!
//! A wish names a moment, and is granted by a run that began then or later; by one that began earlier when it fails, since
//! re-checks follow. Wishes that come together are granted together, and a run that is only wished for keeps its distance
//! from the one before it, so that a thousand failures cost a target no more than its own re-checks would.

use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use tokio::time::Instant;

/// What else may take time besides two runs: the backstop of a run, and a runtime that is busy.
const SLACK: Duration = Duration::from_secs(3);

/// What a run that ended said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    Good,
    Bad,
    /// Inconclusive: an exporter in trouble is not helped by more runs.
    Nothing,
}

/// The latest run of a target, and what is wished for.
#[derive(Clone, Debug, Default)]
pub(super) struct Wishes {
    /// When the latest run began.
    began: Option<Instant>,
    /// When the latest run ended; `None` while it goes on.
    ended: Option<Instant>,
    /// When the latest good run began.
    good: Option<Instant>,
    /// In a box, since few targets have one at a time.
    wish: Option<Box<Wish>>,
}

#[derive(Clone, Copy, Debug)]
struct Wish {
    /// A run that began here or later grants it.
    since: Instant,
    made: Instant,
    /// Nobody waits longer than to here.
    until: Instant,
}

impl Wishes {
    pub(super) fn begin(&mut self, now: Instant) {
        (self.began, self.ended) = (Some(now), None);
    }

    pub(super) fn end(&mut self, now: Instant, told: Told) {
        self.ended = Some(now);
        if told == Told::Good {
            self.good = self.began;
        }
        self.wish = self.wish.take().filter(|wish| told == Told::Good && self.began < Some(wish.since));
    }

    /// Whether anything is to be done: not when a run that began since then has ended.
    pub(super) fn wish(&mut self, since: Instant, now: Instant, timeout: Duration, retry: Duration) -> bool {
        if self.ended.is_some() && self.began >= Some(since) {
            return false;
        }
        let until = now + 2 * timeout + retry + SLACK;
        let wish = self.wish.get_or_insert_with(|| Box::new(Wish { since, made: now, until }));
        wish.since = wish.since.max(since);
        wish.until = until;
        true
    }

    /// When the run that is wished for may begin; not before the one in flight has ended.
    pub(super) fn due(&self, retry: Duration) -> Option<Instant> {
        let wish = self.wish.as_ref()?;
        let apart = self.ended.map(|ended| ended + retry);
        Some(apart.map_or(wish.made, |apart| apart.max(wish.made)))
    }

    /// Whether somebody waits for a run.
    pub(super) fn is_open(&self, now: Instant) -> bool {
        self.wish.as_ref().is_some_and(|wish| now < wish.until)
    }

    /// When the latest run began.
    pub(super) fn began(&self) -> Option<Instant> {
        self.began
    }

    /// When the latest good run began.
    pub(super) fn good(&self) -> Option<Instant> {
        self.good
    }

    /// What a target with other settings takes over: the wish alone.
    pub(super) fn handed_on(&self) -> Self {
        Self { wish: self.wish.clone(), ..Self::default() }
    }

    pub(super) fn is_any(&self) -> bool {
        self.wish.is_some()
    }
}

/// Wakes the loop of a target.
#[derive(Default)]
pub(super) struct Bell {
    rung: AtomicBool,
    waker: AtomicWaker,
}

impl Bell {
    pub(super) fn ring(&self) {
        self.rung.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Ready when it rang since it was heard last. For one listener.
    pub(super) fn poll_heard(&self, context: &Context<'_>) -> Poll<()> {
        self.waker.register(context.waker());
        if self.rung.swap(false, Ordering::AcqRel) { Poll::Ready(()) } else { Poll::Pending }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    /// Seconds after the start of everything.
    struct Bench {
        wishes: Wishes,
        t0: Instant,
    }

    impl Bench {
        fn new() -> Self {
            Self { wishes: Wishes::default(), t0: Instant::now() }
        }

        fn run(&mut self, began: u32, ended: u32, told: Told) {
            self.wishes.begin(self.t0 + began * S);
            self.wishes.end(self.t0 + ended * S, told);
        }

        fn wish(&mut self, since: u32, now: u32) -> bool {
            self.wishes.wish(self.t0 + since * S, self.t0 + now * S, 5 * S, S)
        }

        fn due(&self) -> Option<u64> {
            self.wishes.due(S).map(|at| at.duration_since(self.t0).as_secs())
        }
    }

    #[test]
    fn a_run_that_began_since_then_grants_a_wish_before_and_after_it_is_made() {
        let mut bench = Bench::new();
        bench.run(10, 12, Told::Good);
        assert!(!bench.wish(10, 13), "one that has ended will do");
        assert!(bench.wish(11, 20));
        assert_eq!(bench.due(), Some(20));
        bench.run(20, 21, Told::Good);
        assert_eq!(bench.due(), None);
        bench.wishes.begin(bench.t0 + 30 * S);
        assert!(bench.wish(29, 31), "it has not said anything yet");
        assert!(bench.wishes.is_open(bench.t0 + 31 * S));
        bench.wishes.end(bench.t0 + 32 * S, Told::Good);
        assert_eq!(bench.due(), None);
    }

    #[test]
    fn a_good_run_that_began_too_early_is_followed_by_another_at_a_distance() {
        let mut bench = Bench::new();
        bench.wishes.begin(bench.t0 + 10 * S);
        bench.wish(11, 12);
        bench.wish(12, 13);
        bench.wishes.end(bench.t0 + 14 * S, Told::Good);
        assert_eq!(bench.due(), Some(15), "a retry interval after its end");
        bench.run(15, 16, Told::Good);
        assert_eq!(bench.due(), None, "both wishes are granted");
    }

    #[test]
    fn a_failure_and_a_run_that_says_nothing_end_a_wish() {
        for told in [Told::Bad, Told::Nothing] {
            let mut bench = Bench::new();
            bench.wishes.begin(bench.t0 + 10 * S);
            bench.wish(11, 12);
            bench.wishes.end(bench.t0 + 14 * S, told);
            assert_eq!(bench.due(), None, "{told:?}");
        }
    }

    #[test]
    fn nobody_waits_for_ever() {
        let mut bench = Bench::new();
        bench.wish(0, 0);
        assert!(bench.wishes.is_open(bench.t0 + 13 * S));
        assert!(!bench.wishes.is_open(bench.t0 + 14 * S), "two timeouts, the distance, and some slack");
        bench.wish(14, 14);
        assert!(bench.wishes.is_open(bench.t0 + 15 * S));
    }

    #[test]
    fn a_bell_that_rang_before_is_heard_and_only_once() {
        let bell = Bell::default();
        let context = Context::from_waker(std::task::Waker::noop());
        bell.ring();
        bell.ring();
        assert!(bell.poll_heard(&context).is_ready());
        assert!(bell.poll_heard(&context).is_pending());
    }
}
