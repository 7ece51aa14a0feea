"""Wrapping functions of libraries in users' own integrations, under the names of ``ddtrace.contrib.trace_utils``."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import getattr_static
from typing import Any

import wrapt

from ddmiddleware.integrations import Pin


def wrap(target: Any, name: str, wrapper: Callable[..., Any]) -> Any:
    """Call ``wrapper(function, instance, args, kwargs)`` instead of the function *name* of a module or class.

    Raises AttributeError where there is no such function.
    """
    return wrapt.wrap_function_wrapper(target, name, wrapper)


def iswrapped(obj: Any, attr: str | None = None) -> bool:
    """Return whether *obj*, or its attribute *attr*, is wrapped."""
    found = obj if attr is None else getattr_static(obj, attr, None)
    return isinstance(found, (wrapt.FunctionWrapper, wrapt.BoundFunctionWrapper))


def unwrap(obj: Any, attr: str) -> None:
    """Undo ``wrap``; what is not wrapped stays as it is."""
    if iswrapped(obj, attr):
        setattr(obj, attr, getattr_static(obj, attr).__wrapped__)


def _pin(instance: Any, module: Any) -> Pin | None:
    """Return what is pinned onto the object, else onto the module; None where that is off."""
    found = Pin.get_from(instance) or Pin.get_from(module)
    return found if found is not None and found.enabled() else None


def with_traced_module(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make ``function(module, pin, wrapped, instance, args, kwargs)`` a maker of wrappers: ``function(module)``.

    It is not called where nothing is pinned onto object or module, or the pin's tracer is off.
    """

    @wraps(function)
    def of(module: Any) -> Callable[..., Any]:
        def wrapper(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
            pin = _pin(instance, module)
            if pin is None:
                return wrapped(*args, **kwargs)
            return function(module, pin, wrapped, instance, args, kwargs)

        return wrapper

    return of


def with_traced_module_async(function: Callable[..., Any]) -> Callable[..., Any]:
    """Do the same for coroutine functions."""

    @wraps(function)
    def of(module: Any) -> Callable[..., Any]:
        async def wrapper(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
            pin = _pin(instance, module)
            if pin is None:
                return await wrapped(*args, **kwargs)
            return await function(module, pin, wrapped, instance, args, kwargs)

        return wrapper

    return of
