"""The folder of the state file is full, read-only or gone, and comes back, while the exporter watches an outage."""

import os
import subprocess

from exporter import Exporter
from peers import Peers
from play import Skipped, until
import state_file

FAILURES = "uptime_exporter_state_file_write_failures_total"
WRITTEN = "uptime_exporter_state_file_last_write_timestamp_seconds"
NOT_WRITTEN = "The state was not written"
WRITTEN_AGAIN = "The state is written again"
# Writes that have to fail before it is judged: once is told, the rest is counted.
ENOUGH = 3


def play(part):
    disk = Disk(part.folder / "state")
    try:
        disk.mount()
    except subprocess.CalledProcessError as error:
        raise Skipped(f"cannot mount a tmpfs: {error.stderr.strip()}") from error
    with Peers(part.folder / "peers") as peers:
        config = {
            "global": {"interval": "500ms", "timeout": "400ms", "confirm": {"failures": 2, "retry_interval": "100ms"}},
            "targets": [{"name": name, "target": peers.url(f"/switch/{name}")} for name in ("good", "bad", "later")],
        }
        peers.switch("bad", False)
        args = [f"--state.file={disk.folder}/state", "--state.interval=1"]
        with Exporter(part.folder / "exporter", config, args=args) as exporter:
            exporter.until("the outage is there", lambda page: page.value("probe_up", target="bad") == 0)
            file = disk.folder / "state"
            until(30, "the outage is in the state file", lambda: state_file.is_whole(file) and "bad" in state_file.read(file)[1])
            for name, spoil, mend in (
                ("disk full", disk.fill, disk.empty),
                ("read-only", disk.lock, disk.unlock),
                ("folder gone", disk.unmount, disk.mount),
            ):
                trouble(part, exporter, peers, file, name, spoil, mend)
            exporter.kill()
            exporter.start()
            page = exporter.until("it is back", lambda page: page.value("probe_up", target="bad") is not None)
            part.check("after kill -9 the outage is still known", page.value("probe_up", target="bad") == 0)
        damaged = list(disk.folder.glob("*.damaged*"))
        part.check("nothing was ever set aside as damaged", not damaged, damaged or "")
    disk.unmount()


def trouble(part, exporter, peers, file, name, spoil, mend):
    """One kind of it, from the first write that fails to the first that does not."""
    before = exporter.page()
    told, told_again = len(exporter.logged(NOT_WRITTEN)), len(exporter.logged(WRITTEN_AGAIN))
    spoil()
    page = exporter.until(f"{name}: writes fail", lambda page: page.value(FAILURES) >= before.value(FAILURES) + ENOUGH)
    # A verdict that turns meanwhile is written at once, or would be.
    peers.switch("later", False)
    exporter.until(f"{name}: a target goes down", lambda page: page.value("probe_up", target="later") == 0)
    runs = page.sum("probe_runs_total")
    page = exporter.until(f"{name}: probing goes on", lambda page: page.sum("probe_runs_total") > runs + 10)
    part.check(f"{name}: probing and verdicts go on", page.value("probe_up", target="good") == 1
               and page.value("probe_up", target="bad") == 0 and page.value("probe_up", target="later") == 0)
    part.check(f"{name}: the outage keeps its start",
               page.value("probe_outage_start_timestamp_seconds", target="bad")
               == before.value("probe_outage_start_timestamp_seconds", target="bad"))
    part.check(f"{name}: told once", len(exporter.logged(NOT_WRITTEN)) == told + 1,
               f"{len(exporter.logged(NOT_WRITTEN)) - told} lines for {page.value(FAILURES) - before.value(FAILURES):.0f} failures")
    part.check(f"{name}: the metrics say so", page.value(FAILURES) >= before.value(FAILURES) + ENOUGH,
               f"{FAILURES} {page.value(FAILURES):.0f}")
    if file.exists():
        part.check(f"{name}: what was written before is whole", state_file.is_whole(file))
        left = [path for path in file.parent.glob("state.*")]
        part.check(f"{name}: no part of a file is left on the disk", not left, ", ".join(path.name for path in left))
    mend()
    failures = exporter.page().value(FAILURES)
    page = exporter.until(f"{name}: it is written again", lambda page: page.value(WRITTEN) > before.value(WRITTEN)
                          and len(exporter.logged(WRITTEN_AGAIN)) > told_again)
    part.check(f"{name}: written again by itself, and said so once", len(exporter.logged(WRITTEN_AGAIN)) == told_again + 1)
    head, targets = state_file.read(file)
    part.check(f"{name}: the file is whole and has the outage that began meanwhile",
               head["targets"] == 3 and targets["later"]["verdict"].lower() == "down", targets["later"]["verdict"])
    peers.switch("later", True)
    exporter.until(f"{name}: the target is up again", lambda page: page.value("probe_up", target="later") == 1)
    part.check(f"{name}: no write failed afterwards", exporter.page().value(FAILURES) <= failures + 1)


class Disk:
    """A small tmpfs of our own."""

    def __init__(self, folder):
        self.folder = folder
        self._filler = folder / "filler"

    def mount(self):
        self.folder.mkdir(exist_ok=True)
        run("mount", "-t", "tmpfs", "-o", "size=128k,mode=700", "tmpfs", str(self.folder))

    def unmount(self):
        # Lazily, as a write may be going on.
        run("umount", "--lazy", str(self.folder))
        self.folder.rmdir()

    def fill(self):
        """Until nothing more fits: not even one more page."""
        with open(self._filler, "wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                os.fsync(file.fileno())

    def empty(self):
        self._filler.unlink()

    def lock(self):
        # A file that is being written makes it busy for a moment.
        until(30, "the tmpfs is read-only", lambda: quietly("mount", "-o", "remount,ro", str(self.folder)))

    def unlock(self):
        run("mount", "-o", "remount,rw", str(self.folder))


def run(*command):
    subprocess.run(command, check=True, capture_output=True, text=True)


def quietly(*command):
    return subprocess.run(command, check=False, capture_output=True).returncode == 0
