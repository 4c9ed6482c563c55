//! The last runs of `/probe`, for `/logs`. Bounded as a whole; a target that is asked often does not push out the others,
//! and a failure outlives successes.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::StatusCode;
use http::request::Parts;

use super::log::Record;
use crate::server::body::Content;
use crate::server::text::{Answer, TEXT, answer, plain, rfc3339};

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

/// One run. Cheap to clone; a few kilobytes.
#[derive(Clone)]
struct Kept {
    id: u64,
    record: Arc<Record>,
}

impl Kept {
    fn is_of(&self, module: &str, target: &str) -> bool {
        self.record.request.module == module && self.record.request.target == target
    }

    fn succeeded(&self) -> bool {
        self.record.run.outcome.is_up()
    }
}

impl History {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, runs: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Runs> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, record: &Arc<Record>) {
        if self.limit == 0 {
            return;
        }
        let mut runs = self.lock();
        let runs = &mut *runs;
        runs.last_id += 1;
        runs.kept.push(Kept { id: runs.last_id, record: Arc::clone(record) });
        let same = |kept: &Kept| kept.is_of(&record.request.module, &record.request.target);
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
            (None, Some(target), module) => find(&|kept| {
                let request = &kept.record.request;
                request.target == *target && module.is_none_or(|module| request.module == *module)
            }),
            (None, None, Some(_)) => return plain(StatusCode::BAD_REQUEST, "module needs a target beside it"),
            (None, None, None) => return self.list(),
        };
        match found {
            Some(kept) => answer(StatusCode::OK, TEXT, Content::Whole(kept.record.page().into())),
            None => plain(StatusCode::NOT_FOUND, "No such probe; it may have been too long ago"),
        }
    }

    fn list(&self) -> Answer {
        let mut text = String::from("Runs of /probe, newest first; /logs?id=N has one of them.\n\n");
        for Kept { id, record } in self.newest() {
            let Record { request, run, .. } = &*record;
            let time = rfc3339(run.started).unwrap_or_default();
            let result = run.outcome.failure().map_or("success", |failure| failure.reason.as_label());
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{id} {time} {:?} {:?} {result}", request.module, request.shown);
        }
        plain(StatusCode::OK, text)
    }
}

/// Drops the oldest success among those, or without one the oldest failure.
fn drop_least(kept: &mut Vec<Kept>, among: impl Fn(&Kept) -> bool) {
    // Not the newest, which somebody has just asked for.
    let older = kept.len().saturating_sub(1);
    let oldest = |success| kept[..older].iter().position(|run| run.succeeded() == success && among(run));
    if let Some(index) = oldest(true).or_else(|| oldest(false)) {
        kept.remove(index);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::observation::{Observation, Reason};
    use crate::server::probe::tests::record;
    use crate::state::tests::{down, up};

    fn add(history: &History, target: &str, run: Observation) {
        history.add(&Arc::new(record(target, run)));
    }

    fn ids(history: &History) -> Vec<u64> {
        history.newest().iter().map(|kept| kept.id).collect()
    }

    fn ask(history: &History, query: &str) -> (u16, String) {
        let head = http::Request::builder().uri(format!("/logs?{query}")).body(()).unwrap().into_parts().0;
        let answer = history.answer(&head);
        let status = answer.status().as_u16();
        let Content::Whole(body) = answer.into_body() else { panic!("in pieces") };
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[test]
    fn failures_outlive_successes_and_a_busy_target_keeps_to_its_share() {
        let history = History::new(8);
        add(&history, "rare", down(Reason::HttpStatus));
        for _ in 0..20 {
            add(&history, "busy", up());
        }
        assert_eq!(ids(&history), [21, 20, 19, 18, 17, 1]);
        add(&history, "busy", down(Reason::HttpStatus));
        for _ in 0..20 {
            add(&history, "busy", up());
        }
        assert_eq!(ids(&history), [42, 41, 40, 39, 22, 1]);
        for n in 0..20 {
            add(&history, &format!("other-{n}"), up());
        }
        let kept = history.newest();
        assert_eq!(kept.len(), 8);
        assert!(kept.iter().any(|kept| kept.record.request.target == "rare"));
    }

    #[test]
    fn a_limit_of_zero_keeps_nothing() {
        let history = History::new(0);
        add(&history, "t", up());
        assert!(history.newest().is_empty());
    }

    #[test]
    fn runs_are_found_by_number_and_by_target_and_the_newest_comes_first() {
        let history = History::new(8);
        add(&history, "http://u:hunter2@a/", down(Reason::HttpStatus));
        add(&history, "http://u:hunter2@a/", up());
        add(&history, "b", up());
        let target = "target=http%3A%2F%2Fu%3Ahunter2%40a%2F";
        for (query, status, part) in [
            ("id=1", 200, "reason=http_status"),
            ("id=9", 404, "No such probe"),
            ("id=x", 400, "is no number"),
            (target, 200, "Probe succeeded"),
            (&format!("{target}&module=http_2xx"), 200, "Probe succeeded"),
            (&format!("{target}&module=other"), 404, "No such probe"),
            ("target=c", 404, "No such probe"),
            ("module=http_2xx", 400, "needs a target"),
            ("id=1&target=b", 400, "not both"),
            ("", 200, "\"http://u:<secret>@a/\" http_status\n"),
        ] {
            let (found, text) = ask(&history, query);
            assert_eq!(found, status, "{query}");
            assert!(text.contains(part), "{query}: {text}");
            assert!(!text.contains("hunter2"), "{query}: {text}");
        }
    }
}
