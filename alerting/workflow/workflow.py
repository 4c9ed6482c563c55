"""The outage workflow, to look at or to check; see ./run."""

import pathlib
import signal
import sys
import tempfile
import threading
import time

from chain import DOORS, RACK, REGIONS, Chain
import story

HELP = """\
break REGION   the shop fails in one region (ap, eu, us)
break all      search fails everywhere
flap           sign-in fails now and then
rack           ten services behind one address fail
gateway        a gateway fails, and five services behind it
way            one region's way to three services is cut
names REGION   the name server of a region fails
expire         the certificate of the API expires
maintain       reports go into maintenance, and fail
notice TEXT    words for customers about search
fix            everything is mended
quit           ends it all (so does Ctrl-C)"""


def look(chain):
    """For a newcomer: everything runs, messages are printed as they arrive, commands break and mend."""
    print(f"\nPrometheus    {chain.prometheus}/alerts\nAlertmanager  {chain.alertmanager.url}")
    for region, (url, _) in chain.exporters.items():
        print(f"Exporter {region}   {url}/")
    print(f"Minutes are seconds here: one place is told after 20 s, several after 5 s, customers 20 s later.\n\n{HELP}\n", flush=True)
    threading.Thread(target=tell, args=(chain,), daemon=True).start()
    for line in sys.stdin:
        if not command(chain, line.split()):
            return
    # No terminal: it runs until it is stopped.
    threading.Event().wait()


def tell(chain):
    seen = 0
    while True:
        messages = list(chain.sink.messages)
        for message in messages[seen:]:
            print(f"\n{time.strftime('%H:%M:%S')} {shown(message)}", end="", flush=True)
        seen = len(messages)
        time.sleep(0.2)


def shown(message):
    return f"--- to {message.to}: {message.subject}\n{message.body.strip()}\n"


def command(chain, words):
    """False: enough."""
    match words:
        case ["break", "all"]:
            chain.site.break_("search", REGIONS)
        case ["break", region] if region in REGIONS:
            chain.site.break_("shop", [region])
        case ["flap"]:
            chain.site.flap("sign-in")
        case ["rack"]:
            for service in RACK:
                chain.site.break_(service, REGIONS)
        case ["gateway"]:
            for service in ("gateway", *DOORS):
                chain.site.break_(service, REGIONS)
        case ["way"]:
            chain.site.way.cut()
        case ["names", region] if region in REGIONS:
            chain.name_servers[region].state = chain.name_servers[region].SERVFAIL
        case ["expire"]:
            chain.site.expire()
        case ["maintain"]:
            chain.maintain(True)
            chain.site.break_("reports", REGIONS)
        case ["notice", *text]:
            chain.announce([{"targets": ["search"], "cause": " ".join(text)}])
        case ["fix"]:
            chain.site.mend_all()
            for server in chain.name_servers.values():
                server.state = server.FINE
            chain.announce([])
            chain.maintain(False)
        case ["quit" | "exit"]:
            return False
        case []:
            pass
        case _:
            print(HELP, flush=True)
    return True


def main():
    arguments = sys.argv[1:]
    match arguments:
        case [] | ["--check"]:
            messages = None
        case ["--check", path]:
            messages = pathlib.Path(path)
        case _:
            sys.exit("usage: alerting/workflow/run [--check [FILE FOR THE MESSAGES]]")
    # So that `finally` and `with` do their work.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix="workflow.") as folder:
        try:
            with Chain(pathlib.Path(folder)) as chain:
                if arguments:
                    story.play(chain)
                    if messages:
                        messages.write_text("\n".join(shown(message) for message in chain.sink.messages))
                else:
                    look(chain)
        except AssertionError as error:
            sys.exit(f"FAILED: {error}")
        except KeyboardInterrupt:
            print()


if __name__ == "__main__":
    main()
