"""One target: what it is, how it is, why, and the regions side by side."""

from . import colour
from .dashboard import Dashboard, Section, maintenance, outages, query_variable
from .panel import (BACKGROUND, CERTIFICATE_DAYS, DAYS, EVIDENCE_WORD, LENGTH, STATE, STATUS_CODES, TEXT_COLOUR, TO_EVIDENCE, TO_TRACE,
                    UPTIME, VERDICT, YES_NO, as_time, by_name, columns, fixed, gauges, heat, lines, merge, query, sort_by, stat, steps,
                    table, timeline, values)
from .promql import ONE, annotated, at_end, certificate_end, info, joined, optional, seconds, series, share, state

UP = series("probe_up", ONE)
INFO = series("probe_target_info", ONE)
# Whatever the prober: each has its own family of phases.
PHASES = f'{{__name__=~"probe_(http|tcp|dns|icmp|grpc|websocket)_duration_seconds",{ONE}}}'


def build():
    return Dashboard(
        "uptime-target",
        "Uptime: Target",
        "One target: phases, status codes, certificate, reasons, and the regions side by side. By uptime_exporter.",
        time_from="now-6h",
        variables=[
            query_variable("target", "Target", "What is watched.", "label_values(probe_target_info, target)"),
            query_variable("region", "Region", "From where it is watched: the label `region` that the exporters stamp.",
                           'label_values(probe_target_info{target="$target"}, region)', all_value=".*"),
        ],
        annotations=[outages(ONE), maintenance(ONE)],
        sections=[
            Section("", *numbers()),
            Section("Now", by_region(), clues(), notice(), changes(), what()),
            Section("Up and down", states(), why(), failures(), blips(), kinds_of_time()),
            Section("Latency", phases(), durations(), codes()),
            Section("Certificate", days_left(), chain(), tls()),
            Section("Distribution of latency", distribution(), collapsed=True),
            Section("Addresses of the name", addresses(), address_durations(), collapsed=True),
        ],
    )


def numbers():
    up = seconds("up", ONE, "$__range", "target")
    down = seconds("down", ONE, "$__range", "target")
    return [
        stat("State", "By all chosen regions together.", [query(state(ONE), instant=True)],
             mappings=[STATE], background=True, text="value", none="Unknown"),
        stat("Down for", "Since the first failing run of the present outage, from the region that saw it first.",
             [query(f"time() - min by (target) ({series('probe_outage_start_timestamp_seconds', ONE)})", instant=True)],
             unit=LENGTH, none="-", thresholds=steps(colour.PLAIN, (0, colour.BAD))),
        stat("Uptime", "Share of the confirmed time in this range that the target was up, over the chosen regions together. Time in "
             "maintenance and unknown time count on neither side.",
             [query(share(up, down), instant=True)], unit="percentunit", decimals=2, none="Not known", thresholds=UPTIME),
        stat("Outages", "Confirmed outages that began in this range, as the region that saw the most of them counted.",
             [query(f"round(max by (target) (increase({series('probe_outages_total', ONE)}[$__range])))", instant=True)],
             none="0", thresholds=steps(colour.PLAIN, (1, colour.PARTLY))),
        stat("Latency now", "Seconds that the last run took, averaged over regions.",
             [query(f"avg by (target) ({series('probe_duration_seconds', ONE)})")],
             unit="s", none="No run has ended", graph=True),
        stat("Certificate", "Days left until clients refuse the certificate chain.",
             [query(f"(min by (target) ({certificate_end(ONE)}) - time()) / 86400", instant=True)],
             unit=DAYS, decimals=0, none="None", thresholds=CERTIFICATE_DAYS),
    ]


