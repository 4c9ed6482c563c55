#!/usr/bin/env python3
"""Runs every query against a real Prometheus: each must return data, and some of them the right data.

queries.py --keep FOLDER also writes what the dashboards would be answered, for tests/draw.
"""

import math
import pathlib
import re
import sys
import tempfile
import time

sys.dont_write_bytecode = True
import answers  # noqa: E402
from boards import STATUS, queries  # noqa: E402
from metrics import COMMON, EVERYTHING, filled  # noqa: E402
from past import DAY, HISTORY_DAYS  # noqa: E402
from scenario import EXPORTER, Scenario  # noqa: E402

PATIENCE = 300
LIVE = 80
COMMON = COMMON | {"__range": "60s", "__range_s": "60", "__interval": "5s", "__rate_interval": "10s"}
# The labels that customers may be shown.
PUBLIC = {"display_name", "cause", "action", "next_update"}


def ask(scenario, query, values):
    """The data of a query: series that have a value. Days are asked for as Grafana does, aligned to midnight."""
    by_day = query.step == "1d"
    # What stands in for no data would hide that there is none.
    expr = filled(query.expr, values | COMMON | ({"__range": "30d"} if by_day else {})).removesuffix(" or vector(0)")
    if by_day:
        today = int(time.time()) // DAY * DAY
        series = scenario.ask(expr, instant=False, start=today - (HISTORY_DAYS - 5) * DAY, end=today, step=DAY)
    else:
        series = scenario.ask(expr, instant=query.instant)
    return [(labels, numbers) for labels, numbers in series if any(not math.isnan(number) for number in numbers)]


def variants(query, scenario):
    """On the page of one target, no target has everything: every query must have data for one of them."""
    if query.board != "uptime-target":
        return [EVERYTHING]
    return [EVERYTHING | {"target": re.escape(name).replace("\\", "\\\\")} for name, _ in scenario.targets["eu-west"]]


def truths(scenario, found):
    """What some of the queries must say about the scenario."""
    def of(board, place):
        [query] = [query for query in found if query.board == board and query.place == place]
        return ask(scenario, query, EVERYTHING)

    def rows(board, place, *names):
        return {tuple(labels.get(name, "") for name in names): numbers[-1] for labels, numbers in of(board, place)}

    causes = rows("uptime-overview", "Causes (C)", "kind", "value")
    yield "the address that eight share is a cause", causes.get(("address", "127.0.0.2")) == 8
    yield "the gateway is a cause", causes.get(("target", "gateway")) == 1
    down = rows("uptime-overview", "Down now (A)", "target", "region", "reason", "scope")
    yield "closed is down everywhere, refused", ("closed", "us-east", "connect_refused", "global") in down
    yield "the certificate is not trusted", ("untrusted", "eu-west", "tls_untrusted", "global") in down
    yield "regional is down from one region", {key[:3] for key in down if key[0] == "regional"} == {("regional", "us-east", "http_status")}
    yield "a vantage that is cut off says nothing is down", not any(key[0] == "afar" for key in down)
    yield "since when is in milliseconds", all(abs(value / 1000 - time.time()) < 600 for value in down.values())
    finding = rows("uptime-overview", "Down now (A)", "target", "finding")
    yield "the finding is told", any(key[0] == "closed" and key[1] for key in finding)
    links = rows("uptime-overview", "Down now (A)", "target", "evidence_url")
    yield "the evidence is linked", all(url.endswith(f"/targets/{target}") for target, url in links)

    [up] = of("uptime-overview", "Other targets (C)")
    [unknown] = of("uptime-overview", "Other targets (B)")
    [partly] = of("uptime-overview", "Failing or slow (B)")
    yield "one target is unknown", unknown[1] == [1]
    yield "some are up", up[1][0] >= 4
    yield "one is down from some regions", partly[1][0] >= 1
    anchors = rows("uptime-overview", "Regions (D)", "region")
    yield "one region is cut off", anchors == {("eu-west",): 1, ("us-east",): 1, ("cut-off",): 0}
    states = rows("uptime-overview", "States (A)", "target")
    yield "the timeline has the states", [states[(name,)] for name in ("closed", "regional", "works", "afar")] == [4, 3, 2, 1]
    yield "what is well is up", not any(states[(name,)] for name in ("shop", "slow", "moved", "addresses", "blinking", "internal.example.com"))
    [counted] = of("uptime-overview", "Failing or slow (A)")
    yield "what is in maintenance does not count as down", counted[1] == [len([value for value in states.values() if value == 4])]
    alerts = rows("uptime-overview", "Alerts that fire (A)", "alertname", "target")
    yield "what fires is listed", ("TargetDown", "closed") in alerts

    services = rows(STATUS, "Services now (A)", "display_name")
    yield "a service is as its worst target", services[("The shop",)] == 4
    yield "an outage of all is an outage", services[("Mail",)] == 4
    yield "one region is some users", services[("Pictures",)] == 3
    yield "maintenance is no outage", services[("Reports",)] == 2
    yield "what is up is operational", services[("News",)] == 0
    yield "a target of which nothing is known is not known", services[("Far away",)] == 1
    yield "only what is for customers is named", set(services) == {
        (name,) for name in ("The shop", "Search", "Mail", "Pictures", "Sign-in", "Reports", "News", "Maps", "Far away")}
    yield "the operator's words are there", set(rows(STATUS, "Notices (A)", "display_name", "cause", "action")) == {
        ("Mail", "A disk is full", "We make room")}
    by_day = dict((labels["display_name"], numbers) for labels, numbers in of(STATUS, "Last 90 days (A)"))
    yield "the bars go back 90 days", len(by_day["Search"]) >= 88
    bad = [number for number in by_day["Search"] if number < 0.95]
    yield "the bad day is to be seen", len(bad) in (1, 2) and min(bad) >= 0.7

    reach = rows("uptime-slo", "Report (C)", "target")
    yield "reachability counts runs", reach[("shop",)] == 1 and reach[("closed",)] == 0 and 0.4 < reach[("regional",)] < 0.6
    uptime = rows("uptime-slo", "Report (B)", "target")
    yield "uptime is by most: a regional outage is not in it", uptime[("regional",)] > 0.8 and uptime[("closed",)] < 0.5
    objective = rows("uptime-slo", "Report (A)", "target")
    yield "the objective is the target's own, or the variable's", objective[("shop",)] == 0.99 and objective[("slow",)] == 0.999
    [cost] = rows("uptime-exporter", "Cost of a probe (A)").values()
    yield "a probe costs less than its interval", 0 <= cost < 1


