"""Panels. Each has a title, a description, a size, a text for when there is nothing to show, and queries."""

from . import colour
from .dashboard import DATASOURCE, PLUGIN_VERSION


def query(expr, legend="", *, instant=False, table=False, step=None, heatmap=False):
    """One query; its letter is given by the panel."""
    instant = instant or table
    made = {
        "datasource": DATASOURCE,
        "editorMode": "code",
        "expr": expr,
        "instant": instant,
        "range": not instant,
        "format": "table" if table else "heatmap" if heatmap else "time_series",
    }
    if not table:
        made["legendFormat"] = legend or "__auto"
    if step:
        made["interval"] = step
    return made


def panel(kind, title, description, size, queries, *, options, defaults, overrides=(), transformations=(), step=None, time_from=None,
          max_points=None):
    assert description.endswith("."), f"{title}: a description is a sentence"
    made = {
        "type": kind,
        "title": title,
        "description": description,
        "gridPos": {"x": 0, "y": 0, "w": size[0], "h": size[1]},
        "datasource": DATASOURCE,
        "pluginVersion": PLUGIN_VERSION,
        "targets": [{"refId": chr(ord("A") + n), **query} for n, query in enumerate(queries)],
        "fieldConfig": {"defaults": defaults, "overrides": list(overrides)},
        "options": options,
    }
    if transformations:
        made["transformations"] = list(transformations)
    if step:
        made["interval"] = step
    if time_from:
        made["timeFrom"] = time_from
    if max_points:
        made["maxDataPoints"] = max_points
    return made


# What values look like.

def steps(*pairs):
    """Thresholds: steps(GOOD, (1, BAD)) is good, and bad from 1."""
    first, *rest = pairs
    return {
        "mode": "absolute",
        "steps": [{"color": first, "value": None}] + [{"color": shade, "value": value} for value, shade in rest],
    }


def values(**texts):
    """A mapping of numbers: values(_0=("Down", BAD))."""
    return {
        "type": "value",
        "options": {
            key.removeprefix("_"): {"text": text, "color": shade, "index": n} for n, (key, (text, shade)) in enumerate(texts.items())
        },
    }


def span(low, high, shade, text=None):
    result = {"color": shade} | ({"text": text} if text else {})
    return {"type": "range", "options": {"from": low, "to": high, "result": result}}


# The worse, the higher: sorted downwards, what is wrong comes first.
STATE = values(
    _0=("Up", colour.GOOD),
    _1=("Unknown", colour.UNKNOWN),
    _2=("Maintenance", colour.MAINTENANCE),
    _3=("Down from some regions", colour.PARTLY),
    _4=("Down", colour.BAD),
)
VERDICT = values(_0=("Down", colour.BAD), _1=("Up", colour.GOOD), _2=("Maintenance", colour.MAINTENANCE))
YES_NO = values(_0=("No", colour.BAD), _1=("Yes", colour.GOOD))
STATUS_CODES = [
    values(_0=("no answer", colour.BAD)),
    span(100, 299, colour.GOOD),
    span(300, 399, colour.MAINTENANCE),
    span(400, 499, colour.PARTLY),
    span(500, 999, colour.BAD),
]
# The first colour is also that of the text for no data, so what is bad at any value begins at a number.
LEAST = -1e6
DAYS = "suffix:d"
# Days that a certificate is valid for: the alerts' own steps.
CERTIFICATE_DAYS = steps(colour.PLAIN, (LEAST, colour.BAD), (3, colour.PARTLY), (14, colour.GOOD))
UPTIME = steps(colour.PLAIN, (0, colour.BAD), (0.99, colour.PARTLY), (0.999, colour.GOOD))


def by_name(name, **properties):
    """An override of one column or series: by_name("Region", width=90, unit="s")."""
    return override({"id": "byName", "options": name}, properties)


def by_pattern(pattern, **properties):
    """An override of the columns or series that a regular expression matches."""
    return override({"id": "byRegexp", "options": f"/{pattern}/"}, properties)


# Settings that are of the kind of panel.
CUSTOM = {"width", "align", "cellOptions", "wrapText", "lineStyle", "lineWidth", "fillOpacity", "stacking"}


def override(matcher, properties):
    return {
        "matcher": matcher,
        "properties": [{"id": f"custom.{key}" if key in CUSTOM else key, "value": value} for key, value in properties.items()],
    }


def fixed(shade):
    return {"mode": "fixed", "fixedColor": shade}


NOTHING = "-"
# From seconds: 4 d 03:25:45.
LENGTH = "dtdhms"
TEXT_COLOUR = {"type": "color-text"}
BACKGROUND = {"type": "color-background", "mode": "basic"}


