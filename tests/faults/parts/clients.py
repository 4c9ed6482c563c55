"""Idle and slow clients by the thousand on the server, while Prometheus scrapes it through the same door."""

import http.client
import json
import pathlib
import re
import resource
import subprocess
import sys
import time

from exporter import Exporter
from peers import Peers
from play import Skipped, until

SWARM = pathlib.Path(__file__).parent.parent / "swarm.py"
# Enough for a page of some megabytes, which does not fit into the buffers of a socket.
TARGETS = 2_000
TIMEOUT = 5
# MiB that the clients may cost.
MOST_MEMORY = 64


def play(part):
    number = part.pick(2_000, 10_000)
    slow = part.pick(200, 1_000)
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < number + slow + 1_000:
        raise Skipped(f"the hard limit of open files is {resource.getrlimit(resource.RLIMIT_NOFILE)[1]}")
    with Peers(part.folder / "peers") as peers:
        config = {
            "global": {"interval": "10s", "timeout": f"{TIMEOUT}s"},
            "targets": [{"name": f"t{number}", "target": peers.url("/switch/good")} for number in range(TARGETS)],
        }
        with Exporter(part.folder / "exporter", config, args=["--web.listen-address=127.0.0.1:0"]) as exporter:
            exporter.until_observed()
            port = until(10, "the port", lambda: [int(line) for line in re.findall(r"127\.0\.0\.1:(\d+)", exporter.log.read_text())])[0]
            tell(part, "no clients", scrapes(port, part.pick(3, 20)))
            sieges = part.pick((
                (f"{number} idle clients, and {slow} that send a byte a second", {"idle": number, "slow_head": slow}),
            ), (
                (f"{number} idle clients", {"idle": number}),
                (f"{slow} clients that send a byte a second", {"slow_head": slow}),
                (f"{slow} clients that take 100 bytes a second", {"slow_read": slow}),
                (f"all of them: {number} idle, {slow} slow", {"idle": number, "slow_head": slow // 2, "slow_read": slow // 2}),
            ))
            for what, clients in sieges:
                besieged(part, exporter, peers, port, what, clients)
            runs = exporter.page().sum("probe_runs_total", result="success")
            exporter.until("runs go on", lambda page: page.sum("probe_runs_total", result="success") > runs + TARGETS)
            part.check("afterwards runs go on", True)


def besieged(part, exporter, peers, port, what, clients):
    peers.late()
    before, rss = exporter.page(), exporter.status("VmRSS")
    pathlib.Path(f"/proc/{exporter.pid}/clear_refs").write_text("5")  # The peak of memory begins anew.
    swarm = subprocess.Popen([sys.executable, str(SWARM), "127.0.0.1", str(port), json.dumps(clients)],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        until(60, "the clients are there", lambda: exporter.descriptors() > 150)
        time.sleep(part.pick(3, 10))
        seen = scrapes(port, part.pick(8, 45))
        descriptors, threads = exporter.descriptors(), exporter.status("Threads")
        counts = json.loads(swarm.communicate()[0] or "{}")
    finally:
        swarm.kill()
        swarm.wait()
    page = exporter.page()
    peak = (exporter.status("VmHWM") - rss) / 1024
    tell(part, what, seen)
    part.figure(f"{what}: what became of them", ", ".join(f"{name} {count}" for name, count in sorted(counts.items())))
    part.figure(f"{what}: descriptors and threads of the exporter", f"{descriptors}, {threads}")
    part.check(f"{what}: whoever scrapes is served", seen.failed_in_a_row < 3,
               f"{len(seen.times)} of {len(seen.times) + sum(seen.failed.values())} scrapes, failed {dict(seen.failed)}, "
               f"at most {seen.failed_in_a_row} in a row")
    part.check(f"{what}: refusals are whole answers of 503", not seen.odd and not counts.get("answered otherwise"), seen.odd or "")
    part.check(f"{what}: memory is bounded", peak < MOST_MEMORY, f"{peak:.1f} MiB more at the peak")
    skipped = page.value("uptime_exporter_runs_skipped_total") - before.value("uptime_exporter_runs_skipped_total")
    runs = page.sum("probe_runs_total") - before.sum("probe_runs_total")
    turned = page.sum("probe_outages_total") - before.sum("probe_outages_total")
    part.check_of_peers(f"{what}: no verdict turns", not turned, f"{runs:.0f} runs, {skipped:.0f} ticks skipped", peers.late(), TIMEOUT)


class Scrapes:
    def __init__(self):
        self.times, self.failed, self.odd = [], {}, []
        self.failed_in_a_row = 0


def scrapes(port, seconds):
    """As Prometheus does: the connection is kept, and made anew when it has gone. Twice a second."""
    seen = Scrapes()
    connection, in_a_row = None, 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.monotonic()
        try:
            if connection is None:
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request("GET", "/metrics", headers={"Accept-Encoding": "gzip"})
            answer = connection.getresponse()
            body = answer.read()
            what = None if answer.status == 200 else str(answer.status)
            if what == "503" and not body.strip():
                seen.odd.append("a 503 without a word")
            if answer.will_close:
                connection = None
        except (OSError, http.client.HTTPException) as error:
            what, connection = type(error).__name__, None
        if what:
            seen.failed[what] = seen.failed.get(what, 0) + 1
            in_a_row += 1
            seen.failed_in_a_row = max(seen.failed_in_a_row, in_a_row)
        else:
            seen.times.append(time.monotonic() - began)
            in_a_row = 0
        time.sleep(max(0, 0.5 - (time.monotonic() - began)))
    return seen


def tell(part, what, seen):
    times = sorted(seen.times)
    if times:
        p50, p99 = times[len(times) // 2], times[min(len(times) - 1, int(len(times) * 0.99))]
        part.figure(f"{what}: scrape p50, p99, most", f"{1000 * p50:.0f}, {1000 * p99:.0f}, {1000 * times[-1]:.0f} ms of {len(times)}")
