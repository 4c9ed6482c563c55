//! What a DNS run showed.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// One DNS run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DnsDetail {
    /// Setting the connection up, TLS too; `None` when not tried.
    pub connect: Option<Duration>,
    /// From the question to the answer; on failure the time spent.
    pub request: Option<Duration>,
    /// The facts of the answer; `None` without one.
    pub reply: Option<DnsReply>,
    /// Whether an answer by UDP came truncated, and was asked for again over TCP.
    pub truncated: Option<bool>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DnsReply {
    /// Extended by EDNS where there is that.
    pub rcode: u16,
    /// Records of each section; the pseudo-record of EDNS is none.
    pub answers: u32,
    pub authorities: u32,
    pub additionals: u32,
    /// Of the SOA record among the answers; 0 when there is none. `None` when SOA was not asked for.
    pub serial: Option<u32>,
    /// The records as text, as many as are kept as evidence.
    pub records: Box<[Box<str>]>,
}
