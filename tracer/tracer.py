"""The tracer: starts spans, knows which one is active, and hands finished ones on."""

from __future__ import annotations

import time

from ddmiddleware.tracing.accelerator import start, start_inside
from ddmiddleware.tracing.context import NEVER, Context, ContextProvider, active
from ddmiddleware.tracing.export.worker import Worker
from ddmiddleware.tracing.guard import guard
from ddmiddleware.tracing.ids import short_trace_id, trace_id
from ddmiddleware.tracing.log import warn
from ddmiddleware.tracing.noop import NOOP
from ddmiddleware.tracing.pipeline import Pipeline
from ddmiddleware.tracing.process import at_fork, process
from ddmiddleware.tracing.root import start_root
from ddmiddleware.tracing.sampling import Sampler
from ddmiddleware.tracing.services import follow, give_service, note_top_level
from ddmiddleware.tracing.settings import Settings
from ddmiddleware.tracing.settings import settings as default_settings
from ddmiddleware.tracing.span import Span

TYPE_CHECKING = False  # not typing's: its import costs more than all of ours
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, TypeVar

    from ddmiddleware.tracing.filters import TraceFilter
    from ddmiddleware.tracing.pipeline import Queue
    from ddmiddleware.tracing.provider import BaseContextProvider

    AnyCallable = TypeVar("AnyCallable", bound=Callable[..., Any])

# A program that never finishes what it starts must not keep all of it.
_OPEN_SPANS_MAX = 10_000


