"""Which spans are counted, how, and in which ten seconds; the clock is the test's."""

from __future__ import annotations

from typing import Any

import pytest

from ddmiddleware.tracing import Context, Span, Tracer
from ddmiddleware.tracing.settings import Settings
from ddmiddleware.tracing.stats import BLOCKED, BUCKET_NS, Concentrator

START_NS = 1_700_000_000 * 10**9
FIELDS = (
    *("service", "name", "resource", "type", "kind", "status"),
    *("synthetics", "root", "method", "endpoint", "grpc", "peers"),
)
Groups = list[dict[str, Any]]


class Clock:
    """Stands still until it is set."""

    def __init__(self) -> None:
        self.now_ns = START_NS + 5 * 10**9

    def __call__(self) -> int:
        return self.now_ns


class Shop:
    """Makes chunks of spans that end now, and counts them."""

    def __init__(self, max_groups: int = 7000) -> None:
        self.clock = Clock()
        self.concentrator = Concentrator(max_groups, self.clock)
        self.tracer = Tracer(Settings({"DD_SERVICE": "shop"}))
        self.chunk: list[Span] = []
        self.tracer.export = lambda chunk, trace: self.chunk.extend(chunk)  # type: ignore[method-assign]  # no wire

    def trace(
        self, *children: tuple[str, dict[str, Any]], ago_ns: int = 0, parent: Context | None = None, **tags: Any
    ) -> None:
        """Count a trace whose spans all take 100 ns; a name's tags may hold ``service`` and ``error``."""
        root = self.tracer.start_span("web.request", parent, resource=tags.pop("resource", "GET /"), span_type="web")
        for name, child_tags in children:
            self._end(self.tracer.start_span(name, root, service=child_tags.pop("service", None)), child_tags)
        self._end(root, tags)
        for span in self.chunk:
            span.start_ns, span.duration_ns = self.clock.now_ns - ago_ns - 100, 100
        self.count()

    def count(self) -> None:
        """Count what is finished."""
        self.concentrator.add(self.chunk)
        self.chunk.clear()

    def _end(self, span: Span, tags: dict[str, Any]) -> None:
        span.error = tags.pop("error", 0)
        span.set_tags(tags)
        span.finish()

    def take(self, **options: bool) -> dict[int, Groups]:
        """Return the groups by the start of their bucket, in seconds from the first one."""
        return {
            (start - START_NS) // 10**9: [
                {
                    **{field: value for field, value in zip(FIELDS, key, strict=True) if value},
                    "hits": group.hits,
                    "errors": group.errors,
                    "top": group.top_level,
                    "took": group.duration_ns,
                    "sketched": (group.succeeded.count, group.failed.count),
                }
                for key, group in groups.items()
            ]
            for start, groups in self.concentrator.take(**options)
        }


@pytest.fixture
def shop() -> Shop:
    return Shop()


def group(hits: int = 1, errors: int = 0, top: int | None = None, **fields: Any) -> dict[str, Any]:
    return {
        "service": "shop",
        **fields,
        "hits": hits,
        "errors": errors,
        "top": hits if top is None else top,
        "took": 100 * hits,
        "sketched": (hits - errors, errors),
    }


def request(hits: int = 1, **fields: Any) -> dict[str, Any]:
    return group(hits, **{"name": "web.request", "resource": "GET /", "type": "web", "root": True, **fields})


def test_who_is_counted(shop: Shop) -> None:
    shop.trace(
        ("inner", {}),
        ("internal", {"span.kind": "internal"}),
        ("unmeasured", {"_dd.measured": 0}),
        ("measured", {"_dd.measured": 1}),
        ("redis.command", {"service": "redis"}),
        *[(f"{kind}s", {"span.kind": kind}) for kind in ("client", "server", "producer", "consumer")],
    )
    assert shop.take(unfinished=True) == {
        0: [
            group(top=0, name="measured", resource="measured"),
            group(service="redis", name="redis.command", resource="redis.command"),
            *[
                group(top=0, name=f"{kind}s", resource=f"{kind}s", kind=kind)
                for kind in ("client", "server", "producer", "consumer")
            ],
            request(),
        ]
    }


