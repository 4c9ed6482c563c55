"""The scenario: peers that behave and misbehave, three exporters in three regions, and a real Prometheus. All on 127.0.0.1."""

import contextlib
import http.server
import itertools
import json
import os
import pathlib
import re
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request

import past
from boards import ROOT

EXPORTER = os.environ.get("UPTIME_EXPORTER") or str(ROOT / "target" / "debug" / "uptime_exporter")


class Peer(http.server.BaseHTTPRequestHandler):
    """/ok, /slow, /broken; /flaps is broken for a while, every so often, and /blinks now and then for one request; /moves changes its Server header, and /breaks breaks, once
    it was asked often enough for everyone to have seen the first."""

    protocol_version = "HTTP/1.1"
    began = time.monotonic()
    moves = itertools.count()
    breaks = itertools.count()
    blinks = itertools.count()

    def do_GET(self):
        broken = self.path == "/broken" or (self.path == "/flaps" and (time.monotonic() - Peer.began) % 10 < 5)
        broken = broken or (self.path == "/breaks" and next(Peer.breaks) > 80)
        broken = broken or (self.path == "/blinks" and next(Peer.blinks) % 9 == 0)
        if self.path == "/slow":
            time.sleep(0.2)
        self.server_name = "new" if self.path == "/moves" and next(Peer.moves) > 20 else "old"
        self.send_response(503 if broken else 200)
        self.send_header("Content-Length", "3")
        self.end_headers()
        self.wfile.write(b"ok\n")

    def version_string(self):
        return self.server_name

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        """Clients that go away in the middle are the exporters as they are stopped."""


def serve(handler, context=None, address="127.0.0.1"):
    server = Server((address, 0), handler)
    if context:
        # The handshake belongs to the connection's thread: one who never speaks is not to hold up the others.
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def closed_port():
    """A port that nothing listens on, and that nobody is given while the scenario runs: it stays bound."""
    held = socket.socket()
    held.bind(("127.0.0.1", 0))
    return held, held.getsockname()[1]


def fetch(url, timeout=10):
    with urllib.request.urlopen(url, timeout=timeout) as answer:
        return answer.read().decode()


def settled(address, began):
    """The page of an exporter once each target has been run, and the load of starting is over."""
    page = fetch(f"http://{address}/metrics")
    first = page.count("\nprobe_last_run_timestamp_seconds{") == page.count("\nprobe_target_info{")
    return time.time() > began + 8 and first and page


