"""Says what is wrong with all visits and all that was collected, taken together."""

from collections import Counter
from collections.abc import Mapping, Sequence

from example_apps.demo.checks import REQUEST_SPANS, expected_requests, problems
from example_apps.demo.collected import EndpointRow, Span
from example_apps.demo.plan import PREPARED, Resource
from example_apps.demo.traffic import Visit


def expected_traces(made: Sequence[Visit]) -> int:
    """Return how many traces there must be in all: one of each visit, of each task and message, and of each start."""
    return len(made) + sum(len(visit.endpoint.leaves) for visit in made) + len(PREPARED)


def visits(
    made: Sequence[Visit], traces: Mapping[str, Sequence[Span]], received: Mapping[str, int], *, redis: bool
) -> list[str]:
    """Return what is wrong with the visits and their traces.

    *received* is the number of spans that came in for each trace; *redis* says that the shop had its cache.
    """
    found = []
    for visit in made:
        spans = traces[visit.trace_id]
        wrong = problems(visit, spans, redis=redis)
        if received.get(visit.trace_id, 0) != len(spans):
            wrong.append(f"{received.get(visit.trace_id, 0)} spans came in, {len(spans)} of them different")
        found += [f"{_title(visit)}: {problem}" for problem in wrong]
    return found


def tasks(visits: Sequence[Visit], traces: Mapping[str, Sequence[Span]]) -> list[str]:
    """Check that each background task and message has a trace of its own, which begins with a link to its request."""
    linked: Counter[tuple[tuple[str, str], Resource]] = Counter()
    for spans in traces.values():
        if spans and not spans[0].parent_id:
            linked.update((link, (spans[0].service, spans[0].resource)) for link in spans[0].links)
    found = []
    for visit in visits:
        requests = [span for span in traces[visit.trace_id] if span.name in REQUEST_SPANS.values()]
        for left, expected in Counter(visit.endpoint.leaves).items():
            count = sum(linked[(visit.trace_id, span.span_id), left] for span in requests)
            if count != expected:
                found.append(f"{_title(visit)}: {count} traces, not {expected}, of {left[1]} are linked to it")
    return found


def totals(visits: Sequence[Visit], rows: Sequence[EndpointRow]) -> list[str]:
    """Compare how many requests of each service and resource the collector counted with how many were made.

    This finds what no single trace can show: requests that belong to no visit.
    """
    made = Counter(request for visit in visits for request in expected_requests(visit.endpoint))
    made.update(left for visit in visits for left in visit.endpoint.leaves)
    made.update(PREPARED)
    counted = Counter({(row.service, row.resource): row.requests for row in rows})
    return [
        f"{service} {resource}: {counted[service, resource]} counted by the collector, {made[service, resource]} made"
        for service, resource in sorted(made | counted)
        if counted[service, resource] != made[service, resource]
    ]


def logs(visits: Sequence[Visit], text: str) -> list[str]:
    """Check that a service's log names the trace of each visit that it logs."""
    return [
        f"{_title(visit)}: no line of the log has its trace id"
        for visit in visits
        if visit.endpoint.logs and f"trace_id={visit.trace_id}" not in text
    ]


def _title(visit: Visit) -> str:
    return f"{visit.endpoint.method} {visit.endpoint.url_path} (trace {visit.trace_id})"
