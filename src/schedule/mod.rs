//! When to run: one clock a target, starts spread over the interval, no drift, missed ticks skipped and counted.
//!
//! `grid` says when, `run` does it once, `aside` is what goes on beside the runs, and the loop here ties them to a [`TargetState`]. There is no limit on
//! the runs in flight: with one, targets that hang would hold the permits and delay the others. Each target has at
//! most one run going, which bounds them by the number of targets.
//!
//! A loop is ended by dropping it (abort). It can only be dropped at an await, so a run either is recorded whole or
//! leaves nothing; no stop signal has to be stored, or checked, per target.

mod aside;
mod grid;
#[cfg(test)]
mod parents;
mod run;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;

use futures_util::FutureExt;
use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{debug, error, info};

pub(crate) use self::run::run;

use self::aside::Aside;
use self::grid::{Due, Kind, Plan};
use crate::cause::Dependencies;
use crate::observation::Outcome;
use crate::probe::Probe;
use crate::state::{Change, Recorded, TargetState};
use crate::telemetry::Telemetry;
use crate::vantage::CurrentVantage;

/// Every target's loop.
pub struct Scheduler {
    loops: JoinSet<Infallible>,
    common: Arc<Common>,
}

/// What all loops share.
struct Common {
    /// Every grid is counted from here, so that a target's ticks do not move when its loop starts anew.
    epoch: Instant,
    telemetry: Arc<Telemetry>,
    /// Excuses what is our own network's fault, or our name servers'.
    vantage: CurrentVantage,
    /// Told of each change of a verdict: one for whoever writes them down, one for whoever explains them.
    turned: Arc<Notify>,
    stirred: Arc<Notify>,
    /// Has the parents of what fails run at once.
    dependencies: Dependencies,
}

impl Scheduler {
    pub fn new(telemetry: Arc<Telemetry>, vantage: CurrentVantage) -> Self {
        Self::with_dependencies(telemetry, vantage, Dependencies::default())
    }

    /// One that runs what stands behind a target when that begins to fail.
    pub fn with_dependencies(telemetry: Arc<Telemetry>, vantage: CurrentVantage, dependencies: Dependencies) -> Self {
        let common = Common {
            epoch: Instant::now(),
            telemetry,
            vantage,
            turned: Arc::default(),
            stirred: Arc::default(),
            dependencies,
        };
        Self { loops: JoinSet::new(), common: Arc::new(common) }
    }

    /// Is told of each change of a verdict.
    pub fn turned(&self) -> Arc<Notify> {
        Arc::clone(&self.common.turned)
    }

    /// Is told of them too; a notification wakes one.
    pub fn stirred(&self) -> Arc<Notify> {
        Arc::clone(&self.common.stirred)
    }

    /// Starts to probe a target; it goes on until the handle aborts it or the scheduler is dropped.
    pub fn spawn<P: Probe>(&mut self, probe: Arc<P>, state: Arc<TargetState>) -> AbortHandle {
        self.loops.spawn(supervise(probe, state, Arc::clone(&self.common)))
    }

    /// Forgets loops that were aborted. Waits for ever when there is none.
    ///
    /// A loop cannot end by itself; should one have, it is logged and counted.
    pub async fn reap(&mut self) {
        match self.loops.join_next().await {
            None => std::future::pending().await,
            Some(Ok(never)) => match never {},
            Some(Err(ended)) if ended.is_cancelled() => {}
            Some(Err(panicked)) => {
                self.common.telemetry.panics.inc();
                error!(error = %panicked, "The loop of a target ended; it is not probed any more.");
            }
        }
    }

    /// Ends all loops and drops their runs in flight, which record nothing. Returns when the last has gone.
    pub async fn stop(&mut self) {
        self.loops.shutdown().await;
    }

    /// Loops that were not ended and reaped.
    pub fn len(&self) -> usize {
        self.loops.len()
    }

    pub fn is_empty(&self) -> bool {
        self.loops.is_empty()
    }
}

/// Keeps the loop of a target going through panics outside of a run. Those inside are the run's affair.
async fn supervise<P: Probe>(probe: Arc<P>, state: Arc<TargetState>, common: Arc<Common>) -> Infallible {
    loop {
        let guarded = AssertUnwindSafe(watch(&*probe, &state, &common)).catch_unwind();
        match guarded.await {
            Ok(never) => match never {},
            Err(_panic) => {
                common.telemetry.panics.inc();
                let target = state.target();
                error!(target = %target.name, "The loop of a target panicked and starts anew. This is a bug.");
                sleep(target.cadence.interval()).await;
            }
        }
    }
}