def test_what_is_counted_together(shop: Shop) -> None:
    web = {"http.method": "GET", "http.route": "/x", "http.status_code": "200", "span.kind": "server"}
    shop.trace(**web)
    shop.trace(**web, error=1)
    shop.trace(**{**web, "http.endpoint": "/y", "http.status_code": 500})
    shop.trace(resource="GET /other")
    fields = {"method": "GET", "kind": "server"}
    assert shop.take(unfinished=True) == {
        0: [
            request(2, errors=1, status="200", endpoint="/x", **fields),
            request(status=500, endpoint="/y", **fields),
            request(resource="GET /other"),
        ]
    }


def test_a_local_root_of_a_remote_parent_is_no_trace_root(shop: Shop) -> None:
    shop.trace(parent=Context(1, 2), **{"_dd.origin": "synthetics-browser"})
    fields = {"name": "web.request", "resource": "GET /", "type": "web", "synthetics": True}
    assert shop.take(unfinished=True) == {0: [group(**fields)]}


def test_peer_tags_are_those_that_the_agent_asks_for(shop: Shop) -> None:
    shop.concentrator.peer_tags = ("peer.service", "out.host")
    tags = {"out.host": "db1", "peer.service": "db", "db.name": "shop"}
    shop.trace(("query", {"span.kind": "client", **tags}), **tags, **{"span.kind": "server"})
    peers = ("peer.service:db", "out.host:db1")
    assert shop.take(unfinished=True) == {
        0: [group(top=0, name="query", resource="query", kind="client", peers=peers), request(kind="server")]
    }


def test_buckets(shop: Shop) -> None:
    shop.trace()
    assert shop.take() == {}
    shop.clock.now_ns = START_NS + BUCKET_NS - 1
    assert shop.take() == {}
    shop.trace()
    shop.clock.now_ns += 1
    shop.trace(ago_ns=1)
    shop.trace()
    assert shop.take() == {0: [request(3)]}
    assert shop.take() == {}
    shop.clock.now_ns += BUCKET_NS
    assert shop.take() == {10: [request()]}
    assert not shop.concentrator


def test_late_and_early_spans(shop: Shop) -> None:
    shop.clock.now_ns = START_NS + 4 * BUCKET_NS
    shop.trace(ago_ns=2 * BUCKET_NS - 1)
    shop.trace(ago_ns=10 * BUCKET_NS)  # the oldest bucket that an agent has
    shop.trace(ago_ns=-10 * BUCKET_NS)  # nothing ends in the future
    assert shop.take() == {20: [request(2)]}
    assert shop.take(unfinished=True) == {40: [request()]}


def test_a_clock_that_is_set_back(shop: Shop) -> None:
    shop.trace()
    shop.clock.now_ns -= 100 * BUCKET_NS
    assert shop.take() == {0: [request()]}


def test_too_many_groups() -> None:
    shop = Shop(max_groups=3)
    for number in range(10):
        shop.trace(resource=f"GET /{number}")
    shop.trace(resource="GET /1")
    collapsed = group(7, service=BLOCKED, name=BLOCKED, resource=BLOCKED)
    assert shop.take(unfinished=True) == {
        0: [request(resource="GET /0"), request(2, resource="GET /1"), request(resource="GET /2"), collapsed]
    }
    assert shop.concentrator.collapsed == 7


@pytest.mark.parametrize("change", [{"service": []}, {"resource": {}}, {"start_ns": "now"}, {"duration_ns": "long"}])
def test_a_span_that_cannot_be_counted(shop: Shop, change: dict[str, Any]) -> None:
    shop.tracer.start_span("broken").finish()
    for name, value in change.items():
        setattr(shop.chunk[0], name, value)
    shop.count()
    assert shop.concentrator.uncounted == 1
    assert shop.take(unfinished=True) in ({}, {0: []})
