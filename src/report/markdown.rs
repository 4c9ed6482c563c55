//! The report for people: Markdown that a post-mortem begins with.

use std::fmt::Write as _;

use super::causes::Episode;
use super::incidents::InMaintenance;
use super::scrapes::{Cause, Counter};
use super::time::span;
use super::totals::share;
use super::watch::Edge;
use super::{Incident, Moment, Report, TargetReport, Vantage};
use crate::observation::Reason;

/// What targets that promise nothing are held to.
pub(super) const DEFAULT_SLO: f64 = 0.999;
/// An outage whose length is not known better than to this share of it is told with its bounds.
const PRECISE: f64 = 0.05;
/// Targets of a cause that are named; of others there is a count.
const MOST_NAMED: usize = 10;

const LEGEND: &str = "\
*Downtime* is the time in which at least one place (a region, or an exporter that has none) saw the target down, as a place does when \
half of its vantages do; it is the sum of the outages below. *Uptime* is the rest, as a share of the time in which anybody watched. \
*Down everywhere* is the part of the downtime in which nobody saw it up. *Error budget* follows the objective's own rule \
(`target:up:bool`): time is missed when two places or more, or the only one, and at least half of those that report, see it down. \
*Reachability* is the share of runs that succeeded, over all vantages; *MTTR* the mean length of the outages that ended. Maintenance and \
time in which nothing is known count for neither side.

An outage lasts from its first failing run to the first good one. The target itself changed up to one interval of the runs before each; \
where that matters, the table gives both moments and the length with its tolerance.";

pub(super) fn print(report: &Report) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write_report(&mut text, report);
    text
}

fn write_report(out: &mut String, report: &Report) -> std::fmt::Result {
    let Report { from, to, targets, causes } = report;
    writeln!(out, "# Uptime report\n")?;
    writeln!(out, "From {from} to {to} ({}). Times are UTC.\n", span(to.seconds() - from.seconds()))?;
    writeln!(
        out,
        "| target | uptime | downtime | down everywhere | outages | MTTR | reachability | error budget used |\n\
         |---|---|---|---|---|---|---|---|"
    )?;
    for target in targets {
        let TargetReport { totals, sums, .. } = target;
        let runs = sums[Counter::Succeeded] + sums[Counter::Failed];
        writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {} | {} |",
            cell(&target.name),
            percent(totals.uptime()),
            span(totals.down),
            span(totals.down_everywhere),
            target.outages(),
            target.mttr().map_or("-".to_owned(), span),
            percent(share(sums[Counter::Succeeded], runs)),
            budget(
                totals.missed,
                totals.budget_used(target.slo.unwrap_or(DEFAULT_SLO)),
                target.slo.unwrap_or(DEFAULT_SLO)
            ),
        )?;
    }
    writeln!(out, "\n{LEGEND}")?;
    if !causes.is_empty() {
        write_causes(out, causes)?;
    }
    for target in targets {
        write_target(out, target)?;
    }
    Ok(())
}

fn write_causes(out: &mut String, causes: &[Episode]) -> std::fmt::Result {
    writeln!(out, "\n## Causes\n")?;
    writeln!(out, "What outages had in common.\n")?;
    writeln!(out, "| cause | start | end | duration | targets | seen from |\n|---|---|---|---|---|---|")?;
    for episode in causes {
        let named: Vec<&str> = episode.targets.iter().take(MOST_NAMED).map(String::as_str).collect();
        let more = episode.targets.len() - named.len();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let places: Vec<&str> = episode.places.iter().map(String::as_str).collect();
        writeln!(
            out,
            "| {} | {} | {} | {} | {}: {}{more} | {} |",
            cell(&cause(&episode.cause)),
            Moment::from_seconds(episode.start),
            episode.end.map_or("goes on".to_owned(), |end| Moment::from_seconds(end).to_string()),
            episode.end.map_or("-".to_owned(), |end| span(end - episode.start)),
            episode.targets.len(),
            cell(&named.join(", ")),
            cell(&places.join(", ")),
        )?;
    }
    Ok(())
}

