"""The headers ``x-datadog-*``.

Ids are decimal, the low 64 bits of the trace id; its high half travels as ``_dd.p.tid`` in ``x-datadog-tags``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ddmiddleware.tracing.constants import DECISION_MAKER, HIGH_TRACE_ID
from ddmiddleware.tracing.context import Context, Propagated

_LOW_64 = (1 << 64) - 1
_TAGS_MAX = 512
_ORIGIN_MAX = 256
_ID = re.compile(r"\d{1,20}", re.ASCII)
_PRIORITY = re.compile(r"-?\d{1,3}", re.ASCII)
_HIGH_ID = re.compile(r"[0-9a-f]{16}", re.ASCII)
_DECISION = re.compile(r"-\d{1,3}", re.ASCII)
_KEY = re.compile(r"[!-+\--<>-~]+")  # printable ASCII but , =
_VALUE = re.compile(r"[ -+\--~]+")  # printable ASCII but ,


def extract(headers: Mapping[str, str]) -> Context | None:
    """Read a context from lower-case *headers*; None where they hold no valid ``x-datadog-trace-id``."""
    trace_id = _id(headers.get("x-datadog-trace-id", ""))
    if not trace_id:
        return None
    context = Context(trace_id, _id(headers.get("x-datadog-parent-id", "")) or None)
    carried = context._propagated
    priority = headers.get("x-datadog-sampling-priority", "").strip()
    if _PRIORITY.fullmatch(priority):
        carried.priority = int(priority)
    origin = headers.get("x-datadog-origin", "").strip()
    if len(origin) <= _ORIGIN_MAX and _VALUE.fullmatch(origin):
        carried.origin = origin
    high = _read_tags(headers.get("x-datadog-tags", ""), carried)
    context.trace_id = high << 64 | trace_id
    return context


def _id(value: str) -> int:
    value = value.strip()
    number = int(value) if _ID.fullmatch(value) else 0
    return number if number <= _LOW_64 else 0


def _read_tags(value: str, carried: Propagated) -> int:
    """Take the ``_dd.p.*`` pairs over; return the trace id's high half, which is not kept among them."""
    high = 0
    if not value:
        return high
    if len(value) > _TAGS_MAX:
        carried.tags["_dd.propagation_error"] = "extract_max_size"
        return high
    for pair in value.split(","):
        key, equals, text = pair.partition("=")
        text = text.strip()
        if not equals or not _KEY.fullmatch(key) or not _VALUE.fullmatch(text):
            carried.tags = {"_dd.propagation_error": "decoding_error"}
            return 0
        if key == HIGH_TRACE_ID:
            if _HIGH_ID.fullmatch(text) and int(text, 16):
                high = int(text, 16)
            else:
                carried.tags["_dd.propagation_error"] = f"malformed_tid {text}"
        elif key == DECISION_MAKER:
            if _DECISION.fullmatch(text) and int(text) >= -255:
                carried.tags[key] = text
        elif key.startswith("_dd.p.") and key != "_dd.p.upstream_services":
            carried.tags[key] = text
    return high


def inject(context: Context, headers: dict[str, str]) -> None:
    """Write the ``x-datadog-*`` headers into *headers*."""
    carried = context._propagated
    trace_id = context.trace_id or 0
    headers["x-datadog-trace-id"] = str(trace_id & _LOW_64)
    headers["x-datadog-parent-id"] = str(context.span_id)
    if carried.priority is not None:
        headers["x-datadog-sampling-priority"] = str(carried.priority)
    if carried.origin and _VALUE.fullmatch(carried.origin):
        headers["x-datadog-origin"] = carried.origin
    pairs = []
    for key, value in list(carried.tags.items()):
        if not key.startswith("_dd.p."):
            continue
        if not _KEY.fullmatch(key) or not _VALUE.fullmatch(value):
            carried.tags["_dd.propagation_error"] = "encoding_error"
            return
        pairs.append(f"{key}={value}")
    if trace_id >> 64:
        pairs.append(f"{HIGH_TRACE_ID}={trace_id >> 64:016x}")
    tags = ",".join(pairs)
    if len(tags) > _TAGS_MAX:
        carried.tags["_dd.propagation_error"] = "inject_max_size"
    elif tags:
        headers["x-datadog-tags"] = tags
