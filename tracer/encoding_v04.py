"""The agent's trace protocol v0.4, made of v0.5 payloads: ``[[{...}, ...], ...]``, a span being a map with its texts.

What v0.5 carries as JSON in a tag has a field of its own here: links always, events where the agent knows them.
"""

from __future__ import annotations

import json
import time
from typing import Any

import msgpack

_SLICE_S = 0.001
_FLAGS_SET = 1 << 31  # tells flags of 0 from none
# pkg/trace/pb in the agent: the numbers of a typed value, and its field.
_TYPES = {str: (0, "string_value"), bool: (1, "bool_value"), int: (2, "int_value"), float: (3, "double_value")}
_ARRAY = 4


def v04_from_v05(payload: bytes, *, native_events: bool = False) -> bytes:
    """Return a v0.5 payload as v0.4; with *native_events*, events are a field of a span instead of a tag."""
    unpacker = msgpack.Unpacker(strict_map_key=False, max_buffer_size=0)
    unpacker.feed(payload)
    unpacker.read_array_header()
    strings = unpacker.unpack()
    chunks = unpacker.read_array_header()
    packer = msgpack.Packer(autoreset=False)
    packer.pack_array_header(chunks)
    slice_end = time.monotonic() + _SLICE_S
    for _ in range(chunks):
        packer.pack([_span(span, strings, native_events) for span in unpacker.unpack()])
        if time.monotonic() > slice_end:
            time.sleep(0)  # lets go of the GIL
            slice_end = time.monotonic() + _SLICE_S
    return bytes(packer.bytes())


def _span(span: list[Any], strings: list[str], native_events: bool) -> dict[str, Any]:
    service, name, resource, trace_id, span_id, parent_id, start, duration, error, meta, metrics, span_type = span
    tags = {strings[key]: strings[value] for key, value in meta.items()}
    made = {
        "service": strings[service],
        "name": strings[name],
        "resource": strings[resource],
        "type": strings[span_type],
        "trace_id": trace_id,
        "span_id": span_id,
        "parent_id": parent_id,
        "start": start,
        "duration": duration,
        "error": error,
        "meta": tags,
        "metrics": {strings[key]: value for key, value in metrics.items()},
    }
    if "_dd.span_links" in tags:
        _move(made, "_dd.span_links", "span_links", _link)
    if native_events and "events" in tags:
        _move(made, "events", "span_events", _event)
    return made


def _move(span: dict[str, Any], tag: str, field: str, convert: Any) -> None:
    """Make a field of the JSON in *tag*; a tag that a user wrote, and that is something else, stays one."""
    try:
        span[field] = [convert(item) for item in json.loads(span["meta"][tag])]
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError):
        return
    del span["meta"][tag]


def _link(link: dict[str, Any]) -> dict[str, Any]:
    trace_id = int(link["trace_id"], 16)
    made: dict[str, Any] = {
        "trace_id": trace_id & (1 << 64) - 1,
        "trace_id_high": trace_id >> 64,
        "span_id": int(link["span_id"], 16),
    }
    if "attributes" in link:
        made["attributes"] = {str(key): str(value) for key, value in link["attributes"].items()}
    if "tracestate" in link:
        made["tracestate"] = str(link["tracestate"])
    if "flags" in link:
        made["flags"] = int(link["flags"]) & 0xFF | _FLAGS_SET
    if not (0 <= trace_id < 1 << 128 and 0 <= made["span_id"] < 1 << 64):
        raise ValueError("ids beyond their width")
    return made


def _event(event: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {"name": str(event["name"]), "time_unix_nano": int(event["time_unix_nano"])}
    if not 0 <= made["time_unix_nano"] < 1 << 64:
        raise ValueError("a time beyond 64 bits")
    if event.get("attributes"):
        made["attributes"] = {key: _typed(value) for key, value in event["attributes"].items()}
    return made


def _typed(value: Any) -> dict[str, Any]:
    if isinstance(value, list):
        return {"type": _ARRAY, "array_value": {"values": [_typed(item) for item in value]}}
    kind = type(value)
    if kind is int and not -(1 << 63) <= value < 1 << 63:
        kind, value = str, str(value)
    number, field = _TYPES[kind]
    return {"type": number, field: value}
