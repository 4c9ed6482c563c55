//! The `icmp` block.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::Resolver;
use crate::config::problem::At;
use crate::config::raw::RawIcmp;
use crate::config::units::show_duration;
use crate::config::{DnsServers, IcmpSettings};

/// The largest packet of IPv4 without its headers.
const PAYLOAD_SIZES: RangeInclusive<i64> = 0..=65_507;
const HOP_LIMITS: RangeInclusive<i64> = 0..=255;
const PACKETS: RangeInclusive<i64> = 1..=100;
const PACKET_INTERVALS: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(60);

const DEFAULT_HOP_LIMIT: i64 = 64;
/// Several packets fit into the usual timeout, and are not lost all together by the same hiccup.
const DEFAULT_PACKET_INTERVAL: Duration = Duration::from_millis(200);

pub(super) fn icmp(raw: RawIcmp, at: &At<'_>, r: &mut Resolver<'_>) -> IcmpSettings {
    let RawIcmp {
        preferred_ip_protocol,
        ip_protocol_fallback,
        source_ip_address,
        dont_fragment,
        payload_size,
        ttl,
        packets,
        packet_interval,
        max_loss,
    } = raw;
    let mut number = |value: Option<i64>, default: i64, bounds: &RangeInclusive<i64>, key: &str, unit: &str| {
        let value = value.unwrap_or(default);
        if bounds.contains(&value) {
            return value;
        }
        let (least, most) = (bounds.start(), bounds.end());
        r.problems.add(&at.key(key), format!("{value} is not from {least} to {most}{unit}"));
        default
    };
    let hop_limit = number(ttl.map(|ttl| ttl.0), DEFAULT_HOP_LIMIT, &HOP_LIMITS, "ttl", "");
    let packets = number(packets, 1, &PACKETS, "packets", "");
    let mut payload_size = payload_size.map_or(0, |size| size.0);
    if !PAYLOAD_SIZES.contains(&payload_size) {
        let (least, most) = (PAYLOAD_SIZES.start(), PAYLOAD_SIZES.end());
        r.problems.add_fault(&at.key("payload_size"), format!("{payload_size} is not from {least} to {most} bytes"));
        payload_size = 0;
    }
    if let Some(share) = max_loss
        && !(0.0..=1.0).contains(&share)
    {
        r.problems.add(&at.key("max_loss"), format!("{share} is not from 0 to 1; 0.25 is a quarter of the packets"));
    }
    let packet_interval =
        r.duration(packet_interval, &at.key("packet_interval"), PACKET_INTERVALS).unwrap_or(DEFAULT_PACKET_INTERVAL);
    IcmpSettings {
        ip: r.ip(preferred_ip_protocol, ip_protocol_fallback, at),
        dns_servers: DnsServers::System,
        source_address: r.source_address(source_ip_address, at),
        dont_fragment: dont_fragment.unwrap_or(false),
        payload_size: usize::try_from(payload_size).unwrap_or_default(),
        // As the incumbent: zero leaves it to the system.
        hop_limit: u8::try_from(hop_limit).ok().filter(|limit| *limit > 0),
        packets: u32::try_from(packets).unwrap_or(1),
        packet_interval,
        max_loss,
    }
}

/// The problem of a target whose packets do not all leave before its time is up.
pub(super) fn too_slow(settings: &IcmpSettings, timeout: Duration) -> Option<String> {
    let IcmpSettings { packets, packet_interval, .. } = settings;
    let (needed, interval) = (settings.sending_time(), show_duration(*packet_interval));
    (*packets > 1 && needed >= timeout).then(|| {
        format!(
            "{} leaves no time for the replies: {packets} packets, one every {interval}, are sent within {}",
            show_duration(timeout),
            show_duration(needed)
        )
    })
}
