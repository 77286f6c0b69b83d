"""ASGI applications (FastAPI, Starlette, Django): one event loop, and a task for each connection to the agent. HTTP,
WebSockets and lifespan."""

import asyncio
import os
import signal
import time
import urllib.parse

from . import log
from .threads import GIVE_UP_S, RETRY_S
from .wire import MAX_HEAD, BrokenRequest, Framing, Head, function_error, head_bytes
from .work_end import Number, WorkEnd

VERSIONS = {"version": "3.0", "spec_version": "2.3"}
CHUNK = 64 * 1024


def serve(application, socket_path, concurrency):
    asyncio.run(Server(application, socket_path, concurrency).run())


class Server:
    """One idle connection beyond the busy ones, up to `concurrency`."""

    def __init__(self, application, socket_path, concurrency):
        self._application, self._socket_path, self._concurrency = application, socket_path, concurrency
        # First of all: the agent must know that it will be told before it gives the first request.
        self._work_end = WorkEnd(socket_path)
        self._tasks = set()
        self._busy = 0
        self.state = {}

    async def run(self):
        ended = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
        lifespan = Lifespan(self._application, self.state)
        await lifespan.start()
        self._open()
        await ended.wait()
        await lifespan.stop()
        # What still runs was told by the platform to end, not by its client.
        os._exit(0)

    def _open(self):
        task = asyncio.get_running_loop().create_task(self._connection())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connection(self):
        since = None
        while True:
            try:
                reader, writer = await asyncio.open_unix_connection(self._socket_path)
            except OSError:
                since = since or time.monotonic()
                if time.monotonic() - since > GIVE_UP_S:
                    os._exit(0)
                await asyncio.sleep(RETRY_S)
                continue
            since, opened = None, time.monotonic()
            number = Number()
            try:
                stream = Stream(reader, writer)
                while await self._serve_one(stream, number):
                    pass
            except (OSError, BrokenRequest, ValueError):
                pass
            finally:
                writer.close()
                self._work_end.say(number.value)
            if time.monotonic() - opened < RETRY_S:
                await asyncio.sleep(RETRY_S)

    async def _serve_one(self, stream, number):
        block = await stream.head()
        if block is None:
            return False
        head = Head(block)
        number.of(head)
        self._busy += 1
        if self._busy >= len(self._tasks) and len(self._tasks) < self._concurrency:
            self._open()
        try:
            if head.first.get("upgrade", "").lower() == "websocket":
                # Most applications have none, and every cold start would load it.
                from .websocket import Session

                return await Session(head, stream).run(self._application, scope_of(head, self.state))
            return await Exchange(head, stream).run(self._application, self.state)
        finally:
            self._busy -= 1


class Exchange:
    """One request, as the application sees it."""

    def __init__(self, head, stream):
        self._head, self._stream = head, stream
        self._body = RequestBody(head, stream)
        self._start = None
        self._framing = None
        self._ended = asyncio.Event()

    async def run(self, application, state):
        token = log.request_id.set(self._head.request_id)
        try:
            await application(scope_of(self._head, state), self._receive, self._send)
            if not self._ended.is_set():
                raise RuntimeError("the application returned before its answer was complete")
        except Exception:
            if self._stream.failed or self._stream.gone:
                return False
            log.exception()
            if self._framing is not None:
                # An answer that has begun breaks off: a clean end would pass for a whole one.
                return False
            await self._stream.send(function_error(self._head.request_id))
        finally:
            log.request_id.reset(token)
            self._ended.set()
        return not self._stream.gone and await self._body.finish()

    async def _receive(self):
        if not self._body.told:
            data = await self._body.next()
            return {"type": "http.request", "body": data, "more_body": not self._body.told}
        await self._stream.closed_or(self._ended)
        return {"type": "http.disconnect"}

    async def _send(self, message):
        if message["type"] == "http.response.start":
            if self._start is not None:
                raise RuntimeError("http.response.start was sent twice")
            self._start = message
        elif message["type"] == "http.response.body":
            await self._send_body(message.get("body", b""), message.get("more_body", False))
        else:
            raise RuntimeError("not a message of HTTP: %s" % message["type"])

    async def _send_body(self, data, more):
        if self._start is None or self._ended.is_set():
            raise RuntimeError("http.response.body was sent %s" % ("after its end" if self._start else "before http.response.start"))
        begin = b"" if self._framing is not None else self._begin(None if more else len(data))
        framed = begin + self._framing.frame(data)
        if more:
            await self._stream.send(framed)
            return
        await self._stream.send(framed + self._framing.end())
        if not self._framing.complete:
            raise RuntimeError("the body is shorter than its content-length")
        self._ended.set()

    def _begin(self, known_length):
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in self._start.get("headers", ())]
        framing = Framing(self._head.method, self._start["status"], headers, known_length)
        data = head_bytes(self._start["status"], "", headers, framing)
        self._framing = framing
        return data


