"""Several formats together: which context leads where a request carries more than one, and what is written."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from collections.abc import Set as AbstractSet
from functools import partial

from ddmiddleware.tracing.constants import LAST_PARENT_KEY
from ddmiddleware.tracing.context import Context
from ddmiddleware.tracing.events import link
from ddmiddleware.tracing.log import warn
from ddmiddleware.tracing.propagation import baggage, datadog, tracecontext
from ddmiddleware.tracing.propagation.styles import DATADOG, STYLES, TRACECONTEXT, Inject, Style, chosen
from ddmiddleware.tracing.settings import Settings

_LOW_64 = (1 << 64) - 1
_ALL_128 = (1 << 128) - 1
_BAGGAGE_EXPECTED = "key=value;property,key=value of ASCII with percent-encoding, as W3C Baggage has it"
_LEADING = frozenset(style.leading for style in STYLES.values())
_complained: set[str] = set()


class Propagator:
    """Reads and writes the headers that *settings* choose.

    *extracted* are the names of the headers that ``extract`` looks at, in lower case, and all those that begin with
    *prefix*, where that is not empty. Nothing is found where a request has none of the names in *leading* and none with
    the prefix. *mark* is the written header whose value differs from span to span, or ``""``.
    """

    def __init__(self, settings: Settings) -> None:
        behavior: str = settings["DD_TRACE_PROPAGATION_BEHAVIOR_EXTRACT"]
        self._restarts = behavior == "restart"
        self._first_only: bool = settings["DD_TRACE_PROPAGATION_EXTRACT_FIRST"]
        reported: set[str] = set()
        read, self._reads_baggage = chosen(settings, "EXTRACT", reported)
        written, self._writes_baggage = chosen(settings, "INJECT", reported)
        if behavior == "ignore":
            read, self._reads_baggage = [], False
        self._styles = read
        older: bool = settings["DD_TRACE_PROPAGATION_HTTP_BAGGAGE_ENABLED"]
        self._reads_older = older and DATADOG in self._styles
        self._writes_older = older and DATADOG in written
        tags_max = settings["DD_TRACE_X_DATADOG_TAGS_MAX_LENGTH"]
        self._of_traces = _LEADING.union(*(style.names for style in written))
        self._write: list[Inject] = [
            partial(datadog.inject, tags_max=tags_max) if style is DATADOG else style.inject for style in written
        ]
        names = {name for style in self._styles for name in style.names}
        leading = {style.leading for style in self._styles}
        if any(style.name == "b3multi" for style in self._styles):
            leading.update(("x-b3-sampled", "x-b3-flags"))
        if self._reads_baggage:
            names.add(baggage.NAME)
            leading.add(baggage.NAME)
        self.extracted = frozenset(names)
        self.leading = frozenset(leading)
        self.prefix = baggage.LEGACY_PREFIX if self._reads_older else ""
        marks = [style.mark for style in written] + [baggage.NAME] * self._writes_baggage
        self.mark = "traceparent" if "traceparent" in marks else "".join(marks[:1])

    def extract(self, headers: Mapping[str, str]) -> Context | None:
        """Return the context that *headers* (names in lower case) continue, or None; malformed ones count as absent.

        It has no trace id where they carry no more than baggage or a sampling decision, or where
        ``DD_TRACE_PROPAGATION_BEHAVIOR_EXTRACT`` is ``restart``.
        """
        try:
            context = self._read_trace(headers)
            if self._reads_baggage or self._reads_older:
                found = self._read_baggage(headers)
                if found:
                    if context is None:
                        return Context(baggage=found)
                    context._propagated.baggage = found
        except (AttributeError, TypeError):  # a value that is no text
            return None
        return context

    def _read_trace(self, headers: Mapping[str, str]) -> Context | None:
        """Let the first style with a valid context lead.

        Another trace than its own is linked. The W3C's headers of the same trace contribute other vendors' tracestate,
        and their parent, because a vendor between two Datadog services writes only those.
        """
        found: Context | None = None
        undecided: Context | None = None
        leads = links = datadog_parent = None
        for style in self._styles:
            context = tracecontext.extract(headers, found) if style is TRACECONTEXT else style.extract(headers)
            if context is None:
                if headers.get(style.leading):
                    _complain(style.leading, headers, style.expected)
                continue
            if not context.trace_id:
                undecided = undecided or context
            elif found is None:
                found, leads = context, style
                if self._first_only:
                    break
                if style is DATADOG:
                    datadog_parent = context.span_id
            elif context.trace_id != found.trace_id and not _is_half(context, found):
                links = _linked(links, context, style, headers, "terminated_context")
            elif style is DATADOG:
                datadog_parent = context.span_id
            elif style is TRACECONTEXT:
                _join(found, context, datadog_parent)
        if self._restarts:
            if found is None or leads is None:
                return None
            first = _linked(None, found, leads, headers, "propagation_behavior_extract")
            return Context(links=[*(first or ()), *(links or ())])
        if found is None:
            return undecided
        if links:
            found._links = links
        return found

    def _read_baggage(self, headers: Mapping[str, str]) -> dict[str, str]:
        found = baggage.extract_legacy(headers) if self._reads_older else {}
        header = headers.get(baggage.NAME) if self._reads_baggage else None
        if header:
            items = baggage.extract(header)
            if items is None:
                _complain(baggage.NAME, headers, _BAGGAGE_EXPECTED)
            else:
                found.update(items)
        return found

    def inject(self, context: Context) -> dict[str, str]:
        """Return the headers that let another service continue *context*; of one without ids its baggage alone."""
        headers: dict[str, str] = {}
        trace_id, span_id = context.trace_id, context.span_id
        carried = context._propagated
        if trace_id and span_id and 0 < trace_id <= _ALL_128 and 0 < span_id <= _LOW_64:
            carried.decide()  # at the latest: from now on others go by what they read
            for write in self._write:
                write(context, headers)
        if carried.baggage:
            if self._writes_baggage:
                baggage.inject(carried.baggage, headers)
            if self._writes_older:
                baggage.inject_legacy(carried.baggage, headers)
        return headers

    def inject_into(self, context: Context, headers: MutableMapping[str, str]) -> dict[str, str]:
        """Add the headers of *context* to those of an outgoing request; return what was added.

        What the caller set stays: with one header of a trace context there, of whatever style, nothing is added, and
        where baggage is there, none is.
        """
        ours = self.to_add(context, {name.lower() for name in headers if isinstance(name, str)})
        for name, value in ours.items():
            headers[name] = value
        return ours

    def to_add(self, context: Context, there: AbstractSet[str]) -> dict[str, str]:
        """Return what ``inject_into`` adds where *there* are headers of these names, in lower case."""
        ours = self.inject(context)
        if not self._of_traces.isdisjoint(there):
            return {}
        for name in ours.keys() & there:
            del ours[name]
        return ours


def _is_half(context: Context, found: Context) -> bool:
    """Return whether both ids are of one trace, of which somebody kept the low 64 bits; *found* gets the whole."""
    one, other = context.trace_id or 0, found.trace_id or 0
    if (one ^ other) & _LOW_64 or (one >> 64 and other >> 64):
        return False
    found.trace_id = max(one, other)
    return True


def _join(found: Context, w3c: Context, datadog_parent: int | None) -> None:
    carried, theirs = found._propagated, w3c._propagated
    carried.tracestate = theirs.tracestate
    carried.random = theirs.random
    if found.span_id != w3c.span_id:
        last = theirs.tags.get(LAST_PARENT_KEY) or (datadog_parent and f"{datadog_parent:016x}")
        if last:
            carried.tags[LAST_PARENT_KEY] = last
        found.span_id = w3c.span_id


def _linked(
    links: list[dict[str, object]] | None, context: Context, style: Style, headers: Mapping[str, str], reason: str
) -> list[dict[str, object]] | None:
    """Add a link to *context*."""
    if not context.span_id:
        return links
    state = None
    if style is TRACECONTEXT:
        state = tracecontext.within_limits(tracecontext.members(headers.get("tracestate", "")))
    priority = context._propagated.priority
    attributes = {"reason": reason, "context_headers": style.name}
    flags = None if priority is None else int(priority > 0)
    return [*(links or ()), link(context.trace_id or 0, context.span_id, state, flags, attributes)]


def _complain(name: str, headers: Mapping[str, str], expected: str) -> None:
    """Say that a caller's header is malformed, once per header: others decide how often that comes."""
    if name not in _complained:
        _complained.add(name)
        warn("the request header %s is malformed and ignored: %r is not %s", name, headers[name][:80], expected)
