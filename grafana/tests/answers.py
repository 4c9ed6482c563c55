"""What Grafana would ask Prometheus for to show a dashboard, and what it is answered: for tests/draw."""

import json
import math
import pathlib
import re
import time

from boards import boards, panels
from metrics import filled

MINUTE, HOUR, DAY = 60, 3600, 86400
SCRAPE = 15
# How far back each dashboard looks, and for whom; as somebody would have set it.
LOOKS = {
    "uptime-overview": (15 * MINUTE, {}),
    "uptime-target": (15 * MINUTE, {"target": "shop"}),
    "uptime-status": (90 * DAY, {}),
    "uptime-slo": (30 * DAY, {}),
    "uptime-exporter": (15 * MINUTE, {}),
}
ALL = {"region": ".*", "group": ".*", "target": ".+", "exporter": ".+", "group_label": "group", "slo": "0.999"}
STEPS = [1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10800, 21600, 43200, DAY]
POINTS = 600
UNITS = {"s": 1, "m": MINUTE, "h": HOUR, "d": DAY}


def seconds(text):
    found = re.fullmatch(r"(\d+)([smhd])", text)
    return int(found[1]) * UNITS[found[2]]


def step_of(panel, target, span):
    """As Grafana computes it: so that no more points than pixels come, no finer than the panel or Prometheus says."""
    least = seconds(target.get("interval") or panel.get("interval") or f"{SCRAPE}s")
    points = panel.get("maxDataPoints") or POINTS
    return max(least, next((step for step in STEPS if step >= span / points), DAY))


def ask(scenario, panel, target, span, to, values):
    span = seconds(panel["timeFrom"]) if "timeFrom" in panel else span
    step = step_of(panel, target, span)
    given = values | {"__range": f"{span}s", "__range_s": str(span), "__interval": f"{step}s", "__rate_interval": f"{max(step + SCRAPE, 4 * SCRAPE)}s"}
    expr = filled(target["expr"], given)
    if target["instant"]:
        result = scenario.answer("query", query=expr, time=to)
    else:
        end = int(to) // step * step
        result = scenario.answer("query_range", query=expr, start=end - span // step * step, end=end, step=step)
    return {"target": target, "step": step, "result": result}


def regions(scenario, annotation, span, to, values):
    """The spans of an annotation: neighbouring samples are one."""
    step = max(SCRAPE, span // 500)
    answer = scenario.answer("query_range", query=filled(annotation["expr"], values), start=to - span, end=to, step=step)
    for series in answer:
        begin = last = None
        for at, value in series["values"]:
            if float(value) != 1 and not math.isnan(float(value)):
                continue
            if last is not None and at - last > step * 1.5:
                yield {"from": begin, "to": last, "color": annotation["iconColor"]}
                begin = at
            begin = at if begin is None else begin
            last = at
        if last is not None:
            yield {"from": begin, "to": last, "color": annotation["iconColor"]}


def shown(variable, values):
    value = values[variable["name"]]
    return {"label": variable["label"], "value": "All" if value in (".*", ".+") else value.replace("\\", "")}


def drawing(scenario, board, span, chosen):
    to = time.time()
    values = ALL | chosen
    return {
        "board": board,
        "from": to - span,
        "to": to,
        "values": values,
        "variables": [shown(one, values) for one in board["templating"]["list"] if one["type"] in ("query", "custom") and one["hide"] == 0],
        "answers": {panel["id"]: [ask(scenario, panel, target, span, to, values) for target in panel["targets"]] for panel in panels(board)},
        "regions": [region for one in board["annotations"]["list"] if one.get("enable") and "expr" in one
                    for region in regions(scenario, one, span, to, values)],
    }


def keep(scenario, folder):
    """Writes one file for each dashboard, and for more targets than the one that is up."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    looks = {name: (name, *look) for name, look in LOOKS.items()}
    looks |= {f"uptime-target-{what}": ("uptime-target", LOOKS["uptime-target"][0], {"target": target})
              for what, target in (("down", "closed"), ("behind", "door"))}
    read = boards()
    for file, (name, span, chosen) in looks.items():
        (folder / f"{file}.json").write_text(json.dumps(drawing(scenario, read[name], span, chosen)))
