#!/usr/bin/env python3
"""The dashboards, read; and, run as a program, what must hold of each without Prometheus."""

import json
import pathlib
import re
import sys

sys.dont_write_bytecode = True
ROOT = pathlib.Path(__file__).resolve().parents[2]
GRAFANA = ROOT / "grafana"
STATUS = "uptime-status"
# What a range of time and a step are called in every dashboard.
BUILT_IN = {"__range", "__range_s", "__interval", "__rate_interval"}
PROVISIONED = "provisioning/dashboards/uptime"


def boards(folder=PROVISIONED):
    return {path.stem: json.loads(path.read_text()) for path in sorted((GRAFANA / folder).glob("*.json"))}


def panels(board):
    """Panels without rows, those of collapsed rows too."""
    for panel in board["panels"]:
        if panel["type"] == "row":
            yield from panel["panels"]
        else:
            yield panel


class Query:
    """A PromQL query of a dashboard and how it is asked."""

    def __init__(self, board, place, expr, instant, step=None):
        self.board = board
        self.place = place
        self.expr = expr
        self.instant = instant
        self.step = step

    def __str__(self):
        return f"{self.board}: {self.place}"


def queries():
    """Every query: of panels, of annotations, and of variables (as the series whose labels they list)."""
    for name, board in boards().items():
        for panel in panels(board):
            for target in panel["targets"]:
                yield Query(name, f"{panel['title'] or 'headline'} ({target['refId']})", target["expr"], target["instant"],
                            target.get("interval") or panel.get("interval"))
        for annotation in board["annotations"]["list"]:
            if "expr" in annotation:
                yield Query(name, f"annotation {annotation['name']}", annotation["expr"], False)
        for variable in board["templating"]["list"]:
            if variable["type"] == "query":
                listed = re.fullmatch(r"label_values\((.+), *([$\w]+)\)", variable["query"]["query"])
                assert listed, f"{name}: the variable {variable['name']} is not label_values(series, label)"
                yield Query(name, f"variable {variable['name']}", f"count by ({listed[2]}) ({listed[1]})", True)


