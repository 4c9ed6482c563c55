//! `uptime_exporter report`: what happened, told afterwards from what Prometheus has kept.
//!
//! `prometheus` asks its HTTP API, `outages` finds the outages of one vantage in raw samples, `incidents` joins those of
//! several vantages and judges their scope, `totals` adds up the clocks; `markdown` and `json` print. The exporter's own
//! clocks and start times are what is added up, so the figures are exact to the run and do not depend on how often
//! Prometheus scraped; what fell between two scrapes is counted and said.

mod incidents;
mod json;
mod markdown;
mod outages;
mod prometheus;
mod time;
mod totals;

use std::collections::BTreeMap;

pub use self::prometheus::QueryError;
pub use self::time::{Moment, MomentError, When};

use self::incidents::Incident;
use self::outages::Outage;
use self::prometheus::{Prometheus, Sample, Series};
use self::totals::Totals;
use crate::cli::{ReportArgs, ReportFormat};

/// Who watches: every label of a series but the target's own and the name. Region first, for people.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Vantage {
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
    totals: Totals,
    incidents: Vec<Incident>,
    /// Outages that the counters know and no sample shows.
    between_scrapes: u64,
}

impl TargetReport {
    /// How many times it was down, but for maintenance.
    fn outages(&self) -> u64 {
        let seen = self.incidents.iter().filter(|incident| !incident.in_maintenance).count();
        seen as u64 + self.between_scrapes
    }

    /// Mean length of the outages that ended, in seconds.
    fn mttr(&self) -> Option<f64> {
        let ended: Vec<f64> = self
            .incidents
            .iter()
            .filter(|incident| !incident.in_maintenance)
            .filter_map(|incident| Some(incident.end?.seconds() - incident.start.seconds()))
            .collect();
        #[expect(clippy::cast_precision_loss, reason = "a count of outages")]
        let count = ended.len() as f64;
        (!ended.is_empty()).then(|| ended.iter().sum::<f64>() / count)
    }
}

#[derive(Debug)]
struct Report {
    from: Moment,
    to: Moment,
    targets: Vec<TargetReport>,
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
    let select = args.target.as_deref().map(|name| format!("target={}", prometheus::quoted(name))).unwrap_or_default();
    let select = Select { prometheus: &prometheus, matcher: &select, from, to };

    let (up, up_seconds, down, unknown, maintenance, windows) = tokio::try_join!(
        select.steps("probe_up"),
        select.steps("probe_up_seconds_total"),
        select.steps("probe_down_seconds_total"),
        select.steps("probe_unknown_seconds_total"),
        select.steps("probe_maintenance_seconds_total"),
        select.steps("probe_maintenance"),
    )?;
    if up.is_empty() {
        return Err(ReportError::NothingFound(args.target.clone()));
    }
    let (runs, outages, starts, reasons, slo, info) = tokio::try_join!(
        select.steps("probe_runs_total"),
        select.steps("probe_outages_total"),
        select.raw("probe_outage_start_timestamp_seconds"),
        select.raw("probe_failure_info"),
        select.last("probe_slo_target_ratio"),
        select.last("probe_target_info"),
    )?;

    let mut found: BTreeMap<String, BTreeMap<Vantage, Vec<Outage>>> = BTreeMap::new();
    for series in &starts {
        let Some(target) = series.label("target") else { continue };
        let vantage = Vantage::of(series);
        let around = outages::spans(series);
        let mut outages = Vec::new();
        for span in around {
            let exact = select.clocks(series, &span).await?;
            outages.push(span.outage(&exact, &reasons_of(&reasons, series), select.to));
        }
        found.entry(target.to_owned()).or_default().insert(vantage, outages);
    }

