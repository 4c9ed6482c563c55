#!/usr/bin/env python3
"""Staged outages: how many notifications they want, and that just those are sent: python3 staged.py [SEED [OUTAGES]]

Each has its targets down in one of up to five regions or in all. Regions notice it up to two scrapes apart, and its end too. What is
wanted follows from how it is staged: a cause, a parent, and a target that is down for itself are one notification each.
`promtool test rules` holds the alerts that begin against that.
"""

import pathlib
import random
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
from outcomes import GROUPS, HERE, series  # noqa: E402

STEPS = 64  # of 15 s
BEGIN, END = 4, 30
REGIONS = ["ap", "eu", "us", "za", "br"]
KINDS = [("address", "192.0.2.7"), ("network", "192.0.2.0/24"), ("certificate", "a1b2"), ("host", "edge.example"), ("label", "rack=7")]


class Outage:
    def __init__(self, chance):
        self.chance = chance
        self.regions = REGIONS[: chance.randint(1, 5)]
        # Where it is seen. With one region, that is everywhere.
        self.where = self.regions if chance.random() < 0.7 else [chance.choice(self.regions)]
        self.lines, self.targets, self.wanted = [], 0, 0
        # A vantage for which most of its targets fail is called blind.
        for number in range(24):
            self.target(f"good-{number}", down=False)

    def target(self, name, down=True, cause=None, parent=None, straggles=False):
        self.targets += down
        for region in self.regions:
            labels = {"target": name, "region": region, "exporter": f"{region}:9815", "job": "uptime"}
            if not down or region not in self.where:
                self.lines.append(series("probe_up", labels, ["1"] * STEPS))
                continue
            begin = BEGIN + self.chance.randint(0, 2)
            end = END + self.chance.randint(0, 2) + (16 if straggles else 0)
            self.lines.append(series("probe_up", labels, ["1"] * begin + ["0"] * (end - begin) + ["1"] * (STEPS - end)))
            explained = END if straggles else end
            # A parent is looked at when its child begins to fail; a cause is found a little later, once enough are down.
            found = begin + (2 if cause else 0)
            while_explained = ["_"] * found + ["1"] * (explained - found) + ["stale"]
            if cause:
                self.lines.append(series("probe_shared_cause_info", labels | dict(zip(("kind", "value"), cause)), while_explained))
            if parent:
                self.lines.append(series("probe_explained_info", labels | {"by": parent, "parent": "down"}, while_explained))

    def alone(self):
        self.target("alone")
        self.wanted += 1

    def shared(self, cause):
        for number in range(self.chance.randint(3, 10)):
            self.target(f"{cause[0]}-{number}", cause=cause)
        self.wanted += 1

    def parent(self):
        self.target("gateway")
        for number in range(self.chance.randint(1, 8)):
            self.target(f"door-{number}", parent="gateway")
        self.wanted += 1

    def straggler(self, cause):
        self.target("straggler", cause=cause, straggles=True)
        self.wanted += 1


def stage(chance, number):
    outage = Outage(chance)
    one, other = chance.sample(KINDS, 2)
    match number % 10:
        case 0 | 1:
            outage.alone()
        case 2 | 3 | 4:
            outage.shared(one)
        case 5 | 6:
            outage.parent()
        case 7:
            outage.shared(one)
            outage.shared(other)
        case 8:
            outage.shared(one)
            outage.alone()
        case 9:
            outage.shared(one)
            outage.straggler(one)
    return outage


def main():
    seed = sys.argv[1] if len(sys.argv) > 1 else "1"
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 50
    outages = [stage(random.Random(f"{seed}-{number}"), number) for number in range(count)]
    told = 'ALERTS{alertname=~"TargetDown|TargetDownSpread|SharedOutage|TargetIntermittent|ProberBlind",alertstate="firing"}'
    begun = f"sum(count_over_time(({told} unless {told} offset 15s)[{STEPS * 15}s:15s]))"
    with tempfile.TemporaryDirectory() as work:
        test = pathlib.Path(work) / "staged.test.yml"
        rules = ", ".join(sorted(str(path) for path in HERE.parent.glob("*.rules.yml")))
        with test.open("w") as out:
            out.write(f"rule_files: [{rules}]\nevaluation_interval: 15s\ngroup_eval_order: [{', '.join(GROUPS)}]\ntests:\n")
            for number, outage in enumerate(outages):
                out.write(f"  - name: seed {seed}, outage {number}\n    interval: 15s\n    input_series:\n" + "\n".join(outage.lines))
                out.write(f"\n    promql_expr_test:\n      - {{expr: '{begun} + 0 * {number}', eval_time: {STEPS * 15}s, "
                          f"exp_samples: [{{labels: '{{}}', value: {outage.wanted}}}]}}\n")
        ran = subprocess.run(["promtool", "test", "rules", test], capture_output=True, text=True, check=False)
        if ran.returncode:
            print(ran.stdout, ran.stderr)
            sys.exit(f"FAILED: run it again by {sys.argv[0]} {seed}")
    wanted, targets = sum(outage.wanted for outage in outages), sum(outage.targets for outage in outages)
    seen = sum(outage.targets * len(outage.where) for outage in outages)
    print(f"{len(outages)} outages of {targets} targets, seen {seen} times: {wanted} notifications wanted, {wanted} sent")


if __name__ == "__main__":
    main()
