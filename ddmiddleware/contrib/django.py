"""Django, under the names of ``ddtrace.contrib.django``."""

from __future__ import annotations

from ddmiddleware import integrations
from ddmiddleware.django import TraceMiddleware


def patch() -> None:
    """Trace every Django project."""
    integrations.patch(django=True)


def unpatch() -> None:
    """Undo ``patch``."""
    integrations.unpatch("django")


__all__ = ["TraceMiddleware", "patch", "unpatch"]
