"""What is rendered: every overlay by kubectl kustomize, and the chart by helm with several values."""

import contextlib
import functools
import os
import subprocess
import tempfile
from pathlib import Path

import yaml

HERE = Path(__file__).resolve().parent
KUBERNETES = HERE.parent
ROOT = KUBERNETES.parent.parent
CHART = ROOT / "packaging" / "helm" / "uptime-exporter"
EXPORTER = os.environ.get("UPTIME_EXPORTER") or str(ROOT / "target" / "debug" / "uptime_exporter")
OVERLAYS = ["single", "regions", "sharded"]

MONITORED = {"serviceMonitor": {"enabled": True}, "prometheusRule": {"enabled": True}, "dashboards": {"enabled": True}}
SHARD = "- name: exporter-{0}\n  target: uptime-exporter-{0}.uptime-exporter:9815\n  module: tcp_connect\n"
TARGET = {"name": "kubernetes-api", "target": "kubernetes.default.svc:443", "module": "tcp_connect"}

# The chart's counterparts of the overlays come first, by the same names.
CHARTS = {
    "single": MONITORED,
    "sharded": MONITORED
    | {
        "shards": 3,
        "config": {"targets": None, "target_files": ["shard-${SHARD}.yaml"]},
        "configFiles": {f"shard-{number}.yaml": SHARD.format(number) for number in range(3)},
    },
    "region": MONITORED
    | {
        "region": "eu-west",
        "fullnameOverride": "uptime-exporter-eu-west",
        "config": {"targets": [TARGET]},
        "nodeSelector": {"topology.kubernetes.io/region": "eu-west"},
        "podDisruptionBudget": {"enabled": False},
    },
    "defaults": {},
    "least": {
        "serviceAccount": {"create": False},
        "state": {"enabled": False},
        "networkPolicy": {"enabled": False},
        "podDisruptionBudget": {"enabled": False},
        "existingConfigMap": "kept-elsewhere",
        "pingSysctl": False,
        "resources": None,
        "dnsConfig": None,
    },
    "most": MONITORED
    | {
        "scheme": "HTTPS",
        "image": {"repository": "registry.example.com/uptime_exporter", "digest": "sha256:" + "0" * 64},
        "imagePullSecrets": [{"name": "registry"}],
        "secretName": "credentials",
        "region": "eu-west",
        "configFiles": {"more.yaml": [{"name": "more", "target": "https://example.com/"}], "text.yaml": "- {name: text, target: https://example.org/}\n"},
        "config": {"target_files": ["more.yaml", "text.yaml"]},
        "extraArgs": ["--web.config.file=/run/secrets/uptime_exporter/web.yml"],
        "extraEnv": [{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "tokens", "key": "shop"}}}],
        "state": {"storageClassName": "fast", "size": "5Gi"},
        "tolerations": [{"operator": "Exists"}],
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
            {"matchExpressions": [{"key": "kubernetes.io/os", "operator": "In", "values": ["linux"]}]}]}}},
        "priorityClassName": "monitoring",
        "podLabels": {"team": "watch"},
        "podAnnotations": {"example.com/note": "1"},
        "serviceAccount": {"annotations": {"example.com/note": "1"}},
        "networkPolicy": {"fromNamespaces": ["monitoring", "ingress"], "extraIngress": [{"from": [{"podSelector": {}}]}]},
        "serviceMonitor": {
            "enabled": True,
            "labels": {"release": "kube-prometheus-stack"},
            "endpoint": {
                "basicAuth": {"username": {"name": "scrape", "key": "user"}, "password": {"name": "scrape", "key": "password"}},
                "tlsConfig": {"ca": {"secret": {"name": "scrape", "key": "ca.crt"}}, "serverName": "uptime"},
            },
        },
        "prometheusRule": {"enabled": True, "labels": {"release": "kube-prometheus-stack"}},
        "probe": {"enabled": True, "targets": {"staticConfig": {"static": ["https://example.com/"], "labels": {"team": "web"}}}},
        "scrapeConfig": {"enabled": True, "targets": ["uptime.eu.example.com:9815"]},
    },
}


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}:\n{done.stderr}")
    return done.stdout


def objects(text):
    return [each for each in yaml.safe_load_all(text) if each]


@functools.cache
def overlay(name):
    return objects(run("kubectl", "kustomize", KUBERNETES / "overlays" / name))


@contextlib.contextmanager
def values_file(values):
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump(values, file)
        file.flush()
        yield file.name


@functools.cache
def chart(name):
    with values_file(CHARTS[name]) as values:
        return objects(run("helm", "template", "uptime-exporter", CHART, "--namespace", "uptime", "--values", values))


@functools.cache
def components():
    """Those that no overlay has: examples to be changed."""
    with tempfile.TemporaryDirectory(dir=KUBERNETES) as folder:
        text = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nnamespace: uptime\n"
        (Path(folder) / "kustomization.yaml").write_text(text + "components: [../components/probe, ../components/outside]\n")
        return objects(run("kubectl", "kustomize", folder))


def everything():
    """Where it is from, and the objects of one installation."""
    for name in OVERLAYS:
        yield f"overlay {name}", overlay(name)
    yield "components", components()
    for name in CHARTS:
        yield f"chart, values {name}", chart(name)


def of_kind(found, kind):
    return [each for each in found if each["kind"] == kind]