fn write_target(out: &mut String, target: &TargetReport) -> std::fmt::Result {
    let TargetReport { totals, sums, .. } = target;
    let shown = target.display_name.as_ref().map(|shown| format!(" ({})", cell(shown))).unwrap_or_default();
    writeln!(out, "\n## {}{shown}\n", cell(&target.name))?;
    let places = shown_of(&target.vantages);
    if !places.is_empty() {
        writeln!(out, "Watched from {}.", cell(&places.join(", ")))?;
    }
    if let Some(since) = target.known_since {
        writeln!(out, "Known since {since}.")?;
    }
    writeln!(
        out,
        "Up {}, down {}, in maintenance {}, not known {}.",
        span(totals.known - totals.down),
        span(totals.down),
        span(totals.maintenance),
        span(target.unknown)
    )?;
    let summed = match target.vantages.len() {
        0 | 1 => "By its vantage's clocks".to_owned(),
        many => format!("Summed over its {many} vantages"),
    };
    writeln!(
        out,
        "{summed}: up {}, down {}, in maintenance {}, unknown {}; {:.0} runs, of which {:.0} failed.",
        span(sums[Counter::Up]),
        span(sums[Counter::Down]),
        span(sums[Counter::Maintenance]),
        span(sums[Counter::Unknown]),
        sums[Counter::Succeeded] + sums[Counter::Failed],
        sums[Counter::Failed]
    )?;
    if target.incidents.is_empty() {
        return writeln!(out, "No outages.");
    }
    let explained = target.incidents.iter().any(|incident| !incident.causes.is_empty());
    let (head, rule) = if explained { (" cause |", "---|") } else { ("", "") };
    writeln!(out, "\n| start | end | duration | scope | seen from | reason | detected after |{head}")?;
    writeln!(out, "|---|---|---|---|---|---|---|{rule}")?;
    for incident in &target.incidents {
        write!(out, "{}", row(incident))?;
        if explained {
            let causes: Vec<String> = incident.causes.iter().map(|known| cause(known)).collect();
            write!(out, " {} |", if causes.is_empty() { "-".to_owned() } else { cell(&causes.join("; ")) })?;
        }
        writeln!(out)?;
    }
    if target.between_scrapes() > 0 {
        writeln!(
            out,
            "\nWhat fell between two scrapes is known by the counters: how often and how long, but not when exactly and why."
        )?;
    }
    let mut reasons: Vec<Reason> =
        target.incidents.iter().filter_map(|incident| Reason::from_label(incident.reason.as_deref()?)).collect();
    reasons.sort();
    reasons.dedup();
    if !reasons.is_empty() {
        writeln!(out)?;
    }
    for reason in reasons {
        writeln!(out, "- `{}`: {} Look first: {}", reason.as_label(), reason.meaning(), reason.look_first())?;
    }
    Ok(())
}

fn row(incident: &Incident) -> String {
    let vague = is_vague(incident);
    let moment = |edge: Edge| if vague { between(edge) } else { Moment::from_seconds(edge.at).to_string() };
    let mut duration = incident.duration().map_or("-".to_owned(), span);
    if let (true, Some(length), Some((least, most))) = (vague, incident.duration(), incident.duration_bounds()) {
        duration = format!("{duration} ± {}", span((length - least).max(most - length)));
    }
    let mut scope = incident.scope.as_str().to_owned();
    scope.push_str(match incident.maintenance {
        InMaintenance::No => "",
        InMaintenance::Whole => ", in maintenance",
        InMaintenance::Began => ", began in maintenance",
        InMaintenance::Partly => ", partly in maintenance",
    });
    if incident.between_scrapes {
        scope.push_str(", between two scrapes");
    }
    if incident.counted > 1 {
        let _ = write!(scope, ", {} outages", incident.counted);
    }
    format!(
        "| {} | {} | {duration} | {scope} | {} | {} | {} |",
        moment(incident.start),
        incident.end.map_or("goes on".to_owned(), moment),
        cell(&shown_of(&incident.vantages).join(", ")),
        cell(incident.reason.as_deref().unwrap_or("-")),
        span(incident.time_to_detect)
    )
}

