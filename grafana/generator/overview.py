"""What is down now, since when, why, and from where; and all targets with their states."""

from . import colour
from .dashboard import Dashboard, Section, group_variables, maintenance, outages, region_variable, target_variable
from .panel import (BACKGROUND, CERTIFICATE_DAYS, DAYS, EVIDENCE_WORD, LENGTH, STATE, STATUS_CODES, TEXT_COLOUR, TO_EVIDENCE, UPTIME,
                    VERDICT, YES_NO, as_time, by_name, columns, gauges, lines, merge, query, stat, steps, table, timeline, to_target, values)
from .promql import (CHOSEN, CHOSEN_RECORDED, annotated, at_end, certificate_end, info, joined, optional, outside_maintenance, seconds,
                     series, share, state, window)

UP = series("probe_up", CHOSEN)
INFO = series("probe_target_info", CHOSEN)
CERTIFICATE = f"(min by (target) ({certificate_end(CHOSEN)}) - time()) / 86400"
# Of the targets that are chosen, and those that are about no target but about the watchers.
EXPLAINED = 'ALERTS{alertstate="firing",alertname=~"TargetExplained|TargetInMaintenance"}'
FIRING = ('(ALERTS{alertstate="firing",severity!="none",target=~"($target)|"}'
          f' unless (ALERTS{{alertname=~"Target.+"}} and on (target) {EXPLAINED}))')
SHOWN_AT_ONCE = 50


def build():
    return Dashboard(
        "uptime-overview",
        "Uptime: Overview",
        "What is down now, since when, why and from where. By uptime_exporter.",
        time_from="now-6h",
        variables=[region_variable(), *group_variables(), target_variable()],
        annotations=[{**outages(CHOSEN), "enable": False}, {**maintenance(CHOSEN), "enable": False}],
        sections=[
            Section("", *counts()),
            Section("Now", down_now(), causes(), alerts(), notices(), regions()),
            Section("All targets", state_map(), every_target()),
            Section("In this range", states(), outages_begun(), reasons()),
            Section("Latency and certificates", slowest(), certificates()),
        ],
    )


def counts():
    """Few panels with several numbers each: on a phone every panel is as wide as the screen, and what is down is not to be far below."""
    def number(name, expression):
        return query(expression, name, instant=True)

    def count(name, expression):
        return number(name, f"count({expression}) or vector(0)")

    def coloured(name, base, *pairs):
        return by_name(name, thresholds=steps(base, *pairs))

    def begun(metric):
        return f"sum(round(max by (target) (sum by (target, region) (increase({series(metric, CHOSEN)}[$__range])))))"

    up, down = (seconds(kind, CHOSEN, "$__range", "target") for kind in ("up", "down"))
    return [
        stat("Failing or slow", "Targets outside maintenance that are down from every region that reports, or from some; and those whose last "
             "run took longer than their own slow_threshold.",
             [
                 count("Down", outside_maintenance(f"max by (target) ({UP}) == 0", CHOSEN)),
                 count("From some", outside_maintenance(f"min by (target) ({UP}) == 0 and max by (target) ({UP}) == 1", CHOSEN)),
                 count("Slow", f"count by (target) ({series('probe_duration_seconds', CHOSEN)} > {series('probe_slow_threshold_seconds', CHOSEN)})"),
             ],
             size=(6, 4), text="value_and_name", title_size=13,
             overrides=[coloured("Down", colour.GOOD, (1, colour.BAD)), coloured("From some", colour.GOOD, (1, colour.PARTLY)),
                        coloured("Slow", colour.PLAIN, (1, colour.NOTE))]),
        stat("Other targets", "Targets in maintenance, where nobody is paged; those of which nothing is confirmed; and those that are up from "
             "every region that reports.",
             [
                 count("Maintenance", window(CHOSEN)),
                 count("Unknown", f"count by (target) ({INFO}) unless on (target) count by (target) ({UP})"),
                 count("Up", outside_maintenance(f"min by (target) ({UP}) == 1", CHOSEN)),
             ],
             size=(6, 4), text="value_and_name", title_size=13,
             overrides=[coloured("Maintenance", colour.PLAIN, (1, colour.MAINTENANCE)), coloured("Unknown", colour.PLAIN, (1, colour.UNKNOWN))]),
        stat("In this range", "Uptime: the share of the confirmed time that targets were up, averaged over targets, from all chosen regions; "
             "maintenance and unknown time count on neither side. Outages that began, and blips (failures that were over before an outage was "
             "confirmed): of each target as many as the region counted that saw the most.",
             [number("Uptime", f"avg({share(up, down)})"), number("Outages", begun("probe_outages_total")),
              number("Blips", begun("probe_blips_total"))],
             size=(6, 4), text="value_and_name", none="-", title_size=13,
             overrides=[
                 by_name("Uptime", unit="percentunit", decimals=2, thresholds=UPTIME),
                 coloured("Outages", colour.PLAIN, (1, colour.PARTLY)),
             ]),
        stat("Look at", "Alerts that fire, listed below; targets whose certificate chain has ended or ends within 14 days; regions that report "
             "(one that falls silent is missed here, and by the alert VantageLost).",
             [count("Alerts", FIRING), count("Certificates", f"{CERTIFICATE} < 14"), count("Regions", f"count by (region) ({INFO})")],
             size=(6, 4), text="value_and_name", title_size=13,
             overrides=[coloured("Alerts", colour.GOOD, (1, colour.BAD)), coloured("Certificates", colour.PLAIN, (1, colour.PARTLY))]),
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
            by_name("For", unit=LENGTH),
            by_name("Down", thresholds=steps(colour.PLAIN, (1, colour.BAD)), cellOptions=TEXT_COLOUR, width=100),
            by_name("Good", width=100),
            by_name("Regions", width=100),
        ],
    )


