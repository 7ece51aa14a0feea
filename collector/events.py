"""Span events, from the list `span_events` of v0.4 and from the tag `events` of v0.5.

Datadog trace protocol: both hold `name`, `time_unix_nano` and `attributes`; the values of the list are typed maps such
as `{"type": 0, "string_value": "x"}`, those of the tag are plain JSON.
"""

import json
from typing import Any

from ddmiddleware.collector.ids import U64_MAX
from ddmiddleware.collector.text import clean, text_map

TAG = "events"

_TYPED_VALUES = ("string_value", "bool_value", "int_value", "double_value", "array_value")


def events_of_list(value: object) -> list[dict[str, Any]]:
    """Read a list of events; raise ValueError with what is wrong and where."""
    if not isinstance(value, list):
        raise ValueError("'span_events' must be an array")
    events = []
    for index, event in enumerate(value):
        if not isinstance(event, dict):
            raise ValueError(f"event {index} must be a map")
        name, time_ns, attributes = event.get("name"), event.get("time_unix_nano"), event.get("attributes") or {}
        if not isinstance(name, str):
            raise ValueError(f"event {index}: 'name' must be text")
        if type(time_ns) is not int or not 0 <= time_ns <= U64_MAX:
            raise ValueError(f"event {index}: 'time_unix_nano' must be an unsigned integer")
        if not isinstance(attributes, dict):
            raise ValueError(f"event {index}: 'attributes' must be a map")
        plain = {key: _plain(item) for key, item in attributes.items()}
        events.append({"name": clean(name), "time_ns": time_ns, "attributes": text_map(plain)})
    return events


def events_of_tag(tag: str) -> list[dict[str, Any]] | None:
    """Read the JSON of the tag; return None when it is not a list of events, so that it stays an ordinary tag."""
    try:
        return events_of_list(json.loads(tag))
    except (ValueError, RecursionError):
        return None


def _plain(value: object) -> object:
    if not isinstance(value, dict) or "type" not in value:
        return value
    for key in _TYPED_VALUES:
        if key in value:
            found = value[key]
            if key == "array_value" and isinstance(found, dict):
                return [_plain(item) for item in found.get("values") or []]
            return found
    return value
