//! Whether it is our name servers: while lookups of unrelated domains through one resolver fail together, a lookup that
//! fails says nothing of its target.
//!
//! When a target's name does not resolve for a reason that the resolver could be to blame for, names of other domains are
//! looked up through the same servers: those of other targets, and of anchors. One check serves all who wait for it. A
//! target whose own zone is broken is found out by the others, which resolve, and is no witness against the servers
//! until it resolves again.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{Mutex, Notify};
use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};

use crate::config::{Anchor, DnsServers, IpPreference, Target};
use crate::observation::{Failure, Observation, Outcome, Reason};
use crate::probe::address::{Resolver, ResolverSetupError, registrable_domain};
use crate::probe::{Shared, looked_up};

/// Fewer domains that fail have nothing to do with each other. The one that asks counts.
const DOMAINS: usize = 3;

/// Names that are looked up for a check.
const WITNESSES: usize = 8;

/// Of those, and the one that asks, at most this share may still resolve: from a cache, or by luck.
const SPARED: usize = 4;

/// How long a name of a check may take: two tries go unanswered in that time.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often the servers are asked while they fail.
const WORRIED: Duration = Duration::from_secs(2);

/// Looks names up for a check.
pub trait LookUp: Send + Sync + 'static {
    fn servers(&self) -> Vec<SocketAddr>;

    fn answer(&self, host: &str, ip: IpPreference) -> impl Future<Output = Answer> + Send;
}

/// What became of a lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// An answer of a server, also that there is no such name.
    Some,
    /// Silence, or a failure of the server.
    None,
    /// No server was asked.
    Unasked,
}

impl LookUp for Arc<Resolver> {
    fn servers(&self) -> Vec<SocketAddr> {
        (**self).servers()
    }

    async fn answer(&self, host: &str, ip: IpPreference) -> Answer {
        match timeout(PATIENCE, self.resolve(host, ip)).await {
            Err(_late) => Answer::None,
            Ok(Ok(found)) if found.lookup.is_none() => Answer::Unasked,
            Ok(Ok(_)) => Answer::Some,
            Ok(Err(error)) if is_of_servers(error.failure.reason) => Answer::None,
            Ok(Err(error)) if error.failure.reason.is_inconclusive() => Answer::Unasked,
            Ok(Err(_)) => Answer::Some,
        }
    }
}

/// Whether servers that fail could look like this.
pub(super) fn is_of_servers(reason: Reason) -> bool {
    matches!(reason, Reason::DnsTimeout | Reason::DnsServfail | Reason::DnsRefused)
}

/// Every resolver that targets use.
pub struct Lookups<R = Arc<Resolver>> {
    groups: HashMap<DnsServers, Arc<Group<R>>>,
    /// Whether some domain's own zone is broken, so that its next success is news.
    troubled: AtomicBool,
    /// Told when servers begin to fail.
    alarmed: Arc<Notify>,
}

impl<R> Default for Lookups<R> {
    fn default() -> Self {
        Self { groups: HashMap::new(), troubled: AtomicBool::new(false), alarmed: Arc::default() }
    }
}

/// One resolver, and the domains that are looked up through it.
struct Group<R> {
    resolver: R,
    domains: Vec<Domain>,
    index: HashMap<Box<str>, usize>,
    last: Mutex<Option<Arc<Check>>>,
    failing: AtomicBool,
    /// Where the next check begins, so that not the same names are looked up each time.
    turn: AtomicUsize,
}

/// Names of one domain; one stands for all.
struct Domain {
    name: Box<str>,
    host: Box<str>,
    ip: IpPreference,
    /// It does not resolve, and others do.
    broken: AtomicBool,
}

struct Check {
    began: Instant,
    failed: Vec<usize>,
    answered: Vec<usize>,
}

impl Lookups {
    /// # Errors
    /// None in practice: resolvers can always be made.
    pub fn new(targets: &[Arc<Target>], anchors: &[Anchor], shared: &Shared) -> Result<Self, ResolverSetupError> {
        let specs = targets.iter().map(|target| &target.probe).chain(anchors.iter().map(|anchor| &anchor.probe));
        let mut names: HashMap<DnsServers, Vec<(&str, IpPreference)>> = HashMap::new();
        for (host, servers, ip) in specs.filter_map(looked_up) {
            match names.get_mut(servers) {
                Some(names) => names.push((host, ip)),
                None => drop(names.insert(servers.clone(), vec![(host, ip)])),
            }
        }
        let mut lookups = Self::default();
        for (servers, names) in names {
            let group = Group::new(shared.resolvers.resolver(&servers)?, names);
            lookups.groups.insert(servers, Arc::new(group));
        }
        Ok(lookups)
    }
}

