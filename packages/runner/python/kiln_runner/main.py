"""Options, load, serve."""

import importlib
import os
import sys
import traceback

from . import log
from .load import ASGI, EVENT, LoadError, load


MAX_CAUSES = 5


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
    except BaseException as error:
        sys.stderr.write(explained(error))
        sys.exit(1)


def explained(error):
    """The traceback with the function's own frames alone: in those of the import and of this runner nobody can correct anything."""
    told = traceback.TracebackException.from_exception(error)
    runner = os.path.dirname(os.path.abspath(__file__)) + os.sep
    each, left = told, MAX_CAUSES
    while each is not None and left > 0:
        own = [frame for frame in each.stack if not is_foreign(frame.filename, runner)]
        each.stack = traceback.StackSummary.from_list(own)
        each, left = each.__cause__ or each.__context__, left - 1
    lines = "".join(told.format())
    if isinstance(error, ModuleNotFoundError) and error.name:
        lines += 'add the package that has "%s" to requirements.txt, on a line of its own\n' % error.name.split(".")[0]
    return lines


def is_foreign(filename, runner):
    return filename.startswith(("<frozen ", runner)) or filename == importlib.__file__


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
