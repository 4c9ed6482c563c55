"""Descriptors, threads and memory run out and come back. Nothing of it may be held against a target."""

import json
import resource
import time

from exporter import Exporter
from peers import Peers
from places import Group, Network, Over
from play import Skipped, TooLate, until

# What a run may say when the exporter has nothing left.
OURS = {"internal", "resolver", "vantage"}
PROBERS = ["http", "https", "tcp", "dns", "icmp", "grpc", "websocket"]
ALL = len(PROBERS) * 4 + 3
TIMEOUT = 2
PANICS = "uptime_exporter_panics_total"


def play(part):
    with Network() as network, Peers(part.folder / "peers", prefix=network.prefix, dns=("127.0.0.2", 53)) as peers:
        hosts = Over("/etc/hosts", part.folder, "127.0.0.1 localhost\n127.0.0.1 hosts.test\n")
        resolv = Over("/etc/resolv.conf", part.folder, "nameserver 127.0.0.2\n")
        with hosts, resolv:
            for piece in part.pick((descriptors, threads, memory), (descriptors, threads, memory, address_space)):
                try:
                    piece(part, network, peers, (hosts, resolv))
                except Skipped as reason:
                    part.skip(piece.__name__.replace("_", " "), str(reason))


def config(peers, more=0):
    """Every prober, by address, by a name of the hosts file, by a name of the system's server, and of a server in the config."""
    ports = peers.ports
    ways = {"address": "127.0.0.1", "hosts": "hosts.test", "system": "shop.test", "server": "bank.test"}
    targets = []
    for way, host in ways.items():
        for prober in PROBERS:
            address = {"http": f"http://{host}:{ports['http']}/", "https": f"https://{host}:{ports['https']}/",
                       "tcp": f"{host}:{ports['tcp']}", "dns": f"{host}:{ports['dns']}", "icmp": host,
                       "grpc": f"{host}:{ports['grpc']}", "websocket": f"ws://{host}:{ports['ws']}/"}[prober]
            target = {"name": f"{prober} by {way}", "target": address, "module": prober}
            if way == "server":
                target["dns_servers"] = [peers.address("dns")]
            targets.append(target)
    targets.append({"name": "unix", "target": peers.unix, "module": "unix"})
    targets.append({"name": "bad", "target": peers.url("/status/500"), "module": "http"})
    targets += [{"name": f"more {number}", "target": f"http://127.0.0.1:{ports['http']}/{'x' * 200}{number}", "module": "http",
                 "interval": "1h"} for number in range(more)]
    modules = {prober: {"prober": prober} for prober in ("http", "tcp", "icmp", "grpc", "websocket", "unix")}
    modules["https"] = {"prober": "http", "http": {"tls_config": {"ca_file": str(peers.pem)}}}
    modules["dns"] = {"prober": "dns", "dns": {"query_name": "peer.test", "query_type": "A"}}
    for name, module in modules.items():
        block = module.setdefault(module["prober"], {})
        if name != "unix":
            block["preferred_ip_protocol"] = "ip4"
    # One more is in a file that a pattern finds, in a folder that has to be read for it.
    folder = peers.folder / "targets"
    folder.mkdir(exist_ok=True)
    (folder / "one.yaml").write_text(json.dumps([{"name": "from a file", "target": peers.url("/"), "module": "http"}]))
    return {"target_files": [f"{folder}/*.yaml"],
            "global": {"interval": "2s", "timeout": f"{TIMEOUT}s", "confirm": {"failures": 2, "retry_interval": "200ms"},
                       "target_files_refresh_interval": "1s"},
            "modules": modules, "targets": targets}


def good(page):
    """All but one are up, and were when they were looked at last."""
    success = page.by_target("probe_success")
    return all(value == (name != "bad") for name, value in success.items())


def start(part, name, network, peers, prefix=()):
    folder = part.folder / name
    exporter = Exporter(folder, config(peers), prefix=[*prefix, *network.prefix],
                        args=[f"--state.file={folder}/state", "--state.interval=1"])
    try:
        exporter.start()
        peers.late()
        exporter.until("all is well before", lambda page: len(page.by_target("probe_up")) == ALL and good(page))
    except Exception:
        exporter.kill()
        raise
    return exporter


def judge(part, what, peers, before, page):
    late = peers.late()
    outages = {name: count for name, count in page.by_target("probe_outages_total").items()
               if count > before.by_target("probe_outages_total")[name]}
    part.check_of_peers(f"{what}: no false verdict", not outages, outages or "", late, TIMEOUT)
    reasons = {}
    for labels, value in page.samples("probe_failures_total"):
        if labels["target"] != "bad":
            value -= before.value("probe_failures_total", target=labels["target"], reason=labels["reason"]) or 0
            reasons[labels["reason"]] = reasons.get(labels["reason"], 0) + value
    wrong = {(labels["target"], labels["reason"]) for labels, value in page.samples("probe_failures_total")
             if labels["target"] != "bad" and labels["reason"] not in OURS
             and value > (before.value("probe_failures_total", target=labels["target"], reason=labels["reason"]) or 0)}
    part.check_of_peers(f"{what}: failed runs say that it is the exporter", not wrong,
                        sorted(wrong) or {reason: int(number) for reason, number in reasons.items() if number}, late, TIMEOUT)
    start_of = "probe_outage_start_timestamp_seconds"
    part.check(f"{what}: the outage keeps its start", page.value(start_of, target="bad") == before.value(start_of, target="bad"))
    gone = set(before.by_target("probe_up")) - set(page.by_target("probe_up"))
    part.check(f"{what}: no target vanished", not gone, sorted(gone) or "")
    part.check(f"{what}: no panic", page.value(PANICS) == before.value(PANICS), page.value(PANICS))
    return reasons


