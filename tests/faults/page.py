"""A page of metrics."""

import re
import time

SAMPLE = re.compile(r'^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)')
LABEL = re.compile(r'([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"')

# The four clocks of a target. What is not confirmed yet is in none of them.
CLOCKS = ("up", "down", "unknown", "maintenance")


class Page:
    def __init__(self, text):
        self.at = time.monotonic()
        self._families = {}
        for line in text.splitlines():
            if line and line[0] != "#":
                self._families.setdefault(line[:re.search(r"[{ ]", line).start()], []).append(line)

    def samples(self, name, **wanted):
        """Pairs of labels and value."""
        for line in self._families.get(name, ()):
            _, labels, value = SAMPLE.match(line).groups()
            labels = dict(LABEL.findall(labels or ""))
            if all(labels.get(key) == value for key, value in wanted.items()):
                yield labels, float(value)

    def value(self, name, **wanted):
        """`None` where there is none."""
        return next((value for _, value in self.samples(name, **wanted)), None)

    def sum(self, name, **wanted):
        return sum(value for _, value in self.samples(name, **wanted))

    def by_target(self, name, **wanted):
        return {labels["target"]: value for labels, value in self.samples(name, **wanted)}

    def clock(self, target):
        return sum(self.value(f"probe_{clock}_seconds_total", target=target) or 0 for clock in CLOCKS)

    def counters(self):
        """Every counter of targets, by its whole name."""
        return {
            line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1])
            for name, lines in self._families.items() if name.startswith("probe_") and name.endswith("_total")
            for line in lines
        }

    def reasons(self):
        """Failed runs by reason, of all targets."""
        sums = {}
        for labels, value in self.samples("probe_failures_total"):
            sums[labels["reason"]] = sums.get(labels["reason"], 0) + value
        return sums


def fallen(before, after):
    """Counters that went backwards or vanished."""
    now = after.counters()
    return [f"{name}: {value} -> {now.get(name)}" for name, value in before.counters().items()
            if now.get(name, -1.0) < value]
