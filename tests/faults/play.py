"""What a part of the campaign reports: checks that hold or are findings, figures, and what could not be played."""

import time


class Skipped(Exception):
    """This machine cannot play it."""


class TooLate(Exception):
    """Something was waited for that did not come."""


class Play:
    """One part being played. The folder is its own."""

    def __init__(self, name, folder, seed, quick, minutes):
        self.name = name
        self.folder = folder
        self.seed = seed
        self.quick = quick
        self.minutes = minutes
        self.lines = []
        self.skipped = []

    def pick(self, quick, whole):
        return quick if self.quick else whole

    def say(self, text):
        print(f"   {text}", flush=True)

    def check(self, what, holds, seen=""):
        """Holds, or is a finding."""
        seen = str(seen)
        self.lines.append(("ok" if holds else "FINDING", what, seen))
        self.say(f"{'ok' if holds else 'FINDING'}: {what}" + (f" ({seen})" if seen else ""))
        return holds

    def check_of_peers(self, what, holds, seen, late, timeout):
        """As `check`, of what the peers have a share in. Where they were as late as half a timeout, nothing can be said."""
        if not holds and late > timeout / 2:
            self.skip(what, f"the machine is too busy: the peers were up to {late:.1f} s late themselves; seen: {seen}")
        else:
            self.check(what, holds, seen)

    def figure(self, what, value):
        self.lines.append(("figure", what, str(value)))
        self.say(f"{what}: {value}")

    def skip(self, what, reason):
        """A piece of the part that cannot be played here."""
        self.skipped.append(reason)
        self.lines.append(("SKIPPED", what, reason))
        self.say(f"SKIPPED: {what}: {reason}")

    @property
    def findings(self):
        return [line for line in self.lines if line[0] == "FINDING"]


def until(seconds, what, look, every=0.1):
    """What `look` returns as soon as that is true. The time is an upper bound for a machine that is busy."""
    end = time.monotonic() + seconds
    while True:
        seen = look()
        if seen:
            return seen
        if time.monotonic() > end:
            raise TooLate(f"waited {seconds} s in vain: {what}")
        time.sleep(every)
