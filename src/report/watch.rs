//! What one vantage saw of one target, reduced scrape by scrape to stretches of time and sums.
//!
//! While a target is down, each scrape has the exact start of its outage as a value. The exact end is the start plus what
//! the exporter's own clocks gained since, so neither depends on how often Prometheus scraped. What began and ended
//! between two scrapes is in the counters alone: its length is known, its place is not.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Vantage;
use super::scrapes::{Cause, Counter, Gains, Scrape};
use super::spans::{Spans, overlap};

/// For so long a series is there without a sample, as in Prometheus.
pub(crate) const SILENCE: f64 = 300.0;
/// What was down when its vantage fell silent goes on for so long.
const HELD: f64 = 600.0;
/// So far from each other are first scrapes of vantages that were there before, at most.
const ALONG: f64 = 60.0;
/// By so much clocks may gain more than the time between two scrapes, for what else there is than time in between.
const SLACK: f64 = 5.0;

#[derive(Clone, Debug)]
pub(crate) struct Watch {
    pub(crate) vantage: Vantage,
    /// When it had a verdict, up or down.
    pub(crate) known: Spans,
    pub(crate) maintenance: Spans,
    /// In order, none overlapping another.
    pub(crate) outages: Vec<Outage>,
    /// Within the time of the report.
    pub(crate) gains: Gains,
    pub(crate) causes: BTreeMap<Arc<Cause>, Spans>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Outage {
    pub(crate) start: Edge,
    /// `None`: not over yet.
    pub(crate) end: Option<Edge>,
    /// When Prometheus first had it.
    pub(crate) seen: f64,
    /// The commonest of its scrapes; `None` when no scrape had one.
    pub(crate) reason: Option<Arc<str>>,
    /// Its length is known to so many seconds, by the clocks: the time between two runs.
    pub(crate) tolerance: f64,
    /// How many the counters know in this time; more than one when scrapes do not tell them apart.
    pub(crate) counted: u32,
    /// No scrape saw it: within which time its runs were.
    pub(crate) within: Option<(f64, f64)>,
}

/// A moment as it was seen, and between which ones the target changed: runs have time between them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Edge {
    pub(crate) at: f64,
    pub(crate) earliest: f64,
    pub(crate) latest: f64,
}

impl Outage {
    pub(crate) fn until(&self, end: f64) -> f64 {
        self.end.map_or(end, |edge| edge.at)
    }

    /// Whether it went on at some time between these.
    pub(crate) fn overlaps(&self, from: f64, to: f64) -> bool {
        self.start.at < to && self.until(f64::MAX) > from
    }
}

/// Takes scrapes in order of time.
#[derive(Clone, Debug)]
pub(crate) struct Watcher {
    watch: Watch,
    /// The time of the report.
    window: (f64, f64),
    /// Seconds between two runs.
    interval: f64,
    before: Option<Scrape>,
    open: Option<Open>,
    /// Time that the clocks have not credited yet: of runs in flight, and of failures that are not confirmed.
    owed: f64,
    /// Before a first scrape at which they had credited all, there may have been more.
    settled: bool,
}

/// An outage that has not ended yet.
#[derive(Clone, Debug)]
struct Open {
    start: Edge,
    seen: f64,
    last_seen: f64,
    /// Up to when the clocks had credited all at that scrape: the start of the run in flight, if there was one.
    last_mark: f64,
    /// The clocks tell of all of it, and of nothing else, from the start to `last_seen`.
    whole: bool,
    /// Seconds between two runs when it began.
    tolerance: f64,
    /// What they gained in it until then.
    gained: f64,
    /// What they gained since.
    since: Gains,
    /// They began anew since.
    restarted: bool,
    reasons: BTreeMap<Arc<str>, u32>,
    /// It began in maintenance, and no counter has it yet.
    uncounted: bool,
    /// With those right before it that nothing tells from it.
    counted: u32,
}

impl Watcher {
    pub(crate) fn new(vantage: Vantage, window: (f64, f64)) -> Self {
        let watch = Watch {
            vantage,
            known: Spans::default(),
            maintenance: Spans::default(),
            outages: Vec::new(),
            gains: Gains::default(),
            causes: BTreeMap::new(),
        };
        Self { watch, window, interval: 0.0, before: None, open: None, owed: 0.0, settled: false }
    }

