"""A dashboard: variables, annotations, links and the grid; in the two forms that build.py writes."""

import enum

from . import colour

# Of @grafana/schema, to which tests/schema checks the result.
SCHEMA_VERSION = 42
PLUGIN_VERSION = "13.2.2"
TAG = "uptime_exporter"
GRID = 24


class Form(enum.Enum):
    """What a file is for, and the folder that it is in."""

    IMPORT = "import"
    PROVISIONED = "dashboards"


# Replaced by the reference that fits the dashboard and the form.
DATASOURCE = object()
INPUT = "${DS_PROMETHEUS}"
PROVISIONED_UID = "prometheus"


class Section:
    """Panels under a heading (none for the first). They flow from left to right; a line is as high as its first panel."""

    def __init__(self, title, *panels, collapsed=False):
        self.title = title
        self.panels = panels
        self.collapsed = collapsed


class Dashboard:
    def __init__(self, uid, title, description, *, sections, variables=(), annotations=(), time_from="now-6h", refresh="30s",
                 linked=True, picker=True):
        self.uid = uid
        self.title = title
        self.description = description
        self.sections = sections
        self.variables = list(variables)
        self.annotations = list(annotations)
        self.time_from = time_from
        self.refresh = refresh
        self.linked = linked
        self.picker = picker

    def to_json(self, form):
        panels = place(self.sections)
        board = {
            "uid": self.uid,
            "title": self.title,
            "description": self.description,
            "tags": [TAG],
            "schemaVersion": SCHEMA_VERSION,
            "editable": True,
            "graphTooltip": 1,
            "timezone": "browser",
            "time": {"from": self.time_from, "to": "now"},
            "timepicker": {"hidden": not self.picker},
            "refresh": self.refresh,
            "links": [other_dashboards()] if self.linked else [],
            "templating": {"list": [datasource_variable(form)] + self.variables if self.variables else []},
            "annotations": {"list": [built_in()] + self.annotations},
            "panels": panels,
        }
        if self.variables:
            reference = "${datasource}"
        else:
            reference = INPUT if form is Form.IMPORT else PROVISIONED_UID
        board = fill(board, {"type": "prometheus", "uid": reference})
        if form is Form.PROVISIONED:
            return board
        used = sorted({panel["type"] for panel in panels} | {inner["type"] for panel in panels for inner in panel.get("panels", [])})
        inputs = [{
            "name": "DS_PROMETHEUS",
            "label": "Prometheus",
            "description": "The Prometheus that scrapes uptime_exporter.",
            "type": "datasource",
            "pluginId": "prometheus",
            "pluginName": "Prometheus",
        }]
        requires = [
            {"type": "grafana", "id": "grafana", "name": "Grafana", "version": "11.0.0"},
            {"type": "datasource", "id": "prometheus", "name": "Prometheus", "version": "1.0.0"},
        ] + [{"type": "panel", "id": kind, "name": kind, "version": ""} for kind in used if kind != "row"]
        return {"__inputs": inputs, "__requires": requires, **board}


