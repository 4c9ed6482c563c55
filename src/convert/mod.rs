//! `uptime_exporter convert`: blackbox_exporter's jobs of a `prometheus.yml`, and a `blackbox.yml`, as a config of ours.
#![allow(dead_code)]

mod relabel;
mod scrape;