class Tracer:
    """Makes spans and delivers them; ``ddmiddleware.tracer`` is the one that all middleware and integrations use."""

    def __init__(
        self, settings: Settings | str = default_settings, dogstatsd_url: str | None = None, *, url: str | None = None
    ) -> None:
        """Make a tracer of its own *settings*; *url*, which may come first, and *dogstatsd_url* go before theirs."""
        if not isinstance(settings, Settings):
            url, settings = url or settings, default_settings
        if url is not None or dogstatsd_url is not None:
            settings = settings.changed(DD_TRACE_AGENT_URL=url, DD_DOGSTATSD_URL=dogstatsd_url)
        self.settings = settings
        self.enabled: bool = settings["DD_TRACE_ENABLED"]
        self.wrap_executor: Callable[..., Any] | None = None
        self._provider: ContextProvider | BaseContextProvider = ContextProvider()
        self.service: str = settings.service
        self._new_trace_id = trace_id if settings["DD_TRACE_128_BIT_TRACEID_GENERATION_ENABLED"] else short_trace_id
        self._baggage_tags: tuple[str, ...] = settings["DD_TRACE_BAGGAGE_TAG_KEYS"]
        settings.listen(lambda changed: follow(self, changed))
        self._tags: dict[str, object] = {}
        self._on_start: tuple[Callable[[Span], object], ...] = ()
        self._complained = False
        self._plain = True  # nothing has to be done to each new span
        self._sampler = Sampler(settings)
        self._worker = Worker(settings, self._sampler)
        self._pipeline = Pipeline(settings, self._worker, self._sampler)
        self.export = self._pipeline.process
        self.partial_flush_spans: float
        self.reconfigured()
        at_fork(before=self._forking, in_parent=self._forked_in_parent, in_child=self._forked)

    def trace(
        self, name: str, service: str | None = None, resource: str | None = None, span_type: str | None = None
    ) -> Span:
        """Start a span under the active one and make it the active one.

        Use it as a context manager, or call ``finish()``: an unfinished span is never sent.
        """
        if not self.enabled:
            return NOOP
        if self._plain:
            span = start_inside(name, resource, span_type, _OPEN_SPANS_MAX)
            if span is not None:
                if service:
                    give_service(span, service)
                return span
        if type(self._provider) is not ContextProvider:
            from ddmiddleware.tracing.provider import start_provided

            return start_provided(self, name, service, resource, span_type)
        previous = active.get()
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
        if isinstance(parent, Span) and parent.duration_ns is None:
            if not parent.trace_id:
                return parent  # a Silence: it stands for all that is inside
            if parent._trace.open >= _OPEN_SPANS_MAX:
                return self._start_afresh(name, service, resource, span_type, parent)
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
            if service:
                note_top_level(span, parent)
        else:
            span = start_root(self, name, service, resource, span_type, parent, previous)
        if self._tags:
            span.set_tags(self._tags)
        for hook in self._on_start:
            with guard:
                hook(span)
        return span

    def _start_afresh(
        self, name: str, service: str | None, resource: str | None, span_type: str | None, parent: Span
    ) -> Span:
        """Start a trace of its own, linked to *parent*, whose trace has too many open spans: let go of all of them."""
        if not self._complained:
            self._complained = True
            warn(
                "%d spans of one trace are open, %s the last; is finish() missing? What comes starts a new trace",
                _OPEN_SPANS_MAX,
                parent.name,
            )
        span = self._start(name, service, resource, span_type, None, None)
        span.link_span(parent.context)
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
        self._plain = False

    def on_start_span(self, func: Callable[[Span], object]) -> Callable[[Span], object]:
        """Call *func* with every span that starts from now on; usable as a decorator."""
        self._on_start = (*self._on_start, func)
        self._plain = False
        return func

    def deregister_on_start_span(self, func: Callable[[Span], object]) -> Callable[[Span], object]:
        """Call *func* no more."""
        self._on_start = tuple(hook for hook in self._on_start if hook != func)
        return func

    def configure(self, *given: Any, **options: Any) -> None:
        """Set in code what else the environment says, at any time; spans that wait to be sent are kept.

        *enabled*; *hostname*, *port*, *uds_path*, *https* of the agent; *api_version*; *partial_flush_enabled*,
        *partial_flush_min_spans*; *compute_stats_enabled*; *dogstatsd_url*; *context_provider*; *trace_processors*
        (a list of ``TraceFilter``), or 1.x's ``settings={"FILTERS": [...]}``; *wrap_executor*, called by ``wrap()``
        in place of the function. What ddtrace has beside these is accepted and reported as having no effect.
        What is given without a name is in 1.x's order, *enabled* first.
        """
        from ddmiddleware.tracing.configure import configure, named

        configure(self, named(given, options))

    def reconfigured(self) -> None:
        """Take over what is read from the settings but once."""
        partial = self.settings["DD_TRACE_PARTIAL_FLUSH_ENABLED"]
        self.partial_flush_spans = self.settings["DD_TRACE_PARTIAL_FLUSH_MIN_SPANS"] if partial else NEVER
        self._worker.reopen()

    def set_filters(self, filters: Sequence[TraceFilter]) -> None:
        """Let every chunk pass *filters* from now on, in their order."""
        self._pipeline.filters = list(filters)

    @property
    def context_provider(self) -> ContextProvider | BaseContextProvider:
        """Where the active span is kept."""
        return self._provider

    @context_provider.setter
    def context_provider(self, provider: ContextProvider | BaseContextProvider) -> None:
        self._provider = provider
        if type(provider) is not ContextProvider:
            self._plain = False

    @property
    def debug_logging(self) -> bool:
        """Whether ``DD_TRACE_DEBUG`` is on."""
        return bool(self.settings["DD_TRACE_DEBUG"])

    def get_log_correlation_context(self) -> dict[str, str]:
        """Return the keys that tie a log line to the active span, all text; ids are ``"0"`` without a span."""
        from ddmiddleware.tracing.logs import correlation

        return correlation(self)

    def sample(self, span: Span) -> None:
        """Decide now whether the trace of *span* is kept, by what its local root has so far; once decided, it stays.

        Without this it is decided when headers are written, or when the first spans of the trace are handed over.
        """
        span._trace.decide()

    @property
    def SHUTDOWN_TIMEOUT(self) -> float:  # ddtrace's name
        """How long ``shutdown`` waits, in seconds."""
        return float(self.settings["DD_TRACE_SHUTDOWN_TIMEOUT_SECONDS"])

    @property
    def agent_trace_url(self) -> str:
        """The address that traces are sent to."""
        return self.settings.agent_address

    def flush(self, timeout: float = 5.0) -> bool:
        """Send what is finished, in *timeout* seconds; return whether all since the last flush was delivered."""
        return self._worker.flush(time.monotonic() + timeout)

    def flush_stats(self, timeout: float = 5.0) -> bool:
        """Send the statistics of all that is finished (``DD_TRACE_STATS_COMPUTATION_ENABLED``), as ``flush`` does."""
        return self.flush(timeout)

    def shutdown(self, timeout: float | None = None) -> bool:
        """Send the rest, as ``flush`` does, and stop; *timeout* is ``DD_TRACE_SHUTDOWN_TIMEOUT_SECONDS`` where None."""
        if timeout is None:
            timeout = self.SHUTDOWN_TIMEOUT
        return self._worker.stop(time.monotonic() + timeout)

    def load(self) -> None:
        """Import what sending needs, which otherwise the first sending does: for who forks many that send."""
        from ddmiddleware.tracing import redaction  # noqa: F401  # it is needed, not used here
        from ddmiddleware.tracing.export.choice import load

        load(self.settings)

    def divert(self, queue: Queue) -> Queue:
        """Put what finishes from now on into *queue* instead of sending it; return where it went before."""
        before, self._pipeline.worker = self._pipeline.worker, queue
        return before

    def stats(self) -> dict[str, int]:
        """Return what was sent, is waiting and was dropped, in spans, and how often an error of ours was caught."""
        return self._worker.stats()

    def _forking(self) -> None:
        found = self.context_provider.active()
        if isinstance(found, Span):
            found._trace.decide()  # what the child goes on with has to agree with us
        self._worker.rest()

    def _forked_in_parent(self) -> None:
        self._worker.go_on()

    def _forked(self) -> None:
        """Leave the parent's spans to the parent: what it had open is a remote parent here."""
        parents, self._worker = self._worker, Worker(self.settings, self._sampler)
        self._pipeline.worker = self._worker
        parents.disown()
        inherited = self.context_provider.active()
        if isinstance(inherited, Span):
            active.set(inherited.context.copy())
