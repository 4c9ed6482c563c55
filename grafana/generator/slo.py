"""Objectives and the report: uptime and reachability, budgets, outages, time to recover, the worst targets.

Two definitions, side by side, because each hides what the other shows. Uptime is the share of minutes in which the target was up for
most (recorded as target:up:bool by alerting/prometheus): a regional outage is invisible in it. Reachability is the share of runs
that succeeded: with many regions, an outage of one is a fraction of it.
"""

from . import colour
from .dashboard import Dashboard, Section, group_variables, maintenance, outages, region_variable, target_variable
from .panel import (LEAST, LENGTH, TEXT_COLOUR, UPTIME, by_name, columns, days, gauges, lines, merge, query, span, stat, steps, table,
                    to_target)
from .promql import CHOSEN, CHOSEN_RECORDED, at_end, seconds, series, share

VERDICT = series("target:up:bool", CHOSEN_RECORDED)
RUNS = series("probe_runs_total", CHOSEN)
GOOD_RUNS = series("probe_runs_total", CHOSEN, 'result="success"')
OUTAGES = series("probe_outages_total", CHOSEN)
NO_RULES = "No history: are the recording rules of alerting/prometheus loaded?"
# What a target's slo: says, and for the others what the dashboard's variable says.
OBJECTIVE = (f"(max by (target) ({series('probe_slo_target_ratio', CHOSEN)})"
             f" or on (target) max by (target) ({series('probe_target_info', CHOSEN)}) * $slo)")


def build():
    return Dashboard(
        "uptime-slo",
        "Uptime: SLO and report",
        "Uptime and reachability, error budgets, outages, time to recover, and the worst targets. By uptime_exporter.",
        time_from="now-30d",
        refresh="5m",
        variables=[region_variable(), *group_variables(), target_variable(), objective()],
        annotations=[{**outages(CHOSEN), "enable": False}, {**maintenance(CHOSEN), "enable": False}],
        sections=[
            Section("", *numbers()),
            Section("By target", by_target()),
            Section("Error budget", burn(), budget(), by_day()),
            Section("The worst", worst_down(), worst_outages(), worst_reasons()),
            Section("By region", reachability_by_region(), uptime_by_region(), outages_by_day()),
        ],
    )


def objective():
    choices = ["0.99", "0.995", "0.999", "0.9995", "0.9999"]
    return {
        "name": "slo",
        "label": "Objective",
        "description": "For targets that have no slo: of their own.",
        "type": "custom",
        "query": ",".join(choices),
        "includeAll": False,
        "multi": False,
        "hide": 0,
        "current": {"text": "0.999", "value": "0.999", "selected": True},
        "options": [{"text": choice, "value": choice, "selected": choice == "0.999"} for choice in choices],
    }


def uptime(window="$__range"):
    return f"avg by (target) (avg_over_time({VERDICT}[{window}]))"


def reachability(by):
    return (f"sum by ({by}) (increase({GOOD_RUNS}[$__range]))\n/\n(sum by ({by}) (increase({RUNS}[$__range])) > 0)")


def recovery(by):
    """Seconds that an outage lasted on average, as each region saw it."""
    lasted = seconds("down", CHOSEN, "$__range", by)
    return f"{lasted}\n/\n(sum by ({by}) (increase({OUTAGES}[$__range])) > 0)"


def used(window):
    """Share of the error budget that is used: 1 is all of it."""
    return f"(1 - {uptime(window)})\n/ on (target)\n(1 - {OBJECTIVE})"


