"""SQLAlchemy, under the names of ``ddtrace.contrib.sqlalchemy``."""

from __future__ import annotations

from typing import Any

from ddmiddleware import config, integrations
from ddmiddleware.contrib import version


def patch() -> None:
    """Trace every engine."""
    integrations.patch(sqlalchemy=True)


def unpatch() -> None:
    """Undo ``patch``."""
    integrations.unpatch("sqlalchemy")


def get_version() -> str:
    """Return SQLAlchemy's version, or ``""`` where it is not loaded."""
    return version("sqlalchemy")


def trace_engine(engine: Any, tracer: Any = None, service: str | None = None) -> None:
    """Trace *engine*, and with it every other one; *service* is that of all. There is one tracer."""
    patch()
    if service:
        config.sqlalchemy["service"] = service


__all__ = ["get_version", "patch", "trace_engine", "unpatch"]
