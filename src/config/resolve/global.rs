//! `global:`, and the defaults where it is silent.

use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use super::address::{host_port, host_port_or};
use super::maintenance::NamedWindow;
use super::path::path_of;
use super::services::Transport;
use super::target::display_name_of;
use super::{Resolver, anchor, shared_cause, trace_context};
use crate::config::problem::{At, shorten};
use crate::config::raw::{Entries, RawConfirm, RawGlobal};
use crate::config::units::show_duration;
use crate::config::zoned::{literal, socket_address};
use crate::config::{Anchor, Confirm, DnsServers, LabelSet, PathSettings, SharedCauseSettings, TraceUrl};

const MILLISECOND: Duration = Duration::from_millis(1);
const DAY: Duration = Duration::from_secs(86_400);

/// Shorter intervals are a load test; longer ones can hardly be alerted on.
pub(super) const INTERVALS: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(7 * 86_400);
pub(super) const TIMEOUTS: RangeInclusive<Duration> = MILLISECOND..=DAY;
const REFRESH_INTERVALS: RangeInclusive<Duration> = Duration::from_millis(100)..=DAY;
const MAX_FAILURES: i64 = 100;
const MAX_BUCKETS: usize = 64;

/// What a target gets where it says nothing itself.
pub(super) struct Defaults {
    pub(super) interval: Duration,
    pub(super) timeout: Duration,
    pub(super) labels: Vec<(String, String)>,
    pub(super) confirm: Confirm,
    pub(super) dns_servers: DnsServers,
    pub(super) latency_buckets: Arc<[f64]>,
    pub(super) evidence_body: bool,
    pub(super) refresh_interval: Duration,
    pub(super) slow_threshold: Option<Duration>,
    pub(super) slo: Option<f64>,
    pub(super) diagnose: bool,
    pub(super) path: PathSettings,
    pub(super) anchors: Vec<Anchor>,
    pub(super) shared_cause: SharedCauseSettings,
    pub(super) trace_url: Option<TraceUrl>,
    pub(super) region_name: Option<Box<str>>,
    /// Windows with whom they are for; a target takes those that name it.
    pub(super) maintenance: Vec<NamedWindow>,
}

impl Default for Defaults {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(15),
            timeout: Duration::from_secs(5),
            labels: Vec::new(),
            confirm: Confirm { failures: NonZeroU32::MIN.saturating_add(1), retry_interval: Duration::from_secs(2) },
            dns_servers: DnsServers::System,
            latency_buckets: Arc::new([]),
            evidence_body: true,
            refresh_interval: Duration::from_secs(5),
            slow_threshold: None,
            slo: None,
            diagnose: true,
            path: PathSettings { enabled: true, every: None },
            anchors: Vec::new(),
            shared_cause: SharedCauseSettings::default(),
            trace_url: None,
            region_name: None,
            maintenance: Vec::new(),
        }
    }
}

pub(super) fn global(raw: Option<RawGlobal>, at: &At<'_>, r: &mut Resolver<'_>) -> Defaults {
    let mut defaults = Defaults::default();
    let RawGlobal {
        interval,
        timeout,
        labels,
        confirm,
        dns_servers,
        latency_buckets,
        evidence_body,
        target_files_refresh_interval,
        anchors,
        slow_threshold,
        slo,
        diagnose,
        shared_cause,
        trace_url,
        region_name,
        _depends_on: _,
        path,
    } = raw.unwrap_or_default();
    if let Some(interval) = r.duration(interval, &at.key("interval"), INTERVALS) {
        defaults.interval = interval;
    }
    match r.duration(timeout, &at.key("timeout"), TIMEOUTS) {
        Some(timeout) if timeout > defaults.interval => {
            r.problems.add(&at.key("timeout"), longer_than_interval(timeout, defaults.interval));
        }
        Some(timeout) => defaults.timeout = timeout,
        None => defaults.timeout = defaults.timeout.min(defaults.interval),
    }
    defaults.labels = labels_of(labels, &at.key("labels"), r);
    defaults.confirm = confirm_of(confirm, defaults.confirm, defaults.interval, &at.key("confirm"), r);
    if let Some(servers) = dns_servers_of(dns_servers, &at.key("dns_servers"), r) {
        defaults.dns_servers = servers;
    }
    if let Some(buckets) = buckets_of(latency_buckets, &at.key("latency_buckets"), r) {
        defaults.latency_buckets = buckets;
    }
    defaults.evidence_body = evidence_body.unwrap_or(defaults.evidence_body);
    let refresh = &at.key("target_files_refresh_interval");
    if let Some(refresh) = r.duration(target_files_refresh_interval, refresh, REFRESH_INTERVALS) {
        defaults.refresh_interval = refresh;
    }
    defaults.slow_threshold = r.duration(slow_threshold, &at.key("slow_threshold"), TIMEOUTS);
    defaults.slo = slo_of(slo, &at.key("slo"), r);
    defaults.diagnose = diagnose.unwrap_or(defaults.diagnose);
    defaults.path = path_of(path, defaults.path, defaults.diagnose, &at.key("path"), r);
    defaults.anchors = anchor::anchors(anchors, &at.key("anchors"), r);
    defaults.shared_cause = shared_cause::shared_cause(shared_cause, &at.key("shared_cause"), r);
    defaults.trace_url = trace_context::trace_url(trace_url, &at.key("trace_url"), r);
    defaults.region_name = display_name_of(region_name, &at.key("region_name"), r);
    defaults
}

