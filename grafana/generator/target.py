"""One target: what it is, how it is, why, and the regions side by side."""

from . import colour
from .dashboard import Dashboard, Section, maintenance, outages, query_variable
from .panel import (BACKGROUND, CERTIFICATE_DAYS, EVIDENCE_WORD, STATE, STATUS_CODES, TEXT_COLOUR, TO_EVIDENCE, UPTIME, VERDICT,
                    YES_NO, by_name, columns, fixed, gauges, heat, lines, merge, query, sort_by, stat, steps, table, timeline,
                    values)
from .promql import ONE, certificate_end, info, joined, optional, seconds, series, share, state

UP = series("probe_up", ONE)
INFO = series("probe_target_info", ONE)
# Whatever the prober: each has its own family of phases.
PHASES = f'{{__name__=~"probe_(http|tcp|dns|icmp|grpc)_duration_seconds",{ONE}}}'


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
            Section("Now", by_region(), notice(), changes(), what()),
            Section("Up and down", states(), why(), failures(), kinds_of_time()),
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
             unit="s", decimals=1, none="Not down", thresholds=steps(colour.PLAIN, (0, colour.BAD))),
        stat("Uptime", "Share of the confirmed time in this range that the target was up, over the chosen regions together. Time in "
             "maintenance and unknown time count on neither side.",
             [query(share(up, down), instant=True)], unit="percentunit", decimals=3, none="Not known", thresholds=UPTIME),
        stat("Outages", "Confirmed outages that began in this range, as the region that saw the most of them counted.",
             [query(f"round(max by (target) (increase({series('probe_outages_total', ONE)}[$__range])))", instant=True)],
             none="0", thresholds=steps(colour.PLAIN, (1, colour.PARTLY))),
        stat("Latency now", "Seconds that the last run took, averaged over regions.",
             [query(f"avg by (target) ({series('probe_duration_seconds', ONE)})")],
             unit="s", none="No run has ended", graph=True),
        stat("Certificate", "Time left until clients refuse the certificate chain.",
             [query(f"(min by (target) ({certificate_end(ONE)}) - time()) / 86400", instant=True)],
             unit="d", decimals=1, none="None", thresholds=CERTIFICATE_DAYS),
    ]


def by_region():
    reason = joined(f"max by (target, region) ({UP})", optional("probe_failure_info", ONE, "reason"), "reason")
    reason = joined(reason, optional("probe_diagnosis_info", ONE, "finding"), "finding")
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
        size=(24, 6), none="Nothing is confirmed yet",
        transformations=[
            merge(),
            columns(("region", "Region"), ("Value #A", "State"), ("Value #B", "Down since"), ("reason", "Reason"),
                    ("finding", "Finding"), ("Value #C", "Status"), ("Value #D", "Latency"), ("Value #E", "Last run"),
                    ("evidence_url", "Evidence"), hide=("target",)),
        ],
        overrides=[
            by_name("State", mappings=[VERDICT], cellOptions=BACKGROUND, width=90),
            by_name("Down since", unit="dateTimeAsIsoNoDateIfToday"),
            by_name("Status", unit="none", mappings=STATUS_CODES, cellOptions=TEXT_COLOUR, width=90),
            by_name("Latency", unit="s", width=100),
            by_name("Last run", unit="s", decimals=0, width=100),
            by_name("Evidence", links=[TO_EVIDENCE], mappings=[EVIDENCE_WORD], width=110),
        ],
    )


def notice():
    told = f"max by (cause, action, next_update) ({series('probe_notice_info', ONE)})"
    return table(
        "Notice", "What operators have said about this target in notice_files.", [query(told, table=True)],
        size=(8, 5), none="No notice",
        transformations=[columns(("cause", "Cause"), ("action", "What is done"), ("next_update", "Next update"), hide=("Value",))],
    )


def changes():
    return table(
        "What changed last", "When the addresses, the certificate, the redirect target or the server header were last seen to change, "
        "in any chosen region: the first thing to hold against the start of an outage.",
        [query(f"1000 * max by (what) ({series('probe_last_change_timestamp_seconds', ONE)})", table=True)],
        size=(8, 5), none="No change was seen",
        transformations=[sort_by("Value"), columns(("what", "What"), ("Value", "When"))],
        overrides=[by_name("When", unit="dateTimeFromNow")],
    )


