"""The headers ``x-datadog-*``.

Ids are decimal, the low 64 bits of the trace id; its high half travels as ``_dd.p.tid`` in ``x-datadog-tags``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from ddmiddleware.tracing.constants import DECISION_MAKER, HIGH_TRACE_ID
from ddmiddleware.tracing.context import Context, Propagated
from ddmiddleware.tracing.propagation.tags import ERROR, KEY, VALUE, is_decision, priority

NAMES = (
    "x-datadog-trace-id",
    "x-datadog-parent-id",
    "x-datadog-sampling-priority",
    "x-datadog-origin",
    "x-datadog-tags",
)
TAGS_MAX = 512
_LOW_64 = (1 << 64) - 1
_ORIGIN_MAX = 256
_SHORT = 32  # no id or priority is longer, spaces around it included
_PRIORITIES = {"-1": -1, "0": 0, "1": 1, "2": 2}
_HIGH_ID = re.compile(r"[0-9a-f]{16}", re.ASCII)
_PAIR = r"[!-+\--<>-~]+= *[!-+\--~][ -+\--~]*"  # tags.KEY and tags.VALUE, with spaces around the value
_PAIRS = re.compile(f"{_PAIR}(?:,{_PAIR})*")


def extract(headers: Mapping[str, str]) -> Context | None:
    """Read a context from lower-case *headers*; None where they hold no valid ``x-datadog-trace-id``."""
    trace_id = _id(headers.get("x-datadog-trace-id", ""))
    if not trace_id:
        return None
    context = Context(trace_id, _id(headers.get("x-datadog-parent-id", "")) or None)
    carried = context._propagated
    text = headers.get("x-datadog-sampling-priority", "")
    if len(text) <= _SHORT:
        carried.priority = _PRIORITIES[text] if text in _PRIORITIES else priority(text.strip())
    origin = headers.get("x-datadog-origin")
    if origin and len(origin) <= _ORIGIN_MAX and VALUE.fullmatch(origin.strip()):
        carried.origin = origin.strip()
    tags = headers.get("x-datadog-tags")
    if tags:
        context.trace_id = _read_tags(tags, carried) << 64 | trace_id
    return context


def _id(value: str) -> int:
    if len(value) > _SHORT:
        return 0
    value = value.strip()
    if not (value.isdecimal() and value.isascii()):
        return 0
    number = int(value)
    return number if number <= _LOW_64 else 0


def _read_tags(value: str, carried: Propagated) -> int:
    """Take the ``_dd.p.*`` pairs over; return the trace id's high half, which is not kept among them."""
    high = 0
    tags = carried.tags
    if len(value) > TAGS_MAX:
        tags[ERROR] = "extract_max_size"
        return high
    if not _PAIRS.fullmatch(value):
        tags[ERROR] = "decoding_error"
        return high
    for pair in value.split(","):
        key, _, text = pair.partition("=")
        text = text.strip(" ")
        if key == HIGH_TRACE_ID:
            if _HIGH_ID.fullmatch(text) and int(text, 16):
                high = int(text, 16)
            else:
                tags[ERROR] = f"malformed_tid {text}"
        elif key == DECISION_MAKER:
            if is_decision(text):
                tags[key] = text
        elif key.startswith("_dd.p.") and key != "_dd.p.upstream_services":
            tags[key] = text
    return high


def inject(context: Context, headers: dict[str, str], tags_max: int = TAGS_MAX) -> None:
    """Write the ``x-datadog-*`` headers into *headers*; tags that take over *tags_max* characters are not sent."""
    carried = context._propagated
    trace_id = context.trace_id or 0
    headers["x-datadog-trace-id"] = str(trace_id & _LOW_64)
    headers["x-datadog-parent-id"] = str(context.span_id)
    tags = tuple(carried.tags.copy().items())
    others, error = _others(trace_id >> 64, carried.priority, carried.origin, tags, tags_max)
    headers.update(others)
    if error:
        carried.tags[ERROR] = error


@lru_cache(maxsize=256)  # the same for all spans of a trace, and for most traces that begin within one second
def _others(
    high: int, decision: int | None, origin: str | None, tags: tuple[tuple[str, str], ...], tags_max: int
) -> tuple[dict[str, str], str]:
    """Return the headers beside the ids, and what is wrong with tags that cannot be sent."""
    headers = {}
    if decision is not None:
        headers["x-datadog-sampling-priority"] = str(decision)
    if origin and len(origin) <= _ORIGIN_MAX and VALUE.fullmatch(origin.strip()):
        headers["x-datadog-origin"] = origin.strip()
    pairs = [(key, value.strip()) for key, value in tags if key.startswith("_dd.p.")]
    if not all(KEY.fullmatch(key) and VALUE.fullmatch(value) for key, value in pairs):
        return headers, "encoding_error"
    if high:
        pairs.append((HIGH_TRACE_ID, f"{high:016x}"))
    text = ",".join(f"{key}={value}" for key, value in pairs)
    if len(text) > tags_max:
        return headers, "inject_max_size" if tags_max else "disabled"
    if text:
        headers["x-datadog-tags"] = text
    return headers, ""
