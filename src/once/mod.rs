//! `--once`: probe every target one time and print what was seen, for people who try a config and for CI jobs.
//!
//! One raw run each, without confirmation: the table shows the run, not a verdict. At most [`AT_A_TIME`] runs go on
//! at once, so that a long list neither runs out of open files nor floods the network; the schedule has no such
//! limit, because there the runs are spread over the interval. `table` is the form for people, `json` that for scripts.

mod json;
mod table;
#[cfg(test)]
mod tests;

use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::cause;
use crate::cli::Format;
use crate::config::{Parents, Target};
use crate::observation::{Observation, Outcome};
use crate::probe::Probe;
use crate::schedule;
use crate::telemetry::Telemetry;

/// Runs in flight.
pub const AT_A_TIME: usize = 256;

/// With fewer targets a progress line is more noise than news.
const PROGRESS_FROM: usize = 20;

/// One target and its run; `None` when it was stopped before the run ended.
pub struct Result {
    pub target: Arc<Target>,
    pub observation: Option<Observation>,
    /// A target that is down too, and that this one stands behind.
    pub explained_by: Option<Arc<Target>>,
}

/// What a run says about a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    Up,
    /// Stopped before it was probed.
    NotRun,
    /// The exporter could not tell.
    Unknown,
    Down,
}

impl State {
    const ALL: [Self; 4] = [Self::Up, Self::NotRun, Self::Unknown, Self::Down];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::NotRun => "not run",
            Self::Unknown => "unknown",
            Self::Down => "down",
        }
    }
}

impl Result {
    pub fn state(&self) -> State {
        match self.observation.as_ref().map(|run| &run.outcome) {
            None => State::NotRun,
            Some(Outcome::Up) => State::Up,
            Some(Outcome::Down(failure)) if failure.reason.is_inconclusive() => State::Unknown,
            Some(Outcome::Down(_)) => State::Down,
        }
    }
}

/// Runs every probe once, and gives the results in the order of `probes`, as which `parents` counts them. Ends early when
/// `stop` is cancelled.
pub async fn run<P: Probe>(
    probes: Vec<(Arc<Target>, Arc<P>)>,
    parents: &Parents,
    progress: Progress,
    stop: &CancellationToken,
) -> Vec<Result> {
    let telemetry = Arc::new(Telemetry::new());
    let results =
        probes.iter().map(|(target, _)| Result { target: Arc::clone(target), observation: None, explained_by: None });
    let mut results: Vec<_> = results.collect();
    let mut waiting = probes.into_iter().enumerate();
    let mut runs = JoinSet::new();
    let mut done = 0;
    loop {
        while runs.len() < AT_A_TIME
            && let Some((index, (target, probe))) = waiting.next()
        {
            let telemetry = Arc::clone(&telemetry);
            let timeout = target.cadence.timeout();
            runs.spawn(async move { (index, schedule::run(&*probe, timeout, Duration::ZERO, &telemetry).await) });
        }
        let Some(Some(ended)) = stop.run_until_cancelled(runs.join_next()).await else { break };
        // A run catches its panics, and nobody aborts it; were there an error, the target would show as not run.
        if let Ok((index, observation)) = ended {
            results[index].observation = Some(observation);
        }
        done += 1;
        progress.show(done, results.len());
    }
    progress.clear(results.len());
    explain(&mut results, parents);
    results
}

fn explain(results: &mut [Result], parents: &Parents) {
    let down = |result: &Result| (result.state() == State::Down).then_some(result.observation.as_ref()?.started);
    let down: Vec<_> = results.iter().map(down).collect();
    for (place, by) in cause::explain_runs(parents, &down).into_iter().enumerate() {
        results[place].explained_by = by.map(|by| Arc::clone(&results[by].target));
    }
}

/// A line that says how far it is, rewritten in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    Silent,
    Line,
}

impl Progress {
    /// A line on standard error, if that is a terminal.
    pub fn for_stderr() -> Self {
        if std::io::stderr().is_terminal() { Self::Line } else { Self::Silent }
    }

    fn show(self, done: usize, all: usize) {
        if self == Self::Line && all > PROGRESS_FROM {
            let _ = write!(std::io::stderr(), "\r{done} of {all} targets probed");
        }
    }

    fn clear(self, all: usize) {
        if self == Self::Line && all > PROGRESS_FROM {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

/// Whether each target was probed and found up.
pub fn all_up(results: &[Result]) -> bool {
    results.iter().all(|result| result.state() == State::Up)
}

/// Writes the results to standard output. A reader that has gone (`| head`) is no error.
pub fn print(results: &[Result], format: Format) {
    let text = match format {
        Format::Table => table::text(results, table::Sheet::for_stdout()),
        Format::Json => json::text(results),
    };
    let _ = std::io::stdout().write_all(text.as_bytes());
}
