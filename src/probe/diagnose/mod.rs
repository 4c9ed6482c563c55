//! Differential re-checks: after a failure the same probe again with one thing changed, and what follows from it.
//!
//! Every other tool repeats the same request. Here the question is what would have to be otherwise for the target to be
//! fine: another address, the other family, another name server, no verification of the certificate; and if nothing
//! helps, whether the port is open at all. Each is asked once per outage, a handful of runs, all within one timeout.

mod answer;
mod redirected;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::SystemTime;

use futures_util::future::join_all;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use self::redirected::Elsewhere;
use super::address::destination;
use super::place::{Place, place};
use super::tls::classify_connect;
use super::{Probe, Prober, Shared};
use crate::config::{DnsServers, IpFamily, IpPreference, ProbeSpec};
use crate::figures;
use crate::observation::{Attempt, Detail, Diagnosis, Edge, Failure, Finding, Observation, Reason};

/// Other addresses that are tried. A name with more of them is as telling with these.
const ADDRESSES: usize = 4;
/// Name servers that are asked one by one.
const SERVERS: usize = 4;

/// What re-checks find out about `failed`, or nothing where there is nothing to vary.
///
/// Ends by `deadline`. `last_good` knows addresses from before.
pub(super) async fn diagnose(
    spec: &ProbeSpec,
    shared: &Arc<Shared>,
    failed: &Observation,
    last_good: Option<&Observation>,
    deadline: Instant,
) -> Option<Diagnosis> {
    let failure = failed.outcome.failure()?;
    let case = Case { spec, shared, place: place(spec)?, deadline };
    let time = SystemTime::now();
    let mut attempts = Vec::new();
    let there = Elsewhere::of(failed, failure, case.place.host, case.place.port);
    let (finding, sentence) = if failure.reason.is_certificate()
        && let Some(found) = case.without_verification(failure, &mut attempts).await
    {
        found
    } else if let Some(there) = there {
        case.behind_redirect(&there, failed, failure, &mut attempts).await?
    } else if failure.reason.is_name_resolution() {
        case.without_name(failure, last_good, &mut attempts).await?
    } else {
        case.elsewhere(failed, failure, &mut attempts).await?
    };
    Some(Diagnosis { time, finding, sentence: sentence.into(), attempts: attempts.into() })
}

struct Case<'a> {
    spec: &'a ProbeSpec,
    shared: &'a Arc<Shared>,
    place: Place<'a>,
    deadline: Instant,
}

type Found = (Finding, String);