def judged(scenario, every):
    """How many claims there are, and those that do not hold now."""
    try:
        claims = list(truths(scenario, every))
    except (KeyError, ValueError, OSError) as error:
        return 0, [f"{type(error).__name__}: {error}"]
    return len(claims), [claim for claim, holds in claims if not holds]


def main():
    if not pathlib.Path(EXPORTER).exists():
        sys.exit(f"{EXPORTER} is not there: cargo build first")
    kept = sys.argv[2] if sys.argv[1:2] == ["--keep"] else None
    every = list(queries())
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, Scenario(folder) as scenario:
        waiting = {query: "no data" for query in every}
        private = set()
        while waiting and time.monotonic() < began + PATIENCE:
            for query in list(waiting):
                try:
                    data = next(filter(None, (ask(scenario, query, values) for values in variants(query, scenario))), [])
                except (ValueError, OSError) as error:
                    waiting[query] = error
                    continue
                if query.place.startswith("annotation ") and not any(1 in numbers for _, numbers in data):
                    continue
                if data:
                    del waiting[query]
                if query.board == STATUS:
                    private |= {f"{query}: shows the label {name}" for labels, _ in data for name in set(labels) - PUBLIC}
            time.sleep(1)
        problems = [f"{query}: {problem}\n{filled(query.expr, EVERYTHING | COMMON)}" for query, problem in waiting.items()]
        problems += sorted(private)
        held = 0
        wrong = ["not asked"]
        while not problems and wrong and time.monotonic() < began + PATIENCE:
            time.sleep(1)
            held, wrong = judged(scenario, every)
            # What goes on now is to be seen beside the past; and what is kept is from a moment of which all of it is true.
            if not wrong and kept and time.monotonic() < began + LIVE:
                wrong = ["not asked"]
            elif not wrong and kept:
                answers.keep(scenario, kept)
                held, wrong = judged(scenario, every)
        problems += [f"does not hold: {claim}" for claim in wrong if claim != "not asked"]
        if problems:
            sys.exit("\n".join(problems))
    print(f"{len(every)} queries, each with data from Prometheus after {time.monotonic() - began:.0f} s; {held} of their answers looked at")


if __name__ == "__main__":
    main()
