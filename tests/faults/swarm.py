"""Many clients of one server, in a process of their own: those that connect and say nothing, that send a byte a second, that
take their answer a few bytes at a time. Who is dropped comes back. Prints a line of counts when its standard input ends.
"""

import asyncio
import collections
import json
import random
import resource
import socket
import sys

REQUEST = b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Slow: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n\r\n"
REFUSED = b"HTTP/1.1 503 "


class Swarm:
    def __init__(self, host, port):
        self._host, self._port = host, port
        self.counts = collections.Counter()

    async def client(self, kind, spread):
        # They do not all come in the same moment.
        await asyncio.sleep(random.uniform(0, spread))
        while True:
            try:
                reader, writer = await asyncio.open_connection(sock=await self._connected(), limit=1024)
            except OSError:
                self.counts["not connected"] += 1
                await asyncio.sleep(random.uniform(1, 5))
                continue
            self.counts[kind] += 1
            try:
                await getattr(self, kind)(reader, writer)
            except (OSError, EOFError):
                pass
            finally:
                writer.close()
            self.counts["dropped"] += 1
            await asyncio.sleep(random.uniform(5, 15) if kind == "idle" else 0.2)

    async def _connected(self):
        connection = socket.socket()
        connection.setblocking(False)
        # What is taken slowly is to wait at the server.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        try:
            await asyncio.get_running_loop().sock_connect(connection, (self._host, self._port))
        except BaseException:
            connection.close()
            raise
        return connection

    async def idle(self, reader, _writer):
        self._answered(await reader.read(100))

    async def slow_head(self, reader, writer):
        for byte in REQUEST:
            writer.write(bytes([byte]))
            await writer.drain()
            try:
                answer = await asyncio.wait_for(reader.read(100), 1)
            except TimeoutError:
                continue
            return self._answered(answer)

    async def slow_read(self, reader, writer):
        writer.write(REQUEST)
        await writer.drain()
        first = await reader.read(100)
        self._answered(first)
        while first and await reader.read(100):
            await asyncio.sleep(1)

    def _answered(self, answer):
        if answer.startswith(REFUSED):
            self.counts["refused by 503"] += 1
        elif answer.startswith(b"HTTP/1.1 "):
            self.counts["served"] += 1
        elif answer:
            self.counts["answered otherwise"] += 1


async def main(host, port, numbers):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    swarm = Swarm(host, port)
    clients = [asyncio.create_task(swarm.client(kind, 5)) for kind, number in numbers.items() for _ in range(number)]
    commands = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    await commands.read()
    print(json.dumps(swarm.counts), flush=True)
    for client in clients:
        client.cancel()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])))
