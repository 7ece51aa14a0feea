"""A receiver of profiles, profilers over fake collectors, and what must hold after every test."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ddmiddleware.profiling import Profiler, profiler
from ddmiddleware.tracing import Tracer
from ddmiddleware.tracing.guard import guard
from ddmiddleware.tracing.settings import Settings
from tests.profiler.fake_collector import ROWS, FakeCollector
from tests.profiler.receiver import Receiver
from tests.profiler.sampling import has_extension

MakeProfiler = Callable[..., Profiler]


@pytest.fixture(autouse=True)
def _nothing_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No profiler goes on and no thread stays alive, and an error of ours fails the test that met it."""
    monkeypatch.setattr(guard, "raises", True)
    FakeCollector.made.clear()
    before = set(threading.enumerate())
    yield
    left = profiler._active
    if left is not None:
        left.stop(flush=False)
    assert left is None
    for thread in set(threading.enumerate()) - before:
        thread.join(10)
        assert not thread.is_alive(), thread


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """What takes profiles, on a free port."""
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def make_profiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[MakeProfiler]:
    """Return a maker of profilers over the fake collector, from a URL, environment variables and arguments."""
    monkeypatch.setattr(profiler, "COLLECTORS", ROWS)
    made: list[Profiler] = []

    def make(url: str, environ: dict[str, str] | None = None, **arguments: object) -> Profiler:
        defaults = {"DD_SERVICE": "shop", "DD_PROFILING_ON_DEMAND_DIR": str(tmp_path / "sockets")}
        tracer = Tracer(Settings({**defaults, "DD_TRACE_AGENT_URL": url, **(environ or {})}))
        made.append(Profiler(tracer=tracer, **arguments))  # type: ignore[arg-type]  # whatever a test gives
        return made[-1]

    yield make
    for one in made:
        one.stop(flush=False)


@pytest.fixture(params=["native", "python"])
def kind(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    if found == "native" and not has_extension():
        pytest.skip("the sampler in C is not built: a C compiler, Linux and CPython 3.10 to 3.13 are needed")
    return found
