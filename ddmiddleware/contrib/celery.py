"""Celery, under the names of ``ddtrace.contrib.celery``."""

from __future__ import annotations

from typing import Any

from ddmiddleware.contrib import functions_of

patch, unpatch, get_version = functions_of("celery")


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
