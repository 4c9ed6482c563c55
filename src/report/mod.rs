//! `uptime_exporter report`: what happened, told afterwards from what Prometheus has kept.
//!
//! `prometheus` asks its HTTP API, and `history` asks for every scrape in pieces, which `scrapes` puts together and `watch`
//! reduces to what one vantage saw. `timeline` judges a target's time by the rules of scope; `incidents`, `totals` and
//! `causes` are read off it, so they cannot disagree. `markdown` and `json` print. The exporter's own clocks and start
//! times are the source, so the figures are exact to the run and depend neither on how often Prometheus scraped nor on
//! how long a time the report covers.

mod causes;
pub(crate) mod history;
mod incidents;
mod json;
mod markdown;
pub(crate) mod prometheus;
pub(crate) mod scrapes;
pub(crate) mod spans;
#[cfg(test)]
mod tests;
pub(crate) mod time;
pub(crate) mod timeline;
mod totals;
pub(crate) mod watch;

pub use self::prometheus::QueryError;
pub use self::time::{Moment, MomentError, When};

use self::causes::{Episode, Explained};
use self::history::{History, Range};
use self::incidents::Incident;
use self::prometheus::{Prometheus, Series};
use self::scrapes::Gains;
use self::totals::Totals;
use self::watch::SILENCE;
use crate::cli::{ReportArgs, ReportFormat};

/// Who watches: every label of a series but the target's own and the name. Region first, for people.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Vantage {
    shown: String,
    labels: Vec<(String, String)>,
}

/// What happened to one target.
#[derive(Debug)]
struct TargetReport {
    name: String,
    display_name: Option<String>,
    slo: Option<f64>,
    vantages: Vec<Vantage>,
    /// When it was first known, if the time of the report began before that.
    known_since: Option<Moment>,
    totals: Totals,
    /// Seconds that nobody had a word on it.
    unknown: f64,
    /// What all vantages counted, summed.
    sums: Gains,
    incidents: Vec<Incident>,
}

#[derive(Debug)]
struct Report {
    from: Moment,
    to: Moment,
    targets: Vec<TargetReport>,
    causes: Vec<Episode>,
}

#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    #[error("--from {from} is not before --to {to}")]
    Range { from: Moment, to: Moment },
    #[error("cannot ask Prometheus")]
    Query(#[from] QueryError),
    #[error("Prometheus has no probe_up {}", match .0 { Some(name) => format!("of a target named {name:?}"), None => "of any target".to_owned() } + " in that time")]
    NothingFound(Option<String>),
}

/// Asks Prometheus and prints the report.
///
/// # Errors
/// Prometheus cannot be asked, or knows of no such target.
pub async fn run(args: &ReportArgs) -> Result<String, ReportError> {
    let report = gather(args).await?;
    Ok(match args.format {
        ReportFormat::Markdown => markdown::print(&report),
        ReportFormat::Json => json::print(&report),
    })
}

async fn gather(args: &ReportArgs) -> Result<Report, ReportError> {
    let now = Moment::now();
    let (from, to) = (args.from.resolve(now), args.to.resolve(now).min(now));
    if from >= to {
        return Err(ReportError::Range { from, to });
    }
    let prometheus = Prometheus::new(&args.prometheus, &args.headers)?;
    let range = Range { from, to, now };
    let mut targets = Vec::new();
    let mut explained = Vec::new();
    for (name, history) in history::read(&prometheus, args.target.as_deref(), range).await? {
        if let Some((target, by)) = TargetReport::of(name, history, range) {
            targets.push(target);
            explained.extend(by);
        }
    }
    if targets.is_empty() {
        return Err(ReportError::NothingFound(args.target.clone()));
    }
    Ok(Report { from, to, targets, causes: causes::episodes(explained, to.seconds()) })
}

impl TargetReport {
    /// And what causes explain of it. `None` when nothing is known of it in that time.
    fn of(name: String, history: History, range: Range) -> Option<(Self, Vec<Explained>)> {
        let History { display_name, slo, mut watches } = history;
        let window = range.window();
        // By number, the order of vantages is that of their names.
        watches.sort_by(|one, other| one.vantage.cmp(&other.vantage));
        timeline::align(&mut watches);
        let timeline = timeline::evaluate(&watches, range.until().seconds());
        let totals = Totals::of(&timeline, window);
        let incidents = incidents::find(&timeline, &watches, window);
        if totals.known + totals.maintenance <= 0.0 && incidents.is_empty() {
            return None;
        }
        watches.retain(|watch| {
            let down = watch.outages.iter().any(|outage| outage.overlaps(window.0, window.1));
            down || watch.known.overlaps(window.0, window.1)
        });
        let first = watches.iter().filter_map(|watch| watch.known.first()).fold(f64::MAX, f64::min);
        let first = incidents.first().map_or(first, |incident| incident.start.at.min(first)).max(window.0);
        let mut sums = Gains::default();
        for watch in &watches {
            sums.add(&watch.gains, 1.0);
        }
        let explained = causes::explained(&name, &incidents, &watches, window.1);
        let target = Self {
            name,
            display_name,
            slo,
            known_since: (first > window.0 + SILENCE && first < window.1).then(|| Moment::from_seconds(first)),
            unknown: (window.1 - first - totals.known - totals.maintenance).max(0.0),
            vantages: watches.into_iter().map(|watch| watch.vantage).collect(),
            totals,
            sums,
            incidents,
        };
        Some((target, explained))
    }

    /// How many times it was down, but for maintenance.
    fn outages(&self) -> u32 {
        self.incidents.iter().filter(|incident| incident.counts()).map(|incident| incident.counted).sum()
    }

    /// How many of them the counters know and no scrape shows.
    fn between_scrapes(&self) -> u32 {
        let unseen = |incident: &Incident| incident.counted - u32::from(!incident.between_scrapes);
        self.incidents.iter().filter(|incident| incident.counts()).map(unseen).sum()
    }

    /// Mean length of the outages that ended, outside maintenance, in seconds.
    fn mttr(&self) -> Option<f64> {
        let ended: Vec<&Incident> =
            self.incidents.iter().filter(|incident| incident.counts() && incident.end.is_some()).collect();
        let count: u32 = ended.iter().map(|incident| incident.counted).sum();
        (count > 0).then(|| ended.iter().map(|incident| incident.whole).sum::<f64>() / f64::from(count))
    }
}

impl Vantage {
    /// Labels that say something of the target, or of a value, and not of who watches.
    const OTHERS: [&'static str; 8] = ["__name__", "target", "reason", "result", "by", "parent", "kind", "value"];

    pub(crate) fn of(series: &Series) -> Self {
        let target = series.label("target").unwrap_or_default();
        let labels: Vec<(String, String)> = series
            .labels
            .iter()
            // A relabelled `instance` is the target once more.
            .filter(|(name, value)| !(Self::OTHERS.contains(&name.as_str()) || *name == "instance" && *value == target))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let find = |name: &str| labels.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        let shown = find("region").or_else(|| find("exporter")).or_else(|| find("instance")).unwrap_or_default();
        Self { shown, labels }
    }

    /// Its region; without one, the exporter. As in the recording rules.
    pub(crate) fn place(&self) -> &str {
        let find = |name: &str| self.labels.iter().find(|(known, value)| known == name && !value.is_empty());
        find("region").or_else(|| find("exporter")).map_or("", |(_, value)| value)
    }
}
