//! What the families read off a DNS run.

use super::{flag, seconds};
use crate::observation::{Detail, DnsDetail, DnsReply, Observation};

fn dns(run: &Observation) -> Option<&DnsDetail> {
    if let Detail::Dns(detail) = &run.detail { Some(detail) } else { None }
}

fn reply(run: &Observation) -> Option<&DnsReply> {
    dns(run)?.reply.as_ref()
}

pub(in crate::metrics) fn dns_resolve(run: &Observation) -> Option<f64> {
    dns(run)?;
    run.resolution.as_ref().map(|resolution| seconds(resolution.elapsed))
}

pub(in crate::metrics) fn dns_connect(run: &Observation) -> Option<f64> {
    dns(run)?.connect.map(seconds)
}

pub(in crate::metrics) fn dns_request(run: &Observation) -> Option<f64> {
    dns(run)?.request.map(seconds)
}

pub(in crate::metrics) fn dns_answers(run: &Observation) -> Option<f64> {
    reply(run).map(|reply| f64::from(reply.answers))
}

pub(in crate::metrics) fn dns_authorities(run: &Observation) -> Option<f64> {
    reply(run).map(|reply| f64::from(reply.authorities))
}

pub(in crate::metrics) fn dns_additionals(run: &Observation) -> Option<f64> {
    reply(run).map(|reply| f64::from(reply.additionals))
}

pub(in crate::metrics) fn dns_query_succeeded(run: &Observation) -> Option<f64> {
    dns(run).map(|detail| flag(detail.reply.is_some()))
}

pub(in crate::metrics) fn dns_rcode(run: &Observation) -> Option<f64> {
    reply(run).map(|reply| f64::from(reply.rcode))
}

pub(in crate::metrics) fn dns_serial(run: &Observation) -> Option<f64> {
    reply(run)?.serial.map(f64::from)
}

pub(in crate::metrics) fn dns_truncated(run: &Observation) -> Option<f64> {
    dns(run)?.truncated.map(flag)
}
