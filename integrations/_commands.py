"""What clients of key-value stores share: a command's name and key count are shown, its arguments never."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ddmiddleware.integrations._patching import Call

_NAMES_MAX = 10


def command(call: Call, name: object, arguments: int) -> None:
    """Describe one command by its name and the number of its arguments."""
    call.span.resource = verb(name)
    call.metrics["_dd.measured"] = 1
    call.metrics[f"{call.span.span_type}.args_length"] = arguments


def pipeline(call: Call, names: Sequence[object]) -> None:
    """Describe commands that are sent together: the first ten names, one a line."""
    lines = [verb(name) for name in names[:_NAMES_MAX]]
    if len(names) > _NAMES_MAX:
        lines.append(f"({len(names) - _NAMES_MAX} more)")
    call.span.resource = "\n".join(lines) or "EMPTY PIPELINE"
    call.metrics["_dd.measured"] = 1
    call.metrics[f"{call.span.span_type}.pipeline_length"] = len(names)


def verb(name: object) -> str:
    """Return a command's name in capitals; ``b"get"`` and ``"get key"`` are ``GET``."""
    text = name.decode("ascii", "replace") if isinstance(name, bytes) else str(name)
    return text.split(" ", 1)[0].upper()


def server(call: Call, options: Mapping[str, Any], port: int) -> None:
    """Describe the server by a connection's options; *port* is the one that is meant where none is given."""
    path = options.get("path")
    call.tags["out.host"] = str(path or options.get("host") or "localhost")
    if not path:
        call.metrics["network.destination.port"] = int(options.get("port") or port)
    call.metrics[f"out.{call.span.span_type}_db"] = int(options.get("db") or 0)


def rows(call: Call, result: object) -> None:
    """Count what came back: the items of a list, or one for anything but None."""
    call.metrics["db.row_count"] = len(result) if isinstance(result, (list, tuple)) else int(result is not None)
