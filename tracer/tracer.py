"""The tracer: starts spans, knows which one is active, and hands finished ones on."""

from __future__ import annotations

import time

from ddmiddleware.tracing.constants import AUTO_KEEP, DECISION_MAKER
from ddmiddleware.tracing.context import Context, ContextProvider, LocalTrace, active
from ddmiddleware.tracing.export.worker import Worker
from ddmiddleware.tracing.ids import trace_id
from ddmiddleware.tracing.noop import NOOP
from ddmiddleware.tracing.pipeline import Pipeline
from ddmiddleware.tracing.process import at_fork, process
from ddmiddleware.tracing.settings import Settings
from ddmiddleware.tracing.settings import settings as default_settings
from ddmiddleware.tracing.span import Span
from ddmiddleware.tracing.start import start

TYPE_CHECKING = False  # not typing's: its import costs more than all of ours
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, TypeVar

    AnyCallable = TypeVar("AnyCallable", bound=Callable[..., Any])


class Tracer:
    """Makes spans and delivers them; ``ddmiddleware.tracer`` is the one that all middleware and integrations use."""

    def __init__(self, settings: Settings = default_settings) -> None:
        self.settings = settings
        self.enabled: bool = settings["DD_TRACE_ENABLED"]
        self.context_provider = ContextProvider()
        self.partial_flush_spans: float = (
            settings["DD_TRACE_PARTIAL_FLUSH_MIN_SPANS"] if settings["DD_TRACE_PARTIAL_FLUSH_ENABLED"] else float("inf")
        )
        self.service: str = settings.service
        self._tags: dict[str, object] = {}
        self._worker = Worker(settings)
        self._pipeline = Pipeline(settings, self._worker)
        self.export = self._pipeline.process
        at_fork(before=self._forking, in_parent=self._forked_in_parent, in_child=self._forked)

    def trace(
        self, name: str, service: str | None = None, resource: str | None = None, span_type: str | None = None
    ) -> Span:
        """Start a span under the active one and make it the active one.

        Use it as a context manager, or call ``finish()``: an unfinished span is never sent.
        """
        if not self.enabled:
            return NOOP
        previous = active.get()
        if type(previous) is Span and previous.duration_ns is None and not self._tags:
            # What _start does, once more: most spans begin here, and every call counts.
            span = start(
                name,
                service or previous.service,
                resource,
                span_type,
                previous._trace,
                previous.trace_id,
                previous.span_id,
                previous,
                previous,
            )
        else:
            span = self._start(name, service, resource, span_type, previous, previous)
        active.set(span)
        return span

    def start_span(
        self,
        name: str,
        child_of: Span | Context | None = None,
        service: str | None = None,
        resource: str | None = None,
        span_type: str | None = None,
        activate: bool = False,
    ) -> Span:
        """Start a span under *child_of*, or a new trace where that is None; active only if *activate* says so."""
        if not self.enabled:
            return NOOP
        previous = active.get() if activate else None
        if isinstance(child_of, Span) and (child_of.finished or child_of._trace.pid != process.pid):
            child_of = child_of.context  # said so explicitly: obeyed, in a trace of this process
        span = self._start(name, service, resource, span_type, child_of, previous)
        if activate:
            active.set(span)
        return span

    def _start(
        self,
        name: str,
        service: str | None,
        resource: str | None,
        span_type: str | None,
        parent: Span | Context | None,
        previous: Span | Context | None,
    ) -> Span:
        if parent.__class__ is Span and parent.duration_ns is None:
            span = start(
                name,
                service or parent.service,
                resource,
                span_type,
                parent._trace,
                parent.trace_id,
                parent.span_id,
                parent,
                previous,
            )
        else:
            span = self._start_root(name, service, resource, span_type, parent, previous)
        if self._tags:
            span.set_tags(self._tags)
        return span

    def _start_root(
        self,
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
                return self._start(name, service, resource, span_type, parent, previous)
        if isinstance(parent, Context) and parent.trace_id:
            trace = LocalTrace(self, parent._propagated)
            ids = parent.trace_id, parent.span_id or None
        else:
            trace = LocalTrace(self, None if parent is None else parent._propagated)
            ids = trace_id(), None
        if trace.priority is None:
            trace.priority = AUTO_KEEP
            trace.tags.setdefault(DECISION_MAKER, "-0")
        span = start(name, service or self.service, resource, span_type, trace, ids[0], ids[1], None, previous)
        if ended is not None:
            span.link_span(ended.context)
        return span

    def wrap(
        self,
        name: str | None = None,
        service: str | None = None,
        resource: str | None = None,
        span_type: str | None = None,
    ) -> Callable[[AnyCallable], AnyCallable]:
        """Decorate a function, coroutine function, generator or async generator so that each call is a span.

        The name is ``module.function`` where none is given.
        """
        from ddmiddleware.tracing.wrapping import wrap

        return lambda function: wrap(self, function, name, service, resource, span_type)

    def current_span(self) -> Span | None:
        """Return the active span, or None where there is none or only a remote context."""
        found = self.context_provider.active()
        return found if isinstance(found, Span) else None

    def current_root_span(self) -> Span | None:
        """Return the first span of the active trace in this process, or None."""
        span = self.current_span()
        return None if span is None else span.local_root

    def current_trace_context(self) -> Context | None:
        """Return the context that a new span would continue, to hand on to another thread or process; or None."""
        found = self.context_provider.active()
        return found.context if isinstance(found, Span) else found

    def set_tags(self, tags: Mapping[str, object]) -> None:
        """Give *tags* to every span that starts from now on."""
        self._tags.update(tags)

    def get_log_correlation_context(self) -> dict[str, str]:
        """Return the keys that tie a log line to the active span, all text; ids are ``"0"`` without a span."""
        from ddmiddleware.tracing.logs import correlation

        return correlation(self)

    @property
    def agent_trace_url(self) -> str:
        """The address that traces are sent to."""
        return self.settings.agent_address

    def flush(self, timeout: float = 5.0) -> bool:
        """Send what is finished, and wait up to *timeout* seconds; return whether all of it was delivered."""
        return self._worker.flush(time.monotonic() + timeout)

    def shutdown(self, timeout: float | None = None) -> bool:
        """Send the rest and stop, within *timeout* seconds (``DD_TRACE_SHUTDOWN_TIMEOUT_SECONDS`` where None)."""
        if timeout is None:
            timeout = self.settings["DD_TRACE_SHUTDOWN_TIMEOUT_SECONDS"]
        return self._worker.stop(time.monotonic() + timeout)

    def stats(self) -> dict[str, int]:
        """Return what was sent, is waiting and was dropped, in spans, and how often an error of ours was caught."""
        return self._worker.stats()

    def _forking(self) -> None:
        self._worker.rest()

    def _forked_in_parent(self) -> None:
        self._worker.go_on()

    def _forked(self) -> None:
        """Leave the parent's spans to the parent: what it had open is a remote parent here."""
        parents, self._worker = self._worker, Worker(self.settings)
        self._pipeline.worker = self._worker
        parents.disown()
        inherited = self.context_provider.active()
        if isinstance(inherited, Span):
            active.set(inherited.context.copy())
