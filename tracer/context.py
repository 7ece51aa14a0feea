"""Where a trace stands: the context that travels in headers, and the state that the spans of one local trace share."""

from __future__ import annotations

from contextvars import ContextVar
from time import monotonic_ns, time_ns

from ddmiddleware.tracing.constants import DECISION_MAKER, USER_ID
from ddmiddleware.tracing.process import process
from ddmiddleware.tracing.text import text

TYPE_CHECKING = False  # not typing's: its import costs more than all of ours
if TYPE_CHECKING:
    from _weakref import ref
    from typing import Any

    from ddmiddleware.tracing.span import Span
    from ddmiddleware.tracing.tracer import Tracer


_BY_HAND = "-4"
_PRIORITIES = 1000  # as many as three digits of a header hold


class Propagated:
    """What a trace carries beside its ids, from service to service."""

    __slots__ = ("baggage", "origin", "priority", "random", "tags", "tracestate")

    def __init__(
        self,
        priority: int | None = None,
        origin: str | None = None,
        tags: dict[str, str] | None = None,
        baggage: dict[str, str] | None = None,
        tracestate: str = "",
        random: bool = False,
    ) -> None:
        self.priority = priority
        self.origin = origin
        self.tags = tags or {}
        self.baggage = baggage or {}
        self.tracestate = tracestate
        # Whether the low 56 bits of the trace id are known to be random (W3C Trace Context, section 3.2.2.3.2).
        self.random = random

    def decide(self) -> None:
        """Do nothing: whether a trace that began elsewhere is kept is decided there, or by who goes on with it."""

    def set_priority(self, priority: int | None) -> None:
        """Take over a decision."""
        self.priority = priority


# How many spans of a trace are finished before they are sent without the others, where that is switched off.
NEVER = float("inf")


class LocalTrace(Propagated):
    """The spans of one trace that one process makes under one local root."""

    __slots__ = ("clock_offset", "discarded", "finished", "flush_at", "open", "pid", "root", "tracer")

    def __init__(self, tracer: Tracer, remote: Propagated | None) -> None:
        if remote is None:
            self.priority: int | None = None
            self.origin: str | None = None
            self.tags: dict[str, str] = {}
            self.baggage: dict[str, str] = {}
            self.tracestate = ""
            self.random = False
        else:
            self.priority = remote.priority
            self.origin = remote.origin
            self.tags = dict(remote.tags)
            self.baggage = dict(remote.baggage)
            self.tracestate = remote.tracestate
            self.random = remote.random
        self.tracer = tracer
        self.flush_at = tracer.partial_flush_spans
        self.open = 0
        self.finished: list[Span] = []
        self.root: ref[Span] | None = None  # the local root, where the sampler will look at it
        self.discarded = False  # rejected by a rule that says not to send it either
        self.pid = process.pid  # after a fork, what was open belongs to the parent process and is sent by it alone
        # One offset for all spans of the trace: a clock that is set while it runs cannot bend it.
        self.clock_offset = time_ns() - monotonic_ns()

    def decide(self) -> None:
        """Decide now whether the trace is kept, unless that is done."""
        if self.priority is None:
            self.tracer._sampler.decide(self)

    def set_priority(self, priority: int | None) -> None:
        """Take a user's own decision, which wins over every rule; None takes it back."""
        self.priority = priority
        if priority is not None and priority > 0:
            self.tags[DECISION_MAKER] = _BY_HAND
        else:
            self.tags.pop(DECISION_MAKER, None)


