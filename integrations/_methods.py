"""Functions of the application's own that ``DD_TRACE_METHODS`` names."""

from __future__ import annotations

import inspect
from typing import Any

from ddmiddleware.integrations._patching import Integration
from ddmiddleware.tracing import default_settings, default_tracer, warn

integration = Integration("methods", named_by="DD_TRACE_METHODS")
_named: set[str] = set()


def patch() -> None:
    """Trace the named functions, now or as soon as their modules are imported; the span is ``module.Class.method``."""
    for path in default_settings["DD_TRACE_METHODS"]:
        if path not in _named:
            _named.add(path)
            integration.replaces(path)(_wrapping(path.replace(":", ".")))
    integration.patch()


def _wrapping(name: str) -> Any:
    def wrapped(original: Any) -> Any:
        if inspect.isroutine(original):
            return default_tracer.wrap(name)(original)
        warn("DD_TRACE_METHODS: %s is no function; it is not traced", name)
        return original

    return wrapped
