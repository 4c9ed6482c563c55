#!/usr/bin/env python3
"""What a real Alertmanager sends for the shipped config: which notifications arrive, and that no others do.

The config is the shipped one but for times and addresses. Alerts are posted as Prometheus does. Waits are for something to
come true, with a limit; "nothing more came" is told by a later message of the same way having come.
"""

import datetime
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

import check_messages
import sink as sinks

HERE = pathlib.Path(__file__).resolve().parent
SHIPPED = HERE.parent / "alertmanager.yml"
EVIDENCE = "http://probe-eu-3.internal.example:9815"


def derive(work, sink, changes=()):
    """The shipped config with short times and addresses on the loopback; nothing else differs, but for `changes`: pairs of a
    pattern and what stands in its place."""
    (work / "slack_url").write_text(sink.slack_url)
    text = SHIPPED.read_text()
    for pattern, replacement in (
        (r"(?m)^( *)(group_wait|group_interval): \w+", r"\1\2: 1s"),
        (r"smtp_smarthost: \S+", f"smtp_smarthost: {sink.smtp_address}\n  smtp_require_tls: false\n  smtp_hello: localhost"),
        (r"slack_api_url_file: \S+", f"slack_api_url_file: {work / 'slack_url'}"),
        (r"(?m)^  - templates/\*\.tmpl", f"  - {HERE.parent}/templates/*.tmpl"),
        *changes,
    ):
        text, count = re.subn(pattern, replacement, text)
        assert count, f"nothing in {SHIPPED} looks like {pattern}"
    path = work / "alertmanager.yml"
    path.write_text(text)
    return path


def wait_for(what, condition, seconds=60):
    end = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(0.05)
    return value


def whole_lines(log):
    """Of a log that is being written: of the last line, half may be there."""
    text = log.read_text()
    return text[:text.rfind("\n") + 1]


class Alertmanager:
    def __init__(self, work, sink, changes=(), url="http://alertmanager.internal.example:9093"):
        binary = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
        self.log = work / "log"
        self.process = subprocess.Popen(
            [
                binary,
                f"--config.file={derive(work, sink, changes)}",
                f"--storage.path={work / 'data'}",
                "--web.listen-address=127.0.0.1:0",
                f"--web.external-url={url}",
                "--web.route-prefix=/",
                "--cluster.listen-address=",
            ],
            stdout=self.log.open("w"),
            stderr=subprocess.STDOUT,
        )
        self.url = f"http://127.0.0.1:{wait_for('Alertmanager listens', self._port)}"
        wait_for("Alertmanager is ready", self._ready)

    def _port(self):
        assert self.process.poll() is None, f"Alertmanager ended:\n{self.log.read_text()}"
        found = re.search(r"""Listening on.*address=\S*?:(\d+)|"address":"[^"]*:(\d+)""", whole_lines(self.log))
        return found and (found[1] or found[2])

    def _ready(self):
        try:
            return urllib.request.urlopen(f"{self.url}/-/ready", timeout=5).status == 200
        except OSError:
            return False

    def post(self, *alerts):
        body = json.dumps(alerts).encode()
        request = urllib.request.Request(f"{self.url}/api/v2/alerts", body, {"Content-Type": "application/json"})
        urllib.request.urlopen(request, timeout=60).read()

    def suppressed(self, alert):
        """Whether Alertmanager holds this alert back because of another one."""
        filters = [("filter", f'{name}="{value}"') for name, value in alert["labels"].items()]
        with urllib.request.urlopen(f"{self.url}/api/v2/alerts?{urllib.parse.urlencode(filters)}", timeout=60) as answer:
            found = [a for a in json.load(answer) if a["labels"] == alert["labels"]]
        return bool(found) and found[0]["status"]["state"] == "suppressed" and bool(found[0]["status"]["inhibitedBy"])

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


START = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0) - datetime.timedelta(hours=1)


def minutes(count):
    return START + datetime.timedelta(minutes=count)


def alert(name, starts=None, annotations=None, **labels):
    labels = {"alertname": name, **labels}
    labels.setdefault("severity", "none" if name == "TargetInMaintenance" else "critical")
    subject = labels.get("target") or labels.get("region") or labels.get("instance", "")
    notes = {"summary": f"{subject}: {name} it is", **(annotations or {})}
    return {
        "labels": labels,
        "annotations": {key: value for key, value in notes.items() if value},
        # Prometheus says when it fired. Alertmanager waits `group_wait` from then, so an old time would be sent at once.
        "startsAt": (starts or datetime.datetime.now(datetime.timezone.utc)).isoformat(),
        "generatorURL": "http://prometheus-7.internal.example:9090/graph",
    }


