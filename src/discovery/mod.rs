//! Lists of targets that others keep, asked for again and again; the config makes targets of them.
//!
//! Every kind of source is a task that hands what it finds to a [`Teller`]: whole lists, or why there is none. A list that
//! was good stays while the source fails. A new kind is one file here, one variant of [`Provider`], and its keys in the
//! config.

mod dns;
mod http;
mod teller;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

pub use self::teller::{Found, Teller};
use crate::config::Discovery;
use crate::config::discovery::{DnsProvider, Group, Provider};
use crate::probe::address::Resolver;
use crate::probe::http::HttpProber;
use crate::probe::{ProberError, Shared};

/// How long one answer may take. Prometheus gives it the refresh interval.
const PATIENCE: Duration = Duration::from_secs(30);

/// Until there is a first list, failures are not waited out.
const IMPATIENT: Duration = Duration::from_secs(5);

/// A source, ready to be asked.
pub struct Source {
    discovery: Arc<Discovery>,
    asked: Result<Asked, Arc<str>>,
}

enum Asked {
    Http(Box<HttpProber>),
    Dns(Arc<Resolver>, DnsProvider),
}

impl Source {
    /// # Errors
    /// TLS settings or proxies that cannot be used.
    pub fn new(discovery: Arc<Discovery>, shared: &Arc<Shared>) -> Result<Self, ProberError> {
        let asked = match (&discovery.fault, &discovery.provider) {
            (Some(why), _) => Err(Arc::clone(why)),
            (None, Provider::Http(provider)) => {
                let prober = HttpProber::new(Arc::clone(&provider.settings), provider.url.clone(), shared)?;
                Ok(Asked::Http(Box::new(prober.naming_port(provider.names_port))))
            }
            (None, Provider::Dns(provider)) => {
                Ok(Asked::Dns(shared.resolvers.resolver(&provider.servers)?, provider.clone()))
            }
        };
        Ok(Self { discovery, asked })
    }

    /// A source that is never asked, and `why`.
    pub fn faulty(discovery: Arc<Discovery>, why: &str) -> Self {
        Self { discovery, asked: Err(why.into()) }
    }

    /// Asks once.
    ///
    /// # Errors
    /// A sentence.
    pub async fn ask(&self) -> Result<Vec<Group>, String> {
        let deadline = Instant::now() + self.discovery.refresh_interval.min(PATIENCE);
        match &self.asked {
            Err(why) => Err(why.to_string()),
            Ok(Asked::Http(prober)) => http::ask(prober, deadline).await,
            Ok(Asked::Dns(resolver, provider)) => dns::ask(resolver, provider, deadline).await,
        }
    }

    /// Asks again and again, for as long as it is polled.
    pub async fn watch(self, teller: Teller) -> Infallible {
        let every = self.discovery.refresh_interval;
        let mut found_any = false;
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            if found_any {
                ticks.tick().await;
            }
            match self.ask().await {
                Ok(groups) => {
                    teller.list(groups);
                    if !found_any {
                        found_any = true;
                        ticks.reset();
                    }
                }
                Err(why) => {
                    teller.failed(&why);
                    if !found_any {
                        sleep(every.min(IMPATIENT)).await;
                    }
                }
            }
        }
    }
}
