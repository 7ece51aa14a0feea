"""What an agent says of itself at ``/info``."""

from __future__ import annotations

import json
from typing import NamedTuple

from ddmiddleware.tracing.export.http import Connection, Unreachable


class AgentInfo(NamedTuple):
    """What an agent can do; the defaults are those of one that says nothing.

    *endpoints* are paths such as ``/v0.6/stats``. With *client_drop_p0s* it wants no traces that sampling rejected, if
    their statistics are sent. With *span_events* it takes events as a field of v0.4 spans. *peer_tags* are the
    tags that tell what a call went to.
    """

    version: str = ""
    endpoints: frozenset[str] = frozenset()
    client_drop_p0s: bool = False
    span_events: bool = False
    peer_tags: tuple[str, ...] = ()


def read_info(connection: Connection) -> AgentInfo:
    """Ask the agent once; one that does not answer, or something else, can do nothing beyond traces."""
    try:
        status, answer = connection.request("GET", "/info", {}, b"", None)
    except Unreachable:
        return AgentInfo()
    return parse_info(answer) if status == 200 else AgentInfo()


def parse_info(answer: bytes) -> AgentInfo:
    """Read the JSON of ``/info``; what is missing or of another kind keeps its default."""
    try:
        found = json.loads(answer)
    except (ValueError, RecursionError):
        return AgentInfo()
    if not isinstance(found, dict):
        return AgentInfo()
    return AgentInfo(
        version=str(found.get("version", "")),
        endpoints=frozenset(_texts(found.get("endpoints"))),
        client_drop_p0s=found.get("client_drop_p0s") is True,
        span_events=found.get("span_events") is True,
        peer_tags=tuple(_texts(found.get("peer_tags"))),
    )


def _texts(value: object) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []
