"""The demo's checks, over traces made by hand: a good one passes, and each thing that can be wrong is found."""

from dataclasses import replace

import pytest

from example_apps.demo import account, report
from example_apps.demo.checks import REQUEST_SPANS, arrived, problems
from example_apps.demo.collected import EndpointRow, Span
from example_apps.demo.plan import CATALOG, ENDPOINTS, INVENTORY, PREPARED, REVIEWS, SHOP, mixture
from example_apps.demo.traffic import Visit

MS = 1_000_000
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = "00f067aa0ba902b7"


def endpoint(service, method, path):
    return next(e for e in ENDPOINTS if (e.service, e.method, e.url_path) == (service, method, path))


def visit_of(service, method, path):
    found = endpoint(service, method, path)
    return Visit(found, TRACE, CALLER, elapsed_s=0.1, status=found.status)


def request_span(span_id, parent_id, found, start_ms, end_ms, **tags):
    return Span(
        span_id=span_id,
        parent_id=parent_id,
        service=found.service,
        name=REQUEST_SPANS[found.service],
        resource=found.resource,
        start_ns=start_ms * MS,
        duration_ns=(end_ms - start_ms) * MS,
        error=found.status >= 500,
        tags={"http.route": found.route, "http.status_code": str(found.status), "span.kind": "server", **tags},
    )


def child(span_id, parent_id, service, name, start_ms, end_ms, *, error=False):
    return Span(span_id, parent_id, service, name, name, start_ms * MS, (end_ms - start_ms) * MS, error, {})


@pytest.fixture
def visit():
    return visit_of(SHOP, "GET", "/products/3")


@pytest.fixture
def trace(visit):
    """What ``GET /products/3`` leaves: a query, and a call that the inventory serves."""
    return [
        request_span("a", CALLER, visit.endpoint, 0, 50),
        child("b", "a", "sqlite", "sqlite.query", 1, 2),
        child("c", "a", "requests", "requests.request", 3, 40),
        request_span("d", "c", endpoint(INVENTORY, "GET", "/stock/mug"), 10, 20),
    ]


def test_a_good_trace(visit, trace):
    assert problems(visit, trace, redis=True) == []
    assert arrived(visit, trace)


@pytest.mark.parametrize(
    ("index", "change", "found"),
    [
        (0, {"parent_id": ""}, "0 spans, not 1, continue the caller's trace: none"),
        (1, {"parent_id": "x"}, "sqlite.query has an unknown parent x"),
        (1, {"parent_id": "b"}, "sqlite.query is its own ancestor"),
        (1, {"parent_id": CALLER}, "2 spans, not 1, continue the caller's trace"),
        (1, {"span_id": "c"}, "span id c occurs 2 times"),
        (1, {"name": "sqlite.connection.commit"}, "0 SQLite spans, not 1 at least"),
        (1, {"duration_ns": 80 * MS}, "sqlite.query sqlite.query lies outside the time of its request"),
        (1, {"error": True}, "sqlite.query sqlite.query is an error, and went well"),
        (2, {"name": "other"}, "starlette.request GET /stock/{sku} is not the child of an outgoing call"),
        (3, {"parent_id": "a"}, "starlette.request GET /stock/{sku} is not the child of an outgoing call"),
        (3, {"parent_id": "a"}, "requests.request requests.request has 0 request spans below it, not 1"),
        (3, {"resource": "GET /stock/mug"}, "the request led to starlette.request GET /stock/mug"),
        (3, {"duration_ns": 5000 * MS}, "starlette.request GET /stock/{sku} took 5.000 s, all 0.100 s"),
        (0, {"name": "wsgi.request"}, "the request's name is 'wsgi.request', not 'flask.request'"),
        (0, {"resource": "GET /products/3"}, "the request's resource is 'GET /products/3'"),
        (0, {"service": "gunicorn"}, "the request's service is 'gunicorn', not 'shop'"),
        (0, {"error": True}, "status 200, and the request's span is an error"),
        (0, {"tags": {}}, "the request's http.status_code is '', not '200'"),
    ],
)
def test_a_doctored_span(visit, trace, index, change, found):
    trace[index] = replace(trace[index], **change)
    assert any(found in problem for problem in problems(visit, trace, redis=True))


