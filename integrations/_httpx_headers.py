"""A shorter way to the headers of a request of httpx than its own mapping."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_NAMES_MAX = 64
_names: dict[str, tuple[bytes, bytes]] = {}  # as they are written, and in lower case


class _Listed:
    """The headers where httpx keeps them: each that is set in its own way is compared with all that are there."""

    __slots__ = ("_kept",)

    def __init__(self, kept: list[tuple[bytes, bytes, bytes]]) -> None:
        self._kept = kept

    def __iter__(self) -> Iterator[str]:
        return iter([item[1].decode("latin-1") for item in self._kept])

    def add(self, ours: dict[str, str]) -> None:
        """Add headers of which none is there."""
        self._kept.extend([(_names.get(name) or _name(name)) + (value.encode(),) for name, value in ours.items()])


def _name(name: str) -> tuple[bytes, bytes]:
    both = name.encode(), name.lower().encode()
    if len(_names) < _NAMES_MAX:
        _names[name] = both
    return both


def view(headers: Any) -> _Listed | None:
    """Return a shorter way to *headers*, or None where it is not known how they are kept.

    That is a list of a name, the same in lower case, and a value.
    """
    kept = getattr(headers, "_list", None)
    return _Listed(kept) if type(kept) is list and kept and len(kept[0]) == 3 else None
