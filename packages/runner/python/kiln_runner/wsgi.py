"""WSGI applications (PEP 3333): Flask, Django and whatever else is called with `environ` and `start_response`."""

import sys
import urllib.parse

from . import log
from .wire import Framing, function_error, head_bytes


class WsgiApplication:
    def __init__(self, application, multithread):
        self._application = application
        self._multithread = multithread

    def answer(self, head, body, connection):
        response = Response(head, connection)
        result = None
        try:
            result = self._application(environ_of(head, body, self._multithread), response.start)
            response.send_all(result)
        except OSError as error:
            if response.connection_failed:
                raise
            return response.fail(error)
        except Exception as error:
            return response.fail(error)
        finally:
            if hasattr(result, "close"):
                result.close()
        return response.whole


class Response:
    """Sends the head with the first byte of the body, so that an error before it can still be answered."""

    def __init__(self, head, connection):
        self._head, self._connection = head, connection
        self._started = None
        self._framing = None
        self.connection_failed = False

    def start(self, status, headers, exc_info=None):
        if exc_info is not None:
            try:
                if self._framing is not None:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None
        elif self._started is not None:
            raise AssertionError("start_response was called twice")
        code, _, reason = status.partition(" ")
        self._started = (int(code), reason, list(headers))
        return self.write

    def send_all(self, result):
        # One piece of body says how long the whole is.
        single = len(result) == 1 if isinstance(result, (list, tuple)) else False
        for data in result:
            if data or single:
                self.write(data, len(data) if single else None)
        if self._framing is None:
            self._begin(0)
        self._send(self._framing.end())

    def write(self, data, known_length=None):
        begin = b"" if self._framing is not None else self._begin_bytes(known_length)
        self._send(begin + self._framing.frame(data))

    @property
    def whole(self):
        return self._framing is not None and self._framing.complete

    def fail(self, error):
        """An answer that has begun breaks off: a clean end would pass for a whole one."""
        log.exception()
        if self._framing is not None:
            return False
        self._send(function_error(self._head.request_id))
        return True

    def _begin(self, known_length):
        self._send(self._begin_bytes(known_length))

    def _begin_bytes(self, known_length):
        if self._started is None:
            raise AssertionError("the application gave a body before it called start_response")
        status, reason, headers = self._started
        framing = Framing(self._head.method, status, headers, known_length)
        data = head_bytes(status, reason, headers, framing)
        self._framing = framing
        return data

    def _send(self, data):
        if not data:
            return
        try:
            self._connection.sendall(data)
        except OSError:
            self.connection_failed = True
            raise


def environ_of(head, body, multithread):
    host, port = head.server
    environ = {
        "REQUEST_METHOD": head.method,
        "SCRIPT_NAME": head.prefix,
        "PATH_INFO": urllib.parse.unquote(head.path, "latin-1"),
        "QUERY_STRING": head.query,
        "RAW_URI": head.target,
        "SERVER_NAME": host,
        "SERVER_PORT": str(port),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": head.client,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": head.scheme,
        "wsgi.input": body,
        # The body ends by itself, whether its length is known or not.
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": multithread,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in head.headers:
        key = name.replace("-", "_").upper()
        if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            key = "HTTP_" + key
        # Cookies alone are joined by a semicolon (RFC 6265, RFC 9113).
        environ[key] = environ[key] + ("; " if name == "cookie" else ",") + value if key in environ else value
    return environ