def down_now():
    start = series("probe_outage_start_timestamp_seconds", CHOSEN)
    where = f"max by (target, region) ({start}) * 1000"
    where = annotated(where, "probe_failure_info", CHOSEN, "reason")
    where = annotated(where, "probe_diagnosis_info", CHOSEN, "finding")
    where = joined(where, optional("target:probe_scope:info", CHOSEN_RECORDED, "scope", by=("target",)), "scope", by=("target",))
    where = annotated(where, "probe_explained_info", CHOSEN, "by")
    where = annotated(where, "probe_shared_cause_info", CHOSEN, "value")
    where = joined(where, info(CHOSEN, "evidence_url"), "evidence_url")
    marked = f"2 * (max by (target, region) ({series('probe_maintenance', CHOSEN)}) == 1) or max by (target, region) ({UP})"
    return table(
        "Down now",
        "One line for each target and region; those in maintenance are marked. Since is the first failing run, not its confirmation. Scope "
        "comes from the recording rules of alerting/prometheus, Finding from the re-checks; Behind is the target that explains the outage, "
        "and Shared the fact that several outages have in common.",
        [query(where, table=True), query(f"time() - max by (target, region) ({start})", table=True),
         query(f"({marked}) and on (target, region) {start}", table=True)],
        size=(24, 10), none="Nothing is down",
        sort=("For", False),
        transformations=[
            merge(),
            columns(("target", "Target"), ("Value #C", "State"), ("Value #B", "For"), ("reason", "Reason"), ("region", "Region"),
                    ("scope", "Scope"), ("finding", "Finding"), ("by", "Behind"), ("value", "Shared"), ("Value #A", "Since"),
                    ("evidence_url", "Evidence")),
        ],
        overrides=[
            by_name("Target", links=[to_target()]),
            by_name("State", mappings=[VERDICT], cellOptions=BACKGROUND, width=110),
            by_name("Region", width=100),
            by_name("Since", unit="dateTimeAsIsoNoDateIfToday", width=160),
            by_name("For", unit=LENGTH, width=110),
            by_name("Scope", width=110),
            by_name("Finding", width=150),
            by_name("Behind", width=120),
            by_name("Shared", width=130),
            by_name("Reason", width=140, cellOptions=TEXT_COLOUR, color={"mode": "fixed", "fixedColor": colour.BAD}),
            by_name("Evidence", links=[TO_EVIDENCE], mappings=[EVIDENCE_WORD], width=95),
        ],
    )


