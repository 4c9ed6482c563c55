"""One story through the whole chain, and what must be heard of it: the right messages, each once."""

import concurrent.futures
import re
import sys
import time

import live
from chain import DOORS, FAR, ISLES, NAMED, RACK, REGIONS, SERVICES, get, wait_for
from service import NameServer

ONCALL, MAIL, CHANNEL, CUSTOMERS = "#oncall", "oncall@example.com", "#alerts", "status-updates@example.com"
WATCHERS = "#monitoring", "monitoring@example.com"


class Story:
    def __init__(self, chain):
        self.chain = chain
        self.began = time.time()
        # Everything that may be heard: to whom, and a word of the subject, in order.
        self.expected = []

    def heard(self, to, service, word):
        """The next message to someone about a service or a cause; exactly one more than before, with this word in its subject."""
        name = SERVICES.get(service, service) if to == CUSTOMERS else service
        before = sum(1 for who, what, _ in self.expected if (who, what) == (to, name))

        def about():
            return [m for m in list(self.chain.sink.messages) if m.to == to and name in m.subject]

        wait_for(f"a message to {to} about {service}: {word}", lambda: len(about()) > before)
        message = about()[before]
        assert word in message.subject, f"to {to}: {message.subject!r}, not {word!r}"
        self.expected.append((to, name, word))
        print(f"    {to}: {message.subject}", flush=True)
        return message

    def nothing_else(self):
        """Every message was one that was expected. A later message has gone all ways before this is said."""
        live.Chain(self.chain.alertmanager, self.chain.sink).settle()
        heard = [(m.to, m.subject) for m in self.chain.sink.messages if "tide-" not in f"{m.subject}{m.body}".lower()]
        left = list(heard)
        for to, name, word in self.expected:
            left.remove(next((who, subject) for who, subject in left if who == to and name in subject and word in subject))
        assert not left, f"messages that nobody should have had: {left}"
        assert not self.chain.sink.problems, self.chain.sink.problems
        return len(heard)


def says(message, *words):
    for word in words:
        assert word in message.body, f"{word!r} is missing in the message to {message.to}, {message.subject!r}:\n{message.body}"


class Clock:
    """When it was broken, told, mended and told again. The outage began between the first two and ended between the others,
    however slow the machine is."""

    def __init__(self):
        self.times = [time.monotonic()]

    def tick(self):
        self.times.append(time.monotonic())

    def bounds(self):
        broken, told, mended, over = self.times
        return mended - told, over - broken


def check_duration(text, clock):
    """`... after 1 minute 3 seconds` is how long it was broken."""
    found = re.search(r"(?:after|How long:) ((?:\d+ (?:days?|hours?|minutes?|seconds?)[ ,]*)+)", text)
    assert found, f"no duration in {text!r}"
    units = {"day": 86400, "hour": 3600, "minute": 60, "second": 1}
    told = sum(int(count) * units[unit] for count, unit in re.findall(r"(\d+) (day|hour|minute|second)", found[1]))
    least, most = clock.bounds()
    # What is told are whole seconds.
    assert least - 1 <= told <= most + 1, f"it was broken for {least:.1f} to {most:.1f} s, but it is said: {found[0]!r}"
    print(f"    broken for {least:.1f} to {most:.1f} s; told: {found[1].strip()}", flush=True)


