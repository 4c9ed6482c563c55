//! The phases of a run, of whatever prober: one list, in the order in which they come.

use std::time::Duration;

use super::{Detail, Observation};

/// A part of a run that was timed by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    Resolve,
    /// Of the socket, for ICMP.
    Setup,
    Connect,
    Tls,
    Processing,
    /// A DNS question and its answer.
    Request,
    /// The gRPC health check.
    Check,
    /// The round trip of ICMP.
    Rtt,
    Transfer,
}

impl Phase {
    pub const ALL: [Self; 9] = [
        Self::Resolve,
        Self::Setup,
        Self::Connect,
        Self::Tls,
        Self::Processing,
        Self::Request,
        Self::Check,
        Self::Rtt,
        Self::Transfer,
    ];
    /// No prober has more.
    pub const MOST: usize = 5;

    /// Stable label value.
    pub fn as_label(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Setup => "setup",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Processing => "processing",
            Self::Request => "request",
            Self::Check => "check",
            Self::Rtt => "rtt",
            Self::Transfer => "transfer",
        }
    }
}

impl Observation {
    /// The phases that were reached, in their order; one that was not completed has the time spent in it.
    pub fn phases(&self) -> impl Iterator<Item = (Phase, Duration)> {
        let resolution = self.resolution.as_ref().map(|resolution| resolution.elapsed);
        // Of an address there is nothing to look up.
        let resolve = resolution.filter(|time| !time.is_zero());
        let phases: [Option<(Phase, Option<Duration>)>; Phase::MOST] = match &self.detail {
            Detail::None => [Some((Phase::Resolve, resolve)), None, None, None, None],
            Detail::Http(detail) => {
                let phases = &detail.phases;
                [
                    Some((Phase::Resolve, phases.resolve)),
                    Some((Phase::Connect, phases.connect)),
                    Some((Phase::Tls, phases.tls)),
                    Some((Phase::Processing, phases.processing)),
                    Some((Phase::Transfer, phases.transfer)),
                ]
            }
            Detail::Tcp(detail) | Detail::Unix(detail) => [
                Some((Phase::Resolve, resolve)),
                Some((Phase::Connect, detail.connect)),
                Some((Phase::Tls, detail.tls)),
                None,
                None,
            ],
            Detail::Grpc(detail) => [
                Some((Phase::Resolve, resolve)),
                Some((Phase::Connect, detail.connect)),
                Some((Phase::Tls, detail.tls)),
                Some((Phase::Check, detail.check)),
                None,
            ],
            Detail::Websocket(detail) => [
                Some((Phase::Resolve, resolve)),
                Some((Phase::Connect, detail.connect)),
                Some((Phase::Tls, detail.tls)),
                Some((Phase::Processing, detail.processing)),
                Some((Phase::Transfer, detail.transfer)),
            ],
            Detail::Dns(detail) => [
                Some((Phase::Resolve, resolve)),
                Some((Phase::Connect, detail.connect)),
                Some((Phase::Request, detail.request)),
                None,
                None,
            ],
            Detail::Icmp(detail) => [
                Some((Phase::Resolve, resolution)),
                Some((Phase::Setup, detail.setup)),
                Some((Phase::Rtt, detail.rtt)),
                None,
                None,
            ],
        };
        phases.into_iter().flatten().filter_map(|(phase, time)| Some((phase, time?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::fixture::complete;

    #[test]
    fn phases_come_in_their_order_and_fit() {
        let mut seen = std::collections::BTreeSet::new();
        for target in complete().targets {
            for run in [target.last, target.capsules.last_good].into_iter().flatten() {
                let phases: Vec<Phase> = run.phases().map(|(phase, _)| phase).collect();
                assert!(phases.is_sorted() && phases.len() <= Phase::MOST, "{phases:?}");
                seen.extend(phases);
            }
        }
        assert_eq!(seen.len(), Phase::ALL.len(), "{seen:?}");
        assert!(Phase::ALL.is_sorted());
    }
}
