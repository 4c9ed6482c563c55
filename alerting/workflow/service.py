"""A site that can be broken: in one region, everywhere, now and then, behind an expired certificate, on the way to it, or by
the name servers."""

import http.server
import pathlib
import select
import socket
import socketserver
import ssl
import subprocess
import threading


class Site:
    """Each service is a path. Who asks says in the header X-Region where it is; so a service may fail for one region."""

    def __init__(self, folder):
        self._lock = threading.Lock()
        self._broken = {}
        self._flapping = {}
        self.pki = Pki(folder)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*self.pki.valid)
        self._servers = [_serve(self), _serve(self, context=self.context)]
        # The same port at other addresses.
        port = self._servers[0].server_address[1]
        self._servers += [_serve(self, (address, port)) for address in ("127.0.0.2", "127.0.0.3")]
        self.http, self.https, self.rack, self.isle = (
            f"{scheme}://{server.server_address[0]}:{server.server_address[1]}"
            for scheme, server in zip(("http", "https", "http", "http"), self._servers))
        self.way = Way(("127.0.0.3", 0), ("127.0.0.3", port))

    def break_(self, service, regions):
        with self._lock:
            self._broken[service] = set(regions)

    def flap(self, service):
        """Every other request of a region fails."""
        with self._lock:
            self._flapping[service] = {}

    def expire(self):
        self.context.load_cert_chain(*self.pki.expired)

    def renew(self):
        self.context.load_cert_chain(*self.pki.valid)

    def mend(self, *services):
        with self._lock:
            for service in services:
                self._broken.pop(service, None)
                self._flapping.pop(service, None)

    def mend_all(self):
        self.mend(*self._broken, *self._flapping)
        self.renew()
        self.way.open()

    def is_fine(self, service, region):
        with self._lock:
            if service in self._flapping:
                turns = self._flapping[service]
                turns[region] = not turns.get(region, False)
                return turns[region]
            return region not in self._broken.get(service, ())

    def close(self):
        self.way.close()
        for server in self._servers:
            server.shutdown()
            server.server_close()


class Way:
    """A way to a server that can be cut, as by a router that drops everything: connections to it are not answered."""

    def __init__(self, address, server):
        self._server = server
        self._listener = socket.create_server(address)
        self.address = "{}:{}".format(*self._listener.getsockname())
        self._open = threading.Event()
        self._ends = []
        self.open()
        threading.Thread(target=self._take, daemon=True).start()

    def open(self):
        self._listener.listen(WAITING)
        self._open.set()

    def cut(self):
        self._open.clear()
        # One connection may wait to be taken. While nobody takes it, the kernel drops what others send.
        self._listener.listen(0)
        for _ in range(3):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(self._listener.getsockname())
            self._ends.append(filler)

    def _take(self):
        while True:
            self._open.wait()
            # A cut is noticed soon, without a connection that has to come first.
            if not select.select([self._listener], [], [], 0.1)[0] or not self._open.is_set():
                continue
            try:
                taken, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._forward, args=(taken,), daemon=True).start()

    def _forward(self, taken):
        try:
            with taken, socket.create_connection(self._server, timeout=10) as onward:
                ends = {taken: onward, onward: taken}
                while ready := select.select([*ends], [], [], 10)[0]:
                    for end in ready:
                        piece = end.recv(65536)
                        if not piece:
                            return
                        ends[end].sendall(piece)
        except OSError:
            pass

    def close(self):
        for end in (self._listener, *self._ends):
            end.close()


class NameServer:
    """Every name is the address of the site, unless it fails: `servfail`, `refused`, or `silent`."""

    FINE, SERVFAIL, REFUSED, SILENT = "fine", "servfail", "refused", "silent"

    def __init__(self):
        self.state = self.FINE
        self._server = socketserver.ThreadingUDPServer(("127.0.0.1", 0), _Query)
        self._server.daemon_threads = True
        self._server.owner = self
        self.address = "{}:{}".format(*self._server.server_address)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def answer(self, query):
        """RFC 1035, section 4: the question again, and one A record if that was asked for."""
        if self.state == self.SILENT:
            return None
        end = 12
        while query[end]:
            end += 1 + query[end]
        question = query[12:end + 5]
        rcode = {self.FINE: 0, self.SERVFAIL: 2, self.REFUSED: 5}[self.state]
        is_a = rcode == 0 and question[-4:-2] == b"\0\1"
        record = b"\xc0\x0c\0\1\0\1" + (1).to_bytes(4, "big") + b"\0\4" + bytes([127, 0, 0, 1]) if is_a else b""
        counts = b"\0\1" + (b"\0\1" if is_a else b"\0\0") + b"\0\0\0\0"
        return query[:2] + bytes([0x81, 0x80 | rcode]) + counts + question + record

    def close(self):
        self._server.shutdown()
        self._server.server_close()


class _Query(socketserver.BaseRequestHandler):
    def handle(self):
        query, answers = self.request
        if answer := self.server.owner.answer(query):
            answers.sendto(answer, self.client_address)


class Pki:
    """A certificate authority of our own, a certificate of it that holds and one that has expired."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.ca = self.folder / "ca.pem"
        self._openssl("req", "-x509", *KEY, "-days", "30", "-subj", "/CN=Workflow CA", "-keyout", "ca.key", "-out", "ca.pem")
        (self.folder / "index.txt").write_text("")
        (self.folder / "serial").write_text("01\n")
        (self.folder / "ca.cnf").write_text(CA)
        self.valid = self._issue("valid", [])
        self.expired = self._issue("expired", ["-startdate", "20240101000000Z", "-enddate", "20250101000000Z"])

    def _issue(self, name, dates):
        self._openssl("req", "-new", *KEY, "-subj", "/CN=127.0.0.1", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        self._openssl("ca", "-batch", "-config", "ca.cnf", "-in", f"{name}.csr", "-out", f"{name}.pem", "-days", "20", "-notext", *dates)
        return self.folder / f"{name}.pem", self.folder / f"{name}.key"

    def _openssl(self, *arguments):
        done = subprocess.run(["openssl", *arguments], cwd=self.folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"openssl {' '.join(arguments)}: {done.stderr}")


KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")

CA = """\
[ca]
default_ca = this
[this]
new_certs_dir = .
database = index.txt
serial = serial
certificate = ca.pem
private_key = ca.key
default_md = sha256
policy = any
x509_extensions = server
unique_subject = no
[any]
commonName = supplied
[server]
subjectAltName = IP:127.0.0.1
"""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        service = self.path.strip("/")
        fine = self.server.site.is_fine(service, self.headers.get("X-Region", ""))
        body = b"fine\n" if fine else b"the database does not answer\n"
        self.send_response(200 if fine else 503)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


# Connections that wait to be taken. On a busy machine many come at once; what the kernel drops comes again a second later, which is
# too late for a run.
WAITING = 128


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = WAITING

    def handle_error(self, *_):
        """Clients that refuse the certificate, or are stopped."""


def _serve(site, address=("127.0.0.1", 0), context=None):
    server = _Server(address, _Handler)
    server.site = site
    if context:
        # The handshake belongs to the connection's thread, not to the one that accepts.
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
