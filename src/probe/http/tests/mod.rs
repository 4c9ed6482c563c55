//! The prober against real sockets.

#![allow(clippy::unwrap_used)]

mod caddy;
mod cost;
mod failures;
mod heads;
mod hops;
mod hostile;
mod hostile_http3;
mod http3;
mod http3_options;
mod proxies;
mod request;
mod rules;
mod secure;
mod tokens;
mod traces;
