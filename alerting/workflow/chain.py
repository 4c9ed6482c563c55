"""Site, three exporters, Prometheus, Alertmanager and those who are told: started, wired up, and ended."""

import contextlib
import http.server
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "alerting" / "alertmanager" / "tests"))

import live  # noqa: E402
import sink as sinks  # noqa: E402
from service import NameServer, Site  # noqa: E402

# And what customers call them.
REGIONS = {"ap": "Asia", "eu": "Europe", "us": "America"}

# The numbers that are other than shipped, so that minutes are seconds: file, pattern, replacement. Each must match.
FASTER = (
    ("*.rules.yml", r"^    interval: \w+$", "    interval: 1s"),
    # An outage in several places is told after 5 s, or 20 s when there are three or more; one in one place after 20 s.
    ("recording.rules.yml", r"timestamp >= 30$", "timestamp >= 5"),
    ("recording.rules.yml", r"timestamp >= 60$", "timestamp >= 20"),
    ("recording.rules.yml", r"timestamp < 60\)", "timestamp < 20)"),
    ("recording.rules.yml", r"timestamp >= 120$", "timestamp >= 20"),
    # Failing now and then is judged by the last minute.
    ("recording.rules.yml", r"\[15m\]", "[1m]"),
    # How long a certificate is expired before it is told.
    ("certificates.rules.yml", r"^        for: 1m$", "        for: 5s"),
    # How long a vantage is in trouble before that is told.
    ("exporter.rules.yml", r"^        for: 1m$", "        for: 5s"),
)
# Customers are told a while after those on call, in which there is time to write a notice: 20 s for the minute.
CUSTOMERS_WAIT = (r"(receiver: customers\n(?:.*\n)*?      group_wait: )1s", r"\g<1>20s")

SERVICES = {
    # name: display name
    "shop": "The shop",
    "search": "Search",
    "sign-in": "Sign-in",
    "api": "The API",
    "reports": "Reports",
    "blog": "The blog",
    # Ten behind one address, and five behind a gateway that customers do not know.
    **{f"rack-{n}": f"Service {n}" for n in range(1, 11)},
    "gateway": None,
    **{f"door-{n}": f"Door {n}" for n in range(1, 6)},
    # Three to which one region has a way of its own, and three of which each has a name in another domain.
    **{f"isle-{n}": f"Isle {n}" for n in range(1, 4)},
    "north": "North",
    "east": "East",
    "south": "South",
}
RACK = [name for name in SERVICES if name.startswith("rack-")]
DOORS = [name for name in SERVICES if name.startswith("door-")]
ISLES = [name for name in SERVICES if name.startswith("isle-")]
NAMED = ["north", "east", "south"]
# The region with a way of its own to the isles.
FAR = "eu"


