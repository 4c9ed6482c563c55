//! What the families read off one [`Observation`]. A fact that is not there is `None`, never zero.

mod address;
mod dns;
mod grpc;
mod icmp;
mod websocket;

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

pub(super) use self::address::{
    address_duration, address_failure_info, address_success, addresses, addresses_success_ratio,
};
pub(super) use self::dns::{
    dns_additionals, dns_answers, dns_authorities, dns_connect, dns_query_succeeded, dns_rcode, dns_request,
    dns_resolve, dns_serial, dns_truncated,
};
pub(super) use self::grpc::{
    grpc_check, grpc_connect, grpc_not_serving, grpc_resolve, grpc_service_unknown, grpc_serving, grpc_ssl,
    grpc_status_code, grpc_tls, grpc_unknown,
};
pub(super) use self::icmp::{
    icmp_packet_loss, icmp_packets_received, icmp_packets_sent, icmp_reply_hop_limit, icmp_resolve, icmp_rtt,
    icmp_rtt_avg, icmp_rtt_max, icmp_rtt_mdev, icmp_rtt_min, icmp_setup,
};
pub(super) use self::websocket::{
    websocket_connect, websocket_failed_regex, websocket_processing, websocket_resolve, websocket_status_code,
    websocket_tls, websocket_transfer, websocket_upgraded,
};
use super::text::{Lines, is_label_name};
use crate::observation::{Detail, HttpDetail, HttpPhases, Observation, TcpDetail};

fn flag(value: bool) -> f64 {
    f64::from(u8::from(value))
}

fn seconds(value: Duration) -> f64 {
    value.as_secs_f64()
}

/// Of those that there are; `None` when none is there.
fn sum(parts: &[Option<Duration>]) -> Option<f64> {
    parts.iter().any(Option::is_some).then(|| seconds(parts.iter().flatten().sum()))
}

/// Unix seconds to the millisecond; finer digits would be noise on every line.
#[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 stay below 2^53 for 280,000 years")]
pub(super) fn unix_seconds(time: SystemTime) -> f64 {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => since.as_millis() as f64 / 1000.0,
        Err(before) => before.duration().as_millis() as f64 / -1000.0,
    }
}

fn http(run: &Observation) -> Option<&HttpDetail> {
    match &run.detail {
        Detail::Http(detail) => Some(detail),
        Detail::Tcp(_)
        | Detail::Dns(_)
        | Detail::Icmp(_)
        | Detail::Grpc(_)
        | Detail::Unix(_)
        | Detail::Websocket(_)
        | Detail::None => None,
    }
}

/// Of a dialogue, over TCP or a Unix socket.
fn tcp(run: &Observation) -> Option<&TcpDetail> {
    match &run.detail {
        Detail::Tcp(detail) | Detail::Unix(detail) => Some(detail),
        Detail::Http(_) | Detail::Dns(_) | Detail::Icmp(_) | Detail::Grpc(_) | Detail::Websocket(_) | Detail::None => {
            None
        }
    }
}

pub(super) fn success(run: &Observation) -> Option<f64> {
    Some(flag(run.outcome.is_up()))
}

pub(super) fn duration(run: &Observation) -> Option<f64> {
    Some(seconds(run.elapsed))
}

pub(super) fn timeout(run: &Observation) -> Option<f64> {
    Some(seconds(run.timeout))
}

pub(super) fn started(run: &Observation) -> Option<f64> {
    Some(unix_seconds(run.started))
}

pub(super) fn failure_info(run: &Observation, lines: &mut Lines<'_>) {
    if let Some(failure) = run.outcome.failure() {
        lines.sample(&[("reason", failure.reason.as_label())], 1.0);
    }
}

pub(super) fn dns_lookup(run: &Observation) -> Option<f64> {
    run.resolution.as_ref().map(|resolution| seconds(resolution.elapsed))
}

/// The address used; an IPv4 address in IPv6's clothes counts as IPv4, as in Go.
fn chosen(run: &Observation) -> Option<IpAddr> {
    run.resolution.as_ref()?.chosen.map(|address| address.to_canonical())
}

pub(super) fn ip_protocol(run: &Observation) -> Option<f64> {
    Some(match chosen(run)? {
        IpAddr::V4(_) => 4.0,
        IpAddr::V6(_) => 6.0,
    })
}

pub(super) fn ip_addr_hash(run: &Observation) -> Option<f64> {
    let hash = match chosen(run)? {
        IpAddr::V4(address) => fnv1a_32(&address.octets()),
        IpAddr::V6(address) => fnv1a_32(&address.octets()),
    };
    Some(f64::from(hash))
}

