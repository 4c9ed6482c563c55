#!/usr/bin/env python3
"""A mounted ConfigMap or Secret changes as the kubelet changes it, and the exporter goes by the new one."""

import base64
import http.server
import os
import shutil
import sys
import tempfile
import threading
import urllib.error
from pathlib import Path

sys.dont_write_bytecode = True
from exporter import exporter, fetch, wait_for  # noqa: E402


class Volume:
    """What the kubelet's AtomicWriter makes: every file is a link into ..data, which is a link to a folder that is swapped."""

    def __init__(self, path):
        self.path, self.number = path, 0
        path.mkdir()

    def swap(self, **files):
        self.number += 1
        new = self.path / f"..2026_11_29_00_00_00.{self.number}"
        new.mkdir()
        for name, text in files.items():
            (new / name).write_text(text)
            os.utime(new / name, (0, 0))  # a change is to be seen whatever the clock says
        data, before = self.path / "..data", None
        if data.is_symlink():
            before = self.path / os.readlink(data)
        os.symlink(new.name, self.path / "..data_tmp")
        os.rename(self.path / "..data_tmp", data)
        for name in files:
            if not (self.path / name).is_symlink():
                os.symlink(f"..data/{name}", self.path / name)
        for path in self.path.iterdir():
            if path.is_symlink() and path.name != "..data" and path.name not in files:
                path.unlink()
        if before:
            shutil.rmtree(before)


class Door(http.server.BaseHTTPRequestHandler):
    """Lets in whoever has the password of the day."""

    password = ""

    def do_GET(self):
        wanted = "Basic " + base64.b64encode(f"watch:{Door.password}".encode()).decode()
        self.send_response(200 if self.headers.get("Authorization") == wanted else 401)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def config(port, secrets, *names, extra=""):
    targets = "".join(f"  - {{name: {name}, target: 'http://127.0.0.1:{port}/', module: door}}\n" for name in names)
    return f"""
global: {{interval: 200ms, timeout: 200ms, target_files_refresh_interval: 200ms}}
modules:
  door:
    prober: http
    http: {{basic_auth: {{username: watch, password_file: {secrets.path}/password}}}}
target_files: ["more*.yaml"]
targets:
{targets}{extra}"""


def main():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Door)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = server.server_address[1]
    with tempfile.TemporaryDirectory() as folder:
        configs, secrets = Volume(Path(folder) / "config"), Volume(Path(folder) / "secrets")
        state = Path(folder) / "state"
        state.mkdir()
        Door.password = "one"
        secrets.swap(password="one", **{"web.yml": "{}"})
        configs.swap(**{"config.yaml": config(port, secrets, "first"), "more.yaml": more(port, "extra")})
        flags = [
            f"--config.file={configs.path}/config.yaml",
            "--config.enable-auto-reload",
            "--config.auto-reload-interval=1",
            f"--state.file={state}/state",
            f"--web.config.file={secrets.path}/web.yml",
        ]
        with exporter(*flags) as it:
            wait_for("the first config", lambda: up(it, "first") and up(it, "extra"))

            configs.swap(**{"config.yaml": config(port, secrets, "first", "second"), "more.yaml": more(port, "extra")})
            wait_for("a target that a new ConfigMap has", lambda: up(it, "second"))
            wait_for("a target file beside it stays", lambda: up(it, "extra"))

            configs.swap(**{"config.yaml": config(port, secrets, "first", "second"), "more.yaml": more(port, "other")})
            wait_for("a target file in it changes", lambda: up(it, "other") and not known(it, "extra"))

            configs.swap(**{"config.yaml": config(port, secrets, "first", "second"), "more-2.yaml": more(port, "third")})
            wait_for("one goes and another comes", lambda: up(it, "third") and not known(it, "other"))

            configs.swap(**{"config.yaml": config(port, secrets, "first", extra="  - {nam: x}\n"), "more-2.yaml": more(port, "third")})
            wait_for("a bad one is told", lambda: it.shows("^uptime_exporter_config_last_reload_successful 0$"))
            assert known(it, "second"), "a bad config changes nothing"

            configs.swap(**{"config.yaml": config(port, secrets, "first")})
            wait_for("a good one is taken again", lambda: it.shows("^uptime_exporter_config_last_reload_successful 1$"))
            wait_for("targets go with it", lambda: not known(it, "second") and not known(it, "third"))

            Door.password = "two"
            wait_for("the old password is refused", lambda: it.shows(r'^probe_success{target="first"} 0$'))
            secrets.swap(password="two", **{"web.yml": "{}"})
            wait_for("the new password is taken from the Secret", lambda: it.shows(r'^probe_success{target="first"} 1$'))

            # "secret"
            users = 'basic_auth_users: {prometheus: "$2y$04$8YW4PVHFGDsG2RQZ5HhvX.BBjjJzAyOUuqNdXKYHiWtX.yW4N0V7G"}\n'
            secrets.swap(password="two", **{"web.yml": users})
            wait_for("a password is asked for", lambda: status(it.url + "/metrics") == 401)
            for path in ("/-/healthy", "/-/ready"):
                assert status(it.url + path) == 200, f"{path} is open to the kubelet"
        kept = [path.name for path in configs.path.iterdir()]
        assert sorted(kept) == ["..2026_11_29_00_00_00.6", "..data", "config.yaml"], kept
    print("ConfigMaps and Secrets that the kubelet swaps: each change was seen")


def more(port, name):
    return f"- {{name: {name}, target: 'http://127.0.0.1:{port}/', module: door}}\n"


def up(it, name):
    return it.shows(rf'^probe_success{{target="{name}"}} 1$')


def known(it, name):
    return it.shows(rf'^probe_target_info{{target="{name}"')


def status(url):
    try:
        fetch(url)
        return 200
    except urllib.error.HTTPError as error:
        return error.code


if __name__ == "__main__":
    main()