def down(target, name="TargetDown", starts=None, scope="global", reason="connect_refused", annotations=None, **labels):
    """As the rules make it: scope and reason are annotations, and the labels stay while it lasts."""
    return alert(
        name,
        starts,
        annotations={
            "summary": f"{target} is down: {reason}",
            "since": minutes(0).strftime("%Y-%m-%d %H:%M:%S UTC"),
            "scope": scope,
            "reason": reason,
            "regions": "eu-west, us-east",
            "evidence": f"{EVIDENCE}/targets/{target}",
            "runbook_url": f"{EVIDENCE}/runbooks/{reason}",
            "customer_name": f"Service {target.upper()}",
            **(annotations or {}),
        },
        target=target,
        **labels,
    )


def over(*alerts, at=None):
    """Resolved, as Prometheus says it: the same alert, with its end."""
    return [{**a, "endsAt": (at or datetime.datetime.now(datetime.timezone.utc)).isoformat()} for a in alerts]


class Chain:
    def __init__(self, alertmanager, sink):
        self.alertmanager, self.sink, self.tides = alertmanager, sink, 0
        self.post = alertmanager.post

    def expect(self, to, word, count=1):
        """Exactly so many messages to someone about something, now or soon."""
        wait_for(f"{count} to {to} about {word}", lambda: len(self.sink.of(to, word)) >= count)
        found = self.sink.of(to, word)
        assert len(found) == count, f"{len(found)} to {to} about {word}, not {count}: {[m.subject for m in found]}"
        return found[-1]

    def settle(self):
        """Until all that was to be sent for what was posted so far is sent: two later outages have been told, each after as
        long a wait, on every way there is."""
        for _ in range(2):
            self.tides += 1
            tide = f"tide-{self.tides}-end"
            public = down(tide, team="web", public="true")
            unowned = down(f"u{tide}", group=f"u{tide}")
            watcher = alert("ReloadFailed", region=f"w{tide}", severity="warning")
            mild = alert("TargetSlow", target=f"m{tide}", team="web", severity="warning")
            self.post(public, unowned, watcher, mild)
            self.expect("web-oncall@example.com", f"{tide} is down")
            self.expect("#web-oncall", f"{tide} is down")
            self.expect("status-updates@example.com", f"Service {tide.upper()}")
            self.expect("#oncall", f"u{tide}")
            self.expect("#monitoring", f"w{tide}")
            self.expect("#web", f"m{tide}")

    def nothing_about(self, *words):
        for word in words:
            assert not self.sink.about(word), f"{word}: {[(m.to, m.subject) for m in self.sink.about(word)]}"

    def held_back(self, *alerts):
        for held in alerts:
            wait_for(f"{held['labels']} is held back", lambda: self.alertmanager.suppressed(held))