def back(part, what, exporter, before):
    """The first page on which all is well again."""
    runs = exporter.page().sum("probe_runs_total", result="success")
    try:
        page = exporter.until("all is well again", lambda page: good(page) and page.sum("probe_runs_total", result="success") > runs + 60)
    except TooLate:
        bad = [name for name, value in exporter.page().by_target("probe_success").items() if not value and name != "bad"]
        part.check(f"{what}: all is well again", False, bad)
        return exporter.page()
    part.check(f"{what}: all is well again", True)
    written = exporter.page().value("uptime_exporter_state_file_last_write_timestamp_seconds")
    exporter.until("the state is written again", lambda page: page.value(
        "uptime_exporter_state_file_last_write_timestamp_seconds") > written)
    status, text = exporter.reload()
    part.check(f"{what}: it can be reloaded again", status == 200, text.strip())
    return page


def descriptors(part, network, peers, files):
    exporter = start(part, "descriptors", network, peers)
    try:
        soft, hard = resource.prlimit(exporter.pid, resource.RLIMIT_NOFILE)
        for what, limit in (("no descriptor left", 3), ("a few descriptors left", exporter.descriptors() + 2))[:part.pick(1, 2)]:
            before = exporter.page()
            resource.prlimit(exporter.pid, resource.RLIMIT_NOFILE, (limit, hard))
            # Files that are looked at now and then have changed, and cannot be read.
            for file in files:
                file.append(f"# {what}\n")
            exporter.signal(1)
            # How long it lasts; nothing is waited for.
            time.sleep(part.pick(8, 30))
            resource.prlimit(exporter.pid, resource.RLIMIT_NOFILE, (soft, hard))
            page = back(part, what, exporter, before)
            reasons = judge(part, what, peers, before, page)
            part.check(f"{what}: it was played", reasons.get("internal", 0) > 0 or limit > 3, f"{exporter.descriptors()} open afterwards")
    finally:
        exporter.kill()


def threads(part, network, peers, _files):
    with Group("pids", "threads") as group:
        exporter = start(part, "threads", network, peers, prefix=group.prefix)
        try:
            before = exporter.page()
            group.write("pids.max", group.read("pids.current"))
            time.sleep(part.pick(4, 40))
            # Over, the threads that were idle have ended too.
            group.write("pids.max", exporter.status("Threads"))
            exporter.signal(1)
            time.sleep(part.pick(3, 20))
            during = exporter.page()
            judge(part, "no thread left", peers, before, during)
            part.check("no thread left: pages are served", during.sum("probe_runs_total") > before.sum("probe_runs_total"))
            group.write("pids.max", "max")
            back(part, "no thread left", exporter, before)
        finally:
            exporter.kill()


def memory(part, network, peers, _files):
    with Group("memory", "memory") as group:
        exporter = start(part, "memory", network, peers, prefix=group.prefix)
        try:
            limit, usage = (("memory.limit_in_bytes", "memory.usage_in_bytes") if group.version == 1
                            else ("memory.max", "memory.current"))
            before = exporter.page()
            group.write(limit, int(group.read(usage)) + (2 << 20))
            runs = before.sum("probe_runs_total")
            page = exporter.until("runs go on", lambda page: page.sum("probe_runs_total") > runs + 150)
            judge(part, "2 MiB left", peers, before, page)
            outgrow(part, exporter, peers, "2 MiB left", lambda: group.write(limit, -1 if group.version == 1 else "max"), before)
        finally:
            exporter.kill()


def address_space(part, network, peers, _files):
    exporter = start(part, "address", network, peers)
    try:
        before = exporter.page()
        unlimited = resource.prlimit(exporter.pid, resource.RLIMIT_AS)
        resource.prlimit(exporter.pid, resource.RLIMIT_AS, (exporter.status("VmSize") << 10, unlimited[1]))
        outgrow(part, exporter, peers, "no address space left", lambda: None, before)
    finally:
        exporter.kill()


def outgrow(part, exporter, peers, what, mend, before):
    """A config that does not fit. Whoever ends for want of memory is started again, as a supervisor does, and forgets nothing."""
    exporter.write_config(config(peers, more=40_000))
    exporter.signal(1)
    try:
        code = until(part.pick(30, 60), "it ends", exporter.process.poll)
        part.figure(f"{what}, and a config of 40,000 targets", f"ends with {code}")
    except TooLate:
        part.figure(f"{what}, and a config of 40,000 targets", "goes on")
    exporter.kill()
    mend()
    exporter.write_config(config(peers))
    exporter.start()
    page = exporter.until("all is well again", lambda page: good(page) and len(page.by_target("probe_up")) == ALL)
    start_of = "probe_outage_start_timestamp_seconds"
    part.check(f"{what}: started again, it knows the outage", page.value(start_of, target="bad") == before.value(start_of, target="bad"))
    outages = {name: count for name, count in page.by_target("probe_outages_total").items() if count and name != "bad"}
    part.check(f"{what}: started again, no false verdict", not outages, outages or "")
