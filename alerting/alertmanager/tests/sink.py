"""Where a test lets Alertmanager deliver to: Slack's incoming webhook and a mail server, on the loopback."""

import collections
import email
import email.policy
import http.server
import json
import socketserver
import threading

# `to` is Slack's channel, or the address. `body` is what people read: Slack's text, or both parts of a mail.
Message = collections.namedtuple("Message", "to subject body raw")


class Sink:
    def __init__(self):
        self.messages = []
        self.problems = []
        self._lock = threading.Lock()
        self._slack = _serve(http.server.ThreadingHTTPServer, _Slack, self)
        self._mail = _serve(_Threading, _Mail, self)
        self.slack_url = f"http://127.0.0.1:{self._slack.server_address[1]}/slack"
        self.smtp_address = f"127.0.0.1:{self._mail.server_address[1]}"

    def close(self):
        for server in (self._slack, self._mail):
            server.shutdown()
            server.server_close()

    def take(self, message):
        with self._lock:
            self.messages.append(message)

    def of(self, to, word):
        """Messages to someone in which a word occurs."""
        with self._lock:
            return [m for m in self.messages if m.to == to and (word in m.subject or word in m.body)]

    def about(self, word):
        with self._lock:
            return [m for m in self.messages if word in m.subject or word in m.body]


class _Threading(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


def _serve(kind, handler, sink):
    server = kind(("127.0.0.1", 0), handler)
    server.sink = sink
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


class _Slack(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(b'{"ok": true}')
        try:
            payload = json.loads(raw)
            (attachment,) = payload["attachments"]
            for action in attachment.get("actions", []):
                if not action["url"].startswith("http"):
                    self.server.sink.problems.append(f"a button of Slack without a link: {action}")
            self.server.sink.take(Message(payload["channel"], attachment["title"], attachment["text"], payload))
        except (KeyError, ValueError) as error:
            self.server.sink.problems.append(f"Slack: {error!r} in {raw!r}")

    def log_message(self, *_):
        pass


class _Mail(socketserver.StreamRequestHandler):
    """As much of RFC 5321 as Alertmanager speaks."""

    def handle(self):
        self.say("220 sink")
        to = []
        while line := self.rfile.readline():
            verb = line.split(b":")[0].strip().upper()
            if verb.startswith((b"EHLO", b"HELO")):
                self.say("250 sink")
            elif verb == b"RCPT TO":
                to.append(line.split(b"<")[1].split(b">")[0].decode())
                self.say("250 ok")
            elif verb == b"DATA":
                self.say("354 go on")
                lines = []
                while (line := self.rfile.readline()) not in (b".\r\n", b""):
                    lines.append(line.removeprefix(b"."))
                self.take(to, b"".join(lines))
                to = []
                self.say("250 taken")
            elif verb == b"QUIT":
                self.say("221 bye")
                return
            else:
                self.say("250 ok")

    def say(self, line):
        self.wfile.write(line.encode() + b"\r\n")

    def take(self, to, raw):
        mail = email.message_from_bytes(raw, policy=email.policy.default)
        parts = {part.get_content_type(): part.get_content() for part in mail.walk() if not part.is_multipart()}
        if set(parts) != {"text/plain", "text/html"}:
            self.server.sink.problems.append(f"a mail of {sorted(parts)}, not of text and HTML")
        for address in to:
            self.server.sink.take(Message(address, mail["Subject"], parts.get("text/plain", ""), parts.get("text/html", "")))