def by_region():
    marked = f"(2 * (max by (target, region) ({series('probe_maintenance', ONE)}) == 1) or max by (target, region) ({UP}))"
    reason = annotated(marked, "probe_failure_info", ONE, "reason")
    reason = annotated(reason, "probe_diagnosis_info", ONE, "finding")
    reason = joined(reason, info(ONE, "evidence_url"), "evidence_url")
    return table(
        "Regions side by side", "The verdict of each region, why its last run failed if it did, and the link to the evidence: what "
        "the last good run, the first and the latest failing run, and the first good one after them saw.",
        [
            query(reason, table=True),
            query(f"1000 * max by (target, region) ({series('probe_outage_start_timestamp_seconds', ONE)})", table=True),
            query(f"max by (target, region) ({series('probe_http_status_code', ONE)})", table=True),
            query(f"max by (target, region) ({series('probe_duration_seconds', ONE)})", table=True),
            query(f"time() - max by (target, region) ({series('probe_last_run_timestamp_seconds', ONE)})", table=True),
        ],
        size=(24, 6), none="Nothing is confirmed yet", sort=("Region", False),
        transformations=[
            merge(),
            columns(("region", "Region"), ("Value #A", "State"), ("Value #B", "Down since"), ("reason", "Reason"),
                    ("finding", "Finding"), ("Value #C", "Status"), ("Value #D", "Latency"), ("Value #E", "Last run"),
                    ("evidence_url", "Evidence"), hide=("target",)),
        ],
        overrides=[
            by_name("State", mappings=[VERDICT], cellOptions=BACKGROUND, width=120),
            by_name("Region", width=120),
            by_name("Down since", unit="dateTimeAsIsoNoDateIfToday", width=180),
            by_name("Status", unit="none", mappings=STATUS_CODES, cellOptions=TEXT_COLOUR, width=90),
            by_name("Latency", unit="s", width=100),
            by_name("Last run", unit="s", decimals=0, width=110),
            by_name("Evidence", links=[TO_EVIDENCE], mappings=[EVIDENCE_WORD], width=110),
        ],
    )


def clues():
    found = f"1000 * max by (target, region) ({series('probe_outage_start_timestamp_seconds', ONE)})"
    for metric, labels in (("probe_explained_info", "by, parent"), ("probe_shared_cause_info", "kind, value"),
                           ("probe_path_info", "path_end, last_hop, hops"), ("probe_outage_trace_info", "trace_url")):
        found = annotated(found, metric, ONE, labels)
    return table(
        "What explains the outage", "What else each region found out while the target is down: the target that it stands behind and how "
        "that one is, the fact that it shares with others that are down, where the way to it ends, and the trace of the first failing run.",
        [query(found, table=True)],
        size=(24, 5), none="The target is not down",
        transformations=[columns(("region", "Region"), ("Value", "Down since"), ("by", "Behind"), ("parent", "Which is"), ("kind", "Shared"),
                                 ("value", "Cause"), ("path_end", "The way ends"), ("last_hop", "Last hop"), ("hops", "Hops"),
                                 ("trace_url", "Trace"), hide=("target",))],
        overrides=[
            by_name("Down since", unit="dateTimeAsIsoNoDateIfToday"),
            by_name("Hops", width=80),
            by_name("Trace", links=[TO_TRACE], mappings=[{"type": "regex", "options": {"pattern": ".+", "result": {"text": "Trace", "index": 0}}}],
                    width=100),
        ],
    )


def notice():
    told = f"max by (cause, action, next_update) ({series('probe_notice_info', ONE)})"
    return table(
        "Notice", "What operators have said about this target in notice_files.", [query(told, table=True)],
        size=(14, 5), none="No notice",
        transformations=[columns(("cause", "Cause"), ("action", "What is done"), ("next_update", "Next update"), hide=("Value",)),
                         as_time("Next update")],
        overrides=[by_name("Cause", wrapText=True), by_name("What is done", wrapText=True), by_name("Next update", width=190)],
    )


def changes():
    return table(
        "What changed last", "When the addresses, the certificate, the redirect target or the server header were last seen to change, "
        "in any chosen region: the first thing to hold against the start of an outage.",
        [query(f"1000 * max by (what) ({series('probe_last_change_timestamp_seconds', ONE)})", table=True)],
        size=(10, 5), none="No change was seen",
        transformations=[sort_by("Value"), columns(("what", "What"), ("Value", "When"))],
        overrides=[by_name("When", unit="dateTimeFromNow")],
    )


