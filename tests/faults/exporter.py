"""An exporter that runs, is asked over a Unix socket of its own, and is ended by its process id."""

import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess

from page import Page
from play import until

BINARY = os.environ["UPTIME_EXPORTER"]
PATIENCE = 60


class Exporter:
    """`prefix` is a command that becomes the exporter: `taskset`, `nsenter`. It has to exec, so that the pid is ours."""

    def __init__(self, folder, config, *, args=(), env=None, prefix=()):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.config = self.folder / "config.yaml"
        self.socket = self.folder / "web.sock"
        self.log = self.folder / "log"
        self.write_config(config)
        self._args, self._env, self._prefix = list(args), env or {}, list(prefix)
        self.process = None

    def write_config(self, config):
        """JSON is YAML. In one step, as the exporter may look at any time."""
        new = self.config.with_suffix(".new")
        new.write_text(json.dumps(config, indent=1))
        new.rename(self.config)

    def start(self, wait=True):
        command = [*self._prefix, BINARY, f"--config.file={self.config}", f"--web.listen-address=unix:{self.socket}", *self._args]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env={**os.environ, **self._env})
        if wait:
            until(PATIENCE, "the exporter is there", self.is_there, every=0.02)
        return self

    def is_there(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"the exporter ended by itself with {self.process.returncode}:\n{self.tail()}")
        try:
            return self.get("/-/healthy")[0] == 200
        except OSError:
            return False

    @property
    def pid(self):
        return self.process.pid

    def request(self, method, path, timeout=PATIENCE):
        connection = http.client.HTTPConnection("localhost", timeout=timeout)
        connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.sock.settimeout(timeout)
        try:
            connection.sock.connect(str(self.socket))
            connection.request(method, path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except http.client.HTTPException as error:
            raise OSError(f"no answer: {error!r}") from error
        finally:
            connection.close()

    def get(self, path, timeout=PATIENCE):
        return self.request("GET", path, timeout)

    def page(self):
        status, text = self.get("/metrics")
        if status != 200:
            raise OSError(f"/metrics answered {status}: {text}")
        return Page(text)

    def until(self, what, holds, seconds=PATIENCE, every=0.1):
        """The first page for which `holds` is true."""
        def look():
            page = self.page()
            return page if holds(page) else None
        return until(seconds, what, look, every)

    def until_observed(self):
        until(PATIENCE, "every target was observed", lambda: self.get("/-/ready")[0] == 200)
        return self.page()

    def reload(self):
        return self.request("POST", "/-/reload")

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def stop(self, patience=PATIENCE):
        """In order; its exit code."""
        self.signal(signal.SIGTERM)
        return self.process.wait(patience)

    def logged(self, text):
        return [line for line in self.log.read_text(errors="replace").splitlines() if text in line]

    def tail(self):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def status(self, key):
        """A number of /proc/PID/status: VmRSS and the like in KiB, Threads."""
        for line in pathlib.Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(key + ":"):
                return int(line.split()[1])
        raise KeyError(key)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.kill()
