//! Asks Prometheus for every scrape of the targets, in pieces, and reduces each as it arrives.
//!
//! A report must not depend on how long a time it covers, so nothing is sampled at steps. What is in memory at a time is
//! one answer, of about [`AT_ONCE`] samples, and the stretches that came of those before.

use std::collections::{BTreeMap, HashMap};

use super::prometheus::{Prometheus, QueryError, Series, quoted};
use super::scrapes::{FAMILIES, assemble};
use super::watch::{Watch, Watcher};
use super::{Moment, Vantage};

/// What lies so close to the time of the report is read too, so that outages at its edges are told from all their scrapes.
pub(crate) const MARGIN: f64 = 900.0;
/// An outage that was going on before is followed back for so long.
const BACK: f64 = 92.0 * 86_400.0;
/// Samples in one answer. Prometheus refuses 50 million unless it is told otherwise.
const AT_ONCE: f64 = 1_000_000.0;
/// Samples a second of a target from one vantage, in the middle of an outage, with a scrape every 15 seconds.
const DENSITY: f64 = 13.0 / 15.0;
/// Series of `probe_up` that are asked for together.
const BATCH: usize = 50;

const LONGEST_PIECE: f64 = 3.0 * 86_400.0;
const SHORTEST_PIECE: f64 = 300.0;

/// What is known of one target.
#[derive(Debug, Default)]
pub(crate) struct History {
    pub(crate) display_name: Option<String>,
    pub(crate) slo: Option<f64>,
    pub(crate) watches: Vec<Watch>,
}

/// The time of the report, and how far there can be samples.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Range {
    pub(crate) from: Moment,
    pub(crate) to: Moment,
    pub(crate) now: Moment,
}

impl Range {
    fn begin(self) -> Moment {
        self.from.plus(-MARGIN)
    }

    /// The last moment that is read.
    pub(crate) fn until(self) -> Moment {
        self.to.plus(MARGIN).min(self.now)
    }

    pub(crate) fn window(self) -> (f64, f64) {
        (self.from.seconds(), self.to.seconds())
    }
}

/// Targets that are asked for together, from a moment on.
struct Batch {
    targets: Vec<String>,
    series: usize,
    begin: Moment,
}

/// Every target that there was, or the one that is wanted.
pub(crate) async fn read(
    prometheus: &Prometheus,
    wanted: Option<&str>,
    range: Range,
) -> Result<BTreeMap<String, History>, QueryError> {
    let matcher = wanted.map_or_else(|| "target!=\"\"".to_owned(), |name| format!("target={}", quoted(name)));
    let mut series: BTreeMap<String, usize> = BTreeMap::new();
    for labels in prometheus.label_sets(&format!("probe_up{{{matcher}}}"), range.begin(), range.until()).await? {
        if let Some(target) = labels.get("target") {
            *series.entry(target.clone()).or_default() += 1;
        }
    }
    let mut batches: Vec<Batch> = Vec::new();
    for (target, series) in series {
        match batches.last_mut() {
            Some(batch) if batch.series + series <= BATCH => {
                batch.series += series;
                batch.targets.push(target);
            }
            _ => batches.push(Batch { targets: vec![target], series, begin: range.begin() }),
        }
    }
    let mut all = BTreeMap::new();
    for batch in batches {
        for batch in batch.follow_back(prometheus).await? {
            batch.read(prometheus, range, &mut all).await?;
        }
    }
    Ok(all)
}

impl Batch {
    fn selector(&self, families: &str) -> String {
        let names: Vec<String> = self.targets.iter().map(|name| regex::escape(name)).collect();
        format!("{{__name__=~{},target=~{}}}", quoted(families), quoted(&names.join("|")))
    }

    /// Targets that were down when the time began are read from before their outage began, each by itself.
    async fn follow_back(mut self, prometheus: &Prometheus) -> Result<Vec<Self>, QueryError> {
        let going = prometheus.instant(&self.selector("probe_outage_start_timestamp_seconds"), self.begin).await?;
        let mut starts: BTreeMap<&str, f64> = BTreeMap::new();
        for series in &going {
            let (Some(target), Some(sample)) = (series.label("target"), series.samples.last()) else { continue };
            let start = starts.entry(target).or_insert(f64::MAX);
            *start = start.min(sample.value);
        }
        let alone = starts.iter().map(|(target, start)| Self {
            targets: vec![(*target).to_owned()],
            series: self.series.div_ceil(self.targets.len()),
            begin: Moment::from_seconds((start - MARGIN).max(self.begin.seconds() - BACK)).min(self.begin),
        });
        let mut batches: Vec<Self> = alone.collect();
        self.targets.retain(|target| !starts.contains_key(target.as_str()));
        if !self.targets.is_empty() {
            batches.push(self);
        }
        Ok(batches)
    }

    async fn read(
        &self,
        prometheus: &Prometheus,
        range: Range,
        all: &mut BTreeMap<String, History>,
    ) -> Result<(), QueryError> {
        let samples = self.selector(FAMILIES);
        let facts = self.selector("probe_interval_seconds|probe_slo_target_ratio|probe_target_info");
        let mut watchers: HashMap<(String, Vantage), Watcher> = HashMap::new();
        #[expect(clippy::cast_precision_loss, reason = "a count of series")]
        let mut piece = (AT_ONCE / (DENSITY * self.series as f64)).clamp(SHORTEST_PIECE, LONGEST_PIECE);
        let mut at = self.begin;
        while at < range.until() {
            let to = at.plus(piece).min(range.until());
            // Pieces overlap by up to a second, and what is told twice is taken once.
            let seconds = at.seconds_to(to) + 1;
            let answer = match prometheus.instant(&format!("{samples}[{seconds}s]"), to).await {
                Err(error) if error.is_too_much() && piece > SHORTEST_PIECE => {
                    piece = (piece / 4.0).max(SHORTEST_PIECE);
                    continue;
                }
                answer => answer?,
            };
            let mut intervals = HashMap::new();
            if !answer.is_empty() {
                for series in prometheus.instant(&format!("last_over_time({facts}[{seconds}s])"), to).await? {
                    note(&series, all, &mut intervals);
                }
            }
            for (key, scrapes) in assemble(answer) {
                let interval = intervals.get(&key).copied();
                let watcher = watchers.entry(key);
                let watcher = watcher.or_insert_with_key(|(_, vantage)| Watcher::new(vantage.clone(), range.window()));
                if let Some(interval) = interval {
                    watcher.set_interval(interval);
                }
                for scrape in scrapes {
                    watcher.push(scrape);
                }
            }
            at = to;
        }
        for ((target, _), watcher) in watchers {
            all.entry(target).or_default().watches.push(watcher.finish(range.until().seconds()));
        }
        Ok(())
    }
}

/// The latest of what seldom changes.
fn note(series: &Series, all: &mut BTreeMap<String, History>, intervals: &mut HashMap<(String, Vantage), f64>) {
    let (Some(name), Some(target)) = (series.label("__name__"), series.label("target")) else { return };
    let history = all.entry(target.to_owned()).or_default();
    let value = series.samples.last().map(|sample| sample.value);
    match (name, value) {
        ("probe_interval_seconds", Some(value)) => {
            intervals.insert((target.to_owned(), Vantage::of(series)), value);
        }
        ("probe_slo_target_ratio", Some(value)) => history.slo = Some(value),
        ("probe_target_info", Some(_)) => {
            let shown = series.label("display_name").filter(|shown| *shown != target);
            history.display_name = shown.map(str::to_owned).or_else(|| history.display_name.take());
        }
        _ => {}
    }
}