class RequestBody:
    """Given in pieces as they come."""

    def __init__(self, head, stream):
        self._stream, self._chunked = stream, head.chunked
        self._left = head.length or 0
        self.told = False
        self._done = not self._chunked and self._left == 0

    async def next(self):
        """The next piece; `told` once it was the last."""
        data = b""
        if not self._done:
            data = await (self._chunk() if self._chunked else self._piece())
        self.told = self._done
        return data

    async def finish(self):
        unread = 0
        while not self._done and unread <= MAX_HEAD * 16:
            unread += len(await self.next())
        return self._done

    async def _piece(self):
        data = await self._stream.some(min(self._left, CHUNK))
        self._left -= len(data)
        self._done = self._left == 0
        return data

    async def _chunk(self):
        if self._left == 0:
            line = await self._stream.line()
            size = int(line.split(b";")[0], 16)
            if size == 0:
                while await self._stream.line() != b"":
                    pass
                self._done = True
                return b""
            self._left = size
        data = await self._stream.some(min(self._left, CHUNK))
        self._left -= len(data)
        if self._left == 0:
            await self._stream.line()
        return data


class Stream:
    """Bytes of one connection. What is read to see whether the caller left is kept for whoever reads next."""

    def __init__(self, reader, writer):
        self._reader, self._writer = reader, writer
        self._buffer = bytearray()
        self._reading = None
        self.gone = False
        self.failed = False

    async def head(self):
        block = await self._until(b"\r\n\r\n")
        return None if block is None else bytes(block)

    async def line(self):
        line = await self._until(b"\r\n")
        if line is None:
            raise BrokenRequest("the body breaks off")
        return bytes(line)

    async def some(self, most):
        if not self._buffer and not await self._fill():
            raise BrokenRequest("the body breaks off")
        data = bytes(self._buffer[:most])
        del self._buffer[:most]
        return data

    async def exactly(self, size):
        data = bytearray()
        while len(data) < size:
            data += await self.some(min(size - len(data), CHUNK))
        return bytes(data)

    async def send(self, data):
        if not data:
            return
        if self.gone:
            self.failed = True
            raise ConnectionResetError("the caller left")
        try:
            self._writer.write(data)
            await self._writer.drain()
        except OSError:
            self.failed = True
            raise

    async def closed_or(self, event):
        """Until the caller leaves, or the event."""
        waiting = asyncio.ensure_future(event.wait())
        try:
            while not waiting.done() and not self.gone and len(self._buffer) < CHUNK:
                # Whoever waits here may be given up at any moment; the reading goes on for whoever reads next.
                self._reading = self._reading or asyncio.ensure_future(self._read_ahead())
                await asyncio.wait((waiting, self._reading), return_when=asyncio.FIRST_COMPLETED)
            if not self.gone and not waiting.done():
                await waiting
        finally:
            waiting.cancel()

    async def _until(self, end):
        while True:
            at = self._buffer.find(end)
            if at >= 0:
                found = self._buffer[:at]
                del self._buffer[: at + len(end)]
                return found
            if len(self._buffer) > MAX_HEAD:
                raise BrokenRequest("the head is too long")
            if not await self._fill():
                return None

    async def _fill(self):
        if self._reading is not None:
            await asyncio.shield(self._reading)
        else:
            self._take(await self._reader.read(CHUNK))
        return not self.gone

    async def _read_ahead(self):
        try:
            self._take(await self._reader.read(CHUNK))
        except OSError:
            self.gone = True
        finally:
            self._reading = None

    def _take(self, data):
        self._buffer += data
        self.gone = data == b""


class Lifespan:
    """Start and end, for applications that want to know; one that raises at the first word of it does not."""

    def __init__(self, application, state):
        self._application = application
        self._scope = {"type": "lifespan", "asgi": VERSIONS, "state": state}
        self._events = asyncio.Queue()
        self._told = asyncio.Queue()
        self._task = None

    async def start(self):
        self._task = asyncio.get_running_loop().create_task(self._run())
        message = await self._say("startup")
        if message == "lifespan.startup.failed":
            os._exit(1)

    async def stop(self):
        await self._say("shutdown")

    async def _say(self, what):
        self._events.put_nowait({"type": "lifespan." + what})
        return await self._told.get() if not self._task.done() else None

    async def _run(self):
        try:
            await self._application(self._scope, self._events.get, self._send)
        except Exception:
            # Many applications assert that the scope is HTTP.
            pass
        finally:
            self._told.put_nowait(None)

    async def _send(self, message):
        if message["type"] == "lifespan.startup.failed" and message.get("message"):
            log.write("error", message["message"])
        self._told.put_nowait(message["type"])


def scope_of(head, state):
    return {
        "type": "http",
        "asgi": VERSIONS,
        "http_version": "1.1",
        "method": head.method,
        "scheme": head.scheme,
        "path": urllib.parse.unquote(head.path),
        "raw_path": head.path.encode("latin-1"),
        "query_string": head.query.encode("latin-1"),
        "root_path": head.prefix,
        "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in head.headers],
        "client": (head.client, 0) if head.client else None,
        "server": head.server,
        "state": dict(state),
    }
