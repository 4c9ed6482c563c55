//! One target, several addresses: each is probed, all within one run, and one outcome is made of them.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use futures_util::future::join_all;
use tokio::time::{Instant, timeout_at};

use super::address::{ResolveError, Resolver};
use super::place::{Place, place};
use super::{Probe, Prober, Shared};
use crate::config::{FanOut, IpFamily, IpPreference, ProbeSpec, Select, UpWhen};
use crate::observation::{AddressRun, Detail, Failure, Lookup, Observation, Outcome, Reason, Resolution};

/// Looks the name up and runs `prober` at each address at once. Ends by `deadline`.
pub(super) async fn run(
    prober: &Prober,
    spec: &ProbeSpec,
    wanted: FanOut,
    shared: &Shared,
    deadline: Instant,
) -> Observation {
    let started = SystemTime::now();
    let began = Instant::now();
    let timeout = deadline.saturating_duration_since(began);
    let resolver = place(spec).and_then(|place| Some((shared.resolvers.resolver(place.servers).ok()?, place)));
    // The config lets no other target have several addresses.
    let Some((resolver, place)) = resolver else { return prober.run(deadline).await };
    let found = Wanted::of(&resolver, &place, wanted, deadline).await;
    let elapsed = began.elapsed();
    let mut resolution =
        Resolution { elapsed, addresses: found.addresses.clone().into(), chosen: None, lookup: found.lookup };

    let runs = found.addresses.iter().map(|address| place.at(*address).around(prober.run(deadline)));
    let runs: Vec<Observation> = join_all(runs).await;
    let mut addresses: Vec<AddressRun> = found
        .addresses
        .iter()
        .zip(&runs)
        .map(|(address, run)| AddressRun {
            address: Some(*address),
            elapsed: run.elapsed,
            outcome: run.outcome.clone(),
        })
        .collect();
    addresses.extend(found.missing.iter().map(|failure| AddressRun {
        address: None,
        elapsed,
        outcome: Outcome::Down(failure.clone()),
    }));
    let outcome = roll_up(&addresses, wanted.up_when);
    // Whose details are shown: one that is as the whole, if there is one.
    let deciding =
        runs.iter().position(|run| run.outcome.is_up() == outcome.is_up()).or((!runs.is_empty()).then_some(0));
    let deciding = deciding.and_then(|index| {
        resolution.chosen = Some(found.addresses[index]);
        runs.into_iter().nth(index)
    });
    let (tls, detail) = deciding.map_or((None, Detail::None), |run| (run.tls, run.detail));
    Observation {
        started,
        elapsed: began.elapsed(),
        timeout,
        outcome,
        resolution: Some(resolution),
        tls,
        detail,
        addresses: addresses.into(),
    }
}

/// The addresses to probe, and why others are not there.
struct Wanted {
    addresses: Vec<IpAddr>,
    lookup: Option<Box<Lookup>>,
    missing: Vec<Failure>,
}

impl Wanted {
    async fn of(resolver: &Resolver, place: &Place<'_>, wanted: FanOut, deadline: Instant) -> Self {
        if let Some(literal) = place.literal() {
            return Self { addresses: vec![literal], lookup: None, missing: Vec::new() };
        }
        let one = |preferred| async move {
            let ip = IpPreference { preferred, fallback: false };
            match timeout_at(deadline, resolver.resolve(place.host, ip)).await {
                Ok(found) => found,
                Err(_) => Err(ResolveError {
                    failure: resolver.silence(place.host),
                    resolution: Resolution {
                        elapsed: Duration::ZERO,
                        addresses: Box::default(),
                        chosen: None,
                        lookup: None,
                    },
                }),
            }
        };
        let (first, second) = match place.ip.preferred {
            IpFamily::V4 => (IpFamily::V4, IpFamily::V6),
            IpFamily::V6 => (IpFamily::V6, IpFamily::V4),
        };
        let alone = wanted.select == Select::All && !place.ip.fallback;
        let (preferred, other) = tokio::join!(one(first), async { if alone { None } else { Some(one(second).await) } });
        let per_family = match wanted.select {
            Select::All => usize::MAX,
            Select::BothFamilies => 1,
        };
        let (mut addresses, mut missing, mut lookup) = (Vec::new(), Vec::new(), None);
        for found in [Some(preferred), other].into_iter().flatten() {
            match found {
                Ok(resolution) => {
                    addresses.extend(resolution.addresses.into_iter().take(per_family));
                    lookup = lookup.or(resolution.lookup);
                }
                Err(error) => {
                    missing.push(error.failure);
                    lookup = lookup.or(error.resolution.lookup);
                }
            }
        }
        // With all addresses asked for, a family that the name does not have is no fault; a lookup that went wrong is
        // one only when there is nothing to probe.
        if wanted.select == Select::All && !addresses.is_empty() {
            missing.clear();
        }
        missing.truncate(if wanted.select == Select::All { 1 } else { 2 });
        // The same ones on each run when there are more than are probed; servers shuffle them.
        addresses.sort_by_key(|address| (address.is_ipv4() != (first == IpFamily::V4), *address));
        addresses.dedup();
        addresses.truncate(wanted.max);
        Self { addresses, lookup, missing }
    }
}