def one_outage_is_one_notification(chain):
    first = down("alpha", starts=minutes(50), scope="single-region", team="web", public="true")
    chain.post(first)
    page = chain.expect("#web-oncall", "alpha")
    assert page.subject == "alpha is down: connect_refused (single-region)", page.subject
    assert page.raw["attachments"][0]["color"] == "danger", page.raw
    mail = chain.expect("web-oncall@example.com", "alpha")
    assert mail.subject == "[CRITICAL] alpha is down: connect_refused (single-region)", mail.subject
    assert f"{EVIDENCE}/targets/alpha" in mail.body and "alerted 50 minutes later" in mail.body, mail.body
    told = chain.expect("status-updates@example.com", "Service ALPHA")
    assert told.subject == "Service ALPHA is not available in one region", told.subject
    # Prometheus sends it again and again; the reason may change meanwhile. The same outage, nothing new to send.
    chain.post(first)
    chain.post(down("alpha", starts=minutes(50), scope="single-region", reason="http_status", team="web", public="true"))
    chain.settle()
    chain.expect("#web-oncall", "alpha")
    chain.expect("web-oncall@example.com", "alpha")
    chain.expect("status-updates@example.com", "Service ALPHA")

    # It reaches more regions: one more message, of the one outage.
    again = down("alpha", starts=minutes(50), team="web", public="true")
    wider = {"summary": "alpha is down in more than one region now"}
    spread = down("alpha", name="TargetDownSpread", starts=minutes(52), annotations=wider, team="web", public="true")
    chain.post(again, spread)
    chain.held_back(again)
    news = chain.expect("#web-oncall", "alpha", 2)
    assert news.subject == "alpha is down in more than one region now (global)", news.subject
    told = chain.expect("status-updates@example.com", "Service ALPHA", 2)
    assert told.subject == "Service ALPHA is not available", told.subject

    # And the end, with the length of the outage, not of the alert.
    chain.post(*over(again, spread, at=minutes(54) + datetime.timedelta(seconds=3)))
    end = chain.expect("#web-oncall", "alpha", 3)
    assert end.subject == "alpha is up again after 54 minutes 3 seconds", end.subject
    assert end.raw["attachments"][0]["color"] == "good", end.raw
    assert end.body.count("*Reason was:*") == 1, end.body
    mail = chain.expect("web-oncall@example.com", "alpha", 3)
    assert mail.subject == "[RESOLVED] alpha is up again after 54 minutes 3 seconds", mail.subject
    told = chain.expect("status-updates@example.com", "Service ALPHA", 3)
    assert told.subject == "Service ALPHA is working again" and "How long: 54 minutes 3 seconds" in told.body, told
    assert told.body.count("working again") == 1, told.body
    chain.settle()
    for to in ("#web-oncall", "web-oncall@example.com", "status-updates@example.com"):
        chain.expect(to, "alpha" if "status" not in to else "ALPHA", 3)


def many_targets_of_a_group_are_one_notification(chain):
    all_down = [down(f"bravo-{n:02}", group="bravo", public="true") for n in range(30)]
    chain.post(*all_down)
    page = chain.expect("#oncall", "bravo-")
    assert page.subject.startswith("30 targets are down: bravo-00, bravo-01"), page.subject
    assert "… and 25 more" in page.body, page.body
    told = chain.expect("status-updates@example.com", "BRAVO-")
    assert told.subject == "Several of our services are having problems", told.subject
    chain.post(*over(*all_down))
    page = chain.expect("#oncall", "bravo-", 2)
    assert page.subject.startswith("30 targets are up again: "), page.subject
    # Without a label `group`, an outage each.
    chain.post(down("charlie-1"), down("charlie-2"))
    chain.expect("#oncall", "charlie-1 is down")
    chain.expect("#oncall", "charlie-2 is down")
    chain.expect("#oncall", "charlie-", 2)


def wider_over_narrower_when_the_scope_is_a_label(chain):
    def scoped(target, scope):
        made = down(target, scope="")
        made["labels"]["scope"] = scope
        return made

    narrow, wide = scoped("delta", "single-region"), scoped("delta", "global")
    chain.post(narrow, wide)
    chain.held_back(narrow)
    page = chain.expect("#oncall", "delta")
    assert "(global)" in page.subject and "single-region" not in page.body, page
    narrow, middle = scoped("sierra", "single-region"), scoped("sierra", "multi-region")
    chain.post(narrow, middle)
    chain.held_back(narrow)
    assert "(multi-region)" in chain.expect("#oncall", "sierra").subject


def nothing_from_a_region_that_is_blind_or_cut_off(chain):
    for name, region in (("ProberBlind", "echo-1"), ("VantageCutOff", "echo-2")):
        us = alert(name, region=region, job="uptime", exporter=f"{region}:9815")
        from_there = [
            down(f"{region}-a", region=region, public="true", team="web"),
            alert("TargetSlow", target=f"{region}-b", region=region, severity="warning"),
            alert("CertificateExpired", target=f"{region}-c", region=region),
            alert("SomethingElse", region=region, service=f"{region}-d"),
        ]
        elsewhere = down(f"{region}-e", region="foxtrot")
        everywhere = down(f"{region}-f")
        chain.post(us, *from_there, elsewhere, everywhere)
        chain.held_back(*from_there)
        chain.expect("#monitoring", f"{region}: {name}")
        chain.expect("#oncall", f"{region}-e")
        chain.expect("#oncall", f"{region}-f")
    # Cut off and therefore blind: one message.
    cut = alert("VantageCutOff", region="golf", job="uptime", exporter="golf:9815", severity="warning")
    blind = alert("ProberBlind", region="golf", job="uptime", exporter="golf:9815")
    other = alert("ProberBlind", region="golf", job="uptime", exporter="golf-2:9815")
    chain.post(cut, blind, other)
    chain.held_back(blind)
    assert not chain.alertmanager.suppressed(other)
    chain.settle()
    chain.nothing_about(*(f"echo-{n}-{x}" for n in (1, 2) for x in "abcd"), *(f"ECHO-{n}-A" for n in (1, 2)))


