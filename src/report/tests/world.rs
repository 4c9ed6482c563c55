//! An exporter and a Prometheus in small: runs with known outcomes, clocks that credit them, and scrapes of both.

use std::sync::Arc;

use super::super::Vantage;
use super::super::incidents::{self, Incident};
use super::super::scrapes::{COUNTERS, Counter, Scrape};
use super::super::timeline::{self, Timeline};
use super::super::totals::Totals;
use super::super::watch::{Watch, Watcher};

/// One vantage's view of a target.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) region: String,
    /// When the target is down from here, in seconds since the begin.
    pub(super) down: Vec<(f64, f64)>,
    pub(super) maintenance: Vec<(f64, f64)>,
    /// The first run, the time between two, and between a first failure and its re-check.
    pub(super) first_run: f64,
    pub(super) interval: f64,
    pub(super) retry: f64,
    /// How long a failing run takes. Others take no time.
    pub(super) takes: f64,
    pub(super) confirm: u32,
    pub(super) first_scrape: f64,
    pub(super) scrape_interval: f64,
}

impl Seen {
    pub(super) fn new(region: &str, down: &[(f64, f64)]) -> Self {
        Self {
            region: region.to_owned(),
            down: down.to_vec(),
            maintenance: Vec::new(),
            first_run: 0.0,
            interval: 5.0,
            retry: 1.0,
            takes: 0.0,
            confirm: 1,
            first_scrape: 0.0,
            scrape_interval: 15.0,
        }
    }

    pub(super) fn vantage(&self) -> Vantage {
        Vantage { shown: self.region.clone(), labels: vec![("region".to_owned(), self.region.clone())] }
    }

    fn is_down(&self, at: f64) -> bool {
        self.down.iter().any(|(from, to)| (*from..*to).contains(&at))
    }

    fn in_maintenance(&self, at: f64) -> bool {
        self.maintenance.iter().any(|(from, to)| (*from..*to).contains(&at))
    }

    /// Scrapes of the time up to `length`, and the outages that the exporter knew: first failing run, first good one.
    pub(super) fn play(&self, length: f64) -> (Vec<Scrape>, Vec<(f64, f64)>) {
        let mut exporter = Exporter::new(self);
        let (mut scrapes, mut outages) = (Vec::new(), Vec::new());
        let (mut run, mut scrape, mut tick) = (self.first_run, self.first_scrape, self.first_run);
        while run < length {
            let ends = run + if self.is_down(run) { self.takes } else { 0.0 };
            while scrape < run {
                scrapes.push(exporter.scrape(scrape));
                scrape += self.scrape_interval;
            }
            exporter.settle(run);
            exporter.running = true;
            while scrape < ends.min(length) {
                scrapes.push(exporter.scrape(scrape));
                scrape += self.scrape_interval;
            }
            exporter.running = false;
            let recheck = exporter.end(run, &mut outages);
            while tick < ends || tick <= run {
                tick += self.interval;
            }
            run = if recheck { (run + self.retry).max(ends).min(tick) } else { tick };
        }
        while scrape < length {
            scrapes.push(exporter.scrape(scrape));
            scrape += self.scrape_interval;
        }
        if let Some(start) = exporter.outage {
            outages.push((start, length));
        }
        (scrapes, outages)
    }
}

#[derive(Clone)]
struct Exporter<'a> {
    seen: &'a Seen,
    mark: f64,
    running: bool,
    account: Counter,
    counters: [f64; COUNTERS],
    pending: f64,
    is_pending: bool,
    failures: u32,
    first_failure: f64,
    verdict: Option<bool>,
    outage: Option<f64>,
    uncounted: bool,
}

impl<'a> Exporter<'a> {
    fn new(seen: &'a Seen) -> Self {
        Self {
            seen,
            mark: 0.0,
            running: false,
            account: Counter::Unknown,
            counters: [0.0; COUNTERS],
            pending: 0.0,
            is_pending: false,
            failures: 0,
            first_failure: 0.0,
            verdict: None,
            outage: None,
            uncounted: false,
        }
    }

