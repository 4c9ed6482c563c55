//! The tasks that ask others for lists of targets: one a source, begun and ended as the config says.

use std::convert::Infallible;
use std::sync::Arc;

use futures_util::future::join_all;
use tokio::task::{AbortHandle, JoinError, JoinSet};

use crate::config::{Discovery, Lists};
use crate::discovery::{Found, Source};
use crate::probe::Shared;

pub(super) struct Discoveries {
    found: Found,
    tasks: JoinSet<Infallible>,
    running: Vec<(Arc<Discovery>, AbortHandle)>,
}

impl Discoveries {
    pub(super) fn new(found: Found) -> Self {
        Self { found, tasks: JoinSet::new(), running: Vec::new() }
    }

    /// Makes these the sources. One that stays as it was is not disturbed; one that is asked otherwise keeps its list until
    /// there is another.
    pub(super) fn apply(&mut self, wanted: &[Arc<Discovery>], shared: &Arc<Shared>) {
        self.running.retain(|(running, task)| {
            let same = wanted.iter().find(|wanted| wanted.source == running.source);
            let stays = same.is_some_and(|wanted| wanted.fingerprint == running.fingerprint) && !task.is_finished();
            if !stays {
                task.abort();
            }
            if same.is_none() {
                self.found.forget(running);
            }
            stays
        });
        for discovery in wanted {
            if self.running.iter().all(|(running, _)| running.source != discovery.source) {
                let (source, teller) = (source(discovery, shared), self.found.teller(discovery));
                let task = self.tasks.spawn(source.watch(teller));
                self.running.push((Arc::clone(discovery), task));
            }
        }
    }

    pub(super) fn found(&self) -> &Found {
        &self.found
    }

    /// Waits for a task that ended by itself, which none should.
    pub(super) async fn join_next(&mut self) -> Option<Result<Infallible, JoinError>> {
        self.tasks.join_next().await
    }
}

fn source(discovery: &Arc<Discovery>, shared: &Arc<Shared>) -> Source {
    Source::new(Arc::clone(discovery), shared)
        .unwrap_or_else(|error| Source::faulty(Arc::clone(discovery), &format!("{:#}", anyhow::Error::new(error))))
}

/// Asks each source once, and gives the lists, and why there is none of some.
pub(super) async fn ask_once(wanted: &[Arc<Discovery>], shared: &Arc<Shared>) -> (Lists, Vec<String>) {
    let asked = wanted.iter().map(|discovery| async move { (discovery, source(discovery, shared).ask().await) });
    let (mut lists, mut problems) = (Lists::new(), Vec::new());
    for (discovery, answer) in join_all(asked).await {
        match answer {
            Ok(groups) => {
                lists.insert(discovery.source.clone(), groups.into());
            }
            Err(why) => problems.push(format!("{}: {why}", discovery.source)),
        }
    }
    (lists, problems)
}