impl<R: LookUp> Lookups<R> {
    /// With what `before` knew of the same resolvers.
    #[must_use]
    pub(super) fn after(mut self, before: &Self) -> Self {
        for (servers, group) in &self.groups {
            if let Some(old) = before.groups.get(servers) {
                group.take_over(old);
            }
        }
        self.troubled = AtomicBool::new(before.troubled.load(Ordering::Relaxed));
        self.alarmed = Arc::clone(&before.alarmed);
        self
    }

    /// The observation, or the failure of the servers. `began` is the start of the run.
    pub(super) async fn excuse(&self, target: &Target, mut observation: Observation, began: Instant) -> Observation {
        let Some((domain, group)) = self.domain_of(target) else { return observation };
        let Outcome::Down(failure) = &observation.outcome else { return observation };
        if !is_of_servers(failure.reason) {
            return observation;
        }
        let check = group.check(began, &self.alarmed).await;
        // That a broken zone does not resolve is no news of the servers.
        let own = (!group.domains[domain].broken.load(Ordering::Relaxed)).then_some(domain);
        if check.verdict(own) == Verdict::Fails {
            let sentence = group.sentence(&check, domain, failure);
            observation.outcome = Outcome::Down(Failure::new(Reason::Resolver, sentence));
        }
        observation
    }

    /// Notes whose zone does not resolve, when others do, and when it does again. Costs nothing as long as all do.
    pub(super) fn note(&self, target: &Target, observation: &Observation) {
        let failure = observation.outcome.failure().map(|failure| failure.reason);
        let broken = failure.is_some_and(is_of_servers);
        if !broken && (!self.troubled.load(Ordering::Relaxed) || failure.is_some_and(Reason::is_inconclusive)) {
            return;
        }
        if let Some((domain, group)) = self.domain_of(target) {
            group.domains[domain].broken.store(broken, Ordering::Relaxed);
            self.troubled.fetch_or(broken, Ordering::Relaxed);
        }
    }

    /// Asks servers that fail once more, after a while; or waits until some do.
    pub(super) async fn worry(&self) {
        let failing: Vec<_> = self.groups.values().filter(|group| group.failing.load(Ordering::Relaxed)).collect();
        if failing.is_empty() {
            return self.alarmed.notified().await;
        }
        sleep(WORRIED).await;
        for group in failing {
            group.check(Instant::now(), &self.alarmed).await;
        }
    }

    /// Each resolver of which it can be told, by its servers, and whether it works; sorted.
    pub fn resolvers(&self) -> Vec<(String, bool)> {
        let judged = self.groups.values().filter(|group| group.domains.len() >= DOMAINS);
        let mut all: Vec<_> =
            judged.map(|group| (list(&group.resolver.servers()), !group.failing.load(Ordering::Relaxed))).collect();
        all.sort();
        all
    }

    fn domain_of(&self, target: &Target) -> Option<(usize, &Arc<Group<R>>)> {
        let (host, servers, _) = looked_up(&target.probe)?;
        let group = self.groups.get(servers)?;
        Some((*group.index.get(&*domain(host))?, group))
    }
}

/// What a check says to the domain that asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Works,
    Fails,
    /// There are not enough domains to tell.
    Unknown,
}

impl Check {
    /// `own` is the domain of a lookup that failed besides.
    fn verdict(&self, own: Option<usize>) -> Verdict {
        let others = self.failed.iter().filter(|&&domain| Some(domain) != own).count();
        let failed = others + usize::from(own.is_some());
        let answered = self.answered.len();
        if answered * SPARED > failed + answered {
            Verdict::Works
        } else if failed >= DOMAINS {
            Verdict::Fails
        } else {
            Verdict::Unknown
        }
    }
}

