//! What the families of ICMP read off one [`Observation`].

use std::time::Duration;

use super::seconds;
use crate::observation::{Detail, IcmpDetail, Observation, RoundTrips};

fn icmp(run: &Observation) -> Option<&IcmpDetail> {
    match &run.detail {
        Detail::Icmp(detail) => Some(detail),
        Detail::Http(_)
        | Detail::Tcp(_)
        | Detail::Dns(_)
        | Detail::Grpc(_)
        | Detail::Unix(_)
        | Detail::Websocket(_)
        | Detail::None => None,
    }
}

pub(in crate::metrics) fn icmp_resolve(run: &Observation) -> Option<f64> {
    icmp(run)?;
    run.resolution.as_ref().map(|resolution| seconds(resolution.elapsed))
}

pub(in crate::metrics) fn icmp_setup(run: &Observation) -> Option<f64> {
    icmp(run)?.setup.map(seconds)
}

pub(in crate::metrics) fn icmp_rtt(run: &Observation) -> Option<f64> {
    icmp(run)?.rtt.map(seconds)
}

pub(in crate::metrics) fn icmp_reply_hop_limit(run: &Observation) -> Option<f64> {
    icmp(run)?.reply_hop_limit.map(f64::from)
}

pub(in crate::metrics) fn icmp_packets_sent(run: &Observation) -> Option<f64> {
    Some(f64::from(sent_some(run)?.packets_sent))
}

pub(in crate::metrics) fn icmp_packets_received(run: &Observation) -> Option<f64> {
    Some(f64::from(sent_some(run)?.packets_received))
}

pub(in crate::metrics) fn icmp_packet_loss(run: &Observation) -> Option<f64> {
    icmp(run)?.loss()
}

/// Of a run that ended before it sent anything, the numbers say nothing.
fn sent_some(run: &Observation) -> Option<&IcmpDetail> {
    icmp(run).filter(|detail| detail.packets_sent > 0)
}

fn round_trip(run: &Observation, pick: fn(&RoundTrips) -> Duration) -> Option<f64> {
    icmp(run)?.round_trips.as_ref().map(|times| seconds(pick(times)))
}

pub(in crate::metrics) fn icmp_rtt_min(run: &Observation) -> Option<f64> {
    round_trip(run, |times| times.min)
}

pub(in crate::metrics) fn icmp_rtt_avg(run: &Observation) -> Option<f64> {
    round_trip(run, |times| times.avg)
}

pub(in crate::metrics) fn icmp_rtt_max(run: &Observation) -> Option<f64> {
    round_trip(run, |times| times.max)
}

pub(in crate::metrics) fn icmp_rtt_mdev(run: &Observation) -> Option<f64> {
    round_trip(run, |times| times.mdev)
}