/// Its length, or its start if it goes on, is not known well enough to be told by one moment.
fn is_vague(incident: &Incident) -> bool {
    match (incident.duration(), incident.duration_bounds()) {
        (Some(length), Some((least, most))) => most - least > 2.0 * PRECISE * length,
        _ => false,
    }
}

fn between(edge: Edge) -> String {
    let (earliest, latest) =
        (Moment::from_seconds(edge.earliest).to_string(), Moment::from_seconds(edge.latest).to_string());
    if earliest == latest {
        return latest;
    }
    // The date once, if it is the same.
    let short = match (earliest.split_once('T'), latest.split_once('T')) {
        (Some((one, _)), Some((other, time))) if one == other => time,
        _ => &latest,
    };
    format!("between {earliest} and {short}")
}

/// The names of places, each of them once.
fn shown_of(vantages: &[Vantage]) -> Vec<&str> {
    let mut shown: Vec<&str> =
        vantages.iter().map(|vantage| vantage.shown.as_str()).filter(|shown| !shown.is_empty()).collect();
    shown.dedup();
    shown
}

fn cause(cause: &Cause) -> String {
    cause.to_string()
}

fn percent(share: Option<f64>) -> String {
    match share {
        None => "-".to_owned(),
        // So that not quite all is never shown as all.
        Some(share) if share < 1.0 => format!("{:.3} %", (share * 100_000.0).floor() / 1000.0),
        Some(share) => format!("{:.0} %", share * 100.0),
    }
}

/// Against what the objective allows: a share of it, or how many times as much.
fn budget(missed: f64, used: Option<f64>, slo: f64) -> String {
    // 99.9 and not 99.900, 99.95 and not 99.950.
    let objective = format!("{:.4}", slo * 100.0);
    let objective = objective.trim_end_matches('0').trim_end_matches('.');
    match used {
        Some(used) if used < 1.0 => format!("{:.1} % of what {objective} % allows", used * 100.0),
        Some(used) if used < 9.95 => format!("{used:.1} times what {objective} % allows"),
        Some(used) => format!("{used:.0} times what {objective} % allows"),
        None if missed > 0.0 => format!("{}, where {objective} % allows none", span(missed)),
        None => "-".to_owned(),
    }
}

/// Text from outside in a table.
fn cell(text: &str) -> String {
    text.replace('\\', "\\\\").replace('|', "\\|").replace(['\n', '\r'], " ").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn almost_all_is_not_all() {
        for (share, text) in [
            (Some(1.0), "100 %"),
            (Some(0.999_999_9), "99.999 %"),
            (Some(0.5), "50.000 %"),
            (Some(3.2), "320 %"),
            (None, "-"),
        ] {
            assert_eq!(percent(share), text);
        }
    }

    #[test]
    fn a_budget_that_is_overspent_is_told_as_a_factor() {
        for (missed, used, slo, text) in [
            (4.0, Some(0.0123), 0.999, "1.2 % of what 99.9 % allows"),
            (4.0, Some(0.0), 0.99, "0.0 % of what 99 % allows"),
            (4.0, Some(1.5), 0.9995, "1.5 times what 99.95 % allows"),
            (4.0, Some(466.66), 0.999, "467 times what 99.9 % allows"),
            (67.0, None, 1.0, "1 min 7 s, where 100 % allows none"),
            (0.0, None, 1.0, "-"),
        ] {
            assert_eq!(budget(missed, used, slo), text);
        }
    }

    #[test]
    fn names_do_not_break_the_table() {
        assert_eq!(cell("a|b\nc<d"), "a\\|b c&lt;d");
    }

    #[test]
    fn a_moment_that_is_not_known_has_its_bounds() {
        let edge = |earliest, latest| Edge { at: latest, earliest, latest };
        assert_eq!(between(edge(15.0, 30.0)), "between 1970-01-01T00:00:15Z and 00:00:30Z");
        assert_eq!(between(edge(30.0, 30.0)), "1970-01-01T00:00:30Z");
        assert_eq!(between(edge(86_395.0, 86_410.0)), "between 1970-01-01T23:59:55Z and 1970-01-02T00:00:10Z");
    }
}
