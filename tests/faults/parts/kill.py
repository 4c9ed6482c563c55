"""kill -9 at random moments: in the middle of outages, reloads and writes of the state file.

An outage that is in the state file has to be known to the next process, with its start. One that the page has shown and the file
does not have is younger than the last write; how many of them there are is a figure.
"""

import random
import signal
import threading
import time

from exporter import Exporter
from page import fallen
from peers import Peers
import state_file

TARGETS = 6
LANES = 2
START = "probe_outage_start_timestamp_seconds"


def play(part):
    rounds = part.pick(6, 200)
    lanes = [Lane(part, number, rounds // LANES) for number in range(LANES)]
    threads = [threading.Thread(target=lane.play) for lane in lanes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for lane in lanes:
        if lane.error:
            raise lane.error
    together = {name: sum((getattr(lane, name) for lane in lanes), start=type(getattr(lanes[0], name))())
                for name in ("kills", "kept", "young", "young_lost", "lost", "torn", "backwards", "doubled", "moved", "empty", "unwritten")}
    part.figure("kills", f"{together['kills']}, of which {together['unwritten']} left a part of a file that was being written")
    part.check("no start of an outage that is in the file is lost", not together["lost"], first(together["lost"]))
    part.check("no start moved while its outage went on", not together["moved"], first(together["moved"]))
    part.check("no counter went backwards while a process lived", not together["backwards"], first(together["backwards"]))
    part.check("no second is counted twice after a restart", not together["doubled"], first(together["doubled"]))
    part.check("the first page of a process has its targets", not together["empty"], first(together["empty"]))
    part.check("no torn state file", not together["torn"], first(together["torn"]))
    part.figure("outages that were carried over", together["kept"])
    part.figure("outages that were confirmed and not written yet when the kill came",
                f"{together['young']}, the oldest shown for {max(lane.oldest for lane in lanes):.2f} s, "
                f"of which {together['young_lost']} began anew with the next process")


def first(found):
    return f"{len(found)}, such as {found[0]}" if found else ""


class Lane:
    """One exporter that is killed again and again."""

    def __init__(self, part, number, rounds):
        self._folder = part.folder / str(number)
        self._folder.mkdir()
        self._random = random.Random(f"{part.seed}/{number}")
        self._rounds = rounds
        self._file = self._folder / "state"
        self.error = None
        self.kills = self.kept = self.young = self.young_lost = self.unwritten = 0
        self.oldest = 0.0
        self.lost, self.torn, self.backwards, self.doubled, self.moved, self.empty = [], [], [], [], [], []

    def play(self):
        try:
            with Peers(self._folder / "peers") as peers:
                self._peers = peers
                self._off = set()
                self._labels = 0
                self._exporter = Exporter(self._folder, self._config(),
                                          args=[f"--state.file={self._file}", "--state.interval=1"])
                try:
                    for _ in range(self._rounds):
                        self._round()
                finally:
                    self._exporter.kill()
        except Exception as error:  # Told by the thread that waits.
            self.error = error

    def _config(self):
        """Labels change and one target comes and goes, so that a reload has something to do."""
        targets = [{"name": f"t{number}", "target": self._peers.url(f"/switch/t{number}"),
                    "labels": {"turn": str(self._labels if number % 2 else 0)}} for number in range(TARGETS)]
        if self._labels % 2:
            targets.append({"name": "guest", "target": self._peers.url("/status/404")})
        return {"global": {"interval": "1s", "timeout": "1s", "confirm": {"failures": 2, "retry_interval": "100ms"}},
                "targets": targets}

    def _round(self):
        # Starts by name, and when they were seen first.
        self._outages, self._seen = {}, {}
        written = state_file.read(self._file)[0]["written"] if self._file.exists() else time.time()
        self._exporter.start()
        page = self._exporter.page()
        if not page.by_target("probe_runs_total"):
            self.empty.append("none on the first page")
            page = self._exporter.until("targets", lambda page: page.by_target("probe_runs_total"))
        self._begun(page)
        self._judge(page, None, written)
        end = time.monotonic() + self._random.uniform(0.1, 4)
        while time.monotonic() < end:
            self._act()
            page, before = self._exporter.page(), page
            self._judge(page, before, written)
            time.sleep(self._random.uniform(0, 0.2))
        if self._random.random() < 0.3:
            self._reload_soon()
        time.sleep(self._random.uniform(0, 0.3))
        self._exporter.kill()
        self.kills += 1
        self._look_at_the_file(time.time())

    def _act(self):
        name = f"t{self._random.randrange(TARGETS)}"
        chance = self._random.random()
        if chance < 0.25:
            self._off ^= {name}
            self._peers.switch(name, name not in self._off)
            # What was shown of it before is over, or will be.
            if name not in self._off:
                self._outages.pop(name, None)
        elif chance < 0.4:
            self._labels += 1
            self._exporter.write_config(self._config())
            self._exporter.reload()

    def _reload_soon(self):
        """One that the kill comes into the middle of."""
        self._labels += 1
        self._exporter.write_config(self._config())
        self._exporter.signal(signal.SIGHUP)

    _expected = {}

    def _begun(self, page):
        """The first page of a process, against what the one before had shown."""
        for name, (start, kept) in self._expected.items():
            now = page.value(START, target=name)
            if kept:
                self.kept += now == start
                if now != start:
                    self.lost.append(f"{name}: {start} became {now}")
            else:
                self.young += 1
                self.young_lost += now != start

    def _judge(self, page, before, written):
        if before:
            self.backwards += fallen(Steady(before), page)
        now = time.time()
        for name in {f"t{number}" for number in range(TARGETS)}:
            clocks = page.clock(name)
            if clocks > now - written + 1:
                self.doubled.append(f"{name}: {clocks:.1f} s, and the file is of {now - written:.1f} s ago")
            start = page.value(START, target=name)
            if start is None or name not in self._off:
                self._outages.pop(name, None)
                continue
            if start > now:
                self.moved.append(f"{name}: it begins {start - now:.1f} s from now")
            known = self._outages.get(name)
            if known and known != start:
                self.moved.append(f"{name}: {known} became {start}")
            if known != start:
                self._outages[name], self._seen[name] = start, now

    def _look_at_the_file(self, killed):
        self.unwritten += self._file.with_suffix(".new").exists()
        self.torn += [path.name for path in self._folder.glob("state.damaged*")]
        targets = {}
        if self._file.exists():
            try:
                targets = state_file.read(self._file)[1]
            except ValueError as error:
                self.torn.append(str(error))
        self._expected = {}
        for name, start in self._outages.items():
            if name in self._off:
                kept = abs(since(targets.get(name)) - start) < 0.002
                self._expected[name] = (start, kept)
                if not kept:
                    self.oldest = max(self.oldest, killed - self._seen[name])


class Steady:
    """The targets of a page whose labels do not change."""

    def __init__(self, page):
        self._page = page

    def counters(self):
        steady = tuple(f'target="t{number}"' for number in range(0, TARGETS, 2))
        return {name: value for name, value in self._page.counters().items() if any(target in name for target in steady)}


def since(saved):
    """Unix seconds of the outage in the file, or 0."""
    if saved is None or saved["verdict"].lower() != "down":
        return 0
    return saved["since"]["secs_since_epoch"] + saved["since"]["nanos_since_epoch"] / 1e9
