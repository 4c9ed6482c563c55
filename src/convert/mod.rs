//! `uptime_exporter convert`: blackbox_exporter's jobs of a `prometheus.yml`, and a `blackbox.yml`, as a config of ours.
#![allow(dead_code)]

mod discover;
mod durations;
mod job;
mod names;
mod notes;
mod probes;
mod relabel;
mod scrape;
mod yaml;
