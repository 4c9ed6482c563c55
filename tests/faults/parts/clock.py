"""The wall clock is set by an hour and by a day, both ways; the process is suspended; the monotonic clock leaps.

Debian's libfaketime changes what the exporter reads of its clocks, from a file, while it runs. Counters of seconds go by the
monotonic clock, so they have to grow by what really passed, and no verdict may turn.
"""

import glob
import signal
import time

from exporter import Exporter
from page import fallen
from peers import Peers
from play import Skipped, TooLate

HOUR = 3600
DAY = 24 * HOUR
# Seconds that a page may be off by: a run in flight is settled when it has ended.
SLACK = 4
START = "probe_outage_start_timestamp_seconds"
STEADY = ["good", "good-tcp", "good-dns", "bad"]


def play(part):
    libraries = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
    if not libraries:
        raise Skipped("libfaketime is not installed")
    with Peers(part.folder / "peers") as peers:
        peers.switch("bad", False)
        config = {
            "global": {"interval": "1s", "timeout": "1s", "confirm": {"failures": 2, "retry_interval": "200ms"}},
            "modules": {"tcp": {"prober": "tcp"}, "dns": {"prober": "dns", "dns": {"query_name": "peer.test", "query_type": "A"}}},
            "targets": [
                {"name": "good", "target": peers.url("/switch/good")},
                {"name": "good-tcp", "target": peers.address("tcp"), "module": "tcp"},
                {"name": "good-dns", "target": peers.address("dns"), "module": "dns"},
                {"name": "bad", "target": peers.url("/switch/bad")},
                {"name": "late", "target": peers.url("/switch/late")},
            ],
        }
        clock = Clock(part.folder / "offset")
        env = {"LD_PRELOAD": libraries[0], "FAKETIME_TIMESTAMP_FILE": str(clock.file), "FAKETIME_NO_CACHE": "1"}
        with Exporter(part.folder / "wall", config, env={**env, "DONT_FAKE_MONOTONIC": "1"}) as exporter:
            settle(exporter)
            if not clock.is_obeyed(exporter):
                raise Skipped("libfaketime has no effect on the exporter")
            steps(part, exporter, peers, clock)
        with Exporter(part.folder / "suspended", config) as exporter:
            settle(exporter)
            suspend(part, exporter, peers, part.pick(10, 600))
        clock.set(0)
        with Exporter(part.folder / "leap", config, env=env) as exporter:
            settle(exporter)
            for seconds in part.pick((DAY,), (60, 600, DAY)):
                leap(part, exporter, peers, clock, seconds)


class Clock:
    def __init__(self, file):
        self.file = file
        self.offset = 0
        self.set(0)

    def set(self, offset):
        """In one step; libfaketime reads it at each look at the clock."""
        new = self.file.with_suffix(".new")
        new.write_text(f"{offset:+d}\n")
        new.rename(self.file)
        self.offset = offset

    def now(self):
        """What the exporter takes for the time."""
        return time.time() + self.offset

    def is_obeyed(self, exporter):
        self.set(HOUR)
        run = exporter.page().value("probe_last_run_timestamp_seconds", target="good")
        try:
            exporter.until("a run is an hour ahead", seconds=15, holds=lambda page: page.value(
                "probe_last_run_timestamp_seconds", target="good") > run + HOUR / 2)
            return True
        except TooLate:
            return False
        finally:
            self.set(0)
            exporter.until("and back", lambda page: page.value(
                "probe_last_run_timestamp_seconds", target="good") < run + HOUR / 2)


def settle(exporter):
    exporter.until("the outage is there", lambda page: page.value("probe_up", target="bad") == 0
                   and all(page.value("probe_up", target=name) == 1 for name in STEADY[:3]))


def steps(part, exporter, peers, clock):
    for offset in part.pick((HOUR, 0, -DAY, 0), (HOUR, 0, -HOUR, 0, DAY, 0, -DAY, 0)):
        step = offset - clock.offset
        what = f"clock set {'forward' if step > 0 else 'back'} by {'an hour' if abs(step) == HOUR else 'a day'}"
        # One more outage, that begins by the old clock.
        peers.switch("late", False)
        before = exporter.until("one more outage", lambda page: page.value("probe_up", target="late") == 0)
        runs = before.value("probe_runs_total", target="late", result="failure")
        began = time.monotonic()
        clock.set(offset)
        page = exporter.until(f"{what}: runs go on", lambda page: time.monotonic() > began + part.pick(2, 8) and page.value(
            "probe_runs_total", target="late", result="failure") > runs + 2)
        judge(part, what, peers, before, page, 0)
        for name in ("bad", "late"):
            age = clock.now() - page.value(START, target=name)
            part.check(f"{what}: the start of {name} is not in the future", age >= -1, f"{age:.0f} s ago by the new clock")
        peers.switch("late", True)
        exporter.until(f"{what}: the outage ends", lambda page: page.value("probe_up", target="late") == 1)


def suspend(part, exporter, peers, seconds):
    peers.late()
    before = exporter.page()
    exporter.signal(signal.SIGSTOP)
    time.sleep(seconds)
    exporter.signal(signal.SIGCONT)
    runs = before.value("probe_runs_total", target="good", result="success")
    page = exporter.until("runs go on", lambda page: page.value("probe_runs_total", target="good", result="success") > runs + 4)
    what = f"suspended for {seconds} s"
    judge(part, what, peers, before, page, 0)
    unknown = page.value("probe_unknown_seconds_total", target="good") - before.value("probe_unknown_seconds_total", target="good")
    part.check(f"{what}: what was not watched is unknown", seconds - 2 * SLACK <= unknown <= seconds + SLACK, f"{unknown:.1f} s")
    skipped = page.value("uptime_exporter_runs_skipped_total") - before.value("uptime_exporter_runs_skipped_total")
    part.check(f"{what}: the ticks that passed are counted", skipped >= (seconds - 2 * SLACK) * len(STEADY), f"{skipped:.0f}")


def leap(part, exporter, peers, clock, seconds):
    peers.late()
    before = exporter.page()
    runs = before.value("probe_runs_total", target="good", result="success")
    clock.set(clock.offset + seconds)
    page = exporter.until("runs go on", lambda page: page.value("probe_runs_total", target="good", result="success") > runs + 4)
    judge(part, f"monotonic clock leaps by {seconds} s", peers, before, page, seconds)


def judge(part, what, peers, before, page, leapt):
    """`leapt`: seconds that passed on the exporter's clock alone."""
    passed = page.at - before.at + leapt
    part.check(f"{what}: no counter falls", not fallen(before, page), "; ".join(fallen(before, page)[:3]))
    grown = {name: page.clock(name) - before.clock(name) for name in STEADY}
    off = {name: round(value, 1) for name, value in grown.items() if abs(value - passed) > SLACK}
    part.check(f"{what}: the seconds that passed are counted once", not off, off or f"{passed:.1f} s")
    turned = [name for name in STEADY if page.value("probe_up", target=name) != before.value("probe_up", target=name)
              or page.value("probe_outages_total", target=name) != before.value("probe_outages_total", target=name)
              or page.value("probe_blips_total", target=name) != before.value("probe_blips_total", target=name)]
    part.check_of_peers(f"{what}: no false verdict", not turned, turned or "", peers.late(), 1)
