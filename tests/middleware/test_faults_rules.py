"""Whatever fails in what settings and hooks ask for, the application answers as it would without us."""

from __future__ import annotations

import gc
import time
from typing import Any

import pytest

from ddmiddleware import (
    _client_address,
    _details,
    _header_tags,
    _hooks,
    _inferred_proxy,
    _metrics,
    _metrics_report,
    _request,
    _rules,
    asgi,
    wsgi,
)
from ddmiddleware.tracing import Silence, active, guarded
from tests.integrations.recorder import Recorder
from tests.middleware.interfaces import Interface, Pairs, put
from tests.middleware.requests_by_hand import Answer, MissingError
from tests.middleware.test_faults import SHARED, TRACEPARENT, _broken, _functions, _name

pytestmark = pytest.mark.once

EXCLUDED = "/excluded"
EVERYTHING = {
    "DD_TRACE_HEADER_TAGS": "X-Team,Content-Type",
    "DD_HTTP_SERVER_TAG_QUERY_STRING": "true",
    "DD_TRACE_QUERY_STRING_ENABLED": "true",
    "DD_TRACE_CLIENT_IP_ENABLED": "true",
    "DD_TRACE_INFERRED_PROXY_SERVICES_ENABLED": "true",
    "DD_TRACE_EXCLUDED_URLS": EXCLUDED,
    "DD_TRACE_HTTP_METRICS_ENABLED": "true",
}
REQUEST: Pairs = [
    ("traceparent", TRACEPARENT),
    ("X-Team", "blue"),
    ("X-Forwarded-For", "8.8.8.8"),
    ("Forwarded", "for=10.0.0.1"),
    ("x-dd-proxy", "aws-apigateway"),
]
RULES = [
    *SHARED,
    *_functions(_request.Excluded),
    *_functions(Silence),
    *_functions(_rules),
    *_functions(_rules.Rules, "__init__"),
    *_functions(_details),
    *_functions(_details.Details),
    *_functions(_header_tags, "wanted"),
    *_functions(_hooks.Hooks, "__init__"),
    *_functions(_client_address),
    *_functions(_inferred_proxy),
    *_functions(_metrics.Measurement),
    *_functions(_metrics.HttpMetrics, "__init__", "_forget"),
    *_functions(_metrics_report),
    *_functions(type(wsgi.READER)),
    *_functions(type(asgi.READER)),
]
HOOKS = ("span_modifier", "request_hook", "response_hook")


def _look(*_args: Any) -> None:
    """Be a hook."""


def _everything(interface: Interface, **hooks: Any) -> list[Answer]:
    """Ask all that the shared rules look at; what fails is told as the application's own failure."""
    given: dict[str, Any] = {**dict.fromkeys(HOOKS, _look), **hooks}
    headers = [*REQUEST, ("x-dd-proxy-request-time-ms", str(int(time.time() * 1000)))]
    answers = [
        interface.ask(path, "page=1", headers, "10.0.0.1", status, [("X-Team", "red"), ("X-Team", "blue")], **given)
        for path, status in (("/users", 200), ("/nowhere", 404), ("/broken", 503), (EXCLUDED, 200), ("/late", 204))
    ]

    def broken() -> None:
        raise MissingError("broken")

    for path in ("/broken", EXCLUDED):
        with pytest.raises(MissingError) as caught:
            interface.ask(path, headers=headers, work=broken, **given)
        assert caught.value.__context__ is None
    assert active.get() is None
    return answers


@pytest.mark.parametrize("fault", RULES, ids=_name)
def test_the_shared_rules(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch, interface: Interface, fault: tuple[Any, str]
) -> None:
    expected = _everything(interface)
    monkeypatch.setattr(guarded, "raises", False)
    for name, value in EVERYTHING.items():
        put(name, value)
    assert _everything(interface, excluded_urls="/late", header_tags="X-Team") == expected
    with monkeypatch.context() as patch:
        patch.setattr(*fault, _broken)
        if fault[1] != "alternatives":  # which a bad pattern makes fail where it stands
            assert _everything(interface, excluded_urls="/late", header_tags="X-Team") == expected
        for name, value in EVERYTHING.items():
            put(name, value)
        assert _everything(interface, header_tags="X-Team") == expected
        gc.collect()


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("error", [ValueError("the user's mistake"), RecursionError(), StopIteration()], ids=repr)
def test_hooks(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch, interface: Interface, hook: str, error: Exception
) -> None:
    def broken(*_args: Any) -> None:
        raise error

    expected = _everything(interface)
    monkeypatch.setattr(guarded, "raises", False)
    assert _everything(interface, **{hook: broken}) == expected
