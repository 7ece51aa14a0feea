"""How a local root begins: the first span of a trace in this process."""

from __future__ import annotations

from _weakref import ref  # the module weakref is not needed otherwise

from ddmiddleware.tracing.accelerator import start
from ddmiddleware.tracing.constants import LAST_PARENT_KEY
from ddmiddleware.tracing.context import Context, LocalTrace
from ddmiddleware.tracing.span import Span
from ddmiddleware.tracing.text import text

TYPE_CHECKING = False  # not typing's: its import costs more than all of ours
if TYPE_CHECKING:
    from ddmiddleware.tracing.tracer import Tracer


def take_over(parent: Context, root: Span, trace: LocalTrace, baggage_tags: tuple[str, ...]) -> None:
    """Give a local root what the headers said of it alone, and of what they carried that which is to be seen on it."""
    if parent._links:
        root._links = [*(root._links or ()), *parent._links]
    last_parent = trace.tags.pop(LAST_PARENT_KEY, None)
    if last_parent:
        root._meta[LAST_PARENT_KEY] = last_parent
    if trace.baggage and baggage_tags:
        for key in list(trace.baggage) if "*" in baggage_tags else baggage_tags:
            if key in trace.baggage:
                root._meta[f"baggage.{key}"] = text(trace.baggage[key])


def start_root(
    tracer: Tracer,
    name: str,
    service: str | None,
    resource: str | None,
    span_type: str | None,
    parent: Span | Context | None,
    previous: Span | Context | None,
) -> Span:
    """Start a span whose parent is remote, absent, or over.

    A finished span hands over to its nearest open ancestor. With none left, its request has ended: what starts now
    is a trace of its own, linked to it.
    """
    ended = None
    if isinstance(parent, Span):
        ended = parent
        while parent is not None and parent.finished:
            parent = parent._parent
        if parent is not None:
            return tracer._start(name, service, resource, span_type, parent, previous)
    if isinstance(parent, Context) and parent.trace_id:
        parent._propagated.decide()  # two local roots of one trace must agree
        trace = LocalTrace(tracer, parent._propagated)
        ids = parent.trace_id, parent.span_id or None
    else:
        trace = LocalTrace(tracer, None if parent is None else parent._propagated)
        trace.random = True
        ids = tracer._new_trace_id(), None
    span = start(name, service or tracer.service, resource, span_type, trace, ids[0], ids[1], None, previous)
    if tracer._sampler.weighs:
        trace.root = ref(span)  # weak, or an abandoned trace would stay until the garbage collector comes
    if ended is not None:
        span.link_span(ended.context)
    if parent is not None:
        take_over(parent, span, trace, tracer._baggage_tags)
    return span
