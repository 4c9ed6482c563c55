"""What is down now, since when, why, and from where."""

from . import colour
from .dashboard import Dashboard, Section, group_variables, maintenance, outages, region_variable, target_variable
from .panel import (CERTIFICATE_DAYS, EVIDENCE_WORD, STATE, TEXT_COLOUR, TO_EVIDENCE, YES_NO, by_name, columns,
                    gauges, lines, merge, query, stat, steps, table, timeline, to_target)
from .promql import CHOSEN, CHOSEN_RECORDED, at_end, certificate_end, info, joined, optional, series, state

UP = series("probe_up", CHOSEN)
INFO = series("probe_target_info", CHOSEN)


def build():
    return Dashboard(
        "uptime-overview",
        "Uptime: Overview",
        "What is down now, since when, why and from where. By uptime_exporter.",
        time_from="now-6h",
        variables=[region_variable(), *group_variables(), target_variable()],
        annotations=[outages(CHOSEN), maintenance(CHOSEN)],
        sections=[
            Section("", *counts()),
            Section("Now", causes(), down_now(), notices(), regions()),
            Section("In this range", states(), outages_begun(), reasons()),
            Section("Latency and certificates", slowest(), certificates()),
        ],
    )


def counts():
    counted = {"size": (3, 4)}
    return [
        stat("Down", "Targets that every region that reports has confirmed down.",
             [query(f"count(max by (target) ({UP}) == 0) or vector(0)", instant=True)],
             thresholds=steps(colour.GOOD, (1, colour.BAD)), **counted),
        stat("Down from some", "Targets that are down from at least one region and up from another.",
             [query(f"count(min by (target) ({UP}) == 0 and max by (target) ({UP}) == 1) or vector(0)", instant=True)],
             thresholds=steps(colour.GOOD, (1, colour.PARTLY)), **counted),
        stat("Up", "Targets that are up from every region that reports.",
             [query(f"count(min by (target) ({UP}) == 1) or vector(0)", instant=True)],
             thresholds=steps(colour.PLAIN), **counted),
        stat("Unknown", "Targets of which nothing is confirmed: no run has ended yet, or the runs said nothing about the target.",
             [query(f"count(count by (target) ({INFO}) unless on (target) count by (target) ({UP})) or vector(0)", instant=True)],
             thresholds=steps(colour.PLAIN, (1, colour.UNKNOWN)), **counted),
        stat("Slow", "Targets whose last run took longer than their own slow_threshold.",
             [query(f"count(count by (target) ({series('probe_duration_seconds', CHOSEN)}"
                    f" > {series('probe_slow_threshold_seconds', CHOSEN)})) or vector(0)", instant=True)],
             thresholds=steps(colour.PLAIN, (1, colour.NOTE)), **counted),
        stat("In maintenance", "Targets in a maintenance window: probing goes on, but nobody is paged.",
             [query(f"count(max by (target) ({series('probe_maintenance', CHOSEN)}) == 1) or vector(0)", instant=True)],
             thresholds=steps(colour.PLAIN, (1, colour.MAINTENANCE)), **counted),
        stat("Certificates", "Targets whose certificate chain has ended or ends within 14 days.",
             [query(f"count(min by (target) ({certificate_end(CHOSEN)}) - time() < 14 * 86400) or vector(0)",
                    instant=True)],
             thresholds=steps(colour.PLAIN, (1, colour.PARTLY)), **counted),
        stat("Regions reporting", "Regions that report. One that falls silent is missed here, and by the alert VantageLost.",
             [query(f"count(count by (region) ({INFO})) or vector(0)", instant=True)], **counted),
    ]