/// A share of time; 0 and 1 leave nothing to alert on.
pub(super) fn slo_of(raw: Option<f64>, at: &At<'_>, r: &mut Resolver<'_>) -> Option<f64> {
    let share = raw?;
    if share > 0.0 && share < 1.0 {
        return Some(share);
    }
    r.problems.add(at, format!("{share} is not between 0 and 1; 99.9 % is written 0.999"));
    None
}

pub(super) fn longer_than_interval(timeout: Duration, interval: Duration) -> String {
    let (timeout, interval) = (show_duration(timeout), show_duration(interval));
    format!("{timeout} is longer than the interval, which is {interval}; runs of one target must not overlap")
}

/// Names checked one by one, each problem at its own line.
pub(super) fn labels_of(raw: Option<Entries<String>>, at: &At<'_>, r: &mut Resolver<'_>) -> Vec<(String, String)> {
    let mut labels = raw.map(|raw| raw.0).unwrap_or_default();
    labels.retain(|(name, _)| match LabelSet::check_name(name) {
        Ok(()) => true,
        Err(error) => {
            r.problems.add(&at.key(name), error.to_string());
            false
        }
    });
    labels
}

/// Each key overrides alone. A default re-check is never slower than the schedule itself.
pub(super) fn confirm_of(
    raw: Option<RawConfirm>,
    defaults: Confirm,
    interval: Duration,
    at: &At<'_>,
    r: &mut Resolver<'_>,
) -> Confirm {
    let RawConfirm { failures, retry_interval } = raw.unwrap_or_default();
    let failures = match failures {
        None => defaults.failures,
        Some(count) => {
            let good = (1..=MAX_FAILURES).contains(&count).then_some(count);
            match good.and_then(|count| u32::try_from(count).ok()).and_then(NonZeroU32::new) {
                Some(failures) => failures,
                None => {
                    let message =
                        format!("{count} is out of bounds; it must be from 1 (no confirmation) to {MAX_FAILURES}");
                    r.problems.add(&at.key("failures"), message);
                    defaults.failures
                }
            }
        }
    };
    let retry_interval = match r.duration(retry_interval, &at.key("retry_interval"), INTERVALS) {
        None => defaults.retry_interval.min(interval),
        Some(retry) if retry > interval => {
            let (retry, interval) = (show_duration(retry), show_duration(interval));
            let message =
                format!("{retry} is longer than the interval, which is {interval}; re-checks are to be quicker");
            r.problems.add(&at.key("retry_interval"), message);
            defaults.retry_interval
        }
        Some(retry) => retry,
    };
    Confirm { failures, retry_interval }
}

/// `address` or `address:port`; an empty list means the operating system's.
pub(super) fn dns_servers_of(raw: Option<Vec<String>>, at: &At<'_>, r: &mut Resolver<'_>) -> Option<DnsServers> {
    const DNS_PORT: u16 = 53;
    let mut servers = Vec::new();
    for (index, text) in raw?.iter().enumerate() {
        let trimmed = text.trim();
        let bare = trimmed.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(trimmed);
        let address = match literal(bare) {
            Some(_) => host_port_or(trimmed, DNS_PORT, Transport::Udp),
            None => host_port(trimmed, Transport::Udp),
        };
        let address = address.ok().and_then(|address| Some((literal(&address.host)?, address)));
        match address {
            Some((ip, address)) => match socket_address(&address.host, ip, address.port) {
                Ok(address) => servers.push(address),
                Err(message) => r.problems.add(&at.index(index), message),
            },
            None => r.problems.add(
                &at.index(index),
                format!(
                    "{:?} is not an address or address:port, such as 192.0.2.53 or [2001:db8::1]:53",
                    shorten(text)
                ),
            ),
        }
    }
    Some(if servers.is_empty() { DnsServers::System } else { DnsServers::Servers(servers) })
}

pub(super) fn buckets_of(raw: Option<Vec<f64>>, at: &At<'_>, r: &mut Resolver<'_>) -> Option<Arc<[f64]>> {
    let buckets = raw?;
    if buckets.len() > MAX_BUCKETS {
        r.problems.add(
            at,
            format!("has {} buckets; each is a series of every target, so at most {MAX_BUCKETS}", buckets.len()),
        );
    }
    let mut last = 0.0;
    for (index, bound) in buckets.iter().enumerate() {
        if !bound.is_finite() || *bound <= 0.0 {
            r.problems.add(
                &at.index(index),
                format!("{bound} is not a bound; bounds are seconds above 0 (+Inf comes by itself)"),
            );
        } else if *bound <= last {
            r.problems
                .add(&at.index(index), format!("{bound} is not above the bound before it, {last}; bounds ascend"));
        }
        last = *bound;
    }
    Some(buckets.into())
}
