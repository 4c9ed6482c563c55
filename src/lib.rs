//! `uptime_exporter`: probes targets on its own schedule and tells Prometheus whether they are up.
//!
//! Data flows one way, and a module imports only from modules to its left:
//!
//! ```text
//! config -> observation -> probe -> discovery -> vantage -> state -> cause -> schedule -> metrics -> server -> once -> report -> convert -> notice -> status -> app
//! ```
//!
//! | module | what it owns |
//! |---|---|
//! | [`cli`] | the flags |
//! | [`config`] | file -> typed values; every problem in one report |
//! | [`figures`] | lengths of time and texts from outside, as people are shown them; seen by all |
//! | [`observation`] | what one run of one probe saw: plain values, the vocabulary of reasons |
//! | [`telemetry`] | the exporter's own counters (the `prometheus` crate's registry) |
//! | [`probe`] | one file or folder a protocol; name resolution and TLS that they share |
//! | [`discovery`] | lists of targets that others keep, asked for again and again |
//! | [`vantage`] | anchors: whether it is us that is cut off |
//! | [`state`] | per target: last observations, verdict, totals, clocks; snapshots of them, and the file that outlives a restart |
//! | [`cause`] | what explains that targets fail: `depends_on`, and facts that they share |
//! | [`schedule`] | when to run; one loop a target |
//! | [`metrics`] | names, help and types; snapshot -> text |
//! | [`server`] | routes over hyper |
//! | [`once`] | every target one time, printed: `--once` |
//! | [`report`] | what happened, asked of Prometheus afterwards: `report` |
//! | [`convert`] | what blackbox_exporter was asked for, as a config of ours: `convert` |
//! | [`notice`] | the operator's words, written without an editor: `notice` |
//! | [`status`] | a site for customers, of what Prometheus has: `status` |
//! | [`app`] | wiring, reload, stop: the only module that sees everything |

pub mod app;
pub mod cause;
pub mod cli;
pub mod config;
pub mod convert;
pub mod discovery;
pub mod figures;
pub mod metrics;
pub mod notice;
pub mod observation;
pub mod once;
pub mod probe;
pub mod report;
pub mod schedule;
pub mod server;
pub mod state;
pub mod status;
pub mod telemetry;
pub mod vantage;