def what():
    told = f"max by (url, module, prober, interval, display_name) ({INFO})"
    return table(
        "What is probed", "How the target is configured.", [query(told, table=True)],
        size=(8, 5), none="No such target",
        transformations=[columns(("url", "URL"), ("module", "Module"), ("prober", "Prober"), ("interval", "Every"),
                                 ("display_name", "Shown to customers as"), hide=("Value",))],
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
        [query(f"max by (region, reason) ({series('probe_failure_info', ONE)})", "{{region}} {{reason}}")],
        size=(24, 6), mappings=[values(_1=("failing", colour.PARTLY))], none="No run failed in this range",
    )


def failures():
    return lines(
        "Failed runs by reason", "Every failed run, re-checks and those that were not confirmed as an outage too.",
        [query(f"sum by (reason) (increase({series('probe_failures_total', ONE)}[$__rate_interval])) > 0", "{{reason}}")],
        size=(16, 8), bars=True, stacked=True, by_series_name=True, decimals=0, step="1m", none="No run failed in this range",
    )


def kinds_of_time():
    def of(kind, word):
        return query(f"sum(increase({series(f'probe_{kind}_seconds_total', ONE)}[$__range]))", word, instant=True)

    return gauges(
        "Where the time went", "Time in this range, added up over the chosen regions. Unknown is time in which nothing was confirmed.",
        [of("up", "Up"), of("down", "Down"), of("maintenance", "Maintenance"), of("unknown", "Unknown")],
        size=(8, 8), unit="s", decimals=1, none="No time has passed",
        overrides=[
            by_name("Up", color=fixed(colour.GOOD)),
            by_name("Down", color=fixed(colour.BAD)),
            by_name("Maintenance", color=fixed(colour.MAINTENANCE)),
            by_name("Unknown", color=fixed(colour.UNKNOWN)),
        ],
    )


def phases():
    shades = [by_name(phase, color=fixed(shade)) for phase, shade in colour.PHASES.items()]
    return lines(
        "Phases of a run", "Where the time of a run goes, averaged over the chosen regions. A phase that was not reached has no sample, "
        "so a stack that ends early shows how far runs got. Dashed: the target's slow_threshold.",
        [
            query(f"avg by (phase) (avg_over_time({PHASES}[$__interval]))", "{{phase}}"),
            query(f"min by (target) ({series('probe_slow_threshold_seconds', ONE)})", "slow_threshold"),
        ],
        size=(12, 9), unit="s", stacked=True, step="15s", none="No run has ended",
        overrides=[*shades, by_name("slow_threshold", color=fixed(colour.NOTE), fillOpacity=0, lineWidth=1,
                                    lineStyle={"fill": "dash", "dash": [8, 8]}, stacking={"mode": "none", "group": "threshold"})],
    )


def durations():
    return lines(
        "Latency by region", "Seconds that a run took, failed or not.",
        [query(f"avg by (region) (avg_over_time({series('probe_duration_seconds', ONE)}[$__interval]))", "{{region}}")],
        size=(12, 9), unit="s", by_series_name=True, step="15s", calcs=("mean", "max"), none="No run has ended",
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
        size=(8, 8), unit="d", by_series_name=True, minimum=None, thresholds=steps(colour.BAD, (3, colour.PARTLY), (14, colour.GOOD)),
        none="No certificate was seen",
    )


def chain():
    told = f"max by (subject, issuer, subjectalternative, serialnumber) ({series('probe_ssl_last_chain_info', ONE)})"
    return table(
        "The peer's own certificate", "As the last run saw it, verified or not. Two lines: regions see different certificates.",
        [query(told, table=True)],
        size=(10, 8), none="No certificate was seen",
        transformations=[columns(("subject", "Subject"), ("subjectalternative", "Names"), ("issuer", "Issuer"),
                                 ("serialnumber", "Serial number"), hide=("Value",))],
    )


def tls():
    told = joined(f"max by (target, region) ({series('probe_tls_version_info', ONE)})", optional("probe_tls_version_info", ONE, "version"),
                  "version")
    told = joined(told, optional("probe_tls_cipher_info", ONE, "cipher"), "cipher")
    return table(
        "TLS", "Version and cipher suite that the last run of each region agreed on.", [query(told, table=True)],
        size=(6, 8), none="No TLS",
        transformations=[columns(("region", "Region"), ("version", "Version"), ("cipher", "Cipher suite"), hide=("Value", "target"))],
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
        size=(12, 8), unit="s", by_series_name=True, none="The target is probed at one address",
    )
