//! The report for people: Markdown that a post-mortem begins with.

use std::fmt::Write as _;

use super::time::span;
use super::{Incident, Report, TargetReport};
use crate::observation::Reason;

/// What targets that promise nothing are held to.
pub(super) const DEFAULT_SLO: f64 = 0.999;

pub(super) fn print(report: &Report) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write_report(&mut text, report);
    text
}

fn write_report(out: &mut String, report: &Report) -> std::fmt::Result {
    let Report { from, to, targets } = report;
    writeln!(out, "# Uptime report\n")?;
    writeln!(out, "From {from} to {to} ({}). Times are UTC.\n", span(to.seconds() - from.seconds()))?;
    writeln!(out, "| target | uptime | up anywhere | reachability | outages | downtime | MTTR | error budget used |")?;
    writeln!(out, "|---|---|---|---|---|---|---|---|")?;
    for target in targets {
        let slo = target.slo.unwrap_or(DEFAULT_SLO);
        writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {} | {} of {} |",
            cell(&target.name),
            percent(target.totals.uptime()),
            percent(target.totals.uptime_anywhere()),
            percent(target.totals.reachability()),
            target.outages(),
            span(target.totals.down),
            target.mttr().map_or("-".to_owned(), span),
            percent(target.totals.budget_used(slo)),
            percent(Some(slo)),
        )?;
    }
    writeln!(
        out,
        "\n*Uptime* is the share of the known time, over all vantages; *up anywhere* the share of moments in which at \
         least one vantage saw it up; *reachability* the share of runs that succeeded. Maintenance and unknown time \
         count for neither side. *MTTR* is the mean length of the outages that ended."
    )?;
    for target in targets {
        write_target(out, target)?;
    }
    Ok(())
}

fn write_target(out: &mut String, target: &TargetReport) -> std::fmt::Result {
    let shown = target.display_name.as_ref().map(|shown| format!(" ({})", cell(shown))).unwrap_or_default();
    writeln!(out, "\n## {}{shown}\n", cell(&target.name))?;
    let vantages: Vec<&str> =
        target.vantages.iter().map(|vantage| vantage.shown.as_str()).filter(|shown| !shown.is_empty()).collect();
    if !vantages.is_empty() {
        writeln!(out, "Watched from {}.", vantages.join(", "))?;
    }
    let totals = &target.totals;
    writeln!(
        out,
        "Up {}, down {}, in maintenance {}, unknown {}; {:.0} runs, of which {:.0} failed.",
        span(totals.up),
        span(totals.down),
        span(totals.maintenance),
        span(totals.unknown),
        totals.runs_succeeded + totals.runs_failed,
        totals.runs_failed
    )?;
    if target.between_scrapes > 0 {
        let n = target.between_scrapes;
        let (noun, verb) = if n == 1 { ("outage", "was") } else { ("outages", "were") };
        writeln!(out, "{n} more {noun} {verb} so short as to fall between two scrapes; the counters have them.")?;
    }
    if target.incidents.is_empty() {
        if target.between_scrapes == 0 {
            writeln!(out, "No outages.")?;
        }
        return Ok(());
    }
    writeln!(out, "\n| start | end | duration | scope | seen from | reason | detected after |")?;
    writeln!(out, "|---|---|---|---|---|---|---|")?;
    for incident in &target.incidents {
        writeln!(out, "{}", row(incident))?;
    }
    let mut reasons: Vec<Reason> = target
        .incidents
        .iter()
        .filter_map(|incident| Reason::ALL.iter().copied().find(|r| Some(r.as_label()) == incident.reason.as_deref()))
        .collect();
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
    let from: Vec<&str> = incident.vantages.iter().map(|vantage| vantage.shown.as_str()).collect();
    let (end, duration) = match incident.end {
        Some(end) => (end.to_string(), span(end.seconds() - incident.start.seconds())),
        None => ("goes on".to_owned(), "-".to_owned()),
    };
    format!(
        "| {} | {end} | {duration} | {} | {} | {} | {} |",
        incident.start,
        format_args!("{}{}", incident.scope.as_str(), if incident.in_maintenance { ", in maintenance" } else { "" }),
        cell(&from.join(", ")),
        cell(incident.reason.as_deref().unwrap_or("-")),
        span(incident.time_to_detect)
    )
}

fn percent(share: Option<f64>) -> String {
    match share {
        None => "-".to_owned(),
        // So that not quite all is never shown as all.
        Some(share) if share < 1.0 => format!("{:.3} %", (share * 100_000.0).floor() / 1000.0),
        Some(share) => format!("{:.0} %", share * 100.0),
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
    fn names_do_not_break_the_table() {
        assert_eq!(cell("a|b\nc<d"), "a\\|b c&lt;d");
    }
}
