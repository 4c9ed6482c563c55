"""The past of the scenario, as OpenMetrics: what Prometheus would have, had the exporters run for a quarter.

The present is live. Before it, every target was up but for the outages below, with the labels that the live exporters give their
series: finely for the last half hour, coarsely before.
"""

import itertools
import math
import re
import zlib

DAY = 86400
HOUR = 3600
MINUTE = 60
HISTORY_DAYS = 95
# Grids: how far back, and how far from one sample to the next.
FINE = (40 * MINUTE, 15)
DAYLONG = (26 * HOUR, 120)
MONTHLONG = (40 * DAY, 2 * HOUR)
LONG = (HISTORY_DAYS * DAY, 300)

# Past outages: how long ago, for how long, why, and from where (everywhere without).
BAD_DAY = 30 * DAY + 3 * HOUR
OUTAGES = {
    "shop": [(16 * DAY, 14 * MINUTE, "http_status", None), (12 * MINUTE, 150, "http_status", None)],
    "slow": [(BAD_DAY, 6 * HOUR, "timeout", None), (9 * DAY, 35 * MINUTE, "timeout", None), (5 * HOUR, 8 * MINUTE, "timeout", None)],
    "regional": [(3 * DAY, 50 * MINUTE, "connect_timeout", "us-east"), (20 * MINUTE, 4 * MINUTE, "http_status", "us-east")],
    "closed": [(23 * DAY, 2 * HOUR, "connect_refused", None)],
    "flapping": [(ago * MINUTE, 90, "http_status", None) for ago in (31, 27, 22, 14, 9, 5)] + [(7 * HOUR, 25 * MINUTE, "http_status", None)],
    "moved": [(5 * DAY, 6 * MINUTE, "resolve_failed", None)],
}
# Gauges that stay as they are, or nearly so; what is only there while something fails is left out.
STEADY = re.compile(
    r"probe_(target_info|interval_seconds|slow_threshold_seconds|slo_target_ratio|maintenance|vantage_\w+|tls_\w+|ssl_\w+|http_version"
    r"|last_change_timestamp_seconds|addresses|address_success|addresses_success_ratio)"
    r"|uptime_exporter_(build_info|targets|config_\w+)|process_(max_fds|start_time_seconds)")
VARYING = re.compile(
    r"probe(_address)?_duration_seconds|probe_(http|tcp|dns|icmp|grpc|websocket)_duration_seconds|probe_dns_lookup_time_seconds"
    r"|uptime_exporter_runs_in_flight|process_(open_fds|resident_memory_bytes)")
GROWING = re.compile(r"\w+_total|\w+_(bucket|count|sum)")
CLOCKS = {"probe_up_seconds_total", "probe_down_seconds_total", "probe_outages_total", "probe_runs_total",
          "probe_maintenance_seconds_total", "probe_unknown_seconds_total"}
SAMPLE = re.compile(r"(\w+)(?:\{(.*)\})? (\S+)")


def grid(end, far, step, near=0):
    return range(int(end - far), int(end - near), step)


def down_between(target, region, end, since, at):
    """Seconds that it was down, and outages that began, from `since` until `at`."""
    seconds = begun = 0
    for ago, lasted, _, only in OUTAGES.get(target, []):
        if only in (None, region):
            start = end - ago
            seconds += max(0, min(at, start + lasted) - max(since, start))
            begun += since <= start < at
    return seconds, begun


def outage_at(target, region, end, at):
    for ago, lasted, reason, only in OUTAGES.get(target, []):
        if only in (None, region) and end - ago <= at < end - ago + lasted:
            return reason
    return None


def noise(name, at):
    """From 0.7 to 1.3, and now and then a peak; the same at each call."""
    random = zlib.crc32(f"{name}{int(at)}".encode()) / 2**32
    return 0.7 + 0.5 * random + 0.1 * math.sin(at / 300) + (0.8 if random > 0.985 else 0)


def label(text, name):
    found = re.search(rf'(?:^|,){name}="((?:[^"\\]|\\.)*)"', text)
    return found[1] if found else ""


def labelled(exporter, page):
    """The series of a page as Prometheus keeps them: name, labels, value."""
    for line in page.splitlines():
        found = SAMPLE.fullmatch(line)
        if not found:
            continue
        name, labels, value = found[1], found[2] or "", float(found[3])
        instance = label(labels, "target") or exporter
        labels = re.sub(r'le="(\d+)"', r'le="\1.0"', labels)
        yield name, ",".join(filter(None, [labels, f'instance="{instance}",job="uptime",exporter="{exporter}"'])), value


def series_of(name, labels, value, end):
    """The samples of one series: pairs of a time and a value."""
    target, region = label(labels, "target"), label(labels, "region")
    began = end - MONTHLONG[0]
    works = target == "works"
    fine = grid(end, *FINE)
    daylong = list(grid(end, *DAYLONG, near=FINE[0])) + list(fine)
    if name in CLOCKS:
        for at in itertools.chain(grid(end, *MONTHLONG, near=DAYLONG[0]), daylong):
            down, begun = down_between(target, region, end, began, at)
            passed = at - began
            yield at, {
                "probe_up_seconds_total": 0 if works else passed - down,
                "probe_down_seconds_total": 0 if works else down,
                "probe_outages_total": 0 if works else begun,
                "probe_maintenance_seconds_total": passed if works else 0,
                "probe_unknown_seconds_total": 0,
                "probe_runs_total": down if label(labels, "result") == "failure" else passed - down,
            }[name]
    elif name == "probe_up":
        for at in daylong:
            yield at, 0 if outage_at(target, region, end, at) else 1
    elif name == "probe_http_status_code":
        for at in fine:
            yield at, 503 if outage_at(target, region, end, at) else 200
    elif name in ("probe_target_info", "probe_maintenance"):
        for at in daylong:
            yield at, value
    elif STEADY.fullmatch(name):
        for at in fine:
            yield at, value
    elif VARYING.fullmatch(name):
        for at in fine:
            yield at, value * noise(labels, at)
    elif name == "process_cpu_seconds_total":
        for at in fine:
            yield at, (at - began) * 0.004
    elif GROWING.fullmatch(name):
        for at in fine:
            yield at, value * (at - end + FINE[0]) / 5
    elif name == "probe_last_run_timestamp_seconds":
        for at in fine:
            yield at, at - 0.5


def failures_of(target, region, labels, end):
    """Why a run failed, 0 when it did not (text has no way to say that a series has ended), and the count of such runs."""
    for reason in sorted({reason for *_, reason, only in OUTAGES.get(target, []) if only in (None, region)}):
        own = f'{labels},reason="{reason}"'
        for at in grid(end, *FINE):
            yield "probe_failure_info", own, at, int(outage_at(target, region, end, at) == reason)
        for at in itertools.chain(grid(end, *MONTHLONG, near=FINE[0]), grid(end, *FINE)):
            failed = sum(max(0, min(at, end - ago + lasted) - (end - ago)) for ago, lasted, why, only in OUTAGES[target]
                         if why == reason and only in (None, region))
            yield "probe_failures_total", own, at, failed


def lines(pages, end):
    """The past as one OpenMetrics text; `pages` are those of the live exporters, by their address."""
    families = {}

    def put(name, labels, at, value):
        families.setdefault(name, {}).setdefault(labels, {})[at] = value

    infos = {}
    for exporter, page in pages.items():
        for name, labels, value in labelled(exporter, page):
            # Why runs failed is told by the outages alone.
            if name != "probe_failures_total":
                for at, past in series_of(name, labels, value, end):
                    put(name, labels, at, past)
            if name == "probe_up_seconds_total":
                for sample in failures_of(label(labels, "target"), label(labels, "region"), labels, end):
                    put(*sample)
            if name == "probe_target_info":
                infos.setdefault(label(labels, "target"), []).append(labels)
    # The recorded verdicts: what one place alone saw is not in them.
    for target in infos:
        # In maintenance there is none, nor of what one place watches that is cut off.
        if target in ("works", "afar"):
            continue
        own = [f'{name}="{label(infos[target][0], name)}"' for name in ("target", "public", "group") if label(infos[target][0], name)]
        for at in itertools.chain(grid(end, *LONG, near=DAYLONG[0]), grid(end, *DAYLONG)):
            down = [ago for ago, lasted, _, only in OUTAGES.get(target, []) if only is None and end - ago <= at < end - ago + lasted]
            put("target:up:bool", ",".join(own), at, 0 if down else 1)
        # A chart over months needs a name for each target all the while.
        if label(infos[target][0], "public"):
            for at in grid(end, HISTORY_DAYS * DAY, 240, near=DAYLONG[0] + HOUR):
                put("probe_target_info", infos[target][0], at, 1)
    for name, series in families.items():
        yield f"# TYPE {name} gauge"
        for labels, samples in series.items():
            yield from (f"{name}{{{labels}}} {value} {at}" for at, value in sorted(samples.items()))
    yield "# EOF"