def numbers():
    return [
        stat("Uptime", "Share of the minutes in which a target was up for most, averaged over targets. Without maintenance.",
             [query(f"avg({uptime()})", instant=True)], unit="percentunit", decimals=2, thresholds=UPTIME, none="No rules loaded"),
        stat("Reachability", "Share of all runs, from all chosen regions, that succeeded.",
             [query(f"sum(increase({GOOD_RUNS}[$__range]))\n/\nsum(increase({RUNS}[$__range]))", instant=True)],
             unit="percentunit", decimals=2, thresholds=UPTIME, none="No runs"),
        stat("Budgets used up", "Targets that have used more than their error budget for this range.",
             [query(f"count({used('$__range')} > 1) or vector(0)", instant=True)],
             thresholds=steps(colour.GOOD, (1, colour.BAD))),
        stat("Outages", "Confirmed outages that began in this range: of each target as many as the region counted that saw the most.",
             [query(f"sum(round(max by (target) (sum by (target, region) (increase({OUTAGES}[$__range])))))", instant=True)],
             none="0"),
        stat("Time to recover", "Seconds that an outage lasted on average, from its first failing run to its end.",
             [query(recovery(""), instant=True)], unit="s", decimals=1, none="No outage ended"),
        stat("Downtime", "Time that targets were down, of each target as seen by the region that saw the most, added up.",
             [query(f"sum(max by (target) ({seconds('down', CHOSEN, '$__range', 'target, region')}))", instant=True)],
             unit="s", decimals=1, none="None"),
    ]


def by_target():
    def most(kind):
        return f"max by (target) ({seconds(kind, CHOSEN, '$__range', 'target, region')})"

    return table(
        "Report", "Uptime: share of minutes up for most. Reachability: share of runs that succeeded. Budget used: of the time that the "
        "objective lets the target be down in this range; Over: how many times the budget that was, if more than once. Outages and times "
        "are of the region that saw the most; maintenance and unknown time count against nobody.",
        [
            query(OBJECTIVE, table=True),
            query(uptime(), table=True),
            query(reachability("target"), table=True),
            query(f"clamp({used('$__range')}, 0, 1)", table=True),
            query(f"round(max by (target) (sum by (target, region) (increase({OUTAGES}[$__range]))))", table=True),
            query(most("down"), table=True),
            query(recovery("target"), table=True),
            query(most("maintenance"), table=True),
            query(most("unknown"), table=True),
            query(f"{used('$__range')} > 1", table=True),
        ],
        size=(24, 10), none="No target", sort=("Over", True),
        transformations=[
            merge(),
            columns(("target", "Target"), ("Value #A", "Objective"), ("Value #B", "Uptime"), ("Value #C", "Reachability"),
                    ("Value #D", "Budget used"), ("Value #J", "Over"), ("Value #E", "Outages"), ("Value #F", "Downtime"), ("Value #G", "Time to recover"),
                    ("Value #H", "Maintenance"), ("Value #I", "Unknown")),
        ],
        overrides=[
            by_name("Target", links=[to_target()]),
            by_name("Objective", unit="percentunit", width=100),
            by_name("Uptime", width=100, unit="percentunit", decimals=3, cellOptions=TEXT_COLOUR, thresholds=UPTIME),
            by_name("Reachability", width=120, unit="percentunit", decimals=3, cellOptions=TEXT_COLOUR, thresholds=UPTIME),
            by_name("Budget used", width=170, unit="percentunit", decimals=0, min=0, max=1, cellOptions={"type": "gauge", "mode": "basic"},
                    thresholds=steps(colour.GOOD, (0.5, colour.NOTE), (1, colour.BAD)), mappings=[span(1, 1, colour.BAD, "all")]),
            by_name("Over", width=110, unit="suffix:times", decimals=1, cellOptions=TEXT_COLOUR, thresholds=steps(colour.PLAIN, (1, colour.BAD))),
            by_name("Outages", decimals=0, width=90),
            *[by_name(name, unit=LENGTH, width=140) for name in ("Downtime", "Time to recover", "Maintenance", "Unknown")],
        ],
    )


