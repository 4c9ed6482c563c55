//! What the families read off a WebSocket run.

use super::{flag, seconds, sum};
use crate::observation::{Detail, Observation, WebsocketDetail};

fn websocket(run: &Observation) -> Option<&WebsocketDetail> {
    if let Detail::Websocket(detail) = &run.detail { Some(detail) } else { None }
}

pub(in crate::metrics) fn websocket_resolve(run: &Observation) -> Option<f64> {
    websocket(run)?;
    run.resolution.as_ref().map(|resolution| seconds(resolution.elapsed))
}

pub(in crate::metrics) fn websocket_connect(run: &Observation) -> Option<f64> {
    websocket(run)?.connect.map(seconds)
}

pub(in crate::metrics) fn websocket_tls(run: &Observation) -> Option<f64> {
    websocket(run)?.tls.map(seconds)
}

/// TLS and the upgrade, as in the incumbent, so that the phases add up to the run.
pub(in crate::metrics) fn websocket_processing(run: &Observation) -> Option<f64> {
    let detail = websocket(run)?;
    sum(&[detail.tls, detail.processing])
}

pub(in crate::metrics) fn websocket_transfer(run: &Observation) -> Option<f64> {
    websocket(run)?.transfer.map(seconds)
}

/// As the next one, 0 without an answer: rules on the value go on.
pub(in crate::metrics) fn websocket_status_code(run: &Observation) -> Option<f64> {
    Some(websocket(run)?.status.map_or(0.0, f64::from))
}

pub(in crate::metrics) fn websocket_upgraded(run: &Observation) -> Option<f64> {
    Some(websocket(run)?.upgraded.map_or(0.0, flag))
}

pub(in crate::metrics) fn websocket_failed_regex(run: &Observation) -> Option<f64> {
    websocket(run)?.failed_regex.map(flag)
}
