"""The engine: errors of ours stay ours, versions, modules that are half imported or lazy, and the price of a call."""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import sys
import threading
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ddmiddleware import patch, patch_all, unpatch
from ddmiddleware.integrations import TABLE, _http_client, _patching
from ddmiddleware.integrations._patching import Call, Integration
from ddmiddleware.integrations._versions import supported
from ddmiddleware.tracing import Span, Tracer, active, default_tracer, guarded
from tests.integrations.examples import EXAMPLES
from tests.integrations.recorder import Recorder


class Broken(Exception):
    """An error of ours."""


def broken(*args: Any, **kwargs: Any) -> Any:
    raise Broken


FAULTS: dict[str, tuple[Any, str]] = {
    "starting a span": (Tracer, "trace"),
    "making a call": (_patching, "Call"),
    "describing": (_patching.Call, "arg"),
    "a request's description": (_http_client, "sent"),
    "injecting": (_patching, "inject_headers"),
    "reading the result": (_http_client, "answered"),
    "the error": (Span, "set_exc_info"),
    "the log fields": (Tracer, "get_log_correlation_context"),
    "export": (default_tracer, "export"),
}


@pytest.mark.parametrize("fault", sorted(FAULTS))
@pytest.mark.parametrize("name", sorted(set(TABLE) - {"flask", "starlette"}))
def test_an_error_of_ours_costs_at_most_the_span(
    name: str, fault: str, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    names: dict[str, Any] = {}
    error = ValueError("theirs")
    patch(**{name: True})
    exec(EXAMPLES[name].imports, names)
    if name == "futures" and fault in ("starting a span", "export"):
        pytest.skip("the example itself starts spans")
    monkeypatch.setattr(guarded, "raises", False)
    monkeypatch.setattr(*FAULTS[fault], broken)
    EXAMPLES[name].use(names, recorder)
    with pytest.raises(ValueError, match="theirs") as caught:
        EXAMPLES[name].fail(names, error)
    assert caught.value is error
    assert error.__context__ is None
    assert active.get() is None


@pytest.mark.parametrize(
    ("version", "good"),
    [
        ("0.0.1", False),
        ("99.0", True),
        ("1.2rc1+local", False),
        (None, True),
        ("2", True),
        ("2.0.0", True),
        ("1.99.9", False),
        ("1!0.1", False),
        ("v2.1", True),
        ("nonsense", True),
        ("", True),
    ],
)
def test_versions(
    version: Any, good: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    directory = tmp_path / f"fakelib-{'x' if version is None else 1}.dist-info"
    directory.mkdir()
    line = "" if version is None else f"Version: {version}\n"
    (directory / "METADATA").write_text(f"Metadata-Version: 2.1\nName: fakelib\n{line}")
    (tmp_path / "fakelib.py").write_text("def call():\n    return 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    monkeypatch.delitem(sys.modules, "fakelib", raising=False)
    integration = Integration("fakelib", requires="fakelib>=2.0")
    integration.traces("fakelib:call", name="fake")(lambda _call: None)
    import fakelib  # type: ignore[import-not-found]

    before = fakelib.call
    with caplog.at_level(logging.WARNING, "ddmiddleware"):
        integration.patch()
        integration.patch()
    assert (fakelib.call is not before) is good
    integration.unpatch()
    message = f"ddmiddleware: fakelib {version} is not traced: version 2.0 or newer is needed"
    assert [record.getMessage() for record in caplog.records] == ([] if good else [message])
    monkeypatch.delitem(sys.modules, "fakelib")


def test_what_is_not_installed_counts_as_supported() -> None:
    with pytest.raises(metadata.PackageNotFoundError):
        metadata.version("no-such-distribution")
    assert supported("x", "no-such-distribution>=1")


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
    assert library.Client().call(x=1) == 1
    assert asyncio.run(library.Client().wait(2)) == 2
    assert seen == [1, 2]
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


def test_a_module_that_another_thread_is_importing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is waited for."""
    (tmp_path / "slow_library.py").write_text(
        "import threading\nstarted = threading.Event()\ngo_on = threading.Event()\n"
        "started.set()\nassert go_on.wait(10)\n\ndef call():\n    return 1\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    integration = Integration("slow_library")
    integration.traces("slow_library:call", name="x")(lambda call: None)
    importing = threading.Thread(target=importlib.import_module, args=("slow_library",))
    importing.start()
    deadline = time.monotonic() + 10
    while not hasattr(sys.modules.get("slow_library"), "started"):
        assert time.monotonic() < deadline
    patching = threading.Thread(target=integration.patch)
    patching.start()
    sys.modules["slow_library"].go_on.set()
    importing.join()
    patching.join()
    assert hasattr(sys.modules["slow_library"].call, "__wrapped__")
    integration.unpatch()
    assert not hasattr(sys.modules["slow_library"].call, "__wrapped__")
    del sys.modules["slow_library"]


def test_many_threads_patch_and_import_at_once(root: Path, tmp_path: Path) -> None:
    import subprocess

    code = (
        "import threading, importlib, sys\n"
        "from ddmiddleware import patch_all\n"
        "barrier = threading.Barrier(8)\n"
        "names = ['redis', 'requests', 'httpx', 'sqlite3']\n"
        "def work(number):\n"
        "    barrier.wait()\n"
        "    patch_all() if number % 2 else importlib.import_module(names[number // 2])\n"
        "threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]\n"
        "[thread.start() for thread in threads]\n"
        "[thread.join(30) for thread in threads]\n"
        "import redis, requests, httpx, sqlite3\n"
        "once = [redis.Redis.execute_command, requests.Session.send, httpx.Client.send, sqlite3.connect]\n"
        "import inspect\n"
        "seen = []\n"
        "for function in once:\n"
        "    inspect.unwrap(function, stop=lambda f: seen.append(getattr(f, '__code__', None)))\n"
        "seen = [code.co_filename for code in seen if code]\n"
        "assert [name.endswith('_patching.py') for name in seen].count(True) == 3, seen\n"
        "assert [name.endswith('sqlite3.py') for name in seen].count(True) == 1, seen\n"
    )
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", code], cwd=root, capture_output=True, text=True, timeout=60
        )
        assert not done.stderr, done.stderr
        assert done.returncode == 0


def test_a_lazy_module_stays_unloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lazy_application.py").write_text("raise RuntimeError('loaded')\n")
    monkeypatch.syspath_prepend(tmp_path)
    spec = importlib.util.find_spec("lazy_application")
    assert spec is not None
    assert spec.loader is not None
    spec.loader = importlib.util.LazyLoader(spec.loader)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "lazy_application", module)
    spec.loader.exec_module(module)
    patch(sqlite3=True)
    unpatch("sqlite3")
    with pytest.raises(RuntimeError, match="loaded"):
        module.anything  # noqa: B018 (the load is meant)


def test_odd_entries_of_sys_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    class Odd:
        __slots__ = ()

        def __getattr__(self, name: str) -> Any:
            raise Broken

    monkeypatch.setitem(sys.modules, "odd_module", Odd())
    monkeypatch.setitem(sys.modules, "blocked_module", None)
    patch_all()
    unpatch()


def test_waiting_for_an_import_does_not_pile_up() -> None:
    import wrapt.importer  # type: ignore[import-untyped, unused-ignore]

    integration = Integration("never_imported")
    integration.traces("never_imported:call", name="x")(lambda call: None)
    for _ in range(100):
        integration.patch()
        integration.unpatch()
    assert len(wrapt.importer._post_import_hooks["never_imported"]) == 1


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