def what():
    told = f"max by (target, url, module, prober, interval, display_name) ({INFO})"
    return table(
        "What is probed", "How the target is configured.",
        [query(told, table=True), query(f"max by (target) ({series('probe_timeout_seconds', ONE)})", table=True),
         query(f"min by (target) ({series('probe_slow_threshold_seconds', ONE)})", table=True),
         query(f"max by (target) ({series('probe_slo_target_ratio', ONE)})", table=True)],
        size=(24, 4), none="No such target",
        transformations=[merge(), columns(("url", "URL"), ("module", "Module"), ("prober", "Prober"), ("interval", "Every"),
                                          ("Value #B", "Timeout"), ("Value #C", "Slow above"), ("Value #D", "Objective"),
                                          ("display_name", "Shown to customers as"), hide=("target", "Value #A"))],
        overrides=[by_name("URL", width=290), by_name("Shown to customers as", width=190), by_name("Timeout", unit="s"), by_name("Slow above", unit="s"),
                   by_name("Objective", unit="percentunit")],
    )


def states():
    shown = values(_0=("Down", colour.BAD), _1=("Up", colour.GOOD), _2=("Maintenance", colour.MAINTENANCE))
    return timeline(
        "Verdict by region", "Confirmed up or down as each region sees it. A gap is time in which nothing was reported.",
        [query(f"2 * (max by (region) ({series('probe_maintenance', ONE)}) == 1)\nor\nmin by (region) ({UP})", "{{region}}")],
        size=(24, 6), mappings=[shown], none="Nothing is confirmed in this range",
    )


def why():
    return timeline(
        "Reasons by region", "While the last run failed: why.",
        [query(f"max by (region, reason) ({series('probe_failure_info', ONE)}) == 1", "{{region}} {{reason}}")],
        size=(24, 6), mappings=[values(_1=("failing", colour.PARTLY))], none="No run failed in this range",
    )


def failures():
    return lines(
        "Failed runs by reason", "Every failed run, re-checks and those that were not confirmed as an outage too.",
        [query(f"sum by (reason) (increase({series('probe_failures_total', ONE)}[$__rate_interval])) > 0", "{{reason}}")],
        size=(10, 8), bars=True, stacked=True, by_series_name=True, decimals=0, step="1m", none="No run failed in this range",
    )


def blips():
    def begun(metric, word):
        return query(f"sum(increase({series(metric, ONE)}[$__rate_interval])) > 0", word)

    return lines(
        "Outages and blips", "Outages that began, and failures that were over before one was confirmed, of all chosen regions together.",
        [begun("probe_outages_total", "outages"), begun("probe_blips_total", "blips")],
        size=(7, 8), bars=True, stacked=True, decimals=0, step="1m", none="None in this range",
        overrides=[by_name("outages", color=fixed(colour.BAD)), by_name("blips", color=fixed(colour.NOTE))],
    )


def kinds_of_time():
    def of(kind, word):
        return query(f"sum(increase({series(f'probe_{kind}_seconds_total', ONE)}[$__range]))", word, instant=True)

    return gauges(
        "Where the time went", "Time in this range, added up over the chosen regions. Unknown is time in which nothing was confirmed.",
        [of("up", "Up"), of("down", "Down"), of("maintenance", "Maintenance"), of("unknown", "Unknown")],
        size=(7, 8), unit="s", decimals=1, none="No time has passed",
        overrides=[
            by_name("Up", color=fixed(colour.GOOD)),
            by_name("Down", color=fixed(colour.BAD)),
            by_name("Maintenance", color=fixed(colour.MAINTENANCE)),
            by_name("Unknown", color=fixed(colour.UNKNOWN)),
        ],
    )


def in_their_order(expression):
    """Prometheus sorts series by their labels, and a stack is drawn in that order: a label that comes before `phase` says which is first."""
    for n, phase in enumerate(colour.PHASES):
        expression = f'label_replace({expression}, "order", "{n}", "phase", "{phase}")'
    return expression


def phases():
    most = at_end(f"max by (target) (max_over_time({series('probe_duration_seconds', ONE)}[$__range]))")
    shades = [by_name(phase, color=fixed(shade)) for phase, shade in colour.PHASES.items()]
    return lines(
        "Phases of a run", "Where the time of a run goes, averaged over the chosen regions. A phase that was not reached has no sample, "
        "so a stack that ends early shows how far runs got. Dashed, where a run came near it: the target's slow_threshold.",
        [
            query(in_their_order(f"avg by (phase) (avg_over_time({PHASES}[$__interval]))"), "{{phase}}"),
            query(f"min by (target) ({series('probe_slow_threshold_seconds', ONE)})\n< on (target)\n2 * {most}", "slow_threshold"),
        ],
        size=(12, 9), unit="s", stacked=True, step="15s", none="No run has ended",
        overrides=[*shades, by_name("slow_threshold", color=fixed(colour.NOTE), fillOpacity=0, lineWidth=1,
                                    lineStyle={"fill": "dash", "dash": [8, 8]}, stacking={"mode": "none", "group": "threshold"})],
    )


