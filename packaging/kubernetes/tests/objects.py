#!/usr/bin/env python3
"""Checks every rendered object; the Operator's own are written to checked/ for operator.mjs."""

import copy
import functools
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True
import kubernetes_validate  # noqa: E402
import yaml  # noqa: E402
from kubernetes_validate import utils  # noqa: E402
from rendered import CHART, CHARTS, EXPORTER, HERE, OVERLAYS, ROOT, chart, everything, objects, of_kind, overlay, run, values_file  # noqa: E402

# Schemas are large, and read anew for every object.
utils.schema_contents = functools.cache(utils.schema_contents)

OLDEST = (1, 28)
VERSIONS = [version for version in utils.all_versions() if tuple(map(int, version.split(".")[:2])) >= OLDEST]
OPERATOR = "monitoring.coreos.com/"
# kubectl apply keeps a copy of the object in an annotation, and annotations end here.
ANNOTATIONS_LIMIT = 256 * 1024

problems = []


def problem(where, what):
    problems.append(f"{where}: {what}")


def name_of(thing):
    return f"{thing['kind']} {thing['metadata']['name']}"


# --- what Kubernetes' published schemas say -----------------------------------------------------------------------------


def schema_problem(thing, version):
    try:
        kubernetes_validate.validate(thing, version, strict=True)
    except kubernetes_validate.ValidationError as error:
        path = ".".join(map(str, error.absolute_path)) if hasattr(error, "absolute_path") else ""
        return f"{path}: {error.message}"
    return None


# --- what schemas do not say ------------------------------------------------------------------------------------------------


def restricted(pod):
    """What breaks the profile "restricted" of the Pod Security Standards."""
    spec, context = pod["spec"], pod["spec"].get("securityContext", {})
    safe = {"net.ipv4.ping_group_range", "net.ipv4.ip_unprivileged_port_start", "net.ipv4.tcp_syncookies"}
    volumes = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
    if any(spec.get(key) for key in ("hostNetwork", "hostPID", "hostIPC")):
        yield "shares a namespace of the host"
    for sysctl in context.get("sysctls", []):
        if sysctl["name"] not in safe:
            yield f"sysctl {sysctl['name']}"
    for volume in spec.get("volumes", []):
        if not volumes & volume.keys():
            yield f"volume {volume['name']}"
    for container in spec["containers"] + spec.get("initContainers", []):
        own = container.get("securityContext", {})
        if not own.get("runAsNonRoot", context.get("runAsNonRoot")):
            yield "may run as root"
        if own.get("runAsUser", context.get("runAsUser")) == 0:
            yield "runs as root"
        if own.get("allowPrivilegeEscalation", True):
            yield "allows privilege escalation"
        if "ALL" not in own.get("capabilities", {}).get("drop", []) or own["capabilities"].get("add"):
            yield "keeps capabilities"
        if own.get("seccompProfile", context.get("seccompProfile", {})).get("type") != "RuntimeDefault":
            yield "has no seccomp profile"
        if any("hostPort" in port for port in container.get("ports", [])):
            yield "takes a port of the host"
        # Not asked by the profile, but by us.
        if not own.get("readOnlyRootFilesystem"):
            yield "may write its root file system"


def selects(selector, labels):
    return bool(selector.get("matchLabels")) and selector["matchLabels"].items() <= labels.items()


