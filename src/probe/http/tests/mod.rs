//! The prober against real sockets.

#![allow(clippy::unwrap_used)]

mod cost;
mod failures;
mod hops;
mod proxies;
mod rules;
mod secure;
mod tokens;
