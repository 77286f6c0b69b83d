"""`handler(event)`: the body of a request as JSON is the event, what the handler returns is the answer as JSON."""

import asyncio
import inspect
import json
import os
import types

from . import log
from .wire import Framing, function_error, head_bytes, problem


class EventHandler:
    def __init__(self, handler, sample_path):
        self._handler = handler
        self._wants_context = takes_two(handler)
        self._sample_path = sample_path

    def answer(self, head, body, connection):
        try:
            event = self._event(body.read())
        except ValueError as error:
            connection.sendall(problem(400, "bad_request", "The request is malformed or failed validation", str(error), head.request_id))
            return True
        try:
            data = json.dumps(self._call(event, head)).encode()
        except Exception:
            log.exception()
            connection.sendall(function_error(head.request_id))
            return True
        headers = [("content-type", "application/json")]
        framing = Framing(head.method, 200, headers, len(data))
        connection.sendall(head_bytes(200, "", headers, framing) + framing.frame(data))
        return True

    def _event(self, body):
        """A body that is not JSON, an empty one first, gives the sample event; where there is none, an empty one gives {}."""
        try:
            return json.loads(body)
        except ValueError as error:
            # Read anew for each call: a handler may change the event it is given.
            if os.path.isfile(self._sample_path):
                with open(self._sample_path, encoding="utf-8") as file:
                    return json.load(file)
            if body.strip() == b"":
                return {}
            raise ValueError("the body is not JSON, and there is no event.json: %s" % error) from None

    def _call(self, event, head):
        result = self._handler(event, context_of(head)) if self._wants_context else self._handler(event)
        if inspect.isawaitable(result):
            result = asyncio.run(awaited(result))
        return result


async def awaited(value):
    return await value


def takes_two(handler):
    """Two parameters without a default: the second gets what is known of the request."""
    try:
        parameters = inspect.signature(handler).parameters.values()
    except (TypeError, ValueError):
        return False
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return len([one for one in parameters if one.kind in positional and one.default is inspect.Parameter.empty]) == 2


def context_of(head):
    return types.SimpleNamespace(
        request_id=head.request_id,
        function=os.environ.get("KILN_FUNCTION"),
        version=os.environ.get("KILN_VERSION"),
        method=head.method,
        path=head.path,
        query=head.query,
        headers=dict(head.headers),
    )
