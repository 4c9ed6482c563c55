//! What explains that targets fail: what they were declared to stand behind, and the fact that those which fail share and
//! others do not.
//!
//! Reads what `state` knows, writes explanations there; probers and schedule know nothing of it. The search runs when
//! verdicts have changed, in a task and on a thread of its own, so that no run waits for it.
//!
//! | module | what it owns |
//! |---|---|
//! | `depend` | what was declared: `depends_on` |
//! | `facts` | what is known of each target, as numbers |
//! | [`find`] | the search: a pure function |
//! | `told` | from the first sight of a cause to its end |

mod depend;
pub mod facts;
pub mod find;
#[cfg(test)]
mod tests;
pub mod told;

use std::convert::Infallible;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout};
use tracing::error;

pub use self::depend::{Dependencies, explain_runs};
use self::told::{Outcome, SETTLE, Tracker};
use crate::config::Config;
use crate::observation::SharedCause;
use crate::state::State;
use crate::vantage::CurrentVantage;

/// When many targets turn at once, one search sees them all.
const GATHER: Duration = Duration::from_millis(500);

/// While something is down the search looks again, since good runs are no news: soon after a change, then seldom.
const SELDOM: Duration = Duration::from_secs(60);

/// The causes that are told now. Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub struct Causes(Arc<RwLock<Arc<[Arc<SharedCause>]>>>);

impl Causes {
    /// The greatest first.
    pub fn get(&self) -> Arc<[Arc<SharedCause>]> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn replace(&self, causes: Vec<Arc<SharedCause>>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = causes.into();
    }
}

/// Searches for ever, whenever `stirred` tells of a change. For a task of its own.
pub async fn watch(
    causes: Causes,
    state: State,
    config: watch::Receiver<Arc<Config>>,
    vantage: CurrentVantage,
    stirred: Arc<Notify>,
) -> Infallible {
    let mut tracker = Tracker::default();
    let mut pause = None;
    loop {
        let (settings, states) = (config.borrow().shared_cause.clone(), state.targets());
        // An anchor that answers is a target that is up.
        let witnesses = usize::from(vantage.get().reaches() == Some(true));
        let search = move || {
            let outcome = tracker.evaluate(&states, &settings, witnesses, Instant::now());
            (tracker, outcome)
        };
        let outcome = match tokio::task::spawn_blocking(search).await {
            Ok((back, outcome)) => {
                tracker = back;
                outcome
            }
            Err(panicked) => {
                error!(error = %panicked, "The search for shared causes failed. This is a bug.");
                tracker = Tracker::default();
                Outcome::default()
            }
        };
        causes.replace(outcome.causes);
        pause = outcome.restless.then(|| pause.map_or(SETTLE, |pause: Duration| (pause * 2).min(SELDOM)));
        let news = match pause {
            Some(pause) => timeout(pause, stirred.notified()).await.is_ok(),
            None => {
                stirred.notified().await;
                true
            }
        };
        if news {
            pause = None;
            sleep(GATHER).await;
        }
    }
}