def link(title, url, blank=False):
    return {"title": title, "url": url, "targetBlank": blank}


def to_target(field="${__value.raw:percentencode}"):
    return link("Look at this target", f"/d/uptime-target?var-target={field}&${{datasource:queryparam}}&${{__url_time_range}}")


TO_TRACE = link("Open the trace", "${__value.raw}", blank=True)
TO_EVIDENCE = link("Open the evidence", "${__value.raw}", blank=True)
# A long address says no more than one word in a narrow column.
EVIDENCE_WORD = {"type": "regex", "options": {"pattern": ".+", "result": {"text": "Evidence", "index": 0}}}


# Columns of tables.

def columns(*names, hide=()):
    """Keeps the named columns in this order under these names; pairs (field, heading)."""
    return {
        "id": "organize",
        "options": {
            "excludeByName": {name: True for name in ("Time", *hide)},
            "indexByName": {name: n for n, (name, _) in enumerate(names)},
            "renameByName": dict(names),
            "includeByName": {},
        },
    }


def merge():
    return {"id": "merge", "options": {}}


def as_time(heading):
    """What a label says as RFC 3339 becomes a time, shown in the reader's own zone."""
    return {"id": "convertFieldType", "options": {"conversions": [{"targetField": heading, "destinationType": "time"}], "fields": {}}}


def sort_by(field, descending=True):
    return {"id": "sortBy", "options": {"fields": {}, "sort": [{"field": field, "desc": descending}]}}


# The kinds of panel.

def legend(place="bottom", calcs=(), show=True):
    return {"showLegend": show, "displayMode": "table" if calcs else "list", "placement": place, "calcs": list(calcs)}


def tooltip():
    return {"mode": "multi", "sort": "desc"}


def stat(title, description, queries, *, size=(4, 4), unit="none", decimals=None, thresholds=None, mappings=(), none="0", links=(),
         graph=False, wide=True, background=False, text="auto", overrides=(), orientation="auto", time_from=None, title_size=None):
    defaults = {
        "unit": unit,
        "noValue": none,
        "mappings": list(mappings),
        "thresholds": thresholds or steps(colour.UNKNOWN if background else colour.PLAIN),
        "color": {"mode": "thresholds"},
    }
    if decimals is not None:
        defaults["decimals"] = decimals
    if links:
        defaults["links"] = list(links)
    return panel("stat", title, description, size, queries, defaults=defaults, overrides=overrides, time_from=time_from, options={
        "colorMode": "background_solid" if background else "value",
        "graphMode": "area" if graph else "none",
        "justifyMode": "auto",
        "orientation": orientation,
        "percentChangeColorMode": "standard",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "showPercentChange": False,
        **({"text": {"titleSize": title_size}} if title_size else {}),
        "textMode": text,
        "wideLayout": wide,
    })


def table(title, description, queries, *, size=(24, 8), none, overrides=(), transformations=(), sort=None, filterable=False, unit=None):
    defaults = {
        "custom": {"align": "auto", "cellOptions": {"type": "auto"}, "inspect": False, "filterable": filterable},
        "noValue": none,
        "mappings": [],
        "thresholds": steps(colour.PLAIN),
        "color": {"mode": "thresholds"},
    }
    if unit:
        defaults["unit"] = unit
    options = {"cellHeight": "sm", "frameIndex": 0, "showHeader": True}
    if sort:
        options["sortBy"] = [{"displayName": sort[0], "desc": sort[1]}]
    # What the panel says when it has no rows is not what a single cell without a value says.
    empty = by_pattern(".*", noValue=NOTHING)
    return panel("table", title, description, size, queries, defaults=defaults, overrides=[empty, *overrides],
                 transformations=transformations, options=options)


