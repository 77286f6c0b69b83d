"""WebSockets of ASGI applications: RFC 6455, without extensions."""

import asyncio
import base64
import hashlib
import re

from . import log
from .wire import BrokenRequest, function_error, is_ours

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
MAX_MESSAGE = 16 * 1024 * 1024
KEY = re.compile(r"[A-Za-z0-9+/]{22}==")
REFUSED = b"HTTP/1.1 %s\r\nsec-websocket-version: 13\r\ncontent-length: 0\r\n\r\n"


class Fault(Exception):
    """How it ended: a code of the protocol."""


class Session:
    """One WebSocket, as the application sees it."""

    def __init__(self, head, stream):
        self._head, self._stream = head, stream
        self._accepted = self._refused = self._said_close = False
        # One message is read ahead, and no more: who sends faster waits.
        self._read = asyncio.Queue(1)
        self._reading = self._last = None

    async def run(self, application, scope):
        """Whether the connection can go on with another request."""
        first = self._head.first
        if self._head.method != "GET" or first.get("sec-websocket-version") != "13" or not KEY.fullmatch(first.get("sec-websocket-key", "")):
            await self._stream.send(REFUSED % b"400 Bad Request")
            return True
        names = [name.strip() for name in first.get("sec-websocket-protocol", "").split(",")]
        del scope["method"]
        scope.update(type="websocket", scheme="wss" if scope["scheme"] == "https" else "ws", subprotocols=[name for name in names if name])
        self._read.put_nowait({"type": "websocket.connect"})
        token = log.request_id.set(self._head.request_id)
        try:
            await application(scope, self._receive, self._send)
            await self._end(1000)
        except Exception as error:
            # Whoever sends to a caller that has left is told so by an error.
            if not (self._last and isinstance(error, OSError)):
                log.exception()
            await self._end(1011)
        finally:
            log.request_id.reset(token)
            if self._reading:
                self._reading.cancel()
        return not self._accepted

    async def _end(self, code):
        try:
            if self._accepted:
                await self._close(code)
            elif not self._refused:
                await self._stream.send(function_error(self._head.request_id))
        except OSError:
            pass

    async def _receive(self):
        return self._last if self._last and self._read.empty() else await self._read.get()

    async def _send(self, message):
        kind = message["type"]
        if self._last or self._refused:
            raise ConnectionResetError("the WebSocket is closed")
        if kind == "websocket.accept" and not self._accepted:
            await self._stream.send(self._answer(message))
            self._accepted = True
            self._reading = asyncio.ensure_future(self._read_on())
        elif kind == "websocket.close" and not self._accepted:
            self._refused = True
            await self._stream.send(REFUSED % b"403 Forbidden")
        elif kind == "websocket.close":
            await self._close(message.get("code") or 1000, message.get("reason") or "")
        elif kind == "websocket.send" and self._accepted and not self._said_close:
            is_text = message.get("text") is not None
            await self._frame(TEXT if is_text else BINARY, message["text"].encode() if is_text else message["bytes"])
        else:
            raise RuntimeError("not a message of a WebSocket now: %s" % kind)

    def _answer(self, message):
        accept = base64.b64encode(hashlib.sha1(self._head.first["sec-websocket-key"].encode() + GUID).digest())
        lines = [b"HTTP/1.1 101 Switching Protocols", b"upgrade: websocket", b"connection: Upgrade", b"sec-websocket-accept: " + accept]
        if message.get("subprotocol"):
            lines.append(b"sec-websocket-protocol: " + message["subprotocol"].encode("latin-1"))
        lines += [name + b": " + value for name, value in message.get("headers") or () if not is_ours(name.decode("latin-1"))]
        if any(c in line for line in lines for c in (b"\r", b"\n", b"\0")):
            raise ValueError("not headers: %r" % lines)
        return b"\r\n".join(lines) + b"\r\n\r\n"

    async def _close(self, code, reason=""):
        if not self._said_close:
            self._said_close = True
            await self._frame(CLOSE, code.to_bytes(2, "big") + reason.encode()[:123])

    async def _frame(self, opcode, data):
        size = len(data)
        length = bytes([size]) if size < 126 else b"\x7e" + size.to_bytes(2, "big") if size < 65536 else b"\x7f" + size.to_bytes(8, "big")
        await self._stream.send(bytes([0x80 | opcode]) + length + data)

    async def _read_on(self):
        code = 1006
        try:
            while True:
                await self._read.put(await self._message())
        except Fault as fault:
            code = fault.args[0]
        except UnicodeDecodeError:
            code = 1007
        except (OSError, BrokenRequest):
            pass
        await self._end(1000 if code in (1005, 1006) else code)
        self._last = {"type": "websocket.disconnect", "code": code, "reason": ""}
        await self._read.put(self._last)

    async def _message(self):
        """Of frames put together. @raises Fault for the end"""
        kind, data = CONTINUATION, bytearray()
        while True:
            final, opcode, piece = await self._next_frame(MAX_MESSAGE - len(data))
            if opcode == PING:
                await self._frame(PONG, piece)
            elif opcode == CLOSE:
                raise Fault(int.from_bytes(piece[:2], "big") if len(piece) > 1 else 1005)
            elif opcode != PONG:
                if (opcode == CONTINUATION) == (kind == CONTINUATION):
                    raise Fault(1002)
                kind = kind or opcode
                data += piece
                if final:
                    return {"type": "websocket.receive", **({"bytes": bytes(data)} if kind == BINARY else {"text": data.decode()})}

    async def _next_frame(self, most):
        first, second = await self._stream.exactly(2)
        opcode, size = first & 15, second & 127
        if size > 125:
            size = int.from_bytes(await self._stream.exactly(2 if size == 126 else 8), "big")
        if first & 0x70 or second < 0x80 or opcode not in (0, 1, 2, 8, 9, 10) or (opcode >= CLOSE and (size > 125 or first < 0x80)):
            raise Fault(1002)
        if size > most and opcode < CLOSE:
            raise Fault(1009)
        mask, data = await self._stream.exactly(4), await self._stream.exactly(size)
        # All bytes at once, as one large number each.
        masked = int.from_bytes(data, "big") ^ int.from_bytes((mask * (size // 4 + 1))[:size], "big")
        return first >= 0x80, opcode, masked.to_bytes(size, "big")