    pub(crate) fn set_interval(&mut self, seconds: f64) {
        self.interval = seconds.max(0.0);
    }

    pub(crate) fn push(&mut self, scrape: Scrape) {
        match self.before.take() {
            // Pieces of a long time share their border.
            Some(before) if scrape.time <= before.time => {
                self.before = Some(before);
                return;
            }
            Some(before) => self.step(&before, &scrape),
            None => self.first(&scrape),
        }
        self.before = Some(scrape);
    }

    /// `until` is the end of what was asked for.
    pub(crate) fn finish(mut self, until: f64) -> Watch {
        if let Some(last) = &self.before
            && until - last.time <= SILENCE
            && last.verdict.is_some()
        {
            self.watch.known.add(last.time, until);
            if last.maintenance {
                self.watch.maintenance.add(last.time, until);
            }
            let causes = last.causes.clone();
            explain(&mut self.watch.causes, &causes, last.time, until);
        }
        if let Some(open) = self.open.take() {
            let silent = until - open.last_seen > HELD;
            let end = Edge { at: open.last_seen, earliest: open.last_seen, latest: until };
            self.watch.outages.push(open.outage(silent.then_some(end)));
        }
        self.watch
    }

    fn first(&mut self, scrape: &Scrape) {
        let gains = Gains::from_zero(scrape);
        // A vantage whose clocks are young began now. Others were there before.
        if gains.clocks() <= SILENCE {
            let since = scrape.time - gains.clocks();
            self.credit(&gains, since, scrape.time);
            self.settled = true;
        } else if scrape.verdict.is_some() {
            // So that of vantages that were there all along, none is the only one until the next is scraped.
            self.watch.known.add(scrape.time - ALONG, scrape.time);
        }
        if let Some(start) = start_of(scrape) {
            self.begin(start, scrape, scrape.time, None);
        }
    }

    fn step(&mut self, before: &Scrape, scrape: &Scrape) {
        let (from, to) = (before.time, scrape.time);
        let gap = to - from;
        let (mut gains, mut continuous) = Gains::between(before, scrape);
        let owed = if self.settled { self.owed } else { SILENCE };
        if gains.clocks() > gap + owed + SLACK || (!continuous && gains.clocks() > gap + SLACK) {
            // Another exporter by the same labels. What its clocks show is of another time.
            (gains, continuous) = (Gains::default(), false);
        }
        self.credit(&gains, from, to);

        let both = before.verdict.is_some() && scrape.verdict.is_some();
        let dark = gains[Counter::Unknown] > gap / 2.0;
        if both && !dark && (continuous || gap <= SILENCE) {
            self.watch.known.add(from, to);
        }
        self.maintain(before, scrape, gains[Counter::Maintenance]);
        if gap <= SILENCE {
            explain(&mut self.watch.causes, &before.causes, from, to);
        }
        self.judge(before, scrape, gains, continuous);

        let owed = if continuous { self.owed + gap - gains.clocks() } else { 0.0 };
        self.settled |= owed <= 0.0;
        self.owed = owed.max(0.0);
    }

    fn credit(&mut self, gains: &Gains, from: f64, to: f64) {
        // Evenly over the time between, so that two reports whose times adjoin add up to that of the whole.
        if to > from {
            self.watch.gains.add(gains, overlap((from, to), self.window) / (to - from));
        }
    }

    fn maintain(&mut self, before: &Scrape, scrape: &Scrape, gained: f64) {
        let (from, to) = (before.time, scrape.time);
        let gained = gained.min(to - from);
        let (from, to) = match (before.maintenance, scrape.maintenance) {
            (true, true) => (from, to),
            (true, false) => (from, from + gained),
            (false, true) => (to - gained, to),
            (false, false) => {
                let middle = f64::midpoint(from, to);
                (middle - gained / 2.0, middle + gained / 2.0)
            }
        };
        self.watch.maintenance.add(from, to);
    }

