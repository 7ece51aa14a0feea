"""Says what is wrong with the spans of one request, given what its endpoint must leave behind."""

from collections import Counter
from collections.abc import Sequence

from example_apps.demo.collected import Span
from example_apps.demo.plan import CATALOG, FAILING_CALLS, INVENTORY, REVIEWS, SHOP, Endpoint, Resource
from example_apps.demo.traffic import Visit

REQUEST_SPANS = {
    SHOP: "flask.request",
    INVENTORY: "starlette.request",
    REVIEWS: "fastapi.request",
    CATALOG: "django.request",
}
# How much later than the caller a service may see the end of an answer, on a busy machine.
LATE_S = 0.8
CALL_SPANS = ("requests.request", "http.request")
# What may fail, along with the request, without a call of the inventory's that fails.
FAILING_SPANS = (*CALL_SPANS, "django.view")


def expected_requests(endpoint: Endpoint) -> list[Resource]:
    """Return the service and resource of each request span of one visit, the visited one first."""
    return [(endpoint.service, endpoint.resource), *endpoint.calls]


def arrived(visit: Visit, spans: Sequence[Span]) -> bool:
    """Say whether as many request spans as there should be have come: a chunk each, so all other spans have as well."""
    return sum(span.name in REQUEST_SPANS.values() for span in spans) >= len(expected_requests(visit.endpoint))


def problems(visit: Visit, spans: Sequence[Span], *, redis: bool) -> list[str]:
    """Return what is wrong with one visit and its trace."""
    found = [visit.problem] if visit.problem else []
    roots = [span for span in spans if span.parent_id == visit.span_id]
    if len(roots) != 1:
        return [*found, f"{len(roots)} spans, not 1, continue the caller's trace: {_names(roots)}"]
    root = roots[0]
    return [
        *found,
        *_tree(visit, spans),
        *_request(visit.endpoint, root),
        *_calls(visit.endpoint, root, spans),
        *_children(visit, root, spans, redis=redis),
        *_errors(visit.endpoint, root, spans),
    ]


def _tree(visit: Visit, spans: Sequence[Span]) -> list[str]:
    found = [f"span id {name} occurs {n} times" for name, n in Counter(s.span_id for s in spans).items() if n > 1]
    known = {span.span_id for span in spans} | {visit.span_id}
    found += [f"{span.name} has an unknown parent {span.parent_id}" for span in spans if span.parent_id not in known]
    parents = {span.span_id: span.parent_id for span in spans}
    for span in spans:
        seen = set()
        above = span.span_id
        while above in parents and above not in seen:
            seen.add(above)
            above = parents[above]
        if above in seen:
            found.append(f"{span.name} is its own ancestor")
    return found


def _request(endpoint: Endpoint, root: Span) -> list[str]:
    facts = {
        "name": (root.name, REQUEST_SPANS[endpoint.service]),
        "service": (root.service, endpoint.service),
        "resource": (root.resource, endpoint.resource),
        "http.route": (root.tags.get("http.route", ""), endpoint.route),
        "http.status_code": (root.tags.get("http.status_code", ""), str(endpoint.status)),
        "span.kind": (root.tags.get("span.kind", ""), "server"),
    }
    found = [
        f"the request's {fact} is {is_!r}, not {should!r}" for fact, (is_, should) in facts.items() if is_ != should
    ]
    if root.duration_ns < endpoint.at_least_s * 1e9:
        found.append(f"the request took {endpoint.at_least_s} s at least, its span {root.duration_ns / 1e9:.3f} s")
    return found


def _calls(endpoint: Endpoint, root: Span, spans: Sequence[Span]) -> list[str]:
    """Check that each call of another service is a client span with exactly one request span below it."""
    calls = {span.span_id: span for span in spans if span.name in CALL_SPANS}
    served = [span for span in spans if span.name in REQUEST_SPANS.values() and span is not root]
    found = []
    if Counter((span.service, span.resource) for span in served) != Counter(expected_requests(endpoint)[1:]):
        found.append(f"the request led to {_names(served)}, not to {_resources(endpoint.calls)}")
    found += [
        f"{span.name} {span.resource} is not the child of an outgoing call"
        for span in served
        if span.parent_id not in calls
    ]
    answered = Counter(span.parent_id for span in served)
    found += [
        f"{call.name} {call.resource} has {answered[call.span_id]} request spans below it, not 1"
        for call in calls.values()
        if answered[call.span_id] != 1
    ]
    return found


def _children(visit: Visit, root: Span, spans: Sequence[Span], *, redis: bool) -> list[str]:
    """Check that the spans below are there and in the time of the request, and all in the time of the visit.

    A streamed body makes its queries while it is sent: that they are inside says that the request's span covers it. A
    background task takes longer than LATE_S: that no span outlasts the visit by it says that none covers the task.
    """
    endpoint = visit.endpoint
    found = []
    names = Counter(span.name for span in spans)
    called = {service for service, _ in endpoint.calls}
    if names["sqlite.query"] < endpoint.queries:
        found.append(f"{names['sqlite.query']} SQLite spans, not {endpoint.queries} at least")
    if redis and names["redis.command"] < endpoint.commands:
        found.append(f"{names['redis.command']} Redis spans, not {endpoint.commands} at least")
    for span in spans:
        if span.service not in called and not root.start_ns <= span.start_ns <= span.end_ns <= root.end_ns:
            found.append(f"{span.name} {span.resource} lies outside the time of its request")
        if span.duration_ns > (visit.elapsed_s + LATE_S) * 1e9:
            found.append(
                f"{span.name} {span.resource} took {span.duration_ns / 1e9:.3f} s, all {visit.elapsed_s:.3f} s"
            )
    return found


def _errors(endpoint: Endpoint, root: Span, spans: Sequence[Span]) -> list[str]:
    found = []
    if root.error != (endpoint.status >= 500):
        found.append(f"status {endpoint.status}, and the request's span {'is an' if root.error else 'is no'} error")
    if root.tags.get("error.type", "").rpartition(".")[2] != endpoint.error:
        found.append(f"error.type is {root.tags.get('error.type', '')!r}, not {endpoint.error!r}")
    for span in spans:
        if span is root:
            continue
        failing = FAILING_CALLS.get((span.service, span.resource), "")
        if failing and (not span.error or span.tags.get("error.type", "").rpartition(".")[2] != failing):
            found.append(f"{span.name} {span.resource} failed with {failing}, and is marked otherwise")
        if span.error and not failing and not (endpoint.status >= 500 and span.name in FAILING_SPANS):
            found.append(f"{span.name} {span.resource} is an error, and went well")
    return found


def _resources(resources: Sequence[Resource]) -> str:
    return ", ".join(f"{service} {resource}" for service, resource in resources) or "none"


def _names(spans: Sequence[Span]) -> str:
    return ", ".join(f"{span.name} {span.resource}" for span in spans) or "none"
