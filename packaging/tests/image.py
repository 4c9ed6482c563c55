#!/usr/bin/env python3
"""Unpacks the image and runs its entry point as a container would: packaging/tests/image.py LAYOUT

For each architecture: its own user and files, a read-only root, no capabilities, no network but loopback, a folder for the state. aarch64
runs under QEMU. Needs root, for the namespaces.
"""

import ctypes
import json
import os
import platform
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

USER = 65532
STATE = "var/lib/uptime_exporter"
PATIENCE = 120
QEMU = {"amd64": "qemu-x86_64-static", "arm64": "qemu-aarch64-static"}
OWN = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
FILES = {
    "etc/group",
    "etc/passwd",
    "etc/ssl/certs/ca-certificates.crt",
    "etc/uptime_exporter/config.yaml",
    "usr/bin/uptime_exporter",
}
# Time zones, roots, pings and name lookups: what the image has to bring, or the runtime to allow.
CONFIG = """
global: {interval: 500ms, timeout: 400ms}
modules:
  http: {prober: http}
  ping: {prober: icmp}
  tls: {prober: tcp, tcp: {tls: true}}
maintenance:
  - {name: always, targets: [zone], time_zone: Europe/Berlin, weekly: {start: "00:00", end: "00:00"}}
targets:
  - {name: exporter, target: "http://localhost:9815/-/healthy", module: http}
  - {name: ping, target: 127.0.0.1, module: ping}
  - {name: zone, target: 127.0.0.1, module: ping}
"""


def run(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}:\n{done.stdout}{done.stderr}")
    return done.stdout


def unpack(layout, arch, folder):
    """The root file system and the config of the image, by the tools that others unpack it with."""
    [tag] = [each["annotations"]["org.opencontainers.image.ref.name"] for each in json.loads((layout / "index.json").read_text())["manifests"]]
    single = folder / "single"
    run("skopeo", "copy", "--override-arch", arch, f"oci:{layout}:{tag}", f"oci:{single}:{tag}")
    config = json.loads(run("skopeo", "inspect", "--config", f"oci:{single}:{tag}"))
    run("umoci", "unpack", "--image", f"{single}:{tag}", folder / "bundle")
    return folder / "bundle" / "rootfs", config


def architectures(layout):
    [index] = json.loads((layout / "index.json").read_text())["manifests"]
    algorithm, digest = index["digest"].split(":")
    manifests = json.loads((layout / "blobs" / algorithm / digest).read_text())["manifests"]
    for each in manifests:
        assert each["platform"]["os"] == "linux", each
    return [each["platform"]["architecture"] for each in manifests]


def check_files(root):
    found = set()
    for path in root.rglob("*"):
        name, told = str(path.relative_to(root)), path.lstat()
        owner = USER if name == STATE else 0
        assert (told.st_uid, told.st_gid) == (owner, owner), f"{name} belongs to {told.st_uid}:{told.st_gid}"
        assert not told.st_mode & (stat.S_ISUID | stat.S_ISGID | stat.S_IWGRP | stat.S_IWOTH), f"{name}: {told.st_mode:o}"
        if not path.is_dir():
            assert path.is_file() and not path.is_symlink(), name
            found.add(name)
    assert found == FILES, found ^ FILES
    assert (root / "etc/ssl/certs/ca-certificates.crt").read_text().count("BEGIN CERTIFICATE") > 100
    assert re.search(rf"^uptime_exporter:x:{USER}:{USER}:", (root / "etc/passwd").read_text(), re.MULTILINE)


def check_config(config, arch):
    assert (config["architecture"], config["os"]) == (arch, "linux"), config
    told = config["config"]
    assert told["User"] == f"{USER}:{USER}", told
    assert "9815/tcp" in told["ExposedPorts"] and f"/{STATE}" in told["Volumes"], told
    labels = {key.removeprefix("org.opencontainers.image.") for key in told["Labels"]}
    assert {"title", "description", "version", "revision", "licenses"} <= labels, labels


def mount(*words):
    run("mount", *words)


class Container:
    """What a runtime does: a read-only root, /proc, the files about names, a volume, the image's user, no capability, no way to more."""

    def __init__(self, root, config, arch, state, files):
        self.root = root
        self.mounts = []
        for name in ("proc", "etc/hosts", "etc/resolv.conf", *([f"{QEMU[arch]}"] if arch != OWN else [])):
            path = root / name
            if name == "proc":
                path.mkdir(exist_ok=True)
            else:
                path.touch()
        (root / "etc/hosts").write_text("127.0.0.1 localhost\n")
        (root / "etc/resolv.conf").write_text("nameserver 127.0.0.1\n")
        self.bind(root, root)
        self.bind(state, root / STATE)
        for name, source in files.items():
            self.bind(source, root / name)
        command = [*config["config"]["Entrypoint"], *config["config"]["Cmd"]]
        if arch != OWN:
            self.bind(shutil.which(QEMU[arch]), root / QEMU[arch])
            command.insert(0, f"/{QEMU[arch]}")
        mount("-t", "proc", "proc", root / "proc")
        self.mounts.append(root / "proc")
        mount("-o", "remount,bind,ro", root)
        self.log = tempfile.NamedTemporaryFile("w+")

        def enter():
            os.chroot(root)
            os.chdir(config["config"]["WorkingDir"])
            os.setgroups([])
            os.setgid(USER)
            os.setuid(USER)
            # PR_SET_NO_NEW_PRIVS
            assert ctypes.CDLL(None).prctl(38, 1, 0, 0, 0) == 0

        self.process = subprocess.Popen(command, preexec_fn=enter, stderr=self.log, stdout=self.log, env={"PATH": "/usr/bin"})

    def bind(self, source, place):
        mount("--bind", source, place)
        self.mounts.append(place)

    def said(self):
        return Path(self.log.name).read_text()

    def wait_for(self, what, asked):
        until = time.monotonic() + PATIENCE
        while True:
            if self.process.poll() is not None:
                raise SystemExit(f"the exporter ended with {self.process.returncode}:\n{self.said()}")
            try:
                if asked():
                    return
            except OSError:
                pass
            if time.monotonic() > until:
                raise SystemExit(f"not within {PATIENCE} s: {what}\n{self.said()}")
            time.sleep(0.1)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait()
        for place in reversed(self.mounts):
            run("umount", "--lazy", place)
        assert code == 0, f"the exporter stopped with {code}:\n{self.said()}"


def page(path):
    with urllib.request.urlopen("http://127.0.0.1:9815" + path, timeout=10) as answer:
        return answer.read().decode()


def good(*names):
    text = page("/metrics")
    return all(re.search(rf'^probe_success{{target="{name}"}} 1$', text, re.MULTILINE) for name in names)


def try_out(layout, arch):
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        root, config = unpack(layout, arch, folder)
        check_files(root)
        check_config(config, arch)
        size = (root / "usr/bin/uptime_exporter").stat().st_size
        state = folder / "state"
        state.mkdir()
        os.chown(state, USER, USER)

        it = Container(root, config, arch, state, {})
        it.wait_for("ready, with the image's own config", lambda: page("/-/ready") and page("/-/healthy") and good("exporter"))
        status = Path(f"/proc/{it.process.pid}/status").read_text()
        it.stop()
        assert f"Uid:\t{USER}\t{USER}\t{USER}\t{USER}\n" in status, status
        assert re.search("^CapEff:\t0+$", status, re.MULTILINE) and re.search("^NoNewPrivs:\t1$", status, re.MULTILINE), status
        written = {path.name for path in state.iterdir()}
        assert "state" in written, written

        own = folder / "config.yaml"
        own.write_text(CONFIG)
        own.chmod(0o644)
        it = Container(root, config, arch, state, {"etc/uptime_exporter/config.yaml": own})
        it.wait_for("pings, name lookups and time zones", lambda: good("exporter", "ping", "zone"))
        assert re.search(r'^probe_maintenance{target="zone"} 1$', page("/metrics"), re.MULTILINE)
        it.stop()
        trouble = [line for line in it.said().splitlines() if re.search("level=(warn|error)", line)]
        assert not trouble, trouble
    print(f"{arch}: runs as {USER} on a read-only root; the binary has {size / 1e6:.1f} MB")


def main():
    layout = Path(sys.argv[1]).resolve()
    if "--unshared" not in sys.argv:
        os.execvp("unshare", ["unshare", "--mount", "--net", sys.executable, os.path.abspath(sys.argv[0]), str(layout), "--unshared"])
    run("ip", "link", "set", "lo", "up")
    # As the pod's sysctl does.
    Path("/proc/sys/net/ipv4/ping_group_range").write_text(f"{USER} {USER}")
    found = architectures(layout)
    for arch in found:
        try_out(layout, arch)
    print(f"{len(found)} architectures in one image")


if __name__ == "__main__":
    main()
