//! The program `uptime_exporter`.

fn main() {}