    fn settle(&mut self, now: f64) {
        let time = now - self.mark;
        let covered: f64 =
            self.seen.maintenance.iter().map(|(from, to)| (to.min(now) - from.max(self.mark)).max(0.0)).sum();
        self.counters[Counter::Maintenance as usize] += covered;
        if self.is_pending {
            self.pending += time - covered;
        } else {
            self.counters[self.account as usize] += time - covered;
        }
        self.mark = now;
    }

    /// The run that began at `now` is over. Whether it is to be checked again soon.
    fn end(&mut self, now: f64, outages: &mut Vec<(f64, f64)>) -> bool {
        if !self.seen.is_down(now) {
            self.counters[Counter::Succeeded as usize] += 1.0;
            self.resolve(Counter::Up);
            if let Some(start) = self.outage.take() {
                outages.push((start, now));
            }
            (self.account, self.verdict, self.failures) = (Counter::Up, Some(true), 0);
            self.uncounted = false;
            return false;
        }
        self.counters[Counter::Failed as usize] += 1.0;
        self.failures += 1;
        if self.failures == 1 {
            self.first_failure = now;
        }
        let maintenance = self.seen.in_maintenance(now);
        if self.outage.is_some() {
            if self.uncounted && !maintenance {
                self.uncounted = false;
                self.counters[Counter::Outages as usize] += 1.0;
            }
            return false;
        }
        if self.failures < self.seen.confirm {
            self.is_pending = true;
            return true;
        }
        self.outage = Some(self.first_failure);
        self.verdict = Some(false);
        self.resolve(Counter::Down);
        self.account = Counter::Down;
        if maintenance {
            self.uncounted = true;
        } else {
            self.counters[Counter::Outages as usize] += 1.0;
        }
        false
    }

    fn resolve(&mut self, owner: Counter) {
        self.counters[owner as usize] += std::mem::take(&mut self.pending);
        self.is_pending = false;
    }

    fn scrape(&mut self, now: f64) -> Scrape {
        // What the time since a run began was is known when it ends.
        if !self.running {
            self.settle(now);
        }
        Scrape {
            time: now,
            verdict: self.verdict,
            start: self.outage,
            maintenance: self.seen.in_maintenance(now),
            counters: self.counters.map(Some),
            reason: self.outage.map(|_| Arc::from("http_status")),
            causes: Vec::new(),
        }
    }
}

/// A target as a report sees it.
pub(super) struct Told {
    pub(super) timeline: Timeline,
    pub(super) totals: Totals,
    pub(super) incidents: Vec<Incident>,
    pub(super) watches: Vec<Watch>,
}

/// Tells of `window` what can be told by the scrapes within `reach`.
pub(super) fn tell(seen: &[(Seen, Vec<Scrape>)], window: (f64, f64), reach: (f64, f64)) -> Told {
    let watch = |(seen, scrapes): &(Seen, Vec<Scrape>)| {
        let mut watcher = Watcher::new(seen.vantage(), window);
        watcher.set_interval(seen.interval);
        for scrape in scrapes.iter().filter(|scrape| reach.0 <= scrape.time && scrape.time <= reach.1) {
            watcher.push(scrape.clone());
        }
        watcher.finish(reach.1)
    };
    let mut watches: Vec<Watch> = seen.iter().map(watch).collect();
    timeline::align(&mut watches);
    let timeline = timeline::evaluate(&watches, reach.1);
    let totals = Totals::of(&timeline, window);
    let incidents = incidents::find(&timeline, &watches, window);
    Told { timeline, totals, incidents, watches }
}

/// All of it, from the begin to `length`.
pub(super) fn tell_all(seen: &[Seen], length: f64) -> Told {
    let played: Vec<_> = seen.iter().map(|seen| (seen.clone(), seen.play(length).0)).collect();
    tell(&played, (0.0, length), (0.0, length))
}
