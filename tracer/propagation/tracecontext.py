"""The headers ``traceparent`` and ``tracestate``.

https://www.w3.org/TR/trace-context-2/
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from ddmiddleware.tracing.constants import AUTO_KEEP, AUTO_REJECT, DECISION_MAKER, LAST_PARENT_KEY
from ddmiddleware.tracing.context import Context, Propagated
from ddmiddleware.tracing.propagation.tags import KEY, is_decision, priority

NAMES = ("traceparent", "tracestate")
_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)
_TRACEPARENT_MAX = 512
_SAMPLED, _RANDOM = 1, 2  # section 3.2.2.3; all other flags must be zero
_STATE_MAX = 512  # section 3.3.1.5 asks to propagate at least that much
_STATE_READ_MAX = 2048
_MEMBERS_MAX = 32
# Sections 3.3.1.3.1 and 3.3.1.3.2: a key, and a value of printable ASCII but , and =
_MEMBER = re.compile(r"[a-z0-9][a-z0-9_\-*/@]{0,255}=[ -+\--<>-~]{0,255}[!-+\--<>-~]")
_OURS_MAX = 256
_SPAN_ID_LENGTH = 16
_SPAN_ID = re.compile(r"[0-9a-f]{16}")
_KEY_UNSAFE = re.compile(r"[^!-+\--9<>-~]")  # outside printable ASCII, or one of , : ; =
_VALUE_UNSAFE = re.compile(r"[^ -+\--:<-}]")  # outside printable ASCII, or one of , ; ~
_FIRST = {DECISION_MAKER: 0, "_dd.p.usr.id": 1}


def extract(headers: Mapping[str, str], known: Context | None = None) -> Context | None:
    """Read a context from lower-case *headers*; None where they hold no valid ``traceparent`` (sections 3.2, 4.3).

    Where its span is that of *known*, read from other headers, no more than other vendors' members are of interest.
    """
    value = headers.get("traceparent")
    if not value or len(value) > _TRACEPARENT_MAX:
        return None
    found = _TRACEPARENT.fullmatch(value.strip(" \t"))
    if found is None:
        return None
    version, trace_hex, span_hex, flags_hex, rest = found.groups()
    trace_id, span_id, flags = int(trace_hex, 16), int(span_hex, 16), int(flags_hex, 16)
    if version == "ff" or (rest and version == "00") or not trace_id or not span_id:
        return None
    context = Context(trace_id, span_id)
    carried = context._propagated
    carried.random = bool(flags & _RANDOM)
    state = headers.get("tracestate", "")[: _STATE_READ_MAX + 1]
    if known is not None and known.span_id == span_id and known.trace_id == trace_id:
        if state and ("," in state or not state.startswith("dd=")):
            _read_state(state, carried)
        return context
    if state:
        _read_state(state, carried)
    sampled = bool(flags & _SAMPLED)
    if carried.priority is None:
        # Who watches browsers leaves the decision to the first service.
        if carried.origin != "rum":
            carried.priority = AUTO_KEEP if sampled else AUTO_REJECT
    elif (carried.priority > 0) is not sampled:
        # Somebody in between decided otherwise, and the flag is what all vendors understand.
        carried.priority = AUTO_KEEP if sampled else AUTO_REJECT
        carried.tags.pop(DECISION_MAKER, None)
    return context


def members(value: str) -> list[str]:
    """Return the list-members of a ``tracestate``; none where it is invalid (section 4.3: not propagated then).

    Read are the first 2048 characters, to the last comma within them.
    """
    if len(value) > _STATE_READ_MAX:
        value = value[:_STATE_READ_MAX].rpartition(",")[0]  # not the member that is cut
    found = [member for part in value.split(",") if (member := part.strip(" \t"))]
    if len(found) > _MEMBERS_MAX:
        return []  # section 3.3.1.1: a list has at most 32
    return found if all(map(_MEMBER.fullmatch, found)) else []


def within_limits(others: list[str]) -> str:
    """Return as many list-members as may stand beside ours, as one text."""
    text = ",".join(others[: _MEMBERS_MAX - 1])
    if len(text) > _STATE_MAX:
        others = others[: _MEMBERS_MAX - 1]
        while len(text) > _STATE_MAX:
            # Section 3.3.1.5: members over 128 characters go first, then from the end.
            others.remove(next((member for member in others if len(member) > 128), others[-1]))
            text = ",".join(others)
    return text


def _read_state(value: str, carried: Propagated) -> None:
    others = []
    ours = ""
    for member in members(value):
        if not member.startswith("dd="):
            others.append(member)
        elif not ours:
            ours = member
    if ours:
        _read_ours(ours[3:], carried)
    if others:
        carried.tracestate = within_limits(others)


def _read_ours(value: str, carried: Propagated) -> None:
    for item in value.split(";"):
        key, _, text = item.partition(":")
        text = text.strip()
        if key == "s":
            carried.priority = priority(text)
        elif key == "p":
            if _SPAN_ID.fullmatch(text) and int(text, 16):
                carried.tags[LAST_PARENT_KEY] = text
        elif not text:
            continue
        elif key == "o":
            carried.origin = text.replace("~", "=")
        elif key == "t.dm":
            if is_decision(text):
                carried.tags[DECISION_MAKER] = text
        elif key.startswith("t.") and key not in ("t.tid", "t.upstream_services") and KEY.fullmatch(key):
            carried.tags["_dd.p." + key[2:]] = text.replace("~", "=")


def traceparent(context: Context) -> str:
    """Return the value of that header alone, of version 1 (no random flag), for what has room for no more.

    The trace is decided on by now.
    """
    carried = context._propagated
    carried.decide()
    flags = _SAMPLED if carried.priority is not None and carried.priority > 0 else 0
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{flags:02x}"


def inject(context: Context, headers: dict[str, str]) -> None:
    """Write ``traceparent`` and ``tracestate`` into *headers*."""
    carried = context._propagated
    tags = tuple(carried.tags.copy().items())
    flags, last, after = _others(carried.priority, carried.random, carried.origin, tags, carried.tracestate)
    span_id = f"{context.span_id:016x}"
    headers["traceparent"] = f"00-{context.trace_id:032x}-{span_id}-{flags}"
    headers["tracestate"] = f"dd=p:{span_id if last is None else last}{after}"


@lru_cache(maxsize=256)  # they are few and mostly the same
def _others(
    decision: int | None, random: bool, origin: str | None, tags: tuple[tuple[str, str], ...], others: str
) -> tuple[str, str | None, str]:
    """Return the flags; the last span that was Datadog's, where it is not that of the context; what follows that.

    The last one is another's where a context that came from another vendor is handed on without a span of ours.
    """
    flags = _RANDOM if random else 0
    if decision is not None and decision > 0:
        flags |= _SAMPLED
    last = dict(tags).get(LAST_PARENT_KEY)
    ours = "" if decision is None else f";s:{decision}"
    travelling = [pair for pair in tags if pair[0].startswith("_dd.p.")]
    items = [_item(*pair) for pair in sorted(travelling, key=lambda pair: _FIRST.get(pair[0], 2))]
    if origin:
        items.insert(0, f";o:{_safe_value(origin)}")
    left = _OURS_MAX - len("dd=p:") - (_SPAN_ID_LENGTH if last is None else len(last))
    for item in items:  # those that matter most come first
        if len(ours) + len(item) > left:
            break
        ours += item
    return f"{flags:02x}", last, f"{ours},{others}" if others else ours


def _item(key: str, value: str) -> str:
    return f";t.{_KEY_UNSAFE.sub('_', key[6:])}:{_safe_value(value)}"


def _safe_value(value: str) -> str:
    return _VALUE_UNSAFE.sub("_", value.strip()).replace("=", "~")
