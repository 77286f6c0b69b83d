"""Tells the agent that the work on a connection has ended which was closed before, so that it may give the next request."""

import os
import socket
import threading

# Beside the agent's socket; an agent of an earlier version has none.
NAME = "work.sock"


class Number:
    """Of one connection, from its first request."""

    value = None

    def of(self, head):
        if head.connection is not None:
            self.value = head.connection


class WorkEnd:
    def __init__(self, agent_socket):
        self._lock = threading.Lock()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.connect(os.path.join(os.path.dirname(agent_socket), NAME))
        except OSError:
            # Without it the agent goes by the clock.
            self._socket.close()

    def say(self, connection):
        """Of a connection without a number the agent knows nothing."""
        if connection is None:
            return
        try:
            # The agent always reads; a line is far shorter than what the kernel takes at once.
            with self._lock:
                self._socket.sendall(b"ended %s\n" % connection.encode("latin-1"))
        except OSError:
            pass
