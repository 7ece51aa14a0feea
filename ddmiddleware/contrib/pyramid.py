"""Pyramid, under the names of ``ddtrace.contrib.pyramid``."""

from __future__ import annotations

from typing import Any

from ddmiddleware import config as configuration
from ddmiddleware import pyramid
from ddmiddleware.contrib import functions_of

patch, unpatch, _ = functions_of("pyramid")


def trace_pyramid(config: Any) -> None:
    """Trace the application that *config* makes, as its settings say.

    ``datadog_trace_enabled`` switches it off; ``datadog_trace_service`` and ``datadog_distributed_tracing`` are those
    of all Pyramid requests.
    """
    settings = config.registry.settings or {}
    if not _is_on(settings.get("datadog_trace_enabled", True)):
        return
    if settings.get("datadog_trace_service"):
        configuration.pyramid["service"] = settings["datadog_trace_service"]
    if not _is_on(settings.get("datadog_distributed_tracing", True)):
        configuration.pyramid["distributed_tracing"] = False
    pyramid.trace_pyramid(config)


includeme = trace_pyramid  # what config.include calls


def _is_on(value: Any) -> bool:
    """Read a setting, which is text where it comes from an .ini file."""
    return str(value).strip().lower() in ("true", "t", "yes", "y", "on", "1")


__all__ = ["includeme", "patch", "trace_pyramid", "unpatch"]
