"""The engine: errors of ours stay ours, versions, modules that are half imported or lazy, and the price of a call."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from ddmiddleware import patch
from ddmiddleware.integrations import TABLE, _call, _http_client, _traced
from ddmiddleware.integrations._patching import Call, Integration
from ddmiddleware.tracing import Span, Tracer, active, default_tracer, guarded
from tests.integrations.examples import EXAMPLES
from tests.integrations.recorder import Recorder
from tests.integrations.rows import ROWS


class Broken(Exception):
    """An error of ours."""


def broken(*args: Any, **kwargs: Any) -> Any:
    raise Broken


FAULTS: dict[str, tuple[Any, str]] = {
    "starting a span": (Tracer, "trace"),
    "making a call": (_traced, "Call"),
    "describing": (Call, "arg"),
    "a request's description": (_http_client, "sent"),
    "injecting": (_call, "inject_headers"),
    "reading the result": (_http_client, "answered"),
    "the error": (Span, "set_exc_info"),
    "the log fields": (Tracer, "get_log_correlation_context"),
    "export": (default_tracer, "export"),
}


@pytest.mark.parametrize("fault", sorted(FAULTS))
@pytest.mark.parametrize("name", [name for name in ROWS if "integrations" in TABLE[name].loads])
def test_an_error_of_ours_costs_at_most_the_span(
    name: str, fault: str, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    names: dict[str, Any] = {}
    error = ValueError("theirs")
    patch(**{name: True})
    exec(EXAMPLES[name].imports, names)
    if name in ("futures", "gevent", "threading") and fault in ("starting a span", "export"):
        pytest.skip("the example itself starts spans")
    monkeypatch.setattr(guarded, "raises", False)
    monkeypatch.setattr(*FAULTS[fault], broken)
    EXAMPLES[name].use(names, recorder)
    with pytest.raises(ValueError, match="theirs") as caught:
        EXAMPLES[name].fail(names, error)
    assert caught.value is error
    assert error.__context__ is None
    assert active.get() is None


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = ModuleType("a_library")
    code = (
        "class Client:\n"
        "    def call(self, x): return x\n"
        "    async def wait(self, x):\n"
        "        if isinstance(x, BaseException): raise x\n"
        "        return await x if hasattr(x, '__await__') else x\n"
    )
    exec(code, module.__dict__)
    monkeypatch.setitem(sys.modules, "a_library", module)
    return module


def test_what_a_version_lacks_is_left_alone(library: ModuleType) -> None:
    integration = Integration("a_library")
    paths = ("a_library:Client.gone", "a_library:Gone.call", "a_library:gone", "a_library:Client.call.gone")
    integration.traces(*paths, "a_library:Client.call", name="x")(lambda call: None)
    before = dict(vars(library)), dict(vars(library.Client))
    integration.patch()
    integration.unpatch()
    assert (dict(vars(library)), dict(vars(library.Client))) == before


def test_when_says_whether_there_is_a_span(library: ModuleType, recorder: Recorder) -> None:
    integration = Integration("a_library")
    integration.traces("a_library:Client.call", name="x", when=lambda _client, x: x > 1)(lambda call: None)
    integration.patch()
    assert [library.Client().call(x) for x in (1, 2, 3)] == [1, 2, 3]
    assert recorder.names() == ["x", "x"]
    integration.unpatch()


def test_observers_see_the_call_and_change_nothing(library: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    integration = Integration("a_library")
    seen: list[Any] = []

    @integration.observes("a_library:Client.call", "a_library:Client.wait")
    def observe(_client: Any, x: Any) -> None:
        seen.append(x)
        raise Broken

    integration.patch()
    monkeypatch.setattr(guarded, "raises", False)
    errors = guarded.errors
    assert library.Client().call(x=1) == 1
    assert asyncio.run(library.Client().wait(2)) == 2
    assert seen == [1, 2]
    assert guarded.errors == errors + 2
    integration.unpatch()


@pytest.mark.parametrize("how", ["success", "error", "timeout", "cancel", "closed"])
def test_coroutines_finish_and_leave_nothing_active(how: str, library: ModuleType, recorder: Recorder) -> None:
    integration = Integration("a_library")
    integration.traces("a_library:Client.wait", name="x")(lambda call: None)
    integration.patch()
    client = library.Client()

    async def run() -> None:
        with default_tracer.trace("work") as work:
            forever: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            if how == "success":
                assert await client.wait(1) == 1
            elif how == "error":
                error = ValueError("theirs")
                with pytest.raises(ValueError, match="theirs") as caught:
                    await client.wait(error)
                assert caught.value is error
                assert error.__context__ is None
            elif how == "timeout":
                with pytest.raises(asyncio.TimeoutError):
                    await asyncio.wait_for(client.wait(forever), 0.01)
            elif how == "cancel":
                task = asyncio.ensure_future(client.wait(forever))
                await asyncio.sleep(0)
                assert task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            else:
                coroutine = client.wait(forever)
                coroutine.send(None)
                coroutine.close()
            assert active.get() is work

    asyncio.run(run())
    kinds = {"error": "builtins.ValueError", "timeout": "asyncio.exceptions.CancelledError"}
    kinds["cancel"] = kinds["timeout"]
    _, span = recorder.take()
    assert (span["parent"], span["error"], span["tags"].get("error.type")) == (1, int(how in kinds), kinds.get(how))
    integration.unpatch()


def test_the_price_of_a_call(library: ModuleType, recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A patched call costs little more than its span: not a budget, but a tripwire against a mistake."""
    integration = Integration("a_library", service="a")
    integration.traces("a_library:Client.call", name="x")(lambda call: None)
    monkeypatch.setattr(default_tracer, "export", lambda chunk, trace: None)
    client = library.Client()

    def cost(call: Callable[[], Any]) -> float:
        best = float("inf")
        for _ in range(5):
            start = time.process_time()
            for _ in range(2000):
                call()
            best = min(best, (time.process_time() - start) / 2000)
        return best

    def span() -> None:
        default_tracer.trace("x", "a").finish()

    integration.patch()
    with default_tracer.trace("work"):
        alone, patched = cost(span), cost(lambda: client.call(1))
    integration.unpatch()
    assert patched < 3 * alone + 2e-6


def test_a_call_shows_what_was_passed(library: ModuleType, recorder: Recorder) -> None:
    integration = Integration("a_library", service="a", kind="client", db_system="b")
    seen: list[Any] = []

    @integration.traces("a_library:Client.call", name="x", type="t")
    def describe(call: Call) -> None:
        seen.append((type(call.self), call.args, call.arg(0, "x"), call.arg(1, "y"), call.arg(1, "y", "default")))

    integration.patch()
    library.Client().call(1)
    library.Client().call(x=2)
    assert seen == [
        (library.Client, (1,), 1, None, "default"),
        (library.Client, (), 2, None, "default"),
    ]
    tags = {"component": "a_library", "span.kind": "client", "db.system": "b"}
    shape = {"parent": 0, "service": "a", "name": "x", "resource": "x", "type": "t", "error": 0, "tags": tags}
    assert recorder.take() == [{"trace": 1, **shape}, {"trace": 2, **shape}]
    integration.unpatch()