class Context:
    """The ids of a span, and what its trace carries; picklable, so that another process can go on from it.

    *trace_id* is 128 bits wide, *span_id* 64; *sampling_priority* is one of -1, 0, 1, 2 or None where undecided.
    """

    __slots__ = ("_links", "_propagated", "span_id", "trace_id")

    def __init__(
        self,
        trace_id: int | None = None,
        span_id: int | None = None,
        dd_origin: str | None = None,
        sampling_priority: int | None = None,
        meta: dict[str, str] | None = None,
        baggage: dict[str, str] | None = None,
        tracestate: str = "",
        random: bool = False,
        links: list[dict[str, object]] | None = None,
        propagated: Propagated | None = None,
        *,
        metrics: object = None,
        lock: object = None,
        is_remote: bool = True,
    ) -> None:
        """*metrics*, *lock* and *is_remote* are accepted for ddtrace's sake, and have no effect."""
        self.trace_id = trace_id
        self.span_id = span_id
        self._links = links  # what the first span under it is linked to
        if propagated is None:
            propagated = Propagated(_priority(sampling_priority), dd_origin, meta, baggage, tracestate, random)
        self._propagated = propagated

    @property
    def sampling_priority(self) -> int | None:
        """The sampling decision, shared by all spans of the local trace; reading it decides nothing.

        Setting it decides by hand, as ``manual.keep`` and ``manual.drop`` do. What is no priority is ignored.
        """
        return self._propagated.priority

    @sampling_priority.setter
    def sampling_priority(self, priority: int | None) -> None:
        if priority is None or _priority(priority) is not None:
            self._propagated.set_priority(_priority(priority))

    @property
    def dd_origin(self) -> str | None:
        """What started the trace (``synthetics``, ``rum``), if that was said."""
        return self._propagated.origin

    @dd_origin.setter
    def dd_origin(self, origin: str | None) -> None:
        self._propagated.origin = origin

    @property
    def dd_user_id(self) -> str | None:
        """The user on whose behalf the trace runs, which travels in its headers; None where nobody said."""
        encoded = self._propagated.tags.get(USER_ID)
        if not encoded:
            return None
        from binascii import a2b_base64

        try:
            return a2b_base64(encoded).decode() or None
        except ValueError:  # another tracer's mistake
            return None

    @dd_user_id.setter
    def dd_user_id(self, user_id: str | None) -> None:
        if user_id is None:
            self._propagated.tags.pop(USER_ID, None)
        else:
            from binascii import b2a_base64

            self._propagated.tags[USER_ID] = b2a_base64(text(user_id).encode(errors="replace"), newline=False).decode()

    def set_baggage_item(self, key: str, value: str) -> None:
        """Set a text that travels with the trace from now on."""
        self._propagated.baggage[key] = value

    def get_baggage_item(self, key: str) -> str | None:
        """Return a baggage text, or None."""
        return self._propagated.baggage.get(key)

    def get_all_baggage_items(self) -> dict[str, str]:
        """Return a copy of the baggage."""
        return dict(self._propagated.baggage)

    def remove_baggage_item(self, key: str) -> None:
        """Drop one baggage text; a missing one is no error."""
        self._propagated.baggage.pop(key, None)

    def remove_all_baggage_items(self) -> None:
        """Drop all baggage."""
        self._propagated.baggage.clear()

    def copy(self) -> Context:
        """Return a context that shares nothing with this one."""
        return Context(*self.__reduce__()[1])

    def __reduce__(self) -> tuple[type[Context], tuple[Any, ...]]:
        self._propagated.decide()  # who goes on with the copy has to agree with us
        return Context, self._values()

    def _values(self) -> tuple[Any, ...]:
        carried = self._propagated
        return (
            self.trace_id,
            self.span_id,
            carried.origin,
            carried.priority,
            dict(carried.tags),
            dict(carried.baggage),
            carried.tracestate,
            carried.random,
            self._links and list(self._links),
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Context) and self._values() == other._values()

    __hash__ = None  # type: ignore[assignment]  # mutable, compared by value

    def __repr__(self) -> str:
        return f"Context(trace_id={self.trace_id}, span_id={self.span_id}, priority={self.sampling_priority})"


def _priority(value: object) -> int | None:
    return int(value) if isinstance(value, int) and -_PRIORITIES < value < _PRIORITIES else None


def context_of(trace_id: int, span_id: int, trace: LocalTrace) -> Context:
    """Return the context of a span; calling the class takes four times as long."""
    context = Context.__new__(Context)
    context.trace_id = trace_id
    context.span_id = span_id
    context._links = None
    context._propagated = trace
    return context


active: ContextVar[Span | Context | None] = ContextVar("ddmiddleware_active", default=None)


class ContextProvider:
    """The active span or context, as an object with ddtrace's interface."""

    def active(self) -> Span | Context | None:
        """Return the span or remote context that a new span would have as its parent, or None."""
        found = active.get()
        while found is not None and not isinstance(found, Context) and found.finished:
            found = found._parent
        return found

    def activate(self, ctx: Span | Context | None) -> Span | Context | None:
        """Make *ctx* the parent of what starts next in this thread or task."""
        active.set(ctx)
        return ctx

    __call__ = active