    let by_target = |series: &[Series], target: &str| -> Vec<Series> {
        series.iter().filter(|series| series.label("target") == Some(target)).cloned().collect()
    };
    let mut names: Vec<String> = up.iter().filter_map(|series| Some(series.label("target")?.to_owned())).collect();
    names.sort();
    names.dedup();
    let targets = names
        .into_iter()
        .map(|name| {
            let up = by_target(&up, &name);
            let mut vantages: Vec<Vantage> = up.iter().map(Vantage::of).collect();
            vantages.sort();
            vantages.dedup();
            let outages_found = found.remove(&name).unwrap_or_default();
            // Those in maintenance are in no counter.
            let seen = outages_found.values().flatten().filter(|outage| !outage.in_maintenance).count();
            let counted = by_target(&outages, &name).iter().map(Series::increase).sum::<f64>();
            let totals = Totals::of(totals::Clocks {
                up: &by_target(&up_seconds, &name),
                down: &by_target(&down, &name),
                unknown: &by_target(&unknown, &name),
                maintenance: &by_target(&maintenance, &name),
                runs: &by_target(&runs, &name),
                verdicts: &up,
                windows: &by_target(&windows, &name),
            });
            TargetReport {
                display_name: by_target(&info, &name)
                    .iter()
                    .find_map(|series| series.label("display_name"))
                    .filter(|shown| *shown != name)
                    .map(str::to_owned),
                slo: by_target(&slo, &name).iter().find_map(|series| series.samples.last()).map(|sample| sample.value),
                incidents: incidents::join(outages_found, &up),
                between_scrapes: between_scrapes(counted, seen),
                vantages,
                totals,
                name,
            }
        })
        .collect();
    Ok(Report { from, to, targets })
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of outages, not below zero")]
fn between_scrapes(counted: f64, seen: usize) -> u64 {
    (counted.round().max(0.0) as u64).saturating_sub(seen as u64)
}

/// The reasons of the same target, seen from the same vantage.
fn reasons_of<'a>(reasons: &'a [Series], of: &Series) -> Vec<&'a Series> {
    let vantage = Vantage::of(of);
    reasons
        .iter()
        .filter(|series| series.label("target") == of.label("target") && Vantage::of(series) == vantage)
        .collect()
}

impl Vantage {
    /// Labels that say something of the target, or of a value, and not of who watches.
    const OTHERS: [&'static str; 4] = ["__name__", "target", "reason", "result"];

    fn of(series: &Series) -> Self {
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
}

/// Asks for the series of the wanted targets in the wanted time.
struct Select<'a> {
    prometheus: &'a Prometheus,
    matcher: &'a str,
    from: Moment,
    to: Moment,
}

impl Select<'_> {
    fn seconds(&self) -> u64 {
        self.from.seconds_to(self.to).max(1)
    }

    /// Values at even steps, the range's end among them.
    async fn steps(&self, metric: &str) -> Result<Vec<Series>, QueryError> {
        /// Prometheus refuses more than 11,000.
        const MOST_STEPS: u64 = 4_000;
        /// The usual scrape interval.
        const SHORTEST: u64 = 15;
        let step = self.seconds().div_ceil(MOST_STEPS).max(SHORTEST);
        let expr = format!("{metric}{{{}}}", self.matcher);
        self.prometheus.range(&expr, self.from, self.to, step).await
    }

    /// Every sample, as it was scraped.
    async fn raw(&self, metric: &str) -> Result<Vec<Series>, QueryError> {
        let expr = format!("{metric}{{{}}}[{}s]", self.matcher, self.seconds());
        self.prometheus.instant(&expr, self.to).await
    }

    /// The last sample of each series.
    async fn last(&self, metric: &str) -> Result<Vec<Series>, QueryError> {
        let expr = format!("last_over_time({metric}{{{}}}[{}s])", self.matcher, self.seconds());
        self.prometheus.instant(&expr, self.to).await
    }

    /// Down seconds and verdicts around an outage of the series `of`, every sample.
    async fn clocks(&self, of: &Series, span: &outages::Span) -> Result<outages::Exact, QueryError> {
        let matcher: Vec<String> = of
            .labels
            .iter()
            .filter(|(name, _)| *name != "__name__")
            .map(|(name, value)| format!("{name}={}", prometheus::quoted(value)))
            .collect();
        let matcher = matcher.join(",");
        let (from, to) = span.surroundings(self.from, self.to);
        let seconds = from.seconds_to(to).max(1);
        let ask = |metric: &str| format!("{metric}{{{matcher}}}[{seconds}s]");
        let (down, verdict) = (ask("probe_down_seconds_total"), ask("probe_up"));
        let maintenance = ask("probe_maintenance");
        let (down, verdict, maintenance) = tokio::try_join!(
            self.prometheus.instant(&down, to),
            self.prometheus.instant(&verdict, to),
            self.prometheus.instant(&maintenance, to),
        )?;
        let samples = |series: Vec<Series>| -> Vec<Sample> { series.into_iter().flat_map(|one| one.samples).collect() };
        Ok(outages::Exact { down_seconds: samples(down), verdict: samples(verdict), maintenance: samples(maintenance) })
    }
}
