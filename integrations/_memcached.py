"""What clients of memcached share: a command is shown by its name and the number of its keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ddmiddleware.integrations._patching import Call, Integration

ONE_KEY = ("add", "append", "cas", "decr", "delete", "get", "gets", "incr", "prepend", "replace", "set", "touch")


def trace(
    integration: Integration,
    owner: str,
    name: str,
    server: Callable[[Call], None],
    commands: tuple[str, ...],
    many: tuple[str, ...],
) -> None:
    """Trace the methods of the class *owner* that send commands, those of *many* with several keys.

    *server* describes where they are sent.
    """
    wrappers: dict[Any, Any] = {}  # one method may have two names, and is the same object by both

    def build(command: str, path: str) -> None:
        def describe(call: Call) -> None:
            call.span.resource = command
            call.metrics["_dd.measured"] = 1
            server(call)
            if command in many:
                keys = call.arg(0, "keys") if call.arg(0, "keys") is not None else call.arg(0, "values")
                if hasattr(keys, "__len__"):  # else it is an iterator, which only the library may read
                    call.metrics["memcached.key_count"] = len(keys)

        traced = integration.traced(name, "cache")(describe)
        if command.startswith("get"):
            traced.returned(_found)
        integration.replaces(path)(lambda original: wrappers.setdefault(original, traced.wrapper(original)))

    for command in (*commands, *many):
        build(command, f"{owner}.{command}")


def _found(call: Call, result: Any) -> None:
    """Count what was found: of ``gets``, a missing one is a pair of None."""
    if isinstance(result, Mapping):
        call.metrics["db.row_count"] = len(result)
    else:
        default = call.arg(1, "default")
        call.metrics["db.row_count"] = int(result is not default and result != (None, None))