def in_one_region(story):
    chain = story.chain
    clock = Clock()
    chain.site.break_("shop", ["eu"])
    page = story.heard(ONCALL, "shop", "shop is down: http_status (single-region)")
    clock.tick()
    story.heard(MAIL, "shop", "[CRITICAL] shop is down: http_status (single-region)")
    says(page, "eu")
    # It goes another way than the mail and may come later.
    (hook,) = wait_for("the webhook is told", lambda: chain.webhook.about("oncall", "target", "shop"))
    notes = hook["alerts"][0]["annotations"]
    assert (notes["scope"], notes["reason"], notes["regions"]) == ("single-region", "http_status", "eu"), notes
    # The link leads to the evidence at the vantage that saw it.
    evidence = get(notes["evidence"])
    assert notes["evidence"].startswith(chain.exporters["eu"][0]) and evidence, notes["evidence"]
    assert "503" in evidence and "the database does not answer" in evidence, evidence
    assert get(notes["runbook_url"]), notes["runbook_url"]
    told = story.heard(CUSTOMERS, "shop", "The shop is not available in Europe")
    clock.tick()
    chain.site.mend("shop")
    end = story.heard(ONCALL, "shop", "shop is up again after")
    clock.tick()
    check_duration(end.subject, clock)
    story.heard(MAIL, "shop", "[RESOLVED] shop is up again after")
    told = story.heard(CUSTOMERS, "shop", "The shop is working again")
    check_duration(told.body, clock)
    hooks = wait_for("the webhook is told of the end", lambda: len(found := chain.webhook.about("oncall", "target", "shop")) > 1 and found)
    assert [body["status"] for body in hooks] == ["firing", "resolved"]


def incident_of(chain, service):
    """The latest incident of a service on the status site that has the operator's words, or None."""
    return next((known for known in chain.status()["incidents"] if service in known["services"] and known["cause"]), None)


def everywhere(story):
    chain = story.chain
    clock = Clock()
    chain.site.break_("search", REGIONS)
    page = story.heard(ONCALL, "search", "search is down: http_status (global)")
    clock.tick()
    says(page, "ap", "eu", "us")
    story.heard(MAIL, "search", "[CRITICAL] search is down: http_status (global)")
    # Who is on call writes what customers may know, before they are told.
    chain.announce([{"targets": ["search"], "cause": "A disk of our database is full.", "action": "We are adding another one.",
                     "next_update": "2100-01-01T12:00:00Z"}])
    told = story.heard(CUSTOMERS, "search", "Search is not available")
    says(told, "A disk of our database is full.", "We are adding another one.", "2100-01-01 12:00 UTC")
    for secret in ("127.0.0.1", "http_status", "503"):
        assert secret not in told.body, f"customers read {secret}:\n{told.body}"
    incident = wait_for("the status site tells it", lambda: incident_of(chain, "Search"))
    assert (incident["end"], incident["cause"]) == (None, "A disk of our database is full."), incident
    page = chain.status_page()
    for words in ("A disk of our database is full.", "We are adding another one."):
        assert words in page, f"{words!r} is not on the status site"
    clock.tick()
    chain.site.mend("search")
    end = story.heard(ONCALL, "search", "search is up again after")
    clock.tick()
    check_duration(end.subject, clock)
    story.heard(MAIL, "search", "[RESOLVED] search is up again after")
    told = story.heard(CUSTOMERS, "search", "Search is working again")
    check_duration(told.body, clock)
    chain.announce([])
    incident = wait_for("the status site tells the end", lambda: (known := incident_of(chain, "Search")) and known["end"] and known)
    assert incident["cause"] == "A disk of our database is full.", incident
    for secret in ("127.0.0.1", "http_status", "503"):
        assert secret not in chain.status_page(), f"customers read {secret} on the status site"


def now_and_then(story):
    """Never down for a verdict: each failing run is followed by a good one."""
    chain = story.chain
    chain.site.flap("sign-in")
    page = story.heard(CHANNEL, "sign-in", "sign-in fails now and then: http_status")
    says(page, "it comes and goes")
    assert all(value == 1 for _, value in chain.ask('min_over_time(probe_up{target="sign-in"}[10m])')), "it went down"
    chain.site.mend("sign-in")


def expired_certificate(story):
    chain = story.chain
    clock = Clock()
    chain.site.expire()
    page = story.heard(ONCALL, "api", "api is down: tls_expired (global)")
    clock.tick()
    says(page, "certificate")
    story.heard(MAIL, "api", "[CRITICAL] api is down: tls_expired (global)")
    story.heard(CUSTOMERS, "api", "The API is not available")
    clock.tick()
    chain.site.renew()
    end = story.heard(ONCALL, "api", "api is up again after")
    clock.tick()
    check_duration(end.subject, clock)
    story.heard(MAIL, "api", "[RESOLVED] api is up again after")
    check_duration(story.heard(CUSTOMERS, "api", "The API is working again").body, clock)


