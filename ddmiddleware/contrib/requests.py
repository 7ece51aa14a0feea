"""requests, under the names of ``ddtrace.contrib.requests``."""

from __future__ import annotations

from typing import Any

from ddmiddleware.contrib import functions_of

patch, unpatch, get_version = functions_of("requests")


def __getattr__(name: str) -> Any:
    """Trace every session for who asks for ``TracedSession``, which is the library's own class then."""
    if name != "TracedSession":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import requests

    patch()
    return requests.Session


__all__ = ["get_version", "patch", "unpatch"]
