//! `--once`: probe every target one time and print what was seen, for people who try a config and for CI jobs.
//!
//! One raw run each, without confirmation: the table shows the run, not a verdict. At most [`AT_A_TIME`] runs go on
//! at once, so that a long list neither runs out of open files nor floods the network; the schedule has no such
//! limit, because there the runs are spread over the interval.

mod json;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::cause;
use crate::cli::Format;
use crate::config::{Parents, Target};
use crate::observation::{Detail, Observation, Outcome};
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    Off,
    On,
}

impl Colour {
    /// On for a terminal, unless NO_COLOR is set to anything (<https://no-color.org>).
    pub fn for_stdout() -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        if std::io::stdout().is_terminal() && !refused { Self::On } else { Self::Off }
    }
}

/// The results for people. What is down comes last, next to the prompt, however long the list is.
pub fn table(results: &[Result], colour: Colour) -> String {
    let mut sorted: Vec<_> = results.iter().collect();
    sorted.sort_by(|a, b| (a.state(), &a.target.name).cmp(&(b.state(), &b.target.name)));
    let mut rows = vec![["TARGET", "STATE", "REASON", "STATUS", "LATENCY", "DETAIL"].map(str::to_owned)];
    rows.extend(sorted.iter().map(|result| cells(result)));
    let mut widths = [0; 6];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for (n, row) in rows.iter().enumerate() {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
            let pad = " ".repeat(width - cell.chars().count() + 2);
            match (column, n.checked_sub(1), colour) {
                (1, Some(n), Colour::On) => {
                    let code = match sorted[n].state() {
                        State::Up => "32",
                        State::NotRun | State::Unknown => "33",
                        State::Down => "31",
                    };
                    let _ = write!(line, "\x1b[{code}m{cell}\x1b[0m{pad}");
                }
                // Numbers stand under each other.
                (4, _, _) => {
                    let _ = write!(line, "{}{cell}  ", &pad[2..]);
                }
                _ => line.extend([cell.as_str(), &pad]),
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text.push_str(&summary(results));
    text
}

fn cells(result: &Result) -> [String; 6] {
    let name = result.target.name.as_str().to_owned();
    let state = result.state().as_str().to_owned();
    let Some(run) = &result.observation else {
        return [name, state, "-".into(), "-".into(), "-".into(), "stopped before it was probed".into()];
    };
    let (reason, detail) = match &run.outcome {
        Outcome::Up => ("-", String::new()),
        Outcome::Down(failure) => {
            let by = result.explained_by.as_ref();
            let by = by.map(|by| format!("explained by {}: ", by.name)).unwrap_or_default();
            (failure.reason.as_label(), printable(&(by + &failure.sentence)))
        }
    };
    let status = match &run.detail {
        Detail::Http(http) => http.status,
        Detail::Tcp(_)
        | Detail::Dns(_)
        | Detail::Icmp(_)
        | Detail::Grpc(_)
        | Detail::Unix(_)
        | Detail::Websocket(_)
        | Detail::None => None,
    };
    let status = status.map_or_else(|| "-".to_owned(), |status| status.to_string());
    let latency = format!("{:.1} ms", run.elapsed.as_secs_f64() * 1000.0);
    [name, state, reason.to_owned(), status, latency, detail]
}

/// A sentence may quote the peer, and a terminal obeys control characters.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

fn summary(results: &[Result]) -> String {
    let count = |state| results.iter().filter(|result| result.state() == state).count();
    let mut parts = vec![format!("{} up", count(State::Up)), format!("{} down", count(State::Down))];
    for state in [State::Unknown, State::NotRun] {
        let n = count(state);
        if n > 0 {
            parts.push(format!("{n} {}", state.as_str()));
        }
    }
    let explained = results.iter().filter(|result| result.explained_by.is_some()).count();
    if explained > 0 {
        parts[1].push_str(&format!(" ({explained} explained)"));
    }
    let targets = if results.len() == 1 { "1 target".to_owned() } else { format!("{} targets", results.len()) };
    format!("\n{targets}: {}.\n", parts.join(", "))
}

/// Whether each target was probed and found up.
pub fn all_up(results: &[Result]) -> bool {
    results.iter().all(|result| result.state() == State::Up)
}

/// Writes the results to standard output. A reader that has gone (`| head`) is no error.
pub fn print(results: &[Result], format: Format) {
    let text = match format {
        Format::Table => table(results, Colour::for_stdout()),
        Format::Json => json::text(results),
    };
    let _ = std::io::stdout().write_all(text.as_bytes());
}