def in_maintenance(story):
    chain = story.chain
    chain.maintain(True)
    wait_for("Prometheus knows of the maintenance", lambda: chain.ask('ALERTS{alertname="TargetInMaintenance", target="reports"}'))
    chain.site.break_("reports", REGIONS)
    down = wait_for("reports are down", lambda: chain.ask('ALERTS{alertname="TargetDown", target="reports", alertstate="firing"}'))
    labels = {name: value for name, value in down[0][0].items() if name not in ("__name__", "alertstate")}
    wait_for("Alertmanager holds it back", lambda: chain.alertmanager.suppressed({"labels": labels}))
    chain.site.mend("reports")
    wait_for("reports are up", lambda: not chain.ask('ALERTS{alertname="TargetDown", target="reports"}'))
    chain.maintain(False)
    wait_for("the maintenance is over", lambda: not chain.ask('ALERTS{alertname="TargetInMaintenance"}'))
    seconds = chain.ask('sum(probe_maintenance_seconds_total{target="reports"})')
    assert seconds[0][1] > 0, "the time in maintenance is in no counter"


def one_address(story):
    """Ten services behind one address fail, and one elsewhere that has nothing to do with it. One of the ten stays down."""
    chain = story.chain
    clock = Clock()
    for service in (*RACK, "blog"):
        chain.site.break_(service, REGIONS)
    page = story.heard(ONCALL, "127.0.0.2", "10 targets are down: they share the")
    clock.tick()
    says(page, "rack-1, rack-10, rack-2", "ap, eu, us", "http_status")
    story.heard(MAIL, "127.0.0.2", "[CRITICAL] 10 targets are down: they share the")
    told = story.heard(CUSTOMERS, "Several of our services", "having problems")
    says(told, "Service 1, Service 10, Service 2", "All customers.")
    for secret in ("127.0.0.", "http_status", "503", "rack"):
        assert secret not in told.body, f"customers read {secret}:\n{told.body}"
    story.heard(ONCALL, "blog", "blog is down: http_status (global)")
    story.heard(MAIL, "blog", "[CRITICAL] blog is down")
    story.heard(CUSTOMERS, "blog", "The blog is not available")
    clock.tick()
    chain.site.mend("blog", *(service for service in RACK if service != "rack-3"))
    for to, name in ((ONCALL, "blog"), (MAIL, "blog"), (CUSTOMERS, "blog")):
        story.heard(to, name, "again")
    end = story.heard(ONCALL, "127.0.0.2", "its targets are up again after")
    clock.tick()
    check_duration(end.subject, clock)
    story.heard(MAIL, "127.0.0.2", "[RESOLVED]")
    story.heard(CUSTOMERS, "Several of our services", "are working again")
    # What stays down has an alert of its own.
    story.heard(ONCALL, "rack-3", "rack-3 is down: http_status")
    story.heard(MAIL, "rack-3", "[CRITICAL] rack-3 is down")
    story.heard(CUSTOMERS, "rack-3", "Service 3 is not available")
    chain.site.mend("rack-3")
    for to in (ONCALL, MAIL, CUSTOMERS):
        story.heard(to, "rack-3", "again")


def behind_a_gateway(story):
    """A declared gateway and the five services behind it."""
    chain = story.chain
    for service in ("gateway", *DOORS):
        chain.site.break_(service, REGIONS)
    page = story.heard(ONCALL, "gateway", "gateway is down: http_status (global)")
    says(page, "Behind it are down: door-1, door-2, door-3, door-4, door-5.")
    story.heard(MAIL, "gateway", "[CRITICAL] gateway is down")
    told = story.heard(CUSTOMERS, "Several of our services", "having problems")
    says(told, "Door 1, Door 2, Door 3, Door 4, Door 5")
    assert "gateway" not in told.body.lower(), told.body
    chain.site.mend("gateway", *DOORS)
    for to in (ONCALL, MAIL):
        story.heard(to, "gateway", "gateway is up again")
    story.heard(CUSTOMERS, "Several of our services", "are working again")