def ties(found):
    """What must fit together between objects."""
    names = [(each["apiVersion"], each["kind"], each["metadata"].get("namespace"), each["metadata"]["name"]) for each in found]
    for twice in {each for each in names if names.count(each) > 1}:
        yield f"{twice} is there twice"
    configs = {each["metadata"]["name"]: each for each in of_kind(found, "ConfigMap")}
    services = of_kind(found, "Service")
    sets = of_kind(found, "StatefulSet")
    for each in sets:
        spec, pod = each["spec"], each["spec"]["template"]
        labels, where = pod["metadata"]["labels"], name_of(each)
        if not selects(spec["selector"], labels):
            yield f"{where} does not select its own pods"
        for other in sets:
            if other is not each and selects(spec["selector"], other["spec"]["template"]["metadata"]["labels"]):
                yield f"{where} selects the pods of {name_of(other)}"
        for problem in restricted(pod):
            yield f"{where} {problem}"
        ports = {port["name"] for container in pod["spec"]["containers"] for port in container["ports"]}
        [service] = [service for service in services if service["metadata"]["name"] == spec["serviceName"]]
        if not service["spec"]["selector"].items() <= labels.items():
            yield f"{name_of(service)} does not select the pods of {where}"
        if not {port["targetPort"] for port in service["spec"]["ports"]} <= ports:
            yield f"{name_of(service)} names a port that {where} does not have"
        for monitor in of_kind(found, "ServiceMonitor"):
            if not selects(monitor["spec"]["selector"], service["metadata"]["labels"]):
                yield f"{name_of(monitor)} does not select {name_of(service)}"
            if not {end["port"] for end in monitor["spec"]["endpoints"]} <= {port["name"] for port in service["spec"]["ports"]}:
                yield f"{name_of(monitor)} names a port that {name_of(service)} does not have"
        for budget in of_kind(found, "PodDisruptionBudget"):
            if not selects(budget["spec"]["selector"], labels):
                yield f"{name_of(budget)} does not select the pods of {where}"
        budgets = of_kind(found, "PodDisruptionBudget")
        if sum(selects(budget["spec"]["selector"], labels) for budget in budgets) > 1:
            yield f"{where} has two PodDisruptionBudgets: its pods can never be evicted"
        policies = [each for each in of_kind(found, "NetworkPolicy") if selects(each["spec"]["podSelector"], labels)]
        if of_kind(found, "NetworkPolicy") and len(policies) != 1:
            yield f"{where} has {len(policies)} NetworkPolicies"
        account = pod["spec"]["serviceAccountName"]
        if account != "default" and account not in {each["metadata"]["name"] for each in of_kind(found, "ServiceAccount")}:
            yield f"{where} runs as {account}, which is not there"
        claimed = {claim["metadata"]["name"] for claim in spec.get("volumeClaimTemplates", [])}
        volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
        for container in pod["spec"]["containers"]:
            for mount in container["volumeMounts"]:
                if mount["name"] not in claimed | volumes.keys():
                    yield f"{where} mounts {mount['name']}, which is no volume"
                if "subPath" in mount:
                    yield f"{where} mounts {mount['name']} by subPath: changes would not arrive"
        for volume in volumes.values():
            config = volume.get("configMap", {}).get("name")
            if config and config not in configs and config != "kept-elsewhere":
                yield f"{where} mounts the ConfigMap {config}, which is not there"
    for each in found:
        size = len(json.dumps(each))
        if size > ANNOTATIONS_LIMIT:
            yield f"{name_of(each)} has {size} bytes: too many for kubectl apply"
        if each["kind"] != "Namespace" and each["metadata"].get("namespace") != "uptime":
            yield f"{name_of(each)} is in no namespace"


# --- the config files, by the exporter itself ---------------------------------------------------------------------------------


