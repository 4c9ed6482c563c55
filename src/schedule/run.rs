//! One run: deadline, backstop, and what must not be blamed on the target (panics, a late exporter).

use std::panic::AssertUnwindSafe;
use std::time::{Duration, SystemTime};

use futures_util::FutureExt;
use prometheus::IntGauge;
use tokio::time::{Instant, timeout_at};

use crate::observation::{Failure, Observation, Outcome, Reason};
use crate::probe::Probe;
use crate::telemetry::Telemetry;

/// How long after its deadline a prober that does not end by itself is ended.
const BACKSTOP: Duration = Duration::from_secs(1);

/// Runs `probe` once with `timeout`. `lag` is how late the run begins.
///
/// Always ends, always with an observation; dropped halfway, it leaves nothing behind.
pub(crate) async fn run<P: Probe>(probe: &P, timeout: Duration, lag: Duration, telemetry: &Telemetry) -> Observation {
    let _in_flight = InFlight::new(&telemetry.runs_in_flight);
    let started = SystemTime::now();
    let start = Instant::now();
    let deadline = start.checked_add(timeout).unwrap_or(start);
    // The async block puts a panic before the first await under the guard as well.
    let guarded = AssertUnwindSafe(async { probe.run(deadline).await }).catch_unwind();
    let outcome = timeout_at(deadline + BACKSTOP, guarded).await;
    let ended = Instant::now();
    let sentence = match outcome {
        Ok(Ok(mut observation)) => {
            // The prober was told a deadline, and can only say what was left of it.
            observation.timeout = timeout;
            return excuse_late_exporter(observation, timeout, lag, ended, deadline);
        }
        Ok(Err(_panic)) => {
            // The panic hook has printed the message and the place.
            telemetry.panics.inc();
            "the probe panicked; this is a bug of the exporter, please report it"
        }
        Err(_elapsed) => "the probe did not end in time, which it has to by itself; this is a bug of the exporter",
    };
    let elapsed = ended.saturating_duration_since(start);
    Observation { started, elapsed, ..Observation::not_begun(timeout, sentence) }
}

/// A timeout that was noticed far too late, or that began far too late, says that the exporter had no time to look,
/// not that the target did not answer.
fn excuse_late_exporter(
    mut observation: Observation,
    timeout: Duration,
    lag: Duration,
    ended: Instant,
    deadline: Instant,
) -> Observation {
    let overdue = ended.saturating_duration_since(deadline);
    let tolerated = (timeout / 10).max(Duration::from_millis(250));
    if overdue <= tolerated && lag <= timeout {
        return observation;
    }
    if let Outcome::Down(failure) = &mut observation.outcome
        && is_timeout(failure.reason)
    {
        let late = overdue.max(lag).as_secs_f64();
        let sentence = format!("the exporter is overloaded, {late:.1} s late, so this may not be the target's fault: ");
        *failure = Failure::new(Reason::Internal, sentence + &failure.sentence);
    }
    observation
}

fn is_timeout(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::DnsTimeout
            | Reason::ConnectTimeout
            | Reason::TlsTimeout
            | Reason::RequestTimeout
            | Reason::ResponseTimeout
            | Reason::IcmpTimeout
    )
}

/// Counts a run for as long as it lives, however it ends.
struct InFlight<'a>(&'a IntGauge);

impl<'a> InFlight<'a> {
    fn new(gauge: &'a IntGauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::tests::{down, up};

    #[test]
    fn an_overloaded_exporter_never_reads_as_a_target_being_down() {
        let s = Duration::from_secs;
        let deadline = Instant::now();
        let judge = |reason, overdue, lag| {
            let run = excuse_late_exporter(down(reason), s(5), lag, deadline + overdue, deadline);
            run.outcome.failure().map(|failure| failure.reason)
        };
        let timeouts = Reason::ALL.iter().filter(|reason| reason.as_label().ends_with("_timeout"));
        for reason in timeouts.copied() {
            assert_eq!(judge(reason, Duration::from_millis(500), s(5)), Some(reason), "in time");
            assert_eq!(judge(reason, Duration::from_millis(501), s(0)), Some(Reason::Internal), "ended late");
            assert_eq!(judge(reason, s(0), s(6)), Some(Reason::Internal), "began late");
        }
        assert_eq!(judge(Reason::ConnectRefused, s(9), s(9)), Some(Reason::ConnectRefused), "an answer is an answer");
        let run = excuse_late_exporter(up(), s(5), s(9), deadline + s(9), deadline);
        assert!(run.outcome.is_up());
    }
}
