//! What Prometheus knows of the public targets, as plain facts.
//!
//! The history is read once at a scrape an hour, and every scrape only where something happened in between; then it goes on from
//! where it was. `report` reduces scrapes to what a vantage saw, so the site's figures are exact to the run as well.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::report::prometheus::{Prometheus, QueryError, Series, quoted};
use crate::report::scrapes::{Counter, FAMILIES, Gains, Scrape, assemble};
use crate::report::spans::Spans;
use crate::report::watch::{Watch, Watcher};
use crate::report::{Moment, Vantage};

/// Days of history.
pub(super) const DAYS: u32 = 90;
const DAY: f64 = 86_400.0;
/// Seconds between two scrapes that are looked at in quiet times.
const STEP: f64 = 3_600.0;
/// For so long scrapes may come late, as through an agent.
const LATE: f64 = 600.0;
/// What came later than that is found when all is read again.
const AGAIN: f64 = 6.0 * 3_600.0;
/// Of time, in one question.
const PIECE: f64 = 5.0 * DAY;

/// Of `probe_target_info`: what is not a label of the target.
const FACT_LABELS: [&str; 8] =
    ["__name__", "target", "url", "module", "prober", "interval", "evidence_url", "display_name"];

const PUBLIC: &str = "public=\"true\"";

/// One public target.
#[derive(Clone, Debug, Default)]
pub(super) struct Target {
    /// What customers call it; `None` if nobody has said.
    pub(super) display_name: Option<String>,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) watches: Vec<Watch>,
    /// By the recording rules, where there are any: they leave out a place that is blind.
    pub(super) scope: Option<String>,
    pub(super) notice: Option<Words>,
    pub(super) maintenance_now: bool,
    /// The window that is on, or the next one, in Unix seconds.
    pub(super) window: Option<(f64, f64)>,
    /// Seconds of a run, averaged over the last hour.
    pub(super) latency: Option<f64>,
}

/// The operator's.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Words {
    pub(super) cause: String,
    pub(super) action: String,
    pub(super) next_update: Option<Timestamp>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    /// By the exporter's name of it.
    pub(super) targets: BTreeMap<String, Target>,
    /// What customers call a place.
    pub(super) regions: BTreeMap<String, String>,
    /// Of the newest scrape.
    pub(super) measured: Option<f64>,
}

/// Asks, and keeps what need not be asked again.
pub(super) struct Reader {
    prometheus: Prometheus,
    pub(super) latency: bool,
    watchers: BTreeMap<(String, Vantage), Watcher>,
    /// Up to when the watchers have seen every scrape.
    settled: f64,
    /// When all was read.
    read: Option<f64>,
    names: BTreeSet<String>,
}

impl Reader {
    pub(super) fn new(prometheus: Prometheus, latency: bool) -> Self {
        Self { prometheus, latency, watchers: BTreeMap::new(), settled: 0.0, read: None, names: BTreeSet::new() }
    }

    /// # Errors
    /// Prometheus cannot be asked; the next time all is read again.
    pub(super) async fn read(&mut self, now: f64) -> Result<Facts, QueryError> {
        let facts = self.try_read(now).await;
        if facts.is_err() {
            self.read = None;
        }
        facts
    }

    async fn try_read(&mut self, now: f64) -> Result<Facts, QueryError> {
        let mut facts = Facts { targets: self.targets(now).await?, ..Facts::default() };
        let names: BTreeSet<String> = facts.targets.keys().cloned().collect();
        if names.is_empty() {
            return Ok(facts);
        }
        let due = self.read.is_none_or(|read| now - read >= AGAIN || now < read);
        if due || names != self.names {
            self.read_all(&names, now).await?;
            (self.read, self.names) = (Some(now), names.clone());
        }
        self.go_on(&names, now, &mut facts).await?;
        self.present(now, &mut facts).await?;
        Ok(facts)
    }

