"""Django: one span per request, named after its URL's full template, and spans of its templates, caches and queries.

``MIDDLEWARE = ["ddmiddleware.django.TraceMiddleware", ...]`` or ``patch_all()``. ``settings.DDMIDDLEWARE`` sets in code
what the environment can, and each kind of inner span can be switched: see docs/django.md.

https://docs.djangoproject.com
"""

from __future__ import annotations

from typing import Any

from ddmiddleware.django.handler import integration, prepare
from ddmiddleware.tracing import guarded

__all__ = ["TraceMiddleware", "integration"]


def TraceMiddleware(get_response: Any) -> Any:
    """Trace this project's requests: the first entry of ``MIDDLEWARE``.

    It costs a request nothing, for it puts nothing into its way: the span is the handler's, which is around all of
    ``MIDDLEWARE``, so that the order of that does not matter.
    """
    with guarded:
        integration.patch()
        prepare()
    return get_response


# What Django asks a middleware for: this one is of the kind of what it is given.
vars(TraceMiddleware).update(sync_capable=True, async_capable=True)