/// The loop of one target: wait until it is due, run, record, plan.
async fn watch<P: Probe>(probe: &P, state: &TargetState, common: &Common) -> Infallible {
    let telemetry = &*common.telemetry;
    let timeout = state.target().cadence.timeout();
    let (mut plan, mut due) = Plan::start(state.target(), common.epoch, Instant::now());
    let mut aside = Aside::new(state, Instant::now());
    loop {
        if aside.is_idle() {
            wait(&mut due, state).await;
        } else {
            Box::pin(aside.beside(wait(&mut due, state))).await;
        }
        let started = Instant::now();
        let lag = started.saturating_duration_since(due.at);
        telemetry.schedule_lag.observe(lag.as_secs_f64());
        match due.kind {
            Kind::Tick => state.begin(started),
            Kind::Extra => state.begin_aside(started),
        }
        // In a box, because a run's future is tens of kilobytes and most targets are idle most of the time.
        let run = aside.beside(run(probe, timeout, lag, telemetry));
        let mut observation = Box::pin(run).await;
        if !observation.outcome.is_up() {
            observation = Box::pin(common.vantage.excuse(state.target(), observation, started)).await;
        }
        common.vantage.note(state.target(), &observation);
        let ended = Instant::now();
        let recorded = state.record(observation, ended);
        log(state, &recorded, due.kind);
        if recorded.change.is_some() {
            common.turned.notify_one();
            common.stirred.notify_one();
        }
        if recorded.asks {
            common.dependencies.ask(&state.target().name, started, ended);
        }
        aside.begin(probe, state, &recorded, ended);
        let (next, skipped) = plan.after(due, started, ended, recorded.next);
        telemetry.runs_skipped.inc_by(skipped);
        due = next;
    }
}

/// Waits until the target is due, which is earlier when a run is wished for; such a run is beside the grid.
#[expect(clippy::manual_async_fn, reason = "an async function has its arguments twice")]
fn wait(due: &mut Due, state: &TargetState) -> impl Future<Output = ()> {
    // By hand rather than by `select!`: this is what most targets are at most times.
    async move {
        bring_forward(due, state);
        let mut timer = pin!(sleep_until(due.at));
        poll_fn(|context| {
            while state.poll_wish_made(context).is_ready() {
                bring_forward(due, state);
                timer.as_mut().reset(due.at);
            }
            timer.as_mut().poll(context)
        })
        .await;
    }
}

fn bring_forward(due: &mut Due, state: &TargetState) {
    if let Some(at) = state.wished().filter(|at| *at < due.at) {
        *due = Due { at, kind: Kind::Extra };
    }
}

fn log(state: &TargetState, recorded: &Recorded, kind: Kind) {
    let target = &state.target().name;
    let run = &recorded.observation;
    let elapsed = run.elapsed.as_secs_f64();
    let extra = kind == Kind::Extra;
    let trace_id = run.trace_id().map(tracing::field::display);
    let (reason, sentence) = match &run.outcome {
        Outcome::Up => ("", ""),
        Outcome::Down(failure) => (failure.reason.as_label(), &*failure.sentence),
    };
    match &run.outcome {
        Outcome::Up => debug!(%target, elapsed, extra, "Run succeeded."),
        Outcome::Down(_) => debug!(%target, elapsed, extra, reason, sentence, trace_id, "Run failed."),
    }
    match &recorded.change {
        // A thousand targets that are up at the start are no news.
        None | Some(Change::FirstUp { .. }) => {}
        Some(Change::WentDown { since, duration }) => {
            let (since, duration) = (rfc3339(*since), duration.as_secs_f64());
            info!(%target, reason, sentence, since, duration, trace_id, "Target went down.");
        }
        Some(Change::CameUp { since, duration }) => {
            let (since, duration) = (rfc3339(*since), duration.as_secs_f64());
            info!(%target, since, duration, "Target is up again.");
        }
    }
}

fn rfc3339(time: std::time::SystemTime) -> String {
    jiff::Timestamp::try_from(time).map_or_else(|_| "?".to_owned(), |time| format!("{time:.3}"))
}