impl<R: LookUp> Group<R> {
    fn new(resolver: R, names: Vec<(&str, IpPreference)>) -> Self {
        let (mut domains, mut index) = (Vec::new(), HashMap::new());
        for (host, ip) in names {
            let name = domain(host);
            if !index.contains_key(&name) {
                index.insert(name.clone(), domains.len());
                domains.push(Domain { name, host: host.into(), ip, broken: AtomicBool::new(false) });
            }
        }
        Self {
            resolver,
            domains,
            index,
            last: Mutex::default(),
            failing: AtomicBool::new(false),
            turn: AtomicUsize::new(0),
        }
    }

    fn take_over(&self, old: &Self) {
        self.failing.store(old.failing.load(Ordering::Relaxed), Ordering::Relaxed);
        for domain in &self.domains {
            if let Some(&before) = old.index.get(&domain.name) {
                domain.broken.store(old.domains[before].broken.load(Ordering::Relaxed), Ordering::Relaxed);
            }
        }
    }

    /// A check that began at `since` or later.
    async fn check(&self, since: Instant, alarmed: &Notify) -> Arc<Check> {
        // Held across the check on purpose: whoever waits for it is served by its result.
        let mut last = self.last.lock().await;
        if let Some(check) = &*last
            && check.began >= since
        {
            return Arc::clone(check);
        }
        let check = Arc::new(self.ask().await);
        *last = Some(Arc::clone(&check));
        self.judge(&check, alarmed);
        check
    }

    /// Looks up names of some domains at once, and stops when it is clear that the servers work.
    async fn ask(&self) -> Check {
        let began = Instant::now();
        let count = self.domains.len();
        let first = self.turn.fetch_add(WITNESSES, Ordering::Relaxed);
        let turns = (0..count).map(|offset| (first.wrapping_add(offset)) % count.max(1));
        let witnesses = turns.filter(|&index| !self.domains[index].broken.load(Ordering::Relaxed)).take(WITNESSES);
        let mut lookups: FuturesUnordered<_> = witnesses
            .map(|index| async move {
                let Domain { host, ip, .. } = &self.domains[index];
                (index, self.resolver.answer(host, *ip).await)
            })
            .collect();
        let asked = lookups.len();
        let mut check = Check { began, failed: Vec::new(), answered: Vec::new() };
        while let Some((index, answer)) = lookups.next().await {
            match answer {
                Answer::Some => check.answered.push(index),
                Answer::None => check.failed.push(index),
                Answer::Unasked => {}
            }
            // Even if all others, and the one that asks, fail.
            if check.answered.len() * SPARED > asked + 1 {
                break;
            }
        }
        check.failed.sort_unstable();
        check
    }

    /// The state of the servers, by what was asked alone.
    fn judge(&self, check: &Check, alarmed: &Notify) {
        let now = match check.verdict(None) {
            Verdict::Fails => true,
            Verdict::Works => false,
            Verdict::Unknown => return,
        };
        let before = self.failing.swap(now, Ordering::Relaxed);
        let servers = list(&self.resolver.servers());
        if now && !before {
            let domains = self.names(check, None);
            warn!(
                servers,
                domains, "Lookups of unrelated domains fail. Runs that need them are inconclusive until they work."
            );
            alarmed.notify_one();
        } else if before && !now {
            info!(servers, "Lookups work again; runs count again.");
        }
    }

    /// Some of those that failed, but for the one that asked.
    fn names(&self, check: &Check, own: Option<usize>) -> String {
        const SHOWN: usize = 4;
        let others = check.failed.iter().filter(|&&index| Some(index) != own);
        let names: Vec<&str> = others.take(SHOWN).map(|&index| &*self.domains[index].host).collect();
        names.join(", ")
    }

    fn sentence(&self, check: &Check, own: usize, failure: &Failure) -> String {
        let others = check.failed.iter().filter(|&&domain| domain != own).count();
        let servers = self.resolver.servers();
        let plural = if servers.len() == 1 { "" } else { "s" };
        format!(
            "lookups of {others} unrelated domains through the name server{plural} {} fail too (such as {}): {}",
            list(&servers),
            self.names(check, Some(own)),
            failure.sentence
        )
    }
}

/// What is of one owner. Names of one label are all of the network's own.
fn domain(host: &str) -> Box<str> {
    let host = host.trim_end_matches('.').to_lowercase();
    registrable_domain(&host).unwrap_or_default().into()
}