@pytest.mark.parametrize(
    ("index", "found"),
    [
        (0, "0 spans, not 1, continue"),
        (1, "0 SQLite spans"),
        (2, "is not the child of an outgoing call"),
        (3, "the request led to none, not to inventory GET /stock/{sku}"),
    ],
)
def test_a_missing_span(visit, trace, index, found):
    del trace[index]
    assert any(found in problem for problem in problems(visit, trace, redis=True))


@pytest.mark.parametrize("index", [0, 3])
def test_a_request_traced_twice(visit, trace, index):
    trace.append(replace(trace[index], span_id="e"))
    assert problems(visit, trace, redis=True)


def test_nothing_arrived(visit):
    assert not arrived(visit, [])
    assert problems(visit, [], redis=True) == ["0 spans, not 1, continue the caller's trace: none"]


def test_a_wrong_answer(visit, trace):
    visit.problem = "answered 503, not 200"
    assert problems(visit, trace, redis=True) == ["answered 503, not 200"]


def test_an_unhandled_exception():
    visit = visit_of(INVENTORY, "GET", "/suppliers")
    root = request_span("a", CALLER, visit.endpoint, 0, 5)
    found = problems(visit, [root], redis=True)
    assert found == ["error.type is '', not 'ConnectionError'"]
    root.tags["error.type"] = "builtins.ConnectionError"
    assert problems(visit, [root], redis=True) == []
    assert problems(visit, [replace(root, error=False)], redis=True) == [
        "status 500, and the request's span is no error"
    ]


def test_a_failure_behind_a_call():
    visit = visit_of(SHOP, "GET", "/admin/suppliers")
    below = request_span("c", "b", endpoint(INVENTORY, "GET", "/suppliers"), 2, 3, **{"error.type": "ConnectionError"})
    call = child("b", "a", "requests", "requests.request", 1, 4, error=True)
    trace = [request_span("a", CALLER, visit.endpoint, 0, 5), call, below]
    assert problems(visit, trace, redis=True) == []
    trace[2] = replace(below, error=False)
    assert problems(visit, trace, redis=True) == [
        "starlette.request GET /suppliers failed with ConnectionError, and is marked otherwise"
    ]


def test_a_span_that_ends_before_its_body():
    stream = visit_of(INVENTORY, "GET", "/movements")
    root = request_span("a", CALLER, stream.endpoint, 0, 5)
    assert problems(stream, [root], redis=True) == ["the request took 0.05 s at least, its span 0.005 s"]
    export = visit_of(SHOP, "GET", "/orders.csv")
    queries = [child(f"q{n}", "a", "sqlite", "sqlite.query", n, n + 1) for n in range(4)]
    assert problems(export, [request_span("a", CALLER, export.endpoint, 0, 4), *queries], redis=True) == []
    assert len(problems(export, [request_span("a", CALLER, export.endpoint, 0, 1), *queries], redis=True)) == 3


def test_the_cache():
    visit = visit_of(SHOP, "GET", "/products")
    trace = [request_span("a", CALLER, visit.endpoint, 0, 5)]
    assert problems(visit, trace, redis=True) == ["0 Redis spans, not 1 at least"]
    assert problems(visit, trace, redis=False) == []


def test_a_span_sent_twice(visit, trace):
    good = account.visits([visit], {TRACE: trace}, {TRACE: 4}, redis=True)
    assert good == []
    assert account.visits([visit], {TRACE: trace}, {TRACE: 8}, redis=True) == [
        f"GET /products/3 (trace {TRACE}): 8 spans came in, 4 of them different"
    ]


