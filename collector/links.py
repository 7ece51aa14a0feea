"""Span links, from the list of v0.4 and from the tag `_dd.span_links` of v0.5.

Datadog trace protocol: v0.4 `span_links` holds numbers (`trace_id`, `trace_id_high`, `span_id`), the tag holds JSON
with hexadecimal ids.
"""

import json
from typing import Any

from ddmiddleware.collector.ids import U64_MAX, parse_trace_id, span_hex, trace_hex
from ddmiddleware.collector.text import clean, text_map

TAG = "_dd.span_links"


def links_of_list(value: object) -> list[dict[str, Any]]:
    """Read the v0.4 list; raise ValueError with what is wrong and where."""
    if not isinstance(value, list):
        raise ValueError("'span_links' must be an array")
    links = []
    for index, link in enumerate(value):
        if not isinstance(link, dict):
            raise ValueError(f"link {index} must be a map")
        ids: list[Any] = [link.get("trace_id"), link.get("span_id"), link.get("trace_id_high") or 0]
        if not all(type(number) is int and 0 <= number <= U64_MAX for number in ids):
            raise ValueError(f"link {index}: 'trace_id', 'span_id' and 'trace_id_high' must be unsigned integers")
        links.append(_link(trace_hex(ids[2], ids[0]), span_hex(ids[1]), link))
    return links


def links_of_tag(tag: str) -> list[dict[str, Any]] | None:
    """Read the JSON of the tag; return None when it is not a list of links, so that it stays an ordinary tag."""
    try:
        value = json.loads(tag)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, list):
        return None
    links = []
    for link in value:
        if not isinstance(link, dict):
            return None
        trace_id = parse_trace_id(str(link.get("trace_id")))
        span_id = parse_trace_id(str(link.get("span_id")))
        if trace_id is None or span_id is None:
            return None
        links.append(_link(trace_hex(*trace_id), span_hex(span_id[1]), link))
    return links


def _link(trace_id: str, span_id: str, link: dict[Any, Any]) -> dict[str, Any]:
    known = {"trace_id": trace_id, "span_id": span_id, "attributes": text_map(link.get("attributes"))}
    if link.get("tracestate"):
        known["tracestate"] = clean(link["tracestate"])
    if link.get("flags"):
        known["flags"] = clean(link["flags"])
    return known
