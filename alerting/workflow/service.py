"""A site that can be broken: in one region, everywhere, now and then, behind an expired certificate."""

import http.server
import pathlib
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
        # The same port at another address.
        self._servers.append(_serve(self, ("127.0.0.2", self._servers[0].server_address[1])))
        self.http, self.https, self.rack = (f"{scheme}://{server.server_address[0]}:{server.server_address[1]}"
                                            for scheme, server in zip(("http", "https", "http"), self._servers))

    def break_(self, service, regions):
        with self._lock:
            self._broken[service] = set(regions)

    def flap(self, service):
        """Every other request of a region fails."""
        with self._lock:
            self._flapping[service] = {}

    def expire(self):
        self.context.load_cert_chain(*self.pki.expired)

    def mend(self, *but):
        """Everything but these services."""
        with self._lock:
            self._broken = {service: regions for service, regions in self._broken.items() if service in but}
            self._flapping.clear()
        self.context.load_cert_chain(*self.pki.valid)

    def is_fine(self, service, region):
        with self._lock:
            if service in self._flapping:
                turns = self._flapping[service]
                turns[region] = not turns.get(region, False)
                return turns[region]
            return region not in self._broken.get(service, ())

    def close(self):
        for server in self._servers:
            server.shutdown()
            server.server_close()


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


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

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
