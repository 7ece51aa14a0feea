"""The headers ``traceparent`` and ``tracestate``.

https://www.w3.org/TR/trace-context-2/
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ddmiddleware.tracing.constants import AUTO_KEEP, AUTO_REJECT
from ddmiddleware.tracing.context import Context, Propagated

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)
_TRACEPARENT_MAX = 512
_STATE_MAX = 512  # section 3.3.1.5 asks to propagate at least that much
_STATE_READ_MAX = 2048
_MEMBERS_MAX = 32
# Sections 3.3.1.3.1 and 3.3.1.3.2: a key, and a value of printable ASCII but , and =
_MEMBER = re.compile(r"[a-z0-9][a-z0-9_\-*/@]{0,255}=[ -+\--<>-~]{0,255}[!-+\--<>-~]")
_OURS_MAX = 256
_KEY_UNSAFE = re.compile(r"[^!-+\--:<>-~]")  # outside printable ASCII, or one of , ; =
_VALUE_UNSAFE = re.compile(r"[^ -+\--:<-}]")  # outside printable ASCII, or one of , ; ~


def extract(headers: Mapping[str, str]) -> Context | None:
    """Read a context from lower-case *headers*; None where they hold no valid ``traceparent`` (sections 3.2, 4.3)."""
    value = headers.get("traceparent", "").strip(" \t")
    found = _TRACEPARENT.fullmatch(value) if len(value) <= _TRACEPARENT_MAX else None
    if found is None:
        return None
    version, trace_id, span_id, flags, rest = found.groups()
    if version == "ff" or (version == "00" and rest) or not int(trace_id, 16) or not int(span_id, 16):
        return None
    context = Context(int(trace_id, 16), int(span_id, 16))
    sampled = int(flags, 16) & 1
    carried = context._propagated
    _read_state(headers.get("tracestate", ""), carried)
    if carried.priority is None or (carried.priority > 0) != bool(sampled):
        carried.priority = AUTO_KEEP if sampled else AUTO_REJECT
    return context


def _read_state(value: str, carried: Propagated) -> None:
    if len(value) > _STATE_READ_MAX:
        value = value[:_STATE_READ_MAX].rpartition(",")[0]  # not the member that is cut
    members = [member for member in (part.strip(" \t") for part in value.split(",")) if member]
    if not all(_MEMBER.fullmatch(member) for member in members):
        return  # section 4.3: what cannot be parsed is not propagated
    for member in members:
        if member.startswith("dd="):
            _read_ours(member[3:], carried)
    others = [member for member in members if not member.startswith("dd=")][: _MEMBERS_MAX - 1]
    while others and len(",".join(others)) > _STATE_MAX:
        # Section 3.3.1.5: members over 128 characters go first, then from the end.
        others.remove(next((member for member in others if len(member) > 128), others[-1]))
    carried.tracestate = ",".join(others)


def _read_ours(value: str, carried: Propagated) -> None:
    for item in value.split(";"):
        key, _, text = item.partition(":")
        text = text.replace("~", "=")
        if key == "s" and re.fullmatch(r"-?\d{1,3}", text):
            carried.priority = int(text)
        elif key == "o" and text:
            carried.origin = text
        elif key.startswith("t.") and text and key != "t.tid":
            carried.tags["_dd.p." + key[2:]] = text


def inject(context: Context, headers: dict[str, str]) -> None:
    """Write ``traceparent`` and ``tracestate`` into *headers*."""
    carried = context._propagated
    sampled = carried.priority is not None and carried.priority > 0
    headers["traceparent"] = f"00-{context.trace_id:032x}-{context.span_id:016x}-{'01' if sampled else '00'}"
    ours = f"dd=p:{context.span_id:016x}"
    if carried.priority is not None:
        ours += f";s:{carried.priority}"
    if carried.origin:
        ours += ";o:" + _safe_value(carried.origin)
    for key, value in list(carried.tags.items()):
        if not key.startswith("_dd.p."):
            continue
        item = f";t.{_KEY_UNSAFE.sub('_', key[6:])}:{_safe_value(value)}"
        if len(ours) + len(item) > _OURS_MAX:
            break
        ours += item
    headers["tracestate"] = f"{ours},{carried.tracestate}" if carried.tracestate else ours


def _safe_value(value: str) -> str:
    return _VALUE_UNSAFE.sub("_", value).replace("=", "~")
