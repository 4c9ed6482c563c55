"""Servers to be probed, in a process of their own, of which each can be switched off and on by name.

    with Peers(folder) as peers: peers.url("/switch/shop"); peers.switch("shop", False)

HTTP answers /switch/NAME by 200 or, switched off, by 503; /status/404 by that; /hang never. TCP greets as a mail server does,
DNS has an address for every name, WebSocket and gRPC answer that all is well.
"""

import asyncio
import base64
import hashlib
import json
import os
import pathlib
import ssl
import struct
import subprocess
import sys

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SERVING = b"\x00\x00\x00\x00\x02\x08\x01"


class Peers:
    """The handle of the process."""

    def __init__(self, folder, host="127.0.0.1", prefix=(), dns=None):
        """`dns`: address and port of one more name server."""
        self.folder, self.host = pathlib.Path(folder), host
        self.folder.mkdir(parents=True, exist_ok=True)
        self.pem = certificate(self.folder)
        command = [*prefix, sys.executable, __file__, host, str(self.folder), *(map(str, dns or ()))]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.ports = json.loads(self.process.stdout.readline())
        preferred(self.process.pid)

    def url(self, path, scheme="http"):
        return f"{scheme}://{self.address(scheme)}{path}"

    def address(self, kind):
        return f"{self.host}:{self.ports[kind]}"

    @property
    def unix(self):
        return str(self.folder / "peer.sock")

    def switch(self, name, on):
        """Returns when it is done."""
        print(json.dumps({"name": name, "on": on}), file=self.process.stdin, flush=True)
        self.process.stdout.readline()

    def switch_all(self, on):
        """Every switch, and every new connection to the other services."""
        self.switch("*", on)

    def late(self):
        """How late the peers were at most since this was asked last, in seconds. Where that is much, the machine is too busy to
        blame anybody for an answer that does not come."""
        print(json.dumps({"late": True}), file=self.process.stdin, flush=True)
        return float(self.process.stdout.readline())

    def close(self):
        self.process.kill()
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def certificate(folder):
    """Signed by itself; the file has certificate and key."""
    pem = folder / "peer.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "4000",
                    "-subj", "/CN=peer.test", "-addext", "subjectAltName=DNS:peer.test,DNS:*.test,IP:127.0.0.1,IP:10.9.0.2",
                    "-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")], check=True, capture_output=True)
    pem.write_text((folder / "key.pem").read_text() + (folder / "cert.pem").read_text())
    return folder / "cert.pem"


def preferred(process):
    """What stands for the world is not what is to be slow on a busy machine."""
    try:
        os.setpriority(os.PRIO_PROCESS, process, -5)
    except PermissionError:
        pass


class Switches:
    def __init__(self):
        self._off = set()

    def set(self, name, on):
        if name == "*" and on:
            self._off.clear()
        elif on:
            self._off.discard(name)
        else:
            self._off.add(name)

    def is_on(self, name):
        return name not in self._off and "*" not in self._off


