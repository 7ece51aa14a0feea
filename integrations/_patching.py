"""The one place that changes other people's code.

An integration describes calls; this module puts a function in the place of a function, makes the span, calls the
original exactly once with what the caller passed, keeps every error of ours away from the application, and undoes it.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, MutableMapping
from functools import partial
from typing import Any

import wrapt

from ddmiddleware.integrations._history import Event, event
from ddmiddleware.integrations._options import Options, options_of
from ddmiddleware.integrations._pin import Pin
from ddmiddleware.integrations._replacement import Replacement, observer
from ddmiddleware.integrations._versions import supported
from ddmiddleware.tracing import Span, default_settings, default_tracer, guarded, inject_headers, warn


class Call:
    """One call of a patched function, as an integration sees it: what was passed, and the span that stands for it.

    Text goes to ``tags``, numbers to ``metrics``.
    """

    __slots__ = ("_args", "_first", "_kwargs", "metrics", "options", "span", "tags")

    def __init__(self, args: tuple[Any, ...], kwargs: dict[str, Any], first: int, options: Options) -> None:
        self.options = options
        self.span: Span
        self.tags: dict[str, str]
        self.metrics: dict[str, float]
        self._args = args
        self._kwargs = kwargs
        self._first = first

    @property
    def self(self) -> Any:
        """The instance that the method was called on."""
        return self._args[0]

    @property
    def args(self) -> tuple[Any, ...]:
        """The positional arguments, without ``self``."""
        return self._args[self._first :]

    def arg(self, position: int, name: str, default: Any = None) -> Any:
        """Return an argument, however the caller passed it; *position* does not count ``self``."""
        position += self._first
        return self._args[position] if len(self._args) > position else self._kwargs.get(name, default)

    def inject(self, headers: MutableMapping[str, str]) -> tuple[str, ...]:
        """Add the headers that continue the trace, and return their names.

        A trace context and a baggage that the caller set itself stay as they are.
        """
        return inject_headers(self.span.context, headers)


Describe = Callable[[Call], None]
DescribeResult = Callable[[Call, Any], None]
When = Callable[..., bool]


class Traced:
    """A kind of call that makes a span: its name and type, and the functions that describe it."""

    def __init__(
        self, integration: Integration, name: str, span_type: str | None, describe: Describe, when: When | None = None
    ) -> None:
        """*when* gets a call's arguments and says whether it makes a span; None means that each does."""
        self._integration = integration
        self._name = name
        self._span_type = span_type
        self.describe = describe
        self._when = when
        self._describe_result: DescribeResult | None = None

    def returned(self, describe_result: DescribeResult) -> DescribeResult:
        """Decorate the function that reads the result of the call."""
        self._describe_result = describe_result
        return describe_result

    def wrapper(self, original: Any, *, method: bool = True) -> Any:
        """Return a function of the same kind as *original* that makes a span around each call of it."""
        first = 1 if method else 0
        begin, succeeded, failed = self._begin, self._succeeded, self._failed
        if inspect.iscoroutinefunction(original):

            async def around_async(*args: Any, **kwargs: Any) -> Any:
                call = begin(args, kwargs, first)
                if call is None:
                    return await original(*args, **kwargs)
                try:
                    result = await original(*args, **kwargs)
                except BaseException as error:
                    failed(call, error)
                    raise
                succeeded(call, result)
                return result

            return around_async

        def around(*args: Any, **kwargs: Any) -> Any:
            call = begin(args, kwargs, first)
            if call is None:
                return original(*args, **kwargs)
            try:
                result = original(*args, **kwargs)
            except BaseException as error:
                failed(call, error)
                raise
            succeeded(call, result)
            return result

        return around

    def _begin(self, args: tuple[Any, ...], kwargs: dict[str, Any], first: int) -> Call | None:
        begun = None
        with guarded:
            integration = self._integration
            if not integration.patched or not default_tracer.enabled:
                return None
            if self._when is not None and not self._when(*args, **kwargs):
                return None
            options = integration.options
            call = Call(args, kwargs, first, options)
            pin = Pin.get_from(args[0]) if Pin.placed and first and args else None
            tracer, service = default_tracer, options.service
            if pin is not None:
                tracer, service = pin.tracer, pin.service or service
            call.span = span = tracer.trace(self._name, service, None, self._span_type)
            if not span.trace_id:  # below a request that is not traced
                return None
            begun = call  # from here on the span will be finished
            call.tags = span._meta
            call.metrics = span._metrics
            call.tags.update(integration.tags)
            if pin is not None and pin.tags:
                span.set_tags(pin.tags)
            self.describe(call)
        return begun

    def _succeeded(self, call: Call, result: Any) -> None:
        with guarded:
            try:
                if self._describe_result is not None:
                    self._describe_result(call, result)
            finally:
                call.span.finish()

    @staticmethod
    def _failed(call: Call, error: BaseException) -> None:
        with guarded:
            try:
                call.span.set_exc_info(type(error), error, error.__traceback__)
            finally:
                call.span.finish()


