"""Targets of all probers and outcomes at one second: memory, descriptors and threads have to stay what they are.

The first ten minutes are for warming up: each target meets each of its outcomes, buffers and histories fill. After them
nothing may grow by more than a twentieth. The growth in an hour is that of a line through the values after them.
"""

import resource
import statistics
import time

from exporter import Exporter
from peers import Peers
from places import Network

WARM = 10 * 60
EVERY = 5
TIMEOUT = 0.9
FLAT = 1.05
CLOSED = "127.0.0.1:9"


def play(part):
    targets = part.pick(200, 1_000)
    seconds = part.pick(15, part.minutes * 60)
    warm = min(WARM, seconds / 3)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with Network() as network, Peers(part.folder / "peers", prefix=network.prefix) as peers:
        kinds = outcomes(peers)
        names = list(kinds)
        config = {
            "global": {"interval": "1s", "timeout": f"{TIMEOUT}s", "confirm": {"failures": 2, "retry_interval": "300ms"},
                       "latency_buckets": [0.05, 0.5]},
            "modules": modules(peers),
            "targets": [{"name": f"{names[number % len(names)]} {number}", **kinds[names[number % len(names)]]}
                        for number in range(targets)],
        }
        args = [f"--state.file={part.folder}/state", "--state.interval=30"]
        with Exporter(part.folder / "exporter", config, prefix=network.prefix, args=args) as exporter:
            first = exporter.until_observed()
            peers.late()
            values = watch(part, exporter, peers, seconds)
            last = exporter.page()
            judge(part, values, warm)
            runs = last.sum("probe_runs_total") - first.sum("probe_runs_total")
            skipped = last.value("uptime_exporter_runs_skipped_total") - first.value("uptime_exporter_runs_skipped_total")
            cpu = last.value("process_cpu_seconds_total") - first.value("process_cpu_seconds_total")
            passed = last.at - first.at
            part.figure("targets, kinds of them, minutes", f"{targets}, {len(kinds)}, {passed / 60:.1f}")
            part.figure("runs a second, ticks skipped, CPU time of a run",
                        f"{runs / passed:.0f}, {skipped:.0f}, {1000 * cpu / runs:.2f} ms")
            part.figure("failed runs by reason", ", ".join(f"{reason} {count:.0f}" for reason, count in sorted(last.reasons().items())))
            part.check("no panic", last.value("uptime_exporter_panics_total") == 0)
            good = {labels["target"]: value for labels, value in last.samples("probe_outages_total")
                    if labels["target"].startswith("good") and value}
            part.check_of_peers("what is good was never down", not good, dict(list(good.items())[:3]) if good else "",
                                peers.late(), TIMEOUT)
            bad = [name for name, value in last.by_target("probe_up").items() if name.startswith("bad") and value]
            part.check("what is bad was never up", not bad, bad[:3] or "")


def modules(peers):
    four = {"preferred_ip_protocol": "ip4"}
    tls = {"tls_config": {"ca_file": str(peers.pem)}}
    return {
        "http": {"prober": "http", "http": four},
        "https": {"prober": "http", "http": {**four, **tls}},
        "wants": {"prober": "http", "http": {**four, "fail_if_body_not_matches_regexp": ["never there"]}},
        "tcp": {"prober": "tcp", "tcp": {**four, "query_response": [{"expect": "^220"}, {"send": "QUIT\r"}]}},
        "tcp_wants": {"prober": "tcp", "tcp": {**four, "query_response": [{"expect": "^never there"}]}},
        "dns": {"prober": "dns", "dns": {**four, "query_name": "peer.test", "query_type": "A"}},
        "dns_hosts": {"prober": "dns", "dns": {**four, "query_name": "hosts.test", "query_type": "A"}},
        "icmp": {"prober": "icmp", "icmp": four},
        "grpc": {"prober": "grpc", "grpc": four},
        "websocket": {"prober": "websocket", "websocket": four},
        "unix": {"prober": "unix"},
    }