class Services:
    def __init__(self, switches):
        self.switches = switches

    async def http(self, reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        path = head.split(b" ", 2)[1].decode()
        _, _, rest = path.partition("://")
        kind, _, name = (rest.partition("/")[2] if rest else path[1:]).partition("/")
        status = 200
        if kind == "hang":
            await asyncio.sleep(3600)
        elif kind == "status":
            status = int(name)
        elif kind == "switch" and not self.switches.is_on(name):
            status = 503
        body = b"ok\n" if status == 200 else b"not ok\n"
        writer.write(b"HTTP/1.1 %d x\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b"
                     % (status, len(body), body))
        await writer.drain()

    async def tcp(self, reader, writer):
        if not self.switches.is_on("tcp"):
            return
        writer.write(b"220 peer.test ESMTP\r\n")
        await writer.drain()
        await reader.read(100)

    async def silent(self, reader, _writer):
        await reader.read()

    async def websocket(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        key = next(line.split(":", 1)[1].strip() for line in head.splitlines() if line.lower().startswith("sec-websocket-key:"))
        accept = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()
        writer.write(f"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n".encode())
        await writer.drain()
        if await reader.read(1000):
            writer.write(b"\x88\x02\x03\xe8")
            await writer.drain()

    async def grpc(self, reader, writer):
        await reader.readexactly(len(PREFACE))
        writer.write(frame(4, 0, 0))
        while True:
            header = await reader.readexactly(9)
            length, kind, flags = int.from_bytes(header[:3], "big"), header[3], header[4]
            stream = int.from_bytes(header[5:], "big")
            await reader.readexactly(length)
            if kind == 4 and not flags & 1:
                writer.write(frame(4, 1, 0))
            elif kind == 6 and not flags & 1:
                writer.write(frame(6, 1, 0, bytes(8)))
            elif kind in (0, 1) and flags & 1:
                head = b"\x88" + b"\x0f\x10" + text(b"application/grpc")
                trailers = b"\x00" + text(b"grpc-status") + text(b"0")
                writer.write(frame(1, 4, stream, head) + frame(0, 0, stream, SERVING) + frame(1, 5, stream, trailers))
            await writer.drain()

    def served(self, service):
        async def serve(reader, writer):
            try:
                await service(reader, writer)
            except (OSError, EOFError, asyncio.LimitOverrunError, StopIteration, IndexError):
                pass
            finally:
                writer.close()
        return serve


def frame(kind, flags, stream, payload=b""):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def text(value):
    return bytes([len(value)]) + value


class Dns(asyncio.DatagramProtocol):
    """An address for every name, but for those that the hosts file alone has."""

    def __init__(self, host, switches):
        self._host, self._switches = host, switches

    def connection_made(self, transport):
        self._transport = transport

    def datagram_received(self, query, sender):
        if self._switches.is_on("dns"):
            rcode = 3 if query[12:18] == b"\x05hosts" else 0
            self._transport.sendto(answer(query, self._host, rcode=rcode), sender)


def question(query):
    """Its end, and the type."""
    at = 12
    while query[at]:
        at += query[at] + 1
    return at + 5, struct.unpack_from("!H", query, at + 1)[0]


def answer(query, host, *, rcode=0, identity=None, flags=0x8180):
    """NOERROR with the address for A, nothing for other types; or an error."""
    end, kind = question(query)
    has = rcode == 0 and kind == 1
    identity = query[:2] if identity is None else identity
    head = identity + struct.pack("!HHHHH", flags | rcode, 1, int(has), 0, 0)
    address = bytes(int(part) for part in host.split("."))
    record = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 60, 4) + address
    return head + query[12:end] + (record if has else b"")


class Lateness:
    most = 0.0

    async def watch(self):
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + 0.05
            await asyncio.sleep(0.05)
            self.most = max(self.most, loop.time() - due)

    def take(self):
        most, self.most = self.most, 0.0
        return most


async def serve(host, folder, dns):
    switches = Switches()
    services = Services(switches)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    context.set_alpn_protocols(["http/1.1"])
    kinds = {"http": (services.http, None), "https": (services.http, context), "tcp": (services.tcp, None),
             "silent": (services.silent, None), "ws": (services.websocket, None), "grpc": (services.grpc, None)}
    servers, ports = [], {}
    for kind, (service, tls) in kinds.items():
        server = await asyncio.start_server(services.served(service), host, 0, ssl=tls, backlog=2000)
        servers.append(server)
        ports[kind] = server.sockets[0].getsockname()[1]
    servers.append(await asyncio.start_unix_server(services.served(services.tcp), folder / "peer.sock", backlog=2000))
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: Dns(host, switches), (host, 0))
    ports["dns"] = transport.get_extra_info("sockname")[1]
    if dns:
        await loop.create_datagram_endpoint(lambda: Dns(host, switches), dns)
    print(json.dumps(ports), flush=True)
    lateness = Lateness()
    watching = asyncio.create_task(lateness.watch())
    commands = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    # The end of the campaign, however it came, is the end of this.
    while line := await commands.readline():
        command = json.loads(line)
        if "late" in command:
            print(lateness.take(), flush=True)
        else:
            switches.set(command["name"], command["on"])
            print("done", flush=True)
    watching.cancel()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], pathlib.Path(sys.argv[2]), (sys.argv[3], int(sys.argv[4])) if len(sys.argv) > 4 else None))
