"""Calls that return before they have ended: whatever the library calls at their end finishes the span."""

from __future__ import annotations

from typing import Any

from ddmiddleware.integrations._patching import Call, Traced
from ddmiddleware.tracing import guarded


def begin(traced: Traced, *args: Any) -> Call | None:
    """Start the span of a method's call, and leave the caller's active span as it was; None where it gets no span."""
    call = traced._begin(args, {}, 1)
    if call is not None:
        with guarded:
            call.span._trace.tracer.context_provider.activate(call.span._previous)
    return call


def succeeded(traced: Traced, call: Call, result: Any) -> None:
    """Describe the result, and finish the span."""
    traced._succeeded(call, result)


def failed(traced: Traced, call: Call, error: BaseException) -> None:
    """Finish the span with *error*."""
    traced._failed(call, error)
