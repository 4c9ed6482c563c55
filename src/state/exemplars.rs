//! Of what is counted, a trace to look at: that of the last run of each kind.

use std::time::SystemTime;

use crate::observation::{Observation, Reason, TraceId};

/// A run by its trace.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exemplar {
    pub trace: TraceId,
    /// What it added to the counter, or to the sum of the histogram.
    pub value: f64,
    /// When it began.
    pub time: SystemTime,
}

/// Those of one target. Only of runs that had a trace.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exemplars {
    /// By reason, as many as there are reasons at most.
    failures: Vec<(Reason, Exemplar)>,
    /// By bucket of the latency histogram, the last for +Inf.
    latency: Vec<Option<Exemplar>>,
}

impl Exemplars {
    pub fn failure(&self, reason: Reason) -> Option<&Exemplar> {
        self.failures.iter().find(|(seen, _)| *seen == reason).map(|(_, exemplar)| exemplar)
    }

    pub fn latency(&self, bucket: usize) -> Option<&Exemplar> {
        self.latency.get(bucket)?.as_ref()
    }

    /// The run was counted as a failure.
    pub(crate) fn note_failure(&mut self, reason: Reason, trace: TraceId, run: &Observation) {
        let exemplar = Exemplar { trace, value: 1.0, time: run.started };
        match self.failures.iter_mut().find(|(seen, _)| *seen == reason) {
            Some((_, last)) => *last = exemplar,
            None => self.failures.push((reason, exemplar)),
        }
    }

    /// The run was counted in a bucket.
    pub(crate) fn note_latency(&mut self, bucket: usize, trace: TraceId, run: &Observation) {
        if self.latency.len() <= bucket {
            self.latency.resize(bucket + 1, None);
        }
        self.latency[bucket] = Some(Exemplar { trace, value: run.elapsed.as_secs_f64(), time: run.started });
    }
}