def burn():
    shown = at_end(f"topk(10, {used('$__range')} > 0)")
    return lines(
        "Burn rate, over an hour", "How fast the error budget goes: at 1 it is used up exactly as the objective's period ends. Pages "
        "are sent at 14.4 over an hour, and at 6 over six hours. The ten targets that used the most in this range.",
        [query(f"({used('1h')})\nand on (target) {shown}", "{{target}}")],
        size=(12, 9), unit="suffix:times", by_series_name=True, thresholds=steps(colour.GOOD, (6, colour.PARTLY), (14.4, colour.BAD)),
        none=NO_RULES, links=[to_target("${__field.labels.target:percentencode}")],
    )


def budget():
    return gauges(
        "Error budget left", "For how long each target may still be down before its objective for this range is missed; the ten with the "
        "least. Negative: it was missed by so much.",
        [query(f"sort(bottomk(10, $__range_s * ({uptime()} - on (target) {OBJECTIVE})))", "{{target}}", instant=True)],
        size=(12, 9), unit="s", decimals=1, none=NO_RULES, thresholds=steps(colour.PLAIN, (LEAST, colour.BAD), (0, colour.GOOD)),
        links=[to_target("${__field.labels.target:percentencode}")],
    )


def by_day():
    worst = f"bottomk(20, {at_end(uptime())})"
    return days(
        "Uptime by day", "A box a day: the share of minutes up for most. The twenty targets with the least uptime in this range.",
        [query(f"avg by (target) (avg_over_time({VERDICT}[1d] offset -1d))\nand on (target) {worst}", "{{target}}", step="1d")],
        size=(24, 9), none=NO_RULES, time_from=None,
    )


def worst_down():
    down = seconds("down", CHOSEN, "$__range", "target, region")
    return gauges(
        "Longest down", "Time down in this range, as the region saw it that saw the most.",
        [query(f"topk(10, max by (target) ({down}) > 0)", "{{target}}", instant=True)],
        unit="s", decimals=1, none="Nothing was down", thresholds=steps(colour.PLAIN, (0, colour.BAD)),
        links=[to_target("${__field.labels.target:percentencode}")],
    )


def worst_outages():
    return gauges(
        "Most outages", "Confirmed outages that began in this range, as the region saw them that saw the most.",
        [query(f"topk(10, round(max by (target) (sum by (target, region) (increase({OUTAGES}[$__range])))) > 0)", "{{target}}", instant=True)],
        unit="none", decimals=0, none="No outage began", thresholds=steps(colour.PLAIN, (0, colour.PARTLY)),
        links=[to_target("${__field.labels.target:percentencode}")],
    )


def worst_reasons():
    return gauges(
        "Commonest reasons", "Failed runs in this range by reason.",
        [query(f"topk(10, sum by (reason) (increase({series('probe_failures_total', CHOSEN)}[$__range])) > 0)", "{{reason}}", instant=True)],
        unit="short", decimals=0, none="No run failed", by_series_name=True,
    )


def reachability_by_region():
    return gauges(
        "Reachability by region", "Share of the runs from each region that succeeded.",
        [query(f"sort({reachability('region')})", "{{region}}", instant=True)],
        unit="percentunit", decimals=3, none="No runs", maximum=1, thresholds=UPTIME,
    )


def uptime_by_region():
    up = seconds("up", CHOSEN, "$__range", "region")
    down = seconds("down", CHOSEN, "$__range", "region")
    return gauges(
        "Uptime by region", "Share of the confirmed time that targets were up, as each region saw them: where it is much lower than "
        "elsewhere, look at the way from there.",
        [query(f"sort({share(up, down)})", "{{region}}", instant=True)],
        unit="percentunit", decimals=3, none="Nothing is confirmed", maximum=1, thresholds=UPTIME,
    )


def outages_by_day():
    return lines(
        "Outages begun by day", "Of each target as many as the region counted that saw the most.",
        [query(f"sum(round(max by (target) (sum by (target, region) (increase({OUTAGES}[1d] offset -1d)))))", "Outages", step="1d")],
        size=(8, 8), unit="none", bars=True, decimals=0, step="1d", none="No outage began",
        overrides=[by_name("Outages", color={"mode": "fixed", "fixedColor": colour.PARTLY})],
    )
