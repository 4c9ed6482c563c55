"""Packets are lost, late and out of order: false downs in 10,000 runs by prober, with the default `confirm`.

Nothing is ever down there. A run may fail for want of an answer; two in a row, two seconds apart, are an outage that is none.
"""

from exporter import Exporter
from peers import Peers
from wire import THERE, Wire

PROBERS = ["icmp", "icmp of 3", "tcp", "http", "dns"]
# What each packet meets, in either direction.
CONDITIONS = {
    "none": {},
    "1 % lost": {"loss": 0.01},
    "5 % lost": {"loss": 0.05},
    "30 % lost": {"loss": 0.3},
    "100 ms late, plus or minus 50": {"delay": 0.1, "jitter": 0.05},
    "a quarter out of order": {"reordered": 0.25},
    "5 % lost, 100 ms late, a quarter out of order": {"loss": 0.05, "delay": 0.1, "jitter": 0.05, "reordered": 0.25},
}
QUICK = ["5 % lost", "a quarter out of order"]
# Reasons that lost packets may have.
TIMEOUTS = {"icmp_timeout", "connect_timeout", "request_timeout", "response_timeout", "dns_timeout"}


def play(part):
    with Wire(part.seed) as wire, Peers(part.folder / "peers", host=THERE, prefix=wire.there.prefix) as peers:
        part.figure("packets are lost by", wire.kind)
        enough = part.pick(120, 10_000)
        rows = []
        for name in part.pick(QUICK, list(CONDITIONS)):
            wire.set(**CONDITIONS[name])
            rows.append((name, condition(part, name, wire, peers, enough)))
        table(part, rows)


def targets_of(peers, each):
    address = {"icmp": THERE, "icmp of 3": THERE, "tcp": peers.address("tcp"), "http": peers.url("/switch/good"),
               "dns": peers.address("dns")}
    return [{"name": f"{prober} {number}", "target": address[prober], "module": prober.replace(" ", "_"),
             "labels": {"kind": prober}} for prober in PROBERS for number in range(each)]


def condition(part, name, wire, peers, enough):
    """Failed runs and false downs of each prober."""
    each = part.pick(60, 300)
    config = {
        # Interval and timeout are short for the sake of the number; `confirm` is the default.
        "global": {"interval": "5s", "timeout": "5s", "diagnose": False},
        "modules": {"icmp": {"prober": "icmp"}, "icmp_of_3": {"prober": "icmp", "icmp": {"packets": 3}},
                    "tcp": {"prober": "tcp"}, "http": {"prober": "http"},
                    "dns": {"prober": "dns", "dns": {"query_name": "peer.test", "query_type": "A"}}},
        "targets": targets_of(peers, each),
    }
    for module in config["modules"].values():
        module.setdefault(module["prober"], {})["preferred_ip_protocol"] = "ip4"
    folder = part.folder / name.split(" ", 1)[0].replace("%", "") / str(len(list(part.folder.iterdir())))
    peers.late()
    with Exporter(folder, config, prefix=wire.here.prefix) as exporter:
        def runs(page, **result):
            return {prober: page.sum("probe_runs_total", kind=prober, **result) for prober in PROBERS}
        page = exporter.until("enough runs", lambda page: min(runs(page).values()) >= enough, seconds=1800, every=1)
        seen = {prober: (runs(page)[prober], page.sum("probe_runs_total", kind=prober, result="failure"),
                         page.sum("probe_outages_total", kind=prober)) for prober in PROBERS}
        reasons, peers_late = page.reasons(), peers.late()
        late = page.value("uptime_exporter_schedule_lag_seconds_sum") / max(1, page.value("uptime_exporter_schedule_lag_seconds_count"))
    wrong = {reason: int(count) for reason, count in reasons.items() if reason not in TIMEOUTS | {"internal"}}
    part.check(f"{name}: failed runs say that nothing came", not wrong, wrong or {r: int(n) for r, n in reasons.items()})
    for prober, (count, failed, downs) in seen.items():
        expected = count * most(CONDITIONS[name].get("loss", 0), prober)
        part.check_of_peers(f"{name}: {prober}: no more false downs than chance makes", downs <= 2 * expected + 3,
                            f"{downs:.0f} in {count:.0f} runs, of which {failed:.0f} failed; {expected:.1f} by chance", peers_late, 2)
    part.figure(f"{name}: mean lag of the schedule, and most of the peers", f"{1000 * late:.1f} ms, {1000 * peers_late:.1f} ms")
    return seen


def most(loss, prober):
    """How often a run, and the next one, fail by chance when each try needs a packet both ways."""
    tries = {"icmp": 1, "icmp of 3": 3, "tcp": 3, "http": 3, "dns": 2}[prober]
    failed = (1 - (1 - loss) ** 2) ** tries
    if prober == "http":
        # SYN, request and answer, each with its own tries.
        failed = min(1, 3 * failed)
    return failed ** 2


def table(part, rows):
    part.say("")
    part.say("False downs in 10,000 runs (failed runs of 100):")
    part.say("| each packet | " + " | ".join(PROBERS) + " |")
    part.say("|---" * (len(PROBERS) + 1) + "|")
    for name, seen in rows:
        cells = [f"{10_000 * downs / count:.1f} ({100 * failed / count:.1f} %)" for count, failed, downs in seen.values()]
        part.say(f"| {name} | " + " | ".join(cells) + " |")
