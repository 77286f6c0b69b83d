import json
import os
import platform
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        query = parse_qs(urlsplit(self.path).query)
        name = query.get("name", ["world"])[0]
        self.answer({"message": f"Hello, {name}!", "python": platform.python_version()})

    do_HEAD = do_GET

    def do_POST(self):
        length = int(self.headers.get("content-length", 0))
        self.answer({"received": self.rfile.read(length).decode("utf-8", "replace")})

    def answer(self, value):
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class Server(ThreadingHTTPServer):
    # As many callers as `concurrency` lets in may connect at the same moment.
    request_queue_size = 100


Server(("0.0.0.0", int(os.environ.get("PORT", "8080"))), Handler).serve_forever()