def certificate(folder):
    """Self-signed, for ten days: refused where it is verified."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "10",
         "-subj", "/CN=shop.example", "-addext", "subjectAltName=IP:127.0.0.1,DNS:shop.example",
         "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
        check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


class Scenario:
    """Use as a context manager: leaving it ends what it started."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.stack = contextlib.ExitStack()
        self.targets = {}
        self.prometheus = None
        self.processes = {}

    def __enter__(self):
        plain = serve(Peer)
        secure = serve(Peer, certificate(self.folder))
        self.rack = serve(Peer, address="127.0.0.2")
        held, closed = closed_port()
        self.began = time.time()
        self.stack.callback(held.close)
        self.exporters = {
            "eu-west": self.exporter("eu-west", self.config("eu-west", plain, secure, closed)),
            "us-east": self.exporter("us-east", self.config("us-east", plain, secure, closed)),
            "cut-off": self.exporter("cut-off", self.cut_off(closed)),
        }
        self.backfill()
        self.start_prometheus()
        return self

    def __exit__(self, *failure):
        self.stack.close()

    def config(self, region, plain, secure, closed):
        """The same targets in every region; one of them is broken for one region only."""
        url = f"http://127.0.0.1:{plain}"
        insecure = {"tls_config": {"insecure_skip_verify": True}}
        regional = f"{url}/broken" if region == "us-east" else f"{url}/ok"
        targets = [
            {"name": "shop", "target": f"https://127.0.0.1:{secure}/ok", "http": insecure, "labels": {"group": "web"},
             "display_name": "The shop", "slo": 0.99, "slow_threshold": "2s", "latency_buckets": [0.01, 0.1, 1]},
            {"name": "slow", "target": f"{url}/slow", "slow_threshold": "100ms", "display_name": "Search"},
            {"name": "untrusted", "target": f"https://127.0.0.1:{secure}/ok", "display_name": "The shop"},
            {"name": "closed", "target": f"127.0.0.1:{closed}", "module": "tcp_connect", "labels": {"group": "mail"},
             "display_name": "Mail"},
            {"name": "regional", "target": regional, "display_name": "Pictures"},
            {"name": "flapping", "target": f"{url}/flaps", "display_name": "Sign-in", "confirm": {"retry_interval": "200ms"}},
            {"name": "blinking", "target": f"{url}/blinks"},
            {"name": "works", "target": f"{url}/broken", "display_name": "Reports"},
            {"name": "moved", "target": f"{url}/moves", "display_name": "News"},
            {"name": "addresses", "target": f"http://127.0.0.1:{plain}/ok", "ip_protocol": "both", "up_when": "any",
             "display_name": "Maps"},
            # What fails together: behind one address, and behind another target.
            *({"name": f"rack-{n}", "target": f"http://127.0.0.2:{self.rack}/breaks"} for n in range(1, 9)),
            {"name": "gateway", "target": f"{url}/broken"},
            {"name": "door", "target": f"{url}/broken", "depends_on": ["gateway"]},
            # Not for customers: they have no label public.
            {"name": "internal.example.com", "target": f"{url}/ok"},
        ]
        for target in targets:
            if "display_name" in target:
                target["labels"] = {"public": "true"} | target.get("labels", {})
        self.targets[region] = [(target["name"], target.get("labels", {})) for target in targets]
        return {
            "global": {"interval": "2s", "timeout": "1900ms", "labels": {"region": region}, "region_name": region.split("-")[0].upper(),
                       "anchors": [f"127.0.0.1:{plain}"],
                       "confirm": {"failures": 2, "retry_interval": "300ms"}},
            "modules": {"http_2xx": {"prober": "http", "http": {"preferred_ip_protocol": "ip4"}},
                        "tcp_connect": {"prober": "tcp", "tcp": {"preferred_ip_protocol": "ip4"}}},
            "notice_files": ["notices.yaml"],
            "maintenance": [{"name": "for long", "targets": ["works"], "once": {"start": "2020-01-01T00:00", "end": "2100-01-01T00:00"}}],
            "targets": targets,
        }

    def cut_off(self, closed):
        """A vantage that reaches nothing, so it can tell nothing of a target that nobody else watches."""
        self.targets["cut-off"] = [("afar", {"public": "true"})]
        return {
            "global": {"interval": "2s", "timeout": "1900ms", "labels": {"region": "cut-off"}, "anchors": [f"127.0.0.1:{closed}"]},
            "modules": {"tcp_connect": {"prober": "tcp", "tcp": {"preferred_ip_protocol": "ip4"}}},
            "targets": [{"name": "afar", "target": f"127.0.0.1:{closed}", "module": "tcp_connect", "display_name": "Far away",
                         "labels": {"public": "true"}}],
        }

    def start(self, name, command):
        log = open(self.folder / f"{name}.log", "w")
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)

        def stop():
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            log.close()

        self.stack.callback(stop)
        return process

    def wait(self, name, process, done, seconds=60):
        """Until done() is true; says why not, with the log of the process."""
        deadline = time.monotonic() + seconds
        problem = "not yet"
        while time.monotonic() < deadline and process.poll() is None:
            try:
                result = done()
                if result:
                    return result
            except OSError as error:
                problem = error
            time.sleep(0.1)
        sys.exit(f"{name} did not start ({problem}):\n{(self.folder / f'{name}.log').read_text()[-4000:]}")

    def exporter(self, region, config):
        notice = [{"targets": ["closed"], "cause": "A disk is full", "action": "We make room", "next_update": "2100-01-01T12:00:00Z"}]
        (self.folder / "notices.yaml").write_text(json.dumps(notice))
        path = self.folder / f"{region}.yaml"
        path.write_text(json.dumps(config, indent=1))
        self.processes[region] = process = self.start(region, [EXPORTER, f"--config.file={path}", "--web.listen-address=127.0.0.1:0",
                                                         f"--state.file={self.folder / f'{region}.state'}"])

        def address():
            log = (self.folder / f"{region}.log").read_text()
            # Of the last line, half may be there.
            log = log[:log.rfind("\n") + 1]
            found = re.search(r"address=(127\.0\.0\.1:\d+).*Listening|Listening.*address=(127\.0\.0\.1:\d+)", log)
            return found and (found[1] or found[2])

        return self.wait(region, process, address)

    def backfill(self):
        """The past, up to a moment before the exporters began."""
        pages = {address: self.wait(region, self.processes[region], lambda address=address: settled(address, self.began))
                 for region, address in self.exporters.items()}
        path = self.folder / "past.txt"
        path.write_text("\n".join(past.lines(pages, self.began)) + "\n")
        told = subprocess.run(["promtool", "tsdb", "create-blocks-from", "openmetrics", "--max-block-duration=240h", path, self.folder / "data"],
                              capture_output=True, text=True, check=False)
        if told.returncode:
            sys.exit(f"the past could not be written: {told.stderr}")

    def start_prometheus(self):
        """With README's scrape config and the rules of alerting/prometheus, only faster."""
        readme = (ROOT / "README.md").read_text()
        jobs = re.search(r"<!-- prometheus:begin -->\n```yaml\n(.*?)```\n<!-- prometheus:end -->", readme, re.S)[1]
        header, job = jobs.split("\n", 1)
        assert header == "scrape_configs:" and '["localhost:9815"]' in job, "README's scrape config is not what this test takes it for"
        config = ["global: {scrape_interval: 1s, evaluation_interval: 1s}", "rule_files: ['*.rules.yml']", header,
                  job.replace('["localhost:9815"]', json.dumps(list(self.exporters.values()))).rstrip()]
        (self.folder / "prometheus.yml").write_text("\n".join(config) + "\n")

        for path in (ROOT / "alerting" / "prometheus").glob("*.rules.yml"):
            text = re.sub(r"^(    interval:).*$", r"\1 1s", path.read_text(), flags=re.M)
            # The verdicts that averages are taken over: of the present no more than of the past.
            (self.folder / path.name).write_text(re.sub(r"(- name: uptime-verdict\n    interval:) 1s", r"\1 15s", text))
        process = self.start("prometheus", [
            "prometheus", f"--config.file={self.folder / 'prometheus.yml'}", f"--storage.tsdb.path={self.folder / 'data'}",
            "--storage.tsdb.retention.time=120d", "--web.listen-address=127.0.0.1:0", "--log.level=info"])

        def address():
            # Prometheus logs the address that it was told, not the port that it got.
            return listening(process.pid)

        port = self.wait("prometheus", process, address)
        self.prometheus = f"http://127.0.0.1:{port}"
        self.wait("prometheus", process, lambda: "Ready" in fetch(f"{self.prometheus}/-/ready"))

    def answer(self, path, **given):
        """What Prometheus answers: its series, raw."""
        url = f"{self.prometheus}/api/v1/{path}?{urllib.parse.urlencode(given)}"
        try:
            answer = json.loads(fetch(url, 60))
        except urllib.error.HTTPError as error:
            raise ValueError(json.loads(error.read().decode()).get("error", str(error))) from error
        result = answer["data"]["result"]
        return [{"metric": {}, "value": result}] if answer["data"]["resultType"] == "scalar" else result

    def ask(self, expr, *, instant, span=60, step=1, start=None, end=None):
        """The series of a query: labels and numbers."""
        now = time.time()
        if instant:
            result = self.answer("query", query=expr)
        else:
            result = self.answer("query_range", query=expr, start=start or now - span, end=end or now, step=step)
        return [(one["metric"], [float(value) for _, value in one.get("values", [one.get("value")])]) for one in result]


def listening(pid):
    """The port that a process of ours listens on: Linux tells, by the inodes of its sockets."""
    sockets = set()
    for entry in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            found = re.fullmatch(r"socket:\[(\d+)\]", os.readlink(entry))
            if found:
                sockets.add(found[1])
    for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == "0A" and fields[9] in sockets:
            return int(fields[1].rsplit(":", 1)[1], 16)
    return None