    /// Those that there are. A vantage that is silent has not lost its targets; one that reports others has.
    async fn targets(&self, now: f64) -> Result<BTreeMap<String, Target>, QueryError> {
        let ask = |span: &str| {
            let expr = format!("last_over_time(probe_target_info{{{PUBLIC}}}[{span}])");
            async move { self.prometheus.instant(&expr, Moment::from_seconds(now)).await }
        };
        let who = |series: &Series| {
            ["job", "region", "exporter"].map(|name| series.label(name).unwrap_or_default().to_owned())
        };
        let recent = ask("10m").await?;
        let alive: BTreeSet<[String; 3]> = recent.iter().map(who).collect();
        let silent = ask("1d").await?.into_iter().filter(|series| !alive.contains(&who(series)));
        let mut targets: BTreeMap<String, Target> = BTreeMap::new();
        for series in silent.chain(recent) {
            let Some(name) = series.label("target") else { continue };
            let target = targets.entry(name.to_owned()).or_default();
            let shown = series.label("display_name").filter(|shown| !shown.is_empty() && *shown != name);
            target.display_name = shown.map(str::to_owned).or_else(|| target.display_name.take());
            let own = series.labels.iter().filter(|(label, _)| !FACT_LABELS.contains(&label.as_str()));
            target.labels.extend(own.map(|(label, value)| (label.clone(), value.clone())));
        }
        Ok(targets)
    }

    async fn read_all(&mut self, names: &BTreeSet<String>, now: f64) -> Result<(), QueryError> {
        let begin = ((now - f64::from(DAYS + 1) * DAY) / STEP).floor() * STEP;
        let settled = ((now - LATE) / STEP).floor() * STEP;
        let window = (begin, now);
        let mut scrapes: BTreeMap<(String, Vantage), Vec<Scrape>> = BTreeMap::new();
        let selector = selector(names);
        let mut at = begin;
        while at < settled {
            let to = (at + PIECE).min(settled);
            for (key, coarse) in self.coarse(&selector, at, to).await? {
                scrapes.entry(key).or_default().extend(coarse);
            }
            at = to;
        }
        for name in names {
            let mut wanted = Spans::default();
            for ((_, _), coarse) in scrapes.iter().filter(|((target, _), _)| target == name) {
                for (from, to) in happened(coarse, begin, settled) {
                    wanted.add(from, to);
                }
            }
            let one: BTreeSet<String> = std::iter::once(name.clone()).collect();
            for (from, to) in wanted.iter() {
                for (key, fine) in self.every(&one, from, to.min(settled)).await? {
                    scrapes.entry(key).or_default().extend(fine);
                }
            }
        }
        self.watchers.clear();
        for (key, mut scrapes) in scrapes {
            scrapes.sort_by(|one, other| one.time.total_cmp(&other.time));
            let mut watcher = Watcher::new(key.1.clone(), window);
            scrapes.into_iter().for_each(|scrape| watcher.push(scrape));
            self.watchers.insert(key, watcher);
        }
        self.settled = settled;
        Ok(())
    }

    /// A scrape an hour, at the time that it was made.
    async fn coarse(
        &self,
        selector: &str,
        from: f64,
        to: f64,
    ) -> Result<BTreeMap<(String, Vantage), Vec<Scrape>>, QueryError> {
        let families = format!("{{__name__=~{},{selector}}}", quoted(FAMILIES));
        let values = self.prometheus.range(&families, from, to, STEP).await?;
        let times = self.prometheus.range(&format!("timestamp(probe_up{{{selector}}})"), from, to, STEP).await?;
        let mut made: BTreeMap<(String, Vantage), BTreeMap<u64, f64>> = BTreeMap::new();
        for series in &times {
            let Some(target) = series.label("target") else { continue };
            let made = made.entry((target.to_owned(), Vantage::of(series))).or_default();
            made.extend(series.samples.iter().map(|sample| (sample.time.to_bits(), sample.value)));
        }
        let mut all = assemble(values);
        for (key, scrapes) in &mut all {
            let made = made.get(key);
            scrapes.retain_mut(|scrape| {
                let time = made.and_then(|made| made.get(&scrape.time.to_bits()));
                // What a database looks back to further than an hour is told at the hour before.
                let time = time.filter(|time| scrape.verdict.is_some() && scrape.time - **time < STEP);
                time.map(|time| scrape.time = *time).is_some()
            });
        }
        Ok(all)
    }