def alerts():
    labels = "alertname, target, severity, value"
    return table(
        "Alerts that fire", "Of the rules of alerting/prometheus, and any others of this Prometheus that are about a target or none; without "
        "those about targets that are in maintenance or behind another that is down.",
        [query(f"max by ({labels}) ({FIRING})", table=True),
         query(f"1000 * min by ({labels}) (ALERTS_FOR_STATE and ignoring (alertstate) {FIRING})", table=True)],
        size=(12, 8), none="No alert fires", sort=("Since", True),
        transformations=[merge(), columns(("alertname", "Alert"), ("target", "Target"), ("value", "Cause"), ("severity", "Severity"),
                                          ("Value #B", "Since"), hide=("Value #A",))],
        overrides=[
            by_name("Target", links=[to_target()], wrapText=True),
            by_name("Cause", width=110, wrapText=True),
            by_name("Severity", width=90),
            by_name("Since", unit="dateTimeAsIsoNoDateIfToday", width=160),
        ],
    )


def notices():
    told = f"max by (target, cause, action, next_update) ({series('probe_notice_info', CHOSEN)})"
    return table(
        "Notices", "What operators have said in notice_files: the cause, what is being done, and when the next word comes.",
        [query(told, table=True)],
        size=(12, 8), none="No notices",
        transformations=[columns(("target", "Target"), ("cause", "Cause"), ("action", "What is done"), ("next_update", "Next update"),
                                 hide=("Value",)), as_time("Next update")],
        overrides=[by_name("Target", links=[to_target()], width=120, wrapText=True), by_name("Cause", wrapText=True), by_name("What is done", wrapText=True),
                   by_name("Next update", width=190)],
    )


def regions():
    down = f"count by (region) ({UP} == 0 unless on (target, region) {series('probe_maintenance', CHOSEN)} == 1) or 0 * count by (region) ({UP})"
    name = optional("probe_vantage_info", 'region=~"$region"', "region_name", by=("region",))
    return table(
        "Regions", "Who is watching: the share of targets up, how many are down outside maintenance, whether the region's anchors and name "
        "servers answer, and the age of its latest run. A region whose anchors do not answer is cut off: its targets keep their last verdict.",
        [
            query(joined(f"count by (region) ({INFO})", name, "region_name", by=("region",)), table=True),
            query(f"avg by (region) ({UP})", table=True),
            query(down, table=True),
            query('min by (region) (probe_vantage_ok{region=~"$region"})', table=True),
            query('min by (region) (probe_resolver_ok{region=~"$region"}) or 1 + 0 * max by (region) (probe_vantage_ok{region=~"$region"})', table=True),
            query(f"time() - max by (region) ({series('probe_last_run_timestamp_seconds', CHOSEN)})", table=True),
        ],
        size=(24, 6), none="No region reports",
        transformations=[
            merge(),
            columns(("region", "Region"), ("region_name", "As customers know it"), ("Value #A", "Targets"), ("Value #B", "Targets up"),
                    ("Value #C", "Down"), ("Value #D", "Anchors answer"), ("Value #E", "Names resolve"), ("Value #F", "Latest run")),
        ],
        overrides=[
            by_name("Targets", width=100),
            by_name("Targets up", unit="percentunit", decimals=1, min=0, max=1, cellOptions={"type": "gauge", "mode": "basic"},
                    thresholds=steps(colour.BAD, (0.5, colour.PARTLY), (0.95, colour.GOOD))),
            by_name("Down", thresholds=steps(colour.PLAIN, (1, colour.BAD)), cellOptions=TEXT_COLOUR, width=100),
            by_name("Anchors answer", mappings=[YES_NO], cellOptions=TEXT_COLOUR, width=150, noValue="not configured"),
            by_name("Names resolve", mappings=[YES_NO], cellOptions=TEXT_COLOUR, width=150, noValue="not known"),
            by_name("Latest run", unit="s", decimals=0, width=110, cellOptions=TEXT_COLOUR,
                    thresholds=steps(colour.PLAIN, (120, colour.PARTLY))),
        ],
    )


