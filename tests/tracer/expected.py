"""What a span is on the wire, as ``recording_agent.plain`` shows it."""

from __future__ import annotations

from typing import Any

from ddmiddleware.tracing import Tracer

# What the first span of every chunk says.
CHUNK = {"_sampling_priority_v1": 1, "_dd.tracer_kr": 1}


def active_name(tracer: Tracer) -> str:
    """Return the name of the active span."""
    span = tracer.current_span()
    assert span is not None
    return span.name


def root(name: str, number: int = 1, trace: int = 1, **changes: Any) -> dict[str, Any]:
    """Return the first span of a trace; tags and metrics given are added to those that it always has."""
    meta = {"_dd.p.dm": "-0", "language": "python", **changes.pop("meta", {})}
    metrics = {**CHUNK, "_dd.top_level": 1, **changes.pop("metrics", {})}
    return child(name, number, 0, trace, meta=meta, metrics=metrics, **changes)


def child(name: str, number: int, parent: int = 1, trace: int = 1, **changes: Any) -> dict[str, Any]:
    """Return a span under the span *parent*; one of another service than the tracer's says so."""
    service = changes.pop("service", "shop")
    base = {} if service in ("shop", "") else {"_dd.base_service": "shop"}
    return {
        "service": service,
        "name": name,
        "resource": name,
        "type": "",
        "trace_id": trace,
        "span_id": number,
        "parent_id": parent,
        "error": 0,
        "metrics": {},
        **changes,
        "meta": {**base, **changes.get("meta", {})},
    }