class Integration:
    """A library we trace: the version it needs, its constant tags, and what is replaced in it."""

    def __init__(
        self,
        name: str,
        *,
        requires: str = "",
        service: str | None = None,
        kind: str = "",
        db_system: str = "",
        parts: tuple[Integration, ...] = (),
        reports_missing: bool = False,
    ) -> None:
        """*service* is the default name of its spans' service; None means the application's own.

        *parts* are patched and undone along with it; one that several share is undone with the last of them.
        *reports_missing* says that a path which is not there is a mistake, and not what only some versions have.
        """
        self.name = name
        self.requires = requires
        self.options = options_of(name)
        if service:
            self.options.default_service(service)
        self.tags = {"component": name}
        if kind:
            self.tags["span.kind"] = kind
        if db_system:
            self.tags["db.system"] = db_system
        self.replacements: list[Replacement] = []
        self._parts = parts
        self._wholes: set[str] = set()
        self._reports_missing = reports_missing
        self.events: dict[str, Event] = {}
        self._awaited: set[str] = set()
        self._supported: bool | None = None
        self.patched = False

    def traced(self, name: str, span_type: str | None = None) -> Callable[[Describe], Traced]:
        """Decorate the function that describes one call; its ``wrapper`` puts spans around a function."""
        return lambda describe: Traced(self, name, span_type, describe)

    def traces(
        self, *paths: str, name: str, type: str | None = None, when: When | None = None
    ) -> Callable[[Describe], Traced]:
        """Decorate the function that describes one call of any ``module:Class.method`` in *paths*."""

        def register(describe: Describe) -> Traced:
            traced = Traced(self, name, type, describe, when)
            for path in paths:
                self._add(path, lambda original, method: traced.wrapper(original, method=method))
            return traced

        return register

    def observes(self, *paths: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
        """Decorate a function that is called with the same arguments right before any of *paths* is."""

        def register(observe: Callable[..., None]) -> Callable[..., None]:
            for path in paths:
                self._add(path, lambda original, _method: observer(observe, original))
            return observe

        return register

    def replaces(self, *paths: str) -> Callable[[Callable[[Any], Any]], Callable[[Any], Any]]:
        """Decorate a function that gets what stands at a path and returns what shall stand there instead.

        What it returns guards itself.
        """

        def register(build: Callable[[Any], Any]) -> Callable[[Any], Any]:
            for path in paths:
                self._add(path, lambda original, _method: build(original))
            return build

        return register

    def adds(self, path: str) -> Callable[[Callable[[Any], Any]], Callable[[Any], Any]]:
        """Decorate a function that returns what a class shall have at a path where only its instances have anything.

        An ``Over`` there comes before what the instances hold, and gives it back when it is gone.
        """

        def register(build: Callable[[Any], Any]) -> Callable[[Any], Any]:
            self.replacements.append(Replacement(path, lambda original, _method: build(original), adds=True))
            return build

        return register

    def _add(self, path: str, build: Callable[[Any, bool], Any]) -> None:
        self.replacements.append(Replacement(path, build))

    def patch(self) -> None:
        """Apply every replacement: now where its module is imported, else as soon as it is."""
        if not default_settings["DD_TRACE_ENABLED"]:
            return
        if self._supported is None:
            self._supported = supported(self.name, self.requires)
        if self.patched or not self._supported:
            return
        self.patched = True
        for part in self._parts:
            part._wholes.add(self.name)
            part.patch()
        for module in dict.fromkeys(replacement.module for replacement in self.replacements):
            if sys.modules.get(module) is not None:
                self._apply(module)
            elif module not in self._awaited:
                self._awaited.add(module)
                wrapt.register_post_import_hook(partial(self._imported, module), module)

    def _imported(self, module: str, _imported: object) -> None:
        self._awaited.discard(module)
        if self.patched:
            self._apply(module)

    def _apply(self, module: str) -> None:
        self.events[module] = event(module)
        for replacement in self.replacements:
            if replacement.module == module:
                with guarded:
                    replacement.apply()
                    if replacement.missing and self._reports_missing:
                        warn("there is no %s: it is not traced", replacement.path)

    def everything(self) -> tuple[Integration, ...]:
        """Return this integration and its parts."""
        return (self, *self._parts)

    def unpatch(self) -> None:
        """Undo every replacement."""
        self.patched = False
        for replacement in reversed(self.replacements):
            with guarded:
                replacement.undo()
        for part in self._parts:
            part._wholes.discard(self.name)
            if not part._wholes:
                part.unpatch()
