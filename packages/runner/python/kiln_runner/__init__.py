"""The runner for Python: event handlers, WSGI and ASGI applications.

As the runner for Node does, it loads the module, then connects to the agent's socket, which is the sign that it is ready, and
answers HTTP on the connections that it opened. Only the standard library: what a function brings is its own.
"""
