//! What an ICMP run showed.

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// One ICMP run: its echo requests and what came back.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct IcmpDetail {
    /// From the address to the moment before the first packet was sent. `None`: not reached.
    pub setup: Option<Duration>,
    /// Echo requests that were sent. Zero when the run ended before.
    pub packets_sent: u32,
    /// Echo replies that fitted one of them.
    pub packets_received: u32,
    /// Round trip of the reply, the mean of them where there are several.
    pub rtt: Option<Duration>,
    /// Only of targets that are sent several packets, when at least one was answered.
    pub round_trips: Option<RoundTrips>,
    /// What the latest reply had left of its hop limit (IPv4: TTL), if the kernel told.
    pub reply_hop_limit: Option<u8>,
    /// The kind of the socket: `datagram` or `raw`.
    pub socket: Option<Cow<'static, str>>,
}

impl IcmpDetail {
    /// Share of the packets that were not answered, from 0 to 1. `None` when none was sent.
    pub fn loss(&self) -> Option<f64> {
        let lost = self.packets_sent.saturating_sub(self.packets_received);
        (self.packets_sent > 0).then(|| f64::from(lost) / f64::from(self.packets_sent))
    }
}

/// Round trips of the packets of one run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RoundTrips {
    pub min: Duration,
    pub avg: Duration,
    pub max: Duration,
    /// Their standard deviation, as `ping` prints it.
    pub mdev: Duration,
}

impl RoundTrips {
    /// `None` for no round trips.
    pub fn of(times: &[Duration]) -> Option<Self> {
        let count = u32::try_from(times.len()).ok()?;
        let min = *times.iter().min()?;
        let max = *times.iter().max()?;
        let avg = times.iter().sum::<Duration>() / count;
        let mean = avg.as_secs_f64();
        let variance = times.iter().map(|time| (time.as_secs_f64() - mean).powi(2)).sum::<f64>() / f64::from(count);
        Some(Self { min, avg, max, mdev: Duration::from_secs_f64(variance.sqrt()) })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn round_trips_are_summed_up_as_ping_does() {
        let ms = Duration::from_millis;
        assert_eq!(RoundTrips::of(&[]), None);
        let one = RoundTrips::of(&[ms(7)]).unwrap();
        assert_eq!((one.min, one.avg, one.max, one.mdev), (ms(7), ms(7), ms(7), ms(0)));
        let some = RoundTrips::of(&[ms(2), ms(4), ms(4), ms(4), ms(5), ms(5), ms(7), ms(9)]).unwrap();
        assert_eq!((some.min, some.avg, some.max), (ms(2), ms(5), ms(9)));
        assert!(some.mdev.abs_diff(ms(2)) < Duration::from_micros(1), "{some:?}");
    }

    #[test]
    fn loss_is_a_share_of_what_was_sent() {
        let detail =
            |packets_sent, packets_received| IcmpDetail { packets_sent, packets_received, ..Default::default() };
        assert_eq!(detail(0, 0).loss(), None);
        assert_eq!(detail(4, 1).loss(), Some(0.75));
        assert_eq!(detail(1, 1).loss(), Some(0.0));
    }
}