    /// Every scrape.
    async fn every(
        &self,
        names: &BTreeSet<String>,
        from: f64,
        to: f64,
    ) -> Result<BTreeMap<(String, Vantage), Vec<Scrape>>, QueryError> {
        let selector = format!("{{__name__=~{},{}}}", quoted(FAMILIES), selector(names));
        let mut piece = to - from;
        let mut at = from;
        let mut all: BTreeMap<(String, Vantage), Vec<Scrape>> = BTreeMap::new();
        while at < to {
            let end = (at + piece).min(to);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not below zero")]
            let seconds = (end - at).ceil() as u64 + 1;
            match self.prometheus.instant(&format!("{selector}[{seconds}s]"), Moment::from_seconds(end)).await {
                Err(error) if error.is_too_much() && piece > 300.0 => {
                    piece = (piece / 4.0).max(300.0);
                    continue;
                }
                answer => {
                    for (key, scrapes) in assemble(answer?) {
                        all.entry(key).or_default().extend(scrapes);
                    }
                }
            }
            at = end;
        }
        Ok(all)
    }

    /// From where the watchers are to now.
    async fn go_on(&mut self, names: &BTreeSet<String>, now: f64, facts: &mut Facts) -> Result<(), QueryError> {
        let settle = now - LATE;
        let fresh = self.every(names, self.settled, now).await?;
        let mut late: BTreeMap<&(String, Vantage), Vec<&Scrape>> = BTreeMap::new();
        for (key, scrapes) in &fresh {
            let watcher = self.watchers.entry(key.clone());
            let watcher = watcher.or_insert_with(|| Watcher::new(key.1.clone(), (now - f64::from(DAYS) * DAY, now)));
            for scrape in scrapes {
                if scrape.verdict.is_some() {
                    facts.measured = Some(facts.measured.map_or(scrape.time, |known: f64| known.max(scrape.time)));
                }
                if scrape.time <= settle {
                    watcher.push(scrape.clone());
                } else {
                    late.entry(key).or_default().push(scrape);
                }
            }
        }
        self.settled = self.settled.max(settle);
        for (key, watcher) in &self.watchers {
            let mut watcher = watcher.clone();
            late.get(key).into_iter().flatten().for_each(|scrape| watcher.push((*scrape).clone()));
            if let Some(target) = facts.targets.get_mut(&key.0) {
                target.watches.push(watcher.finish(now));
            }
        }
        Ok(())
    }

