//! End to end: the real binary, real sockets, real signals, a real Prometheus. Loopback only; no root.
//!
//! One binary, so that it links once. `support` has the running exporter, the reader of its pages, and the peers.

// Tests may panic, and wait for other processes by the wall clock.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod addresses;
mod cause;
mod config;
mod convert;
mod depends_on;
mod discovery;
mod dropin;
mod evidence;
mod exposition;
mod faulty;
mod icmp;
mod limits;
mod names;
mod old_tls;
mod once;
mod operators_page;
mod outage;
mod path;
mod probe;
mod prometheus;
mod reasons;
mod reload;
mod report;
mod restart;
mod scraped;
mod start;
mod status;
mod stop;
mod support;
mod traces;
mod vantage;
mod web;