def causes():
    """Facts that failing targets share, as the exporters found them, and targets that others depend on."""
    parents = series("probe_explained_info", CHOSEN, 'parent="down"')
    start = series("probe_outage_start_timestamp_seconds", 'region=~"$region"')

    def shared(metric, *matchers):
        return series(f"uptime_exporter_shared_cause_{metric}", 'region=~"$region"', *matchers)

    def both(found, declared):
        """The latter by the label `by`, which becomes the cause."""
        cause = f'label_replace(label_join({declared}, "value", "", "by"), "kind", "target", "", "")'
        return f"max by (kind, value) (\n  {found}\n    or\n  {cause}\n)"

    since = both(f"min by (kind, value) ({shared('start_timestamp_seconds')})",
                 f'min by (by) (label_join({start}, "by", "", "target")) and on (by) {parents}')
    down = both(shared("targets", 'state="failing"'), f"count by (by) (count by (by, target) ({parents}))")
    good = "max by (kind, value) (" + shared("targets", 'state="good"') + ")"
    seen = both(f"count by (kind, value) ({shared('start_timestamp_seconds')})", f"count by (by) (count by (by, region) ({parents}))")
    return table(
        "Causes",
        "What several targets that are down have in common: a fact that the exporters found, or a target that they depend on. Down is how "
        "many it explains, as the region with the most sees it; Good is how many have it and are up.",
        [query(f"{since} * 1000", table=True), query(f"time() - {since}", table=True), query(down, table=True), query(good, table=True),
         query(seen, table=True)],
        size=(24, 5), none="Nothing that is down has a cause in common",
        sort=("Down", True),
        transformations=[
            merge(),
            columns(("kind", "Shared"), ("value", "Cause"), ("Value #A", "Since"), ("Value #B", "For"), ("Value #C", "Down"),
                    ("Value #D", "Good"), ("Value #E", "Regions")),
        ],
        overrides=[
            by_name("Since", unit="dateTimeAsIsoNoDateIfToday"),
            by_name("For", unit="dtdurations", decimals=1),
            by_name("Down", thresholds=steps(colour.PLAIN, (1, colour.BAD)), cellOptions=TEXT_COLOUR, width=80),
            by_name("Good", width=80),
            by_name("Regions", width=90),
        ],
    )


def down_now():
    start = series("probe_outage_start_timestamp_seconds", CHOSEN)
    where = f"max by (target, region) ({start}) * 1000"
    where = joined(where, optional("probe_failure_info", CHOSEN, "reason"), "reason")
    where = joined(where, optional("probe_diagnosis_info", CHOSEN, "finding"), "finding")
    where = joined(where, optional("target:probe_scope:info", CHOSEN_RECORDED, "scope", by=("target",)), "scope", by=("target",))
    where = joined(where, info(CHOSEN, "evidence_url"), "evidence_url")
    return table(
        "Down now",
        "One line for each target and region. Since is the first failing run, not its confirmation. Scope comes from the recording "
        "rules of alerting/prometheus, Finding from the re-checks.",
        [query(where, table=True), query(f"time() - max by (target, region) ({start})", table=True)],
        none="Nothing is down",
        sort=("For", False),
        transformations=[
            merge(),
            columns(("target", "Target"), ("region", "Region"), ("Value #A", "Since"), ("Value #B", "For"), ("scope", "Scope"),
                    ("reason", "Reason"), ("finding", "Finding"), ("evidence_url", "Evidence")),
        ],
        overrides=[
            by_name("Target", links=[to_target()]),
            by_name("Since", unit="dateTimeAsIsoNoDateIfToday"),
            by_name("For", unit="dtdurations", decimals=1),
            by_name("Reason", cellOptions=TEXT_COLOUR, color={"mode": "fixed", "fixedColor": colour.BAD}),
            by_name("Evidence", links=[TO_EVIDENCE], mappings=[EVIDENCE_WORD], width=110),
        ],
    )


def notices():
    told = f"max by (target, cause, action, next_update) ({series('probe_notice_info', CHOSEN)})"
    return table(
        "Notices", "What operators have said in notice_files: the cause, what is being done, and when the next word comes.",
        [query(told, table=True)],
        size=(12, 7), none="No notices",
        transformations=[columns(("target", "Target"), ("cause", "Cause"), ("action", "What is done"), ("next_update", "Next update"),
                                 hide=("Value",))],
        overrides=[by_name("Target", links=[to_target()])],
    )


