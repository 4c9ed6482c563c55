"""One core, shared with busy neighbours at nice -10: verdicts stay, and the metrics say that the exporter is late."""

import os
import subprocess
import sys
import time

from exporter import Exporter
from peers import Peers
from play import Skipped

NICE = -10
LAG = "uptime_exporter_schedule_lag_seconds"


def play(part):
    if os.geteuid() != 0:
        raise Skipped("only root may be nicer to itself than to others")
    cores = sorted(os.sched_getaffinity(0))
    core = str(cores[0])
    targets = part.pick(200, 400)
    with Peers(part.folder / "peers", prefix=elsewhere(cores)) as peers:
        config = {
            "global": {"interval": "1s", "timeout": "1s", "confirm": {"failures": 2, "retry_interval": "200ms"}},
            "targets": [{"name": f"t{number}", "target": peers.url("/switch/good")} for number in range(targets)],
        }
        exporter = Exporter(part.folder / "exporter", config, prefix=["taskset", "--cpu-list", core])
        with exporter:
            exporter.until_observed()
            measure(part, exporter, peers, "alone on the core", part.pick(3, 30))
            neighbours = [subprocess.Popen(["taskset", "--cpu-list", core, "nice", "-n", str(NICE), sys.executable, "-c", "while True: pass"])
                          for _ in range(2)]
            try:
                measure(part, exporter, peers, "beside two busy neighbours", part.pick(8, 60))
            finally:
                for neighbour in neighbours:
                    neighbour.kill()
                    neighbour.wait()
            before = exporter.page()
            runs = before.sum("probe_runs_total")
            page = exporter.until("it has caught up", lambda page: page.sum("probe_runs_total", result="success")
                                  > runs + 2 * targets and sum(page.by_target("probe_success").values()) == targets)
            part.check("afterwards every run succeeds again", True)
            part.check("no verdict turned in all that time", page.sum("probe_outages_total") == 0, page.sum("probe_outages_total"))


def elsewhere(cores):
    """The peers are not what is to be slow."""
    return ["taskset", "--cpu-list", ",".join(map(str, cores[1:]))] if len(cores) > 1 else []


def measure(part, exporter, peers, what, seconds):
    peers.late()
    before = exporter.page()
    time.sleep(seconds)
    page = exporter.page()
    runs = page.sum("probe_runs_total") - before.sum("probe_runs_total")
    late = lateness(before, page)
    skipped = page.value("uptime_exporter_runs_skipped_total") - before.value("uptime_exporter_runs_skipped_total")
    reasons = {reason: int(count - before.reasons().get(reason, 0)) for reason, count in page.reasons().items()
               if count > before.reasons().get(reason, 0)}
    lag = page.value(f"{LAG}_sum") - before.value(f"{LAG}_sum")
    part.figure(f"{what}: runs in {page.at - before.at:.0f} s, ticks skipped", f"{runs:.0f}, {skipped:.0f}")
    part.figure(f"{what}: lag, mean and p99 at most", f"{1000 * lag / max(runs, 1):.1f} ms, {late}")
    part.figure(f"{what}: failed runs by reason", reasons or "none")
    part.check_of_peers(f"{what}: verdicts stay", all(value == 1 for value in page.by_target("probe_up").values())
                        and page.sum("probe_outages_total") == 0, "", peers.late(), 1)
    if "neighbours" in what:
        idle = part.lag_alone
        part.check(f"{what}: the lag says so", lag / max(runs, 1) > 2 * idle or skipped > 0,
                   f"mean {1000 * lag / max(runs, 1):.1f} ms, alone {1000 * idle:.1f} ms; {skipped:.0f} ticks skipped")
    else:
        part.lag_alone = lag / max(runs, 1)


def lateness(before, page):
    """The bound of the bucket in which 99 of 100 runs of the time between are."""
    old = {labels["le"]: value for labels, value in before.samples(f"{LAG}_bucket")}
    new = sorted((float(labels["le"]), value - old[labels["le"]]) for labels, value in page.samples(f"{LAG}_bucket"))
    return next((f"{bound * 1000:g} ms" for bound, count in new if count >= 0.99 * new[-1][1]), "?")