    /// Whether an outage began, goes on or ended.
    fn judge(&mut self, before: &Scrape, scrape: &Scrape, gains: Gains, continuous: bool) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count of outages, not below zero"
        )]
        let mut counted = gains[Counter::Outages].round().max(0.0) as u32;
        let silent = scrape.time - before.time > SILENCE && !continuous;
        let aside = gains[Counter::Maintenance] + gains[Counter::Unknown];
        let gap = scrape.time - before.time;
        let lag = if continuous && self.settled { (self.owed + gap - gains.clocks()).clamp(0.0, gap) } else { 0.0 };
        let mark = scrape.time - lag;
        if let Some(mut open) = self.open.take() {
            open.since.add(&gains, 1.0);
            open.restarted |= !continuous;
            if counted > 0 && open.uncounted {
                open.uncounted = false;
                counted -= 1;
            }
            if scrape.verdict.is_none() {
                // Silence ends nothing.
                self.open = Some(open);
                return;
            }
            let Some(start) = start_of(scrape) else {
                // Time that others had before this scrape is told as of this one: nothing tells them apart.
                let outage = open.end(scrape.time, self.interval, silent);
                self.watch.outages.push(Outage { counted: outage.counted + counted, ..outage });
                return;
            };
            let same = (start - open.start.at).abs() < 0.001 || start <= open.last_seen;
            let began_anew = open.restarted && scrape.time - open.last_seen <= SILENCE;
            let never_up = !open.restarted && open.since[Counter::Up] + open.since[Counter::Unknown] <= 0.0;
            if same || began_anew || never_up {
                open.go_on(scrape, mark);
                self.open = Some(open);
                return;
            }
            let rest = (open.since[Counter::Down] - (mark - start).max(0.0)).max(0.0);
            let at = (open.credited() + rest).clamp(open.start.at, start.max(open.start.at));
            let end = Edge { at, earliest: (at - self.interval).max(open.start.at), latest: at };
            let outage = open.outage(Some(end));
            self.watch.outages.push(Outage { counted: outage.counted + counted.saturating_sub(1), ..outage });
            self.begin(start, scrape, mark, None);
            return;
        }
        match start_of(scrape) {
            Some(start) => {
                // What others had before it, if there were any.
                let rest = (gains[Counter::Down] - (mark - start).max(0.0)).max(0.0);
                let others = if counted > 1 { rest } else { 0.0 };
                let hidden = self.hide(counted.saturating_sub(1), others, before.time, scrape);
                let gained = gains[Counter::Down] - others;
                self.begin(start, scrape, mark, Some(gained).filter(|_| continuous && aside <= 0.0));
                if let Some(open) = &mut self.open {
                    open.uncounted = counted == 0;
                    // Time of others that the clocks have not told apart is told as of this one.
                    open.counted = if hidden { 1 } else { counted.max(1) };
                }
            }
            None if scrape.verdict == Some(true) => {
                // The clock has it even if it began in maintenance, and was never counted.
                let hidden = counted.max(u32::from(gains[Counter::Down] >= 1.0 && continuous));
                self.hide(hidden, gains[Counter::Down], before.time, scrape);
            }
            None => {}
        }
    }

    /// `gained` is what the clocks gained in it so far, if they tell that.
    fn begin(&mut self, start: f64, scrape: &Scrape, mark: f64, gained: Option<f64>) {
        let floor = self.watch.outages.last().map_or(f64::MIN, |outage| outage.until(f64::MIN));
        let start = start.min(scrape.time).max(floor);
        let bound = self.earliest_end();
        let mut open = Open {
            start: Edge { at: start, earliest: (start - self.interval).max(bound).min(start), latest: start },
            seen: scrape.time,
            last_seen: scrape.time,
            last_mark: mark,
            tolerance: self.interval,
            whole: gained.is_some(),
            gained: gained.unwrap_or_default(),
            since: Gains::default(),
            restarted: false,
            reasons: BTreeMap::new(),
            uncounted: false,
            counted: 1,
        };
        open.note_reason(scrape);
        self.open = Some(open);
    }

    /// Before this the last outage had not ended.
    fn earliest_end(&self) -> f64 {
        let end = self.watch.outages.last().and_then(|outage| outage.end);
        end.map_or(f64::MIN, |end| end.earliest)
    }

    /// Outages between two scrapes: `down` seconds in all. Without any, they cannot be told.
    fn hide(&mut self, count: u32, down: f64, from: f64, scrape: &Scrape) -> bool {
        if count == 0 || down <= 0.0 {
            return false;
        }
        let to = start_of(scrape).map_or(scrape.time, |start| start.min(scrape.time));
        let floor = self.watch.outages.last().map_or(f64::MIN, |outage| outage.until(f64::MIN));
        // The failing runs may have begun before the scrape that knew of no outage yet.
        let (begun, before) = ((to - down).min(from - self.owed), self.earliest_end());
        let (earliest, bound) = (begun.max(floor), begun.max(before));
        let down = down.min(to - earliest);
        let start = (f64::midpoint(from, to) - down / 2.0).clamp(earliest, (to - down).max(earliest));
        self.watch.outages.push(Outage {
            start: Edge { at: start, earliest: (bound - self.interval).max(before).min(start), latest: to - down },
            end: Some(Edge {
                at: start + down,
                earliest: (bound + down - self.interval).min(start + down),
                latest: to,
            }),
            seen: scrape.time,
            reason: None,
            tolerance: self.interval,
            counted: count,
            within: Some((earliest, to)),
        });
        true
    }
}