def environment(each):
    """The variables of a pod, as the kubelet would set them, for each of its replicas."""
    [container] = each["spec"]["template"]["spec"]["containers"]
    for number in range(each["spec"]["replicas"]):
        found = {}
        for variable in container["env"]:
            if "value" in variable:
                found[variable["name"]] = variable["value"]
            elif "fieldRef" in variable["valueFrom"]:
                assert variable["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.labels['apps.kubernetes.io/pod-index']"
                found[variable["name"]] = str(number)
            else:
                found[variable["name"]] = "secret"
        yield found


def config_problems(found):
    configs = {each["metadata"]["name"]: each["data"] for each in of_kind(found, "ConfigMap")}
    for each in of_kind(found, "StatefulSet"):
        [mounted] = [volume["configMap"]["name"] for volume in each["spec"]["template"]["spec"]["volumes"] if "configMap" in volume]
        if mounted not in configs:
            continue
        for variables in environment(each):
            with tempfile.TemporaryDirectory() as folder:
                for name, text in configs[mounted].items():
                    (Path(folder) / name).write_text(text)
                command = [EXPORTER, f"--config.file={folder}/config.yaml", "--config.check"]
                done = subprocess.run(command, capture_output=True, text=True, env=variables)
                if done.returncode or "warn" in done.stderr.lower():
                    yield f"{name_of(each)} {variables}: {done.stdout}{done.stderr}"


# --- rules and dashboards are those of the repository -------------------------------------------------------------------------


def rules_problems(found):
    rules = of_kind(found, "PrometheusRule")
    if not rules:
        return
    files = {path.name.removesuffix(".rules.yml"): yaml.safe_load(path.read_text()) for path in (ROOT / "alerting" / "prometheus").glob("*.rules.yml")}
    specs = {re.sub("^uptime-exporter-(eu-west-)?", "", each["metadata"]["name"]): each["spec"] for each in rules}
    if specs != files:
        yield "the PrometheusRules are not alerting/prometheus"
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for name, spec in specs.items():
            paths.append(Path(folder) / f"{name}.yaml")
            paths[-1].write_text(yaml.safe_dump(spec))
        done = subprocess.run(["promtool", "check", "rules", "--lint=all", "--lint-fatal", *paths], capture_output=True, text=True)
        if done.returncode:
            yield f"promtool: {done.stdout}{done.stderr}"


def dashboards_problems(found):
    boards = {path.name: json.loads(path.read_text()) for path in (ROOT / "grafana" / "provisioning" / "dashboards" / "uptime").glob("*.json")}
    shown = [each for each in of_kind(found, "ConfigMap") if each["metadata"].get("labels", {}).get("grafana_dashboard") == "1"]
    if shown and {key: json.loads(text) for each in shown for key, text in each["data"].items()} != boards:
        yield "the dashboards are not those of grafana/"


# --- the chart and the overlays say the same --------------------------------------------------------------------------------


def plain(thing):
    """Without what the two ways name differently."""
    thing = copy.deepcopy(thing)

    def strip(node):
        if isinstance(node, dict):
            for key in ("app.kubernetes.io/instance", "app.kubernetes.io/version", "app.kubernetes.io/managed-by", "helm.sh/chart", "imagePullPolicy"):
                node.pop(key, None)
            for value in node.values():
                strip(value)
        elif isinstance(node, list):
            for value in node:
                strip(value)

    strip(thing)
    thing.get("metadata", {}).pop("labels", None)
    if thing["kind"] == "ConfigMap":
        thing["data"] = {key: yaml.safe_load(text) for key, text in thing["data"].items()}
        for text in thing["data"].values():
            if isinstance(text, dict) and "targets" in text and not text["targets"]:
                del text["targets"]
    if thing["kind"] == "StatefulSet":
        for container in thing["spec"]["template"]["spec"]["containers"]:
            container["env"].sort(key=lambda variable: variable["name"])
        for volume in thing["spec"]["template"]["spec"]["volumes"]:
            volume.get("secret", {}).pop("secretName", None)
    return thing


def sameness(name, ours, theirs):
    def keyed(found):
        return {(each["kind"], each["metadata"]["name"].replace("-exporter-dashboard-", "-dashboard-")): plain(each) for each in found}

    ours, theirs = keyed(ours), keyed(theirs)
    if ours.keys() != theirs.keys():
        yield f"{name}: only one of overlay and chart has {sorted(ours.keys() ^ theirs.keys())}"
    for key in ours.keys() & theirs.keys():
        for part in ("spec", "data", "automountServiceAccountToken"):
            if ours[key].get(part) != theirs[key].get(part):
                yield f"{name}: {key} differs in {part}:\n{yaml.safe_dump(ours[key].get(part))}\n{yaml.safe_dump(theirs[key].get(part))}"


def crossing():
    without = {"Namespace"}
    for name in ("single", "sharded"):
        yield from sameness(name, [each for each in overlay(name) if each["kind"] not in without], chart(name))
    # One region of the overlay, one release of the chart.
    one = [each for each in overlay("regions") if each["metadata"]["name"] == "uptime-exporter-eu-west"]
    release = [each for each in chart("region") if each["metadata"]["name"] == "uptime-exporter-eu-west" and each["kind"] != "ServiceMonitor"]
    yield from sameness("region", one, release)


# --- a check that lets everything pass would be worse than none ----------------------------------------------------------------


def set_path(thing, path, value):
    *way, last = path
    for step in way:
        thing = thing[step]
    if value is None:
        del thing[last]
    else:
        thing[last] = value


POD = ("spec", "template", "spec")
CONTAINER = (*POD, "containers", 0)
SCHEMA_MISTAKES = [
    ("StatefulSet", (*CONTAINER, "imagePullPolcy"), "Always"),
    ("StatefulSet", (*CONTAINER, "ports", 0, "containerPort"), "http"),
    ("StatefulSet", (*CONTAINER, "readinessProbe", "httpGet", "port"), None),
    ("StatefulSet", (*POD, "securityContext", "runAsUser"), "65532"),
    ("StatefulSet", ("spec", "selector"), None),
    ("Service", ("spec", "ports", 0, "port"), None),
    ("NetworkPolicy", ("spec", "egress", 0, "to", 0, "ipBlock", "cidrs"), []),
    ("PodDisruptionBudget", ("spec", "maxUnavailable"), [1]),
    ("ConfigMap", ("data", "config.yaml"), 1),
    ("ServiceAccount", ("automount",), True),
]
TIE_MISTAKES = [
    ("StatefulSet", ("spec", "selector", "matchLabels", "app.kubernetes.io/name"), "other"),
    ("StatefulSet", (*POD, "securityContext", "runAsNonRoot"), False),
    ("StatefulSet", (*POD, "securityContext", "seccompProfile"), None),
    ("StatefulSet", (*POD, "securityContext", "sysctls", 0, "name"), "net.core.somaxconn"),
    ("StatefulSet", (*POD, "hostNetwork"), True),
    ("StatefulSet", (*POD, "serviceAccountName"), "nobody"),
    ("StatefulSet", (*POD, "volumes", 0, "configMap", "name"), "nothing"),
    ("StatefulSet", (*CONTAINER, "securityContext", "readOnlyRootFilesystem"), False),
    ("StatefulSet", (*CONTAINER, "securityContext", "allowPrivilegeEscalation"), None),
    ("StatefulSet", (*CONTAINER, "securityContext", "capabilities", "add"), ["NET_RAW"]),
    ("StatefulSet", (*CONTAINER, "volumeMounts", 0, "subPath"), "config.yaml"),
    ("StatefulSet", (*CONTAINER, "volumeMounts", 0, "name"), "nothing"),
    ("Service", ("spec", "selector", "app.kubernetes.io/name"), "other"),
    ("Service", ("spec", "ports", 0, "targetPort"), "web"),
    ("ServiceMonitor", ("spec", "selector", "matchLabels", "app.kubernetes.io/name"), "other"),
    ("ServiceMonitor", ("spec", "endpoints", 0, "port"), "web"),
    ("PodDisruptionBudget", ("spec", "selector", "matchLabels", "app.kubernetes.io/name"), "other"),
    ("NetworkPolicy", ("spec", "podSelector", "matchLabels", "app.kubernetes.io/name"), "other"),
    ("NetworkPolicy", ("metadata", "namespace"), None),
]
VALUES_MISTAKES = [
    {"shardz": 2},
    {"shards": 0},
    {"scheme": "http"},
    {"config": "text"},
    {"configFiles": {"config.yaml": "{}"}},
    {"image": {"digest": "latest"}},
    {"image": {"name": "x"}},
    {"extraArgs": ["log.level=debug"]},
    {"state": {"size": "large"}},
    {"scrapeConfig": {"enabled": True}},
    {"scrapeConfig": {"targets": ["http://example.com:9815"]}},
    {"serviceMonitor": {"interval": "fast"}},
    {"networkPolicy": {"fromNamespaces": "monitoring"}},
]


def first(found, kind):
    """One of the exporter's own: ConfigMaps of dashboards have another name."""
    return next(each for each in found if each["kind"] == kind and each["metadata"]["name"] == "uptime-exporter")


def mistakes():
    for kind, path, value in SCHEMA_MISTAKES:
        thing = copy.deepcopy(first(overlay("single"), kind))
        set_path(thing, path, value)
        yield f"{kind} {path}", schema_problem(thing, VERSIONS[-1])
    for kind, path, value in TIE_MISTAKES:
        found = copy.deepcopy(overlay("single"))
        set_path(first(found, kind), path, value)
        yield f"{kind} {path}", next(ties(found), None)
    for values in VALUES_MISTAKES:
        with values_file(values) as file:
            done = subprocess.run(["helm", "template", "x", CHART, "--values", file], capture_output=True, text=True)
        yield f"values {values}", "don't meet the specifications of the schema" in done.stderr


def schema_of_values():
    """Every value of the chart is in its schema, and the other way round."""
    def keys(node, schema, path):
        listed = schema.get("properties")
        if listed is None:
            return
        if node is None or node.keys() != listed.keys() - {"global"}:
            yield f"{path or 'values.yaml'} and its schema name different keys: {sorted(node.keys() ^ (listed.keys() - {'global'}))}"
        for key, value in node.items():
            if isinstance(value, dict) and key in listed:
                yield from keys(value, listed[key], f"{path}.{key}")

    yield from keys(yaml.safe_load((CHART / "values.yaml").read_text()), json.loads((CHART / "values.schema.json").read_text()), "")


def documented():
    """The examples of docs/kubernetes.md are taken as they stand there."""
    blocks = re.findall(r"```yaml\n# (\S+)\n(.*?)```", (ROOT / "docs" / "kubernetes.md").read_text(), re.DOTALL)
    texts = dict(blocks)
    assert texts.keys() == {"kustomization.yaml", "values.yaml"}, texts.keys()
    with tempfile.TemporaryDirectory(dir=ROOT) as folder:
        # The paths of the example are those from the root of the repository.
        (Path(folder) / "kustomization.yaml").write_text(texts["kustomization.yaml"].replace("[packaging/", "[../packaging/"))
        (Path(folder) / "config.yaml").write_text("targets: [{name: mine, target: https://example.com/}]\n")
        yield "docs/kubernetes.md, kustomization.yaml", objects(run("kubectl", "kustomize", folder))
    with values_file(yaml.safe_load(texts["values.yaml"])) as values:
        yield "docs/kubernetes.md, values.yaml", objects(run("helm", "template", "uptime-exporter", CHART, "-n", "uptime", "--values", values))


def documented_problems():
    for where, found in documented():
        for told in (*ties(found), *config_problems(found)):
            yield f"{where}: {told}"
        [config] = [each["data"] for each in of_kind(found, "ConfigMap") if each["metadata"]["name"] == "uptime-exporter"]
        if not re.search("name: (mine|shop)", config["config.yaml"]):
            yield f"{where}: the config is not the example's"
        [image] = [each["spec"]["template"]["spec"]["containers"][0]["image"] for each in of_kind(found, "StatefulSet")]
        if not image.startswith("registry.example.com/"):
            yield f"{where}: the image is {image}"


def main():
    checked = HERE / "checked"
    shutil.rmtree(checked, ignore_errors=True)
    checked.mkdir()
    count, operators = 0, []
    for where, found in everything():
        for each in found:
            if each["apiVersion"].startswith(OPERATOR):
                operators.append({"where": f"{where}: {name_of(each)}", "object": each})
                continue
            count += 1
            for version in VERSIONS:
                told = schema_problem(each, version)
                if told:
                    problem(f"{where}: {name_of(each)}, Kubernetes {version}", told)
        for check in (ties, config_problems, rules_problems, dashboards_problems):
            for told in check(found):
                problem(where, told)
    for told in (*crossing(), *schema_of_values()):
        problem("chart", told)
    for told in documented_problems():
        problem("docs", told)
    run("helm", "lint", "--strict", CHART)
    if problems:
        raise SystemExit("\n".join(problems))
    print(f"{len(OVERLAYS)} overlays, {len(CHARTS)} sets of values: {count} objects as Kubernetes {VERSIONS[0]} to {VERSIONS[-1]} have them, and they fit together")
    put = list(mistakes())
    missed = [what for what, told in put if not told]
    if missed:
        raise SystemExit("not noticed:\n" + "\n".join(missed))
    print(f"{len(put)} mistakes put in: each was noticed")
    (checked / "operator.json").write_text(json.dumps(operators))


if __name__ == "__main__":
    main()