fn fnv1a_32(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

fn phase(run: &Observation, pick: fn(&HttpPhases) -> Option<Duration>) -> Option<f64> {
    pick(&http(run)?.phases).map(seconds)
}

pub(super) fn http_resolve(run: &Observation) -> Option<f64> {
    phase(run, |phases| phases.resolve)
}

pub(super) fn http_connect(run: &Observation) -> Option<f64> {
    phase(run, |phases| phases.connect)
}

pub(super) fn http_tls(run: &Observation) -> Option<f64> {
    phase(run, |phases| phases.tls)
}

pub(super) fn http_processing(run: &Observation) -> Option<f64> {
    phase(run, |phases| phases.processing)
}

pub(super) fn http_transfer(run: &Observation) -> Option<f64> {
    phase(run, |phases| phases.transfer)
}

/// As the next four: 0 without a response, as in the incumbent, for rules such as `probe_http_status_code != 200`.
pub(super) fn http_status(run: &Observation) -> Option<f64> {
    Some(http(run)?.status.map_or(0.0, f64::from))
}

pub(super) fn http_version(run: &Observation) -> Option<f64> {
    Some(http(run)?.version.unwrap_or_default())
}

#[expect(clippy::cast_precision_loss, reason = "a length over 2^53 bytes may be off by a byte")]
pub(super) fn http_content_length(run: &Observation) -> Option<f64> {
    Some(http(run)?.content_length.map_or(0.0, |length| length as f64))
}

#[expect(clippy::cast_precision_loss, reason = "a length over 2^53 bytes may be off by a byte")]
pub(super) fn http_body_length(run: &Observation) -> Option<f64> {
    http(run)?.body_length.map(|length| length as f64)
}

pub(super) fn http_redirects(run: &Observation) -> Option<f64> {
    Some(f64::from(http(run)?.redirects))
}

pub(super) fn http_ssl(run: &Observation) -> Option<f64> {
    Some(http(run)?.ssl.map_or(0.0, flag))
}

#[expect(clippy::cast_precision_loss, reason = "Unix seconds of any real date are below 2^53")]
pub(super) fn http_last_modified(run: &Observation) -> Option<f64> {
    http(run)?.last_modified.map(|time| time as f64)
}

pub(super) fn failed_regex(run: &Observation) -> Option<f64> {
    match &run.detail {
        Detail::Http(detail) => detail.failed_regex,
        Detail::Tcp(detail) | Detail::Unix(detail) => detail.failed_regex,
        Detail::Dns(_) | Detail::Icmp(_) | Detail::Grpc(_) | Detail::Websocket(_) | Detail::None => None,
    }
    .map(flag)
}

pub(super) fn failed_cel(run: &Observation) -> Option<f64> {
    http(run)?.failed_cel.map(flag)
}

pub(super) fn failed_bytes(run: &Observation) -> Option<f64> {
    tcp(run)?.failed_bytes.map(flag)
}

pub(super) fn tcp_connect(run: &Observation) -> Option<f64> {
    tcp(run)?.connect.map(seconds)
}

pub(super) fn tcp_tls(run: &Observation) -> Option<f64> {
    tcp(run)?.tls.map(seconds)
}

/// One sample a step. A label that the target has already is written as `expect_NAME`: the same name twice
/// in one series would make Prometheus refuse the whole page.
pub(super) fn expect_info(run: &Observation, lines: &mut Lines<'_>) {
    let Some(detail) = tcp(run) else { return };
    for (index, info) in detail.expect_info.iter().enumerate() {
        if detail.expect_info[..index].contains(info) {
            continue;
        }
        let mut names: Vec<String> = Vec::with_capacity(info.len());
        for (name, _) in info {
            let mut name = name.to_string();
            while lines.has_label(&name) || names.contains(&name) {
                name.insert_str(0, "expect_");
            }
            names.push(name);
        }
        let labels: Vec<(&str, &str)> = names
            .iter()
            .zip(info)
            .filter(|(name, _)| is_label_name(name))
            .map(|(name, (_, value))| (name.as_str(), &**value))
            .collect();
        lines.sample(&labels, 1.0);
    }
}

#[expect(clippy::cast_precision_loss, reason = "Unix seconds of any real date are below 2^53")]
pub(super) fn ssl_earliest_expiry(run: &Observation) -> Option<f64> {
    run.tls.as_ref()?.chain.earliest_expiry.map(|time| time as f64)
}

#[expect(clippy::cast_precision_loss, reason = "Unix seconds of any real date are below 2^53")]
pub(super) fn ssl_last_chain_expiry(run: &Observation) -> Option<f64> {
    run.tls.as_ref()?.last_chain_expiry.map(|time| time as f64)
}

pub(super) fn ssl_chain_info(run: &Observation, lines: &mut Lines<'_>) {
    let Some(leaf) = run.tls.as_ref().and_then(|tls| tls.chain.certificates.first()) else { return };
    lines.sample(
        &[
            ("fingerprint_sha256", &leaf.fingerprint_sha256),
            ("subject", &leaf.subject),
            ("issuer", &leaf.issuer),
            ("subjectalternative", &leaf.dns_names),
            ("serialnumber", &leaf.serial),
        ],
        1.0,
    );
}

pub(super) fn tls_version_info(run: &Observation, lines: &mut Lines<'_>) {
    if let Some(version) = run.tls.as_ref().and_then(|tls| tls.version.as_deref()) {
        lines.sample(&[("version", version)], 1.0);
    }
}

/// Of HTTP runs alone, as the incumbent.
pub(super) fn tls_cipher_info(run: &Observation, lines: &mut Lines<'_>) {
    if http(run).is_none() {
        return;
    }
    if let Some(cipher) = run.tls.as_ref().and_then(|tls| tls.cipher.as_deref()) {
        lines.sample(&[("cipher", cipher)], 1.0);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_address_hash_is_the_incumbents() {
        let hash = |text: &str| match text.parse::<IpAddr>().unwrap() {
            IpAddr::V4(address) => fnv1a_32(&address.octets()),
            IpAddr::V6(address) => fnv1a_32(&address.octets()),
        };
        assert_eq!(hash("127.0.0.1"), 3_668_918_509);
        assert_eq!(hash("::1"), 1_751_717_746);
        assert_eq!(hash("192.0.2.1"), 1_969_986_452);
    }

    #[test]
    fn timestamps_have_milliseconds_and_may_lie_before_1970() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_nanos(1_700_000_000_123_456_789);
        assert_eq!(unix_seconds(time), 1_700_000_000.123);
        assert_eq!(unix_seconds(SystemTime::UNIX_EPOCH - Duration::from_millis(1500)), -1.5);
    }
}