def outcomes(peers):
    """By what it is, which begins with what it is to be."""
    server = [peers.address("dns")]
    port = peers.ports["http"]
    return {
        "good http": {"target": peers.url("/switch/good"), "module": "http"},
        "good https": {"target": peers.url("/switch/good", "https"), "module": "https"},
        "good name": {"target": f"http://shop.test:{port}/", "module": "http", "dns_servers": server},
        "good tcp": {"target": peers.address("tcp"), "module": "tcp"},
        "good dns": {"target": peers.address("dns"), "module": "dns"},
        "good icmp": {"target": "127.0.0.1", "module": "icmp"},
        "good grpc": {"target": peers.address("grpc"), "module": "grpc"},
        "good websocket": {"target": f"ws://{peers.address('ws')}/", "module": "websocket"},
        "good unix": {"target": peers.unix, "module": "unix"},
        "bad status": {"target": peers.url("/status/503"), "module": "http"},
        "bad body": {"target": peers.url("/switch/good"), "module": "wants"},
        "bad certificate": {"target": peers.url("/switch/good", "https"), "module": "http"},
        "bad hang": {"target": peers.url("/hang"), "module": "http"},
        "bad refused": {"target": f"http://{CLOSED}/", "module": "http"},
        "bad plain": {"target": f"https://{peers.address('http')}/", "module": "http"},
        "bad name": {"target": f"http://hosts.test:{port}/", "module": "http", "dns_servers": server},
        "bad tcp": {"target": peers.address("tcp"), "module": "tcp_wants"},
        "bad silent": {"target": peers.address("silent"), "module": "tcp"},
        "bad dns": {"target": peers.address("dns"), "module": "dns_hosts"},
        "bad dns refused": {"target": CLOSED, "module": "dns"},
        "bad icmp": {"target": "192.0.2.1", "module": "icmp"},
        "bad grpc": {"target": CLOSED, "module": "grpc"},
        "bad websocket": {"target": f"ws://{CLOSED}/", "module": "websocket"},
        "bad unix": {"target": f"{peers.folder}/nowhere.sock", "module": "unix"},
        "turning": {"target": peers.url("/switch/turning"), "module": "http"},
    }


def watch(part, exporter, peers, seconds):
    """Rows of time and values; a page each time, as Prometheus would."""
    rows, began, on = [], time.monotonic(), True
    turn = began + 30
    while (now := time.monotonic()) < began + seconds:
        exporter.page()
        rows.append((now - began, exporter.status("VmRSS"), exporter.status("RssAnon"), exporter.descriptors(),
                     exporter.status("Threads")))
        if now >= turn:
            on, turn = not on, now + 30
            peers.switch("turning", on)
        if len(rows) % 24 == 0:
            part.say(f"minute {(now - began) / 60:.0f}: RSS {rows[-1][1] / 1024:.1f} MiB, anonymous {rows[-1][2] / 1024:.1f} MiB, "
                     f"{rows[-1][3]} descriptors, {rows[-1][4]} threads")
        time.sleep(max(0, EVERY - (time.monotonic() - now)))
    peers.switch("turning", True)
    return rows


def judge(part, rows, warm):
    kept = [row for row in rows if row[0] >= warm]
    quarter = max(1, len(kept) // 4)
    for column, what, unit, scale in ((1, "RSS", " MiB", 1024), (2, "anonymous memory", " MiB", 1024), (3, "descriptors", "", 1),
                                      (4, "threads", "", 1)):
        values = [row[column] / scale for row in kept]
        before, after = statistics.median(values[:quarter]), statistics.median(values[-quarter:])
        slope = statistics.linear_regression([row[0] for row in kept], values).slope * 3600 if len(kept) > 2 else 0
        seen = f"{before:.1f}{unit} -> {after:.1f}{unit}, at most {max(values):.1f}; {slope:+.2f}{unit} an hour"
        if part.quick:
            # Within a minute histories and buffers still fill.
            part.figure(what, seen)
        else:
            what = f"{what}: flat within {100 * (FLAT - 1):.0f} % after minute {warm / 60:.1f}"
            part.check(what, after <= before * FLAT + 1 / scale, seen)