    async fn present(&self, now: f64, facts: &mut Facts) -> Result<(), QueryError> {
        let at = Moment::from_seconds(now);
        let ask = |expr: String| async move { self.prometheus.instant(&expr, at).await };
        for series in ask(format!("target:probe_scope:info{{{PUBLIC}}}")).await? {
            if let Some(target) = series.label("target").and_then(|name| facts.targets.get_mut(name)) {
                target.scope = series.label("scope").map(str::to_owned);
            }
        }
        for series in ask(format!("probe_notice_info{{{PUBLIC}}}")).await? {
            if let Some(target) = series.label("target").and_then(|name| facts.targets.get_mut(name)) {
                let text = |name: &str| series.label(name).unwrap_or_default().to_owned();
                let next_update = series.label("next_update").and_then(|text| text.parse().ok());
                let words = Words { cause: text("cause"), action: text("action"), next_update };
                // Exporters that read their files at different times: the newest promise is the newest word.
                let newer = target.notice.as_ref().is_none_or(|known| known.next_update <= words.next_update);
                if newer {
                    target.notice = Some(words);
                }
            }
        }
        let edges = [("start", true), ("end", false)];
        let mut windows: BTreeMap<String, (Option<f64>, Option<f64>)> = BTreeMap::new();
        for (edge, is_start) in edges {
            for series in ask(format!("probe_maintenance_{edge}_timestamp_seconds{{{PUBLIC}}}")).await? {
                let (Some(name), Some(sample)) = (series.label("target"), series.samples.last()) else { continue };
                let window = windows.entry(name.to_owned()).or_default();
                let edge = if is_start { &mut window.0 } else { &mut window.1 };
                *edge = Some(edge.map_or(sample.value, |known: f64| known.min(sample.value)));
            }
        }
        for (name, window) in windows {
            if let (Some(target), (Some(start), Some(end))) = (facts.targets.get_mut(&name), window) {
                target.window = Some((start, end)).filter(|(start, end)| start < end && *end > now);
            }
        }
        for series in ask(format!("max by (target) (probe_maintenance{{{PUBLIC}}})")).await? {
            if let Some(target) = series.label("target").and_then(|name| facts.targets.get_mut(name)) {
                target.maintenance_now = series.samples.last().is_some_and(|sample| sample.value == 1.0);
            }
        }
        if self.latency {
            let expr = format!("avg by (target) (avg_over_time(probe_duration_seconds{{{PUBLIC}}}[1h]))");
            for series in ask(expr).await? {
                if let Some(target) = series.label("target").and_then(|name| facts.targets.get_mut(name)) {
                    target.latency = series.samples.last().map(|sample| sample.value);
                }
            }
        }
        for series in ask("last_over_time(probe_vantage_info[1d])".to_owned()).await? {
            let place =
                ["region", "exporter"].iter().filter_map(|name| series.label(name)).find(|name| !name.is_empty());
            if let (Some(place), Some(name)) = (place, series.label("region_name").filter(|name| !name.is_empty())) {
                facts.regions.insert(place.to_owned(), name.to_owned());
            }
        }
        Ok(())
    }
}

fn selector(names: &BTreeSet<String>) -> String {
    let names: Vec<String> = names.iter().map(|name| regex::escape(name)).collect();
    format!("{PUBLIC},target=~{}", quoted(&names.join("|")))
}

/// Between which of the scrapes something happened that they do not tell exactly.
fn happened(scrapes: &[Scrape], begin: f64, end: f64) -> Vec<(f64, f64)> {
    let mut spans = Vec::new();
    if let Some(first) = scrapes.first()
        && first.time > begin + STEP
    {
        spans.push((first.time - STEP, first.time));
    }
    for pair in scrapes.windows(2) {
        let [before, after] = pair else { continue };
        if after.time - before.time > 1.5 * STEP {
            // It fell silent, and came back.
            spans.extend([(before.time, before.time + STEP), (after.time - STEP, after.time)]);
            continue;
        }
        let (gains, continuous) = Gains::between(before, after);
        let quiet = match (before.verdict, after.verdict) {
            (Some(true), Some(true)) => {
                let maintained = gains[Counter::Maintenance] > 0.0 && !before.maintenance && !after.maintenance;
                gains[Counter::Outages] <= 0.0 && gains[Counter::Down] <= 0.0 && !maintained
            }
            (Some(false), Some(false)) => gains[Counter::Outages] <= 0.0 && before.start == after.start,
            (Some(_) | None, Some(_) | None) => false,
        };
        if !(quiet && continuous && gains[Counter::Unknown] <= 0.0) {
            spans.push((before.time, after.time));
        }
    }
    if let Some(last) = scrapes.last()
        && last.time < end - STEP
    {
        spans.push((last.time, last.time + STEP));
    }
    spans
}