/// What several outcomes make of the target. A failure has the commonest reason.
fn roll_up(runs: &[AddressRun], up_when: UpWhen) -> Outcome {
    let up = runs.iter().filter(|run| run.outcome.is_up()).count();
    #[expect(clippy::cast_precision_loss, reason = "a few hundred addresses at most")]
    let enough = match up_when {
        UpWhen::All => up == runs.len(),
        UpWhen::Any => up > 0,
        UpWhen::Share(share) => up as f64 >= share * runs.len() as f64,
    };
    if enough && !runs.is_empty() {
        return Outcome::Up;
    }
    let failures: Vec<(Option<IpAddr>, &Failure)> =
        runs.iter().filter_map(|run| Some((run.address, run.outcome.failure()?))).collect();
    let mut counts: BTreeMap<Reason, usize> = BTreeMap::new();
    for (_, failure) in &failures {
        // A run that says nothing of the target must not decide about it while others do.
        if !failure.reason.is_inconclusive() {
            *counts.entry(failure.reason).or_default() += 1;
        }
    }
    let commonest =
        counts.into_iter().min_by_key(|(reason, count)| (Reverse(*count), *reason)).map(|(reason, _)| reason);
    let reason = commonest.or(failures.first().map(|(_, failure)| failure.reason)).unwrap_or(Reason::DnsNoAddress);
    let shown = failures.iter().find(|(_, failure)| failure.reason == reason);
    let sentence = match (shown, runs) {
        (Some((_, failure)), [_]) => failure.sentence.to_string(),
        (Some((address, failure)), _) => {
            let which = address.map(|address| format!("{address}: ")).unwrap_or_default();
            format!("{} of {} addresses fail; {which}{}", failures.len(), runs.len(), failure.sentence)
        }
        (None, _) => "the name has no address".to_owned(),
    };
    Outcome::Down(Failure::new(reason, sentence))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
    use std::sync::Arc;

    use hickory_resolver::proto::op::ResponseCode;
    use hickory_resolver::proto::rr::RecordType;
    use tokio::net::TcpListener;

    use super::*;
    use crate::config::{DnsServers, HostPort, TcpSettings, TlsSettings};
    use crate::probe::testing::{DnsReply, dns_server};

    const FIRST: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
    const SECOND: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 3));

    fn fan_out(select: Select, up_when: UpWhen) -> FanOut {
        FanOut { select, up_when, max: 16 }
    }

    async fn observe(dns: SocketAddr, port: u16, fallback: bool, wanted: FanOut) -> Observation {
        let settings = TcpSettings {
            ip: IpPreference { preferred: IpFamily::V4, fallback },
            dns_servers: DnsServers::Servers(vec![dns]),
            source_address: None,
            tls: false,
            tls_config: TlsSettings::default(),
            steps: Vec::new(),
            keep_excerpt: false,
        };
        let address = HostPort { host: "shop.test".to_owned(), port };
        let spec = ProbeSpec::Tcp { settings: Arc::new(settings), address };
        let shared = Arc::new(Shared::default());
        let prober = Prober::new(&spec, &shared).unwrap();
        run(&prober, &spec, wanted, &shared, Instant::now() + Duration::from_secs(30)).await
    }

    async fn zone(addresses: &[IpAddr]) -> SocketAddr {
        let addresses = addresses.to_vec();
        dns_server(move |_, _| DnsReply::Addresses(addresses.clone())).await
    }

    fn each(run: &Observation) -> Vec<(String, bool)> {
        run.addresses
            .iter()
            .map(|run| (run.address.map_or("-".to_owned(), |address| address.to_string()), run.outcome.is_up()))
            .collect()
    }

    #[tokio::test]
    async fn every_address_is_probed_and_the_rule_decides() {
        let listener = TcpListener::bind((SECOND, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let dns = zone(&[SECOND, FIRST]).await;
        for (up_when, up) in
            [(UpWhen::All, false), (UpWhen::Any, true), (UpWhen::Share(0.5), true), (UpWhen::Share(0.51), false)]
        {
            let run = observe(dns, port, true, fan_out(Select::All, up_when)).await;
            assert_eq!(each(&run), [("127.0.0.2".to_owned(), false), ("127.0.0.3".to_owned(), true)]);
            assert_eq!(run.outcome.is_up(), up, "{up_when:?}");
            let chosen = run.resolution.as_ref().unwrap().chosen;
            assert_eq!(chosen, Some(if up { SECOND } else { FIRST }), "whose details are shown");
            if let Some(failure) = run.outcome.failure() {
                assert_eq!(failure.reason, Reason::ConnectRefused);
                assert!(
                    failure.sentence.starts_with("1 of 2 addresses fail; 127.0.0.2: cannot connect"),
                    "{failure:?}"
                );
            }
        }
    }

    #[tokio::test]
    async fn both_families_are_one_target() {
        let Ok(listener) = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).await else {
            eprintln!("SKIPPED: there is no IPv6 here");
            return;
        };
        let port = listener.local_addr().unwrap().port();
        let _v4 = TcpListener::bind((FIRST, port)).await.unwrap();
        let wanted = fan_out(Select::BothFamilies, UpWhen::All);
        let run = observe(zone(&[SECOND, FIRST, Ipv6Addr::LOCALHOST.into()]).await, port, true, wanted).await;
        assert_eq!(each(&run).len(), 2, "one of each: {run:?}");
        let run = observe(zone(&[FIRST, Ipv6Addr::LOCALHOST.into()]).await, port, true, wanted).await;
        assert!(run.outcome.is_up(), "{run:?}");
        let run = observe(zone(&[FIRST]).await, port, true, wanted).await;
        assert_eq!(each(&run), [("127.0.0.2".to_owned(), true), ("-".to_owned(), false)]);
        assert_eq!(run.outcome.failure().unwrap().reason, Reason::DnsNoAddress);
    }

    #[tokio::test]
    async fn without_fallback_all_are_those_of_one_family() {
        let listener = TcpListener::bind((FIRST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let dns = zone(&[FIRST, Ipv6Addr::LOCALHOST.into()]).await;
        let run = observe(dns, port, false, fan_out(Select::All, UpWhen::All)).await;
        assert_eq!(each(&run), [("127.0.0.2".to_owned(), true)]);
    }

    #[tokio::test]
    async fn a_name_without_addresses_fails_for_its_own_reason() {
        let dns = dns_server(|_, _: RecordType| DnsReply::Code(ResponseCode::NXDomain)).await;
        let run = observe(dns, 1, true, fan_out(Select::All, UpWhen::Any)).await;
        assert_eq!(run.outcome.failure().unwrap().reason, Reason::DnsNxdomain);
        assert_eq!(each(&run), [("-".to_owned(), false)]);
    }

    #[tokio::test]
    async fn more_addresses_than_the_limit_are_left_out_the_same_each_time() {
        let many: Vec<IpAddr> = (2..40).map(|last| IpAddr::from([127, 0, 1, last])).collect();
        let shuffled: Vec<IpAddr> = many.iter().rev().copied().collect();
        let wanted = FanOut { max: 3, ..fan_out(Select::All, UpWhen::Any) };
        let listener = TcpListener::bind((FIRST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        for zone in [zone(&many).await, zone(&shuffled).await] {
            let run = observe(zone, port, true, wanted).await;
            assert_eq!(
                each(&run).iter().map(|(address, _)| address.as_str()).collect::<Vec<_>>(),
                ["127.0.1.2", "127.0.1.3", "127.0.1.4"]
            );
        }
    }
}
