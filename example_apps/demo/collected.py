"""What the collector stored, read from its JSON pages."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from example_apps.demo.traffic import Visit

POLL_S = 0.2
# Spans are sent every second: when nothing came for so long, nothing more will.
SETTLED_S = 3.0
GIVE_UP_S = 8.0
PAGE = 500


@dataclass(frozen=True, slots=True)
class Span:
    """A stored span. Ids are 16 hex digits, *parent_id* empty for none; times are nanoseconds.

    *links* are pairs of a trace id (32 hex digits) and a span id.
    """

    span_id: str
    parent_id: str
    service: str
    name: str
    resource: str
    start_ns: int
    duration_ns: int
    error: bool
    tags: dict[str, str]
    links: tuple[tuple[str, str], ...] = ()

    @property
    def end_ns(self) -> int:
        return self.start_ns + self.duration_ns


@dataclass(frozen=True, slots=True)
class EndpointRow:
    """An endpoint as the collector counted it; times are nanoseconds."""

    service: str
    resource: str
    requests: int
    errors: int
    p50_ns: int
    p95_ns: int


@dataclass(frozen=True, slots=True)
class HotFunction:
    """A function with the CPU time that it took itself, and what part of its endpoint's that is."""

    name: str
    file: str
    line: int
    own_ns: int
    share: float


@dataclass(frozen=True, slots=True)
class HotEndpoint:
    """An endpoint with its CPU time, and the functions that took most of it."""

    service: str
    resource: str
    cpu_ns: int
    functions: list[HotFunction]


class Collected:
    """The collector at *url*; every method raises httpx.HTTPError when it cannot be read."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, trust_env=False, timeout=20)

    def __enter__(self) -> "Collected":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def _get(self, path: str, **query: str | int) -> Any:
        return self._client.get(path, params={"window": "all", **query}).raise_for_status().json()

    def trace(self, trace_id: str) -> list[Span]:
        """Return a trace's spans, parents before their children; none where nothing of it has arrived.

        A span that was sent twice stands there once.
        """
        answer = self._client.get(f"/traces/{trace_id}.json", params={"limit": PAGE})
        if answer.status_code == 404:
            return []
        return [
            Span(
                span["span_id"],
                span["parent_id"] or "",
                span["service"],
                span["name"],
                span["resource"],
                span["start_ns"],
                span["duration_ns"],
                bool(span["error"]),
                span["tags"],
                tuple((link["trace_id"], link["span_id"]) for link in span["links"]),
            )
            for span in answer.raise_for_status().json()["spans"]
        ]

    def received(self) -> dict[str, int]:
        """Return how many spans came in for each trace, those that were sent twice counted twice."""
        return {trace["trace_id"]: trace["spans"] for page in self._pages() for trace in page["traces"]}

    def _pages(self) -> Iterator[Any]:
        cursor = ""
        while cursor is not None:
            page = self._get("/traces.json", limit=PAGE, before=cursor)
            yield page
            cursor = page["next"]

    def endpoints(self) -> list[EndpointRow]:
        """Return all endpoints, the busiest of each service first."""
        return [
            EndpointRow(
                section["service"], row["resource"], row["requests"], row["errors"], row["p50_ns"], row["p95_ns"]
            )
            for section in self._get("/endpoints.json")["services"]
            for row in section["endpoints"]
        ]

    def hottest(self, rows: Sequence[EndpointRow], count: int) -> list[HotEndpoint]:
        """Return for each endpoint that has samples the functions that took most CPU time, the busiest one first."""
        found = []
        for service in dict.fromkeys(row.service for row in rows):
            for row in self._get("/profiles.json", service=service, value="cpu-time")["endpoints"]:
                if (service, row["endpoint"]) in {(known.service, known.resource) for known in rows}:
                    query = {"service": service, "endpoint": row["endpoint"], "value": "cpu-time"}
                    functions = self._get("/profiles.json", **query)["functions"][:count]
                    named = [
                        HotFunction(item["name"], item["file"], item["line"], item["own"], item["own_share"])
                        for item in functions
                    ]
                    found.append(HotEndpoint(service, row["endpoint"], row["amount"], named))
        return found

    def wait_for_profiles(self, services: Sequence[str]) -> list[str]:
        """Wait until each service has sent a profile of what was done until now; return those that have not."""
        now_ns, deadline = time.time_ns(), time.monotonic() + GIVE_UP_S
        while True:
            missing = [
                name
                for name in services
                if self._get("/profiles.json", service=name, value="wall-time")["end_ns"] < now_ns
            ]
            if not missing or time.monotonic() > deadline:
                return missing
            time.sleep(POLL_S)

    def wait(self, visits: Sequence[Visit], arrived: Callable[[Visit, Sequence[Span]], bool], traces: int) -> None:
        """Wait until every visit's trace and that many in all have arrived and no more come, or give up waiting."""
        waiting = {visit.trace_id: visit for visit in visits}
        before: dict[str, int] = {}
        changed = time.monotonic()
        while time.monotonic() - changed < (GIVE_UP_S if waiting or len(before) < traces else SETTLED_S):
            now = self.received()
            for trace_id in [name for name in waiting if now.get(name) != before.get(name)]:
                if arrived(waiting[trace_id], self.trace(trace_id)):
                    del waiting[trace_id]
            if now != before:
                changed = time.monotonic()
            before = now
            time.sleep(POLL_S)
