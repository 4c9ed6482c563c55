#!/usr/bin/env python3
"""A real Prometheus scrapes as ServiceMonitor and ScrapeConfig say: the series are those of the README's scrape config."""

import json
import re
import subprocess
import sys
import tempfile
import urllib.error
import urllib.parse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.dont_write_bytecode = True
import yaml  # noqa: E402
from exporter import exporter, fetch, wait_for  # noqa: E402
from rendered import CHARTS, ROOT, chart, components, of_kind, overlay  # noqa: E402

CONFIG = """
global: {interval: 200ms, timeout: 200ms, labels: {region: eu-west}}
modules: {tcp_connect: {prober: tcp}}
targets:
  - {name: closed, target: "127.0.0.1:9", module: tcp_connect, labels: {team: web, job: shop}}
"""
# What service discovery tells of a pod, and what the Operator makes of it before the object's own relabelling comes.
META = {
    "__meta_kubernetes_namespace": "uptime",
    "__meta_kubernetes_service_name": "uptime-exporter",
    "__meta_kubernetes_pod_name": "uptime-exporter-0",
    "__meta_kubernetes_pod_container_name": "uptime-exporter",
    "__meta_kubernetes_pod_node_name": "node-1",
}
OPERATOR = [
    {"source_labels": ["__meta_kubernetes_namespace"], "target_label": "namespace"},
    {"source_labels": ["__meta_kubernetes_service_name"], "target_label": "service"},
    {"source_labels": ["__meta_kubernetes_pod_name"], "target_label": "pod"},
    {"source_labels": ["__meta_kubernetes_pod_container_name"], "target_label": "container"},
    {"source_labels": ["__meta_kubernetes_pod_node_name"], "target_label": "node"},
    {"source_labels": ["__meta_kubernetes_service_name"], "target_label": "job"},
    {"target_label": "endpoint", "replacement": "http"},
]


def snake(config):
    """A relabelling as Prometheus writes it."""
    return {re.sub("[A-Z]", lambda letter: "_" + letter.group().lower(), key): value for key, value in config.items()}


def jobs(address):
    text = (ROOT / "README.md").read_text()
    readme = re.search(r"<!-- prometheus:begin -->\n```yaml\n(.*?)```", text, re.DOTALL).group(1)
    [job] = yaml.safe_load(readme)["scrape_configs"]
    yield "README", job | {"static_configs": [{"targets": [address]}]}
    for name in ("overlay", *(name for name in CHARTS if CHARTS[name].get("serviceMonitor"))):
        [monitor] = of_kind(overlay("single") if name == "overlay" else chart(name), "ServiceMonitor")
        [endpoint] = monitor["spec"]["endpoints"]
        yield f"ServiceMonitor, {name}", {
            "honor_labels": endpoint["honorLabels"],
            "static_configs": [{"targets": [address], "labels": META}],
            "relabel_configs": [*OPERATOR, *map(snake, endpoint["relabelings"])],
            "metric_relabel_configs": [*map(snake, endpoint["metricRelabelings"])],
        }
    [config] = of_kind(components(), "ScrapeConfig")
    yield "ScrapeConfig", {
        "honor_labels": config["spec"]["honorLabels"],
        "static_configs": [{"targets": [address]}],
        # The Operator sets the job so.
        "relabel_configs": [{"target_label": "job", "replacement": config["spec"]["jobName"]}, *map(snake, config["spec"]["relabelings"])],
        "metric_relabel_configs": [*map(snake, config["spec"]["metricRelabelings"])],
    }


def series(prometheus):
    query = urllib.parse.urlencode({"match[]": '{exporter!=""}'})
    found = json.loads(fetch(f"http://{prometheus}/api/v1/series?{query}"))["data"]
    return frozenset(frozenset(each.items() - {("exporter", each["exporter"])}) for each in found)


def ready(prometheus):
    try:
        return fetch(f"http://{prometheus}/-/ready")
    except urllib.error.HTTPError:
        return None


def scraped(name, job, folder):
    """The series of one job, once every kind of them is there. One Prometheus each: the series would be the same."""
    home = Path(folder) / re.sub(r"\W+", "-", name)
    home.mkdir()
    text = {"global": {"scrape_interval": "200ms", "scrape_timeout": "200ms"}, "scrape_configs": [job | {"job_name": job.get("job_name", "any")}]}
    (home / "prometheus.yml").write_text(yaml.safe_dump(text))
    command = ["prometheus", f"--config.file={home}/prometheus.yml", f"--storage.tsdb.path={home}/data", "--web.listen-address=127.0.0.1:0"]
    with open(home / "log", "w") as log:
        process = subprocess.Popen(command, stderr=log)
    try:
        def listens():
            assert process.poll() is None, (home / "log").read_text()
            found = re.search(r"Listening on\"? address=(\S+)", (home / "log").read_text())
            return found and found.group(1)

        at = wait_for(f"{name}: Prometheus listens", listens)
        # Besides those of the exporter's page: what Prometheus writes of a scrape.
        wait_for(f"{name}: Prometheus is ready", lambda: ready(at))
        wait_for(f"{name}: series", lambda: any(("__name__", "probe_failures_total") in each for each in series(at)))
        return series(at)
    finally:
        process.terminate()
        process.wait()


def main():
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "config.yaml"
        config.write_text(CONFIG)
        with exporter(f"--config.file={config}") as it:
            address = it.url.removeprefix("http://")
            wait_for("an outage", lambda: it.shows("^probe_outage_start_timestamp_seconds"))
            configs = dict(jobs(address))
            spoilt = dict(mistakes(configs["ServiceMonitor, overlay"]))
            with ThreadPoolExecutor(4) as pool:
                asked = {name: pool.submit(scraped, name, job, folder) for name, job in (configs | spoilt).items()}
            found = {name: answer.result() for name, answer in asked.items()}
    wanted = found["README"]
    for name in configs:
        got = found[name]
        # Which reasons, codes and stages have come by then differs; which labels they have must not.
        if shapes(got) != shapes(wanted):
            raise SystemExit(f"{name}: {sorted(map(str, shapes(got) ^ shapes(wanted)))}")
    print(f"{len(configs)} scrape configs: the labels of all {len(wanted)} series are those of the README's")
    missed = [name for name in spoilt if shapes(found[name]) == shapes(wanted)]
    if missed:
        raise SystemExit(f"not noticed: {missed}")
    print(f"{len(spoilt)} mistakes put in: each was noticed")


def mistakes(job):
    yield "labels are not honoured", job | {"honor_labels": False}
    yield "no target is an instance", job | {"metric_relabel_configs": []}
    for number in range(len(OPERATOR), len(job["relabel_configs"])):
        configs = job["relabel_configs"]
        # Which exporter it is cannot be left out: the series are found by it.
        if configs[number].get("target_label") != "exporter":
            yield f"relabelling {number} is left out", job | {"relabel_configs": configs[:number] + configs[number + 1 :]}


def shapes(found):
    """Family, names of labels, and those values that a scrape config may change."""
    def of(labels):
        labels = dict(labels)
        return labels["__name__"], tuple(sorted(labels)), labels.get("job"), labels.get("instance"), labels.get("target")

    return {of(labels) for labels in found}


if __name__ == "__main__":
    main()