class Chain:
    """Use as a context manager; leaving it ends what it started."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.exporters = {}
        self.maintained = False
        self.notices = []
        self._stack = contextlib.ExitStack()

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            self._stack = stack
            self._start()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *failure):
        self._stack.close()

    def _start(self):
        self.site = Site(self.folder)
        self._stack.callback(self.site.close)
        self.name_servers = {region: NameServer() for region in REGIONS}
        for server in self.name_servers.values():
            self._stack.callback(server.close)
        self.sink = sinks.Sink()
        self._stack.callback(self.sink.close)
        self.webhook = Webhook()
        self._stack.callback(self.webhook.close)
        (self.folder / "notices.json").write_text("[]")
        for region in REGIONS:
            self._start_exporter(region)
        changes = [CUSTOMERS_WAIT]
        for receiver in ("oncall", "customers"):
            hook = f"    webhook_configs:\n      - {{url: '{self.webhook.url}/{receiver}', send_resolved: true}}\n"
            changes.append((rf"(?m)^(  - name: {receiver}\n)", rf"\g<1>{hook}"))
        self.alertmanager = live.Alertmanager(self.folder, self.sink, changes, url="http://localhost:9093")
        self._stack.callback(self.alertmanager.stop)
        self._start_prometheus()
        self._start_status()

    # ---- The exporters

    def _start_exporter(self, region):
        """On a socket that is handed over, as systemd does: its own links need the port before it starts."""
        self._write_config(region)
        with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            process = self._run(region, [
                "sh", "-c", 'LISTEN_FDS=1 LISTEN_PID=$$ exec "$@" 3<&0 </dev/null', "sh",
                os.environ["UPTIME_EXPORTER"], f"--config.file={self.folder / region}.json", "--web.systemd-socket",
                f"--web.external-url={url}", f"--state.file={self.folder / region}.state"], stdin=listener)
        self.exporters[region] = (url, process)
        wait_for(f"the exporter in {region} has looked at everything", lambda: get(f"{url}/-/ready"))

    def _write_config(self, region):
        http = {"preferred_ip_protocol": "ip4", "headers": {"X-Region": region}, "tls_config": {"ca_file": str(self.site.pki.ca)}}
        targets = [self._target(region, name, display_name) for name, display_name in SERVICES.items()]
        config = {
            "global": {"interval": "1s", "timeout": "900ms", "labels": {"region": region}, "region_name": REGIONS[region],
                       "confirm": {"failures": 2, "retry_interval": "200ms"}},
            "modules": {"http_2xx": {"prober": "http", "http": http}},
            "notice_files": [str(self.folder / "notices.json")],
            "targets": targets,
        }
        if self.maintained:
            window = {"start": "2020-01-01T00:00", "end": "2100-01-01T00:00"}
            config["maintenance"] = [{"name": "move of the database", "targets": ["reports"], "once": window}]
        write(self.folder / f"{region}.json", json.dumps(config, indent=2))

    def _target(self, region, name, display_name):
        base = self.site.https if name == "api" else self.site.rack if name in RACK else self.site.http
        if name in ISLES:
            base = f"http://{self.site.way.address}" if region == FAR else self.site.isle
        if name in NAMED:
            base = base.replace("127.0.0.1", f"www.{name}.test")
        target = {"name": name, "target": f"{base}/{name}"}
        if name in NAMED:
            target["dns_servers"] = [self.name_servers[region].address]
        if display_name:
            target.update(display_name=display_name, labels={"public": "true"})
        if name in DOORS:
            target["depends_on"] = ["gateway"]
        return target

    def reload(self):
        for region, (url, _) in self.exporters.items():
            self._write_config(region)
            request = urllib.request.Request(f"{url}/-/reload", method="POST")
            urllib.request.urlopen(request, timeout=20).read()

    def maintain(self, on):
        self.maintained = on
        self.reload()

    def announce(self, notices):
        """The operator's words."""
        write(self.folder / "notices.json", json.dumps(notices))
        self.reload()

    # ---- Prometheus

    def _start_prometheus(self):
        """With the README's scrape job and the shipped rules, but for FASTER."""
        readme = (ROOT / "README.md").read_text()
        jobs = re.search(r"<!-- prometheus:begin -->\n```yaml\n(.*?)```\n<!-- prometheus:end -->", readme, re.S)[1]
        places = json.dumps([url.removeprefix("http://") for url, _ in self.exporters.values()])
        assert '["localhost:9815"]' in jobs, "the scrape job in README.md has another address now"
        alertmanager = json.dumps([self.alertmanager.url.removeprefix("http://")])
        (self.folder / "prometheus.yml").write_text(
            "global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}\n"
            "rule_files: ['*.rules.yml']\n"
            f"alerting: {{alertmanagers: [{{static_configs: [{{targets: {alertmanager}}}]}}]}}\n"
            + jobs.replace('["localhost:9815"]', places))
        for path in (ROOT / "alerting" / "prometheus").glob("*.rules.yml"):
            (self.folder / path.name).write_text(path.read_text())
        for files, pattern, replacement in FASTER:
            for path in self.folder.glob(files):
                text, count = re.subn(pattern, replacement, path.read_text(), flags=re.M)
                assert count, f"{path.name} has no {pattern} any more"
                path.write_text(text)
        process = self._run("prometheus", [
            "prometheus", f"--config.file={self.folder / 'prometheus.yml'}", f"--storage.tsdb.path={self.folder / 'tsdb'}",
            "--web.listen-address=127.0.0.1:0", "--rules.alert.resend-delay=1s"])

        def port():
            log = live.whole_lines(self.folder / "prometheus.log")
            assert process.poll() is None, f"Prometheus ended:\n{log}"
            found = re.search(r'"Listening on".*address=\S*?:(\d+)', log)
            return found and found[1]

        self.prometheus = f"http://127.0.0.1:{wait_for('Prometheus listens', port)}"
        wait_for("Prometheus is ready", lambda: get(f"{self.prometheus}/-/ready"))
        targets = len(SERVICES) * len(REGIONS)
        wait_for("Prometheus has every target of every region", lambda: len(self.ask("target_vantage:probe_up:vote == 1")) == targets)

    # ---- The status site

    def _start_status(self):
        self._status = self.folder / "status"
        settings = {"name": "Example", "url": "https://status.example.com/", "shortest_incident": "1s"}
        write(self.folder / "status.yaml", json.dumps(settings))
        self._run("status", [
            os.environ["UPTIME_EXPORTER"], "status", f"--prometheus={self.prometheus}", f"--config={self.folder / 'status.yaml'}",
            f"--output={self._status}", "--every=1s"])
        wait_for("the status site is written", lambda: (self._status / "index.html").exists() and self.status()["current"])

    def status(self):
        """What the site says to programs."""
        return json.loads((self._status / "status.json").read_text())

    def status_page(self):
        """What it says to people."""
        return (self._status / "index.html").read_text()

    def ask(self, expr):
        """The series of an instant query: labels and value."""
        with urllib.request.urlopen(f"{self.prometheus}/api/v1/query?{urllib.parse.urlencode({'query': expr})}", timeout=20) as answer:
            return [(one["metric"], float(one["value"][1])) for one in json.load(answer)["data"]["result"]]

    def report(self, begin):
        """What `uptime_exporter report` says of the time since."""
        command = [os.environ["UPTIME_EXPORTER"], "report", f"--prometheus={self.prometheus}", f"--from={int(begin)}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    # ---- Processes

    def _run(self, name, command, stdin=subprocess.DEVNULL):
        log = (self.folder / f"{name}.log").open("w")
        process = subprocess.Popen(command, cwd=self.folder, stdin=stdin, stdout=log, stderr=subprocess.STDOUT)

        def stop():
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            log.close()

        self._stack.callback(stop)
        return process

    def logs(self):
        """What the processes complained of."""
        for path in sorted(self.folder.glob("*.log")):
            bad = [line for line in path.read_text().splitlines() if re.search(r"level=(error|warn)", line)]
            if bad:
                yield f"{path.name}:\n" + "\n".join(bad[-10:])


class Webhook:
    """Takes what Alertmanager posts to a plain webhook."""

    def __init__(self):
        self.received = []
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Webhook)
        self._server.daemon_threads = True
        self._server.webhook = self
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def about(self, receiver, label, value):
        """Payloads about a target or a cause."""
        return [body for to, body in list(self.received) if to == receiver and body["commonLabels"].get(label) == value]

    def close(self):
        self._server.shutdown()
        self._server.server_close()


class _Webhook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.webhook.received.append((self.path.strip("/"), body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


def write(path, text):
    """In one go: somebody may be looking."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.replace(path)


def get(url):
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.read().decode()
    except OSError:
        return None


def wait_for(what, condition, seconds=120):
    end = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(0.1)
    return value
