"""A thread for each connection to the agent, for handlers that block."""

import os
import socket
import threading
import time

from . import log
from .wire import MAX_HEAD, BrokenRequest, Head
from .work_end import Number, WorkEnd

RETRY_S = 0.05
GIVE_UP_S = 5
# What a handler left unread of a body: read away up to here, else the connection goes.
MAX_UNREAD = 1024 * 1024
CHUNK = 64 * 1024


def serve(answer, socket_path, concurrency):
    """Calls `answer(head, body, socket)` for each request; it returns whether the answer is whole. Ends when the agent is gone."""
    Connections(answer, socket_path, concurrency).run()


class Connections:
    """One idle connection beyond the busy ones, up to `concurrency`. The first one's thread is the main one: some libraries want that."""

    def __init__(self, answer, socket_path, concurrency):
        self._answer, self._socket_path, self._concurrency = answer, socket_path, concurrency
        # First of all: the agent must know that it will be told before it gives the first request.
        self._work_end = WorkEnd(socket_path)
        self._lock = threading.Lock()
        self._threads = 1
        self._busy = 0

    def run(self):
        since = None
        while True:
            try:
                connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                connection.connect(self._socket_path)
            except OSError:
                since = since or time.monotonic()
                if time.monotonic() - since > GIVE_UP_S:
                    # The agent is gone, and with it whoever could call.
                    os._exit(0)
                time.sleep(RETRY_S)
                continue
            since = None
            opened = time.monotonic()
            self._serve(connection)
            if time.monotonic() - opened < RETRY_S:
                time.sleep(RETRY_S)

    def _serve(self, connection):
        reader = connection.makefile("rb", CHUNK)
        number = Number()
        try:
            while self._serve_one(reader, connection, number):
                pass
        except (OSError, BrokenRequest, ValueError):
            # The caller left, or the agent did: there is nobody to answer.
            pass
        finally:
            reader.close()
            connection.close()
            self._work_end.say(number.value)

    def _serve_one(self, reader, connection, number):
        block = read_head(reader)
        if block is None:
            return False
        head = Head(block)
        number.of(head)
        body = Body(reader, head)
        self._enter()
        token = log.request_id.set(head.request_id)
        try:
            return self._answer(head, body, connection) and body.finish()
        finally:
            log.request_id.reset(token)
            with self._lock:
                self._busy -= 1

    def _enter(self):
        with self._lock:
            self._busy += 1
            if self._busy < self._threads or self._threads >= self._concurrency:
                return
            self._threads += 1
        threading.Thread(target=self.run, daemon=True).start()


def read_head(reader):
    """The head without its last empty line; None where the agent closed the connection between two requests."""
    lines = []
    size = 0
    while True:
        line = reader.readline(MAX_HEAD)
        size += len(line)
        if line == b"" and not lines:
            return None
        if not line.endswith(b"\r\n") or size > MAX_HEAD:
            raise BrokenRequest("the head breaks off, or is too long")
        if line == b"\r\n":
            return b"\r\n".join(lines)
        lines.append(line[:-2])


class Body:
    """A request's body as a file (`wsgi.input`): ends where the body does."""

    def __init__(self, reader, head):
        self._reader = reader
        self._chunked = head.chunked
        # Of the body, or of the chunk at hand.
        self._left = 0 if head.chunked else head.length
        self._done = not head.chunked and head.length == 0

    def read(self, size=-1):
        if size is None or size < 0:
            return b"".join(iter(lambda: self._some(CHUNK), b""))
        parts = []
        while size > 0:
            part = self._some(size)
            if part == b"":
                break
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def readline(self, size=-1):
        parts = []
        while size != 0:
            if not self._ready():
                break
            most = self._left if size is None or size < 0 else min(size, self._left)
            part = self._take(self._reader.readline(most))
            parts.append(part)
            size -= len(part) if size is not None and size > 0 else 0
            if part.endswith(b"\n"):
                break
        return b"".join(parts)

    def readlines(self, hint=-1):
        lines, size = [], 0
        for line in self:
            lines.append(line)
            size += len(line)
            if hint is not None and 0 < hint <= size:
                break
        return lines

    def __iter__(self):
        return iter(self.readline, b"")

    def finish(self):
        """Reads away what is left of a body; False where that is too much to be worth it."""
        unread = 0
        while unread <= MAX_UNREAD:
            part = self._some(CHUNK)
            if part == b"":
                return True
            unread += len(part)
        return False

    def _some(self, most):
        if not self._ready():
            return b""
        return self._take(self._reader.read1(min(most, self._left)))

    def _take(self, part):
        if part == b"":
            raise BrokenRequest("the body breaks off")
        self._left -= len(part)
        if self._left == 0 and not self._chunked:
            self._done = True
        return part

    def _ready(self):
        """There are bytes to read; enters the next chunk where one has ended."""
        if self._chunked and self._left == 0 and not self._done:
            self._next_chunk()
        return not self._done

    def _next_chunk(self):
        line = self._reader.readline(CHUNK)
        if line == b"\r\n":
            line = self._reader.readline(CHUNK)
        size = int(line.split(b";")[0], 16)
        if size > 0:
            self._left = size
            return
        while self._reader.readline(CHUNK) not in (b"\r\n", b""):
            pass
        self._done = True
