//! What answers mean, and ways through routers of the test's own.

#![allow(clippy::unwrap_used)]

mod chain;
mod network;
mod verdicts;
