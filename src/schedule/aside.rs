//! What goes on beside the runs of a target and delays none: re-checks of a failure, and traces of the way.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::time::{Instant, timeout_at};
use tracing::{debug, error};

use crate::observation::{Observation, Outcome, Path};
use crate::probe::{GoodTrace, Probe};
use crate::state::{Recorded, TargetState};

/// The least time between two traces of a target that flaps, or whose trace did not fit the exporter's budget.
const LEAST_GAP: Duration = Duration::from_secs(30);

/// Over so much time the first good ways of all targets are spread.
const SPREAD: Duration = Duration::from_secs(120);

type Going<'a, T> = Option<Pin<Box<dyn Future<Output = T> + Send + 'a>>>;

/// Small while there is nothing, which is most of the time.
pub(super) struct Aside<'a> {
    more: Option<Box<More<'a>>>,
}

#[derive(Default)]
struct More<'a> {
    diagnosis: Going<'a, ()>,
    trace: Going<'a, ()>,
    /// When a trace began last.
    traced: Option<Instant>,
    /// Says at its end whether there was room for it.
    good: Going<'a, bool>,
    /// How often a good way is traced. `None`: never.
    every: Option<Duration>,
    /// When the next is due, which is sooner when there was no room for the last.
    good_due: Option<Instant>,
}

impl<'a> Aside<'a> {
    pub(super) fn new(state: &TargetState, now: Instant) -> Self {
        let target = state.target();
        let more = target.path.every.filter(|_| target.path.enabled).map(|every| {
            let known = state.good_paths().first().and_then(|path| path.time.elapsed().ok());
            let wait = known.map_or_else(|| spread(target.name.as_str()), |age| every.saturating_sub(age));
            Box::new(More { every: Some(every), good_due: Some(now + wait), ..More::default() })
        });
        Self { more }
    }

    /// Whether nothing goes on.
    pub(super) fn is_idle(&self) -> bool {
        let idle = |more: &More<'_>| more.diagnosis.is_none() && more.trace.is_none() && more.good.is_none();
        self.more.as_deref().is_none_or(idle)
    }

    /// Waits for `main`, and meanwhile goes on with what there is.
    pub(super) async fn beside<T>(&mut self, main: impl Future<Output = T>) -> T {
        let mut main = pin!(main);
        std::future::poll_fn(|context| {
            if let Poll::Ready(result) = main.as_mut().poll(context) {
                return Poll::Ready(result);
            }
            let Some(more) = self.more.as_deref_mut() else { return Poll::Pending };
            for going in [&mut more.diagnosis, &mut more.trace] {
                if let Some(future) = going
                    && future.as_mut().poll(context).is_ready()
                {
                    *going = None;
                }
            }
            if let Some(future) = &mut more.good
                && let Poll::Ready(had_room) = future.as_mut().poll(context)
            {
                more.good = None;
                let wait = more.every.filter(|_| had_room).unwrap_or(LEAST_GAP);
                more.good_due = Some(Instant::now() + wait);
            }
            Poll::Pending
        })
        .await
    }

    /// Begins what the run that ended asks for, and drops what it makes idle.
    pub(super) fn begin<P: Probe>(
        &mut self,
        probe: &'a P,
        state: &'a TargetState,
        recorded: &Recorded,
        ended: Instant,
    ) {
        let run = &recorded.observation;
        match &run.outcome {
            Outcome::Up => {
                let Some(more) = self.more.as_deref_mut() else { return };
                // What they were begun for is over.
                more.diagnosis = None;
                more.trace = None;
                // Now and then, while all is well.
                if more.good.is_none() && more.good_due.is_some_and(|due| ended >= due) {
                    more.good = Some(Box::pin(trace_good(probe, state, Arc::clone(run))));
                }
            }
            Outcome::Down(_) => {
                let more = self.more.get_or_insert_default();
                more.good = None;
                if recorded.begins_series {
                    let deadline = ended + state.target().cadence.timeout();
                    more.diagnosis = Some(Box::pin(diagnose(probe, state, Arc::clone(run), deadline)));
                }
                // Once a series, for the first run of it that could not get to where it wanted.
                let rested = more.traced.is_none_or(|began| ended.saturating_duration_since(began) >= LEAST_GAP);
                if more.trace.is_none() && rested && probe.is_lost(run) && state.lacks_path() {
                    more.traced = Some(ended);
                    more.trace = Some(Box::pin(trace(probe, state, Arc::clone(run))));
                }
            }
        }
    }
}

/// Where in the spread a target has its place.
fn spread(name: &str) -> Duration {
    let mut hash = DefaultHasher::new();
    name.hash(&mut hash);
    Duration::from_millis(hash.finish() % u64::try_from(SPREAD.as_millis()).unwrap_or(1))
}

/// Re-checks of the first failing run of a series, so that there is a finding by the time that it is confirmed.
async fn diagnose<P: Probe>(probe: &P, state: &TargetState, failed: Arc<Observation>, deadline: Instant) {
    let last_good = state.last_good();
    let diagnosis = guarded("diagnosis", state, probe.diagnose(&failed, last_good.as_deref(), deadline));
    let Ok(Some(found)) = timeout_at(deadline, diagnosis).await else { return };
    let (finding, sentence) = (found.finding.as_label(), &*found.sentence);
    debug!(target = %state.target().name, finding, sentence, "Failure diagnosed.");
    state.diagnosed(found);
}

async fn trace<P: Probe>(probe: &P, state: &TargetState, failed: Arc<Observation>) {
    let good = state.good_paths();
    let Some(path) = guarded("trace", state, probe.trace(&failed, &good)).await else { return };
    let sentence = match &path {
        Path::Traced(trace) => &trace.sentence,
        Path::Untraced(untraced) => &untraced.sentence,
    };
    debug!(target = %state.target().name, %sentence, "Way traced.");
    state.traced(path);
}

async fn trace_good<P: Probe>(probe: &P, state: &TargetState, run: Arc<Observation>) -> bool {
    match guarded("trace", state, async { Some(probe.trace_good(&run).await) }).await {
        Some(GoodTrace::NoRoom) => return false,
        Some(GoodTrace::Nothing) | None => {}
        Some(GoodTrace::Found(path)) => {
            debug!(target = %state.target().name, hops = path.hops.len(), "Good way traced.");
            state.traced_good(path);
        }
    }
    true
}

/// A bug in there costs what would have been found out, not the loop.
async fn guarded<T>(what: &str, state: &TargetState, work: impl Future<Output = Option<T>>) -> Option<T> {
    AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|_panic| {
        error!(target = %state.target().name, "The {what} of a target panicked. This is a bug.");
        None
    })
}