def a_silent_exporter_is_told_once(chain):
    for extra, labels in (("with", {"region": "hotel"}), ("without", {})):
        silent = alert("ExporterNotReporting", job=f"uptime-{extra}", instance="hotel:9815", **labels)
        lost = alert("VantageLost", job=f"uptime-{extra}", region="hotel", severity="warning")
        skips = alert("ExporterNotProbing", job=f"uptime-{extra}", instance="hotel:9815", problem="skipping", severity="warning")
        chain.post(silent, lost, skips)
        chain.held_back(lost, skips)
    other = alert("VantageLost", job="uptime-with", region="india", severity="warning")
    chain.post(other)
    chain.expect("#monitoring", "india: VantageLost")


def down_says_it_all(chain):
    labels = {"target": "juliet", "team": "web"}
    follow = [
        alert("TargetSlow", severity="warning", **labels),
        alert("TargetIntermittent", severity="warning", scope="intermittent", **labels),
        alert("CertificateExpiring", severity="warning", **labels),
        alert("CertificateExpired", **labels),
        alert("ErrorBudgetBurn", window="1h/5m", **labels),
        alert("ErrorBudgetBurn", window="3d/6h", severity="warning", **labels),
    ]
    chain.post(down("juliet", team="web"), *follow)
    chain.held_back(*follow)
    chain.expect("#web-oncall", "juliet is down")
    chain.settle()
    chain.nothing_about(*(f"juliet: {a['labels']['alertname']} it is" for a in follow))
    # Of another target, they are told.
    chain.post(alert("TargetSlow", target="kilo", severity="warning"))
    chain.expect("#alerts", "kilo: TargetSlow")

    # What is slow goes on when the outage is over, and is told then.
    chain.post(*over(down("juliet", team="web")))
    chain.expect("#web-oncall", "juliet is up again")
    chain.expect("#web", "juliet: TargetSlow it is")

    both = [alert("CertificateExpired", target="lima"), alert("CertificateExpiring", target="lima", severity="warning")]
    chain.post(*both)
    chain.held_back(both[1])
    burn = [alert("ErrorBudgetBurn", target="mike", window="1h/5m"), alert("ErrorBudgetBurn", target="mike", window="3d/6h", severity="warning")]
    chain.post(*burn)
    chain.held_back(burn[1])
    some = [alert("TargetIntermittent", target="november", severity="warning"), alert("ErrorBudgetBurn", target="november", window="1h/5m")]
    chain.post(*some)
    chain.held_back(some[1])
    chain.expect("#oncall", "lima: CertificateExpired")
    chain.expect("#oncall", "mike: ErrorBudgetBurn")
    chain.expect("#alerts", "november: TargetIntermittent")


def one_cause_is_one_notification(chain):
    share = {"kind": "network", "value": "192.0.2.0/24"}
    words = {"summary": "3 targets are down: they share the network 192.0.2.0/24", "shared": "network 192.0.2.0/24", "targets": "t1, t2, t3"}
    cause = alert("SharedOutage", annotations=words, **share)
    public = alert("SharedOutagePublic", annotations={"customer_services": "Service TANGO, Service UNIFORM"}, public="true", **share)
    other = alert("SharedOutage", annotations={"summary": "3 targets are down: they share the host edge.example", "shared": "host edge.example"}, kind="host", value="edge.example")
    explained = alert("TargetExplained", target="tango", severity="none")
    follow = [
        alert("TargetSlow", target="tango", severity="warning"),
        alert("ErrorBudgetBurn", target="tango", window="1h/5m"),
        alert("CertificateExpired", target="tango"),
    ]
    chain.post(cause, public, other, explained, *follow)
    chain.held_back(*follow)
    page = chain.expect("#oncall", "192.0.2.0/24")
    assert page.subject == words["summary"] and "*Targets:* t1, t2, t3" in page.body, page
    chain.expect("#oncall", "edge.example")
    told = chain.expect("status-updates@example.com", "TANGO")
    assert told.subject == "Several of our services are having problems" and "Service UNIFORM" in told.body, told
    # A target that joins changes the words, not the alert.
    chain.post(alert("SharedOutage", annotations={**words, "targets": "t1, t2, t3, t4"}, **share))
    chain.settle()
    chain.expect("#oncall", "192.0.2.0/24")
    chain.expect("status-updates@example.com", "TANGO")
    chain.nothing_about(*(f"tango: {a['labels']['alertname']}" for a in follow), "tango: TargetExplained")
    chain.post(*over(cause, public))
    page = chain.expect("#oncall", "192.0.2.0/24", 2)
    assert page.subject.startswith("network 192.0.2.0/24: its targets are up again after "), page.subject
    told = chain.expect("status-updates@example.com", "TANGO", 2)
    assert told.subject == "Several of our services are working again", told.subject