fn list(servers: &[SocketAddr]) -> String {
    let servers: Vec<String> = servers.iter().map(ToString::to_string).collect();
    servers.join(",")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeMap;
    use std::sync::Mutex as StdMutex;

    use super::*;
    use crate::config::{HostPort, ProbeSpec};
    use crate::state::tests::{down, target, up};

    /// Answers as it is told, and counts.
    #[derive(Clone, Default)]
    struct Scripted(Arc<Script>);

    #[derive(Default)]
    struct Script {
        answers: StdMutex<BTreeMap<String, Answer>>,
        asked: StdMutex<Vec<String>>,
    }

    impl LookUp for Scripted {
        fn servers(&self) -> Vec<SocketAddr> {
            vec![([192, 0, 2, 53], 53).into()]
        }

        async fn answer(&self, host: &str, _: IpPreference) -> Answer {
            self.0.asked.lock().unwrap().push(host.to_owned());
            sleep(Duration::from_millis(100)).await;
            self.0.answers.lock().unwrap().get(host).copied().unwrap_or(Answer::None)
        }
    }

    impl Scripted {
        fn says(&self, answer: Answer, hosts: &[&str]) {
            self.0.answers.lock().unwrap().extend(hosts.iter().map(|host| ((*host).to_owned(), answer)));
        }

        fn asked(&self) -> usize {
            self.0.asked.lock().unwrap().len()
        }
    }

    fn at(host: &str) -> Arc<Target> {
        let mut target = Arc::into_inner(target(host, Duration::from_secs(10), Duration::from_secs(5))).unwrap();
        let ProbeSpec::Tcp { address, .. } = &mut target.probe else { unreachable!("it is a TCP target") };
        *address = HostPort { host: host.to_owned(), port: 443 };
        Arc::new(target)
    }

    fn lookups(hosts: &[&str]) -> (Lookups<Scripted>, Scripted) {
        let scripted = Scripted::default();
        let names = hosts.iter().map(|host| (*host, IpPreference::default())).collect();
        let group = Arc::new(Group::new(scripted.clone(), names));
        let groups = HashMap::from([(DnsServers::System, group)]);
        (Lookups { groups, ..Lookups::default() }, scripted)
    }

    async fn excused(lookups: &Lookups<Scripted>, host: &str, reason: Reason) -> Failure {
        let run = lookups.excuse(&at(host), down(reason), Instant::now()).await;
        lookups.note(&at(host), &run);
        run.outcome.failure().unwrap().clone()
    }

    const THREE: [&str; 3] = ["www.a.example.com", "b.example.org", "c.example.net"];

    #[tokio::test(start_paused = true)]
    async fn three_unrelated_domains_that_fail_together_are_the_resolver_s() {
        let (lookups, _) = lookups(&THREE);
        for reason in [Reason::DnsTimeout, Reason::DnsServfail, Reason::DnsRefused] {
            let failure = excused(&lookups, THREE[0], reason).await;
            assert_eq!(failure.reason, Reason::Resolver);
            assert_eq!(
                &*failure.sentence,
                "lookups of 2 unrelated domains through the name server 192.0.2.53:53 fail too (such as b.example.org, \
                 c.example.net): as the script says"
            );
        }
        assert_eq!(lookups.resolvers(), [("192.0.2.53:53".to_owned(), false)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_zone_that_is_broken_while_others_resolve_is_the_target_s() {
        let (lookups, script) = lookups(&THREE);
        script.says(Answer::Some, &THREE[1..]);
        assert_eq!(excused(&lookups, THREE[0], Reason::DnsServfail).await.reason, Reason::DnsServfail);
        assert_eq!(lookups.resolvers(), [("192.0.2.53:53".to_owned(), true)]);
        // From now on it is no witness: two others that fail are two.
        script.says(Answer::None, &THREE);
        assert_eq!(excused(&lookups, THREE[1], Reason::DnsServfail).await.reason, Reason::DnsServfail);
        assert_eq!(excused(&lookups, THREE[0], Reason::DnsServfail).await.reason, Reason::DnsServfail);
        // It resolves again, as does the other one.
        lookups.note(&at(THREE[0]), &up());
        lookups.note(&at(THREE[1]), &down(Reason::HttpStatus));
        assert_eq!(excused(&lookups, THREE[0], Reason::DnsServfail).await.reason, Reason::Resolver);
    }

    #[tokio::test(start_paused = true)]
    async fn fewer_than_three_domains_cannot_tell() {
        for hosts in
            [&THREE[..2], &["a.example.com", "b.example.com", "c.example.com", "example.org"], &["a", "b", "c"]]
        {
            let (lookups, _) = lookups(hosts);
            assert_eq!(excused(&lookups, hosts[0], Reason::DnsTimeout).await.reason, Reason::DnsTimeout, "{hosts:?}");
            assert!(lookups.resolvers().is_empty(), "{hosts:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn most_that_fail_are_enough_and_few_are_not() {
        let hosts: Vec<String> = (0..8).map(|number| format!("shop.d{number}.com")).collect();
        let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
        for (answering, reason) in
            [(1, Reason::Resolver), (2, Reason::Resolver), (3, Reason::DnsTimeout), (7, Reason::DnsTimeout)]
        {
            let (lookups, script) = lookups(&hosts);
            script.says(Answer::Some, &hosts[8 - answering..]);
            assert_eq!(excused(&lookups, hosts[0], Reason::DnsTimeout).await.reason, reason, "{answering}");
        }
        let (lookups, script) = lookups(&hosts);
        script.says(Answer::Unasked, &hosts[1..]);
        assert_eq!(
            excused(&lookups, hosts[0], Reason::DnsTimeout).await.reason,
            Reason::DnsTimeout,
            "from the hosts file"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_thousand_failures_at_once_cost_one_check() {
        let hosts: Vec<String> = (0..1000).map(|number| format!("shop.d{number}.com")).collect();
        let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
        let (lookups, script) = lookups(&hosts);
        let runs = hosts.iter().map(|host| excused(&lookups, host, Reason::DnsTimeout));
        let failures = futures_util::future::join_all(runs).await;
        assert!(failures.iter().all(|failure| failure.reason == Reason::Resolver));
        assert_eq!(script.asked(), WITNESSES);
    }

    #[tokio::test(start_paused = true)]
    async fn what_no_server_can_be_blamed_for_asks_nobody() {
        let (lookups, script) = lookups(&THREE);
        for reason in Reason::ALL.iter().copied().filter(|reason| !is_of_servers(*reason)) {
            assert_eq!(excused(&lookups, THREE[0], reason).await.reason, reason);
        }
        let foreign = excused(&lookups, "192.0.2.1", Reason::DnsTimeout).await;
        assert_eq!(foreign.reason, Reason::DnsTimeout, "an address is looked up nowhere");
        assert_eq!(script.asked(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn servers_that_fail_are_asked_until_they_work() {
        let (lookups, script) = lookups(&THREE);
        excused(&lookups, THREE[0], Reason::DnsTimeout).await;
        lookups.worry().await;
        assert_eq!(lookups.resolvers(), [("192.0.2.53:53".to_owned(), false)]);
        script.says(Answer::Some, &THREE);
        lookups.worry().await;
        assert_eq!(lookups.resolvers(), [("192.0.2.53:53".to_owned(), true)]);
        let asked = script.asked();
        // Notified once, when it began to fail; after that there is nothing to do.
        lookups.worry().await;
        let idle = timeout(Duration::from_secs(3600), lookups.worry()).await;
        assert!(idle.is_err());
        assert_eq!(script.asked(), asked);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reload_keeps_what_is_known_of_servers_and_zones() {
        let (old, _) = lookups(&THREE);
        excused(&old, THREE[0], Reason::DnsTimeout).await;
        old.groups[&DnsServers::System].domains[2].broken.store(true, Ordering::Relaxed);
        let (new, script) = lookups(&[&THREE[1..], &["d.example.edu", "e.example.info"]].concat());
        let new = new.after(&old);
        assert_eq!(new.resolvers(), [("192.0.2.53:53".to_owned(), false)]);
        new.groups[&DnsServers::System].check(Instant::now(), &new.alarmed).await;
        script.0.asked.lock().unwrap().sort();
        assert_eq!(*script.0.asked.lock().unwrap(), ["b.example.org", "d.example.edu", "e.example.info"]);
    }
}
