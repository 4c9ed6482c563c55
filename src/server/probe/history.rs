//! The last runs of `/probe`, for `/logs`. Bounded as a whole; a target that is asked often does not push out the others,
//! and a failure outlives successes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use http::StatusCode;
use http::request::Parts;

use crate::observation::Observation;
use crate::server::body::Content;
use crate::server::text::{Answer, TEXT, answer, plain};

/// Runs of one module against one target.
const PER_TARGET: usize = 5;

pub(super) struct History {
    limit: usize,
    runs: Mutex<Runs>,
}

#[derive(Default)]
struct Runs {
    /// In order of time.
    kept: Vec<Kept>,
    last_id: u64,
}

/// One run. Cheap to clone.
#[derive(Clone, Debug)]
struct Kept {
    id: u64,
    module: Arc<str>,
    target: Arc<str>,
    time: SystemTime,
    success: bool,
    text: Arc<str>,
}

impl History {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, runs: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Runs> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, module: &str, target: &str, run: &Observation, text: String) {
        if self.limit == 0 {
            return;
        }
        let mut runs = self.lock();
        let runs = &mut *runs;
        runs.last_id += 1;
        runs.kept.push(Kept {
            id: runs.last_id,
            module: module.into(),
            target: target.into(),
            time: run.started,
            success: run.outcome.is_up(),
            text: text.into(),
        });
        let same = |kept: &Kept| &*kept.module == module && &*kept.target == target;
        if runs.kept.iter().filter(|kept| same(kept)).count() > PER_TARGET {
            drop_least(&mut runs.kept, same);
        }
        if runs.kept.len() > self.limit {
            drop_least(&mut runs.kept, |_| true);
        }
    }

    /// Newest first.
    fn newest(&self) -> Vec<Kept> {
        self.lock().kept.iter().rev().cloned().collect()
    }

    /// `id=N`, or `target=...` with `module=...` or without: the newest.
    pub(super) fn answer(&self, head: &Parts) -> Answer {
        let query = url::form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes());
        let fields: HashMap<String, String> = query.into_owned().collect();
        let find = |wanted: &dyn Fn(&Kept) -> bool| self.newest().into_iter().find(|kept| wanted(kept));
        let found = match (fields.get("id"), fields.get("target"), fields.get("module")) {
            (Some(_), Some(_), _) => return plain(StatusCode::BAD_REQUEST, "Give id or target, not both"),
            (Some(id), None, _) => match id.parse::<u64>() {
                Ok(id) => find(&|kept| kept.id == id),
                Err(_) => return plain(StatusCode::BAD_REQUEST, format!("id {id:?} is no number")),
            },
            (None, Some(target), module) => {
                find(&|kept| *kept.target == **target && module.is_none_or(|module| *kept.module == **module))
            }
            (None, None, Some(_)) => return plain(StatusCode::BAD_REQUEST, "module needs a target beside it"),
            (None, None, None) => return self.list(),
        };
        match found {
            Some(kept) => answer(StatusCode::OK, TEXT, Content::Whole(kept.text.as_bytes().to_vec().into())),
            None => plain(StatusCode::NOT_FOUND, "No such probe; it may have been too long ago"),
        }
    }

    fn list(&self) -> Answer {
        let mut text = String::from("Runs of /probe, newest first; /logs?id=N has one of them.\n\n");
        for kept in self.newest() {
            let Kept { id, module, target, time, success, .. } = kept;
            let time = crate::server::text::rfc3339(time).unwrap_or_default();
            let result = if success { "success" } else { "failure" };
            text.push_str(&format!("{id} {time} {module} {target} {result}\n"));
        }
        plain(StatusCode::OK, text)
    }
}

/// Drops the oldest success among those, or without one the oldest failure.
fn drop_least(kept: &mut Vec<Kept>, among: impl Fn(&Kept) -> bool) {
    // Not the newest, which somebody has just asked for.
    let older = kept.len().saturating_sub(1);
    let oldest = |success| kept[..older].iter().position(|run| run.success == success && among(run));
    if let Some(index) = oldest(true).or_else(|| oldest(false)) {
        kept.remove(index);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::Reason;
    use crate::state::tests::{down, up};

    fn ids(history: &History) -> Vec<u64> {
        history.newest().iter().map(|kept| kept.id).collect()
    }

    #[test]
    fn failures_outlive_successes_and_a_busy_target_keeps_to_its_share() {
        let history = History::new(8);
        history.add("m", "rare", &down(Reason::HttpStatus), String::new());
        for _ in 0..20 {
            history.add("m", "busy", &up(), String::new());
        }
        assert_eq!(ids(&history), [21, 20, 19, 18, 17, 1]);
        history.add("m", "busy", &down(Reason::HttpStatus), String::new());
        for _ in 0..20 {
            history.add("m", "busy", &up(), String::new());
        }
        assert_eq!(ids(&history), [42, 41, 40, 39, 22, 1]);
        for n in 0..20 {
            history.add("m", &format!("other-{n}"), &up(), String::new());
        }
        let kept = history.newest();
        assert_eq!(kept.len(), 8);
        assert!(kept.iter().any(|kept| &*kept.target == "rare"), "{kept:?}");
    }

    #[test]
    fn a_limit_of_zero_keeps_nothing() {
        let history = History::new(0);
        history.add("m", "t", &up(), String::new());
        assert!(history.newest().is_empty());
    }
}
