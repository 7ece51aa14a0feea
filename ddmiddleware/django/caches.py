"""Calls of Django's caches, whatever the backend; that of a Redis cache has the commands below it.

No key is shown: it may name a user.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import Any

from ddmiddleware.django.templates import outermost
from ddmiddleware.integrations import Call, Integration, Traced
from ddmiddleware.tracing import default_settings, guarded

integration = Integration("django")
_NAME = "django.cache"
# Not get_or_set, which calls the application, nor what only calls these.
_METHODS = (
    *("get", "set", "add", "touch", "delete", "incr", "has_key", "clear"),
    *("get_many", "set_many", "delete_many"),
)
_known: set[type] = set()


def _describe(method: str, call: Call) -> None:
    kind = type(call.self)
    span = call.span
    span.resource = method
    span.service = default_settings["DD_DJANGO_CACHE_SERVICE"] or span.service
    call.metrics["_dd.measured"] = 1
    call.tags["django.cache.backend"] = f"{kind.__module__}.{kind.__qualname__}"


def _found(call: Call, result: Any) -> None:
    call.metrics["db.row_count"] = int(result is not None and result is not call.arg(1, "default"))


def _found_many(call: Call, result: Any) -> None:
    call.metrics["db.row_count"] = len(result)


_RESULTS = {"get": _found, "get_many": _found_many}


# create_connection, because which classes there are is known by their first use only.
@integration.replaces("django.core.cache:CacheHandler.create_connection")
def create(original: Any) -> Any:
    if not default_settings["DD_DJANGO_INSTRUMENT_CACHES"]:
        return original
    with guarded:
        _learn_loaded()

    def creating(self: Any, alias: str) -> Any:
        backend = original(self, alias)
        with guarded:
            if integration.patched:
                _learn(type(backend))
        return backend

    return creating


def _learn_loaded() -> None:
    """Trace the backends of which there may be instances already."""
    from django.conf import settings

    for options in settings.CACHES.values() if settings.configured else ():
        module, _, name = str(options.get("BACKEND", "")).rpartition(".")
        backend = getattr(sys.modules.get(module), name, None)
        if isinstance(backend, type):
            _learn(backend)


def _learn(backend: type) -> None:
    """Trace the methods of a backend's class, from now on and whenever caches are patched again."""
    if backend in _known:
        return
    _known.add(backend)
    for method in _METHODS:
        integration.replaces(f"{backend.__module__}:{backend.__qualname__}.{method}")(partial(_traced, method))
    integration._apply(backend.__module__)


def _traced(method: str, original: Any) -> Any:
    if not default_settings["DD_DJANGO_INSTRUMENT_CACHES"]:
        return original
    # A method that is made of others is one span: get_many of most backends calls get.
    traced = Traced(integration, _NAME, "cache", partial(_describe, method), lambda *_a, **_k: outermost(_NAME))
    if method in _RESULTS:
        traced.returned(_RESULTS[method])
    return traced.wrapper(original)
