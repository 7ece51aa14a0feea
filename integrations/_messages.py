"""What producers and consumers of messages share: the headers that tie them together, and what is seen of a message.

The span of whoever handles a message is a child of the one that sent it. Who takes several at once has no single
parent: that span stays where it is, and is linked to each of them. Who asks for a message and then does with it what no
function shows has a span for the asking, a child of the sender's too, that is linked to the span he works under.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from time import monotonic_ns
from typing import Any

from ddmiddleware.integrations._options import Options
from ddmiddleware.integrations._patching import Call, Integration, Traced
from ddmiddleware.tracing import (
    EXTRACTED_HEADERS,
    EXTRACTED_PREFIX,
    INJECTED_MARK,
    Context,
    Span,
    active,
    extract_headers,
    guarded,
    inject_headers,
)

_REMEMBERED_MAX = 1000
# The latest headers that came with messages, by the one that differs from span to span.
_received: OrderedDict[str, None] = OrderedDict()

HeadersOf = Callable[..., Mapping[Any, Any] | None]


def message(call: Call, resource: str, tags: Mapping[str, object]) -> None:
    """Describe one message; what is None or empty is no tag."""
    call.span.resource = resource or call.span.name
    call.metrics["_dd.measured"] = 1
    call.span.set_tags({name: value for name, value in tags.items() if value is not None and value != ""})


def inject(span: Span, headers: MutableMapping[str, str]) -> None:
    """Add the headers that let who handles the message go on with the trace.

    Those that came with another message are not the caller's own: a task that is tried again is sent with all the
    headers that it came with.
    """
    if headers.get(INJECTED_MARK) in _received:
        for name in [name for name in headers if _is_ours(str(name).lower())]:
            del headers[name]
    inject_headers(span.context, headers)


def context_of(headers: Mapping[Any, Any] | Iterable[tuple[Any, Any]] | None) -> Context | None:
    """Return the context that a message's headers carry, or None; values are text or bytes, names of any case."""
    if not headers:
        return None
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    ours = {}
    for name, value in pairs:
        lower = name.lower() if isinstance(name, str) else ""
        if _is_ours(lower):
            ours[lower] = value.decode("latin-1") if isinstance(value, bytes) else value
    context = extract_headers(ours) if ours else None
    mark = ours.get(INJECTED_MARK)
    if context is not None and isinstance(mark, str):
        _received[mark] = None
        if len(_received) > _REMEMBERED_MAX:
            _received.popitem(last=False)
    return context


def _is_ours(name: str) -> bool:
    return name in EXTRACTED_HEADERS or bool(EXTRACTED_PREFIX and name.startswith(EXTRACTED_PREFIX))


def handles(
    integration: Integration,
    traced: Traced,
    original: Any,
    headers_of: HeadersOf,
    options: Options,
    method: bool = True,
) -> Any:
    """Return *original* with a span around each call, the child of the span that sent the message it handles.

    *headers_of* gets the call's arguments, and returns the message's headers, or None where the active span is to be
    the parent. *options* are those that say whether it is.
    """
    around = traced.wrapper(original, method=method)

    def handling(*args: Any, **kwargs: Any) -> Any:
        context = None
        with guarded:
            if integration.patched and options.distributed_tracing:
                context = context_of(headers_of(*args, **kwargs))
        if context is None:
            return around(*args, **kwargs)
        before = active.get()
        active.set(context)
        try:
            return around(*args, **kwargs)
        finally:
            active.set(before)

    return handling


def takes(integration: Integration, traced: Traced, original: Any, headers_of: HeadersOf, options: Options) -> Any:
    """Return *original*, a method that returns a message or None, with a span for each call that got one.

    *headers_of* gets the instance and the message, as what describes the call does, and returns the message's headers.
    """

    def taking(self: Any, *args: Any, **kwargs: Any) -> Any:
        asked_ns = monotonic_ns()
        message = original(self, *args, **kwargs)
        if message is not None and integration.patched:
            with guarded:
                _taken(
                    traced, self, message, asked_ns, headers_of(self, message) if options.distributed_tracing else None
                )
        return message

    return taking


def _taken(traced: Traced, owner: Any, message: Any, asked_ns: int, headers: Mapping[Any, Any] | None) -> None:
    """Make the span of a message that is there by now: only with it came the span's parent."""
    outside = active.get()
    context = context_of(headers)
    if context is not None:
        active.set(context)
    try:
        call = traced.begin(owner, message)
        if call is not None:
            call.span.start_ns -= monotonic_ns() - asked_ns
            if context is not None and outside is not None:
                call.span.link_span(outside.context if isinstance(outside, Span) else outside)
            traced.end(call, None)
    finally:
        active.set(outside)


def link_all(call: Call, batch: Iterable[Mapping[Any, Any] | Iterable[tuple[Any, Any]] | None]) -> None:
    """Link the span of who takes several messages to the spans that sent them; *batch* are the headers of each."""
    if call.options.distributed_tracing:
        for headers in batch:
            context = context_of(headers)
            if context is not None and context.trace_id:
                call.span.link_span(context)
