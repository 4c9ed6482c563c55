"""The exporters themselves: are they on time, what does a probe cost, do they answer."""

from . import colour
from .dashboard import Dashboard, Section, query_variable
from .panel import TEXT_COLOUR, by_name, columns, lines, merge, query, stat, steps, table, timeline, values
from .promql import series

THIS = 'instance=~"$exporter"'
# Runs that started, and so ended or were dropped: each has its lag measured.
RUNS = f"sum by (instance) (rate({series('uptime_exporter_schedule_lag_seconds_count', THIS)}[$__rate_interval]))"
# The CPU time of a process is counted in whole seconds here, so only a longer window makes a rate of it.
LONG = "10m"
CPU = f"sum by (instance) (rate({series('process_cpu_seconds_total', THIS)}[{LONG}]))"
COSTLY_RUNS = RUNS.replace("[$__rate_interval]", f"[{LONG}]")


def build():
    return Dashboard(
        "uptime-exporter",
        "Uptime: Exporter",
        "The exporters themselves: whether they are on time, what a probe costs, and whether they answer. By uptime_exporter.",
        time_from="now-6h",
        variables=[query_variable("exporter", "Exporter", "The address that Prometheus scrapes.",
                                  "label_values(uptime_exporter_build_info, instance)", all_value=".+")],
        sections=[
            Section("", *numbers()),
            Section("Exporters", fleet()),
            Section("On time", lag(), skipped(), runs(), in_flight(), inconclusive()),
            Section("Its own network", network()),
            Section("Cost", cost(), cpu(), memory(), files()),
            Section("Answers", requests(), rendering(), scrapes()),
        ],
    )


def numbers():
    lag_p99 = quantile(0.99, by="le")
    return [
        stat("Reporting", "Exporters that report. One that does not is the alert ExporterNotReporting.",
             [query(f"sum({series('uptime_exporter_build_info', THIS)}) or vector(0)", instant=True)]),
        stat("Targets", "Targets configured now, at all chosen exporters.",
             [query(f"sum({series('uptime_exporter_targets', THIS)})", instant=True)]),
        stat("Runs started", "Runs that started, each second.", [query(f"sum({RUNS})")], unit="suffix:/s", decimals=1, none="None", graph=True),
        stat("Late by at most", "The lag that 99 % of the runs kept within: the time between the tick of a run and its start.",
             [query(lag_p99)], unit="s", none="No run has started", graph=True,
             thresholds=steps(colour.GOOD, (0.5, colour.PARTLY), (2, colour.BAD))),
        stat("Skipped", "Ticks skipped in the last hour, because the run before was still going or the exporter was late.",
             [query(f"round(sum(increase({series('uptime_exporter_runs_skipped_total', THIS)}[1h])))", instant=True)],
             thresholds=steps(colour.GOOD, (1, colour.PARTLY))),
        stat("Cost of a probe", "CPU time of the whole exporter for each run, over ten minutes.",
             [query(f"sum({CPU}) / sum({COSTLY_RUNS})")], unit="s", none="No run has started", graph=True),
    ]


def quantile(of, by):
    return f"histogram_quantile({of}, sum by ({by}) (rate({series('uptime_exporter_schedule_lag_seconds_bucket', THIS)}[$__rate_interval])))"


def fleet():
    return table(
        "Exporters", "Version, start, targets, whether the last reload of the config succeeded (if not, the exporter goes on with the config "
        "before), and when it wrote its state file, if it has one.",
        [
            query(f"max by (instance, version) ({series('uptime_exporter_build_info', THIS)})", table=True),
            query(f"1000 * max by (instance) ({series('process_start_time_seconds', THIS)})", table=True),
            query(f"max by (instance) ({series('uptime_exporter_targets', THIS)})", table=True),
            query(f"min by (instance) ({series('uptime_exporter_config_last_reload_successful', THIS)})", table=True),
            query(f"1000 * max by (instance) ({series('uptime_exporter_config_last_reload_success_timestamp_seconds', THIS)})", table=True),
            query(f"sum by (instance) ({series('uptime_exporter_panics_total', THIS)})", table=True),
            query(f"1000 * max by (instance) ({series('uptime_exporter_state_file_last_write_timestamp_seconds', THIS)})", table=True),
            query(f"sum by (instance) ({series('uptime_exporter_state_file_write_failures_total', THIS)})", table=True),
        ],
        size=(24, 6), none="No exporter reports",
        transformations=[
            merge(),
            columns(("instance", "Exporter"), ("version", "Version"), ("Value #B", "Started"), ("Value #C", "Targets"),
                    ("Value #D", "Last reload"), ("Value #E", "Config of"), ("Value #G", "State written"),
                    ("Value #H", "Writes failed"), ("Value #F", "Panics"), hide=("Value #A",)),
        ],
        overrides=[
            by_name("Started", unit="dateTimeFromNow"),
            by_name("Config of", unit="dateTimeAsIsoNoDateIfToday"),
            by_name("Last reload", mappings=[values(_0=("failed", colour.BAD), _1=("succeeded", colour.GOOD))], cellOptions=TEXT_COLOUR),
            by_name("State written", unit="dateTimeFromNow", noValue="no state file"),
            by_name("Writes failed", cellOptions=TEXT_COLOUR, thresholds=steps(colour.PLAIN, (1, colour.BAD))),
            by_name("Panics", cellOptions=TEXT_COLOUR, thresholds=steps(colour.PLAIN, (1, colour.BAD))),
        ],
    )


