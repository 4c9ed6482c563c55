"""Name servers that misbehave, each on a port of its own, in a thread of this process."""

import heapq
import selectors
import socket
import threading
import time

from peers import answer, question

# Seconds: before and after the run's time is over.
LATE = 1.5
TOO_LATE = 8

NXDOMAIN, SERVFAIL, REFUSED = 3, 2, 5
TRUNCATED = 0x8380


def another_id(query):
    return bytes([query[0] ^ 0xff, query[1]])


def another_name(query):
    """The same question of another name of the same length."""
    letter = query[13:14]
    return query[:13] + (b"x" if letter != b"x" else b"y") + query[14:]


# What a server sends for a query: pairs of seconds and bytes.
BEHAVIOURS = {
    "honest": lambda query: [(0, answer(query, "127.0.0.1"))],
    "silent": lambda query: [],
    "lies": lambda query: [(0, answer(query, "127.0.0.9"))],
    "nxdomain": lambda query: [(0, answer(query, "127.0.0.1", rcode=NXDOMAIN))],
    "servfail": lambda query: [(0, answer(query, "127.0.0.1", rcode=SERVFAIL))],
    "refused": lambda query: [(0, answer(query, "127.0.0.1", rcode=REFUSED))],
    "empty": lambda query: [(0, answer(query, "127.0.0.1")[:6] + bytes(6) + query[12:question(query)[0]])],
    "late": lambda query: [(LATE, answer(query, "127.0.0.1"))],
    "too late": lambda query: [(TOO_LATE, answer(query, "127.0.0.1"))],
    "another id": lambda query: [(0, answer(query, "127.0.0.9", identity=another_id(query)))],
    "another id, then honest": lambda query: [(0, answer(query, "127.0.0.9", identity=another_id(query))),
                                              (0.2, answer(query, "127.0.0.1"))],
    "another name": lambda query: [(0, answer(another_name(query), "127.0.0.9"))],
    "a query": lambda query: [(0, answer(query, "127.0.0.9", flags=0x0100))],
    "garbage": lambda query: [(0, query[:2] + b"\xff" * 30)],
    "noise, then honest": lambda query: [(0, b""), (0, b"\xff"), (0, b"\xff" * 500), (0.2, answer(query, "127.0.0.1"))],
    "truncated": lambda query: [(0, answer(query, "127.0.0.1", rcode=0, flags=TRUNCATED)[:question(query)[0]])],
}


class Names:
    def __init__(self):
        self._selector = selectors.DefaultSelector()
        self.addresses = {}
        self.behaviour = {name: behave for name, behave in BEHAVIOURS.items()}
        for name in [*BEHAVIOURS, "moody"]:
            server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            server.bind(("127.0.0.1", 0))
            self._selector.register(server, selectors.EVENT_READ, name)
            self.addresses[name] = "127.0.0.1:{}".format(server.getsockname()[1])
        # One whose behaviour changes.
        self.behaviour["moody"] = BEHAVIOURS["honest"]
        self._due = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        count = 0
        while not self._ended.is_set():
            wait = max(0, min(0.2, self._due[0][0] - time.monotonic())) if self._due else 0.2
            for key, _ in self._selector.select(wait):
                query, sender = key.fileobj.recvfrom(4096)
                for after, reply in self.behaviour[key.data](query):
                    count += 1
                    heapq.heappush(self._due, (time.monotonic() + after, count, key.fileobj, reply, sender))
            while self._due and self._due[0][0] <= time.monotonic():
                _, _, server, reply, sender = heapq.heappop(self._due)
                try:
                    server.sendto(reply, sender)
                except OSError:
                    pass  # Nobody waits for it any more.

    def close(self):
        self._ended.set()
        self._thread.join()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
