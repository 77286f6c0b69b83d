"""Loads the function's module and says what its handler is."""

import importlib
import inspect
import os
import sys

EVENT, WSGI, ASGI = "event", "wsgi", "asgi"
# By these names a callable is a web application, whatever it looks like.
APPLICATION_NAMES = ("app", "application")
# By these names a function makes one, and is called once, without arguments.
FACTORY_NAMES = ("create_app", "make_app")


class LoadError(Exception):
    """The module gives nothing to serve; errors of the module itself pass through as they are."""


def load(path, name):
    """The kind of the handler, and the handler."""
    if not os.path.isfile(path):
        raise LoadError("there is no module %s" % path)
    module = importlib.import_module(module_name(path))
    target = module
    for part in name.split("."):
        if not hasattr(target, part):
            raise LoadError('%s has no "%s"; it has: %s' % (path, name, ", ".join(callables(module)) or "nothing to call"))
        target = getattr(target, part)
    if not callable(target):
        raise LoadError('"%s" in %s can\'t be called: it is a %s' % (name, path, type(target).__name__))
    if name.split(".")[-1] in FACTORY_NAMES:
        target = target()
        if not callable(target):
            raise LoadError('what "%s" in %s returns can\'t be called: it is a %s' % (name, path, type(target).__name__))
        name = APPLICATION_NAMES[0]
    return kind_of(target, name), target


def module_name(path):
    """As Python names it, so that its relative imports and pickles work; a path that is no name is put on the search path."""
    parts = os.path.normpath(path)[: -len(".py")].split(os.sep)
    if not all(part.isidentifier() for part in parts[:-1]):
        sys.path.insert(0, os.path.abspath(os.path.dirname(path)))
        parts = parts[-1:]
    if len(parts) > 1 and parts[-1] == "__init__":
        parts.pop()
    return ".".join(parts)


def kind_of(target, name):
    function = inspect.isfunction(target) or inspect.ismethod(target) or inspect.isbuiltin(target)
    if function and name.split(".")[-1] not in APPLICATION_NAMES:
        return EVENT
    called = target if function or inspect.isclass(target) else type(target).__call__
    return ASGI if inspect.iscoroutinefunction(called) else WSGI


def callables(module):
    return sorted(name for name, value in vars(module).items() if callable(value) and not name.startswith("_"))
