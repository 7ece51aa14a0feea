"""A trace in the headers of whatever transport, under the names of ``ddtrace.propagation.http``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping

from ddmiddleware.tracing import (
    EXTRACTED_HEADERS,
    EXTRACTED_PREFIX,
    Context,
    Span,
    extract_headers,
    guarded,
    written_headers,
)

__all__ = ["HTTPPropagator"]

_NAME_MAX = 256
_VALUES_MAX = 64


class HTTPPropagator:
    """Carries a trace by hand, where no integration does it: through a queue, or a client that is not supported."""

    @staticmethod
    def inject(
        span_context: Context | Span | None, headers: MutableMapping[str, str], non_active_span: Span | None = None
    ) -> None:
        """Write the headers that continue *span_context* into *headers*, in lower case.

        They take the place of those of the same names, in whatever case: what is called by hand means it. With
        *non_active_span* that span is continued instead. Nothing is raised.
        """
        source = span_context if non_active_span is None else non_active_span
        context = source.context if isinstance(source, Span) else source
        if not isinstance(context, Context):
            return
        with guarded:
            ours = written_headers(context)
            for name in [name for name in headers if isinstance(name, str) and name not in ours]:
                if name.lower() in ours:
                    del headers[name]
            headers.update(ours)

    @staticmethod
    def extract(headers: Mapping[str, object] | Iterable[tuple[object, object]]) -> Context:
        """Return the context that *headers* carry, one without ids where they carry none.

        Names match in any case, and as WSGI spells them (``HTTP_TRACEPARENT``); names and values may be bytes, values
        lists of text. What is neither counts as absent. Nothing is raised.
        """
        context = None
        with guarded:
            found: dict[str, str] = {}
            for name, value in _text_pairs(headers):
                # RFC 9110, section 5.3: a repeated header is a list. Where there must be one, none is valid then.
                found[name] = f"{found[name]},{value}" if found.get(name, value) != value else value
            context = extract_headers(found)
        return Context() if context is None else context


def _text_pairs(headers: object) -> Iterator[tuple[str, str]]:
    items = getattr(headers, "items", None)
    pairs = items() if callable(items) else headers
    if not isinstance(pairs, Iterable):
        return
    for pair in pairs:
        if isinstance(pair, (tuple, list)) and len(pair) == 2:
            name, value = _name(pair[0]), _value(pair[1])
            if name and value:
                yield name, value


def _name(given: object) -> str:
    """Return the name as we look for it, or ``""`` where it is of no use."""
    name = given.decode("latin-1") if isinstance(given, bytes) else given
    if not isinstance(name, str) or len(name) > _NAME_MAX:
        return ""
    name = name.lower()
    if name.startswith("http_"):
        name = name[5:].replace("_", "-")
    wanted = name in EXTRACTED_HEADERS or (EXTRACTED_PREFIX and name.startswith(EXTRACTED_PREFIX))
    return name if wanted else ""


def _value(given: object) -> str:
    if isinstance(given, str):
        return given
    if isinstance(given, bytes):
        return given.decode("latin-1")
    if isinstance(given, int) and not isinstance(given, bool) and given.bit_length() <= 64:
        return str(given)
    if isinstance(given, (list, tuple)):
        return ",".join(filter(None, (_value(each) for each in given[:_VALUES_MAX] if isinstance(each, (str, bytes)))))
    return ""