def state_map():
    return stat(
        "Map of states", "A tile for each target, by name; the 200 worst. Click one to look at the target.",
        [query(f"topk(200, {state(CHOSEN)})", "{{target}}", instant=True)],
        size=(24, 6), mappings=[STATE], background=True, text="value_and_name", none="No target", wide=False, title_size=12,
        links=[to_target("${__field.labels.target:percentencode}")],
    )


def every_target():
    up, down = (seconds(kind, CHOSEN, "$__range", "target") for kind in ("up", "down"))
    return table(
        "All targets", "Each target over all chosen regions: its state, the worst first; uptime and outages in this range; of the latest run "
        "the latency (the slowest region), the HTTP status (the highest) and the days until clients refuse the certificate.",
        [
            query(state(CHOSEN), table=True),
            query(share(up, down), table=True),
            query(f"round(max by (target) (sum by (target, region) (increase({series('probe_outages_total', CHOSEN)}[$__range]))))", table=True),
            query(f"max by (target) ({series('probe_duration_seconds', CHOSEN)})", table=True),
            query(f"max by (target) ({series('probe_duration_seconds', CHOSEN)} > bool {series('probe_slow_threshold_seconds', CHOSEN)})", table=True),
            query(f"max by (target) ({series('probe_http_status_code', CHOSEN)})", table=True),
            query(CERTIFICATE, table=True),
            query(f"time() - min by (target) ({series('probe_last_run_timestamp_seconds', CHOSEN)})", table=True),
        ],
        size=(24, 12), none="No target", sort=("State", True), filterable=True,
        transformations=[
            merge(),
            columns(("target", "Target"), ("Value #A", "State"), ("Value #B", "Uptime"), ("Value #C", "Outages"), ("Value #D", "Latency"),
                    ("Value #E", "Slow"), ("Value #F", "Status"), ("Value #G", "Certificate"), ("Value #H", "Last run")),
        ],
        overrides=[
            by_name("Target", links=[to_target()]),
            by_name("State", mappings=[STATE], cellOptions=BACKGROUND, width=200),
            by_name("Uptime", unit="percentunit", decimals=2, cellOptions=TEXT_COLOUR, thresholds=UPTIME),
            by_name("Outages", decimals=0, cellOptions=TEXT_COLOUR, thresholds=steps(colour.PLAIN, (1, colour.PARTLY))),
            by_name("Latency", unit="s"),
            by_name("Slow", mappings=[values(_0=("no", colour.PLAIN), _1=("slow", colour.NOTE))], cellOptions=TEXT_COLOUR),
            by_name("Status", unit="none", mappings=STATUS_CODES, cellOptions=TEXT_COLOUR),
            by_name("Certificate", unit=DAYS, decimals=0, cellOptions=TEXT_COLOUR, thresholds=CERTIFICATE_DAYS),
            by_name("Last run", unit="s", decimals=0, cellOptions=TEXT_COLOUR, thresholds=steps(colour.PLAIN, (120, colour.PARTLY))),
        ],
    )


def states():
    down = f"sum by (target) (increase({series('probe_down_seconds_total', CHOSEN)}[$__range]))"
    return timeline(
        "States", f"What the targets were in this range, from all chosen regions together; the {SHOWN_AT_ONCE} that were down the longest. "
        "Click a bar to look at the target.",
        [query(f"({state(CHOSEN)})\nand on (target) topk({SHOWN_AT_ONCE}, {at_end(down)})", "{{target}}")],
        size=(24, 14), mappings=[STATE], none="No target in this range",
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
    return gauges(
        "Certificates that end soonest", "Days until clients refuse the chain; negative once they do. Shown for refused chains too.",
        [query(f"sort(bottomk(10, {CERTIFICATE}))", "{{target}}", instant=True)],
        size=(8, 9), unit=DAYS, decimals=0, none="No target has a certificate", maximum=90, thresholds=CERTIFICATE_DAYS,
        links=[to_target("${__field.labels.target:percentencode}")],
    )
