#!/usr/bin/env python3
"""Properties of the rules over random outcomes: python3 outcomes.py [SEED [ROUNDS]]

Each round makes up targets, regions and causes at random, and `promtool test rules` says whether what must hold holds at each
evaluation: scope, regions and alerts do not contradict each other, and no set of outcomes makes an outage disappear.
"""

import pathlib
import random
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
STEPS = 60  # of 15 s
GROUPS = [
    "uptime-vocabulary", "uptime-scope", "uptime-intermittence", "uptime-verdict", "uptime-slo-short", "uptime-slo-long",
    "uptime-slo-alerts", "uptime-causes", "uptime-targets", "uptime-certificates", "uptime-exporters",
]
# Expressions that must never have a result.
NEVER = {
    "a target has one scope": "count by (target) (target:probe_scope:info) != 1",
    "an outage has one scope": "count by (target) (target:outage_scope:info) != 1 or target:outage_seen:timestamp unless on (target) target:outage_scope:info",
    "one region is one": 'target:outage_scope:info{scope="single-region"} and on (target) (count by (target) (target_place:outage:info) > 1)',
    "several regions are several": 'target:outage_scope:info{scope="multi-region"} and on (target) (count by (target) (target_place:outage:info) < 2)',
    "what is down now was down in this outage": "target_place:probe_down:held unless target_place:outage:info",
    # The longest that an outage is looked at before it is told: two minutes from its beginning, or from the end of what explained it.
    "an outage is told or explained": "time() - target:outage_own:timestamp >= 135 unless on (target) target:outage:firing",
    "an outage is its own or explained": "target:outage_seen:timestamp unless on (target) (target:outage_own:timestamp or target:outage_explained:info)",
    "what explains is told": """
        (
          (time() - target:outage_seen:timestamp >= 120 and on (target) target:outage_explained:info)
            unless on (target) (cause_target:outage:info and on (kind, value) cause:outage:firing)
            unless on (target) (target_place:probe_parent:info and on (by) label_replace(
              target:outage_seen:timestamp, "by", "$1", "target", "(.*)"))
        ) and on (target) target_place:probe_down:held""",
    "nothing is told of what is up": 'ALERTS{alertname="TargetDown"} unless on (target) target:outage_seen:timestamp',
}


def outcomes(chance):
    """Runs of up and down, with silence now and then: what a verdict does from one scrape to the next."""
    values, state = [], "1"
    while len(values) < STEPS:
        if chance.random() < 0.03:
            values += ["stale"] + ["_"] * chance.randint(0, 25)
        else:
            state = "0" if chance.random() < 0.4 else "1"
            values += [state] * chance.choice([1, 1, 2, 3, 5, 8, 13, 21, 34])
    return values[:STEPS]


def while_down(chance, verdicts, share):
    """A series that is there for some of the time in which the target is down."""
    values, on, there = [], False, False
    for verdict in verdicts:
        if chance.random() < 0.2:
            on = chance.random() < share
        now = on and verdict == "0"
        values.append("1" if now else "stale" if there else "_")
        there = now
    return values


def series(name, labels, values):
    written = ", ".join(f'{key}="{value}"' for key, value in labels.items())
    return f"      - {{series: '{name}{{{written}}}', values: '{' '.join(values)}'}}"


def scenario(chance):
    regions = ["ap", "eu", "us", "za", "br"][: chance.randint(1, 5)]
    targets = [f"t{n}" for n in range(chance.randint(1, 9))]
    causes = [("network", "192.0.2.0/24"), ("host", "edge.example"), ("reason", "http_status")]
    lines = []
    for region in regions:
        shared = outcomes(chance)
        for target in targets:
            labels = {"target": target, "region": region, "exporter": f"{region}:9815", "job": "uptime"}
            verdicts = shared if chance.random() < 0.5 else outcomes(chance)
            lines.append(series("probe_up", labels, verdicts))
            if chance.random() < 0.6:
                kind, value = chance.choice(causes)
                lines.append(series("probe_shared_cause_info", {**labels, "kind": kind, "value": value}, while_down(chance, verdicts, 0.7)))
            # Parents come before their children, as no cycle loads.
            for by in targets[: targets.index(target)]:
                if chance.random() < 0.3:
                    lines.append(series("probe_explained_info", {**labels, "by": by, "parent": "down"}, while_down(chance, verdicts, 0.7)))
    return lines


def main():
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 20
    with tempfile.TemporaryDirectory() as work:
        test = pathlib.Path(work) / "random.test.yml"
        with test.open("w") as out:
            rules = sorted(str(path) for path in HERE.parent.glob("*.rules.yml"))
            out.write(f"rule_files: [{', '.join(rules)}]\nevaluation_interval: 15s\ngroup_eval_order: [{', '.join(GROUPS)}]\ntests:\n")
            for number in range(rounds):
                chance = random.Random(f"{seed}-{number}")
                out.write(f"  - name: seed {seed}, round {number}\n    interval: 15s\n    input_series:\n")
                out.write("\n".join(scenario(chance)) + "\n    promql_expr_test:\n")
                for what, expression in NEVER.items():
                    one_line = " ".join(expression.split()).replace("'", "''")
                    for step in range(0, STEPS + 20):
                        out.write(f"      - {{expr: '{one_line}', eval_time: {step * 15}s, exp_samples: []}} # {what}\n")
        ran = subprocess.run(["promtool", "test", "rules", test], capture_output=True, text=True, check=False)
        if ran.returncode:
            print(ran.stdout, ran.stderr)
            sys.exit(f"FAILED: run it again by {sys.argv[0]} {seed} {rounds}")
    print(f"{rounds} rounds of random outcomes: {len(NEVER)} properties hold at each of {STEPS + 20} evaluations")


if __name__ == "__main__":
    main()
