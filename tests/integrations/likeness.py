"""What a library does with us and without: what its operations return, or what they raise and from what."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

_ADDRESS = re.compile(r"0x[0-9a-f]+|\b[0-9a-f]{12}\b")


def outcome(operation: Callable[[], Any]) -> Any:
    """Return what *operation* returns or raises."""
    try:
        return operation()
    except Exception as error:
        return raised(error)


def outcomes(operations: Mapping[str, Callable[..., Any]], *subjects: Any) -> dict[str, Any]:
    """Return what each of *operations* returns or raises, called with *subjects*, one after the other."""
    return {name: outcome(partial(operation, *subjects)) for name, operation in operations.items()}


async def awaited_outcomes(operations: Mapping[str, Callable[..., Awaitable[Any]]], *subjects: Any) -> dict[str, Any]:
    """Return the same of what is awaited; to be cancelled is an outcome too."""
    found = {}
    for name, operation in operations.items():
        try:
            found[name] = await operation(*subjects)
        except (Exception, asyncio.CancelledError) as error:
            found[name] = raised(error)
    return found


async def cancelled(operation: Awaitable[Any], begun: Callable[[], Any] = lambda: True) -> Any:
    """Cancel *operation* when it has run to where it waits first, and *begun* returns something true; await it."""
    task = asyncio.ensure_future(operation)
    await asyncio.sleep(0)
    while not begun():
        await asyncio.sleep(0)
    task.cancel()
    return await task


def raised(error: BaseException | None) -> Any:
    """Return what is to be compared of an error: its type, arguments, cause and context, and theirs."""
    if error is None:
        return None
    return type(error), _ADDRESS.sub("0x...", repr(error.args)), raised(error.__cause__), raised(error.__context__)
