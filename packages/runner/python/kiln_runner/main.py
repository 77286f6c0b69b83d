"""Options, load, serve."""

import os
import sys
import traceback

from . import log
from .load import ASGI, EVENT, LoadError, load


def main():
    socket_path = os.environ.get("KILN_SOCKET")
    if socket_path is None:
        sys.exit("kiln-runner: this serves an instance of Kiln, whose agent names its socket in KILN_SOCKET")
    log.to_agent()
    # The function's folder in place of this program's.
    sys.path[0] = os.getcwd()
    concurrency = int(os.environ.get("KILN_CONCURRENCY") or 1)
    serve(*load_or_exit(), socket_path, concurrency)


def load_or_exit():
    path, name = os.environ.get("KILN_ENTRY") or "handler.py", os.environ.get("KILN_HANDLER") or "handler"
    try:
        return load(path, name)
    except LoadError as error:
        sys.exit("kiln-runner: %s" % error)
    except BaseException:
        traceback.print_exc()
        sys.exit(1)


def serve(kind, target, socket_path, concurrency):
    """Returns when the agent is gone. What a kind does not need is not loaded: it would be part of every cold start."""
    if kind == ASGI:
        from . import asgi

        asgi.serve(target, socket_path, concurrency)
        return
    from . import threads

    if kind == EVENT:
        from .event import EventHandler

        answer = EventHandler(target, "event.json").answer
    else:
        from .wsgi import WsgiApplication

        answer = WsgiApplication(target, concurrency > 1).answer
    threads.serve(answer, socket_path, concurrency)
