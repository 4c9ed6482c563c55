//! What reports say of histories that are known: scrapes are simulated, from runs by an exporter's rules.

#![allow(clippy::unwrap_used)]

mod properties;
mod stories;
mod world;