def strings(value, path=""):
    """Every string in a JSON value, with its path."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from strings(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for n, inner in enumerate(value):
            yield from strings(inner, f"{path}[{n}]")


def problems_of(name, board, uids):
    if board["uid"] != name:
        yield f"uid is {board['uid']}"
    if not board["description"]:
        yield "has no description"
    ids = [panel["id"] for panel in board["panels"]] + [p["id"] for row in board["panels"] for p in row.get("panels", [])]
    if len(ids) != len(set(ids)):
        yield "two panels have one id"

    titles = [panel["title"] for panel in panels(board)]
    yield from (f"two panels are called {title}" for title in sorted(set(titles)) if titles.count(title) > 1)

    taken = {}
    for panel in [*board["panels"], *(p for row in board["panels"] for p in row.get("panels", []))]:
        at = panel["gridPos"]
        if at["x"] + at["w"] > 24:
            yield f"{panel['title']} sticks out of the grid"
        for cell in ((x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])):
            if cell in taken:
                yield f"{panel['title']} lies on {taken[cell]}"
                break
            taken[cell] = panel["title"]

    for panel in panels(board):
        title = panel["title"] or "headline"
        if not panel["description"]:
            yield f"{title} has no description"
        if not panel["fieldConfig"]["defaults"].get("noValue"):
            yield f"{title} does not say what it means that there is no data"
        letters = [target["refId"] for target in panel["targets"]]
        renamed = {key for t in panel.get("transformations", []) if t["id"] == "organize" for key in t["options"]["renameByName"]}
        for column in renamed:
            if column.startswith("Value #") and column.removeprefix("Value #") not in letters:
                yield f"{title} renames {column}, which no query gives"
        headings = {text for t in panel.get("transformations", []) if t["id"] == "organize"
                    for text in t["options"]["renameByName"].values()}
        for override in panel["fieldConfig"]["overrides"]:
            wanted = override["matcher"]["options"]
            if panel["type"] == "table" and override["matcher"]["id"] == "byName" and wanted not in headings:
                yield f"{title} has settings for the column {wanted}, which it has not"
        for sort in panel["options"].get("sortBy", []):
            if sort["displayName"] not in headings:
                yield f"{title} is sorted by {sort['displayName']}, which it has not"

    names = {variable["name"] for variable in board["templating"]["list"]}
    for path, text in strings(board):
        for uid in re.findall(r"/d/([\w-]+)", text):
            if uid not in uids:
                yield f"{path} links to {uid}, which is no dashboard"
        # A link passes on what the dashboard that it leads to has; a query knows only its own.
        if not path.endswith((".expr", ".query")):
            continue
        for variable in re.findall(r"\$\{?(\w+)", text):
            if variable not in names | BUILT_IN:
                yield f"{path} uses ${variable}, which is not there"


def problems_of_status(board):
    """On a dashboard that is shared externally, variables and annotations do not work, and links lead nowhere."""
    if board["templating"]["list"]:
        yield "has variables"
    if board["links"] or any("links" in panel["fieldConfig"]["defaults"] or "links" in panel for panel in panels(board)):
        yield "has links"
    if len(board["annotations"]["list"]) != 1:
        yield "has annotations"
    for path, text in strings(board):
        if "$" in text and text != "${DS_PROMETHEUS}":
            yield f"{path} has a variable: {text}"
        if not path.endswith((".expr", ".renameByName.target")) and re.search(r"\b(target|probe|region|vantage|instance|exporter)s?\b", text, re.I):
            yield f"{path} is not for customers: {text}"


def same_but_datasource(one, other):
    """The two forms are one dashboard."""
    one = {key: value for key, value in one.items() if not key.startswith("__")}
    for board in (one, other):
        for variable in board["templating"]["list"]:
            if variable["name"] == "datasource":
                variable.pop("current", None)
    plain = json.dumps(other).replace('"uid": "prometheus"', '"uid": "${DS_PROMETHEUS}"')
    return json.dumps(one) in (plain, json.dumps(other))


def main():
    provisioned, imported = boards(), boards("import")
    problems = []
    for folder, read in ((PROVISIONED, provisioned), ("import", imported)):
        for name, board in read.items():
            problems += [f"{folder}/{name}: {problem}" for problem in problems_of(name, board, set(read))]
        problems += [f"{folder}/{STATUS}: {problem}" for problem in problems_of_status(read[STATUS])]
    for name, board in provisioned.items():
        inputs = [given["name"] for given in imported[name]["__inputs"]]
        if inputs != ["DS_PROMETHEUS"] or "${DS_PROMETHEUS}" not in json.dumps(imported[name]["panels"]) + json.dumps(imported[name]["templating"]):
            problems.append(f"import/{name}: does not ask for the data source, or does not use the answer")
        if "DS_PROMETHEUS" in json.dumps(board):
            problems.append(f"{PROVISIONED}/{name}: uses an input, which provisioning does not fill in")
        if not same_but_datasource(imported[name], board):
            problems.append(f"{name}: the two forms differ in more than the data source")
    provider = (GRAFANA / "provisioning" / "dashboards" / "uptime.yaml").read_text()
    if f"path: /etc/grafana/{PROVISIONED}\n" not in provider:
        problems.append(f"the provider does not read {PROVISIONED}")
    source = (GRAFANA / "provisioning" / "datasources" / "prometheus.yaml").read_text()
    if "uid: prometheus\n" not in source:
        problems.append("the data source that is provisioned is not the one that the status page uses")
    if problems:
        sys.exit("\n".join(problems))
    count = sum(1 for board in provisioned.values() for _ in panels(board))
    print(f"{len(provisioned)} dashboards, {count} panels: links, grid, texts, variables and both forms hold together")


if __name__ == "__main__":
    main()
