//! Two pages, family by family.

use std::collections::BTreeMap;
use std::fmt;

use crate::support::scrape::{Page, Sample};

/// Families that are ours, or of releases after the one of Debian. Ours may have them where theirs has not.
const OURS: &[&str] = &[
    "probe_dns_rcode",
    "probe_dns_truncated",
    "probe_failed_due_to_bytes",
    "probe_failure_info",
    "probe_http_uncompressed_body_length",
    "probe_icmp_packet_loss_ratio",
    "probe_icmp_packets_received",
    "probe_icmp_packets_sent",
    "probe_icmp_rtt_seconds",
    "probe_ssl_last_chain_expiry_timestamp_seconds",
    "probe_ssl_last_chain_info",
    "probe_grpc_connection_duration_seconds",
    "probe_tcp_duration_seconds",
    "probe_timeout_seconds",
    "probe_tls_cipher_info",
    "probe_tls_version_info",
];

/// Labels that later releases added to families which theirs has.
const LATER_LABELS: &[&str] = &["subject", "issuer", "subjectalternative", "serialnumber"];

/// One difference of one family.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) family: String,
    /// `they: 0; we: 1`, or which of the two has something at all.
    pub(super) what: String,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.family, self.what)
    }
}

/// Two runs take different times.
fn is_time(family: &str) -> bool {
    family.contains("duration_seconds") || family.contains("lookup_time_seconds")
}

type Series = BTreeMap<BTreeMap<String, String>, f64>;

fn series(page: &Page, family: &str) -> Series {
    let strip = |sample: &Sample| {
        let kept = sample.labels.iter().filter(|(name, _)| !LATER_LABELS.contains(&name.as_str()));
        kept.map(|(name, value)| (name.clone(), value.clone())).collect()
    };
    page.metric(family).all().into_iter().map(|sample| (strip(sample), sample.value)).collect()
}

/// `{phase="tls"}`; nothing without labels.
fn shown(labels: &BTreeMap<String, String>) -> String {
    if labels.is_empty() {
        return String::new();
    }
    let pairs: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    format!(" {{{}}}", pairs.join(","))
}

pub(super) fn compare(theirs: &Page, ours: &Page) -> Vec<Found> {
    let mut found = Vec::new();
    let mut add = |family: &str, what: String| found.push(Found { family: family.to_owned(), what });
    for (family, kind) in theirs.families() {
        match ours.families().get(family) {
            None => {
                add(family, "only they".to_owned());
                continue;
            }
            Some(other) if other != kind => add(family, format!("they: {kind}; we: {other}")),
            Some(_) => {}
        }
        let (they, we) = (series(theirs, family), series(ours, family));
        for (labels, value) in &they {
            match we.get(labels) {
                None => add(family, format!("only they{}", shown(labels))),
                Some(mine) if !is_time(family) && mine != value => {
                    add(family, format!("they: {value}; we: {mine}{}", shown(labels)));
                }
                Some(_) => {}
            }
        }
        for labels in we.keys().filter(|labels| !they.contains_key(*labels)) {
            add(family, format!("only we{}", shown(labels)));
        }
    }
    for family in ours.families().keys() {
        if !theirs.families().contains_key(family) && !OURS.contains(&family.as_str()) {
            add(family, "only we".to_owned());
        }
    }
    found
}

#[test]
fn each_kind_of_difference_is_found() {
    let page = |lines: &[&str]| {
        let mut text = String::new();
        for line in lines {
            let name = line.split(['{', ' ']).next().unwrap();
            if !text.contains(&format!("TYPE {name} ")) {
                text.push_str(&format!("# HELP {name} H.\n# TYPE {name} gauge\n"));
            }
            text.push_str(&format!("{line}\n"));
        }
        Page::parse(&text).unwrap()
    };
    let theirs = page(&["a 1", "b 2", "d_duration_seconds{phase=\"x\"} 1", "e{fingerprint=\"f\"} 1"]);
    let ours = page(&[
        "a 2",
        "c 1",
        "d_duration_seconds{phase=\"x\"} 2",
        "d_duration_seconds{phase=\"y\"} 2",
        "e{fingerprint=\"f\",subject=\"s\"} 1",
        "probe_failure_info{reason=\"x\"} 1",
    ]);
    let found: Vec<String> = compare(&theirs, &ours).iter().map(ToString::to_string).collect();
    assert_eq!(found, ["a: they: 1; we: 2", "b: only they", "d_duration_seconds: only we {phase=\"y\"}", "c: only we"]);
}