def one_way(story):
    """The way of one region to three services is cut. The other regions reach them."""
    chain = story.chain
    clock = Clock()
    chain.site.way.cut()
    page = story.heard(ONCALL, "127.0.0.3", "3 targets are down: they share the")
    clock.tick()
    says(page, "isle-1, isle-2, isle-3", FAR, "connect_timeout", "single-region")
    (hook,) = wait_for("the webhook is told", lambda: chain.webhook.about("oncall", "value", "127.0.0.3"))
    notes = hook["alerts"][0]["annotations"]
    assert (notes["scope"], notes["regions"]) == ("single-region", FAR), notes
    story.heard(MAIL, "127.0.0.3", "[CRITICAL] 3 targets are down: they share the")
    told = story.heard(CUSTOMERS, "Several of our services", "having problems")
    says(told, "Isle 1, Isle 2, Isle 3", "Customers in Europe.")
    clock.tick()
    chain.site.way.open()
    end = story.heard(ONCALL, "127.0.0.3", "its targets are up again after")
    clock.tick()
    check_duration(end.subject, clock)
    story.heard(MAIL, "127.0.0.3", "[RESOLVED]")
    story.heard(CUSTOMERS, "Several of our services", "are working again")


def no_names(story):
    """The name servers of each region fail in a way of their own. That is told to whoever runs them, and no target is down."""
    chain = story.chain
    ways = zip(REGIONS, (NameServer.SERVFAIL, NameServer.SILENT, NameServer.REFUSED))
    for region, state in ways:
        chain.name_servers[region].state = state
    for region in REGIONS:
        for to in WATCHERS:
            page = story.heard(to, f"do not resolve in {region}", "Names do not resolve")
            says(page, chain.name_servers[region].address)
    named = "|".join(NAMED)
    assert len(chain.ask(f'probe_failure_info{{target=~"{named}", reason="resolver"}}')) == len(NAMED) * len(REGIONS)
    for server in chain.name_servers.values():
        server.state = server.FINE
    for region in REGIONS:
        for to in WATCHERS:
            story.heard(to, f"{region}: names", "names resolve again after")
    outages = chain.ask(f'probe_outages_total{{target=~"{named}"}} > 0') + chain.ask(f'min_over_time(probe_up{{target=~"{named}"}}[10m]) == 0')
    assert not outages, f"the name servers' trouble was laid to targets: {outages}"
    assert all(value > 0 for _, value in chain.ask(f'probe_unknown_seconds_total{{target=~"{named}"}}')), "its time is unknown"


# Side by side is what has nothing in common, and is not more than two outages at a time: three may have a cause that they share.
CHAPTERS = (
    (in_one_region, expired_certificate, in_maintenance, no_names),
    (everywhere, now_and_then),
    (one_address,),
    (behind_a_gateway,),
    (one_way,),
)


def play(chain):
    print("a minute of quiet, by which failing now and then is judged", flush=True)
    # Each of them was there a minute ago. How many evaluations there were since depends on how busy the machine is.
    targets = len(SERVICES) * len(REGIONS)
    wait_for("a minute of history", lambda: len(chain.ask("target_vantage:probe_up:vote offset 1m")) == targets)
    story = Story(chain)
    try:
        with concurrent.futures.ThreadPoolExecutor() as pool:
            for chapters in CHAPTERS:
                began = time.monotonic()
                print(f"{', '.join(chapter.__name__.replace('_', ' ') for chapter in chapters)}:", flush=True)
                for played in [pool.submit(chapter, story) for chapter in chapters]:
                    played.result()
                print(f"    ({time.monotonic() - began:.0f} s)", flush=True)
        print("the end of now and then:", flush=True)
        story.heard(CHANNEL, "sign-in", "sign-in")
        count = story.nothing_else()
        report = chain.report(story.began)
        for service in ("search", "api"):
            assert service in report, report
    except (AssertionError, OSError, KeyError, ValueError):
        print("heard so far:", *((m.to, m.subject) for m in chain.sink.messages), *chain.logs(), sep="\n  ", file=sys.stderr)
        raise
    print(f"{count} messages, each of them once and as it should be\n\n{report}")