impl Case<'_> {
    /// The name does not resolve: would the service answer, and does another server know the name?
    async fn without_name(
        &self,
        failure: &Failure,
        last_good: Option<&Observation>,
        attempts: &mut Vec<Attempt>,
    ) -> Option<Found> {
        let host = self.place.host;
        let known = last_good.and_then(|run| run.resolution.as_ref()?.chosen);
        let (pinned, knows) = tokio::join!(
            async {
                match known {
                    Some(address) => Some((address, self.at(self.spec, address).await?)),
                    None => None,
                }
            },
            self.ask_each_server(host, attempts),
        );
        if let Some((address, run)) = &pinned {
            attempts.push(attempt_of(format!("address {address}, as it was before"), run));
            if run.outcome.is_up() {
                let sentence = format!("{host} does not resolve, but the service still answers at {address}");
                return Some((Finding::NameResolutionOnly, sentence));
            }
        }
        if let Some(server) = knows {
            let sentence = format!("{host} is known to name server {server}, but: {}", failure.sentence);
            return Some((Finding::NameResolutionOnly, sentence));
        }
        let (address, run) = pinned?;
        let why = run.outcome.failure()?;
        let sentence = format!("{host} does not resolve, and at {address}, as it was before: {}", why.sentence);
        Some((no_help(why.reason), sentence))
    }

    /// The certificate was refused: is the rest fine?
    async fn without_verification(&self, failure: &Failure, attempts: &mut Vec<Attempt>) -> Option<Found> {
        let spec = unverified(self.spec)?;
        let prober = Prober::new(&spec, self.shared).ok()?;
        let run = prober.run(self.deadline).await;
        attempts.push(attempt_of("without certificate verification".to_owned(), &run));
        let sentence = format!("without verification of the certificate the target is fine: {}", failure.sentence);
        run.outcome.is_up().then_some((Finding::CertificateOnly, sentence))
    }

    /// Something else failed at one address: what about the others, and is the port open?
    async fn elsewhere(&self, failed: &Observation, failure: &Failure, attempts: &mut Vec<Attempt>) -> Option<Found> {
        let resolution = failed.resolution.as_ref()?;
        let used = resolution.chosen?;
        let others = self.others(used, &resolution.addresses).await;
        let runs = others.iter().map(|address| self.at(self.spec, *address));
        let begun = answer::beginning(failed, failure);
        let port = self.place.port.filter(|_| failure.reason.is_unanswered() && begun.is_none());
        let (runs, port) = tokio::join!(join_all(runs), async {
            match port {
                Some(port) => Some(self.connect(destination(self.place.host, used, port)).await),
                None => None,
            }
        });
        let (mut fine, mut bad) = (Vec::new(), vec![used]);
        for (address, run) in others.iter().zip(&runs) {
            let Some(run) = run else { continue };
            attempts.push(attempt_of(format!("address {address}"), run));
            if run.outcome.is_up() { &mut fine } else { &mut bad }.push(*address);
        }
        if !fine.is_empty() {
            let family = |address: &IpAddr| address.is_ipv4();
            let sentence = format!("{} ({}) but not {}", list(&bad), failure.reason.as_label(), list(&fine));
            let split = bad.iter().all(|address| family(address) == family(&used))
                && fine.iter().all(|address| family(address) != family(&used));
            return Some(if split {
                let (bad, fine) = if used.is_ipv4() { ("IPv4", "IPv6") } else { ("IPv6", "IPv4") };
                (Finding::OneFamilyOnly, format!("{bad} fails and {fine} does not: failing are {sentence}"))
            } else {
                (
                    Finding::SomeAddressesFail,
                    format!("{} of {} addresses fail: {sentence}", bad.len(), bad.len() + fine.len()),
                )
            });
        }
        if let Some(after) = begun {
            let who = used.to_string();
            let all = if bad.len() > 1 { format!("; {} fail too", list(&bad[1..])) } else { String::new() };
            return Some((Finding::BreaksOff, answer::breaks_off(&who, &after, failure) + &all));
        }
        let tried = if bad.len() == 1 { format!("{used}") } else { format!("each of {}", list(&bad)) };
        Some(match port {
            Some(Ok(())) => {
                attempts.push(success(format!("TCP connection to {used}"), "connected".to_owned()));
                (Finding::PortOpenNoAnswer, format!("the port at {used} is open, and yet: {}", failure.sentence))
            }
            Some(Err(why)) => {
                attempts.push(self::failed(format!("TCP connection to {used}"), reason_and_sentence(&why)));
                (no_help(why.reason), format!("{tried} was tried: {}", why.sentence))
            }
            None => (answered(failed, failure), format!("{tried} was tried: {}", failure.sentence)),
        })
    }

    /// The other addresses of the name, those of the other family first, which may not have been asked for.
    async fn others(&self, used: IpAddr, known: &[IpAddr]) -> Vec<IpAddr> {
        let mut others: Vec<IpAddr> = known.iter().copied().filter(|address| *address != used).collect();
        let literal = self.place.literal().is_some();
        if !literal && !others.iter().any(|address| address.is_ipv4() != used.is_ipv4()) {
            let preferred = if used.is_ipv4() { IpFamily::V6 } else { IpFamily::V4 };
            let ip = IpPreference { preferred, fallback: false };
            if let Ok(resolver) = self.shared.resolvers.resolver(self.place.servers)
                && let Ok(Ok(found)) = timeout_at(self.deadline, resolver.resolve(self.place.host, ip)).await
            {
                others.extend(found.addresses);
            }
        }
        others.sort_by_key(|address| address.is_ipv4() == used.is_ipv4());
        others.dedup();
        others.truncate(ADDRESSES);
        others
    }

    /// The same probe at one address. `None` when no prober can be made.
    async fn at(&self, spec: &ProbeSpec, address: IpAddr) -> Option<Observation> {
        let prober = Prober::new(spec, self.shared).ok()?;
        Some(self.place.at(address).around(prober.run(self.deadline)).await)
    }

    async fn connect(&self, to: Result<SocketAddr, Failure>) -> Result<(), Failure> {
        let to = to?;
        match timeout_at(self.deadline, TcpStream::connect(to)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(classify_connect(&error, to)),
            Err(_) => Err(Failure::new(Reason::ConnectTimeout, format!("no answer from {to} to a connection attempt"))),
        }
    }

    /// Each name server by itself, when there are several; the first that knows the name.
    async fn ask_each_server(&self, host: &str, attempts: &mut Vec<Attempt>) -> Option<SocketAddr> {
        let servers = self.shared.resolvers.resolver(self.place.servers).ok()?.servers();
        if servers.len() < 2 {
            return None;
        }
        let asked = servers.into_iter().take(SERVERS).map(|server| async move {
            let one = DnsServers::Servers(vec![server]);
            let Some(resolver) = self.shared.resolvers.resolver(&one).ok() else {
                return (server, Err("cannot be asked".to_owned()));
            };
            let answer = timeout_at(self.deadline, resolver.resolve(host, self.place.ip)).await;
            let result = match answer {
                Ok(Ok(resolution)) => Ok(resolution.addresses.into_vec()),
                Ok(Err(error)) => Err(reason_and_sentence(&error.failure)),
                Err(_) => Err("did not answer in time".to_owned()),
            };
            (server, result)
        });
        let mut knows = None;
        for (server, result) in join_all(asked).await {
            let what = format!("name server {server}");
            attempts.push(match result {
                Ok(addresses) => {
                    knows.get_or_insert(server);
                    success(what, format!("knows {}", list(&addresses)))
                }
                Err(sentence) => failed(what, sentence),
            });
        }
        knows
    }
}