def lines(title, description, queries, *, size=(12, 8), unit="short", none="No data in this range", stacked=False, bars=False,
          area=0, minimum=0, maximum=None, legend_at="bottom", calcs=(), thresholds=None, by_series_name=False, overrides=(), step=None,
          decimals=None, label="", links=()):
    custom = {
        "drawStyle": "bars" if bars else "line",
        "lineInterpolation": "linear",
        "lineWidth": 0 if bars else 1,
        "fillOpacity": 70 if bars else 60 if stacked else area,
        "gradientMode": "none",
        "showPoints": "never",
        "pointSize": 4,
        "spanNulls": False,
        "stacking": {"mode": "normal" if stacked else "none", "group": "A"},
        "axisPlacement": "auto",
        "axisLabel": label,
        "axisBorderShow": False,
        "barAlignment": 0,
        "scaleDistribution": {"type": "linear"},
        "hideFrom": {"legend": False, "tooltip": False, "viz": False},
        "thresholdsStyle": {"mode": "dashed" if thresholds else "off"},
    }
    defaults = {
        "unit": unit,
        "noValue": none,
        "custom": custom,
        "mappings": [],
        "thresholds": thresholds or steps(colour.PLAIN),
        "color": {"mode": "palette-classic-by-name" if by_series_name else "palette-classic"},
    }
    if minimum is not None:
        defaults["min"] = minimum
    if maximum is not None:
        defaults["max"] = maximum
    if decimals is not None:
        defaults["decimals"] = decimals
    if links:
        defaults["links"] = list(links)
    return panel("timeseries", title, description, size, queries, defaults=defaults, overrides=overrides, step=step,
                 options={"legend": legend(legend_at, calcs), "tooltip": tooltip()})


def timeline(title, description, queries, *, size=(24, 8), mappings=(), thresholds=None, none="No data in this range", overrides=(),
             merged=True, values_shown="never", links=(), time_from=None, step=None, unit="none"):
    defaults = {
        "unit": unit,
        "noValue": none,
        "custom": {"fillOpacity": 75, "lineWidth": 0},
        "mappings": list(mappings),
        "thresholds": thresholds or steps(colour.PLAIN),
        "color": {"mode": "thresholds"},
    }
    if links:
        defaults["links"] = list(links)
    return panel("state-timeline", title, description, size, queries, defaults=defaults, overrides=overrides, time_from=time_from,
                 step=step, options={
                     "alignValue": "left",
                     "legend": legend(show=bool(mappings)),
                     "mergeValues": merged,
                     "rowHeight": 0.85,
                     "showValue": values_shown,
                     "tooltip": {"mode": "single", "sort": "none"},
                 })


def days(title, description, queries, *, size=(24, 8), none, thresholds=None, time_from="90d"):
    """A box a day."""
    return panel("status-history", title, description, size, queries, time_from=time_from, step="1d", max_points=100, defaults={
        "unit": "percentunit",
        "decimals": 2,
        "noValue": none,
        "custom": {"fillOpacity": 75, "lineWidth": 1},
        "mappings": [],
        "thresholds": thresholds or UPTIME,
        "color": {"mode": "thresholds"},
    }, options={
        "colWidth": 0.85,
        "legend": legend(show=False),
        "rowHeight": 0.8,
        "showValue": "never",
        "tooltip": {"mode": "single", "sort": "none"},
    })


def gauges(title, description, queries, *, size=(8, 8), unit="short", none, thresholds=None, minimum=0, maximum=None, decimals=None,
           links=(), by_series_name=False, overrides=(), mode="basic"):
    defaults = {
        "unit": unit,
        "noValue": none,
        "min": minimum,
        "mappings": [],
        "thresholds": thresholds or steps(colour.MAINTENANCE),
        "color": {"mode": "palette-classic-by-name" if by_series_name else "thresholds"},
    }
    if maximum is not None:
        defaults["max"] = maximum
    if decimals is not None:
        defaults["decimals"] = decimals
    if links:
        defaults["links"] = list(links)
    return panel("bargauge", title, description, size, queries, defaults=defaults, overrides=overrides, options={
        "displayMode": mode,
        "legend": legend(show=False),
        "maxVizHeight": 24,
        "minVizHeight": 12,
        "minVizWidth": 8,
        "namePlacement": "left",
        "orientation": "horizontal",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "showUnfilled": True,
        "sizing": "manual",
        "valueMode": "text",
    })


def heat(title, description, queries, *, size=(24, 8), unit="s", none):
    return panel("heatmap", title, description, size, queries, defaults={
        "noValue": none,
        "custom": {"scaleDistribution": {"type": "linear"}, "hideFrom": {"legend": False, "tooltip": False, "viz": False}},
    }, options={
        "calculate": False,
        "cellGap": 1,
        "color": {"mode": "scheme", "scheme": "Blues", "fill": "blue", "scale": "exponential", "exponent": 0.5, "reverse": False,
                  "steps": 32},
        "exemplars": {"color": "rgba(255,0,255,0.7)"},
        "filterValues": {"le": 1e-9},
        "legend": {"show": True},
        "rowsFrame": {"layout": "auto"},
        "showValue": "never",
        "tooltip": {"mode": "single", "yHistogram": False, "showColorScale": False},
        "yAxis": {"unit": unit, "axisPlacement": "left", "reverse": False},
    })