def maintenance_is_quiet(chain):
    works = alert("TargetInMaintenance", target="oscar", public="true", team="web")
    broken = down("oscar", public="true", team="web")
    certificate = alert("CertificateExpiring", target="oscar", public="true", team="web", severity="warning")
    chain.post(works, broken, certificate)
    chain.held_back(broken, certificate)
    chain.settle()
    chain.nothing_about("oscar", "OSCAR")
    # The work is over and the target is not back: that is an outage, and told.
    chain.post(*over(works))
    chain.expect("#web-oncall", "oscar is down")
    chain.expect("status-updates@example.com", "Service OSCAR")


def customers_read_what_is_theirs(chain):
    notice = {"notice_cause": "A cable was cut.", "notice_action": "It is being mended.", "notice_next_update": "2030-01-01T12:30:00Z"}
    private = down("papa", team="web")
    public = down("quebec", team="web", public="true", annotations=notice)
    certificate = alert("CertificateExpired", annotations={"customer_name": "Service ROMEO"}, target="romeo", public="true", team="web")
    chain.post(private, public, certificate)
    chain.expect("#web-oncall", "papa is down")
    chain.expect("#web-oncall", "romeo")
    told = chain.expect("status-updates@example.com", "Service QUEBEC")
    for words in ("A cable was cut.", "It is being mended.", "2030-01-01 12:30 UTC"):
        assert words in told.body and words in told.raw, (words, told)
    chain.settle()
    for target in ("papa", "PAPA", "romeo", "ROMEO"):
        assert not chain.sink.of("status-updates@example.com", target), f"customers were told of {target}"
    # In all that was sent to customers by now.
    problems = []
    data = {
        "externalURL": "http://alertmanager.internal.example:9093",
        "alerts": [
            {**a, "labels": {k: v for k, v in a["labels"].items() if k not in ("severity", "public")}}
            for a in (private, public, down("alpha", reason="http_status"), down("oscar"))
        ],
    }
    sent = [m for m in chain.sink.messages if m.to == "status-updates@example.com"]
    for message in sent:
        check_messages.for_customers(message.subject, data, f"{message.subject}\n{message.body}", problems)
    assert not problems, problems
    assert len(sent) >= 8, len(sent)


def main():
    scenarios = [
        one_outage_is_one_notification,
        many_targets_of_a_group_are_one_notification,
        wider_over_narrower_when_the_scope_is_a_label,
        nothing_from_a_region_that_is_blind_or_cut_off,
        a_silent_exporter_is_told_once,
        down_says_it_all,
        one_cause_is_one_notification,
        maintenance_is_quiet,
        customers_read_what_is_theirs,
    ]
    with tempfile.TemporaryDirectory() as work:
        sink = sinks.Sink()
        alertmanager = Alertmanager(pathlib.Path(work), sink)
        chain = Chain(alertmanager, sink)
        try:
            for scenario in scenarios:
                scenario(chain)
                print(f"{scenario.__name__.replace('_', ' ')}: ok", flush=True)
            assert not sink.problems, sink.problems
        except (AssertionError, OSError) as error:
            log = alertmanager.log.read_text()
            print(*(line for line in log.splitlines() if "level=error" in line or "level=warn" in line), sep="\n", file=sys.stderr)
            sys.exit(f"FAILED: {scenario.__name__}: {error}")
        finally:
            alertmanager.stop()
            sink.close()
    print(f"{len(sink.messages)} messages")


if __name__ == "__main__":
    main()
