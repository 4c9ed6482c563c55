#!/usr/bin/env python3
"""The systemd unit: what it verifies as, how exposed it is, and that the exporter makes no system call that it forbids."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
SYSTEMD = ROOT / "packaging" / "systemd"
UNIT = SYSTEMD / "uptime_exporter.service"
EXPORTER = os.environ.get("UPTIME_EXPORTER") or str(ROOT / "target" / "debug" / "uptime_exporter")
# As systemd-analyze security has it: 0 is best, 10 worst. What is left is what a prober needs: sockets, and CAP_NET_RAW.
EXPOSURE = 1.4
PATIENCE = 60

# Every prober, so that every kind of socket is opened.
CONFIG = """
global: {interval: 500ms, timeout: 500ms, target_files_refresh_interval: 200ms}
modules:
  http: {prober: http}
  http3: {prober: http, http: {enable_http2: false, enable_http3: true}}
  tcp: {prober: tcp}
  tls: {prober: tcp, tcp: {tls: true}}
  dns: {prober: dns, dns: {query_name: example.test}}
  dns_tcp: {prober: dns, dns: {query_name: example.test, transport_protocol: tcp}}
  ping: {prober: icmp}
  grpc: {prober: grpc}
  unix: {prober: unix}
  websocket: {prober: websocket}
target_files: ["more*.yaml"]
targets:
  - {name: http, target: "http://localhost:1/", module: http}
  - {name: unknown, target: "http://name.invalid/", module: http}
  - {name: http3, target: "https://127.0.0.1:1/", module: http3}
  - {name: tcp, target: "[::1]:1", module: tcp}
  - {name: tls, target: "127.0.0.1:1", module: tls}
  - {name: dns, target: "127.0.0.1:1", module: dns}
  - {name: dns-tcp, target: "127.0.0.1:1", module: dns_tcp}
  - {name: ping, target: "127.0.0.1", module: ping}
  - {name: ping6, target: "::1", module: ping}
  - {name: grpc, target: "127.0.0.1:1", module: grpc}
  - {name: unix, target: "/nowhere/socket", module: unix}
  - {name: websocket, target: "ws://127.0.0.1:1/", module: websocket}
"""


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}:\n{done.stdout}{done.stderr}")
    return done.stdout


def settings(name):
    return [line.split("=", 1)[1] for line in UNIT.read_text().splitlines() if line.startswith(f"{name}=")]


def verify():
    """Where the binary is not installed, an empty one stands in: systemd-analyze looks whether there is one."""
    with tempfile.TemporaryDirectory() as folder:
        binary = Path(folder) / "uptime_exporter"
        shutil.copy("/bin/true", binary)
        for unit in (UNIT, SYSTEMD / "socket" / "uptime_exporter.socket"):
            copy = Path(folder) / unit.name
            copy.write_text(unit.read_text().replace("/usr/bin/uptime_exporter", str(binary)))
            told = subprocess.run(["systemd-analyze", "verify", copy], capture_output=True, text=True)
            # About the machine's own units it says things too.
            lines = [line for line in told.stderr.splitlines() if "uptime_exporter" in line]
            if lines:
                raise SystemExit("\n".join(lines))


def exposure():
    told = run("systemd-analyze", "security", "--offline=true", UNIT)
    return float(re.search(r"exposure level for \S+: ([0-9.]+)", told).group(1))


def members(name):
    """The system calls of a set, and of the sets in it."""
    for line in run("systemd-analyze", "syscall-filter", name).splitlines()[1:]:
        word = line.strip()
        if word.startswith("@"):
            yield from members(word)
        elif word and not word.startswith("#"):
            yield word


def allowed():
    calls = set(members("@default"))
    for line in settings("SystemCallFilter"):
        named = line.removeprefix("~").split()
        found = {call for name in named for call in (members(name) if name.startswith("@") else [name])}
        # What is always permitted cannot be taken away.
        calls = calls - (found - set(members("@default"))) if line.startswith("~") else calls | found
    return calls


def wait_for(what, asked):
    until = time.monotonic() + PATIENCE
    while not (found := asked()):
        if time.monotonic() > until:
            raise SystemExit(f"not within {PATIENCE} s: {what}")
        time.sleep(0.1)
    return found


def traced(folder):
    """Runs the exporter through all that it does, and returns the trace."""
    config = folder / "config.yaml"
    config.write_text(CONFIG)
    (folder / "more.yaml").write_text("[{name: more, target: 'http://127.0.0.1:1/', module: http}]\n")
    log, trace = folder / "log", folder / "trace"
    command = [EXPORTER, f"--config.file={config}", f"--state.file={folder}/state", "--web.listen-address=127.0.0.1:0"]
    with open(log, "w") as stderr:
        strace = subprocess.Popen(["strace", "-f", "-qq", "-o", trace, *command], stderr=stderr, env=os.environ | {"NOTIFY_SOCKET": "/nowhere/notify"})
    try:
        def listens():
            if strace.poll() is not None:
                raise SystemExit(log.read_text())
            return re.search(r'address="?(127\.0\.0\.1:\d+)', log.read_text())

        url = f"http://{wait_for('it listens', listens).group(1)}"

        def page(path="/metrics", method="GET"):
            with urllib.request.urlopen(urllib.request.Request(url + path, method=method), timeout=10) as answer:
                return answer.read().decode()

        count = CONFIG.count("{name:") + 1
        wait_for("all have run", lambda: len(re.findall("^probe_success{", page(), re.MULTILINE)) == count)
        (folder / "more-2.yaml").write_text("[{name: more-2, target: 'http://127.0.0.1:1/', module: http}]\n")
        wait_for("a file is seen", lambda: 'probe_success{target="more-2"}' in page())
        for path in ("/", "/api/v1/targets", "/probe?target=127.0.0.1:1&module=tcp", "/config"):
            page(path)
        page("/-/reload", "POST")
        wait_for("the state is written", (folder / "state").exists)
    finally:
        child = run("pgrep", "-P", str(strace.pid)).split()
        for each in child:
            os.kill(int(each), signal.SIGTERM)
        strace.wait()
    return trace.read_text()


def main():
    verify()
    found = exposure()
    if found > EXPOSURE:
        raise SystemExit(f"the exposure is {found}; it was {EXPOSURE}")
    with tempfile.TemporaryDirectory() as folder:
        trace = traced(Path(folder))
    made = set(re.findall(r"^\d+ +([a-z0-9_]+)\(", trace, re.MULTILINE))
    forbidden = made - allowed()
    families = set(re.findall(r"\bsocket\((AF_[A-Z0-9]+)", trace))
    [permitted] = settings("RestrictAddressFamilies")
    if forbidden or not families <= set(permitted.split()):
        raise SystemExit(f"the unit forbids {sorted(forbidden)} {sorted(families - set(permitted.split()))}")
    # The filter must forbid something, and the trace must have gone far enough to show it.
    assert {"socket", "connect", "sendto", "fsync", "rename"} <= made, sorted(made)
    assert not {"chroot", "mount", "clock_settime", "reboot", "ptrace"} & allowed()
    print(f"unit: verified; exposure {found}; {len(made)} system calls and {len(families)} kinds of sockets, none forbidden")


if __name__ == "__main__":
    sys.exit(main())
