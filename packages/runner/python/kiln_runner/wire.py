"""HTTP/1.1 as the agent speaks it: one request after another on a connection that this side opened."""

import http
import json
import urllib.parse

# Above the router's own bound, so that it is the router who refuses.
MAX_HEAD = 64 * 1024
REASONS = {status.value: status.phrase for status in http.HTTPStatus}
CONNECTION = "x-kiln-connection"
HOP_BY_HOP = ("connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade")


class BrokenRequest(Exception):
    """What came is no request, or breaks off."""


class Head:
    """Of one request. Header names are in lower case; those with an underscore are left out, since CGI can't tell them from a dash."""

    __slots__ = ("method", "target", "path", "query", "headers", "first", "length", "chunked", "connection")

    def __init__(self, block):
        lines = block.decode("latin-1").split("\r\n")
        words = lines[0].split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            raise BrokenRequest("no request line: %r" % lines[0][:100])
        self.method, self.target = words[0], words[1]
        self.path, _, self.query = self.target.partition("?")
        self.headers = []
        self.first = {}
        # By which the agent knows this connection; it says so with the first request, and nobody else's code sees it.
        self.connection = None
        for line in lines[1:]:
            name, colon, value = line.partition(":")
            if not colon:
                raise BrokenRequest("no header: %r" % line[:100])
            if "_" in name:
                continue
            name, value = name.lower(), value.strip(" \t")
            if name == CONNECTION:
                self.connection = value
                continue
            self.headers.append((name, value))
            self.first.setdefault(name, value)
        self.chunked = self.first.get("transfer-encoding", "").lower() == "chunked"
        self.length = None if self.chunked else int(self.first.get("content-length") or 0)

    @property
    def prefix(self):
        """What the router took off the path: where the application is mounted, as its callers see it."""
        return self.first.get("x-forwarded-prefix", "")

    @property
    def client(self):
        """The caller's address, which the router vouches for."""
        return self.first.get("x-forwarded-for", "").split(",")[0].strip()

    @property
    def scheme(self):
        return "https" if self.first.get("x-forwarded-proto") == "https" else "http"

    @property
    def server(self):
        """Host and port that the caller named."""
        parts = urllib.parse.urlsplit("//" + self.first.get("host", "localhost"))
        try:
            port = parts.port
        except ValueError:
            port = None
        return parts.hostname or "localhost", port or (443 if self.scheme == "https" else 80)

    @property
    def request_id(self):
        return self.first.get("x-request-id")


def has_body(method, status):
    return method != "HEAD" and status >= 200 and status not in (204, 304)


class Framing:
    """How an answer's body is sent: as long as its headers say, else in chunks."""

    def __init__(self, method, status, headers, known_length=None):
        self.empty = not has_body(method, status)
        declared = next((value for name, value in headers if name.lower() == "content-length"), None)
        self.left = int(declared) if declared is not None else known_length
        self.extra = []
        if declared is None and status >= 200 and status not in (204, 304):
            if known_length is not None:
                self.extra.append(("content-length", str(known_length)))
            elif not self.empty:
                self.extra.append(("transfer-encoding", "chunked"))
        self.chunked = self.left is None

    def frame(self, data):
        """@raises ValueError where the body is longer than its headers say: the rest would pass for the next answer."""
        if self.empty or not data:
            return b""
        if self.chunked:
            return b"%x\r\n%s\r\n" % (len(data), data)
        if len(data) > self.left:
            raise ValueError("the body is longer than its content-length")
        self.left -= len(data)
        return data

    def end(self):
        if self.empty or not self.chunked:
            return b""
        return b"0\r\n\r\n"

    @property
    def complete(self):
        return self.empty or self.chunked or self.left == 0


def head_bytes(status, reason, headers, framing):
    """@raises ValueError for a header that would end where the function did not mean it to."""
    lines = ["HTTP/1.1 %d %s" % (status, reason or REASONS.get(status, ""))]
    for name, value in [header for header in headers if not is_ours(header[0])] + framing.extra:
        if "\r" in value or "\n" in value or "\0" in value or not name or any(c in name for c in "\r\n\0: "):
            raise ValueError("not a header: %r: %r" % (name, value))
        lines.append("%s: %s" % (name, value))
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def is_ours(name):
    """Of the connection, or of Kiln: not the application's to say."""
    lower = name.lower()
    return lower in HOP_BY_HOP or lower.startswith("x-kiln-")


def problem(status, code, title, detail, request):
    """An answer of Kiln's own."""
    body = {"type": "urn:kiln:error:" + code, "title": title, "status": status, "code": code, "detail": detail, "requestId": request or ""}
    data = json.dumps(body).encode()
    head = "HTTP/1.1 %d %s\r\ncontent-type: application/problem+json\r\ncontent-length: %d\r\nx-kiln-error: %s\r\n\r\n"
    return (head % (status, REASONS[status], len(data), code)).encode("latin-1") + data


def function_error(request):
    return problem(500, "function_error", "The function threw", "the handler threw; its stack is in the log", request)
