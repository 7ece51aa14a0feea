"""Functions that yield: their span lasts from the first step to the end, and is active within each step only.

What the caller does between two steps is its own work, below its own active span. Where it closes the generator early,
or forgets it, the span ends there, without an error.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from ddmiddleware.tracing import active

if TYPE_CHECKING:
    from ddmiddleware.integrations._traced import Traced


def yields(function: Any) -> bool:
    """Return whether calls of *function* return a generator, of either kind."""
    return inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)


def wrapper(traced: Traced, original: Any, first: int) -> Any:
    """Return a function of the same kind as *original*, which yields, that makes a span around each generator's run."""
    return _async(traced, original, first) if inspect.isasyncgenfunction(original) else _sync(traced, original, first)


class _Run:
    """One generator's run: its span, if it has one, and what is active inside of its steps and outside of them."""

    __slots__ = ("_inside", "_outside", "_traced", "call")

    def __init__(self, traced: Traced, args: tuple[Any, ...], kwargs: dict[str, Any], first: int) -> None:
        self._traced = traced
        self._outside = active.get()
        self.call = traced._begin(args, kwargs, first)
        self._inside = active.get()

    def leave(self) -> None:
        if self.call is not None:
            self._inside = active.get()
            active.set(self._outside)

    def enter(self) -> None:
        if self.call is not None:
            self._outside = active.get()
            active.set(self._inside)

    def end(self, error: BaseException | None) -> None:
        if self.call is not None:
            if error is None or isinstance(error, GeneratorExit):
                self._traced._succeeded(self.call, None)
            else:
                self._traced._failed(self.call, error)
            active.set(self._outside)


def _sync(traced: Traced, original: Any, first: int) -> Any:
    def around(*args: Any, **kwargs: Any) -> Any:
        run = _Run(traced, args, kwargs, first)
        if run.call is not None:
            args, kwargs = run.call._args, run.call._kwargs
        try:
            steps = original(*args, **kwargs)
            step, sent = steps.send, None
            while True:
                try:
                    piece = step(sent)
                except StopIteration as stop:
                    result = stop.value
                    break
                run.leave()
                try:
                    step, sent = steps.send, (yield piece)
                    run.enter()
                except GeneratorExit:
                    run.enter()
                    steps.close()
                    raise
                except BaseException as error:
                    run.enter()
                    step, sent = steps.throw, error
        except BaseException as error:
            sent = None  # what was thrown in has this frame in its traceback
            run.end(error)
            raise
        run.end(None)
        return result

    return around


def _async(traced: Traced, original: Any, first: int) -> Any:
    async def around(*args: Any, **kwargs: Any) -> Any:
        run = _Run(traced, args, kwargs, first)
        if run.call is not None:
            args, kwargs = run.call._args, run.call._kwargs
        try:
            steps = original(*args, **kwargs)
            step, sent = steps.asend, None
            while True:
                try:
                    piece = await step(sent)
                except StopAsyncIteration:
                    break
                run.leave()
                try:
                    step, sent = steps.asend, (yield piece)
                    run.enter()
                except GeneratorExit:
                    run.enter()
                    await steps.aclose()
                    raise
                except BaseException as error:
                    run.enter()
                    step, sent = steps.athrow, error
        except BaseException as error:
            sent = None  # what was thrown in has this frame in its traceback
            run.end(error)
            raise
        run.end(None)

    return around
