"""Two namespaces and what lies between them: packets are lost, late and out of order.

With the kernel's netem where it has that, else by a program of ours that takes packets from a TUN device in one namespace and
gives them to one in the other. Its dice are seeded.
"""

import ctypes
import fcntl
import heapq
import json
import os
import random
import selectors
import struct
import subprocess
import sys
import time

from peers import preferred
from places import Network
from play import Skipped, until

HERE, THERE = "10.9.0.1", "10.9.0.2"
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
CLONE_NEWNET = 0x40000000


class Wire:
    """`loss` and `reordered` are shares, `delay` and `jitter` seconds; each packet meets them, in either direction."""

    def __init__(self, seed):
        self._seed = seed
        self.here, self.there = Network(), Network()
        self._program = None
        try:
            self.kind = "netem" if has_netem() else "a program between two TUN devices"
            if self.kind == "netem":
                self._join()
            else:
                self._start()
        except Exception:
            self.close()
            raise

    def _join(self):
        self.here.run("ip", "link", "add", "wire", "type", "veth", "peer", "name", "wire", "netns", self.there.path)
        for network, address in ((self.here, HERE), (self.there, THERE)):
            network.run("ip", "address", "add", f"{address}/24", "dev", "wire")
            network.run("ip", "link", "set", "wire", "up")

    def _start(self):
        if not os.path.exists("/dev/net/tun"):
            raise Skipped("the kernel has neither netem nor TUN devices")
        self._program = subprocess.Popen([sys.executable, __file__, self.here.path, self.there.path, str(self._seed)],
                                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self._program.stdout.readline().strip() != "ready":
            raise Skipped("cannot make TUN devices")
        preferred(self._program.pid)
        for network, address, other in ((self.here, HERE, THERE), (self.there, THERE, HERE)):
            network.run("ip", "address", "add", address, "peer", other, "dev", "wire")
            network.run("ip", "link", "set", "wire", "up")

    def set(self, loss=0.0, delay=0.0, jitter=0.0, reordered=0.0):
        if self._program:
            print(json.dumps([loss, delay, jitter, reordered]), file=self._program.stdin, flush=True)
            return self._program.stdout.readline()
        for network in (self.here, self.there):
            options = ["loss", f"{100 * loss}%"]
            # netem sends a reordered packet at once, and all others late.
            if delay or reordered:
                options += ["delay", f"{1000 * max(delay, 0.01 if reordered else 0):.1f}ms", f"{1000 * jitter:.1f}ms"]
            if reordered:
                options += ["reorder", f"{100 * reordered}%"]
            network.run("tc", "qdisc", "replace", "dev", "wire", "root", "netem", "limit", "100000", *options)
        return None

    def close(self):
        if self._program:
            self._program.kill()
            self._program.wait()
        self.here.close()
        self.there.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def has_netem():
    with Network() as network:
        try:
            network.run("tc", "qdisc", "add", "dev", "lo", "root", "netem", "loss", "1%")
            return True
        except Skipped:
            return False


def tun(namespace):
    """A device in a namespace; this process stays in it."""
    with open(namespace, "rb") as file:
        if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH14x", b"wire", IFF_TUN | IFF_NO_PI))
    return device


def forward(here, there, seed):
    dice = random.Random(seed)
    ends = {tun(here): None, tun(there): None}
    first, second = ends
    ends = {first: second, second: first}
    print("ready", flush=True)
    selector = selectors.DefaultSelector()
    for device in ends:
        selector.register(device, selectors.EVENT_READ)
    selector.register(0, selectors.EVENT_READ)
    loss = delay = jitter = reordered = 0.0
    due, count = [], 0
    while True:
        wait = max(0.0, due[0][0] - time.monotonic()) if due else None
        for key, _ in selector.select(wait):
            if key.fd == 0:
                line = os.read(0, 4096)
                if not line:
                    return
                loss, delay, jitter, reordered = json.loads(line)
                print("set", flush=True)
                continue
            for _ in range(64):
                try:
                    packet = os.read(key.fd, 65536)
                except BlockingIOError:
                    break
                if dice.random() < loss:
                    continue
                after = delay + (dice.uniform(-jitter, jitter) if jitter else 0)
                # Those behind it come first.
                if reordered and dice.random() < reordered:
                    after += dice.uniform(0.005, 0.03)
                count += 1
                heapq.heappush(due, (time.monotonic() + max(after, 0), count, ends[key.fd], packet))
        now = time.monotonic()
        while due and due[0][0] <= now:
            _, _, device, packet = heapq.heappop(due)
            try:
                os.write(device, packet)
            except OSError:
                pass  # Its queue is full, or it is going: as on a wire.


if __name__ == "__main__":
    forward(sys.argv[1], sys.argv[2], sys.argv[3])
