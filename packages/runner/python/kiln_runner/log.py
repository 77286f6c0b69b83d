"""What a function prints becomes lines that the agent reads, with their level and the id of the request they belong to."""

import contextvars
import io
import json
import logging
import os
import sys
import threading
import traceback

# What the agent keeps of a line is 16 KiB, and the line has more in it than the message.
MAX_MESSAGE = 15 * 1024

request_id = contextvars.ContextVar("kiln_request_id", default=None)

_LEVELS = ((logging.ERROR, "error"), (logging.WARNING, "warn"), (logging.INFO, "info"))
_lock = threading.Lock()


def to_agent():
    """Takes over stdout, stderr and the root logger. A function that sets up its logging decides for itself."""
    sys.stdout = Lines("info")
    sys.stderr = Lines("error")
    logging.getLogger().addHandler(Handler())


def exception():
    """The exception that is being handled, with its stack."""
    write("error", traceback.format_exc().rstrip("\n"))


def write(level, text):
    cut = len(text) - MAX_MESSAGE
    message = text if cut <= 0 else "%s… (%d more characters)" % (text[:MAX_MESSAGE], cut)
    line = {"kiln": 1, "level": level}
    request = request_id.get()
    if request is not None:
        line["requestId"] = request
    # Last: of a line that is cut the rest must be whole.
    line["message"] = message
    data = json.dumps(line, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"
    # A line is written whole: threads print at the same time.
    with _lock:
        while data:
            data = data[os.write(1, data) :]


class Handler(logging.Handler):
    def emit(self, record):
        try:
            level = next((name for least, name in _LEVELS if record.levelno >= least), "debug")
            write(level, self.format(record))
        except Exception:
            self.handleError(record)


class Lines(io.TextIOBase):
    """A text stream that gives away whole lines; each thread has its own unfinished one."""

    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, level):
        self._level = level
        self._unfinished = threading.local()

    def writable(self):
        return True

    def isatty(self):
        return False

    def fileno(self):
        return 1 if self._level == "info" else 2

    @property
    def buffer(self):
        return open(self.fileno(), "wb", buffering=0, closefd=False)

    def write(self, text):
        lines = (getattr(self._unfinished, "text", "") + text).split("\n")
        self._unfinished.text = lines.pop()
        for line in lines:
            write(self._level, line)
        if len(self._unfinished.text) >= MAX_MESSAGE:
            self.flush()
        return len(text)

    def flush(self):
        """Keeps the unfinished line: `print(..., end="", flush=True)` would be cut in pieces."""
        if len(getattr(self._unfinished, "text", "")) >= MAX_MESSAGE:
            text, self._unfinished.text = self._unfinished.text, ""
            write(self._level, text)
