"""Headers that become tags, where they are asked for by name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ddmiddleware._rules import Reader
    from ddmiddleware.tracing import Span

_UNSAFE = re.compile("[^a-z0-9_:/-]")

Headers = Iterable[tuple[Any, Any]]

# Credentials, whatever a list says: with them a trace would let its readers in.
_NEVER = frozenset(("authorization", "cookie", "proxy-authorization", "set-cookie", "x-api-key"))


def wanted(headers: Iterable[str] | Mapping[str, str] | str) -> dict[str, str]:
    """Return header names, in lower case, with the tag of each; ``""`` is the usual one.

    A name may be ``header:tag``, and a text may be a list of them, as in ``DD_TRACE_HEADER_TAGS``.
    """
    names = headers.split(",") if isinstance(headers, str) else headers
    pairs = names.items() if isinstance(names, Mapping) else (str(name).partition(":")[::2] for name in names)
    return {str(name).strip().lower(): str(tag or "").strip() for name, tag in pairs if str(name).strip()}


def tag_request(span: Span, names: Mapping[str, str], source: Any, reader: Reader) -> None:
    """Tag *span* with the headers of a request that are in *names*."""
    for name, tag in names.items():
        if name not in _NEVER:
            value = reader.header(source, name)
            if value:
                span._meta[tag or _usual("request", name)] = value.strip()


def tag_response(span: Span, names: Mapping[str, str], headers: Headers) -> None:
    """Tag *span* with those of a response's *headers* that are in *names*; repeated ones are joined by commas."""
    found: dict[str, str] = {}
    for given, value in headers:
        name = text(given).lower()
        if name in names and name not in _NEVER:
            tag = names[name] or _usual("response", name)
            stripped = text(value).strip()
            found[tag] = f"{found[tag]},{stripped}" if tag in found else stripped
    span._meta.update(found)


def text(given: Any) -> str:
    """Return part of a header as text: ASGI has bytes, and so have some others."""
    return given.decode("latin-1") if isinstance(given, bytes) else str(given)


@lru_cache(256)
def _usual(direction: str, header: str) -> str:
    """Return what the tag of a header is called: its name, with letters, digits and ``_-:/``."""
    return f"http.{direction}.headers.{_UNSAFE.sub('_', header)}"
