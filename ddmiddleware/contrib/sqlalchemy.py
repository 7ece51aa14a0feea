"""SQLAlchemy, under the names of ``ddtrace.contrib.sqlalchemy``."""

from __future__ import annotations

from typing import Any

from ddmiddleware import config
from ddmiddleware.contrib import functions_of

patch, unpatch, get_version = functions_of("sqlalchemy")


def trace_engine(engine: Any, tracer: Any = None, service: str | None = None) -> None:
    """Trace *engine*, and with it every other one; *service* is that of all. There is one tracer."""
    patch()
    if service:
        config.sqlalchemy["service"] = service


__all__ = ["get_version", "patch", "trace_engine", "unpatch"]