def regions():
    return table(
        "Regions", "Who is watching: the share of targets up, how many are down, whether the region's anchors answer, and the age of "
        "its latest run. A region whose anchors do not answer is cut off: its targets keep their last verdict.",
        [
            query(f"avg by (region) ({UP})", table=True),
            query(f"count by (region) ({UP}) - sum by (region) ({UP})", table=True),
            query('min by (region) (probe_vantage_ok{region=~"$region"})', table=True),
            query(f"time() - max by (region) ({series('probe_last_run_timestamp_seconds', CHOSEN)})", table=True),
        ],
        size=(12, 7), none="No region reports",
        transformations=[
            merge(),
            columns(("region", "Region"), ("Value #A", "Targets up"), ("Value #B", "Down"), ("Value #C", "Anchors answer"),
                    ("Value #D", "Latest run")),
        ],
        overrides=[
            by_name("Targets up", unit="percentunit", decimals=1, min=0, max=1, cellOptions={"type": "gauge", "mode": "basic"},
                    thresholds=steps(colour.BAD, (0.5, colour.PARTLY), (0.95, colour.GOOD))),
            by_name("Down", thresholds=steps(colour.PLAIN, (1, colour.BAD)), cellOptions=TEXT_COLOUR, width=80),
            by_name("Anchors answer", mappings=[YES_NO], cellOptions=TEXT_COLOUR, width=130, noValue="not configured"),
            by_name("Latest run", unit="s", decimals=0, width=110, cellOptions=TEXT_COLOUR,
                    thresholds=steps(colour.PLAIN, (120, colour.PARTLY))),
        ],
    )


def states():
    down = f"sum by (target) (increase({series('probe_down_seconds_total', CHOSEN)}[$__range]))"
    return timeline(
        "Targets that were down", "States of the targets that were down at any time in this range, from any region; the 40 worst. "
        "Click a bar to look at the target.",
        [query(f"({state(CHOSEN)})\nand on (target) topk(40, {at_end(down)} > 0)", "{{target}}")],
        size=(24, 10), mappings=[STATE], none="No target was down in this range",
        links=[to_target("${__field.labels.target:percentencode}")],
    )


def outages_begun():
    return lines(
        "Outages begun", "Confirmed outages by target, those that began and ended between two scrapes too.",
        [query(f"sum by (target) (increase({series('probe_outages_total', CHOSEN)}[$__rate_interval])) > 0", "{{target}}")],
        bars=True, stacked=True, by_series_name=True, decimals=0, step="1m", none="No outage began in this range",
        links=[to_target("${__field.labels.target:percentencode}")],
    )


def reasons():
    return lines(
        "Failed runs by reason", "Every failed run, also those that were not confirmed as an outage. What each reason means, and what "
        "to look at first, is in the runbooks.",
        [query(f"sum by (reason) (increase({series('probe_failures_total', CHOSEN)}[$__rate_interval])) > 0", "{{reason}}")],
        bars=True, stacked=True, by_series_name=True, decimals=0, step="1m", none="No run failed in this range",
    )


def slowest():
    duration = series("probe_duration_seconds", CHOSEN)
    chosen = f"topk(10, avg by (target) (avg_over_time({duration}[$__range])))"
    return lines(
        "Slowest targets", "Seconds that a run took, name lookup and all, averaged over regions; the ten that were slowest in this "
        "range.",
        [query(f"avg by (target) (avg_over_time({duration}[$__interval]))\nand on (target) {at_end(chosen)}", "{{target}}")],
        size=(16, 9), unit="s", by_series_name=True, step="15s", legend_at="right", calcs=("mean", "max"), none="No run has ended",
        links=[to_target("${__field.labels.target:percentencode}")],
    )


def certificates():
    expiry = certificate_end(CHOSEN)
    return gauges(
        "Certificates that end soonest", "Time left until clients refuse the chain; negative once they do. Shown for "
        "refused chains too.",
        [query(f"sort(bottomk(10, min by (target) ({expiry}) - time()))", "{{target}}", instant=True)],
        size=(8, 9), unit="s", decimals=0, none="No target has a certificate", maximum=90 * 86400,
        thresholds={**CERTIFICATE_DAYS, "steps": [{**step, "value": step["value"] and step["value"] * 86400}
                                                  for step in CERTIFICATE_DAYS["steps"]]},
        links=[to_target("${__field.labels.target:percentencode}")],
    )