def fill(value, reference):
    """A copy with DATASOURCE replaced."""
    if value is DATASOURCE:
        return dict(reference)
    if isinstance(value, dict):
        return {key: fill(inner, reference) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [fill(inner, reference) for inner in value]
    return value


def place(sections):
    """Panels with their ids and places on the grid."""
    placed = []
    ids = iter(range(1, 1000))
    y = 0
    for section in sections:
        into = placed
        if section.title:
            row = {
                "id": next(ids),
                "type": "row",
                "title": section.title,
                "collapsed": section.collapsed,
                "gridPos": {"x": 0, "y": y, "w": GRID, "h": 1},
                "panels": [],
            }
            placed.append(row)
            y += 1
            if section.collapsed:
                into = row["panels"]
        x = 0
        line = 0
        for panel in section.panels:
            if x + panel["gridPos"]["w"] > GRID:
                x, y = 0, y + line
            if x == 0:
                line = panel["gridPos"]["h"]
            at = {"x": x, "y": y, "w": panel["gridPos"]["w"], "h": line}
            into.append({**panel, "id": next(ids), "gridPos": at})
            x += at["w"]
        y += line
    return placed


def datasource_variable(form):
    """Which Prometheus. An import fills its choice in; a provisioned dashboard starts with Grafana's default."""
    chosen = {"text": INPUT, "value": INPUT, "selected": True}
    return {
        "name": "datasource",
        "label": "Prometheus",
        "description": "The Prometheus that scrapes uptime_exporter.",
        "type": "datasource",
        "query": "prometheus",
        "regex": "",
        "refresh": 1,
        "hide": 0,
        "includeAll": False,
        "multi": False,
        "options": [],
        **({"current": chosen} if form is Form.IMPORT else {}),
    }


def query_variable(name, label, description, query, *, all_value=None):
    """Values from Prometheus: one of them, or several and all when `all_value` (a regular expression) is given."""
    many = all_value is not None
    return {
        "name": name,
        "label": label,
        "description": description,
        "type": "query",
        "datasource": DATASOURCE,
        "query": {"query": query, "qryType": 1, "refId": f"Variable-{name}"},
        "regex": "",
        "refresh": 2,
        "sort": 1,
        "hide": 0,
        "includeAll": many,
        "multi": many,
        **({"allValue": all_value, "current": {"text": ["All"], "value": ["$__all"], "selected": True}} if many else {}),
        "options": [],
    }


def region_variable(scope=""):
    return query_variable("region", "Region", "From where it is watched: the label `region` that the exporters stamp.",
                          f"label_values(probe_target_info{scope}, region)", all_value=".*")


def group_variables():
    """The group, and the label that groups: a team that labels its targets with `team` changes one constant."""
    constant = {
        "name": "group_label",
        "label": "Grouping label",
        "description": "The label of targets that the variable Group chooses by.",
        "type": "constant",
        "query": "group",
        "hide": 2,
        "skipUrlSync": True,
        "current": {"text": "group", "value": "group", "selected": True},
        "options": [{"text": "group", "value": "group", "selected": True}],
    }
    return [constant, query_variable("group", "Group", "Targets by their label `group`.",
                                     'label_values(probe_target_info{region=~"$region"}, $group_label)', all_value=".*")]


def target_variable():
    return query_variable("target", "Target", "What is watched.",
                          'label_values(probe_target_info{region=~"$region",$group_label=~"$group"}, target)', all_value=".+")


def outages(scope):
    """Outages as shaded spans over the charts: an annotation for as long as a target is confirmed down from a region."""
    return {
        "name": "Outages",
        "datasource": DATASOURCE,
        "enable": True,
        "hide": False,
        "iconColor": colour.BAD,
        "expr": f"max by (target, region, reason) (probe_failure_info{{{scope}}} and ignoring (reason) probe_up{{{scope}}} == 0)",
        "step": "",
        "titleFormat": "{{target}} is down",
        "textFormat": "{{reason}}",
        "tagKeys": "region,reason",
        "useValueForTime": False,
    }


def maintenance(scope):
    return {
        "name": "Maintenance",
        "datasource": DATASOURCE,
        "enable": True,
        "hide": False,
        "iconColor": colour.MAINTENANCE,
        "expr": f"max by (target) (probe_maintenance{{{scope}}}) == 1",
        "step": "",
        "titleFormat": "{{target}} is in maintenance",
        "textFormat": "",
        "tagKeys": "",
        "useValueForTime": False,
    }


def built_in():
    """What people add by hand. Grafana wants it in every dashboard."""
    return {
        "name": "Annotations & Alerts",
        "type": "dashboard",
        "builtIn": 1,
        "datasource": {"type": "grafana", "uid": "-- Grafana --"},
        "enable": True,
        "hide": True,
        "iconColor": "rgba(0, 211, 255, 1)",
    }


def other_dashboards():
    return {
        "title": "Uptime",
        "type": "dashboards",
        "tags": [TAG],
        "icon": "dashboard",
        "tooltip": "The other dashboards of uptime_exporter",
        "asDropdown": False,
        "includeVars": True,
        "keepTime": True,
        "targetBlank": False,
    }