def test_totals(visit):
    rows = [
        EndpointRow(SHOP, "GET /products/<int:product_id>", 1, 0, 1, 1),
        EndpointRow(SHOP, "prepare the database", 1, 0, 1, 1),
        EndpointRow(CATALOG, "prepare the catalog", 1, 0, 1, 1),
        EndpointRow(INVENTORY, "GET /stock/{sku}", 1, 0, 1, 1),
    ]
    assert account.totals([visit], rows) == []
    assert account.totals([visit], [*rows, EndpointRow(SHOP, "GET /", 1, 0, 1, 1)]) == [
        "shop GET /: 1 counted by the collector, 0 made"
    ]
    rows[1] = replace(rows[1], requests=2)
    assert account.totals([visit], rows) == ["shop prepare the database: 2 counted by the collector, 1 made"]
    assert account.totals([visit], rows[:1]) == [
        "catalog prepare the catalog: 0 counted by the collector, 1 made",
        "inventory GET /stock/{sku}: 0 counted by the collector, 1 made",
        "shop prepare the database: 0 counted by the collector, 1 made",
    ]


def test_background_tasks():
    visit = visit_of(INVENTORY, "POST", "/recounts")
    assert account.expected_traces([visit]) == 4
    request = request_span("a", CALLER, visit.endpoint, 0, 5)
    task = replace(
        child("b", "", INVENTORY, "starlette.background_task", 5, 900), resource="count_again", links=((TRACE, "a"),)
    )
    good = {TRACE: [request], "other": [task]}
    assert account.tasks([visit], good) == []
    for bad in (
        {TRACE: [request]},
        {**good, "third": [task]},
        {**good, "other": [replace(task, links=())]},
        {**good, "other": [replace(task, links=((TRACE, "c"),))]},
        {**good, "other": [replace(task, parent_id="a")]},
    ):
        assert len(account.tasks([visit], bad)) == 1


def test_messages():
    visit = visit_of(REVIEWS, "GET", "/v1/products/pan/live")
    assert account.expected_traces([visit]) == 1 + 3 + len(PREPARED)
    handshake = request_span("a", CALLER, visit.endpoint, 0, 5)
    receive = replace(
        child("b", "", REVIEWS, "websocket.receive", 5, 6),
        resource="websocket /v1/products/{sku}/live",
        links=((TRACE, "a"),),
    )
    good = {TRACE: [handshake], "first": [receive], "second": [receive], "close": [receive]}
    assert account.tasks([visit], good) == []
    assert len(account.tasks([visit], {**good, "second": [replace(receive, parent_id="a")]})) == 1
    assert len(account.tasks([visit], {**good, "fourth": [receive]})) == 1


def test_a_trace_through_three_services():
    visit = visit_of(SHOP, "GET", "/products/3/reviews")
    trace = [
        request_span("a", CALLER, visit.endpoint, 0, 50),
        child("b", "a", "sqlite", "sqlite.query", 1, 2),
        child("c", "a", "requests", "requests.request", 3, 40),
        request_span("d", "c", endpoint(REVIEWS, "GET", "/v1/products/mug/reviews"), 10, 30),
        child("e", "d", "httpx", "http.request", 11, 29),
        request_span("f", "e", endpoint(INVENTORY, "GET", "/stock/mug"), 12, 20),
    ]
    assert problems(visit, trace, redis=True) == []
    trace[5] = replace(trace[5], parent_id="c")
    assert problems(visit, trace, redis=True)


def test_logs():
    visit = visit_of(SHOP, "POST", "/checkout")
    assert account.logs([visit], f"INFO order 121 placed trace_id={TRACE} span_id=1\n") == []
    assert account.logs([visit], "INFO order 121 placed trace_id=0 span_id=0\n") == [
        f"POST /checkout (trace {TRACE}): no line of the log has its trace id"
    ]


def test_the_mean_of_spans(visit, trace):
    found = report.mean_spans([trace, trace[:1]])
    assert found == {(SHOP, "GET /products/<int:product_id>"): 2.5, (INVENTORY, "GET /stock/{sku}"): 1.0}
    trace[2] = replace(trace[2], parent_id="d")  # a ring, which must not be walked for ever
    assert report.mean_spans([trace])[SHOP, "GET /products/<int:product_id>"] == 2.0


def test_the_mixture_holds_every_endpoint():
    assert len(mixture(100)) == 100
    assert set(map(id, mixture(len(ENDPOINTS)))) == set(map(id, ENDPOINTS))
