#!/usr/bin/env python3
"""Holds every query against promtool, README's metric table and the recording rules."""

import pathlib
import re
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
from boards import ROOT, queries  # noqa: E402

# Besides those: what every process shows, what Prometheus adds to a scrape, and its alerts.
OTHERS = re.compile(r"process_\w+|scrape_duration_seconds|ALERTS|ALERTS_FOR_STATE")
WORDS = {"and", "or", "unless", "bool", "offset", "inf", "nan"}
# Values of the variables: everything, and one of each as Grafana writes it.
EVERYTHING = {"region": ".*", "group": ".*", "target": ".+", "exporter": ".+"}
CHOICE = {"region": "(eu-west|us-east)", "group": "web", "target": "https://shop\\\\.example\\\\.com/", "exporter": "127\\\\.0\\\\.0\\\\.1:9815"}
COMMON = {"group_label": "group", "slo": "0.999", "__range": "1h", "__range_s": "3600", "__interval": "15s", "__rate_interval": "1m"}


def filled(expr, values):
    """The query as Grafana sends it."""
    return re.sub(r"\$\{?(\w+)\}?", lambda found: values[found[1]], expr)


def table():
    """Name to type, of README's metric table."""
    text = (ROOT / "README.md").read_text()
    text = text[text.index("<!-- metrics:begin -->"):text.index("<!-- metrics:end -->")]
    return dict(re.findall(r"^\| `(\w+)` \| (\w+) \|", text, re.M))


def recorded():
    rules = (ROOT / "alerting" / "prometheus").glob("*.rules.yml")
    return {name for path in rules for name in re.findall(r"^\s*- record: (\S+)", path.read_text(), re.M)}


def known():
    names = recorded()
    for name, kind in table().items():
        names.add(name)
        if kind == "histogram":
            names |= {f"{name}_bucket", f"{name}_count", f"{name}_sum"}
    return names


def named(expr):
    """The metrics that a query names, and the patterns of names."""
    patterns = re.findall(r'__name__=~"([^"]*)"', expr)
    expr = re.sub(r'"(\\.|[^"\\])*"', "", expr)
    expr = re.sub(r"\{[^}]*\}", " ", expr)
    expr = re.sub(r"\[[^]]*\]", " ", expr)
    expr = re.sub(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", " ", expr)
    names = {name for name in re.findall(r"(?<![\w:.])[a-zA-Z_:][\w:]*(?!\s*\(|[\w:])", expr) if name.lower() not in WORDS}
    return names, patterns


def main():
    names = known()
    problems = []
    rules = ["groups:", "  - name: queries", "    rules:"]
    count = 0
    used = set()
    for query in queries():
        for values in (EVERYTHING, CHOICE):
            count += 1
            expr = filled(query.expr, values | COMMON)
            rules += [f"      # {query}", f"      - record: q:{count}", "        expr: |"]
            rules += ["          " + line for line in expr.splitlines()]
        metrics, patterns = named(expr)
        used |= metrics
        problems += [f"{query}: {metric} is neither in README's metric table nor recorded by alerting/prometheus"
                     for metric in sorted(metrics - names) if not OTHERS.fullmatch(metric)]
        problems += [f"{query}: no metric is called {pattern}" for pattern in patterns
                     if not any(re.fullmatch(pattern, name) for name in names)]
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "queries.yml"
        path.write_text("\n".join(rules) + "\n")
        told = subprocess.run(["promtool", "check", "rules", path], capture_output=True, text=True, check=False)
        if told.returncode:
            problems.append(told.stderr)
    if problems:
        sys.exit("\n".join(problems))
    print(f"{count // 2} queries parse; {len(used)} metrics, each of them in README's table or recorded")


if __name__ == "__main__":
    main()