/// What a scrape shows holds until the next.
fn explain(all: &mut BTreeMap<Arc<Cause>, Spans>, causes: &[Arc<Cause>], from: f64, to: f64) {
    for cause in causes {
        all.entry(Arc::clone(cause)).or_default().add(from, to);
    }
}

/// When the outage began that a scrape saw. One whose start is not there began by the scrape.
fn start_of(scrape: &Scrape) -> Option<f64> {
    (scrape.verdict == Some(false)).then(|| scrape.start.unwrap_or(scrape.time))
}

impl Open {
    fn go_on(&mut self, scrape: &Scrape, mark: f64) {
        let since = std::mem::take(&mut self.since);
        self.gained += since[Counter::Down] + since[Counter::Maintenance] + since[Counter::Unknown];
        self.whole &= !std::mem::take(&mut self.restarted);
        (self.last_seen, self.last_mark) = (scrape.time, mark);
        self.note_reason(scrape);
    }

    fn note_reason(&mut self, scrape: &Scrape) {
        if let Some(reason) = &scrape.reason {
            *self.reasons.entry(Arc::clone(reason)).or_default() += 1;
        }
    }

    /// Up to when the clocks had credited it at the last scrape that saw it.
    fn credited(&self) -> f64 {
        if self.whole && !self.restarted { self.start.at + self.gained } else { self.last_mark }
    }

    /// It was over at the scrape of `up`.
    fn end(&self, up: f64, interval: f64, silent: bool) -> Outage {
        let (last, since) = (self.last_seen, &self.since);
        let aside = since[Counter::Maintenance] + since[Counter::Unknown];
        let (at, latest) = if silent {
            (last, up)
        } else if self.whole && !self.restarted && aside <= 0.0 {
            // The run that found it up may have been in flight at the scrape that still saw it down.
            let at = (self.credited() + since[Counter::Down]).clamp(self.start.at, up);
            (at, at)
        } else if self.restarted {
            ((up - since[Counter::Up]).clamp(last, up), up)
        } else {
            let at = (self.last_mark + since[Counter::Down]).clamp(self.start.at, up);
            (at, (up - since[Counter::Up]).clamp(at, up))
        };
        let earliest = (at.min(latest) - interval).max(self.start.at).min(at);
        self.outage(Some(Edge { at, earliest, latest }))
    }

    fn outage(&self, end: Option<Edge>) -> Outage {
        // Of two that are as common, the last by name, whatever the order of the scrapes.
        let reason = self.reasons.iter().max_by_key(|(_, count)| **count).map(|(reason, _)| Arc::clone(reason));
        Outage {
            start: self.start,
            end,
            seen: self.seen,
            reason,
            tolerance: self.tolerance,
            counted: self.counted,
            within: None,
        }
    }
}
