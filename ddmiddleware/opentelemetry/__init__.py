"""The OpenTelemetry API, served by this tracer: ``DD_TRACE_OTEL_ENABLED=true``, or a ``TracerProvider`` by hand.

Spans made through that API are our spans; the active span, its baggage and its headers are the same on both sides.

https://opentelemetry.io/docs/specs/otel/trace/api
"""

from __future__ import annotations

from typing import Any

from ddmiddleware.integrations import Integration
from ddmiddleware.opentelemetry._context import RuntimeContext
from ddmiddleware.opentelemetry._propagator import Propagator
from ddmiddleware.opentelemetry._tracer import TracerProvider as _TracerProvider

__all__ = ["TracerProvider"]

integration = Integration("otel", requires="opentelemetry-api>=1.20")
_bridge = Integration("otel", requires="opentelemetry-api>=1.20")


class TracerProvider(_TracerProvider):
    """Makes tracers whose spans are ours: ``opentelemetry.trace.set_tracer_provider(TracerProvider())``."""

    def __init__(self) -> None:
        _bridge.patch()


# What is active stands in this module's variable, behind which both sides can be the same.
@_bridge.replaces("opentelemetry.context:_RUNTIME_CONTEXT")
def runtime_context(original: Any) -> Any:
    return RuntimeContext()


# The variables, because the functions that set them do so but once: a provider that the user sets stays the one.
@integration.replaces("opentelemetry.trace:_TRACER_PROVIDER")
def provider(original: Any) -> Any:
    return original or TracerProvider()


@integration.replaces("opentelemetry.propagate:_HTTP_TEXT_FORMAT")
def propagator(original: Any) -> Any:
    return Propagator()
