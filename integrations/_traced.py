"""What happens around each call of a patched function: a span, or none.

One message on the wire has one span. An integration says what its calls put there (``wire="http"``), and one that is
made while the active span stands for such a message is how the outer library sends it: requests over urllib3 over
http.client, SQLAlchemy over a driver. It gets no span and no hooks, and the outer span's headers go out with it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ddmiddleware.integrations import _generators
from ddmiddleware.integrations._call import Call
from ddmiddleware.integrations._pin import Pin
from ddmiddleware.tracing import Span, active, default_tracer, guarded

if TYPE_CHECKING:
    from ddmiddleware.integrations._patching import Integration

Describe = Callable[[Call], None]
DescribeResult = Callable[[Call, Any], None]
When = Callable[..., bool]


class Traced:
    """A kind of call that makes a span: its name and type, and the functions that describe it."""

    def __init__(
        self,
        integration: Integration,
        name: str,
        span_type: str | None,
        describe: Describe,
        when: When | None = None,
        again: When | None = None,
    ) -> None:
        """*when* gets a call's arguments and says whether it makes a span; None means that each does.

        *again* says of a call within another one of the same wire that it is a message of its own, such as a redirect.
        """
        integration.names[name] = None
        self._integration = integration
        self._name = name
        self._span_type = span_type
        self.describe = describe
        self._when = when
        self._again = again
        self._describe_result: DescribeResult | None = None
        self._join: Describe | None = None

    def returned(self, describe_result: DescribeResult) -> DescribeResult:
        """Decorate the function that reads the result of the call."""
        self._describe_result = describe_result
        return describe_result

    def within(self, join: Describe) -> Describe:
        """Decorate the function for a call that gets no span, for the outer library's stands for its message.

        ``call.span`` is the outer one. What still has to be added to the message, such as a comment, is added here.
        """
        self._join = join
        return join

    def begin(self, *args: Any, **kwargs: Any) -> Call | None:
        """Begin a method's call that ends elsewhere, in a callback or another method; the active span stays as it is.

        What is returned is handed to ``end`` or ``fail``, once; where it is None, there is no span.
        """
        outside = active.get()
        call = self._begin(args, kwargs, 1)
        active.set(outside)
        return call

    def end(self, call: Call, result: Any) -> None:
        """End a call that ``begin`` began, with its result."""
        self._succeeded(call, result)

    def fail(self, call: Call, error: BaseException) -> None:
        """End a call that ``begin`` began, with its error."""
        self._failed(call, error)

    def wrapper(self, original: Any, *, method: bool = True) -> Any:
        """Return a function of the same kind as *original* that makes a span around each call of it."""
        first = 1 if method else 0
        if _generators.yields(original):
            return _generators.wrapper(self, original, first)
        begin, succeeded, failed = self._begin, self._succeeded, self._failed
        if inspect.iscoroutinefunction(original):

            async def around_async(*args: Any, **kwargs: Any) -> Any:
                call = begin(args, kwargs, first)
                if call is None:
                    return await original(*args, **kwargs)
                try:
                    result = await original(*call._args, **call._kwargs)
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
                result = original(*call._args, **call._kwargs)
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
            if integration.wire is not None:
                outer = active.get()
                if (
                    type(outer) is Span
                    and outer._wire == integration.wire
                    and outer.duration_ns is None
                    and not (self._again is not None and self._again(*args, **kwargs))
                ):
                    return self._within(outer, Call(args, kwargs, first, options, True))
            call = Call(args, kwargs, first, options, False)
            pin = Pin.get_from(args[0]) if Pin.placed and first and args else None
            tracer, service = default_tracer, options.service
            if pin is not None:
                tracer, service = pin.tracer, pin.service or service
            call.span = span = tracer.trace(self._name, service, None, self._span_type)
            if not span.trace_id:  # below a request that is not traced
                return None
            begun = call  # from here on the span will be finished
            span._wire = integration.wire
            call.tags = span._meta
            call.metrics = span._metrics
            call.tags.update(integration.tags)
            if pin is not None and pin.tags:
                span.set_tags(pin.tags)
            self.describe(call)
        return begun

    def _within(self, outer: Span, call: Call) -> Call | None:
        if self._join is None:
            return None
        call.span = outer
        call.tags = outer._meta
        call.metrics = outer._metrics
        self._join(call)
        return call

    def _succeeded(self, call: Call, result: Any) -> None:
        if call.within:
            return
        with guarded:
            try:
                if self._describe_result is not None:
                    self._describe_result(call, result)
            finally:
                call.span.finish()

    def _failed(self, call: Call, error: BaseException) -> None:
        if call.within:
            return
        with guarded:
            try:
                call.span.set_exc_info(type(error), error, error.__traceback__)
            finally:
                call.span.finish()