def durations():
    return lines(
        "Latency by region", "Seconds that a run took, failed or not.",
        [query(f"avg by (region) (avg_over_time({series('probe_duration_seconds', ONE)}[$__interval]))", "{{region}}")],
        size=(12, 9), unit="s", step="15s", calcs=("mean", "max"), none="No run has ended",
    )


def codes():
    return timeline(
        "Status codes by region", "The HTTP status of the final response.",
        [query(f"max by (region) ({series('probe_http_status_code', ONE)})", "{{region}}")],
        size=(24, 6), mappings=STATUS_CODES, values_shown="auto", none="No HTTP response in this range",
    )


def days_left():
    return lines(
        "Days until the certificate ends", "By region: places that are served by different machines may show different certificates. A "
        "renewal is a jump upwards.",
        [query(f"(min by (region) ({certificate_end(ONE)}) - time()) / 86400", "{{region}}")],
        size=(7, 8), unit=DAYS, decimals=0, minimum=None, thresholds=steps(colour.BAD, (3, colour.PARTLY), (14, colour.GOOD)),
        none="No certificate was seen",
    )


def chain():
    told = f"max by (subject, issuer, subjectalternative) ({series('probe_ssl_last_chain_info', ONE)})"
    return table(
        "The peer's own certificate", "As the last run saw it, verified or not. Two lines: regions see different certificates.",
        [query(told, table=True)],
        size=(9, 8), none="No certificate was seen",
        transformations=[columns(("subject", "Subject"), ("subjectalternative", "Names"), ("issuer", "Issuer"), hide=("Value",))],
        overrides=[by_name(name, wrapText=True) for name in ("Subject", "Names", "Issuer")],
    )


def tls():
    told = joined(f"max by (target, region) ({series('probe_tls_version_info', ONE)})", optional("probe_tls_version_info", ONE, "version"),
                  "version")
    told = joined(told, optional("probe_tls_cipher_info", ONE, "cipher"), "cipher")
    return table(
        "TLS", "Version and cipher suite that the last run of each region agreed on.", [query(told, table=True)],
        size=(8, 8), none="No TLS",
        transformations=[columns(("region", "Region"), ("version", "Version"), ("cipher", "Cipher suite"), hide=("Value", "target"))],
        overrides=[by_name("Region", width=90), by_name("Version", width=90), by_name("Cipher suite", wrapText=True)],
    )


def distribution():
    return heat(
        "Latency", "How many runs took how long. Only for targets with latency_buckets.",
        [query(f"sum by (le) (increase({series('probe_latency_seconds_bucket', ONE)}[$__rate_interval]))", "{{le}}", heatmap=True)],
        none="The target has no latency_buckets",
    )


def addresses():
    reasons = optional("probe_address_failure_info", ONE, "reason", by=("target", "region", "address"), every="probe_address_success")
    return table(
        "Addresses", "Whether the last run succeeded at each address, and why not. Only for targets that are probed at several addresses "
        "(resolve: all, ip_protocol: both).",
        [query(joined(f"max by (target, region, address) ({series('probe_address_success', ONE)})", reasons, "reason",
                      by=("target", "region", "address")), table=True)],
        size=(12, 8), none="The target is probed at one address",
        transformations=[columns(("region", "Region"), ("address", "Address"), ("Value", "Succeeded"), ("reason", "Reason"),
                                 hide=("target",))],
        overrides=[by_name("Succeeded", mappings=[YES_NO], cellOptions=TEXT_COLOUR, width=110)],
    )


def address_durations():
    return lines(
        "Latency by address", "Seconds that a run took at each address, averaged over the chosen regions.",
        [query(f"avg by (address) ({series('probe_address_duration_seconds', ONE)})", "{{address}}")],
        size=(12, 8), unit="s", none="The target is probed at one address",
    )