/// The same without verification of certificates, where there is any.
fn unverified(spec: &ProbeSpec) -> Option<ProbeSpec> {
    let mut spec = spec.clone();
    match &mut spec {
        ProbeSpec::Http { settings, .. } => Arc::make_mut(settings).tls.insecure_skip_verify = true,
        ProbeSpec::Tcp { settings, .. } => Arc::make_mut(settings).tls_config.insecure_skip_verify = true,
        ProbeSpec::Grpc { settings, .. } => Arc::make_mut(settings).tls.as_mut()?.insecure_skip_verify = true,
        ProbeSpec::Websocket { settings, .. } => Arc::make_mut(settings).tls.insecure_skip_verify = true,
        ProbeSpec::Dns { settings, .. } => Arc::make_mut(settings).tls.insecure_skip_verify = true,
        ProbeSpec::Icmp { .. } | ProbeSpec::Unix { .. } => return None,
    }
    Some(spec)
}

/// What a failure means in which an answer came, when no variation made a difference.
fn answered(run: &Observation, failure: &Failure) -> Finding {
    if let Detail::Http(detail) = &run.detail
        && failure.reason.is_of_answer()
        && Edge::of(detail).is_some_and(|edge| edge.own)
    {
        return Finding::EdgeAnswers;
    }
    no_help(failure.reason)
}

/// What a failure means when no variation made a difference.
fn no_help(reason: Reason) -> Finding {
    if reason == Reason::ConnectRefused {
        Finding::PortClosed
    } else if reason.is_unanswered() {
        Finding::NothingAnswers
    } else {
        Finding::AnswersWrongly
    }
}

fn attempt_of(what: String, run: &Observation) -> Attempt {
    match run.outcome.failure() {
        None => success(what, format!("fine in {}", figures::took(run.elapsed))),
        Some(failure) => failed(what, reason_and_sentence(failure)),
    }
}

fn success(what: String, result: String) -> Attempt {
    Attempt { what: what.into(), succeeded: true, result: result.into() }
}

fn failed(what: String, result: String) -> Attempt {
    Attempt { what: what.into(), succeeded: false, result: result.into() }
}

fn reason_and_sentence(failure: &Failure) -> String {
    format!("{}: {}", failure.reason.as_label(), failure.sentence)
}

fn list(addresses: &[IpAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
