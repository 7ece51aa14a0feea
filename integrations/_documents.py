"""What databases of documents share: a query is shown by its keys and operators, without its values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_DEPTH_MAX = 8
_ITEMS_MAX = 10
_TEXT_MAX = 1000


def shape(document: Any) -> str:
    """Return *document* as JSON with ``"?"`` for every value; of what is long or deep, the beginning."""
    parts: list[str] = []
    _write(document, parts, 0)
    text = "".join(parts)
    return text if len(text) <= _TEXT_MAX else f"{text[:_TEXT_MAX]}..."


def _write(value: Any, parts: list[str], depth: int) -> None:
    if depth < _DEPTH_MAX and isinstance(value, Mapping):
        between = "{"
        for key in list(value)[:_ITEMS_MAX]:
            name = str(key).replace("\\", "\\\\").replace('"', '\\"')
            parts.append(f'{between}"{name}": ')
            _write(value[key], parts, depth + 1)
            between = ", "
        parts.append("{}" if between == "{" else ", ...}" if len(value) > _ITEMS_MAX else "}")
    elif depth < _DEPTH_MAX and isinstance(value, (list, tuple)):
        documents = [item for item in value[:_ITEMS_MAX] if isinstance(item, (Mapping, list, tuple))]
        parts.append("[" if documents or not value else '["?"')
        between = ""
        for item in documents:
            parts.append(between)
            _write(item, parts, depth + 1)
            between = ", "
        parts.append("]")
    else:
        parts.append('"?"')
