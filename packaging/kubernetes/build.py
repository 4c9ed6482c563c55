#!/usr/bin/env python3
"""Makes what the Kubernetes objects take from elsewhere: packaging/kubernetes/build.py

components/operator/rules/*.yaml are PrometheusRules, each of one file of alerting/prometheus, whose text is taken over as it is.
The versions of the images and of the chart are that of Cargo.toml. With --check nothing is written, and what is behind is an error.
"""

import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
RULES = ROOT / "alerting" / "prometheus"
OPERATOR = HERE / "components" / "operator"
CHART = ROOT / "packaging" / "helm" / "uptime-exporter" / "Chart.yaml"

HEAD = """\
# Made from alerting/prometheus/{file} by packaging/kubernetes/build.py. Do not edit.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: uptime-exporter-{name}
spec:
"""

KUSTOMIZATION = """\
# For the Prometheus Operator: the scrape config and the rules. Made by packaging/kubernetes/build.py. Do not edit.
apiVersion: kustomize.config.k8s.io/v1alpha1
kind: Component
resources:
  - servicemonitor.yaml
"""


def rule_files():
    return sorted(RULES.glob("*.rules.yml"))


def name_of(rules):
    return rules.name.removesuffix(".rules.yml")


def prometheus_rule(rules):
    lines = rules.read_text().splitlines()
    text = "".join(f"  {line}\n" if line else "\n" for line in lines)
    return HEAD.format(file=rules.name, name=name_of(rules)) + text


def version():
    return re.search(r'^version = "([^"]+)"$', (ROOT / "Cargo.toml").read_text(), re.MULTILINE).group(1)


def wanted():
    """Path and text of every file that is made."""
    files = {OPERATOR / "rules" / f"{name_of(rules)}.yaml": prometheus_rule(rules) for rules in rule_files()}
    listed = "".join(f"  - rules/{name_of(rules)}.yaml\n" for rules in rule_files())
    files[OPERATOR / "kustomization.yaml"] = KUSTOMIZATION + listed
    for overlay in sorted((HERE / "overlays").glob("*/kustomization.yaml")):
        files[overlay] = re.sub(r"(?m)^( +newTag: ).*$", rf"\g<1>{version()}", overlay.read_text())
    files[CHART] = re.sub(r"(?m)^((?:appV|v)ersion: ).*$", rf"\g<1>{version()}", CHART.read_text())
    return files


def main():
    files = wanted()
    stale = set((OPERATOR / "rules").glob("*.yaml")) - files.keys()
    behind = [path for path, text in files.items() if not path.exists() or path.read_text() != text]
    if "--check" in sys.argv[1:]:
        for path in sorted({*stale, *behind}):
            print(f"{path.relative_to(ROOT)} is behind; packaging/kubernetes/build.py makes it", file=sys.stderr)
        sys.exit(1 if stale or behind else 0)
    (OPERATOR / "rules").mkdir(exist_ok=True)
    for path in stale:
        path.unlink()
    for path in behind:
        path.write_text(files[path])
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
