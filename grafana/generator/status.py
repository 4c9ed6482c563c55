"""For customers: what they can be told, and nothing else.

Of targets with the label public: "true" only: they have their display_name because somebody chose it, and others may have none
but their own name. Fit to be shared externally: no variables and no annotations from Prometheus (neither works on a shared dashboard), no links, and
every query is aggregated by display_name alone, since the labels of a series reach the browser.
"""

from . import colour
from .dashboard import Dashboard, Section
from .panel import (BACKGROUND, UPTIME, as_time, by_name, columns, days, merge, query, stat, table, timeline, values)
from .promql import PUBLIC, info, joined, series

UP = series("probe_up", PUBLIC)
# As many days as are shown; Prometheus must keep as many (--storage.tsdb.retention.time).
DAYS = 90
# The worse, the higher: the worst target of a service is what the service is.
SERVICE = values(
    _0=("Operational", colour.GOOD),
    _1=("Not known", colour.UNKNOWN),
    _2=("Maintenance", colour.MAINTENANCE),
    _3=("Some users affected", colour.PARTLY),
    _4=("Outage", colour.BAD),
)
NAME = info(PUBLIC, "display_name", by=("target",))


def build():
    return Dashboard(
        "uptime-status",
        "Service status",
        "How our services are, and how they were in the last 90 days.",
        time_from=f"now-{DAYS}d",
        refresh="1m",
        linked=False,
        picker=False,
        sections=[
            Section("", overall(), notices(), services(), last_day(), by_day(), uptime()),
        ],
    )


def named(expression, by="max"):
    """A value for each service of a value for each target."""
    return f"{by} by (display_name) (\n{joined(f'({expression})', NAME, 'display_name', by=('target',))}\n)"


def state():
    """A number for each target, to SERVICE, by the scope that the recording rules found: they leave out a place that is blind.

    Without the rules, by the verdicts alone: down from everywhere is an outage, down from anywhere affects some.
    """
    def scoped(number, scope):
        return f"{number} * max by (target) ({series('target:probe_scope:info', PUBLIC, scope)})"

    everybody = scoped(4, 'scope="global"')
    some = scoped(3, 'scope=~"multi-region|single-region|intermittent"')
    nobody_knows = scoped(1, 'scope="unknown"')
    nobody = scoped(0, 'scope="none"')
    return (
        f"2 * (max by (target) ({series('probe_maintenance', PUBLIC)}) == 1)\n"
        f"or\n"
        f"{everybody}\nor\n{some}\nor\n{nobody_knows}\nor\n{nobody}\n"
        f"or\n"
        f"3 * (min by (target) ({UP}) == bool 0) + (max by (target) ({UP}) == bool 0)\n"
        f"or\n"
        f"max by (target) ({series('probe_target_info', PUBLIC)})"
    )


def overall():
    texts = values(
        _0=("All services are operational", colour.GOOD),
        _1=("Of some services nothing is known yet", colour.UNKNOWN),
        _2=("Maintenance is going on", colour.MAINTENANCE),
        _3=("Some users are affected", colour.PARTLY),
        _4=("There is an outage", colour.BAD),
    )
    return stat("", "The worst of all services.", [query(f"max({named(state())})", instant=True)],
                size=(24, 3), mappings=[texts], background=True, text="value", none="Nothing is known yet", wide=False)


def services():
    since = f"1000 * min by (target) ({series('probe_outage_start_timestamp_seconds', PUBLIC)})"
    return table(
        "Services now", "How each service is, and since when it has been affected if it is.",
        [query(named(state()), table=True), query(named(since, by="min"), table=True)],
        size=(24, 11), none="Nothing is known yet", sort=("State", True),
        transformations=[merge(), columns(("display_name", "Service"), ("Value #A", "State"), ("Value #B", "Since"))],
        overrides=[
            by_name("State", mappings=[SERVICE], cellOptions=BACKGROUND, width=180),
            by_name("Since", unit="dateTimeAsIsoNoDateIfToday", width=180),
        ],
    )


def notices():
    told = f"max by (target, cause, action, next_update) ({series('probe_notice_info', PUBLIC)})"
    shown = f"max by (display_name, cause, action, next_update) (\n{joined(told, NAME, 'display_name', by=('target',))}\n)"
    return table(
        "Notices", "What we know, what we are doing, and when we will say more.", [query(shown, table=True)],
        size=(24, 5), none="There is nothing to report",
        transformations=[columns(("display_name", "Service"), ("cause", "What we know"), ("action", "What we are doing"),
                                 ("next_update", "Next update"), hide=("Value",)), as_time("Next update")],
        overrides=[by_name("Service", width=120), by_name("What we know", wrapText=True), by_name("What we are doing", wrapText=True),
                   by_name("Next update", width=190)],
    )


def last_day():
    return timeline(
        "Last 24 hours", "States of each service.", [query(named(state()), "{{display_name}}")],
        size=(24, 8), mappings=[SERVICE], none="Nothing is known yet", time_from="24h", step="1m",
    )


def by_day():
    return days(
        f"Last {DAYS} days", "A box a day: the share of the day that the service was up for most users. Days of maintenance count "
        "without it.",
        [query(named("avg_over_time(target:up:bool[1d] offset -1d)", by="min"), "{{display_name}}", step="1d")],
        none="No history yet", size=(24, 8), time_from=f"{DAYS}d",
    )


def uptime():
    def within(window):
        return query(named(f"avg_over_time(target:up:bool[{window}])", by="min"), table=True)

    return table(
        "Uptime", "The share of the time that the service was up for most users, without maintenance.",
        [within("1d"), within("7d"), within("30d"), within(f"{DAYS}d")],
        size=(24, 11), none="No history yet", sort=("Service", False),
        transformations=[merge(), columns(("display_name", "Service"), ("Value #A", "24 hours"), ("Value #B", "7 days"),
                                          ("Value #C", "30 days"), ("Value #D", f"{DAYS} days"))],
        overrides=[by_name(name, unit="percentunit", decimals=3, cellOptions={"type": "color-text"}, thresholds=UPTIME)
                   for name in ("24 hours", "7 days", "30 days", f"{DAYS} days")],
    )
