"""What ``Tracer.wrap`` does to each kind of callable; all else about it stays as it was.

The span of a generator is active only while the generator runs, never in the code that consumes it.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ddmiddleware.tracing.context import Context, active

if TYPE_CHECKING:
    from ddmiddleware.tracing.span import Span
    from ddmiddleware.tracing.tracer import Tracer


def wrap(
    tracer: Tracer,
    function: Any,
    name: str | None,
    service: str | None,
    resource: str | None,
    span_type: str | None,
) -> Any:
    """Return *function* with a span around each call: still a function, coroutine function or generator function."""
    if isinstance(function, (staticmethod, classmethod)):
        return type(function)(wrap(tracer, function.__func__, name, service, resource, span_type))
    attribute = "__qualname__" if tracer.settings["DD_TRACE_WRAP_SPAN_NAME_INCLUDE_CLASS"] else "__name__"
    span_name = name or f"{function.__module__}.{getattr(function, attribute, type(function).__name__)}"

    def begin() -> Span:
        return tracer.trace(span_name, service, resource, span_type)

    if inspect.iscoroutinefunction(function):
        kind = _coroutine(begin, function)
    elif inspect.isasyncgenfunction(function):
        kind = _async_generator(begin, function)
    elif inspect.isgeneratorfunction(function):
        kind = _generator(begin, function)
    else:
        kind = _plain(begin, function, tracer, span_name, service=service, resource=resource, span_type=span_type)
    return functools.wraps(function)(kind)


def _plain(
    begin: Callable[[], Span], function: Any, tracer: Tracer, span_name: str, **described: str | None
) -> Callable[..., Any]:
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if tracer.wrap_executor is not None:
            return tracer.wrap_executor(tracer, function, args, kwargs, span_name, **described)
        with begin():
            return function(*args, **kwargs)

    return wrapper


def _coroutine(begin: Callable[[], Span], function: Any) -> Callable[..., Any]:
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        with begin():
            return await function(*args, **kwargs)

    return wrapper


class _Step:
    """Activates a generator's span for one step, with whatever the generator itself had active when it last yielded."""

    def __init__(self, span: Span) -> None:
        self.span = span
        self.inside: Span | Context | None = span

    def __enter__(self) -> None:
        self.outside = active.get()
        active.set(self.inside)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.inside = active.get()
        if error is not None:
            if not isinstance(error, (StopIteration, StopAsyncIteration)):
                self.span.set_exc_info(kind, error, tb)
            self.span.finish()
        active.set(self.outside)


def _begin_suspended(begin: Callable[[], Span]) -> _Step:
    outside = active.get()
    step = _Step(begin())
    active.set(outside)
    return step


def _generator(begin: Callable[[], Span], function: Any) -> Callable[..., Any]:
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        generator = function(*args, **kwargs)
        step = _begin_suspended(begin)
        resume, argument = generator.send, None
        while True:
            try:
                with step:
                    value = resume(argument)
            except StopIteration as stop:
                return stop.value
            finally:
                argument = None  # a thrown error holds this frame: it must not be held by it
            try:
                argument = yield value
                resume = generator.send
            except BaseException as error:  # close() too: it throws GeneratorExit
                resume, argument = generator.throw, error

    return wrapper


def _unseen(asend: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return *asend* for a first step that the event loop does not see: it would close the generator beside us."""

    def first(argument: Any) -> Any:
        hooks = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(None, None)
        try:
            return asend(argument)
        finally:
            sys.set_asyncgen_hooks(*hooks)

    return first


def _async_generator(begin: Callable[[], Span], function: Any) -> Callable[..., Any]:
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        generator = function(*args, **kwargs)
        step = _begin_suspended(begin)
        resume, argument = _unseen(generator.asend), None
        while True:
            try:
                with step:
                    value = await resume(argument)
            except StopAsyncIteration:
                return
            finally:
                argument = None
            try:
                argument = yield value
                resume = generator.asend
            except BaseException as error:  # aclose() too: it throws GeneratorExit
                resume, argument = generator.athrow, error

    return wrapper
