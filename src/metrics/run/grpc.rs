//! What the families read off a gRPC run.

use super::{flag, seconds, sum};
use crate::observation::{Detail, GrpcDetail, Observation, Outcome, Reason, ServingStatus};

fn grpc(run: &Observation) -> Option<&GrpcDetail> {
    if let Detail::Grpc(detail) = &run.detail { Some(detail) } else { None }
}

pub(in crate::metrics) fn grpc_resolve(run: &Observation) -> Option<f64> {
    grpc(run)?;
    run.resolution.as_ref().map(|resolution| seconds(resolution.elapsed))
}

pub(in crate::metrics) fn grpc_connect(run: &Observation) -> Option<f64> {
    grpc(run)?.connect.map(seconds)
}

pub(in crate::metrics) fn grpc_tls(run: &Observation) -> Option<f64> {
    grpc(run)?.tls.map(seconds)
}

/// All that comes after the lookup, as in the incumbent, so that the phases add up to the run.
pub(in crate::metrics) fn grpc_check(run: &Observation) -> Option<f64> {
    let detail = grpc(run)?;
    sum(&[detail.connect, detail.tls, detail.check])
}

pub(in crate::metrics) fn grpc_ssl(run: &Observation) -> Option<f64> {
    grpc(run)?.ssl.map(flag)
}

pub(in crate::metrics) fn grpc_status_code(run: &Observation) -> Option<f64> {
    grpc(run)?.status.map(f64::from).or_else(|| called(run).then(|| without_answer(run)))
}

/// There was an address to call, whatever came of it. Rules on what the service says go on from here.
fn called(run: &Observation) -> bool {
    run.resolution.as_ref().is_some_and(|resolution| resolution.chosen.is_some())
}

/// What Go's client makes of a call that had no answer: `DEADLINE_EXCEEDED` or `UNAVAILABLE`.
fn without_answer(run: &Observation) -> f64 {
    match &run.outcome {
        Outcome::Up => 0.0,
        Outcome::Down(failure) => {
            let late = matches!(failure.reason, Reason::RequestTimeout | Reason::ConnectTimeout | Reason::TlsTimeout);
            if late { 4.0 } else { 14.0 }
        }
    }
}

/// One of the four is 1; all are 0 when the call ended otherwise.
fn serving(run: &Observation, which: ServingStatus) -> Option<f64> {
    let detail = grpc(run)?;
    (detail.status.is_some() || called(run)).then(|| flag(detail.serving == Some(which)))
}

pub(in crate::metrics) fn grpc_unknown(run: &Observation) -> Option<f64> {
    serving(run, ServingStatus::Unknown)
}

pub(in crate::metrics) fn grpc_serving(run: &Observation) -> Option<f64> {
    serving(run, ServingStatus::Serving)
}

pub(in crate::metrics) fn grpc_not_serving(run: &Observation) -> Option<f64> {
    serving(run, ServingStatus::NotServing)
}

pub(in crate::metrics) fn grpc_service_unknown(run: &Observation) -> Option<f64> {
    serving(run, ServingStatus::ServiceUnknown)
}
