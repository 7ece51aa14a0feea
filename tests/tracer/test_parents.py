"""Who is whose parent when spans end in another order, thread or task than they began in."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from ddmiddleware.tracing import Context, Span, Tracer, active
from tests.recording_agent import RecordingAgent, plain
from tests.tracer.conftest import MakeTracer
from tests.tracer.expected import active_name, child, root

pytestmark = pytest.mark.usefixtures("twin")


def _elsewhere(call: Callable[[], object]) -> None:
    """Run *call* in another thread, with an empty context."""
    thread = threading.Thread(target=call)
    thread.start()
    thread.join()


def _trace(tracer: Tracer, name: str) -> None:
    tracer.trace(name).finish()


def _link(span: Span) -> str:
    return json.dumps([{"trace_id": f"{span.trace_id:032x}", "span_id": f"{span.span_id:016x}"}])


def test_a_span_that_ends_before_its_child_leaves_nothing_behind(tracer: Tracer, agent: RecordingAgent) -> None:
    tracer.configure(partial_flush_enabled=False)  # one chunk, to be compared
    first = tracer.trace("a")
    second = tracer.trace("b")
    third = tracer.trace("c")
    second.finish()
    first.finish()
    assert tracer.current_span() is third
    third.finish()
    assert active.get() is None
    tracer.trace("d").finish()
    tracer.flush()
    assert plain(agent.spans) == [root("a"), child("b", 2), child("c", 3, 2), root("d", 4, 2)]


def test_a_span_may_stay_active_after_its_end(tracer: Tracer, agent: RecordingAgent) -> None:
    tracer.configure(partial_flush_enabled=False)
    first = tracer.trace("a")
    second = tracer.trace("b")
    third = tracer.trace("c")
    second._finish_active()
    assert tracer.current_span() is third
    third.finish()
    assert active.get() is first  # what was active before the second one
    first._finish_active()
    assert (active.get(), first.finished) == (first, True)
    first._finish_active()
    assert active.get() is first
    active.set(None)
    tracer.flush()
    assert plain(agent.spans) == [root("a"), child("b", 2), child("c", 3, 2)]


def test_the_nearest_open_ancestor_is_the_parent(tracer: Tracer, agent: RecordingAgent) -> None:
    with tracer.trace("a"):
        second = tracer.trace("b")
        third = tracer.trace("c")
        _elsewhere(third.finish)
        _elsewhere(second.finish)
        assert active.get() is third
        with tracer.trace("d"):
            pass
        active.set(third.local_root)
    tracer.flush()
    assert plain(agent.spans) == [root("a"), child("b", 2), child("c", 3, 2), child("d", 4)]


def test_work_after_the_end_is_a_trace_of_its_own_with_a_link(tracer: Tracer, agent: RecordingAgent) -> None:
    request = tracer.trace("request")
    later = contextvars.copy_context()
    request.finish()
    assert later.run(tracer.current_span) is None
    for name in ("job", "job again"):
        later.run(_trace, tracer, name)
    tracer.flush()
    tag = {"_dd.span_links": _link(request)}
    assert plain(agent.spans) == [root("request"), root("job", 2, 2, meta=tag), root("job again", 3, 3, meta=tag)]


def test_an_explicit_parent_is_obeyed_though_it_is_over(tracer: Tracer, agent: RecordingAgent) -> None:
    with tracer.trace("a", service="front") as over:
        pass
    tracer.start_span("b", child_of=over).finish()
    tracer.flush()
    assert plain(agent.spans) == [root("a", service="front"), root("b", 2, parent_id=1)]


def test_a_thread_continues_the_context_it_is_given(tracer: Tracer, agent: RecordingAgent) -> None:
    def work() -> None:
        assert tracer.current_span() is None
        tracer.context_provider.activate(context)
        tracer.trace("b").finish()

    with tracer.trace("a"):
        context = tracer.current_trace_context()
        _elsewhere(work)
    tracer.flush()
    assert plain(agent.spans) == [root("a"), root("b", 2, parent_id=1)]


def test_a_thread_has_no_span_of_its_starter(tracer: Tracer, agent: RecordingAgent) -> None:
    with tracer.trace("a"):
        _elsewhere(lambda: tracer.trace("b").finish())
    tracer.flush()
    assert plain(agent.spans) == [root("a"), root("b", 2, 2)]


def test_interleaved_tasks(tracer: Tracer, agent: RecordingAgent) -> None:
    async def task(name: str, mine: asyncio.Event, other: asyncio.Event) -> None:
        with tracer.trace(name):
            for step in range(3):
                other.set()
                await mine.wait()
                mine.clear()
                with tracer.trace(f"{name}{step}"):
                    other.set()
                    await asyncio.sleep(0)
            other.set()

    async def main() -> None:
        left, right = asyncio.Event(), asyncio.Event()
        with tracer.trace("main"):
            await asyncio.gather(task("left", left, right), task("right", right, left))
            assert active_name(tracer) == "main"

    asyncio.run(main())
    tracer.flush()
    found = plain(agent.spans)
    parents = {span["name"]: found[span["parent_id"] - 1]["name"] for span in found[1:]}
    assert parents == {
        "left": "main",
        "right": "main",
        **{f"{side}{step}": side for side in ("left", "right") for step in range(3)},
    }


def test_a_task_that_outlives_its_request(tracer: Tracer, agent: RecordingAgent) -> None:
    tracer.configure(partial_flush_enabled=False)  # one chunk, to be compared

    async def background(over: asyncio.Event) -> None:
        with tracer.trace("begun in time"):
            await over.wait()
            tracer.trace("inside").finish()
        tracer.trace("too late").finish()

    async def main() -> Span:
        over = asyncio.Event()
        with tracer.trace("request") as request:
            task = asyncio.create_task(background(over))
            await asyncio.sleep(0)
        over.set()
        await task
        return request

    request = asyncio.run(main())
    tracer.flush()
    assert plain(agent.spans) == [
        root("request"),
        child("begun in time", 2),
        child("inside", 3, 2),
        root("too late", 4, 2, meta={"_dd.span_links": _link(request)}),
    ]


def test_finishing_in_another_task(tracer: Tracer) -> None:
    async def main() -> None:
        span = tracer.trace("a")

        async def finish() -> None:
            span.finish()
            assert active.get() is None

        await asyncio.create_task(finish())
        assert active.get() is span
        assert tracer.current_span() is None

    asyncio.run(main())


def test_finished_spans_make_no_garbage(tracer: Tracer) -> None:
    def trace() -> None:
        with tracer.trace("a"):
            try:
                with tracer.trace("b") as span:
                    span.set_tag("key", "value")
                    raise ValueError
            except ValueError:
                pass

    trace()
    tracer.flush()
    gc.collect()
    gc.disable()
    try:
        for _ in range(50):
            trace()
        tracer.flush()
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        ours: list[Any] = [found for found in gc.garbage if isinstance(found, (Span, Context))]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert ours == []


def test_a_program_that_never_finishes_its_spans(
    make_tracer: MakeTracer, agent: RecordingAgent, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ddmiddleware.tracing.tracer._OPEN_SPANS_MAX", 3)
    tracer = make_tracer(agent.url)
    for number in range(1, 8):
        tracer.trace(f"a{number}")
    last = tracer.current_span()
    assert last is not None
    assert (last._parent, last._previous) == (None, None)
    last.finish_with_ancestors()
    assert tracer.current_span() is None
    tracer.flush()
    (sent,) = agent.spans
    assert (sent["name"], sent["parent_id"]) == ("a7", 0)
    assert "_dd.span_links" in sent["meta"]
    (record,) = caplog.records
    assert record.getMessage().startswith(
        "ddmiddleware: 3 spans of one trace are open, a3 the last; is finish() missing?"
    )
