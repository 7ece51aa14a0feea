"""Celery, under the names of ``ddtrace.contrib.celery``."""

from __future__ import annotations

from typing import Any

from ddmiddleware import integrations
from ddmiddleware.contrib import version


def patch() -> None:
    """Trace every Celery application."""
    integrations.patch(celery=True)


def unpatch() -> None:
    """Undo ``patch``."""
    integrations.unpatch("celery")


def get_version() -> str:
    """Return Celery's version, or ``""`` where it is not loaded."""
    return version("celery")


def patch_app(app: Any, pin: Any = None) -> Any:
    """Trace *app*, and with it every other one; return it."""
    patch()
    if pin is not None:
        pin.onto(app)
    return app


def unpatch_app(app: Any) -> Any:
    """Undo ``patch``; return *app*."""
    unpatch()
    return app


__all__ = ["get_version", "patch", "patch_app", "unpatch", "unpatch_app"]
