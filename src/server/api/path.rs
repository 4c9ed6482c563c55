//! The way to a target, as the evidence shows it.

use std::net::IpAddr;

use serde::Serialize;

use super::seconds;
use crate::observation::{GoodPath, Hop, Path, Trace};
use crate::server::text::rfc3339;
use crate::state::TargetSnapshot;

/// The trace of the last failure that could not get to the target, or why there is none.
#[derive(Serialize)]
pub(super) struct Way<'a> {
    time: Option<String>,
    /// Of the failure that goes on; else of one that is over.
    current: bool,
    /// `not_traced`, or the word for how the way ends.
    path_end: &'static str,
    sentence: &'a str,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    traced: Option<Traced>,
}

#[derive(Serialize)]
struct Traced {
    elapsed_seconds: f64,
    address: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    protocol: &'static str,
    hops: Vec<Station>,
    /// The last that answered packets of the target's own kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_hop: Option<LastHop>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parts_from_good_path: Option<Parts>,
}

/// One hop; without an address it was silent.
#[derive(Serialize)]
struct Station {
    hop: usize,
    address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    round_trip_seconds: Option<f64>,
    /// It answered packets of another kind alone.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    other_packets: bool,
}

#[derive(Serialize)]
struct LastHop {
    hop: usize,
    address: String,
}

#[derive(Serialize)]
struct Parts {
    hop: usize,
    good: String,
    now: Option<String>,
    good_time: Option<String>,
}

/// A way on which the target answered.
#[derive(Serialize)]
pub(super) struct GoodWay {
    time: Option<String>,
    address: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    protocol: &'static str,
    hops: Vec<GoodStation>,
}

#[derive(Serialize)]
struct GoodStation {
    hop: usize,
    /// The latest first; none for one that was silent.
    addresses: Vec<String>,
}

impl<'a> Way<'a> {
    pub(super) fn of(target: &'a TargetSnapshot) -> Option<Self> {
        let current = target.path_is_current;
        Some(match target.path.as_deref()? {
            Path::Untraced(untraced) => Self {
                time: rfc3339(untraced.time),
                current,
                path_end: "not_traced",
                sentence: &untraced.sentence,
                traced: None,
            },
            Path::Traced(trace) => Self {
                time: rfc3339(trace.time),
                current,
                path_end: trace.ending.as_label(),
                sentence: &trace.sentence,
                traced: Some(Traced::new(trace)),
            },
        })
    }
}

impl Traced {
    fn new(trace: &Trace) -> Self {
        let station = |(index, hop): (usize, &Hop)| Station {
            hop: index + 1,
            address: hop.address.map(|address| address.to_string()),
            round_trip_seconds: hop.round_trip.map(seconds),
            other_packets: hop.other,
        };
        Self {
            elapsed_seconds: seconds(trace.elapsed),
            address: trace.to.to_string(),
            port: trace.port,
            protocol: trace.protocol.as_str(),
            hops: trace.hops.iter().enumerate().map(station).collect(),
            last_hop: trace.last_hop().map(|(hop, address)| LastHop { hop, address: address.to_string() }),
            parts_from_good_path: trace.parting.as_ref().map(|parting| Parts {
                hop: parting.hop,
                good: parting.good.to_string(),
                now: parting.now.map(|now| now.to_string()),
                good_time: rfc3339(parting.time),
            }),
        }
    }
}

impl GoodWay {
    pub(super) fn new(path: &GoodPath) -> Self {
        Self {
            time: rfc3339(path.time),
            address: path.to.to_string(),
            port: path.port,
            protocol: path.protocol.as_str(),
            hops: (1..)
                .zip(&path.hops)
                .map(|(hop, addresses)| GoodStation { hop, addresses: texts(addresses) })
                .collect(),
        }
    }
}

fn texts(addresses: &[IpAddr]) -> Vec<String> {
    addresses.iter().map(ToString::to_string).collect()
}
