"""Name servers that are silent, lie, answer late or with another id: the verdict and the reason of every prober that needs names.

Each server has targets of one domain alone, so that what it does is held against the target; when names of unrelated domains
fail together through one server, the runs are inconclusive instead.
"""

from exporter import Exporter
from names import BEHAVIOURS, Names
from peers import Peers

UP = None
# The reason that is right.
EXPECTED = {
    "honest": UP,
    "silent": "dns_timeout",
    "lies": "connect_refused",
    "nxdomain": "dns_nxdomain",
    "servfail": "dns_servfail",
    "refused": "dns_refused",
    "empty": "dns_no_address",
    "late": UP,
    "too late": "dns_timeout",
    "another id": "dns_timeout",
    "another id, then honest": UP,
    "another name": "dns_timeout",
    "a query": "dns_timeout",
    "garbage": "dns_servfail",
    "noise, then honest": UP,
    # Over TCP nobody answers.
    "truncated": "dns_servfail",
}
# Several servers, in their order.
TOGETHER = {
    ("silent", "honest"): UP,
    ("another id", "honest"): UP,
    ("servfail", "honest"): UP,
    ("refused", "honest"): UP,
    ("too late", "honest"): UP,
    # The silent one may still know.
    ("silent", "servfail"): "dns_timeout",
    ("nxdomain", "honest"): "dns_nxdomain",
}
DOMAINS = ["shop.test", "bank.test", "mail.test", "news.test"]


def play(part):
    with Peers(part.folder / "peers") as peers, Names() as names:
        ports = {"http": peers.ports["http"], "tcp": peers.ports["tcp"], "ws": peers.ports["ws"], "grpc": peers.ports["grpc"]}
        single(part, names, ports)
        together(part, names, ports)


def target(prober, name, host, ports, servers):
    address = {"http": f"http://{host}:{ports['http']}/", "tcp": f"{host}:{ports['tcp']}",
               "websocket": f"ws://{host}:{ports['ws']}/", "grpc": f"{host}:{ports['grpc']}"}[prober]
    return {"name": name, "target": address, "module": prober, "dns_servers": servers}


def config(targets):
    # Diagnosis asks other servers, and there are none to be asked.
    return {"global": {"interval": "5s", "timeout": "4s", "confirm": {"failures": 2, "retry_interval": "200ms"}, "diagnose": False},
            "modules": {prober: {"prober": prober} for prober in ("http", "tcp", "websocket", "grpc")},
            "targets": targets}


def single(part, names, ports):
    cases = {(name,): reason for name, reason in EXPECTED.items()} | TOGETHER
    assert set(EXPECTED) == set(BEHAVIOURS)
    # One domain a server, else they are witnesses against it.
    targets = [target(prober, f"{prober}: {' + '.join(servers)}", f"{prober}.shop.test", ports,
                      [names.addresses[name] for name in servers])
               for servers in cases for prober in ("http", "tcp", "websocket", "grpc")]
    with Exporter(part.folder / "single", config(targets)) as exporter:
        page = exporter.until("every target has its verdict", lambda page: len(page.by_target("probe_up")) == len(targets))
        up = page.by_target("probe_up")
        reasons = {}
        for labels, _ in page.samples("probe_failures_total"):
            reasons.setdefault(labels["target"], set()).add(labels["reason"])
        for servers, reason in cases.items():
            of = [item["name"] for item in targets if item["name"].endswith(f": {' + '.join(servers)}")]
            wrong = {name: sorted(reasons.get(name, ["up"])) for name in of
                     if up[name] != (reason is UP) or reasons.get(name, set()) != ({reason} if reason else set())}
            part.check(f"name server: {' + '.join(servers)}: {reason or 'up'}, by every prober", not wrong, wrong or "")


def together(part, names, ports):
    targets = [target("http", domain, domain, ports, [names.addresses["moody"]]) for domain in DOMAINS]
    with Exporter(part.folder / "together", config(targets)) as exporter:
        exporter.until("all are up", lambda page: sum(page.by_target("probe_up").values()) == len(DOMAINS))
        for mood in part.pick(["silent"], ["silent", "servfail", "another id", "refused", "too late"]):
            names.behaviour["moody"] = BEHAVIOURS[mood]
            runs = exporter.page().sum("probe_failures_total", reason="resolver")
            page = exporter.until("runs are inconclusive", lambda page: page.sum("probe_failures_total", reason="resolver") >= runs + 8)
            part.check(f"all domains, {mood}: no verdict turns", sum(page.by_target("probe_up").values()) == len(DOMAINS)
                       and page.sum("probe_outages_total") == 0, page.reasons())
            part.check(f"all domains, {mood}: probe_resolver_ok says so", page.value("probe_resolver_ok") == 0)
            names.behaviour["moody"] = BEHAVIOURS["honest"]
            exporter.until("and back", lambda page: page.value("probe_resolver_ok") == 1
                           and sum(page.by_target("probe_success").values()) == len(DOMAINS))