def lag():
    return lines(
        "Lag of the schedule", "Time between the tick of a run and its start, by quantile. It grows when the exporter has too little "
        "CPU; targets that hang do not delay others.",
        [query(quantile(of, by="le"), name) for of, name in ((0.5, "median"), (0.9, "90 %"), (0.99, "99 %"), (0.999, "99.9 %"))],
        unit="s", none="No run has started",
    )


def skipped():
    return lines(
        "Ticks skipped", "Runs that did not happen, because the one before was still going or the exporter was late. Anything but 0 for "
        "long means that intervals are too short or CPU is too little.",
        [query(f"sum by (instance) (increase({series('uptime_exporter_runs_skipped_total', THIS)}[$__rate_interval]))", "{{instance}}")],
        unit="none", bars=True, stacked=True, decimals=0, step="1m", none="No exporter reports",
    )


def runs():
    return lines("Runs", "Runs that started, each second.", [query(RUNS, "{{instance}}")],
                 size=(8, 8), unit="suffix:/s", none="No run has started")


def in_flight():
    return lines(
        "Runs in flight", "Runs going on at each scrape. Targets that hang until their timeout raise it.",
        [query(f"sum by (instance) ({series('uptime_exporter_runs_in_flight', THIS)})", "{{instance}}")],
        size=(8, 8), unit="none", none="No exporter reports",
    )


def inconclusive():
    told = '{reason=~"internal|vantage|resolver"}'
    return lines(
        "Runs that said nothing", "Failed runs that count against no target, each minute: the exporter's own trouble (internal), or its "
        "vantage was cut off from the network (vantage), or its name servers failed (resolver). Of all exporters.",
        [query(f"60 * sum by (reason) (rate(probe_failures_total{told}[$__rate_interval]))", "{{reason}}")],
        size=(8, 8), unit="suffix:/min", by_series_name=True, none="Every run said something",
    )


def network():
    anchors = f"min by (instance) ({series('probe_vantage_ok', THIS)})"
    servers = f"min by (instance, server) ({series('probe_resolver_ok', THIS)})"
    return timeline(
        "Anchors and name servers", "Whether an anchor answers, and whether names resolve: while not, runs say nothing about targets.",
        [query(f'label_replace({anchors}, "what", "anchors", "", "")\nor\nlabel_join({servers}, "what", "", "server")',
               "{{instance}} {{what}}")],
        size=(24, 6), mappings=[values(_0=("no answer", colour.BAD), _1=("answers", colour.GOOD))],
        none="No exporter has anchors, or looked names up in doubt",
    )


def cost():
    return lines(
        "CPU for a probe", "CPU time of the whole exporter, its pages included, for each run, over ten minutes. What to expect is in docs/benchmarks.md.",
        [query(f"{CPU}\n/\n{COSTLY_RUNS}", "{{instance}}")], unit="s", none="No run has started", size=(12, 8),
    )


def cpu():
    return lines(
        "CPU", "Share of one core, over ten minutes.", [query(CPU, "{{instance}}")], unit="percentunit", none="No exporter reports",
    )


def memory():
    return lines(
        "Memory", "Resident memory.",
        [query(f"max by (instance) ({series('process_resident_memory_bytes', THIS)})", "{{instance}}")],
        unit="bytes", none="No exporter reports",
    )


def files():
    return lines(
        "Open files", "Share of the files that the process may have open. A run has a connection open while it lasts.",
        [query(f"max by (instance) ({series('process_open_fds', THIS)} / {series('process_max_fds', THIS)})", "{{instance}}")],
        unit="percentunit", none="No exporter reports",
    )


def requests():
    return lines(
        "Requests answered", "Each second, by status code.",
        [query(f"sum by (code) (rate({series('uptime_exporter_http_requests_total', THIS)}[$__rate_interval]))", "{{code}}")],
        size=(8, 8), unit="reqps", stacked=True, by_series_name=True, none="No request was answered",
    )


def rendering():
    spent = f"sum by (instance) (rate({series('uptime_exporter_page_render_seconds_total', THIS)}[$__rate_interval]))"
    answered = f"sum by (instance) (rate({series('uptime_exporter_http_requests_total', THIS)}[$__rate_interval]))"
    return lines(
        "Rendering a page", "Time spent writing metric pages, for each request answered.",
        [query(f"{spent}\n/\n{answered}", "{{instance}}")],
        size=(8, 8), unit="s", none="No request was answered",
    )


def scrapes():
    scraped = f"scrape_duration_seconds{{{THIS}}} and on (instance, job) {series('uptime_exporter_build_info', THIS)}"
    return lines(
        "Scrapes", "How long Prometheus took to fetch each page.",
        [query(f"max by (instance) ({scraped})", "{{instance}}")],
        size=(8, 8), unit="s", none="No exporter reports",
    )
