"""A running exporter, and waiting for what it says."""

import contextlib
import re
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

from rendered import EXPORTER

PATIENCE = 60


def fetch(url, **headers):
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as answer:
        return answer.read().decode()


def wait_for(what, asked):
    """Until it is true; PATIENCE is for a machine with other things to do, and nothing takes that long."""
    until = time.monotonic() + PATIENCE
    while True:
        found = asked()
        if found:
            return found
        if time.monotonic() > until:
            raise SystemExit(f"not within {PATIENCE} s: {what}")
        time.sleep(0.1)


class Exporter:
    def __init__(self, log, process):
        self.log, self.process = log, process
        self.url = "http://" + wait_for("it listens", self._address)

    def _address(self):
        if self.process.poll() is not None:
            raise SystemExit(f"the exporter ended:\n{self.said()}")
        found = re.search(r'address="?(127\.0\.0\.1:\d+)', self.said())
        return found and found.group(1)

    def said(self):
        with open(self.log.name) as log:
            return log.read()

    def metrics(self):
        return fetch(self.url + "/metrics")

    def shows(self, pattern):
        return re.search(pattern, self.metrics(), re.MULTILINE)


@contextlib.contextmanager
def exporter(*flags, env=None):
    with tempfile.NamedTemporaryFile("w") as log:
        process = subprocess.Popen([EXPORTER, "--web.listen-address=127.0.0.1:0", *flags], stderr=log, env=env)
        try:
            yield Exporter(log, process)
        finally:
            process.terminate()
            process.wait()
